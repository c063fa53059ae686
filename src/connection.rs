//! One shared connection: an ssh client that is a master for others, with a session of its own.
//!
//! That session reads its input: so the connection ends with the manager, however that ends. And it holds the lease: it
//! reports a tick every few seconds, which is answered by a ping; without pings the remote side ends the connection, and
//! without ticks this side does.

use std::io;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::client::{Chunk, Client, Lifeline, Pumped, Stream};
use crate::destination::Destination;
use crate::error::Error;
use crate::launch_ssh;
use crate::launcher::Launcher;
use crate::lease::Lease;
use crate::nonce;
use crate::output::{DIAGNOSIS, Tail};
use crate::parameters;
use crate::pool::Pool;
use crate::report::{NONCE_LENGTH, Piece, Report, Scanner};
use crate::retry::Logins;
use crate::route::Route;
use crate::script::short_script;
use crate::spawn_client::spawn_client;
use crate::sys;
use crate::target::{SshLogin, Target};
use crate::wrapper::CONNECTION;

/// How long after its clients a master may end, and its thread know why.
const MASTER_AFTER_CLIENT: Duration = Duration::from_millis(500);
/// How long a login may take beyond the connect timeout: authentication, and the start-up files.
const LONGEST_LOGIN: Duration = Duration::from_secs(60);
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

    fn has_lost_directory(&self) -> bool {
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
    fn rests(&self) {
        let mut state = self.state.lock();
        if let ConnectionState::Running(_) = *state {
            *state = ConnectionState::Waiting;
        }
    }

    fn is_given_up(&self) -> bool {
        matches!(*self.state.lock(), ConnectionState::GivenUp)
    }

    /// Whether it runs; false also when it was given up.
    pub(crate) fn is_running(&self) -> bool {
        matches!(*self.state.lock(), ConnectionState::Running(_))
    }

    /// A client runs. False when it is not wanted any more.
    fn runs(&self, lifeline: &Arc<Lifeline>) -> bool {
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

/// What a master's client came to.
enum MasterEnd {
    /// It was never open.
    Failed(Error),
    /// Its socket could not be made.
    CannotShare(String),
    Closed(String),
}

/// The body of a connection's thread.
pub(crate) fn keep(connection: &Connection, pool: &Arc<Pool>) {
    // A host's logger, which runs here, can panic: who waits for the connection must not wait for ever.
    if panic::catch_unwind(AssertUnwindSafe(|| open_and_keep(connection, pool))).is_err() {
        connection.kill();
        connection.end("its thread panicked".to_owned());
        let panicked = io::Error::other("the thread of a connection panicked");
        pool.failed(connection, &Error::local(format!("connecting to {}", connection.destination.host), panicked));
    }
}

/// Opens a connection, keeps it, and tells the pool of it.
fn open_and_keep(connection: &Connection, pool: &Arc<Pool>) {
    let mut logins = Logins::new(pool.options().connect_timeout);
    let mut has_been_made_again = false;
    let unwanted = || connection.is_given_up() || !pool.wants(connection);
    loop {
        let Some(permit) = pool.limiter().wait_for_permit(&connection.destination.host, None, unwanted) else {
            break connection.end("nobody wanted it".to_owned());
        };
        pool.connects(connection);
        let mut permit = Some(permit);
        let end = match Master::open(connection, pool) {
            Ok(master) => master.run(&mut || permit = None),
            Err(end) => end,
        };
        match end {
            MasterEnd::Closed(why) => {
                log::debug!("the connection to {} has ended: {why}", connection.destination.host);
                break connection.end(why);
            }
            MasterEnd::Failed(error) if unwanted() => break connection.end(error.to_string()),
            // Somebody has cleaned up while ssh logged in.
            MasterEnd::CannotShare(_) if !has_been_made_again && connection.has_lost_directory() => {
                has_been_made_again = true;
                connection.rests();
                // Why it cannot be made is told by the next try.
                let _ = pool.directory().new_socket();
            }
            MasterEnd::CannotShare(why) => {
                pool.cannot_share(connection, &why);
                break connection.end(why);
            }
            MasterEnd::Failed(error) => {
                let again = logins.after(&error, permit);
                connection.rests();
                match again {
                    Some(next) if pool.pause(next, unwanted) => {}
                    // Given up in the meantime: its failure is nobody's.
                    Some(_) => break connection.end(error.to_string()),
                    None => {
                        connection.end(error.to_string());
                        return pool.failed(connection, &error);
                    }
                }
            }
        }
    }
    pool.ended(connection);
}

/// A master's client, as its thread has it.
struct Master<'a> {
    connection: &'a Connection,
    pool: &'a Arc<Pool>,
    client: Client,
    reports: Scanner,
    lease: Lease,
    /// When it counts as dead if it has not opened.
    open_until: Option<Instant>,
    /// None: it is not open yet.
    last_tick: Option<Instant>,
    /// The host cannot keep the lease.
    is_unleased: bool,
    diagnosis: Tail,
}

impl<'a> Master<'a> {
    fn open(connection: &'a Connection, pool: &'a Arc<Pool>) -> std::result::Result<Master<'a>, MasterEnd> {
        let socket = match connection.socket() {
            Some(socket) => socket,
            None => {
                let socket = Arc::from(pool.directory().new_socket().map_err(MasterEnd::CannotShare)?);
                Arc::clone(connection.socket.lock().insert(socket))
            }
        };
        let nonce = nonce::generate().map_err(MasterEnd::Failed)?;
        let lease = Lease::of(pool.options());
        let script = own_script(&nonce, lease);
        let target = target(&connection.destination);
        let (options, version, route) = (pool.options(), pool.ssh_version(), &Route::Master(socket));
        let client = spawn_client(&target, &SshLogin { options, version, route }, script).map_err(MasterEnd::Failed)?;
        if !connection.runs(client.lifeline()) {
            client.lifeline().close();
            client.lifeline().kill_client();
        }
        let (reports, diagnosis) = (Scanner::new(nonce), Tail::default());
        let open_until = sys::deadline(pool.options().connect_timeout.saturating_add(LONGEST_LOGIN));
        let (last_tick, is_unleased) = (None, false);
        Ok(Master { connection, pool, client, reports, lease, open_until, last_tick, is_unleased, diagnosis })
    }

    /// Until the client has ended. `opened` is called once it can be used.
    fn run(mut self, opened: &mut dyn FnMut()) -> MasterEnd {
        let mut is_stuck = false;
        loop {
            let deadline = self.deadline().filter(|_| !is_stuck);
            let Master { client, reports, diagnosis, .. } = &mut self;
            // One of each kind: a host that repeats itself fills no memory.
            let mut heard: Vec<Report> = Vec::new();
            let pumped = client.pump(deadline, |stream, bytes| match stream {
                Stream::Stdout => {}
                Stream::Stderr => reports.push(bytes, &mut |piece| match piece {
                    Piece::Report(report) => {
                        if heard.iter().all(|known| mem::discriminant(known) != mem::discriminant(&report)) {
                            heard.push(report);
                        }
                    }
                    Piece::Data(bytes) => diagnosis.push(bytes, DIAGNOSIS),
                    Piece::Unknown(_) => {}
                }),
            });
            for report in heard {
                self.hear(&report, opened);
            }
            // Looked at while there is something to read, too: what is no tick does not count.
            let is_over = self.deadline().is_some_and(|deadline| deadline <= Instant::now());
            match pumped {
                Ok(Pumped::Some | Pumped::Deadline) if is_stuck || !is_over => {}
                Ok(Pumped::Some | Pumped::Deadline) => {
                    log::warn!("the connection to {} does not answer and is ended", self.connection.destination.host);
                    self.connection.kill();
                    is_stuck = true;
                }
                Ok(Pumped::Ended(code)) => return self.ended(code),
                Err(error) => return MasterEnd::Failed(Error::local("reading from ssh", error)),
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self.last_tick {
            None => self.open_until,
            Some(_) if self.is_unleased => None,
            Some(last) => self.lease.end(last),
        }
    }

    fn hear(&mut self, report: &Report, opened: &mut dyn FnMut()) {
        match report {
            Report::Begin { .. } => {
                self.ticked();
                opened();
                self.pool.opened(self.connection);
            }
            Report::Tick => {
                self.ticked();
                if self.pool.retire(self.connection) {
                    self.connection.close();
                } else {
                    self.client.lifeline().send("ping\n");
                }
            }
            // ssh's own ServerAlive remains. Told once.
            Report::Unleased if self.is_unleased => {}
            Report::Unleased => {
                log::warn!(
                    "{} could not start a process (is it short of them?): its connection has no lease any more",
                    self.connection.destination.host
                );
                self.is_unleased = true;
                self.pool.retreat(self.connection);
            }
            _ => {}
        }
    }

    fn ticked(&mut self) {
        self.last_tick = Some(Instant::now());
        self.connection.ticked(self.lease);
    }

    fn ended(mut self, code: Option<i32>) -> MasterEnd {
        let diagnosis = &mut self.diagnosis;
        self.reports.finish(&mut |piece| {
            if let Piece::Data(bytes) = piece {
                diagnosis.push(bytes, DIAGNOSIS);
            }
        });
        // ssh removes it, unless it was killed.
        if let Some(socket) = self.connection.socket() {
            let _ = std::fs::remove_file(socket);
        }
        let said = self.diagnosis.get().bytes;
        if self.last_tick.is_none() {
            let error = target(&self.connection.destination).diagnose(code, &said);
            return match launch_ssh::cannot_share(&error) {
                true => MasterEnd::CannotShare(error.to_string()),
                false => MasterEnd::Failed(error),
            };
        }
        MasterEnd::Closed(launch_ssh::last_words(&said).unwrap_or_else(|| match code {
            Some(code @ 0..) => format!("its ssh ended with {code}"),
            Some(signal) => format!("its ssh was ended by signal {}", -signal),
            None => "its ssh ended".to_owned(),
        }))
    }
}

fn target(destination: &Destination) -> Target<'_> {
    let Destination { host, user } = destination;
    Target { launcher: &Launcher::Ssh, host, user: user.as_deref(), uuid: None }
}

/// The script of a connection's own session.
fn own_script(nonce: &[u8; NONCE_LENGTH], lease: Lease) -> Vec<Chunk> {
    let (period, ticks) = (lease.period.as_secs().to_string(), lease.ticks.to_string());
    let values = [(parameters::LEASE_PERIOD, period.as_bytes()), (parameters::LEASE_TICKS, ticks.as_bytes())];
    short_script(nonce, &values, CONNECTION)
}
