//! The output of applications while it arrives.

use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use crate::c;
use crate::input::{Owned, read, seconds};
use crate::{OutputPiece, OutputStream};

pub struct OutputSubscription(pub(crate) Owned<c::sshpm_output_subscription>);

impl OutputSubscription {
    pub fn dropped(&self) -> u64 {
        // SAFETY: the subscription is ours.
        unsafe { c::sshpm_output_subscription_dropped(self.0.get()) }
    }

    pub fn recv_timeout(&self, timeout: Duration) -> Result<OutputPiece, RecvTimeoutError> {
        let (mut stream, mut piece) = (0, std::ptr::null_mut());
        // SAFETY: the subscription is ours, and the outputs are locals.
        match unsafe { c::sshpm_output_subscription_next(self.0.get(), seconds(timeout), &mut stream, &mut piece) } {
            c::SSHPM_OK => {
                let stream = match stream {
                    c::SSHPM_STREAM_STDOUT => OutputStream::Stdout,
                    c::SSHPM_STREAM_STDERR => OutputStream::Stderr,
                    other => panic!("no stream: {other}"),
                };
                Ok(OutputPiece { stream, bytes: read(&Owned::new(piece, c::sshpm_buffer_free)).0 })
            }
            c::SSHPM_ERROR_TIMED_OUT => Err(RecvTimeoutError::Timeout),
            c::SSHPM_ERROR_END_OF_OUTPUT => Err(RecvTimeoutError::Disconnected),
            other => panic!("no answer: {other}"),
        }
    }
}
