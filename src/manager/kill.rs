//! The manager's calls that send signals to processes and end them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, bounded};

use crate::manager::{Manager, wait_for_callbacks};
use crate::model::callback_thread::refuse_inside_callback;
use crate::model::error::{Error, Result};
use crate::model::exit_status::{ExitSource, ExitStatus};
use crate::model::options::KillScope;
use crate::model::role::Role;
use crate::model::signal::Signal;
use crate::watch::kill::{Kill, KillResults, KillTimeouts};
use crate::watch::process::Process;
use crate::watch::state::{Input, State};

/// How long a host may take to answer whether it sent a signal.
const SIGNAL_TIMEOUT: Duration = Duration::from_secs(10);

impl Manager {
    /// Sends a signal to the application alone, and waits until its host answers that the signal was sent. A signal
    /// changes nothing else: if it ends the process, the exit is reported as if somebody else had sent the signal.
    /// Blocks, at most 10 s. Inside a callback, it sends the signal and does not wait.
    ///
    /// # Errors
    /// [`Error::NotRunning`]: the process has ended, or the application has no pid yet. [`Error::SignalRefused`]: the
    /// host did not send the signal. [`Error::LinkDown`]: there is no link, or it broke before the answer.
    /// [`Error::TimedOut`]: the host did not answer. [`Error::UnknownUuid`].
    pub fn send_signal(&self, uuid: &str, signal: Signal) -> Result<()> {
        let process = self.find(uuid)?;
        let answer = process.signal(signal, KillScope::Leader, false)?;
        if refuse_inside_callback().is_err() {
            return Ok(());
        }
        match answer.recv_timeout(SIGNAL_TIMEOUT) {
            Ok(true) => Ok(()),
            // The signal can end the application before the answer is sent: then the reported exit is the answer, also
            // while its output is still coming.
            Err(RecvTimeoutError::Disconnected) if process.has_exited() => Ok(()),
            Err(RecvTimeoutError::Disconnected) => Err(Error::LinkDown { uuid: uuid.to_owned() }),
            Ok(false) => Err(Error::SignalRefused { uuid: uuid.to_owned(), signal: signal.to_string() }),
            Err(RecvTimeoutError::Timeout) => {
                Err(Error::TimedOut { what: format!("an answer from process {uuid:?}"), waited: SIGNAL_TIMEOUT })
            }
        }
    }

    /// Ends a process by the [kill sequence](crate::Options::kill_sequence), removes it from the table and returns how
    /// it ended. By default, it sends QUIT to the application and, if the process has not ended within the timeout,
    /// KILL to its process group. When the process has ended, it waits for the exit callbacks. A process that had ended
    /// before is removed and its exit returned, too, and a restart that was to follow is cancelled. A start without a
    /// remote pid is cancelled: what has begun on the host gets HUP, and after its grace KILL. An application that was
    /// executed a moment ago may not have its signal handlers yet: then the first signal ends it. Blocks, at most for
    /// the waits of all steps; `timeout` is the wait of each step that has none of its own. By default, there are two
    /// such steps: twice `timeout`.
    ///
    /// # Errors
    /// [`Error::StillRunning`]: the process stays in the table, and can be killed again. [`Error::UnknownUuid`],
    /// [`Error::InsideCallback`]. All other errors say that there is no exit status, and the process has left the
    /// table: why its start had failed by itself, or, for a kept process that goes on without this manager,
    /// [`Error::Detached`] or [`Error::TakenOver`].
    pub fn kill_process(&self, uuid: &str, timeout: Duration) -> Result<ExitStatus> {
        refuse_inside_callback()?;
        let process = self.find_to_end(uuid)?;
        let mut results = self.kill_together(vec![(process, timeout)], None);
        results.remove(uuid).unwrap_or_else(|| Err(Error::UnknownUuid { uuid: uuid.to_owned() }))
    }

    /// Ends processes role by role, in the [shutdown order](crate::Options::shutdown_order), and returns how each
    /// ended. The processes of one role are ended at the same time, each as [`kill_process`](Manager::kill_process)
    /// does it. A role that does not end in its time does not delay the next one. Blocks, at most for the waits of all
    /// steps, for each role.
    ///
    /// # Errors
    /// [`Error::InsideCallback`]. All other errors are in the results of the processes.
    pub fn kill_processes<U: AsRef<str>>(&self, uuids: &[U], timeouts: &KillTimeouts) -> Result<KillResults> {
        refuse_inside_callback()?;
        Ok(self.kill_in_order(uuids, timeouts, None))
    }

    /// Ends those candidates that have this role, at the same time, each as [`kill_process`](Manager::kill_process)
    /// does it, and returns how each ended. The results have these processes, and the error for each candidate that the
    /// table does not have. Blocks, at most for the waits of all steps.
    ///
    /// # Errors
    /// [`Error::InsideCallback`]. All other errors are in the results of the processes.
    pub fn kill_processes_by_role<U: AsRef<str>>(
        &self,
        role: &Role,
        candidates: &[U],
        timeouts: &KillTimeouts,
    ) -> Result<KillResults> {
        refuse_inside_callback()?;
        let (found, mut results) = self.find_all(candidates);
        let of_role = found.into_iter().filter(|process| process.request.role == *role).collect();
        results.extend(self.end_together(of_role, timeouts));
        Ok(results)
    }

    /// Ends all processes of the table, role by role, as [`kill_processes`](Manager::kill_processes) does, and returns
    /// how each ended. The wrappers on the hosts may remove their files after this call has returned;
    /// [`shutdown`](Manager::shutdown) and dropping the manager wait for that. Blocks, at most for the waits of all
    /// steps, for each role.
    ///
    /// # Errors
    /// [`Error::InsideCallback`]. All other errors are in the results of the processes.
    pub fn kill_all_processes(&self, timeouts: &KillTimeouts) -> Result<KillResults> {
        refuse_inside_callback()?;
        Ok(self.kill_in_order(&self.active_process_keys(), timeouts, None))
    }

    /// Simulates a crash: sends a signal to the application alone, as [`send_signal`](Manager::send_signal)
    /// does. The table, the events and the exit status look as after a real crash. Blocks, at most 10 s. Inside a
    /// callback, it sends the signal and does not wait.
    ///
    /// # Errors
    /// Those of [`send_signal`](Manager::send_signal).
    pub fn crash_process(&self, uuid: &str, signal: Signal) -> Result<()> {
        self.send_signal(uuid, signal)
    }

    /// Ends a process by sending QUIT or KILL to its ssh client on this machine, removes it from the table and returns
    /// how it ended. This breaks the link: the host then ends the application by its link loss policy, and the manager
    /// asks the host whether it did. With `as_manual_kill`, the exit counts as a manual kill through the ssh client;
    /// without, it counts as client monitoring, as if somebody else had killed the client. A session without an ssh
    /// client ([`ssh_client_per_process`](crate::Options::ssh_client_per_process)) is closed, which counts as KILL,
    /// also for QUIT. For all other purposes, use [`kill_process`](Manager::kill_process). Blocks, at most for the
    /// timeout.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other signals. [`Error::StillRunning`]: it is not known in time that the application has
    /// ended; the process stays in the table. [`Error::NotRunning`]: the process waits for its turn to connect, has no
    /// session yet, and this is no manual kill. [`Error::UnknownUuid`], [`Error::InsideCallback`]. All other errors say
    /// that there is no exit status, and the process has left the table: why its start failed, or, for a kept process
    /// that goes on without this manager, [`Error::Detached`] or [`Error::TakenOver`].
    pub fn kill_process_without_metadata(
        &self,
        uuid: &str,
        signal: Signal,
        as_manual_kill: bool,
        timeout: Duration,
    ) -> Result<ExitStatus> {
        if ![Signal::QUIT, Signal::KILL].contains(&signal) {
            return Err(Error::invalid("signal", signal.to_string(), "must be QUIT or KILL"));
        }
        let process = self.find_to_wait(uuid)?;
        let source = match as_manual_kill {
            true => ExitSource::ManualKillThroughSshClient,
            false => ExitSource::ClientMonitoring,
        };
        if !as_manual_kill && process.state() == State::Connecting && process.lifeline().is_none() {
            return Err(Error::NotRunning { uuid: uuid.to_owned() });
        }
        let process = self.find_to_end(uuid)?;
        // A start without a remote pid is cancelled, and its exit counts as a manual kill.
        if as_manual_kill && process.state() == State::Connecting {
            process.take(Input::Kill);
            self.shared.pool.wake();
        }
        if process.outcome().is_none() {
            match process.signal_client(signal, source) {
                // The client has ended, and the exit of the process is being found out.
                Err(_) if process.state() != State::Connecting => {}
                sent => sent?,
            }
        }
        match wait_for_callbacks(&process, timeout) {
            Some(outcome) => {
                self.take_out(&process);
                outcome
            }
            None => Err(Error::StillRunning { uuid: uuid.to_owned(), waited: timeout }),
        }
    }

    /// Returns the processes with these uuids, each once, and the results for the uuids that are unknown.
    fn find_all<U: AsRef<str>>(&self, uuids: &[U]) -> (Vec<Arc<Process>>, KillResults) {
        let mut found: BTreeMap<&str, Arc<Process>> = BTreeMap::new();
        let mut unknown = KillResults::new();
        for uuid in uuids.iter().map(AsRef::as_ref) {
            match self.find(uuid) {
                Ok(process) => drop(found.insert(uuid, process)),
                Err(error) => drop(unknown.insert(uuid.to_owned(), Err(error))),
            }
        }
        (found.into_values().collect(), unknown)
    }

    /// Ends processes role by role, in the shutdown order; roles that this order does not name end last, together. At
    /// `until`, every process that still runs gets KILL.
    pub(crate) fn kill_in_order<U: AsRef<str>>(
        &self,
        uuids: &[U],
        timeouts: &KillTimeouts,
        until: Option<Instant>,
    ) -> KillResults {
        let (found, mut results) = self.find_all(uuids);
        results.extend(self.end_in_order(found, timeouts, until));
        results
    }

    /// Lets nothing follow the end of a process. Returns the process, or its next life if that has started.
    fn stopped(&self, process: Arc<Process>) -> Arc<Process> {
        if process.stop() { process } else { self.find_to_end(process.uuid()).unwrap_or(process) }
    }

    /// Ends these processes, as [`kill_in_order`](Manager::kill_in_order) does.
    pub(crate) fn end_in_order(
        &self,
        processes: Vec<Arc<Process>>,
        timeouts: &KillTimeouts,
        until: Option<Instant>,
    ) -> KillResults {
        let mut results = KillResults::new();
        // All at once: a process that ends because another role has ended is not restarted.
        let mut left: Vec<_> = processes.into_iter().map(|process| self.stopped(process)).collect();
        for role in &self.shared.options().shutdown_order {
            let (stage, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(|process| process.request.role == *role);
            left = rest;
            if !stage.is_empty() {
                log::info!("ending role {role} ({} processes)", stage.len());
                results.extend(self.kill_together(with_timeouts(stage, timeouts), until));
            }
        }
        if !left.is_empty() {
            log::info!("ending {} processes of other roles", left.len());
            results.extend(self.kill_together(with_timeouts(left, timeouts), until));
        }
        results
    }

    /// Ends these processes at the same time, whatever their roles. Nothing follows their ends.
    pub(crate) fn end_together(&self, processes: Vec<Arc<Process>>, timeouts: &KillTimeouts) -> KillResults {
        let processes: Vec<_> = processes.into_iter().map(|process| self.stopped(process)).collect();
        self.kill_together(with_timeouts(processes, timeouts), None)
    }

    /// Cancels a restart that is to follow this process. Returns the next life if that has begun, and its program does
    /// not run yet.
    pub(crate) fn stop_restart(&self, process: &Arc<Process>) -> Option<Arc<Process>> {
        if process.stop() {
            return None;
        }
        self.find(process.uuid()).ok().filter(|next| !next.has_run())
    }

    /// Ends processes at the same time. The calling thread does this for all of them: it sends signals, waits until any
    /// process changes or its next step is due, and sends again. Processes that have ended leave the table. At `until`,
    /// every process that still runs gets KILL.
    pub(super) fn kill_together(
        &self,
        processes: Vec<(Arc<Process>, Duration)>,
        until: Option<Instant>,
    ) -> KillResults {
        let (sender, changes) = bounded(1);
        let sequence = &self.shared.options().kill_sequence;
        let together = if processes.len() > 1 { &processes[..] } else { &[] };
        let _together: Vec<_> = together.iter().map(|(process, _)| process.mark_ended_together()).collect();
        let mut kills = Vec::with_capacity(processes.len());
        for (process, timeout) in processes {
            let observation = process.observe(sender.clone());
            process.take(Input::Kill);
            kills.push((Kill::new(process, timeout, until, sequence), observation));
        }
        drop(sender);
        // A start that waits for its turn to connect looks whether it is cancelled.
        self.shared.pool.wake();
        let mut results = KillResults::new();
        loop {
            kills.retain_mut(|(kill, _)| match kill.advance(sequence) {
                None => true,
                Some(outcome) => {
                    if !matches!(outcome, Err(Error::StillRunning { .. })) {
                        self.take_out(kill.process());
                    }
                    results.insert(kill.process().uuid().to_owned(), outcome);
                    false
                }
            });
            if kills.is_empty() {
                return results;
            }
            match kills.iter().filter_map(|(kill, _)| kill.deadline()).min() {
                // It may time out: a change and the time are both reasons to advance.
                Some(next) => drop(changes.recv_deadline(next)),
                None => drop(changes.recv()),
            }
        }
    }
}

/// Adds to each process how long its kill waits after each step.
fn with_timeouts(
    processes: impl IntoIterator<Item = Arc<Process>>,
    timeouts: &KillTimeouts,
) -> Vec<(Arc<Process>, Duration)> {
    let with_timeout = |process: Arc<Process>| {
        let timeout = timeouts.of(process.uuid());
        (process, timeout)
    };
    processes.into_iter().map(with_timeout).collect()
}
