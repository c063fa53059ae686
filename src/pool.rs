//! The shared connections of a manager: who gets a seat on which, and when one more is opened.
//!
//! A host's sshd allows a number of sessions on one connection (MaxSessions, 10 unless it says otherwise). One is the
//! connection's own, one is kept for short scripts, the rest carry processes and whatever else is long. Who finds no seat
//! waits in a queue; a further connection is opened only for those of it who will not fit on the ones that are coming. A
//! refusal teaches the host's number, once and for all.
//!
//! The table's lock is a leaf: nothing is spawned, written to or waited for under it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use parking_lot::{Condvar, Mutex};

use crate::connection::{self, Connection};
use crate::destination::Destination;
use crate::error::{Error, StartStage};
use crate::limiter::ConnectLimiter;
use crate::options::Options;
use crate::seat::{Retry, Seat, Tries};
use crate::seats::{Answer, Entry, EntryState, HostSeats, Kind, Waiter};
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

/// Why there is no seat.
pub(crate) enum NoSeat {
    /// The deadline came, while the host's connection was at this stage.
    TimedOut(StartStage),
    Cancelled,
    Failed(Error),
}

/// All shared connections of a manager.
pub(crate) struct Pool {
    options: Options,
    version: OnceLock<Option<Version>>,
    limiter: ConnectLimiter,
    directory: SocketDirectory,
    table: Mutex<Table>,
    /// A connection has ended.
    ended: Condvar,
    /// That connections are not shared was told.
    warned: AtomicBool,
}

#[derive(Default)]
struct Table {
    hosts: HashMap<Destination, HostSeats>,
    next_connection: u64,
    next_waiter: u64,
    /// The manager lets go: nothing new is shared, and a connection closes with its last session.
    closing: bool,
    /// By the number of the connection.
    threads: Vec<(u64, JoinHandle<()>)>,
}

impl Pool {
    pub(crate) fn new(options: Options) -> Pool {
        Pool {
            version: OnceLock::new(),
            options,
            limiter: ConnectLimiter::default(),
            directory: SocketDirectory::new(),
            table: Mutex::default(),
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

    pub(crate) fn limiter(&self) -> &ConnectLimiter {
        &self.limiter
    }

    /// Waits until the time, or until `cancelled`, and returns false in that case. Whoever makes that true calls
    /// [`Pool::wake`].
    pub(crate) fn pause(&self, until: Instant, cancelled: impl Fn() -> bool) -> bool {
        self.limiter.pause(until, cancelled)
    }

    pub(crate) fn directory(&self) -> &SocketDirectory {
        &self.directory
    }

    /// Waits for a seat, until the deadline or until `cancelled`: whoever makes that true calls [`Pool::wake`].
    pub(crate) fn seat(
        self: &Arc<Pool>,
        target: &Target,
        kind: Kind,
        deadline: Option<Instant>,
        cancelled: &dyn Fn() -> bool,
    ) -> std::result::Result<Seat<'_>, NoSeat> {
        if cancelled() {
            return Err(NoSeat::Cancelled);
        }
        if !target.traits().shares_connections {
            return self.own_seat(target.host, deadline, cancelled);
        }
        let destination = &Destination { host: target.host.to_owned(), user: target.user.map(str::to_owned) };
        let answer = match self.ask(destination, kind) {
            Asked::Answered(answer) => answer,
            Asked::Waits(id, answers) => {
                self.open_connections(destination);
                self.wait(destination, kind, id, &answers, deadline, cancelled)?
            }
        };
        match answer {
            Answer::Seat(connection) => Ok(Seat::shared(self, connection, kind)),
            Answer::Failed(error) => Err(NoSeat::Failed(error)),
            Answer::Own | Answer::Look => self.own_seat(target.host, deadline, cancelled),
        }
    }

    /// A connection of its own, which is made with its session.
    pub(crate) fn own_seat(
        self: &Arc<Pool>,
        host: &str,
        deadline: Option<Instant>,
        cancelled: &dyn Fn() -> bool,
    ) -> std::result::Result<Seat<'_>, NoSeat> {
        match self.limiter.wait_for_permit(host, deadline, cancelled) {
            Some(permit) => Ok(Seat::own(self, permit)),
            None if cancelled() => Err(NoSeat::Cancelled),
            None => Err(NoSeat::TimedOut(StartStage::Queued)),
        }
    }

    fn ask(&self, destination: &Destination, kind: Kind) -> Asked {
        let mut table = self.table.lock();
        if table.closing || !self.options.share_connections {
            return Asked::Answered(Answer::Own);
        }
        table.next_waiter += 1;
        let id = table.next_waiter;
        let host = table.hosts.entry(destination.clone()).or_default();
        if !host.shares_now() {
            return Asked::Answered(Answer::Own);
        }
        if let Some(connection) = host.take_seat(kind) {
            return Asked::Answered(Answer::Seat(connection));
        }
        let (tell, answers) = bounded(2);
        host.queue.push_back(Waiter { id, kind, tell });
        Asked::Waits(id, answers)
    }

    fn wait(
        self: &Arc<Pool>,
        destination: &Destination,
        kind: Kind,
        id: u64,
        answers: &Receiver<Answer>,
        deadline: Option<Instant>,
        cancelled: &dyn Fn() -> bool,
    ) -> std::result::Result<Answer, NoSeat> {
        let why = loop {
            if cancelled() {
                break NoSeat::Cancelled;
            }
            let answer = match deadline {
                Some(deadline) => answers.recv_deadline(deadline),
                None => answers.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match answer {
                Ok(Answer::Look) => {}
                Ok(answer) => return Ok(answer),
                Err(_) => break NoSeat::TimedOut(self.stage(destination)),
            }
        };
        self.leave(destination, id);
        // What was given in the meantime goes to the next one.
        while let Ok(answer) = answers.try_recv() {
            if let Answer::Seat(connection) = answer {
                drop(Seat::shared(self, connection, kind));
            }
        }
        Err(why)
    }

    /// How far the host's connections have come.
    fn stage(&self, destination: &Destination) -> StartStage {
        let connecting: Vec<_> = {
            let table = self.table.lock();
            let entries = table.hosts.get(destination).map_or(&[][..], |host| &host.connections);
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
    fn leave(&self, destination: &Destination, id: u64) {
        let given_up: Vec<_> = {
            let mut table = self.table.lock();
            let Some(host) = table.hosts.get_mut(destination) else { return };
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

    /// Opens what those who wait for this host need, beyond what is coming.
    fn open_connections(self: &Arc<Pool>, destination: &Destination) {
        loop {
            let (connection, ended) = {
                let mut table = self.table.lock();
                table.next_connection += 1;
                let id = table.next_connection;
                let Some(host) = table.hosts.get_mut(destination) else { return };
                if host.excess() == 0 {
                    return;
                }
                let connection = Arc::new(Connection::new(id, destination.clone()));
                host.add(&connection);
                (connection, take(&mut table.threads, |_, thread| thread.is_finished()))
            };
            join(ended);
            let (pool, kept) = (Arc::clone(self), Arc::clone(&connection));
            let body = move || connection::keep(&kept, &pool);
            match sys::spawn_thread("sshpm-connect", sys::SMALL_STACK, body) {
                Ok(thread) => self.table.lock().threads.push((connection.id, thread)),
                Err(error) => self.failed(&connection, &Error::local("starting a connection's thread", error)),
            }
        }
    }

    /// Makes all who wait look whether they are cancelled.
    pub(crate) fn wake(&self) {
        let table = self.table.lock();
        for waiter in table.hosts.values().flat_map(|host| &host.queue) {
            if waiter.tell.is_empty() {
                // It has room for two, and only this function sends more than one.
                let _ = waiter.tell.try_send(Answer::Look);
            }
        }
        drop(table);
        self.limiter.wake();
    }

    /// Whether a connection that is not open yet is still to be.
    pub(crate) fn wants(&self, connection: &Connection) -> bool {
        let table = self.table.lock();
        let Some(host) = table.hosts.get(&connection.destination) else { return false };
        let is_coming = |entry: &Entry| entry.connection.id == connection.id && entry.is_coming();
        !table.closing && !host.queue.is_empty() && host.connections.iter().any(is_coming)
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
        let mut table = self.table.lock();
        let Some(host) = table.hosts.get_mut(&connection.destination) else { return };
        let was_wanted = host.entry(connection).is_some_and(|entry| entry.is_coming());
        host.remove(connection);
        if !was_wanted {
            drop(table);
            self.ended.notify_all();
            return;
        }
        if !host.connections.iter().any(|entry| entry.state == EntryState::Open) {
            host.connections.retain(|entry| entry.state != EntryState::Queued);
        }
        for _ in 0..host.excess() {
            if let Some(waiter) = host.queue.pop_back() {
                waiter.answer(Answer::Failed(error.clone()));
            }
        }
        drop(table);
        self.ended.notify_all();
        self.limiter.wake();
    }

    /// A connection could not be shared, for a reason of this machine's.
    pub(crate) fn cannot_share(&self, connection: &Connection, why: &str) {
        if let Some(host) = self.table.lock().hosts.get_mut(&connection.destination) {
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
    pub(crate) fn ended(self: &Arc<Pool>, connection: &Connection) {
        {
            let mut table = self.table.lock();
            if let Some(host) = table.hosts.get_mut(&connection.destination) {
                host.remove(connection);
            }
        }
        self.ended.notify_all();
        // Who waited for one of its seats.
        self.open_connections(&connection.destination);
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
        let mut table = self.table.lock();
        let Some(host) = table.hosts.get_mut(&connection.destination) else { return };
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
        if unused && self.table.lock().closing {
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
    pub(crate) fn refused(self: &Arc<Pool>, connection: &Connection, kind: Kind) {
        let (learned, shares) = {
            let mut table = self.table.lock();
            let Some(host) = table.hosts.get_mut(&connection.destination) else { return };
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
        self.open_connections(&connection.destination);
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
            let mut table = self.table.lock();
            table.closing = true;
            for waiter in table.hosts.values_mut().flat_map(|host| host.queue.drain(..)) {
                waiter.answer(Answer::Own);
            }
            let entries = table.hosts.values_mut().flat_map(|host| &mut host.connections);
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
            let Table { hosts, threads, .. } = &mut *self.table.lock();
            // Whose connection has gone has nothing more to do than to return.
            let keeps = |id| hosts.values().flat_map(|host| &host.connections).any(|entry| entry.connection.id == id);
            take(threads, |id, _| !keeps(id))
        };
        join(threads);
        self.directory.remove();
    }

    fn wait_for_ends(&self, connections: &[Arc<Connection>], until: Instant) {
        let mut table = self.table.lock();
        while table.hosts.values().any(|host| connections.iter().any(|connection| host.has(connection))) {
            if self.ended.wait_until(&mut table, until).timed_out() {
                return;
            }
        }
    }
}

/// The attempts to have one session on a host: those that did not begin are repeated where that can help.
pub(crate) struct Attempts<'p> {
    pool: &'p Arc<Pool>,
    /// Whose they are, in log messages.
    name: &'p str,
    tries: Tries,
    /// The seat of the next attempt, if it stays on its connection.
    kept: Option<Seat<'p>>,
}

impl<'p> Attempts<'p> {
    pub(crate) fn new(pool: &'p Arc<Pool>, name: &'p str) -> Attempts<'p> {
        Attempts { pool, name, tries: Tries::new(pool.options.connect_timeout), kept: None }
    }

    /// Waits for the seat of the next attempt, as [`Pool::seat`] does.
    pub(crate) fn seat(
        &mut self,
        target: &Target,
        kind: Kind,
        deadline: Option<Instant>,
        cancelled: &dyn Fn() -> bool,
    ) -> std::result::Result<Seat<'p>, NoSeat> {
        match self.kept.take() {
            Some(seat) => Ok(seat),
            None => self.pool.seat(target, kind, deadline, cancelled),
        }
    }

    /// Waits until the next attempt after one that ended with this error, or until `cancelled`, which the next
    /// [`Attempts::seat`] answers. Returns whether there is to be one.
    pub(crate) fn again(&mut self, seat: Seat<'p>, error: &Error, cancelled: &dyn Fn() -> bool) -> bool {
        match seat.after(error, &mut self.tries) {
            Retry::No => return false,
            Retry::Elsewhere => log::debug!("{}: {error}; on another connection", self.name),
            Retry::SameConnection(seat, time) => {
                log::debug!("{}: {error}; again on this connection", self.name);
                if self.pool.pause(time, cancelled) {
                    self.kept = Some(seat);
                }
            }
            Retry::At(time) => {
                log::debug!("{}: {error}; trying again", self.name);
                self.pool.pause(time, cancelled);
            }
        }
        true
    }
}

enum Asked {
    Answered(Answer),
    Waits(u64, Receiver<Answer>),
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
