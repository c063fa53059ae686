//! A lane is one of the run's threads. It starts one process after the other under its own uuid, carries out the plan
//! of each, and has the reports about each judged.

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
use crate::seats::{ManagerEnd, Seats};
use crate::stage::{HOST, Stage, Way};
use crate::support::ProcessInfo;
use crate::tally::Tally;

/// How many of the lane's last notes are shown with a fault.
const SHOWN: usize = 60;
/// After this many managers of one process, the lane does not end the next one on purpose.
const MOST_HOLDERS: usize = 6;
/// How long a process may outlive its manager: its grace, and the time that a busy host needs.
const DYING: Duration = Duration::from_secs(20);

/// What all lanes share.
pub struct Run<'a> {
    pub stage: &'a Stage,
    pub board: Arc<Board>,
    pub seats: Seats<'a>,
    pub tally: Tally,
    pub neighbours: Vec<Neighbour>,
    /// The kept processes whose exit was reported by a manager that is gone. It may not have acknowledged the exit to
    /// the host, which then keeps the record for the next manager.
    pub unacknowledged: Mutex<Vec<String>>,
}

/// What the other lanes know about a lane.
#[derive(Default)]
pub struct Neighbour {
    /// The uuid of the lane's current process.
    name: Mutex<String>,
    /// How many calls the other lanes made to end its processes, and how many of these calls have returned.
    calls: AtomicUsize,
    returned: AtomicUsize,
}

pub struct Lane<'a> {
    run: &'a Run<'a>,
    number: usize,
    dice: Dice,
    uuid: String,
    /// How many processes the lane has started, and how many names it has used.
    starts: usize,
    names: usize,
    history: VecDeque<String>,
    /// The last process of this name, if it was kept and its client was killed.
    former: Option<Life>,
    /// The logs of the starts whose application did not run.
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

    /// Starts processes until the run has enough. Returns the logs of the starts whose application did not run.
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
                // The next process starts at once, before anybody has looked at the event of this one's end.
                true => former = Some(episode),
                false => self.finish(episode),
            }
        }
        if let Some(former) = former {
            self.finish(former);
        }
        self.silent
    }

    /// Takes a new uuid, because a process under the old one may live on for its grace.
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

    /// Starts a process with the manager `on`, or with a random one. Returns `None` if the start was refused.
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
            // The process may have started.
            Err(error) if error.starts_with("Gone") => None,
            Err(error) => {
                episode.complain(format!("a start was refused although the end had been reported: {error}"));
                self.show(&episode);
                self.rename();
                return None;
            }
        };
        self.run.tally.count("started");
        episode.holders.push(Holder { manager, key });
        Some(episode)
    }

    /// Carries out the plan of a process until its end was reported, or no manager is left that could report it.
    /// Returns true if a kill has returned and the next process is to be started at once.
    fn live(&mut self, episode: &mut Episode) -> bool {
        let commands = mem::take(&mut episode.plan.commands);
        for command in &commands {
            self.send(episode, command);
        }
        let mut manager_end = episode.plan.manager_end;
        let is_one_kill =
            matches!(commands.as_slice(), [command] if command.contains("UUID kill UUID")) && manager_end.is_none();
        if is_one_kill && self.settle_calls(episode) {
            return !episode.holder().manager.is_leaving();
        }
        loop {
            if let Some(manager_end) = manager_end.take() {
                self.end_manager(episode, manager_end);
            }
            let found = self.await_end(episode);
            if found != Found::Gone || !self.adopt(episode) {
                return false;
            }
            if self.dice.below(2) == 0 {
                let command = plan::command(&mut self.dice);
                self.send(episode, &command);
            }
            manager_end = plan::manager_end(&mut self.dice, true).filter(|_| episode.holders.len() < MOST_HOLDERS);
        }
    }

    /// Sends a command to the manager. [`Lane::settle_calls`] waits for its answer.
    fn send(&mut self, episode: &mut Episode, command: &str) {
        let manager = Arc::clone(&episode.holder().manager);
        let other = self.dice.below(self.run.neighbours.len());
        let other = (command.contains("OTHER") && other != self.number).then_some(other);
        let other_name = other.map_or("nobody".to_owned(), |other| self.neighbour(other).name.lock().unwrap().clone());
        let words = command.replace("UUID", &episode.uuid).replace("OTHER", &other_name);
        if let Some(other) = other {
            self.neighbour(other).calls.fetch_add(1, Ordering::AcqRel);
        }
        let Asked { end, strike, parent } = &mut episode.asked;
        *end |= words.contains("kill") || words.contains("signal");
        *strike |= words.contains("strike") || words.contains("kill-client");
        // A process on its manager's own machine that is not kept has no other parent.
        *parent |= *strike && manager.way == Way::Local && !episode.plan.keep;
        self.note(format!("to {}: {words}", manager.number));
        let question = manager.ask(&words);
        episode.calls.push(Call { manager, words, question, other });
    }

    /// Waits for the answers to all calls. Returns true if one of them said how the process ended.
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
                // A manager may refuse a call.
                Err(_) => {}
            }
        }
        has_ended
    }

    /// Ends the manager of a process. For a kept process, waits in most cases until it runs, so that there is something
    /// to adopt.
    fn end_manager(&mut self, episode: &mut Episode, manager_end: ManagerEnd) {
        if episode.plan.keep && self.dice.below(4) > 0 {
            episode.await_start(&self.run.board, LONG);
        }
        thread::sleep(Duration::from_millis(self.dice.below(400) as u64));
        let manager = Arc::clone(&episode.holder().manager);
        self.note(format!("{manager_end:?} manager {}", manager.number));
        if let Err(error) = self.run.seats.replace(&manager, manager_end) {
            episode.complain(error);
        }
        self.note(format!("{manager_end:?} is done"));
    }

    /// Waits until the end was reported or the manager is gone. Kills a process that does not end by itself.
    fn await_end(&mut self, episode: &mut Episode) -> Found {
        let ends_itself = episode.plan.ending != Ending::Wait || episode.plan.fate != Fate::Runs;
        if !ends_itself && episode.await_end(&self.run.board, Duration::from_millis(500)) == Found::Nothing {
            self.send(episode, "kill UUID 3000");
        }
        let found = episode.await_end(&self.run.board, LONG);
        self.settle_calls(episode);
        found
    }

    /// Makes one or two other managers adopt a process whose manager is gone. Returns false if there is nothing to
    /// adopt.
    fn adopt(&mut self, episode: &mut Episode) -> bool {
        // The process may end in the meantime.
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
                match answer {
                    Ok(answer) => {
                        let key = Some(key_of(&manager, answer));
                        episode.holders.push(Holder { manager, key });
                    }
                    Err(_) if manager.is_leaving() => episode.holders.push(Holder { manager, key: None }),
                    Err(_) => {}
                }
            }
            let adopters = &mut episode.holders[holders..];
            // The last holder is the one that has it: another lane can have ended the first of two, and the second one
            // adopted it then.
            adopters.sort_by_key(|adopter| (adopter.key.is_some(), !adopter.manager.is_leaving()));
            if adopters.last().is_some_and(|adopter| adopter.key.is_some()) {
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
        self.check_earlier_starts(&mut episode);
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
        // If the manager is gone, the application can start before the host learns of that.
        if episode.life().is_none() && !episode.is_left() {
            self.silent.push(episode.log);
        }
    }

    /// Complains if the application of an earlier start ran after the end of that start was reported.
    fn check_earlier_starts(&mut self, episode: &mut Episode) {
        if let Some(at) = self.silent.iter().position(|log| !life::read(log).is_empty()) {
            let log = self.silent.remove(at);
            let name = log.file_stem().unwrap_or_default().to_string_lossy();
            episode.complain(format!("an earlier start, {name}, ran after its end was reported"));
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
    Key {
        manager: manager.number,
        start: start.unwrap_or_else(|| panic!("an answer that the suite does not know: {answer:?}")),
    }
}

/// Waits until a process whose manager is gone has ended, at most for `DYING`.
fn await_death(episode: &Episode) {
    let begun = Instant::now();
    while episode.life().as_ref().is_some_and(Life::is_alive) && begun.elapsed() < DYING {
        thread::sleep(Duration::from_millis(20));
    }
}

/// Kills an application that should have ended, so that it does not disturb what follows.
fn end_by_force(episode: &Episode) {
    let Some(life) = episode.life().filter(Life::is_alive) else { return };
    if let Some(process) = ProcessInfo::of(life.pid) {
        let _ = process.signal(libc::SIGKILL);
    }
}
