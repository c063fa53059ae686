//! Hosts on which no process can be made, no file can grow, or somebody kills the shells that read the commands.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::RecvTimeoutError;

use super::*;
use crate::model::ready::Ready;
use crate::remote::script::short_script;

/// The user id of the next host. The kernel counts the processes of a user, and zombies too: so each host has a user
/// who owns nothing else on this machine.
static NEXT_USER: AtomicU32 = AtomicU32::new(1_064_321);

fn set_limit(resource: libc::__rlimit_resource_t, to: libc::rlim_t) {
    let limit = libc::rlimit { rlim_cur: to, rlim_max: to };
    // SAFETY: the pointer is to the local.
    unsafe { libc::setrlimit(resource, &limit) };
}

/// Limits of the number of processes for the user of a host. The last one suffices for a start.
const PROCESSES: [fn(); 10] = [
    || set_limit(libc::RLIMIT_NPROC, 1),
    || set_limit(libc::RLIMIT_NPROC, 2),
    || set_limit(libc::RLIMIT_NPROC, 3),
    || set_limit(libc::RLIMIT_NPROC, 4),
    || set_limit(libc::RLIMIT_NPROC, 5),
    || set_limit(libc::RLIMIT_NPROC, 6),
    || set_limit(libc::RLIMIT_NPROC, 7),
    || set_limit(libc::RLIMIT_NPROC, 8),
    || set_limit(libc::RLIMIT_NPROC, 9),
    || set_limit(libc::RLIMIT_NPROC, 20),
];

/// Requests that take different processes.
const REQUESTS: [fn(&Host) -> BootRequest; 7] = [
    |_| sleeping(),
    |_| sleeping().setup_line("true"),
    |_| kept(),
    |_| sleeping().ready(Ready::Notify),
    |_| kept().ready(Ready::Notify),
    |host| sleeping().ready(Ready::Output("text".to_owned())).log_file(host.path("home").join("log")),
    |host| kept().ready(Ready::Output("text".to_owned())).log_file(host.path("home").join("log")),
];

/// The result of a start on a host that may have made no process for it.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    Running,
    Failed(String),
    /// Its session has ended after these reports.
    Ended(Vec<String>),
}

impl Session {
    /// Waits for one of these reports, a failure, or the end of the process or the session.
    fn come(&mut self, words: &[&str]) -> Came {
        let mut heard = Vec::new();
        loop {
            match self.reports.recv_timeout(DEADLINE) {
                Ok(report) if report.starts_with("fail") => return Came::Failed(report),
                Ok(report) if words.iter().any(|word| report.starts_with(word)) => return Came::Running,
                Ok(report) => {
                    let is_end = report.starts_with("exit");
                    heard.push(report);
                    if is_end {
                        return Came::Ended(heard);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Came::Ended(heard),
                Err(RecvTimeoutError::Timeout) => panic!("{}: {words:?} after {heard:?}", self.name),
            }
        }
    }
}

/// Returns whether there is an exit report, `exit CODE HOW RAN LEFT`, of a program that did not run.
fn has_exit_of_failed_start(heard: &[String]) -> bool {
    heard.iter().any(|report| report.starts_with("exit ") && report.split(' ').nth(3) == Some("0"))
}

/// If a shell cannot make a process, all shells end, or it does without the process.
#[test]
fn a_host_without_processes_leaves_none_and_says_so() {
    // SAFETY: it only asks.
    if unsafe { libc::geteuid() } != 0 {
        return eprintln!("SKIPPED: only root can become another user");
    }
    for shell in ["dash", "busybox"] {
        for (at, confine) in PROCESSES.into_iter().enumerate() {
            for prepare in REQUESTS {
                let Some(shell) = each().find(|one| one.name == shell) else { return };
                let user = NEXT_USER.fetch_add(1, Ordering::Relaxed);
                let host = Host { confine, ..Host::of_user(shell, user) };
                let request = prepare(&host);
                let (policy, ready) = (request.link_loss, &request.ready);
                let what = format!("{} with {} processes, {policy:?}, {ready:?}", host.shell.name, at + 1);
                let mut session =
                    host.session(start_line(NONCE, &host.instance, &request, "m", None, SilentCut::Connection));
                let mut came = session.come(&["begin"]);
                if came == Came::Running {
                    session.send(&start_block(&host.instance, &request).concat());
                    came = session.come(&["pid"]);
                    if came == Came::Running && request.link_loss == LinkLossPolicy::Keep {
                        session.send(b"keep\n");
                    }
                    if came == Came::Running {
                        came = session.come(&["running"]);
                    }
                    // If a start is killed in its first moments, the wrapper may report the exit alone.
                    assert!(
                        !matches!(&came, Came::Ended(heard) if !has_exit_of_failed_start(heard)),
                        "{what}: {came:?}"
                    );
                }
                assert!(came == Came::Running || at + 1 < PROCESSES.len(), "{what}: {came:?}");
                if let Came::Failed(report) = &came {
                    assert_eq!(report, "fail no-process", "{what}");
                }
                if came == Came::Running {
                    session.send(b"kill 1 KILL group\n");
                    session.come(&["exit"]);
                    session.send(b"bye\n");
                }
                session.close();
                wait_until(&format!("{what}: no process"), || host.processes().is_empty());
            }
        }
    }
}

/// A write to a file fails, but the XFSZ that comes with it ends no shell. ksh93 is not tried, because it needs files
/// for its command substitutions.
#[test]
fn a_host_where_files_may_not_grow_starts_and_ends_applications() {
    for shell in each().filter(|shell| shell.name != "ksh93") {
        for request in [sleeping(), kept()] {
            let host = Host { confine: || set_limit(libc::RLIMIT_FSIZE, 0), ..Host::new(shell.clone()) };
            let mut session = host.start_confirmed(&request);
            assert_eq!(session.hear("warn"), "metadata", "{}", host.shell.name);
            session.hear("running");
            session.send(b"kill 1 TERM group\n");
            session.hear("exit");
            session.send(b"bye\n");
            session.close();
            host.assert_nothing_left();
        }
    }
}

impl Host {
    /// Kills the two shells through which the wrapper of a running application gets commands.
    pub(super) fn kill_readers(&self) {
        let marked = || {
            self.files().into_iter().find_map(|file| {
                let (_, reader) = file.to_str()?.split_once(".r.")?;
                reader.split('.').next()?.parse::<i32>().ok()
            })
        };
        wait_until("the reader's marker", || marked().is_some());
        let reader = marked().unwrap();
        let stat = fs::read_to_string(format!("/proc/{reader}/stat")).unwrap();
        let attender: i32 = stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap();
        for pid in [attender, reader] {
            // SAFETY: integers only; both are this test's.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        wait_until("their end", || !PathBuf::from(format!("/proc/{reader}")).exists());
    }

    /// Runs a short script, and returns the first report that begins with this word.
    fn ask(&self, values: &[(&str, &[u8])], piece: &'static str, word: &str) -> String {
        let session = self.session(short_script(NONCE, values, piece));
        session.hear("begin");
        session.hear(word)
    }
}

/// Such a wrapper gets no commands: its application counts as orphaned, and can be ended all the same.
#[test]
fn an_application_whose_wrapper_hears_nobody_is_told_and_ended() {
    for shell in each() {
        for request in [sleeping(), kept()] {
            let host = Host::new(shell.clone());
            let mut session = host.start_confirmed(&request);
            session.hear("running");
            host.kill_readers();
            // The reports of a list go to stdout, which the test does not read. A clean-up decides by the same state.
            let cleaned = host.ask(&[(parameters::GRACE, b"1"), (parameters::KILL_TREE, b"")], CLEAN_UP, "cleaned");
            assert_eq!(cleaned, format!("{} ended", host.instance.uuid), "{}", host.shell.name);
            session.close();
            host.assert_nothing_left();
        }
    }
}

/// A link ends such an application too, and gets the word of its end.
#[test]
fn a_link_to_a_wrapper_that_hears_nobody_ends_the_application() {
    for shell in each() {
        let host = Host::new(shell);
        let mut session = host.start_confirmed(&kept());
        session.hear("running");
        host.kill_readers();
        session.close();
        let mut link = host.session(attach_line(NONCE, &host.instance, 1, "m", (0, 0), SilentCut::Connection));
        link.hear("exit");
        link.send(b"bye\n");
        link.close();
        host.assert_nothing_left();
    }
}
