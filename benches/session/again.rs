//! Boots of a session that has ended, while its connections are still open. They stay open for a few seconds.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use crate::cpu::{self, Cpu, rounds};
use crate::samples::Samples;
use crate::session::{PATIENCE, Session, logins, wait_for_quiet};
use crate::support::ProcessInfo;
use crate::wait::{pidfd, readable};

/// How long the setup line of each process waits.
pub const SETUP_SECONDS: f64 = 1.0;

impl Session<'_> {
    /// Boots all processes again and kills them, some times, and measures the boots and the CPU time of one start and
    /// end.
    pub fn again(&mut self, samples: &mut Samples) -> Result<(), String> {
        let before = logins(&self.plan.sshd_log)?;
        let cpu = Cpu::now(self.plan.sshd_pid);
        let rounds = rounds(self.plan.processes);
        let times = (0..rounds).map(|_| self.boot_and_end(None)).collect::<Result<Vec<_>, _>>()?;
        let spent = cpu.and_then(Cpu::spent);
        if !self.has_made_logins(before, samples)? {
            // Without connections, a boot is the same each time, and this machine is both sides.
            let (boot, cpu): (_, &[_]) = match self.plan.local {
                true => ("boot_s", &["start_cpu_ms"]),
                false => ("warm_boot_s", &["start_cpu_manager_ms", "start_cpu_host_ms"]),
            };
            times.into_iter().for_each(|time| samples.add(boot, time));
            cpu::note(samples, spent, rounds * self.plan.processes, cpu);
        }
        Ok(())
    }

    /// Measures a boot in which each process has a setup line that waits.
    pub fn setup(&mut self, samples: &mut Samples) -> Result<(), String> {
        let before = logins(&self.plan.sshd_log)?;
        let time = self.boot_and_end(Some(&format!("sleep {SETUP_SECONDS}")))?;
        if !self.has_made_logins(before, samples)? {
            samples.add("setup_boot_s", time);
        }
        Ok(())
    }

    fn has_made_logins(&self, before: usize, samples: &mut Samples) -> Result<bool, String> {
        let made = logins(&self.plan.sshd_log)? - before;
        if made > 0 {
            samples.note(format!("boots on open connections: they made {made} logins"));
        }
        Ok(made > 0)
    }

    /// Boots all processes and ends them. Returns how long the boot took, in seconds.
    fn boot_and_end(&mut self, setup: Option<&str>) -> Result<f64, String> {
        let begin = Instant::now();
        (0..self.plan.processes).try_for_each(|at| self.start(at, setup))?;
        self.wait_for_starts(self.plan.processes)?;
        let time = begin.elapsed().as_secs_f64();
        self.end_all()?;
        Ok(time)
    }

    /// Kills all processes, and waits until their wrappers have cleaned up. Returns how long the kill took, in seconds.
    pub fn end_all(&mut self) -> Result<f64, String> {
        self.note_lost();
        let wrappers: Vec<OwnedFd> = self.pids.values().filter_map(|pid| wrapper(*pid)).collect();
        let time = self.kill_all()?;
        let deadline = Instant::now() + PATIENCE;
        for wrapper in &wrappers {
            let ended = readable(&[wrapper.as_fd()], deadline);
            if !ended.map_err(|error| format!("cannot wait for a wrapper: {error}"))?[0] {
                return Err(format!("a wrapper has not ended within {PATIENCE:?}"));
            }
        }
        // sshd reaps the wrappers, and closes their channels.
        wait_for_quiet();
        self.forget_ends();
        Ok(time)
    }
}

/// Returns a descriptor of the parent of this application. `None` if the application has ended.
fn wrapper(application: i64) -> Option<OwnedFd> {
    pidfd(ProcessInfo::of(application as i32)?.ppid).ok()
}
