//! The output of an application, as it comes and as it is kept: process_stdout, process_stderr and subscribe_output.

use std::sync::mpsc::RecvTimeoutError;

use crate::life::*;
use crate::support::{Remote, run_to_end, wait_until};
use sshpm::{Error, OutputStream, OutputSubscription};

/// Returns everything that still comes, by stream, until the output has ended.
#[track_caller]
fn rest(subscription: &OutputSubscription) -> [Vec<u8>; 2] {
    let mut streams = [Vec::new(), Vec::new()];
    loop {
        match subscription.recv_timeout(TIME) {
            Ok(piece) => {
                assert!(!piece.bytes.is_empty());
                let at = usize::from(piece.stream == OutputStream::Stderr);
                streams[at].extend(piece.bytes);
            }
            Err(RecvTimeoutError::Disconnected) => return streams,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn get_process_stdout_and_get_process_stderr() {
    let remote = Remote::start();
    let manager = manager(&remote);
    assert!(matches!(manager.process_stdout("nobody"), Err(Error::UnknownUuid { .. })));
    assert!(matches!(manager.process_stderr("nobody"), Err(Error::UnknownUuid { .. })));
    let all: Vec<u8> = (0..=255).collect();
    let hex: String = all.iter().map(|byte| format!("{byte:02x}")).collect();
    run_to_end(&manager, "u", &app(&remote, &format!("stdout {hex} stderr words"))).unwrap();
    let (out, err) = (manager.process_stdout("u").unwrap(), manager.process_stderr("u").unwrap());
    assert_eq!((out.bytes, out.dropped), (all, 0));
    assert_eq!((err.bytes, err.dropped), (b"words".to_vec(), 0));
    // With a log file, there is no output here.
    let file = remote.scratch().join("log");
    run_to_end(&manager, "logs", &app(&remote, "print words").log_file(&file)).unwrap();
    assert_eq!(manager.process_stdout("logs").unwrap().bytes, b"");
    assert_eq!(remote.read(&file), b"words\n");
    finish(&manager, &remote);
}

#[test]
fn subscribe_output() {
    let remote = Remote::start();
    let manager = manager(&remote);
    assert!(matches!(manager.subscribe_output("nobody"), Err(Error::UnknownUuid { .. })));
    // Each byte of both streams, binary ones too, reaches each of two readers that were there from the start. The bytes
    // are so few that the reader which waits may be that far behind: srun passes on pieces of a few hundred bytes.
    let all: Vec<u8> = (0..=255).rev().collect();
    let hex: String = all.iter().map(|byte| format!("{byte:02x}")).collect();
    manager.start_process("binary", &app(&remote, &format!("stdout {hex} stderr words spam 50000"))).unwrap();
    let readers = [manager.subscribe_output("binary").unwrap(), manager.subscribe_output("binary").unwrap()];
    for reader in &readers {
        let [out, err] = rest(reader);
        assert!(out.starts_with(&all) && out.ends_with(b"xxx") && out.len() == 256 + 50_000, "{}", out.len());
        assert_eq!((err.as_slice(), reader.dropped()), (b"words".as_slice(), 0));
    }
    // The output has ended.
    assert_eq!(rest(&manager.subscribe_output("binary").unwrap()), [b"".to_vec(), b"".to_vec()]);

    // Output comes while the application runs: the first piece is here before the application is told to go on.
    let go = remote.scratch().join("go");
    let script = format!("echo one; until [ -e '{0}' ]; do sleep 0.05; done; echo two >&2; exit 3", go.display());
    manager.start_process("live", &shell(&script)).unwrap();
    let reader = manager.subscribe_output("live").unwrap();
    let piece = reader.recv_timeout(TIME).unwrap();
    assert_eq!((piece.stream, piece.bytes.as_slice()), (OutputStream::Stdout, b"one\n".as_slice()));
    // Output and reports come over two streams, which have no order.
    manager.wait_until_started("live", TIME).unwrap();
    assert!(manager.is_process_alive("live"));
    // A reader that comes late gets what comes from then on. A reader that goes disturbs nothing.
    let late = manager.subscribe_output("live").unwrap();
    drop(manager.subscribe_output("live").unwrap());
    touch(&remote, &go);
    assert_eq!(rest(&late), [vec![], b"two\n".to_vec()]);
    assert_eq!(rest(&reader), [vec![], b"two\n".to_vec()]);
    assert_eq!(end_of(&manager, "live").code(), Some(3));
    finish(&manager, &remote);
}

#[test]
fn a_reader_that_is_behind_delays_nobody_and_is_told_what_it_missed() {
    let remote = Remote::start();
    let manager = manager(&remote);
    const WRITTEN: u64 = 16 << 20;
    manager.start_process("u", &app(&remote, &format!("spam {WRITTEN}"))).unwrap();
    let behind = manager.subscribe_output("u").unwrap();
    // Nobody reads, and the application ends all the same.
    assert_eq!(end_of(&manager, "u").code(), Some(0));
    let kept = manager.process_stdout("u").unwrap();
    assert_eq!((kept.bytes.len() as u64 + kept.dropped, kept.bytes.len()), (WRITTEN, 1 << 20));
    wait_until("the end of the output", TIME, || manager.runtime_pids("u").client_monitoring.is_none().then_some(()));
    let taken = rest(&behind)[0].len() as u64;
    assert!(taken <= 256 * 8192 + 8192, "{taken}");
    assert!(behind.dropped() >= WRITTEN - 256 * 8192 - 8192);
    assert_eq!(taken + behind.dropped(), WRITTEN);
    finish(&manager, &remote);
}
