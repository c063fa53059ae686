//! read_log_file and follow_log_file, whatever the name and the content of the file, and whatever happens to it.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::life::*;
use crate::support::{
    self, By, NOWHERE, ProcessInfo, Remote, assert_same_as, assert_same_bytes, brief, is_failure, isolated,
    launched_by, local_snapshot, wait_until,
};
use sshpm::{Error, FileProblem, LauncherFailure, LogFollower, Manager, SshFailure};

#[track_caller]
fn read(manager: &Manager, path: impl AsRef<Path>, lines: usize) -> Vec<u8> {
    let path = path.as_ref();
    manager.read_log_file("alpha", None, path, lines, TIME).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

#[track_caller]
fn problem(manager: &Manager, user: Option<&str>, path: &Path) -> FileProblem {
    match manager.read_log_file("alpha", user, path, 10, TIME) {
        Err(Error::RemoteFile { host, path: named, problem }) => {
            assert_eq!((host.as_str(), named), ("alpha", path.display().to_string()));
            problem
        }
        other => panic!("{}: {other:?}", path.display()),
    }
}

#[test]
fn read_log_file() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let file = remote.scratch().join("log");
    let local = remote.local(&file);
    let text: String = (1..=1000).map(|number| format!("line {number}\n")).collect();
    fs::write(&local, &text).unwrap();
    assert_eq!(read(&manager, &file, 2), b"line 999\nline 1000\n");
    assert_same_bytes("5000 lines", read(&manager, &file, 5000), &text);
    assert_same_bytes("all lines", read(&manager, &file, usize::MAX), &text);
    assert_eq!(read(&manager, &file, 0), b"");
    // An unfinished line counts as a line, and an empty file is no error.
    fs::write(&local, "one\ntwo").unwrap();
    assert_eq!(read(&manager, &file, 1), b"two");
    fs::write(&local, "").unwrap();
    assert_eq!(read(&manager, &file, 100), b"");
    // Any bytes.
    let all: Vec<u8> = (0..=255).collect();
    fs::write(&local, &all).unwrap();
    assert_eq!(read(&manager, &file, 100), all);
    // A process writes this file, as in the seed.
    start_ready_log(&manager, &remote, &file);
    wait_until("a heartbeat", TIME, || {
        String::from_utf8_lossy(&read(&manager, &file, 100)).contains("Heartbeat").then_some(())
    });
    finish(&manager, &remote);
}

#[track_caller]
fn start_ready_log(manager: &Manager, remote: &Remote, file: &Path) {
    start(manager, "u", &app(remote, "heartbeat 0.1").log_file(file));
}

#[test]
fn read_log_file_of_files_that_cannot_be_read() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let scratch = remote.scratch();
    assert_eq!(problem(&manager, None, &scratch.join("missing")), FileProblem::Missing);
    assert_eq!(problem(&manager, None, &scratch.join("missing/too")), FileProblem::Missing);
    assert_eq!(problem(&manager, None, &scratch), FileProblem::IsDirectory);
    let fifo = scratch.join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(remote.local(&fifo)).status().unwrap().success());
    assert_eq!(problem(&manager, None, &fifo), FileProblem::NotRegular);
    assert_eq!(problem(&manager, None, Path::new("/dev/zero")), FileProblem::NotRegular);
    for (host, user, path) in [
        ("a b", None, "/x"),
        ("-oProxyCommand=x", None, "/x"),
        ("alpha", Some("a b"), "/x"),
        ("alpha", None, ""),
        ("alpha", None, "a\0b"),
    ] {
        let refused = manager.read_log_file(host, user, path, 1, TIME);
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{host:?} {user:?} {path:?}: {refused:?}");
        assert!(matches!(manager.follow_log_file(host, user, path, 1), Err(Error::Invalid { .. })), "{host:?}");
    }
    let refused = manager.read_log_file("refused", None, "/x", 1, TIME);
    assert!(is_failure(&refused.unwrap_err(), SshFailure::Refused, NOWHERE));
    let late = manager.read_log_file("silent", None, "/x", 1, Duration::from_millis(100));
    assert!(matches!(late, Err(Error::TimedOut { .. })), "{late:?}");
    let accounts = remote.accounts();
    let user = accounts.iter().find(|user| user.shell_name == "bash");
    if let (true, Some(user)) = (remote.require_users("root may read every file"), user) {
        let secret = scratch.join("secret");
        fs::write(remote.local(&secret), "secret\n").unwrap();
        fs::set_permissions(remote.local(&secret), Permissions::from_mode(0o600)).unwrap();
        let as_user = Manager::new(remote.options_as()).unwrap();
        assert_eq!(problem(&as_user, Some(&user.name), &secret), FileProblem::Unreadable);
        assert_eq!(read(&manager, &secret, 1), b"secret\n");
    }
    remote.assert_nothing_left();
}

#[test]
fn read_log_file_with_any_name() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let names = ["two words", "~", "-", "-n", "--help", "it's $HOME `id` \\", "*", "new\nline", "é"];
    for name in names {
        let path = remote.scratch().join(name);
        fs::write(remote.local(&path), format!("{name}!\n")).unwrap();
        assert_eq!(read(&manager, &path, 10), format!("{name}!\n").as_bytes(), "{name:?}");
    }
    // Relative paths begin at the login directory, and nothing in them is expanded.
    if remote.require_users("the test needs a home directory of its own") {
        let home = remote.users()[0].home.clone();
        for name in names {
            fs::write(remote.local(&home.join(name)), format!("home {name}!\n")).unwrap();
            assert_eq!(read(&manager, name, 10), format!("home {name}!\n").as_bytes(), "{name:?}");
        }
        assert_eq!(problem(&manager, None, Path::new("~/two words")), FileProblem::Missing);
    }
    remote.assert_nothing_left();
}

/// Makes a file of this size that is a hole except for these last bytes.
#[track_caller]
fn sparse(remote: &Remote, name: &str, size: u64, end: &str) -> PathBuf {
    let path = remote.scratch().join(name);
    let mut file = File::create(remote.local(&path)).unwrap();
    file.seek(SeekFrom::Start(size - end.len() as u64)).unwrap();
    file.write_all(end.as_bytes()).unwrap();
    path
}

#[test]
fn read_log_file_of_ten_gigabytes() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let large = sparse(&remote, "large", 10 << 30, "\nlast but one\nlast\n");
    // Reading all of it would take longer than the timeout.
    let brief = Duration::from_secs(30);
    assert_eq!(manager.read_log_file("alpha", None, &large, 2, brief).unwrap(), b"last but one\nlast\n");
    // One endless line: the result is its last 16 MiB.
    let endless = sparse(&remote, "endless", 10 << 30, "the end");
    let content = manager.read_log_file("alpha", None, &endless, 5, brief).unwrap();
    assert_eq!(content.len(), 16 << 20);
    assert!(content.ends_with(b"\0the end"));
    remote.assert_nothing_left();
}

/// Reads until exactly this has come.
#[track_caller]
fn expect(follower: &LogFollower, expected: &str) {
    let mut all = Vec::new();
    while all.len() < expected.len() {
        match follower.next(TIME) {
            Ok(Some(piece)) => all.extend(piece),
            other => panic!("{} behind {}", brief(&other), brief(&String::from_utf8_lossy(&all))),
        }
    }
    assert_same_bytes("what follows", all, expected);
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn follow_log_file() {
    isolated(|| {
        let remote = Remote::start();
        let before = local_snapshot();
        let manager = manager(&remote);
        let file = remote.scratch().join("a log's name");
        let local = remote.local(&file);
        fs::write(&local, "1\n2\n3\n").unwrap();
        let follower = manager.follow_log_file("alpha", None, &file, 2).unwrap();
        expect(&follower, "2\n3\n");
        // The file grows, by parts of lines and by any bytes.
        append(&local, "gro");
        // Slurm passes on whole lines.
        let begun = if launched_by() == By::Slurm { "" } else { "gro" };
        expect(&follower, begun);
        append(&local, "ws\n");
        expect(&follower, &"grows\n"[begun.len()..]);
        // The file is rotated, as a fresh log is.
        fs::rename(&local, local.with_extension("1")).unwrap();
        append(&local, "new\n");
        expect(&follower, "new\n");
        append(&local, "and more of it\n");
        expect(&follower, "and more of it\n");
        // The file is emptied, and grows again.
        File::options().write(true).open(&local).unwrap().set_len(0).unwrap();
        append(&local, "t\n");
        expect(&follower, "t\n");
        // The file is gone for a while.
        fs::remove_file(&local).unwrap();
        assert!(follower.next(Duration::from_millis(300)).unwrap().is_none());
        append(&local, "back\n");
        expect(&follower, "back\n");
        drop(follower);
        remote.assert_nothing_left();

        // A file that does not exist yet.
        let later = remote.scratch().join("later");
        let follower = manager.follow_log_file("alpha", None, &later, 10).unwrap();
        wait_until("the wait for the file", TIME, || running(&remote, "sleep"));
        append(&remote.local(&later), "here\n");
        expect(&follower, "here\n");
        // The follower outlives its manager, and ends by itself when it is dropped.
        drop(manager);
        append(&remote.local(&later), "still\n");
        expect(&follower, "still\n");
        drop(follower);
        remote.assert_nothing_left();
        assert_same_as(&before);
    });
}

/// Returns the process on the remote that runs this program, if there is one.
fn running(remote: &Remote, program: &str) -> Option<ProcessInfo> {
    let is_it = |process: &ProcessInfo| process.cmdline.first().is_some_and(|word| word == program);
    remote.processes().into_iter().find(is_it)
}

/// GNU tail watches a file with inotify only if the file exists when tail starts. Otherwise it looks every second.
#[test]
fn a_follower_that_began_before_its_file_does_not_poll() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let has_inotify = |tail: &ProcessInfo| {
        let fds = fs::read_dir(format!("/proc/{}/fd", tail.pid)).into_iter().flatten().flatten();
        fds.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|file| file == Path::new("anon_inode:inotify"))
    };
    let follow = |file: &Path, is_there: bool| {
        if is_there {
            append(&remote.local(file), "line\n");
        }
        let follower = manager.follow_log_file("alpha", None, file, 10).unwrap();
        if !is_there {
            wait_until("the wait for the file", TIME, || running(&remote, "sleep"));
            append(&remote.local(file), "line\n");
        }
        expect(&follower, "line\n");
        (follower, wait_until("the tail", TIME, || running(&remote, "tail")))
    };
    let (follower, tail) = follow(&remote.scratch().join("there"), true);
    append(&remote.local(&remote.scratch().join("there")), "more\n");
    expect(&follower, "more\n");
    if has_inotify(&tail) {
        drop(follower);
        remote.assert_nothing_left();
        let (_follower, tail) = follow(&remote.scratch().join("later"), false);
        wait_until("a watch on the file", TIME, || has_inotify(&tail).then_some(()));
    } else {
        support::skipped("this tail has no inotify for the files of this test");
    }
    drop(manager);
    remote.assert_nothing_left();
}

#[test]
fn a_directory_that_comes_in_place_of_the_file_is_told() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let later = remote.scratch().join("later");
    let follower = manager.follow_log_file("alpha", None, &later, 10).unwrap();
    wait_until("the wait for the file", TIME, || running(&remote, "sleep"));
    fs::create_dir(remote.local(&later)).unwrap();
    let error = follower.next(TIME).unwrap_err();
    assert!(matches!(error, Error::RemoteFile { problem: FileProblem::IsDirectory, .. }), "{error}");
    drop(follower);
    remote.assert_nothing_left();
}

#[test]
fn follow_log_file_ends_in_every_way() {
    isolated(|| {
        let remote = Remote::start();
        let before = local_snapshot();
        let manager = manager(&remote);
        let ended = |follower: &LogFollower| {
            let error = loop {
                match follower.next(TIME) {
                    Ok(piece) => drop(piece.expect("an end")),
                    Err(error) => break error,
                }
            };
            let after = follower.next(TIME);
            assert!(matches!(after, Err(Error::LinkDown { .. })), "{after:?}");
            assert!(after.unwrap_err().to_string().starts_with("this follower of a log file has ended"));
            error
        };
        let scratch = remote.scratch();
        // The follower is kept until the end of this test: one that has ended holds no descriptor.
        let directory = manager.follow_log_file("alpha", None, &scratch, 1).unwrap();
        let error = ended(&directory);
        assert!(matches!(error, Error::RemoteFile { problem: FileProblem::IsDirectory, .. }), "{error}");
        let error = ended(&manager.follow_log_file("refused", None, "/x", 1).unwrap());
        assert!(is_failure(&error, SshFailure::Refused, NOWHERE), "{error}");

        // The link breaks.
        let file = scratch.join("log");
        fs::write(remote.local(&file), "one\n").unwrap();
        let follower = manager.follow_log_file("alpha", None, &file, 1).unwrap();
        expect(&follower, "one\n");
        remote.break_calls();
        let error = ended(&follower);
        assert!(is_failure(&error, SshFailure::Closed, LauncherFailure::Closed), "{error}");
        drop(follower);
        remote.assert_nothing_left();

        // Followers are dropped before they have a connection, and while nobody reads more than their queue holds.
        let follower = manager.follow_log_file("silent", None, &file, 1).unwrap();
        assert!(follower.next(Duration::ZERO).unwrap().is_none());
        drop(follower);
        let large = sparse(&remote, "large", 64 << 20, "end\n");
        let follower = manager.follow_log_file("alpha", None, &large, 1).unwrap();
        assert!(follower.next(TIME).unwrap().is_some());
        drop(follower);
        remote.assert_nothing_left();
        drop(manager);
        assert_same_as(&before);
        drop(directory);
    });
}
