//! Plain values: what users give and get, and the checks that refuse bad values before anything starts.
//!
//! # What it is for
//! Requests, options, errors, exit statuses, launchers, roles, signals and limits, each with its check and its text.
//! All other rooms speak in these values. Bounded buffers are here too: `Head` (the first bytes of a stream), `Tail`
//! (the last ones) and `OutputTails` (what is kept of an application's output, and its live readers).
//!
//! # What it may use
//! `local`.
//!
//! # Threads and locks
//! None. No function here waits for anything or starts anything. The owner of an `OutputTails` locks it.

pub(crate) mod absolute_path;
pub(crate) mod callback_thread;
pub(crate) mod check;
pub(crate) mod destination;
pub(crate) mod error;
pub(crate) mod exit_status;
pub(crate) mod json;
pub(crate) mod launcher;
pub(crate) mod limit;
pub(crate) mod link_loss;
pub(crate) mod options;
pub(crate) mod output;
pub(crate) mod queue;
pub(crate) mod ready;
pub(crate) mod request;
pub(crate) mod request_json;
pub(crate) mod restart;
pub(crate) mod role;
pub(crate) mod signal;
pub(crate) mod slurm;
pub(crate) mod time;
