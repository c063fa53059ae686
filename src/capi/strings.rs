//! Lists of strings, and strings that the library returns to C.

use std::ffi::{CString, c_char};
use std::ptr;

use super::boundary::{c_string, free, plain, pointer_to};

/// A list of strings, such as uuids.
pub struct sshpm_string_list {
    strings: Vec<CString>,
}

impl sshpm_string_list {
    pub(super) fn new(strings: Vec<String>) -> sshpm_string_list {
        sshpm_string_list { strings: strings.into_iter().map(c_string).collect() }
    }
}

/// Frees a string that a function of this library returned with the note that it is to be freed with sshpm_string_free.
///
/// Any thread. Does not block.
///
/// @param string The string. NULL: does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_string_free(string: *mut c_char) {
    plain((), || {
        if !string.is_null() {
            // SAFETY: the caller says that the string came from this library, which makes all strings by into_raw.
            drop(unsafe { CString::from_raw(string) });
        }
    });
}

/// Returns the number of strings in a list.
///
/// Any thread. Does not block.
///
/// @param list The list.
/// @return The number; 0 when the list is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_string_list_count(list: *const sshpm_string_list) -> usize {
    // SAFETY: the caller's pointer is NULL or points to a list.
    plain(0, || unsafe { list.as_ref() }.map_or(0, |list| list.strings.len()))
}

/// Returns one string of a list.
///
/// Any thread. Does not block.
///
/// @param list The list.
/// @param index The index of the string, from 0.
/// @return The string, which is owned by the list and valid until the list is freed. NULL when the index is not below
/// the count, or the list is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_string_list_get(list: *const sshpm_string_list, index: usize) -> *const c_char {
    // SAFETY: the caller's pointer is NULL or points to a list.
    plain(ptr::null(), || pointer_to(unsafe { list.as_ref() }.and_then(|list| list.strings.get(index))))
}

/// Frees a list and its strings.
///
/// Any thread. Does not block.
///
/// @param list The list. NULL: does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_string_list_free(list: *mut sshpm_string_list) {
    // SAFETY: the caller's pointer is NULL or points to a list that nobody uses any more.
    unsafe { free(list) };
}
