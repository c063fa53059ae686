//! How sshpm obtains a shell on a host: by ssh, by a shell on this machine, by a command of the caller, or by Slurm.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::{fmt, mem};

use serde::de::{self, Error as _, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::model::absolute_path::resolve_program;
use crate::model::check;
use crate::model::error::{Error, Result};
use crate::model::json::{Object, of};
use crate::model::link_loss::LinkLossPolicy;
use crate::model::slurm::Slurm;

/// How sshpm obtains the shell that starts and supervises a process on its host.
///
/// States, events, kills, reports and output do not depend on the launcher. What a launcher cannot do is refused with
/// [`Error::Invalid`] before anything starts.
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
    /// The system's ssh. In JSON `"ssh"`.
    #[default]
    Ssh,
    /// `/bin/sh` on this machine. It runs as the user of this program and with the environment of this program, and
    /// begins in the home directory (HOME), or in the current directory if HOME is not set. The host is only a name:
    /// every host is this machine. In JSON `"local"`.
    Local,
    /// A command that runs the program that is appended to it, as `docker exec -i {host}` does. sshpm appends four
    /// arguments, which no other shell may interpret: `/bin/sh`, `-c`, a script, and `sshpm`. It replaces `{host}`,
    /// `{user}` and `{uuid}` by the values of the process. The command must pass on stdin, stdout and stderr unchanged
    /// and without a terminal, and the end of its stdin too. It decides on the environment and the first directory. If
    /// its program is a relative path, [`Manager::new`](crate::Manager::new) resolves the path against the current
    /// directory or, for the launcher of a boot request, [`start_process`](crate::Manager::start_process) does.
    /// In JSON `{"command": ["docker", "exec", "-i", "{host}"]}`.
    Command(Vec<OsString>),
    /// A step of a Slurm job. The host is one of the job's nodes. In JSON `"slurm"`, or
    /// `{"slurm": {"job": "4711", "srun_program": "srun", "srun_options": ["--mem=1G"]}}`, in which each key is
    /// optional.
    Slurm(Slurm),
}

impl Launcher {
    /// Returns a [`Launcher::Command`] with this program and these arguments.
    pub fn command<A: Into<OsString>>(argv: impl IntoIterator<Item = A>) -> Launcher {
        Launcher::Command(argv.into_iter().map(Into::into).collect())
    }

    /// Returns its name, for messages.
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

    /// Returns whether it is the system's ssh.
    pub(crate) fn is_ssh(&self) -> bool {
        *self == Launcher::Ssh
    }

    /// Makes the path of its program absolute if it is relative.
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

    /// Refuses values that could not work on any host. `field` names the launcher in errors.
    pub(crate) fn check(&self, field: &str) -> Result<()> {
        match self {
            Launcher::Ssh | Launcher::Local => Ok(()),
            Launcher::Command(argv) => check_command(field, argv),
            Launcher::Slurm(slurm) => slurm.check_fields(field),
        }
    }

    /// Refuses a link loss policy that it cannot carry out.
    pub(crate) fn check_policy(&self, policy: LinkLossPolicy) -> Result<()> {
        match (self, policy) {
            (Launcher::Slurm(_), LinkLossPolicy::Keep) => Err(Error::invalid(
                "link_loss",
                "keep",
                "must not be keep: Slurm ends what is left of a step when its link has ended; use ssh if it lets you \
                 into the nodes of a job",
            )),
            _ => Ok(()),
        }
    }
}

/// Refuses a command that could not work on any host.
fn check_command(field: &str, argv: &[OsString]) -> Result<()> {
    let field = |at: usize| format!("{field}.command[{at}]");
    let Some(program) = argv.first() else {
        return Err(Error::invalid(field(0), "", "must name a program"));
    };
    if program.is_empty() || program.as_bytes().contains(&b'{') {
        return Err(Error::invalid(
            field(0),
            program.as_bytes(),
            "must be the name or the path of a program, without '{'",
        ));
    }
    for (at, word) in argv.iter().enumerate() {
        check::text(&field(at), word.as_bytes(), check::LONGEST_STRING)?;
    }
    Ok(())
}

/// The JSON of a launcher: its name, or an object whose one key is the name.
pub(crate) struct JsonLauncher(pub Launcher);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonSlurm {
    job: Option<String>,
    srun_program: Option<String>,
    #[serde(default)]
    srun_options: Vec<String>,
}

impl<'de> Deserialize<'de> for JsonLauncher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<JsonLauncher, D::Error> {
        deserializer.deserialize_any(LauncherVisitor).map(JsonLauncher)
    }
}

/// Written by hand, because derived code cannot read an enum that is either a name or an object, and its errors say
/// only the type of a wrong value.
struct LauncherVisitor;

impl<'de> Visitor<'de> for LauncherVisitor {
    type Value = Launcher;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"a launcher: "ssh", "local", "slurm", {"command": […]} or {"slurm": {…}}"#)
    }

    fn visit_str<E: de::Error>(self, name: &str) -> std::result::Result<Launcher, E> {
        match name {
            "ssh" => Ok(Launcher::Ssh),
            "local" => Ok(Launcher::Local),
            "slurm" => Ok(Launcher::Slurm(Slurm::new())),
            _ => Err(E::invalid_value(Unexpected::Str(name), &self)),
        }
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<Launcher, M::Error> {
        let Some(key) = map.next_key::<String>()? else { return Err(M::Error::invalid_length(0, &self)) };
        let launcher = match key.as_str() {
            "command" => Launcher::command(map.next_value::<Vec<String>>().map_err(|error| of("command", error))?),
            "slurm" => {
                let Object(slurm) = map.next_value::<Object<JsonSlurm>>().map_err(|error| of("slurm", error))?;
                Launcher::Slurm(slurm.into())
            }
            _ => return Err(M::Error::unknown_field(&key, &["command", "slurm"])),
        };
        match map.next_key::<String>()? {
            None => Ok(launcher),
            Some(second) => Err(M::Error::custom(format!("`{second}` beside `{key}`: a launcher has one key"))),
        }
    }
}

impl From<JsonSlurm> for Slurm {
    fn from(json: JsonSlurm) -> Slurm {
        let slurm = json.job.into_iter().fold(Slurm::new(), Slurm::job);
        let slurm = json.srun_program.into_iter().fold(slurm, Slurm::srun_program);
        json.srun_options.into_iter().fold(slurm, Slurm::srun_option)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn each_launcher_is_read_from_json() {
        let slurm =
            Slurm::new().job("4711").srun_program("/opt/bin/srun").srun_option("--mem=1G").srun_option("--exclusive");
        for (json, launcher) in [
            (r#""ssh""#, Launcher::Ssh),
            (r#""local""#, Launcher::Local),
            (r#""slurm""#, Launcher::Slurm(Slurm::new())),
            (
                r#"{"command": ["docker", "exec", "-i", "{host}"]}"#,
                Launcher::command(["docker", "exec", "-i", "{host}"]),
            ),
            (r#"{"slurm": {}}"#, Launcher::Slurm(Slurm::new())),
            (r#"{"slurm": {"job": "4711"}}"#, Launcher::Slurm(Slurm::new().job("4711"))),
            (
                r#"{"slurm": {"job": "4711", "srun_program": "/opt/bin/srun", "srun_options": ["--mem=1G", "--exclusive"]}}"#,
                Launcher::Slurm(slurm),
            ),
        ] {
            let JsonLauncher(read) = serde_json::from_str(json).unwrap();
            assert_eq!(read, launcher, "{json}");
        }
    }
}
