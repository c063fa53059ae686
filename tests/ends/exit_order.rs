//! The order in which one exit is reported: the event, then the exit callbacks, then the return of the calls that ended
//! the process.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use crate::support::{DEADLINE, LONG, Remote, start_ready, wait_until};
use sshpm::{EventKind, KillTimeouts, Manager, Role, Signal};

const ROUNDS: u64 = 300;

/// A run control that restarts a process again and again must never take the end of one start for that of the next.
#[test]
fn no_callback_for_an_end_runs_after_its_kill_has_returned() {
    let remote = Remote::start();
    let manager = remote.manager();
    let request = remote.request("alpha", "wait");
    let called = Arc::new(Mutex::new(HashSet::new()));
    let calls = Arc::clone(&called);
    manager
        .on_process_exit(move |uuid, number, end| {
            assert_eq!((uuid, end.unwrap().start_number()), ("u", number));
            assert!(calls.lock().unwrap().insert(number), "{number} ended twice");
        })
        .unwrap();
    let mut number = manager.start_process("u", &request).unwrap();
    for round in 1..=ROUNDS {
        assert_eq!(number, round);
        if round % 2 == 0 {
            manager.wait_until_started("u", LONG).unwrap();
        }
        assert_eq!(manager.kill_process("u", LONG).unwrap().start_number(), number);
        assert_eq!(called.lock().unwrap().len() as u64, round, "the callback for {number} has not returned");
        number = manager.start_process("u", &request).unwrap();
        assert!(!called.lock().unwrap().contains(&number), "{number} has only begun");
    }
    manager.kill_process("u", LONG).unwrap();
    drop(manager);
    assert_eq!(called.lock().unwrap().len() as u64, ROUNDS + 1);
    remote.assert_nothing_left();
}

/// A call that ends process "u".
type Kill = (&'static str, fn(&Manager));

const KILLS: [Kill; 6] = [
    ("kill_process", |manager| drop(manager.kill_process("u", LONG).unwrap())),
    ("kill_processes", |manager| drop(manager.kill_processes(&["u"], &LONG.into()).unwrap())),
    ("kill_processes_by_role", |manager| {
        drop(manager.kill_processes_by_role(&Role::Unknown, &["u"], &LONG.into()).unwrap());
    }),
    ("kill_all_processes", |manager| drop(manager.kill_all_processes(&LONG.into()).unwrap())),
    ("kill_process_without_metadata", |manager| {
        drop(manager.kill_process_without_metadata("u", Signal::KILL, true, LONG).unwrap());
    }),
    ("shutdown", |manager| drop(manager.shutdown(LONG).unwrap())),
];

#[test]
fn the_event_comes_first_then_the_callbacks_then_the_return_of_the_kill() {
    let remote = Remote::start();
    let manager = remote.manager();
    let events = manager.subscribe().unwrap();
    let steps = Arc::new(Mutex::new(Vec::new()));
    let (leave, left) = mpsc::channel();
    let left = Mutex::new(left);
    let in_callback = Arc::clone(&steps);
    manager
        .on_process_exit(move |_, _, _| {
            let end = events.try_iter().find(|event| matches!(event.kind, EventKind::Exited { .. }));
            in_callback.lock().unwrap().push(if end.is_some() { "event, first callback" } else { "no event" });
            left.lock().unwrap().recv_timeout(DEADLINE).unwrap();
        })
        .unwrap();
    let in_callback = Arc::clone(&steps);
    manager.on_process_exit(move |_, _, _| in_callback.lock().unwrap().push("second callback")).unwrap();
    for (name, kill) in KILLS {
        start_ready(&manager, "u", &remote.request("alpha", "heartbeat 0.2"));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                kill(&manager);
                steps.lock().unwrap().push("return");
            });
            wait_until(&format!("the callback ({name})"), DEADLINE, || {
                (!steps.lock().unwrap().is_empty()).then_some(())
            });
            // Calls that only wait or look do not wait for callbacks.
            manager.wait_for_process_exit_code("u", DEADLINE).unwrap();
            assert!(manager.exit_status("u").is_some(), "{name}");
            leave.send(()).unwrap();
        });
        let steps = std::mem::take(&mut *steps.lock().unwrap());
        assert_eq!(steps, ["event, first callback", "second callback", "return"], "{name}");
    }
    remote.assert_nothing_left();
}

/// Runs a call that must return by itself. A call that hangs fails the test.
#[track_caller]
fn returns<T: Send>(what: &str, call: impl FnOnce() -> T + Send) -> T {
    let (sender, returned) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || sender.send(call()).unwrap());
        returned.recv_timeout(LONG).unwrap_or_else(|_| {
            eprintln!("{what} does not return");
            std::process::abort()
        })
    })
}

#[test]
fn a_callback_that_hangs_delays_a_kill_no_longer_than_its_timeouts() {
    let remote = Remote::start();
    let manager = remote.manager();
    let (leave, left) = mpsc::channel::<()>();
    let left = Mutex::new(left);
    let is_inside = Arc::new(AtomicBool::new(false));
    let inside = Arc::clone(&is_inside);
    manager
        .on_process_exit(move |_, _, _| {
            inside.store(true, Ordering::SeqCst);
            // Until the sender is dropped.
            let _ = left.lock().unwrap().recv();
            inside.store(false, Ordering::SeqCst);
        })
        .unwrap();
    const SHORT: Duration = Duration::from_millis(50);
    let kills: [Kill; 3] = [
        ("kill_process", |manager| drop(manager.kill_process("u", SHORT).unwrap())),
        ("kill_process_without_metadata", |manager| {
            drop(manager.kill_process_without_metadata("u", Signal::KILL, true, SHORT).unwrap());
        }),
        ("shutdown", |manager| {
            let results = manager.shutdown(SHORT).unwrap();
            assert!(results["u"].is_ok(), "{results:?}");
        }),
    ];
    for (name, kill) in kills {
        start_ready(&manager, "u", &remote.request("alpha", "heartbeat 0.2"));
        // The timeouts are for the callbacks, and not for the end of the process.
        manager.crash_process("u", Signal::KILL).unwrap();
        manager.wait_for_process_exit_code("u", DEADLINE).unwrap();
        returns(name, || kill(&manager));
        wait_until("the first callback", DEADLINE, || is_inside.load(Ordering::SeqCst).then_some(()));
    }
    drop(leave);
    drop(manager);
    assert!(!is_inside.load(Ordering::SeqCst));
    remote.assert_nothing_left();
}

#[test]
fn a_kill_does_not_wait_where_no_callback_is_registered() {
    let remote = Remote::start();
    let manager = Arc::new(remote.manager());
    let (leave, left) = mpsc::channel::<()>();
    let left = Mutex::new(left);
    let (removed, is_removed) = mpsc::channel();
    let weak = Arc::downgrade(&manager);
    let (give_id, id) = mpsc::channel();
    let id = Mutex::new(id);
    let callback = manager
        .on_process_exit(move |_, _, _| {
            weak.upgrade().unwrap().remove_callback(id.lock().unwrap().recv().unwrap());
            removed.send(()).unwrap();
            let _ = left.lock().unwrap().recv();
        })
        .unwrap();
    give_id.send(callback).unwrap();
    start_ready(&manager, "first", &remote.request("alpha", "heartbeat 0.2"));
    start_ready(&manager, "second", &remote.request("alpha", "heartbeat 0.2"));
    manager.crash_process("first", Signal::KILL).unwrap();
    is_removed.recv_timeout(DEADLINE).unwrap();
    // The callback that has removed itself still runs on the thread for callbacks.
    returns("a kill", || manager.kill_process("second", Duration::MAX).unwrap());
    drop(leave);
    manager.kill_all_processes(&KillTimeouts::from(LONG)).unwrap();
    remote.assert_nothing_left();
}
