//! The seed's members that end processes and report ends and pids, each in a test of its name.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::Duration;

use crate::life::*;
use crate::support::{
    By, NO_CLIENT, ProcessInfo, Remote, assert_same_as, clients, ends_the_client, has_clients, is_failure, isolated,
    launched_by, learned, local_snapshot, skipped, wait_until,
};
use sshpm::{
    Error, ExitSource, KillTimeouts, LauncherFailure, LinkLossPolicy, Manager, ProcessState, Role, RuntimePids, Signal,
    SshFailure,
};

#[test]
fn kill_process_without_metadata() {
    isolated(|| {
        let remote = Remote::start();
        let before = local_snapshot();
        let manager = manager(&remote);
        let witness = Witness::new(&manager);
        let mut count = 0;
        for (uuid, signal, as_manual_kill, source, raw, sentence) in [
            (
                "quit-manual",
                Signal::QUIT,
                true,
                ExitSource::ManualKillThroughSshClient,
                -3,
                "ended by the manager through the ssh client",
            ),
            (
                "kill-manual",
                Signal::KILL,
                true,
                ExitSource::ManualKillThroughSshClient,
                -9,
                "ended by the manager with SIGKILL through the ssh client",
            ),
            (
                "quit-other",
                Signal::QUIT,
                false,
                ExitSource::ClientMonitoring,
                -3,
                "ended unexpectedly by SIGQUIT to the ssh client (hang-up on the remote side)",
            ),
            (
                "kill-other",
                Signal::KILL,
                false,
                ExitSource::ClientMonitoring,
                -9,
                "ended unexpectedly by SIGKILL to the ssh client",
            ),
        ] {
            if !ends_the_client(signal.number()) {
                continue;
            }
            count += 1;
            let application = start_ready(&manager, uuid, &shell(OWN_CODES).link_loss(LinkLossPolicy::Terminate));
            let client = has_clients().then(|| client_of(&manager, uuid));
            let status = manager.kill_process_without_metadata(uuid, signal, as_manual_kill, TIME).unwrap();
            assert!(!application.is_alive() && client.is_none_or(|client| !client.is_alive()), "{uuid}");
            assert_eq!((status.source(), status.raw_code(), status.code()), (source, Some(raw), None), "{status}");
            assert_eq!((status.sentence(), status.application_code()), (sentence, learned(42)), "{status}");
            assert!(status.link_lost() && status.is_unknown() == learned(42).is_none(), "{status}");
            assert!(matches!(manager.process_state(uuid), Err(Error::UnknownUuid { .. })), "{uuid}");
        }
        remote.assert_nothing_left();
        let events = witness.all(manager);
        assert_eq!(events.len(), count);
        assert!(events.values().all(|words| *words == ["started", "lost", "exited"]), "{events:?}");
        assert_same_as(&before);
    });
}

#[test]
fn kill_process_without_metadata_in_every_state() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let kill = |uuid: &str, signal| manager.kill_process_without_metadata(uuid, signal, true, TIME);
    assert!(matches!(kill("nobody", Signal::QUIT), Err(Error::UnknownUuid { .. })));
    assert!(matches!(
        kill("nobody", Signal::TERM),
        Err(Error::Invalid { field, value, .. }) if field == "signal" && value == "TERM"
    ));

    // A process that has ended returns how it ended.
    start(&manager, "ended", &shell("exit 6"));
    end_of(&manager, "ended");
    let status = kill("ended", Signal::KILL).unwrap();
    assert_eq!((status.source(), status.code()), (ExitSource::RemoteMonitoring, Some(6)), "{status}");
    // A process that did not start returns why.
    failure_of(&manager, "failed", &sshpm::BootRequest::new("alpha", ["/missing"]));
    assert!(matches!(kill("failed", Signal::KILL), Err(Error::StartFailed { .. })));

    // A start that has no pid yet is cancelled.
    let silent = sshpm::BootRequest::new("silent", ["true"]);
    manager.start_process("connecting", &silent).unwrap();
    let status = kill("connecting", Signal::QUIT).unwrap();
    assert_eq!((status.source(), status.code()), (ExitSource::ManualKillThroughSshClient, None), "{status}");
    // As if somebody else did it. While the process waits for the shared connection, there is no client to signal.
    if launched_by() == By::Ssh {
        manager.start_process("connecting", &silent).unwrap();
        let failed = manager.kill_process_without_metadata("connecting", Signal::KILL, false, TIME);
        assert!(matches!(failed, Err(Error::NotRunning { .. })), "{failed:?}");
        manager.kill_process("connecting", TIME).unwrap();
    }
    // With a connection of its own, there is a client. Ended by somebody else, that is a failed start.
    let unshared = Manager::new(options(&remote).share_connections(false)).unwrap();
    for as_manual_kill in [true, false] {
        unshared.start_process("connecting", &silent).unwrap();
        let client = client_of(&unshared, "connecting");
        let ended = unshared.kill_process_without_metadata("connecting", Signal::KILL, as_manual_kill, TIME);
        match (as_manual_kill, ended) {
            (true, Ok(status)) => assert_eq!(status.source(), ExitSource::ManualKillThroughSshClient, "{status}"),
            (false, Err(error)) if is_failure(&error, SshFailure::Other, LauncherFailure::Closed) => {}
            (_, other) => panic!("{other:?}"),
        }
        wait_for_death(&client);
    }
    assert!(unshared.active_process_keys().is_empty());
    assert!(manager.active_process_keys().is_empty());

    // A process that does not end in time stays in the table. It can be asked for again although its client is gone.
    let deaf = shell("trap '' HUP QUIT TERM PIPE; echo ready; while :; do sleep 0.05; done");
    let application = start_ready(&manager, "deaf", &deaf.grace(Duration::from_secs(600)));
    let late = manager.kill_process_without_metadata("deaf", Signal::KILL, true, Duration::ZERO);
    assert!(matches!(late, Err(Error::StillRunning { .. })), "{late:?}");
    wait_until("the lost link", TIME, || {
        (manager.process_state("deaf").unwrap() == ProcessState::LinkLost).then_some(())
    });
    application.signal(libc::SIGKILL).unwrap();
    let status = kill("deaf", Signal::KILL).unwrap();
    let expected = (ExitSource::ManualKillThroughSshClient, learned(137));
    assert_eq!((status.source(), status.application_code()), expected, "{status}");

    // A process that HUP of the lost link does not end gets KILL after its grace.
    let application = start_ready(&manager, "deaf", &deaf_for_a_second());
    let status = kill("deaf", Signal::QUIT).unwrap();
    assert_eq!((status.application_code(), status.signal()), (learned(137), learned(Signal::KILL)), "{status}");
    assert!(!application.is_alive());
    finish(&manager, &remote);
}

fn deaf_for_a_second() -> sshpm::BootRequest {
    shell("trap '' HUP QUIT TERM PIPE; echo ready; while :; do sleep 0.05; done").grace(Duration::from_secs(1))
}

#[test]
fn crash_process() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    let signals: [(&str, Signal); 4] = [
        ("by-name", "KILL".parse().unwrap()),
        ("by-full-name", "SIGTERM".parse().unwrap()),
        ("by-number", "11".parse().unwrap()),
        ("quit", Signal::QUIT),
    ];
    for (uuid, _) in signals {
        let script = if uuid == "quit" { OWN_CODES } else { "echo ready; while :; do sleep 0.05; done" };
        manager.start_process(uuid, &shell(script)).unwrap();
    }
    for (uuid, signal) in signals {
        manager.wait_until_started(uuid, TIME).unwrap();
        wait_until("it is ready", TIME, || stdout(&manager, uuid).contains("ready").then_some(()));
        let pid = manager.remote_pid(uuid).unwrap();
        manager.crash_process(uuid, signal).unwrap();
        let status = end_of(&manager, uuid);
        let code = if uuid == "quit" { 17 } else { 128 + signal.number() };
        assert_eq!((status.source(), status.code()), (ExitSource::RemoteMonitoring, Some(code)), "{status}");
        assert_eq!(status.signal(), (uuid != "quit").then_some(signal), "{status}");
        assert!(!status.link_lost(), "{status}");
        // As after a real crash: the process is in the table, with its pid and output.
        assert_eq!(manager.process_state(uuid).unwrap(), ProcessState::Ended);
        assert_eq!((manager.remote_pid(uuid).unwrap(), stdout(&manager, uuid).as_str()), (pid, "ready\n"));
        assert!(matches!(manager.crash_process(uuid, signal), Err(Error::NotRunning { .. })));
        wait_for_link_end(&manager, uuid);
    }
    assert_eq!(manager.active_process_keys().len(), signals.len());
    assert!(matches!(manager.crash_process("nobody", Signal::KILL), Err(Error::UnknownUuid { .. })));
    remote.assert_nothing_left();
    let events = witness.all(manager);
    assert!(events.values().all(|words| *words == ["started", "exited"]), "{events:?}");
}

#[test]
fn pop_early_exit_status() {
    let remote = Remote::start();
    let manager = manager(&remote);
    assert!(manager.pop_early_exit_status("nobody").is_none());
    // Each has its true source. The seed reports client monitoring for all of them.
    for uuid in ["itself", "crashed", "client", "killed-there"] {
        manager.start_process(uuid, &shell(OWN_CODES)).unwrap();
    }
    for uuid in ["itself", "crashed", "client", "killed-there"] {
        manager.wait_until_started(uuid, TIME).unwrap();
        wait_until("it is ready", TIME, || stdout(&manager, uuid).contains("ready").then_some(()));
        assert!(manager.pop_early_exit_status(uuid).is_none(), "{uuid} runs");
    }
    ProcessInfo::of(manager.remote_pid("itself").unwrap() as i32).unwrap().signal(libc::SIGQUIT).unwrap();
    manager.crash_process("crashed", Signal::KILL).unwrap();
    break_link(&manager, "client");
    ProcessInfo::of(manager.remote_pid("killed-there").unwrap() as i32).unwrap().signal(libc::SIGKILL).unwrap();
    for (uuid, source, code) in [
        ("itself", ExitSource::RemoteMonitoring, Some(17)),
        ("crashed", ExitSource::RemoteMonitoring, Some(137)),
        ("client", ExitSource::ClientMonitoring, None),
        ("killed-there", ExitSource::RemoteMonitoring, Some(137)),
    ] {
        end_of(&manager, uuid);
        let together = Barrier::new(16);
        let pop = || {
            together.wait();
            manager.pop_early_exit_status(uuid)
        };
        let popped: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(pop)).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(popped.len(), 1, "{uuid}: {popped:?}");
        let status = popped[0].as_ref().unwrap();
        assert_eq!((status.source(), status.code()), (source, code), "{uuid}: {status}");
        assert!(!manager.active_process_keys().contains(&uuid.to_owned()));
        assert!(matches!(manager.kill_process(uuid, TIME), Err(Error::UnknownUuid { .. })));
    }
    finish(&manager, &remote);
}

#[test]
fn get_runtime_pids() {
    let remote = Remote::start();
    let manager = manager(&remote);
    assert_eq!(manager.runtime_pids("nobody"), RuntimePids::default());
    start_ready(&manager, "u", &app(&remote, "print ready wait"));
    let pids = manager.runtime_pids("u");
    let process = |pid: Option<i64>| ProcessInfo::of(pid.unwrap() as i32).unwrap();
    let (application, wrapper) = (process(pids.remote), process(pids.remote_monitoring));
    assert_eq!(pids.ssh_client.is_some(), has_clients());
    if has_clients() {
        let client = process(pids.ssh_client);
        assert_eq!(client.ppid, std::process::id() as i32);
        match launched_by() {
            By::Ssh => assert_eq!(client.exe.as_ref().unwrap().file_name().unwrap(), "ssh"),
            By::Local | By::Command | By::Slurm => assert!(clients().contains(&client), "{:?}", client.cmdline),
        }
    }
    assert_eq!(application.cmdline[0], remote.app());
    assert_eq!(pids.remote, Some(manager.remote_pid("u").unwrap()));
    assert!(wrapper.cmdline[0].to_string_lossy().ends_with("sh"), "{:?}", wrapper.cmdline);
    // The application descends from the wrapper, and the wrapper from the remote's sshd.
    let remote_pids: Vec<_> = remote.processes().iter().map(|process| process.pid).collect();
    assert!(remote_pids.contains(&application.pid) && remote_pids.contains(&wrapper.pid), "{remote_pids:?}");
    assert_eq!(application.ppid, wrapper.pid);
    let thread = format!("/proc/self/task/{}/comm", pids.client_monitoring.unwrap());
    assert_eq!(fs::read_to_string(thread).unwrap(), "sshpm-watch\n");

    manager.crash_process("u", Signal::KILL).unwrap();
    end_of(&manager, "u");
    remote.assert_nothing_left();
    // The local pids of a process that has ended are gone.
    wait_until("the end of client and watcher", TIME, || {
        let now = manager.runtime_pids("u");
        (now == RuntimePids { ssh_client: None, client_monitoring: None, ..pids }).then_some(())
    });
    finish(&manager, &remote);
}

#[test]
fn is_monitoring_remotely() {
    let remote = Remote::start();
    let manager = manager(&remote);
    assert!(!manager.is_monitoring_remotely("nobody"));
    manager.start_process("connecting", &sshpm::BootRequest::new("silent", ["true"])).unwrap();
    assert!(!manager.is_monitoring_remotely("connecting"));
    start_ready(&manager, "runs", &shell(OWN_CODES));
    assert!(manager.is_monitoring_remotely("runs"));
    let deaf = shell("trap '' HUP PIPE; echo ready; while :; do sleep 0.05; done").grace(Duration::from_secs(600));
    let application = start_ready(&manager, "lost", &deaf);
    break_link(&manager, "lost");
    wait_until("the lost link", TIME, || {
        (manager.process_state("lost").unwrap() == ProcessState::LinkLost).then_some(())
    });
    assert!(!manager.is_monitoring_remotely("lost"));
    application.signal(libc::SIGKILL).unwrap();
    end_of(&manager, "lost");
    manager.crash_process("runs", Signal::KILL).unwrap();
    end_of(&manager, "runs");
    assert!(!manager.is_monitoring_remotely("runs"));
    finish(&manager, &remote);
}

#[test]
fn a_shutdown_order_and_a_role_of_ones_own() {
    let remote = Remote::start();
    let monitor = Role::from_name("monitor").unwrap();
    let order = [Role::InfrastructureApplications, monitor.clone(), Role::Application];
    let manager = Manager::new(options(&remote).shutdown_order(order)).unwrap();
    let events = manager.subscribe().unwrap();
    // This order is against the usual one. Roles that it does not name end last.
    let processes = [
        ("controller", Role::RootController),
        ("application", Role::from_tree_id("0.1.2", false)),
        ("monitor", monitor.clone()),
        ("server", Role::from_tree_id("1", false)),
    ];
    for (uuid, role) in &processes {
        // The order is visible only when an end takes a while.
        let script = "trap 'sleep 0.2; exit 0' QUIT; echo ready; while :; do sleep 0.05; done";
        manager.start_process(uuid, &shell(script).role(role.clone())).unwrap();
    }
    for (uuid, _) in &processes {
        manager.wait_until_started(uuid, TIME).unwrap();
        wait_until("it is ready", TIME, || stdout(&manager, uuid).contains("ready").then_some(()));
    }
    let uuids = processes.each_ref().map(|(uuid, _)| *uuid);
    // Only the processes of one role, by the name of a custom role.
    let killed = manager.kill_processes_by_role(&monitor, &uuids, &KillTimeouts::from(TIME)).unwrap();
    assert_eq!(killed.keys().collect::<Vec<_>>(), ["monitor"]);
    let killed = manager.kill_processes(&uuids[..2], &KillTimeouts::from(TIME)).unwrap();
    assert!(killed.values().all(|end| end.as_ref().unwrap().code() == Some(0)), "{killed:?}");
    assert_eq!(manager.active_process_keys(), ["server"]);
    start_ready(&manager, "monitor", &shell(OWN_CODES).role(monitor));
    let killed = manager.kill_all_processes(&KillTimeouts::from(TIME)).unwrap();
    assert_eq!(killed.len(), 2, "{killed:?}");
    remote.assert_nothing_left();
    let exited = events.try_iter().filter(|event| matches!(event.kind, sshpm::EventKind::Exited { .. }));
    let exited: Vec<_> = exited.map(|event| event.uuid).collect();
    assert_eq!(exited, ["monitor", "application", "controller", "server", "monitor"]);
}

/// Keeps all log lines of this test program.
struct Lines(Mutex<Vec<String>>);

static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }

    fn log(&self, record: &log::Record) {
        self.0.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}

#[test]
fn the_log_says_how_to_end_a_process_by_hand() {
    isolated(|| {
        log::set_logger(&LINES).unwrap();
        log::set_max_level(log::LevelFilter::Debug);
        let remote = Remote::start();
        let manager = manager(&remote);
        let user = remote.users()[0].name.clone();
        let line = |uuid: &str, text: &str| {
            let lines = LINES.0.lock().unwrap();
            lines.iter().find(|line| line.contains(uuid) && line.contains(text)).cloned()
        };
        let command = |uuid: &str, begin: &str| {
            let line = wait_until("the command", TIME, || line(uuid, begin));
            line[line.find(begin).unwrap()..].split(' ').map(str::to_owned).collect::<Vec<_>>()
        };

        let request = shell(OWN_CODES).name("readout").session("np04");
        let request = remote.request_as(&remote.users()[0], request);
        start_ready(&manager, "at-its-host", &request);
        let pid = manager.remote_pid("at-its-host").unwrap();
        let mut by_hand = if launched_by() == By::Ssh {
            let words = command("at-its-host", "ssh ");
            assert_eq!(words.join(" "), format!("ssh {user}@alpha kill -9 {pid}"));
            let mut ssh = remote.ssh(&words[1]);
            ssh.args(&words[2..]);
            ssh
        } else {
            let words = command("at-its-host", "on alpha: kill ");
            assert_eq!(words[2..], ["kill", "-9", &pid.to_string()]);
            remote.by_hand(&words[2..].join(" "))
        };
        assert!(by_hand.stdout(Stdio::null()).status().unwrap().success());
        let status = end_of(&manager, "at-its-host");
        assert_eq!((status.source(), status.code()), (ExitSource::RemoteMonitoring, Some(137)), "{status}");
        // The line about the exit says which process it was, what happened, and the code.
        wait_until("the log line about the exit", TIME, || {
            let line = line("at-its-host", status.sentence())?;
            ["readout", "np04", &user, "137"].iter().all(|word| line.contains(word)).then_some(())
        });

        // A setup line can have secrets, and so can the messages of its shell: they are in the error, and not in the
        // log.
        let setup = shell("exit 0").setup_line("echo token-4711 >&2; exit 3");
        manager.start_process("setup", &setup).unwrap();
        let error = manager.wait_until_started("setup", TIME).unwrap_err().to_string();
        assert!(
            error
                .contains("\"echo token-4711 >&2; exit 3\": setup line 1 failed with exit code 3 (stderr: token-4711)"),
            "{error}"
        );
        wait_until("the log line about the failure", TIME, || line("setup", "setup line 1 failed with exit code 3"));
        assert!(LINES.0.lock().unwrap().iter().all(|line| !line.contains("token-4711")));

        if !has_clients() {
            skipped(NO_CLIENT);
            return finish(&manager, &remote);
        }
        start_ready(&manager, "by-its-client", &shell(OWN_CODES));
        let client = client_of(&manager, "by-its-client");
        let words = command("by-its-client", "kill -9 ");
        // The first one is the command for the host.
        let words = if words.len() == 3 && words[2] == client.pid.to_string() {
            words
        } else {
            let text = format!("kill -9 {}", client.pid);
            command("by-its-client", &text)
        };
        assert!(Command::new(&words[0]).args(&words[1..]).status().unwrap().success());
        let status = end_of(&manager, "by-its-client");
        assert_eq!((status.source(), status.raw_code()), (ExitSource::ClientMonitoring, Some(-9)), "{status}");
        finish(&manager, &remote);
    });
}
