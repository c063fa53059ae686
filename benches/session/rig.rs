//! The remote side of all measurements: a private sshd, an account without start-up files, and an alias for each host.

use std::fs;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::plan::{Extent, Plan};
use crate::session::{LINES, logins};
use crate::support::{Remote, namespaces_work};
use crate::wait::{pidfd, readable};

/// sshd's default. Of the connections that have not logged in yet, sshd drops some from the 11th on. So it drops none
/// if this many log in at once.
pub const AT_ONCE_PER_HOST: usize = 10;
/// sshd's default for the sessions of one connection.
pub const SESSIONS_PER_CONNECTION: usize = 10;
/// The ssh_config with the aliases. All ssh clients run in its directory, so that no tool has to quote a path.
const CONFIG: &str = "bench_config";
/// How long processes that were ended may take to be gone.
const SETTLING: Duration = Duration::from_secs(120);

pub struct Rig {
    remote: Remote,
    hosts: usize,
    shared: bool,
    /// The pid of sshd's listener.
    sshd_pid: i32,
    account: String,
    log_file: PathBuf,
}

impl Rig {
    pub fn start(hosts: usize, shared: bool) -> Result<Rig, String> {
        let startups = AT_ONCE_PER_HOST * hosts;
        // One sshd stands for all hosts: it has to allow what they would allow together.
        let builder = Remote::builder()
            .sshd_option(&format!("MaxStartups {startups}:30:{}", startups.max(100)))
            .sshd_option(&format!("MaxSessions {SESSIONS_PER_CONNECTION}"));
        let remote = builder.start();
        let user = remote.user("bash").or(remote.user("root")).filter(|_| namespaces_work());
        let pid =
            fs::read_to_string(remote.dir().join("pid")).map_err(|error| format!("cannot read sshd's pid: {error}"))?;
        let rig = Rig {
            hosts,
            shared,
            sshd_pid: pid.trim().parse().map_err(|error| format!("cannot read sshd's pid: {error}"))?,
            account: match &user {
                Some(user) => format!("an account of its own ({}), without start-up files", user.shell.display()),
                None => "this user's own account, so its start-up files count (root gets a clean account)".to_owned(),
            },
            log_file: remote.scratch().join("bench.log"),
            remote,
        };
        rig.write_config(user.as_ref().map(|user| user.name.as_str()))?;
        rig.write_log()?;
        rig.warm_up()?;
        Ok(rig)
    }

    /// Logs in once. This reads the needed files from the disk, and shows here if logins do not work at all.
    fn warm_up(&self) -> Result<(), String> {
        let login = self.ssh().args([&self.host(0), "true"]).status();
        let status = login.map_err(|error| format!("cannot run ssh: {error}"))?;
        if !status.success() {
            return Err(format!("a login at the private sshd failed: {status}"));
        }
        self.settle()
    }

    /// Writes the ssh_config with the aliases, which includes the remote's own one. `h1-*` gives more names to the
    /// tools that accept each host only once.
    fn write_config(&self, user: Option<&str>) -> Result<(), String> {
        let mut text = String::new();
        for host in 0..self.hosts {
            let name = self.host(host);
            text += &format!("Host {name} {name}-*\n HostName 127.0.0.{}\n", host % 3 + 1);
        }
        text += "Host *\n";
        if let Some(user) = user {
            text += &format!(" User {user}\n");
        }
        text += &format!(" Include \"{}\"\n", self.remote.ssh_config().display());
        fs::write(self.config(), text).map_err(|error| format!("{CONFIG}: {error}"))
    }

    /// Returns an ssh_config of a user who forwards X11.
    pub fn x11_config(&self) -> Result<PathBuf, String> {
        let file = self.remote.dir().join("x11_config");
        let text = format!("Host *\n ForwardX11 yes\n Include \"{}\"\n", self.config().display());
        fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(file)
    }

    /// Writes the log that is read: one megabyte.
    fn write_log(&self) -> Result<(), String> {
        let text: String = (0..100 * LINES).map(|line| format!("{line:99}\n")).collect();
        let path = self.remote.local(&self.log_file);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    }

    pub fn config(&self) -> PathBuf {
        self.remote.dir().join(CONFIG)
    }

    /// Returns the host of the process, connection or session with this number.
    pub fn host(&self, number: usize) -> String {
        format!("h{}", number % self.hosts + 1)
    }

    /// Returns how many connections may log in at once without sshd dropping one.
    pub fn at_once(&self) -> usize {
        AT_ONCE_PER_HOST * self.hosts
    }

    /// Returns the pid of sshd's listener.
    pub fn sshd_pid(&self) -> i32 {
        self.sshd_pid
    }

    pub fn log_file(&self) -> PathBuf {
        self.log_file.clone()
    }

    /// Returns a directory for files of this run. It is removed with the remote.
    pub fn dir(&self) -> PathBuf {
        self.remote.dir().to_owned()
    }

    /// Returns the command of a program that finds the aliases by `-F bench_config` (see [`Rig::ssh`]) and prints
    /// nothing.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.remote.dir()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Returns the command of a plain ssh. Its only option says where the aliases are.
    pub fn ssh(&self) -> Command {
        let mut command = self.command("ssh");
        command.args(self.ssh_arguments());
        command
    }

    pub fn ssh_arguments(&self) -> [&'static str; 2] {
        ["-F", CONFIG]
    }

    pub fn logins(&self) -> Result<usize, String> {
        logins(&self.sshd_log())
    }

    fn sshd_log(&self) -> PathBuf {
        self.remote.dir().join("sshd.log")
    }

    pub fn plan(&self, extent: Extent, processes: usize) -> Plan {
        Plan {
            extent,
            processes,
            hosts: (0..self.hosts).map(|host| self.host(host)).collect(),
            shared: self.shared,
            clients: true,
            local: false,
            environment: Vec::new(),
            ssh_option: None,
            descriptor_limit: None,
            ssh_config: self.config(),
            app: self.remote.app(),
            log_file: self.log_file(),
            sshd_pid: self.sshd_pid,
            sshd_log: self.sshd_log(),
        }
    }

    /// Describes the sshd and the account, on which the numbers depend.
    pub fn describe(&self) -> String {
        let one = format!("MaxSessions {SESSIONS_PER_CONNECTION} and MaxStartups {AT_ONCE_PER_HOST}, its defaults");
        let sshd = match self.hosts {
            1 => one,
            hosts => format!("{one}; MaxStartups is {hosts} times as much, because one sshd stands for {hosts} hosts"),
        };
        format!("sshd on loopback with {sshd}; {}", self.account)
    }

    /// Waits until nothing of a measurement is left on the remote, so that it does not disturb the next one.
    pub fn settle(&self) -> Result<(), String> {
        let deadline = Instant::now() + SETTLING;
        loop {
            let left: Vec<_> = self.remote.processes().into_iter().chain(self.remote.session_sshds()).collect();
            let Some(process) = left.first() else { return Ok(()) };
            // A process that has ended in the meantime has no descriptor, and the next pass of the loop does not find
            // it.
            if let Ok(fd) = pidfd(process.pid) {
                readable(&[fd.as_fd()], deadline)
                    .map_err(|error| format!("cannot wait for the end of a process: {error}"))?;
            }
            if Instant::now() >= deadline {
                return Err(format!("{} processes are left on the remote:\n{}", left.len(), process.describe()));
            }
        }
    }
}
