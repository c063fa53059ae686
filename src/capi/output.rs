//! Subscriptions to the output of an application.

use std::ffi::c_char;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use super::boundary::{Failure, call, free, give, plain};
use super::buffer::sshpm_buffer;
use super::codes::{SSHPM_ERROR_END_OF_OUTPUT, sshpm_result};
use super::input::{handle, output, text, timeout};
use super::manager::sshpm_manager;
use crate::model::callback_thread::refuse_inside_callback;
use crate::{Error, OutputPiece, OutputStream, OutputSubscription};

/// Stream: stdout of the application.
pub const SSHPM_STREAM_STDOUT: i32 = 1;
/// Stream: stderr of the application.
pub const SSHPM_STREAM_STDERR: i32 = 2;

/// A queue of what an application writes, with at most 256 pieces. When a reader is further behind, the newest pieces
/// are dropped and counted. The queue never delays the application.
pub struct sshpm_output_subscription {
    subscription: OutputSubscription,
}

impl sshpm_output_subscription {
    fn next(&self, timeout: Duration) -> Result<OutputPiece, Failure> {
        self.subscription.recv_timeout(timeout).map_err(|error| match error {
            RecvTimeoutError::Timeout => {
                Error::TimedOut { what: "the next piece of output".to_owned(), waited: timeout }.into()
            }
            RecvTimeoutError::Disconnected => {
                Failure::new(SSHPM_ERROR_END_OF_OUTPUT, "the output has ended, and all of it was received")
            }
        })
    }
}

/// Subscribes to what the application writes from now on, if it has no log file.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param out_subscription Receives the subscription. It is the caller's, to be freed with
/// sshpm_output_subscription_free, before or after the manager.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_UNKNOWN_UUID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_subscribe_output(
    manager: *mut sshpm_manager,
    uuid: *const c_char,
    out_subscription: *mut *mut sshpm_output_subscription,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager, a string and a place for the output.
        let (this, uuid, out_subscription) = unsafe {
            (handle(manager, "manager")?, text(uuid, "uuid")?, output(out_subscription, "out_subscription")?)
        };
        let subscription = this.manager.subscribe_output(uuid)?;
        give(out_subscription, sshpm_output_subscription { subscription });
        Ok(())
    })
}

/// Takes the next piece of output from the queue, or waits for one when the queue is empty.
///
/// Any thread; several can wait, and each piece goes to one of them. Blocks at most for the timeout.
///
/// @param subscription The subscription.
/// @param timeout_s Seconds; 0: does not block. SSHPM_TIMEOUT_DEFAULT: no limit.
/// @param out_stream Receives SSHPM_STREAM_STDOUT or SSHPM_STREAM_STDERR.
/// @param out_piece Receives at least one byte, as the application wrote it; a piece can end in the middle of a line.
/// It is the caller's, to be freed with sshpm_buffer_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID. SSHPM_ERROR_TIMED_OUT: nothing came within the
/// timeout. SSHPM_ERROR_END_OF_OUTPUT: no piece is left, and the process has ended or the manager no longer controls
/// it. SSHPM_ERROR_INSIDE_CALLBACK, unless the timeout is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_output_subscription_next(
    subscription: *const sshpm_output_subscription,
    timeout_s: f64,
    out_stream: *mut i32,
    out_piece: *mut *mut sshpm_buffer,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a subscription and places for the outputs.
        let (this, out_stream, out_piece) = unsafe {
            (handle(subscription, "subscription")?, output(out_stream, "out_stream")?, output(out_piece, "out_piece")?)
        };
        let timeout = timeout("timeout", timeout_s)?.unwrap_or(Duration::MAX);
        if !timeout.is_zero() {
            refuse_inside_callback()?;
        }
        let piece = this.next(timeout)?;
        out_stream.write(match piece.stream {
            OutputStream::Stdout => SSHPM_STREAM_STDOUT,
            OutputStream::Stderr => SSHPM_STREAM_STDERR,
        });
        give(out_piece, piece.bytes.into());
        Ok(())
    })
}

/// Returns how many bytes were dropped until now, because the reader was too far behind.
///
/// Any thread. Does not block.
///
/// @param subscription The subscription.
/// @return The number; 0 when the subscription is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_output_subscription_dropped(subscription: *const sshpm_output_subscription) -> u64 {
    // SAFETY: the caller's pointer is NULL or points to a subscription.
    plain(0, || unsafe { subscription.as_ref() }.map_or(0, |this| this.subscription.dropped()))
}

/// Ends a subscription and frees it, with the pieces that are left in it. No thread may be waiting in it: let threads
/// wait with a timeout, because no function wakes them.
///
/// Any thread. Does not block.
///
/// @param subscription The subscription. NULL: does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_output_subscription_free(subscription: *mut sshpm_output_subscription) {
    // SAFETY: the caller's pointer is NULL or points to a subscription that nobody uses any more.
    unsafe { free(subscription) };
}
