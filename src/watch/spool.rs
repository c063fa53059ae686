//! Tracks how much of a kept process's output has arrived, exactly, across broken links.
//!
//! The host of a kept process keeps the output in two files. A new link sends each file from the position up to which
//! the manager certainly has it.

/// After this many bytes without a report, the link is asked for a report.
const UNCONFIRMED: usize = 32 << 10;

/// How many bytes without a report are kept, and up to twice as many between two cuts. Bytes that are further back
/// cannot be the last messages of ssh, which are a few lines, so they count as output of the application.
const MOST_UNCONFIRMED: usize = 64 << 10;

/// How many links that broke before their first report are remembered.
const MOST_DELIVERED: usize = 8;

/// The positions in the two output files.
///
/// Stdout carries only output of the application. On stderr, ssh's last messages can follow when a link breaks, and
/// nothing marks where they begin. But what precedes a report came from the host. So the bytes after the last report
/// are kept, the next link sends the file from that report on, and the bytes that it repeats are left out.
#[derive(Default)]
pub(crate) struct Spool {
    stdout: u64,
    /// The position of the last report.
    stderr: u64,
    /// What came after that report on this link.
    unconfirmed: Vec<u8>,
    /// What each earlier link delivered after that report: each can have ended with messages of ssh, at another place.
    delivered: Vec<Delivered>,
    /// A report was asked for.
    asked: bool,
}

/// What an earlier link delivered after the last report.
struct Delivered {
    bytes: Vec<u8>,
    /// They begin with all that this link has sent so far.
    agrees: bool,
}

impl Spool {
    /// Returns how much of each file has arrived: of stdout, and of stderr.
    pub(crate) fn positions(&self) -> (u64, u64) {
        (self.stdout, self.stderr + self.unconfirmed.len() as u64)
    }

    /// Takes bytes of stdout.
    pub(crate) fn stdout(&mut self, bytes: &[u8]) {
        self.stdout += bytes.len() as u64;
    }

    /// Takes bytes of stderr, and returns those that were not delivered before.
    pub(crate) fn stderr<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let before = self.unconfirmed.len();
        self.unconfirmed.extend_from_slice(bytes);
        let mut known = 0;
        for earlier in self.delivered.iter_mut().filter(|earlier| earlier.agrees) {
            let there = earlier.bytes.iter().skip(before);
            let same = there.zip(bytes).take_while(|(there, byte)| there == byte).count();
            earlier.agrees = same == bytes.len();
            known = known.max(same);
        }
        // In large steps, because each step moves the bytes that stay.
        if self.unconfirmed.len() >= 2 * MOST_UNCONFIRMED {
            self.confirm_first(self.unconfirmed.len() - MOST_UNCONFIRMED);
        }
        &bytes[known..]
    }

    /// Takes a report on stderr: all bytes before it came from the host.
    pub(crate) fn confirm(&mut self) {
        self.confirm_first(self.unconfirmed.len());
        self.unconfirmed = Vec::new();
        self.asked = false;
    }

    /// Counts the first of the unconfirmed bytes as output of the application.
    fn confirm_first(&mut self, count: usize) {
        self.unconfirmed.drain(..count);
        self.stderr += count as u64;
        self.delivered.retain_mut(|earlier| {
            let is_longer = earlier.agrees && earlier.bytes.len() > count;
            earlier.bytes.drain(..count.min(earlier.bytes.len()));
            is_longer
        });
    }

    /// Returns whether to ask the link for a report. Returns true once for each report.
    pub(crate) fn wants_report(&mut self) -> bool {
        let wants = !self.asked && self.unconfirmed.len() > UNCONFIRMED;
        self.asked |= wants;
        wants
    }

    /// Notes that this link has ended. The next one begins at the last report.
    pub(crate) fn link_ended(&mut self) {
        let mut bytes = std::mem::take(&mut self.unconfirmed);
        bytes.shrink_to_fit();
        self.delivered.iter_mut().for_each(|earlier| earlier.agrees = true);
        if !bytes.is_empty() && self.delivered.len() < MOST_DELIVERED {
            self.delivered.push(Delivered { bytes, agrees: true });
        }
        self.asked = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sshs_last_words_are_no_part_of_the_file() {
        let mut spool = Spool::default();
        assert_eq!(spool.stderr(b"one "), b"one ");
        spool.confirm();
        assert_eq!(spool.stderr(b"twClosed."), b"twClosed.");
        spool.link_ended();
        assert_eq!(spool.positions(), (0, 4));
        assert_eq!(spool.stderr(b"t"), b"");
        assert_eq!(spool.stderr(b"wo three"), b"o three");
        assert_eq!(spool.positions(), (0, 13));
    }

    /// A report may never come.
    #[test]
    fn what_is_kept_is_bounded() {
        let mut spool = Spool::default();
        for _ in 0..100 {
            assert_eq!(spool.stderr(&[b'x'; 4096]).len(), 4096);
            assert!(spool.unconfirmed.capacity() <= 4 * MOST_UNCONFIRMED);
        }
        assert_eq!(spool.positions(), (0, 100 * 4096));
        spool.link_ended();
        let earlier = &spool.delivered[0].bytes;
        assert!(earlier.capacity() <= 2 * MOST_UNCONFIRMED);
        assert_eq!(spool.positions(), (0, 100 * 4096 - earlier.len() as u64));
    }

    proptest! {
        /// Links break anywhere, reports come anywhere, and ssh adds messages that are not in the file: each byte of
        /// the file is delivered once.
        #[test]
        fn nothing_is_lost_or_doubled(
            file in prop::collection::vec(b'a'..=b'c', 0..80),
            links in prop::collection::vec((0usize..40, prop::collection::vec(any::<bool>(), 40), 0usize..3), 0..6),
        ) {
            let mut spool = Spool::default();
            let mut delivered = Vec::new();
            let full = (file.len(), vec![false; 40], 0);
            for (length, reports, words) in links.into_iter().chain([full]) {
                let from = spool.positions().1 as usize;
                let to = file.len().min(from + length);
                for (at, byte) in file[from..to].iter().enumerate() {
                    delivered.extend_from_slice(spool.stderr(&[*byte]));
                    if reports[at % 40] {
                        spool.confirm();
                    }
                }
                delivered.extend_from_slice(spool.stderr(&b"XYZ"[..words]));
                spool.link_ended();
            }
            delivered.retain(|byte| !b"XYZ".contains(byte));
            prop_assert_eq!(delivered, file);
        }
    }
}
