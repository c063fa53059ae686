//! Shared connections: who may log in, when, and on which connection a session runs.
//!
//! # What it is for
//! [`pool::Pool`] is what other rooms call: `Pool::seat` waits for a [`seat::Seat`], which is the right to have one
//! session on a host, on a connection or by a login of its own. `seats` decides who gets which seat, without locks;
//! [`table::ConnectionTable`] has the lock around it. [`limiter::ConnectLimiter`] bounds the logins in progress, and
//! `retry` computes the pauses between attempts. `call` runs a short script on a host.
//!
//! # What it may use
//! `local`, `model`, `remote` and `launch`.
//!
//! # Threads
//! Each [`connection::Connection`] has a thread, in `master`, which opens it, keeps its lease and reports its end. All
//! else runs on the thread of the caller.
//!
//! # Locks
//! Under the limiter's lock, a waiter checks whether it is cancelled, which can take the lock of the table, of a
//! connection's state or of a log follower's link. All other locks are leaves. No lock is held while a thread waits,
//! spawns or sends.

pub(crate) mod call;
pub(crate) mod connection;
pub(crate) mod limiter;
pub(crate) mod master;
pub(crate) mod pool;
pub(crate) mod retry;
pub(crate) mod seat;
pub(crate) mod seats;
pub(crate) mod socket_directory;
pub(crate) mod table;
