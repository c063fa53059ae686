//! Decides when a failed login is repeated.

use std::time::{Duration, Instant};

use crate::connect::limiter::ConnectPermit;
use crate::launch::ssh;
use crate::local::sys;
use crate::model::error::Error;

/// The pauses between attempts. They double, and are random in part, so that logins that were dropped together do not
/// come back together.
pub(crate) struct Backoff {
    pause: Duration,
    longest: Duration,
    until: Option<Instant>,
}

impl Backoff {
    const FIRST_PAUSE: Duration = Duration::from_millis(100);

    /// Returns pauses of up to 2 s, for attempts within this time from now.
    pub(crate) fn within(time: Duration) -> Backoff {
        Backoff { pause: Self::FIRST_PAUSE, longest: Duration::from_secs(2), until: sys::deadline(time) }
    }

    /// Returns pauses of up to 30 s, for attempts without end.
    pub(crate) fn for_ever() -> Backoff {
        Backoff { pause: Self::FIRST_PAUSE, longest: Duration::from_secs(30), until: None }
    }

    /// Returns the time of the next attempt; `None` when no time is left.
    pub(crate) fn next_try(&mut self) -> Option<Instant> {
        let next = sys::deadline(self.pause.mul_f64(sys::jitter()))?;
        self.pause = (self.pause * 2).min(self.longest);
        self.until.is_none_or(|until| next < until).then_some(next)
    }
}

/// The attempts to log in for one session or one connection.
pub(crate) struct Logins {
    connect_timeout: Duration,
    /// It starts with the first failed login.
    backoff: Option<Backoff>,
}

impl Logins {
    pub(crate) fn new(connect_timeout: Duration) -> Logins {
        Logins { connect_timeout, backoff: None }
    }

    /// Returns when to log in again after a login failed with this error; `None` if another login cannot help, or if no
    /// time is left. Gives the permit of the failed login back, and tells the limiter if sshd has dropped that login.
    pub(crate) fn after(&mut self, error: &Error, permit: Option<ConnectPermit>) -> Option<Instant> {
        if !ssh::is_worth_a_retry(error) {
            return None;
        }
        if let Some(permit) = permit {
            permit.was_dropped();
        }
        self.backoff.get_or_insert_with(|| Backoff::within(self.connect_timeout)).next_try()
    }
}
