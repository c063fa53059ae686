//! What a host finds out of the readiness of its application.

use std::net::{Ipv4Addr, TcpListener};

use super::*;
use crate::model::ready::Ready;

const POLICIES: [LinkLossPolicy; 2] = [LinkLossPolicy::Terminate, LinkLossPolicy::Keep];

/// Returns a request for a script of `/bin/sh`, which this shell of the host executes.
fn script(host: &Host, policy: LinkLossPolicy, script: &str) -> BootRequest {
    let request = BootRequest::new("h", ["/bin/sh", "-c", script]).grace(Duration::from_secs(1)).link_loss(policy);
    let path = host.shell.path().display();
    let shell = match host.shell.name {
        "busybox" => host.place_instead("shell", &format!("exec {path} sh \"$@\"")),
        _ => host.shell.path().to_owned(),
    };
    request.setup_shell(shell.to_str().unwrap()).setup_line("true")
}

/// Returns the reports of readiness, without the times of a kept process.
fn words(report: &str) -> &str {
    report.split(|c: char| c.is_ascii_digit()).next().unwrap().trim_end()
}

/// Waits for the exit, and returns the report of readiness that came before it, if one did.
#[track_caller]
fn readiness_before_exit(session: &Session) -> Option<String> {
    let mut found = None;
    loop {
        let report = session.reports.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("{}: no exit", session.name));
        if report.starts_with("ready") || report.starts_with("unready") {
            assert_eq!(found.replace(words(&report).to_owned()), None, "{}", session.name);
        } else if report.starts_with("exit") {
            return found;
        }
        assert!(!report.starts_with("fail"), "{}: {report}", session.name);
    }
}

#[track_caller]
fn end(mut session: Session, host: &Host) {
    session.send(b"bye\n");
    session.close();
    session.hear("clean");
    host.assert_nothing_left();
}

#[test]
fn a_descriptor_tells_of_a_line_of_its_end_and_nothing_of_an_exit() {
    let cases = [
        ("echo >&3; exit 7", Some("ready")),
        ("printf 'half ' >&3; echo line >&3; exit 7", Some("ready")),
        ("exit 7", None),
        ("printf half >&3; exit 7", None),
        ("kill -KILL $$", None),
    ];
    for shell in each() {
        let host = Host::new(shell);
        for (number, policy) in POLICIES.into_iter().enumerate() {
            for (code, expected) in cases.into_iter().skip(number).step_by(2) {
                let request = script(&host, policy, code).ready(Ready::Notify);
                let session = host.start_confirmed(&request);
                let found = readiness_before_exit(&session);
                assert_eq!(found.as_deref(), expected, "{}: {policy:?}: {code}", session.name);
                end(session, &host);
            }
            // It has no other descriptor, and goes on.
            let check = "[ ! -e /proc/$$/fd/4 ] && [ ! -e /proc/$$/fd/8 ] && [ ! -e /proc/$$/fd/9 ] || exit 9; ";
            for (code, expected) in [("echo >&3; ", "ready"), ("exec 3>&-; ", "unready closed")] {
                let request = script(&host, policy, &format!("{check}{code} exec sleep 1000"));
                let mut session = host.start_confirmed(&request.ready(Ready::Notify));
                let word = expected.split(' ').next().unwrap();
                let report = format!("{word} {}", session.hear(word));
                assert_eq!(words(&report), expected, "{}: {policy:?}", session.name);
                session.send(b"kill 1 KILL group\n");
                session.hear("exit");
                end(session, &host);
            }
        }
    }
}

#[test]
fn a_log_file_tells_of_a_text_in_it() {
    let text = "is [ready]";
    let cases = [
        ("echo it is [ready]; exit 7", Some("ready")),
        ("seq 3000; printf 'it is [ready]'; exit 7", Some("ready")),
        ("echo it is r; printf 'is [read'; exit 7", None),
    ];
    for shell in each() {
        let host = Host::new(shell);
        let log = host.path("log");
        let request = |code: &str, policy| {
            let request = script(&host, policy, code).ready(Ready::Output(text.to_owned()));
            request.log_file(&log).log_mode(LogMode::Append)
        };
        for (number, policy) in POLICIES.into_iter().enumerate() {
            for (code, expected) in cases.into_iter().skip(number).step_by(2) {
                fs::write(&log, "an earlier one is [ready]\nand").unwrap();
                let session = host.start_confirmed(&request(code, policy));
                let found = readiness_before_exit(&session);
                assert_eq!(found.as_deref(), expected, "{}: {policy:?}: {code}", session.name);
                end(session, &host);
            }
            let mut session = host.start_confirmed(&request("echo it is [ready]; exec sleep 1000", policy));
            session.hear("ready");
            let has_tail =
                || host.processes().iter().any(|process| process.starts_with("tail") && process.contains("log"));
            wait_until("the end of the tail", || !has_tail());
            session.send(b"kill 1 KILL group\n");
            session.hear("exit");
            end(session, &host);
            // The manager has no more patience.
            let writes = "while :; do printf half; done";
            let mut session = host.start_confirmed(&request(writes, policy));
            session.hear("running");
            wait_until("a tail", has_tail);
            session.send(b"late\n");
            wait_until(&format!("{} {policy:?}: the end of the tail", session.name), || !has_tail());
            session.send(b"kill 1 KILL group\n");
            session.hear("exit");
            end(session, &host);
        }
    }
}

/// Returns a request whose sign never comes.
fn waiting(host: &Host, policy: LinkLossPolicy) -> BootRequest {
    let request = script(host, policy, "exec sleep 1000").log_file(host.path("log"));
    request.ready(Ready::Output("text".to_owned()))
}

/// Returns the pid of the sign reader.
fn sign_reader(host: &Host) -> Option<i32> {
    let is_sign = |file: PathBuf| file.extension().is_some_and(|end| end == "n");
    let mut processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let reader =
        processes.find(|process| host.is_marked(process) && fs::read_link(process.join("fd/0")).is_ok_and(is_sign))?;
    reader.file_name()?.to_str()?.parse().ok()
}

#[test]
fn a_sign_reader_whose_fifo_was_removed_ends_with_the_process() {
    for shell in each() {
        let host = Host::new(shell);
        for policy in POLICIES {
            let mut session = host.start_confirmed(&waiting(&host, policy));
            session.hear("running");
            wait_until("the sign reader", || sign_reader(&host).is_some());
            let fifo = host.files().into_iter().find(|file| file.extension().is_some_and(|end| end == "n"));
            fs::remove_file(fifo.unwrap()).unwrap();
            session.send(b"kill 1 KILL group\n");
            session.hear("exit");
            end(session, &host);
        }
    }
}

/// A stopped sign reader stands for one whose report blocks, because nobody reads the stream any more.
#[test]
fn the_end_is_noted_behind_a_lost_link_though_the_sign_reader_hangs() {
    for shell in each() {
        let host = Host::new(shell);
        let mut session = host.start_confirmed(&waiting(&host, LinkLossPolicy::Terminate));
        session.hear("running");
        wait_until("the sign reader", || sign_reader(&host).is_some());
        // SAFETY: integers only; the process is this test's.
        unsafe { libc::kill(sign_reader(&host).unwrap(), libc::SIGSTOP) };
        session.close();
        wait_until(&format!("{}: the end of all", session.name), || host.processes().is_empty());
        let files = host.files();
        assert!(matches!(&files[..], [word] if word.extension().unwrap() == "end"), "{}: {files:?}", session.name);
    }
}

#[test]
fn a_log_file_that_may_not_be_read_ends_the_start() {
    // SAFETY: it only asks.
    if unsafe { libc::geteuid() } != 0 {
        return eprintln!("SKIPPED: only root can become another user");
    }
    for shell in each() {
        let host = Host::of_user(shell, 1_064_320);
        for policy in POLICIES {
            let log = host.path("home").join(format!("{policy:?}"));
            let request = script(&host, policy, "exit 7").log_file(log).umask(0o777);
            let session = host.start(&request.ready(Ready::Output("text".to_owned())));
            assert_eq!(session.hear("fail"), "log-file", "{}: {policy:?}", session.name);
        }
    }
}

#[test]
fn a_port_is_looked_at_when_the_manager_asks() {
    for shell in each() {
        let host = Host::new(shell);
        for policy in POLICIES {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = listener.local_addr().unwrap();
            let request = script(&host, policy, "exec sleep 1000").ready(Ready::Port(address.port()));
            let session = host.start(&request);
            assert_eq!(session.hear("fail"), "port-taken", "{}: {policy:?}", session.name);
            drop(session);
            drop(listener);
            let mut session = host.start_confirmed(&request);
            session.hear("running");
            session.send(b"look\n");
            session.hear("silent");
            let _listener = TcpListener::bind(address).unwrap();
            session.send(b"look\n");
            session.hear("ready");
            session.send(b"kill 1 KILL group\n");
            session.hear("exit");
            end(session, &host);
        }
    }
}

/// The rest of a wrapper that somebody has killed while it removed its files.
#[test]
fn a_clean_up_removes_the_files_of_readiness() {
    for shell in each() {
        let host = Host::new(shell);
        let directory = host.path("run").join("drunc");
        fs::create_dir(&directory).unwrap();
        for end in ["n", "ready"] {
            fs::write(directory.join(format!("{}.{}.{end}", host.instance.uuid, host.instance.id)), "").unwrap();
            host.clean_up();
            host.assert_nothing_left();
        }
    }
}
