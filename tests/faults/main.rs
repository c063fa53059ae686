//! A real session under faults: twelve processes on three hosts, and every fault that a run control meets, alone, in
//! pairs and in random order. After each step every process runs, or its end was told exactly once and truly; no
//! stranger was signalled; in the end nothing is left on either side.
//!
//! `FAULTS_SECONDS` (30) is how long the random sequences go on, `FAULTS_SEED` repeats the order and the chances of
//! another run, `FAULTS_ONLY` does nothing but the faults whose names have this in them, each alone.
#![allow(clippy::unwrap_used)]

mod child;
mod control;
mod decoys;
mod dice;
mod fault;
mod host;
mod lane;
mod limits;
mod near;
mod recorder;
mod session;
mod slot;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod undo;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The name of the test that becomes the manager's process.
const MANAGER: &str = "manager_of_the_session";

#[test]
fn manager_of_the_session() {
    if support::is_isolated(MANAGER) {
        child::run();
    }
}

#[test]
fn a_session_survives_its_faults() {
    // The manager's process runs its own test only; this is for those who name none.
    if support::isolated_name().is_some() {
        return;
    }
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("FAULTS_SEED").unwrap_or(now.as_nanos() as u64 % 1_000_000);
    let random = Duration::from_secs(number("FAULTS_SECONDS").unwrap_or(30));
    let good = session::run(seed, random);
    assert!(good, "see the table above; FAULTS_SEED={seed} repeats the order of the faults");
}
