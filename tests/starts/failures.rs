//! Failed starts report why, and never an exit code. Starts that lack something optional work all the same.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::dying_shells::assert_leave_nothing;
use crate::life::*;
use crate::support::{
    self, By, DEADLINE, Remote, User, assert_same_as, isolated, launched_by, local_snapshot, wait_until,
};
use sshpm::{BootRequest, Limit, LimitValue, Manager, StartFailure};

/// The head of a real ELF program for another machine (s390x, big-endian), which no kernel for PCs executes.
fn foreign_elf() -> Vec<u8> {
    let mut header = vec![0; 4096];
    header[..7].copy_from_slice(b"\x7fELF\x02\x02\x01");
    // e_type: executable; e_machine: EM_S390.
    header[16..20].copy_from_slice(&[0, 2, 0, 22]);
    header
}

/// Tries each program with and without setup lines, which run in different shells.
#[track_caller]
fn assert_fail(programs: &[(&str, OsString, StartFailure)], remote: &Remote) {
    let manager = manager(remote);
    let witness = Witness::new(&manager);
    for (what, program, expected) in programs {
        for (kind, shells) in [("plain", None), ("bash", Some("bash")), ("dash", Some("dash"))] {
            let mut request = BootRequest::new("alpha", [program.clone(), "exit".into(), "0".into()]);
            if let Some(shell) = shells {
                request = request.setup_shell(shell).setup_line("true");
            }
            assert_eq!(failure_of(&manager, &format!("{what}-{kind}"), &request), *expected, "{what}, {kind}");
        }
    }
    remote.assert_nothing_left();
    let events = witness.all(manager);
    assert_eq!(events.len(), 3 * programs.len());
    assert!(events.values().all(|words| *words == ["failed"]), "{events:?}");
}

#[test]
fn a_program_that_cannot_be_executed_is_no_exit_code() {
    isolated(|| {
        let remote = Remote::start();
        let before = local_snapshot();
        use StartFailure::{ProgramNotFile, ProgramNotFound, ProgramPermission};
        let programs = [
            ("missing-path", "/does/not/exist".into(), ProgramNotFound),
            ("missing-name", "no-such-program-anywhere".into(), ProgramNotFound),
            ("missing-below-a-file", "/etc/passwd/x".into(), ProgramNotFound),
            ("no-permission", file(&remote, "plain", b"#!/bin/sh\n", 0o644), ProgramPermission),
            ("directory", "/tmp".into(), ProgramNotFile),
        ];
        assert_fail(&programs, &remote);
        assert_same_as(&before);
    });
}

#[test]
fn a_script_whose_interpreter_is_missing_is_no_exit_code() {
    let remote = Remote::start();
    let script = file(&remote, "script", b"#!/no/such/interpreter\nexit 0\n", 0o755);
    assert_fail(&[("interpreter", script, StartFailure::ProgramNotFound)], &remote);
}

#[test]
fn a_program_for_another_machine_is_no_exit_code() {
    let remote = Remote::start();
    let elf = file(&remote, "elf", &foreign_elf(), 0o755);
    assert_fail(&[("elf", elf, StartFailure::NotExecutable)], &remote);
}

/// 3 MB: more than a quarter of the usual stack limit of 8 MB, which is the kernel's bound for all arguments together.
#[test]
fn too_many_bytes_of_arguments_are_no_exit_code() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let pieces = (0..30).map(|_| "x".repeat(100_000));
    let request = BootRequest::new("alpha", ["/bin/true".to_owned()].into_iter().chain(pieces));
    assert_eq!(failure_of(&manager, "arguments", &request), StartFailure::ArgumentsTooLarge);
    let variables = (0..30).map(|at| (format!("V{at}"), "x".repeat(100_000)));
    let request = variables.fold(shell("exit 0"), |request, (name, value)| request.environment(name, value));
    assert_eq!(failure_of(&manager, "environment", &request), StartFailure::ArgumentsTooLarge);
    finish(&manager, &remote);
}

#[test]
fn a_shell_that_ends_before_the_program_runs_leaves_nothing() {
    let remote = Remote::start();
    let manager = manager(&remote);
    assert_leave_nothing(&remote, &manager);
    if !remote.require_users("setsid and perl would be the real ones") {
        return;
    }
    // Without setsid, perl makes the session. Without perl, a shell goes without one.
    for program in ["/usr/bin/setsid", "/usr/bin/perl"] {
        remote.take_away(program);
        assert_leave_nothing(&remote, &manager);
    }
}

#[test]
fn a_working_directory_that_cannot_be_entered_is_no_exit_code() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let request = shell("exit 0");
    for (uuid, directory) in [("missing", "/does/not/exist"), ("file", "/etc/passwd"), ("relative", "no-such-one")] {
        let request = request.clone().working_directory(directory);
        assert_eq!(failure_of(&manager, uuid, &request), StartFailure::WorkingDirectory);
        let reason = failure_of(&manager, &format!("{uuid}-setup"), &request.setup_line("true"));
        assert_eq!(reason, StartFailure::WorkingDirectory);
    }
    finish(&manager, &remote);
}

/// Arguments and values are secret, and stand in no error.
#[test]
fn the_error_names_what_the_failure_is_about() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let program = |program: &str| BootRequest::new("alpha", [program, "secret"]).environment("V", "secret");
    let log = remote.scratch().join("app.log");
    let log_text = format!("(stderr is in {:?})", log.display().to_string());
    let tilde = "sshpm does not expand \"~/\"";
    let quoted = |text: &str| format!("{text:?}");
    for (uuid, request, texts) in [
        ("program", program("/no/such/program"), vec![quoted("/no/such/program")]),
        ("tilde", program("~/bin/app"), vec![quoted("~/bin/app"), tilde.to_owned()]),
        ("words", program("sleep 5"), vec![quoted("sleep 5"), "pass each argument separately".to_owned()]),
        ("permission", program("/etc/passwd").log_file(&log), vec![quoted("/etc/passwd"), log_text.clone()]),
        ("directory", program("true").working_directory("~/data"), vec![quoted("~/data"), tilde.to_owned()]),
        ("log", program("true").log_file("~/x.log"), vec![quoted("~/x.log"), tilde.to_owned()]),
        ("log-file", program("true").log_file("/etc"), vec![quoted("/etc")]),
        ("shell", program("true").setup_shell("no-such-shell"), vec![quoted("no-such-shell")]),
        (
            "setup",
            program("true").setup_line("true").setup_line("echo oops >&2; false"),
            vec!["\"echo oops >&2; false\": setup line 2 failed with exit code 1 (stderr: oops)".to_owned()],
        ),
        (
            "setup-log",
            program("true").setup_line("~/no-such-file").log_file(&log),
            vec![quoted("~/no-such-file"), log_text],
        ),
        (
            "variable",
            program("true").environment("W", "secret").setup_line("readonly W"),
            vec![quoted("W"), "environment".to_owned()],
        ),
    ] {
        manager.start_process(uuid, &request).unwrap();
        let error = manager.wait_until_started(uuid, TIME).unwrap_err();
        let message = error.to_string();
        assert!(texts.iter().all(|text| message.contains(text)), "{uuid}: {message}, not {texts:?}");
        assert!(!message.contains("secret"), "{message}");
        assert_eq!(message.contains(tilde), texts.iter().any(|text| text == tilde), "{message}");
    }
    // There is no file either.
    let error = manager.read_log_file("alpha", None, "~/x.log", 1, TIME).unwrap_err().to_string();
    assert!(error.contains(tilde), "{error}");
    finish(&manager, &remote);
}

#[test]
fn a_limit_above_the_hosts_is_named() {
    let remote = Remote::start();
    let Some(user) = remote.user("dash") else { return support::skipped("the limit needs a user who is not root") };
    let manager = manager(&remote);
    // Above the kernel's own bound, fs.nr_open.
    let request = remote.request_as(&user, shell("exit 0")).limit(Limit::Nofile, LimitValue::Value(1 << 31));
    assert_eq!(failure_of(&manager, "plain", &request), StartFailure::Limit("nofile".to_owned()));
    let reason = failure_of(&manager, "setup", &request.setup_line("true"));
    assert_eq!(reason, StartFailure::Limit("nofile".to_owned()));
    finish(&manager, &remote);
}

/// Returns the metadata files on the remote.
fn metadata(remote: &Remote) -> Vec<PathBuf> {
    let is_metadata = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("metadata_");
    remote.runtime_files().into_iter().filter(is_metadata).collect()
}

/// Runs a process of this user, and returns the directory of its metadata file.
#[track_caller]
fn runtime_directory(remote: &Remote, user: &User) -> Option<PathBuf> {
    let manager = manager(remote);
    start_ready(&manager, "u", &remote.request_as(user, shell(OWN_CODES)));
    let found = metadata(remote);
    assert_eq!(manager.kill_process("u", TIME).unwrap().code(), Some(17));
    finish(&manager, remote);
    assert!(hidden_files(remote).is_empty(), "{:?}", hidden_files(remote));
    assert!(found.len() < 2, "{found:?}");
    found.first().map(|path| path.parent().unwrap().to_owned())
}

/// Returns the files that the wrapper makes where it finds no runtime directory.
fn hidden_files(remote: &Remote) -> Vec<PathBuf> {
    let entries = ["/dev/shm", "/tmp"].map(|dir| fs::read_dir(remote.local(Path::new(dir))).unwrap());
    let paths = entries.into_iter().flatten().flatten().map(|entry| entry.path());
    paths.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(".sshpm")).collect()
}

/// Returns a user who is not root, if the launcher can have one, on a remote with its own users. Returns nothing where
/// there are no namespaces.
fn user_of(remote: &Remote) -> Option<User> {
    let user = match launched_by() {
        By::Local | By::Slurm => remote.user("root"),
        _ => remote.user("dash").or_else(|| remote.user("bash")),
    };
    if user.is_none() {
        support::skipped("runtime directories need users");
    }
    user
}

#[test]
fn the_runtime_directory_is_that_of_the_login_or_one_of_our_own() {
    let remote = Remote::builder().runtime_dirs().start();
    let Some(user) = user_of(&remote) else { return };
    let login = PathBuf::from(format!("/run/user/{}/drunc", user.uid));
    assert_eq!(runtime_directory(&remote, &user), Some(login));

    let remote = Remote::start();
    assert_eq!(runtime_directory(&remote, &user), Some("/tmp/drunc".into()));
    let mode = fs::metadata(remote.local(Path::new("/tmp/drunc"))).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_runtime_directory_of_the_login_that_is_missing_or_not_writable_is_passed_over() {
    // root can write to /etc, and some launchers have no other user.
    let not_writable = if matches!(launched_by(), By::Local | By::Slurm) { "/sys" } else { "/etc" };
    for directory in ["/does/not/exist", not_writable] {
        let remote = Remote::builder().env("XDG_RUNTIME_DIR", directory).start();
        let Some(user) = user_of(&remote) else { return };
        assert_eq!(runtime_directory(&remote, &user), Some("/tmp/drunc".into()), "{directory}");
    }
}

#[test]
fn a_strangers_directory_is_passed_over() {
    let remote = Remote::start();
    let Some(user) = user_of(&remote) else { return };
    let stranger = remote.local(Path::new("/tmp/drunc"));
    fs::create_dir(&stranger).unwrap();
    // Everybody can write to it, which makes it worse and not better.
    fs::set_permissions(&stranger, fs::Permissions::from_mode(0o777)).unwrap();
    chown(&stranger, Some(60_999), Some(60_999)).unwrap();
    assert_eq!(runtime_directory(&remote, &user), Some(format!("/tmp/drunc-{}", user.uid).into()));
    assert_eq!(fs::read_dir(&stranger).unwrap().count(), 0);
    assert_eq!(fs::metadata(&stranger).unwrap().permissions().mode() & 0o777, 0o777);
}

#[test]
fn a_symbolic_link_is_passed_over() {
    let remote = Remote::start();
    let Some(user) = user_of(&remote) else { return };
    // The link leads to a directory of the user's own, as a stranger would choose one to fill it or to change it.
    let target = remote.local(&user.home).join("valuable");
    fs::create_dir(&target).unwrap();
    chown(&target, Some(user.uid), Some(user.uid)).unwrap();
    let mode = || fs::metadata(&target).unwrap().permissions().mode();
    let before = mode();
    symlink(user.home.join("valuable"), remote.local(Path::new("/tmp/drunc"))).unwrap();
    assert_eq!(runtime_directory(&remote, &user), Some(format!("/tmp/drunc-{}", user.uid).into()));
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
    assert_eq!(mode(), before);
}

#[test]
fn the_home_is_the_last_and_without_any_directory_the_process_runs_all_the_same() {
    let remote = Remote::start();
    let Some(user) = user_of(&remote) else { return };
    for name in ["/tmp/drunc".to_owned(), format!("/tmp/drunc-{}", user.uid)] {
        fs::write(remote.local(Path::new(&name)), "a stranger's").unwrap();
    }
    assert_eq!(runtime_directory(&remote, &user), Some(user.home.join(".local/state/sshpm")));
    let home = remote.local(&user.home);
    fs::remove_dir_all(home.join(".local")).unwrap();
    fs::write(home.join(".local"), "a stranger's").unwrap();
    assert_eq!(runtime_directory(&remote, &user), None);
}

#[test]
fn a_uuid_that_another_manager_runs_on_that_host_is_refused_until_it_ends() {
    let remote = Remote::start();
    let (first, second) = (manager(&remote), manager(&remote));
    let application = start_ready(&first, "u", &shell(OWN_CODES));
    let before = metadata(&remote);
    assert_eq!(failure_of(&second, "u", &shell("exit 0")), StartFailure::UuidInUse);
    assert!(application.is_alive());
    assert_eq!(metadata(&remote), before, "the owner's metadata file stays");
    assert_eq!(before.len(), 1);
    assert_eq!(first.kill_process("u", TIME).unwrap().code(), Some(17));
    remote.assert_nothing_left();
    start(&second, "u", &shell("exit 6"));
    assert_eq!(end_of(&second, "u").code(), Some(6));
    finish(&second, &remote);
}

#[test]
fn stale_metadata_is_no_owner() {
    let remote = Remote::start();
    if !remote.require_users("the runtime directory would be the real one") {
        return;
    }
    let manager = manager(&remote);
    let directory = remote.local(Path::new("/tmp/drunc"));
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let of = |pid: &str, start: &str, boot: &str| {
        format!("{{\"pid\":{pid},\"start_time\":\"{start}\",\"boot_id\":\"{}\",\"instance\":\"x\"}}\n", boot.trim())
    };
    let own = support::ProcessInfo::of(std::process::id() as i32).unwrap();
    let (pid, start_time) = (own.pid.to_string(), own.start_time.to_string());
    let cases = [
        ("another-start", of(&pid, "1", &boot)),
        ("another-boot", of(&pid, &start_time, "00000000-0000-0000-0000-000000000000")),
        ("gone", of("4194304", "1", &boot)),
        ("hostile", of("$(touch /tmp/scratch/hacked)", "`touch /tmp/scratch/hacked`", &boot)),
        ("empty", String::new()),
        ("garbage", "\u{1}\\x41 %s \"pid\":-1,".to_owned()),
    ];
    for (uuid, content) in cases {
        fs::write(directory.join(format!("metadata_{uuid}.json")), content).unwrap();
        start(&manager, uuid, &shell("exit 3"));
        assert_eq!(end_of(&manager, uuid).code(), Some(3), "{uuid}");
    }
    // The counter-proof: this counts as an owner, because it is one.
    let live = directory.join("metadata_live.json");
    fs::write(&live, of(&pid, &start_time, &boot)).unwrap();
    assert_eq!(failure_of(&manager, "live", &shell("exit 0")), StartFailure::UuidInUse);
    fs::remove_file(live).unwrap();
    assert!(!remote.local(Path::new("/tmp/scratch/hacked")).exists());
    finish(&manager, &remote);
}

#[test]
fn one_that_ends_at_once_has_started_and_ended_every_time() {
    const TIMES: usize = 100;
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    let uuids: Vec<_> = (0..TIMES).map(|at| format!("u{at}")).collect();
    for (at, uuid) in uuids.iter().enumerate() {
        let host = ["alpha", "beta", "gamma"][at % 3];
        let request = BootRequest::new(host, ["/bin/sh", "-c", "exit 0"]).start_timeout(Duration::from_secs(60));
        // Half of them have the observer that setup lines need, whose report races with that of the exit.
        let request = if at % 2 == 0 { request } else { request.setup_line("true") };
        manager.start_process(uuid, &request).unwrap();
    }
    for uuid in &uuids {
        assert!(manager.wait_until_started(uuid, 2 * TIME).unwrap() > 1);
        assert_eq!(end_of(&manager, uuid).code(), Some(0));
    }
    remote.assert_nothing_left();
    let events = witness.all(manager);
    assert_eq!(events.len(), TIMES);
    assert!(events.values().all(|words| *words == ["started", "exited"]), "{events:?}");
}

#[test]
fn a_start_that_failed_can_be_tried_again_under_its_uuid() {
    let remote = Remote::start();
    let manager: Manager = manager(&remote);
    assert_eq!(failure_of(&manager, "u", &BootRequest::new("alpha", ["/missing"])), StartFailure::ProgramNotFound);
    start(&manager, "u", &shell("exit 8"));
    assert_eq!(end_of(&manager, "u").code(), Some(8));
    wait_until("the watcher's end", DEADLINE, || manager.runtime_pids("u").client_monitoring.is_none().then_some(()));
    finish(&manager, &remote);
}
