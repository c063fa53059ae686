//! The inquiry: asks a host how a process has ended whose link was lost.

use std::time::{Duration, Instant};

use crate::connect::call::{self, ScriptRun, SinkAction};
use crate::connect::retry::Backoff;
use crate::connect::seats::Kind;
use crate::local::sys;
use crate::model::error::{Result, StartFailure};
use crate::model::time;
use crate::remote::report::{Piece, Report};
use crate::remote::start;
use crate::watch::case::{Case, Remote, ReportedExit};
use crate::watch::process::Process;
use crate::watch::state::Input;

/// How long a host may take to answer, beyond the time that the question itself waits for something.
pub(crate) const INQUIRY_TIMEOUT: Duration = Duration::from_secs(10);

/// What a host answers about a process whose link was lost.
enum InquiryResult {
    /// The wrapper of the process left word of its exit.
    Ended(ReportedExit),
    /// Nothing is left of the process, not even word of its exit.
    Gone,
}

/// Asks the host how a lost process has ended, until the host answers or the manager lets go, and settles the process.
///
/// After `lost_timeout` the exit is reported as unknown. The queries go on: they also end what is left of the process,
/// which must not live on.
pub(crate) fn learn_end(case: &Case) {
    let process = &case.process;
    let mut retry = Backoff::for_ever();
    let until = sys::deadline(case.shared.options().lost_timeout);
    while !process.is_released() {
        let is_settled = process.state().is_settled();
        match inquire(case, until.filter(|_| !is_settled)) {
            Ok(InquiryResult::Ended(exit)) => return case.settle_exit(exit),
            Ok(InquiryResult::Gone) => break,
            Err(error) => log::debug!("{}: its host does not say how it ended: {error}", process.uuid()),
        }
        let Some(next) = retry.next_try() else { break };
        match until {
            Some(until) if !is_settled && until <= next => {
                case.pause(until);
                give_up(case);
            }
            _ => case.pause(next),
        }
    }
    give_up(case);
}

/// Settles a lost process whose exit is unknown.
pub(crate) fn give_up(case: &Case) {
    if let Some(reason) = case.failure_of_lost_start(case.process.has_run()) {
        let lost = case.start_error(reason);
        return case.settle(Input::StartFailed, |_| Err(lost));
    }
    let input = if case.process.is_released() { Input::Release } else { Input::GivenUp };
    let lost = case.lost_status(None);
    case.settle(input, |_| Ok(lost));
}

/// Asks the host once. It may take until the time given, and then as long as the wrapper may need to answer.
fn inquire(case: &Case, until: Option<Instant>) -> Result<InquiryResult> {
    let Process { request, instance, .. } = &*case.process;
    let remote = case.remote.as_ref().map(|Remote { pid, start_time, boot_id }| (*pid, &start_time[..], &boot_id[..]));
    let wrapper_pid = case.process.pids().remote_monitoring;
    // The application may need its whole grace to end, and the host some time to run the wrapper.
    let grace = time::whole_seconds(request.grace).saturating_add(2);
    let deadline =
        until.unwrap_or_else(Instant::now).checked_add(Duration::from_secs(grace).saturating_add(INQUIRY_TIMEOUT));
    let line = |nonce: &_| start::inquiry_line(nonce, instance, wrapper_pid, remote, grace);
    let mut answer = None;
    let cancelled = || case.process.is_released();
    let opened = |lifeline: &_| case.process.set_inquiry(lifeline);
    // The script waits for the end of the application's grace.
    let script = ScriptRun::new(case.process.target(), deadline, Kind::Long, &line);
    let script = ScriptRun { cancelled: &cancelled, opened: &opened, ..script };
    let asked = call::run(&case.shared.pool, &script, &mut |piece| match piece {
        Piece::Report(Report::Exit { end, ran }) => {
            answer = Some(InquiryResult::Ended(ReportedExit { end, ran }));
            // The script removes the word of the exit now.
            SinkAction::Send("bye\n")
        }
        Piece::Report(Report::Gone) => {
            answer = Some(InquiryResult::Gone);
            SinkAction::Drain
        }
        Piece::Report(Report::Clean) => SinkAction::Drain,
        _ => SinkAction::Continue,
    });
    // An answer counts, however the channel ended after it.
    if let (None, Err(error)) = (&answer, asked) {
        return Err(error);
    }
    answer.ok_or_else(|| case.start_error(StartFailure::Protocol))
}
