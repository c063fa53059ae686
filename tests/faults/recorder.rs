//! Reads what an application logged about itself, and judges whether the manager's reports are true.
//!
//! The log is written by test-app's verb `record`, which knows nothing of wrappers and managers. An application that
//! KILL ends writes no last line: its log stops, and the process is gone.

use std::fs;
use std::path::Path;

use crate::support::ProcessInfo;

/// One run of an application, from the line "start" of its log on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    pub pid: i32,
    pub start_time: u64,
    /// The exit code in its last line, if it wrote one.
    pub end: Option<i32>,
    /// All signals that it caught, in their order.
    pub signals: Vec<i32>,
    pub beats: usize,
    /// How many bytes it had written to stdout and stderr after each piece, if it writes output.
    pub wrote: Vec<[u64; 2]>,
}

impl Life {
    pub fn is_alive(&self) -> bool {
        let now = ProcessInfo::of(self.pid);
        now.is_some_and(|now| now.start_time == self.start_time && !now.is_zombie())
    }

    /// Returns its exit, its signals and the size of its output as one line.
    pub fn summary(&self) -> String {
        let Life { end, signals, wrote, .. } = self;
        format!("end {end:?}, signals {signals:?}, wrote {:?} in {} pieces", wrote.last(), wrote.len())
    }

    /// Returns the exit code of an application that is gone, as a shell would give it.
    pub fn code(&self) -> i32 {
        self.end.unwrap_or(128 + libc::SIGKILL)
    }
}

/// Returns the runs in a log, in their order.
pub fn read(log: &Path) -> Vec<Life> {
    let text = fs::read_to_string(log).unwrap_or_default();
    // The last line can be incomplete while the application writes it.
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
            _ => panic!("unknown line in a log: {line:?}"),
        }
    }
    lives
}

/// One report of the manager about a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reported {
    Started {
        pid: i32,
    },
    Lost {
        reason: String,
    },
    /// The manager has a kept process again after a lost link, or has adopted it.
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
    /// Whether it says that the process runs. A manager that adopts a process reports only that its link is restored.
    pub fn is_start(&self) -> bool {
        matches!(self, Reported::Started { .. } | Reported::Restored)
    }

    /// Whether it says that another manager controls the process.
    pub fn is_taken_over(&self) -> bool {
        matches!(self, Reported::NotRestored { reason } if reason.contains("is controlled by another live manager"))
    }

    /// Whether it reports an exit or a failed start.
    pub fn is_end(&self) -> bool {
        matches!(self, Reported::Exited { .. } | Reported::Failed { .. })
    }
}

/// Reasons why nobody may know how a process ended, or why nobody reports it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Excuses {
    /// The application's parent was killed. The kernel gives the exit code to no other process.
    pub wrapper_killed: bool,
    /// The host could not be reached for longer than the manager queries it.
    pub unreachable: bool,
    /// The host may have had no room to record the exit, which is needed while the link is lost.
    pub starved: bool,
    /// The manager was killed, and reports nothing more.
    pub manager_gone: bool,
    /// The process had ended by the time the killed manager was gone. That manager may have taken the exit from the
    /// host and not reported it.
    pub ended_with_manager: bool,
    /// A part of its start was killed in the first moments. Its program may have been executed, and have ended before
    /// it wrote to its log.
    pub early: bool,
}

/// One process at the end of a step.
#[derive(Debug)]
pub struct Case<'a> {
    /// What the application logged; `None` if its program did not run.
    pub life: Option<&'a Life>,
    pub alive: bool,
    pub reported: &'a [Reported],
    pub excuses: Excuses,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It runs, and no end was reported.
    Runs,
    /// It exited, and the manager reported that once, with the true code; or it ended after its manager was killed.
    Exact,
    /// It exited, and the manager reported that once and in time. Nobody can know the code: the application's parent
    /// was killed, or could not record the code while the link was lost.
    NoCode,
    /// It did not run, and the manager reported that once.
    NotStarted,
    /// Its exit was reported as unknown, and its host could not be reached.
    Unknown,
    Wrong(String),
}

fn wrong(text: impl Into<String>) -> Verdict {
    Verdict::Wrong(text.into())
}

/// Compares the manager's reports with what is true.
pub fn judge(case: &Case) -> Verdict {
    let Case { life, alive, reported, excuses } = *case;
    let ends: Vec<_> = reported.iter().filter(|reported| reported.is_end()).collect();
    if ends.len() > 1 {
        return wrong(format!("{} ends were reported", ends.len()));
    }
    let started =
        reported.iter().find_map(|reported| if let Reported::Started { pid } = reported { Some(*pid) } else { None });
    if reported.iter().filter(|reported| matches!(reported, Reported::Started { .. })).count() > 1 {
        return wrong("its start was reported twice");
    }
    // A manager that tried to adopt the process may learn only later that another manager has it.
    let is_last = |end: &Reported| reported.iter().rfind(|reported| !reported.is_taken_over()) == Some(end);
    if ends.first().is_some_and(|end| !is_last(end)) {
        return wrong("something was reported after the end");
    }
    match (started, life) {
        (Some(_), None) if !excuses.early => return wrong("it was reported as started, and never ran"),
        (Some(pid), Some(life)) if pid != life.pid => return wrong(format!("its pid was reported as {pid}")),
        _ => {}
    }
    match (ends.first(), life, alive) {
        (None, Some(_), true) if excuses.manager_gone => wrong("it outlives its manager"),
        (None, _, false) if excuses.manager_gone => Verdict::Exact,
        (None, Some(_), true) if !reported.iter().any(Reported::is_start) => {
            wrong("it runs, and that was not reported")
        }
        (None, Some(_), true) => Verdict::Runs,
        (None, Some(_), false) => wrong("it ended, and that was not reported"),
        (None, None, _) => wrong("nothing was reported about it"),
        (Some(_), _, true) => wrong("its end was reported, and it still runs"),
        (Some(Reported::Failed { .. }), _, _) if started.is_some() => {
            wrong("its start was reported, and then a failed start")
        }
        (Some(Reported::Failed { .. }), _, _) => Verdict::NotStarted,
        (Some(Reported::Exited { unknown: false, lived: true, .. }), _, _) => {
            wrong("its exit was reported while it ran")
        }
        // A start that was cancelled ends without a code.
        (Some(Reported::Exited { application: None, code: None, .. }), None, _) => Verdict::NotStarted,
        (Some(Reported::Exited { signal: Some(_), .. }), None, _) if excuses.early => Verdict::NotStarted,
        (Some(Reported::Exited { .. }), None, _) => wrong("an exit with a code was reported, and it never ran"),
        (Some(Reported::Exited { code, application, signal, unknown, .. }), Some(life), _) => {
            let starved = excuses.starved && reported.iter().any(|reported| matches!(reported, Reported::Lost { .. }));
            let excuses = Excuses { starved, ..excuses };
            judge_end(life, (*code, *application, *signal), *unknown, excuses)
        }
        (Some(_), ..) => wrong("an unexpected report of an end"),
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
            wrong(format!("it exited with {truth}, and {application} was reported"))
        }
        Some(_) if code.is_some_and(|code| code != truth) => {
            wrong(format!("it exited with {truth}, and the code {code:?} was reported"))
        }
        Some(_) if life.end.is_none() && signal != Some(libc::SIGKILL) => {
            wrong(format!("KILL ended it, and signal {signal:?} was reported"))
        }
        Some(_) if unknown => wrong("an exit with a code was reported as unknown"),
        Some(_) => Verdict::Exact,
        None if code.is_some() => wrong(format!("an exit that nobody saw was reported with code {code:?}")),
        None if excuses.wrapper_killed || excuses.starved => Verdict::NoCode,
        None if excuses.unreachable => Verdict::Unknown,
        None => wrong(format!("it exited with {truth}, and the exit was reported without a code")),
    }
}

/// Judges a uuid that was started `accepted` times while other threads killed it: there must be as many ends as starts,
/// with the codes that the applications logged. An application that ended before it could write to its log can only
/// have the code of a signal. Returns how many ends there were.
pub fn judge_race(accepted: usize, lives: &[Life], reported: &[Reported]) -> Result<usize, String> {
    let ends = reported.iter().filter(|reported| reported.is_end()).count();
    if ends != accepted {
        return Err(format!("{accepted} starts were accepted, and {ends} ends were reported"));
    }
    if let Some(life) = lives.iter().find(|life| life.is_alive()) {
        return Err(format!("pid {} still runs", life.pid));
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
            // A kill told the host that nobody would ask for the exit, and then the link broke.
            Reported::Exited { unknown: true, .. } if is_lost => {}
            Reported::Exited { unknown: true, .. } => return Err("an exit was reported as unknown".into()),
            Reported::Exited { lived: true, unknown: false, .. } => {
                return Err("an exit was reported while the application ran".into());
            }
            Reported::Exited { application: Some(code), .. } => {
                let written = lives.iter().filter(|life| life.end == Some(*code)).count();
                // The host itself sends HUP when the manager abandons a start.
                let ending = [libc::SIGHUP, libc::SIGKILL, libc::SIGQUIT, libc::SIGTERM];
                let by_signal = ending.iter().any(|signal| *code == 128 + signal);
                if !by_signal && reported_with(*code) != written {
                    return Err(format!(
                        "code {code} was reported {} times and logged {written} times",
                        reported_with(*code)
                    ));
                }
            }
            _ => {}
        }
    }
    Ok(ends)
}
