//! One shared connection, as all who use it see it: where its sessions come in, whether it answers, and why it ended.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::client::Lifeline;
use crate::destination::Destination;
use crate::lease::Lease;
use crate::sys;

/// How long after its clients a master may end, and its thread know why.
const MASTER_AFTER_CLIENT: Duration = Duration::from_millis(500);
/// How much later than its time a tick may come from a connection that works.
const LATE: Duration = Duration::from_secs(3);

/// One shared connection, as its thread and those who use it have it.
pub(crate) struct Connection {
    pub id: u64,
    pub destination: Destination,
    /// `None` before its first client.
    socket: Mutex<Option<Arc<Path>>>,
    made_at: Instant,
    /// Milliseconds from then to when it is expected to have ticked again; 0: it is not open.
    good_until: AtomicU64,
    /// A leaf lock.
    state: Mutex<ConnectionState>,
    ended: Condvar,
}

enum ConnectionState {
    /// No client yet, or none any more while sshd is busy.
    Waiting,
    /// Nobody wants it any more.
    GivenUp,
    Running(Arc<Lifeline>),
    /// Why.
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
            state: Mutex::new(ConnectionState::Waiting),
            ended: Condvar::new(),
        }
    }

    /// Where its sessions come in. `None` before its first client.
    pub(crate) fn socket(&self) -> Option<Arc<Path>> {
        self.socket.lock().clone()
    }

    /// Whether ssh has logged in: it makes its socket then.
    pub(crate) fn has_logged_in(&self) -> bool {
        self.socket().is_some_and(|socket| socket.exists())
    }

    /// Returns where its sessions come in, and takes a new path for that from `new` before its first client.
    pub(crate) fn socket_or(&self, new: impl FnOnce() -> Result<PathBuf, String>) -> Result<Arc<Path>, String> {
        if let Some(socket) = self.socket() {
            return Ok(socket);
        }
        let socket = Arc::from(new()?);
        Ok(Arc::clone(self.socket.lock().insert(socket)))
    }

    pub(crate) fn has_lost_directory(&self) -> bool {
        self.socket().is_some_and(|socket| socket.parent().is_some_and(|directory| !directory.exists()))
    }

    /// Whether it has told in time that it works.
    pub(crate) fn answers(&self) -> bool {
        self.made_at.elapsed().as_millis() < u128::from(self.good_until.load(Ordering::Relaxed))
    }

    pub(crate) fn ticked(&self, lease: Lease) {
        let good_until = self.made_at.elapsed() + lease.period + LATE;
        self.good_until.store(u64::try_from(good_until.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Ends it before it is open: nobody wants it.
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

    /// Ends its own session: ssh goes on until the last of the others has ended.
    pub(crate) fn close(&self) {
        match self.lifeline() {
            Some(lifeline) => lifeline.close(),
            None => self.give_up(),
        }
    }

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

    /// Its client has ended, and another may follow.
    pub(crate) fn rests(&self) {
        let mut state = self.state.lock();
        if let ConnectionState::Running(_) = *state {
            *state = ConnectionState::Waiting;
        }
    }

    pub(crate) fn is_given_up(&self) -> bool {
        matches!(*self.state.lock(), ConnectionState::GivenUp)
    }

    /// Whether it runs; false also when it was given up.
    pub(crate) fn is_running(&self) -> bool {
        matches!(*self.state.lock(), ConnectionState::Running(_))
    }

    /// A client runs. False when it is not wanted any more.
    pub(crate) fn runs(&self, lifeline: &Arc<Lifeline>) -> bool {
        let mut state = self.state.lock();
        match *state {
            ConnectionState::GivenUp => false,
            _ => {
                *state = ConnectionState::Running(Arc::clone(lifeline));
                true
            }
        }
    }

    pub(crate) fn end(&self, why: String) {
        self.good_until.store(0, Ordering::Relaxed);
        *self.state.lock() = ConnectionState::Ended(why);
        self.ended.notify_all();
    }

    /// Why it has ended, if it has. Its clients end with it, and some of them a moment before it: this waits that long for one
    /// that `has_lost` it without a word.
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
