//! The processes of a manager by uuid, and the threads that watch them.
//!
//! Lock order: the two locks here are leaves, and no thread holds both together.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Mutex, RwLock};

use crate::model::error::{Error, NotRestartedReason, Result};
use crate::watch::process::Process;
use crate::watch::succession::Heir;

/// The processes of a manager, and their watchers.
#[derive(Default)]
pub(crate) struct Table {
    processes: RwLock<Processes>,
    /// The watchers that are not joined.
    watchers: Mutex<Vec<(Arc<Process>, JoinHandle<()>)>>,
}

/// The place that a process takes in the table.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// The table has no process with its uuid, or one that has ended.
    Free,
    /// It is the next life of this process.
    After(&'a Arc<Process>, Heir),
}

/// The result of a removal from the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    Removed,
    /// It stays, because its next life is to come.
    WillBeRestarted,
    /// It was not there: a call has removed it, or its next life has taken its place.
    Absent,
}

/// The processes that a manager knows, by uuid.
#[derive(Default)]
struct Processes {
    by_uuid: HashMap<String, Arc<Process>>,
    last_start_number: u64,
    /// Whether the manager refuses further starts.
    closed: bool,
}

impl Processes {
    /// Refuses a process that cannot be added now.
    fn admit(&self, uuid: &str) -> Result<()> {
        if self.closed {
            return Err(Error::ShutDown);
        }
        if self.by_uuid.get(uuid).is_some_and(|known| known.holds_uuid()) {
            return Err(Error::UuidInUse { uuid: uuid.to_owned() });
        }
        Ok(())
    }

    /// Lets the next life of a process take its place, or refuses it.
    fn succeed(&self, former: &Arc<Process>, by: Heir) -> Result<()> {
        if self.closed {
            return Err(Error::ShutDown);
        }
        if !self.has(former) || !former.succeed(by) {
            let uuid = former.uuid().to_owned();
            return Err(Error::NotRestarted { uuid, reason: NotRestartedReason::Cancelled });
        }
        Ok(())
    }

    fn has(&self, process: &Arc<Process>) -> bool {
        self.by_uuid.get(process.uuid()).is_some_and(|known| Arc::ptr_eq(known, process))
    }
}

impl Table {
    /// Refuses a process that cannot be added now.
    pub(crate) fn admit(&self, uuid: &str) -> Result<()> {
        self.processes.read().admit(uuid)
    }

    /// Refuses further starts.
    pub(crate) fn close(&self) {
        self.processes.write().closed = true;
    }

    /// Returns whether further starts are refused.
    pub(crate) fn is_closed(&self) -> bool {
        self.processes.read().closed
    }

    /// Adds a process, and gives it its start number. Returns it, and the ended process that it replaces.
    pub(crate) fn enter(&self, mut process: Process, place: Place) -> Result<(Arc<Process>, Option<Arc<Process>>)> {
        // Under one lock, so that the numbers rise in the order of the table, and a shutdown that closes the table
        // finds every process in it.
        let mut processes = self.processes.write();
        match place {
            Place::Free => processes.admit(process.uuid())?,
            Place::After(former, by) => processes.succeed(former, by)?,
        }
        processes.last_start_number += 1;
        process.start_number = processes.last_start_number;
        let process = Arc::new(process);
        let replaced = processes.by_uuid.insert(process.uuid().to_owned(), Arc::clone(&process));
        Ok((process, replaced))
    }

    /// Removes exactly this process: its uuid may have been started again. A process that will be restarted stays, so
    /// that nobody else takes its uuid.
    pub(crate) fn remove(&self, process: &Arc<Process>) -> Removal {
        let mut processes = self.processes.write();
        if !processes.has(process) {
            return Removal::Absent;
        }
        if process.succession().holds_uuid() {
            return Removal::WillBeRestarted;
        }
        processes.by_uuid.remove(process.uuid());
        Removal::Removed
    }

    /// Returns the process with a uuid.
    pub(crate) fn find(&self, uuid: &str) -> Result<Arc<Process>> {
        let found = self.processes.read().by_uuid.get(uuid).cloned();
        found.ok_or_else(|| Error::UnknownUuid { uuid: uuid.to_owned() })
    }

    /// Returns whether there is a process with this uuid that is alive.
    pub(crate) fn is_alive(&self, uuid: &str) -> bool {
        self.processes.read().by_uuid.get(uuid).is_some_and(|process| process.is_alive())
    }

    /// Returns all processes, in any order.
    pub(crate) fn all(&self) -> Vec<Arc<Process>> {
        self.processes.read().by_uuid.values().cloned().collect()
    }

    /// Takes all watchers. The caller joins them.
    pub(crate) fn take_watchers(&self) -> Vec<(Arc<Process>, JoinHandle<()>)> {
        mem::take(&mut *self.watchers.lock())
    }

    /// Returns the processes with this uuid whose watchers may not have ended.
    pub(crate) fn watched(&self, uuid: &str) -> Vec<Arc<Process>> {
        let watchers = self.watchers.lock();
        watchers.iter().map(|(process, _)| process).filter(|process| process.uuid() == uuid).cloned().collect()
    }

    /// Keeps a watcher's thread, so that it is joined when it has ended, and joins those that have ended.
    pub(crate) fn keep_watcher(&self, process: Arc<Process>, thread: JoinHandle<()>) {
        let ended = {
            let mut watchers = self.watchers.lock();
            watchers.push((process, thread));
            let (watching, ended) =
                mem::take(&mut *watchers).into_iter().partition(|(process, _)| process.is_watched());
            *watchers = watching;
            ended
        };
        join(ended);
    }
}

/// Joins the threads of watchers that have ended: they only have to return.
pub(crate) fn join(ended: Vec<(Arc<Process>, JoinHandle<()>)>) {
    for (process, thread) in ended {
        if thread.join().is_err() {
            log::error!("{}: its watcher panicked", process.uuid());
        }
    }
}
