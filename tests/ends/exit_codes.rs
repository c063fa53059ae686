//! The end of a process is reported exactly: all exit codes, all signals, who ended it, and in which words.

use std::time::Duration;

use crate::life::{break_link, end_client};
use crate::support::{self, By, ends_the_client, launched_by, learned};
use crate::support::{DEADLINE, LONG, ProcessInfo, Remote, run_to_end, start, start_ready, wait_for_end, wait_until};
use sshpm::{BootRequest, ExitSource, ExitStatus, Limit, LimitValue, Manager, ProcessState, Signal};

/// How many processes run at a time. The three hosts are one sshd, which drops connections when there are too many.
const BATCH: usize = 64;

/// Runs all of them, a batch at a time, on the three hosts in turn.
#[track_caller]
fn run_all(manager: &Manager, requests: &[(String, BootRequest)]) -> Vec<ExitStatus> {
    let mut ended = Vec::new();
    for batch in requests.chunks(BATCH) {
        for (uuid, request) in batch {
            manager.start_process(uuid, request).unwrap();
        }
        ended.extend(batch.iter().map(|(uuid, _)| wait_for_end(manager, uuid).unwrap()));
    }
    ended
}

fn host(number: usize) -> &'static str {
    ["alpha", "beta", "gamma"][number % 3]
}

/// Asserts that a process ended by itself and that its exit was reported.
#[track_caller]
fn assert_seen(status: &ExitStatus, code: i32) {
    assert_eq!(status.source(), ExitSource::RemoteMonitoring, "{status}");
    assert_eq!((status.code(), status.raw_code(), status.application_code()), (Some(code), Some(code), Some(code)));
    assert!(!status.is_unknown() && !status.link_lost() && !status.left_over(), "{status:?}");
}

#[test]
fn every_exit_code_comes_back() {
    support::isolated(|| {
        let before = support::local_snapshot();
        let remote = Remote::builder().sshd_option("MaxStartups 100").start();
        let manager = remote.manager();
        let request = |code: usize| (format!("code-{code}"), remote.request(host(code), &format!("exit {code}")));
        let requests: Vec<_> = (0..=255).map(request).collect();
        let ended = run_all(&manager, &requests);
        assert_eq!(ended.len(), 256);
        for (code, status) in (0..).zip(&ended) {
            assert_seen(status, code);
            // No shell reports INT and PIPE, so 128+2 and 128+13 count as these signals.
            let signal = match code {
                130 => Some(Signal::INT),
                141 => Some("PIPE".parse().unwrap()),
                _ => None,
            };
            assert_eq!(status.signal(), signal, "exit {code}");
            assert!(!status.core_dumped());
        }
        remote.assert_nothing_left();
        drop(manager);
        remote.stop();
        support::assert_same_as(&before);
    });
}

#[test]
fn death_by_a_signal_is_told_by_its_number() {
    let remote = Remote::start();
    let manager = remote.manager();
    let names =
        ["HUP", "INT", "QUIT", "ILL", "ABRT", "FPE", "KILL", "SEGV", "PIPE", "ALRM", "TERM", "USR1", "USR2", "34"];
    let request = |(number, name): (usize, &&str)| {
        // Without a core file, whatever the machine's limit is.
        let request = remote.request(host(number), &format!("raise {name}")).limit(Limit::Core, LimitValue::Value(0));
        (format!("by-{name}"), request)
    };
    let requests: Vec<_> = names.iter().enumerate().map(request).collect();
    for (name, status) in names.iter().zip(run_all(&manager, &requests)) {
        let signal: Signal = name.parse().unwrap();
        assert_seen(&status, 128 + signal.number());
        assert_eq!(status.signal(), Some(signal), "{name}");
        assert!(!status.core_dumped(), "{name}");
        assert!(
            status.to_string().contains(&format!("exit code {}; signal {name}", 128 + signal.number())),
            "{status}"
        );
    }
    remote.assert_nothing_left();
}

#[test]
fn a_code_above_128_is_no_signal() {
    let remote = Remote::start();
    let manager = remote.manager();
    // In one session, so that the remote shell is the same.
    for (verbs, signal) in [("exit 137", None), ("raise KILL", Some(Signal::KILL)), ("exit 143", None)] {
        let status = run_to_end(&manager, "p", &remote.request("alpha", verbs)).unwrap();
        assert_seen(&status, if verbs == "exit 143" { 143 } else { 137 });
        assert_eq!(status.signal(), signal, "{verbs}; /bin/sh is not one of those that tell?");
    }
    // The child of the application is killed, and not the application. The wrapper's shell must not take the message
    // about that child for its own.
    let child_killed = BootRequest::new("alpha", ["sh", "-c", "sh -c 'kill -KILL $$'; exit 137"]);
    assert_eq!(run_to_end(&manager, "p", &child_killed).unwrap().signal(), None);
    remote.assert_nothing_left();
}

#[test]
fn a_core_dump_is_told() {
    // SAFETY: the struct is plain data that getrlimit fills.
    let mut limit: libc::rlimit = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a local.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_CORE, &mut limit) }, 0);
    if limit.rlim_max != libc::RLIM_INFINITY {
        return support::skipped("the hard limit of core files is too low");
    }
    let remote = Remote::start();
    let manager = remote.manager();
    // If the kernel writes a core file into the working directory, it is removed with the remote.
    let request = remote.request("alpha", "raise ABRT").working_directory(remote.scratch());
    let status = run_to_end(&manager, "dumps", &request.clone().limit(Limit::Core, LimitValue::Unlimited)).unwrap();
    assert!(status.core_dumped(), "{status:?}");
    assert_eq!((status.code(), status.signal()), (Some(134), Some("ABRT".parse().unwrap())));
    assert!(status.to_string().contains("core dumped"), "{status}");
    let status = run_to_end(&manager, "dumps-not", &request.limit(Limit::Core, LimitValue::Value(0))).unwrap();
    assert_eq!((status.core_dumped(), status.code()), (false, Some(134)));
    assert!(!status.to_string().contains("core dumped"), "{status}");
    remote.assert_nothing_left();
}

#[test]
fn the_source_says_who_ended_it() {
    let remote = Remote::start();
    let manager = remote.manager();
    let named = |verbs: &str| {
        remote.request_as(&remote.users()[0], remote.request("alpha", verbs).name("readout").session("np04"))
    };
    let assert_words = |status: &ExitStatus, sentence: &str, code: &str| {
        assert_eq!(status.sentence(), sentence);
        for part in ["readout", "np04", &remote.users()[0].name, sentence, code] {
            assert!(status.to_string().contains(part), "{part:?} is not in {status}");
        }
    };

    let status = run_to_end(&manager, "by-itself", &named("exit 42")).unwrap();
    assert_seen(&status, 42);
    assert_words(&status, "ended unexpectedly through the remote pid (by itself, or killed there)", "exit code 42");

    // Somebody else kills it on its host.
    let pid = start(&manager, "killed-there", &named("wait"));
    ProcessInfo::of(pid as i32).unwrap().signal(libc::SIGKILL).unwrap();
    let status = wait_for_end(&manager, "killed-there").unwrap();
    assert_seen(&status, 137);

    // A signal that was sent changes nothing of that.
    start(&manager, "signalled", &named("wait"));
    manager.send_signal("signalled", Signal::TERM).unwrap();
    assert_seen(&wait_for_end(&manager, "signalled").unwrap(), 143);

    start_ready(&manager, "killed", &named("heartbeat 0.2"));
    let status = manager.kill_process("killed", LONG).unwrap();
    assert_eq!(status.source(), ExitSource::ManualKillThroughRemotePid);
    assert_eq!((status.code(), status.raw_code(), status.signal()), (Some(0), Some(0), None));
    assert_words(&status, "ended by the manager through the remote pid", "exit code 0");
    remote.assert_nothing_left();
}

#[test]
fn an_end_through_the_ssh_client_has_no_code_of_its_own() {
    let remote = Remote::start();
    let manager = remote.manager();
    // Nobody answers there: the start is taken back. It has a client of its own where connections are not shared.
    let unshared = remote.manager_with(remote.options().share_connections(false));
    unshared.start_process("connecting", &remote.request("silent", "wait")).unwrap();
    wait_until("an ssh client", DEADLINE, || unshared.runtime_pids("connecting").ssh_client);
    let status = unshared.kill_process("connecting", LONG).unwrap();
    assert_eq!(status.source(), ExitSource::ManualKillThroughSshClient);
    assert_eq!((status.code(), status.application_code()), (None, None), "{status:?}");
    assert!(status.raw_code().is_some() && !status.link_lost(), "{status:?}");
    assert!(status.sentence().starts_with("ended by the manager"), "{status}");
    assert!(status.to_string().contains("no exit code"), "{status}");

    // On a connection of its own, ssh would catch QUIT and end with 255.
    for (signal, raw, sentence) in [
        (libc::SIGKILL, -9, "ended unexpectedly by SIGKILL to the ssh client"),
        (libc::SIGQUIT, -3, "ended unexpectedly by SIGQUIT to the ssh client (hang-up on the remote side)"),
    ] {
        if !ends_the_client(signal) {
            continue;
        }
        // The code distinguishes this end from one that the lost link caused.
        let script = "trap 'exit 7' HUP; echo ready; while :; do sleep 1000 & wait; done";
        start_ready(&manager, "cut", &BootRequest::new("alpha", ["sh", "-c", script]));
        end_client(&manager, "cut", signal);
        let status = wait_for_end(&manager, "cut").unwrap();
        assert_eq!(status.source(), ExitSource::ClientMonitoring);
        assert_eq!((status.raw_code(), status.code()), (Some(raw), None), "{status:?}");
        assert_eq!(
            (status.application_code(), status.link_lost(), status.is_unknown()),
            (learned(7), true, learned(7).is_none())
        );
        assert_eq!(status.sentence(), sentence);
        let tells = status.to_string().contains("the application's own code was 7");
        assert_eq!(tells, learned(7).is_some(), "{status}");
    }
    remote.assert_nothing_left();
}

#[test]
fn what_cannot_be_learned_is_unknown_and_no_code() {
    let remote = Remote::start();
    let (gate, gated) = remote.gate();
    let manager = remote.manager_with(gated.lost_timeout(Duration::from_secs(1)));
    let pid = start(&manager, "p", &remote.request("alpha", "wait"));
    let application = ProcessInfo::of(pid as i32).unwrap();
    // Neither the wrapper nor the host can answer: both the wrapper and the listener are stopped.
    let wrapper = ProcessInfo::of(manager.runtime_pids("p").remote_monitoring.unwrap() as i32).unwrap();
    wrapper.signal(libc::SIGSTOP).unwrap();
    let listener = ProcessInfo::of(std::fs::read_to_string(remote.dir().join("pid")).unwrap().trim().parse().unwrap());
    listener.as_ref().unwrap().signal(libc::SIGSTOP).unwrap();
    gate.close();
    break_link(&manager, "p");
    let status = wait_for_end(&manager, "p").unwrap();
    assert!(status.is_unknown() && status.link_lost(), "{status:?}");
    assert_eq!((status.code(), status.application_code(), status.signal()), (None, None, None));
    assert_eq!(manager.process_state("p").unwrap(), ProcessState::Ended);
    // When they go on, the link loss policy holds: what must not live on ends.
    listener.unwrap().signal(libc::SIGCONT).unwrap();
    if launched_by() == By::Slurm {
        // Slurm has ended the wrapper. The manager ends what is left.
        gate.open();
    } else {
        // An inquiry may have reached the host all the same and ended the wrapper.
        let _ = wrapper.signal(libc::SIGCONT);
    }
    wait_until("the end of the application", LONG, || (!application.is_alive()).then_some(()));
    // The exit is in a status file, and no manager asks for it any more. So only processes are counted.
    wait_until("the end of all processes", LONG, || remote.processes().is_empty().then_some(()));
}
