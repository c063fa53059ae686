//! Describes when and on what machine the benchmark runs.

use std::fs;
use std::process::Command;

pub fn describe() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?.split_once(':')?.1.trim().to_owned();
        (!line.is_empty()).then_some(line)
    };
    let cpu = field(&cpuinfo, "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    format!(
        "{}; {cores} × {cpu}, {memory}; Linux {}; {}; load {} when it began",
        first_line("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        kernel.trim(),
        first_line("ssh", &["-V"]),
        load.split_ascii_whitespace().next().unwrap_or_default(),
    )
}

/// Returns the first line that a program writes, on whichever stream.
fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned()
}
