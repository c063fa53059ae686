//! Tests the test harness: it does what it promises, and ssh fails in the ways that its aliases are for.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{
    self, AppReport, BRIEF, DEADLINE, LOG, LocalState, Remote, assert_same_bytes, brief, difference, shorten,
    shorten_lines, wait_until,
};

/// Runs `true` on the host. ssh must fail with its own code and this message, at both log levels that matter to the
/// library.
#[track_caller]
fn assert_fails(remote: &Remote, program: &Path, host: &str, expected: &str) {
    for level in ["INFO", "ERROR"] {
        let mut ssh = Command::new(program);
        ssh.arg("-F").arg(remote.ssh_config()).args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=1", "-o"]);
        let output = ssh.arg(format!("LogLevel={level}")).args([host, "true"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        println!("{host}, {level}: {}\n{text}", output.status);
        assert_eq!(output.status.code(), Some(255), "{host}: {text}");
        assert!(text.contains(expected), "{host}: {text}");
    }
}

/// Starts a command that waits on the remote. Returns when it has written its first line.
#[track_caller]
fn start_on(remote: &Remote, host: &str, command: &str) -> Child {
    let mut child = remote.ssh(host).arg(command).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

fn count(remote: &Remote, word: &str) -> usize {
    let processes = remote.processes();
    processes.iter().filter(|process| process.cmdline.iter().any(|argument| argument == word)).count()
}

#[test]
fn every_user_can_log_in() {
    let remote = Remote::start();
    if !remote.require_users("login shells need users of their own") {
        return;
    }
    let users = remote.users();
    assert!(users.len() > 1, "no login shell is installed but root's");
    for (done, user) in users.iter().enumerate() {
        assert_eq!(remote.logins(), done);
        // Every shell understands this: sshd sets $SHELL and $HOME.
        let output =
            remote.ssh(&format!("{}@alpha", user.name)).arg("echo $SHELL $HOME; id -un; pwd").output().unwrap();
        let expected = format!("{} {home}\n{}\n{home}\n", user.shell.display(), user.name, home = user.home.display());
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{output:?}");
    }
    assert_eq!(remote.logins(), users.len());
    assert!(remote.local(Path::new("/etc/passwd")).exists());
    assert!(!fs::read_to_string("/etc/passwd").unwrap().contains("sshpm-"), "the real accounts are as they were");
    remote.assert_nothing_left();
}

/// useradd replaces the file like this.
#[test]
fn the_accounts_of_a_remote_outlast_the_replacement_of_the_machines_own() {
    if !support::namespaces_work() {
        return support::skipped("no root or no mount namespaces here: the accounts are the machine's own");
    }
    let dir = support::temporary_directory();
    fs::write(dir.path().join("passwd"), "the remote's\n").unwrap();
    fs::create_dir(dir.path().join("place")).unwrap();
    // The outer shell stands for the machine, and the inner one for the remote.
    let machine = "set -e
        mount -n -t tmpfs -o mode=755 sshpm-test /etc
        echo \"the machine's\" | tee /etc/passwd >/etc/group
        ln -s ../etc/group /etc/link
        unshare --mount --propagation private sh -c \"$1\"
        true";
    let remote = "set -e
        own_etc \"${PWD#/}/place\" passwd
        nsenter -t $PPID --mount sh -c 'echo replaced >/etc/new; mv /etc/new /etc/passwd'
        cat /etc/passwd /etc/group /etc/link place/passwd";
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", machine, "sh"])
        .arg([support::OWN_ETC, remote].concat())
        .current_dir(dir.path())
        .output()
        .unwrap();
    let expected = "the remote's\nthe machine's\nthe machine's\nreplaced\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{output:?}");
}

#[test]
fn all_hosts_are_the_remote() {
    let remote = Remote::start();
    for host in ["alpha", "beta", "gamma"] {
        assert!(remote.ssh(host).arg("true").status().unwrap().success());
    }
    assert_eq!(remote.logins(), 3);
    remote.stop();
}

#[test]
fn start_up_files_and_variables_are_in_place() {
    let remote = Remote::builder()
        .user_file("bash", ".bashrc", "echo noise from bash\n")
        .user_file("bash", ".config/deep/file", [0, 255])
        .env("GREETING", "it's \"a\\b\" c")
        .runtime_dirs()
        .start();
    if !remote.require_users("start-up files need a home directory") {
        return;
    }
    let user = remote.user("bash").unwrap();
    let command = "printf '%s\\n' \"$GREETING\" $XDG_RUNTIME_DIR; touch $XDG_RUNTIME_DIR/x";
    let output = remote.ssh(&format!("{}@alpha", user.name)).arg(command).output().unwrap();
    let expected = format!("noise from bash\nit's \"a\\b\" c\n/run/user/{}\n", user.uid);
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{output:?}");
    assert_eq!(remote.read(user.home.join(".config/deep/file")), [0, 255]);
    assert!(remote.local(Path::new(&format!("/run/user/{}/x", user.uid))).exists());
}

#[test]
fn runtime_files_are_seen() {
    let remote = Remote::start();
    if !remote.require_users("the directories would be the real ones") {
        return;
    }
    assert!(remote.runtime_files().is_empty());
    let command = "mkdir -p /tmp/drunc-7/deep ~/.local/state/sshpm; >/tmp/drunc-7/deep/a; >~/.local/state/sshpm/b";
    assert!(remote.ssh("alpha").arg(command).status().unwrap().success());
    let expected = ["/home/root/.local/state/sshpm/b", "/tmp/drunc-7/deep/a"];
    assert_eq!(remote.runtime_files(), expected.map(PathBuf::from));
    assert!(remote.nothing_left_within(Duration::ZERO).is_err());
    assert!(remote.ssh("alpha").arg("rm /tmp/drunc-7/deep/a ~/.local/state/sshpm/b").status().unwrap().success());
    remote.assert_nothing_left();
}

#[test]
fn daemons_are_found_and_ended() {
    let remote = Remote::start();
    let app = remote.app();
    // The last one has neither the mark nor a living parent, and ignores all signals that can be ignored.
    let command = format!(
        "{app} daemonize fork 2 print ready; exec 2>/dev/null; env -i setsid {app} ignore HUP,TERM,INT,PIPE wait & \
         {app} wait & exit 3",
        app = app.display()
    );
    let mut ssh = start_on(&remote, "alpha", &command);
    wait_until("5 applications", DEADLINE, || (count(&remote, app.to_str().unwrap()) == 5).then_some(()));
    assert!(!remote.session_sshds().is_empty());
    let processes = remote.processes();
    let left = remote.nothing_left_within(Duration::ZERO).unwrap_err();
    assert!(left.contains("ignore HUP,TERM,INT,PIPE wait") && left.contains("State:"), "{left}");
    remote.stop();
    assert!(processes.iter().all(|process| !process.is_alive()));
    ssh.wait().unwrap();
}

/// The part of a child process in the next test.
#[test]
fn owner_to_be_killed() {
    if !support::is_isolated("remotes::owner_to_be_killed") {
        return;
    }
    let remote = Remote::start();
    let app = remote.app().display().to_string();
    let mut ssh = start_on(&remote, "alpha", &format!("{app} daemonize print ready wait"));
    let pids: Vec<_> = remote.processes().iter().chain(&remote.session_sshds()).map(|p| p.pid.to_string()).collect();
    let note = std::env::var_os("SSHPM_TEST_NOTE").unwrap();
    let part = Path::new(&note).with_extension("part");
    fs::write(&part, format!("{}\n{}\n{}\n", remote.dir().display(), remote.port(), pids.join(" "))).unwrap();
    fs::rename(part, note).unwrap();
    // Until this process is killed.
    ssh.wait().unwrap();
}

#[test]
fn all_ends_when_the_owner_is_killed() {
    let note = support::temporary_directory();
    let note = note.path().join("note");
    let mut owner = support::isolated_command("remotes::owner_to_be_killed")
        .env("SSHPM_TEST_NOTE", &note)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let text = wait_until("a note from the owner", DEADLINE, || fs::read_to_string(&note).ok());
    let [dir, port, pids] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    let alive = || {
        let pids = pids.split(' ').map(|pid| pid.parse().unwrap());
        pids.filter_map(support::ProcessInfo::of).filter(|p| !p.is_zombie()).count()
    };
    assert!(Path::new(dir).exists());
    assert!(alive() >= 3, "two applications and sshd: {pids}");

    owner.kill().unwrap();
    assert_eq!(owner.wait().unwrap().signal(), Some(libc::SIGKILL));
    wait_until("the remote's end", DEADLINE, || (alive() == 0 && !Path::new(dir).exists()).then_some(()));
    let address = format!("127.0.0.1:{port}");
    assert!(std::net::TcpStream::connect(address).is_err(), "sshd still listens");
}

#[test]
fn ssh_fails_as_the_aliases_promise() {
    let remote = Remote::start();
    let ssh = Path::new("ssh");
    assert_fails(&remote, ssh, "refused", "Connection refused");
    assert_fails(&remote, ssh, "unresolved", "Could not resolve hostname");
    assert_fails(&remote, ssh, "silent", "timed out during banner exchange");
    assert_fails(&remote, ssh, "wrongkey", "Permission denied (publickey");
    assert_fails(&remote, ssh, "nobody-of-this-name@alpha", "Permission denied (publickey");
    assert_fails(&remote, ssh, "unknownkey", "Host key verification failed.");
    assert_fails(&remote, ssh, "changedkey", "REMOTE HOST IDENTIFICATION HAS CHANGED");
    if let Some(program) = remote.unreachable_ssh() {
        assert_fails(&remote, &program, "unreachable", "Network is unreachable");
    }
    assert_eq!(remote.logins(), 0);
}

#[test]
fn a_throttled_sshd_takes_logins_again_when_the_connection_is_given_up() {
    let (remote, held) = Remote::throttled();
    assert_fails(&remote, Path::new("ssh"), "alpha", "kex_exchange_identification: ");
    assert_eq!(remote.logins(), 0);
    drop(held);
    wait_until("a login", DEADLINE, || remote.ssh("alpha").arg("true").status().unwrap().success().then_some(()));
}

#[test]
fn long_bytes_that_differ_are_shown_around_their_first_difference() {
    let long = vec![b'x'; 1 << 20];
    assert_same_bytes("equal bytes", &long, &long);
    let mut other = long.clone();
    other[500_000] = 0;
    let x = |count: usize| "x".repeat(count);
    let (before, after) = (x(16), x(15));
    assert_eq!(
        difference(&other, &long).unwrap(),
        format!(
            "1048576 bytes instead of 1048576; from byte 500000 on they differ: \
             \"{before}\\x00{after}\" instead of \"{before}x{after}\""
        )
    );
    assert_eq!(
        difference(b"ab", b"a").unwrap(),
        r#"2 bytes instead of 1; from byte 1 on they differ: "ab" instead of "a""#
    );
    assert_eq!(difference(b"", &long).map(|text| text.len() < 200), Some(true));
}

#[test]
#[should_panic = "the words: 3 bytes instead of 4; from byte 2 on they differ: \"one\" instead of \"only\""]
fn a_comparison_of_bytes_names_what_it_compares() {
    assert_same_bytes("the words", "one", "only");
}

#[test]
fn failure_messages_are_bounded() {
    assert_eq!(shorten("abcdef", 6), "abcdef");
    assert_eq!(shorten("abcdefg", 4), "ab … 3 bytes … fg");
    // A character that is cut in two is replaced.
    assert_eq!(shorten("é€é", 2), "\u{fffd} … 5 bytes … \u{fffd}");
    assert!(brief(&vec![0; 1 << 20]).len() < BRIEF + 100);
    let long = format!("{}\nshort\n", "x".repeat(300_000));
    let lines = shorten_lines(&long, LOG);
    assert!(lines.len() < BRIEF + 100 && lines.ends_with("\nshort\n"), "{}", lines.len());
    assert!(shorten_lines(&"line\n".repeat(100_000), LOG).len() < LOG + 100);
}

#[test]
fn an_isolated_test_has_the_process_to_itself() {
    support::isolated(|| {
        let before = support::local_snapshot();
        assert_eq!(before.children.len(), 0);
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("extra".to_owned());
        let thread = thread.spawn(move || receiver.recv()).unwrap();
        let file = fs::File::open("/dev/null").unwrap();
        let mut child = Command::new("true").spawn().unwrap();
        // A zombie counts. A thread sets its name some time after it was made.
        let now = wait_until("a zombie and a named thread", DEADLINE, || {
            let now = support::local_snapshot();
            let zombie = now.children.values().any(|child| child == "zombie");
            (zombie && now.threads.iter().any(|name| name == "extra")).then_some(now)
        });
        let LocalState { threads, fds, children } = &now;
        assert_eq!((threads.len(), fds.len(), children.len()), (before.threads.len() + 1, before.fds.len() + 1, 1));
        drop((sender, file));
        assert!(thread.join().unwrap().is_err());
        child.wait().unwrap();
        support::assert_same_as(&before);
    });
}

#[test]
#[should_panic = "there is no test named remotes::not_a_test"]
fn an_isolated_test_must_exist() {
    not_a_test();
}

fn not_a_test() {
    support::isolated(|| ());
}

#[test]
fn the_application_reports_how_it_was_started() {
    let remote = Remote::start();
    let file = remote.scratch().join("report");
    let command = format!(
        "cd /; umask 027; ulimit -n 99; trap '' USR1; export ODD='a\nb'; exec {} report {} -- 'x y' '' \"$(printf '\\377')\"",
        remote.app().display(),
        file.display()
    );
    // In sh, because the login shell of this user is not known everywhere.
    let command = format!("exec sh -c '{}'", command.replace('\'', "'\\''"));
    assert!(remote.ssh("alpha").arg(command).status().unwrap().success());
    let report = AppReport::wait(&remote, &file);
    let payload: Vec<_> = report.payload().iter().map(|argument| argument.as_encoded_bytes()).collect();
    assert_eq!(payload, [b"x y".as_slice(), b"", b"\xff"]);
    assert_eq!(report.argv[1], "report");
    assert_eq!(report.var("ODD").unwrap(), "a\nb");
    assert_eq!(report.var("SSHPM_TEST_REMOTE").unwrap().len(), 32);
    assert_eq!(report.var("NO_SUCH_VARIABLE"), None);
    assert_eq!(report.cwd, Path::new("/"));
    assert_eq!(report.umask(), 0o027);
    assert_eq!(report.limit("Max open files"), ("99", "99"));
    assert!(report.signals("SigIgn").contains(&libc::SIGUSR1));
    // With Rust's own start-up code, SIGPIPE would be among them.
    assert!(!report.signals("SigIgn").contains(&libc::SIGPIPE));
    assert_eq!(report.signals("SigBlk"), [0; 0]);
    assert_eq!(report.signals("SigCgt"), [0; 0]);
    assert!(report.pid > 0 && report.ppid > 0 && report.pgid > 0 && report.sid > 0);
    let fds: Vec<_> = report.fds.iter().map(|(fd, _)| *fd).collect();
    assert_eq!(fds, [0, 1, 2]);
}

/// Runs test-app with these verbs on this machine, to its end.
#[track_caller]
fn app(verbs: &str) -> (Vec<u8>, Vec<u8>, std::process::ExitStatus) {
    let output = Command::new(support::test_app()).args(verbs.split(' ')).output().unwrap();
    (output.stdout, output.stderr, output.status)
}

#[test]
fn the_application_does_as_it_is_told() {
    let (stdout, stderr, status) = app("print a stderr b stdout 00ff0a stderr c exit 7 print never");
    assert_eq!(
        (stdout.as_slice(), stderr.as_slice(), status.code()),
        (b"a\n\0\xff\n".as_slice(), b"bc".as_slice(), Some(7))
    );
    assert_eq!(app("-- exit 7").2.code(), Some(0));
    assert_eq!(app("nonsense").2.code(), Some(64));
    assert_eq!(app("raise SEGV").2.signal(), Some(libc::SIGSEGV));
    assert_eq!(app("ignore TERM,SIGINT raise TERM raise 2 exit 3").2.code(), Some(3));
    assert_eq!(app("spam 100000").0.len(), 100_000);
    let (stdout, stderr, _) = app("forge");
    assert!(stdout == stderr && stdout.windows(7).any(|part| part == b"\nexit 0"));
    assert_eq!(app("close-streams print x stderr y exit 2").2.code(), Some(2));
    let start = Instant::now();
    assert_eq!(app("count-down 30").2.code(), Some(0));
    assert!(start.elapsed() >= Duration::from_millis(30));
    // Without a non-blocking pipe, it would wait for ever. Nobody reads the pipe before the end.
    let mut child =
        Command::new(support::test_app()).args(["nonblock-fill", "exit", "4"]).stderr(Stdio::piped()).spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(4));
}

#[test]
fn the_heartbeat_ends_with_0_unless_told_to_ignore() {
    for (ignored, sent, code, by) in [
        ("", libc::SIGQUIT, Some(0), None),
        ("", libc::SIGHUP, Some(0), None),
        ("", libc::SIGUSR1, None, Some(libc::SIGUSR1)),
        ("ignore QUIT", libc::SIGTERM, Some(0), None),
    ] {
        let mut command = Command::new(support::test_app());
        command.args(ignored.split_ascii_whitespace()).args(["heartbeat", "0.01"]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert_eq!(lines.next().unwrap(), "Process started");
        assert_eq!(lines.next().unwrap(), child.id().to_string());
        assert_eq!(lines.next().unwrap(), "Heartbeat");
        let process = support::ProcessInfo::of(child.id() as i32).unwrap();
        if !ignored.is_empty() {
            process.signal(libc::SIGQUIT).unwrap();
            assert_eq!(lines.by_ref().take(3).collect::<Vec<_>>(), ["Heartbeat"; 3], "QUIT is ignored");
        }
        process.signal(sent).unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.code(), status.signal()), (code, by));
    }
}

#[test]
fn a_daemon_ends_when_nobody_reads() {
    let mut child = Command::new(support::test_app()).arg("daemonize").stdout(Stdio::piped()).spawn().unwrap();
    let pipe =
        fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(child.stdout.as_ref().unwrap())))
            .unwrap();
    child.wait().unwrap();
    let daemon = wait_until("the daemon", DEADLINE, || {
        let holds = |pid: i32| fs::read_link(format!("/proc/{pid}/fd/1")).is_ok_and(|target| target == pipe);
        support::processes().into_iter().find(|process| holds(process.pid))
    });
    assert_eq!((daemon.sid == daemon.pid, daemon.pgid), (false, daemon.sid), "a session of its own, not leading it");
    drop(child.stdout.take());
    wait_until("the daemon's end", DEADLINE, || (!daemon.is_alive()).then_some(()));
}
