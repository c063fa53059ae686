//! Launchers that are commands of the caller's: how `{host}` and the like are filled in, how they fail, and the lease,
//! which ends the session behind a link that was cut in silence.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::keeping::*;
use crate::life::*;
use crate::support::{self, AppReport, By, ProcessInfo, Remote, handed_options, is_isolated, isolated_by, wait_until};
use sshpm::{BootRequest, Error, ExitSource, Launcher, LauncherFailure, Manager, StartFailure, StartStage};

/// Returns a launcher that is a script for /bin/sh. $CARRY is the remote's own launcher: `"$CARRY" HOST USER COMMAND…`.
fn script(remote: &Remote, name: &str, text: &str, words: &[&str]) -> Launcher {
    let text = format!("CARRY='{}'\n{text}", remote.carrier().display());
    let program = remote.program(name, &text).into_os_string();
    Launcher::command(std::iter::once(program).chain(words.iter().map(|word| (*word).into())))
}

/// Returns why a process does not start. Both ways to ask must agree.
#[track_caller]
fn error_of(manager: &Manager, request: &BootRequest) -> Error {
    manager.start_process("fails", request).unwrap();
    let error = manager.wait_until_started("fails", TIME).unwrap_err();
    let settled = manager.exit_status("fails").unwrap().unwrap_err();
    assert_eq!(error.to_string(), settled.to_string());
    error
}

#[test]
fn the_places_of_a_command_are_filled_in() {
    isolated_by(By::Command, || {
        let remote = Remote::start();
        let manager = manager(&remote);
        let record = remote.dir().join("record");
        let text = format!(
            "printf '%s|' \"$@\" >'{}'\nhost=$1\nshift 4\nexec \"$CARRY\" \"$host\" '' \"$@\"",
            record.display()
        );
        let words = ["{host}", "{user}@{host}:{host}", "{uuid}", "it's {} {hosts} {"];
        let launcher = script(&remote, "records", &text, &words);
        let user = remote.users()[0].name.clone();
        start(&manager, "u-1", &shell("exit 6").user(&user).launcher(launcher));
        assert_eq!(end_of(&manager, "u-1").code(), Some(6));
        let recorded = fs::read_to_string(&record).unwrap();
        let expected = format!("alpha|{user}@alpha:alpha|u-1|it's {{}} {{hosts}} {{|/bin/sh|-c|");
        assert!(recorded.starts_with(&expected), "{recorded}");
        assert!(recorded.ends_with("|sshpm|"), "{recorded}");
        finish(&manager, &remote);
    });
}

#[test]
fn a_command_that_gives_no_shell_is_told_with_its_reason() {
    isolated_by(By::Command, || {
        let remote = Remote::start();
        let manager = manager(&remote);
        let failure = |launcher: Launcher| match error_of(&manager, &shell("exit 0").launcher(launcher)) {
            Error::Launcher { launcher, host, failure, stderr, .. } => {
                assert_eq!(host, "alpha");
                (launcher, failure, stderr)
            }
            other => panic!("{other:?}"),
        };
        let (name, reason, _) = failure(Launcher::command(["/does/not/exist/docker", "exec"]));
        assert_eq!((name.as_str(), reason), ("docker", LauncherFailure::NotFound));
        let (_, reason, _) = failure(Launcher::command(["/etc/passwd"]));
        assert_eq!(reason, LauncherFailure::NotFound, "it may not be executed");
        let (name, reason, words) = failure(script(&remote, "tells", "echo 'no such container: x' >&2; exit 125", &[]));
        assert_eq!((name.as_str(), reason), ("tells", LauncherFailure::Ended(125)));
        assert_eq!(words.trim(), "no such container: x");
        // This launcher gives the shell nothing to read.
        let (_, reason, _) = failure(script(&remote, "swallows", "exec \"$CARRY\" alpha '' \"$@\" </dev/null", &[]));
        assert!(matches!(reason, LauncherFailure::Ended(_)), "{reason:?}");
        finish(&manager, &remote);
    });
}

#[test]
fn a_command_that_hangs_is_ended_by_the_start_timeout() {
    isolated_by(By::Command, || {
        let remote = Remote::start();
        let manager = manager(&remote);
        let hangs = script(&remote, "hangs", "exec sleep 1000", &[]);
        let request = shell("exit 0").launcher(hangs).start_timeout(Duration::from_secs(1));
        manager.start_process("u", &request).unwrap();
        let client = client_of(&manager, "u");
        match reason_of(manager.wait_until_started("u", TIME).unwrap_err()) {
            StartFailure::TimedOut { stage: StartStage::Connecting, .. } => {}
            other => panic!("{other:?}"),
        }
        wait_for_death(&client);
        finish(&manager, &remote);
    });
}

/// setpriv and runuser change the user in place of `{user}`.
#[test]
fn commands_that_change_the_user_do() {
    isolated_by(By::Command, || {
        let remote = Remote::start();
        let Some(user) = remote.user("dash").or_else(|| remote.user("bash")) else {
            return support::skipped("no user without privileges");
        };
        let manager = manager(&remote);
        let runuser = "user=$1\nshift\nexec \"$CARRY\" alpha '' runuser -u \"$user\" -- \"$@\"";
        let ways = [("runuser", script(&remote, "runuser", runuser, &["{user}"]))];
        let own = remote.request_as(&user, shell("exit 0"));
        for (uuid, launcher) in ways {
            let file = remote.scratch().join(uuid);
            let request = app(&remote, &format!("report {} exit 3", file.display())).user(&user.name);
            start(&manager, uuid, &request.launcher(launcher));
            assert_eq!(end_of(&manager, uuid).code(), Some(3));
            let report = AppReport::wait(&remote, &file);
            assert!(report.status("Uid").split_ascii_whitespace().all(|uid| uid == user.uid.to_string()));
        }
        start(&manager, "setpriv", &own);
        assert_eq!(end_of(&manager, "setpriv").code(), Some(0));
        finish(&manager, &remote);
    });
}

/// The process that carries the streams is stopped, and nobody reports that: the manager ends the client when the lease
/// is over.
#[test]
fn a_link_that_is_cut_in_silence_ends_by_the_managers_clock() {
    isolated_by(By::Command, || {
        let remote = Remote::start();
        let manager = Manager::new(options(&remote).lease(Duration::from_secs(3))).unwrap();
        let mut story = Story::new(&manager);
        let application = start_ready(&manager, "u", &shell(OWN_CODES));
        let client = client_of(&manager, "u");
        client.signal(libc::SIGSTOP).unwrap();
        story.wait("lost");
        let status = end_of(&manager, "u");
        assert_eq!((status.application_code(), status.code()), (Some(42), None), "{status}");
        assert!(status.link_lost() && status.source() == ExitSource::ClientMonitoring, "{status}");
        assert!(!application.is_alive() && !client.is_alive());
        finish(&manager, &remote);
    });
}

/// The part of a child process in the next tests. Its manager, with a lease of three seconds, is stopped, and reports
/// what it sees when it goes on.
#[test]
fn manager_to_be_stopped() {
    if !is_isolated("command::manager_to_be_stopped") {
        return;
    }
    let variable = |name: &str| std::env::var_os(name).unwrap();
    let (note, go) = (PathBuf::from(variable("SSHPM_TEST_NOTE")), variable("SSHPM_TEST_GO"));
    let tell = |text: &str| {
        let part = note.with_extension("part");
        fs::write(&part, text).unwrap();
        fs::rename(part, &note).unwrap();
    };
    let manager = Manager::new(handed_options().lease(Duration::from_secs(3)).lost_timeout(TIME)).unwrap();
    let mut story = Story::new(&manager);
    if variable("SSHPM_TEST_KEEP") == "1" {
        let application = start_ready(&manager, "u", &kept(shell(COUNTS)).environment("GO", &go));
        tell(&application.pid.to_string());
        story.wait("restored");
        let lines = stdout(&manager, "u").lines().count();
        wait_for_lines(&manager, "u", lines + 3);
        fs::write(variable("SSHPM_TEST_LOCAL_GO"), "").unwrap();
        assert_eq!(end_of(&manager, "u").code(), Some(7));
        assert_counted(&manager, "u");
    } else {
        let application = start_ready(&manager, "u", &shell(OWN_CODES));
        tell(&application.pid.to_string());
        story.wait("lost");
        let status = end_of(&manager, "u");
        assert_eq!((status.application_code(), status.code()), (Some(42), None), "{status}");
    }
    tell("told");
}

/// Neither the manager nor the process that carries the streams reports that the link is gone: the host's own lease
/// must end it.
#[track_caller]
fn a_manager_is_stopped(remote: &Remote, keep: &str, until: impl FnOnce(&ProcessInfo)) {
    let note = remote.dir().join("note");
    let go = remote.scratch().join("go");
    let mut child = support::isolated_command("command::manager_to_be_stopped");
    remote.hand_to(&mut child);
    child.env("SSHPM_TEST_NOTE", &note).env("SSHPM_TEST_KEEP", keep);
    child.env("SSHPM_TEST_GO", &go).env("SSHPM_TEST_LOCAL_GO", remote.local(&go));
    let mut child = child.spawn().unwrap();
    let told = wait_until("a file from the manager", TIME, || fs::read_to_string(&note).ok());
    let application = ProcessInfo::of(told.parse().unwrap()).unwrap();
    let manager = ProcessInfo::of(child.id() as i32).unwrap();
    let carriers: Vec<_> = support::processes().into_iter().filter(|p| p.ppid == manager.pid).collect();
    assert_eq!(carriers.len(), 1, "{carriers:?}");
    for process in [&manager, &carriers[0]] {
        process.signal(libc::SIGSTOP).unwrap();
    }
    until(&application);
    assert_eq!(fs::read_to_string(&note).unwrap(), told);
    // Reports of the host that are still on the way must not arrive, so the link is cut.
    carriers[0].signal(libc::SIGKILL).unwrap();
    manager.signal(libc::SIGCONT).unwrap();
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(fs::read_to_string(&note).unwrap(), "told");
    assert_only_status_files_left(remote);
}

#[test]
fn a_link_that_is_cut_in_silence_ends_by_the_hosts_clock() {
    isolated_by(By::Command, || {
        let remote = Remote::start();
        a_manager_is_stopped(&remote, "0", wait_for_death);
    });
}

/// The link ends, and the application goes on until there is another link.
#[test]
fn what_is_kept_outlives_its_link_by_the_hosts_clock() {
    isolated_by(By::Command, || {
        let remote = Remote::start();
        let place = |file: &Path| file.file_name().unwrap().to_string_lossy().contains(".l.");
        a_manager_is_stopped(&remote, "1", |application| {
            wait_until("the end of its link", TIME, || {
                (!remote.runtime_files().iter().any(|f| place(f))).then_some(())
            });
            assert!(application.is_alive());
        });
    });
}
