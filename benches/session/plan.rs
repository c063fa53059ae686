//! The plan of a session that runs in a process of its own.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How much of a session is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extent {
    /// Everything but idleness.
    Full,
    /// Boot, memory and the end.
    Boot,
    /// What `Boot` has, and then boots on open connections.
    Again,
    /// Idleness for this many seconds.
    Idle(u64),
}

/// What a session does. The benchmark passes it as JSON in an argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub extent: Extent,
    pub processes: usize,
    pub hosts: Vec<String>,
    pub shared: bool,
    /// Whether each process on a shared connection has an ssh client of its own.
    pub clients: bool,
    /// Whether `Launcher::Local` starts the processes.
    pub local: bool,
    /// Variables for the process of the session.
    pub environment: Vec<(String, PathBuf)>,
    pub ssh_option: Option<String>,
    /// The soft limit of descriptors, which the manager may raise. `None` leaves it as high as it may be.
    pub descriptor_limit: Option<u64>,
    pub ssh_config: PathBuf,
    /// The path of the application on the remote.
    pub app: PathBuf,
    /// The path of a log on the remote that the session reads.
    pub log_file: PathBuf,
    /// The pid of sshd's listener.
    pub sshd_pid: i32,
    pub sshd_log: PathBuf,
}

impl Plan {
    pub fn to_json(&self) -> Result<String, String> {
        serde_json::to_string(self).map_err(|error| format!("cannot write a plan: {error}"))
    }

    pub fn from_json(text: &str) -> Result<Plan, String> {
        serde_json::from_str(text).map_err(|error| format!("cannot read a plan: {error}"))
    }

    /// Returns the host of a process. The processes go to the hosts in turn.
    pub fn host(&self, process: usize) -> &str {
        &self.hosts[process % self.hosts.len()]
    }
}
