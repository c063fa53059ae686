//! Decides when the stages of a boot are complete, and when they have failed.

use std::collections::HashMap;

use crate::model::role::Role;

/// What a boot can expect of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It may still become ready.
    Pending,
    /// It is ready, or runs where it was not asked for that.
    Good,
    /// It was not ready in time, has failed or has ended.
    Broken,
}

/// A process whose stage has begun.
pub(super) struct Member<'a> {
    pub role: &'a Role,
    pub critical: bool,
    pub standing: Standing,
}

/// What is to be said about all stages that have begun.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The next stage must wait for a process that is pending.
    pub waits: bool,
    /// The index of the first member that has broken its stage.
    pub failed: Option<usize>,
}

/// Judges the stages that have begun. A role with a minimum needs so many good processes; of all other roles, each
/// critical process must be good.
pub(super) fn judge(members: &[Member], minimum: &HashMap<Role, usize>) -> Verdict {
    let mut verdict = Verdict { waits: false, failed: None };
    for (at, member) in members.iter().enumerate() {
        let needed = match minimum.get(member.role) {
            Some(minimum) => is_needed(member, members, *minimum),
            None => member.critical,
        };
        match member.standing {
            Standing::Pending if needed => verdict.waits = true,
            Standing::Broken if needed => verdict.failed = verdict.failed.or(Some(at)),
            Standing::Pending | Standing::Good | Standing::Broken => {}
        }
    }
    verdict
}

/// Returns whether the role of the member needs it to be good. A pending member is needed while too few are good, but
/// can become enough; a broken one would have been needed when they cannot.
fn is_needed(member: &Member, members: &[Member], minimum: usize) -> bool {
    let count =
        |standing| members.iter().filter(|other| other.role == member.role && other.standing == standing).count();
    let (good, pending) = (count(Standing::Good), count(Standing::Pending));
    let is_possible = good + pending >= minimum;
    match member.standing {
        Standing::Pending => good < minimum && is_possible,
        Standing::Good => false,
        Standing::Broken => !is_possible,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Standing::{Broken, Good, Pending};

    const ROLE: Role = Role::Application;

    fn verdict(members: &[(bool, Standing)], minimum: Option<usize>) -> (bool, Option<usize>) {
        let member =
            |(critical, standing): &(bool, Standing)| Member { role: &ROLE, critical: *critical, standing: *standing };
        let members: Vec<_> = members.iter().map(member).collect();
        let Verdict { waits, failed } = judge(&members, &minimum.map(|minimum| (ROLE, minimum)).into_iter().collect());
        (waits, failed)
    }

    #[test]
    fn a_stage_waits_for_its_critical_processes_and_fails_with_them() {
        for (members, expected) in [
            (&[][..], (false, None)),
            (&[(true, Good), (true, Good)], (false, None)),
            (&[(true, Good), (true, Pending)], (true, None)),
            (&[(true, Good), (false, Pending)], (false, None)),
            (&[(true, Good), (false, Broken)], (false, None)),
            (&[(false, Broken), (true, Broken), (true, Broken)], (false, Some(1))),
            (&[(true, Pending), (true, Broken)], (true, Some(1))),
        ] {
            assert_eq!(verdict(members, None), expected);
        }
    }

    #[test]
    fn a_minimum_is_enough_whatever_is_critical() {
        let of = |standings: &[Standing]| standings.iter().map(|standing| (true, *standing)).collect::<Vec<_>>();
        for (standings, minimum, expected) in [
            (&[Good, Pending, Pending][..], 1, (false, None)),
            (&[Good, Pending, Broken], 2, (true, None)),
            (&[Good, Good, Broken], 2, (false, None)),
            (&[Good, Broken, Broken], 2, (false, Some(1))),
            // The role fails as soon as the minimum cannot be reached, and nobody waits for the rest of it.
            (&[Broken, Pending, Pending], 3, (false, Some(0))),
            (&[Broken, Broken], 0, (false, None)),
            (&[Pending, Pending], 0, (false, None)),
        ] {
            assert_eq!(verdict(&of(standings), Some(minimum)), expected, "{standings:?} {minimum}");
        }
    }

    #[test]
    fn a_minimum_concerns_its_own_role() {
        let other = Role::Unknown;
        let member = |role, standing| Member { role, critical: true, standing };
        let members = [member(&ROLE, Good), member(&ROLE, Broken), member(&other, Broken)];
        assert_eq!(judge(&members, &HashMap::from([(ROLE, 1)])), Verdict { waits: false, failed: Some(2) });
    }
}
