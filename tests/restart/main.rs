//! Restarts by a call and by a policy: which life follows which, and what cancels that.
#![allow(clippy::unwrap_used)]

#[path = "../keeping/mod.rs"]
mod keeping;
#[path = "../life/mod.rs"]
mod life;
#[path = "../support/mod.rs"]
mod support;

mod calls;
mod policy;
mod races;
