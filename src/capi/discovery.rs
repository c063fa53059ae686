//! Applications that managers have left on a host: they are found, and adopted.

use std::ffi::{CString, c_char};
use std::ptr;

use super::boundary::{c_string, call, free, give, plain, pointer_to};
use super::codes::sshpm_result;
use super::input::{handle, optional_output, output, text, text_or_null};
use super::manager::sshpm_manager;
use super::metadata::sshpm_metadata;
use super::status::{pointer_to_status, sshpm_exit_status};
use crate::{FoundProcess, FoundState};

/// Found: it runs, and its manager lives; or its time since that died is not over.
pub const SSHPM_FOUND_MANAGED: i32 = 1;
/// Found: it runs, it is kept, and no manager has it: it can be adopted.
pub const SSHPM_FOUND_UNMANAGED: i32 = 2;
/// Found: it runs, and what watched it on its host is gone or can no longer receive commands: no manager can reach it.
/// sshpm_manager_clean_up_host ends it.
pub const SSHPM_FOUND_ORPHANED: i32 = 3;
/// Found: it has ended, and no manager has been told how. One that was kept can be adopted, for that and for its output.
pub const SSHPM_FOUND_ENDED: i32 = 4;
/// Found: it is not there any more: its pid is nobody's or another's, or the host was booted since.
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

/// Lists the processes of a user that have a metadata file on a host: those of all managers, of dead ones too. Who lives
/// is checked by pid, start time and boot. The list has at most 10,000 processes and 16 MiB of metadata; what a host
/// lists beyond that is dropped. Files that are no metadata are left out, and one warning in the log counts them.
///
/// Any thread. Blocks at most for the connect timeout, and 60 s.
///
/// @param manager The manager.
/// @param host The host.
/// @param user The user there; the files must be this user's. NULL: ssh's choice.
/// @param out_found Gets the processes. They are the caller's, to be freed with sshpm_found_processes_free.
/// @return SSHPM_OK, also where there is none; SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID,
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

/// Adopts a kept process (SSHPM_LINK_LOSS_KEEP) that no manager controls: all functions of this manager work on it then.
/// Its output is read from the beginning, and SSHPM_EVENT_LINK_RESTORED is its first event. If it has ended in the
/// meantime, its end is reported like any other.
///
/// Any thread. Blocks at most for two times the connect timeout, and 120 s.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param host The host.
/// @param user The user there; the process must be this user's. NULL: ssh's choice.
/// @param out_start_number Gets the start number, as sshpm_manager_start_process gives it. NULL: not wanted.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_TIMED_OUT,
/// SSHPM_ERROR_SHUT_DOWN, SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_LOCAL,
/// SSHPM_ERROR_INSIDE_CALLBACK. SSHPM_ERROR_UUID_IN_USE: this manager has another process of that uuid.
/// SSHPM_ERROR_TAKEN_OVER: its manager lives, this one or another. SSHPM_ERROR_NOT_ADOPTABLE: its host does not have
/// it, it is not kept, or what watched it is gone. SSHPM_ERROR_DETACHED: meanwhile this manager has let go of all.
/// Nothing was changed unless SSHPM_OK.
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

/// # Safety
/// The pointer is NULL or to found processes that live as long as the answer is used.
unsafe fn at<'a>(found: *const sshpm_found_processes, index: usize) -> Option<&'a Found> {
    // SAFETY: the caller promises it.
    unsafe { found.as_ref() }.and_then(|this| this.found.get(index))
}

/// The number of processes that were found.
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

/// The uuid of one process.
///
/// Any thread. Does not block.
///
/// @param found The processes.
/// @param index Its place, from 0.
/// @return The uuid, which is the processes': valid until they are freed. NULL when the index is not below the count, or
/// the processes are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_found_processes_get_uuid(
    found: *const sshpm_found_processes,
    index: usize,
) -> *const c_char {
    // SAFETY: the caller's pointer is NULL or points to found processes.
    plain(ptr::null(), || pointer_to(unsafe { at(found, index) }.map(|this| &this.uuid)))
}

/// What the metadata file of one process says.
///
/// Any thread. Does not block.
///
/// @param found The processes.
/// @param index Its place, from 0.
/// @return The metadata, which are the processes': valid until they are freed. NULL when the index is not below the
/// count, or the processes are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_found_processes_get_metadata(
    found: *const sshpm_found_processes,
    index: usize,
) -> *const sshpm_metadata {
    // SAFETY: the caller's pointer is NULL or points to found processes.
    plain(ptr::null(), || unsafe { at(found, index) }.map_or(ptr::null(), |this| ptr::from_ref(&this.metadata)))
}

/// What became of one process.
///
/// Any thread. Does not block.
///
/// @param found The processes.
/// @param index Its place, from 0.
/// @return One of SSHPM_FOUND_..., of which later versions can have more; 0 when the index is not below the count, or
/// the processes are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_found_processes_get_state(found: *const sshpm_found_processes, index: usize) -> i32 {
    // SAFETY: the caller's pointer is NULL or points to found processes.
    plain(0, || unsafe { at(found, index) }.map_or(0, |this| this.state))
}

/// How one process ended, of SSHPM_FOUND_ENDED.
///
/// Any thread. Does not block.
///
/// @param found The processes.
/// @param index Its place, from 0.
/// @return The status, which is the processes': valid until they are freed. NULL in all other states, when the index is
/// not below the count, or the processes are NULL.
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
/// @param found The processes. NULL: nothing is done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_found_processes_free(found: *mut sshpm_found_processes) {
    // SAFETY: the caller's pointer is NULL or points to found processes that nobody uses any more.
    unsafe { free(found) };
}
