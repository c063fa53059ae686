//! The table of shared connections, which those who need seats and the threads of the connections change.
//!
//! Its lock is a leaf: nothing is spawned, written to or waited for under it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use parking_lot::{Condvar, Mutex};

use crate::connection::Connection;
use crate::destination::Destination;
use crate::error::{Error, StartStage};
use crate::limiter::ConnectLimiter;
use crate::options::Options;
use crate::seats::{Entry, EntryState, HostSeats, Kind, Offer, Waiter};
use crate::socket_directory::SocketDirectory;
use crate::ssh_version::{self, Version};
use crate::sys;
use crate::target::Target;

/// How long a connection that nobody uses stays open.
const LINGER: Duration = Duration::from_secs(5);
/// How much longer than the connect timeout a login may take before those who come later no longer count on it.
const LATE: Duration = Duration::from_secs(5);
/// For how long connections are not shared after the sockets could not be made: a full disk does not stay full.
const NOT_SHARED: Duration = Duration::from_secs(60);

/// What of the time for closing is left for masters that have to be killed.
const KILL_RESERVE: Duration = Duration::from_millis(200);

/// All shared connections of a manager.
pub(crate) struct ConnectionTable {
    options: Options,
    version: OnceLock<Option<Version>>,
    limiter: ConnectLimiter,
    directory: SocketDirectory,
    state: Mutex<State>,
    /// A connection has ended.
    ended: Condvar,
    /// That connections are not shared was told.
    warned: AtomicBool,
}

#[derive(Default)]
struct State {
    hosts: HashMap<Destination, HostSeats>,
    next_connection: u64,
    next_waiter: u64,
    /// The manager lets go: nothing new is shared, and a connection closes with its last session.
    closing: bool,
    /// By the number of the connection.
    threads: Vec<(u64, JoinHandle<()>)>,
}

impl ConnectionTable {
    pub(crate) fn new(options: Options) -> ConnectionTable {
        ConnectionTable {
            version: OnceLock::new(),
            options,
            limiter: ConnectLimiter::default(),
            directory: SocketDirectory::new(),
            state: Mutex::default(),
            ended: Condvar::new(),
            warned: AtomicBool::new(false),
        }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Asks ssh for its version the first time: blocks for some milliseconds.
    pub(crate) fn ssh_version(&self) -> Option<Version> {
        *self.version.get_or_init(|| ssh_version::ask(&self.options.ssh_program))
    }

    /// Returns ssh's version where the target's launcher is ssh.
    pub(crate) fn ssh_version_for(&self, target: &Target) -> Option<Version> {
        if target.launcher.is_ssh() { self.ssh_version() } else { None }
    }

    pub(crate) fn directory(&self) -> &SocketDirectory {
        &self.directory
    }

    pub(crate) fn limiter(&self) -> &ConnectLimiter {
        &self.limiter
    }

    /// Takes a free seat, or has the caller wait for one.
    pub(crate) fn request_seat(&self, destination: &Destination, kind: Kind) -> SeatRequest {
        let mut state = self.state.lock();
        if state.closing || !self.options.share_connections {
            return SeatRequest::Offered(Offer::Own);
        }
        state.next_waiter += 1;
        let id = state.next_waiter;
        let host = state.hosts.entry(destination.clone()).or_default();
        if !host.shares_now() {
            return SeatRequest::Offered(Offer::Own);
        }
        if let Some(connection) = host.take_seat(kind) {
            return SeatRequest::Offered(Offer::Seat(connection));
        }
        let (sender, offers) = bounded(2);
        host.queue.push_back(Waiter { id, kind, offers: sender });
        SeatRequest::Queued(id, offers)
    }

    /// How far the host's connections have come.
    pub(crate) fn stage(&self, destination: &Destination) -> StartStage {
        let connecting: Vec<_> = {
            let state = self.state.lock();
            let entries = state.hosts.get(destination).map_or(&[][..], |host| &host.connections);
            let connecting = entries.iter().filter(|entry| entry.state == EntryState::Connecting);
            connecting.map(|entry| Arc::clone(&entry.connection)).collect()
        };
        if connecting.is_empty() {
            StartStage::Queued
        } else if connecting.iter().any(|connection| connection.has_logged_in()) {
            StartStage::StartUpFiles
        } else {
            StartStage::Connecting
        }
    }

    /// A waiter goes; with the last one, what would only be opened for it is given up.
    pub(crate) fn leave(&self, destination: &Destination, id: u64) {
        let given_up: Vec<_> = {
            let mut state = self.state.lock();
            let Some(host) = state.hosts.get_mut(destination) else { return };
            host.queue.retain(|waiter| waiter.id != id);
            if !host.queue.is_empty() {
                return;
            }
            let opening = host.connections.iter_mut().filter(|entry| entry.is_coming());
            let give_up = |entry: &mut Entry| {
                // Whoever comes now must not wait for it.
                entry.state = EntryState::Broken;
                Arc::clone(&entry.connection)
            };
            opening.map(give_up).collect()
        };
        for connection in given_up {
            connection.give_up();
        }
        self.limiter.wake();
    }

    /// Adds one more connection to this host, if those who wait for it need one beyond those that are coming.
    pub(crate) fn next_connection(&self, destination: &Destination) -> Option<Arc<Connection>> {
        let (connection, ended) = {
            let mut state = self.state.lock();
            state.next_connection += 1;
            let id = state.next_connection;
            let host = state.hosts.get_mut(destination)?;
            if host.excess() == 0 {
                return None;
            }
            let connection = Arc::new(Connection::new(id, destination.clone()));
            host.add(&connection);
            (connection, take(&mut state.threads, |_, thread| thread.is_finished()))
        };
        join(ended);
        Some(connection)
    }

    pub(crate) fn add_thread(&self, connection: &Connection, thread: JoinHandle<()>) {
        self.state.lock().threads.push((connection.id, thread));
    }

    /// Makes all who wait look whether they are cancelled.
    pub(crate) fn wake(&self) {
        let state = self.state.lock();
        for waiter in state.hosts.values().flat_map(|host| &host.queue) {
            if waiter.offers.is_empty() {
                // It has room for two, and only this function sends more than one.
                let _ = waiter.offers.try_send(Offer::Recheck);
            }
        }
        drop(state);
        self.limiter.wake();
    }

    /// Whether a connection that is not open yet is still to be.
    pub(crate) fn wants(&self, connection: &Connection) -> bool {
        let state = self.state.lock();
        let Some(host) = state.hosts.get(&connection.destination) else { return false };
        let is_coming = |entry: &Entry| entry.connection.id == connection.id && entry.is_coming();
        !state.closing && !host.queue.is_empty() && host.connections.iter().any(is_coming)
    }

    /// A connection has got its turn.
    pub(crate) fn connects(&self, connection: &Connection) {
        let late = self.options.connect_timeout.saturating_add(LATE);
        self.change(connection, |entry| {
            if entry.is_coming() {
                entry.state = EntryState::Connecting;
                entry.late_at = sys::deadline(late);
            }
        });
    }

    /// A connection can be used.
    pub(crate) fn opened(&self, connection: &Connection) {
        self.change(connection, |entry| {
            if entry.is_coming() {
                entry.state = EntryState::Open;
                entry.unused_since = Instant::now();
            }
        });
    }

    /// A connection did not come to be, for a reason that no further try mends. Those who would not fit on the others
    /// get that; where no connection has ever been open, those that wait for their turn would fail as well.
    pub(crate) fn failed(&self, connection: &Connection, error: &Error) {
        let mut state = self.state.lock();
        let Some(host) = state.hosts.get_mut(&connection.destination) else { return };
        let was_wanted = host.entry(connection).is_some_and(|entry| entry.is_coming());
        host.remove(connection);
        if !was_wanted {
            drop(state);
            self.ended.notify_all();
            return;
        }
        if !host.connections.iter().any(|entry| entry.state == EntryState::Open) {
            host.connections.retain(|entry| entry.state != EntryState::Queued);
        }
        for _ in 0..host.excess() {
            if let Some(waiter) = host.queue.pop_back() {
                waiter.offer(Offer::Failed(error.clone()));
            }
        }
        drop(state);
        self.ended.notify_all();
        self.limiter.wake();
    }

    /// A connection could not be shared, for a reason of this machine's.
    pub(crate) fn cannot_share(&self, connection: &Connection, why: &str) {
        if let Some(host) = self.state.lock().hosts.get_mut(&connection.destination) {
            host.not_shared_until = sys::deadline(NOT_SHARED);
            host.stop_waiting();
        }
        self.warn_once(&format!("connections are not shared, so that each process logs in by itself: {why}"));
    }

    fn warn_once(&self, text: &str) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            log::warn!("{text}");
        }
    }

    /// A connection's client has ended, or it was not wanted any more.
    pub(crate) fn ended(&self, connection: &Connection) {
        {
            let mut state = self.state.lock();
            if let Some(host) = state.hosts.get_mut(&connection.destination) {
                host.remove(connection);
            }
        }
        self.ended.notify_all();
    }

    /// Takes a connection out of use, if nobody has used it for some seconds: true when it is to be closed.
    pub(crate) fn retire(&self, connection: &Connection) -> bool {
        let mut retired = false;
        self.change(connection, |entry| {
            retired = entry.is_unused() && entry.unused_since.elapsed() >= LINGER;
            if retired {
                entry.state = EntryState::Broken;
            }
        });
        retired
    }

    /// Changes a connection's entry, and gives out the seats that it has then.
    fn change(&self, connection: &Connection, change: impl FnOnce(&mut Entry)) {
        let mut state = self.state.lock();
        let Some(host) = state.hosts.get_mut(&connection.destination) else { return };
        if let Some(entry) = host.entry(connection) {
            change(entry);
            host.give_out();
        }
    }

    pub(crate) fn release(&self, connection: &Connection, kind: Kind) {
        let mut unused = false;
        self.change(connection, |entry| {
            entry.release(kind);
            unused = entry.is_unused();
        });
        if unused && self.state.lock().closing {
            connection.close();
        }
    }

    /// Whether sshd may only not have heard yet that a session on a connection has ended.
    pub(crate) fn may_recover(&self, connection: &Connection) -> bool {
        let mut touched = false;
        self.change(connection, |entry| touched = entry.is_touched());
        touched
    }

    /// sshd has refused one more session on a connection.
    pub(crate) fn refused(&self, connection: &Connection, kind: Kind) {
        let (learned, shares) = {
            let mut state = self.state.lock();
            let Some(host) = state.hosts.get_mut(&connection.destination) else { return };
            let learned = host.refuse(connection, kind);
            if !host.shares() {
                host.stop_waiting();
            }
            (learned, host.shares())
        };
        if let Some(sessions) = learned {
            log::info!("{}: allows {sessions} sessions on a connection (MaxSessions)", connection.destination.host);
        }
        if !shares {
            self.warn_once(&format!(
                "{} allows too few sessions on a connection (MaxSessions) to share it: each process logs in by itself",
                connection.destination.host
            ));
        }
    }

    /// A session has begun on a connection.
    pub(crate) fn proven(&self, connection: &Connection) {
        self.change(connection, |entry| entry.proven = true);
    }

    /// A connection takes no further sessions.
    pub(crate) fn retreat(&self, connection: &Connection) {
        self.change(connection, |entry| entry.state = EntryState::Broken);
    }

    /// A connection has given no session. One that never has gives reason to think that none ever will here.
    pub(crate) fn broken(&self, connection: &Connection, error: &Error) {
        let mut proven = true;
        self.change(connection, |entry| {
            entry.state = EntryState::Broken;
            proven = entry.proven;
        });
        if !proven && connection.answers() {
            self.cannot_share(connection, &format!("a session on an open connection failed: {error}"));
        }
    }

    /// Closes what nobody uses, and the rest with its last session. Waits for the former until the deadline.
    pub(crate) fn close(&self, deadline: Instant) {
        let unused: Vec<_> = {
            let mut state = self.state.lock();
            state.closing = true;
            for waiter in state.hosts.values_mut().flat_map(|host| host.queue.drain(..)) {
                waiter.offer(Offer::Own);
            }
            let entries = state.hosts.values_mut().flat_map(|host| &mut host.connections);
            let unused = entries.filter(|entry| entry.is_unused());
            unused.map(|entry| Arc::clone(&entry.connection)).collect()
        };
        self.limiter.wake();
        for connection in &unused {
            connection.close();
        }
        // Its thread takes the socket away, and the directory is removed behind that.
        for until in [deadline.checked_sub(KILL_RESERVE).unwrap_or(deadline), deadline] {
            self.wait_for_ends(&unused, until);
            for connection in unused.iter().filter(|connection| connection.is_running()) {
                connection.kill();
            }
        }
        let threads = {
            let State { hosts, threads, .. } = &mut *self.state.lock();
            // Whose connection has gone has nothing more to do than to return.
            let keeps = |id| hosts.values().flat_map(|host| &host.connections).any(|entry| entry.connection.id == id);
            take(threads, |id, _| !keeps(id))
        };
        join(threads);
        self.directory.remove();
    }

    fn wait_for_ends(&self, connections: &[Arc<Connection>], until: Instant) {
        let mut state = self.state.lock();
        while state.hosts.values().any(|host| connections.iter().any(|connection| host.has(connection))) {
            if self.ended.wait_until(&mut state, until).timed_out() {
                return;
            }
        }
    }
}

/// The answer to one who asks for a seat.
pub(crate) enum SeatRequest {
    Offered(Offer),
    Queued(u64, Receiver<Offer>),
}

/// Takes the threads for which it is so.
fn take(
    threads: &mut Vec<(u64, JoinHandle<()>)>,
    is: impl Fn(u64, &JoinHandle<()>) -> bool,
) -> Vec<(u64, JoinHandle<()>)> {
    let (taken, kept) = std::mem::take(threads).into_iter().partition(|(id, thread)| is(*id, thread));
    *threads = kept;
    taken
}

fn join(threads: Vec<(u64, JoinHandle<()>)>) {
    for (_, thread) in threads {
        if thread.join().is_err() {
            log::error!("the thread of a connection panicked");
        }
    }
}
