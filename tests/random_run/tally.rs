//! The results of the run, over all lanes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::judge::Verdict;
use crate::support::{BRIEF, LOG, shorten, shorten_lines};

/// The run ends after this many faults: more of them would say nothing new.
const MOST_FAULTS: usize = 60;

pub struct Tally {
    pub begun: Instant,
    starts: usize,
    given: AtomicUsize,
    counts: Mutex<BTreeMap<&'static str, usize>>,
    faults: Mutex<Vec<String>>,
    compared: Mutex<u64>,
    trace: Option<Mutex<File>>,
}

impl Tally {
    /// Returns an empty tally. `trace` is a file for all notes of the lanes.
    pub fn new(starts: usize, trace: Option<OsString>) -> Tally {
        Tally {
            begun: Instant::now(),
            starts,
            given: AtomicUsize::new(0),
            counts: Mutex::default(),
            faults: Mutex::default(),
            compared: Mutex::default(),
            trace: trace.map(|file| Mutex::new(File::create(file).unwrap())),
        }
    }

    /// Returns a line of a lane with the time before it, and writes it to the trace.
    pub fn note(&self, uuid: &str, text: &str) -> String {
        let line = format!("{:9.4} {uuid} {text}", self.begun.elapsed().as_secs_f64());
        if let Some(trace) = &self.trace {
            trace.lock().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
        }
        line
    }

    /// Returns whether another start is to be made, and counts it.
    pub fn take_start(&self) -> bool {
        let is_over = self.faults.lock().unwrap().len() >= MOST_FAULTS;
        !is_over && self.given.fetch_add(1, Ordering::Relaxed) < self.starts
    }

    pub fn count(&self, what: &'static str) {
        *self.counts.lock().unwrap().entry(what).or_default() += 1;
    }

    pub fn verdict(&self, verdict: Verdict) {
        let what = match verdict {
            Verdict::Exact(bytes) => {
                *self.compared.lock().unwrap() += bytes;
                "exact"
            }
            Verdict::Failed => "failed as planned",
            Verdict::Cancelled => "cancelled",
            Verdict::Unheard => "ended with their manager",
            Verdict::Overtaken => "killed as they were about to end",
        };
        self.count(what);
    }

    /// Notes and prints a fault: a false report, or something that was left. `details` help to find the cause.
    pub fn fault(&self, why: &str, details: &str) {
        self.faults.lock().unwrap().push(why.to_owned());
        println!("FAULT {}\n{}", shorten(why, BRIEF), shorten_lines(details, LOG));
    }

    pub fn faults(&self) -> usize {
        self.faults.lock().unwrap().len()
    }

    /// Returns the counts and, before them, one line for each kind of fault.
    pub fn summary(&self) -> String {
        let counts: Vec<_> =
            self.counts.lock().unwrap().iter().map(|(what, count)| format!("{count} {what}")).collect();
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for fault in self.faults.lock().unwrap().iter() {
            *kinds.entry(kind_of(fault)).or_default() += 1;
        }
        let kinds: String = kinds.iter().map(|(kind, count)| format!("{count:5} x {kind}\n")).collect();
        let (compared, seconds) = (*self.compared.lock().unwrap(), self.begun.elapsed().as_secs());
        format!("{kinds}random run: {}; {compared} bytes compared, {seconds} s", counts.join(", "))
    }
}

/// Returns a fault without its numbers, and without the name before its first ": ".
fn kind_of(fault: &str) -> String {
    let text = fault.split_once(": ").map_or(fault, |(_, text)| text);
    let mut kind = String::new();
    for c in text.chars() {
        match (c.is_ascii_digit(), kind.ends_with('#')) {
            (true, true) => {}
            (true, false) => kind.push('#'),
            (false, _) => kind.push(c),
        }
    }
    kind
}
