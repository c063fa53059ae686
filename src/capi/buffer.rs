//! Buffers: bytes that the library returns to C.

use std::ffi::c_char;
use std::ptr;

use super::boundary::{free, plain};
use crate::Output;

/// A copy of some bytes, such as the last part of what an application wrote to a stream. It does not change.
pub struct sshpm_buffer {
    /// The bytes, and one NUL byte behind them.
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

/// Returns the bytes of a buffer.
///
/// Any thread. Does not block.
///
/// @param buffer The buffer.
/// @return The bytes, which are owned by the buffer and valid until the buffer is freed. A NUL byte follows them; there
/// can be other NUL bytes among them. NULL when the buffer is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_buffer_data(buffer: *const sshpm_buffer) -> *const c_char {
    // SAFETY: the caller's pointer is NULL or points to a buffer.
    plain(ptr::null(), || unsafe { buffer.as_ref() }.map_or(ptr::null(), |buffer| buffer.bytes.as_ptr().cast()))
}

/// Returns the number of bytes in a buffer, without the NUL byte that follows them.
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

/// Returns how many bytes the application wrote to the stream before those in the buffer. The library dropped them.
///
/// Any thread. Does not block.
///
/// @param buffer The buffer.
/// @return The number; 0 when the buffer is NULL, or does not hold the last part of a stream.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_buffer_dropped(buffer: *const sshpm_buffer) -> u64 {
    // SAFETY: the caller's pointer is NULL or points to a buffer.
    plain(0, || unsafe { buffer.as_ref() }.map_or(0, |buffer| buffer.dropped))
}

/// Frees a buffer and its bytes.
///
/// Any thread. Does not block.
///
/// @param buffer The buffer. NULL: does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_buffer_free(buffer: *mut sshpm_buffer) {
    // SAFETY: the caller's pointer is NULL or points to a buffer that nobody uses any more.
    unsafe { free(buffer) };
}
