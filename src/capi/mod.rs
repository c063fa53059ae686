//! The C ABI: a thin layer of handles, checks and conversions over the Rust API, one C noun in each file.
//!
//! `include/sshpm.h` is made from these files by `tests/c_api/header.rs`: the doc comments of what is exported are written
//! for its readers. Rules that hold for all functions stand once at the top of the header, in `cbindgen.toml`.
// The names of types are those of C.
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
mod status;
mod strings;
mod subscription;
