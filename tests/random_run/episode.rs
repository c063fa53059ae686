//! One process of a lane, from its start to its end: which managers had it, which calls were made, and what the
//! managers reported.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::board::{Board, Key, State};
use crate::control::{Control, Question};
use crate::judge::{Asked, Case, Manager, Verdict, Witness, judge};
use crate::life::{self, Life};
use crate::plan::Plan;
use crate::report::Report;

/// How long to wait for anything that must come. The whole time passes only if something is wrong.
pub const LONG: Duration = Duration::from_secs(120);

/// The longest time that the news of an exit takes from its host to the manager's program.
const TAKING: Duration = Duration::from_secs(2);

/// A manager that has the process, or had it.
pub struct Holder {
    pub manager: Arc<Control>,
    /// `None` if the manager answered with an error, because it was ending: it may have had the process all the same.
    pub key: Option<Key>,
}

/// A call that has not been answered yet.
pub struct Call {
    pub manager: Arc<Control>,
    pub words: String,
    pub question: Question,
    /// Another lane whose process the call is to end too.
    pub other: Option<usize>,
}

pub struct Episode {
    pub plan: Plan,
    pub uuid: String,
    pub log: PathBuf,
    pub log_file: PathBuf,
    pub holders: Vec<Holder>,
    pub calls: Vec<Call>,
    pub asked: Asked,
    /// How many calls of other lanes to end this lane's process had returned when the episode began.
    pub others: usize,
    /// The first thing that was found to be wrong.
    pub complaint: Option<String>,
}

/// The result of a wait for an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Ended,
    /// The manager's process has ended, or another manager has taken the process over and is gone.
    Gone,
    Nothing,
}

impl Episode {
    pub fn holder(&self) -> &Holder {
        self.holders.last().expect("a manager has started it")
    }

    pub fn life(&self) -> Option<Life> {
        life::read(&self.log).pop()
    }

    pub fn complain(&mut self, why: String) {
        self.complaint.get_or_insert(why);
    }

    /// Returns whether one of its managers was detached or killed, or is about to be.
    pub fn is_left(&self) -> bool {
        self.holders.iter().any(|holder| holder.manager.is_leaving())
    }

    pub fn await_end(&self, board: &Board, time: Duration) -> Found {
        let Holder { manager, key } = self.holder();
        // Of two managers that adopt a process at once, the one that is leaving can get its exit for a moment.
        let has_lost_it = |state: &State, key| {
            let is_taken_over = state.reports(key).iter().any(Report::is_taken_over);
            is_taken_over
                && self.holders.iter().any(|holder| holder.key.is_none() && state.is_gone(holder.manager.number))
        };
        let found = board.wait(time, |state| match key {
            Some(key) if state.end(key).is_some() => Some(Found::Ended),
            Some(key) if has_lost_it(state, key) => Some(Found::Gone),
            _ if state.is_gone(manager.number) => Some(Found::Gone),
            _ => None,
        });
        found.unwrap_or(Found::Nothing)
    }

    /// Waits until the manager has reported anything about the start, or has ended.
    pub fn await_start(&self, board: &Board, time: Duration) {
        let Holder { manager, key } = self.holder();
        board.wait(time, |state| {
            let is_over = state.is_gone(manager.number);
            let is_begun = key.is_some_and(|key| !state.reports(&key).is_empty());
            (is_over || is_begun).then_some(())
        });
    }

    /// Returns whether the application wrote to its log for the last time just before a manager of it was killed: less
    /// than `TAKING` before.
    fn may_have_been_taken(&self) -> bool {
        let Ok(last_word) = fs::metadata(&self.log).and_then(|log| log.modified()) else { return false };
        let killed = self.holders.iter().filter_map(|holder| holder.manager.killed_at());
        killed.filter_map(|killed| killed.duration_since(last_word).ok()).any(|time| time < TAKING)
    }

    /// Compares what the managers reported with what the application recorded. [`Case`] says what `former` is.
    pub fn judge(&self, board: &Board, former: Option<&Life>) -> Result<Verdict, String> {
        let witnesses: Vec<Witness> = self.holders.iter().map(|holder| witness(board, holder)).collect();
        let life = self.life();
        judge(&Case {
            plan: &self.plan,
            asked: self.asked,
            alive: life.as_ref().is_some_and(Life::is_alive),
            life: life.as_ref(),
            may_have_been_taken: self.may_have_been_taken(),
            former,
            log_file: self.plan.log_file.then(|| fs::metadata(&self.log_file).map_or(0, |file| file.len())),
            witnesses: &witnesses,
        })
    }
}

fn witness(board: &Board, Holder { manager, key }: &Holder) -> Witness {
    let Some(key) = key else { return Witness { manager: Manager::Killed, reports: Vec::new(), output: None } };
    // Each end is reported by a callback too, which may come a moment after the event.
    board.wait(LONG, |state| {
        let is_last = |report: &Report| matches!(report, Report::Called(_)) || report.is_taken_over();
        (state.reports(key).iter().any(is_last) || state.is_gone(manager.number)).then_some(())
    });
    let files = ["out", "err"].map(|name| manager.output.join(format!("{}.{name}", key.start)));
    let output = match files.each_ref().map(fs::read) {
        [Ok(stdout), Ok(stderr)] => Some([stdout, stderr]),
        _ => None,
    };
    for file in files {
        let _ = fs::remove_file(file);
    }
    let fate = match manager.is_leaving() {
        true if manager.was_killed() => Manager::Killed,
        true => Manager::Detached,
        false => Manager::Stays,
    };
    Witness { manager: fate, reports: board.reports(key), output }
}
