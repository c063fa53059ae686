//! Reads everything that a script on a host reports and writes. A script that ends before its last report has failed.

use crate::connect::call::{self, ScriptRun, SinkAction};
use crate::connect::pool::Pool;
use crate::model::error::{FileProblem, Result};
use crate::model::output::Head;
use crate::remote::report::{Piece, Report};

/// Runs a script until its report `last` arrives, and hands each piece before this report to `sink`. Blocks, at most
/// until the script's deadline.
///
/// # Errors
/// There was no session on the host; the deadline is over; a local error; the script ended, or `sink` stopped it,
/// before the report `last`.
pub(crate) fn until(
    last: &Report,
    pool: &Pool,
    script: &ScriptRun,
    sink: &mut dyn FnMut(Piece) -> SinkAction,
) -> Result<()> {
    let mut has_all = false;
    call::run(pool, script, &mut |piece| match piece {
        Piece::Report(report) if report == *last => {
            has_all = true;
            SinkAction::Drain
        }
        piece => sink(piece),
    })?;
    if has_all { Ok(()) } else { Err(script.target.closed()) }
}

/// Runs a script that writes the content of a file, and returns the first `most` bytes of it, or why the host cannot
/// read the file. Blocks, at most until the script's deadline.
///
/// # Errors
/// There was no session on the host; the deadline is over; a local error; the script ended before it had written
/// everything.
pub(crate) fn file(pool: &Pool, script: &ScriptRun, most: usize) -> Result<std::result::Result<Vec<u8>, FileProblem>> {
    let (mut content, mut problem) = (Head::of(most), None);
    let ended = until(&Report::Eof, pool, script, &mut |piece| match piece {
        Piece::Data(bytes) => {
            content.push(bytes);
            SinkAction::Continue
        }
        Piece::Report(Report::Problem(why)) => {
            problem = Some(why);
            SinkAction::Drain
        }
        _ => SinkAction::Continue,
    });
    match problem {
        Some(problem) => Ok(Err(problem)),
        None => ended.map(|()| Ok(content.into_bytes())),
    }
}
