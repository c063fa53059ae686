//! The pool of a manager's shared connections: hands out seats, and opens connections for them.
//!
//! The sshd of a host allows a limited number of sessions on one connection (MaxSessions, 10 by default). One of them
//! is the connection's own, one is reserved for short scripts, and the rest carry processes and other long sessions. A
//! caller for whom there is no free seat waits in a queue. The pool opens another connection only for waiters who will
//! find no seat on the connections that are being opened. It learns a host's limit from sshd's refusals, and remembers
//! it.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::connect::master;
use crate::connect::seat::{Retry, Seat, Tries};
use crate::connect::seats::{Kind, Offer};
use crate::connect::table::{ConnectionTable, SeatRequest};
use crate::launch::ssh_version::Version;
use crate::launch::target::Target;
use crate::model::destination::Destination;
use crate::model::error::{Error, StartStage};
use crate::model::options::Options;

/// Why a caller gets no seat.
pub(crate) enum NoSeat {
    /// The deadline came while the host's connection was at this stage.
    TimedOut(StartStage),
    /// The caller has cancelled its request.
    Cancelled,
    /// The connection failed.
    Failed(Error),
}

/// The shared connections of a manager.
pub(crate) struct Pool {
    table: Arc<ConnectionTable>,
}

impl Pool {
    /// Returns a pool without connections. Starts nothing.
    pub(crate) fn new(options: Options) -> Pool {
        Pool { table: Arc::new(ConnectionTable::new(options)) }
    }

    /// Returns the manager's options.
    pub(crate) fn options(&self) -> &Options {
        self.table.options()
    }

    /// Returns ssh's version. Asks ssh for it the first time, which blocks for some milliseconds, or for 4 s if ssh
    /// does not answer.
    pub(crate) fn ssh_version(&self) -> Option<Version> {
        self.table.ssh_version()
    }

    /// Waits until this time, or until `cancelled` returns true, and returns false in that case. Whoever makes it
    /// return true calls [`Pool::wake`].
    pub(crate) fn pause(&self, until: Instant, cancelled: impl Fn() -> bool) -> bool {
        self.table.limiter().pause(until, cancelled)
    }

    /// Makes all callers that wait check whether they are cancelled.
    pub(crate) fn wake(&self) {
        self.table.wake();
    }

    /// Closes the unused connections, and waits for that until the deadline. The others close with their last sessions.
    pub(crate) fn close(&self, deadline: Instant) {
        self.table.close(deadline);
    }

    /// Waits for a seat for a session of this kind, until the deadline or until `cancelled` returns true. Whoever makes
    /// it return true calls [`Pool::wake`]. The seat is on a shared connection where connections are shared.
    pub(crate) fn seat(
        &self,
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
        let offer = match self.table.request_seat(destination, kind) {
            SeatRequest::Offered(offer) => offer,
            SeatRequest::Queued(id, offers) => {
                master::open_connections(&self.table, destination);
                self.wait(destination, kind, id, &offers, deadline, cancelled)?
            }
        };
        match offer {
            Offer::Seat(connection) => Ok(Seat::shared(&self.table, connection, kind)),
            Offer::Failed(error) => Err(NoSeat::Failed(error)),
            Offer::Own | Offer::Recheck => self.own_seat(target.host, deadline, cancelled),
        }
    }

    /// Waits for the seat of a session that logs in by itself. Takes the deadline and `cancelled` as [`Pool::seat`]
    /// does.
    pub(crate) fn own_seat(
        &self,
        host: &str,
        deadline: Option<Instant>,
        cancelled: &dyn Fn() -> bool,
    ) -> std::result::Result<Seat<'_>, NoSeat> {
        match self.table.limiter().wait_for_permit(host, deadline, cancelled) {
            Some(permit) => Ok(Seat::own(&self.table, permit)),
            None if cancelled() => Err(NoSeat::Cancelled),
            None => Err(NoSeat::TimedOut(StartStage::Queued)),
        }
    }

    /// Waits for an offer to the waiter with this number.
    fn wait(
        &self,
        destination: &Destination,
        kind: Kind,
        id: u64,
        offers: &Receiver<Offer>,
        deadline: Option<Instant>,
        cancelled: &dyn Fn() -> bool,
    ) -> std::result::Result<Offer, NoSeat> {
        let why = loop {
            if cancelled() {
                break NoSeat::Cancelled;
            }
            let offer = match deadline {
                Some(deadline) => offers.recv_deadline(deadline),
                None => offers.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match offer {
                Ok(Offer::Recheck) => {}
                Ok(offer) => return Ok(offer),
                Err(_) => break NoSeat::TimedOut(self.table.stage(destination)),
            }
        };
        self.table.leave(destination, id);
        // A seat that was offered meanwhile goes to the next waiter.
        while let Ok(offer) = offers.try_recv() {
            if let Offer::Seat(connection) = offer {
                drop(Seat::shared(&self.table, connection, kind));
            }
        }
        Err(why)
    }
}

/// The attempts to have one session on a host. A session that did not begin is tried again if that can help.
pub(crate) struct Attempts<'p> {
    pool: &'p Pool,
    /// Names their owner in log messages.
    name: &'p str,
    tries: Tries,
    /// The seat of the next attempt, if it is on the same connection as the last one.
    kept: Option<Seat<'p>>,
}

impl<'p> Attempts<'p> {
    /// Returns the attempts of an owner with this name, which log messages contain.
    pub(crate) fn new(pool: &'p Pool, name: &'p str) -> Attempts<'p> {
        Attempts { pool, name, tries: Tries::new(pool.options().connect_timeout), kept: None }
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

    /// Returns whether to try again after an attempt that ended with this error. If so, waits until it is time for
    /// that, or until `cancelled` returns true. If it was cancelled, the next call of [`Attempts::seat`] returns
    /// [`NoSeat::Cancelled`].
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
