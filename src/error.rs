//! What can go wrong: one enum, each variant with what was concerned and what to do.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::sys;

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
        /// The last part of what was written to stderr until then, where there is no log file.
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

/// How ssh failed, told from its messages (OpenSSH 7.4 to 10; ssh has one exit code, 255, for all of these).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SshFailure {
    /// The name has no address.
    NameNotResolved,
    /// Nothing listens there.
    Refused,
    /// No route to the host or its network.
    Unreachable,
    /// No answer in the connect timeout.
    TimedOut,
    /// The host did not accept this user by any key, ticket or agent that ssh could offer without asking.
    AuthenticationFailed,
    /// The host would take a Kerberos ticket, and there is none, or it has expired.
    NoTicket,
    /// The host's key is in no known_hosts file, and the policy is to refuse such hosts.
    HostKeyUnknown,
    /// The host's key is not the one in known_hosts.
    HostKeyChanged,
    /// sshd dropped the connection before it was one (MaxStartups, PerSourceMaxStartups), until the connect timeout.
    Throttled,
    /// The ssh program was not found or could not be executed.
    SshNotFound,
    /// ssh does not accept its configuration or options.
    Configuration,
    /// The connection closed, for a reason that ssh's message does not name.
    Closed,
    /// The login works, but the login shell ended before the wrapper began, with this exit code: an account without
    /// a shell, a forced command, start-up files that exit.
    RemoteShell(i32),
    /// Anything else: the message is in [`Error::Ssh`].
    Other,
}

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
    /// It ended before there was a shell, with this exit code; the message is in [`Error::Launcher`].
    Ended(i32),
    /// Slurm: it does not know the job, the job has ended, or is another user's.
    NoJob,
    /// Slurm: the host is no node of the job.
    NotInJob,
    /// Slurm: no slurmctld answers, there is no configuration that names one, or munge does not run.
    NoController,
}

/// Why an application did not come to run, though there was a shell on its host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartFailure {
    /// `start_timeout` was over.
    TimedOut {
        /// The time that was given.
        after: Duration,
        /// How far the start had come.
        stage: StartStage,
    },
    /// A setup line failed.
    Setup {
        /// Its number, from 1.
        line: u32,
        /// The exit code of the line.
        code: i32,
    },
    /// The shell for the setup lines is not on the host, or cannot be executed there: it ended with 126 or 127 at once.
    ShellNotFound,
    /// The program, or the interpreter that its first line names, does not exist.
    ProgramNotFound,
    /// The program exists and cannot be executed: no permission, a directory, another machine's format, too many
    /// bytes of arguments and environment.
    NotExecutable,
    /// The working directory does not exist or cannot be entered.
    WorkingDirectory,
    /// The directory of the log file does not exist.
    LogDirectory,
    /// The log file cannot be written, or the former one not be renamed.
    LogFile,
    /// A resource limit was refused; its name as in JSON.
    Limit(String),
    /// The shell does not let a variable be set.
    Environment,
    /// The host has no directory where a fifo can be made.
    RuntimeDirectory,
    /// A process of this uuid, started by another manager, lives on the host.
    UuidInUse,
    /// Its shell ended before the application ran: it was ended from outside, or is no shell that reads POSIX shell code; the
    /// exit code, 128+n for signal n.
    Ended(i32),
    /// The link was lost while it started, and its host does not know whether it ran.
    LinkLost,
    /// The remote side spoke in a way that this version does not know.
    Protocol,
}

/// Why a file on a host cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileProblem {
    /// It does not exist, or did not come to exist in time.
    Missing,
    /// It is a directory.
    IsDirectory,
    /// The user may not read it.
    Unreadable,
    /// It is a fifo, a device or a socket: reading it could take for ever.
    NotRegular,
}

/// How far a start had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StartStage {
    /// It waited for a turn to connect: connections to one host are opened eight at a time.
    Queued,
    /// ssh had not given a session, or a start-up file of the login shell hangs or has swallowed its input.
    Connecting,
    /// The remote side had begun, and a setup line or the working directory hangs.
    Setup,
}

/// The result of this crate's calls.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn invalid(field: impl Into<String>, value: impl AsRef<[u8]>, reason: impl Into<String>) -> Error {
        Error::Invalid { field: field.into(), value: shortened(value.as_ref()), reason: reason.into() }
    }

    pub(crate) fn local(what: impl Into<String>, source: io::Error) -> Error {
        Error::Local { what: what.into(), source: Arc::new(source) }
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
                write!(f, "ssh to {}: {failure}", Destination(user, host))?;
                if stderr.trim().is_empty() { Ok(()) } else { write!(f, " (ssh said: {})", stderr.trim()) }
            }
            Error::Launcher { launcher, host, user, failure, stderr } => {
                f.write_str(launcher)?;
                if !host.is_empty() {
                    write!(f, " on {}", Destination(user, host))?;
                }
                write!(f, ": {failure}")?;
                if stderr.trim().is_empty() { Ok(()) } else { write!(f, " (it said: {})", stderr.trim()) }
            }
            Error::StartFailed { uuid, host, user, reason, output } => {
                write!(f, "process {uuid:?} on {}: {reason}", Destination(user, host))?;
                if output.trim().is_empty() { Ok(()) } else { write!(f, " (stderr: {})", output.trim()) }
            }
            Error::RemoteFile { host, path, problem } => write!(f, "{path:?} on {host}: {problem}"),
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

struct Destination<'a>(&'a Option<String>, &'a String);

impl fmt::Display for Destination<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(user) => write!(f, "{user}@{}", self.1),
            None => f.write_str(self.1),
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

impl fmt::Display for SshFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SshFailure::NameNotResolved => "the name is not resolved; check its spelling, ssh_config and DNS",
            SshFailure::Refused => "connection refused; does sshd run there, on that port?",
            SshFailure::Unreachable => "the host is unreachable; check the network and the host's power",
            SshFailure::TimedOut => "no answer in the connect timeout; is the host up, and no firewall between?",
            SshFailure::AuthenticationFailed => {
                "authentication failed; a login without questions must work (key, agent or Kerberos ticket)"
            }
            SshFailure::NoTicket => {
                "authentication failed, and the Kerberos ticket has expired, or there is none; run kinit"
            }
            SshFailure::HostKeyUnknown => {
                "the host key is not known; log in once by hand, or choose the policy accept-new"
            }
            SshFailure::HostKeyChanged => "the host key has changed; find out why, then mend known_hosts",
            SshFailure::Throttled => "sshd dropped the connections that were being opened; raise its MaxStartups",
            SshFailure::SshNotFound => "the ssh program cannot be executed; install openssh-client, or set its path",
            SshFailure::Configuration => "ssh refuses its configuration; mend ssh_config or the extra options",
            SshFailure::Closed => "the connection was closed; sshd's log tells more",
            SshFailure::RemoteShell(code) => {
                return write!(
                    f,
                    "the login shell ended with {code} before anything was started; \
                     does the account have a shell, and do its start-up files let commands pass?"
                );
            }
            SshFailure::Other => "ssh failed",
        })
    }
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

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartFailure::TimedOut { after, stage } => {
                write!(f, "not running after {:.1} s (start timeout): {stage}", after.as_secs_f64())
            }
            StartFailure::Setup { line, code } => write!(f, "setup line {line} failed with {code}"),
            StartFailure::ShellNotFound => {
                f.write_str("the shell for the setup lines is not on the host, or cannot be executed")
            }
            StartFailure::ProgramNotFound => {
                f.write_str("the program, or the interpreter its first line names, does not exist on the host")
            }
            StartFailure::NotExecutable => f.write_str(
                "the program cannot be executed (permission, format, or too many bytes of arguments and environment)",
            ),
            StartFailure::WorkingDirectory => f.write_str("the working directory cannot be entered; does it exist?"),
            StartFailure::LogDirectory => f.write_str("the directory of the log file does not exist; create it"),
            StartFailure::LogFile => f.write_str("the log file cannot be written, or the former one not renamed"),
            StartFailure::Limit(name) => {
                write!(f, "the resource limit {name} was refused; the host's hard limit is lower")
            }
            StartFailure::Environment => f.write_str("the shell does not let a variable of the environment be set"),
            StartFailure::RuntimeDirectory => f.write_str(
                "no directory for the handshake's fifo; XDG_RUNTIME_DIR, /tmp, /dev/shm and home were tried",
            ),
            StartFailure::UuidInUse => {
                f.write_str("a process of this uuid lives on the host, started by another manager")
            }
            StartFailure::Ended(code) => write!(f, "its shell ended with {code} before the application ran"),
            StartFailure::LinkLost => f.write_str("the link was lost while it started; whether it ran is not known"),
            StartFailure::Protocol => f.write_str("the remote side sent reports that this version does not understand"),
        }
    }
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileProblem::Missing => "it does not exist; is the name right?",
            FileProblem::IsDirectory => "it is a directory",
            FileProblem::Unreadable => "it may not be read by this user",
            FileProblem::NotRegular => "it is a fifo, a device or a socket",
        })
    }
}

impl fmt::Display for StartStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StartStage::Queued => "it waited for its turn to connect",
            StartStage::Connecting => {
                "there was no shell on the host in that time, or a start-up file of the login shell hangs or reads its input"
            }
            StartStage::Setup => "a setup line, the log file or the working directory hangs",
        })
    }
}
