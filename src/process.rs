//! One process, as its watcher and its callers share it.
//!
//! Lock order: a process's `record` and `output` are leaf locks: nothing else is locked, sent or written under them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use crate::client::Lifeline;
use crate::error::{Error, Result};
use crate::exit_status::{ExitSource, ExitStatus};
use crate::launcher::{Launcher, Target};
use crate::options::{KillScope, KillStep};
use crate::output::OutputTails;
use crate::request::{BootRequest, LinkLossPolicy};
use crate::signal::Signal;
use crate::state::{Action, Input, ProcessState, State, decide};
use crate::wrapper::Instance;

/// The pids of one process; each is missing while it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RuntimePids {
    /// The ssh client, or that of another launcher, on this machine; missing when it has ended.
    pub ssh_client: Option<i64>,
    /// The application, on its host.
    pub remote: Option<i64>,
    /// The wrapper that watches the application on its host.
    pub remote_monitoring: Option<i64>,
    /// The thread that watches the ssh client, on this machine, as ps and top show it.
    pub client_monitoring: Option<i64>,
}

/// Whom a step of a kill was sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reached {
    /// There was no link.
    Nobody,
    /// The shell that runs the setup lines, and its children.
    Setup,
    /// The application, or by KILL whatever there is.
    Application,
}

/// How many commands can wait for their answers.
const MOST_ANSWERS: usize = 256;

/// How a settled process ended.
pub(crate) type Outcome = std::result::Result<ExitStatus, Error>;

/// One process, as its watcher and its callers share it.
pub(crate) struct Process {
    pub instance: Instance,
    pub request: BootRequest,
    pub launcher: Launcher,
    /// When `start_process` was called: the order of the table.
    pub started_at: Instant,
    /// A copy of the record's state, so that asking for it takes no lock.
    state: AtomicU8,
    record: Mutex<Record>,
    pub output: Mutex<OutputTails>,
    /// The watcher works on it.
    watched: AtomicBool,
    /// The manager has let go: a lost process is not asked after any more.
    released: AtomicBool,
    /// How many calls end it together with others.
    ended_together: AtomicUsize,
}

struct Record {
    state: State,
    pids: RuntimePids,
    lifeline: Option<Arc<Lifeline>>,
    inquiry: Option<Arc<Lifeline>>,
    outcome: Option<Outcome>,
    /// The event of the end was sent.
    told: bool,
    /// The program was executed.
    ran: bool,
    next_command: u64,
    /// Who waits for the answers to commands.
    answers: Vec<(u64, Sender<bool>)>,
    /// Whom to tell of every change.
    observers: Vec<(u64, Sender<()>)>,
    next_observer: u64,
    /// By whose hand the ssh client ends, when it was signalled on purpose.
    client_killed_as: Option<ExitSource>,
}

/// Ends an observation when dropped.
pub(crate) struct Observation {
    process: Arc<Process>,
    id: u64,
}

impl Drop for Observation {
    fn drop(&mut self) {
        self.process.record.lock().observers.retain(|(id, _)| *id != self.id);
    }
}

/// Says that a process is ended together with others, until it is dropped.
pub(crate) struct EndsTogether(Arc<Process>);

impl Drop for EndsTogether {
    fn drop(&mut self) {
        self.0.ended_together.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Process {
    /// One that is to be started.
    pub(crate) fn new(instance: Instance, request: BootRequest, launcher: Launcher) -> Process {
        Process::in_state(State::Connecting, instance, request, launcher)
    }

    /// One that runs, or has ended, on its host, and has no link yet.
    pub(crate) fn adopted(instance: Instance, request: BootRequest, launcher: Launcher, pid: i64) -> Process {
        let process = Process::in_state(State::LinkLost, instance, request, launcher);
        process.set_run();
        process.set_pids(|pids| pids.remote = Some(pid));
        process
    }

    fn in_state(state: State, instance: Instance, request: BootRequest, launcher: Launcher) -> Process {
        Process {
            instance,
            request,
            launcher,
            started_at: Instant::now(),
            state: AtomicU8::new(state as u8),
            record: Mutex::new(Record {
                state,
                pids: RuntimePids::default(),
                lifeline: None,
                inquiry: None,
                outcome: None,
                told: false,
                ran: false,
                next_command: 0,
                answers: Vec::new(),
                observers: Vec::new(),
                next_observer: 0,
                client_killed_as: None,
            }),
            output: Mutex::new(OutputTails::new()),
            watched: AtomicBool::new(true),
            released: AtomicBool::new(false),
            ended_together: AtomicUsize::new(0),
        }
    }

    pub(crate) fn uuid(&self) -> &str {
        &self.instance.uuid
    }

    /// Where it runs.
    pub(crate) fn target(&self) -> Target<'_> {
        let BootRequest { host, user, .. } = &self.request;
        Target { launcher: &self.launcher, host, user: user.as_deref(), uuid: Some(self.uuid()) }
    }

    pub(crate) fn state(&self) -> State {
        State::ALL[usize::from(self.state.load(Ordering::Acquire))]
    }

    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.state().shown(), ProcessState::Starting | ProcessState::Running | ProcessState::Ending)
    }

    /// Whether its watcher still works on it.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Acquire)
    }

    /// The manager lets go of it.
    pub(crate) fn release(&self) {
        self.released.store(true, Ordering::Release);
        if self.is_kept() {
            if self.settle(Input::Detach, |_| Err(Error::Detached { uuid: self.uuid().to_owned() })) {
                // The end of input alone: a good-bye would be for what has ended.
                if let Some(lifeline) = self.lifeline() {
                    lifeline.cut();
                }
                self.told();
            } else {
                self.take(Input::Detach);
            }
        } else {
            self.take(Input::Release);
        }
        let inquiry = self.record.lock().inquiry.take();
        if let Some(inquiry) = inquiry {
            inquiry.kill_client();
        }
    }

    /// The lifeline of the client that asks after the process, which a release ends.
    pub(crate) fn set_inquiry(&self, lifeline: &Arc<Lifeline>) {
        self.record.lock().inquiry = Some(Arc::clone(lifeline));
        // A release that came before could not find it.
        if self.is_released() {
            lifeline.kill_client();
        }
    }

    /// Whether it goes on when its link or its manager is gone.
    pub(crate) fn is_kept(&self) -> bool {
        self.request.link_loss == LinkLossPolicy::Keep
    }

    /// Notes that the program was executed; true when that was not known.
    pub(crate) fn set_run(&self) -> bool {
        !std::mem::replace(&mut self.record.lock().ran, true)
    }

    pub(crate) fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }

    pub(crate) fn pids(&self) -> RuntimePids {
        self.record.lock().pids
    }

    pub(crate) fn set_pids(&self, set: impl FnOnce(&mut RuntimePids)) {
        set(&mut self.record.lock().pids);
    }

    pub(crate) fn has_run(&self) -> bool {
        self.record.lock().ran
    }

    /// How it ended, once it is settled.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.record.lock().outcome.clone()
    }

    /// The same, once its event was sent.
    pub(crate) fn told_outcome(&self) -> Option<Outcome> {
        let record = self.record.lock();
        record.outcome.clone().filter(|_| record.told)
    }

    pub(crate) fn lifeline(&self) -> Option<Arc<Lifeline>> {
        self.record.lock().lifeline.clone()
    }

    pub(crate) fn set_lifeline(&self, lifeline: Option<Arc<Lifeline>>) {
        self.record.lock().lifeline = lifeline;
    }

    /// Takes an input that does not settle the process by itself from this caller. Closing and killing is done here;
    /// what is to be told is returned, because only the watcher tells, so that events come in order.
    ///
    /// Gives the state that it was in, too.
    pub(crate) fn take(&self, input: Input) -> (State, &'static [Action]) {
        let (before, actions, lifeline, has_begun) = {
            let mut record = self.record.lock();
            let before = record.state;
            let (next, actions) = decide(before, input);
            if !next.is_settled() {
                self.enter(&mut record, next);
            }
            if next == State::LinkLost {
                // Nobody answers any more.
                record.answers.clear();
            }
            if actions.contains(&Action::TellStarted) {
                record.ran = true;
            }
            (before, actions, record.lifeline.clone(), record.pids.remote_monitoring.is_some())
        };
        if let Some(lifeline) = lifeline {
            for action in actions {
                match action {
                    Action::CloseLifeline => lifeline.close(),
                    // The wrapper ends by the end of its input. Before it has begun it starts nothing without our word.
                    Action::KillClient if has_begun && self.launcher.hands_kill_on() => {}
                    Action::KillClient => lifeline.kill_client(),
                    Action::TellStarted | Action::TellLost | Action::TellRestored => {}
                }
            }
        }
        self.notify();
        (before, actions)
    }

    /// Takes an input that may settle the process; `outcome` is made of the state that it was in, under the lock: it must
    /// call nothing that locks. True when it did; then its end has to be told, and [`Process::told`] called.
    pub(crate) fn settle(&self, input: Input, outcome: impl FnOnce(State) -> Outcome) -> bool {
        // Under the lock: a caller can begin a kill at any time, and the outcome must be that of the state that is left.
        let mut record = self.record.lock();
        let before = record.state;
        let (next, _) = decide(before, input);
        if before.is_settled() || !next.is_settled() {
            return false;
        }
        record.outcome = Some(outcome(before));
        record.answers.clear();
        self.enter(&mut record, next);
        true
    }

    /// The event of the end was sent: calls that wait for the end return now, and find the event there.
    pub(crate) fn told(&self) {
        self.record.lock().told = true;
        self.notify();
    }

    fn enter(&self, record: &mut Record, next: State) {
        record.state = next;
        self.state.store(next as u8, Ordering::Release);
    }

    /// The watcher has ended: nothing changes any more.
    pub(crate) fn end_watch(&self) {
        self.output.lock().end();
        self.set_pids(|pids| {
            pids.ssh_client = None;
            pids.client_monitoring = None;
        });
        self.set_lifeline(None);
        self.watched.store(false, Ordering::Release);
        self.told();
    }

    pub(crate) fn end_together(self: &Arc<Process>) -> EndsTogether {
        self.ended_together.fetch_add(1, Ordering::AcqRel);
        EndsTogether(Arc::clone(self))
    }

    pub(crate) fn ends_together(&self) -> bool {
        self.ended_together.load(Ordering::Acquire) > 0
    }

    /// The end is known: the wrapper may go.
    pub(crate) fn say_goodbye(&self) {
        if let Some(lifeline) = self.lifeline() {
            lifeline.close();
        }
    }

    fn notify(&self) {
        for (_, observer) in &self.record.lock().observers {
            // A full channel has a message that its observer has not seen yet: that is enough.
            let _ = observer.try_send(());
        }
    }

    /// Has a channel, which may be that of several processes, get a message after each change, until the observation is
    /// dropped. What is waited for must be looked at after this call.
    pub(crate) fn observe(self: &Arc<Process>, sender: Sender<()>) -> Observation {
        let mut record = self.record.lock();
        record.next_observer += 1;
        let id = record.next_observer;
        record.observers.push((id, sender));
        Observation { process: Arc::clone(self), id }
    }

    /// Sends a signal, and CONT behind it, so that one that was stopped gets it; the channel gets the wrapper's answer, and is cut when the process settles before or its link is
    /// lost.
    pub(crate) fn signal(&self, signal: Signal, scope: KillScope, and_cont: bool) -> Result<Receiver<bool>> {
        let (sender, receiver) = bounded(1);
        let (lifeline, id) = {
            let mut record = self.record.lock();
            // The kernel and the wrapper keep order: answers that are this late come no more.
            let late = record.answers.len().saturating_sub(MOST_ANSWERS);
            record.answers.drain(..late);
            match (record.state.shown(), &record.lifeline) {
                (ProcessState::Starting | ProcessState::Running | ProcessState::Ending, Some(lifeline)) => {
                    let lifeline = Arc::clone(lifeline);
                    record.next_command += 1;
                    let id = record.next_command;
                    record.answers.push((id, sender));
                    (lifeline, id)
                }
                (ProcessState::LinkLost, _) => return Err(Error::LinkDown { uuid: self.uuid().to_owned() }),
                _ => return Err(Error::NotRunning { uuid: self.uuid().to_owned() }),
            }
        };
        let scope = match scope {
            KillScope::Leader => "leader",
            KillScope::Group => "group",
        };
        let and_cont = if and_cont { " CONT" } else { "" };
        if lifeline.send(&format!("kill {id} {signal} {scope}{and_cont}\n")) {
            Ok(receiver)
        } else {
            self.record.lock().answers.retain(|(known, _)| *known != id);
            Err(Error::LinkDown { uuid: self.uuid().to_owned() })
        }
    }

    /// Signals the ssh client, and remembers as what its end is to count.
    pub(crate) fn signal_client(&self, signal: Signal, source: ExitSource) -> Result<()> {
        let lifeline = {
            let mut record = self.record.lock();
            let Some(lifeline) = record.lifeline.clone() else {
                return Err(Error::NotRunning { uuid: self.uuid().to_owned() });
            };
            record.client_killed_as = Some(source);
            lifeline
        };
        lifeline.signal_client(signal);
        Ok(())
    }

    pub(crate) fn client_killed_as(&self) -> Option<ExitSource> {
        self.record.lock().client_killed_as
    }

    pub(crate) fn answer(&self, id: u64, done: bool) {
        let mut record = self.record.lock();
        if let Some(at) = record.answers.iter().position(|(known, _)| *known == id) {
            let (_, sender) = record.answers.remove(at);
            // Its receiver may have stopped waiting.
            let _ = sender.try_send(done);
        }
    }

    /// Sends one step of a kill. One that the link does not take is not this call's error: the process is lost then, and
    /// its end comes from there.
    pub(crate) fn kill_step(&self, step: &KillStep) -> Reached {
        let KillStep { mut signal, mut scope, .. } = *step;
        let mut reached = Reached::Application;
        if !self.has_run() && signal != Signal::KILL {
            // The setup's shell: bash ignores QUIT, and its children are to end as well.
            (signal, scope) = (Signal::TERM, KillScope::Group);
            reached = Reached::Setup;
        }
        match self.signal(signal, scope, signal != Signal::KILL) {
            Ok(_) => reached,
            Err(error) => {
                log::debug!("{}: {signal} was not sent: {error}", self.uuid());
                Reached::Nobody
            }
        }
    }
}
