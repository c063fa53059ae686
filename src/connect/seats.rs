//! The seats on the shared connections of one user to one host: who has a seat, and who waits for one.
//!
//! These are decisions only. The table has the lock, and the threads of the masters.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Sender;

use crate::connect::connection::Connection;
use crate::model::error::Error;

/// sshd's default for MaxSessions: how many sessions it allows on one connection.
const USUAL_SESSIONS: usize = 10;
/// With fewer sessions, none would be left for processes beside the connection's own session and a short script.
const FEWEST_SESSIONS: usize = 3;

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A process, or another session that lasts.
    Long,
    /// A short script, which ends by itself.
    Short,
}

/// The connections of one user to one host, their seats, and the queue of waiters.
pub(crate) struct HostSeats {
    /// Until when the connections are not shared, because sharing has failed.
    pub not_shared_until: Option<Instant>,
    /// How many sessions sshd allows on a connection, as far as is known.
    pub sessions: usize,
    pub connections: Vec<Entry>,
    pub queue: VecDeque<Waiter>,
}

/// One connection and its seats.
pub(crate) struct Entry {
    pub connection: Arc<Connection>,
    pub state: EntryState,
    /// How many sessions it can carry beside its own.
    pub most: usize,
    /// How many long sessions it carries.
    pub long: usize,
    /// How many short sessions it carries.
    pub short: usize,
    /// No session on it has ended yet, so sshd counts the same sessions as this entry. Later sshd may count more: it
    /// counts a session whose client was killed until the wrapper has ended.
    pub untouched: bool,
    /// A session has begun on it, so sharing works.
    pub proven: bool,
    /// Since when it has carried no session, if it carries none.
    pub unused_since: Instant,
    /// When its login is late, so that new waiters do not count on it.
    pub late_at: Option<Instant>,
}

/// The state of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryState {
    /// It waits for a permit to log in.
    Queued,
    /// It logs in.
    Connecting,
    /// It carries sessions.
    Open,
    /// It gets no further sessions.
    Broken,
}

/// A caller that waits for a seat.
pub(crate) struct Waiter {
    pub id: u64,
    pub kind: Kind,
    /// Has room for one [`Offer::Recheck`] and one other offer.
    pub offers: Sender<Offer>,
}

/// What a waiter gets.
pub(crate) enum Offer {
    /// The waiter is to check whether it is cancelled, and waits on if not.
    Recheck,
    /// A seat on this connection.
    Seat(Arc<Connection>),
    /// The host's connections are not shared: the waiter logs in by itself.
    Own,
    /// The connection that the waiter needed has failed.
    Failed(Error),
}

impl Waiter {
    /// Sends an offer, which must not be [`Offer::Recheck`], to a waiter that was taken from the queue.
    pub(crate) fn offer(&self, offer: Offer) {
        // There is room, because a waiter gets one such offer in all.
        let _ = self.offers.try_send(offer);
    }
}

impl Default for HostSeats {
    fn default() -> HostSeats {
        HostSeats { not_shared_until: None, sessions: USUAL_SESSIONS, connections: Vec::new(), queue: VecDeque::new() }
    }
}

impl HostSeats {
    /// Returns how many sessions of a connection can be long.
    fn most_long(&self) -> usize {
        self.sessions.saturating_sub(2)
    }

    /// Returns how many waiters will find no seat on the connections that are being opened.
    pub(crate) fn excess(&self) -> usize {
        let now = Instant::now();
        let in_time = |entry: &&Entry| entry.is_coming() && entry.late_at.is_none_or(|late| now < late);
        let coming = self.connections.iter().filter(in_time).count();
        // With 0, sshd allows too few sessions, and these connections will soon not be shared.
        self.queue.len().saturating_sub(coming * self.most_long().max(1))
    }

    /// Returns whether the connection is one of these.
    pub(crate) fn has(&self, connection: &Connection) -> bool {
        self.connections.iter().any(|entry| entry.connection.id == connection.id)
    }

    /// Returns the entry of a connection.
    pub(crate) fn entry(&mut self, connection: &Connection) -> Option<&mut Entry> {
        self.connections.iter_mut().find(|entry| entry.connection.id == connection.id)
    }

    /// Adds a connection, which waits for a permit.
    pub(crate) fn add(&mut self, connection: &Arc<Connection>) {
        self.connections.push(Entry::new(Arc::clone(connection), self.sessions - 1));
    }

    /// Removes a connection.
    pub(crate) fn remove(&mut self, connection: &Connection) {
        self.connections.retain(|entry| entry.connection.id != connection.id);
    }

    /// Takes a free seat, if there is one, and returns its connection.
    pub(crate) fn take_seat(&mut self, kind: Kind) -> Option<Arc<Connection>> {
        let (sessions, most_long) = (self.sessions, self.most_long());
        let entry = self.connections.iter_mut().find(|entry| entry.has_room(kind, sessions, most_long))?;
        match kind {
            Kind::Long => entry.long += 1,
            Kind::Short => entry.short += 1,
        }
        Some(Arc::clone(&entry.connection))
    }

    /// Notes that sshd has refused a session on a connection, and takes its seat back. Returns how many sessions sshd
    /// allows, if the refusal taught that.
    pub(crate) fn refuse(&mut self, connection: &Connection, kind: Kind) -> Option<usize> {
        let entry = self.entry(connection)?;
        entry.let_go(kind);
        entry.most = entry.most.min(entry.long + entry.short);
        let sessions = entry.most + 1;
        let is_new = entry.untouched && sessions < self.sessions;
        if is_new {
            self.sessions = sessions;
        }
        is_new.then_some(sessions)
    }

    /// Empties the queue: the waiters log in by themselves.
    pub(crate) fn stop_waiting(&mut self) {
        for waiter in self.queue.drain(..) {
            waiter.offer(Offer::Own);
        }
    }

    /// Returns whether sshd allows enough sessions on a connection to share it.
    pub(crate) fn shares(&self) -> bool {
        self.sessions >= FEWEST_SESSIONS
    }

    /// Returns whether new sessions share connections now.
    pub(crate) fn shares_now(&self) -> bool {
        self.shares() && self.not_shared_until.is_none_or(|until| until <= Instant::now())
    }

    /// Gives the free seats to the waiters that have waited longest.
    pub(crate) fn give_out(&mut self) {
        let mut at = 0;
        while at < self.queue.len() {
            match self.take_seat(self.queue[at].kind) {
                Some(connection) => {
                    if let Some(waiter) = self.queue.remove(at) {
                        waiter.offer(Offer::Seat(connection));
                    }
                }
                // There may be a seat for a short script that waits behind long sessions.
                None if self.queue[at].kind == Kind::Long => match self.next_short(at) {
                    Some(short) => at = short,
                    None => return,
                },
                None => return,
            }
        }
    }

    /// Returns the place in the queue of the first short session from this place on.
    fn next_short(&self, from: usize) -> Option<usize> {
        self.queue.iter().skip(from).position(|waiter| waiter.kind == Kind::Short).map(|at| from + at)
    }
}

impl Entry {
    /// Returns the entry of a connection that waits for a permit.
    pub(crate) fn new(connection: Arc<Connection>, most: usize) -> Entry {
        Entry {
            connection,
            state: EntryState::Queued,
            most,
            long: 0,
            short: 0,
            untouched: true,
            proven: false,
            unused_since: Instant::now(),
            late_at: None,
        }
    }

    /// Returns whether the connection is being opened.
    pub(crate) fn is_coming(&self) -> bool {
        matches!(self.state, EntryState::Queued | EntryState::Connecting)
    }

    /// Returns whether the connection carries no session but its own.
    pub(crate) fn is_unused(&self) -> bool {
        self.long + self.short == 0
    }

    /// Returns whether the connection has a free seat for a session of this kind.
    pub(crate) fn has_room(&self, kind: Kind, sessions: usize, most_long: usize) -> bool {
        self.state == EntryState::Open
            && self.long + self.short < self.most.min(sessions - 1)
            && (kind == Kind::Short || self.long < most_long)
            && self.connection.answers()
    }

    /// Returns whether the connection is open and a session on it has ended, which sshd may still count.
    pub(crate) fn is_touched(&self) -> bool {
        self.state == EntryState::Open && !self.untouched
    }

    /// Notes that a session has ended.
    pub(crate) fn release(&mut self, kind: Kind) {
        self.untouched = false;
        self.let_go(kind);
    }

    fn let_go(&mut self, kind: Kind) {
        match kind {
            Kind::Long => self.long -= 1,
            Kind::Short => self.short -= 1,
        }
        self.unused_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::destination::Destination;
    use crate::model::options::Options;
    use crate::remote::lease::Lease;
    use crossbeam_channel::{Receiver, bounded};

    fn host() -> (HostSeats, u64) {
        (HostSeats::default(), 0)
    }

    /// Adds a connection in this state, whose last tick came in time.
    fn add(host: &mut HostSeats, id: u64, state: EntryState) -> Arc<Connection> {
        let connection = Arc::new(Connection::new(id, Destination { host: "h".to_owned(), user: None }));
        connection.ticked(Lease::of(&Options::new()));
        host.add(&connection);
        host.entry(&connection).unwrap().state = state;
        connection
    }

    fn wait(host: &mut HostSeats, kind: Kind) -> Receiver<Offer> {
        let (sender, offers) = bounded(2);
        let id = host.queue.len() as u64;
        host.queue.push_back(Waiter { id, kind, offers: sender });
        offers
    }

    fn has_seat(offers: &Receiver<Offer>) -> bool {
        matches!(offers.try_recv(), Ok(Offer::Seat(_)))
    }

    #[test]
    fn a_connection_has_eight_long_seats_and_one_for_a_short_script() {
        let (mut host, _) = host();
        add(&mut host, 1, EntryState::Open);
        let long = std::iter::from_fn(|| host.take_seat(Kind::Long)).count();
        let short = std::iter::from_fn(|| host.take_seat(Kind::Short)).count();
        assert_eq!((long, short), (8, 1));
    }

    #[test]
    fn a_further_connection_is_needed_only_for_what_will_not_fit() {
        let (mut host, _) = host();
        let _answers: Vec<_> = (0..17).map(|_| wait(&mut host, Kind::Long)).collect();
        assert_eq!(host.excess(), 17);
        add(&mut host, 1, EntryState::Queued);
        add(&mut host, 2, EntryState::Connecting);
        assert_eq!(host.excess(), 1);
        add(&mut host, 3, EntryState::Queued);
        assert_eq!(host.excess(), 0);
    }

    #[test]
    fn free_seats_go_to_those_who_have_waited_longest() {
        let (mut host, _) = host();
        let waiters: Vec<_> = (0..9).map(|_| wait(&mut host, Kind::Long)).collect();
        let script = wait(&mut host, Kind::Short);
        add(&mut host, 1, EntryState::Open);
        host.give_out();
        assert!(waiters[..8].iter().all(has_seat) && !has_seat(&waiters[8]) && has_seat(&script));
        assert_eq!(host.queue.len(), 1);
    }

    #[test]
    fn a_connection_that_hangs_gives_no_seats() {
        let (mut host, _) = host();
        let connection = add(&mut host, 1, EntryState::Open);
        connection.end("as if".to_owned());
        assert!(host.take_seat(Kind::Long).is_none());
    }

    #[test]
    fn a_refusal_teaches_how_many_sessions_the_host_allows() {
        for allowed in 1..9 {
            let (mut host, _) = host();
            let connection = add(&mut host, 1, EntryState::Open);
            while host.take_seat(Kind::Long).is_some() {}
            // The connection's own session is one of those that are allowed.
            let learned: Vec<_> = (allowed..9).map(|_| host.refuse(&connection, Kind::Long)).collect();
            assert_eq!(learned.last().copied().flatten(), Some(allowed), "{learned:?}");
            assert_eq!((host.sessions, host.shares()), (allowed, allowed >= 3));
            let next = add(&mut host, 2, EntryState::Open);
            let seats = std::iter::from_fn(|| host.take_seat(Kind::Long)).filter(|seat| seat.id == next.id).count();
            assert_eq!(seats, allowed.saturating_sub(2));
        }
    }

    #[test]
    fn a_refusal_while_sshd_may_still_count_a_session_that_ended_teaches_nothing_of_the_host() {
        let (mut host, _) = host();
        let connection = add(&mut host, 1, EntryState::Open);
        while host.take_seat(Kind::Long).is_some() {}
        host.entry(&connection).unwrap().release(Kind::Long);
        host.take_seat(Kind::Long).unwrap();
        assert_eq!(host.refuse(&connection, Kind::Long), None);
        assert_eq!(host.sessions, USUAL_SESSIONS);
        // But the connection gets no further sessions for now.
        assert!(host.take_seat(Kind::Long).is_none());
    }
}
