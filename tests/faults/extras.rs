//! Processes that are started while a fault lasts, in addition to the twelve.

use crate::adoption::Succession;
use crate::control::{Asked, Control};
use crate::lane::{Lane, Outcomes, SETTLING, until};
use crate::recorder::{Excuses, Reported};
use crate::slot::{Kind, Policy, Slot};

/// The processes whose starts the manager was asked for and that are not judged yet.
#[derive(Default)]
pub struct Extras {
    begun: Vec<Extra>,
    count: usize,
}

struct Extra {
    slot: Slot,
    asked: Asked,
    /// The part of its start that was killed, if any.
    killed: Option<String>,
}

impl Extra {
    /// Describes the result of the start for readers of the suite's output.
    fn describe(&self, outcome: &str) -> String {
        match &self.killed {
            Some(killed) => format!("{outcome}; the suite killed {killed}"),
            None => outcome.to_owned(),
        }
    }
}

impl Extras {
    /// Returns the uuid of the process that was started last.
    pub fn last(&self) -> Option<&str> {
        self.begun.last().map(|extra| extra.slot.uuid.as_str())
    }

    /// Notes that a part of the last start is about to be killed, and whether that may be the application's parent.
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
        // The answer and the result are judged when the step settles.
        let asked = self.manager.control().ask(&command);
        self.extras.begun.push(Extra { slot, asked, killed: None });
    }

    /// Judges each process: either the manager has reported that its start failed, or it runs. Kills those that run.
    pub fn settle_extras(&mut self, control: &Control, succession: Succession, outcomes: &mut Outcomes) {
        for extra in std::mem::take(&mut self.extras.begun) {
            match succession == Succession::Next && extra.slot.policy.outlives_manager() {
                // The next manager adopts the process, if it runs.
                true => self.extras.begun.push(extra),
                false => self.settle_extra(control, extra, outcomes),
            }
        }
    }

    fn settle_extra(&self, control: &Control, mut extra: Extra, outcomes: &mut Outcomes) {
        let Extra { slot, asked, .. } = &mut extra;
        // The process has the host and the manager of its neighbour, and so the neighbour's excuses. Only what was
        // killed of its start is its own.
        let neighbour = &self.slots[self.slots.len() - 1];
        let Excuses { wrapper_killed, early, .. } = slot.excuses;
        slot.excuses = Excuses { wrapper_killed, early, ..neighbour.excuses };
        let answer = control.wait(*asked);
        if answer.is_err() && !slot.excuses.manager_gone {
            // The manager refused the start at once: nothing may have started, and nothing may be reported.
            if slot.life().is_some() || !self.manager.reports.of(&slot.uuid).is_empty() {
                outcomes.complain(format!(
                    "{}: the start was refused, and something was started or reported: {answer:?}",
                    slot.uuid
                ));
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
        // A kill of a process that has ended removes it from the manager's table.
        let runs = self.is_running(extra);
        let _ = control.call(&format!("kill {} 5000", extra.uuid));
        if runs {
            self.settle_one(control, extra, outcomes);
        }
    }

    /// Makes the next manager adopt the processes that run, and kills them. A process that did not run yet when its
    /// manager was killed ends with the manager, although its policy is to keep it.
    pub fn adopt_extras(&mut self, control: &Control, outcomes: &mut Outcomes) {
        for Extra { slot: extra, .. } in std::mem::take(&mut self.extras.begun) {
            let reported = self.manager.reports.of(&extra.uuid);
            if reported.iter().any(Reported::is_end) {
                continue;
            }
            // A part of its start was killed, or the manager was killed before it reported the start.
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
                    outcomes.complain(format!("{} could not be adopted: {last:?}; reported: {reported:?}", extra.uuid))
                }
            }
        }
    }
}
