//! What a host says of a process whose link was lost.

use std::time::{Duration, Instant};

use crate::case::{Case, Remote};
use crate::error::{Result, StartFailure};
use crate::exit_status::ApplicationEnd;
use crate::gate::Retry;
use crate::process::Process;
use crate::remote::{self, Flow, Place, Script};
use crate::report::{Piece, Report};
use crate::seats::Kind;
use crate::seconds;
use crate::state::Input;
use crate::sys;
use crate::wrapper;

/// How long a host may take to answer a question, beside what the question waits for.
pub(crate) const INQUIRY_TIMEOUT: Duration = Duration::from_secs(10);

/// What a host says of a process whose link was lost.
enum InquiryResult {
    /// Its wrapper left word of how it ended, and of whether its program had run.
    Ended(ApplicationEnd, bool),
    /// Nothing is left of it, no word either.
    Gone,
}

/// Asks the host after a process whose link was lost. After `lost_timeout` its end counts as unknown, but the host is
/// asked on: what must not live on is ended as soon as it answers.
pub(crate) fn learn_end(case: &Case) {
    let process = &case.process;
    let released = || process.is_released();
    let mut retry = Retry::for_ever();
    let until = sys::deadline(case.shared.options().lost_timeout);
    while !released() {
        let settled = process.state().is_settled();
        match inquire(case, until.filter(|_| !settled)) {
            Ok(InquiryResult::Ended(end, ran)) => return case.settle_exit(end, ran),
            Ok(InquiryResult::Gone) => break,
            Err(error) => log::debug!("{}: asking after it: {error}", process.uuid()),
        }
        let Some(next) = retry.next_try() else { break };
        match until {
            Some(until) if !settled && until <= next => {
                case.shared.pool.gate().pause(until, released);
                give_up(case);
            }
            _ => drop(case.shared.pool.gate().pause(next, released)),
        }
    }
    give_up(case);
}

pub(crate) fn give_up(case: &Case) {
    if let Some(reason) = case.failure_of_lost_start(case.process.has_run()) {
        let lost = case.start_error(reason);
        return case.settle(Input::StartFailed, |_| Err(lost));
    }
    let input = if case.process.is_released() { Input::Release } else { Input::GivenUp };
    let lost = case.lost_status(None);
    case.settle(input, |_| Ok(lost));
}

/// One question, and the time that the wrapper may need to answer it.
fn inquire(case: &Case, until: Option<Instant>) -> Result<InquiryResult> {
    let Process { request, instance, .. } = &*case.process;
    let remote = case.remote.as_ref().map(|Remote { pid, start_time, boot_id }| (*pid, &start_time[..], &boot_id[..]));
    let wrapper_pid = case.process.pids().remote_monitoring;
    // The wrapper may need its whole grace, and some time to be scheduled.
    let grace = seconds::whole_seconds(request.grace).saturating_add(2);
    let deadline =
        until.unwrap_or_else(Instant::now).checked_add(Duration::from_secs(grace).saturating_add(INQUIRY_TIMEOUT));
    let place = Place { target: case.process.target(), deadline };
    let line = |nonce: &_| wrapper::inquiry_line(nonce, instance, wrapper_pid, remote, grace);
    let mut answer = None;
    let cancelled = || case.process.is_released();
    let opened = |lifeline: &_| case.process.set_inquiry(lifeline);
    // It waits for the wrapper's grace.
    let script = Script { cancelled: &cancelled, opened: &opened, ..Script::new(place, Kind::Long, &line) };
    let asked = remote::run(&case.shared, &script, &mut |piece| match piece {
        Piece::Report(Report::Exit { end, ran }) => {
            answer = Some(InquiryResult::Ended(end, ran));
            // It removes its file now.
            Flow::Send("bye\n")
        }
        Piece::Report(Report::Gone) => {
            answer = Some(InquiryResult::Gone);
            Flow::Last
        }
        Piece::Report(Report::Clean) => Flow::Last,
        _ => Flow::GoOn,
    });
    // What was answered holds, whatever became of the session then.
    if let (None, Err(error)) = (&answer, asked) {
        return Err(error);
    }
    answer.ok_or_else(|| case.start_error(StartFailure::Protocol))
}
