//! A session on a shared connection without a client of its own. The master of the connection is asked for it in the
//! way in which ssh's own clients ask.
//!
//! The protocol is that of OpenSSH's PROTOCOL.mux, in version 4. A message is a length of 32 bits and that many bytes,
//! which begin with the type of the message. All numbers have 32 bits and are big-endian; a text is its length and its
//! bytes. The master gets the streams of the session as descriptors, one with each byte. It ends the session when this
//! side closes the control socket, and closes the socket when the session has ended.

use std::env;
use std::ffi::OsString;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::local::Streams;
use crate::local::sys::{self, Polled};

const VERSION: u32 = 4;
/// The longest message that a master may send. Its messages are a few numbers and a line of text.
const LONGEST: usize = 64 << 10;
/// The most bytes of variables in a request. By default, the buffer of a new socket takes at least twice as many.
const MOST_VARIABLES: usize = 64 << 10;
/// The exit code of an ssh client whose session has ended without a code.
const NO_CODE: i32 = 255;
/// The number of the only request on a control socket.
const REQUEST: u32 = 1;

/// The types of messages, by their names in PROTOCOL.mux.
mod kind {
    pub(super) const HELLO: u32 = 0x0000_0001;
    pub(super) const NEW_SESSION: u32 = 0x1000_0002;
    pub(super) const PERMISSION_DENIED: u32 = 0x8000_0002;
    pub(super) const FAILURE: u32 = 0x8000_0003;
    pub(super) const EXIT_MESSAGE: u32 = 0x8000_0004;
}

/// Why a master takes no request. Nothing was requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoGreeting {
    /// Nobody listens at its socket, or the connection to it broke: the master has ended, or is about to end.
    Gone,
    /// It does not answer: it is busy, or stopped.
    Silent,
    /// It speaks another protocol, or cannot take what this program would request, as this text says.
    Unlike(String),
}

/// A master that has greeted, and takes a request.
pub(crate) struct Master {
    control: UnixStream,
    messages: Messages,
    variables: Vec<u8>,
}

/// Connects to the master at this socket, and exchanges greetings with it. Blocks until the deadline.
///
/// # Errors
/// The master takes no request.
pub(crate) fn greet(socket: &Path, deadline: Instant) -> Result<Master, NoGreeting> {
    let variables = variables();
    if variables.len() > MOST_VARIABLES {
        let limit = MOST_VARIABLES >> 10;
        return Err(NoGreeting::Unlike(format!("a request can have {limit} KiB of variables, and there are more")));
    }
    let control = sys::connect(socket).map_err(|error| match error.kind() {
        // Its queue is full: it has not accepted connections for long.
        ErrorKind::WouldBlock => NoGreeting::Silent,
        _ => NoGreeting::Gone,
    })?;
    let mut master = Master { control, messages: Messages::default(), variables };
    send(&master.control, &Message::new(kind::HELLO).number(VERSION)).map_err(|_| NoGreeting::Gone)?;
    loop {
        let is_open = master.messages.read(&master.control);
        match master.messages.next().map_err(|_| NoGreeting::Unlike("its greeting is no message".to_owned()))? {
            Some(mut greeting) => {
                return match (greeting.number(), greeting.number()) {
                    (Some(kind::HELLO), Some(VERSION)) => Ok(master),
                    (Some(kind::HELLO), Some(version)) => Err(NoGreeting::Unlike(format!(
                        "it speaks version {version} of the protocol, and not {VERSION}"
                    ))),
                    _ => Err(NoGreeting::Unlike("its first message is no greeting".to_owned())),
                };
            }
            None if !is_open => return Err(NoGreeting::Gone),
            None => {}
        }
        let mut polled = [Polled::read(Some(master.control.as_fd()))];
        sys::poll(&mut polled, Some(deadline)).map_err(|_| NoGreeting::Gone)?;
        if !polled[0].ready {
            return Err(NoGreeting::Silent);
        }
    }
}

/// Returns the variables of this program as the texts of a request.
fn variables() -> Vec<u8> {
    let text = |texts: Message, (name, value): (OsString, OsString)| {
        texts.text([name.as_bytes(), value.as_bytes()].join(&b'='))
    };
    env::vars_os().fold(Message(Vec::new()), text).0
}

impl Master {
    /// Requests a session that runs this command with these streams. Does not block: the session tells what becomes of
    /// the request. X11 and the agent are requested, and all variables are named: the master forwards and sends only
    /// what its own ForwardX11, ForwardAgent and SendEnv allow.
    ///
    /// # Errors
    /// The request could not be sent whole. Then the master starts nothing.
    pub(crate) fn request(self, command: &str, streams: &Streams) -> io::Result<Session> {
        let Master { control, messages, variables } = self;
        let [no_terminal, x11, agent, no_subsystem] = [0, 1, 1, 0];
        let no_escape = u32::MAX;
        let request = Message::new(kind::NEW_SESSION).number(REQUEST).text("");
        let request = request.number(no_terminal).number(x11).number(agent).number(no_subsystem);
        let request = request.number(no_escape).text("").text(command).raw(&variables);
        let streams = [&streams.stdin, &streams.stdout, &streams.stderr];
        send(&control, &request)?;
        streams.into_iter().try_for_each(|stream| sys::send_descriptor(&control, stream.as_fd()))?;
        let control = Arc::new(Control { socket: control, is_closed: AtomicBool::new(false) });
        Ok(Session { control, messages, code: None })
    }
}

/// The control socket of a session, which any thread may close.
pub(crate) struct Control {
    socket: UnixStream,
    /// This side has closed it.
    is_closed: AtomicBool,
}

impl Control {
    /// Closes the session: the master ends it.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        shut_down(&self.socket);
    }

    /// Returns the socket, which is readable when there is something to hear.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A session that was requested.
pub(crate) struct Session {
    control: Arc<Control>,
    messages: Messages,
    /// The exit code of the command, once the master has told it.
    code: Option<i32>,
}

impl Session {
    pub(crate) fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// Hears what the master says. Calls `refused` with its reason if it refuses the session. Returns whether the
    /// session has ended.
    pub(crate) fn hear(&mut self, mut refused: impl FnMut(&[u8])) -> bool {
        let is_open = self.messages.read(&self.control.socket);
        loop {
            match self.messages.next() {
                Ok(Some(mut message)) => match message.number() {
                    Some(kind::PERMISSION_DENIED | kind::FAILURE) => {
                        let _request = message.number();
                        refused(message.text().unwrap_or_default());
                        shut_down(&self.control.socket);
                    }
                    Some(kind::EXIT_MESSAGE) => {
                        let _session = message.number();
                        // As the exit of a process cuts it.
                        self.code = message.number().map(|code| (code & 0xff) as i32);
                    }
                    // The session was opened, or a later version has more to say.
                    _ => {}
                },
                Ok(None) => return !is_open,
                Err(Malformed) => {
                    shut_down(&self.control.socket);
                    return true;
                }
            }
        }
    }

    /// Returns how ssh's own client would have ended: its exit code, or minus the number of the signal that ended it.
    /// Closing the session counts as KILL.
    pub(crate) fn end(&self) -> i32 {
        match self.code {
            Some(code) => code,
            None if self.control.is_closed.load(Ordering::Relaxed) => -libc::SIGKILL,
            None => NO_CODE,
        }
    }
}

fn shut_down(control: &UnixStream) {
    // It fails if the master has closed it.
    let _ = control.shutdown(std::net::Shutdown::Both);
}

/// Sends a message, which the buffer of a new socket should take whole.
fn send(control: &UnixStream, message: &Message) -> io::Result<()> {
    let bytes = message.bytes();
    match sys::send(control, &bytes)? == bytes.len() {
        true => Ok(()),
        false => Err(ErrorKind::WriteZero.into()),
    }
}

/// A message to a master.
struct Message(Vec<u8>);

impl Message {
    fn new(kind: u32) -> Message {
        Message(Vec::new()).number(kind)
    }

    fn number(mut self, number: u32) -> Message {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn text(self, text: impl AsRef<[u8]>) -> Message {
        let text = text.as_ref();
        // No text of this crate has 4 GiB.
        self.number(text.len() as u32).raw(text)
    }

    fn raw(mut self, bytes: &[u8]) -> Message {
        self.0.extend(bytes);
        self
    }

    /// Returns the message with its length before it.
    fn bytes(&self) -> Vec<u8> {
        let length = (self.0.len() as u32).to_be_bytes();
        [&length, &self.0[..]].concat()
    }
}

/// A message of a master is longer than any can be.
#[derive(Debug, PartialEq, Eq)]
struct Malformed;

/// What has arrived of a master's messages.
#[derive(Default)]
struct Messages(Vec<u8>);

impl Messages {
    /// Reads what is there, up to the length of the longest message. Returns false if no more can come.
    fn read(&mut self, control: &UnixStream) -> bool {
        let mut buffer = [0; 1024];
        while self.0.len() < 4 + LONGEST {
            match (&*control).read(&mut buffer) {
                Ok(0) => return false,
                Ok(length) => self.0.extend(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// Takes the next message, if it has arrived whole.
    fn next(&mut self) -> Result<Option<Fields>, Malformed> {
        let Some((length, rest)) = self.0.split_first_chunk() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length > LONGEST {
            return Err(Malformed);
        }
        let Some(body) = rest.get(..length).map(<[u8]>::to_vec) else { return Ok(None) };
        self.0.drain(..4 + length);
        Ok(Some(Fields { body, taken: 0 }))
    }
}

/// The fields of a message that have not been read.
struct Fields {
    body: Vec<u8>,
    taken: usize,
}

impl Fields {
    fn number(&mut self) -> Option<u32> {
        let bytes = self.body[self.taken..].first_chunk()?;
        self.taken += bytes.len();
        Some(u32::from_be_bytes(*bytes))
    }

    fn text(&mut self) -> Option<&[u8]> {
        let length = self.number()? as usize;
        let text = self.body[self.taken..].get(..length)?;
        self.taken += length;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    use super::*;

    /// Runs a master that sends these bytes to whoever connects and closes the socket when the other side does, and
    /// returns how it is greeted.
    fn greeted_by(said: &[u8], time: Duration) -> Result<(), NoGreeting> {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut control, _) = listener.accept().unwrap();
                control.write_all(said).unwrap();
                let _ = control.read_to_end(&mut Vec::new());
            });
            greet(&socket, Instant::now() + time).map(drop)
        })
    }

    fn message(numbers: &[u32]) -> Vec<u8> {
        let body = Message(numbers.iter().flat_map(|number| number.to_be_bytes()).collect());
        body.bytes()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_master_of_this_version_takes_requests_and_any_other_one_does_not() {
        let unlike = |said: &[u8]| match greeted_by(said, LONG) {
            Err(NoGreeting::Unlike(why)) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(greeted_by(&message(&[kind::HELLO, VERSION]), LONG), Ok(()));
        // A later ssh may name extensions behind its version.
        assert_eq!(greeted_by(&message(&[kind::HELLO, VERSION, 1, 2]), LONG), Ok(()));
        assert_eq!(unlike(&message(&[kind::HELLO, 5])), "it speaks version 5 of the protocol, and not 4");
        assert_eq!(unlike(&message(&[7, VERSION])), "its first message is no greeting");
        assert_eq!(unlike(&message(&[])), "its first message is no greeting");
        assert_eq!(unlike(b"HTTP/1.1 400 Bad Request"), "its greeting is no message");
    }

    #[test]
    fn a_master_that_does_not_greet_is_not_waited_for() {
        for said in [&b""[..], b"\0\0\0\x08\0\0"] {
            let silent = greeted_by(said, Duration::from_millis(50));
            assert_eq!(silent, Err(NoGreeting::Silent));
        }
        // As many connections wait at this socket as its owner allows.
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        let waiting: Vec<_> = std::iter::from_fn(|| sys::connect(&socket).ok()).collect();
        assert!(!waiting.is_empty());
        assert_eq!(greet(&socket, Instant::now() + LONG).map(drop), Err(NoGreeting::Silent));
    }

    #[test]
    fn a_master_that_is_gone_is_no_other_protocol() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        assert_eq!(greet(&socket, Instant::now() + LONG).map(drop), Err(NoGreeting::Gone));
        drop(UnixListener::bind(&socket).unwrap());
        assert_eq!(greet(&socket, Instant::now() + LONG).map(drop), Err(NoGreeting::Gone));
    }

    /// Returns a session whose master is the other end of the socket.
    fn session() -> (Session, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let control = Arc::new(Control { socket: ours, is_closed: AtomicBool::new(false) });
        (Session { control, messages: Messages::default(), code: None }, theirs)
    }

    #[test]
    fn a_session_tells_its_code_however_its_messages_are_cut() {
        let (mut session, mut master) = session();
        let said = [message(&[0x8000_0006, REQUEST, 3]), message(&[kind::EXIT_MESSAGE, 3, 42])].concat();
        for byte in said {
            assert_eq!(session.end(), NO_CODE);
            master.write_all(&[byte]).unwrap();
            assert!(!session.hear(|why| panic!("{why:?}")));
        }
        drop(master);
        assert!(session.hear(|why| panic!("{why:?}")));
        assert_eq!(session.end(), 42);
    }

    #[test]
    fn a_refusal_is_heard_with_its_reason_and_ends_the_session() {
        for kind in [kind::FAILURE, kind::PERMISSION_DENIED] {
            let (mut session, mut master) = session();
            let refusal = Message::new(kind).number(REQUEST).text("Session open refused by peer");
            master.write_all(&refusal.bytes()).unwrap();
            let mut heard = Vec::new();
            assert!(!session.hear(|why| heard.extend_from_slice(why)));
            assert_eq!(heard, b"Session open refused by peer");
            assert!(session.hear(|why| panic!("{why:?}")));
            assert_eq!(session.end(), NO_CODE);
        }
    }

    #[test]
    fn a_session_that_this_side_closes_counts_as_killed() {
        let (mut session, _master) = session();
        session.control().close();
        assert!(session.hear(|why| panic!("{why:?}")));
        assert_eq!(session.end(), -libc::SIGKILL);
    }

    #[test]
    fn a_master_that_sends_no_messages_is_not_listened_to() {
        let (mut session, mut master) = session();
        master.write_all(&u32::MAX.to_be_bytes()).unwrap();
        assert!(session.hear(|why| panic!("{why:?}")));
        assert_eq!(master.read(&mut [0; 8]).unwrap(), 0);
    }
}
