//! What the boot of a session returns, and what it reports meanwhile.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::error::{Error, NotReadyReason};
use crate::model::exit_status::ExitStatus;
use crate::watch::kill::KillResults;

/// How far a boot has brought one process.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum BootState {
    /// The application has shown that it is [ready](crate::BootRequest::ready).
    Ready,
    /// The application runs. If its request asks for readiness, it may still become ready.
    Started,
    /// The application runs, and was not ready in time.
    NotReady(NotReadyReason),
    /// The start goes on. A complete boot does not wait for a process that it does not need: one that is not
    /// [critical](crate::BootRequest::critical), or one more than the [minimum](crate::Session::minimum) of its role.
    /// After any other boot, its cancellation did not end in time.
    Starting,
    /// The start failed, or, for a kept process that goes on without this manager, [`Error::Detached`] or
    /// [`Error::TakenOver`].
    Failed(Error),
    /// The process ended.
    Ended(ExitStatus),
    /// The boot did not begin the start, or cancelled it; [`SessionResults::outcome`] says why.
    NotStarted,
}

impl BootState {
    /// Returns whether the process has failed or ended.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, BootState::Failed(_) | BootState::Ended(_))
    }
}

/// How the boot of a session went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionOutcome {
    /// Every stage is complete.
    Complete,
    /// A stage failed.
    Failed {
        /// The number of the stage, from 1.
        stage: usize,
        /// The process that was not ready, failed or ended: of several, the first one of the first stage.
        uuid: String,
    },
    /// The progress callback cancelled the boot.
    Cancelled {
        /// The number of the stage, from 1, that was not complete.
        stage: usize,
    },
    /// The [timeout](crate::Session::timeout) of the session was over.
    TimedOut {
        /// The number of the stage, from 1, that was not complete.
        stage: usize,
    },
    /// The manager was shut down or detached.
    ShutDown {
        /// The number of the stage, from 1, that was not complete.
        stage: usize,
    },
}

impl fmt::Display for SessionOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SessionOutcome::Complete => f.write_str("the boot is complete"),
            SessionOutcome::Failed { stage, uuid } => write!(f, "stage {stage} failed with process {uuid:?}"),
            SessionOutcome::Cancelled { stage } => write!(f, "the boot was cancelled in stage {stage}"),
            SessionOutcome::TimedOut { stage } => write!(f, "the time of the boot was over in stage {stage}"),
            SessionOutcome::ShutDown { stage } => write!(f, "the manager was shut down in stage {stage}"),
        }
    }
}

/// The results of the boot of a session.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionResults {
    /// How the boot went.
    pub outcome: SessionOutcome,
    /// For each uuid, how far the boot brought the process: when the call returned, or, for a process that the boot
    /// rolled back, before that.
    pub processes: BTreeMap<String, BootState>,
    /// The processes that the boot has ended: starts that it cancelled, and processes that it rolled back. They have
    /// left the manager's table, unless the result is [`Error::StillRunning`].
    pub ended: KillResults,
}

impl SessionResults {
    /// Returns whether every stage is complete.
    pub fn is_complete(&self) -> bool {
        self.outcome == SessionOutcome::Complete
    }
}

/// What a boot reports to its progress callback.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct SessionProgress<'a> {
    /// The number of the stage that boots, from 1.
    pub stage: usize,
    /// How many stages the session has.
    pub stages: usize,
    /// The uuid of a process that runs now, is ready or is not ready in time, has failed or has ended, and its state.
    /// `None` when a stage begins, and when a second has passed without such a change.
    pub process: Option<(&'a str, &'a BootState)>,
}
