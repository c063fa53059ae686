//! The session, and the order in which it has its faults.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::MANAGER;
use crate::adoption::Succession;
use crate::control::{Control, Reports};
use crate::decoys::Decoy;
use crate::dice::Dice;
use crate::fault::{Fault, OF_A_HOST, OF_ALL, Part};
use crate::host::{Host, NAMES};
use crate::lane::{Lane, Manager, Outcomes, until};
use crate::near::{Mode, Near};
use crate::support::{LOG, shorten_lines};
use crate::table::{Step, Table};
use crate::undo;

/// The row of the table that counts all pairs of faults.
const PAIRS: &str = "two at a time";
/// How often most faults come alone.
const TIMES: usize = 3;
/// How many pairs of faults each host has separately.
const PAIRS_OF_A_HOST: usize = 4;
/// How long each host has random faults separately before the manager has one.
const ROUND: Duration = Duration::from_secs(10);
const LEAST_STEPS: usize = 100;

pub struct Session<'a> {
    pub near: &'a Near,
    pub manager: &'a Manager,
    decoy: Decoy,
    table: Mutex<Table>,
    begun: Instant,
}

/// Runs the whole session. Returns false if something was wrong or was left behind.
pub fn run(seed: u64, random: Duration) -> bool {
    let begun = Instant::now();
    let mode = Mode::find();
    match &mode {
        Mode::Namespaces => println!("faults: each host in a network of its own, with a veth link; seed {seed}"),
        Mode::Loopback(why) => println!("faults: all hosts on loopback, because there are {why}; seed {seed}"),
    }
    let hosts: Vec<Host> = (0..NAMES.len()).map(|number| Host::start(number, &mode)).collect();
    let near = Near::new(mode, &hosts);
    let reports: Arc<Reports> = Arc::default();
    let manager = Manager::new(Control::start(&near, MANAGER, Dice::new(seed).below(2) == 0, &reports), reports);
    let decoy = Decoy::beside(&near);
    let session = Session { near: &near, manager: &manager, decoy, table: Mutex::default(), begun };
    let mut lanes: Vec<Lane> = hosts.iter().map(|host| Lane::new(host, &near, &manager)).collect();
    session.on_all(&mut lanes, |lane| lane.prepare().unwrap());
    session.all_phases(&mut lanes, seed, random);
    session.end(&mut lanes)
}

impl<'a> Session<'a> {
    pub fn on_all<'b, T: Send>(&self, lanes: &'b mut [Lane<'a>], f: impl Fn(&mut Lane<'a>) -> T + Sync) -> Vec<T> {
        thread::scope(|scope| {
            let threads: Vec<_> = lanes.iter_mut().map(|lane| scope.spawn(|| f(lane))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    fn all_phases(&self, lanes: &mut [Lane<'a>], seed: u64, random: Duration) {
        let mut dice = Dice::new(seed);
        let only = std::env::var("FAULTS_ONLY").ok();
        let of_a_host = self.possible(&lanes[0], OF_A_HOST.iter().chain([&Fault::LinkCut]));
        let of_all = self.possible(&lanes[0], &OF_ALL);
        let wanted = |fault: &&Fault| only.as_ref().is_none_or(|only| fault.to_string().contains(only));
        // Alone: each lane has each fault, in its own order.
        self.on_all(lanes, |lane| {
            let mut dice = Dice::new(seed + 1 + lane.host.number as u64);
            let mut faults: Vec<Fault> = of_a_host.iter().filter(wanted).copied().collect();
            dice.shuffle(&mut faults);
            for _ in 0..TIMES.div_ceil(NAMES.len()) {
                faults.iter().for_each(|fault| self.step(lane, &[*fault], &mut dice));
            }
        });
        for time in 0..TIMES {
            for fault in of_all.iter().filter(wanted).filter(|fault| time < times_alone(**fault)) {
                self.step_of_all(lanes, *fault, &[], &mut dice);
            }
        }
        if only.is_some() {
            return;
        }
        // In pairs.
        let in_pairs: Vec<Fault> = of_a_host.iter().copied().filter(|fault| *fault != Fault::LinkCut).collect();
        self.on_all(lanes, |lane| {
            let mut dice = Dice::new(seed + 11 + lane.host.number as u64);
            for _ in 0..PAIRS_OF_A_HOST {
                let pair = pair(&in_pairs, &mut dice);
                self.step(lane, &pair, &mut dice);
            }
        });
        for fault in of_all.iter().filter(|fault| **fault != Fault::Supplanted) {
            let beside = [*dice.pick(&in_pairs)];
            self.step_of_all(lanes, *fault, &beside, &mut dice);
        }
        // Each possible fault must have come often enough: a fault that a lane leaves out is no success.
        for fault in of_a_host.iter().chain(&of_all) {
            let times = self.table.lock().unwrap().times(&fault.to_string());
            assert!(times >= times_alone(*fault), "{fault}: happened only {times} times");
        }
        // In random order: the hosts separately, and after each round the manager.
        let end = Instant::now() + random;
        while Instant::now() < end || self.table.lock().unwrap().steps() < LEAST_STEPS {
            let (seed, round) = (dice.next(), end.min(Instant::now() + ROUND));
            self.on_all(lanes, |lane| {
                let mut dice = Dice::new(seed ^ lane.host.number as u64);
                while Instant::now() < round || self.table.lock().unwrap().steps() < LEAST_STEPS {
                    let single = [*dice.pick(&in_pairs)];
                    let pair = pair(&in_pairs, &mut dice);
                    let faults: &[Fault] = if dice.below(3) == 0 { &pair } else { &single };
                    self.step(lane, faults, &mut dice);
                }
            });
            let (fault, beside) = (*dice.pick(&of_all), *dice.pick(&in_pairs));
            let beside: &[Fault] = if dice.below(3) == 0 { &[beside] } else { &[] };
            self.step_of_all(lanes, fault, beside, &mut dice);
        }
    }

    /// Returns the faults that can be applied on this machine, and prints why the others cannot.
    fn possible<'b>(&self, lane: &Lane, faults: impl IntoIterator<Item = &'b Fault>) -> Vec<Fault> {
        let mut possible = Vec::new();
        for fault in faults {
            match undo::missing(*fault, lane.host, self.near) {
                None => possible.push(*fault),
                Some(why) => println!("not possible on this machine: {fault}: {why}"),
            }
        }
        possible
    }

    /// Makes one step of one host.
    fn step(&self, lane: &mut Lane<'a>, faults: &[Fault], dice: &mut Dice) {
        let begun = Instant::now();
        self.apply_faults(lane, faults, dice);
        let mut outcomes = lane.settle(Succession::None);
        let left = self.tidy(lane, &mut outcomes);
        self.record(lane.host.name, &name(faults), outcomes, left, begun);
    }

    /// Applies the faults, waits, and undoes them in reverse order.
    fn apply_faults(&self, lane: &mut Lane<'a>, faults: &[Fault], dice: &mut Dice) {
        let at = dice.below(lane.slots.len());
        let undos: Vec<_> = faults.iter().map(|fault| undo::apply(lane, *fault, at, dice)).collect();
        self.excuse(lane, faults);
        lane.disturb(dice, faults.iter().any(|fault| fault.hits_starts()));
        let lasts = faults.iter().map(|fault| fault.lasts(dice.below(100) as u32)).max();
        thread::sleep(lasts.unwrap_or_default());
        undos.into_iter().rev().for_each(|undo| undo());
    }

    /// Notes what two faults together excuse: one may cut the link while the other leaves no room on the host to record
    /// an exit, or one kills a wrapper and the other its manager, and nobody is left who would remove its files.
    pub fn excuse(&self, lane: &mut Lane<'a>, faults: &[Fault]) {
        lane.needs_clean_up |=
            faults.iter().any(|fault| fault.kills_manager()) && faults.iter().any(|fault| fault.kills_shells());
        if faults.len() > 1 && faults.iter().any(|fault| fault.starves()) {
            lane.slots.iter_mut().for_each(|slot| slot.excuses.starved = true);
        }
    }

    /// Starts the processes again that have ended. Returns how many processes and files do not belong to the session.
    pub fn tidy(&self, lane: &mut Lane<'a>, outcomes: &mut Outcomes) -> usize {
        if let Err(error) = lane.prepare() {
            outcomes.complain(error);
        }
        if let Err(error) = lane.clean_up() {
            outcomes.complain(error);
        }
        let left = lane.left_behind(false);
        if !left.is_empty() {
            outcomes.complaints.push(format!("left behind on {}: {left:#?}", lane.host.name));
            lane.clear_left();
        }
        left.len()
    }

    /// Returns the processes that are left on the near side after the manager was killed or has ended.
    pub fn left_here(&self) -> Vec<String> {
        let mut left = Vec::new();
        until(Duration::from_secs(10), || {
            let mut processes = self.near.processes();
            processes.retain(|process| process.pid != self.decoy.pid());
            left = processes.iter().map(|process| format!("pid {} {:?}", process.pid, process.cmdline)).collect();
            left.is_empty().then_some(())
        });
        left
    }

    pub fn record(&self, place: &str, name: &str, mut outcomes: Outcomes, left: usize, begun: Instant) {
        if let Some(complaint) = self.decoy.complaint() {
            outcomes.complain(complaint);
        }
        let row = if name.contains(" + ") { PAIRS } else { name };
        let Outcomes { worst, ends, no_code, run_on, complaints, starts, bytes } = outcomes;
        let seconds = begun.elapsed().as_secs_f64();
        let mut table = self.table.lock().unwrap();
        table.add(&Step { row: row.to_owned(), outcome: worst, left, ends, no_code, bytes });
        let number = table.steps();
        println!(
            "{number:4} {place:5} {name}: {worst:?}, {ends} exited, {run_on} still run, {left} left, {seconds:.1} s"
        );
        starts.iter().for_each(|start| println!("       a start during the fault: {start}"));
        let complaints: String = complaints.iter().map(|complaint| format!("       {complaint}\n")).collect();
        print!("{}", shorten_lines(&complaints, LOG));
    }

    /// Ends the session as run control does. Returns false if anything was wrong or was left behind on either side.
    fn end(&self, lanes: &mut [Lane<'a>]) -> bool {
        let begun = Instant::now();
        let control = self.manager.control();
        let mut complaints = Vec::new();
        match control.call("end") {
            Ok(text) if text == "ended" => {}
            other => complaints.push(format!("could not end the session: {other:?}")),
        }
        let mut outcomes = Outcomes::new();
        self.on_all(lanes, |lane| lane.settle(Succession::None)).into_iter().for_each(|other| outcomes.merge(other));
        if !control.end() {
            complaints.push("the manager's process failed at its end".into());
        }
        let mut left: Vec<String> = self.on_all(lanes, |lane| lane.left_behind(true)).into_iter().flatten().collect();
        left.extend(self.left_here());
        left.extend(self.near.files().iter().map(|file| file.display().to_string()));
        complaints.extend(left.iter().map(|left| format!("left behind: {left}")));
        complaints.into_iter().for_each(|complaint| outcomes.complain(complaint));
        self.record("all", "the session's end", outcomes, left.len(), begun);
        let table = self.table.lock().unwrap();
        println!("{}", table.print(self.begun.elapsed()));
        let all = std::env::var_os("FAULTS_ONLY").is_some() || table.steps() >= LEAST_STEPS;
        table.is_good() && all
    }
}

/// Returns how often a fault comes alone. Three faults come only once, because all hosts wait while one manager follows
/// another.
fn times_alone(fault: Fault) -> usize {
    match fault {
        Fault::EarlyKill(Part::Manager) | Fault::Supplanted | Fault::Contested => 1,
        _ => TIMES,
    }
}

pub fn name(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join(" + ")
}

fn pair(from: &[Fault], dice: &mut Dice) -> [Fault; 2] {
    let first = *dice.pick(from);
    loop {
        let second = *dice.pick(from);
        if second != first {
            return [first, second];
        }
    }
}
