//! Files on both sides are private, and what others have put in their places is neither followed nor a hindrance.
//! `parity::metadata` tests metadata files in the user's own directory, `failures` the order of the directories, and
//! `links::unshared` directories for sockets that cannot be used for other reasons.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::life::*;
use crate::sharing::{logged, private_sockets, sockets_in};
use crate::support::{self, By, LONG, Remote, User, isolated, launched_by, skipped, wait_until};
use sshpm::{BootRequest, Error, FileProblem, LinkLossPolicy, Manager, ProcessState};

/// What can stand in the place of a file or a directory.
const OBSTACLES: [&str; 6] = ["file", "directory", "fifo", "link to nothing", "link to a file", "link to a directory"];

/// A directory and a file that links lead to. Following such a link would succeed: they are the user's own.
struct Target {
    /// As this process sees it.
    directory: PathBuf,
    before: Vec<String>,
}

impl Target {
    fn new(directory: PathBuf, owner: u32) -> Target {
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("file"), "kept").unwrap();
        for (path, mode) in [(directory.join("file"), 0o640), (directory.clone(), 0o700)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            chown(&path, Some(owner), Some(owner)).unwrap();
        }
        let mut target = Target { directory, before: Vec::new() };
        target.before = target.look();
        target
    }

    fn look(&self) -> Vec<String> {
        let describe = |path: PathBuf| {
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = fs::read(&path).map(|content| String::from_utf8_lossy(&content).into_owned());
            format!("{} {:o} {} {:?}", path.display(), metadata.mode(), metadata.uid(), content.ok())
        };
        let entries = fs::read_dir(&self.directory).unwrap().flatten().map(|entry| entry.path());
        let mut found: Vec<_> = entries.chain([self.directory.clone()]).map(describe).collect();
        found.sort();
        found
    }

    #[track_caller]
    fn assert_untouched(&self, what: &str) {
        assert_eq!(self.look(), self.before, "{what}");
    }
}

/// Puts it in the place `path`, as this process sees it. `target` is where a link leads.
fn put(obstacle: &str, path: &Path, target: &Path, owner: u32) {
    match obstacle {
        "file" => fs::write(path, "another's").unwrap(),
        "directory" => {
            fs::create_dir(path).unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
        }
        "fifo" => assert!(Command::new("mkfifo").args(["-m", "666"]).arg(path).status().unwrap().success()),
        "link to nothing" => symlink(target.join("nothing"), path).unwrap(),
        "link to a file" => symlink(target.join("file"), path).unwrap(),
        "link to a directory" => symlink(target, path).unwrap(),
        _ => panic!("{obstacle}"),
    }
    lchown(path, Some(owner), Some(owner)).unwrap();
}

fn remove(path: &Path) {
    if fs::symlink_metadata(path).unwrap().is_dir() {
        // Only if nobody has put anything there.
        fs::remove_dir(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Returns two users, one of whom is not root; neither is the other.
fn two_users(remote: &Remote) -> Option<(User, User)> {
    if !remote.require_users("the test needs files of other users") {
        return None;
    }
    let users = remote.users();
    let [_, user, other, ..] = &users[..] else {
        support::skipped("two login shells are needed, each for a user");
        return None;
    };
    Some((user.clone(), other.clone()))
}

fn codes_of(user: &User) -> BootRequest {
    shell(OWN_CODES).user(&user.name).grace(Duration::from_secs(1))
}

/// Returns the only runtime file of a process whose name ends so, as the remote sees it.
#[track_caller]
fn file_of(remote: &Remote, end: &str) -> PathBuf {
    let files = remote.runtime_files();
    let found: Vec<_> = files.iter().filter(|path| path.to_string_lossy().ends_with(end)).collect();
    assert_eq!(found.len(), 1, "{end}: {files:?}");
    found[0].clone()
}

/// Asserts that a process runs, that its metadata is in this directory and can be read, and that it ends as it is told
/// to.
#[track_caller]
fn assert_works(remote: &Remote, manager: &Manager, user: &User, directory: &Path, what: &str) {
    start_ready(manager, "u", &codes_of(user));
    let file = file_of(remote, "metadata_u.json");
    assert_eq!(file.parent(), Some(directory), "{what}");
    let metadata = fs::symlink_metadata(remote.local(&file)).unwrap();
    assert!(metadata.is_file() && metadata.uid() == user.uid && metadata.mode() & 0o777 == 0o600, "{what}");
    let read = manager.read_process_metadata("u", "alpha", Some(&user.name), LONG).unwrap();
    assert_eq!(read.pid, manager.remote_pid("u").unwrap(), "{what}");
    assert_eq!(manager.kill_process("u", TIME).unwrap().code(), Some(17), "{what}");
    wait_until("the end of the metadata file", TIME, || (!remote.local(&file).exists()).then_some(()));
}

#[test]
fn files_on_the_host_are_private_whatever_the_umask() {
    for (login, own) in [("000", None), ("022", Some(0o000)), ("077", Some(0o777))] {
        let remote = Remote::builder().user_file("root", ".bashrc", format!("umask {login}\n")).start();
        for share in [true, false] {
            let manager = Manager::new(options(&remote).share_connections(share)).unwrap();
            let mut request = shell("exit 0").setup_line("echo ready; sleep 1000");
            if let Some(umask) = own {
                request = request.umask(umask);
            }
            // During the setup all of its files exist.
            manager.start_process("u", &request).unwrap();
            wait_for_setup(&manager, "u");
            let files = wait_until("two fifos, the metadata and the reader's marker", TIME, || {
                Some(remote.runtime_files()).filter(|files| files.len() == 4)
            });
            for file in &files {
                let local = remote.local(file);
                assert_eq!(mode(&local), 0o600, "{}, umask {login} and {own:?}", file.display());
                assert_eq!(mode(local.parent().unwrap()), 0o700, "{}, umask {login} and {own:?}", file.display());
            }
            finish(&manager, &remote);
        }
    }
}

#[test]
fn a_directory_that_was_open_to_others_is_closed() {
    let remote = Remote::start();
    if !remote.require_users("all users share the directory") {
        return;
    }
    for share in [true, false] {
        let directory = remote.local(Path::new("/tmp/drunc"));
        let _ = fs::create_dir(&directory);
        fs::set_permissions(&directory, Permissions::from_mode(0o1777)).unwrap();
        let manager = Manager::new(remote.options_as().share_connections(share)).unwrap();
        assert_works(&remote, &manager, &remote.users()[0], Path::new("/tmp/drunc"), "an open directory");
        assert_eq!(mode(&directory), 0o700);
        finish(&manager, &remote);
    }
}

/// Kept processes use another directory.
#[test]
fn a_directory_of_kept_processes_that_was_open_to_others_is_closed() {
    if launched_by() == By::Slurm {
        return skipped("Slurm keeps no process");
    }
    let remote = Remote::start();
    if !remote.require_users("the directory would be the user's own") {
        return;
    }
    let kept = shell("echo ready; exec sleep 1000").link_loss(LinkLossPolicy::Keep);
    let manager = manager(&remote);
    start_ready(&manager, "u", &kept);
    let directory = remote.local(file_of(&remote, ".json").parent().unwrap());
    finish(&manager, &remote);
    for share in [true, false] {
        fs::set_permissions(&directory, Permissions::from_mode(0o777)).unwrap();
        let manager = Manager::new(remote.options_as().share_connections(share)).unwrap();
        start_ready(&manager, "u", &kept);
        assert_eq!(mode(&directory), 0o700, "{share}");
        finish(&manager, &remote);
    }
}

#[test]
fn a_status_file_is_private() {
    let remote = Remote::builder().user_file("root", ".bashrc", "umask 000\n").start();
    if !remote.require_users("start-up files need a home directory") {
        return;
    }
    let (gate, gated) = remote.gate();
    let manager = Manager::new(gated.lost_timeout(Duration::from_millis(1))).unwrap();
    let application = start_ready(&manager, "u", &shell(OWN_CODES).grace(Duration::ZERO).umask(0));
    // Nobody can log in and ask.
    gate.close();
    remote.break_links();
    wait_for_death(&application);
    wait_until("the link is lost", TIME, || {
        matches!(manager.process_state("u").unwrap(), ProcessState::LinkLost | ProcessState::Ended).then_some(())
    });
    manager.detach().unwrap();
    assert_only_status_files_left(&remote);
    let status = remote.local(&file_of(&remote, ".end"));
    assert_eq!((mode(&status), mode(status.parent().unwrap())), (0o600, 0o700));
}

#[test]
fn what_stands_in_the_place_of_the_runtime_directory_is_refused_and_not_followed() {
    let remote = Remote::start();
    let Some((user, other)) = two_users(&remote) else { return };
    let manager = Manager::new(remote.options_as()).unwrap();
    let mut target = Target::new(remote.local(Path::new("/tmp/target")), user.uid);
    let word = target.directory.join("metadata_x.json");
    fs::write(&word, r#"{"pid":42,"hostname":"h","user":"u","started_at":1}"#).unwrap();
    chown(&word, Some(user.uid), Some(user.uid)).unwrap();
    target.before = target.look();
    let shared = PathBuf::from("/tmp/drunc");
    let own = PathBuf::from(format!("/tmp/drunc-{}", user.uid));
    for obstacle in OBSTACLES {
        put(obstacle, &remote.local(&shared), Path::new("/tmp/target"), other.uid);
        assert_works(&remote, &manager, &user, &own, obstacle);
        let word = manager.read_process_metadata("x", "alpha", Some(&user.name), Duration::ZERO);
        assert!(matches!(word, Err(Error::RemoteFile { problem: FileProblem::Missing, .. })), "{obstacle}: {word:?}");
        // What was made there must not hinder the next case.
        fs::remove_dir(remote.local(&own)).unwrap();
        put(obstacle, &remote.local(&own), Path::new("/tmp/target"), other.uid);
        assert_works(&remote, &manager, &user, &user.home.join(".local/state/sshpm"), obstacle);
        for place in [&shared, &own] {
            let there = fs::symlink_metadata(remote.local(place)).unwrap();
            assert_eq!(there.uid(), other.uid, "{obstacle} is still there");
            remove(&remote.local(place));
        }
        target.assert_untouched(obstacle);
    }
    finish(&manager, &remote);
}

#[test]
fn what_stands_in_the_place_of_metadata_is_replaced_and_not_followed() {
    let remote = Remote::start();
    let Some((user, other)) = two_users(&remote) else { return };
    let manager = Manager::new(remote.options_as()).unwrap();
    let target = Target::new(remote.local(Path::new("/tmp/target")), user.uid);
    // The directory is the user's own, and others could once enter it.
    let directory = Path::new("/tmp/drunc");
    fs::create_dir(remote.local(directory)).unwrap();
    chown(remote.local(directory), Some(user.uid), Some(user.uid)).unwrap();
    let place = remote.local(&directory.join("metadata_u.json"));
    for obstacle in OBSTACLES.into_iter().filter(|obstacle| *obstacle != "directory") {
        put(obstacle, &place, Path::new("/tmp/target"), other.uid);
        assert_works(&remote, &manager, &user, directory, obstacle);
        target.assert_untouched(obstacle);
    }
    // Another user's file does not count as a sign that a process of this uuid lives.
    start_ready(&manager, "other", &shell(OWN_CODES).user(&user.name));
    let living = fs::read(remote.local(&directory.join("metadata_other.json"))).unwrap();
    fs::write(&place, &living).unwrap();
    chown(&place, Some(other.uid), Some(other.uid)).unwrap();
    assert_works(&remote, &manager, &user, directory, "another's word");
    fs::write(target.directory.join("living"), &living).unwrap();
    symlink("/tmp/target/living", &place).unwrap();
    assert_works(&remote, &manager, &user, directory, "a link to a word");
    assert_eq!(fs::read(target.directory.join("living")).unwrap(), living);
    assert_eq!(manager.kill_process("other", TIME).unwrap().code(), Some(17));
    finish(&manager, &remote);
}

#[test]
fn a_directory_in_the_place_of_metadata_is_left_and_told() {
    isolated(|| {
        logged::keep();
        let remote = Remote::start();
        if !remote.require_users("all users share the directory") {
            return;
        }
        let manager = manager(&remote);
        let place = remote.local(Path::new("/tmp/drunc/metadata_u.json"));
        fs::create_dir_all(&place).unwrap();
        start_ready(&manager, "u", &shell(OWN_CODES));
        assert_eq!(fs::read_dir(&place).unwrap().count(), 0, "nothing is moved into it");
        assert_eq!(manager.kill_process("u", TIME).unwrap().code(), Some(17));
        let warnings = logged::warnings();
        assert!(warnings.iter().any(|line| line.contains("its metadata file could not be written")), "{warnings:?}");
        fs::remove_dir(&place).unwrap();
        finish(&manager, &remote);
    });
}

#[test]
fn what_others_have_in_their_directory_does_not_hide_how_a_lost_process_ended() {
    let remote = Remote::start();
    let Some((user, other)) = two_users(&remote) else { return };
    let manager = Manager::new(remote.options_as()).unwrap();
    let directory = remote.local(Path::new("/tmp/drunc"));
    put("directory", &directory, Path::new("/"), other.uid);
    for obstacle in ["fifo", "link to nothing", "directory"] {
        start_ready(&manager, "u", &codes_of(&user));
        // The host looks here first, and reading this would hang.
        put(obstacle, &directory.join("metadata_u.json"), Path::new("/tmp"), other.uid);
        break_link(&manager, "u");
        let status = end_of(&manager, "u");
        assert_eq!(status.application_code(), Some(42), "{obstacle}: {status}");
        remove(&directory.join("metadata_u.json"));
    }
    remove(&directory);
    finish(&manager, &remote);
}

#[test]
fn control_sockets_are_private_whatever_the_umask() {
    isolated(|| {
        let base = private_sockets();
        // SAFETY: the test is alone in its process.
        unsafe { libc::umask(0) };
        let remote = Remote::start();
        let manager = manager(&remote);
        start_ready(&manager, "u", &shell(OWN_CODES));
        let sockets = sockets_in(base.path());
        assert_eq!(sockets.len(), 1);
        assert!(fs::metadata(&sockets[0]).unwrap().file_type().is_socket());
        assert_eq!((mode(&sockets[0]), mode(sockets[0].parent().unwrap())), (0o600, 0o700));
        finish(&manager, &remote);
    });
}

#[test]
fn what_stands_in_the_place_of_the_socket_directory_is_refused_and_not_followed() {
    isolated(|| {
        logged::keep();
        let base = private_sockets();
        let remote = Remote::start();
        // SAFETY: no arguments.
        let me = unsafe { libc::geteuid() };
        // Only root can make another user's file. The user's own must be refused all the same.
        let owner = if me == 0 { 61_000 } else { me };
        let target = Target::new(base.path().join("target"), me);
        let place = base.path().join(format!("sshpm-{me}"));
        for (number, obstacle) in OBSTACLES.into_iter().enumerate() {
            put(obstacle, &place, &target.directory, owner);
            let manager = Manager::new(options(&remote).connect_timeout(LONG)).unwrap();
            for uuid in ["a", "b"] {
                start_ready(&manager, uuid, &shell(OWN_CODES));
                assert_eq!(manager.kill_process(uuid, TIME).unwrap().code(), Some(17), "{obstacle}");
            }
            finish(&manager, &remote);
            drop(manager);
            target.assert_untouched(obstacle);
            assert_eq!(fs::symlink_metadata(&place).unwrap().uid(), owner, "{obstacle} is still there");
            remove(&place);
            let warnings = logged::warnings();
            assert_eq!(warnings.len(), number + 1, "{obstacle}: {warnings:#?}");
            let why = if obstacle == "directory" { "it belongs to user" } else { "it is not a directory" };
            let why = if obstacle == "directory" && me == owner { "others may enter it" } else { why };
            assert!(warnings[number].contains(why), "{obstacle}: {warnings:#?}");
        }
    });
}
