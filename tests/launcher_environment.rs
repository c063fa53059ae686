//! What comes along where no login makes the environment: that of the program, or of a command.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sshpm::{BootRequest, Launcher, LinkLossPolicy, Manager, Options};
use support::{LONG, ProcessInfo, Remote, isolated, processes, skipped, wait_until};

/// Sites have interactive shells end when they are idle; bash's `read` takes that time for its own, in scripts too.
#[test]
fn a_shells_idle_time_ends_no_application() {
    let remote = Remote::start();
    for shell in ["bash", "ksh93"] {
        let Some(path) = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|directory| directory.join(shell))
            .find(|path| path.exists())
        else {
            skipped(&format!("{shell} is not installed"));
            continue;
        };
        let program = remote.program(shell, &format!("shift; TMOUT=1 exec {} \"$@\"", path.display()));
        let manager = Manager::new(Options::new().launcher(Launcher::command([program]))).unwrap();
        let sleep = BootRequest::new("here", ["/bin/sh", "-c", "sleep 4; exit ${TMOUT}7"]);
        for (uuid, request) in [
            ("plain", sleep.clone()),
            ("kept", sleep.clone().link_loss(LinkLossPolicy::Keep)),
            ("setup", sleep.setup_line("sleep 1.5").setup_shell(path.to_str().unwrap())),
        ] {
            manager.start_process(&format!("{shell}-{uuid}"), &request).unwrap();
        }
        std::thread::sleep(Duration::from_millis(1300));
        assert!(manager.process_state(&format!("{shell}-setup")).unwrap() == sshpm::ProcessState::Starting, "its setup lasts");
        for uuid in ["plain", "kept", "setup"] {
            let code = manager.wait_for_process_exit_code(&format!("{shell}-{uuid}"), LONG);
            assert_eq!(code.unwrap(), Some(17), "{shell}-{uuid}");
        }
    }
    drop(remote);
}

/// The process that takes the pid of a lease that has ended: for want of processes, or by somebody's hand.
#[test]
fn a_lease_that_has_ended_is_not_told_of_the_end() {
    let last = Path::new("/proc/sys/kernel/ns_last_pid");
    if fs::OpenOptions::new().write(true).open(last).is_err() {
        return skipped("no choice of pids here");
    }
    let manager = Manager::new(Options::new().launcher(Launcher::command(["env"]))).unwrap();
    manager.start_process("u", &BootRequest::new("here", ["sleep", "1000"])).unwrap();
    manager.wait_until_started("u", LONG).unwrap();
    let wrapper = manager.runtime_pids("u").remote_monitoring.unwrap() as i32;
    let is_sleep = |process: &ProcessInfo| process.cmdline.first().is_some_and(|name| name == "sleep");
    // The wrapper's child attends to the reader, and is the lease's parent; that one's child sleeps.
    let lease = wait_until("a lease", LONG, || {
        let all = processes();
        let parent = |pid: i32| all.iter().find(|process| process.pid == pid);
        let sleep = all.iter().find(|process| {
            is_sleep(process)
                && parent(process.ppid).and_then(|lease| parent(lease.ppid)).is_some_and(|it| it.ppid == wrapper)
        })?;
        parent(sleep.ppid).cloned()
    });
    lease.signal(libc::SIGKILL).unwrap();
    // Another test may be faster, and the pid is free when its parent has seen its end.
    let mut victim = wait_until("somebody has its pid", LONG, || {
        fs::write(last, (lease.pid - 1).to_string()).unwrap();
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        if child.id() == lease.pid as u32 {
            return Some(child);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        None
    });
    manager.kill_process("u", LONG).unwrap();
    drop(manager);
    let ended = victim.try_wait().unwrap();
    let _ = victim.kill();
    let _ = victim.wait();
    assert_eq!(ended, None, "a stranger was ended");
}

/// What undoes ignored signals is looked for at the first start, which may come at a bad time.
#[test]
fn a_start_without_descriptors_fails_alone() {
    isolated("a_start_without_descriptors_fails_alone", || {
        // SAFETY: SIG_IGN is no function of ours.
        unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
        let manager = Manager::new(Options::new().launcher(Launcher::Local)).unwrap();
        let start = |uuid: &str| {
            manager.start_process(uuid, &BootRequest::new("here", ["true"])).unwrap();
            manager.wait_for_process_exit_code(uuid, LONG)
        };
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the pointers are to this frame's variables.
        let set = |limit: &libc::rlimit| assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, limit) }, 0);
        // SAFETY: as above.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }, 0);
        set(&libc::rlimit { rlim_cur: 3, ..limit });
        let without = start("without");
        set(&limit);
        assert!(without.is_err(), "{without:?}");
        assert_eq!(start("with").unwrap(), Some(0));
    });
}
