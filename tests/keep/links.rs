//! The links to kept processes: what they consist of, what breaks them, and what they carry.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::keeping::*;
use crate::life::*;
use crate::support::{By, ProcessInfo, Remote, launched_by, processes, wait_until};
use sshpm::{Error, ExitSource, Manager};

/// Returns the shell that sshd has started for this process, and all processes below it that do not belong to the
/// wrapper.
fn link_of(manager: &Manager, uuid: &str) -> Vec<ProcessInfo> {
    let wrapper = manager.runtime_pids(uuid).remote_monitoring.unwrap() as i32;
    let shell = ProcessInfo::of(wrapper).unwrap().ppid;
    let all = processes();
    let mut link = vec![ProcessInfo::of(shell).unwrap()];
    let mut at = 0;
    while at < link.len() {
        let parent = link[at].pid;
        link.extend(all.iter().filter(|p| p.ppid == parent && p.pid != wrapper && !p.is_zombie()).cloned());
        at += 1;
    }
    link
}

/// A link has a shell, two processes that follow the output, one that relays the commands, and one that replaces the
/// relay. Whichever is killed, the exit is reported correctly with all output, and nothing is left.
#[test]
fn any_part_of_a_link_is_killed() {
    let remote = Remote::start();
    let manager = manager(&remote);
    for part in 0..5 {
        let uuid = format!("u{part}");
        let counting = Counting::named(&remote, &uuid);
        let application = start_ready(&manager, &uuid, &counting.request());
        wait_for_lines(&manager, &uuid, 3);
        // With the lease and its sleep. By ssh, the connection has these.
        let whole = if launched_by() == By::Ssh { 5 } else { 7 };
        let link = wait_until("the link is whole", TIME, || {
            let link = link_of(&manager, &uuid);
            (link.len() == whole).then_some(link)
        });
        link[part].signal(libc::SIGKILL).unwrap();
        wait_for_death(&link[part]);
        assert!(application.is_alive());
        counting.end(&remote);
        let status = end_of(&manager, &uuid);
        assert_eq!((status.source(), status.code()), (ExitSource::RemoteMonitoring, Some(7)), "{part}: {status}");
        assert_counted(&manager, &uuid);
    }
    finish(&manager, &remote);
}

/// The wrapper's own reader is killed. The link ends with it, and the next link has the reader that replaces it.
#[test]
fn the_reader_is_killed_behind_any_link() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let mut story = Story::new(&manager);
    let log = remote.scratch().join("log");
    let counting = Counting::new(&remote);
    let application = start(&manager, "u", &counting.request().log_file(&log));
    story.wait("started");
    for _ in 0..3 {
        let attendant = wait_until("the process has an attendant", TIME, || {
            let wrapper = manager.runtime_pids("u").remote_monitoring? as i32;
            processes().into_iter().find(|p| p.ppid == wrapper && p.pid != application.pid && !p.is_zombie())
        });
        let is_reader = |p: &ProcessInfo| p.ppid == attendant.pid && !p.is_zombie();
        let reader = wait_until("the commands have a reader", TIME, || processes().into_iter().find(is_reader));
        reader.signal(libc::SIGKILL).unwrap();
        story.wait("lost");
        story.wait("restored");
    }
    assert_eq!(manager.kill_process("u", TIME).unwrap().code(), Some(17));
    finish(&manager, &remote);
}

#[test]
fn it_can_be_killed_when_what_passes_on_commands_was_replaced() {
    let remote = Remote::start();
    let manager = manager(&remote);
    Counting::start(&remote, &manager);
    let relay = wait_until("the link is whole", TIME, || link_of(&manager, "u").into_iter().nth(4));
    relay.signal(libc::SIGKILL).unwrap();
    wait_for_death(&relay);
    assert_eq!(manager.kill_process("u", TIME).unwrap().code(), Some(17));
    finish(&manager, &remote);
}

/// Much output on both streams, while link after link breaks: each byte arrives once.
#[test]
fn much_output_survives_broken_links() {
    const LINES: usize = 400_000;
    let remote = Remote::start();
    let manager = Manager::new(options(&remote).output_limit(64 << 20)).unwrap();
    let mut story = Story::new(&manager);
    let script = format!(
        "echo ready; seq -f 'out %.0f' {LINES} & seq -f 'err %.0f' {LINES} >&2; wait; \
         until [ -e \"$GO\" ]; do sleep 0.05; done; exit 7"
    );
    let counting = Counting::new(&remote);
    start_ready(&manager, "u", &kept(shell(&script)).environment("GO", counting.go()));
    for _ in 0..4 {
        break_link(&manager, "u");
        story.wait("restored");
    }
    counting.end(&remote);
    assert_eq!(end_of(&manager, "u").code(), Some(7));
    for (word, output) in [("out", manager.process_stdout("u")), ("err", manager.process_stderr("u"))] {
        let text = String::from_utf8(output.unwrap().bytes).unwrap();
        let mut lines = text.lines().filter(|line| line.starts_with(word));
        let wrong = (1..=LINES).find(|n| lines.next() != Some(&format!("{word} {n}")));
        assert_eq!((wrong, lines.next()), (None, None));
    }
    finish(&manager, &remote);
}

/// Without shared connections, each link has a lease of its own. With a log file, there is no output to read back.
#[test]
fn links_of_their_own_and_log_files() {
    let remote = Remote::start();
    let own = options(&remote).share_connections(false).lease(Duration::from_secs(3));
    let manager = Manager::new(own).unwrap();
    let mut story = Story::new(&manager);
    let log = remote.scratch().join("log");
    let counting = Counting::new(&remote);
    let application = start(&manager, "u", &counting.request().log_file(&log));
    client_of(&manager, "u").signal(libc::SIGSTOP).unwrap();
    let stopped = client_of(&manager, "u");
    story.wait("restored");
    assert!(!stopped.is_alive(), "the client that was stopped was ended");
    assert!(application.is_alive());
    counting.end(&remote);
    assert_eq!(end_of(&manager, "u").code(), Some(7));
    assert!(remote.read(&log).starts_with(b"ready\n"));
    assert_eq!(stdout(&manager, "u"), "");
    finish(&manager, &remote);
}

#[test]
fn the_time_to_restore_a_link_is_over() {
    let remote = Remote::start();
    let (gate, manager) = gated_manager_with(&remote, |options| options.restore_timeout(Duration::from_secs(1)));
    let mut story = Story::new(&manager);
    let (_, application) = Counting::start(&remote, &manager);
    gate.close();
    remote.break_links();
    story.wait("not restored");
    let status = end_of(&manager, "u");
    assert!(status.is_unknown() && status.link_lost(), "{status}");
    assert!(application.is_alive());
    drop(manager);
    gate.open();
    let next = crate::life::manager(&remote);
    wait_until("no manager has the process", TIME, || {
        matches!(found(&next, "u").state, sshpm::FoundState::Unmanaged).then_some(())
    });
    next.adopt_process("u", "alpha", None).unwrap();
    finish(&next, &remote);
}

/// One of them gets the process, and the others are told that.
#[test]
fn many_managers_adopt_at_the_same_time() {
    let remote = Remote::start();
    let first = manager(&remote);
    Counting::start(&remote, &first);
    drop(first);
    let managers: Vec<_> = (0..4).map(|_| manager(&remote)).collect();
    wait_until("no manager has the process", TIME, || {
        matches!(found(&managers[0], "u").state, sshpm::FoundState::Unmanaged).then_some(())
    });
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            managers.iter().map(|manager| scope.spawn(|| manager.adopt_process("u", "alpha", None))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let winners: Vec<_> = (0..4).filter(|n| results[*n].is_ok()).collect();
    assert_eq!(winners.len(), 1, "{results:?}");
    let is_refused = |result: &&Result<u64, Error>| matches!(result, Err(Error::TakenOver { .. }));
    assert_eq!(results.iter().filter(is_refused).count(), 3, "{results:?}");
    for (n, manager) in managers.iter().enumerate() {
        assert_eq!(manager.is_process_alive("u"), n == winners[0]);
    }
    assert_eq!(managers[winners[0]].kill_process("u", TIME).unwrap().code(), Some(17));
    finish(&managers[0], &remote);
}

#[test]
fn its_files_are_private() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let counting = Counting::new(&remote);
    let application = start_ready(&manager, "u", &counting.request().umask(0));
    manager.detach().unwrap();
    counting.end(&remote);
    wait_for_death(&application);
    let next = crate::life::manager(&remote);
    wait_until("the word of the exit", TIME, || {
        matches!(found(&next, "u").state, sshpm::FoundState::Ended(_)).then_some(())
    });
    let files = remote.runtime_files();
    for end in [".out", ".err", ".end"] {
        assert!(files.iter().any(|file| file.to_string_lossy().ends_with(end)), "{files:?}");
    }
    for file in &files {
        let mode = |path| fs::metadata(remote.local(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(file), 0o600, "{}", file.display());
        assert_eq!(mode(file.parent().unwrap()), 0o700, "{}", file.display());
    }
    next.adopt_process("u", "alpha", None).unwrap();
    assert_eq!(end_of(&next, "u").code(), Some(7));
    finish(&next, &remote);
}

/// A disk that is full of output accepts no more, and nothing else happens.
#[test]
fn the_disk_of_its_output_is_full() {
    let remote = Remote::start();
    let user = remote.users().remove(0);
    if !remote.require_users("the test needs a disk of its own") {
        return;
    }
    let state = user.home.join(".local/state");
    remote.mount_tmpfs(state.to_str().unwrap(), &format!("size=64k,mode=700,uid={}", user.uid));
    let manager = manager(&remote);
    let script = "trap 'exit 17' QUIT; echo ready; head -c 1000000 /dev/zero | tr '\\0' x; echo \"wrote $?\" >&2; \
                  while :; do sleep 0.05; done";
    start_ready(&manager, "u", &remote.request_as(&user, kept(shell(script))));
    wait_until("the disk is full", TIME, || {
        let taken: u64 = remote.runtime_files().iter().map(|f| fs::metadata(remote.local(f)).unwrap().len()).sum();
        (taken > 40_000).then_some(())
    });
    assert_eq!(manager.kill_process("u", TIME).unwrap().code(), Some(17));
    finish(&manager, &remote);
}
