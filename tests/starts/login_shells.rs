//! Every login shell with start-up files that are noisy or broken, and every shell that `/bin/sh` can be.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::dying_shells::assert_leave_nothing;
use crate::life::shells::{Life, installed};
use crate::life::*;
use crate::support::{self, Remote, RemoteBuilder, assert_same_as, isolated, local_snapshot, skipped, wait_until};
use sshpm::{Error, Event, EventKind, ExitSource, LinkLossPolicy, Manager, Signal, StartFailure, StartStage};

/// Start-up files that write to both streams. dash, ksh93 and mksh read none when they run a command.
fn noisy() -> RemoteBuilder {
    let posix = "echo noise; echo noise >&2; printf 'without end'\n";
    let builder = Remote::builder();
    let files = [
        ("bash", ".bashrc", posix),
        ("zsh", ".zshenv", posix),
        ("tcsh", ".tcshrc", "echo noise\nsh -c 'echo noise >&2; printf without\\ end'\n"),
        ("fish", ".config/fish/config.fish", posix),
        ("dash", ".profile", posix),
        ("ksh93", ".profile", posix),
        ("mksh", ".profile", posix),
    ];
    files.into_iter().fold(builder, |builder, (user, path, content)| builder.user_file(user, path, content))
}

#[test]
fn a_process_lives_under_every_login_shell() {
    isolated(|| {
        let remote = noisy().start();
        if !remote.require_users("login shells need users of their own") {
            return;
        }
        let before = local_snapshot();
        let manager = manager(&remote);
        let users = remote.users();
        let lives: Vec<_> = users
            .iter()
            .map(|user| Life { remote: &remote, manager: &manager, user: Some(&user.name), name: &user.shell_name })
            .collect();
        lives.iter().for_each(Life::begin);
        lives.iter().for_each(Life::end);
        finish(&manager, &remote);
        drop(manager);
        assert_same_as(&before);
    });
}

#[test]
fn the_noise_is_real() {
    let remote = noisy().start();
    if !remote.require_users("login shells need users of their own") {
        return;
    }
    for shell in ["bash", "zsh", "tcsh", "fish"] {
        let Some(user) = remote.user(shell) else { continue };
        let output = remote.ssh(&format!("{}@alpha", user.name)).arg("true").output().unwrap();
        assert!(output.stdout.starts_with(b"noise\n"), "{shell}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("noise\n"), "{shell}: {output:?}");
    }
}

/// Starts a process behind this start-up file of bash, and asserts that it fails in time. The process would make a
/// file.
fn assert_times_out(file: &str) -> Option<Remote> {
    let remote = Remote::builder().user_file("bash", ".bashrc", file).start();
    let Some(user) = remote.user("bash") else {
        skipped("bash is not installed");
        return None;
    };
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    let after = Duration::from_secs(2);
    let marker = remote.scratch().join("ran");
    let request = shell(&format!("echo >{}", marker.display())).user(user.name).start_timeout(after);
    let expected = StartFailure::TimedOut { after, stage: StartStage::StartUpFiles, waited: Duration::ZERO };
    assert_eq!(failure_of(&manager, "u", &request), expected);
    wait_for_link_end(&manager, "u");
    assert_eq!(witness.of(manager, "u"), ["failed"]);
    assert!(!remote.local(&marker).exists());
    Some(remote)
}

/// Start-up files run twice in a row: for the connection, and for the session on it.
#[test]
fn start_up_files_may_take_most_of_the_start_timeout() {
    let file = "[ -e ~/hang ] || sleep 3; while [ -e ~/hang ]; do sleep 0.1; done\n";
    let remote = Remote::builder().user_file("bash", ".bashrc", file).start();
    let Some(user) = remote.user("bash") else { return skipped("bash is not installed") };
    let manager = manager(&remote);
    let request = remote.request("alpha", "print ready wait").user(&user.name);
    let in_time = request.clone().start_timeout(Duration::from_secs(5));
    support::start_ready(&manager, "slow", &in_time);

    // The connection is open, so only the session hangs now.
    let hang = remote.local(&user.home.join("hang"));
    fs::write(&hang, "").unwrap();
    let after = Duration::from_secs(1);
    let reason = failure_of(&manager, "hangs", &request.start_timeout(after));
    let text = reason.to_string();
    match reason {
        StartFailure::TimedOut { after: given, stage: StartStage::StartUpFiles, waited } if given == after => {
            assert!(!waited.is_zero());
        }
        other => panic!("{other}"),
    }
    assert!(text.contains("start-up file") && text.contains("before that, it waited 0.0 s"), "{text}");
    fs::remove_file(&hang).unwrap();
    drop(manager);
    remote.assert_nothing_left();
}

#[test]
fn a_start_up_file_that_swallows_stdin_times_out() {
    let Some(remote) = assert_times_out("cat >/dev/null\n") else { return };
    remote.assert_nothing_left();
    assert!(!remote.local(Path::new("/tmp/scratch/ran")).exists());
}

#[test]
fn a_start_up_file_that_hangs_times_out_and_starts_nothing_when_it_goes_on() {
    // The login shell is not ours: without a terminal, nothing ends it. But it must start nothing when it goes on.
    let file = "while [ ! -e /tmp/scratch/go ]; do sleep 0.05; done\n";
    let Some(remote) = assert_times_out(file) else { return };
    touch(&remote, Path::new("/tmp/scratch/go"));
    assert_only_status_files_left(&remote);
    assert!(!remote.local(Path::new("/tmp/scratch/ran")).exists());
}

#[test]
fn a_start_up_file_that_exits_is_told_with_its_code() {
    let remote = Remote::builder().user_file("bash", ".bashrc", "exit 9\n").start();
    let Some(user) = remote.user("bash") else { return skipped("bash is not installed") };
    let manager = manager(&remote);
    manager.start_process("u", &shell("exit 0").user(user.name)).unwrap();
    match manager.wait_until_started("u", TIME) {
        Err(Error::Ssh { failure, .. }) => assert_eq!(failure, sshpm::SshFailure::RemoteShell(9)),
        other => panic!("{other:?}"),
    }
    finish(&manager, &remote);
}

/// Puts this shell in the place of the remote's `/bin/sh`, in its private view of the file system.
fn become_sh(remote: &Remote, shell: &Path) {
    remote.mount(&["--bind", shell.to_str().unwrap(), "/bin/sh"]);
}

#[track_caller]
fn assert_lives_with_sh(name: &str) {
    let Some(shell) = installed(&[name]).pop() else { return skipped(&format!("{name} is not installed")) };
    let remote = Remote::start();
    if !remote.require_users("/bin/sh would be the real one") {
        return;
    }
    become_sh(&remote, &shell.canonicalize().unwrap());
    let same = std::fs::metadata(remote.local(Path::new("/bin/sh"))).unwrap();
    assert_eq!(same.len(), std::fs::metadata(&shell).unwrap().len(), "/bin/sh is {name} now");
    let manager = manager(&remote);
    let life = Life { remote: &remote, manager: &manager, user: None, name };
    life.begin();
    life.end();
    assert_is_kept(&remote, &manager);
    assert_leave_nothing(&remote, &manager);
}

/// A kept process outlives its link, and all of its output is read. It can get the signals that a background job
/// ignores.
#[track_caller]
fn assert_is_kept(remote: &Remote, manager: &Manager) {
    let events = manager.subscribe().unwrap();
    let script = "trap 'echo quit; exit 17' QUIT; echo ready; echo first >&2; while :; do sleep 0.1; done";
    let application = start_ready(manager, "kept", &shell(script).link_loss(LinkLossPolicy::Keep));
    let has_all = || manager.process_stderr("kept").unwrap().bytes == b"first\n";
    wait_until("all output", TIME, || has_all().then_some(()));
    break_link(manager, "kept");
    let is_back = |event: &Event| matches!(event.kind, EventKind::LinkRestored);
    while !is_back(&events.recv_timeout(TIME).expect("the link is restored")) {}
    assert!(application.is_alive());
    let output = manager.subscribe_output("kept").unwrap();
    let status = manager.kill_process("kept", TIME).unwrap();
    assert_eq!((status.source(), status.code()), (ExitSource::ManualKillThroughRemotePid, Some(17)), "{status}");
    let rest: Vec<u8> = output.iter().flat_map(|piece| piece.bytes).collect();
    assert_eq!(rest, b"quit\n");
    start_ready(manager, "left", &shell("echo ready; exec sleep 1000").link_loss(LinkLossPolicy::Keep));
    let other = crate::life::manager(remote);
    assert!(matches!(other.adopt_process("left", "alpha", None), Err(Error::TakenOver { .. })));
    assert_eq!(manager.kill_process("left", TIME).unwrap().signal(), Some(Signal::QUIT));
}

#[test]
fn a_process_lives_where_sh_is_bash() {
    assert_lives_with_sh("bash");
}

#[test]
fn a_process_lives_where_sh_is_ksh93() {
    assert_lives_with_sh("ksh93");
}

#[test]
fn a_process_lives_where_sh_is_mksh() {
    assert_lives_with_sh("mksh");
}

#[test]
fn a_process_lives_where_sh_is_busybox() {
    assert_lives_with_sh("busybox");
}

#[test]
fn a_process_lives_where_sh_is_yash() {
    assert_lives_with_sh("yash");
}

#[test]
fn a_process_lives_where_sh_is_zsh() {
    assert_lives_with_sh("zsh");
}
