//! validate_host_connection and validate_hosts: what a login shows, and why it does not work.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::life::*;
use crate::support::{NOWHERE, Remote, assert_same_as, is_failure, isolated, local_snapshot, wait_until};
use sshpm::{Destination, Error, HostInfo, LauncherFailure, Manager, SshFailure};

fn destination(host: &str) -> Destination {
    Destination { host: host.to_owned(), user: None }
}

#[track_caller]
fn assert_learned(info: &HostInfo, user: &str) {
    assert_eq!(info.user, user);
    assert!(!info.round_trip.is_zero(), "{info:?}");
    assert!(info.kernel.starts_with("Linux "), "{info:?}");
    assert!(fs::metadata(&info.sh).unwrap().is_file(), "{info:?}");
    assert!(info.free_bytes.unwrap() > 0, "{info:?}");
}

#[test]
fn validate_host_connection() {
    isolated(|| {
        let remote = Remote::start();
        let before = local_snapshot();
        let manager = Manager::new(remote.options_as()).unwrap();
        for user in remote.accounts() {
            let info = manager.validate_host_connection("alpha", Some(&user.name), None).unwrap();
            assert_learned(&info, &user.name);
            if !user.shell_name.is_empty() {
                assert_eq!(info.login_shell, user.shell.to_str().unwrap());
                assert_eq!(info.runtime_directory.as_deref(), Some("/tmp"));
            }
        }
        remote.assert_nothing_left();
        drop(manager);
        assert_same_as(&before);
    });
}

#[test]
fn the_runtime_directory_that_is_told_is_the_logins() {
    let remote = Remote::builder().runtime_dirs().start();
    if !remote.require_users("the test needs runtime directories") {
        return;
    }
    let user = remote.accounts().pop().unwrap();
    let info =
        Manager::new(remote.options_as()).unwrap().validate_host_connection("beta", Some(&user.name), None).unwrap();
    assert_eq!(info.runtime_directory, Some(format!("/run/user/{}", user.uid)));
    remote.assert_nothing_left();
}

/// What logind.conf(5) says about processes that a logout leaves, for a user without an exception.
#[test]
fn a_host_that_ends_what_a_login_leaves_is_told() {
    let remote = Remote::start();
    let Some(user) = remote.user("bash") else {
        return assert!(!remote.require_users("the test needs a logind.conf of its own"));
    };
    // Except these two, the files are the machine's own.
    for directory in ["/etc/systemd", "/var/lib/systemd"] {
        remote.mount_tmpfs(directory, "size=64k");
    }
    let manager = Manager::new(remote.options_as()).unwrap();
    let ends = |user: &str| manager.validate_host_connection("alpha", Some(user), None).unwrap().ends_user_processes;
    let etc = remote.local(Path::new("/etc/systemd"));
    // Everybody can read these files, whatever the umask of the tests is.
    let place = |path: &Path, text: &str| {
        let directory = path.parent().unwrap();
        fs::create_dir_all(directory).unwrap();
        fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
        fs::write(path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    };
    place(&etc.join("logind.conf"), "[Login]\n#KillUserProcesses=yes\n");
    assert!(!ends(&user.name));
    place(&etc.join("logind.conf.d/50-site.conf"), "[Login]\nKillUserProcesses = yes\n");
    assert!(ends(&user.name));
    assert!(!ends("root"), "root is an exception by default");
    let linger = remote.local(Path::new("/var/lib/systemd/linger"));
    place(&linger.join(&user.name), "");
    assert!(!ends(&user.name));
    fs::remove_file(linger.join(&user.name)).unwrap();
    place(&etc.join("logind.conf.d/60-people.conf"), &format!("KillExcludeUsers=daq {}\n", user.name));
    assert!(!ends(&user.name) && ends("root"));
    remote.assert_nothing_left();
}

#[track_caller]
fn failure(manager: &Manager, host: &str, auth_method: Option<&str>) -> SshFailure {
    match manager.validate_host_connection(host, None, auth_method) {
        Err(Error::Ssh { host: named, failure, .. }) => {
            assert_eq!(named, host);
            failure
        }
        other => panic!("{host}: {other:?}"),
    }
}

#[test]
fn validate_host_connection_with_an_auth_method() {
    let remote = Remote::start();
    // The argument wins over the options.
    let manager = Manager::new(options(&remote).ssh_option("PreferredAuthentications=hostbased")).unwrap();
    assert_eq!(failure(&manager, "alpha", None), SshFailure::AuthenticationFailed);
    manager.validate_host_connection("alpha", None, Some("publickey")).unwrap();
    manager.validate_host_connection("alpha", None, Some("gssapi-with-mic,publickey")).unwrap();
    for method in ["password", "gssapi-with-mic", "keyboard-interactive,password"] {
        assert_eq!(failure(&manager, "alpha", Some(method)), SshFailure::AuthenticationFailed, "{method}");
    }
    let logins = remote.logins();
    for method in ["", ",", "publickey,", "a b", "publickey;id", "-x", "publickey\n", "publickey=1", "pub\0key"] {
        match manager.validate_host_connection("alpha", None, Some(method)) {
            Err(Error::Invalid { field, value, .. }) => {
                assert_eq!((field.as_str(), value.as_str()), ("auth_method", method))
            }
            other => panic!("{method:?}: {other:?}"),
        }
    }
    for (host, user, field) in
        [("", None, "host"), ("a b", None, "host"), ("-oA=b", None, "host"), ("alpha", Some("-l"), "user")]
    {
        match manager.validate_host_connection(host, user, None) {
            Err(Error::Invalid { field: named, .. }) => assert_eq!(named, field),
            other => panic!("{host:?}: {other:?}"),
        }
    }
    assert_eq!(remote.logins(), logins, "a refused call does not connect");
    remote.assert_nothing_left();
}

/// Hosts that fail, each in its own way.
const FAILING: [(&str, SshFailure); 5] = [
    ("refused", SshFailure::Refused),
    ("unresolved", SshFailure::NameNotResolved),
    ("wrongkey", SshFailure::AuthenticationFailed),
    ("unknownkey", SshFailure::HostKeyUnknown),
    ("changedkey", SshFailure::HostKeyChanged),
];

#[test]
fn each_failure_is_typed() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let failure = |manager: &Manager, host| match manager.validate_host_connection(host, None, None) {
        Err(Error::Ssh { host: ref named, .. } | Error::Launcher { host: ref named, .. }) if named != host => {
            panic!("{host} is reported as {named}")
        }
        answer => answer.unwrap_err(),
    };
    for (host, expected) in FAILING {
        let failure = failure(&manager, host);
        assert!(is_failure(&failure, expected, NOWHERE), "{host}: {failure}");
    }
    let brief = Manager::new(options(&remote).connect_timeout(std::time::Duration::from_secs(1))).unwrap();
    let failure = failure(&brief, "silent");
    assert!(is_failure(&failure, SshFailure::TimedOut, LauncherFailure::TimedOut), "{failure}");
    remote.assert_nothing_left();
}

#[test]
fn validate_hosts() {
    isolated(|| {
        let remote = Remote::start();
        let before = local_snapshot();
        let manager = manager(&remote);
        assert_eq!(manager.validate_hosts(&[], |_, _| panic!("there is none")).unwrap().len(), 0);
        // Many more than are asked at the same time, and more than sshd accepts at once.
        let mut destinations: Vec<_> = (0..60).map(|at| destination(["alpha", "beta", "gamma"][at % 3])).collect();
        destinations.extend(FAILING.map(|(host, _)| destination(host)));
        destinations.push(destination("no host"));
        destinations.push(Destination { host: "alpha".into(), user: Some("no user".into()) });
        let mut told = BTreeSet::new();
        let mut most = 0;
        let caller = std::thread::current().id();
        let answers = manager
            .validate_hosts(&destinations, |at, answer| {
                assert_eq!(std::thread::current().id(), caller);
                assert!(told.insert(at), "{at} was reported twice");
                assert_eq!(answer.is_ok(), at < 60, "{answer:?}");
                // A new thread has the name of its parent until it sets its own.
                let asking =
                    || local_snapshot().threads.iter().filter(|name| name.starts_with("sshpm-validat")).count();
                most =
                    most.max(wait_until("16 at the same time", TIME, || Some(asking()).filter(|asking| *asking <= 16)));
            })
            .unwrap();
        assert_eq!(told.len(), destinations.len());
        assert!((1..=16).contains(&most), "{most} at the same time");
        assert_eq!(answers.len(), destinations.len());
        let user = remote.users()[0].name.clone();
        for answer in &answers[..60] {
            assert_learned(answer.as_ref().unwrap(), &user);
        }
        for ((host, expected), answer) in FAILING.iter().zip(&answers[60..]) {
            let failure = answer.as_ref().unwrap_err();
            assert!(is_failure(failure, *expected, NOWHERE), "{host}: {answer:?}");
        }
        assert!(matches!(&answers[65], Err(Error::Invalid { field, .. }) if field == "host"), "{:?}", answers[65]);
        assert!(matches!(&answers[66], Err(Error::Invalid { field, .. }) if field == "user"), "{:?}", answers[66]);
        // A panic in the caller's progress function reaches the caller, and nothing is left.
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            manager.validate_hosts(&destinations[..20], |_, _| panic!("expected in this test"))
        }));
        assert!(panicked.is_err());
        remote.assert_nothing_left();
        drop(manager);
        assert_same_as(&before);
    });
}
