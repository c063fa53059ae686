//! Sessions on shared connections that the manager requests from the master, without ssh clients of their own.

use std::thread;
use std::time::Duration;

use crate::life::*;
use crate::sharing::*;
use crate::support::{LONG, LocalState, Remote, assert_same_as, isolated, local_snapshot, ssh_children};
use sshpm::{Error, EventKind, ExitSource, LinkLossPolicy, Manager, Options, RuntimePids, Signal, StartFailure};

fn without_clients(remote: &Remote) -> Options {
    // A busy machine needs time to log in.
    options(remote).ssh_client_per_process(false).connect_timeout(LONG).lost_timeout(LONG)
}

/// Returns the lines of `seq` with these numbers.
fn seq(from: usize, to: usize) -> String {
    (from..=to).map(|number| format!("{number}\n")).collect()
}

#[test]
fn the_master_is_the_only_ssh_and_all_output_arrives() {
    isolated(|| {
        let remote = Remote::start();
        let before = local_snapshot();
        let manager = Manager::new(without_clients(&remote).output_limit(4 << 20)).unwrap();
        let uuids = names("p", 6);
        start_all_ready(&manager, &uuids, "alpha");
        start(&manager, "writes", &shell("seq 180000; seq 200001 380000 >&2; exit 7"));
        assert_eq!(end_of(&manager, "writes").code(), Some(7));
        for (output, expected) in [
            (manager.process_stdout("writes"), seq(1, 180_000)),
            (manager.process_stderr("writes"), seq(200_001, 380_000)),
        ] {
            assert!(expected.len() > 1_000_000);
            assert!(output.unwrap().bytes == expected.as_bytes(), "what has arrived is not what was written");
        }
        assert_eq!(ssh_children(), masters(&remote));
        assert_eq!((ssh_children().len(), remote.logins()), (1, 1));
        for uuid in &uuids {
            let pids = manager.runtime_pids(uuid);
            let RuntimePids { ssh_client, client_monitoring, remote: application, remote_monitoring } = pids;
            assert_eq!(ssh_client, None, "{uuid}");
            assert!(client_monitoring.is_some() && application.is_some() && remote_monitoring.is_some(), "{pids:?}");
            assert_untouched(&manager, uuid);
        }
        finish(&manager, &remote);
        drop(manager);
        assert_same_as(&before);
    });
}

/// The session cannot be signalled, only closed. That counts as KILL of the client that it does not have.
#[test]
fn kill_process_without_metadata_closes_the_session() {
    let remote = Remote::start();
    let manager = Manager::new(without_clients(&remote)).unwrap();
    let witness = Witness::new(&manager);
    start_all_ready(&manager, &["beside".to_owned()], "alpha");
    for (uuid, signal, as_manual_kill) in [
        ("kill-manual", Signal::KILL, true),
        ("quit-manual", Signal::QUIT, true),
        ("kill-other", Signal::KILL, false),
        ("quit-other", Signal::QUIT, false),
    ] {
        let application = start_ready(&manager, uuid, &shell(OWN_CODES));
        let status = manager.kill_process_without_metadata(uuid, signal, as_manual_kill, TIME).unwrap();
        assert!(!application.is_alive(), "{uuid}");
        let (source, sentence) = match as_manual_kill {
            true => {
                (ExitSource::ManualKillThroughSshClient, "ended by the manager with SIGKILL through the ssh client")
            }
            false => (ExitSource::ClientMonitoring, "ended unexpectedly by SIGKILL to the ssh client"),
        };
        assert_eq!((status.source(), status.sentence()), (source, sentence), "{uuid}: {status}");
        assert_eq!((status.raw_code(), status.code()), (Some(-9), None), "{uuid}: {status}");
        assert_eq!((status.application_code(), status.link_lost()), (Some(42), true), "{uuid}: {status}");
        assert!(matches!(manager.process_state(uuid), Err(Error::UnknownUuid { .. })), "{uuid}");
    }
    assert_untouched(&manager, "beside");
    assert_eq!(remote.logins(), 1);
    remote.assert_nothing_left();
    let mut events = witness.all(manager);
    assert_eq!(events.remove("beside").unwrap(), ["started", "exited"]);
    assert!(events.len() == 4 && events.values().all(|words| *words == ["started", "lost", "exited"]), "{events:?}");
}

/// Of four sessions, two are left for processes: one is the connection's own, and one is for a short script.
#[test]
fn refusals_tell_how_many_sessions_a_host_allows() {
    let remote = Remote::builder().sshd_option("MaxSessions 4").start();
    let manager = Manager::new(without_clients(&remote)).unwrap();
    let witness = Witness::new(&manager);
    let [first, second] = ["first", "second"].map(|batch| {
        let (refused, logins) = (refusals(&remote), remote.logins());
        let uuids = names(batch, 10);
        start_all_ready(&manager, &uuids, "alpha");
        assert_eq!(clients(&remote), []);
        let counts = (refusals(&remote) - refused, remote.logins() - logins);
        uuids.iter().for_each(|uuid| assert_untouched(&manager, uuid));
        wait_until_closed(&remote);
        remote.assert_nothing_left();
        counts
    });
    assert!(first.0 > 0, "{first:?}");
    assert_eq!(second, (0, 5));
    let events = witness.all(manager);
    assert_eq!(events.len(), 20);
    assert!(events.values().all(|words| *words == ["started", "exited"]), "{events:?}");
}

#[test]
fn a_master_that_is_killed_takes_the_links_and_no_end() {
    isolated(|| {
        let remote = Remote::start();
        let manager = Manager::new(without_clients(&remote)).unwrap();
        let events = manager.subscribe().unwrap();
        let uuids = names("p", 3);
        start_all_ready(&manager, &uuids, "alpha");
        let kept = start_ready(&manager, "kept", &codes_on("alpha").link_loss(LinkLossPolicy::Keep));
        let master = master_of(&remote, &manager, "kept");
        master.signal(libc::SIGKILL).unwrap();
        uuids.iter().for_each(|uuid| crate::sharing::assert_lost(&manager, uuid));
        let is_back = |event: &sshpm::Event| event.uuid == "kept" && matches!(event.kind, EventKind::LinkRestored);
        while !is_back(&events.recv_timeout(TIME).expect("the link is restored")) {}
        assert!(kept.is_alive());
        assert!(!masters(&remote).contains(&master));
        assert_eq!((masters(&remote).len(), clients(&remote)), (1, vec![]));
        let status = manager.kill_process("kept", TIME).unwrap();
        assert_eq!((status.source(), status.code()), (ExitSource::ManualKillThroughRemotePid, Some(17)), "{status}");
        finish(&manager, &remote);
    });
}

/// A client takes the place of the session that the master did not greet. So the connection that hangs is found as if
/// there had been clients, and the next connection needs none.
#[test]
fn a_master_that_does_not_greet_holds_up_no_start_and_is_warned_of_once() {
    isolated(|| {
        logged::keep();
        let remote = Remote::start();
        // The lease must not end before the master goes on.
        let manager = Manager::new(without_clients(&remote).lease(Duration::from_secs(100))).unwrap();
        start_all_ready(&manager, &names("p", 2), "alpha");
        let master = master_of(&remote, &manager, "p-0");
        master.signal(libc::SIGSTOP).unwrap();
        let later = names("later", 2);
        start_all_ready(&manager, &later, "alpha");
        for uuid in &later {
            assert_ne!(master_of(&remote, &manager, uuid), master, "{uuid}");
            assert_eq!(manager.runtime_pids(uuid).ssh_client, None, "{uuid}");
        }
        let warnings = logged::warnings();
        let of_it =
            warnings.iter().filter(|line| line.contains("cannot be requested") && line.ends_with("it does not answer"));
        assert_eq!(of_it.count(), 1, "{warnings:?}");
        master.signal(libc::SIGCONT).unwrap();
        names("p", 2).iter().chain(&later).for_each(|uuid| assert_untouched(&manager, uuid));
        finish(&manager, &remote);
    });
}

#[test]
fn a_process_takes_three_descriptors() {
    isolated(|| {
        let remote = Remote::start();
        let manager = Manager::new(without_clients(&remote)).unwrap();
        start_all_ready(&manager, &["first".to_owned()], "alpha");
        let before = local_snapshot();
        let uuids = names("p", 7);
        start_all_ready(&manager, &uuids, "alpha");
        let LocalState { fds, children, .. } = local_snapshot();
        assert_eq!(children, before.children, "all are on the connection that was open");
        assert!(fds.len() <= before.fds.len() + 3 * uuids.len(), "before: {:#?}\nnow: {fds:#?}", before.fds);
        uuids.iter().for_each(|uuid| assert_untouched(&manager, uuid));
        assert_same_as(&before);
        finish(&manager, &remote);
    });
}

/// A program that has closed its stdin would read what a host writes, and one without stdout would write to the master.
#[test]
fn nothing_of_a_session_takes_the_number_of_a_standard_stream() {
    isolated(|| {
        let remote = Remote::start();
        let manager = Manager::new(without_clients(&remote)).unwrap();
        start_all_ready(&manager, &["first".to_owned()], "alpha");
        // SAFETY: nobody in this process reads stdin.
        unsafe { libc::close(libc::STDIN_FILENO) };
        start_all_ready(&manager, &["second".to_owned()], "alpha");
        let stdin = std::fs::read_link("/proc/self/fd/0").unwrap_or_default();
        let stdin = stdin.to_string_lossy();
        assert!(!stdin.starts_with("socket:") && !stdin.starts_with("pipe:"), "{stdin}");
        ["first", "second"].iter().for_each(|uuid| assert_untouched(&manager, uuid));
        finish(&manager, &remote);
    });
}

#[test]
fn a_kill_at_any_moment_of_a_start_leaves_nothing() {
    isolated(|| {
        let remote = Remote::start();
        let before = local_snapshot();
        let manager = Manager::new(without_clients(&remote)).unwrap();
        let witness = Witness::new(&manager);
        start_all_ready(&manager, &["open".to_owned()], "alpha");
        let uuids = names("p", 30);
        for (at, uuid) in uuids.iter().enumerate() {
            manager.start_process(uuid, &shell(OWN_CODES)).unwrap();
            // Not to wait for anything: to come at another moment each time.
            thread::sleep(Duration::from_millis(at as u64));
            if at % 2 == 0 {
                manager.kill_process(uuid, TIME).unwrap();
                continue;
            }
            match manager.kill_process_without_metadata(uuid, Signal::KILL, true, TIME) {
                Ok(status) => assert_eq!(status.source(), ExitSource::ManualKillThroughSshClient, "{uuid}: {status}"),
                // Its link was lost between its wrapper's start and its application's.
                Err(error) => assert_eq!(reason_of(error), StartFailure::LinkLost, "{uuid}"),
            }
        }
        assert_eq!(remote.logins(), 1);
        assert_untouched(&manager, "open");
        assert_only_status_files_left(&remote);
        let events = witness.all(manager);
        assert_eq!(events.len(), uuids.len() + 1);
        for (uuid, words) in events {
            assert!(matches!(words.last(), Some(&("exited" | "failed"))), "{uuid}: {words:?}");
        }
        assert_same_as(&before);
    });
}

#[test]
fn a_manager_that_goes_leaves_nothing_on_either_side() {
    isolated(|| {
        let remote = Remote::start();
        let before = local_snapshot();
        for detaches in [true, false] {
            let manager = Manager::new(without_clients(&remote)).unwrap();
            let witness = Witness::new(&manager);
            let uuids = names("p", 9);
            start_all_ready(&manager, &uuids, "alpha");
            if detaches {
                manager.detach().unwrap();
            }
            let events = witness.all(manager);
            assert!(uuids.iter().all(|uuid| events[uuid] == ["started", "exited"]), "{events:?}");
            remote.assert_nothing_left();
            wait_until_closed(&remote);
            assert_same_as(&before);
        }
    });
}
