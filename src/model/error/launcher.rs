//! Why a launcher other than ssh gave no shell.

use std::fmt;

/// Why a launcher gave no shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LauncherFailure {
    /// The launcher's program was not found or could not be executed.
    NotFound,
    /// The launcher did not answer before the timeout of the call was over.
    TimedOut,
    /// The launcher closed its streams, or was killed, before its answer was complete.
    Closed,
    /// The launcher ended before there was a shell, with this exit code; what it wrote is in
    /// [`Error::Launcher`](crate::Error::Launcher).
    Ended(i32),
    /// Slurm does not know the job, the job has ended, or it belongs to another user.
    NoJob,
    /// The host is not a node of the Slurm job.
    NotInJob,
    /// No slurmctld of Slurm answers, no configuration names one, or munge does not run.
    NoController,
}

impl fmt::Display for LauncherFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LauncherFailure::NotFound => "its program cannot be executed; check that it is installed and in PATH",
            LauncherFailure::TimedOut => "it did not answer in time",
            LauncherFailure::Closed => "it closed its output, or was killed, before its answer was complete",
            LauncherFailure::Ended(code) => {
                return write!(f, "it ended with exit code {code} before there was a shell");
            }
            LauncherFailure::NoJob => {
                "Slurm has no such job of this user, or the job has ended; squeue lists the running jobs"
            }
            LauncherFailure::NotInJob => "the host is not a node of the job; squeue lists its nodes",
            LauncherFailure::NoController => {
                "no slurmctld answers, or munge does not run; run scontrol ping to learn more"
            }
        })
    }
}
