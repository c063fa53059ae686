//! The readiness of a process, and what each input does to it. It stands beside the states of `state`: a process that
//! is not ready goes on running.
//!
//! | | running | sign | closed | timed out | end |
//! |---|---|---|---|---|---|
//! | Unasked | · | · | · | · | · |
//! | Starting | Waiting | SignFirst | ClosedFirst | · | Over |
//! | SignFirst | Ready: announce | · | · | · | Over |
//! | ClosedFirst | Closed: announce | · | · | · | Over |
//! | Waiting | · | Ready: announce | Closed: announce | Late: announce | Over |
//! | Ready | · | · | · | · | · |
//! | Closed | · | · | · | · | · |
//! | Late | · | · | · | · | · |
//! | Over | · | · | · | · | · |
//!
//! A cell has the next readiness, and whether it is announced. `·` means that nothing changes.
//!
//! *Unasked*: the request does not say how the process shows that it is ready. *Starting*: the program is not known to
//! run. *Running*: the program was executed, and `Started` is announced. *Sign*: the application has shown that it is
//! ready. *Closed*: it has closed its descriptor for that. Both can come before the report that the program runs,
//! because the reports have no order; *SignFirst* and *ClosedFirst* hold them back. *Late*: the process was not ready
//! in time. *End*: the process has settled. Over is a process that has
//! settled before it was ready. One that was ready stays Ready.
//!
//! So at most one event of readiness is announced, behind `Started` and before the end of the process.

/// The readiness of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    Unasked,
    Starting,
    SignFirst,
    ClosedFirst,
    Waiting,
    Ready,
    Closed,
    Late,
    Over,
}

/// What can happen to the readiness of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// The program was executed, and that is announced.
    Running,
    /// The application has shown that it is ready.
    Sign,
    /// The application has closed the descriptor on which it would have shown that it is ready.
    Closed,
    /// The ready timeout is over.
    TimedOut,
    /// The process has settled.
    End,
}

/// Returns the cell of the table: the next readiness, and whether it is announced. Only this function decides on it.
pub(crate) fn decide(readiness: Readiness, input: Input) -> (Readiness, bool) {
    use Input as I;
    use Readiness as R;
    match (readiness, input) {
        (R::Starting, I::Running) => (R::Waiting, false),
        (R::Starting, I::Sign) => (R::SignFirst, false),
        (R::Starting, I::Closed) => (R::ClosedFirst, false),
        (R::Starting, I::TimedOut) => (R::Starting, false),

        (R::SignFirst, I::Running) => (R::Ready, true),
        (R::SignFirst, I::Sign | I::Closed | I::TimedOut) => (R::SignFirst, false),

        (R::ClosedFirst, I::Running) => (R::Closed, true),
        (R::ClosedFirst, I::Sign | I::Closed | I::TimedOut) => (R::ClosedFirst, false),

        (R::Waiting, I::Running) => (R::Waiting, false),
        (R::Waiting, I::Sign) => (R::Ready, true),
        (R::Waiting, I::Closed) => (R::Closed, true),
        (R::Waiting, I::TimedOut) => (R::Late, true),

        (R::Starting | R::SignFirst | R::ClosedFirst | R::Waiting, I::End) => (R::Over, false),

        (R::Unasked | R::Ready | R::Closed | R::Late | R::Over, _) => (readiness, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Readiness; 9] = [
        Readiness::Unasked,
        Readiness::Starting,
        Readiness::SignFirst,
        Readiness::ClosedFirst,
        Readiness::Waiting,
        Readiness::Ready,
        Readiness::Closed,
        Readiness::Late,
        Readiness::Over,
    ];

    const INPUTS: [Input; 5] = [Input::Running, Input::Sign, Input::Closed, Input::TimedOut, Input::End];

    fn cell(readiness: Readiness, input: Input) -> String {
        match decide(readiness, input) {
            (next, false) if next == readiness => "·".to_owned(),
            (next, false) => format!("{next:?}"),
            (next, true) => format!("{next:?}: announce"),
        }
    }

    #[test]
    fn the_table_in_the_docs_is_what_is_decided() {
        let rows: Vec<&str> =
            include_str!("readiness.rs").lines().filter(|line| line.starts_with("//! | ")).skip(1).collect();
        assert_eq!(rows.len(), ALL.len());
        for (readiness, row) in ALL.into_iter().zip(rows) {
            let cells = INPUTS.map(|input| cell(readiness, input)).join(" | ");
            assert_eq!(row, format!("//! | {readiness:?} | {cells} |"));
        }
    }

    /// Runs all sequences of inputs of this length.
    fn announcements(readiness: Readiness, has_run: bool, has_ended: bool, announced: u32, left: u32) {
        assert!(announced <= 1);
        for input in INPUTS.iter().copied().filter(|_| left > 0) {
            let (next, announces) = decide(readiness, input);
            let (has_run, has_ended) = (has_run || input == Input::Running, has_ended || input == Input::End);
            assert!(!announces || has_run && !has_ended, "{readiness:?} {input:?}");
            announcements(next, has_run, has_ended, announced + u32::from(announces), left - 1);
        }
    }

    #[test]
    fn at_most_one_event_is_announced_behind_started_and_before_the_end() {
        for begin in [Readiness::Unasked, Readiness::Starting] {
            announcements(begin, false, false, 0, 7);
        }
    }
}
