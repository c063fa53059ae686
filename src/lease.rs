//! The lease of a connection: how its ticks are counted, and what ends a session whose link is cut in silence.

use std::time::{Duration, Instant};

use crate::launcher::Launcher;
use crate::options::Options;
use crate::seconds;

/// The longest time between ticks: an unused connection closes at one.
const LONGEST_PERIOD: Duration = Duration::from_secs(5);

/// How the lease of a connection is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    /// Whole seconds between ticks.
    pub period: Duration,
    /// How many ticks without a ping end it.
    pub ticks: u64,
}

/// What ends a session whose link was cut in silence.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SilentCut {
    /// The lease of its shared connection.
    Connection,
    /// A lease of its own, which ends sshd's process.
    Sshd(Lease),
    /// A lease of its own, which ends the session's input: who else carries it is not known.
    Input(Lease),
}

impl SilentCut {
    /// Of a session that has no shared connection.
    pub(crate) fn of(launcher: &Launcher, options: &Options) -> SilentCut {
        match launcher {
            Launcher::Ssh => SilentCut::Sshd(Lease::of(options)),
            // Nothing is between this machine and itself, but a manager can stand still, and a child that it has forked hold the lifeline.
            Launcher::Local | Launcher::Command(_) | Launcher::Slurm(_) => SilentCut::Input(Lease::of(options)),
        }
    }
}

impl Lease {
    /// Three ticks at least, because one can be late; not shorter than asked for.
    pub(crate) fn of(options: &Options) -> Lease {
        let seconds = seconds::whole_seconds(options.lease);
        let period = (seconds / 3).clamp(1, LONGEST_PERIOD.as_secs());
        Lease { period: Duration::from_secs(period), ticks: seconds.div_ceil(period) }
    }

    /// When this side takes a connection for dead whose last tick came at this time.
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
