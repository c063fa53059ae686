//! The thread of one process, from its start or adoption to its end.
//!
//! A watcher waits for seats, runs one channel after another, restores the links of a kept process, and asks the host
//! how a process has ended whose link was lost. What it knows of the process is in its [`Case`].

use std::mem::{self, Discriminant};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use crate::connect::pool::{Attempts, NoSeat};
use crate::connect::retry::Backoff;
use crate::connect::seat::Seat;
use crate::connect::seats::Kind;
use crate::local::client::{Chunk, Lifeline};
use crate::local::sys;
use crate::model::error::{Error, LauncherFailure, Result, SshFailure, StartStage};
use crate::model::exit_status::ClientEnd;
use crate::model::output::Tail;
use crate::model::time;
use crate::remote::lease::SilentCut;
use crate::remote::nonce;
use crate::remote::report::NONCE_LENGTH;
use crate::remote::start;
use crate::watch::case::{AttachOutcome, Case, Remains, Remote};
use crate::watch::channel::{Channel, Purpose};
use crate::watch::event::EventKind;
use crate::watch::inquiry::{self, INQUIRY_TIMEOUT};
use crate::watch::process::Process;
use crate::watch::restarts::{Restarts, Verdict};
use crate::watch::shared::Shared;
use crate::watch::state::{Input, State};
use crate::watch::succession::{Heir, Succession};
use crate::watch::table::Place;

/// A kept process gets its next link without a pause if restoring and using the last one took longer than this.
const STEADY: Duration = Duration::from_secs(30);

/// The thread of one process.
struct Watcher {
    case: Case,
    /// The pauses between links that did not last.
    pauses: Backoff,
}

/// How all attempts to get a link ended.
enum AttachEnd {
    /// There was a link, which ended for this reason.
    Linked(Error),
    /// Another manager has a link.
    Refused,
    /// Nothing of the process is left on its host.
    Gone,
    /// The host has not answered within the restore timeout.
    GivenUp,
    /// The manager lets go.
    Released,
}

impl Shared {
    /// Adds a process to the table, and starts its watcher. `adopted` is the process on its host, if it is adopted.
    pub(crate) fn watch(
        self: &Arc<Shared>,
        process: Process,
        place: Place,
        adopted: Option<Remote>,
    ) -> Result<Arc<Process>> {
        if let Place::Free = place {
            // Most refusals cost no thread.
            self.table.admit(process.uuid())?;
        }
        // The thread first: so a process in the table always has one.
        let (sender, entered) = bounded::<(Arc<Process>, Vec<Arc<Process>>)>(1);
        let shared = Arc::clone(self);
        let run = move || {
            // It fails if the table has refused the process.
            if let Ok((process, predecessors)) = entered.recv() {
                watch(process, predecessors, shared, adopted);
            }
        };
        let thread = sys::spawn_thread("sshpm-watch", sys::SMALL_STACK, run)
            .map_err(|error| Error::local("starting a watcher thread", error))?;
        let (process, replaced) = match self.table.enter(process, place) {
            Ok(entered) => entered,
            Err(error) => {
                // Without a process, the thread only has to return.
                drop(sender);
                if thread.join().is_err() {
                    log::error!("a watcher without a process panicked");
                }
                return Err(error);
            }
        };
        if let Some(replaced) = replaced {
            replaced.acknowledge();
        }
        let predecessors = self.table.watched(process.uuid());
        // First the list: a later start of the uuid must find every process whose client can live.
        self.table.keep_watcher(Arc::clone(&process), thread);
        // The thread waits for this.
        let _ = sender.send((Arc::clone(&process), predecessors));
        Ok(process)
    }
}

/// Watches a process from its start or adoption to its end. Blocks until then. `predecessors` are the processes that
/// had this uuid before and whose watchers may not have ended; `adopted` is the application that an adopted process
/// already has.
pub(crate) fn watch(
    process: Arc<Process>,
    predecessors: Vec<Arc<Process>>,
    shared: Arc<Shared>,
    adopted: Option<Remote>,
) {
    process.set_pids(|pids| pids.client_monitoring = Some(sys::thread_id()));
    let _end = EndWatchOnDrop(Arc::clone(&process));
    let mut watcher = Watcher { case: Case::new(process, shared, adopted), pauses: Backoff::for_ever() };
    // A panic must not leave callers waiting for ever. The program's logger runs on this thread and can panic.
    let run = || {
        watcher.wait_for_predecessors(predecessors);
        if watcher.case.remote.is_none() {
            watcher.start();
        }
        while watcher.case.process.state() == State::LinkLost {
            if watcher.gets_new_link() { watcher.restore_link() } else { inquiry::learn_end(&watcher.case) }
        }
        watcher.clear_remains();
        watcher.restart();
    };
    if panic::catch_unwind(AssertUnwindSafe(run)).is_err() {
        watcher.case.settle_after_panic();
    }
}

/// Ends the watch of a process when dropped, also by a panic.
struct EndWatchOnDrop(Arc<Process>);

impl Drop for EndWatchOnDrop {
    fn drop(&mut self) {
        self.0.end_watch();
    }
}

impl Watcher {
    fn process(&self) -> &Arc<Process> {
        &self.case.process
    }

    /// Waits until no predecessor has a client, the start is cancelled or its time is over. The wrapper of a
    /// predecessor may still clean up: it checks that the metadata file is its own and then removes it, so a file that
    /// replaced it between the two would be removed too.
    fn wait_for_predecessors(&self, predecessors: Vec<Arc<Process>>) {
        let (sender, changes) = bounded(1);
        let observed = predecessors.iter().chain([self.process()]);
        let _observations: Vec<_> = observed.map(|process| process.observe(sender.clone())).collect();
        let has_client = |predecessor: &Arc<Process>| predecessor.is_watched() && predecessor.lifeline().is_some();
        while predecessors.iter().any(has_client) && self.process().state() == State::Connecting {
            let is_over = match self.case.start.deadline {
                Some(deadline) => changes.recv_deadline(deadline).is_err(),
                None => changes.recv().is_err(),
            };
            if is_over {
                return;
            }
        }
    }

    /// Starts the process, and returns when it is settled or its link is lost.
    fn start(&mut self) {
        let process = Arc::clone(self.process());
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

    /// Runs one channel to its end, and returns why its client ended. Tries again after a channel that did not begin,
    /// where that can help.
    fn run_channel(
        &mut self,
        purpose: Purpose,
        mut deadline: Option<Instant>,
        cancelled: &dyn Fn() -> bool,
    ) -> std::result::Result<Error, NoSeat> {
        let shared = Arc::clone(&self.case.shared);
        let process = Arc::clone(self.process());
        let mut attempts = Attempts::new(&shared.pool, process.uuid());
        loop {
            let mut seat = attempts.seat(&process.target(), Kind::Long, deadline, cancelled)?;
            if purpose == Purpose::Start {
                self.begin_timing();
                deadline = self.case.start.deadline;
            }
            let error = self.run_client(purpose, &mut seat).err().unwrap_or_else(|| self.case.diagnose());
            // A client that was ended on purpose must not come back.
            let was_ended = cancelled() || process.client_killed_as().is_some();
            if was_ended || !attempts.again(seat, &error, cancelled) {
                return Ok(error);
            }
        }
    }

    /// Begins the time of a start again with its channel: the start-up files of the login shell run for a shared
    /// connection, and once more for each channel on it.
    fn begin_timing(&mut self) {
        self.case.start.waited = self.process().started_at.elapsed();
        self.case.start.deadline = sys::deadline(self.process().request.start_timeout);
    }

    /// Settles a start that got no seat: it was cancelled, or its time is over.
    fn end_without_client(&mut self) {
        if self.process().state() == State::Connecting {
            self.process().take(Input::StartTimeout);
        }
        let error = self.case.start_error(self.case.timed_out());
        self.case.settle_client_ended(&error);
    }

    /// Returns whether a lost process gets a new link. A process whose start was taken back does not get one, nor does
    /// one whose pid was never reported.
    fn gets_new_link(&self) -> bool {
        let is_closed = matches!(self.case.link.state_at_loss, State::Closing | State::TimingOut);
        self.process().is_kept() && self.case.remote.is_some() && !is_closed
    }

    /// Runs one client to its end. An error says why it could not be started, or why its output could not be read.
    fn run_client(&mut self, purpose: Purpose, seat: &mut Seat) -> Result<()> {
        let Case { process, shared, .. } = &self.case;
        let nonce = nonce::generate()?;
        let line = self.script(purpose, &nonce, seat);
        let mut client = seat.spawn_client(shared.options(), &process.target(), line)?;
        let lifeline = Arc::clone(client.lifeline());
        process.set_pids(|pids| pids.ssh_client = lifeline.client_pid().map(i64::from));
        process.set_lifeline(Some(Arc::clone(&lifeline)));
        // A kill that came before the lifeline was there could not close it.
        let is_over = match purpose {
            Purpose::Start => process.state() != State::Connecting,
            Purpose::Attach => process.is_released(),
        };
        if is_over {
            lifeline.cut();
            lifeline.kill_client();
        }
        // Declared after the client, so that it is dropped first: the client's own drop says good-bye, and that would
        // end a kept process.
        let _cut = process.is_kept().then(|| CutOnDrop(lifeline));
        self.case.start.stage = match seat.connection() {
            // ssh has logged in.
            Some(_) => StartStage::StartUpFiles,
            None => StartStage::Connecting,
        };
        self.case.client.diagnosis = Tail::default();
        let end = Channel::new(&mut self.case, purpose, nonce, seat).run(&mut client);
        self.case.spool.link_ended();
        self.process().set_lifeline(None);
        self.process().set_pids(|pids| pids.ssh_client = None);
        self.case.client.end = end?;
        // ssh exits with 255 when its connection breaks.
        let has_lost = self.case.client.end == ClientEnd::Seen(255);
        self.case.client.connection_end = seat.connection().and_then(|connection| connection.why_ended(has_lost));
        Ok(())
    }

    /// Returns what a client writes to the shell on the host.
    fn script(&self, purpose: Purpose, nonce: &[u8; NONCE_LENGTH], seat: &Seat) -> Vec<Chunk> {
        let Case { process, shared, .. } = &self.case;
        let Process { instance, request, .. } = &**process;
        // A shared connection has a lease of its own.
        let lease = match seat.connection() {
            Some(_) => SilentCut::Connection,
            None => process.target().silent_cut(shared.options()),
        };
        match purpose {
            Purpose::Start => {
                let user = process.target().traits().runs_as_own_user.then(sys::user_name);
                start::start_line(nonce, instance, request, &shared.name, user.as_deref(), lease)
            }
            Purpose::Attach => {
                let grace = time::whole_seconds(request.grace).saturating_add(2);
                start::attach_line(nonce, instance, grace, &shared.name, self.case.spool.positions(), lease)
            }
        }
    }

    /// Restores the link of a kept process, and returns when that link has ended or the process is settled. Pauses
    /// after a link that did not last: each one costs a login and two events.
    fn restore_link(&mut self) {
        let began = Instant::now();
        let end = self.attach();
        if let AttachEnd::Linked(error) = end {
            self.case.settle_client_ended(&error);
            if began.elapsed() > STEADY {
                self.pauses = Backoff::for_ever();
            } else if let Some(next) = self.pauses.next_try().filter(|_| self.process().state() == State::LinkLost) {
                self.case.pause(next);
            }
            return;
        }
        // A host may have given a link and then refused it: then that link is lost, too.
        self.process().take(Input::ClientEnded);
        match end {
            AttachEnd::Refused => self.case.settle_taken_over(),
            // Its host listed the process before the adoption, and keeps an exit that nobody has taken: somebody else
            // has taken it, or removed it.
            AttachEnd::Gone if self.case.link.is_adopting => self.case.settle_taken_over(),
            AttachEnd::GivenUp => {
                // Its host may still run it. A call that restarts it learns that from the host.
                self.process().give_up_policy();
                inquiry::give_up(&self.case);
            }
            AttachEnd::Linked(_) | AttachEnd::Gone => inquiry::give_up(&self.case),
            AttachEnd::Released => self.case.settle_released(),
        }
    }

    /// Removes what the host keeps of a process whose exit the program has taken, if the link broke before the host
    /// could remove it.
    fn clear_remains(&mut self) {
        let mut retry = Backoff::for_ever();
        while self.case.remains == Remains::OnHost && self.wait_for_acknowledgement() {
            match self.attach() {
                // This link can have broken, too.
                AttachEnd::Linked(_) => {
                    let Some(next) = retry.next_try().filter(|_| self.case.remains == Remains::OnHost) else { return };
                    self.case.pause(next);
                }
                // Nothing is left, or another manager has the process, or this one lets go.
                AttachEnd::Gone | AttachEnd::Refused | AttachEnd::Released => return,
                AttachEnd::GivenUp => {
                    log::warn!("{}: its host still keeps its output and its exit", self.case.describe());
                    return;
                }
            }
        }
    }

    /// Restarts the process if its policy says so, unless a call cancels that.
    fn restart(&self) {
        let process = self.process();
        process.end_life();
        let Some(policy) = process.policy() else { return };
        let mut restarts = process.restarts.clone();
        let mut verdict = process.verdict();
        while let (Verdict::Restart { attempt, after }, Succession::Pausing) = (verdict, process.succession()) {
            self.case.announce_restart(attempt, after);
            if !self.wait_for_restart(after) {
                return;
            }
            restarts = restarts.and_one_at(policy, Instant::now());
            match self.start_next_life(restarts.clone()) {
                Ok(()) | Err(Error::NotRestarted { .. } | Error::ShutDown) => return,
                // This machine gave no thread. The next attempt may get one.
                Err(error) => log::error!("{}: restart {attempt} failed: {error}", self.case.describe()),
            }
            let Some(outcome) = process.outcome() else { return };
            verdict = restarts.judge(policy, &outcome, Instant::now());
        }
        if verdict == Verdict::LimitReached && process.give_up_policy() {
            self.case.announce_restart_limit(policy);
        }
    }

    /// Waits until the pause before a restart is over. Returns false if a call has cancelled the restart.
    fn wait_for_restart(&self, after: Duration) -> bool {
        let due = sys::deadline(after);
        let (sender, changes) = bounded(1);
        let _observation = self.process().observe(sender);
        while self.process().succession() == Succession::Pausing {
            match due {
                Some(due) => {
                    if changes.recv_deadline(due).is_err() {
                        return true;
                    }
                }
                // The observation holds a sender, so this cannot fail.
                None => drop(changes.recv()),
            }
        }
        false
    }

    /// Starts the next life of the process.
    fn start_next_life(&self, restarts: Restarts) -> Result<()> {
        let Some(next) = self.process().next_life(restarts) else { return Ok(()) };
        self.case.shared.watch(next?, Place::After(self.process(), Heir::Policy), None).map(drop)
    }

    /// Waits until the program has taken the exit. Returns false if the manager lets go first: the next manager then
    /// adopts the process and gets its exit.
    fn wait_for_acknowledgement(&self) -> bool {
        let (sender, changes) = bounded(1);
        let _observation = self.process().observe(sender);
        while !self.process().is_acknowledged() && !self.process().is_released() {
            // The observation holds a sender, so this cannot fail.
            let _ = changes.recv();
        }
        !self.process().is_released()
    }

    /// Asks the host for a link to a kept process until it answers. If it gives a link, returns when that has ended.
    fn attach(&mut self) -> AttachEnd {
        let process = Arc::clone(self.process());
        let released = || process.is_released();
        let until = sys::deadline(self.case.shared.options().restore_timeout);
        let mut retry = Backoff::for_ever();
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
                (_, Err(NoSeat::TimedOut(_))) => process.target().timed_out(),
            };
            // Only when the reason changes: the attempts may go on for ever.
            let reason = kind_of(&error);
            if !process.state().is_settled() && announced.replace(reason) != Some(reason) {
                log::warn!("{}: the link is not restored: {error}", self.case.describe());
                self.case.announce(EventKind::LinkNotRestored { error });
            }
            let Some(next) = retry.next_try() else { return AttachEnd::GivenUp };
            if until.is_some_and(|until| until <= next) {
                return AttachEnd::GivenUp;
            }
            self.case.pause(next);
        }
    }
}

/// Cuts a lifeline when dropped, so that a channel which an error or a panic ends says no good-bye.
struct CutOnDrop(Arc<Lifeline>);

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        self.0.cut();
    }
}

/// Returns the kind of a failure. Two failures of one kind are announced once.
fn kind_of(error: &Error) -> (Discriminant<Error>, Option<Discriminant<SshFailure>>, Option<LauncherFailure>) {
    let (ssh, other) = match error {
        Error::Ssh { failure, .. } => (Some(mem::discriminant(failure)), None),
        Error::Launcher { failure, .. } => (None, Some(*failure)),
        _ => (None, None),
    };
    (mem::discriminant(error), ssh, other)
}
