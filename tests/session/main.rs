//! Sessions: what the boot of several processes starts, waits for, reports and takes back.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "../faults/dice.rs"]
mod dice;
#[path = "../life/mod.rs"]
mod life;
#[path = "../support/mod.rs"]
mod support;

mod boot;
mod races;
mod schema;
