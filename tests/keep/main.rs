//! Kept processes (`LinkLossPolicy::Keep`): they outlive their links and their managers, and nothing of what they do is lost.
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
