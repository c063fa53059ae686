//! The boot of a session in stages: what each stage waits for, what its failure does, and how it is cancelled.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use crate::life::*;
use crate::support::{Remote, is_failure, wait_until};
use sshpm::{
    BootRequest, BootState, Error, KillTimeouts, LauncherFailure, Manager, OnFailure, ProcessState, Ready,
    RestartPolicy, Role, Session, SessionOutcome, SessionResults, Signal, SshFailure, StartFailure,
};

/// Gates that hold up the starts of processes: each waits in its setup until its gate is open.
struct Gates<'a>(&'a Remote);

impl Gates<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.0.scratch().join(format!("gate-{name}"))
    }

    /// Returns the request, with a start that waits for this gate. It writes "ready" when it waits.
    fn hold(&self, name: &str, request: BootRequest) -> BootRequest {
        let line = format!("echo ready; until [ -e '{}' ]; do sleep 0.05; done", self.path(name).display());
        request.setup_line(line)
    }

    fn open(&self, name: &str) {
        touch(self.0, &self.path(name));
    }
}

/// An application that runs until it is asked to end.
fn runs(role: Role) -> BootRequest {
    shell(OWN_CODES).role(role)
}

/// An application whose start fails.
fn fails(role: Role) -> BootRequest {
    runs(role).setup_line("exit 3")
}

/// A session of three stages with one process each, which have the names of their stages.
fn three_stages() -> Session {
    Session::new()
        .process("application", runs(Role::Application))
        .process("server", runs(Role::InfrastructureApplications))
        .process("root", runs(Role::RootController))
}

fn always(_: &sshpm::SessionProgress<'_>) -> bool {
    true
}

fn word(state: &BootState) -> &'static str {
    match state {
        BootState::Ready => "ready",
        BootState::NotReady(_) => "not ready",
        BootState::Started => "started",
        BootState::Starting => "starting",
        BootState::Failed(_) => "failed",
        BootState::Ended(_) => "ended",
        BootState::NotStarted => "not started",
        _ => "?",
    }
}

/// Returns "UUID STATE" for each process, sorted.
fn told(results: &SessionResults) -> Vec<String> {
    results.processes.iter().map(|(uuid, state)| format!("{uuid} {}", word(state))).collect()
}

/// Writes down what the progress callback gets.
fn note(notes: &Mutex<Vec<String>>, progress: &sshpm::SessionProgress<'_>) {
    let place = format!("{}/{}", progress.stage, progress.stages);
    let text = match progress.process {
        Some((uuid, state)) => format!("{place} {uuid} {}", word(state)),
        None => place,
    };
    let mut notes = notes.lock().unwrap();
    // A slow stage has one of these for each second.
    if !notes.contains(&text) {
        notes.push(text);
    }
}

/// Waits until a process waits at its gate.
#[track_caller]
fn wait_for_gate(manager: &Manager, uuid: &str) {
    wait_until(&format!("{uuid} is in its setup"), TIME, || manager.remote_pid(uuid).ok());
    wait_for_setup(manager, uuid);
}

#[track_caller]
fn assert_unknown(manager: &Manager, uuid: &str) {
    assert!(matches!(manager.process_state(uuid), Err(Error::UnknownUuid { .. })), "{uuid}");
}

#[test]
fn the_next_stage_begins_when_all_of_the_stage_before_run() {
    let remote = Remote::start();
    let (manager, gates) = (manager(&remote), Gates(&remote));
    let infrastructure = Role::InfrastructureApplications;
    let session = three_stages().process("held", gates.hold("held", runs(infrastructure)));
    let notes = Mutex::default();
    let results = thread::scope(|scope| {
        let boot = scope.spawn(|| {
            manager.start_session(&session, |progress| {
                note(&notes, progress);
                true
            })
        });
        wait_for_gate(&manager, "held");
        manager.wait_until_started("server", TIME).unwrap();
        assert_unknown(&manager, "root");
        assert_unknown(&manager, "application");
        gates.open("held");
        boot.join().unwrap().unwrap()
    });
    assert_eq!(results.outcome, SessionOutcome::Complete);
    assert_eq!(told(&results), ["application started", "held started", "root started", "server started"]);
    assert!(results.is_complete() && results.ended.is_empty());
    let expected =
        ["1/3", "1/3 server started", "1/3 held started", "2/3", "2/3 root started", "3/3", "3/3 application started"];
    assert_eq!(notes.into_inner().unwrap(), expected);
    finish(&manager, &remote);
}

#[test]
fn all_of_a_stage_start_together() {
    let remote = Remote::start();
    let (manager, gates) = (manager(&remote), Gates(&remote));
    let names = ["a", "b", "c", "d"];
    let add = |session: Session, name: &&str| session.process(*name, gates.hold("all", runs(Role::Application)));
    let session = names.iter().fold(Session::new(), add);
    thread::scope(|scope| {
        let boot = scope.spawn(|| manager.start_session(&session, always));
        names.iter().for_each(|name| wait_for_gate(&manager, name));
        gates.open("all");
        assert!(boot.join().unwrap().unwrap().is_complete());
    });
    finish(&manager, &remote);
}

#[test]
fn an_order_of_its_own() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let session = three_stages().order([Role::Application, Role::RootController]);
    let notes = Mutex::default();
    let results = manager.start_session(&session, |progress| {
        note(&notes, progress);
        true
    });
    assert!(results.unwrap().is_complete());
    let notes = notes.into_inner().unwrap();
    let started: Vec<_> = notes.iter().filter(|note| note.ends_with("started")).collect();
    assert_eq!(started, ["1/3 server started", "2/3 application started", "3/3 root started"]);
    finish(&manager, &remote);
}

#[test]
fn a_failure_stops_the_boot_and_leaves_what_runs() {
    let remote = Remote::start();
    let (manager, gates) = (manager(&remote), Gates(&remote));
    let session = three_stages()
        .process("bad", fails(Role::RootController))
        .process("held", gates.hold("held", runs(Role::RootController)));
    let results = manager.start_session(&session, always).unwrap();
    assert_eq!(results.outcome, SessionOutcome::Failed { stage: 2, uuid: "bad".to_owned() });
    assert_eq!(results.outcome.to_string(), "stage 2 failed with process \"bad\"");
    let told = told(&results);
    assert_eq!(told[..3], ["application not started", "bad failed", "held not started"]);
    assert_eq!(told[4], "server started");
    assert_unknown(&manager, "application");
    // Its start was cancelled.
    assert_unknown(&manager, "held");
    assert!(results.ended["held"].is_ok());
    assert_eq!(manager.process_state("server").unwrap(), ProcessState::Running);
    match &results.processes["bad"] {
        BootState::Failed(error) => {
            assert_eq!(reason_of(error.clone()), StartFailure::Setup { line: 1, code: 3 });
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(manager.process_state("bad").unwrap(), ProcessState::Failed);
    finish(&manager, &remote);
}

/// A restart by a policy is a start, too.
#[test]
fn a_boot_that_stops_leaves_no_restart() {
    let remote = Remote::start();
    let (manager, gates) = (manager(&remote), Gates(&remote));
    let policy = RestartPolicy::always().pauses(TIME, TIME);
    let held = gates.hold("held", runs(Role::Application)).restart(policy.clone());
    let session = Session::new()
        .process("held", held.critical(false))
        .process("failing", fails(Role::Application).restart(policy));
    let results = manager.start_session(&session, always).unwrap();
    assert!(matches!(&results.outcome, SessionOutcome::Failed { uuid, .. } if uuid == "failing"), "{results:?}");
    // A start that was cancelled leaves the table, one that failed stays there. None of them starts again.
    assert_unknown(&manager, "held");
    assert_eq!(manager.process_state("failing").unwrap(), ProcessState::Failed);
    gates.open("held");
    finish(&manager, &remote);
}

#[test]
fn a_failure_rolls_back_in_the_shutdown_order() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let log = remote.scratch().join("log");
    let up = |name: &str| remote.scratch().join(format!("up-{name}"));
    let traced = |name: &str, role| {
        let (log, up) = (log.display(), up(name));
        let script =
            format!("trap 'echo {name} >>{log}; exit 0' QUIT; : >{}; while :; do sleep 0.05; done", up.display());
        shell(&script).role(role)
    };
    let session = Session::new()
        .process("server", traced("server", Role::InfrastructureApplications))
        .process("root", traced("root", Role::RootController))
        .process("segment", traced("segment", Role::SegmentController))
        .process("bad", fails(Role::Application))
        .process("helper", runs(Role::Unknown))
        .on_failure(OnFailure::RollBack);
    let results = manager.start_session(&session, |progress| {
        if let Some((uuid, BootState::Started)) = progress.process {
            // Before its trap is set, it would end without a trace.
            wait_for_file(&remote, &up(uuid));
        }
        true
    });
    let results = results.unwrap();
    assert_eq!(results.outcome, SessionOutcome::Failed { stage: 4, uuid: "bad".to_owned() });
    let expected = ["bad failed", "helper not started", "root started", "segment started", "server started"];
    assert_eq!(told(&results), expected);
    let ended: Vec<_> = results.ended.keys().map(String::as_str).collect();
    assert_eq!(ended, ["bad", "root", "segment", "server"]);
    let order = String::from_utf8(remote.read(&log)).unwrap();
    assert_eq!(order.lines().collect::<Vec<_>>(), ["segment", "root", "server"]);
    assert_eq!(manager.active_process_keys(), Vec::<String>::new());
    remote.assert_nothing_left();
}

#[test]
fn a_boot_that_goes_on_starts_the_stages_behind_a_failure() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let session = three_stages()
        .process("bad-server", fails(Role::InfrastructureApplications))
        .process("bad-root", fails(Role::RootController))
        .on_failure(OnFailure::Continue);
    let results = manager.start_session(&session, always).unwrap();
    assert_eq!(results.outcome, SessionOutcome::Failed { stage: 1, uuid: "bad-server".to_owned() });
    let expected = ["application started", "bad-root failed", "bad-server failed", "root started", "server started"];
    assert_eq!(told(&results), expected);
    assert!(results.ended.is_empty() && !results.is_complete());
    finish(&manager, &remote);
}

#[test]
fn what_is_not_critical_is_neither_waited_for_nor_needed() {
    let remote = Remote::start();
    let (manager, gates) = (manager(&remote), Gates(&remote));
    let infrastructure = Role::InfrastructureApplications;
    let session = three_stages()
        .process("bad", fails(infrastructure.clone()).critical(false))
        .process("held", gates.hold("held", runs(infrastructure)).critical(false));
    let results = manager.start_session(&session, always).unwrap();
    assert_eq!(results.outcome, SessionOutcome::Complete);
    assert_eq!(word(&results.processes["held"]), "starting");
    gates.open("held");
    manager.wait_until_started("held", TIME).unwrap();
    assert!(manager.wait_until_started("bad", TIME).is_err());
    finish(&manager, &remote);
}

#[test]
fn so_many_are_enough() {
    let remote = Remote::start();
    let (manager, gates) = (manager(&remote), Gates(&remote));
    let root = Role::RootController;
    let session =
        three_stages().process("bad", fails(root.clone())).process("held", gates.hold("held", runs(root.clone())));
    let results = manager.start_session(&session.clone().minimum(root.clone(), 1), always).unwrap();
    assert_eq!(results.outcome, SessionOutcome::Complete);
    assert_eq!(word(&results.processes["root"]), "started");
    manager.kill_all_processes(&KillTimeouts::default()).unwrap();
    // The one that waits can still become the second one.
    let manager_ref = &manager;
    thread::scope(|scope| {
        let two = session.clone().minimum(root.clone(), 2);
        let boot = scope.spawn(move || manager_ref.start_session(&two, always).unwrap());
        wait_for_gate(&manager, "held");
        assert_unknown(&manager, "application");
        gates.open("held");
        assert!(boot.join().unwrap().is_complete());
    });
    manager.kill_all_processes(&KillTimeouts::default()).unwrap();
    let results = manager.start_session(&session.minimum(root, 3), always).unwrap();
    assert_eq!(results.outcome, SessionOutcome::Failed { stage: 2, uuid: "bad".to_owned() });
    finish(&manager, &remote);
}

#[test]
fn the_time_of_the_session_wins() {
    let remote = Remote::start();
    let (manager, gates) = (manager(&remote), Gates(&remote));
    let held = gates.hold("held", runs(Role::InfrastructureApplications));
    let session = Session::new().process("held", held).process("application", runs(Role::Application));
    let results = manager.start_session(&session.timeout(Duration::from_secs(1)), always).unwrap();
    assert_eq!(results.outcome, SessionOutcome::TimedOut { stage: 1 });
    assert_eq!(told(&results), ["application not started", "held not started"]);
    assert_unknown(&manager, "held");
    gates.open("held");
    finish(&manager, &remote);
}

#[test]
fn the_next_stage_waits_until_a_process_is_ready_that_was_asked_for_it() {
    let remote = Remote::start();
    let (manager, gates) = (manager(&remote), Gates(&remote));
    let gate = gates.path("ready");
    let script = format!("until [ -e '{}' ]; do sleep 0.05; done; echo 'up now'; exec sleep 1000", gate.display());
    let root = Role::RootController;
    let slow = shell(&script).role(root.clone()).ready(Ready::Output("up now".to_owned()));
    // One that is not critical is not waited for, and can be late.
    let late = shell("exec sleep 1000").role(root.clone()).ready(Ready::Output("never".to_owned()));
    let late = late.ready_timeout(Duration::from_millis(1)).critical(false);
    let session = three_stages().process("slow", slow).process("late", late);
    let notes = Mutex::default();
    let results = thread::scope(|scope| {
        let boot = scope.spawn(|| {
            manager.start_session(&session, |progress| {
                note(&notes, progress);
                true
            })
        });
        wait_until("slow runs", TIME, || manager.wait_until_started("slow", TIME).ok());
        wait_until("late is late", TIME, || {
            let notes: Vec<String> = notes.lock().unwrap().clone();
            notes.iter().any(|note| note == "2/3 late not ready").then_some(())
        });
        assert_unknown(&manager, "application");
        gates.open("ready");
        boot.join().unwrap().unwrap()
    });
    assert_eq!(results.outcome, SessionOutcome::Complete);
    let expected = ["application started", "late not ready", "root started", "server started", "slow ready"];
    assert_eq!(told(&results), expected);
    assert!(notes.into_inner().unwrap().contains(&"2/3 slow ready".to_owned()));
    finish(&manager, &remote);
}

#[test]
fn a_critical_process_that_is_not_ready_in_time_fails_its_stage_and_runs_on() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let late = runs(Role::RootController).ready(Ready::Output("never".to_owned()));
    let session = three_stages().process("late", late.ready_timeout(Duration::from_secs(1)));
    let results = manager.start_session(&session, always).unwrap();
    assert_eq!(results.outcome, SessionOutcome::Failed { stage: 2, uuid: "late".to_owned() });
    assert_eq!(word(&results.processes["late"]), "not ready");
    assert_eq!(word(&results.processes["application"]), "not started");
    assert_eq!(manager.process_state("late").unwrap(), ProcessState::Running);
    // The time of the session wins over that of the process.
    manager.kill_all_processes(&KillTimeouts::default()).unwrap();
    let patient = runs(Role::RootController).ready(Ready::Output("never".to_owned()));
    let session = Session::new().process("patient", patient).timeout(Duration::from_secs(1));
    let results = manager.start_session(&session, always).unwrap();
    assert_eq!(results.outcome, SessionOutcome::TimedOut { stage: 1 });
    finish(&manager, &remote);
}

/// A boot is cancelled when a stage begins, and while it waits.
#[test]
fn a_boot_is_cancelled_in_each_stage() {
    let remote = Remote::start();
    let (manager, gates) = (manager(&remote), Gates(&remote));
    let stages = ["server", "root", "application"];
    let roles = [Role::InfrastructureApplications, Role::RootController, Role::Application];
    for (at, role) in roles.iter().enumerate() {
        for on_failure in [OnFailure::Stop, OnFailure::RollBack, OnFailure::Continue] {
            let cancelled = SessionOutcome::Cancelled { stage: at + 1 };
            let session = three_stages().on_failure(on_failure);
            let results = manager.start_session(&session, |progress| progress.stage <= at).unwrap();
            assert_eq!(results.outcome, cancelled);
            check_cancelled(&manager, &results, &stages[..at], on_failure);

            let held = session.process("held", gates.hold("held", runs(role.clone())));
            // Nothing changes any more: the callback that comes once in a second cancels.
            let results = manager.start_session(&held, |progress| {
                progress.stage <= at || manager.process_stdout("held").map_or(true, |output| output.bytes.is_empty())
            });
            let results = results.unwrap();
            assert_eq!(results.outcome, cancelled);
            assert_eq!(word(&results.processes["held"]), "not started");
            assert_unknown(&manager, "held");
            check_cancelled(&manager, &results, &stages[..at], on_failure);
        }
    }
    finish(&manager, &remote);
}

/// Checks what runs after a boot that was cancelled: these processes, and perhaps one of the stage; or nothing.
#[track_caller]
fn check_cancelled(manager: &Manager, results: &SessionResults, before: &[&str], on_failure: OnFailure) {
    for name in before {
        assert_eq!(word(&results.processes[*name]), "started", "{name}");
        let is_there = manager.process_state(name).is_ok();
        assert_eq!(is_there, on_failure != OnFailure::RollBack, "{name}");
    }
    for (uuid, state) in &results.processes {
        let is_started = matches!(state, BootState::Started) && on_failure != OnFailure::RollBack;
        assert_eq!(manager.process_state(uuid).is_ok(), is_started, "{uuid} {state:?}");
    }
    manager.kill_all_processes(&KillTimeouts::default()).unwrap();
}

#[test]
fn a_critical_process_of_an_earlier_stage_that_ends_fails_its_stage() {
    let remote = Remote::start();
    let (manager, gates) = (manager(&remote), Gates(&remote));
    let session = three_stages().process("held", gates.hold("held", runs(Role::RootController)));
    let results = thread::scope(|scope| {
        let boot = scope.spawn(|| manager.start_session(&session, always).unwrap());
        wait_for_gate(&manager, "held");
        manager.send_signal("server", Signal::KILL).unwrap();
        boot.join().unwrap()
    });
    assert_eq!(results.outcome, SessionOutcome::Failed { stage: 1, uuid: "server".to_owned() });
    match &results.processes["server"] {
        BootState::Ended(status) => assert_eq!(status.signal(), Some(Signal::KILL)),
        other => panic!("{other:?}"),
    }
    assert_eq!(word(&results.processes["application"]), "not started");
    finish(&manager, &remote);
}

#[test]
fn a_kill_by_another_thread_is_an_end() {
    let remote = Remote::start();
    let (manager, gates) = (manager(&remote), Gates(&remote));
    for (uuid, on_failure) in [("held", OnFailure::Stop), ("root", OnFailure::Stop), ("root", OnFailure::Continue)] {
        let session =
            three_stages().process("held", gates.hold("held", runs(Role::RootController))).on_failure(on_failure);
        let results = thread::scope(|scope| {
            let boot = scope.spawn(|| manager.start_session(&session, always).unwrap());
            wait_for_gate(&manager, "held");
            manager.wait_until_started("root", TIME).unwrap();
            manager.kill_process(uuid, TIME).unwrap();
            if on_failure == OnFailure::Continue {
                manager.kill_process("held", TIME).unwrap();
            }
            boot.join().unwrap()
        });
        assert!(matches!(&results.outcome, SessionOutcome::Failed { stage: 2, .. }), "{:?}", results.outcome);
        assert_eq!(word(&results.processes[uuid]), "ended");
        let last = if on_failure == OnFailure::Continue { "started" } else { "not started" };
        assert_eq!(word(&results.processes["application"]), last);
        manager.kill_all_processes(&KillTimeouts::default()).unwrap();
    }
    finish(&manager, &remote);
}

#[test]
fn a_failure_that_another_thread_forgets_is_still_a_failure() {
    let remote = Remote::start();
    let (manager, gates) = (manager(&remote), Gates(&remote));
    let session = three_stages()
        .process("held", gates.hold("held", runs(Role::RootController)))
        .process("bad", fails(Role::RootController))
        .on_failure(OnFailure::Continue);
    let results = thread::scope(|scope| {
        let boot = scope.spawn(|| manager.start_session(&session, always).unwrap());
        wait_for_gate(&manager, "held");
        assert!(manager.wait_until_started("bad", TIME).is_err());
        wait_until("it is settled", TIME, || manager.forget_process("bad").ok());
        gates.open("held");
        boot.join().unwrap()
    });
    assert_eq!(results.outcome, SessionOutcome::Failed { stage: 2, uuid: "bad".to_owned() });
    assert_eq!(word(&results.processes["bad"]), "failed");
    finish(&manager, &remote);
}

#[test]
fn a_uuid_that_another_thread_takes_meanwhile_fails_its_stage() {
    let remote = Remote::start();
    let (manager, gates) = (manager(&remote), Gates(&remote));
    let session = three_stages().process("held", gates.hold("held", runs(Role::RootController)));
    let results = thread::scope(|scope| {
        let boot = scope.spawn(|| manager.start_session(&session, always).unwrap());
        wait_for_gate(&manager, "held");
        start(&manager, "application", &runs(Role::Application));
        gates.open("held");
        boot.join().unwrap()
    });
    assert_eq!(results.outcome, SessionOutcome::Failed { stage: 3, uuid: "application".to_owned() });
    let state = &results.processes["application"];
    assert!(matches!(state, BootState::Failed(Error::UuidInUse { .. })), "{state:?}");
    // The other one's process is not the session's.
    assert_eq!(manager.process_state("application").unwrap(), ProcessState::Running);
    finish(&manager, &remote);
}

#[test]
fn a_manager_that_is_shut_down_or_detached_starts_nothing_more() {
    type Call = fn(&Manager);
    let calls: [Call; 2] = [|manager| drop(manager.shutdown(TIME).unwrap()), |manager| manager.detach().unwrap()];
    for call in calls {
        for on_failure in [OnFailure::Stop, OnFailure::RollBack, OnFailure::Continue] {
            let remote = Remote::start();
            let (manager, gates) = (manager(&remote), Gates(&remote));
            let session = three_stages()
                .process("held", gates.hold("held", runs(Role::RootController).grace(Duration::from_secs(1))))
                .on_failure(on_failure);
            let results = thread::scope(|scope| {
                let boot = scope.spawn(|| manager.start_session(&session, always).unwrap());
                wait_for_gate(&manager, "held");
                call(&manager);
                boot.join().unwrap()
            });
            assert!(matches!(results.outcome, SessionOutcome::ShutDown { stage: 2 }), "{:?}", results.outcome);
            assert_eq!(word(&results.processes["application"]), "not started");
            assert!(matches!(manager.start_session(&session, always), Err(Error::ShutDown)));
            remote.assert_nothing_left();
        }
    }
}

#[test]
fn a_panic_of_the_callback_cancels_and_goes_on() {
    let remote = Remote::start();
    let (manager, gates) = (manager(&remote), Gates(&remote));
    let session = three_stages().process("held", gates.hold("held", runs(Role::RootController)));
    let boot = || {
        manager.start_session(&session, |progress| {
            assert!(progress.stage < 2 || progress.process.is_none(), "expected in this test");
            true
        })
    };
    assert!(catch_unwind(AssertUnwindSafe(boot)).is_err());
    assert_unknown(&manager, "held");
    assert_unknown(&manager, "application");
    assert_eq!(manager.process_state("server").unwrap(), ProcessState::Running);
    finish(&manager, &remote);
}

/// The callback may make calls that block.
#[test]
fn the_callback_may_kill_a_process() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let results = manager.start_session(&three_stages(), |progress| {
        if let (2, Some(("root", BootState::Started))) = (progress.stage, progress.process) {
            manager.kill_process("root", TIME).unwrap();
        }
        true
    });
    let results = results.unwrap();
    assert_eq!(results.outcome, SessionOutcome::Failed { stage: 2, uuid: "root".to_owned() });
    assert_eq!(told(&results), ["application not started", "root ended", "server started"]);
    assert!(results.ended.is_empty(), "the next stage has not begun: {:?}", results.ended);
    finish(&manager, &remote);
}

#[test]
fn what_cannot_start_is_refused_before_anything_starts() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let refused = |session: &Session| manager.start_session(session, |_| panic!("it must not begin")).unwrap_err();
    let host = three_stages().process("u", BootRequest::new("-h", ["true"]));
    assert!(matches!(refused(&host), Error::Invalid { field, .. } if field == "processes[3].host"));
    let twice = three_stages().process("root", runs(Role::Unknown));
    assert!(matches!(refused(&twice), Error::Invalid { field, .. } if field == "processes[3].uuid"));
    let many = three_stages().minimum(Role::Application, 2);
    assert!(matches!(refused(&many), Error::Invalid { field, .. } if field == "minimum.application"));
    start(&manager, "application", &runs(Role::Application));
    assert!(matches!(refused(&three_stages()), Error::UuidInUse { uuid } if uuid == "application"));
    assert_eq!(manager.active_process_keys(), ["application"]);
    assert!(manager.start_session(&Session::new(), always).unwrap().is_complete());
    finish(&manager, &remote);
}

#[test]
fn a_host_that_does_not_answer_is_a_failure_with_its_reason() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let nowhere = BootRequest::new("refused", ["true"]).role(Role::RootController);
    let results = manager.start_session(&three_stages().process("nowhere", nowhere), always).unwrap();
    assert_eq!(results.outcome, SessionOutcome::Failed { stage: 2, uuid: "nowhere".to_owned() });
    match &results.processes["nowhere"] {
        BootState::Failed(error) => {
            assert!(is_failure(error, SshFailure::Refused, LauncherFailure::Ended(4)), "{error}");
        }
        other => panic!("{other:?}"),
    }
    finish(&manager, &remote);
}

#[test]
fn a_session_of_json_boots() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let mark = remote.scratch().join("mark");
    let json = format!(
        r#"{{
        "session": {{"order": ["root-controller", "application"], "minimum": {{"application": 1}}, "timeout": 60}},
        "defaults": {{"host": "alpha", "environment": {{"MARK": "{}"}},
            "argv": ["sh", "-c", "echo $NAME >>$MARK; while :; do sleep 0.05; done"]}},
        "processes": [
            {{"uuid": "b-1", "role": "application", "environment": {{"NAME": "second"}}}},
            {{"name": "a", "role": "root-controller", "environment": {{"NAME": "first"}}}}
        ]
    }}"#,
        mark.display()
    );
    let session = Session::from_json(&json).unwrap();
    let results = manager.start_session(&session, |progress| {
        if let (2, None) = (progress.stage, progress.process) {
            wait_for_file(&remote, Path::new(&mark));
        }
        true
    });
    assert_eq!(told(&results.unwrap()), ["a started", "b-1 started"]);
    wait_until("both lines", TIME, || (remote.read(&mark) == b"first\nsecond\n").then_some(()));
    finish(&manager, &remote);
}

#[test]
fn inside_a_callback_a_boot_is_refused() {
    let remote = Remote::start();
    let manager = std::sync::Arc::new(manager(&remote));
    let (sender, answers) = std::sync::mpsc::channel();
    let weak = std::sync::Arc::downgrade(&manager);
    manager
        .on_process_exit(move |_, _, _| {
            let manager = weak.upgrade().unwrap();
            let refused = manager.start_session(&Session::new(), always);
            sender.send(matches!(refused, Err(Error::InsideCallback))).unwrap();
        })
        .unwrap();
    manager.start_process("u", &shell("true")).unwrap();
    assert!(answers.recv_timeout(TIME).unwrap());
    finish(&manager, &remote);
}
