//! Processes that are ready when a text stands in their log file.

use std::fs;
use std::time::Duration;

use crate::keeping::Story;
use crate::life::*;
use crate::support::{Remote, wait_until};
use crate::wait_for_helpers;
use sshpm::{BootRequest, Error, LogMode, NotReadyReason, Ready};

/// A text that a shell or a program for patterns would change or misread.
const SIGN: &str = "-e ready: [a] 'b' $c \\n*";

/// Returns a request for a script in which GO waits for a file, with a log file.
fn logging(remote: &Remote, script: &str) -> BootRequest {
    let (go, log) = (remote.scratch().join("go"), remote.scratch().join("log"));
    let script = script.replace("GO", &format!("until [ -e {} ]; do sleep 0.05; done", go.display()));
    shell(&script).environment("SIGN", SIGN).log_file(log).ready(Ready::Output(SIGN.to_owned()))
}

fn go(remote: &Remote) {
    touch(remote, &remote.scratch().join("go"));
}

fn wait_for_log(remote: &Remote, text: &str) {
    let log = remote.local(&remote.scratch().join("log"));
    let has_text = || fs::read_to_string(&log).is_ok_and(|log| log.contains(text));
    wait_until(text, TIME, || has_text().then_some(()));
}

#[test]
fn the_host_finds_the_sign_behind_what_stood_in_the_file() {
    for (stream, mode) in
        [("", LogMode::Append), (">&2", LogMode::Append), ("", LogMode::Fresh), ("", LogMode::Truncate)]
    {
        let remote = Remote::start();
        let manager = manager(&remote);
        let mut story = Story::new(&manager);
        let log = remote.scratch().join("log");
        fs::write(remote.local(&log), format!("{SIGN}\nof a former process")).unwrap();
        // The name of the instance alone is no end of the look.
        let script = format!(
            "(echo \"$SSHPM_PROCESS\"; echo \"${{SSHPM_PROCESS#*=}}\"; echo begun; GO; printf '%s\\n' \"up $SIGN now\") {stream}; exec sleep 600"
        );
        start(&manager, "u", &logging(&remote, &script).log_mode(mode).kill_tree(true));
        wait_for_log(&remote, "begun");
        wait_for_helpers(&manager, "u", 2);
        assert!(!manager.is_ready("u"));
        go(&remote);
        manager.wait_until_ready("u", TIME).unwrap();
        story.wait("ready");
        wait_for_helpers(&manager, "u", 0);
        manager.kill_process("u", TIME).unwrap();
        finish(&manager, &remote);
        assert_eq!(story.all(manager), ["started", "ready", "exited"]);
    }
}

/// Even if its last line is not complete.
#[test]
fn a_process_that_ends_behind_its_sign_was_ready() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    for number in 0..8 {
        let uuid = format!("u{number}");
        let log = remote.scratch().join(&uuid);
        let end = if number % 2 == 0 { "echo" } else { "true" };
        let request = logging(&remote, &format!("seq 2000; printf %s \"$SIGN\"; {end}; exit 7")).log_file(log);
        manager.start_process(&uuid, &request).unwrap();
        manager.wait_until_ready(&uuid, TIME).unwrap();
        assert_eq!(end_of(&manager, &uuid).code(), Some(7));
    }
    finish(&manager, &remote);
    for (uuid, words) in witness.all(manager) {
        assert_eq!(words, ["started", "ready", "exited"], "{uuid}");
    }
}

#[test]
fn one_without_the_sign_was_not_ready_and_leaves_no_helper() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    fs::write(remote.local(&remote.scratch().join("log")), format!("{SIGN}\n")).unwrap();
    let ends = logging(&remote, "printf %s \"$SIGN\"; exit 7").log_mode(LogMode::Append);
    manager.start_process("ends", &ends.environment("SIGN", &SIGN[..8])).unwrap();
    let waited = manager.wait_until_ready("ends", TIME);
    assert!(matches!(waited, Err(Error::NotRunning { .. })), "{waited:?}");
    let late = logging(&remote, "printf 'half a line'; GO; printf '%s\\n' \"$SIGN\"; echo done; exec sleep 600");
    start(&manager, "late", &late.ready_timeout(Duration::from_millis(400)));
    let waited = manager.wait_until_ready("late", TIME);
    let is_late = |error: &Error| matches!(error, Error::NotReady { reason: NotReadyReason::TimedOut { .. }, .. });
    assert!(waited.as_ref().is_err_and(is_late), "{waited:?}");
    wait_for_helpers(&manager, "late", 0);
    go(&remote);
    wait_for_log(&remote, "done");
    manager.kill_process("late", TIME).unwrap();
    finish(&manager, &remote);
    let words = witness.all(manager);
    assert_eq!(
        (&words["ends"][..], &words["late"][..]),
        (&["started", "exited"][..], &["started", "not ready", "exited"][..])
    );
}

#[test]
fn nothing_is_left_however_it_ends() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let request = |name: &str| logging(&remote, "exec sleep 600").log_file(remote.scratch().join(name));
    start(&manager, "lost", &request("lost"));
    break_link(&manager, "lost");
    end_of(&manager, "lost");
    start(&manager, "killed", &request("killed"));
    let wrapper = manager.runtime_pids("killed").remote_monitoring.unwrap();
    crate::support::ProcessInfo::of(wrapper as i32).unwrap().signal(libc::SIGKILL).unwrap();
    end_of(&manager, "killed");
    manager.start_process("failed", &request("failed").setup_line("false")).unwrap();
    manager.wait_until_ready("failed", TIME).unwrap_err();
    // A device has no end that could be looked at.
    start(&manager, "device", &request("device").log_file("/dev/null").ready_timeout(Duration::from_millis(100)));
    manager.wait_until_ready("device", TIME).unwrap_err();
    finish(&manager, &remote);
}
