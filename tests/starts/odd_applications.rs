//! Applications that do what they should not: none may hide its exit, hold up the manager, or stay behind.

use crate::life::*;
use crate::support::{
    self, By, ProcessInfo, Remote, assert_same_as, isolated, launched_by, local_snapshot, wait_until,
};
use sshpm::{ExitSource, Signal};

/// Returns the processes of an application's group, without the application.
fn children_of(leader: &ProcessInfo) -> Vec<ProcessInfo> {
    support::processes().into_iter().filter(|p| p.pgid == leader.pid && p.pid != leader.pid && !p.is_zombie()).collect()
}

#[test]
fn one_that_ignores_quit_gets_kill() {
    isolated(|| {
        let remote = Remote::start();
        let before = local_snapshot();
        let manager = impatient_manager(&remote);
        start(&manager, "u", &app(&remote, "ignore QUIT print ready heartbeat 0.1"));
        wait_until("it is ready", TIME, || stdout(&manager, "u").contains("ready").then_some(()));
        let status = manager.kill_process("u", TIME).unwrap();
        assert_eq!(status.source(), ExitSource::ManualKillThroughRemotePid);
        assert_eq!((status.code(), status.signal()), (Some(137), Some(Signal::KILL)), "{status}");
        finish(&manager, &remote);
        drop(manager);
        assert_same_as(&before);
    });
}

#[test]
fn one_that_ends_on_quit_has_its_own_code() {
    let remote = Remote::start();
    let manager = manager(&remote);
    start_ready(&manager, "u", &shell(OWN_CODES));
    let status = manager.kill_process("u", TIME).unwrap();
    assert_eq!(status.source(), ExitSource::ManualKillThroughRemotePid);
    assert_eq!((status.code(), status.raw_code(), status.signal()), (Some(17), Some(17), None), "{status}");
    finish(&manager, &remote);
}

#[test]
fn one_that_installs_no_handler_ends_of_quit() {
    // A shell's background job would ignore the signal.
    let remote = Remote::start();
    let manager = manager(&remote);
    start_ready(&manager, "u", &app(&remote, "print ready wait"));
    let status = manager.kill_process("u", TIME).unwrap();
    assert_eq!((status.code(), status.signal()), (Some(131), Some(Signal::QUIT)), "{status}");
    finish(&manager, &remote);
}

#[test]
fn children_that_are_left_in_the_group_are_ended() {
    let remote = Remote::start();
    let manager = manager(&remote);
    // This one ends by itself.
    start(&manager, "exits", &app(&remote, "fork 2 exit 7"));
    let status = end_of(&manager, "exits");
    assert_eq!((status.code(), status.left_over()), (Some(7), true), "{status}");
    remote.assert_nothing_left();
    // This one is ended: QUIT goes to the leader alone.
    let leader = start_ready(&manager, "killed", &app(&remote, "ignore HUP fork 3 print ready heartbeat 0.1"));
    let children = children_of(&leader);
    assert_eq!(children.len(), 3);
    let status = manager.kill_process("killed", TIME).unwrap();
    assert_eq!((status.code(), status.left_over()), (Some(0), true), "{status}");
    children.iter().for_each(wait_for_death);
    // One without children reports that nothing was left over.
    start(&manager, "alone", &app(&remote, "exit 7"));
    assert!(!end_of(&manager, "alone").left_over());
    finish(&manager, &remote);
}

#[test]
fn a_daemon_that_holds_stdout_holds_neither_the_exit_report_nor_the_ssh_client() {
    let remote = Remote::start();
    let manager = manager(&remote);
    start(&manager, "u", &app(&remote, "daemonize exit 5"));
    let status = end_of(&manager, "u");
    assert_eq!((status.code(), status.source()), (Some(5), ExitSource::RemoteMonitoring), "{status}");
    // The daemon ends when nobody reads its stdout, so the client must end first.
    wait_for_link_end(&manager, "u");
    remote.end_daemons("daemonize");
    finish(&manager, &remote);
}

#[test]
fn a_stderr_that_was_made_nonblocking_and_filled_does_not_swallow_the_exit() {
    let remote = Remote::start();
    // The client of a shared connection reads nothing: its master does.
    let manager = sshpm::Manager::new(options(&remote).share_connections(false)).unwrap();
    let go = remote.scratch().join("go");
    let wait_for_go = format!("while [ ! -e {} ]; do sleep 0.05; done", go.display());
    let request = shell(&format!("{wait_for_go}; exec {} nonblock-fill exit 6", remote.app().display()));
    let application = start(&manager, "u", &request);
    // With a client that reads nothing, ssh's window and sshd's pipe really fill up. The client of *local* carries
    // nothing.
    let client = client_of(&manager, "u");
    client.signal(libc::SIGSTOP).unwrap();
    touch(&remote, &go);
    wait_for_death(&application);
    if launched_by() != By::Local {
        assert!(manager.is_process_alive("u"), "the report cannot have come yet");
    }
    client.signal(libc::SIGCONT).unwrap();
    let status = end_of(&manager, "u");
    assert_eq!((status.code(), status.link_lost()), (Some(6), false), "{status}");
    let stderr = manager.process_stderr("u").unwrap();
    assert!(stderr.dropped + stderr.bytes.len() as u64 > 4096, "it wrote to its stderr: {}", stderr.bytes.len());
    finish(&manager, &remote);
}

#[test]
fn one_that_closes_its_streams_is_watched_all_the_same() {
    let remote = Remote::start();
    let manager = manager(&remote);
    start(&manager, "exits", &app(&remote, "close-streams exit 4"));
    assert_eq!(end_of(&manager, "exits").code(), Some(4));
    let application = start(&manager, "stays", &app(&remote, "print ready close-streams heartbeat 0.1"));
    wait_until("closed streams", TIME, || {
        let fds = std::fs::read_dir(format!("/proc/{}/fd", application.pid)).unwrap();
        (fds.count() == 0).then_some(())
    });
    assert!(manager.is_process_alive("stays"));
    assert_eq!(manager.kill_process("stays", TIME).unwrap().code(), Some(0));
    finish(&manager, &remote);
}

#[test]
fn forged_reports_are_output() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    let application = start(&manager, "u", &app(&remote, "forge print ready stderr done wait"));
    wait_until("all of its output", TIME, || {
        let stderr = manager.process_stderr("u").unwrap().bytes;
        (stdout(&manager, "u").contains("ready") && stderr.ends_with(b"done")).then_some(())
    });
    assert!(manager.is_process_alive("u") && application.is_alive());
    assert_eq!(manager.remote_pid("u").unwrap(), i64::from(application.pid));
    let expected = format!("{} exit 0\n", "0".repeat(32));
    assert!(stdout(&manager, "u").contains(&expected));
    let status = manager.kill_process("u", TIME).unwrap();
    assert_eq!(status.code(), Some(131), "{status}");
    finish(&manager, &remote);
    assert_eq!(witness.of(manager, "u"), ["started", "exited"]);
}

#[test]
fn fifty_megabytes_of_output_are_counted_and_their_end_is_kept() {
    const BYTES: usize = 50_000_000;
    let remote = Remote::start();
    let manager = manager(&remote);
    start(&manager, "u", &app(&remote, &format!("spam {BYTES} exit 8")));
    assert_eq!(end_of(&manager, "u").code(), Some(8));
    let output = manager.process_stdout("u").unwrap();
    assert_eq!(output.bytes.len(), 1 << 20);
    assert_eq!(output.dropped as usize + output.bytes.len(), BYTES);
    assert!(output.bytes.ends_with(b"xxx\nxxx") || output.bytes.ends_with(b"\n") || output.bytes.ends_with(b"x"));
    finish(&manager, &remote);
}

#[test]
fn a_stopped_application_ends_as_if_it_ran() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let application = start(&manager, "u", &app(&remote, "heartbeat 0.1"));
    // From its first beat on, it handles QUIT.
    wait_until("it beats", TIME, || stdout(&manager, "u").contains("Heartbeat").then_some(()));
    manager.send_signal("u", Signal::STOP).unwrap();
    wait_until("it is stopped", TIME, || (ProcessInfo::of(application.pid)?.state == 'T').then_some(()));
    assert!(manager.is_process_alive("u"), "a stopped process has not ended");
    let status = manager.kill_process("u", TIME).unwrap();
    assert_eq!((status.code(), status.signal()), (Some(0), None), "it handled QUIT: {status}");
    finish(&manager, &remote);
}
