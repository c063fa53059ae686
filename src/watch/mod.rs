//! One process, from its start to its end.
//!
//! # What it is for
//! [`process::Process`] is what the watcher and the callers share of a process. [`watcher`] is the body of the thread
//! of a process: it waits for a seat, runs a [`channel::Channel`] for as long as a client lives, and, if the link was
//! lost, asks the host how the process ended (`inquiry`) or restores the link. [`case::Case`] is what the watcher knows
//! of the process, and announces it. [`state`] has one `match` over all pairs of state and input; nothing else decides
//! on a state. [`readiness`] does the same for whether the process is ready, and `text_finder` looks for the text that
//! shows it. [`succession`] does it for what follows the end, and [`restarts`] decides what a restart policy says about
//! an end. [`event::Hub`] distributes events, and [`kill`] is the way of one process through a kill sequence. [`table`]
//! has the processes by uuid, and starts their watchers. `spool` counts which bytes of a kept process's output have
//! arrived. `shared` is what the calls and the watchers of a manager share.
//!
//! # What it may use
//! `local`, `model`, `remote`, `launch` and `connect`.
//!
//! # Threads
//! One watcher for each process, and one dispatcher for each manager that has an exit callback. A kill runs on the
//! thread of the caller.
//!
//! # Locks
//! The table, the list of watchers, the record of a process, its output, its user's name, the subscribers, the
//! callbacks and the dispatcher have a lock each. All of them are leaves: no other lock of this crate is taken under
//! them, and nothing is waited for. Under the locks of the record and the output, messages are sent to channels,
//! without blocking.

pub(crate) mod case;
pub(crate) mod channel;
pub(crate) mod event;
pub(crate) mod inquiry;
pub(crate) mod kill;
pub(crate) mod process;
pub(crate) mod readiness;
pub(crate) mod restarts;
pub(crate) mod shared;
pub(crate) mod spool;
pub(crate) mod state;
pub(crate) mod succession;
pub(crate) mod table;
pub(crate) mod text_finder;
pub(crate) mod watcher;
