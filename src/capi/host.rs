//! Host validation: whether the library can log in to hosts, and what it learns there.

use std::ffi::{CString, c_char, c_void};
use std::ptr;

use super::boundary::{Failure, c_string, call, free, give, plain, pointer_to};
use super::codes::{SSHPM_OK, code_of, sshpm_result};
use super::input::{array, code_at, handle, output, text, text_or_null, texts};
use super::manager::sshpm_manager;
use crate::{Destination, Error, HostInfo};

/// What a login to a host has learned. It does not change, and any number of threads can read it.
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

/// Logs in to a host without questions to anybody, and gets information about it. When a connection to the host is
/// already open, its login is used.
///
/// Any thread. Blocks at most for twice the connect timeout.
///
/// @param manager The manager.
/// @param host The host.
/// @param user The user on the host. NULL: ssh's choice.
/// @param auth_method The methods that ssh may use to log in, in the form of ssh's PreferredAuthentications: names
/// joined by commas, such as "publickey". With them, this function always makes a new login. NULL: all methods. They
/// are refused when the host has another launcher than ssh.
/// @param out_info Receives the information. It is the caller's, to be freed with sshpm_host_info_free. May be NULL.
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

/// Returns one of the strings of the information.
///
/// # Safety
/// The pointer is NULL, or points to information that lives as long as the returned pointer is used.
unsafe fn get(info: *const sshpm_host_info, field: fn(&sshpm_host_info) -> Option<&CString>) -> *const c_char {
    // SAFETY: the caller promises it.
    plain(ptr::null(), || pointer_to(unsafe { info.as_ref() }.and_then(field)))
}

/// Returns the time between sending a line over the open connection and reading the answer.
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

/// Returns the name of the user on the host.
///
/// Any thread. Does not block.
///
/// @param info The information.
/// @return The name, which is owned by the information and valid until the information is freed. NULL when the
/// information is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_host_info_get_user(info: *const sshpm_host_info) -> *const c_char {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get(info, |this| Some(&this.user)) }
}

/// Returns the user's login shell.
///
/// Any thread. Does not block.
///
/// @param info The information.
/// @return The path, which is owned by the information and valid until the information is freed. "" when the host does
/// not report it. NULL when the information is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_host_info_get_login_shell(info: *const sshpm_host_info) -> *const c_char {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get(info, |this| Some(&this.login_shell)) }
}

/// Returns which shell the host's /bin/sh is.
///
/// Any thread. Does not block.
///
/// @param info The information.
/// @return The path, which is owned by the information and valid until the information is freed. NULL when the
/// information is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_host_info_get_sh(info: *const sshpm_host_info) -> *const c_char {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get(info, |this| Some(&this.sh)) }
}

/// Returns the name and the release of the kernel.
///
/// Any thread. Does not block.
///
/// @param info The information.
/// @return The text, which is owned by the information and valid until the information is freed. NULL when the
/// information is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_host_info_get_kernel(info: *const sshpm_host_info) -> *const c_char {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get(info, |this| Some(&this.kernel)) }
}

/// Returns the directory where runtime directories are made: XDG_RUNTIME_DIR, /tmp or the home directory.
///
/// Any thread. Does not block.
///
/// @param info The information.
/// @return The path, which is owned by the information and valid until the information is freed. NULL when the user can
/// write none of them, and when the information is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_host_info_get_runtime_directory(info: *const sshpm_host_info) -> *const c_char {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get(info, |this| this.runtime_directory.as_ref()) }
}

/// Returns the free space of the runtime directory.
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

/// Returns whether the host ends a user's processes at logout (KillUserProcesses of logind.conf(5), and no lingering,
/// see loginctl(1)). If so, a kept process (SSHPM_LINK_LOSS_KEEP) ends with its link.
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
/// @param info The information. It must not belong to host results. NULL: does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_host_info_free(info: *mut sshpm_host_info) {
    // SAFETY: the caller's pointer is NULL or points to information that nobody uses any more.
    unsafe { free(info) };
}

/// The result for each host, in the order of the list that the caller gave.
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

/// Is called for each host when its result is known, with the index of the host in the list, and the result: SSHPM_OK
/// and "", or the code and the text of what went wrong. The text is valid until the callback returns. It must not
/// throw.
pub type sshpm_host_progress_callback =
    Option<unsafe extern "C" fn(index: usize, result: sshpm_result, message: *const c_char, user_data: *mut c_void)>;

/// Logs in to many hosts, 16 at the same time, as sshpm_manager_validate_host_connection does to one host.
///
/// Any thread. Blocks at most for twice the connect timeout for each 16 hosts, and the time that `progress` takes.
///
/// @param manager The manager.
/// @param hosts The hosts. May be NULL if the count is 0.
/// @param users For each host, the user there. An element can be NULL: ssh's choice for this host. The array can be
/// NULL: ssh's choice for all hosts.
/// @param count The number of hosts.
/// @param progress Is called for each host, on the thread that calls this function, in the order in which the results
/// become known. May be NULL.
/// @param user_data Is passed to `progress`. The library does not use it.
/// @param out_results Receives the results. They are the caller's, to be freed with sshpm_host_results_free.
/// @return SSHPM_OK, also when logins failed; SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID for a
/// number of hosts that no array can have, SSHPM_ERROR_LOCAL when no thread can be started,
/// SSHPM_ERROR_INSIDE_CALLBACK.
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
            // SAFETY: the caller says that its function can be called like this. The text lives until it returns.
            unsafe { progress(at, code, message.as_ptr(), user_data) };
        })?;
        give(out_results, sshpm_host_results { results: results.into_iter().map(HostResult::from).collect() });
        Ok(())
    })
}

/// Returns one of the results.
///
/// # Safety
/// The pointer is NULL, or points to results that live as long as the returned reference is used.
unsafe fn at<'a>(results: *const sshpm_host_results, index: usize) -> Option<&'a HostResult> {
    // SAFETY: the caller promises it.
    unsafe { results.as_ref() }.and_then(|this| this.results.get(index))
}

/// Returns the number of hosts in the results.
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

/// Returns whether the login to one host succeeded. A code for the host does not change the last message of the thread.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @param index The index of the host, from 0.
/// @return SSHPM_OK: the login succeeded, and there is information. SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_...,
/// SSHPM_ERROR_INVALID for a host or a user that is not valid, SSHPM_ERROR_START_PROTOCOL, SSHPM_ERROR_LOCAL: what went
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

/// Returns what went wrong with one host.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @param index The index of the host, from 0.
/// @return The text, which is owned by the results and valid until the results are freed. "" when the login succeeded.
/// NULL when the index is not below the count, or the results are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_host_results_get_message(
    results: *const sshpm_host_results,
    index: usize,
) -> *const c_char {
    // SAFETY: the caller's pointer is NULL or points to results.
    plain(ptr::null(), || pointer_to(unsafe { at(results, index) }.map(|result| &result.message)))
}

/// Returns the information about one host.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @param index The index of the host, from 0.
/// @return The information, which is owned by the results and valid until the results are freed. NULL when the login
/// failed, the index is not below the count, or the results are NULL.
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
/// @param results The results. NULL: does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_host_results_free(results: *mut sshpm_host_results) {
    // SAFETY: the caller's pointer is NULL or points to results that nobody uses any more.
    unsafe { free(results) };
}
