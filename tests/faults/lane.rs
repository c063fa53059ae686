//! The part of a session that is on one host: four processes and their strangers. Lanes have their faults at the same
//! time, each its own.

use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::child::RACED;
use crate::control::{Asked, Control, Tidings};
use crate::decoys::Decoy;
use crate::dice::Dice;
use crate::host::Host;
use crate::near::Near;
use crate::recorder::{self, Case, Excuses, Told, Verdict, judge};
use crate::slot::{Kind, Policy, Slot};
use crate::table::Outcome;

/// How long what was disturbed may take to be as it should be. Only what is wrong waits it out.
const SETTLING: Duration = Duration::from_secs(30);
const STARTING: Duration = Duration::from_secs(20);

/// What all lanes share.
pub struct Manager {
    control: RwLock<Arc<Control>>,
    pub tidings: Arc<Tidings>,
}

impl Manager {
    pub fn new(control: Control, tidings: Arc<Tidings>) -> Manager {
        Manager { control: RwLock::new(Arc::new(control)), tidings }
    }

    pub fn control(&self) -> Arc<Control> {
        Arc::clone(&self.control.read().unwrap())
    }

    /// The next one, where that one was killed.
    pub fn replace(&self, control: Control) {
        *self.control.write().unwrap() = Arc::new(control);
    }
}

pub struct Lane<'a> {
    pub host: &'a Host,
    pub near: &'a Near,
    pub manager: &'a Manager,
    pub slots: Vec<Slot>,
    /// One that is started while a fault lasts, and the manager's answer.
    extra: Option<(Slot, Asked)>,
    extras: usize,
    decoys: Vec<Decoy>,
    kills: Vec<Asked>,
    race: Option<(String, Asked)>,
    races: usize,
}

/// How a step came out for one lane.
#[derive(Debug)]
pub struct Outcomes {
    pub worst: Outcome,
    pub ends: usize,
    pub no_code: usize,
    pub run_on: usize,
    pub complaints: Vec<String>,
    /// What came of starts while the fault lasted.
    pub starts: Vec<String>,
}

impl Outcomes {
    pub fn new() -> Outcomes {
        Outcomes { worst: Outcome::Exact, ends: 0, no_code: 0, run_on: 0, complaints: Vec::new(), starts: Vec::new() }
    }

    pub fn merge(&mut self, other: Outcomes) {
        self.worst = self.worst.max(other.worst);
        self.ends += other.ends;
        self.no_code += other.no_code;
        self.run_on += other.run_on;
        self.complaints.extend(other.complaints);
        self.starts.extend(other.starts);
    }

    pub fn complain(&mut self, text: String) {
        self.worst = Outcome::Wrong;
        self.complaints.push(text);
    }

    fn add(&mut self, uuid: &str, verdict: Verdict, told: &[Told]) {
        match verdict {
            Verdict::Runs => self.run_on += 1,
            Verdict::NotStarted => {}
            Verdict::Exact => self.ends += 1,
            Verdict::NoCode => {
                self.ends += 1;
                self.no_code += 1;
            }
            Verdict::Unknown => {
                self.ends += 1;
                self.worst = self.worst.max(Outcome::Unknown);
            }
            Verdict::Wrong(why) => self.complain(format!("{uuid}: {why}; told: {told:?}")),
        }
    }
}

impl<'a> Lane<'a> {
    pub fn new(host: &'a Host, near: &'a Near, manager: &'a Manager) -> Lane<'a> {
        let kinds = [Kind::Plain, Kind::Logged, Kind::Stubborn, Kind::Parent];
        // A third of all is kept.
        let is_kept = |at: usize| at == 1 || (at == 0 && host.number == 0);
        let policy = |at| if is_kept(at) { Policy::Keep } else { Policy::Terminate };
        let slots = kinds.iter().enumerate();
        let slots = slots.map(|(at, kind)| Slot::new(format!("{}-{at}", host.name), *kind, policy(at)));
        let decoys = (0..2).map(|number| Decoy::on(host, number));
        Lane {
            host,
            near,
            manager,
            slots: slots.collect(),
            extra: None,
            extras: 0,
            decoys: decoys.collect(),
            kills: Vec::new(),
            race: None,
            races: 0,
        }
    }

    /// ssh client, application and wrapper.
    pub fn pids(&self, uuid: &str) -> Result<[i32; 3], String> {
        let text = self.manager.control().call(&format!("pids {uuid}"))?;
        let numbers: Vec<i32> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
        numbers.try_into().map_err(|_| text)
    }

    fn is_running(&self, slot: &Slot) -> bool {
        let told = self.manager.tidings.of(&slot.uuid);
        let is_told = told.iter().any(|told| matches!(told, Told::Started { .. })) && !told.iter().any(Told::is_end);
        is_told && slot.life().is_some_and(|life| life.is_alive())
    }

    /// Starts what does not run.
    pub fn prepare(&mut self) -> Result<(), String> {
        let start = Instant::now();
        let mut failures = Vec::new();
        while start.elapsed() < STARTING {
            let mut asked = Vec::new();
            for at in 0..self.slots.len() {
                if !self.is_running(&self.slots[at]) {
                    let command = self.slots[at].start_command(self.host);
                    self.manager.tidings.clear(&self.slots[at].uuid);
                    asked.push((at, self.manager.control().ask(&command)));
                }
            }
            if asked.is_empty() {
                return Ok(());
            }
            for (at, asked) in asked {
                if let Err(error) = self.manager.control().wait(asked) {
                    failures.push(error);
                    thread::sleep(Duration::from_millis(100));
                    continue;
                }
                let uuid = &self.slots[at].uuid;
                let told = until(STARTING, || {
                    let told = self.manager.tidings.of(uuid);
                    (self.is_running(&self.slots[at]) || told.iter().any(Told::is_end)).then_some(told)
                });
                match told {
                    None => failures.push(format!("{uuid}: nothing is told of its start")),
                    Some(told) => {
                        failures.extend(told.iter().filter(|told| told.is_end()).map(|end| format!("{end:?}")))
                    }
                }
            }
        }
        Err(format!("{}: starts fail without a fault: {failures:?}", self.host.name))
    }

    /// Something that happens beside a fault: an application ends by itself or is killed, the manager ends one or
    /// starts another.
    pub fn poke(&mut self, dice: &mut Dice, starts: bool) {
        let at = dice.below(self.slots.len());
        let life = self.slots[at].life();
        let signal = |signal| {
            if let Some(process) = life.as_ref().and_then(|life| crate::support::ProcessInfo::of(life.pid)) {
                let _ = process.signal(signal);
            }
        };
        if starts {
            self.start_extra();
        }
        match dice.below(5) {
            0 => signal(libc::SIGUSR1),
            1 => signal(libc::SIGKILL),
            2 => self.kills.push(self.manager.control().ask(&format!("kill {} 2000", self.slots[at].uuid))),
            3 if !starts => self.start_extra(),
            _ => {}
        }
    }

    fn start_extra(&mut self) {
        self.extras += 1;
        let mut slot = Slot::new(format!("{}-extra-{}", self.host.name, self.extras), Kind::Plain, Policy::Terminate);
        let command = slot.start_command(self.host);
        // What comes of it is seen when all settles.
        let asked = self.manager.control().ask(&command);
        self.extra = Some((slot, asked));
    }

    /// Eight threads of the manager start and kill the same few.
    pub fn race(&mut self, seed: u64) {
        self.races += 1;
        let prefix = format!("{}-race-{}", self.host.name, self.races);
        let (name, logs, app) = (self.host.name, self.host.logs().display(), self.host.remote.app());
        let command = format!("race {prefix} {name} {seed} {logs} {} record LOG 100", app.display());
        self.race = Some((prefix, self.manager.control().ask(&command)));
    }

    /// Waits until all is as it should be, and compares what was told with what is true.
    pub fn settle(&mut self, manager_gone: bool) -> Outcomes {
        let mut outcomes = Outcomes::new();
        let control = self.manager.control();
        for kill in self.kills.drain(..) {
            // Whether it could be killed is for the events to tell.
            let _ = control.wait(kill);
        }
        if let Some((prefix, asked)) = self.race.take() {
            match control.wait(asked) {
                Ok(accepted) => self.judge_race(&prefix, &accepted, &mut outcomes),
                Err(_) if manager_gone => {}
                Err(error) => outcomes.complain(format!("{prefix}: {error}")),
            }
        }
        for at in 0..self.slots.len() {
            match (manager_gone, self.slots[at].policy.outlives_manager()) {
                // The next manager is to tell of it.
                (true, true) => continue,
                (true, false) => self.slots[at].excuses.manager_gone = true,
                (false, _) => {}
            }
            if !self.settle_one(&control, &self.slots[at], &mut outcomes) {
                self.abandon(at);
            }
        }
        if let Some((extra, asked)) = self.extra.take() {
            self.settle_extra(&control, extra, asked, &mut outcomes);
        }
        outcomes.complaints.extend(self.decoys.iter().filter_map(Decoy::complaint));
        if !outcomes.complaints.is_empty() {
            outcomes.worst = Outcome::Wrong;
        }
        outcomes
    }

    /// The one that was started while the fault lasted: it did not come to run, which was told, or it runs; then it is
    /// ended.
    fn settle_extra(&self, control: &Control, mut extra: Slot, asked: Asked, outcomes: &mut Outcomes) {
        // Its host and its manager are those of the others.
        let neighbour = &self.slots[self.slots.len() - 1];
        extra.excuses = Excuses { wrapper_killed: false, ..neighbour.excuses };
        let answer = control.wait(asked);
        if answer.is_err() && !extra.excuses.manager_gone {
            // It was refused at once: nothing was started, and there is nothing to tell.
            if extra.life().is_some() || !self.manager.tidings.of(&extra.uuid).is_empty() {
                outcomes.complain(format!("{}: {answer:?}, and something was started or told", extra.uuid));
            }
            outcomes.starts.push("refused".into());
            return;
        }
        self.settle_one(control, &extra, outcomes);
        let told = self.manager.tidings.of(&extra.uuid);
        let failure =
            told.iter().find_map(|told| if let Told::Failed { text } = told { Some(text.clone()) } else { None });
        outcomes.starts.push(failure.unwrap_or_else(|| "ran".into()));
        if !extra.excuses.manager_gone {
            // One that has ended is taken from the manager's table by that.
            let runs = self.is_running(&extra);
            let _ = control.call(&format!("kill {} 5000", extra.uuid));
            if runs {
                self.settle_one(control, &extra, outcomes);
            }
        }
    }

    /// Gives a manager those that have outlived the one before, and compares what is told of them.
    pub fn adopt(&mut self) -> Outcomes {
        let mut outcomes = Outcomes::new();
        let control = self.manager.control();
        for at in 0..self.slots.len() {
            let Slot { uuid, policy, .. } = &self.slots[at];
            // Of one whose end was told before there is nothing more to tell.
            if !policy.outlives_manager() || self.manager.tidings.of(uuid).iter().any(Told::is_end) {
                continue;
            }
            // The former manager counts as alive until its lease is over.
            let mut last = Ok(String::new());
            until(SETTLING, || {
                last = control.call(&format!("adopt {uuid} {}", self.host.name));
                last.as_ref().ok().map(drop)
            });
            if last.is_err() {
                outcomes.complain(format!("{uuid} is not adopted: {last:?}"));
            } else if self.settle_one(&control, &self.slots[at], &mut outcomes) {
                continue;
            }
            self.abandon(at);
        }
        outcomes
    }

    /// False when it is wrong.
    fn settle_one(&self, control: &Control, slot: &Slot, outcomes: &mut Outcomes) -> bool {
        let mut reached = false;
        until(SETTLING, || {
            let told = self.manager.tidings.of(&slot.uuid);
            let alive = slot.life().is_some_and(|life| life.is_alive());
            if slot.excuses.manager_gone {
                return (!alive).then_some(());
            }
            match (told.iter().any(Told::is_end), alive) {
                (true, false) => Some(()),
                (false, true) if self.is_running(slot) => {
                    reached = self.reaches(control, slot);
                    reached.then_some(())
                }
                _ => None,
            }
        });
        // The log first: what it says has happened when the manager is asked.
        let life = slot.life();
        let alive = life.as_ref().is_some_and(recorder::Life::is_alive);
        let told = self.manager.tidings.of(&slot.uuid);
        let mut verdict = match (&life, told.as_slice()) {
            // It was never begun: the manager was gone first.
            (None, []) if slot.excuses.manager_gone => Verdict::NotStarted,
            _ => judge(&Case { life: life.as_ref(), alive, told: &told, excuses: slot.excuses }),
        };
        if verdict == Verdict::Runs && !reached {
            let state = control.call(&format!("state {}", slot.uuid));
            verdict = Verdict::Wrong(format!("it runs, and the manager does not reach it; state: {state:?}"));
        }
        let good = !matches!(verdict, Verdict::Wrong(_));
        outcomes.add(&slot.uuid, verdict, &told);
        good
    }

    /// Whether a signal of the manager gets to the application.
    fn reaches(&self, control: &Control, slot: &Slot) -> bool {
        let count = || {
            let signals = slot.life().map(|life| life.signals).unwrap_or_default();
            signals.iter().filter(|signal| **signal == libc::SIGUSR2).count()
        };
        let before = count();
        let sent = control.call(&format!("signal {} {}", slot.uuid, libc::SIGUSR2));
        sent.is_ok() && until(Duration::from_secs(2), || (count() > before).then_some(())).is_some()
    }

    /// What is wrong already must not be counted again: another takes its place.
    fn abandon(&mut self, at: usize) {
        if let Ok([_, application, wrapper]) = self.pids_of(at) {
            for pid in [application, wrapper] {
                if let Some(process) = crate::support::ProcessInfo::of(pid).filter(|_| pid > 0) {
                    let _ = process.signal(libc::SIGKILL);
                }
            }
        }
        let uuid = format!("{}x", self.slots[at].uuid);
        let Slot { kind, policy, .. } = self.slots[at];
        self.slots[at] = Slot::new(uuid, kind, policy);
    }

    fn pids_of(&self, at: usize) -> Result<[i32; 3], String> {
        self.pids(&self.slots[at].uuid)
    }

    fn judge_race(&self, prefix: &str, accepted: &str, outcomes: &mut Outcomes) {
        let accepted: Vec<usize> = accepted.split(' ').filter_map(|word| word.parse().ok()).collect();
        assert_eq!(accepted.len(), RACED);
        for (number, accepted) in accepted.into_iter().enumerate() {
            let uuid = format!("{prefix}-{number}");
            let ends = || self.manager.tidings.of(&uuid).iter().filter(|told| told.is_end()).count();
            until(SETTLING, || (ends() >= accepted).then_some(()));
            let told = self.manager.tidings.of(&uuid);
            let lives = recorder::read(&self.host.remote.local(&self.host.log(&uuid)));
            match recorder::judge_race(accepted, &lives, &told) {
                Ok(ends) => outcomes.ends += ends,
                Err(why) => outcomes.complain(format!("{uuid}: {why}; told: {told:?}; lives: {lives:?}")),
            }
        }
    }

    /// What is on the host and belongs to nobody who runs. It gets some time to go.
    pub fn left_behind(&self, all_ended: bool) -> Vec<String> {
        let mut left = Vec::new();
        until(Duration::from_secs(10), || {
            left = self.look_for_left(all_ended);
            left.is_empty().then_some(())
        });
        left
    }

    fn look_for_left(&self, all_ended: bool) -> Vec<String> {
        let running: Vec<&Slot> = self.slots.iter().filter(|slot| !all_ended && self.is_running(slot)).collect();
        let mut ours: Vec<i32> = self.decoys.iter().map(Decoy::pid).collect();
        if !all_ended {
            ours.extend(running.iter().filter_map(|slot| Some(self.pids(&slot.uuid).ok()?[2])));
        }
        let mut processes = self.host.remote.processes();
        let files = self.host.remote.runtime_files();
        // A link whose fifo was removed hears of nobody any more, and what has its name is no link's.
        let is_dead_link = |file: &PathBuf| {
            let kind = std::fs::symlink_metadata(self.host.remote.local(file)).map(|metadata| metadata.file_type());
            file.to_string_lossy().contains(".l.") && !kind.is_ok_and(|kind| kind.is_fifo())
        };
        let (dead, files): (Vec<_>, Vec<_>) = files.into_iter().partition(is_dead_link);
        ours.extend(running.iter().flat_map(|slot| slot.links(&files)));
        loop {
            let count = ours.len();
            for process in &processes {
                if ours.contains(&process.ppid) && !ours.contains(&process.pid) {
                    ours.push(process.pid);
                }
            }
            if ours.len() == count {
                break;
            }
        }
        processes.retain(|process| !ours.contains(&process.pid));
        let mut left: Vec<String> = processes.iter().map(|p| format!("pid {} {:?}", p.pid, p.cmdline)).collect();
        let name = |path: &std::path::PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_of = |name: &str, slot: &Slot| {
            name.strip_prefix(&slot.uuid).is_some_and(|rest| rest.starts_with('.'))
                || name == format!("metadata_{}.json", slot.uuid)
        };
        let mut files = files;
        // Word of an end that nobody asked for stays until its uuid is used again.
        files.retain(|file| !name(file).ends_with(".end") && !running.iter().any(|slot| is_of(&name(file), slot)));
        left.extend(files.iter().chain(&dead).map(|file| file.display().to_string()));
        left
    }

    /// Removes what was left and was counted.
    pub fn clear_left(&self) {
        let mut ours: Vec<i32> = self.decoys.iter().map(Decoy::pid).collect();
        ours.extend(self.slots.iter().filter_map(|slot| slot.life()).map(|life| life.pid));
        for text in self.look_for_left(false) {
            match text.strip_prefix("pid ").and_then(|rest| rest.split(' ').next()?.parse().ok()) {
                Some(pid) if !ours.contains(&pid) => {
                    if let Some(process) = crate::support::ProcessInfo::of(pid) {
                        let _ = process.signal(libc::SIGKILL);
                    }
                }
                Some(_) => {}
                None => drop(std::fs::remove_file(self.host.remote.local(text.as_ref()))),
            }
        }
    }
}

/// Asks again and again until there is an answer, or the time is over.
pub fn until<T>(time: Duration, mut f: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = f() {
            return Some(answer);
        }
        if start.elapsed() > time {
            return None;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
