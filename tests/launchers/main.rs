//! Launchers: each of them passes the tests of behaviour. Other tests are about what is particular to one launcher.
#![allow(clippy::unwrap_used)]

#[path = "../keeping/mod.rs"]
mod keeping;
#[path = "../life/mod.rs"]
mod life;
#[path = "../support/mod.rs"]
mod support;

mod command;
mod containers;
mod each;
mod environment;
mod local;
mod slurm;
