//! A random run of starts, kills, restarts and adoptions. 16 threads make five managers start processes: kept or not,
//! over shared connections or not. Each thread makes random calls about its processes, and kills or detaches managers
//! at random. Each application records its own life in a log, and the reports of the managers must agree with that log.
//! The test fails if anything is left at the end.
//!
//! Variables of the environment: `RANDOM_RUN_STARTS` is the number of processes to start (300). `RANDOM_RUN_SEED`
//! repeats the choices of an earlier run, which printed this number. `RANDOM_RUN_TRACE` names a file to which the run
//! writes each call and its answer.
#![allow(clippy::unwrap_used)]

mod board;
mod control;
#[allow(dead_code)]
#[path = "../faults/dice.rs"]
mod dice;
mod episode;
mod judge;
mod judge_tests;
mod lane;
mod life;
#[path = "../support/pattern.rs"]
mod pattern;
mod plan;
mod program;
mod report;
mod seats;
mod stage;
#[path = "../support/mod.rs"]
mod support;
mod tally;

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use board::Board;
use control::Control;
use lane::{Lane, Neighbour, Run};
use seats::Seats;
use stage::{HOST, Stage, Way};
use tally::Tally;

const LANES: usize = 16;
/// How long processes and files may take to disappear after the managers have let go. Longer than a lease.
const LEAVING: Duration = Duration::from_secs(60);

/// Runs a manager, when the suite starts this program again with only this test. Otherwise does nothing.
#[test]
fn manager_of_the_run() {
    if support::is_isolated("manager_of_the_run") {
        program::run();
    }
}

#[test]
fn a_random_run_reports_nothing_untrue_and_leaves_nothing() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("RANDOM_RUN_SEED").unwrap_or(now.as_nanos() as u64 % 1_000_000);
    let starts = number("RANDOM_RUN_STARTS").unwrap_or(300) as usize;
    let stage = Stage::set("manager_of_the_run");
    let board: Arc<Board> = Arc::default();
    let run = Run {
        stage: &stage,
        seats: Seats::new(&stage, &board),
        board,
        tally: Tally::new(starts, std::env::var_os("RANDOM_RUN_TRACE")),
        neighbours: (0..LANES).map(|_| Neighbour::default()).collect(),
        unacknowledged: Mutex::default(),
    };
    let silent: Vec<_> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|number| Lane::new(&run, number, seed)).collect();
        let threads: Vec<_> = lanes.into_iter().map(|lane| scope.spawn(|| lane.run())).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    for log in silent.iter().filter(|log| !life::read(log).is_empty()) {
        run.tally.fault(&format!("{}: the application ran after its end was reported", log.display()), "");
    }
    leave(&run);
    let faults = run.tally.faults();
    let summary = format!("{}; seed {seed}, {faults} faults", run.tally.summary());
    // A remote that is dropped during a panic prints sshd's log.
    drop(run);
    drop(stage);
    // eprintln would not do: the test runner captures its output.
    let _ = writeln!(std::io::stderr(), "{summary}");
    assert_eq!(faults, 0, "{summary}");
}

/// Detaches all managers, and notes a fault for each thing that is left on the host or here.
fn leave(run: &Run) {
    for manager in run.seats.all() {
        if let Err(error) = manager.detach() {
            run.tally.fault(&error, "");
        }
    }
    let last = run.seats.start(Way::Shared);
    let begun = Instant::now();
    let mut found = find(run, &last);
    while !found.is_empty() && begun.elapsed() < LEAVING {
        thread::sleep(Duration::from_millis(100));
        found = find(run, &last);
    }
    if !found.is_empty() {
        run.tally.fault(&format!("on the host: these processes were found: {found:?}"), "");
    }
    let cleaned = last.call(&format!("clean {HOST}"));
    if !cleaned.as_ref().is_ok_and(|text| !text.contains(" ended") && !text.contains(" running")) {
        run.tally.fault(&format!("on the host: the clean-up returned {cleaned:?}"), "");
    }
    if let Err(error) = last.detach() {
        run.tally.fault(&error, "");
    }
    if let Err(left) = run.stage.remote.nothing_left_within(LEAVING) {
        run.tally.fault("on the host: something is left", &left);
    }
    let begun = Instant::now();
    let mut left = Vec::new();
    while begun.elapsed() < LEAVING {
        left = run.stage.processes();
        if left.is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let left: Vec<_> = left.iter().map(support::ProcessInfo::describe).collect();
    if !left.is_empty() {
        run.tally.fault("here: processes are left", &left.join("\n"));
    }
    let sockets = run.stage.sockets();
    if !sockets.is_empty() {
        run.tally.fault("here: files are left", &format!("{sockets:?}"));
    }
}

/// Returns the processes that the host knows, each as "UUID STATE". Leaves out ended processes whose exit a manager
/// reported but may not have acknowledged to the host.
fn find(run: &Run, last: &Control) -> Vec<String> {
    let found = last.call(&format!("find {HOST}")).unwrap();
    let words: Vec<&str> = found.split_whitespace().collect();
    let unacknowledged = run.unacknowledged.lock().unwrap();
    let is_excused = |pair: &[&str]| pair[1] == "ended" && unacknowledged.iter().any(|uuid| uuid == pair[0]);
    words.chunks(2).filter(|pair| !is_excused(pair)).map(|pair| pair.join(" ")).collect()
}
