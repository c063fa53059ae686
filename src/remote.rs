//! Short remote work: a script on a host, over a connection of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::{Lifeline, Pumped, SshClient, Stream};
use crate::connection::{Gate, Retry};
use crate::error::{Error, Result, SshFailure};
use crate::options::Options;
use crate::output::Tail;
use crate::report::{NONCE_LENGTH, Piece, Report, Scanner};
use crate::ssh;
use crate::sys;
use crate::watcher::{DIAGNOSIS, Shared};

/// Where a script runs, and how long it may take.
pub(crate) struct Place<'a> {
    pub host: &'a str,
    pub user: Option<&'a str>,
    /// None: as long as it takes.
    pub deadline: Option<Instant>,
}

/// What a script's sink answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    GoOn,
    /// The script is to read this.
    Send(&'static str),
    /// Nothing more is wanted: the script is ended.
    Enough,
}

/// Runs the script of `line`, and gives what it reports and writes to stdout to `sink`, until the sink has enough or the
/// script has ended. Connections that sshd drops while it is busy are tried again; nothing has run then.
///
/// # Errors
/// Why there was no session; the deadline; a local error. Not the script's own code.
pub(crate) fn run(
    shared: &Shared,
    place: &Place,
    line: &dyn Fn(&[u8; NONCE_LENGTH]) -> Vec<u8>,
    cancelled: &dyn Fn() -> bool,
    sink: &mut dyn FnMut(Piece) -> Flow,
) -> Result<()> {
    run_watched(shared, place, line, cancelled, &|_| {}, sink)
}

/// The same for scripts that another thread may want to end: `opened` gets the lifeline of each client.
pub(crate) fn run_watched(
    shared: &Shared,
    place: &Place,
    line: &dyn Fn(&[u8; NONCE_LENGTH]) -> Vec<u8>,
    cancelled: &dyn Fn() -> bool,
    opened: &dyn Fn(&Arc<Lifeline>),
    sink: &mut dyn FnMut(Piece) -> Flow,
) -> Result<()> {
    run_with(&shared.options, &shared.gate, place, line, cancelled, opened, sink)
}

/// The same with other options than the manager's.
pub(crate) fn run_with(
    options: &Options,
    gate: &Gate,
    place: &Place,
    line: &dyn Fn(&[u8; NONCE_LENGTH]) -> Vec<u8>,
    cancelled: &dyn Fn() -> bool,
    opened: &dyn Fn(&Arc<Lifeline>),
    sink: &mut dyn FnMut(Piece) -> Flow,
) -> Result<()> {
    let mut retry = Retry::within(options.connect_timeout);
    loop {
        let Some(turn) = gate.wait_turn(place.host, place.deadline, cancelled) else {
            return Err(timed_out(place));
        };
        let mut turn = Some(turn);
        let nonce = nonce()?;
        let client = spawn(options, place.host, place.user, line(&nonce))?;
        opened(client.lifeline());
        match talk(client, place, nonce, &mut || turn = None, sink) {
            Err(error) if ssh::is_worth_a_retry(&error) => {
                drop(turn.take());
                match retry.next_try() {
                    Some(next) if gate.pause(next, cancelled) => {}
                    _ => return Err(error),
                }
            }
            other => return other,
        }
    }
}

fn talk(
    mut client: SshClient,
    place: &Place,
    nonce: [u8; NONCE_LENGTH],
    begun: &mut dyn FnMut(),
    sink: &mut dyn FnMut(Piece) -> Flow,
) -> Result<()> {
    let (mut stdout, mut stderr) = (Scanner::new(nonce), Scanner::new(nonce));
    let mut diagnosis = Tail::default();
    let (mut has_begun, mut output_begun, mut flow) = (false, false, Flow::GoOn);
    loop {
        let pumped = client.pump(place.deadline, |stream, bytes| {
            let scanner = match stream {
                Stream::Stdout => &mut stdout,
                Stream::Stderr => &mut stderr,
            };
            scanner.push(bytes, &mut |piece| match piece {
                _ if flow == Flow::Enough => {}
                Piece::Report(Report::Begin { .. }) => {
                    has_begun = true;
                    begun();
                    flow = sink(piece);
                }
                Piece::Report(Report::OutputBegin) => output_begun = true,
                Piece::Data(bytes) if stream == Stream::Stderr => diagnosis.push(bytes, DIAGNOSIS),
                // What start-up files say.
                Piece::Data(_) if !output_begun => {}
                piece => flow = sink(piece),
            });
        });
        if let Flow::Send(line) = flow {
            client.lifeline().send(line);
            flow = Flow::GoOn;
        }
        match pumped.map_err(|e| Error::local("reading from ssh", e))? {
            _ if flow == Flow::Enough => return Ok(()),
            Pumped::Some => {}
            Pumped::Deadline => return Err(timed_out(place)),
            Pumped::Ended(_) if has_begun => return Ok(()),
            Pumped::Ended(code) => return Err(ssh::diagnose(place.host, place.user, code, &diagnosis.get().bytes)),
        }
    }
}

fn timed_out(place: &Place) -> Error {
    Error::Ssh {
        host: place.host.to_owned(),
        user: place.user.map(str::to_owned),
        failure: SshFailure::TimedOut,
        stderr: String::new(),
    }
}

/// The error of a call with a timeout of its own: when the script's deadline came, it is that one's.
pub(crate) fn timed_out_in(error: Error, waited: Duration, what: impl FnOnce() -> String) -> Error {
    match error {
        // ssh's own timeout has ssh's words.
        Error::Ssh { failure: SshFailure::TimedOut, stderr, .. } if stderr.is_empty() => {
            Error::TimedOut { what: what(), waited }
        }
        other => other,
    }
}

/// The script ended before it had said all.
pub(crate) fn closed(place: &Place) -> Error {
    Error::Ssh {
        host: place.host.to_owned(),
        user: place.user.map(str::to_owned),
        failure: SshFailure::Closed,
        stderr: String::new(),
    }
}

/// Starts ssh to a host.
pub(crate) fn spawn(options: &Options, host: &str, user: Option<&str>, line: Vec<u8>) -> Result<SshClient> {
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

/// 128 random bits in hexadecimal.
pub(crate) fn nonce() -> Result<[u8; NONCE_LENGTH]> {
    let random = sys::random::<{ NONCE_LENGTH / 2 }>().map_err(|e| Error::local("making a nonce", e))?;
    let digit = |half: u8| b"0123456789abcdef"[usize::from(half)];
    let mut nonce = [0; NONCE_LENGTH];
    for (pair, byte) in nonce.chunks_exact_mut(2).zip(random) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    Ok(nonce)
}
