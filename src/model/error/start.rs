//! Why an application did not come to run, and how far its start had come.

use std::fmt;
use std::time::Duration;

/// Why an application did not come to run, though there was a shell on its host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartFailure {
    /// The start timeout was over. It counts while the process waits for a connection on which it can open a channel,
    /// and anew from then on. sshpm ended what had begun on the host; the program may have run for a moment.
    TimedOut {
        /// The start timeout.
        after: Duration,
        /// How far the start had come.
        stage: StartStage,
        /// How long the process had waited for a connection before that; zero if it got none.
        waited: Duration,
    },
    /// A setup line failed.
    Setup {
        /// The number of the line, from 1.
        line: u32,
        /// The exit code of the line.
        code: i32,
    },
    /// The shell for the setup lines is not on the host, or cannot be executed there: it ended at once with exit code
    /// 126 or 127.
    ShellNotFound,
    /// The program, or the interpreter that its first line names, does not exist, or is in a directory that the user
    /// may not search.
    ProgramNotFound,
    /// The program is a directory, or another thing that is not a regular file.
    ProgramNotFile,
    /// The user may not execute the program.
    ProgramPermission,
    /// The arguments and the environment have more bytes than the host's kernel accepts.
    ArgumentsTooLarge,
    /// The host's kernel refuses the program for another reason, most often its format: the file is for another machine
    /// or damaged.
    NotExecutable,
    /// Something listens on the TCP port on which the application was to listen ([`Ready::Port`](crate::Ready::Port)).
    PortTaken(u16),
    /// The host has no `/proc/net/tcp`, which says who listens on the port of [`Ready::Port`](crate::Ready::Port).
    NoPortTable,
    /// The working directory does not exist or cannot be entered.
    WorkingDirectory,
    /// The directory of the log file does not exist.
    LogDirectory,
    /// The log file cannot be written, or the existing log file cannot be renamed. Or the log file cannot be read where
    /// a text in it shows that the process is ready.
    LogFile,
    /// The host refused the resource limit of this name, which is its name in JSON.
    Limit(String),
    /// The shell refuses to set a variable of the environment.
    Environment,
    /// The host has no directory in which a fifo can be created.
    RuntimeDirectory,
    /// The shell that starts the application ended on the host. Most likely the host could create no process, because
    /// of a limit of the user's processes (`ulimit -u`), of a cgroup, or of memory.
    NoProcess,
    /// A process of this uuid that another manager started lives on the host, with the same user: a uuid names one
    /// process of a user on a host.
    UuidInUse,
    /// The shell that runs the setup lines ended with this exit code before it executed the program, and no step had
    /// failed: somebody else sent a signal, a setup line called `exit`, or the shell does not read POSIX shell code.
    /// The code is 128+n for signal n, unless the shell caught the signal or waited for a command that the signal
    /// ended: then the shell chose the code.
    Ended(i32),
    /// The link broke before the program was known to run. The wrapper ends what it had started by then; whether the
    /// program ran for a moment is not known. If the process was being killed when its link broke, sshpm reports an
    /// unknown exit in place of this failure.
    LinkLost,
    /// The remote side sent reports that this version does not understand.
    Protocol,
}

/// How far a start had come when its timeout was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StartStage {
    /// The process waited for its turn to connect: sshpm opens at most eight connections to a host at a time.
    Queued,
    /// The host had not answered, or ssh had not logged in. If the process does not share a connection, a start-up file
    /// of the login shell that hangs or reads the shell's input is reported as this stage, too.
    Connecting,
    /// ssh had logged in, and a start-up file of the login shell takes long, hangs, or reads the shell's input.
    StartUpFiles,
    /// The wrapper had begun, and a setup line, the log file or the working directory hangs.
    Setup,
}

impl StartFailure {
    /// Returns whether the log file, if the request has one, was open when the start failed.
    pub(crate) fn is_behind_log_file(&self) -> bool {
        use StartFailure as S;
        match self {
            S::TimedOut { stage, .. } => *stage == StartStage::Setup,
            S::Setup { .. } | S::ProgramNotFound | S::ProgramNotFile | S::ProgramPermission | S::ArgumentsTooLarge => {
                true
            }
            S::NotExecutable | S::WorkingDirectory | S::Limit(_) | S::Environment | S::Ended(_) => true,
            S::ShellNotFound | S::LogDirectory | S::LogFile | S::RuntimeDirectory => false,
            S::PortTaken(_) | S::NoPortTable => false,
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
                    false => write!(f, "; before that, it waited {:.1} s for a connection", waited.as_secs_f64()),
                }
            }
            StartFailure::Setup { line, code } => write!(f, "setup line {line} failed with exit code {code}"),
            StartFailure::ShellNotFound => {
                f.write_str("the shell for the setup lines is not on the host, or cannot be executed there")
            }
            StartFailure::ProgramNotFound => {
                f.write_str("the program, or the interpreter that its first line names, does not exist on the host")
            }
            StartFailure::ProgramNotFile => f.write_str("the program is not a regular file"),
            StartFailure::ProgramPermission => f.write_str(
                "the user may not execute the program; check its mode, and that its file system is not mounted noexec",
            ),
            StartFailure::ArgumentsTooLarge => {
                f.write_str("the arguments and the environment have more bytes than the host accepts (getconf ARG_MAX)")
            }
            StartFailure::NotExecutable => {
                f.write_str("the host's kernel does not execute the program; is it damaged, or for another machine?")
            }
            StartFailure::PortTaken(port) => {
                write!(f, "another process listens on TCP port {port} of the host; end it, or use another port")
            }
            StartFailure::NoPortTable => {
                f.write_str("the host has no /proc/net/tcp, so nobody can find out who listens on a port")
            }
            StartFailure::WorkingDirectory => f.write_str("the working directory cannot be entered; check its path"),
            StartFailure::LogDirectory => f.write_str("the directory of the log file does not exist; create it"),
            StartFailure::LogFile => {
                f.write_str("the log file cannot be written or read, or the old one cannot be renamed")
            }
            StartFailure::Limit(name) => {
                write!(f, "the resource limit {name} was refused; the host's hard limit is lower")
            }
            StartFailure::Environment => f.write_str("the shell refuses to set the environment variable"),
            StartFailure::RuntimeDirectory => {
                f.write_str("the host has no directory for a fifo; sshpm tried XDG_RUNTIME_DIR, /tmp, /dev/shm, home")
            }
            StartFailure::NoProcess => f.write_str(
                "the shell that starts it ended, most likely because the host could create no process; \
                 check the limits of the user's processes (ulimit -u) and of memory",
            ),
            StartFailure::UuidInUse => f.write_str(
                "a process of this uuid lives on the host, started by another manager; end or adopt that process, \
                 or use another uuid",
            ),
            StartFailure::Ended(code) => write!(f, "its shell ended with exit code {code} before the application ran"),
            StartFailure::LinkLost => f.write_str("the link was lost during the start; the application may have run"),
            StartFailure::Protocol => f.write_str("the host sent reports that this version of sshpm does not know"),
        }
    }
}

impl fmt::Display for StartStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StartStage::Queued => "it waited for its turn to connect to the host",
            StartStage::Connecting => {
                "there was no shell on the host in that time, \
                 or a start-up file of the login shell hangs or reads its input"
            }
            StartStage::StartUpFiles => {
                "ssh had logged in, and a start-up file of the login shell takes long, hangs, or reads its input"
            }
            StartStage::Setup => "a setup line, the log file or the working directory hangs",
        })
    }
}
