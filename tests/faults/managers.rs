//! Steps with faults of the manager, which all hosts have at the same time.

use std::thread;
use std::time::Instant;

use crate::MANAGER;
use crate::adoption::Succession;
use crate::control::Control;
use crate::dice::Dice;
use crate::early;
use crate::fault::{Fault, Part, Sent, Victim};
use crate::lane::{Lane, Outcomes};
use crate::session::{Session, name};
use crate::undo;

impl<'a> Session<'a> {
    /// Makes one step with a fault of the manager, and with a fault of one host if `beside` has one.
    pub fn step_of_all(&self, lanes: &mut [Lane<'a>], fault: Fault, beside: &[Fault], dice: &mut Dice) {
        if fault == Fault::Supplanted {
            return self.supplant(lanes, dice);
        }
        let begun = Instant::now();
        let kills = fault.kills_manager();
        let names: Vec<Fault> = [fault].iter().chain(beside).copied().collect();
        let control = self.manager.control();
        let (chosen, seed) = (dice.below(lanes.len()), dice.next());
        // The fault of the host comes first: its victims are found by asking the manager, which is not possible later.
        let mut dice_beside = Dice::new(seed);
        let at = dice_beside.below(lanes[chosen].slots.len());
        let undos: Vec<_> =
            beside.iter().map(|fault| undo::apply(&mut lanes[chosen], *fault, at, &mut dice_beside)).collect();
        self.excuse(&mut lanes[chosen], &names);
        if fault == Fault::EarlyKill(Part::Manager) {
            lanes.iter_mut().for_each(|lane| early::begin_some(lane, dice));
        }
        let undo = undo::apply_to_manager(fault, control.process().clone(), dice);
        if fault == Fault::Signal(Sent::Stop, Victim::Manager) {
            lanes.iter().for_each(Lane::end_kept);
        }
        for (number, lane) in lanes.iter_mut().enumerate() {
            // Nothing waits for an answer here: a stopped manager executes no commands.
            lane.disturb(&mut Dice::new(seed ^ number as u64), fault.hits_starts());
        }
        let lasts = beside.iter().chain([&fault]).map(|fault| fault.lasts(dice.below(100) as u32)).max();
        thread::sleep(lasts.unwrap_or_default());
        undo();
        undos.into_iter().rev().for_each(|undo| undo());
        let mut left = 0;
        let mut outcomes = Outcomes::new();
        if kills {
            control.reap();
            lanes.iter_mut().for_each(Lane::note_ended_with_manager);
        }
        let succession = if kills { Succession::Next } else { Succession::None };
        self.on_all(lanes, |lane| lane.settle(succession)).into_iter().for_each(|other| outcomes.merge(other));
        if kills {
            let here = self.left_here();
            if !here.is_empty() {
                left += here.len();
                outcomes.complaints.push(format!("left behind on the near side: {here:#?}"));
            }
            self.manager.replace(self.start_manager(dice));
            let rival = (fault == Fault::Contested).then(|| self.start_manager(dice));
            self.adopt(lanes, rival, &mut outcomes);
        }
        self.finish(lanes, &names, outcomes, left, begun);
    }

    /// Starts another manager, with ssh clients or without.
    fn start_manager(&self, dice: &mut Dice) -> Control {
        Control::start(self.near, MANAGER, dice.below(2) == 0, &self.manager.reports)
    }

    /// Makes the manager adopt the kept processes, and at last also those that a rival has adopted.
    fn adopt(&self, lanes: &mut [Lane<'a>], rival: Option<Control>, outcomes: &mut Outcomes) {
        self.on_all(lanes, |lane| lane.adopt(rival.as_ref())).into_iter().for_each(|other| outcomes.merge(other));
        if let Some(rival) = rival {
            self.end_rival(&rival, outcomes);
            self.on_all(lanes, |lane| lane.adopt(None)).into_iter().for_each(|other| outcomes.merge(other));
        }
    }

    /// Ends a rival, which leaves its kept processes for the next manager.
    fn end_rival(&self, rival: &Control, outcomes: &mut Outcomes) {
        if !rival.end() {
            outcomes.complain("the other manager's process failed at its end".into());
        }
    }

    /// Stops the manager until its leases are over, makes another manager adopt its kept processes, and continues the
    /// manager. Then the other manager leaves them. Nothing else happens in this time: if a process exited before the
    /// manager continues, both managers would report the exit.
    fn supplant(&self, lanes: &mut [Lane<'a>], dice: &mut Dice) {
        let begun = Instant::now();
        let mut outcomes = Outcomes::new();
        // A host that had no room for a process has given up a connection's lease, and would not notice the stopped
        // manager. So all connections are made again.
        self.on_all(lanes, |lane| {
            lane.break_connections();
            lane.settle(Succession::None)
        })
        .into_iter()
        .for_each(|other| outcomes.merge(other));
        let before = self.on_all(lanes, |lane| lane.all_taken_over());
        let undo = undo::apply_to_manager(Fault::Supplanted, self.manager.control().process().clone(), dice);
        let rival = self.start_manager(dice);
        self.on_all(lanes, |lane| lane.give_to(&rival)).into_iter().for_each(|other| outcomes.merge(other));
        undo();
        self.on_all(lanes, |lane| lane.settle(Succession::Rival)).into_iter().for_each(|other| outcomes.merge(other));
        let ends_them = dice.below(2) == 0;
        let judged = self.on_all(lanes, |lane| lane.judge_supplanted(&rival, &before[lane.host.number], ends_them));
        judged.into_iter().for_each(|other| outcomes.merge(other));
        self.end_rival(&rival, &mut outcomes);
        self.adopt(lanes, None, &mut outcomes);
        self.finish(lanes, &[Fault::Supplanted], outcomes, 0, begun);
    }

    fn finish(&self, lanes: &mut [Lane<'a>], names: &[Fault], mut outcomes: Outcomes, mut left: usize, begun: Instant) {
        for (lane_left, other) in self.on_all(lanes, |lane| {
            let mut outcomes = Outcomes::new();
            (self.tidy(lane, &mut outcomes), outcomes)
        }) {
            left += lane_left;
            outcomes.merge(other);
        }
        self.record("all", &name(names), outcomes, left, begun);
    }
}
