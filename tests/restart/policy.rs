//! Restarts by a policy.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::keeping::{Story, gated_manager_with, kept};
use crate::life::*;
use crate::support::{Remote, isolated, wait_until};
use sshpm::{
    BootRequest, Error, EventKind, KillTimeouts, Manager, ProcessState, RestartPolicy, Role, Signal, StartFailure,
};

/// A pause that is over at once, and one that is never over.
const SHORT: Duration = Duration::from_millis(1);
const FOR_EVER: Duration = Duration::MAX;

fn at_once(policy: RestartPolicy) -> RestartPolicy {
    policy.pauses(SHORT, SHORT)
}

fn paused(policy: RestartPolicy) -> RestartPolicy {
    policy.pauses(FOR_EVER, FOR_EVER)
}

/// Returns a request whose application crashes this many times and then runs.
fn crashing(remote: &Remote, times: u32) -> BootRequest {
    let count = remote.scratch().join("count");
    shell(&format!(
        "echo >>{0}; [ $(wc -l <{0}) -gt {times} ] || exit 3; trap '' PIPE; trap 'exit 17' QUIT; echo ready; \
         while :; do sleep 0.05; done",
        count.display()
    ))
}

/// Starts a process that ends at once, and waits until the pause of its policy has begun.
#[track_caller]
fn start_paused(manager: &Manager, uuid: &str, request: &BootRequest) {
    let events = manager.subscribe().unwrap();
    manager.start_process(uuid, &request.clone().restart(paused(RestartPolicy::always()))).unwrap();
    loop {
        if let EventKind::Restarting { attempt, after } = events.recv_timeout(TIME).unwrap().kind {
            assert_eq!((attempt, after), (1, FOR_EVER));
            return;
        }
    }
}

#[test]
fn an_application_that_crashes_twice_is_restarted_twice() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let (events, witness) = (manager.subscribe().unwrap(), Witness::new(&manager));
    let policy = RestartPolicy::on_failure().pauses(SHORT, 10 * SHORT);
    manager.start_process("u", &crashing(&remote, 2).restart(policy)).unwrap();
    let first = manager.start_number("u").unwrap();
    let mut numbers = vec![first];
    let mut pauses = Vec::new();
    while numbers.len() < 3 || manager.process_state("u").unwrap() != ProcessState::Running {
        let event = events.recv_timeout(TIME).unwrap();
        match event.kind {
            EventKind::Started { .. } if !numbers.contains(&event.start_number) => numbers.push(event.start_number),
            EventKind::Restarting { attempt, after } => pauses.push((event.start_number, attempt, after)),
            EventKind::Exited { status } => {
                assert_eq!((status.code(), status.start_number()), (Some(3), event.start_number))
            }
            _ => {}
        }
    }
    assert!(numbers.is_sorted());
    assert_eq!(pauses, [(numbers[0], 1, SHORT), (numbers[1], 2, 2 * SHORT)]);
    assert_eq!(manager.start_number("u").unwrap(), numbers[2]);
    wait_until("the third life", TIME, || stdout(&manager, "u").contains("ready").then_some(()));
    assert_eq!(manager.kill_process("u", TIME).unwrap().code(), Some(17));
    assert_eq!(manager.active_process_keys(), Vec::<String>::new());
    finish(&manager, &remote);
    assert_eq!(
        witness.of(manager, "u"),
        ["started", "exited", "restarting", "started", "exited", "restarting", "started", "exited"]
    );
}

#[test]
fn which_ends_are_followed_by_a_restart() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    for (uuid, script, policy, restarts) in [
        ("0 by default", "exit 0", RestartPolicy::never(), false),
        ("1 by default", "exit 1", RestartPolicy::never(), false),
        ("0 on failure", "exit 0", RestartPolicy::on_failure(), false),
        ("1 on failure", "exit 1", RestartPolicy::on_failure(), true),
        ("a signal on failure", "kill -KILL $$", RestartPolicy::on_failure(), true),
        ("0 always", "exit 0", RestartPolicy::always(), true),
    ] {
        let uuid = uuid.replace(' ', "-");
        let mut story = Story::new(&manager);
        manager.start_process(&uuid, &shell(script).restart(paused(policy))).unwrap();
        story.wait("exited");
        if restarts {
            story.wait("restarting");
        }
        let expected = if restarts { ProcessState::Restarting } else { ProcessState::Ended };
        assert_eq!(manager.process_state(&uuid).unwrap(), expected, "{uuid}");
        manager.forget_process(&uuid).unwrap();
    }
    // A crash counts, although a call has brought it about.
    start_ready(&manager, "crashed", &shell(OWN_CODES).restart(at_once(RestartPolicy::on_failure())));
    let number = manager.start_number("crashed").unwrap();
    manager.crash_process("crashed", Signal::KILL).unwrap();
    wait_until("the second life", TIME, || (manager.start_number("crashed").unwrap() > number).then_some(()));
    manager.wait_until_started("crashed", TIME).unwrap();
    finish(&manager, &remote);
    assert_eq!(witness.of(manager, "crashed"), ["started", "exited", "restarting", "started", "exited"]);
}

#[test]
fn an_end_that_a_call_asked_for_is_not_followed_by_a_restart() {
    let remote = Remote::start();
    let request = shell(OWN_CODES).restart(at_once(RestartPolicy::always()));
    type End = fn(&Manager);
    let ends: [(&str, End); 6] = [
        ("kill_process", |manager| drop(manager.kill_process("u", TIME).unwrap())),
        ("kill_processes", |manager| drop(manager.kill_processes(&["u"], &TIME.into()).unwrap())),
        ("kill_processes_by_role", |manager| {
            drop(manager.kill_processes_by_role(&Role::Unknown, &["u"], &TIME.into()).unwrap());
        }),
        ("kill_all_processes", |manager| drop(manager.kill_all_processes(&KillTimeouts::default()).unwrap())),
        ("kill_process_without_metadata", |manager| {
            drop(manager.kill_process_without_metadata("u", Signal::KILL, false, TIME).unwrap());
        }),
        ("shutdown", |manager| drop(manager.shutdown(TIME).unwrap())),
    ];
    for (name, end) in ends {
        let manager = manager(&remote);
        let witness = Witness::new(&manager);
        start_ready(&manager, "u", &request);
        end(&manager);
        assert_eq!(manager.active_process_keys(), Vec::<String>::new(), "{name}");
        // A wrapper whose client was killed cannot know whether its report was read.
        assert_only_status_files_left(&remote);
        let words = witness.of(manager, "u");
        assert!(!words.contains(&"restarting"), "{name}: {words:?}");
    }
}

#[test]
fn the_limit_ends_the_restarts_and_the_last_end_stands() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    let mut story = Story::new(&manager);
    let policy = at_once(RestartPolicy::on_failure()).limit(2, TIME);
    manager.start_process("exits", &shell("exit 3").restart(policy.clone())).unwrap();
    let event = story.wait("restart limit");
    assert!(matches!(event.kind, EventKind::RestartLimitReached { limit: 2, within: TIME }), "{event:?}");
    assert_eq!(manager.process_state("exits").unwrap(), ProcessState::Ended);
    assert_eq!(event.start_number, manager.start_number("exits").unwrap());
    assert_eq!(end_of(&manager, "exits").code(), Some(3));
    // A restart by a call counts from zero.
    manager.restart_process("exits", TIME).unwrap();
    story.wait("restart limit");
    // A start that fails counts, too.
    manager.start_process("fails", &BootRequest::new("alpha", ["/missing"]).restart(policy)).unwrap();
    story.wait("restart limit");
    assert_eq!(manager.process_state("fails").unwrap(), ProcessState::Failed);
    let failed = manager.wait_until_started("fails", TIME).unwrap_err();
    assert_eq!(reason_of(failed), StartFailure::ProgramNotFound);
    finish(&manager, &remote);
    let words = witness.all(manager);
    let life = ["started", "exited", "restarting"];
    let lives = [&life[..], &life, &["started", "exited", "restart limit"]].concat();
    assert_eq!(words["exits"], [&lives[..], &lives].concat());
    assert_eq!(words["fails"], ["failed", "restarting", "failed", "restarting", "failed", "restart limit"]);
}

#[test]
fn a_pause_holds_the_uuid_and_tells_the_last_end() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    let request = shell("echo last words; exit 3");
    start_paused(&manager, "u", &request);
    let number = manager.start_number("u").unwrap();
    assert_eq!(manager.process_state("u").unwrap(), ProcessState::Restarting);
    assert!(!manager.is_process_alive("u") && !manager.is_ready("u") && !manager.is_monitoring_remotely("u"));
    assert_eq!(manager.active_process_keys(), ["u"]);
    let taken = manager.start_process("u", &request);
    assert!(matches!(taken, Err(Error::UuidInUse { .. })), "{taken:?}");
    assert_eq!(end_of(&manager, "u").code(), Some(3));
    assert_eq!(stdout(&manager, "u"), "last words\n");
    assert!(manager.send_signal("u", Signal::KILL).is_err());
    // The output is complete: its readers wait for nothing.
    let output = manager.subscribe_output("u").unwrap();
    assert!(output.recv_timeout(TIME).is_err());
    // Once for each life, and the process stays.
    assert_eq!(manager.pop_early_exit_status("u").unwrap().unwrap().code(), Some(3));
    assert!(manager.pop_early_exit_status("u").is_none());
    assert_eq!(manager.process_state("u").unwrap(), ProcessState::Restarting);
    assert_eq!(manager.kill_process("u", TIME).unwrap().start_number(), number);
    assert!(matches!(manager.process_state("u"), Err(Error::UnknownUuid { .. })));
    start_paused(&manager, "f", &BootRequest::new("alpha", ["/missing"]));
    assert_eq!(reason_of(manager.kill_process("f", TIME).unwrap_err()), StartFailure::ProgramNotFound);
    finish(&manager, &remote);
    let words = witness.all(manager);
    assert_eq!(words["u"], ["started", "exited", "restarting"]);
    assert_eq!(words["f"], ["failed", "restarting"]);
}

#[test]
fn every_call_that_ends_a_process_ends_its_pause() {
    let remote = Remote::start();
    type End = fn(&Manager);
    let ends: [(&str, bool, End); 7] = [
        ("kill_process", false, |manager| drop(manager.kill_process("u", TIME).unwrap())),
        ("kill_processes_by_role", false, |manager| {
            drop(manager.kill_processes_by_role(&Role::Unknown, &["u"], &TIME.into()).unwrap());
        }),
        ("kill_all_processes", false, |manager| drop(manager.kill_all_processes(&TIME.into()).unwrap())),
        ("kill_process_without_metadata", false, |manager| {
            drop(manager.kill_process_without_metadata("u", Signal::KILL, true, TIME).unwrap());
        }),
        ("forget_process", false, |manager| manager.forget_process("u").unwrap()),
        ("shutdown", false, |manager| drop(manager.shutdown(TIME).unwrap())),
        ("detach", true, |manager| manager.detach().unwrap()),
    ];
    for (name, stays, end) in ends {
        let manager = manager(&remote);
        let witness = Witness::new(&manager);
        start_paused(&manager, "u", &shell("exit 3"));
        end(&manager);
        assert_eq!(manager.process_state("u").ok(), stays.then_some(ProcessState::Ended), "{name}");
        assert_eq!(witness.of(manager, "u"), ["started", "exited", "restarting"], "{name}");
        remote.assert_nothing_left();
    }
}

#[test]
fn a_call_restarts_a_process_that_pauses() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    start_paused(&manager, "u", &crashing(&remote, 1));
    let number = manager.start_number("u").unwrap();
    assert!(manager.restart_process("u", Duration::ZERO).unwrap() > number);
    manager.wait_until_started("u", TIME).unwrap();
    wait_until("the second life", TIME, || stdout(&manager, "u").contains("ready").then_some(()));
    finish(&manager, &remote);
    assert_eq!(witness.of(manager, "u"), ["started", "exited", "restarting", "started", "exited"]);
}

#[test]
fn a_pause_costs_no_thread_beside_the_watcher() {
    isolated(|| {
        let remote = Remote::start();
        let manager = manager(&remote);
        for at in 0..20 {
            start_paused(&manager, &format!("u{at}"), &shell("exit 3"));
        }
        let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let tasks = || fs::read_dir("/proc/self/task").unwrap().flatten().map(name);
        assert_eq!(tasks().filter(|name| name.trim_end() == "sshpm-watch").count(), 20);
        finish(&manager, &remote);
        assert_eq!(tasks().filter(|name| name.trim_end() == "sshpm-watch").count(), 0);
    });
}

/// A restart begins when the end of the old life is known to everybody.
#[test]
fn callbacks_come_once_for_each_life() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let calls = Arc::new(AtomicUsize::new(0));
    let called = Arc::clone(&calls);
    manager
        .on_process_exit(move |_, _, _| {
            called.fetch_add(1, Ordering::Relaxed);
        })
        .unwrap();
    let mut story = Story::new(&manager);
    let policy = at_once(RestartPolicy::always()).limit(9, TIME);
    manager.start_process("u", &shell("exit 0").restart(policy)).unwrap();
    story.wait("restart limit");
    finish(&manager, &remote);
    drop(manager);
    assert_eq!(calls.load(Ordering::Relaxed), 10);
}

#[test]
fn a_kept_process_is_restarted_and_leaves_nothing_of_its_former_lives() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let mut story = Story::new(&manager);
    let request = kept(crashing(&remote, 2)).restart(at_once(RestartPolicy::on_failure()));
    manager.start_process("u", &request).unwrap();
    for _ in 0..3 {
        story.wait("started");
    }
    wait_until("the third life", TIME, || stdout(&manager, "u").contains("ready").then_some(()));
    assert_eq!(stdout(&manager, "u"), "ready\n", "each life has its own output");
    assert_eq!(manager.kill_process("u", TIME).unwrap().code(), Some(17));
    finish(&manager, &remote);
}

#[test]
fn an_adopted_process_has_no_request_to_be_restarted_with() {
    let remote = Remote::start();
    let first = manager(&remote);
    let request = kept(shell(OWN_CODES)).restart(at_once(RestartPolicy::always()));
    let process = start_ready(&first, "u", &request);
    drop(first);
    assert!(process.is_alive());
    let second = manager(&remote);
    let witness = Witness::new(&second);
    wait_until("the adoption", TIME, || second.adopt_process("u", "alpha", None).ok());
    let restarted = second.restart_process("u", TIME);
    let refused = sshpm::NotRestartedReason::NoRequest;
    assert!(matches!(restarted, Err(Error::NotRestarted { reason, .. }) if reason == refused), "{restarted:?}");
    assert!(process.is_alive());
    process.signal(libc::SIGKILL).unwrap();
    end_of(&second, "u");
    assert_eq!(second.process_state("u").unwrap(), ProcessState::Ended);
    finish(&second, &remote);
    let words = witness.of(second, "u");
    assert!(!words.contains(&"restarting"), "{words:?}");
}

#[test]
fn a_process_that_was_adopted_with_a_request_is_restarted_with_it() {
    let remote = Remote::start();
    let first = manager(&remote);
    let process = start_ready(&first, "u", &kept(shell(OWN_CODES)));
    drop(first);
    let second = manager(&remote);
    let witness = Witness::new(&second);
    let request = shell(&OWN_CODES.replace("17", "18")).restart(at_once(RestartPolicy::on_failure()));
    wait_until("the adoption", TIME, || second.adopt_process_with_request("u", &request).ok());
    let adopted = second.start_number("u").unwrap();
    process.signal(libc::SIGKILL).unwrap();
    wait_until("the second life", TIME, || (second.start_number("u").unwrap() > adopted).then_some(()));
    second.wait_until_started("u", TIME).unwrap();
    wait_until("the second life", TIME, || stdout(&second, "u").contains("ready").then_some(()));
    second.restart_process("u", TIME).unwrap();
    second.wait_until_started("u", TIME).unwrap();
    wait_until("the third life", TIME, || stdout(&second, "u").contains("ready").then_some(()));
    assert_eq!(second.kill_process("u", TIME).unwrap().code(), Some(18), "by the request of the adoption");
    finish(&second, &remote);
    let words = witness.of(second, "u");
    assert_eq!(words[1..], ["exited", "restarting", "started", "exited", "started", "exited"]);
}

/// The host has ended the application when its link was lost.
#[test]
fn a_process_whose_link_breaks_is_restarted_when_its_host_has_ended_it() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let mut story = Story::new(&manager);
    let policy = at_once(RestartPolicy::on_failure());
    let first = start_ready(&manager, "u", &shell(OWN_CODES).restart(policy));
    break_link(&manager, "u");
    story.wait("restarting");
    assert!(!first.is_alive());
    story.wait("started");
    finish(&manager, &remote);
    assert_eq!(story.all(manager), ["started", "lost", "exited", "restarting", "started", "exited"]);
}

#[test]
fn a_kept_process_that_its_host_may_still_run_is_not_restarted() {
    let remote = Remote::start();
    let (gate, manager) = gated_manager_with(&remote, |options| options.restore_timeout(Duration::from_secs(1)));
    let mut story = Story::new(&manager);
    let policy = at_once(RestartPolicy::always());
    let application = start_ready(&manager, "u", &kept(shell(OWN_CODES)).restart(policy));
    gate.close();
    remote.break_links();
    story.wait("not restored");
    let status = end_of(&manager, "u");
    assert!(status.is_unknown() && application.is_alive(), "{status}");
    assert_eq!(manager.process_state("u").unwrap(), ProcessState::Ended);
    let words = story.all(manager);
    assert!(!words.contains(&"restarting"), "{words:?}");
    gate.open();
    let next = crate::life::manager(&remote);
    wait_until("the adoption", TIME, || next.adopt_process("u", "alpha", None).ok());
    finish(&next, &remote);
}
