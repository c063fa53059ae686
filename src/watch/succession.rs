//! What follows the end of a process under the same uuid, and what each input does to that. It stands beside the states
//! of `state`: a life ends as it does there, and the next one is a process of its own.
//!
//! | | stop | claim | give up | last end | end | due | replace |
//! |---|---|---|---|---|---|---|---|
//! | Open | Closed | Claimed | · | Closed | Pausing | · | · |
//! | Closed | · | Claimed | · | · | · | · | · |
//! | Claimed | Closed | · | Closed | · | · | · | Succeeded |
//! | Pausing | Closed | Claimed | · | Closed | · | Succeeded | · |
//! | Succeeded | · | · | · | · | · | · | · |
//!
//! A cell has what comes next. `·` means that nothing changes.
//!
//! *Open*: when the process ends, the restart policy of its request decides. *Closed*: nothing follows. *Claimed*: a
//! call restarts the process. *Pausing*: the process has ended, and its watcher waits until the restart is due.
//! *Succeeded*: the next life is in the table. Callers see a settled process that is Claimed or Pausing as `Restarting`.
//!
//! *Stop*: a call asks for the end, drops the end, or lets go of the process. *Claim*: a call begins a restart. *Give
//! up*: that call ends without one. *Last end* and *end*: the process settles, and by its policy it is not restarted, or
//! is; a restart that this machine gives no thread for may be the last one, too. *Due*: the pause is over. *Replace*: the call that restarts the process starts the next life.
//!
//! So of a stop and a claim, the later one decides. Nothing follows a stop but what a later claim starts.

/// What follows the end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Succession {
    Open,
    Closed,
    Claimed,
    Pausing,
    Succeeded,
}

/// What can happen to the succession of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// A call asks for the end, drops the end, or lets go of the process.
    Stop,
    /// A call begins to restart the process.
    Claim,
    /// That call ends, and has not started the process.
    GiveUp,
    /// The process has settled, and its policy does not restart it.
    LastEnd,
    /// The process has settled, and its policy restarts it.
    End,
    /// The pause of the policy is over.
    Due,
    /// The call that restarts the process starts the next life.
    Replace,
}

/// Returns the cell of the table. Only this function decides on what follows.
pub(crate) fn decide(succession: Succession, input: Input) -> Succession {
    use Input as I;
    use Succession as S;
    match (succession, input) {
        (S::Open, I::Stop | I::LastEnd) => S::Closed,
        (S::Open, I::Claim) => S::Claimed,
        (S::Open, I::End) => S::Pausing,
        (S::Open, I::GiveUp | I::Due | I::Replace) => S::Open,

        (S::Closed, I::Claim) => S::Claimed,
        (S::Closed, I::Stop | I::GiveUp | I::LastEnd | I::End | I::Due | I::Replace) => S::Closed,

        (S::Claimed, I::Stop | I::GiveUp) => S::Closed,
        (S::Claimed, I::Replace) => S::Succeeded,
        (S::Claimed, I::Claim | I::LastEnd | I::End | I::Due) => S::Claimed,

        (S::Pausing, I::Stop | I::LastEnd) => S::Closed,
        (S::Pausing, I::Claim) => S::Claimed,
        (S::Pausing, I::Due) => S::Succeeded,
        (S::Pausing, I::GiveUp | I::End | I::Replace) => S::Pausing,

        (S::Succeeded, _) => S::Succeeded,
    }
}

impl Succession {
    pub(crate) const ALL: [Succession; 5] =
        [Succession::Open, Succession::Closed, Succession::Claimed, Succession::Pausing, Succession::Succeeded];

    /// Returns whether the uuid of a settled process is not free, because its next life is to come.
    pub(crate) fn holds_uuid(self) -> bool {
        matches!(self, Succession::Claimed | Succession::Pausing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUTS: [Input; 7] =
        [Input::Stop, Input::Claim, Input::GiveUp, Input::LastEnd, Input::End, Input::Due, Input::Replace];

    fn cell(succession: Succession, input: Input) -> String {
        let next = decide(succession, input);
        if next == succession { "·".to_owned() } else { format!("{next:?}") }
    }

    #[test]
    fn the_table_in_the_docs_is_what_is_decided() {
        let rows: Vec<&str> =
            include_str!("succession.rs").lines().filter(|line| line.starts_with("//! | ")).skip(1).collect();
        assert_eq!(rows.len(), Succession::ALL.len());
        for (succession, row) in Succession::ALL.into_iter().zip(rows) {
            let cells = INPUTS.map(|input| cell(succession, input)).join(" | ");
            assert_eq!(row, format!("//! | {succession:?} | {cells} |"));
        }
    }

    #[test]
    fn a_number_of_a_succession_is_its_place() {
        for (place, succession) in Succession::ALL.into_iter().enumerate() {
            assert_eq!(succession as usize, place);
        }
    }

    /// Runs all sequences of inputs of this length.
    fn lives(succession: Succession, is_stopped: bool, started: u32, left: u32) {
        assert!(started <= 1);
        for input in INPUTS.iter().copied().filter(|_| left > 0) {
            let next = decide(succession, input);
            let starts = succession != Succession::Succeeded && next == Succession::Succeeded;
            assert!(!(starts && is_stopped), "{succession:?} {input:?}");
            let is_stopped = match input {
                Input::Stop => true,
                Input::Claim => false,
                _ => is_stopped,
            };
            lives(next, is_stopped, started + u32::from(starts), left - 1);
        }
    }

    #[test]
    fn a_life_has_at_most_one_successor_and_none_after_a_stop_without_a_later_claim() {
        lives(Succession::Open, false, 0, 6);
    }
}
