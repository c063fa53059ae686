//! One of the run's threads: it starts one process after the other, under a name of its own, does to each what its plan
//! says, and has what was reported of it judged.

use std::collections::VecDeque;
use std::fmt::Write;
use std::fs;
use std::mem;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::board::{Board, Key};
use crate::control::Control;
use crate::dice::Dice;
use crate::episode::{Call, Episode, Found, Holder, LONG};
use crate::judge::Asked;
use crate::life::{self, Life};
use crate::plan::{self, Ending, Fate, Plan};
use crate::seats::{Seats, Upset};
use crate::stage::{HOST, Stage, Way};
use crate::support::ProcessInfo;
use crate::tally::Tally;

/// How many lines a fault is shown with of what was called before it.
const SHOWN: usize = 60;
/// After so many managers one after the other, a process's next one is not ended on purpose.
const MOST_HOLDERS: usize = 6;
/// How long a process may live whose manager is gone: its grace, and the time that a busy host takes.
const DYING: Duration = Duration::from_secs(20);

/// What all lanes share.
pub struct Run<'a> {
    pub stage: &'a Stage,
    pub board: Arc<Board>,
    pub seats: Seats<'a>,
    pub tally: Tally,
    pub neighbours: Vec<Neighbour>,
    /// Kept processes whose end was reported by a manager that is gone: it may not have said so to the host, which
    /// keeps word of the end for the next one.
    pub unacknowledged: Mutex<Vec<String>>,
}

/// A lane, as the other ones know it.
#[derive(Default)]
pub struct Neighbour {
    /// What its process is called at this moment.
    name: Mutex<String>,
    /// How many calls by others to end its process were made, and how many of them have returned.
    calls: AtomicUsize,
    returned: AtomicUsize,
}

pub struct Lane<'a> {
    run: &'a Run<'a>,
    number: usize,
    dice: Dice,
    uuid: String,
    /// How many processes it has started, and how many names it has used.
    starts: usize,
    names: usize,
    history: VecDeque<String>,
    /// The last process of this name, if it was kept and its client was killed.
    former: Option<Life>,
    /// Logs of the starts that did not come to run.
    silent: Vec<PathBuf>,
}

impl<'a> Lane<'a> {
    pub fn new(run: &'a Run<'a>, number: usize, seed: u64) -> Lane<'a> {
        let mut lane = Lane {
            run,
            number,
            dice: Dice::new(seed ^ (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            uuid: String::new(),
            starts: 0,
            names: 0,
            history: VecDeque::new(),
            former: None,
            silent: Vec::new(),
        };
        lane.rename();
        lane
    }

    /// Starts processes until there are enough. Gives the logs of those that did not come to run.
    pub fn run(mut self) -> Vec<PathBuf> {
        let mut former: Option<Episode> = None;
        while self.run.tally.take_start() {
            let on = former.as_ref().map(|former| Arc::clone(&former.holder().manager));
            let next = self.begin(on);
            if let Some(former) = former.take() {
                self.finish(former);
            }
            let Some(mut episode) = next else { continue };
            match self.live(&mut episode) {
                // The next one begins at once, before anybody has looked at the event of this one's end.
                true => former = Some(episode),
                false => self.finish(episode),
            }
        }
        if let Some(former) = former {
            self.finish(former);
        }
        self.silent
    }

    /// Takes a new name: of the old one something may live on for its grace.
    fn rename(&mut self) {
        self.names += 1;
        self.former = None;
        self.uuid = format!("lane{}-{}", self.number, self.names);
        self.neighbour(self.number).name.lock().unwrap().clone_from(&self.uuid);
    }

    fn neighbour(&self, number: usize) -> &'a Neighbour {
        &self.run.neighbours[number]
    }

    fn note(&mut self, text: impl AsRef<str>) {
        let text: String = text.as_ref().chars().take(300).collect();
        self.history.push_back(self.run.tally.note(&self.uuid, &text));
        if self.history.len() > SHOWN {
            self.history.pop_front();
        }
    }

    /// Starts a process, on this manager if there is one.
    fn begin(&mut self, on: Option<Arc<Control>>) -> Option<Episode> {
        let plan = Plan::draw(&mut self.dice);
        self.starts += 1;
        let (log_there, log) = self.run.stage.file(&format!("{}.{}.log", self.uuid, self.starts));
        let (file_there, log_file) = self.run.stage.file(&format!("{}.{}.output", self.uuid, self.starts));
        let request = plan.request(&self.run.stage.remote.app(), &log_there, &file_there);
        let manager = on.unwrap_or_else(|| self.run.seats.pick(&mut self.dice));
        let others = self.neighbour(self.number).returned.load(Ordering::Acquire);
        self.note(format!("---- start {} on {} ({:?}): {plan:?}", self.uuid, manager.number, manager.way));
        let answer = manager.call(&format!("start {} {request}", self.uuid));
        self.note(format!("start: {answer:?}"));
        let mut episode = Episode {
            plan,
            uuid: self.uuid.clone(),
            log,
            log_file,
            holders: Vec::new(),
            calls: Vec::new(),
            asked: Asked::default(),
            others,
            complaint: None,
        };
        let key = match answer {
            Ok(answer) => Some(key_of(&manager, &answer)),
            Err(error) if error.starts_with("ShutDown") => return None,
            // It may have begun.
            Err(error) if error.starts_with("Gone") => None,
            Err(error) => {
                episode.complain(format!("a start after the end was reported: {error}"));
                self.show(&episode);
                self.rename();
                return None;
            }
        };
        self.run.tally.count("started");
        episode.holders.push(Holder { manager, key });
        Some(episode)
    }

    /// Lets a process live, and does to it what its plan says, until its end was reported or nobody is there to report
    /// it. True: a kill has returned, and the next process is to be started at once.
    fn live(&mut self, episode: &mut Episode) -> bool {
        let pokes = mem::take(&mut episode.plan.pokes);
        for poke in &pokes {
            self.poke(episode, poke);
        }
        let mut upset = episode.plan.upset;
        let is_one_kill = matches!(pokes.as_slice(), [poke] if poke.contains("UUID kill UUID")) && upset.is_none();
        if is_one_kill && self.settle_calls(episode) {
            return !episode.holder().manager.is_leaving();
        }
        loop {
            if let Some(upset) = upset.take() {
                self.upset(episode, upset);
            }
            let found = self.await_end(episode);
            if found != Found::Gone || !self.adopt(episode) {
                return false;
            }
            if self.dice.below(2) == 0 {
                let poke = plan::poke(&mut self.dice);
                self.poke(episode, &poke);
            }
            upset = plan::upset(&mut self.dice, true).filter(|_| episode.holders.len() < MOST_HOLDERS);
        }
    }

    /// Makes a call, whose answer is to come.
    fn poke(&mut self, episode: &mut Episode, poke: &str) {
        let manager = Arc::clone(&episode.holder().manager);
        let other = self.dice.below(self.run.neighbours.len());
        let other = (poke.contains("OTHER") && other != self.number).then_some(other);
        let other_name = other.map_or("nobody".to_owned(), |other| self.neighbour(other).name.lock().unwrap().clone());
        let words = poke.replace("UUID", &episode.uuid).replace("OTHER", &other_name);
        if let Some(other) = other {
            self.neighbour(other).calls.fetch_add(1, Ordering::AcqRel);
        }
        let Asked { end, strike, parent } = &mut episode.asked;
        *end |= words.contains("kill") || words.contains("signal");
        *strike |= words.contains("strike") || words.contains("kill-client");
        // One that runs beside its manager, and is not kept, has no other parent.
        *parent |= *strike && manager.way == Way::Local && !episode.plan.keep;
        self.note(format!("to {}: {words}", manager.number));
        let question = manager.ask(&words);
        episode.calls.push(Call { manager, words, question, other });
    }

    /// Waits for the answers to all calls. True when one of them returned how the process ended.
    fn settle_calls(&mut self, episode: &mut Episode) -> bool {
        let mut has_ended = false;
        for Call { manager, words, question, other } in mem::take(&mut episode.calls) {
            let answer = manager.wait(question);
            if let Some(other) = other {
                self.neighbour(other).returned.fetch_add(1, Ordering::AcqRel);
            }
            self.note(format!("answer of {} to {words}: {answer:?}", manager.number));
            match answer {
                Ok(text) => has_ended |= text.starts_with("exited ") || text.starts_with("failed "),
                Err(error) if error.starts_with("Silent") => episode.complain(format!("{words}: {error}")),
                // A call can be refused.
                Err(_) => {}
            }
        }
        has_ended
    }

    /// Ends the manager: of a process that is kept mostly when it runs, so that there is something to adopt.
    fn upset(&mut self, episode: &mut Episode, upset: Upset) {
        if episode.plan.keep && self.dice.below(4) > 0 {
            episode.await_start(&self.run.board, LONG);
        }
        thread::sleep(Duration::from_millis(self.dice.below(400) as u64));
        let manager = Arc::clone(&episode.holder().manager);
        self.note(format!("{upset:?} manager {}", manager.number));
        if let Err(error) = self.run.seats.upset(&manager, upset) {
            episode.complain(error);
        }
        self.note(format!("{upset:?} is done"));
    }

    /// Waits until the end was reported, or the manager is gone; what does not end by itself is ended.
    fn await_end(&mut self, episode: &mut Episode) -> Found {
        let ends_itself = episode.plan.ending != Ending::Wait || episode.plan.fate != Fate::Runs;
        if !ends_itself && episode.await_end(&self.run.board, Duration::from_millis(500)) == Found::Nothing {
            self.poke(episode, "kill UUID 3000");
        }
        let found = episode.await_end(&self.run.board, LONG);
        self.settle_calls(episode);
        found
    }

    /// Has one or two other managers adopt a process whose manager is gone. False when there is nothing to adopt.
    fn adopt(&mut self, episode: &mut Episode) -> bool {
        // It may have ended by then.
        thread::sleep(Duration::from_millis(self.dice.below(2) as u64 * self.dice.below(600) as u64));
        let begun = Instant::now();
        while episode.plan.keep && begun.elapsed() < LONG {
            let mut managers = vec![self.run.seats.pick(&mut self.dice)];
            let second = self.run.seats.pick(&mut self.dice);
            if second.number != managers[0].number && self.dice.below(2) == 0 {
                managers.push(second);
            }
            let words = format!("adopt {} {HOST}", episode.uuid);
            let questions: Vec<_> = managers.iter().map(|manager| manager.ask(&words)).collect();
            let answers: Vec<_> = managers.iter().zip(questions).map(|(manager, asked)| manager.wait(asked)).collect();
            let holders = episode.holders.len();
            for (manager, answer) in managers.into_iter().zip(&answers) {
                self.note(format!("adopt by {}: {answer:?}", manager.number));
                if let Ok(answer) = answer {
                    let key = Some(key_of(&manager, answer));
                    episode.holders.push(Holder { manager, key });
                }
            }
            let adopters = &episode.holders[holders..];
            if !adopters.is_empty() {
                // Others can have one of them let go, and then the next one may have it.
                if adopters.iter().filter(|adopter| !adopter.manager.is_leaving()).count() > 1 {
                    episode.complain("two managers have adopted it".into());
                }
                self.run.tally.count("adopted");
                return true;
            }
            let is_absent = |answer: &Result<String, String>| {
                answer.as_ref().is_err_and(|error| error.contains("its host does not have it"))
            };
            if answers.iter().all(is_absent) && !episode.life().is_some_and(|life| life.is_alive()) {
                return false;
            }
            thread::sleep(Duration::from_millis(30));
        }
        if episode.plan.keep {
            episode.complain("nobody could adopt it in time".into());
        }
        false
    }

    fn finish(&mut self, mut episode: Episode) {
        if episode.await_end(&self.run.board, LONG) == Found::Nothing {
            episode.complain("no end was reported in time".into());
        }
        self.settle_calls(&mut episode);
        if episode.is_left() {
            await_death(&episode);
        }
        let by_others = self.neighbour(self.number).calls.load(Ordering::Acquire) > episode.others;
        episode.asked.end |= by_others || episode.is_left();
        let former = self.former.take();
        let judged = episode.judge(&self.run.board, former.as_ref());
        self.note(format!("judged: {judged:?}"));
        match judged {
            Ok(verdict) => self.run.tally.verdict(verdict),
            Err(why) => episode.complain(why),
        }
        self.look_back(&mut episode);
        if episode.complaint.is_some() {
            self.show(&episode);
            end_by_force(&episode);
        }
        if episode.plan.keep && episode.holder().manager.is_leaving() {
            self.run.unacknowledged.lock().unwrap().push(self.uuid.clone());
        }
        if episode.complaint.is_some() || episode.is_left() {
            self.rename();
        } else if episode.plan.keep && episode.asked.strike {
            self.former = episode.life();
        }
        let _ = fs::remove_file(&episode.log_file);
        // A start whose manager is gone can come to run before its host hears of that.
        if episode.life().is_none() && !episode.is_left() {
            self.silent.push(episode.log);
        }
    }

    /// Looks whether one of the starts before has come to run after its end was reported.
    fn look_back(&mut self, episode: &mut Episode) {
        if let Some(at) = self.silent.iter().position(|log| !life::read(log).is_empty()) {
            let log = self.silent.remove(at);
            let name = log.file_stem().unwrap_or_default().to_string_lossy();
            episode.complain(format!("a start before, {name}, ran after its end was reported"));
        }
    }

    fn show(&self, episode: &Episode) {
        let mut text = String::new();
        for Holder { manager, key } in &episode.holders {
            let reports = key.as_ref().map(|key| self.run.board.reports(key));
            let _ = writeln!(text, "  manager {} reported {reports:?}", manager.number);
        }
        let _ = writeln!(text, "  the application: {:?}", episode.life());
        for line in &self.history {
            let _ = writeln!(text, "  {line}");
        }
        let why = episode.complaint.as_deref().unwrap_or_default();
        self.run.tally.fault(&format!("{}: {why}", episode.uuid), &text);
    }
}

fn key_of(manager: &Control, answer: &str) -> Key {
    let start = answer.strip_prefix("begun ").and_then(|number| number.parse().ok());
    Key { manager: manager.number, start: start.unwrap_or_else(|| panic!("what is {answer:?}?")) }
}

/// Waits for the death of a process whose manager is gone.
fn await_death(episode: &Episode) {
    let begun = Instant::now();
    while episode.life().as_ref().is_some_and(Life::is_alive) && begun.elapsed() < DYING {
        thread::sleep(Duration::from_millis(20));
    }
}

/// Ends what should have ended, so that it is not in the way.
fn end_by_force(episode: &Episode) {
    let Some(life) = episode.life().filter(Life::is_alive) else { return };
    if let Some(process) = ProcessInfo::of(life.pid) {
        let _ = process.signal(libc::SIGKILL);
    }
}
