//! What becomes of a process whose link is lost.

use serde::Deserialize;

/// What becomes of a process when the link to it, or the manager, is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LinkLossPolicy {
    /// It is ended: HUP to its group, and after [`grace`](crate::BootRequest::grace) KILL.
    #[default]
    Terminate,
    /// It goes on, from the moment on that its program was executed. This manager takes it over again by itself as soon as the
    /// host answers, and learns an end that came meanwhile; another one takes it over by
    /// [`adopt_process`](crate::Manager::adopt_process). Without a log file, its output is kept in files on its host, as
    /// much as there is, until a manager has it. Its files are in `${XDG_STATE_HOME:-~/.local/state}/sshpm/HOST`.
    Keep,
}
