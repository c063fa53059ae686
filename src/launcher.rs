//! By what a shell is started on a host: ssh, nothing but a shell on this machine, a command of the caller's, or Slurm.

use std::ffi::{OsStr, OsString};
use std::mem;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::Command;

use crate::absolute_path::resolve_program;
use crate::check;
use crate::error::{Error, LauncherFailure, Result};
use crate::link_loss::LinkLossPolicy;
use crate::script::BOOTSTRAP;
use crate::slurm::Slurm;
use crate::sys;

/// By what a process gets the shell on its host that starts and watches it.
///
/// All else is the same for all of them: states, events, kills, reports, output. What one of them cannot do is refused with
/// [`Error::Invalid`](crate::Error::Invalid) before anything starts.
///
/// ```
/// use sshpm::{BootRequest, Launcher, Options, Slurm};
/// // All processes run on this machine,
/// let options = Options::new().launcher(Launcher::Local);
/// // but for one that runs in a container,
/// let docker = Launcher::command(["docker", "exec", "-i", "{host}"]);
/// let request = BootRequest::new("daq-container", ["readout"]).launcher(docker);
/// // and for those of one host, which is a node of a Slurm job.
/// let options = options.host_launcher("node-7", Launcher::Slurm(Slurm::new().job("4711")));
/// # let _ = (options, request);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Launcher {
    /// The system's ssh.
    #[default]
    Ssh,
    /// `/bin/sh` on this machine, as this program's user, with its environment and, at first, in its home directory (HOME; where that is
    /// not set, where this program is). The host is a name and no more: every host is this machine.
    Local,
    /// A command that runs what is appended to it, as `docker exec -i {host}` does: `/bin/sh`, `-c`, a script, and `sshpm`, four
    /// arguments, none of which another shell may read. `{host}`, `{user}` and `{uuid}` stand for those of the process. It has to pass
    /// stdin, stdout and stderr on as they are, without a terminal, and the end of its stdin too. The environment and the first
    /// directory are what the command gives. Where its program is a relative path, that is resolved against the current
    /// directory of [`Manager::new`](crate::Manager::new) or, for a boot request, of
    /// [`start_process`](crate::Manager::start_process).
    Command(Vec<OsString>),
    /// A step of a Slurm job: the host is one of its nodes.
    Slurm(Slurm),
}

/// Whereto a shell is started, and for which process, if it is for one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub launcher: &'a Launcher,
    pub host: &'a str,
    pub user: Option<&'a str>,
    pub uuid: Option<&'a str>,
}

/// The shell below is a child of the client, so that who kills the client kills no wrapper; the `exit` keeps shells from
/// replacing themselves by their last command.
const LOCAL: &str = r#"cd 2>/dev/null; /bin/sh -c "$0" sshpm; exit"#;
/// srun would tell of an exit code among what the application says.
const STEP: &str = r#"cd 2>/dev/null; trap "exit 0" EXIT; "#;

impl Launcher {
    /// A [`Launcher::Command`].
    pub fn command<A: Into<OsString>>(argv: impl IntoIterator<Item = A>) -> Launcher {
        Launcher::Command(argv.into_iter().map(Into::into).collect())
    }

    /// Its name: for messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Launcher::Ssh => "ssh".to_owned(),
            Launcher::Local => "local".to_owned(),
            Launcher::Slurm(_) => "srun".to_owned(),
            Launcher::Command(argv) => {
                let program = argv.first().map(|program| program.to_string_lossy().into_owned()).unwrap_or_default();
                program.rsplit('/').next().unwrap_or_default().to_owned()
            }
        }
    }

    pub(crate) fn is_ssh(&self) -> bool {
        *self == Launcher::Ssh
    }

    /// Whether what its client has started before there is a shell is to end with the client. Not for Slurm: srun's second process ends the
    /// step when the first one is killed. What ssh starts sees the end of its streams.
    pub(crate) fn owns_what_it_starts(&self) -> bool {
        matches!(self, Launcher::Local | Launcher::Command(_))
    }

    /// Makes the path of its program absolute, if it is a relative one.
    pub(crate) fn resolve_path(&mut self) {
        match self {
            Launcher::Ssh | Launcher::Local => {}
            Launcher::Command(argv) => argv.iter_mut().take(1).for_each(|program| {
                let mut path = PathBuf::from(mem::take(program));
                resolve_program(&mut path);
                *program = path.into_os_string();
            }),
            Launcher::Slurm(slurm) => slurm.resolve_path(),
        }
    }

    /// Refuses what could not work anywhere.
    pub(crate) fn check(&self, field: &str) -> Result<()> {
        match self {
            Launcher::Ssh | Launcher::Local => Ok(()),
            Launcher::Command(argv) => check_command(field, argv),
            Launcher::Slurm(slurm) => slurm.check(field),
        }
    }

    /// Refuses what could not work for this process.
    pub(crate) fn check_policy(&self, policy: LinkLossPolicy) -> Result<()> {
        match (self, policy) {
            (Launcher::Slurm(_), LinkLossPolicy::Keep) => Err(Error::invalid(
                "link_loss",
                "keep",
                "Slurm ends what is left of a step when its link has ended; take ssh where it lets you into the nodes of a job",
            )),
            _ => Ok(()),
        }
    }
}

impl Target<'_> {
    /// Refuses a host or a user that its launcher cannot come to.
    pub(crate) fn check(&self) -> Result<()> {
        check::destination(self.host, self.user)?;
        match self.launcher {
            Launcher::Ssh => Ok(()),
            Launcher::Local => self.check_own_user("sudo -n -u {user}"),
            Launcher::Command(argv) => self.check_places(argv),
            Launcher::Slurm(_) => {
                Slurm::check_node(self.host)?;
                self.check_own_user("sudo -n -u {user} srun …")
            }
        }
    }

    fn check_own_user(&self, command: &str) -> Result<()> {
        match self.user {
            Some(user) if user != sys::user_name() => {
                let name = self.launcher.name();
                let reason = format!("{name} starts processes as its own user; a launcher command can be {command}");
                Err(Error::invalid("user", user, reason))
            }
            _ => Ok(()),
        }
    }

    fn check_places(&self, argv: &[OsString]) -> Result<()> {
        let names = |place: &str| argv.iter().any(|word| contains(word.as_bytes(), place.as_bytes()));
        match self.user {
            None if names("{user}") => {
                Err(Error::invalid("user", "", "the launcher's command names {user}, and there is none"))
            }
            Some(user) if !names("{user}") => {
                Err(Error::invalid("user", user, "the launcher's command does not name {user}: it would not be heeded"))
            }
            // Hosts and users never begin so.
            _ if self.uuid.is_some_and(|uuid| uuid.starts_with('-')) && names("{uuid}") => Err(Error::invalid(
                "uuid",
                self.uuid.unwrap_or_default(),
                "it would be an option of the launcher's command",
            )),
            _ if self.uuid.is_none() && names("{uuid}") => Err(Error::invalid(
                "launcher",
                self.launcher.name(),
                "its command names {uuid}, and this call is about no process",
            )),
            _ => Ok(()),
        }
    }

    /// What starts the shell; not for ssh, which has arguments of its own.
    pub(crate) fn command(&self) -> Result<Command> {
        let shell = |script: &str| ["/bin/sh", "-c", script, "sshpm"].map(OsString::from);
        let words = match self.launcher {
            Launcher::Ssh => Vec::new(),
            Launcher::Local => ["/bin/sh", "-c", LOCAL, BOOTSTRAP].map(OsString::from).to_vec(),
            Launcher::Command(argv) => argv.iter().map(|word| self.fill_in(word)).chain(shell(BOOTSTRAP)).collect(),
            Launcher::Slurm(slurm) => {
                let mut words = slurm.arguments(self.host)?;
                words.extend(shell(&format!("{STEP}{BOOTSTRAP}")));
                words
            }
        };
        let mut words = words.into_iter();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        if let Launcher::Slurm(_) = self.launcher {
            Slurm::clear_environment(&mut command);
        }
        Ok(command)
    }

    fn fill_in(&self, word: &OsStr) -> OsString {
        let places = [("{host}", Some(self.host)), ("{user}", self.user), ("{uuid}", self.uuid)];
        let mut rest = word.as_bytes();
        let mut filled = Vec::new();
        while let Some(&first) = rest.first() {
            let place =
                places.iter().find_map(|(place, value)| Some((rest.strip_prefix(place.as_bytes())?, (*value)?)));
            match place {
                Some((behind, value)) => {
                    filled.extend_from_slice(value.as_bytes());
                    rest = behind;
                }
                None => {
                    filled.push(first);
                    rest = &rest[1..];
                }
            }
        }
        OsString::from_vec(filled)
    }

    /// Why it ended before the wrapper began.
    pub(crate) fn diagnose(&self, code: Option<i32>, stderr: &[u8]) -> Error {
        let stderr = String::from_utf8_lossy(stderr).replace('\r', "");
        let told = match self.launcher {
            Launcher::Slurm(_) => Slurm::failure(&stderr),
            _ => None,
        };
        let failure = match (told, code) {
            (Some(failure), _) => failure,
            (_, Some(code @ 0..)) => LauncherFailure::Ended(code),
            // By a signal, or nobody knows how.
            (_, Some(_) | None) => LauncherFailure::Closed,
        };
        self.failed(failure, stderr)
    }

    pub(crate) fn failed(&self, failure: LauncherFailure, stderr: String) -> Error {
        Error::Launcher {
            launcher: self.launcher.name(),
            host: self.host.to_owned(),
            user: self.user.map(str::to_owned),
            failure,
            stderr,
        }
    }
}

fn check_command(field: &str, argv: &[OsString]) -> Result<()> {
    let field = |at: usize| format!("{field}.command[{at}]");
    let Some(program) = argv.first() else {
        return Err(Error::invalid(field(0), "", "it has no program"));
    };
    if program.is_empty() || contains(program.as_bytes(), b"{") {
        return Err(Error::invalid(field(0), program.as_bytes(), "it is the name or the path of a program"));
    }
    for (at, word) in argv.iter().enumerate() {
        check::text(&field(at), word.as_bytes(), check::LONGEST_STRING)?;
    }
    Ok(())
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(launcher: &Launcher, host: &str, user: Option<&str>) -> Vec<String> {
        let target = Target { launcher, host, user, uuid: Some("u-1") };
        let command = target.command().unwrap();
        let all = std::iter::once(command.get_program()).chain(command.get_args());
        all.map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn places_are_filled_in_once_and_other_braces_stay() {
        let launcher = Launcher::command(["x", "{host}:{user}", "{uuid}", "{hots}", "{", "a{host"]);
        let words = words(&launcher, "{user}", Some("me"));
        assert_eq!(words[..6], ["x", "{user}:me", "u-1", "{hots}", "{", "a{host"]);
        assert_eq!(words[6..], ["/bin/sh", "-c", BOOTSTRAP, "sshpm"]);
    }

    #[test]
    fn a_user_who_would_not_be_heeded_is_refused() {
        let refused = |launcher: Launcher, user: Option<&str>, uuid: Option<&str>| match (Target {
            launcher: &launcher,
            host: "h",
            user,
            uuid,
        })
        .check()
        {
            Err(Error::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(Launcher::Local, Some("somebody-else"), None), "user");
        assert_eq!(refused(Launcher::Slurm(Slurm::new()), Some("somebody-else"), None), "user");
        assert_eq!(refused(Launcher::command(["docker"]), Some("me"), None), "user");
        assert_eq!(refused(Launcher::command(["sudo", "-u", "{user}"]), None, None), "user");
        assert_eq!(refused(Launcher::command(["run", "{uuid}"]), None, None), "launcher");
        assert_eq!(refused(Launcher::command(["run", "{uuid}"]), None, Some("-v")), "uuid");
        let own = sys::user_name();
        Target { launcher: &Launcher::Local, host: "h", user: Some(&own), uuid: None }.check().unwrap();
    }

    #[test]
    fn a_launcher_that_was_killed_has_no_exit_code() {
        let launcher = Launcher::command(["run"]);
        let target = Target { launcher: &launcher, host: "h", user: None, uuid: None };
        for (code, expected) in
            [(Some(3), LauncherFailure::Ended(3)), (Some(-9), LauncherFailure::Closed), (None, LauncherFailure::Closed)]
        {
            match target.diagnose(code, b"") {
                Error::Launcher { failure, .. } => assert_eq!(failure, expected, "{code:?}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_command_that_is_none_is_refused_by_its_place() {
        for (argv, field) in [
            (vec![], "launcher.command[0]"),
            (vec![""], "launcher.command[0]"),
            (vec!["{host}"], "launcher.command[0]"),
            (vec!["docker", "a\0b"], "launcher.command[1]"),
        ] {
            match Launcher::command(argv).check("launcher") {
                Err(Error::Invalid { field: named, .. }) => assert_eq!(named, field),
                other => panic!("{field}: {other:?}"),
            }
        }
    }
}
