//! The thread of one process: it connects, reads the reports, changes the state and tells of it, until the ssh client is
//! reaped.

use std::mem::{self, Discriminant};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use crate::client::Lifeline;
use crate::connection::SilentCut;
use crate::error::{Error, LauncherFailure, Result, SshFailure, StartFailure, StartStage};
use crate::event::{Event, Hub};
use crate::exit_status::{ApplicationEnd, ClientEnd, ExitSource, ExitStatus};
use crate::gate::Retry;
use crate::launcher::Target;
use crate::limit::Limit;
use crate::options::Options;
use crate::output::Tail;
use crate::pool::{NoSeat, Pool};
use crate::process::{Outcome, Process};
use crate::remote::{self, Flow, Place, Script};
use crate::report::{Failure, Piece, Report, Step};
use crate::seat::{Again, Seat, Tries};
use crate::seats::Kind;
use crate::session::Session;
use crate::spool::Spool;
use crate::ssh;
use crate::state::{Action, Input, State};
use crate::sys;
use crate::wrapper;

/// What is kept of ssh's messages.
pub(crate) const DIAGNOSIS: usize = 4096;
/// How long a host may take to answer a question, beside what the question waits for.
pub(crate) const INQUIRY_TIMEOUT: Duration = Duration::from_secs(10);

/// What all watchers of a manager share.
pub(crate) struct Shared {
    pub pool: Arc<Pool>,
    pub hub: Hub,
    /// Names the manager to wrappers: it may put a new link in the place of its own.
    pub name: String,
}

impl Shared {
    pub(crate) fn options(&self) -> &Options {
        self.pool.options()
    }

    /// A host that a call is about, which is about one process or none.
    pub(crate) fn target<'a>(
        &'a self,
        host: &'a str,
        user: Option<&'a str>,
        uuid: Option<&'a str>,
    ) -> Result<Target<'a>> {
        let target = Target { launcher: self.options().launcher_of(host), host, user, uuid };
        target.check()?;
        Ok(target)
    }
}

/// The application as its host knows it.
pub(crate) struct Remote {
    pub pid: i64,
    pub start_time: String,
    pub boot_id: String,
}

pub(crate) struct Watcher {
    pub process: Arc<Process>,
    pub shared: Arc<Shared>,
    pub start_deadline: Option<Instant>,
    pub stage: StartStage,
    pub remote: Option<Remote>,
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

/// Watches a process from its connection to its end. The formers had the same uuid. One that is adopted is there already.
pub(crate) fn watch(process: Arc<Process>, formers: &[Arc<Process>], shared: Arc<Shared>, adopted: Option<Remote>) {
    process.set_pids(|pids| pids.client_monitoring = Some(sys::thread_id()));
    let start_deadline = process.started_at.checked_add(process.request.start_timeout);
    let mut watcher = Watcher {
        process,
        shared,
        start_deadline,
        stage: StartStage::Queued,
        remote: adopted,
        client_end: ClientEnd::NotStarted,
        connection_end: None,
        lost_from: State::Running,
        diagnosis: Tail::default(),
        spool: Spool::default(),
        attached: Attached::No,
        strays: Vec::new(),
    };
    // A panic must not leave callers waiting for ever: a host's logger, which runs here, can be what panics.
    let run = || {
        watcher.wait_for_formers(formers);
        if watcher.remote.is_none() {
            watcher.start();
        }
        while watcher.process.state() == State::LinkLost {
            if watcher.process.is_kept() { watcher.take_over() } else { watcher.recover() }
        }
    };
    if panic::catch_unwind(AssertUnwindSafe(run)).is_err() {
        watcher.settle_after_panic();
    }
    watcher.process.end_watch();
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
        deadline: Option<Instant>,
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
            self.shared.hub.send(&Event::LinkLost { uuid: self.process.uuid().to_owned(), reason });
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
                let grace = ssh::whole_seconds(request.grace).saturating_add(2);
                wrapper::attach_line(&nonce, instance, grace, manager, self.spool.positions(), lease)
            }
        };
        let mut client = remote::spawn(&self.shared.pool, options, seat.route(), &self.process.target(), line)?;
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
        self.stage = StartStage::Connecting;
        self.diagnosis = Tail::default();
        let end = Session::new(self, purpose, nonce, seat).run(&mut client);
        self.spool.begin_again();
        self.process.set_lifeline(None);
        self.process.set_pids(|pids| pids.ssh_client = None);
        self.client_end = end?;
        // ssh's code for a connection that broke.
        let has_lost = self.client_end == ClientEnd::Seen(255);
        self.connection_end = seat.connection().and_then(|connection| connection.why_ended(has_lost));
        Ok(())
    }

    /// Takes over a process that is kept and whose link was lost, as often as its host answers, until its end is known, it was let
    /// go, or has another manager.
    fn take_over(&mut self) {
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
                _ if released() => return,
                (Attached::Yes, Ok(error)) => return self.settle_client_ended(&error),
                (Attached::Refused, _) => return self.settle_taken_over(),
                (Attached::Gone, _) => return self.give_up(),
                (_, Ok(error) | Err(NoSeat::Failed(error))) => error,
                (_, Err(NoSeat::Cancelled)) => return,
                (_, Err(NoSeat::TimedOut(_))) => remote::timed_out(&Place { target: process.target(), deadline: None }),
            };
            // Once for each reason: it is tried for ever.
            let reason = kind_of(&error);
            if told.replace(reason) != Some(reason) {
                log::warn!("{}: the link is not restored: {error}", self.describe());
                let uuid = process.uuid().to_owned();
                self.shared.hub.send(&Event::LinkNotRestored { uuid, error });
            }
            let Some(next) = retry.next_try() else { return self.give_up() };
            if until.is_some_and(|until| until <= next) {
                return self.give_up();
            }
            self.shared.pool.gate().pause(next, released);
        }
    }

    /// There is a link again; `running`: the program was executed.
    pub(crate) fn restored(&mut self, running: bool) {
        self.attached = Attached::Yes;
        let is_starting = !running && !self.process.has_run();
        // First: a kill that waits for the link sends what is for the program, or for its setup.
        let began = running && self.process.set_run();
        let (_, actions) = self.process.take(if is_starting { Input::BackStarting } else { Input::Back });
        let uuid = || self.process.uuid().to_owned();
        if actions.contains(&Action::TellRestored) {
            log::info!("{}: the link is restored", self.describe());
            self.shared.hub.send(&Event::LinkRestored { uuid: uuid() });
        }
        if self.lost_from == State::Ending {
            self.process.take(Input::Kill);
        }
        if let (true, Some(remote)) = (began, &self.remote) {
            self.shared.hub.send(&Event::Started { uuid: uuid(), pid: remote.pid });
        }
    }

    fn settle_taken_over(&self) {
        let error = Error::TakenOver { uuid: self.process.uuid().to_owned() };
        if self.process.settle(Input::Detach, |_| Err(error.clone())) {
            log::error!("{error}");
            let uuid = self.process.uuid().to_owned();
            self.shared.hub.send(&Event::LinkNotRestored { uuid, error });
            self.process.told();
        }
    }

    fn settle_after_panic(&self) {
        self.process.take(Input::ClientEnded);
        let lost = self.lost_status(None);
        self.process.settle(Input::GivenUp, |_| Ok(lost));
        let failed = self.start_failed(StartFailure::Protocol);
        self.process.settle(Input::ClientEnded, |_| Err(failed));
        self.tell_settled();
    }

    fn settle(&self, input: Input, outcome: impl FnOnce(State) -> Outcome) {
        if self.process.settle(input, outcome) {
            self.tell_settled();
            self.process.told();
        }
    }

    fn tell_settled(&self) {
        let uuid = self.process.uuid().to_owned();
        let event = match self.process.outcome() {
            Some(Ok(status)) => {
                log::info!("{status}");
                Event::Exited { uuid, status }
            }
            Some(Err(error)) => {
                log::error!("{error}");
                Event::StartFailed { uuid, error }
            }
            None => return,
        };
        self.shared.hub.send(&event);
    }

    pub(crate) fn tell_running(&self) {
        // A host can say it again and again, and each event stays until it is read.
        if self.process.has_run() {
            return;
        }
        let (_, actions) = self.process.take(Input::Running);
        if let (true, Some(remote)) = (actions.contains(&Action::TellStarted), &self.remote) {
            log::info!("{} runs with pid {}", self.describe(), remote.pid);
            self.shared.hub.send(&Event::Started { uuid: self.process.uuid().to_owned(), pid: remote.pid });
        }
    }

    pub(crate) fn exited(&self, end: ApplicationEnd, ran: bool) {
        if ran {
            // The wrapper's two processes report without an order.
            self.tell_running();
        }
        let request = &self.process.request;
        let failed = self.start_failure();
        let lost = self.lost_status(Some(end));
        let status = |source| {
            ExitStatus::new(source, self.client_end, Some(end), false, self.describe().into()).with_strays(&self.strays)
        };
        log::debug!("{}: exit {} on {}", self.process.uuid(), end.code, request.host);
        if !ran && self.process.state() == State::LinkLost && self.lost_from == State::Starting {
            return self.settle(Input::StartFailed, |_| Err(failed(StartFailure::Ended(end.code))));
        }
        self.settle(Input::Exit, |state| match state {
            State::Connecting if ran => Err(failed(StartFailure::Protocol)),
            State::Connecting | State::Starting => Err(failed(StartFailure::Ended(end.code))),
            State::Expiring => Err(failed(self.timed_out())),
            State::Cancelling => Ok(status(ExitSource::ManualKillThroughSshClient)),
            State::Ending => Ok(status(ExitSource::ManualKillThroughRemotePid)),
            State::LinkLost => Ok(lost),
            State::Running | State::Ended | State::Failed | State::Detached => Ok(status(ExitSource::RemoteMonitoring)),
        });
    }

    pub(crate) fn failed(&self, failure: Failure) {
        // bash runs its EXIT trap when TERM ends it, with the code of whatever ran before: the exit report knows better.
        if matches!(failure, Failure::Step { .. }) && self.process.state() == State::Ending {
            return;
        }
        let failed = self.start_failure();
        let code = match failure {
            Failure::Step { code, .. } => code,
            _ => 125,
        };
        let end = ApplicationEnd { code, signal: None, core_dumped: false, left_over: false, at: None };
        let status = |source| ExitStatus::new(source, self.client_end, Some(end), false, self.describe().into());
        self.settle(Input::StartFailed, |state| match state {
            State::Ending => Ok(status(ExitSource::ManualKillThroughRemotePid)),
            State::Cancelling => Ok(status(ExitSource::ManualKillThroughSshClient)),
            State::Expiring => Err(failed(self.timed_out())),
            _ => Err(failed(self.reason_of(failure))),
        });
    }

    fn reason_of(&self, failure: Failure) -> StartFailure {
        match failure {
            Failure::InUse => StartFailure::UuidInUse,
            Failure::Runtime => StartFailure::RuntimeDirectory,
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
            reason,
            output: String::from_utf8_lossy(&output).into_owned(),
        }
    }

    fn timed_out(&self) -> StartFailure {
        StartFailure::TimedOut { after: self.process.request.start_timeout, stage: self.stage }
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
        let request = &self.process.request;
        let Process { instance, .. } = &*self.process;
        format!(
            "process {:?} ({}) of session {:?}, user {}",
            request.name, instance.uuid, request.session, instance.user
        )
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
        if self.lost_from == State::Starting && !self.process.has_run() {
            let lost = self.start_failed(StartFailure::LinkLost);
            return self.settle(Input::StartFailed, |_| Err(lost));
        }
        let input = if self.process.is_released() { Input::Release } else { Input::GivenUp };
        let lost = self.lost_status(None);
        self.settle(input, |_| Ok(lost));
    }

    /// One question, and the time that the wrapper may need to answer it.
    fn inquire(&self, until: Option<Instant>) -> Result<Answer> {
        let Process { request, instance, .. } = &*self.process;
        let Some(Remote { pid, start_time, boot_id }) = &self.remote else { return Ok(Answer::Gone) };
        // The wrapper may need its whole grace, and some time to be scheduled.
        let grace = ssh::whole_seconds(request.grace).saturating_add(2);
        let deadline =
            until.unwrap_or_else(Instant::now).checked_add(Duration::from_secs(grace).saturating_add(INQUIRY_TIMEOUT));
        let place = Place { target: self.process.target(), deadline };
        let line = |nonce: &_| wrapper::inquiry_line(nonce, instance, *pid, start_time, boot_id, grace);
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
