//! Processes as /proc shows them. Used by the harness and, in test-app, by its guard.
// Test-app does not use all of it.
#![allow(dead_code)]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::{fs, io};

/// The variable that sshd sets for everything it starts, so that its processes can be told from all others.
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
    /// In clock ticks after boot (field 22): with the pid, it names one process for ever.
    pub start_time: u64,
    pub cmdline: Vec<OsString>,
    /// `None` when it may not be read, or for a zombie.
    pub exe: Option<PathBuf>,
}

impl ProcessInfo {
    /// `None` when there is no such process, or no longer.
    pub fn of(pid: i32) -> Option<ProcessInfo> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        // The second field, the name, is free text in parentheses: count from behind its end.
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

    /// The name of the program, when it is one of Slurm's or munged: the daemons of a cluster and its clients, not what runs in it.
    pub fn slurm_program(&self) -> Option<String> {
        let name = self.exe.as_deref()?.file_name()?.to_string_lossy().into_owned();
        // Debian has it as slurmd-wlm.
        let name = name.strip_suffix("-wlm").unwrap_or(&name).to_owned();
        ["munged", "slurmctld", "slurmd", "slurmstepd", "srun"].contains(&name.as_str()).then_some(name)
    }

    /// An sshd: the listener, a connection's monitor, or its user-level process.
    pub fn is_sshd(&self) -> bool {
        let name = self.exe.as_deref().and_then(|exe| exe.file_name());
        // A package upgrade would append " (deleted)"; later versions split sshd into sshd-session and others.
        name.is_some_and(|name| name.to_string_lossy().starts_with("sshd"))
    }

    /// Whether this very process lives on, whatever else may have got its pid.
    pub fn is_alive(&self) -> bool {
        ProcessInfo::of(self.pid).is_some_and(|now| now.start_time == self.start_time && !now.is_zombie())
    }

    /// Sends a signal to this very process: a pid that now belongs to another one is left alone.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        // SAFETY: pidfd_open takes two integers and touches no memory.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, self.pid, 0) } as i32;
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // The descriptor holds the process, so what is checked now is what gets the signal.
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

    /// All that helps to see why it still lives.
    pub fn describe(&self) -> String {
        let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", self.pid)).unwrap_or_default();
        let words: Vec<_> = self.cmdline.iter().map(|word| word.to_string_lossy()).collect();
        format!("pid {}: {}\nwchan: {}\n{}", self.pid, words.join(" "), read("wchan"), read("status"))
    }
}

/// Every process there is, zombies included.
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

/// The live processes of one remote: all that descend from its guard, and all that carry its mark.
///
/// The guard is a subreaper, so what daemonises stays below it, also when it cleans its environment. The mark finds
/// those whose line of parents broke while it was being read.
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

/// The strings of a file in which each ends with a NUL.
pub fn nul_terminated(bytes: &[u8]) -> Vec<OsString> {
    let mut parts: Vec<_> = bytes.split(|&b| b == 0).map(|part| OsString::from_vec(part.to_vec())).collect();
    // What is behind the last NUL: nothing, unless a process has overwritten its own arguments.
    if parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    parts
}
