//! Ending processes: timeouts, results, and one process's way through the kill sequence.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError};

use crate::error::{Error, Result};
use crate::exit_status::ExitStatus;
use crate::options::KillStep;
use crate::process::{Announcement, Outcome, Process, Reached};
use crate::state::{Input, State};

/// How long a kill waits after each of its signals, unless it is told otherwise.
pub const DEFAULT_KILL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a wrapper may take to answer. A link that is slower, or a host, counts as one that hears nobody.
const ANSWER: Duration = Duration::from_secs(10);
/// How long KILL is waited for when the time for a shutdown is over.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// How long a kill waits after each signal: for all processes, and for single ones.
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

/// The same for all.
impl From<Duration> for KillTimeouts {
    fn from(default: Duration) -> KillTimeouts {
        KillTimeouts { default, by_uuid: HashMap::new() }
    }
}

impl KillTimeouts {
    /// Sets the timeout of one process.
    pub fn with(mut self, uuid: impl Into<String>, timeout: Duration) -> KillTimeouts {
        self.by_uuid.insert(uuid.into(), timeout);
        self
    }

    pub(crate) fn of(&self, uuid: &str) -> Duration {
        self.by_uuid.get(uuid).copied().unwrap_or(self.default)
    }
}

/// What a kill came to, by uuid: how the process ended, or why there is no answer.
pub type KillResults = BTreeMap<String, Result<ExitStatus>>;

/// One process's way through the kill sequence.
pub(crate) struct Kill {
    process: Arc<Process>,
    timeout: Duration,
    /// When a shutdown's time is over.
    until: Option<Instant>,
    begun: Instant,
    /// How long the exit callbacks of an ended process are waited for; none: for ever.
    limit: Option<Instant>,
    next_step: usize,
    /// When the next step is due; none: never.
    deadline: Option<Instant>,
    /// The last step, and whom it reached.
    last: Option<(KillStep, Reached)>,
    /// The answer to a signal, and until when a wrapper that hears anybody has given it.
    answer: Option<(Receiver<bool>, Instant)>,
    /// When a setup that goes on is told once more: not soon, because it may be cleaning up. bash and mksh lose a signal that comes between
    /// their look for signals and their wait for a child, when they have an EXIT trap: measured, one of 70 that came while
    /// they forked.
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

    /// When there is something to do, if nothing happens before.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let answer = self.answer.as_ref().map(|(_, until)| *until);
        [self.deadline, self.again, answer].into_iter().flatten().min()
    }

    /// Does what is due. The answer, once there is one.
    pub(crate) fn advance(&mut self, sequence: &[KillStep]) -> Option<Outcome> {
        loop {
            if let Some(outcome) = self.process.outcome_after(Announcement::Complete) {
                return Some(outcome);
            }
            let now = Instant::now();
            if let Some(outcome) = self.process.outcome() {
                // It is being announced, and its callbacks run. No step is due any more.
                (self.deadline, self.again, self.answer) = (self.limit, None, None);
                return self.limit.is_some_and(|limit| limit <= now).then_some(outcome);
            }
            self.look_for_answer(now);
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

    /// Gives the link up when a signal is not answered: nobody on the host reads commands any more.
    fn look_for_answer(&mut self, now: Instant) {
        let Some((answer, until)) = &self.answer else { return };
        match answer.try_recv() {
            Err(TryRecvError::Empty) if *until > now => return,
            Err(TryRecvError::Empty) => self.process.give_up_link(),
            Ok(_) | Err(TryRecvError::Disconnected) => {}
        }
        self.answer = None;
    }

    /// Sends the last step once more, if that can help.
    fn repeat(&mut self, now: Instant) {
        let Some((step, reached)) = self.last else { return };
        let is_due = self.again.take_if(|again| *again <= now).is_some();
        let can_help = match reached {
            // A link that was restored takes what the lost one did not.
            Reached::Nobody => self.process.is_alive(),
            // The application has not had its signal: its setup survived its own.
            Reached::Setup => is_due || self.process.has_run(),
            Reached::Application => false,
        };
        if can_help {
            self.send(step);
        }
    }

    fn send(&mut self, step: KillStep) {
        // There was no link when this kill began, and there is one again.
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
