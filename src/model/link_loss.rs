//! What happens to a process whose link is lost.

use serde::Deserialize;

/// What happens to a process when the link to it is lost, or the manager is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LinkLossPolicy {
    /// The host ends the process: it sends HUP to the process's group, and after [`grace`](crate::BootRequest::grace)
    /// KILL.
    #[default]
    Terminate,
    /// The process goes on, if its program was already executed: it is a kept process. This manager controls it again
    /// as soon as the host answers, and learns of an exit that happened meanwhile. Another manager controls it after
    /// [`adopt_process`](crate::Manager::adopt_process). If the process has no log file, the host stores its whole
    /// output in files, whatever its size, until a program has received its exit. The files of the process are in
    /// `${XDG_STATE_HOME:-~/.local/state}/sshpm/HOST` or, where no fifo can be made there (AFS), in `/tmp/drunc` or
    /// `/tmp/drunc-UID`.
    Keep,
}
