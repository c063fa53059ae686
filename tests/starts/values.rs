//! The application gets what the request says: arguments, environment, paths, limits, signals, descriptors. Other users
//! see nothing of it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{
    self, AppReport, By, LONG, ProcessInfo, Remote, launched_by, run_to_end, start, wait_for_end, wait_until,
};
use proptest::prelude::*;
use sshpm::{BootRequest, Error, Limit, LimitValue, LinkLossPolicy, Manager, Signal, StartFailure};

fn os(bytes: impl Into<Vec<u8>>) -> OsString {
    OsString::from_vec(bytes.into())
}

/// Returns all bytes that can stand in an argument or, without the slash, in a name.
fn all_bytes(slash: bool) -> OsString {
    os((1..=255).filter(|byte| slash || *byte != b'/').collect::<Vec<u8>>())
}

/// Returns a request for an application that reports how it was started, and ends.
fn reporting(remote: &Remote, file: &Path, payload: &[OsString]) -> BootRequest {
    let verbs = ["report".into(), file.as_os_str().to_owned(), "--".into()];
    remote.request_with("alpha", verbs.into_iter().chain(payload.iter().cloned()))
}

/// Returns the report of a request made by `reporting`, when everything has ended.
#[track_caller]
fn report(manager: &Manager, remote: &Remote, file: &Path, request: &BootRequest) -> AppReport {
    let _ = fs::remove_file(remote.local(file));
    assert_eq!(run_to_end(manager, "reports", request).unwrap().code(), Some(0));
    AppReport::wait(remote, file)
}

/// The values of one application.
#[derive(Debug, Clone)]
struct Values {
    arguments: Vec<Vec<u8>>,
    variables: Vec<(String, Vec<u8>)>,
    directory: Vec<u8>,
    log: Vec<u8>,
    setup: bool,
}

/// Returns bytes that shells read in their own way, and any others.
fn awkward(most: usize) -> impl Strategy<Value = Vec<u8>> {
    let loved = prop::sample::select(b"'\"\\$`!*?[]{}()<>|&;#~=%^-+ \t\n\r\x01\x1b\x7f\x80\xc3\xff0aZ".to_vec());
    prop::collection::vec(prop_oneof![3 => loved, 1 => 1u8..=255], 0..most)
}

/// Returns a name of a file, which is never "." or "..".
fn name() -> impl Strategy<Value = Vec<u8>> {
    awkward(30).prop_map(|mut bytes| {
        bytes.retain(|byte| *byte != b'/');
        bytes.push(b'x');
        bytes
    })
}

fn values() -> impl Strategy<Value = Values> {
    let variable = ("[A-Za-z][A-Za-z0-9_]{0,9}", awkward(60));
    let variables = prop::collection::btree_map(variable.0.prop_map(|name| format!("T_{name}")), variable.1, 0..5);
    let arguments = prop::collection::vec(awkward(60), 0..6);
    (arguments, variables, name(), name(), any::<bool>()).prop_map(|(arguments, variables, directory, log, setup)| {
        Values { arguments, variables: variables.into_iter().collect(), directory, log, setup }
    })
}

/// Starts one application for each, and compares what they got when all have ended.
fn check_batch(manager: &Manager, remote: &Remote, batch: &[Values]) -> Result<(), TestCaseError> {
    // A fresh directory, so that a case that is tried again finds what it found before.
    let base = remote.scratch().join("batch");
    let _ = fs::remove_dir_all(remote.local(&base));
    let place = |number: usize| base.join(number.to_string());
    for (number, values) in batch.iter().enumerate() {
        let directory = place(number).join(os(values.directory.clone()));
        fs::create_dir_all(remote.local(&directory)).unwrap();
        let payload: Vec<OsString> = values.arguments.iter().cloned().map(os).collect();
        let mut request = reporting(remote, &place(number).join("report"), &payload)
            .working_directory(&directory)
            .log_file(place(number).join(os([&values.log, b".log".as_slice()].concat())));
        if values.setup {
            request = request.setup_line("echo set up");
        }
        for (name, value) in &values.variables {
            request = request.environment(name, os(value.clone()));
        }
        manager.start_process(&format!("p-{number}"), &request).unwrap();
    }
    for (number, values) in batch.iter().enumerate() {
        let end = wait_for_end(manager, &format!("p-{number}"));
        prop_assert_eq!(end.map_err(|error| TestCaseError::fail(error.to_string()))?.code(), Some(0));
        let got = AppReport::parse(&remote.read(place(number).join("report")));
        prop_assert_eq!(got.payload(), values.arguments.iter().cloned().map(os).collect::<Vec<_>>());
        for (name, value) in &values.variables {
            prop_assert_eq!(got.var(name), Some(os(value.clone())), "{}", name);
        }
        prop_assert_eq!(&got.cwd, &place(number).join(os(values.directory.clone())));
        let log = remote.read(place(number).join(os([&values.log, b".log".as_slice()].concat())));
        prop_assert_eq!(log, if values.setup { b"set up\n".as_slice() } else { b"" });
    }
    Ok(())
}

#[test]
fn any_bytes_arrive_intact() {
    let remote = Remote::start();
    let manager = remote.manager();
    // Four batches of ten at once, each application in an ssh session of its own.
    let config = ProptestConfig { cases: 4, max_shrink_iters: 30, failure_persistence: None, ..Default::default() };
    proptest!(config, |(batch in prop::collection::vec(values(), 10))| check_batch(&manager, &remote, &batch)?);
    remote.assert_nothing_left();
}

#[test]
fn every_byte_arrives_in_every_place() {
    support::isolated(|| {
        let before = support::local_snapshot();
        let remote = Remote::start();
        let manager = remote.manager();
        let directory = remote.scratch().join(all_bytes(false));
        fs::create_dir(remote.local(&directory)).unwrap();
        let (file, log) = (directory.join("report"), directory.join(all_bytes(false)));
        let payload = [all_bytes(true), os(""), os("-n"), os("--"), os("a\nb\n"), os("\n"), os("\\"), os(b"\xff\xfe")];
        let mut request = reporting(&remote, &file, &payload).working_directory(&directory).log_file(&log);
        request = request.environment("ALL", all_bytes(true)).environment("EMPTY", "").environment("LINES", "\n\n");
        // With and without setup lines, because different shells run then.
        for request in [request.clone(), request.setup_line("printf said")] {
            let got = report(&manager, &remote, &file, &request);
            assert_eq!(got.payload(), payload);
            assert_eq!(got.cwd, directory);
            assert_eq!(got.var("ALL"), Some(all_bytes(true)));
            assert_eq!((got.var("EMPTY"), got.var("LINES")), (Some(os("")), Some(os("\n\n"))));
            assert!(remote.local(&log).is_file());
            fs::remove_file(remote.local(&log)).unwrap();
        }
        remote.assert_nothing_left();
        drop(manager);
        remote.stop();
        support::assert_same_as(&before);
    });
}

#[test]
fn the_program_may_have_any_name_and_is_found_in_the_path() {
    let remote = Remote::start();
    let manager = remote.manager();
    let directory = remote.scratch().join("bin $(exit 9) \"`");
    fs::create_dir(remote.local(&directory)).unwrap();
    let program = os([all_bytes(false).as_bytes(), b"x"].concat().split_off(10));
    fs::copy(remote.local(&remote.app()), remote.local(&directory.join(&program))).unwrap();
    let request = BootRequest::new("alpha", [directory.join(&program).into_os_string(), "exit".into(), "3".into()]);
    assert_eq!(run_to_end(&manager, "p", &request).unwrap().code(), Some(3));
    // By the PATH of the request, and by one that a setup line sets.
    let by_name = BootRequest::new("alpha", [program, "exit".into(), "4".into()]);
    let path = format!("{}:/usr/bin:/bin", directory.display());
    assert_eq!(run_to_end(&manager, "p", &by_name.clone().environment("PATH", &path)).unwrap().code(), Some(4));
    let by_setup = by_name.clone().setup_line(format!("PATH='{path}'"));
    assert_eq!(run_to_end(&manager, "p", &by_setup).unwrap().code(), Some(4));
    let error = run_to_end(&manager, "p", &by_name).unwrap_err();
    assert!(matches!(error, Error::StartFailed { reason: StartFailure::ProgramNotFound, .. }), "{error}");
    remote.assert_nothing_left();
}

#[test]
fn a_large_environment_arrives_and_what_the_kernel_refuses_is_refused_by_name() {
    let remote = Remote::start();
    let manager = remote.manager();
    let file = remote.scratch().join("report");
    // 500 KB in all; the values differ.
    let value = |number: usize| format!("{number}'").repeat(5000)[..5000].to_owned();
    let mut request = reporting(&remote, &file, &[]);
    for number in 0..100 {
        request = request.environment(format!("LARGE_{number}"), value(number));
    }
    for request in [request.clone(), request.setup_line("true")] {
        let got = report(&manager, &remote, &file, &request);
        for number in 0..100 {
            assert!(got.var(&format!("LARGE_{number}")) == Some(value(number).into()), "LARGE_{number}");
        }
    }

    let longest = "x".repeat(128 * 1024 - "LONG=".len() - 1);
    let request = |value: &str| reporting(&remote, &file, &[]).environment("LONG", value);
    let got = report(&manager, &remote, &file, &request(&longest));
    assert!(got.var("LONG") == Some(longest.clone().into()));
    match manager.start_process("too-long", &request(&format!("{longest}x"))) {
        Err(error @ Error::Invalid { .. }) => {
            let text = error.to_string();
            assert!(text.starts_with("invalid environment.LONG ") && text.contains("131067"), "{text}");
            assert!(text.len() < 300, "the value itself is not for an error: {text}");
        }
        other => panic!("{other:?}"),
    }
    assert!(!manager.active_process_keys().contains(&"too-long".to_owned()));
    remote.assert_nothing_left();
}

/// Quotes and newlines, half a megabyte of each. If values travelled as lines, a shell would have to read them byte by
/// byte.
#[test]
fn values_of_quotes_and_newlines_arrive_intact() {
    let remote = Remote::start();
    let manager = remote.manager();
    let file = remote.scratch().join("report");
    for what in ["'", "\n", "'\n\\\""] {
        let value = what.repeat(100_000 / what.len());
        let payload = [os(value.clone()), os(value.clone())];
        let names = ["A", "B", "C"];
        let request = reporting(&remote, &file, &payload);
        let request = names.iter().fold(request, |request, name| request.environment(*name, &value));
        for request in [request.clone(), request.setup_line("true")] {
            let got = report(&manager, &remote, &file, &request);
            assert!(got.payload() == payload, "{what:?}");
            assert!(names.iter().all(|name| got.var(name) == Some(os(value.clone()))), "{what:?}");
        }
    }
    remote.assert_nothing_left();
}

/// `head -c` reads the scripts. A host may have no head, and busybox's takes more from its input than it writes, so
/// what follows is lost.
#[test]
fn a_host_may_have_no_head_or_one_that_reads_ahead() {
    let remote = Remote::start();
    if !remote.require_users("head would be the real one") {
        return;
    }
    let busybox = Path::new("/usr/bin/busybox");
    for reads_ahead in [false, true] {
        if !reads_ahead {
            remote.take_away("/usr/bin/head");
        } else if busybox.exists() {
            remote.unmount("/usr/bin/head");
            remote.mount(&["--bind", "/usr/bin/busybox", "/usr/bin/head"]);
        } else {
            return support::skipped("busybox is not installed");
        }
        let manager = remote.manager();
        let request = remote.request("alpha", "wait").environment("A", "'\n".repeat(20_000));
        for (uuid, request) in [("plain", request.clone()), ("kept", request.link_loss(LinkLossPolicy::Keep))] {
            if (launched_by(), uuid) == (By::Slurm, "kept") {
                continue;
            }
            start(&manager, uuid, &request);
            assert_eq!(manager.kill_process(uuid, LONG).unwrap().signal(), Some(Signal::QUIT), "{uuid}, {reads_ahead}");
        }
        remote.assert_nothing_left();
    }
}

/// Returns all command lines on this machine, which is also the remote, collected until `stop` is set.
fn gather_command_lines(remote: &Remote, stop: &AtomicBool) -> BTreeSet<Vec<OsString>> {
    let mut found = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        found.extend(support::processes().into_iter().map(|process| process.cmdline));
    }
    // Once more, so that every process that lives now is included.
    found.extend(remote.processes().into_iter().map(|process| process.cmdline));
    found
}

fn is_in(lines: &BTreeSet<Vec<OsString>>, secret: &str) -> bool {
    let found = |word: &OsString| word.as_bytes().windows(secret.len()).any(|part| part == secret.as_bytes());
    lines.iter().flatten().any(found)
}

/// Whether the word has the character with which every nonce begins.
fn has_nonce(word: &OsString) -> bool {
    word.as_bytes().contains(&0x1e)
}

/// Stops the collection of command lines when dropped.
struct StopsWhenDropped<'a>(&'a AtomicBool);

impl Drop for StopsWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Starts a process, waits in `seen` until it is where it should be, and returns the command lines of that time.
#[track_caller]
fn lines_while(
    remote: &Remote,
    manager: &Manager,
    request: &BootRequest,
    seen: impl FnOnce(),
) -> BTreeSet<Vec<OsString>> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let gatherer = scope.spawn(|| gather_command_lines(remote, &stop));
        // Also when this panics, because the scope waits for the collecting thread.
        let _stop = StopsWhenDropped(&stop);
        manager.start_process("secret", request).unwrap();
        seen();
        let client = manager.runtime_pids("secret").ssh_client.and_then(|pid| ProcessInfo::of(pid as i32));
        assert_eq!(client.is_some(), support::has_clients());
        assert_only_the_bootstrap(client.as_ref(), manager.runtime_pids("secret").remote_monitoring.unwrap());
        let of_remote = remote.processes().into_iter().chain(client);
        let nonce = of_remote.flat_map(|process| process.cmdline).find(has_nonce);
        assert_eq!(nonce, None);
        stop.store(true, Ordering::Relaxed);
        gatherer.join().unwrap()
    })
}

#[track_caller]
fn assert_only_the_bootstrap(client: Option<&ProcessInfo>, wrapper: i64) {
    const READS: &str = "IFS= read -r _script && eval \"$_script\"";
    // Slurm's shell reports no code, and begins elsewhere.
    let reads = if launched_by() == By::Slurm {
        format!("cd 2>/dev/null; trap \"exit 0\" EXIT; {READS}")
    } else {
        READS.into()
    };
    if let Some(ProcessInfo { cmdline: client, .. }) = client {
        let last = |count: usize| &client[client.len() - count..];
        match launched_by() {
            By::Ssh => assert_eq!(last(3), ["--", "alpha", &format!("exec /bin/sh -c '{READS}' sshpm")]),
            By::Local => assert_eq!(client[3..], [READS]),
            By::Command | By::Slurm => assert_eq!(last(4), ["/bin/sh", "-c", &reads, "sshpm"]),
        }
    }
    assert_eq!(ProcessInfo::of(wrapper as i32).unwrap().cmdline, ["/bin/sh", "-c", &reads, "sshpm"]);
}

#[test]
fn no_secret_stands_in_a_command_line() {
    let remote = Remote::start();
    let manager = remote.manager();
    // Made here, so that no command line of this program has them either.
    let secret = |what: &str| format!("{what}-is-secret-{}", std::process::id());
    let (value, line, named, argument) = (secret("value"), secret("line"), secret("name"), secret("argument"));
    let gate = remote.scratch().join("gate");
    assert!(std::process::Command::new("mkfifo").arg(remote.local(&gate)).status().unwrap().success());
    let request = remote
        .request_with("alpha", ["heartbeat", "0.1", "--", &argument])
        .environment("SECRET", &value)
        .name(&named)
        .session(&named)
        .setup_line(format!(": {line}; read x <{}", gate.display()));

    let in_setup = lines_while(&remote, &manager, &request, || {
        wait_until("the remote pid", LONG, || manager.remote_pid("secret").ok());
        // The shell of the setup is there, and waits for the gate.
        wait_until("the setup line", LONG, || {
            let pid = manager.remote_pid("secret").unwrap();
            fs::read_to_string(format!("/proc/{pid}/environ")).ok().filter(|_| manager.is_process_alive("secret"))
        });
    });
    fs::write(remote.local(&gate), "go\n").unwrap();
    manager.wait_until_started("secret", LONG).unwrap();
    manager.kill_process("secret", LONG).unwrap();

    // Again without setup lines, because another shell runs then.
    let request = remote
        .request_with("alpha", ["heartbeat", "0.1", "--", &argument])
        .environment("SECRET", &value)
        .name(&named)
        .session(&named);
    let running = lines_while(&remote, &manager, &request, || {
        manager.wait_until_started("secret", LONG).unwrap();
    });
    for lines in [&in_setup, &running] {
        for secret in [&value, &line, &named] {
            assert!(!is_in(lines, secret), "{secret} in {}", support::brief(lines));
        }
    }
    // The argument may be visible, and the search finds it.
    assert!(is_in(&running, &argument));
    manager.kill_process("secret", LONG).unwrap();
    remote.assert_nothing_left();
}

/// Returns the names of the variables.
fn names(environment: &[OsString]) -> BTreeSet<String> {
    let name = |variable: &OsString| variable.to_string_lossy().split('=').next().unwrap().to_owned();
    environment.iter().map(name).collect()
}

#[test]
fn the_environment_is_the_logins_and_the_requests_and_nothing_else() {
    let remote = Remote::builder().env("FROM_SSHD", "login").env("_home", "in the wrapper's way").start();
    let manager = remote.manager();
    let file = remote.scratch().join("report");
    let app = remote.app().display().to_string();
    let login = remote.by_hand(&format!("exec {app} report {}", file.display())).status().unwrap();
    assert!(login.success());
    let login = names(&AppReport::wait(&remote, &file).env);
    assert!(login.contains("FROM_SSHD"));

    let shells = ["sh", "bash", "dash", "zsh", "ksh93", "mksh"].map(Some).into_iter();
    let here = |shell: &Option<&str>| shell.is_none_or(|shell| Path::new("/usr/bin").join(shell).exists());
    for shell in std::iter::once(None).chain(shells).filter(here) {
        let mut request = reporting(&remote, &file, &[]).environment("OWN", "mine").environment("FROM_SSHD", "mine");
        if let Some(shell) = shell {
            request = request.setup_shell(shell).setup_line("_sshpm_set=1 set_in_setup=1");
            request = request.setup_line("export EXPORTED='by setup' OWN=setup; FROM_SSHD=setup");
        }
        let got = report(&manager, &remote, &file, &request);
        // Shells themselves add these, and ksh93 the last two. `_home` is the wrapper's, whatever the login has.
        let shells_own = ["_", "PWD", "OLDPWD", "SHLVL", "_home", "A__z", "_AST_FEATURES"];
        let is_slurms = |name: &str| {
            launched_by() == By::Slurm && ["SLURM", "SRUN_", "TMPDIR"].iter().any(|begin| name.starts_with(begin))
        };
        let is_more = |name: &&String| {
            !login.contains(*name) && !shells_own.contains(&name.as_str()) && !is_slurms(name.as_str())
        };
        let names = names(&got.env);
        let more: Vec<&String> = names.iter().filter(is_more).collect();
        let expected: &[&str] = if shell.is_some() { &["EXPORTED", "OWN"] } else { &["OWN"] };
        assert_eq!(more, expected, "{shell:?}");
        let lost: Vec<_> = login.difference(&names).filter(|name| !shells_own.contains(&name.as_str())).collect();
        assert!(lost.is_empty(), "{shell:?}: {lost:?}");
        // The request wins over setup and login.
        assert_eq!((got.var("OWN"), got.var("FROM_SSHD")), (Some("mine".into()), Some("mine".into())), "{shell:?}");
    }
    remote.assert_nothing_left();
}

#[test]
fn setup_lines_prepare_the_application() {
    let remote = Remote::start();
    let manager = remote.manager();
    let scratch = remote.scratch();
    let file = scratch.join("report");
    let script = scratch.join("env.sh");
    fs::create_dir(remote.local(&scratch.join("there"))).unwrap();
    fs::write(remote.local(&script), "export FROM_FILE=yes SEEN=$GIVEN\n").unwrap();
    let request = reporting(&remote, &file, &[])
        .environment("GIVEN", "by the request")
        .setup_line(format!(". {}", script.display()))
        // Each line sees what the earlier one did, and a line may contain several lines.
        .setup_line("both=$FROM_FILE\nif true; then\n  export BOTH=\"$both and more\"\nfi")
        .setup_line(format!("cd {}", scratch.join("there").display()))
        // These would disturb the lines behind them, if anything could.
        .setup_line("set -aeu; IFS=x; trap 'echo' USR1")
        .setup_line("umask 077");
    let got = report(&manager, &remote, &file, &request);
    assert_eq!(got.var("FROM_FILE"), Some("yes".into()));
    assert_eq!(got.var("SEEN"), Some("by the request".into()), "the environment holds during the setup");
    assert_eq!(got.var("BOTH"), Some("yes and more".into()));
    assert_eq!((got.cwd.clone(), got.umask()), (scratch.join("there"), 0o077));
    // The wrapper's own variables are not exported, even by `set -a`.
    assert_eq!(names(&got.env).into_iter().find(|name| name.starts_with("_sshpm")), None);
    // The request's own variables win.
    let got = report(&manager, &remote, &file, &request.working_directory(&scratch).umask(0o002));
    assert_eq!((got.cwd.clone(), got.umask()), (scratch, 0o002));
    remote.assert_nothing_left();
}

#[test]
fn a_working_directory_is_entered() {
    let remote = Remote::start();
    if !remote.require_users("the login directory would be the real one") {
        return;
    }
    let manager = remote.manager();
    let home = remote.users()[0].home.clone();
    let file = remote.scratch().join("report");
    let plain = reporting(&remote, &file, &[]);
    assert_eq!(report(&manager, &remote, &file, &plain).cwd, home);
    // A relative path begins at the login directory. It is no option, and is not looked up in CDPATH.
    fs::create_dir_all(remote.local(Path::new("/tmp/elsewhere/sub dir"))).unwrap();
    for name in ["sub dir", "-", "-P", "sub dir/~"] {
        fs::create_dir_all(remote.local(&home.join(name))).unwrap();
        let request = plain.clone().working_directory(name).environment("CDPATH", "/tmp/elsewhere");
        assert_eq!(report(&manager, &remote, &file, &request).cwd, home.join(name));
        // Setup lines begin there too, and may leave it.
        let request = request.setup_line(r#"export BEGAN="$PWD"; cd /"#);
        let got = report(&manager, &remote, &file, &request);
        assert_eq!((got.cwd.clone(), got.var("BEGAN")), (home.join(name), Some(home.join(name).into())));
    }
    // A program with a relative path begins at the working directory.
    fs::copy(remote.local(&remote.app()), remote.local(&home.join("sub dir/app"))).unwrap();
    let request = BootRequest::new("alpha", ["./app", "exit", "5"]).working_directory("sub dir");
    assert_eq!(run_to_end(&manager, "p", &request).unwrap().code(), Some(5));
    remote.assert_nothing_left();
}

/// Every limit, with a value that no host has by chance, and its name in /proc/PID/limits.
const LIMITS: [(Limit, u64, &str); 9] = [
    (Limit::Core, 1 << 21, "Max core file size"),
    (Limit::Cpu, 12_345, "Max cpu time"),
    (Limit::Data, 3 << 30, "Max data size"),
    (Limit::Fsize, 5 << 20, "Max file size"),
    (Limit::Memlock, 40 << 10, "Max locked memory"),
    (Limit::Nofile, 234, "Max open files"),
    (Limit::Nproc, 5_432, "Max processes"),
    (Limit::Stack, 9 << 20, "Max stack size"),
    (Limit::As, 7 << 30, "Max address space"),
];

#[test]
fn limits_and_umask_hold_for_the_application() {
    let remote = Remote::start();
    if !remote.require_users("a limit may be above the hard limit of this user") {
        return;
    }
    let manager = remote.manager();
    let file = remote.scratch().join("report");
    let plain = reporting(&remote, &file, &[]);
    let mut limited = plain.clone().umask(0o137);
    for (limit, value, _) in LIMITS {
        limited = limited.limit(limit, LimitValue::Value(value));
    }
    // With each shell, because each has its own ulimit and units.
    let shells = ["sh", "bash", "zsh", "ksh93", "mksh"].into_iter();
    let with_shell = |shell: &str| limited.clone().setup_shell(shell).setup_line("true");
    let requests = shells.filter(|shell| Path::new("/usr/bin").join(shell).exists());
    let requests = requests.map(|shell| (shell, with_shell(shell)));
    for (shell, request) in std::iter::once(("no setup", limited.clone())).chain(requests) {
        let got = report(&manager, &remote, &file, &request);
        for (_, value, name) in LIMITS {
            let value = value.to_string();
            assert_eq!(got.limit(name), (value.as_str(), value.as_str()), "{shell}: {name}");
        }
        assert_eq!(got.umask(), 0o137, "{shell}");
    }

    // Rounded up to the shell's unit, never down.
    let got = report(&manager, &remote, &file, &plain.clone().limit(Limit::Core, LimitValue::Value(1000)));
    assert_eq!(got.limit("Max core file size"), ("1024", "1024"));
    let got = report(&manager, &remote, &file, &plain.clone().limit(Limit::Cpu, LimitValue::Unlimited));
    assert_eq!(got.limit("Max cpu time"), ("unlimited", "unlimited"));
    remote.assert_nothing_left();
}

#[test]
fn a_limit_that_is_refused_fails_the_start() {
    let remote = Remote::start();
    let Some(user) = remote.user("dash").or_else(|| remote.user("bash")) else {
        return support::skipped("no user without privileges");
    };
    let manager = remote.manager();
    for setup in [false, true] {
        let mut request =
            remote.request_as(&user, remote.request("alpha", "wait")).limit(Limit::Nofile, LimitValue::Value(1 << 40));
        if setup {
            request = request.setup_line("true");
        }
        let error = run_to_end(&manager, "p", &request).unwrap_err();
        assert!(error.to_string().contains("the resource limit nofile was refused"), "{error}");
        match error {
            Error::StartFailed { reason, .. } => assert_eq!(reason, StartFailure::Limit("nofile".into())),
            other => panic!("{other}"),
        }
    }
    remote.assert_nothing_left();
}

/// Returns the signals without those that glibc keeps for itself: its posix_spawn, which the harness uses for sshd,
/// ignores them in every child.
fn without_internal(signals: Vec<i32>) -> Vec<i32> {
    signals.into_iter().filter(|signal| ![32, 33].contains(signal)).collect()
}

/// Returns the signals of a mask in /proc/PID/status.
fn signals(pid: i64, field: &str) -> Vec<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
    let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
    without_internal((1..=64).filter(|signal| mask & (1 << (signal - 1)) != 0).collect())
}

#[test]
fn no_signal_is_blocked_or_ignored() {
    support::isolated(|| {
        let before = support::local_snapshot();
        let remote = Remote::start();
        let manager = remote.manager();
        let file = remote.scratch().join("report");
        // A host program that handles its signals in one thread blocks them in the others.
        // SAFETY: the set is initialised by sigfillset before its use.
        unsafe {
            let mut all = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
        }
        for (uuid, setup) in [("plain", None), ("set-up", Some("true"))] {
            let file = file.with_extension(uuid);
            let verbs = ["report".into(), file.clone().into_os_string(), "wait".into()];
            let mut request = remote.request_with("alpha", verbs);
            if let Some(line) = setup {
                request = request.setup_line(line);
            }
            start(&manager, uuid, &request);
            let got = AppReport::wait(&remote, &file);
            for field in ["SigBlk", "SigIgn", "SigCgt"] {
                assert_eq!(without_internal(got.signals(field)), [0; 0], "{field} of the application, {uuid}");
            }
            let client = manager.runtime_pids(uuid).ssh_client;
            assert_eq!(client.is_some(), support::has_clients());
            // srun changes all of them.
            if let (Some(client), true) = (client, launched_by() != By::Slurm) {
                assert_eq!(signals(client, "SigBlk"), [0; 0], "of the client");
                // ssh itself ignores it.
                let ignored = if launched_by() == By::Ssh { vec![libc::SIGPIPE] } else { vec![] };
                assert_eq!(signals(client, "SigIgn"), ignored, "of the client");
            }
        }
        for end in manager.kill_all_processes(&LONG.into()).unwrap().into_values() {
            assert_eq!(end.unwrap().code(), Some(128 + libc::SIGQUIT));
        }
        remote.assert_nothing_left();
        drop(manager);
        remote.stop();
        support::assert_same_as(&before);
    });
}

#[test]
fn the_application_has_a_session_of_its_own_and_three_descriptors() {
    let remote = Remote::start();
    let manager = remote.manager();
    let scratch = remote.scratch();
    let file = scratch.join("report");
    let plain = reporting(&remote, &file, &[]);
    let log = scratch.join("app.log");
    for (request, log) in [
        (plain.clone(), None),
        (plain.clone().setup_line("true"), None),
        (plain.clone().log_file(&log), Some(&log)),
        (plain.clone().log_file(&log).setup_line("true"), Some(&log)),
    ] {
        let got = report(&manager, &remote, &file, &request);
        assert_eq!(i64::from(got.pid), manager.remote_pid("reports").unwrap());
        assert_eq!((got.pgid, got.sid), (got.pid, got.pid));
        let wrapper = manager.runtime_pids("reports").remote_monitoring;
        assert_eq!(Some(i64::from(got.ppid)), wrapper, "the wrapper is its parent");
        let targets: Vec<(i32, PathBuf)> = got.fds.iter().map(|(fd, target)| (*fd, target.into())).collect();
        assert_eq!(targets.iter().map(|(fd, _)| *fd).collect::<Vec<_>>(), [0, 1, 2], "{targets:?}");
        assert_eq!(targets[0].1, Path::new("/dev/null"));
        match log {
            Some(log) => assert!(targets[1].1 == *log && targets[2].1 == *log, "{targets:?}"),
            None => assert_ne!(targets[1].1, targets[2].1, "the streams are apart"),
        }
    }
    remote.assert_nothing_left();
}
