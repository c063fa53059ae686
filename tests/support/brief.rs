//! Failure messages of bounded length, whatever they are about.

use std::fmt::Debug;

/// How many bytes of one text a failure message shows.
pub const BRIEF: usize = 4096;

/// How many bytes of a log or of a test program's output it shows.
pub const LOG: usize = 16 * BRIEF;

/// How many bytes a comparison shows on either side of the first difference.
const AROUND: usize = 16;

/// Cuts the middle out of a text that is longer than about `most` bytes, and says there how much is missing.
pub fn shorten(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let (bytes, half) = (text.as_bytes(), most / 2);
    // The cuts may fall into the middle of a character.
    let [head, tail] = [&bytes[..half], &bytes[bytes.len() - half..]].map(String::from_utf8_lossy);
    format!("{head} … {} bytes … {tail}", bytes.len() - 2 * half)
}

/// Cuts the lines of a text to `BRIEF` bytes each, and then the whole to `most`.
pub fn shorten_lines(text: &str, most: usize) -> String {
    let lines: String = text.split_inclusive('\n').map(|line| shorten(line, BRIEF)).collect();
    shorten(&lines, most)
}

/// Returns what `{:?}` prints, shortened.
pub fn brief(value: &(impl Debug + ?Sized)) -> String {
    shorten(&format!("{value:?}"), BRIEF)
}

/// Describes how `actual` differs from `expected`: their lengths, where they part, and the bytes around that place.
/// Returns `None` if they are equal.
pub fn difference(actual: &[u8], expected: &[u8]) -> Option<String> {
    if actual == expected {
        return None;
    }
    let at = actual.iter().zip(expected).take_while(|(actual, expected)| actual == expected).count();
    let around = |bytes: &[u8]| {
        let part = &bytes[at.saturating_sub(AROUND)..bytes.len().min(at + AROUND)];
        part.escape_ascii().to_string()
    };
    let (lengths, parts) = ([actual.len(), expected.len()], [around(actual), around(expected)]);
    Some(format!(
        "{} bytes instead of {}; from byte {at} on they differ: \"{}\" instead of \"{}\"",
        lengths[0], lengths[1], parts[0], parts[1]
    ))
}

/// Asserts that long byte strings are equal. Unlike `assert_eq!`, it prints only where they differ.
#[track_caller]
pub fn assert_same_bytes(what: &str, actual: impl AsRef<[u8]>, expected: impl AsRef<[u8]>) {
    if let Some(difference) = difference(actual.as_ref(), expected.as_ref()) {
        panic!("{what}: {difference}");
    }
}
