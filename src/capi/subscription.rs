//! Subscriptions to events.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select_biased};

use super::boundary::{Failure, call, free, give, plain};
use super::codes::{SSHPM_ERROR_NO_EVENT, SSHPM_ERROR_SHUT_DOWN, SSHPM_ERROR_WOKEN, sshpm_result};
use super::event::sshpm_event;
use super::input::{handle, output, timeout};
use super::manager::sshpm_manager;
use crate::model::callback_thread::refuse_inside_callback;
use crate::watch::event::Delivery;
use crate::{Event, Subscription};

/// A queue of a manager's events, with a descriptor for poll(2) and event loops.
pub struct sshpm_subscription {
    subscription: Subscription,
    wake: Sender<()>,
    woken: Receiver<()>,
}

impl sshpm_subscription {
    fn next(&self, timeout: Duration) -> Result<Event, Failure> {
        let next = select_biased! {
            recv(self.woken) -> _ => Err(Failure::new(SSHPM_ERROR_WOKEN, "sshpm_subscription_wake ended the wait")),
            recv(self.subscription.queue()) -> event => {
                let freed = || Failure::new(SSHPM_ERROR_SHUT_DOWN, "the manager was freed; no more events can come");
                event.map(Delivery::receive).map_err(|_| freed())
            }
            default(timeout) => {
                let waited = timeout.as_secs_f64();
                Err(Failure::new(SSHPM_ERROR_NO_EVENT, format!("no event came within {waited:.1} s")))
            }
        };
        self.subscription.update_fd();
        // A wake that came before the descriptor was cleared must keep the descriptor readable.
        if !self.woken.is_empty() {
            self.subscription.signal_fd();
        }
        next
    }
}

/// Subscribes to all events from now on. The queue is unbounded: a slow subscriber loses no event and delays nobody.
/// Events that are not received stay in the queue. Each takes some hundred bytes; the event of a failed start also
/// holds what ssh or the setup wrote last (4 KiB each) and the setup line that failed. So free a subscription that you
/// do not read.
///
/// Any thread. Does not block.
///
/// @param manager The manager.
/// @param out_subscription Receives the subscription. It is the caller's, to be freed with sshpm_subscription_free,
/// before or after the manager.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_LOCAL when this program has no descriptor left.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_subscribe(
    manager: *mut sshpm_manager,
    out_subscription: *mut *mut sshpm_subscription,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager and a place for the output.
        let (this, out_subscription) =
            unsafe { (handle(manager, "manager")?, output(out_subscription, "out_subscription")?) };
        let subscription = this.manager.subscribe()?;
        let (wake, woken) = bounded(1);
        give(out_subscription, sshpm_subscription { subscription, wake, woken });
        Ok(())
    })
}

/// Returns a descriptor that is readable while events wait or a wake is due. Use it only with poll(2) and the like;
/// sshpm_subscription_next returns the events. The descriptor can be readable although no event waits.
///
/// Any thread. Does not block.
///
/// @param subscription The subscription.
/// @return The descriptor, which is owned by the subscription and valid until the subscription is freed. Do not read
/// from it and do not close it. -1 when the subscription is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_subscription_get_fd(subscription: *const sshpm_subscription) -> i32 {
    // SAFETY: the caller's pointer is NULL or points to a subscription.
    plain(-1, || unsafe { subscription.as_ref() }.map_or(-1, |this| this.subscription.as_fd().as_raw_fd()))
}

/// Takes the next event from the queue, or waits for one when the queue is empty. The events of one process come in the
/// order in which they happened.
///
/// Any thread; several can wait, and each event goes to one of them. Blocks at most for the timeout.
///
/// @param subscription The subscription.
/// @param timeout_s Seconds; 0: does not block. SSHPM_TIMEOUT_DEFAULT: no limit.
/// @param out_event Receives the event. It is the caller's, to be freed with sshpm_event_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID. SSHPM_ERROR_NO_EVENT: no event came within the
/// timeout. SSHPM_ERROR_WOKEN: sshpm_subscription_wake ended the wait. SSHPM_ERROR_SHUT_DOWN: the manager was freed,
/// and no event is left. SSHPM_ERROR_INSIDE_CALLBACK, unless the timeout is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_subscription_next(
    subscription: *const sshpm_subscription,
    timeout_s: f64,
    out_event: *mut *mut sshpm_event,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a subscription and a place for the output.
        let (this, out_event) = unsafe { (handle(subscription, "subscription")?, output(out_event, "out_event")?) };
        let timeout = timeout("timeout", timeout_s)?.unwrap_or(Duration::MAX);
        if !timeout.is_zero() {
            refuse_inside_callback()?;
        }
        give(out_event, this.next(timeout)?.into());
        Ok(())
    })
}

/// Ends the wait of one thread in sshpm_subscription_next with SSHPM_ERROR_WOKEN. This is a thread that waits now, or
/// else the next thread that would wait. Several wakes that no thread has seen yet count as one. The descriptor of the
/// subscription becomes readable.
///
/// Any thread. Does not block. Not for signal handlers.
///
/// @param subscription The subscription.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_subscription_wake(subscription: *const sshpm_subscription) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a subscription.
        let this = unsafe { handle(subscription, "subscription")? };
        // It fails when a wake is already due.
        let _ = this.wake.try_send(());
        this.subscription.signal_fd();
        Ok(())
    })
}

/// Ends a subscription and frees it, with the events that are left in it. No thread may be waiting in it: wake such
/// threads and join them first.
///
/// Any thread. Does not block.
///
/// @param subscription The subscription. NULL: does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_subscription_free(subscription: *mut sshpm_subscription) {
    // SAFETY: the caller's pointer is NULL or points to a subscription that nobody uses any more.
    unsafe { free(subscription) };
}
