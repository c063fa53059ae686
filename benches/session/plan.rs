//! What a session in a process of its own is told to do.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How much of a session is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extent {
    /// Everything but idleness.
    Full,
    /// Boot, memory and the end.
    Boot,
    /// Idleness for so many seconds.
    Idle(u64),
}

/// It travels as JSON in an argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub extent: Extent,
    pub processes: usize,
    pub hosts: Vec<String>,
    pub shared: bool,
    pub ssh_config: PathBuf,
    /// The application, on the remote.
    pub app: PathBuf,
    /// A log to read, on the remote.
    pub log_file: PathBuf,
    /// sshd's listener.
    pub sshd_pid: i32,
    pub sshd_log: PathBuf,
}

impl Plan {
    pub fn to_json(&self) -> Result<String, String> {
        serde_json::to_string(self).map_err(|error| format!("a plan: {error}"))
    }

    pub fn from_json(text: &str) -> Result<Plan, String> {
        serde_json::from_str(text).map_err(|error| format!("a plan: {error}"))
    }

    /// The processes are dealt out to the hosts in turn.
    pub fn host(&self, process: usize) -> &str {
        &self.hosts[process % self.hosts.len()]
    }
}
