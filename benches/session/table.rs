//! The table: each number of sshpm beside the floor of the same run, their ratio, and the target.

use crate::args::Args;
use crate::rig::Rig;
use crate::rows::rows;
use crate::samples::Samples;

/// The target of a row.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    None,
    Ratio(f64),
    RatioBelow(f64),
    Value(f64),
}

impl Target {
    /// Returns the target if it applies. Some targets are for sessions of a certain size.
    pub fn only_if(self, applies: bool) -> Target {
        if applies { self } else { Target::None }
    }
}

/// One row. It names its samples.
pub struct Row {
    what: String,
    ours: &'static str,
    unit: &'static str,
    /// The floor or the tool: its label, and the name of its sample.
    other: Option<(String, &'static str)>,
    target: Target,
}

impl Row {
    pub fn new(what: impl Into<String>, ours: &'static str, unit: &'static str) -> Row {
        Row { what: what.into(), ours, unit, other: None, target: Target::None }
    }

    pub fn beside(mut self, what: impl Into<String>, sample: &'static str) -> Row {
        self.other = Some((what.into(), sample));
        self
    }

    pub fn target(mut self, target: Target) -> Row {
        self.target = target;
        self
    }

    fn print(&self, samples: &Samples) -> String {
        let other = match &self.other {
            None => "–".to_owned(),
            Some((what, sample)) => format!("{what}: {}", value(samples, sample, self.unit)),
        };
        let ours = samples.median(self.ours);
        let ratio = self.other.as_ref().and_then(|(_, sample)| Some(ours? / samples.median(sample)?));
        let (target, reached) = match self.target {
            Target::None => ("–".to_owned(), None),
            Target::Ratio(most) => (format!("≤ {most} ×"), ratio.map(|ratio| ratio <= most)),
            Target::RatioBelow(bound) => (format!("< {bound} ×"), ratio.map(|ratio| ratio < bound)),
            Target::Value(most) => {
                (format!("≤ {most} {}", self.unit).trim_end().to_owned(), ours.map(|ours| ours <= most))
            }
        };
        let reached = match reached {
            None => "",
            Some(true) => ": reached",
            Some(false) => ": MISSED",
        };
        let ratio = ratio.filter(|ratio| ratio.is_finite()).map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
        format!("| {} | {} | {other} | {ratio} | {target}{reached} |", self.what, value(samples, self.ours, self.unit))
    }
}

/// Returns the median, with the least and the greatest value in parentheses if they differ.
fn value(samples: &Samples, name: &str, unit: &str) -> String {
    let (Some(median), Some(least), Some(most)) = (samples.median(name), samples.least(name), samples.most(name))
    else {
        return "not measured".to_owned();
    };
    let [median, least, most] = [median, least, most].map(number);
    let range = if least == most { String::new() } else { format!(" ({least} – {most})") };
    format!("{median}{range} {unit}").trim_end().to_owned()
}

/// Formats a number with three significant digits, and an integer in full.
pub fn number(value: f64) -> String {
    match value.abs() {
        _ if value.fract() == 0.0 => format!("{value}"),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Returns the samples as a table in Markdown.
pub fn print(args: &Args, rig: &Rig, samples: &Samples) -> String {
    let mut text = "| what | sshpm | beside it | ratio | target |\n|---|---|---|---|---|\n".to_owned();
    for row in rows(args, rig, samples) {
        text += &row.print(samples);
        text.push('\n');
    }
    for note in &samples.notes {
        text += &format!("\nnot measured: {note}\n");
    }
    text
}
