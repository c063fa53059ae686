//! One of the session's hosts: an sshd of its own with users of its own and, if namespaces work, a network of its own.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::near::{Mode, Near, run_in};
use crate::support::{ProcessInfo, Remote, User, namespaces_work, processes};

pub const NAMES: [&str; 3] = ["alpha", "beta", "gamma"];

pub struct Host {
    pub number: usize,
    pub name: &'static str,
    pub remote: Remote,
    /// The user who logs in, if the host has users of its own.
    pub user: Option<User>,
    /// The directory of the applications' logs, as the host sees it.
    logs: PathBuf,
    /// The file that sets the clock of the host's processes, if that is possible.
    clock: Option<PathBuf>,
    full_disk: Option<PathBuf>,
}

impl Host {
    pub fn start(number: usize, mode: &Mode) -> Host {
        let mut builder = Remote::builder().respawns();
        if *mode == Mode::Namespaces {
            builder = builder.own_network();
        }
        let own = namespaces_work();
        // The clock cannot be set if the host has no files of its own: its file must exist when sshd starts.
        let library = faketime().filter(|_| own);
        let clock = library.as_ref().map(|_| PathBuf::from("/var/log/clock"));
        if let (Some(library), Some(clock)) = (library, &clock) {
            builder = builder.env("LD_PRELOAD", &library.display().to_string());
            builder = builder.env("FAKETIME_TIMESTAMP_FILE", &clock.display().to_string());
            for (name, value) in [("FAKETIME_NO_CACHE", "1"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")] {
                builder = builder.env(name, value);
            }
        }
        let remote = builder.start();
        let logs = if own { PathBuf::from("/var/log/faults") } else { remote.scratch().join("logs") };
        fs::create_dir(remote.local(&logs)).unwrap();
        fs::set_permissions(remote.local(&logs), Permissions::from_mode(0o1777)).unwrap();
        let full_disk = own.then(|| PathBuf::from("/tmp"));
        let users = users(&remote);
        let user = (!users.is_empty()).then(|| users[number % users.len()].clone());
        let host = Host { number, name: NAMES[number], user, logs, clock, full_disk, remote };
        host.set_clock(0);
        if own {
            // libfaketime makes a semaphore in /dev/shm if it can write there. A process that is killed while it holds
            // the semaphore would make all others hang.
            fs::set_permissions(host.remote.local(Path::new("/dev/shm")), Permissions::from_mode(0o755)).unwrap();
            // The disk is small, so that it is soon full.
            host.enter_mount("mount -o remount,size=8m /tmp").unwrap();
        }
        host
    }

    /// Returns the users that are not root, if the host has users of its own.
    pub fn users(&self) -> Vec<User> {
        users(&self.remote)
    }

    pub fn address(&self, mode: &Mode) -> String {
        match mode {
            Mode::Namespaces => format!("10.211.{}.2", self.number),
            Mode::Loopback(_) => format!("127.0.0.{}", self.number + 1),
        }
    }

    /// Returns the name of the near side's end of the link.
    pub fn link(&self) -> String {
        format!("v{}", self.number)
    }

    pub fn link_to(&self, near: &Near) {
        let (link, number, holder) = (self.link(), self.number, self.remote.holder());
        near.run(&format!("ip link add dev {link} type veth peer name eth0 netns {holder}"));
        near.run(&format!("ip addr add 10.211.{number}.1/30 dev {link}"));
        near.run(&format!("ip link set {link} up"));
        self.run(&format!("ip addr add 10.211.{number}.2/30 dev eth0")).unwrap();
        self.run("ip link set eth0 up").unwrap();
    }

    /// Runs a program in the host's network.
    pub fn run(&self, words: &str) -> Result<(), String> {
        run_in(self.remote.holder(), words)
    }

    fn enter_mount(&self, words: &str) -> Result<(), String> {
        let output = std::process::Command::new("nsenter")
            .args(["-t", &self.remote.holder().to_string(), "--mount"])
            .args(words.split(' '))
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }

    /// Returns the path of an application's log, as the host sees it.
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    pub fn logs(&self) -> &Path {
        &self.logs
    }

    pub fn has_clock(&self) -> bool {
        self.clock.is_some()
    }

    /// Sets the clock of the processes of all logins on this host to the true time plus this many seconds.
    pub fn set_clock(&self, offset: i64) {
        let Some(clock) = &self.clock else { return };
        let (clock, part) = (self.remote.local(clock), self.remote.local(&clock.with_extension("part")));
        fs::write(&part, format!("{offset:+}s\n")).unwrap();
        fs::set_permissions(&part, Permissions::from_mode(0o644)).unwrap();
        fs::rename(part, clock).unwrap();
    }

    /// Returns the directory that a fault can fill, as the suite sees it.
    pub fn full_disk(&self) -> Option<PathBuf> {
        self.full_disk.as_deref().map(|dir| self.remote.local(dir))
    }

    /// Returns the listening process of sshd.
    pub fn listener(&self) -> Option<ProcessInfo> {
        let holder = self.remote.holder();
        processes().into_iter().find(|process| process.ppid == holder && process.is_sshd() && !process.is_zombie())
    }

    /// Returns the sshd processes of a process's connection: those above the process, without the listener.
    pub fn sshds_above(&self, pid: i32) -> Vec<ProcessInfo> {
        let (all, sshds) = (processes(), self.remote.session_sshds());
        let mut above = Vec::new();
        let mut at = pid;
        while let Some(process) = all.iter().find(|process| process.pid == at && at > 1) {
            above.extend(sshds.iter().find(|sshd| sshd.pid == at).cloned());
            at = process.ppid;
        }
        above
    }
}

/// Returns the users that are not root, because limits hold only for them.
fn users(remote: &Remote) -> Vec<User> {
    let mut users = remote.users();
    users.retain(|user| user.uid != 0);
    if namespaces_work() { users } else { Vec::new() }
}

/// Returns the path of libfaketime, with which a process sees another time.
fn faketime() -> Option<PathBuf> {
    let places = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let places = places.chain(["/usr/lib".into(), "/usr/lib64".into(), "/usr/local/lib".into()]);
    places.map(|place| place.join("faketime/libfaketime.so.1")).find(|library| library.exists())
}
