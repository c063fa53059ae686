//! Adoption: how kept processes pass from one manager to another.

use std::time::Duration;

use crate::control::Control;
use crate::lane::{Lane, Outcomes, SETTLING, until};
use crate::recorder::Reported;
use crate::support::ProcessInfo;

/// How long a manager may take to query the host again about a process whose links broke. Its pauses grow to 45 s.
const LEARNING: Duration = Duration::from_secs(60);

/// Which manager controls the kept processes after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Succession {
    /// The manager that controlled them before.
    None,
    /// The next manager, which adopts them because the former one is gone.
    Next,
    /// Another manager, which has adopted them while the former one was stopped. The former one runs again.
    Rival,
}

impl Lane<'_> {
    /// Makes the manager adopt the kept processes that wait for it, and judges its reports about them. A rival that
    /// tries to adopt them at the same time gets each process that the manager does not get. Those must be adopted
    /// again.
    pub fn adopt(&mut self, rival: Option<&Control>) -> Outcomes {
        let mut outcomes = Outcomes::new();
        let control = self.manager.control();
        for at in std::mem::take(&mut self.to_adopt) {
            // A former manager has reported the end, and no other manager reports it again.
            if self.manager.reports.of(&self.slots[at].uuid).iter().any(Reported::is_end) {
                continue;
            }
            let holder = match self.contend(at, &control, rival, &mut outcomes) {
                None => {
                    self.abandon(at);
                    continue;
                }
                Some(Winner::Manager) => &*control,
                Some(Winner::Rival) => {
                    self.to_adopt.push(at);
                    rival.expect("the rival has won, so there is one")
                }
            };
            if !self.settle_one(holder, &self.slots[at], &mut outcomes) {
                self.abandon(at);
            }
        }
        self.adopt_extras(&control, &mut outcomes);
        outcomes
    }

    /// Makes both managers try until one has the process. They must try again and again, because the former manager
    /// counts as alive until its lease is over.
    fn contend(
        &self,
        at: usize,
        control: &Control,
        rival: Option<&Control>,
        outcomes: &mut Outcomes,
    ) -> Option<Winner> {
        let uuid = &self.slots[at].uuid;
        let words = format!("adopt {uuid} {}", self.host.name);
        let mut last = Vec::new();
        let winners = until(SETTLING, || {
            let asked = control.ask(&words);
            let of_rival = rival.map(|rival| rival.call(&words));
            last = [Some(control.wait(asked)), of_rival].into_iter().flatten().collect();
            let won: Vec<_> =
                [Winner::Manager, Winner::Rival].into_iter().zip(&last).filter(|(_, answer)| answer.is_ok()).collect();
            let is_gone = |answer: &Result<String, String>| {
                answer.as_ref().is_err_and(|why| why.contains("its host does not have it"))
            };
            let is_over = self.slots[at].excuses.ended_with_manager && last.iter().all(is_gone);
            (is_over || !won.is_empty()).then(|| won.into_iter().map(|(winner, _)| winner).collect::<Vec<_>>())
        });
        match winners.as_deref() {
            Some([winner]) => return Some(*winner),
            // The manager that was killed had taken the process's exit from the host.
            Some([]) => {}
            Some(_) => outcomes.complain(format!("{uuid} is adopted by two managers")),
            None => outcomes.complain(format!("{uuid} could not be adopted: {last:?}{}", self.links_of(uuid))),
        }
        None
    }

    /// Describes the links of a process, and the processes above each link.
    fn links_of(&self, uuid: &str) -> String {
        let mut text = String::new();
        for file in self.host.remote.runtime_files() {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some((_, link)) = name.strip_prefix(uuid).and_then(|rest| rest.split_once(".l.")) else { continue };
            let mut pid = link.split('.').next().and_then(|pid| pid.parse().ok());
            let mut carriers = Vec::new();
            while let Some(carrier) = pid.filter(|pid| *pid > 1).and_then(ProcessInfo::of) {
                pid = Some(carrier.ppid);
                carriers.push(carrier.describe());
            }
            text += &format!("\n{name}:\n{}", carriers.join("\n"));
        }
        text
    }

    /// Makes another manager adopt all kept processes while the session's manager is stopped.
    pub fn give_to(&mut self, rival: &Control) -> Outcomes {
        let mut outcomes = Outcomes::new();
        for at in self.kept() {
            if self.contend(at, rival, None, &mut outcomes).is_none() {
                self.abandon(at);
            }
        }
        outcomes
    }

    /// Judges the kept processes after the session's manager has been continued: it must learn that a rival controls
    /// them, and only the rival reports what happens to them. If `ends_them` is set, makes each process exit before it
    /// is judged.
    pub fn judge_supplanted(&mut self, rival: &Control, before: &[usize], ends_them: bool) -> Outcomes {
        let mut outcomes = Outcomes::new();
        let control = self.manager.control();
        for (at, before) in self.kept().into_iter().zip(before) {
            let slot = &self.slots[at];
            let has_learned = until(LEARNING, || (self.taken_over(at) > *before).then_some(()));
            if has_learned.is_none() {
                outcomes.complain(format!(
                    "{}: its former manager does not learn that another manager controls it",
                    slot.uuid
                ));
            }
            if self.is_running(slot) && self.reaches(&control, slot) {
                outcomes.complain(format!("{}: its former manager still sends it signals", slot.uuid));
            }
            if ends_them {
                slot.signal(libc::SIGUSR1);
                until(SETTLING, || slot.life().is_none_or(|life| !life.is_alive()).then_some(()));
            }
            if !self.settle_one(rival, slot, &mut outcomes) {
                self.abandon(at);
            }
        }
        outcomes
    }

    /// Returns for each kept process how often a manager reported that another manager controls it.
    pub fn all_taken_over(&self) -> Vec<usize> {
        self.kept().into_iter().map(|at| self.taken_over(at)).collect()
    }

    fn taken_over(&self, at: usize) -> usize {
        self.manager.reports.of(&self.slots[at].uuid).iter().filter(|reported| reported.is_taken_over()).count()
    }

    fn kept(&self) -> Vec<usize> {
        (0..self.slots.len()).filter(|at| self.slots[*at].policy.outlives_manager()).collect()
    }
}

#[derive(Debug, Clone, Copy)]
enum Winner {
    Manager,
    Rival,
}
