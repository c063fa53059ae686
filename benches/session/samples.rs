//! The samples: every value of every repetition, by name.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Samples {
    values: BTreeMap<String, Vec<f64>>,
    /// Says what could not be measured, and why. Each note appears once.
    pub notes: Vec<String>,
}

/// Returns a time in milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

impl Samples {
    pub fn add(&mut self, name: &str, value: f64) {
        self.values.entry(name.to_owned()).or_default().push(value);
    }

    pub fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    pub fn median(&self, name: &str) -> Option<f64> {
        self.at(name, 0.5)
    }

    pub fn least(&self, name: &str) -> Option<f64> {
        self.at(name, 0.0)
    }

    pub fn most(&self, name: &str) -> Option<f64> {
        self.at(name, 1.0)
    }

    pub fn sum(&self, name: &str) -> f64 {
        self.values.get(name).map_or(0.0, |values| values.iter().sum())
    }

    pub fn last(&self, name: &str) -> Option<f64> {
        self.values.get(name)?.last().copied()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Returns the value below which this part of all values is: 0 is the least, 0.5 the median, 1 the greatest.
    /// Interpolates between two values.
    fn at(&self, name: &str, part: f64) -> Option<f64> {
        let mut sorted = self.values.get(name)?.clone();
        sorted.sort_by(f64::total_cmp);
        let place = part * (sorted.len().checked_sub(1)? as f64);
        let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
        Some(low + (high - low) * place.fract())
    }

    /// Returns the samples as JSON for another process, which reads them with [`Samples::from_json`].
    pub fn to_json(&self) -> Result<String, String> {
        serde_json::to_string(self).map_err(|error| format!("cannot write the samples of a session: {error}"))
    }

    pub fn from_json(text: &str) -> Result<Samples, String> {
        serde_json::from_str(text).map_err(|error| format!("cannot read the samples of a session: {error}"))
    }

    /// Adds samples under the names that `rename` makes of theirs.
    pub fn merge(&mut self, others: Samples, rename: impl Fn(&str) -> String) {
        for (name, values) in others.values {
            self.values.entry(rename(&name)).or_default().extend(values);
        }
        for note in others.notes {
            self.note(note);
        }
    }
}

/// Returns the name of a sample that was measured without ssh clients: `boot_no_client_s`.
pub fn without_clients(name: &str) -> String {
    const UNITS: [&str; 4] = ["_kib_per_process", "_per_process", "_ms", "_s"];
    let unit = UNITS.into_iter().find(|unit| name.ends_with(unit)).unwrap_or_default();
    format!("{}_no_client{unit}", &name[..name.len() - unit.len()])
}

/// Returns a function that puts `prefix` before a name, for [`Samples::merge`].
pub fn with_prefix(prefix: impl Into<String>) -> impl Fn(&str) -> String {
    let prefix = prefix.into();
    move |name| format!("{prefix}{name}")
}
