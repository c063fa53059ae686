//! Applications that are kept: they outlive their link and their manager, and nothing of what they do is lost.
#![allow(clippy::unwrap_used)]

mod life;
mod support;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crossbeam_channel::Receiver;
use life::*;
use sshpm::{BootRequest, Event, ExitSource, LinkLossPolicy, Manager, ProcessState, Signal};
use support::{Remote, wait_until};

fn kept(request: BootRequest) -> BootRequest {
    request.link_loss(LinkLossPolicy::Keep)
}

/// What a manager tells of its one process.
struct Story {
    events: Receiver<Event>,
    words: Vec<&'static str>,
}

impl Story {
    fn new(manager: &Manager) -> Story {
        Story { events: manager.subscribe(), words: Vec::new() }
    }

    fn hear(&mut self, event: &Event) -> &'static str {
        let word = match event {
            Event::Started { .. } => "started",
            Event::Exited { .. } => "exited",
            Event::LinkLost { .. } => "lost",
            Event::LinkRestored { .. } => "restored",
            Event::LinkNotRestored { .. } => "not restored",
            Event::StartFailed { .. } => "failed",
            _ => "unknown",
        };
        self.words.push(word);
        word
    }

    /// Waits until this is told.
    #[track_caller]
    fn wait(&mut self, word: &str) -> Event {
        loop {
            let event = self.events.recv_timeout(TIME).unwrap_or_else(|_| panic!("{word} after {:?}", self.words));
            if self.hear(&event) == word {
                return event;
            }
        }
    }

    /// Lets go of the manager; then all that it has told.
    fn all(mut self, manager: Manager) -> Vec<&'static str> {
        drop(manager);
        let events: Vec<_> = self.events.iter().collect();
        for event in &events {
            self.hear(event);
        }
        self.words
    }
}

/// A manager whose host refuses connections while the file does not exist.
fn gated_manager(remote: &Remote) -> (PathBuf, Manager) {
    let gate = remote.dir().join("gate");
    fs::write(&gate, "").unwrap();
    let config = remote.user_config(&format!("Match exec \"test ! -e {}\"\n  Port 1\n", gate.display()));
    let manager = Manager::new(options(remote).ssh_config(config)).unwrap();
    (gate, manager)
}

/// Counts on both streams until it is told to end, by a file.
const COUNTS: &str = "trap 'exit 42' HUP; trap 'exit 17' QUIT; echo ready; i=0; \
                      until [ -e \"$GO\" ]; do i=$((i+1)); echo \"out $i\"; echo \"err $i\" >&2; sleep 0.05; done; exit 7";

#[test]
fn one_that_ends_by_itself() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let story = Story::new(&manager);
    manager.start_process("u", &kept(shell("echo out; echo err >&2; exit 3"))).unwrap();
    let status = end_of(&manager, "u");
    assert_eq!((status.source(), status.code()), (ExitSource::RemoteMonitoring, Some(3)), "{status}");
    assert_eq!(stdout(&manager, "u"), "out\n");
    assert_eq!(manager.process_stderr("u").unwrap().bytes, b"err\n");
    finish(&manager, &remote);
    assert_eq!(story.all(manager), ["started", "exited"]);
}

/// Waits until the application has written this many lines to stdout, as its manager has them.
#[track_caller]
fn wait_for_lines(manager: &Manager, uuid: &str, lines: usize) {
    wait_until("it has written", TIME, || (stdout(manager, uuid).lines().count() > lines).then_some(()));
}

/// Both streams of `COUNTS` are there, each line once and in order.
#[track_caller]
fn assert_counted(manager: &Manager, uuid: &str) {
    let streams = [("out", manager.process_stdout(uuid)), ("err", manager.process_stderr(uuid))];
    for (word, output) in streams {
        let output = output.unwrap();
        let text = String::from_utf8_lossy(&output.bytes).into_owned();
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(word)).collect();
        let expected: Vec<String> = (1..=lines.len()).map(|n| format!("{word} {n}")).collect();
        assert!(lines.len() > 1, "{text}");
        assert_eq!(lines, expected);
    }
}

struct Counting {
    go: PathBuf,
}

impl Counting {
    fn new(remote: &Remote) -> Counting {
        Counting { go: remote.scratch().join("go") }
    }

    fn request(&self) -> BootRequest {
        kept(shell(COUNTS)).environment("GO", self.go.as_os_str())
    }

    /// Lets it end, with 7.
    fn end(&self, remote: &Remote) {
        fs::write(remote.local(&self.go), "").unwrap();
    }
}

#[test]
fn it_is_killed_and_signalled_as_any_other() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let mut story = Story::new(&manager);
    let counting = Counting::new(&remote);
    let application = start_ready(&manager, "u", &counting.request());
    assert_eq!(application.pgid, application.pid);
    manager.send_signal("u", Signal::CONT).unwrap();
    let status = manager.kill_process("u", TIME).unwrap();
    assert_eq!((status.source(), status.code()), (ExitSource::ManualKillThroughRemotePid, Some(17)), "{status}");
    finish(&manager, &remote);
    assert_eq!(story.all(manager), ["started", "exited"]);
}

/// It outlives its client and is taken over by itself, with all that it wrote.
#[test]
fn its_client_is_killed() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let mut story = Story::new(&manager);
    let counting = Counting::new(&remote);
    let application = start_ready(&manager, "u", &counting.request());
    for _ in 1..=3 {
        client_of(&manager, "u").signal(libc::SIGKILL).unwrap();
        story.wait("restored");
        assert!(application.is_alive());
        let lines = stdout(&manager, "u").lines().count();
        wait_for_lines(&manager, "u", lines + 3);
    }
    counting.end(&remote);
    let status = end_of(&manager, "u");
    assert_eq!((status.source(), status.code()), (ExitSource::RemoteMonitoring, Some(7)), "{status}");
    assert!(!status.link_lost());
    assert_counted(&manager, "u");
    finish(&manager, &remote);
    let told = ["started", "lost", "restored", "lost", "restored", "lost", "restored", "exited"];
    assert_eq!(story.all(manager), told);
}

/// The whole connection goes, and the end comes while there is none.
#[test]
fn it_ends_while_there_is_no_link() {
    let remote = Remote::start();
    let (gate, manager) = gated_manager(&remote);
    let mut story = Story::new(&manager);
    let counting = Counting::new(&remote);
    let application = start_ready(&manager, "u", &counting.request());
    wait_for_lines(&manager, "u", 3);
    let before = SystemTime::now();
    fs::remove_file(&gate).unwrap();
    for sshd in remote.session_sshds() {
        sshd.signal(libc::SIGKILL).unwrap();
    }
    story.wait("lost");
    assert_eq!(manager.process_state("u").unwrap(), ProcessState::LinkLost);
    assert!(!manager.is_process_alive("u") && application.is_alive());
    story.wait("not restored");
    counting.end(&remote);
    wait_for_death(&application);
    let after = SystemTime::now();
    fs::write(&gate, "").unwrap();
    let status = end_of(&manager, "u");
    assert_eq!((status.source(), status.code()), (ExitSource::RemoteMonitoring, Some(7)), "{status}");
    let at = status.ended_at().unwrap();
    let second = Duration::from_secs(1);
    assert!(at + second >= before && at <= after, "{at:?} is between {before:?} and {after:?}");
    assert_counted(&manager, "u");
    finish(&manager, &remote);
    assert_eq!(story.all(manager), ["started", "lost", "not restored", "restored", "exited"]);
}
