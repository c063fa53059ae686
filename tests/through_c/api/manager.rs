//! The manager: each method is one call of C.

use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;
use std::ptr;
use std::time::Duration;

use crate::c;
use crate::error::error;
use crate::events::{Callback, called, finalized};
use crate::input::{Owned, bytes, check, copied, seconds, strings, text};
use crate::{
    BootRequest, CallbackId, Error, ExitStatus, Options, Output, OutputSubscription, ProcessState, Result, Role,
    RuntimePids, Signal, Subscription,
};

pub type KillResults = BTreeMap<String, Result<ExitStatus>>;

/// How long a kill waits after each signal: for all processes, and for single ones.
#[derive(Debug, Clone, Default)]
pub struct KillTimeouts {
    /// `None` is C's default.
    all: Option<Duration>,
    by_uuid: HashMap<String, Duration>,
}

impl From<Duration> for KillTimeouts {
    fn from(all: Duration) -> KillTimeouts {
        KillTimeouts { all: Some(all), by_uuid: HashMap::new() }
    }
}

impl KillTimeouts {
    pub fn with(mut self, uuid: impl Into<String>, timeout: Duration) -> KillTimeouts {
        self.by_uuid.insert(uuid.into(), timeout);
        self
    }

    fn of(&self, uuid: &str) -> f64 {
        self.by_uuid.get(uuid).copied().or(self.all).map_or(c::SSHPM_TIMEOUT_DEFAULT, seconds)
    }
}

pub struct Manager(Owned<c::sshpm_manager>);

impl Manager {
    pub fn new(options: Options) -> Result<Manager> {
        let options = options.handle()?;
        // SAFETY: options that are ours, and an output that is a local.
        Owned::given(c::sshpm_manager_free, |out| unsafe { c::sshpm_manager_new(options.get(), out) }).map(Manager)
    }

    pub(crate) fn get(&self) -> *mut c::sshpm_manager {
        self.0.get()
    }

    /// Calls a function of C for one process.
    fn of(
        &self,
        uuid: &str,
        call: impl FnOnce(*mut c::sshpm_manager, *const std::ffi::c_char) -> c::sshpm_result,
    ) -> Result<()> {
        let uuid = text("uuid", uuid)?;
        check(call(self.get(), uuid.as_ptr()))
    }

    pub fn start_process(&self, uuid: &str, request: &BootRequest) -> Result<u64> {
        let (request, mut number) = (request.handle()?, 0);
        // SAFETY: a manager and a request that are ours, a string, and an output that is a local.
        self.of(uuid, |this, uuid| unsafe { c::sshpm_manager_start_process(this, uuid, request.get(), &mut number) })?;
        Ok(number)
    }

    pub fn start_number(&self, uuid: &str) -> Result<u64> {
        let mut number = 0;
        // SAFETY: a manager that is ours, a string, and an output that is a local.
        self.of(uuid, |this, uuid| unsafe { c::sshpm_manager_get_start_number(this, uuid, &mut number) })?;
        Ok(number)
    }

    pub fn send_signal(&self, uuid: &str, signal: Signal) -> Result<()> {
        // SAFETY: a manager that is ours, and a string.
        self.of(uuid, |this, uuid| unsafe { c::sshpm_manager_send_signal(this, uuid, signal.number()) })
    }

    pub fn crash_process(&self, uuid: &str, signal: Signal) -> Result<()> {
        // SAFETY: a manager that is ours, and a string.
        self.of(uuid, |this, uuid| unsafe { c::sshpm_manager_crash_process(this, uuid, signal.number()) })
    }

    pub fn kill_process(&self, uuid: &str, timeout: Duration) -> Result<ExitStatus> {
        let mut status = ptr::null_mut();
        self.of(uuid, |this, uuid| {
            // SAFETY: a manager that is ours, a string, and an output that is a local.
            unsafe { c::sshpm_manager_kill_process(this, uuid, seconds(timeout), &mut status) }
        })?;
        Ok(ExitStatus::taken(status).expect("a status"))
    }

    pub fn restart_process(&self, uuid: &str, timeout: Duration) -> Result<u64> {
        let mut number = 0;
        self.of(uuid, |this, uuid| {
            // SAFETY: a manager that is ours, a string, and an output that is a local.
            unsafe { c::sshpm_manager_restart_process(this, uuid, seconds(timeout), &mut number) }
        })?;
        Ok(number)
    }

    pub fn kill_process_without_metadata(
        &self,
        uuid: &str,
        signal: Signal,
        as_manual_kill: bool,
        timeout: Duration,
    ) -> Result<ExitStatus> {
        let (mut status, number, timeout) = (ptr::null_mut(), signal.number(), seconds(timeout));
        self.of(uuid, |this, uuid| {
            let out = &mut status;
            // SAFETY: a manager that is ours, a string, and an output that is a local.
            unsafe { c::sshpm_manager_kill_process_without_metadata(this, uuid, number, as_manual_kill, timeout, out) }
        })?;
        Ok(ExitStatus::taken(status).expect("a status"))
    }

    /// Returns the results of a function that kills several processes.
    fn killed(
        &self,
        call: impl FnOnce(*mut c::sshpm_manager, *mut *mut c::sshpm_kill_results) -> c::sshpm_result,
    ) -> Result<KillResults> {
        let results = Owned::given(c::sshpm_kill_results_free, |out| call(self.get(), out))?;
        // SAFETY: the results are ours.
        Ok(unsafe { kill_results(results.get()) })
    }

    pub fn kill_processes<U: AsRef<str>>(&self, uuids: &[U], timeouts: &KillTimeouts) -> Result<KillResults> {
        let (texts, times) = texts_and_times(uuids, timeouts)?;
        let pointers: Vec<_> = texts.iter().map(|uuid| uuid.as_ptr()).collect();
        self.killed(|this, out| {
            // SAFETY: a manager that is ours, as many strings and times as it is told, and an output that is a local.
            unsafe { c::sshpm_manager_kill_processes(this, pointers.as_ptr(), pointers.len(), times.as_ptr(), out) }
        })
    }

    pub fn kill_processes_by_role<U: AsRef<str>>(
        &self,
        role: &Role,
        candidates: &[U],
        timeouts: &KillTimeouts,
    ) -> Result<KillResults> {
        let (texts, times) = texts_and_times(candidates, timeouts)?;
        let pointers: Vec<_> = texts.iter().map(|uuid| uuid.as_ptr()).collect();
        let role = text("role", role.as_str())?;
        self.killed(|this, out| {
            let (role, uuids, count) = (role.as_ptr(), pointers.as_ptr(), pointers.len());
            // SAFETY: a manager that is ours, as many strings and times as it is told, and an output that is a local.
            unsafe { c::sshpm_manager_kill_processes_by_role(this, role, uuids, count, times.as_ptr(), out) }
        })
    }

    /// C has one time for all processes. With more than one time, the processes are named.
    pub fn kill_all_processes(&self, timeouts: &KillTimeouts) -> Result<KillResults> {
        if !timeouts.by_uuid.is_empty() {
            return self.kill_processes(&self.active_process_keys(), timeouts);
        }
        let timeout = timeouts.of("");
        // SAFETY: a manager that is ours, and an output that is a local.
        self.killed(|this, out| unsafe { c::sshpm_manager_kill_all_processes(this, timeout, out) })
    }

    pub fn shutdown(&self, timeout: Duration) -> Result<KillResults> {
        // SAFETY: a manager that is ours, and an output that is a local.
        self.killed(|this, out| unsafe { c::sshpm_manager_shutdown(this, seconds(timeout), out) })
    }

    pub fn detach(&self) -> Result<()> {
        // SAFETY: a manager that is ours.
        check(unsafe { c::sshpm_manager_detach(self.get()) })
    }

    pub fn forget_process(&self, uuid: &str) -> Result<()> {
        // SAFETY: a manager that is ours, and a string.
        self.of(uuid, |this, uuid| unsafe { c::sshpm_manager_forget_process(this, uuid) })
    }

    pub fn process_state(&self, uuid: &str) -> Result<ProcessState> {
        let mut state = 0;
        // SAFETY: a manager that is ours, a string, and an output that is a local.
        self.of(uuid, |this, uuid| unsafe { c::sshpm_manager_get_process_state(this, uuid, &mut state) })?;
        Ok(match state {
            c::SSHPM_STATE_CONNECTING => ProcessState::Connecting,
            c::SSHPM_STATE_STARTING => ProcessState::Starting,
            c::SSHPM_STATE_RUNNING => ProcessState::Running,
            c::SSHPM_STATE_ENDING => ProcessState::Ending,
            c::SSHPM_STATE_LINK_LOST => ProcessState::LinkLost,
            c::SSHPM_STATE_ENDED => ProcessState::Ended,
            c::SSHPM_STATE_FAILED => ProcessState::Failed,
            c::SSHPM_STATE_RESTARTING => ProcessState::Restarting,
            other => panic!("no state: {other}"),
        })
    }

    pub fn is_process_alive(&self, uuid: &str) -> bool {
        let mut alive = false;
        // SAFETY: a manager that is ours, a string, and an output that is a local.
        self.of(uuid, |this, uuid| unsafe { c::sshpm_manager_is_process_alive(this, uuid, &mut alive) }).unwrap();
        alive
    }

    pub fn is_ready(&self, uuid: &str) -> bool {
        let mut ready = false;
        // SAFETY: a manager that is ours, a string, and an output that is a local.
        self.of(uuid, |this, uuid| unsafe { c::sshpm_manager_is_ready(this, uuid, &mut ready) }).unwrap();
        ready
    }

    pub fn is_monitoring_remotely(&self, uuid: &str) -> bool {
        let mut answer = false;
        // SAFETY: a manager that is ours, a string, and an output that is a local.
        self.of(uuid, |this, uuid| unsafe { c::sshpm_manager_is_monitoring_remotely(this, uuid, &mut answer) })
            .unwrap();
        answer
    }

    pub fn active_process_keys(&self) -> Vec<String> {
        // SAFETY: a manager that is ours, and an output that is a local.
        strings(|out| unsafe { c::sshpm_manager_get_active_process_keys(self.get(), out) }).unwrap()
    }

    pub fn remote_pid(&self, uuid: &str) -> Result<i64> {
        let mut pid = -1;
        // SAFETY: a manager that is ours, a string, and an output that is a local.
        self.of(uuid, |this, uuid| unsafe { c::sshpm_manager_get_remote_pid(this, uuid, &mut pid) })?;
        Ok(pid)
    }

    pub fn runtime_pids(&self, uuid: &str) -> RuntimePids {
        let [mut client, mut remote, mut remote_monitoring, mut client_monitoring] = [0; 4];
        self.of(uuid, |this, uuid| {
            let outputs = (&mut client, &mut remote, &mut remote_monitoring, &mut client_monitoring);
            // SAFETY: a manager that is ours, a string, and outputs that are locals.
            unsafe { c::sshpm_manager_get_runtime_pids(this, uuid, outputs.0, outputs.1, outputs.2, outputs.3) }
        })
        .unwrap();
        let known = |pid: i64| (pid != -1).then_some(pid);
        RuntimePids {
            ssh_client: known(client),
            remote: known(remote),
            remote_monitoring: known(remote_monitoring),
            client_monitoring: known(client_monitoring),
        }
    }

    pub fn process_stdout(&self, uuid: &str) -> Result<Output> {
        let uuid = text("uuid", uuid)?;
        // SAFETY: a manager that is ours, a string, and an output that is a local.
        output(bytes(|out| unsafe { c::sshpm_manager_get_process_stdout(self.get(), uuid.as_ptr(), out) }))
    }

    pub fn process_stderr(&self, uuid: &str) -> Result<Output> {
        let uuid = text("uuid", uuid)?;
        // SAFETY: a manager that is ours, a string, and an output that is a local.
        output(bytes(|out| unsafe { c::sshpm_manager_get_process_stderr(self.get(), uuid.as_ptr(), out) }))
    }

    pub fn exit_status(&self, uuid: &str) -> Option<Result<ExitStatus>> {
        let mut status = ptr::null_mut();
        // SAFETY: a manager that is ours, a string, and an output that is a local.
        let asked = self.of(uuid, |this, uuid| unsafe { c::sshpm_manager_get_exit_status(this, uuid, &mut status) });
        asked.map(|()| ExitStatus::taken(status)).transpose()
    }

    pub fn pop_early_exit_status(&self, uuid: &str) -> Option<Result<ExitStatus>> {
        let mut status = ptr::null_mut();
        let asked = self.of(uuid, |this, uuid| {
            // SAFETY: a manager that is ours, a string, and an output that is a local.
            unsafe { c::sshpm_manager_pop_early_exit_status(this, uuid, &mut status) }
        });
        asked.map(|()| ExitStatus::taken(status)).transpose()
    }

    pub fn wait_until_started(&self, uuid: &str, timeout: Duration) -> Result<i64> {
        let mut pid = -1;
        self.of(uuid, |this, uuid| {
            // SAFETY: a manager that is ours, a string, and an output that is a local.
            unsafe { c::sshpm_manager_wait_until_started(this, uuid, seconds(timeout), &mut pid) }
        })?;
        Ok(pid)
    }

    pub fn wait_until_ready(&self, uuid: &str, timeout: Duration) -> Result<()> {
        self.of(uuid, |this, uuid| {
            // SAFETY: a manager that is ours, and a string.
            unsafe { c::sshpm_manager_wait_until_ready(this, uuid, seconds(timeout)) }
        })
    }

    pub fn wait_for_process_exit_code(&self, uuid: &str, timeout: Duration) -> Result<Option<i32>> {
        let (mut code, mut has_code) = (0, true);
        self.of(uuid, |this, uuid| {
            // SAFETY: a manager that is ours, a string, and an output that is a local.
            match unsafe { c::sshpm_manager_wait_for_process_exit_code(this, uuid, seconds(timeout), &mut code) } {
                // Rust has no error for this.
                c::SSHPM_ERROR_NO_EXIT_CODE => {
                    has_code = false;
                    c::SSHPM_OK
                }
                other => other,
            }
        })?;
        Ok(has_code.then_some(code))
    }

    pub fn subscribe(&self) -> Result<Subscription> {
        // SAFETY: a manager that is ours, and an output that is a local.
        Owned::given(c::sshpm_subscription_free, |out| unsafe { c::sshpm_manager_subscribe(self.get(), out) })
            .map(Subscription)
    }

    pub fn subscribe_output(&self, uuid: &str) -> Result<OutputSubscription> {
        let uuid = text("uuid", uuid)?;
        let subscription = Owned::given(c::sshpm_output_subscription_free, |out| {
            // SAFETY: a manager that is ours, a string, and an output that is a local.
            unsafe { c::sshpm_manager_subscribe_output(self.get(), uuid.as_ptr(), out) }
        });
        subscription.map(OutputSubscription)
    }

    pub fn on_process_exit<F>(&self, callback: F) -> Result<CallbackId>
    where
        F: Fn(&str, u64, std::result::Result<&ExitStatus, &Error>) + Send + Sync + 'static,
    {
        let callback: Callback = Box::new(callback);
        let (data, mut id) = (Box::into_raw(Box::new(callback)).cast(), 0);
        // SAFETY: a manager that is ours, functions for these user data, and an output that is a local.
        let code =
            unsafe { c::sshpm_manager_on_process_exit(self.get(), Some(called), data, Some(finalized), &mut id) };
        if code != c::SSHPM_OK {
            // SAFETY: the callback was not registered, so the user data are still ours.
            unsafe { finalized(data) };
        }
        check(code).map(|()| CallbackId(id))
    }

    pub fn remove_callback(&self, id: CallbackId) {
        // SAFETY: a manager that is ours.
        check(unsafe { c::sshpm_manager_remove_callback(self.get(), id.0) }).unwrap();
    }
}

/// Reads the results of a kill.
///
/// # Safety
/// The pointer is to results that live during the call.
pub(crate) unsafe fn kill_results(results: *const c::sshpm_kill_results) -> KillResults {
    // SAFETY: the caller's promise, and what they lend is copied.
    let result = |at| unsafe {
        let uuid = copied(c::sshpm_kill_results_get_uuid(results, at)).unwrap();
        let message = copied(c::sshpm_kill_results_get_message(results, at)).unwrap();
        let status = c::sshpm_kill_results_get_status(results, at);
        let code = c::sshpm_kill_results_get_result(results, at);
        assert_eq!(status.is_null(), code != c::SSHPM_OK);
        let end = if status.is_null() { Err(error(code, &message)) } else { Ok(ExitStatus::read(status)) };
        assert!(end.as_ref().map_or(true, |status| status.to_string() == message));
        (uuid, end)
    };
    // SAFETY: as above.
    (0..unsafe { c::sshpm_kill_results_count(results) }).map(result).collect()
}

fn output(read: Result<(Vec<u8>, u64)>) -> Result<Output> {
    read.map(|(bytes, dropped)| Output { bytes, dropped })
}

fn texts_and_times<U: AsRef<str>>(uuids: &[U], timeouts: &KillTimeouts) -> Result<(Vec<CString>, Vec<f64>)> {
    let texts = uuids.iter().map(|uuid| text("uuids", uuid.as_ref())).collect::<Result<Vec<_>>>()?;
    Ok((texts, uuids.iter().map(|uuid| timeouts.of(uuid.as_ref())).collect()))
}
