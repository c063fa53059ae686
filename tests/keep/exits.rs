//! The exit of a kept process, and its output: both stay on the host until the program has taken them, and no longer.

use std::path::Path;

use crate::keeping::*;
use crate::life::*;
use crate::support::{ProcessInfo, Remote, wait_until};
use sshpm::{FoundState, Manager, ProcessState};

/// Waits for the state. That takes nothing: only a call that returns the exit does.
#[track_caller]
fn wait_until_ended(manager: &Manager, uuid: &str) {
    wait_until("its end", TIME, || (manager.process_state(uuid).unwrap() == ProcessState::Ended).then_some(()));
}

#[test]
fn an_exit_that_the_program_has_not_taken_is_left_for_the_next_manager() {
    let remote = Remote::start();
    let first = manager(&remote);
    let (counting, _) = Counting::start(&remote, &first);
    wait_for_lines(&first, "u", 3);
    counting.end(&remote);
    wait_until_ended(&first, "u");
    first.detach().unwrap();
    let second = manager(&remote);
    assert!(matches!(found(&second, "u").state, FoundState::Ended(_)));
    second.adopt_process("u", "alpha", None).unwrap();
    assert_eq!(end_of(&second, "u").code(), Some(7));
    assert_counted(&second, "u");
    remote.assert_nothing_left();
}

/// The application has ended, and its wrapper has not written that down yet.
#[test]
fn an_adoption_waits_for_word_of_an_exit() {
    let slow = "echo >>/tmp/dates; while [ ! -e /tmp/go ]; do sleep 0.05; done; exec /usr/bin/date \"$@\"";
    let remote = Remote::builder().env("PATH", INSTEAD).start();
    if !remote.require_users("the test replaces date") {
        return;
    }
    place_instead(&remote, &[("date", slow)]);
    let first = manager(&remote);
    let application = start_ready(&first, "u", &kept(shell("echo ready; exec sleep 1000")));
    first.detach().unwrap();
    application.signal(libc::SIGKILL).unwrap();
    wait_for_file(&remote, Path::new("/tmp/dates"));
    let second = manager(&remote);
    let is_shell = |process: &ProcessInfo| process.cmdline.last().is_some_and(|word| word == "sshpm");
    let shells = || remote.processes().iter().filter(|process| is_shell(process)).count();
    let before = shells();
    std::thread::scope(|scope| {
        let adoption = scope.spawn(|| second.adopt_process("u", "alpha", None));
        wait_until("the host is asked", TIME, || (shells() > before).then_some(()));
        touch(&remote, Path::new("/tmp/go"));
        adoption.join().unwrap().unwrap();
    });
    assert_eq!(end_of(&second, "u").application_code(), Some(137));
    remote.assert_nothing_left();
}

#[test]
fn an_exit_that_was_received_is_not_kept() {
    let remote = Remote::start();
    let counting = Counting::new(&remote);
    let manager = manager(&remote);
    let mut story = Story::new(&manager);
    start_ready(&manager, "u", &counting.request());
    counting.end(&remote);
    wait_until_ended(&manager, "u");
    story.wait("exited");
    remote.assert_nothing_left();
}

#[test]
fn an_exit_is_taken_when_its_callback_has_returned() {
    let remote = Remote::start();
    let counting = Counting::new(&remote);
    let manager = manager(&remote);
    let (go, wait) = crossbeam_channel::bounded::<()>(0);
    let (called, calls) = crossbeam_channel::unbounded();
    manager
        .on_process_exit(move |_, _, _| {
            called.send(()).unwrap();
            let _ = wait.recv();
        })
        .unwrap();
    start_ready(&manager, "u", &counting.request());
    counting.end(&remote);
    calls.recv_timeout(TIME).unwrap();
    assert!(matches!(found(&crate::life::manager(&remote), "u").state, FoundState::Managed));
    drop(go);
    remote.assert_nothing_left();
}

/// The link breaks between the exit and the call that takes it. Another link has the host remove what it keeps.
#[test]
fn an_exit_that_is_taken_without_a_link_is_removed_from_the_host() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let (counting, _) = Counting::start(&remote, &manager);
    counting.end(&remote);
    wait_until_ended(&manager, "u");
    // A call that closes the session would take the exit.
    remote.break_links();
    // The rest of the link ends a moment later.
    let other = crate::life::manager(&remote);
    wait_until("the word of the exit", TIME, || matches!(found(&other, "u").state, FoundState::Ended(_)).then_some(()));
    drop(other);
    assert_eq!(manager.wait_for_process_exit_code("u", TIME).unwrap(), Some(7));
    remote.assert_nothing_left();
}

/// The exit is reported, and the link breaks before the output was read. The next link reads all of it, and then the
/// exit is announced, once.
#[test]
fn an_exit_is_announced_with_all_output_although_the_link_breaks_before_the_rest() {
    let slow = "case \" $* \" in *' -f '*) exec sleep 1000 ;; esac\n\
                echo >>/tmp/rests; while [ ! -e /tmp/go ]; do sleep 0.05; done; exec /usr/bin/tail \"$@\"";
    let remote = Remote::builder().env("PATH", INSTEAD).start();
    if !remote.require_users("the test replaces tail") {
        return;
    }
    place_instead(&remote, &[("tail", slow)]);
    let manager = manager(&remote);
    let mut story = Story::new(&manager);
    let script = "i=0; while [ $i -lt 4000 ]; do i=$((i+1)); echo \"out $i\"; echo \"err $i\" >&2; done; exit 5";
    start(&manager, "u", &kept(shell(script)));
    wait_for_file(&remote, Path::new("/tmp/rests"));
    break_link(&manager, "u");
    story.wait("lost");
    touch(&remote, Path::new("/tmp/go"));
    story.wait("exited");
    assert_counted(&manager, "u");
    let lines = |output: sshpm::Result<sshpm::Output>| String::from_utf8_lossy(&output.unwrap().bytes).lines().count();
    assert_eq!(lines(manager.process_stdout("u")), 4000);
    assert!(lines(manager.process_stderr("u")) >= 4000);
    assert_eq!(end_of(&manager, "u").code(), Some(5));
    remote.assert_nothing_left();
    assert_eq!(story.all(manager), ["started", "lost", "restored", "exited"]);
}
