//! The Rust API once more, made of the functions of sshpm.h. The behaviour tests run against it a second time.
//!
//! Plain values (errors, roles, signals, choices) are the crate's own types, made from the numbers and texts that C
//! gives. Everything that has an effect is a call of C. What the tests do not use is missing: a test that needs more
//! does not compile until the call is added to the file of its noun.

#[allow(dead_code, missing_docs, non_camel_case_types)]
mod c {
    include!(concat!(env!("OUT_DIR"), "/c.rs"));
}
mod error;
mod events;
mod found;
mod hosts;
mod input;
mod launcher;
mod manager;
mod options;
mod output;
mod request;
mod session;
mod status;

pub use events::{CallbackId, Event, EventKind, Subscription};
pub use found::{CleanedUp, FoundProcess, FoundState};
pub use hosts::{HostInfo, LogFollower, ProcessMetadata, metadata_file_path};
pub use launcher::{Launcher, Slurm};
pub use manager::{KillResults, KillTimeouts, Manager};
pub use options::Options;
pub use output::OutputSubscription;
pub use request::{BootRequest, RestartPolicy};
pub use rust::{
    CleanUp, Destination, Error, ExitSource, FileProblem, HostKeyPolicy, KillScope, KillStep, LauncherFailure, Limit,
    LimitValue, LinkLossPolicy, LogMode, NotReadyReason, NotRestartedReason, OnFailure, Output, OutputPiece,
    OutputStream, ProcessState, Ready, RestartWhen, Result, Role, RuntimePids, SessionOutcome, Signal, SshFailure,
    StartFailure, StartStage,
};
pub use session::{BootState, Session, SessionProgress, SessionResults};
pub use status::ExitStatus;
