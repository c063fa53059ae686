//! Limits of processes that run: how descriptors and processes get short.

use std::collections::BTreeSet;
use std::fs;
use std::thread;

use crate::host::Host;
use crate::support::ProcessInfo;
use crate::undo::Undo;

type Resource = libc::__rlimit_resource_t;

/// Lowers a limit of what lives on a host now, for each to what is given for it.
pub fn limit_host<'a>(
    host: &'a Host,
    resource: Resource,
    to: impl Fn(&ProcessInfo) -> Option<libc::rlim_t>,
) -> Undo<'a> {
    // The listener's parent keeps its own, which is what all others had.
    let usual = get_limit(host.remote.holder(), resource).expect("the limit of one's own child");
    let all = || {
        let mut all = host.remote.all_processes();
        all.retain(|process| process.pid != host.remote.holder());
        all
    };
    for process in all() {
        if let Some(to) = to(&process) {
            let _ = set_limit(process.pid, resource, to);
        }
    }
    // Those that came in between have it as well; one that was being made is seen the second time.
    Box::new(move || {
        for process in [all(), all()].iter().flatten() {
            let _ = set_limit(process.pid, resource, usual);
        }
    })
}

pub fn limit<'a>(process: ProcessInfo, resource: Resource, to: libc::rlim_t) -> Undo<'a> {
    let usual = set_limit(process.pid, resource, to).expect("a limit that can be set");
    Box::new(move || _ = set_limit(process.pid, resource, usual))
}

/// The limit of descriptors that leaves a process so many.
pub fn descriptors_with_room(pid: i32, room: usize) -> libc::rlim_t {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let open: BTreeSet<u64> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    (0..).filter(|number| !open.contains(number)).nth(room).expect("numbers do not end")
}

fn get_limit(pid: i32, resource: Resource) -> Option<libc::rlim_t> {
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to the local; no new limits are given.
    let result = unsafe { libc::prlimit(pid, resource, std::ptr::null(), &mut limits) };
    (result == 0).then_some(limits.rlim_cur)
}

/// Sets the soft limit, and gives what it was; `None` where it could not be set, because the process has ended.
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
    let id = |name: &str| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse::<libc::uid_t>().ok()
    };
    let (user, group) = (id("Uid:")?, id("Gid:")?);
    // A root without CAP_SYS_RESOURCE, as containers have it, may do this only as the user whose process it is. The
    // system calls themselves change one thread, libc's functions all of them.
    let as_user = move || {
        // SAFETY: integers only; the thread ends with this.
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
