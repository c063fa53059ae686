//! What is kept of an application's output.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

/// The last part of what an application wrote to a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// The bytes, as they were written.
    pub bytes: Vec<u8>,
    /// How many bytes were written before these and are not kept.
    pub dropped: u64,
}

/// A bounded end of a stream.
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
        self.bytes.extend(kept);
        self.dropped += (excess + bytes.len() - kept.len()) as u64;
    }

    /// The last bytes, at most this many.
    pub(crate) fn last(&self, most: usize) -> Vec<u8> {
        let from = self.bytes.len().saturating_sub(most);
        self.bytes.range(from..).copied().collect()
    }

    pub(crate) fn get(&self) -> Output {
        Output { bytes: self.bytes.iter().copied().collect(), dropped: self.dropped }
    }
}

/// Which of an application's streams bytes were written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputStream {
    /// Its stdout.
    Stdout,
    /// Its stderr.
    Stderr,
}

/// A piece of an application's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPiece {
    /// Where it was written.
    pub stream: OutputStream,
    /// The bytes, of any length, not cut at lines.
    pub bytes: Vec<u8>,
}

/// How many pieces, of 8 KiB at the most, a reader may be behind.
const PIECES_AHEAD: usize = 256;

/// A live reader of an application's output. Of a reader that is more than 256 pieces behind, the newest pieces are
/// dropped and counted: it never delays the application.
#[derive(Debug)]
pub struct OutputSubscription {
    pieces: Receiver<OutputPiece>,
    dropped: Arc<AtomicU64>,
}

impl OutputSubscription {
    /// The pieces as they come. The channel is cut when the output has ended.
    pub fn pieces(&self) -> &Receiver<OutputPiece> {
        &self.pieces
    }

    /// How many bytes were dropped until now.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

struct Reader {
    pieces: Sender<OutputPiece>,
    dropped: Arc<AtomicU64>,
}

/// What is kept of an application's output, and who reads it.
#[derive(Default)]
pub(crate) struct OutputTails {
    pub stdout: Tail,
    pub stderr: Tail,
    /// None: the output has ended.
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

    pub(crate) fn subscribe(&mut self) -> OutputSubscription {
        let (sender, pieces) = bounded(PIECES_AHEAD);
        let dropped = Arc::new(AtomicU64::new(0));
        if let Some(readers) = &mut self.readers {
            readers.push(Reader { pieces: sender, dropped: Arc::clone(&dropped) });
        }
        OutputSubscription { pieces, dropped }
    }

    pub(crate) fn end(&mut self) {
        self.readers = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
