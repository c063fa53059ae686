//! Many processes and many hosts in one manager, and what happens when this program's limits are reached.

use std::fs;
use std::time::Duration;

use crate::life::*;
use crate::sharing::*;
use crate::support::{
    LONG, Remote, assert_same_as, isolated, isolated_within, local_snapshot, ssh_children, wait_until,
};
use sshpm::{BootRequest, Error, Manager, Options, ProcessState};

/// Longer than a thousand starts take, even on a machine that is busy with other things.
const VERY_LONG: Duration = Duration::from_secs(600);

/// Returns options with a config in which `good` aliases are the remote, and `silent` ones accept connections and never
/// send a byte.
fn aliases(remote: &Remote, good: usize, silent: usize) -> Options {
    let text = fs::read_to_string(remote.ssh_config()).unwrap();
    let listener = text.split("Host silent\n HostName 127.0.0.1\n Port ").nth(1).unwrap();
    let port = listener.lines().next().unwrap();
    // Of each option, ssh uses the first value.
    let mut config = String::new();
    for number in 0..good {
        config += &format!("Host good-{number}\n HostName 127.0.0.{}\n", number % 3 + 1);
    }
    for number in 0..silent {
        config += &format!("Host silent-{number}\n HostName 127.0.0.1\n Port {port}\n");
    }
    let file = remote.dir().join("aliases");
    fs::write(&file, config + &text).unwrap();
    Options::new().ssh_config(file).connect_timeout(LONG)
}

/// Starts one process for each of so many hosts, the silent ones first. The others run while these are still
/// connecting.
#[track_caller]
fn silent_ones_hold_up_nobody(good: usize, silent: usize) {
    // The hosts are one sshd, and not fifty.
    let remote = Remote::builder().sshd_option("MaxStartups 500").start();
    let before = local_snapshot();
    let manager = Manager::new(aliases(&remote, good, silent)).unwrap();
    let (goods, silents) = (names("good", good), names("silent", silent));
    for host in silents.iter().chain(&goods) {
        let request = BootRequest::new(host, [remote.app().into_os_string(), "wait".into()]);
        manager.start_process(host, &request.start_timeout(VERY_LONG)).unwrap();
    }
    for uuid in &goods {
        manager.wait_until_started(uuid, LONG).unwrap_or_else(|error| panic!("{uuid}: {error}"));
    }
    // None of the silent ones had given up by then.
    for uuid in &silents {
        assert_eq!(manager.process_state(uuid).unwrap(), ProcessState::Connecting, "{uuid}");
    }
    assert_eq!(remote.logins(), good);
    for (uuid, end) in manager.kill_all_processes(&LONG.into()).unwrap() {
        assert!(end.is_ok(), "{uuid}: {end:?}");
    }
    remote.assert_nothing_left();
    drop(manager);
    assert_same_as(&before);
}

#[test]
fn forty_hosts_are_up_while_ten_others_do_not_answer() {
    isolated(|| silent_ones_hold_up_nobody(40, 10));
}

/// More than connect at the same time.
#[test]
fn hosts_are_up_while_eighty_others_do_not_answer() {
    isolated(|| silent_ones_hold_up_nobody(5, 80));
}

/// Returns the limit of open files of this process.
fn set_open_files(limit: libc::rlim_t) {
    // SAFETY: both calls get a pointer to the local.
    unsafe {
        let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limits), 0);
        limits.rlim_cur = limit.min(limits.rlim_max);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limits), 0);
    }
}

fn open_files() -> usize {
    local_snapshot().fds.len()
}

#[test]
fn a_thousand_processes_are_started_watched_and_ended() {
    isolated_within(VERY_LONG, || {
        set_open_files(8192);
        let remote = Remote::builder().sshd_option("MaxStartups 1000").sshd_option("MaxSessions 100").start();
        let before = local_snapshot();
        let manager = Manager::new(options(&remote).connect_timeout(VERY_LONG)).unwrap();
        let witness = Witness::new(&manager);
        let uuids = names("p", 1000);
        for uuid in &uuids {
            manager.start_process(uuid, &app(&remote, "wait").start_timeout(VERY_LONG)).unwrap();
        }
        for uuid in &uuids {
            manager.wait_until_started(uuid, VERY_LONG).unwrap_or_else(|error| panic!("{uuid}: {error}"));
        }
        assert_eq!(remote.logins(), 125);
        // Three for each process and each connection.
        let used = open_files() - before.fds.len();
        assert!(used <= 3 * (1000 + 125) + 8, "{used} descriptors");
        // When one dies, one exit is reported, of that one.
        manager.crash_process("p-500", sshpm::Signal::KILL).unwrap();
        assert_eq!(end_of(&manager, "p-500").code(), Some(137));
        assert_eq!(uuids.iter().filter(|uuid| manager.is_process_alive(uuid)).count(), 999);
        let ended = manager.kill_all_processes(&VERY_LONG.into()).unwrap();
        assert_eq!(ended.len(), 1000);
        for (uuid, end) in ended {
            let code = end.unwrap_or_else(|error| panic!("{uuid}: {error}")).code();
            assert_eq!(code, Some(if uuid == "p-500" { 137 } else { 131 }), "{uuid}");
        }
        wait_until("the end of all processes on the remote", LONG, || remote.processes().is_empty().then_some(()));
        remote.assert_nothing_left();
        let events = witness.all(manager);
        assert_eq!(events.len(), 1000);
        assert!(events.values().all(|words| *words == ["started", "exited"]), "{events:?}");
        assert_same_as(&before);
    });
}

/// The manager raises the limit if it may, and its children keep the former one.
#[test]
fn a_manager_that_may_raise_the_limit_starts_more_than_it_allows() {
    isolated(|| {
        let remote = Remote::start();
        set_open_files(64);
        let manager = Manager::new(options(&remote).connect_timeout(LONG).raise_descriptor_limit(true)).unwrap();
        let uuids = names("p", 30);
        start_all_ready(&manager, &uuids, "alpha");
        assert!(open_files() > 64);
        for client in ssh_children() {
            let limits = fs::read_to_string(format!("/proc/{}/limits", client.pid)).unwrap();
            let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
            assert_eq!(line.split_ascii_whitespace().nth(3), Some("64"), "{line}");
        }
        manager.kill_all_processes(&VERY_LONG.into()).unwrap();
        remote.assert_nothing_left();
    });
}

/// Opens descriptors until only so many are left for this process.
fn all_descriptors_but(room: usize) -> Vec<fs::File> {
    let mut taken: Vec<_> = std::iter::from_fn(|| fs::File::open("/dev/null").ok()).collect();
    taken.truncate(taken.len().checked_sub(room).unwrap());
    taken
}

/// Descriptors run out while processes run. Starts that fail report why, and by which limit. The other processes go on,
/// and starts work when there are descriptors again.
#[track_caller]
fn descriptors_get_short(share: bool) {
    let remote = Remote::start();
    set_open_files(256);
    let before = local_snapshot();
    let manager = Manager::new(options(&remote).connect_timeout(LONG).share_connections(share)).unwrap();
    let witness = Witness::new(&manager);
    start_all_ready(&manager, &names("runs", 3), "alpha");
    let mut failures = 0;
    // Each number of free descriptors between none and enough for one start is tried.
    for room in 0..16 {
        // A start on another host needs another connection too.
        for host in ["alpha", "beta"] {
            let uuid = format!("short-{host}-{room}");
            let hoard = all_descriptors_but(room);
            manager.start_process(&uuid, &codes_on(host)).unwrap();
            let started = manager.wait_until_started(&uuid, LONG);
            drop(hoard);
            match started {
                Ok(_) => {
                    crate::sharing::wait_until_ready(&manager, &uuid);
                    assert_untouched(&manager, &uuid);
                }
                Err(error) => {
                    failures += 1;
                    let text = error.to_string();
                    assert!(matches!(error, Error::Local { .. }), "{uuid}, room for {room}: {error:?}");
                    assert!(text.contains("RLIMIT_NOFILE") && text.contains("ulimit -n"), "{text}");
                    // Both limits: whoever reads it learns how far the soft one can be raised.
                    assert!(text.contains("ulimit -n: 256, at most "), "{text}");
                }
            }
        }
    }
    assert!(failures > 0);
    // Nothing was half-started, and the running processes were not affected.
    let of_app = remote.processes().iter().filter(|process| process.cmdline.iter().any(|w| w == CODES)).count();
    assert_eq!(of_app, 3);
    start_all_ready(&manager, &names("later", 3), "alpha");
    for uuid in names("runs", 3).iter().chain(&names("later", 3)) {
        assert_untouched(&manager, uuid);
    }
    finish(&manager, &remote);
    let events = witness.all(manager);
    for (uuid, words) in events {
        match uuid.starts_with("short") {
            true => assert!(words == ["failed"] || words == ["started", "exited"], "{uuid}: {words:?}"),
            false => assert_eq!(words, ["started", "exited"], "{uuid}"),
        }
    }
    assert_same_as(&before);
}

#[test]
fn descriptors_that_get_short_are_told_and_touch_nothing_that_runs() {
    isolated(|| descriptors_get_short(true));
}

#[test]
fn descriptors_that_get_short_without_sharing_are_told_as_well() {
    isolated(|| descriptors_get_short(false));
}
