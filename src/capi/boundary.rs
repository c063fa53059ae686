//! The boundary between C and Rust: how a function runs, how it fails, and how it passes values to C.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::mem::{self, MaybeUninit};
use std::panic::{self, AssertUnwindSafe};
use std::ptr;

use super::codes::{SSHPM_ERROR_PANIC, SSHPM_OK, code_of, sshpm_result};
use crate::Error;

/// Why a call fails: its code, and the message for `sshpm_last_error_message`.
#[derive(Debug)]
pub(super) struct Failure {
    pub code: sshpm_result,
    pub message: String,
}

impl Failure {
    pub(super) fn new(code: sshpm_result, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into() }
    }

    fn from_panic(payload: Box<dyn Any + Send>) -> Failure {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        let message = format!("a bug in sshpm, please report it: {}", text.as_deref().unwrap_or("panic"));
        // The payload could panic again when it is dropped.
        mem::forget(payload);
        Failure { code: SSHPM_ERROR_PANIC, message }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { code: code_of(&error), message: error.to_string() }
    }
}

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

fn set_last_error(message: String) {
    // A thread that is ending has lost its message.
    let _ = LAST_ERROR.try_with(|last| *last.borrow_mut() = c_string(message));
}

/// Returns the message of the last failure in this thread, which is valid until the next failure or the end of the
/// thread.
pub(super) fn last_error() -> *const c_char {
    LAST_ERROR.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// Runs the body of a function that returns a result code. A failure or a panic becomes its code, and its message
/// becomes the last message of the thread.
pub(super) fn call(body: impl FnOnce() -> Result<(), Failure>) -> sshpm_result {
    let failure = match panic::catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return SSHPM_OK,
        Ok(Err(failure)) => failure,
        Err(payload) => Failure::from_panic(payload),
    };
    set_last_error(failure.message);
    failure.code
}

/// Runs the body of a function that returns no result code. Returns `otherwise` after a panic.
pub(super) fn plain<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        set_last_error(Failure::from_panic(payload).message);
        otherwise
    })
}

/// Passes a value to C, which owns it from then on.
pub(super) fn give<T>(output: &mut MaybeUninit<*mut T>, value: T) {
    output.write(Box::into_raw(Box::new(value)));
}

/// Drops a value that C owned. Does nothing for NULL.
///
/// # Safety
/// The pointer is NULL, or it came from [`give`] and nobody uses it any more.
pub(super) unsafe fn free<T>(pointer: *mut T) {
    plain((), || {
        if !pointer.is_null() {
            // SAFETY: the caller promises it.
            drop(unsafe { Box::from_raw(pointer) });
        }
    });
}

/// Makes a C string of any text. The crate's own texts have no NUL byte, but what ssh or an application wrote can have
/// one.
pub(super) fn c_string(text: impl Into<Vec<u8>>) -> CString {
    let mut bytes = text.into();
    bytes.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b'?');
    CString::new(bytes).unwrap_or_default()
}

/// Passes a string to C, which owns it from then on.
pub(super) fn give_string(output: &mut MaybeUninit<*mut c_char>, text: &str) {
    output.write(c_string(text).into_raw());
}

/// Returns the pointer to a string, or NULL when there is none.
pub(super) fn pointer_to(string: Option<&CString>) -> *const c_char {
    string.map_or(ptr::null(), |string| CStr::as_ptr(string))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last_message() -> String {
        // SAFETY: it is a NUL-terminated string, and no call that only this thread uses fails before it is copied.
        unsafe { CStr::from_ptr(last_error()) }.to_string_lossy().into_owned()
    }

    #[test]
    fn a_panic_becomes_a_code_and_its_message_is_kept() {
        assert_eq!(call(|| panic!("number {}", 7)), SSHPM_ERROR_PANIC);
        assert!(last_message().contains("number 7"));
        assert_eq!(plain(3, || panic!("a literal")), 3);
        assert!(last_message().contains("a literal"));
    }

    #[test]
    fn a_nul_inside_a_text_does_not_cut_it() {
        assert_eq!(c_string("a\0b").as_bytes(), b"a?b");
    }
}
