//! Shared connections that die, hang or cannot be made: what that costs the processes on them, and that it costs no
//! other process anything.

use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::life::*;
use crate::sharing::*;
use crate::support::{self, LONG, ProcessInfo, Remote, assert_same_as, isolated, local_snapshot, wait_until};
use sshpm::{Error, KillTimeouts, Manager, Options, ProcessState, Signal, StartFailure};

/// Options that give a busy machine time to log in.
fn patient(remote: &Remote) -> Options {
    options(remote).connect_timeout(LONG).lost_timeout(LONG)
}

/// Nine processes run on two connections to one host, and one on another host. The connection of the first process is
/// ended: the processes on it lose their links, and no other process is affected.
#[track_caller]
fn one_connection_dies(end: impl Fn(&Remote, &Manager, &str)) {
    let remote = Remote::start();
    let manager = Manager::new(patient(&remote)).unwrap();
    let witness = Witness::new(&manager);
    let uuids = names("p", 9);
    start_all_ready(&manager, &uuids, "alpha");
    start_all_ready(&manager, &["other-host".to_owned()], "beta");
    assert_eq!(masters(&remote).len(), 3);
    let master = master_of(&remote, &manager, "p-0");
    let (on_it, beside): (Vec<_>, Vec<_>) = uuids.iter().partition(|uuid| master_of(&remote, &manager, uuid) == master);
    assert!(on_it.len() == 8 || on_it.len() == 1, "{on_it:?}");
    end(&remote, &manager, "p-0");
    for uuid in &on_it {
        crate::sharing::assert_lost(&manager, uuid);
    }
    assert!(!masters(&remote).contains(&master), "the master has gone");
    for uuid in &beside {
        assert_eq!(manager.process_state(uuid).unwrap(), ProcessState::Running);
    }
    // They need two connections, and both work.
    let again = names("again", 8);
    start_all_ready(&manager, &again, "alpha");
    let still = beside.iter().copied().chain(&again).map(String::as_str).chain(["other-host"]);
    still.for_each(|uuid| assert_untouched(&manager, uuid));
    // Each host had one login before, and then no more than these inquiries and starts needed.
    assert!(remote.logins() <= 5, "{} logins", remote.logins());
    finish(&manager, &remote);
    let events = witness.all(manager);
    assert_eq!(events.len(), 18);
    for (uuid, words) in events {
        match on_it.contains(&&uuid) {
            true => assert_eq!(words, ["started", "lost", "exited"], "{uuid}"),
            false => assert_eq!(words, ["started", "exited"], "{uuid}"),
        }
    }
}

#[test]
fn a_master_that_is_killed_takes_only_its_own_processes() {
    isolated(|| {
        one_connection_dies(|remote, manager, uuid| {
            master_of(remote, manager, uuid).signal(libc::SIGKILL).unwrap();
        });
    });
}

#[test]
fn a_master_that_gets_term_takes_only_its_own_processes() {
    isolated(|| {
        one_connection_dies(|remote, manager, uuid| {
            master_of(remote, manager, uuid).signal(libc::SIGTERM).unwrap();
        });
    });
}

#[test]
fn an_sshd_that_is_killed_takes_only_its_own_processes() {
    isolated(|| {
        one_connection_dies(|remote, manager, uuid| {
            let sshds = sshds_of(remote, manager.remote_pid(uuid).unwrap() as i32);
            assert!(!sshds.is_empty());
            for sshd in sshds {
                // One of them can end with the other before its turn comes.
                let _ = sshd.signal(libc::SIGKILL);
            }
        });
    });
}

/// The session that keeps a connection open on its host is killed. The processes on the connection still get a known
/// end.
#[test]
fn a_connections_own_session_that_is_killed_takes_no_process_in_silence() {
    let remote = Remote::start();
    let manager = Manager::new(patient(&remote)).unwrap();
    let uuids = names("p", 2);
    start_all_ready(&manager, &uuids, "alpha");
    for process in remote.connections() {
        process.signal(libc::SIGKILL).unwrap();
    }
    // No lease runs for this connection now. It is left to the processes on it, or it has ended with them.
    start_all_ready(&manager, &names("later", 2), "alpha");
    names("later", 2).iter().for_each(|uuid| assert_untouched(&manager, uuid));
    for uuid in &uuids {
        let status = manager.kill_process(uuid, LONG).unwrap();
        assert!(!status.is_unknown(), "{uuid}: {status}");
    }
    finish(&manager, &remote);
}

/// Whatever has replaced the socket of a connection costs a start one login and nothing else.
#[test]
fn a_socket_that_is_gone_or_dead_is_not_used() {
    isolated(|| {
        let base = private_sockets();
        let remote = Remote::start();
        let before = local_snapshot();
        let manager = Manager::new(patient(&remote)).unwrap();
        type Way<'a> = (&'a str, &'a dyn Fn(&Path));
        let ways: [Way; 4] = [
            ("removed", &|socket| fs::remove_file(socket).unwrap()),
            ("a-file", &|socket| {
                fs::remove_file(socket).unwrap();
                fs::write(socket, "none").unwrap();
            }),
            ("dead", &|socket| {
                fs::remove_file(socket).unwrap();
                drop(UnixListener::bind(socket).unwrap());
            }),
            ("no-directory", &|socket| fs::remove_dir_all(socket.parent().unwrap()).unwrap()),
        ];
        for (number, (uuid, end)) in ways.into_iter().enumerate() {
            start_all_ready(&manager, &[uuid.to_owned()], "alpha");
            assert_eq!(remote.logins(), number + 1);
            end(&socket_of(&master_of(&remote, &manager, uuid)));
        }
        start_all_ready(&manager, &["last".to_owned()], "alpha");
        assert_eq!((remote.logins(), masters(&remote).len()), (5, 5));
        // The processes on the earlier connections go on.
        ways.map(|(uuid, _)| uuid).into_iter().chain(["last"]).for_each(|uuid| assert_untouched(&manager, uuid));
        finish(&manager, &remote);
        drop(manager);
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
        assert_same_as(&before);
    });
}

/// A process listens on the socket and does not answer.
#[test]
fn a_socket_that_hangs_does_not_hold_a_start_past_its_timeout() {
    isolated(|| {
        let _base = private_sockets();
        let remote = Remote::start();
        let manager = Manager::new(patient(&remote)).unwrap();
        start_all_ready(&manager, &["u".to_owned()], "alpha");
        let socket = socket_of(&master_of(&remote, &manager, "u"));
        fs::remove_file(&socket).unwrap();
        let _hangs = UnixListener::bind(&socket).unwrap();
        let reason = failure_of(&manager, "v", &codes_on("alpha").start_timeout(Duration::from_secs(1)));
        assert!(matches!(reason, StartFailure::TimedOut { .. }), "{reason:?}");
        let read = manager.read_log_file("alpha", None, "/etc/passwd", 1, Duration::from_secs(1));
        assert!(matches!(read, Err(Error::TimedOut { .. })), "{read:?}");
        start_all_ready(&manager, &["other-host".to_owned()], "beta");
        assert_untouched(&manager, "other-host");
        assert_untouched(&manager, "u");
    });
}

#[test]
fn a_master_that_stands_still_holds_up_nobody_else() {
    isolated(|| {
        let remote = Remote::start();
        let before = local_snapshot();
        let manager = Manager::new(patient(&remote).lease(Duration::from_secs(100))).unwrap();
        let witness = Witness::new(&manager);
        start_all_ready(&manager, &names("p", 2), "alpha");
        start_all_ready(&manager, &["other-host".to_owned()], "beta");
        let master = master_of(&remote, &manager, "p-0");
        master.signal(libc::SIGSTOP).unwrap();
        // These use that connection, because nobody can know yet that it hangs.
        manager.start_process("comes", &codes_on("alpha")).unwrap();
        let brief = codes_on("alpha").start_timeout(Duration::from_secs(1));
        manager.start_process("brief", &brief).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let signal = manager.send_signal("p-1", Signal::CONT);
                assert!(matches!(signal, Err(Error::TimedOut { .. })), "{signal:?}");
            });
            scope.spawn(|| {
                let read = manager.read_log_file("alpha", None, "/etc/passwd", 1, Duration::from_secs(1));
                assert!(matches!(read, Err(Error::TimedOut { .. })), "{read:?}");
            });
            let killed = manager.kill_process("p-0", Duration::from_millis(300));
            assert!(matches!(killed, Err(Error::StillRunning { .. })), "{killed:?}");
            assert!(matches!(
                reason_of(manager.wait_until_started("brief", TIME).unwrap_err()),
                StartFailure::TimedOut { .. }
            ));
            // Other hosts are not affected.
            start_all_ready(&manager, &["other-host-2".to_owned()], "beta");
            assert_untouched(&manager, "other-host-2");
        });
        // Another connection is opened when it is clear that this one does not answer.
        crate::sharing::wait_until_ready(&manager, "comes");
        let other = master_of(&remote, &manager, "comes");
        assert_ne!(other, master);
        start_all_ready(&manager, &["later".to_owned()], "alpha");
        assert_eq!(master_of(&remote, &manager, "later"), other);
        assert!(master.is_alive());
        // When the master goes on, the commands that were sent arrive.
        master.signal(libc::SIGCONT).unwrap();
        manager.wait_for_process_exit_code("p-0", LONG).unwrap();
        for uuid in ["p-1", "comes", "later", "other-host"] {
            assert_untouched(&manager, uuid);
        }
        finish(&manager, &remote);
        let events = witness.all(manager);
        assert_eq!(events["brief"], ["failed"]);
        assert_eq!(events.len(), 7);
        for (uuid, words) in events.iter().filter(|(uuid, _)| *uuid != "brief") {
            assert_eq!(*words, ["started", "exited"], "{uuid}");
        }
        assert_same_as(&before);
    });
}

#[test]
fn dropping_the_manager_does_not_wait_for_a_master_that_stands_still() {
    isolated(|| {
        let base = private_sockets();
        let remote = Remote::start();
        let before = local_snapshot();
        let manager = Manager::new(patient(&remote)).unwrap();
        start_all_ready(&manager, &names("p", 2), "alpha");
        let stopped = masters(&remote);
        stopped.iter().for_each(|master| master.signal(libc::SIGSTOP).unwrap());
        drop(manager);
        stopped.iter().for_each(wait_for_death);
        assert_same_as(&before);
        assert_only_status_files_left(&remote);
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
    });
}

/// The remote side of a connection that hears nothing from the manager ends the connection. So does a manager that
/// hears nothing from the host.
#[track_caller]
fn stands_still(options: fn(Options) -> Options, user: Option<&str>, stop: impl Fn(&Remote, &Manager)) {
    let remote = Remote::start();
    let user = match user.map(|shell| remote.user(shell)) {
        Some(None) => return support::skipped("no second user to log in as"),
        user => user.flatten(),
    };
    let manager = Manager::new(options(patient(&remote).lease(Duration::from_secs(3)))).unwrap();
    let witness = Witness::new(&manager);
    let request = match &user {
        Some(user) => codes_on("alpha").user(&user.name),
        None => codes_on("alpha"),
    };
    let uuids = names("p", 2);
    start_all(&manager, &uuids, &request);
    uuids.iter().for_each(|uuid| crate::sharing::wait_until_ready(&manager, uuid));
    stop(&remote, &manager);
    uuids.iter().for_each(|uuid| crate::sharing::assert_lost(&manager, uuid));
    start_all(&manager, &["later".to_owned()], &request);
    let events = {
        let _ = manager.kill_process("later", LONG);
        remote.assert_nothing_left();
        witness.all(manager)
    };
    for uuid in &uuids {
        assert_eq!(events[uuid], ["started", "lost", "exited"]);
    }
}

fn stop_masters(remote: &Remote, _: &Manager) {
    masters(remote).iter().for_each(|master| master.signal(libc::SIGSTOP).unwrap());
}

fn stop_clients(remote: &Remote, _: &Manager) {
    clients(remote).iter().for_each(|client| client.signal(libc::SIGSTOP).unwrap());
}

fn stop_sshds(remote: &Remote, _: &Manager) {
    remote.session_sshds().iter().for_each(|sshd| sshd.signal(libc::SIGSTOP).unwrap());
}

#[test]
fn a_master_that_stays_stopped_ends_its_processes_when_the_lease_is_over() {
    isolated(|| {
        stands_still(|options| options, None, stop_masters);
    });
}

#[test]
fn an_sshd_that_stays_stopped_ends_its_processes_when_the_lease_is_over() {
    isolated(|| {
        stands_still(|options| options, None, stop_sshds);
    });
}

/// For a user who is not root, sshd has two processes, and both are stopped.
#[test]
fn both_sshds_of_a_user_that_stay_stopped_end_its_processes_when_the_lease_is_over() {
    isolated(|| {
        stands_still(|options| options, Some("bash"), stop_sshds);
    });
}

#[test]
fn a_connection_of_ones_own_has_a_lease_as_well() {
    isolated(|| {
        stands_still(|options| options.share_connections(false), None, stop_sshds);
        stands_still(|options| options.share_connections(false), None, stop_clients);
    });
}

/// The part of a child process in the next tests. Its manager, with a lease of three seconds, is stopped, and reports
/// what it sees when it goes on.
#[test]
fn manager_to_be_stopped() {
    if !support::is_isolated("connection_faults::manager_to_be_stopped") {
        return;
    }
    let variable = |name: &str| std::env::var_os(name).unwrap();
    let note = PathBuf::from(variable("SSHPM_TEST_NOTE"));
    let tell = |text: &str| {
        let part = note.with_extension("part");
        fs::write(&part, text).unwrap();
        fs::rename(part, &note).unwrap();
    };
    let options = Options::new().ssh_config(variable("SSHPM_TEST_CONFIG")).lost_timeout(LONG);
    let options = options.ssh_client_per_process(support::has_clients());
    let options = options.lease(Duration::from_secs(3)).share_connections(variable("SSHPM_TEST_SHARE") == "1");
    let manager = Manager::new(options).unwrap();
    let witness = Witness::new(&manager);
    start_all_ready(&manager, &names("p", 2), "alpha");
    tell("running");
    names("p", 2).iter().for_each(|uuid| crate::sharing::assert_lost(&manager, uuid));
    let events = witness.all(manager);
    assert!(events.values().all(|words| *words == ["started", "lost", "exited"]), "{events:?}");
    tell("told");
}

#[track_caller]
fn a_manager_is_stopped(share: &str) {
    let remote = Remote::start();
    let note = remote.dir().join("note");
    let mut child = support::isolated_command("connection_faults::manager_to_be_stopped")
        .env("SSHPM_TEST_NOTE", &note)
        .env("SSHPM_TEST_CONFIG", remote.ssh_config())
        .env("SSHPM_TEST_SHARE", share)
        .spawn()
        .unwrap();
    let wait_for = |text: &str| {
        wait_until(text, LONG, || fs::read_to_string(&note).ok().filter(|told| told == text));
    };
    wait_for("running");
    let manager = ProcessInfo::of(child.id() as i32).unwrap();
    manager.signal(libc::SIGSTOP).unwrap();
    wait_until("the end of the applications", LONG, || remote.processes().is_empty().then_some(()));
    assert_eq!(fs::read_to_string(&note).unwrap(), "running");
    manager.signal(libc::SIGCONT).unwrap();
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
    wait_for("told");
    remote.assert_nothing_left();
}

#[test]
fn the_applications_of_a_manager_that_stands_still_end_and_it_tells_so_when_it_goes_on() {
    a_manager_is_stopped("1");
    a_manager_is_stopped("0");
}

/// A manager that ends removes the directory when it is empty. Another manager has just chosen a name in it.
#[test]
fn a_manager_that_ends_does_not_take_the_directory_from_one_that_begins() {
    isolated(|| {
        logged::keep();
        let base = private_sockets();
        let remote = Remote::start();
        let (begun, go) = (remote.dir().join("begun"), remote.dir().join("go"));
        let script = format!(
            "case \"$*\" in *ControlMaster=yes*) echo >'{}'; while [ ! -e '{}' ]; do sleep 0.05; done ;; esac\nexec ssh \"$@\"",
            begun.display(),
            go.display()
        );
        let ends = Manager::new(patient(&remote)).unwrap();
        start_all_ready(&ends, &names("p", 1), "alpha");
        let begins = Manager::new(patient(&remote).ssh_program(remote.program("own-ssh", &script))).unwrap();
        begins.start_process("u", &codes_on("alpha")).unwrap();
        wait_until("the master's start", LONG, || begun.exists().then_some(()));
        drop(ends);
        fs::write(&go, "").unwrap();
        crate::sharing::wait_until_ready(&begins, "u");
        assert!(logged::warnings().is_empty(), "{:?}", logged::warnings());
        assert_eq!((remote.logins(), masters(&remote).len()), (2, 1));
        assert_untouched(&begins, "u");
        drop(begins);
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
    });
}

/// Connects to a socket until another connection would have to wait.
fn fill(socket: &Path) -> Vec<OwnedFd> {
    let bytes = socket.as_os_str().as_bytes();
    // SAFETY: a sockaddr_un is plain data, for which zero bytes are valid.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    for (to, from) in address.sun_path.iter_mut().zip(bytes) {
        *to = *from as libc::c_char;
    }
    let length = size_of::<libc::sockaddr_un>() as libc::socklen_t;
    let mut connected = Vec::new();
    loop {
        // SAFETY: no pointers; a descriptor that was just made is owned by nobody else.
        let fd =
            unsafe { OwnedFd::from_raw_fd(libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0)) };
        // SAFETY: the address and its length are those of the local.
        if unsafe { libc::connect(fd.as_raw_fd(), (&raw const address).cast(), length) } != 0 {
            assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EAGAIN));
            return connected;
        }
        connected.push(fd);
    }
}

/// A socket whose queue is full blocks whoever connects to it. That must not hold up another manager.
#[test]
fn a_manager_ends_beside_a_master_of_another_that_hangs() {
    isolated(|| {
        let base = private_sockets();
        let remote = Remote::start();
        let hangs = Manager::new(patient(&remote).lease(Duration::from_secs(1000))).unwrap();
        start_all_ready(&hangs, &names("p", 1), "alpha");
        let master = master_of(&remote, &hangs, "p-0");
        master.signal(libc::SIGSTOP).unwrap();
        let socket = socket_of(&master);
        let waiting = fill(&socket);
        let (ended, end) = crossbeam_channel::bounded(1);
        let other = Manager::new(patient(&remote)).unwrap();
        thread::spawn(move || {
            drop(other);
            ended.send(()).unwrap();
        });
        let ended = end.recv_timeout(LONG);
        master.signal(libc::SIGCONT).unwrap();
        drop((waiting, hangs));
        assert!(ended.is_ok(), "the manager waits for a master that is not its own");
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
    });
}

/// Kills of many processes whose connection hangs wait at the same time, and not one after the other.
#[test]
fn kills_of_all_keep_their_timeouts_while_a_master_stands_still() {
    isolated(|| {
        let remote = Remote::start();
        let manager = Manager::new(patient(&remote).lease(Duration::from_secs(100))).unwrap();
        start_all_ready(&manager, &names("p", 8), "alpha");
        start_all_ready(&manager, &names("other-host", 2), "beta");
        let master = master_of(&remote, &manager, "p-0");
        master.signal(libc::SIGSTOP).unwrap();
        let mut ended = manager.kill_all_processes(&KillTimeouts::from(Duration::from_secs(1))).unwrap();
        for uuid in names("other-host", 2) {
            assert_eq!(ended.remove(&uuid).unwrap().unwrap().code(), Some(17));
        }
        assert_eq!(ended.len(), 8);
        for (uuid, end) in ended {
            assert!(matches!(end, Err(Error::StillRunning { .. })), "{uuid}: {end:?}");
        }
        master.signal(libc::SIGCONT).unwrap();
        finish(&manager, &remote);
    });
}
