//! Disks of a host that are full, read-only or gone: the application is not harmed, what is missing is reported, and
//! starts, kills and exits work without files. `unshared` tests the directory of sockets on this side.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::life::*;
use crate::sharing::logged;
use crate::support::{LONG, ProcessInfo, Remote, isolated, wait_until};
use sshpm::{Error, ExitSource, FileProblem, LogMode, Manager, Signal, StartFailure};

const DRUNC: &str = "/tmp/drunc";
/// The warning about files that are gone or cannot be removed.
const FILES: &str = "its files on its host were removed by somebody, or cannot be removed";

/// Returns a remote with its own file system, in which this test can mount.
fn remote_with_mounts() -> Option<Remote> {
    let remote = Remote::start();
    remote.require_users("the test mounts disks on the remote").then_some(remote)
}

#[track_caller]
fn remount(remote: &Remote, directory: &str, option: &str) {
    remote.mount(&["-o", &format!("remount,{option}"), directory]);
}

/// Fills a small file system to its last byte. Returns the file that does it.
fn fill(remote: &Remote, directory: &str) -> PathBuf {
    let path = remote.local(&Path::new(directory).join("filler"));
    let mut file = File::create(&path).unwrap();
    // First in pages, then in bytes.
    for size in [4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {
            assert!(file.metadata().unwrap().len() < 16 << 20, "a small file system");
        }
    }
    path
}

/// Starts a process of `OWN_CODES`.
#[track_caller]
fn start_codes(manager: &Manager, uuid: &str) -> ProcessInfo {
    start_ready(manager, uuid, &shell(OWN_CODES).grace(Duration::from_secs(1)))
}

/// Asserts that a process takes signals and ends as it is told to.
#[track_caller]
fn assert_unharmed(manager: &Manager, uuid: &str) {
    assert!(manager.is_process_alive(uuid), "{uuid}");
    manager.send_signal(uuid, Signal::CONT).unwrap();
    let status = manager.kill_process(uuid, LONG).unwrap();
    assert_eq!((status.code(), status.link_lost()), (Some(17), false), "{uuid}: {status}");
}

/// Asserts that a process that ends by itself is reported with its code.
#[track_caller]
fn assert_exits(manager: &Manager, uuid: &str) {
    start(manager, uuid, &shell("sleep 0.1; exit 6").setup_line("true"));
    assert_eq!(end_of(manager, uuid).code(), Some(6), "{uuid}");
}

#[track_caller]
fn assert_no_metadata(manager: &Manager, uuid: &str) {
    let read = manager.read_process_metadata(uuid, "alpha", None, Duration::ZERO);
    assert!(matches!(read, Err(Error::RemoteFile { problem: FileProblem::Missing, .. })), "{uuid}: {read:?}");
}

#[track_caller]
fn assert_has_metadata(manager: &Manager, uuid: &str) {
    let read = manager.read_process_metadata(uuid, "alpha", None, LONG).unwrap();
    assert_eq!(read.pid, manager.remote_pid(uuid).unwrap(), "{uuid}");
}

/// Returns how many warnings of the library contain this text.
fn warned(what: &str) -> usize {
    logged::warnings().iter().filter(|line| line.contains(what)).count()
}

#[test]
fn where_the_runtime_directory_is_full_a_process_runs_without_metadata() {
    isolated(|| {
        logged::keep();
        let Some(remote) = remote_with_mounts() else { return };
        remote.mount_tmpfs(DRUNC, "size=16k,mode=700");
        let manager = manager(&remote);
        // The directory becomes full while this process runs.
        start_codes(&manager, "before");
        let filler = fill(&remote, DRUNC);
        start_codes(&manager, "u");
        assert_no_metadata(&manager, "u");
        assert_eq!(warned("its metadata file could not be written; is the runtime directory's disk full?"), 1);
        assert_has_metadata(&manager, "before");
        assert_exits(&manager, "exits");
        assert_unharmed(&manager, "u");
        assert_unharmed(&manager, "before");
        fs::remove_file(filler).unwrap();
        remote.assert_nothing_left();
        // A full disk is not remembered for ever.
        let before = logged::warnings().len();
        start_codes(&manager, "u");
        assert_has_metadata(&manager, "u");
        assert_unharmed(&manager, "u");
        finish(&manager, &remote);
        assert_eq!(logged::warnings().len(), before, "{:?}", logged::warnings());
    });
}

#[test]
fn where_the_runtime_directory_takes_no_files_the_next_one_is_taken() {
    let Some(remote) = remote_with_mounts() else { return };
    // The only inode is that of the directory itself.
    remote.mount_tmpfs(DRUNC, "nr_inodes=1,mode=700");
    let manager = manager(&remote);
    start_codes(&manager, "u");
    assert_has_metadata(&manager, "u");
    assert_exits(&manager, "exits");
    assert_unharmed(&manager, "u");
    finish(&manager, &remote);
}

#[test]
fn a_lost_process_whose_end_cannot_be_written_down_has_no_made_up_end() {
    let Some(remote) = remote_with_mounts() else { return };
    remote.mount_tmpfs(DRUNC, "size=16k,mode=700");
    let manager = manager(&remote);
    let application = start_codes(&manager, "u");
    let filler = fill(&remote, DRUNC);
    break_link(&manager, "u");
    wait_for_death(&application);
    let status = end_of(&manager, "u");
    assert!(status.link_lost() && matches!(status.application_code(), None | Some(42)), "{status}");
    assert_eq!(status.code(), None, "{status}");
    fs::remove_file(filler).unwrap();
    finish(&manager, &remote);
}

#[test]
fn where_nothing_can_be_written_a_process_runs_without_files_or_is_refused() {
    isolated(|| {
        logged::keep();
        let Some(remote) = remote_with_mounts() else { return };
        let manager = manager(&remote);
        start_codes(&manager, "before");
        for directory in ["/tmp", "/home"] {
            remount(&remote, directory, "ro");
        }
        start_codes(&manager, "u");
        assert_no_metadata(&manager, "u");
        assert_eq!(warned("its host has no runtime directory that can be used: it has no metadata file"), 1);
        assert_exits(&manager, "exits");
        wait_for_link_end(&manager, "exits");
        // Now the last directories are gone too. Processes that run do not need them.
        remount(&remote, "/dev/shm", "ro");
        remote.mount_tmpfs("/var/tmp", "ro");
        assert_eq!(failure_of(&manager, "refused", &shell("exit 0")), StartFailure::RuntimeDirectory);
        assert_unharmed(&manager, "u");
        assert_unharmed(&manager, "before");
        wait_until("a warning of each whose files stay", LONG, || (warned(FILES) == 2).then_some(()));
        // Files that could not be removed are replaced when that is possible again.
        for directory in ["/tmp", "/home", "/dev/shm"] {
            remount(&remote, directory, "rw");
        }
        start_codes(&manager, "before");
        assert_has_metadata(&manager, "before");
        assert_unharmed(&manager, "before");
        finish(&manager, &remote);
    });
}

/// The body of the next two tests.
fn removed_runtime_directory(share: bool) {
    logged::keep();
    let Some(remote) = remote_with_mounts() else { return };
    let manager = Manager::new(options(&remote).share_connections(share)).unwrap();
    let applications = ["killed", "lost"].map(|uuid| start_codes(&manager, uuid));
    let go = remote.scratch().join("go");
    let wait_for_go = format!("while [ ! -e {} ]; do sleep 0.05; done", go.display());
    start(&manager, "exits", &shell(&format!("{wait_for_go}; exit 6")));
    // The wrapper of this process still waits for its exec.
    manager.start_process("setup", &shell(OWN_CODES).setup_line("sleep 1000")).unwrap();
    wait_for_pid(&manager, "setup");
    let begun = remote.scratch().join("begun");
    let setup = format!("touch {}; {wait_for_go}", begun.display());
    manager.start_process("starts", &shell(OWN_CODES).setup_line(setup).start_timeout(LONG)).unwrap();
    wait_for_file(&remote, &begun);
    // A wrapper can make a file in the directory in the meantime.
    let drunc = remote.local(Path::new(DRUNC));
    wait_until("the end of the directory", LONG, || fs::remove_dir_all(&drunc).ok());
    assert!(applications.iter().all(ProcessInfo::is_alive));
    assert_no_metadata(&manager, "killed");
    assert_unharmed(&manager, "killed");
    wait_until("a warning of the files that are gone", LONG, || (warned(FILES) == 1).then_some(()));
    touch(&remote, &go);
    assert_eq!(end_of(&manager, "exits").code(), Some(6));
    // Without its fifos, nobody could learn that the program runs.
    let error = manager.wait_until_started("starts", LONG).unwrap_err();
    assert_eq!(reason_of(error), StartFailure::Ended(125));
    assert_eq!(manager.kill_process("setup", LONG).unwrap().source(), ExitSource::ManualKillThroughRemotePid);
    break_link(&manager, "lost");
    wait_for_death(&applications[1]);
    // The place for the word of its exit is gone.
    let status = end_of(&manager, "lost");
    assert!(status.link_lost() && status.is_unknown(), "{status}");
    // The next start makes the directory again.
    start_codes(&manager, "killed");
    assert_has_metadata(&manager, "killed");
    wait_until("a warning of each whose files are gone", LONG, || (warned(FILES) == 4).then_some(()));
    assert_unharmed(&manager, "killed");
    finish(&manager, &remote);
    drop(manager);
    assert_eq!(warned(FILES), 4, "no file of this process is missing");
}

#[test]
fn a_runtime_directory_that_is_removed_harms_nobody() {
    isolated(|| removed_runtime_directory(true));
}

#[test]
fn a_runtime_directory_that_is_removed_harms_nobody_with_a_connection_of_its_own() {
    isolated(|| {
        removed_runtime_directory(false);
    });
}

/// Returns a request for an application that writes lines until a write fails, leaves word of how many, and then waits.
fn writes_until_it_cannot(remote: &Remote, mode: LogMode) -> sshpm::BootRequest {
    let word = remote.scratch().join("word");
    let script = format!(
        "trap 'exit 33' QUIT; i=0; while [ $i -lt 1000 ] && printf '%1000s\\n' x; do i=$((i + 1)); done; \
         echo $i >{0}.part; mv {0}.part {0}; while :; do sleep 0.05; done",
        word.display()
    );
    shell(&script).log_file("/tmp/scratch/small/log").log_mode(mode)
}

#[test]
fn where_the_log_files_disk_is_full_the_application_sees_it_and_nobody_else() {
    let Some(remote) = remote_with_mounts() else { return };
    remote.mount_tmpfs("/tmp/scratch/small", "size=64k,mode=777");
    let manager = manager(&remote);
    let word = remote.local(&remote.scratch().join("word"));
    // The second one finds a disk that is already full.
    for (mode, least) in [(LogMode::Append, 30), (LogMode::Append, 0), (LogMode::Fresh, 0), (LogMode::Truncate, 0)] {
        start(&manager, "u", &writes_until_it_cannot(&remote, mode));
        let lines = wait_until("a file from the application", LONG, || fs::read_to_string(&word).ok());
        let lines: u64 = lines.trim().parse().unwrap();
        assert!((least..100).contains(&lines), "{lines} lines, {mode:?}");
        assert!(manager.is_process_alive("u"), "{mode:?}");
        assert_exits(&manager, "exits");
        let log = manager.read_log_file("alpha", None, "/tmp/scratch/small/log", 1, LONG).unwrap();
        assert!(log.len() <= 64 << 10, "{mode:?}");
        assert_eq!(manager.kill_process("u", LONG).unwrap().code(), Some(33), "{mode:?}");
        fs::remove_file(&word).unwrap();
    }
    finish(&manager, &remote);
}

#[test]
fn where_the_log_file_cannot_be_made_the_start_fails_and_says_so() {
    let Some(remote) = remote_with_mounts() else { return };
    remote.mount_tmpfs("/tmp/scratch/none", "nr_inodes=1,mode=777");
    remote.mount_tmpfs("/tmp/scratch/read-only", "ro,mode=777");
    let manager = manager(&remote);
    for directory in ["none", "read-only"] {
        for mode in [LogMode::Append, LogMode::Fresh, LogMode::Truncate] {
            let request = shell("exit 0").log_file(format!("/tmp/scratch/{directory}/log")).log_mode(mode);
            assert_eq!(failure_of(&manager, "u", &request), StartFailure::LogFile, "{directory} {mode:?}");
        }
    }
    finish(&manager, &remote);
}
