//! What the application itself says of its life, and whether what the manager told is true.
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

/// What the manager told of a process, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
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

impl Told {
    /// Whether it says that the process runs. A manager that adopts a process says no more than that it is restored.
    pub fn is_start(&self) -> bool {
        matches!(self, Told::Started { .. } | Told::Restored)
    }

    /// Whether it says that another manager has the process.
    pub fn is_taken_over(&self) -> bool {
        matches!(self, Told::NotRestored { reason } if reason.contains("is controlled by another live manager"))
    }

    pub fn is_end(&self) -> bool {
        matches!(self, Told::Exited { .. } | Told::Failed { .. })
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
    /// The manager was killed: nobody is told any more.
    pub manager_gone: bool,
    /// It had ended when the manager that was killed was gone: that one may have taken its end and not told of it.
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
    pub told: &'a [Told],
    pub excuses: Excuses,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It runs, and nothing else was told.
    Runs,
    /// It ended, which was told once, with its true code.
    Exact,
    /// It ended, which was told once and in time; its code is known to nobody: its parent was killed, or could not
    /// keep it while the link was gone.
    NoCode,
    /// It did not come to run, which was told once.
    NotStarted,
    /// Its end is told as unknown, and its host could not be reached.
    Unknown,
    Wrong(String),
}

fn wrong(text: impl Into<String>) -> Verdict {
    Verdict::Wrong(text.into())
}

/// Compares what was told with what is true.
pub fn judge(case: &Case) -> Verdict {
    let Case { life, alive, told, excuses } = *case;
    let ends: Vec<_> = told.iter().filter(|told| told.is_end()).collect();
    if ends.len() > 1 {
        return wrong(format!("{} ends were told", ends.len()));
    }
    let started = told.iter().find_map(|told| if let Told::Started { pid } = told { Some(*pid) } else { None });
    if told.iter().filter(|told| matches!(told, Told::Started { .. })).count() > 1 {
        return wrong("it was told twice that it runs");
    }
    // Another manager that tried to adopt it may learn later that it did not get it.
    let is_last = |end: &Told| told.iter().rfind(|told| !told.is_taken_over()) == Some(end);
    if ends.first().is_some_and(|end| !is_last(end)) {
        return wrong("something was told behind the end");
    }
    match (started, life) {
        (Some(_), None) if !excuses.early => return wrong("it was told to run, and never ran"),
        (Some(pid), Some(life)) if pid != life.pid => return wrong(format!("it was told as pid {pid}")),
        _ => {}
    }
    match (ends.first(), life, alive) {
        (None, Some(_), true) if excuses.manager_gone => wrong("it outlives its manager"),
        (None, _, false) if excuses.manager_gone => Verdict::Exact,
        (None, Some(_), true) if !told.iter().any(Told::is_start) => wrong("it runs, which was not told"),
        (None, Some(_), true) => Verdict::Runs,
        (None, Some(_), false) => wrong("it ended, which was not told"),
        (None, None, _) => wrong("nothing was told of it"),
        (Some(_), _, true) => wrong("it was told to have ended, and runs"),
        (Some(Told::Failed { .. }), _, _) if started.is_some() => wrong("its start failed after it was told to run"),
        (Some(Told::Failed { .. }), _, _) => Verdict::NotStarted,
        (Some(Told::Exited { unknown: false, lived: true, .. }), _, _) => wrong("its end was told while it ran"),
        // A start that was cancelled ends without a code.
        (Some(Told::Exited { application: None, code: None, .. }), None, _) => Verdict::NotStarted,
        (Some(Told::Exited { signal: Some(_), .. }), None, _) if excuses.early => Verdict::NotStarted,
        (Some(Told::Exited { .. }), None, _) => wrong("it has a code, and never ran"),
        (Some(Told::Exited { code, application, signal, unknown, .. }), Some(life), _) => {
            let starved = excuses.starved && told.iter().any(|told| matches!(told, Told::Lost { .. }));
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
        Some(application) if application != truth => wrong(format!("it ended with {truth}, told was {application}")),
        Some(_) if code.is_some_and(|code| code != truth) => wrong(format!("the code told was {code:?}")),
        Some(_) if life.end.is_none() && signal != Some(libc::SIGKILL) => wrong(format!("signal {signal:?} was told")),
        Some(_) if unknown => wrong("an end with a code was told as unknown"),
        Some(_) => Verdict::Exact,
        None if code.is_some() => wrong(format!("an unseen end was told with code {code:?}")),
        None if excuses.wrapper_killed || excuses.starved => Verdict::NoCode,
        None if excuses.unreachable => Verdict::Unknown,
        None => wrong(format!("its end was to be seen, with {truth}, and was told without a code")),
    }
}

/// The same for a uuid that was started `accepted` times while others killed it: as many ends, and the codes that the
/// applications wrote. One that ended before it could write has only the codes of signals. Gives how many ends there
/// were.
pub fn judge_race(accepted: usize, lives: &[Life], told: &[Told]) -> Result<usize, String> {
    let ends = told.iter().filter(|told| told.is_end()).count();
    if ends != accepted {
        return Err(format!("{accepted} starts, {ends} ends were told"));
    }
    if let Some(life) = lives.iter().find(|life| life.is_alive()) {
        return Err(format!("pid {} runs still", life.pid));
    }
    let told_with = |code: i32| {
        told.iter()
            .filter(|told| matches!(told, Told::Exited { application, .. } if *application == Some(code)))
            .count()
    };
    let mut is_lost = false;
    for told in told {
        match told {
            Told::Started { .. } => is_lost = false,
            Told::Lost { .. } => is_lost = true,
            // A kill has told the host that nobody will ask, and then the link broke.
            Told::Exited { unknown: true, .. } if is_lost => {}
            Told::Exited { unknown: true, .. } => return Err("an end was told as unknown".into()),
            Told::Exited { lived: true, unknown: false, .. } => return Err("an end was told while it ran".into()),
            Told::Exited { application: Some(code), .. } => {
                let written = lives.iter().filter(|life| life.end == Some(*code)).count();
                // HUP comes from the host itself, when the manager lets go of a start.
                let ending = [libc::SIGHUP, libc::SIGKILL, libc::SIGQUIT, libc::SIGTERM];
                let by_signal = ending.iter().any(|signal| *code == 128 + signal);
                if !by_signal && told_with(*code) != written {
                    return Err(format!("code {code} was told {} times, written {written} times", told_with(*code)));
                }
            }
            _ => {}
        }
    }
    Ok(ends)
}
