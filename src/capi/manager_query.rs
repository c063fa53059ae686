//! Queries to a manager. None of them blocks.

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
/// State: the remote pid is known, and the setup lines run.
pub const SSHPM_STATE_STARTING: i32 = 2;
/// State: the application runs.
pub const SSHPM_STATE_RUNNING: i32 = 3;
/// State: the process was asked to end, and has not ended yet.
pub const SSHPM_STATE_ENDING: i32 = 4;
/// State: the link broke. The manager queries the host about the application, or tries to restore the link to a kept
/// process. A kept process that the manager was detached from stays in this state.
pub const SSHPM_STATE_LINK_LOST: i32 = 5;
/// State: the process has ended. Its exit status stays in the table until the process is killed, popped, forgotten or
/// started again.
pub const SSHPM_STATE_ENDED: i32 = 6;
/// State: the start failed. The reason stays in the table until the process is killed, popped, forgotten or started
/// again.
pub const SSHPM_STATE_FAILED: i32 = 7;
/// State: the process has ended or its start has failed, and it will be started again: its restart policy pauses before
/// that, or a call restarts it. The uuid is in use.
pub const SSHPM_STATE_RESTARTING: i32 = 8;

/// Gets the number of the start that the table has for this uuid, which sshpm_manager_start_process or
/// sshpm_manager_adopt_process returned.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param out_start_number Receives the start number.
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

/// Gets the state of a process.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param out_state Receives one of SSHPM_STATE_..., of which later versions can have more.
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
            ProcessState::Restarting => SSHPM_STATE_RESTARTING,
        });
        Ok(())
    })
}

/// Gets whether a process is in SSHPM_STATE_STARTING, _RUNNING or _ENDING. It only reads memory.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param out_alive Receives the answer; false for an unknown uuid.
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

/// Gets whether a process is alive and ready, as its request says; whether it runs, if the request says nothing. A kept
/// process that was ready stays ready while its link is lost.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param out_ready Receives the answer; false for an unknown uuid.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_is_ready(
    manager: *const sshpm_manager,
    uuid: *const c_char,
    out_ready: *mut bool,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager, a string and a place for the output.
        let (this, uuid, out_ready) =
            unsafe { (handle(manager, "manager")?, text(uuid, "uuid")?, output(out_ready, "out_ready")?) };
        out_ready.write(this.manager.is_ready(uuid));
        Ok(())
    })
}

/// Gets whether the remote side itself watches a process. It does so from its first report until the process or the
/// link ends.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param out_monitoring Receives the answer; false for an unknown uuid.
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

/// Gets the uuids in the table, also those of ended processes, in the order of their starts.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param out_keys Receives the uuids. They are the caller's, to be freed with sshpm_string_list_free.
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

/// Gets the application's pid on its host. It is known from SSHPM_STATE_STARTING on, also after the exit.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param out_pid Receives the pid.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_UNKNOWN_UUID, SSHPM_ERROR_NO_REMOTE_PID
/// while the pid is not known.
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

/// Gets the pids that are known of a process. Each output may be NULL. An output receives -1 when its pid is not known;
/// all outputs receive -1 for an unknown uuid.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param out_ssh_client Receives the pid of the client (ssh, or that of another launcher) on this machine; -1 when the
/// client has ended, and for a process without one (sshpm_options_set_ssh_client_per_process).
/// @param out_remote Receives the pid of the application on its host.
/// @param out_remote_monitoring Receives the pid of the shell that watches the application on its host.
/// @param out_client_monitoring Receives the id of the thread that watches the client on this machine.
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

/// Gets the last part of one stream.
///
/// # Safety
/// The pointers are NULL, or point to a manager, a string and a place for the output.
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

/// Gets the last part of what the application wrote to stdout, if it has no log file. sshpm_options_set_output_limit
/// sets how much this is.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param out_buffer Receives a copy. It is the caller's, to be freed with sshpm_buffer_free.
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

/// Gets the last part of what the application wrote to stderr, if it has no log file. sshpm_options_set_output_limit
/// sets how much this is. It also contains what ssh says about a connection that breaks.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param out_buffer Receives a copy. It is the caller's, to be freed with sshpm_buffer_free.
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

/// Gets an exit status, or NULL.
///
/// # Safety
/// The pointers are NULL, or point to a manager, a string and a place for the output.
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

/// Gets how a process that is still in the table ended. The exit callbacks may not have run yet.
///
/// A call that returns a status, or the reason of a failed start, acknowledges the exit: the host of a kept process
/// then removes the exit status and the output, and no other manager can get them. The process stays in this table, and
/// the call can be repeated. sshpm_manager_get_process_state does not acknowledge the exit.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param out_status Receives the status, or NULL while the process has not ended, and for an unknown uuid. It is the
/// caller's, to be freed with sshpm_exit_status_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8. For a failed start, its reason: SSHPM_ERROR_SSH_...,
/// SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_... or SSHPM_ERROR_LOCAL. SSHPM_ERROR_DETACHED, SSHPM_ERROR_TAKEN_OVER:
/// the process is kept, and this manager will not learn how it ends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_get_exit_status(
    manager: *const sshpm_manager,
    uuid: *const c_char,
    out_status: *mut *mut sshpm_exit_status,
) -> sshpm_result {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get_status(manager, uuid, out_status, Manager::exit_status) }
}

/// Gets how a process ended that this manager did not kill, or why its start failed, and removes the process from the
/// table. So each exit is returned once, also when many threads call this function. The exit callbacks may not have run
/// yet. A call that returns an exit acknowledges it, as sshpm_manager_get_exit_status does.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param out_status Receives the status, or NULL while the process has not ended, for an unknown uuid, and for a
/// process that this manager killed. It is the caller's, to be freed with sshpm_exit_status_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8. For a failed start, its reason: SSHPM_ERROR_SSH_...,
/// SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_... or SSHPM_ERROR_LOCAL; the process has left the table then.
/// SSHPM_ERROR_DETACHED, SSHPM_ERROR_TAKEN_OVER: the process is kept, and this manager will not learn how it ends; it
/// has left the table, too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_pop_early_exit_status(
    manager: *mut sshpm_manager,
    uuid: *const c_char,
    out_status: *mut *mut sshpm_exit_status,
) -> sshpm_result {
    // SAFETY: the caller promises all that this call needs.
    unsafe { get_status(manager, uuid, out_status, Manager::pop_early_exit_status) }
}
