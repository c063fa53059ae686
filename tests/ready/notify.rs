//! Processes that are ready when they write a line to the descriptor of `SSHPM_NOTIFY_FD`.

use std::time::Duration;

use crate::keeping::Story;
use crate::life::*;
use crate::support::{AppReport, ProcessInfo, Remote, wait_until};
use crate::wait_for_helpers;
use sshpm::{BootRequest, Error, EventKind, NotReadyReason, Ready};

/// Returns a request for a script in which NOTIFY is the descriptor, and which waits for a file at each GO.
fn notifying(remote: &Remote, script: &str) -> BootRequest {
    let go = remote.scratch().join("go");
    let script = script.replace("GO", &format!("until [ -e {} ]; do sleep 0.05; done", go.display()));
    shell(&format!("trap '' PIPE; {}", script.replace("NOTIFY", "&$SSHPM_NOTIFY_FD"))).ready(Ready::Notify)
}

fn go(remote: &Remote) {
    touch(remote, &remote.scratch().join("go"));
}

#[test]
fn a_line_on_the_descriptor_is_the_sign() {
    for sign in ["echo", "printf 'I am \\nready'", "printf 'READY=1\\n\\n'"] {
        let remote = Remote::start();
        let manager = manager(&remote);
        let mut story = Story::new(&manager);
        let script = format!("printf 'no line' >NOTIFY; echo begun; GO; {sign} >NOTIFY; exec sleep 600");
        start(&manager, "u", &notifying(&remote, &script));
        wait_until("its beginning", TIME, || stdout(&manager, "u").contains("begun").then_some(()));
        assert!(!manager.is_ready("u"));
        wait_for_helpers(&manager, "u", 1);
        go(&remote);
        manager.wait_until_ready("u", TIME).unwrap();
        assert!(manager.is_ready("u"));
        story.wait("ready");
        wait_for_helpers(&manager, "u", 0);
        manager.kill_process("u", TIME).unwrap();
        finish(&manager, &remote);
        assert_eq!(story.all(manager), ["started", "ready", "exited"], "{sign}");
    }
}

/// The application gets one more descriptor than without it, which it has open for writing, and one variable.
#[test]
fn the_application_gets_one_descriptor_and_its_number() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let file = remote.scratch().join("report");
    let report = |request: BootRequest| {
        let _ = std::fs::remove_file(remote.local(&file));
        start(&manager, "u", &request);
        let report = AppReport::wait(&remote, &file);
        manager.kill_process("u", TIME).unwrap();
        report
    };
    let request = || app(&remote, &format!("report {} wait", file.display()));
    let number = |report: &AppReport| report.var("SSHPM_NOTIFY_FD").map(|number| number.into_string().unwrap());
    let numbers = |report: &AppReport| -> Vec<i32> { report.fds.iter().map(|(number, _)| *number).collect() };
    let without = report(request());
    assert_eq!((number(&without), numbers(&without)), (None, vec![0, 1, 2]));
    // One of another name's value is not in the way, wherever it comes from.
    let settings = [
        request(),
        request().environment("SSHPM_NOTIFY_FD", "7"),
        request().setup_line("export SSHPM_NOTIFY_FD=8; set -a"),
    ];
    for setting in settings {
        let with = report(setting.ready(Ready::Notify));
        assert_eq!((number(&with).as_deref(), numbers(&with)), (Some("3"), vec![0, 1, 2, 3]));
    }
    // Without readiness, only a value of the request's own is set.
    assert_eq!(number(&report(request().environment("SSHPM_NOTIFY_FD", "7"))).as_deref(), Some("7"));
    finish(&manager, &remote);
}

#[test]
fn one_that_closes_the_descriptor_without_a_line_is_not_ready() {
    for close in ["exec 3>&-", "printf x >NOTIFY; exec 3>&-"] {
        let remote = Remote::start();
        let manager = manager(&remote);
        let mut story = Story::new(&manager);
        // The shell's own copy is closed too by the exec.
        start(&manager, "u", &notifying(&remote, &format!("{close}; echo done; exec sleep 600")));
        let waited = manager.wait_until_ready("u", TIME);
        let reason = NotReadyReason::NotifyClosed;
        assert!(matches!(&waited, Err(Error::NotReady { reason: why, .. }) if *why == reason), "{waited:?}");
        let event = story.wait("not ready");
        assert!(matches!(event.kind, EventKind::NotReady { reason: why } if why == reason), "{event:?}");
        assert!(manager.is_process_alive("u") && !manager.is_ready("u"));
        manager.kill_process("u", TIME).unwrap();
        finish(&manager, &remote);
        assert_eq!(story.all(manager), ["started", "not ready", "exited"]);
    }
}

/// A child that was forked holds the descriptor. So the timeout decides, or the child.
#[test]
fn a_child_that_holds_the_descriptor_keeps_it_open() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let script = "(GO; echo >NOTIFY; exec 3>&-; exec sleep 600) & exec 3>&-; echo closed; exec sleep 600";
    start(&manager, "late", &notifying(&remote, script).ready_timeout(Duration::from_millis(500)));
    let waited = manager.wait_until_ready("late", TIME);
    let reason = |error: &Error| matches!(error, Error::NotReady { reason: NotReadyReason::TimedOut { .. }, .. });
    assert!(waited.as_ref().is_err_and(reason), "{waited:?}");
    start(&manager, "u", &notifying(&remote, script));
    wait_until("the parent has closed it", TIME, || stdout(&manager, "u").contains("closed").then_some(()));
    go(&remote);
    manager.wait_until_ready("u", TIME).unwrap();
    finish(&manager, &remote);
}

/// However it ends, an exit before the sign is an exit and nothing else, and one behind the sign comes behind `Ready`.
#[test]
fn an_exit_is_never_taken_for_a_closed_descriptor() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    let ends = ["exit 7", "kill -KILL $$", "printf x >NOTIFY; exit 7", "sleep 600 & exit 7"];
    for round in 0..5 {
        for (number, end) in ends.iter().enumerate() {
            let uuid = format!("unready-{number}-{round}");
            manager.start_process(&uuid, &notifying(&remote, end)).unwrap();
            let uuid = format!("ready-{number}-{round}");
            manager.start_process(&uuid, &notifying(&remote, &format!("echo >NOTIFY; {end}"))).unwrap();
        }
    }
    for uuid in manager.active_process_keys() {
        let waited = manager.wait_until_ready(&uuid, TIME);
        let is_as_expected = match &waited {
            Ok(()) => uuid.starts_with("ready"),
            Err(Error::NotRunning { .. }) => uuid.starts_with("unready"),
            Err(_) => false,
        };
        assert!(is_as_expected, "{uuid}: {waited:?}");
        end_of(&manager, &uuid);
    }
    finish(&manager, &remote);
    for (uuid, words) in witness.all(manager) {
        let expected =
            if uuid.starts_with("ready") { &["started", "ready", "exited"][..] } else { &["started", "exited"] };
        assert_eq!(words, expected, "{uuid}");
    }
}

#[test]
fn a_start_that_fails_says_why_and_leaves_nothing() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let failures = [
        BootRequest::new("alpha", ["/no/such/program"]),
        BootRequest::new("alpha", ["/etc/passwd"]),
        shell("exit 0").setup_line("false"),
        shell("exit 0").working_directory("/no/such/directory"),
    ];
    for (number, request) in failures.into_iter().enumerate() {
        let plain = failure_of(&manager, &format!("plain-{number}"), &request);
        assert_eq!(failure_of(&manager, &format!("ready-{number}"), &request.ready(Ready::Notify)), plain);
    }
    finish(&manager, &remote);
}

/// The file that is there for readiness is removed when a start is taken back, when the link is lost, and when the
/// wrapper is killed.
#[test]
fn nothing_is_left_however_it_ends() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let request = || notifying(&remote, "echo ready; exec sleep 600");
    manager.start_process("taken-back", &request().setup_line("echo ready; sleep 600")).unwrap();
    wait_for_setup(&manager, "taken-back");
    manager.kill_process("taken-back", TIME).unwrap();
    start_ready(&manager, "lost", &request());
    break_link(&manager, "lost");
    end_of(&manager, "lost");
    start_ready(&manager, "killed", &request());
    let wrapper = manager.runtime_pids("killed").remote_monitoring.unwrap();
    ProcessInfo::of(wrapper as i32).unwrap().signal(libc::SIGKILL).unwrap();
    end_of(&manager, "killed");
    finish(&manager, &remote);
}

/// An application that goes on writing to the descriptor is not disturbed when nobody reads any more.
#[test]
fn further_lines_do_not_harm() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    let script = "trap - PIPE; i=0; while [ $i -lt 200 ]; do echo >NOTIFY; i=$((i+1)); done; echo done; GO; exit 7";
    start(&manager, "u", &notifying(&remote, script));
    wait_until("all lines are written", TIME, || stdout(&manager, "u").contains("done").then_some(()));
    manager.wait_until_ready("u", TIME).unwrap();
    go(&remote);
    assert_eq!(end_of(&manager, "u").code(), Some(7));
    finish(&manager, &remote);
    assert_eq!(witness.of(manager, "u"), ["started", "ready", "exited"]);
}
