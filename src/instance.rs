//! One start of one process.

/// What names one start of one process: files on the host carry it.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub uuid: String,
    /// Random.
    pub id: String,
}
