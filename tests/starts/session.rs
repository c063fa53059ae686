//! A session: processes on several hosts, by roles, from their start to their end in order, and what subscribers and
//! callbacks get.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvError, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::life::break_link;
use crate::support::{
    self, By, DEADLINE, LONG, ProcessInfo, Remote, launched_by, learned, run_to_end, start, start_ready, told,
    wait_for_end, wait_until, wait_until_ready,
};
use sshpm::{
    BootRequest, Error, Event, EventKind, ExitSource, KillResults, KillScope, KillStep, KillTimeouts, Manager, Options,
    ProcessState, Role, RuntimePids, Signal, Subscription,
};

const HOSTS: [&str; 3] = ["alpha", "beta", "gamma"];

/// The ten processes of a session, whose roles are not in shutdown order.
fn session() -> Vec<(&'static str, Role)> {
    vec![
        ("connection-server", Role::InfrastructureApplications),
        ("root", Role::RootController),
        ("segment-1", Role::SegmentController),
        ("segment-2", Role::SegmentController),
        ("readout-1", Role::Application),
        ("monitor", Role::Custom("monitor".into())),
        ("readout-2", Role::Application),
        ("trigger", Role::Application),
        ("dataflow", Role::Application),
        ("helper", Role::Unknown),
    ]
}

/// The processes of a role note here that they were asked to end, and wait until they may end.
struct Gates {
    /// As the remote sees it.
    dir: PathBuf,
    local: PathBuf,
}

impl Gates {
    fn new(remote: &Remote) -> Gates {
        let dir = remote.scratch().join("gates");
        fs::create_dir(remote.local(&dir)).unwrap();
        Gates { local: remote.local(&dir), dir }
    }

    /// Returns a program that, when asked to end, writes "asked NAME" to the common file, waits until the gate of its
    /// role is open, and writes "ended NAME". The signal ends its `wait`; any other command would have to end by itself
    /// first.
    fn request(&self, host: &str, name: &str, role: &Role) -> BootRequest {
        const PROGRAM: &str = r#"
            trap 'kill $!; echo "asked $1" >>log; until [ -e "open-$2" ]; do sleep 0.01; done; echo "ended $1" >>log; exit 0' QUIT
            sleep 1000 & echo ready; wait"#;
        let request = BootRequest::new(host, ["sh", "-c", PROGRAM, "sh", name, role.as_str()]);
        request.working_directory(&self.dir).role(role.clone()).name(name)
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.local.join("log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn open(&self, role: &Role) {
        fs::write(self.local.join(format!("open-{role}")), "").unwrap();
    }
}

/// Returns the names of a role, each with the word before it, sorted.
fn of_role(word: &str, role: &Role) -> Vec<String> {
    let mut names: Vec<_> =
        session().into_iter().filter(|(_, of)| of == role).map(|(name, _)| format!("{word} {name}")).collect();
    names.sort();
    names
}

/// Takes as many lines from the front as the role has processes, because these have no order among them.
fn first_sorted(list: &mut Vec<String>, role: &Role) -> Vec<String> {
    let mut first: Vec<_> = list.drain(..of_role("", role).len().min(list.len())).collect();
    first.sort();
    first
}

#[test]
fn ten_processes_on_three_hosts_boot_run_and_end_in_order() {
    support::isolated(|| {
        let before = support::local_snapshot();
        let remote = Remote::start();
        let gates = Gates::new(&remote);
        let manager = remote.manager();
        let events = manager.subscribe().unwrap();
        boot(&manager, &gates);

        let mut started: Vec<_> = (0..10).map(|_| told(&events.recv_timeout(DEADLINE).unwrap())).collect();
        started.sort();
        let mut expected: Vec<_> = session().iter().map(|(name, _)| format!("started {name}")).collect();
        expected.sort();
        assert_eq!(started, expected);

        let order: Vec<Role> = Role::SHUTDOWN_ORDER.into_iter().chain([Role::Custom("monitor".into())]).collect();
        let results = std::thread::scope(|scope| {
            let killing = scope.spawn(|| manager.kill_all_processes(&LONG.into()).unwrap());
            let mut expected = Vec::new();
            for role in &order {
                // All processes of the role were asked, although none of them has ended, and no others were.
                let asked = of_role("asked", role);
                expected.extend(asked.clone());
                let lines = wait_until(&format!("all of role {role} are asked"), LONG, || {
                    Some(gates.lines()).filter(|lines| lines.len() >= expected.len())
                });
                let mut last = lines[expected.len() - asked.len()..].to_vec();
                last.sort();
                assert_eq!(last, asked, "after {lines:?}");
                gates.open(role);
                expected.extend(of_role("ended", role));
            }
            killing.join().unwrap()
        });
        assert_eq!(results.len(), 10);
        for (uuid, end) in results {
            let status = end.unwrap();
            assert_eq!((status.code(), status.source()), (Some(0), ExitSource::ManualKillThroughRemotePid), "{uuid}");
        }
        // In the remote's own order and in the events, a role has ended before the next one is asked.
        let (mut lines, mut told) = (gates.lines(), events.try_iter().map(|event| told(&event)).collect::<Vec<_>>());
        for role in &order {
            assert_eq!(first_sorted(&mut lines, role), of_role("asked", role));
            assert_eq!(first_sorted(&mut lines, role), of_role("ended", role));
            assert_eq!(first_sorted(&mut told, role), of_role("exited", role));
        }
        assert!(told.is_empty() && manager.active_process_keys().is_empty());
        remote.assert_nothing_left();
        drop(manager);
        assert_eq!(events.try_iter().count(), 0, "each exit was reported once");
        drop(events);
        remote.stop();
        support::assert_same_as(&before);
    });
}

/// Starts the whole session, and asserts that its processes run.
#[track_caller]
fn boot(manager: &Manager, gates: &Gates) {
    for (number, (name, role)) in session().iter().enumerate() {
        manager.start_process(name, &gates.request(HOSTS[number % 3], name, role)).unwrap();
    }
    let names: Vec<_> = session().iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(manager.active_process_keys(), names, "in the order of their starts");
    for name in &names {
        let pid = manager.wait_until_started(name, LONG).unwrap();
        assert_eq!(manager.process_state(name).unwrap(), ProcessState::Running);
        assert!(manager.is_process_alive(name) && manager.exit_status(name).is_none());
        assert_eq!(manager.remote_pid(name).unwrap(), pid);
        wait_until_ready(manager, name);
        let cmdline = ProcessInfo::of(pid as i32).unwrap().cmdline;
        assert_eq!((cmdline[0].to_str(), cmdline[4].to_str()), (Some("sh"), Some(name.as_str())));
        let pids = manager.runtime_pids(name);
        assert_eq!(pids.remote, Some(pid));
        assert!(Path::new(&format!("/proc/self/task/{}", pids.client_monitoring.unwrap())).exists());
        assert!(ProcessInfo::of(pids.remote_monitoring.unwrap() as i32).is_some());
        let client = pids.ssh_client.and_then(|pid| ProcessInfo::of(pid as i32));
        assert_eq!(client.is_some(), support::has_clients());
    }
}

/// Returns options whose kills ask once and then give up.
fn only_quit(remote: &Remote) -> Options {
    remote.options().kill_sequence([KillStep { signal: Signal::QUIT, scope: KillScope::Leader, wait: None }])
}

#[test]
fn a_role_that_does_not_end_does_not_hold_the_next_one() {
    let remote = Remote::start();
    let manager = remote.manager_with(only_quit(&remote));
    let events = manager.subscribe().unwrap();
    // It reports when it ignores QUIT. Before that, QUIT would end it.
    let deaf = remote.scratch().join("deaf");
    let stubborn = remote.request("alpha", &format!("ignore QUIT report {} wait", deaf.display()));
    start(&manager, "stubborn", &stubborn.role(Role::Application));
    support::AppReport::wait(&remote, &deaf);
    start_ready(&manager, "peer", &remote.request("alpha", "heartbeat 0.2").role(Role::Application));
    start_ready(&manager, "root", &remote.request("beta", "heartbeat 0.2").role(Role::RootController));
    let timeouts = KillTimeouts::from(LONG).with("stubborn", Duration::from_millis(200));
    let results = manager.kill_processes(&["root", "stubborn", "peer", "unheard-of", "peer"], &timeouts).unwrap();
    assert_eq!(results.len(), 4);
    assert!(matches!(&results["stubborn"], Err(Error::StillRunning { uuid, .. }) if uuid == "stubborn"));
    assert!(matches!(&results["unheard-of"], Err(Error::UnknownUuid { .. })));
    for uuid in ["peer", "root"] {
        assert_eq!(results[uuid].as_ref().unwrap().code(), Some(0));
    }
    let told: Vec<_> = events.try_iter().map(|event| told(&event)).skip(3).collect();
    assert_eq!(told, ["exited peer", "exited root"]);

    // It stays in the table as a process that was asked to end, and it can be killed again.
    assert_eq!(manager.active_process_keys(), ["stubborn"]);
    assert_eq!(manager.process_state("stubborn").unwrap(), ProcessState::Ending);
    assert!(manager.is_process_alive("stubborn"));
    assert!(matches!(manager.kill_process("stubborn", Duration::ZERO), Err(Error::StillRunning { .. })));
    assert!(matches!(manager.forget_process("stubborn"), Err(Error::StillRunning { .. })));
    manager.send_signal("stubborn", Signal::KILL).unwrap();
    let status = wait_for_end(&manager, "stubborn").unwrap();
    assert_eq!((status.code(), status.source()), (Some(137), ExitSource::ManualKillThroughRemotePid));
    remote.assert_nothing_left();
}

#[test]
fn only_the_candidates_of_a_role_are_killed() {
    let remote = Remote::start();
    let manager = remote.manager();
    for (uuid, role) in [
        ("a-1", Role::Application),
        ("a-2", Role::Application),
        ("no-candidate", Role::Application),
        ("root", Role::RootController),
        ("custom", Role::Custom("mine".into())),
    ] {
        manager.start_process(uuid, &remote.request("alpha", "heartbeat 0.2").role(role)).unwrap();
    }
    for uuid in manager.active_process_keys() {
        wait_until_ready(&manager, &uuid);
    }
    let candidates = ["root", "a-1", "custom", "a-2", "unheard-of"];
    let kill = |role: &Role| manager.kill_processes_by_role(role, &candidates, &LONG.into()).unwrap();
    let results = kill(&Role::Application);
    assert_eq!(results.keys().collect::<Vec<_>>(), ["a-1", "a-2", "unheard-of"]);
    assert!(matches!(results["unheard-of"], Err(Error::UnknownUuid { .. })));
    assert!(["a-1", "a-2"].iter().all(|uuid| results[*uuid].as_ref().unwrap().code() == Some(0)));
    assert_eq!(manager.active_process_keys(), ["no-candidate", "root", "custom"]);
    assert!(
        manager.active_process_keys().iter().all(|uuid| manager.process_state(uuid).unwrap() == ProcessState::Running)
    );
    assert_eq!(kill(&Role::Custom("mine".into())).keys().filter(|uuid| *uuid == "custom").count(), 1);
    assert_eq!(manager.active_process_keys(), ["no-candidate", "root"]);
    manager.kill_all_processes(&LONG.into()).unwrap();
    remote.assert_nothing_left();
}

/// Brings one process into each state. None of them leaves its state by itself.
#[track_caller]
fn one_in_each_state(remote: &Remote, manager: &Manager) -> BTreeMap<&'static str, ProcessState> {
    let deaf = |name: &str, signals: &str| {
        let file = remote.scratch().join(name);
        (remote.request("alpha", &format!("ignore {signals} report {} wait", file.display())), file)
    };
    manager.start_process("connecting", &remote.request("silent", "wait")).unwrap();
    // Shorter than the drop of a manager: when the manager has to kill an srun, the wrapper goes with it.
    let starting = remote.request("alpha", "wait").setup_line("sleep 1000").grace(Duration::from_secs(1));
    manager.start_process("starting", &starting).unwrap();
    start(manager, "running", &remote.request("beta", "wait"));
    let (request, file) = deaf("deaf-to-quit", "QUIT");
    start(manager, "ending", &request);
    support::AppReport::wait(remote, file);
    assert!(matches!(manager.kill_process("ending", Duration::ZERO), Err(Error::StillRunning { .. })));
    run_to_end(manager, "ended", &remote.request("gamma", "exit 5")).unwrap();
    run_to_end(manager, "failed", &BootRequest::new("alpha", ["/no/such/program"])).unwrap_err();
    // Its wrapper waits for it as long as its grace is, and the manager waits for the wrapper.
    let (request, file) = deaf("deaf-to-hup", "HUP");
    start(manager, "lost", &request.grace(Duration::from_secs(600)));
    support::AppReport::wait(remote, file);
    break_link(manager, "lost");
    let states = BTreeMap::from([
        ("connecting", ProcessState::Connecting),
        ("starting", ProcessState::Starting),
        ("running", ProcessState::Running),
        ("ending", ProcessState::Ending),
        ("lost", ProcessState::LinkLost),
        ("ended", ProcessState::Ended),
        ("failed", ProcessState::Failed),
    ]);
    for (uuid, state) in &states {
        wait_until(&format!("{uuid} is {state:?}"), LONG, || {
            (manager.process_state(uuid).unwrap() == *state).then_some(())
        });
    }
    states
}

#[test]
fn every_state_is_shown_and_answered_for() {
    let remote = Remote::start();
    let manager = remote.manager_with(only_quit(&remote).connect_timeout(LONG));
    let request = remote.request("alpha", "wait");
    for (uuid, state) in one_in_each_state(&remote, &manager) {
        let alive = matches!(state, ProcessState::Starting | ProcessState::Running | ProcessState::Ending);
        let settled = matches!(state, ProcessState::Ended | ProcessState::Failed);
        assert_eq!(manager.is_process_alive(uuid), alive, "{uuid}");
        assert_eq!(manager.exit_status(uuid).is_some(), settled, "{uuid}");
        let has_pid = alive || matches!(state, ProcessState::LinkLost | ProcessState::Ended);
        match manager.remote_pid(uuid) {
            Ok(pid) => assert!(pid > 1),
            // A program that does not exist has a pid until that is found out.
            Err(error) => assert!(!has_pid && matches!(error, Error::NoRemotePid { .. }), "{uuid}: {error}"),
        }
        // By ssh, a process that is connecting waits for the shared connection.
        let has_client =
            (alive && support::has_clients()) || (state == ProcessState::Connecting && launched_by() != By::Ssh);
        // The client of a process that has reported everything may live for another moment.
        wait_until(&format!("{uuid} has a client: {has_client}"), LONG, || {
            (manager.runtime_pids(uuid).ssh_client.is_some() == has_client).then_some(())
        });
        match manager.send_signal(uuid, Signal::CONT) {
            Ok(()) => assert!(alive, "{uuid}"),
            Err(Error::LinkDown { .. }) => assert_eq!(state, ProcessState::LinkLost),
            Err(Error::NotRunning { .. }) => assert!(settled || state == ProcessState::Connecting, "{uuid}"),
            Err(other) => panic!("{uuid}: {other}"),
        }
        if !settled {
            assert!(matches!(manager.start_process(uuid, &request), Err(Error::UuidInUse { .. })), "{uuid}");
            assert!(matches!(manager.forget_process(uuid), Err(Error::StillRunning { .. })), "{uuid}");
            assert!(manager.pop_early_exit_status(uuid).is_none(), "{uuid}");
        }
    }
    // It is returned only once.
    assert_eq!(manager.pop_early_exit_status("ended").unwrap().unwrap().code(), Some(5));
    assert!(manager.pop_early_exit_status("ended").is_none());
    manager.forget_process("failed").unwrap();
    for uuid in ["ended", "failed", "unheard-of"] {
        assert!(matches!(manager.process_state(uuid), Err(Error::UnknownUuid { .. })));
        assert!(!manager.is_process_alive(uuid) && manager.process_stdout(uuid).is_err());
    }

    // The host is asked about the lost process, and answers when that has ended.
    let pid = manager.remote_pid("lost").unwrap();
    ProcessInfo::of(pid as i32).unwrap().signal(libc::SIGKILL).unwrap();
    let status = wait_for_end(&manager, "lost").unwrap();
    assert_eq!((status.source(), status.application_code()), (ExitSource::ClientMonitoring, learned(137)));
    manager.send_signal("ending", Signal::KILL).unwrap();
    for (uuid, end) in manager.kill_all_processes(&LONG.into()).unwrap() {
        end.unwrap_or_else(|error| panic!("{uuid}: {error}"));
    }
    assert!(manager.active_process_keys().is_empty());
    remote.assert_nothing_left();
}

/// Whether a call failed because no process has the uuid "nobody".
fn is_unknown<T>(result: sshpm::Result<T>) -> bool {
    matches!(result, Err(Error::UnknownUuid { uuid }) if uuid == "nobody")
}

/// Whether the results have this failure for "nobody", and nothing else.
fn are_unknown(results: sshpm::Result<KillResults>) -> bool {
    let mut results = results.unwrap();
    results.remove("nobody").is_some_and(is_unknown) && results.is_empty()
}

#[test]
fn every_call_answers_for_an_unknown_uuid_as_the_docs_say() {
    type Call = fn(&Manager) -> bool;
    const NONE: Duration = Duration::ZERO;
    let calls: [(&str, Call); 20] = [
        // Calls that need the process.
        ("start_number", |manager| is_unknown(manager.start_number("nobody"))),
        ("process_state", |manager| is_unknown(manager.process_state("nobody"))),
        ("remote_pid", |manager| is_unknown(manager.remote_pid("nobody"))),
        ("process_stdout", |manager| is_unknown(manager.process_stdout("nobody"))),
        ("process_stderr", |manager| is_unknown(manager.process_stderr("nobody"))),
        ("subscribe_output", |manager| is_unknown(manager.subscribe_output("nobody"))),
        ("wait_until_started", |manager| is_unknown(manager.wait_until_started("nobody", LONG))),
        ("wait_for_process_exit_code", |manager| is_unknown(manager.wait_for_process_exit_code("nobody", LONG))),
        ("send_signal", |manager| is_unknown(manager.send_signal("nobody", Signal::TERM))),
        ("crash_process", |manager| is_unknown(manager.crash_process("nobody", Signal::KILL))),
        ("kill_process", |manager| is_unknown(manager.kill_process("nobody", LONG))),
        ("kill_process_without_metadata", |manager| {
            is_unknown(manager.kill_process_without_metadata("nobody", Signal::KILL, true, LONG))
        }),
        ("forget_process", |manager| is_unknown(manager.forget_process("nobody"))),
        // Calls for several uuids.
        ("kill_processes", |manager| are_unknown(manager.kill_processes(&["nobody"], &NONE.into()))),
        ("kill_processes_by_role", |manager| {
            are_unknown(manager.kill_processes_by_role(&Role::Application, &["nobody"], &NONE.into()))
        }),
        // Look-ups, for which an unknown process is one of which nothing is known.
        ("is_process_alive", |manager| !manager.is_process_alive("nobody")),
        ("is_monitoring_remotely", |manager| !manager.is_monitoring_remotely("nobody")),
        ("runtime_pids", |manager| manager.runtime_pids("nobody") == RuntimePids::default()),
        ("exit_status", |manager| manager.exit_status("nobody").is_none()),
        ("pop_early_exit_status", |manager| manager.pop_early_exit_status("nobody").is_none()),
    ];
    let remote = Remote::start();
    let manager = remote.manager();
    for (name, answers) in calls {
        assert!(answers(&manager), "{name}");
    }
}

#[test]
fn dropping_ends_all_in_any_state() {
    support::isolated(|| {
        let before = support::local_snapshot();
        let remote = Remote::start();
        let manager = remote.manager_with(only_quit(&remote).connect_timeout(LONG));
        let states = one_in_each_state(&remote, &manager);
        assert_eq!(states.len(), 7);
        let lost = ProcessInfo::of(manager.remote_pid("lost").unwrap() as i32).unwrap();
        let events = manager.subscribe().unwrap();
        drop_in_time(manager);
        // For each of the five that had not ended, one exit is reported.
        let mut told: Vec<_> = events.try_iter().map(|event| told(&event)).collect();
        told.sort();
        assert_eq!(told, ["exited connecting", "exited ending", "exited lost", "exited running", "exited starting"]);
        // Its own grace is not over, and all others have ended.
        assert!(lost.is_alive());
        lost.signal(libc::SIGKILL).unwrap();
        wait_until("the end of all processes", LONG, || remote.processes().is_empty().then_some(()));
        remote.stop();
        drop(events);
        support::assert_same_as(&before);
    });
}

/// Drops the manager, which must not block for ever.
#[track_caller]
fn drop_in_time(manager: Manager) {
    let (sender, dropped) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            drop(manager);
            sender.send(()).unwrap();
        });
        // The documentation promises 5 s.
        dropped.recv_timeout(LONG / 2).expect("dropping the manager blocks");
    });
}

#[test]
fn dropping_does_not_wait_for_a_process_that_does_not_end() {
    support::isolated(|| {
        let before = support::local_snapshot();
        let remote = Remote::start();
        let manager = remote.manager();
        let deaf = remote.scratch().join("deaf");
        let request = remote.request("alpha", &format!("ignore HUP,QUIT,TERM report {} wait", deaf.display()));
        // Ten minutes are twenty times the test's deadline.
        let pid = start(&manager, "deaf", &request.grace(Duration::from_secs(600)));
        support::AppReport::wait(&remote, &deaf);
        let application = ProcessInfo::of(pid as i32).unwrap();
        drop_in_time(manager);
        assert!(application.is_alive(), "the grace is not over");
        application.signal(libc::SIGKILL).unwrap();
        wait_until("the end of all processes", LONG, || remote.processes().is_empty().then_some(()));
        remote.stop();
        support::assert_same_as(&before);
    });
}

#[test]
fn a_shutdown_ends_all_in_order_and_nothing_starts_behind_it() {
    let remote = Remote::start();
    let gates = Gates::new(&remote);
    let manager = remote.manager();
    let events = manager.subscribe().unwrap();
    boot(&manager, &gates);
    for role in Role::SHUTDOWN_ORDER.iter().chain([&Role::Custom("monitor".into())]) {
        gates.open(role);
    }
    let results = manager.shutdown(LONG).unwrap();
    assert_eq!(results.len(), 10);
    assert!(results.values().all(|end| end.as_ref().unwrap().code() == Some(0)), "{results:?}");
    let exited: Vec<_> = events.try_iter().filter(|event| matches!(event.kind, EventKind::Exited { .. })).collect();
    let place = |uuid: &str| exited.iter().position(|event| event.uuid == uuid).unwrap();
    for pair in ["helper", "trigger", "segment-1", "root", "connection-server", "monitor"].windows(2) {
        assert!(place(pair[0]) < place(pair[1]), "{pair:?}");
    }
    let refused = manager.start_process("late", &remote.request("alpha", "wait"));
    assert!(matches!(refused, Err(Error::ShutDown)), "{refused:?}");
    assert!(manager.active_process_keys().is_empty());
    assert!(manager.shutdown(LONG).unwrap().is_empty(), "a second shutdown has nothing to do");
    remote.assert_nothing_left();
}

#[test]
fn a_shutdown_whose_time_is_over_kills() {
    let remote = Remote::start();
    let manager = remote.manager();
    for (number, role) in [Role::Application, Role::RootController].into_iter().enumerate() {
        let file = remote.scratch().join(number.to_string());
        let verbs = format!("ignore QUIT report {} wait", file.display());
        start(&manager, &format!("p-{number}"), &remote.request("alpha", &verbs).role(role));
        support::AppReport::wait(&remote, &file);
    }
    let results = manager.shutdown(Duration::ZERO).unwrap();
    assert_eq!(results.len(), 2);
    for (uuid, end) in results {
        let status = end.unwrap();
        assert_eq!((status.code(), status.signal()), (Some(137), Some(Signal::KILL)), "{uuid}");
    }
    remote.assert_nothing_left();
}

#[test]
fn detaching_lets_processes_end_by_their_policy() {
    let remote = Remote::start();
    let manager = remote.manager();
    let events = manager.subscribe().unwrap();
    // A lost link sends HUP. No other signal ends it with this code.
    let script = "trap 'exit 23' HUP; trap 'exit 24' QUIT TERM INT; echo ready; while :; do sleep 1000 & wait; done";
    start_ready(&manager, "p", &BootRequest::new("alpha", ["sh", "-c", script]));
    manager.detach().unwrap();
    assert!(matches!(manager.start_process("late", &remote.request("alpha", "wait")), Err(Error::ShutDown)));
    let status = wait_for_end(&manager, "p").unwrap();
    assert_eq!(status.source(), ExitSource::ManualKillThroughSshClient);
    assert_eq!(status.application_code(), Some(23), "{status:?}");
    assert_eq!(events.try_iter().map(|event| told(&event)).collect::<Vec<_>>(), ["started p", "exited p"]);
    assert_eq!(manager.active_process_keys(), ["p"], "the exit stays in the table");
    remote.assert_nothing_left();
}

/// Three processes, each with its own end: by itself, by a kill, and before its start.
#[track_caller]
fn three_ends(remote: &Remote, manager: &Manager) {
    run_to_end(manager, "itself", &remote.request("alpha", "exit 5")).unwrap();
    run_to_end(manager, "failed", &BootRequest::new("alpha", ["/no/such/program"])).unwrap_err();
    start_ready(manager, "killed", &remote.request("alpha", "heartbeat 0.2"));
    manager.kill_process("killed", LONG).unwrap();
}

const THREE_ENDS: [&str; 5] = ["started itself", "exited itself", "failed failed", "started killed", "exited killed"];

#[test]
fn each_subscriber_gets_every_event_and_delays_nobody() {
    let remote = Remote::start();
    let manager = remote.manager();
    let (reader, sleeper, gone) =
        (manager.subscribe().unwrap(), manager.subscribe().unwrap(), manager.subscribe().unwrap());
    assert!(!is_readable(&reader));
    drop(gone);
    three_ends(&remote, &manager);
    let late = manager.subscribe().unwrap();
    let all = |events: Vec<Event>| events.iter().map(told).collect::<Vec<_>>();
    for subscriber in [&reader, &sleeper] {
        wait_until("a readable descriptor", DEADLINE, || is_readable(subscriber).then_some(()));
        assert_eq!(all((0..5).map(|_| subscriber.recv_timeout(DEADLINE).unwrap()).collect()), THREE_ENDS);
        assert_eq!(subscriber.try_recv().unwrap_err(), TryRecvError::Empty);
        assert!(!is_readable(subscriber));
    }
    assert_eq!(
        late.recv_timeout(Duration::ZERO).unwrap_err(),
        RecvTimeoutError::Timeout,
        "the late subscription missed all events"
    );
    drop(manager);
    assert_eq!(late.recv().unwrap_err(), RecvError, "the manager is gone, so no more events come");
    assert_eq!(late.try_recv().unwrap_err(), TryRecvError::Disconnected);
    assert_eq!(late.recv_timeout(DEADLINE).unwrap_err(), RecvTimeoutError::Disconnected);
    remote.assert_nothing_left();
}

fn is_readable(events: &Subscription) -> bool {
    let fd = std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(events));
    let mut polled = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid entry.
    unsafe { libc::poll(&mut polled, 1, 0) == 1 }
}

#[test]
fn the_events_carry_what_happened() {
    let remote = Remote::start();
    let manager = remote.manager();
    let events = manager.subscribe().unwrap();
    three_ends(&remote, &manager);
    let next = || events.recv_timeout(DEADLINE).unwrap();
    match (next().kind, next().kind, next().kind) {
        (
            EventKind::Started { pid },
            EventKind::Exited { status },
            EventKind::StartFailed { error: Error::StartFailed { uuid, .. } },
        ) => {
            assert_eq!((pid, status.code(), uuid.as_str()), (manager.remote_pid("itself").unwrap(), Some(5), "failed"));
        }
        other => panic!("{other:?}"),
    }
    remote.assert_nothing_left();
}

#[test]
fn a_callback_is_called_once_for_each_process() {
    let remote = Remote::start();
    let manager = Arc::new(remote.manager());
    let calls = Arc::new(Mutex::new(Vec::new()));
    let record = |name: &'static str| {
        let calls = Arc::clone(&calls);
        move |uuid: &str, _: u64, end: Result<&sshpm::ExitStatus, &Error>| {
            let end = end.map_or("failed".to_owned(), |status| format!("{:?}", status.code()));
            calls.lock().unwrap().push(format!("{name} {uuid} {end}"));
        }
    };
    let first = manager.on_process_exit(record("first")).unwrap();
    manager.on_process_exit(record("second")).unwrap();
    // One callback panics, and one makes a call that blocks. The others are called all the same.
    manager.on_process_exit(|_, _, _| panic!("expected in this test")).unwrap();
    let weak = Arc::downgrade(&manager);
    let (sender, refusals) = mpsc::channel();
    manager
        .on_process_exit(move |uuid, _, _| {
            let Some(manager) = weak.upgrade() else { return };
            let refused = manager.kill_process(uuid, LONG).unwrap_err();
            let answer = (refused.to_string(), manager.process_state(uuid).is_ok());
            // Dropped before the test goes on, which needs the only reference.
            drop(manager);
            sender.send(answer).unwrap();
        })
        .unwrap();
    three_ends(&remote, &manager);
    let expected = ["itself Some(5)", "failed failed", "killed Some(0)"];
    let expected: Vec<_> = expected.iter().flat_map(|end| [format!("first {end}"), format!("second {end}")]).collect();
    for _ in 0..3 {
        let (refused, _) = refusals.recv_timeout(DEADLINE).unwrap();
        assert!(refused.contains("inside a callback"), "{refused}");
    }
    assert_eq!(*calls.lock().unwrap(), expected);

    manager.remove_callback(first);
    run_to_end(&manager, "after", &remote.request("alpha", "exit 6")).unwrap();
    refusals.recv_timeout(DEADLINE).unwrap();
    assert_eq!(calls.lock().unwrap()[6..], ["second after Some(6)"]);
    // Neither a kill of ended processes nor the end of the manager reports an exit again.
    manager.kill_all_processes(&LONG.into()).unwrap();
    drop(Arc::into_inner(manager).expect("no callback runs"));
    assert_eq!(calls.lock().unwrap().len(), 7);
    remote.assert_nothing_left();
}

#[test]
fn a_callback_is_told_of_what_dropping_ends() {
    let remote = Remote::start();
    let manager = remote.manager();
    let (sender, calls) = mpsc::channel();
    manager.on_process_exit(move |uuid, _, end| sender.send((uuid.to_owned(), end.is_ok())).unwrap()).unwrap();
    start_ready(&manager, "p", &remote.request("alpha", "heartbeat 0.2"));
    drop(manager);
    assert_eq!(calls.iter().collect::<Vec<_>>(), [("p".to_owned(), true)]);
    remote.assert_nothing_left();
}
