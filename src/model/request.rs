//! Boot requests: what to run, where and as whom. Their values are checked before anything starts.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::model::check::{self, LONGEST_NAME, LONGEST_STRING, LONGEST_TEXT};
use crate::model::error::{Error, Result};
use crate::model::launcher::Launcher;
use crate::model::limit::{Limit, LimitValue};
use crate::model::link_loss::LinkLossPolicy;
use crate::model::ready::Ready;
use crate::model::restart::RestartPolicy;
use crate::model::role::Role;

/// What happens to a log file that already exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogMode {
    /// The file is renamed to FILE.1, and a new one is created. If there is a FILE.1 already, it is replaced.
    #[default]
    Fresh,
    /// The application appends to the file.
    Append,
    /// The file is emptied.
    Truncate,
}

/// What to run, where, and as whom.
///
/// sshpm takes everything literally: no shell reads an argument, a value or a path, nothing is expanded, and they may
/// contain any byte but NUL. Only the setup lines are shell code.
///
/// ```
/// use sshpm::{BootRequest, Role};
/// let request = BootRequest::new("daq-host-1", ["readout", "--crate", "7"])
///     .name("readout-7")
///     .role(Role::Application)
///     .setup_line("source /daq/env.sh")
///     .environment("PARTITION", "np04")
///     .log_file("/daq/log/readout-7.log");
/// request.check()?;
/// # Ok::<(), sshpm::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootRequest {
    pub(crate) host: String,
    pub(crate) launcher: Option<Launcher>,
    pub(crate) user: Option<String>,
    pub(crate) name: String,
    pub(crate) session: String,
    pub(crate) tree_id: String,
    pub(crate) role: Role,
    pub(crate) critical: bool,
    pub(crate) argv: Vec<OsString>,
    pub(crate) setup: Vec<OsString>,
    pub(crate) setup_shell: Option<String>,
    pub(crate) environment: BTreeMap<String, OsString>,
    pub(crate) working_directory: Option<PathBuf>,
    pub(crate) umask: Option<u32>,
    pub(crate) limits: BTreeMap<Limit, LimitValue>,
    pub(crate) log_file: Option<PathBuf>,
    pub(crate) log_mode: LogMode,
    pub(crate) start_timeout: Duration,
    pub(crate) ready: Option<Ready>,
    pub(crate) ready_timeout: Option<Duration>,
    pub(crate) restart: RestartPolicy,
    pub(crate) link_loss: LinkLossPolicy,
    pub(crate) grace: Duration,
    pub(crate) kill_tree: bool,
}

impl BootRequest {
    /// Creates a request to run `argv` on `host`: a name, an address, or an alias of ssh_config. The host looks the
    /// program up as execvp(3) does, in the PATH that is set after the setup lines.
    pub fn new<A: Into<OsString>>(host: impl Into<String>, argv: impl IntoIterator<Item = A>) -> BootRequest {
        BootRequest {
            host: host.into(),
            launcher: None,
            user: None,
            name: String::new(),
            session: String::new(),
            tree_id: String::new(),
            role: Role::Unknown,
            critical: true,
            argv: argv.into_iter().map(Into::into).collect(),
            setup: Vec::new(),
            setup_shell: None,
            environment: BTreeMap::new(),
            working_directory: None,
            umask: None,
            limits: BTreeMap::new(),
            log_file: None,
            log_mode: LogMode::default(),
            start_timeout: Duration::from_secs(30),
            ready: None,
            ready_timeout: None,
            restart: RestartPolicy::default(),
            link_loss: LinkLossPolicy::default(),
            grace: Duration::from_secs(5),
            kill_tree: false,
        }
    }

    /// Sets the launcher, by which the process gets its shell. Default: the launcher that the manager has for the host,
    /// else the manager's launcher.
    pub fn launcher(mut self, launcher: Launcher) -> BootRequest {
        self.launcher = Some(launcher);
        self
    }

    /// Sets the remote user. Default: ssh's choice, which is `User` of ssh_config, else the current user.
    pub fn user(mut self, user: impl Into<String>) -> BootRequest {
        self.user = Some(user.into());
        self
    }

    /// Sets the name that people use for the process: for logs and the metadata file. Default: none.
    pub fn name(mut self, name: impl Into<String>) -> BootRequest {
        self.name = name.into();
        self
    }

    /// Sets the session that the process belongs to: for logs and the metadata file. Default: none.
    pub fn session(mut self, session: impl Into<String>) -> BootRequest {
        self.session = session.into();
        self
    }

    /// Sets the place of the process in the session's tree: for the metadata file. Default: none. This does not set the
    /// role; [`Role::from_tree_id`] computes one.
    pub fn tree_id(mut self, tree_id: impl Into<String>) -> BootRequest {
        self.tree_id = tree_id.into();
        self
    }

    /// Sets the role, which decides when a shutdown ends the process, and when the boot of a [`Session`] starts it.
    /// Default: unknown.
    ///
    /// [`Session`]: crate::Session
    pub fn role(mut self, role: Role) -> BootRequest {
        self.role = role;
        self
    }

    /// Sets whether the boot of a [`Session`] needs this process: the next stage waits until a critical process is
    /// ready, and one that is not ready in time, fails or ends fails its stage. A process that is not critical is
    /// started with the others of its stage, and not waited for. Default: true.
    ///
    /// [`Session`]: crate::Session
    pub fn critical(mut self, critical: bool) -> BootRequest {
        self.critical = critical;
        self
    }

    /// Adds a line of shell code that runs before the program, in the process that becomes the program:
    /// `source env.sh`. A line that does not return 0 ends the start. The shell is
    /// [`setup_shell`](BootRequest::setup_shell).
    pub fn setup_line(mut self, line: impl Into<OsString>) -> BootRequest {
        self.setup.push(line.into());
        self
    }

    /// Sets the shell for the setup lines: the name or the path of a shell that reads POSIX shell code. Default: bash
    /// if the host has it, else `sh`.
    pub fn setup_shell(mut self, shell: impl Into<String>) -> BootRequest {
        self.setup_shell = Some(shell.into());
        self
    }

    /// Sets a variable of the application's environment. It is set before the setup lines and again after them, so it
    /// wins over them. The rest of the environment comes from sshd and the start-up files of the login shell: those
    /// that `ssh HOST COMMAND` reads, which for bash is `~/.bashrc` and not `~/.bash_profile`.
    pub fn environment(mut self, name: impl Into<String>, value: impl Into<OsString>) -> BootRequest {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Sets the working directory of the setup lines and the program. A relative path begins at the login directory.
    /// Default: the login directory, or the directory that the setup lines change to.
    pub fn working_directory(mut self, directory: impl Into<PathBuf>) -> BootRequest {
        self.working_directory = Some(directory.into());
        self
    }

    /// Sets the file mode creation mask, 0 to 0o777, of the application and of its log file. Default: the mask of the
    /// login.
    pub fn umask(mut self, mask: u32) -> BootRequest {
        self.umask = Some(mask);
        self
    }

    /// Sets a resource limit of the application, both soft and hard. The setup lines run without it.
    pub fn limit(mut self, limit: Limit, value: LimitValue) -> BootRequest {
        self.limits.insert(limit, value);
        self
    }

    /// Sets the remote file that the setup lines and the program write stdout and stderr to. A relative path begins at
    /// the login directory. Default: none; the output comes back over the link, and the manager keeps its last part.
    pub fn log_file(mut self, file: impl Into<PathBuf>) -> BootRequest {
        self.log_file = Some(file.into());
        self
    }

    /// Sets what happens to a log file that already exists. Default: it is renamed to FILE.1.
    pub fn log_mode(mut self, mode: LogMode) -> BootRequest {
        self.log_mode = mode;
        self
    }

    /// Sets how long a start may wait for a connection on which it can open a channel, and, counted anew, how long it
    /// may take from then until the program runs: a start takes at most twice this time. The start-up files of the
    /// login shell run once for a shared connection and once for each channel on it, so they may take nearly this long,
    /// whether or not connections are shared. When the time is over, sshpm ends what has begun on the host, which can
    /// take the [`grace`](BootRequest::grace). Default: 30 s.
    pub fn start_timeout(mut self, timeout: Duration) -> BootRequest {
        self.start_timeout = timeout;
        self
    }

    /// Sets how the application shows that it is ready. Default: it does not, and counts as ready when it runs.
    pub fn ready(mut self, ready: Ready) -> BootRequest {
        self.ready = Some(ready);
        self
    }

    /// Sets how long the application may take from the execution of its program until it is ready. When the time is
    /// over, the process goes on running, and [`EventKind::NotReady`](crate::EventKind::NotReady) reports it. Without
    /// [`ready`](BootRequest::ready), it has no effect. Default: the [`start_timeout`](BootRequest::start_timeout).
    pub fn ready_timeout(mut self, timeout: Duration) -> BootRequest {
        self.ready_timeout = Some(timeout);
        self
    }

    /// Sets when the manager starts the process again after it has ended. Default: never.
    pub fn restart(mut self, policy: RestartPolicy) -> BootRequest {
        self.restart = policy;
        self
    }

    /// Sets what happens to the process when its link is lost or the manager is gone. Default: the host ends it.
    pub fn link_loss(mut self, policy: LinkLossPolicy) -> BootRequest {
        self.link_loss = policy;
        self
    }

    /// Sets how long the process may live after the HUP that it gets when its link is lost, its manager is gone, or its
    /// start is taken back. Then it gets KILL. The remote side counts whole seconds, so the time is rounded up.
    /// Default: 5 s.
    pub fn grace(mut self, grace: Duration) -> BootRequest {
        self.grace = grace;
        self
    }

    /// Sets whether processes that the application started and that left its process group (by setsid(2), as daemons
    /// do) are ended with it. These are the processes of its POSIX session, and those that have its mark
    /// `SSHPM_PROCESS` in their environment, which sshpm then sets for the application. The host needs /proc.
    /// Pids of processes that could not be ended are in [`ExitStatus::strays`](crate::ExitStatus::strays). The process
    /// group itself is always ended. Default: false.
    pub fn kill_tree(mut self, kill_tree: bool) -> BootRequest {
        self.kill_tree = kill_tree;
        self
    }

    /// Returns how long the application may take to be ready.
    pub(crate) fn time_to_be_ready(&self) -> Duration {
        self.ready_timeout.unwrap_or(self.start_timeout)
    }

    /// Returns the host, as the caller gave it.
    pub fn get_host(&self) -> &str {
        &self.host
    }

    /// Returns the user, as the caller gave it; `None` if ssh chooses the user.
    pub fn get_user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Returns the name, as the caller gave it; empty if there is none.
    pub fn get_name(&self) -> &str {
        &self.name
    }

    /// Returns the session, as the caller gave it; empty if there is none.
    pub fn get_session(&self) -> &str {
        &self.session
    }

    /// Returns the role.
    pub fn get_role(&self) -> &Role {
        &self.role
    }

    /// Checks all values, as [`start_process`](crate::Manager::start_process) does before it starts anything.
    ///
    /// # Errors
    /// [`Error::Invalid`], with the field and the value.
    pub fn check(&self) -> Result<()> {
        check::host("host", &self.host)?;
        if let Some(launcher) = &self.launcher {
            launcher.check("launcher")?;
            launcher.check_policy(self.link_loss)?;
        }
        if let Some(user) = &self.user {
            check::user(user)?;
        }
        for (field, text) in [("name", &self.name), ("session", &self.session), ("tree_id", &self.tree_id)] {
            check::text(field, text.as_bytes(), LONGEST_NAME)?;
        }
        self.check_argv()?;
        for (at, line) in self.setup.iter().enumerate() {
            check::secret(&format!("setup[{at}]"), line.as_bytes(), LONGEST_TEXT)?;
        }
        if let Some(shell) = &self.setup_shell {
            check::shell(shell)?;
        }
        for (name, value) in &self.environment {
            check::variable(name, value)?;
        }
        for (field, path) in [("working_directory", &self.working_directory), ("log_file", &self.log_file)] {
            if let Some(path) = path {
                check::path(field, path.as_os_str())?;
            }
        }
        if let Some(mask) = self.umask.filter(|mask| *mask > 0o777) {
            return Err(Error::invalid("umask", format!("{mask:o}"), "must be octal, 0 to 777"));
        }
        for (field, timeout) in [("start_timeout", Some(self.start_timeout)), ("ready_timeout", self.ready_timeout)] {
            if timeout.is_some_and(|timeout| timeout.is_zero()) {
                return Err(Error::invalid(field, "0", "must be longer than 0 s"));
            }
        }
        self.restart.check()?;
        self.ready.as_ref().map_or(Ok(()), Ready::check)
    }

    fn check_argv(&self) -> Result<()> {
        let Some(program) = self.argv.first() else {
            return Err(Error::invalid("argv", "", "must name a program"));
        };
        if program.is_empty() || program.as_bytes().starts_with(b"-") {
            return Err(Error::invalid(
                "argv[0]",
                program.as_bytes(),
                "must be the name or the path of a program, and must not begin with '-'",
            ));
        }
        for (at, argument) in self.argv.iter().enumerate() {
            let check = if at == 0 { check::text } else { check::secret };
            check(&format!("argv[{at}]"), argument.as_bytes(), LONGEST_STRING)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_reach_a_command_line_or_a_file_name_is_checked() {
        for uuid in ["", "a/b", "a\nb", "a\0b", "..\u{e9}", &"x".repeat(129)] {
            assert!(matches!(check::uuid(uuid), Err(Error::Invalid { field, .. }) if field == "uuid"), "{uuid:?}");
        }
        for host in ["", "-oProxyCommand=x", "a b", "a;b", "a\nb", "user@host", "a/b", &"h".repeat(254)] {
            assert!(BootRequest::new(host, ["a"]).check().is_err(), "{host:?}");
        }
        for (host, hint) in [
            ("user@host", "user"),
            ("daq-1:22", "Port"),
            ("10.0.0.1:2222", "Port"),
            ("[::1]:22", "Port"),
            ("a;b", "letters"),
        ] {
            match BootRequest::new(host, ["a"]).check() {
                Err(Error::Invalid { field, reason, .. }) => {
                    assert!(field == "host" && reason.contains(hint), "{reason}")
                }
                other => panic!("{host}: {other:?}"),
            }
        }
        for user in ["", "-l", "a b", "a$b", "a\0b"] {
            assert!(BootRequest::new("h", ["a"]).user(user).check().is_err(), "{user:?}");
        }
        for host in [
            "h",
            "h-1.cern.ch",
            "::1",
            "[::1]",
            "fe80::1:22",
            "::1%2",
            "my:alias",
            "fe80::1%eth0",
            "127.0.0.1",
            "my_alias",
        ] {
            BootRequest::new(host, ["a"]).check().unwrap();
        }
    }

    #[test]
    fn every_refusal_names_its_field() {
        let request = || BootRequest::new("h", ["a"]);
        for (request, name) in [
            (BootRequest::new("h", Vec::<String>::new()), "argv"),
            (BootRequest::new("h", [""]), "argv[0]"),
            (BootRequest::new("h", ["-a"]), "argv[0]"),
            (BootRequest::new("h", ["a", "b\0"]), "argv[1]"),
            (BootRequest::new("h", ["a".to_owned(), "b".repeat(128 * 1024)]), "argv[1]"),
            (request().setup_line("a\0"), "setup[0]"),
            (request().setup_shell("/bin/tcsh"), "setup_shell"),
            (request().setup_shell("sh -c"), "setup_shell"),
            (request().environment("A=B", "x"), "environment"),
            (request().environment("1A", "x"), "environment"),
            (request().environment("", "x"), "environment"),
            (request().environment("PPID", "1"), "environment"),
            (request().ready(Ready::Output(String::new())), "ready.output"),
            (request().ready(Ready::Output("a\nb".into())), "ready.output"),
            (request().ready(Ready::Output("a\0".into())), "ready.output"),
            (request().ready(Ready::Output("x".repeat(1025))), "ready.output"),
            (request().ready(Ready::Port(0)), "ready.port"),
            (request().ready_timeout(Duration::ZERO), "ready_timeout"),
            (request().environment("BIG", "x".repeat(128 * 1024)), "environment.BIG"),
            (request().environment("A", "x\0"), "environment.A"),
            (request().working_directory(""), "working_directory"),
            (request().log_file("a\0"), "log_file"),
            (request().umask(0o1000), "umask"),
            (request().start_timeout(Duration::ZERO), "start_timeout"),
            (request().name("a\0"), "name"),
            (request().restart(RestartPolicy::always().limit(0, Duration::MAX)), "restart.limit"),
        ] {
            match request.check() {
                Err(Error::Invalid { field, .. }) => assert_eq!(field, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn no_refusal_shows_an_argument_or_a_value() {
        let request = || BootRequest::new("h", ["a"]);
        for request in [
            BootRequest::new("h", ["a", "secret\0"]),
            BootRequest::new("h", ["a".to_owned(), "secret".repeat(128 * 1024)]),
            request().environment("A", "secret\0"),
            request().environment("A", "secret".repeat(128 * 1024)),
            request().setup_line("export A=secret\0"),
        ] {
            let error = request.check().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
    }

    #[test]
    fn the_longest_variable_is_what_the_kernel_takes() {
        let fits = "x".repeat(128 * 1024 - "BIG=".len() - 1);
        BootRequest::new("h", ["a"]).environment("BIG", &fits).check().unwrap();
        assert!(BootRequest::new("h", ["a"]).environment("BIG", fits + "x").check().is_err());
    }
}
