//! The metadata files that processes have on their hosts.

use std::ffi::{CString, c_char};
use std::os::unix::ffi::OsStringExt;
use std::ptr;
use std::time::Duration;

use super::boundary::{c_string, call, free, give, give_string, plain, pointer_to};
use super::codes::sshpm_result;
use super::input::{bytes, handle, output, text, text_or_null, timeout};
use super::manager::sshpm_manager;
use super::request_setters::{SSHPM_LINK_LOSS_KEEP, SSHPM_LINK_LOSS_TERMINATE};
use crate::{LinkLossPolicy, ProcessMetadata, metadata_file_path};

/// How long to wait for a metadata file by default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// The content of a metadata file. It does not change, and any number of threads can read it.
pub struct sshpm_metadata {
    pid: i64,
    started_at: f64,
    hostname: CString,
    user: CString,
    tree_id: CString,
    role: CString,
    name: CString,
    session: CString,
    start_time: CString,
    boot_id: CString,
    link_loss: i32,
    log_file: Option<CString>,
    grace: f64,
}

impl From<ProcessMetadata> for sshpm_metadata {
    fn from(metadata: ProcessMetadata) -> sshpm_metadata {
        sshpm_metadata {
            pid: metadata.pid,
            started_at: metadata.started_at,
            hostname: c_string(metadata.hostname),
            user: c_string(metadata.user),
            tree_id: c_string(metadata.tree_id),
            role: c_string(metadata.role),
            name: c_string(metadata.name),
            session: c_string(metadata.session),
            start_time: c_string(metadata.start_time),
            boot_id: c_string(metadata.boot_id),
            link_loss: match metadata.link_loss {
                LinkLossPolicy::Terminate => SSHPM_LINK_LOSS_TERMINATE,
                LinkLossPolicy::Keep => SSHPM_LINK_LOSS_KEEP,
            },
            log_file: metadata.log_file.map(|file| c_string(file.into_os_string().into_vec())),
            grace: metadata.grace,
        }
    }
}

/// Gets the path of a process' metadata file, in the form that a shell on its host would read: it contains the variable
/// XDG_RUNTIME_DIR. When that directory does not belong to the user, the remote side uses another directory.
///
/// Any thread. Does not block.
///
/// @param uuid The process.
/// @param out_path Receives the path. It is the caller's, to be freed with sshpm_string_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_metadata_file_path(uuid: *const c_char, out_path: *mut *mut c_char) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a string and a place for the output.
        let (uuid, out_path) = unsafe { (text(uuid, "uuid")?, output(out_path, "out_path")?) };
        give_string(out_path, &metadata_file_path(uuid));
        Ok(())
    })
}

/// Reads the content of a metadata file that the caller has obtained in another way.
///
/// Any thread. Does not block.
///
/// @param uuid The process, for the message.
/// @param json The content.
/// @param out_metadata Receives the metadata. They are the caller's, to be freed with sshpm_metadata_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8. SSHPM_ERROR_BAD_METADATA: the content is empty, cut
/// off or not JSON, or its pid must never be signalled.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_metadata_from_json(
    uuid: *const c_char,
    json: *const c_char,
    out_metadata: *mut *mut sshpm_metadata,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to strings and a place for the output.
        let (uuid, json, out_metadata) =
            unsafe { (text(uuid, "uuid")?, bytes(json, "json")?, output(out_metadata, "out_metadata")?) };
        give(out_metadata, ProcessMetadata::from_json(uuid, json.as_encoded_bytes())?.into());
        Ok(())
    })
}

/// Waits on a host for the metadata file of a process, and reads it. The process need not belong to this manager.
///
/// Any thread. Blocks at most for the timeout, and 10 s for the connection. It waits for the file for at most one hour,
/// also when the timeout is longer.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param host The host.
/// @param user The user on the host, to whom the file must belong. NULL: ssh's choice.
/// @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: 5 s.
/// @param out_metadata Receives the metadata. They are the caller's, to be freed with sshpm_metadata_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_TIMED_OUT,
/// SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_LOCAL, SSHPM_ERROR_INSIDE_CALLBACK.
/// SSHPM_ERROR_FILE_MISSING: there was no file within the timeout. SSHPM_ERROR_BAD_METADATA: the file is empty, cut off
/// or not JSON, or its pid must never be signalled.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_read_process_metadata(
    manager: *const sshpm_manager,
    uuid: *const c_char,
    host: *const c_char,
    user: *const c_char,
    timeout_s: f64,
    out_metadata: *mut *mut sshpm_metadata,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager, strings and a place for the output.
        let (this, uuid, host, user, out_metadata) = unsafe {
            (
                handle(manager, "manager")?,
                text(uuid, "uuid")?,
                text(host, "host")?,
                text_or_null(user, "user")?,
                output(out_metadata, "out_metadata")?,
            )
        };
        let timeout = timeout("timeout", timeout_s)?.unwrap_or(DEFAULT_TIMEOUT);
        give(out_metadata, this.manager.read_process_metadata(uuid, host, user, timeout)?.into());
        Ok(())
    })
}

/// Returns one of the strings of metadata.
///
/// # Safety
/// The pointer is NULL, or points to metadata that live as long as the returned pointer is used.
unsafe fn get(metadata: *const sshpm_metadata, field: fn(&sshpm_metadata) -> &CString) -> *const c_char {
    // SAFETY: the caller promises it.
    plain(ptr::null(), || pointer_to(unsafe { metadata.as_ref() }.map(field)))
}

/// Returns the application's pid on its host.
///
/// Any thread. Does not block.
///
/// @param metadata The metadata.
/// @return The pid, above 1; -1 when the metadata are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_metadata_get_pid(metadata: *const sshpm_metadata) -> i64 {
    // SAFETY: the caller's pointer is NULL or points to metadata.
    plain(-1, || unsafe { metadata.as_ref() }.map_or(-1, |this| this.pid))
}

/// Returns when the process was started, by the clock of its manager.
///
/// Any thread. Does not block.
///
/// @param metadata The metadata.
/// @return Seconds since 1970; 0 when the metadata are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_metadata_get_started_at(metadata: *const sshpm_metadata) -> f64 {
    // SAFETY: the caller's pointer is NULL or points to metadata.
    plain(0.0, || unsafe { metadata.as_ref() }.map_or(0.0, |this| this.started_at))
}

/// Returns the host, as the boot request named it.
///
/// Any thread. Does not block.
///
/// @param metadata The metadata.
/// @return The text, which is owned by the metadata and valid until the metadata are freed. NULL when the metadata are
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_metadata_get_hostname(metadata: *const sshpm_metadata) -> *const c_char {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get(metadata, |this| &this.hostname) }
}

/// Returns the user.
///
/// Any thread. Does not block.
///
/// @param metadata The metadata.
/// @return The text, which is owned by the metadata and valid until the metadata are freed. NULL when the metadata are
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_metadata_get_user(metadata: *const sshpm_metadata) -> *const c_char {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get(metadata, |this| &this.user) }
}

/// Returns the place of the process in its session's tree.
///
/// Any thread. Does not block.
///
/// @param metadata The metadata.
/// @return The text, which is owned by the metadata and valid until the metadata are freed. NULL when the metadata are
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_metadata_get_tree_id(metadata: *const sshpm_metadata) -> *const c_char {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get(metadata, |this| &this.tree_id) }
}

/// Returns the role of the process.
///
/// Any thread. Does not block.
///
/// @param metadata The metadata.
/// @return The text, which is owned by the metadata and valid until the metadata are freed. NULL when the metadata are
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_metadata_get_role(metadata: *const sshpm_metadata) -> *const c_char {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get(metadata, |this| &this.role) }
}

/// Returns the name of the process.
///
/// Any thread. Does not block.
///
/// @param metadata The metadata.
/// @return The text, which is owned by the metadata and valid until the metadata are freed. NULL when the metadata are
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_metadata_get_name(metadata: *const sshpm_metadata) -> *const c_char {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get(metadata, |this| &this.name) }
}

/// Returns the session that the process belongs to.
///
/// Any thread. Does not block.
///
/// @param metadata The metadata.
/// @return The text, which is owned by the metadata and valid until the metadata are freed. "" when the file names no
/// session. NULL when the metadata are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_metadata_get_session(metadata: *const sshpm_metadata) -> *const c_char {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get(metadata, |this| &this.session) }
}

/// Returns the start time of the process in the form that the host's kernel uses: on Linux, clock ticks since boot.
/// Together, the pid, the boot id and this time identify one process for ever.
///
/// Any thread. Does not block.
///
/// @param metadata The metadata.
/// @return The text, which is owned by the metadata and valid until the metadata are freed. "" when the file has no
/// start time. NULL when the metadata are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_metadata_get_start_time(metadata: *const sshpm_metadata) -> *const c_char {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get(metadata, |this| &this.start_time) }
}

/// Returns the id of the boot of the host during which the process was started.
///
/// Any thread. Does not block.
///
/// @param metadata The metadata.
/// @return The text, which is owned by the metadata and valid until the metadata are freed. "-" when the host has no
/// boot id, "" when the file has none. NULL when the metadata are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_metadata_get_boot_id(metadata: *const sshpm_metadata) -> *const c_char {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get(metadata, |this| &this.boot_id) }
}

/// Returns what happens to the process when its link or its manager has gone.
///
/// Any thread. Does not block.
///
/// @param metadata The metadata.
/// @return SSHPM_LINK_LOSS_TERMINATE, also when the file has no policy, or SSHPM_LINK_LOSS_KEEP; -1 when the metadata
/// are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_metadata_get_link_loss(metadata: *const sshpm_metadata) -> i32 {
    // SAFETY: the caller's pointer is NULL or points to metadata.
    plain(-1, || unsafe { metadata.as_ref() }.map_or(-1, |this| this.link_loss))
}

/// Returns the log file, as the boot request named it.
///
/// Any thread. Does not block.
///
/// @param metadata The metadata.
/// @return The path, which is owned by the metadata and valid until the metadata are freed. NULL when the process has
/// no log file, or the metadata are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_metadata_get_log_file(metadata: *const sshpm_metadata) -> *const c_char {
    // SAFETY: the caller's pointer is NULL or points to metadata.
    plain(ptr::null(), || pointer_to(unsafe { metadata.as_ref() }.and_then(|this| this.log_file.as_ref())))
}

/// Returns how long the process may live after the SIGHUP that a lost link causes.
///
/// Any thread. Does not block.
///
/// @param metadata The metadata.
/// @return Seconds; INFINITY when the request had no limit, 0 when the file has no grace, and when the metadata are
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_metadata_get_grace(metadata: *const sshpm_metadata) -> f64 {
    // SAFETY: the caller's pointer is NULL or points to metadata.
    plain(0.0, || unsafe { metadata.as_ref() }.map_or(0.0, |this| this.grace))
}

/// Frees metadata and their strings.
///
/// Any thread. Does not block.
///
/// @param metadata The metadata. They must not belong to found processes. NULL: does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_metadata_free(metadata: *mut sshpm_metadata) {
    // SAFETY: the caller's pointer is NULL or points to metadata that nobody uses any more.
    unsafe { free(metadata) };
}
