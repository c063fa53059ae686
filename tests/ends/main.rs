//! Ends: exit codes, signals and kills, their order, and what a host program of the library keeps to itself.
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
