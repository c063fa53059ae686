//! Discovery: finds the processes that managers have left on a host, and adopts them.

use std::ffi::{CString, c_char};
use std::ptr;

use super::boundary::{c_string, call, free, give, plain, pointer_to};
use super::codes::sshpm_result;
use super::input::{handle, optional_output, output, text, text_or_null};
use super::manager::{begin, sshpm_manager};
use super::metadata::sshpm_metadata;
use super::request::sshpm_boot_request;
use super::status::{pointer_to_status, sshpm_exit_status};
use crate::{FoundProcess, FoundState, Manager};

/// Found: the process runs, and its manager lives, or died so recently that the host has not ended the process yet.
pub const SSHPM_FOUND_MANAGED: i32 = 1;
/// Found: the process runs and is kept, and no manager controls it. It can be adopted.
pub const SSHPM_FOUND_UNMANAGED: i32 = 2;
/// Found: the process runs, but the shell that watched it on its host has gone or can no longer receive commands. No
/// manager can reach the process. sshpm_manager_clean_up_host ends it.
pub const SSHPM_FOUND_ORPHANED: i32 = 3;
/// Found: the process has ended, and no manager has learned how. A kept process can be adopted, to get its exit status
/// and its output.
pub const SSHPM_FOUND_ENDED: i32 = 4;
/// Found: the process no longer exists: no process or another process has its pid, or the host has been booted since.
pub const SSHPM_FOUND_GONE: i32 = 5;

/// The processes that were found on a host. They do not change, and any number of threads can read them.
pub struct sshpm_found_processes {
    found: Vec<Found>,
}

struct Found {
    uuid: CString,
    metadata: sshpm_metadata,
    state: i32,
    status: Option<sshpm_exit_status>,
}

impl From<FoundProcess> for Found {
    fn from(found: FoundProcess) -> Found {
        let (state, status) = match found.state {
            FoundState::Managed => (SSHPM_FOUND_MANAGED, None),
            FoundState::Unmanaged => (SSHPM_FOUND_UNMANAGED, None),
            FoundState::Orphaned => (SSHPM_FOUND_ORPHANED, None),
            FoundState::Ended(status) => (SSHPM_FOUND_ENDED, Some(status.into())),
            FoundState::Gone => (SSHPM_FOUND_GONE, None),
        };
        Found { uuid: c_string(found.uuid), metadata: found.metadata.into(), state, status }
    }
}

/// Lists the processes of a user that have a metadata file on a host. These can be processes of any manager, also of
/// dead managers. The host checks by pid, start time and boot whether a process lives. The list has at most 10,000
/// processes and 16 MiB of metadata; what a host lists beyond that is dropped. Files that are not valid metadata are
/// left out, and one warning in the log counts them.
///
/// Any thread. Blocks at most for the connect timeout, and 60 s.
///
/// @param manager The manager.
/// @param host The host.
/// @param user The user on the host, to whom the files must belong. NULL: ssh's choice.
/// @param out_found Receives the processes. They are the caller's, to be freed with sshpm_found_processes_free.
/// @return SSHPM_OK, also when there is no process; SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID,
/// SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_LOCAL, SSHPM_ERROR_INSIDE_CALLBACK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_find_processes(
    manager: *const sshpm_manager,
    host: *const c_char,
    user: *const c_char,
    out_found: *mut *mut sshpm_found_processes,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager, strings and a place for the output.
        let (this, host, user, out_found) = unsafe {
            (
                handle(manager, "manager")?,
                text(host, "host")?,
                text_or_null(user, "user")?,
                output(out_found, "out_found")?,
            )
        };
        let found = this.manager.find_processes(host, user)?;
        give(out_found, sshpm_found_processes { found: found.into_iter().map(Found::from).collect() });
        Ok(())
    })
}

/// Adopts a kept process (SSHPM_LINK_LOSS_KEEP) that no manager controls. All functions of this manager then work on
/// it. The manager reads the output of the process from the beginning. If the process still runs, its first event is
/// SSHPM_EVENT_LINK_RESTORED. If it has ended in the meantime, its exit is reported like any other.
///
/// Any thread. Blocks at most for two times the connect timeout, and 120 s.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param host The host.
/// @param user The user on the host, to whom the process must belong. NULL: ssh's choice.
/// @param out_start_number Receives the start number, which sshpm_manager_start_process describes. May be NULL.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_TIMED_OUT,
/// SSHPM_ERROR_SHUT_DOWN, SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_LOCAL,
/// SSHPM_ERROR_INSIDE_CALLBACK. SSHPM_ERROR_UUID_IN_USE: this manager has a process with this uuid that has not ended.
/// SSHPM_ERROR_TAKEN_OVER: another live manager controls the process. SSHPM_ERROR_NOT_ADOPTABLE: the host does not have
/// the process, the process is not kept, or the shell that watched it has gone or receives no commands.
/// SSHPM_ERROR_DETACHED: this manager was detached from all processes in the meantime. Nothing was changed unless it is
/// SSHPM_OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_adopt_process(
    manager: *mut sshpm_manager,
    uuid: *const c_char,
    host: *const c_char,
    user: *const c_char,
    out_start_number: *mut u64,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager, strings and a place for the output.
        let (this, uuid, host, user, out_start_number) = unsafe {
            (
                handle(manager, "manager")?,
                text(uuid, "uuid")?,
                text(host, "host")?,
                text_or_null(user, "user")?,
                optional_output(out_start_number),
            )
        };
        let start_number = this.manager.adopt_process(uuid, host, user)?;
        if let Some(out_start_number) = out_start_number {
            out_start_number.write(start_number);
        }
        Ok(())
    })
}

/// Adopts a kept process as sshpm_manager_adopt_process does, on the host and of the user of a request.
/// sshpm_manager_restart_process and the restart policy of the request start the process again with it; until then,
/// nothing of the request applies but its policy.
///
/// Any thread. Blocks at most for two times the connect timeout, and 120 s.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param request The request. Copied.
/// @param out_start_number Receives the start number, which sshpm_manager_start_process describes. May be NULL.
/// @return Those of sshpm_manager_adopt_process: SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8,
/// SSHPM_ERROR_INVALID, SSHPM_ERROR_TIMED_OUT, SSHPM_ERROR_SHUT_DOWN, SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_...,
/// SSHPM_ERROR_LOCAL, SSHPM_ERROR_INSIDE_CALLBACK, SSHPM_ERROR_UUID_IN_USE, SSHPM_ERROR_TAKEN_OVER,
/// SSHPM_ERROR_NOT_ADOPTABLE, SSHPM_ERROR_DETACHED. Nothing was changed unless it is SSHPM_OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_adopt_process_with_request(
    manager: *mut sshpm_manager,
    uuid: *const c_char,
    request: *const sshpm_boot_request,
    out_start_number: *mut u64,
) -> sshpm_result {
    // SAFETY: as the caller promises.
    unsafe { begin(manager, uuid, request, out_start_number, Manager::adopt_process_with_request) }
}

/// Returns one of the processes.
///
/// # Safety
/// The pointer is NULL, or points to found processes that live as long as the returned reference is used.
unsafe fn at<'a>(found: *const sshpm_found_processes, index: usize) -> Option<&'a Found> {
    // SAFETY: the caller promises it.
    unsafe { found.as_ref() }.and_then(|this| this.found.get(index))
}

/// Returns the number of processes that were found.
///
/// Any thread. Does not block.
///
/// @param found The processes.
/// @return The number; 0 when the processes are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_found_processes_count(found: *const sshpm_found_processes) -> usize {
    // SAFETY: the caller's pointer is NULL or points to found processes.
    plain(0, || unsafe { found.as_ref() }.map_or(0, |this| this.found.len()))
}

/// Returns the uuid of one process.
///
/// Any thread. Does not block.
///
/// @param found The processes.
/// @param index The index of the process, from 0.
/// @return The uuid, which is owned by the processes and valid until they are freed. NULL when the index is not below
/// the count, or the processes are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_found_processes_get_uuid(
    found: *const sshpm_found_processes,
    index: usize,
) -> *const c_char {
    // SAFETY: the caller's pointer is NULL or points to found processes.
    plain(ptr::null(), || pointer_to(unsafe { at(found, index) }.map(|this| &this.uuid)))
}

/// Returns the content of the metadata file of one process.
///
/// Any thread. Does not block.
///
/// @param found The processes.
/// @param index The index of the process, from 0.
/// @return The metadata, which are owned by the processes and valid until those are freed. NULL when the index is not
/// below the count, or the processes are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_found_processes_get_metadata(
    found: *const sshpm_found_processes,
    index: usize,
) -> *const sshpm_metadata {
    // SAFETY: the caller's pointer is NULL or points to found processes.
    plain(ptr::null(), || unsafe { at(found, index) }.map_or(ptr::null(), |this| ptr::from_ref(&this.metadata)))
}

/// Returns the state in which one process was found.
///
/// Any thread. Does not block.
///
/// @param found The processes.
/// @param index The index of the process, from 0.
/// @return One of SSHPM_FOUND_..., of which later versions can have more; 0 when the index is not below the count, or
/// the processes are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_found_processes_get_state(found: *const sshpm_found_processes, index: usize) -> i32 {
    // SAFETY: the caller's pointer is NULL or points to found processes.
    plain(0, || unsafe { at(found, index) }.map_or(0, |this| this.state))
}

/// Returns how one process ended, for SSHPM_FOUND_ENDED.
///
/// Any thread. Does not block.
///
/// @param found The processes.
/// @param index The index of the process, from 0.
/// @return The status, which is owned by the processes and valid until those are freed. NULL in all other states, when
/// the index is not below the count, or the processes are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_found_processes_get_status(
    found: *const sshpm_found_processes,
    index: usize,
) -> *const sshpm_exit_status {
    // SAFETY: the caller's pointer is NULL or points to found processes.
    plain(ptr::null(), || pointer_to_status(unsafe { at(found, index) }.and_then(|this| this.status.as_ref())))
}

/// Frees found processes, with their metadata, statuses and strings.
///
/// Any thread. Does not block.
///
/// @param found The processes. NULL: does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_found_processes_free(found: *mut sshpm_found_processes) {
    // SAFETY: the caller's pointer is NULL or points to found processes that nobody uses any more.
    unsafe { free(found) };
}
