//! Starts: what an application gets (arguments, environment, limits, setup lines, files), and why starts fail.
#![allow(clippy::unwrap_used)]

#[path = "../dying_shells/mod.rs"]
mod dying_shells;
#[path = "../life/mod.rs"]
mod life;
#[path = "../sharing/mod.rs"]
mod sharing;
#[path = "../support/mod.rs"]
mod support;

mod disk;
mod failures;
mod log_files;
mod login_shells;
mod numbers;
mod odd_applications;
mod private_files;
mod races;
mod session;
mod setup_lines;
mod values;
