//! Lowers the limits of processes that run, so that descriptors or processes run out.

use std::collections::BTreeSet;
use std::fs;
use std::thread;

use crate::host::Host;
use crate::support::{self, ProcessInfo};
use crate::undo::Undo;

type Resource = libc::__rlimit_resource_t;

/// All processes on a host except the listener's parent.
#[derive(Debug, Clone)]
pub struct Members {
    holder: i32,
    mark: String,
}

impl Members {
    pub fn of(host: &Host) -> Members {
        Members { holder: host.remote.holder(), mark: host.remote.mark().to_owned() }
    }

    fn all(&self) -> Vec<ProcessInfo> {
        let mut all = support::of_remote(self.holder, &self.mark);
        all.retain(|process| process.pid != self.holder);
        all
    }

    /// Lowers a limit of the processes that run now, each to the value that `to` returns for it, if any.
    pub fn limit(&self, resource: Resource, to: impl Fn(&ProcessInfo) -> Option<libc::rlim_t>) -> Undo<'static> {
        // The listener's parent keeps its limit, which the others had before.
        let usual = get_limit(self.holder, resource).expect("the limit of the listener's parent can be read");
        for process in self.all() {
            if let Some(to) = to(&process) {
                let _ = set_limit(process.pid, resource, to);
            }
        }
        let members = self.clone();
        // Processes that were started in between have inherited the low limit. The second list has those that were just
        // being made during the first one.
        Box::new(move || {
            for process in [members.all(), members.all()].iter().flatten() {
                let _ = set_limit(process.pid, resource, usual);
            }
        })
    }
}

pub fn limit<'a>(process: ProcessInfo, resource: Resource, to: libc::rlim_t) -> Undo<'a> {
    let usual = set_limit(process.pid, resource, to).expect("the limit can be set");
    Box::new(move || _ = set_limit(process.pid, resource, usual))
}

/// Returns the limit of descriptors with which a process can open exactly `room` more.
pub fn descriptors_with_room(pid: i32, room: usize) -> libc::rlim_t {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let open: BTreeSet<u64> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    (0..).filter(|number| !open.contains(number)).nth(room).expect("numbers do not end")
}

/// Returns the first number of a line of /proc/PID/status.
pub fn status_number(pid: i32, name: &str) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn get_limit(pid: i32, resource: Resource) -> Option<libc::rlim_t> {
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to the local; no new limits are given.
    let result = unsafe { libc::prlimit(pid, resource, std::ptr::null(), &mut limits) };
    (result == 0).then_some(limits.rlim_cur)
}

/// Sets the soft limit, and returns the old one; `None` if it could not be set, because the process has ended.
fn set_limit(pid: i32, resource: Resource, to: libc::rlim_t) -> Option<libc::rlim_t> {
    let set = move || {
        let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: both pointers are to the local.
        unsafe {
            if libc::prlimit(pid, resource, std::ptr::null(), &mut limits) != 0 {
                return None;
            }
            let usual = limits.rlim_cur;
            limits.rlim_cur = to.min(limits.rlim_max);
            (libc::prlimit(pid, resource, &limits, std::ptr::null_mut()) == 0).then_some(usual)
        }
    };
    let (user, group) = (status_number(pid, "Uid:")?, status_number(pid, "Gid:")?);
    // In containers root may lack CAP_SYS_RESOURCE. It may then change this limit only as the user whose process it is.
    // The plain system calls change the user of this thread; libc's functions would change that of all threads.
    let as_user = move || {
        // SAFETY: the arguments are integers, and the thread ends after this.
        unsafe {
            if libc::geteuid() == 0 && user != 0 {
                libc::syscall(libc::SYS_setresgid, group, group, group);
                libc::syscall(libc::SYS_setresuid, user, user, user);
            }
        }
        set()
    };
    thread::spawn(as_user).join().expect("no panic")
}
