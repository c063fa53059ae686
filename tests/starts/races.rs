//! Kills, timeouts and broken links in the middle of a start: each report says how the application really ended.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::life::*;
use crate::support::{Remote, find_program, has_clients, skipped, wait_until};
use sshpm::{BootRequest, Error, Manager, ProcessState, StartFailure};

/// Stops the wrapper before the application's pid is known: between its `begin` and its `pid`.
const SLOW_MKFIFO: &str =
    "echo >>/tmp/stopped; while [ ! -e /tmp/go ]; do sleep 0.05; done; exec /usr/bin/mkfifo \"$@\"";
/// Stops the wrapper between the end of the application and the report of it, if the request has `kill_tree`.
const SLOW_GREP: &str = "echo >>/tmp/stopped; while [ ! -e /tmp/go ]; do sleep 0.05; done; exec /usr/bin/grep \"$@\"";

/// Returns a remote whose wrappers stop in this program until `release`.
fn stopping(program: &str, script: &str) -> Option<Remote> {
    let remote = Remote::builder().env("PATH", INSTEAD).start();
    if !remote.require_users("the test replaces a program of the host") {
        return None;
    }
    place_instead(&remote, &[(program, script)]);
    Some(remote)
}

#[track_caller]
fn wait_until_stopped(remote: &Remote) {
    wait_for_file(remote, Path::new("/tmp/stopped"));
}

fn release(remote: &Remote) {
    touch(remote, Path::new("/tmp/go"));
}

#[track_caller]
fn wait_for_state(manager: &Manager, uuid: &str, state: ProcessState) {
    let what = format!("state {state:?}");
    wait_until(&what, TIME, || (manager.process_state(uuid).ok() == Some(state)).then_some(()));
}

/// Returns an application that ends with 42 by the HUP that the end of the lifeline brings, or with 129 if HUP comes
/// before the trap.
fn application() -> BootRequest {
    shell(OWN_CODES).grace(Duration::from_secs(5))
}

#[track_caller]
fn assert_ended_by_hang_up(code: Option<i32>) {
    assert!(matches!(code, Some(42 | 129)), "{code:?}");
}

/// Asserts that the uuid is free and that its files are gone when the exit is announced.
#[track_caller]
fn start_again(manager: &Manager, uuid: &str) {
    start_ready(manager, uuid, &application());
    assert_eq!(manager.kill_process(uuid, TIME).unwrap().code(), Some(17));
}

#[test]
fn a_kill_between_begin_and_pid_waits_for_the_end() {
    let Some(remote) = stopping("mkfifo", SLOW_MKFIFO) else { return };
    let manager = manager(&remote);
    manager.start_process("u", &application()).unwrap();
    wait_until_stopped(&remote);
    wait_until("the wrapper's report", TIME, || manager.runtime_pids("u").remote_monitoring);
    let status = thread::scope(|scope| {
        let kill = scope.spawn(|| manager.kill_process("u", TIME));
        wait_for_state(&manager, "u", ProcessState::Ending);
        assert!(!has_clients() || client_of(&manager, "u").is_alive());
        release(&remote);
        kill.join().unwrap().unwrap()
    });
    assert_ended_by_hang_up(status.application_code());
    start_again(&manager, "u");
    finish(&manager, &remote);
}

/// busybox's `head` reads ahead. A good-bye that came together with the start would be lost in it, and the wrapper
/// would leave word of an exit for which nobody asks.
#[test]
fn a_kill_is_not_lost_in_a_head_that_reads_ahead() {
    if find_program("busybox").is_none() {
        return skipped("busybox is not installed, whose head reads ahead");
    }
    // The scripts are longer than the script of the application's process.
    let slow = "if [ \"$2\" -lt 1500 ]; then echo >>/tmp/stopped; while [ ! -e /tmp/go ]; do sleep 0.05; done; fi\n\
                exec busybox head \"$@\"";
    let Some(remote) = stopping("head", slow) else { return };
    let manager = manager(&remote);
    manager.start_process("u", &application()).unwrap();
    wait_until_stopped(&remote);
    let status = thread::scope(|scope| {
        let kill = scope.spawn(|| manager.kill_process("u", TIME));
        wait_for_state(&manager, "u", ProcessState::Ending);
        release(&remote);
        kill.join().unwrap().unwrap()
    });
    assert_ended_by_hang_up(status.application_code());
    finish(&manager, &remote);
}

#[test]
fn a_start_that_times_out_between_begin_and_pid_fails_when_its_application_has_ended() {
    let Some(remote) = stopping("mkfifo", SLOW_MKFIFO) else { return };
    let manager = manager(&remote);
    manager.start_process("u", &application().start_timeout(Duration::from_secs(2))).unwrap();
    wait_until_stopped(&remote);
    wait_for_state(&manager, "u", ProcessState::Ending);
    assert!(!has_clients() || client_of(&manager, "u").is_alive());
    release(&remote);
    let error = manager.wait_until_started("u", TIME).unwrap_err();
    assert!(matches!(reason_of(error), StartFailure::TimedOut { .. }));
    start_again(&manager, "u");
    finish(&manager, &remote);
}

/// If the program ran, its own code is known, because its wrapper kept it. Only a program that never ran may count as a
/// failed start.
#[test]
fn a_link_that_breaks_between_begin_and_pid_is_asked_after() {
    let Some(remote) = stopping("mkfifo", SLOW_MKFIFO) else { return };
    let manager = manager(&remote);
    let ran = remote.scratch().join("ran");
    let request = shell(&format!("echo >{}; {OWN_CODES}", ran.display())).grace(Duration::from_secs(5));
    manager.start_process("u", &request).unwrap();
    wait_until_stopped(&remote);
    wait_until("the wrapper's report", TIME, || manager.runtime_pids("u").remote_monitoring);
    break_link(&manager, "u");
    wait_for_state(&manager, "u", ProcessState::LinkLost);
    release(&remote);
    match manager.wait_for_process_exit_code("u", TIME) {
        Ok(code) => {
            let status = manager.exit_status("u").unwrap().unwrap();
            assert_eq!(code, None);
            assert!(status.link_lost() && !status.is_unknown(), "{status}");
            assert_ended_by_hang_up(status.application_code());
        }
        Err(error) => {
            assert!(matches!(reason_of(error), StartFailure::LinkLost | StartFailure::Ended(_)));
            assert!(!remote.local(&ran).exists());
        }
    }
    start_again(&manager, "u");
    finish(&manager, &remote);
}

#[test]
fn a_start_that_fails_by_itself_has_failed_also_when_it_is_killed_meanwhile() {
    let failures = [
        (shell("true").setup_line("exit 3"), StartFailure::Setup { line: 1, code: 3 }),
        (BootRequest::new("alpha", ["/nonexistent/program"]), StartFailure::ProgramNotFound),
    ];
    for (request, expected) in failures {
        let Some(remote) = stopping("grep", SLOW_GREP) else { return };
        let manager = manager(&remote);
        manager.start_process("u", &request.kill_tree(true)).unwrap();
        wait_until_stopped(&remote);
        let result = thread::scope(|scope| {
            let kill = scope.spawn(|| manager.kill_process("u", TIME));
            wait_for_state(&manager, "u", ProcessState::Ending);
            release(&remote);
            kill.join().unwrap()
        });
        match result {
            Err(Error::StartFailed { reason, .. }) => assert_eq!(reason, expected),
            other => panic!("{other:?} instead of {expected:?}"),
        }
        fs::remove_file(remote.local(Path::new("/tmp/stopped"))).unwrap();
        finish(&manager, &remote);
    }
}
