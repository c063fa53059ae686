//! Tests with random input from hosts.
//!
//! Two parsers read what comes from hosts: one reads reports, the other reads metadata. The tests give them random
//! input that gets deep into the parsers, for `SSHPM_FUZZ_SECONDS` seconds, or 30 if that is not set. At the same time,
//! hosts that send random output without end answer every call that listens to a host (see `hosts.rs`), and the tests
//! count the memory that this takes. `SSHPM_FUZZ_SEED` repeats the input of a failed run, as far as the time allows.

mod hosts;

use std::io::Write;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{RngAlgorithm, TestCaseResult, TestRng, TestRunner};

use crate::local::sys;
use crate::manager::metadata::ProcessMetadata;
use crate::model::check;
use crate::model::error::Error;
use crate::remote::report::{Failure, LONGEST_REPORT, NONCE_LENGTH, Piece, Report, Scanner, Step};

const NONCE: &[u8; NONCE_LENGTH] = b"0123456789abcdef0123456789abcd0f";
/// How many cases are tried between two checks of the time.
const BATCH: u32 = 64;
const MOST_PID: i64 = i32::MAX as i64;

#[test]
fn what_hosts_send_is_survived_in_bounded_memory() {
    let seconds = std::env::var("SSHPM_FUZZ_SECONDS").ok().map_or(30, |text| text.parse().expect("a number"));
    let seed = match std::env::var("SSHPM_FUZZ_SEED") {
        Ok(text) => seed_from(&text).expect("64 hexadecimal digits"),
        Err(_) => sys::random().expect("random bytes"),
    };
    let digits: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    say(&format!("fuzz: SSHPM_FUZZ_SEED={digits}"));
    let until = Instant::now() + Duration::from_secs(seconds);
    std::thread::scope(|scope| {
        let reports = scope.spawn(|| Fuzz::new(seed).run(until, Fuzz::reports));
        let metadata = scope.spawn(|| Fuzz::new(seed).run(until, Fuzz::metadata));
        let hosts = scope.spawn(|| Fuzz::new(seed).run(until, Fuzz::hosts));
        for (what, part) in [("reports", reports), ("metadata", metadata), ("hosts", hosts)] {
            match part.join() {
                Ok(cases) => say(&format!("fuzz: {what}: {cases} cases in {seconds} s")),
                Err(panicked) => std::panic::resume_unwind(panicked),
            }
        }
    });
}

/// Writes a line to stderr. It does not use println, whose output the test runner hides when a test passes.
fn say(text: &str) {
    // Without a stderr, nobody needs the line.
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn seed_from(text: &str) -> Option<[u8; 32]> {
    let mut seed = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (at, byte) in seed.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(seed)
}

struct Fuzz {
    runner: TestRunner,
    cases: u64,
}

impl Fuzz {
    fn new(seed: [u8; 32]) -> Fuzz {
        let config = ProptestConfig { cases: BATCH, failure_persistence: None, ..ProptestConfig::default() };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        Fuzz { runner: TestRunner::new_with_rng(config, rng), cases: 0 }
    }

    fn run(mut self, until: Instant, round: fn(&mut Fuzz)) -> u64 {
        loop {
            round(&mut self);
            if Instant::now() >= until {
                return self.cases;
            }
        }
    }

    /// Tries a batch of cases for one property. Before a failure is reported, it is shrunk to a small case.
    #[track_caller]
    fn holds<S: Strategy>(&mut self, strategy: &S, property: impl Fn(S::Value) -> TestCaseResult) {
        self.holds_for(BATCH, strategy, property);
    }

    #[track_caller]
    fn holds_for<S: Strategy>(&mut self, cases: u32, strategy: &S, property: impl Fn(S::Value) -> TestCaseResult) {
        let config = ProptestConfig { cases, ..self.runner.config().clone() };
        // A new runner, because a runner that has tried its number of cases tries no more.
        let mut runner = TestRunner::new_with_rng(config, self.runner.new_rng());
        if let Err(failure) = runner.run(strategy, property) {
            panic!("{failure}");
        }
        self.cases += u64::from(cases);
    }

    fn reports(&mut self) {
        let cuts = || prop::collection::vec(1..300usize, 1..20);
        self.holds(&(prop::collection::vec(part(), 0..12), cuts()), |(parts, cuts)| {
            any_cut_gives_the_same(&parts.concat(), &cuts)
        });
        let spoken = prop::collection::vec((prop::collection::vec(b'g'..=b'z', 0..20), report()), 0..8);
        self.holds(&(spoken, cuts()), |(spoken, cuts)| what_is_said_arrives(&spoken, &cuts));
        self.holds(&(number(), 0..100_000i64), |(number, other)| numbers_out_of_range_are_refused(number, other));
    }

    fn metadata(&mut self) {
        self.holds(&(fields(), number()), |(fields, pid)| good_metadata_is_read(&fields, pid));
        self.holds(&prop::collection::vec(token(), 0..40), |tokens| any_metadata_is_survived(&tokens.concat()));
        self.holds(&prop::collection::vec(any::<u8>(), 0..200), |bytes| any_metadata_is_survived(&bytes));
        self.holds(&(0..100_000usize, select(vec!["[", "{\"pid\":", "{\"x\":[", "\"", "1"])), |(depth, text)| {
            any_metadata_is_survived(text.repeat(depth / text.len()).as_bytes())?;
            let inside = format!("{{\"pid\":42,\"extra\":{}", text.repeat(depth / text.len()));
            any_metadata_is_survived(inside.as_bytes())
        });
    }
}

/// Returns numbers that a host can write, most of them near a limit.
fn number() -> impl Strategy<Value = i128> {
    let limits = [0, 1, 128, 255, 256, 511, 512, i128::from(i32::MAX), i128::from(u32::MAX), i128::from(i64::MAX)];
    let near = (select(limits.to_vec()), -3..=3i128, any::<bool>());
    let near = near.prop_map(|(limit, off, negative)| if negative { -limit + off } else { limit + off });
    prop_oneof![near, any::<i64>().prop_map(i128::from), any::<i128>(), (0..i128::from(u64::MAX) + 3)]
}

/// Returns parts of a stream: whole and incomplete parts of reports, and other bytes.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let words = || select(WORDS.to_vec()).prop_map(str::to_owned);
    let line = prop::collection::vec(prop_oneof![words(), number().prop_map(|number| number.to_string())], 0..8);
    prop_oneof![
        4 => Just(NONCE.to_vec()),
        2 => (0..NONCE_LENGTH).prop_map(|length| NONCE[..length].to_vec()),
        2 => (0..NONCE_LENGTH).prop_map(|from| NONCE[from..].to_vec()),
        4 => line.prop_map(|words| format!(" {}\n", words.join(" ")).into_bytes()),
        2 => prop::collection::vec(any::<u8>(), 0..60),
        // Around the length of the longest report.
        1 => (LONGEST_REPORT - 3..LONGEST_REPORT + 3).prop_map(|length| vec![b'x'; length]),
        1 => Just(b"\n".to_vec()),
        2 => report().prop_map(|report| said(&report)),
    ]
}

const WORDS: [&str; 34] = [
    "begin", "pid", "running", "fail", "ok", "no", "warn", "metadata", "runtime", "group", "eof", "exit", "clean",
    "gone", "pong", "tick", "unleased", "problem", "missing", "in-use", "setup", "exec", "limit", "s", "c", "-", "u",
    "0", "1", "2", "+5", "\0", "\u{e9}", "boot:id",
];

/// Returns reports that a wrapper can send, with all values that its numbers can have.
fn report() -> impl Strategy<Value = Report> {
    let text = || "[A-Za-z0-9:_-]{1,64}";
    let user = prop::option::of("[A-Za-z0-9._@+][A-Za-z0-9._@+-]{0,31}");
    let step = select(vec![Step::Environment, Step::Setup, Step::Directory, Step::Limit, Step::Exec]);
    let failed = (step, any::<u32>(), 0..=255i32);
    prop_oneof![
        (1..=MOST_PID, user).prop_map(|(wrapper_pid, user)| Report::Begin { wrapper_pid, user }),
        (2..=MOST_PID, text(), text()).prop_map(|(pid, start_time, boot_id)| Report::Pid { pid, start_time, boot_id }),
        (any::<u64>(), any::<bool>()).prop_map(|(id, done)| Report::Answer { id, done }),
        failed.prop_map(|(step, number, code)| Report::Fail(Failure::Step { step, number, code })),
        select(vec![Report::Running, Report::Eof, Report::Clean, Report::Gone, Report::Pong, Report::Tick]),
    ]
}

/// Returns the line of a report, written independently of the wrapper's scripts.
fn said(report: &Report) -> Vec<u8> {
    let words = match report {
        Report::Begin { wrapper_pid, user } => {
            format!("begin 1 {wrapper_pid} {}", user.as_deref().unwrap_or_default())
        }
        Report::Pid { pid, start_time, boot_id } => format!("pid {pid} {start_time} {boot_id} 2"),
        Report::Answer { id, done } => format!("{} {id}", if *done { "ok" } else { "no" }),
        Report::Fail(Failure::Step { step, number, code }) => {
            format!("fail {} {number} {code}", format!("{step:?}").to_lowercase())
        }
        one_word => format!("{one_word:?}").to_lowercase(),
    };
    [NONCE, b" ".as_slice(), words.as_bytes(), b"\n"].concat()
}

/// An output of the scanner. Data that came in sequence is one piece.
#[derive(Debug, PartialEq)]
enum Given {
    Data(Vec<u8>),
    Report(Report),
    Unknown(Vec<u8>),
}

/// Scans a stream in pieces of these lengths, which are repeated until the stream ends.
fn scan(stream: &[u8], lengths: &[usize]) -> std::result::Result<Vec<Given>, TestCaseError> {
    let mut scanner = Scanner::new(*NONCE);
    let mut given = Vec::new();
    let mut sink = |piece: Piece| match (piece, given.last_mut()) {
        (Piece::Data(bytes), Some(Given::Data(before))) => before.extend_from_slice(bytes),
        (Piece::Data(bytes), _) => given.push(Given::Data(bytes.to_vec())),
        (Piece::Report(report), _) => given.push(Given::Report(report)),
        (Piece::Unknown(line), _) => given.push(Given::Unknown(line.to_vec())),
    };
    let (mut rest, mut lengths) = (stream, lengths.iter().cycle());
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rest.len().min(lengths.next().copied().unwrap_or(usize::MAX)));
        scanner.push(now, &mut sink);
        prop_assert!(scanner.held() < NONCE_LENGTH + LONGEST_REPORT, "{} bytes are held", scanner.held());
        rest = later;
    }
    scanner.finish(&mut sink);
    Ok(given)
}

/// Splits a stream into data and lines behind a nonce, by a plain search in the whole stream.
fn split(mut stream: &[u8]) -> Vec<Given> {
    let mut given = Vec::new();
    let mut data = Vec::new();
    loop {
        let nonce = stream.windows(NONCE_LENGTH).position(|window| window == NONCE);
        let body = nonce.map(|at| &stream[at + NONCE_LENGTH..]);
        let end = body.and_then(|body| body.iter().take(LONGEST_REPORT).position(|byte| *byte == b'\n'));
        let (line, next) = match (body, end) {
            (Some(body), Some(end)) => (&body[..end], &body[end + 1..]),
            (Some(body), None) if body.len() >= LONGEST_REPORT => body.split_at(LONGEST_REPORT),
            _ => break,
        };
        data.extend_from_slice(&stream[..nonce.unwrap_or_default()]);
        if !data.is_empty() {
            given.push(Given::Data(std::mem::take(&mut data)));
        }
        given.push(Given::Unknown(line.to_vec()));
        stream = next;
    }
    if !stream.is_empty() {
        given.push(Given::Data(stream.to_vec()));
    }
    given
}

fn any_cut_gives_the_same(stream: &[u8], lengths: &[usize]) -> TestCaseResult {
    let whole = scan(stream, &[])?;
    prop_assert_eq!(&scan(stream, lengths)?, &whole);
    prop_assert_eq!(&scan(stream, &[1])?, &whole);
    let expected = split(stream);
    prop_assert_eq!(whole.len(), expected.len(), "{:?} is not {:?}", whole, expected);
    for (given, expected) in whole.iter().zip(&expected) {
        match (given, expected) {
            // Only the content of a line decides whether it is a report, not its position.
            (Given::Report(report), Given::Unknown(line)) => {
                let alone = scan(&[NONCE, line.as_slice(), b"\n"].concat(), &[])?;
                prop_assert_eq!(&alone, &[Given::Report(report.clone())]);
                is_in_range(report)?;
            }
            (given, expected) => prop_assert_eq!(given, expected),
        }
    }
    Ok(())
}

fn is_in_range(report: &Report) -> TestCaseResult {
    let is_token = |text: &str| text.len() <= 64 && text.bytes().all(|b| b.is_ascii_graphic());
    let good = match report {
        Report::Begin { wrapper_pid, user } => {
            (1..=MOST_PID).contains(wrapper_pid) && user.as_ref().is_none_or(|user| check::user(user).is_ok())
        }
        Report::Pid { pid, start_time, boot_id } => {
            (2..=MOST_PID).contains(pid) && is_token(start_time) && is_token(boot_id)
        }
        Report::Exit { end, .. } => (0..=255).contains(&end.code),
        Report::Fail(Failure::Step { code, .. }) => (0..=255).contains(code),
        _ => true,
    };
    prop_assert!(good, "{:?}", report);
    Ok(())
}

fn what_is_said_arrives(spoken: &[(Vec<u8>, Report)], lengths: &[usize]) -> TestCaseResult {
    let mut expected = Vec::new();
    for (data, report) in spoken {
        if !data.is_empty() {
            expected.push(Given::Data(data.clone()));
        }
        expected.push(Given::Report(report.clone()));
    }
    let stream: Vec<u8> = spoken.iter().flat_map(|(data, report)| [data.clone(), said(report)].concat()).collect();
    prop_assert_eq!(scan(&stream, lengths)?, expected);
    Ok(())
}

fn numbers_out_of_range_are_refused(number: i128, other: i64) -> TestCaseResult {
    let u64s = 0..=i128::from(u64::MAX);
    for (words, range) in [
        (format!("pid {number} 5 boot 2"), 2..=i128::from(MOST_PID)),
        (format!("begin 1 {number}"), 1..=i128::from(MOST_PID)),
        (format!("ok {number}"), u64s.clone()),
        (format!("no {number}"), u64s),
        (format!("exit {number} - 1 0"), 0..=511),
        (format!("fail setup {other} {number}"), 0..=511),
        (format!("fail limit {number} 1"), 0..=i128::from(u32::MAX)),
        (format!("exit 0 - {number} 0"), 0..=1),
        (format!("exit 0 s 1 {number}"), 0..=1),
    ] {
        let line = [NONCE, b" ".as_slice(), words.as_bytes(), b"\n"].concat();
        match &scan(&line, &[])?[..] {
            [Given::Report(report)] => {
                prop_assert!(range.contains(&number), "{}", words);
                is_in_range(report)?;
            }
            [Given::Unknown(_)] => prop_assert!(!range.contains(&number), "{}", words),
            other => prop_assert!(false, "{}: {:?}", words, other),
        }
    }
    Ok(())
}

/// Returns the texts of a metadata file, and its time.
fn fields() -> impl Strategy<Value = (Vec<String>, f64)> {
    (prop::collection::vec(any::<String>(), 8), -1e300..1e300f64)
}

const KEYS: [&str; 8] = ["hostname", "user", "tree_id", "role", "name", "session", "start_time", "boot_id"];

fn good_metadata_is_read((texts, started_at): &(Vec<String>, f64), pid: i128) -> TestCaseResult {
    let quoted = |text: &String| serde_json::Value::from(text.as_str()).to_string();
    let texts: Vec<_> =
        KEYS.iter().zip(texts).map(|(key, text)| (format!("\"{key}\":{}", quoted(text)), text)).collect();
    let pairs: Vec<_> = texts.iter().map(|(pair, _)| pair.as_str()).collect();
    let json = format!("{{\"pid\":{pid},\"started_at\":{started_at},\"new\":[{{}}],{}}}", pairs.join(","));
    any_metadata_is_survived(json.as_bytes())?;
    match ProcessMetadata::from_json("u", json.as_bytes()) {
        Ok(metadata) => {
            let ProcessMetadata { hostname, user, tree_id, role, name, session, start_time, boot_id, .. } = &metadata;
            let read = [hostname, user, tree_id, role, name, session, start_time, boot_id];
            prop_assert!(read.iter().zip(&texts).all(|(read, (_, written))| read == written), "{}", json);
            prop_assert_eq!(i128::from(metadata.pid), pid);
            // serde_json reads numbers in a fast way, which is not quite exact.
            prop_assert!((metadata.started_at - started_at).abs() <= started_at.abs() * 1e-15, "{}", json);
        }
        Err(_) => prop_assert!(!(2..=i128::from(MOST_PID)).contains(&pid), "{}", json),
    }
    // A file that is cut off anywhere is not valid.
    let cut = pid.unsigned_abs() as usize % json.len();
    prop_assert!(ProcessMetadata::from_json("u", &json.as_bytes()[..cut]).is_err(), "{} cut at {}", json, cut);
    Ok(())
}

/// Returns tokens of JSON, and bytes that are not valid in JSON.
fn token() -> impl Strategy<Value = Vec<u8>> {
    let keys = KEYS.iter().chain(&["pid", "started_at", "new"]).map(|key| format!("\"{key}\":")).collect::<Vec<_>>();
    let texts = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        " ",
        "\n",
        "null",
        "true",
        "1e999",
        "-1e999",
        "-0",
        "1.5",
        "\"\"",
        "\"42\"",
        "\"\\ud800\"",
        "\"\\u0000\"",
        "\"",
        "\\",
        "NaN",
        "\u{feff}",
        "{\"pid\":42,",
        "\"pid\":42,\"hostname\":\"h\",",
        "\"user\":\"u\",\"started_at\":1}",
    ];
    prop_oneof![
        select(texts.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        select(keys).prop_map(String::into_bytes),
        number().prop_map(|number| number.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..5),
        (0..2000usize).prop_map(|length| [b"\"".as_slice(), &vec![b'x'; length], b"\""].concat()),
    ]
}

fn any_metadata_is_survived(json: &[u8]) -> TestCaseResult {
    match ProcessMetadata::from_json("u", json) {
        Ok(metadata) => {
            prop_assert!((2..=MOST_PID).contains(&metadata.pid));
            prop_assert!(metadata.started_at.is_finite());
        }
        Err(Error::BadMetadata { uuid, reason }) => {
            prop_assert_eq!(uuid, "u");
            prop_assert!(reason.len() <= 1000, "{} bytes", reason.len());
        }
        Err(other) => prop_assert!(false, "{:?}", other),
    }
    Ok(())
}
