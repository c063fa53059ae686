//! The run control program of the suite: a manager in a process of its own, so that it can be killed. It reads commands
//! from stdin, "NUMBER WORD ARGUMENT…", and writes lines to stdout that begin with `MARK`: first "hello PID", then
//! "reply NUMBER TEXT" for each command, and "report START UUID WHAT" for each event, callback and returned outcome.
//! When stdin ends, the manager detaches from all processes. Nothing else in this suite uses the library.

use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use sshpm::{BootRequest, CleanUp, Error, Event, EventKind, ExitStatus, FoundState, KillScope, KillStep, KillTimeouts};
use sshpm::{Launcher, LauncherFailure, Manager, Options, ProcessState, Signal, SshFailure, StartFailure};

use crate::report::{Exit, Outcome};
use crate::support::{ProcessInfo, processes};

/// The beginning of each line that is meant for the suite. The test runner writes to the same stream.
pub const MARK: &str = "@@";
/// The variable that says how the manager reaches its hosts: "shared", "bare", "alone" or "local".
pub const WAY: &str = "RANDOM_RUN_WAY";
pub const SSH_CONFIG: &str = "RANDOM_RUN_SSH_CONFIG";
/// The variable that names the directory for the output of processes. The manager puts the output there when it reports
/// an end.
pub const OUTPUT: &str = "RANDOM_RUN_OUTPUT";

/// The number of threads that answer commands: more than there are commands that wait at the same time.
const WORKERS: usize = 64;
/// How long a command waits for a stage of a start.
const STAGE: Duration = Duration::from_secs(10);

fn options() -> Options {
    let quit = KillStep { signal: Signal::QUIT, scope: KillScope::Leader, wait: None };
    let kill = KillStep { signal: Signal::KILL, scope: KillScope::Group, wait: Some(Duration::from_secs(10)) };
    // A busy machine can be slow.
    let options = Options::new().kill_sequence([quit, kill]).connect_timeout(Duration::from_secs(60));
    let config = || PathBuf::from(std::env::var_os(SSH_CONFIG).expect("the suite sets it"));
    match std::env::var(WAY).expect("the suite sets it").as_str() {
        "shared" => options.ssh_config(config()),
        "bare" => options.ssh_config(config()).ssh_client_per_process(false),
        "alone" => options.ssh_config(config()).share_connections(false),
        "local" => options.launcher(Launcher::Local),
        other => panic!("{WAY}={other}"),
    }
}

/// Whether each process has a client of its own.
fn has_clients() -> bool {
    std::env::var(WAY).is_ok_and(|way| way != "bare")
}

fn say(text: &str) {
    // One write, with a newline before the line: the test runner does not finish its own line.
    let line = format!("\n{MARK}{}\n", text.replace('\n', " "));
    let mut stdout = std::io::stdout().lock();
    // If nobody reads stdout any more, stdin ends as well.
    let _ = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
}

struct Program {
    manager: Manager,
    output: PathBuf,
}

/// Runs until stdin ends.
pub fn run() {
    let manager = Manager::new(options()).unwrap();
    let output = std::env::var_os(OUTPUT).expect("the suite sets it").into();
    let program = Arc::new(Program { manager, output });
    let call = |_: &str, start: u64, outcome: Result<&ExitStatus, &Error>| {
        say(&format!("report {start} - called {}", outcome_of(outcome).text()));
    };
    program.manager.on_process_exit(call).unwrap();
    let events = program.manager.subscribe().unwrap();
    let listening = Arc::downgrade(&program);
    let reporter = thread::spawn(move || {
        for event in events.iter() {
            // Events can still be waiting when the manager is gone.
            if let Some(program) = listening.upgrade() {
                program.put_output_at_end(&event);
            }
            say(&format!("report {} {} {}", event.start_number, event.uuid, describe(&event.kind)));
        }
    });
    let (sender, commands) = crossbeam_channel::unbounded::<String>();
    let worker = || {
        let (program, commands) = (Arc::clone(&program), commands.clone());
        thread::spawn(move || commands.iter().for_each(|line| program.answer(&line)))
    };
    let workers: Vec<_> = (0..WORKERS).map(|_| worker()).collect();
    say(&format!("hello {}", std::process::id()));
    for line in std::io::stdin().lines().map_while(Result::ok) {
        sender.send(line).unwrap();
    }
    drop(sender);
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    program.manager.detach().unwrap();
    drop(program);
    reporter.join().unwrap();
}

/// A timeout within which all callbacks return.
const PATIENT: Duration = Duration::from_secs(1);

impl Program {
    fn put_output_at_end(&self, event: &Event) {
        if matches!(event.kind, EventKind::Exited { .. } | EventKind::StartFailed { .. }) {
            self.put_output(&event.uuid, event.start_number);
        }
    }

    /// Puts the application's output into the files that the suite reads. Does nothing if a call has removed the
    /// process from the table.
    fn put_output(&self, uuid: &str, start: u64) {
        let outputs = [self.manager.process_stdout(uuid), self.manager.process_stderr(uuid)];
        let [Ok(stdout), Ok(stderr)] = outputs else { return };
        // By now the output could be that of the next start.
        if self.manager.start_number(uuid).ok() != Some(start) {
            return;
        }
        for (name, output) in [("out", stdout), ("err", stderr)] {
            assert_eq!(output.dropped, 0, "the manager dropped output of a start");
            fs::write(self.output.join(format!("{start}.{name}")), output.bytes).unwrap();
        }
    }

    fn answer(&self, line: &str) {
        let (number, command) = line.split_once(' ').unwrap_or((line, ""));
        let answer = self.obey(command).unwrap_or_else(|error| format!("error {} {error}", name_of(&error)));
        say(&format!("reply {number} {answer}"));
    }

    /// Reports what a call has returned, if it is the outcome of a start. Returns any other error of the call.
    fn returned(&self, call: &str, start: u64, returned: Result<ExitStatus, Error>) -> Result<String, Error> {
        let (start, outcome) = match &returned {
            Ok(status) => (status.start_number(), outcome_of(Ok(status))),
            Err(error) if is_outcome(error) => (start, outcome_of(Err(error))),
            Err(error) => return Err(error.clone()),
        };
        let text = outcome.text();
        say(&format!("report {start} - answered {call} {text}"));
        Ok(text)
    }

    fn obey(&self, command: &str) -> Result<String, Error> {
        let manager = &self.manager;
        let words: Vec<&str> = command.split(' ').collect();
        match *words.as_slice() {
            // "at STAGE MICROSECONDS UUID COMMAND…"
            ["at", stage, time, uuid, ..] => {
                self.await_stage(uuid, stage);
                thread::sleep(Duration::from_micros(time.parse().unwrap()));
                self.obey(command.splitn(5, ' ').last().unwrap_or_default())
            }
            ["start", uuid, ..] => {
                let json = command.splitn(3, ' ').last().unwrap_or_default();
                manager.start_process(uuid, &BootRequest::from_json(json)?).map(begun)
            }
            ["adopt", uuid, host] => manager.adopt_process(uuid, host, None).map(begun),
            ["kill", uuid, timeout] => {
                let start = manager.start_number(uuid)?;
                self.returned("kill", start, manager.kill_process(uuid, milliseconds(timeout)))
            }
            ["kill-many", timeout, ref uuids @ ..] => {
                let start = manager.start_number(uuids[0])?;
                let results = manager.kill_processes(uuids, &KillTimeouts::from(milliseconds(timeout)))?;
                self.returned("kill", start, results.get(uuids[0]).cloned().expect("an answer for each"))
            }
            ["kill-client", uuid, timeout] => {
                let start = manager.start_number(uuid)?;
                let timeout = milliseconds(timeout);
                let killed = manager.kill_process_without_metadata(uuid, Signal::KILL, true, timeout);
                // A kill waits for the callbacks no longer than its timeout.
                let call = if timeout < PATIENT { "brief-kill-client" } else { "kill-client" };
                self.returned(call, start, killed)
            }
            ["signal", uuid, signal] => {
                manager.send_signal(uuid, Signal::from_number(signal.parse().unwrap())?)?;
                Ok("sent".into())
            }
            ["pop", uuid] => {
                let start = manager.start_number(uuid)?;
                match manager.pop_early_exit_status(uuid) {
                    Some(outcome) => self.returned("pop", start, outcome),
                    None => Ok("none".into()),
                }
            }
            ["forget", uuid] => manager.forget_process(uuid).map(|()| "forgotten".into()),
            ["wait", uuid, timeout] => {
                manager.wait_for_process_exit_code(uuid, milliseconds(timeout)).map(|code| format!("code {code:?}"))
            }
            ["strike", uuid] if has_clients() => Ok(strike(manager.runtime_pids(uuid).ssh_client)),
            ["strike", uuid] => {
                let start = manager.start_number(uuid)?;
                match manager.kill_process_without_metadata(uuid, Signal::KILL, false, Duration::ZERO) {
                    Err(Error::StillRunning { .. }) => Ok("struck".into()),
                    ended => self.returned("strike", start, ended),
                }
            }
            ["find", host] => self.find(host),
            ["clean", host] => self.clean(host),
            ["detach"] => {
                manager.detach()?;
                Ok(without_children())
            }
            _ => panic!("a command that this program does not know: {words:?}"),
        }
    }

    /// Waits until a start has reached a stage or is over. The stages are "client", "remote", "running", and "dead":
    /// the application has ended, but the manager may not know that yet.
    fn await_stage(&self, uuid: &str, stage: &str) {
        let begun = Instant::now();
        let mut seen = None;
        while begun.elapsed() < STAGE {
            let pids = self.manager.runtime_pids(uuid);
            let state = self.manager.process_state(uuid);
            seen = seen.or_else(|| pids.remote.and_then(|pid| ProcessInfo::of(pid as i32)));
            let is_there = match (stage, state) {
                (_, Err(_) | Ok(ProcessState::Ended | ProcessState::Failed)) => true,
                // Without clients, its session is requested at about that time.
                ("client", _) => pids.ssh_client.is_some() || (!has_clients() && pids.client_monitoring.is_some()),
                ("remote", _) => pids.remote.is_some(),
                ("running", Ok(state)) => state == ProcessState::Running,
                ("dead", _) => seen.as_ref().is_some_and(|process| !process.is_alive()),
                _ => true,
            };
            if is_there {
                return;
            }
            thread::sleep(Duration::from_micros(300));
        }
    }

    fn find(&self, host: &str) -> Result<String, Error> {
        let mut text = String::new();
        for found in self.manager.find_processes(host, None)? {
            let state = match found.state {
                FoundState::Managed => "managed",
                FoundState::Unmanaged => "unmanaged",
                FoundState::Orphaned => "orphaned",
                FoundState::Ended(_) => "ended",
                _ => "gone",
            };
            let _ = write!(text, "{} {state} ", found.uuid);
        }
        Ok(text)
    }

    fn clean(&self, host: &str) -> Result<String, Error> {
        let mut text = String::new();
        for cleaned in self.manager.clean_up_host(host, None, Duration::from_secs(2), false)? {
            let outcome = match cleaned.outcome {
                CleanUp::Managed => "managed",
                CleanUp::Ended => "ended",
                CleanUp::Removed => "removed",
                _ => "running",
            };
            let _ = write!(text, "{} {outcome} ", cleaned.uuid);
        }
        Ok(text)
    }
}

/// Kills the ssh client of a process, or the local process that stands in its place.
fn strike(client: Option<i64>) -> String {
    let me = std::process::id() as i32;
    let client = client.and_then(|pid| ProcessInfo::of(pid as i32)).filter(|client| client.ppid == me);
    match client {
        Some(client) => client.signal(libc::SIGKILL).map_or("gone".into(), |()| "struck".into()),
        None => "none".into(),
    }
}

/// Waits until this process has no children, not even zombies. Returns an error text if some are left after 5 s.
fn without_children() -> String {
    let (begun, me) = (Instant::now(), std::process::id() as i32);
    loop {
        let children: Vec<_> = processes().into_iter().filter(|process| process.ppid == me).collect();
        if children.is_empty() {
            return "detached".into();
        }
        if begun.elapsed() > Duration::from_secs(5) {
            let describe = |child: &ProcessInfo| format!("{} {} {:?}", child.pid, child.state, child.cmdline);
            return format!("error Children {:?}", children.iter().map(describe).collect::<Vec<_>>());
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn milliseconds(text: &str) -> Duration {
    Duration::from_millis(text.parse().unwrap())
}

fn begun(start: u64) -> String {
    format!("begun {start}")
}

fn describe(kind: &EventKind) -> String {
    match kind {
        EventKind::Started { pid } => format!("started {pid}"),
        EventKind::LinkLost { reason } => format!("lost {reason}"),
        EventKind::LinkRestored => "restored".into(),
        EventKind::LinkNotRestored { error } => format!("not-restored {error}"),
        EventKind::Exited { status } => outcome_of(Ok(status)).text(),
        EventKind::StartFailed { error } => outcome_of(Err(error)).text(),
        other => panic!("an event that the suite does not know: {other:?}"),
    }
}

fn outcome_of(outcome: Result<&ExitStatus, &Error>) -> Outcome {
    match outcome {
        Err(error) => Outcome::Failed(name_of(error)),
        Ok(status) => Outcome::Exited(Exit {
            code: status.code(),
            application: status.application_code(),
            signal: status.signal().map(Signal::number),
            unknown: status.is_unknown(),
            lost: status.link_lost(),
            source: status.source().to_string(),
        }),
    }
}

/// Returns whether an error says why a process did not start, and not why a call failed.
fn is_outcome(error: &Error) -> bool {
    matches!(error, Error::StartFailed { .. } | Error::Ssh { .. } | Error::Launcher { .. } | Error::Local { .. })
}

/// Returns the name of an error as one word.
fn name_of(error: &Error) -> String {
    let name = match error {
        Error::StartFailed { reason: StartFailure::TimedOut { stage, .. }, .. } => format!("TimedOut:{stage:?}"),
        Error::StartFailed { reason: StartFailure::Setup { line, code }, .. } => format!("Setup:{line}:{code}"),
        Error::StartFailed { reason: StartFailure::Ended(code), .. } => format!("Ended:{code}"),
        Error::StartFailed { reason, .. } => format!("{reason:?}"),
        Error::Ssh { failure: SshFailure::RemoteShell(code), .. } => format!("Ssh:RemoteShell:{code}"),
        Error::Ssh { failure, .. } => format!("Ssh:{failure:?}"),
        Error::Launcher { failure: LauncherFailure::Ended(code), .. } => format!("Launcher:Ended:{code}"),
        Error::Launcher { failure, .. } => format!("Launcher:{failure:?}"),
        other => format!("{other:?}"),
    };
    // Only the name of the variant, without its fields.
    name.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
}
