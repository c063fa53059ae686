//! How many connections are opened at a time.
//!
//! sshd drops connections at random once 10 are unauthenticated (MaxStartups 10:30:100), so no more than 6 are opened
//! to one host at a time, which leaves room for others; and no more than 64 in all, because each costs this machine
//! some 60 ms of CPU.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::sys;

const PER_HOST: usize = 6;
const IN_ALL: usize = 64;

/// Hands out the turns to connect.
#[derive(Default)]
pub(crate) struct Gate {
    /// A leaf lock.
    open: Mutex<Connecting>,
    changed: Condvar,
}

#[derive(Default)]
struct Connecting {
    total: usize,
    by_host: HashMap<String, usize>,
}

/// A turn to connect; it ends when dropped.
pub(crate) struct Turn<'a> {
    gate: &'a Gate,
    host: String,
}

impl Gate {
    /// Waits for a turn, until the deadline or until `cancelled`: whoever makes that true calls [`Gate::wake`].
    pub(crate) fn wait_turn(
        &self,
        host: &str,
        deadline: Option<Instant>,
        cancelled: impl Fn() -> bool,
    ) -> Option<Turn<'_>> {
        let mut connecting = self.open.lock();
        loop {
            if cancelled() {
                return None;
            }
            let here = connecting.by_host.get(host).copied().unwrap_or(0);
            if connecting.total < IN_ALL && here < PER_HOST {
                connecting.total += 1;
                *connecting.by_host.entry(host.to_owned()).or_default() += 1;
                return Some(Turn { gate: self, host: host.to_owned() });
            }
            if self.wait(&mut connecting, deadline) {
                return None;
            }
        }
    }

    /// Waits until the time, or until `cancelled`; false in that case.
    pub(crate) fn pause(&self, until: Instant, cancelled: impl Fn() -> bool) -> bool {
        let mut connecting = self.open.lock();
        while !cancelled() {
            if self.wait(&mut connecting, Some(until)) {
                return true;
            }
        }
        false
    }

    fn wait(&self, connecting: &mut parking_lot::MutexGuard<Connecting>, deadline: Option<Instant>) -> bool {
        match deadline {
            Some(deadline) => self.changed.wait_until(connecting, deadline).timed_out(),
            None => {
                self.changed.wait(connecting);
                false
            }
        }
    }

    /// Makes all who wait look again.
    pub(crate) fn wake(&self) {
        // Under the lock, so that nobody is between the look and the wait.
        let _connecting = self.open.lock();
        self.changed.notify_all();
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut connecting = self.gate.open.lock();
        connecting.total -= 1;
        if let Some(here) = connecting.by_host.get_mut(&self.host) {
            *here -= 1;
            if *here == 0 {
                connecting.by_host.remove(&self.host);
            }
        }
        self.gate.changed.notify_all();
    }
}

/// When to try again: the pauses double, and are spread, so that those who were dropped together do not come together.
pub(crate) struct Retry {
    pause: Duration,
    longest: Duration,
    until: Option<Instant>,
}

impl Retry {
    const FIRST_PAUSE: Duration = Duration::from_millis(100);

    /// Tries within this time from now.
    pub(crate) fn within(time: Duration) -> Retry {
        Retry { pause: Self::FIRST_PAUSE, longest: Duration::from_secs(2), until: sys::deadline(time) }
    }

    /// Tries for ever.
    pub(crate) fn for_ever() -> Retry {
        Retry { pause: Self::FIRST_PAUSE, longest: Duration::from_secs(30), until: None }
    }

    /// The time of the next try; none when no time is left.
    pub(crate) fn next_try(&mut self) -> Option<Instant> {
        let next = sys::deadline(self.pause.mul_f64(sys::jitter()))?;
        self.pause = (self.pause * 2).min(self.longest);
        self.until.is_none_or(|until| next < until).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_six_turns_and_another_is_not_held_up() {
        let gate = Gate::default();
        let soon = || Some(Instant::now());
        let turns: Vec<_> = (0..PER_HOST).map(|_| gate.wait_turn("a", soon(), || false).unwrap()).collect();
        assert!(gate.wait_turn("a", soon(), || false).is_none());
        assert!(gate.wait_turn("b", soon(), || false).is_some());
        drop(turns);
        assert!(gate.wait_turn("a", soon(), || false).is_some());
        assert!(gate.open.lock().by_host.is_empty());
    }

    #[test]
    fn a_cancel_ends_the_wait() {
        let gate = Gate::default();
        let cancelled = std::sync::atomic::AtomicBool::new(false);
        let until = Instant::now() + Duration::from_secs(3600);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.pause(until, || cancelled.load(std::sync::atomic::Ordering::SeqCst)));
            cancelled.store(true, std::sync::atomic::Ordering::SeqCst);
            gate.wake();
            assert!(!waiting.join().unwrap());
        });
    }
}
