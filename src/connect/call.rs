//! Calls of a host: runs a script there that is no process of the manager, and hands on what it reports and writes.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::connect::pool::{Attempts, NoSeat, Pool};
use crate::connect::seat::Seat;
use crate::connect::seats::Kind;
use crate::launch::target::Target;
use crate::local::client::{Chunk, Client, Lifeline, Pumped, Stream};
use crate::local::sys;
use crate::model::error::{Error, LauncherFailure, Result, SshFailure};
use crate::model::output::{DIAGNOSIS, Tail};
use crate::remote::nonce;
use crate::remote::report::{NONCE_LENGTH, Piece, Report, Scanner};

/// What a script's sink wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SinkAction {
    Continue,
    /// The script gets this line to read.
    Send(&'static str),
    /// The sink wants nothing more. The script ends by itself, and until then sshd counts its session.
    Drain,
    /// The sink wants nothing more. The script is ended.
    Stop,
}

/// A script, where it runs, and how.
pub(crate) struct ScriptRun<'a> {
    pub target: Target<'a>,
    /// When the call fails; `None` for never.
    pub deadline: Option<Instant>,
    pub kind: Kind,
    /// Returns the script, whose reports carry this nonce.
    pub script: &'a dyn Fn(&[u8; NONCE_LENGTH]) -> Vec<Chunk>,
    /// Returns true when the result is not needed. Whoever makes it return true calls [`Pool::wake`].
    pub cancelled: &'a dyn Fn() -> bool,
    /// Gets the lifeline of each client, so that another thread can end it.
    pub opened: &'a dyn Fn(&Arc<Lifeline>),
    /// The authentication methods to use in place of the manager's. Then the call logs in anew, because the login of an
    /// open connection has used others.
    pub auth_methods: Option<&'a str>,
}

impl<'a> ScriptRun<'a> {
    /// Returns a run that cannot be cancelled, with the manager's authentication methods.
    pub(crate) fn new(
        target: Target<'a>,
        deadline: Option<Instant>,
        kind: Kind,
        script: &'a dyn Fn(&[u8; NONCE_LENGTH]) -> Vec<Chunk>,
    ) -> ScriptRun<'a> {
        ScriptRun { target, deadline, kind, script, cancelled: &|| false, opened: &|_| {}, auth_methods: None }
    }
}

/// Runs a script, and hands what it reports and writes to stdout to `sink`, until the sink wants nothing more or the
/// script has ended. A session that did not begin is tried again if that can help, because nothing has run then. Blocks
/// until the end of the script or the deadline of the run.
///
/// # Errors
/// The reason why there was no session, the end of the time, or a local error. A run that is cancelled before its
/// session has begun gets the error for the end of the time. The script's own exit code is no error.
pub(crate) fn run(pool: &Pool, run: &ScriptRun, sink: &mut dyn FnMut(Piece) -> SinkAction) -> Result<()> {
    let (target, deadline) = (run.target, run.deadline);
    let mut options = Cow::Borrowed(pool.options());
    if let Some(methods) = run.auth_methods {
        // ssh takes the first value of an option.
        options.to_mut().ssh_options.insert(0, format!("PreferredAuthentications={methods}"));
    }
    let mut attempts = Attempts::new(pool, target.host);
    loop {
        let seat = match run.auth_methods {
            None => attempts.seat(&target, run.kind, deadline, run.cancelled),
            Some(_) => pool.own_seat(target.host, deadline, run.cancelled),
        };
        let mut seat = seat.map_err(|none| match none {
            NoSeat::Failed(error) => error,
            NoSeat::TimedOut(_) | NoSeat::Cancelled => target.timed_out(),
        })?;
        let nonce = nonce::generate()?;
        let client = seat.spawn_client(&options, &target, (run.script)(&nonce))?;
        (run.opened)(client.lifeline());
        let session = Session::new(run, &mut seat, client.lifeline());
        let error = match session.talk(client, nonce, sink) {
            Talk::Done => return Ok(()),
            Talk::Failed(error) => return Err(error),
            Talk::NotBegun(error) => error,
        };
        if !attempts.again(seat, &error, run.cancelled) {
            return Err(error);
        }
    }
}

/// How one session of a script ended.
enum Talk {
    Done,
    Failed(Error),
    /// The session did not begin, so nothing has run.
    NotBegun(Error),
}

/// How long a script may take to end after its last report.
const DRAIN: Duration = Duration::from_millis(250);

/// One session of a script.
struct Session<'a, 'p> {
    run: &'a ScriptRun<'a>,
    seat: &'a mut Seat<'p>,
    lifeline: Arc<Lifeline>,
    /// What the sink wants.
    action: SinkAction,
    /// When the session is over, once the sink wants nothing more.
    drain_until: Option<Instant>,
    /// The login shell's start-up files have written all that they write to stdout.
    output_begun: bool,
    diagnosis: Tail,
}

type Sink<'a> = &'a mut dyn FnMut(Piece) -> SinkAction;

impl<'a, 'p> Session<'a, 'p> {
    fn new(run: &'a ScriptRun<'a>, seat: &'a mut Seat<'p>, lifeline: &Arc<Lifeline>) -> Session<'a, 'p> {
        Session {
            run,
            seat,
            lifeline: Arc::clone(lifeline),
            action: SinkAction::Continue,
            drain_until: None,
            output_begun: false,
            diagnosis: Tail::default(),
        }
    }

    /// Reads what the client brings, until the session is over.
    fn talk(mut self, mut client: Client, nonce: [u8; NONCE_LENGTH], sink: Sink) -> Talk {
        let (mut stdout, mut stderr) = (Scanner::new(nonce), Scanner::new(nonce));
        loop {
            let pumped = client.pump(self.next_deadline(), |stream, bytes| {
                let scanner = match stream {
                    Stream::Stdout => &mut stdout,
                    Stream::Stderr => &mut stderr,
                };
                scanner.push(bytes, &mut |piece| self.take(stream, piece, sink));
            });
            match self.action {
                SinkAction::Stop => return Talk::Done,
                SinkAction::Drain => self.drain_until = self.drain_until.or(sys::deadline(DRAIN)),
                SinkAction::Send(line) => {
                    self.lifeline.send(line);
                    self.action = SinkAction::Continue;
                }
                SinkAction::Continue => {}
            }
            if let Some(end) = self.end(pumped) {
                return end;
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let look = if self.seat.has_begun() { None } else { sys::deadline(Seat::LOOK_AFTER) };
        [self.run.deadline, look, self.drain_until].into_iter().flatten().min()
    }

    fn take(&mut self, stream: Stream, piece: Piece, sink: Sink) {
        match piece {
            // Stdout and stderr have no order between them, so this report can come last.
            Piece::Report(Report::Begin { .. }) => {
                self.seat.begun();
                self.lifeline.begun();
                if self.action == SinkAction::Continue {
                    self.action = sink(piece);
                }
            }
            _ if matches!(self.action, SinkAction::Drain | SinkAction::Stop) => {}
            Piece::Report(Report::OutputBegin) => self.output_begun = true,
            Piece::Data(bytes) if stream == Stream::Stderr => self.diagnosis.push(bytes, DIAGNOSIS),
            // Start-up files of the login shell wrote this.
            Piece::Data(_) if !self.output_begun => {}
            piece => self.action = sink(piece),
        }
    }

    /// Returns how the session ended, if it is over. Ends a client whose connection hangs.
    fn end(&mut self, pumped: io::Result<Pumped>) -> Option<Talk> {
        let now = Instant::now();
        let is_over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        let ScriptRun { target, deadline, .. } = self.run;
        match pumped {
            Err(error) => Some(Talk::Failed(Error::local("reading from a launcher", error))),
            Ok(Pumped::Ended(_)) if self.seat.has_begun() => Some(Talk::Done),
            Ok(Pumped::Ended(code)) => Some(Talk::NotBegun(target.diagnose(code, &self.diagnosis.get().bytes))),
            // The deadlines also hold for a host that writes without end, so that there is always something to read.
            Ok(_) if is_over(self.drain_until) => Some(Talk::Done),
            Ok(_) if is_over(*deadline) && self.action == SinkAction::Drain => Some(Talk::Done),
            Ok(_) if is_over(*deadline) => Some(Talk::Failed(target.timed_out())),
            Ok(Pumped::Deadline) if self.seat.hangs() => {
                self.lifeline.kill_client();
                None
            }
            Ok(Pumped::Deadline | Pumped::Some) => None,
        }
    }
}

/// Returns the error of a call with a timeout of its own: [`Error::TimedOut`] if the script's deadline came.
pub(crate) fn timed_out_in(error: Error, waited: Duration, what: impl FnOnce() -> String) -> Error {
    match error {
        // A timeout that ssh itself reports has a message of ssh.
        Error::Ssh { failure: SshFailure::TimedOut, stderr, .. }
        | Error::Launcher { failure: LauncherFailure::TimedOut, stderr, .. }
            if stderr.is_empty() =>
        {
            Error::TimedOut { what: what(), waited }
        }
        other => other,
    }
}
