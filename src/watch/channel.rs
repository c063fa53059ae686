//! One run of one client, of ssh or another launcher: reads the wrapper's reports and acts on them.
//!
//! A channel is what one client carries: one ssh session on a connection. It lives on the thread of its process's
//! watcher and borrows the [`Case`] of that process.

use std::mem;
use std::time::{Duration, Instant};

use crate::connect::seat::Seat;
use crate::local::client::{Client, Pumped, Stream};
use crate::local::sys;
use crate::model::error::{Error, Result, StartStage};
use crate::model::exit_status::ClientEnd;
use crate::model::output::{DIAGNOSIS, OutputStream};
use crate::remote::lease::Lease;
use crate::remote::report::{NONCE_LENGTH, Piece, Report, Scanner, Unready, Warning};
use crate::remote::start;
use crate::watch::case::{AttachOutcome, Case, ReadyClock, Remains, Remote, ReportedExit};
use crate::watch::process::Process;
use crate::watch::readiness::{self, Readiness};
use crate::watch::state::{Action, Input, State};

/// How long the end of stdout may come after the exit report: the two have no order.
const STDOUT_AFTER_EXIT: Duration = Duration::from_secs(1);
/// How long no output may come after the exit report of a kept process before a new link reads the rest.
const REST_AFTER_EXIT: Duration = Duration::from_secs(30);
/// How long a host may take to find a kept process.
const ANSWER: Duration = Duration::from_secs(10);
/// How long ssh may live after the wrapper's last report. A daemon that holds its streams keeps it for ever.
const CLIENT_AFTER_CLEAN: Duration = Duration::from_millis(250);
/// How long a wrapper waits for its good-bye when several processes are ended together. Its clean-up and the end of its
/// channel cost more than the end of the application, and no application should wait for the clean-up of another one.
const GOODBYE_AFTER: Duration = Duration::from_millis(100);
/// The most strays that a status names.
const MOST_STRAYS: usize = 1000;
/// How long the remote side may take to end, beyond its grace, before the client is killed.
const CLOSING: Duration = Duration::from_secs(5);
/// The pauses between two looks at a port.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a host may take to look at a port before it is asked again: somebody can have killed the shell that reads
/// the commands.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// A kept process has two output files: of stdout and of stderr.
const OUTPUT_FILES: usize = 2;

/// What a channel is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To start a process.
    Start,
    /// To get a link to a kept process that runs already.
    Attach,
}

/// One run of one client.
pub(crate) struct Channel<'a, 's, 'p> {
    case: &'a mut Case,
    purpose: Purpose,
    stdout: Scanner,
    stderr: Scanner,
    seat: &'s mut Seat<'p>,
    timers: Timers,
    lease: OwnLease,
    port: PortLooks,
    output: OutputProgress,
    exit: Option<PendingExit>,
    /// The warnings that were logged: a host that repeats itself must not fill the log.
    warned: Vec<Warning>,
    /// An unknown report was logged.
    warned_of_unknown: bool,
}

/// How far the output of the application has come.
#[derive(Default)]
struct OutputProgress {
    /// The output of start-up files on stdout is over.
    has_begun: bool,
    /// All that the application wrote to stdout has arrived.
    has_ended: bool,
    /// How many of a kept process's output files have arrived to their ends.
    complete_files: usize,
}

/// When the manager asks whether something listens on the port of the application.
struct PortLooks {
    /// The next time. `None`: it is not asked about.
    look: Option<Instant>,
    /// The pause after the next answer.
    pause: Duration,
}

/// An exit that was reported and waits for the rest of the output.
#[derive(Clone, Copy)]
struct PendingExit {
    exit: ReportedExit,
    /// How long it waits.
    until: Instant,
}

/// The lease of a channel that has a connection of its own.
#[derive(Clone, Copy)]
enum OwnLease {
    /// It does not run: until the wrapper begins, or after its end until the next tick.
    Idle,
    /// The connection counts as dead at this time, unless a tick comes before.
    Until(Instant),
    /// The host can no longer tick. ssh's own ServerAlive remains.
    Abandoned,
}

/// The times that a channel has set itself. [`Channel::deadline_of`] adds those that follow from its state.
#[derive(Default)]
struct Timers {
    look: Option<Instant>,
    goodbye: Option<Instant>,
    cut_client: Option<Instant>,
    kill_client: Option<Instant>,
}

/// What a channel does when a time has come, although its client writes nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deadline {
    /// Announce the exit although its output has not ended.
    Exit,
    /// Let the start time out.
    Start,
    /// Let the process count as not ready.
    Ready,
    /// Ask the host whether something listens on the port of the application.
    LookAtPort,
    /// Tell the wrapper that it may go: its exit report was read.
    Goodbye,
    /// Look whether the connection hangs, or another thread has changed the state.
    Look,
    /// End a connection of the channel's own that does not tick.
    Lease,
    /// End the client without a good-bye, which would end or remove what is kept: the host has not answered an attempt
    /// to attach, or the rest of the output has not arrived.
    CutClient,
    /// End the client.
    KillClient,
}

impl Deadline {
    /// Those that change the state. They are handled first, because the state decides when to kill the client.
    const OF_STATE: [Deadline; 2] = [Deadline::Exit, Deadline::Start];
    /// All others, in the order in which they are handled.
    const OTHERS: [Deadline; 7] = [
        Deadline::Ready,
        Deadline::LookAtPort,
        Deadline::Goodbye,
        Deadline::Look,
        Deadline::Lease,
        Deadline::CutClient,
        Deadline::KillClient,
    ];
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
            timers: Timers { look: sys::deadline(Seat::LOOK_AFTER), ..Timers::default() },
            lease: OwnLease::Idle,
            port: PortLooks { look: None, pause: FIRST_PAUSE },
            output: OutputProgress::default(),
            exit: None,
            warned: Vec::new(),
            warned_of_unknown: false,
        }
    }

    /// Reads until the client has ended, and returns how it ended. An error says that this machine cannot read its
    /// output.
    pub(crate) fn run(&mut self, client: &mut Client) -> Result<ClientEnd> {
        loop {
            let deadline = self.next_deadline();
            let pumped =
                client.pump(deadline, |stream, bytes| self.scan(stream, |scanner, sink| scanner.push(bytes, sink)));
            match pumped.map_err(|e| Error::local("reading from a launcher", e))? {
                // A host that writes without end must not hold the deadlines up.
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

    // ---- deadlines ----

    /// Returns when there is something to do although the client writes nothing.
    fn next_deadline(&self) -> Option<Instant> {
        let all = Deadline::OF_STATE.into_iter().chain(Deadline::OTHERS);
        all.filter_map(|deadline| self.deadline_of(deadline)).min()
    }

    /// Returns the time of a deadline, if it has one in this state.
    fn deadline_of(&self, deadline: Deadline) -> Option<Instant> {
        match deadline {
            Deadline::Exit => self.exit.filter(|_| !self.awaits_client()).map(|pending| pending.until),
            Deadline::Start => self.case.start.deadline.filter(|_| self.process().state().is_starting()),
            // It says nothing of a process that is asked to end, has ended, or has lost its link.
            Deadline::Ready => match self.case.ready.clock {
                ReadyClock::Until(end) => end.filter(|_| self.waits_to_be_ready()),
                ReadyClock::Stopped => None,
            },
            Deadline::LookAtPort => self.port.look.filter(|_| self.waits_to_be_ready()),
            Deadline::Goodbye => self.timers.goodbye,
            // A process that runs wakes nobody.
            Deadline::Look => self.timers.look.filter(|_| self.may_change_unseen()),
            Deadline::Lease => match self.lease {
                OwnLease::Until(end) => Some(end),
                OwnLease::Idle | OwnLease::Abandoned => None,
            },
            Deadline::CutClient => self.timers.cut_client,
            Deadline::KillClient => self.timers.kill_client,
        }
    }

    /// Handles the deadlines that are over.
    fn handle_deadlines(&mut self, client: &Client) {
        let now = Instant::now();
        let is_over = |channel: &Self, deadline| channel.deadline_of(deadline).is_some_and(|at| at <= now);
        for deadline in Deadline::OF_STATE {
            if is_over(self, deadline) {
                self.handle_deadline(deadline, client);
            }
        }
        if self.timers.kill_client.is_none() {
            self.timers.kill_client = self.time_to_kill_client();
        }
        for deadline in Deadline::OTHERS {
            if is_over(self, deadline) {
                self.handle_deadline(deadline, client);
            }
        }
    }

    fn handle_deadline(&mut self, deadline: Deadline, client: &Client) {
        match deadline {
            Deadline::Exit => self.announce_exit(),
            Deadline::Start => {
                self.process().take(Input::StartTimeout);
            }
            Deadline::Ready => {
                self.case.take_readiness(readiness::Input::TimedOut);
                // Its host need not look any longer.
                self.send("late\n");
            }
            Deadline::LookAtPort => {
                self.send("look\n");
                self.port.look = sys::deadline(LOOK_AGAIN);
            }
            Deadline::Goodbye => {
                self.process().say_goodbye();
                self.timers.goodbye = None;
            }
            Deadline::Look => {
                // Nothing has run: the process can start on another connection.
                if !self.seat.has_begun() && self.seat.hangs() {
                    client.lifeline().kill_client();
                }
                self.timers.look = sys::deadline(Seat::LOOK_AFTER);
            }
            Deadline::Lease => {
                // A wrapper whose input has ended sends no more ticks, and may need its whole grace: the deadline to
                // kill its client is for that.
                if !matches!(self.process().state(), State::Closing | State::TimingOut) {
                    log::warn!("{}: its connection does not answer and is ended", self.case.describe());
                    client.lifeline().kill_client();
                }
                self.lease = OwnLease::Idle;
            }
            Deadline::CutClient => {
                client.lifeline().cut();
                client.lifeline().kill_client();
                self.timers.cut_client = None;
            }
            Deadline::KillClient => {
                client.lifeline().close();
                client.lifeline().kill_client();
                self.timers.kill_client = None;
            }
        }
    }

    fn waits_to_be_ready(&self) -> bool {
        let process = self.process();
        process.state() == State::Running && !process.has_exited() && process.readiness() == Readiness::Waiting
    }

    /// Returns when to kill the client, which should end by itself in this state.
    fn time_to_kill_client(&self) -> Option<Instant> {
        match self.process().state() {
            State::Closing | State::TimingOut => sys::deadline(self.process().request.grace.saturating_add(CLOSING)),
            // Its client was killed already.
            State::Cancelling | State::Expiring => sys::deadline(CLOSING),
            // Only the clean-up is left; a broken or hostile wrapper never ends. A kept process waits for the program.
            State::Ended | State::Failed if self.awaits_acknowledgement() => None,
            State::Ended | State::Failed => sys::deadline(CLOSING),
            _ => None,
        }
    }

    /// Returns whether another thread can change the state, which decides on the deadlines, while the host says
    /// nothing: it closes the lifeline of a start, or acknowledges the exit of a kept process.
    fn may_change_unseen(&self) -> bool {
        match self.process().state() {
            State::Connecting | State::Begun => true,
            // The state became this after the deadlines were set.
            State::Closing | State::TimingOut => self.timers.kill_client.is_none(),
            State::Ended | State::Failed => self.case.remains == Remains::OnHost,
            _ => false,
        }
    }

    // ---- the client's streams ----

    /// Lets a stream's scanner find the pieces, and takes them.
    fn scan(&mut self, stream: Stream, find: impl FnOnce(&mut Scanner, &mut dyn FnMut(Piece))) {
        let mut scanner = mem::take(self.scanner(stream));
        find(&mut scanner, &mut |piece| self.take_piece(stream, piece));
        *self.scanner(stream) = scanner;
    }

    fn scanner(&mut self, stream: Stream) -> &mut Scanner {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    fn take_piece(&mut self, stream: Stream, piece: Piece) {
        match piece {
            Piece::Data(bytes) => self.take_output(stream, bytes),
            Piece::Report(report) => {
                if stream == Stream::Stderr {
                    self.case.spool.confirm();
                    self.resume(&report);
                }
                self.take_report(report);
            }
            Piece::Unknown(line) => {
                if !mem::replace(&mut self.warned_of_unknown, true) {
                    let line = String::from_utf8_lossy(line);
                    log::warn!(
                        "{}: its wrapper sent an unknown report; further ones are not logged: {line:?}",
                        self.process().uuid()
                    );
                }
            }
        }
    }

    /// Keeps bytes that are not a report: messages of ssh until the wrapper begins, then output of the application.
    fn take_output(&mut self, stream: Stream, bytes: &[u8]) {
        let limit = self.case.shared.options().output_limit;
        match stream {
            Stream::Stderr if !self.seat.has_begun() => self.case.client.diagnosis.push(bytes, DIAGNOSIS),
            Stream::Stderr if self.has_spool() => {
                let new = self.case.spool.stderr(bytes);
                self.case.process.output.lock().push(OutputStream::Stderr, new, limit);
                let is_ready = self.case.look_for_sign(OutputStream::Stderr, new);
                self.tell_ready(is_ready);
                if self.case.spool.wants_report() {
                    self.send("mark\n");
                }
            }
            Stream::Stderr => {
                self.process().output.lock().push(OutputStream::Stderr, bytes, limit);
                self.case.look_for_sign(OutputStream::Stderr, bytes);
            }
            Stream::Stdout if self.output.has_begun => {
                self.case.spool.stdout(bytes);
                self.process().output.lock().push(OutputStream::Stdout, bytes, limit);
                let is_ready = self.case.look_for_sign(OutputStream::Stdout, bytes);
                self.tell_ready(is_ready);
            }
            Stream::Stdout => {}
        }
        if let (true, Some(pending)) = (self.has_spool(), &mut self.exit) {
            // A long file takes its time.
            pending.until = Instant::now() + REST_AFTER_EXIT;
        }
    }

    /// Lets the host of a kept process write down that it is ready: only this manager has seen the sign.
    fn tell_ready(&self, is_ready: bool) {
        if is_ready && self.process().is_kept() {
            self.send("seen\n");
        }
    }

    /// Returns whether the host keeps the output in files.
    fn has_spool(&self) -> bool {
        self.process().is_kept() && self.process().request.log_file.is_none()
    }

    /// Sends a command to the wrapper.
    fn send(&self, line: &str) {
        if let Some(lifeline) = self.process().lifeline() {
            lifeline.send(line);
        }
    }

    /// Lets commands follow the block of a start: any report after `begin` shows that the wrapper has read the block.
    fn resume(&self, report: &Report) {
        if let (false, Some(lifeline)) = (matches!(report, Report::Begin { .. }), self.process().lifeline()) {
            lifeline.resume();
        }
    }

    // ---- reports ----

    fn take_report(&mut self, report: Report) {
        match report {
            Report::Begin { wrapper_pid, user } => self.take_begin(wrapper_pid, user),
            Report::OutputBegin => self.output.has_begun = true,
            Report::Pid { pid, start_time, boot_id } => self.take_pid(Remote { pid, start_time, boot_id }),
            Report::Wrapper { pid } => self.process().set_pids(|pids| pids.remote_monitoring = Some(pid)),
            Report::Attached { running } => self.take_attached(running),
            Report::Refused => self.case.link.attach_outcome = AttachOutcome::Refused,
            Report::Gone => {
                self.case.link.attach_outcome = AttachOutcome::Gone;
                self.case.remains = Remains::Nothing;
            }
            Report::Running => self.take_running(),
            Report::Stray { pid } => self.take_stray(pid),
            Report::Rest(_) => {
                self.output.complete_files += 1;
                if self.output.complete_files == OUTPUT_FILES {
                    self.announce_exit();
                }
            }
            Report::Ready { after } => self.case.take_sign(after),
            Report::Unready(Unready::Closed) => self.case.take_readiness(readiness::Input::Closed),
            Report::Unready(Unready::Late) => self.case.take_readiness(readiness::Input::TimedOut),
            Report::Silent => self.look_later(),
            Report::Waiting { since } => self.take_waiting(since),
            Report::Fail(failure) => self.case.settle_start_failed(failure),
            Report::Answer { id, done } => self.process().answer(id, done),
            Report::Warning(warning) => self.warn(warning),
            Report::Eof => {
                self.output.has_ended = true;
                self.take_end_of_output();
            }
            Report::Exit { end, ran } => self.take_exit(ReportedExit { end, ran }),
            Report::Clean => self.take_clean(),
            Report::Tick => {
                self.renew_lease();
                self.send("ping\n");
            }
            Report::Unleased => self.abandon_lease(),
            // The answers of other scripts.
            Report::Pong | Report::Problem(_) | Report::Found { .. } | Report::Cleaned { .. } => {}
        }
    }

    fn take_begin(&mut self, wrapper_pid: i64, user: Option<String>) {
        // A wrapper begins once: only the first report counts.
        if self.seat.has_begun() {
            return;
        }
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
            Purpose::Start => self.send_go(),
            Purpose::Attach => self.timers.cut_client = sys::deadline(ANSWER),
        }
    }

    /// Lets the wrapper start the application. Without `go` nothing starts: the wrapper may begin long after this start
    /// was given up.
    fn send_go(&self) {
        let process = self.process();
        let Some(lifeline) = process.lifeline() else { return };
        // Before the state changes: a kill that finds the wrapper begun closes the lifeline, and a wrapper that has not
        // got its `go` reports nothing.
        lifeline.hold();
        let (_, actions) = process.take(Input::Begin);
        if actions.contains(&Action::SendGo) {
            lifeline.send_block(start::start_block(&process.instance, &process.request));
        }
    }

    fn take_pid(&mut self, remote: Remote) {
        if self.case.remote.is_some() {
            return;
        }
        self.log_kills_by_hand(remote.pid);
        self.process().set_pids(|pids| pids.remote = Some(remote.pid));
        self.case.remote = Some(remote);
        let (before, _) = self.process().take(Input::Pid);
        // The wrapper waits for this, so that no application runs on whose pid nobody knows.
        if before == State::Begun && self.process().is_kept() {
            self.send("keep\n");
        }
    }

    fn take_running(&mut self) {
        self.case.start_ready_clock();
        self.case.announce_started();
        self.begin_to_look();
    }

    /// Takes the report that a kept process is not known to be ready. The last link may have broken before its host
    /// learned what this manager knows.
    fn take_waiting(&mut self, since: Duration) {
        self.case.take_waiting(since);
        match self.process().readiness() {
            Readiness::Waiting => self.begin_to_look(),
            Readiness::Ready => self.send("seen\n"),
            Readiness::Late => self.send("late\n"),
            _ => {}
        }
    }

    // ---- the port ----

    /// Lets the manager ask at once whether something listens on the port of the application.
    fn begin_to_look(&mut self) {
        if self.port.look.is_none() && self.process().request.ready.as_ref().is_some_and(|ready| ready.port().is_some())
        {
            self.port = PortLooks { look: Some(Instant::now()), pause: FIRST_PAUSE };
        }
    }

    /// Lets the manager ask again after a pause, each time after a longer one.
    fn look_later(&mut self) {
        self.port = PortLooks {
            look: sys::deadline(self.port.pause).filter(|_| self.port.look.is_some()),
            pause: (2 * self.port.pause).min(LONGEST_PAUSE),
        };
    }

    /// Logs how a user can end the process without the manager.
    fn log_kills_by_hand(&self, pid: i64) {
        let Process { request, launcher, .. } = self.process();
        let uuid = self.process().uuid();
        if launcher.is_ssh() {
            let destination = match &request.user {
                Some(user) => format!("{user}@{}", request.host),
                None => request.host.clone(),
            };
            log::debug!("{uuid}: to kill it by hand: ssh {destination} kill -9 {pid}");
        } else {
            log::debug!("{uuid}: to kill it by hand, on {}: kill -9 {pid}", request.host);
        }
        if let Some(client) = self.process().pids().ssh_client {
            log::debug!("{uuid}: to kill its {} client by hand: kill -9 {client}", launcher.name());
        }
    }

    /// Takes the report that the wrapper of a kept process has taken this link.
    fn take_attached(&mut self, running: bool) {
        if self.purpose == Purpose::Start {
            return;
        }
        self.timers.cut_client = None;
        self.case.link_restored(running);
        if !running {
            // The last link may have broken before the wrapper read the first `keep`. It obeys only one of the two.
            self.send("keep\n");
        }
    }

    fn take_stray(&mut self, pid: i64) {
        // A host that names more is broken or hostile.
        if self.case.strays.len() < MOST_STRAYS {
            self.case.strays.push(pid);
        }
    }

    fn take_exit(&mut self, exit: ReportedExit) {
        if exit.ran && self.process().is_kept() {
            self.case.remains = Remains::OnHost;
        }
        self.process().note_exit();
        // The first report stands.
        let patience = if self.has_spool() { REST_AFTER_EXIT } else { STDOUT_AFTER_EXIT };
        self.exit.get_or_insert(PendingExit { exit, until: Instant::now() + patience });
        if self.output.has_ended || self.process().request.log_file.is_some() {
            self.take_end_of_output();
        }
    }

    /// Takes the report that the wrapper has removed what it made: only the client is left.
    fn take_clean(&mut self) {
        self.case.remains = Remains::Nothing;
        let has_output = self.process().request.log_file.is_none() && !self.output.has_ended;
        let at = sys::deadline(if has_output { STDOUT_AFTER_EXIT } else { CLIENT_AFTER_CLEAN });
        // A repeated report is no reason to wait longer.
        self.timers.kill_client = [self.timers.kill_client, at].into_iter().flatten().min();
    }

    fn renew_lease(&mut self) {
        if matches!(self.lease, OwnLease::Abandoned) {
            return;
        }
        let end = Lease::of(self.case.shared.options()).end(Instant::now());
        self.lease = end.map_or(OwnLease::Idle, OwnLease::Until);
    }

    /// Takes the report that the host cannot keep the lease any more.
    fn abandon_lease(&mut self) {
        if !matches!(mem::replace(&mut self.lease, OwnLease::Abandoned), OwnLease::Abandoned) {
            log::warn!(
                "{}: its host is short of processes: its connection has no lease any more",
                self.case.describe()
            );
        }
    }

    /// Logs a warning of the wrapper, once.
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

    // ---- the exit ----

    /// Acts on the exit report or the end of stdout. Asks for the output files of a kept process from the positions
    /// that have arrived: reading them to their ends takes longer than learning of the exit.
    fn take_end_of_output(&mut self) {
        match (self.has_spool(), self.exit) {
            (true, Some(_)) => {
                let (stdout, stderr) = self.case.spool.positions();
                self.send(&format!("rest {stdout} {stderr}\n"));
            }
            (true, None) => {}
            (false, _) => self.announce_exit(),
        }
    }

    /// Returns whether the client's end is awaited before the exit is announced: the lifeline is closed, and the
    /// client's code belongs to the status.
    fn awaits_client(&self) -> bool {
        self.process().state() == State::Closing
    }

    /// Returns whether the host keeps an exit that the program has not taken yet.
    fn awaits_acknowledgement(&self) -> bool {
        self.case.remains == Remains::OnHost && !self.process().is_acknowledged()
    }

    /// Returns whether all output of the application has arrived, as far as it ever will.
    fn has_all_output(&self) -> bool {
        let is_given_up = matches!(self.process().state(), State::Closing | State::TimingOut);
        !self.has_spool() || self.output.complete_files == OUTPUT_FILES || is_given_up
    }

    /// Announces the exit that was reported, if there is one. Ends the client if the rest of the output is missing.
    /// Does nothing while the client's end is awaited.
    fn announce_exit(&mut self) {
        if self.awaits_client() {
            return;
        }
        if !self.has_all_output() {
            // Another link reads the rest, and gets the exit again.
            log::warn!("{}: its output stopped before its end; a new link reads the rest", self.case.describe());
            self.exit = None;
            self.timers.cut_client = Some(Instant::now());
            return;
        }
        let Some(pending) = self.exit.take() else { return };
        self.case.settle_exit(pending.exit);
        if self.awaits_acknowledgement() {
            self.timers.look = sys::deadline(Seat::LOOK_AFTER);
            return;
        }
        if self.process().ends_together() {
            // The wrapper waits for its good-bye. Without one, it leaves word of the exit for whoever asks.
            self.timers.goodbye = sys::deadline(GOODBYE_AFTER);
        } else {
            self.process().say_goodbye();
        }
    }

    /// Takes the end of the client: what the scanners still hold, and an exit that has waited for it.
    fn finish(&mut self, end: ClientEnd) {
        self.case.client.end = end;
        for stream in [Stream::Stdout, Stream::Stderr] {
            self.scan(stream, Scanner::finish);
        }
        if !self.has_all_output() {
            return;
        }
        if let Some(pending) = self.exit.take() {
            self.case.settle_exit(pending.exit);
        }
    }
}
