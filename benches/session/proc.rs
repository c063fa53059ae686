//! Reads from /proc what processes and threads are and do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::support::{ProcessInfo, processes};

/// Returns all descendants of a process, without the process itself.
pub fn descendants(of: i32) -> Vec<ProcessInfo> {
    let all = processes();
    let mut found = BTreeSet::from([of]);
    loop {
        let before = found.len();
        let children: Vec<_> = all.iter().filter(|process| found.contains(&process.ppid)).map(|p| p.pid).collect();
        found.extend(children);
        if found.len() == before {
            break;
        }
    }
    all.into_iter().filter(|process| process.pid != of && found.contains(&process.pid)).collect()
}

/// Returns the PSS of a process in KiB: the memory that only it uses, and its share of what others use too.
pub fn pss_kib(pid: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("Pss:"))?.split_ascii_whitespace().next()?.parse().ok()
}

/// Returns the sum of the PSS of some processes in KiB. `None` if that of one cannot be read.
pub fn pss_kib_of(mut pids: impl Iterator<Item = i32>) -> Option<f64> {
    pids.try_fold(0.0, |sum, pid| Some(sum + pss_kib(pid as u32)?))
}

/// What this process uses.
pub struct Own {
    pub pss_kib: Option<f64>,
    pub threads: usize,
    pub descriptors: usize,
}

impl Own {
    pub fn now() -> Own {
        let entries = |path| fs::read_dir(path).map_or(0, Iterator::count);
        Own {
            pss_kib: pss_kib(std::process::id()),
            threads: entries("/proc/self/task"),
            descriptors: entries("/proc/self/fd"),
        }
    }
}

/// What a process or thread has done since it began, as far as it matters here.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Activity {
    /// The number of its context switches. If it has not grown, the process or thread has not run at all.
    pub switches: u64,
    /// The page faults of its children that have ended and were reaped.
    pub childrens_faults: u64,
    pub cpu_ms: f64,
    /// The CPU time of its children that have ended and were reaped.
    pub childrens_cpu_ms: f64,
}

/// Reads the activity from a directory of /proc: /proc/PID, or /proc/self/task/TID. `None` if it is gone.
pub fn activity(directory: &Path) -> Option<Activity> {
    let read = |name: &str| fs::read_to_string(directory.join(name)).ok();
    let status = read("status")?;
    let switches = status.lines().filter_map(|line| line.split_once("ctxt_switches:")?.1.trim().parse::<u64>().ok());
    let stat = read("stat")?;
    // The name, in parentheses, is free text, so the fields are counted from its end. The first one behind it is the
    // third field.
    let fields: Vec<u64> = stat.rsplit_once(')')?.1.split_ascii_whitespace().map(|f| f.parse().unwrap_or(0)).collect();
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or(0);
    // schedstat has nanoseconds; stat has only ticks of 10 ms.
    let nanoseconds: f64 = read("schedstat")?.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Activity {
        switches: switches.sum(),
        childrens_faults: field(11) + field(13),
        cpu_ms: nanoseconds / 1e6,
        childrens_cpu_ms: (field(16) + field(17)) as f64 * 1e3 / ticks_per_second(),
    })
}

/// Returns the CPU time of this process and of its children that have ended and were reaped, in milliseconds.
pub fn own_cpu_ms() -> f64 {
    let of = |who| {
        // SAFETY: the struct is ours, and has no invalid values.
        let usage = unsafe {
            let mut usage = std::mem::zeroed::<libc::rusage>();
            libc::getrusage(who, &mut usage);
            usage
        };
        let ms = |time: libc::timeval| time.tv_sec as f64 * 1e3 + time.tv_usec as f64 / 1e3;
        ms(usage.ru_utime) + ms(usage.ru_stime)
    };
    of(libc::RUSAGE_SELF) + of(libc::RUSAGE_CHILDREN)
}

fn ticks_per_second() -> f64 {
    // SAFETY: takes an integer and touches no memory.
    unsafe { libc::sysconf(libc::_SC_CLK_TCK) as f64 }
}

/// Returns the threads of this process whose names begin with `prefix`: name and activity, by id.
pub fn own_threads(prefix: &str) -> BTreeMap<i32, (String, Activity)> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let threads = tasks.filter_map(|task| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?.trim_end().to_owned();
        let id = task.file_name().to_str()?.parse().ok()?;
        name.starts_with(prefix).then_some(())?;
        Some((id, (name, activity(&task.path())?)))
    });
    threads.collect()
}

/// Raises this process's limit of descriptors as far as it may: a thousand processes need some thousands.
pub fn raise_descriptor_limit() {
    set_soft_descriptor_limit(hard_descriptor_limit());
}

pub fn hard_descriptor_limit() -> u64 {
    descriptor_limits().rlim_max
}

pub fn set_soft_descriptor_limit(soft: u64) {
    let limit = libc::rlimit { rlim_cur: soft, ..descriptor_limits() };
    // SAFETY: the struct is ours, and lives through the call. If it fails, nothing changes.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
}

fn descriptor_limits() -> libc::rlimit {
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the struct is ours, and lives through the call, which fails only for a bad address.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limits) };
    limits
}
