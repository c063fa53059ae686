//! What a watcher knows of its process, and how it announces that.
//!
//! A [`Case`] turns reports and the ends of clients into inputs of the state table, and what follows into outcomes,
//! events and log lines.

use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::local::sys;
use crate::model::error::{Error, StartFailure, StartStage};
use crate::model::exit_status::{ApplicationEnd, ClientEnd, ExitSource, ExitStatus};
use crate::model::limit::Limit;
use crate::model::output::{DIAGNOSIS, OutputStream, Tail};
use crate::model::ready::Ready;
use crate::model::request::BootRequest;
use crate::model::restart::RestartPolicy;
use crate::remote::report::{Failure, Step};
use crate::watch::event::EventKind;
use crate::watch::process::{self, Announcement, Outcome, Process};
use crate::watch::readiness::{self, Readiness};
use crate::watch::restarts::Verdict;
use crate::watch::shared::Shared;
use crate::watch::spool::Spool;
use crate::watch::state::{Action, Input, State};
use crate::watch::text_finder::TextFinder;

/// Identifies the application on its host: a pid can be used again, but not with this start time in this boot.
pub(crate) struct Remote {
    pub pid: i64,
    pub start_time: String,
    pub boot_id: String,
}

/// The exit of an application, as its host reported it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReportedExit {
    pub end: ApplicationEnd,
    /// The program was executed. If not, this is the exit of the shell that should have executed it.
    pub ran: bool,
}

/// What the host keeps of a kept process after it has reported the exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remains {
    Nothing,
    /// The exit and the output, until the manager says that the program has taken the exit.
    OnHost,
}

/// What an attempt to attach to a kept process came to, once its channel has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttachOutcome {
    /// The host gave no answer.
    NoAnswer,
    /// There was a link.
    Linked,
    /// Another manager has a link.
    Refused,
    /// Nothing of the process is left on its host.
    Gone,
}

/// How long a start may take, and how far it has come.
pub(crate) struct StartProgress {
    /// When the start times out: first the wait for a channel, then the start on that channel.
    pub deadline: Option<Instant>,
    /// How long the start waited for its channel.
    pub waited: Duration,
    pub stage: StartStage,
}

/// The current client, or the last one.
pub(crate) struct LastClient {
    /// What it wrote to stderr before the wrapper began.
    pub diagnosis: Tail,
    pub end: ClientEnd,
    /// Why its shared connection ended, if that has ended.
    pub connection_end: Option<String>,
}

/// The link to the process, and the attempts to restore it.
pub(crate) struct Link {
    /// The state of the process when its link was lost; `Running` before that.
    pub state_at_loss: State,
    /// The manager adopts the process, and has not had a link to it yet.
    pub is_adopting: bool,
    pub attach_outcome: AttachOutcome,
}

/// The wait for the application to be ready.
pub(crate) struct ReadyWait {
    pub clock: ReadyClock,
    /// Looks for the text of [`Ready::Output`] in the stream, until the text was found.
    finder: Option<TextFinder>,
    /// The text was found before the host of a kept process had told whether the process is still waited for.
    has_text: bool,
}

/// The time that an application has to be ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadyClock {
    /// The program is not known to run, or the host of a kept process has not told how long it has run.
    Stopped,
    /// It ends then. `None`: never.
    Until(Option<Instant>),
}

/// What the watcher of a process knows of it. Only the watcher's thread uses it.
pub(crate) struct Case {
    pub process: Arc<Process>,
    pub shared: Arc<Shared>,
    pub start: StartProgress,
    pub client: LastClient,
    pub link: Link,
    pub ready: ReadyWait,
    /// Known once the pid was reported, or from the metadata of an adopted process.
    pub remote: Option<Remote>,
    /// How much of a kept process's output has arrived.
    pub spool: Spool,
    /// The pids of processes that the application started and that the wrapper could not end.
    pub strays: Vec<i64>,
    pub remains: Remains,
}

impl Case {
    /// Returns the case of a process that is to be started, or of one that runs already: `adopted`.
    pub(crate) fn new(process: Arc<Process>, shared: Arc<Shared>, adopted: Option<Remote>) -> Case {
        let deadline = process.started_at.checked_add(process.request.start_timeout);
        let finder = match &process.request.ready {
            Some(Ready::Output(text)) => Some(TextFinder::new(text)).filter(|_| process.request.log_file.is_none()),
            Some(Ready::Notify | Ready::Port(_)) | None => None,
        };
        Case {
            process,
            shared,
            start: StartProgress { deadline, waited: Duration::ZERO, stage: StartStage::Queued },
            client: LastClient { diagnosis: Tail::default(), end: ClientEnd::NotStarted, connection_end: None },
            link: Link {
                state_at_loss: State::Running,
                is_adopting: adopted.is_some(),
                attach_outcome: AttachOutcome::NoAnswer,
            },
            ready: ReadyWait { clock: ReadyClock::Stopped, finder, has_text: false },
            remote: adopted,
            spool: Spool::default(),
            strays: Vec::new(),
            remains: Remains::Nothing,
        }
    }

    /// Takes the end of the client: announces that the link is lost, or settles a process of which nothing has run.
    pub(crate) fn settle_client_ended(&mut self, error: &Error) {
        let (before, actions) = self.process.take(Input::ClientEnded);
        self.link.state_at_loss = before;
        self.ready.clock = ReadyClock::Stopped;
        if actions.contains(&Action::AnnounceLost) {
            let reason = self.last_words();
            log::warn!("{}: the link is lost: {reason}", self.describe());
            self.announce(EventKind::LinkLost { reason });
            return;
        }
        let cancelled = ExitStatus::new(
            ExitSource::ManualKillThroughSshClient,
            self.client.end,
            None,
            false,
            self.describe().into(),
        );
        let start_error = self.start_errors();
        self.settle(Input::ClientEnded, |state| match state {
            State::Cancelling => Ok(cancelled),
            State::Expiring => Err(start_error(self.timed_out())),
            _ => Err(error.clone()),
        });
    }

    /// Settles a kept process without a link, which the manager lets go of.
    pub(crate) fn settle_released(&self) {
        let uuid = self.process.uuid().to_owned();
        if self.process.settle(Input::Detach, |_| Err(Error::Detached { uuid })) {
            self.process.announce(Announcement::Complete);
        }
    }

    /// Takes the report that a kept process has a link again, and whether its program was executed.
    pub(crate) fn link_restored(&mut self, running: bool) {
        self.link.attach_outcome = AttachOutcome::Linked;
        self.process.forget_client_kill();
        self.link.is_adopting = false;
        let is_starting = !running && !self.process.has_run();
        // First: a kill that waits for the link then sends the signal for the program, not the one for the setup.
        let began = running && self.process.note_run();
        let (_, actions) = self.process.take(if is_starting { Input::RestoredStarting } else { Input::Restored });
        if actions.contains(&Action::AnnounceRestored) {
            log::info!("{}: the link is restored", self.describe());
            self.announce(EventKind::LinkRestored);
        }
        if self.link.state_at_loss == State::Ending {
            self.process.take(Input::Kill);
        }
        if let (true, Some(remote)) = (began, &self.remote) {
            self.announce(EventKind::Started { pid: remote.pid });
            self.take_readiness(readiness::Input::Running);
        }
    }

    /// Settles a kept process that another manager controls.
    pub(crate) fn settle_taken_over(&self) {
        let error = Error::TakenOver { uuid: self.process.uuid().to_owned() };
        if self.process.settle(Input::Detach, |_| Err(error.clone())) {
            log::error!("{error}");
            self.announce(EventKind::LinkNotRestored { error });
            self.process.announce(Announcement::Complete);
        }
    }

    /// Settles a process whose watcher panicked, and announces its end, unless both have happened.
    pub(crate) fn settle_after_panic(&self) {
        // Its watcher, which would restart it, has ended.
        self.process.stop();
        self.process.take(Input::ClientEnded);
        let lost = self.lost_status(None);
        self.process.settle(Input::GivenUp, |_| Ok(lost));
        let error = self.start_error(StartFailure::Protocol);
        self.process.settle(Input::ClientEnded, |_| Err(error));
        // The end may have been announced before the panic.
        if self.process.outcome_after(Announcement::Queued).is_none() {
            self.announce_end();
        }
    }

    /// Takes an input that may settle the process, and announces the end if it did: see [`Process::settle`].
    pub(crate) fn settle(&self, input: Input, outcome: impl FnOnce(State) -> Outcome) {
        if self.process.settle(input, outcome) {
            self.announce_end();
        }
    }

    /// Logs and announces the end. A logger that panics does not keep the end from those who wait for it.
    fn announce_end(&self) {
        let Some(outcome) = self.process.outcome() else { return };
        let logged = panic::catch_unwind(AssertUnwindSafe(|| match &outcome {
            Ok(status) => log::info!("{status}"),
            Err(error) => log::error!("{}", error.without_setup_lines()),
        }));
        self.announce(match outcome {
            Ok(status) => EventKind::Exited { status },
            Err(error) => EventKind::StartFailed { error },
        });
        if let (Verdict::LimitReached, Some(policy)) = (self.process.verdict(), self.process.policy()) {
            self.announce_restart_limit(policy);
        }
        if self.process.succession().holds_uuid() {
            // The next life replaces this one: its host need not keep the end.
            self.process.acknowledge();
        }
        if let Err(panicked) = logged {
            panic::resume_unwind(panicked);
        }
    }

    /// Logs and announces that the policy restarts the process after a pause.
    pub(crate) fn announce_restart(&self, attempt: u32, after: Duration) {
        self.announce(EventKind::Restarting { attempt, after });
        log::warn!("{}: restart {attempt} follows in {:.1} s", self.describe(), after.as_secs_f64());
    }

    /// Logs and announces that the policy has restarted the process too often.
    pub(crate) fn announce_restart_limit(&self, &RestartPolicy { limit, within, .. }: &RestartPolicy) {
        self.announce(EventKind::RestartLimitReached { limit, within });
        let within_s = within.as_secs_f64();
        log::error!("{}: it is not restarted again: {limit} restarts within {within_s:.1} s", self.describe());
    }

    /// Waits until the time, or until the manager lets go of the process.
    pub(crate) fn pause(&self, until: Instant) {
        self.shared.pool.pause(until, || self.process.is_released());
    }

    /// Sends an event of this start to the subscribers, and to the callbacks if the process ends with it.
    pub(crate) fn announce(&self, kind: EventKind) {
        self.shared.hub.send(&self.process, kind);
    }

    /// Takes the report that the program was executed, and announces it once.
    pub(crate) fn announce_started(&self) {
        // A host can repeat the report without end, and each event stays until it is read.
        if self.process.has_run() {
            return;
        }
        // The start has timed out, and that is announced instead.
        if self.link.state_at_loss == State::TimingOut {
            return;
        }
        // A start whose link broke before the pid was reported is never announced: nobody could identify its process.
        let Some(remote) = &self.remote else { return };
        let (_, actions) = self.process.take(Input::Running);
        if actions.contains(&Action::AnnounceStarted) {
            log::info!("{} runs with pid {}", self.describe(), remote.pid);
            self.announce(EventKind::Started { pid: remote.pid });
            self.take_readiness(readiness::Input::Running);
        }
    }

    /// Takes an input of the table of readiness, and announces what follows.
    pub(crate) fn take_readiness(&self, input: readiness::Input) {
        match (self.process.take_readiness(input), self.process.not_ready_reason()) {
            (Some(Readiness::Ready), _) => {
                log::info!("{} is ready", self.describe());
                self.announce(EventKind::Ready);
            }
            (Some(Readiness::Closed | Readiness::Late), Some(reason)) => {
                log::warn!("{} is {reason}", self.describe());
                self.announce(EventKind::NotReady { reason });
            }
            _ => {}
        }
    }

    /// Looks for the sign of readiness in new output. Returns whether the text counts as the sign: behind a new link to
    /// a kept process, that is known when its host has told how long it has run.
    pub(crate) fn look_for_sign(&mut self, stream: OutputStream, bytes: &[u8]) -> bool {
        if self.ready.finder.as_mut().is_some_and(|finder| finder.push(stream, bytes)) {
            self.ready.finder = None;
            self.ready.has_text = true;
        }
        self.take_text()
    }

    fn take_text(&mut self) -> bool {
        let is_stopped = self.process.readiness() == Readiness::Waiting && self.ready.clock == ReadyClock::Stopped;
        if is_stopped || !mem::take(&mut self.ready.has_text) {
            return false;
        }
        self.take_readiness(readiness::Input::Sign);
        true
    }

    /// Starts the time that the application has to be ready, unless it runs.
    pub(crate) fn start_ready_clock(&mut self) {
        if self.ready.clock == ReadyClock::Stopped {
            self.ready.clock = ReadyClock::Until(sys::deadline(self.process.request.time_to_be_ready()));
        }
    }

    /// Takes the report that a kept process is not known to be ready, so long after its program was executed.
    pub(crate) fn take_waiting(&mut self, since: Duration) {
        match self.process.request.time_to_be_ready().checked_sub(since) {
            Some(left) if !left.is_zero() => {
                self.ready.clock = ReadyClock::Until(sys::deadline(left));
                self.take_text();
            }
            _ => self.take_readiness(readiness::Input::TimedOut),
        }
    }

    /// Takes the report that the application has shown that it is ready, for a kept process so long after its program
    /// was executed: that may have been too late, while there was no link.
    pub(crate) fn take_sign(&self, after: Option<Duration>) {
        let is_late = after.is_some_and(|after| after > self.process.request.time_to_be_ready());
        self.take_readiness(if is_late { readiness::Input::TimedOut } else { readiness::Input::Sign });
    }

    /// Settles a process whose exit was reported.
    pub(crate) fn settle_exit(&self, ReportedExit { end, ran }: ReportedExit) {
        if ran {
            // Two processes of the wrapper send the reports, in either order.
            self.announce_started();
        }
        let request = &self.process.request;
        let start_error = self.start_errors();
        // The exit of a shell that has not executed the program is not the exit of the application.
        let lost = self.lost_status(Some(end).filter(|_| ran));
        let who = self.describe();
        let status = |source| {
            ExitStatus::new(source, self.client.end, Some(end), false, who.as_str().into()).with_strays(&self.strays)
        };
        log::debug!("{}: exit {} on {}", self.process.uuid(), end.code, request.host);
        let lost_start = self.failure_of_lost_start(ran).filter(|_| self.process.state() == State::LinkLost);
        if let Some(reason) = lost_start {
            return self.settle(Input::StartFailed, |_| Err(start_error(reason)));
        }
        self.settle(Input::Exit, |state| match state {
            State::Begun | State::Starting if !ran => {
                Err(start_error(self.failure_of_lost_start(ran).unwrap_or(StartFailure::Ended(end.code))))
            }
            State::Connecting | State::Begun | State::Starting => Err(start_error(StartFailure::Protocol)),
            State::TimingOut => Err(start_error(self.timed_out())),
            State::Closing => Ok(status(ExitSource::ManualKillThroughSshClient)),
            State::Ending => Ok(status(ExitSource::ManualKillThroughRemotePid)),
            State::LinkLost => Ok(lost),
            State::Running | State::Cancelling | State::Expiring | State::Ended | State::Failed | State::Detached => {
                Ok(status(ExitSource::RemoteMonitoring))
            }
        });
    }

    /// Returns why a start has failed whose link was lost. `None` if it has not: its program ran, or it was taken back.
    pub(crate) fn failure_of_lost_start(&self, ran: bool) -> Option<StartFailure> {
        match self.link.state_at_loss {
            // The code of its shell means nothing: the wrapper sent it HUP.
            State::Begun | State::Starting if !ran => Some(StartFailure::LinkLost),
            State::TimingOut => Some(self.timed_out()),
            _ => None,
        }
    }

    /// Settles a start that the wrapper reported as failed. It does so only for a start that failed by itself, whatever
    /// the manager asked for in the meantime.
    pub(crate) fn settle_start_failed(&self, failure: Failure) {
        let start_error = self.start_errors();
        let subject = subject_of(failure, &self.process.request);
        let reason = reason_of(failure, &self.process.request);
        self.settle(Input::StartFailed, |_| Err(start_error(reason).about(subject)));
    }

    /// Returns the error of a start that failed for this reason.
    pub(crate) fn start_error(&self, reason: StartFailure) -> Error {
        self.start_errors()(reason)
    }

    /// Returns a function that makes the errors of a failed start. The function takes no lock, because outcomes are
    /// made under the process's lock: the output is read here.
    fn start_errors(&self) -> impl Fn(StartFailure) -> Error {
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

    /// Returns the reason of a start that timed out.
    pub(crate) fn timed_out(&self) -> StartFailure {
        StartFailure::TimedOut {
            after: self.process.request.start_timeout,
            stage: self.start.stage,
            waited: self.start.waited,
        }
    }

    /// Returns why the client ended before the wrapper began.
    pub(crate) fn diagnose(&self) -> Error {
        let code = match self.client.end {
            ClientEnd::Seen(code) => Some(code),
            ClientEnd::Unseen | ClientEnd::NotStarted => None,
        };
        let mut said = self.client.diagnosis.get().bytes;
        // A client of a shared connection does not say why the connection ended.
        if let (true, Some(why)) = (said.is_empty(), &self.client.connection_end) {
            said = why.clone().into_bytes();
        }
        self.process.target().diagnose(code, &said)
    }

    /// Returns the name of the process for log lines.
    pub(crate) fn describe(&self) -> String {
        let Process { request, .. } = &*self.process;
        process::describe(&request.name, self.process.uuid(), &request.session, self.process.user().as_deref())
    }

    /// Returns why the link was lost: the last message of the client, or how it ended.
    fn last_words(&self) -> String {
        if let Some(why) = &self.client.connection_end {
            return why.clone();
        }
        let stderr = self.process.output.lock().stderr.last(DIAGNOSIS);
        let words = self.process.target().last_words(&stderr);
        let client = self.process.launcher.name();
        match (words, self.client.end) {
            (Some(words), _) => words,
            (None, ClientEnd::Seen(code @ 0..)) => format!("{client} ended with {code}"),
            (None, ClientEnd::Seen(signal)) => format!("{client} was ended by signal {}", -signal),
            (None, ClientEnd::Unseen | ClientEnd::NotStarted) => format!("{client} ended"),
        }
    }

    /// Returns the status of a process whose link was lost, with its exit if the host told it.
    pub(crate) fn lost_status(&self, end: Option<ApplicationEnd>) -> ExitStatus {
        let source = match (self.process.client_killed_as(), self.link.state_at_loss) {
            (Some(source), _) => source,
            (None, State::Ending) => ExitSource::ManualKillThroughRemotePid,
            (None, State::Closing) => ExitSource::ManualKillThroughSshClient,
            (None, _) => ExitSource::ClientMonitoring,
        };
        let client = match self.client.end {
            // ssh exits with 255, or with the code of the remote shell. What codes of other launchers mean is unknown.
            ClientEnd::Seen(0..) if !self.process.launcher.is_ssh() => ClientEnd::Unseen,
            end => end,
        };
        ExitStatus::new(source, client, end, true, self.describe().into())
    }
}

/// Returns the part of the request that failed, if it is one: a path, a setup line, the name of a variable.
fn subject_of(failure: Failure, request: &BootRequest) -> Option<String> {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let place = |number: u32| usize::try_from(number).ok()?.checked_sub(1);
    match failure {
        Failure::InUse | Failure::Runtime | Failure::NoProcess | Failure::PortTaken | Failure::PortTable => None,
        Failure::Step { step: Step::Limit, .. } => None,
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

/// Returns the error's reason for a failure that the wrapper reported.
fn reason_of(failure: Failure, request: &BootRequest) -> StartFailure {
    match failure {
        Failure::PortTaken => StartFailure::PortTaken(request.ready.as_ref().and_then(Ready::port).unwrap_or_default()),
        Failure::PortTable => StartFailure::NoPortTable,
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
        // The shell's code for a program that it cannot find.
        Failure::Step { step: Step::Exec, code: 127, .. } => StartFailure::ProgramNotFound,
        // The numbers of start.sh.
        Failure::Step { step: Step::Exec, number: 1, .. } => StartFailure::ProgramNotFile,
        Failure::Step { step: Step::Exec, number: 2, .. } => StartFailure::ProgramPermission,
        Failure::Step { step: Step::Exec, number: 3, .. } => StartFailure::ArgumentsTooLarge,
        Failure::Step { step: Step::Exec, .. } => StartFailure::NotExecutable,
    }
}
