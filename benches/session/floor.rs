//! Measures the floor: what plain ssh takes on the same hosts. Nothing that uses ssh can be faster than that for long.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::again::SETUP_SECONDS;
use crate::clients::{Clients, STAY, read_pid, with_pipes};
use crate::cpu::{self, Cpu, rounds};
use crate::masters::{Masters, session};
use crate::proc::pss_kib_of;
use crate::rig::{Rig, SESSIONS_PER_CONNECTION};
use crate::samples::{Samples, ms};
use crate::session::{LINES, TRIES, wait_for_quiet};

/// Measures raw `ssh -S` over as many masters as sshpm has used: first with the logins of the masters, then over
/// masters that are ready.
pub fn shared(rig: &Rig, processes: usize, masters: usize, samples: &mut Samples) -> Result<(), String> {
    let masters = mux(rig, processes, masters, samples)?;
    sessions(rig, &masters, processes, samples)?;
    short_work(rig, &masters, samples)?;
    held(rig, &masters, processes, samples)
}

/// Measures the masters' logins and the sessions together. The sessions of a master start all at once as soon as it is
/// ready, and each master has an even share of them.
pub fn mux<'a>(rig: &'a Rig, processes: usize, count: usize, samples: &mut Samples) -> Result<Masters<'a>, String> {
    if count == 0 || processes > count * SESSIONS_PER_CONNECTION {
        return Err(format!("{count} connections cannot carry {processes} sessions"));
    }
    let logins = rig.logins()?;
    let mut clients = Clients::default();
    let begin = Instant::now();
    let masters = Masters::start(rig, count, |master| {
        (master..processes).step_by(count).try_for_each(|_| clients.spawn(&mut session(rig, master, "true")).map(drop))
    })?;
    clients.wait()?;
    samples.add("floor_mux_s", begin.elapsed().as_secs_f64());
    // A client that its master refuses would log in by itself.
    match rig.logins()? - logins {
        made if made == count => Ok(masters),
        made => Err(format!("{count} raw masters made {made} logins")),
    }
}

fn sessions(rig: &Rig, masters: &Masters, processes: usize, samples: &mut Samples) -> Result<(), String> {
    wait_for_quiet();
    let cpu = Cpu::now(rig.sshd_pid());
    for _ in 0..rounds(processes) {
        let mut clients = Clients::default();
        let begin = Instant::now();
        for number in 0..processes {
            clients.spawn(&mut session(rig, number % masters.count, "true"))?;
        }
        clients.wait()?;
        let time = begin.elapsed().as_secs_f64();
        samples.add("floor_sessions_s", time);
        samples.add("floor_setup_s", SETUP_SECONDS + time);
        wait_for_quiet();
    }
    let starts = rounds(processes) * processes;
    cpu::note(samples, cpu.and_then(Cpu::spent), starts, &["floor_cpu_manager_ms", "floor_cpu_host_ms"]);
    Ok(())
}

/// Measures one session at a time, over a master that is ready and with a login of its own. The table shows these times
/// beside reads of a log and validations.
fn short_work(rig: &Rig, masters: &Masters, samples: &mut Samples) -> Result<(), String> {
    let tail = format!("tail -n {LINES} {}", rig.log_file().display());
    for number in 0..TRIES {
        for (command, over_master, alone) in
            [("true", "floor_true_mux_ms", "floor_true_fresh_ms"), (&tail, "floor_tail_mux_ms", "floor_tail_fresh_ms")]
        {
            let mut fresh = rig.ssh();
            fresh.args([&rig.host(number), command]);
            for (name, mut ssh) in [(over_master, session(rig, number % masters.count, command)), (alone, fresh)] {
                let mut client = Clients::default();
                let begin = Instant::now();
                client.spawn(&mut ssh)?;
                client.wait()?;
                samples.add(name, ms(begin.elapsed()));
            }
        }
    }
    Ok(())
}

/// Measures sessions that stay: the memory of their clients, and how long a client takes to return after its process
/// was killed.
fn held(rig: &Rig, masters: &Masters, processes: usize, samples: &mut Samples) -> Result<(), String> {
    let mut clients = Clients::default();
    for number in 0..processes {
        clients.spawn(with_pipes(&mut session(rig, number % masters.count, STAY)))?;
    }
    let pids = clients.children().iter_mut().map(read_pid).collect::<Result<Vec<_>, _>>()?;
    if let Some(pss) = pss_kib_of(clients.pids().chain(masters.pids())) {
        samples.add("floor_ssh_pss_kib_per_process", pss / processes as f64);
    }
    wait_for_quiet();
    for (client, pid) in clients.children().iter_mut().zip(pids).take(TRIES) {
        let begin = Instant::now();
        // The process is ours, and sshd has not reaped it: no other process can have its pid.
        // SAFETY: takes integers and touches no memory.
        if unsafe { libc::kill(pid, libc::SIGKILL) } != 0 {
            return Err(format!("cannot kill -9 {pid}: {}", std::io::Error::last_os_error()));
        }
        client.wait().map_err(|error| format!("a raw ssh client: {error}"))?;
        samples.add("floor_notice_ms", ms(begin.elapsed()));
    }
    Ok(())
}

/// Measures `ssh HOST true` without sharing, with as many clients at once as sshd accepts without dropping one.
pub fn fresh(rig: &Rig, processes: usize, samples: &mut Samples) -> Result<(), String> {
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let begin = Instant::now();
    thread::scope(|scope| {
        for _ in 0..rig.at_once().min(processes) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= processes {
                        return;
                    }
                    if !rig.ssh().args([&rig.host(number), "true"]).status().is_ok_and(|status| status.success()) {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let time = begin.elapsed();
    match failed.into_inner() {
        0 => samples.add("floor_fresh_s", time.as_secs_f64()),
        failed => return Err(format!("{failed} of {processes} raw ssh sessions failed")),
    }
    Ok(())
}
