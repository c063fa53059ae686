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
    /// This text stands in a line that the application writes to stdout or stderr. The text is literal: 1 to 1024
    /// bytes, without a newline. What the setup lines write counts as well.
    ///
    /// The manager finds the text as soon as it arrives, before the line is complete.
    Output(String),
}

impl Ready {
    /// Checks the value.
    ///
    /// # Errors
    /// [`Error::Invalid`], with the field and the value.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Ready::Output(text) if text.is_empty() || text.contains('\n') => {
                Err(Error::invalid("ready.output", text, "must be a text of one line, and not empty"))
            }
            Ready::Output(text) => check::text("ready.output", text.as_bytes(), LONGEST_NAME),
        }
    }
}
