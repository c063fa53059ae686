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
//! thread runs the exit callbacks, once a callback is registered. These threads sleep until something happens. All calls
//! can be made from any thread. All signals are blocked in the crate's threads, which never unblock one. The crate
//! installs no signal handler, logger or panic hook.
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

mod absolute_path;
mod call;
mod callback_thread;
mod capi;
mod case;
mod channel;
mod check;
mod client;
mod collect;
mod connection;
mod destination;
mod discovery;
mod error;
mod event;
mod exit_status;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod heap;
mod hosts;
mod inquiry;
mod instance;
mod json;
mod kerberos;
mod kill;
mod launch;
mod launch_command;
mod launch_local;
mod launch_slurm;
mod launch_ssh;
mod launcher;
mod lease;
mod limit;
mod limiter;
mod link_loss;
mod local;
mod local_program;
mod log_file;
mod manager;
mod manager_kill;
mod master;
mod metadata;
mod nonce;
mod options;
mod output;
mod parameters;
mod pieces;
mod pool;
mod process;
#[cfg(test)]
mod protocol_doc;
mod query;
mod queue;
mod report;
mod request;
mod retry;
mod role;
mod route;
mod script;
mod seat;
mod seats;
mod seconds;
mod shared;
mod signal;
mod slurm;
mod socket_directory;
mod spawn_client;
mod spool;
mod ssh_version;
mod state;
mod sys;
mod table;
mod target;
mod watcher;
mod wrapper;

pub use destination::Destination;
pub use discovery::{CleanUp, CleanedUp, FoundProcess, FoundState};
pub use error::{Error, FileProblem, LauncherFailure, Result, SshFailure, StartFailure, StartStage};
pub use event::{CallbackId, Event, EventKind, Subscription};
pub use exit_status::{ExitSource, ExitStatus};
pub use hosts::HostInfo;
pub use kill::{DEFAULT_KILL_TIMEOUT, KillResults, KillTimeouts};
pub use launcher::Launcher;
pub use limit::{Limit, LimitValue};
pub use link_loss::LinkLossPolicy;
pub use log_file::LogFollower;
pub use manager::Manager;
pub use metadata::{ProcessMetadata, metadata_file_path};
pub use options::{HostKeyPolicy, KillScope, KillStep, Options};
pub use output::{Output, OutputPiece, OutputStream, OutputSubscription};
pub use process::RuntimePids;
pub use request::{BootRequest, LogMode};
pub use role::Role;
pub use signal::Signal;
pub use slurm::Slurm;
pub use state::ProcessState;

/// Compiles the README's Rust program.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
