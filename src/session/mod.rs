//! What a user boots together: the description of a session, and its boot in stages.
//!
//! # What it is for
//! [`plan::Session`] says which processes there are and how they boot; [`Session::from_json`] reads it. `boot` starts
//! them stage by stage, and `verdict` decides when a stage is complete or has failed. `results` has what the call
//! returns and what it reports meanwhile.
//!
//! [`Session::from_json`]: plan::Session::from_json
//!
//! # What it may use
//! All rooms before it: not `capi`.
//!
//! # Threads
//! This room starts none. A boot runs on the thread of its caller, and so does its progress callback.
//!
//! # Locks
//! None.

mod boot;
mod json;
pub(crate) mod plan;
pub(crate) mod results;
mod verdict;
