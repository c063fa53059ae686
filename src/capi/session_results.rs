//! The boot of a session, and its results.

use std::ffi::{CString, c_char, c_void};
use std::ptr;

use super::boundary::{c_string, call, free, give, plain, pointer_to};
use super::codes::{SSHPM_ERROR_NOT_READY, SSHPM_OK, code_of, sshpm_result};
use super::input::{code_at, handle, output};
use super::kill_results::sshpm_kill_results;
use super::manager::sshpm_manager;
use super::session::sshpm_session;
use super::status::{pointer_to_status, sshpm_exit_status};
use crate::{BootState, SessionOutcome, SessionProgress, SessionResults};

/// Boot state: the boot did not begin the start, or cancelled it. The outcome says why.
pub const SSHPM_BOOT_NOT_STARTED: i32 = 1;
/// Boot state: the start goes on. A complete boot does not wait for a process that it does not need.
pub const SSHPM_BOOT_STARTING: i32 = 2;
/// Boot state: the application runs. If its request asks for readiness, it may still become ready.
pub const SSHPM_BOOT_STARTED: i32 = 3;
/// Boot state: the application has shown that it is ready.
pub const SSHPM_BOOT_READY: i32 = 4;
/// Boot state: the start failed, or the process is kept, and goes on without this manager.
pub const SSHPM_BOOT_FAILED: i32 = 5;
/// Boot state: the process ended.
pub const SSHPM_BOOT_ENDED: i32 = 6;
/// Boot state: the application runs, and was not ready in time.
pub const SSHPM_BOOT_NOT_READY: i32 = 7;

/// Session outcome: every stage is complete.
pub const SSHPM_SESSION_COMPLETE: i32 = 1;
/// Session outcome: a stage failed.
pub const SSHPM_SESSION_FAILED: i32 = 2;
/// Session outcome: the progress callback cancelled the boot.
pub const SSHPM_SESSION_CANCELLED: i32 = 3;
/// Session outcome: the timeout of the session was over.
pub const SSHPM_SESSION_TIMED_OUT: i32 = 4;
/// Session outcome: the manager was shut down or detached.
pub const SSHPM_SESSION_SHUT_DOWN: i32 = 5;

/// The results of the boot of a session: one for each process, sorted by uuid.
pub struct sshpm_session_results {
    outcome: i32,
    stage: usize,
    failed: Option<CString>,
    message: CString,
    processes: Vec<ProcessResult>,
    ended: sshpm_kill_results,
}

struct ProcessResult {
    uuid: CString,
    state: StateOfProcess,
}

/// A boot state, as C sees it.
struct StateOfProcess {
    number: i32,
    error: sshpm_result,
    status: Option<sshpm_exit_status>,
    message: CString,
}

impl StateOfProcess {
    /// What C gets where there is no process.
    fn none() -> StateOfProcess {
        StateOfProcess { number: 0, error: SSHPM_OK, status: None, message: CString::default() }
    }
}

impl From<&BootState> for StateOfProcess {
    fn from(state: &BootState) -> StateOfProcess {
        let (number, error, status, message) = match state {
            BootState::NotStarted => (SSHPM_BOOT_NOT_STARTED, SSHPM_OK, None, String::new()),
            BootState::Starting => (SSHPM_BOOT_STARTING, SSHPM_OK, None, String::new()),
            BootState::Started => (SSHPM_BOOT_STARTED, SSHPM_OK, None, String::new()),
            BootState::Ready => (SSHPM_BOOT_READY, SSHPM_OK, None, String::new()),
            BootState::NotReady(reason) => (SSHPM_BOOT_NOT_READY, SSHPM_ERROR_NOT_READY, None, reason.to_string()),
            BootState::Failed(error) => (SSHPM_BOOT_FAILED, code_of(error), None, error.to_string()),
            BootState::Ended(status) => (SSHPM_BOOT_ENDED, SSHPM_OK, Some(status.clone().into()), status.to_string()),
        };
        StateOfProcess { number, error, status, message: c_string(message) }
    }
}

impl From<SessionResults> for sshpm_session_results {
    fn from(results: SessionResults) -> sshpm_session_results {
        let message = results.outcome.to_string();
        let (outcome, stage, failed) = match results.outcome {
            SessionOutcome::Complete => (SSHPM_SESSION_COMPLETE, 0, None),
            SessionOutcome::Failed { stage, uuid } => (SSHPM_SESSION_FAILED, stage, Some(c_string(uuid))),
            SessionOutcome::Cancelled { stage } => (SSHPM_SESSION_CANCELLED, stage, None),
            SessionOutcome::TimedOut { stage } => (SSHPM_SESSION_TIMED_OUT, stage, None),
            SessionOutcome::ShutDown { stage } => (SSHPM_SESSION_SHUT_DOWN, stage, None),
        };
        let process =
            |(uuid, state): (String, BootState)| ProcessResult { uuid: c_string(uuid), state: (&state).into() };
        sshpm_session_results {
            outcome,
            stage,
            failed,
            message: c_string(message),
            processes: results.processes.into_iter().map(process).collect(),
            ended: results.ended.into(),
        }
    }
}

/// Is called while a session boots: when a stage begins, when a process of the session runs, is ready or is not ready
/// in time, has failed or has ended, and once in each second without such a change. Returns whether the boot goes on:
/// false cancels it. The parameters are the number of the stage, from 1, and the number of stages. uuid is the process,
/// or NULL when a stage begins or a second has passed. state is its state, one of SSHPM_BOOT_..., and 0 without a
/// process. status is how it ended, or NULL. error is why it failed or is not ready, or SSHPM_OK; message says that or
/// how it ended as text, and is "" otherwise. The pointers are valid until the callback returns. It must not throw.
pub type sshpm_session_progress_callback = Option<
    unsafe extern "C" fn(
        stage: usize,
        stages: usize,
        uuid: *const c_char,
        state: i32,
        status: *const sshpm_exit_status,
        error: sshpm_result,
        message: *const c_char,
        user_data: *mut c_void,
    ) -> bool,
>;

/// Boots a session in stages, and gets how far each process came. The processes of a stage start at the same time;
/// sshpm_session_set_order says which stage has which roles. The next stage begins when every critical process of the
/// stages before it is ready, or the minimum of its role. A process that was not asked to be ready counts as ready when
/// it runs. A critical process that is not ready in time, fails or ends meanwhile, in this stage or an earlier one,
/// fails its stage: sshpm_session_set_on_failure says what follows. After the boot, the processes are like those of
/// sshpm_manager_start_process.
///
/// When a boot does not become complete, nothing of it starts after this function has returned: starts that are not
/// done are cancelled, as sshpm_manager_kill_process does. Only SSHPM_ON_FAILURE_CONTINUE leaves them, unless the boot
/// was cancelled, ran out of time or found the manager shut down.
///
/// Another thread may kill, forget and start processes of the session meanwhile, and may shut down or detach the
/// manager. A critical process that was killed has ended, a uuid that was taken has failed, and a manager that was shut
/// down starts nothing more. No thread may free the manager before this function has returned.
///
/// Any thread. Blocks at most for the timeout of the session and the time that `progress` takes. If the boot does not
/// become complete, it also blocks for what it ends: at most as long as sshpm_manager_kill_process to cancel starts, or
/// as sshpm_manager_kill_processes to roll back, with 10 s for each step.
///
/// @param manager The manager.
/// @param session The session. It must not be changed meanwhile.
/// @param progress Is called on the thread that calls this function. It may call any function that takes the manager,
/// also one that blocks, but sshpm_manager_free; the boot waits for it. May be NULL.
/// @param user_data Is passed to `progress`. The library does not use it.
/// @param out_results Receives the results. They are the caller's, to be freed with sshpm_session_results_free.
/// @return SSHPM_OK, also when the boot did not become complete. When nothing was started: SSHPM_ERROR_NULL_ARGUMENT,
/// SSHPM_ERROR_INVALID for a value that is not valid, SSHPM_ERROR_UUID_IN_USE, SSHPM_ERROR_SHUT_DOWN,
/// SSHPM_ERROR_INSIDE_CALLBACK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_start_session(
    manager: *mut sshpm_manager,
    session: *const sshpm_session,
    progress: sshpm_session_progress_callback,
    user_data: *mut c_void,
    out_results: *mut *mut sshpm_session_results,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager, a session and a place for the output.
        let (this, session, out_results) =
            unsafe { (handle(manager, "manager")?, handle(session, "session")?, output(out_results, "out_results")?) };
        let results = this.manager.start_session(&session.session(), |report: &SessionProgress<'_>| {
            let Some(progress) = progress else { return true };
            let SessionProgress { stage, stages, process } = *report;
            let uuid = process.map(|(uuid, _)| c_string(uuid));
            let state = process.map_or_else(StateOfProcess::none, |(_, state)| state.into());
            let StateOfProcess { number, error, status, message } = &state;
            let (uuid, status) = (pointer_to(uuid.as_ref()), pointer_to_status(status.as_ref()));
            // SAFETY: the caller says that its function can be called like this. All pointers point to values of this
            // stack frame.
            unsafe { progress(stage, stages, uuid, *number, status, *error, message.as_ptr(), user_data) }
        })?;
        give(out_results, results.into());
        Ok(())
    })
}

/// Returns how the boot went.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @return One of SSHPM_SESSION_...; 0 when the results are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_results_get_outcome(results: *const sshpm_session_results) -> i32 {
    // SAFETY: the caller's pointer is NULL or points to results.
    plain(0, || unsafe { results.as_ref() }.map_or(0, |this| this.outcome))
}

/// Returns the stage that was not complete.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @return The number of the stage, from 1; 0 when the boot is complete, or the results are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_results_get_outcome_stage(results: *const sshpm_session_results) -> usize {
    // SAFETY: the caller's pointer is NULL or points to results.
    plain(0, || unsafe { results.as_ref() }.map_or(0, |this| this.stage))
}

/// Returns the process that failed its stage.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @return The uuid, which is owned by the results and valid until the results are freed. NULL unless the outcome is
/// SSHPM_SESSION_FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_results_get_outcome_uuid(
    results: *const sshpm_session_results,
) -> *const c_char {
    // SAFETY: the caller's pointer is NULL or points to results.
    plain(ptr::null(), || pointer_to(unsafe { results.as_ref() }.and_then(|this| this.failed.as_ref())))
}

/// Returns the line for the log about the outcome.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @return The line, which is owned by the results and valid until the results are freed. NULL when the results are
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_results_get_outcome_message(
    results: *const sshpm_session_results,
) -> *const c_char {
    // SAFETY: the caller's pointer is NULL or points to results.
    plain(ptr::null(), || pointer_to(unsafe { results.as_ref() }.map(|this| &this.message)))
}

/// Returns one of the results.
///
/// # Safety
/// The pointer is NULL, or points to results that live as long as the returned reference is used.
unsafe fn at<'a>(results: *const sshpm_session_results, index: usize) -> Option<&'a ProcessResult> {
    // SAFETY: the caller promises it.
    unsafe { results.as_ref() }.and_then(|this| this.processes.get(index))
}

/// Returns the number of processes in the results.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @return The number; 0 when the results are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_results_count(results: *const sshpm_session_results) -> usize {
    // SAFETY: the caller's pointer is NULL or points to results.
    plain(0, || unsafe { results.as_ref() }.map_or(0, |this| this.processes.len()))
}

/// Returns the uuid of one process.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @param index The index of the process, from 0.
/// @return The uuid, which is owned by the results and valid until the results are freed. NULL when the index is not
/// below the count, or the results are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_results_get_uuid(
    results: *const sshpm_session_results,
    index: usize,
) -> *const c_char {
    // SAFETY: the caller's pointer is NULL or points to results.
    plain(ptr::null(), || pointer_to(unsafe { at(results, index) }.map(|result| &result.uuid)))
}

/// Returns how far the boot brought one process: when the boot returned, or, for a process that it rolled back, before
/// that.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @param index The index of the process, from 0.
/// @return One of SSHPM_BOOT_...; 0 when the index is not below the count, or the results are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_results_get_state(results: *const sshpm_session_results, index: usize) -> i32 {
    // SAFETY: the caller's pointer is NULL or points to results.
    plain(0, || unsafe { at(results, index) }.map_or(0, |result| result.state.number))
}

/// Returns why one process failed or is not ready. A code for the process does not change the last message of the
/// thread.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @param index The index of the process, from 0.
/// @return SSHPM_OK: neither; sshpm_session_results_get_state says more. SSHPM_ERROR_NOT_READY. SSHPM_ERROR_SSH_...,
/// SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_...: why its start failed. SSHPM_ERROR_UUID_IN_USE: another thread took
/// its uuid. SSHPM_ERROR_LOCAL. SSHPM_ERROR_DETACHED, SSHPM_ERROR_TAKEN_OVER: the process is kept, and goes on without
/// this manager. SSHPM_ERROR_INVALID when the index is not below the count; SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_results_get_result(
    results: *const sshpm_session_results,
    index: usize,
) -> sshpm_result {
    let code = |result: &ProcessResult| result.state.error;
    // SAFETY: the caller's pointer is NULL or points to results.
    unsafe { code_at(results, index, |this: &sshpm_session_results| &this.processes[..], code) }
}

/// Returns how one process ended.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @param index The index of the process, from 0.
/// @return The status, which is owned by the results and valid until the results are freed. NULL unless the state is
/// SSHPM_BOOT_ENDED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_results_get_status(
    results: *const sshpm_session_results,
    index: usize,
) -> *const sshpm_exit_status {
    // SAFETY: the caller's pointer is NULL or points to results.
    let status = || unsafe { at(results, index) }.and_then(|result| result.state.status.as_ref());
    plain(ptr::null(), || pointer_to_status(status()))
}

/// Returns why one process failed or is not ready, or how it ended, as text.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @param index The index of the process, from 0.
/// @return The text, which is owned by the results and valid until the results are freed. "" when none of
/// this is so. NULL when the index is not below the count, or the results are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_results_get_message(
    results: *const sshpm_session_results,
    index: usize,
) -> *const c_char {
    // SAFETY: the caller's pointer is NULL or points to results.
    plain(ptr::null(), || pointer_to(unsafe { at(results, index) }.map(|result| &result.state.message)))
}

/// Returns the processes that the boot has ended: starts that it cancelled, and processes that it rolled back. They
/// have left the manager's table, unless the result is SSHPM_ERROR_STILL_RUNNING.
///
/// Any thread. Does not block.
///
/// @param results The results.
/// @return The results of the kill, which are owned by these results and valid until these are freed: do not free them.
/// NULL when the results are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_results_get_ended(
    results: *const sshpm_session_results,
) -> *const sshpm_kill_results {
    // SAFETY: the caller's pointer is NULL or points to results.
    plain(ptr::null(), || unsafe { results.as_ref() }.map_or(ptr::null(), |this| ptr::from_ref(&this.ended)))
}

/// Frees results, with their statuses and strings.
///
/// Any thread. Does not block.
///
/// @param results The results. NULL: does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_results_free(results: *mut sshpm_session_results) {
    // SAFETY: the caller's pointer is NULL or points to results that nobody uses any more.
    unsafe { free(results) };
}
