//! Events and callbacks.

use std::ffi::{c_char, c_void};
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Mutex;

use crossbeam_channel::Sender;

use crate::c;
use crate::error::error;
use crate::input::{Owned, copied};
use crate::status::ExitStatus;
use crate::{Error, Result};

#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    Started { uuid: String, pid: i64 },
    Exited { uuid: String, status: ExitStatus },
    LinkLost { uuid: String, reason: String },
    LinkRestored { uuid: String },
    LinkNotRestored { uuid: String, error: Error },
    StartFailed { uuid: String, error: Error },
}

impl Event {
    pub fn uuid(&self) -> &str {
        match self {
            Event::Started { uuid, .. }
            | Event::Exited { uuid, .. }
            | Event::LinkLost { uuid, .. }
            | Event::LinkRestored { uuid }
            | Event::LinkNotRestored { uuid, .. }
            | Event::StartFailed { uuid, .. } => uuid,
        }
    }

    fn read(event: &Owned<c::sshpm_event>) -> Event {
        let event = event.get();
        // SAFETY: the event lives, and what it lends is copied.
        unsafe {
            let uuid = copied(c::sshpm_event_get_uuid(event)).unwrap();
            let message = copied(c::sshpm_event_get_message(event)).unwrap();
            let (pid, status) = (c::sshpm_event_get_pid(event), c::sshpm_event_get_status(event));
            let code = c::sshpm_event_get_error(event);
            let kind = c::sshpm_event_get_type(event);
            assert_eq!(pid != -1, kind == c::SSHPM_EVENT_STARTED);
            assert_eq!(!status.is_null(), kind == c::SSHPM_EVENT_EXITED);
            let has_error = [c::SSHPM_EVENT_START_FAILED, c::SSHPM_EVENT_LINK_NOT_RESTORED].contains(&kind);
            assert_eq!(code != c::SSHPM_OK, has_error);
            match kind {
                c::SSHPM_EVENT_STARTED => Event::Started { uuid, pid },
                c::SSHPM_EVENT_EXITED => Event::Exited { uuid, status: ExitStatus::read(status) },
                c::SSHPM_EVENT_LINK_LOST => Event::LinkLost { uuid, reason: message },
                c::SSHPM_EVENT_LINK_RESTORED => Event::LinkRestored { uuid },
                c::SSHPM_EVENT_LINK_NOT_RESTORED => Event::LinkNotRestored { uuid, error: error(code, &message) },
                c::SSHPM_EVENT_START_FAILED => Event::StartFailed { uuid, error: error(code, &message) },
                other => panic!("no event: {other}"),
            }
        }
    }
}

pub(crate) type Subscription = Owned<c::sshpm_subscription>;

/// The next event that is there already, or why there is none.
fn next(subscription: &Subscription) -> std::result::Result<Event, c::sshpm_result> {
    let mut event = ptr::null_mut();
    // SAFETY: the subscription is ours, and the output a local.
    match unsafe { c::sshpm_subscription_next(subscription.get(), 0.0, &mut event) } {
        c::SSHPM_OK => Ok(Event::read(&Owned::new(event, c::sshpm_event_free))),
        code => Err(code),
    }
}

/// A subscription with the descriptor that C has for event loops.
pub struct PolledEvents(pub(crate) Subscription);

impl PolledEvents {
    #[allow(clippy::should_implement_trait)]
    pub fn next(&self) -> Option<Event> {
        next(&self.0).ok()
    }
}

impl AsFd for PolledEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: it is the subscription's as long as that lives.
        unsafe { BorrowedFd::borrow_raw(c::sshpm_subscription_get_fd(self.0.get())) }
    }
}

/// Takes the events from a subscription of C to a channel, as Rust's users have it.
pub(crate) struct Pump {
    subscription: Subscription,
    /// None when the last event has been taken.
    events: Mutex<Option<Sender<Event>>>,
}

impl Pump {
    pub(crate) fn new(subscription: Subscription, events: Sender<Event>) -> Pump {
        Pump { subscription, events: Mutex::new(Some(events)) }
    }

    /// Takes what is there: a call that has caused events finds them in the channel. True when none can come any more.
    pub(crate) fn take(&self) -> bool {
        let mut events = self.events.lock().unwrap();
        while let Some(sender) = &*events {
            match next(&self.subscription) {
                // Nobody wants them any more.
                Ok(event) => {
                    if sender.send(event).is_err() {
                        *events = None;
                    }
                }
                Err(c::SSHPM_ERROR_WOKEN) => {}
                Err(c::SSHPM_ERROR_NO_EVENT) => return false,
                Err(c::SSHPM_ERROR_SHUT_DOWN) => *events = None,
                Err(other) => panic!("no answer: {other}"),
            }
        }
        true
    }

    /// Until the manager is freed, and all has been taken.
    pub(crate) fn run(&self) {
        while !self.take() {
            // SAFETY: the subscription is ours.
            let fd = unsafe { c::sshpm_subscription_get_fd(self.subscription.get()) };
            let mut polled = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
            // SAFETY: one valid entry.
            unsafe { libc::poll(&mut polled, 1, -1) };
        }
    }

    pub(crate) fn wake(&self) {
        // SAFETY: the subscription is ours.
        assert_eq!(unsafe { c::sshpm_subscription_wake(self.subscription.get()) }, c::SSHPM_OK);
    }
}

/// The number of a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallbackId(pub(crate) u64);

pub(crate) type Callback = Box<dyn Fn(&str, std::result::Result<&ExitStatus, &Error>) + Send + Sync>;

/// What C calls for each end.
///
/// # Safety
/// As the header says of sshpm_exit_callback; the user data is a `Callback`.
pub(crate) unsafe extern "C" fn called(
    uuid: *const c_char,
    status: *const c::sshpm_exit_status,
    code: c::sshpm_result,
    message: *const c_char,
    user_data: *mut c_void,
) {
    // SAFETY: the caller's promise; all is copied.
    let (callback, uuid, end): (&Callback, String, Result<ExitStatus>) = unsafe {
        let end = match copied(message) {
            Some(message) => Err(error(code, &message)),
            None => Ok(ExitStatus::read(status)),
        };
        (&*user_data.cast::<Callback>(), copied(uuid).unwrap(), end)
    };
    // A callback of C must not throw.
    let _ = catch_unwind(AssertUnwindSafe(|| callback(&uuid, end.as_ref())));
}

/// # Safety
/// The user data is a `Callback` that nobody calls any more.
pub(crate) unsafe extern "C" fn finalized(user_data: *mut c_void) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(user_data.cast::<Callback>()) });
}
