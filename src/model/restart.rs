//! When a process that has ended is started again.

use std::fmt;
use std::time::Duration;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::model::check::duration;
use crate::model::error::{Error, Result};
use crate::model::json::Object;

/// Which ends of a process are followed by a restart.
///
/// An end that a call of the manager asked for (a kill, a shutdown, a detach) is never followed by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RestartWhen {
    /// None.
    #[default]
    Never,
    /// A start that failed, and an exit whose reported code is not 0 or that has none: by a signal, for example.
    OnFailure,
    /// Every end.
    Always,
}

/// When the manager starts a process again that has ended by itself, and how often.
///
/// ```
/// use std::time::Duration;
/// use sshpm::{BootRequest, RestartPolicy};
/// let policy = RestartPolicy::on_failure().limit(3, Duration::from_secs(600));
/// let request = BootRequest::new("daq-host-1", ["readout"]).restart(policy);
/// request.check()?;
/// # Ok::<(), sshpm::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RestartPolicy {
    pub(crate) when: RestartWhen,
    pub(crate) limit: u32,
    pub(crate) within: Duration,
    pub(crate) first_pause: Duration,
    pub(crate) longest_pause: Duration,
}

impl Default for RestartPolicy {
    fn default() -> RestartPolicy {
        RestartPolicy::new(RestartWhen::Never)
    }
}

impl RestartPolicy {
    /// Returns a policy that restarts after these ends.
    pub fn new(when: RestartWhen) -> RestartPolicy {
        RestartPolicy {
            when,
            limit: 5,
            within: Duration::from_secs(30 * 60),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(30),
        }
    }

    /// Returns the default policy: the process is never restarted.
    pub fn never() -> RestartPolicy {
        RestartPolicy::new(RestartWhen::Never)
    }

    /// Returns a policy that restarts after each failure.
    pub fn on_failure() -> RestartPolicy {
        RestartPolicy::new(RestartWhen::OnFailure)
    }

    /// Returns a policy that restarts after each end.
    pub fn always() -> RestartPolicy {
        RestartPolicy::new(RestartWhen::Always)
    }

    /// Sets how many restarts there are at most within this time: after so many, the last end stands. Default: 5 within
    /// 30 minutes.
    pub fn limit(mut self, restarts: u32, within: Duration) -> RestartPolicy {
        (self.limit, self.within) = (restarts, within);
        self
    }

    /// Sets the pause before the first restart, and the longest pause. Each restart within the time of the
    /// [`limit`](RestartPolicy::limit) doubles the pause. Default: 1 s and 30 s.
    pub fn pauses(mut self, first: Duration, longest: Duration) -> RestartPolicy {
        (self.first_pause, self.longest_pause) = (first, longest);
        self
    }

    /// Returns the pause before this restart of those within the time of the limit, counted from 1.
    pub(crate) fn pause(&self, attempt: u32) -> Duration {
        let factor = 1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first_pause.saturating_mul(factor).min(self.longest_pause)
    }

    /// Checks the values.
    ///
    /// # Errors
    /// [`Error::Invalid`], with the field and the value.
    pub(crate) fn check(&self) -> Result<()> {
        if self.limit == 0 {
            return Err(Error::invalid("restart.limit", "0", "must be 1 or more"));
        }
        for (field, time) in [("restart.within", self.within), ("restart.first_pause", self.first_pause)] {
            if time.is_zero() {
                return Err(Error::invalid(field, "0", "must be longer than 0 s"));
            }
        }
        if self.longest_pause < self.first_pause {
            let value = self.longest_pause.as_secs_f64().to_string();
            return Err(Error::invalid("restart.longest_pause", value, "must not be shorter than the first pause"));
        }
        Ok(())
    }
}

/// The JSON of a policy: the name of what it restarts after, or an object.
pub(crate) struct JsonRestart(JsonPolicy);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonPolicy {
    when: RestartWhen,
    limit: Option<u32>,
    within: Option<f64>,
    first_pause: Option<f64>,
    longest_pause: Option<f64>,
}

impl<'de> Deserialize<'de> for JsonRestart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<JsonRestart, D::Error> {
        deserializer.deserialize_any(RestartVisitor).map(JsonRestart)
    }
}

/// Written by hand, because derived code cannot read what is either a name or an object.
struct RestartVisitor;

impl<'de> Visitor<'de> for RestartVisitor {
    type Value = JsonPolicy;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"a restart policy: "never", "on-failure", "always" or {"when": …}"#)
    }

    fn visit_str<E: de::Error>(self, name: &str) -> std::result::Result<JsonPolicy, E> {
        let when = RestartWhen::deserialize(StrDeserializer::<E>::new(name))
            .map_err(|_| E::invalid_value(Unexpected::Str(name), &self))?;
        Ok(JsonPolicy { when, limit: None, within: None, first_pause: None, longest_pause: None })
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> std::result::Result<JsonPolicy, M::Error> {
        Object::deserialize(MapAccessDeserializer::new(map)).map(|Object(policy)| policy)
    }
}

impl TryFrom<JsonRestart> for RestartPolicy {
    type Error = Error;

    fn try_from(JsonRestart(json): JsonRestart) -> Result<RestartPolicy> {
        let mut policy = RestartPolicy::new(json.when);
        policy.limit = json.limit.unwrap_or(policy.limit);
        for (field, seconds, time) in [
            ("restart.within", json.within, &mut policy.within),
            ("restart.first_pause", json.first_pause, &mut policy.first_pause),
            ("restart.longest_pause", json.longest_pause, &mut policy.longest_pause),
        ] {
            if let Some(seconds) = seconds {
                *time = duration(field, seconds)?;
            }
        }
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_the_longest() {
        let pauses = |policy: &RestartPolicy| [1, 2, 3, 4, 5, 6, 7, 33, u32::MAX].map(|at| policy.pause(at).as_secs());
        assert_eq!(pauses(&RestartPolicy::always()), [1, 2, 4, 8, 16, 30, 30, 30, 30]);
        let second = Duration::from_secs(1);
        assert_eq!(pauses(&RestartPolicy::always().pauses(second, second)), [1; 9]);
        let policy = RestartPolicy::always().pauses(Duration::MAX, Duration::MAX);
        assert_eq!(policy.pause(9), Duration::MAX);
    }

    #[test]
    fn every_refusal_names_its_field() {
        let (none, second) = (Duration::ZERO, Duration::from_secs(1));
        for (policy, name) in [
            (RestartPolicy::never().limit(0, second), "restart.limit"),
            (RestartPolicy::never().limit(1, none), "restart.within"),
            (RestartPolicy::never().pauses(none, second), "restart.first_pause"),
            (RestartPolicy::never().pauses(2 * second, second), "restart.longest_pause"),
        ] {
            match policy.check() {
                Err(Error::Invalid { field, .. }) => assert_eq!(field, name),
                other => panic!("{name}: {other:?}"),
            }
        }
        RestartPolicy::on_failure().check().unwrap();
    }
}
