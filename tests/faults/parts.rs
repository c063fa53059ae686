//! What the fault suite judges by, tested by itself.
#![allow(dead_code, clippy::unwrap_used)]

mod child;
mod dice;
mod fault;
mod output;
mod output_tests;
#[path = "../support/pattern.rs"]
mod pattern;
mod recorder;
mod recorder_tests;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod table_tests;
