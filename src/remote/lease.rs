//! The lease of a connection. While it runs, the host reports a tick in each period, and the manager answers with a
//! ping. Ticks without a ping end the connection, and so does a time without ticks.

use std::time::{Duration, Instant};

use crate::model::options::Options;
use crate::model::time;

/// The longest time between ticks. An unused connection is closed at a tick, so it lives that much longer at most.
const LONGEST_PERIOD: Duration = Duration::from_secs(5);

/// How the lease of a connection is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    /// Whole seconds between ticks.
    pub period: Duration,
    /// How many ticks without a ping end the connection.
    pub ticks: u64,
}

/// What ends a session on its host when the link was cut in silence.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SilentCut {
    /// The lease of its shared connection.
    Connection,
    /// A lease of its own, which ends sshd's process.
    Sshd(Lease),
    /// A lease of its own, which ends the session's input: it is not known which process carries the session.
    Input(Lease),
}

impl Lease {
    /// Returns the lease that the options ask for, or a slightly longer one in whole periods. It has at least three
    /// ticks, because one tick can be late.
    pub(crate) fn of(options: &Options) -> Lease {
        let seconds = time::whole_seconds(options.lease);
        let period = (seconds / 3).clamp(1, LONGEST_PERIOD.as_secs());
        Lease { period: Duration::from_secs(period), ticks: seconds.div_ceil(period) }
    }

    /// Returns when the manager takes a connection for dead whose last tick came at this time.
    pub(crate) fn end(self, last_tick: Instant) -> Option<Instant> {
        let ticks = u32::try_from(self.ticks).unwrap_or(u32::MAX);
        last_tick.checked_add(self.period.saturating_mul(ticks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_has_three_ticks_at_least_and_a_period_of_five_seconds_at_most() {
        for (lease, period, ticks) in [(3, 1, 3), (5, 1, 5), (14, 4, 4), (15, 5, 3), (30, 5, 6), (u64::MAX, 5, 429_497)]
        {
            let lease = Lease::of(&Options::new().lease(Duration::from_secs(lease)));
            assert_eq!((lease.period.as_secs(), lease.ticks), (period, ticks));
        }
    }
}
