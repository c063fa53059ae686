//! The tests of the tests: private sshds, a private Slurm, and what the fault suite judges by.
#![allow(dead_code, clippy::unwrap_used)]

#[path = "../faults/child.rs"]
mod child;
#[path = "../faults/dice.rs"]
mod dice;
#[path = "../faults/fault.rs"]
mod fault;
#[path = "../faults/output.rs"]
mod output;
#[path = "../faults/output_tests.rs"]
mod output_tests;
#[path = "../support/pattern.rs"]
mod pattern;
#[path = "../faults/recorder.rs"]
mod recorder;
#[path = "../faults/recorder_tests.rs"]
mod recorder_tests;
#[path = "../support/mod.rs"]
mod support;
#[path = "../faults/table.rs"]
mod table;
#[path = "../faults/table_tests.rs"]
mod table_tests;

mod remotes;
mod rooms;
mod slurm;
