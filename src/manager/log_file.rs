//! Reading log files on hosts: their last lines, and what is added to them.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;

use crate::connect::call::{self, ScriptRun, SinkAction};
use crate::connect::seats::Kind;
use crate::local::client::{Chunk, Lifeline};
use crate::local::sys;
use crate::manager::collect;
use crate::model::callback_thread::refuse_inside_callback;
use crate::model::check;
use crate::model::error::{Error, FileProblem, Result};
use crate::remote::parameters;
use crate::remote::report::{Piece, Report};
use crate::remote::script::{literal_path, short_script};
use crate::remote::start::{FOLLOW_LOG, READ_LOG};
use crate::watch::shared::Shared;

/// How many bytes of a log file are read at most, for its last lines.
const LARGEST: usize = 16 << 20;
/// How many pieces, of less than 5 KiB each, a follower keeps for its reader. Then the host's `tail` waits.
const PIECES_AHEAD: usize = 256;

/// Returns the last lines of a file, at most 16 MiB.
pub(crate) fn read(
    shared: &Shared,
    host: &str,
    user: Option<&str>,
    path: &Path,
    lines: usize,
    timeout: Duration,
) -> Result<Vec<u8>> {
    let target = shared.target(host, user, None)?;
    let script = LogScript::new(host, path, lines)?;
    let line = |nonce: &_| script.line(nonce, READ_LOG);
    let deadline = sys::deadline(timeout);
    let run = ScriptRun::new(target, deadline, Kind::Short, &line);
    let what = || format!("the last lines of {:?} on {host}", script.path);
    let read = collect::file(&shared.pool, &run, LARGEST).map_err(|error| call::timed_out_in(error, timeout, what))?;
    read.map_err(|problem| script.failed(problem))
}

/// Starts a thread that follows a file. Whether the host answers is not known yet when this returns.
pub(crate) fn follow(
    shared: &Arc<Shared>,
    host: &str,
    user: Option<&str>,
    path: &Path,
    lines: usize,
) -> Result<LogFollower> {
    // Invalid values are refused before there is a thread.
    shared.target(host, user, None)?;
    let script = LogScript::new(host, path, lines)?;
    let (sender, pieces) = bounded(PIECES_AHEAD);
    let link = Arc::new(Mutex::new(Link::Connecting));
    let (user, thread_shared, thread_link) = (user.map(str::to_owned), Arc::clone(shared), Arc::clone(&link));
    let body = move || {
        let followed = script.follow(&thread_shared, user.as_deref(), &thread_link, &sender);
        // A follower whose thread has ended keeps no descriptor.
        *thread_link.lock() = Link::Closed;
        if let Err(error) = followed {
            // It fails if the follower was dropped.
            let _ = sender.send(Err(error));
        }
    };
    let thread =
        sys::spawn_thread("sshpm-follow", sys::SMALL_STACK, body).map_err(|e| Error::local("starting a thread", e))?;
    Ok(LogFollower { pieces: Some(pieces), link, shared: Arc::clone(shared), thread: Some(thread) })
}

/// Reads a log file on a host as it grows; [`Manager::follow_log_file`](crate::Manager::follow_log_file) returns it.
///
/// The file is followed by its name: also after it was rotated or truncated, and before it exists. Until it exists, the
/// host looks for it every second. Then `tail -F` reads it there. The `tail` of GNU coreutils waits for changes without
/// waking up, except on file systems without inotify (NFS), where it looks every second; the one of busybox always
/// looks every second.
///
/// Any thread can read from a follower, and several can; each piece goes to one of them. Dropping the follower ends the
/// reading on the host and here. It blocks for that, some milliseconds.
pub struct LogFollower {
    pieces: Option<Receiver<Result<Vec<u8>>>>,
    /// No other lock is taken under this one.
    link: Arc<Mutex<Link>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// The follower's link to its host, which the drop of the follower closes.
enum Link {
    Connecting,
    Open(Arc<Lifeline>),
    Closed,
}

impl LogFollower {
    /// Waits for the next piece of the file and returns it: bytes of any length, which may begin and end within a line.
    /// `None` if none came within the timeout. A slow reader loses nothing: the host's `tail` waits for it. Blocks, at
    /// most for the timeout.
    ///
    /// # Errors
    /// [`Error::InsideCallback`]. When the follower has ended, this call returns the reason once:
    /// [`Error::RemoteFile`], if the file cannot be read; [`Error::Ssh`], or [`Error::Launcher`] with another launcher,
    /// if there was no connection or it broke; or [`Error::Local`]. From then on, it returns [`Error::LinkDown`], with
    /// an empty uuid.
    pub fn next(&self, timeout: Duration) -> Result<Option<Vec<u8>>> {
        refuse_inside_callback()?;
        let Some(pieces) = &self.pieces else { return Ok(None) };
        let received = match sys::deadline(timeout) {
            Some(deadline) => pieces.recv_deadline(deadline),
            None => pieces.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match received {
            Ok(piece) => piece.map(Some),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Error::LinkDown { uuid: String::new() }),
        }
    }
}

impl Drop for LogFollower {
    fn drop(&mut self) {
        // The follower's thread may wait for the reader of the pieces: this wakes it up.
        self.pieces = None;
        let link = std::mem::replace(&mut *self.link.lock(), Link::Closed);
        if let Link::Open(lifeline) = link {
            lifeline.close();
            lifeline.kill_client();
        }
        self.shared.pool.wake();
        if let Some(thread) = self.thread.take() {
            if thread.join().is_err() {
                log::error!("the thread that followed a log file panicked");
            }
        }
    }
}

/// What the scripts that read and follow a log file need.
struct LogScript {
    host: String,
    path: String,
    file: Vec<u8>,
    lines: String,
}

impl LogScript {
    fn new(host: &str, path: &Path, lines: usize) -> Result<LogScript> {
        check::path("path", path.as_os_str())?;
        Ok(LogScript {
            host: host.to_owned(),
            path: path.display().to_string(),
            file: literal_path(path),
            lines: lines.to_string(),
        })
    }

    fn line(&self, nonce: &[u8; crate::remote::report::NONCE_LENGTH], piece: &'static str) -> Vec<Chunk> {
        let most = LARGEST.to_string();
        let values = [
            (parameters::LOG_FILE, &self.file[..]),
            (parameters::LINE_COUNT, self.lines.as_bytes()),
            (parameters::BYTE_COUNT, most.as_bytes()),
        ];
        short_script(nonce, &values, piece)
    }

    fn failed(&self, problem: FileProblem) -> Error {
        Error::RemoteFile { host: self.host.clone(), path: self.path.clone(), problem }
    }

    fn follow(
        &self,
        shared: &Shared,
        user: Option<&str>,
        link: &Mutex<Link>,
        pieces: &Sender<Result<Vec<u8>>>,
    ) -> Result<()> {
        let target = shared.target(&self.host, user, None)?;
        let line = |nonce: &_| self.line(nonce, FOLLOW_LOG);
        let closed = || matches!(*link.lock(), Link::Closed);
        let open = |lifeline: &Arc<Lifeline>| {
            let mut link = link.lock();
            match *link {
                Link::Closed => lifeline.kill_client(),
                Link::Connecting | Link::Open(_) => *link = Link::Open(Arc::clone(lifeline)),
            }
        };
        let mut problem = None;
        let script = ScriptRun { cancelled: &closed, opened: &open, ..ScriptRun::new(target, None, Kind::Long, &line) };
        call::run(&shared.pool, &script, &mut |piece| match piece {
            Piece::Data(bytes) if pieces.send(Ok(bytes.to_vec())).is_err() => SinkAction::Stop,
            Piece::Report(Report::Problem(why)) => {
                problem = Some(why);
                SinkAction::Drain
            }
            _ => SinkAction::Continue,
        })?;
        match problem {
            Some(problem) => Err(self.failed(problem)),
            None if closed() => Ok(()),
            None => Err(script.target.closed()),
        }
    }
}
