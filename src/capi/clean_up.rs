//! Cleaning up a host: ends the processes there that no manager can reach.

use std::ffi::{CString, c_char};
use std::ptr;
use std::time::Duration;

use super::boundary::{c_string, call, free, give, plain, pointer_to};
use super::codes::sshpm_result;
use super::input::{handle, output, text, text_or_null, timeout};
use super::manager::sshpm_manager;
use crate::{CleanUp, CleanedUp};

/// Clean up: a manager can reach the process, so it was left alone.
pub const SSHPM_CLEAN_UP_MANAGED: i32 = 1;
/// Clean up: the process was ended, and its files were removed.
pub const SSHPM_CLEAN_UP_ENDED: i32 = 2;
/// Clean up: the process had already ended, and its files were removed.
pub const SSHPM_CLEAN_UP_REMOVED: i32 = 3;
/// Clean up: the process could not be ended.
pub const SSHPM_CLEAN_UP_STILL_RUNNING: i32 = 4;

/// How long a process may live after SIGHUP by default. Boot requests have the same default.
const DEFAULT_GRACE: Duration = Duration::from_secs(5);

/// The result of cleaning up a host, for each process there.
pub struct sshpm_clean_up_results {
    results: Vec<CleanUpResult>,
}

struct CleanUpResult {
    uuid: CString,
    outcome: i32,
    left: Vec<i64>,
}

impl From<CleanedUp> for CleanUpResult {
    fn from(cleaned: CleanedUp) -> CleanUpResult {
        let outcome = match cleaned.outcome {
            CleanUp::Managed => SSHPM_CLEAN_UP_MANAGED,
            CleanUp::Ended => SSHPM_CLEAN_UP_ENDED,
            CleanUp::Removed => SSHPM_CLEAN_UP_REMOVED,
            CleanUp::StillRunning => SSHPM_CLEAN_UP_STILL_RUNNING,
        };
        CleanUpResult { uuid: c_string(cleaned.uuid), outcome, left: cleaned.left }
    }
}

/// Ends the processes of a user on a host that no manager can reach: sends SIGHUP, and after the grace SIGKILL. Removes
/// the files that these processes, ended processes and their managers have left. Leaves alone the processes that a
/// manager can reach. A process whose link is lost at this moment cannot be reached, whether or not its manager lives.
/// There are results for at most 10,000 processes.
///
/// Any thread. Blocks at most for two times the connect timeout, the grace and 8 s for each process, and 120 s.
///
/// @param manager The manager.
/// @param host The host.
/// @param user The user on the host. NULL: ssh's choice.
/// @param grace_s Seconds. The remote side counts whole seconds, so the library rounds this up. SSHPM_TIMEOUT_DEFAULT:
/// 5 s.
/// @param kill_tree Whether processes that they started are ended, too, when these have left the process group: see
/// sshpm_boot_request_set_kill_tree.
/// @param out_results Receives the results. They are the caller's, to be freed with sshpm_clean_up_results_free.
/// @return SSHPM_OK, also when processes could not be ended; SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8,
/// SSHPM_ERROR_INVALID, SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_LOCAL, SSHPM_ERROR_INSIDE_CALLBACK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_clean_up_host(
    manager: *const sshpm_manager,
    host: *const c_char,
    user: *const c_char,
    grace_s: f64,
    kill_tree: bool,
    out_results: *mut *mut sshpm_clean_up_results,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager, strings and a place for the output.
        let (this, host, user, out_results) = unsafe {
            (
                handle(manager, "manager")?,
                text(host, "host")?,
                text_or_null(user, "user")?,
                output(out_results, "out_results")?,
            )
        };
        let grace = timeout("grace", grace_s)?.unwrap_or(DEFAULT_GRACE);
        let results = this.manager.clean_up_host(host, user, grace, kill_tree)?;
        give(out_results, sshpm_clean_up_results { results: results.into_iter().map(CleanUpResult::from).collect() });
        Ok(())
    })
}

/// Returns one of the results.
///
/// # Safety
/// The pointer is NULL, or points to results that live as long as the returned reference is used.
unsafe fn at<'a>(results: *const sshpm_clean_up_results, index: usize) -> Option<&'a CleanUpResult> {
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
pub unsafe extern "C" fn sshpm_clean_up_results_count(results: *const sshpm_clean_up_results) -> usize {
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
pub unsafe extern "C" fn sshpm_clean_up_results_get_uuid(
    results: *const sshpm_clean_up_results,
    index: usize,
) -> *const c_char {
    // SAFETY: the caller's pointer is NULL or points to results.
    plain(ptr::null(), || pointer_to(unsafe { at(results, index) }.map(|result| &result.uuid)))
}

/// Returns what the clean-up did with one process.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @param index The index of the process, from 0.
/// @return One of SSHPM_CLEAN_UP_..., of which later versions can have more; 0 when the index is not below the count,
/// or the results are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_clean_up_results_get_outcome(
    results: *const sshpm_clean_up_results,
    index: usize,
) -> i32 {
    // SAFETY: the caller's pointer is NULL or points to results.
    plain(0, || unsafe { at(results, index) }.map_or(0, |result| result.outcome))
}

/// Returns how many processes could not be ended for one entry: the process itself, and processes that it started.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @param index The index of the process, from 0.
/// @return The number, at most 8; 0 when the index is not below the count, or the results are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_clean_up_results_left_count(
    results: *const sshpm_clean_up_results,
    index: usize,
) -> usize {
    // SAFETY: the caller's pointer is NULL or points to results.
    plain(0, || unsafe { at(results, index) }.map_or(0, |result| result.left.len()))
}

/// Returns the pid of one process that could not be ended.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @param index The index of the process, from 0.
/// @param left_index The index among the processes of this entry that could not be ended, from 0.
/// @return The pid on the host; -1 when an index is not below its count, or the results are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_clean_up_results_get_left(
    results: *const sshpm_clean_up_results,
    index: usize,
    left_index: usize,
) -> i64 {
    // SAFETY: the caller's pointer is NULL or points to results.
    let pid = || unsafe { at(results, index) }.and_then(|result| result.left.get(left_index)).copied();
    plain(-1, || pid().unwrap_or(-1))
}

/// Frees results, with their strings.
///
/// Any thread. Does not block.
///
/// @param results The results. NULL: does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_clean_up_results_free(results: *mut sshpm_clean_up_results) {
    // SAFETY: the caller's pointer is NULL or points to results that nobody uses any more.
    unsafe { free(results) };
}
