//! Judges whether what managers reported about one start agrees with what the application recorded.

use crate::life::Life;
use crate::pattern;
use crate::plan::{Fate, Plan};
use crate::report::{Exit, Outcome, Report};

/// What was done to a start. It limits which outcomes are possible.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// A call was made to end the process, a signal was sent to it, or its manager let go of it.
    pub end: bool,
    /// The client of its link was killed.
    pub strike: bool,
    /// That client was also the application's parent: the kernel gives the exit code to the parent alone.
    pub parent: bool,
}

/// What happened to a manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    Stays,
    Detached,
    Killed,
}

/// What one manager reported about a process that it had started or adopted.
#[derive(Debug)]
pub struct Witness {
    pub manager: Manager,
    pub reports: Vec<Report>,
    /// stdout and stderr, if the manager could read them when it reported the end.
    pub output: Option<[Vec<u8>; 2]>,
}

impl Witness {
    fn is_taken_over(&self) -> bool {
        self.reports.iter().any(Report::is_taken_over)
    }

    fn has_let_go(&self) -> bool {
        self.manager != Manager::Stays
    }

    /// Returns the end that the manager reported. A killed manager may have reported it by a callback or a call and not
    /// by an event.
    fn end(&self) -> Option<&Outcome> {
        let by_event = self.reports.iter().find_map(Report::end);
        by_event.or_else(|| match self.manager {
            Manager::Killed => self.reports.iter().find_map(Report::outcome),
            Manager::Stays | Manager::Detached => None,
        })
    }
}

#[derive(Debug)]
pub struct Case<'a> {
    pub plan: &'a Plan,
    pub asked: Asked,
    /// What the application's own log says. `None` if the program did not run, or not long enough to write to it.
    pub life: Option<&'a Life>,
    /// The application lives although its end was reported or its manager is gone.
    pub alive: bool,
    /// The application ended just before its manager was killed. That manager can have received the exit without
    /// reporting it.
    pub may_have_been_taken: bool,
    /// The kept process that had this uuid before, if its host may not know that a manager received its exit. An
    /// adoption can find it as long as this start has not replaced it.
    pub former: Option<&'a Life>,
    /// The size of the log file in bytes, if the plan has a log file.
    pub log_file: Option<u64>,
    /// What the managers that had the process reported, in the order in which they had it.
    pub witnesses: &'a [Witness],
}

/// The kind of a true outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The reported code or signal is the application's own. The number says how many bytes of output were compared.
    Exact(u64),
    /// The start failed for a reason that was expected.
    Failed,
    /// The process was ended before it could record that it runs.
    Cancelled,
    /// Nobody can know how the process ended, because its manager or its parent was gone.
    Unheard,
    /// KILL ended the application after it had recorded how it was about to end.
    Overtaken,
}

/// The signals that end an application or a setup that does not catch them yet.
const EARLY: [i32; 7] =
    [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGKILL, libc::SIGUSR1, libc::SIGUSR2, libc::SIGTERM];

/// The code and the signal of an application that KILL has ended.
const KILLED: (i32, Option<i32>) = (128 + libc::SIGKILL, Some(libc::SIGKILL));

pub fn judge(case: &Case) -> Result<Verdict, String> {
    if case.alive {
        return Err("its end was reported or its manager is gone, but it lives".into());
    }
    for witness in case.witnesses {
        check_order(case, witness)?;
    }
    let with_end: Vec<&Witness> = case.witnesses.iter().filter(|witness| witness.end().is_some()).collect();
    check_repetition(&with_end)?;
    match with_end.first().and_then(|witness| witness.end()) {
        Some(Outcome::Failed(reason)) => judge_failure(case, reason),
        Some(Outcome::Exited(exit)) => judge_exit(case, exit),
        None => judge_silence(case),
    }
}

/// Judges a start whose end nobody reported. This is right only if every manager that had it is gone, or
/// says that another one has taken it over.
fn judge_silence(case: &Case) -> Result<Verdict, String> {
    if case.witnesses.iter().any(|witness| witness.manager == Manager::Stays && !witness.is_taken_over()) {
        return Err("no end was reported".into());
    }
    // Until it has started, a kept process ends with its manager too.
    let was_kept = case.plan.keep && case.witnesses.iter().any(|witness| witness.reports.iter().any(Report::is_start));
    match was_kept && !case.may_have_been_taken {
        true => Err("it was kept, but nobody learned of its end".into()),
        false => Ok(Verdict::Unheard),
    }
}

/// Checks the reports of one manager and their order.
fn check_order(case: &Case, witness: &Witness) -> Result<(), String> {
    let end = witness.end();
    let is_true = |said: &Outcome, who: &str| match end == Some(said) {
        true => Ok(()),
        false => Err(format!("{who} said {said:?}, but the event says {end:?}")),
    };
    let (mut starts, mut ends, mut calls) = (0, 0, 0);
    let (mut is_killed, mut is_late) = (false, false);
    for report in &witness.reports {
        let is_behind = ends > 0;
        match report {
            // A manager that lets go of a process whose link is lost cannot know whether it lives.
            Report::Ended { lived: true, outcome } if !(witness.has_let_go() && outcome.is_unknown()) => {
                return Err("its end was reported while it lived".into());
            }
            Report::Ended { .. } => ends += 1,
            Report::Called(said) => {
                calls += 1;
                is_late |= is_killed;
                is_true(said, "a callback")?;
            }
            Report::Answered { call, outcome } => {
                is_killed |= call.starts_with("kill");
                is_true(outcome, call)?;
            }
            _ if is_behind => return Err(format!("{report:?} was reported behind the end")),
            Report::Started { .. } if case.plan.fate != Fate::Runs => {
                return Err("it was reported to run, but it cannot run".into());
            }
            Report::Started { pid } if case.life.is_some_and(|life| life.pid != *pid) => {
                return Err(format!("it was reported to run as pid {pid}"));
            }
            Report::Started { .. } => starts += 1,
            Report::Lost if !case.asked.strike && witness.manager == Manager::Stays && !witness.is_taken_over() => {
                return Err("its link was reported as lost, but nobody had cut it".into());
            }
            Report::Lost | Report::Restored | Report::NotRestored(_) => {}
        }
    }
    let expected_calls = if witness.manager == Manager::Stays { ends..=ends } else { 0..=1 };
    match (starts, ends) {
        (2.., _) => Err("its start was reported twice".into()),
        (_, 2..) => Err(format!("one manager reported {ends} ends")),
        _ if !expected_calls.contains(&calls) => {
            Err(format!("{ends} ends were reported, but {calls} callbacks were called"))
        }
        _ if is_late => Err("a callback was called after the kill had returned".into()),
        _ => Ok(()),
    }
}

/// Checks the ends that several managers reported. Only a killed manager may have reported an end without acknowledging
/// it to the host. The next manager then reports it again.
fn check_repetition(with_end: &[&Witness]) -> Result<(), String> {
    let Some((_, earlier)) = with_end.split_last() else { return Ok(()) };
    if earlier.iter().any(|witness| witness.manager != Manager::Killed) {
        return Err("its end was reported by two managers".into());
    }
    let code = |witness: &&Witness| match witness.end() {
        Some(Outcome::Exited(exit)) => Some((exit.application, exit.signal)),
        _ => None,
    };
    let codes: Vec<_> = with_end.iter().map(code).collect();
    match codes.windows(2).all(|two| two[0] == two[1]) {
        true => Ok(()),
        false => Err(format!("managers reported different ends: {codes:?}")),
    }
}

fn judge_failure(case: &Case, reason: &str) -> Result<Verdict, String> {
    let Case { plan, asked, life, witnesses, .. } = case;
    let has_timed_out = plan.start_timeout.is_some() && reason.starts_with("TimedOut");
    // The program of a start that is taken back can run for a moment. If the link was lost, the error says that nobody
    // knows whether the program ran.
    let may_have_run = has_timed_out || (reason == "LinkLost" && asked.strike);
    if (life.is_some() && !may_have_run) || witnesses.iter().any(|witness| witness.reports.iter().any(Report::is_start))
    {
        return Err(format!("it ran, but the start was reported as failed with {reason}"));
    }
    let expected = match plan.fate {
        Fate::Runs => String::new(),
        Fate::NoProgram => "ProgramNotFound".to_owned(),
        Fate::NoDirectory => "WorkingDirectory".to_owned(),
        Fate::SetupFails(code) => format!("Setup:3:{code}"),
    };
    if reason == expected || has_timed_out {
        return Ok(Verdict::Failed);
    }
    let by_strike = ["LinkLost", "Ssh:Closed", "Ssh:Other", "Launcher:"].iter().any(|word| reason.starts_with(word));
    let code = reason.strip_prefix("Ended:").and_then(|code| code.parse().ok());
    let is_ended = (asked.end || asked.strike) && code.is_some_and(|code| can_end_its_shell(plan.fate, code));
    match (asked.strike && by_strike) || is_ended {
        true => Ok(Verdict::Cancelled),
        false => Err(format!("the start was reported as failed with {reason}, which is not why it failed")),
    }
}

/// Returns whether a signal can have ended the shell of a start with this code. If a step fails with 1, the host cannot
/// tell whether an earlier signal was the cause.
fn can_end_its_shell(fate: Fate, code: i32) -> bool {
    let by_step = code == 1 && matches!(fate, Fate::NoDirectory | Fate::SetupFails(1));
    by_step || EARLY.iter().any(|signal| code == 128 + signal)
}

fn judge_exit(case: &Case, exit: &Exit) -> Result<Verdict, String> {
    let Case { plan, asked, life, .. } = case;
    let was_ended = asked.end || asked.strike || plan.start_timeout.is_some();
    match (exit.application, life) {
        (None, Some(_)) if asked.parent && exit.unknown => Ok(Verdict::Unheard),
        // A manager that lets go does not query the host any more. A manager that takes a start back has told the host
        // that nobody will ask.
        (None, Some(_))
            if exit.unknown && asked.strike && (asked.end || case.witnesses.iter().any(Witness::has_let_go)) =>
        {
            Ok(Verdict::Unheard)
        }
        (None, Some(life)) => {
            Err(format!("it ran and ended with {:?}, but its end was reported without a code", life.code()))
        }
        (None, None) if was_ended => Ok(Verdict::Cancelled),
        (None, None) => Err("it was reported as ended before it ran, but nobody had asked for that".into()),
        (Some(code), None) => {
            let is_named = exit.signal.is_none_or(|signal| code == 128 + signal);
            let is_formers =
                case.witnesses.len() > 1 && case.former.is_some_and(|former| former.code() == (code, exit.signal));
            if is_formers {
                return Ok(Verdict::Cancelled);
            }
            match was_ended && is_named && can_end_its_shell(plan.fate, code) {
                true => Ok(Verdict::Cancelled),
                false => Err(format!("it never ran, but an exit with {code} was reported")),
            }
        }
        (Some(code), Some(life)) => {
            let truth = life.code();
            let is_overtaken = was_ended && (code, exit.signal) == KILLED && truth != KILLED;
            if (code, exit.signal) != truth && !is_overtaken {
                return Err(format!("it ended with {truth:?}, but ({code}, {:?}) was reported", exit.signal));
            }
            if exit.unknown {
                return Err("an end with a code was reported as unknown".into());
            }
            let is_remote = ["remote_monitoring", "manual_kill_through_remote_pid"].contains(&exit.source.as_str());
            if is_remote && exit.code != Some(code) {
                return Err(format!("it ended with {code}, but the reported code was {:?}", exit.code));
            }
            let compared = check_output(case, life, exit)?;
            Ok(if is_overtaken { Verdict::Overtaken } else { Verdict::Exact(compared) })
        }
    }
}

/// Compares the output with what the application recorded. Returns how many bytes were compared.
fn check_output(case: &Case, life: &Life, exit: &Exit) -> Result<u64, String> {
    if let Some(size) = case.log_file {
        let [out, err] = [0, 1].map(|stream| life.bounds(stream));
        let (least, most) = (out.0 + err.0, out.1 + err.1);
        return match (least..=most).contains(&size) {
            true => Ok(size),
            false => Err(format!("its log file has {size} bytes, but it wrote {least} to {most}")),
        };
    }
    // If a process is not kept, its output is lost with its link, which can break after the exit report.
    let is_lost = (exit.lost || case.asked.strike) && !case.plan.keep;
    // A manager that takes back the start of a kept process does not wait for its output, whether or not the
    // application has just started.
    let is_taken_back = case.plan.keep && case.asked.end && exit.source == "manual_kill_through_ssh_client";
    let is_cut = is_lost || is_taken_back;
    let mut compared = 0;
    for [stdout, stderr] in case.witnesses.iter().filter_map(|witness| witness.output.as_ref()) {
        for (stream, name, bytes) in [(0, "stdout", stdout), (1, "stderr", stderr)] {
            let key = case.plan.key.wrapping_add(stream);
            let bounds = life.bounds(stream as usize);
            compared += check_stream(key, bytes, bounds, is_cut).map_err(|why| format!("{name}: {why}"))?;
        }
    }
    Ok(compared)
}

/// Returns how many bytes are right. If the stream was cut, these are its first bytes; messages of ssh can follow them.
fn check_stream(key: u64, bytes: &[u8], (least, most): (u64, u64), is_cut: bool) -> Result<u64, String> {
    let count = bytes.len() as u64;
    let good = pattern::count_right(key, 0, bytes) as u64;
    match (good == count, (least..=most).contains(&count)) {
        _ if is_cut => Ok(good),
        (_, false) => {
            Err(format!("{count} bytes arrived and {good} of them are right, but it wrote {least} to {most}"))
        }
        (false, true) => Err(format!("byte {good} of {count} is wrong")),
        (true, true) => Ok(good),
    }
}
