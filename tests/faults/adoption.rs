//! How kept processes go from one manager to another.

use std::time::Duration;

use crate::control::Control;
use crate::lane::{Lane, Outcomes, SETTLING, until};
use crate::recorder::Reported;
use crate::support::ProcessInfo;

/// How long a manager may take to ask again for a process whose links broke: pauses grow to 45 s.
const LEARNING: Duration = Duration::from_secs(60);

/// Who has the kept processes behind a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Succession {
    /// Still the manager that had them.
    None,
    /// The manager is gone, and the next one adopts them.
    Next,
    /// The manager goes on, and another one has adopted them.
    Rival,
}

impl Lane<'_> {
    /// Has the manager adopt the waiting kept processes, and compares what it reports of them. A rival that
    /// tries it at the same time gets each that the manager does not get; those are to be adopted again.
    pub fn adopt(&mut self, rival: Option<&Control>) -> Outcomes {
        let mut outcomes = Outcomes::new();
        let control = self.manager.control();
        for at in std::mem::take(&mut self.to_adopt) {
            // A manager has reported its end before: nobody reports it again.
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
                    rival.expect("it has won")
                }
            };
            if !self.settle_one(holder, &self.slots[at], &mut outcomes) {
                self.abandon(at);
            }
        }
        self.adopt_extras(&control, &mut outcomes);
        outcomes
    }

    /// Has both managers try until one has the process: the former manager counts as alive until its lease is over.
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
            // The manager that was killed had taken its end.
            Some([]) => {}
            Some(_) => outcomes.complain(format!("{uuid} is adopted by two managers")),
            None => outcomes.complain(format!("{uuid} is not adopted: {last:?}{}", self.links_of(uuid))),
        }
        None
    }

    /// Describes the links of a process, and what carries them.
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

    /// Has another manager adopt all kept processes, while the manager of the session stands still.
    pub fn give_to(&mut self, rival: &Control) -> Outcomes {
        let mut outcomes = Outcomes::new();
        for at in self.kept() {
            if self.contend(at, rival, None, &mut outcomes).is_none() {
                self.abandon(at);
            }
        }
        outcomes
    }

    /// The manager goes on: it has to learn that the kept processes are another's, which reports all further. Ends one
    /// of them, or none.
    pub fn judge_supplanted(&mut self, rival: &Control, before: &[usize], ends_one: bool) -> Outcomes {
        let mut outcomes = Outcomes::new();
        let control = self.manager.control();
        for (at, before) in self.kept().into_iter().zip(before) {
            let slot = &self.slots[at];
            let has_learned = until(LEARNING, || (self.taken_over(at) > *before).then_some(()));
            if has_learned.is_none() {
                outcomes.complain(format!("{}: its former manager does not learn that it is another's", slot.uuid));
            }
            if self.is_running(slot) && self.reaches(&control, slot) {
                outcomes.complain(format!("{}: its former manager still sends it signals", slot.uuid));
            }
            if ends_one {
                slot.signal(libc::SIGUSR1);
                until(SETTLING, || slot.life().is_none_or(|life| !life.is_alive()).then_some(()));
            }
            if !self.settle_one(rival, slot, &mut outcomes) {
                self.abandon(at);
            }
        }
        outcomes
    }

    /// Returns how often a manager was reported that each kept process is another's.
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
