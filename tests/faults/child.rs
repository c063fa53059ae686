//! The program that acts as run control: a manager in a process of its own, which the suite can kill and stop. The
//! program takes commands on stdin, "NUMBER WORD ARGUMENT…". On stdout it writes lines that begin with `MARK`: "reply
//! NUMBER TEXT", the manager's events, and the output of each process that has exited. When stdin ends, the manager
//! detaches from all processes.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use sshpm::{BootRequest, Event, EventKind, ExitStatus, KillScope, KillStep, LinkLossPolicy, Manager, Options, Signal};

use crate::dice::Dice;

/// Begins each line that is meant for the suite, because the test runner writes to the same stream.
pub const MARK: &str = "@@";
pub const SSH_CONFIG: &str = "SSHPM_FAULTS_SSH_CONFIG";
/// The variable that says whether each process has an ssh client of its own: "yes" or "no".
pub const CLIENTS: &str = "SSHPM_FAULTS_SSH_CLIENTS";

/// The lease and the lost timeout bound how long a step takes. They are as short as a busy machine allows.
pub const LEASE: Duration = Duration::from_secs(3);
pub const LOST_TIMEOUT: Duration = Duration::from_secs(10);

/// More bytes than an application of the session writes in some hours.
const OUTPUT_LIMIT: usize = 16 << 20;

/// More threads than there are commands that block at the same time.
const WORKERS: usize = 24;

fn options() -> Options {
    let config: PathBuf = std::env::var_os(SSH_CONFIG).expect("the suite sets this variable").into();
    let quit = KillStep { signal: Signal::QUIT, scope: KillScope::Leader, wait: Some(Duration::from_secs(1)) };
    let kill = KillStep { signal: Signal::KILL, scope: KillScope::Group, wait: None };
    Options::new()
        .ssh_config(config)
        .ssh_client_per_process(std::env::var(CLIENTS).expect("the suite sets this variable") == "yes")
        .connect_timeout(Duration::from_secs(4))
        .lost_timeout(LOST_TIMEOUT)
        .lease(LEASE)
        .output_limit(OUTPUT_LIMIT)
        .kill_sequence([quit, kill])
}

fn report(text: &str) {
    // One write, which begins with a newline: the test runner leaves its own line unfinished.
    let line = format!("\n{MARK}{}\n", text.replace('\n', " "));
    let mut stdout = std::io::stdout().lock();
    // A write fails when the suite has ended, and then stdin ends as well.
    let _ = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
}

/// Runs until stdin ends.
pub fn run() {
    let manager = Arc::new(Manager::new(options()).unwrap());
    let events = manager.subscribe().unwrap();
    let reporter = thread::spawn(move || events.iter().for_each(|event| report(&describe(&event))));
    let weak = Arc::downgrade(&manager);
    // The output is reported by a callback, because a process stays in the table until its callbacks have returned.
    let output = move |uuid: &str, start: u64, _: Result<&ExitStatus, &sshpm::Error>| {
        if let Some(manager) = weak.upgrade() {
            report_output(&manager, uuid, start);
        }
    };
    let output = manager.on_process_exit(output).unwrap();
    let (sender, commands) = crossbeam_channel::unbounded::<String>();
    // Commands run in threads, because some block and some run against each other. The threads are made now, because a
    // fault may leave no room for new ones.
    let worker = || {
        let (manager, commands) = (Arc::clone(&manager), commands.clone());
        thread::spawn(move || commands.iter().for_each(|line| answer(&manager, &line)))
    };
    let workers: Vec<_> = (0..WORKERS).map(|_| worker()).collect();
    for line in std::io::stdin().lines().map_while(Result::ok) {
        sender.send(line).unwrap();
    }
    drop(sender);
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    manager.detach().unwrap();
    manager.remove_callback(output);
    drop(manager);
    reporter.join().unwrap();
}

/// Reports the output of a process that has exited, in hex. A file would need a descriptor, and none may be free.
fn report_output(manager: &Manager, uuid: &str, start: u64) {
    let streams = [manager.process_stdout(uuid), manager.process_stderr(uuid)];
    let [Ok(stdout), Ok(stderr)] = streams else { return };
    // A later start may have taken the uuid, and the output is then not that of this start.
    if manager.start_number(uuid).ok() != Some(start) {
        return;
    }
    assert_eq!((stdout.dropped, stderr.dropped), (0, 0), "a process of the session wrote more than OUTPUT_LIMIT");
    report(&format!("output {uuid} {} {}", to_hex(&stdout.bytes), to_hex(&stderr.bytes)));
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn answer(manager: &Manager, line: &str) {
    let mut words = line.split(' ');
    let number = words.next().unwrap_or_default();
    let words: Vec<&str> = words.collect();
    let answer = execute(manager, &words).unwrap_or_else(|error| format!("error {error}"));
    report(&format!("reply {number} {answer}"));
}

fn execute(manager: &Manager, words: &[&str]) -> sshpm::Result<String> {
    let milliseconds = |text: &str| Duration::from_millis(text.parse().unwrap());
    match *words {
        ["start", uuid, host, grace, policy, log_file, ref argv @ ..] => {
            manager.start_process(uuid, &request(host, milliseconds(grace), policy, log_file, argv))?;
            Ok("started".into())
        }
        ["adopt", uuid, host] => {
            manager.adopt_process(uuid, host, None)?;
            Ok("adopted".into())
        }
        ["kill", uuid, timeout] => Ok(manager.kill_process(uuid, milliseconds(timeout))?.to_string()),
        ["close", uuid, timeout] => {
            let ended = manager.kill_process_without_metadata(uuid, Signal::KILL, false, milliseconds(timeout));
            Ok(ended?.to_string())
        }
        ["signal", uuid, signal] => {
            manager.send_signal(uuid, Signal::from_number(signal.parse().unwrap())?)?;
            Ok("sent".into())
        }
        ["pids", uuid] => {
            let pids = manager.runtime_pids(uuid);
            let number = |pid: Option<i64>| pid.unwrap_or(0);
            Ok(format!("{} {} {}", number(pids.ssh_client), number(pids.remote), number(pids.remote_monitoring)))
        }
        ["clean_up", host] => {
            manager.clean_up_host(host, None, Duration::ZERO, false)?;
            Ok("cleaned".into())
        }
        ["state", uuid] => Ok(format!("{:?}", manager.process_state(uuid)?)),
        ["race", prefix, host, seed, log, ref argv @ ..] => Ok(race(manager, prefix, host, seed, log, argv)),
        ["end"] => {
            let ends = manager.kill_all_processes(&Duration::from_secs(10).into())?;
            // Only a process that still runs is an error here: a failed start is in the table with its reason.
            let errors: Vec<_> =
                ends.iter().filter(|(_, end)| matches!(end, Err(sshpm::Error::StillRunning { .. }))).collect();
            Ok(if errors.is_empty() { "ended".into() } else { format!("{errors:?}") })
        }
        _ => Ok(format!("error unknown command {words:?}")),
    }
}

fn request(host: &str, grace: Duration, policy: &str, log_file: &str, argv: &[&str]) -> BootRequest {
    let policy = match policy {
        "terminate" => LinkLossPolicy::Terminate,
        "keep" => LinkLossPolicy::Keep,
        other => panic!("unknown link loss policy {other}"),
    };
    let request = BootRequest::new(host, argv.iter().copied()).grace(grace).link_loss(policy);
    let request = request.start_timeout(Duration::from_secs(15));
    if log_file == "-" { request } else { request.log_file(log_file) }
}

/// How many threads start and kill processes in a race, and how many processes they share.
pub const RACERS: usize = 8;
pub const RACED: usize = 3;

/// Starts and kills the same few processes in many threads. Returns how many starts of each were accepted.
fn race(manager: &Manager, prefix: &str, host: &str, seed: &str, log: &str, argv: &[&str]) -> String {
    let seed: u64 = seed.parse().unwrap();
    let accepted: [AtomicU32; RACED] = Default::default();
    let uuid = |number: usize| format!("{prefix}-{number}");
    thread::scope(|scope| {
        for racer in 0..RACERS {
            let (accepted, uuid) = (&accepted, &uuid);
            let racer = move || {
                let mut dice = Dice::new(seed ^ (racer as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                for _ in 0..3 {
                    let number = dice.below(RACED);
                    let uuid = uuid(number);
                    // Each process has its own log, in place of the word LOG.
                    let log = format!("{log}/{uuid}.log");
                    let argv: Vec<&str> = argv.iter().map(|word| if *word == "LOG" { &log } else { *word }).collect();
                    let request = request(host, Duration::from_secs(1), "terminate", "-", &argv);
                    if dice.below(2) == 0 {
                        if manager.start_process(&uuid, &request).is_ok() {
                            accepted[number].fetch_add(1, Ordering::Relaxed);
                        }
                    } else {
                        thread::sleep(Duration::from_millis(dice.below(200) as u64));
                        let _ = manager.kill_process(&uuid, Duration::from_millis(dice.below(300) as u64));
                    }
                }
            };
            // If no thread can be made, fewer threads race.
            let _ = thread::Builder::new().spawn_scoped(scope, racer);
        }
    });
    for number in 0..RACED {
        // Other errors are ignored: the process may have exited, or may never have been started.
        while let Err(sshpm::Error::StillRunning { .. }) = manager.kill_process(&uuid(number), Duration::from_secs(2)) {
        }
    }
    let counts: Vec<_> = accepted.iter().map(|count| count.load(Ordering::Relaxed).to_string()).collect();
    counts.join(" ")
}

fn describe(event: &Event) -> String {
    let uuid = &event.uuid;
    match &event.kind {
        EventKind::Started { pid } => format!("started {uuid} {pid}"),
        EventKind::LinkLost { reason } => format!("lost {uuid} {reason}"),
        EventKind::Exited { status } => format!("exited {uuid} {}", describe_status(status)),
        EventKind::LinkRestored => format!("restored {uuid}"),
        EventKind::LinkNotRestored { error } => format!("not-restored {uuid} {error}"),
        EventKind::StartFailed { error } => format!("failed {uuid} {error}"),
        other => format!("other {uuid} {other:?}"),
    }
}

fn describe_status(status: &ExitStatus) -> String {
    let number = |value: Option<i32>| value.map_or("-".to_owned(), |value| value.to_string());
    let (code, application) = (number(status.code()), number(status.application_code()));
    let signal = number(status.signal().map(Signal::number));
    format!("{code} {application} {signal} {} {} {status}", status.is_unknown(), status.source())
}
