//! The manager's calls that query processes, subscribe to what they report, and wait for them.

use std::sync::Arc;
use std::time::Duration;

use crate::manager::{Manager, wait};
use crate::model::error::{Error, Result};
use crate::model::exit_status::{ExitSource, ExitStatus};
use crate::model::output::{Output, OutputSubscription};
use crate::watch::event::{CallbackId, Subscription};
use crate::watch::process::{Announcement, RuntimePids};
use crate::watch::readiness::Readiness;
use crate::watch::state::ProcessState;
use crate::watch::succession::Succession;
use crate::watch::table::Removal;

impl Manager {
    /// Returns the start number of the process that the table has for this uuid, as
    /// [`start_process`](Manager::start_process) or [`adopt_process`](Manager::adopt_process) returned it. Does not
    /// block.
    ///
    /// # Errors
    /// [`Error::UnknownUuid`].
    pub fn start_number(&self, uuid: &str) -> Result<u64> {
        Ok(self.find(uuid)?.start_number)
    }

    /// Returns the state of a process. Does not block.
    ///
    /// # Errors
    /// [`Error::UnknownUuid`].
    pub fn process_state(&self, uuid: &str) -> Result<ProcessState> {
        Ok(self.find(uuid)?.shown())
    }

    /// Returns whether a process is in the state `Starting`, `Running` or `Ending`, as the manager knows it; false for
    /// an unknown uuid. Does not block, and asks no host: it takes less than 1 µs.
    pub fn is_process_alive(&self, uuid: &str) -> bool {
        self.shared.table.is_alive(uuid)
    }

    /// Returns the uuids of all processes in the table, also of those that have ended, in the order of their starts.
    /// Does not block.
    pub fn active_process_keys(&self) -> Vec<String> {
        let mut processes = self.shared.table.all();
        processes.sort_by_key(|process| process.start_number);
        processes.iter().map(|process| process.uuid().to_owned()).collect()
    }

    /// Returns whether a process is alive and ready, as [`BootRequest::ready`](crate::BootRequest::ready) says; whether
    /// it runs, if the request says nothing. False for an unknown uuid, and true for a kept process whose link is lost,
    /// if it was ready before. Does not block.
    pub fn is_ready(&self, uuid: &str) -> bool {
        self.find(uuid).is_ok_and(|process| {
            let is_ready = match process.readiness() {
                Readiness::Ready => true,
                Readiness::Unasked => process.has_run(),
                _ => false,
            };
            is_ready && !process.state().is_settled()
        })
    }

    /// Returns the application's pid on its host. It is known from the state `Starting` on, also after the end. Does
    /// not block.
    ///
    /// # Errors
    /// [`Error::NoRemotePid`]: the pid is not known yet, or the start failed before there was one.
    /// [`Error::UnknownUuid`].
    pub fn remote_pid(&self, uuid: &str) -> Result<i64> {
        let pids = self.find(uuid)?.pids();
        pids.remote.ok_or_else(|| Error::NoRemotePid { uuid: uuid.to_owned() })
    }

    /// Returns the pids of a process, on its host and on this machine, as far as they are known; no pid for an unknown
    /// uuid. Does not block.
    pub fn runtime_pids(&self, uuid: &str) -> RuntimePids {
        self.find(uuid).map(|process| process.pids()).unwrap_or_default()
    }

    /// Returns a copy of what the application has written to stdout until now: its last part, 1 MiB by default
    /// ([`Options::output_limit`](crate::Options::output_limit)). If the process has a log file, its output is there
    /// instead. What the start-up files of the login shell write is not in it. Does not block.
    ///
    /// # Errors
    /// [`Error::UnknownUuid`].
    pub fn process_stdout(&self, uuid: &str) -> Result<Output> {
        Ok(self.find(uuid)?.output.lock().stdout.get())
    }

    /// Returns a copy of what the application has written to stderr until now: its last part, 1 MiB by default
    /// ([`Options::output_limit`](crate::Options::output_limit)). If the process has a log file, its output is there
    /// instead. What ssh writes about a connection that breaks is in it, too. Does not block.
    ///
    /// # Errors
    /// [`Error::UnknownUuid`].
    pub fn process_stderr(&self, uuid: &str) -> Result<Output> {
        Ok(self.find(uuid)?.output.lock().stderr.get())
    }

    /// Returns a live reader of what the application writes to stdout and stderr from now on. It reads nothing if the
    /// process has a log file. The reader may outlive the manager. Does not block.
    ///
    /// # Errors
    /// [`Error::UnknownUuid`].
    pub fn subscribe_output(&self, uuid: &str) -> Result<OutputSubscription> {
        Ok(self.find(uuid)?.output.lock().subscribe())
    }

    /// Returns whether a wrapper on the host watches the process and has a link to this manager: from the report of the
    /// remote pid until the process ends or the link breaks; false for an unknown uuid. Does not block.
    pub fn is_monitoring_remotely(&self, uuid: &str) -> bool {
        self.find(uuid).is_ok_and(|process| process.is_alive() && process.pids().remote_monitoring.is_some())
    }

    /// Returns how a process ended that is still in the table: its exit status, or why its start failed. `None` while
    /// it has not ended, and for an unknown uuid. The exit callbacks may not have run yet. Does not block.
    ///
    /// When this call has returned an end, the host of a [kept process](Manager#kept-processes) removes the exit status
    /// and the output, and no other manager can get them. The process stays in this manager's table, and the call can
    /// be repeated. To query a process without this effect, call [`process_state`](Manager::process_state).
    pub fn exit_status(&self, uuid: &str) -> Option<Result<ExitStatus>> {
        let process = self.find(uuid).ok()?;
        let outcome = process.outcome()?;
        process.acknowledge();
        Some(outcome)
    }

    /// Returns how a process ended that this manager did not kill, or why its start failed, and removes it from the
    /// table: so each end is returned once, even when many threads call. `None` while the process has not ended, if
    /// this manager killed it, and for an unknown uuid. A process that will be restarted stays in the table. The exit
    /// callbacks may not have run yet. Does not block.
    ///
    /// When this call has returned an end, the host of a [kept process](Manager#kept-processes) removes the exit status
    /// and the output, and no other manager can get them.
    pub fn pop_early_exit_status(&self, uuid: &str) -> Option<Result<ExitStatus>> {
        let process = self.find(uuid).ok()?;
        let outcome = process.outcome()?;
        let by_itself = |status: &ExitStatus| {
            matches!(status.source(), ExitSource::ClientMonitoring | ExitSource::RemoteMonitoring)
        };
        let early = outcome.as_ref().map_or(true, by_itself);
        if !early {
            return None;
        }
        let is_there = match self.shared.table.remove(&process) {
            Removal::Removed | Removal::WillBeRestarted => true,
            // Another call has taken this end, unless the next life has just begun.
            Removal::Absent => process.succession() == Succession::Succeeded,
        };
        if !is_there || !process.pop_end() {
            return None;
        }
        process.acknowledge();
        Some(outcome)
    }

    /// Returns a queue that gets all events from now on. The subscription ends when it is dropped, and may outlive the
    /// manager. Does not block.
    ///
    /// # Errors
    /// [`Error::Local`] when this program has no file descriptor left.
    pub fn subscribe(&self) -> Result<Subscription> {
        self.shared.hub.subscribe()
    }

    /// Registers a callback, and returns what [`remove_callback`](Manager::remove_callback) takes. The manager calls it
    /// once for each start that ends or fails from now on, with the uuid, the start number, and how the process ended
    /// or why its start failed, but not for a kept process that goes on without this manager. All callbacks run one
    /// after another, on one thread of the manager, after the event and before the kill returns: see
    /// [order of reports](Manager#order-of-reports). Inside a callback, calls that do not block are allowed; calls that
    /// block return [`Error::InsideCallback`]. Does not block.
    ///
    /// A callback can run until it is removed or the manager is dropped. A program that leaves `main` or calls
    /// [`exit`](std::process::exit) without one of the two must expect the callback to run at the same time as static
    /// destructors and atexit handlers. A program whose callbacks use an interpreter must do one of the two before it
    /// finalizes the interpreter.
    ///
    /// # Errors
    /// [`Error::Local`] when no thread can be started.
    pub fn on_process_exit<F>(&self, callback: F) -> Result<CallbackId>
    where
        F: Fn(&str, u64, std::result::Result<&ExitStatus, &Error>) + Send + Sync + 'static,
    {
        self.shared.hub.register(Arc::new(callback))
    }

    /// Removes a callback. When this call returns, the callback is not running, and the manager does not call it any
    /// more. Blocks while the callback runs, without a limit. A callback of this manager may make this call, also to
    /// remove itself: then it returns at once.
    pub fn remove_callback(&self, id: CallbackId) {
        self.shared.hub.unregister(id);
    }

    /// Waits until the application runs, and returns its pid on its host. An application that has run and ended counts
    /// as well. Blocks, at most for the timeout.
    ///
    /// # Errors
    /// [`Error::TimedOut`]: the start goes on, within its own [`start_timeout`](crate::BootRequest::start_timeout).
    /// [`Error::NotRunning`]: the process was killed before the application ran. [`Error::UnknownUuid`],
    /// [`Error::InsideCallback`]. All other errors say why the start failed, or, for a kept process whose link was lost
    /// during its start, that it goes on without this manager.
    pub fn wait_until_started(&self, uuid: &str, timeout: Duration) -> Result<i64> {
        let process = self.find_to_wait(uuid)?;
        let over = wait(&process, timeout, || {
            // The outcome first: a process that runs and ends between the two queries has run.
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

    /// Waits until a process is ready, as [`BootRequest::ready`](crate::BootRequest::ready) says; until its application
    /// runs, if the request says nothing. A process that was ready and has ended counts as well. Blocks, at most for
    /// the timeout.
    ///
    /// # Errors
    /// [`Error::NotReady`]: the process runs, and does not count as ready. [`Error::TimedOut`]: it may still become
    /// ready, within its own [`ready_timeout`](crate::BootRequest::ready_timeout). [`Error::NotRunning`]: it ended
    /// before it was ready; [`exit_status`](Manager::exit_status) says how. [`Error::UnknownUuid`],
    /// [`Error::InsideCallback`]. All other errors say why the start failed, or, for a kept process, that it goes on
    /// without this manager.
    pub fn wait_until_ready(&self, uuid: &str, timeout: Duration) -> Result<()> {
        let process = self.find_to_wait(uuid)?;
        let over = wait(&process, timeout, || {
            // The outcome first: a process that is ready and ends between the two queries was ready.
            let outcome = process.outcome_after(Announcement::Queued);
            match (process.readiness(), outcome) {
                (Readiness::Ready, _) => Some(Ok(())),
                (Readiness::Unasked, _) if process.has_run() => Some(Ok(())),
                (_, Some(Err(error))) => {
                    process.acknowledge();
                    Some(Err(error))
                }
                (_, Some(Ok(_))) => Some(Err(Error::NotRunning { uuid: uuid.to_owned() })),
                (_, None) => {
                    let not_ready = |reason| Err(Error::NotReady { uuid: uuid.to_owned(), reason });
                    process.not_ready_reason().map(not_ready)
                }
            }
        });
        over.unwrap_or_else(|| Err(Error::TimedOut { what: format!("process {uuid:?} to be ready"), waited: timeout }))
    }

    /// Waits until a process has ended, and returns its reported exit code ([`ExitStatus::code`]): `None` if it has
    /// none. The process stays in the table. The exit callbacks may not have run yet. Blocks, at most for the timeout.
    ///
    /// When this call has returned an end, the host of a [kept process](Manager#kept-processes) removes the exit status
    /// and the output, and no other manager can get them.
    ///
    /// # Errors
    /// [`Error::TimedOut`], [`Error::UnknownUuid`], [`Error::InsideCallback`]. All other errors say why the start
    /// failed, or, for a kept process that goes on without this manager, [`Error::Detached`] or [`Error::TakenOver`].
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
