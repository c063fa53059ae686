//! Reading all that a script has to say: a script that ends before its last report has not said all.

use crate::error::{FileProblem, Result};
use crate::output::Head;
use crate::remote::{self, Flow, Script};
use crate::report::{Piece, Report};
use crate::watcher::Shared;

/// Runs a script, and hands each piece to `sink`, until the script's last report has come, which `sink` does not get.
/// Blocks, at most until the script's deadline.
///
/// # Errors
/// Why there was no session; the deadline; a local error; the script ended, or `sink` stopped it, before its last
/// report.
pub(crate) fn until(
    last: &Report,
    shared: &Shared,
    script: &Script,
    sink: &mut dyn FnMut(Piece) -> Flow,
) -> Result<()> {
    let mut has_all = false;
    remote::run(shared, script, &mut |piece| match piece {
        Piece::Report(report) if report == *last => {
            has_all = true;
            Flow::Last
        }
        piece => sink(piece),
    })?;
    if has_all { Ok(()) } else { Err(remote::closed(&script.place)) }
}

/// Runs a script that writes a file's content, and returns the content, of which it keeps at most `most` bytes, or why
/// the host cannot read the file. Blocks, at most until the script's deadline.
///
/// # Errors
/// Why there was no session; the deadline; a local error; the script ended before it had written everything.
pub(crate) fn file(shared: &Shared, script: &Script, most: usize) -> Result<std::result::Result<Vec<u8>, FileProblem>> {
    let (mut content, mut problem) = (Head::of(most), None);
    let ended = until(&Report::Eof, shared, script, &mut |piece| match piece {
        Piece::Data(bytes) => {
            content.push(bytes);
            Flow::GoOn
        }
        Piece::Report(Report::Problem(why)) => {
            problem = Some(why);
            Flow::Last
        }
        _ => Flow::GoOn,
    });
    match problem {
        Some(problem) => Ok(Err(problem)),
        None => ended.map(|()| Ok(content.into_bytes())),
    }
}
