//! The manager's calls that are about hosts and their files, not about processes of its table.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crossbeam_channel::unbounded;

use crate::collect;
use crate::destination::Destination;
use crate::error::{Error, Result, StartFailure};
use crate::event::refuse_inside_callback;
use crate::log_file::{self, LogFollower};
use crate::manager::Manager;
use crate::metadata::{self, ProcessMetadata};
use crate::output::Head;
use crate::remote::{Flow, Place, Script};
use crate::report::{Piece, Report};
use crate::script::short_script;
use crate::seats::Kind;
use crate::sys;
use crate::watcher::Shared;
use crate::wrapper::VALIDATE;

/// How many hosts are asked at the same time.
const AT_ONCE: usize = 16;
/// All that the script says has less.
const LARGEST: usize = 1 << 14;

/// What a successful login taught.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostInfo {
    /// From a line sent to its answer read, over the open connection.
    pub round_trip: Duration,
    /// The user there.
    pub user: String,
    /// The user's login shell.
    pub login_shell: String,
    /// What `/bin/sh` is.
    pub sh: String,
    /// The kernel's name and release.
    pub kernel: String,
    /// Where runtime directories are made: XDG_RUNTIME_DIR, /tmp or the home directory. `None`: none can be written.
    pub runtime_directory: Option<String>,
    /// Its free space, in bytes.
    pub free_bytes: Option<u64>,
    /// Whether the host ends what a user leaves behind at logout (KillUserProcesses of logind.conf(5), and no lingering, see
    /// loginctl(1)): then an application that is kept ends with its link.
    pub ends_user_processes: bool,
}

impl Manager {
    /// Logs in to a host without asking anybody, and tells what it learned. Where a connection to the host is open, its login
    /// counts. `auth_method` names the ways to log in that may be used, as ssh's PreferredAuthentications: `publickey`,
    /// `gssapi-with-mic,publickey`: then it always logs in anew; `None`: all. Blocks, at most for twice the connect timeout.
    ///
    /// # Errors
    /// [`Error::Ssh`](crate::Error::Ssh) with what failed; [`Error::Invalid`](crate::Error::Invalid),
    /// [`Error::InsideCallback`](crate::Error::InsideCallback).
    pub fn validate_host_connection(
        &self,
        host: &str,
        user: Option<&str>,
        auth_method: Option<&str>,
    ) -> Result<HostInfo> {
        refuse_inside_callback()?;
        validate(&self.shared, host, user, auth_method)
    }

    /// The same for many hosts, 16 at the same time. `progress` is called on this thread with each one's place in the list
    /// and its answer, in the order in which they come; the answers are returned in the order of the list. Blocks.
    ///
    /// # Errors
    /// [`Error::Local`](crate::Error::Local) when there is no thread to be had,
    /// [`Error::InsideCallback`](crate::Error::InsideCallback); all else is in the answers.
    pub fn validate_hosts(
        &self,
        destinations: &[Destination],
        mut progress: impl FnMut(usize, &Result<HostInfo>),
    ) -> Result<Vec<Result<HostInfo>>> {
        refuse_inside_callback()?;
        validate_all(&self.shared, destinations, &mut progress)
    }

    /// The last lines of a file on a host, at most 16 MiB of them, as bytes; the time does not depend on the file's size. The path is
    /// literal; a relative one begins at the login directory. Blocks, at most for the timeout.
    ///
    /// # Errors
    /// [`Error::RemoteFile`](crate::Error::RemoteFile), for a fifo or a device too; [`Error::Ssh`](crate::Error::Ssh),
    /// [`Error::TimedOut`](crate::Error::TimedOut), [`Error::Invalid`](crate::Error::Invalid),
    /// [`Error::InsideCallback`](crate::Error::InsideCallback).
    pub fn read_log_file(
        &self,
        host: &str,
        user: Option<&str>,
        path: impl AsRef<Path>,
        lines: usize,
        timeout: Duration,
    ) -> Result<Vec<u8>> {
        refuse_inside_callback()?;
        log_file::read(&self.shared, host, user, path.as_ref(), lines, timeout)
    }

    /// Follows a file on a host as it grows, beginning with its last lines, until the follower is dropped. Does not block:
    /// what goes wrong comes from the follower.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid); [`Error::Local`](crate::Error::Local) when there is no thread to be had.
    pub fn follow_log_file(
        &self,
        host: &str,
        user: Option<&str>,
        path: impl AsRef<Path>,
        lines: usize,
    ) -> Result<LogFollower> {
        log_file::follow(&self.shared, host, user, path.as_ref(), lines)
    }

    /// Reads the metadata file of a uuid on a host, and waits for it there. The process need not be this manager's.
    /// Blocks, at most for the timeout and 10 s for the connection.
    ///
    /// # Errors
    /// [`Error::RemoteFile`](crate::Error::RemoteFile): there is none; [`Error::BadMetadata`](crate::Error::BadMetadata),
    /// [`Error::Ssh`](crate::Error::Ssh), [`Error::TimedOut`](crate::Error::TimedOut),
    /// [`Error::Invalid`](crate::Error::Invalid), [`Error::InsideCallback`](crate::Error::InsideCallback).
    pub fn read_process_metadata(
        &self,
        uuid: &str,
        host: &str,
        user: Option<&str>,
        timeout: Duration,
    ) -> Result<ProcessMetadata> {
        refuse_inside_callback()?;
        metadata::read(&self.shared, uuid, host, user, timeout)
    }
}

/// Logs in, and learns what can be learned.
pub(crate) fn validate(shared: &Shared, host: &str, user: Option<&str>, auth_method: Option<&str>) -> Result<HostInfo> {
    let target = shared.target(host, user, None)?;
    if let Some(methods) = auth_method {
        check_methods(methods)?;
        if !target.launcher.is_ssh() {
            let reason = format!("{} has no ways to log in; it is for ssh", target.launcher.name());
            return Err(Error::invalid("auth_method", methods, reason));
        }
    }
    // Twice: for the connection, and for the script.
    let deadline = sys::deadline(shared.options().connect_timeout.saturating_mul(2));
    let place = Place { target, deadline };
    let line = |nonce: &_| short_script(nonce, &[], VALIDATE);
    let (mut asked, mut round_trip, mut text) = (Instant::now(), None, Head::of(LARGEST));
    let script = Script { auth_methods: auth_method, ..Script::new(place, Kind::Short, &line) };
    collect::until(&Report::Eof, shared, &script, &mut |piece| match piece {
        Piece::Report(Report::Begin { .. }) => {
            asked = Instant::now();
            Flow::Send("ping\n")
        }
        Piece::Report(Report::Pong) => {
            round_trip = Some(asked.elapsed());
            Flow::GoOn
        }
        Piece::Data(bytes) => {
            text.push(bytes);
            Flow::GoOn
        }
        _ => Flow::GoOn,
    })?;
    let protocol = || Error::StartFailed {
        uuid: String::new(),
        host: host.to_owned(),
        user: user.map(str::to_owned),
        reason: StartFailure::Protocol,
        subject: None,
        log_file: None,
        output: String::new(),
    };
    let text = text.into_bytes();
    let text = String::from_utf8_lossy(&text);
    let values: HashMap<&str, &str> = text.lines().filter_map(|line| line.split_once(' ')).collect();
    let value = |key| values.get(key).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    Ok(HostInfo {
        round_trip: round_trip.ok_or_else(protocol)?,
        user: value("user").ok_or_else(protocol)?,
        login_shell: value("login_shell").unwrap_or_default(),
        sh: value("sh").unwrap_or_default(),
        kernel: value("kernel").unwrap_or_default(),
        runtime_directory: value("runtime_directory"),
        free_bytes: value("free_kib").and_then(|kib| kib.parse::<u64>().ok()).map(|kib| kib.saturating_mul(1024)),
        ends_user_processes: value("ends_user_processes").is_some_and(|word| word == "yes"),
    })
}

/// Names of RFC 4252, joined by commas.
fn check_methods(methods: &str) -> Result<()> {
    let good = |b: u8| b.is_ascii_alphabetic() || b == b'-';
    if methods.split(',').any(|name| name.is_empty() || name.starts_with('-') || !name.bytes().all(good)) {
        let reason = "it is names such as publickey or gssapi-with-mic, joined by commas";
        return Err(Error::invalid("auth_method", methods, reason));
    }
    Ok(())
}

/// Asks many hosts, some at the same time; `progress` is called on this thread, with each one's place and answer as it comes.
pub(crate) fn validate_all(
    shared: &Shared,
    destinations: &[Destination],
    progress: &mut dyn FnMut(usize, &Result<HostInfo>),
) -> Result<Vec<Result<HostInfo>>> {
    let (places, waiting) = unbounded();
    for at in 0..destinations.len() {
        // The receiver is here.
        let _ = places.send(at);
    }
    drop(places);
    let (answers, come) = unbounded();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(destinations.len()) {
            let (waiting, answers) = (waiting.clone(), answers.clone());
            let ask = move || {
                for at in waiting {
                    let Destination { host, user } = &destinations[at];
                    // It fails when the caller's progress has panicked.
                    let _ = answers.send((at, validate(shared, host, user.as_deref(), None)));
                }
            };
            sys::spawn_scoped_thread(scope, "sshpm-validate", ask).map_err(|e| Error::local("starting a thread", e))?;
        }
        drop(answers);
        let mut results: Vec<Option<Result<HostInfo>>> = vec![None; destinations.len()];
        for (at, answer) in come {
            progress(at, &answer);
            results[at] = Some(answer);
        }
        Ok(results.into_iter().flatten().collect())
    })
}
