//! The C ABI: a thin layer of handles, checks and conversions over the Rust API, one C noun in each file.
//!
//! `tests/c_api/header.rs` generates `include/sshpm.h` from these files, so the doc comments of exported items are
//! written for C programmers. Rules that hold for all functions stand once, at the top of the header, in
//! `cbindgen.toml`.
//!
//! `codes` has the result codes, `boundary` runs each function, catches its panics and passes values to C, and `input`
//! reads the arguments. Each of these three imports only from those before it. The files of the nouns use all three.
//!
//! # What it may use
//! All other rooms; most files need only what the crate exports.
//!
//! # Threads
//! This room starts none. A function runs on the thread of its caller, an exit callback on the dispatcher, and the log
//! callback on each thread that logs.
//!
//! # Locks
//! `log` has a lock for the log callback, which is a leaf. [`callback_guard::CallbackGuard`] is held for reading while
//! a callback runs, so that removing the callback waits for that call.
// Types have the names that they have in C.
#![allow(non_camel_case_types)]

mod boundary;
mod buffer;
mod callback_guard;
mod clean_up;
mod codes;
mod discovery;
mod event;
mod host;
mod input;
mod kill_results;
mod launcher;
mod log;
mod log_file;
mod manager;
mod manager_kill;
mod manager_query;
mod metadata;
mod options;
mod output;
mod request;
mod request_setters;
mod result;
mod role;
mod session;
mod session_results;
mod status;
mod strings;
mod subscription;
