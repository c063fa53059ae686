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
//! *Succeeded*: the next life is in the table. Callers see a settled process that is Claimed or Pausing as
//! `Restarting`, and one that is Succeeded, too: whoever has found it a moment ago would else see it end.
//!
//! *Stop*: a call asks for the end, drops the end, or lets go of the process. *Claim*: a call begins a restart. *Give
//! up*: that call ends without one. *Last end* and *end*: the process settles, and by its policy it is not restarted,
//! or is; the policy is also over when this machine gives no thread for the last restart, or when the host may still
//! run the process. *Due*: the pause is over. *Replace*: the call that restarts the process starts the next life.
//!
//! So of a stop and a claim, the later one decides. Nothing follows a stop but what a later claim starts.

use std::sync::atomic::{AtomicU64, Ordering};

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

/// A restart by a call. A stop and a later claim make it void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim(u64);

/// Who starts the next life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heir {
    /// The restart policy, when its pause is over.
    Policy,
    /// The call with this claim.
    Call(Claim),
}

/// A succession that threads read and change without a lock, and the number of the claims so far, so that a call whose
/// claim is void does not take the claim of another call for its own.
#[derive(Debug, Default)]
pub(crate) struct AtomicSuccession(AtomicU64);

impl AtomicSuccession {
    const BITS: u32 = 8;

    fn split(value: u64) -> (u64, Succession) {
        (value >> Self::BITS, Succession::ALL[usize::from(value as u8)])
    }

    /// Returns what follows.
    pub(crate) fn get(&self) -> Succession {
        Self::split(self.0.load(Ordering::Acquire)).1
    }

    /// Takes an input of the table, if the claims so far are accepted. Returns what was to follow before, and what
    /// follows.
    fn advance(&self, input: Input, accepts: impl Fn(u64) -> bool) -> Option<(u64, Succession, Succession)> {
        let step = |value| {
            let (claims, before) = Self::split(value);
            let next = decide(before, input);
            let claims = claims + u64::from(input == Input::Claim && next != before);
            (claims, before, next)
        };
        let change = |value| {
            let (claims, _, next) = step(value);
            accepts(Self::split(value).0).then_some(claims << Self::BITS | next as u64)
        };
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, change).ok().map(step)
    }

    /// Takes an input of the table. Returns what was to follow before.
    pub(crate) fn take(&self, input: Input) -> Succession {
        self.advance(input, |_| true).map_or_else(|| self.get(), |(_, before, _)| before)
    }

    /// Begins a restart by a call. Returns what follows already, if another restart has begun.
    pub(crate) fn claim(&self) -> Result<Claim, Succession> {
        match self.advance(Input::Claim, |_| true) {
            Some((claims, before, next)) if before != next => Ok(Claim(claims)),
            _ => Err(self.get()),
        }
    }

    /// Ends a restart by a call that has not started the next life.
    pub(crate) fn give_up(&self, Claim(claim): Claim) {
        self.advance(Input::GiveUp, |claims| claims == claim);
    }

    /// Replaces the former life by the next one. Returns false if the table does not allow that.
    pub(crate) fn succeed(&self, by: Heir) -> bool {
        let advanced = match by {
            Heir::Policy => self.advance(Input::Due, |_| true),
            Heir::Call(Claim(claim)) => self.advance(Input::Replace, |claims| claims == claim),
        };
        matches!(advanced, Some((_, before, Succession::Succeeded)) if before != Succession::Succeeded)
    }
}

impl Succession {
    pub(crate) const ALL: [Succession; 5] =
        [Succession::Open, Succession::Closed, Succession::Claimed, Succession::Pausing, Succession::Succeeded];

    /// Returns whether a next life has begun or is to come.
    pub(crate) fn has_next(self) -> bool {
        self.holds_uuid() || self == Succession::Succeeded
    }

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
    fn a_claim_that_a_stop_made_void_does_nothing_to_a_later_one() {
        let succession = AtomicSuccession::default();
        let void = succession.claim().unwrap();
        assert_eq!(succession.claim(), Err(Succession::Claimed));
        succession.take(Input::Stop);
        let claim = succession.claim().unwrap();
        succession.give_up(void);
        assert!(!succession.succeed(Heir::Call(void)) && !succession.succeed(Heir::Policy));
        assert_eq!(succession.get(), Succession::Claimed);
        assert!(succession.succeed(Heir::Call(claim)) && !succession.succeed(Heir::Call(claim)));
        assert_eq!(succession.claim(), Err(Succession::Succeeded));
    }

    #[test]
    fn a_life_has_at_most_one_successor_and_none_after_a_stop_without_a_later_claim() {
        lives(Succession::Open, false, 0, 6);
    }
}
