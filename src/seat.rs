//! The right to have one session on a host: on a shared connection, or by a login of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::{Chunk, Client};
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::launch_ssh::{self, NoSession};
use crate::limiter::ConnectPermit;
use crate::master;
use crate::options::Options;
use crate::retry::Logins;
use crate::route::Route;
use crate::seats::Kind;
use crate::spawn_client::spawn_client;
use crate::table::ConnectionTable;
use crate::target::{SshLogin, Target};

/// How many broken connections one session tries: one more would break too.
const MOST_BROKEN: usize = 3;

/// The right to have one session; it is given back when dropped.
pub(crate) struct Seat<'p> {
    table: &'p Arc<ConnectionTable>,
    grant: Grant<'p>,
    /// Then something may have run.
    has_begun: bool,
}

enum Grant<'p> {
    /// The turn ends when the session has begun.
    Own(Option<ConnectPermit<'p>>),
    Shared(Arc<Connection>, Kind),
    Returned,
}

/// How often a session is asked for again on the same connection, and the first pause before that; it doubles. sshd counts
/// a session that has ended here until it has heard so, and that may come in one piece with the next one's request.
const MOST_REFUSED: u32 = 6;
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

/// What one session has tried.
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
    /// How long after a session was asked for, and how often then, is looked whether its connection hangs.
    pub(crate) const LOOK_AFTER: Duration = Duration::from_secs(3);

    pub(crate) fn own(table: &'p Arc<ConnectionTable>, permit: ConnectPermit<'p>) -> Seat<'p> {
        Seat { table, grant: Grant::Own(Some(permit)), has_begun: false }
    }

    pub(crate) fn shared(table: &'p Arc<ConnectionTable>, connection: Arc<Connection>, kind: Kind) -> Seat<'p> {
        Seat { table, grant: Grant::Shared(connection, kind), has_begun: false }
    }

    /// Starts the client of the session.
    ///
    /// # Errors
    /// Those of [`spawn_client`].
    pub(crate) fn spawn_client(&self, options: &Options, target: &Target, script: Vec<Chunk>) -> Result<Client> {
        let version = self.table.ssh_version_for(target);
        spawn_client(target, &SshLogin { options, version, route: &self.route() }, script)
    }

    fn route(&self) -> Route {
        match &self.grant {
            Grant::Own(_) | Grant::Returned => Route::Own,
            Grant::Shared(connection, _) => connection.socket().map_or(Route::Own, Route::Shared),
        }
    }

    pub(crate) fn connection(&self) -> Option<&Connection> {
        match &self.grant {
            Grant::Shared(connection, _) => Some(connection),
            Grant::Own(_) | Grant::Returned => None,
        }
    }

    /// The session has begun.
    pub(crate) fn begun(&mut self) {
        self.has_begun = true;
        match &mut self.grant {
            Grant::Own(permit) => drop(permit.take()),
            Grant::Shared(connection, _) => self.table.set_proven(connection),
            Grant::Returned => {}
        }
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether the connection hangs, so that a session may never begin on it.
    pub(crate) fn hangs(&self) -> bool {
        self.connection().is_some_and(|connection| !connection.answers())
    }

    /// What to do after a session that ended with this error. Before it has begun nothing has run.
    pub(crate) fn after(mut self, error: &Error, tries: &mut Tries) -> Retry<'p> {
        match &mut self.grant {
            _ if self.has_begun => Retry::No,
            Grant::Own(permit) => tries.logins.after(error, permit.take()).map_or(Retry::No, Retry::At),
            Grant::Returned => Retry::No,
            Grant::Shared(connection, kind) => match launch_ssh::no_session(error) {
                None => Retry::No,
                Some(NoSession::Refused) if tries.refused < MOST_REFUSED && self.table.may_recover(connection) => {
                    let pause = REFUSED_PAUSE * 2u32.pow(tries.refused);
                    tries.refused += 1;
                    Retry::SameConnection(self, Instant::now() + pause)
                }
                Some(NoSession::Refused) => {
                    self.table.session_refused(connection, *kind);
                    // For others that wait for the seats that it does not have.
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
