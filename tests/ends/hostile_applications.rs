//! Applications that attack their supervision by what they write, close and fill. No report is forged, no memory is
//! filled, and other processes are not affected. `starts::odd_applications` has applications that are merely strange.

use std::ffi::OsString;
use std::time::Duration;

use crate::life::*;
use crate::sharing::{assert_untouched, names, start_all_ready};
use crate::support::{self, LONG, ProcessInfo, Remote, isolated_within, peak_kib, wait_until};
use sshpm::{BootRequest, ExitSource, Manager, Output};

/// Other processes on the same connections, which must not be affected.
struct Others {
    uuids: Vec<String>,
}

impl Others {
    #[track_caller]
    fn start(manager: &Manager) -> Others {
        let others = Others { uuids: names("other", 3) };
        start_all_ready(manager, &others.uuids, "alpha");
        others
    }

    /// Ends one of them and asserts that the rest goes on.
    #[track_caller]
    fn one_ends(&mut self, manager: &Manager) {
        let uuid = self.uuids.pop().unwrap();
        assert_untouched(manager, &uuid);
        assert!(self.uuids.iter().all(|uuid| manager.is_process_alive(uuid)));
    }

    #[track_caller]
    fn all_end(self, manager: &Manager) {
        self.uuids.iter().for_each(|uuid| assert_untouched(manager, uuid));
    }
}

/// Returns a manager with a long lease: a flood of output delays the ticks of a lease on a busy machine, and Slurm's
/// options have a short one.
fn patient_manager(remote: &Remote) -> Manager {
    Manager::new(options(remote).lease(LONG)).unwrap()
}

fn written(output: &Output) -> u64 {
    output.dropped + output.bytes.len() as u64
}

/// How much is written. 10 GB take a minute of two cores, for ssh's cipher and a library that is not optimised. The
/// bound of the memory does not depend on it; `SSHPM_TEST_GIGABYTES=10` writes 10 GB.
fn gigabytes() -> u64 {
    std::env::var("SSHPM_TEST_GIGABYTES").map_or(1, |text| text.parse().unwrap())
}

#[test]
fn gigabytes_on_stderr_fill_no_memory_and_hold_nobody() {
    let deadline = Duration::from_secs(300 + 120 * gigabytes());
    isolated_within(deadline, || {
        let bytes = gigabytes() * 1_000_000_000;
        let remote = Remote::start();
        let manager = patient_manager(&remote);
        let mut others = Others::start(&manager);
        let before = peak_kib();
        start(&manager, "u", &shell(&format!("head -c {bytes} /dev/zero >&2; exit 9")));
        wait_until("it writes", LONG, || (written(&manager.process_stderr("u").unwrap()) > 10_000_000).then_some(()));
        others.one_ends(&manager);
        let left = deadline - Duration::from_secs(60);
        assert_eq!(manager.wait_for_process_exit_code("u", left).unwrap(), Some(9));
        let output = manager.process_stderr("u").unwrap();
        assert_eq!(written(&output), bytes);
        assert!(output.bytes.len() == 1 << 20 && output.bytes.iter().all(|byte| *byte == 0));
        let more = peak_kib().saturating_sub(before);
        assert!(more < 32 << 10, "{more} KiB");
        others.one_ends(&manager);
        others.all_end(&manager);
        finish(&manager, &remote);
    });
}

#[test]
fn one_that_never_stops_writing_ends_when_it_is_told_to() {
    let remote = Remote::start();
    let manager = patient_manager(&remote);
    let mut others = Others::start(&manager);
    let uuids = names("endless", 2);
    // Both streams at once: neither of them is read to the exclusion of the other or of the reports. The lines are
    // long, because Slurm makes a message of each.
    let yes = format!("yes {}", "y".repeat(500));
    start(&manager, &uuids[0], &shell(&format!("{yes} >&2 & exec {yes}")));
    start(&manager, &uuids[1], &shell(&format!("{yes} & exec {yes} >&2")));
    for uuid in &uuids {
        wait_until("it writes on both", LONG, || {
            let streams = [manager.process_stdout(uuid), manager.process_stderr(uuid)];
            streams.into_iter().all(|output| written(&output.unwrap()) > 2_000_000).then_some(())
        });
    }
    others.one_ends(&manager);
    for uuid in &uuids {
        let status = manager.kill_process(uuid, LONG).unwrap();
        assert_eq!(status.source(), ExitSource::ManualKillThroughRemotePid, "{status}");
        assert_eq!((status.code(), status.left_over()), (Some(131), true), "{status}");
    }
    others.all_end(&manager);
    finish(&manager, &remote);
}

#[test]
fn a_daemon_that_never_stops_writing_holds_neither_the_end_nor_the_ssh_client() {
    let remote = Remote::start();
    let manager = patient_manager(&remote);
    let mut others = Others::start(&manager);
    let up = remote.scratch().join("up");
    let script = format!(
        "setsid sh -c ': >{0}; exec yes daemon >&2' & while [ ! -e {0} ]; do sleep 0.05; done; exit 5",
        up.display()
    );
    start(&manager, "u", &shell(&script));
    let status = end_of(&manager, "u");
    assert_eq!((status.code(), status.source()), (Some(5), ExitSource::RemoteMonitoring), "{status}");
    wait_for_link_end(&manager, "u");
    others.one_ends(&manager);
    others.all_end(&manager);
    // Nobody reads what the daemon writes any more.
    remote.end_daemons("yes");
    finish(&manager, &remote);
}

/// Returns what an application can make of a report: words that a manager would act on, behind something that is not
/// the nonce of its start.
fn look_alikes() -> Vec<String> {
    let random = "\x1ef3a9c0e5b1d8246a0c4e8f2b6d09173";
    let nonces = [
        "0".repeat(32),
        format!("\x1e{}", "0".repeat(31)),
        random.to_owned(),
        random[..31].to_owned(),
        format!("{random}0"),
        random.to_uppercase(),
        String::new(),
    ];
    let words = ["exit 0 - 1 0", "clean", "pid 1 5 boot 2", "fail exec 0 127", "begin 1 1", "gone", "eof"];
    let mut lines: Vec<_> = words.iter().map(|words| format!("{random} {words}\n")).collect();
    lines.extend(nonces.iter().map(|nonce| format!("{nonce} exit 0 - 1 0\n")));
    lines.push(format!("{}\n", random.repeat(4)));
    lines
}

#[test]
fn look_alikes_of_reports_are_output_wherever_they_are_torn() {
    let remote = Remote::start();
    let manager = patient_manager(&remote);
    let witness = Witness::new(&manager);
    let others = Others::start(&manager);
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (mut verbs, mut expected) = (vec![remote.app().into_os_string()], String::new());
    let mut say = |text: &str| {
        // One write for each, on each stream.
        for word in ["stderr", text, "stdout", &hex(text)] {
            verbs.push(OsString::from(word));
        }
        expected += text;
    };
    for line in look_alikes() {
        for cut in (1..line.len()).step_by(3) {
            say(&line[..cut]);
            say(&line[cut..]);
        }
    }
    // The true report follows the beginning of a false one.
    say("\x1ef3a9c0e5b1d8246");
    verbs.extend(["exit", "23"].map(OsString::from));
    start(&manager, "u", &BootRequest::new("alpha", verbs));
    let status = end_of(&manager, "u");
    assert_eq!((status.code(), status.source()), (Some(23), ExitSource::RemoteMonitoring), "{status}");
    for output in [manager.process_stdout("u"), manager.process_stderr("u")] {
        let output = output.unwrap();
        assert_eq!(output.dropped, 0);
        support::assert_same_bytes("the look-alikes", output.bytes, &expected);
    }
    others.all_end(&manager);
    finish(&manager, &remote);
    let words = witness.all(manager);
    assert_eq!(words["u"], ["started", "exited"]);
    assert!(words.values().all(|words| *words == ["started", "exited"]), "{words:?}");
}

#[test]
fn whatever_streams_are_closed_the_end_is_exact() {
    let remote = Remote::start();
    let manager = patient_manager(&remote);
    let others = Others::start(&manager);
    let ready = |set: u32| remote.scratch().join(format!("ready-{set}"));
    for set in 1..8u32 {
        let closed = [(1, "0<&-"), (2, "1>&-"), (4, "2>&-")].into_iter().filter(|(bit, _)| set & bit != 0);
        let closed: Vec<_> = closed.map(|(_, redirection)| redirection).collect();
        let closed = format!("exec {}", closed.join(" "));
        start(&manager, &format!("exits-{set}"), &shell(&format!("{closed}; exit {}", 20 + set)));
        let stays = format!("{closed}; trap 'exit {}' QUIT; : >{}", 40 + set, ready(set).display());
        start(&manager, &format!("stays-{set}"), &shell(&format!("{stays}; while :; do sleep 0.05; done")));
    }
    for set in 1..8u32 {
        let code = Some(20 + set as i32);
        assert_eq!(end_of(&manager, &format!("exits-{set}")).code(), code, "{set}");
        wait_for_file(&remote, &ready(set));
        let uuid = format!("stays-{set}");
        assert!(manager.is_process_alive(&uuid), "{set}");
        assert_eq!(manager.kill_process(&uuid, LONG).unwrap().code(), Some(40 + set as i32), "{set}");
    }
    others.all_end(&manager);
    finish(&manager, &remote);
}

#[test]
fn one_that_has_filled_its_pipe_can_be_ended_and_hinders_nobody() {
    let remote = Remote::start();
    // The lease is long, so that it does not end while the clients are stopped.
    let manager = Manager::new(options(&remote).share_connections(false).lease(LONG)).unwrap();
    let mut others = Others::start(&manager);
    let (go, filled) = (remote.scratch().join("go"), remote.scratch().join("filled"));
    let wait_for_go = format!("while [ ! -e {} ]; do sleep 0.05; done", go.display());
    let fills = format!("nonblock-fill report {} wait", filled.display());
    let uuids = ["fills", "blocks"];
    start(&manager, uuids[0], &shell(&format!("{wait_for_go}; exec {} {fills} 2>&1", remote.app().display())));
    let blocks = start(&manager, uuids[1], &shell(&format!("{wait_for_go}; exec yes >&2")));
    // With a client that reads nothing, ssh's window and sshd's pipe really fill up.
    let clients = uuids.map(|uuid| client_of(&manager, uuid));
    for client in &clients {
        client.signal(libc::SIGSTOP).unwrap();
    }
    touch(&remote, &go);
    wait_for_file(&remote, &filled);
    wait_until("a write that blocks", LONG, || {
        let process = ProcessInfo::of(blocks.pid)?;
        (process.state == 'S' && process.cmdline.first()? == "yes").then_some(())
    });
    others.one_ends(&manager);
    for (uuid, client) in uuids.iter().zip(&clients) {
        assert!(manager.is_process_alive(uuid));
        client.signal(libc::SIGCONT).unwrap();
        let status = manager.kill_process(uuid, LONG).unwrap();
        assert_eq!((status.code(), status.link_lost()), (Some(131), false), "{uuid}: {status}");
    }
    others.all_end(&manager);
    finish(&manager, &remote);
}
