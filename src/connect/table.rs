//! The table of a manager's shared connections. Seats and masters change it from their threads.
//!
//! Its lock is a leaf lock: while it is held, no other lock is taken but that of a queue, and nothing is spawned,
//! written or waited for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use parking_lot::{Condvar, Mutex};

use crate::connect::connection::Connection;
use crate::connect::limiter::ConnectLimiter;
use crate::connect::seats::{Entry, EntryState, HostSeats, Kind, Offer, Waiter};
use crate::connect::socket_directory::SocketDirectory;
use crate::launch::ssh_version::{self, Version};
use crate::launch::target::Target;
use crate::local::sys;
use crate::model::destination::Destination;
use crate::model::error::{Error, StartStage};
use crate::model::options::Options;

/// How long a connection that nobody uses stays open.
const LINGER: Duration = Duration::from_secs(5);
/// How much longer than the connect timeout a login may take before new waiters do not count on its connection.
const LATE: Duration = Duration::from_secs(5);
/// How long a host's connections are not shared after sharing has failed: a full disk does not stay full.
const NOT_SHARED: Duration = Duration::from_secs(60);
/// How much of the time for closing is reserved for masters that have to be killed.
const KILL_RESERVE: Duration = Duration::from_millis(200);

/// The shared connections of a manager, and what opens them.
pub(crate) struct ConnectionTable {
    options: Options,
    version: OnceLock<Option<Version>>,
    limiter: ConnectLimiter,
    directory: SocketDirectory,
    state: Mutex<State>,
    /// A connection has left the table.
    ended: Condvar,
    /// The warning that connections are not shared was logged.
    warned: AtomicBool,
    /// The warning that sessions need ssh clients was logged.
    warned_of_clients: AtomicBool,
}

#[derive(Default)]
struct State {
    hosts: HashMap<Destination, HostSeats>,
    next_connection: u64,
    next_waiter: u64,
    /// The manager closes: nothing new is shared, and a connection closes with its last session.
    closing: bool,
    /// The threads of masters, and the numbers of their connections.
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
            warned_of_clients: AtomicBool::new(false),
        }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Returns ssh's version. Asks ssh for it the first time, which blocks for some milliseconds, or for 4 s if ssh
    /// does not answer.
    pub(crate) fn ssh_version(&self) -> Option<Version> {
        *self.version.get_or_init(|| ssh_version::ask(&self.options.ssh_program))
    }

    /// Returns ssh's version if the target's launcher is ssh. Blocks the first time, as
    /// [`ConnectionTable::ssh_version`] says.
    pub(crate) fn ssh_version_for(&self, target: &Target) -> Option<Version> {
        if target.launcher.is_ssh() { self.ssh_version() } else { None }
    }

    pub(crate) fn directory(&self) -> &SocketDirectory {
        &self.directory
    }

    pub(crate) fn limiter(&self) -> &ConnectLimiter {
        &self.limiter
    }

    /// Takes a free seat, or adds a waiter for one to the queue.
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

    /// Returns how far the connections that are being opened to this host have come.
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

    /// Removes a waiter. If it was the last one, gives up the connections that were being opened for it.
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
                // New waiters must not count on it.
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

    /// Adds a connection to this host if its waiters need one in addition to those that are being opened. Returns the
    /// connection, whose master the caller starts.
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

    /// Stores the thread of a connection's master, which is joined when it has ended.
    pub(crate) fn add_thread(&self, connection: &Connection, thread: JoinHandle<()>) {
        self.state.lock().threads.push((connection.id, thread));
    }

    /// Makes all waiters check whether they are cancelled.
    pub(crate) fn wake(&self) {
        let state = self.state.lock();
        for waiter in state.hosts.values().flat_map(|host| &host.queue) {
            if waiter.offers.is_empty() {
                // The queue has room for two offers, and only this function can send more than one.
                let _ = waiter.offers.try_send(Offer::Recheck);
            }
        }
        drop(state);
        self.limiter.wake();
    }

    /// Returns whether a connection that is not open yet is still needed.
    pub(crate) fn wants(&self, connection: &Connection) -> bool {
        let state = self.state.lock();
        let Some(host) = state.hosts.get(&connection.destination) else { return false };
        let is_coming = |entry: &Entry| entry.connection.id == connection.id && entry.is_coming();
        !state.closing && !host.queue.is_empty() && host.connections.iter().any(is_coming)
    }

    /// Notes that a connection has its permit and logs in.
    pub(crate) fn set_connecting(&self, connection: &Connection) {
        let late = self.options.connect_timeout.saturating_add(LATE);
        self.change(connection, |entry| {
            if entry.is_coming() {
                entry.state = EntryState::Connecting;
                entry.late_at = sys::deadline(late);
            }
        });
    }

    /// Notes that a connection is open, and gives out its seats.
    pub(crate) fn set_open(&self, connection: &Connection) {
        self.change(connection, |entry| {
            if entry.is_coming() {
                entry.state = EntryState::Open;
                entry.unused_since = Instant::now();
            }
        });
    }

    /// Removes a connection that could not be opened and is not tried again. The waiters for whom the remaining
    /// connections have no room get the error. If none of the host's connections is open, those that wait for a permit
    /// are removed too, because they would fail as well.
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

    /// Notes that a host's connections cannot be shared for a while. Its waiters log in by themselves.
    pub(crate) fn cannot_share(&self, connection: &Connection, why: &str) {
        if let Some(host) = self.state.lock().hosts.get_mut(&connection.destination) {
            host.not_shared_until = sys::deadline(NOT_SHARED);
            host.stop_waiting();
        }
        warn_once(&self.warned, &format!("connections are not shared, so that each process logs in by itself: {why}"));
    }

    /// Warns, once, that a session of a connection could not be requested, and why: it gets an ssh client.
    pub(crate) fn warn_of_clients(&self, connection: &Connection, why: &str) {
        let host = &connection.destination.host;
        let text =
            format!("{host}: a session cannot be requested from the ssh of its connection, and gets a client: {why}");
        warn_once(&self.warned_of_clients, &text);
    }

    /// Removes a connection whose master has ended, or which nobody needs.
    pub(crate) fn ended(&self, connection: &Connection) {
        {
            let mut state = self.state.lock();
            if let Some(host) = state.hosts.get_mut(&connection.destination) {
                host.remove(connection);
            }
        }
        self.ended.notify_all();
    }

    /// Takes a connection out of use if nobody has used it for some seconds. Returns whether it is to be closed.
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

    /// Changes the entry of a connection, and then gives out the free seats of its host.
    fn change(&self, connection: &Connection, change: impl FnOnce(&mut Entry)) {
        let mut state = self.state.lock();
        let Some(host) = state.hosts.get_mut(&connection.destination) else { return };
        if let Some(entry) = host.entry(connection) {
            change(entry);
            host.give_out();
        }
    }

    /// Gives a seat back. Its session has ended.
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

    /// Returns whether a refusal may be due to a session that has ended here and that sshd still counts.
    pub(crate) fn may_recover(&self, connection: &Connection) -> bool {
        let mut touched = false;
        self.change(connection, |entry| touched = entry.is_touched());
        touched
    }

    /// Notes that sshd has refused a session on a connection, and takes its seat back. Learns MaxSessions from that.
    pub(crate) fn session_refused(&self, connection: &Connection, kind: Kind) {
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
            warn_once(
                &self.warned,
                &format!(
                    "{} allows too few sessions on a connection (MaxSessions) to share it: each process logs in by itself",
                    connection.destination.host
                ),
            );
        }
    }

    /// Notes that a session has begun on a connection, so that sharing works.
    pub(crate) fn set_proven(&self, connection: &Connection) {
        self.change(connection, |entry| entry.proven = true);
    }

    /// Notes that a connection is to carry no further sessions.
    pub(crate) fn take_out_of_use(&self, connection: &Connection) {
        self.change(connection, |entry| entry.state = EntryState::Broken);
    }

    /// Takes a connection out of use on which a session has failed. If it answers and no session has ever begun on it,
    /// its host's connections count as ones that cannot be shared.
    pub(crate) fn session_failed(&self, connection: &Connection, error: &Error) {
        let mut proven = true;
        self.change(connection, |entry| {
            entry.state = EntryState::Broken;
            proven = entry.proven;
        });
        if !proven && connection.answers() {
            self.cannot_share(connection, &format!("a session on an open connection failed: {error}"));
        }
    }

    /// Closes the unused connections, and waits for that until the deadline. The others close with their last sessions.
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
        // The thread of a connection removes its socket, and only then can the directory be removed.
        for until in [deadline.checked_sub(KILL_RESERVE).unwrap_or(deadline), deadline] {
            self.wait_for_ends(&unused, until);
            for connection in unused.iter().filter(|connection| connection.is_running()) {
                connection.kill();
            }
        }
        let threads = {
            let State { hosts, threads, .. } = &mut *self.state.lock();
            // A thread whose connection has left the table is about to return.
            let keeps = |id| hosts.values().flat_map(|host| &host.connections).any(|entry| entry.connection.id == id);
            take(threads, |id, _| !keeps(id))
        };
        join(threads);
        self.directory.remove();
    }

    /// Waits until none of these connections is in the table, or until this time.
    fn wait_for_ends(&self, connections: &[Arc<Connection>], until: Instant) {
        let mut state = self.state.lock();
        while state.hosts.values().any(|host| connections.iter().any(|connection| host.has(connection))) {
            if self.ended.wait_until(&mut state, until).timed_out() {
                return;
            }
        }
    }
}

/// Logs a warning, unless `warned` says that it was logged before.
fn warn_once(warned: &AtomicBool, text: &str) {
    if !warned.swap(true, Ordering::Relaxed) {
        log::warn!("{text}");
    }
}

/// The answer to a request for a seat.
pub(crate) enum SeatRequest {
    Offered(Offer),
    /// The waiter with this number is in the queue, and gets its offers here.
    Queued(u64, Receiver<Offer>),
}

/// Removes the threads for which `is` returns true, and returns them.
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
