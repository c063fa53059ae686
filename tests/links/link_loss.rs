//! Links that break in every way: the application ends by its policy, its exit is learned where that is possible, and
//! an exit that nobody saw is never a number.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::life::*;
use crate::support::{self, By, clients, ends_the_client, launched_by, learned};
use crate::support::{ProcessInfo, Remote, assert_same_as, isolated, local_snapshot, wait_until};
use sshpm::{ExitSource, ExitStatus, FoundState, KillTimeouts, Manager, ProcessState, Signal};

/// Asserts how a process ended whose application ended with 42 by HUP, and whose link was lost.
#[track_caller]
fn assert_lost(status: &ExitStatus, code: Option<i32>) {
    assert_eq!(status.source(), ExitSource::ClientMonitoring, "{status}");
    assert_eq!((status.application_code(), status.is_unknown()), (code, code.is_none()), "{status}");
    assert!(status.link_lost(), "{status}");
}

/// Waits for the only child of a process beside the application: a reader that was killed is replaced by the next one.
#[track_caller]
fn child_of(parent: i32, application: i32) -> ProcessInfo {
    wait_until("the process has one child", TIME, || {
        let mut children = support::processes();
        children.retain(|p| p.ppid == parent && p.pid != application && !p.is_zombie());
        (children.len() == 1).then(|| children.remove(0))
    })
}

/// Returns the child that reads the session, of the process that attends to it. The lease is another child.
#[track_caller]
fn reader_of(attendant: i32) -> ProcessInfo {
    wait_until("the commands have a reader", TIME, || {
        let is_reader = |process: &ProcessInfo| {
            let stdin = fs::read_link(format!("/proc/{}/fd/0", process.pid));
            process.ppid == attendant && stdin.is_ok_and(|stdin| stdin != Path::new("/dev/null"))
        };
        support::processes().into_iter().find(is_reader)
    })
}

/// Returns the process that attends to the wrapper's reader, and the reader.
#[track_caller]
fn attendant_and_reader(manager: &Manager, uuid: &str) -> (ProcessInfo, ProcessInfo) {
    let pids = manager.runtime_pids(uuid);
    let (wrapper, application) = (pids.remote_monitoring.unwrap() as i32, pids.remote.unwrap() as i32);
    let attendant = child_of(wrapper, application);
    let reader = reader_of(attendant.pid);
    (attendant, reader)
}

fn wrapper_of(manager: &Manager, uuid: &str) -> ProcessInfo {
    ProcessInfo::of(manager.runtime_pids(uuid).remote_monitoring.unwrap() as i32).unwrap()
}

#[test]
fn the_client_is_killed_from_outside() {
    isolated(|| {
        let remote = Remote::start();
        let before = local_snapshot();
        let manager = manager(&remote);
        let witness = Witness::new(&manager);
        // ssh catches TERM and ends with 255. On a connection of its own, it does so for QUIT too.
        let of_term = if launched_by() == By::Ssh { 255 } else { -15 };
        let mut ways = vec![("kill", libc::SIGKILL, -9), ("quit", libc::SIGQUIT, -3), ("term", libc::SIGTERM, of_term)];
        ways.retain(|(_, signal, _)| ends_the_client(*signal));
        for &(uuid, ..) in &ways {
            manager.start_process(uuid, &shell(OWN_CODES)).unwrap();
        }
        for &(uuid, signal, raw) in &ways {
            manager.wait_until_started(uuid, TIME).unwrap();
            wait_until("it is ready", TIME, || stdout(&manager, uuid).contains("ready").then_some(()));
            end_client(&manager, uuid, signal);
            let status = end_of(&manager, uuid);
            assert_lost(&status, learned(42));
            assert!(!manager.is_process_alive(uuid));
            assert_eq!(status.raw_code(), Some(raw), "{status}");
            // The code of another launcher that TERM has ended is not one of the codes that say nothing.
            let code = if raw == -15 { Some(raw) } else { None };
            assert_eq!(status.code(), code, "{status}");
        }
        finish(&manager, &remote);
        let events = witness.all(manager);
        assert_eq!(events.len(), ways.len());
        assert!(events.values().all(|words| *words == ["started", "lost", "exited"]), "{events:?}");
        assert_same_as(&before);
    });
}

#[test]
fn the_sessions_sshd_is_killed() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    start_ready(&manager, "u", &shell(OWN_CODES));
    remote.break_links();
    let status = end_of(&manager, "u");
    assert_lost(&status, Some(42));
    // Without an sshd, the client itself is what breaks.
    let raw = if launched_by() == By::Ssh { 255 } else { -9 };
    assert_eq!((status.raw_code(), status.code()), (Some(raw), None), "{status}");
    finish(&manager, &remote);
    assert_eq!(witness.of(manager, "u"), ["started", "lost", "exited"]);
}

#[test]
fn the_wrapper_is_killed_and_the_end_is_unknown() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    let application = start_ready(&manager, "u", &shell(OWN_CODES));
    wrapper_of(&manager, "u").signal(libc::SIGKILL).unwrap();
    // The reader sees that its input has ended, and ends the application as for any lost link.
    wait_for_death(&application);
    let status = end_of(&manager, "u");
    assert_eq!(status.source(), ExitSource::ClientMonitoring, "{status}");
    assert_eq!((status.code(), status.application_code()), (None, None), "{status}");
    assert!(status.is_unknown() && status.link_lost(), "{status}");
    finish(&manager, &remote);
    assert_eq!(witness.of(manager, "u"), ["started", "lost", "exited"]);
}

#[test]
fn the_wrappers_reader_is_killed_and_replaced() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    let application = start_ready(&manager, "killed", &shell(OWN_CODES));
    for _ in 0..2 {
        let (_, reader) = attendant_and_reader(&manager, "killed");
        reader.signal(libc::SIGKILL).unwrap();
        wait_for_death(&reader);
    }
    assert!(manager.is_process_alive("killed") && application.is_alive());
    let status = manager.kill_process("killed", TIME).unwrap();
    assert_eq!((status.source(), status.code()), (ExitSource::ManualKillThroughRemotePid, Some(17)), "{status}");
    assert_eq!(witness.of(manager, "killed"), ["started", "exited"]);
}

/// The reader also watches the lifeline.
#[test]
fn an_application_whose_reader_was_killed_ends_with_its_manager() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let application = start_ready(&manager, "u", &shell(OWN_CODES));
    let (_, reader) = attendant_and_reader(&manager, "u");
    reader.signal(libc::SIGKILL).unwrap();
    wait_for_death(&reader);
    drop(manager);
    wait_for_death(&application);
    remote.assert_nothing_left();
}

/// The process that attends to the reader is not needed while the reader lives.
#[test]
fn the_readers_attendant_is_killed_and_nothing_happens() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    start_ready(&manager, "killed", &shell(OWN_CODES));
    start_ready(&manager, "lost", &shell(OWN_CODES));
    for uuid in ["killed", "lost"] {
        let (attendant, _) = attendant_and_reader(&manager, uuid);
        attendant.signal(libc::SIGKILL).unwrap();
        wait_for_death(&attendant);
    }
    let status = manager.kill_process("killed", TIME).unwrap();
    assert_eq!(status.code(), Some(17), "{status}");
    break_link(&manager, "lost");
    assert_lost(&end_of(&manager, "lost"), learned(42));
    finish(&manager, &remote);
    assert_eq!(witness.all(manager)["killed"], ["started", "exited"]);
}

/// No process reads the manager's commands, and the link holds. A kill gets no answer to its command, and has the host
/// end the application.
#[test]
fn an_application_whose_wrapper_hears_nobody_can_be_killed() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    let application = start_ready(&manager, "u", &shell(OWN_CODES).grace(Duration::from_secs(1)));
    let (attendant, reader) = attendant_and_reader(&manager, "u");
    attendant.signal(libc::SIGKILL).unwrap();
    reader.signal(libc::SIGKILL).unwrap();
    wait_for_death(&reader);
    let found = manager.find_processes("alpha", None).unwrap();
    assert!(matches!(found[..], [ref found] if matches!(found.state, FoundState::Orphaned)), "{found:?}");
    let status = manager.kill_process("u", Duration::from_secs(10)).unwrap();
    assert_eq!(status.application_code(), learned(137), "{status}");
    assert!(!application.is_alive());
    finish(&manager, &remote);
    assert_eq!(witness.of(manager, "u"), ["started", "lost", "exited"]);
}

#[test]
fn sshds_listener_is_killed_and_nothing_happens() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    let application = start_ready(&manager, "u", &shell(OWN_CODES));
    kill_listener(&remote);
    manager.send_signal("u", Signal::CONT).unwrap();
    assert!(manager.is_process_alive("u") && application.is_alive());
    let status = manager.kill_process("u", TIME).unwrap();
    assert_eq!((status.source(), status.code()), (ExitSource::ManualKillThroughRemotePid, Some(17)), "{status}");
    finish(&manager, &remote);
    assert_eq!(witness.of(manager, "u"), ["started", "exited"]);
}

fn kill_listener(remote: &Remote) {
    let root = remote.root();
    let pid = if root == Path::new("/") { None } else { root.parent().unwrap().file_name() };
    let pid = pid.map_or_else(
        || fs::read_to_string(remote.dir().join("pid")).unwrap().trim().parse().unwrap(),
        |pid| pid.to_str().unwrap().parse().unwrap(),
    );
    let listener = ProcessInfo::of(pid).unwrap();
    assert!(listener.is_sshd());
    listener.signal(libc::SIGKILL).unwrap();
    wait_for_death(&listener);
}

#[test]
fn one_that_ignores_hup_gets_kill_after_its_grace() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    let request = app(&remote, "ignore HUP,TERM,INT,PIPE print ready heartbeat 0.1").grace(Duration::from_secs(1));
    let application = start_ready(&manager, "u", &request);
    break_link(&manager, "u");
    let status = end_of(&manager, "u");
    assert_eq!((status.source(), status.code()), (ExitSource::ClientMonitoring, None), "{status}");
    assert_eq!(status.application_code(), learned(137), "{status}");
    assert_eq!(status.signal(), learned(Signal::KILL), "{status}");
    assert!(!application.is_alive());
    finish(&manager, &remote);
    assert_eq!(witness.of(manager, "u"), ["started", "lost", "exited"]);
}

#[test]
fn children_do_not_outlive_the_link_either() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let request = app(&remote, "ignore HUP fork 2 print ready wait").grace(Duration::from_secs(1));
    start_ready(&manager, "u", &request);
    break_link(&manager, "u");
    assert_eq!(end_of(&manager, "u").application_code(), learned(137));
    finish(&manager, &remote);
}

#[test]
fn a_host_that_cannot_be_asked_any_more_leaves_the_end_unknown() {
    let remote = Remote::start();
    let (gate, gated) = remote.gate();
    let manager = Manager::new(gated.lost_timeout(Duration::from_secs(1))).unwrap();
    let witness = Witness::new(&manager);
    let application = start_ready(&manager, "u", &shell(OWN_CODES));
    gate.close();
    if launched_by() == By::Ssh {
        kill_listener(&remote);
    }
    remote.break_links();
    wait_until("the link is lost", TIME, || {
        (manager.process_state("u").unwrap() == ProcessState::LinkLost).then_some(())
    });
    assert!(!manager.is_process_alive("u"), "as in the seed");
    let status = end_of(&manager, "u");
    assert_eq!(status.source(), ExitSource::ClientMonitoring, "{status}");
    assert_eq!((status.code(), status.application_code(), status.signal()), (None, None, None), "{status}");
    assert!(status.is_unknown() && status.link_lost(), "{status}");
    // The policy needs no manager that asks.
    wait_for_death(&application);
    assert_eq!(witness.of(manager, "u"), ["started", "lost", "exited"]);
}

#[test]
fn a_kill_during_a_lost_link_gets_the_end_that_was_learned() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let request = app(&remote, "ignore HUP print ready wait").grace(Duration::from_secs(2));
    start_ready(&manager, "u", &request);
    break_link(&manager, "u");
    wait_until("the link is lost", TIME, || {
        (manager.process_state("u").unwrap() == ProcessState::LinkLost).then_some(())
    });
    assert!(matches!(manager.send_signal("u", Signal::USR1), Err(sshpm::Error::LinkDown { .. })));
    let status = manager.kill_process("u", TIME).unwrap();
    assert_eq!((status.code(), status.application_code()), (None, learned(137)), "{status}");
    finish(&manager, &remote);
}

#[test]
fn a_link_that_breaks_during_the_setup_ends_it() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    manager.start_process("u", &shell("exit 0").setup_line("sleep 1000").grace(Duration::ZERO)).unwrap();
    let setup = wait_for_pid(&manager, "u");
    break_link(&manager, "u");
    wait_for_death(&setup);
    // The program never ran: whatever is reported, it is no code of the application.
    let _ = manager.wait_for_process_exit_code("u", TIME);
    let code = manager.exit_status("u").unwrap().ok().and_then(|status| status.code());
    assert_eq!(code, None);
    finish(&manager, &remote);
    let words = witness.of(manager, "u");
    assert!(!words.contains(&"started") && words.len() == 2 && words[0] == "lost", "{words:?}");
}

/// The part of a child process in the next test: a manager of three processes in three states.
#[test]
fn manager_to_be_killed() {
    if !support::is_isolated("link_loss::manager_to_be_killed") {
        return;
    }
    let variable = |name: &str| std::env::var_os(name).unwrap();
    let note = variable("SSHPM_TEST_NOTE");
    let manager = Manager::new(support::handed_options()).unwrap();
    manager
        .start_process("running", &shell("trap '' HUP; while :; do sleep 0.05; done").grace(Duration::from_secs(1)))
        .unwrap();
    manager
        .start_process("setup", &shell("exit 0").setup_line("trap '' HUP; sleep 1000").grace(Duration::from_secs(1)))
        .unwrap();
    manager.start_process("connecting", &sshpm::BootRequest::new("silent", ["true"])).unwrap();
    manager.wait_until_started("running", TIME).unwrap();
    wait_for_pid(&manager, "setup");
    // Each process has a client. By ssh the third one has none yet, and there are the masters of both hosts.
    let count = match (launched_by(), support::has_clients()) {
        (By::Ssh, true) => 4,
        (By::Ssh, false) => 2,
        _ => 3,
    };
    let clients = wait_until("all clients", TIME, || Some(clients()).filter(|clients| clients.len() == count));
    let clients: Vec<_> = clients.iter().map(|client| client.pid.to_string()).collect();
    let part = Path::new(&note).with_extension("part");
    fs::write(&part, clients.join(" ")).unwrap();
    fs::rename(part, note).unwrap();
    // Until this process is killed.
    loop {
        std::thread::park();
    }
}

#[test]
fn a_manager_that_is_killed_leaves_nothing_on_either_side() {
    let remote = Remote::start();
    let note = remote.dir().join("note");
    let mut child = support::isolated_command("link_loss::manager_to_be_killed");
    remote.hand_to(&mut child);
    let mut child = child.env("SSHPM_TEST_NOTE", &note).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let text = wait_until("a note from the manager", TIME, || fs::read_to_string(&note).ok());
    let clients: Vec<_> = text.split(' ').map(|pid| ProcessInfo::of(pid.parse().unwrap()).unwrap()).collect();
    assert!(clients.len() >= 2);
    assert!(!remote.processes().is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_only_status_files_left(&remote);
    clients.iter().for_each(wait_for_death);
}

#[test]
fn dropping_the_manager_ends_all_by_their_policy() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    let application = start_ready(&manager, "u", &shell(OWN_CODES));
    assert_eq!(witness.of(manager, "u"), ["started", "exited"]);
    assert!(!application.is_alive());
    remote.assert_nothing_left();
    let other = crate::life::manager(&remote);
    start_ready(&other, "u", &shell(OWN_CODES));
    other.detach().unwrap();
    let status = other.exit_status("u").unwrap().unwrap();
    assert_eq!(status.source(), ExitSource::ManualKillThroughSshClient, "{status}");
    assert_eq!(status.application_code(), Some(42), "{status}");
    assert!(other.start_process("v", &shell("exit 0")).is_err());
    assert!(other.kill_all_processes(&KillTimeouts::default()).is_ok());
    remote.assert_nothing_left();
}

/// A login with XDG_RUNTIME_DIR starts the process, and the login of the inquiry has no such variable.
#[test]
fn word_of_an_end_is_found_in_the_runtime_directory_of_another_login() {
    let later = "[ ! -e /tmp/scratch/later ] || unset XDG_RUNTIME_DIR\n";
    let remote = Remote::builder().runtime_dirs().user_file("bash", ".bashrc", later).start();
    let Some(user) = remote.user("bash") else { return support::skipped("start-up files need a user with bash") };
    let manager = manager(&remote);
    start_ready(&manager, "u", &shell(OWN_CODES).user(user.name));
    assert!(remote.runtime_files().iter().all(|file| file.starts_with("/run/user")), "{:?}", remote.runtime_files());
    touch(&remote, Path::new("/tmp/scratch/later"));
    break_link(&manager, "u");
    assert_lost(&end_of(&manager, "u"), Some(42));
    finish(&manager, &remote);
}
