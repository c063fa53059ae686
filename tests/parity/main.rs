//! Parity with the Python class that sshpm re-implements: each of its members does what it did there.
#![allow(clippy::unwrap_used)]

#[path = "../life/mod.rs"]
mod life;
#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod hosts;
mod kills;
mod log_files;
mod metadata;
mod output;
mod python;
