//! Readiness: what shows that a process can be used, in which order that is reported, and what happens without it.
#![allow(clippy::unwrap_used)]

#[path = "../keeping/mod.rs"]
mod keeping;
#[path = "../life/mod.rs"]
mod life;
#[path = "../support/mod.rs"]
mod support;

mod output;
