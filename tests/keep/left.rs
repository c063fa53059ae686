//! What is left of kept processes, and what may remove it: clean-ups, later starts, and calls that come while there is
//! no link.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::keeping::*;
use crate::life::*;
use crate::support::{ProcessInfo, Remote, clients, wait_until};
use sshpm::{CleanUp, ExitSource, FoundState, KillTimeouts, Manager, StartFailure};

/// Returns the runtime files whose names match, as this machine sees them.
fn files(remote: &Remote, is_one: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let all = remote.runtime_files().into_iter();
    all.filter(|file| is_one(file.file_name().unwrap().to_str().unwrap())).map(|file| remote.local(&file)).collect()
}

fn age(file: &Path) {
    assert!(Command::new("touch").args(["-h", "-d", "3 days ago"]).arg(file).status().unwrap().success());
}

fn wait_for_end(manager: &Manager, uuid: &str) {
    wait_until("the word of the exit", TIME, || {
        matches!(found(manager, uuid).state, FoundState::Ended(_)).then_some(())
    });
}

/// A process that has run for hours without a command has old fifos.
#[test]
fn a_clean_up_leaves_the_fifos_of_what_lives() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let mut story = Story::new(&manager);
    Counting::start(&remote, &manager);
    for file in files(&remote, |name| !name.ends_with(".json")) {
        age(&file);
    }
    let other = crate::life::manager(&remote);
    assert_eq!(other.clean_up_host("alpha", None, TIME, false).unwrap()[0].outcome, CleanUp::Managed);
    break_link(&manager, "u");
    story.wait("restored");
    assert_eq!(manager.kill_process("u", TIME).unwrap().code(), Some(17));
    finish(&manager, &remote);
}

/// The wrapper's shells were killed before the metadata file was written.
#[test]
fn a_clean_up_removes_what_killed_starts_left() {
    let remote = Remote::start();
    let manager = manager(&remote);
    Counting::start(&remote, &manager);
    let metadata = files(&remote, |name| name.ends_with(".json")).remove(0);
    let beside = |stem: &str, ends: &[&str]| -> Vec<PathBuf> {
        ends.iter().map(|end| metadata.with_file_name(format!("{stem}.{end}"))).collect()
    };
    let make_fifo = |name: &PathBuf| assert!(Command::new("mkfifo").arg(name).status().unwrap().success());
    let fifos = beside("v.l.1.0123456789abcdef", &["x", "a", "c", "n", "l.1.1.m"]);
    let regular = beside("v.l.1.0123456789abcdef", &["out", "err", "tmp", "kept", "ran", "ready"]);
    // One start has just opened the draft of its metadata file, and another one its notebook. Tests of other launchers
    // run at the same time, and open files are recognised by their names.
    let starting = beside(&format!("v.0{:015x}", std::process::id()), &["x", "tmp"]);
    let waiting = beside(&format!("v.f{:015x}", std::process::id()), &["x", "a", "out"]);
    fs::write(&starting[1], "").unwrap();
    fs::write(&waiting[2], "").unwrap();
    for fifo in [&starting[0], &waiting[0], &waiting[1]] {
        make_fifo(fifo);
    }
    let wrapper = [&starting[1], &waiting[1]].map(|name| File::options().read(true).write(true).open(name).unwrap());
    for kill_tree in [true, false] {
        fifos.iter().for_each(make_fifo);
        regular.iter().for_each(|name| fs::write(name, "").unwrap());
        let gone = fs::read_to_string(&metadata).unwrap().replace("\"boot_id\":\"", "\"boot_id\":\"another");
        fs::write(metadata.with_file_name("metadata_a.json"), gone).unwrap();
        manager.clean_up_host("alpha", None, TIME, kill_tree).unwrap();
        assert!(fifos.iter().chain(&regular).all(|name| !name.exists()), "{kill_tree}");
        assert!(starting.iter().chain(&waiting).all(|name| name.exists()), "{kill_tree}");
    }
    drop(wrapper);
    manager.clean_up_host("alpha", None, TIME, false).unwrap();
    assert!(starting.iter().chain(&waiting).all(|name| !name.exists()));
    assert_eq!(manager.kill_process("u", TIME).unwrap().code(), Some(17));
    finish(&manager, &remote);
}

/// A pid from before the boot means nothing, and neither does the pid with another start time.
#[test]
fn a_clean_up_with_its_tree_ends_nothing_of_another() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let (_, application) = Counting::start(&remote, &manager);
    let metadata = files(&remote, |name| name.ends_with(".json")).remove(0);
    let text = fs::read_to_string(&metadata).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let change = |text: &str, key: &str, to: &str| text.replace(value[key].as_str().unwrap(), to);
    let other_boot = change(&change(&text, "instance", "0123456789abcdef"), "boot_id", "another");
    let other_start = change(&change(&text, "instance", "fedcba9876543210"), "start_time", "1");
    fs::write(metadata.with_file_name("metadata_v.json"), other_boot).unwrap();
    fs::write(metadata.with_file_name("metadata_w.json"), other_start).unwrap();
    let cleaned = manager.clean_up_host("alpha", None, TIME, true).unwrap();
    let outcomes: Vec<_> = cleaned.iter().map(|cleaned| (cleaned.uuid.as_str(), cleaned.outcome)).collect();
    assert_eq!(outcomes, [("u", CleanUp::Managed), ("v", CleanUp::Removed), ("w", CleanUp::Removed)]);
    assert!(application.is_alive());
    assert_eq!(manager.kill_process("u", TIME).unwrap().code(), Some(17));
    finish(&manager, &remote);
}

/// The exit and the output stay until a manager has them, however long that takes.
#[test]
fn a_later_start_leaves_the_word_of_one_that_was_kept() {
    let remote = Remote::start();
    let first = manager(&remote);
    let (counting, application) = Counting::start(&remote, &first);
    wait_for_lines(&first, "u", 3);
    first.detach().unwrap();
    counting.end(&remote);
    wait_for_death(&application);
    let second = manager(&remote);
    wait_for_end(&second, "u");
    // The wrapper removes its fifos when it has written the exit down.
    wait_until("its fifos are removed", TIME, || {
        files(&remote, |name| name.ends_with(".a") || name.ends_with(".c")).is_empty().then_some(())
    });
    for file in files(&remote, |_| true) {
        age(&file);
    }
    let forgotten = files(&remote, |name| name.ends_with(".json")).remove(0).with_file_name("v.0123456789abcdef.end");
    fs::write(&forgotten, "exit 1 - 1 0 1\n").unwrap();
    age(&forgotten);
    second.start_process("v", &kept(shell("exit 3"))).unwrap();
    assert_eq!(end_of(&second, "v").code(), Some(3));
    assert!(!forgotten.exists());
    second.adopt_process("u", "alpha", None).unwrap();
    assert_eq!(end_of(&second, "u").code(), Some(7));
    assert_counted(&second, "u");
    finish(&second, &remote);
}

/// The link's shell is killed, which ends no start: it goes on, and the new link reports when it is done.
#[test]
fn a_start_goes_on_when_its_link_is_killed() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let story = Story::new(&manager);
    for (uuid, setup) in [
        ("u", "echo ready; until [ -e \"$GO\" ]; do sleep 0.05; done"),
        ("v", "echo ready; until [ -e \"$GO\" ]; do sleep 0.05; done; exit 4"),
    ] {
        let go = remote.scratch().join(format!("go-{uuid}"));
        let request = kept(shell(OWN_CODES)).environment("GO", &go).setup_line(setup);
        let mut events = Story::new(&manager);
        manager.start_process(uuid, &request).unwrap();
        wait_for_setup(&manager, uuid);
        let wrapper = wait_until("its wrapper", TIME, || manager.runtime_pids(uuid).remote_monitoring) as i32;
        let link = ProcessInfo::of(ProcessInfo::of(wrapper).unwrap().ppid).unwrap();
        link.signal(libc::SIGKILL).unwrap();
        events.wait("restored");
        fs::write(remote.local(&go), "").unwrap();
        let started = manager.wait_until_started(uuid, TIME);
        match uuid {
            "u" => drop(started.unwrap()),
            _ => assert!(matches!(reason_of(started.unwrap_err()), StartFailure::Setup { line: 1, code: 4 })),
        }
    }
    manager.kill_process("u", TIME).unwrap();
    finish(&manager, &remote);
    assert_eq!(story.all(manager), ["lost", "restored", "started", "lost", "restored", "failed", "exited"]);
}

/// The fifo for commands was removed. No link can reach the wrapper, and the files of a live process stay until it has
/// ended.
#[test]
fn a_link_that_reaches_no_wrapper_removes_nothing_of_what_lives() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let mut story = Story::new(&manager);
    let application = start_ready(&manager, "u", &kept(shell("echo ready; exec sleep 1000")));
    fs::remove_file(files(&remote, |name| name.ends_with(".c")).remove(0)).unwrap();
    break_link(&manager, "u");
    story.wait("not restored");
    assert!(application.is_alive());
    assert!(!files(&remote, |name| name.ends_with(".json")).is_empty());
    application.signal(libc::SIGKILL).unwrap();
    let status = end_of(&manager, "u");
    assert_eq!((status.application_code(), status.is_unknown()), (Some(137), false), "{status}");
    finish(&manager, &remote);
}

/// A kill that began while there was no link counts as a kill.
#[test]
fn a_kill_waits_for_the_link() {
    let remote = Remote::start();
    let (gate, manager) = gated_manager(&remote);
    let mut story = Story::new(&manager);
    Counting::start(&remote, &manager);
    // The kill takes this process from the table at once, which shows that the kill has begun.
    start(&manager, "v", &shell("true"));
    end_of(&manager, "v");
    // Otherwise the wrapper of a process whose exit is known would leave word of it when the link breaks.
    wait_until("its wrapper is gone", TIME, || files(&remote, |name| name.contains('v')).is_empty().then_some(()));
    gate.close();
    remote.break_links();
    story.wait("not restored");
    let status = std::thread::scope(|scope| {
        let kill = scope.spawn(|| manager.kill_processes(&["u", "v"], &KillTimeouts::from(2 * TIME)).unwrap());
        wait_until("the kill has begun", TIME, || manager.process_state("v").is_err().then_some(()));
        gate.open();
        kill.join().unwrap().remove("u").unwrap().unwrap()
    });
    assert_eq!((status.source(), status.code()), (ExitSource::ManualKillThroughRemotePid, Some(17)), "{status}");
    finish(&manager, &remote);
}

/// Where there is neither setsid nor perl, a shell stands between the wrapper and the application.
#[test]
fn a_host_without_setsid_keeps_it() {
    let remote = Remote::start();
    if !remote.require_users("setsid and perl would be the real ones") {
        return;
    }
    for program in ["/usr/bin/setsid", "/usr/bin/perl"] {
        remote.take_away(program);
    }
    let manager = manager(&remote);
    let mut story = Story::new(&manager);
    let (_, application) = Counting::start(&remote, &manager);
    assert!(matches!(found(&manager, "u").state, FoundState::Managed));
    break_link(&manager, "u");
    story.wait("restored");
    assert!(application.is_alive());
    assert_eq!(manager.kill_process("u", TIME).unwrap().code(), Some(17));
    finish(&manager, &remote);
}

/// A uuid has one owner on a host, whatever the policies.
#[test]
fn a_uuid_that_is_kept_is_in_use() {
    let remote = Remote::start();
    let first = manager(&remote);
    let (counting, _) = Counting::start(&remote, &first);
    start_ready(&first, "v", &shell(OWN_CODES));
    let second = manager(&remote);
    assert!(matches!(failure_of(&second, "u", &shell(OWN_CODES)), StartFailure::UuidInUse));
    assert!(matches!(failure_of(&second, "v", &counting.request()), StartFailure::UuidInUse));
    finish(&first, &remote);
}

/// The link waits as long as the application may take to end when its start is taken back.
#[test]
fn a_start_that_is_taken_back_is_over_when_its_setup_is() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let request = kept(shell("true"))
        .setup_line("trap '' HUP TERM; sleep 1000")
        .start_timeout(Duration::from_secs(2))
        .grace(Duration::from_secs(6));
    manager.start_process("u", &request).unwrap();
    let setup = wait_for_pid(&manager, "u");
    let error = manager.wait_until_started("u", TIME).unwrap_err();
    assert!(matches!(reason_of(error), StartFailure::TimedOut { .. }));
    assert!(!setup.is_alive());
    finish(&manager, &remote);
}

/// The shell that waits for the setup does not wait for one that was killed.
#[test]
fn a_setup_that_is_killed_leaves_nothing() {
    let remote = Remote::start();
    let manager = manager(&remote);
    manager.start_process("u", &kept(shell("true")).setup_line("echo ready; sleep 1000")).unwrap();
    let setup = wait_for_setup(&manager, "u");
    setup.signal(libc::SIGKILL).unwrap();
    manager.wait_until_started("u", TIME).unwrap_err();
    finish(&manager, &remote);
}

/// A link has seen that the application lives. Before it reaches the wrapper, the application ends, and the wrapper
/// reads no more. The fifo for commands is still there, or it is not.
#[test]
fn a_link_that_comes_too_late_for_its_wrapper_is_told() {
    let remote = Remote::builder().env("PATH", INSTEAD).start();
    if !remote.require_users("the test replaces mkfifo and rm") {
        return;
    }
    let mkfifo = "echo >>/tmp/makes; while [ -e /tmp/hold-mkfifo ]; do sleep 0.05; done; exec /usr/bin/mkfifo \"$@\"";
    let rm = "case $* in *.c) echo >>/tmp/removes; while [ -e /tmp/hold-rm ]; do sleep 0.05; done ;; esac; exec /usr/bin/rm \"$@\"";
    place_instead(&remote, &[("mkfifo", mkfifo), ("rm", rm)]);
    let local = |path: &str| remote.local(Path::new(path));
    let manager = manager(&remote);
    let story = Story::new(&manager);
    let links = |uuid: &str| files(&remote, |name| name.starts_with(uuid) && name.contains(".l."));
    for (uuid, runs, is_removed) in [("u", true, false), ("v", true, true), ("w", false, false), ("x", false, true)] {
        let request = match runs {
            true => kept(shell("echo ready; exec sleep 1000")),
            false => kept(shell("true")).setup_line("trap '' HUP; echo ready; sleep 1000").grace(2 * TIME),
        };
        manager.start_process(uuid, &request).unwrap();
        let application = wait_for_setup(&manager, uuid);
        if runs {
            manager.wait_until_started(uuid, TIME).unwrap();
        }
        let former = links(uuid);
        for file in ["/tmp/makes", "/tmp/removes"] {
            let _ = fs::remove_file(local(file));
        }
        fs::write(local("/tmp/hold-mkfifo"), "").unwrap();
        if !is_removed {
            fs::write(local("/tmp/hold-rm"), "").unwrap();
        }
        break_link(&manager, uuid);
        wait_until("the next link has looked", TIME, || local("/tmp/makes").exists().then_some(()));
        application.signal(libc::SIGKILL).unwrap();
        wait_until("the wrapper reads no more commands", TIME, || {
            let has_fifo = !files(&remote, |name| name.starts_with(uuid) && name.ends_with(".c")).is_empty();
            (local("/tmp/removes").exists() && has_fifo != is_removed).then_some(())
        });
        fs::remove_file(local("/tmp/hold-mkfifo")).unwrap();
        if !is_removed {
            wait_until("the next link", TIME, || links(uuid).iter().any(|link| !former.contains(link)).then_some(()));
            fs::remove_file(local("/tmp/hold-rm")).unwrap();
        }
        if runs {
            let status = end_of(&manager, uuid);
            assert_eq!((status.application_code(), status.is_unknown()), (Some(137), false), "{status}");
            assert_eq!(stdout(&manager, uuid), "ready\n");
        } else {
            let reason = reason_of(manager.wait_until_started(uuid, TIME).unwrap_err());
            assert_eq!(reason, StartFailure::LinkLost);
        }
    }
    finish(&manager, &remote);
    let expected = [&["started", "lost", "restored", "exited"][..]; 2].concat();
    let failed = [&["lost", "failed"][..]; 2].concat();
    assert_eq!(story.all(manager), [expected, failed].concat());
}

/// The wrapper is about to leave word of the exit when the next link comes, and the link waits for that.
#[test]
fn a_link_that_comes_just_behind_the_end_waits_for_word_of_it() {
    let slow = "echo >>/tmp/dates; while [ ! -e /tmp/go ]; do sleep 0.05; done; exec /usr/bin/date \"$@\"";
    let remote = Remote::builder().env("PATH", INSTEAD).start();
    if !remote.require_users("the test replaces date") {
        return;
    }
    let local = |path: &str| remote.local(Path::new(path));
    place_instead(&remote, &[("date", slow)]);
    let manager = manager(&remote);
    let mut story = Story::new(&manager);
    let application = start_ready(&manager, "u", &kept(shell("echo ready; exec sleep 1000")));
    application.signal(libc::SIGKILL).unwrap();
    wait_until("the wrapper asks for the time", TIME, || local("/tmp/dates").exists().then_some(()));
    break_link(&manager, "u");
    story.wait("lost");
    let is_link = |p: &ProcessInfo| {
        let carries = |up: ProcessInfo| up.is_sshd() || clients().iter().any(|client| client.pid == up.pid);
        p.cmdline.last().is_some_and(|word| word == "sshpm") && ProcessInfo::of(p.ppid).is_some_and(carries)
    };
    wait_until("the next link", TIME, || remote.processes().into_iter().find(is_link));
    fs::write(local("/tmp/go"), "").unwrap();
    let status = end_of(&manager, "u");
    assert_eq!((status.application_code(), status.is_unknown()), (Some(137), false), "{status}");
    assert_eq!(stdout(&manager, "u"), "ready\n");
    finish(&manager, &remote);
}

/// Kills that begin at any moment of a start, many times.
#[test]
fn starts_that_are_killed_at_once_leave_nothing() {
    let remote = Remote::start();
    let manager = manager(&remote);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let manager = &manager;
            scope.spawn(move || {
                for round in 0..30 {
                    let uuid = format!("u-{thread}-{round}");
                    manager.start_process(&uuid, &kept(shell("exec sleep 1000"))).unwrap();
                    wait_until("its first report", TIME, || manager.runtime_pids(&uuid).remote_monitoring);
                    // Not to wait for anything: to come at another moment each time.
                    std::thread::sleep(Duration::from_micros(667 * round));
                    drop(manager.kill_process(&uuid, TIME));
                }
            });
        }
    });
    finish(&manager, &remote);
}
