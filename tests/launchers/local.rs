//! Processes on this machine itself: they could inherit from this program what no sshd gives them.

use std::fs;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::keeping::*;
use crate::life::*;
use crate::support::{
    self, AppReport, By, ProcessInfo, Remote, handed_options, is_isolated, isolated_by, launched_by, wait_until,
};
use sshpm::{BootRequest, Error, FoundState, Launcher, LauncherFailure, LinkLossPolicy, Manager};

#[test]
fn what_the_host_program_ignores_and_blocks_is_not_the_applications() {
    isolated_by(By::Local, || {
        let remote = Remote::start();
        let ignored = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGPIPE, libc::SIGCHLD];
        // SAFETY: SIG_IGN is no function of ours; the set is initialised by sigfillset before its use.
        unsafe {
            for signal in ignored {
                libc::signal(signal, libc::SIG_IGN);
            }
            let mut all = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
        }
        let manager = manager(&remote);
        for (uuid, line) in [("plain", None), ("set-up", Some("true"))] {
            let file = remote.scratch().join(uuid);
            let mut request = app(&remote, &format!("report {} exit 3", file.display()));
            request = line.into_iter().fold(request, BootRequest::setup_line);
            start(&manager, uuid, &request);
            assert_eq!(end_of(&manager, uuid).code(), Some(3), "{uuid}");
            let report = AppReport::wait(&remote, &file);
            for field in ["SigBlk", "SigIgn", "SigCgt"] {
                assert_eq!(report.signals(field), [0; 0], "{field}, {uuid}");
            }
        }
        start_ready(&manager, "killed", &shell(OWN_CODES));
        assert_eq!(manager.kill_process("killed", TIME).unwrap().code(), Some(17));
        finish(&manager, &remote);
        // SAFETY: as above. The remote's own end waits for its guard.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    });
}

/// A C program opens most of its files and sockets so that children inherit them.
#[test]
fn the_host_programs_descriptors_are_not_the_applications() {
    isolated_by(By::Local, || {
        let remote = Remote::start();
        let ends = std::io::pipe().unwrap();
        for fd in [ends.0.as_raw_fd(), ends.1.as_raw_fd()] {
            // SAFETY: fcntl takes integers.
            assert_eq!(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) }, 0);
        }
        let manager = manager(&remote);
        let file = remote.scratch().join("report");
        for (uuid, policy) in [("ended", LinkLossPolicy::Terminate), ("kept", LinkLossPolicy::Keep)] {
            start(&manager, uuid, &app(&remote, &format!("report {} wait", file.display())).link_loss(policy));
            let report = AppReport::wait(&remote, &file);
            let fds: Vec<_> = report.fds.iter().map(|(fd, _)| *fd).collect();
            assert_eq!(fds, [0, 1, 2], "{uuid}: {:?}", report.fds);
            fs::remove_file(remote.local(&file)).unwrap();
        }
        // No other process has it, neither a wrapper nor a link.
        drop(ends.1);
        let mut rest = Vec::new();
        (&ends.0).read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty());
        manager.kill_all_processes(&TIME.into()).unwrap();
        finish(&manager, &remote);
    });
}

#[test]
fn the_environment_is_this_programs_and_paths_begin_at_home() {
    isolated_by(By::Local, || {
        let remote = Remote::start();
        // SAFETY: this process runs this test only, and its manager has no threads yet.
        unsafe { std::env::set_var("FROM_THE_HOST_PROGRAM", "it's here") };
        let home = remote.users()[0].home.clone();
        fs::create_dir(remote.local(&home.join("work"))).unwrap();
        let manager = manager(&remote);
        let file = remote.scratch().join("report");
        let request = app(&remote, &format!("print out report {} exit 4", file.display()));
        start(&manager, "u", &request.working_directory("work").log_file("logs.txt"));
        assert_eq!(end_of(&manager, "u").code(), Some(4));
        let report = AppReport::wait(&remote, &file);
        assert_eq!(report.var("FROM_THE_HOST_PROGRAM"), Some("it's here".into()));
        assert_eq!(report.cwd, home.join("work"));
        assert_eq!(remote.read(home.join("logs.txt")), b"out\n");
        assert_eq!(manager.read_log_file("any-name", None, "logs.txt", 1, TIME).unwrap(), b"out\n");
        finish(&manager, &remote);
    });
}

#[test]
fn what_it_cannot_do_is_refused_by_its_field() {
    isolated_by(By::Local, || {
        let remote = Remote::start();
        let manager = manager(&remote);
        let field = |error: Error| match error {
            Error::Invalid { field, .. } => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field(manager.start_process("u", &shell("exit 0").user("nobody")).unwrap_err()), "user");
        assert_eq!(field(manager.find_processes("alpha", Some("nobody")).unwrap_err()), "user");
        assert_eq!(
            field(manager.validate_host_connection("alpha", None, Some("publickey")).unwrap_err()),
            "auth_method"
        );
        assert!(manager.active_process_keys().is_empty());
        // The program's own user is no other user.
        let own = remote.users()[0].name.clone();
        start(&manager, "u", &shell("exit 5").user(own));
        assert_eq!(end_of(&manager, "u").code(), Some(5));
        finish(&manager, &remote);
    });
}

#[test]
fn a_requests_launcher_wins_over_its_hosts_and_that_over_the_managers() {
    isolated_by(By::Local, || {
        let remote = Remote::start();
        let fails = |code: i32| Launcher::command(["/bin/sh".to_owned(), "-c".to_owned(), format!("exit {code}")]);
        let options = remote.options().launcher(fails(7)).host_launcher("beta", fails(8));
        let manager = Manager::new(options.host_launcher("gamma", Launcher::Local)).unwrap();
        let outcome = |uuid: &str, host: &str, launcher: Option<Launcher>| {
            let request = BootRequest::new(host, ["/bin/sh", "-c", "exit 3"]);
            let request = launcher.into_iter().fold(request, BootRequest::launcher);
            manager.start_process(uuid, &request).unwrap();
            let _ = manager.wait_for_process_exit_code(uuid, TIME);
            match manager.exit_status(uuid).unwrap() {
                Ok(status) => status.code().unwrap(),
                Err(Error::Launcher { failure: LauncherFailure::Ended(code), .. }) => code,
                Err(other) => panic!("{uuid}: {other:?}"),
            }
        };
        assert_eq!(outcome("manager", "alpha", None), 7);
        assert_eq!(outcome("host", "beta", None), 8);
        assert_eq!(outcome("local-host", "gamma", None), 3);
        assert_eq!(outcome("request", "beta", Some(fails(9))), 9);
        assert_eq!(outcome("local-request", "beta", Some(Launcher::Local)), 3);
        finish(&manager, &remote);
    });
}

#[test]
fn fifty_at_once_are_all_there() {
    isolated_by(By::Local, || {
        let remote = Remote::start();
        let manager = manager(&remote);
        let uuids: Vec<_> = (0..50).map(|number| format!("u{number}")).collect();
        for uuid in &uuids {
            manager.start_process(uuid, &shell(OWN_CODES)).unwrap();
        }
        for uuid in &uuids {
            // Until the manager knows that it runs, a kill begins with TERM.
            manager.wait_until_started(uuid, TIME).unwrap();
            wait_until("it is ready", TIME, || stdout(&manager, uuid).contains("ready").then_some(()));
        }
        let mut ends = manager.kill_all_processes(&TIME.into()).unwrap();
        assert_eq!(ends.len(), 50);
        ends.retain(|_, end| !end.as_ref().is_ok_and(|status| status.code() == Some(17)));
        assert!(ends.is_empty(), "{ends:?}");
        remote.assert_nothing_left();
    });
}

/// The part of a child process in the next tests.
#[test]
fn keeper_to_be_killed() {
    if !is_isolated("local::keeper_to_be_killed") {
        return;
    }
    let variable = |name: &str| std::env::var_os(name).unwrap();
    // The remote's environment replaces this one, so the variables are read before.
    let (note, go) = (variable("SSHPM_TEST_NOTE"), variable("SSHPM_TEST_GO"));
    let forks = std::env::var_os("SSHPM_TEST_FORKS").is_some();
    assert_eq!(launched_by(), By::Local);
    let manager = Manager::new(handed_options().lease(Duration::from_secs(3))).unwrap();
    let request = kept(shell(COUNTS)).environment("GO", go);
    start_ready(&manager, "kept", &request);
    start_ready(&manager, "ends", &shell(OWN_CODES));
    let mut pids = ["kept", "ends"].map(|uuid| manager.remote_pid(uuid).unwrap().to_string()).to_vec();
    if forks {
        // SAFETY: the child calls nothing but pause.
        let child = match unsafe { libc::fork() } {
            0 => loop {
                // SAFETY: no arguments.
                unsafe { libc::pause() };
            },
            child => child,
        };
        pids.push(child.to_string());
    }
    let part = Path::new(&note).with_extension("part");
    fs::write(&part, pids.join(" ")).unwrap();
    fs::rename(part, note).unwrap();
    // Until this process is killed.
    loop {
        std::thread::park();
    }
}

/// Starts the program above, and returns it with its applications when they run, and with a child that it has forked.
fn start_keeper(remote: &Remote, counting: &Counting, variables: &[(&str, &str)]) -> (Child, Vec<ProcessInfo>) {
    let note = remote.dir().join("note");
    let mut keeper = support::isolated_command("local::keeper_to_be_killed");
    remote.hand_to(&mut keeper);
    keeper.env("SSHPM_TEST_NOTE", &note).env("SSHPM_TEST_GO", counting.go()).envs(variables.iter().copied());
    let keeper = keeper.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let text = wait_until("a note from the manager", TIME, || fs::read_to_string(&note).ok());
    let pids = text.split(' ').map(|pid| ProcessInfo::of(pid.parse().unwrap()).unwrap());
    (keeper, pids.collect())
}

/// A child that the host program has forked has its descriptors, and with them the lifelines.
#[test]
fn a_forked_child_that_outlives_the_manager_keeps_nothing_alive() {
    isolated_by(By::Local, || {
        let remote = Remote::start();
        let counting = Counting::new(&remote);
        let (mut keeper, pids) = start_keeper(&remote, &counting, &[("SSHPM_TEST_FORKS", "1")]);
        let [_, ends, forked] = &pids[..] else { panic!("{pids:?}") };
        keeper.kill().unwrap();
        keeper.wait().unwrap();
        wait_for_death(ends);
        assert!(forked.is_alive());
        forked.signal(libc::SIGKILL).unwrap();
        let next = manager(&remote);
        let is_left = || matches!(found(&next, "kept").state, FoundState::Unmanaged).then_some(());
        wait_until("its link has ended", TIME, is_left);
        next.adopt_process("kept", "alpha", None).unwrap();
        counting.end(&remote);
        assert_eq!(end_of(&next, "kept").code(), Some(7));
        assert_only_status_files_left(&remote);
    });
}

#[test]
fn what_is_kept_outlives_a_manager_that_is_killed_and_nothing_else_does() {
    isolated_by(By::Local, || {
        let remote = Remote::start();
        let counting = Counting::new(&remote);
        let (mut keeper, pids) = start_keeper(&remote, &counting, &[]);
        keeper.kill().unwrap();
        keeper.wait().unwrap();
        wait_for_death(&pids[1]);
        let next = manager(&remote);
        wait_until("no manager has the process", TIME, || {
            matches!(found(&next, "kept").state, FoundState::Unmanaged).then_some(())
        });
        assert!(pids[0].is_alive());
        next.adopt_process("kept", "alpha", None).unwrap();
        wait_for_lines(&next, "kept", 3);
        counting.end(&remote);
        assert_eq!(end_of(&next, "kept").code(), Some(7));
        assert_counted(&next, "kept");
        assert_only_status_files_left(&remote);
    });
}
