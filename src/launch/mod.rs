//! The ways to get a shell on a host.
//!
//! # What it is for
//! A [`Target`] names a launcher, a host, a user and a process; this room turns it into a command of this machine, and
//! the messages of that command into an [`Error`]. Each launcher has a file of its own with the same four functions
//! ([`Launch`]: check, command, diagnose, traits), and ssh has a fifth one (last_words); [`Target`]
//! chooses among them here. `spawn` starts the client of a session.
//!
//! # What it may use
//! `local`, `model` and `remote`.
//!
//! # Threads and locks
//! None. `ssh_version` and `kerberos` run a short program of this machine and wait for it, for at most 4 s.
//! `Slurm::hosts` runs two of Slurm's programs, and waits for at most 80 s.

pub(crate) mod command;
pub(crate) mod kerberos;
pub(crate) mod local;
pub(crate) mod route;
pub(crate) mod slurm;
pub(crate) mod spawn;
pub(crate) mod ssh;
pub(crate) mod ssh_version;
pub(crate) mod target;

use std::process::Command;

use crate::launch::local::Local;
use crate::launch::ssh::Ssh;
use crate::launch::target::{Launch, SshLogin, Target, Traits};
use crate::model::check;
use crate::model::error::{Error, Result};
use crate::model::launcher::Launcher;
use crate::model::options::Options;
use crate::remote::lease::{Lease, SilentCut};

impl Target<'_> {
    fn launch(&self) -> &dyn Launch {
        match self.launcher {
            Launcher::Ssh => &Ssh,
            Launcher::Local => &Local,
            Launcher::Command(argv) => argv,
            Launcher::Slurm(slurm) => slurm,
        }
    }

    /// Refuses a host, a user or a uuid that the launcher cannot use.
    pub(crate) fn check(&self) -> Result<()> {
        check::destination(self.host, self.user)?;
        self.launch().check(self)
    }

    /// Returns the command of the client: the program on this machine that gets a shell on the host.
    pub(crate) fn command(&self, login: &SshLogin) -> Result<Command> {
        self.launch().command(self, login)
    }

    /// Returns why the client ended before the shell reported, by its exit code or minus its signal and by its stderr.
    pub(crate) fn diagnose(&self, code: Option<i32>, stderr: &[u8]) -> Error {
        self.launch().diagnose(self, code, stderr)
    }

    /// Returns the properties of the launcher.
    pub(crate) fn traits(&self) -> Traits {
        self.launch().traits()
    }

    /// Returns the client's last message about its link. `stderr` can contain output of the application too.
    pub(crate) fn last_words(&self, stderr: &[u8]) -> Option<String> {
        self.launch().last_words(stderr)
    }

    /// Returns what ends a session without a shared connection when its link is cut in silence.
    pub(crate) fn silent_cut(&self, options: &Options) -> SilentCut {
        (self.traits().silent_cut)(Lease::of(options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::sys;
    use crate::model::error::LauncherFailure;
    use crate::model::slurm::Slurm;

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
}
