//! Kept processes (`LinkLossPolicy::Keep`): they outlive their links and their managers, and neither their exits nor
//! their output are lost.
#![allow(clippy::unwrap_used)]

#[path = "../keeping/mod.rs"]
mod keeping;
#[path = "../life/mod.rs"]
mod life;
#[path = "../support/mod.rs"]
mod support;

mod exits;
mod left;
mod links;
mod panic;
mod policy;
