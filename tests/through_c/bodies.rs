//! The tests of behaviour once more, through the C API: here `sshpm` is the library in api/.
//!
//! Not here, because they would call no other function of C and would take three minutes: connections,
//! connection_faults, connection_races, ssh_config, login_shells, setup_lines, odd_applications, unshared, many,
//! without_clients. Not here either, because they are in C already or about Rust alone: the Python program of parity,
//! guest, panics.
#![allow(clippy::unwrap_used)]

#[path = "../dying_shells/mod.rs"]
mod dying_shells;
#[path = "../keeping/mod.rs"]
mod keeping;
#[path = "../life/mod.rs"]
mod life;
#[path = "../sharing/mod.rs"]
mod sharing;
#[path = "../support/mod.rs"]
mod support;

#[path = "../ends/exit_codes.rs"]
mod exit_codes;
#[path = "../ends/exit_order.rs"]
mod exit_order;
#[path = "../keep/policy.rs"]
mod keep_policy;
#[path = "../ends/kills.rs"]
mod kills;
#[path = "../links/link_loss.rs"]
mod link_loss;
#[path = "../starts/log_files.rs"]
mod log_files;
#[path = "../parity/bad_input.rs"]
mod parity_bad_input;
#[path = "../parity/hosts.rs"]
mod parity_hosts;
#[path = "../parity/kills.rs"]
mod parity_kills;
#[path = "../parity/log_files.rs"]
mod parity_log_files;
#[path = "../parity/metadata.rs"]
mod parity_metadata;
#[path = "../parity/output.rs"]
mod parity_output;
#[path = "../ready/output.rs"]
mod ready_output;
#[path = "../ready/port.rs"]
mod ready_port;
#[path = "../restart/calls.rs"]
mod restart_calls;
#[path = "../restart/policy.rs"]
mod restart_policy;
#[path = "../starts/session.rs"]
mod session;
#[path = "../session/boot.rs"]
mod session_boot;
#[path = "../links/ssh_failures.rs"]
mod ssh_failures;
#[path = "../starts/failures.rs"]
mod start_failures;
#[path = "../starts/numbers.rs"]
mod start_numbers;
#[path = "../starts/values.rs"]
mod values;
