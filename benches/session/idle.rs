//! Measures what idle processes cost: wake-ups of the manager's threads, forks on the remote, and CPU time of both
//! sides.
//!
//! The kernel does not count the forks of one process, and /proc/stat counts those of the whole machine. But a fork
//! leaves a trace: the process has a new child, or the child has ended and was reaped. In the second case, the kernel
//! has added the child's page faults to those of its parent's ended children (`cminflt` and `cmajflt`), and a child
//! cannot run without a page fault. So a process without a new child, whose sum has not grown, has not forked. A 0 is
//! exact; any other number counts the processes that forked, each once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use crate::proc::{Activity, activity, descendants, own_threads};
use crate::samples::Samples;
use crate::support::ProcessInfo;

/// The name of the threads that watch processes. These and the wrappers must stay idle. The threads and shells of a
/// connection may work: its lease costs one fork and one wake-up in each period.
const WATCHER: &str = "sshpm-watch";

/// The activity of both sides at one moment.
struct Snapshot {
    threads: BTreeMap<i32, (String, Activity)>,
    clients: BTreeMap<i32, Activity>,
    remote: BTreeMap<i32, (ProcessInfo, Activity)>,
}

impl Snapshot {
    fn now(sshd: i32) -> Snapshot {
        let with_activity = |process: ProcessInfo| {
            let activity = activity(&PathBuf::from(format!("/proc/{}", process.pid)))?;
            Some((process.pid, (process, activity)))
        };
        let clients = descendants(std::process::id() as i32).into_iter().filter_map(with_activity);
        Snapshot {
            threads: own_threads("sshpm-"),
            clients: clients.map(|(pid, (_, activity))| (pid, activity)).collect(),
            remote: descendants(sshd).into_iter().filter_map(with_activity).collect(),
        }
    }
}

/// Takes a snapshot, waits for `time`, takes another one, and adds the differences to the samples. `applications` are
/// the pids on the remote.
pub fn measure(samples: &mut Samples, sshd: i32, applications: &[i64], time: Duration) {
    let before = Snapshot::now(sshd);
    // This is the time that is measured.
    std::thread::sleep(time);
    let after = Snapshot::now(sshd);

    note_wakeups(samples, &before, &after);
    note_forks(samples, &before, &after, applications);
    note_cpu(samples, &before, &after);
}

fn note_wakeups(samples: &mut Samples, before: &Snapshot, after: &Snapshot) {
    let (mut of_watchers, mut of_others) = (0, 0);
    for (id, (name, now)) in &after.threads {
        let then = before.threads.get(id).map_or(0, |(_, activity)| activity.switches);
        *if name == WATCHER { &mut of_watchers } else { &mut of_others } += now.switches - then.min(now.switches);
    }
    samples.add("wakeups", of_watchers as f64);
    samples.add("connection_wakeups", of_others as f64);
}

/// Counts the wrappers and the other shells that forked. A wrapper is the parent of an application; the other shells of
/// ours belong to connections.
fn note_forks(samples: &mut Samples, before: &Snapshot, after: &Snapshot, applications: &[i64]) {
    let parent = |pid: &i64| before.remote.get(&(*pid as i32)).map(|(process, _)| process.ppid);
    let wrappers: BTreeSet<i32> = applications.iter().filter_map(parent).collect();
    let new_parents: BTreeSet<i32> =
        after.remote.iter().filter(|(pid, _)| !before.remote.contains_key(pid)).map(|(_, (p, _))| p.ppid).collect();
    let (mut of_wrappers, mut of_others) = (0, 0);
    for (pid, (process, then)) in &before.remote {
        // If this process has ended, its parent shows that.
        let Some((_, now)) = after.remote.get(pid) else { continue };
        let forked = new_parents.contains(pid) || now.childrens_faults != then.childrens_faults;
        if forked && wrappers.contains(pid) {
            of_wrappers += 1;
        } else if forked && !process.is_sshd() {
            of_others += 1;
        }
    }
    if wrappers.len() < applications.len() {
        samples.note(format!("idle: only {} of {} wrappers were found", wrappers.len(), applications.len()));
    }
    samples.add("remote_forks", of_wrappers as f64);
    samples.add("remote_connection_forks", of_others as f64);
}

fn note_cpu(samples: &mut Samples, before: &Snapshot, after: &Snapshot) {
    let spent = |then: Option<&Activity>, now: &Activity| {
        let then = then.copied().unwrap_or_default();
        now.cpu_ms - then.cpu_ms + now.childrens_cpu_ms - then.childrens_cpu_ms
    };
    let of_threads = after.threads.iter().map(|(id, (_, now))| {
        let then = before.threads.get(id).map_or(0.0, |(_, activity)| activity.cpu_ms);
        now.cpu_ms - then
    });
    let of_clients = after.clients.iter().map(|(pid, now)| spent(before.clients.get(pid), now));
    let of_remote = after.remote.iter().map(|(pid, (_, now))| spent(before.remote.get(pid).map(|(_, a)| a), now));
    samples.add("manager_cpu_ms", of_threads.sum());
    samples.add("ssh_cpu_ms", of_clients.sum());
    samples.add("remote_cpu_ms", of_remote.sum());
}
