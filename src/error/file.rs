//! Why a file on a host cannot be read.

use std::fmt;

/// Why a file on a host cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileProblem {
    /// It does not exist, or did not come to exist in time.
    Missing,
    /// It is a directory.
    IsDirectory,
    /// The user may not read it.
    Unreadable,
    /// It is a fifo, a device or a socket: reading it could take for ever.
    NotRegular,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileProblem::Missing => "it does not exist; is the name right?",
            FileProblem::IsDirectory => "it is a directory",
            FileProblem::Unreadable => "it may not be read by this user",
            FileProblem::NotRegular => "it is a fifo, a device or a socket",
        })
    }
}
