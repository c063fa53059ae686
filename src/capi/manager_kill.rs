//! Waits, signals and kills: the functions of a manager that block for a process.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::time::Duration;

use super::boundary::{Failure, call, give};
use super::codes::{SSHPM_ERROR_NO_EXIT_CODE, sshpm_result};
use super::input::{array, handle, optional_output, output, text, texts, timeout};
use super::kill_results::sshpm_kill_results;
use super::manager::sshpm_manager;
use super::status::{give_status, sshpm_exit_status};
use crate::{DEFAULT_KILL_TIMEOUT, KillTimeouts, Role, Signal};

/// Waits until the application runs. Also returns SSHPM_OK when the application has run and has already ended.
///
/// Any thread. Blocks at most for the timeout.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: no limit; the start timeout of the request ends the wait.
/// @param out_pid Receives the application's pid on its host.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_TIMED_OUT,
/// SSHPM_ERROR_UNKNOWN_UUID, SSHPM_ERROR_INSIDE_CALLBACK. SSHPM_ERROR_NOT_RUNNING: the process was killed before it
/// ran. SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_..., SSHPM_ERROR_LOCAL: why the start failed.
/// SSHPM_ERROR_DETACHED, SSHPM_ERROR_TAKEN_OVER: the process is kept, its link was lost during the start, and this
/// manager controls it no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_wait_until_started(
    manager: *const sshpm_manager,
    uuid: *const c_char,
    timeout_s: f64,
    out_pid: *mut i64,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager, a string and a place for the output.
        let (this, uuid, out_pid) =
            unsafe { (handle(manager, "manager")?, text(uuid, "uuid")?, output(out_pid, "out_pid")?) };
        let timeout = timeout("timeout", timeout_s)?.unwrap_or(Duration::MAX);
        out_pid.write(this.manager.wait_until_started(uuid, timeout)?);
        Ok(())
    })
}

/// Waits until the process is ready, as its request says; until its application runs, if the request says nothing. Also
/// returns SSHPM_OK when the process was ready and has already ended.
///
/// Any thread. Blocks at most for the timeout.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: no limit; the start timeout and the ready timeout of the request
/// end the wait.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_TIMED_OUT,
/// SSHPM_ERROR_UNKNOWN_UUID, SSHPM_ERROR_INSIDE_CALLBACK. SSHPM_ERROR_NOT_READY: the process runs, and does not count
/// as ready. SSHPM_ERROR_NOT_RUNNING: it ended before it was ready. SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_...,
/// SSHPM_ERROR_START_..., SSHPM_ERROR_LOCAL: why the start failed. SSHPM_ERROR_DETACHED, SSHPM_ERROR_TAKEN_OVER: the
/// process is kept, and this manager controls it no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_wait_until_ready(
    manager: *const sshpm_manager,
    uuid: *const c_char,
    timeout_s: f64,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager and a string.
        let (this, uuid) = unsafe { (handle(manager, "manager")?, text(uuid, "uuid")?) };
        let timeout = timeout("timeout", timeout_s)?.unwrap_or(Duration::MAX);
        this.manager.wait_until_ready(uuid, timeout)?;
        Ok(())
    })
}

/// Waits until a process has ended, and gets its exit code. The process stays in the table. The exit callbacks may not
/// have run yet. A call that returns an exit, or why the start failed, acknowledges it, as
/// sshpm_manager_get_exit_status does.
///
/// Any thread. Blocks at most for the timeout.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: no limit.
/// @param out_code Receives the code to show and to judge by, which sshpm_exit_status_get_code describes.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_TIMED_OUT,
/// SSHPM_ERROR_UNKNOWN_UUID, SSHPM_ERROR_INSIDE_CALLBACK. SSHPM_ERROR_NO_EXIT_CODE: the process ended without such a
/// code. SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_..., SSHPM_ERROR_LOCAL: why the start failed.
/// SSHPM_ERROR_DETACHED, SSHPM_ERROR_TAKEN_OVER: the process is kept, and this manager will not learn how it ends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_wait_for_process_exit_code(
    manager: *const sshpm_manager,
    uuid: *const c_char,
    timeout_s: f64,
    out_code: *mut i32,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager, a string and a place for the output.
        let (this, uuid, out_code) =
            unsafe { (handle(manager, "manager")?, text(uuid, "uuid")?, output(out_code, "out_code")?) };
        let timeout = timeout("timeout", timeout_s)?.unwrap_or(Duration::MAX);
        let code = this.manager.wait_for_process_exit_code(uuid, timeout)?;
        let none = || Failure::new(SSHPM_ERROR_NO_EXIT_CODE, format!("process {uuid:?} ended without an exit code"));
        out_code.write(code.ok_or_else(none)?);
        Ok(())
    })
}

/// Sends a signal to the application alone, and waits until the remote side confirms that it was sent. If the signal
/// ends the process, the exit is reported as if somebody else had sent the signal.
///
/// Any thread, also in callbacks. Blocks at most 10 s; inside a callback it does not wait for the confirmation.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param signal A signal of this machine's <signal.h>; see sshpm_signal_from_name.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_NOT_RUNNING,
/// SSHPM_ERROR_SIGNAL_REFUSED, SSHPM_ERROR_LINK_DOWN, SSHPM_ERROR_TIMED_OUT, SSHPM_ERROR_UNKNOWN_UUID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_send_signal(
    manager: *mut sshpm_manager,
    uuid: *const c_char,
    signal: i32,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager and a string.
        let (this, uuid) = unsafe { (handle(manager, "manager")?, text(uuid, "uuid")?) };
        Ok(this.manager.send_signal(uuid, Signal::from_number(signal)?)?)
    })
}

/// Simulates a crash: sends a signal to the application alone. It does nothing else, so the table, the events and the
/// exit status look as after a real crash. This function does what sshpm_manager_send_signal does.
///
/// Any thread, also in callbacks. Blocks at most 10 s; inside a callback it does not wait for the confirmation.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param signal A signal of this machine's <signal.h>; see sshpm_signal_from_name.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_NOT_RUNNING,
/// SSHPM_ERROR_SIGNAL_REFUSED, SSHPM_ERROR_LINK_DOWN, SSHPM_ERROR_TIMED_OUT, SSHPM_ERROR_UNKNOWN_UUID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_crash_process(
    manager: *mut sshpm_manager,
    uuid: *const c_char,
    signal: i32,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager and a string.
        let (this, uuid) = unsafe { (handle(manager, "manager")?, text(uuid, "uuid")?) };
        Ok(this.manager.crash_process(uuid, Signal::from_number(signal)?)?)
    })
}

/// Ends a process by a signal to its ssh client on this machine. Use sshpm_manager_kill_process for all other purposes.
/// The signal breaks the link, the remote side ends the application by its link loss policy, and the manager asks the
/// host whether it did. A session without an ssh client (sshpm_options_set_ssh_client_per_process) is closed, which
/// counts as SIGKILL, also for SIGQUIT.
///
/// Any thread. Blocks at most for the timeout.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param signal SIGQUIT or SIGKILL.
/// @param as_manual_kill Whether the exit source is a manual kill through the ssh client. Otherwise it is client
/// monitoring, as if somebody else had sent the signal.
/// @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: 10 s.
/// @param out_status Receives the status. It is the caller's, to be freed with sshpm_exit_status_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_UNKNOWN_UUID,
/// SSHPM_ERROR_INSIDE_CALLBACK. SSHPM_ERROR_STILL_RUNNING: the manager did not learn in time that the application
/// ended; the process stays in the table. SSHPM_ERROR_NOT_RUNNING: the process waits for its turn to connect and has no
/// session yet, and this is not a manual kill. SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_...,
/// SSHPM_ERROR_LOCAL: the start had failed; the process has left the table. SSHPM_ERROR_DETACHED,
/// SSHPM_ERROR_TAKEN_OVER: the process is kept, and goes on without this manager; it has left the table.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_kill_process_without_metadata(
    manager: *mut sshpm_manager,
    uuid: *const c_char,
    signal: i32,
    as_manual_kill: bool,
    timeout_s: f64,
    out_status: *mut *mut sshpm_exit_status,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager, a string and a place for the output.
        let (this, uuid, out_status) =
            unsafe { (handle(manager, "manager")?, text(uuid, "uuid")?, output(out_status, "out_status")?) };
        let signal = Signal::from_number(signal)?;
        let timeout = timeout("timeout", timeout_s)?.unwrap_or(DEFAULT_KILL_TIMEOUT);
        let status = this.manager.kill_process_without_metadata(uuid, signal, as_manual_kill, timeout)?;
        give_status(out_status, Some(status));
        Ok(())
    })
}

/// Ends a process by the kill sequence, waits for the exit callbacks, removes the process from the table and gets how
/// it ended, also if it had ended before. A restart that was to follow is cancelled. A start that has no remote pid yet
/// is cancelled: what has begun on the host gets SIGHUP, and after its grace SIGKILL.
///
/// Any thread. Blocks at most for the timeouts of all steps of the kill sequence.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param timeout_s How many seconds each step waits. SSHPM_TIMEOUT_DEFAULT: 10 s.
/// @param out_status Receives the status. It is the caller's, to be freed with sshpm_exit_status_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_UNKNOWN_UUID,
/// SSHPM_ERROR_INSIDE_CALLBACK. SSHPM_ERROR_STILL_RUNNING: the process stays in the table and can be killed again.
/// SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_..., SSHPM_ERROR_LOCAL: the start had failed; the
/// process has left the table. SSHPM_ERROR_DETACHED, SSHPM_ERROR_TAKEN_OVER: the process is kept, and goes on without
/// this manager; it has left the table.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_kill_process(
    manager: *mut sshpm_manager,
    uuid: *const c_char,
    timeout_s: f64,
    out_status: *mut *mut sshpm_exit_status,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager, a string and a place for the output.
        let (this, uuid, out_status) =
            unsafe { (handle(manager, "manager")?, text(uuid, "uuid")?, output(out_status, "out_status")?) };
        let timeout = timeout("timeout", timeout_s)?.unwrap_or(DEFAULT_KILL_TIMEOUT);
        give_status(out_status, Some(this.manager.kill_process(uuid, timeout)?));
        Ok(())
    })
}

/// Ends a process as sshpm_manager_kill_process does, and starts it again with the same request under the same uuid.
/// Nobody else can take the uuid in between. A process that has ended, whose start has failed or whose restart policy
/// pauses is only started. The restarts by its policy count from zero again. Events, callbacks and
/// sshpm_manager_wait_until_started report everything else about the start. A kill, forget, shutdown, detach or free
/// that comes later than this call cancels the restart.
///
/// Any thread. Blocks at most for the timeouts of all steps of the kill sequence; not if the process has ended.
///
/// @param manager The manager.
/// @param uuid The process.
/// @param timeout_s How many seconds each step of the kill waits. SSHPM_TIMEOUT_DEFAULT: 10 s.
/// @param out_start_number Receives the new start number. May be NULL.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_UNKNOWN_UUID,
/// SSHPM_ERROR_INSIDE_CALLBACK. SSHPM_ERROR_RESTART_...: another call restarts the process or has ended it, or it was
/// adopted. SSHPM_ERROR_STILL_RUNNING: the process has not ended in time and was not started; it stays in the table,
/// and its policy does not restart it any more. SSHPM_ERROR_TAKEN_OVER, SSHPM_ERROR_DETACHED: the process is kept, and
/// goes on without this manager. SSHPM_ERROR_SHUT_DOWN, SSHPM_ERROR_LOCAL: the process has ended, and was not started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_restart_process(
    manager: *mut sshpm_manager,
    uuid: *const c_char,
    timeout_s: f64,
    out_start_number: *mut u64,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager, a string and a place for an output.
        let (this, uuid, out_start_number) =
            unsafe { (handle(manager, "manager")?, text(uuid, "uuid")?, optional_output(out_start_number)) };
        let timeout = timeout("timeout", timeout_s)?.unwrap_or(DEFAULT_KILL_TIMEOUT);
        let start_number = this.manager.restart_process(uuid, timeout)?;
        if let Some(out_start_number) = out_start_number {
            out_start_number.write(start_number);
        }
        Ok(())
    })
}

/// The arguments of a kill of several processes.
struct Kill<'a> {
    this: &'a sshpm_manager,
    uuids: Vec<&'a str>,
    timeouts: KillTimeouts,
    out_results: &'a mut MaybeUninit<*mut sshpm_kill_results>,
}

impl<'a> Kill<'a> {
    /// Reads the arguments.
    ///
    /// # Safety
    /// The pointers are NULL, or point to a manager, `count` strings, `count` numbers, and a place for the output, all
    /// of which live as long as the returned value is used.
    unsafe fn read(
        manager: *mut sshpm_manager,
        uuids: *const *const c_char,
        count: usize,
        timeouts_s: *const f64,
        out_results: *mut *mut sshpm_kill_results,
    ) -> Result<Kill<'a>, Failure> {
        // SAFETY: the caller promises it.
        let (this, uuids) = unsafe { (handle(manager, "manager")?, texts(uuids, count, "uuids")?) };
        let length = if timeouts_s.is_null() { 0 } else { count };
        // SAFETY: the caller promises it.
        let seconds = unsafe { array(timeouts_s, length, "timeouts_s")? };
        // SAFETY: the caller promises it.
        let out_results = unsafe { output(out_results, "out_results")? };
        let mut timeouts = KillTimeouts::default();
        for (at, (uuid, seconds)) in uuids.iter().zip(seconds).enumerate() {
            if let Some(timeout) = timeout(&format!("timeouts[{at}]"), *seconds)? {
                timeouts = timeouts.with(*uuid, timeout);
            }
        }
        Ok(Kill { this, uuids, timeouts, out_results })
    }
}

/// Ends processes, role by role in the shutdown order; the processes of one role at the same time. A role that does not
/// end in its time does not delay the next role. Processes that have ended leave the table.
///
/// Any thread. Blocks at most for the timeouts of all steps of the kill sequence, for each role.
///
/// @param manager The manager.
/// @param uuids The processes. May be NULL if the count is 0.
/// @param count The number of processes.
/// @param timeouts_s For each process, how many seconds each step waits; SSHPM_TIMEOUT_DEFAULT: 10 s. NULL: 10 s for
/// all.
/// @param out_results Receives a result for each process. They are the caller's, to be freed with
/// sshpm_kill_results_free.
/// @return SSHPM_OK, also when processes did not end; SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID,
/// SSHPM_ERROR_INSIDE_CALLBACK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_kill_processes(
    manager: *mut sshpm_manager,
    uuids: *const *const c_char,
    count: usize,
    timeouts_s: *const f64,
    out_results: *mut *mut sshpm_kill_results,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller promises all that this call needs.
        let kill = unsafe { Kill::read(manager, uuids, count, timeouts_s, out_results)? };
        give(kill.out_results, kill.this.manager.kill_processes(&kill.uuids, &kill.timeouts)?.into());
        Ok(())
    })
}

/// Ends those of the given processes that have a role, at the same time. The results contain only these processes, and
/// the uuids that are unknown.
///
/// Any thread. Blocks at most for the timeouts of all steps of the kill sequence.
///
/// @param manager The manager.
/// @param role The role's name; UTF-8.
/// @param uuids The processes to choose from. May be NULL if the count is 0.
/// @param count The number of processes.
/// @param timeouts_s For each process, how many seconds each step waits; SSHPM_TIMEOUT_DEFAULT: 10 s. NULL: 10 s for
/// all.
/// @param out_results Receives the results. They are the caller's, to be freed with sshpm_kill_results_free.
/// @return SSHPM_OK, also when processes did not end; SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID,
/// SSHPM_ERROR_INSIDE_CALLBACK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_kill_processes_by_role(
    manager: *mut sshpm_manager,
    role: *const c_char,
    uuids: *const *const c_char,
    count: usize,
    timeouts_s: *const f64,
    out_results: *mut *mut sshpm_kill_results,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller promises all that this call needs.
        let kill = unsafe { Kill::read(manager, uuids, count, timeouts_s, out_results)? };
        // SAFETY: the caller's pointer is NULL or points to a string.
        let role = Role::from_name(unsafe { text(role, "role")? })?;
        let results = kill.this.manager.kill_processes_by_role(&role, &kill.uuids, &kill.timeouts)?;
        give(kill.out_results, results.into());
        Ok(())
    })
}

/// Ends all processes of the table, as sshpm_manager_kill_processes does. The remote side cleans up when all have
/// ended; sshpm_manager_shutdown and sshpm_manager_free wait for that.
///
/// Any thread. Blocks at most for the timeouts of all steps of the kill sequence, for each role.
///
/// @param manager The manager.
/// @param timeout_s How many seconds each step waits. SSHPM_TIMEOUT_DEFAULT: 10 s.
/// @param out_results Receives a result for each process. They are the caller's, to be freed with
/// sshpm_kill_results_free.
/// @return SSHPM_OK, also when processes did not end; SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID,
/// SSHPM_ERROR_INSIDE_CALLBACK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_kill_all_processes(
    manager: *mut sshpm_manager,
    timeout_s: f64,
    out_results: *mut *mut sshpm_kill_results,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager and a place for the output.
        let (this, out_results) = unsafe { (handle(manager, "manager")?, output(out_results, "out_results")?) };
        let timeouts = timeout("timeout", timeout_s)?.map_or_else(KillTimeouts::default, KillTimeouts::from);
        give(out_results, this.manager.kill_all_processes(&timeouts)?.into());
        Ok(())
    })
}

/// Ends all processes in the shutdown order within the timeout, and then detaches from all of them. Each role gets the
/// waits of the kill sequence, with 10 s for each step that has no wait of its own. When the timeout is over, whatever
/// still runs gets SIGKILL at once. The manager starts nothing any more.
///
/// Any thread. Blocks at most for the timeout, 2 s for each role that did not end within it, and 5 s.
///
/// @param manager The manager. The other functions can still query it.
/// @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: no limit but the time of the roles.
/// @param out_results Receives a result for each process. They are the caller's, to be freed with
/// sshpm_kill_results_free. May be NULL.
/// @return SSHPM_OK, also when processes did not end; SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID,
/// SSHPM_ERROR_INSIDE_CALLBACK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_shutdown(
    manager: *mut sshpm_manager,
    timeout_s: f64,
    out_results: *mut *mut sshpm_kill_results,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a manager.
        let this = unsafe { handle(manager, "manager")? };
        let timeout = timeout("timeout", timeout_s)?.unwrap_or(Duration::MAX);
        let results = this.manager.shutdown(timeout)?;
        // SAFETY: the caller's pointer is NULL or points to a place for the output.
        if let Some(out_results) = unsafe { optional_output(out_results) } {
            give(out_results, results.into());
        }
        Ok(())
    })
}
