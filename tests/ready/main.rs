//! Readiness: what shows that a process can be used, in which order that is reported, and what happens without it.
#![allow(clippy::unwrap_used)]

#[path = "../keeping/mod.rs"]
mod keeping;
#[path = "../life/mod.rs"]
mod life;
#[path = "../support/mod.rs"]
mod support;

mod kept;
mod log_files;
mod notify;
mod output;
mod port;

use sshpm::Manager;

use crate::support::{processes, wait_until};

/// Waits until the wrapper of a process has this many children beside the process and the attendant.
#[track_caller]
fn wait_for_helpers(manager: &Manager, uuid: &str, count: usize) {
    let pids = manager.runtime_pids(uuid);
    let (wrapper, application) = (pids.remote_monitoring.unwrap() as i32, pids.remote.unwrap() as i32);
    wait_until(&format!("{count} helpers"), life::TIME, || {
        let all = processes();
        let children = all.iter().filter(|p| p.ppid == wrapper && p.pid != application && !p.is_zombie());
        (children.count() == count + 1).then_some(())
    });
}
