//! What is kept of an application's output.

use std::collections::VecDeque;

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

    pub(crate) fn get(&self) -> Output {
        Output { bytes: self.bytes.iter().copied().collect(), dropped: self.dropped }
    }
}

#[derive(Default)]
pub(crate) struct OutputTails {
    pub stdout: Tail,
    pub stderr: Tail,
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
        let mut none = Tail::default();
        none.push(b"abc", 0);
        assert_eq!(none.get(), Output { bytes: vec![], dropped: 3 });
    }
}
