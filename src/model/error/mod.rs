//! The errors of the crate. [`Error`] is what calls return; each family of reasons that it carries has a file.
//!
//! A message says what failed, quotes the value, and says what is allowed or what to do.

mod file;
mod launcher;
mod not_ready;
mod not_restarted;
mod ssh;
mod start;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::de::Error as _;

use crate::local::sys;
use crate::model::destination;

pub use file::FileProblem;
pub use launcher::LauncherFailure;
pub use not_ready::NotReadyReason;
pub use not_restarted::NotRestartedReason;
pub use ssh::SshFailure;
pub use start::{StartFailure, StartStage};

/// Every error of this crate.
///
/// Errors are `Clone`, because one failure can be the result of a call, an event for many subscribers and the argument
/// of a callback. The clones share the error that caused the failure; [`source`](std::error::Error::source) returns it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Error {
    /// The caller gave a value that is not valid. Nothing was started.
    Invalid {
        /// The field, named as in JSON: `host`, `environment.PATH`, `limits.core`, …
        field: String,
        /// The value, cut after 80 characters; bytes that are not UTF-8 are replaced. A value that may be secret is
        /// replaced by `…`.
        value: String,
        /// What a valid value is, or what is wrong with this one.
        reason: String,
    },
    /// The text is not JSON, or not the JSON that is expected: the message names the key, the line and the column.
    Json(Arc<serde_json::Error>),
    /// No process in the manager's table has this uuid.
    UnknownUuid {
        /// The uuid that the caller gave.
        uuid: String,
    },
    /// The uuid belongs to a process that has not ended, or that will be restarted.
    UuidInUse {
        /// The uuid that the caller gave.
        uuid: String,
    },
    /// The call asked the process to end, and it had not ended when the timeout was over. It can be killed again. The
    /// usual reasons: its link is lost ([`process_state`](crate::Manager::process_state) says so), so no signal reaches
    /// it; or it waits inside its host's kernel, for example for a file server that does not answer, and KILL ends it
    /// only after that wait.
    StillRunning {
        /// The uuid of the process.
        uuid: String,
        /// How long the call waited.
        waited: Duration,
    },
    /// The remote pid of the process is not known: there is none yet, or the start failed before there was one.
    NoRemotePid {
        /// The uuid of the process.
        uuid: String,
    },
    /// The process has ended or never started, so it cannot be signalled.
    NotRunning {
        /// The uuid of the process.
        uuid: String,
    },
    /// The remote side could not deliver a signal, because the process is gone or its host does not have the signal.
    SignalRefused {
        /// The uuid of the process.
        uuid: String,
        /// The signal's name.
        signal: String,
    },
    /// The link to the process takes no commands: it is lost, it is being closed, or its buffers are full.
    LinkDown {
        /// The uuid of the process.
        uuid: String,
    },
    /// ssh could not log in on the host, or not open a channel there.
    Ssh {
        /// The host, as the caller gave it.
        host: String,
        /// The remote user, as the caller gave it; `None` where ssh chooses the user.
        user: Option<String>,
        /// What went wrong.
        failure: SshFailure,
        /// The last 4 KiB that ssh itself wrote to stderr.
        stderr: String,
    },
    /// A launcher other than ssh gave no shell.
    Launcher {
        /// The launcher: `local`, `srun`, or the program of the command; `slurm` for
        /// [`Slurm::hosts`](crate::Slurm::hosts).
        launcher: String,
        /// The host, as the caller gave it; empty where the error concerns no host.
        host: String,
        /// The user, as the caller gave it.
        user: Option<String>,
        /// What went wrong.
        failure: LauncherFailure,
        /// The last 4 KiB that the launcher itself wrote to stderr.
        stderr: String,
    },
    /// There was a shell on the host, but the application did not come to run.
    StartFailed {
        /// The uuid of the process.
        uuid: String,
        /// The host, as the caller gave it.
        host: String,
        /// The remote user, as the caller gave it; `None` where ssh chooses the user.
        user: Option<String>,
        /// What went wrong.
        reason: StartFailure,
        /// The part of the request that the reason concerns, cut after 80 characters: the program, the path of the
        /// working directory or of the log file, the name of the variable, the shell, or the setup line.
        subject: Option<String>,
        /// The log file, as the caller gave it, where it holds what the start wrote to stderr.
        log_file: Option<PathBuf>,
        /// The last part, at most 4 KiB, of what the start wrote to stderr, where there is no log file.
        output: String,
    },
    /// A file on a host cannot be read.
    RemoteFile {
        /// The host, as the caller gave it.
        host: String,
        /// The path of the file, as the caller gave it.
        path: String,
        /// Why the file cannot be read.
        problem: FileProblem,
    },
    /// A metadata file on a host does not hold what a wrapper writes. Nothing was done with it.
    BadMetadata {
        /// The uuid of the process that the file describes.
        uuid: String,
        /// What is wrong with the file.
        reason: String,
    },
    /// A local resource ran out or a local call failed.
    Local {
        /// What sshpm tried to do.
        what: String,
        /// The system's answer.
        source: Arc<io::Error>,
    },
    /// A blocking call was made inside a callback, where it could never be answered.
    InsideCallback,
    /// The timeout of a call was over. The process, if the call waited for one, goes on as before.
    TimedOut {
        /// What the call waited for.
        what: String,
        /// How long the call waited.
        waited: Duration,
    },
    /// The manager was shut down and starts no more processes.
    ShutDown,
    /// The manager has detached from the kept process, which goes on and can be adopted.
    Detached {
        /// The uuid of the process.
        uuid: String,
    },
    /// The process on the host cannot be adopted.
    NotAdoptable {
        /// The uuid of the process.
        uuid: String,
        /// Why it cannot be adopted.
        reason: &'static str,
    },
    /// The process runs, and does not count as ready.
    NotReady {
        /// The uuid of the process.
        uuid: String,
        /// Why it does not.
        reason: NotReadyReason,
    },
    /// [`Manager::restart_process`](crate::Manager::restart_process) did not start the process again.
    NotRestarted {
        /// The uuid of the process.
        uuid: String,
        /// Why it did not.
        reason: NotRestartedReason,
    },
    /// Another live manager controls the process.
    TakenOver {
        /// The uuid of the process.
        uuid: String,
    },
}

/// The result of this crate's calls.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn invalid(field: impl Into<String>, value: impl AsRef<[u8]>, reason: impl Into<String>) -> Error {
        Error::Invalid { field: field.into(), value: shortened(value.as_ref()), reason: reason.into() }
    }

    /// Adds where the value stands: in which part of a JSON text, or at which place of a list.
    pub(crate) fn inside(self, place: &str) -> Error {
        match self {
            Error::Invalid { field, value, reason } => {
                Error::Invalid { field: format!("{place}.{field}"), value, reason }
            }
            Error::Json(error) => serde_json::Error::custom(format!("{place}: {error}")).into(),
            other => other,
        }
    }

    /// Adds the part of the request that the failure of a start concerns.
    pub(crate) fn about(mut self, of_request: Option<String>) -> Error {
        if let Error::StartFailed { subject, .. } = &mut self {
            *subject = of_request.map(|text| shortened(text.as_bytes()));
        }
        self
    }

    /// Returns the error in a form for logs: a setup line may contain secrets, and so may what its shell writes.
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

/// Returns a host's text without the control characters that would change the state of the reader's terminal.
pub(crate) fn printable(text: &str) -> String {
    let is_hidden = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    text.trim().chars().map(|c| if is_hidden(c) { '?' } else { c }).collect()
}

/// Returns a hint for a path that was meant for a shell, which would replace the tilde by the home directory.
fn about_tilde(path: &str) -> &'static str {
    match path.starts_with("~/") {
        true => " (sshpm does not expand \"~/\"; leave it out, because relative paths begin at the login directory)",
        false => "",
    }
}

/// Returns the value as text, cut after 80 characters.
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
            Error::Invalid { field, value, reason } => write!(f, "invalid {field} {value:?}: {reason}"),
            Error::Json(source) => write!(f, "invalid JSON: {source}"),
            Error::UnknownUuid { uuid } => {
                write!(f, "unknown process {uuid:?}: it was never started here, or it was killed or forgotten")
            }
            Error::UuidInUse { uuid } => {
                write!(f, "process {uuid:?} has not ended or will be restarted; kill it first")
            }
            Error::StillRunning { uuid, waited } => {
                write!(f, "process {uuid:?} is still running after {:.1} s; kill it again", waited.as_secs_f64())
            }
            Error::NoRemotePid { uuid } => {
                write!(f, "the remote pid of process {uuid:?} is not known: it is not running yet, or its start failed")
            }
            Error::NotRunning { uuid } => write!(f, "process {uuid:?} is not running: it has ended or never started"),
            Error::SignalRefused { uuid, signal } => {
                write!(f, "process {uuid:?} did not get signal {signal}: it is gone, or its host has no such signal")
            }
            // A follower of a log file is about no process.
            Error::LinkDown { uuid } if uuid.is_empty() => {
                f.write_str("this follower of a log file has ended; its first error said why")
            }
            Error::LinkDown { uuid } => {
                write!(f, "the link to process {uuid:?} takes no commands; check that its host is up")
            }
            Error::Ssh { host, user, failure, stderr } => {
                write!(f, "ssh to {}: {failure}", destination::name(host, user.as_deref()))?;
                write_quote(f, "ssh said", stderr)
            }
            Error::Launcher { launcher, host, user, failure, stderr } => {
                f.write_str(launcher)?;
                if !host.is_empty() {
                    write!(f, " on {}", destination::name(host, user.as_deref()))?;
                }
                write!(f, ": {failure}")?;
                write_quote(f, "it said", stderr)
            }
            Error::StartFailed { uuid, host, user, reason, subject, log_file, output } => {
                let place = destination::name(host, user.as_deref());
                match uuid.as_str() {
                    // The validation of a host is about no process.
                    "" => write!(f, "could not validate {place}: ")?,
                    uuid => write!(f, "could not start process {uuid:?} on {place}: ")?,
                }
                match (subject, reason) {
                    (Some(line), StartFailure::Setup { .. }) => write!(f, "{line:?}: ")?,
                    (Some(subject), StartFailure::ProgramNotFound) if subject.contains(' ') => {
                        write!(
                            f,
                            "{subject:?} (sshpm does not split this into words; pass each argument separately): "
                        )?;
                    }
                    (Some(subject), _) => write!(f, "{subject:?}{}: ", about_tilde(subject))?,
                    (None, _) => {}
                }
                reason.fmt(f)?;
                match log_file {
                    Some(log_file) if output.trim().is_empty() => {
                        write!(f, " (stderr is in {:?})", log_file.display().to_string())
                    }
                    _ => write_quote(f, "stderr", output),
                }
            }
            Error::RemoteFile { host, path, problem } => {
                write!(f, "could not read {path:?}{} on {host}: {problem}", about_tilde(path))
            }
            Error::BadMetadata { uuid, reason } => {
                write!(f, "the metadata file of process {uuid:?} is not valid: {reason}; sshpm did not use it")
            }
            Error::Local { what, source } => write!(f, "{what} failed: {source}{}", advice(source)),
            Error::InsideCallback => {
                f.write_str("a blocking call was made inside a callback; make it on another thread")
            }
            Error::TimedOut { what, waited } => {
                write!(f, "timed out after {:.1} s waiting for {what}", waited.as_secs_f64())
            }
            Error::Detached { uuid } => {
                write!(f, "this manager has detached from process {uuid:?}; adopt the process with a new manager")
            }
            Error::NotAdoptable { uuid, reason } => write!(f, "process {uuid:?} cannot be adopted: {reason}"),
            Error::NotRestarted { uuid, reason } => write!(f, "process {uuid:?} was not restarted: {reason}"),
            Error::NotReady { uuid, reason } => write!(f, "process {uuid:?} is {reason}"),
            Error::TakenOver { uuid } => write!(f, "process {uuid:?} is controlled by another live manager"),
            Error::ShutDown => f.write_str("the manager was shut down; create a new one to start processes"),
        }
    }
}

/// Writes what a program has written, in parentheses, or nothing if it has written nothing.
fn write_quote(f: &mut fmt::Formatter<'_>, introduction: &str, text: &str) -> fmt::Result {
    if text.trim().is_empty() { Ok(()) } else { write!(f, " ({introduction}: {})", printable(text)) }
}

/// Names the limit that was reached, for the errors of the system whose own text does not name it.
fn advice(error: &io::Error) -> String {
    let number =
        |limit: libc::rlim_t| if limit == libc::RLIM_INFINITY { "unlimited".into() } else { limit.to_string() };
    let limit = |resource| match sys::limits(resource) {
        Some((soft, hard)) if soft == hard => format!("{}, its maximum", number(soft)),
        Some((soft, hard)) => format!("{}, at most {}", number(soft), number(hard)),
        None => "unknown".to_owned(),
    };
    match error.raw_os_error() {
        Some(libc::EMFILE) => format!(
            "; raise this program's limit of open files (RLIMIT_NOFILE, ulimit -n: {}): each process takes 3 or 4 \
             descriptors, and 7 while it starts",
            limit(libc::RLIMIT_NOFILE)
        ),
        Some(libc::ENFILE) => "; the system's table of open files is full; raise fs.file-max".to_owned(),
        Some(libc::EAGAIN) => format!(
            "; raise this user's limit of processes and threads (RLIMIT_NPROC, ulimit -u: {}): each process takes one \
             of each",
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
    fn a_message_does_not_change_the_terminal() {
        let stderr = " \u{1b}[2Jfirst\n\tsecond\0\n".to_owned();
        let error = Error::Ssh { host: "alpha".into(), user: None, failure: SshFailure::Refused, stderr };
        assert!(error.to_string().ends_with("(ssh said: ?[2Jfirst\n\tsecond?)"), "{error}");
    }
}
