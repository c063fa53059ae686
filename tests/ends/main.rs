//! Ends of processes: exit codes, signals, kills, the order of reports, and what a program that uses the library keeps.
#![allow(clippy::unwrap_used)]

#[path = "../life/mod.rs"]
mod life;
#[path = "../sharing/mod.rs"]
mod sharing;
#[path = "../support/mod.rs"]
mod support;

mod exit_codes;
mod exit_order;
mod guest;
mod host_signals;
mod hostile_applications;
mod kill_tree;
mod kills;
mod panics;
