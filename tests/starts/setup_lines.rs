//! Setup lines: what they may do, how they fail, and that nothing of them is left.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::life::*;
use crate::support::{self, AppReport, Remote, assert_same_as, isolated, local_snapshot};
use sshpm::{BootRequest, Error, ExitSource, Manager, ProcessState, Signal, StartFailure, StartStage};

/// The shells that read POSIX shell code, if they are installed.
fn posix_shells() -> Vec<&'static str> {
    let shells = ["bash", "dash", "ksh93", "mksh", "zsh"];
    shells
        .into_iter()
        .filter(|shell| ["/bin", "/usr/bin"].iter().any(|dir| Path::new(dir).join(shell).exists()))
        .collect()
}

/// Returns a request for test-app that writes a report and ends.
fn reporting(remote: &Remote, file: &Path) -> BootRequest {
    app(remote, &format!("report {}", file.display()))
}

/// Returns the report of a process that ends by itself.
#[track_caller]
fn report_of(manager: &Manager, remote: &Remote, uuid: &str, request: BootRequest, file: &Path) -> AppReport {
    start(manager, uuid, &request);
    assert_eq!(end_of(manager, uuid).code(), Some(0));
    AppReport::wait(remote, file)
}

#[test]
fn a_sourced_file_changes_the_path_by_which_the_program_is_found() {
    isolated(|| {
        let remote = Remote::start();
        let before = local_snapshot();
        let (bin, env) = (remote.scratch().join("bin"), remote.scratch().join("env.sh"));
        fs::create_dir(remote.local(&bin)).unwrap();
        // A link, because a program that was just written cannot always be executed (ETXTBSY).
        symlink(remote.app(), remote.local(&bin).join("daq-program")).unwrap();
        fs::write(remote.local(&env), format!("PATH={}:$PATH\nexport PATH\n", bin.display())).unwrap();
        let request = BootRequest::new("alpha", ["daq-program", "print", "found", "exit", "7"]);
        let manager = manager(&remote);
        assert_eq!(failure_of(&manager, "without", &request), StartFailure::ProgramNotFound);
        start(&manager, "with", &request.setup_line(format!("source {}", env.display())));
        assert_eq!(end_of(&manager, "with").code(), Some(7));
        assert_eq!(stdout(&manager, "with"), "found\n");
        finish(&manager, &remote);
        drop(manager);
        assert_same_as(&before);
    });
}

#[test]
fn bash_reads_the_lines_and_its_own_language_works() {
    if !posix_shells().contains(&"bash") {
        return support::skipped("bash is not installed");
    }
    let remote = Remote::start();
    let manager = manager(&remote);
    let file = remote.scratch().join("report");
    let request = reporting(&remote, &file)
        .setup_line("list=(one two); declare -A map=([key]=value)")
        .setup_line("[[ ${list[1]} == t?o ]]")
        .setup_line("function later { export RESULT=\"${list[1]} ${map[key]}\"\n}\nlater");
    let report = report_of(&manager, &remote, "u", request, &file);
    assert_eq!(report.var("RESULT").unwrap(), "two value");
    finish(&manager, &remote);
}

#[test]
fn a_line_that_fails_ends_the_start_with_its_number_and_code() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    let marker = remote.scratch().join("ran");
    let request = || shell(&format!("echo >{}", marker.display()));
    let cases = [
        ("(exit 42)", Some(42)),
        ("exit 3", Some(3)),
        ("exit 0", Some(0)),
        ("false", Some(1)),
        ("source /does/not/exist", None),
        ("no-such-command-anywhere", Some(127)),
        ("if then", None),
        ("kill -USR1 $$; sleep 10", None),
    ];
    for (at, (line, expected)) in cases.iter().enumerate() {
        for shell in ["", "dash"] {
            let request = request().setup_line("true\ntrue").setup_line(*line).setup_line("true");
            let request = if shell.is_empty() { request } else { request.setup_shell(shell) };
            match failure_of(&manager, &format!("u{at}{shell}"), &request) {
                StartFailure::Setup { line: 2, code } => {
                    assert!(expected.is_none_or(|expected| expected == code), "{line:?} in {shell:?}: {code}");
                }
                // The signal ended the shell itself before it could report anything.
                StartFailure::Ended(code) if line.starts_with("kill") => assert_eq!(code, 128 + libc::SIGUSR1),
                other => panic!("{line:?} in {shell:?}: {other:?}"),
            }
        }
    }
    assert!(!remote.local(&marker).exists(), "no application may have run");
    remote.assert_nothing_left();
    let events = witness.all(manager);
    assert_eq!(events.len(), 2 * cases.len());
    assert!(events.values().all(|words| *words == ["failed"]), "{events:?}");
}

#[test]
fn a_line_that_ends_the_shell_behind_a_trap_of_its_own_is_a_failed_start_all_the_same() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let request = shell("exit 0").setup_line("trap : EXIT").setup_line("exit 9");
    assert!(matches!(
        failure_of(&manager, "u", &request),
        StartFailure::Setup { line: 2, code: 9 } | StartFailure::Ended(9)
    ));
    finish(&manager, &remote);
}

#[test]
fn a_line_that_hangs_is_ended_by_the_start_timeout() {
    let remote = Remote::start();
    let manager = manager(&remote);
    for (uuid, line) in
        [("simple", "sleep 1000"), ("stubborn", "trap '' HUP TERM QUIT INT; while :; do sleep 1000; done")]
    {
        let after = Duration::from_millis(1500);
        let request = shell("exit 0").setup_line("true").setup_line(line).start_timeout(after).grace(Duration::ZERO);
        match failure_of(&manager, uuid, &request) {
            StartFailure::TimedOut { after: given, stage: StartStage::Setup, .. } => assert_eq!(given, after),
            other => panic!("{other}"),
        }
    }
    remote.assert_nothing_left();
}

/// Kills a setup that runs this line, which the line may survive, and returns the signal that ended it.
#[track_caller]
fn kill_in_setup(manager: Manager, remote: &Remote, line: &str, timeout: Duration) -> i32 {
    let witness = Witness::new(&manager);
    manager.start_process("u", &shell("exit 0").setup_line(line)).unwrap();
    if line.contains("ready") {
        wait_for_setup(&manager, "u")
    } else {
        wait_for_pid(&manager, "u")
    };
    assert_eq!(manager.process_state("u").unwrap(), ProcessState::Starting);
    let (waiting, status) = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| manager.wait_until_started("u", TIME));
        let status = manager.kill_process("u", timeout).unwrap();
        (waiting.join().unwrap(), status)
    });
    // If the waiting thread came too late, the process was gone from the table.
    assert!(matches!(waiting, Err(Error::NotRunning { .. } | Error::UnknownUuid { .. })), "{waiting:?}");
    assert_eq!(status.source(), ExitSource::ManualKillThroughRemotePid, "{status}");
    finish(&manager, remote);
    assert_eq!(witness.of(manager, "u"), ["exited"]);
    // A code of 0 would look like success.
    status.code().unwrap() - 128
}

#[test]
fn a_setup_that_hangs_is_killed() {
    let remote = Remote::start();
    for _ in 0..5 {
        // Several times, because TERM can come at any moment of the shell's start.
        assert_eq!(kill_in_setup(manager(&remote), &remote, "sleep 1000", TIME), libc::SIGTERM);
    }
    // Like a shell that has lost the first signal. It forks nothing behind `ready`: a child that was forked a moment ago
    // has the shell's trap until its exec, and would lose the first signal, too.
    let deaf = "trap 'trap - TERM' TERM; (trap '' TERM; exec sleep 1000) & echo ready; while :; do wait; done";
    assert_eq!(kill_in_setup(manager(&remote), &remote, deaf, TIME / 2), libc::SIGTERM);
    let stubborn = "trap '' TERM; echo ready; sleep 1000";
    assert_eq!(kill_in_setup(impatient_manager(&remote), &remote, stubborn, TIME), libc::SIGKILL);
}

/// A child of bash that gets a signal between its fork and its exec does this by itself.
#[test]
fn a_child_of_the_setup_that_runs_the_shells_exit_trap_fails_no_start() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let line = r#"[ -z "$BASH_VERSION" ] || (eval "$(trap -p EXIT)"; exit 3) || [ "$?" = 3 ]"#;
    start(&manager, "u", &shell("exit 5").setup_line(line));
    assert_eq!(end_of(&manager, "u").code(), Some(5));
    finish(&manager, &remote);
}

/// The program gets its own signal when it runs, and not KILL at the end of the timeout.
#[test]
fn a_program_whose_setup_survived_the_kill_gets_its_signal() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let survives = "trap got=1 TERM; echo ready; while [ -z \"$got\" ]; do sleep 1000; done; :";
    let request = app(&remote, "wait").setup_line(survives);
    manager.start_process("u", &request).unwrap();
    wait_for_setup(&manager, "u");
    let status = manager.kill_process("u", TIME).unwrap();
    assert_eq!((status.code(), status.signal()), (Some(131), Some(Signal::QUIT)), "{status}");
    finish(&manager, &remote);
}

#[test]
fn a_setup_that_a_stranger_kills_is_a_failed_start() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    manager.start_process("u", &shell("exit 0").setup_line("sleep 1000")).unwrap();
    wait_for_pid(&manager, "u").signal(libc::SIGKILL).unwrap();
    let reason = reason_of(manager.wait_until_started("u", TIME).unwrap_err());
    assert_eq!(reason, StartFailure::Ended(137));
    finish(&manager, &remote);
    assert_eq!(witness.of(manager, "u"), ["failed"]);
}

/// Options that would end the shell at the next harmless failure, and marks that would export our own variables.
const LEFTOVERS: [&str; 8] = [
    "set -e",
    "set -u",
    "set -a",
    "set -f",
    "set -C",
    "IFS=:/_s",
    "unset PATH HOME",
    "PATH=/usr/bin:/bin; cd /; FROM_SETUP=1",
];

#[test]
fn what_the_lines_leave_breaks_nothing_and_leaks_nothing() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let working_directory = remote.scratch();
    for shell in posix_shells() {
        for (kind, directory) in [("set", Some(&working_directory)), ("unset", None)] {
            let uuid = format!("{shell}-{kind}");
            let file = remote.scratch().join(&uuid);
            let mut request = reporting(&remote, &file).setup_shell(shell).environment("OURS", "a b:c/d").umask(0o027);
            request = LEFTOVERS.iter().fold(request, |request, line| request.setup_line(*line));
            request = request.setup_line("OURS=theirs; umask 077");
            if let Some(directory) = directory {
                request = request.working_directory(directory);
            }
            let report = report_of(&manager, &remote, &uuid, request, &file);
            assert_eq!(report.cwd, directory.map_or(Path::new("/"), PathBuf::as_path), "{shell}");
            assert_eq!(report.var("OURS").unwrap(), "a b:c/d", "{shell}: literal values win");
            assert_eq!(report.var("FROM_SETUP").unwrap(), "1", "{shell}: set -a must have worked");
            assert_eq!(report.umask(), 0o027, "{shell}");
            let ours = |name: &str| name.starts_with("_sshpm") || (name.len() == 2 && name.starts_with('_'));
            let names = report.env.iter().map(|variable| variable.to_string_lossy().into_owned());
            let leaked: Vec<_> = names.filter(|name| ours(name.split('=').next().unwrap())).collect();
            assert!(leaked.is_empty(), "{shell}: {leaked:?}");
        }
    }
    finish(&manager, &remote);
}

#[test]
fn options_that_the_lines_leave_do_not_hide_why_the_program_failed() {
    let remote = Remote::start();
    let manager = manager(&remote);
    for shell in posix_shells() {
        let mut request = BootRequest::new("alpha", ["/does/not/exist"]).setup_shell(shell);
        request = LEFTOVERS.iter().fold(request, |request, line| request.setup_line(*line));
        assert_eq!(failure_of(&manager, shell, &request), StartFailure::ProgramNotFound, "{shell}");
    }
    finish(&manager, &remote);
}

#[test]
fn a_relative_working_directory_begins_at_the_login_directory_whatever_the_lines_do() {
    let remote = Remote::start();
    if !remote.require_users("the home would be the real one") {
        return;
    }
    let user = remote.user("root").unwrap();
    fs::create_dir_all(remote.local(&user.home.join("sub/deep"))).unwrap();
    let manager = manager(&remote);
    for (uuid, line) in
        [("no-line", None), ("true", Some("true")), ("cd", Some("cd /")), ("cdpath", Some("export CDPATH=/"))]
    {
        let file = remote.scratch().join(uuid);
        let mut request = reporting(&remote, &file).working_directory("sub/deep");
        if let Some(line) = line {
            request = request.setup_line(line);
        }
        let report = report_of(&manager, &remote, uuid, request, &file);
        assert_eq!(report.cwd, user.home.join("sub/deep"), "{uuid}");
    }
    finish(&manager, &remote);
}

#[test]
fn literal_values_hold_during_the_lines_and_win_behind_them() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let file = remote.scratch().join("report");
    let request = reporting(&remote, &file)
        .environment("GIVEN", "$literal 'value'")
        .setup_line("SEEN=$GIVEN; export SEEN")
        .setup_line("GIVEN=changed");
    let report = report_of(&manager, &remote, "u", request, &file);
    assert_eq!(report.var("SEEN").unwrap(), "$literal 'value'");
    assert_eq!(report.var("GIVEN").unwrap(), "$literal 'value'");
    finish(&manager, &remote);
}

#[test]
fn the_shell_for_the_lines_can_be_named() {
    let remote = Remote::start();
    let manager = manager(&remote);
    for shell in posix_shells() {
        let file = remote.scratch().join(shell);
        // $$ is the pid of the shell, which becomes the application's. So /proc shows which shell ran.
        let line = "EXE=$(readlink /proc/$$/exe); export EXE";
        let request = reporting(&remote, &file).setup_shell(shell).setup_line(line);
        let report = report_of(&manager, &remote, shell, request, &file);
        let exe = report.var("EXE").unwrap().to_string_lossy().into_owned();
        // Debian's names are links: mksh is mksh, but ksh93 may be another file.
        assert!(exe.contains(shell.trim_end_matches("93")), "{shell}: {exe}");
    }
    let request = shell("exit 0").setup_line("true");
    for missing in ["no-such-shell", "/no/such/shell"] {
        let uuid = missing.replace('/', "_");
        let reason = failure_of(&manager, &uuid, &request.clone().setup_shell(missing));
        assert_eq!(reason, StartFailure::ShellNotFound);
    }
    for refused in ["csh", "tcsh", "fish", "/usr/bin/fish", "/bin/tcsh"] {
        match manager.start_process("refused", &request.clone().setup_shell(refused)) {
            Err(Error::Invalid { field, value, .. }) => assert_eq!((&*field, &*value), ("setup_shell", refused)),
            other => panic!("{refused}: {other:?}"),
        }
        assert!(manager.process_state("refused").is_err(), "nothing was started");
    }
    finish(&manager, &remote);
}

#[test]
fn what_a_line_leaves_in_the_background_delays_neither_the_start_nor_the_end() {
    let remote = Remote::start();
    let manager = manager(&remote);
    // In the process group: it is ended with the application, even if it holds all streams.
    start(&manager, "group", &shell("exit 4").setup_line("sleep 1000 &"));
    let status = end_of(&manager, "group");
    assert_eq!((status.code(), status.left_over()), (Some(4), true), "{status}");
    // In a session of its own: it cannot be reached, but ssh does not wait for it. It ends when nobody reads its
    // stdout.
    let daemon = format!("{} daemonize", remote.app().display());
    start(&manager, "daemon", &shell("exit 5").setup_line(daemon));
    assert_eq!(end_of(&manager, "daemon").code(), Some(5));
    wait_for_link_end(&manager, "daemon");
    remote.end_daemons("daemonize");
    finish(&manager, &remote);
}

#[test]
fn what_the_lines_write_is_kept() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let request = app(&remote, "print application").setup_line("echo line; echo message >&2; printf unfinished");
    start(&manager, "u", &request);
    assert_eq!(end_of(&manager, "u").code(), Some(0));
    assert_eq!(stdout(&manager, "u"), "line\nunfinishedapplication\n");
    assert_eq!(manager.process_stderr("u").unwrap().bytes, b"message\n");
    let error = {
        manager.start_process("v", &request.setup_line("echo the reason >&2; false")).unwrap();
        manager.wait_until_started("v", TIME).unwrap_err()
    };
    assert!(matches!(&error, Error::StartFailed { output, .. } if output.contains("the reason")), "{error:?}");
    finish(&manager, &remote);
}

/// bash reads ~/.bashrc if it believes that sshd is its parent, and zsh always reads ~/.zshenv.
#[test]
fn no_start_up_file_is_read_unless_a_line_does() {
    let file = "echo noise; FROM_FILE=1; export FROM_FILE\n";
    let names = [".bashrc", ".zshenv", ".kshrc", ".mkshrc", ".profile"];
    // The login shell itself must read none of the files. dash does not.
    let builder = names.iter().fold(Remote::builder(), |builder, name| builder.user_file("dash", name, file));
    let remote = builder.start();
    let Some(user) = remote.user("dash") else { return support::skipped("start-up files need a user with dash") };
    let manager = manager(&remote);
    for shell in posix_shells() {
        for (kind, line) in [("without", "true"), ("with", ". ~/.profile")] {
            let uuid = format!("{shell}-{kind}");
            let file = remote.scratch().join(&uuid);
            let request = remote.request_as(&user, reporting(&remote, &file)).setup_shell(shell).setup_line(line);
            let report = report_of(&manager, &remote, &uuid, request, &file);
            let read = kind == "with";
            assert_eq!(report.var("FROM_FILE").is_some(), read, "{uuid}");
            assert_eq!(stdout(&manager, &uuid), if read { "noise\n" } else { "" }, "{uuid}");
        }
    }
    finish(&manager, &remote);
}
