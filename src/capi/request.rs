//! Boot requests, and lists of them.

use std::ffi::c_char;
use std::ptr;

use super::boundary::{Failure, call, free, give, give_string, plain};
use super::codes::sshpm_result;
use super::input::{array, bytes, handle, output, text};
use crate::BootRequest;

/// What to run, where, and as which user. Everything is taken literally: only the setup lines are shell code.
pub struct sshpm_boot_request {
    pub(super) request: BootRequest,
}

/// Boot requests that were read from one JSON array.
pub struct sshpm_boot_request_list {
    requests: Vec<sshpm_boot_request>,
}

/// Makes a request to run a program on a host.
///
/// Any thread. Does not block.
///
/// @param host The name or address of the host, or an alias of ssh_config; UTF-8. Copied.
/// @param argv The program, which is looked up in the host's PATH, and its arguments: any bytes. Copied. It need not
/// end with NULL.
/// @param argc The number of elements of argv.
/// @param out_request Receives the request. It is the caller's, to be freed with sshpm_boot_request_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID for a number of elements that no
/// array can have. sshpm_boot_request_check and sshpm_manager_start_process check the values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_new(
    host: *const c_char,
    argv: *const *const c_char,
    argc: usize,
    out_request: *mut *mut sshpm_boot_request,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a string, `argc` pointers and a place for the output.
        let (host, argv, out_request) =
            unsafe { (text(host, "host")?, array(argv, argc, "argv")?, output(out_request, "out_request")?) };
        // SAFETY: each is NULL or points to a string.
        let argument = |(at, argument): (usize, &*const c_char)| unsafe { bytes(*argument, &format!("argv[{at}]")) };
        let argv: Vec<_> = argv.iter().enumerate().map(argument).collect::<Result<_, Failure>>()?;
        give(out_request, sshpm_boot_request { request: BootRequest::new(host, argv) });
        Ok(())
    })
}

/// Reads a request from a JSON object. Its keys are the names of the setters. "host" and "argv" are required. The other
/// keys are optional: "launcher", "user", "name", "session", "tree_id", "role", "critical" (true, false), "setup" (an
/// array of lines), "setup_shell", "environment" (an object), "working_directory", "umask" (a string of octal digits),
/// "limits" (an object of names and numbers or "unlimited"), "log_file", "log_mode" ("fresh", "append", "truncate"),
/// "start_timeout", "ready_timeout" and "grace" (seconds), "ready" ("notify", {"output": TEXT} or {"port": NUMBER}),
/// "restart" ("never", "on-failure", "always", or an object with one of these as "when", and "limit", "within",
/// "first_pause" and "longest_pause"), "link_loss" ("terminate", "keep") and "kill_tree" (true, false). Any other key
/// is refused. The functions sshpm_launcher_new_... say how each launcher is written in JSON.
///
/// Any thread. Does not block.
///
/// @param json The JSON; UTF-8, at most 64 MiB.
/// @param out_request Receives the request. It is the caller's, to be freed with sshpm_boot_request_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_JSON, and SSHPM_ERROR_INVALID for values
/// that sshpm_boot_request_check refuses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_from_json(
    json: *const c_char,
    out_request: *mut *mut sshpm_boot_request,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a string and a place for the output.
        let (json, out_request) = unsafe { (text(json, "json")?, output(out_request, "out_request")?) };
        give(out_request, sshpm_boot_request { request: BootRequest::from_json(json)? });
        Ok(())
    })
}

/// Frees a request. Processes that were started with it keep their copies.
///
/// Any thread. Does not block.
///
/// @param request The request. It must not belong to a list. NULL: does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_free(request: *mut sshpm_boot_request) {
    // SAFETY: the caller's pointer is NULL or points to a request that nobody uses any more.
    unsafe { free(request) };
}

/// Checks all values, as sshpm_manager_start_process does before it starts anything.
///
/// Any thread. Does not block.
///
/// @param request The request.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_check(request: *const sshpm_boot_request) -> sshpm_result {
    // SAFETY: the caller's pointer is NULL or points to a request.
    call(|| Ok(unsafe { handle(request, "request")? }.request.check()?))
}

/// Gets the host, as the caller set it.
///
/// Any thread, but not while another thread sets a value. Does not block.
///
/// @param request The request.
/// @param out_host Receives the host. It is the caller's, to be freed with sshpm_string_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_get_host(
    request: *const sshpm_boot_request,
    out_host: *mut *mut c_char,
) -> sshpm_result {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get(request, out_host, "out_host", BootRequest::get_host) }
}

/// Gets the remote user, as the caller set it.
///
/// Any thread, but not while another thread sets a value. Does not block.
///
/// @param request The request.
/// @param out_user Receives the user, or NULL when none was set. It is the caller's, to be freed with
/// sshpm_string_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_get_user(
    request: *const sshpm_boot_request,
    out_user: *mut *mut c_char,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a request and a place for the output.
        let (this, out_user) = unsafe { (handle(request, "request")?, output(out_user, "out_user")?) };
        match this.request.get_user() {
            Some(user) => give_string(out_user, user),
            None => drop(out_user.write(ptr::null_mut())),
        }
        Ok(())
    })
}

/// Gets the name of the process, as the caller set it.
///
/// Any thread, but not while another thread sets a value. Does not block.
///
/// @param request The request.
/// @param out_name Receives the name. It is the caller's, to be freed with sshpm_string_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_get_name(
    request: *const sshpm_boot_request,
    out_name: *mut *mut c_char,
) -> sshpm_result {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get(request, out_name, "out_name", BootRequest::get_name) }
}

/// Gets the session, as the caller set it.
///
/// Any thread, but not while another thread sets a value. Does not block.
///
/// @param request The request.
/// @param out_session Receives the session. It is the caller's, to be freed with sshpm_string_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_get_session(
    request: *const sshpm_boot_request,
    out_session: *mut *mut c_char,
) -> sshpm_result {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get(request, out_session, "out_session", BootRequest::get_session) }
}

/// Gets the name of the role.
///
/// Any thread, but not while another thread sets a value. Does not block.
///
/// @param request The request.
/// @param out_role Receives the name. It is the caller's, to be freed with sshpm_string_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_get_role(
    request: *const sshpm_boot_request,
    out_role: *mut *mut c_char,
) -> sshpm_result {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get(request, out_role, "out_role", |request| request.get_role().as_str()) }
}

/// Gets one of the strings of a request.
///
/// # Safety
/// The pointers are NULL, or point to a request and a place for the output.
unsafe fn get(
    request: *const sshpm_boot_request,
    out: *mut *mut c_char,
    argument: &str,
    read: impl FnOnce(&BootRequest) -> &str,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller promises it.
        let (this, out) = unsafe { (handle(request, "request")?, output(out, argument)?) };
        give_string(out, read(&this.request));
        Ok(())
    })
}

/// Reads a JSON array of requests, each in the format of sshpm_boot_request_from_json. sshpm_session_from_json also
/// reads defaults, uuids and the options of a boot.
///
/// Any thread. Does not block.
///
/// @param json The JSON; UTF-8, at most 64 MiB.
/// @param out_list Receives the list. It is the caller's, to be freed with sshpm_boot_request_list_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_JSON, SSHPM_ERROR_INVALID. The message
/// about a value that is not valid names the index of its request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_list_from_json(
    json: *const c_char,
    out_list: *mut *mut sshpm_boot_request_list,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a string and a place for the output.
        let (json, out_list) = unsafe { (text(json, "json")?, output(out_list, "out_list")?) };
        let requests = BootRequest::list_from_json(json)?;
        let requests = requests.into_iter().map(|request| sshpm_boot_request { request }).collect();
        give(out_list, sshpm_boot_request_list { requests });
        Ok(())
    })
}

/// Returns the number of requests in a list.
///
/// Any thread. Does not block.
///
/// @param list The list.
/// @return The number; 0 when the list is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_list_count(list: *const sshpm_boot_request_list) -> usize {
    // SAFETY: the caller's pointer is NULL or points to a list.
    plain(0, || unsafe { list.as_ref() }.map_or(0, |list| list.requests.len()))
}

/// Returns one request of a list. The list has the order of the JSON.
///
/// Any thread. Does not block.
///
/// @param list The list.
/// @param index The index of the request, from 0.
/// @return The request, which is owned by the list and valid until the list is freed. NULL when the index is not below
/// the count, or the list is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_list_get(
    list: *const sshpm_boot_request_list,
    index: usize,
) -> *const sshpm_boot_request {
    // SAFETY: the caller's pointer is NULL or points to a list.
    let request = || unsafe { list.as_ref() }.and_then(|list| list.requests.get(index));
    plain(ptr::null(), || request().map_or(ptr::null(), ptr::from_ref))
}

/// Frees a list and its requests.
///
/// Any thread. Does not block.
///
/// @param list The list. NULL: does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_list_free(list: *mut sshpm_boot_request_list) {
    // SAFETY: the caller's pointer is NULL or points to a list that nobody uses any more.
    unsafe { free(list) };
}
