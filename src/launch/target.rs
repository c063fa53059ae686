//! A host and the launcher for it, and what the file of each launcher provides.

use std::ffi::OsString;
use std::process::Command;

use crate::launch::route::Route;
use crate::launch::ssh_version::Version;
use crate::local::client::StdoutAs;
use crate::local::sys;
use crate::model::error::{Error, LauncherFailure, Result, SshFailure};
use crate::model::launcher::Launcher;
use crate::model::options::Options;
use crate::remote::lease::{Lease, SilentCut};

/// Where to start a shell, and by which launcher.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub launcher: &'a Launcher,
    pub host: &'a str,
    pub user: Option<&'a str>,
    /// The process that the shell is for, if any.
    pub uuid: Option<&'a str>,
}

/// How ssh logs in. Other launchers do not use it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SshLogin<'a> {
    pub options: &'a Options,
    /// `None` if it is unknown, or if the launcher is not ssh.
    pub version: Option<Version>,
    pub route: &'a Route,
}

/// The properties of a launcher.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traits {
    /// Whether several sessions on one host can share a connection.
    pub shares_connections: bool,
    /// Whether the client's process group is killed with the client, until the wrapper has begun.
    pub kills_group_with_client: bool,
    /// What ends a session without a shared connection when its link is cut in silence, by its lease.
    pub silent_cut: fn(Lease) -> SilentCut,
    /// What the client's stdout is.
    pub stdout: StdoutAs,
    /// Whether sessions run as this program's user, whose name then need not be asked for on the host.
    pub runs_as_own_user: bool,
}

/// What the file of each launcher provides.
pub(crate) trait Launch {
    /// Refuses a host, a user or a uuid that this launcher cannot use.
    fn check(&self, target: &Target) -> Result<()>;

    /// Returns the command of the client: a program on this machine that runs
    /// [`BOOTSTRAP`](crate::remote::script::BOOTSTRAP) in `/bin/sh` on the host.
    fn command(&self, target: &Target, login: &SshLogin) -> Result<Command>;

    /// Returns why the client ended before the shell reported, by its exit code or minus its signal and by its stderr.
    fn diagnose(&self, target: &Target, code: Option<i32>, stderr: &[u8]) -> Error;

    /// Returns the properties of this launcher.
    fn traits(&self) -> Traits;

    /// Returns the client's last message about its link. `stderr` can contain output of the application too.
    fn last_words(&self, _stderr: &[u8]) -> Option<String> {
        None
    }
}

/// Returns the words that run a script in `/bin/sh`.
pub(crate) fn shell(script: &str) -> [OsString; 4] {
    ["/bin/sh", "-c", script, "sshpm"].map(OsString::from)
}

/// Returns the command of these words, the first of which is the program.
pub(crate) fn command_of(words: impl IntoIterator<Item = OsString>) -> Command {
    let mut words = words.into_iter();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

impl Target<'_> {
    /// Refuses any user but that of this program. `command` is the [`Launcher::Command`] that the error suggests.
    pub(crate) fn refuse_other_user(&self, command: &str) -> Result<()> {
        match self.user {
            Some(user) if user != sys::user_name() => {
                let name = self.launcher.name();
                let reason =
                    format!("must not be another user for the launcher {name}; use the launcher command {command}");
                Err(Error::invalid("user", user, reason))
            }
            _ => Ok(()),
        }
    }

    /// Returns why a client other than ssh ended before the shell reported. `known` returns what its messages mean, if
    /// it knows them; otherwise the exit code decides.
    pub(crate) fn diagnose_code(
        &self,
        code: Option<i32>,
        stderr: &[u8],
        known: impl FnOnce(&str) -> Option<LauncherFailure>,
    ) -> Error {
        let stderr = String::from_utf8_lossy(stderr).replace('\r', "");
        let failure = match (known(&stderr), code) {
            (Some(failure), _) => failure,
            (_, Some(code @ 0..)) => LauncherFailure::Ended(code),
            // A signal ended it, or its code is unknown.
            (_, Some(_) | None) => LauncherFailure::Closed,
        };
        self.launcher_failed(failure, stderr)
    }

    /// Returns the error for a client that cannot be executed.
    pub(crate) fn not_found(&self, said: String) -> Error {
        self.failed(SshFailure::SshNotFound, LauncherFailure::NotFound, said)
    }

    /// Returns the error for a session that did not begin or did not end in time.
    pub(crate) fn timed_out(&self) -> Error {
        self.failed(SshFailure::TimedOut, LauncherFailure::TimedOut, String::new())
    }

    /// Returns the error for a session that ended before the script had written everything.
    pub(crate) fn closed(&self) -> Error {
        self.failed(SshFailure::Closed, LauncherFailure::Closed, String::new())
    }

    fn failed(&self, of_ssh: SshFailure, of_others: LauncherFailure, stderr: String) -> Error {
        match self.launcher {
            Launcher::Ssh => self.ssh_failed(of_ssh, stderr),
            _ => self.launcher_failed(of_others, stderr),
        }
    }

    fn ssh_failed(&self, failure: SshFailure, stderr: String) -> Error {
        Error::Ssh { host: self.host.to_owned(), user: self.user.map(str::to_owned), failure, stderr }
    }

    fn launcher_failed(&self, failure: LauncherFailure, stderr: String) -> Error {
        Error::Launcher {
            launcher: self.launcher.name(),
            host: self.host.to_owned(),
            user: self.user.map(str::to_owned),
            failure,
            stderr,
        }
    }
}
