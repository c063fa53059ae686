//! Compares the output that arrived with what the application wrote, by its own log and the pattern of its key.

use crate::pattern;
use crate::recorder::Life;

/// How many bytes an application can have written to one stream after the last line of its log, at most.
const LONGEST_PIECE: u64 = 1 << 17;

/// How much of a stream must have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything that the application wrote.
    Whole,
    /// Everything that a kept process wrote whose link was lost. Lines that ssh wrote about the loss can stand between
    /// its bytes of stderr.
    WholeWithSsh,
    /// The first bytes, however few: the rest was lost with the link. Text that ssh wrote about the loss may follow on
    /// stderr.
    Beginning,
}

/// Compares stdout and stderr as they arrived. Returns how many bytes are right.
pub fn check_streams(key: u64, life: &Life, extent: Extent, streams: &[Vec<u8>; 2]) -> Result<u64, String> {
    let mut right = 0;
    for (stream, (name, bytes)) in ["stdout", "stderr"].into_iter().zip(streams).enumerate() {
        let bytes = match extent {
            Extent::WholeWithSsh if stream == 1 => &without_ssh(key + 1, bytes),
            _ => bytes,
        };
        let good = pattern::count_right(key + stream as u64, 0, bytes) as u64;
        let (least, most) = bounds(life, stream);
        let count = bytes.len() as u64;
        let is_right = match extent {
            Extent::Whole | Extent::WholeWithSsh => good == count && (least..=most).contains(&count),
            // What follows the right bytes is text of ssh about the loss, or nothing.
            Extent::Beginning if stream == 1 => good <= most && bytes[good as usize..].iter().all(is_text),
            Extent::Beginning => good == count && count <= most,
        };
        if !is_right {
            return Err(format!(
                "{name}: {count} bytes arrived, the first {good} are right; it wrote {least} to {most}"
            ));
        }
        right += good;
    }
    Ok(right)
}

/// How many bytes a line of ssh has, and how many such lines the output of one process has, at most.
const LONGEST_LINE: usize = 200;
const MOST_LINES: usize = 10;

/// Returns the bytes without lines of text that interrupt the pattern.
fn without_ssh(key: u64, bytes: &[u8]) -> Vec<u8> {
    let mut left = bytes.to_vec();
    for _ in 0..MOST_LINES {
        let good = pattern::count_right(key, 0, &left);
        let line = left[good..].iter().take(LONGEST_LINE).position(|&byte| byte == b'\n');
        match line {
            Some(length) if left[good..good + length].iter().all(is_text) => drop(left.drain(good..=good + length)),
            _ => break,
        }
    }
    left
}

fn is_text(byte: &u8) -> bool {
    byte.is_ascii_graphic() || b" \r\n".contains(byte)
}

/// Compares a log file, in which the pieces of both streams stand in the order in which they were written. Returns how
/// many bytes it has.
pub fn check_log_file(key: u64, life: &Life, content: &[u8]) -> Result<u64, String> {
    let mut expected = Vec::new();
    let mut before = [0; 2];
    for &after in &life.wrote {
        for stream in 0..2 {
            let count = after[stream] - before[stream];
            expected.extend(pattern::bytes(key + stream as u64, before[stream], count as usize));
        }
        before = after;
    }
    let good = content.iter().zip(&expected).take_while(|(byte, expected)| byte == expected).count();
    let (count, least) = (content.len(), expected.len());
    if good < least {
        return Err(format!("the log file has {count} bytes, the first {good} are right; it wrote at least {least}"));
    }
    match (life.end.is_none(), &content[least..]) {
        (_, []) => Ok(count as u64),
        (true, rest) if is_last_piece(key, before, rest) => Ok(count as u64),
        _ => Err(format!("the log file has {count} bytes; the {} after the first {least} are wrong", count - least)),
    }
}

/// Whether KILL can have ended the application when exactly these bytes of its last piece were in its log file: first
/// some of stdout, then some of stderr.
fn is_last_piece(key: u64, before: [u64; 2], rest: &[u8]) -> bool {
    let count_right = |stream: usize, bytes: &[u8]| pattern::count_right(key + stream as u64, before[stream], bytes);
    let of_stdout = count_right(0, rest);
    // The next bytes of both streams can be the same by chance.
    let is_split = |at: usize| count_right(1, &rest[at..]) == rest.len() - at;
    rest.len() as u64 <= 2 * LONGEST_PIECE && (of_stdout.saturating_sub(8)..=of_stdout).any(is_split)
}

/// Returns how many bytes the application wrote to a stream, at least and at most.
fn bounds(life: &Life, stream: usize) -> (u64, u64) {
    let wrote = life.wrote.last().map_or(0, |wrote| wrote[stream]);
    (wrote, if life.end.is_none() { wrote + LONGEST_PIECE } else { wrote })
}
