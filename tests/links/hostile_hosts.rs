//! Hosts that answer with nonsense, without end, or with lies: each call returns a typed error in its time, and no
//! memory is filled. No real sshd behaves like this, so a script takes the place of ssh. It behaves as the name of its
//! host says.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use crate::life::{TIME, Witness};
use crate::sharing::logged;
use crate::support::{self, LONG, brief, isolated, peak_kib, wait_until};
use sshpm::{
    BootRequest, Error, Event, EventKind, KillTimeouts, LinkLossPolicy, Manager, Options, ProcessState, SshFailure,
    StartFailure,
};
use tempfile::TempDir;

const SECOND: Duration = Duration::from_secs(1);

/// The memory that this process may need beside what it had: the longest log file that is read, twice while its buffer
/// grows, and stacks and buffers.
const MOST_KIB: u64 = 64 << 10;

/// A program in the place of ssh. `$host` is its host, `$n` the nonce, and `say` reports. `$kind` ends with
/// "connection" for the master of a shared connection.
const PREAMBLE: &str = r#"#!/bin/sh
[ "$1" != -V ] || { echo OpenSSH_9.2p1 >&2; exit; }
for kind; do :; done
while [ "$1" != -- ]; do shift; done
host=$2
# Not all of it: a host that reads no further is one of the cases.
line=$(dd bs=8192 count=1 2>/dev/null)
n=${line#*_nonce=}
n=${n#"'"}
n=${n%%"'"*}
say() { echo "$n $*" >&2; }
runs() { say begin 1 77; say pid 4242 5 boot 2; say running; }
"#;

struct Fake {
    dir: TempDir,
}

impl Fake {
    /// Makes the program. `cases` stands inside of `case $host in … esac`.
    fn new(cases: &str) -> Fake {
        let fake = Fake { dir: support::temporary_directory() };
        let draft = fake.dir.path().join("draft");
        fs::write(&draft, format!("{PREAMBLE}case $host in\n{cases}\nesac\n")).unwrap();
        fs::set_permissions(&draft, Permissions::from_mode(0o755)).unwrap();
        // cp writes it, because a program that is open for writing cannot be executed.
        assert!(Command::new("cp").arg(&draft).arg(fake.program()).status().unwrap().success());
        fake
    }

    fn program(&self) -> PathBuf {
        self.dir.path().join("ssh")
    }

    /// Returns options for the program, without shared connections, and with times for which a test can wait.
    fn options(&self) -> Options {
        let options = Options::new().ssh_program(self.program()).share_connections(false);
        options.connect_timeout(SECOND).lost_timeout(SECOND)
    }

    fn manager(&self) -> Arc<Manager> {
        Arc::new(Manager::new(self.options()).unwrap())
    }
}

/// Returns a request for one of the script's hosts.
fn request(host: &str) -> BootRequest {
    BootRequest::new(host, ["true"]).start_timeout(SECOND).grace(Duration::ZERO)
}

/// Returns a request for a start that must not time out.
fn patient(host: &str) -> BootRequest {
    request(host).start_timeout(LONG)
}

/// Returns the result of a call. A call that does not return fails the test and does not hold it up.
#[track_caller]
fn within<T: Send + 'static>(what: &str, call: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(call()));
    receiver.recv_timeout(LONG).unwrap_or_else(|error| panic!("{what} has not returned: {error}"))
}

#[track_caller]
fn drop_in_time(manager: Arc<Manager>) {
    let manager = Arc::into_inner(manager).expect("nobody else has the manager");
    within("the end of the manager", move || drop(manager));
}

/// Returns why a start failed, when its ssh client has ended too.
#[track_caller]
fn failure(manager: &Manager, uuid: &str) -> Error {
    let error = manager.wait_for_process_exit_code(uuid, LONG).unwrap_err();
    assert!(!matches!(error, Error::TimedOut { .. }), "{uuid} has neither started nor failed");
    assert_eq!(manager.process_state(uuid).unwrap(), ProcessState::Failed, "{uuid}");
    wait_until_client_ends(manager, uuid);
    error
}

#[track_caller]
fn wait_until_client_ends(manager: &Manager, uuid: &str) {
    let what = format!("the end of the ssh client of {uuid}");
    wait_until(&what, LONG, || manager.runtime_pids(uuid).ssh_client.is_none().then_some(()));
}

/// The shell that answers a signal is not the one that reports the exit, and can be the later one of the two.
#[test]
fn a_signal_whose_answer_comes_behind_the_exit_was_sent() {
    let fake = Fake::new(
        r#"*) runs; while read -r line; do case $line in *"kill 1 TERM "*) break ;; esac; done
           say exit 143 s 1 0; read -r line; echo "$n eof"; say clean ;;"#,
    );
    let manager = fake.manager();
    manager.start_process("u", &patient("host")).unwrap();
    manager.wait_until_started("u", LONG).unwrap();
    manager.send_signal("u", sshpm::Signal::TERM).unwrap();
    assert_eq!(manager.kill_process("u", LONG).unwrap().code(), Some(143));
    drop_in_time(manager);
}

#[test]
fn a_host_that_talks_without_end_holds_no_call_for_longer_than_its_time() {
    isolated(|| {
        let fake = Fake::new(
            r#"random-err) exec cat /dev/urandom >&2 ;;
            random-out) exec cat /dev/urandom ;;
            data) say begin 1 77; echo "$n begin"; exec yes data ;;
            line) say begin 1 77; exec tr '\0' x </dev/zero >&2 ;;
            report) say begin 1 77; printf %s "$n" >&2; exec tr '\0' x </dev/zero >&2 ;;
            begins) exec yes "$n begin 1 77" >&2 ;;
            pongs) say begin 1 77; exec yes "$n pong" >&2 ;;
            unknown) say begin 1 77; exec yes "$n 99999999999999999999999" >&2 ;;
            silent) say begin 1 77; exec sleep 1000 ;;"#,
        );
        let hosts = ["random-err", "random-out", "data", "line", "report", "begins", "pongs", "unknown", "silent"];
        let manager = fake.manager();
        let before = peak_kib();
        let mut calls = Vec::new();
        for host in hosts {
            manager.start_process(host, &request(host)).unwrap();
            let mut call = |what: &str, call: fn(&Manager, &str)| {
                let manager = Arc::clone(&manager);
                let (sender, receiver) = mpsc::channel();
                std::thread::spawn(move || {
                    call(&manager, host);
                    drop(manager);
                    sender.send(())
                });
                calls.push((format!("{what} of {host}"), receiver));
            };
            call("the validation", |manager, host| {
                let error = manager.validate_host_connection(host, None, None).unwrap_err();
                assert!(matches!(error, Error::Ssh { failure: SshFailure::TimedOut, .. }), "{host}: {error}");
            });
            call("the log file", |manager, host| {
                let error = manager.read_log_file(host, None, "/log", 1, SECOND).unwrap_err();
                assert!(matches!(error, Error::TimedOut { .. }), "{host}: {error}");
            });
            call("the following", |manager, host| {
                let follower = manager.follow_log_file(host, None, "/log", 1).unwrap();
                let until = Instant::now() + SECOND;
                while Instant::now() < until {
                    let piece = follower.next(SECOND).unwrap();
                    assert!(piece.is_none_or(|piece| piece.len() <= 8192), "{host}");
                }
            });
            // This call has 10 s for the connection.
            call("the metadata", |manager, host| {
                let error = manager.read_process_metadata("u", host, None, Duration::ZERO).unwrap_err();
                assert!(matches!(error, Error::TimedOut { .. }), "{host}: {error}");
            });
        }
        for host in hosts {
            let error = failure(&manager, host);
            let is_timeout = |reason: &StartFailure| matches!(reason, StartFailure::TimedOut { .. });
            assert!(matches!(&error, Error::StartFailed { reason, .. } if is_timeout(reason)), "{host}: {error}");
            assert!(error.to_string().len() < 8192, "{host}: the message is bounded");
        }
        for (what, ended) in calls {
            ended.recv_timeout(LONG).unwrap_or_else(|error| panic!("{what}: {error}"));
        }
        let more = peak_kib().saturating_sub(before);
        assert!(more < MOST_KIB, "{more} KiB");
        drop_in_time(manager);
    });
}

#[test]
fn a_host_that_talks_faster_than_is_read_holds_no_call_for_longer_than_its_time() {
    isolated(|| {
        // Reports take longer to read than to write, and the pipe holds more of them than are read in one turn.
        let app = support::test_app();
        let fake = Fake::new(&format!("*) say begin 1 77; exec '{}' endless \"$n pong\" ;;", app.display()));
        let manager = fake.manager();
        let before = peak_kib();
        let asked = Arc::clone(&manager);
        // Ten times, because a stream can run dry by chance.
        within("ten log files", move || {
            for _ in 0..10 {
                let error = asked.read_log_file("h", None, "/log", 1, SECOND / 5).unwrap_err();
                assert!(matches!(error, Error::TimedOut { .. }), "{error}");
            }
        });
        let more = peak_kib().saturating_sub(before);
        assert!(more < MOST_KIB, "{more} KiB");
        drop_in_time(manager);
    });
}

#[test]
fn reports_that_cannot_be_are_typed_errors() {
    isolated(|| {
        logged::keep();
        let fake = Fake::new(
            r#"random) head -c 3000000 /dev/urandom; head -c 3000000 /dev/urandom >&2; exit 3 ;;
            huge) say begin 1 99999999999999999999; say begin 1 4294967297; say begin 1 -5; say begin 1 0
                say pid 18446744073709551618 5 boot 2; say ok 99999999999999999999; say fail setup 99999999999 1
                say exit 4294967296 - 1 0; say exit 99999999999999999999 - 1 0; say exit -1 - 1 0; exit 3 ;;
            pids) say begin 1 77
                for p in 0 -1 1 -4242 2147483648 4294967297 18446744073709551617 '' 1e3 0x10; do
                    say pid "$p" 5 boot 2
                done
                say running; exec sleep 1000 ;;
            exit-first) say begin 1 77; say exit 0 - 1 0; say eof; say pid 4242 5 boot 2; say running; exec sleep 1000 ;;
            fail-first) say fail runtime; say begin 1 77; say pid 4242 5 boot 2; say running; exec sleep 1000 ;;
            running-first) say running; say begin 1 77; exec sleep 1000 ;;
            cut) say begin 1 77; printf '%s pid 4242 5' "$n" >&2; exit 3 ;;"#,
        );
        let manager = fake.manager();
        let events = manager.subscribe().unwrap();
        let hosts = ["random", "huge", "pids", "exit-first", "fail-first", "running-first", "cut"];
        for host in hosts {
            let is_to_time_out = ["pids", "running-first"].contains(&host);
            manager.start_process(host, &if is_to_time_out { request(host) } else { patient(host) }).unwrap();
        }
        for host in hosts {
            let error = failure(&manager, host);
            assert!(error.to_string().len() < 8192, "{host}: the message is bounded");
            let reason = match &error {
                Error::StartFailed { reason, .. } => Some(reason),
                Error::Ssh { failure, .. } => {
                    assert_eq!(*failure, SshFailure::RemoteShell(3), "{host}: {error}");
                    None
                }
                _ => panic!("{host}: {error}"),
            };
            match host {
                "random" | "huge" => assert_eq!(reason, None, "{host}: {error}"),
                "cut" => assert_eq!(reason, Some(&StartFailure::LinkLost)),
                "exit-first" => assert_eq!(reason, Some(&StartFailure::Protocol)),
                "fail-first" => assert_eq!(reason, Some(&StartFailure::RuntimeDirectory)),
                _ => assert!(matches!(reason, Some(StartFailure::TimedOut { .. })), "{host}: {error}"),
            }
            // A report that comes after its failure is not believed, and an impossible number is no pid.
            if !host.ends_with("first") {
                assert!(matches!(manager.remote_pid(host), Err(Error::NoRemotePid { .. })), "{host}");
            }
        }
        let mut all: Vec<Event> = events.try_iter().collect();
        // The manager asks the hosts on which a start had begun.
        all.retain(|event| !matches!(event.kind, EventKind::LinkLost { .. }));
        assert_eq!(all.len(), hosts.len(), "{}", brief(&all));
        assert!(all.iter().all(|event| matches!(event.kind, EventKind::StartFailed { .. })), "{}", brief(&all));
        // Ten unknown reports cause one warning for each host that sent some.
        let warnings = logged::warnings();
        let strange = warnings.iter().filter(|line| line.contains("sent an unknown report")).count();
        assert_eq!(strange, 2, "{}", brief(&warnings));
        drop(events);
        drop_in_time(manager);
    });
}

#[test]
fn a_host_that_repeats_itself_is_believed_once() {
    isolated(|| {
        let fake = Fake::new(
            r#"exits) runs; say exit 3 - 1 0; say exit 4 - 1 0; say eof; say clean; say exit 5 - 1 0; exec sleep 1000 ;;
            pids) runs; say pid 4343 6 boot 2; say begin 1 78; echo ready; sleep 0.1; say exit 6 - 1 0; exec sleep 1000 ;;
            cleans) runs; say exit 7 - 1 0; exec yes "$n clean" >&2 ;;
            running) runs; exec yes "$n running" >&2 ;;"#,
        );
        let manager = fake.manager();
        let witness = Witness::new(&manager);
        let before = peak_kib();
        for host in ["exits", "pids", "cleans", "running"] {
            manager.start_process(host, &patient(host)).unwrap();
        }
        for (host, code) in [("exits", 3), ("pids", 6), ("cleans", 7)] {
            assert_eq!(manager.wait_for_process_exit_code(host, LONG).unwrap(), Some(code), "{host}");
            // None of them ends by itself, or reports that it does.
            wait_until_client_ends(&manager, host);
            assert_eq!(manager.remote_pid(host).unwrap(), 4242, "{host}");
            assert_eq!(manager.runtime_pids(host).remote_monitoring, Some(77), "{host}");
        }
        // Each event would stay in the queue until it is received.
        manager.wait_until_started("running", LONG).unwrap();
        let timeouts = KillTimeouts::from(SECOND);
        let killed = manager.kill_processes(&["running"], &timeouts).unwrap();
        assert!(matches!(killed["running"], Err(Error::StillRunning { .. })), "{killed:?}");
        let more = peak_kib().saturating_sub(before);
        assert!(more < MOST_KIB, "{more} KiB");
        let manager = Arc::into_inner(manager).unwrap();
        let words = within("the end of the manager", move || witness.all(manager));
        for (host, words) in &words {
            assert_eq!(words.iter().filter(|word| **word == "started").count(), 1, "{host}");
            assert_eq!(words.last(), Some(&"exited"), "{host}");
            // The link of the process that does not end is cut when the manager lets go.
            assert_eq!(words.len(), if host == "running" { 3 } else { 2 }, "{host}: {words:?}");
        }
        assert_eq!(words.len(), 4);
    });
}

#[test]
fn a_host_that_reads_nothing_and_reports_without_end_fills_no_memory() {
    isolated(|| {
        let fake = Fake::new(r#"deaf) say begin 1 77; exec yes "$n tick" >&2 ;;"#);
        let manager = fake.manager();
        // This is more than the socket to ssh holds. The answers to the reports wait behind it.
        let large = "x".repeat(100_000);
        let mut deaf = request("deaf").start_timeout(Duration::from_secs(5));
        for number in 0..20 {
            deaf = deaf.environment(format!("LARGE_{number}"), &large);
        }
        let before = peak_kib();
        manager.start_process("u", &deaf).unwrap();
        drop(deaf);
        let error = failure(&manager, "u");
        assert!(matches!(error, Error::StartFailed { reason: StartFailure::TimedOut { .. }, .. }), "{error}");
        let more = peak_kib().saturating_sub(before);
        assert!(more < MOST_KIB / 2, "{more} KiB");
        drop_in_time(manager);
    });
}

#[test]
fn metadata_of_a_hostile_host_is_refused() {
    isolated(|| {
        let fake = Fake::new(
            r#"*) say begin 1 77; echo "$n begin"
            case $host in
            huge) head -c 100000000 /dev/zero ;;
            huge-string) printf '{"pid":42,"hostname":"'; head -c 100000000 /dev/zero | tr '\0' x ;;
            quoted) printf '{"pid":"'; head -c 60000 /dev/zero | tr '\0' x; printf '"}' ;;
            deep) yes '[' | head -n 60000 ;;
            deep-object) yes '{"pid":' | head -n 9000 ;;
            random) head -c 60000 /dev/urandom ;;
            number) printf '{"pid":1e999,"hostname":"h","user":"u","started_at":1}' ;;
            time) printf '{"pid":42,"hostname":"h","user":"u","started_at":1e999}' ;;
            twice) printf '{"pid":1,"pid":42,"hostname":"h","user":"u","started_at":1}' ;;
            init) printf '{"pid":1,"hostname":"h","user":"u","started_at":1}' ;;
            all) printf '{"pid":-1,"hostname":"h","user":"u","started_at":1}' ;;
            empty) ;;
            esac
            echo "$n eof"; exec sleep 1000 ;;"#,
        );
        let manager = fake.manager();
        let before = peak_kib();
        let hosts = ["huge", "huge-string", "quoted", "deep", "deep-object", "random", "number", "time", "twice"];
        for host in hosts.into_iter().chain(["init", "all", "empty"]) {
            let asked = Arc::clone(&manager);
            let read = move || asked.read_process_metadata("u", host, None, TIME);
            let error = within(host, read).expect_err(host);
            assert!(matches!(&error, Error::BadMetadata { uuid, .. } if uuid == "u"), "{host}: {error}");
            assert!(error.to_string().len() < 2048, "{host}: the message is bounded");
        }
        let more = peak_kib().saturating_sub(before);
        assert!(more < MOST_KIB, "{more} KiB");
        drop_in_time(manager);
    });
}

#[test]
fn a_lost_link_to_a_host_that_talks_without_end_leaves_the_end_unknown() {
    isolated(|| {
        let fake = Fake::new(
            r#"*) if [ -e "$0.again" ]; then say begin 1 77; exec yes "$n exit 99999 - 1 0" >&2; fi
            >"$0.again"; runs; exit 255 ;;"#,
        );
        let manager = fake.manager();
        let witness = Witness::new(&manager);
        manager.start_process("u", &patient("host")).unwrap();
        assert_eq!(manager.wait_for_process_exit_code("u", LONG).unwrap(), None);
        let status = manager.exit_status("u").unwrap().unwrap();
        assert!(status.is_unknown() && status.link_lost(), "{status}");
        // The manager goes on asking the host, and that does not hold up its own end.
        let manager = Arc::into_inner(manager).unwrap();
        let words = within("the end of the manager", move || witness.of(manager, "u"));
        assert_eq!(words, ["started", "lost", "exited"]);
    });
}

#[test]
fn a_host_that_breaks_every_link_of_a_kept_process_gets_pauses() {
    isolated(|| {
        let fake = Fake::new(
            r#"*) if [ -e "$0.again" ]; then say begin 1 77; say attached running; exit 255; fi
            >"$0.again"; runs; exit 255 ;;"#,
        );
        let manager = fake.manager();
        let events = manager.subscribe().unwrap();
        manager.start_process("u", &patient("host").link_loss(LinkLossPolicy::Keep)).unwrap();
        let mut restored =
            events.iter().filter(|event| matches!(event.kind, EventKind::LinkRestored)).map(|_| Instant::now());
        let (first, sixth) = (restored.next().unwrap(), restored.nth(4).unwrap());
        // 0.1, 0.2, 0.4, 0.8 and 1.6 s, each shortened by chance to no less than a half.
        let paused = sixth - first;
        assert!(paused >= Duration::from_millis(1550), "{paused:?}");
        drop(restored);
        drop_in_time(manager);
    });
}

#[test]
fn a_connection_to_a_hostile_host_is_given_up() {
    isolated(|| {
        logged::keep();
        let fake = Fake::new(
            r#"*) case $kind in *connection)
                case $host in
                random) exec cat /dev/urandom >&2 ;;
                begins) exec yes "$n begin 1 77" >&2 ;;
                ticks) say begin 1 77; exec yes "$n tick" >&2 ;;
                unleased) say begin 1 77; exec yes "$n unleased" >&2 ;;
                stale) say begin 1 77; exec cat /dev/urandom >&2 ;;
                esac ;;
            esac
            runs; say exit 5 - 1 0; say clean; exec sleep 1000 ;;"#,
        );
        let options = fake.options().share_connections(true).lease(Duration::from_secs(3));
        let manager = Arc::new(Manager::new(options).unwrap());
        let before = peak_kib();
        let hosts = ["random", "begins", "ticks", "unleased", "stale"];
        for host in hosts {
            manager.start_process(host, &if host == "random" { request(host) } else { patient(host) }).unwrap();
        }
        for host in hosts.into_iter().skip(1) {
            assert_eq!(manager.wait_for_process_exit_code(host, LONG).unwrap(), Some(5), "{host}");
        }
        let error = failure(&manager, "random");
        assert!(matches!(error, Error::StartFailed { reason: StartFailure::TimedOut { .. }, .. }), "{error}");
        // This connection has never ticked, whatever else it reports.
        wait_until("the end of a connection without ticks", LONG, || {
            logged::warnings().iter().any(|line| line.contains("the connection to stale does not answer")).then_some(())
        });
        let warnings = logged::warnings();
        let unleased = warnings.iter().filter(|line| line.contains("has no lease any more")).count();
        assert_eq!(unleased, 1, "the lost lease is reported once");
        let more = peak_kib().saturating_sub(before);
        assert!(more < MOST_KIB, "{more} KiB");
        drop_in_time(manager);
    });
}

#[test]
fn a_manager_of_hostile_hosts_ends_in_its_time() {
    isolated(|| {
        let before = support::local_snapshot();
        let fake = Fake::new(
            r#"deaf) runs; trap '' HUP INT QUIT TERM PIPE; exec sleep 1000 ;;
            flood) runs; trap '' HUP INT QUIT TERM PIPE; exec cat /dev/urandom >&2 ;;
            pids) say begin 1 77; exec yes "$n pid 4242 5 boot 2" >&2 ;;
            cleans) runs; exec yes "$n clean" >&2 ;;
            connecting) exec sleep 1000 ;;"#,
        );
        let manager = fake.manager();
        let witness = Witness::new(&manager);
        for host in ["deaf", "flood", "pids", "cleans", "connecting"] {
            // This grace is longer than the time that the manager has.
            manager.start_process(host, &patient(host).grace(LONG)).unwrap();
        }
        for host in ["deaf", "flood", "cleans"] {
            manager.wait_until_started(host, LONG).unwrap();
        }
        let manager = Arc::into_inner(manager).unwrap();
        within("the end of the manager", move || witness.all(manager));
        support::assert_same_as(&before);
    });
}
