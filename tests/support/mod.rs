//! What the integration tests share: a private sshd for each test (`Remote`), exact counts of what a test leaves
//! behind (`isolated`, `local_snapshot`), and the reader of test-app's reports (`AppReport`).
// Each test program uses a part of this. Warnings about the rest would be noise in each of them.
#![allow(dead_code, unused_imports, clippy::unwrap_used)]

mod brief;
mod builder;
mod clean;
mod launched;
mod local;
mod manage;
mod procs;
mod remote;
mod report;
mod slurm;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub use brief::{BRIEF, LOG, assert_same_bytes, brief, difference, shorten, shorten_lines};
pub use builder::{OWN_ETC, RemoteBuilder, find_program, test_app, toolchain_command};
pub use clean::begin_clean;
pub use launched::{
    By, Gate, LAUNCHER, NO_CLIENT, NOWHERE, ends_the_client, handed_options, has_clients, is_failure, launched_by,
    learned,
};
pub use local::{
    LocalState, assert_same_as, clients, is_isolated, isolated, isolated_by, isolated_by_script, isolated_command,
    isolated_name, isolated_with_state, isolated_within, local_snapshot, peak_kib, ssh_children,
};
pub use manage::{LONG, run_to_end, start, start_ready, told, wait_for_end, wait_until_ready};
pub use procs::{MARK, ProcessInfo, all as processes, of_remote};
pub use remote::{HeldConnection, Remote, User, random_hex};
pub use report::AppReport;
pub use slurm::{SlurmCluster, require_slurm, slurm_missing};

/// Returns a directory that exists as long as the value. tests/run recognises it by its name if it is left.
pub fn temporary_directory() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("sshpm-test-").tempdir().expect("a temporary directory")
}

/// Copies a program so that it can be executed at once. Another process does it: a program that is open for writing
/// cannot be executed (ETXTBSY), and a child of another thread may hold our descriptor for a moment.
#[track_caller]
pub fn install(from: &Path, to: &Path, mode: u32) {
    let status = Command::new("install").arg("-m").arg(format!("{mode:o}")).args([from, to]).status();
    assert!(status.expect("install(1)").success(), "{}", to.display());
}

/// Returns the files below a directory, without directories. Leaves out files that disappear in between.
pub fn files_below(dir: &Path) -> Vec<PathBuf> {
    let (mut dirs, mut files) = (vec![dir.to_owned()], Vec::new());
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_dir { &mut dirs } else { &mut files }.push(entry.path());
        }
    }
    files
}

/// How long the harness waits for anything. It is long, because only a test that fails waits it out.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Asks again and again until there is an answer. Panics when there is none by the deadline.
#[track_caller]
pub fn wait_until<T>(what: &str, deadline: Duration, mut f: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = f() {
            return answer;
        }
        assert!(start.elapsed() < deadline, "not within {deadline:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Reports that this test does not run here. It does not use eprintln, because the test runner hides that when a test
/// passes.
pub fn skipped(reason: &str) {
    let isolated = local::isolated_name();
    let thread = std::thread::current();
    let test = isolated.as_deref().or(thread.name()).unwrap_or("a test");
    skipped_line(&format!("SKIPPED {test}: {reason}"));
}

fn skipped_line(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Whether `unshare` with these options can run a small script here.
fn can_unshare(options: &[&str], script: &str) -> bool {
    let mut command = Command::new("unshare");
    command.args(options).args(["/bin/sh", "-c", script]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Whether each remote can have a file system and users of its own.
pub fn namespaces_work() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    *WORKS.get_or_init(|| {
        // SAFETY: no arguments.
        let root = unsafe { libc::geteuid() } == 0;
        // The variable forces the other mode where namespaces work.
        root && std::env::var_os("SSHPM_TEST_NO_NAMESPACES").is_none()
            && can_unshare(&["--mount", "--propagation", "private"], "mount -t tmpfs none /tmp")
    })
}

/// Returns the options with which `unshare` makes a network namespace without routes, if it can.
fn network_namespace() -> Option<&'static [&'static str]> {
    static OPTIONS: OnceLock<Option<&'static [&'static str]>> = OnceLock::new();
    *OPTIONS.get_or_init(|| {
        let ways: [&[&str]; 2] = [&["--net"], &["--user", "--map-root-user", "--net"]];
        ways.into_iter().find(|options| can_unshare(options, "true"))
    })
}
