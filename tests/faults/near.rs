//! The near side, where the manager runs. With namespaces, the near side has a network of its own with a link to each
//! host, and the manager runs as a user that is not root, so that limits hold for it. A process of the harness holds
//! the namespaces. Its guard (tests/support/guard.rs) ends all processes below it, however the suite ends.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::child;
use crate::host::Host;
use crate::support::{
    self, DEADLINE, MARK, OWN_ETC, ProcessInfo, begin_clean, isolated_command, namespaces_work, test_app, wait_until,
};

/// The near side's directory as the manager sees it, with namespaces. Its name is short, because ssh limits the length
/// of a socket's path.
const PLACE: &str = "/run/faults";

/// The script that makes the near side's own view of the file system and then waits. It needs `OWN_ETC`.
const HOLD: &str = "set -e
ip link set lo up
mount -t tmpfs -o mode=755 sshpm-test /run
mkdir /run/faults /run/etc
own_etc run/etc passwd
: >/run/faults/suite
mount --bind \"$0\" /run/faults/suite
echo $$ >pid.part
mv pid.part pid
exec \"$1\" wait";
const WAIT: &str = "echo $$ >pid.part; mv pid.part pid; exec \"$1\" wait";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    Namespaces,
    /// All hosts are on loopback, for this reason.
    Loopback(String),
}

impl Mode {
    pub fn find() -> Mode {
        if !namespaces_work() {
            return Mode::Loopback("no root or no mount namespaces here".into());
        }
        let script = "ip link add dev v0 type veth peer name v1 && ip link set v0 up";
        let made = Command::new("unshare").args(["--net", "sh", "-c", script]).stderr(Stdio::null()).status();
        match made {
            Ok(status) if status.success() => Mode::Namespaces,
            _ => Mode::Loopback("no network namespaces with veth links here".into()),
        }
    }
}

pub struct Near {
    guard: Child,
    holder: ProcessInfo,
    dir: PathBuf,
    mark: String,
    mode: Mode,
    /// The user that the manager runs as, if that is not the current user.
    user: Option<u32>,
}

impl Near {
    pub fn new(mode: Mode, hosts: &[Host]) -> Near {
        let random = support::random_hex();
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("f{}", &random[..8]));
        fs::create_dir(&dir).unwrap();
        let mut command = Command::new(test_app());
        command.arg("guard").args([dir.as_os_str(), OsStr::new(&random)]);
        let namespaces = mode == Mode::Namespaces;
        if namespaces {
            fs::copy(hosts[0].remote.dir().join("passwd"), dir.join("passwd")).unwrap();
            command.args(["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c"]);
            command.arg([OWN_ETC, HOLD].concat());
        } else {
            command.args(["sh", "-c", WAIT]);
        }
        command.arg(std::env::current_exe().unwrap()).arg(test_app());
        let log = File::create(dir.join("log")).unwrap();
        command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
        let guard = command.spawn().unwrap();
        let pid: i32 = wait_until("the near side", DEADLINE, || {
            fs::read_to_string(dir.join("pid")).ok().and_then(|pid| pid.trim().parse().ok())
        });
        let holder = ProcessInfo::of(pid).unwrap();
        let user = namespaces.then(|| hosts[0].users()[0].uid);
        let near = Near { guard, holder, dir, mark: random, mode, user };
        near.place_files(hosts);
        if namespaces {
            hosts.iter().for_each(|host| host.link_to(&near));
        }
        near
    }

    fn place(&self) -> &Path {
        if self.mode == Mode::Namespaces { Path::new(PLACE) } else { &self.dir }
    }

    /// Returns the path by which the suite can open a file of the near side.
    fn local(&self, name: &str) -> PathBuf {
        match self.mode {
            Mode::Namespaces => format!("/proc/{}/root{PLACE}/{name}", self.holder.pid).into(),
            Mode::Loopback(_) => self.dir.join(name),
        }
    }

    /// Writes the files that ssh needs, owned by the user who runs it.
    fn place_files(&self, hosts: &[Host]) {
        let own = |path: &Path| chown(path, self.user, self.user).unwrap();
        let (mut config, mut known) = (String::new(), String::new());
        let place = self.place().display();
        for host in hosts {
            let (dir, key) = (host.remote.dir(), format!("id-{}", host.name));
            fs::copy(dir.join("id"), self.local(&key)).unwrap();
            own(&self.local(&key));
            let (address, port) = (host.address(&self.mode), host.remote.port());
            config +=
                &format!("Host {}\n HostName {address}\n Port {port}\n IdentityFile \"{place}/{key}\"\n", host.name);
            if let Some(user) = &host.user {
                config += &format!(" User {}\n", user.name);
            }
            known += &format!("[{address}]:{port} {}", fs::read_to_string(dir.join("host.pub")).unwrap());
        }
        config += &format!(
            "Host *\n IdentitiesOnly yes\n IdentityAgent none\n UserKnownHostsFile \"{place}/known_hosts\"\n \
             GlobalKnownHostsFile /dev/null\n StrictHostKeyChecking yes\n KexAlgorithms curve25519-sha256\n"
        );
        for (name, content) in [("ssh_config", config), ("known_hosts", known)] {
            fs::write(self.local(name), content).unwrap();
            own(&self.local(name));
        }
        fs::create_dir(self.local("tmp")).unwrap();
        own(&self.local("tmp"));
    }

    /// Returns the command that runs this test program as the manager.
    pub fn manager_command(&self, test: &str) -> Command {
        let again = isolated_command(test);
        let mut command = match self.user {
            None => again,
            Some(user) => {
                let mut command = Command::new("nsenter");
                let user = user.to_string();
                command.args(["-t", &self.holder.pid.to_string(), "--net", "--mount", "-S", &user, "-G", &user]);
                command.arg(format!("{PLACE}/suite")).args(again.get_args());
                for (name, value) in again.get_envs() {
                    command.env(name, value.unwrap_or_default());
                }
                command.env("HOME", "/nonexistent");
                begin_clean(&mut command);
                command
            }
        };
        let temporary = self.place().join("tmp");
        command.env(child::SSH_CONFIG, self.place().join("ssh_config")).env(MARK, &self.mark);
        command.env("TMPDIR", &temporary).env("XDG_RUNTIME_DIR", &temporary);
        command
    }

    /// Runs a program in the near side's network. The program must succeed.
    pub fn run(&self, words: &str) {
        if let Err(error) = self.try_run(words) {
            panic!("{error}");
        }
    }

    pub fn try_run(&self, words: &str) -> Result<(), String> {
        run_in(self.holder.pid, words)
    }

    /// Returns the processes on the near side except the holder: the managers, their ssh clients, and the decoy.
    pub fn processes(&self) -> Vec<ProcessInfo> {
        let mut all = support::of_remote(self.guard.id() as i32, &self.mark);
        all.retain(|process| process.pid != self.holder.pid);
        all
    }

    /// Returns the files that managers have left in the directory for their sockets.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut dirs = vec![self.local("tmp")];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    dirs.push(entry.path());
                }
                found.push(entry.path());
            }
        }
        found
    }

    pub fn has_links(&self) -> bool {
        self.mode == Mode::Namespaces
    }

    /// Whether the manager runs as a user that is not root, whoever runs the suite.
    pub fn has_user(&self) -> bool {
        self.user.is_some()
    }

    pub fn mark(&self) -> &str {
        &self.mark
    }

    pub fn scratch(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Near {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// Runs a program in a process's network.
pub fn run_in(pid: i32, words: &str) -> Result<(), String> {
    let mut command = Command::new("nsenter");
    command.args(["-t", &pid.to_string(), "--net"]).args(words.split(' ')).stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("nsenter: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{words}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
