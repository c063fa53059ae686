//! A seat: the right to have one session on a host, on a shared connection or by a login of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::connect::connection::Connection;
use crate::connect::limiter::ConnectPermit;
use crate::connect::master;
use crate::connect::retry::Logins;
use crate::connect::seats::Kind;
use crate::connect::table::ConnectionTable;
use crate::launch::route::Route;
use crate::launch::spawn::spawn_client;
use crate::launch::ssh::{self, NoSession};
use crate::launch::target::{SshLogin, Target};
use crate::local::client::{Chunk, Client, Requested};
use crate::local::mux::{self, NoGreeting};
use crate::model::error::{Error, Result};
use crate::model::options::Options;

/// How many connections may break under one session before it fails: another connection would break too.
const MOST_BROKEN: usize = 3;

/// How long the master of a shared connection may take to greet.
const GREETING: Duration = Duration::from_secs(2);

/// The right to have one session. It is given back when dropped.
pub(crate) struct Seat<'p> {
    table: &'p Arc<ConnectionTable>,
    grant: Grant<'p>,
    /// Whether the session has begun. From then on, something may have run.
    has_begun: bool,
}

/// What the right consists of.
enum Grant<'p> {
    /// A login of its own. The permit is given back when the session has begun.
    Own(Option<ConnectPermit<'p>>),
    /// A session on this connection.
    Shared(Arc<Connection>, Kind),
    /// It was given back.
    Returned,
}

/// How often a refused session is requested again on the same connection. sshd counts a session that has ended here
/// until it has read so, and it may read that together with the request for the next session.
const MOST_REFUSED: u32 = 6;
/// The first pause before such a request. Each further pause is twice as long.
const REFUSED_PAUSE: Duration = Duration::from_millis(20);

/// Whether a session that did not begin is tried again.
pub(crate) enum Retry<'p> {
    /// At once, on another connection.
    Elsewhere,
    /// By another login, at this time.
    At(Instant),
    /// On the same connection, at this time.
    SameConnection(Seat<'p>, Instant),
    No,
}

/// The failed attempts to have one session.
pub(crate) struct Tries {
    logins: Logins,
    broken: usize,
    refused: u32,
}

impl Tries {
    pub(crate) fn new(connect_timeout: Duration) -> Tries {
        Tries { logins: Logins::new(connect_timeout), broken: 0, refused: 0 }
    }
}

impl<'p> Seat<'p> {
    /// How often to check whether the connection of a session that has not begun hangs.
    pub(crate) const LOOK_AFTER: Duration = Duration::from_secs(3);

    /// Returns a seat that logs in by itself.
    pub(crate) fn own(table: &'p Arc<ConnectionTable>, permit: ConnectPermit<'p>) -> Seat<'p> {
        Seat { table, grant: Grant::Own(Some(permit)), has_begun: false }
    }

    /// Returns a seat on a shared connection, whose table counts it already.
    pub(crate) fn shared(table: &'p Arc<ConnectionTable>, connection: Arc<Connection>, kind: Kind) -> Seat<'p> {
        Seat { table, grant: Grant::Shared(connection, kind), has_begun: false }
    }

    /// Starts the client of the session, or requests a session without one, and has it write `script` to the shell on
    /// the host. Blocks for at most [`GREETING`], and while a client is started.
    ///
    /// # Errors
    /// The errors of [`spawn_client`].
    pub(crate) fn spawn_client(&self, options: &Options, target: &Target, script: Vec<Chunk>) -> Result<Client> {
        if let Some(requested) = self.request(options) {
            return Ok(Client::of(requested, script));
        }
        let version = self.table.ssh_version_for(target);
        spawn_client(target, &SshLogin { options, version, route: &self.route() }, script)
    }

    /// Requests the session from the master of the shared connection, if it is to have no client. A client may take its
    /// place only as long as the request was not sent whole: it may be carried out late.
    fn request(&self, options: &Options) -> Option<Requested> {
        let connection = self.connection().filter(|it| !options.ssh_client_per_process && !it.needs_clients())?;
        let why = match mux::greet(&connection.socket()?, Instant::now() + GREETING) {
            Ok(master) => match Requested::from(master, &ssh::remote_command(&self.route())) {
                Ok(requested) => return Some(requested),
                Err(error) => error.to_string(),
            },
            // ssh's client finds out why.
            Err(NoGreeting::Gone) => return None,
            Err(NoGreeting::Silent) => "it does not answer".to_owned(),
            Err(NoGreeting::Unlike(why)) => {
                connection.set_needs_clients();
                why
            }
        };
        self.table.warn_of_clients(connection, &why);
        None
    }

    /// Returns how the client reaches the host.
    fn route(&self) -> Route {
        match &self.grant {
            Grant::Own(_) | Grant::Returned => Route::Own,
            Grant::Shared(connection, _) => connection.socket().map_or(Route::Own, Route::Shared),
        }
    }

    /// Returns the shared connection, if the seat is on one.
    pub(crate) fn connection(&self) -> Option<&Connection> {
        match &self.grant {
            Grant::Shared(connection, _) => Some(connection),
            Grant::Own(_) | Grant::Returned => None,
        }
    }

    /// Notes that the session has begun.
    pub(crate) fn begun(&mut self) {
        self.has_begun = true;
        match &mut self.grant {
            Grant::Own(permit) => drop(permit.take()),
            Grant::Shared(connection, _) => self.table.set_proven(connection),
            Grant::Returned => {}
        }
    }

    /// Returns whether the session has begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Returns whether the shared connection hangs, so that the session may never begin.
    pub(crate) fn hangs(&self) -> bool {
        self.connection().is_some_and(|connection| !connection.answers())
    }

    /// Decides whether to try again after the session ended with this error. Only a session that did not begin is tried
    /// again, because nothing has run then.
    pub(crate) fn after(mut self, error: &Error, tries: &mut Tries) -> Retry<'p> {
        match &mut self.grant {
            _ if self.has_begun => Retry::No,
            Grant::Own(permit) => tries.logins.after(error, permit.take()).map_or(Retry::No, Retry::At),
            Grant::Returned => Retry::No,
            Grant::Shared(connection, kind) => match ssh::no_session(error) {
                None => Retry::No,
                Some(NoSession::Refused) if tries.refused < MOST_REFUSED && self.table.may_recover(connection) => {
                    let pause = REFUSED_PAUSE * 2u32.pow(tries.refused);
                    tries.refused += 1;
                    Retry::SameConnection(self, Instant::now() + pause)
                }
                Some(NoSession::Refused) => {
                    self.table.session_refused(connection, *kind);
                    // Others may wait for the seats that this connection turned out not to have.
                    master::open_connections(self.table, &connection.destination);
                    self.grant = Grant::Returned;
                    Retry::Elsewhere
                }
                Some(NoSession::Broken) => {
                    self.table.session_failed(connection, error);
                    tries.broken += 1;
                    if tries.broken >= MOST_BROKEN { Retry::No } else { Retry::Elsewhere }
                }
            },
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if let Grant::Shared(connection, kind) = &self.grant {
            self.table.release(connection, *kind);
        }
    }
}
