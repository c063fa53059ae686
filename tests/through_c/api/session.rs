//! Sessions, and the results of their boots. A session of Rust is a value that can be copied and changed, so a handle is
//! made when it is used.

use std::collections::BTreeMap;
use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::time::Duration;

use crate::c;
use crate::error::{error, not_ready_reason};
use crate::input::{Owned, check, copied, seconds, text};
use crate::manager::{KillResults, Manager, kill_results};
use crate::{BootRequest, Error, ExitStatus, NotReadyReason, OnFailure, Result, Role, SessionOutcome};

#[derive(Debug, Clone, Default)]
pub struct Session {
    /// The JSON that it was read from, before anything was set.
    json: Option<String>,
    processes: Vec<(String, BootRequest)>,
    order: Option<Vec<Role>>,
    minimum: Vec<(Role, usize)>,
    on_failure: Option<OnFailure>,
    timeout: Option<Duration>,
}

impl Session {
    pub fn new() -> Session {
        Session::default()
    }

    pub fn from_json(json: &str) -> Result<Session> {
        let session = Session { json: Some(json.to_owned()), ..Session::default() };
        session.handle().map(|_| session)
    }

    pub fn process(mut self, uuid: impl Into<String>, request: BootRequest) -> Session {
        self.processes.push((uuid.into(), request));
        self
    }

    pub fn order(mut self, order: impl Into<Vec<Role>>) -> Session {
        self.order = Some(order.into());
        self
    }

    pub fn minimum(mut self, role: Role, processes: usize) -> Session {
        self.minimum.push((role, processes));
        self
    }

    pub fn on_failure(mut self, action: OnFailure) -> Session {
        self.on_failure = Some(action);
        self
    }

    pub fn timeout(mut self, timeout: Duration) -> Session {
        self.timeout = Some(timeout);
        self
    }

    pub fn processes(&self) -> &[(String, BootRequest)] {
        let handle = self.handle().unwrap();
        // SAFETY: the session is ours, and what it lends is copied.
        unsafe {
            assert_eq!(c::sshpm_session_count(handle.get()), self.processes.len());
            for (at, (uuid, _)) in self.processes.iter().enumerate() {
                assert_eq!(copied(c::sshpm_session_get_uuid(handle.get(), at)).as_ref(), Some(uuid));
                assert!(!c::sshpm_session_get_request(handle.get(), at).is_null());
            }
        }
        &self.processes
    }

    pub fn check(&self) -> Result<()> {
        // SAFETY: the handle is ours.
        check(unsafe { c::sshpm_session_check(self.handle()?.get()) })
    }

    /// Returns the session as a handle of C.
    fn handle(&self) -> Result<Owned<c::sshpm_session>> {
        let session = match &self.json {
            Some(json) => {
                let json = text("json", json)?;
                Owned::given(c::sshpm_session_free, |out| {
                    // SAFETY: a string, and an output that is a local.
                    unsafe { c::sshpm_session_from_json(json.as_ptr(), out) }
                })?
            }
            // SAFETY: the output is a local.
            None => Owned::given(c::sshpm_session_free, |out| unsafe { c::sshpm_session_new(out) })?,
        };
        let this = session.get();
        for (uuid, request) in &self.processes {
            let (uuid, request) = (text("uuid", uuid)?, request.handle()?);
            // SAFETY: a session and a request that are ours, and a string.
            check(unsafe { c::sshpm_session_add_process(this, uuid.as_ptr(), request.get()) })?;
        }
        if let Some(order) = &self.order {
            let roles = order.iter().map(|role| text("order", role.as_str())).collect::<Result<Vec<_>>>()?;
            let roles: Vec<_> = roles.iter().map(|role| role.as_ptr()).collect();
            // SAFETY: a session that is ours, and an array with this number of strings.
            check(unsafe { c::sshpm_session_set_order(this, roles.as_ptr(), roles.len()) })?;
        }
        for (role, processes) in &self.minimum {
            let role = text("minimum", role.as_str())?;
            // SAFETY: a session that is ours, and a string.
            check(unsafe { c::sshpm_session_set_minimum(this, role.as_ptr(), *processes) })?;
        }
        if let Some(action) = self.on_failure {
            let action = match action {
                OnFailure::Stop => c::SSHPM_ON_FAILURE_STOP,
                OnFailure::RollBack => c::SSHPM_ON_FAILURE_ROLL_BACK,
                OnFailure::Continue => c::SSHPM_ON_FAILURE_CONTINUE,
                other => panic!("teach this {other:?}"),
            };
            // SAFETY: a session that is ours.
            check(unsafe { c::sshpm_session_set_on_failure(this, action) })?;
        }
        if let Some(timeout) = self.timeout {
            // SAFETY: a session that is ours.
            check(unsafe { c::sshpm_session_set_timeout(this, seconds(timeout)) })?;
        }
        Ok(session)
    }
}

#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum BootState {
    Ready,
    Started,
    NotReady(NotReadyReason),
    Starting,
    Failed(Error),
    Ended(ExitStatus),
    NotStarted,
}

impl BootState {
    /// `status` says how the process ended, if it did.
    fn new(number: i32, code: c::sshpm_result, message: &str, status: impl FnOnce() -> ExitStatus) -> BootState {
        let has_code = matches!(number, c::SSHPM_BOOT_FAILED | c::SSHPM_BOOT_NOT_READY);
        assert_eq!(code != c::SSHPM_OK, has_code);
        assert_eq!(message.is_empty(), !has_code && number != c::SSHPM_BOOT_ENDED);
        match number {
            c::SSHPM_BOOT_NOT_STARTED => BootState::NotStarted,
            c::SSHPM_BOOT_STARTING => BootState::Starting,
            c::SSHPM_BOOT_STARTED => BootState::Started,
            c::SSHPM_BOOT_READY => BootState::Ready,
            c::SSHPM_BOOT_NOT_READY => BootState::NotReady(not_ready_reason(message).unwrap()),
            c::SSHPM_BOOT_FAILED => BootState::Failed(error(code, message)),
            c::SSHPM_BOOT_ENDED => BootState::Ended(status()),
            other => panic!("no state: {other}"),
        }
    }
}

#[derive(Debug, Clone)]
pub struct SessionResults {
    pub outcome: SessionOutcome,
    pub processes: BTreeMap<String, BootState>,
    pub ended: KillResults,
}

impl SessionResults {
    pub fn is_complete(&self) -> bool {
        self.outcome == SessionOutcome::Complete
    }

    /// # Safety
    /// The pointer is to results that live during the call.
    unsafe fn read(results: *const c::sshpm_session_results) -> SessionResults {
        // SAFETY: the caller's promise, and what they lend is copied.
        unsafe {
            let stage = c::sshpm_session_results_get_outcome_stage(results);
            let uuid = copied(c::sshpm_session_results_get_outcome_uuid(results));
            let outcome = match (c::sshpm_session_results_get_outcome(results), uuid) {
                (c::SSHPM_SESSION_COMPLETE, None) => SessionOutcome::Complete,
                (c::SSHPM_SESSION_FAILED, Some(uuid)) => SessionOutcome::Failed { stage, uuid },
                (c::SSHPM_SESSION_CANCELLED, None) => SessionOutcome::Cancelled { stage },
                (c::SSHPM_SESSION_TIMED_OUT, None) => SessionOutcome::TimedOut { stage },
                (c::SSHPM_SESSION_SHUT_DOWN, None) => SessionOutcome::ShutDown { stage },
                other => panic!("no outcome: {other:?}"),
            };
            assert_eq!(stage == 0, outcome == SessionOutcome::Complete);
            let message = copied(c::sshpm_session_results_get_outcome_message(results)).unwrap();
            assert_eq!(outcome.to_string(), message);
            let process = |at| {
                let number = c::sshpm_session_results_get_state(results, at);
                let code = c::sshpm_session_results_get_result(results, at);
                let message = copied(c::sshpm_session_results_get_message(results, at)).unwrap();
                let status = c::sshpm_session_results_get_status(results, at);
                let uuid = copied(c::sshpm_session_results_get_uuid(results, at)).unwrap();
                (uuid, BootState::new(number, code, &message, || ExitStatus::read(status)))
            };
            SessionResults {
                outcome,
                processes: (0..c::sshpm_session_results_count(results)).map(process).collect(),
                ended: kill_results(c::sshpm_session_results_get_ended(results)),
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub struct SessionProgress<'a> {
    pub stage: usize,
    pub stages: usize,
    pub process: Option<(&'a str, &'a BootState)>,
}

/// What C's progress callback needs: the caller's function, and its panic.
struct Progress<'a> {
    call: &'a mut dyn FnMut(&SessionProgress<'_>) -> bool,
    panic: Option<Box<dyn std::any::Any + Send>>,
}

/// # Safety
/// The parameters are as the header says of sshpm_session_progress_callback. The user data is a `Progress`.
unsafe extern "C" fn progressed(
    stage: usize,
    stages: usize,
    uuid: *const c_char,
    state: i32,
    status: *const c::sshpm_exit_status,
    code: c::sshpm_result,
    message: *const c_char,
    user_data: *mut c_void,
) -> bool {
    // SAFETY: the caller's promise.
    let (progress, uuid, message) =
        unsafe { (&mut *user_data.cast::<Progress>(), copied(uuid), copied(message).unwrap()) };
    let called = catch_unwind(AssertUnwindSafe(|| {
        let process = uuid.map(|uuid| {
            // SAFETY: the caller's promise.
            let state = BootState::new(state, code, &message, || unsafe { ExitStatus::read(status) });
            (uuid, state)
        });
        let process = process.as_ref().map(|(uuid, state)| (uuid.as_str(), state));
        (progress.call)(&SessionProgress { stage, stages, process })
    }));
    // A callback of C must not unwind.
    called.unwrap_or_else(|panic| {
        progress.panic = Some(panic);
        false
    })
}

impl Manager {
    pub fn start_session(
        &self,
        session: &Session,
        mut progress: impl FnMut(&SessionProgress<'_>) -> bool,
    ) -> Result<SessionResults> {
        let session = session.handle()?;
        let mut progress = Progress { call: &mut progress, panic: None };
        let results = Owned::given(c::sshpm_session_results_free, |out| {
            let data = ptr::from_mut(&mut progress).cast();
            // SAFETY: a manager and a session that are ours, a function for these user data, and an output.
            unsafe { c::sshpm_manager_start_session(self.get(), session.get(), Some(progressed), data, out) }
        })?;
        if let Some(panic) = progress.panic {
            resume_unwind(panic);
        }
        // SAFETY: the results are ours.
        Ok(unsafe { SessionResults::read(results.get()) })
    }
}
