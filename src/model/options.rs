//! The options of a manager.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::absolute_path::{resolve, resolve_program};
use crate::model::check;
use crate::model::error::{Error, Result};
use crate::model::launcher::Launcher;
use crate::model::role::Role;
use crate::model::signal::Signal;

/// How strictly ssh checks the keys of hosts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum HostKeyPolicy {
    /// ssh_config decides. The default of ssh itself is to refuse unknown and changed keys if it can ask nobody.
    #[default]
    SshConfig,
    /// ssh refuses unknown and changed keys, whatever ssh_config says.
    Strict,
    /// ssh accepts and remembers unknown keys, and refuses changed ones.
    AcceptNew,
    /// ssh checks no key for localhost, 127.0.0.0/8 and ::1. For all other hosts ssh_config decides.
    DisabledForLocalhost,
    /// ssh checks no key. Anybody on the network can pretend to be the host: for closed networks only.
    Disabled,
}

/// Three pings, one each second, because the host counts whole seconds.
const SHORTEST_LEASE: Duration = Duration::from_secs(3);

/// The receivers of the signal of a [`KillStep`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KillScope {
    /// The application alone, which then has to end its own children.
    Leader,
    /// The application's whole process group.
    Group,
}

/// One step of ending a process: a signal, its receivers, and how long to wait for the exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KillStep {
    /// The signal. sshpm sends CONT behind it, so that a stopped process gets the signal too.
    pub signal: Signal,
    /// The receivers of the signal.
    pub scope: KillScope,
    /// How long to wait before the next step; `None` for the timeout of the call that ends the process.
    pub wait: Option<Duration>,
}

/// The options of a manager. Every setter takes the options and returns them, so calls can be chained.
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
    pub(crate) ssh_client_per_process: bool,
    pub(crate) raise_descriptor_limit: bool,
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
            ssh_client_per_process: true,
            raise_descriptor_limit: false,
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
    /// Returns the default options.
    pub fn new() -> Options {
        Options::default()
    }

    /// Sets the launcher for all processes and calls that have no launcher of their own. Default: ssh.
    pub fn launcher(mut self, launcher: Launcher) -> Options {
        self.launcher = launcher;
        self
    }

    /// Sets the launcher for one host, in place of the manager's launcher. `host` must be written as in requests and
    /// calls. The launcher of a boot request wins over this one.
    pub fn host_launcher(mut self, host: impl Into<String>, launcher: Launcher) -> Options {
        self.host_launchers.insert(host.into(), launcher);
        self
    }

    /// Sets the ssh program: a path, or a name that is looked up in PATH. [`Manager::new`](crate::Manager::new)
    /// resolves a relative path, which contains a slash, against the current directory. Default: `ssh`.
    pub fn ssh_program(mut self, program: impl Into<PathBuf>) -> Options {
        self.ssh_program = program.into();
        self
    }

    /// Sets the file for `ssh -F`, which replaces the user's and the system's ssh_config; `none` stands for no file.
    /// [`Manager::new`](crate::Manager::new) resolves a relative path against the current directory. ssh resolves
    /// relative paths inside the file against the current directory whenever it runs. Default: ssh's own two files.
    pub fn ssh_config(mut self, file: impl Into<PathBuf>) -> Options {
        self.ssh_config = Some(file.into());
        self
    }

    /// Adds an option of ssh_config(5), written `Keyword=value`. It wins over the configuration files and over this
    /// crate's own AddKeysToAgent, ForwardX11, ServerAliveInterval, ServerAliveCountMax and ConnectTimeout:
    /// `ForwardX11=yes` forwards X11, which is off by default, because ssh then runs xauth(1) for each process, one
    /// after the other. The option does not win over what this crate relies on: no terminal, no questions (BatchMode),
    /// no forwarded ports, no RemoteCommand, the sharing of connections (ControlMaster and the like), and LogLevel.
    /// `docs/ssh_config.md` has the whole list. Use absolute paths: ssh resolves relative ones against the current
    /// directory whenever it runs.
    pub fn ssh_option(mut self, option: impl Into<String>) -> Options {
        self.ssh_options.push(option.into());
        self
    }

    /// Sets how long a host may take to answer, and how long to try again when a busy sshd drops the connection. A
    /// shared connection gets 60 s more for authentication and the start-up files of the login shell. The limits of the
    /// calls about hosts follow from this time, as each call says: set a longer time where a login takes more than some
    /// seconds. ssh counts whole seconds, so the time is rounded up. Default: 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Options {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long to query the host about a process whose link was lost, before its exit is reported as unknown. A
    /// query that runs at this time may take the grace of the process and 12 s more. This does not concern a kept
    /// process, for which [`restore_timeout`](Options::restore_timeout) counts. Default: 30 s.
    pub fn lost_timeout(mut self, timeout: Duration) -> Options {
        self.lost_timeout = timeout;
        self
    }

    /// Sets how long to try to restore the link to a kept process
    /// ([`LinkLossPolicy::Keep`](crate::LinkLossPolicy::Keep)), before its exit is reported as unknown. The process
    /// lives on then. Until this time is over, a process whose host does not answer stays in the table, its uuid cannot
    /// be started again, and a kill returns [`Error::StillRunning`]. Default: for ever.
    pub fn restore_timeout(mut self, timeout: Duration) -> Options {
        self.restore_timeout = timeout;
        self
    }

    /// Sets whether processes of one user on one host share connections, up to eight processes on each. Otherwise each
    /// process logs in by itself, which makes a start many times slower. Default: true.
    pub fn share_connections(mut self, share: bool) -> Options {
        self.share_connections = share;
        self
    }

    /// Sets whether each process on a shared connection has an ssh client of its own, which is a child of your program.
    /// Without one, the manager requests the session from the ssh client that holds the connection, by OpenSSH's
    /// protocol for that (PROTOCOL.mux): a start then creates no process on this machine. Default: true.
    ///
    /// Without clients, [`RuntimePids::ssh_client`](crate::RuntimePids::ssh_client) is `None`, and
    /// [`kill_process_without_metadata`](crate::Manager::kill_process_without_metadata) closes the session. In both
    /// cases, whoever kills the ssh client of the connection breaks the links of all processes on it: at most eight.
    /// ForwardAgent, SendEnv, SetEnv and the like of ssh_config apply in both cases. A session that cannot be requested
    /// gets a client: if the ssh of the connection speaks another protocol or does not answer within 2 s, or if the
    /// environment of your program has more than 64 KiB. One warning in the log says so.
    pub fn ssh_client_per_process(mut self, client: bool) -> Options {
        self.ssh_client_per_process = client;
        self
    }

    /// Sets whether [`Manager::new`](crate::Manager::new) raises the soft limit of open files of your program to the
    /// hard limit (RLIMIT_NOFILE): each process takes 3 or 4 descriptors. The limit then stays raised. Leave it alone
    /// if some part of your program uses select(2), which cannot handle descriptors from FD_SETSIZE (1024) on: its
    /// behaviour is undefined then. The children of this crate, such as ssh, get the former soft limit. Default: false.
    pub fn raise_descriptor_limit(mut self, raise: bool) -> Options {
        self.raise_descriptor_limit = raise;
        self
    }

    /// Sets how long each side of a connection waits for a sign of life from the other side. When this lease is over,
    /// the side that waits ends the connection, and the link loss policy of each process on it applies. So no process
    /// lives on unnoticed behind a link that was cut in silence. The lease also ends if the manager is stopped, for
    /// example in a debugger. sshpm counts whole seconds, at least 3. Default: 30 s.
    ///
    /// ssh itself ends a connection on which nothing came for 15 s: ServerAliveInterval times ServerAliveCountMax, both
    /// of which [`ssh_option`](Options::ssh_option) can change. To survive a longer outage of the network, raise this
    /// time and the lease.
    pub fn lease(mut self, lease: Duration) -> Options {
        self.lease = lease;
        self
    }

    /// Sets how strictly ssh checks the keys of hosts. Default: ssh_config decides.
    pub fn host_key_policy(mut self, policy: HostKeyPolicy) -> Options {
        self.host_key_policy = policy;
        self
    }

    /// Sets the known_hosts file to use in place of the user's file. [`Manager::new`](crate::Manager::new) resolves a
    /// relative path against the current directory; `none`, and a path that begins with `~`, `%` or `${`, has the
    /// meaning that ssh_config(5) gives it. Default: the user's file.
    pub fn known_hosts_file(mut self, file: impl Into<PathBuf>) -> Options {
        self.known_hosts_file = Some(file.into());
        self
    }

    /// Sets how many of the last bytes of stdout, and how many of stderr, the manager stores for a process that has no
    /// log file. It stores them until the process leaves its table, also after the exit. Default: 1 MiB.
    pub fn output_limit(mut self, bytes: usize) -> Options {
        self.output_limit = bytes;
        self
    }

    /// Sets the steps by which a process is ended. Default: QUIT to the application, and after the timeout KILL to its
    /// process group. While the setup lines run there is no application yet. Then, unless the signal of the first step
    /// is KILL, the group gets TERM in its place, because bash ignores QUIT, and TERM once more after half of the
    /// step's wait, because bash can lose a signal. If the application comes to run all the same, it then gets the
    /// step's signal.
    pub fn kill_sequence(mut self, steps: impl Into<Vec<KillStep>>) -> Options {
        self.kill_sequence = steps.into();
        self
    }

    /// Sets the order in which a shutdown ends roles. Roles that it does not name end last, together.
    /// Default: [`Role::SHUTDOWN_ORDER`].
    pub fn shutdown_order(mut self, order: impl Into<Vec<Role>>) -> Options {
        self.shutdown_order = order.into();
        self
    }

    /// Returns the launcher for processes and calls on this host that have no launcher of their own.
    pub(crate) fn launcher_of(&self, host: &str) -> &Launcher {
        self.host_launchers.get(host).unwrap_or(&self.launcher)
    }

    /// Makes relative paths absolute, because the program may change its current directory later.
    pub(crate) fn resolve_paths(&mut self) {
        resolve_program(&mut self.ssh_program);
        // `ssh -F none` reads no file.
        self.ssh_config.iter_mut().filter(|file| file.as_os_str() != "none").for_each(resolve);
        // In ssh_config, `none` stands for no file, and ssh expands what begins like this.
        let is_plain = |file: &&mut PathBuf| {
            let file = file.as_os_str();
            file != "none" && ![&b"~"[..], b"%", b"${"].iter().any(|begin| file.as_bytes().starts_with(begin))
        };
        self.known_hosts_file.iter_mut().filter(is_plain).for_each(resolve);
        self.host_launchers.values_mut().chain([&mut self.launcher]).for_each(Launcher::resolve_path);
    }

    fn check_ssh_option(option: &str) -> Result<()> {
        let keyword = option.split_once(['=', ' ']).map_or("", |(keyword, _)| keyword);
        if keyword.is_empty() || !keyword.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(Error::invalid("ssh_options", option, "must be written Keyword=value"));
        }
        if option.contains(['\n', '\0']) {
            return Err(Error::invalid("ssh_options", option, "must not contain a newline or a NUL byte"));
        }
        Ok(())
    }

    /// Checks all values, before anything is started with them.
    pub(crate) fn check(&self) -> Result<()> {
        self.launcher.check("launcher")?;
        for (host, launcher) in &self.host_launchers {
            check::host("host_launchers", host)?;
            launcher.check(&format!("host_launchers.{host}"))?;
        }
        if self.ssh_program.as_os_str().is_empty() {
            return Err(Error::invalid("ssh_program", "", "must be the name or the path of a program"));
        }
        for option in &self.ssh_options {
            Options::check_ssh_option(option)?;
        }
        if self.connect_timeout.is_zero() {
            return Err(Error::invalid("connect_timeout", "0", "must be longer than 0 s"));
        }
        if self.lease < SHORTEST_LEASE {
            let lease = self.lease.as_secs_f64().to_string();
            return Err(Error::invalid(
                "lease",
                lease,
                "must be at least 3 s: three pings, and the host counts whole seconds",
            ));
        }
        if self.kill_sequence.is_empty() {
            return Err(Error::invalid("kill_sequence", "", "must have at least one step"));
        }
        for (at, role) in self.shutdown_order.iter().enumerate() {
            if self.shutdown_order[..at].contains(role) {
                return Err(Error::invalid("shutdown_order", role.as_str(), "must name each role at most once"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::slurm::Slurm;

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
