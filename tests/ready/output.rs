//! Processes that are ready when a text stands in their output.

use std::path::PathBuf;
use std::time::Duration;

use crate::keeping::Story;
use crate::life::*;
use crate::support::{By, Remote, launched_by, wait_until};
use sshpm::{BootRequest, Error, EventKind, NotReadyReason, Ready};

/// A text that the shell would change if it read it.
const SIGN: &str = "ready: 'a' $b \\n*";

fn sign() -> Ready {
    Ready::Output(SIGN.to_owned())
}

/// Returns a script that waits for a file at each `GO`, and the files.
fn gated<const N: usize>(remote: &Remote, script: &str) -> (BootRequest, [PathBuf; N]) {
    let files = std::array::from_fn(|number| remote.scratch().join(format!("go-{number}")));
    let mut script = script.replace("SIGN", "printf %s \"$SIGN\"");
    for file in &files {
        script = script.replacen("GO", &format!("until [ -e {} ]; do sleep 0.05; done", file.display()), 1);
    }
    (shell(&format!("trap '' PIPE; {script}")).environment("SIGN", SIGN).ready(sign()), files)
}

#[test]
fn the_sign_is_found_across_pieces_and_announced_once() {
    for stream in ["", ">&2"] {
        let remote = Remote::start();
        let manager = manager(&remote);
        let mut story = Story::new(&manager);
        let (first, second) = SIGN.split_at(9);
        let script = "(printf 'up %s' \"$FIRST\"; GO; printf '%s\n' \"$SECOND\"; SIGN) STREAM; GO; exit 7";
        let (request, [go, end]) = gated(&remote, &script.replace("STREAM", stream));
        start(&manager, "u", &request.environment("FIRST", first).environment("SECOND", second));
        // srun passes on whole lines.
        let is_there = || {
            let outputs = [manager.process_stdout("u"), manager.process_stderr("u")];
            outputs.into_iter().any(|output| output.unwrap().bytes.ends_with(first.as_bytes()))
        };
        if launched_by() != By::Slurm {
            wait_until("the first piece", TIME, || is_there().then_some(()));
        }
        assert!(!manager.is_ready("u"));
        let waited = manager.wait_until_ready("u", Duration::ZERO);
        assert!(matches!(waited, Err(Error::TimedOut { .. })), "{waited:?}");
        touch(&remote, &go);
        manager.wait_until_ready("u", TIME).unwrap();
        assert!(manager.is_ready("u") && manager.is_process_alive("u"));
        story.wait("ready");
        touch(&remote, &end);
        assert_eq!(end_of(&manager, "u").code(), Some(7));
        // It was ready.
        manager.wait_until_ready("u", TIME).unwrap();
        assert!(!manager.is_ready("u"), "it has ended");
        finish(&manager, &remote);
        assert_eq!(story.all(manager), ["started", "ready", "exited"]);
    }
}

#[test]
fn a_process_that_ends_behind_its_sign_was_ready() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    let (request, []) = gated(&remote, "SIGN; exit 7");
    for number in 0..10 {
        let uuid = format!("u{number}");
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
fn a_process_that_ends_without_its_sign_was_not_ready() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    let (request, []) = gated(&remote, "echo ready; exit 7");
    manager.start_process("ends", &request).unwrap();
    let waited = manager.wait_until_ready("ends", TIME);
    assert!(matches!(&waited, Err(Error::NotRunning { uuid }) if uuid == "ends"), "{waited:?}");
    assert_eq!(end_of(&manager, "ends").code(), Some(7));
    let (request, []) = gated(&remote, "SIGN");
    manager.start_process("fails", &request.setup_line("printf %s \"$SIGN\"; false")).unwrap();
    let failed = manager.wait_until_ready("fails", TIME).unwrap_err();
    assert!(matches!(reason_of(failed), sshpm::StartFailure::Setup { line: 1, code: 1 }));
    assert!(!manager.is_ready("ends") && !manager.is_ready("fails") && !manager.is_ready("unheard-of"));
    let (request, []) = gated(&remote, "echo ready; while :; do sleep 0.05; done");
    start_ready(&manager, "killed", &request);
    manager.kill_process("killed", TIME).unwrap();
    finish(&manager, &remote);
    let words = witness.all(manager);
    assert_eq!(words["ends"], ["started", "exited"]);
    assert_eq!(words["fails"], ["failed"]);
    assert_eq!(words["killed"], ["started", "exited"]);
}

#[test]
fn one_that_is_not_ready_in_time_goes_on_and_never_becomes_ready() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let mut story = Story::new(&manager);
    let (request, [go]) = gated(&remote, "GO; SIGN; echo; echo done; while :; do sleep 0.05; done");
    let after = Duration::from_millis(300);
    start(&manager, "u", &request.ready_timeout(after));
    let reason = NotReadyReason::TimedOut { after };
    let waited = manager.wait_until_ready("u", TIME);
    assert!(matches!(&waited, Err(Error::NotReady { reason: why, .. }) if *why == reason), "{waited:?}");
    let event = story.wait("not ready");
    assert!(matches!(event.kind, EventKind::NotReady { reason: why } if why == reason), "{event:?}");
    touch(&remote, &go);
    wait_until("the late sign", TIME, || stdout(&manager, "u").contains("done").then_some(()));
    assert!(manager.is_process_alive("u") && !manager.is_ready("u"));
    manager.kill_process("u", TIME).unwrap();
    finish(&manager, &remote);
    assert_eq!(story.all(manager), ["started", "not ready", "exited"]);
}

/// The ready timeout is the start timeout unless it is set, and counts from the end of the setup.
#[test]
fn the_ready_timeout_begins_with_the_program() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let (request, []) = gated(&remote, "while :; do sleep 0.05; done");
    let after = Duration::from_secs(3);
    manager.start_process("u", &request.start_timeout(after).setup_line("sleep 2")).unwrap();
    manager.wait_until_started("u", TIME).unwrap();
    let waited = manager.wait_until_ready("u", Duration::from_millis(1500));
    assert!(matches!(waited, Err(Error::TimedOut { .. })), "{waited:?}");
    let waited = manager.wait_until_ready("u", TIME);
    let expected = NotReadyReason::TimedOut { after };
    assert!(matches!(&waited, Err(Error::NotReady { reason, .. }) if *reason == expected), "{waited:?}");
    finish(&manager, &remote);
}

/// A process that is ended because its link was lost is not also reported as not ready.
#[test]
fn a_lost_link_is_no_lack_of_readiness() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let mut story = Story::new(&manager);
    let (request, []) = gated(&remote, "trap 'sleep 1; exit 42' HUP; echo ready; while :; do sleep 0.05; done");
    start_ready(&manager, "u", &request.ready_timeout(Duration::from_millis(1500)));
    break_link(&manager, "u");
    story.wait("lost");
    let waited = manager.wait_until_ready("u", TIME);
    assert!(matches!(waited, Err(Error::NotRunning { .. })), "{waited:?}");
    finish(&manager, &remote);
    assert_eq!(story.all(manager), ["started", "lost", "exited"]);
}

#[test]
fn a_process_of_which_no_sign_is_asked_is_ready_when_it_runs() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    let request = app(&remote, "print ready heartbeat 0.1").ready_timeout(Duration::from_millis(1));
    manager.start_process("u", &request).unwrap();
    manager.wait_until_ready("u", TIME).unwrap();
    assert!(manager.is_ready("u"));
    let unknown = manager.wait_until_ready("unheard-of", TIME);
    assert!(matches!(unknown, Err(Error::UnknownUuid { .. })), "{unknown:?}");
    manager.kill_process("u", TIME).unwrap();
    finish(&manager, &remote);
    assert_eq!(witness.of(manager, "u"), ["started", "exited"]);
}
