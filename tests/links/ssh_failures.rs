//! Every way in which ssh fails, provoked for real: the error is typed, and says which host it was and what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::{self, DEADLINE, LONG, Remote, run_to_end, told, wait_for_end, wait_until};
use sshpm::{Error, EventKind, HostKeyPolicy, Manager, Options, ProcessState, SshFailure};

/// Returns how ssh failed for a process that was started, and asserts that the error names whom it is about.
#[track_caller]
fn failure(manager: &Manager, uuid: &str, host: &str, user: Option<&str>) -> (SshFailure, String) {
    let error = wait_for_end(manager, uuid).unwrap_err();
    assert_eq!(manager.process_state(uuid).unwrap(), ProcessState::Failed);
    assert!(matches!(manager.remote_pid(uuid), Err(Error::NoRemotePid { .. })));
    let text = error.to_string();
    let destination = user.map_or(host.to_owned(), |user| format!("{user}@{host}"));
    assert!(text.starts_with(&format!("ssh to {destination}: ")), "{text}");
    match error {
        Error::Ssh { host: told_host, user: told_user, failure, stderr } => {
            assert_eq!((told_host.as_str(), told_user.as_deref()), (host, user));
            // ssh's own message is part of it.
            assert!(text.contains(stderr.trim()), "{text}");
            (failure, text)
        }
        other => panic!("{host}: {other:?}"),
    }
}

/// Starts a process for which ssh fails.
#[track_caller]
fn fails(remote: &Remote, options: Options, host: &str) -> (SshFailure, String) {
    let manager = remote.manager_with(options);
    manager.start_process("p", &remote.request(host, "print never")).unwrap();
    failure(&manager, "p", host, None)
}

#[track_caller]
fn assert_works(remote: &Remote, options: Options, host: &str) {
    let status = run_to_end(&remote.manager_with(options), "p", &remote.request(host, "exit 3")).unwrap();
    assert_eq!(status.code(), Some(3));
}

#[test]
fn each_failure_is_told_from_the_others() {
    support::isolated(|| {
        let before = support::local_snapshot();
        let remote = Remote::start();
        let manager = remote.manager_with(remote.options().connect_timeout(Duration::from_secs(1)));
        let events = manager.subscribe().unwrap();
        // The message has what ssh says, and the advice of the error.
        let cases = [
            ("unresolved", None, SshFailure::NameNotResolved, "Could not resolve hostname", "check its spelling"),
            ("refused", None, SshFailure::Refused, "Connection refused", "check that sshd runs"),
            ("silent", None, SshFailure::TimedOut, "timed out", "check that it is up"),
            (
                "wrongkey",
                None,
                SshFailure::AuthenticationFailed,
                "Permission denied (publickey",
                "log in without asking",
            ),
            (
                "alpha",
                Some("nobody-of-this-name"),
                SshFailure::AuthenticationFailed,
                "Permission denied",
                "able to log in",
            ),
            ("unknownkey", None, SshFailure::HostKeyUnknown, "Host key verification failed", "log in once by hand"),
            ("changedkey", None, SshFailure::HostKeyChanged, "HAS CHANGED", "correct known_hosts"),
        ];
        for (number, (host, user, ..)) in cases.iter().enumerate() {
            let mut request = remote.request(host, "print never");
            if let Some(user) = user {
                request = request.user(*user);
            }
            manager.start_process(&format!("p-{number}"), &request).unwrap();
        }
        for (number, (host, user, expected, said, advice)) in cases.into_iter().enumerate() {
            let uuid = format!("p-{number}");
            let (failed, text) = failure(&manager, &uuid, host, user);
            assert_eq!(failed, expected, "{text}");
            assert!(text.contains(said) && text.contains(advice), "{text}");
            // A call that waits for the start returns the same error.
            let error = manager.wait_until_started(&uuid, DEADLINE).unwrap_err();
            assert_eq!(error.to_string(), text);
        }
        let mut all: Vec<_> = (0..cases.len()).map(|_| told(&events.recv_timeout(DEADLINE).unwrap())).collect();
        all.sort();
        assert_eq!(all, (0..cases.len()).map(|number| format!("failed p-{number}")).collect::<Vec<_>>());
        assert_eq!(events.try_iter().count(), 0);
        assert_eq!(remote.logins(), 0);
        remote.assert_nothing_left();
        drop((manager, events));
        remote.stop();
        support::assert_same_as(&before);
    });
}

#[test]
fn a_host_without_a_route_is_unreachable() {
    let remote = Remote::start();
    let Some(program) = remote.unreachable_ssh() else { return };
    let (failed, text) = fails(&remote, remote.options().ssh_program(program), "unreachable");
    assert_eq!(failed, SshFailure::Unreachable, "{text}");
    assert!(text.contains("Network is unreachable") && text.contains("check the network"), "{text}");
    remote.assert_nothing_left();
}

#[test]
fn an_ssh_that_cannot_be_executed_is_told() {
    let remote = Remote::start();
    let no_program = remote.dir().join("known_hosts");
    for program in [Path::new("/nonexistent/ssh"), Path::new("no-such-ssh-in-path"), &no_program] {
        let (failed, text) = fails(&remote, remote.options().ssh_program(program), "alpha");
        assert_eq!(failed, SshFailure::SshNotFound, "{text}");
        assert!(text.contains(&program.display().to_string()) && text.contains("install openssh-client"), "{text}");
    }
    remote.assert_nothing_left();
}

#[test]
fn a_configuration_that_ssh_refuses_is_told() {
    let remote = Remote::start();
    let bad_file = remote.dir().join("bad_config");
    fs::write(&bad_file, "NoSuchKeyword yes\n").unwrap();
    for (options, said) in [
        (remote.options().ssh_option("NoSuchKeyword=yes"), "nosuchkeyword"),
        (remote.options().ssh_config(&bad_file), "bad_config"),
        (remote.options().ssh_config(remote.dir().join("no_config")), "no_config"),
        (remote.options().ssh_option("Port=none"), "Bad port"),
        (remote.options().ssh_option("Compression=perhaps"), "perhaps"),
        (remote.options().ssh_option("Ciphers=rot13"), "rot13"),
    ] {
        let (failed, text) = fails(&remote, options, "alpha");
        assert!(text.contains(said), "{text}");
        assert_eq!(failed, SshFailure::Configuration, "{text}");
        assert!(text.contains("correct ssh_config or the ssh options"), "{text}");
    }
    assert_eq!(remote.logins(), 0);
}

#[test]
fn what_cannot_be_an_option_is_refused_at_once() {
    for option in ["", "Port", "=22", "Port 22\nProxyCommand=x", "-oPort=22", "Po rt=22\0"] {
        let refused = Manager::new(Options::new().ssh_option(option));
        assert!(matches!(refused, Err(Error::Invalid { field, .. }) if field == "ssh_options"), "{option:?}");
    }
}

#[test]
fn a_throttling_sshd_is_told_when_it_does_not_stop() {
    let (remote, held) = Remote::throttled();
    let options = remote.options().connect_timeout(Duration::from_secs(1));
    let (failed, text) = fails(&remote, options, "alpha");
    assert_eq!(failed, SshFailure::Throttled, "{text}");
    assert!(text.contains("kex_exchange_identification") && text.contains("raise its MaxStartups"), "{text}");
    // The login was tried again: the first pause is much shorter than the connect timeout.
    let dropped = remote.log().matches("drop connection").count();
    assert!(dropped > 1, "{dropped} tries");
    assert_eq!(remote.logins(), 0);
    drop(held);
    remote.assert_nothing_left();
}

#[test]
fn a_throttling_sshd_is_tried_again_until_it_takes_the_connection() {
    let (remote, held) = Remote::throttled();
    let manager = remote.manager_with(remote.options().connect_timeout(LONG));
    let events = manager.subscribe().unwrap();
    manager.start_process("p", &remote.request("alpha", "exit 3")).unwrap();
    wait_until("a dropped connection", LONG, || remote.log().contains("drop connection").then_some(()));
    assert_eq!(manager.process_state("p").unwrap(), ProcessState::Connecting);
    drop(held);
    assert_eq!(wait_for_end(&manager, "p").unwrap().code(), Some(3));
    // The process was started once, and the failed attempts were not reported.
    assert_eq!(remote.logins(), 1);
    assert_eq!(events.try_iter().map(|event| told(&event)).collect::<Vec<_>>(), ["started p", "exited p"]);
    remote.assert_nothing_left();
}

#[test]
fn a_start_that_is_tried_again_can_be_cancelled() {
    let (remote, _held) = Remote::throttled();
    let manager = remote.manager_with(remote.options().connect_timeout(LONG));
    manager.start_process("p", &remote.request("alpha", "wait")).unwrap();
    wait_until("a dropped connection", LONG, || remote.log().contains("drop connection").then_some(()));
    manager.kill_process("p", LONG).unwrap();
    assert!(manager.active_process_keys().is_empty());
    assert_eq!(remote.logins(), 0);
    remote.assert_nothing_left();
}

#[test]
fn thirty_starts_at_once_are_not_too_many() {
    // sshd's default: it drops connections at random from the tenth on that has not logged in.
    let remote = Remote::builder().sshd_option("MaxStartups 10:30:100").start();
    let manager = remote.manager_with(remote.options().connect_timeout(LONG));
    // With one host name, the limit of logins suffices. With three, the sshd gets 18 at once, and dropped ones are
    // tried again.
    for hosts in [["alpha"].as_slice(), &["alpha", "beta", "gamma"]] {
        let uuids: Vec<String> = (0..30).map(|number| format!("p-{number}")).collect();
        for (uuid, host) in uuids.iter().zip(hosts.iter().cycle()) {
            manager.start_process(uuid, &remote.request(host, "wait")).unwrap();
        }
        for uuid in &uuids {
            manager.wait_until_started(uuid, LONG).unwrap();
        }
        if hosts.len() == 1 {
            assert!(
                !remote.log().contains("drop connection"),
                "more connections were opened at once than sshd accepts"
            );
        }
        let ended = manager.kill_all_processes(&LONG.into()).unwrap();
        assert_eq!(ended.len(), 30);
        for (uuid, end) in ended {
            end.unwrap_or_else(|error| panic!("{uuid}: {error}"));
        }
    }
    remote.assert_nothing_left();
}

#[test]
fn an_account_without_a_shell_is_told() {
    let remote = Remote::start();
    let Some(user) = remote.user("dash").or_else(|| remote.user("bash")) else {
        return support::skipped("no user whose shell can be changed");
    };
    let passwd = remote.local(Path::new("/etc/passwd"));
    let nologin = ["/usr/sbin/nologin", "/bin/false"].into_iter().find(|shell| Path::new(shell).exists()).unwrap();
    let line = |shell: &str| format!("{}:{shell}\n", user.home.display());
    let text = fs::read_to_string(&passwd).unwrap().replace(&line(&user.shell.display().to_string()), &line(nologin));
    assert!(text.contains(&line(nologin)));
    fs::write(&passwd, text).unwrap();
    let manager = remote.manager();
    manager.start_process("p", &remote.request("alpha", "print never").user(&user.name)).unwrap();
    let (failed, text) = failure(&manager, "p", "alpha", Some(&user.name));
    assert_eq!(failed, SshFailure::RemoteShell(1), "{text}");
    assert!(text.contains("check that the account has a shell"), "{text}");
    remote.assert_nothing_left();
}

#[test]
fn a_start_up_file_that_exits_is_told() {
    for code in [7, 0] {
        let exits = format!("echo not today >&2; exit {code}\n");
        let remote = Remote::builder().user_file("root", ".bashrc", exits).start();
        if !remote.require_users("start-up files need a home directory") {
            return;
        }
        let manager = remote.manager();
        manager.start_process("p", &remote.request("alpha", "print never")).unwrap();
        let (failed, text) = failure(&manager, "p", "alpha", None);
        assert_eq!(failed, SshFailure::RemoteShell(code), "{text}");
        assert!(text.contains("check that the account has a shell, and that its start-up files do not exit"), "{text}");
        // What the start-up files wrote is the only way to find out which file it was.
        assert!(text.contains("not today"), "{text}");
        remote.assert_nothing_left();
    }
}

/// Makes a known_hosts file with these keys, and with a name that ssh could split.
fn known_hosts(remote: &Remote, keys: &str) -> PathBuf {
    let file = remote.dir().join("my known hosts");
    fs::write(&file, keys).unwrap();
    file
}

#[test]
fn new_keys_are_accepted_and_remembered_when_asked() {
    let remote = Remote::start();
    let options = remote.options().host_key_policy(HostKeyPolicy::AcceptNew);
    assert_works(&remote, options.clone(), "unknownkey");
    let file = remote.dir().join("known_hosts.empty");
    let remembered = fs::read_to_string(&file).unwrap();
    assert!(remembered.contains("ssh-ed25519"), "{remembered}");
    // Now ssh's own policy accepts the key too. Changed keys are refused as before.
    assert_works(&remote, remote.options(), "unknownkey");
    assert_eq!(fails(&remote, options, "changedkey").0, SshFailure::HostKeyChanged);
    assert_eq!(fs::read_to_string(&file).unwrap(), remembered);
    remote.assert_nothing_left();
}

#[test]
fn nothing_is_checked_nor_remembered_when_disabled() {
    let remote = Remote::start();
    let files = ["known_hosts", "known_hosts.empty", "known_hosts.changed"].map(|name| remote.dir().join(name));
    let content = || files.clone().map(|file| fs::read_to_string(file).unwrap());
    let before = content();
    let options = remote.options().host_key_policy(HostKeyPolicy::Disabled);
    for host in ["alpha", "unknownkey", "changedkey"] {
        assert_works(&remote, options.clone(), host);
    }
    assert_eq!(content(), before);
    remote.assert_nothing_left();
}

#[test]
fn the_check_can_be_disabled_for_localhost_alone() {
    let remote = Remote::start();
    let empty = known_hosts(&remote, "");
    let options = remote.options().known_hosts_file(&empty);
    let disabled = options.clone().host_key_policy(HostKeyPolicy::DisabledForLocalhost);
    for host in ["127.0.0.1", "127.0.0.2"] {
        assert_eq!(fails(&remote, options.clone(), host).0, SshFailure::HostKeyUnknown);
        assert_works(&remote, disabled.clone(), host);
    }
    // By its name, it is a host like any other, although it is the same one.
    assert_eq!(fails(&remote, disabled.clone(), "alpha").0, SshFailure::HostKeyUnknown);
    assert_eq!(fails(&remote, disabled, "changedkey").0, SshFailure::HostKeyUnknown, "the given file is used");
    assert_eq!(fs::read_to_string(&empty).unwrap(), "");
    remote.assert_nothing_left();
}

#[test]
fn strict_wins_over_what_ssh_config_says() {
    let remote = Remote::start();
    // The options stand for a config file here. The policy wins over both.
    let lax = remote.options().ssh_option("StrictHostKeyChecking=no");
    assert_works(&remote, lax.clone(), "unknownkey");
    fs::write(remote.dir().join("known_hosts.empty"), "").unwrap();
    let strict = lax.host_key_policy(HostKeyPolicy::Strict);
    assert_eq!(fails(&remote, strict.clone(), "unknownkey").0, SshFailure::HostKeyUnknown);
    assert_eq!(fails(&remote, strict.clone(), "changedkey").0, SshFailure::HostKeyChanged);
    assert_works(&remote, strict, "alpha");
    remote.assert_nothing_left();
}

#[test]
fn a_known_hosts_file_takes_the_place_of_the_users() {
    let remote = Remote::start();
    let file = known_hosts(&remote, &fs::read_to_string(remote.dir().join("known_hosts")).unwrap());
    let options = remote.options().known_hosts_file(&file);
    for host in ["unknownkey", "changedkey"] {
        assert_works(&remote, options.clone(), host);
    }
    fs::write(&file, "").unwrap();
    assert_eq!(fails(&remote, options.clone(), "alpha").0, SshFailure::HostKeyUnknown);
    assert_works(&remote, options.host_key_policy(HostKeyPolicy::AcceptNew), "alpha");
    assert!(fs::read_to_string(&file).unwrap().contains("ssh-ed25519"));
    remote.assert_nothing_left();
}

#[test]
fn the_event_has_the_typed_reason() {
    let remote = Remote::start();
    let manager = remote.manager();
    let events = manager.subscribe().unwrap();
    manager.start_process("p", &remote.request("refused", "print never")).unwrap();
    let event = events.recv_timeout(LONG).unwrap();
    assert_eq!(event.uuid, "p");
    match event.kind {
        EventKind::StartFailed { error: Error::Ssh { host, failure: SshFailure::Refused, stderr, .. } } => {
            assert_eq!(host, "refused");
            assert!(stderr.contains("Connection refused"), "{stderr}");
        }
        other => panic!("{other:?}"),
    }
    remote.assert_nothing_left();
}

/// sshd would accept a Kerberos ticket. The answer of klist is made up, because there is no realm here.
#[test]
fn a_ticket_that_has_expired_is_told() {
    support::isolated(|| {
        let remote = Remote::builder().sshd_option("GSSAPIAuthentication yes").start();
        let tools = remote.dir().join("tools");
        fs::create_dir(&tools).unwrap();
        let klist = |code: i32| {
            let path = tools.join("klist");
            fs::write(&path, format!("#!/bin/sh\n[ \"$*\" = -s ] && exit {code}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        let path = std::env::var("PATH").unwrap();
        // SAFETY: this process runs nothing but this test, and has no other thread yet.
        unsafe { std::env::set_var("PATH", format!("{}:{path}", tools.display())) };
        let options = || remote.options().ssh_option("PubkeyAuthentication=no").ssh_option("GSSAPIAuthentication=yes");
        klist(1);
        let (reason, text) = fails(&remote, options(), "alpha");
        assert_eq!(reason, SshFailure::NoTicket, "{text}");
        assert!(text.contains("ticket is missing or has expired") && text.contains("kinit"), "{text}");
        klist(0);
        assert_eq!(fails(&remote, options(), "alpha").0, SshFailure::AuthenticationFailed);
    });
}
