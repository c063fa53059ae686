//! Bytes that go out to C.

use std::ffi::c_char;
use std::ptr;

use super::boundary::{free, plain};
use crate::Output;

/// Bytes, such as the last part of what an application wrote to a stream: a copy, which does not change.
pub struct sshpm_buffer {
    /// With a NUL behind it.
    bytes: Vec<u8>,
    dropped: u64,
}

impl From<Output> for sshpm_buffer {
    fn from(output: Output) -> sshpm_buffer {
        let mut bytes = output.bytes;
        bytes.push(0);
        sshpm_buffer { bytes, dropped: output.dropped }
    }
}

impl From<Vec<u8>> for sshpm_buffer {
    fn from(bytes: Vec<u8>) -> sshpm_buffer {
        Output { bytes, dropped: 0 }.into()
    }
}

/// The bytes of a buffer.
///
/// Any thread. Does not block.
///
/// @param buffer The buffer.
/// @return The bytes, which are the buffer's: valid until it is freed. A NUL follows them; there may be others in
/// them. NULL when the buffer is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_buffer_data(buffer: *const sshpm_buffer) -> *const c_char {
    // SAFETY: the caller's pointer is NULL or points to a buffer.
    plain(ptr::null(), || unsafe { buffer.as_ref() }.map_or(ptr::null(), |buffer| buffer.bytes.as_ptr().cast()))
}

/// The number of bytes in a buffer, without the NUL behind them.
///
/// Any thread. Does not block.
///
/// @param buffer The buffer.
/// @return The number; 0 when the buffer is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_buffer_size(buffer: *const sshpm_buffer) -> usize {
    // SAFETY: the caller's pointer is NULL or points to a buffer.
    plain(0, || unsafe { buffer.as_ref() }.map_or(0, |buffer| buffer.bytes.len() - 1))
}

/// How many bytes the application wrote before those in the buffer, which were not kept; 0 for what is no such part.
///
/// Any thread. Does not block.
///
/// @param buffer The buffer.
/// @return The number; 0 when the buffer is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_buffer_dropped(buffer: *const sshpm_buffer) -> u64 {
    // SAFETY: the caller's pointer is NULL or points to a buffer.
    plain(0, || unsafe { buffer.as_ref() }.map_or(0, |buffer| buffer.dropped))
}

/// Frees a buffer and its bytes.
///
/// Any thread. Does not block.
///
/// @param buffer The buffer. NULL: nothing is done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_buffer_free(buffer: *mut sshpm_buffer) {
    // SAFETY: the caller's pointer is NULL or points to a buffer that nobody uses any more.
    unsafe { free(buffer) };
}
