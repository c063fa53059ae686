//! Why a launcher other than ssh gave no shell.

use std::fmt;

/// Why a launcher gave no shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LauncherFailure {
    /// The launcher's program was not found or could not be executed.
    NotFound,
    /// It gave no shell in the time.
    TimedOut,
    /// It closed its streams, or was killed, before it had said all.
    Closed,
    /// It ended before there was a shell, with this exit code; the message is in [`Error::Launcher`](crate::Error::Launcher).
    Ended(i32),
    /// Slurm: it does not know the job, the job has ended, or is another user's.
    NoJob,
    /// Slurm: the host is no node of the job.
    NotInJob,
    /// Slurm: no slurmctld answers, there is no configuration that names one, or munge does not run.
    NoController,
}

impl fmt::Display for LauncherFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LauncherFailure::NotFound => "the program cannot be executed; is it installed, and in PATH?",
            LauncherFailure::TimedOut => "no shell came in time",
            LauncherFailure::Closed => "it was closed before it had said all",
            LauncherFailure::Ended(code) => return write!(f, "it ended with {code} before there was a shell"),
            LauncherFailure::NoJob => {
                "Slurm has no such job of this user, or it has ended; squeue lists those that run"
            }
            LauncherFailure::NotInJob => "the host is no node of the job; squeue lists its nodes",
            LauncherFailure::NoController => "no slurmctld answers, or munge does not run; scontrol ping tells more",
        })
    }
}
