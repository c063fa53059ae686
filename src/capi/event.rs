//! Events.

use std::ffi::{CString, c_char};
use std::ptr;

use super::boundary::{c_string, free, plain, pointer_to};
use super::codes::{SSHPM_OK, code_of, sshpm_result};
use super::status::{pointer_to_status, sshpm_exit_status};
use crate::model::time;
use crate::{Error, Event, EventKind};

/// Event: the application runs: its setup is done and its program was executed.
pub const SSHPM_EVENT_STARTED: i32 = 1;
/// Event: the process ended. No event of this start follows but SSHPM_EVENT_RESTARTING or
/// SSHPM_EVENT_RESTART_LIMIT_REACHED. When the process was killed before the application ran,
/// this event comes without SSHPM_EVENT_STARTED before it.
pub const SSHPM_EVENT_EXITED: i32 = 2;
/// Event: the connection broke, or the client on this machine was killed. For a kept process (SSHPM_LINK_LOSS_KEEP),
/// SSHPM_EVENT_LINK_RESTORED follows when the link is back. Otherwise SSHPM_EVENT_EXITED follows, at the latest after
/// the lost timeout; or SSHPM_EVENT_START_FAILED, if the start had failed.
pub const SSHPM_EVENT_LINK_LOST: i32 = 3;
/// Event: the start failed: the program was not executed, or was ended at once. No event of this start follows but
/// SSHPM_EVENT_RESTARTING or SSHPM_EVENT_RESTART_LIMIT_REACHED.
pub const SSHPM_EVENT_START_FAILED: i32 = 4;
/// Event: the manager has a link to a kept process again, or adopted the process.
pub const SSHPM_EVENT_LINK_RESTORED: i32 = 5;
/// Event: an attempt to restore the link to a kept process failed; sshpm_event_get_error says why. The manager goes on
/// trying, and sends this event again when the reason changes. After SSHPM_ERROR_TAKEN_OVER it stops, and no event of
/// this start follows.
pub const SSHPM_EVENT_LINK_NOT_RESTORED: i32 = 6;

/// Event: the application has shown that it is ready, as the request says. A start has at most one of this event and
/// SSHPM_EVENT_NOT_READY, behind SSHPM_EVENT_STARTED and before the end of the process.
pub const SSHPM_EVENT_READY: i32 = 7;
/// Event: the application was not ready in time, or has shown that it will not be ready; sshpm_event_get_message says
/// which. It goes on running.
pub const SSHPM_EVENT_NOT_READY: i32 = 8;
/// Event: the restart policy of the process starts it again after a pause, unless a call cancels that:
/// sshpm_event_get_attempt and sshpm_event_get_pause say which restart it is, and after how long. The next life has a
/// start number of its own.
pub const SSHPM_EVENT_RESTARTING: i32 = 9;
/// Event: the restart policy of the process does not start it again, because it has been restarted too often;
/// sshpm_event_get_message has the limit. The end of this start stands.
pub const SSHPM_EVENT_RESTART_LIMIT_REACHED: i32 = 10;

/// What happened to a process.
pub struct sshpm_event {
    kind: i32,
    uuid: CString,
    start_number: u64,
    /// -1 when there is none.
    pid: i64,
    status: Option<sshpm_exit_status>,
    /// The number of the restart, and the pause in seconds.
    restart: Option<(u32, f64)>,
    error: sshpm_result,
    /// The text of an event that has no status.
    message: CString,
}

impl From<Event> for sshpm_event {
    fn from(event: Event) -> sshpm_event {
        let Event { uuid, start_number, kind } = event;
        let restart = match kind {
            EventKind::Restarting { attempt, after } => Some((attempt, time::from_duration(after))),
            _ => None,
        };
        let (code, pid, status, error, message) = match kind {
            EventKind::Started { pid } => (SSHPM_EVENT_STARTED, Some(pid), None, None, None),
            EventKind::Ready => (SSHPM_EVENT_READY, None, None, None, None),
            EventKind::NotReady { reason } => (SSHPM_EVENT_NOT_READY, None, None, None, Some(reason.to_string())),
            EventKind::Exited { status } => (SSHPM_EVENT_EXITED, None, Some(status), None, None),
            EventKind::LinkLost { reason } => (SSHPM_EVENT_LINK_LOST, None, None, None, Some(reason)),
            EventKind::LinkRestored => (SSHPM_EVENT_LINK_RESTORED, None, None, None, None),
            EventKind::LinkNotRestored { error } => (SSHPM_EVENT_LINK_NOT_RESTORED, None, None, Some(error), None),
            EventKind::StartFailed { error } => (SSHPM_EVENT_START_FAILED, None, None, Some(error), None),
            EventKind::Restarting { .. } => (SSHPM_EVENT_RESTARTING, None, None, None, None),
            EventKind::RestartLimitReached { limit, within } => {
                let text = format!("it had {limit} restarts within {} s", time::from_duration(within));
                (SSHPM_EVENT_RESTART_LIMIT_REACHED, None, None, None, Some(text))
            }
        };
        let error_text = error.as_ref().map(Error::to_string);
        sshpm_event {
            kind: code,
            uuid: c_string(uuid),
            start_number,
            pid: pid.unwrap_or(-1),
            status: status.map(Into::into),
            restart,
            error: error.as_ref().map_or(SSHPM_OK, code_of),
            message: c_string(message.or(error_text).unwrap_or_default()),
        }
    }
}

/// Returns what happened.
///
/// Any thread. Does not block.
///
/// @param event The event.
/// @return One of SSHPM_EVENT_..., of which later versions can have more; 0 when the event is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_event_get_type(event: *const sshpm_event) -> i32 {
    // SAFETY: the caller's pointer is NULL or points to an event.
    plain(0, || unsafe { event.as_ref() }.map_or(0, |this| this.kind))
}

/// Returns the uuid of the process that the event is about.
///
/// Any thread. Does not block.
///
/// @param event The event.
/// @return The uuid, which is owned by the event and valid until the event is freed. NULL when the event is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_event_get_uuid(event: *const sshpm_event) -> *const c_char {
    // SAFETY: the caller's pointer is NULL or points to an event.
    plain(ptr::null(), || pointer_to(unsafe { event.as_ref() }.map(|this| &this.uuid)))
}

/// Returns the start number of the process, which sshpm_manager_start_process or sshpm_manager_adopt_process returned
/// for it.
///
/// Any thread. Does not block.
///
/// @param event The event.
/// @return The start number; 0 when the event is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_event_get_start_number(event: *const sshpm_event) -> u64 {
    // SAFETY: the caller's pointer is NULL or points to an event.
    plain(0, || unsafe { event.as_ref() }.map_or(0, |this| this.start_number))
}

/// Returns the application's pid on its host, for SSHPM_EVENT_STARTED.
///
/// Any thread. Does not block.
///
/// @param event The event.
/// @return The pid; -1 for all other events, and when the event is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_event_get_pid(event: *const sshpm_event) -> i64 {
    // SAFETY: the caller's pointer is NULL or points to an event.
    plain(-1, || unsafe { event.as_ref() }.map_or(-1, |this| this.pid))
}

/// Returns how the process ended, for SSHPM_EVENT_EXITED.
///
/// Any thread. Does not block.
///
/// @param event The event.
/// @return The status, which is owned by the event and valid until the event is freed. NULL for all other events, and
/// when the event is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_event_get_status(event: *const sshpm_event) -> *const sshpm_exit_status {
    // SAFETY: the caller's pointer is NULL or points to an event.
    plain(ptr::null(), || pointer_to_status(unsafe { event.as_ref() }.and_then(|this| this.status.as_ref())))
}

/// Returns why the start failed, for SSHPM_EVENT_START_FAILED, or why the link was not restored, for
/// SSHPM_EVENT_LINK_NOT_RESTORED.
///
/// Any thread. Does not block.
///
/// @param event The event.
/// @return SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_..., SSHPM_ERROR_TAKEN_OVER or
/// SSHPM_ERROR_LOCAL; SSHPM_OK for all other events, and when the event is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_event_get_error(event: *const sshpm_event) -> sshpm_result {
    // SAFETY: the caller's pointer is NULL or points to an event.
    plain(SSHPM_OK, || unsafe { event.as_ref() }.map_or(SSHPM_OK, |this| this.error))
}

/// Returns which restart follows, for SSHPM_EVENT_RESTARTING: the how many-th within the time of the policy's limit,
/// from 1.
///
/// Any thread. Does not block.
///
/// @param event The event.
/// @return The number; 0 for all other events, and when the event is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_event_get_attempt(event: *const sshpm_event) -> u32 {
    // SAFETY: the caller's pointer is NULL or points to an event.
    plain(0, || unsafe { event.as_ref() }.and_then(|this| this.restart).map_or(0, |(attempt, _)| attempt))
}

/// Returns the pause before the restart, for SSHPM_EVENT_RESTARTING.
///
/// Any thread. Does not block.
///
/// @param event The event.
/// @return Seconds; 0 for all other events, and when the event is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_event_get_pause(event: *const sshpm_event) -> f64 {
    // SAFETY: the caller's pointer is NULL or points to an event.
    plain(0.0, || unsafe { event.as_ref() }.and_then(|this| this.restart).map_or(0.0, |(_, pause)| pause))
}

/// Returns the text of the event: why the start failed, the link was not restored or the process is not ready, what ssh
/// said when the link was lost, the limit of the restarts, or the message of the exit status.
///
/// Any thread. Does not block.
///
/// @param event The event.
/// @return The text, which is owned by the event and valid until the event is freed. "" when there is no text; NULL
/// when the event is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_event_get_message(event: *const sshpm_event) -> *const c_char {
    plain(ptr::null(), || {
        // SAFETY: the caller's pointer is NULL or points to an event.
        let this = unsafe { event.as_ref() };
        pointer_to(this.map(|this| this.status.as_ref().map_or(&this.message, sshpm_exit_status::message)))
    })
}

/// Frees an event, with its status and strings.
///
/// Any thread. Does not block.
///
/// @param event The event. NULL: does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_event_free(event: *mut sshpm_event) {
    // SAFETY: the caller's pointer is NULL or points to an event that nobody uses any more.
    unsafe { free(event) };
}
