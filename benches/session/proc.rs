//! What /proc tells of processes and threads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::support::{ProcessInfo, processes};

/// All that descend from a process, and not itself.
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

/// The memory that is a process's own, and its share of what others use too.
pub fn pss_kib(pid: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("Pss:"))?.split_ascii_whitespace().next()?.parse().ok()
}

/// The sum for some processes; none when one of them may not be looked at.
pub fn pss_kib_of(mut pids: impl Iterator<Item = i32>) -> Option<f64> {
    pids.try_fold(0.0, |sum, pid| Some(sum + pss_kib(pid as u32)?))
}

/// What a process itself has.
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
    /// How often it was switched to: 0 more than before means that it has not run at all.
    pub switches: u64,
    /// Pages that its children, now dead and waited for, had to be given.
    pub childrens_faults: u64,
    pub cpu_ms: f64,
    /// That of its children, now dead and waited for.
    pub childrens_cpu_ms: f64,
}

/// Of a directory of /proc: /proc/PID, or /proc/self/task/TID. `None` when it is gone.
pub fn activity(directory: &Path) -> Option<Activity> {
    let read = |name: &str| fs::read_to_string(directory.join(name)).ok();
    let status = read("status")?;
    let switches = status.lines().filter_map(|line| line.split_once("ctxt_switches:")?.1.trim().parse::<u64>().ok());
    let stat = read("stat")?;
    // The name, in parentheses, is free text: count from behind its end. The first is the third field.
    let fields: Vec<u64> = stat.rsplit_once(')')?.1.split_ascii_whitespace().map(|f| f.parse().unwrap_or(0)).collect();
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or(0);
    // Nanoseconds, where stat counts ticks of 10 ms.
    let nanoseconds: f64 = read("schedstat")?.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Activity {
        switches: switches.sum(),
        childrens_faults: field(11) + field(13),
        cpu_ms: nanoseconds / 1e6,
        childrens_cpu_ms: (field(16) + field(17)) as f64 * 1e3 / ticks_per_second(),
    })
}

fn ticks_per_second() -> f64 {
    // SAFETY: takes an integer and touches no memory.
    unsafe { libc::sysconf(libc::_SC_CLK_TCK) as f64 }
}

/// This process's threads whose names begin so: name and activity, by id.
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

/// Lets this process have as many descriptors as it may: a thousand processes need some thousands.
pub fn raise_descriptor_limit() {
    // SAFETY: the struct is ours, and lives through both calls. When they fail, all is as before.
    unsafe {
        let mut limit = std::mem::zeroed::<libc::rlimit>();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}
