//! The thread of one process: it connects, reads the reports, changes the state and tells of it, until the ssh client is
//! reaped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::{Pumped, SshClient, Stream};
use crate::connection::{Gate, Turn};
use crate::error::{Error, Result, SshFailure, StartFailure, StartStage};
use crate::event::{Event, Hub};
use crate::exit_status::{ApplicationEnd, ExitSource, ExitStatus};
use crate::limit::Limit;
use crate::options::Options;
use crate::output::Tail;
use crate::process::{Outcome, Process};
use crate::report::{Failure, NONCE_LENGTH, Piece, Report, Scanner, Step};
use crate::session::Session;
use crate::ssh;
use crate::state::{Action, Input, State};
use crate::sys;
use crate::wrapper;

/// What is kept of ssh's messages.
pub(crate) const DIAGNOSIS: usize = 4096;
/// The first pause before a connection that sshd dropped is tried again; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What all watchers of a manager share.
pub(crate) struct Shared {
    pub options: Options,
    pub gate: Gate,
    pub hub: Hub,
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
    /// The remote shell says 128+n without telling whether it was a signal.
    pub silent: bool,
    /// How the ssh client ended.
    pub client_end: Option<i32>,
    /// The state in which the link was lost.
    lost_from: State,
    /// What ssh said before the wrapper began.
    pub diagnosis: Tail,
}

/// Watches a process from its connection to its end.
pub(crate) fn watch(process: Arc<Process>, shared: Arc<Shared>) {
    process.set_pids(|pids| pids.client_monitoring = Some(sys::thread_id()));
    let start_deadline = process.started_at.checked_add(process.request.start_timeout);
    let mut watcher = Watcher {
        process,
        shared,
        start_deadline,
        stage: StartStage::Queued,
        remote: None,
        silent: false,
        client_end: None,
        lost_from: State::Running,
        diagnosis: Tail::default(),
    };
    watcher.run();
    watcher.process.end_watch();
}

impl Watcher {
    fn run(&mut self) {
        let shared = Arc::clone(&self.shared);
        let process = Arc::clone(&self.process);
        let connecting = || process.state() == State::Connecting;
        let mut retry_until = None;
        let mut pause = FIRST_PAUSE;
        loop {
            let turn = shared.gate.wait_turn(&process.request.host, self.start_deadline, || !connecting());
            let Some(turn) = turn else { return self.end_without_client() };
            let retry_until = *retry_until.get_or_insert_with(|| sys::deadline(shared.options.connect_timeout));
            match self.run_client(turn) {
                Err(error) => return self.settle(Input::ClientEnded, |_| Err(error)),
                Ok(()) if !connecting() => break,
                Ok(()) => {}
            }
            let error = self.diagnose();
            let next_try = sys::deadline(pause.mul_f64(sys::jitter()));
            let in_time = next_try.is_some_and(|next| retry_until.is_none_or(|until| next < until));
            if !ssh::is_worth_a_retry(&error) || !in_time {
                return self.settle_client_ended(&error);
            }
            log::debug!("{}: {error}; trying again", process.uuid());
            pause = (pause * 2).min(LONGEST_PAUSE);
            if let Some(next) = next_try {
                shared.gate.pause(next, || !connecting());
            }
        }
        let error = self.diagnose();
        self.settle_client_ended(&error);
        if process.state() == State::LinkLost {
            self.recover();
        }
    }

    /// No turn to connect came: the start was cancelled or its time is over.
    fn end_without_client(&mut self) {
        if self.process.state() == State::Connecting {
            self.process.take(Input::StartTimeout);
        }
        let error = self.start_timed_out();
        self.settle_client_ended(&error);
    }

    /// The client has ended: an input of every state but the settled ones.
    fn settle_client_ended(&mut self, error: &Error) {
        self.lost_from = self.process.state();
        let actions = self.process.take(Input::ClientEnded);
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
        let timed_out = self.start_timed_out();
        self.settle(Input::ClientEnded, |state| match state {
            State::Cancelling => Ok(cancelled),
            State::Expiring => Err(timed_out),
            _ => Err(error.clone()),
        });
    }

    /// Runs one ssh client to its end. An error is a local one: nothing was started.
    fn run_client(&mut self, turn: Turn) -> Result<()> {
        let request = &self.process.request;
        let nonce = nonce()?;
        let line = wrapper::start_line(&nonce, &self.process.instance, request);
        let mut client = spawn(&self.shared.options, &request.host, request.user.as_deref(), line)?;
        let lifeline = Arc::clone(client.lifeline());
        self.process.set_pids(|pids| pids.ssh_client = Some(lifeline.client_pid().into()));
        self.process.set_lifeline(Some(Arc::clone(&lifeline)));
        // A kill that came before the lifeline was there could not close it.
        if self.process.state() != State::Connecting {
            lifeline.close();
            lifeline.kill_client();
        }
        self.stage = StartStage::Connecting;
        self.diagnosis = Tail::default();
        let end = Session::new(self, nonce, turn).run(&mut client);
        self.process.set_lifeline(None);
        self.process.set_pids(|pids| pids.ssh_client = None);
        self.client_end = end?;
        Ok(())
    }

    fn settle(&self, input: Input, outcome: impl FnOnce(State) -> Outcome) {
        if !self.process.settle(input, outcome) {
            return;
        }
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
        let actions = self.process.take(Input::Running);
        if let (true, Some(remote)) = (actions.contains(&Action::TellStarted), &self.remote) {
            log::info!("{} runs with pid {}", self.describe(), remote.pid);
            self.shared.hub.send(&Event::Started { uuid: self.process.uuid().to_owned(), pid: remote.pid });
        }
    }

    pub(crate) fn exited(&self, end: ApplicationEnd, ran: bool) {
        if ran && !self.process.has_run() {
            // The wrapper's two processes report without an order.
            self.tell_running();
        }
        let request = &self.process.request;
        let failed = |reason| self.start_failed(reason);
        let (ended, protocol) = (failed(StartFailure::Ended(end.code)), failed(StartFailure::Protocol));
        let timed_out = self.start_timed_out();
        let status = |source| ExitStatus::new(source, self.client_end, Some(end), false, self.describe().into());
        log::debug!("{}: exit {} on {}", self.process.uuid(), end.code, request.host);
        self.settle(Input::Exit, |state| match state {
            State::Connecting => Err(protocol),
            State::Starting => Err(ended),
            State::Expiring => Err(timed_out),
            State::Cancelling => Ok(status(ExitSource::ManualKillThroughSshClient)),
            State::Ending => Ok(status(ExitSource::ManualKillThroughRemotePid)),
            State::LinkLost => Ok(self.lost_status(Some(end))),
            State::Running | State::Ended | State::Failed => Ok(status(ExitSource::RemoteMonitoring)),
        });
    }

    pub(crate) fn failed(&self, failure: Failure) {
        let failed = self.start_failed(self.reason_of(failure));
        let timed_out = self.start_timed_out();
        let code = match failure {
            Failure::Step { code, .. } => code,
            _ => 125,
        };
        let end = ApplicationEnd { code, signal: None, core_dumped: false, left_over: false };
        let status = |source| ExitStatus::new(source, self.client_end, Some(end), false, self.describe().into());
        self.settle(Input::StartFailed, |state| match state {
            State::Ending => Ok(status(ExitSource::ManualKillThroughRemotePid)),
            State::Cancelling => Ok(status(ExitSource::ManualKillThroughSshClient)),
            State::Expiring => Err(timed_out),
            _ => Err(failed),
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
        let request = &self.process.request;
        let output = self.process.output.lock().stderr.get().bytes;
        let output = String::from_utf8_lossy(&output[output.len().saturating_sub(DIAGNOSIS)..]).into_owned();
        Error::StartFailed {
            uuid: self.process.uuid().to_owned(),
            host: request.host.clone(),
            user: request.user.clone(),
            reason,
            output,
        }
    }

    fn start_timed_out(&self) -> Error {
        self.start_failed(StartFailure::TimedOut { after: self.process.request.start_timeout, stage: self.stage })
    }

    fn diagnose(&self) -> Error {
        let request = &self.process.request;
        ssh::diagnose(&request.host, request.user.as_deref(), self.client_end, &self.diagnosis.get().bytes)
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
        let stderr = self.process.output.lock().stderr.get().bytes;
        match (ssh::last_words(&stderr), self.client_end) {
            (Some(words), _) => words,
            (None, Some(code @ 0..)) => format!("ssh ended with {code}"),
            (None, Some(signal)) => format!("ssh was ended by signal {}", -signal),
            (None, None) => "ssh ended".to_owned(),
        }
    }

    fn lost_status(&self, end: Option<ApplicationEnd>) -> ExitStatus {
        let source = match self.lost_from {
            State::Ending => ExitSource::ManualKillThroughRemotePid,
            _ => ExitSource::ClientMonitoring,
        };
        ExitStatus::new(source, self.client_end, end, true, self.describe().into())
    }

    /// Asks the host after a process whose link was lost, until it answers or `lost_timeout` is over.
    fn recover(&mut self) {
        let shared = Arc::clone(&self.shared);
        let process = Arc::clone(&self.process);
        let until = sys::deadline(shared.options.lost_timeout);
        let mut pause = FIRST_PAUSE;
        while let Some(turn) = shared.gate.wait_turn(&process.request.host, until, || process.is_released()) {
            match self.inquire(turn, until) {
                Ok(Some((end, ran))) => return self.exited(end, ran),
                Ok(None) => break,
                Err(error) => log::debug!("{}: asking after it: {error}", process.uuid()),
            }
            let Some(next) = sys::deadline(pause.mul_f64(sys::jitter())) else { break };
            if until.is_some_and(|until| next >= until) || !shared.gate.pause(next, || process.is_released()) {
                break;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        let input = if process.is_released() { Input::Release } else { Input::GivenUp };
        self.settle(input, |_| Ok(self.lost_status(None)));
    }

    /// One question. `None`: the process is gone, and nobody knows how it ended.
    fn inquire(&self, turn: Turn, until: Option<Instant>) -> Result<Option<(ApplicationEnd, bool)>> {
        let request = &self.process.request;
        let Some(Remote { pid, start_time, boot_id }) = &self.remote else { return Ok(None) };
        let nonce = nonce()?;
        // The wrapper may need its whole grace, and some time to be scheduled.
        let grace = ssh::whole_seconds(request.grace).saturating_add(2);
        let line = wrapper::inquiry_line(&nonce, &self.process.instance, *pid, start_time, boot_id, grace);
        let mut client = spawn(&self.shared.options, &request.host, request.user.as_deref(), line)?;
        let mut turn = Some(turn);
        let mut scanner = Scanner::silent(nonce, self.silent);
        let mut diagnosis = Tail::default();
        let mut answer = None;
        let deadline = until.and_then(|until| until.checked_add(Duration::from_secs(grace)));
        loop {
            let pumped = client.pump(deadline, |stream, bytes| {
                if stream == Stream::Stderr {
                    scanner.push(bytes, &mut |piece| match piece {
                        Piece::Data(bytes) => diagnosis.push(bytes, DIAGNOSIS),
                        Piece::Report(Report::Begin { .. }) => turn = None,
                        Piece::Report(Report::Exit { end, ran }) => answer = Some(Some((end, ran))),
                        Piece::Report(Report::Gone) => answer = Some(None),
                        Piece::Report(_) | Piece::Unknown(_) => {}
                    });
                }
            });
            let pumped = pumped.map_err(|e| Error::local("reading from ssh", e))?;
            if let Some(answer) = answer {
                return Ok(answer);
            }
            match pumped {
                Pumped::Some => {}
                Pumped::Deadline => {
                    let (host, user) = (request.host.clone(), request.user.clone());
                    return Err(Error::Ssh { host, user, failure: SshFailure::TimedOut, stderr: String::new() });
                }
                Pumped::Ended(code) => {
                    return Err(ssh::diagnose(&request.host, request.user.as_deref(), code, &diagnosis.get().bytes));
                }
            }
        }
    }
}

fn spawn(options: &Options, host: &str, user: Option<&str>, line: Vec<u8>) -> Result<SshClient> {
    SshClient::spawn(options, host, user, line).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied => Error::Ssh {
            host: host.to_owned(),
            user: user.map(str::to_owned),
            failure: SshFailure::SshNotFound,
            stderr: format!("{}: {error}", options.ssh_program.display()),
        },
        _ => Error::local(format!("starting ssh to {host}"), error),
    })
}

fn nonce() -> Result<[u8; NONCE_LENGTH]> {
    let random = sys::random::<{ NONCE_LENGTH / 2 }>().map_err(|e| Error::local("making a nonce", e))?;
    let digit = |half: u8| b"0123456789abcdef"[usize::from(half)];
    let mut nonce = [0; NONCE_LENGTH];
    for (pair, byte) in nonce.chunks_exact_mut(2).zip(random) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    Ok(nonce)
}
