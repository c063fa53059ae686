//! The name of one start of one process.

use crate::local::sys;
use crate::model::error::{Error, Result};

/// Names one start of one process. Most of its files on the host have both in their names.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    /// The uuid of the process.
    pub uuid: String,
    /// Random: it tells this start from all others of the uuid.
    pub id: String,
}

impl Instance {
    /// Returns a new name.
    ///
    /// # Errors
    /// [`Error::Local`]: the system gives no random bytes.
    pub(crate) fn new(uuid: &str) -> Result<Instance> {
        Ok(Instance { uuid: uuid.to_owned(), id: random_name()? })
    }
}

/// Returns 64 random bits in hexadecimal.
pub(crate) fn random_name() -> Result<String> {
    let random = sys::random::<8>().map_err(|e| Error::local("making a random name", e))?;
    Ok(format!("{:016x}", u64::from_ne_bytes(random)))
}
