//! Starts, watches and ends processes on remote hosts over the system's `ssh`: run control for data-acquisition
//! systems.
//!
//! A [`Manager`] holds a table of processes, each named by a uuid that the caller chooses. A [`BootRequest`] says what
//! to run, where and as whom. [`Event`]s report that a process runs, has ended, has lost its link or did not start.
//! Nothing is installed on the remote hosts: sshd and a POSIX `/bin/sh` are enough. Other [`Launcher`]s than ssh start
//! processes on this machine, in containers, and in a Slurm job.
//!
//! ```no_run
//! use std::time::Duration;
//! use sshpm::{BootRequest, KillTimeouts, Manager, Options};
//!
//! let manager = Manager::new(Options::new())?;
//! let request = BootRequest::new("daq-host-1", ["readout", "--crate", "7"]).setup_line("source /daq/env.sh");
//! manager.start_process("readout-7", &request)?;
//! let pid = manager.wait_until_started("readout-7", Duration::from_secs(30))?;
//! println!("readout-7 runs with pid {pid}");
//! for (uuid, end) in manager.kill_all_processes(&KillTimeouts::default())? {
//!     match end {
//!         Ok(status) => println!("{status}"),
//!         Err(error) => println!("{uuid}: {error}"),
//!     }
//! }
//! # Ok::<(), sshpm::Error>(())
//! ```
//!
//! # Threads
//! In this program, each process has one thread, and so has each shared connection and each followed log file. One more
//! thread runs the exit callbacks, once a callback is registered. Each call of
//! [`Manager::validate_hosts`] has up to 16 threads until it returns. All these threads sleep until something happens.
//! All calls can be made from any thread. All signals are blocked in the crate's threads, which never unblock one. The
//! crate installs no signal handler, logger or panic hook.
//!
//! # Trust
//! What an application writes cannot be taken for a report of its wrapper, because each report carries 186 random bits
//! that the application never gets. A program of the same user on the same host can always read the wrapper's memory or
//! end the wrapper; ssh offers no protection against that. The exit of a process is reported once, and the first report
//! stands.
//!
//! The remote side sends a signal only after it has compared the pid and the start time, or to the process group of the
//! wrapper's own child. Between the comparison and the signal the process could end and another process could get its
//! pid. For that, the host would have to use up all its pids within some microseconds; a shell cannot exclude it.

mod capi;
mod connect;
mod launch;
mod local;
mod manager;
mod model;
mod remote;
mod session;
mod watch;

pub use manager::Manager;
pub use manager::discovery::{CleanUp, CleanedUp, FoundProcess, FoundState};
pub use manager::hosts::HostInfo;
pub use manager::log_file::LogFollower;
pub use manager::metadata::{ProcessMetadata, metadata_file_path};
pub use model::destination::Destination;
pub use model::error::{
    Error, FileProblem, LauncherFailure, NotReadyReason, NotRestartedReason, Result, SshFailure, StartFailure,
    StartStage,
};
pub use model::exit_status::{ExitSource, ExitStatus};
pub use model::launcher::Launcher;
pub use model::limit::{Limit, LimitValue};
pub use model::link_loss::LinkLossPolicy;
pub use model::options::{HostKeyPolicy, KillScope, KillStep, Options};
pub use model::output::{Output, OutputPiece, OutputStream, OutputSubscription};
pub use model::ready::Ready;
pub use model::request::{BootRequest, LogMode};
pub use model::restart::{RestartPolicy, RestartWhen};
pub use model::role::Role;
pub use model::signal::Signal;
pub use model::slurm::Slurm;
pub use session::plan::{OnFailure, Session};
pub use session::results::{BootState, SessionOutcome, SessionProgress, SessionResults};
pub use watch::event::{CallbackId, Event, EventKind, Subscription};
pub use watch::kill::{DEFAULT_KILL_TIMEOUT, KillResults, KillTimeouts};
pub use watch::process::RuntimePids;
pub use watch::state::ProcessState;

/// Compiles the README's Rust program.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
