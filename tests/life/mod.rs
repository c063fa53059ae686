//! What the tests of a process's life share: a manager for a remote, requests, and waits.
// Each test program uses a part of this.
#![allow(dead_code, unused_imports, clippy::unwrap_used)]

pub mod shells;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sshpm::{BootRequest, Error, Event, EventKind, ExitStatus, KillScope, KillStep, KillTimeouts, Subscription};
use sshpm::{Manager, Options, ProcessState, Signal, StartFailure};

use crate::support::{ProcessInfo, Remote, has_clients, install, wait_until};

/// Longer than anything takes. Only a test that fails waits that long.
pub const TIME: Duration = Duration::from_secs(30);

/// A script that writes "ready" and waits. HUP and QUIT end it with codes that nobody else uses. PIPE is ignored,
/// because the shell may write "Hangup" about its child to a link that is gone.
pub const OWN_CODES: &str =
    "trap '' PIPE; trap 'exit 42' HUP; trap 'exit 17' QUIT; echo ready; while :; do sleep 0.05; done";

pub fn options(remote: &Remote) -> Options {
    remote.options()
}

pub fn manager(remote: &Remote) -> Manager {
    Manager::new(options(remote)).unwrap()
}

/// Returns a manager whose kills wait so briefly after QUIT that a test can see KILL follow.
pub fn impatient_manager(remote: &Remote) -> Manager {
    let quit = KillStep { signal: Signal::QUIT, scope: KillScope::Leader, wait: Some(Duration::from_millis(300)) };
    let kill = KillStep { signal: Signal::KILL, scope: KillScope::Group, wait: None };
    Manager::new(options(remote).kill_sequence([quit, kill])).unwrap()
}

/// Returns a request that runs test-app with these verbs on alpha.
pub fn app(remote: &Remote, verbs: &str) -> BootRequest {
    let verbs = verbs.split_ascii_whitespace().map(OsString::from);
    BootRequest::new("alpha", std::iter::once(remote.app().into_os_string()).chain(verbs))
}

/// Returns a request that runs a script for /bin/sh on alpha.
pub fn shell(script: &str) -> BootRequest {
    BootRequest::new("alpha", ["/bin/sh", "-c", script])
}

/// Starts a process and waits until it runs.
#[track_caller]
pub fn start(manager: &Manager, uuid: &str, request: &BootRequest) -> ProcessInfo {
    manager.start_process(uuid, request).unwrap();
    let pid = manager.wait_until_started(uuid, TIME).unwrap();
    // The remote is on this machine. A process that ends at once may be gone.
    ProcessInfo::of(pid as i32).unwrap_or(ProcessInfo {
        pid: pid as i32,
        ppid: 0,
        pgid: 0,
        sid: 0,
        state: 'X',
        start_time: 0,
        cmdline: vec![],
        exe: None,
    })
}

/// Starts a process of `OWN_CODES` and the like, and waits until it has written "ready", when its traps are set.
#[track_caller]
pub fn start_ready(manager: &Manager, uuid: &str, request: &BootRequest) -> ProcessInfo {
    let process = start(manager, uuid, request);
    wait_until("the application is ready", TIME, || stdout(manager, uuid).contains("ready").then_some(()));
    process
}

/// Waits until a process that has run has ended, and returns how it ended.
#[track_caller]
pub fn end_of(manager: &Manager, uuid: &str) -> ExitStatus {
    manager.wait_for_process_exit_code(uuid, TIME).unwrap();
    manager.exit_status(uuid).unwrap().unwrap()
}

/// Starts a process whose start must fail, and returns why. Every call must return the same reason, and none an exit
/// code.
#[track_caller]
pub fn failure_of(manager: &Manager, uuid: &str, request: &BootRequest) -> StartFailure {
    manager.start_process(uuid, request).unwrap();
    let reason = reason_of(manager.wait_until_started(uuid, TIME).unwrap_err());
    assert_eq!(reason_of(manager.wait_for_process_exit_code(uuid, TIME).unwrap_err()), reason);
    assert_eq!(reason_of(manager.exit_status(uuid).unwrap().unwrap_err()), reason);
    assert_eq!(manager.process_state(uuid).unwrap(), ProcessState::Failed);
    assert!(!manager.is_process_alive(uuid));
    reason
}

/// Makes a file in the scratch directory of the remote that can be executed at once, and returns its path.
pub fn file(remote: &Remote, name: &str, content: &[u8], mode: u32) -> OsString {
    let path = remote.scratch().join(name);
    let draft = remote.dir().join(format!("{name}.draft"));
    fs::write(&draft, content).unwrap();
    install(&draft, &remote.local(&path), mode);
    path.into_os_string()
}

/// A PATH that begins with the directory of [`place_instead`].
pub const INSTEAD: &str = "/tmp/instead:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Puts scripts in the place of the host's programs.
pub fn place_instead(remote: &Remote, programs: &[(&str, &str)]) {
    let directory = remote.local(Path::new("/tmp/instead"));
    fs::create_dir(&directory).unwrap();
    for (name, script) in programs {
        fs::copy(remote.program(name, script), directory.join(name)).unwrap();
    }
}

#[track_caller]
pub fn reason_of(error: Error) -> StartFailure {
    match error {
        Error::StartFailed { reason, .. } => reason,
        other => panic!("not a failed start: {other:?}"),
    }
}

pub fn stdout(manager: &Manager, uuid: &str) -> String {
    String::from_utf8_lossy(&manager.process_stdout(uuid).unwrap_or_default().bytes).into_owned()
}

/// Waits until the remote pid is known: setup lines run, or will run at once.
#[track_caller]
pub fn wait_for_pid(manager: &Manager, uuid: &str) -> ProcessInfo {
    let pid = wait_until("a remote pid", TIME, || manager.remote_pid(uuid).ok());
    ProcessInfo::of(pid as i32).unwrap()
}

/// Waits until a setup line has written that it is ready, and returns the shell of the setup. It waits for the pid too,
/// because the two streams have no order, and a start that is cancelled before its pid came leaves a status file.
#[track_caller]
pub fn wait_for_setup(manager: &Manager, uuid: &str) -> ProcessInfo {
    let setup = wait_for_pid(manager, uuid);
    wait_until("its setup is ready", TIME, || stdout(manager, uuid).contains("ready").then_some(()));
    setup
}

/// Returns the local ssh client of a process.
#[track_caller]
pub fn client_of(manager: &Manager, uuid: &str) -> ProcessInfo {
    let pid = wait_until("an ssh client", TIME, || manager.runtime_pids(uuid).ssh_client);
    ProcessInfo::of(pid as i32).unwrap()
}

/// Breaks the link of a process at this end: kills its client, or closes its session if it has none.
#[track_caller]
pub fn break_link(manager: &Manager, uuid: &str) {
    end_client(manager, uuid, libc::SIGKILL);
}

/// Breaks the link of a process as `break_link` does, by a signal for which `ends_the_client` holds.
#[track_caller]
pub fn end_client(manager: &Manager, uuid: &str, signal: i32) {
    if has_clients() {
        return client_of(manager, uuid).signal(signal).unwrap();
    }
    // The call would take the process out of the table if its end were known already. It is not known while the wrapper
    // stands still.
    let wrapper = wait_until("a wrapper", TIME, || manager.runtime_pids(uuid).remote_monitoring);
    let wrapper = ProcessInfo::of(wrapper as i32).filter(|wrapper| wrapper.state != 'T');
    let signal_wrapper = |signal| drop(wrapper.as_ref().map(|wrapper| wrapper.signal(signal)));
    signal_wrapper(libc::SIGSTOP);
    let ended = manager.kill_process_without_metadata(uuid, Signal::KILL, false, Duration::ZERO);
    signal_wrapper(libc::SIGCONT);
    assert!(matches!(ended, Err(Error::StillRunning { .. })), "{uuid}: {ended:?}");
}

/// Waits until the last client or session of a process that has ended is gone.
#[track_caller]
pub fn wait_for_link_end(manager: &Manager, uuid: &str) {
    wait_until("the end of the link", TIME, || {
        let pids = manager.runtime_pids(uuid);
        (pids.ssh_client.is_none() && pids.client_monitoring.is_none()).then_some(())
    });
}

#[track_caller]
pub fn wait_for_death(process: &ProcessInfo) {
    wait_until("the end of a process", TIME, || (!process.is_alive()).then_some(()));
}

/// Waits until a file exists on the remote.
#[track_caller]
pub fn wait_for_file(remote: &Remote, path: &Path) {
    wait_until(&format!("{}", path.display()), TIME, || remote.local(path).exists().then_some(()));
}

pub fn touch(remote: &Remote, path: &Path) {
    fs::write(remote.local(path), "").unwrap();
}

/// Collects what a manager reports, by events and by callbacks, until everything has ended.
pub struct Witness {
    events: Subscription,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Witness {
    pub fn new(manager: &Manager) -> Witness {
        let calls: Arc<Mutex<Vec<String>>> = Arc::default();
        let called = Arc::clone(&calls);
        manager.on_process_exit(move |uuid, _, _| called.lock().push(uuid.to_owned())).unwrap();
        Witness { events: manager.subscribe().unwrap(), calls }
    }

    /// Drops the manager, which ends its dispatcher after the last event, so that nothing more can come. Returns the
    /// events by uuid, as words. Asserts that the callback came once for each process.
    #[track_caller]
    pub fn all(self, manager: Manager) -> HashMap<String, Vec<&'static str>> {
        drop(manager);
        let mut words: HashMap<String, Vec<_>> = HashMap::new();
        for event in self.events.iter() {
            words.entry(event.uuid.clone()).or_default().push(word(&event));
        }
        let mut calls = std::mem::take(&mut *self.calls.lock());
        calls.sort();
        let is_end = |word: &&str| matches!(*word, "exited" | "failed");
        let mut ends: Vec<_> = words
            .iter()
            .flat_map(|(uuid, words)| words.iter().filter(|word| is_end(word)).map(|_| uuid.clone()))
            .collect();
        ends.sort();
        assert_eq!(calls, ends, "callbacks, and ends by events");
        words
    }

    /// Returns the events of one process, as `all` does.
    #[track_caller]
    pub fn of(self, manager: Manager, uuid: &str) -> Vec<&'static str> {
        self.all(manager).remove(uuid).unwrap_or_default()
    }
}

fn word(event: &Event) -> &'static str {
    match event.kind {
        EventKind::Started { .. } => "started",
        EventKind::Ready => "ready",
        EventKind::NotReady { .. } => "not ready",
        EventKind::Exited { .. } => "exited",
        EventKind::LinkLost { .. } => "lost",
        EventKind::StartFailed { .. } => "failed",
        EventKind::Restarting { .. } => "restarting",
        EventKind::RestartLimitReached { .. } => "restart limit",
        _ => "?",
    }
}

/// Ends what still runs, and asserts that nothing is left on the remote.
#[track_caller]
pub fn finish(manager: &Manager, remote: &Remote) {
    manager.kill_all_processes(&KillTimeouts::default()).unwrap();
    remote.assert_nothing_left();
}

/// Waits until nothing runs on the remote and only status files are left. The wrapper leaves them because it cannot
/// know that no manager will ask about these exits.
#[track_caller]
pub fn assert_only_status_files_left(remote: &Remote) {
    wait_until("the end of all processes on the remote", TIME, || {
        let is_status = |path: &std::path::PathBuf| path.extension().is_some_and(|extension| extension == "end");
        (remote.processes().is_empty() && remote.runtime_files().iter().all(is_status)).then_some(())
    });
}
