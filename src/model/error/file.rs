//! Why a file on a host cannot be read.

use std::fmt;

/// Why a file on a host cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileProblem {
    /// The file does not exist, or did not come to exist in time.
    Missing,
    /// The path names a directory.
    IsDirectory,
    /// The user may not read the file.
    Unreadable,
    /// The path names a fifo, a device or a socket, which could be read for ever.
    NotRegular,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileProblem::Missing => "it does not exist; check the path",
            FileProblem::IsDirectory => "it is a directory",
            FileProblem::Unreadable => "this user may not read it",
            FileProblem::NotRegular => "it is a fifo, a device or a socket, and not a regular file",
        })
    }
}
