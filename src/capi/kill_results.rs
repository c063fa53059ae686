//! The results of a kill of several processes.

use std::ffi::{CString, c_char};
use std::ptr;

use super::boundary::{c_string, free, plain, pointer_to};
use super::codes::{SSHPM_OK, code_of, sshpm_result};
use super::input::code_at;
use super::status::{pointer_to_status, sshpm_exit_status};
use crate::{ExitStatus, KillResults};

/// The results of a kill: one for each process, sorted by uuid, whatever the order in the call was. A uuid that the
/// call named twice has one result.
pub struct sshpm_kill_results {
    results: Vec<KillResult>,
}

struct KillResult {
    uuid: CString,
    end: Result<sshpm_exit_status, (sshpm_result, CString)>,
}

impl From<KillResults> for sshpm_kill_results {
    fn from(results: KillResults) -> sshpm_kill_results {
        let result = |(uuid, end): (String, crate::Result<ExitStatus>)| KillResult {
            uuid: c_string(uuid),
            end: end.map(Into::into).map_err(|error| (code_of(&error), c_string(error.to_string()))),
        };
        sshpm_kill_results { results: results.into_iter().map(result).collect() }
    }
}

/// Returns one of the results.
///
/// # Safety
/// The pointer is NULL, or points to results that live as long as the returned reference is used.
unsafe fn at<'a>(results: *const sshpm_kill_results, index: usize) -> Option<&'a KillResult> {
    // SAFETY: the caller promises it.
    unsafe { results.as_ref() }.and_then(|this| this.results.get(index))
}

/// Returns the number of processes in the results.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @return The number; 0 when the results are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_kill_results_count(results: *const sshpm_kill_results) -> usize {
    // SAFETY: the caller's pointer is NULL or points to results.
    plain(0, || unsafe { results.as_ref() }.map_or(0, |this| this.results.len()))
}

/// Returns the uuid of one process.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @param index The index of the process, from 0.
/// @return The uuid, which is owned by the results and valid until the results are freed. NULL when the index is not
/// below the count, or the results are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_kill_results_get_uuid(
    results: *const sshpm_kill_results,
    index: usize,
) -> *const c_char {
    // SAFETY: the caller's pointer is NULL or points to results.
    plain(ptr::null(), || pointer_to(unsafe { at(results, index) }.map(|result| &result.uuid)))
}

/// Returns whether one process has ended, or why that is not known. A code for the process does not change the last
/// message of the thread.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @param index The index of the process, from 0.
/// @return SSHPM_OK: the process has ended, and there is a status. SSHPM_ERROR_STILL_RUNNING: it has not ended, and can
/// be killed again. SSHPM_ERROR_UNKNOWN_UUID. SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_...: why
/// the start had failed. SSHPM_ERROR_LOCAL. SSHPM_ERROR_DETACHED, SSHPM_ERROR_TAKEN_OVER: the process is kept, and goes
/// on without this manager. SSHPM_ERROR_INVALID when the index is not below the count; SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_kill_results_get_result(
    results: *const sshpm_kill_results,
    index: usize,
) -> sshpm_result {
    let code = |entry: &KillResult| entry.end.as_ref().map_or_else(|(code, _)| *code, |_| SSHPM_OK);
    // SAFETY: the caller's pointer is NULL or points to results.
    unsafe { code_at(results, index, |this: &sshpm_kill_results| &this.results[..], code) }
}

/// Returns how one process ended.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @param index The index of the process, from 0.
/// @return The status, which is owned by the results and valid until the results are freed. NULL when there is no
/// status, the index is not below the count, or the results are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_kill_results_get_status(
    results: *const sshpm_kill_results,
    index: usize,
) -> *const sshpm_exit_status {
    // SAFETY: the caller's pointer is NULL or points to results.
    let status = || unsafe { at(results, index) }.and_then(|result| result.end.as_ref().ok());
    plain(ptr::null(), || pointer_to_status(status()))
}

/// Returns the line for the log about one process: the message of its status, or what went wrong.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @param index The index of the process, from 0.
/// @return The line, which is owned by the results and valid until the results are freed. NULL when the index is not
/// below the count, or the results are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_kill_results_get_message(
    results: *const sshpm_kill_results,
    index: usize,
) -> *const c_char {
    plain(ptr::null(), || {
        // SAFETY: the caller's pointer is NULL or points to results.
        let end = unsafe { at(results, index) }.map(|result| &result.end);
        pointer_to(end.map(|end| end.as_ref().map_or_else(|(_, message)| message, sshpm_exit_status::message)))
    })
}

/// Frees results, with their statuses and strings.
///
/// Any thread. Does not block.
///
/// @param results The results. NULL: does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_kill_results_free(results: *mut sshpm_kill_results) {
    // SAFETY: the caller's pointer is NULL or points to results that nobody uses any more.
    unsafe { free(results) };
}
