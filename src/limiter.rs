//! How many connections are opened at a time.
//!
//! sshd drops connections at random once 10 are unauthenticated (MaxStartups 10:30:100), so no more than 8 are opened
//! to one host at a time, which leaves room for others, and fewer where sshd has dropped one. No more than 64 in all are
//! opened at a time, because each costs this machine some 60 ms of CPU: those that have not succeeded within a second
//! cost none, and do not count.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

const PER_HOST: usize = 8;
const IN_ALL: usize = 64;
/// A host that drops what it is sent answers later or never: it must not hold up the others.
const STALLED: Duration = Duration::from_secs(1);

/// Hands out the turns to connect.
#[derive(Default)]
pub(crate) struct ConnectLimiter {
    /// Under it, `cancelled` looks at the pool's table, a connection's state or a process's: all of them leaf locks.
    open: Mutex<Connecting>,
    changed: Condvar,
}

#[derive(Default)]
struct Connecting {
    permits: Vec<(u64, Instant)>,
    next_permit: u64,
    by_host: HashMap<String, Here>,
}

/// The turns of one host.
struct Here {
    open: usize,
    waiting: usize,
    /// How many it gets, as learned.
    most: usize,
    /// Which turns were handed out after that was learned.
    learned_before: u64,
}

/// A turn to connect; it ends when dropped.
pub(crate) struct ConnectPermit<'a> {
    limiter: &'a ConnectLimiter,
    host: String,
    id: u64,
}

impl ConnectLimiter {
    /// Waits for a turn, until the deadline or until `cancelled`: whoever makes that true calls [`ConnectLimiter::wake`].
    pub(crate) fn wait_for_permit(
        &self,
        host: &str,
        deadline: Option<Instant>,
        cancelled: impl Fn() -> bool,
    ) -> Option<ConnectPermit<'_>> {
        let mut connecting = self.open.lock();
        connecting.here(host).waiting += 1;
        let permit = loop {
            if cancelled() {
                break None;
            }
            match connecting.room(host) {
                Room::Free => break Some(connecting.open(host)),
                Room::After(stalled) => {
                    let until = [stalled, deadline].into_iter().flatten().min();
                    if self.wait(&mut connecting, until) && until == deadline {
                        break None;
                    }
                }
            }
        };
        connecting.here(host).waiting -= 1;
        connecting.forget(host);
        permit.map(|id| ConnectPermit { limiter: self, host: host.to_owned(), id })
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

    /// True when the time has come.
    fn wait(&self, connecting: &mut MutexGuard<Connecting>, until: Option<Instant>) -> bool {
        match until {
            Some(until) => self.changed.wait_until(connecting, until).timed_out(),
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

/// Whether one more can connect.
enum Room {
    Free,
    /// Not before another turn ends, or this time.
    After(Option<Instant>),
}

impl Connecting {
    fn here(&mut self, host: &str) -> &mut Here {
        self.by_host.entry(host.to_owned()).or_insert(Here { open: 0, waiting: 0, most: PER_HOST, learned_before: 0 })
    }

    fn room(&mut self, host: &str) -> Room {
        let here = self.here(host);
        let (open, most) = (here.open, here.most);
        if open >= most {
            return Room::After(None);
        }
        // A host's first turn goes before another's second.
        let first = self.by_host.values().filter(|here| here.open == 0 && here.waiting > 0).count();
        let kept = if open == 0 { 0 } else { first };
        let now = Instant::now();
        let mut young = self.permits.iter().map(|(_, began)| *began + STALLED).filter(|stalled| *stalled > now);
        if young.clone().count() + kept < IN_ALL { Room::Free } else { Room::After(young.next()) }
    }

    fn open(&mut self, host: &str) -> u64 {
        self.here(host).open += 1;
        self.next_permit += 1;
        self.permits.push((self.next_permit, Instant::now()));
        self.next_permit
    }

    /// What was learned of a host is kept.
    fn forget(&mut self, host: &str) {
        let here = self.here(host);
        if here.open == 0 && here.waiting == 0 && here.most == PER_HOST {
            self.by_host.remove(host);
        }
    }
}

impl ConnectPermit<'_> {
    /// sshd has dropped this one: its host gets half as many at a time from now on, but never none. Those that were under way
    /// together count once.
    pub(crate) fn was_dropped(&self) {
        if let Some(most) = self.learn() {
            log::debug!("{}: sshd drops connections; {most} at a time from now on", self.host);
        }
    }

    fn learn(&self) -> Option<usize> {
        let mut connecting = self.limiter.open.lock();
        let next_permit = connecting.next_permit + 1;
        let here = connecting.here(&self.host);
        if self.id < here.learned_before || here.most == 1 {
            return None;
        }
        here.most = here.open.min(here.most).div_ceil(2).max(1);
        here.learned_before = next_permit;
        Some(here.most)
    }
}

impl Drop for ConnectPermit<'_> {
    fn drop(&mut self) {
        let mut connecting = self.limiter.open.lock();
        connecting.permits.retain(|(id, _)| *id != self.id);
        connecting.here(&self.host).open -= 1;
        connecting.forget(&self.host);
        self.limiter.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Option<Instant> {
        Some(Instant::now())
    }

    fn permits<'a>(limiter: &'a ConnectLimiter, host: &str, count: usize) -> Vec<ConnectPermit<'a>> {
        (0..count).filter_map(|_| limiter.wait_for_permit(host, soon(), || false)).collect()
    }

    #[test]
    fn a_host_has_its_turns_and_another_is_not_held_up() {
        let limiter = ConnectLimiter::default();
        let held = permits(&limiter, "a", 9);
        assert_eq!(held.len(), PER_HOST);
        assert!(limiter.wait_for_permit("b", soon(), || false).is_some());
        drop(held);
        assert!(limiter.wait_for_permit("a", soon(), || false).is_some());
        assert!(limiter.open.lock().by_host.is_empty());
    }

    #[test]
    fn a_host_that_drops_connections_gets_half_as_many_and_never_none() {
        let limiter = ConnectLimiter::default();
        for expected in [4, 2, 1, 1] {
            let held = permits(&limiter, "a", 9);
            held.iter().for_each(ConnectPermit::was_dropped);
            drop(held);
            assert_eq!(permits(&limiter, "a", 9).len(), expected);
        }
        assert_eq!(permits(&limiter, "b", 9).len(), PER_HOST);
    }

    #[test]
    fn hosts_that_do_not_answer_do_not_hold_up_the_others() {
        let limiter = ConnectLimiter::default();
        let mut held: Vec<_> =
            (0..IN_ALL).map(|n| limiter.wait_for_permit(&n.to_string(), soon(), || false).unwrap()).collect();
        assert!(limiter.wait_for_permit("b", soon(), || false).is_none());
        // As if a second had passed.
        for (_, began) in &mut limiter.open.lock().permits {
            *began -= STALLED;
        }
        held.extend(limiter.wait_for_permit("b", soon(), || false));
        assert_eq!(held.len(), IN_ALL + 1);
    }

    #[test]
    fn a_cancel_ends_the_wait() {
        let limiter = ConnectLimiter::default();
        let cancelled = std::sync::atomic::AtomicBool::new(false);
        let until = Instant::now() + Duration::from_secs(3600);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| limiter.pause(until, || cancelled.load(std::sync::atomic::Ordering::SeqCst)));
            cancelled.store(true, std::sync::atomic::Ordering::SeqCst);
            limiter.wake();
            assert!(!waiting.join().unwrap());
        });
    }
}
