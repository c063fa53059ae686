//! Why a restart did not start a process.

use std::fmt;

/// Why [`Manager::restart_process`](crate::Manager::restart_process) did not start the process again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotRestartedReason {
    /// Another call is restarting the process. This call did nothing.
    InProgress,
    /// Another call ended, forgot or removed the process meanwhile, and that call came later.
    Cancelled,
    /// The manager has no request to start the process with, because it adopted the process. This call did nothing.
    NoRequest,
}

impl fmt::Display for NotRestartedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotRestartedReason::InProgress => "another call is restarting it",
            NotRestartedReason::Cancelled => "another call ended it meanwhile",
            NotRestartedReason::NoRequest => "it was adopted without a request; start it with one",
        })
    }
}
