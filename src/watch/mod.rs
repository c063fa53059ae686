//! One process, from its start to its end.
//!
//! # What it is for
//! [`process::Process`] is what the watcher and the callers share of a process. [`watcher`] is the body of the thread
//! of a process: it waits for a seat, runs a [`channel::Channel`] for as long as a client lives, and then asks the host
//! (`inquiry`) or restores the link. [`case::Case`] is what is known of the process, and announces it. [`state`] has
//! one `match` over all pairs of state and input; nothing else changes a state. [`event::Hub`] distributes events, and
//! [`kill`] is the way of one process through a kill sequence.
//!
//! # What it may use
//! `local`, `model`, `remote`, `launch` and `connect`.
//!
//! # Threads
//! One watcher for each process, and one dispatcher for each manager that has an exit callback. A kill runs on the
//! thread of the caller.
//!
//! # Locks
//! The record of a process, its output, its user's name, the subscribers and the callbacks have a lock each. All of
//! them are leaves: no other lock is taken under them, and nothing is waited for.

pub(crate) mod case;
pub(crate) mod channel;
pub(crate) mod event;
pub(crate) mod inquiry;
pub(crate) mod kill;
pub(crate) mod process;
pub(crate) mod shared;
pub(crate) mod spool;
pub(crate) mod state;
pub(crate) mod watcher;
