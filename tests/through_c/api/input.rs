//! The input and the output of C's functions: strings, times, handles.

use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::time::Duration;

use crate::c;
use crate::error::last_error;
use crate::{Error, Result};

/// Returns a string for C. Such a string ends at a NUL, so one with a NUL inside is refused here, as every caller must
/// do whose strings have a length.
pub(crate) fn text(field: &str, value: impl AsRef<[u8]>) -> Result<CString> {
    let value = value.as_ref();
    CString::new(value).map_err(|_| Error::Invalid {
        field: field.to_owned(),
        value: String::from_utf8_lossy(value).into_owned(),
        reason: "a string of C ends at a NUL".to_owned(),
    })
}

pub(crate) fn text_or_null(field: &str, value: Option<&str>) -> Result<Option<CString>> {
    value.map(|value| text(field, value)).transpose()
}

pub(crate) fn pointer(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(ptr::null(), |text| text.as_ptr())
}

/// Returns an error unless the code is SSHPM_OK.
pub(crate) fn check(code: c::sshpm_result) -> Result<()> {
    if code == c::SSHPM_OK { Ok(()) } else { Err(last_error(code)) }
}

pub(crate) fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

/// Returns the time of this many seconds of C, where infinity stands for the longest time.
pub(crate) fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// Copies a text of C.
///
/// # Safety
/// The pointer is to a string of C that lives during the call, or NULL.
pub(crate) unsafe fn copied(text: *const c_char) -> Option<String> {
    // SAFETY: the caller's promise.
    let text = (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) });
    text.map(|text| text.to_str().expect("what C gives is UTF-8").to_owned())
}

/// A handle that this library must free.
pub(crate) struct Owned<T> {
    handle: *mut T,
    free: unsafe extern "C" fn(*mut T),
}

// SAFETY: the header says that any thread may use a handle, and that one thread at a time may set it up.
unsafe impl<T> Send for Owned<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Owned<T> {}

impl<T> Owned<T> {
    /// Takes a handle that C gave and that `free` frees.
    pub(crate) fn new(handle: *mut T, free: unsafe extern "C" fn(*mut T)) -> Owned<T> {
        assert!(!handle.is_null(), "an output was not written");
        Owned { handle, free }
    }

    /// Returns the handle that a function gives through its output, if it returns SSHPM_OK.
    pub(crate) fn given(
        free: unsafe extern "C" fn(*mut T),
        call: impl FnOnce(*mut *mut T) -> c::sshpm_result,
    ) -> Result<Owned<T>> {
        let mut handle = ptr::null_mut();
        check(call(&mut handle))?;
        Ok(Owned::new(handle, free))
    }

    pub(crate) fn get(&self) -> *mut T {
        self.handle
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: C gave the handle, to be freed with this function, and nobody else has it.
        unsafe { (self.free)(self.handle) };
    }
}

impl<T> std::fmt::Debug for Owned<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:p}", self.handle)
    }
}

/// Returns the strings of the list that a function gives.
pub(crate) fn strings(call: impl FnOnce(*mut *mut c::sshpm_string_list) -> c::sshpm_result) -> Result<Vec<String>> {
    let list = Owned::given(c::sshpm_string_list_free, call)?;
    // SAFETY: the list is ours, and what it lends is copied.
    let string = |at| unsafe { copied(c::sshpm_string_list_get(list.get(), at)).unwrap() };
    // SAFETY: as above.
    Ok((0..unsafe { c::sshpm_string_list_count(list.get()) }).map(string).collect())
}

/// Returns the bytes of the buffer that a function gives, and how many came before them.
pub(crate) fn bytes(call: impl FnOnce(*mut *mut c::sshpm_buffer) -> c::sshpm_result) -> Result<(Vec<u8>, u64)> {
    Ok(read(&Owned::given(c::sshpm_buffer_free, call)?))
}

/// Returns the bytes of a buffer, and how many came before them.
pub(crate) fn read(buffer: &Owned<c::sshpm_buffer>) -> (Vec<u8>, u64) {
    // SAFETY: the buffer lives, and says where its bytes are and how many.
    unsafe {
        let (data, size) = (c::sshpm_buffer_data(buffer.get()), c::sshpm_buffer_size(buffer.get()));
        let bytes = std::slice::from_raw_parts(data.cast::<u8>(), size).to_vec();
        (bytes, c::sshpm_buffer_dropped(buffer.get()))
    }
}
