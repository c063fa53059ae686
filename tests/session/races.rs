//! Boots that something disturbs at a random moment: another thread kills, forgets, takes a uuid, shuts down or
//! detaches, the callback cancels, or the manager is dropped at once after the boot. What the boot reports must be true,
//! nothing may start after it has returned, and nothing may be left behind.
//!
//! Variables of the environment: `SESSION_BOOTS` is the number of boots (40). `SESSION_SEED` repeats the choices of an
//! earlier run, which printed this number; the moments of the threads differ all the same.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::dice::Dice;
use crate::life::*;
use crate::support::Remote;
use sshpm::{
    BootRequest, BootState, Error, EventKind, KillTimeouts, LinkLossPolicy, Manager, OnFailure, Role, Session,
    SessionOutcome, SessionResults, Subscription,
};

/// How many managers boot at the same time.
const LANES: usize = 4;

/// What disturbs a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disturbance {
    Nothing,
    Cancel,
    Kill,
    KillAll,
    Forget,
    TakeUuid,
    Shutdown,
    Detach,
    Timeout,
}

const ALL: [Disturbance; 9] = [
    Disturbance::Nothing,
    Disturbance::Cancel,
    Disturbance::Kill,
    Disturbance::KillAll,
    Disturbance::Forget,
    Disturbance::TakeUuid,
    Disturbance::Shutdown,
    Disturbance::Detach,
    Disturbance::Timeout,
];

const ROLES: [Role; 3] = [Role::InfrastructureApplications, Role::RootController, Role::Application];

#[test]
fn a_boot_that_is_disturbed_reports_the_truth_and_leaves_nothing() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("SESSION_SEED").unwrap_or(now.as_nanos() as u64 % 1_000_000);
    let boots = number("SESSION_BOOTS").unwrap_or(40) as usize;
    let remote = Remote::start();
    let (next, complete) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for lane in 0..LANES {
            let (remote, next, complete) = (&remote, &next, &complete);
            let run = move || {
                let mut lane = Lane { remote, dice: Dice::new(seed + lane as u64), manager: None };
                while next.fetch_add(1, Ordering::Relaxed) < boots {
                    complete.fetch_add(usize::from(lane.boot()), Ordering::Relaxed);
                }
            };
            scope.spawn(run);
        }
    });
    // eprintln would not do: the test runner captures its output.
    let complete = complete.into_inner();
    let _ = writeln!(std::io::stderr(), "{boots} boots, {complete} of them complete; seed {seed}");
    remote.assert_nothing_left();
}

struct Lane<'a> {
    remote: &'a Remote,
    dice: Dice,
    /// That of the boot before, if it can be used again.
    manager: Option<Manager>,
}

impl Lane<'_> {
    /// Boots one session and checks it. Returns whether the boot was complete.
    fn boot(&mut self) -> bool {
        let disturbance = *self.dice.pick(&ALL);
        let session = self.session(disturbance);
        let manager = self.manager.take().unwrap_or_else(|| manager(self.remote));
        let events = manager.subscribe().unwrap();
        let about = format!("{disturbance:?}, {:?}", session);
        let Some(results) = self.disturbed(&manager, &session, disturbance) else { return false };
        check(&results, &session, &about);
        check_table(&manager, &results, disturbance, &about);
        // The manager may be dropped at once, while starts that the boot did not wait for go on.
        let is_dropped = matches!(disturbance, Disturbance::Shutdown | Disturbance::Detach) || self.dice.below(4) == 0;
        let is_complete = results.is_complete();
        if is_dropped {
            drop(manager);
        } else {
            manager.kill_all_processes(&KillTimeouts::default()).unwrap();
            self.manager = Some(manager);
        }
        check_events(&events, &results, disturbance, &about);
        is_complete
    }

    /// Returns a session of three roles, some of whose processes fail or end at once.
    fn session(&mut self, disturbance: Disturbance) -> Session {
        let mut session = Session::new();
        for at in 0..2 + self.dice.below(6) {
            let role = self.dice.pick(&ROLES).clone();
            session = session.process(format!("p{at}"), self.request().role(role));
        }
        let on_failure = *self.dice.pick(&[OnFailure::Stop, OnFailure::RollBack, OnFailure::Continue]);
        session = session.on_failure(on_failure);
        let role = self.dice.pick(&ROLES).clone();
        let count = session.processes().iter().filter(|(_, request)| *request.get_role() == role).count();
        if self.dice.below(3) == 0 && count > 0 {
            session = session.minimum(role, self.dice.below(count + 1));
        }
        match disturbance {
            Disturbance::Timeout => session.timeout(Duration::from_millis(self.dice.below(300) as u64)),
            _ => session,
        }
    }

    fn request(&mut self) -> BootRequest {
        let request = match self.dice.below(30) {
            0 => shell("true"),
            1 => shell("true").setup_line("exit 3"),
            2 => BootRequest::new("alpha", ["/nonexistent"]),
            3 => shell("exec sleep 1000").setup_line("sleep 0.2"),
            _ => shell("exec sleep 1000"),
        };
        let request = request.critical(self.dice.below(4) > 0).grace(Duration::from_secs(1));
        match self.dice.below(8) {
            // Only what a kill ends: a kept process would outlive its manager on purpose.
            0 => request.link_loss(LinkLossPolicy::Terminate).kill_tree(true),
            _ => request,
        }
    }

    /// Boots the session while the disturbance comes at a random moment. `None` if it came before the boot, which was
    /// refused then.
    fn disturbed(&mut self, manager: &Manager, session: &Session, disturbance: Disturbance) -> Option<SessionResults> {
        let moment = Duration::from_millis(self.dice.below(250) as u64);
        let victim = session.processes()[self.dice.below(session.processes().len())].0.clone();
        let begun = Instant::now();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(moment);
                match disturbance {
                    Disturbance::Kill => drop(manager.kill_process(&victim, TIME)),
                    Disturbance::KillAll => drop(manager.kill_all_processes(&KillTimeouts::default())),
                    Disturbance::Forget => {
                        // Again and again, because only what has ended can be forgotten.
                        while !is_over.load(Ordering::Acquire) {
                            for (uuid, _) in session.processes() {
                                let _ = manager.forget_process(uuid);
                            }
                            thread::sleep(Duration::from_millis(1));
                        }
                    }
                    Disturbance::TakeUuid => drop(manager.start_process(&victim, &shell("exec sleep 1000"))),
                    Disturbance::Shutdown => drop(manager.shutdown(TIME).unwrap()),
                    Disturbance::Detach => manager.detach().unwrap(),
                    Disturbance::Nothing | Disturbance::Cancel | Disturbance::Timeout => {}
                }
            });
            let goes_on =
                |_: &sshpm::SessionProgress<'_>| disturbance != Disturbance::Cancel || begun.elapsed() < moment;
            let results = manager.start_session(session, goes_on);
            is_over.store(true, Ordering::Release);
            let refused = |error: &Error| match error {
                Error::ShutDown => matches!(disturbance, Disturbance::Shutdown | Disturbance::Detach),
                Error::UuidInUse { .. } => disturbance == Disturbance::TakeUuid,
                _ => false,
            };
            if let Err(error) = &results {
                assert!(refused(error), "{disturbance:?}: {error}");
            }
            results.ok()
        })
    }
}

/// Checks that the outcome and the results of the processes agree.
fn check(results: &SessionResults, session: &Session, about: &str) {
    let of = |uuid: &String| &results.processes[uuid];
    let uuids: Vec<_> = session.processes().iter().map(|(uuid, _)| uuid).collect();
    assert_eq!(results.processes.len(), uuids.len(), "{about}");
    let is_whole = matches!(results.outcome, SessionOutcome::Complete) && results.ended.is_empty();
    for uuid in uuids {
        match of(uuid) {
            BootState::NotStarted => assert!(!is_whole, "{uuid}: {about}: {results:?}"),
            BootState::Starting => {
                let is_left = is_whole || matches!(results.outcome, SessionOutcome::Failed { .. });
                assert!(is_left, "{uuid}: {about}: {results:?}");
            }
            _ => {}
        }
    }
    if let SessionOutcome::Failed { uuid, .. } = &results.outcome {
        assert!(matches!(of(uuid), BootState::Failed(_) | BootState::Ended(_)), "{about}: {results:?}");
    }
    for (uuid, end) in &results.ended {
        assert!(!matches!(end, Err(Error::StillRunning { .. })), "{uuid}: {about}: {results:?}");
    }
}

/// Checks that the table has nothing that the results do not have.
fn check_table(manager: &Manager, results: &SessionResults, disturbance: Disturbance, about: &str) {
    if disturbance == Disturbance::TakeUuid {
        // The other process has one of the uuids.
        return;
    }
    for uuid in manager.active_process_keys() {
        let state = &results.processes[&uuid];
        let is_allowed = !matches!(state, BootState::NotStarted) && !results.ended.contains_key(&uuid);
        assert!(is_allowed, "{uuid} is in the table: {about}: {results:?}");
    }
}

/// Checks that no process has started that the boot reports as not started, unless the boot has ended it.
fn check_events(events: &Subscription, results: &SessionResults, disturbance: Disturbance, about: &str) {
    if disturbance == Disturbance::TakeUuid {
        return;
    }
    let started = events.try_iter().filter(|event| matches!(event.kind, EventKind::Started { .. }));
    let started: BTreeSet<_> = started.map(|event| event.uuid).collect();
    for (uuid, state) in &results.processes {
        let is_told = !matches!(state, BootState::NotStarted) || results.ended.contains_key(uuid);
        assert!(is_told || !started.contains(uuid), "{uuid} has started: {about}: {results:?}");
        assert!(!matches!(state, BootState::Started) || started.contains(uuid), "{uuid}: {about}: {results:?}");
    }
}
