//! sshpm's benchmark: a session of run control against a private sshd, beside raw ssh and other tools.
//! `cargo bench --bench session -- --help` lists the options; docs/benchmarks.md explains each number.
//!
//! Each repetition measures everything once, in turn, so that other work of the machine affects all measurements alike.
//! Each session of sshpm runs in a new process of this program, which contains only the manager.

mod again;
mod args;
mod clients;
mod cpu;
mod curves;
mod floor;
mod idle;
mod local;
mod machine;
mod masters;
mod plan;
mod proc;
mod repeat;
mod rig;
mod rows;
mod samples;
mod session;
#[path = "../../tests/support/mod.rs"]
mod support;
mod table;
mod tools;
mod wait;
mod wide;

use std::io::Write;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use args::{Args, Invocation};
use rig::Rig;
use samples::Samples;
use tools::TOOLS;

fn main() -> ExitCode {
    let done = match args::parse(std::env::args().skip(1)) {
        Ok(Invocation::Help) => say(args::USAGE).map(|()| true),
        Ok(Invocation::Session(plan)) => {
            session::run(&plan).and_then(|samples| say(&samples.to_json()?)).map(|()| true)
        }
        Ok(Invocation::Measure(args)) => measure(&args),
        Err(error) => {
            eprintln!("session: {error}\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("session: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures everything and prints the results. Returns true if no process was lost.
fn measure(args: &Args) -> Result<bool, String> {
    proc::raise_descriptor_limit();
    let machine = machine::describe();
    let rig = Rig::start(args.hosts, args.shared)?;
    let mut samples = Samples::default();
    for repetition in 1..=args.repetitions {
        eprintln!("repetition {repetition} of {}", args.repetitions);
        repeat::repeat(args, &rig, &mut samples)?;
    }
    let table = table::print(args, &rig, &samples);
    let count = args.repetitions;
    say(&format!("{machine}\n{}\nmedians of {count} repetitions (least – most)\n\n{table}", rig.describe()))?;
    if let Some(file) = &args.plot {
        curves::draw(file, args, &samples)?;
    }
    if args.json {
        say(&to_json(args, &samples).to_string())?;
    }
    Ok(lost(&samples) == 0.0)
}

/// Writes a line to stdout. Returns an error if nobody reads it any more.
fn say(line: &str) -> Result<(), String> {
    writeln!(std::io::stdout(), "{line}").map_err(|error| format!("cannot write to stdout: {error}"))
}

/// Returns how many processes were lost in all sessions together.
fn lost(samples: &Samples) -> f64 {
    let of_sessions = samples.names().filter(|name| name.split('_').any(|word| word == "lost"));
    of_sessions.map(|name| samples.sum(name)).sum()
}

/// Returns the medians of everything that was measured, and null for what users rely on and was not measured.
fn to_json(args: &Args, samples: &Samples) -> Value {
    const ALWAYS: [&str; 33] = [
        "logins",
        "boot_s",
        "floor_mux_s",
        "floor_sessions_s",
        "floor_fresh_s",
        "boot_no_client_s",
        "warm_boot_s",
        "warm_boot_no_client_s",
        "setup_boot_s",
        "floor_setup_s",
        "local_boot_s",
        "floor_local_s",
        "no_x11_boot_s",
        "x11_boot_s",
        "x11_forwarded_boot_s",
        "thousand_boot_s",
        "start_cpu_manager_ms",
        "start_cpu_manager_no_client_ms",
        "start_cpu_host_ms",
        "floor_cpu_manager_ms",
        "floor_cpu_host_ms",
        "local_start_cpu_ms",
        "floor_local_cpu_ms",
        "kill_all_s",
        "death_notice_ms",
        "floor_notice_ms",
        "alive_us",
        "read_log_ms",
        "validate_ms",
        "manager_kib_per_process",
        "ssh_pss_kib_per_process",
        "ssh_pss_no_client_kib_per_process",
        "idle_wakeups",
    ];
    let names = ALWAYS.into_iter().chain(TOOLS.iter().map(|tool| tool.key)).chain(samples.names());
    let mut object: Map<_, _> = names.map(|name| (name.to_owned(), json!(samples.median(name)))).collect();
    for (name, value) in [("processes", args.processes), ("hosts", args.hosts), ("repetitions", args.repetitions)] {
        object.insert(name.to_owned(), json!(value));
    }
    object.insert("remote_forks".to_owned(), json!(samples.median("idle_remote_forks")));
    object.insert("lost".to_owned(), json!(lost(samples) as u64));
    Value::Object(object)
}
