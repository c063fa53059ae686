//! Decides whether a restart policy starts a process again that has ended.

use std::time::{Duration, Instant};

use crate::model::error::Result;
use crate::model::exit_status::ExitStatus;
use crate::model::restart::{RestartPolicy, RestartWhen};

/// When a policy has restarted a uuid, since a call started it. Only what counts for the limit is kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Restarts(Vec<Instant>);

/// What a policy says about the end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// This end is not followed by a restart.
    Stands,
    /// The process is restarted after a pause, for the n-th time within the time of the limit.
    Restart { attempt: u32, after: Duration },
    /// The process would be restarted, but has been restarted too often.
    LimitReached,
}

impl Restarts {
    /// Returns what the policy says about an end at this time.
    pub(crate) fn judge(&self, policy: &RestartPolicy, outcome: &Result<ExitStatus>, now: Instant) -> Verdict {
        let counts = match policy.when {
            RestartWhen::Never => false,
            RestartWhen::OnFailure => outcome.as_ref().map_or(true, |status| status.code() != Some(0)),
            RestartWhen::Always => true,
        };
        if !counts {
            return Verdict::Stands;
        }
        let restarts = u32::try_from(self.within(policy, now).count()).unwrap_or(u32::MAX);
        if restarts >= policy.limit {
            return Verdict::LimitReached;
        }
        Verdict::Restart { attempt: restarts + 1, after: policy.pause(restarts + 1) }
    }

    /// Returns these restarts and one more, at this time.
    pub(crate) fn and_one_at(&self, policy: &RestartPolicy, now: Instant) -> Restarts {
        Restarts(self.within(policy, now).chain([now]).collect())
    }

    fn within<'a>(&'a self, policy: &RestartPolicy, now: Instant) -> impl Iterator<Item = Instant> + 'a {
        let within = policy.within;
        self.0.iter().copied().filter(move |at| now.saturating_duration_since(*at) < within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::Error;
    use crate::model::exit_status::{ApplicationEnd, ClientEnd, ExitSource};

    const SECOND: Duration = Duration::from_secs(1);

    fn exit(code: i32) -> Result<ExitStatus> {
        let end = ApplicationEnd { code, signal: None, core_dumped: false, left_over: false, at: None };
        Ok(ExitStatus::new(ExitSource::RemoteMonitoring, ClientEnd::Seen(0), Some(end), false, "p".into()))
    }

    fn unknown() -> Result<ExitStatus> {
        Ok(ExitStatus::new(ExitSource::ClientMonitoring, ClientEnd::Unseen, None, true, "p".into()))
    }

    #[test]
    fn a_policy_restarts_after_the_ends_that_it_names() {
        let now = Instant::now();
        for (when, restarts) in [
            (RestartWhen::Never, [false, false, false, false]),
            (RestartWhen::OnFailure, [false, true, true, true]),
            (RestartWhen::Always, [true, true, true, true]),
        ] {
            let policy = RestartPolicy::new(when);
            for (outcome, restarts) in [exit(0), exit(1), unknown(), Err(Error::ShutDown)].iter().zip(restarts) {
                let verdict = Restarts::default().judge(&policy, outcome, now);
                let expected = Verdict::Restart { attempt: 1, after: SECOND };
                assert_eq!(verdict, if restarts { expected } else { Verdict::Stands }, "{when:?} {outcome:?}");
            }
        }
    }

    #[test]
    fn the_limit_counts_the_restarts_within_its_time() {
        let policy = RestartPolicy::always().limit(2, 10 * SECOND);
        let begin = Instant::now();
        let judge = |restarts: &Restarts, after| restarts.judge(&policy, &exit(0), begin + after * SECOND);
        let once = Restarts::default().and_one_at(&policy, begin);
        assert_eq!(judge(&once, 1), Verdict::Restart { attempt: 2, after: 2 * SECOND });
        let twice = once.and_one_at(&policy, begin + 4 * SECOND);
        assert_eq!(judge(&twice, 9), Verdict::LimitReached);
        assert_eq!(judge(&twice, 10), Verdict::Restart { attempt: 2, after: 2 * SECOND });
        assert_eq!(judge(&twice, 14), Verdict::Restart { attempt: 1, after: SECOND });
        let later = twice.and_one_at(&policy, begin + 12 * SECOND);
        assert_eq!(later.0.len(), 2, "what does not count any more is dropped");
    }
}
