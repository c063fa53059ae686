//! One client, of ssh or another launcher: what carries a session, its streams, and the lifeline that commands are
//! written to. A child carries it, or the master of a shared connection does so without a child.
//!
//! The client's stdin is a socket, because a write to a socket need not raise SIGPIPE. The stdout of ssh is that
//! socket, too, which saves a descriptor. The lifeline's lock is a leaf: no other lock is taken under it, and nothing
//! blocks under it.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::local::mux::{self, Master};
use crate::local::sys::{self, Polled};
use crate::local::{self, Child, ChildHandle, Streams};

/// Sends commands to the remote side. A command is a line; the end of input means that the manager or the link is gone.
///
/// Any thread may use it. It lives as long as the client's watcher, and so longer than the client: nothing reads what
/// is sent after the client's end.
pub(crate) struct Lifeline {
    socket: UnixStream,
    state: Mutex<LifelineState>,
    carrier: CarrierHandle,
    /// Whether the client's process group has to end with the client.
    has_group_to_end: AtomicBool,
}

/// Who carries a session, as the lifeline's threads see it.
enum CarrierHandle {
    Child(Arc<ChildHandle>),
    /// The master of a shared connection, by the control socket of this session.
    Master(Arc<mux::Control>),
}

impl CarrierHandle {
    /// Returns what is readable when the carrier has ended, or has something to say; `None` if the kernel has no
    /// pidfds.
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            CarrierHandle::Child(child) => child.as_fd(),
            CarrierHandle::Master(control) => Some(control.as_fd()),
        }
    }

    /// Sends a signal to the child. A session without one can only be closed.
    fn signal(&self, signal: libc::c_int) {
        match self {
            CarrierHandle::Child(child) => child.signal(signal),
            CarrierHandle::Master(control) => control.close(),
        }
    }

    fn child(&self) -> Option<&ChildHandle> {
        match self {
            CarrierHandle::Child(child) => Some(child),
            CarrierHandle::Master(_) => None,
        }
    }
}

enum LifelineState {
    Open(Pending),
    /// A block is being sent, and nothing may follow it until the host reports again, because the host's `head` may
    /// read more than the block.
    Held {
        block: Pending,
        /// Whether to close the lifeline when the host has reported.
        close: bool,
    },
    Closed,
}

impl LifelineState {
    fn pending(&mut self) -> Option<&mut Pending> {
        match self {
            LifelineState::Open(pending) | LifelineState::Held { block: pending, .. } => Some(pending),
            LifelineState::Closed => None,
        }
    }
}

/// Bytes that the socket has not taken yet: a script or the block of a start can be larger than the socket's buffer.
#[derive(Default)]
struct Pending {
    chunks: VecDeque<Chunk>,
    /// How many bytes of the first chunk the socket has taken.
    taken: usize,
}

/// How many commands can wait behind bytes that the socket does not take. Without a limit, a host that reads nothing
/// and reports without end would fill the memory, because the manager answers reports.
const MOST_PENDING: usize = 1024;

/// A part of the bytes to send. The scripts are static texts, which are not copied for each client.
pub(crate) type Chunk = Cow<'static, [u8]>;

impl Pending {
    /// Writes as much as the socket takes now.
    fn flush(&mut self, socket: &UnixStream) -> io::Result<()> {
        while let Some(chunk) = self.chunks.front() {
            self.taken += sys::send(socket, &chunk[self.taken..])?;
            if self.taken == chunk.len() {
                self.chunks.pop_front();
                self.taken = 0;
            }
        }
        self.chunks.shrink_to_fit();
        Ok(())
    }
}

impl Lifeline {
    /// Sends a command. Returns false if the lifeline is closed or held, or if the remote side reads nothing.
    pub(crate) fn send(&self, line: &str) -> bool {
        let mut state = self.state.lock();
        let LifelineState::Open(pending) = &mut *state else { return false };
        if !pending.chunks.is_empty() {
            if pending.chunks.len() >= MOST_PENDING {
                return false;
            }
            // The watcher is still writing earlier bytes, and will write this after them.
            pending.chunks.push_back(Chunk::Owned(line.as_bytes().to_vec()));
            return true;
        }
        // A unix socket takes so few bytes completely or not at all.
        sys::send(&self.socket, line.as_bytes()).is_ok_and(|sent| sent == line.len())
    }

    /// Holds the lifeline for a block: until `resume`, `send` refuses commands and `close` waits.
    pub(crate) fn hold(&self) {
        let mut state = self.state.lock();
        if let LifelineState::Open(pending) = &mut *state {
            *state = LifelineState::Held { block: mem::take(pending), close: false };
        }
    }

    /// Sends the block that the lifeline is held for. If it is larger than the socket takes, the client's thread writes
    /// the rest when there is room.
    pub(crate) fn send_block(&self, chunks: Vec<Chunk>) {
        if let LifelineState::Held { block, .. } = &mut *self.state.lock() {
            block.chunks.extend(chunks);
        }
        self.flush();
    }

    /// Ends the hold when the host has reported after the block: it has read the block, and its `head` has ended, so it
    /// cannot read what follows.
    pub(crate) fn resume(&self) {
        let mut state = self.state.lock();
        if let LifelineState::Held { block, close } = &mut *state {
            let close = *close;
            *state = LifelineState::Open(mem::take(block));
            drop(state);
            if close {
                self.close();
            }
        }
    }

    /// Ends the remote side's input, and tells it before that this is on purpose: nobody will query how the process
    /// ended. Bytes that still wait are dropped: half a script starts nothing there.
    pub(crate) fn close(&self) {
        if let LifelineState::Held { close, .. } = &mut *self.state.lock() {
            *close = true;
            return;
        }
        self.send("bye\n");
        self.cut();
    }

    /// Ends the remote side's input without telling it that this is on purpose. This is for a kept process, and for a
    /// client that has ended: a master that carried the channel has the streams for a moment longer.
    pub(crate) fn cut(&self) {
        *self.state.lock() = LifelineState::Closed;
        // It fails if the other side is closed already.
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
    }

    /// Kills the client, or closes the session that has none.
    pub(crate) fn kill_client(&self) {
        self.carrier.signal(libc::SIGKILL);
    }

    /// Makes the client's process group end with the client, until the wrapper has begun.
    pub(crate) fn own_group(&self) {
        self.has_group_to_end.store(true, Ordering::Relaxed);
    }

    /// Lets the client's process group live on after the client. The wrapper has begun, and what carries it ends with
    /// it.
    pub(crate) fn begun(&self) {
        self.has_group_to_end.store(false, Ordering::Relaxed);
    }

    /// Kills the client's process group. A launcher can be a script that is killed because it hangs; then nothing else
    /// ends the program that it waits for.
    fn end_group(&self) {
        if let (true, Some(child)) = (self.has_group_to_end.swap(false, Ordering::Relaxed), self.carrier.child()) {
            child.kill_group();
        }
    }

    /// Sends a signal to the client, or closes the session that has none.
    pub(crate) fn signal_client(&self, signal: libc::c_int) {
        self.carrier.signal(signal);
    }

    /// Returns whether the client is known to have ended.
    pub(crate) fn client_has_ended(&self) -> bool {
        let Some(client) = self.carrier.child().and_then(ChildHandle::as_fd) else { return false };
        let mut polled = [Polled::read(Some(client))];
        sys::poll(&mut polled, Some(Instant::now())).is_ok() && polled[0].ready
    }

    /// Returns the pid of the client; `None` for a session that has none.
    pub(crate) fn client_pid(&self) -> Option<u32> {
        self.carrier.child().map(ChildHandle::pid)
    }

    fn has_pending(&self) -> bool {
        self.state.lock().pending().is_some_and(|pending| !pending.chunks.is_empty())
    }

    /// Writes as much as the socket takes now.
    fn flush(&self) {
        let mut state = self.state.lock();
        let Some(pending) = state.pending() else { return };
        match pending.flush(&self.socket) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // The client is gone; its exit says why.
            Err(_) => *state = LifelineState::Closed,
        }
    }
}

/// How many times up to 64 KiB are read from each stream after the client's end, which is more than any socket or pipe
/// holds. There is a limit, because a process that the client left behind, such as a ProxyCommand, could write for
/// ever.
const LAST_READS: usize = 1024;

/// A stream of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// What a client's stdout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StdoutAs {
    /// The socket that is also its stdin: for ssh, which passes it to nobody.
    Socket,
    /// A pipe: for launchers whose stdout may become the application's, which cannot open a socket as /dev/stdout.
    Pipe,
}

enum Stdout {
    Socket,
    Pipe(File),
    Ended,
}

/// A session on a shared connection that was requested from its master.
pub(crate) struct Requested {
    session: mux::Session,
    ends: Ends,
}

impl Requested {
    /// Requests a session that runs this command.
    ///
    /// # Errors
    /// It could not be requested, and nothing runs.
    pub(crate) fn from(master: Master, command: &str) -> io::Result<Requested> {
        let (ends, streams) = Ends::new(StdoutAs::Socket)?;
        Ok(Requested { session: master.request(command, &streams)?, ends })
    }
}

/// This side's ends of a client's streams.
struct Ends {
    socket: UnixStream,
    stdout: Stdout,
    stderr: File,
}

impl Ends {
    /// Makes the streams, and returns the ends of both sides.
    fn new(stdout: StdoutAs) -> io::Result<(Ends, Streams)> {
        let (ours, theirs) = sys::socket_pair()?;
        ours.set_nonblocking(true)?;
        let stdin = OwnedFd::from(theirs);
        let (stdout, childs_stdout) = match stdout {
            StdoutAs::Socket => (Stdout::Socket, stdin.try_clone()?),
            StdoutAs::Pipe => {
                let (reader, writer) = sys::output_pipe()?;
                (Stdout::Pipe(reader), writer)
            }
        };
        let (stderr, childs_stderr) = sys::output_pipe()?;
        let streams = Streams { stdin, stdout: childs_stdout, stderr: childs_stderr };
        Ok((Ends { socket: ours, stdout, stderr }, streams))
    }
}

/// The result of [`Client::pump`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pumped {
    /// Something was read or written.
    Some,
    /// The deadline has come.
    Deadline,
    /// The client has ended and all its output was read. The value is its exit code, or minus the number of the signal
    /// that ended it; `None` if the host program reaped it.
    Ended(Option<i32>),
}

/// Who carries a session, for the one thread that takes its end.
enum Carrier {
    Child(Child),
    Master(mux::Session),
}

/// The client, owned by the one thread that reads its output and takes its exit.
pub(crate) struct Client {
    carrier: Carrier,
    lifeline: Arc<Lifeline>,
    stdout: Stdout,
    stderr: Option<File>,
}

impl Client {
    /// Starts a launcher's program, and begins to write `script` to it, for the shell on the host.
    pub(crate) fn spawn(command: &Command, stdout: StdoutAs, script: Vec<Chunk>) -> io::Result<Client> {
        let (ends, streams) = Ends::new(stdout)?;
        let child = local::spawn(command, streams)?;
        let handle = CarrierHandle::Child(Arc::clone(child.handle()));
        Ok(Client::new(Carrier::Child(child), handle, ends, script))
    }

    /// Begins to write `script` to the shell of a session that was requested.
    pub(crate) fn of(requested: Requested, script: Vec<Chunk>) -> Client {
        let Requested { session, ends } = requested;
        let handle = CarrierHandle::Master(Arc::clone(session.control()));
        Client::new(Carrier::Master(session), handle, ends, script)
    }

    fn new(carrier: Carrier, handle: CarrierHandle, ends: Ends, script: Vec<Chunk>) -> Client {
        let Ends { socket, stdout, stderr } = ends;
        let lifeline = Arc::new(Lifeline {
            socket,
            state: Mutex::new(LifelineState::Open(Pending { chunks: script.into(), taken: 0 })),
            carrier: handle,
            has_group_to_end: AtomicBool::new(false),
        });
        Client { carrier, lifeline, stdout, stderr: Some(stderr) }
    }

    pub(crate) fn lifeline(&self) -> &Arc<Lifeline> {
        &self.lifeline
    }

    /// Waits until there is something to read or write, the client has ended, or the deadline has come. Writes what
    /// waits, and gives what it reads to `sink`.
    pub(crate) fn pump(
        &mut self,
        deadline: Option<Instant>,
        mut sink: impl FnMut(Stream, &[u8]),
    ) -> io::Result<Pumped> {
        let write = self.lifeline.has_pending();
        let ended = {
            let socket = self.lifeline.socket.as_fd();
            let (reads_socket, pipe) = match &self.stdout {
                Stdout::Socket => (true, None),
                Stdout::Pipe(pipe) => (false, Some(pipe.as_fd())),
                Stdout::Ended => (false, None),
            };
            let mut polled = [
                Polled { fd: (reads_socket || write).then_some(socket), write, ready: false },
                Polled::read(pipe),
                Polled::read(self.stderr.as_ref().map(AsFd::as_fd)),
                Polled::read(self.lifeline.carrier.as_fd()),
            ];
            sys::poll(&mut polled, deadline)?;
            if !polled.iter().any(|polled| polled.ready) {
                return Ok(Pumped::Deadline);
            }
            polled[3].ready
        };
        if write {
            self.lifeline.flush();
        }
        self.read_all(&mut sink)?;
        let has_ended = match &mut self.carrier {
            Carrier::Master(session) => ended && session.hear(|reason| sink(Stream::Stderr, reason)),
            // Without a pidfd, the end of both streams shows that the client has ended.
            Carrier::Child(child) => {
                let is_closed = matches!(self.stdout, Stdout::Ended) && self.stderr.is_none();
                ended || (is_closed && child.handle().as_fd().is_none())
            }
        };
        if has_ended {
            // Reads what the client wrote between the read above and its end: as much as the socket and the pipe hold.
            for _ in 0..LAST_READS {
                if !self.read_all(&mut sink)? {
                    break;
                }
            }
            return Ok(Pumped::Ended(self.reap()));
        }
        Ok(Pumped::Some)
    }

    /// Reads what is there from both streams, and returns whether one may have more.
    fn read_all(&mut self, sink: &mut impl FnMut(Stream, &[u8])) -> io::Result<bool> {
        let mut more = false;
        let out = |bytes: &[u8]| sink(Stream::Stdout, bytes);
        let left = match &mut self.stdout {
            Stdout::Socket => read_available(&mut &self.lifeline.socket, out)?,
            Stdout::Pipe(pipe) => read_available(pipe, out)?,
            Stdout::Ended => Left::Nothing,
        };
        if left == Left::Nothing {
            self.stdout = Stdout::Ended;
        }
        more |= left == Left::More;
        if let Some(stderr) = &mut self.stderr {
            let left = read_available(stderr, |bytes| sink(Stream::Stderr, bytes))?;
            if left == Left::Nothing {
                self.stderr = None;
            }
            more |= left == Left::More;
        }
        Ok(more)
    }

    fn reap(&mut self) -> Option<i32> {
        self.lifeline.cut();
        self.lifeline.end_group();
        match &mut self.carrier {
            Carrier::Child(child) => {
                let status = child.wait()?;
                status.code().or(status.signal().map(|signal| -signal))
            }
            Carrier::Master(session) => Some(session.end()),
        }
    }
}

impl Drop for Client {
    /// Kills a client that is dropped before its end.
    fn drop(&mut self) {
        self.lifeline.close();
        self.lifeline.kill_client();
        self.lifeline.end_group();
        if let Carrier::Child(child) = &mut self.carrier {
            child.wait();
        }
    }
}

/// What is left in a stream after a read.
#[derive(PartialEq, Eq)]
enum Left {
    More,
    LaterPerhaps,
    Nothing,
}

/// Reads what is there, but only a bounded number of times, so that one busy stream does not starve the other.
fn read_available(stream: &mut impl Read, mut sink: impl FnMut(&[u8])) -> io::Result<Left> {
    const TURNS: usize = 16;
    // This is on the stack of each watcher thread, so it is small.
    let mut buffer = [0; 4096];
    for _ in 0..TURNS {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(Left::Nothing),
            Ok(length) => sink(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Left::LaterPerhaps),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(Left::Nothing),
            Err(error) => return Err(error),
        }
    }
    Ok(Left::More)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_waits_for_the_block_that_the_lifeline_is_held_for() {
        let mut client = Client::spawn(&Command::new("cat"), StdoutAs::Pipe, Vec::new()).unwrap();
        let lifeline = Arc::clone(client.lifeline());
        lifeline.hold();
        lifeline.close();
        assert!(!lifeline.send("kill 1 TERM group\n"));
        lifeline.send_block(vec![b"go\n".into()]);
        let mut text = Vec::new();
        while text != b"go\n" {
            assert_eq!(client.pump(None, |_, bytes| text.extend(bytes)).unwrap(), Pumped::Some, "{text:?}");
        }
        lifeline.resume();
        while client.pump(None, |_, bytes| text.extend(bytes)).unwrap() != Pumped::Ended(Some(0)) {}
        assert_eq!(String::from_utf8(text).unwrap(), "go\nbye\n");
    }
}
