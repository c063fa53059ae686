//! The lives of an application, as its log records them. The verb `enact` of test-app writes the log, and knows nothing
//! of wrappers and managers.

use std::fs;
use std::path::Path;

use crate::support::ProcessInfo;

/// How many bytes of each stream the application can have written that its log does not show yet.
pub const PIECE: u64 = 8192;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The log has no end: the application lives, or KILL has ended it.
    Open,
    Exit(i32),
    Raised(i32),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    pub pid: i32,
    pub start_time: u64,
    /// How many bytes the application wrote to stdout and to stderr, at least.
    pub wrote: [u64; 2],
    /// The signals that the application received.
    pub signals: Vec<i32>,
    pub end: End,
}

impl Life {
    pub fn is_alive(&self) -> bool {
        let now = ProcessInfo::of(self.pid);
        now.is_some_and(|now| now.start_time == self.start_time && !now.is_zombie())
    }

    /// Returns the code and the signal with which the application ended. Means nothing while it lives.
    pub fn code(&self) -> (i32, Option<i32>) {
        match self.end {
            End::Exit(code) => (code, None),
            End::Raised(signal) => (128 + signal, Some(signal)),
            End::Open => (128 + libc::SIGKILL, Some(libc::SIGKILL)),
        }
    }

    /// Returns the least and the greatest number of bytes that the application can have written to a stream.
    pub fn bounds(&self, stream: usize) -> (u64, u64) {
        let wrote = self.wrote[stream];
        (wrote, if self.end == End::Open { wrote + PIECE } else { wrote })
    }
}

/// Returns the lives in a log, in their order.
pub fn read(log: &Path) -> Vec<Life> {
    parse(&fs::read_to_string(log).unwrap_or_default())
}

pub fn parse(text: &str) -> Vec<Life> {
    let mut lives: Vec<Life> = Vec::new();
    // A last line without a newline is still being written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for line in whole.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().expect("a number in an application's log");
        match (words[0], lives.last_mut()) {
            ("start", _) => lives.push(Life {
                pid: number(1) as i32,
                start_time: number(2),
                wrote: [0; 2],
                signals: Vec::new(),
                end: End::Open,
            }),
            ("wrote", Some(life)) => life.wrote = [number(1), number(2)],
            ("signal", Some(life)) => life.signals.push(number(1) as i32),
            ("end", Some(life)) => life.end = End::Exit(number(1) as i32),
            ("raise", Some(life)) => life.end = End::Raised(number(1) as i32),
            _ => panic!("an application's log has the line {line:?}"),
        }
    }
    lives
}
