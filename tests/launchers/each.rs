//! Each launcher passes the behaviour tests that ssh must pass. A table lists with the reasons what a launcher cannot
//! do, and the output names it too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::support::{self, LAUNCHER, namespaces_work, skipped, slurm_missing};

/// The modules of test programs whose tests run by every launcher.
const BODIES: [&str; 35] = [
    "ends::exit_codes",
    "ends::guest",
    "ends::host_signals",
    "ends::hostile_applications",
    "ends::kill_tree",
    "ends::kills",
    "keep::exits",
    "keep::left",
    "keep::links",
    "keep::policy",
    "links::link_loss",
    "parity::bad_input",
    "parity::hosts",
    "parity::kills",
    "parity::log_files",
    "parity::metadata",
    "parity::output",
    "ready::kept",
    "ready::log_files",
    "ready::notify",
    "ready::output",
    "ready::port",
    "restart::calls",
    "restart::policy",
    "restart::races",
    "session::boot",
    "starts::disk",
    "starts::failures",
    "starts::log_files",
    "starts::odd_applications",
    "starts::private_files",
    "starts::races",
    "starts::session",
    "starts::setup_lines",
    "starts::values",
];

const SSH: &str = "it tests ssh's connections, configuration or failures";
const REPORTS: &str = "it tests how a manager reports, which does not depend on the launcher";
const FORM: &str = "it tests the form of the library, its headers or its documents";
const HARNESS: &str = "it tests the tests";
const OWN: &str = "it tests launchers itself";

/// The other test programs, and why they do not.
const OTHERS: [(&str, &str); 39] = [
    ("c_api::abi", FORM),
    ("c_api::checked", FORM),
    ("c_api::codes", FORM),
    ("c_api::examples", FORM),
    ("c_api::header", FORM),
    ("c_api::headers", FORM),
    ("c_api::install", FORM),
    ("c_api::programs", FORM),
    ("c_api::python_exit", REPORTS),
    ("c_api::readme", FORM),
    ("c_api::rust_and_c", FORM),
    ("ends::exit_order", REPORTS),
    ("ends::panics", "it tests what a panic leaves, which does not depend on the launcher"),
    ("faults", "it runs at random over ssh, for as long as it is told"),
    ("harness::remotes", HARNESS),
    ("harness::rooms", FORM),
    ("harness::slurm", HARNESS),
    ("keep::panic", "it tests what a panic leaves, which does not depend on the launcher"),
    ("launchers::command", OWN),
    ("launchers::containers", OWN),
    ("launchers::each", OWN),
    ("launchers::environment", OWN),
    ("launchers::local", OWN),
    ("launchers::slurm", OWN),
    ("links::connection_faults", SSH),
    ("links::connection_races", SSH),
    ("links::connections", SSH),
    ("links::hostile_hosts", "it takes the place of ssh: the same code reads what a host sends by each launcher"),
    ("links::many", "it tests what ssh's connections cost"),
    ("links::ssh_config", SSH),
    ("links::ssh_failures", SSH),
    ("links::unshared", SSH),
    ("links::without_clients", SSH),
    ("parity::python", "it is a Python program over the C library, with ssh"),
    ("random_run", "it runs at random by ssh and local"),
    ("session::races", "it runs at random over ssh"),
    ("session::schema", FORM),
    ("starts::login_shells", "it tests what sshd starts: no other launcher has login shells"),
    ("starts::numbers", REPORTS),
];

const NO_AUTH: &str = "it does not log in: an auth_method is refused";
const NO_SOCKETS: &str = "it has no shared connections, and no sockets for them";
const NO_LOGIN: &str = "it starts no login shell: nobody reads start-up files";
const OWN_USER: &str = "it starts processes as this program's user only";
const ONE_LOGIN: &str = "it does not log in: no two logins of a user differ";
const NO_CARRIER: &str = "its client carries no stream: one that is stopped cuts no link";

const NO_KEEP: &str = "Slurm ends what is left of a step with its link: Keep is refused";

/// What a launcher cannot do: the launchers, the module, the test or `ALL` of its tests, and why.
const EXCEPTIONS: [(&[&str], &str, &str, &str); 31] = [
    (&[SLURM], "keep::policy", ALL, NO_KEEP),
    (&[SLURM], "keep::exits", ALL, NO_KEEP),
    (&[SLURM], "keep::left", ALL, NO_KEEP),
    (&[SLURM], "keep::links", ALL, NO_KEEP),
    (&[SLURM], "ready::kept", ALL, NO_KEEP),
    (&[SLURM], "restart::policy", "a_kept_process_is_restarted_and_leaves_nothing_of_its_former_lives", NO_KEEP),
    (&[SLURM], "restart::policy", "a_kept_process_that_its_host_may_still_run_is_not_restarted", NO_KEEP),
    (&[SLURM], "restart::policy", "a_process_that_was_adopted_with_a_request_is_restarted_with_it", NO_KEEP),
    (&[SLURM], "restart::policy", "an_adopted_process_has_no_request_to_be_restarted_with", NO_KEEP),
    (&[LOCAL], "keep::links", "links_of_their_own_and_log_files", NO_CARRIER),
    (&[SLURM], "ends::kill_tree", "a_clean_up_ends_them_too", NO_KEEP),
    (&[LOCAL, SLURM], "ends::kill_tree", "what_could_not_be_ended_is_named", OWN_USER),
    (
        &[LOCAL, COMMAND, SLURM],
        "links::link_loss",
        "word_of_an_end_is_found_in_the_runtime_directory_of_another_login",
        ONE_LOGIN,
    ),
    (&[LOCAL, SLURM], "starts::log_files", "a_log_that_may_not_be_written_fails_the_start", OWN_USER),
    (
        &[LOCAL, SLURM],
        "starts::log_files",
        "a_log_that_its_owner_may_not_write_is_written_by_the_start_that_creates_it",
        OWN_USER,
    ),
    (
        &[COMMAND],
        "starts::log_files",
        "a_log_that_its_owner_may_not_write_is_written_by_the_start_that_creates_it",
        NO_LOGIN,
    ),
    (
        &[COMMAND, SLURM],
        "starts::log_files",
        "a_host_without_proc_starts_applications",
        "a lease needs /proc, and Slurm keeps nothing",
    ),
    (
        &[LOCAL, COMMAND],
        "links::link_loss",
        "an_application_whose_wrapper_hears_nobody_can_be_killed",
        "the lease's sleep outlives the shell that attended to it, for some seconds",
    ),
    (&[LOCAL, SLURM], "starts::log_files", "the_noise_of_start_up_files_is_not_the_applications", NO_LOGIN),
    (
        &[COMMAND, SLURM],
        "starts::private_files",
        "a_directory_of_kept_processes_that_was_open_to_others_is_closed",
        ONE_LOGIN,
    ),
    (&[LOCAL, COMMAND, SLURM], "starts::private_files", "control_sockets_are_private_whatever_the_umask", NO_SOCKETS),
    (
        &[LOCAL, SLURM],
        "starts::private_files",
        "what_others_have_in_their_directory_does_not_hide_how_a_lost_process_ended",
        OWN_USER,
    ),
    (
        &[LOCAL, SLURM],
        "starts::private_files",
        "what_stands_in_the_place_of_metadata_is_replaced_and_not_followed",
        OWN_USER,
    ),
    (
        &[LOCAL, SLURM],
        "starts::private_files",
        "what_stands_in_the_place_of_the_runtime_directory_is_refused_and_not_followed",
        OWN_USER,
    ),
    (
        &[LOCAL, COMMAND, SLURM],
        "starts::private_files",
        "what_stands_in_the_place_of_the_socket_directory_is_refused_and_not_followed",
        NO_SOCKETS,
    ),
    (&[LOCAL, SLURM], "parity::hosts", "a_host_that_ends_what_a_login_leaves_is_told", OWN_USER),
    (&[LOCAL, COMMAND, SLURM], "parity::hosts", "validate_host_connection_with_an_auth_method", NO_AUTH),
    (&[LOCAL, SLURM], "parity::metadata", "two_users_on_one_host", OWN_USER),
    (&[LOCAL, SLURM], "starts::setup_lines", "no_start_up_file_is_read_unless_a_line_does", NO_LOGIN),
    (&[LOCAL, SLURM], "starts::failures", "a_limit_above_the_hosts_is_named", OWN_USER),
    (&[LOCAL, SLURM], "starts::values", "a_limit_that_is_refused_fails_the_start", OWN_USER),
];

const LOCAL: &str = "local";
const COMMAND: &str = "command";
const SLURM: &str = "slurm";

/// All tests of a module.
const ALL: &str = "*";

/// How many tests run at the same time. They wait more than they work.
const AT_ONCE: usize = 4;

/// How long one test may take. Only a test that fails takes so long.
const EACH: Duration = Duration::from_secs(100);

#[test]
fn local_passes_the_behaviour_tests() {
    run_all(LOCAL);
}

#[test]
fn a_command_passes_the_behaviour_tests() {
    run_all(COMMAND);
}

#[test]
fn slurm_passes_the_behaviour_tests() {
    match slurm_missing() {
        Some(why) => skipped(&why),
        None => run_all(SLURM),
    }
}

/// A test program that is in no table would be left out without a message.
#[test]
fn each_module_of_tests_is_in_one_table() {
    let listed: Vec<_> = BODIES.into_iter().chain(OTHERS.iter().map(|(name, _)| *name)).map(str::to_owned).collect();
    let set: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(set.len(), listed.len(), "a program is listed twice: {listed:?}");
    let tests = manifest_dir().join("tests");
    let mut there = BTreeSet::new();
    let is_program = |name: &String| tests.join(name).join("main.rs").exists();
    for program in stems(&tests).into_iter().filter(is_program) {
        if set.contains(&program) {
            // It is listed as a whole.
            there.insert(program);
        } else {
            let modules = stems(&tests.join(&program)).into_iter().filter(|name| name != "main");
            there.extend(modules.map(|name| format!("{program}::{name}")));
        }
    }
    assert_eq!(set, there);
}

/// The names of the directories and Rust files in a directory, without `.rs`.
fn stems(dir: &Path) -> BTreeSet<String> {
    let paths = fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path());
    let paths = paths.filter(|path| path.is_dir() || path.extension().is_some_and(|extension| extension == "rs"));
    paths.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

fn manifest_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

struct Test {
    program: &'static str,
    /// With its module.
    name: String,
}

struct Outcome {
    why: Option<String>,
    output: String,
    took: Duration,
}

fn run_all(launcher: &str) {
    if !namespaces_work() {
        // The remote would be the manager's own machine, with its real files.
        return skipped(&format!("{launcher} needs a file system of its own: no root or no mount namespaces here"));
    }
    // One launcher after the other: each runs several tests at a time.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let programs = programs();
    let exceptions: Vec<_> = EXCEPTIONS.iter().filter(|exception| exception.0.contains(&launcher)).collect();
    let (mut tests, mut used) = (Vec::new(), vec![0; exceptions.len()]);
    for body in BODIES {
        let (program, module) = body.split_once("::").unwrap();
        for name in names_of(&programs[program], module) {
            let is_it = |test: &str| test == ALL || name.strip_prefix(module) == Some(&format!("::{test}"));
            match exceptions.iter().position(|(_, of, test, _)| *of == body && is_it(test)) {
                Some(at) => {
                    used[at] += 1;
                    skipped(&format!("{launcher}: {program}::{name}: {}", exceptions[at].3));
                }
                None => tests.push(Test { program, name }),
            }
        }
    }
    let unused: Vec<_> = exceptions.iter().zip(used).filter(|(_, used)| *used == 0).map(|(unused, _)| unused).collect();
    assert!(unused.is_empty(), "exceptions for tests that do not exist: {unused:?}");
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    let slowest = Mutex::new((Duration::ZERO, String::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(test) = tests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let name = format!("{launcher}: {}::{}", test.program, test.name);
                    let outcome = run(launcher, &programs[test.program], &test.name);
                    for line in outcome.output.lines().filter_map(|line| line.find("SKIPPED ").map(|at| &line[at..])) {
                        skipped(&format!("{launcher}: {}", line.trim_start_matches("SKIPPED ")));
                    }
                    let mut slowest = slowest.lock().unwrap();
                    if outcome.took > slowest.0 {
                        *slowest = (outcome.took, name.clone());
                    }
                    if let Some(why) = outcome.why {
                        failed.lock().unwrap().push((name, why, outcome.output));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    for (name, why, output) in &failed {
        println!("==== {name}: {why}\n{output}");
    }
    println!("{launcher}: {} tests; the slowest: {:?}", tests.len(), slowest.into_inner().unwrap());
    let names: Vec<_> = failed.iter().map(|(name, why, _)| format!("{name}: {why}")).collect();
    assert!(names.is_empty(), "{} of {} failed:\n{}", names.len(), tests.len(), names.join("\n"));
}

/// Returns the test programs of the bodies, and builds them if necessary.
fn programs() -> BTreeMap<&'static str, PathBuf> {
    let here = std::env::current_exe().unwrap();
    let profile = match here.ancestors().nth(2).unwrap().file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        name => name,
    };
    let mut cargo = support::toolchain_command("cargo");
    cargo.args(["test", "--no-run", "--package", "sshpm", "--message-format=json", "--profile", profile]);
    let names: BTreeSet<_> = BODIES.into_iter().filter_map(|body| Some(body.split_once("::")?.0)).collect();
    cargo.args(names.iter().flat_map(|name| ["--test", name])).current_dir(manifest_dir());
    let output = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "the tests do not build");
    let lines = output.stdout.split(|&b| b == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let found = lines.filter_map(|line: serde_json::Value| {
        let name = names.iter().find(|name| line["target"]["name"] == **name)?;
        Some((*name, PathBuf::from(line["executable"].as_str()?)))
    });
    let found: BTreeMap<_, _> = found.collect();
    assert_eq!(found.len(), names.len(), "{found:?}");
    found
}

/// The tests of a module.
fn names_of(program: &Path, module: &str) -> Vec<String> {
    let module = format!("{module}::");
    let output = Command::new(program).args(["--list", "--format", "terse", &module]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let names = text.lines().filter_map(|line| line.strip_suffix(": test"));
    let names: Vec<_> = names.filter(|name| name.starts_with(&module)).map(str::to_owned).collect();
    assert!(!names.is_empty(), "{}: {text}", program.display());
    names
}

/// Runs one test in a process of its own.
fn run(launcher: &str, program: &Path, name: &str) -> Outcome {
    // A file and not a pipe: a process that the test has left would keep a pipe open.
    let mut output = tempfile::tempfile().unwrap();
    let started = Instant::now();
    let dup = |file: &File| file.try_clone().unwrap();
    let mut command = Command::new(program);
    command.args(["--exact", name, "--nocapture"]).env(LAUNCHER, launcher).current_dir(manifest_dir());
    command.stdin(Stdio::null()).stdout(dup(&output)).stderr(dup(&output)).process_group(0);
    support::begin_clean(&mut command);
    let mut child = command.spawn().unwrap();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if started.elapsed() > EACH => {
                // The whole group, because a test may have started itself again. The remote's guard ends the rest.
                // SAFETY: integers only; the group is the child's, which was not waited for.
                unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
                child.wait().unwrap();
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let mut bytes = Vec::new();
    output.rewind().unwrap();
    output.read_to_end(&mut bytes).unwrap();
    let output = String::from_utf8_lossy(&bytes).into_owned();
    let why = match status {
        None => Some(format!("not within {EACH:?}")),
        Some(status) if !status.success() => Some(status.to_string()),
        // A test program does not fail when no test has the name.
        Some(_) if !output.contains("1 passed") => Some("no test of this name ran".to_owned()),
        Some(_) => None,
    };
    Outcome { why, output, took: started.elapsed() }
}
