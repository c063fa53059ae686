//! The name of one start of one process.

/// Names one start of one process. Most of its files on the host have both in their names.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    /// The uuid of the process.
    pub uuid: String,
    /// Random: it tells this start from all others of the uuid.
    pub id: String,
}
