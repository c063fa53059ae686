//! What a program can ask about the last call: the message of its error, the short text of a code, the version.

use std::ffi::c_char;

use super::boundary::{last_error, plain};
use super::codes::{sshpm_result, text_of};

/// The version of the library that the program runs with. That of the header is SSHPM_VERSION.
///
/// Any thread. Does not block.
///
/// @return Static text such as "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn sshpm_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// A short text for a result code. What exactly went wrong is in sshpm_last_error_message.
///
/// Any thread. Does not block.
///
/// @param code The result of a call.
/// @return Static text, also for numbers that are no code.
#[unsafe(no_mangle)]
pub extern "C" fn sshpm_strerror(code: sshpm_result) -> *const c_char {
    text_of(code).as_ptr()
}

/// The full message of the last call that failed in this thread: what was concerned, what went wrong, what to do.
///
/// Any thread. Does not block.
///
/// @return The text, which is the library's: valid until the thread's next call that fails, or the thread's end. ""
/// when no call has failed.
#[unsafe(no_mangle)]
pub extern "C" fn sshpm_last_error_message() -> *const c_char {
    plain(c"".as_ptr(), last_error)
}
