//! One process, as its watcher and its callers share it.
//!
//! Lock order: a process's `record`, `output` and `user` are leaf locks: under them, no other lock is taken and nothing
//! is written or waited for. Observers and those who wait for answers get their messages from channels, and sending
//! these does not block.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use crate::launch::target::Target;
use crate::local::client::Lifeline;
use crate::model::error::{Error, NotReadyReason, Result};
use crate::model::exit_status::{ExitSource, ExitStatus};
use crate::model::launcher::Launcher;
use crate::model::link_loss::LinkLossPolicy;
use crate::model::options::{KillScope, KillStep};
use crate::model::output::OutputTails;
use crate::model::request::BootRequest;
use crate::model::restart::RestartPolicy;
use crate::model::signal::Signal;
use crate::remote::instance::Instance;
use crate::watch::readiness::{self, Readiness};
use crate::watch::restarts::{Restarts, Verdict};
use crate::watch::state::{Action, Input, ProcessState, State, decide};
use crate::watch::succession::{self, AtomicSuccession, Claim, Heir, Succession};

/// The pids of one process. Each one is `None` while it is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RuntimePids {
    /// The client of ssh or of another launcher, on this machine. `None` when it has ended, and for a process without
    /// one ([`Options::ssh_client_per_process`](crate::Options::ssh_client_per_process)).
    pub ssh_client: Option<i64>,
    /// The application, on its host. Stays after the application has ended.
    pub remote: Option<i64>,
    /// The wrapper that supervises the application on its host. Stays after the wrapper has ended.
    pub remote_monitoring: Option<i64>,
    /// The thread that watches the client, on this machine, as ps and top show it. `None` when it has ended.
    pub client_monitoring: Option<i64>,
}

/// To whom a step of a kill was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reached {
    /// To nobody: there was no link.
    Nobody,
    /// To the shell that runs the setup lines, and its children.
    Setup,
    /// To the application. KILL counts as this even while the setup runs: nothing has to be sent again.
    Application,
}

/// The most commands that can wait for their answers.
const MOST_ANSWERS: usize = 256;

/// How a settled process ended.
pub(crate) type Outcome = std::result::Result<ExitStatus, Error>;

/// How far the announcement of the end of a process has come. It only goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Announcement {
    /// The event is not yet in the queue of every subscription.
    Pending,
    /// The event is in the queue of every subscription. Some exit callbacks have not returned.
    Queued,
    /// All exit callbacks have returned, or there were none.
    Complete,
}

/// With what the next life of a process is started.
pub(crate) enum Boot {
    /// With the request and the launcher of this one.
    Same,
    /// With these: the process was adopted with a request.
    Other(Box<(BootRequest, Launcher)>),
    /// Nobody knows: the process was adopted without a request.
    Unknown,
}

/// One process, as its watcher and its callers share it.
pub(crate) struct Process {
    pub instance: Instance,
    pub request: BootRequest,
    pub launcher: Launcher,
    boot: Boot,
    /// How often the policy has restarted the uuid until now.
    pub restarts: Restarts,
    /// Distinguishes the starts of a manager: 1 for the first, rising in the order in which the table gets them. The
    /// table sets it.
    pub start_number: u64,
    /// When `start_process` or `adopt_process` made this value.
    pub started_at: Instant,
    /// The user on the host, once the host has reported it.
    user: Mutex<Option<String>>,
    /// A copy of the record's state, so that reading it takes no lock.
    state: AtomicU8,
    /// What follows the end. The table of processes reads and changes it under its own lock.
    succession: AtomicSuccession,
    record: Mutex<Record>,
    pub output: Mutex<OutputTails>,
    /// The watcher still works on this process.
    watched: AtomicBool,
    /// The manager has let go of this process: nobody asks the host any more.
    released: AtomicBool,
    /// How many calls end this process together with others.
    ended_together: AtomicUsize,
}

/// What the watcher and the callers of a process change, under one lock.
struct Record {
    state: State,
    pids: RuntimePids,
    /// Present in the settled states, and only there.
    end: Option<End>,
    /// The program was executed.
    ran: bool,
    readiness: Readiness,
    /// The host has reported the exit, which may not be announced yet.
    has_exited: bool,
    /// Who ended the ssh client, if it was signalled on purpose.
    client_killed_as: Option<ExitSource>,
    handles: Handles,
}

/// The end of a process.
struct End {
    outcome: Outcome,
    announcement: Announcement,
    /// What the restart policy says about it.
    verdict: Verdict,
    /// The program has taken this end.
    is_acknowledged: bool,
    /// A pop has returned this end.
    is_popped: bool,
}

/// The clients of a process, the commands to its wrapper, and who observes it: under the lock of its record.
#[derive(Default)]
struct Handles {
    /// Of the client that carries the link.
    lifeline: Option<Arc<Lifeline>>,
    /// Of the client that asks the host how the process ended.
    inquiry: Option<Arc<Lifeline>>,
    commands: Commands,
    observers: Observers,
}

/// The commands that the wrapper has not answered, and who waits for the answers.
#[derive(Default)]
struct Commands {
    last_id: u64,
    unanswered: Vec<(u64, Sender<bool>)>,
}

impl Commands {
    /// Enters a command, and returns its number and the receiver of its answer.
    fn enter(&mut self) -> (u64, Receiver<bool>) {
        let (sender, receiver) = bounded(1);
        // The kernel and the wrapper keep the order: answers that are this late will not come.
        let late = self.unanswered.len().saturating_sub(MOST_ANSWERS);
        self.unanswered.drain(..late);
        self.last_id += 1;
        self.unanswered.push((self.last_id, sender));
        (self.last_id, receiver)
    }

    fn remove(&mut self, id: u64) {
        self.unanswered.retain(|(known, _)| *known != id);
    }

    fn answer(&mut self, id: u64, done: bool) {
        if let Some(at) = self.unanswered.iter().position(|(known, _)| *known == id) {
            // Answers keep the order of their commands: the answers to earlier ones will not come.
            let answered = self.unanswered.drain(..=at).next_back();
            if let Some((_, sender)) = answered {
                // Its receiver may have stopped waiting.
                let _ = sender.try_send(done);
            }
        }
    }

    /// Disconnects all who wait: nobody answers any more.
    fn give_up(&mut self) {
        self.unanswered.clear();
    }
}

/// Who gets a message after each change that somebody waits for: of the state, the client, the end of the process, and
/// when the watcher ends.
#[derive(Default)]
struct Observers {
    last_id: u64,
    list: Vec<(u64, Sender<()>)>,
}

impl Observers {
    fn add(&mut self, sender: Sender<()>) -> u64 {
        self.last_id += 1;
        self.list.push((self.last_id, sender));
        self.last_id
    }

    fn remove(&mut self, id: u64) {
        self.list.retain(|(known, _)| *known != id);
    }

    fn notify(&self) {
        for (_, observer) in &self.list {
            // A full channel has a message that its observer has not seen yet: that is enough.
            let _ = observer.try_send(());
        }
    }
}

/// Ends an observation when dropped.
pub(crate) struct Observation {
    process: Arc<Process>,
    id: u64,
}

impl Drop for Observation {
    fn drop(&mut self) {
        self.process.record.lock().handles.observers.remove(self.id);
    }
}

/// Marks a process as ended together with others, until it is dropped.
pub(crate) struct EndsTogether(Arc<Process>);

impl Drop for EndsTogether {
    fn drop(&mut self) {
        self.0.ended_together.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Returns the name of a process for messages and log lines.
pub(crate) fn describe(name: &str, uuid: &str, session: &str, user: Option<&str>) -> String {
    let user = user.map_or_else(String::new, |user| format!(", user {user}"));
    format!("process {name:?} ({uuid}) of session {session:?}{user}")
}

impl Process {
    /// Returns a process that is to be started.
    pub(crate) fn new(instance: Instance, request: BootRequest, launcher: Launcher) -> Process {
        Process::in_state(State::Connecting, instance, request, launcher, Boot::Same)
    }

    /// Returns the next life of this process, which its policy has restarted this often. `None` if nobody knows with
    /// what to start it.
    pub(crate) fn next_life(&self, restarts: Restarts) -> Option<Result<Process>> {
        let (request, launcher) = self.boot()?;
        Some(
            Instance::new(self.uuid())
                .map(|instance| Process { restarts, ..Process::new(instance, request.clone(), launcher.clone()) }),
        )
    }

    /// Returns a process that runs or has ended on its host, and has no link yet.
    pub(crate) fn adopted(
        instance: Instance,
        request: BootRequest,
        launcher: Launcher,
        pid: i64,
        boot: Boot,
    ) -> Process {
        let process = Process::in_state(State::LinkLost, instance, request, launcher, boot);
        process.note_run();
        process.take_readiness(readiness::Input::Running);
        process.set_pids(|pids| pids.remote = Some(pid));
        process
    }

    fn in_state(state: State, instance: Instance, request: BootRequest, launcher: Launcher, boot: Boot) -> Process {
        let begin = if request.ready.is_some() { Readiness::Starting } else { Readiness::Unasked };
        Process {
            instance,
            request,
            launcher,
            boot,
            restarts: Restarts::default(),
            start_number: 0,
            started_at: Instant::now(),
            user: Mutex::new(None),
            state: AtomicU8::new(state as u8),
            succession: AtomicSuccession::default(),
            record: Mutex::new(Record {
                state,
                pids: RuntimePids::default(),
                end: None,
                ran: false,
                readiness: begin,
                has_exited: false,
                client_killed_as: None,
                handles: Handles::default(),
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

    /// Returns where the process runs.
    pub(crate) fn target(&self) -> Target<'_> {
        let BootRequest { host, user, .. } = &self.request;
        Target { launcher: &self.launcher, host, user: user.as_deref(), uuid: Some(self.uuid()) }
    }

    /// Returns the user on the host; the user of the request, if it has one, while the host has not reported the user.
    pub(crate) fn user(&self) -> Option<String> {
        self.user.lock().clone().or_else(|| self.request.user.clone())
    }

    /// Notes the user that the host reported. The first report stands.
    pub(crate) fn set_user(&self, user: String) {
        self.user.lock().get_or_insert(user);
    }

    /// Returns the state. Takes no lock.
    pub(crate) fn state(&self) -> State {
        State::ALL[usize::from(self.state.load(Ordering::Acquire))]
    }

    /// Returns the state that callers see.
    pub(crate) fn shown(&self) -> ProcessState {
        // The state first: what follows the end is decided before the state says that the process has ended.
        let state = self.state();
        match state.is_settled() && self.succession().has_next() {
            true => ProcessState::Restarting,
            false => state.shown(),
        }
    }

    /// Returns whether no other process can have this uuid now. Takes no lock.
    pub(crate) fn holds_uuid(&self) -> bool {
        !self.state().is_settled() || self.succession().holds_uuid()
    }

    /// Returns what follows the end. Takes no lock.
    pub(crate) fn succession(&self) -> Succession {
        self.succession.get()
    }

    /// Lets nothing follow the end. Returns false if the next life has started already.
    pub(crate) fn stop(&self) -> bool {
        let before = self.succession.take(succession::Input::Stop);
        self.notify();
        before != Succession::Succeeded
    }

    /// Begins a restart by a call, which must start the next life or give up.
    ///
    /// # Errors
    /// What follows already, `Claimed` or `Succeeded`.
    pub(crate) fn claim(&self) -> std::result::Result<Claim, Succession> {
        let claim = self.succession.claim();
        self.notify();
        claim
    }

    /// Ends a restart by a call that has not started the next life.
    pub(crate) fn give_up_claim(&self, claim: Claim) {
        self.succession.give_up(claim);
        self.notify();
    }

    /// Lets the policy restart nothing. Returns whether this has ended its pause.
    pub(crate) fn give_up_policy(&self) -> bool {
        self.succession.take(succession::Input::LastEnd) == Succession::Pausing
    }

    /// Returns with what the next life is started, if that is known.
    pub(crate) fn boot(&self) -> Option<(&BootRequest, &Launcher)> {
        match &self.boot {
            Boot::Same => Some((&self.request, &self.launcher)),
            Boot::Other(other) => Some((&other.0, &other.1)),
            Boot::Unknown => None,
        }
    }

    /// Returns the restart policy, if it is known with what to start the next life.
    pub(crate) fn policy(&self) -> Option<&RestartPolicy> {
        self.boot().map(|(request, _)| &request.restart)
    }

    /// Replaces this life by the next one. Returns false if the table of succession does not allow that. Takes no lock.
    pub(crate) fn succeed(&self, by: Heir) -> bool {
        self.succession.succeed(by)
    }

    /// Returns what the restart policy says about the end. Without an end, nothing follows.
    pub(crate) fn verdict(&self) -> Verdict {
        self.record.lock().end.as_ref().map_or(Verdict::Stands, |end| end.verdict)
    }

    /// Notes that a pop returns the end. Returns true the first time.
    pub(crate) fn pop_end(&self) -> bool {
        self.record.lock().end.as_mut().is_some_and(|end| !std::mem::replace(&mut end.is_popped, true))
    }

    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.state().shown(), ProcessState::Starting | ProcessState::Running | ProcessState::Ending)
    }

    /// Returns whether the watcher still works on this process.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Acquire)
    }

    /// Lets go of the process: a kept process whose start is done goes on, any other one ends.
    pub(crate) fn release(&self) {
        self.stop();
        self.released.store(true, Ordering::Release);
        if self.is_kept() {
            if self.take_or_settle(Input::Detach, |_| Err(Error::Detached { uuid: self.uuid().to_owned() })) {
                // Cut, not closed: a good-bye is only for a process that has ended.
                if let Some(lifeline) = self.lifeline() {
                    lifeline.cut();
                }
                // Subscribers and callbacks get no event of this.
                self.announce(Announcement::Complete);
            } else {
                self.leave_exit();
            }
        } else {
            self.take(Input::Release);
        }
        let inquiry = self.record.lock().handles.inquiry.take();
        if let Some(inquiry) = inquiry {
            inquiry.kill_client();
        }
    }

    /// Leaves the exit of a kept process on its host, for the next manager, unless the program has taken the exit.
    fn leave_exit(&self) {
        if self.state().is_settled() && !self.is_acknowledged() {
            if let Some(lifeline) = self.lifeline() {
                lifeline.cut();
            }
        }
    }

    /// Notes that the program has taken the end: a subscriber received the event, a callback returned, or a call
    /// returned the end or dropped it. The host of a kept process then removes the exit and the output. Has no effect
    /// on a process that has not ended, or that the manager has let go of. Does not block.
    pub(crate) fn acknowledge(&self) {
        let lifeline = {
            let mut record = self.record.lock();
            if record.state == State::Detached {
                return;
            }
            let Some(end) = &mut record.end else { return };
            end.is_acknowledged = true;
            record.handles.lifeline.clone().filter(|_| self.is_kept())
        };
        if let Some(lifeline) = lifeline {
            lifeline.close();
        }
        self.notify();
    }

    pub(crate) fn is_acknowledged(&self) -> bool {
        self.record.lock().end.as_ref().is_some_and(|end| end.is_acknowledged)
    }

    /// Sets the lifeline of the client that asks the host how the process ended. A release ends this client.
    pub(crate) fn set_inquiry(&self, lifeline: &Arc<Lifeline>) {
        self.record.lock().handles.inquiry = Some(Arc::clone(lifeline));
        // A release that came before could not find it.
        if self.is_released() {
            lifeline.kill_client();
        }
    }

    /// Returns whether the process goes on when its link or its manager is gone.
    pub(crate) fn is_kept(&self) -> bool {
        self.request.link_loss == LinkLossPolicy::Keep
    }

    /// Notes that the program was executed. Returns true if that was not known before.
    pub(crate) fn note_run(&self) -> bool {
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

    pub(crate) fn readiness(&self) -> Readiness {
        self.record.lock().readiness
    }

    /// Returns why the process does not count as ready, if that was announced.
    pub(crate) fn not_ready_reason(&self) -> Option<NotReadyReason> {
        match self.readiness() {
            Readiness::Closed => Some(NotReadyReason::NotifyClosed),
            Readiness::Late => Some(NotReadyReason::TimedOut { after: self.request.time_to_be_ready() }),
            Readiness::Unasked
            | Readiness::Starting
            | Readiness::SignFirst
            | Readiness::ClosedFirst
            | Readiness::Waiting
            | Readiness::Ready
            | Readiness::Over => None,
        }
    }

    /// Takes an input of the table of readiness. Returns the new readiness if it is to be announced.
    pub(crate) fn take_readiness(&self, input: readiness::Input) -> Option<Readiness> {
        let (next, announces) = {
            let mut record = self.record.lock();
            let (next, announces) = readiness::decide(record.readiness, input);
            record.readiness = next;
            (next, announces)
        };
        self.notify();
        announces.then_some(next)
    }

    /// Returns how the process ended, once it is settled.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.record.lock().end.as_ref().map(|end| end.outcome.clone())
    }

    /// Returns how the process ended, once the announcement of that has come this far.
    pub(crate) fn outcome_after(&self, announcement: Announcement) -> Option<Outcome> {
        let record = self.record.lock();
        record.end.as_ref().filter(|end| end.announcement >= announcement).map(|end| end.outcome.clone())
    }

    pub(crate) fn lifeline(&self) -> Option<Arc<Lifeline>> {
        self.record.lock().handles.lifeline.clone()
    }

    /// Sets the lifeline of the client that carries the link, and notifies the observers: a successor with this uuid
    /// waits until there is no client.
    pub(crate) fn set_lifeline(&self, lifeline: Option<Arc<Lifeline>>) {
        self.record.lock().handles.lifeline = lifeline;
        self.notify();
    }

    /// Takes an input, unless the input would settle the process: [`Process::settle`] takes those. Closes the lifeline
    /// and kills the client where the table says so. Returns the state before the input, and all actions: the watcher
    /// does the other actions, so that events come in order.
    pub(crate) fn take(&self, input: Input) -> (State, &'static [Action]) {
        let (before, actions, lifeline) = self.advance(&mut self.record.lock(), input);
        self.act(actions, lifeline);
        (before, actions)
    }

    /// Takes an input only if it settles the process, and returns whether it did: then the caller announces the end.
    /// Calls `outcome` under the lock, with the state before the input; `outcome` must not lock anything.
    pub(crate) fn settle(&self, input: Input, outcome: impl FnOnce(State) -> Outcome) -> bool {
        // Under the lock: another thread can begin a kill at any time, and the outcome must fit the state before the
        // input.
        self.settle_record(&mut self.record.lock(), input, outcome)
    }

    /// Takes an input, and returns whether it settled the process: then the caller announces the end.
    fn take_or_settle(&self, input: Input, outcome: impl FnOnce(State) -> Outcome) -> bool {
        let (actions, lifeline) = {
            let mut record = self.record.lock();
            if self.settle_record(&mut record, input, outcome) {
                return true;
            }
            let (_, actions, lifeline) = self.advance(&mut record, input);
            (actions, lifeline)
        };
        self.act(actions, lifeline);
        false
    }

    /// Takes an input that does not settle the process. Returns the state before the input, and what [`Process::act`]
    /// needs.
    fn advance(&self, record: &mut Record, input: Input) -> (State, &'static [Action], Option<Arc<Lifeline>>) {
        let before = record.state;
        let (next, actions) = decide(before, input);
        if !next.is_settled() {
            self.enter(record, next);
        }
        if next == State::LinkLost {
            record.handles.commands.give_up();
        }
        if actions.contains(&Action::AnnounceStarted) {
            record.ran = true;
        }
        (before, actions, record.handles.lifeline.clone())
    }

    /// Takes an input only if it settles the process, and returns whether it did.
    fn settle_record(&self, record: &mut Record, input: Input, outcome: impl FnOnce(State) -> Outcome) -> bool {
        let before = record.state;
        let (next, _) = decide(before, input);
        if before.is_settled() || !next.is_settled() {
            return false;
        }
        let outcome = outcome(before).map(|status| status.of_start(self.start_number));
        let verdict = self.judge(next, &outcome);
        // Before the state: a uuid that the next life needs is never free.
        self.succession.take(match verdict {
            Verdict::Restart { .. } => succession::Input::End,
            Verdict::Stands | Verdict::LimitReached => succession::Input::LastEnd,
        });
        record.end = Some(End {
            outcome,
            announcement: Announcement::Pending,
            verdict,
            is_acknowledged: false,
            is_popped: false,
        });
        record.handles.commands.give_up();
        (record.readiness, _) = readiness::decide(record.readiness, readiness::Input::End);
        self.enter(record, next);
        true
    }

    /// Returns what the restart policy says about this end. It says nothing about an end that a call has asked for, nor
    /// about a process that goes on without this manager or that nobody can start.
    fn judge(&self, state: State, outcome: &Outcome) -> Verdict {
        let is_open = self.succession() == Succession::Open && state != State::Detached;
        let policy = self.policy().filter(|_| is_open);
        policy.map_or(Verdict::Stands, |policy| self.restarts.judge(policy, outcome, Instant::now()))
    }

    /// Does those actions that any thread may do, and notifies the observers.
    fn act(&self, actions: &[Action], lifeline: Option<Arc<Lifeline>>) {
        for action in actions {
            match (action, &lifeline) {
                (Action::CloseLifeline, Some(lifeline)) => lifeline.close(),
                (Action::KillClient, Some(lifeline)) => lifeline.kill_client(),
                _ => {}
            }
        }
        self.notify();
    }

    /// Notes that the announcement of the end has come this far, so that the calls that wait for this return.
    pub(crate) fn announce(&self, announcement: Announcement) {
        if let Some(end) = &mut self.record.lock().end {
            end.announcement = end.announcement.max(announcement);
        }
        self.notify();
    }

    /// Sets the state, and its copy.
    fn enter(&self, record: &mut Record, next: State) {
        record.state = next;
        self.state.store(next as u8, Ordering::Release);
    }

    /// Notes that nothing of the process is left to be done: only its restart may follow.
    pub(crate) fn end_life(&self) {
        self.output.lock().end();
        self.set_pids(|pids| pids.ssh_client = None);
        self.set_lifeline(None);
        self.record.lock().handles.inquiry = None;
    }

    /// Notes that the watcher has ended: nothing changes any more.
    pub(crate) fn end_watch(&self) {
        self.end_life();
        self.set_pids(|pids| pids.client_monitoring = None);
        self.watched.store(false, Ordering::Release);
        self.notify();
    }

    /// Marks this process as ended together with others, until the returned value is dropped.
    pub(crate) fn mark_ended_together(self: &Arc<Process>) -> EndsTogether {
        self.ended_together.fetch_add(1, Ordering::AcqRel);
        EndsTogether(Arc::clone(self))
    }

    pub(crate) fn ends_together(&self) -> bool {
        self.ended_together.load(Ordering::Acquire) > 0
    }

    /// Tells the wrapper that the end is known, and that it may go.
    pub(crate) fn say_goodbye(&self) {
        if let Some(lifeline) = self.lifeline() {
            lifeline.close();
        }
    }

    /// Notifies the observers. Must not be called under the lock.
    fn notify(&self) {
        self.record.lock().handles.observers.notify();
    }

    /// Sends a message to `sender` after each change of the state, of the client that carries the link and of the end,
    /// and when the watcher ends, until the observation is dropped. Several processes may share one sender. The caller
    /// must look at the process after this call: no message comes for earlier changes.
    pub(crate) fn observe(self: &Arc<Process>, sender: Sender<()>) -> Observation {
        let id = self.record.lock().handles.observers.add(sender);
        Observation { process: Arc::clone(self), id }
    }

    /// Sends a signal, and with `and_cont` CONT after it, so that a stopped process gets the signal. The receiver gets
    /// the wrapper's answer. It is disconnected if the process settles or its link is lost before the answer comes.
    pub(crate) fn signal(&self, signal: Signal, scope: KillScope, and_cont: bool) -> Result<Receiver<bool>> {
        let (lifeline, id, answer) = {
            let mut record = self.record.lock();
            match (record.state.shown(), &record.handles.lifeline) {
                _ if record.has_exited => return Err(Error::NotRunning { uuid: self.uuid().to_owned() }),
                (ProcessState::Starting | ProcessState::Running | ProcessState::Ending, Some(lifeline)) => {
                    let lifeline = Arc::clone(lifeline);
                    let (id, answer) = record.handles.commands.enter();
                    (lifeline, id, answer)
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
            Ok(answer)
        } else {
            self.record.lock().handles.commands.remove(id);
            Err(Error::LinkDown { uuid: self.uuid().to_owned() })
        }
    }

    /// Signals the client, and notes as what its end counts.
    pub(crate) fn signal_client(&self, signal: Signal, source: ExitSource) -> Result<()> {
        let lifeline = {
            let mut record = self.record.lock();
            let Some(lifeline) = record.handles.lifeline.clone() else {
                return Err(Error::NotRunning { uuid: self.uuid().to_owned() });
            };
            record.client_killed_as = Some(source);
            lifeline
        };
        lifeline.signal_client(signal.number());
        Ok(())
    }

    /// Forgets that a client was signalled: the process has a new client.
    pub(crate) fn forget_client_kill(&self) {
        self.record.lock().client_killed_as = None;
    }

    pub(crate) fn client_killed_as(&self) -> Option<ExitSource> {
        self.record.lock().client_killed_as
    }

    /// Takes the wrapper's answer to a command.
    pub(crate) fn answer(&self, id: u64, done: bool) {
        self.record.lock().handles.commands.answer(id, done);
    }

    /// Kills the client, because nobody on the host reads commands: the link is lost then, and the host is asked to end
    /// the process.
    pub(crate) fn give_up_link(&self) {
        if let Some(lifeline) = self.lifeline() {
            log::warn!("{}: its wrapper does not answer; its host is asked to end it", self.uuid());
            lifeline.kill_client();
        }
    }

    /// Notes that the host has reported the exit: the wrapper takes no commands any more.
    pub(crate) fn note_exit(&self) {
        let mut record = self.record.lock();
        record.has_exited = true;
        record.handles.commands.give_up();
    }

    /// Returns whether the host has reported the exit, which may not be announced yet.
    pub(crate) fn has_exited(&self) -> bool {
        self.record.lock().has_exited
    }

    /// Sends one step of a kill. It is no error if the link does not take the step: the link of the process is lost
    /// then, and its end is learned in another way.
    pub(crate) fn kill_step(&self, step: &KillStep) -> (Reached, Option<Receiver<bool>>) {
        let KillStep { mut signal, mut scope, .. } = *step;
        let mut reached = Reached::Application;
        if !self.has_run() && signal != Signal::KILL {
            // For the shell of the setup: bash ignores QUIT, and the children of the shell must end, too.
            (signal, scope) = (Signal::TERM, KillScope::Group);
            reached = Reached::Setup;
        }
        match self.signal(signal, scope, signal != Signal::KILL) {
            Ok(answer) => (reached, Some(answer)),
            Err(error) => {
                log::debug!("{}: {signal} was not sent: {error}", self.uuid());
                (Reached::Nobody, None)
            }
        }
    }
}
