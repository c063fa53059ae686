//! How a process ended.

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::ptr;
use std::time::{SystemTime, UNIX_EPOCH};

use super::boundary::{Failure, c_string, call, free, give, plain, pointer_to};
use super::codes::{SSHPM_ERROR_NO_END_TIME, SSHPM_ERROR_NO_EXIT_CODE, sshpm_result};
use super::input::{handle, output};
use crate::{ExitSource, ExitStatus, Signal};

/// Exit source: the client (ssh, or that of another launcher) or its connection ended, although nobody had asked the
/// process to end.
pub const SSHPM_EXIT_SOURCE_CLIENT_MONITORING: i32 = 1;
/// Exit source: the remote process ended by itself, or somebody else ended it there.
pub const SSHPM_EXIT_SOURCE_REMOTE_MONITORING: i32 = 2;
/// Exit source: the manager ended the process: it closed or killed the ssh client.
pub const SSHPM_EXIT_SOURCE_MANUAL_KILL_THROUGH_SSH_CLIENT: i32 = 3;
/// Exit source: the manager ended the process: it sent signals to the remote pid.
pub const SSHPM_EXIT_SOURCE_MANUAL_KILL_THROUGH_REMOTE_PID: i32 = 4;

/// How a process ended. It does not change, and any number of threads can read it.
pub struct sshpm_exit_status {
    status: ExitStatus,
    source_name: CString,
    sentence: CString,
    message: CString,
}

impl From<ExitStatus> for sshpm_exit_status {
    fn from(status: ExitStatus) -> sshpm_exit_status {
        sshpm_exit_status {
            source_name: c_string(status.source().as_str()),
            sentence: c_string(status.sentence()),
            message: c_string(status.to_string()),
            status,
        }
    }
}

impl sshpm_exit_status {
    pub(super) fn message(&self) -> &CString {
        &self.message
    }
}

/// Returns the pointer to a status, or NULL when there is none.
pub(super) fn pointer_to_status(status: Option<&sshpm_exit_status>) -> *const sshpm_exit_status {
    status.map_or(ptr::null(), ptr::from_ref)
}

/// Passes a status to C, or NULL when there is none.
pub(super) fn give_status(output: &mut MaybeUninit<*mut sshpm_exit_status>, status: Option<ExitStatus>) {
    match status {
        Some(status) => give(output, status.into()),
        None => drop(output.write(ptr::null_mut())),
    }
}

/// Gets one of the codes of a status.
///
/// # Safety
/// The pointers are NULL, or point to a status and a place for the output.
unsafe fn get_code(
    status: *const sshpm_exit_status,
    out_code: *mut i32,
    what: &str,
    read: impl FnOnce(&ExitStatus) -> Option<i32>,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller promises it.
        let (this, out_code) = unsafe { (handle(status, "status")?, output(out_code, "out_code")?) };
        let none = || Failure::new(SSHPM_ERROR_NO_EXIT_CODE, format!("there is no {what}: {}", this.status));
        out_code.write(read(&this.status).ok_or_else(none)?);
        Ok(())
    })
}

/// Returns who ended the process, or who observed that it ended.
///
/// Any thread. Does not block.
///
/// @param status The status.
/// @return One of SSHPM_EXIT_SOURCE_...; 0 when the status is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_exit_status_get_source(status: *const sshpm_exit_status) -> i32 {
    plain(0, || {
        // SAFETY: the caller's pointer is NULL or points to a status.
        let source = unsafe { status.as_ref() }.map(|this| this.status.source());
        source.map_or(0, |source| match source {
            ExitSource::ClientMonitoring => SSHPM_EXIT_SOURCE_CLIENT_MONITORING,
            ExitSource::RemoteMonitoring => SSHPM_EXIT_SOURCE_REMOTE_MONITORING,
            ExitSource::ManualKillThroughSshClient => SSHPM_EXIT_SOURCE_MANUAL_KILL_THROUGH_SSH_CLIENT,
            ExitSource::ManualKillThroughRemotePid => SSHPM_EXIT_SOURCE_MANUAL_KILL_THROUGH_REMOTE_PID,
        })
    })
}

/// Returns the name of the exit source for logs: "client_monitoring", "remote_monitoring",
/// "manual_kill_through_ssh_client" or "manual_kill_through_remote_pid".
///
/// Any thread. Does not block.
///
/// @param status The status.
/// @return The name, which is owned by the status and valid until the status is freed. NULL when the status is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_exit_status_get_source_name(status: *const sshpm_exit_status) -> *const c_char {
    // SAFETY: the caller's pointer is NULL or points to a status.
    plain(ptr::null(), || pointer_to(unsafe { status.as_ref() }.map(|this| &this.source_name)))
}

/// Returns the start number of the process, which sshpm_manager_start_process or sshpm_manager_adopt_process returned
/// for it.
///
/// Any thread. Does not block.
///
/// @param status The status.
/// @return The start number; 0 when the status is NULL, and for a status of found processes, which belongs to no start
/// of this manager.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_exit_status_get_start_number(status: *const sshpm_exit_status) -> u64 {
    // SAFETY: the caller's pointer is NULL or points to a status.
    plain(0, || unsafe { status.as_ref() }.map_or(0, |this| this.status.start_number()))
}

/// Gets the code as it was observed. For the two sources that go through the ssh client it is the client's code: 0 to
/// 255, or minus the number of the signal that ended the client. For the other two sources it is the application's
/// code.
///
/// Any thread. Does not block.
///
/// @param status The status.
/// @param out_code Receives the code.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_NO_EXIT_CODE when no code was observed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_exit_status_get_raw_code(
    status: *const sshpm_exit_status,
    out_code: *mut i32,
) -> sshpm_result {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get_code(status, out_code, "raw code", ExitStatus::raw_code) }
}

/// Gets the code to show and to judge by: the raw code, if it says something about the application.
///
/// Any thread. Does not block.
///
/// @param status The status.
/// @param out_code Receives the code.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_NO_EXIT_CODE when there is no such code.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_exit_status_get_code(
    status: *const sshpm_exit_status,
    out_code: *mut i32,
) -> sshpm_result {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get_code(status, out_code, "exit code", ExitStatus::code) }
}

/// Gets the application's own code, whatever the exit source is. It can be known although the link was lost.
///
/// Any thread. Does not block.
///
/// @param status The status.
/// @param out_code Receives the code: 0 to 255, or 128+n when signal n ended the application.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_NO_EXIT_CODE when the code is not known.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_exit_status_get_application_code(
    status: *const sshpm_exit_status,
    out_code: *mut i32,
) -> sshpm_result {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get_code(status, out_code, "code of the application", ExitStatus::application_code) }
}

/// Returns the signal that ended the application. Some shells (bash, zsh) cannot tell a signal from an exit code: when
/// such a shell is the host's /bin/sh, a code of 128+n counts as signal n.
///
/// Any thread. Does not block.
///
/// @param status The status.
/// @return The signal's number on this machine; 0 when no signal ended the application, or the status is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_exit_status_get_signal(status: *const sshpm_exit_status) -> i32 {
    // SAFETY: the caller's pointer is NULL or points to a status.
    plain(0, || unsafe { status.as_ref() }.and_then(|this| this.status.signal()).map_or(0, Signal::number))
}

/// Returns whether the application dumped core because of the signal. Only some shells report this as the host's
/// /bin/sh: dash, mksh and busybox do.
///
/// Any thread. Does not block.
///
/// @param status The status.
/// @return Whether it did; false when the status is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_exit_status_core_dumped(status: *const sshpm_exit_status) -> bool {
    // SAFETY: the caller's pointer is NULL or points to a status.
    plain(false, || unsafe { status.as_ref() }.is_some_and(|this| this.status.core_dumped()))
}

/// Returns whether the application left members of its process group behind. They were killed.
///
/// Any thread. Does not block.
///
/// @param status The status.
/// @return Whether it did; false when the status is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_exit_status_left_over(status: *const sshpm_exit_status) -> bool {
    // SAFETY: the caller's pointer is NULL or points to a status.
    plain(false, || unsafe { status.as_ref() }.is_some_and(|this| this.status.left_over()))
}

/// Gets the time at which the application ended. When the exit was reported at once, which takes some milliseconds, it
/// is the time of this machine's clock. When the host reported the exit later, it is the time of the host's clock in
/// whole seconds.
///
/// Any thread. Does not block.
///
/// @param status The status.
/// @param out_ended_at Receives the time in seconds since 1970.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_NO_END_TIME when the time is not known.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_exit_status_get_ended_at(
    status: *const sshpm_exit_status,
    out_ended_at: *mut f64,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a status and a place for the output.
        let (this, out_ended_at) = unsafe { (handle(status, "status")?, output(out_ended_at, "out_ended_at")?) };
        let none =
            || Failure::new(SSHPM_ERROR_NO_END_TIME, format!("the time of the end is not known: {}", this.status));
        out_ended_at.write(since_1970(this.status.ended_at().ok_or_else(none)?));
        Ok(())
    })
}

fn since_1970(time: SystemTime) -> f64 {
    // A clock that is set to a time before 1970 gives a negative number.
    time.duration_since(UNIX_EPOCH).map_or_else(|before| -before.duration().as_secs_f64(), |since| since.as_secs_f64())
}

/// Returns how many processes that the application started could not be ended with it, although
/// sshpm_boot_request_set_kill_tree asked for that. One reason is that such a process belongs to another user.
///
/// Any thread. Does not block.
///
/// @param status The status.
/// @return The number; 0 when the status is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_exit_status_strays_count(status: *const sshpm_exit_status) -> usize {
    // SAFETY: the caller's pointer is NULL or points to a status.
    plain(0, || unsafe { status.as_ref() }.map_or(0, |this| this.status.strays().len()))
}

/// Returns the pid of one process that the application started and that could not be ended with it.
///
/// Any thread. Does not block.
///
/// @param status The status.
/// @param index The index of the process, from 0.
/// @return The pid on the application's host; -1 when the index is not below the count, or the status is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_exit_status_get_stray(status: *const sshpm_exit_status, index: usize) -> i64 {
    // SAFETY: the caller's pointer is NULL or points to a status.
    let pid = || unsafe { status.as_ref() }.and_then(|this| this.status.strays().get(index)).copied();
    plain(-1, || pid().unwrap_or(-1))
}

/// Returns whether the link was lost before the exit was known.
///
/// Any thread. Does not block.
///
/// @param status The status.
/// @return Whether it was; false when the status is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_exit_status_link_lost(status: *const sshpm_exit_status) -> bool {
    // SAFETY: the caller's pointer is NULL or points to a status.
    plain(false, || unsafe { status.as_ref() }.is_some_and(|this| this.status.link_lost()))
}

/// Returns whether the exit could not be determined: the link was lost, and the host did not answer in time.
///
/// Any thread. Does not block.
///
/// @param status The status.
/// @return Whether it could not; false when the status is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_exit_status_is_unknown(status: *const sshpm_exit_status) -> bool {
    // SAFETY: the caller's pointer is NULL or points to a status.
    plain(false, || unsafe { status.as_ref() }.is_some_and(|this| this.status.is_unknown()))
}

/// Returns the line for the log: process, session, user, what the exit means, code and signal, and what else is known.
///
/// Any thread. Does not block.
///
/// @param status The status.
/// @return The line without a newline, which is owned by the status and valid until the status is freed. NULL when the
/// status is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_exit_status_get_message(status: *const sshpm_exit_status) -> *const c_char {
    // SAFETY: the caller's pointer is NULL or points to a status.
    plain(ptr::null(), || pointer_to(unsafe { status.as_ref() }.map(|this| &this.message)))
}

/// Returns what the exit means, as a clause: "ended by the manager through the remote pid".
///
/// Any thread. Does not block.
///
/// @param status The status.
/// @return The clause, which is owned by the status and valid until the status is freed. NULL when the status is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_exit_status_get_sentence(status: *const sshpm_exit_status) -> *const c_char {
    // SAFETY: the caller's pointer is NULL or points to a status.
    plain(ptr::null(), || pointer_to(unsafe { status.as_ref() }.map(|this| &this.sentence)))
}

/// Frees a status.
///
/// Any thread. Does not block.
///
/// @param status The status. It must not belong to kill results, found processes, an event or a callback. NULL: does
/// nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_exit_status_free(status: *mut sshpm_exit_status) {
    // SAFETY: the caller's pointer is NULL or points to a status that nobody uses any more.
    unsafe { free(status) };
}
