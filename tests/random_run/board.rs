//! Everything that the managers' processes have answered and reported, in order. The suite waits for it here.

use std::collections::{HashMap, HashSet};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::report::{Outcome, Report};

/// Identifies one start or one adoption: the manager, and the number that it returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    pub manager: usize,
    pub start: u64,
}

#[derive(Default)]
pub struct Board {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
pub struct State {
    reports: HashMap<Key, Vec<Report>>,
    replies: HashMap<(usize, u64), String>,
    gone: HashSet<usize>,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn report(&self, key: Key, report: Report) {
        self.lock().reports.entry(key).or_default().push(report);
        self.changed.notify_all();
    }

    pub fn reply(&self, manager: usize, number: u64, text: String) {
        self.lock().replies.insert((manager, number), text);
        self.changed.notify_all();
    }

    /// Notes that a manager's process has ended. It reports nothing after that.
    pub fn gone(&self, manager: usize) {
        self.lock().gone.insert(manager);
        self.changed.notify_all();
    }

    pub fn reports(&self, key: &Key) -> Vec<Report> {
        self.lock().reports(key).to_vec()
    }

    /// Waits until `look` returns something, at most for this time, and returns it.
    pub fn wait<T>(&self, time: Duration, mut look: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + time;
        let mut state = self.lock();
        loop {
            let found = look(&mut state);
            let left = deadline.saturating_duration_since(Instant::now());
            if found.is_some() || left.is_zero() {
                return found;
            }
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
    }
}

impl State {
    pub fn reports(&self, key: &Key) -> &[Report] {
        self.reports.get(key).map_or(&[], Vec::as_slice)
    }

    pub fn end(&self, key: &Key) -> Option<&Outcome> {
        self.reports(key).iter().find_map(Report::end)
    }

    pub fn take_reply(&mut self, manager: usize, number: u64) -> Option<String> {
        self.replies.remove(&(manager, number))
    }

    pub fn is_gone(&self, manager: usize) -> bool {
        self.gone.contains(&manager)
    }
}
