//! Boots by the local launcher, without ssh, and what a shell takes to start as many programs in sessions of their own.

use std::time::Instant;

use crate::clients::Clients;
use crate::cpu::{self, Cpu, rounds};
use crate::plan::{Extent, Plan};
use crate::repeat::{attempt, session};
use crate::rig::Rig;
use crate::samples::{Samples, with_prefix};
use crate::session::wait_for_quiet;
use crate::support::test_app;

pub fn measure(rig: &Rig, processes: usize, samples: &mut Samples) -> Result<(), String> {
    // The files of these processes do not belong in the home directory of this user.
    let environment = ["HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"].map(|name| (name.to_owned(), rig.dir()));
    let plan =
        Plan { local: true, environment: environment.into(), app: test_app(), ..rig.plan(Extent::Again, processes) };
    session(rig, &plan, with_prefix("local_"), samples)?;
    attempt(rig, samples, |samples| floor(rig, processes, samples))
}

fn floor(rig: &Rig, processes: usize, samples: &mut Samples) -> Result<(), String> {
    wait_for_quiet();
    let cpu = Cpu::now(rig.sshd_pid());
    for _ in 0..rounds(processes) {
        let mut shells = Clients::default();
        let begin = Instant::now();
        for _ in 0..processes {
            shells.spawn(rig.command("sh").args(["-c", "setsid sh -c \"exec true\""]))?;
        }
        shells.wait()?;
        samples.add("floor_local_s", begin.elapsed().as_secs_f64());
    }
    cpu::note(samples, cpu.and_then(Cpu::spent), rounds(processes) * processes, &["floor_local_cpu_ms"]);
    Ok(())
}
