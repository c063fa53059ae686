//! What every function does with what C hands in: checks it, and makes something of Rust of it.

use std::ffi::{CStr, OsStr, c_char};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::slice;
use std::time::Duration;

use super::boundary::{Failure, call};
use super::codes::{SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_OK, sshpm_result};
use crate::{Error, seconds};

/// A timeout: the default of what it is given for; each function says which.
pub const SSHPM_TIMEOUT_DEFAULT: f64 = -1.0;

/// The code of one of several results, which `code` gives; or what is wrong with the question.
///
/// # Safety
/// The pointer is NULL or to results that live during the call.
pub(super) unsafe fn code_at<'a, T: 'a, R: 'a>(
    results: *const T,
    index: usize,
    list: impl FnOnce(&'a T) -> &'a [R],
    code: impl FnOnce(&R) -> sshpm_result,
) -> sshpm_result {
    let mut found = SSHPM_OK;
    let asked = call(|| {
        // SAFETY: the caller's promise.
        let list = list(unsafe { handle(results, "results")? });
        let refused = || {
            let reason = format!("it is below the count, which is {}", list.len());
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

/// # Safety
/// The pointer is NULL, or to a value that lives and is not written to during the call.
pub(super) unsafe fn handle<'a, T>(pointer: *const T, argument: &str) -> Result<&'a T, Failure> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(argument))
}

/// # Safety
/// The pointer is NULL, or to a value that lives and that nobody else uses during the call.
pub(super) unsafe fn handle_mut<'a, T>(pointer: *mut T, argument: &str) -> Result<&'a mut T, Failure> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_mut() }.ok_or_else(|| null(argument))
}

/// Where an output goes; what stands there need not be initialised.
///
/// # Safety
/// The pointer is NULL, or to memory for a `T` that nobody else uses during the call.
pub(super) unsafe fn output<'a, T>(pointer: *mut T, argument: &str) -> Result<&'a mut MaybeUninit<T>, Failure> {
    // SAFETY: the caller's promise.
    unsafe { optional_output(pointer) }.ok_or_else(|| null(argument))
}

/// Where an output goes that the caller may not want: `None` when the pointer is NULL.
///
/// # Safety
/// The pointer is NULL, or to memory for a `T` that nobody else uses during the call.
pub(super) unsafe fn optional_output<'a, T>(pointer: *mut T) -> Option<&'a mut MaybeUninit<T>> {
    // SAFETY: the caller's promise; MaybeUninit needs no valid value.
    unsafe { pointer.cast::<MaybeUninit<T>>().as_mut() }
}

/// Bytes of a path, an argument or a value.
///
/// # Safety
/// The pointer is NULL, or to a NUL-terminated string that is not written to during the call.
pub(super) unsafe fn bytes<'a>(pointer: *const c_char, argument: &str) -> Result<&'a OsStr, Failure> {
    if pointer.is_null() {
        return Err(null(argument));
    }
    // SAFETY: the caller's promise.
    Ok(OsStr::from_bytes(unsafe { CStr::from_ptr(pointer) }.to_bytes()))
}

/// A name, which must be UTF-8.
///
/// # Safety
/// As for [`bytes`].
pub(super) unsafe fn text<'a>(pointer: *const c_char, argument: &str) -> Result<&'a str, Failure> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(pointer, argument)? };
    bytes.to_str().ok_or_else(|| Failure {
        code: SSHPM_ERROR_UTF8,
        message: format!("{argument} is not UTF-8: {:?}", bytes.to_string_lossy()),
    })
}

/// A name that can be left out.
///
/// # Safety
/// As for [`bytes`].
pub(super) unsafe fn text_or_null<'a>(pointer: *const c_char, argument: &str) -> Result<Option<&'a str>, Failure> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    unsafe { text(pointer, argument) }.map(Some)
}

/// An array; NULL is an empty one if its count is 0.
///
/// # Safety
/// The pointer is NULL, or to `count` values that are not written to during the call.
pub(super) unsafe fn array<'a, T>(pointer: *const T, count: usize, argument: &str) -> Result<&'a [T], Failure> {
    if count == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(null(argument));
    }
    if count > isize::MAX as usize / size_of::<T>() {
        return Err(Error::invalid(format!("count of {argument}"), count.to_string(), "no array is so long").into());
    }
    // SAFETY: the caller's promise, and the size is one that memory can have.
    Ok(unsafe { slice::from_raw_parts(pointer, count) })
}

/// An array of names.
///
/// # Safety
/// As for [`array`], and each element as for [`text`].
pub(super) unsafe fn texts<'a>(
    pointer: *const *const c_char,
    count: usize,
    argument: &str,
) -> Result<Vec<&'a str>, Failure> {
    // SAFETY: the caller's promise.
    let pointers = unsafe { array(pointer, count, argument)? };
    // SAFETY: the caller's promise.
    let element = |(at, text_at): (usize, &*const c_char)| unsafe { text(*text_at, &format!("{argument}[{at}]")) };
    pointers.iter().enumerate().map(element).collect()
}

/// A time in seconds: none for SSHPM_TIMEOUT_DEFAULT, `Duration::MAX` for infinity and all that is longer than it.
pub(super) fn timeout(field: &str, seconds: f64) -> Result<Option<Duration>, Failure> {
    if seconds == SSHPM_TIMEOUT_DEFAULT {
        return Ok(None);
    }
    let reason = "a timeout is a number of seconds from 0 on, INFINITY or SSHPM_TIMEOUT_DEFAULT";
    let time = seconds::to_duration(seconds).ok_or_else(|| Error::invalid(field, seconds.to_string(), reason))?;
    Ok(Some(time))
}

/// A value of an enumeration by its number.
pub(super) fn choice<T: Clone>(field: &str, value: i32, choices: &[(i32, T)]) -> Result<T, Failure> {
    let found = choices.iter().find(|(number, _)| *number == value);
    found.map(|(_, choice)| choice.clone()).ok_or_else(|| {
        let numbers: Vec<String> = choices.iter().map(|(number, _)| number.to_string()).collect();
        Error::invalid(field, value.to_string(), format!("it is one of {}", numbers.join(", "))).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capi::codes::SSHPM_ERROR_INVALID;

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
