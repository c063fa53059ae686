//! How an application shows that it can be used.

use serde::Deserialize;

use crate::model::check::{self, LONGEST_NAME};
use crate::model::error::{Error, Result};

/// How an application shows that it is ready: `Started` says only that its program was executed.
///
/// ```
/// use sshpm::{BootRequest, Ready};
/// let request = BootRequest::new("daq-host-1", ["readout"]).ready(Ready::Output("listening for triggers".into()));
/// request.check()?;
/// # Ok::<(), sshpm::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Ready {
    /// The application writes a line, which may be empty, to the descriptor whose number stands in the variable
    /// `SSHPM_NOTIFY_FD` of its environment. This is the protocol of s6. The number is one digit, above 2. If the
    /// application closes the descriptor before, it does not count as ready
    /// ([`NotReadyReason::NotifyClosed`](crate::NotReadyReason::NotifyClosed)). A child that it has forked may still
    /// have the descriptor open: then the ready timeout decides.
    ///
    /// The variable takes the place of one with its name that the login, the setup lines or the request set.
    Notify,
    /// This text stands in a line that the application writes to stdout or stderr. The text is literal: 1 to 1024
    /// bytes, without a newline. What the setup lines write counts as well.
    ///
    /// Without a log file, the manager finds the text as soon as it arrives, before the line is complete. With a log
    /// file, the host looks for the text in each complete line behind what stood in the file when the process was
    /// started, and in the last line when the process has ended. It does not find it in a device.
    Output(String),
    /// Something listens on this TCP port of the host, 1 to 65535: the application or any other process in the network
    /// namespace of the host's shell. The manager asks the host again and again, with pauses of 0.05 s to 1 s; the host
    /// reads `/proc/net/tcp` and `/proc/net/tcp6`, and connects to nobody. A start fails if something listens on the
    /// port before ([`StartFailure::PortTaken`](crate::StartFailure::PortTaken)).
    Port(u16),
}

impl Ready {
    /// Returns the port, if it is one.
    pub(crate) fn port(&self) -> Option<u16> {
        match self {
            Ready::Port(port) => Some(*port),
            Ready::Notify | Ready::Output(_) => None,
        }
    }

    /// Checks the value.
    ///
    /// # Errors
    /// [`Error::Invalid`], with the field and the value.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Ready::Notify => Ok(()),
            Ready::Port(0) => Err(Error::invalid("ready.port", "0", "must be 1 to 65535")),
            Ready::Port(_) => Ok(()),
            Ready::Output(text) if text.is_empty() || text.contains('\n') => {
                Err(Error::invalid("ready.output", text, "must be a text of one line, and not empty"))
            }
            Ready::Output(text) => check::text("ready.output", text.as_bytes(), LONGEST_NAME),
        }
    }
}
