//! Where connections cannot be shared, each process logs in by itself, everything else works as usual, and one warning
//! says why.

use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::life::*;
use crate::sharing::*;
use crate::support::{self, LONG, Remote, isolated};
use sshpm::{Manager, Options};

/// Starts three processes of a manager that cannot share connections. Asserts that each logs in by itself, that they
/// work as usual, and that there is one warning.
#[track_caller]
fn assert_falls_back(remote: &Remote, options: Options, why: &str) {
    let manager = Manager::new(options).unwrap();
    let uuids = names("p", 3);
    for batch in 0..2 {
        start_all_ready(&manager, &uuids, "alpha");
        assert!(masters(remote).is_empty());
        // The attempt that showed that connections cannot be shared may have been a login as well.
        let logins = remote.logins();
        assert!((3..=4).contains(&(logins - 3 * batch)), "{logins} logins");
        uuids.iter().for_each(|uuid| assert_untouched(&manager, uuid));
    }
    let file = remote.scratch().join("log");
    fs::write(remote.local(&file), "line\n").unwrap();
    assert_eq!(manager.read_log_file("alpha", None, &file, 1, LONG).unwrap(), b"line\n");
    // Each host shows it, and it is reported once.
    start_all_ready(&manager, &["other-host".to_owned()], "beta");
    assert_untouched(&manager, "other-host");
    finish(&manager, remote);
    drop(manager);
    let warnings = logged::warnings();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0].contains("connections are not shared") && warnings[0].contains(why), "{warnings:#?}");
}

/// A small file system for this thread and those that it makes from now on. It is unmounted when this is dropped,
/// because otherwise its directory could not be removed.
struct Mounted(CString);

impl Mounted {
    /// Mounts the file system. Where that is impossible, reports why and returns `None`.
    fn at(directory: &Path, data: &str) -> Option<Mounted> {
        if !support::namespaces_work() {
            support::skipped("no root or no mount namespaces here");
            return None;
        }
        // SAFETY: only this thread's.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0);
        mount(c"/", libc::MS_PRIVATE | libc::MS_REC, "");
        let directory = CString::new(directory.to_str().unwrap()).unwrap();
        mount(&directory, 0, data);
        Some(Mounted(directory))
    }

    fn make_read_only(&self) {
        mount(&self.0, libc::MS_REMOUNT | libc::MS_RDONLY, "");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // SAFETY: the string lives until the call returns. Detached, because something may be in it still.
        let unmounted = unsafe { libc::umount2(self.0.as_ptr(), libc::MNT_DETACH) };
        assert!(unmounted == 0 || std::thread::panicking(), "{}", std::io::Error::last_os_error());
    }
}

fn mount(directory: &CStr, flags: libc::c_ulong, data: &str) {
    let (kind, data) = (c"tmpfs".as_ptr(), CString::new(data).unwrap());
    // SAFETY: all strings live until the call returns.
    let mounted = unsafe { libc::mount(kind, directory.as_ptr(), kind, flags, data.as_ptr().cast()) };
    assert_eq!(mounted, 0, "{}", std::io::Error::last_os_error());
}

fn own_directory() -> String {
    // SAFETY: no arguments.
    format!("sshpm-{}", unsafe { libc::geteuid() })
}

#[test]
fn a_path_that_is_too_long_for_a_socket_is_told_once_and_all_log_in() {
    isolated(|| {
        logged::keep();
        let base = private_sockets();
        let long = base.path().join("a-directory-whose-name-is-longer-than-a-socket-may-have-in-its-path-by-some");
        fs::create_dir(&long).unwrap();
        put_sockets_in(&long);
        let remote = Remote::start();
        assert_falls_back(&remote, options(&remote).connect_timeout(LONG), "bytes");
    });
}

#[test]
fn a_runtime_directory_that_cannot_be_used_gives_way_to_the_one_for_temporary_files() {
    isolated(|| {
        logged::keep();
        let base = private_sockets();
        // SAFETY: no other thread reads variables yet.
        unsafe { std::env::set_var("XDG_RUNTIME_DIR", base.path().join("none")) };
        let remote = Remote::start();
        let manager = Manager::new(options(&remote).connect_timeout(LONG)).unwrap();
        start_all(&manager, &names("p", 3), &app(&remote, "wait"));
        assert_eq!((remote.logins(), sockets_in(base.path()).len()), (1, 1));
        finish(&manager, &remote);
        assert!(logged::warnings().is_empty(), "{:?}", logged::warnings());
    });
}

#[test]
fn a_full_runtime_directory_is_told_once_and_all_log_in() {
    isolated(|| {
        logged::keep();
        let base = private_sockets();
        let remote = Remote::start();
        // Room for the root and the directory, and for nothing else.
        if let Some(_mounted) = Mounted::at(base.path(), "nr_inodes=2,mode=700") {
            assert_falls_back(&remote, options(&remote).connect_timeout(LONG), "No space left");
        }
    });
}

#[test]
fn a_read_only_runtime_directory_is_told_once_and_all_log_in() {
    isolated(|| {
        logged::keep();
        let base = private_sockets();
        let remote = Remote::start();
        if let Some(mounted) = Mounted::at(base.path(), "mode=700") {
            let directory = base.path().join(own_directory());
            fs::create_dir(&directory).unwrap();
            fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
            mounted.make_read_only();
            assert_falls_back(&remote, options(&remote).connect_timeout(LONG), "Read-only");
        }
    });
}

#[test]
fn a_directory_in_the_way_that_is_somebody_elses_is_told_once_and_all_log_in() {
    isolated(|| {
        logged::keep();
        let base = private_sockets();
        let directory = base.path().join(own_directory());
        fs::create_dir(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        let remote = Remote::start();
        assert_falls_back(&remote, options(&remote).connect_timeout(LONG), "others may enter it");
    });
}

#[test]
fn an_ssh_that_is_too_old_to_share_is_told_once_and_all_log_in() {
    isolated(|| {
        logged::keep();
        let remote = Remote::start();
        let script = "for word; do case $word in ControlPersist=*) \
                      echo 'command-line: line 0: Bad configuration option: controlpersist' >&2; exit 255 ;; esac; done\nexec ssh \"$@\"";
        let options = options(&remote).connect_timeout(LONG).ssh_program(remote.program("old-ssh", script));
        assert_falls_back(&remote, options, "controlpersist");
    });
}
