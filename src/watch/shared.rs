//! What the calls and the watchers of a manager share.

use crate::connect::pool::Pool;
use crate::launch::target::Target;
use crate::model::error::Result;
use crate::model::options::Options;
use crate::watch::event::Hub;
use crate::watch::table::Table;

/// What the calls and the watchers of a manager share.
pub(crate) struct Shared {
    pub table: Table,
    pub pool: Pool,
    pub hub: Hub,
    /// The manager's name for wrappers: only the manager that has a link may replace that link by a new one.
    pub name: String,
}

impl Shared {
    pub(crate) fn options(&self) -> &Options {
        self.pool.options()
    }

    /// Returns the target of a call about a host, and about one process or none, with the launcher of that host.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a host or a user that the launcher cannot reach.
    pub(crate) fn target<'a>(
        &'a self,
        host: &'a str,
        user: Option<&'a str>,
        uuid: Option<&'a str>,
    ) -> Result<Target<'a>> {
        let target = Target { launcher: self.options().launcher_of(host), host, user, uuid };
        target.check()?;
        Ok(target)
    }
}
