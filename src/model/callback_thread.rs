//! Marks the thread that runs the exit callbacks, so that blocking calls can refuse to run there.

use std::cell::Cell;

use crate::model::error::{Error, Result};

thread_local! {
    static IS_DISPATCHER: Cell<bool> = const { Cell::new(false) };
}

/// Marks the calling thread as a dispatcher, for ever.
pub(crate) fn mark_as_dispatcher() {
    IS_DISPATCHER.set(true);
}

/// Returns an error if the calling thread is a dispatcher. Calls that block begin with this: the event that they wait
/// for could be queued behind the callback that waits.
pub(crate) fn refuse_inside_callback() -> Result<()> {
    if IS_DISPATCHER.get() { Err(Error::InsideCallback) } else { Ok(()) }
}
