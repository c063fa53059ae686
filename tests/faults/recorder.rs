//! What the application itself says of its life, and whether what the manager reported is true.
//!
//! The log is written by test-app's verb `record`, which knows nothing of wrappers and managers. An application that
//! KILL ends writes no last line: its log simply stops, and it is not there any more.

use std::fs;
use std::path::Path;

use crate::support::ProcessInfo;

/// One application, from its log's "start" on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    pub pid: i32,
    pub start_time: u64,
    /// What it wrote as its last line.
    pub end: Option<i32>,
    /// Every signal that it caught.
    pub signals: Vec<i32>,
    pub beats: usize,
    /// How many bytes it had written to stdout and stderr after each piece, if it speaks.
    pub wrote: Vec<[u64; 2]>,
}

impl Life {
    pub fn is_alive(&self) -> bool {
        let now = ProcessInfo::of(self.pid);
        now.is_some_and(|now| now.start_time == self.start_time && !now.is_zombie())
    }

    /// Its end and its output, in short.
    pub fn summary(&self) -> String {
        let Life { end, signals, wrote, .. } = self;
        format!("end {end:?}, signals {signals:?}, wrote {:?} in {} pieces", wrote.last(), wrote.len())
    }

    /// The code by which the application truly ended, once it is not there any more.
    pub fn code(&self) -> i32 {
        self.end.unwrap_or(128 + libc::SIGKILL)
    }
}

/// The lives in a log, in their order.
pub fn read(log: &Path) -> Vec<Life> {
    let text = fs::read_to_string(log).unwrap_or_default();
    // A line that is being written can be read in part.
    parse(text.rsplit_once('\n').map_or("", |(whole, _)| whole))
}

pub fn parse(text: &str) -> Vec<Life> {
    let mut lives: Vec<Life> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match (words.as_slice(), lives.last_mut()) {
            (["start", pid, start_time], _) => lives.push(Life {
                pid: pid.parse().expect("a pid"),
                start_time: start_time.parse().expect("a start time"),
                end: None,
                signals: Vec::new(),
                beats: 0,
                wrote: Vec::new(),
            }),
            (["wrote", stdout, stderr], Some(life)) => {
                life.wrote.push([stdout, stderr].map(|count| count.parse().expect("a number of bytes")));
            }
            (["beat", _], Some(life)) => life.beats += 1,
            (["signal", signal, _], Some(life)) => life.signals.push(signal.parse().expect("a signal")),
            (["end", code], Some(life)) => life.end = code.parse().ok(),
            _ => panic!("a log with the line {line:?}"),
        }
    }
    lives
}

/// What the manager reported of a process, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reported {
    Started {
        pid: i32,
    },
    Lost {
        reason: String,
    },
    /// Of one that is kept: it was taken over again, or adopted.
    Restored,
    NotRestored {
        reason: String,
    },
    Exited {
        code: Option<i32>,
        application: Option<i32>,
        signal: Option<i32>,
        unknown: bool,
        lived: bool,
        text: String,
    },
    Failed {
        text: String,
    },
}

impl Reported {
    /// Whether it says that the process runs. A manager that adopts a process says no more than that it is restored.
    pub fn is_start(&self) -> bool {
        matches!(self, Reported::Started { .. } | Reported::Restored)
    }

    /// Whether it says that another manager has the process.
    pub fn is_taken_over(&self) -> bool {
        matches!(self, Reported::NotRestored { reason } if reason.contains("is controlled by another live manager"))
    }

    pub fn is_end(&self) -> bool {
        matches!(self, Reported::Exited { .. } | Reported::Failed { .. })
    }
}

/// What was done to a process that bounds what anybody can know of its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Excuses {
    /// The application's parent was killed: the kernel gives the code to nobody else.
    pub wrapper_killed: bool,
    /// The host could not be reached for longer than the manager asks.
    pub unreachable: bool,
    /// There was no room on the host to keep word of its end, which is needed while the link is gone.
    pub starved: bool,
    /// The manager was killed: nobody is reported any more.
    pub manager_gone: bool,
    /// It had ended when the manager that was killed was gone: that one may have taken its end and not reported of it.
    pub ended_with_manager: bool,
    /// A part of it was killed in the first moments of its start: its program may have been executed and not have come
    /// to write.
    pub early: bool,
}

/// One process at the end of a step.
#[derive(Debug)]
pub struct Case<'a> {
    /// From the application's own log; `None`: its program did not come to run.
    pub life: Option<&'a Life>,
    pub alive: bool,
    pub reported: &'a [Reported],
    pub excuses: Excuses,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It runs, and nothing else was reported.
    Runs,
    /// It ended, which was reported once, with its true code.
    Exact,
    /// It ended, which was reported once and in time; its code is known to nobody: its parent was killed, or could not
    /// keep it while the link was gone.
    NoCode,
    /// It did not come to run, which was reported once.
    NotStarted,
    /// Its end is reported as unknown, and its host could not be reached.
    Unknown,
    Wrong(String),
}

fn wrong(text: impl Into<String>) -> Verdict {
    Verdict::Wrong(text.into())
}

/// Compares what was reported with what is true.
pub fn judge(case: &Case) -> Verdict {
    let Case { life, alive, reported, excuses } = *case;
    let ends: Vec<_> = reported.iter().filter(|reported| reported.is_end()).collect();
    if ends.len() > 1 {
        return wrong(format!("{} ends were reported", ends.len()));
    }
    let started =
        reported.iter().find_map(|reported| if let Reported::Started { pid } = reported { Some(*pid) } else { None });
    if reported.iter().filter(|reported| matches!(reported, Reported::Started { .. })).count() > 1 {
        return wrong("it was reported twice that it runs");
    }
    // Another manager that tried to adopt it may learn later that it did not get it.
    let is_last = |end: &Reported| reported.iter().rfind(|reported| !reported.is_taken_over()) == Some(end);
    if ends.first().is_some_and(|end| !is_last(end)) {
        return wrong("something was reported behind the end");
    }
    match (started, life) {
        (Some(_), None) if !excuses.early => return wrong("it was reported to run, and never ran"),
        (Some(pid), Some(life)) if pid != life.pid => return wrong(format!("it was reported as pid {pid}")),
        _ => {}
    }
    match (ends.first(), life, alive) {
        (None, Some(_), true) if excuses.manager_gone => wrong("it outlives its manager"),
        (None, _, false) if excuses.manager_gone => Verdict::Exact,
        (None, Some(_), true) if !reported.iter().any(Reported::is_start) => wrong("it runs, which was not reported"),
        (None, Some(_), true) => Verdict::Runs,
        (None, Some(_), false) => wrong("it ended, which was not reported"),
        (None, None, _) => wrong("nothing was reported of it"),
        (Some(_), _, true) => wrong("it was reported to have ended, and runs"),
        (Some(Reported::Failed { .. }), _, _) if started.is_some() => {
            wrong("its start failed after it was reported to run")
        }
        (Some(Reported::Failed { .. }), _, _) => Verdict::NotStarted,
        (Some(Reported::Exited { unknown: false, lived: true, .. }), _, _) => {
            wrong("its end was reported while it ran")
        }
        // A start that was cancelled ends without a code.
        (Some(Reported::Exited { application: None, code: None, .. }), None, _) => Verdict::NotStarted,
        (Some(Reported::Exited { signal: Some(_), .. }), None, _) if excuses.early => Verdict::NotStarted,
        (Some(Reported::Exited { .. }), None, _) => wrong("it has a code, and never ran"),
        (Some(Reported::Exited { code, application, signal, unknown, .. }), Some(life), _) => {
            let starved = excuses.starved && reported.iter().any(|reported| matches!(reported, Reported::Lost { .. }));
            let excuses = Excuses { starved, ..excuses };
            judge_end(life, (*code, *application, *signal), *unknown, excuses)
        }
        (Some(_), ..) => wrong("an end that is none"),
    }
}

fn judge_end(
    life: &Life,
    (code, application, signal): (Option<i32>, Option<i32>, Option<i32>),
    unknown: bool,
    excuses: Excuses,
) -> Verdict {
    let truth = life.code();
    match application {
        Some(application) if application != truth => {
            wrong(format!("it ended with {truth}, reported was {application}"))
        }
        Some(_) if code.is_some_and(|code| code != truth) => wrong(format!("the code reported was {code:?}")),
        Some(_) if life.end.is_none() && signal != Some(libc::SIGKILL) => {
            wrong(format!("signal {signal:?} was reported"))
        }
        Some(_) if unknown => wrong("an end with a code was reported as unknown"),
        Some(_) => Verdict::Exact,
        None if code.is_some() => wrong(format!("an unseen end was reported with code {code:?}")),
        None if excuses.wrapper_killed || excuses.starved => Verdict::NoCode,
        None if excuses.unreachable => Verdict::Unknown,
        None => wrong(format!("its end was to be seen, with {truth}, and was reported without a code")),
    }
}

/// The same for a uuid that was started `accepted` times while others killed it: as many ends, and the codes that the
/// applications wrote. One that ended before it could write has only the codes of signals. Gives how many ends there
/// were.
pub fn judge_race(accepted: usize, lives: &[Life], reported: &[Reported]) -> Result<usize, String> {
    let ends = reported.iter().filter(|reported| reported.is_end()).count();
    if ends != accepted {
        return Err(format!("{accepted} starts, {ends} ends were reported"));
    }
    if let Some(life) = lives.iter().find(|life| life.is_alive()) {
        return Err(format!("pid {} runs still", life.pid));
    }
    let reported_with = |code: i32| {
        reported
            .iter()
            .filter(|reported| matches!(reported, Reported::Exited { application, .. } if *application == Some(code)))
            .count()
    };
    let mut is_lost = false;
    for reported in reported {
        match reported {
            Reported::Started { .. } => is_lost = false,
            Reported::Lost { .. } => is_lost = true,
            // A kill has reported the host that nobody will ask, and then the link broke.
            Reported::Exited { unknown: true, .. } if is_lost => {}
            Reported::Exited { unknown: true, .. } => return Err("an end was reported as unknown".into()),
            Reported::Exited { lived: true, unknown: false, .. } => {
                return Err("an end was reported while it ran".into());
            }
            Reported::Exited { application: Some(code), .. } => {
                let written = lives.iter().filter(|life| life.end == Some(*code)).count();
                // HUP comes from the host itself, when the manager lets go of a start.
                let ending = [libc::SIGHUP, libc::SIGKILL, libc::SIGQUIT, libc::SIGTERM];
                let by_signal = ending.iter().any(|signal| *code == 128 + signal);
                if !by_signal && reported_with(*code) != written {
                    return Err(format!(
                        "code {code} was reported {} times, written {written} times",
                        reported_with(*code)
                    ));
                }
            }
            _ => {}
        }
    }
    Ok(ends)
}
