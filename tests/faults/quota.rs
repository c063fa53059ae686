//! A quota of processes that is lowered and restored.

use std::fs;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::dice::Dice;
use crate::limits::{self, Members};

/// Lowers the quota of a host's user and restores it, again and again, until it is dropped.
pub struct Quota {
    /// The thread stops when this is dropped.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Quota {
    pub fn begin(members: Members, user: u32, seed: u64) -> Quota {
        let (stop, stopped) = channel::<()>();
        let mut dice = Dice::new(seed);
        let come_and_go = move || {
            let mut pause = || {
                let time = Duration::from_millis(20 + dice.below(150) as u64);
                (stopped.recv_timeout(time) == Err(RecvTimeoutError::Timeout)).then(|| dice.below(7))
            };
            while let Some(room) = pause() {
                let quota = count_tasks(user) + room as u64;
                let undo = members.limit(libc::RLIMIT_NPROC, |_| Some(quota));
                let goes_on = pause().is_some();
                undo();
                if !goes_on {
                    return;
                }
            }
        };
        Quota { stop: Some(stop), thread: Some(thread::spawn(come_and_go)) }
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Returns how many tasks count against the quota of a user: processes and their threads.
fn count_tasks(user: u32) -> u64 {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let of_user = pids.filter(|pid| limits::status_number(*pid, "Uid:") == Some(user));
    of_user.filter_map(|pid| limits::status_number(pid, "Threads:")).map(u64::from).sum()
}
