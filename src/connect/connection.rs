//! The record of one shared connection: where its sessions enter, whether it answers, and why it ended.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::local::client::Lifeline;
use crate::local::sys;
use crate::model::destination::Destination;
use crate::remote::lease::Lease;

/// How much later than its clients a master may end, and its thread learn why.
const MASTER_AFTER_CLIENT: Duration = Duration::from_millis(500);
/// How late a tick of a working connection may be.
const LATE: Duration = Duration::from_secs(3);

/// One shared connection. Its master's thread changes it, and the threads of its sessions read it.
pub(crate) struct Connection {
    pub id: u64,
    pub destination: Destination,
    /// `None` until its master is first started. A leaf lock.
    socket: Mutex<Option<Arc<Path>>>,
    made_at: Instant,
    /// The time by which its next tick must come, in milliseconds after `made_at`; 0 if it is not open.
    good_until: AtomicU64,
    /// Its master does not take requests for sessions from this crate: each session needs an ssh client.
    needs_clients: AtomicBool,
    /// A leaf lock.
    state: Mutex<ConnectionState>,
    /// The state has become `Ended`.
    ended: Condvar,
}

enum ConnectionState {
    /// Its master has not been started, or is to be started again.
    Waiting,
    /// Nobody needs it, and its master is not to be started.
    GivenUp,
    /// Its master runs.
    Running(Arc<Lifeline>),
    /// It has ended, for this reason.
    Ended(String),
}

impl Connection {
    pub(crate) fn new(id: u64, destination: Destination) -> Connection {
        Connection {
            id,
            destination,
            socket: Mutex::new(None),
            made_at: Instant::now(),
            good_until: AtomicU64::new(0),
            needs_clients: AtomicBool::new(false),
            state: Mutex::new(ConnectionState::Waiting),
            ended: Condvar::new(),
        }
    }

    /// Returns the socket at which its sessions enter; `None` until its master is first started.
    pub(crate) fn socket(&self) -> Option<Arc<Path>> {
        self.socket.lock().clone()
    }

    /// Returns whether ssh has logged in, which is when it creates its socket.
    pub(crate) fn has_logged_in(&self) -> bool {
        self.socket().is_some_and(|socket| socket.exists())
    }

    /// Returns the socket at which its sessions enter, and takes the path of it from `new` the first time.
    pub(crate) fn socket_or(&self, new: impl FnOnce() -> Result<PathBuf, String>) -> Result<Arc<Path>, String> {
        if let Some(socket) = self.socket() {
            return Ok(socket);
        }
        let socket = Arc::from(new()?);
        Ok(Arc::clone(self.socket.lock().insert(socket)))
    }

    /// Returns whether the directory of its socket was removed.
    pub(crate) fn has_lost_directory(&self) -> bool {
        self.socket().is_some_and(|socket| socket.parent().is_some_and(|directory| !directory.exists()))
    }

    /// Returns whether it is open and its last tick came in time.
    pub(crate) fn answers(&self) -> bool {
        self.made_at.elapsed().as_millis() < u128::from(self.good_until.load(Ordering::Relaxed))
    }

    /// Notes that a tick has come now.
    pub(crate) fn ticked(&self, lease: Lease) {
        let good_until = self.made_at.elapsed() + lease.period + LATE;
        self.good_until.store(u64::try_from(good_until.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn needs_clients(&self) -> bool {
        self.needs_clients.load(Ordering::Relaxed)
    }

    /// Notes that each of its sessions needs an ssh client.
    pub(crate) fn set_needs_clients(&self) {
        self.needs_clients.store(true, Ordering::Relaxed);
    }

    /// Ends it before it is open, because nobody needs it.
    pub(crate) fn give_up(&self) {
        let lifeline = {
            let mut state = self.state.lock();
            match &*state {
                ConnectionState::Waiting => {
                    *state = ConnectionState::GivenUp;
                    None
                }
                ConnectionState::Running(lifeline) => Some(Arc::clone(lifeline)),
                ConnectionState::GivenUp | ConnectionState::Ended(_) => None,
            }
        };
        if let Some(lifeline) = lifeline {
            lifeline.close();
            lifeline.kill_client();
        }
    }

    /// Ends its own session. ssh runs on until the last of the other sessions has ended.
    pub(crate) fn close(&self) {
        match self.lifeline() {
            Some(lifeline) => lifeline.close(),
            None => self.give_up(),
        }
    }

    /// Kills its master, if that runs.
    pub(crate) fn kill(&self) {
        if let Some(lifeline) = self.lifeline() {
            lifeline.kill_client();
        }
    }

    fn lifeline(&self) -> Option<Arc<Lifeline>> {
        match &*self.state.lock() {
            ConnectionState::Running(lifeline) => Some(Arc::clone(lifeline)),
            _ => None,
        }
    }

    /// Notes that its master has ended and may be started again.
    pub(crate) fn set_waiting(&self) {
        let mut state = self.state.lock();
        if let ConnectionState::Running(_) = *state {
            *state = ConnectionState::Waiting;
        }
    }

    /// Returns whether it was given up while its master did not run.
    pub(crate) fn is_given_up(&self) -> bool {
        matches!(*self.state.lock(), ConnectionState::GivenUp)
    }

    /// Returns whether its master runs; false also if the connection was given up.
    pub(crate) fn is_running(&self) -> bool {
        matches!(*self.state.lock(), ConnectionState::Running(_))
    }

    /// Notes that its master runs. Returns false if the connection was given up, so that the master has to be ended.
    pub(crate) fn set_running(&self, lifeline: &Arc<Lifeline>) -> bool {
        let mut state = self.state.lock();
        match *state {
            ConnectionState::GivenUp => false,
            _ => {
                *state = ConnectionState::Running(Arc::clone(lifeline));
                true
            }
        }
    }

    /// Notes that it has ended, and why.
    pub(crate) fn end(&self, why: String) {
        self.good_until.store(0, Ordering::Relaxed);
        *self.state.lock() = ConnectionState::Ended(why);
        self.ended.notify_all();
    }

    /// Returns why it has ended, or `None` if it has not. A client can end a moment before the master that carried it,
    /// and the master a moment before its thread learns why. So this waits up to 500 ms for the thread, if the client
    /// `has_lost` the connection or the master has ended.
    pub(crate) fn why_ended(&self, has_lost: bool) -> Option<String> {
        let mut state = self.state.lock();
        let until = sys::deadline(MASTER_AFTER_CLIENT);
        loop {
            match &*state {
                ConnectionState::Ended(why) => return Some(why.clone()),
                ConnectionState::Running(lifeline) if has_lost || lifeline.client_has_ended() => {}
                _ => return None,
            }
            if self.ended.wait_until(&mut state, until?).timed_out() {
                return None;
            }
        }
    }
}
