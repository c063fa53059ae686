//! The thread of one process: it connects, reads the reports, changes the state and tells of it, until the ssh client is
//! reaped.

use std::mem::{self, Discriminant};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use crate::case::{AttachOutcome, Case, Remains, Remote};
use crate::channel::{Channel, Purpose};
use crate::client::Lifeline;
use crate::error::{Error, LauncherFailure, Result, SshFailure, StartStage};
use crate::event::EventKind;
use crate::exit_status::ClientEnd;
use crate::gate::Retry;
use crate::inquiry::{self, INQUIRY_TIMEOUT};
use crate::lease::SilentCut;
use crate::output::Tail;
use crate::pool::NoSeat;
use crate::process::Process;
use crate::remote::{self, Place};
use crate::seat::{Again, Seat, Tries};
use crate::seats::Kind;
use crate::seconds;
use crate::shared::Shared;
use crate::state::{Input, State};
use crate::sys;
use crate::wrapper;

/// A kept process gets a new link at once where the one that broke took and lasted this long.
const STEADY: Duration = Duration::from_secs(30);

/// The thread of one process.
struct Watcher {
    case: Case,
    /// Between links that did not last.
    pauses: Retry,
}

/// How all attempts to get a link ended.
enum AttachEnd {
    /// There was one, which has ended for this reason.
    Linked(Error),
    Refused,
    Gone,
    /// The host has not answered in the time that the options allow.
    GivenUp,
    /// The manager lets go.
    Released,
}

/// Watches a process from its connection to its end. The predecessors had the same uuid. One that is adopted is there already.
pub(crate) fn watch(
    process: Arc<Process>,
    predecessors: &[Arc<Process>],
    shared: Arc<Shared>,
    adopted: Option<Remote>,
) {
    process.set_pids(|pids| pids.client_monitoring = Some(sys::thread_id()));
    let _watch = Watch(Arc::clone(&process));
    let mut watcher = Watcher { case: Case::new(process, shared, adopted), pauses: Retry::for_ever() };
    // A panic must not leave callers waiting for ever: a host's logger, which runs here, can be what panics.
    let run = || {
        watcher.wait_for_predecessors(predecessors);
        if watcher.case.remote.is_none() {
            watcher.start();
        }
        while watcher.case.process.state() == State::LinkLost {
            if watcher.gets_new_link() { watcher.restore_link() } else { inquiry::learn_end(&watcher.case) }
        }
        watcher.clear_remains();
    };
    if panic::catch_unwind(AssertUnwindSafe(run)).is_err() {
        watcher.case.settle_after_panic();
    }
}

/// Ends the watch of a process when dropped, also by a panic.
struct Watch(Arc<Process>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.end_watch();
    }
}

impl Watcher {
    /// A former wrapper of this uuid may still clean up: it removes the metadata file when it has looked that this is its
    /// own, and what replaced it in between would go with it.
    fn wait_for_predecessors(&self, predecessors: &[Arc<Process>]) {
        let (sender, changes) = bounded(1);
        let observed = predecessors.iter().chain([&self.case.process]);
        let _observations: Vec<_> = observed.map(|process| process.observe(sender.clone())).collect();
        let has_session = |predecessor: &Arc<Process>| predecessor.is_watched() && predecessor.lifeline().is_some();
        while predecessors.iter().any(has_session) && self.case.process.state() == State::Connecting {
            let is_over = match self.case.start.deadline {
                Some(deadline) => changes.recv_deadline(deadline).is_err(),
                None => changes.recv().is_err(),
            };
            if is_over {
                return;
            }
        }
    }

    fn start(&mut self) {
        let process = Arc::clone(&self.case.process);
        let cancelled = || process.state() != State::Connecting;
        match self.run_channel(Purpose::Start, self.case.start.deadline, &cancelled) {
            Ok(error) | Err(NoSeat::Failed(error)) => self.case.settle_client_ended(&error),
            Err(NoSeat::Cancelled) => self.end_without_client(),
            Err(NoSeat::TimedOut(stage)) => {
                self.case.start.stage = stage;
                self.end_without_client();
            }
        }
    }

    /// Has one session on the host, and runs it to its end; sessions that did not begin are tried again where that can help. Gives what
    /// ssh said of its end.
    fn run_channel(
        &mut self,
        purpose: Purpose,
        mut deadline: Option<Instant>,
        cancelled: &dyn Fn() -> bool,
    ) -> std::result::Result<Error, NoSeat> {
        let shared = Arc::clone(&self.case.shared);
        let process = Arc::clone(&self.case.process);
        let mut tries = Tries::new(shared.options().connect_timeout);
        let mut kept = None;
        loop {
            let mut seat = match kept.take() {
                Some(seat) => seat,
                None => shared.pool.seat(&process.target(), Kind::Long, deadline, cancelled)?,
            };
            if purpose == Purpose::Start {
                self.begin_timing();
                deadline = self.case.start.deadline;
            }
            let error = self.run_client(purpose, &mut seat).err().unwrap_or_else(|| self.case.diagnose());
            // A client that was ended on purpose is not to come back.
            let was_ended = cancelled() || process.client_killed_as().is_some();
            let again = if was_ended { Again::No } else { seat.after(&error, &mut tries) };
            match again {
                Again::Now => log::debug!("{}: {error}; on another connection", process.uuid()),
                Again::Here(seat, time) => {
                    log::debug!("{}: {error}; again on this connection", process.uuid());
                    if shared.pool.gate().pause(time, cancelled) {
                        kept = Some(seat);
                    }
                }
                Again::At(time) => {
                    log::debug!("{}: {error}; trying again", process.uuid());
                    shared.pool.gate().pause(time, cancelled);
                }
                Again::No => return Ok(error),
            }
        }
    }

    /// The time of a start counts anew from its session: the login shell's start-up files run for a shared connection,
    /// and once more for each session on it.
    fn begin_timing(&mut self) {
        self.case.start.waited = self.case.process.started_at.elapsed();
        self.case.start.deadline = sys::deadline(self.case.process.request.start_timeout);
    }

    /// No turn to connect came: the start was cancelled or its time is over.
    fn end_without_client(&mut self) {
        if self.case.process.state() == State::Connecting {
            self.case.process.take(Input::StartTimeout);
        }
        let error = self.case.start_error(self.case.timed_out());
        self.case.settle_client_ended(&error);
    }

    /// Whether a lost process gets a new link. One whose start was taken back does not, nor one whose pid was never reported.
    fn gets_new_link(&self) -> bool {
        let is_closed = matches!(self.case.link.state_at_loss, State::Closing | State::TimingOut);
        self.case.process.is_kept() && self.case.remote.is_some() && !is_closed
    }

    /// Runs one ssh client to its end. An error is a local one: nothing was started.
    fn run_client(&mut self, purpose: Purpose, seat: &mut Seat) -> Result<()> {
        let request = &self.case.process.request;
        let nonce = remote::nonce()?;
        let options = self.case.shared.options();
        // A shared connection has a lease of its own.
        let lease = match seat.connection() {
            Some(_) => SilentCut::Connection,
            None => SilentCut::of(&self.case.process.launcher, options),
        };
        let (instance, manager) = (&self.case.process.instance, &self.case.shared.name);
        let line = match purpose {
            Purpose::Start => wrapper::start_line(&nonce, instance, request, manager, lease),
            Purpose::Attach => {
                let grace = seconds::whole_seconds(request.grace).saturating_add(2);
                wrapper::attach_line(&nonce, instance, grace, manager, self.case.spool.positions(), lease)
            }
        };
        let mut client =
            remote::spawn(&self.case.shared.pool, options, &seat.route(), &self.case.process.target(), line)?;
        let lifeline = Arc::clone(client.lifeline());
        self.case.process.set_pids(|pids| pids.ssh_client = Some(lifeline.client_pid().into()));
        self.case.process.set_lifeline(Some(Arc::clone(&lifeline)));
        // A kill that came before the lifeline was there could not close it.
        let is_over = match purpose {
            Purpose::Start => self.case.process.state() != State::Connecting,
            Purpose::Attach => self.case.process.is_released(),
        };
        if is_over {
            lifeline.cut();
            lifeline.kill_client();
        }
        // Behind the client, so it is dropped before it: a good-bye would end what is kept.
        let _cut = self.case.process.is_kept().then(|| CutOnDrop(lifeline));
        self.case.start.stage = match seat.connection() {
            // ssh has logged in.
            Some(_) => StartStage::StartUpFiles,
            None => StartStage::Connecting,
        };
        self.case.client.diagnosis = Tail::default();
        let end = Channel::new(&mut self.case, purpose, nonce, seat).run(&mut client);
        self.case.spool.begin_again();
        self.case.process.set_lifeline(None);
        self.case.process.set_pids(|pids| pids.ssh_client = None);
        self.case.client.end = end?;
        // ssh's code for a connection that broke.
        let has_lost = self.case.client.end == ClientEnd::Seen(255);
        self.case.client.connection_end = seat.connection().and_then(|connection| connection.why_ended(has_lost));
        Ok(())
    }

    /// Gives a kept process whose link was lost a new one, which lasts until it breaks in its turn. Pauses after a link that
    /// did not last: each costs a login and two events.
    fn restore_link(&mut self) {
        let began = Instant::now();
        let end = self.attach();
        if let AttachEnd::Linked(error) = end {
            self.case.settle_client_ended(&error);
            if began.elapsed() > STEADY {
                self.pauses = Retry::for_ever();
            } else if let Some(next) = self.pauses.next_try().filter(|_| self.case.process.state() == State::LinkLost) {
                self.case.shared.pool.gate().pause(next, || self.case.process.is_released());
            }
            return;
        }
        // A host may have given a link and then refused it.
        self.case.process.take(Input::ClientEnded);
        match end {
            AttachEnd::Refused => self.case.settle_taken_over(),
            // The process was there when the host was asked for it, and only its manager removes it.
            AttachEnd::Gone if self.case.link.is_adopting => self.case.settle_taken_over(),
            AttachEnd::Linked(_) | AttachEnd::Gone | AttachEnd::GivenUp => inquiry::give_up(&self.case),
            AttachEnd::Released => self.case.settle_released(),
        }
    }

    /// Has the host remove what it keeps of a process whose exit the program has taken, if the link broke before it could.
    fn clear_remains(&mut self) {
        let process = Arc::clone(&self.case.process);
        let mut retry = Retry::for_ever();
        while self.case.remains == Remains::OnHost && self.wait_for_acknowledgement() {
            match self.attach() {
                // That link can have broken, too.
                AttachEnd::Linked(_) => {
                    let Some(next) = retry.next_try().filter(|_| self.case.remains == Remains::OnHost) else { return };
                    self.case.shared.pool.gate().pause(next, || process.is_released());
                }
                // There is nothing any more, or another manager has it, or this one lets go.
                AttachEnd::Gone | AttachEnd::Refused | AttachEnd::Released => return,
                AttachEnd::GivenUp => {
                    log::warn!("{}: its host still keeps its output and how it ended", self.case.describe());
                    return;
                }
            }
        }
    }

    /// False when the manager lets go: the next one adopts the process, and learns of its exit.
    fn wait_for_acknowledgement(&self) -> bool {
        let (sender, changes) = bounded(1);
        let _observation = self.case.process.observe(sender);
        while !self.case.process.is_acknowledged() && !self.case.process.is_released() {
            // The observation holds a sender, so this fails never.
            let _ = changes.recv();
        }
        !self.case.process.is_released()
    }

    /// Asks the host for a link to a kept process until it answers. Returns when that link has ended.
    fn attach(&mut self) -> AttachEnd {
        let process = Arc::clone(&self.case.process);
        let released = || process.is_released();
        let until = sys::deadline(self.case.shared.options().restore_timeout);
        let mut retry = Retry::for_ever();
        let mut announced = None;
        loop {
            self.case.link.attach_outcome = AttachOutcome::NoAnswer;
            let connect = self.case.shared.options().connect_timeout.saturating_add(INQUIRY_TIMEOUT);
            let result = self.run_channel(Purpose::Attach, sys::deadline(connect), &released);
            let error = match (self.case.link.attach_outcome, result) {
                _ if released() => return AttachEnd::Released,
                (AttachOutcome::Linked, Ok(error)) => return AttachEnd::Linked(error),
                (AttachOutcome::Refused, _) => return AttachEnd::Refused,
                (AttachOutcome::Gone, _) => return AttachEnd::Gone,
                (_, Ok(error) | Err(NoSeat::Failed(error))) => error,
                (_, Err(NoSeat::Cancelled)) => return AttachEnd::Released,
                (_, Err(NoSeat::TimedOut(_))) => remote::timed_out(&Place { target: process.target(), deadline: None }),
            };
            // Once for each reason: it is tried for ever.
            let reason = kind_of(&error);
            if !process.state().is_settled() && announced.replace(reason) != Some(reason) {
                log::warn!("{}: the link is not restored: {error}", self.case.describe());
                self.case.announce(EventKind::LinkNotRestored { error });
            }
            let Some(next) = retry.next_try() else { return AttachEnd::GivenUp };
            if until.is_some_and(|until| until <= next) {
                return AttachEnd::GivenUp;
            }
            self.case.shared.pool.gate().pause(next, released);
        }
    }
}

/// Has a session that an error or a panic ends say nothing more.
struct CutOnDrop(Arc<Lifeline>);

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        self.0.cut();
    }
}

/// What kind of failure it is, as far as it makes a difference to who is told.
fn kind_of(error: &Error) -> (Discriminant<Error>, Option<Discriminant<SshFailure>>, Option<LauncherFailure>) {
    let (ssh, other) = match error {
        Error::Ssh { failure, .. } => (Some(mem::discriminant(failure)), None),
        Error::Launcher { failure, .. } => (None, Some(*failure)),
        _ => (None, None),
    };
    (mem::discriminant(error), ssh, other)
}
