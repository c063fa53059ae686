//! Boots a session, stage by stage, on the thread of the caller.

use std::any::Any;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::local::sys;
use crate::manager::Manager;
use crate::model::callback_thread::refuse_inside_callback;
use crate::model::error::{Error, Result};
use crate::model::request::BootRequest;
use crate::session::plan::{OnFailure, Session};
use crate::session::results::{BootState, SessionOutcome, SessionProgress, SessionResults};
use crate::session::verdict::{self, Member, Standing, Verdict};
use crate::watch::kill::{KillResults, KillTimeouts};
use crate::watch::process::{Announcement, Observation, Process};
use crate::watch::readiness::Readiness;

/// How often the progress callback is called while nothing changes, so that it can cancel.
const HEARTBEAT: Duration = Duration::from_secs(1);

impl Manager {
    /// Boots a session in stages, and returns how far each process came. The processes of a stage start at the same
    /// time; [`Session::order`] says which stage has which roles. The next stage begins when every
    /// [critical](crate::BootRequest::critical) process of the stages before it is ready, or the
    /// [minimum](Session::minimum) of its role. A process that was not asked to be [ready](crate::BootRequest::ready)
    /// counts as ready when it runs. A critical process that is not ready in time, fails or ends meanwhile, in this
    /// stage or an earlier one, fails its stage: [`Session::on_failure`] says what follows. A process that has ended or
    /// failed counts as that, also if its [restart policy](crate::BootRequest::restart) starts it again. After the
    /// boot, the processes are like those of [`start_process`](Manager::start_process).
    ///
    /// When a boot does not become complete, nothing of it starts after this call has returned: starts that are not
    /// done are cancelled, as [`kill_process`](Manager::kill_process) does. Only [`OnFailure::Continue`] leaves them,
    /// unless the boot was cancelled, ran out of time or found the manager shut down.
    ///
    /// Another thread may kill, forget and start processes of the session meanwhile, and may shut down or detach the
    /// manager. The boot takes that as it finds it: a critical process that was killed has ended, a uuid that was taken
    /// has failed, and a manager that was shut down starts nothing more.
    ///
    /// `progress` is called on the calling thread: when a stage begins, after each change of a process, and once in
    /// each second without one. It cancels the boot by returning false. It may make any call, also one that blocks; the
    /// boot waits for it, and its time runs on. When it panics, the boot is cancelled, and the panic goes on then.
    ///
    /// Blocks, at most for the [timeout](Session::timeout) and the time that `progress` takes. If the boot does not
    /// become complete, it also blocks for what it ends: at most as long as
    /// [`kill_process`](Manager::kill_process) to cancel starts, or as [`kill_processes`](Manager::kill_processes)
    /// to roll back, with 10 s for each step.
    ///
    /// # Errors
    /// [`Error::Invalid`]: the session, or a request for this manager, has a value that is not allowed.
    /// [`Error::UuidInUse`]: the process with one of the uuids has not ended. [`Error::ShutDown`],
    /// [`Error::InsideCallback`]. Nothing was started then. All other errors are in the results of the processes.
    pub fn start_session(
        &self,
        session: &Session,
        mut progress: impl FnMut(&SessionProgress<'_>) -> bool,
    ) -> Result<SessionResults> {
        refuse_inside_callback()?;
        session.check()?;
        for (at, (uuid, request)) in session.processes.iter().enumerate() {
            self.check_start(uuid, request).map_err(|error| error.inside(&format!("processes[{at}]")))?;
        }
        Ok(Boot::new(self, session, &mut progress).run())
    }
}

/// A boot in progress.
struct Boot<'a> {
    manager: &'a Manager,
    session: &'a Session,
    /// The indices of the processes, stage by stage.
    stages: Vec<Vec<usize>>,
    /// In the order of the session.
    processes: Vec<Booted>,
    changed: Sender<()>,
    changes: Receiver<()>,
    /// `None`: never.
    deadline: Option<Instant>,
    progress: Callback<'a>,
    /// The first failure of a stage.
    failure: Option<SessionOutcome>,
}

/// One process of a session.
struct Booted {
    /// Once its start was begun.
    begun: Option<(Arc<Process>, Observation)>,
    /// As it was last reported.
    state: BootState,
}

impl Booted {
    /// Looks at the process. Returns whether it has changed.
    fn look(&mut self) -> bool {
        let Some((process, _)) = &self.begun else { return false };
        if self.state.is_over() {
            return false;
        }
        // The outcome first: a process that runs and ends between the two queries has ended.
        let now = match process.outcome_after(Announcement::Queued) {
            Some(Ok(status)) => BootState::Ended(status),
            Some(Err(error)) => BootState::Failed(error),
            None => running_state(process),
        };
        let before = mem::replace(&mut self.state, now);
        mem::discriminant(&before) != mem::discriminant(&self.state)
    }

    /// Returns what its stage can expect of it.
    fn standing(&self, request: &BootRequest) -> Standing {
        match self.state {
            BootState::Ready => Standing::Good,
            BootState::Started if request.ready.is_none() => Standing::Good,
            BootState::Started | BootState::Starting | BootState::NotStarted => Standing::Pending,
            BootState::NotReady(_) | BootState::Failed(_) | BootState::Ended(_) => Standing::Broken,
        }
    }
}

/// Returns the state of a process that has not ended.
fn running_state(process: &Process) -> BootState {
    match (process.not_ready_reason(), process.readiness()) {
        (Some(reason), _) => BootState::NotReady(reason),
        (None, Readiness::Ready) => BootState::Ready,
        (None, _) if process.has_run() => BootState::Started,
        (None, _) => BootState::Starting,
    }
}

/// The progress callback of the caller.
struct Callback<'a> {
    call: &'a mut dyn FnMut(&SessionProgress<'_>) -> bool,
    /// What it panicked with.
    panic: Option<Box<dyn Any + Send>>,
}

impl Callback<'_> {
    /// Returns whether the boot goes on.
    fn report(&mut self, progress: &SessionProgress<'_>) -> bool {
        // The boot must cancel its starts before the panic goes on.
        match panic::catch_unwind(AssertUnwindSafe(|| (self.call)(progress))) {
            Ok(goes_on) => goes_on,
            Err(payload) => {
                self.panic = Some(payload);
                false
            }
        }
    }
}

impl<'a> Boot<'a> {
    fn new(
        manager: &'a Manager,
        session: &'a Session,
        progress: &'a mut dyn FnMut(&SessionProgress<'_>) -> bool,
    ) -> Boot<'a> {
        let (changed, changes) = bounded(1);
        let not_started = || Booted { begun: None, state: BootState::NotStarted };
        Boot {
            manager,
            session,
            stages: session.stages(&manager.shared.options().shutdown_order),
            processes: session.processes.iter().map(|_| not_started()).collect(),
            changed,
            changes,
            deadline: sys::deadline(session.timeout),
            progress: Callback { call: progress, panic: None },
            failure: None,
        }
    }

    fn run(mut self) -> SessionResults {
        let stopped = (0..self.stages.len()).find_map(|stage| self.begin(stage).or_else(|| self.complete(stage)));
        let outcome = stopped.or(self.failure.take()).unwrap_or(SessionOutcome::Complete);
        log::info!("{outcome}");
        for process in &mut self.processes {
            process.look();
        }
        let ended = self.take_back(&outcome);
        if let Some(payload) = self.progress.panic {
            panic::resume_unwind(payload);
        }
        let uuids = self.session.processes.iter().map(|(uuid, _)| uuid.clone());
        let state = |process: Booted| {
            if let (true, Some((process, _))) = (process.state.is_over(), &process.begun) {
                process.acknowledge();
            }
            process.state
        };
        let processes = uuids.zip(self.processes.into_iter().map(state)).collect();
        SessionResults { outcome, processes, ended }
    }

    /// Starts the processes of a stage. Returns why the boot stops, if it does.
    fn begin(&mut self, stage: usize) -> Option<SessionOutcome> {
        let number = stage + 1;
        log::info!("booting stage {number} of {}: {} processes", self.stages.len(), self.stages[stage].len());
        if !self.report(number, None) {
            return Some(SessionOutcome::Cancelled { stage: number });
        }
        if self.is_late() {
            return Some(SessionOutcome::TimedOut { stage: number });
        }
        for at in self.stages[stage].clone() {
            let (uuid, request) = &self.session.processes[at];
            match self.manager.start(uuid, request) {
                Ok(process) => {
                    let observation = process.observe(self.changed.clone());
                    self.processes[at] = Booted { begun: Some((process, observation)), state: BootState::Starting };
                }
                Err(Error::ShutDown) => return Some(SessionOutcome::ShutDown { stage: number }),
                Err(error) => {
                    self.processes[at].state = BootState::Failed(error);
                    if !self.report(number, Some(at)) {
                        return Some(SessionOutcome::Cancelled { stage: number });
                    }
                }
            }
        }
        None
    }

    /// Waits until a stage is complete. Returns why the boot stops, if it does.
    fn complete(&mut self, stage: usize) -> Option<SessionOutcome> {
        let number = stage + 1;
        loop {
            if !self.report_changes(number) {
                return Some(SessionOutcome::Cancelled { stage: number });
            }
            let waits = self.judge(stage);
            if !waits && self.failure.is_none() {
                return None;
            }
            // Then this is why processes end.
            if self.manager.is_closed() {
                return Some(SessionOutcome::ShutDown { stage: number });
            }
            if self.failure.is_some() && self.session.on_failure != OnFailure::Continue {
                return self.failure.take();
            }
            if !waits {
                return None;
            }
            if self.is_late() {
                return Some(SessionOutcome::TimedOut { stage: number });
            }
            if !self.wait() && !self.report(number, None) {
                return Some(SessionOutcome::Cancelled { stage: number });
            }
        }
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Waits for a change, for a second, or until the deadline. Returns false when the second has passed.
    fn wait(&self) -> bool {
        let beat = Instant::now() + HEARTBEAT;
        let until = self.deadline.map_or(beat, |deadline| deadline.min(beat));
        self.changes.recv_deadline(until).is_ok() || until < beat
    }

    /// Reports each process that has changed. Returns whether the boot goes on.
    fn report_changes(&mut self, number: usize) -> bool {
        // From the first one again after each report: the callback may have ended a process.
        while let Some(at) = self.processes.iter_mut().position(Booted::look) {
            if !self.report(number, Some(at)) {
                return false;
            }
        }
        true
    }

    /// Calls the progress callback. Returns whether the boot goes on.
    fn report(&mut self, stage: usize, changed: Option<usize>) -> bool {
        let process = changed.map(|at| (self.session.processes[at].0.as_str(), &self.processes[at].state));
        self.progress.report(&SessionProgress { stage, stages: self.stages.len(), process })
    }

    /// Judges this stage and those before it, and notes the first failure. Returns whether the next stage must wait.
    fn judge(&mut self, stage: usize) -> bool {
        let begun: Vec<(usize, usize)> =
            (0..=stage).flat_map(|stage| self.stages[stage].iter().map(move |at| (stage, *at))).collect();
        let member = |(_, at): &(usize, usize)| {
            let request = &self.session.processes[*at].1;
            Member { role: &request.role, critical: request.critical, standing: self.processes[*at].standing(request) }
        };
        let members: Vec<_> = begun.iter().map(member).collect();
        let Verdict { waits, failed } = verdict::judge(&members, &self.session.minimum);
        if let (None, Some(failed)) = (&self.failure, failed) {
            let (stage, at) = begun[failed];
            self.failure =
                Some(SessionOutcome::Failed { stage: stage + 1, uuid: self.session.processes[at].0.clone() });
        }
        waits
    }

    /// Ends what this outcome must not leave: all that the boot has started, or the starts that are not done. Returns
    /// how it ended.
    fn take_back(&mut self, outcome: &SessionOutcome) -> KillResults {
        let timeouts = KillTimeouts::default();
        let begun = |process: &Booted| process.begun.as_ref().map(|(process, _)| Arc::clone(process));
        let ended = match (outcome, self.session.on_failure) {
            (SessionOutcome::Complete, _) | (SessionOutcome::Failed { .. }, OnFailure::Continue) => {
                return KillResults::new();
            }
            (_, OnFailure::RollBack) => {
                self.manager.end_in_order(self.processes.iter().filter_map(begun).collect(), &timeouts, None)
            }
            (_, OnFailure::Stop | OnFailure::Continue) => {
                let starting = self.processes.iter().filter(|process| matches!(process.state, BootState::Starting));
                // A restart by a policy is a start that is not done, too.
                let over = self.processes.iter().filter(|process| process.state.is_over()).filter_map(begun);
                let restarting = over.filter_map(|process| self.manager.stop_restart(&process));
                self.manager.end_together(starting.filter_map(begun).chain(restarting).collect(), &timeouts)
            }
        };
        for (process, (uuid, _)) in self.processes.iter_mut().zip(&self.session.processes) {
            if let (BootState::Starting, Some(end)) = (&process.state, ended.get(uuid)) {
                process.state = match end {
                    Ok(_) => BootState::NotStarted,
                    Err(Error::StillRunning { .. }) => BootState::Starting,
                    Err(error) => BootState::Failed(error.clone()),
                };
            }
        }
        ended
    }
}
