//! The manager's calls that look at processes, listen to them and wait for them.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;

use crate::error::{Error, Result};
use crate::event::{CallbackId, Event, PolledEvents};
use crate::exit_status::{ExitSource, ExitStatus};
use crate::manager::{Manager, wait};
use crate::output::{Output, OutputSubscription};
use crate::process::RuntimePids;
use crate::state::ProcessState;

impl Manager {
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
        self.table.read().get(uuid).is_some_and(|process| process.is_alive())
    }

    /// The uuids in the table, those of ended processes too, in the order of their starts.
    pub fn active_process_keys(&self) -> Vec<String> {
        let mut processes: Vec<_> = self.table.read().values().cloned().collect();
        processes.sort_by_key(|process| process.started_at);
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
    pub fn process_stdout(&self, uuid: &str) -> Option<Output> {
        self.find(uuid).ok().map(|process| process.output.lock().stdout.get())
    }

    /// The same for stderr. What ssh says on a connection that breaks is in it too.
    pub fn process_stderr(&self, uuid: &str) -> Option<Output> {
        self.find(uuid).ok().map(|process| process.output.lock().stderr.get())
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

    /// How a process ended that is still in the table: its status, or why it did not start. `None` while it has not
    /// ended, and for an unknown uuid.
    pub fn exit_status(&self, uuid: &str) -> Option<Result<ExitStatus>> {
        self.find(uuid).ok()?.outcome()
    }

    /// How a process ended that nobody killed, or why it did not start; it leaves the table with that, so each end is
    /// given once, also to many threads. `None` while it has not ended, for an unknown uuid, and for one that was killed.
    pub fn pop_early_exit_status(&self, uuid: &str) -> Option<Result<ExitStatus>> {
        let process = self.find(uuid).ok()?;
        let outcome = process.outcome()?;
        let by_itself = |status: &ExitStatus| {
            matches!(status.source(), ExitSource::ClientMonitoring | ExitSource::RemoteMonitoring)
        };
        let early = outcome.as_ref().map_or(true, by_itself);
        (early && self.remove(&process)).then_some(outcome)
    }

    /// A channel of all events from now on. It is the subscriber's own, and unbounded: one that is slow loses nothing and
    /// delays nobody. Dropping the receiver ends the subscription.
    pub fn subscribe(&self) -> Receiver<Event> {
        self.shared.hub.subscribe()
    }

    /// The same with a descriptor for poll(2) and event loops.
    ///
    /// # Errors
    /// [`Error::Local`] when there is no descriptor to be had.
    pub fn subscribe_polled(&self) -> Result<PolledEvents> {
        self.shared.hub.subscribe_polled()
    }

    /// Has a callback called once for each process that ends or fails to start, from now on: with its uuid, and how it
    /// ended or why it did not start. All callbacks run one after the other, on one thread of the manager. In one, calls that do
    /// not block are allowed; those that block return [`Error::InsideCallback`].
    ///
    /// # Errors
    /// [`Error::Local`] when there is no thread to be had.
    pub fn on_process_exit<F>(&self, callback: F) -> Result<CallbackId>
    where
        F: Fn(&str, std::result::Result<&ExitStatus, &Error>) + Send + Sync + 'static,
    {
        self.shared.hub.register(Arc::new(callback))
    }

    /// Ends a callback. When this returns it does not run and is not called any more; from inside of it, it returns at
    /// once. Blocks while the callback runs.
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
        let over = wait(&process, timeout, || match (process.has_run(), process.told_outcome()) {
            (true, _) => Some(process.pids().remote.ok_or_else(|| Error::NoRemotePid { uuid: uuid.to_owned() })),
            (false, Some(Err(error))) => Some(Err(error)),
            (false, Some(Ok(_))) => Some(Err(Error::NotRunning { uuid: uuid.to_owned() })),
            (false, None) => None,
        });
        over.unwrap_or_else(|| Err(Error::TimedOut { what: format!("the start of process {uuid:?}"), waited: timeout }))
    }

    /// Waits until a process has ended, and gives its reported code: `None` where there is none. The process stays in the
    /// table. Blocks, at most for the timeout.
    ///
    /// # Errors
    /// Why it did not start; [`Error::Detached`] and [`Error::TakenOver`] of one that is kept and goes on without this
    /// manager; [`Error::TimedOut`], [`Error::UnknownUuid`], [`Error::InsideCallback`].
    pub fn wait_for_process_exit_code(&self, uuid: &str, timeout: Duration) -> Result<Option<i32>> {
        let process = self.find_to_wait(uuid)?;
        match wait(&process, timeout, || process.told_outcome()) {
            Some(outcome) => outcome.map(|status| status.code()),
            None => Err(Error::TimedOut { what: format!("the end of process {uuid:?}"), waited: timeout }),
        }
    }
}
