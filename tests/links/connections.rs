//! Shared connections as they should be: which processes log in and which do not, what a manager learns of a host's
//! limits, and when a connection is closed. Logins are counted in sshd's log.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::life::*;
use crate::sharing::*;
use crate::support::{self, LONG, Remote, assert_same_as, isolated, local_snapshot, wait_until};
use sshpm::{BootRequest, Manager, Signal};

/// Returns a manager that gives a busy machine time to log in.
fn patient_manager(remote: &Remote) -> Manager {
    Manager::new(options(remote).connect_timeout(LONG)).unwrap()
}

#[test]
fn starts_at_once_log_in_once_for_every_eight() {
    let remote = Remote::start();
    let mut before = 0;
    for (count, logins) in [(1, 1), (8, 1), (9, 2), (17, 3)] {
        let manager = patient_manager(&remote);
        start_all(&manager, &names("p", count), &app(&remote, "wait"));
        assert_eq!(remote.logins() - before, logins, "{count} processes");
        before = remote.logins();
        finish(&manager, &remote);
    }
}

#[test]
fn a_start_on_an_open_connection_logs_in_only_where_no_seat_is_free() {
    let remote = Remote::start();
    let manager = patient_manager(&remote);
    start_all_ready(&manager, &names("p", 7), "alpha");
    assert_eq!(remote.logins(), 1);
    start_all_ready(&manager, &["eighth".to_owned()], "alpha");
    assert_eq!(remote.logins(), 1);
    // A process that has ended frees its seat, however it ended. It does so when its link ends, which is after the
    // application.
    manager.crash_process("p-3", Signal::KILL).unwrap();
    wait_for_link_end(&manager, "p-3");
    start_all_ready(&manager, &["after-a-crash".to_owned()], "alpha");
    break_link(&manager, "p-4");
    crate::sharing::assert_lost(&manager, "p-4");
    start_all_ready(&manager, &["after-a-loss".to_owned()], "alpha");
    assert_eq!(remote.logins(), 1);
    start_all_ready(&manager, &["ninth".to_owned()], "alpha");
    assert_eq!((remote.logins(), masters(&remote).len()), (2, 2));
    finish(&manager, &remote);
}

#[test]
fn a_connection_closes_after_its_last_process_and_a_later_start_opens_another() {
    let remote = Remote::start();
    let manager = patient_manager(&remote);
    for logins in 1..=2 {
        start_all_ready(&manager, &names("p", 2), "alpha");
        assert_eq!(remote.logins(), logins);
        let master = master_of(&remote, &manager, "p-0");
        let socket = socket_of(&master);
        assert!(socket.exists());
        // The connection stays as long as a process is left.
        assert_untouched(&manager, "p-0");
        start_all_ready(&manager, &["another".to_owned()], "alpha");
        assert_eq!(remote.logins(), logins);
        assert_untouched(&manager, "p-1");
        assert_untouched(&manager, "another");
        wait_for_death(&master);
        wait_until_closed(&remote);
        assert!(remote.connections().is_empty(), "{:?}", remote.connections());
        assert!(!socket.exists());
    }
    finish(&manager, &remote);
}

#[test]
fn other_users_and_other_hosts_have_connections_of_their_own() {
    let remote = Remote::start();
    let Some(user) = remote.user("bash").or_else(|| remote.user("dash")) else {
        return support::skipped("no second user to log in as");
    };
    let manager = patient_manager(&remote);
    for number in 0..2 {
        for (at, request) in
            [app(&remote, "wait"), app(&remote, "wait").user(&user.name), remote.request("beta", "wait")]
                .into_iter()
                .enumerate()
        {
            start_all(&manager, &[format!("p-{number}-{at}")], &request);
        }
        assert_eq!((remote.logins(), masters(&remote).len()), (3, 3));
    }
    finish(&manager, &remote);
}

#[test]
fn two_hundred_at_once_are_all_there_after_twenty_five_logins() {
    isolated(|| {
        // These are sshd's defaults: MaxStartups 10:30:100, MaxSessions 10.
        let remote = Remote::start();
        let before = local_snapshot();
        let manager = patient_manager(&remote);
        let witness = Witness::new(&manager);
        let uuids = names("p", 200);
        let script = |number: usize| {
            format!("trap 'kill $!; exit {}' QUIT; sleep 10000 & echo ready {number}; wait", number % 100 + 1)
        };
        for (number, uuid) in uuids.iter().enumerate() {
            manager.start_process(uuid, &shell(&script(number)).start_timeout(LONG)).unwrap();
        }
        for (number, uuid) in uuids.iter().enumerate() {
            manager.wait_until_started(uuid, LONG).unwrap_or_else(|error| panic!("{uuid}: {error}"));
            crate::sharing::wait_until_ready(&manager, uuid);
            assert_eq!(stdout(&manager, uuid), format!("ready {number}\n"));
        }
        assert_eq!((remote.logins(), refusals(&remote), drops(&remote)), (25, 0, 0));
        let expected = if support::has_clients() { 200 } else { 0 };
        assert_eq!((masters(&remote).len(), clients(&remote).len()), (25, expected));
        let mut ended = manager.kill_all_processes(&LONG.into()).unwrap();
        for (number, uuid) in uuids.iter().enumerate() {
            let status = ended.remove(uuid).unwrap().unwrap();
            assert_eq!(status.code(), Some(number as i32 % 100 + 1), "{uuid}: {status}");
        }
        remote.assert_nothing_left();
        let events = witness.all(manager);
        assert_eq!(events.len(), 200);
        assert!(events.values().all(|words| *words == ["started", "exited"]), "{events:?}");
        assert_same_as(&before);
    });
}

/// Starts two batches of six on a host with few sessions for each connection; all run. Returns for each batch how often
/// sshd refused a session, and how many logins there were.
#[track_caller]
fn two_batches(max_sessions: usize) -> [(usize, usize); 2] {
    let remote = Remote::builder().sshd_option(&format!("MaxSessions {max_sessions}")).start();
    let manager = patient_manager(&remote);
    let witness = Witness::new(&manager);
    let counts = ["first", "second"].map(|batch| {
        let (refused, logins) = (refusals(&remote), remote.logins());
        let uuids = names(batch, 6);
        start_all_ready(&manager, &uuids, "alpha");
        let counts = (refusals(&remote) - refused, remote.logins() - logins);
        uuids.iter().for_each(|uuid| assert_untouched(&manager, uuid));
        // The next batch finds no connection open. So its counts show what was learned.
        wait_until_closed(&remote);
        remote.assert_nothing_left();
        counts
    });
    let events = witness.all(manager);
    assert_eq!(events.len(), 12);
    assert!(events.values().all(|words| *words == ["started", "exited"]), "{events:?}");
    counts
}

#[test]
fn with_one_session_for_each_connection_all_log_in_by_themselves() {
    let [(refused, _), second] = two_batches(1);
    assert!(refused > 0);
    assert_eq!(second, (0, 6));
}

#[test]
fn with_two_sessions_for_each_connection_all_log_in_by_themselves() {
    let [(refused, _), second] = two_batches(2);
    assert!(refused > 0);
    assert_eq!(second, (0, 6));
}

#[test]
fn with_three_sessions_each_connection_has_one_process_and_room_for_a_short_script() {
    let [(refused, _), second] = two_batches(3);
    assert!(refused > 0);
    assert_eq!(second, (0, 6));
}

#[test]
fn with_five_sessions_each_connection_has_three_processes() {
    let [(refused, logins), second] = two_batches(5);
    assert!(refused > 0 && logins <= 3, "{refused} refused, {logins} logins");
    assert_eq!(second, (0, 2));
}

#[test]
fn what_a_host_allows_is_its_own() {
    let remote = Remote::builder()
        .sshd_option("MaxSessions 10\nMatch LocalAddress 127.0.0.1\nMaxSessions 1\nMatch LocalAddress 127.0.0.2\nMaxSessions 10\nMatch all")
        .start();
    let manager = patient_manager(&remote);
    start_all(&manager, &names("alpha", 3), &app(&remote, "wait"));
    let before = remote.logins();
    start_all(&manager, &names("beta", 8), &remote.request("beta", "wait"));
    assert_eq!(remote.logins() - before, 1);
    finish(&manager, &remote);
}

#[test]
fn an_sshd_that_takes_one_login_at_a_time_is_learned() {
    let remote = Remote::builder().sshd_option("MaxStartups 1:100:1").start();
    let manager = patient_manager(&remote);
    let witness = Witness::new(&manager);
    start_all_ready(&manager, &names("first", 24), "alpha");
    assert_eq!(remote.logins(), 3);
    // Three logins at a time were too many.
    let dropped = drops(&remote);
    assert!(dropped > 0);
    start_all_ready(&manager, &names("second", 24), "alpha");
    assert_eq!((remote.logins(), drops(&remote)), (6, dropped));
    finish(&manager, &remote);
    let events = witness.all(manager);
    assert_eq!(events.len(), 48);
    assert!(events.values().all(|words| *words == ["started", "exited"]), "{events:?}");
}

/// Short scripts run one after the other and all at once, beside as many processes as a connection carries.
#[test]
fn short_scripts_go_over_an_open_connection() {
    let remote = Remote::start();
    let manager = patient_manager(&remote);
    start_all_ready(&manager, &names("p", 8), "alpha");
    assert_eq!(remote.logins(), 1);
    let file = remote.scratch().join("log");
    fs::write(remote.local(&file), "one\ntwo\n").unwrap();
    for _ in 0..30 {
        manager.validate_host_connection("alpha", None, None).unwrap();
        assert_eq!(manager.read_log_file("alpha", None, &file, 1, LONG).unwrap(), b"two\n");
    }
    // sshd may refuse a script because it has not noticed the end of the one before. Then it is asked again, which
    // costs no login.
    assert_eq!(remote.logins(), 1);
    thread::scope(|scope| {
        for number in 0..20 {
            let (manager, file) = (&manager, &file);
            scope.spawn(move || match number % 2 {
                0 => drop(manager.validate_host_connection("alpha", None, None).unwrap()),
                _ => assert_eq!(manager.read_log_file("alpha", None, file, 1, LONG).unwrap(), b"two\n"),
            });
        }
    });
    names("p", 8).iter().for_each(|uuid| assert_untouched(&manager, uuid));
    finish(&manager, &remote);
}

#[test]
fn a_named_way_to_log_in_is_tried_and_not_taken_from_an_open_connection() {
    let remote = Remote::start();
    let manager = patient_manager(&remote);
    start_all_ready(&manager, &names("p", 1), "alpha");
    manager.validate_host_connection("alpha", None, Some("publickey")).unwrap();
    assert_eq!(remote.logins(), 2);
    manager.validate_host_connection("alpha", None, Some("gssapi-with-mic")).unwrap_err();
    finish(&manager, &remote);
}

#[test]
fn a_hundred_starts_and_kills_use_one_connection() {
    isolated(|| {
        let remote = Remote::start();
        let before = local_snapshot();
        let manager = patient_manager(&remote);
        for round in 0..100 {
            start_all(&manager, &["u".to_owned()], &app(&remote, "wait"));
            match round % 3 {
                // Killed by the remote pid, by the client, and with no time in between.
                0 => drop(manager.kill_process("u", LONG).unwrap()),
                1 => drop(manager.kill_process_without_metadata("u", Signal::KILL, true, LONG).unwrap()),
                _ => {
                    manager.kill_process("u", LONG).unwrap();
                    manager.start_process("u", &app(&remote, "wait")).unwrap();
                    let _ = manager.kill_process("u", LONG);
                }
            }
        }
        assert_eq!((remote.logins(), masters(&remote).len()), (1, 1));
        remote.assert_nothing_left();
        drop(manager);
        assert_same_as(&before);
    });
}

/// No start waits for the connection any more: it is given up, and the next start opens one.
#[test]
fn starts_that_are_cancelled_leave_no_connection() {
    isolated(|| {
        let remote = Remote::start();
        let before = local_snapshot();
        let manager = patient_manager(&remote);
        for host in ["alpha", "silent"] {
            for _ in 0..20 {
                let uuids = names(host, 10);
                for uuid in &uuids {
                    manager.start_process(uuid, &remote.request(host, "wait")).unwrap();
                }
                for (uuid, end) in manager.kill_all_processes(&LONG.into()).unwrap() {
                    assert!(end.is_ok(), "{uuid}: {end:?}");
                }
            }
        }
        wait_until_closed(&remote);
        start_all_ready(&manager, &names("p", 8), "alpha");
        assert_eq!(masters(&remote).len(), 1);
        finish(&manager, &remote);
        drop(manager);
        assert_same_as(&before);
    });
}

#[test]
fn dropping_the_manager_removes_its_masters_and_their_sockets() {
    isolated(|| {
        let base = private_sockets();
        let remote = Remote::start();
        let before = local_snapshot();
        let manager = patient_manager(&remote);
        start_all(&manager, &names("p", 9), &app(&remote, "wait"));
        manager.start_process("silent", &BootRequest::new("silent", ["true"])).unwrap();
        let masters = masters(&remote);
        assert_eq!(sockets_in(base.path()).len(), 2);
        drop(manager);
        masters.iter().for_each(wait_for_death);
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0, "the directory has gone too");
        assert_same_as(&before);
        wait_until_closed(&remote);
        remote.assert_nothing_left();
    });
}

#[test]
fn two_managers_of_one_program_do_not_share_and_do_not_disturb_each_other() {
    isolated(|| {
        let base = private_sockets();
        let remote = Remote::start();
        let before = local_snapshot();
        let (one, other) = (patient_manager(&remote), patient_manager(&remote));
        start_all_ready(&one, &names("one", 2), "alpha");
        start_all_ready(&other, &names("other", 2), "alpha");
        assert_eq!((remote.logins(), sockets_in(base.path()).len()), (2, 2));
        drop(one);
        assert_eq!(sockets_in(base.path()), [socket_of(&master_of(&remote, &other, "other-0"))]);
        start_all_ready(&other, &names("more", 2), "alpha");
        assert_eq!(remote.logins(), 2);
        names("other", 2).iter().chain(&names("more", 2)).for_each(|uuid| assert_untouched(&other, uuid));
        drop(other);
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
        assert_same_as(&before);
    });
}

#[test]
fn a_fork_of_the_host_leaves_the_connections_alone() {
    isolated(|| {
        let base = private_sockets();
        let remote = Remote::start();
        let before = local_snapshot();
        let manager = patient_manager(&remote);
        let witness = Witness::new(&manager);
        let uuids = names("p", 9);
        start_all_ready(&manager, &uuids, "alpha");
        let sockets = sockets_in(base.path());
        for drops in [true, false] {
            // SAFETY: the child drops the manager, which must be safe after a fork, or does nothing, and ends.
            match unsafe { libc::fork() } {
                0 => {
                    if drops {
                        drop(manager);
                    }
                    // SAFETY: ends the child, without what std or the test runner would do at an exit.
                    unsafe { libc::_exit(7) }
                }
                child => {
                    let mut status = 0;
                    wait_until("the fork's end", TIME, || {
                        // SAFETY: the status is ours.
                        (unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } != 0).then_some(())
                    });
                    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7, "wait status {status:#x}");
                }
            }
        }
        assert_eq!(sockets_in(base.path()), sockets);
        for uuid in &uuids {
            manager.send_signal(uuid, Signal::CONT).unwrap();
        }
        start_all_ready(&manager, &names("later", 7), "alpha");
        assert_eq!((remote.logins(), masters(&remote).len()), (2, 2));
        uuids.iter().chain(&names("later", 7)).for_each(|uuid| assert_untouched(&manager, uuid));
        finish(&manager, &remote);
        let events = witness.all(manager);
        assert!(events.values().all(|words| *words == ["started", "exited"]), "{events:?}");
        assert_same_as(&before);
    });
}

#[test]
fn without_sharing_each_process_logs_in() {
    let remote = Remote::start();
    let manager = Manager::new(options(&remote).connect_timeout(LONG).share_connections(false)).unwrap();
    start_all_ready(&manager, &names("p", 3), "alpha");
    assert_eq!((remote.logins(), masters(&remote).len()), (3, 0));
    manager.validate_host_connection("alpha", None, None).unwrap();
    assert_eq!(remote.logins(), 4);
    names("p", 3).iter().for_each(|uuid| assert_untouched(&manager, uuid));
    finish(&manager, &remote);
}

/// ssh_config's options for sharing are for the user's own logins. None of them may take effect here, or no process
/// would end.
#[test]
fn what_ssh_config_says_of_sharing_does_not_hold() {
    isolated(|| {
        let base = private_sockets();
        let remote = Remote::start();
        let own = remote.dir().join("own_config");
        let path = base.path().join("users-%C");
        let text = fs::read_to_string(remote.ssh_config()).unwrap();
        fs::write(
            &own,
            format!(
                "ControlMaster auto\nControlPath {}\nControlPersist yes\nRemoteCommand false\n{text}",
                path.display()
            ),
        )
        .unwrap();
        for share in [true, false] {
            let options = options(&remote).ssh_config(&own).connect_timeout(LONG).share_connections(share);
            let manager = Manager::new(options.ssh_option("ControlPersist=yes")).unwrap();
            start_all_ready(&manager, &names("p", 2), "alpha");
            names("p", 2).iter().for_each(|uuid| assert_untouched(&manager, uuid));
            drop(manager);
            assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
            wait_until("the connections close", TIME, || remote.session_sshds().is_empty().then_some(()));
        }
        assert_eq!(remote.logins(), 3);
    });
}

#[test]
fn a_connection_that_is_opened_for_many_is_not_waited_for_beyond_the_timeout_of_each() {
    let remote = Remote::start();
    let manager = patient_manager(&remote);
    let uuids = names("p", 10);
    for uuid in &uuids {
        let request = BootRequest::new("silent", ["true"]).start_timeout(Duration::from_secs(1));
        manager.start_process(uuid, &request).unwrap();
    }
    for uuid in &uuids {
        let error = manager.wait_until_started(uuid, TIME).unwrap_err();
        assert!(matches!(reason_of(error), sshpm::StartFailure::TimedOut { .. }));
    }
    wait_until("the masters end", TIME, || masters(&remote).is_empty().then_some(()));
}
