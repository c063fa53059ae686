//! Log files on hosts: reads their last lines, and follows them as they grow.

use std::ffi::c_char;
use std::time::Duration;

use super::boundary::{call, free, give};
use super::buffer::sshpm_buffer;
use super::codes::sshpm_result;
use super::input::{bytes, handle, output, text, text_or_null, timeout};
use super::manager::sshpm_manager;
use crate::{Error, LogFollower};

/// How long reading a file may take by default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// A reader that follows a log file on a host as it grows.
pub struct sshpm_log_follower {
    follower: LogFollower,
}

/// Reads the last lines of a file on a host, at most 16 MiB of them. The time that this takes does not depend on the
/// size of the file.
///
/// Any thread. Blocks at most for the timeout.
///
/// @param manager The manager.
/// @param host The host.
/// @param user The user on the host. NULL: ssh's choice.
/// @param path The file. A relative path begins at the login directory. Nothing in it is expanded.
/// @param lines How many lines.
/// @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: 30 s.
/// @param out_buffer Receives the lines. It is the caller's, to be freed with sshpm_buffer_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_TIMED_OUT,
/// SSHPM_ERROR_FILE_..., SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_LOCAL, SSHPM_ERROR_INSIDE_CALLBACK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_read_log_file(
    manager: *const sshpm_manager,
    host: *const c_char,
    user: *const c_char,
    path: *const c_char,
    lines: usize,
    timeout_s: f64,
    out_buffer: *mut *mut sshpm_buffer,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager, strings and a place for the output.
        let (this, host, user, path, out_buffer) = unsafe {
            (
                handle(manager, "manager")?,
                text(host, "host")?,
                text_or_null(user, "user")?,
                bytes(path, "path")?,
                output(out_buffer, "out_buffer")?,
            )
        };
        let timeout = timeout("timeout", timeout_s)?.unwrap_or(DEFAULT_TIMEOUT);
        give(out_buffer, this.manager.read_log_file(host, user, path, lines, timeout)?.into());
        Ok(())
    })
}

/// Follows a file on a host as it grows. It follows the name of the file, so it continues after rotation and
/// truncation, and it can begin before the file exists. Until the file exists, the host looks for it every second. Then
/// the host's `tail -F` reads it. GNU coreutils' tail waits for changes without waking up; on file systems without
/// inotify (NFS) it looks every second, and busybox' tail always does.
///
/// Any thread, also in callbacks. Does not block: sshpm_log_follower_next reports what goes wrong.
///
/// @param manager The manager.
/// @param host The host.
/// @param user The user on the host. NULL: ssh's choice.
/// @param path The file. A relative path begins at the login directory. Nothing in it is expanded.
/// @param lines How many of the last lines come first.
/// @param out_follower Receives the follower. It is the caller's, to be freed with sshpm_log_follower_free, before or
/// after the manager.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_LOCAL when no thread
/// can be started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_follow_log_file(
    manager: *const sshpm_manager,
    host: *const c_char,
    user: *const c_char,
    path: *const c_char,
    lines: usize,
    out_follower: *mut *mut sshpm_log_follower,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager, strings and a place for the output.
        let (this, host, user, path, out_follower) = unsafe {
            (
                handle(manager, "manager")?,
                text(host, "host")?,
                text_or_null(user, "user")?,
                bytes(path, "path")?,
                output(out_follower, "out_follower")?,
            )
        };
        let follower = this.manager.follow_log_file(host, user, path, lines)?;
        give(out_follower, sshpm_log_follower { follower });
        Ok(())
    })
}

/// Waits for the next piece of the file. A slow reader delays the reading on the host, and loses nothing.
///
/// Any thread; several can wait, and each piece goes to one of them. Blocks at most for the timeout.
///
/// @param follower The follower.
/// @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: no limit.
/// @param out_piece Receives at least one byte; a piece can end in the middle of a line. It is the caller's, to be
/// freed with sshpm_buffer_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID, SSHPM_ERROR_INSIDE_CALLBACK.
/// SSHPM_ERROR_TIMED_OUT: nothing came within the timeout. SSHPM_ERROR_FILE_..., SSHPM_ERROR_SSH_...,
/// SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_LOCAL: why no more can come. This is returned once; later calls return
/// SSHPM_ERROR_LINK_DOWN.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_log_follower_next(
    follower: *const sshpm_log_follower,
    timeout_s: f64,
    out_piece: *mut *mut sshpm_buffer,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a follower and a place for the output.
        let (this, out_piece) = unsafe { (handle(follower, "follower")?, output(out_piece, "out_piece")?) };
        let timeout = timeout("timeout", timeout_s)?.unwrap_or(Duration::MAX);
        let timed_out = || Error::TimedOut { what: "the next piece of the file".to_owned(), waited: timeout };
        give(out_piece, this.follower.next(timeout)?.ok_or_else(timed_out)?.into());
        Ok(())
    })
}

/// Ends the reading on the host and on this machine, and frees the follower. No thread may be waiting in it: let
/// threads wait with a timeout, because no function wakes them.
///
/// Any thread, also in callbacks. Blocks until the ssh client has ended, which takes some milliseconds.
///
/// @param follower The follower. NULL: does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_log_follower_free(follower: *mut sshpm_log_follower) {
    // SAFETY: the caller's pointer is NULL or points to a follower that nobody uses any more.
    unsafe { free(follower) };
}
