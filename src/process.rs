//! One process: its states, what each input does in each, and what callers see.
//!
//! | | pid | running | start failed | exit | client ended | start timeout | kill | release | given up |
//! |---|---|---|---|---|---|---|---|---|---|
//! | Connecting | Starting | · | Failed | Failed | Failed | Expiring: close, kill client | Cancelling: close, kill client | Cancelling: close, kill client | · |
//! | Starting | · | Running: tell started | Failed | Failed | LinkLost: tell lost | Expiring: close | Ending | Cancelling: close | · |
//! | Running | · | · | Failed | Ended | LinkLost: tell lost | · | Ending | Cancelling: close | · |
//! | Ending | · | tell started | Ended | Ended | LinkLost: tell lost | · | · | Cancelling: close | · |
//! | Cancelling | · | · | Ended | Ended | Ended | · | · | · | · |
//! | Expiring | · | · | Failed | Failed | Failed | · | · | · | · |
//! | LinkLost | · | · | · | Ended | · | · | · | Ended | Ended |
//! | Ended | · | · | · | · | · | · | · | · | · |
//! | Failed | · | · | · | · | · | · | · | · | · |
//!
//! The cells: the next state, and what is done. `·`: nothing. *Cancelling* is a start that was killed before there was a pid, or any
//! process whose manager lets go of it: its lifeline is closed, and its end counts as a manual kill through the ssh client. *Expiring* is a
//! start whose time is over, until its remote side is gone. Both are shown to callers as `Ending`. An exit of which the
//! wrapper says that the program had run, in state Starting, is first `running` and then `exit`: the two reports come from
//! two processes, and the exit may be first.
//!
//! Lock order: a process's `record` and `output` are leaf locks: nothing else is locked, sent or written under them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use crate::client::Lifeline;
use crate::error::{Error, Result};
use crate::exit_status::ExitStatus;
use crate::options::{KillScope, KillStep};
use crate::request::BootRequest;
use crate::signal::Signal;
use crate::wrapper::Instance;

/// Where a process is between its start and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProcessState {
    /// ssh is being started, or the remote side is not ready yet.
    Connecting,
    /// The remote pid is known; the setup lines run.
    Starting,
    /// The application runs.
    Running,
    /// It was asked to end, or its start is being taken back. It stays so until it has ended, also when a kill gave up:
    /// a signal cannot be taken back.
    Ending,
    /// The link broke; what became of the application is being found out.
    LinkLost,
    /// It has ended; how is kept until it is killed, forgotten, or started again.
    Ended,
    /// It did not come to run; why is kept likewise.
    Failed,
}

/// The states of the table above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    Connecting,
    Starting,
    Running,
    Ending,
    Cancelling,
    Expiring,
    LinkLost,
    Ended,
    Failed,
}

/// What can happen to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// The remote pid was reported.
    Pid,
    /// The program was executed.
    Running,
    /// The start was reported as failed.
    StartFailed,
    /// The end was reported.
    Exit,
    /// The ssh client ended, and no end was reported.
    ClientEnded,
    /// The time for the start is over.
    StartTimeout,
    /// A kill begins.
    Kill,
    /// The manager lets go.
    Release,
    /// The end of a lost process could not be learned.
    GivenUp,
}

/// What has to be done beside changing the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    CloseLifeline,
    KillClient,
    TellStarted,
    TellLost,
}

/// The table above: the only place where states change.
pub(crate) fn decide(state: State, input: Input) -> (State, &'static [Action]) {
    use Action::*;
    use Input as I;
    use State as S;
    match (state, input) {
        (S::Connecting, I::Pid) => (S::Starting, &[]),
        (S::Connecting, I::StartFailed | I::Exit | I::ClientEnded) => (S::Failed, &[]),
        (S::Connecting, I::StartTimeout) => (S::Expiring, &[CloseLifeline, KillClient]),
        (S::Connecting, I::Kill | I::Release) => (S::Cancelling, &[CloseLifeline, KillClient]),
        (S::Connecting, I::Running | I::GivenUp) => (S::Connecting, &[]),

        (S::Starting, I::Running) => (S::Running, &[TellStarted]),
        (S::Starting, I::StartFailed | I::Exit) => (S::Failed, &[]),
        (S::Starting, I::StartTimeout) => (S::Expiring, &[CloseLifeline]),
        (S::Starting, I::Kill) => (S::Ending, &[]),
        (S::Starting, I::Pid | I::GivenUp) => (S::Starting, &[]),

        (S::Running, I::StartFailed) => (S::Failed, &[]),
        (S::Running, I::Exit) => (S::Ended, &[]),
        (S::Running, I::Kill) => (S::Ending, &[]),
        (S::Running, I::Pid | I::Running | I::StartTimeout | I::GivenUp) => (S::Running, &[]),

        (S::Ending, I::Running) => (S::Ending, &[TellStarted]),
        (S::Ending, I::StartFailed | I::Exit) => (S::Ended, &[]),
        (S::Ending, I::Pid | I::StartTimeout | I::Kill | I::GivenUp) => (S::Ending, &[]),

        (S::Starting | S::Running | S::Ending, I::ClientEnded) => (S::LinkLost, &[TellLost]),
        (S::Starting | S::Running | S::Ending, I::Release) => (S::Cancelling, &[CloseLifeline]),

        (S::Cancelling, I::StartFailed | I::Exit | I::ClientEnded) => (S::Ended, &[]),
        (S::Cancelling, I::Pid | I::Running | I::StartTimeout | I::Kill | I::Release | I::GivenUp) => {
            (S::Cancelling, &[])
        }

        (S::Expiring, I::StartFailed | I::Exit | I::ClientEnded) => (S::Failed, &[]),
        (S::Expiring, I::Pid | I::Running | I::StartTimeout | I::Kill | I::Release | I::GivenUp) => (S::Expiring, &[]),

        (S::LinkLost, I::Exit | I::Release | I::GivenUp) => (S::Ended, &[]),
        (S::LinkLost, I::Pid | I::Running | I::StartFailed | I::ClientEnded | I::StartTimeout | I::Kill) => {
            (S::LinkLost, &[])
        }

        (S::Ended | S::Failed, _) => (state, &[]),
    }
}

impl State {
    pub(crate) const ALL: [State; 9] = [
        State::Connecting,
        State::Starting,
        State::Running,
        State::Ending,
        State::Cancelling,
        State::Expiring,
        State::LinkLost,
        State::Ended,
        State::Failed,
    ];

    pub(crate) fn shown(self) -> ProcessState {
        match self {
            State::Connecting => ProcessState::Connecting,
            State::Starting => ProcessState::Starting,
            State::Running => ProcessState::Running,
            State::Ending | State::Cancelling | State::Expiring => ProcessState::Ending,
            State::LinkLost => ProcessState::LinkLost,
            State::Ended => ProcessState::Ended,
            State::Failed => ProcessState::Failed,
        }
    }

    pub(crate) fn is_settled(self) -> bool {
        matches!(self, State::Ended | State::Failed)
    }
}

/// The pids of one process; each is missing while it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RuntimePids {
    /// The ssh client, on this machine; missing when it has ended.
    pub ssh_client: Option<i64>,
    /// The application, on its host.
    pub remote: Option<i64>,
    /// The wrapper that watches the application on its host.
    pub remote_monitoring: Option<i64>,
    /// The thread that watches the ssh client, on this machine, as ps and top show it.
    pub client_monitoring: Option<i64>,
}

/// The last part of what an application wrote to a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// The bytes, as they were written.
    pub bytes: Vec<u8>,
    /// How many bytes were written before these and are not kept.
    pub dropped: u64,
}

/// A bounded end of a stream.
#[derive(Default)]
pub(crate) struct Tail {
    bytes: VecDeque<u8>,
    dropped: u64,
}

impl Tail {
    pub(crate) fn push(&mut self, bytes: &[u8], limit: usize) {
        let kept = &bytes[bytes.len().saturating_sub(limit)..];
        let excess = (self.bytes.len() + kept.len()).saturating_sub(limit);
        self.bytes.drain(..excess);
        self.bytes.extend(kept);
        self.dropped += (excess + bytes.len() - kept.len()) as u64;
    }

    pub(crate) fn get(&self) -> Output {
        Output { bytes: self.bytes.iter().copied().collect(), dropped: self.dropped }
    }
}

#[derive(Default)]
pub(crate) struct OutputTails {
    pub stdout: Tail,
    pub stderr: Tail,
}

/// How a settled process ended.
pub(crate) type Outcome = std::result::Result<ExitStatus, Error>;

/// One process, as its watcher and its callers share it.
pub(crate) struct Process {
    pub instance: Instance,
    pub request: BootRequest,
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
}

struct Record {
    state: State,
    pids: RuntimePids,
    lifeline: Option<Arc<Lifeline>>,
    outcome: Option<Outcome>,
    /// The program was executed.
    ran: bool,
    next_command: u64,
    /// Who waits for the answers to commands.
    answers: Vec<(u64, Sender<bool>)>,
    /// Whom to tell of every change.
    observers: Vec<Sender<()>>,
}

impl Process {
    pub(crate) fn new(instance: Instance, request: BootRequest) -> Process {
        Process {
            instance,
            request,
            started_at: Instant::now(),
            state: AtomicU8::new(State::Connecting as u8),
            record: Mutex::new(Record {
                state: State::Connecting,
                pids: RuntimePids::default(),
                lifeline: None,
                outcome: None,
                ran: false,
                next_command: 0,
                answers: Vec::new(),
                observers: Vec::new(),
            }),
            output: Mutex::default(),
            watched: AtomicBool::new(true),
            released: AtomicBool::new(false),
        }
    }

    pub(crate) fn uuid(&self) -> &str {
        &self.instance.uuid
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

    pub(crate) fn release(&self) {
        self.released.store(true, Ordering::Release);
        self.take(Input::Release);
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

    pub(crate) fn lifeline(&self) -> Option<Arc<Lifeline>> {
        self.record.lock().lifeline.clone()
    }

    pub(crate) fn set_lifeline(&self, lifeline: Option<Arc<Lifeline>>) {
        self.record.lock().lifeline = lifeline;
    }

    /// Takes an input that does not settle the process by itself from this caller. Closing and killing is done here;
    /// what is to be told is returned, because only the watcher tells, so that events come in order.
    pub(crate) fn take(&self, input: Input) -> &'static [Action] {
        let (actions, lifeline) = {
            let mut record = self.record.lock();
            let (next, actions) = decide(record.state, input);
            if !next.is_settled() {
                self.enter(&mut record, next);
            }
            if actions.contains(&Action::TellStarted) {
                record.ran = true;
            }
            (actions, record.lifeline.clone())
        };
        if let Some(lifeline) = lifeline {
            for action in actions {
                match action {
                    Action::CloseLifeline => lifeline.close(),
                    Action::KillClient => lifeline.kill_client(),
                    Action::TellStarted | Action::TellLost => {}
                }
            }
        }
        self.notify();
        actions
    }

    /// Takes an input that may settle the process; `outcome` is made of the state that it was in. True when it did.
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
        drop(record);
        self.notify();
        true
    }

    fn enter(&self, record: &mut Record, next: State) {
        record.state = next;
        self.state.store(next as u8, Ordering::Release);
    }

    /// The watcher has ended: nothing changes any more.
    pub(crate) fn end_watch(&self) {
        self.set_pids(|pids| {
            pids.ssh_client = None;
            pids.client_monitoring = None;
        });
        self.set_lifeline(None);
        self.watched.store(false, Ordering::Release);
        self.notify();
    }

    fn notify(&self) {
        // A full channel has a message that its observer has not seen yet: that is enough.
        self.record.lock().observers.retain(|observer| !matches!(observer.try_send(()), Err(e) if e.is_disconnected()));
    }

    /// A channel that gets a message after each change. What it waits for must be looked at after this call.
    pub(crate) fn observe(&self) -> Receiver<()> {
        let (sender, receiver) = bounded(1);
        self.observe_with(sender);
        receiver
    }

    /// The same for a channel that several processes share.
    pub(crate) fn observe_with(&self, sender: Sender<()>) {
        self.record.lock().observers.push(sender);
    }

    /// Sends a signal; the channel gets the wrapper's answer, and is cut when the process settles before.
    pub(crate) fn signal(&self, signal: Signal, scope: KillScope) -> Result<Receiver<bool>> {
        let (sender, receiver) = bounded(1);
        let (lifeline, id) = {
            let mut record = self.record.lock();
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
        if lifeline.send(&format!("kill {id} {signal} {scope}\n")) {
            Ok(receiver)
        } else {
            self.record.lock().answers.retain(|(known, _)| *known != id);
            Err(Error::LinkDown { uuid: self.uuid().to_owned() })
        }
    }

    pub(crate) fn answer(&self, id: u64, done: bool) {
        let mut record = self.record.lock();
        if let Some(at) = record.answers.iter().position(|(known, _)| *known == id) {
            let (_, sender) = record.answers.swap_remove(at);
            // Its receiver may have stopped waiting.
            let _ = sender.try_send(done);
        }
    }

    /// Sends one step of a kill. A link that does not take it is not this call's error: the process is lost then, and
    /// its end comes from there.
    pub(crate) fn kill_step(&self, step: &KillStep) {
        let KillStep { mut signal, mut scope, .. } = *step;
        if !self.has_run() && signal != Signal::KILL {
            // The setup's shell: bash ignores QUIT, and its children are to end as well.
            (signal, scope) = (Signal::TERM, KillScope::Group);
        }
        let sent = self.signal(signal, scope);
        if sent.is_ok() && signal != Signal::KILL {
            let _ = self.signal(Signal::CONT, scope);
        }
        if let Err(error) = sent {
            log::debug!("{}: {signal} was not sent: {error}", self.uuid());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUTS: [Input; 9] = [
        Input::Pid,
        Input::Running,
        Input::StartFailed,
        Input::Exit,
        Input::ClientEnded,
        Input::StartTimeout,
        Input::Kill,
        Input::Release,
        Input::GivenUp,
    ];

    fn cell(state: State, input: Input) -> String {
        let (next, actions) = decide(state, input);
        let words = actions.iter().map(|action| match action {
            Action::CloseLifeline => "close",
            Action::KillClient => "kill client",
            Action::TellStarted => "tell started",
            Action::TellLost => "tell lost",
        });
        let done = words.collect::<Vec<_>>().join(", ");
        match (next == state, done.is_empty()) {
            (true, true) => "·".to_owned(),
            (true, false) => done,
            (false, true) => format!("{next:?}"),
            (false, false) => format!("{next:?}: {done}"),
        }
    }

    #[test]
    fn the_table_in_the_docs_is_what_is_decided() {
        let rows: Vec<&str> =
            include_str!("process.rs").lines().filter(|line| line.starts_with("//! | ")).skip(1).collect();
        assert_eq!(rows.len(), State::ALL.len());
        for (state, row) in State::ALL.into_iter().zip(rows) {
            let cells = INPUTS.map(|input| cell(state, input)).join(" | ");
            assert_eq!(row, format!("//! | {state:?} | {cells} |"));
        }
    }

    #[test]
    fn a_settled_process_never_changes_and_a_settling_input_leaves_no_way_back() {
        for state in State::ALL.into_iter().filter(|state| state.is_settled()) {
            for input in INPUTS {
                assert_eq!(decide(state, input), (state, [].as_slice()));
            }
        }
    }

    #[test]
    fn a_tail_keeps_the_end_and_counts_the_rest() {
        let mut tail = Tail::default();
        for bytes in [b"abc".as_slice(), b"defg", b"0123456789"] {
            tail.push(bytes, 5);
        }
        assert_eq!(tail.get(), Output { bytes: b"56789".to_vec(), dropped: 12 });
        tail.push(b"x", 5);
        assert_eq!(tail.get(), Output { bytes: b"6789x".to_vec(), dropped: 13 });
        let mut none = Tail::default();
        none.push(b"abc", 0);
        assert_eq!(none.get(), Output { bytes: vec![], dropped: 3 });
    }
}
