//! A library is a guest: it works whatever its host program does with signals, children and forks, and takes nothing
//! from it.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::life::*;
use crate::support::{
    By, NO_CLIENT, ProcessInfo, Remote, assert_same_as, clients, has_clients, isolated, launched_by, learned,
    local_snapshot, skipped, wait_until,
};
use sshpm::{ExitSource, Manager, Signal};

/// Asserts that codes are reported: of a process that ends by itself, of one that is killed, and of one that loses its
/// link.
#[track_caller]
fn assert_codes_come(manager: &Manager, remote: &Remote) {
    start(manager, "exits", &shell("exit 3"));
    let status = end_of(manager, "exits");
    assert_eq!((status.code(), status.source()), (Some(3), ExitSource::RemoteMonitoring), "{status}");
    start_ready(manager, "killed", &shell(OWN_CODES));
    assert_eq!(manager.kill_process("killed", TIME).unwrap().code(), Some(17));
    start_ready(manager, "lost", &shell(OWN_CODES));
    break_link(manager, "lost");
    let status = end_of(manager, "lost");
    assert_eq!((status.application_code(), status.code(), status.link_lost()), (learned(42), None, true), "{status}");
    // A cancelled start: its client must be killed, even where the pid may be nobody's or another process's.
    manager.start_process("cancelled", &sshpm::BootRequest::new("silent", ["true"])).unwrap();
    let is_cancelled = |client: &ProcessInfo| client.cmdline.iter().any(|word| word == "silent");
    let client = wait_until("a client", TIME, || clients().into_iter().find(is_cancelled));
    manager.kill_process("cancelled", TIME).unwrap();
    wait_for_death(&client);
    finish(manager, remote);
}

#[test]
fn exit_codes_come_where_the_host_ignores_its_children() {
    isolated(|| {
        let remote = Remote::start();
        let before = local_snapshot();
        // SAFETY: SIG_IGN is no function of ours.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        let manager = manager(&remote);
        assert_codes_come(&manager, &remote);
        drop(manager);
        assert_same_as(&before);
        // SAFETY: as above. The remote's own end waits for its guard.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    });
}

#[test]
fn exit_codes_come_where_the_host_reaps_all_children() {
    if !has_clients() {
        return skipped(NO_CLIENT);
    }
    isolated(|| {
        let remote = Remote::start();
        let before = local_snapshot();
        let (done, reaped) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    // SAFETY: no status is asked for.
                    if unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {
                        reaped.store(true, Ordering::SeqCst);
                    } else {
                        // No call waits for a child and can also be woken by the flag.
                        thread::sleep(Duration::from_micros(200));
                    }
                }
            });
            // The reaper must end even if this panics. Otherwise the scope would wait for ever.
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let manager = manager(&remote);
                assert_codes_come(&manager, &remote);
                // The reaper races with the library for children, so it may need several chances to win.
                for round in 0..200 {
                    if reaped.load(Ordering::SeqCst) {
                        break;
                    }
                    let uuid = format!("more{round}");
                    start(&manager, &uuid, &shell("exit 5"));
                    assert_eq!(end_of(&manager, &uuid).code(), Some(5));
                }
                drop(manager);
            }));
            done.store(true, Ordering::SeqCst);
            result.unwrap();
        });
        assert!(reaped.load(Ordering::SeqCst), "the host program has reaped no child of the library");
        assert_same_as(&before);
    });
}

#[test]
fn a_fork_that_drops_the_manager_ends_nothing() {
    isolated(|| {
        let remote = Remote::start();
        let before = local_snapshot();
        let manager = manager(&remote);
        let witness = Witness::new(&manager);
        let application = start_ready(&manager, "u", &shell(OWN_CODES));
        let mut setup = shell("exit 0").setup_line("sleep 1000");
        setup = setup.grace(Duration::ZERO);
        manager.start_process("setup", &setup).unwrap();
        let in_setup = wait_for_pid(&manager, "setup");
        // SAFETY: the child only drops the manager, which must be safe after a fork, and ends.
        match unsafe { libc::fork() } {
            0 => {
                drop(manager);
                // SAFETY: ends the child, without what std or the test runner would do at an exit.
                unsafe { libc::_exit(7) }
            }
            child => {
                let mut status = 0;
                let waited = wait_until("the fork's end", TIME, || {
                    // SAFETY: the status is ours.
                    let waited = unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) };
                    (waited != 0).then_some(waited)
                });
                assert_eq!((waited, libc::WEXITSTATUS(status)), (child, 7), "wait status {status:#x}");
                assert!(libc::WIFEXITED(status));
            }
        }
        // If the fork had closed a lifeline, the wrapper would have sent HUP before it could answer this.
        manager.send_signal("u", Signal::CONT).unwrap();
        manager.send_signal("setup", Signal::CONT).unwrap();
        assert!(application.is_alive() && in_setup.is_alive());
        assert!(manager.is_process_alive("u") && manager.is_process_alive("setup"));
        assert_eq!(manager.kill_process("u", TIME).unwrap().code(), Some(17));
        start(&manager, "later", &shell("exit 4"));
        assert_eq!(end_of(&manager, "later").code(), Some(4));
        finish(&manager, &remote);
        let events = witness.all(manager);
        assert_eq!(events["u"], ["started", "exited"]);
        assert_eq!(events["later"], ["started", "exited"]);
        assert_same_as(&before);
    });
}

/// Returns the set of signals in a field of a status file in /proc.
fn signals(status: &str, field: &str) -> Vec<i32> {
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
    let mask = u64::from_str_radix(line.trim(), 16).unwrap();
    (1..=64).filter(|signal| mask & (1 << (signal - 1)) != 0).collect()
}

#[test]
fn our_threads_block_all_signals_and_ssh_blocks_none() {
    isolated(|| {
        let remote = Remote::start();
        let before = local_snapshot();
        let manager = manager(&remote);
        manager.on_process_exit(|_, _, _| ()).unwrap();
        start_ready(&manager, "u", &shell(OWN_CODES));
        // A new thread sets its name some time after it was made.
        let connect = (launched_by() == By::Ssh).then_some("sshpm-connect");
        let expected: Vec<_> = connect.into_iter().chain(["sshpm-dispatch", "sshpm-watch"]).collect();
        wait_until("named threads", TIME, || {
            let ours = local_snapshot().threads.into_iter().filter(|name| name.starts_with("sshpm-"));
            (ours.count() == expected.len()).then_some(())
        });
        let mut names = Vec::new();
        for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
            let name = fs::read_to_string(task.path().join("comm")).unwrap();
            let blocked = signals(&fs::read_to_string(task.path().join("status")).unwrap(), "SigBlk");
            if name.starts_with("sshpm") {
                // KILL and STOP cannot be blocked, and 32 and 33 are glibc's own.
                let expected: Vec<_> = (1..=64).filter(|signal| ![9, 19, 32, 33].contains(signal)).collect();
                assert_eq!(blocked, expected, "{name}");
                names.push(name.trim_end().to_owned());
            } else {
                assert!(blocked.is_empty(), "{name}: the host's own mask is as it was: {blocked:?}");
            }
        }
        names.sort();
        assert_eq!(names, expected);
        // Without clients, it is the master of the connection.
        let client = clients().pop().unwrap();
        let status = fs::read_to_string(format!("/proc/{}/status", client.pid)).unwrap();
        // srun waits for signals, and must block them for that.
        assert!(signals(&status, "SigBlk").is_empty() || launched_by() == By::Slurm, "ssh: {status}");
        // ssh itself ignores a signal or two.
        assert!(!signals(&status, "SigIgn").contains(&libc::SIGTERM), "ssh: {status}");
        let application = manager.remote_pid("u").unwrap();
        // A shell blocks signals for a moment when it forks.
        let status = wait_until("an application that blocks no signal", TIME, || {
            let status = fs::read_to_string(format!("/proc/{application}/status")).unwrap();
            signals(&status, "SigBlk").is_empty().then_some(status)
        });
        // The script's own trap ignores it.
        assert_eq!(signals(&status, "SigIgn"), [libc::SIGPIPE], "application");
        finish(&manager, &remote);
        drop(manager);
        assert_same_as(&before);
    });
}

#[test]
fn an_ssh_client_has_a_process_group_of_its_own() {
    if !has_clients() {
        return skipped(NO_CLIENT);
    }
    let remote = Remote::start();
    let manager = manager(&remote);
    start_ready(&manager, "u", &shell(OWN_CODES));
    let client = client_of(&manager, "u");
    let own = ProcessInfo::of(std::process::id() as i32).unwrap();
    assert_eq!(client.ppid, own.pid);
    assert_eq!(client.pgid, client.pid);
    assert_ne!(client.pgid, own.pgid);
    // The client stays in the host program's session: it is no daemon.
    assert_eq!(client.sid, own.sid);
    finish(&manager, &remote);
}

#[test]
fn a_dead_client_raises_no_signal_in_the_host() {
    isolated(|| {
        let remote = Remote::start();
        // As in a C program; Rust ignores SIGPIPE.
        // SAFETY: SIG_DFL is no function of ours.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        let manager = manager(&remote);
        for round in 0..5 {
            let uuid = format!("u{round}");
            // A process that has lost its wrapper with its client, as by Slurm, is waited for so long.
            start_ready(&manager, &uuid, &shell(OWN_CODES).grace(Duration::from_secs(1)));
            break_link(&manager, &uuid);
            // Until the watcher knows of the end, each of these writes to a socket that nobody reads.
            while manager.send_signal(&uuid, Signal::CONT).is_ok() {}
            let _ = manager.send_signal(&uuid, Signal::CONT);
            assert_eq!(end_of(&manager, &uuid).application_code(), learned(42));
        }
        finish(&manager, &remote);
        drop(manager);
        // SAFETY: as above.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    });
}
