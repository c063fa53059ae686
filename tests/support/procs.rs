//! Processes as /proc shows them. The harness uses this, and in test-app the guard does.
// Test-app does not use all of it.
#![allow(dead_code)]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::{fs, io};

/// The variable that sshd sets for everything that it starts. It distinguishes a remote's processes from all others.
pub const MARK: &str = "SSHPM_TEST_REMOTE";

/// One process, as it was when /proc was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessInfo {
    pub pid: i32,
    pub ppid: i32,
    pub pgid: i32,
    pub sid: i32,
    /// The letter of /proc/PID/stat: R, S, D, T, Z …
    pub state: char,
    /// In clock ticks since boot (field 22). Together with the pid it identifies one process for ever.
    pub start_time: u64,
    pub cmdline: Vec<OsString>,
    /// `None` when it may not be read, and for a zombie.
    pub exe: Option<PathBuf>,
}

impl ProcessInfo {
    /// Returns the process with this pid, or `None` when there is none.
    pub fn of(pid: i32) -> Option<ProcessInfo> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        // The second field, the name, is free text in parentheses. So the fields are counted from its end.
        let end = stat.iter().rposition(|&b| b == b')')?;
        let text = std::str::from_utf8(&stat[end + 1..]).ok()?;
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<i64>().ok();
        let cmdline = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        Some(ProcessInfo {
            pid,
            state: fields.first()?.chars().next()?,
            ppid: number(4)? as i32,
            pgid: number(5)? as i32,
            sid: number(6)? as i32,
            start_time: number(22)? as u64,
            cmdline: nul_terminated(&cmdline),
            exe: fs::read_link(format!("/proc/{pid}/exe")).ok(),
        })
    }

    pub fn is_zombie(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }

    /// Returns the program's name when it is munged or one of Slurm's: a daemon of a cluster or a client, and not what
    /// runs in the cluster.
    pub fn slurm_program(&self) -> Option<String> {
        let name = self.exe.as_deref()?.file_name()?.to_string_lossy().into_owned();
        // Debian calls it slurmd-wlm.
        let name = name.strip_suffix("-wlm").unwrap_or(&name).to_owned();
        ["munged", "slurmctld", "slurmd", "slurmstepd", "srun"].contains(&name.as_str()).then_some(name)
    }

    /// Whether this is an sshd: the listener, a connection's monitor, or its process with the user's rights.
    pub fn is_sshd(&self) -> bool {
        let name = self.exe.as_deref().and_then(|exe| exe.file_name());
        // A package upgrade appends " (deleted)". Later versions split sshd into sshd-session and others.
        name.is_some_and(|name| name.to_string_lossy().starts_with("sshd"))
    }

    /// Whether exactly this process lives, even if its pid has been used again.
    pub fn is_alive(&self) -> bool {
        ProcessInfo::of(self.pid).is_some_and(|now| now.start_time == self.start_time && !now.is_zombie())
    }

    /// Sends a signal to exactly this process. If its pid belongs to another process now, nothing is sent.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        // SAFETY: pidfd_open takes two integers and touches no memory.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, self.pid, 0) } as i32;
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // The descriptor holds the process, so the process that is checked now gets the signal.
        let sent = if self.is_alive() {
            // SAFETY: a null siginfo is allowed; the descriptor is ours.
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, std::ptr::null::<libc::siginfo_t>(), 0) }
        } else {
            0
        };
        let result = if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
        // SAFETY: the descriptor was opened above and nobody else knows it.
        unsafe { libc::close(fd) };
        result
    }

    /// Returns everything that helps to see why the process still lives.
    pub fn describe(&self) -> String {
        let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", self.pid)).unwrap_or_default();
        let words: Vec<_> = self.cmdline.iter().map(|word| word.to_string_lossy()).collect();
        format!("pid {}: {}\nwchan: {}\n{}", self.pid, words.join(" "), read("wchan"), read("status"))
    }
}

/// Returns all processes of this machine, zombies included.
pub fn all() -> Vec<ProcessInfo> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| ProcessInfo::of(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// Whether the process was started with this mark in its environment.
pub fn has_mark(pid: i32, mark: &str) -> bool {
    let wanted = format!("{MARK}={mark}");
    let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environ.split(|&b| b == 0).any(|variable| variable == wanted.as_bytes())
}

/// Returns the live processes of one remote: the descendants of its guard, and all that carry its mark.
///
/// The guard is a subreaper, so a daemonised process stays below it, even if it clears its environment. The mark finds
/// processes whose ancestors ended while /proc was being read.
pub fn of_remote(guard: i32, mark: &str) -> Vec<ProcessInfo> {
    let all = all();
    let mut found = BTreeSet::from([guard]);
    loop {
        let before = found.len();
        found.extend(all.iter().filter(|process| found.contains(&process.ppid)).map(|p| p.pid).collect::<Vec<_>>());
        if found.len() == before {
            break;
        }
    }
    found.remove(&guard);
    all.into_iter().filter(|p| !p.is_zombie() && (found.contains(&p.pid) || has_mark(p.pid, mark))).collect()
}

/// Returns the strings of a file in which each string ends with a NUL.
pub fn nul_terminated(bytes: &[u8]) -> Vec<OsString> {
    let mut parts: Vec<_> = bytes.split(|&b| b == 0).map(|part| OsString::from_vec(part.to_vec())).collect();
    // Nothing follows the last NUL, unless a process has overwritten its own arguments.
    if parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    parts
}
