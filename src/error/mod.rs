//! What can go wrong: one enum, each variant with what was concerned and what to do.

mod file;
mod launcher;
mod ssh;
mod start;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::destination;
use crate::sys;

pub use file::FileProblem;
pub use launcher::LauncherFailure;
pub use ssh::SshFailure;
pub use start::{StartFailure, StartStage};

/// Every error of this crate.
///
/// Errors are `Clone`, because one failure can be the answer of a call, an event of many subscribers and the argument
/// of a callback; what caused it is shared, and [`source`](std::error::Error::source) gives it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Error {
    /// A value was refused before anything was started.
    Invalid {
        /// The field, as it is called in JSON: `host`, `environment.PATH`, `limits.core`, …
        field: String,
        /// The value, shortened to 80 characters where it was longer; bytes that are not UTF-8 are replaced.
        value: String,
        /// What a valid value is.
        reason: String,
    },
    /// JSON could not be read, or is not what it should be: the message names the key, the line and the column.
    Json(Arc<serde_json::Error>),
    /// No process of that uuid is in the manager's table.
    UnknownUuid {
        /// The uuid that was asked for.
        uuid: String,
    },
    /// The uuid belongs to a process that has not ended.
    UuidInUse {
        /// The uuid that was to be started.
        uuid: String,
    },
    /// The process was asked to end and had not ended when the time was over. It can be killed again.
    StillRunning {
        /// Its uuid.
        uuid: String,
        /// How long the call waited.
        waited: Duration,
    },
    /// The remote pid is not known: not yet, or the start failed before there was one.
    NoRemotePid {
        /// The uuid that was asked for.
        uuid: String,
    },
    /// The process has ended or never started, so it cannot be signalled.
    NotRunning {
        /// Its uuid.
        uuid: String,
    },
    /// The remote side refused to deliver a signal, because the process is gone or the signal does not exist there.
    SignalRefused {
        /// Its uuid.
        uuid: String,
        /// The signal's name.
        signal: String,
    },
    /// The link to the process does not take commands: it is lost, being closed, or its buffers are full.
    LinkDown {
        /// Its uuid.
        uuid: String,
    },
    /// ssh did not get a session on the host.
    Ssh {
        /// The host, as it was given.
        host: String,
        /// The remote user, as it was given; `None` where ssh chooses.
        user: Option<String>,
        /// What went wrong.
        failure: SshFailure,
        /// What ssh itself said, its last 4 KiB.
        stderr: String,
    },
    /// Another launcher than ssh did not give a shell.
    Launcher {
        /// Which: `local`, `srun`, or the program of the command; `slurm` of [`Slurm::hosts`](crate::Slurm::hosts).
        launcher: String,
        /// The host, as it was given; empty where it is about none.
        host: String,
        /// The user, as it was given.
        user: Option<String>,
        /// What went wrong.
        failure: LauncherFailure,
        /// What the launcher itself said, its last 4 KiB.
        stderr: String,
    },
    /// There was a shell on the host, but the application did not come to run.
    StartFailed {
        /// Its uuid.
        uuid: String,
        /// The host, as it was given.
        host: String,
        /// The remote user, as it was given; `None` where ssh chooses.
        user: Option<String>,
        /// What went wrong.
        reason: StartFailure,
        /// What of the request the reason is about, shortened to 80 characters where it was longer: the program, the
        /// path of the working directory or of the log file, the name of the variable, the shell, or the setup line.
        subject: Option<String>,
        /// The log file, as it was given, where it has what was written to stderr until then.
        log_file: Option<PathBuf>,
        /// The last part of what was written to stderr until then, at most 4 KiB, where there is no log file.
        output: String,
    },
    /// A file on a host cannot be read.
    RemoteFile {
        /// The host, as it was given.
        host: String,
        /// The file, as it was given.
        path: String,
        /// Why.
        problem: FileProblem,
    },
    /// A metadata file on a host is not what a wrapper writes.
    BadMetadata {
        /// The process that it is of.
        uuid: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A local resource ran out or a local call failed.
    Local {
        /// What was tried.
        what: String,
        /// The system's answer.
        source: Arc<io::Error>,
    },
    /// A call that blocks was made inside a callback, where it could never be answered.
    InsideCallback,
    /// The time of a wait was over.
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
    },
    /// The manager was shut down: it starts nothing any more.
    ShutDown,
    /// The manager has let go of the process, which is kept: it goes on, and can be adopted.
    Detached {
        /// The process.
        uuid: String,
    },
    /// The process on the host cannot be adopted.
    NotAdoptable {
        /// The process.
        uuid: String,
        /// Why.
        reason: &'static str,
    },
    /// Another manager has the process, or its own manager lives.
    TakenOver {
        /// The process.
        uuid: String,
    },
}

/// The result of this crate's calls.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn invalid(field: impl Into<String>, value: impl AsRef<[u8]>, reason: impl Into<String>) -> Error {
        Error::Invalid { field: field.into(), value: shortened(value.as_ref()), reason: reason.into() }
    }

    /// Adds what the failure of a start is about.
    pub(crate) fn about(mut self, of_request: Option<String>) -> Error {
        if let Error::StartFailed { subject, .. } = &mut self {
            *subject = of_request.map(|text| shortened(text.as_bytes()));
        }
        self
    }

    /// The error for a log. Setup lines may have secrets, and so may what a shell says of them.
    pub(crate) fn without_setup_lines(&self) -> Error {
        let mut error = self.clone();
        if let Error::StartFailed { reason: StartFailure::Setup { .. }, subject, output, .. } = &mut error {
            *subject = None;
            output.clear();
        }
        error
    }

    pub(crate) fn local(what: impl Into<String>, source: io::Error) -> Error {
        Error::Local { what: what.into(), source: Arc::new(source) }
    }
}

/// What a host has written, without what would steer the reader's terminal.
fn printable(text: &str) -> String {
    let is_hidden = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    text.trim().chars().map(|c| if is_hidden(c) { '?' } else { c }).collect()
}

/// A hint for a path that was meant for a shell, which would put the home directory in the place of the tilde.
fn about_tilde(path: &str) -> &'static str {
    match path.starts_with("~/") {
        true => " (the tilde is literal; leave \"~/\" out, relative paths begin at the login directory)",
        false => "",
    }
}

fn shortened(value: &[u8]) -> String {
    const SHOWN: usize = 80;
    let text = String::from_utf8_lossy(&value[..value.len().min(4 * SHOWN)]);
    if text.chars().count() <= SHOWN && value.len() <= 4 * SHOWN {
        return text.into_owned();
    }
    text.chars().take(SHOWN).chain("…".chars()).collect()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Invalid { field, value, reason } => write!(f, "{field}: {value:?} is refused: {reason}"),
            Error::Json(source) => write!(f, "JSON: {source}"),
            Error::UnknownUuid { uuid } => write!(f, "no process {uuid:?} is known; has it been killed or forgotten?"),
            Error::UuidInUse { uuid } => write!(f, "process {uuid:?} has not ended; kill it before starting it again"),
            Error::StillRunning { uuid, waited } => {
                write!(f, "process {uuid:?} is still running after {:.1} s; kill it again", waited.as_secs_f64())
            }
            Error::NoRemotePid { uuid } => write!(f, "no metadata: the remote pid of process {uuid:?} is not known"),
            Error::NotRunning { uuid } => write!(f, "process {uuid:?} is not running"),
            Error::SignalRefused { uuid, signal } => {
                write!(f, "process {uuid:?} did not get signal {signal}: it is gone, or its host has no such signal")
            }
            Error::LinkDown { uuid } => write!(f, "the link to process {uuid:?} takes no commands; is its host up?"),
            Error::Ssh { host, user, failure, stderr } => {
                write!(f, "ssh to {}: {failure}", destination::name(host, user.as_deref()))?;
                if stderr.trim().is_empty() { Ok(()) } else { write!(f, " (ssh said: {})", printable(stderr)) }
            }
            Error::Launcher { launcher, host, user, failure, stderr } => {
                f.write_str(launcher)?;
                if !host.is_empty() {
                    write!(f, " on {}", destination::name(host, user.as_deref()))?;
                }
                write!(f, ": {failure}")?;
                if stderr.trim().is_empty() { Ok(()) } else { write!(f, " (it said: {})", printable(stderr)) }
            }
            Error::StartFailed { uuid, host, user, reason, subject, log_file, output } => {
                write!(f, "process {uuid:?} on {}: ", destination::name(host, user.as_deref()))?;
                match (subject, reason) {
                    (Some(line), StartFailure::Setup { .. }) => write!(f, "{line:?}: ")?,
                    (Some(subject), StartFailure::ProgramNotFound) if subject.contains(' ') => {
                        write!(f, "{subject:?} (no shell splits this; pass each argument separately): ")?;
                    }
                    (Some(subject), _) => write!(f, "{subject:?}{}: ", about_tilde(subject))?,
                    (None, _) => {}
                }
                reason.fmt(f)?;
                match log_file {
                    _ if !output.trim().is_empty() => write!(f, " (stderr: {})", printable(output)),
                    Some(log_file) => write!(f, " (stderr is in {:?})", log_file.display().to_string()),
                    None => Ok(()),
                }
            }
            Error::RemoteFile { host, path, problem } => {
                write!(f, "{path:?}{} on {host}: {problem}", about_tilde(path))
            }
            Error::BadMetadata { uuid, reason } => {
                write!(f, "the metadata file of process {uuid:?} is not one: {reason}; nothing was done with it")
            }
            Error::Local { what, source } => write!(f, "{what}: {source}{}", advice(source)),
            Error::InsideCallback => {
                f.write_str("a call that blocks was made inside a callback; make it on another thread")
            }
            Error::TimedOut { what, waited } => write!(f, "{what}: not within {:.1} s", waited.as_secs_f64()),
            Error::Detached { uuid } => {
                write!(f, "process {uuid:?} is kept on its host; this manager has let go of it")
            }
            Error::NotAdoptable { uuid, reason } => write!(f, "process {uuid:?} cannot be adopted: {reason}"),
            Error::TakenOver { uuid } => write!(f, "process {uuid:?} has another manager, which lives"),
            Error::ShutDown => f.write_str("the manager was shut down; make a new one to start processes"),
        }
    }
}

/// Names the limit that was met, for the errors whose text does not.
fn advice(error: &io::Error) -> String {
    let limit =
        |resource| sys::limit(resource).map_or_else(|| "no limit is known".to_owned(), |limit| limit.to_string());
    match error.raw_os_error() {
        Some(libc::EMFILE) => format!(
            "; raise this program's limit of open files (RLIMIT_NOFILE, ulimit -n: {}): a process takes 3 or 4 descriptors, \
             7 while it starts",
            limit(libc::RLIMIT_NOFILE)
        ),
        Some(libc::ENFILE) => "; the system's table of open files is full (fs.file-max)".to_owned(),
        Some(libc::EAGAIN) => format!(
            "; raise this user's limit of processes and threads (RLIMIT_NPROC, ulimit -u: {}): a process takes one of each",
            limit(libc::RLIMIT_NPROC)
        ),
        _ => String::new(),
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Json(source) => Some(source.as_ref()),
            Error::Local { source, .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(source: serde_json::Error) -> Error {
        Error::Json(Arc::new(source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_steers_no_terminal() {
        let stderr = " \u{1b}[2Jfirst\n\tsecond\0\n".to_owned();
        let error = Error::Ssh { host: "alpha".into(), user: None, failure: SshFailure::Refused, stderr };
        assert!(error.to_string().ends_with("(ssh said: ?[2Jfirst\n\tsecond?)"), "{error}");
    }
}
