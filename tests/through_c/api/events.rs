//! Events and callbacks.

use std::ffi::{c_char, c_void};
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvError, RecvTimeoutError, TryRecvError};
use std::time::Duration;
use std::{iter, ptr};

use crate::c;
use crate::error::{error, not_ready_reason, restart_limit};
use crate::input::{Owned, copied, duration, seconds};
use crate::status::ExitStatus;
use crate::{Error, NotReadyReason, Result};

#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Event {
    pub uuid: String,
    pub start_number: u64,
    pub kind: EventKind,
}

#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum EventKind {
    Started { pid: i64 },
    Ready,
    NotReady { reason: NotReadyReason },
    Exited { status: ExitStatus },
    LinkLost { reason: String },
    LinkRestored,
    LinkNotRestored { error: Error },
    StartFailed { error: Error },
    Restarting { attempt: u32, after: Duration },
    RestartLimitReached { limit: u32, within: Duration },
}

impl Event {
    fn read(event: &Owned<c::sshpm_event>) -> Event {
        let event = event.get();
        // SAFETY: the event lives, and what it lends is copied.
        unsafe {
            let uuid = copied(c::sshpm_event_get_uuid(event)).unwrap();
            let start_number = c::sshpm_event_get_start_number(event);
            let message = copied(c::sshpm_event_get_message(event)).unwrap();
            let (pid, status) = (c::sshpm_event_get_pid(event), c::sshpm_event_get_status(event));
            let code = c::sshpm_event_get_error(event);
            let kind = c::sshpm_event_get_type(event);
            assert_eq!(pid != -1, kind == c::SSHPM_EVENT_STARTED);
            assert_eq!(!status.is_null(), kind == c::SSHPM_EVENT_EXITED);
            let has_error = [c::SSHPM_EVENT_START_FAILED, c::SSHPM_EVENT_LINK_NOT_RESTORED].contains(&kind);
            assert_eq!(code != c::SSHPM_OK, has_error);
            let (attempt, pause) = (c::sshpm_event_get_attempt(event), c::sshpm_event_get_pause(event));
            assert_eq!((attempt > 0, pause > 0.0), [kind == c::SSHPM_EVENT_RESTARTING; 2].into());
            let kind = match kind {
                c::SSHPM_EVENT_STARTED => EventKind::Started { pid },
                c::SSHPM_EVENT_READY => EventKind::Ready,
                c::SSHPM_EVENT_NOT_READY => EventKind::NotReady { reason: not_ready_reason(&message).unwrap() },
                c::SSHPM_EVENT_EXITED => EventKind::Exited { status: ExitStatus::read(status) },
                c::SSHPM_EVENT_LINK_LOST => EventKind::LinkLost { reason: message },
                c::SSHPM_EVENT_LINK_RESTORED => EventKind::LinkRestored,
                c::SSHPM_EVENT_LINK_NOT_RESTORED => EventKind::LinkNotRestored { error: error(code, &message) },
                c::SSHPM_EVENT_START_FAILED => EventKind::StartFailed { error: error(code, &message) },
                c::SSHPM_EVENT_RESTARTING => EventKind::Restarting { attempt, after: duration(pause) },
                c::SSHPM_EVENT_RESTART_LIMIT_REACHED => {
                    let (limit, within) = restart_limit(&message).unwrap();
                    EventKind::RestartLimitReached { limit, within }
                }
                other => panic!("no event: {other}"),
            };
            Event { uuid, start_number, kind }
        }
    }
}

pub struct Subscription(pub(crate) Owned<c::sshpm_subscription>);

impl Subscription {
    fn next(&self, timeout: f64) -> std::result::Result<Event, c::sshpm_result> {
        let mut event = ptr::null_mut();
        // SAFETY: the subscription is ours, and the output a local.
        match unsafe { c::sshpm_subscription_next(self.0.get(), timeout, &mut event) } {
            c::SSHPM_OK => Ok(Event::read(&Owned::new(event, c::sshpm_event_free))),
            code => Err(code),
        }
    }

    pub fn recv(&self) -> std::result::Result<Event, RecvError> {
        self.next(c::SSHPM_TIMEOUT_DEFAULT).map_err(|code| match code {
            c::SSHPM_ERROR_SHUT_DOWN => RecvError,
            other => panic!("no answer: {other}"),
        })
    }

    pub fn recv_timeout(&self, timeout: Duration) -> std::result::Result<Event, RecvTimeoutError> {
        self.next(seconds(timeout)).map_err(|code| match code {
            c::SSHPM_ERROR_NO_EVENT => RecvTimeoutError::Timeout,
            c::SSHPM_ERROR_SHUT_DOWN => RecvTimeoutError::Disconnected,
            other => panic!("no answer: {other}"),
        })
    }

    pub fn try_recv(&self) -> std::result::Result<Event, TryRecvError> {
        self.next(0.0).map_err(|code| match code {
            c::SSHPM_ERROR_NO_EVENT => TryRecvError::Empty,
            c::SSHPM_ERROR_SHUT_DOWN => TryRecvError::Disconnected,
            other => panic!("no answer: {other}"),
        })
    }

    pub fn iter(&self) -> impl Iterator<Item = Event> {
        iter::from_fn(|| self.recv().ok())
    }

    pub fn try_iter(&self) -> impl Iterator<Item = Event> {
        iter::from_fn(|| self.try_recv().ok())
    }
}

impl AsFd for Subscription {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor belongs to the subscription as long as that lives.
        unsafe { BorrowedFd::borrow_raw(c::sshpm_subscription_get_fd(self.0.get())) }
    }
}

/// The number of a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallbackId(pub(crate) u64);

pub(crate) type Callback = Box<dyn Fn(&str, u64, std::result::Result<&ExitStatus, &Error>) + Send + Sync>;

/// The function that C calls for each exit.
///
/// # Safety
/// The parameters are as the header says of sshpm_exit_callback. The user data is a `Callback`.
pub(crate) unsafe extern "C" fn called(
    uuid: *const c_char,
    start_number: u64,
    status: *const c::sshpm_exit_status,
    code: c::sshpm_result,
    message: *const c_char,
    user_data: *mut c_void,
) {
    // SAFETY: the caller's promise; all values are copied.
    let (callback, uuid, end): (&Callback, String, Result<ExitStatus>) = unsafe {
        let end = match copied(message) {
            Some(message) => Err(error(code, &message)),
            None => Ok(ExitStatus::read(status)),
        };
        (&*user_data.cast::<Callback>(), copied(uuid).unwrap(), end)
    };
    // A callback of C must not unwind.
    let _ = catch_unwind(AssertUnwindSafe(|| callback(&uuid, start_number, end.as_ref())));
}

/// # Safety
/// The user data is a `Callback` that nobody calls any more.
pub(crate) unsafe extern "C" fn finalized(user_data: *mut c_void) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(user_data.cast::<Callback>()) });
}
