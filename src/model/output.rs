//! The part of an application's output that is stored, and its live readers.

use std::collections::VecDeque;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvError, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError, bounded};

use crate::model::queue::Queue;

/// How many of the last bytes of ssh's messages are stored.
pub(crate) const DIAGNOSIS: usize = 4096;

/// The last part of what an application wrote to one of its streams.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// The bytes, as they were written.
    pub bytes: Vec<u8>,
    /// How many bytes the application wrote before these, which were dropped.
    pub dropped: u64,
}

/// The beginning of a stream, up to a number of bytes. The rest is dropped.
pub(crate) struct Head {
    bytes: Vec<u8>,
    most: usize,
}

impl Head {
    pub(crate) fn of(most: usize) -> Head {
        Head { bytes: Vec::new(), most }
    }

    /// Stores as many of the bytes as there is room for, and returns how many these are.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> usize {
        let kept = bytes.len().min(self.most - self.bytes.len());
        self.bytes.reserve_exact(growth(self.bytes.len(), self.bytes.capacity(), kept, self.most));
        self.bytes.extend_from_slice(&bytes[..kept]);
        kept
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Returns how many bytes to reserve for `more` bytes: a buffer doubles, so that it seldom moves, but never beyond its
/// limit.
fn growth(length: usize, capacity: usize, more: usize, limit: usize) -> usize {
    if length + more <= capacity { 0 } else { (2 * (length + more)).min(limit) - length }
}

/// The end of a stream, up to a number of bytes. The bytes before it are dropped and counted.
#[derive(Default)]
pub(crate) struct Tail {
    bytes: VecDeque<u8>,
    dropped: u64,
}

impl Tail {
    pub(crate) fn push(&mut self, bytes: &[u8], limit: usize) {
        let kept = &bytes[bytes.len().saturating_sub(limit)..];
        let excess = (self.bytes.len() + kept.len()).saturating_sub(limit);
        self.bytes.drain(..excess);
        self.bytes.reserve_exact(growth(self.bytes.len(), self.bytes.capacity(), kept.len(), limit));
        self.bytes.extend(kept);
        self.dropped += (excess + bytes.len() - kept.len()) as u64;
    }

    /// Returns the last bytes, at most this many.
    pub(crate) fn last(&self, most: usize) -> Vec<u8> {
        let from = self.bytes.len().saturating_sub(most);
        self.bytes.range(from..).copied().collect()
    }

    pub(crate) fn get(&self) -> Output {
        Output { bytes: self.bytes.iter().copied().collect(), dropped: self.dropped }
    }
}

/// A stream that an application writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputStream {
    /// The application's stdout.
    Stdout,
    /// The application's stderr.
    Stderr,
}

/// A piece of an application's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPiece {
    /// The stream that the bytes were written to.
    pub stream: OutputStream,
    /// The bytes, of any length, not cut at lines.
    pub bytes: Vec<u8>,
}

/// How many pieces, of less than 5 KiB, a reader may be behind.
const PIECES_AHEAD: usize = 256;

/// A live reader of an application's output, made by [`Manager::subscribe_output`](crate::Manager::subscribe_output).
///
/// A reader never delays the application: when it is more than 256 pieces behind, of less than 5 KiB each, the newest
/// pieces are dropped and counted. When the output has ended and every piece has been received, the receiving calls
/// return an error. Any number of threads can receive at a time; each piece goes to one of them.
#[derive(Debug)]
pub struct OutputSubscription {
    pieces: Queue<OutputPiece>,
    dropped: Arc<AtomicU64>,
}

impl OutputSubscription {
    /// Waits for the next piece and returns it. Blocks until there is one.
    ///
    /// # Errors
    /// [`RecvError`] when the output has ended and no piece is left.
    pub fn recv(&self) -> Result<OutputPiece, RecvError> {
        self.pieces.recv()
    }

    /// Waits for the next piece and returns it. Blocks at most for the timeout.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Timeout`] when no piece came in time; [`RecvTimeoutError::Disconnected`] when the output has
    /// ended and no piece is left.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<OutputPiece, RecvTimeoutError> {
        self.pieces.recv_timeout(timeout)
    }

    /// Returns the next piece if one is waiting. Does not block.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] when no piece is waiting; [`TryRecvError::Disconnected`] when the output has ended and
    /// no piece is left.
    pub fn try_recv(&self) -> Result<OutputPiece, TryRecvError> {
        self.pieces.try_recv()
    }

    /// Iterates over the pieces as [`recv`](OutputSubscription::recv) returns them: it waits for each, and ends when
    /// the output has ended and no piece is left.
    pub fn iter(&self) -> impl Iterator<Item = OutputPiece> {
        iter::from_fn(|| self.recv().ok())
    }

    /// Returns how many bytes were dropped until now, because this reader was too slow.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

struct Reader {
    pieces: Sender<OutputPiece>,
    dropped: Arc<AtomicU64>,
}

/// The stored part of an application's output, and its live readers.
#[derive(Default)]
pub(crate) struct OutputTails {
    pub stdout: Tail,
    pub stderr: Tail,
    /// `None` when the output has ended.
    readers: Option<Vec<Reader>>,
}

impl OutputTails {
    pub(crate) fn new() -> OutputTails {
        OutputTails { readers: Some(Vec::new()), ..OutputTails::default() }
    }

    pub(crate) fn push(&mut self, stream: OutputStream, bytes: &[u8], limit: usize) {
        match stream {
            OutputStream::Stdout => self.stdout.push(bytes, limit),
            OutputStream::Stderr => self.stderr.push(bytes, limit),
        }
        let Some(readers) = &mut self.readers else { return };
        readers.retain(|reader| match reader.pieces.try_send(OutputPiece { stream, bytes: bytes.to_vec() }) {
            Ok(()) => true,
            Err(TrySendError::Full(piece)) => {
                reader.dropped.fetch_add(piece.bytes.len() as u64, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        });
    }

    /// Adds a live reader. If the output has ended, the reader gets no piece.
    pub(crate) fn subscribe(&mut self) -> OutputSubscription {
        let (sender, pieces) = bounded(PIECES_AHEAD);
        let dropped = Arc::new(AtomicU64::new(0));
        if let Some(readers) = &mut self.readers {
            readers.push(Reader { pieces: sender, dropped: Arc::clone(&dropped) });
        }
        OutputSubscription { pieces: pieces.into(), dropped }
    }

    /// Ends the output: readers get the pieces that wait, and then an error.
    pub(crate) fn end(&mut self) {
        self.readers = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_keeps_the_beginning_and_no_more_memory_than_that() {
        let mut head = Head::of(10_000);
        let kept: usize = (0..100).map(|_| head.push(&[b'x'; 300])).sum();
        assert_eq!((kept, head.push(b"y")), (10_000, 0));
        assert_eq!(head.bytes.capacity(), 10_000);
        assert_eq!(head.into_bytes(), [b'x'; 10_000]);
    }

    #[test]
    fn a_tail_has_no_more_memory_than_its_limit() {
        let mut tail = Tail::default();
        (0..100).for_each(|_| tail.push(&[b'x'; 300], 10_000));
        assert_eq!((tail.bytes.len(), tail.bytes.capacity()), (10_000, 10_000));
    }

    #[test]
    fn a_tail_keeps_the_end_and_counts_the_rest() {
        let mut tail = Tail::default();
        for bytes in [b"abc".as_slice(), b"defg", b"0123456789"] {
            tail.push(bytes, 5);
        }
        assert_eq!(tail.get(), Output { bytes: b"56789".to_vec(), dropped: 12 });
        tail.push(b"x", 5);
        assert_eq!(tail.get(), Output { bytes: b"6789x".to_vec(), dropped: 13 });
        assert_eq!((tail.last(2), tail.last(9)), (b"9x".to_vec(), b"6789x".to_vec()));
        let mut none = Tail::default();
        none.push(b"abc", 0);
        assert_eq!(none.get(), Output { bytes: vec![], dropped: 3 });
    }
}
