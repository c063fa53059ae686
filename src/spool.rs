//! What a manager has of the output that a kept application's host keeps in files: exactly what of it, though links break.

/// Behind so many bytes without a report the link is asked for one.
const UNCONFIRMED: usize = 32 << 10;

/// How many bytes without a report are kept; up to twice as many between two cuts. What stands further back cannot be
/// ssh's last words, which are some lines, so it counts as the application's.
const MOST_UNCONFIRMED: usize = 64 << 10;

/// How many sessions that broke before their first report are remembered.
const MOST_DELIVERED: usize = 8;

/// Positions in the two files.
///
/// On stdout comes only what the application wrote. On stderr, ssh's last words can follow when a link breaks, and nothing tells where they
/// begin; but what stands before a report came from the host. So what came behind the last report is kept, the next link begins
/// there again, and what it repeats is left out.
#[derive(Default)]
pub(crate) struct Spool {
    stdout: u64,
    /// Where the last report stood.
    stderr: u64,
    /// What came behind that in this session.
    unconfirmed: Vec<u8>,
    /// What former sessions delivered behind that. More than one: each can have ended with ssh's words, at another place.
    delivered: Vec<Former>,
    /// A report was asked for.
    asked: bool,
}

struct Former {
    bytes: Vec<u8>,
    /// It begins with all that this session has said.
    agrees: bool,
}

impl Spool {
    /// How much of each file is here.
    pub(crate) fn positions(&self) -> (u64, u64) {
        (self.stdout, self.stderr + self.unconfirmed.len() as u64)
    }

    pub(crate) fn stdout(&mut self, bytes: &[u8]) {
        self.stdout += bytes.len() as u64;
    }

    /// Gives what was not delivered yet.
    pub(crate) fn stderr<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let before = self.unconfirmed.len();
        self.unconfirmed.extend_from_slice(bytes);
        let mut known = 0;
        for former in self.delivered.iter_mut().filter(|former| former.agrees) {
            let there = former.bytes.iter().skip(before);
            let same = there.zip(bytes).take_while(|(there, byte)| there == byte).count();
            former.agrees = same == bytes.len();
            known = known.max(same);
        }
        // In large steps: each moves what stays.
        if self.unconfirmed.len() >= 2 * MOST_UNCONFIRMED {
            self.confirm_first(self.unconfirmed.len() - MOST_UNCONFIRMED);
        }
        &bytes[known..]
    }

    /// A report stands here.
    pub(crate) fn confirm(&mut self) {
        self.confirm_first(self.unconfirmed.len());
        self.unconfirmed = Vec::new();
        self.asked = false;
    }

    /// So many bytes of what came behind the last report are the application's.
    fn confirm_first(&mut self, count: usize) {
        self.unconfirmed.drain(..count);
        self.stderr += count as u64;
        self.delivered.retain_mut(|former| {
            let is_longer = former.agrees && former.bytes.len() > count;
            former.bytes.drain(..count.min(former.bytes.len()));
            is_longer
        });
    }

    /// Whether to ask for a report; once.
    pub(crate) fn wants_report(&mut self) -> bool {
        let wants = !self.asked && self.unconfirmed.len() > UNCONFIRMED;
        self.asked |= wants;
        wants
    }

    /// Another link follows: it begins at the last report.
    pub(crate) fn begin_again(&mut self) {
        let mut bytes = std::mem::take(&mut self.unconfirmed);
        bytes.shrink_to_fit();
        self.delivered.iter_mut().for_each(|former| former.agrees = true);
        if !bytes.is_empty() && self.delivered.len() < MOST_DELIVERED {
            self.delivered.push(Former { bytes, agrees: true });
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
        spool.begin_again();
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
        spool.begin_again();
        let former = &spool.delivered[0].bytes;
        assert!(former.capacity() <= 2 * MOST_UNCONFIRMED);
        assert_eq!(spool.positions(), (0, 100 * 4096 - former.len() as u64));
    }

    proptest! {
        /// Cut anywhere, with reports anywhere, and with words of ssh that the file does not have: each byte is delivered once.
        #[test]
        fn nothing_is_lost_or_doubled(
            file in prop::collection::vec(b'a'..=b'c', 0..80),
            sessions in prop::collection::vec((0usize..40, prop::collection::vec(any::<bool>(), 40), 0usize..3), 0..6),
        ) {
            let mut spool = Spool::default();
            let mut delivered = Vec::new();
            let full = (file.len(), vec![false; 40], 0);
            for (length, reports, words) in sessions.into_iter().chain([full]) {
                let from = spool.positions().1 as usize;
                let to = file.len().min(from + length);
                for (at, byte) in file[from..to].iter().enumerate() {
                    delivered.extend_from_slice(spool.stderr(&[*byte]));
                    if reports[at % 40] {
                        spool.confirm();
                    }
                }
                delivered.extend_from_slice(spool.stderr(&b"XYZ"[..words]));
                spool.begin_again();
            }
            delivered.retain(|byte| !b"XYZ".contains(byte));
            prop_assert_eq!(delivered, file);
        }
    }
}
