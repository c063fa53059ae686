//! Links and connections: ssh's configuration, ssh's failures, shared connections, links that break, hosts that lie.
#![allow(clippy::unwrap_used)]

#[path = "../life/mod.rs"]
mod life;
#[path = "../sharing/mod.rs"]
mod sharing;
#[path = "../support/mod.rs"]
mod support;

mod connection_faults;
mod connection_races;
mod connections;
mod hostile_hosts;
mod link_loss;
mod many;
mod ssh_config;
mod ssh_failures;
mod unshared;
mod without_clients;
