//! Processes that an application starts and that leave its process group: they are ended with it where that is
//! requested.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::life::*;
use crate::support::{ProcessInfo, Remote, wait_until};
use sshpm::{BootRequest, CleanUp, LinkLossPolicy, Manager, Signal, StartFailure};

/// Starts a daemon in a session of its own, and a process that clears its environment but stays in the application's
/// session.
const ESCAPES: &str = "trap 'exit 17' QUIT; \
    setsid sleep 1000 >/dev/null 2>&1 </dev/null & \
    env -i setsid sh -c 'setsid true; exec sleep 2000' >/dev/null 2>&1 </dev/null & \
    setsid sh -c 'setsid sleep 3000 & exit' >/dev/null 2>&1 </dev/null; \
    echo ready; while :; do sleep 0.1; done";

fn sleepers(remote: &Remote, seconds: &str) -> Vec<ProcessInfo> {
    let mut all = remote.processes();
    all.retain(|process| process.cmdline == ["sleep", seconds] && !process.is_zombie());
    all
}

#[track_caller]
fn sleeper(remote: &Remote, seconds: &str) -> ProcessInfo {
    wait_until("it has escaped", TIME, || sleepers(remote, seconds).pop())
}

fn request() -> BootRequest {
    shell(ESCAPES).kill_tree(true)
}

#[test]
fn what_left_the_group_is_ended_with_it() {
    let remote = Remote::start();
    let manager = manager(&remote);
    start_ready(&manager, "u", &request());
    let escaped = [sleeper(&remote, "1000"), sleeper(&remote, "3000")];
    let unmarked = sleeper(&remote, "2000");
    let status = manager.kill_process("u", TIME).unwrap();
    assert_eq!(status.code(), Some(17), "{status}");
    assert!(status.strays().is_empty(), "{status}");
    assert!(escaped.iter().all(|process| !process.is_alive()));
    // It is in another session, and nothing identifies it.
    assert!(unmarked.is_alive());
    unmarked.signal(libc::SIGKILL).unwrap();
    finish(&manager, &remote);
}

#[test]
fn nothing_is_ended_that_was_not_asked_for() {
    let remote = Remote::start();
    let manager = manager(&remote);
    start_ready(&manager, "u", &shell(ESCAPES));
    let escaped = ["1000", "2000", "3000"].map(|seconds| sleeper(&remote, seconds));
    assert_eq!(manager.kill_process("u", TIME).unwrap().code(), Some(17));
    for process in escaped {
        assert!(process.is_alive());
        process.signal(libc::SIGKILL).unwrap();
    }
    finish(&manager, &remote);
}

/// The mark belongs to the instance: processes of other applications stay, and so do processes of none.
#[test]
fn no_stranger_is_ended() {
    let remote = Remote::start();
    let manager = manager(&remote);
    start_ready(&manager, "stays", &request());
    let stays = sleeper(&remote, "1000");
    start_ready(&manager, "u", &request());
    assert_eq!(manager.kill_process("u", TIME).unwrap().code(), Some(17));
    assert!(stays.is_alive() && sleepers(&remote, "1000").len() == 1);
    assert_eq!(manager.kill_process("stays", TIME).unwrap().code(), Some(17));
    assert!(!stays.is_alive());
    for process in sleepers(&remote, "2000") {
        process.signal(libc::SIGKILL).unwrap();
    }
    finish(&manager, &remote);
}

/// The name of a process can contain a newline, followed by anything. Where a shell has reported no pid, no process
/// counts as one of its session.
#[test]
fn a_name_with_a_newline_makes_nobody_its_relative() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let odd = file(&remote, "a\nb", &fs::read("/bin/sleep").unwrap(), 0o755);
    start(&manager, "stranger", &BootRequest::new("alpha", [odd.clone(), "1000".into()]));
    manager.wait_until_started("stranger", TIME).unwrap();
    let no_shell = file(&remote, "no-shell", b"#!/bin/sh\nexit 3\n", 0o755).into_string().unwrap();
    let request = request().setup_shell(no_shell);
    assert_eq!(failure_of(&manager, "fails", &request), StartFailure::Ended(3));
    assert!(manager.is_process_alive("stranger"));
    assert_eq!(manager.kill_process("stranger", TIME).unwrap().signal(), Some(Signal::QUIT));
    // It is in the application's session, and in a group of its own.
    let script = format!("trap 'exit 17' QUIT; set -m; env -i '{}' 1000 & echo ready; wait", odd.to_str().unwrap());
    start_ready(&manager, "u", &BootRequest::new("alpha", ["bash", "-c", &script]).kill_tree(true));
    let is_odd = |process: &ProcessInfo| process.cmdline.first().is_some_and(|name| name == odd.to_str().unwrap());
    let child = wait_until("its child", TIME, || remote.processes().into_iter().find(is_odd));
    assert_eq!(manager.kill_process("u", TIME).unwrap().code(), Some(17));
    assert!(!child.is_alive());
    finish(&manager, &remote);
}

/// A process that could not be ended, because it runs as another user now, is named.
#[test]
fn what_could_not_be_ended_is_named() {
    let remote = Remote::start();
    if !remote.require_users("the test needs a process of another user") {
        return;
    }
    let (Some(user), Some(root)) = (remote.user("bash"), remote.user("root")) else { return };
    assert_ne!(user.uid, root.uid);
    // It is in the session, which is searched too, and runs entirely as another user. A process with only the setuid
    // bit could still be signalled.
    let setpriv = remote.scratch().join("setpriv");
    fs::copy("/usr/bin/setpriv", remote.local(&setpriv)).unwrap();
    fs::set_permissions(remote.local(&setpriv), fs::Permissions::from_mode(0o4755)).unwrap();
    let manager = manager(&remote);
    let script = format!(
        "trap 'exit 17' QUIT; {} --reuid 0 sleep 4000 & echo ready; while :; do sleep 0.1; done",
        setpriv.display()
    );
    start_ready(&manager, "u", &remote.request_as(&user, shell(&script)).kill_tree(true));
    let stray = sleeper(&remote, "4000");
    let status = manager.kill_process("u", TIME).unwrap();
    assert_eq!((status.code(), status.strays()), (Some(17), &[i64::from(stray.pid)][..]), "{status}");
    assert!(status.to_string().contains(&stray.pid.to_string()), "{status}");
    assert!(stray.is_alive());
    stray.signal(libc::SIGKILL).unwrap();
    finish(&manager, &remote);
}

#[test]
fn a_clean_up_ends_them_too() {
    let remote = Remote::start();
    let leaver: Manager = manager(&remote);
    start_ready(&leaver, "u", &request().link_loss(LinkLossPolicy::Keep));
    let escaped = sleeper(&remote, "1000");
    drop(leaver);
    let manager = manager(&remote);
    let cleaned = wait_until("no manager has the process", TIME, || {
        let cleaned = manager.clean_up_host("alpha", None, TIME, true).unwrap();
        (cleaned[0].outcome != CleanUp::Managed).then_some(cleaned)
    });
    assert_eq!((cleaned[0].outcome, &cleaned[0].left[..]), (CleanUp::Ended, &[][..]));
    assert!(!escaped.is_alive());
    for process in sleepers(&remote, "2000") {
        process.signal(libc::SIGKILL).unwrap();
    }
    finish(&manager, &remote);
}
