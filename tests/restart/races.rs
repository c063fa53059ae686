//! Calls that end a process against its restarts, many times: nothing starts afterwards, and nothing is left.
//!
//! Each race is run 30 times, or as often as `RESTART_RACES` says.

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use crate::life::*;
use crate::support::Remote;
use sshpm::{BootRequest, Error, EventKind, Manager, NotRestartedReason, RestartPolicy, Subscription};

/// How many processes a manager has that is ended with them.
const TOGETHER: usize = 10;

fn rounds() -> usize {
    std::env::var("RESTART_RACES").map_or(30, |number| number.parse().unwrap())
}

/// Waits for up to this time, at random, so that the two sides of a race meet at different moments.
fn wait_at_random(most: Duration) {
    let random = RandomState::new().hash_one(0) % 1_000_000;
    thread::sleep(most.mul_f64(random as f64 / 1e6));
}

/// Returns a request whose application ends at once, and is restarted after a pause of 2 ms, again and again.
fn restless() -> BootRequest {
    let pause = Duration::from_millis(2);
    shell("exit 3").restart(RestartPolicy::always().limit(u32::MAX, Duration::MAX).pauses(pause, pause))
}

/// Counts the events of all processes, and asserts that each life has one end and that nobody lives for ever.
struct Lives(Subscription);

impl Lives {
    fn new(manager: &Manager) -> Lives {
        Lives(manager.subscribe().unwrap())
    }

    /// Waits for the next restart of a process.
    #[track_caller]
    fn wait_for_restart(&self) {
        while !matches!(self.0.recv_timeout(TIME).unwrap().kind, EventKind::Restarting { .. }) {}
    }

    /// Drops the manager, and asserts that each life of which an event has not been received yet has one end, and that
    /// no event follows that but those of its policy.
    #[track_caller]
    fn check(self, manager: Manager) {
        drop(manager);
        let (mut begun, mut ended) = (BTreeSet::new(), BTreeSet::new());
        for event in self.0.iter() {
            let life = event.start_number;
            match event.kind {
                EventKind::Exited { .. } | EventKind::StartFailed { .. } => {
                    assert!(ended.insert(life), "{} has two ends: {life}", event.uuid);
                }
                EventKind::Restarting { .. } => {}
                _ => {
                    assert!(!ended.contains(&life), "{}: {:?} after its end", event.uuid, event.kind);
                    begun.insert(life);
                }
            }
        }
        assert!(begun.is_subset(&ended), "lives without an end: {:?}", begun.difference(&ended));
    }
}

#[track_caller]
fn assert_gone(manager: &Manager, uuid: &str) {
    assert!(matches!(manager.process_state(uuid), Err(Error::UnknownUuid { .. })), "{uuid}");
}

/// Runs a race between the pause of a policy and a call that ends the process.
fn race_with_a_pause(end: impl Fn(&Manager, &str), assert_nothing_left: fn(&Remote)) {
    let remote = Remote::start();
    let manager = manager(&remote);
    let lives = Lives::new(&manager);
    for round in 0..rounds() {
        let uuid = format!("u{round}");
        manager.start_process(&uuid, &restless()).unwrap();
        lives.wait_for_restart();
        wait_at_random(Duration::from_millis(4));
        end(&manager, &uuid);
        assert_gone(&manager, &uuid);
    }
    assert_nothing_left(&remote);
    for round in 0..rounds() {
        assert_gone(&manager, &format!("u{round}"));
    }
    lives.check(manager);
}

#[test]
fn a_kill_and_the_end_of_a_pause() {
    let kill = |manager: &Manager, uuid: &str| drop(manager.kill_process(uuid, TIME).unwrap());
    race_with_a_pause(kill, Remote::assert_nothing_left);
}

/// A wrapper whose client was killed cannot know whether its report was read.
#[test]
fn a_kill_by_the_client_and_the_end_of_a_pause() {
    let kill = |manager: &Manager, uuid: &str| {
        let killed = manager.kill_process_without_metadata(uuid, sshpm::Signal::KILL, true, TIME);
        assert!(matches!(killed, Ok(_) | Err(Error::StartFailed { .. })), "{killed:?}");
    };
    race_with_a_pause(kill, assert_only_status_files_left);
}

#[test]
fn a_forget_and_the_end_of_a_pause() {
    let forget = |manager: &Manager, uuid: &str| {
        loop {
            match manager.forget_process(uuid) {
                Ok(()) => return,
                Err(Error::StillRunning { .. }) => wait_at_random(Duration::from_millis(4)),
                Err(other) => panic!("{other}"),
            }
        }
    };
    race_with_a_pause(forget, Remote::assert_nothing_left);
}

/// Runs races between the pauses of policies and what ends a manager with all of its processes: this call, or the drop.
fn race_with_an_end_of_the_manager(end: Option<fn(&Manager)>) {
    let remote = Remote::start();
    for _ in 0..rounds().div_ceil(TOGETHER) {
        let manager = manager(&remote);
        let lives = Lives::new(&manager);
        for at in 0..TOGETHER {
            manager.start_process(&format!("u{at}"), &restless()).unwrap();
        }
        for _ in 0..TOGETHER {
            lives.wait_for_restart();
        }
        wait_at_random(Duration::from_millis(20));
        if let Some(end) = end {
            let numbers = || {
                let uuids = manager.active_process_keys();
                uuids.into_iter().filter_map(|uuid| manager.start_number(&uuid).ok()).collect::<Vec<_>>()
            };
            end(&manager);
            let after = numbers();
            remote.assert_nothing_left();
            assert_eq!(numbers(), after, "something was started after the end");
        }
        lives.check(manager);
        remote.assert_nothing_left();
    }
}

#[test]
fn a_shutdown_and_the_ends_of_pauses() {
    race_with_an_end_of_the_manager(Some(|manager| {
        assert_eq!(manager.shutdown(TIME).unwrap().len(), TOGETHER);
        assert_eq!(manager.active_process_keys(), Vec::<String>::new());
    }));
}

#[test]
fn a_detach_and_the_ends_of_pauses() {
    race_with_an_end_of_the_manager(Some(|manager| manager.detach().unwrap()));
}

#[test]
fn the_end_of_the_manager_and_the_ends_of_pauses() {
    race_with_an_end_of_the_manager(None);
}

/// Runs a race between a restart and another call, each on a thread of its own. Gives the results to `check`.
fn race_with_a_restart<T: Send>(
    other: impl Fn(&Manager, &str) -> T + Sync,
    check: impl Fn(&Manager, &str, Result<u64, Error>, T),
) {
    let remote = Remote::start();
    let manager = manager(&remote);
    let lives = Lives::new(&manager);
    for round in 0..rounds() {
        let uuid = format!("u{round}");
        match round % 3 {
            0 => drop(start_ready(&manager, &uuid, &shell(OWN_CODES))),
            1 => end_of_one(&manager, &uuid),
            _ => drop(manager.start_process(&uuid, &shell(OWN_CODES)).unwrap()),
        }
        let barrier = Barrier::new(2);
        let (restarted, other) = thread::scope(|scope| {
            let restart = scope.spawn(|| {
                barrier.wait();
                wait_at_random(Duration::from_millis(1));
                manager.restart_process(&uuid, TIME)
            });
            barrier.wait();
            wait_at_random(Duration::from_millis(1));
            let other = other(&manager, &uuid);
            (restart.join().unwrap(), other)
        });
        check(&manager, &uuid, restarted, other);
    }
    finish(&manager, &remote);
    lives.check(manager);
}

fn end_of_one(manager: &Manager, uuid: &str) {
    start(manager, uuid, &shell("exit 3"));
    end_of(manager, uuid);
}

/// Whether a restart was refused because of another call.
fn is_refused(restarted: &Result<u64, Error>) -> bool {
    matches!(
        restarted,
        Err(Error::NotRestarted { reason: NotRestartedReason::Cancelled, .. } | Error::UnknownUuid { .. })
    )
}

/// The kill has ended the old life or the new one. If it has ended the old one, the restart either came later and has
/// started a new one, or was refused.
#[test]
fn a_kill_and_a_restart() {
    race_with_a_restart(
        |manager, uuid| manager.kill_process(uuid, TIME),
        |manager, uuid, restarted, killed| {
            let killed = killed.map(|status| status.start_number());
            assert!(killed.is_ok() || matches!(killed, Err(Error::StartFailed { .. })), "{killed:?}");
            match restarted {
                Ok(number) if killed.as_ref().ok() == Some(&number) => assert_gone(manager, uuid),
                Ok(number) => assert_eq!(manager.start_number(uuid).ok(), Some(number)),
                refused => {
                    assert!(is_refused(&refused), "{refused:?}");
                    assert_gone(manager, uuid);
                }
            }
        },
    );
}

#[test]
fn a_forget_and_a_restart() {
    race_with_a_restart(
        |manager, uuid| manager.forget_process(uuid),
        |manager, uuid, restarted, forgotten| match (restarted, forgotten) {
            (Ok(number), Err(Error::StillRunning { .. })) => {
                assert_eq!(manager.start_number(uuid).unwrap(), number);
            }
            // It has forgotten the old life before, or the new one after.
            (Ok(number), Ok(())) => {
                assert!(manager.start_number(uuid).map_or(true, |known| known == number));
            }
            (refused, Ok(())) => {
                assert!(is_refused(&refused), "{refused:?}");
                assert_gone(manager, uuid);
            }
            other => panic!("{other:?}"),
        },
    );
}

/// Exactly one restarts at a time: each restart has a life of its own, and the refused one has none.
#[test]
fn two_restarts() {
    race_with_a_restart(
        |manager, uuid| {
            let before = manager.start_number(uuid).unwrap();
            (before, manager.restart_process(uuid, TIME))
        },
        |manager, uuid, first, (_, second)| {
            let refused = |result: &Result<u64, Error>| {
                matches!(result, Err(Error::NotRestarted { reason: NotRestartedReason::InProgress, .. }))
            };
            let last = match (&first, &second) {
                (Ok(number), other) | (other, Ok(number)) if refused(other) => *number,
                // One after the other.
                (Ok(one), Ok(other)) if one != other => *one.max(other),
                other => panic!("{other:?}"),
            };
            assert_eq!(manager.start_number(uuid).unwrap(), last);
        },
    );
}

/// Runs races between restarts and what ends a manager with all of its processes.
fn race_of_restarts_with_an_end_of_the_manager(end: impl Fn(&Manager)) {
    let remote = Remote::start();
    for _ in 0..rounds().div_ceil(TOGETHER) {
        let manager = manager(&remote);
        let lives = Lives::new(&manager);
        let uuids: Vec<_> = (0..TOGETHER).map(|at| format!("u{at}")).collect();
        for (at, uuid) in uuids.iter().enumerate() {
            manager.start_process(uuid, &shell(if at % 2 == 0 { OWN_CODES } else { "exit 3" })).unwrap();
        }
        for uuid in &uuids {
            manager.wait_until_started(uuid, TIME).unwrap();
        }
        thread::scope(|scope| {
            for uuid in &uuids {
                let manager = &manager;
                scope.spawn(move || {
                    wait_at_random(Duration::from_millis(20));
                    let restarted = manager.restart_process(uuid, TIME);
                    let is_ended = |error: &Error| {
                        matches!(error, Error::ShutDown | Error::NotRestarted { .. } | Error::UnknownUuid { .. })
                    };
                    assert!(restarted.as_ref().map_or_else(is_ended, |_| true), "{restarted:?}");
                });
            }
            wait_at_random(Duration::from_millis(20));
            end(&manager);
        });
        remote.assert_nothing_left();
        lives.check(manager);
    }
}

#[test]
fn a_shutdown_and_restarts() {
    race_of_restarts_with_an_end_of_the_manager(|manager| drop(manager.shutdown(TIME).unwrap()));
}

#[test]
fn a_detach_and_restarts() {
    race_of_restarts_with_an_end_of_the_manager(|manager| manager.detach().unwrap());
}
