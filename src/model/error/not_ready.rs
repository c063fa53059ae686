//! Why a process that runs does not count as ready.

use std::fmt;
use std::time::Duration;

/// Why a process does not count as ready. It goes on running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotReadyReason {
    /// The [`ready_timeout`](crate::BootRequest::ready_timeout) was over.
    TimedOut {
        /// The timeout.
        after: Duration,
    },
    /// The application closed the descriptor of [`Ready::Notify`](crate::Ready::Notify) before it wrote a line.
    NotifyClosed,
}

impl fmt::Display for NotReadyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotReadyReason::NotifyClosed => {
                f.write_str("not ready: it closed the descriptor of SSHPM_NOTIFY_FD before it wrote a line")
            }
            NotReadyReason::TimedOut { after } => {
                write!(f, "not ready {:.1} s after its program was executed (ready timeout)", after.as_secs_f64())
            }
        }
    }
}
