//! Counts what the test process itself has (threads, descriptors, children), and runs tests alone in a process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::clean::begin_clean;
use super::launched::{By, LAUNCHER, hand_on, launched_by};
use super::{DEADLINE, LOG, ProcessInfo, procs, shorten_lines};

/// The variable with the name of the test that this process was started for.
const ISOLATED: &str = "SSHPM_TEST_ISOLATED";

/// How long an isolated test may take.
const ISOLATED_DEADLINE: Duration = Duration::from_secs(120);

/// What this process has. That is only meaningful where no other test runs in the process: see `isolated`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalState {
    /// Their names, sorted. A new thread has its parent's name until it sets its own.
    pub threads: Vec<String>,
    pub fds: BTreeMap<i32, PathBuf>,
    /// By pid: the command line, or "zombie".
    pub children: BTreeMap<i32, String>,
}

pub fn local_snapshot() -> LocalState {
    let tasks = fs::read_dir("/proc/self/task").expect("/proc/self/task").flatten();
    let mut threads: Vec<_> = tasks
        // A thread may end in between.
        .filter_map(|task| Some(fs::read_to_string(task.path().join("comm")).ok()?.trim_end().to_owned()))
        .collect();
    threads.sort();
    let own = format!("/proc/{}/fd", std::process::id());
    let fds = fs::read_dir(&own).expect("/proc/PID/fd").flatten();
    let fds = fds
        .filter_map(|fd| Some((fd.file_name().to_str()?.parse().ok()?, fs::read_link(fd.path()).ok()?)))
        // The descriptor that reads this directory.
        .filter(|(_, target)| target != Path::new(&own))
        .collect();
    let me = std::process::id() as i32;
    let children = procs::all().into_iter().filter(|process| process.ppid == me);
    let children = children.map(|child| (child.pid, describe(&child))).collect();
    LocalState { threads, fds, children }
}

/// Returns the most memory that this process has had so far, in KiB.
pub fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc/self/status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    peak.split_ascii_whitespace().next().and_then(|number| number.parse().ok()).expect("a number of KiB")
}

/// Returns the ssh children of this process: the clients of processes and the masters of connections.
pub fn ssh_children() -> Vec<ProcessInfo> {
    let me = std::process::id() as i32;
    let is_ssh = |process: &ProcessInfo| process.cmdline.first().is_some_and(|name| name == "ssh");
    procs::all().into_iter().filter(|process| process.ppid == me && is_ssh(process)).collect()
}

/// Returns the children of this process that carry sessions, whatever the launcher is. For ssh, the masters of
/// connections are among them.
pub fn clients() -> Vec<ProcessInfo> {
    if launched_by() == By::Ssh {
        return ssh_children();
    }
    let me = std::process::id() as i32;
    // An argument of each of them is the code of the first shell on the host.
    let is_first = |word: &OsString| word.to_string_lossy().contains(r#"eval "$_script""#);
    let is_client = |process: &ProcessInfo| process.cmdline.iter().any(is_first);
    procs::all().into_iter().filter(|process| process.ppid == me && is_client(process)).collect()
}

fn describe(child: &ProcessInfo) -> String {
    if child.is_zombie() {
        return "zombie".to_owned();
    }
    let words: Vec<_> = child.cmdline.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

/// Waits until this process has exactly what it had before.
#[track_caller]
pub fn assert_same_as(before: &LocalState) {
    let start = Instant::now();
    loop {
        let now = local_snapshot();
        if now == *before {
            return;
        }
        assert!(start.elapsed() < DEADLINE, "the process differs from before\nbefore: {before:#?}\nnow: {now:#?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn isolated_name() -> Option<String> {
    static NAME: OnceLock<Option<String>> = OnceLock::new();
    // The environment may be replaced by a remote's: see launched.rs.
    NAME.get_or_init(|| std::env::var(ISOLATED).ok()).clone()
}

/// Whether this process was started for exactly this test.
pub fn is_isolated(name: &str) -> bool {
    isolated_name().as_deref() == Some(name)
}

/// Returns the command that runs this test program again, with only the test of this name, alone in its process.
pub fn isolated_command(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the path of this test program"));
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(ISOLATED, name).stdin(Stdio::null());
    hand_on(&mut command);
    begin_clean(&mut command);
    command
}

/// Runs the body of the test that calls this in a fresh process where nothing else runs, so that threads, descriptors
/// and children can be counted. The body has to be a closure of the test itself: its type names the test.
#[track_caller]
pub fn isolated(body: impl FnOnce()) {
    isolated_within(ISOLATED_DEADLINE, body);
}

/// Runs the body of a test in a fresh process, as `isolated` does, with more time.
#[track_caller]
pub fn isolated_within(deadline: Duration, body: impl FnOnce()) {
    isolated_with(deadline, name_of(&body), isolated_command, body);
}

/// Runs the body of a test in a fresh process, as `isolated` does, by this launcher. Skips the test where the remote is
/// this machine.
#[track_caller]
pub fn isolated_by(by: By, body: impl FnOnce()) {
    let name = name_of(&body);
    if !is_isolated(name) && !super::namespaces_work() {
        return super::skipped(
            "no root or no mount namespaces here: the processes would have this machine's own files",
        );
    }
    let command = |name: &str| {
        let mut command = isolated_command(name);
        command.env(LAUNCHER, by.name());
        command
    };
    isolated_with(ISOLATED_DEADLINE, name, command, body);
}

/// Runs the body of a test in a fresh process, as `isolated` does. `state` changes the process before it has another
/// thread, and may only make system calls.
#[track_caller]
pub fn isolated_with_state(state: fn(), body: impl FnOnce()) {
    let command = |name: &str| {
        let mut command = isolated_command(name);
        let set = move || {
            state();
            Ok(())
        };
        // SAFETY: what may be done there is documented.
        unsafe { command.pre_exec(set) };
        command
    };
    isolated_with(ISOLATED_DEADLINE, name_of(&body), command, body);
}

/// Runs the body of a test in a fresh process, as `isolated` does. This script for /bin/sh starts the process: its "$@"
/// is the command.
#[track_caller]
pub fn isolated_by_script(script: &str, body: impl FnOnce()) {
    let command = |name: &str| {
        let program = isolated_command(name);
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, "sh"]).arg(program.get_program()).args(program.get_args()).stdin(Stdio::null());
        for (variable, value) in program.get_envs() {
            match value {
                Some(value) => command.env(variable, value),
                None => command.env_remove(variable),
            };
        }
        begin_clean(&mut command);
        command
    };
    isolated_with(ISOLATED_DEADLINE, name_of(&body), command, body);
}

/// The name of the test whose closure this is, as the test runner prints it.
fn name_of<F>(_: &F) -> &'static str {
    let path = std::any::type_name::<F>();
    let (_, name) = path.split_once("::").expect("a closure's type has its crate's name");
    name.trim_end_matches("::{{closure}}")
}

#[track_caller]
fn isolated_with(deadline: Duration, name: &str, command: impl FnOnce(&str) -> Command, body: impl FnOnce()) {
    if is_isolated(name) {
        return body();
    }
    // A file and not a pipe: a process that the test has left would keep a pipe open, and the wait for its end would
    // hang.
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("isolated-{}", super::remote::random_hex()));
    let output = File::create(&path).expect("a file for the output");
    let mut command = command(name);
    command.stdout(output.try_clone().expect("dup")).stderr(output);
    let mut child = command.spawn().expect("cannot start this test program again");
    let start = Instant::now();
    let status = loop {
        match child.try_wait().expect("wait") {
            Some(status) => break Some(status),
            None if start.elapsed() > deadline => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let text = String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned();
    let _ = fs::remove_file(&path);
    // The test runner may have begun a line already.
    for line in text.lines().filter_map(|line| line.find("SKIPPED ").map(|at| &line[at..])) {
        super::skipped_line(line);
    }
    print!("{}", shorten_lines(&text, LOG));
    let status = status.unwrap_or_else(|| panic!("{name} has not ended within {deadline:?}"));
    assert!(status.success(), "{name} failed in its own process: {status}");
    // With a misspelt name the runner would succeed without any test.
    assert!(text.contains("1 passed"), "there is no test named {name}");
}
