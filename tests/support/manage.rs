//! Shortcuts from a `Remote` to the library under test.

use std::ffi::OsString;
use std::time::Duration;

use sshpm::{BootRequest, Error, Event, EventKind, ExitStatus, Manager, Options};

use super::Remote;

/// How long the tests wait for a start or an end. It is long, because only a test that fails waits it out.
pub const LONG: Duration = Duration::from_secs(60);

impl Remote {
    #[track_caller]
    pub fn manager(&self) -> Manager {
        self.manager_with(self.options())
    }

    #[track_caller]
    pub fn manager_with(&self, options: Options) -> Manager {
        Manager::new(options).expect("options that are valid")
    }

    /// Returns a request that runs test-app with these verbs, which must not contain spaces.
    pub fn request(&self, host: &str, verbs: &str) -> BootRequest {
        self.request_with(host, verbs.split_ascii_whitespace())
    }

    pub fn request_with<A: Into<OsString>>(&self, host: &str, verbs: impl IntoIterator<Item = A>) -> BootRequest {
        let program = std::iter::once(self.app().into_os_string());
        BootRequest::new(host, program.chain(verbs.into_iter().map(Into::into)))
    }
}

/// Starts a process, waits until it has ended, and returns how it ended.
#[track_caller]
pub fn run_to_end(manager: &Manager, uuid: &str, request: &BootRequest) -> Result<ExitStatus, Error> {
    manager.start_process(uuid, request).unwrap_or_else(|error| panic!("{uuid}: {error}"));
    wait_for_end(manager, uuid)
}

/// Waits until a process has ended, and returns how it ended.
#[track_caller]
pub fn wait_for_end(manager: &Manager, uuid: &str) -> Result<ExitStatus, Error> {
    if let Err(error @ (Error::TimedOut { .. } | Error::UnknownUuid { .. })) =
        manager.wait_for_process_exit_code(uuid, LONG)
    {
        panic!("{uuid}: {error}");
    }
    manager.exit_status(uuid).unwrap_or_else(|| panic!("{uuid} has ended, but no status is known"))
}

/// Starts a process, waits until it runs, and returns its remote pid.
#[track_caller]
pub fn start(manager: &Manager, uuid: &str, request: &BootRequest) -> i64 {
    manager.start_process(uuid, request).unwrap_or_else(|error| panic!("{uuid}: {error}"));
    manager.wait_until_started(uuid, LONG).unwrap_or_else(|error| panic!("{uuid}: {error}"))
}

/// Waits until the application has written its first line: test-app's `heartbeat` and the tests' scripts do so when
/// they are ready for signals, which is some time after they run.
#[track_caller]
pub fn wait_until_ready(manager: &Manager, uuid: &str) {
    manager.wait_until_started(uuid, LONG).unwrap_or_else(|error| panic!("{uuid}: {error}"));
    let has_line = || manager.process_stdout(uuid).is_ok_and(|output| output.bytes.contains(&b'\n'));
    super::wait_until(&format!("a line of {uuid}"), LONG, || has_line().then_some(()));
}

/// Starts a process, waits until it is ready for signals, and returns its remote pid.
#[track_caller]
pub fn start_ready(manager: &Manager, uuid: &str, request: &BootRequest) -> i64 {
    let pid = start(manager, uuid, request);
    wait_until_ready(manager, uuid);
    pid
}

/// Returns "started UUID", "exited UUID" and so on, by which tests compare lists of events.
pub fn told(event: &Event) -> String {
    let what = match event.kind {
        EventKind::Started { .. } => "started",
        EventKind::Exited { .. } => "exited",
        EventKind::LinkLost { .. } => "lost",
        EventKind::StartFailed { .. } => "failed",
        _ => "unknown",
    };
    format!("{what} {}", event.uuid)
}
