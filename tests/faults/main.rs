//! A real session under faults: twelve processes on three hosts, and every fault that run control meets, alone, in
//! pairs and in random order. After each step every process runs, or its end was reported exactly once, with its true
//! code and all of its output. No decoy gets a signal. At the end nothing is left on either side.
//!
//! `FAULTS_SECONDS` (30) is the duration of the faults in random order. `FAULTS_SEED` repeats the random choices of
//! another run. `FAULTS_ONLY` applies only the faults whose names contain this text, each alone.
#![allow(clippy::unwrap_used)]

mod adoption;
mod child;
mod control;
mod decoys;
mod dice;
mod early;
mod extras;
mod fault;
mod host;
mod lane;
mod limits;
mod managers;
mod near;
mod output;
#[path = "../support/pattern.rs"]
mod pattern;
mod quota;
mod recorder;
mod session;
mod slot;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod undo;

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The name with which this program runs as the manager's process.
const MANAGER: &str = "manager_of_the_session";
/// The name of the only test, for test runners that choose tests by name.
const NAME: &str = "a_session_survives_its_faults";

/// Runs the suite without Rust's test harness, so that the last line of its output is its result.
fn main() -> ExitCode {
    if support::is_isolated(MANAGER) {
        child::run();
        return ExitCode::SUCCESS;
    }
    let mut names = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
    if std::env::args().any(|argument| argument == "--list") {
        println!("{NAME}: test");
        return ExitCode::SUCCESS;
    }
    if names.peek().is_some() && !names.any(|name| NAME.contains(&name)) {
        return ExitCode::SUCCESS;
    }
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("FAULTS_SEED").unwrap_or(now.as_nanos() as u64 % 1_000_000);
    let random = Duration::from_secs(number("FAULTS_SECONDS").unwrap_or(30));
    // The table shows what failed. FAULTS_SEED repeats the order of the faults.
    if session::run(seed, random) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
