//! The remote side of all measurements: a private sshd, an account without start-up files, and as many aliases as
//! hosts.

use std::fs;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::plan::{Extent, Plan};
use crate::session::{LINES, logins};
use crate::support::{Remote, namespaces_work};
use crate::wait::{pidfd, readable};

/// sshd's default: of connections that have not logged in yet, it drops some from the 11th on. So this many at once
/// lose none.
pub const AT_ONCE_PER_HOST: usize = 10;
/// sshd's default.
pub const SESSIONS_PER_CONNECTION: usize = 10;
/// The file of aliases. All ssh clients run in its directory, so that no tool has to quote a path.
const CONFIG: &str = "bench_config";
/// How long what was ended may take to be gone.
const SETTLING: Duration = Duration::from_secs(120);

pub struct Rig {
    remote: Remote,
    hosts: usize,
    shared: bool,
    /// Of sshd's listener.
    sshd_pid: i32,
    account: String,
    log_file: PathBuf,
}

impl Rig {
    pub fn start(args: &Args) -> Result<Rig, String> {
        let startups = AT_ONCE_PER_HOST * args.hosts;
        // All hosts are one sshd: it has to allow what they would allow together.
        let builder = Remote::builder()
            .sshd_option(&format!("MaxStartups {startups}:30:{}", startups.max(100)))
            .sshd_option(&format!("MaxSessions {SESSIONS_PER_CONNECTION}"));
        let remote = builder.start();
        let user = remote.user("bash").or(remote.user("root")).filter(|_| namespaces_work());
        let pid = fs::read_to_string(remote.dir().join("pid")).map_err(|error| format!("sshd's pid: {error}"))?;
        let rig = Rig {
            hosts: args.hosts,
            shared: args.shared,
            sshd_pid: pid.trim().parse().map_err(|error| format!("sshd's pid: {error}"))?,
            account: match &user {
                Some(user) => format!("an account of its own ({}), without start-up files", user.shell.display()),
                None => {
                    "this user's own account, so its start-up files count (as root there is a clean one)".to_owned()
                }
            },
            log_file: remote.scratch().join("bench.log"),
            remote,
        };
        rig.write_config(user.as_ref().map(|user| user.name.as_str()))?;
        rig.write_log()?;
        Ok(rig)
    }

    /// What else is the remote's stands in its own ssh_config. `h1-*`: tools that take each host once get names of
    /// their own.
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

    /// A log of a megabyte.
    fn write_log(&self) -> Result<(), String> {
        let text: String = (0..100 * LINES).map(|line| format!("{line:99}\n")).collect();
        let path = self.remote.local(&self.log_file);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    }

    pub fn config(&self) -> PathBuf {
        self.remote.dir().join(CONFIG)
    }

    /// The host of the process, connection or session of this number.
    pub fn host(&self, number: usize) -> String {
        format!("h{}", number % self.hosts + 1)
    }

    /// How many connections may log in at the same time without a loss.
    pub fn at_once(&self) -> usize {
        AT_ONCE_PER_HOST * self.hosts
    }

    pub fn log_file(&self) -> PathBuf {
        self.log_file.clone()
    }

    /// A directory for files of this run, which goes with the remote.
    pub fn dir(&self) -> PathBuf {
        self.remote.dir().to_owned()
    }

    /// A program that finds the aliases by `-F bench_config` (see [`Rig::ssh`]) and says nothing.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.remote.dir()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// The barest ssh that works: no option but where the aliases are.
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
            ssh_config: self.config(),
            app: self.remote.app(),
            log_file: self.log_file(),
            sshd_pid: self.sshd_pid,
            sshd_log: self.sshd_log(),
        }
    }

    /// What the numbers depend on.
    pub fn describe(&self) -> String {
        let one = format!("MaxSessions {SESSIONS_PER_CONNECTION} and MaxStartups {AT_ONCE_PER_HOST}, its defaults");
        let sshd = match self.hosts {
            1 => one,
            hosts => format!("{one}; times {hosts} for MaxStartups, because one sshd is {hosts} hosts"),
        };
        format!("sshd on loopback with {sshd}; {}", self.account)
    }

    /// Waits until nothing of a measurement is left on the remote, so that its end is not in the next one.
    pub fn settle(&self) -> Result<(), String> {
        let deadline = Instant::now() + SETTLING;
        loop {
            let left: Vec<_> = self.remote.processes().into_iter().chain(self.remote.session_sshds()).collect();
            let Some(process) = left.first() else { return Ok(()) };
            // One that has gone meanwhile has no descriptor, and the next look tells.
            if let Ok(fd) = pidfd(process.pid) {
                readable(&[fd.as_fd()], deadline).map_err(|error| format!("waiting for an end: {error}"))?;
            }
            if Instant::now() >= deadline {
                return Err(format!("{} processes are left on the remote:\n{}", left.len(), process.describe()));
            }
        }
    }
}
