//! One repetition: each measurement once, in turn.

use std::process::{Command, Stdio};

use crate::args::{AS_SESSION, Args};
use crate::floor;
use crate::plan::Extent;
use crate::rig::Rig;
use crate::samples::Samples;
use crate::tools::TOOLS;

/// Measures everything once, one measurement after the other. A failure of sshpm ends the benchmark. Where something
/// else fails, its number is missing.
pub fn repeat(args: &Args, rig: &Rig, samples: &mut Samples) -> Result<(), String> {
    let count = args.processes;
    session(rig, Extent::Full, count, "", samples)?;
    let logins = samples.last("logins").unwrap_or(0.0) as usize;
    attempt(rig, samples, |samples| floor::shared(rig, count, logins, samples))?;
    attempt(rig, samples, |samples| floor::fresh(rig, count, samples))?;
    if args.tools {
        for tool in TOOLS {
            attempt(rig, samples, |samples| tool.measure(rig, count, samples))?;
        }
    }
    if let Some(larger) = args.larger() {
        session(rig, Extent::Boot, larger, "larger_", samples)?;
    }
    let (idle, seconds) = args.idle();
    session(rig, Extent::Idle(seconds), idle, "idle_", samples)
}

fn attempt(
    rig: &Rig,
    samples: &mut Samples,
    measure: impl FnOnce(&mut Samples) -> Result<(), String>,
) -> Result<(), String> {
    if let Err(error) = measure(samples) {
        samples.note(error);
    }
    rig.settle()
}

/// Runs this program again for one session, and adds its samples with `prefix` before their names.
fn session(rig: &Rig, extent: Extent, processes: usize, prefix: &str, samples: &mut Samples) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let mut command = Command::new(program);
    command.args([AS_SESSION, &rig.plan(extent, processes).to_json()?]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let output = child
        .and_then(std::process::Child::wait_with_output)
        .map_err(|error| format!("cannot run a session: {error}"))?;
    if !output.status.success() {
        return Err(format!("a session of {processes} processes failed: {}", output.status));
    }
    samples.absorb(prefix, &String::from_utf8_lossy(&output.stdout))?;
    rig.settle()
}
