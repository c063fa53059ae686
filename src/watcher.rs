//! The thread of one process: it connects, reads the reports, changes the state and tells of it, until the ssh client is
//! reaped.

use std::mem::{self, Discriminant};
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use crate::channel::Channel;
use crate::client::Lifeline;
use crate::error::{Error, LauncherFailure, Result, SshFailure, StartFailure, StartStage};
use crate::event::EventKind;
use crate::exit_status::{ApplicationEnd, ClientEnd, ExitSource, ExitStatus};
use crate::gate::Retry;
use crate::lease::SilentCut;
use crate::limit::Limit;
use crate::output::{DIAGNOSIS, Tail};
use crate::pool::NoSeat;
use crate::process::{self, Announcement, Outcome, Process};
use crate::remote::{self, Flow, Place, Script};
use crate::report::{Failure, Piece, Report, Step};
use crate::seat::{Again, Seat, Tries};
use crate::seats::Kind;
use crate::seconds;
use crate::shared::Shared;
use crate::spool::Spool;
use crate::ssh;
use crate::state::{Action, Input, State};
use crate::sys;
use crate::wrapper;

/// How long a host may take to answer a question, beside what the question waits for.
pub(crate) const INQUIRY_TIMEOUT: Duration = Duration::from_secs(10);

/// A kept process gets a new link at once where the one that broke took and lasted this long.
const STEADY: Duration = Duration::from_secs(30);

/// The application as its host knows it.
pub(crate) struct Remote {
    pub pid: i64,
    pub start_time: String,
    pub boot_id: String,
}

pub(crate) struct Watcher {
    pub process: Arc<Process>,
    pub shared: Arc<Shared>,
    /// When the start is over that has not come to run: first of the wait for a session, then of the session.
    pub start_deadline: Option<Instant>,
    /// How long the start has waited for its session, once it has one.
    waited: Duration,
    pub stage: StartStage,
    pub remote: Option<Remote>,
    /// It is being adopted, and there was no link to it yet.
    adopting: bool,
    /// How the ssh client ended.
    pub client_end: ClientEnd,
    /// Why the shared connection ended, if it did.
    connection_end: Option<String>,
    /// The state in which the link was lost.
    lost_from: State,
    /// What ssh said before the wrapper began.
    pub diagnosis: Tail,
    /// How much is here of the output of a process that is kept.
    pub spool: Spool,
    pub attached: Attached,
    /// What the application started and could not be ended.
    pub strays: Vec<i64>,
    pub remains: Remains,
}

/// What the host keeps of a kept process whose exit it has reported: word of that, and the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remains {
    Nothing,
    /// Until the manager says that the program has taken the exit.
    OnHost,
}

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Start,
    /// To take over an application that is kept.
    Attach,
}

/// What became of an attempt to take over an application that is kept, when its session has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attached {
    /// The host did not come to answer.
    No,
    /// There was a link again.
    Yes,
    /// Another manager has one.
    Refused,
    /// Nothing is left of it.
    Gone,
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

/// Watches a process from its connection to its end. The formers had the same uuid. One that is adopted is there already.
pub(crate) fn watch(process: Arc<Process>, formers: &[Arc<Process>], shared: Arc<Shared>, adopted: Option<Remote>) {
    process.set_pids(|pids| pids.client_monitoring = Some(sys::thread_id()));
    let _watch = Watch(Arc::clone(&process));
    let start_deadline = process.started_at.checked_add(process.request.start_timeout);
    let mut watcher = Watcher {
        process,
        shared,
        start_deadline,
        waited: Duration::ZERO,
        stage: StartStage::Queued,
        adopting: adopted.is_some(),
        remote: adopted,
        client_end: ClientEnd::NotStarted,
        connection_end: None,
        lost_from: State::Running,
        diagnosis: Tail::default(),
        spool: Spool::default(),
        attached: Attached::No,
        strays: Vec::new(),
        remains: Remains::Nothing,
    };
    // A panic must not leave callers waiting for ever: a host's logger, which runs here, can be what panics.
    let run = || {
        watcher.wait_for_formers(formers);
        if watcher.remote.is_none() {
            watcher.start();
        }
        let mut pauses = Retry::for_ever();
        while watcher.process.state() == State::LinkLost {
            if watcher.goes_on() { watcher.take_over(&mut pauses) } else { watcher.recover() }
        }
        watcher.clear_away();
    };
    if panic::catch_unwind(AssertUnwindSafe(run)).is_err() {
        watcher.settle_after_panic();
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
    fn wait_for_formers(&self, formers: &[Arc<Process>]) {
        let (sender, changes) = bounded(1);
        let observed = formers.iter().chain([&self.process]);
        let _observations: Vec<_> = observed.map(|process| process.observe(sender.clone())).collect();
        let has_session = |former: &Arc<Process>| former.is_watched() && former.lifeline().is_some();
        while formers.iter().any(has_session) && self.process.state() == State::Connecting {
            let is_over = match self.start_deadline {
                Some(deadline) => changes.recv_deadline(deadline).is_err(),
                None => changes.recv().is_err(),
            };
            if is_over {
                return;
            }
        }
    }

    fn start(&mut self) {
        let process = Arc::clone(&self.process);
        let cancelled = || process.state() != State::Connecting;
        match self.run_session(Purpose::Start, self.start_deadline, &cancelled) {
            Ok(error) | Err(NoSeat::Failed(error)) => self.settle_client_ended(&error),
            Err(NoSeat::Cancelled) => self.end_without_client(),
            Err(NoSeat::TimedOut(stage)) => {
                self.stage = stage;
                self.end_without_client();
            }
        }
    }

    /// Has one session on the host, and runs it to its end; sessions that did not begin are tried again where that can help. Gives what
    /// ssh said of its end.
    fn run_session(
        &mut self,
        purpose: Purpose,
        mut deadline: Option<Instant>,
        cancelled: &dyn Fn() -> bool,
    ) -> std::result::Result<Error, NoSeat> {
        let shared = Arc::clone(&self.shared);
        let process = Arc::clone(&self.process);
        let mut tries = Tries::new(shared.options().connect_timeout);
        let mut kept = None;
        loop {
            let mut seat = match kept.take() {
                Some(seat) => seat,
                None => shared.pool.seat(&process.target(), Kind::Long, deadline, cancelled)?,
            };
            if purpose == Purpose::Start {
                self.begin_timing();
                deadline = self.start_deadline;
            }
            let error = self.run_client(purpose, &mut seat).err().unwrap_or_else(|| self.diagnose());
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
        self.waited = self.process.started_at.elapsed();
        self.start_deadline = sys::deadline(self.process.request.start_timeout);
    }

    /// No turn to connect came: the start was cancelled or its time is over.
    fn end_without_client(&mut self) {
        if self.process.state() == State::Connecting {
            self.process.take(Input::StartTimeout);
        }
        let error = self.start_failed(self.timed_out());
        self.settle_client_ended(&error);
    }

    /// The client has ended: an input of every state but the settled ones.
    fn settle_client_ended(&mut self, error: &Error) {
        let (before, actions) = self.process.take(Input::ClientEnded);
        self.lost_from = before;
        if actions.contains(&Action::TellLost) {
            let reason = self.last_words();
            log::warn!("{}: the link is lost: {reason}", self.describe());
            self.announce(EventKind::LinkLost { reason });
            return;
        }
        let cancelled = ExitStatus::new(
            ExitSource::ManualKillThroughSshClient,
            self.client_end,
            None,
            false,
            self.describe().into(),
        );
        let failed = self.start_failure();
        self.settle(Input::ClientEnded, |state| match state {
            State::Cancelling => Ok(cancelled),
            State::Expiring => Err(failed(self.timed_out())),
            _ => Err(error.clone()),
        });
    }

    /// Whether a lost process gets a new link. One whose start was taken back does not, nor one whose pid was never reported.
    fn goes_on(&self) -> bool {
        let is_closed = matches!(self.lost_from, State::Closing | State::TimingOut);
        self.process.is_kept() && self.remote.is_some() && !is_closed
    }

    /// Runs one ssh client to its end. An error is a local one: nothing was started.
    fn run_client(&mut self, purpose: Purpose, seat: &mut Seat) -> Result<()> {
        let request = &self.process.request;
        let nonce = remote::nonce()?;
        let options = self.shared.options();
        // A shared connection has a lease of its own.
        let lease = match seat.connection() {
            Some(_) => SilentCut::Connection,
            None => SilentCut::of(&self.process.launcher, options),
        };
        let (instance, manager) = (&self.process.instance, &self.shared.name);
        let line = match purpose {
            Purpose::Start => wrapper::start_line(&nonce, instance, request, manager, lease),
            Purpose::Attach => {
                let grace = seconds::whole_seconds(request.grace).saturating_add(2);
                wrapper::attach_line(&nonce, instance, grace, manager, self.spool.positions(), lease)
            }
        };
        let mut client = remote::spawn(&self.shared.pool, options, &seat.route(), &self.process.target(), line)?;
        let lifeline = Arc::clone(client.lifeline());
        self.process.set_pids(|pids| pids.ssh_client = Some(lifeline.client_pid().into()));
        self.process.set_lifeline(Some(Arc::clone(&lifeline)));
        // A kill that came before the lifeline was there could not close it.
        let is_over = match purpose {
            Purpose::Start => self.process.state() != State::Connecting,
            Purpose::Attach => self.process.is_released(),
        };
        if is_over {
            lifeline.cut();
            lifeline.kill_client();
        }
        // Behind the client, so it is dropped before it: a good-bye would end what is kept.
        let _leaves = self.process.is_kept().then(|| Leaves(lifeline));
        self.stage = match seat.connection() {
            // ssh has logged in.
            Some(_) => StartStage::StartUpFiles,
            None => StartStage::Connecting,
        };
        self.diagnosis = Tail::default();
        let end = Channel::new(self, purpose, nonce, seat).run(&mut client);
        self.spool.begin_again();
        self.process.set_lifeline(None);
        self.process.set_pids(|pids| pids.ssh_client = None);
        self.client_end = end?;
        // ssh's code for a connection that broke.
        let has_lost = self.client_end == ClientEnd::Seen(255);
        self.connection_end = seat.connection().and_then(|connection| connection.why_ended(has_lost));
        Ok(())
    }

    /// Gives a kept process whose link was lost a new one, which lasts until it breaks in its turn. Pauses after a link that
    /// did not last: each costs a login and two events.
    fn take_over(&mut self, pauses: &mut Retry) {
        let began = Instant::now();
        let end = self.attach();
        if let AttachEnd::Linked(error) = end {
            self.settle_client_ended(&error);
            if began.elapsed() > STEADY {
                *pauses = Retry::for_ever();
            } else if let Some(next) = pauses.next_try().filter(|_| self.process.state() == State::LinkLost) {
                self.shared.pool.gate().pause(next, || self.process.is_released());
            }
            return;
        }
        // A host may have given a link and then refused it.
        self.process.take(Input::ClientEnded);
        match end {
            AttachEnd::Refused => self.settle_taken_over(),
            // The process was there when the host was asked for it, and only its manager removes it.
            AttachEnd::Gone if self.adopting => self.settle_taken_over(),
            AttachEnd::Linked(_) | AttachEnd::Gone | AttachEnd::GivenUp => self.give_up(),
            AttachEnd::Released => self.settle_released(),
        }
    }

    /// The manager lets go of a kept process that has no link.
    fn settle_released(&self) {
        let uuid = self.process.uuid().to_owned();
        if self.process.settle(Input::Detach, |_| Err(Error::Detached { uuid })) {
            self.process.announce(Announcement::Complete);
        }
    }

    /// Has the host remove what it keeps of a process whose exit the program has taken, if the link broke before it could.
    fn clear_away(&mut self) {
        let process = Arc::clone(&self.process);
        let mut retry = Retry::for_ever();
        while self.remains == Remains::OnHost && self.wait_for_acknowledgement() {
            match self.attach() {
                // That link can have broken, too.
                AttachEnd::Linked(_) => {
                    let Some(next) = retry.next_try().filter(|_| self.remains == Remains::OnHost) else { return };
                    self.shared.pool.gate().pause(next, || process.is_released());
                }
                // There is nothing any more, or another manager has it, or this one lets go.
                AttachEnd::Gone | AttachEnd::Refused | AttachEnd::Released => return,
                AttachEnd::GivenUp => {
                    log::warn!("{}: its host still keeps its output and how it ended", self.describe());
                    return;
                }
            }
        }
    }

    /// False when the manager lets go: the next one adopts the process, and learns of its exit.
    fn wait_for_acknowledgement(&self) -> bool {
        let (sender, changes) = bounded(1);
        let _observation = self.process.observe(sender);
        while !self.process.is_acknowledged() && !self.process.is_released() {
            // The observation holds a sender, so this fails never.
            let _ = changes.recv();
        }
        !self.process.is_released()
    }

    /// Asks the host for a link to a kept process until it answers. Returns when that link has ended.
    fn attach(&mut self) -> AttachEnd {
        let process = Arc::clone(&self.process);
        let released = || process.is_released();
        let until = sys::deadline(self.shared.options().restore_timeout);
        let mut retry = Retry::for_ever();
        let mut told = None;
        loop {
            self.attached = Attached::No;
            let connect = self.shared.options().connect_timeout.saturating_add(INQUIRY_TIMEOUT);
            let result = self.run_session(Purpose::Attach, sys::deadline(connect), &released);
            let error = match (self.attached, result) {
                _ if released() => return AttachEnd::Released,
                (Attached::Yes, Ok(error)) => return AttachEnd::Linked(error),
                (Attached::Refused, _) => return AttachEnd::Refused,
                (Attached::Gone, _) => return AttachEnd::Gone,
                (_, Ok(error) | Err(NoSeat::Failed(error))) => error,
                (_, Err(NoSeat::Cancelled)) => return AttachEnd::Released,
                (_, Err(NoSeat::TimedOut(_))) => remote::timed_out(&Place { target: process.target(), deadline: None }),
            };
            // Once for each reason: it is tried for ever.
            let reason = kind_of(&error);
            if !process.state().is_settled() && told.replace(reason) != Some(reason) {
                log::warn!("{}: the link is not restored: {error}", self.describe());
                self.announce(EventKind::LinkNotRestored { error });
            }
            let Some(next) = retry.next_try() else { return AttachEnd::GivenUp };
            if until.is_some_and(|until| until <= next) {
                return AttachEnd::GivenUp;
            }
            self.shared.pool.gate().pause(next, released);
        }
    }

    /// There is a link again; `running`: the program was executed.
    pub(crate) fn restored(&mut self, running: bool) {
        self.attached = Attached::Yes;
        self.process.forget_client_kill();
        self.adopting = false;
        let is_starting = !running && !self.process.has_run();
        // First: a kill that waits for the link sends what is for the program, or for its setup.
        let began = running && self.process.set_run();
        let (_, actions) = self.process.take(if is_starting { Input::BackStarting } else { Input::Back });
        if actions.contains(&Action::TellRestored) {
            log::info!("{}: the link is restored", self.describe());
            self.announce(EventKind::LinkRestored);
        }
        if self.lost_from == State::Ending {
            self.process.take(Input::Kill);
        }
        if let (true, Some(remote)) = (began, &self.remote) {
            self.announce(EventKind::Started { pid: remote.pid });
        }
    }

    fn settle_taken_over(&self) {
        let error = Error::TakenOver { uuid: self.process.uuid().to_owned() };
        if self.process.settle(Input::Detach, |_| Err(error.clone())) {
            log::error!("{error}");
            self.announce(EventKind::LinkNotRestored { error });
            self.process.announce(Announcement::Complete);
        }
    }

    fn settle_after_panic(&self) {
        self.process.take(Input::ClientEnded);
        let lost = self.lost_status(None);
        self.process.settle(Input::GivenUp, |_| Ok(lost));
        let failed = self.start_failed(StartFailure::Protocol);
        self.process.settle(Input::ClientEnded, |_| Err(failed));
        // The end may have been announced before the panic.
        if self.process.outcome_after(Announcement::Queued).is_none() {
            self.tell_settled();
        }
    }

    fn settle(&self, input: Input, outcome: impl FnOnce(State) -> Outcome) {
        if self.process.settle(input, outcome) {
            self.tell_settled();
        }
    }

    /// Logs and announces the end. A logger that panics does not keep it from those who wait for it.
    fn tell_settled(&self) {
        let Some(outcome) = self.process.outcome() else { return };
        let logged = panic::catch_unwind(AssertUnwindSafe(|| match &outcome {
            Ok(status) => log::info!("{status}"),
            Err(error) => log::error!("{}", error.without_setup_lines()),
        }));
        self.announce(match outcome {
            Ok(status) => EventKind::Exited { status },
            Err(error) => EventKind::StartFailed { error },
        });
        if let Err(panicked) = logged {
            panic::resume_unwind(panicked);
        }
    }

    /// Sends an event of this start to the subscribers, and to the callbacks if it is the last one.
    fn announce(&self, kind: EventKind) {
        self.shared.hub.send(&self.process, kind);
    }

    pub(crate) fn tell_running(&self) {
        // A host can say it again and again, and each event stays until it is read.
        if self.process.has_run() {
            return;
        }
        // Its failure is what is announced.
        if self.lost_from == State::TimingOut {
            return;
        }
        // A start whose link broke before the pid was reported is never announced: nobody could name its process.
        let Some(remote) = &self.remote else { return };
        let (_, actions) = self.process.take(Input::Running);
        if actions.contains(&Action::TellStarted) {
            log::info!("{} runs with pid {}", self.describe(), remote.pid);
            self.announce(EventKind::Started { pid: remote.pid });
        }
    }

    pub(crate) fn exited(&self, end: ApplicationEnd, ran: bool) {
        if ran {
            // The wrapper's two processes report without an order.
            self.tell_running();
        }
        let request = &self.process.request;
        let failed = self.start_failure();
        // What ended the shell of a start whose link was lost is no exit of its application.
        let lost = self.lost_status(Some(end).filter(|_| ran));
        let who = self.describe();
        let status = |source| {
            ExitStatus::new(source, self.client_end, Some(end), false, who.as_str().into()).with_strays(&self.strays)
        };
        log::debug!("{}: exit {} on {}", self.process.uuid(), end.code, request.host);
        let lost_start = self.failure_of_lost_start(ran).filter(|_| self.process.state() == State::LinkLost);
        if let Some(reason) = lost_start {
            return self.settle(Input::StartFailed, |_| Err(failed(reason)));
        }
        self.settle(Input::Exit, |state| match state {
            State::Begun | State::Starting if !ran => {
                Err(failed(self.failure_of_lost_start(ran).unwrap_or(StartFailure::Ended(end.code))))
            }
            State::Connecting | State::Begun | State::Starting => Err(failed(StartFailure::Protocol)),
            State::TimingOut => Err(failed(self.timed_out())),
            State::Closing => Ok(status(ExitSource::ManualKillThroughSshClient)),
            State::Ending => Ok(status(ExitSource::ManualKillThroughRemotePid)),
            State::LinkLost => Ok(lost),
            State::Running | State::Cancelling | State::Expiring | State::Ended | State::Failed | State::Detached => {
                Ok(status(ExitSource::RemoteMonitoring))
            }
        });
    }

    /// Why a start has failed whose link was lost, or `None` if it had not failed: its program ran, or it was taken back.
    fn failure_of_lost_start(&self, ran: bool) -> Option<StartFailure> {
        match self.lost_from {
            // Whatever code its shell ended with: the wrapper hung it up.
            State::Begun | State::Starting if !ran => Some(StartFailure::LinkLost),
            State::TimingOut => Some(self.timed_out()),
            _ => None,
        }
    }

    /// The wrapper says this only of a start that failed by itself, whatever the manager asked for meanwhile.
    pub(crate) fn failed(&self, failure: Failure) {
        let failed = self.start_failure();
        let subject = self.subject_of(failure);
        self.settle(Input::StartFailed, |_| Err(failed(self.reason_of(failure)).about(subject)));
    }

    /// What the request has for what failed.
    fn subject_of(&self, failure: Failure) -> Option<String> {
        let request = &self.process.request;
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let place = |number: u32| usize::try_from(number).ok()?.checked_sub(1);
        match failure {
            Failure::InUse | Failure::Runtime | Failure::NoProcess | Failure::Step { step: Step::Limit, .. } => None,
            Failure::LogDirectory | Failure::LogFile => path(&request.log_file),
            Failure::Shell => request.setup_shell.clone(),
            Failure::Step { step: Step::Environment, number, .. } => {
                request.environment.keys().nth(place(number)?).cloned()
            }
            Failure::Step { step: Step::Setup, number, .. } => {
                request.setup.get(place(number)?).map(|line| line.to_string_lossy().into_owned())
            }
            Failure::Step { step: Step::Directory, .. } => path(&request.working_directory),
            Failure::Step { step: Step::Exec, .. } => {
                request.argv.first().map(|program| program.to_string_lossy().into_owned())
            }
        }
    }

    fn reason_of(&self, failure: Failure) -> StartFailure {
        match failure {
            Failure::InUse => StartFailure::UuidInUse,
            Failure::Runtime => StartFailure::RuntimeDirectory,
            Failure::NoProcess => StartFailure::NoProcess,
            Failure::LogDirectory => StartFailure::LogDirectory,
            Failure::LogFile => StartFailure::LogFile,
            Failure::Shell => StartFailure::ShellNotFound,
            Failure::Step { step: Step::Environment, .. } => StartFailure::Environment,
            Failure::Step { step: Step::Directory, .. } => StartFailure::WorkingDirectory,
            Failure::Step { step: Step::Setup, number, code } => StartFailure::Setup { line: number, code },
            Failure::Step { step: Step::Limit, number, .. } => {
                let limit = Limit::ALL.iter().find(|limit| **limit as u32 == number);
                StartFailure::Limit(limit.map_or("", |limit| limit.as_str()).to_owned())
            }
            // The shell's code for what it cannot find.
            Failure::Step { step: Step::Exec, code: 127, .. } => StartFailure::ProgramNotFound,
            // The numbers of start.sh.
            Failure::Step { step: Step::Exec, number: 1, .. } => StartFailure::ProgramNotFile,
            Failure::Step { step: Step::Exec, number: 2, .. } => StartFailure::ProgramPermission,
            Failure::Step { step: Step::Exec, number: 3, .. } => StartFailure::ArgumentsTooLarge,
            Failure::Step { step: Step::Exec, .. } => StartFailure::NotExecutable,
        }
    }

    fn start_failed(&self, reason: StartFailure) -> Error {
        self.start_failure()(reason)
    }

    /// Makes errors of a start that failed, and locks nothing when it does: the output is read now.
    fn start_failure(&self) -> impl Fn(StartFailure) -> Error {
        let request = &self.process.request;
        let output = self.process.output.lock().stderr.last(DIAGNOSIS);
        move |reason| Error::StartFailed {
            uuid: self.process.uuid().to_owned(),
            host: request.host.clone(),
            user: request.user.clone(),
            subject: None,
            log_file: request.log_file.clone().filter(|_| reason.is_behind_log_file()),
            reason,
            output: String::from_utf8_lossy(&output).into_owned(),
        }
    }

    fn timed_out(&self) -> StartFailure {
        StartFailure::TimedOut { after: self.process.request.start_timeout, stage: self.stage, waited: self.waited }
    }

    fn diagnose(&self) -> Error {
        let code = match self.client_end {
            ClientEnd::Seen(code) => Some(code),
            ClientEnd::Unseen | ClientEnd::NotStarted => None,
        };
        let mut said = self.diagnosis.get().bytes;
        // The client of a shared connection says nothing of its end.
        if let (true, Some(why)) = (said.is_empty(), &self.connection_end) {
            said = why.clone().into_bytes();
        }
        remote::diagnose(&self.process.target(), code, &said)
    }

    /// Who it is, in log lines.
    pub(crate) fn describe(&self) -> String {
        let Process { request, .. } = &*self.process;
        process::describe(&request.name, self.process.uuid(), &request.session, self.process.user().as_deref())
    }

    fn last_words(&self) -> String {
        if let Some(why) = &self.connection_end {
            return why.clone();
        }
        let stderr = self.process.output.lock().stderr.last(DIAGNOSIS);
        let launcher = &self.process.launcher;
        let words = if launcher.is_ssh() { ssh::last_words(&stderr) } else { None };
        let client = launcher.name();
        match (words, self.client_end) {
            (Some(words), _) => words,
            (None, ClientEnd::Seen(code @ 0..)) => format!("{client} ended with {code}"),
            (None, ClientEnd::Seen(signal)) => format!("{client} was ended by signal {}", -signal),
            (None, ClientEnd::Unseen | ClientEnd::NotStarted) => format!("{client} ended"),
        }
    }

    fn lost_status(&self, end: Option<ApplicationEnd>) -> ExitStatus {
        let source = match (self.process.client_killed_as(), self.lost_from) {
            (Some(source), _) => source,
            (None, State::Ending) => ExitSource::ManualKillThroughRemotePid,
            (None, State::Closing) => ExitSource::ManualKillThroughSshClient,
            (None, _) => ExitSource::ClientMonitoring,
        };
        let client = match self.client_end {
            // ssh's code is 255 then, or the remote shell's; what others mean by theirs is not known.
            ClientEnd::Seen(0..) if !self.process.launcher.is_ssh() => ClientEnd::Unseen,
            end => end,
        };
        ExitStatus::new(source, client, end, true, self.describe().into())
    }

    /// Asks the host after a process whose link was lost. After `lost_timeout` its end counts as unknown, but the host is
    /// asked on: what must not live on is ended as soon as it answers.
    fn recover(&self) {
        let process = &self.process;
        let released = || process.is_released();
        let mut retry = Retry::for_ever();
        let until = sys::deadline(self.shared.options().lost_timeout);
        while !released() {
            let settled = process.state().is_settled();
            match self.inquire(until.filter(|_| !settled)) {
                Ok(Answer::Ended(end, ran)) => return self.exited(end, ran),
                Ok(Answer::Gone) => break,
                Err(error) => log::debug!("{}: asking after it: {error}", process.uuid()),
            }
            let Some(next) = retry.next_try() else { break };
            match until {
                Some(until) if !settled && until <= next => {
                    self.shared.pool.gate().pause(until, released);
                    self.give_up();
                }
                _ => drop(self.shared.pool.gate().pause(next, released)),
            }
        }
        self.give_up();
    }

    fn give_up(&self) {
        if let Some(reason) = self.failure_of_lost_start(self.process.has_run()) {
            let lost = self.start_failed(reason);
            return self.settle(Input::StartFailed, |_| Err(lost));
        }
        let input = if self.process.is_released() { Input::Release } else { Input::GivenUp };
        let lost = self.lost_status(None);
        self.settle(input, |_| Ok(lost));
    }

    /// One question, and the time that the wrapper may need to answer it.
    fn inquire(&self, until: Option<Instant>) -> Result<Answer> {
        let Process { request, instance, .. } = &*self.process;
        let remote =
            self.remote.as_ref().map(|Remote { pid, start_time, boot_id }| (*pid, &start_time[..], &boot_id[..]));
        let wrapper_pid = self.process.pids().remote_monitoring;
        // The wrapper may need its whole grace, and some time to be scheduled.
        let grace = seconds::whole_seconds(request.grace).saturating_add(2);
        let deadline =
            until.unwrap_or_else(Instant::now).checked_add(Duration::from_secs(grace).saturating_add(INQUIRY_TIMEOUT));
        let place = Place { target: self.process.target(), deadline };
        let line = |nonce: &_| wrapper::inquiry_line(nonce, instance, wrapper_pid, remote, grace);
        let mut answer = None;
        let cancelled = || self.process.is_released();
        let opened = |lifeline: &_| self.process.set_inquiry(lifeline);
        // It waits for the wrapper's grace.
        let script = Script { cancelled: &cancelled, opened: &opened, ..Script::new(place, Kind::Long, &line) };
        let asked = remote::run(&self.shared, &script, &mut |piece| match piece {
            Piece::Report(Report::Exit { end, ran }) => {
                answer = Some(Answer::Ended(end, ran));
                // It removes its file now.
                Flow::Send("bye\n")
            }
            Piece::Report(Report::Gone) => {
                answer = Some(Answer::Gone);
                Flow::Last
            }
            Piece::Report(Report::Clean) => Flow::Last,
            _ => Flow::GoOn,
        });
        // What was answered holds, whatever became of the session then.
        if let (None, Err(error)) = (&answer, asked) {
            return Err(error);
        }
        answer.ok_or_else(|| self.start_failed(StartFailure::Protocol))
    }
}

/// Has a session that an error or a panic ends say nothing more.
struct Leaves(Arc<Lifeline>);

impl Drop for Leaves {
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

/// What a host says of a process whose link was lost.
enum Answer {
    /// Its wrapper left word of how it ended, and of whether its program had run.
    Ended(ApplicationEnd, bool),
    /// Nothing is left of it, no word either.
    Gone,
}
