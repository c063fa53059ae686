//! The CPU time of both sides.
//!
//! A process that has ended is counted as long as its ancestors live: each parent has the sum of the children that it
//! has reaped. What has lost its parent becomes a child of the guard, which reaps it, or of the local session, where it
//! stays a zombie and counts as alive. The sums of children are in ticks of 10 ms, but the kernel rounds only when they
//! are read: the error is at most a tick for each process that lives at both moments, however many have come and gone
//! in between.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::proc::{activity, descendants, own_cpu_ms};
use crate::samples::Samples;
use crate::support::ProcessInfo;

/// As many starts as make the error small beside their sum.
const STARTS: usize = 200;

/// Returns how often something with this many processes is repeated between two readings.
pub fn rounds(processes: usize) -> usize {
    STARTS.div_ceil(processes).min(4)
}

/// The CPU time of both sides until one moment. All times are in milliseconds.
pub struct Cpu {
    sshd_pid: i32,
    own: f64,
    clients: f64,
    host: f64,
}

impl Cpu {
    /// Reads the CPU time. Nothing may start or end meanwhile. `None` where the kernel does not report it.
    pub fn now(sshd_pid: i32) -> Option<Cpu> {
        let (clients, host) = read(sshd_pid)?;
        // Last, so that the reading itself does not count.
        Some(Cpu { sshd_pid, own: own_cpu_ms(), clients, host })
    }

    /// Returns the CPU time since then: that of this process and its other descendants, and that of sshd and everything
    /// below it.
    pub fn spent(self) -> Option<[f64; 2]> {
        // First, for the reason in `now`.
        let own = own_cpu_ms();
        let (clients, host) = read(self.sshd_pid)?;
        Some([own - self.own + clients - self.clients, host - self.host])
    }
}

/// Adds the CPU time of one start and end to the samples: the manager's side and, if it has a name, the host's side.
pub fn note(samples: &mut Samples, spent: Option<[f64; 2]>, starts: usize, names: &[&str]) {
    let Some(spent) = spent else {
        return samples.note("CPU of a start: this kernel has no /proc/PID/schedstat".to_owned());
    };
    for (name, time) in names.iter().zip(spent) {
        samples.add(name, time / starts as f64);
    }
}

/// Returns the CPU time of the living descendants of this process, and of the host.
fn read(sshd_pid: i32) -> Option<(f64, f64)> {
    let guard = ProcessInfo::of(sshd_pid)?.ppid;
    let pids = |of: i32| descendants(of).into_iter().map(|process| process.pid).collect::<BTreeSet<_>>();
    let mut host = pids(guard);
    host.insert(guard);
    // The benchmark itself is the guard's parent.
    let clients = &pids(std::process::id() as i32) - &host;
    // `sum` leaves out processes that have just ended. The guard lives, so it shows whether the kernel reports
    // anything.
    activity(&PathBuf::from(format!("/proc/{guard}")))?;
    Some((sum(&clients), sum(&host)))
}

fn sum(pids: &BTreeSet<i32>) -> f64 {
    let activities = pids.iter().filter_map(|pid| activity(&PathBuf::from(format!("/proc/{pid}"))));
    activities.map(|activity| activity.cpu_ms + activity.childrens_cpu_ms).sum()
}
