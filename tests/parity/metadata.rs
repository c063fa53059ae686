//! The metadata file of a process while it lives, and the reading of good and hostile ones.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::life::*;
use crate::support::{ProcessInfo, Remote, User, is_failure, isolated, peak_kib, wait_until};
use sshpm::{Error, FileProblem, LauncherFailure, Manager, ProcessMetadata, Role, SshFailure};

/// Returns the path of the metadata file of a uuid, as this process sees it.
#[track_caller]
fn file_of(remote: &Remote, uuid: &str) -> PathBuf {
    let name = format!("metadata_{uuid}.json");
    let found: Vec<_> =
        remote.runtime_files().into_iter().filter(|path| path.file_name().unwrap() == name.as_str()).collect();
    assert_eq!(found.len(), 1, "{name}: {:?}", remote.runtime_files());
    remote.local(&found[0])
}

#[test]
fn read_process_metadata() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let user = &remote.users()[0].name;
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let name = "it's \"quoted\"\n$HOME\\ é";
    let request = shell(OWN_CODES).name(name).session("np04").tree_id("0.1.2").role(Role::Application);
    let application = start_ready(&manager, "u", &request);
    let after = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();

    let file = file_of(&remote, "u");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o7777, 0o700);
    // The seed's own reader needs a JSON object with these seven keys.
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(json["pid"].as_i64(), Some(application.pid.into()));
    assert_eq!(json["hostname"], "alpha");
    assert_eq!(json["user"], user.as_str());
    assert!((before..=after).contains(&json["started_at"].as_f64().unwrap()), "{json}");
    assert_eq!(
        (&json["tree_id"], &json["role"], &json["name"]),
        (&"0.1.2".into(), &"application".into(), &name.into())
    );

    let metadata = manager.read_process_metadata("u", "alpha", None, TIME).unwrap();
    assert_eq!(metadata.pid, i64::from(application.pid));
    assert_eq!((metadata.hostname.as_str(), &metadata.user), ("alpha", user));
    assert_eq!((metadata.tree_id.as_str(), metadata.role.as_str()), ("0.1.2", "application"));
    assert_eq!((metadata.name.as_str(), metadata.session.as_str()), (name, "np04"));
    assert_eq!(metadata.started_at, json["started_at"].as_f64().unwrap());
    // These two and the pid identify one process for ever.
    assert_eq!(metadata.start_time, application.start_time.to_string());
    assert_eq!(metadata.boot_id, fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim());
    // Another manager can read it as well.
    let another = Manager::new(remote.options_as()).unwrap();
    assert_eq!(another.read_process_metadata("u", "beta", Some(user), TIME).unwrap(), metadata);

    manager.kill_process("u", TIME).unwrap();
    finish(&manager, &remote);
    assert!(!file.exists());
    let missing = manager.read_process_metadata("u", "alpha", None, Duration::ZERO).unwrap_err();
    assert!(
        matches!(&missing, Error::RemoteFile { problem: FileProblem::Missing, host, .. } if host == "alpha"),
        "{missing}"
    );
    remote.assert_nothing_left();
}

#[test]
fn a_metadata_file_is_waited_for() {
    let remote = Remote::start();
    let manager = manager(&remote);
    // The reader waits before the file exists.
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| manager.read_process_metadata("late", "alpha", None, TIME));
        wait_until("the reader's script", TIME, || (!remote.processes().is_empty()).then_some(()));
        start_ready(&manager, "late", &shell(OWN_CODES));
        let metadata = reader.join().unwrap().unwrap();
        assert_eq!(metadata.pid, manager.remote_pid("late").unwrap());
    });
    finish(&manager, &remote);
}

#[test]
fn the_metadata_file_path() {
    assert_eq!(sshpm::metadata_file_path("a-b"), "${XDG_RUNTIME_DIR:-/tmp}/drunc/metadata_a-b.json");
    // The path, as a shell on the host expands it, is that of the file.
    let remote = Remote::builder().runtime_dirs().start();
    let manager = manager(&remote);
    start_ready(&manager, "a-b", &shell(OWN_CODES));
    let read = format!("cat \"{}\"", sshpm::metadata_file_path("a-b"));
    let output = remote.by_hand(&read).output().unwrap();
    let metadata = ProcessMetadata::from_json("a-b", &output.stdout).unwrap();
    assert_eq!(metadata.pid, manager.remote_pid("a-b").unwrap());
    finish(&manager, &remote);
}

#[test]
fn two_users_on_one_host() {
    let remote = Remote::start();
    if !remote.require_users("the test needs two users on one host") {
        return;
    }
    let manager = Manager::new(remote.options_as()).unwrap();
    let users: Vec<User> = ["root", "bash", "dash"].iter().filter_map(|shell| remote.user(shell)).collect();
    assert!(users.len() > 1);
    // Two managers use the same uuid on one host, as two users: each user has files of its own.
    let others: Vec<_> = users.iter().map(|_| crate::life::manager(&remote)).collect();
    for (user, manager) in users.iter().zip(&others) {
        start_ready(manager, "same", &remote.request_as(user, shell(OWN_CODES)));
    }
    for (user, other) in users.iter().zip(&others) {
        let metadata = manager.read_process_metadata("same", "alpha", Some(&user.name), TIME).unwrap();
        assert_eq!((metadata.pid, &metadata.user), (other.remote_pid("same").unwrap(), &user.name));
    }
    for manager in &others {
        assert_eq!(manager.kill_process("same", TIME).unwrap().code(), Some(17));
    }
    finish(&manager, &remote);
}

#[test]
fn hostile_metadata_files_are_refused_and_nothing_is_done_with_them() {
    isolated(|| {
        let remote = Remote::start();
        let manager = manager(&remote);
        // This makes the directory.
        start_ready(&manager, "good", &shell(OWN_CODES));
        let file = file_of(&remote, "good");
        let good = fs::read_to_string(&file).unwrap();
        let directory = file.parent().unwrap().to_owned();
        // A kill with a pid of 0, 1 or -1 would end this process's group, init, or everything.
        let bystander = start_ready(&manager, "bystander", &shell(OWN_CODES));
        let pid = manager.remote_pid("good").unwrap();
        let with_pid = |pid_text: &str| good.replacen(&format!("\"pid\":{pid},"), &format!("\"pid\":{pid_text},"), 1);
        assert_ne!(with_pid("1"), good);

        let path = directory.join("metadata_bad.json");
        let refused = |what: &str| {
            let error = manager.read_process_metadata("bad", "alpha", None, Duration::ZERO).unwrap_err();
            assert!(matches!(&error, Error::BadMetadata { uuid, .. } if uuid == "bad"), "{what}: {error}");
            error.to_string()
        };
        for (what, content) in [
            ("empty", String::new()),
            ("cut off", good[..good.len() / 2].to_owned()),
            ("not JSON", "pid=42\n".to_owned()),
            ("an array", "[1]".to_owned()),
            ("deep", "[".repeat(60_000)),
            ("pid 0", with_pid("0")),
            ("pid 1", with_pid("1")),
            ("pid -1", with_pid("-1")),
            ("pid too large", with_pid("4294967297")),
            ("pid a word", with_pid("\"42\"")),
            ("no host", "{\"pid\":4242}".to_owned()),
        ] {
            fs::write(&path, content).unwrap();
            let message = refused(what);
            if let Some(pid) = what.strip_prefix("pid ").filter(|pid| pid.len() < 3) {
                assert!(message.contains(&format!("its pid is {pid};")), "{message}");
            }
            // Such a file hinders no process of that uuid, and the process's end affects nothing that the file names.
            start_ready(&manager, "bad", &shell(OWN_CODES));
            assert_eq!(manager.kill_process("bad", TIME).unwrap().code(), Some(17), "{what}");
            // The exit is reported before the file is removed.
            wait_until("the end of the file", TIME, || (!path.exists()).then_some(()));
            assert!(bystander.is_alive(), "{what}");
        }
        // No UTF-8.
        fs::write(&path, b"{\"pid\":42,\"hostname\":\"\xff\xfe\"}").unwrap();
        refused("not UTF-8");
        // 100 MB of zeros: neither kept here nor read there.
        let before = peak_kib();
        File::create(&path).unwrap().set_len(100 << 20).unwrap();
        refused("huge");
        // The kernel's peak is not exact: it can be lower than before.
        let more = peak_kib().saturating_sub(before);
        assert!(more < 32 << 10, "{more} KiB");
        fs::remove_file(&path).unwrap();

        // Anything but a regular file of this user counts as missing.
        let missing = |what: &str| {
            let error = manager.read_process_metadata("bad", "alpha", None, Duration::ZERO).unwrap_err();
            assert!(matches!(error, Error::RemoteFile { problem: FileProblem::Missing, .. }), "{what}: {error}");
        };
        symlink("metadata_good.json", &path).unwrap();
        missing("a symbolic link");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        missing("a directory");
        fs::remove_dir(&path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        missing("a fifo");
        fs::remove_file(&path).unwrap();
        if remote.require_users("the test needs files of other users") {
            fs::write(&path, &good).unwrap();
            std::os::unix::fs::chown(&path, Some(remote.users().last().unwrap().uid), None).unwrap();
            missing("another's");
            fs::remove_file(&path).unwrap();
        }
        finish(&manager, &remote);
    });
}

#[test]
fn what_stands_in_the_place_of_metadata_does_not_hold_up_a_start() {
    let remote = Remote::start();
    let manager = manager(&remote);
    start_ready(&manager, "u", &shell(OWN_CODES));
    let path = file_of(&remote, "u");
    manager.kill_process("u", TIME).unwrap();
    remote.assert_nothing_left();
    // The shell's `read` would take this byte by byte, and a fifo would hang it.
    File::create(&path).unwrap().set_len(100 << 20).unwrap();
    start_ready(&manager, "u", &shell(OWN_CODES));
    assert!(fs::metadata(&path).unwrap().len() < 4096, "it is replaced");
    manager.kill_process("u", TIME).unwrap();
    remote.assert_nothing_left();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    start_ready(&manager, "u", &shell(OWN_CODES));
    assert!(fs::metadata(&path).unwrap().is_file(), "it is replaced");
    finish(&manager, &remote);
}

#[test]
fn reading_metadata_leaves_nothing_when_its_time_is_over() {
    let remote = Remote::start();
    let manager = manager(&remote);
    for (uuid, host, user) in [
        ("a/b", "alpha", None),
        ("", "alpha", None),
        ("u", "-oA", None),
        ("u", "a b", None),
        ("u", "alpha", Some("-l")),
    ] {
        let refused = manager.read_process_metadata(uuid, host, user, TIME);
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{uuid:?} {host:?}: {refused:?}");
    }
    assert_eq!(remote.logins(), 0);
    // The script on the host ends with its client, however long it may wait.
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| manager.read_process_metadata("u", "alpha", None, Duration::from_secs(600)));
        let is_script = |process: &ProcessInfo| process.cmdline.first().is_some_and(|word| word == "sleep");
        wait_until("the script waits", TIME, || remote.processes().iter().any(is_script).then_some(()));
        remote.break_calls();
        let error = reader.join().unwrap().unwrap_err();
        assert!(is_failure(&error, SshFailure::Closed, LauncherFailure::Closed), "{error}");
    });
    remote.assert_nothing_left();
}
