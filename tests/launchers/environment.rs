//! What applications inherit where no login makes the environment: that of the program, or of a command.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::{
    LONG, ProcessInfo, Remote, files_below, find_program, isolated, processes, random_hex, skipped,
    temporary_directory, wait_until,
};
use sshpm::{BootRequest, Error, FoundState, Launcher, LinkLossPolicy, Manager, Options, Signal, Slurm, StartFailure};
use tempfile::TempDir;

/// Directories for the wrapper's files, so that it uses none of this machine's.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(temporary_directory());
        for (_, dir) in place.variables() {
            fs::create_dir(&dir).unwrap();
            fs::set_permissions(&dir, Permissions::from_mode(0o700)).unwrap();
        }
        place
    }

    fn variables(&self) -> [(&'static str, PathBuf); 2] {
        [("XDG_RUNTIME_DIR", "runtime"), ("XDG_STATE_HOME", "state")].map(|(name, dir)| (name, self.0.path().join(dir)))
    }

    /// Returns a launcher that starts a shell on this machine by these words.
    fn launcher(&self, words: &[&str]) -> Launcher {
        let variables = self.variables().map(|(name, dir)| format!("{name}={}", dir.display()));
        let words = words.iter().map(|word| (*word).to_owned());
        Launcher::command(std::iter::once("env".to_owned()).chain(variables).chain(words))
    }

    /// Sets the environment of this process, for launchers without a command of the test's own. No other thread of the
    /// process may use the environment.
    fn enter(&self) {
        for (name, dir) in self.variables() {
            // SAFETY: as above.
            unsafe { std::env::set_var(name, dir) };
        }
    }

    /// Asserts that no file is left when every process has ended.
    #[track_caller]
    fn assert_nothing_left(self) {
        wait_until("no file is left", LONG, || files_below(self.0.path()).is_empty().then_some(()));
    }
}

/// Sites set TMOUT to end idle interactive shells. bash uses it as the timeout of `read`, in scripts too.
#[test]
fn a_shells_idle_time_ends_no_application() {
    let (remote, place) = (Remote::start(), Place::new());
    for shell in ["bash", "ksh93"] {
        let Some(path) = find_program(shell) else {
            skipped(&format!("{shell} is not installed"));
            continue;
        };
        let program = remote.program(shell, &format!("shift; TMOUT=1 exec {} \"$@\"", path.display()));
        let manager = Manager::new(Options::new().launcher(place.launcher(&[program.to_str().unwrap()]))).unwrap();
        let sleep = BootRequest::new("here", ["/bin/sh", "-c", "sleep 4; exit ${TMOUT}7"]);
        let uuids = [random_hex(), random_hex(), random_hex()];
        let set_up = remote.dir().join(format!("{shell}.set-up"));
        let setup = format!("sleep 1.5; : >{}", set_up.display());
        let requests = [
            sleep.clone(),
            sleep.clone().link_loss(LinkLossPolicy::Keep),
            BootRequest::new("here", ["/bin/sh", "-c", "exit ${TMOUT}7"])
                .setup_line(setup)
                .setup_shell(path.to_str().unwrap()),
        ];
        for (uuid, request) in uuids.iter().zip(&requests) {
            manager.start_process(uuid, request).unwrap();
        }
        manager.wait_until_started(&uuids[2], LONG).unwrap();
        assert!(set_up.exists(), "{shell}: it counted as started while its setup lasted");
        for (uuid, request) in uuids.iter().zip(&requests) {
            let code = manager.wait_for_process_exit_code(uuid, LONG);
            assert_eq!(code.unwrap(), Some(17), "{shell}: {request:?}");
        }
    }
    place.assert_nothing_left();
}

/// A process can take the pid of a lease that has ended, because no process could be made or somebody killed it.
#[test]
fn a_lease_that_has_ended_is_not_told_of_the_end() {
    let last = Path::new("/proc/sys/kernel/ns_last_pid");
    // Everybody can open the file, but only a privileged user can write to it.
    if fs::read(last).and_then(|same| fs::write(last, same)).is_err() {
        return skipped("the pid of a new process cannot be chosen here");
    }
    let place = Place::new();
    let manager = Manager::new(Options::new().launcher(place.launcher(&[]))).unwrap();
    let uuid = &random_hex();
    manager.start_process(uuid, &BootRequest::new("here", ["sleep", "1000"])).unwrap();
    manager.wait_until_started(uuid, LONG).unwrap();
    let wrapper = manager.runtime_pids(uuid).remote_monitoring.unwrap() as i32;
    let is_sleep = |process: &ProcessInfo| process.cmdline.first().is_some_and(|name| name == "sleep");
    // The wrapper's child attends to the reader, and is the parent of the lease. A child of the lease sleeps.
    let lease = wait_until("a lease", LONG, || {
        let all = processes();
        let parent = |pid: i32| all.iter().find(|process| process.pid == pid);
        let sleep = all.iter().find(|process| {
            is_sleep(process)
                && parent(process.ppid).and_then(|lease| parent(lease.ppid)).is_some_and(|it| it.ppid == wrapper)
        })?;
        parent(sleep.ppid).cloned()
    });
    // Processes are distinguished by their start times, in ticks of 10 ms.
    wait_until("a later start time", LONG, || {
        let uptime = fs::read_to_string("/proc/uptime").unwrap();
        let seconds: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        (seconds * 100.0 > lease.start_time as f64 + 2.0).then_some(())
    });
    lease.signal(libc::SIGKILL).unwrap();
    // Another test may be faster, and the pid is free only when the lease's parent has reaped it.
    let mut victim = wait_until("another process has the pid", LONG, || {
        fs::write(last, (lease.pid - 1).to_string()).unwrap();
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        if child.id() == lease.pid as u32 {
            return Some(child);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        None
    });
    manager.kill_process(uuid, LONG).unwrap();
    drop(manager);
    let ended = victim.try_wait().unwrap();
    let _ = victim.kill();
    let _ = victim.wait();
    assert_eq!(ended, None, "a process that does not belong to the manager was ended");
    place.assert_nothing_left();
}

/// A start that finds no descriptor fails with the reason and affects nothing else: the next start works.
#[test]
fn a_start_without_descriptors_fails_alone() {
    isolated(|| {
        let place = Place::new();
        place.enter();
        let manager = Manager::new(Options::new().launcher(Launcher::Local)).unwrap();
        let [first, second] = [random_hex(), random_hex()];
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
        let without = start(&first);
        set(&limit);
        assert!(without.is_err(), "{without:?}");
        assert_eq!(start(&second).unwrap(), Some(0));
        place.assert_nothing_left();
    });
}

/// `scancel --signal=USR1` and `sbatch --signal` do this to a step: the wrapper's processes get the signal too.
#[test]
fn signals_for_applications_end_no_wrapper() {
    let place = Place::new();
    let manager = Manager::new(Options::new().launcher(place.launcher(&[]))).unwrap();
    let script = "trap 'echo one' USR1; trap 'echo two' USR2; trap 'exit 3' QUIT; while [ $((i += 1)) -lt 1200 ]; do sleep 0.05; done";
    let request = BootRequest::new("here", ["/bin/sh", "-c", script]);
    // All tests of this program share a machine, so each needs its own uuids.
    let (plain, kept) = (&random_hex(), &random_hex());
    manager.start_process(plain, &request).unwrap();
    manager.start_process(kept, &request.link_loss(LinkLossPolicy::Keep)).unwrap();
    for uuid in [plain, kept] {
        manager.wait_until_started(uuid, LONG).unwrap();
        let client = manager.runtime_pids(uuid).ssh_client.unwrap() as i32;
        // The shells are the wrapper or the link, the one that attends to a reader, the reader, the lease, and the
        // application.
        let shells = || {
            let is_shell = |process: &ProcessInfo| process.cmdline.first().is_some_and(|name| name == "/bin/sh");
            below(client).into_iter().filter(is_shell).collect::<Vec<_>>()
        };
        wait_until("all shells of the process", LONG, || {
            (shells().len() >= if uuid == plain { 5 } else { 8 }).then_some(())
        });
        for (number, said) in [(libc::SIGUSR1, "one\n"), (libc::SIGUSR2, "one\ntwo\n")] {
            for process in shells() {
                process.signal(number).unwrap();
            }
            wait_until("the application has got the signal", LONG, || {
                (manager.process_stdout(uuid).unwrap().bytes == said.as_bytes()).then_some(())
            });
        }
        let status = manager.kill_process(uuid, LONG).unwrap();
        assert_eq!(status.code(), Some(3), "{uuid}: {status}");
    }
    drop(manager);
    place.assert_nothing_left();
}

/// Returns a process and all its descendants, as far as they still have their parents.
fn below(pid: i32) -> Vec<ProcessInfo> {
    let (mut found, all) = (Vec::<ProcessInfo>::new(), processes());
    found.extend(all.iter().find(|process| process.pid == pid).cloned());
    let mut at = 0;
    while at < found.len() {
        let parent = found[at].pid;
        found.extend(all.iter().filter(|process| process.ppid == parent).cloned());
        at += 1;
    }
    found
}

/// Users set SQUEUE_STATES and other variables so that squeue shows what they want to see.
#[test]
fn a_users_taste_in_squeue_does_not_hide_the_nodes() {
    isolated(|| {
        let remote = Remote::start();
        remote.program("squeue", r#"[ -n "${SQUEUE_STATES:-}$SLURM_CLUSTERS" ] || echo "n[1-2]""#);
        remote.program("scontrol", "echo n1; echo n2");
        // SAFETY: no other thread of this process looks at the environment.
        unsafe {
            std::env::set_var("SQUEUE_STATES", "CD");
            std::env::set_var("SLURM_CLUSTERS", "another");
        }
        let slurm = Slurm::new().job("1").srun_program(remote.program("srun", "exit 1"));
        assert_eq!(slurm.hosts().unwrap(), ["n1", "n2"]);
    });
}

/// A launcher that hangs can be a script that waits for a program.
#[test]
fn a_launcher_that_is_given_up_leaves_nothing() {
    let remote = Remote::start();
    let seconds = (1 << 20) + std::process::id();
    let script = remote.program("hangs", &format!("sleep {seconds}; exit"));
    let manager = Manager::new(Options::new().launcher(Launcher::command([script]))).unwrap();
    let sleeps = || {
        let is_it = |process: &ProcessInfo| process.cmdline.get(1).is_some_and(|it| *it == *seconds.to_string());
        processes().into_iter().filter(|process| is_it(process) && !process.is_zombie()).count()
    };
    let uuid = &random_hex();
    manager.start_process(uuid, &BootRequest::new("here", ["true"])).unwrap();
    wait_until("it hangs", LONG, || (sleeps() == 1).then_some(()));
    manager.kill_process(uuid, LONG).unwrap();
    wait_until("its program has ended", LONG, || (sleeps() == 0).then_some(()));
    let call = manager.read_log_file("here", None, "x", 1, Duration::from_secs(1));
    assert!(call.is_err(), "{call:?}");
    wait_until("the end of a call's program", LONG, || (sleeps() == 0).then_some(()));
}

/// A program without stdout prints into whatever has got its number.
#[test]
fn what_a_program_without_stdout_prints_is_no_command() {
    isolated(|| {
        let place = Place::new();
        place.enter();
        let manager = Manager::new(Options::new().launcher(Launcher::Local)).unwrap();
        let uuid = &random_hex();
        // SAFETY: descriptors of this process, in which nobody else prints now.
        let stdout = unsafe { libc::dup(1) };
        // SAFETY: as above.
        unsafe { libc::close(1) };
        let started = manager.start_process(uuid, &BootRequest::new("here", ["sleep", "1000"]));
        let started = started.and_then(|_| manager.wait_until_started(uuid, LONG));
        let line = "kill 7 KILL group\n";
        // SAFETY: the pointer and the length are those of the line.
        unsafe { libc::write(1, line.as_ptr().cast(), line.len()) };
        // An earlier command would have been obeyed before this one is answered.
        let told = manager.send_signal(uuid, Signal::CONT);
        let (lives, end) = (told.is_ok() && manager.is_process_alive(uuid), manager.exit_status(uuid));
        let _ = manager.kill_process(uuid, LONG);
        // This also closes whatever has got the number.
        drop(manager);
        // SAFETY: as above.
        unsafe { libc::dup2(stdout, 1) };
        started.unwrap();
        assert!(lives, "{end:?}");
        place.assert_nothing_left();
    });
}

/// A program in a login has the runtime directory of systemd. A program that cron or sudo has started has none.
#[test]
fn a_uuid_has_one_owner_whatever_its_login_has_as_runtime_directory() {
    let remote = Remote::start();
    if !remote.require_users("the test needs a runtime directory of its own") {
        return;
    }
    let runtime = remote.local(Path::new("/run/user/0"));
    fs::create_dir_all(&runtime).unwrap();
    fs::set_permissions(&runtime, Permissions::from_mode(0o700)).unwrap();
    let (holder, home) = (remote.holder().to_string(), format!("HOME={}", remote.users()[0].home.display()));
    let manager = |words: &[&str]| {
        let launcher =
            ["nsenter", "-t", &holder, "-m", "--", "env"].into_iter().chain(words.iter().copied()).chain([&*home]);
        Manager::new(Options::new().launcher(Launcher::command(launcher))).unwrap()
    };
    let with = manager(&["XDG_RUNTIME_DIR=/run/user/0"]);
    let without = manager(&["-u", "XDG_RUNTIME_DIR"]);
    for (first, second) in [(&with, &without), (&without, &with)] {
        let request = BootRequest::new("here", ["sleep", "1000"]);
        first.start_process("u", &request).unwrap();
        first.wait_until_started("u", LONG).unwrap();
        second.start_process("u", &request).unwrap();
        let refused = second.wait_until_started("u", LONG);
        let in_use = |error: &Error| matches!(error, Error::StartFailed { reason: StartFailure::UuidInUse, .. });
        assert!(refused.as_ref().is_err_and(in_use), "{refused:?}");
        let found = second.find_processes("here", None).unwrap();
        assert!(matches!(&found[..], [one] if matches!(one.state, FoundState::Managed)), "{found:?}");
        first.kill_process("u", LONG).unwrap();
        second.forget_process("u").unwrap();
    }
    drop((with, without));
    remote.assert_nothing_left();
}
