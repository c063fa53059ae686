//! The manager's call that restarts a process.

use std::sync::Arc;
use std::time::Duration;

use crate::manager::Manager;
use crate::model::callback_thread::refuse_inside_callback;
use crate::model::error::{Error, NotRestartedReason, Result};
use crate::watch::process::Process;
use crate::watch::restarts::Restarts;
use crate::watch::state::State;
use crate::watch::succession::{Claim, Heir, Succession};
use crate::watch::table::Place;

impl Manager {
    /// Ends a process as [`kill_process`](Manager::kill_process) does, starts it again with the same request under the
    /// same uuid, and returns the new start number. Nobody else can take the uuid in between. A process that has ended,
    /// whose start has failed or whose policy pauses is only started. The restarts by its
    /// [`RestartPolicy`](crate::RestartPolicy) count from zero again. As with
    /// [`start_process`](Manager::start_process), everything else about the start is reported by events, callbacks and
    /// [`wait_until_started`](Manager::wait_until_started). Blocks as `kill_process` does; not if the process has
    /// ended.
    ///
    /// # Errors
    /// [`Error::NotRestarted`]: another call restarts this process, or a later call has ended it, or it was adopted
    /// without a request.
    /// [`Error::StillRunning`]: the process has not ended in time, and was not started; it stays in the table, and its
    /// policy does not restart it any more. [`Error::TakenOver`]: another manager controls the process.
    /// [`Error::Detached`]: the process is kept and goes on, because this manager was detached or shut down.
    /// [`Error::ShutDown`], [`Error::Local`]: the process has ended, and was not started, as with `start_process`.
    /// [`Error::UnknownUuid`], [`Error::InsideCallback`].
    pub fn restart_process(&self, uuid: &str, timeout: Duration) -> Result<u64> {
        refuse_inside_callback()?;
        let (process, claim) = self.claim(uuid)?;
        let restarted = self.restart_claimed(&process, claim, timeout);
        if restarted.is_err() {
            process.give_up_claim(claim);
        }
        restarted
    }

    /// Returns the process with a uuid, which no other call can restart from now on.
    fn claim(&self, uuid: &str) -> Result<(Arc<Process>, Claim)> {
        let refused = |reason| Err(Error::NotRestarted { uuid: uuid.to_owned(), reason });
        loop {
            let process = self.find(uuid)?;
            if process.boot().is_none() {
                return refused(NotRestartedReason::NoRequest);
            }
            match process.claim() {
                Ok(claim) => return Ok((process, claim)),
                // The next life has the uuid.
                Err(Succession::Succeeded) => {}
                Err(_) => return refused(NotRestartedReason::InProgress),
            }
        }
    }

    fn restart_claimed(&self, process: &Arc<Process>, claim: Claim, timeout: Duration) -> Result<u64> {
        let uuid = process.uuid();
        let ended = self.kill_together(vec![(Arc::clone(process), timeout)], None).remove(uuid);
        match ended {
            Some(Err(error @ Error::StillRunning { .. })) => return Err(error),
            // It goes on without this manager.
            Some(Err(error)) if process.state() == State::Detached => return Err(error),
            // Its end, and also why its start failed, is in its event.
            Some(_) | None => {}
        }
        let refused = Error::NotRestarted { uuid: uuid.to_owned(), reason: NotRestartedReason::NoRequest };
        let next = process.next_life(Restarts::default()).unwrap_or(Err(refused))?;
        let started = self.shared.watch(next, Place::After(process, Heir::Call(claim)), None)?;
        Ok(started.start_number)
    }
}
