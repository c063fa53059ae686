//! The rows of the table: which number stands beside which, and what each is to reach.

use crate::args::Args;
use crate::rig::Rig;
use crate::samples::Samples;
use crate::table::{Row, Target, number};
use crate::tools::TOOLS;

const NO_CLIENT: &str = ", without clients";
/// What counts as not slower: medians of equal measurements differ by some percent.
const NOT_SLOWER: f64 = 1.05;
const SSH_PSS_NO_CLIENT: &str = "ssh_pss_no_client_kib_per_process";

/// Returns all rows, in the order of the table.
pub fn rows(args: &Args, rig: &Rig, samples: &Samples) -> Vec<Row> {
    let mut rows = boot_rows(args, rig, samples);
    rows.extend(shared_rows(args));
    rows.extend(local_rows(args));
    rows.extend(x11_rows(args));
    rows.extend(args.thousand.then(|| thousand_row(args)));
    rows.extend(life_rows(args));
    rows.extend(cost_rows(args));
    rows.extend(idle_rows(args));
    rows
}

fn boot_rows(args: &Args, rig: &Rig, samples: &Samples) -> Vec<Row> {
    let count = args.processes;
    let boot = format!("boot of {count}, connections included");
    let masters = samples.median("logins").map_or("as many".to_owned(), number);
    let floor = format!("raw `ssh -S` of {count} `true`, its {masters} masters included");
    let fresh = format!("raw `ssh` of {count} `true`, unshared, {} at once", rig.at_once());
    let mut rows = vec![
        Row::new(&boot, "boot_s", "s").beside(floor, "floor_mux_s").target(Target::Ratio(1.25)),
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

/// Boots of which each connection can be shared, with an ssh client for each process and without.
fn shared_rows(args: &Args) -> Vec<Row> {
    let count = args.processes;
    let warm = |how: &str| format!("boot of {count} on open connections{how}");
    let cpu = |side: &str, how: &str| format!("CPU of one start and end over an open connection, {side} side{how}");
    let masters = format!("raw `ssh -S` of {count} `true`, its masters included");
    let ready = format!("raw `ssh -S` of {count} `true` over masters that are ready");
    let raw = "raw `ssh -S … true` over a master that is ready";
    let mut rows = vec![
        Row::new(format!("boot of {count}, connections included{NO_CLIENT}"), "boot_no_client_s", "s")
            .beside(masters, "floor_mux_s")
            .target(Target::Ratio(0.95)),
        Row::new(warm(""), "warm_boot_s", "s").beside(&ready, "floor_sessions_s").target(Target::Ratio(1.9)),
        Row::new(warm(NO_CLIENT), "warm_boot_no_client_s", "s")
            .beside(&ready, "floor_sessions_s")
            .target(Target::Ratio(1.0)),
        Row::new(warm(", with the setup line `sleep 1`"), "setup_boot_s", "s")
            .beside(format!("1 s, and {ready}"), "floor_setup_s"),
        Row::new(cpu("manager's", ""), "start_cpu_manager_ms", "ms").beside(raw, "floor_cpu_manager_ms"),
        Row::new(cpu("manager's", NO_CLIENT), "start_cpu_manager_no_client_ms", "ms")
            .beside(raw, "floor_cpu_manager_ms")
            .target(Target::Value(2.0)),
        Row::new(cpu("host's", ""), "start_cpu_host_ms", "ms")
            .beside(raw, "floor_cpu_host_ms")
            .target(Target::Value(10.0)),
        Row::new(format!("ssh clients' PSS per process, at {count}{NO_CLIENT}"), SSH_PSS_NO_CLIENT, "KiB")
            .beside("raw `ssh -S` and its masters", "floor_ssh_pss_kib_per_process")
            .target(Target::Value(300.0).only_if(count == 200)),
    ];
    if let Some(larger) = args.larger() {
        let pss = format!("ssh clients' PSS per process, at {larger}");
        let row = Row::new(format!("{pss}{NO_CLIENT}"), "larger_ssh_pss_no_client_kib_per_process", "KiB");
        rows.push(
            row.beside("with clients", "larger_ssh_pss_kib_per_process")
                .target(Target::Value(300.0).only_if(larger == 200)),
        );
    }
    rows
}

fn local_rows(args: &Args) -> Vec<Row> {
    let floor = "`sh -c 'setsid sh -c \"exec true\"'`";
    vec![
        Row::new(format!("boot of {} by the local launcher", args.processes), "local_boot_s", "s")
            .beside(format!("{} × {floor}", args.processes), "floor_local_s"),
        Row::new("CPU of one start and end by the local launcher", "local_start_cpu_ms", "ms")
            .beside(floor, "floor_local_cpu_ms")
            .target(Target::Value(11.0)),
    ]
}

fn x11_rows(args: &Args) -> Vec<Row> {
    let (processes, hosts) = args.x11();
    let boot = format!("boot of {processes} on {hosts} hosts");
    let configured = format!("{boot}, with DISPLAY and `ForwardX11 yes` in ssh_config");
    vec![
        Row::new(&boot, "no_x11_boot_s", "s")
            .beside(format!("raw `ssh -S` of {processes} `true`, its masters included"), "no_x11_floor_mux_s"),
        Row::new(&configured, "x11_boot_s", "s")
            .beside("without both", "no_x11_boot_s")
            .target(Target::Ratio(NOT_SLOWER)),
        Row::new(format!("{configured}, and the option ForwardX11=yes"), "x11_forwarded_boot_s", "s")
            .beside("without all three", "no_x11_boot_s"),
    ]
}

fn thousand_row(args: &Args) -> Row {
    let (processes, hosts, limit) = args.thousand();
    let boot =
        format!("boot of {processes} on {hosts} hosts under a soft limit of {limit} descriptors, which it raises");
    Row::new(boot, "thousand_boot_s", "s")
        .beside(format!("raw `ssh -S` of {processes} `true`, its masters included"), "thousand_floor_mux_s")
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
