//! What the command line says.

use crate::plan::Plan;

pub const USAGE: &str = "\
usage: cargo bench --bench session -- [--processes N] [--hosts H] [--repetitions R] [--unshared] [--no-tools] [--json]

  --processes N    how many processes are booted (default 50)
  --hosts H        over how many hosts, which are aliases of one private sshd (default 1)
  --repetitions R  how often each thing is measured, each in turn (default 5, the fewest for a median that counts)
  --unshared       without shared connections: each process logs in by itself
  --no-tools       without pdsh, clush, parallel and parallel-ssh
  --json           one object on one line, last: medians, null where not measured";

/// Not for users: this program again, for one session in a process of its own.
pub const AS_SESSION: &str = "--as-session";

/// More would say more of the machine than of the library.
const MOST_PROCESSES: usize = 5000;
const MOST_HOSTS: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    pub processes: usize,
    pub hosts: usize,
    pub repetitions: usize,
    pub shared: bool,
    pub tools: bool,
    pub json: bool,
    /// Only to see that the benchmark works: few processes and short times.
    pub smoke: bool,
}

pub enum Invocation {
    Help,
    Measure(Args),
    Session(Plan),
}

impl Args {
    fn defaults() -> Args {
        Args { processes: 50, hosts: 1, repetitions: 5, shared: true, tools: true, json: false, smoke: false }
    }

    /// What `cargo test --benches` gets, which starts it without `--bench`.
    fn smoke() -> Args {
        Args { processes: 2, repetitions: 1, tools: false, smoke: true, ..Args::defaults() }
    }

    /// How many processes the idle measure has, and for how many seconds.
    pub fn idle(&self) -> (usize, u64) {
        if self.smoke { (2, 1) } else { (100, 10) }
    }

    /// The larger boot that is compared with the one asked for: four times as many. Not measured where that is beyond
    /// what sessions have.
    pub fn larger(&self) -> Option<usize> {
        let larger = self.processes * 4;
        (larger <= 400 && !self.smoke).then_some(larger)
    }
}

/// Reads the arguments behind the program's name.
pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Invocation, String> {
    let mut args = Args::defaults();
    let mut by_cargo_bench = false;
    let mut any = false;
    while let Some(word) = words.next() {
        if word == "--bench" {
            by_cargo_bench = true;
            continue;
        }
        any = true;
        let (name, joined) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let mut value = || joined.clone().or_else(|| words.next()).ok_or(format!("{name} needs a value"));
        match name {
            "--processes" => args.processes = number(name, &value()?, MOST_PROCESSES)?,
            "--hosts" => args.hosts = number(name, &value()?, MOST_HOSTS)?,
            "--repetitions" => args.repetitions = number(name, &value()?, 100)?,
            AS_SESSION => return Plan::from_json(&value()?).map(Invocation::Session),
            _ if joined.is_some() => return Err(format!("what is {word:?}?")),
            "--unshared" => args.shared = false,
            "--no-tools" => args.tools = false,
            "--json" => args.json = true,
            "--help" | "-h" => return Ok(Invocation::Help),
            _ => return Err(format!("what is {word:?}?")),
        }
    }
    if args.hosts > args.processes {
        return Err(format!("{} processes cannot be on {} hosts", args.processes, args.hosts));
    }
    Ok(Invocation::Measure(if by_cargo_bench || any { args } else { Args::smoke() }))
}

fn number(name: &str, value: &str, most: usize) -> Result<usize, String> {
    match value.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("{name} is a number from 1 to {most}, not {value:?}")),
    }
}
