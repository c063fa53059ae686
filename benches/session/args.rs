//! The command line of the benchmark.

use std::path::PathBuf;

use crate::plan::Plan;

pub const USAGE: &str = "\
usage: cargo bench --bench session -- [OPTION]...

  --processes N    boots N processes (default 50)
  --hosts H        boots them on H hosts, which are aliases of one private sshd (default 1)
  --repetitions R  measures everything R times, in turn (default 5, the fewest for a median that counts)
  --unshared       shares no connections: each process logs in by itself
  --no-tools       does not measure pdsh, clush, parallel and parallel-ssh
  --thousand       boots 1,000 processes on 100 hosts too, which takes long
  --plot FILE      measures boots of 1 to 200 processes too, and draws them as an SVG
  --json           prints one object on one line at the end: medians, or null where nothing was measured
  --smoke          only checks that the benchmark works, with few processes; the numbers mean nothing";

/// Not for users: makes this program run one session, in a process of its own.
pub const AS_SESSION: &str = "--as-session";

/// With more processes, the numbers would say more about the machine than about the library.
const MOST_PROCESSES: usize = 5000;
const MOST_HOSTS: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    pub processes: usize,
    pub hosts: usize,
    pub repetitions: usize,
    pub shared: bool,
    pub tools: bool,
    pub thousand: bool,
    pub plot: Option<PathBuf>,
    pub json: bool,
    /// Only checks that the benchmark works, with few processes and short times.
    pub smoke: bool,
}

pub enum Invocation {
    Help,
    Measure(Args),
    Session(Plan),
}

impl Args {
    fn defaults() -> Args {
        Args {
            processes: 50,
            hosts: 1,
            repetitions: 5,
            shared: true,
            tools: true,
            thousand: false,
            plot: None,
            json: false,
            smoke: false,
        }
    }

    /// Reduces the arguments to what `--smoke` measures. `cargo test --bench session`, which starts the benchmark
    /// without `--bench`, does so too.
    fn smoke(self) -> Args {
        Args { processes: 2, hosts: 1, repetitions: 1, tools: false, thousand: true, smoke: true, ..self }
    }

    /// Returns how many processes the idle measurement has, and how many seconds it takes.
    pub fn idle(&self) -> (usize, u64) {
        if self.smoke { (2, 1) } else { (100, 10) }
    }

    /// Returns how many processes the boots with X11 have, and how many hosts.
    pub fn x11(&self) -> (usize, usize) {
        if self.smoke { (4, 2) } else { (160, 20) }
    }

    /// Returns how many processes the largest boot has, how many hosts, and its soft limit of descriptors, which is too
    /// low for them.
    pub fn thousand(&self) -> (usize, usize, u64) {
        if self.smoke { (24, 2, 64) } else { (1000, 100, 1024) }
    }

    /// Returns how many processes the larger boot has: four times as many. `None` if sessions are not that large, or if
    /// `smoke` is set.
    pub fn larger(&self) -> Option<usize> {
        let larger = self.processes * 4;
        (larger <= 400 && !self.smoke).then_some(larger)
    }
}

/// Parses the arguments behind the program's name.
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
            "--plot" => args.plot = Some(value()?.into()),
            AS_SESSION => return Plan::from_json(&value()?).map(Invocation::Session),
            _ if joined.is_some() => return Err(format!("unknown option {word:?}")),
            "--unshared" => args.shared = false,
            "--no-tools" => args.tools = false,
            "--thousand" => args.thousand = true,
            "--json" => args.json = true,
            "--smoke" => args.smoke = true,
            "--help" | "-h" => return Ok(Invocation::Help),
            _ => return Err(format!("unknown option {word:?}")),
        }
    }
    if args.hosts > args.processes {
        return Err(format!(
            "{} processes cannot use {} hosts: there must be at most as many hosts as processes",
            args.processes, args.hosts
        ));
    }
    let smoke = args.smoke || !(by_cargo_bench || any);
    Ok(Invocation::Measure(if smoke { args.smoke() } else { args }))
}

fn number(name: &str, value: &str, most: usize) -> Result<usize, String> {
    match value.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("invalid value {value:?} of {name}: must be a number from 1 to {most}")),
    }
}
