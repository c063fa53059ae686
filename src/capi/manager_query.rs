//! What can be asked of a manager. Nothing here blocks.

use std::ffi::c_char;

use super::boundary::{call, give};
use super::buffer::sshpm_buffer;
use super::codes::sshpm_result;
use super::input::{handle, output, text};
use super::manager::sshpm_manager;
use super::status::{give_status, sshpm_exit_status};
use super::strings::sshpm_string_list;
use crate::{Error, ExitStatus, Manager, Output, ProcessState};

/// State: ssh, or another launcher, is being started, or the remote side is not ready yet.
pub const SSHPM_STATE_CONNECTING: i32 = 1;
/// State: the remote pid is known; the setup lines run.
pub const SSHPM_STATE_STARTING: i32 = 2;
/// State: the application runs.
pub const SSHPM_STATE_RUNNING: i32 = 3;
/// State: it was asked to end, and stays so until it has ended.
pub const SSHPM_STATE_ENDING: i32 = 4;
/// State: the link broke; what became of the application is being found out.
pub const SSHPM_STATE_LINK_LOST: i32 = 5;
/// State: it has ended; how is kept until it is killed, popped, forgotten, or started again.
pub const SSHPM_STATE_ENDED: i32 = 6;
/// State: it did not come to run; why is kept likewise.
pub const SSHPM_STATE_FAILED: i32 = 7;

/// The number of the start that the table has for this uuid, as sshpm_manager_start_process or
/// sshpm_manager_adopt_process gave it.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param out_start_number Gets the start number.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_UNKNOWN_UUID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_get_start_number(
    manager: *const sshpm_manager,
    uuid: *const c_char,
    out_start_number: *mut u64,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager, a string and a place for the output.
        let (this, uuid, out_start_number) = unsafe {
            (handle(manager, "manager")?, text(uuid, "uuid")?, output(out_start_number, "out_start_number")?)
        };
        out_start_number.write(this.manager.start_number(uuid)?);
        Ok(())
    })
}

/// The state of a process.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param out_state Gets one of SSHPM_STATE_..., of which later versions can have more.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_UNKNOWN_UUID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_get_process_state(
    manager: *const sshpm_manager,
    uuid: *const c_char,
    out_state: *mut i32,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager, a string and a place for the output.
        let (this, uuid, out_state) =
            unsafe { (handle(manager, "manager")?, text(uuid, "uuid")?, output(out_state, "out_state")?) };
        out_state.write(match this.manager.process_state(uuid)? {
            ProcessState::Connecting => SSHPM_STATE_CONNECTING,
            ProcessState::Starting => SSHPM_STATE_STARTING,
            ProcessState::Running => SSHPM_STATE_RUNNING,
            ProcessState::Ending => SSHPM_STATE_ENDING,
            ProcessState::LinkLost => SSHPM_STATE_LINK_LOST,
            ProcessState::Ended => SSHPM_STATE_ENDED,
            ProcessState::Failed => SSHPM_STATE_FAILED,
        });
        Ok(())
    })
}

/// Whether a process is in SSHPM_STATE_STARTING, _RUNNING or _ENDING. A look at memory.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param out_alive Gets the answer; false for a process that is not known.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_is_process_alive(
    manager: *const sshpm_manager,
    uuid: *const c_char,
    out_alive: *mut bool,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager, a string and a place for the output.
        let (this, uuid, out_alive) =
            unsafe { (handle(manager, "manager")?, text(uuid, "uuid")?, output(out_alive, "out_alive")?) };
        out_alive.write(this.manager.is_process_alive(uuid));
        Ok(())
    })
}

/// Whether the remote side itself watches a process: from its first report until the process or the link ends.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param out_monitoring Gets the answer; false for a process that is not known.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_is_monitoring_remotely(
    manager: *const sshpm_manager,
    uuid: *const c_char,
    out_monitoring: *mut bool,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager, a string and a place for the output.
        let (this, uuid, out_monitoring) =
            unsafe { (handle(manager, "manager")?, text(uuid, "uuid")?, output(out_monitoring, "out_monitoring")?) };
        out_monitoring.write(this.manager.is_monitoring_remotely(uuid));
        Ok(())
    })
}

/// The uuids in the table, those of ended processes too, in the order of their starts.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param out_keys Gets the uuids. They are the caller's, to be freed with sshpm_string_list_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_get_active_process_keys(
    manager: *const sshpm_manager,
    out_keys: *mut *mut sshpm_string_list,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager and a place for the output.
        let (this, out_keys) = unsafe { (handle(manager, "manager")?, output(out_keys, "out_keys")?) };
        give(out_keys, sshpm_string_list::new(this.manager.active_process_keys()));
        Ok(())
    })
}

/// The application's pid on its host; known from SSHPM_STATE_STARTING on, and kept after the end.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param out_pid Gets the pid.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_UNKNOWN_UUID, SSHPM_ERROR_NO_REMOTE_PID
/// while it is not known.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_get_remote_pid(
    manager: *const sshpm_manager,
    uuid: *const c_char,
    out_pid: *mut i64,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager, a string and a place for the output.
        let (this, uuid, out_pid) =
            unsafe { (handle(manager, "manager")?, text(uuid, "uuid")?, output(out_pid, "out_pid")?) };
        out_pid.write(this.manager.remote_pid(uuid)?);
        Ok(())
    })
}

/// What pids are known of a process. Each output can be NULL, and gets -1 where the pid is not known; so do all for a
/// process that is not known.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param out_ssh_client Gets the pid of the ssh client, or that of another launcher, on this machine; -1 when it has
/// ended.
/// @param out_remote Gets the pid of the application, on its host.
/// @param out_remote_monitoring Gets the pid of the shell that watches the application, on its host.
/// @param out_client_monitoring Gets the id of the thread that watches the ssh client, on this machine.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_get_runtime_pids(
    manager: *const sshpm_manager,
    uuid: *const c_char,
    out_ssh_client: *mut i64,
    out_remote: *mut i64,
    out_remote_monitoring: *mut i64,
    out_client_monitoring: *mut i64,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager and a string.
        let (this, uuid) = unsafe { (handle(manager, "manager")?, text(uuid, "uuid")?) };
        let pids = this.manager.runtime_pids(uuid);
        for (out, pid) in [
            (out_ssh_client, pids.ssh_client),
            (out_remote, pids.remote),
            (out_remote_monitoring, pids.remote_monitoring),
            (out_client_monitoring, pids.client_monitoring),
        ] {
            if !out.is_null() {
                // SAFETY: the caller's pointer is NULL or points to a place for the output.
                unsafe { out.write(pid.unwrap_or(-1)) };
            }
        }
        Ok(())
    })
}

/// # Safety
/// The pointers are NULL, or to a manager, a string and a place for the output.
unsafe fn get_output(
    manager: *const sshpm_manager,
    uuid: *const c_char,
    out_buffer: *mut *mut sshpm_buffer,
    read: impl FnOnce(&Manager, &str) -> Result<Output, Error>,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller promises it.
        let (this, uuid, out_buffer) =
            unsafe { (handle(manager, "manager")?, text(uuid, "uuid")?, output(out_buffer, "out_buffer")?) };
        give(out_buffer, read(&this.manager, uuid)?.into());
        Ok(())
    })
}

/// The last part of what the application wrote to stdout, if it has no log file: see sshpm_options_set_output_limit.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param out_buffer Gets a copy. It is the caller's, to be freed with sshpm_buffer_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_UNKNOWN_UUID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_get_process_stdout(
    manager: *const sshpm_manager,
    uuid: *const c_char,
    out_buffer: *mut *mut sshpm_buffer,
) -> sshpm_result {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get_output(manager, uuid, out_buffer, Manager::process_stdout) }
}

/// The same for stderr. What ssh says on a connection that breaks is in it too.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param out_buffer Gets a copy. It is the caller's, to be freed with sshpm_buffer_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_UNKNOWN_UUID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_get_process_stderr(
    manager: *const sshpm_manager,
    uuid: *const c_char,
    out_buffer: *mut *mut sshpm_buffer,
) -> sshpm_result {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get_output(manager, uuid, out_buffer, Manager::process_stderr) }
}

/// # Safety
/// The pointers are NULL, or to a manager, a string and a place for the output.
unsafe fn get_status(
    manager: *const sshpm_manager,
    uuid: *const c_char,
    out_status: *mut *mut sshpm_exit_status,
    read: impl FnOnce(&Manager, &str) -> Option<Result<ExitStatus, Error>>,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller promises it.
        let (this, uuid, out_status) =
            unsafe { (handle(manager, "manager")?, text(uuid, "uuid")?, output(out_status, "out_status")?) };
        give_status(out_status, read(&this.manager, uuid).transpose()?);
        Ok(())
    })
}

/// Gets how a process ended that is still in the table. The exit callbacks may not have run yet.
///
/// A call that gives a status, or the reason of a failed start, takes the end: the host of a kept process then removes
/// the exit status and the output, and no other manager can get them. The process stays in this table, and the call can
/// be repeated. sshpm_manager_get_process_state looks without taking the end.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param out_status Gets the status, or NULL while the process has not ended and when it is not known. It is the
/// caller's, to be freed with sshpm_exit_status_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8. Of a process that did not come to run the reason:
/// SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_... or SSHPM_ERROR_LOCAL. SSHPM_ERROR_DETACHED,
/// SSHPM_ERROR_TAKEN_OVER: it is kept, and this manager will not learn how it ends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_get_exit_status(
    manager: *const sshpm_manager,
    uuid: *const c_char,
    out_status: *mut *mut sshpm_exit_status,
) -> sshpm_result {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get_status(manager, uuid, out_status, Manager::exit_status) }
}

/// Gets how a process ended that nobody killed, or why it did not come to run, and takes it from the table: so each end
/// is given once, also to many threads. The exit callbacks may not have run yet. A call that gives an end takes it, as
/// sshpm_manager_get_exit_status does.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param out_status Gets the status, or NULL while the process has not ended, and when it is not known or was
/// killed. It is the caller's, to be freed with sshpm_exit_status_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8. Of a process that did not come to run the reason:
/// SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_... or SSHPM_ERROR_LOCAL; it has left the table
/// then. So it has with SSHPM_ERROR_DETACHED, SSHPM_ERROR_TAKEN_OVER: it is kept, and this manager will not learn how
/// it ends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_pop_early_exit_status(
    manager: *mut sshpm_manager,
    uuid: *const c_char,
    out_status: *mut *mut sshpm_exit_status,
) -> sshpm_result {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get_status(manager, uuid, out_status, Manager::pop_early_exit_status) }
}
