//! Races between a start and the connection that it waits for.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::life::*;
use crate::support::{self, Remote, isolated, wait_until};
use sshpm::{Error, Manager, ProcessState, Signal, StartFailure};

/// Returns start-up lines that put this program before the system's.
fn instead_of(program: &str, script: &str) -> String {
    format!(
        "mkdir -p /tmp/instead; printf '#!/bin/sh\n{script}\n' >/tmp/instead/{program}; chmod +x /tmp/instead/{program}\n\
         export PATH=/tmp/instead:$PATH\n"
    )
}

#[test]
fn a_start_whose_link_breaks_behind_its_begin_is_not_made_again() {
    // A wrapper that makes its fifos has reported `begin`, and has not reported its pid yet.
    let script = "echo >>/tmp/fifos; while [ ! -e /tmp/go ]; do sleep 0.05; done; exec /usr/bin/mkfifo \"$@\"";
    let remote = Remote::builder().user_file("root", ".bashrc", instead_of("mkfifo", script)).start();
    if !remote.require_users("start-up files of another user") {
        return;
    }
    let manager = manager(&remote);
    let local = |path: &str| remote.local(Path::new(path));
    manager.start_process("u", &shell("echo >>/tmp/runs; sleep 1000")).unwrap();
    wait_until("the wrapper's fifos", TIME, || local("/tmp/fifos").exists().then_some(()));
    for sshd in remote.session_sshds() {
        // One of them can end with the other before its turn comes.
        let _ = sshd.signal(libc::SIGKILL);
    }
    let is_lost = || (manager.process_state("u").unwrap() == ProcessState::LinkLost).then_some(());
    wait_until("the link is lost", TIME, is_lost);
    fs::write(local("/tmp/go"), "").unwrap();
    // The wrapper hangs it up, before its program runs or after that.
    match manager.wait_until_started("u", TIME).unwrap_err() {
        Error::StartFailed { reason, .. } => assert_eq!(reason, StartFailure::LinkLost),
        error => assert!(matches!(error, Error::NotRunning { .. }), "{error}"),
    }
    remote.assert_nothing_left();
    // The second login is for the inquiry about the process.
    assert_eq!(remote.logins(), 2);
    assert_eq!(fs::read_to_string(local("/tmp/fifos")).unwrap().lines().count(), 1);
    let runs = fs::read_to_string(local("/tmp/runs")).unwrap_or_default();
    assert!(runs.lines().count() <= 1, "{runs}");
}

#[test]
fn a_client_that_is_ended_before_its_session_begins_does_not_come_back() {
    let waits = "[ ! -e /tmp/wait ] || while [ ! -e /tmp/go ]; do sleep 0.05; done\n";
    let remote = Remote::builder().user_file("root", ".bashrc", waits).start();
    if !remote.require_users("start-up files of another user") {
        return;
    }
    let manager = manager(&remote);
    start(&manager, "open", &shell("sleep 1000"));
    fs::write(remote.local(Path::new("/tmp/wait")), "").unwrap();
    manager.start_process("u", &shell("sleep 1000")).unwrap();
    let kill = || manager.kill_process_without_metadata("u", Signal::KILL, false, TIME);
    let ended =
        wait_until("a session", TIME, || Some(kill()).filter(|ended| !matches!(ended, Err(Error::NotRunning { .. }))));
    assert!(matches!(ended, Err(Error::Ssh { .. })), "{ended:?}");
    fs::write(remote.local(Path::new("/tmp/go")), "").unwrap();
    assert!(manager.is_process_alive("open"));
    finish(&manager, &remote);
    assert_eq!(remote.logins(), 1);
}

#[test]
fn a_start_is_not_failed_by_one_that_was_cancelled_before() {
    let (remote, held) = Remote::throttled();
    let manager = manager(&remote);
    // sshd drops each of them. Each is cancelled while it waits for its next try, and the next one comes at once.
    for round in 0..20 {
        let uuid = format!("cancelled-{round}");
        manager.start_process(&uuid, &shell("sleep 1000")).unwrap();
        wait_until("an ssh client", TIME, || (!support::ssh_children().is_empty()).then_some(()));
        manager.kill_process(&uuid, TIME).unwrap();
    }
    manager.start_process("wanted", &shell("sleep 1000")).unwrap();
    drop(held);
    manager.wait_until_started("wanted", TIME).unwrap();
    finish(&manager, &remote);
}

#[test]
fn a_login_that_hangs_does_not_hold_up_those_who_come_later() {
    let first_hangs = "mkdir /tmp/first 2>/dev/null && while [ ! -e /tmp/go ]; do sleep 0.05; done\n";
    let remote = Remote::builder().user_file("root", ".bashrc", first_hangs).start();
    if !remote.require_users("start-up files of another user") {
        return;
    }
    let manager = Manager::new(options(&remote).connect_timeout(Duration::from_secs(1))).unwrap();
    manager.start_process("first", &shell("sleep 1000")).unwrap();
    wait_until("the first login", TIME, || remote.local(Path::new("/tmp/first")).exists().then_some(()));
    // These starts overlap, each with its own short timeout, until one runs.
    let later = wait_until("a start that runs", TIME, || {
        let uuid = format!("later-{}", manager.active_process_keys().len());
        manager.start_process(&uuid, &shell("sleep 1000").start_timeout(Duration::from_secs(2))).unwrap();
        manager.wait_until_started(&uuid, TIME).ok().map(|_| uuid)
    });
    assert!(manager.is_process_alive(&later));
    fs::write(remote.local(Path::new("/tmp/go")), "").unwrap();
    finish(&manager, &remote);
}

/// The logger of a host program. It runs on the library's threads, and it is slow or panics at some words.
struct HostsLogger;

impl log::Log for HostsLogger {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }

    fn log(&self, record: &log::Record) {
        let text = record.args().to_string();
        if text.contains("sshd drops connections") {
            panic!("a logger's, expected in this test");
        }
        if text.contains("allows 2 sessions") {
            // So long that other threads could run ahead.
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    fn flush(&self) {}
}

fn log_to_the_host() {
    log::set_logger(&HostsLogger).unwrap();
    log::set_max_level(log::LevelFilter::Debug);
}

#[test]
fn a_host_with_two_sessions_a_connection_costs_no_more_threads_than_processes() {
    isolated(|| {
        log_to_the_host();
        let remote = Remote::builder().sshd_option("MaxSessions 2").start();
        let manager = manager(&remote);
        let uuids: Vec<_> = (0..6).map(|at| format!("u{at}")).collect();
        for uuid in &uuids {
            manager.start_process(uuid, &shell("sleep 1000")).unwrap();
        }
        for uuid in &uuids {
            manager.wait_until_started(uuid, TIME).unwrap();
        }
        // One login for each process, and a few connections until the limit was learned.
        assert!(remote.logins() <= 12, "{}", remote.logins());
        finish(&manager, &remote);
    });
}

#[test]
fn a_logger_that_panics_leaves_no_start_waiting() {
    isolated(|| {
        log_to_the_host();
        let (remote, held) = Remote::throttled();
        let manager = manager(&remote);
        manager.start_process("u", &shell("sleep 1000").start_timeout(TIME * 10)).unwrap();
        let error = manager.wait_until_started("u", TIME).unwrap_err();
        assert!(error.to_string().contains("panicked"), "{error}");
        drop(held);
        start(&manager, "v", &shell("sleep 1000"));
        finish(&manager, &remote);
    });
}
