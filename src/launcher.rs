//! By what a shell is started on a host: ssh, nothing but a shell on this machine, a command of the caller's, or Slurm.

use std::ffi::OsString;
use std::mem;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::absolute_path::resolve_program;
use crate::check;
use crate::error::{Error, Result};
use crate::link_loss::LinkLossPolicy;
use crate::slurm::Slurm;

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
            Launcher::Slurm(slurm) => slurm.check_fields(field),
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

fn check_command(field: &str, argv: &[OsString]) -> Result<()> {
    let field = |at: usize| format!("{field}.command[{at}]");
    let Some(program) = argv.first() else {
        return Err(Error::invalid(field(0), "", "it has no program"));
    };
    if program.is_empty() || program.as_bytes().contains(&b'{') {
        return Err(Error::invalid(field(0), program.as_bytes(), "it is the name or the path of a program"));
    }
    for (at, word) in argv.iter().enumerate() {
        check::text(&field(at), word.as_bytes(), check::LONGEST_STRING)?;
    }
    Ok(())
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
}
