//! The reports of scripts on hosts, and how they are found in a stream to which the application writes as well.
//! docs/protocol.md describes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::model::check;
use crate::model::error::FileProblem;
use crate::model::exit_status::ApplicationEnd;
use crate::model::output::OutputStream;
use crate::model::signal::Signal;

/// The length of a nonce in bytes. A nonce is random: what an application writes can pass for a report only by chance.
pub(crate) const NONCE_LENGTH: usize = 32;
/// The first byte of every nonce: the record separator of ASCII, which text does not have. Output that ends with the
/// beginning of a nonce is held back until more output comes, and a prompt may be the last output for long.
pub(crate) const NONCE_BEGIN: u8 = 0x1e;
/// The length in bytes behind the nonce from which on a line is no report. Those of the wrapper have less than 100.
pub(crate) const LONGEST_REPORT: usize = 256;

/// A report of a script on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Report {
    /// The script runs, as this user if the report names one.
    Begin { wrapper_pid: i64, user: Option<String> },
    /// On stdout. What start-up files wrote stands before this report.
    OutputBegin,
    /// The process was made, and has not executed its program yet.
    Pid { pid: i64, start_time: String, boot_id: String },
    /// The wrapper of a kept process. The session's own shell is only its link.
    Wrapper { pid: i64 },
    /// The wrapper of a kept process has taken this link. `running`: the program was executed.
    Attached { running: bool },
    /// Another manager has a link to the kept process.
    Refused,
    /// A process that left the application's process group could not be ended.
    Stray { pid: i64 },
    /// One application of a list. The content of its metadata file follows.
    Found { uuid: String, state: Found },
    /// What a clean-up did with an application, and the pids of the processes that it could not end.
    Cleaned { uuid: String, outcome: Cleaned, left: Vec<i64> },
    /// All that a kept application wrote to this stream until its end stands before this report.
    Rest(OutputStream),
    /// The program was executed.
    Running,
    /// The start failed.
    Fail(Failure),
    /// The application has shown that it is ready. Of a kept process: so long after its program was executed.
    Ready { after: Option<Duration> },
    /// The application does not count as ready: it has closed its descriptor, or was too late.
    Unready(Unready),
    /// Nothing listens on the port of the application.
    Silent,
    /// A kept process is not ready yet, so long after its program was executed.
    Waiting { since: Duration },
    /// The answer to a `kill` command: whether the signal was sent.
    Answer { id: u64, done: bool },
    /// The application runs, but without this.
    Warning(Warning),
    /// All data on stdout stand before this report.
    Eof,
    /// The process has ended. `ran`: its program was executed.
    Exit { end: ApplicationEnd, ran: bool },
    /// The script has removed what it made. It ends now.
    Clean,
    /// The answer to `mark`, or to the timed line of a validation.
    Pong,
    /// The lease of the connection has counted one period, and expects a ping.
    Tick,
    /// The host could not make a process for the lease, which has ended.
    Unleased,
    /// A file cannot be read, for this reason.
    Problem(FileProblem),
    /// Nothing of the process is left on the host.
    Gone,
}

/// Why a process does not count as ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unready {
    Closed,
    Late,
}

/// Why a start has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    InUse,
    Runtime,
    NoProcess,
    LogDirectory,
    LogFile,
    Shell,
    PortTaken,
    PortTable,
    /// A step of the inner process failed: its number where it has one, and the code with which its shell ended.
    Step {
        step: Step,
        number: u32,
        code: i32,
    },
}

/// The steps of the inner process, which `start.rs` and `sh/start.sh` name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Environment,
    Setup,
    Directory,
    Limit,
    Exec,
}

/// What the application lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Warning {
    /// No metadata file: it could not be written.
    Metadata,
    /// No metadata file: no runtime directory could be used.
    Runtime,
    /// No process group of its own: signals reach the application alone.
    Group,
    /// The application ignores INT and QUIT.
    Signals,
    /// The wrapper's files were gone before the end, or cannot be removed.
    Files,
}

/// The state of an application in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Attended,
    Left,
    Orphaned,
    Ended(ApplicationEnd),
    Gone,
}

/// What a clean-up did with an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cleaned {
    Attended,
    Ended,
    Running,
    Removed,
}

/// Finds reports in a stream, and passes on everything else.
#[derive(Default)]
pub(crate) struct Scanner {
    nonce: [u8; NONCE_LENGTH],
    /// The last bytes, if they may be the beginning of a report: never more than the longest report has.
    held: Vec<u8>,
}

impl Scanner {
    pub(crate) fn new(nonce: [u8; NONCE_LENGTH]) -> Scanner {
        Scanner { nonce, held: Vec::new() }
    }

    /// Takes the next bytes of the stream, and gives its pieces to the sink in their order.
    pub(crate) fn push(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Piece)) {
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        let mut rest = &held[..];
        loop {
            let (at, whole) = self.find_nonce(rest);
            if at > 0 {
                sink(Piece::Data(&rest[..at]));
                rest = &rest[at..];
            }
            if !whole {
                break;
            }
            let body = &rest[NONCE_LENGTH..];
            match body.iter().take(LONGEST_REPORT).position(|b| *b == b'\n') {
                Some(end) => {
                    match parse(&body[..end]) {
                        Some(report) => sink(Piece::Report(report)),
                        None => sink(Piece::Unknown(&body[..end])),
                    }
                    rest = &body[end + 1..];
                }
                None if body.len() >= LONGEST_REPORT => {
                    sink(Piece::Unknown(&body[..LONGEST_REPORT]));
                    rest = &body[LONGEST_REPORT..];
                }
                None => break,
            }
        }
        self.held = rest.to_vec();
    }

    /// Ends the stream: the sink gets the bytes that were held back, which are no report.
    pub(crate) fn finish(&mut self, sink: &mut dyn FnMut(Piece)) {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            sink(Piece::Data(&held));
        }
    }

    /// Returns how many bytes wait for more of the stream.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// Returns where the nonce stands in `bytes`, and whether the whole nonce does. Otherwise, the bytes behind that
    /// place are the beginning of a nonce; the place is the end of the bytes if there are none.
    fn find_nonce(&self, bytes: &[u8]) -> (usize, bool) {
        let mut from = 0;
        while let Some(next) = bytes[from..].iter().position(|b| *b == self.nonce[0]) {
            let at = from + next;
            let length = NONCE_LENGTH.min(bytes.len() - at);
            if bytes[at..at + length] == self.nonce[..length] {
                return (at, length == NONCE_LENGTH);
            }
            from = at + 1;
        }
        (bytes.len(), false)
    }
}

/// A piece of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Data: output of the application or of a script.
    Data(&'a [u8]),
    Report(Report),
    /// A line behind the nonce that is no report: only a broken or hostile host sends one.
    Unknown(&'a [u8]),
}

fn parse(line: &[u8]) -> Option<Report> {
    let line = std::str::from_utf8(line).ok()?;
    let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
    parse_words(&words)
}

fn parse_words(words: &[&str]) -> Option<Report> {
    Some(match *words {
        ["begin"] => Report::OutputBegin,
        ["begin", "1", pid] => Report::Begin { wrapper_pid: positive(pid)?, user: None },
        ["begin", "1", pid, user] => {
            Report::Begin { wrapper_pid: positive(pid)?, user: check::user(user).ok().map(|()| user.to_owned()) }
        }
        // The last word is the number of the runtime directory, or 0 for none.
        ["pid", pid, start, boot, "0" | "1" | "2" | "3" | "4" | "5"] => {
            Report::Pid { pid: positive(pid).filter(|pid| *pid > 1)?, start_time: token(start)?, boot_id: token(boot)? }
        }
        ["wrapper", pid] => Report::Wrapper { pid: positive(pid)? },
        ["attached", "starting"] => Report::Attached { running: false },
        ["attached", "running"] => Report::Attached { running: true },
        ["refused"] => Report::Refused,
        ["stray", pid] => Report::Stray { pid: positive(pid)? },
        ["found", uuid, ref words @ ..] => Report::Found { uuid: known_uuid(uuid)?, state: parse_found(words)? },
        ["cleaned", uuid, outcome, ref pids @ ..] => Report::Cleaned {
            uuid: known_uuid(uuid)?,
            outcome: match outcome {
                "attended" => Cleaned::Attended,
                "ended" => Cleaned::Ended,
                "running" => Cleaned::Running,
                "removed" => Cleaned::Removed,
                _ => return None,
            },
            left: pids.iter().map(|pid| positive(pid)).collect::<Option<_>>()?,
        },
        ["rest", "1"] => Report::Rest(OutputStream::Stdout),
        ["rest", "2"] => Report::Rest(OutputStream::Stderr),
        ["running"] => Report::Running,
        ["ready"] => Report::Ready { after: None },
        ["ready", executed, now] => Report::Ready { after: Some(uptime_between(executed, now)?) },
        ["unready", "closed"] | ["unready", "closed", _, _] => Report::Unready(Unready::Closed),
        ["unready", "timeout"] | ["unready", "timeout", _, _] => Report::Unready(Unready::Late),
        ["silent"] => Report::Silent,
        ["waiting", executed, now] => Report::Waiting { since: uptime_between(executed, now)? },
        ["fail", ref words @ ..] => Report::Fail(parse_failure(words)?),
        ["ok", id] => Report::Answer { id: id.parse().ok()?, done: true },
        ["no", id] => Report::Answer { id: id.parse().ok()?, done: false },
        ["warn", "metadata"] => Report::Warning(Warning::Metadata),
        ["warn", "runtime"] => Report::Warning(Warning::Runtime),
        ["warn", "group"] => Report::Warning(Warning::Group),
        ["warn", "signals"] => Report::Warning(Warning::Signals),
        ["warn", "files"] => Report::Warning(Warning::Files),
        ["eof"] => Report::Eof,
        ["exit", code, how, ran, left] => Report::Exit { end: parse_end(code, how, flag(left)?)?, ran: flag(ran)? },
        // From the word of an end, which has the time.
        ["exit", code, how, ran, left, seconds] => {
            let end = ApplicationEnd { at: Some(time(seconds)?), ..parse_end(code, how, flag(left)?)? };
            Report::Exit { end, ran: flag(ran)? }
        }
        ["clean"] => Report::Clean,
        ["gone"] => Report::Gone,
        ["pong"] => Report::Pong,
        ["tick"] => Report::Tick,
        ["unleased"] => Report::Unleased,
        ["problem", "missing"] => Report::Problem(FileProblem::Missing),
        ["problem", "directory"] => Report::Problem(FileProblem::IsDirectory),
        ["problem", "unreadable"] => Report::Problem(FileProblem::Unreadable),
        ["problem", "not-regular"] => Report::Problem(FileProblem::NotRegular),
        _ => return None,
    })
}

fn parse_found(words: &[&str]) -> Option<Found> {
    Some(match *words {
        ["attended"] => Found::Attended,
        ["left"] => Found::Left,
        ["orphaned"] => Found::Orphaned,
        ["gone"] => Found::Gone,
        ["exit", ..] => match parse_words(words)? {
            Report::Exit { end, .. } => Found::Ended(end),
            _ => return None,
        },
        _ => return None,
    })
}

fn known_uuid(word: &str) -> Option<String> {
    check::uuid(word).ok()?;
    Some(word.to_owned())
}

fn parse_failure(words: &[&str]) -> Option<Failure> {
    Some(match *words {
        ["in-use"] => Failure::InUse,
        ["runtime"] => Failure::Runtime,
        ["no-process"] => Failure::NoProcess,
        ["log-directory"] => Failure::LogDirectory,
        ["log-file"] => Failure::LogFile,
        ["shell"] => Failure::Shell,
        ["port-taken"] => Failure::PortTaken,
        ["port-table"] => Failure::PortTable,
        [step, number, code] => Failure::Step {
            step: match step {
                "environment" => Step::Environment,
                "setup" => Step::Setup,
                "directory" => Step::Directory,
                "limit" => Step::Limit,
                "exec" => Step::Exec,
                _ => return None,
            },
            number: number.parse().ok()?,
            code: normalized(code.parse().ok()?)?.0,
        },
        _ => return None,
    })
}

/// Returns the end that an `exit` report describes. `how` is what the shell on the host said: `s` that a signal ended
/// the application, `c` that one did, with a core dump, `-` nothing, `u` nothing, as this shell never does.
fn parse_end(code: &str, how: &str, left_over: bool) -> Option<ApplicationEnd> {
    let (code, certain) = normalized(code.parse().ok()?)?;
    let number = (code > 128).then_some(code - 128);
    // No shell says that INT or PIPE ended a program, because that happens all the time.
    let untold = matches!(number, Some(libc::SIGINT | libc::SIGPIPE));
    let by_signal = match how {
        "s" | "c" | "u" => true,
        "-" => certain || untold,
        _ => return None,
    };
    let signal = number.filter(|_| by_signal).and_then(|number| Signal::from_number(number).ok());
    Some(ApplicationEnd { code, signal, core_dumped: how == "c", left_over, at: None })
}

/// Returns a shell's exit status as 128+n for signal n, and whether it is certainly one of a signal. ksh93 gives 256+n
/// for signal n and yash 384+n, which no exit code can be. All others give 128+n.
fn normalized(status: i32) -> Option<(i32, bool)> {
    match status {
        0..=255 => Some((status, false)),
        256..=511 => Some((status % 128 + 128, true)),
        _ => None,
    }
}

/// Parses a pid, which must be above 0.
fn positive(word: &str) -> Option<i64> {
    word.parse().ok().filter(|number| (1..=i64::from(i32::MAX)).contains(number))
}

/// Parses seconds since 1970, up to the year 9999.
fn time(word: &str) -> Option<SystemTime> {
    let seconds = word.parse().ok().filter(|seconds| *seconds < 253_402_300_800)?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Returns the time between two uptimes of a host, in seconds.
fn uptime_between(before: &str, after: &str) -> Option<Duration> {
    let uptime = |word: &str| Duration::try_from_secs_f64(word.parse().ok()?).ok();
    Some(uptime(after)?.saturating_sub(uptime(before)?))
}

/// Checks a word that is only compared with others: a start time or a boot id.
fn token(word: &str) -> Option<String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"-:_".contains(&b);
    (word.len() <= 64 && word.bytes().all(good)).then(|| word.to_owned())
}

fn flag(word: &str) -> Option<bool> {
    match word {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONCE: &[u8; NONCE_LENGTH] = b"0123456789abcdef0123456789abcdef";

    /// Returns the data and the reports of a stream that comes in these chunks.
    fn scan(chunks: &[&[u8]]) -> (Vec<u8>, Vec<Report>) {
        let mut scanner = Scanner::new(*NONCE);
        let (mut data, mut reports) = (Vec::new(), Vec::new());
        let mut sink = |piece: Piece| match piece {
            Piece::Data(bytes) => data.extend_from_slice(bytes),
            Piece::Report(report) => reports.push(report),
            Piece::Unknown(_) => {}
        };
        for chunk in chunks {
            scanner.push(chunk, &mut sink);
        }
        scanner.finish(&mut sink);
        (data, reports)
    }

    fn report(words: &str) -> Vec<u8> {
        [NONCE, b" ".as_slice(), words.as_bytes(), b"\n"].concat()
    }

    #[test]
    fn a_report_is_found_behind_an_unfinished_line_and_in_any_cut() {
        let stream = [b"half a line".as_slice(), &report("running"), b"0123 more", &report("exit 3 - 1 0")].concat();
        for cut in 0..stream.len() {
            let (data, reports) = scan(&[&stream[..cut], &stream[cut..]]);
            assert_eq!(data, b"half a line0123 more", "cut at {cut}");
            assert_eq!(reports.len(), 2, "cut at {cut}");
        }
    }

    #[test]
    fn what_looks_like_a_report_without_the_nonce_is_data() {
        let forged = b"0123456789abcdef0123456789abcdee exit 0 - 1 0\n exit 0 - 1 0\n";
        assert_eq!(scan(&[forged]), (forged.to_vec(), vec![]));
    }

    #[test]
    fn pids_that_must_never_be_signalled_are_no_reports() {
        for pid in ["0", "-1", "1", "99999999999", "x", ""] {
            assert_eq!(scan(&[&report(&format!("pid {pid} 5 boot 2"))]).1, vec![], "{pid:?}");
        }
    }

    #[test]
    fn codes_and_signals_of_all_shells() {
        let end = |words: &str| match &scan(&[&report(words)]).1[..] {
            [Report::Exit { end, .. }] => (end.code, end.signal.map(Signal::number)),
            other => panic!("{words}: {other:?}"),
        };
        assert_eq!(end("exit 137 s 1 0"), (137, Some(9)));
        assert_eq!(end("exit 137 - 1 0"), (137, None));
        assert_eq!(end("exit 265 - 1 0"), (137, Some(9)), "ksh93");
        assert_eq!(end("exit 393 - 1 0"), (137, Some(9)), "yash");
        assert_eq!(end("exit 130 - 1 0"), (130, Some(2)), "no shell tells of INT");
        assert_eq!(end("exit 255 - 1 0"), (255, None));
        assert_eq!(end("exit 137 u 1 0"), (137, Some(9)), "bash and zsh");
        assert_eq!(end("exit 3 u 1 0"), (3, None), "bash and zsh");
        assert_eq!(scan(&[&report("exit 512 - 1 0")]).1, vec![]);
    }

    #[test]
    fn an_endless_line_is_bounded() {
        let mut scanner = Scanner::new(*NONCE);
        scanner.push(NONCE, &mut |_| {});
        for _ in 0..1000 {
            scanner.push(&[b'x'; 1000], &mut |_| {});
            assert!(scanner.held.len() <= NONCE_LENGTH + LONGEST_REPORT);
        }
    }

    proptest! {
        #[test]
        fn data_is_never_lost_or_changed(chunks in prop::collection::vec(prop::collection::vec(b'0'..=b'3', 0..50), 0..20)) {
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(scan(&chunks).0, chunks.concat());
        }

        #[test]
        fn any_bytes_behind_the_nonce_are_survived(words in prop::collection::vec(any::<u8>(), 0..400)) {
            scan(&[NONCE, &words, b"\n"]);
        }
    }
}
