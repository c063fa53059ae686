//! Whether hosts can be used.

use std::ffi::{CString, c_char, c_void};
use std::ptr;

use super::boundary::{Failure, c_string, call, free, give, plain, pointer_to};
use super::codes::{SSHPM_OK, code_of, sshpm_result};
use super::input::{array, code_at, handle, output, text, text_or_null, texts};
use super::manager::sshpm_manager;
use crate::{Destination, Error, HostInfo};

/// What a successful login taught. It does not change, and any number of threads can read it.
pub struct sshpm_host_info {
    round_trip: f64,
    user: CString,
    login_shell: CString,
    sh: CString,
    kernel: CString,
    runtime_directory: Option<CString>,
    free_bytes: Option<u64>,
    ends_user_processes: bool,
}

impl From<HostInfo> for sshpm_host_info {
    fn from(info: HostInfo) -> sshpm_host_info {
        sshpm_host_info {
            round_trip: info.round_trip.as_secs_f64(),
            user: c_string(info.user),
            login_shell: c_string(info.login_shell),
            sh: c_string(info.sh),
            kernel: c_string(info.kernel),
            runtime_directory: info.runtime_directory.map(c_string),
            free_bytes: info.free_bytes,
            ends_user_processes: info.ends_user_processes,
        }
    }
}

/// Logs in to a host without asking anybody, and tells what it learned. Where a connection to the host is open, its login
/// counts.
///
/// Any thread. Blocks at most for twice the connect timeout.
///
/// @param manager The manager.
/// @param host The host.
/// @param user The user there. NULL: ssh's choice.
/// @param auth_method The ways to log in that may be used, as ssh's PreferredAuthentications: names joined by commas,
/// such as "publickey": then it always logs in anew. NULL: all. Refused where the host has another launcher than ssh.
/// @param out_info Gets what was learned. It is the caller's, to be freed with sshpm_host_info_free. May be NULL.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_SSH_...,
/// SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_PROTOCOL, SSHPM_ERROR_LOCAL, SSHPM_ERROR_INSIDE_CALLBACK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_validate_host_connection(
    manager: *const sshpm_manager,
    host: *const c_char,
    user: *const c_char,
    auth_method: *const c_char,
    out_info: *mut *mut sshpm_host_info,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager and strings.
        let (this, host, user, auth_method) = unsafe {
            (
                handle(manager, "manager")?,
                text(host, "host")?,
                text_or_null(user, "user")?,
                text_or_null(auth_method, "auth_method")?,
            )
        };
        let info = this.manager.validate_host_connection(host, user, auth_method)?;
        // SAFETY: the caller's pointer is NULL or points to a place for the output.
        if let Ok(out_info) = unsafe { output(out_info, "out_info") } {
            give(out_info, info.into());
        }
        Ok(())
    })
}

/// # Safety
/// The pointer is NULL, or to information that lives as long as the answer is used.
unsafe fn get(info: *const sshpm_host_info, field: fn(&sshpm_host_info) -> Option<&CString>) -> *const c_char {
    // SAFETY: the caller promises it.
    plain(ptr::null(), || pointer_to(unsafe { info.as_ref() }.and_then(field)))
}

/// The time from a line sent to its answer read, over the open connection.
///
/// Any thread. Does not block.
///
/// @param info The information.
/// @return Seconds; 0 when the information is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_host_info_get_round_trip(info: *const sshpm_host_info) -> f64 {
    // SAFETY: the caller's pointer is NULL or points to information.
    plain(0.0, || unsafe { info.as_ref() }.map_or(0.0, |this| this.round_trip))
}

/// The user there.
///
/// Any thread. Does not block.
///
/// @param info The information.
/// @return The name, which is the information's: valid until that is freed. NULL when the information is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_host_info_get_user(info: *const sshpm_host_info) -> *const c_char {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get(info, |this| Some(&this.user)) }
}

/// The user's login shell.
///
/// Any thread. Does not block.
///
/// @param info The information.
/// @return The path, which is the information's: valid until that is freed. "" where the host does not tell. NULL when
/// the information is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_host_info_get_login_shell(info: *const sshpm_host_info) -> *const c_char {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get(info, |this| Some(&this.login_shell)) }
}

/// What the host's /bin/sh is.
///
/// Any thread. Does not block.
///
/// @param info The information.
/// @return The path, which is the information's: valid until that is freed. NULL when the information is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_host_info_get_sh(info: *const sshpm_host_info) -> *const c_char {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get(info, |this| Some(&this.sh)) }
}

/// The kernel's name and release.
///
/// Any thread. Does not block.
///
/// @param info The information.
/// @return The text, which is the information's: valid until that is freed. NULL when the information is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_host_info_get_kernel(info: *const sshpm_host_info) -> *const c_char {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get(info, |this| Some(&this.kernel)) }
}

/// Where runtime directories are made: XDG_RUNTIME_DIR, /tmp or the home directory.
///
/// Any thread. Does not block.
///
/// @param info The information.
/// @return The path, which is the information's: valid until that is freed. NULL when none can be written, and when the
/// information is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_host_info_get_runtime_directory(info: *const sshpm_host_info) -> *const c_char {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get(info, |this| this.runtime_directory.as_ref()) }
}

/// The free space of the runtime directory.
///
/// Any thread. Does not block.
///
/// @param info The information.
/// @return Bytes; -1 when it is not known, and when the information is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_host_info_get_free_bytes(info: *const sshpm_host_info) -> i64 {
    // SAFETY: the caller's pointer is NULL or points to information.
    let bytes = || unsafe { info.as_ref() }.and_then(|this| this.free_bytes);
    plain(-1, || bytes().map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX)))
}

/// Whether the host ends what a user leaves behind at logout (KillUserProcesses of logind.conf(5), and no lingering, see
/// loginctl(1)): then a process that is kept (SSHPM_LINK_LOSS_KEEP) ends with its link.
///
/// Any thread. Does not block.
///
/// @param info The information.
/// @return Whether it does; false when the information is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_host_info_ends_user_processes(info: *const sshpm_host_info) -> bool {
    // SAFETY: the caller's pointer is NULL or points to information.
    plain(false, || unsafe { info.as_ref() }.is_some_and(|this| this.ends_user_processes))
}

/// Frees information and its strings.
///
/// Any thread. Does not block.
///
/// @param info The information; not one of host results. NULL: nothing is done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_host_info_free(info: *mut sshpm_host_info) {
    // SAFETY: the caller's pointer is NULL or points to information that nobody uses any more.
    unsafe { free(info) };
}

/// What was found for each host, in the order of the list that was given.
pub struct sshpm_host_results {
    results: Vec<HostResult>,
}

struct HostResult {
    info: Result<sshpm_host_info, sshpm_result>,
    message: CString,
}

impl From<Result<HostInfo, Error>> for HostResult {
    fn from(result: Result<HostInfo, Error>) -> HostResult {
        match result {
            Ok(info) => HostResult { info: Ok(info.into()), message: CString::default() },
            Err(error) => HostResult { info: Err(code_of(&error)), message: c_string(error.to_string()) },
        }
    }
}

/// Is called for each host as it has been asked: with its place in the list, and SSHPM_OK and "", or what went wrong as
/// code and text, which is valid until it returns. It must not throw.
pub type sshpm_host_progress_callback =
    Option<unsafe extern "C" fn(index: usize, result: sshpm_result, message: *const c_char, user_data: *mut c_void)>;

/// Logs in to many hosts, 16 at the same time, as sshpm_manager_validate_host_connection does to one.
///
/// Any thread. Blocks until all have been asked.
///
/// @param manager The manager.
/// @param hosts The hosts. May be NULL if the count is 0.
/// @param users For each of them the user there, or NULL: ssh's choice. NULL: ssh's choice for all.
/// @param count Their number.
/// @param progress Is called on this thread for each host, in the order in which the answers come. May be NULL.
/// @param user_data Is handed to `progress`; the library does not look at it.
/// @param out_results Gets the results. They are the caller's, to be freed with sshpm_host_results_free.
/// @return SSHPM_OK, also where logins failed; SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID for a
/// number that no array can have, SSHPM_ERROR_LOCAL when there is no thread to be had, SSHPM_ERROR_INSIDE_CALLBACK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_validate_hosts(
    manager: *const sshpm_manager,
    hosts: *const *const c_char,
    users: *const *const c_char,
    count: usize,
    progress: sshpm_host_progress_callback,
    user_data: *mut c_void,
    out_results: *mut *mut sshpm_host_results,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager, arrays of strings and a place for the output.
        let (this, hosts, out_results) = unsafe {
            (handle(manager, "manager")?, texts(hosts, count, "hosts")?, output(out_results, "out_results")?)
        };
        let length = if users.is_null() { 0 } else { count };
        // SAFETY: the caller's pointer is NULL, or points to `count` pointers.
        let users = unsafe { array(users, length, "users")? };
        let destination = |(at, host): (usize, &&str)| -> Result<Destination, Failure> {
            let user = users.get(at).copied().unwrap_or(ptr::null());
            // SAFETY: the caller's pointer is NULL or points to a string.
            let user = unsafe { text_or_null(user, &format!("users[{at}]"))? };
            Ok(Destination { host: (*host).to_owned(), user: user.map(str::to_owned) })
        };
        let destinations = hosts.iter().enumerate().map(destination).collect::<Result<Vec<_>, _>>()?;
        let results = this.manager.validate_hosts(&destinations, |at, answer| {
            let Some(progress) = progress else { return };
            let (code, message) = match answer {
                Ok(_) => (SSHPM_OK, CString::default()),
                Err(error) => (code_of(error), c_string(error.to_string())),
            };
            // SAFETY: the caller says that its function can be called so; the text lives until it returns.
            unsafe { progress(at, code, message.as_ptr(), user_data) };
        })?;
        give(out_results, sshpm_host_results { results: results.into_iter().map(HostResult::from).collect() });
        Ok(())
    })
}

/// # Safety
/// The pointer is NULL or to results that live as long as the answer is used.
unsafe fn at<'a>(results: *const sshpm_host_results, index: usize) -> Option<&'a HostResult> {
    // SAFETY: the caller promises it.
    unsafe { results.as_ref() }.and_then(|this| this.results.get(index))
}

/// The number of hosts in the results.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @return The number; 0 when the results are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_host_results_count(results: *const sshpm_host_results) -> usize {
    // SAFETY: the caller's pointer is NULL or points to results.
    plain(0, || unsafe { results.as_ref() }.map_or(0, |this| this.results.len()))
}

/// Whether the login to one host worked. Asking is no failing call: the thread's last message stays.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @param index Its place, from 0.
/// @return SSHPM_OK: it worked, and there is information. SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_...,
/// SSHPM_ERROR_INVALID for a host or a user that is none, SSHPM_ERROR_START_PROTOCOL, SSHPM_ERROR_LOCAL: what went
/// wrong. SSHPM_ERROR_INVALID when the index is not below the count; SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_host_results_get_result(
    results: *const sshpm_host_results,
    index: usize,
) -> sshpm_result {
    let code = |entry: &HostResult| entry.info.as_ref().map_or_else(|code| *code, |_| SSHPM_OK);
    // SAFETY: the caller's pointer is NULL or points to results.
    unsafe { code_at(results, index, |this: &sshpm_host_results| &this.results[..], code) }
}

/// What went wrong with one host.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @param index Its place, from 0.
/// @return The text, which is the results': valid until they are freed. "" when the login worked. NULL when the index is
/// not below the count, or the results are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_host_results_get_message(
    results: *const sshpm_host_results,
    index: usize,
) -> *const c_char {
    // SAFETY: the caller's pointer is NULL or points to results.
    plain(ptr::null(), || pointer_to(unsafe { at(results, index) }.map(|result| &result.message)))
}

/// What was learned of one host.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @param index Its place, from 0.
/// @return The information, which is the results': valid until they are freed. NULL when the login did not work, the
/// index is not below the count, or the results are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_host_results_get_info(
    results: *const sshpm_host_results,
    index: usize,
) -> *const sshpm_host_info {
    // SAFETY: the caller's pointer is NULL or points to results.
    let info = || unsafe { at(results, index) }.and_then(|result| result.info.as_ref().ok());
    plain(ptr::null(), || info().map_or(ptr::null(), ptr::from_ref))
}

/// Frees results, with their information and strings.
///
/// Any thread. Does not block.
///
/// @param results The results. NULL: nothing is done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_host_results_free(results: *mut sshpm_host_results) {
    // SAFETY: the caller's pointer is NULL or points to results that nobody uses any more.
    unsafe { free(results) };
}
