//! One event.

use std::ffi::{CString, c_char};
use std::ptr;

use super::input::{free, plain};
use super::result::{SSHPM_OK, code_of, sshpm_result};
use super::status::{pointer_to_status, sshpm_exit_status};
use super::strings::{c_string, pointer_to};
use crate::Event;

/// Event: the application runs: its setup is done and its program was executed.
pub const SSHPM_EVENT_STARTED: i32 = 1;
/// Event: the process ended. It is the last event of a process that had started.
pub const SSHPM_EVENT_EXITED: i32 = 2;
/// Event: the connection broke. SSHPM_EVENT_EXITED follows, when the host has been asked or the lost timeout is over;
/// of a process that is kept, SSHPM_EVENT_LINK_RESTORED.
pub const SSHPM_EVENT_LINK_LOST: i32 = 3;
/// Event: the process did not come to run. It is the only event of such a process.
pub const SSHPM_EVENT_START_FAILED: i32 = 4;
/// Event: a process that is kept (SSHPM_LINK_LOSS_KEEP) was taken over again, or was adopted.
pub const SSHPM_EVENT_LINK_RESTORED: i32 = 5;
/// Event: the link to a process that is kept does not come back, see sshpm_event_get_error. It is tried on, and told again when
/// the reason changes; after SSHPM_ERROR_TAKEN_OVER it is not tried any more.
pub const SSHPM_EVENT_LINK_NOT_RESTORED: i32 = 6;

/// What happened to a process.
pub struct sshpm_event {
    kind: i32,
    uuid: CString,
    /// -1: none.
    pid: i64,
    status: Option<sshpm_exit_status>,
    error: sshpm_result,
    /// Of all events that have no status.
    message: CString,
}

impl From<Event> for sshpm_event {
    fn from(event: Event) -> sshpm_event {
        let about = |kind, uuid: String, message: String| sshpm_event {
            kind,
            uuid: c_string(uuid),
            pid: -1,
            status: None,
            error: SSHPM_OK,
            message: c_string(message),
        };
        match event {
            Event::Started { uuid, pid } => sshpm_event { pid, ..about(SSHPM_EVENT_STARTED, uuid, String::new()) },
            Event::Exited { uuid, status } => {
                sshpm_event { status: Some(status.into()), ..about(SSHPM_EVENT_EXITED, uuid, String::new()) }
            }
            Event::LinkLost { uuid, reason } => about(SSHPM_EVENT_LINK_LOST, uuid, reason),
            Event::LinkRestored { uuid } => about(SSHPM_EVENT_LINK_RESTORED, uuid, String::new()),
            Event::LinkNotRestored { uuid, error } => {
                sshpm_event { error: code_of(&error), ..about(SSHPM_EVENT_LINK_NOT_RESTORED, uuid, error.to_string()) }
            }
            Event::StartFailed { uuid, error } => {
                sshpm_event { error: code_of(&error), ..about(SSHPM_EVENT_START_FAILED, uuid, error.to_string()) }
            }
        }
    }
}

/// What happened.
///
/// Any thread. Does not block.
///
/// @param event The event.
/// @return One of SSHPM_EVENT_..., of which later versions can have more; 0 when the event is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_event_get_type(event: *const sshpm_event) -> i32 {
    // SAFETY: the caller's pointer is NULL or to an event.
    plain(0, || unsafe { event.as_ref() }.map_or(0, |this| this.kind))
}

/// The process that the event is about.
///
/// Any thread. Does not block.
///
/// @param event The event.
/// @return The uuid, which is the event's: valid until it is freed. NULL when the event is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_event_get_uuid(event: *const sshpm_event) -> *const c_char {
    // SAFETY: the caller's pointer is NULL or to an event.
    plain(ptr::null(), || pointer_to(unsafe { event.as_ref() }.map(|this| &this.uuid)))
}

/// The application's pid on its host, of SSHPM_EVENT_STARTED.
///
/// Any thread. Does not block.
///
/// @param event The event.
/// @return The pid; -1 for all other events, and when the event is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_event_get_pid(event: *const sshpm_event) -> i64 {
    // SAFETY: the caller's pointer is NULL or to an event.
    plain(-1, || unsafe { event.as_ref() }.map_or(-1, |this| this.pid))
}

/// How the process ended, of SSHPM_EVENT_EXITED.
///
/// Any thread. Does not block.
///
/// @param event The event.
/// @return The status, which is the event's: valid until it is freed. NULL for all other events, and when the event
/// is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_event_get_status(event: *const sshpm_event) -> *const sshpm_exit_status {
    // SAFETY: the caller's pointer is NULL or to an event.
    plain(ptr::null(), || pointer_to_status(unsafe { event.as_ref() }.and_then(|this| this.status.as_ref())))
}

/// Why the process did not come to run, of SSHPM_EVENT_START_FAILED; why the link does not come back, of
/// SSHPM_EVENT_LINK_NOT_RESTORED.
///
/// Any thread. Does not block.
///
/// @param event The event.
/// @return SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_..., SSHPM_ERROR_TAKEN_OVER or
/// SSHPM_ERROR_LOCAL; SSHPM_OK for all other events, and when the event is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_event_get_error(event: *const sshpm_event) -> sshpm_result {
    // SAFETY: the caller's pointer is NULL or to an event.
    plain(SSHPM_OK, || unsafe { event.as_ref() }.map_or(SSHPM_OK, |this| this.error))
}

/// The text of the event: why the start failed, what ssh said when the link was lost, or the status' message.
///
/// Any thread. Does not block.
///
/// @param event The event.
/// @return The text, which is the event's: valid until it is freed. "" where there is none; NULL when the event is
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_event_get_message(event: *const sshpm_event) -> *const c_char {
    plain(ptr::null(), || {
        // SAFETY: the caller's pointer is NULL or to an event.
        let this = unsafe { event.as_ref() };
        pointer_to(this.map(|this| this.status.as_ref().map_or(&this.message, sshpm_exit_status::message)))
    })
}

/// Frees an event, with its status and strings.
///
/// Any thread. Does not block.
///
/// @param event The event. NULL: nothing is done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_event_free(event: *mut sshpm_event) {
    // SAFETY: the caller's pointer is NULL or to an event that is not used any more.
    unsafe { free(event) };
}
