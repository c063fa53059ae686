//! Kept processes: they outlive their link and their manager, and nothing of what they do is lost.

use std::fs;
use std::sync::Barrier;
use std::time::{Duration, SystemTime};

use crate::keeping::*;
use crate::life::*;
use crate::support::{ProcessInfo, Remote, wait_until};
use sshpm::{
    BootRequest, CleanUp, Error, ExitSource, FoundState, KillTimeouts, Manager, ProcessState, Role, Signal,
    StartFailure,
};

#[test]
fn one_that_ends_by_itself() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let story = Story::new(&manager);
    manager.start_process("u", &kept(shell("echo out; echo err >&2; exit 3"))).unwrap();
    let status = end_of(&manager, "u");
    assert_eq!((status.source(), status.code()), (ExitSource::RemoteMonitoring, Some(3)), "{status}");
    assert_eq!(stdout(&manager, "u"), "out\n");
    assert_eq!(manager.process_stderr("u").unwrap().bytes, b"err\n");
    finish(&manager, &remote);
    assert_eq!(story.all(manager), ["started", "exited"]);
}

#[test]
fn it_is_killed_and_signalled_as_any_other() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let story = Story::new(&manager);
    let (_, application) = Counting::start(&remote, &manager);
    assert_eq!(application.pgid, application.pid);
    manager.send_signal("u", Signal::CONT).unwrap();
    let status = manager.kill_process("u", TIME).unwrap();
    assert_eq!((status.source(), status.code()), (ExitSource::ManualKillThroughRemotePid, Some(17)), "{status}");
    finish(&manager, &remote);
    assert_eq!(story.all(manager), ["started", "exited"]);
}

/// The process outlives its client. Its manager restores the link by itself, and gets all output.
#[test]
fn its_client_is_killed() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let mut story = Story::new(&manager);
    let (counting, application) = Counting::start(&remote, &manager);
    for _ in 1..=3 {
        break_link(&manager, "u");
        story.wait("restored");
        assert!(application.is_alive());
        let lines = stdout(&manager, "u").lines().count();
        wait_for_lines(&manager, "u", lines + 3);
    }
    counting.end(&remote);
    let status = end_of(&manager, "u");
    assert_eq!((status.source(), status.code()), (ExitSource::RemoteMonitoring, Some(7)), "{status}");
    assert!(!status.link_lost());
    assert_counted(&manager, "u");
    finish(&manager, &remote);
    let told = ["started", "lost", "restored", "lost", "restored", "lost", "restored", "exited"];
    assert_eq!(story.all(manager), told);
}

/// The whole connection is lost, and the process ends while there is no link.
#[test]
fn it_ends_while_there_is_no_link() {
    let remote = Remote::start();
    let (gate, manager) = gated_manager(&remote);
    let mut story = Story::new(&manager);
    let (counting, application) = Counting::start(&remote, &manager);
    wait_for_lines(&manager, "u", 3);
    let before = SystemTime::now();
    gate.close();
    remote.break_links();
    story.wait("lost");
    assert_eq!(manager.process_state("u").unwrap(), ProcessState::LinkLost);
    assert!(!manager.is_process_alive("u") && application.is_alive());
    story.wait("not restored");
    counting.end(&remote);
    wait_for_death(&application);
    let after = SystemTime::now();
    gate.open();
    let status = end_of(&manager, "u");
    assert_eq!((status.source(), status.code()), (ExitSource::RemoteMonitoring, Some(7)), "{status}");
    let at = status.ended_at().unwrap();
    let second = Duration::from_secs(1);
    assert!(at + second >= before && at <= after, "{at:?} is between {before:?} and {after:?}");
    assert_counted(&manager, "u");
    finish(&manager, &remote);
    assert_eq!(story.all(manager), ["started", "lost", "not restored", "restored", "exited"]);
}

/// The process goes on when its manager is gone, and the next manager adopts it.
#[test]
fn a_next_manager_adopts_it() {
    let remote = Remote::start();
    let counting = Counting::new(&remote);
    let first = manager(&remote);
    let story = Story::new(&first);
    let request = counting.request().name("readout").session("run 5").role(Role::Application);
    let application = start_ready(&first, "u", &request);
    let second = manager(&remote);
    assert!(matches!(found(&second, "u").state, FoundState::Managed));
    assert!(matches!(second.adopt_process("u", "alpha", None), Err(Error::TakenOver { uuid }) if uuid == "u"));
    assert!(second.active_process_keys().is_empty());
    assert_eq!(story.all(first), ["started"]);
    wait_until("no manager has the process", TIME, || {
        matches!(found(&second, "u").state, FoundState::Unmanaged).then_some(())
    });
    assert!(application.is_alive());
    let mut story = Story::new(&second);
    second.adopt_process("u", "alpha", None).unwrap();
    assert_eq!(second.process_state("u").unwrap(), ProcessState::Running);
    assert_eq!(second.remote_pid("u").unwrap(), i64::from(application.pid));
    story.wait("restored");
    let lines = stdout(&second, "u").lines().count();
    wait_for_lines(&second, "u", lines + 3);
    let results = second.kill_processes_by_role(&Role::Application, &["u"], &KillTimeouts::default()).unwrap();
    let status = results["u"].as_ref().unwrap();
    assert_eq!((status.source(), status.code()), (ExitSource::ManualKillThroughRemotePid, Some(17)), "{status}");
    finish(&second, &remote);
    assert_eq!(story.all(second), ["restored", "exited"]);
}

#[test]
fn one_that_ended_without_a_manager_is_adopted_with_all_that_it_wrote() {
    let remote = Remote::start();
    let first = manager(&remote);
    let (counting, application) = Counting::start(&remote, &first);
    wait_for_lines(&first, "u", 3);
    first.detach().unwrap();
    assert!(matches!(first.wait_for_process_exit_code("u", TIME), Err(Error::Detached { uuid }) if uuid == "u"));
    counting.end(&remote);
    wait_for_death(&application);
    let second = manager(&remote);
    let story = Story::new(&second);
    let code = wait_until("a known exit", TIME, || match found(&second, "u").state {
        FoundState::Ended(status) => Some(status.code()),
        _ => None,
    });
    assert_eq!(code, Some(7));
    second.adopt_process("u", "alpha", None).unwrap();
    let status = end_of(&second, "u");
    assert_eq!((status.source(), status.code()), (ExitSource::RemoteMonitoring, Some(7)), "{status}");
    assert!(status.ended_at().is_some());
    assert_counted(&second, "u");
    finish(&second, &remote);
    assert_eq!(story.all(second), ["restored", "exited"]);
    drop(first);
}

#[test]
fn what_cannot_be_adopted_says_why() {
    let remote = Remote::start();
    let first = manager(&remote);
    let second = manager(&remote);
    start_ready(&first, "ends", &shell(OWN_CODES));
    let refused = |uuid: &str| second.adopt_process(uuid, "alpha", None).unwrap_err();
    assert!(matches!(refused("nobody"), Error::NotAdoptable { reason, .. } if reason.contains("does not have it")));
    assert!(matches!(refused("ends"), Error::TakenOver { .. }));
    assert!(matches!(refused("no/uuid"), Error::Invalid { .. }));
    start_ready(&second, "own", &shell(OWN_CODES));
    assert!(matches!(refused("own"), Error::UuidInUse { .. }));
    finish(&first, remote_of(&second, &remote));
}

/// Ends the processes of a manager, so that none of them is left on the remote.
fn remote_of<'r>(manager: &Manager, remote: &'r Remote) -> &'r Remote {
    manager.kill_all_processes(&KillTimeouts::default()).unwrap();
    remote
}

#[test]
fn a_host_is_cleaned_up() {
    let remote = Remote::start();
    let counting = Counting::new(&remote);
    let leaver = manager(&remote);
    let stays = manager(&remote);
    let left = start_ready(&leaver, "left", &counting.request());
    let ended = start_ready(&leaver, "ended", &counting.request());
    start_ready(&stays, "stays", &counting.request());
    drop(leaver);
    ended.signal(libc::SIGKILL).unwrap();
    wait_for_death(&ended);
    let manager = manager(&remote);
    wait_until("each process is in its state", TIME, || {
        let is_left = matches!(found(&manager, "left").state, FoundState::Unmanaged);
        (is_left && matches!(found(&manager, "ended").state, FoundState::Ended(_))).then_some(())
    });
    let mut cleaned = manager.clean_up_host("alpha", None, TIME, false).unwrap();
    cleaned.sort_by(|a, b| a.uuid.cmp(&b.uuid));
    let outcomes: Vec<_> = cleaned.iter().map(|cleaned| (cleaned.uuid.as_str(), cleaned.outcome)).collect();
    assert_eq!(outcomes, [("ended", CleanUp::Removed), ("left", CleanUp::Ended), ("stays", CleanUp::Managed)]);
    assert!(cleaned.iter().all(|cleaned| cleaned.left.is_empty()), "{cleaned:?}");
    wait_for_death(&left);
    assert!(stays.is_process_alive("stays"));
    finish(&stays, &remote);
    assert!(manager.find_processes("alpha", None).unwrap().is_empty());
}

/// sshd is killed with everything that carried the link.
#[test]
fn sshd_is_killed_with_all_its_sessions() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let mut story = Story::new(&manager);
    let (counting, application) = Counting::start(&remote, &manager);
    remote.break_links();
    story.wait("restored");
    assert!(application.is_alive());
    wait_for_lines(&manager, "u", 3);
    counting.end(&remote);
    assert_eq!(end_of(&manager, "u").code(), Some(7));
    assert_counted(&manager, "u");
    finish(&manager, &remote);
}

/// Nobody could learn how it ends any more, so it is ended.
#[test]
fn its_wrapper_is_killed() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let (_, application) = Counting::start(&remote, &manager);
    let wrapper = manager.runtime_pids("u").remote_monitoring.unwrap() as i32;
    ProcessInfo::of(wrapper).unwrap().signal(libc::SIGKILL).unwrap();
    wait_for_death(&application);
    let status = end_of(&manager, "u");
    assert!(status.is_unknown(), "{status}");
    finish(&manager, &remote);
}

/// When a link breaks before the start is done, the start has failed, whatever the policy.
#[test]
fn its_link_breaks_while_it_starts() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let story = Story::new(&manager);
    let request = kept(shell("exec sleep 1000")).setup_line("sleep 1000");
    manager.start_process("u", &request).unwrap();
    let setup = wait_for_pid(&manager, "u");
    remote.break_links();
    let error = manager.wait_until_started("u", TIME).unwrap_err();
    assert!(matches!(reason_of(error), StartFailure::LinkLost | StartFailure::Ended(_)));
    wait_for_death(&setup);
    finish(&manager, &remote);
    assert_eq!(story.all(manager), ["lost", "failed"]);
}

#[test]
fn a_start_that_fails_leaves_nothing() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let absent = kept(BootRequest::new("alpha", ["/nonexistent/program"]));
    assert!(matches!(failure_of(&manager, "absent", &absent), StartFailure::ProgramNotFound));
    let setup = kept(shell("true")).setup_line("echo no >&2; exit 4");
    assert!(matches!(failure_of(&manager, "setup", &setup), StartFailure::Setup { line: 1, code: 4 }));
    let slow = kept(shell("true")).setup_line("sleep 1000").start_timeout(Duration::from_secs(1));
    assert!(matches!(failure_of(&manager, "slow", &slow), StartFailure::TimedOut { .. }));
    finish(&manager, &remote);
}

/// The application handles INT and QUIT as if it had been started in the foreground.
#[test]
fn it_ignores_no_signal() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let application = start_ready(&manager, "u", &kept(shell("echo ready; exec sleep 1000")));
    let ignored = |name: &str| {
        let status = fs::read_to_string(format!("/proc/{}/status", application.pid)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
        u64::from_str_radix(&line, 16).unwrap()
    };
    // glibc's own two signals, 32 and 33, stay ignored in processes that posix_spawn starts.
    assert_eq!(ignored("SigIgn:") & 0x7fff_ffff, 0);
    finish(&manager, &remote);
}

/// Both managers find that the process has ended and that no manager has it. One of them gets the exit with all output.
#[test]
fn of_two_managers_that_adopt_an_ended_process_one_gets_it() {
    const ROUNDS: usize = 25;
    const BYTES: usize = 250_000;
    let remote = Remote::start();
    let first = manager(&remote);
    let go = remote.scratch().join("go");
    let script = format!(
        "echo ready; until [ -e '{}' ]; do sleep 0.05; done; head -c {BYTES} /dev/zero | tr '\\0' x; exit 7",
        go.display()
    );
    let uuids: Vec<_> = (0..ROUNDS).map(|round| format!("u-{round}")).collect();
    for uuid in &uuids {
        first.start_process(uuid, &kept(shell(&script))).unwrap();
    }
    for uuid in &uuids {
        first.wait_until_started(uuid, TIME).unwrap();
    }
    first.detach().unwrap();
    touch(&remote, &go);
    let managers = [manager(&remote), manager(&remote)];
    wait_until("all have ended", TIME, || {
        let all = managers[0].find_processes("alpha", None).unwrap();
        all.iter().all(|found| matches!(found.state, FoundState::Ended(_))).then_some(())
    });
    let together = Barrier::new(2);
    for uuid in &uuids {
        let adopted = std::thread::scope(|scope| {
            let adopting = [0, 1].map(|at| {
                let (manager, together) = (&managers[at], &together);
                scope.spawn(move || {
                    together.wait();
                    manager.adopt_process(uuid, "alpha", None)
                })
            });
            adopting.map(|thread| thread.join().unwrap())
        });
        // A manager that asks when the other one has everything finds no process any more.
        let winner = match &adopted {
            [Ok(_), Err(Error::TakenOver { .. } | Error::NotAdoptable { .. })] => &managers[0],
            [Err(Error::TakenOver { .. } | Error::NotAdoptable { .. }), Ok(_)] => &managers[1],
            other => panic!("{uuid}: {other:?}"),
        };
        assert_eq!(end_of(winner, uuid).code(), Some(7), "{uuid}");
        assert_eq!(stdout(winner, uuid).len(), "ready\n".len() + BYTES, "{uuid}");
    }
    remote.assert_nothing_left();
}
