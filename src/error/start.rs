//! Why an application did not come to run, and how far its start had come.

use std::fmt;
use std::time::Duration;

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
