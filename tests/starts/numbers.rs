//! Each start has a number, which distinguishes the processes that had the same uuid one after the other.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use crate::support::{LONG, Remote, run_to_end, start, start_ready, wait_until};
use sshpm::{BootRequest, Error, Event, EventKind, FoundState, KillTimeouts, LinkLossPolicy, Manager};

/// The uuid of an ended process, its start number, and the number in its status, if it has one.
type End = (String, u64, Option<u64>);

/// The exits that a callback got.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<Vec<End>>>);

impl Calls {
    fn of(manager: &Manager) -> Calls {
        let calls = Calls::default();
        let into = calls.clone();
        manager
            .on_process_exit(move |uuid, number, end| {
                let of_status = end.ok().map(|status| status.start_number());
                into.0.lock().unwrap().push((uuid.to_owned(), number, of_status));
            })
            .unwrap();
        calls
    }

    fn wait(&self, count: usize) -> Vec<End> {
        wait_until(&format!("{count} callbacks"), LONG, || {
            Some(self.0.lock().unwrap().clone()).filter(|calls| calls.len() >= count)
        })
    }
}

fn ends(events: impl Iterator<Item = Event>) -> Vec<End> {
    let end = |Event { uuid, start_number, kind, .. }| match kind {
        EventKind::Exited { status } => Some((uuid, start_number, Some(status.start_number()))),
        EventKind::StartFailed { .. } => Some((uuid, start_number, None)),
        _ => None,
    };
    events.filter_map(end).collect()
}

#[test]
fn events_callbacks_and_statuses_carry_the_number_of_their_start() {
    let remote = Remote::start();
    let manager = remote.manager();
    let (events, calls) = (manager.subscribe().unwrap(), Calls::of(&manager));
    let (exits, runs) = (remote.request("alpha", "exit 5"), remote.request("alpha", "heartbeat 0.2"));
    let missing = BootRequest::new("alpha", ["/no/such/program"]);

    assert_eq!(run_to_end(&manager, "u", &exits).unwrap().start_number(), 1);
    assert_eq!(manager.start_number("u").unwrap(), 1);
    run_to_end(&manager, "u", &missing).unwrap_err();
    assert_eq!(manager.start_number("u").unwrap(), 2);
    start_ready(&manager, "u", &runs);
    let refused = manager.start_process("u", &runs);
    assert!(matches!(refused, Err(Error::UuidInUse { .. })), "{refused:?}");
    assert_eq!(manager.start_process("v", &runs).unwrap(), 4, "a refused start has no number");
    manager.wait_until_started("v", LONG).unwrap();
    start(&manager, "w", &runs);
    assert_eq!(manager.kill_process("u", LONG).unwrap().start_number(), 3);
    let results = manager.kill_all_processes(&KillTimeouts::from(LONG)).unwrap();
    let numbers: Vec<_> = results.values().map(|end| end.as_ref().unwrap().start_number()).collect();
    assert_eq!(numbers, [4, 5]);
    run_to_end(&manager, "u", &exits).unwrap();
    assert_eq!(manager.exit_status("u").unwrap().unwrap().start_number(), 6);
    assert_eq!(manager.pop_early_exit_status("u").unwrap().unwrap().start_number(), 6);
    assert!(matches!(manager.start_number("u"), Err(Error::UnknownUuid { .. })));

    // There is no order between processes.
    let by_number = |mut ends: Vec<End>| {
        ends.sort_by_key(|(_, number, _)| *number);
        ends
    };
    let told = by_number(calls.wait(6));
    let all: Vec<_> = events.try_iter().collect();
    let started = all.iter().filter(|event| matches!(event.kind, EventKind::Started { .. }));
    let started: HashSet<_> = started.map(|event| (event.uuid.as_str(), event.start_number)).collect();
    assert_eq!(started, HashSet::from([("u", 1), ("u", 3), ("v", 4), ("w", 5), ("u", 6)]));
    assert_eq!(by_number(ends(all.into_iter())), told, "events and callbacks");
    let end = |uuid: &str, number, of_status| (uuid.to_owned(), number, of_status);
    let expected = [end("u", 1, Some(1)), end("u", 2, None), end("u", 3, Some(3)), end("v", 4, Some(4))];
    assert_eq!(told[..4], expected);
    assert_eq!(told[4..], [end("w", 5, Some(5)), end("u", 6, Some(6))]);
    remote.assert_nothing_left();
}

/// Many threads start processes at the same time.
#[test]
fn numbers_rise_in_the_order_of_the_table() {
    let remote = Remote::start();
    let manager = remote.manager();
    let request = BootRequest::new("alpha", ["true"]);
    let numbers = Mutex::new(HashSet::new());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (manager, request, numbers) = (&manager, &request, &numbers);
            scope.spawn(move || {
                let mut last = 0;
                for round in 0..25 {
                    let number = manager.start_process(&format!("{thread}-{round}"), request).unwrap();
                    assert!(number > last, "{number} after {last}");
                    last = number;
                    assert!(numbers.lock().unwrap().insert(number), "{number} is there twice");
                }
            });
        }
    });
    let in_order: Vec<_> =
        manager.active_process_keys().iter().map(|uuid| manager.start_number(uuid).unwrap()).collect();
    assert_eq!(in_order, (1..=100).collect::<Vec<_>>());
    manager.kill_all_processes(&KillTimeouts::from(LONG)).unwrap();
    remote.assert_nothing_left();
}

#[test]
fn an_adoption_has_a_number_of_the_adopting_manager() {
    let remote = Remote::start();
    let first = remote.manager();
    let kept = |request: BootRequest| request.link_loss(LinkLossPolicy::Keep);
    run_to_end(&first, "other", &remote.request("alpha", "exit 0")).unwrap();
    start_ready(&first, "runs", &kept(remote.request("alpha", "heartbeat 0.2")));
    assert_eq!(first.start_number("runs").unwrap(), 2);
    let go = remote.scratch().join("go");
    let waits =
        ["sh", "-c", "echo ready; until [ -e \"$1\" ]; do sleep 0.05; done; exit 7", "sh", go.to_str().unwrap()];
    start_ready(&first, "ends", &kept(BootRequest::new("alpha", waits)));
    drop(first);
    std::fs::write(remote.local(&go), "").unwrap();

    let second = remote.manager();
    let events = second.subscribe().unwrap();
    let status = wait_until("the end of one", LONG, || {
        let found = second.find_processes("alpha", None).unwrap();
        found
            .into_iter()
            .find_map(|found| if let FoundState::Ended(status) = found.state { Some(status) } else { None })
    });
    assert_eq!((status.code(), status.start_number()), (Some(7), 0), "no start of this manager");
    assert_eq!(second.adopt_process("ends", "alpha", None).unwrap(), 1);
    assert_eq!(second.adopt_process("runs", "alpha", None).unwrap(), 2);
    assert_eq!(second.kill_process("runs", LONG).unwrap().start_number(), 2);
    assert_eq!(second.wait_for_process_exit_code("ends", LONG).unwrap(), Some(7));
    let numbers: HashSet<_> = events.try_iter().map(|event| (event.uuid, event.start_number)).collect();
    assert_eq!(numbers, HashSet::from([("ends".to_owned(), 1), ("runs".to_owned(), 2)]));
    drop(second);
    remote.assert_nothing_left();
}
