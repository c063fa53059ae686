//! Limits how many logins are under way at the same time.
//!
//! sshd drops connections at random once 10 are unauthenticated (MaxStartups 10:30:100). So at most 8 logins to one
//! host are under way at a time, which leaves room for other users, and fewer to a host whose sshd has dropped one. At
//! most 64 are under way in total, because each costs this machine some 60 ms of CPU. A login that has not succeeded
//! within a second costs none, and does not count.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

/// How many logins to one host are under way at a time, unless its sshd drops some of them.
const PER_HOST: usize = 8;
/// How many logins are under way at a time in total.
const IN_ALL: usize = 64;
/// After this time a login does not count in total: a host that does not answer must not hold up the others.
const STALLED: Duration = Duration::from_secs(1);

/// Hands out the permits to log in.
#[derive(Default)]
pub(crate) struct ConnectLimiter {
    /// While it is held, `cancelled` can take the lock of the connection table, of a connection's state or of a log
    /// follower's link: all of them are leaf locks.
    open: Mutex<Connecting>,
    /// A permit was given back, or somebody may have been cancelled.
    changed: Condvar,
}

#[derive(Default)]
struct Connecting {
    /// The permits in use: their numbers, and when they were handed out.
    permits: Vec<(u64, Instant)>,
    next_permit: u64,
    by_host: HashMap<String, Here>,
}

/// The permits of one host.
struct Here {
    /// How many are in use.
    open: usize,
    /// How many callers wait for one.
    waiting: usize,
    /// How many can be in use at a time, as the host has taught.
    most: usize,
    /// Permits with smaller numbers were handed out before that was learned.
    learned_before: u64,
}

/// The permit to log in to a host. It is given back when dropped.
pub(crate) struct ConnectPermit<'a> {
    limiter: &'a ConnectLimiter,
    host: String,
    id: u64,
}

impl ConnectLimiter {
    /// Waits for a permit, until the deadline or until `cancelled` returns true. Whoever makes it return true calls
    /// [`ConnectLimiter::wake`]. Returns `None` if there is no permit by then.
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

    /// Waits until this time, or until `cancelled` returns true, and returns false in that case. Whoever makes it
    /// return true calls [`ConnectLimiter::wake`].
    pub(crate) fn pause(&self, until: Instant, cancelled: impl Fn() -> bool) -> bool {
        let mut connecting = self.open.lock();
        while !cancelled() {
            if self.wait(&mut connecting, Some(until)) {
                return true;
            }
        }
        false
    }

    /// Waits for a change or for this time, and returns whether the time has come.
    fn wait(&self, connecting: &mut MutexGuard<Connecting>, until: Option<Instant>) -> bool {
        match until {
            Some(until) => self.changed.wait_until(connecting, until).timed_out(),
            None => {
                self.changed.wait(connecting);
                false
            }
        }
    }

    /// Makes all callers that wait check again whether they are cancelled.
    pub(crate) fn wake(&self) {
        // The lock is held so that no caller is between its check and its wait.
        let _connecting = self.open.lock();
        self.changed.notify_all();
    }
}

/// Whether there is room for one more login.
enum Room {
    Free,
    /// Not before a permit is given back, or this time.
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
        // The first permit of one host goes before the second permit of another.
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

    /// Forgets a host that nobody uses, unless it has taught how many logins it takes.
    fn forget(&mut self, host: &str) {
        let here = self.here(host);
        if here.open == 0 && here.waiting == 0 && here.most == PER_HOST {
            self.by_host.remove(host);
        }
    }
}

impl ConnectPermit<'_> {
    /// Learns that sshd has dropped this login: its host gets half as many permits at a time from now on, but at least
    /// one. The drops of logins that were under way together count once.
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
        // A second seems to have passed.
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
