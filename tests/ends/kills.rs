//! Kills at every moment of a process's life and by many threads, and what else ends or outlives a process.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use crate::life::*;
use crate::support::{
    By, Remote, assert_same_as, clients, has_clients, isolated, launched_by, local_snapshot, wait_until,
};
use sshpm::{BootRequest, Error, ExitSource, KillScope, KillStep, Manager, ProcessState, Signal, StartFailure};

const SIGTERM: i32 = 15;

fn step(signal: i32, scope: KillScope, wait: Option<Duration>) -> KillStep {
    KillStep { signal: Signal::from_number(signal).unwrap(), scope, wait }
}

#[test]
fn a_second_kill_knows_nothing_and_one_after_the_end_tells_the_end() {
    isolated(|| {
        let remote = Remote::start();
        let before = local_snapshot();
        let manager = manager(&remote);
        assert!(matches!(manager.kill_process("nobody", TIME), Err(Error::UnknownUuid { uuid }) if uuid == "nobody"));
        start_ready(&manager, "u", &shell(OWN_CODES));
        assert_eq!(manager.kill_process("u", TIME).unwrap().code(), Some(17));
        assert!(matches!(manager.kill_process("u", TIME), Err(Error::UnknownUuid { .. })));
        assert!(manager.process_state("u").is_err());

        start(&manager, "v", &shell("exit 6"));
        end_of(&manager, "v");
        let status = manager.kill_process("v", TIME).unwrap();
        assert_eq!((status.source(), status.code()), (ExitSource::RemoteMonitoring, Some(6)), "{status}");
        assert!(matches!(manager.kill_process("v", TIME), Err(Error::UnknownUuid { .. })));

        // A kill of a process that never started returns the reason, once.
        assert_eq!(
            failure_of(&manager, "w", &BootRequest::new("alpha", ["/missing"])),
            sshpm::StartFailure::ProgramNotFound
        );
        assert!(matches!(manager.kill_process("w", TIME), Err(Error::StartFailed { .. })));
        assert!(matches!(manager.kill_process("w", TIME), Err(Error::UnknownUuid { .. })));
        finish(&manager, &remote);
        drop(manager);
        assert_same_as(&before);
    });
}

#[test]
fn a_kill_cancels_a_connection() {
    isolated(|| [true, false].into_iter().for_each(a_kill_cancels_a_connection_that_is_shared));
}

fn a_kill_cancels_a_connection_that_is_shared(shared: bool) {
    let remote = Remote::start();
    let manager = Manager::new(options(&remote).share_connections(shared)).unwrap();
    let witness = Witness::new(&manager);
    manager.start_process("u", &BootRequest::new("silent", ["true"])).unwrap();
    let client = wait_until("a client", TIME, || clients().pop());
    assert_eq!(manager.process_state("u").unwrap(), ProcessState::Connecting);
    assert!(!manager.is_process_alive("u"));
    let status = manager.kill_process("u", TIME).unwrap();
    assert_eq!(status.source(), ExitSource::ManualKillThroughSshClient, "{status}");
    assert_eq!((status.code(), status.application_code()), (None, None), "{status}");
    wait_for_death(&client);
    finish(&manager, &remote);
    assert_eq!(witness.of(manager, "u"), ["exited"]);
}

#[test]
fn a_kill_cancels_a_wait_for_the_turn_to_connect() {
    let remote = Remote::start();
    let manager = Manager::new(options(&remote).share_connections(false)).unwrap();
    let witness = Witness::new(&manager);
    let uuids: Vec<_> = (0..10).map(|at| format!("u{at}")).collect();
    for uuid in &uuids {
        manager.start_process(uuid, &BootRequest::new("silent", ["true"])).unwrap();
    }
    // Eight connect at a time.
    let connecting = || uuids.iter().filter(|uuid| manager.runtime_pids(uuid).ssh_client.is_some());
    wait_until("eight ssh clients", TIME, || (connecting().count() == 8).then_some(()));
    let waiting = uuids.iter().find(|uuid| manager.runtime_pids(uuid).ssh_client.is_none()).unwrap();
    let status = manager.kill_process(waiting, TIME).unwrap();
    assert_eq!(status.source(), ExitSource::ManualKillThroughSshClient, "{status}");
    assert_eq!((status.raw_code(), status.code()), (None, None), "no client has run: {status}");
    assert_eq!(connecting().count(), 8, "the other starts are not affected");
    // When one of those that connect is killed, the last one can connect.
    let last = uuids.iter().find(|uuid| *uuid != waiting && manager.runtime_pids(uuid).ssh_client.is_none()).unwrap();
    let first = connecting().next().unwrap();
    manager.kill_process(first, TIME).unwrap();
    client_of(&manager, last);
    finish(&manager, &remote);
    let events = witness.all(manager);
    assert_eq!(events.len(), 10);
    assert!(events.values().all(|words| *words == ["exited"]), "{events:?}");
}

#[test]
fn a_kill_at_any_moment_of_a_start_leaves_nothing() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    let uuids: Vec<_> = (0..20).map(|at| format!("u{at}")).collect();
    for (at, uuid) in uuids.iter().enumerate() {
        let request = if at % 2 == 0 { shell(OWN_CODES) } else { shell(OWN_CODES).setup_line("true") };
        manager.start_process(uuid, &request).unwrap();
        match at % 5 {
            1 if has_clients() => drop(client_of(&manager, uuid)),
            0 | 1 => {}
            2 => wait_until("the wrapper", TIME, || manager.runtime_pids(uuid).remote_monitoring.map(drop)),
            3 => wait_until("the pid", TIME, || manager.remote_pid(uuid).ok().map(drop)),
            _ => drop(manager.wait_until_started(uuid, TIME).unwrap()),
        }
        let status = manager.kill_process(uuid, TIME).unwrap();
        let source = status.source();
        let expected = [ExitSource::ManualKillThroughSshClient, ExitSource::ManualKillThroughRemotePid];
        assert!(expected.contains(&source), "{status}");
        // A start that was taken back has a code if its application began to run.
        assert!(status.code().is_some() || source == expected[0], "{status}");
    }
    assert_only_status_files_left(&remote);
    let events = witness.all(manager);
    assert_eq!(events.len(), uuids.len());
    assert!(events.values().all(|words| *words == ["exited"] || *words == ["started", "exited"]), "{events:?}");
}

#[test]
fn what_ignores_the_whole_sequence_still_runs_and_can_be_ended_otherwise() {
    let remote = Remote::start();
    let sequence = [step(libc::SIGUSR1, KillScope::Leader, Some(Duration::from_millis(200)))];
    let manager = Manager::new(options(&remote).kill_sequence(sequence)).unwrap();
    let application = start_ready(&manager, "u", &app(&remote, "ignore USR1 print ready heartbeat 0.1"));
    for _ in 0..2 {
        match manager.kill_process("u", TIME) {
            Err(Error::StillRunning { uuid, .. }) => assert_eq!(uuid, "u"),
            other => panic!("{other:?}"),
        }
        assert_eq!(manager.process_state("u").unwrap(), ProcessState::Ending);
        assert!(manager.is_process_alive("u") && application.is_alive());
        assert_eq!(manager.active_process_keys(), ["u"]);
    }
    manager.send_signal("u", Signal::from_number(SIGTERM).unwrap()).unwrap();
    let status = manager.kill_process("u", TIME).unwrap();
    // The kill had begun before the process ended.
    assert_eq!((status.source(), status.code()), (ExitSource::ManualKillThroughRemotePid, Some(0)), "{status}");
    finish(&manager, &remote);
}

/// The leader waits for its child, and the child reports that TERM has reached it.
const WAITS_FOR_ITS_CHILD: &str = "trap : TERM
(trap 'echo child; exit' TERM; echo ready; while :; do sleep 0.05; done) &
wait; wait; exit 23";

#[test]
fn a_sequence_can_begin_with_the_whole_group() {
    let remote = Remote::start();
    let group = [step(SIGTERM, KillScope::Group, None)];
    let manager = Manager::new(options(&remote).kill_sequence(group)).unwrap();
    start_ready(&manager, "u", &shell(WAITS_FOR_ITS_CHILD));
    assert_eq!(manager.kill_process("u", TIME).unwrap().code(), Some(23));
    finish(&manager, &remote);
}

#[test]
fn a_sequence_runs_step_by_step_from_the_leader_to_the_group() {
    let remote = Remote::start();
    let soon = Some(Duration::from_millis(200));
    let sequence = [
        step(libc::SIGUSR1, KillScope::Leader, soon),
        step(SIGTERM, KillScope::Leader, soon),
        step(SIGTERM, KillScope::Group, None),
    ];
    let manager = Manager::new(options(&remote).kill_sequence(sequence)).unwrap();
    let script =
        format!("trap 'echo usr1' USR1; {}", WAITS_FOR_ITS_CHILD.replace("wait; wait", "wait; wait; wait; wait"));
    let output = remote.scratch().join("log");
    // Into a file, because a killed process takes its output out of the table.
    let request = shell(&script).log_file(&output);
    start(&manager, "u", &request);
    let log = || String::from_utf8_lossy(&remote.read(&output)).into_owned();
    wait_until("it is ready", TIME, || log().contains("ready").then_some(()));
    assert_eq!(manager.kill_process("u", TIME).unwrap().code(), Some(23));
    // The leader's shell may write "Terminated" about its child.
    let log = log();
    assert_eq!(log.lines().filter(|line| *line != "Terminated").collect::<Vec<_>>(), ["ready", "usr1", "child"]);
    finish(&manager, &remote);
}

#[test]
fn a_uuid_in_use_is_refused_and_its_owner_left_alone() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let application = start_ready(&manager, "u", &shell(OWN_CODES));
    match manager.start_process("u", &shell("exit 0")) {
        Err(Error::UuidInUse { uuid }) => assert_eq!(uuid, "u"),
        other => panic!("{other:?}"),
    }
    assert_eq!(manager.remote_pid("u").unwrap(), i64::from(application.pid));
    assert_eq!(manager.kill_process("u", TIME).unwrap().code(), Some(17));
    manager.start_process("v", &BootRequest::new("silent", ["true"])).unwrap();
    assert!(matches!(manager.start_process("v", &shell("exit 0")), Err(Error::UuidInUse { .. })));
    finish(&manager, &remote);
}

#[test]
fn a_uuid_is_started_again_after_its_end_fifty_times_in_a_row() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    for code in 0..50 {
        // At once: the remote side may not have cleaned up yet.
        start(&manager, "u", &shell(&format!("exit {code}")));
        assert_eq!(end_of(&manager, "u").code(), Some(code));
    }
    assert_eq!(manager.active_process_keys(), ["u"]);
    finish(&manager, &remote);
    let words = witness.of(manager, "u");
    assert_eq!(words.len(), 100);
    assert!(words.chunks(2).all(|pair| pair == ["started", "exited"]), "{words:?}");
}

#[test]
fn kills_of_one_process_from_many_threads_get_the_same_status() {
    let remote = Remote::start();
    // So long that all threads come while the process lives.
    let sequence =
        [step(libc::SIGQUIT, KillScope::Leader, Some(Duration::from_secs(1))), step(9, KillScope::Group, None)];
    let manager = Manager::new(options(&remote).kill_sequence(sequence)).unwrap();
    let witness = Witness::new(&manager);
    start_ready(&manager, "u", &app(&remote, "ignore QUIT print ready heartbeat 0.1"));
    let together = Barrier::new(8);
    let kill = || {
        together.wait();
        manager.kill_process("u", TIME).unwrap()
    };
    let statuses: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(kill)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses[0].signal(), Some(Signal::KILL), "{}", statuses[0]);
    assert!(statuses.iter().all(|status| *status == statuses[0]), "{statuses:?}");
    finish(&manager, &remote);
    assert_eq!(witness.of(manager, "u"), ["started", "exited"]);
}

#[test]
fn signals_reach_the_application_and_nobody_else() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let script = "trap 'echo usr1' USR1; echo ready; while :; do sleep 0.05; done";
    start_ready(&manager, "u", &shell(script));
    manager.send_signal("u", Signal::USR1).unwrap();
    wait_until("the output of the handler", TIME, || (stdout(&manager, "u") == "ready\nusr1\n").then_some(()));
    assert_eq!(manager.process_state("u").unwrap(), ProcessState::Running, "a signal is no kill");
    for number in [0, 65, -9] {
        assert!(matches!(Signal::from_number(number), Err(Error::Invalid { .. })));
    }
    // A signal that ends it looks as if somebody else had sent it.
    manager.send_signal("u", Signal::KILL).unwrap();
    let status = end_of(&manager, "u");
    assert_eq!((status.source(), status.signal()), (ExitSource::RemoteMonitoring, Some(Signal::KILL)), "{status}");
    assert!(matches!(manager.send_signal("u", Signal::USR1), Err(Error::NotRunning { .. })));
    assert!(matches!(manager.send_signal("nobody", Signal::USR1), Err(Error::UnknownUuid { .. })));
    manager.start_process("v", &BootRequest::new("silent", ["true"])).unwrap();
    assert!(matches!(manager.send_signal("v", Signal::USR1), Err(Error::NotRunning { .. })));
    finish(&manager, &remote);
}

#[test]
fn real_time_signals_go_by_number() {
    let remote = Remote::start();
    let manager = manager(&remote);
    start_ready(&manager, "u", &app(&remote, "print ready wait"));
    let signal = Signal::from_number(40).unwrap();
    manager.send_signal("u", signal).unwrap();
    let status = end_of(&manager, "u");
    assert_eq!((status.code(), status.signal()), (Some(168), Some(signal)), "{status}");
    finish(&manager, &remote);
}

#[test]
fn only_what_has_ended_can_be_forgotten() {
    let remote = Remote::start();
    let manager = manager(&remote);
    start_ready(&manager, "u", &shell(OWN_CODES));
    assert!(matches!(manager.forget_process("u"), Err(Error::StillRunning { .. })));
    manager.send_signal("u", Signal::QUIT).unwrap();
    assert_eq!(end_of(&manager, "u").code(), Some(17));
    manager.forget_process("u").unwrap();
    assert!(matches!(manager.forget_process("u"), Err(Error::UnknownUuid { .. })));
    assert!(manager.exit_status("u").is_none() && manager.active_process_keys().is_empty());
    finish(&manager, &remote);
}

#[test]
fn a_wait_for_the_exit_code_wakes_or_times_out() {
    let remote = Remote::start();
    let manager = manager(&remote);
    start_ready(&manager, "u", &shell(OWN_CODES));
    let brief = manager.wait_for_process_exit_code("u", Duration::from_millis(20));
    assert!(matches!(brief, Err(Error::TimedOut { .. })), "{brief:?}");
    assert!(manager.is_process_alive("u"), "a wait changes nothing");
    thread::scope(|scope| {
        let waits: Vec<_> = (0..4).map(|_| scope.spawn(|| manager.wait_for_process_exit_code("u", TIME))).collect();
        manager.send_signal("u", Signal::QUIT).unwrap();
        for wait in waits {
            assert_eq!(wait.join().unwrap().unwrap(), Some(17));
        }
    });
    let unknown = manager.wait_for_process_exit_code("nobody", TIME);
    assert!(matches!(unknown, Err(Error::UnknownUuid { .. })), "{unknown:?}");
    finish(&manager, &remote);
}

#[test]
fn an_early_exit_is_given_once_to_many_threads_and_a_kill_is_none() {
    let remote = Remote::start();
    let manager = manager(&remote);
    start_ready(&manager, "u", &shell(OWN_CODES));
    assert!(manager.pop_early_exit_status("u").is_none(), "it runs");
    manager.send_signal("u", Signal::QUIT).unwrap();
    end_of(&manager, "u");
    let together = Barrier::new(8);
    let pop = || {
        together.wait();
        manager.pop_early_exit_status("u")
    };
    let found: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(pop)).collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].as_ref().unwrap().code(), Some(17));
    assert!(manager.active_process_keys().is_empty());
    finish(&manager, &remote);
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Whether a start came too soon. The three hosts are one: a start that is faster than ssh's can meet a process of its
/// uuid that was killed before it ran and has not ended yet.
fn was_too_soon(error: &Error) -> bool {
    launched_by() != By::Ssh && matches!(error, Error::StartFailed { reason: StartFailure::UuidInUse, .. })
}

/// Makes one call with one of ten uuids. A refusal must have a reason that the call documents.
fn random_call(manager: &Manager, dice: &mut Dice) {
    let uuid = format!("u{}", dice.roll(10));
    let host = ["alpha", "beta", "gamma"][dice.roll(3) as usize];
    let brief = Duration::from_millis(dice.roll(100));
    match dice.roll(9) {
        0..=2 => {
            let script = ["exit 3", OWN_CODES, OWN_CODES][dice.roll(3) as usize];
            match manager.start_process(&uuid, &BootRequest::new(host, ["/bin/sh", "-c", script])) {
                Ok(_) | Err(Error::UuidInUse { .. }) => {}
                other => panic!("start: {other:?}"),
            }
        }
        3 | 4 => match manager.kill_process(&uuid, TIME) {
            Ok(_) | Err(Error::UnknownUuid { .. }) => {}
            Err(error) if was_too_soon(&error) => {}
            other => panic!("kill: {other:?}"),
        },
        5 => match manager.send_signal(&uuid, Signal::QUIT) {
            Ok(()) | Err(Error::UnknownUuid { .. } | Error::NotRunning { .. } | Error::LinkDown { .. }) => {}
            // Between the application's end and the report of it, the remote side refuses signals.
            Err(Error::SignalRefused { .. }) => {}
            other => panic!("signal: {other:?}"),
        },
        6 => match manager.wait_until_started(&uuid, brief) {
            Ok(_) | Err(Error::UnknownUuid { .. } | Error::NotRunning { .. } | Error::TimedOut { .. }) => {}
            Err(error) if was_too_soon(&error) => {}
            other => panic!("wait: {other:?}"),
        },
        7 => drop(manager.pop_early_exit_status(&uuid)),
        _ => match manager.forget_process(&uuid) {
            Ok(()) | Err(Error::UnknownUuid { .. } | Error::StillRunning { .. }) => {}
            other => panic!("forget: {other:?}"),
        },
    }
}

#[test]
fn many_threads_do_as_they_like_and_nothing_is_left() {
    isolated(|| {
        let remote = Remote::start();
        let before = local_snapshot();
        let manager = manager(&remote);
        let witness = Witness::new(&manager);
        thread::scope(|scope| {
            for seed in 0..8 {
                let manager = &manager;
                scope.spawn(move || {
                    let mut dice = Dice(seed);
                    (0..40).for_each(|_| random_call(manager, &mut dice));
                });
            }
        });
        finish_all_statuses(&manager, &remote);
        let events = witness.all(manager);
        // A uuid has one life after the other: each ends, and none ends twice.
        for (uuid, words) in &events {
            let text = words.join(" ").replace("started exited", "life").replace("exited", "life");
            let text = if launched_by() == By::Ssh { text } else { text.replace("failed", "life") };
            assert!(text.split(' ').all(|word| word == "life"), "{uuid}: {words:?}");
        }
        assert!(events.values().map(Vec::len).sum::<usize>() > 20, "too little has happened: {events:?}");
        assert_same_as(&before);
    });
}

#[track_caller]
fn finish_all_statuses(manager: &Manager, remote: &Remote) {
    for (uuid, end) in manager.kill_all_processes(&sshpm::KillTimeouts::default()).unwrap() {
        assert!(end.as_ref().map_or_else(was_too_soon, |_| true), "{uuid}: {end:?}");
    }
    assert_only_status_files_left(remote);
}
