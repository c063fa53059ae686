//! The manager's calls that send signals to processes and end them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, bounded};

use crate::error::{Error, Result};
use crate::event::refuse_inside_callback;
use crate::exit_status::{ExitSource, ExitStatus};
use crate::kill::{Kill, KillResults, KillTimeouts};
use crate::manager::{Manager, wait_for_callbacks};
use crate::options::KillScope;
use crate::process::Process;
use crate::role::Role;
use crate::signal::Signal;
use crate::state::{Input, State};

/// How long a signal's answer may take.
const SIGNAL_TIMEOUT: Duration = Duration::from_secs(10);

impl Manager {
    /// Sends a signal to the application alone, and waits for the remote side's word that it was sent. Blocks, at most
    /// 10 s; inside a callback it does not wait. It changes nothing else: if it ends the process, that looks as if somebody else had sent it.
    ///
    /// # Errors
    /// [`Error::NotRunning`], [`Error::SignalRefused`], [`Error::LinkDown`], [`Error::TimedOut`], [`Error::UnknownUuid`],
    /// [`Error::InsideCallback`].
    pub fn send_signal(&self, uuid: &str, signal: Signal) -> Result<()> {
        let process = self.find(uuid)?;
        let answer = process.signal(signal, KillScope::Leader, false)?;
        if refuse_inside_callback().is_err() {
            return Ok(());
        }
        match answer.recv_timeout(SIGNAL_TIMEOUT) {
            Ok(true) => Ok(()),
            // An application can end of it before the answer is sent: then its end is the answer.
            Err(RecvTimeoutError::Disconnected) => match process.outcome() {
                Some(Ok(status)) if !status.link_lost() => Ok(()),
                _ => Err(Error::LinkDown { uuid: uuid.to_owned() }),
            },
            Ok(false) => Err(Error::SignalRefused { uuid: uuid.to_owned(), signal: signal.to_string() }),
            Err(RecvTimeoutError::Timeout) => {
                Err(Error::TimedOut { what: format!("an answer from process {uuid:?}"), waited: SIGNAL_TIMEOUT })
            }
        }
    }

    /// Ends a process: by default QUIT to the application, and after the timeout KILL to its group and another wait.
    /// Waits for the exit callbacks, takes the process from the table and returns how it ended, also if it had ended
    /// before. A start that has no remote pid yet is taken back: what has begun on the host ends by HUP, after its grace
    /// by KILL. An application that has only just been executed may not have its signal handlers yet: then the signal
    /// ends it. Blocks, at most for the timeouts of all steps.
    ///
    /// # Errors
    /// [`Error::StillRunning`]: it stays in the table and can be killed again; why it did not start, if the start had
    /// failed by itself;
    /// [`Error::UnknownUuid`], [`Error::InsideCallback`].
    pub fn kill_process(&self, uuid: &str, timeout: Duration) -> Result<ExitStatus> {
        let process = self.find_to_wait(uuid)?;
        let mut results = self.kill_together(vec![(process, timeout)], None);
        results.remove(uuid).unwrap_or_else(|| Err(Error::UnknownUuid { uuid: uuid.to_owned() }))
    }

    /// Ends processes, role by role in the shutdown order; those of one role at the same time. A role that does not end
    /// in its time does not hold the next one. Blocks, at most for the timeouts of all roles.
    ///
    /// # Errors
    /// [`Error::InsideCallback`]; all else is in the answer for each process.
    pub fn kill_processes<U: AsRef<str>>(&self, uuids: &[U], timeouts: &KillTimeouts) -> Result<KillResults> {
        refuse_inside_callback()?;
        Ok(self.kill_in_order(uuids, timeouts, None))
    }

    /// Ends those of the candidates that have this role, at the same time. The answer has only them, and those that are
    /// unknown. Blocks, at most for the longest timeout of all steps.
    ///
    /// # Errors
    /// [`Error::InsideCallback`]; all else is in the answer for each process.
    pub fn kill_processes_by_role<U: AsRef<str>>(
        &self,
        role: &Role,
        candidates: &[U],
        timeouts: &KillTimeouts,
    ) -> Result<KillResults> {
        refuse_inside_callback()?;
        let (found, mut results) = self.find_all(candidates);
        let of_role = found.into_iter().filter(|process| process.request.role == *role);
        results.extend(self.kill_together(with_timeouts(of_role, timeouts), None));
        Ok(results)
    }

    /// Ends all processes of the table as [`kill_processes`](Manager::kill_processes) does. Their wrappers clean up when all have
    /// ended: [`shutdown`](Manager::shutdown) and dropping wait for that. Blocks.
    ///
    /// # Errors
    /// [`Error::InsideCallback`]; all else is in the answer for each process.
    pub fn kill_all_processes(&self, timeouts: &KillTimeouts) -> Result<KillResults> {
        refuse_inside_callback()?;
        Ok(self.kill_in_order(&self.active_process_keys(), timeouts, None))
    }

    /// Makes a crash: sends a signal to the application alone, by default of the seed KILL. Nothing else is touched, so the table,
    /// the events and the status look as in a real crash. The same as [`send_signal`](Manager::send_signal).
    ///
    /// # Errors
    /// As [`send_signal`](Manager::send_signal).
    pub fn crash_process(&self, uuid: &str, signal: Signal) -> Result<()> {
        self.send_signal(uuid, signal)
    }

    /// Ends a process by signalling its *local* ssh client, with QUIT or KILL; [`kill_process`](Manager::kill_process) is for all other
    /// purposes. The link is lost by that, the remote side ends the application by its link loss policy, and the host
    /// is asked whether it did. The end counts as a manual kill through the ssh client, or as client monitoring, as if
    /// somebody else had done it. Gives how it ended and takes it from the table. Blocks, at most for the timeout.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other signals; [`Error::StillRunning`]: the application is not known to have ended in
    /// time; why it did not start, if it did not; [`Error::NotRunning`]: it waits for its turn to connect and has no
    /// client, unless this is a manual kill; [`Error::UnknownUuid`], [`Error::InsideCallback`].
    pub fn kill_process_without_metadata(
        &self,
        uuid: &str,
        signal: Signal,
        as_manual_kill: bool,
        timeout: Duration,
    ) -> Result<ExitStatus> {
        if ![Signal::QUIT, Signal::KILL].contains(&signal) {
            return Err(Error::invalid("signal", signal.to_string(), "an ssh client is ended by QUIT or KILL"));
        }
        let process = self.find_to_wait(uuid)?;
        let source = match as_manual_kill {
            true => ExitSource::ManualKillThroughSshClient,
            false => ExitSource::ClientMonitoring,
        };
        // A start that has no remote pid yet is cancelled, and counts as that.
        if as_manual_kill && process.state() == State::Connecting {
            process.take(Input::Kill);
            self.shared.pool.wake();
        }
        if process.outcome().is_none() {
            match process.signal_client(signal, source) {
                // The client has ended, and the end of the process is on the way.
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

    /// The processes of these uuids, each once, and the answers for those that are unknown.
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

    pub(crate) fn kill_in_order<U: AsRef<str>>(
        &self,
        uuids: &[U],
        timeouts: &KillTimeouts,
        until: Option<Instant>,
    ) -> KillResults {
        let (mut left, mut results) = self.find_all(uuids);
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

    /// Ends processes at the same time. The calling thread does it for all: it sends, waits for any of them to end or
    /// for the next step's time, and sends again.
    fn kill_together(&self, processes: Vec<(Arc<Process>, Duration)>, until: Option<Instant>) -> KillResults {
        let (sender, changes) = bounded(1);
        let sequence = &self.shared.options().kill_sequence;
        let together = if processes.len() > 1 { &processes[..] } else { &[] };
        let _together: Vec<_> = together.iter().map(|(process, _)| process.end_together()).collect();
        let mut kills = Vec::with_capacity(processes.len());
        for (process, timeout) in processes {
            let observation = process.observe(sender.clone());
            process.take(Input::Kill);
            kills.push((Kill::new(process, timeout, until, sequence), observation));
        }
        drop(sender);
        // A start that waited for its turn is cancelled.
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
                // A message or the time: both are reasons to look again.
                Some(next) => drop(changes.recv_deadline(next)),
                None => drop(changes.recv()),
            }
        }
    }
}

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
