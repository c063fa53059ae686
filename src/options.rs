//! A manager's options.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{self, PathBuf};
use std::time::Duration;

use crate::check;
use crate::error::{Error, Result};
use crate::launcher::Launcher;
use crate::role::Role;
use crate::signal::Signal;

/// How strictly the keys of hosts are checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum HostKeyPolicy {
    /// As ssh_config says; ssh's own default refuses unknown and changed keys where nobody can be asked.
    #[default]
    SshConfig,
    /// Unknown and changed keys are refused, whatever ssh_config says.
    Strict,
    /// Unknown keys are accepted and remembered, changed ones refused.
    AcceptNew,
    /// Nothing is checked for localhost, 127.0.0.0/8 and ::1; all other hosts as ssh_config says.
    DisabledForLocalhost,
    /// Nothing is checked. Anybody on the network can be the host: for closed networks only.
    Disabled,
}

/// Three pings of a second each: the host counts whole seconds.
const SHORTEST_LEASE: Duration = Duration::from_secs(3);

/// To whom a signal of a [`KillStep`] goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KillScope {
    /// The application alone: it ends its own children.
    Leader,
    /// Its whole process group.
    Group,
}

/// One step of ending a process: a signal, to whom, and how long to wait for the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KillStep {
    /// The signal; CONT follows it, so that a stopped process gets it too.
    pub signal: Signal,
    /// To whom it goes.
    pub scope: KillScope,
    /// How long to wait before the next step; `None`: the timeout that the call was given.
    pub wait: Option<Duration>,
}

/// What a manager is made with. Every setter returns the options, so they can be chained.
///
/// ```
/// use std::time::Duration;
/// let options = sshpm::Options::new().connect_timeout(Duration::from_secs(5)).ssh_option("Compression=no");
/// let manager = sshpm::Manager::new(options)?;
/// # Ok::<(), sshpm::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) launcher: Launcher,
    pub(crate) host_launchers: BTreeMap<String, Launcher>,
    pub(crate) ssh_program: PathBuf,
    pub(crate) ssh_config: Option<PathBuf>,
    pub(crate) ssh_options: Vec<String>,
    pub(crate) connect_timeout: Duration,
    pub(crate) lost_timeout: Duration,
    pub(crate) restore_timeout: Duration,
    pub(crate) share_connections: bool,
    pub(crate) lease: Duration,
    pub(crate) host_key_policy: HostKeyPolicy,
    pub(crate) known_hosts_file: Option<PathBuf>,
    pub(crate) output_limit: usize,
    pub(crate) kill_sequence: Vec<KillStep>,
    pub(crate) shutdown_order: Vec<Role>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            launcher: Launcher::default(),
            host_launchers: BTreeMap::new(),
            ssh_program: PathBuf::from("ssh"),
            ssh_config: None,
            ssh_options: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            lost_timeout: Duration::from_secs(30),
            restore_timeout: Duration::MAX,
            share_connections: true,
            lease: Duration::from_secs(30),
            host_key_policy: HostKeyPolicy::default(),
            known_hosts_file: None,
            output_limit: 1 << 20,
            kill_sequence: vec![
                KillStep { signal: Signal::QUIT, scope: KillScope::Leader, wait: None },
                KillStep { signal: Signal::KILL, scope: KillScope::Group, wait: None },
            ],
            shutdown_order: Role::SHUTDOWN_ORDER.to_vec(),
        }
    }
}

impl Options {
    /// The defaults.
    pub fn new() -> Options {
        Options::default()
    }

    /// By what shells are started on hosts, for all processes and calls that have no launcher of their own. Default: ssh.
    pub fn launcher(mut self, launcher: Launcher) -> Options {
        self.launcher = launcher;
        self
    }

    /// The launcher of one host, as requests and calls name it, in place of the manager's. That of a boot request wins over it.
    pub fn host_launcher(mut self, host: impl Into<String>, launcher: Launcher) -> Options {
        self.host_launchers.insert(host.into(), launcher);
        self
    }

    /// The ssh program: a path, or a name that is looked up in PATH. A relative path, one with a slash, is resolved
    /// against the current directory of [`Manager::new`](crate::Manager::new). Default: `ssh`.
    pub fn ssh_program(mut self, program: impl Into<PathBuf>) -> Options {
        self.ssh_program = program.into();
        self
    }

    /// The file for `ssh -F`, which replaces the user's and the system's ssh_config; `none` stands for no file. A
    /// relative path is resolved against the current directory of [`Manager::new`](crate::Manager::new); relative paths
    /// inside the file are ssh's, which resolves them against the current directory whenever it runs. Default: ssh's
    /// own two files.
    pub fn ssh_config(mut self, file: impl Into<PathBuf>) -> Options {
        self.ssh_config = Some(file.into());
        self
    }

    /// Adds an option of ssh_config(5), as `Keyword=value`. It wins over the files and over this crate's own
    /// ServerAliveInterval, ServerAliveCountMax and ConnectTimeout, but not over what this crate relies on: no terminal, no questions
    /// (BatchMode), no forwarded ports, no RemoteCommand, how connections are shared (ControlMaster and the like), LogLevel.
    /// Paths in it should be absolute: ssh resolves others against the current directory whenever it runs.
    pub fn ssh_option(mut self, option: impl Into<String>) -> Options {
        self.ssh_options.push(option.into());
        self
    }

    /// How long a host may take to answer, and how long a connection that sshd drops while it is busy is tried again.
    /// ssh counts whole seconds; it is rounded up. Default: 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Options {
        self.connect_timeout = timeout;
        self
    }

    /// How long a process whose link was lost is asked after, until its end counts as unknown. Default: 30 s.
    pub fn lost_timeout(mut self, timeout: Duration) -> Options {
        self.lost_timeout = timeout;
        self
    }

    /// How long the link to a process that is kept ([`LinkLossPolicy::Keep`](crate::LinkLossPolicy::Keep)) is tried to be
    /// restored, until its end counts as unknown; it lives on then. Default: for ever.
    pub fn restore_timeout(mut self, timeout: Duration) -> Options {
        self.restore_timeout = timeout;
        self
    }

    /// Whether processes of the same user and host share connections, eight each. Without it each process logs in by
    /// itself, which takes ten times as long. Default: they do.
    pub fn share_connections(mut self, share: bool) -> Options {
        self.share_connections = share;
        self
    }

    /// For how long a connection's remote side goes on without a word from this manager, and this one without a word from there.
    /// When it is over, that side ends the connection, and each process on it ends by its link loss policy: so nothing lives on behind a link that was cut in
    /// silence. It holds for a manager that stands still as well, in a debugger for one. Counted in whole seconds, from 3 on.
    /// Default: 30 s.
    pub fn lease(mut self, lease: Duration) -> Options {
        self.lease = lease;
        self
    }

    /// How strictly the keys of hosts are checked. Default: as ssh_config says.
    pub fn host_key_policy(mut self, policy: HostKeyPolicy) -> Options {
        self.host_key_policy = policy;
        self
    }

    /// A known_hosts file to use in place of the user's. A relative path is resolved against the current directory of
    /// [`Manager::new`](crate::Manager::new); `none`, and what begins with `~`, `%` or `${`, has the meaning that
    /// ssh_config(5) gives it.
    pub fn known_hosts_file(mut self, file: impl Into<PathBuf>) -> Options {
        self.known_hosts_file = Some(file.into());
        self
    }

    /// How many of the last bytes of stdout, and as many of stderr, are kept of a process that has no log file. They are
    /// kept until the process leaves the manager's table, also after its end. Default: 1 MiB.
    pub fn output_limit(mut self, bytes: usize) -> Options {
        self.output_limit = bytes;
        self
    }

    /// How a process is ended. Default: QUIT to the application, and after the timeout KILL to its group. While the
    /// setup lines run there is no application yet: then the group gets TERM where the first step says anything else
    /// but KILL, because bash ignores QUIT; and once more after half of the step's wait, because bash can lose it. An
    /// application that comes to run all the same gets its step's signal then.
    pub fn kill_sequence(mut self, steps: impl Into<Vec<KillStep>>) -> Options {
        self.kill_sequence = steps.into();
        self
    }

    /// The order in which roles are ended. Those that it does not name end last, together.
    /// Default: [`Role::SHUTDOWN_ORDER`].
    pub fn shutdown_order(mut self, order: impl Into<Vec<Role>>) -> Options {
        self.shutdown_order = order.into();
        self
    }

    pub(crate) fn launcher_of(&self, host: &str) -> &Launcher {
        self.host_launchers.get(host).unwrap_or(&self.launcher)
    }

    /// Makes relative paths absolute: the program may change its current directory later.
    pub(crate) fn resolve_paths(&mut self) {
        resolve_program(&mut self.ssh_program);
        // `ssh -F none` reads no file.
        self.ssh_config.iter_mut().filter(|file| file.as_os_str() != "none").for_each(resolve);
        // To ssh_config, `none` is no file, and what begins like this is expanded.
        let is_plain = |file: &&mut PathBuf| {
            let file = file.as_os_str();
            file != "none" && ![&b"~"[..], b"%", b"${"].iter().any(|begin| file.as_bytes().starts_with(begin))
        };
        self.known_hosts_file.iter_mut().filter(is_plain).for_each(resolve);
        self.host_launchers.values_mut().chain([&mut self.launcher]).for_each(Launcher::resolve_path);
    }

    /// Refuses what could not work, before anything is started with it.
    pub(crate) fn check(&self) -> Result<()> {
        self.launcher.check("launcher")?;
        for (host, launcher) in &self.host_launchers {
            check::host("host_launchers", host)?;
            launcher.check(&format!("host_launchers.{host}"))?;
        }
        if self.ssh_program.as_os_str().is_empty() {
            return Err(Error::invalid("ssh_program", "", "it is the path or the name of a program"));
        }
        for option in &self.ssh_options {
            let (keyword, _) = option.split_once(['=', ' ']).unwrap_or((option, ""));
            if keyword.is_empty()
                || !keyword.bytes().all(|b| b.is_ascii_alphanumeric())
                || keyword.len() == option.len()
            {
                return Err(Error::invalid("ssh_options", option, "an ssh option is written Keyword=value"));
            }
            if option.contains(['\n', '\0']) {
                return Err(Error::invalid("ssh_options", option, "it has a newline or a NUL byte"));
            }
        }
        if self.connect_timeout.is_zero() {
            return Err(Error::invalid("connect_timeout", "0", "a connection takes some time"));
        }
        if self.lease < SHORTEST_LEASE {
            let lease = self.lease.as_secs_f64().to_string();
            return Err(Error::invalid(
                "lease",
                lease,
                "it has at least 3 s: three pings, and the host counts whole seconds",
            ));
        }
        if self.kill_sequence.is_empty() {
            return Err(Error::invalid("kill_sequence", "", "it has no step"));
        }
        for (at, role) in self.shutdown_order.iter().enumerate() {
            if self.shutdown_order[..at].contains(role) {
                return Err(Error::invalid("shutdown_order", role.as_str(), "the role is named twice"));
            }
        }
        Ok(())
    }
}

fn resolve(file: &mut PathBuf) {
    // It fails where the current directory is gone: then there is nothing that a relative path could name.
    if let Ok(absolute) = path::absolute(&*file) {
        *file = absolute;
    }
}

/// Makes the path of a program absolute; a name without a slash is looked up in PATH.
pub(crate) fn resolve_program(program: &mut PathBuf) {
    if program.as_os_str().as_bytes().contains(&b'/') {
        resolve(program);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::slurm::Slurm;

    #[test]
    fn relative_paths_become_absolute_and_names_stay() {
        let here = std::env::current_dir().unwrap();
        let resolved = |options: Options| {
            let mut options = options;
            options.resolve_paths();
            options
        };
        let options = Options::new()
            .ssh_program("bin/ssh")
            .ssh_config("config")
            .known_hosts_file("./known hosts")
            .launcher(Launcher::command(["../run", "./argument"]))
            .host_launcher("h", Launcher::Slurm(Slurm::new().srun_program("bin/srun")));
        let options = resolved(options);
        assert_eq!(options.ssh_program, here.join("bin/ssh"));
        assert_eq!(options.ssh_config, Some(here.join("config")));
        assert_eq!(options.known_hosts_file, Some(here.join("known hosts")));
        assert_eq!(options.launcher, Launcher::command([here.join("../run").into_os_string(), "./argument".into()]));
        assert_eq!(options.host_launchers["h"], Launcher::Slurm(Slurm::new().srun_program(here.join("bin/srun"))));
        for (program, config, known_hosts) in [("ssh", "none", "none"), ("/a/ssh", "/c", "~/k"), ("/a", "/c", "%d/k")] {
            let options = Options::new().ssh_program(program).ssh_config(config).known_hosts_file(known_hosts);
            let options = resolved(options.launcher(Launcher::command(["docker"])));
            assert_eq!(options.ssh_program, Path::new(program));
            assert_eq!(options.ssh_config.as_deref(), Some(Path::new(config)));
            assert_eq!(options.known_hosts_file.as_deref(), Some(Path::new(known_hosts)));
            assert_eq!(options.launcher, Launcher::command(["docker"]));
        }
    }
}
