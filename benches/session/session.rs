//! One session of sshpm. It runs in a process of its own, so that nothing of the benchmark counts as the manager's.

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use sshpm::{BootRequest, Event, EventKind, KillTimeouts, Launcher, Manager, Options, Subscription};

use crate::idle;
use crate::plan::{Extent, Plan};
use crate::proc::{Own, descendants, pss_kib_of, set_soft_descriptor_limit};
use crate::samples::{Samples, ms};

/// How long the next event or answer may take. The whole time passes only if something is wrong.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Long enough for a thousand logins.
const START_TIMEOUT: Duration = Duration::from_secs(1800);
/// How many deaths, reads and validations are measured in one session.
pub const TRIES: usize = 5;
/// How many calls of is_process_alive make one measurement.
const CALLS: usize = 20_000;
/// How many lines of the log are read: the seed's default.
pub const LINES: usize = 100;

/// Waits until processes that were started or ended have finished their work on both sides. No event reports that.
pub fn wait_for_quiet() {
    std::thread::sleep(Duration::from_secs(1));
}

/// Carries out the plan, and returns the samples.
pub fn run(plan: &Plan) -> Result<Samples, String> {
    // If the benchmark is killed, nobody needs the samples. The signal comes when the thread ends that started this
    // process; in the benchmark, that is the main thread.
    // SAFETY: prctl with integers only.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    if plan.local {
        // A process that has lost its parent becomes a child of this one, so that its CPU time counts here.
        // SAFETY: prctl with integers only.
        unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    }
    if let Some(limit) = plan.descriptor_limit {
        set_soft_descriptor_limit(limit);
    }
    let mut samples = Samples::default();
    let mut session = Session::boot(plan, &mut samples)?;
    match plan.extent {
        Extent::Boot | Extent::Again => {}
        Extent::Full => {
            session.alive(&mut samples);
            session.read_log(&mut samples)?;
            session.validate(&mut samples)?;
            session.deaths(&mut samples)?;
        }
        Extent::Idle(seconds) => {
            wait_for_quiet();
            let pids: Vec<_> = session.pids.values().copied().collect();
            idle::measure(&mut samples, plan.sshd_pid, &pids, Duration::from_secs(seconds));
        }
    }
    wait_for_quiet();
    samples.add("kill_all_s", session.end_all()?);
    if matches!(plan.extent, Extent::Full | Extent::Again) && (plan.shared || plan.local) {
        session.again(&mut samples)?;
    }
    if plan.extent == Extent::Full && plan.shared {
        session.setup(&mut samples)?;
    }
    samples.add("lost", session.lost as f64);
    Ok(samples)
}

fn options(plan: &Plan) -> Options {
    let options = Options::new()
        .ssh_config(&plan.ssh_config)
        .share_connections(plan.shared)
        .ssh_client_per_process(plan.clients)
        .raise_descriptor_limit(plan.descriptor_limit.is_some())
        .launcher(if plan.local { Launcher::Local } else { Launcher::Ssh });
    plan.ssh_option.iter().fold(options, Options::ssh_option)
}

/// Returns how many logins sshd's log has.
pub fn logins(sshd_log: &Path) -> Result<usize, String> {
    let log = fs::read(sshd_log).map_err(|error| format!("sshd's log: {error}"))?;
    Ok(String::from_utf8_lossy(&log).matches("Accepted publickey").count())
}

pub struct Session<'a> {
    pub plan: &'a Plan,
    manager: Manager,
    events: Subscription,
    uuids: Vec<String>,
    /// The remote pids of the processes that run.
    pub pids: BTreeMap<String, i64>,
    lost: usize,
}

impl Session<'_> {
    /// Boots all processes, and measures what they need.
    fn boot<'a>(plan: &'a Plan, samples: &mut Samples) -> Result<Session<'a>, String> {
        let uuids: Vec<_> = (0..plan.processes).map(|at| format!("process-{at}")).collect();
        let logins_before = logins(&plan.sshd_log)?;
        let before = Own::now();
        let manager = Manager::new(options(plan)).map_err(|error| error.to_string())?;
        let events = manager.subscribe().map_err(|error| error.to_string())?;
        let mut session = Session { plan, manager, events, uuids, pids: BTreeMap::new(), lost: 0 };

        let begin = Instant::now();
        for at in 0..plan.processes {
            session.start(at, None)?;
        }
        session.wait_for_starts(plan.processes)?;
        samples.add("boot_s", begin.elapsed().as_secs_f64());

        let after = Own::now();
        samples.add("logins", (logins(&plan.sshd_log)? - logins_before) as f64);
        session.note_needs(samples, &before, &after);
        Ok(session)
    }

    /// Starts an application that writes a line and then waits for a signal, which ends it at once.
    pub fn start(&self, at: usize, setup: Option<&str>) -> Result<(), String> {
        let program = self.plan.app.as_os_str().to_owned();
        let argv = [program, "heartbeat".into(), "1000000".into()];
        let mut request = BootRequest::new(self.plan.host(at), argv).start_timeout(START_TIMEOUT);
        if let Some(line) = setup {
            request = request.setup_line(line);
        }
        self.manager.start_process(&self.uuids[at], &request).map(|_| ()).map_err(|error| error.to_string())
    }

    pub fn wait_for_starts(&mut self, count: usize) -> Result<(), String> {
        let mut left = count;
        while left > 0 {
            match self.events.recv_timeout(PATIENCE) {
                Ok(Event { uuid, kind: EventKind::Started { pid }, .. }) => {
                    self.pids.insert(uuid, pid);
                    left -= 1;
                }
                Ok(event) => {
                    left -= usize::from(matches!(event.kind, EventKind::StartFailed { .. }));
                    self.lose(&event);
                }
                Err(_) => {
                    return Err(format!("{left} of {count} processes did not start: no event came for {PATIENCE:?}"));
                }
            }
        }
        Ok(())
    }

    /// Counts and prints an event that the benchmark did not cause.
    fn lose(&mut self, event: &Event) {
        eprintln!("lost: {event:?}");
        self.lost += 1;
        self.pids.remove(&event.uuid);
    }

    fn note_needs(&self, samples: &mut Samples, before: &Own, after: &Own) {
        let count = self.plan.processes as f64;
        if let (Some(before), Some(after)) = (before.pss_kib, after.pss_kib) {
            samples.add("manager_kib_per_process", (after - before) / count);
        }
        samples.add("threads_per_process", (after.threads - before.threads) as f64 / count);
        samples.add("descriptors_per_process", (after.descriptors - before.descriptors) as f64 / count);
        let clients = descendants(std::process::id() as i32);
        samples.add("ssh_clients", clients.len() as f64);
        if !self.plan.clients && samples.last("logins") < samples.last("ssh_clients") {
            samples
                .note("without clients: this ssh needs clients, so the numbers are those of a boot with them".into());
        }
        if let Some(pss) = pss_kib_of(clients.iter().map(|process| process.pid)) {
            samples.add("ssh_pss_kib_per_process", pss / count);
        }
    }

    fn alive(&self, samples: &mut Samples) {
        for _ in 0..TRIES {
            let begin = Instant::now();
            for uuid in self.uuids.iter().cycle().take(CALLS) {
                black_box(self.manager.is_process_alive(uuid));
            }
            samples.add("alive_us", begin.elapsed().as_secs_f64() * 1e6 / CALLS as f64);
        }
    }

    fn read_log(&self, samples: &mut Samples) -> Result<(), String> {
        for at in 0..TRIES {
            let begin = Instant::now();
            let log = self.manager.read_log_file(self.plan.host(at), None, &self.plan.log_file, LINES, PATIENCE);
            samples.add("read_log_ms", ms(begin.elapsed()));
            let lines = log.map_err(|error| error.to_string())?.iter().filter(|byte| **byte == b'\n').count();
            if lines != LINES {
                return Err(format!("read {lines} lines of the log in place of {LINES}"));
            }
        }
        Ok(())
    }

    fn validate(&self, samples: &mut Samples) -> Result<(), String> {
        for at in 0..TRIES {
            let begin = Instant::now();
            let valid = self.manager.validate_host_connection(self.plan.host(at), None, None);
            samples.add("validate_ms", ms(begin.elapsed()));
            valid.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Kills some processes one by one, as if they had crashed, and then starts them again.
    fn deaths(&mut self, samples: &mut Samples) -> Result<(), String> {
        let mut dead = Vec::new();
        wait_for_quiet();
        for at in 0..TRIES.min(self.plan.processes) {
            // A process that was lost before stays lost.
            let Some(pid) = self.pids.remove(&self.uuids[at]) else { continue };
            let begin = Instant::now();
            // The process is ours, and its wrapper has not reaped it: no other process can have its pid.
            // SAFETY: takes integers and touches no memory.
            if unsafe { libc::kill(pid as i32, libc::SIGKILL) } != 0 {
                return Err(format!("cannot kill -9 {pid}: {}", std::io::Error::last_os_error()));
            }
            self.wait_for_end(at)?;
            samples.add("death_notice_ms", ms(begin.elapsed()));
            dead.push(at);
        }
        dead.iter().try_for_each(|at| self.start(*at, None))?;
        self.wait_for_starts(dead.len())
    }

    fn wait_for_end(&mut self, at: usize) -> Result<(), String> {
        loop {
            match self.events.recv_timeout(PATIENCE) {
                Ok(Event { uuid, kind: EventKind::Exited { .. }, .. }) if uuid == self.uuids[at] => return Ok(()),
                Ok(event) => self.lose(&event),
                Err(_) => return Err(format!("no event came for {PATIENCE:?} after {} was killed", self.uuids[at])),
            }
        }
    }

    /// Counts the processes that were lost by themselves until now.
    pub fn note_lost(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            self.lose(&event);
        }
    }

    /// Drops the events of ends that the benchmark has caused.
    pub fn forget_ends(&mut self) {
        while self.events.try_recv().is_ok() {}
        self.pids.clear();
    }

    /// Kills all processes. Returns how long that took, in seconds.
    pub fn kill_all(&mut self) -> Result<f64, String> {
        let begin = Instant::now();
        let results = self.manager.kill_all_processes(&KillTimeouts::default()).map_err(|error| error.to_string())?;
        let time = begin.elapsed().as_secs_f64();
        for (uuid, result) in &results {
            // A process that was lost before has been counted.
            if let (Err(error), true) = (result, self.pids.contains_key(uuid)) {
                eprintln!("lost: {uuid}: {error}");
                self.lost += 1;
            }
        }
        Ok(time)
    }
}
