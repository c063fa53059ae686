//! Restarts by a call.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::life::*;
use crate::support::{ProcessInfo, Remote, wait_until};
use sshpm::{BootRequest, Error, KillScope, KillStep, Manager, NotRestartedReason, ProcessState, Signal};

/// A script that ignores TERM.
const STUBBORN: &str = "trap '' TERM PIPE; echo ready; while :; do sleep 0.05; done";

/// Returns a manager whose kills send TERM only.
fn gentle_manager(remote: &Remote) -> Manager {
    let term = KillStep { signal: Signal::from_number(15).unwrap(), scope: KillScope::Leader, wait: None };
    Manager::new(options(remote).kill_sequence([term])).unwrap()
}

fn reason(result: Result<u64, Error>) -> NotRestartedReason {
    match result {
        Err(Error::NotRestarted { uuid, reason }) if uuid == "u" => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_restart_ends_the_process_and_starts_its_request_again() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let (events, witness) = (manager.subscribe().unwrap(), Witness::new(&manager));
    let first = start_ready(&manager, "u", &shell(OWN_CODES).environment("A", "b"));
    let number = manager.start_number("u").unwrap();
    let restarted = manager.restart_process("u", TIME).unwrap();
    assert!(restarted > number && manager.start_number("u").unwrap() == restarted);
    assert!(!first.is_alive());
    let second = manager.wait_until_started("u", TIME).unwrap();
    assert_ne!(second, i64::from(first.pid));
    wait_until("the second life", TIME, || stdout(&manager, "u").contains("ready").then_some(()));
    let ended = manager.kill_process("u", TIME).unwrap();
    assert_eq!((ended.code(), ended.start_number()), (Some(17), restarted));
    finish(&manager, &remote);
    assert_eq!(witness.of(manager, "u"), ["started", "exited", "started", "exited"]);
    let numbers: Vec<_> = events.iter().map(|event| event.start_number).collect();
    assert_eq!(numbers, [number, number, restarted, restarted]);
}

#[test]
fn a_process_that_has_ended_or_failed_is_only_started() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    start(&manager, "ended", &shell("exit 6"));
    assert_eq!(end_of(&manager, "ended").code(), Some(6));
    manager.restart_process("ended", Duration::ZERO).unwrap();
    assert_eq!(end_of(&manager, "ended").code(), Some(6));
    failure_of(&manager, "failed", &BootRequest::new("alpha", ["/missing"]));
    manager.restart_process("failed", Duration::ZERO).unwrap();
    manager.wait_until_started("failed", TIME).unwrap_err();
    let unknown = manager.restart_process("unheard-of", Duration::ZERO);
    assert!(matches!(unknown, Err(Error::UnknownUuid { .. })), "{unknown:?}");
    finish(&manager, &remote);
    let words = witness.all(manager);
    assert_eq!(words["ended"], ["started", "exited", "started", "exited"]);
    assert_eq!(words["failed"], ["failed", "failed"]);
}

#[test]
fn nobody_takes_the_uuid_of_a_process_that_is_being_restarted() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let go = remote.scratch().join("go");
    let slow = format!(
        "trap '' PIPE; trap 'until [ -e {} ]; do sleep 0.05; done; exit 17' QUIT; echo ready; \
         while :; do sleep 0.05; done",
        go.display()
    );
    let request = shell(&slow);
    start_ready(&manager, "u", &request);
    thread::scope(|scope| {
        let restart = scope.spawn(|| manager.restart_process("u", TIME));
        wait_until("the end begins", TIME, || {
            (manager.process_state("u").unwrap() == ProcessState::Ending).then_some(())
        });
        let taken = manager.start_process("u", &request);
        assert!(matches!(taken, Err(Error::UuidInUse { .. })), "{taken:?}");
        assert_eq!(reason(manager.restart_process("u", TIME)), NotRestartedReason::InProgress);
        assert!(matches!(manager.forget_process("u"), Err(Error::StillRunning { .. })));
        touch(&remote, &go);
        assert_eq!(restart.join().unwrap().unwrap(), manager.start_number("u").unwrap());
    });
    manager.wait_until_started("u", TIME).unwrap();
    finish(&manager, &remote);
}

/// Between the end of the old life and the start of the new one, while an exit callback runs.
#[test]
fn the_uuid_is_taken_also_between_the_two_lives() {
    let remote = Remote::start();
    let manager = Arc::new(manager(&remote));
    let (sender, calls) = mpsc::channel();
    let called = Arc::clone(&manager);
    let count = AtomicUsize::new(0);
    let id = manager
        .on_process_exit(move |uuid, _, _| {
            if count.fetch_add(1, Ordering::Relaxed) == 0 {
                // The restart has begun, because it is what has ended the process.
                let taken = called.start_process(uuid, &shell("exit 5"));
                let pops = [called.pop_early_exit_status(uuid), called.pop_early_exit_status(uuid)];
                let inside = called.restart_process(uuid, TIME);
                sender.send((taken, called.process_state(uuid), pops.map(|pop| pop.is_some()), inside)).unwrap();
            }
        })
        .unwrap();
    start_ready(&manager, "u", &shell(OWN_CODES));
    let first = manager.start_number("u").unwrap();
    let restarted = manager.restart_process("u", TIME).unwrap();
    let (taken, state, pops, inside) = calls.recv_timeout(TIME).unwrap();
    assert!(matches!(taken, Err(Error::UuidInUse { .. })), "{taken:?}");
    assert_eq!(state.unwrap(), ProcessState::Restarting);
    assert_eq!(pops, [false, false], "a call has asked for this end");
    assert!(matches!(inside, Err(Error::InsideCallback)), "{inside:?}");
    assert!(restarted > first);
    manager.remove_callback(id);
    finish(&manager, &remote);
}

#[test]
fn a_later_kill_cancels_a_restart() {
    let remote = Remote::start();
    let manager = gentle_manager(&remote);
    let process = start_ready(&manager, "u", &shell(STUBBORN));
    thread::scope(|scope| {
        let restart = scope.spawn(|| manager.restart_process("u", TIME));
        wait_until("the end begins", TIME, || {
            (manager.process_state("u").unwrap() == ProcessState::Ending).then_some(())
        });
        let kill = manager.kill_process("u", Duration::ZERO);
        assert!(matches!(kill, Err(Error::StillRunning { .. })), "{kill:?}");
        process.signal(libc::SIGKILL).unwrap();
        assert_eq!(reason(restart.join().unwrap()), NotRestartedReason::Cancelled);
    });
    assert_eq!(manager.active_process_keys(), Vec::<String>::new());
    finish(&manager, &remote);
}

#[test]
fn a_process_that_does_not_end_is_not_started_again() {
    let remote = Remote::start();
    let manager = gentle_manager(&remote);
    let witness = Witness::new(&manager);
    let process = start_ready(&manager, "u", &shell(STUBBORN).restart(sshpm::RestartPolicy::always()));
    let number = manager.start_number("u").unwrap();
    let restarted = manager.restart_process("u", Duration::ZERO);
    assert!(matches!(restarted, Err(Error::StillRunning { .. })), "{restarted:?}");
    process.signal(libc::SIGKILL).unwrap();
    end_of(&manager, "u");
    assert_eq!(manager.process_state("u").unwrap(), ProcessState::Ended);
    assert_eq!(manager.start_number("u").unwrap(), number);
    // The end of a restart that gave up can be restarted.
    let restarted = manager.restart_process("u", Duration::ZERO).unwrap();
    let pid = manager.wait_until_started("u", TIME).unwrap();
    assert_eq!(manager.start_number("u").unwrap(), restarted);
    let kill = manager.kill_process("u", Duration::ZERO);
    assert!(matches!(kill, Ok(_) | Err(Error::StillRunning { .. })), "{kill:?}");
    if let Some(process) = ProcessInfo::of(pid as i32) {
        process.signal(libc::SIGKILL).unwrap();
    }
    finish(&manager, &remote);
    assert_eq!(witness.of(manager, "u"), ["started", "exited", "started", "exited"]);
}

#[test]
fn a_manager_that_was_shut_down_restarts_nothing() {
    let remote = Remote::start();
    let manager = manager(&remote);
    start(&manager, "u", &shell("exit 6"));
    end_of(&manager, "u");
    manager.detach().unwrap();
    let restarted = manager.restart_process("u", TIME);
    assert!(matches!(restarted, Err(Error::ShutDown)), "{restarted:?}");
    assert_eq!(end_of(&manager, "u").code(), Some(6));
    assert_eq!(manager.process_state("u").unwrap(), ProcessState::Ended);
    finish(&manager, &remote);
}
