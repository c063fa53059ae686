//! The part of a session that is on one host: four processes and their decoys. Lanes have faults of their own at the
//! same time.

use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::adoption::Succession;
use crate::child::RACED;
use crate::control::{Asked, Control, Reports};
use crate::decoys::Decoy;
use crate::dice::Dice;
use crate::extras::Extras;
use crate::host::Host;
use crate::near::Near;
use crate::output::Extent;
use crate::recorder::{self, Case, Reported, Verdict, judge};
use crate::slot::{Kind, Policy, Slot};
use crate::table::Outcome;

/// How long a disturbed process may take until it is right again. Only a process that is wrong takes all of it.
pub const SETTLING: Duration = Duration::from_secs(30);
const STARTING: Duration = Duration::from_secs(20);

/// The session's manager and its reports, which all lanes share.
pub struct Manager {
    control: RwLock<Arc<Control>>,
    pub reports: Arc<Reports>,
}

impl Manager {
    pub fn new(control: Control, reports: Arc<Reports>) -> Manager {
        Manager { control: RwLock::new(Arc::new(control)), reports }
    }

    pub fn control(&self) -> Arc<Control> {
        Arc::clone(&self.control.read().unwrap())
    }

    /// Puts the next manager in the place of one that was killed.
    pub fn replace(&self, control: Control) {
        *self.control.write().unwrap() = Arc::new(control);
    }
}

pub struct Lane<'a> {
    pub host: &'a Host,
    pub near: &'a Near,
    pub manager: &'a Manager,
    pub slots: Vec<Slot>,
    pub extras: Extras,
    /// The kept processes that another manager must adopt, as indices of `slots`.
    pub to_adopt: Vec<usize>,
    /// A fault may have made wrappers leave files, which a clean-up of the host removes.
    pub needs_clean_up: bool,
    decoys: Vec<Decoy>,
    kills: Vec<Asked>,
    race: Option<(String, Asked)>,
    races: usize,
}

/// The result of a step for one lane.
#[derive(Debug)]
pub struct Outcomes {
    pub worst: Outcome,
    pub ends: usize,
    pub no_code: usize,
    pub run_on: usize,
    pub complaints: Vec<String>,
    /// The results of the starts that were made while the fault lasted.
    pub starts: Vec<String>,
    /// How many bytes of output were compared and are right.
    pub bytes: u64,
}

impl Outcomes {
    pub fn new() -> Outcomes {
        Outcomes {
            worst: Outcome::Exact,
            ends: 0,
            no_code: 0,
            run_on: 0,
            complaints: Vec::new(),
            starts: Vec::new(),
            bytes: 0,
        }
    }

    pub fn merge(&mut self, other: Outcomes) {
        self.worst = self.worst.max(other.worst);
        self.ends += other.ends;
        self.no_code += other.no_code;
        self.run_on += other.run_on;
        self.complaints.extend(other.complaints);
        self.starts.extend(other.starts);
        self.bytes += other.bytes;
    }

    pub fn complain(&mut self, text: String) {
        self.worst = Outcome::Wrong;
        self.complaints.push(text);
    }

    fn add(&mut self, uuid: &str, verdict: Verdict, reported: &[Reported]) {
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
            Verdict::Wrong(why) => self.complain(format!("{uuid}: {why}; reported: {reported:?}")),
        }
    }
}

impl<'a> Lane<'a> {
    pub fn new(host: &'a Host, near: &'a Near, manager: &'a Manager) -> Lane<'a> {
        let kinds = [Kind::Plain, Kind::Logged, Kind::Stubborn, Kind::Parent];
        // A third of all processes is kept: one without a log file on each of the first two hosts, and one with a log
        // file on each of the last two.
        let is_kept = |at: usize| (at == 0 && host.number < 2) || (at == 1 && host.number > 0);
        let policy = |at| if is_kept(at) { Policy::Keep } else { Policy::Terminate };
        let slots = kinds.iter().enumerate();
        let slots = slots.map(|(at, kind)| Slot::new(format!("{}-{at}", host.name), *kind, policy(at)));
        let decoys = (0..2).map(|number| Decoy::on(host, number));
        Lane {
            host,
            near,
            manager,
            slots: slots.collect(),
            extras: Extras::default(),
            to_adopt: Vec::new(),
            needs_clean_up: false,
            decoys: decoys.collect(),
            kills: Vec::new(),
            race: None,
            races: 0,
        }
    }

    /// Returns the pids of the ssh client, the application and the wrapper; 0 for one that the manager does not know.
    pub fn pids(&self, uuid: &str) -> Result<[i32; 3], String> {
        let text = self.manager.control().call(&format!("pids {uuid}"))?;
        let numbers: Vec<i32> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
        numbers.try_into().map_err(|_| text)
    }

    pub fn is_running(&self, slot: &Slot) -> bool {
        let reported = self.manager.reports.of(&slot.uuid);
        let is_reported = reported.iter().any(Reported::is_start) && !reported.iter().any(Reported::is_end);
        is_reported && slot.life().is_some_and(|life| life.is_alive())
    }

    /// Starts the processes that do not run, until all of them run.
    pub fn prepare(&mut self) -> Result<(), String> {
        let start = Instant::now();
        let mut failures = Vec::new();
        while start.elapsed() < STARTING {
            let mut asked = Vec::new();
            for at in 0..self.slots.len() {
                if !self.is_running(&self.slots[at]) {
                    let command = self.slots[at].start_command(self.host);
                    self.manager.reports.clear(&self.slots[at].uuid);
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
                let reported = until(STARTING, || {
                    let reported = self.manager.reports.of(uuid);
                    (self.is_running(&self.slots[at]) || reported.iter().any(Reported::is_end)).then_some(reported)
                });
                match reported {
                    None => failures.push(format!("{uuid}: the result of its start is not reported")),
                    Some(reported) => failures
                        .extend(reported.iter().filter(|reported| reported.is_end()).map(|end| format!("{end:?}"))),
                }
            }
        }
        Err(format!("{}: starts fail while there is no fault: {failures:?}", self.host.name))
    }

    /// Makes something happen beside a fault: an application exits or is killed, or the manager kills a process or
    /// starts another one.
    pub fn disturb(&mut self, dice: &mut Dice, starts: bool) {
        let at = dice.below(self.slots.len());
        if starts {
            self.start_extra(Policy::Terminate);
        }
        match dice.below(5) {
            0 => self.slots[at].signal(libc::SIGUSR1),
            1 => self.slots[at].signal(libc::SIGKILL),
            2 => self.kills.push(self.manager.control().ask(&format!("kill {} 2000", self.slots[at].uuid))),
            3 if !starts => self.start_extra(Policy::Terminate),
            _ => {}
        }
    }

    /// Makes the manager close the session of a process that has no ssh client.
    pub fn close(&mut self, uuid: &str) {
        self.kills.push(self.manager.control().ask(&format!("close {uuid} 2000")));
    }

    /// Kills the connections' sshd processes, so that the manager must make new connections.
    pub fn break_connections(&self) {
        for sshd in self.host.remote.session_sshds() {
            let _ = sshd.signal(libc::SIGKILL);
        }
    }

    /// Makes the kept processes exit with output that nobody reads yet.
    pub fn end_kept(&self) {
        self.slots.iter().filter(|slot| slot.policy == Policy::Keep).for_each(|slot| slot.signal(libc::SIGUSR1));
    }

    /// Makes eight threads of the manager start and kill the same few processes.
    pub fn race(&mut self, seed: u64) {
        self.races += 1;
        let prefix = format!("{}-race-{}", self.host.name, self.races);
        let (name, logs, app) = (self.host.name, self.host.logs().display(), self.host.remote.app());
        let command = format!("race {prefix} {name} {seed} {logs} {} record LOG 100", app.display());
        self.race = Some((prefix, self.manager.control().ask(&command)));
    }

    /// Notes which processes have ended now that the manager is gone: it may have taken their exits.
    pub fn note_ended_with_manager(&mut self) {
        for slot in &mut self.slots {
            slot.excuses.ended_with_manager = slot.life().is_none_or(|life| !life.is_alive());
        }
    }

    /// Waits until all processes are right, and compares the manager's reports with what is true.
    pub fn settle(&mut self, succession: Succession) -> Outcomes {
        let manager_gone = succession == Succession::Next;
        let mut outcomes = Outcomes::new();
        let control = self.manager.control();
        for kill in self.kills.drain(..) {
            // The answer does not matter: the events show whether the kill succeeded.
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
            match (succession, self.slots[at].policy) {
                // Another manager adopts the process, and reports its exit.
                (Succession::Next | Succession::Rival, Policy::Keep) => {
                    self.to_adopt.push(at);
                    continue;
                }
                (Succession::Next, Policy::Terminate) => self.slots[at].excuses.manager_gone = true,
                (Succession::None, _) | (Succession::Rival, Policy::Terminate) => {}
            }
            if !self.settle_one(&control, &self.slots[at], &mut outcomes) {
                self.abandon(at);
            }
        }
        self.settle_extras(&control, succession, &mut outcomes);
        outcomes.complaints.extend(self.decoys.iter().filter_map(Decoy::complaint));
        if !outcomes.complaints.is_empty() {
            outcomes.worst = Outcome::Wrong;
        }
        outcomes
    }

    /// Waits until one process is right, and judges it. Returns false if it is wrong.
    pub fn settle_one(&self, control: &Control, slot: &Slot, outcomes: &mut Outcomes) -> bool {
        let mut reached = false;
        until(SETTLING, || {
            let reported = self.manager.reports.of(&slot.uuid);
            let alive = slot.life().is_some_and(|life| life.is_alive());
            if slot.excuses.manager_gone {
                return (!alive).then_some(());
            }
            match (reported.iter().any(Reported::is_end), alive) {
                (true, false) => self.has_output(slot, &reported).then_some(()),
                (false, true) if self.is_running(slot) => {
                    reached = self.reaches(control, slot);
                    reached.then_some(())
                }
                _ => None,
            }
        });
        // The log is read first, so that what it says has happened before the reports are read.
        let life = slot.life();
        let alive = life.as_ref().is_some_and(recorder::Life::is_alive);
        let reported = self.manager.reports.of(&slot.uuid);
        let mut verdict = match (&life, reported.as_slice()) {
            // The manager was killed before it began the start.
            (None, []) if slot.excuses.manager_gone => Verdict::NotStarted,
            _ => judge(&Case { life: life.as_ref(), alive, reported: &reported, excuses: slot.excuses }),
        };
        if verdict == Verdict::Runs && !reached {
            let state = control.call(&format!("state {}", slot.uuid));
            verdict = Verdict::Wrong(format!("it runs, and signals of the manager do not reach it; state: {state:?}"));
        }
        if let (Some(life), false, Some(extent)) = (&life, alive, extent_of(slot, &reported, &verdict)) {
            match slot.check_output(life, self.manager.reports.output_of(&slot.uuid), extent) {
                Ok(bytes) => outcomes.bytes += bytes,
                Err(why) => verdict = Verdict::Wrong(format!("{why}; its life: {}", life.summary())),
            }
        }
        let good = !matches!(verdict, Verdict::Wrong(_));
        outcomes.add(&slot.uuid, verdict, &reported);
        good
    }

    /// Whether the output of a process that has exited has arrived, or none is expected.
    fn has_output(&self, slot: &Slot, reported: &[Reported]) -> bool {
        let has_exited = reported.iter().any(|reported| matches!(reported, Reported::Exited { .. }));
        !has_exited || self.manager.reports.output_of(&slot.uuid).is_some()
    }

    /// Whether a signal that the manager sends reaches the application.
    pub fn reaches(&self, control: &Control, slot: &Slot) -> bool {
        let count = || {
            let signals = slot.life().map(|life| life.signals).unwrap_or_default();
            signals.iter().filter(|signal| **signal == libc::SIGUSR2).count()
        };
        let before = count();
        let sent = control.call(&format!("signal {} {}", slot.uuid, libc::SIGUSR2));
        sent.is_ok() && until(Duration::from_secs(2), || (count() > before).then_some(())).is_some()
    }

    /// Kills a process that is wrong, and puts a new one in its place, so that later steps do not count it again.
    pub fn abandon(&mut self, at: usize) {
        if let Ok([_, application, wrapper]) = self.pids_of(at) {
            for pid in [application, wrapper] {
                if let Some(process) = crate::support::ProcessInfo::of(pid).filter(|_| pid > 0) {
                    let _ = process.signal(libc::SIGKILL);
                }
            }
        }
        // No manager will ask for the files that the process leaves.
        self.needs_clean_up = true;
        let uuid = format!("{}x", self.slots[at].uuid);
        let Slot { kind, policy, .. } = self.slots[at];
        self.to_adopt.retain(|other| *other != at);
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
            let ends = || self.manager.reports.of(&uuid).iter().filter(|reported| reported.is_end()).count();
            until(SETTLING, || (ends() >= accepted).then_some(()));
            let reported = self.manager.reports.of(&uuid);
            let lives = recorder::read(&self.host.remote.local(&self.host.log(&uuid)));
            match recorder::judge_race(accepted, &lives, &reported) {
                Ok(ends) => outcomes.ends += ends,
                Err(why) => outcomes.complain(format!("{uuid}: {why}; reported: {reported:?}; lives: {lives:?}")),
            }
        }
    }

    /// Removes the files that a fault made wrappers leave, as the host's operator would.
    pub fn clean_up(&mut self) -> Result<(), String> {
        if !std::mem::take(&mut self.needs_clean_up) {
            return Ok(());
        }
        let answer = self.manager.control().call(&format!("clean_up {}", self.host.name));
        answer.map(drop).map_err(|error| format!("could not clean up {}: {error}", self.host.name))
    }

    /// Returns the processes and files on the host that belong to no running process. Gives them some time to
    /// disappear.
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
        // A link whose fifo was removed can receive nothing. Another file with the fifo's name belongs to no link.
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
        // The record of an exit that no manager has taken stays until the uuid is used again.
        files.retain(|file| !name(file).ends_with(".end") && !running.iter().any(|slot| is_of(&name(file), slot)));
        left.extend(files.iter().chain(&dead).map(|file| file.display().to_string()));
        left
    }

    /// Removes what was left, after it was counted.
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

/// Returns how much of the output of an ended process must have arrived; `None` if no output can be compared.
fn extent_of(slot: &Slot, reported: &[Reported], verdict: &Verdict) -> Option<Extent> {
    let is_lost = reported.iter().any(|reported| matches!(reported, Reported::Lost { .. }));
    match verdict {
        Verdict::Runs | Verdict::NotStarted | Verdict::Wrong(_) => None,
        _ if slot.excuses.manager_gone && !slot.has_log_file() => None,
        Verdict::Unknown => Some(Extent::Beginning),
        Verdict::Exact | Verdict::NoCode if is_lost && slot.policy == Policy::Terminate => Some(Extent::Beginning),
        Verdict::Exact | Verdict::NoCode if is_lost => Some(Extent::WholeWithSsh),
        Verdict::Exact | Verdict::NoCode => Some(Extent::Whole),
    }
}

/// Calls a function again and again until it returns a value. Returns `None` if it does not in this time.
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
