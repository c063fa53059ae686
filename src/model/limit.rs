//! The resource limits of an application.

use std::str::FromStr;

use serde::Deserialize;

use crate::model::error::{Error, Result};

/// A resource limit of setrlimit(2), named as in limits.conf(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Limit {
    /// Size of a core file, in bytes.
    Core,
    /// CPU time, in seconds.
    Cpu,
    /// Size of the data segment, in bytes.
    Data,
    /// Size of a file that the application writes, in bytes.
    Fsize,
    /// Locked memory, in bytes.
    Memlock,
    /// Number of open files.
    Nofile,
    /// Number of processes and threads of the user.
    Nproc,
    /// Size of the stack, in bytes.
    Stack,
    /// Size of the address space, in bytes.
    As,
}

impl Limit {
    /// All limits.
    pub const ALL: [Limit; 9] = [
        Limit::Core,
        Limit::Cpu,
        Limit::Data,
        Limit::Fsize,
        Limit::Memlock,
        Limit::Nofile,
        Limit::Nproc,
        Limit::Stack,
        Limit::As,
    ];

    /// Returns the name of the limit, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Limit::Core => "core",
            Limit::Cpu => "cpu",
            Limit::Data => "data",
            Limit::Fsize => "fsize",
            Limit::Memlock => "memlock",
            Limit::Nofile => "nofile",
            Limit::Nproc => "nproc",
            Limit::Stack => "stack",
            Limit::As => "as",
        }
    }
}

impl FromStr for Limit {
    type Err = Error;

    fn from_str(name: &str) -> Result<Limit> {
        Limit::ALL.into_iter().find(|limit| limit.as_str() == name).ok_or_else(|| {
            Error::invalid("limits", name, "must be core, cpu, data, fsize, memlock, nofile, nproc, stack or as")
        })
    }
}

/// The value of a resource limit. It becomes both the soft and the hard limit, as with the shell's `ulimit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitValue {
    /// No limit.
    Unlimited,
    /// A number in the unit of the limit: bytes, seconds or a count. Bytes are rounded up to the unit of the shell's
    /// `ulimit`: 512 bytes for core and fsize, 1024 bytes for the others.
    Value(u64),
}
