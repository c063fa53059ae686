//! One run of one ssh client for one process: its reports are read and given to its case.

use std::time::{Duration, Instant};

use crate::case::{AttachOutcome, Case, Remains, Remote};
use crate::client::{Client, Pumped, Stream};
use crate::error::{Error, Result, StartStage};
use crate::exit_status::{ApplicationEnd, ClientEnd};
use crate::lease::Lease;
use crate::output::{DIAGNOSIS, OutputStream};
use crate::process::Process;
use crate::report::{NONCE_LENGTH, Piece, Report, Scanner, Warning};
use crate::seat::Seat;
use crate::state::{Action, Input, State};
use crate::sys;
use crate::wrapper;

/// How long the end of stdout may come after the exit report: the two have no order.
const STDOUT_AFTER_EXIT: Duration = Duration::from_secs(1);
/// How long the files of output may give nothing, after the exit report of an application that is kept.
const REST_AFTER_EXIT: Duration = Duration::from_secs(30);
/// How long a host may take to find an application that is kept.
const ANSWER: Duration = Duration::from_secs(10);
/// How long ssh may live after the wrapper's last report. A daemon that holds its streams keeps it for ever.
const CLIENT_AFTER_CLEAN: Duration = Duration::from_millis(250);
/// How long a wrapper waits for its good-bye when its application was ended together with others. Its clean-up, and the end
/// of its session, cost more than the end itself, and none is to wait for the clean-up of another.
const GOODBYE_AFTER: Duration = Duration::from_millis(100);
/// How many processes that could not be ended a status names.
const MOST_STRAYS: usize = 1000;
/// How long the remote side may take to end, beyond its grace, before the client is killed.
const CLOSING: Duration = Duration::from_secs(5);

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Start,
    /// To take over an application that is kept.
    Attach,
}

/// One run of one ssh client.
pub(crate) struct Channel<'a, 's, 'p> {
    case: &'a mut Case,
    purpose: Purpose,
    stdout: Scanner,
    stderr: Scanner,
    seat: &'s mut Seat<'p>,
    /// When to look whether the connection hangs, or the state has changed meanwhile.
    look_at: Option<Instant>,
    /// When a connection of its own that does not tick counts as dead.
    lease_until: Option<Instant>,
    /// Start-up files have said what they had to say on stdout.
    output_begun: bool,
    /// All that the application wrote to stdout was read.
    output_ended: bool,
    /// The application has ended, and stdout has not; until when to wait for it.
    exit: Option<(ApplicationEnd, bool, Instant)>,
    kill_client_at: Option<Instant>,
    /// When the wrapper may go, whose exit report was read.
    goodbye_at: Option<Instant>,
    /// When the client is ended without a good-bye, which would end or remove what is kept: the host has not answered an attempt to
    /// take it over, or its output was not read to its end.
    cut_client_at: Option<Instant>,
    /// The rest of the output files: how many of the two have come.
    rests: usize,
    /// The host cannot keep the lease.
    is_unleased: bool,
    /// What was warned of. A host that repeats itself must not fill the log.
    warned: Vec<Warning>,
    has_unknown: bool,
}

impl<'a, 's, 'p> Channel<'a, 's, 'p> {
    pub(crate) fn new(
        case: &'a mut Case,
        purpose: Purpose,
        nonce: [u8; NONCE_LENGTH],
        seat: &'s mut Seat<'p>,
    ) -> Channel<'a, 's, 'p> {
        Channel {
            case,
            purpose,
            stdout: Scanner::new(nonce),
            stderr: Scanner::new(nonce),
            seat,
            look_at: sys::deadline(Seat::LOOK_AFTER),
            lease_until: None,
            output_begun: false,
            output_ended: false,
            exit: None,
            kill_client_at: None,
            goodbye_at: None,
            cut_client_at: None,
            rests: 0,
            is_unleased: false,
            warned: Vec::new(),
            has_unknown: false,
        }
    }

    /// Reads until the client has ended, and gives its code. An error is a local one.
    pub(crate) fn run(&mut self, client: &mut Client) -> Result<ClientEnd> {
        loop {
            let deadline = self.next_deadline();
            let pumped =
                client.pump(deadline, |stream, bytes| self.scan(stream, |scanner, sink| scanner.push(bytes, sink)));
            match pumped.map_err(|e| Error::local("reading from a launcher", e))? {
                Pumped::Some | Pumped::Deadline => self.handle_deadlines(client),
                Pumped::Ended(code) => {
                    let end = code.map_or(ClientEnd::Unseen, ClientEnd::Seen);
                    self.finish(end);
                    return Ok(end);
                }
            }
        }
    }

    fn process(&self) -> &Process {
        &self.case.process
    }

    fn next_deadline(&self) -> Option<Instant> {
        let start = self.case.start.deadline.filter(|_| self.process().state().is_starting());
        let exit = self.exit.map(|(_, _, until)| until).filter(|_| !self.awaits_client());
        let own = [self.kill_client_at, self.goodbye_at, self.look_at, self.lease_until, self.cut_client_at];
        own.into_iter().chain([start, exit]).flatten().min()
    }

    fn handle_deadlines(&mut self, client: &Client) {
        let now = Instant::now();
        let is_over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if is_over(self.exit.map(|(_, _, until)| until)) {
            self.announce_exit();
        }
        if self.process().state().is_starting() && is_over(self.case.start.deadline) {
            self.process().take(Input::StartTimeout);
        }
        if self.kill_client_at.is_none() {
            self.kill_client_at = match self.process().state() {
                State::Closing | State::TimingOut => {
                    sys::deadline(self.process().request.grace.saturating_add(CLOSING))
                }
                // Its client was killed already.
                State::Cancelling | State::Expiring => sys::deadline(CLOSING),
                // Only the clean-up is left; a broken or hostile wrapper never ends. A kept process waits for the program.
                State::Ended | State::Failed if self.awaits_acknowledgement() => None,
                State::Ended | State::Failed => sys::deadline(CLOSING),
                _ => None,
            };
        }
        if is_over(self.goodbye_at) {
            self.process().say_goodbye();
            self.goodbye_at = None;
        }
        if is_over(self.look_at) {
            // Nothing has run: the session can begin on another connection.
            if !self.seat.has_begun() && self.seat.hangs() {
                client.lifeline().kill_client();
            }
            self.look_at = sys::deadline(Seat::LOOK_AFTER).filter(|_| self.may_change_unseen());
        }
        if is_over(self.lease_until) {
            // A wrapper whose input has ended sends no more ticks, and may need its whole grace: `kill_client_at` is for that.
            if !matches!(self.process().state(), State::Closing | State::TimingOut) {
                log::warn!("{}: its connection does not answer and is ended", self.case.describe());
                client.lifeline().kill_client();
            }
            self.lease_until = None;
        }
        if is_over(self.cut_client_at) {
            client.lifeline().cut();
            client.lifeline().kill_client();
            self.cut_client_at = None;
        }
        if is_over(self.kill_client_at) {
            client.lifeline().close();
            client.lifeline().kill_client();
            self.kill_client_at = None;
        }
    }

    /// Whether another thread can change the state, which decides on the deadlines, while the host says nothing: it closes the
    /// lifeline of a start, or takes the exit of a kept process.
    fn may_change_unseen(&self) -> bool {
        match self.process().state() {
            State::Connecting | State::Begun => true,
            // It came to this since the deadlines were set.
            State::Closing | State::TimingOut => self.kill_client_at.is_none(),
            State::Ended | State::Failed => self.case.remains == Remains::OnHost,
            _ => false,
        }
    }

    /// Has a stream's scanner find the pieces, and takes them.
    fn scan(&mut self, stream: Stream, find: impl FnOnce(&mut Scanner, &mut dyn FnMut(Piece))) {
        let mut scanner = std::mem::take(self.scanner(stream));
        find(&mut scanner, &mut |piece| self.take(stream, piece));
        *self.scanner(stream) = scanner;
    }

    fn scanner(&mut self, stream: Stream) -> &mut Scanner {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    fn take(&mut self, stream: Stream, piece: Piece) {
        match piece {
            Piece::Data(bytes) => self.keep(stream, bytes),
            Piece::Report(report) => {
                if stream == Stream::Stderr {
                    self.case.spool.confirm();
                    self.resume(&report);
                }
                self.report(report);
            }
            Piece::Unknown(line) => {
                if !std::mem::replace(&mut self.has_unknown, true) {
                    let line = String::from_utf8_lossy(line);
                    log::warn!(
                        "{}: a report that is none, and may not be the only one: {line:?}",
                        self.process().uuid()
                    );
                }
            }
        }
    }

    fn keep(&mut self, stream: Stream, bytes: &[u8]) {
        let limit = self.case.shared.options().output_limit;
        match stream {
            Stream::Stderr if !self.seat.has_begun() => self.case.client.diagnosis.push(bytes, DIAGNOSIS),
            Stream::Stderr if self.has_spool() => {
                let new = self.case.spool.stderr(bytes);
                self.case.process.output.lock().push(OutputStream::Stderr, new, limit);
                if self.case.spool.wants_report() {
                    self.send("mark\n");
                }
            }
            Stream::Stderr => self.process().output.lock().push(OutputStream::Stderr, bytes, limit),
            Stream::Stdout if self.output_begun => {
                self.case.spool.stdout(bytes);
                self.process().output.lock().push(OutputStream::Stdout, bytes, limit)
            }
            Stream::Stdout => {}
        }
        if let (true, Some((end, ran, _))) = (self.has_spool(), self.exit) {
            // A file that is long takes its time.
            self.exit = Some((end, ran, Instant::now() + REST_AFTER_EXIT));
        }
    }

    /// The output is kept in files on the host.
    fn has_spool(&self) -> bool {
        self.process().is_kept() && self.process().request.log_file.is_none()
    }

    fn send(&self, line: &str) {
        if let Some(lifeline) = self.process().lifeline() {
            lifeline.send(line);
        }
    }

    /// Any report behind `begin` shows that the wrapper has read the block that it was sent.
    fn resume(&self, report: &Report) {
        if let (false, Some(lifeline)) = (matches!(report, Report::Begin { .. }), self.process().lifeline()) {
            lifeline.resume();
        }
    }

    fn report(&mut self, report: Report) {
        match report {
            // The first one stands, as of all that a wrapper says once.
            Report::Begin { .. } if self.seat.has_begun() => {}
            Report::Begin { wrapper_pid, user } => {
                self.seat.begun();
                if let Some(lifeline) = self.process().lifeline() {
                    lifeline.begun();
                }
                if self.seat.connection().is_none() {
                    self.renew_lease();
                }
                self.case.start.stage = StartStage::Setup;
                self.process().set_pids(|pids| pids.remote_monitoring = Some(wrapper_pid));
                if let Some(user) = user {
                    self.process().set_user(user);
                }
                match self.purpose {
                    Purpose::Start => self.begin(),
                    Purpose::Attach => self.cut_client_at = sys::deadline(ANSWER),
                }
            }
            Report::OutputBegin => self.output_begun = true,
            Report::Pid { .. } if self.case.remote.is_some() => {}
            Report::Pid { pid, start_time, boot_id } => self.pid(Remote { pid, start_time, boot_id }),
            Report::Wrapper { pid } => self.process().set_pids(|pids| pids.remote_monitoring = Some(pid)),
            Report::Attached { running } => {
                if self.purpose == Purpose::Attach {
                    self.cut_client_at = None;
                    self.case.link_restored(running);
                    if !running {
                        // The link may have broken before the wrapper read it. Said twice, it is heard once.
                        self.send("keep\n");
                    }
                }
            }
            Report::Refused => self.case.link.attach_outcome = AttachOutcome::Refused,
            Report::Gone => {
                self.case.link.attach_outcome = AttachOutcome::Gone;
                self.case.remains = Remains::Nothing;
            }
            Report::Running => self.case.announce_started(),
            Report::Stray { pid } if self.case.strays.len() < MOST_STRAYS => self.case.strays.push(pid),
            // A host that names more is broken, or hostile.
            Report::Stray { .. } => {}
            Report::Rest(_) => {
                self.rests += 1;
                if self.rests == 2 {
                    self.announce_exit();
                }
            }
            Report::Fail(failure) => self.case.settle_start_failed(failure),
            Report::Answer { id, done } => self.process().answer(id, done),
            Report::Warning(warning) => self.warn(warning),
            Report::Eof => {
                self.output_ended = true;
                self.end_of_output();
            }
            Report::Exit { end, ran } => {
                if ran && self.process().is_kept() {
                    self.case.remains = Remains::OnHost;
                }
                self.process().note_exit();
                // The first report stands.
                let patience = if self.has_spool() { REST_AFTER_EXIT } else { STDOUT_AFTER_EXIT };
                self.exit.get_or_insert((end, ran, Instant::now() + patience));
                if self.output_ended || self.process().request.log_file.is_some() {
                    self.end_of_output();
                }
            }
            Report::Clean => {
                self.case.remains = Remains::Nothing;
                let has_output = self.process().request.log_file.is_none() && !self.output_ended;
                let at = sys::deadline(if has_output { STDOUT_AFTER_EXIT } else { CLIENT_AFTER_CLEAN });
                // One that is said again is no reason to wait longer.
                self.kill_client_at = [self.kill_client_at, at].into_iter().flatten().min();
            }
            Report::Tick => {
                self.renew_lease();
                self.send("ping\n");
            }
            // ssh's own ServerAlive remains.
            Report::Unleased if self.is_unleased => {}
            Report::Unleased => {
                log::warn!(
                    "{}: its host is short of processes: its connection has no lease any more",
                    self.case.describe()
                );
                self.lease_until = None;
                self.is_unleased = true;
            }
            // The answers of other scripts.
            Report::Pong | Report::Problem(_) | Report::Found { .. } | Report::Cleaned { .. } => {}
        }
    }

    /// Has the wrapper start the application. Without this word nothing starts: the wrapper may begin long after this start was given
    /// up.
    fn begin(&self) {
        let process = self.process();
        let Some(lifeline) = process.lifeline() else { return };
        // Before the state changes: a kill that finds the wrapper begun closes the lifeline, and a wrapper that has not got its
        // go reports nothing.
        lifeline.hold();
        let (_, actions) = process.take(Input::Begin);
        if actions.contains(&Action::SendGo) {
            lifeline.send_block(wrapper::start_block(&process.instance, &process.request));
        }
    }

    /// The application has ended, or all that it wrote to stdout is here; or both. What it wrote to files is asked for from
    /// where it is known to be here: to read them to their ends takes longer than to learn of the exit.
    fn end_of_output(&mut self) {
        match (self.has_spool(), self.exit) {
            (true, Some(_)) => {
                let (stdout, stderr) = self.case.spool.positions();
                self.send(&format!("rest {stdout} {stderr}\n"));
            }
            (true, None) => {}
            (false, _) => self.announce_exit(),
        }
    }

    fn renew_lease(&mut self) {
        if self.is_unleased {
            return;
        }
        self.lease_until = Lease::of(self.case.shared.options()).end(Instant::now());
    }

    fn pid(&mut self, remote: Remote) {
        let request = &self.process().request;
        let (launcher, uuid) = (&self.process().launcher, self.process().uuid());
        if launcher.is_ssh() {
            let destination = match &request.user {
                Some(user) => format!("{user}@{}", request.host),
                None => request.host.clone(),
            };
            log::debug!("{uuid}: to kill it by hand: ssh {destination} kill -9 {}", remote.pid);
        } else {
            log::debug!("{uuid}: to kill it by hand, on {}: kill -9 {}", request.host, remote.pid);
        }
        if let Some(client) = self.process().pids().ssh_client {
            log::debug!("{uuid}: to kill its {} client by hand: kill -9 {client}", launcher.name());
        }
        self.process().set_pids(|pids| pids.remote = Some(remote.pid));
        self.case.remote = Some(remote);
        let (before, _) = self.process().take(Input::Pid);
        // The wrapper waits for this, so that no application runs on whose pid nobody knows.
        if before == State::Begun && self.process().is_kept() {
            self.send("keep\n");
        }
    }

    fn warn(&mut self, warning: Warning) {
        if self.warned.contains(&warning) {
            return;
        }
        self.warned.push(warning);
        let what = match warning {
            Warning::Metadata => "its metadata file could not be written; is the runtime directory's disk full?",
            Warning::Runtime => "its host has no runtime directory that can be used: it has no metadata file",
            Warning::Signals => "its host has neither env --default-signal nor perl: it ignores INT and QUIT",
            Warning::Group => "it has no process group of its own (the host has no setsid): signals reach it alone",
            Warning::Files => {
                "its files on its host were removed by somebody, or cannot be removed: is its runtime directory read-only?"
            }
        };
        log::warn!("{}: {what}", self.case.describe());
    }

    /// While the lifeline is closed, the end is announced when the ssh client has ended too: its code belongs to the status.
    fn awaits_client(&self) -> bool {
        self.process().state() == State::Closing
    }

    /// The exit of a kept process stays on its host until the program has taken it.
    fn awaits_acknowledgement(&self) -> bool {
        self.case.remains == Remains::OnHost && !self.process().is_acknowledged()
    }

    /// Whether the output of the application has arrived, as far as it is ever to arrive.
    fn has_all_output(&self) -> bool {
        let is_given_up = matches!(self.process().state(), State::Closing | State::TimingOut);
        !self.has_spool() || self.rests == 2 || is_given_up
    }

    /// Announces the exit that was reported.
    fn announce_exit(&mut self) {
        if self.awaits_client() {
            return;
        }
        if !self.has_all_output() {
            // Another link reads the rest, and gets the exit again.
            log::warn!("{}: its output stopped before its end; a new link reads the rest", self.case.describe());
            self.exit = None;
            self.cut_client_at = Some(Instant::now());
            return;
        }
        let Some((end, ran, _)) = self.exit.take() else { return };
        self.case.settle_exit(end, ran);
        if self.awaits_acknowledgement() {
            self.look_at = sys::deadline(Seat::LOOK_AFTER);
            return;
        }
        if self.process().ends_together() {
            // The wrapper waits for its good-bye: without, it leaves word of the end for whoever asks.
            self.goodbye_at = sys::deadline(GOODBYE_AFTER);
        } else {
            self.process().say_goodbye();
        }
    }

    fn finish(&mut self, end: ClientEnd) {
        self.case.client.end = end;
        for stream in [Stream::Stdout, Stream::Stderr] {
            self.scan(stream, Scanner::finish);
        }
        if !self.has_all_output() {
            return;
        }
        if let Some((end, ran, _)) = self.exit.take() {
            self.case.settle_exit(end, ran);
        }
    }
}
