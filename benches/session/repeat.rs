//! One repetition: each measurement once, in turn.

use std::process::{Command, Stdio};

use crate::args::{AS_SESSION, Args};
use crate::plan::{Extent, Plan};
use crate::rig::Rig;
use crate::samples::{Samples, with_prefix, without_clients};
use crate::tools::TOOLS;
use crate::{curves, floor, local, wide};

/// Measures everything once, one measurement after the other. A failure of sshpm ends the benchmark. Where something
/// else fails, its number is missing.
pub fn repeat(args: &Args, rig: &Rig, samples: &mut Samples) -> Result<(), String> {
    let count = args.processes;
    session(rig, &rig.plan(Extent::Full, count), str::to_owned, samples)?;
    let logins = samples.last("logins").unwrap_or(0.0) as usize;
    attempt(rig, samples, |samples| floor::shared(rig, count, logins, samples))?;
    if args.shared {
        no_clients(args, rig, samples)?;
    }
    local::measure(rig, count, samples)?;
    attempt(rig, samples, |samples| floor::fresh(rig, count, samples))?;
    if args.tools {
        for tool in TOOLS {
            attempt(rig, samples, |samples| tool.measure(rig, count, samples))?;
        }
    }
    if let Some(larger) = args.larger() {
        session(rig, &rig.plan(Extent::Boot, larger), with_prefix("larger_"), samples)?;
    }
    wide::x11(args, samples)?;
    if args.thousand {
        wide::thousand(args, samples)?;
    }
    if args.plot.is_some() {
        curves::measure(args, rig, samples)?;
    }
    let (idle, seconds) = args.idle();
    session(rig, &rig.plan(Extent::Idle(seconds), idle), with_prefix("idle_"), samples)
}

/// Measures what differs where processes have no ssh clients.
fn no_clients(args: &Args, rig: &Rig, samples: &mut Samples) -> Result<(), String> {
    let plan = Plan { clients: false, ..rig.plan(Extent::Again, args.processes) };
    session(rig, &plan, without_clients, samples)?;
    let Some(larger) = args.larger() else { return Ok(()) };
    let plan = Plan { clients: false, ..rig.plan(Extent::Boot, larger) };
    session(rig, &plan, |name| format!("larger_{}", without_clients(name)), samples)
}

/// Measures something beside sshpm. If it fails, a note in place of its number says why.
pub fn attempt(
    rig: &Rig,
    samples: &mut Samples,
    measure: impl FnOnce(&mut Samples) -> Result<(), String>,
) -> Result<(), String> {
    if let Err(error) = measure(samples) {
        samples.note(error);
    }
    rig.settle()
}

/// Runs this program again for one session, and adds its samples under the names that `rename` makes of theirs.
pub fn session(rig: &Rig, plan: &Plan, rename: impl Fn(&str) -> String, samples: &mut Samples) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let mut command = Command::new(program);
    command.args([AS_SESSION, &plan.to_json()?]);
    command.envs(plan.environment.iter().map(|(name, value)| (name, value)));
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let output = child
        .and_then(std::process::Child::wait_with_output)
        .map_err(|error| format!("cannot run a session: {error}"))?;
    if !output.status.success() {
        return Err(format!("a session of {} processes failed: {}", plan.processes, output.status));
    }
    samples.merge(Samples::from_json(&String::from_utf8_lossy(&output.stdout))?, rename);
    rig.settle()
}
