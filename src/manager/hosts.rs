//! The manager's calls about hosts and files on hosts, which need no process of its table.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crossbeam_channel::unbounded;

use crate::connect::call::{ScriptRun, SinkAction};
use crate::connect::seats::Kind;
use crate::local::sys;
use crate::manager::Manager;
use crate::manager::collect;
use crate::manager::log_file::{self, LogFollower};
use crate::manager::metadata::{self, ProcessMetadata};
use crate::model::callback_thread::refuse_inside_callback;
use crate::model::destination::Destination;
use crate::model::error::{Error, Result, StartFailure};
use crate::model::output::Head;
use crate::remote::report::{Piece, Report};
use crate::remote::script::short_script;
use crate::remote::start::VALIDATE;
use crate::watch::shared::Shared;

/// How many hosts are validated at the same time.
const AT_ONCE: usize = 16;
/// More bytes than the script's answer has.
const LARGEST: usize = 1 << 14;

/// What [`Manager::validate_host_connection`] learned about a host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostInfo {
    /// The time from sending a line to reading its answer, over the open connection.
    pub round_trip: Duration,
    /// The user on the host.
    pub user: String,
    /// The path of the user's login shell; empty if the host does not set `SHELL`.
    pub login_shell: String,
    /// The path of the program that `/bin/sh` is a link to.
    pub sh: String,
    /// The name and the release of the host's kernel.
    pub kernel: String,
    /// The directory where wrappers make their runtime directories: `$XDG_RUNTIME_DIR`, `/tmp` or the home directory.
    /// `None` if the user can write to none of them.
    pub runtime_directory: Option<String>,
    /// The free space of the runtime directory's file system, in bytes. `None` if it is not known.
    pub free_bytes: Option<u64>,
    /// Whether the host ends the processes that a user leaves behind at logout: logind.conf(5) sets KillUserProcesses,
    /// and the user does not linger (loginctl(1)). Then a kept process ends with its link.
    pub ends_user_processes: bool,
}

impl Manager {
    /// Checks that a login to a host works without asking anybody, and returns what it learned about the host. If
    /// `user` is `None`, ssh chooses the user. `auth_method` has the authentication methods that ssh may use, as
    /// PreferredAuthentications of ssh_config(5) names them: `publickey`, or `gssapi-with-mic,publickey`. With it, the
    /// call always logs in anew; with `None`, all methods are allowed, and an open connection to the host is used.
    /// Blocks, at most for twice the connect timeout.
    ///
    /// # Errors
    /// [`Error::Ssh`], or [`Error::Launcher`] with another launcher: why there is no connection. [`Error::StartFailed`]
    /// with [`StartFailure::Protocol`]: the host answered what this version does not understand. [`Error::Invalid`],
    /// also for an `auth_method` with another launcher than ssh; [`Error::Local`], [`Error::InsideCallback`].
    pub fn validate_host_connection(
        &self,
        host: &str,
        user: Option<&str>,
        auth_method: Option<&str>,
    ) -> Result<HostInfo> {
        refuse_inside_callback()?;
        validate(&self.shared, host, user, auth_method)
    }

    /// Checks many hosts, 16 at the same time, each as [`validate_host_connection`](Manager::validate_host_connection)
    /// does without an `auth_method`, and returns the results in the order of `destinations`. It calls `progress` on
    /// the calling thread for each result as it arrives, with the index of the host in `destinations`. Blocks, at most
    /// for twice the connect timeout for each 16 hosts, and the time that `progress` takes.
    ///
    /// # Errors
    /// [`Error::Local`]: no thread can be started on this machine. [`Error::InsideCallback`]. All other errors are in
    /// the results.
    pub fn validate_hosts(
        &self,
        destinations: &[Destination],
        mut progress: impl FnMut(usize, &Result<HostInfo>),
    ) -> Result<Vec<Result<HostInfo>>> {
        refuse_inside_callback()?;
        validate_all(&self.shared, destinations, &mut progress)
    }

    /// Returns the last lines of a file on a host, as bytes: at most `lines` lines and 16 MiB. The time that it takes
    /// does not depend on the size of the file. If `user` is `None`, ssh chooses the user. The path is taken literally;
    /// a relative one begins at the login directory. Blocks, at most for the timeout.
    ///
    /// # Errors
    /// [`Error::RemoteFile`]: the file does not exist, is no regular file, or the user may not read it.
    /// [`Error::TimedOut`]; [`Error::Ssh`], or [`Error::Launcher`] with another launcher: there was no connection, or
    /// it broke. [`Error::Invalid`], [`Error::Local`], [`Error::InsideCallback`].
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

    /// Returns a reader that follows a file on a host as it grows, beginning with its last lines. If `user` is `None`,
    /// ssh chooses the user. The path is taken literally; a relative one begins at the login directory. A thread of its
    /// own connects to the host, and ends when the reader is dropped. Does not block: the reader reports later errors.
    ///
    /// # Errors
    /// [`Error::Invalid`]; [`Error::Local`]: no thread can be started on this machine.
    pub fn follow_log_file(
        &self,
        host: &str,
        user: Option<&str>,
        path: impl AsRef<Path>,
        lines: usize,
    ) -> Result<LogFollower> {
        log_file::follow(&self.shared, host, user, path.as_ref(), lines)
    }

    /// Reads the metadata file of a process on a host, and waits there until the file exists, at most for the timeout
    /// and at most for an hour. The process need not be in this manager's table. If `user` is `None`, ssh chooses the
    /// user. Blocks, at most for the timeout and 10 s for the connection.
    ///
    /// # Errors
    /// [`Error::RemoteFile`]: there was no file in time. [`Error::BadMetadata`]: the file is not one that a wrapper
    /// writes. [`Error::TimedOut`]: the host did not answer. [`Error::Ssh`], or [`Error::Launcher`] with another
    /// launcher: there was no connection, or it broke. [`Error::Invalid`], [`Error::Local`], [`Error::InsideCallback`].
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

/// Logs in to a host, and returns what it learned.
fn validate(shared: &Shared, host: &str, user: Option<&str>, auth_method: Option<&str>) -> Result<HostInfo> {
    let target = shared.target(host, user, None)?;
    if let Some(methods) = auth_method {
        check_methods(methods)?;
        if !target.launcher.is_ssh() {
            let reason = format!(
                "must be left out with the launcher {}: only ssh has authentication methods",
                target.launcher.name()
            );
            return Err(Error::invalid("auth_method", methods, reason));
        }
    }
    // Twice: once for the connection, and once for the script.
    let deadline = sys::deadline(shared.options().connect_timeout.saturating_mul(2));
    let line = |nonce: &_| short_script(nonce, &[], VALIDATE);
    let (mut asked, mut round_trip, mut text) = (Instant::now(), None, Head::of(LARGEST));
    let script = ScriptRun { auth_methods: auth_method, ..ScriptRun::new(target, deadline, Kind::Short, &line) };
    collect::until(&Report::Eof, &shared.pool, &script, &mut |piece| match piece {
        Piece::Report(Report::Begin { .. }) => {
            asked = Instant::now();
            SinkAction::Send("ping\n")
        }
        Piece::Report(Report::Pong) => {
            round_trip = Some(asked.elapsed());
            SinkAction::Continue
        }
        Piece::Data(bytes) => {
            text.push(bytes);
            SinkAction::Continue
        }
        _ => SinkAction::Continue,
    })?;
    host_info(&text.into_bytes(), round_trip).ok_or_else(|| Error::StartFailed {
        uuid: String::new(),
        host: host.to_owned(),
        user: user.map(str::to_owned),
        reason: StartFailure::Protocol,
        subject: None,
        log_file: None,
        output: String::new(),
    })
}

/// Reads the script's answer: lines of a key and a value. `None` if it lacks what every host has.
fn host_info(text: &[u8], round_trip: Option<Duration>) -> Option<HostInfo> {
    let text = String::from_utf8_lossy(text);
    let values: HashMap<&str, &str> = text.lines().filter_map(|line| line.split_once(' ')).collect();
    let value = |key| values.get(key).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    Some(HostInfo {
        round_trip: round_trip?,
        user: value("user")?,
        login_shell: value("login_shell").unwrap_or_default(),
        sh: value("sh").unwrap_or_default(),
        kernel: value("kernel").unwrap_or_default(),
        runtime_directory: value("runtime_directory"),
        free_bytes: value("free_kib").and_then(|kib| kib.parse::<u64>().ok()).map(|kib| kib.saturating_mul(1024)),
        ends_user_processes: value("ends_user_processes").is_some_and(|word| word == "yes"),
    })
}

/// Checks that the methods are names as in RFC 4252, joined by commas.
fn check_methods(methods: &str) -> Result<()> {
    let good = |b: u8| b.is_ascii_alphabetic() || b == b'-';
    if methods.split(',').any(|name| name.is_empty() || name.starts_with('-') || !name.bytes().all(good)) {
        let reason = "must be names such as publickey or gssapi-with-mic, joined by commas";
        return Err(Error::invalid("auth_method", methods, reason));
    }
    Ok(())
}

/// Validates many hosts, some at the same time. Calls `progress` on this thread, with the index and the result of each
/// host as it arrives.
fn validate_all(
    shared: &Shared,
    destinations: &[Destination],
    progress: &mut dyn FnMut(usize, &Result<HostInfo>),
) -> Result<Vec<Result<HostInfo>>> {
    let (indices, waiting) = unbounded();
    for index in 0..destinations.len() {
        // It cannot fail: the receiver is in this function.
        let _ = indices.send(index);
    }
    drop(indices);
    let (answers, arriving) = unbounded();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(destinations.len()) {
            let (waiting, answers) = (waiting.clone(), answers.clone());
            let ask = move || {
                for index in waiting {
                    let Destination { host, user } = &destinations[index];
                    // It fails when the caller's `progress` has panicked.
                    let _ = answers.send((index, validate(shared, host, user.as_deref(), None)));
                }
            };
            sys::spawn_scoped_thread(scope, "sshpm-validate", ask).map_err(|e| Error::local("starting a thread", e))?;
        }
        drop(answers);
        let mut results: Vec<Option<Result<HostInfo>>> = vec![None; destinations.len()];
        for (index, answer) in arriving {
            progress(index, &answer);
            results[index] = Some(answer);
        }
        Ok(results.into_iter().flatten().collect())
    })
}
