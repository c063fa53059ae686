//! What can go wrong: one enum, each variant with what was concerned and what to do.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::destination;
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
    /// The start timeout was over: while the process waited for a session on its host, or counted from that session.
    /// What had begun on the host was ended: the program may have run for a moment.
    TimedOut {
        /// The time that was given.
        after: Duration,
        /// How far the start had come.
        stage: StartStage,
        /// How long the process had waited for its session before that; zero where it got none.
        waited: Duration,
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
    /// The program, or the interpreter that its first line names, does not exist, or stands in a directory that the
    /// user may not search.
    ProgramNotFound,
    /// The program is a directory, or another thing that is no regular file.
    ProgramNotFile,
    /// The user may not execute the program.
    ProgramPermission,
    /// Arguments and environment have more bytes than the host's kernel takes.
    ArgumentsTooLarge,
    /// The host's kernel refuses the program for another reason, most often its format: it is for another machine, or
    /// damaged.
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
    /// The shell that starts it ended on its host: most likely no process could be made there, for a limit of the user's
    /// processes (`ulimit -u`), of a cgroup, or of memory.
    NoProcess,
    /// A process of this uuid, started by another manager, lives on the host.
    UuidInUse,
    /// The shell that runs the setup lines ended before it executed the program, and no step had failed: somebody else
    /// sent a signal, a setup line called `exit`, or the shell does not read POSIX shell code. Its exit code, 128+n for
    /// signal n. A shell that catches the signal, or that waits for a command which the signal ended, has a code of its
    /// own.
    Ended(i32),
    /// The link broke before the program was known to run. Its wrapper ends what it had started by then; whether the
    /// program ran for a moment is not known. Where the start was being killed when its link broke, no failure but an
    /// unknown end is reported.
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
    /// The host had not answered, or not let ssh log in. Where the process logs in by itself, this is also the stage of
    /// a start-up file of the login shell that hangs or has swallowed its input.
    Connecting,
    /// ssh had logged in, and a start-up file of the login shell takes long, hangs, or has swallowed its input.
    StartUpFiles,
    /// The remote side had begun, and a setup line or the working directory hangs.
    Setup,
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

impl StartFailure {
    /// Whether the log file, if there is one, was open by then.
    pub(crate) fn is_behind_log_file(&self) -> bool {
        use StartFailure as S;
        match self {
            S::TimedOut { stage, .. } => *stage == StartStage::Setup,
            S::Setup { .. } | S::ProgramNotFound | S::ProgramNotFile | S::ProgramPermission | S::ArgumentsTooLarge => {
                true
            }
            S::NotExecutable | S::WorkingDirectory | S::Limit(_) | S::Environment | S::Ended(_) => true,
            S::ShellNotFound | S::LogDirectory | S::LogFile | S::RuntimeDirectory => false,
            S::NoProcess | S::UuidInUse | S::LinkLost | S::Protocol => false,
        }
    }
}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartFailure::TimedOut { after, stage, waited } => {
                write!(f, "not running after {:.1} s (start timeout): {stage}", after.as_secs_f64())?;
                match waited.is_zero() {
                    true => Ok(()),
                    false => write!(f, "; before that, it waited {:.1} s for its session", waited.as_secs_f64()),
                }
            }
            StartFailure::Setup { line, code } => write!(f, "setup line {line} failed with {code}"),
            StartFailure::ShellNotFound => {
                f.write_str("the shell for the setup lines is not on the host, or cannot be executed")
            }
            StartFailure::ProgramNotFound => {
                f.write_str("the program, or the interpreter its first line names, does not exist on the host")
            }
            StartFailure::ProgramNotFile => f.write_str("the program is a directory, or no regular file"),
            StartFailure::ProgramPermission => f.write_str(
                "the user may not execute the program; see its mode, and whether its file system is mounted noexec",
            ),
            StartFailure::ArgumentsTooLarge => {
                f.write_str("arguments and environment have more bytes than the host takes (getconf ARG_MAX)")
            }
            StartFailure::NotExecutable => {
                f.write_str("the host's kernel does not execute the program; is it for another machine, or damaged?")
            }
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
            StartFailure::NoProcess => f.write_str(
                "the shell that starts it ended, most likely because no process could be made on the host; \
                 see the limits of the user's processes (ulimit -u) and of memory",
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
            StartStage::StartUpFiles => {
                "ssh had logged in, and a start-up file of the login shell takes long, hangs, or reads its input"
            }
            StartStage::Setup => "a setup line, the log file or the working directory hangs",
        })
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
