//! Looks for a text in the output of an application, which arrives in pieces of any length.

use crate::model::output::OutputStream;

/// Looks for a text in each of two streams. The text has no newline, so it never spans two lines.
pub(crate) struct TextFinder {
    text: Vec<u8>,
    /// The last bytes of stdout and stderr, fewer than the text has: it may begin in them.
    ends: [Vec<u8>; 2],
}

impl TextFinder {
    pub(crate) fn new(text: &str) -> TextFinder {
        TextFinder { text: text.as_bytes().to_vec(), ends: [Vec::new(), Vec::new()] }
    }

    /// Takes the next bytes of a stream, and returns whether the text ends in them.
    pub(crate) fn push(&mut self, stream: OutputStream, bytes: &[u8]) -> bool {
        let end = &mut self.ends[stream as usize];
        let most = self.text.len() - 1;
        let seam = [&end[..], &bytes[..bytes.len().min(most)]].concat();
        let found = contains(&seam, &self.text) || contains(bytes, &self.text);
        if bytes.len() < most {
            end.extend_from_slice(bytes);
            end.drain(..end.len().saturating_sub(most));
        } else {
            *end = bytes[bytes.len() - most..].to_vec();
        }
        found
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == text[0]) {
        if rest[at..].starts_with(text) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str, pieces: &[(OutputStream, Vec<u8>)]) -> bool {
        let mut finder = TextFinder::new(text);
        pieces.iter().any(|(stream, bytes)| finder.push(*stream, bytes))
    }

    proptest! {
        #[test]
        fn the_text_is_found_in_any_cut_and_in_no_mixture_of_streams(
            text in "[ab]{1,4}",
            pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(b'a'..=b'b', 0..6)), 0..12),
        ) {
            let stream = |is_stdout| if is_stdout { OutputStream::Stdout } else { OutputStream::Stderr };
            let pieces: Vec<_> = pieces.into_iter().map(|(is_stdout, bytes)| (stream(is_stdout), bytes)).collect();
            let whole = |stream| {
                let of_stream = pieces.iter().filter(|(of, _)| *of == stream).flat_map(|(_, bytes)| bytes.clone());
                String::from_utf8(of_stream.collect()).unwrap()
            };
            let expected = whole(OutputStream::Stdout).contains(&text) || whole(OutputStream::Stderr).contains(&text);
            prop_assert_eq!(found(&text, &pieces), expected);
        }
    }
}
