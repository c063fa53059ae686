//! The table: each number of sshpm beside the floor of the same run, their ratio, and the target.

use crate::args::Args;
use crate::rig::Rig;
use crate::samples::Samples;
use crate::tools::TOOLS;

/// The target of a row.
#[derive(Debug, Clone, Copy)]
enum Target {
    None,
    Ratio(f64),
    RatioBelow(f64),
    Value(f64),
}

impl Target {
    /// Returns the target if it applies. Some targets are for sessions of a certain size.
    fn only_if(self, applies: bool) -> Target {
        if applies { self } else { Target::None }
    }
}

/// One row. It names its samples.
struct Row {
    what: String,
    ours: &'static str,
    unit: &'static str,
    /// The floor or the tool: its label, and the name of its sample.
    other: Option<(String, &'static str)>,
    target: Target,
}

impl Row {
    fn new(what: impl Into<String>, ours: &'static str, unit: &'static str) -> Row {
        Row { what: what.into(), ours, unit, other: None, target: Target::None }
    }

    fn beside(mut self, what: impl Into<String>, sample: &'static str) -> Row {
        self.other = Some((what.into(), sample));
        self
    }

    fn target(mut self, target: Target) -> Row {
        self.target = target;
        self
    }

    fn print(&self, samples: &Samples) -> String {
        let other = match &self.other {
            None => "–".to_owned(),
            Some((what, sample)) => format!("{what}: {}", value(samples, sample, self.unit)),
        };
        let ours = samples.median(self.ours);
        let ratio = self.other.as_ref().and_then(|(_, sample)| Some(ours? / samples.median(sample)?));
        let (target, reached) = match self.target {
            Target::None => ("–".to_owned(), None),
            Target::Ratio(most) => (format!("≤ {most} ×"), ratio.map(|ratio| ratio <= most)),
            Target::RatioBelow(bound) => (format!("< {bound} ×"), ratio.map(|ratio| ratio < bound)),
            Target::Value(most) => {
                (format!("≤ {most} {}", self.unit).trim_end().to_owned(), ours.map(|ours| ours <= most))
            }
        };
        let reached = match reached {
            None => "",
            Some(true) => ": reached",
            Some(false) => ": MISSED",
        };
        let ratio = ratio.filter(|ratio| ratio.is_finite()).map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
        format!("| {} | {} | {other} | {ratio} | {target}{reached} |", self.what, value(samples, self.ours, self.unit))
    }
}

/// Returns the median, with the least and the greatest value in parentheses if they differ.
fn value(samples: &Samples, name: &str, unit: &str) -> String {
    let (Some(median), Some(least), Some(most)) = (samples.median(name), samples.least(name), samples.most(name))
    else {
        return "not measured".to_owned();
    };
    let [median, least, most] = [median, least, most].map(number);
    let range = if least == most { String::new() } else { format!(" ({least} – {most})") };
    format!("{median}{range} {unit}").trim_end().to_owned()
}

/// Formats a number with three significant digits, and an integer in full.
fn number(value: f64) -> String {
    match value.abs() {
        _ if value.fract() == 0.0 => format!("{value}"),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Returns the samples as a table in Markdown.
pub fn print(args: &Args, rig: &Rig, samples: &Samples) -> String {
    let mut rows = boot_rows(args, rig, samples);
    rows.extend(life_rows(args));
    rows.extend(cost_rows(args));
    rows.extend(idle_rows(args));
    let mut text = "| what | sshpm | beside it | ratio | target |\n|---|---|---|---|---|\n".to_owned();
    for row in rows {
        text += &row.print(samples);
        text.push('\n');
    }
    for note in &samples.notes {
        text += &format!("\nnot measured: {note}\n");
    }
    text
}

fn boot_rows(args: &Args, rig: &Rig, samples: &Samples) -> Vec<Row> {
    let count = args.processes;
    let boot = format!("boot of {count}, connections included");
    let masters = samples.median("logins").map_or("as many".to_owned(), number);
    let floor = format!("raw `ssh -S` of {count} `true`, its {masters} masters included");
    let fresh = format!("raw `ssh` of {count} `true`, unshared, {} at once", rig.at_once());
    let mut rows = vec![
        Row::new(&boot, "boot_s", "s").beside(floor, "floor_mux_s").target(Target::Ratio(1.5)),
        Row::new(&boot, "boot_s", "s").beside(fresh, "floor_fresh_s"),
    ];
    for tool in TOOLS.iter().filter(|_| args.tools) {
        let how = tool.how.replace("%P", &rig.at_once().to_string());
        let what = match tool.program() {
            Some(_) => format!("`{how}` of {count} `true`"),
            None => format!("{} is not installed", tool.name),
        };
        let target = if tool.key == "parallel_ssh_s" { Target::RatioBelow(1.0) } else { Target::None };
        rows.push(Row::new(&boot, "boot_s", "s").beside(what, tool.key).target(target));
    }
    if let Some(larger) = args.larger() {
        let row = Row::new(format!("boot of {larger}"), "larger_boot_s", "s");
        rows.push(row.beside(format!("boot of {count}"), "boot_s").target(Target::Ratio(4.4)));
        rows.push(Row::new(format!("logins for {larger}"), "larger_logins", ""));
    }
    rows.push(Row::new(format!("logins for {count}"), "logins", ""));
    rows.push(Row::new("processes lost, in all", "lost", "").target(Target::Value(0.0)));
    rows
}

fn life_rows(args: &Args) -> Vec<Row> {
    let count = args.processes;
    let kill = format!("kill of all {count}");
    let sessions = format!("raw `ssh -S` of {count} `true` over masters that are ready");
    let notice = "notice of a death by kill -9";
    vec![
        Row::new(&kill, "kill_all_s", "s").beside(sessions, "floor_sessions_s").target(Target::Ratio(0.25)),
        Row::new(&kill, "kill_all_s", "s").target(Target::Value(0.1).only_if(count <= 50)),
        Row::new(notice, "death_notice_ms", "ms")
            .beside("until the raw `ssh -S` client is reaped", "floor_notice_ms")
            .target(Target::Ratio(1.0)),
        Row::new(notice, "death_notice_ms", "ms").target(Target::Value(3.0)),
        Row::new("is_process_alive", "alive_us", "µs").target(Target::Value(1.0)),
        Row::new("read of a log, 100 lines of 1 MB", "read_log_ms", "ms")
            .beside("raw `ssh -S … tail`", "floor_tail_mux_ms"),
        Row::new("read of a log, 100 lines of 1 MB", "read_log_ms", "ms")
            .beside("raw `ssh … tail`, unshared", "floor_tail_fresh_ms"),
        Row::new("validate a host", "validate_ms", "ms").beside("raw `ssh -S … true`", "floor_true_mux_ms"),
        Row::new("validate a host", "validate_ms", "ms").beside("raw `ssh … true`, unshared", "floor_true_fresh_ms"),
    ]
}

fn cost_rows(args: &Args) -> Vec<Row> {
    let per = |what: &str| format!("{what} per process, at {}", args.processes);
    let mut rows = vec![
        Row::new(per("manager's memory"), "manager_kib_per_process", "KiB")
            .target(Target::Value(40.0).only_if(args.processes >= 200)),
        Row::new(per("ssh clients' PSS"), "ssh_pss_kib_per_process", "KiB")
            .beside("raw `ssh -S` and its masters", "floor_ssh_pss_kib_per_process"),
        Row::new(per("threads"), "threads_per_process", ""),
        Row::new(per("descriptors"), "descriptors_per_process", ""),
        Row::new(format!("ssh clients, at {}", args.processes), "ssh_clients", ""),
    ];
    if let Some(larger) = args.larger() {
        let row =
            Row::new(format!("manager's memory per process, at {larger}"), "larger_manager_kib_per_process", "KiB");
        rows.insert(1, row.target(Target::Value(40.0).only_if(larger >= 200)));
    }
    rows
}

fn idle_rows(args: &Args) -> Vec<Row> {
    let (count, seconds) = args.idle();
    let idle = |what: &str| format!("{count} idle for {seconds} s: {what}");
    vec![
        Row::new(idle("wake-ups of watcher threads"), "idle_wakeups", "").target(Target::Value(0.0)),
        Row::new(idle("wake-ups of the manager's other threads"), "idle_connection_wakeups", ""),
        Row::new(idle("wrappers that forked"), "idle_remote_forks", "").target(Target::Value(0.0)),
        Row::new(idle("connections' shells that forked"), "idle_remote_connection_forks", ""),
        Row::new(idle("logins"), "idle_logins", ""),
        Row::new(idle("CPU of the manager"), "idle_manager_cpu_ms", "ms"),
        Row::new(idle("CPU of its ssh clients"), "idle_ssh_cpu_ms", "ms"),
        Row::new(idle("CPU of the remote, sshd included"), "idle_remote_cpu_ms", "ms"),
    ]
}
