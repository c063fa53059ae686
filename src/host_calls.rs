//! The manager's calls that are about hosts and their files, not about processes of its table.

use std::path::Path;
use std::time::Duration;

use crate::destination::Destination;
use crate::error::Result;
use crate::event::refuse_inside_callback;
use crate::host::{self, HostInfo};
use crate::log_file::{self, LogFollower};
use crate::manager::Manager;
use crate::metadata::{self, ProcessMetadata};

impl Manager {
    /// Logs in to a host without asking anybody, and tells what it learned. Where a connection to the host is open, its login
    /// counts. `auth_method` names the ways to log in that may be used, as ssh's PreferredAuthentications: `publickey`,
    /// `gssapi-with-mic,publickey`: then it always logs in anew; `None`: all. Blocks, at most for twice the connect timeout.
    ///
    /// # Errors
    /// [`Error::Ssh`](crate::Error::Ssh) with what failed; [`Error::Invalid`](crate::Error::Invalid),
    /// [`Error::InsideCallback`](crate::Error::InsideCallback).
    pub fn validate_host_connection(
        &self,
        host: &str,
        user: Option<&str>,
        auth_method: Option<&str>,
    ) -> Result<HostInfo> {
        refuse_inside_callback()?;
        host::validate(&self.shared, host, user, auth_method)
    }

    /// The same for many hosts, 16 at the same time. `progress` is called on this thread with each one's place in the list
    /// and its answer, in the order in which they come; the answers are returned in the order of the list. Blocks.
    ///
    /// # Errors
    /// [`Error::Local`](crate::Error::Local) when there is no thread to be had,
    /// [`Error::InsideCallback`](crate::Error::InsideCallback); all else is in the answers.
    pub fn validate_hosts(
        &self,
        destinations: &[Destination],
        mut progress: impl FnMut(usize, &Result<HostInfo>),
    ) -> Result<Vec<Result<HostInfo>>> {
        refuse_inside_callback()?;
        host::validate_all(&self.shared, destinations, &mut progress)
    }

    /// The last lines of a file on a host, at most 16 MiB of them, as bytes; the time does not depend on the file's size. The path is
    /// literal; a relative one begins at the login directory. Blocks, at most for the timeout.
    ///
    /// # Errors
    /// [`Error::RemoteFile`](crate::Error::RemoteFile), for a fifo or a device too; [`Error::Ssh`](crate::Error::Ssh),
    /// [`Error::TimedOut`](crate::Error::TimedOut), [`Error::Invalid`](crate::Error::Invalid),
    /// [`Error::InsideCallback`](crate::Error::InsideCallback).
    pub fn read_log_file(
        &self,
        host: &str,
        user: Option<&str>,
        path: impl AsRef<Path>,
        lines: usize,
        timeout: Duration,
    ) -> Result<Vec<u8>> {
        refuse_inside_callback()?;
        log_file::read(&self.shared, host, user, path.as_ref(), lines, timeout)
    }

    /// Follows a file on a host as it grows, beginning with its last lines, until the follower is dropped. Does not block:
    /// what goes wrong comes from the follower.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid); [`Error::Local`](crate::Error::Local) when there is no thread to be had.
    pub fn follow_log_file(
        &self,
        host: &str,
        user: Option<&str>,
        path: impl AsRef<Path>,
        lines: usize,
    ) -> Result<LogFollower> {
        log_file::follow(&self.shared, host, user, path.as_ref(), lines)
    }

    /// Reads the metadata file of a uuid on a host, and waits for it there. The process need not be this manager's.
    /// Blocks, at most for the timeout and 10 s for the connection.
    ///
    /// # Errors
    /// [`Error::RemoteFile`](crate::Error::RemoteFile): there is none; [`Error::BadMetadata`](crate::Error::BadMetadata),
    /// [`Error::Ssh`](crate::Error::Ssh), [`Error::TimedOut`](crate::Error::TimedOut),
    /// [`Error::Invalid`](crate::Error::Invalid), [`Error::InsideCallback`](crate::Error::InsideCallback).
    pub fn read_process_metadata(
        &self,
        uuid: &str,
        host: &str,
        user: Option<&str>,
        timeout: Duration,
    ) -> Result<ProcessMetadata> {
        refuse_inside_callback()?;
        metadata::read(&self.shared, uuid, host, user, timeout)
    }
}
