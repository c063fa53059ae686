//! Result functions: the message of the last error, the short text of a code, and the version.

use std::ffi::c_char;

use super::boundary::{last_error, plain};
use super::codes::{sshpm_result, text_of};

/// Returns the version of the library that the program runs with. SSHPM_VERSION is the version of the header.
///
/// Any thread. Does not block.
///
/// @return Static text, such as "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn sshpm_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Returns a short text for a result code. sshpm_last_error_message has the details of one error.
///
/// Any thread. Does not block.
///
/// @param code The result of a call.
/// @return Static text, also for a number that is not a code.
#[unsafe(no_mangle)]
pub extern "C" fn sshpm_strerror(code: sshpm_result) -> *const c_char {
    text_of(code).as_ptr()
}

/// Returns the full message of the last call that failed in this thread: what failed, with which value, and what to do.
///
/// Any thread. Does not block.
///
/// @return The text, which is owned by the library and valid until the next call that fails in this thread, or until
/// the thread ends. "" when no call has failed.
#[unsafe(no_mangle)]
pub extern "C" fn sshpm_last_error_message() -> *const c_char {
    plain(c"".as_ptr(), last_error)
}
