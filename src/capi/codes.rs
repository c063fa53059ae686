//! The result codes: their constants, and one table with the text and the errors of each code.
//!
//! A new code needs a constant with a doc comment, and a row at the matching place of the table. A row is the constant,
//! the text that `sshpm_strerror` returns for it, and a pattern for the errors that have this code. A code that only
//! the C ABI returns has no pattern. The table's macro does not generate the constants, because cbindgen, which writes
//! them into the header, expands no macro. A test compares the constants with the table; the compiler finds an error
//! that no row matches.

use std::ffi::CStr;

use crate::{Error, FileProblem, LauncherFailure, NotRestartedReason, SshFailure, StartFailure};

/// The result of a call: SSHPM_OK or one of SSHPM_ERROR_... A number keeps its meaning in all versions. Later versions
/// can have more codes.
pub type sshpm_result = i32;

/// The call succeeded.
pub const SSHPM_OK: i32 = 0;

/// A pointer that must not be NULL is NULL.
pub const SSHPM_ERROR_NULL_ARGUMENT: i32 = 1;
/// A value is not valid. Nothing was started. The message names the field and the value.
pub const SSHPM_ERROR_INVALID: i32 = 2;
/// A name is not UTF-8.
pub const SSHPM_ERROR_UTF8: i32 = 3;
/// The text is not JSON, or the JSON does not have the expected content. The message names the key, the line and the
/// column.
pub const SSHPM_ERROR_JSON: i32 = 4;
/// The manager's table has no process with this uuid.
pub const SSHPM_ERROR_UNKNOWN_UUID: i32 = 5;
/// The uuid belongs to a process that has not ended, or that will be restarted.
pub const SSHPM_ERROR_UUID_IN_USE: i32 = 6;
/// The process has not ended. A kill returns this when its time is over; the process can be killed again.
pub const SSHPM_ERROR_STILL_RUNNING: i32 = 7;
/// The remote pid is not known: either not yet, or the start failed before there was one.
pub const SSHPM_ERROR_NO_REMOTE_PID: i32 = 8;
/// The process has ended or never started.
pub const SSHPM_ERROR_NOT_RUNNING: i32 = 9;
/// The process has gone, or its host does not have this signal.
pub const SSHPM_ERROR_SIGNAL_REFUSED: i32 = 10;
/// The link to the process accepts no commands: it is lost, it is being closed, or its buffers are full.
pub const SSHPM_ERROR_LINK_DOWN: i32 = 11;
/// A resource of this machine ran out, or a system call on this machine failed.
pub const SSHPM_ERROR_LOCAL: i32 = 12;
/// A call that blocks was made inside an exit callback, where it could wait for ever.
pub const SSHPM_ERROR_INSIDE_CALLBACK: i32 = 13;
/// The time for a wait was over.
pub const SSHPM_ERROR_TIMED_OUT: i32 = 14;
/// The manager was shut down, detached or freed.
pub const SSHPM_ERROR_SHUT_DOWN: i32 = 15;
/// No event came within the timeout.
pub const SSHPM_ERROR_NO_EVENT: i32 = 16;
/// sshpm_subscription_wake ended the wait.
pub const SSHPM_ERROR_WOKEN: i32 = 17;
/// There is no such code: none was reported, or the exit is unknown.
pub const SSHPM_ERROR_NO_EXIT_CODE: i32 = 18;
/// The program already has another logger of Rust's `log`.
pub const SSHPM_ERROR_LOGGER_SET: i32 = 19;
/// The library has a bug, and the message says where. Do nothing with the handles of the call but free them.
pub const SSHPM_ERROR_PANIC: i32 = 20;
/// The file does not exist on the host, or it was not created in time.
pub const SSHPM_ERROR_FILE_MISSING: i32 = 21;
/// The file on the host is a directory.
pub const SSHPM_ERROR_FILE_IS_DIRECTORY: i32 = 22;
/// The user may not read the file on the host.
pub const SSHPM_ERROR_FILE_UNREADABLE: i32 = 23;
/// The content of the metadata file is not valid. Nothing was done with it.
pub const SSHPM_ERROR_BAD_METADATA: i32 = 24;
/// The output has ended, and all of it was received: the process has ended, or the manager no longer controls it.
pub const SSHPM_ERROR_END_OF_OUTPUT: i32 = 25;
/// The file on the host is a fifo, a device or a socket.
pub const SSHPM_ERROR_FILE_NOT_REGULAR: i32 = 26;
/// The manager was detached from the kept process. The process goes on, and a manager can adopt it.
pub const SSHPM_ERROR_DETACHED: i32 = 27;
/// Another live manager controls the process.
pub const SSHPM_ERROR_TAKEN_OVER: i32 = 28;
/// The process on the host cannot be adopted: it is not kept, or nothing of it is left. The message says which.
pub const SSHPM_ERROR_NOT_ADOPTABLE: i32 = 29;
/// The time at which the process ended is not known.
pub const SSHPM_ERROR_NO_END_TIME: i32 = 30;
/// The process runs, and does not count as ready. The message says why.
pub const SSHPM_ERROR_NOT_READY: i32 = 31;
/// Another call is restarting the process. This call did nothing.
pub const SSHPM_ERROR_RESTART_IN_PROGRESS: i32 = 32;
/// Another call ended, forgot or removed the process during the restart, which therefore started nothing.
pub const SSHPM_ERROR_RESTART_CANCELLED: i32 = 33;
/// The process cannot be restarted, because the manager adopted it without a request. The call did nothing.
pub const SSHPM_ERROR_RESTART_NO_REQUEST: i32 = 34;

/// ssh: the host name has no address.
pub const SSHPM_ERROR_SSH_NAME_NOT_RESOLVED: i32 = 100;
/// ssh: the host refused the connection, because nothing listens on that port.
pub const SSHPM_ERROR_SSH_REFUSED: i32 = 101;
/// ssh: there is no route to the host or its network.
pub const SSHPM_ERROR_SSH_UNREACHABLE: i32 = 102;
/// ssh: the host did not answer within the connect timeout.
pub const SSHPM_ERROR_SSH_TIMED_OUT: i32 = 103;
/// ssh: the host did not accept this user with any key, ticket or agent that ssh can use without questions.
pub const SSHPM_ERROR_SSH_AUTHENTICATION_FAILED: i32 = 104;
/// ssh: the key of the host is not known.
pub const SSHPM_ERROR_SSH_HOST_KEY_UNKNOWN: i32 = 105;
/// ssh: the key of the host differs from the known key.
pub const SSHPM_ERROR_SSH_HOST_KEY_CHANGED: i32 = 106;
/// ssh: sshd dropped each connection before the login (MaxStartups), until the connect timeout was over.
pub const SSHPM_ERROR_SSH_THROTTLED: i32 = 107;
/// The ssh program was not found, or it cannot be executed.
pub const SSHPM_ERROR_SSH_NOT_FOUND: i32 = 108;
/// ssh does not accept its configuration or its options.
pub const SSHPM_ERROR_SSH_CONFIGURATION: i32 = 109;
/// ssh: the connection was closed, and ssh did not say why.
pub const SSHPM_ERROR_SSH_CLOSED: i32 = 110;
/// The login succeeded, but the login shell ended before anything was started.
pub const SSHPM_ERROR_SSH_REMOTE_SHELL: i32 = 111;
/// ssh: authentication failed. The host would accept a Kerberos ticket, but there is none, or it has expired.
pub const SSHPM_ERROR_SSH_NO_TICKET: i32 = 113;
/// ssh failed for another reason. The message contains what ssh said.
pub const SSHPM_ERROR_SSH_OTHER: i32 = 112;

/// The start timeout was over. The message says how far the start had come.
pub const SSHPM_ERROR_START_TIMED_OUT: i32 = 200;
/// A setup line failed. The message contains its number and its exit code.
pub const SSHPM_ERROR_START_SETUP: i32 = 201;
/// The shell for the setup lines is not on the host, or it cannot be executed there: it ended at once with code 126 or
/// 127.
pub const SSHPM_ERROR_START_SHELL_NOT_FOUND: i32 = 202;
/// The program, or the interpreter that its first line names, does not exist.
pub const SSHPM_ERROR_START_PROGRAM_NOT_FOUND: i32 = 203;
/// The host's kernel does not execute the program. Most often its format is the reason: it is for another machine, or
/// damaged.
pub const SSHPM_ERROR_START_NOT_EXECUTABLE: i32 = 204;
/// The working directory cannot be entered.
pub const SSHPM_ERROR_START_WORKING_DIRECTORY: i32 = 205;
/// The directory of the log file does not exist.
pub const SSHPM_ERROR_START_LOG_DIRECTORY: i32 = 206;
/// The log file cannot be written, or not be read for readiness, or the old log file cannot be renamed.
pub const SSHPM_ERROR_START_LOG_FILE: i32 = 207;
/// The host refused a resource limit.
pub const SSHPM_ERROR_START_LIMIT: i32 = 208;
/// The shell refused to set a variable.
pub const SSHPM_ERROR_START_ENVIRONMENT: i32 = 209;
/// The host has no directory where a fifo can be made.
pub const SSHPM_ERROR_START_RUNTIME_DIRECTORY: i32 = 210;
/// The host already runs a process with this uuid, which another manager started.
pub const SSHPM_ERROR_START_UUID_IN_USE_ON_HOST: i32 = 211;
/// The shell that runs the setup lines ended before it executed the program, although no step had failed: somebody else
/// sent a signal, a setup line called `exit`, or the shell does not read POSIX shell code. The message contains its
/// exit code.
pub const SSHPM_ERROR_START_ENDED_BEFORE_RUNNING: i32 = 212;
/// The remote side sent reports that this version does not understand.
pub const SSHPM_ERROR_START_PROTOCOL: i32 = 213;

/// The link broke before the program was known to run. The program may have run for a moment.
pub const SSHPM_ERROR_START_LINK_LOST: i32 = 214;
/// The program is a directory or another file that is not regular.
pub const SSHPM_ERROR_START_PROGRAM_NOT_FILE: i32 = 215;
/// The user may not execute the program.
pub const SSHPM_ERROR_START_PROGRAM_PERMISSION: i32 = 216;
/// The arguments and the environment have more bytes than the host's kernel accepts.
pub const SSHPM_ERROR_START_ARGUMENTS_TOO_LARGE: i32 = 217;
/// The shell that starts the program ended on its host, most likely because the host could make no process.
pub const SSHPM_ERROR_START_NO_PROCESS: i32 = 218;
/// Something listens on the TCP port on which the application was to listen (sshpm_boot_request_set_ready_port).
pub const SSHPM_ERROR_START_PORT_TAKEN: i32 = 219;
/// The host has no /proc/net/tcp, which says who listens on the port (sshpm_boot_request_set_ready_port).
pub const SSHPM_ERROR_START_NO_PORT_TABLE: i32 = 220;

/// The launcher's program was not found, or it cannot be executed.
pub const SSHPM_ERROR_LAUNCHER_NOT_FOUND: i32 = 300;
/// The launcher gave no shell in time.
pub const SSHPM_ERROR_LAUNCHER_TIMED_OUT: i32 = 301;
/// The launcher closed its streams or was killed before it had sent everything.
pub const SSHPM_ERROR_LAUNCHER_CLOSED: i32 = 302;
/// The launcher ended before there was a shell. The message contains its exit code and what it said.
pub const SSHPM_ERROR_LAUNCHER_ENDED: i32 = 303;
/// Slurm does not know the job, the job has ended, or it belongs to another user.
pub const SSHPM_ERROR_LAUNCHER_NO_JOB: i32 = 304;
/// The host is not a node of the Slurm job.
pub const SSHPM_ERROR_LAUNCHER_NOT_IN_JOB: i32 = 305;
/// No slurmctld answers, no configuration names one, or munge does not run.
pub const SSHPM_ERROR_LAUNCHER_NO_CONTROLLER: i32 = 306;

/// Generates the list of texts and the function that returns the code of an error from the rows of the table.
macro_rules! table {
    ($(($code:ident, $text:literal $(, $error:pat)?)),* $(,)?) => {
        const TEXTS: &[(sshpm_result, &CStr)] = &[$(($code, $text)),*];

        #[cfg(test)]
        const NAMES: &[(&str, sshpm_result)] = &[$((stringify!($code), $code)),*];

        /// Returns the code of an error.
        pub(super) fn code_of(error: &Error) -> sshpm_result {
            match error {
                $($($error => $code,)?)*
            }
        }
    };
}

table! {
    (SSHPM_OK, c"no error"),
    (SSHPM_ERROR_NULL_ARGUMENT, c"an argument is NULL"),
    (SSHPM_ERROR_INVALID, c"a value is not valid", Error::Invalid { .. }),
    (SSHPM_ERROR_UTF8, c"a name is not UTF-8"),
    (SSHPM_ERROR_JSON, c"the JSON is not valid", Error::Json(_)),
    (SSHPM_ERROR_UNKNOWN_UUID, c"no process with this uuid is known", Error::UnknownUuid { .. }),
    (SSHPM_ERROR_UUID_IN_USE, c"the uuid belongs to a process that has not ended", Error::UuidInUse { .. }),
    (SSHPM_ERROR_STILL_RUNNING, c"the process is still running", Error::StillRunning { .. }),
    (SSHPM_ERROR_NO_REMOTE_PID, c"the remote pid is not known", Error::NoRemotePid { .. }),
    (SSHPM_ERROR_NOT_RUNNING, c"the process is not running", Error::NotRunning { .. }),
    (SSHPM_ERROR_SIGNAL_REFUSED, c"the signal could not be delivered", Error::SignalRefused { .. }),
    (SSHPM_ERROR_LINK_DOWN, c"the link to the process accepts no commands", Error::LinkDown { .. }),
    (SSHPM_ERROR_LOCAL, c"a resource or a system call of this machine failed", Error::Local { .. }),
    (SSHPM_ERROR_INSIDE_CALLBACK, c"a call that blocks was made inside a callback", Error::InsideCallback),
    (SSHPM_ERROR_TIMED_OUT, c"the time for the wait was over", Error::TimedOut { .. }),
    (SSHPM_ERROR_SHUT_DOWN, c"the manager was shut down", Error::ShutDown),
    (SSHPM_ERROR_NO_EVENT, c"no event came within the timeout"),
    (SSHPM_ERROR_WOKEN, c"sshpm_subscription_wake ended the wait"),
    (SSHPM_ERROR_NO_EXIT_CODE, c"there is no such code"),
    (SSHPM_ERROR_LOGGER_SET, c"the program has another logger"),
    (SSHPM_ERROR_PANIC, c"a bug in sshpm"),
    (SSHPM_ERROR_FILE_MISSING, c"the file does not exist on the host",
        Error::RemoteFile { problem: FileProblem::Missing, .. }),
    (SSHPM_ERROR_FILE_IS_DIRECTORY, c"the file on the host is a directory",
        Error::RemoteFile { problem: FileProblem::IsDirectory, .. }),
    (SSHPM_ERROR_FILE_UNREADABLE, c"the user may not read the file on the host",
        Error::RemoteFile { problem: FileProblem::Unreadable, .. }),
    (SSHPM_ERROR_BAD_METADATA, c"the metadata file on the host is not valid", Error::BadMetadata { .. }),
    (SSHPM_ERROR_END_OF_OUTPUT, c"the output has ended"),
    (SSHPM_ERROR_FILE_NOT_REGULAR, c"the file on the host is a fifo, a device or a socket",
        Error::RemoteFile { problem: FileProblem::NotRegular, .. }),
    (SSHPM_ERROR_DETACHED, c"the manager was detached from the process", Error::Detached { .. }),
    (SSHPM_ERROR_TAKEN_OVER, c"another live manager controls the process", Error::TakenOver { .. }),
    (SSHPM_ERROR_NOT_ADOPTABLE, c"the process cannot be adopted", Error::NotAdoptable { .. }),
    (SSHPM_ERROR_NO_END_TIME, c"the end time of the process is not known"),
    (SSHPM_ERROR_NOT_READY, c"the process does not count as ready", Error::NotReady { .. }),
    (SSHPM_ERROR_RESTART_IN_PROGRESS, c"another call is restarting the process",
        Error::NotRestarted { reason: NotRestartedReason::InProgress, .. }),
    (SSHPM_ERROR_RESTART_CANCELLED, c"another call ended the process during the restart",
        Error::NotRestarted { reason: NotRestartedReason::Cancelled, .. }),
    (SSHPM_ERROR_RESTART_NO_REQUEST, c"the process was adopted without a request",
        Error::NotRestarted { reason: NotRestartedReason::NoRequest, .. }),

    (SSHPM_ERROR_SSH_NAME_NOT_RESOLVED, c"ssh: could not resolve the host name",
        Error::Ssh { failure: SshFailure::NameNotResolved, .. }),
    (SSHPM_ERROR_SSH_REFUSED, c"ssh: connection refused",
        Error::Ssh { failure: SshFailure::Refused, .. }),
    (SSHPM_ERROR_SSH_UNREACHABLE, c"ssh: the host is unreachable",
        Error::Ssh { failure: SshFailure::Unreachable, .. }),
    (SSHPM_ERROR_SSH_TIMED_OUT, c"ssh: the host did not answer within the connect timeout",
        Error::Ssh { failure: SshFailure::TimedOut, .. }),
    (SSHPM_ERROR_SSH_AUTHENTICATION_FAILED, c"ssh: authentication failed",
        Error::Ssh { failure: SshFailure::AuthenticationFailed, .. }),
    (SSHPM_ERROR_SSH_HOST_KEY_UNKNOWN, c"ssh: the host key is not known",
        Error::Ssh { failure: SshFailure::HostKeyUnknown, .. }),
    (SSHPM_ERROR_SSH_HOST_KEY_CHANGED, c"ssh: the host key has changed",
        Error::Ssh { failure: SshFailure::HostKeyChanged, .. }),
    (SSHPM_ERROR_SSH_THROTTLED, c"ssh: sshd drops connections (MaxStartups)",
        Error::Ssh { failure: SshFailure::Throttled, .. }),
    (SSHPM_ERROR_SSH_NOT_FOUND, c"the ssh program was not found",
        Error::Ssh { failure: SshFailure::SshNotFound, .. }),
    (SSHPM_ERROR_SSH_CONFIGURATION, c"ssh: bad configuration or option",
        Error::Ssh { failure: SshFailure::Configuration, .. }),
    (SSHPM_ERROR_SSH_CLOSED, c"ssh: the connection closed before it was open",
        Error::Ssh { failure: SshFailure::Closed, .. }),
    (SSHPM_ERROR_SSH_REMOTE_SHELL, c"ssh: the login shell ended at once",
        Error::Ssh { failure: SshFailure::RemoteShell(_), .. }),
    (SSHPM_ERROR_SSH_NO_TICKET, c"ssh: there is no valid Kerberos ticket",
        Error::Ssh { failure: SshFailure::NoTicket, .. }),
    (SSHPM_ERROR_SSH_OTHER, c"ssh failed",
        Error::Ssh { failure: SshFailure::Other, .. }),

    (SSHPM_ERROR_START_TIMED_OUT, c"start: the program did not run within the start timeout",
        Error::StartFailed { reason: StartFailure::TimedOut { .. }, .. }),
    (SSHPM_ERROR_START_SETUP, c"start: a setup line failed",
        Error::StartFailed { reason: StartFailure::Setup { .. }, .. }),
    (SSHPM_ERROR_START_SHELL_NOT_FOUND, c"start: the shell for the setup lines was not found",
        Error::StartFailed { reason: StartFailure::ShellNotFound, .. }),
    (SSHPM_ERROR_START_PROGRAM_NOT_FOUND, c"start: the program does not exist",
        Error::StartFailed { reason: StartFailure::ProgramNotFound, .. }),
    (SSHPM_ERROR_START_NOT_EXECUTABLE, c"start: the host's kernel does not execute the program",
        Error::StartFailed { reason: StartFailure::NotExecutable, .. }),
    (SSHPM_ERROR_START_WORKING_DIRECTORY, c"start: the working directory cannot be entered",
        Error::StartFailed { reason: StartFailure::WorkingDirectory, .. }),
    (SSHPM_ERROR_START_LOG_DIRECTORY, c"start: the directory of the log file does not exist",
        Error::StartFailed { reason: StartFailure::LogDirectory, .. }),
    (SSHPM_ERROR_START_LOG_FILE, c"start: the log file cannot be written",
        Error::StartFailed { reason: StartFailure::LogFile, .. }),
    (SSHPM_ERROR_START_LIMIT, c"start: the host refused a resource limit",
        Error::StartFailed { reason: StartFailure::Limit(_), .. }),
    (SSHPM_ERROR_START_ENVIRONMENT, c"start: the shell refused to set a variable",
        Error::StartFailed { reason: StartFailure::Environment, .. }),
    (SSHPM_ERROR_START_RUNTIME_DIRECTORY, c"start: the host has no usable runtime directory",
        Error::StartFailed { reason: StartFailure::RuntimeDirectory, .. }),
    (SSHPM_ERROR_START_UUID_IN_USE_ON_HOST, c"start: the uuid is in use on the host",
        Error::StartFailed { reason: StartFailure::UuidInUse, .. }),
    (SSHPM_ERROR_START_ENDED_BEFORE_RUNNING, c"start: the shell ended before the program ran",
        Error::StartFailed { reason: StartFailure::Ended(_), .. }),
    (SSHPM_ERROR_START_PROTOCOL, c"start: this version does not understand the host's reports",
        Error::StartFailed { reason: StartFailure::Protocol, .. }),
    (SSHPM_ERROR_START_LINK_LOST, c"start: the link was lost",
        Error::StartFailed { reason: StartFailure::LinkLost, .. }),
    (SSHPM_ERROR_START_PROGRAM_NOT_FILE, c"start: the program is not a regular file",
        Error::StartFailed { reason: StartFailure::ProgramNotFile, .. }),
    (SSHPM_ERROR_START_PROGRAM_PERMISSION, c"start: the user may not execute the program",
        Error::StartFailed { reason: StartFailure::ProgramPermission, .. }),
    (SSHPM_ERROR_START_ARGUMENTS_TOO_LARGE, c"start: the arguments and the environment are too large",
        Error::StartFailed { reason: StartFailure::ArgumentsTooLarge, .. }),
    (SSHPM_ERROR_START_NO_PROCESS, c"start: the shell ended; probably the host could make no process",
        Error::StartFailed { reason: StartFailure::NoProcess, .. }),
    (SSHPM_ERROR_START_PORT_TAKEN, c"start: something listens on the port of the application",
        Error::StartFailed { reason: StartFailure::PortTaken(_), .. }),
    (SSHPM_ERROR_START_NO_PORT_TABLE, c"start: the host does not say who listens on its ports",
        Error::StartFailed { reason: StartFailure::NoPortTable, .. }),

    (SSHPM_ERROR_LAUNCHER_NOT_FOUND, c"launcher: its program was not found",
        Error::Launcher { failure: LauncherFailure::NotFound, .. }),
    (SSHPM_ERROR_LAUNCHER_TIMED_OUT, c"launcher: it gave no shell in time",
        Error::Launcher { failure: LauncherFailure::TimedOut, .. }),
    (SSHPM_ERROR_LAUNCHER_CLOSED, c"launcher: it closed its streams before it had sent everything",
        Error::Launcher { failure: LauncherFailure::Closed, .. }),
    (SSHPM_ERROR_LAUNCHER_ENDED, c"launcher: it ended before there was a shell",
        Error::Launcher { failure: LauncherFailure::Ended(_), .. }),
    (SSHPM_ERROR_LAUNCHER_NO_JOB, c"launcher: Slurm has no such job",
        Error::Launcher { failure: LauncherFailure::NoJob, .. }),
    (SSHPM_ERROR_LAUNCHER_NOT_IN_JOB, c"launcher: the host is not a node of the Slurm job",
        Error::Launcher { failure: LauncherFailure::NotInJob, .. }),
    (SSHPM_ERROR_LAUNCHER_NO_CONTROLLER, c"launcher: no slurmctld answers",
        Error::Launcher { failure: LauncherFailure::NoController, .. }),
}

const UNKNOWN: &CStr = c"unknown result code";

/// Returns the short text of a code.
pub(super) fn text_of(code: sshpm_result) -> &'static CStr {
    TEXTS.iter().find(|(number, _)| *number == code).map_or(UNKNOWN, |(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the constants above the table, in their order.
    fn constants() -> Vec<(&'static str, sshpm_result)> {
        let constant = |line: &'static str| {
            let (name, number) = line.strip_prefix("pub const ")?.strip_suffix(';')?.split_once(": i32 = ")?;
            Some((name, number.parse().unwrap()))
        };
        include_str!("codes.rs").lines().filter_map(constant).collect()
    }

    #[test]
    fn every_constant_has_a_row_in_the_table() {
        assert!(NAMES.len() > 40, "{NAMES:?}");
        assert_eq!(constants(), NAMES);
    }

    #[test]
    fn every_code_has_a_number_and_a_text_of_its_own() {
        for (at, (name, code)) in NAMES.iter().enumerate() {
            assert_ne!(text_of(*code), UNKNOWN, "{name}");
            for (other, number) in &NAMES[..at] {
                assert_ne!(code, number, "{name} and {other}");
                assert_ne!(text_of(*code), text_of(*number), "{name} and {other}");
            }
        }
        assert_eq!(text_of(-1), UNKNOWN);
    }
}
