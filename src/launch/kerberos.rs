//! Finds out whether this user has a Kerberos ticket. ssh reports why it could not use a ticket only in its verbose
//! mode.

use std::path::Path;
use std::time::Duration;

use crate::local::local_program;

/// How long klist may take to answer, and then to end: it can wait for a file server.
const TIME: Duration = Duration::from_secs(2);

/// Returns whether this user has no ticket, or only an expired one, as the exit code of `klist -s` says, that of MIT
/// and that of Heimdal. Returns false if there is no klist. Blocks for at most 4 s.
pub(crate) fn has_no_ticket() -> bool {
    local_program::run(Path::new("klist"), &["-s"], TIME).is_some_and(|captured| captured.code == Some(1))
}
