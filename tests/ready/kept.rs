//! Kept processes: their readiness outlives links and managers.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use crate::keeping::*;
use crate::life::*;
use crate::port::free_port;
use crate::support::{ProcessInfo, Remote, wait_until};
use sshpm::{BootRequest, Error, Manager, NotReadyReason, Ready};

/// What shows that a process is ready, and who sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Notify,
    Stream,
    LogFile,
    Port,
}

const KINDS: [Kind; 4] = [Kind::Notify, Kind::Stream, Kind::LogFile, Kind::Port];

/// A kept process that shows that it is ready when the test lets it.
struct Waiting<'a> {
    remote: &'a Remote,
    kind: Kind,
    go: PathBuf,
    signed: PathBuf,
    address: SocketAddr,
    listener: Option<TcpListener>,
}

impl<'a> Waiting<'a> {
    fn new(remote: &'a Remote, kind: Kind) -> Waiting<'a> {
        let address = free_port(Ipv4Addr::LOCALHOST);
        let [go, signed] = ["go", "signed"].map(|name| remote.scratch().join(name));
        Waiting { remote, kind, go, signed, address, listener: None }
    }

    fn request(&self) -> BootRequest {
        let script = "trap 'exit 17' QUIT; trap 'exit 42' HUP; until [ -e \"$GO\" ]; do sleep 0.05; done; \
                      if [ -n \"$SSHPM_NOTIFY_FD\" ]; then echo >&3; else echo 'it is ready'; fi; \
                      >\"$SIGNED\"; while :; do sleep 0.05; done";
        let request = kept(shell(script)).environment("GO", &self.go).environment("SIGNED", &self.signed);
        match self.kind {
            Kind::Notify => request.ready(Ready::Notify),
            Kind::Port => request.ready(Ready::Port(self.address.port())),
            Kind::Stream => request.ready(Ready::Output("is ready".to_owned())),
            Kind::LogFile => {
                request.ready(Ready::Output("is ready".to_owned())).log_file(self.remote.scratch().join("log"))
            }
        }
    }

    /// Lets it show that it is ready.
    fn sign(&mut self) {
        if self.kind == Kind::Port {
            self.listener = Some(TcpListener::bind(self.address).unwrap());
        }
        touch(self.remote, &self.go);
        wait_for_file(self.remote, &self.signed);
    }
}

/// Waits until the wrapper of a process has written down whether the process is ready.
#[track_caller]
fn wait_for_note(remote: &Remote) {
    wait_until("a note of readiness", TIME, || {
        let mut files = remote.runtime_files().into_iter();
        files.any(|file| file.extension().is_some_and(|extension| extension == "ready")).then_some(())
    });
}

#[test]
fn one_that_is_ready_stays_ready_behind_new_links_and_in_other_managers() {
    for kind in KINDS {
        let remote = Remote::start();
        let first = manager(&remote);
        let mut story = Story::new(&first);
        let mut waiting = Waiting::new(&remote, kind);
        start(&first, "u", &waiting.request());
        waiting.sign();
        first.wait_until_ready("u", TIME).unwrap();
        break_link(&first, "u");
        story.wait("lost");
        assert!(first.is_ready("u"));
        story.wait("restored");
        assert!(first.is_ready("u"));
        wait_for_note(&remote);
        first.detach().unwrap();
        assert!(!first.is_ready("u"), "it is no process of this manager any more");
        assert_eq!(story.all(first), ["started", "ready", "lost", "restored"], "{kind:?}");
        // The note counts, and not what is there now.
        waiting.listener = None;
        let second = manager(&remote);
        let mut story = Story::new(&second);
        second.adopt_process("u", "alpha", None).unwrap();
        second.wait_until_ready("u", TIME).unwrap();
        assert!(second.is_ready("u"));
        assert_eq!(second.kill_process("u", TIME).unwrap().code(), Some(17));
        finish(&second, &remote);
        story.wait("exited");
        assert_eq!(story.all(second), ["restored", "ready", "exited"], "{kind:?}");
    }
}

/// Lets the manager adopt or restore the process as the test says, and asserts that the sign then counts.
#[track_caller]
fn assert_ready(remote: &Remote, manager: Manager, story: Story, expected: &[&str]) {
    manager.wait_until_ready("u", TIME).unwrap_or_else(|error| panic!("{expected:?}: {error}"));
    assert_eq!(manager.kill_process("u", TIME).unwrap().code(), Some(17));
    finish(&manager, remote);
    let mut words = story.all(manager);
    words.retain(|word| *word != "not restored");
    assert_eq!(words, expected);
}

#[test]
fn a_sign_without_a_link_counts() {
    for kind in KINDS {
        let remote = Remote::start();
        let (gate, manager) = gated_manager(&remote);
        let mut story = Story::new(&manager);
        let mut waiting = Waiting::new(&remote, kind);
        start(&manager, "u", &waiting.request());
        gate.close();
        break_link(&manager, "u");
        story.wait("lost");
        waiting.sign();
        gate.open();
        assert_ready(&remote, manager, story, &["started", "lost", "restored", "ready", "exited"]);
    }
}

#[test]
fn a_sign_behind_a_new_link_counts() {
    for kind in KINDS {
        let remote = Remote::start();
        let manager = manager(&remote);
        let mut story = Story::new(&manager);
        let mut waiting = Waiting::new(&remote, kind);
        start(&manager, "u", &waiting.request());
        break_link(&manager, "u");
        story.wait("restored");
        waiting.sign();
        assert_ready(&remote, manager, story, &["started", "lost", "restored", "ready", "exited"]);
    }
}

#[test]
fn a_sign_between_two_managers_or_in_the_second_one_counts() {
    for (number, kind) in KINDS.into_iter().chain(KINDS).enumerate() {
        let remote = Remote::start();
        let first = manager(&remote);
        let mut waiting = Waiting::new(&remote, kind);
        start(&first, "u", &waiting.request());
        first.detach().unwrap();
        let is_between = number < KINDS.len();
        if is_between {
            waiting.sign();
        }
        let second = manager(&remote);
        let story = Story::new(&second);
        second.adopt_process("u", "alpha", None).unwrap();
        if !is_between {
            assert!(!second.is_ready("u"));
            waiting.sign();
        }
        assert_ready(&remote, second, story, &["restored", "ready", "exited"]);
    }
}

fn assert_late(manager: &Manager) {
    let waited = manager.wait_until_ready("u", TIME);
    let is_late = |error: &Error| matches!(error, Error::NotReady { reason: NotReadyReason::TimedOut { .. }, .. });
    assert!(waited.as_ref().is_err_and(is_late), "{waited:?}");
    assert!(!manager.is_ready("u"));
}

/// The time without a link counts. What the host has seen in time counts, too, however late a manager learns of it.
#[test]
fn the_timeout_counts_on_the_host() {
    for kind in KINDS {
        for in_time in [false, true] {
            let remote = Remote::start();
            let first = manager(&remote);
            let mut waiting = Waiting::new(&remote, kind);
            let timeout = Duration::from_secs(2);
            let application = start(&first, "u", &waiting.request().ready_timeout(timeout));
            let ends = std::time::Instant::now() + timeout + Duration::from_millis(500);
            first.detach().unwrap();
            if in_time {
                waiting.sign();
            }
            std::thread::sleep(ends.saturating_duration_since(std::time::Instant::now()));
            if !in_time {
                waiting.sign();
            }
            let second = manager(&remote);
            let mut story = Story::new(&second);
            second.adopt_process("u", "alpha", None).unwrap();
            // Nobody looks at a port, or reads the output, while there is no manager.
            let is_ready = in_time && matches!(kind, Kind::Notify | Kind::LogFile);
            if is_ready {
                second.wait_until_ready("u", TIME).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
            } else {
                assert_late(&second);
            }
            story.wait(if is_ready { "ready" } else { "not ready" });
            assert!(application.is_alive());
            assert_eq!(second.kill_process("u", TIME).unwrap().code(), Some(17));
            finish(&second, &remote);
            let word = if is_ready { "ready" } else { "not ready" };
            assert_eq!(story.all(second), ["restored", word, "exited"], "{kind:?} {in_time}");
        }
    }
}

/// What one manager has announced holds for the next one.
#[test]
fn one_that_was_late_or_has_closed_its_descriptor_is_never_ready() {
    for kind in KINDS {
        let remote = Remote::start();
        let first = manager(&remote);
        let mut waiting = Waiting::new(&remote, kind);
        start(&first, "u", &waiting.request().ready_timeout(Duration::from_millis(300)));
        assert_late(&first);
        wait_for_note(&remote);
        crate::wait_for_helpers(&first, "u", 0);
        waiting.sign();
        first.detach().unwrap();
        let second = manager(&remote);
        second.adopt_process("u", "alpha", None).unwrap();
        assert_late(&second);
        assert_eq!(second.kill_process("u", TIME).unwrap().code(), Some(17));
        finish(&second, &remote);
    }
    let remote = Remote::start();
    let first = manager(&remote);
    let request = kept(shell("exec 3>&-; trap 'exit 17' QUIT; while :; do sleep 0.05; done")).ready(Ready::Notify);
    start(&first, "u", &request);
    let is_closed = |waited: Result<(), Error>| match waited {
        Err(Error::NotReady { reason: NotReadyReason::NotifyClosed, .. }) => {}
        other => panic!("{other:?}"),
    };
    is_closed(first.wait_until_ready("u", TIME));
    first.detach().unwrap();
    let second = manager(&remote);
    second.adopt_process("u", "alpha", None).unwrap();
    is_closed(second.wait_until_ready("u", TIME));
    second.kill_process("u", TIME).unwrap();
    finish(&second, &remote);
}

/// The shell that reads the commands of a kept process, and knows of its readiness, is killed.
#[test]
fn a_killed_reader_forgets_nothing() {
    let remote = Remote::start();
    let manager = manager(&remote);
    for kind in [Kind::Notify, Kind::Stream] {
        let mut story = Story::new(&manager);
        let mut waiting = Waiting::new(&remote, kind);
        let _ = std::fs::remove_file(remote.local(&waiting.go));
        let _ = std::fs::remove_file(remote.local(&waiting.signed));
        let application = start(&manager, "u", &waiting.request());
        for round in 0..3 {
            if round == 1 {
                waiting.sign();
                story.wait("ready");
                wait_for_note(&remote);
            }
            let wrapper = manager.runtime_pids("u").remote_monitoring.unwrap() as i32;
            // The sign reader is a child of the wrapper, too, and has no children.
            let reader = wait_until("the commands have a reader", TIME, || {
                let all = crate::support::processes();
                let of = |pid: i32| all.iter().filter(move |p| p.ppid == pid && !p.is_zombie());
                of(wrapper).filter(|p| p.pid != application.pid).find_map(|p| of(p.pid).next().cloned())
            });
            reader.signal(libc::SIGKILL).unwrap();
            story.wait("lost");
            story.wait("restored");
        }
        assert!(manager.is_ready("u"));
        assert_eq!(manager.kill_process("u", TIME).unwrap().code(), Some(17));
        story.wait("exited");
        story.words.retain(|word| !matches!(*word, "lost" | "restored" | "not restored"));
        assert_eq!(story.words, ["started", "ready", "exited"]);
    }
    finish(&manager, &remote);
}

/// The sign of a process that ends at once is reported before its exit, also by another manager.
#[test]
fn a_process_that_ends_behind_its_sign_was_ready() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    for round in 0..3 {
        for (name, request) in [
            ("notify", kept(shell("echo >&3; exit 7")).ready(Ready::Notify)),
            ("stream", kept(shell("echo it is ready; exit 7")).ready(Ready::Output("is ready".to_owned()))),
            (
                "log",
                kept(shell("echo it is ready; exit 7"))
                    .ready(Ready::Output("is ready".to_owned()))
                    .log_file(remote.scratch().join(format!("log-{round}"))),
            ),
        ] {
            let uuid = format!("{name}-{round}");
            manager.start_process(&uuid, &request).unwrap();
            manager.wait_until_ready(&uuid, TIME).unwrap_or_else(|error| panic!("{uuid}: {error}"));
            assert_eq!(end_of(&manager, &uuid).code(), Some(7));
        }
    }
    finish(&manager, &remote);
    for (uuid, words) in witness.all(manager) {
        assert_eq!(words, ["started", "ready", "exited"], "{uuid}");
    }
}

/// The next manager learns both.
#[test]
fn one_that_was_ready_and_has_ended_without_a_link_was_ready() {
    let remote = Remote::start();
    let (gate, first) = gated_manager(&remote);
    let mut story = Story::new(&first);
    let go = remote.scratch().join("go");
    let wait = format!("trap 'exit 17' QUIT; until [ -e {} ]; do sleep 0.05; done", go.display());
    let request = kept(shell(&format!("{wait}; echo >&3; exit 7"))).ready(Ready::Notify);
    let restored = start(&first, "restored", &request);
    gate.close();
    break_link(&first, "restored");
    story.wait("lost");
    touch(&remote, &go);
    wait_for_death(&restored);
    gate.open();
    assert_eq!(end_of(&first, "restored").code(), Some(7));
    first.wait_until_ready("restored", TIME).unwrap();
    first.forget_process("restored").unwrap();
    std::fs::remove_file(remote.local(&go)).unwrap();
    let adopted = start(&first, "adopted", &request);
    first.detach().unwrap();
    let mut words = story.all(first);
    words.retain(|word| *word != "not restored");
    assert_eq!(words, ["started", "lost", "restored", "ready", "exited", "started"]);
    touch(&remote, &go);
    wait_for_death(&adopted);
    let second = manager(&remote);
    let story = Story::new(&second);
    second.adopt_process("adopted", "alpha", None).unwrap();
    assert_eq!(end_of(&second, "adopted").code(), Some(7));
    finish(&second, &remote);
    assert_eq!(story.all(second), ["restored", "ready", "exited"]);
}

#[test]
fn nothing_is_left_of_one_whose_wrapper_was_killed() {
    for kind in [Kind::Notify, Kind::LogFile] {
        let remote = Remote::start();
        let manager = manager(&remote);
        let waiting = Waiting::new(&remote, kind);
        start(&manager, "u", &waiting.request());
        let wrapper = manager.runtime_pids("u").remote_monitoring.unwrap();
        ProcessInfo::of(wrapper as i32).unwrap().signal(libc::SIGKILL).unwrap();
        end_of(&manager, "u");
        finish(&manager, &remote);
    }
}
