//! Makes the crate's errors from C's codes and messages: a code and a message together say all that an error has.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::c;
use crate::input::{copied, duration};
use crate::{
    Error, FileProblem, LauncherFailure, NotReadyReason, NotRestartedReason, SshFailure, StartFailure, StartStage,
};

/// Returns the error of the last call that failed in this thread.
pub(crate) fn last_error(code: c::sshpm_result) -> Error {
    // SAFETY: the text belongs to this thread until its next call that fails.
    let message = unsafe { copied(c::sshpm_last_error_message()) }.unwrap();
    error(code, &message)
}

pub(crate) fn error(code: c::sshpm_result, message: &str) -> Error {
    let error = parse(code, message).unwrap_or_else(|| panic!("no error has code {code} and message {message:?}"));
    // Nothing was lost or made up.
    assert_eq!(error.to_string(), message, "{error:?}");
    error
}

fn parse(code: c::sshpm_result, message: &str) -> Option<Error> {
    let uuid = || Some(quoted(message)?.0);
    Some(match code {
        c::SSHPM_ERROR_INVALID => {
            let (field, rest) = message.strip_prefix("invalid ")?.split_once(" \"")?;
            let (value, rest) = quoted_from(rest)?;
            let reason = rest.strip_prefix(": ")?.to_owned();
            Error::Invalid { field: field.to_owned(), value, reason }
        }
        c::SSHPM_ERROR_JSON => {
            let text = message.strip_prefix("invalid JSON: ")?;
            Error::Json(Arc::new(<serde_json::Error as serde::de::Error>::custom(text)))
        }
        c::SSHPM_ERROR_UNKNOWN_UUID => Error::UnknownUuid { uuid: uuid()? },
        c::SSHPM_ERROR_UUID_IN_USE => Error::UuidInUse { uuid: uuid()? },
        c::SSHPM_ERROR_STILL_RUNNING => {
            let waited = seconds(between(message, " is still running after ", " s; ")?)?;
            Error::StillRunning { uuid: uuid()?, waited }
        }
        c::SSHPM_ERROR_NO_REMOTE_PID => Error::NoRemotePid { uuid: uuid()? },
        c::SSHPM_ERROR_NOT_RUNNING => Error::NotRunning { uuid: uuid()? },
        c::SSHPM_ERROR_SIGNAL_REFUSED => {
            let signal = between(message, " did not get signal ", ": ")?.to_owned();
            Error::SignalRefused { uuid: uuid()?, signal }
        }
        c::SSHPM_ERROR_LINK_DOWN => Error::LinkDown { uuid: uuid().unwrap_or_default() },
        c::SSHPM_ERROR_FILE_MISSING
        | c::SSHPM_ERROR_FILE_IS_DIRECTORY
        | c::SSHPM_ERROR_FILE_UNREADABLE
        | c::SSHPM_ERROR_FILE_NOT_REGULAR => {
            let problem = match code {
                c::SSHPM_ERROR_FILE_MISSING => FileProblem::Missing,
                c::SSHPM_ERROR_FILE_IS_DIRECTORY => FileProblem::IsDirectory,
                c::SSHPM_ERROR_FILE_UNREADABLE => FileProblem::Unreadable,
                _ => FileProblem::NotRegular,
            };
            let (path, rest) = quoted(message)?;
            Error::RemoteFile { host: between(rest, " on ", ": ")?.to_owned(), path, problem }
        }
        c::SSHPM_ERROR_BAD_METADATA => {
            let reason = between(message, " is not valid: ", "; sshpm did not use it")?.to_owned();
            Error::BadMetadata { uuid: uuid()?, reason }
        }
        c::SSHPM_ERROR_LOCAL => {
            let (what, source) = message.split_once(" failed: ")?;
            Error::Local { what: what.to_owned(), source: Arc::new(io::Error::other(source)) }
        }
        c::SSHPM_ERROR_INSIDE_CALLBACK => Error::InsideCallback,
        c::SSHPM_ERROR_TIMED_OUT => {
            let (waited, what) = message.strip_prefix("timed out after ")?.split_once(" s waiting for ")?;
            Error::TimedOut { what: what.to_owned(), waited: seconds(waited)? }
        }
        c::SSHPM_ERROR_SHUT_DOWN => Error::ShutDown,
        c::SSHPM_ERROR_DETACHED => Error::Detached { uuid: uuid()? },
        c::SSHPM_ERROR_TAKEN_OVER => Error::TakenOver { uuid: uuid()? },
        c::SSHPM_ERROR_NOT_ADOPTABLE => {
            let (_, reason) = message.split_once(" cannot be adopted: ")?;
            // Rust's reasons are static texts.
            Error::NotAdoptable { uuid: uuid()?, reason: reason.to_owned().leak() }
        }
        c::SSHPM_ERROR_NOT_READY => {
            let (_, reason) = message.split_once(" is ")?;
            Error::NotReady { uuid: uuid()?, reason: not_ready_reason(reason)? }
        }
        c::SSHPM_ERROR_RESTART_IN_PROGRESS => {
            Error::NotRestarted { uuid: uuid()?, reason: NotRestartedReason::InProgress }
        }
        c::SSHPM_ERROR_RESTART_CANCELLED => {
            Error::NotRestarted { uuid: uuid()?, reason: NotRestartedReason::Cancelled }
        }
        c::SSHPM_ERROR_RESTART_NO_REQUEST => {
            Error::NotRestarted { uuid: uuid()?, reason: NotRestartedReason::NoRequest }
        }
        // The families of codes, as src/capi/codes.rs numbers them.
        100..200 => ssh(code, message)?,
        200..300 => start(code, message)?,
        300..400 => launcher(code, message)?,
        _ => return None,
    })
}

pub(crate) fn not_ready_reason(text: &str) -> Option<NotReadyReason> {
    if text == NotReadyReason::NotifyClosed.to_string() {
        return Some(NotReadyReason::NotifyClosed);
    }
    Some(NotReadyReason::TimedOut { after: seconds(between(text, "not ready ", " s after ")?)? })
}

/// Returns the limit of restarts, and within which time they count.
pub(crate) fn restart_limit(text: &str) -> Option<(u32, Duration)> {
    let (limit, within) = text.strip_prefix("it had ")?.strip_suffix(" s")?.split_once(" restarts within ")?;
    Some((limit.parse().ok()?, duration(within.parse().ok()?)))
}

fn launcher(code: c::sshpm_result, message: &str) -> Option<Error> {
    let failure = match code {
        c::SSHPM_ERROR_LAUNCHER_NOT_FOUND => LauncherFailure::NotFound,
        c::SSHPM_ERROR_LAUNCHER_TIMED_OUT => LauncherFailure::TimedOut,
        c::SSHPM_ERROR_LAUNCHER_CLOSED => LauncherFailure::Closed,
        c::SSHPM_ERROR_LAUNCHER_ENDED => {
            LauncherFailure::Ended(between(message, ": it ended with exit code ", " before ")?.parse().ok()?)
        }
        c::SSHPM_ERROR_LAUNCHER_NO_JOB => LauncherFailure::NoJob,
        c::SSHPM_ERROR_LAUNCHER_NOT_IN_JOB => LauncherFailure::NotInJob,
        c::SSHPM_ERROR_LAUNCHER_NO_CONTROLLER => LauncherFailure::NoController,
        _ => return None,
    };
    let (who, said) = message.split_once(&format!(": {failure}"))?;
    // A question to Slurm is not about a host.
    let (launcher, destination) = who.split_once(" on ").unwrap_or((who, ""));
    let (host, user) = destination_of(destination);
    let stderr = in_parentheses(said, "it said")?;
    Some(Error::Launcher { launcher: launcher.to_owned(), host, user, failure, stderr })
}

fn ssh(code: c::sshpm_result, message: &str) -> Option<Error> {
    let (destination, said) = message.strip_prefix("ssh to ")?.split_once(": ")?;
    let failure = match code {
        c::SSHPM_ERROR_SSH_NAME_NOT_RESOLVED => SshFailure::NameNotResolved,
        c::SSHPM_ERROR_SSH_REFUSED => SshFailure::Refused,
        c::SSHPM_ERROR_SSH_UNREACHABLE => SshFailure::Unreachable,
        c::SSHPM_ERROR_SSH_TIMED_OUT => SshFailure::TimedOut,
        c::SSHPM_ERROR_SSH_AUTHENTICATION_FAILED => SshFailure::AuthenticationFailed,
        c::SSHPM_ERROR_SSH_HOST_KEY_UNKNOWN => SshFailure::HostKeyUnknown,
        c::SSHPM_ERROR_SSH_HOST_KEY_CHANGED => SshFailure::HostKeyChanged,
        c::SSHPM_ERROR_SSH_THROTTLED => SshFailure::Throttled,
        c::SSHPM_ERROR_SSH_NOT_FOUND => SshFailure::SshNotFound,
        c::SSHPM_ERROR_SSH_CONFIGURATION => SshFailure::Configuration,
        c::SSHPM_ERROR_SSH_CLOSED => SshFailure::Closed,
        c::SSHPM_ERROR_SSH_REMOTE_SHELL => {
            SshFailure::RemoteShell(between(said, " ended with exit code ", " before ")?.parse().ok()?)
        }
        c::SSHPM_ERROR_SSH_OTHER => SshFailure::Other,
        c::SSHPM_ERROR_SSH_NO_TICKET => SshFailure::NoTicket,
        _ => return None,
    };
    let (host, user) = destination_of(destination);
    let stderr = in_parentheses(said.strip_prefix(&failure.to_string())?, "ssh said")?;
    Some(Error::Ssh { host, user, failure, stderr })
}

fn start(code: c::sshpm_result, message: &str) -> Option<Error> {
    let (uuid, rest) = quoted(message)?;
    let (destination, said) = rest.strip_prefix(" on ")?.split_once(": ")?;
    let (subject, said) = match said.strip_prefix('"') {
        Some(rest) => {
            let (subject, rest) = quoted_from(rest)?;
            let hint = rest.strip_prefix(" (").and_then(|rest| rest.split_once(')'));
            (Some(subject), hint.map_or(rest, |(_, rest)| rest).strip_prefix(": ")?)
        }
        None => (None, said),
    };
    let reason = match code {
        c::SSHPM_ERROR_START_TIMED_OUT => {
            let stages = [StartStage::Queued, StartStage::Connecting, StartStage::StartUpFiles, StartStage::Setup];
            let stage = stages.into_iter().find(|stage| said.contains(&stage.to_string()))?;
            let waited = match between(said, "; before that, it waited ", " s for a connection") {
                Some(text) => seconds(text)?.max(Duration::from_nanos(1)),
                None => Duration::ZERO,
            };
            StartFailure::TimedOut { after: seconds(between(said, "not running after ", " s (")?)?, stage, waited }
        }
        c::SSHPM_ERROR_START_SETUP => {
            let (line, rest) = said.strip_prefix("setup line ")?.split_once(" failed with exit code ")?;
            let code = rest.split(' ').next()?;
            StartFailure::Setup { line: line.parse().ok()?, code: code.parse().ok()? }
        }
        c::SSHPM_ERROR_START_SHELL_NOT_FOUND => StartFailure::ShellNotFound,
        c::SSHPM_ERROR_START_PROGRAM_NOT_FOUND => StartFailure::ProgramNotFound,
        c::SSHPM_ERROR_START_PROGRAM_NOT_FILE => StartFailure::ProgramNotFile,
        c::SSHPM_ERROR_START_PROGRAM_PERMISSION => StartFailure::ProgramPermission,
        c::SSHPM_ERROR_START_ARGUMENTS_TOO_LARGE => StartFailure::ArgumentsTooLarge,
        c::SSHPM_ERROR_START_NOT_EXECUTABLE => StartFailure::NotExecutable,
        c::SSHPM_ERROR_START_WORKING_DIRECTORY => StartFailure::WorkingDirectory,
        c::SSHPM_ERROR_START_LOG_DIRECTORY => StartFailure::LogDirectory,
        c::SSHPM_ERROR_START_LOG_FILE => StartFailure::LogFile,
        c::SSHPM_ERROR_START_LIMIT => {
            StartFailure::Limit(between(said, "the resource limit ", " was refused")?.to_owned())
        }
        c::SSHPM_ERROR_START_ENVIRONMENT => StartFailure::Environment,
        c::SSHPM_ERROR_START_RUNTIME_DIRECTORY => StartFailure::RuntimeDirectory,
        c::SSHPM_ERROR_START_NO_PROCESS => StartFailure::NoProcess,
        c::SSHPM_ERROR_START_PORT_TAKEN => {
            StartFailure::PortTaken(between(message, " TCP port ", " of the host")?.parse().ok()?)
        }
        c::SSHPM_ERROR_START_NO_PORT_TABLE => StartFailure::NoPortTable,
        c::SSHPM_ERROR_START_UUID_IN_USE_ON_HOST => StartFailure::UuidInUse,
        c::SSHPM_ERROR_START_ENDED_BEFORE_RUNNING => {
            StartFailure::Ended(between(said, "its shell ended with exit code ", " before ")?.parse().ok()?)
        }
        c::SSHPM_ERROR_START_PROTOCOL => StartFailure::Protocol,
        c::SSHPM_ERROR_START_LINK_LOST => StartFailure::LinkLost,
        _ => return None,
    };
    let (host, user) = destination_of(destination);
    let rest = said.strip_prefix(&reason.to_string())?;
    let log_file = rest.strip_prefix(" (stderr is in \"").and_then(quoted_from).map(|(file, _)| file.into());
    let output = if log_file.is_some() { String::new() } else { in_parentheses(rest, "stderr")? };
    Some(Error::StartFailed { uuid, host, user, reason, subject, log_file, output })
}

fn destination_of(text: &str) -> (String, Option<String>) {
    match text.split_once('@') {
        Some((user, host)) => (host.to_owned(), Some(user.to_owned())),
        None => (text.to_owned(), None),
    }
}

/// Returns TEXT of " (WHAT: TEXT)"; an empty text if there is nothing.
fn in_parentheses(rest: &str, what: &str) -> Option<String> {
    match rest {
        "" => Some(String::new()),
        _ => Some(rest.strip_prefix(&format!(" ({what}: "))?.strip_suffix(')')?.to_owned()),
    }
}

fn between<'a>(text: &'a str, before: &str, behind: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(behind)?.0)
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok().or(Some(Duration::MAX))
}

/// Returns the first string in quotation marks, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    quoted_from(text.split_once('"')?.1)
}

/// Returns the string that ends at the next quotation mark, and what follows it. Rust has written it for `{:?}`.
fn quoted_from(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                '0' => value.push('\0'),
                'u' => {
                    let digits: String =
                        chars.by_ref().map(|(_, char)| char).skip(1).take_while(|c| *c != '}').collect();
                    value.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
                }
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}
