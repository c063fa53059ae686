//! What the calls and the watchers of a manager share.

use std::sync::Arc;

use crate::error::Result;
use crate::event::Hub;
use crate::launcher::Target;
use crate::options::Options;
use crate::pool::Pool;

/// What the calls and the watchers of a manager share.
pub(crate) struct Shared {
    pub pool: Arc<Pool>,
    pub hub: Hub,
    /// Names the manager to wrappers: it may put a new link in the place of its own.
    pub name: String,
}

impl Shared {
    pub(crate) fn options(&self) -> &Options {
        self.pool.options()
    }

    /// A host that a call is about, which is about one process or none.
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
