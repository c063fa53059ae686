//! The thread of a shared connection: it runs an ssh client that is a master for others, with a session of its own.
//!
//! That session reads its input: so the connection ends with the manager, however that ends. And it holds the lease: it
//! reports a tick every few seconds, which is answered by a ping; without pings the remote side ends the connection, and
//! without ticks this side does.

use std::io;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::{Chunk, Client, Pumped, Stream};
use crate::connection::Connection;
use crate::destination::Destination;
use crate::error::Error;
use crate::launch_ssh;
use crate::launcher::Launcher;
use crate::lease::Lease;
use crate::nonce;
use crate::output::{DIAGNOSIS, Tail};
use crate::parameters;
use crate::report::{NONCE_LENGTH, Piece, Report, Scanner};
use crate::retry::Logins;
use crate::route::Route;
use crate::script::short_script;
use crate::spawn_client::spawn_client;
use crate::sys;
use crate::table::ConnectionTable;
use crate::target::{SshLogin, Target};
use crate::wrapper::CONNECTION;

/// How long a login may take beyond the connect timeout: authentication, and the start-up files.
const LONGEST_LOGIN: Duration = Duration::from_secs(60);
/// What a master's client came to.
enum MasterEnd {
    /// It was never open.
    Failed(Error),
    /// Its socket could not be made.
    CannotShare(String),
    Closed(String),
}

/// Opens the connections that those who wait for this host need, beyond those that are coming.
pub(crate) fn open_connections(table: &Arc<ConnectionTable>, destination: &Destination) {
    while let Some(connection) = table.next_connection(destination) {
        let (kept, thread_table) = (Arc::clone(&connection), Arc::clone(table));
        let body = move || keep(&kept, &thread_table);
        match sys::spawn_thread("sshpm-connect", sys::SMALL_STACK, body) {
            Ok(thread) => table.add_thread(&connection, thread),
            Err(error) => table.failed(&connection, &Error::local("starting a connection's thread", error)),
        }
    }
}

/// The body of a connection's thread.
fn keep(connection: &Connection, table: &Arc<ConnectionTable>) {
    // A host's logger, which runs here, can panic: who waits for the connection must not wait for ever.
    if panic::catch_unwind(AssertUnwindSafe(|| open_and_keep(connection, table))).is_err() {
        connection.kill();
        connection.end("its thread panicked".to_owned());
        let panicked = io::Error::other("the thread of a connection panicked");
        table.failed(connection, &Error::local(format!("connecting to {}", connection.destination.host), panicked));
    }
}

/// Opens a connection, keeps it, and tells the pool of it.
fn open_and_keep(connection: &Connection, table: &Arc<ConnectionTable>) {
    let mut logins = Logins::new(table.options().connect_timeout);
    let mut has_been_made_again = false;
    let unwanted = || connection.is_given_up() || !table.wants(connection);
    loop {
        let Some(permit) = table.limiter().wait_for_permit(&connection.destination.host, None, unwanted) else {
            break connection.end("nobody wanted it".to_owned());
        };
        table.connects(connection);
        let mut permit = Some(permit);
        let end = match Master::open(connection, table) {
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
                let _ = table.directory().new_socket();
            }
            MasterEnd::CannotShare(why) => {
                table.cannot_share(connection, &why);
                break connection.end(why);
            }
            MasterEnd::Failed(error) => {
                let again = logins.after(&error, permit);
                connection.rests();
                match again {
                    Some(next) if table.limiter().pause(next, unwanted) => {}
                    // Given up in the meantime: its failure is nobody's.
                    Some(_) => break connection.end(error.to_string()),
                    None => {
                        connection.end(error.to_string());
                        return table.failed(connection, &error);
                    }
                }
            }
        }
    }
    table.ended(connection);
    // Others may have waited for one of its seats.
    open_connections(table, &connection.destination);
}

/// A master's client, as its thread has it.
struct Master<'a> {
    connection: &'a Connection,
    table: &'a Arc<ConnectionTable>,
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
    fn open(connection: &'a Connection, table: &'a Arc<ConnectionTable>) -> std::result::Result<Master<'a>, MasterEnd> {
        let socket = connection.socket_or(|| table.directory().new_socket()).map_err(MasterEnd::CannotShare)?;
        let nonce = nonce::generate().map_err(MasterEnd::Failed)?;
        let lease = Lease::of(table.options());
        let script = own_script(&nonce, lease);
        let target = target(&connection.destination);
        let (options, version, route) = (table.options(), table.ssh_version(), &Route::Master(socket));
        let client = spawn_client(&target, &SshLogin { options, version, route }, script).map_err(MasterEnd::Failed)?;
        if !connection.runs(client.lifeline()) {
            client.lifeline().close();
            client.lifeline().kill_client();
        }
        let (reports, diagnosis) = (Scanner::new(nonce), Tail::default());
        let open_until = sys::deadline(table.options().connect_timeout.saturating_add(LONGEST_LOGIN));
        let (last_tick, is_unleased) = (None, false);
        Ok(Master { connection, table, client, reports, lease, open_until, last_tick, is_unleased, diagnosis })
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
                self.table.opened(self.connection);
            }
            Report::Tick => {
                self.ticked();
                if self.table.retire(self.connection) {
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
                self.table.retreat(self.connection);
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
