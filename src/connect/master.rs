//! The thread of a shared connection. It runs the master: an ssh client that shares its connection with others, and has
//! a session of its own.
//!
//! The script of that session reads its input, so the connection ends with the manager, however the manager ends. It
//! also keeps the lease: it reports a tick every few seconds, and the thread answers with a ping. Without pings the
//! remote side ends the connection; without ticks this side does.

use std::io;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::connect::connection::Connection;
use crate::connect::retry::Logins;
use crate::connect::table::ConnectionTable;
use crate::launch::route::Route;
use crate::launch::spawn::spawn_client;
use crate::launch::ssh;
use crate::launch::target::{SshLogin, Target};
use crate::local::client::{Chunk, Client, Pumped, Stream};
use crate::local::sys;
use crate::model::destination::Destination;
use crate::model::error::Error;
use crate::model::launcher::Launcher;
use crate::model::output::{DIAGNOSIS, Tail};
use crate::remote::lease::Lease;
use crate::remote::nonce;
use crate::remote::parameters;
use crate::remote::report::{NONCE_LENGTH, Piece, Report, Scanner};
use crate::remote::script::short_script;
use crate::remote::start::CONNECTION;

/// How much longer than the connect timeout a login may take, for authentication and the start-up files.
const LONGEST_LOGIN: Duration = Duration::from_secs(60);

/// How a master ended.
enum MasterEnd {
    /// It was never open.
    Failed(Error),
    /// It was never open, because its connection cannot be shared, for this reason.
    CannotShare(String),
    /// It was open, and ended for this reason.
    Closed(String),
}

/// Opens the connections that the waiters for this host need in addition to those that are being opened.
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

/// Runs a connection to its end. This is the body of its thread.
fn keep(connection: &Connection, table: &Arc<ConnectionTable>) {
    // The logger of the host program runs on this thread and can panic. Waiters must not wait for ever then.
    if panic::catch_unwind(AssertUnwindSafe(|| open_and_keep(connection, table))).is_err() {
        connection.kill();
        connection.end("its thread panicked".to_owned());
        let panicked = io::Error::other("the thread of a connection panicked");
        table.failed(connection, &Error::local(format!("connecting to {}", connection.destination.host), panicked));
    }
}

/// Opens a connection, keeps it open, and keeps its entry in the table up to date.
fn open_and_keep(connection: &Connection, table: &Arc<ConnectionTable>) {
    let mut logins = Logins::new(table.options().connect_timeout);
    let mut has_replaced_directory = false;
    let unwanted = || connection.is_given_up() || !table.wants(connection);
    loop {
        let Some(permit) = table.limiter().wait_for_permit(&connection.destination.host, None, unwanted) else {
            break connection.end("nobody wanted it".to_owned());
        };
        table.set_connecting(connection);
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
            // Another program has removed the directory while ssh logged in.
            MasterEnd::CannotShare(_) if !has_replaced_directory && connection.has_lost_directory() => {
                has_replaced_directory = true;
                connection.set_waiting();
                // If this fails, the next attempt reports why.
                let _ = table.directory().new_socket();
            }
            MasterEnd::CannotShare(why) => {
                table.cannot_share(connection, &why);
                break connection.end(why);
            }
            MasterEnd::Failed(error) => {
                let again = logins.after(&error, permit);
                connection.set_waiting();
                match again {
                    Some(next) if table.limiter().pause(next, unwanted) => {}
                    // It was given up meanwhile, so nobody is to get its error.
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
    // Others may wait for one of its seats.
    open_connections(table, &connection.destination);
}

/// A running master.
struct Master<'a> {
    connection: &'a Connection,
    table: &'a Arc<ConnectionTable>,
    client: Client,
    reports: Scanner,
    lease: Lease,
    /// When it counts as dead if it is not open by then.
    open_until: Option<Instant>,
    /// `None` until it is open.
    last_tick: Option<Instant>,
    /// The host cannot keep the lease, so ticks are not expected.
    is_unleased: bool,
    diagnosis: Tail,
}

impl<'a> Master<'a> {
    /// Starts the master, which begins to log in.
    fn open(connection: &'a Connection, table: &'a Arc<ConnectionTable>) -> std::result::Result<Master<'a>, MasterEnd> {
        let socket = connection.socket_or(|| table.directory().new_socket()).map_err(MasterEnd::CannotShare)?;
        let nonce = nonce::generate().map_err(MasterEnd::Failed)?;
        let lease = Lease::of(table.options());
        let script = own_script(&nonce, lease);
        let target = target(&connection.destination);
        let (options, version, route) = (table.options(), table.ssh_version(), &Route::Master(socket));
        let client = spawn_client(&target, &SshLogin { options, version, route }, script).map_err(MasterEnd::Failed)?;
        if !connection.set_running(client.lifeline()) {
            client.lifeline().close();
            client.lifeline().kill_client();
        }
        let (reports, diagnosis) = (Scanner::new(nonce), Tail::default());
        let open_until = sys::deadline(table.options().connect_timeout.saturating_add(LONGEST_LOGIN));
        let (last_tick, is_unleased) = (None, false);
        Ok(Master { connection, table, client, reports, lease, open_until, last_tick, is_unleased, diagnosis })
    }

    /// Runs the master to its end. Calls `opened` when the connection is open.
    fn run(mut self, opened: &mut dyn FnMut()) -> MasterEnd {
        let mut is_stuck = false;
        loop {
            let deadline = self.deadline().filter(|_| !is_stuck);
            let Master { client, reports, diagnosis, .. } = &mut self;
            // Only one report of each kind, so that a host that repeats itself does not fill the memory.
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
                self.handle_report(&report, opened);
            }
            // This is checked after each read, because data that is no tick does not extend the lease.
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

    /// Returns when the master counts as dead; `None` for never.
    fn deadline(&self) -> Option<Instant> {
        match self.last_tick {
            None => self.open_until,
            Some(_) if self.is_unleased => None,
            Some(last) => self.lease.end(last),
        }
    }

    fn handle_report(&mut self, report: &Report, opened: &mut dyn FnMut()) {
        match report {
            Report::Begin { .. } => {
                self.ticked();
                opened();
                self.table.set_open(self.connection);
            }
            Report::Tick => {
                self.ticked();
                if self.table.retire(self.connection) {
                    self.connection.close();
                } else {
                    self.client.lifeline().send("ping\n");
                }
            }
            // Only ssh's own ServerAlive is left. One warning is enough.
            Report::Unleased if self.is_unleased => {}
            Report::Unleased => {
                log::warn!(
                    "{} could not start a process (is it short of them?): its connection has no lease any more",
                    self.connection.destination.host
                );
                self.is_unleased = true;
                self.table.take_out_of_use(self.connection);
            }
            _ => {}
        }
    }

    fn ticked(&mut self) {
        self.last_tick = Some(Instant::now());
        self.connection.ticked(self.lease);
    }

    /// Returns how the master has ended, by the exit code of its client, or minus its signal.
    fn ended(mut self, code: Option<i32>) -> MasterEnd {
        let diagnosis = &mut self.diagnosis;
        self.reports.finish(&mut |piece| {
            if let Piece::Data(bytes) = piece {
                diagnosis.push(bytes, DIAGNOSIS);
            }
        });
        // ssh removes its socket, unless it was killed.
        if let Some(socket) = self.connection.socket() {
            let _ = std::fs::remove_file(socket);
        }
        let said = self.diagnosis.get().bytes;
        if self.last_tick.is_none() {
            let error = target(&self.connection.destination).diagnose(code, &said);
            return match ssh::cannot_share(&error) {
                true => MasterEnd::CannotShare(error.to_string()),
                false => MasterEnd::Failed(error),
            };
        }
        MasterEnd::Closed(ssh::last_words(&said).unwrap_or_else(|| match code {
            Some(code @ 0..) => format!("its ssh ended with {code}"),
            Some(signal) => format!("its ssh was ended by signal {}", -signal),
            None => "its ssh ended".to_owned(),
        }))
    }
}

/// Returns the target of the master's own session.
fn target(destination: &Destination) -> Target<'_> {
    let Destination { host, user } = destination;
    Target { launcher: &Launcher::Ssh, host, user: user.as_deref(), uuid: None }
}

/// Returns the script of the master's own session.
fn own_script(nonce: &[u8; NONCE_LENGTH], lease: Lease) -> Vec<Chunk> {
    let (period, ticks) = (lease.period.as_secs().to_string(), lease.ticks.to_string());
    let values = [(parameters::LEASE_PERIOD, period.as_bytes()), (parameters::LEASE_TICKS, ticks.as_bytes())];
    short_script(nonce, &values, CONNECTION)
}
