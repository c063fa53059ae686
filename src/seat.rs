//! The right to have one session on a host: on a shared connection, or by a login of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::{Chunk, Client};
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::gate::{Retry, Turn};
use crate::launch_ssh::{self, NoSession};
use crate::options::Options;
use crate::pool::Pool;
use crate::route::Route;
use crate::seats::Kind;
use crate::spawn_client::spawn_client;
use crate::target::{SshLogin, Target};

/// How many broken connections one session tries: one more would break too.
const MOST_BROKEN: usize = 3;

/// The right to have one session; it is given back when dropped.
pub(crate) struct Seat<'p> {
    pool: &'p Arc<Pool>,
    place: Place<'p>,
    /// Then something may have run.
    has_begun: bool,
}

enum Place<'p> {
    /// The turn ends when the session has begun.
    Own(Option<Turn<'p>>),
    Shared(Arc<Connection>, Kind),
    Returned,
}

/// How often a session is asked for again on the same connection, and the first pause before that; it doubles. sshd counts
/// a session that has ended here until it has heard so, and that may come in one piece with the next one's request.
const MOST_REFUSED: u32 = 6;
const REFUSED_PAUSE: Duration = Duration::from_millis(20);

/// Whether a session that did not begin is tried again.
pub(crate) enum Again<'p> {
    Now,
    At(Instant),
    /// On the same connection.
    Here(Seat<'p>, Instant),
    No,
}

/// What one session has tried.
pub(crate) struct Tries {
    connect_timeout: Duration,
    retry: Option<Retry>,
    broken: usize,
    refused: u32,
}

impl Tries {
    pub(crate) fn new(connect_timeout: Duration) -> Tries {
        Tries { connect_timeout, retry: None, broken: 0, refused: 0 }
    }

    /// The time of the next login, after one that sshd has dropped.
    pub(crate) fn next_login(&mut self) -> Option<Instant> {
        self.retry.get_or_insert_with(|| Retry::within(self.connect_timeout)).next_try()
    }
}

impl<'p> Seat<'p> {
    /// How long after a session was asked for, and how often then, is looked whether its connection hangs.
    pub(crate) const LOOK_AFTER: Duration = Duration::from_secs(3);

    pub(crate) fn own(pool: &'p Arc<Pool>, turn: Turn<'p>) -> Seat<'p> {
        Seat { pool, place: Place::Own(Some(turn)), has_begun: false }
    }

    pub(crate) fn shared(pool: &'p Arc<Pool>, connection: Arc<Connection>, kind: Kind) -> Seat<'p> {
        Seat { pool, place: Place::Shared(connection, kind), has_begun: false }
    }

    /// Starts the client of the session.
    ///
    /// # Errors
    /// Those of [`spawn_client`].
    pub(crate) fn spawn_client(&self, options: &Options, target: &Target, script: Vec<Chunk>) -> Result<Client> {
        let version = self.pool.ssh_version_for(target);
        spawn_client(target, &SshLogin { options, version, route: &self.route() }, script)
    }

    fn route(&self) -> Route {
        match &self.place {
            Place::Own(_) | Place::Returned => Route::Own,
            Place::Shared(connection, _) => connection.socket().map_or(Route::Own, Route::Shared),
        }
    }

    pub(crate) fn connection(&self) -> Option<&Connection> {
        match &self.place {
            Place::Shared(connection, _) => Some(connection),
            Place::Own(_) | Place::Returned => None,
        }
    }

    /// The session has begun.
    pub(crate) fn begun(&mut self) {
        self.has_begun = true;
        match &mut self.place {
            Place::Own(turn) => drop(turn.take()),
            Place::Shared(connection, _) => self.pool.proven(connection),
            Place::Returned => {}
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
    pub(crate) fn after(mut self, error: &Error, tries: &mut Tries) -> Again<'p> {
        match &self.place {
            _ if self.has_begun => Again::No,
            Place::Own(Some(turn)) if launch_ssh::is_worth_a_retry(error) => {
                turn.was_dropped();
                tries.next_login().map_or(Again::No, Again::At)
            }
            Place::Own(_) | Place::Returned => Again::No,
            Place::Shared(connection, kind) => match launch_ssh::no_session(error) {
                None => Again::No,
                Some(NoSession::Refused) if tries.refused < MOST_REFUSED && self.pool.may_recover(connection) => {
                    let pause = REFUSED_PAUSE * 2u32.pow(tries.refused);
                    tries.refused += 1;
                    Again::Here(self, Instant::now() + pause)
                }
                Some(NoSession::Refused) => {
                    self.pool.refused(connection, *kind);
                    self.place = Place::Returned;
                    Again::Now
                }
                Some(NoSession::Broken) => {
                    self.pool.broken(connection, error);
                    tries.broken += 1;
                    if tries.broken >= MOST_BROKEN { Again::No } else { Again::Now }
                }
            },
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if let Place::Shared(connection, kind) = &self.place {
            self.pool.release(connection, *kind);
        }
    }
}
