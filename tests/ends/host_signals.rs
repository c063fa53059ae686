//! What the host program does with its signals is its own affair. It may block them for signalfd or sigwait, catch
//! them, run timers, ignore them, or be started by nohup. Its signals stay its own, and its processes start, end and
//! are killed as usual.

use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::life::*;
use crate::support::{
    AppReport, Remote, ends_the_client, isolated, isolated_by_script, isolated_with_state, learned, wait_until,
};
use libc::{c_int, sigset_t};
use sshpm::{LinkLossPolicy, Manager, Signal};

/// Returns every signal that a program can catch, ignore or block. glibc keeps 32 and 33 for itself.
fn catchable() -> impl Iterator<Item = c_int> {
    (1..=64).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP, 32, 33].contains(signal))
}

fn set_of(signals: impl IntoIterator<Item = c_int>) -> sigset_t {
    // SAFETY: the set is initialised by sigemptyset before its use.
    unsafe {
        let mut set = mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in signals {
            assert_eq!(libc::sigaddset(&mut set, signal), 0);
        }
        set
    }
}

fn set_mask(how: c_int, signals: impl IntoIterator<Item = c_int>) {
    let set = set_of(signals);
    // SAFETY: the set is of this frame, and the old one is not asked for.
    assert_eq!(unsafe { libc::pthread_sigmask(how, &set, ptr::null_mut()) }, 0);
}

fn send_to_process(signal: c_int) {
    // SAFETY: integers only.
    assert_eq!(unsafe { libc::kill(std::process::id() as i32, signal) }, 0);
}

fn send_to_thread(signal: c_int) {
    // SAFETY: a thread is there while it runs this.
    assert_eq!(unsafe { libc::pthread_kill(libc::pthread_self(), signal) }, 0);
}

/// Sets the action for a signal, without SA_RESTART: system calls that it interrupts end with EINTR.
fn set_action(signal: c_int, handler: libc::sighandler_t) {
    // SAFETY: sigaction is plain data, for which zero bytes are valid; the handlers here only use atomic variables.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = handler;
        assert_eq!(libc::sigaction(signal, &action, ptr::null_mut()), 0);
    }
}

/// Takes one pending signal of a set. Returns `None` when there is none.
fn take_pending(set: &sigset_t) -> Option<c_int> {
    let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointers are to a set and a time that outlive the call; no siginfo is asked for.
    let signal = unsafe { libc::sigtimedwait(set, ptr::null_mut(), &at_once) };
    (signal > 0).then_some(signal)
}

/// Asserts that processes which end, are killed or lose their client are reported with the right codes, that an
/// application begins with no signal ignored or blocked, and that a call can start a launcher on this very thread.
#[track_caller]
fn assert_processes_live_as_ever(manager: &Manager, remote: &Remote) {
    let file = remote.scratch().join("report");
    start(manager, "exits", &app(remote, &format!("report {} exit 3", file.display())));
    assert_eq!(end_of(manager, "exits").code(), Some(3));
    let report = AppReport::wait(remote, &file);
    for field in ["SigBlk", "SigIgn", "SigCgt"] {
        assert_eq!(report.signals(field), [0; 0], "{field}");
    }
    std::fs::remove_file(remote.local(&file)).unwrap();
    start_ready(manager, "killed", &shell(OWN_CODES));
    assert_eq!(manager.kill_process("killed", TIME).unwrap().code(), Some(17));
    // By signals to the local client, which must obey them.
    for signal in [Signal::QUIT, Signal::KILL] {
        if ends_the_client(signal.number()) {
            start_ready(manager, "lost", &shell(OWN_CODES).link_loss(LinkLossPolicy::Terminate));
            let status = manager.kill_process_without_metadata("lost", signal, true, TIME).unwrap();
            assert_eq!(status.application_code(), learned(42), "{status}");
        }
    }
    assert!(manager.find_processes("alpha", None).unwrap().is_empty());
}

const WAITED_FOR: [c_int; 3] = [libc::SIGTERM, libc::SIGUSR1, libc::SIGCHLD];

fn block_what_is_waited_for() {
    set_mask(libc::SIG_BLOCK, WAITED_FOR);
}

/// Like an event loop.
#[test]
fn signals_that_are_blocked_for_a_signalfd_stay_pending() {
    isolated_with_state(block_what_is_waited_for, || {
        let remote = Remote::start();
        let set = set_of(WAITED_FOR);
        // SAFETY: the set outlives the call.
        let fd = unsafe { libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        assert!(fd >= 0);
        // SAFETY: a descriptor that was just made is owned by nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        while take_pending(&set).is_some() {}
        send_to_process(libc::SIGTERM);
        send_to_thread(libc::SIGUSR1);
        let manager = manager(&remote);
        assert_processes_live_as_ever(&manager, &remote);
        finish(&manager, &remote);
        drop(manager);
        let mut signals = Vec::new();
        loop {
            // SAFETY: plain data, for which zero bytes are valid.
            let mut info: libc::signalfd_siginfo = unsafe { mem::zeroed() };
            // SAFETY: the buffer has the size of one record.
            if unsafe { libc::read(fd.as_raw_fd(), (&raw mut info).cast(), size_of_val(&info)) } < 0 {
                break;
            }
            signals.push(info.ssi_signo as c_int);
        }
        signals.sort_unstable();
        let mut expected = WAITED_FOR;
        expected.sort_unstable();
        assert_eq!(signals, expected);
    });
}

/// A thread of the host program waits for signals. Others are pending all the time.
#[test]
fn signals_that_are_blocked_for_sigwait_reach_the_thread_that_waits() {
    isolated_with_state(block_what_is_waited_for, || {
        let remote = Remote::start();
        let pending = set_of([libc::SIGUSR1]);
        send_to_process(libc::SIGUSR1);
        send_to_thread(libc::SIGUSR1);
        let (sent, ended) = (AtomicUsize::new(0), AtomicBool::new(false));
        let taken = AtomicUsize::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                let set = set_of([libc::SIGTERM]);
                while !ended.load(Ordering::SeqCst) {
                    let mut signal = 0;
                    // SAFETY: both pointers are to this frame's variables.
                    assert_eq!(unsafe { libc::sigwait(&set, &mut signal) }, 0);
                    assert_eq!(signal, libc::SIGTERM);
                    taken.fetch_add(1, Ordering::SeqCst);
                }
            });
            // The waiting thread must end even if this panics. Otherwise the scope would wait for ever.
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let send = || {
                    let number = sent.fetch_add(1, Ordering::SeqCst);
                    send_to_process(libc::SIGTERM);
                    wait_until("sigwait has the signal", TIME, || {
                        (taken.load(Ordering::SeqCst) > number).then_some(())
                    });
                };
                let manager = manager(&remote);
                send();
                assert_processes_live_as_ever(&manager, &remote);
                for round in 0..5 {
                    manager.start_process(&format!("u{round}"), &shell("exit 5")).unwrap();
                    send();
                    assert_eq!(end_of(&manager, &format!("u{round}")).code(), Some(5));
                }
                finish(&manager, &remote);
            }));
            ended.store(true, Ordering::SeqCst);
            send_to_process(libc::SIGTERM);
            result.unwrap();
        });
        assert_eq!(taken.into_inner(), sent.into_inner() + 1);
        assert_eq!(take_pending(&pending), Some(libc::SIGUSR1), "in the thread");
        assert_eq!(take_pending(&pending), Some(libc::SIGUSR1), "in the process");
        assert_eq!(take_pending(&pending), None);
    });
}

/// How often a handler has run for each signal.
static HANDLED: [AtomicUsize; 65] = [const { AtomicUsize::new(0) }; 65];
/// A thread on which a handler has run although it is none of the host program's, and blocks signals.
static ON_ANOTHERS_THREAD: AtomicI32 = AtomicI32::new(0);
/// The thread of the test. The main thread has the id of the process.
static HOSTS_THREAD: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(signal: c_int) {
    HANDLED[signal as usize].fetch_add(1, Ordering::SeqCst);
    // SAFETY: no arguments.
    let (thread, process) = unsafe { (libc::gettid(), libc::getpid()) };
    if thread != process && thread != HOSTS_THREAD.load(Ordering::SeqCst) {
        ON_ANOTHERS_THREAD.store(thread, Ordering::SeqCst);
    }
}

fn note_all(signals: impl IntoIterator<Item = c_int>) {
    // SAFETY: no arguments.
    HOSTS_THREAD.store(unsafe { libc::gettid() }, Ordering::SeqCst);
    for signal in signals {
        set_action(signal, note as *const () as libc::sighandler_t);
    }
}

#[test]
fn handlers_run_on_the_host_programs_threads_only() {
    isolated(|| {
        let remote = Remote::start();
        let manager = manager(&remote);
        manager.on_process_exit(|_, _, _| ()).unwrap();
        note_all(catchable());
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                // This thread belongs to the host program too, but it only sends.
                set_mask(libc::SIG_BLOCK, catchable());
                while !ended.load(Ordering::SeqCst) {
                    catchable().for_each(send_to_process);
                    // Faster than any process starts. Not faster than that, because each signal interrupts the test.
                    thread::sleep(Duration::from_micros(200));
                }
            });
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                assert_processes_live_as_ever(&manager, &remote);
                let uuids: Vec<_> = (0..10).map(|number| format!("u{number}")).collect();
                for uuid in &uuids {
                    manager.start_process(uuid, &shell("exit 5")).unwrap();
                }
                for uuid in &uuids {
                    assert_eq!(end_of(&manager, uuid).code(), Some(5));
                }
                finish(&manager, &remote);
            }));
            ended.store(true, Ordering::SeqCst);
            result.unwrap();
        });
        drop(manager);
        let without: Vec<_> =
            catchable().filter(|signal| HANDLED[*signal as usize].load(Ordering::SeqCst) == 0).collect();
        assert_eq!(without, [0; 0], "these signals did not come");
        assert_eq!(ON_ANOTHERS_THREAD.load(Ordering::SeqCst), 0, "a handler ran on this thread");
    });
}

#[test]
fn a_timer_that_interrupts_every_system_call_changes_nothing() {
    isolated(|| {
        let remote = Remote::start();
        let manager = manager(&remote);
        note_all([libc::SIGALRM]);
        let millisecond = libc::timeval { tv_sec: 0, tv_usec: 1000 };
        let set_timer = |interval| {
            let timer = libc::itimerval { it_interval: interval, it_value: interval };
            // SAFETY: the timer is of this frame, and the old one is not asked for.
            assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, ptr::null_mut()) }, 0);
        };
        set_timer(millisecond);
        for _ in 0..3 {
            assert_processes_live_as_ever(&manager, &remote);
        }
        finish(&manager, &remote);
        drop(manager);
        set_timer(libc::timeval { tv_sec: 0, tv_usec: 0 });
        assert!(HANDLED[libc::SIGALRM as usize].load(Ordering::SeqCst) > 10);
        assert_eq!(ON_ANOTHERS_THREAD.load(Ordering::SeqCst), 0, "the handler ran on this thread");
    });
}

#[test]
fn a_program_that_ignores_all_signals_starts_processes_that_do_not() {
    isolated(|| {
        let remote = Remote::start();
        let manager = manager(&remote);
        catchable().for_each(|signal| set_action(signal, libc::SIG_IGN));
        assert_processes_live_as_ever(&manager, &remote);
        // The end of the remote waits for its guard.
        set_action(libc::SIGCHLD, libc::SIG_DFL);
        finish(&manager, &remote);
    });
}

#[test]
fn a_program_that_blocks_all_signals_starts_processes_that_do_not() {
    let block_all = || set_mask(libc::SIG_BLOCK, catchable());
    isolated_with_state(block_all, || {
        let remote = Remote::start();
        let manager = manager(&remote);
        // All of them are pending, too.
        catchable().for_each(send_to_process);
        catchable().for_each(send_to_thread);
        assert_processes_live_as_ever(&manager, &remote);
        finish(&manager, &remote);
    });
}

/// A script's background jobs ignore INT and QUIT, and programs that nohup starts ignore HUP.
#[test]
fn a_program_that_a_script_has_started_by_nohup_starts_processes_as_ever() {
    let script = "nohup \"$@\" & wait \"$!\"";
    isolated_by_script(script, || {
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
            // SAFETY: sigaction is plain data, and nothing is set.
            let action = unsafe {
                let mut action: libc::sigaction = mem::zeroed();
                assert_eq!(libc::sigaction(signal, ptr::null(), &mut action), 0);
                action
            };
            assert_eq!(action.sa_sigaction, libc::SIG_IGN, "{signal}");
        }
        let remote = Remote::start();
        let manager = manager(&remote);
        assert_processes_live_as_ever(&manager, &remote);
        finish(&manager, &remote);
    });
}
