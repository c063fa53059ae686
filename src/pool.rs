//! The shared connections of a manager: who gets a seat on which, and when one more is opened.
//!
//! A host's sshd allows a number of sessions on one connection (MaxSessions, 10 unless it says otherwise). One is the
//! connection's own, one is kept for short scripts, the rest carry processes and whatever else is long. Who finds no seat
//! waits in a queue; a further connection is opened only for those of it who will not fit on the ones that are coming. A
//! refusal teaches the host's number, once and for all.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::destination::Destination;
use crate::error::{Error, StartStage};
use crate::master;
use crate::options::Options;
use crate::seat::{Retry, Seat, Tries};
use crate::seats::{Kind, Offer};
use crate::ssh_version::Version;
use crate::table::{ConnectionTable, SeatRequest};
use crate::target::Target;

/// Why there is no seat.
pub(crate) enum NoSeat {
    /// The deadline came, while the host's connection was at this stage.
    TimedOut(StartStage),
    Cancelled,
    Failed(Error),
}

/// All shared connections of a manager.
pub(crate) struct Pool {
    table: Arc<ConnectionTable>,
}

impl Pool {
    pub(crate) fn new(options: Options) -> Pool {
        Pool { table: Arc::new(ConnectionTable::new(options)) }
    }

    pub(crate) fn options(&self) -> &Options {
        self.table.options()
    }

    /// Returns ssh's version. Asks ssh for it the first time, which blocks for some milliseconds.
    pub(crate) fn ssh_version(&self) -> Option<Version> {
        self.table.ssh_version()
    }

    /// Waits until the time, or until `cancelled`, and returns false in that case. Whoever makes that true calls
    /// [`Pool::wake`].
    pub(crate) fn pause(&self, until: Instant, cancelled: impl Fn() -> bool) -> bool {
        self.table.limiter().pause(until, cancelled)
    }

    /// Makes all who wait look whether they are cancelled.
    pub(crate) fn wake(&self) {
        self.table.wake();
    }

    /// Closes what nobody uses, and the rest with its last session. Waits for the former until the deadline.
    pub(crate) fn close(&self, deadline: Instant) {
        self.table.close(deadline);
    }

    /// Waits for a seat, until the deadline or until `cancelled`: whoever makes that true calls [`Pool::wake`].
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

    /// A connection of its own, which is made with its session.
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
        // What was given in the meantime goes to the next one.
        while let Ok(offer) = offers.try_recv() {
            if let Offer::Seat(connection) = offer {
                drop(Seat::shared(&self.table, connection, kind));
            }
        }
        Err(why)
    }
}

/// The attempts to have one session on a host: those that did not begin are repeated where that can help.
pub(crate) struct Attempts<'p> {
    pool: &'p Pool,
    /// Whose they are, in log messages.
    name: &'p str,
    tries: Tries,
    /// The seat of the next attempt, if it stays on its connection.
    kept: Option<Seat<'p>>,
}

impl<'p> Attempts<'p> {
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

    /// Waits until the next attempt after one that ended with this error, or until `cancelled`, which the next
    /// [`Attempts::seat`] reports. Returns whether there is to be one.
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
