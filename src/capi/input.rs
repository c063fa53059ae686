//! Reads the arguments of C: checks them, and converts them to types of Rust.

use std::ffi::{CStr, OsStr, c_char};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::slice;
use std::time::Duration;

use super::boundary::{Failure, call};
use super::codes::{SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_OK, sshpm_result};
use crate::Error;
use crate::model::time;

/// As a timeout: the default, which each function names.
pub const SSHPM_TIMEOUT_DEFAULT: f64 = -1.0;

/// Returns the code of one of several results, which `code` computes, or the code of what is wrong with the arguments.
///
/// # Safety
/// The pointer is NULL, or points to results that live during the call.
pub(super) unsafe fn code_at<'a, T: 'a, R: 'a>(
    results: *const T,
    index: usize,
    list: impl FnOnce(&'a T) -> &'a [R],
    code: impl FnOnce(&R) -> sshpm_result,
) -> sshpm_result {
    let mut found = SSHPM_OK;
    let asked = call(|| {
        // SAFETY: the caller promises it.
        let list = list(unsafe { handle(results, "results")? });
        let refused = || {
            let reason = format!("must be below the count, {}", list.len());
            Failure::from(Error::invalid("index", index.to_string(), reason))
        };
        found = code(list.get(index).ok_or_else(refused)?);
        Ok(())
    });
    if asked == SSHPM_OK { found } else { asked }
}

fn null(argument: &str) -> Failure {
    Failure { code: SSHPM_ERROR_NULL_ARGUMENT, message: format!("{argument} is NULL") }
}

/// Reads a handle that the function does not change.
///
/// # Safety
/// The pointer is NULL, or points to a value that lives and that nobody writes to during the call.
pub(super) unsafe fn handle<'a, T>(pointer: *const T, argument: &str) -> Result<&'a T, Failure> {
    // SAFETY: the caller promises it.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(argument))
}

/// Reads a handle that the function changes.
///
/// # Safety
/// The pointer is NULL, or points to a value that lives and that nobody else uses during the call.
pub(super) unsafe fn handle_mut<'a, T>(pointer: *mut T, argument: &str) -> Result<&'a mut T, Failure> {
    // SAFETY: the caller promises it.
    unsafe { pointer.as_mut() }.ok_or_else(|| null(argument))
}

/// Returns the place for an output. It need not be initialised.
///
/// # Safety
/// The pointer is NULL, or points to memory for a `T` that nobody else uses during the call.
pub(super) unsafe fn output<'a, T>(pointer: *mut T, argument: &str) -> Result<&'a mut MaybeUninit<T>, Failure> {
    // SAFETY: the caller promises it.
    unsafe { optional_output(pointer) }.ok_or_else(|| null(argument))
}

/// Returns the place for an output that the caller may not want: `None` when the pointer is NULL.
///
/// # Safety
/// The pointer is NULL, or points to memory for a `T` that nobody else uses during the call.
pub(super) unsafe fn optional_output<'a, T>(pointer: *mut T) -> Option<&'a mut MaybeUninit<T>> {
    // SAFETY: the caller promises it; MaybeUninit needs no valid value.
    unsafe { pointer.cast::<MaybeUninit<T>>().as_mut() }
}

/// Reads the bytes of a path, an argument or a value.
///
/// # Safety
/// The pointer is NULL, or points to a NUL-terminated string that nobody writes to during the call.
pub(super) unsafe fn bytes<'a>(pointer: *const c_char, argument: &str) -> Result<&'a OsStr, Failure> {
    if pointer.is_null() {
        return Err(null(argument));
    }
    // SAFETY: the caller promises it.
    Ok(OsStr::from_bytes(unsafe { CStr::from_ptr(pointer) }.to_bytes()))
}

/// Reads a name, which must be UTF-8.
///
/// # Safety
/// The pointer is NULL, or points to a NUL-terminated string that nobody writes to during the call.
pub(super) unsafe fn text<'a>(pointer: *const c_char, argument: &str) -> Result<&'a str, Failure> {
    // SAFETY: the caller promises it.
    let bytes = unsafe { bytes(pointer, argument)? };
    std::str::from_utf8(bytes.as_bytes()).map_err(|error| Failure {
        code: SSHPM_ERROR_UTF8,
        // The text is not quoted, because it may be secret: JSON has the values of variables.
        message: format!("{argument} is not UTF-8: the byte at index {} is wrong", error.valid_up_to()),
    })
}

/// Reads a name that may be NULL.
///
/// # Safety
/// The pointer is NULL, or points to a NUL-terminated string that nobody writes to during the call.
pub(super) unsafe fn text_or_null<'a>(pointer: *const c_char, argument: &str) -> Result<Option<&'a str>, Failure> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller promises it.
    unsafe { text(pointer, argument) }.map(Some)
}

/// Reads an array. NULL is an empty array if the count is 0.
///
/// # Safety
/// The pointer is NULL, or points to `count` values that nobody writes to during the call.
pub(super) unsafe fn array<'a, T>(pointer: *const T, count: usize, argument: &str) -> Result<&'a [T], Failure> {
    if count == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(null(argument));
    }
    if count > isize::MAX as usize / size_of::<T>() {
        return Err(Error::invalid(
            format!("count of {argument}"),
            count.to_string(),
            "must be a number of elements that an array can have",
        )
        .into());
    }
    // SAFETY: the caller promises it, and the size is one that memory can have.
    Ok(unsafe { slice::from_raw_parts(pointer, count) })
}

/// Reads an array of names.
///
/// # Safety
/// The pointer is NULL, or points to `count` pointers that nobody writes to during the call. Each of these is NULL, or
/// points to a NUL-terminated string that nobody writes to during the call.
pub(super) unsafe fn texts<'a>(
    pointer: *const *const c_char,
    count: usize,
    argument: &str,
) -> Result<Vec<&'a str>, Failure> {
    // SAFETY: the caller promises it.
    let pointers = unsafe { array(pointer, count, argument)? };
    // SAFETY: the caller promises it.
    let element = |(at, text_at): (usize, &*const c_char)| unsafe { text(*text_at, &format!("{argument}[{at}]")) };
    pointers.iter().enumerate().map(element).collect()
}

/// Reads a timeout in seconds. Returns `None` for SSHPM_TIMEOUT_DEFAULT, and `Duration::MAX` for infinity and every
/// number that is larger than that.
pub(super) fn timeout(field: &str, seconds: f64) -> Result<Option<Duration>, Failure> {
    if seconds == SSHPM_TIMEOUT_DEFAULT {
        return Ok(None);
    }
    let reason = "must be a number of seconds from 0 on, INFINITY or SSHPM_TIMEOUT_DEFAULT";
    let time = time::to_duration(seconds).ok_or_else(|| Error::invalid(field, seconds.to_string(), reason))?;
    Ok(Some(time))
}

/// Returns the value that a number stands for.
pub(super) fn choice<T: Clone>(field: &str, value: i32, choices: &[(i32, T)]) -> Result<T, Failure> {
    let found = choices.iter().find(|(number, _)| *number == value);
    found.map(|(_, choice)| choice.clone()).ok_or_else(|| {
        let numbers: Vec<String> = choices.iter().map(|(number, _)| number.to_string()).collect();
        Error::invalid(field, value.to_string(), format!("must be one of {}", numbers.join(", "))).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capi::codes::SSHPM_ERROR_INVALID;

    #[test]
    fn a_text_that_is_not_utf8_is_not_quoted() {
        // SAFETY: it is a NUL-terminated string.
        let failure = unsafe { text(c"secret\xff".as_ptr(), "json") }.unwrap_err();
        assert_eq!(failure.code, SSHPM_ERROR_UTF8);
        assert_eq!(failure.message, "json is not UTF-8: the byte at index 6 is wrong");
    }

    #[test]
    fn timeouts_are_read_and_bad_ones_named() {
        assert_eq!(timeout("t", -1.0).ok(), Some(None));
        assert_eq!(timeout("t", 0.0).ok(), Some(Some(Duration::ZERO)));
        assert_eq!(timeout("t", -0.0).ok(), Some(Some(Duration::ZERO)));
        assert_eq!(timeout("t", 0.25).ok(), Some(Some(Duration::from_millis(250))));
        assert_eq!(timeout("t", f64::INFINITY).ok(), Some(Some(Duration::MAX)));
        assert_eq!(timeout("t", 1e300).ok(), Some(Some(Duration::MAX)));
        for bad in [f64::NAN, f64::NEG_INFINITY, -0.5, -2.0] {
            let failure = timeout("some_timeout", bad).unwrap_err();
            assert_eq!(failure.code, SSHPM_ERROR_INVALID);
            assert!(failure.message.contains("some_timeout") && failure.message.contains(&bad.to_string()));
        }
    }
}
