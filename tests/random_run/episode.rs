//! One process of a lane, from its start to its end: who has had it, what was asked of them, and what they reported.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::board::{Board, Key};
use crate::control::{Control, Question};
use crate::judge::{Asked, Case, Manager, Verdict, Witness, judge};
use crate::life::{self, Life};
use crate::plan::Plan;
use crate::report::Report;

/// How long anything may take that must come. Only what is wrong waits it out.
pub const LONG: Duration = Duration::from_secs(120);

/// How long an end takes from its host to the program, at the most.
const TAKING: Duration = Duration::from_secs(2);

/// A manager that has, or had, the process.
pub struct Holder {
    pub manager: Arc<Control>,
    /// `None`: it was killed before it had answered.
    pub key: Option<Key>,
}

/// A call whose answer is to come.
pub struct Call {
    pub manager: Arc<Control>,
    pub words: String,
    pub question: Question,
    /// Another lane, whose process it is to end too.
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
    /// How many calls by other lanes to end this lane's process had returned when it began.
    pub others: usize,
    /// What is wrong with it: the first of it.
    pub complaint: Option<String>,
}

/// What a wait for an end has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Ended,
    /// The manager is gone.
    Gone,
    Nothing,
}

impl Episode {
    pub fn holder(&self) -> &Holder {
        self.holders.last().expect("somebody has begun it")
    }

    pub fn life(&self) -> Option<Life> {
        life::read(&self.log).pop()
    }

    pub fn complain(&mut self, why: String) {
        self.complaint.get_or_insert(why);
    }

    /// Whether one of its managers has let go of it, or was killed.
    pub fn is_left(&self) -> bool {
        self.holders.iter().any(|holder| holder.manager.is_leaving())
    }

    pub fn await_end(&self, board: &Board, time: Duration) -> Found {
        let Holder { manager, key, .. } = self.holder();
        let found = board.wait(time, |state| match key {
            Some(key) if state.end(key).is_some() => Some(Found::Ended),
            _ if state.is_gone(manager.number) => Some(Found::Gone),
            _ => None,
        });
        found.unwrap_or(Found::Nothing)
    }

    /// Waits until it was reported to run, or is over.
    pub fn await_start(&self, board: &Board, time: Duration) {
        let Holder { manager, key } = self.holder();
        board.wait(time, |state| {
            let is_over = state.is_gone(manager.number);
            let is_begun = key.is_some_and(|key| !state.reports(&key).is_empty());
            (is_over || is_begun).then_some(())
        });
    }

    /// Whether its last word is from the seconds before its manager was killed.
    fn may_have_been_taken(&self) -> bool {
        let Ok(last_word) = fs::metadata(&self.log).and_then(|log| log.modified()) else { return false };
        let killed = self.holder().manager.killed_at();
        killed.and_then(|killed| killed.duration_since(last_word).ok()).is_some_and(|time| time < TAKING)
    }

    /// Compares what was reported with what is true. `former`: see `Case`.
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
    // Each end has its callback, which may come a moment later.
    board.wait(LONG, |state| {
        let is_called = state.reports(key).iter().any(|report| matches!(report, Report::Called(_)));
        (is_called || state.is_gone(manager.number)).then_some(())
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
