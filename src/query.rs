//! The manager's calls that look at processes, listen to them and wait for them.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::event::{CallbackId, Subscription};
use crate::exit_status::{ExitSource, ExitStatus};
use crate::manager::{Manager, wait};
use crate::output::{Output, OutputSubscription};
use crate::process::{Announcement, RuntimePids};
use crate::state::ProcessState;

impl Manager {
    /// Returns the number of the start that the table has for this uuid, as
    /// [`start_process`](Manager::start_process) or [`adopt_process`](Manager::adopt_process) returned it.
    ///
    /// # Errors
    /// [`Error::UnknownUuid`].
    pub fn start_number(&self, uuid: &str) -> Result<u64> {
        Ok(self.find(uuid)?.start_number)
    }

    /// The state of a process.
    ///
    /// # Errors
    /// [`Error::UnknownUuid`].
    pub fn process_state(&self, uuid: &str) -> Result<ProcessState> {
        Ok(self.find(uuid)?.state().shown())
    }

    /// Whether a process is in Starting, Running or Ending. False for all other states and unknown uuids. Takes a look at
    /// memory, under 1 µs.
    pub fn is_process_alive(&self, uuid: &str) -> bool {
        self.table.read().processes.get(uuid).is_some_and(|process| process.is_alive())
    }

    /// The uuids in the table, those of ended processes too, in the order of their starts.
    pub fn active_process_keys(&self) -> Vec<String> {
        let mut processes: Vec<_> = self.table.read().processes.values().cloned().collect();
        processes.sort_by_key(|process| process.start_number);
        processes.iter().map(|process| process.uuid().to_owned()).collect()
    }

    /// The application's pid on its host; known from Starting on, and kept after the end.
    ///
    /// # Errors
    /// [`Error::UnknownUuid`]; [`Error::NoRemotePid`] while it is not known.
    pub fn remote_pid(&self, uuid: &str) -> Result<i64> {
        let pids = self.find(uuid)?.pids();
        pids.remote.ok_or_else(|| Error::NoRemotePid { uuid: uuid.to_owned() })
    }

    /// What pids are known of a process; none of an unknown uuid.
    pub fn runtime_pids(&self, uuid: &str) -> RuntimePids {
        self.find(uuid).map(|process| process.pids()).unwrap_or_default()
    }

    /// What the application wrote to stdout, if it has no log file: the last part, see
    /// [`Options::output_limit`](crate::Options::output_limit). What start-up files of the login shell write is not in it. `None` for an unknown uuid.
    pub fn process_stdout(&self, uuid: &str) -> Result<Output> {
        Ok(self.find(uuid)?.output.lock().stdout.get())
    }

    /// The same for stderr. What ssh says on a connection that breaks is in it too.
    pub fn process_stderr(&self, uuid: &str) -> Result<Output> {
        Ok(self.find(uuid)?.output.lock().stderr.get())
    }

    /// A live reader of what the application writes from now on, if it has no log file.
    ///
    /// # Errors
    /// [`Error::UnknownUuid`].
    pub fn subscribe_output(&self, uuid: &str) -> Result<OutputSubscription> {
        Ok(self.find(uuid)?.output.lock().subscribe())
    }

    /// Whether the remote side itself watches the process: from its first report until the process or the link ends. False for an
    /// unknown uuid.
    pub fn is_monitoring_remotely(&self, uuid: &str) -> bool {
        self.find(uuid).is_ok_and(|process| process.is_alive() && process.pids().remote_monitoring.is_some())
    }

    /// Returns how a process ended that is still in the table: its status, or why it did not start. `None` while it has
    /// not ended, and for an unknown uuid. The exit callbacks may not have run yet.
    ///
    /// A call that returns an end takes it: the host of a [kept process](Manager#kept-processes) then removes the exit
    /// status and the output, and no other manager can get them. The process stays in this table, and the call can be
    /// repeated. [`process_state`](Manager::process_state) looks without taking the end.
    pub fn exit_status(&self, uuid: &str) -> Option<Result<ExitStatus>> {
        let process = self.find(uuid).ok()?;
        let outcome = process.outcome()?;
        process.acknowledge();
        Some(outcome)
    }

    /// Returns how a process ended that nobody killed, or why it did not start, and takes it from the table: so each end
    /// is returned once, also to many threads. `None` while it has not ended, for an unknown uuid, and for one that was
    /// killed. The exit callbacks may not have run yet. A call that returns an end takes it, as
    /// [`exit_status`](Manager::exit_status) does.
    pub fn pop_early_exit_status(&self, uuid: &str) -> Option<Result<ExitStatus>> {
        let process = self.find(uuid).ok()?;
        let outcome = process.outcome()?;
        let by_itself = |status: &ExitStatus| {
            matches!(status.source(), ExitSource::ClientMonitoring | ExitSource::RemoteMonitoring)
        };
        let early = outcome.as_ref().map_or(true, by_itself);
        (early && self.take_out(&process)).then_some(outcome)
    }

    /// Subscribes to all events from now on.
    ///
    /// # Errors
    /// [`Error::Local`] when this program has no descriptor left.
    pub fn subscribe(&self) -> Result<Subscription> {
        self.shared.hub.subscribe()
    }

    /// Registers a callback that is called once for each start that ends or fails from now on, with the uuid, the start
    /// number, and how the process ended or why its start failed. All callbacks run one after another, on one thread of
    /// the manager, after the event and before the kill returns: see [order of reports](Manager#order-of-reports).
    /// Inside a callback, calls that do not block are allowed; those that block return [`Error::InsideCallback`].
    ///
    /// A callback can run until it is removed or the manager is dropped. A program that leaves `main` or calls
    /// [`exit`](std::process::exit) without one of the two must expect it to run while static destructors and atexit
    /// handlers do. A host program that finalizes an interpreter which callbacks use has to do one of the two first.
    ///
    /// # Errors
    /// [`Error::Local`] when no thread can be started.
    pub fn on_process_exit<F>(&self, callback: F) -> Result<CallbackId>
    where
        F: Fn(&str, u64, std::result::Result<&ExitStatus, &Error>) + Send + Sync + 'static,
    {
        self.shared.hub.register(Arc::new(callback))
    }

    /// Removes a callback. When this returns, the callback is not running and is not called any more. Blocks while the
    /// callback runs; inside the callback itself it returns at once.
    pub fn remove_callback(&self, id: CallbackId) {
        self.shared.hub.unregister(id);
    }

    /// Waits until the application runs, and gives its remote pid; one that has run and ended counts too.
    /// Blocks, at most for the timeout.
    ///
    /// # Errors
    /// Why it did not start; [`Error::TimedOut`], [`Error::NotRunning`] when it was killed before it ran,
    /// [`Error::UnknownUuid`], [`Error::InsideCallback`].
    pub fn wait_until_started(&self, uuid: &str, timeout: Duration) -> Result<i64> {
        let process = self.find_to_wait(uuid)?;
        let over = wait(&process, timeout, || {
            // The end first: a process that runs and ends between the two looks has run.
            let outcome = process.outcome_after(Announcement::Queued);
            match (process.has_run(), outcome) {
                (true, _) => Some(process.pids().remote.ok_or_else(|| Error::NoRemotePid { uuid: uuid.to_owned() })),
                (false, Some(Err(error))) => {
                    process.acknowledge();
                    Some(Err(error))
                }
                (false, Some(Ok(_))) => Some(Err(Error::NotRunning { uuid: uuid.to_owned() })),
                (false, None) => None,
            }
        });
        over.unwrap_or_else(|| Err(Error::TimedOut { what: format!("the start of process {uuid:?}"), waited: timeout }))
    }

    /// Waits until a process has ended, and returns its reported code: `None` where there is none. The process stays in
    /// the table. The exit callbacks may not have run yet. Takes the end, as [`exit_status`](Manager::exit_status) does.
    /// Blocks, at most for the timeout.
    ///
    /// # Errors
    /// Why it did not start; [`Error::Detached`] and [`Error::TakenOver`] of one that is kept and goes on without this
    /// manager; [`Error::TimedOut`], [`Error::UnknownUuid`], [`Error::InsideCallback`].
    pub fn wait_for_process_exit_code(&self, uuid: &str, timeout: Duration) -> Result<Option<i32>> {
        let process = self.find_to_wait(uuid)?;
        match wait(&process, timeout, || process.outcome_after(Announcement::Queued)) {
            Some(outcome) => {
                process.acknowledge();
                outcome.map(|status| status.code())
            }
            None => Err(Error::TimedOut { what: format!("the end of process {uuid:?}"), waited: timeout }),
        }
    }
}
