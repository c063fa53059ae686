//! What the tests of kept processes share.
#![allow(dead_code, clippy::unwrap_used)]

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use sshpm::{BootRequest, Event, EventKind, FoundProcess, LinkLossPolicy, Manager, Options, Subscription};

use crate::life::*;
use crate::support::{Gate, ProcessInfo, Remote, wait_until};

pub fn kept(request: BootRequest) -> BootRequest {
    request.link_loss(LinkLossPolicy::Keep)
}

/// The events of a manager that has one process.
pub struct Story {
    events: Subscription,
    pub words: Vec<&'static str>,
}

impl Story {
    pub fn new(manager: &Manager) -> Story {
        Story { events: manager.subscribe().unwrap(), words: Vec::new() }
    }

    pub fn hear(&mut self, event: &Event) -> &'static str {
        let word = match event.kind {
            EventKind::Started { .. } => "started",
            EventKind::Ready => "ready",
            EventKind::NotReady { .. } => "not ready",
            EventKind::Exited { .. } => "exited",
            EventKind::LinkLost { .. } => "lost",
            EventKind::LinkRestored => "restored",
            EventKind::LinkNotRestored { .. } => "not restored",
            EventKind::StartFailed { .. } => "failed",
            EventKind::Restarting { .. } => "restarting",
            EventKind::RestartLimitReached { .. } => "restart limit",
            _ => "unknown",
        };
        self.words.push(word);
        word
    }

    /// Waits until this event comes.
    #[track_caller]
    pub fn wait(&mut self, word: &str) -> Event {
        loop {
            let event = self.events.recv_timeout(TIME).unwrap_or_else(|_| panic!("{word} after {:?}", self.words));
            if self.hear(&event) == word {
                return event;
            }
        }
    }

    /// Drops the manager, and returns all events that it has sent.
    pub fn all(mut self, manager: Manager) -> Vec<&'static str> {
        drop(manager);
        let events: Vec<_> = self.events.iter().collect();
        for event in &events {
            self.hear(event);
        }
        self.words
    }
}

/// Returns a manager whose host cannot be reached while the gate is closed.
pub fn gated_manager(remote: &Remote) -> (Gate<'_>, Manager) {
    gated_manager_with(remote, |options| options)
}

pub fn gated_manager_with(remote: &Remote, change: impl Fn(Options) -> Options) -> (Gate<'_>, Manager) {
    let (gate, options) = remote.gate();
    let manager = Manager::new(change(options)).unwrap();
    (gate, manager)
}

/// Counts on both streams until a file tells it to end.
pub const COUNTS: &str = "trap 'exit 42' HUP; trap 'exit 17' QUIT; echo ready; i=0; \
                      until [ -e \"$GO\" ]; do i=$((i+1)); echo \"out $i\"; echo \"err $i\" >&2; sleep 0.05; done; exit 7";

/// Waits until the manager has this many lines of the application's stdout.
#[track_caller]
pub fn wait_for_lines(manager: &Manager, uuid: &str, lines: usize) {
    wait_until("the lines of the application", TIME, || (stdout(manager, uuid).lines().count() > lines).then_some(()));
}

/// Asserts that both streams of `COUNTS` have arrived, each line once and in order.
#[track_caller]
pub fn assert_counted(manager: &Manager, uuid: &str) {
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

pub struct Counting {
    go: PathBuf,
}

impl Counting {
    pub fn new(remote: &Remote) -> Counting {
        Counting::named(remote, "u")
    }

    pub fn named(remote: &Remote, name: &str) -> Counting {
        Counting { go: remote.scratch().join(format!("go-{name}")) }
    }

    /// Starts an application that counts, as process "u" of this manager, and waits until it is ready.
    #[track_caller]
    pub fn start(remote: &Remote, manager: &Manager) -> (Counting, ProcessInfo) {
        let counting = Counting::new(remote);
        let application = start_ready(manager, "u", &counting.request());
        (counting, application)
    }

    /// Returns the file that ends the application.
    pub fn go(&self) -> &OsStr {
        self.go.as_os_str()
    }

    pub fn request(&self) -> BootRequest {
        kept(shell(COUNTS)).environment("GO", self.go.as_os_str())
    }

    /// Makes the application end with 7.
    pub fn end(&self, remote: &Remote) {
        fs::write(remote.local(&self.go), "").unwrap();
    }
}

pub fn found(manager: &Manager, uuid: &str) -> FoundProcess {
    let mut all = manager.find_processes("alpha", None).unwrap();
    all.retain(|found| found.uuid == uuid);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}
