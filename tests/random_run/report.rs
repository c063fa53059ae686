//! What a manager reports about a start, and the text in which its process sends this to the suite.

/// The outcome of a start, as an event, a callback or a call reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Exited(Exit),
    /// The reason, as one word.
    Failed(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exit {
    /// The reported code.
    pub code: Option<i32>,
    /// The application's own code.
    pub application: Option<i32>,
    pub signal: Option<i32>,
    pub unknown: bool,
    pub lost: bool,
    pub source: String,
}

/// One report of a manager about a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    Started {
        pid: i32,
    },
    Lost,
    Restored,
    NotRestored(String),
    /// The event of the end. `lived`: the application still lived at that moment.
    Ended {
        outcome: Outcome,
        lived: bool,
    },
    /// An exit callback was called.
    Called(Outcome),
    /// A call returned how the process ended. `call` is the name of the call.
    Answered {
        call: String,
        outcome: Outcome,
    },
}

impl Outcome {
    /// Returns whether the outcome says that nobody knows how the process ended.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Outcome::Exited(Exit { unknown: true, .. }))
    }

    pub fn text(&self) -> String {
        let number = |value: Option<i32>| value.map_or("-".to_owned(), |value| value.to_string());
        match self {
            Outcome::Failed(reason) => format!("failed {reason}"),
            Outcome::Exited(Exit { code, application, signal, unknown, lost, source }) => {
                let [code, application, signal] = [*code, *application, *signal].map(number);
                format!("exited {code} {application} {signal} {unknown} {lost} {source}")
            }
        }
    }

    pub fn parse(text: &str) -> Option<Outcome> {
        let words: Vec<&str> = text.split(' ').collect();
        let number = |text: &str| text.parse().ok();
        match *words.as_slice() {
            ["failed", reason] => Some(Outcome::Failed(reason.to_owned())),
            ["exited", code, application, signal, unknown, lost, source] => Some(Outcome::Exited(Exit {
                code: number(code),
                application: number(application),
                signal: number(signal),
                unknown: unknown == "true",
                lost: lost == "true",
                source: source.to_owned(),
            })),
            _ => None,
        }
    }
}

impl Report {
    /// Parses what a line of the manager's process reports. Sets `lived` to false: the caller has to find out whether
    /// an ended application still lives.
    pub fn parse(text: &str) -> Option<Report> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        match word {
            "started" => Some(Report::Started { pid: rest.parse().ok()? }),
            "lost" => Some(Report::Lost),
            "restored" => Some(Report::Restored),
            "not-restored" => Some(Report::NotRestored(rest.to_owned())),
            "called" => Outcome::parse(rest).map(Report::Called),
            "answered" => {
                let (call, outcome) = rest.split_once(' ')?;
                Some(Report::Answered { call: call.to_owned(), outcome: Outcome::parse(outcome)? })
            }
            _ => Outcome::parse(text).map(|outcome| Report::Ended { outcome, lived: false }),
        }
    }

    /// Returns the outcome, if this is the event of an end.
    pub fn end(&self) -> Option<&Outcome> {
        match self {
            Report::Ended { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    /// Returns the outcome, if this event, callback or call has one.
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            Report::Ended { outcome, .. } | Report::Called(outcome) | Report::Answered { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    /// Returns whether the manager has given the process up, because another one controls it. That is its last report.
    pub fn is_taken_over(&self) -> bool {
        matches!(self, Report::NotRestored(why) if why.contains("is controlled by another live manager"))
    }

    pub fn is_start(&self) -> bool {
        matches!(self, Report::Started { .. })
    }
}
