//! Whether this user has a Kerberos ticket. ssh does not tell why it could not use one but where it is asked to be verbose.

use std::path::Path;
use std::time::Duration;

use crate::local_program;

/// How long klist may take, and then to end: it can wait for a file server.
const TIME: Duration = Duration::from_secs(2);

/// Whether there is none, or only an expired one: `klist -s` says so by its code, that of MIT and that of Heimdal. False where there is
/// no klist, too. Blocks for 4 s at the most.
pub(crate) fn has_no_ticket() -> bool {
    local_program::run(Path::new("klist"), &["-s"], TIME).is_some_and(|captured| captured.code == Some(1))
}
