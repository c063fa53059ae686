//! Tests with hosts that send anything, in any order and many times, on both streams. However much a host sends, and
//! whichever call listens, the memory that the manager holds stays below a bound.
//!
//! In these tests only the calling thread works for a call, so the heap of this thread is all that the call holds. The
//! host is a shell script.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::TestCaseResult;
use tempfile::TempDir;

use super::Fuzz;
use crate::local::heap::most_held;
use crate::manager::Manager;
use crate::model::error::Error;
use crate::model::launcher::Launcher;
use crate::model::link_loss::LinkLossPolicy;
use crate::model::options::Options;
use crate::model::request::BootRequest;
use crate::remote::instance::Instance;
use crate::remote::parameters;
use crate::remote::report::NONCE_BEGIN;
use crate::watch::event::EventKind;
use crate::watch::process::Process;
use crate::watch::watcher;

/// Smaller than the default, so that a host can send much more than all bounds in a short time.
const OUTPUT_LIMIT: usize = 16 << 10;
/// How many bytes a process may hold beside the stored ends of its two streams: its scripts, and commands that the host
/// does not read.
const MOST_OF_PROCESS: usize = 192 << 10;
/// How many bytes may be held to follow the output files of a kept process: its stderr for nine links, 128 KiB for
/// each, and 128 KiB more while a buffer grows.
const MOST_OF_SPOOL: usize = 10 * (128 << 10);
/// How many bytes a call with a long answer may hold: a log file of 16 MiB, or a list of 16 MiB of metadata and 10,000
/// entries.
const MOST_OF_LONG_CALL: usize = 32 << 20;
/// How many bytes a call with a short answer may hold: 64 KiB of metadata, as text and as values.
const MOST_OF_SHORT_CALL: usize = 256 << 10;

/// How many cases are tried between two checks of the time. Most cases take some tenths of a second, and long calls
/// some seconds.
const CASES: u32 = 2;
/// After how many events the test releases a process, because a host can restore and break a link for ever.
const MOST_EVENTS: usize = 5;
const SECOND: Duration = Duration::from_secs(1);

/// The script that is the host. `$1` is a directory with the texts to send: for each stream one text that is sent once,
/// and one that is repeated. The script that the manager sends assigns the nonce to the variable that `$2` names. The
/// host reads only the beginning of that script, takes the nonce from it, and writes the nonce where a report begins.
const HOST: &str = r#"
script=$(dd bs=8192 count=1 2>/dev/null)
nonce=${script#*"$2"=\'}
nonce=${nonce%%\'*}
[ -z "$script" ] || [ "${#nonce}" -eq 32 ] || : >"$1/no-nonce"
say() {
    LC_ALL=C sed "s/$(printf '\036')/$nonce/g" "$1.once"
    LC_ALL=C sed "s/$(printf '\036')/$nonce/g" "$1.again" >"$1.said"
    for _ in $(cat "$1.times"); do
        cat "$1.said" || return
    done
}
say "$1/stdout" &
say "$1/stderr" >&2
wait
"#;

/// A call that listens to a host.
#[derive(Debug, Clone, Copy)]
enum Call {
    Start { policy: LinkLossPolicy, has_log_file: bool },
    FindProcesses,
    CleanUpHost,
    ReadLogFile,
    ReadMetadata,
    Validate,
}

impl Call {
    /// Returns how many bytes this call may hold.
    fn bound(self) -> usize {
        match self {
            Call::Start { policy: LinkLossPolicy::Keep, has_log_file: false } => {
                2 * OUTPUT_LIMIT + MOST_OF_PROCESS + MOST_OF_SPOOL
            }
            Call::Start { .. } => 2 * OUTPUT_LIMIT + MOST_OF_PROCESS,
            Call::FindProcesses | Call::CleanUpHost | Call::ReadLogFile => MOST_OF_LONG_CALL,
            Call::ReadMetadata | Call::Validate => MOST_OF_SHORT_CALL,
        }
    }

    /// Returns how many bytes the host sends: much more than the bound, because of a report of 40 bytes only a number
    /// of eight bytes may be held.
    fn volume(self) -> usize {
        match self {
            Call::Start { .. } => 2 << 20,
            Call::FindProcesses | Call::CleanUpHost | Call::ReadLogFile => MOST_OF_LONG_CALL + (8 << 20),
            Call::ReadMetadata | Call::Validate => 8 * MOST_OF_SHORT_CALL,
        }
    }

    fn make(self, manager: Manager) {
        let _ = match self {
            Call::Start { policy, has_log_file } => return start(manager, policy, has_log_file),
            Call::FindProcesses => manager.find_processes("h", None).err(),
            Call::CleanUpHost => manager.clean_up_host("h", None, Duration::ZERO, false).err(),
            Call::ReadLogFile => manager.read_log_file("h", None, "/log", 100, SECOND * 60).err(),
            Call::ReadMetadata => manager.read_process_metadata("u", "h", None, SECOND * 60).err(),
            Call::Validate => manager.validate_host_connection("h", None, None).err(),
        };
    }
}

/// What a host sends on one stream.
#[derive(Debug, Clone)]
struct Words {
    once: Vec<u8>,
    again: Vec<Vec<u8>>,
}

impl Words {
    /// Writes the files from which the host sends this on a stream, `volume` bytes of it.
    fn write(&self, directory: &Path, stream: &str, volume: usize) {
        const PIECE: usize = 256 << 10;
        let mut piece = Vec::new();
        // Each repetition has another number.
        for number in 2.. {
            self.again.iter().for_each(|part| piece.extend(numbered(part, number)));
            if piece.is_empty() || piece.len() >= PIECE {
                break;
            }
        }
        let write = |what: &str, content: &[u8]| fs::write(directory.join(format!("{stream}.{what}")), content);
        write("once", &self.once).expect("a file of the host");
        write("again", &piece).expect("a file of the host");
        write("times", "x ".repeat(volume / PIECE).as_bytes()).expect("a file of the host");
    }
}

/// Returns the part with a number in place of each `#`.
fn numbered(part: &[u8], number: usize) -> Vec<u8> {
    let number = number.to_string();
    let bytes = part.iter().map(|byte| if *byte == b'#' { number.as_bytes() } else { std::slice::from_ref(byte) });
    bytes.flatten().copied().collect()
}

/// Reports with which a call gets far. A host that sends all of them in this order starts a process and gives it links.
const GOOD: [&str; 5] = ["begin 1 77 user", "pid 4242 5 boot 2", "wrapper 78", "running", "attached running"];
/// Reports with which a call gets far that first asks for a list: `eof` ends that list.
const GOOD_WITH_LIST: [&str; 6] = [GOOD[0], GOOD[1], GOOD[2], GOOD[3], GOOD[4], "eof"];

const REPORTS: [&str; 36] = [
    "begin",
    "begin 1 # u#",
    "pid # 5 boot 2",
    "wrapper #",
    "attached starting",
    "attached running",
    "refused",
    "stray #",
    "found u# attended",
    "found u# left",
    "found u# exit 3 - 1 0 #",
    "found u# gone",
    "cleaned u# attended",
    "cleaned u# running # # # # # # # # # # # # # # # # # # # #",
    "rest 1",
    "rest 2",
    "running",
    "fail in-use",
    "fail setup # 1",
    "ok #",
    "no #",
    "warn metadata",
    "warn runtime",
    "warn group",
    "warn signals",
    "warn files",
    "eof",
    "exit 3 - 1 0",
    "exit 9 s 0 1",
    "clean",
    "gone",
    "pong",
    "tick",
    "unleased",
    "problem missing",
    "no report, and # of them",
];

fn report(words: &str) -> Vec<u8> {
    [&[NONCE_BEGIN], b" ".as_slice(), words.as_bytes(), b"\n"].concat()
}

/// Returns the list entry of one application, with more metadata than most applications have.
fn found() -> Vec<u8> {
    let name = "n".repeat(1600);
    let metadata = format!(r##"{{"pid":42,"hostname":"h","user":"u","started_at":1,"name":"{name}#"}}"##);
    [report("found u# left"), metadata.into_bytes()].concat()
}

/// Returns a long line.
fn data() -> Vec<u8> {
    vec![b'x'; 5000]
}

fn part() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => select(REPORTS.to_vec()).prop_map(report),
        1 => prop::collection::vec(any::<u8>(), 0..60),
        1 => Just(b"some words of the application\n".to_vec()),
        1 => Just(data()),
        2 => Just(found()),
    ]
}

fn once(reports: &[&str]) -> Vec<u8> {
    reports.iter().flat_map(|words| report(words)).collect()
}

fn words(good: &'static [&'static str]) -> impl Strategy<Value = Words> {
    let good = prop_oneof![4 => Just(good.to_vec()), 1 => subsequence(good.to_vec(), 0..=good.len())];
    let once = good.prop_map(|good| once(&good));
    let again = prop_oneof![
        4 => part().prop_map(|part| vec![part]),
        1 => prop::collection::vec(part(), 2..6),
        1 => Just(Vec::new()),
    ];
    (once, again).prop_map(|(once, again)| Words { once, again })
}

fn call() -> impl Strategy<Value = Call> {
    let start = (select(vec![LinkLossPolicy::Terminate, LinkLossPolicy::Keep]), any::<bool>());
    prop_oneof![
        12 => start.prop_map(|(policy, has_log_file)| Call::Start { policy, has_log_file }),
        4 => select(vec![Call::ReadMetadata, Call::Validate]),
        1 => select(vec![Call::FindProcesses, Call::CleanUpHost, Call::ReadLogFile]),
    ]
}

impl Fuzz {
    pub(super) fn hosts(&mut self) {
        let stderr = prop_oneof![words(&GOOD), words(&GOOD_WITH_LIST)];
        self.holds_for(CASES, &(call(), words(&["begin"]), stderr), |(call, stdout, stderr)| {
            little_is_held(call, &stdout, &stderr)
        });
    }
}

/// Tries hosts that fill each kind of memory, one after the other.
#[test]
fn the_worst_hosts_fill_no_memory() {
    let start = |policy, has_log_file| Call::Start { policy, has_log_file };
    for (call, is_stderr, part) in [
        (start(LinkLossPolicy::Terminate, true), true, report("stray #")),
        (start(LinkLossPolicy::Terminate, false), true, report("tick")),
        (start(LinkLossPolicy::Terminate, false), false, data()),
        (start(LinkLossPolicy::Keep, false), true, data()),
        (start(LinkLossPolicy::Keep, true), true, report("attached running")),
        (Call::FindProcesses, false, found()),
        (Call::CleanUpHost, true, report(REPORTS[13])),
        (Call::ReadLogFile, false, data()),
        (Call::ReadMetadata, false, data()),
        (Call::Validate, false, data()),
    ] {
        let good = if matches!(call, Call::CleanUpHost) { &GOOD_WITH_LIST[..] } else { &GOOD };
        let mut stdout = Words { once: once(&["begin"]), again: Vec::new() };
        let mut stderr = Words { once: once(good), again: Vec::new() };
        if is_stderr { &mut stderr } else { &mut stdout }.again.push(part);
        little_is_held(call, &stdout, &stderr).unwrap_or_else(|error| panic!("{error}"));
    }
}

fn little_is_held(call: Call, stdout: &Words, stderr: &Words) -> TestCaseResult {
    let directory = TempDir::new().expect("a temporary directory");
    stdout.write(directory.path(), "stdout", call.volume());
    stderr.write(directory.path(), "stderr", call.volume());
    let place = directory.path().to_str().expect("a path in UTF-8");
    let host = ["/bin/sh", "-c", HOST, "host", place, parameters::NONCE];
    let options = Options::new().launcher(Launcher::command(host)).output_limit(OUTPUT_LIMIT);
    let options = options.connect_timeout(SECOND).lost_timeout(Duration::ZERO).restore_timeout(Duration::ZERO);
    let manager = Manager::new(options).expect("options that are valid");
    let most = most_held(|| call.make(manager));
    prop_assert!(most <= call.bound(), "{:?} holds {} bytes", call, most);
    prop_assert!(!directory.path().join("no-nonce").exists(), "the host found no nonce in the script");
    Ok(())
}

/// Starts a process, and watches it on this thread until it has ended, or until the test releases it.
fn start(manager: Manager, policy: LinkLossPolicy, has_log_file: bool) {
    let mut request =
        BootRequest::new("h", ["true"]).link_loss(policy).start_timeout(SECOND * 60).grace(Duration::ZERO);
    request.log_file = has_log_file.then(|| "/log".into());
    let launcher = manager.shared.options().launcher_of("h").clone();
    let instance = Instance { uuid: "u".to_owned(), id: "0123456789abcdef".to_owned() };
    let process = Arc::new(Process::new(instance, request, launcher));
    let events = manager.subscribe().expect("a subscription");
    thread::scope(|scope| {
        let (watched, shared) = (Arc::clone(&process), Arc::clone(&manager.shared));
        scope.spawn(move || {
            let is_last = |kind: &EventKind| match kind {
                EventKind::LinkNotRestored { error } => matches!(error, Error::TakenOver { .. }),
                EventKind::Exited { .. } | EventKind::StartFailed { .. } => true,
                _ => false,
            };
            // If no such event comes, the manager is gone.
            let _ = events.iter().take(MOST_EVENTS).find(|event| is_last(&event.kind));
            watched.release();
            shared.pool.wake();
        });
        watcher::watch(Arc::clone(&process), Vec::new(), Arc::clone(&manager.shared), None);
        drop(manager);
    });
}
