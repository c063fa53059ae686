//! Processes that are started while a fault lasts, beside the twelve.

use crate::adoption::Succession;
use crate::control::{Asked, Control};
use crate::lane::{Lane, Outcomes, SETTLING, until};
use crate::recorder::{Excuses, Reported};
use crate::slot::{Kind, Policy, Slot};

/// Those whose starts the manager was asked for, with its answers to come.
#[derive(Default)]
pub struct Extras {
    begun: Vec<Extra>,
    count: usize,
}

struct Extra {
    slot: Slot,
    asked: Asked,
    /// What was killed of it.
    killed: Option<String>,
}

impl Extra {
    /// What came of it, for those who read how a step went.
    fn describe(&self, outcome: &str) -> String {
        match &self.killed {
            Some(killed) => format!("{outcome}; killed was {killed}"),
            None => outcome.to_owned(),
        }
    }
}

impl Extras {
    /// The uuid of the one that was started last.
    pub fn last(&self) -> Option<&str> {
        self.begun.last().map(|extra| extra.slot.uuid.as_str())
    }

    /// A part of the one that was started last is about to be killed; it may be the application's parent.
    pub fn note_kill(&mut self, killed: String, wrapper_killed: bool) {
        if let Some(extra) = self.begun.last_mut() {
            extra.slot.excuses.wrapper_killed |= wrapper_killed;
            extra.slot.excuses.early = true;
            extra.killed = Some(killed);
        }
    }
}

impl Lane<'_> {
    pub fn start_extra(&mut self, policy: Policy) {
        self.extras.count += 1;
        let uuid = format!("{}-extra-{}", self.host.name, self.extras.count);
        let mut slot = Slot::new(uuid, Kind::Plain, policy);
        let command = slot.start_command(self.host);
        // Its outcome is judged when all settles.
        let asked = self.manager.control().ask(&command);
        self.extras.begun.push(Extra { slot, asked, killed: None });
    }

    /// Judges each: the manager has reported that its start failed, or it ran, and this ends it.
    pub fn settle_extras(&mut self, control: &Control, succession: Succession, outcomes: &mut Outcomes) {
        for extra in std::mem::take(&mut self.extras.begun) {
            match succession == Succession::Next && extra.slot.policy.outlives_manager() {
                // The next manager adopts it, if it has begun to run.
                true => self.extras.begun.push(extra),
                false => self.settle_extra(control, extra, outcomes),
            }
        }
    }

    fn settle_extra(&self, control: &Control, mut extra: Extra, outcomes: &mut Outcomes) {
        let Extra { slot, asked, .. } = &mut extra;
        // Its host and its manager are those of the others.
        let neighbour = &self.slots[self.slots.len() - 1];
        let Excuses { wrapper_killed, early, .. } = slot.excuses;
        slot.excuses = Excuses { wrapper_killed, early, ..neighbour.excuses };
        let answer = control.wait(*asked);
        if answer.is_err() && !slot.excuses.manager_gone {
            // It was refused at once: nothing was started, and there is nothing to tell.
            if slot.life().is_some() || !self.manager.reports.of(&slot.uuid).is_empty() {
                outcomes.complain(format!("{}: {answer:?}, and something was started or reported", slot.uuid));
            }
            outcomes.starts.push(extra.describe("refused"));
            return;
        }
        self.settle_one(control, slot, outcomes);
        let reported = self.manager.reports.of(&slot.uuid);
        let failure = reported
            .iter()
            .find_map(|reported| if let Reported::Failed { text } = reported { Some(text.clone()) } else { None });
        outcomes.starts.push(extra.describe(failure.as_deref().unwrap_or("ran")));
        if !extra.slot.excuses.manager_gone {
            self.end_extra(control, &extra.slot, outcomes);
        }
    }

    fn end_extra(&self, control: &Control, extra: &Slot, outcomes: &mut Outcomes) {
        // One that has ended is taken from the manager's table by that.
        let runs = self.is_running(extra);
        let _ = control.call(&format!("kill {} 5000", extra.uuid));
        if runs {
            self.settle_one(control, extra, outcomes);
        }
    }

    /// Has the next manager adopt those that run, and ends them. One that was to be kept and had not begun to run ends
    /// with its manager.
    pub fn adopt_extras(&mut self, control: &Control, outcomes: &mut Outcomes) {
        for Extra { slot: extra, .. } in std::mem::take(&mut self.extras.begun) {
            let reported = self.manager.reports.of(&extra.uuid);
            if reported.iter().any(Reported::is_end) {
                continue;
            }
            // Its link or another part of it was lost first, and nobody has confirmed its start.
            let may_have_ended = extra.excuses.early || !reported.iter().any(Reported::is_start);
            let mut last = Ok(String::new());
            let found = until(SETTLING, || {
                last = control.call(&format!("adopt {} {}", extra.uuid, self.host.name));
                let is_over = may_have_ended && extra.life().is_none_or(|life| !life.is_alive());
                (last.is_ok() || is_over).then_some(())
            });
            match (found, &last) {
                (Some(()), Ok(_)) => {
                    self.settle_one(control, &extra, outcomes);
                    self.end_extra(control, &extra, outcomes);
                    outcomes.starts.push("adopted".into());
                }
                (Some(()), Err(_)) => outcomes.starts.push("ended with its manager".into()),
                (None, _) => {
                    outcomes.complain(format!("{} is not adopted: {last:?}; reported: {reported:?}", extra.uuid))
                }
            }
        }
    }
}
