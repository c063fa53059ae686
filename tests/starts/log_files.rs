//! Where an application's output goes: into its log file, in each mode, or back over ssh, every byte of it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::{self, Remote, run_to_end};
use sshpm::{BootRequest, Error, LinkLossPolicy, LogMode, Manager, Output, ProcessState, StartFailure};

/// Runs test-app with these verbs and its output in the file, and asserts that it ends with 0.
#[track_caller]
fn log(manager: &Manager, remote: &Remote, verbs: &str, file: &Path, mode: LogMode) {
    let request = remote.request("alpha", verbs).log_file(file).log_mode(mode);
    assert_eq!(run_to_end(manager, "logs", &request).unwrap().code(), Some(0));
}

#[track_caller]
fn assert_holds(remote: &Remote, file: &Path, expected: &str) {
    assert_eq!(String::from_utf8_lossy(&remote.read(file)), expected, "{}", file.display());
}

/// Returns why a start failed. It must have failed.
#[track_caller]
fn failure(manager: &Manager, request: &BootRequest) -> StartFailure {
    let error = run_to_end(manager, "fails", request).unwrap_err();
    assert_eq!(manager.process_state("fails").unwrap(), ProcessState::Failed);
    match error {
        Error::StartFailed { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[test]
fn a_fresh_log_keeps_the_former_one() {
    support::isolated(|| {
        let before = support::local_snapshot();
        let remote = Remote::start();
        let manager = remote.manager();
        let file = remote.scratch().join("app.log");
        let former = with_suffix(&file, ".1");
        log(&manager, &remote, "print one", &file, LogMode::Fresh);
        assert_holds(&remote, &file, "one\n");
        assert!(!remote.local(&former).exists());
        // Of the earlier files only the last one is kept.
        for (text, kept) in [("two", "one\n"), ("three", "two\n")] {
            log(&manager, &remote, &format!("print {text}"), &file, LogMode::Fresh);
            assert_holds(&remote, &file, &format!("{text}\n"));
            assert_holds(&remote, &former, kept);
        }
        assert!(!remote.local(&with_suffix(&former, ".1")).exists());
        remote.assert_nothing_left();
        drop(manager);
        remote.stop();
        support::assert_same_as(&before);
    });
}

#[test]
fn a_log_is_continued_or_emptied_when_asked() {
    let remote = Remote::start();
    let manager = remote.manager();
    let file = remote.scratch().join("app.log");
    for (text, mode, expected) in [
        ("one", LogMode::Append, "one\n"),
        ("two", LogMode::Append, "one\ntwo\n"),
        ("three", LogMode::Truncate, "three\n"),
        ("four", LogMode::Append, "three\nfour\n"),
    ] {
        log(&manager, &remote, &format!("print {text}"), &file, mode);
        assert_holds(&remote, &file, expected);
    }
    assert!(!remote.local(&with_suffix(&file, ".1")).exists());
    // This is no regular file: it is neither renamed nor refused.
    log(&manager, &remote, "print five", Path::new("/dev/null"), LogMode::Fresh);
    assert!(!remote.local(Path::new("/dev/null.1")).exists());
    remote.assert_nothing_left();
}

#[test]
fn a_relative_log_begins_at_the_login_directory() {
    let remote = Remote::start();
    if !remote.require_users("the login directory would be the real one") {
        return;
    }
    let manager = remote.manager();
    let home = remote.users()[0].home.clone();
    // They do not begin at the working directory, and no command takes them for an option.
    for name in ["app.log", "-e"] {
        let request = remote.request("alpha", "print text").log_file(name).working_directory(remote.scratch());
        run_to_end(&manager, "relative", &request).unwrap();
        assert_holds(&remote, &home.join(name), "text\n");
    }
    remote.assert_nothing_left();
}

#[test]
fn all_output_of_setup_and_application_is_in_the_log() {
    let remote = Remote::start();
    let manager = remote.manager();
    let file = remote.scratch().join("app.log");
    let request = remote
        .request("alpha", "print c stderr d stdout 000d0a00ff stderr e")
        .setup_line("echo a; echo b >&2")
        .log_file(&file)
        .umask(0o027);
    assert_eq!(run_to_end(&manager, "logs", &request).unwrap().code(), Some(0));
    assert_eq!(remote.read(&file), b"a\nb\nc\nd\0\r\n\0\xffe");
    assert_eq!(fs::metadata(remote.local(&file)).unwrap().permissions().mode() & 0o777, 0o640);
    // Nothing of it came back.
    for output in [manager.process_stdout("logs"), manager.process_stderr("logs")] {
        assert_eq!(output.unwrap(), Output::default());
    }
    // What a setup line writes before it fails can be read.
    let request = remote.request("alpha", "print never").setup_line("echo why; false").log_file(&file);
    assert_eq!(failure(&manager, &request), StartFailure::Setup { line: 1, code: 1 });
    assert_holds(&remote, &file, "why\n");
    remote.assert_nothing_left();
}

#[test]
fn a_log_that_cannot_be_fails_the_start() {
    let remote = Remote::start();
    let manager = remote.manager();
    let scratch = remote.scratch();
    let ran = scratch.join("ran");
    let to = |file: &Path| remote.request("alpha", &format!("report {}", ran.display())).log_file(file);
    assert_eq!(failure(&manager, &to(&scratch.join("missing/app.log"))), StartFailure::LogDirectory);
    let text = manager.exit_status("fails").unwrap().unwrap_err().to_string();
    assert!(
        text.contains("alpha") && text.contains("the directory of the log file does not exist; create it"),
        "{text}"
    );
    assert!(!remote.local(&scratch.join("missing")).exists());
    for mode in [LogMode::Fresh, LogMode::Append, LogMode::Truncate] {
        assert_eq!(failure(&manager, &to(&scratch).log_mode(mode)), StartFailure::LogFile, "{mode:?}");
    }
    assert!(!remote.local(&ran).exists(), "the application was started all the same");
    remote.assert_nothing_left();
}

#[test]
fn a_log_that_may_not_be_written_fails_the_start() {
    let remote = Remote::start();
    let Some(user) = remote.user("dash").or_else(|| remote.user("bash")) else {
        return support::skipped("no user without privileges");
    };
    let manager = remote.manager();
    let to = |file: &Path| remote.request_as(&user, remote.request("alpha", "print text")).log_file(file);
    // The directory belongs to root: the user can enter and read it only.
    let dir = remote.scratch().join("of-root");
    fs::create_dir(remote.local(&dir)).unwrap();
    fs::set_permissions(remote.local(&dir), Permissions::from_mode(0o755)).unwrap();
    assert_eq!(failure(&manager, &to(&dir.join("new.log"))), StartFailure::LogFile);
    let text = manager.exit_status("fails").unwrap().unwrap_err().to_string();
    assert!(text.contains(&format!("{}@alpha", user.name)) && text.contains("cannot be written"), "{text}");

    // Everybody may write to this file, but not rename it.
    let file = dir.join("open.log");
    fs::write(remote.local(&file), "former\n").unwrap();
    fs::set_permissions(remote.local(&file), Permissions::from_mode(0o666)).unwrap();
    assert_eq!(failure(&manager, &to(&file).log_mode(LogMode::Fresh)), StartFailure::LogFile);
    assert_holds(&remote, &file, "former\n");
    run_to_end(&manager, "appends", &to(&file).log_mode(LogMode::Append)).unwrap();
    assert_holds(&remote, &file, "former\ntext\n");
    fs::set_permissions(remote.local(&file), Permissions::from_mode(0o444)).unwrap();
    for mode in [LogMode::Append, LogMode::Truncate] {
        assert_eq!(failure(&manager, &to(&file).log_mode(mode)), StartFailure::LogFile, "{mode:?}");
    }
    assert_holds(&remote, &file, "former\ntext\n");
    remote.assert_nothing_left();
}

#[test]
fn without_a_log_every_byte_comes_back() {
    let remote = Remote::start();
    let manager = remote.manager();
    // All bytes twice, with and without a newline before the end, and bytes that a terminal would change.
    let mut bytes: Vec<u8> = (0..=255).chain(0..=255).collect();
    bytes.extend(b"\r\n\r\r\n\n\x03\x04\x1a~.\r");
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let request = remote.request("alpha", &format!("stdout {hex} stderr x"));
    assert_eq!(run_to_end(&manager, "p", &request).unwrap().code(), Some(0));
    assert_eq!(manager.process_stdout("p").unwrap(), Output { bytes, dropped: 0 });
    assert!(matches!(manager.process_stdout("unknown"), Err(Error::UnknownUuid { .. })));
    remote.assert_nothing_left();
}

#[test]
fn the_streams_are_kept_apart() {
    let remote = Remote::start();
    let manager = remote.manager();
    // All bytes that an argument can have.
    let text: Vec<u8> = (1..=255).collect();
    let stderr = std::os::unix::ffi::OsStringExt::from_vec(text.clone());
    let verbs: [std::ffi::OsString; 4] = ["stdout".into(), "6f7574".into(), "stderr".into(), stderr];
    let request = remote.request_with("alpha", verbs).setup_line("printf 's '; printf 'e ' >&2");
    run_to_end(&manager, "p", &request).unwrap();
    assert_eq!(manager.process_stdout("p").unwrap().bytes, b"s out");
    assert_eq!(manager.process_stderr("p").unwrap().bytes, [b"e ".as_slice(), &text].concat());
    remote.assert_nothing_left();
}

#[test]
fn output_is_bounded_and_what_is_dropped_is_counted() {
    let remote = Remote::start();
    let limit = 1000;
    let manager = remote.manager_with(remote.options().output_limit(limit));
    // More than any pipe or window on the way holds, so that it comes in many pieces. Its end is recognisable.
    let spam = 5_000_000;
    run_to_end(&manager, "p", &remote.request("alpha", &format!("spam {spam} stdout 656e64"))).unwrap();
    let Output { bytes, dropped } = manager.process_stdout("p").unwrap();
    assert_eq!((bytes.len(), dropped), (limit, (spam + 3 - limit) as u64));
    assert!(bytes.ends_with(b"x\nend") && bytes.starts_with(b"x"), "{:?}", String::from_utf8_lossy(&bytes));

    let text = "e".repeat(limit + 1);
    run_to_end(&manager, "p", &remote.request("alpha", &format!("stderr {text}"))).unwrap();
    let stderr = manager.process_stderr("p").unwrap();
    assert_eq!((stderr.bytes.len(), stderr.dropped), (limit, 1));
    // Exactly as much as the limit is kept.
    run_to_end(&manager, "p", &remote.request("alpha", &format!("stderr {}", &text[1..]))).unwrap();
    assert_eq!(manager.process_stderr("p").unwrap(), Output { bytes: text[1..].into(), dropped: 0 });
    remote.assert_nothing_left();
}

#[test]
fn all_output_is_there_when_the_end_is_told() {
    let remote = Remote::start();
    let manager = remote.manager();
    let uuids: Vec<String> = (0..6).map(|number| format!("p-{number}")).collect();
    for uuid in &uuids {
        manager.start_process(uuid, &remote.request("alpha", "spam 512000 stdout 656e64")).unwrap();
    }
    for uuid in &uuids {
        support::wait_for_end(&manager, uuid).unwrap();
        let output = manager.process_stdout(uuid).unwrap();
        assert_eq!((output.bytes.len(), output.dropped), (512_003, 0));
        assert!(output.bytes.ends_with(b"\nend"));
    }
    remote.assert_nothing_left();
}

#[test]
fn the_noise_of_start_up_files_is_not_the_applications() {
    // Without a newline at the end. What follows must be found all the same.
    let noise = "echo out noise; echo err noise >&2; printf 'half a line'; printf 'half an err' >&2\n";
    let mut builder = Remote::builder();
    for (user, file) in [("root", ".bashrc"), ("zsh", ".zshenv")] {
        builder = builder.user_file(user, file, noise);
    }
    let remote = builder.start();
    if !remote.require_users("start-up files need a home directory") {
        return;
    }
    let manager = remote.manager();
    for name in ["root", "zsh"] {
        let Some(user) = remote.user(name) else { continue };
        // There is noise at all.
        let output = remote.ssh(&format!("{}@alpha", user.name)).arg("echo mine").output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "out noise\nhalf a linemine\n", "{name}");
        run_to_end(&manager, name, &remote.request_as(&user, remote.request("alpha", "print mine stderr mine")))
            .unwrap();
        assert_eq!(manager.process_stdout(name).unwrap(), Output { bytes: b"mine\n".into(), dropped: 0 }, "{name}");
        assert_eq!(manager.process_stderr(name).unwrap(), Output { bytes: b"mine".into(), dropped: 0 }, "{name}");
    }
    remote.assert_nothing_left();
}

/// The mode of a log file is the application's affair: it decides what others and later starts may do.
#[test]
fn a_log_that_its_owner_may_not_write_is_written_by_the_start_that_creates_it() {
    let remote = Remote::builder().user_file("bash", ".bashrc", "umask 0777\n").start();
    let Some(user) = remote.user("bash") else {
        return support::skipped("no user without privileges");
    };
    let manager = remote.manager();
    let mode_of = |file: &Path| fs::metadata(remote.local(file)).unwrap().permissions().mode() & 0o777;
    for (mask, mode) in [(Some(0o222), 0o444), (Some(0o277), 0o400), (Some(0o777), 0), (None, 0)] {
        for policy in [LinkLossPolicy::Terminate, LinkLossPolicy::Keep] {
            let dir = remote.scratch().join(format!("{mask:?}-{policy:?}"));
            fs::create_dir(remote.local(&dir)).unwrap();
            fs::set_permissions(remote.local(&dir), Permissions::from_mode(0o777)).unwrap();
            let to = |name: &str, log_mode| {
                let mut request = remote.request_as(&user, remote.request("alpha", "print text"));
                if let Some(mask) = mask {
                    request = request.umask(mask);
                }
                request.link_loss(policy).log_file(dir.join(name)).log_mode(log_mode)
            };
            for (name, log_mode) in [
                ("fresh", LogMode::Fresh),
                ("fresh", LogMode::Fresh),
                ("append", LogMode::Append),
                ("truncate", LogMode::Truncate),
            ] {
                let status = run_to_end(&manager, "logs", &to(name, log_mode)).unwrap();
                assert_eq!(status.code(), Some(0), "{mask:?} {policy:?} {log_mode:?}");
                assert_holds(&remote, &dir.join(name), "text\n");
                assert_eq!(mode_of(&dir.join(name)), mode, "{mask:?} {policy:?} {log_mode:?}");
            }
            // The owner may not write to it any more.
            for (name, log_mode) in [("append", LogMode::Append), ("truncate", LogMode::Truncate)] {
                assert_eq!(failure(&manager, &to(name, log_mode)), StartFailure::LogFile, "{mask:?} {policy:?}");
                assert_holds(&remote, &dir.join(name), "text\n");
            }
        }
    }
    remote.assert_nothing_left();
}

/// coreutils' `mkfifo -m` needs /proc, which sshd's ChrootDirectory usually lacks.
#[test]
fn a_host_without_proc_starts_applications() {
    let remote = Remote::start();
    if !remote.require_users("the remote cannot lose its /proc") {
        return;
    }
    remote.mount_tmpfs("/proc", "mode=555");
    let manager = remote.manager();
    for policy in [LinkLossPolicy::Terminate, LinkLossPolicy::Keep] {
        let request = remote.request("alpha", "print text exit 7").link_loss(policy);
        assert_eq!(run_to_end(&manager, "u", &request).unwrap().code(), Some(7), "{policy:?}");
        assert_eq!(manager.process_stdout("u").unwrap().bytes, b"text\n", "{policy:?}");
    }
    drop(manager);
    remote.assert_nothing_left();
}
