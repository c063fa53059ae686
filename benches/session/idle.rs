//! What happens while nothing happens: wake-ups of the manager's threads, forks on the remote, CPU of both sides.
//!
//! No counter of the kernel says how often one process has forked, and /proc/stat counts the whole machine. But a
//! process that has forked shows it: its child is there and was not before, or the child has ended and was waited for,
//! and then the page faults that it had are added to its parent's `cminflt`; a child cannot run without one. So whoever
//! has no new child and no new `cminflt` has not forked: a 0 is exact, and any other number counts the processes that
//! forked, each once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use crate::proc::{Activity, activity, descendants, own_threads};
use crate::samples::Samples;
use crate::support::ProcessInfo;

/// What runs for a connection may work: its lease is a fork and a wake-up for each period. A process's own may not.
const WATCHER: &str = "sshpm-watch";

/// Both sides, at one time.
struct Look {
    threads: BTreeMap<i32, (String, Activity)>,
    clients: BTreeMap<i32, Activity>,
    remote: BTreeMap<i32, (ProcessInfo, Activity)>,
}

impl Look {
    fn now(sshd: i32) -> Look {
        let with_activity = |process: ProcessInfo| {
            let activity = activity(&PathBuf::from(format!("/proc/{}", process.pid)))?;
            Some((process.pid, (process, activity)))
        };
        let clients = descendants(std::process::id() as i32).into_iter().filter_map(with_activity);
        Look {
            threads: own_threads("sshpm-"),
            clients: clients.map(|(pid, (_, activity))| (pid, activity)).collect(),
            remote: descendants(sshd).into_iter().filter_map(with_activity).collect(),
        }
    }
}

/// Looks, waits so long, looks again, and notes the difference. `applications` are the pids on the remote.
pub fn measure(samples: &mut Samples, sshd: i32, applications: &[i64], time: Duration) {
    let before = Look::now(sshd);
    // It is this time that is measured.
    std::thread::sleep(time);
    let after = Look::now(sshd);

    note_wakeups(samples, &before, &after);
    note_forks(samples, &before, &after, applications);
    note_cpu(samples, &before, &after);
}

fn note_wakeups(samples: &mut Samples, before: &Look, after: &Look) {
    let (mut of_watchers, mut of_others) = (0, 0);
    for (id, (name, now)) in &after.threads {
        let then = before.threads.get(id).map_or(0, |(_, activity)| activity.switches);
        *if name == WATCHER { &mut of_watchers } else { &mut of_others } += now.switches - then.min(now.switches);
    }
    samples.add("wakeups", of_watchers as f64);
    samples.add("connection_wakeups", of_others as f64);
}

/// A wrapper is the parent of an application; what else of ours runs there is a connection's.
fn note_forks(samples: &mut Samples, before: &Look, after: &Look, applications: &[i64]) {
    let parent = |pid: &i64| before.remote.get(&(*pid as i32)).map(|(process, _)| process.ppid);
    let wrappers: BTreeSet<i32> = applications.iter().filter_map(parent).collect();
    let new_parents: BTreeSet<i32> =
        after.remote.iter().filter(|(pid, _)| !before.remote.contains_key(pid)).map(|(_, (p, _))| p.ppid).collect();
    let (mut of_wrappers, mut of_others) = (0, 0);
    for (pid, (process, then)) in &before.remote {
        // One that has ended is a child whose parent shows it.
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

fn note_cpu(samples: &mut Samples, before: &Look, after: &Look) {
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
