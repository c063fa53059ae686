//! The kill sequence: its timeouts, its results, and the way of one process through it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError};

use crate::model::error::{Error, Result};
use crate::model::exit_status::ExitStatus;
use crate::model::options::KillStep;
use crate::watch::process::{Announcement, Outcome, Process, Reached};
use crate::watch::state::{Input, State};

/// How long a kill waits after each of its signals, unless its timeouts say otherwise: 10 s.
pub const DEFAULT_KILL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a wrapper may take to answer a signal. If it takes longer, the link counts as dead.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a kill waits after its last signal when the time of a shutdown is over.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// How long a kill waits after each signal: for all processes, and for single processes.
///
/// A step of [`Options::kill_sequence`](crate::Options::kill_sequence) that has a wait of its own does not use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KillTimeouts {
    default: Duration,
    by_uuid: HashMap<String, Duration>,
}

impl Default for KillTimeouts {
    fn default() -> KillTimeouts {
        KillTimeouts::from(DEFAULT_KILL_TIMEOUT)
    }
}

/// Uses one timeout for all processes.
impl From<Duration> for KillTimeouts {
    fn from(default: Duration) -> KillTimeouts {
        KillTimeouts { default, by_uuid: HashMap::new() }
    }
}

impl KillTimeouts {
    /// Sets the timeout of one process, by its uuid. The last call for a uuid counts.
    pub fn with(mut self, uuid: impl Into<String>, timeout: Duration) -> KillTimeouts {
        self.by_uuid.insert(uuid.into(), timeout);
        self
    }

    pub(crate) fn of(&self, uuid: &str) -> Duration {
        self.by_uuid.get(uuid).copied().unwrap_or(self.default)
    }
}

/// The results of a kill, by uuid: how the process ended, or why that is unknown.
pub type KillResults = BTreeMap<String, Result<ExitStatus>>;

/// The way of one process through the kill sequence.
pub(crate) struct Kill {
    process: Arc<Process>,
    timeout: Duration,
    /// When the time of the shutdown is over, if this kill is part of one.
    until: Option<Instant>,
    begun: Instant,
    /// Until when to wait for the exit callbacks of an ended process. `None`: for ever.
    limit: Option<Instant>,
    next_step: usize,
    /// When the next step is due. `None`: never.
    deadline: Option<Instant>,
    /// The last step, and to whom it was sent.
    last: Option<(KillStep, Reached)>,
    /// The receiver of the answer to a signal, and until when the wrapper must have answered.
    answer: Option<(Receiver<bool>, Instant)>,
    /// When to send the signal again to a setup that goes on. Not soon, because the setup may be cleaning up. It is
    /// needed because bash and mksh with an EXIT trap lose a signal that comes between their check for signals and
    /// their wait for a child: one of 70 signals that came while they forked was lost.
    again: Option<Instant>,
}

impl Kill {
    pub(crate) fn new(process: Arc<Process>, timeout: Duration, until: Option<Instant>, sequence: &[KillStep]) -> Kill {
        let begun = Instant::now();
        let all_steps =
            sequence.iter().map(|step| step.wait.unwrap_or(timeout)).fold(Duration::ZERO, Duration::saturating_add);
        let last = until.map(|until| until.max(begun + LAST_WAIT));
        let limit = [begun.checked_add(all_steps), last].into_iter().flatten().min();
        Kill {
            process,
            timeout,
            until,
            begun,
            limit,
            next_step: 0,
            deadline: None,
            last: None,
            answer: None,
            again: None,
        }
    }

    pub(crate) fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Returns when there is something to do, if nothing happens before.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let answer = self.answer.as_ref().map(|(_, until)| *until);
        [self.deadline, self.again, answer].into_iter().flatten().min()
    }

    /// Does what is due. Returns the result, once there is one.
    pub(crate) fn advance(&mut self, sequence: &[KillStep]) -> Option<Outcome> {
        loop {
            if let Some(outcome) = self.process.outcome_after(Announcement::Complete) {
                return Some(outcome);
            }
            let now = Instant::now();
            if let Some(outcome) = self.process.outcome() {
                // The end is being announced, and the exit callbacks run. No step is due any more.
                (self.deadline, self.again, self.answer) = (self.limit, None, None);
                return self.limit.is_some_and(|limit| limit <= now).then_some(outcome);
            }
            self.check_answer(now);
            let due = self.next_step == 0 || self.deadline.is_some_and(|deadline| deadline <= now);
            if !due {
                self.repeat(now);
                return None;
            }
            let Some(step) = sequence.get(self.next_step) else {
                let waited = now.duration_since(self.begun);
                return Some(Err(Error::StillRunning { uuid: self.process.uuid().to_owned(), waited }));
            };
            self.send(*step);
            self.next_step += 1;
            let wait = step.wait.unwrap_or(self.timeout);
            self.again = now.checked_add(wait / 2).filter(|_| matches!(self.last, Some((_, Reached::Setup))));
            let deadline = now.checked_add(wait);
            self.deadline = match self.until {
                None => deadline,
                Some(until) if self.next_step < sequence.len() => Some(deadline.map_or(until, |at| at.min(until))),
                Some(until) => {
                    let last = until.max(now + LAST_WAIT);
                    Some(deadline.map_or(last, |at| at.min(last)))
                }
            };
        }
    }

    /// Takes the answer to a signal, or gives up the link if the wrapper has not answered in time.
    fn check_answer(&mut self, now: Instant) {
        let Some((answer, until)) = &self.answer else { return };
        match answer.try_recv() {
            Err(TryRecvError::Empty) if *until > now => return,
            Err(TryRecvError::Empty) => self.process.give_up_link(),
            Ok(_) | Err(TryRecvError::Disconnected) => {}
        }
        self.answer = None;
    }

    /// Sends the last step again, if that can help.
    fn repeat(&mut self, now: Instant) {
        let Some((step, reached)) = self.last else { return };
        let is_due = self.again.take_if(|again| *again <= now).is_some();
        let can_help = match reached {
            // A restored link takes what the lost one did not.
            Reached::Nobody => self.process.is_alive(),
            // The setup survived the signal that was sent to it, and now the application needs one of its own.
            Reached::Setup => is_due || self.process.has_run(),
            Reached::Application => false,
        };
        if can_help {
            self.send(step);
        }
    }

    fn send(&mut self, step: KillStep) {
        // This kill may have begun without a link, and the link was restored: then the state does not show the kill
        // yet.
        if matches!(self.process.state(), State::Starting | State::Running) {
            self.process.take(Input::Kill);
        }
        let (reached, answer) = self.process.kill_step(&step);
        self.last = Some((step, reached));
        if let (None, Some(answer), Some(until)) = (&self.answer, answer, Instant::now().checked_add(ANSWER)) {
            self.answer = Some((answer, until));
        }
    }
}
