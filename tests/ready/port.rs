//! Processes that are ready when something listens on a TCP port of their host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use crate::keeping::Story;
use crate::life::*;
use crate::support::{Remote, random_hex, wait_until};
use sshpm::{Error, NotReadyReason, Ready, StartFailure};

/// The hosts of these tests are in the network namespace of the test, which so can listen in the place of a process.
/// Returns the address of a port that is free, and that no program gets which asks for any port: other tests run at the
/// same time.
pub fn free_port(ip: impl Into<IpAddr>) -> SocketAddr {
    let ip = ip.into();
    loop {
        let port = 20_000 + u16::from_str_radix(&random_hex()[..4], 16).unwrap() % 12_000;
        // Nobody has connected, so the port is free at once.
        if let Ok(listener) = TcpListener::bind((ip, port)) {
            return listener.local_addr().unwrap();
        }
    }
}

#[test]
fn a_process_is_ready_when_something_listens() {
    for address in [free_port(Ipv4Addr::LOCALHOST), free_port(Ipv4Addr::UNSPECIFIED), free_port(Ipv6Addr::LOCALHOST)] {
        let remote = Remote::start();
        let manager = manager(&remote);
        let mut story = Story::new(&manager);
        start(&manager, "u", &app(&remote, "heartbeat 0.1").ready(Ready::Port(address.port())));
        let waited = manager.wait_until_ready("u", Duration::from_millis(300));
        assert!(matches!(waited, Err(Error::TimedOut { .. })) && !manager.is_ready("u"), "{waited:?}");
        let listener = TcpListener::bind(address).unwrap();
        manager.wait_until_ready("u", TIME).unwrap();
        assert!(manager.is_ready("u"));
        story.wait("ready");
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "nobody has connected");
        // It was ready, whoever listens now.
        drop(listener);
        assert!(manager.is_ready("u"));
        manager.kill_process("u", TIME).unwrap();
        finish(&manager, &remote);
        assert_eq!(story.all(manager), ["started", "ready", "exited"]);
    }
}

#[test]
fn one_that_does_not_listen_in_time_is_not_ready() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let mut story = Story::new(&manager);
    let address = free_port(Ipv4Addr::LOCALHOST);
    let after = Duration::from_millis(600);
    let request = app(&remote, "heartbeat 0.1").ready(Ready::Port(address.port())).ready_timeout(after);
    start(&manager, "u", &request);
    // A connection to the port of somebody else, and one that comes from this port, are no listeners.
    let waited = manager.wait_until_ready("u", TIME);
    let reason = NotReadyReason::TimedOut { after };
    assert!(matches!(&waited, Err(Error::NotReady { reason: why, .. }) if *why == reason), "{waited:?}");
    story.wait("not ready");
    let _listener = TcpListener::bind(address).unwrap();
    assert!(manager.is_process_alive("u") && !manager.is_ready("u"));
    manager.kill_process("u", TIME).unwrap();
    finish(&manager, &remote);
    assert_eq!(story.all(manager), ["started", "not ready", "exited"]);
}

#[test]
fn an_exit_before_it_listens_is_an_exit() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    let port = Ready::Port(free_port(Ipv4Addr::LOCALHOST).port());
    manager.start_process("u", &app(&remote, "count-down 300 exit 7").ready(port)).unwrap();
    let waited = manager.wait_until_ready("u", TIME);
    assert!(matches!(waited, Err(Error::NotRunning { .. })), "{waited:?}");
    assert_eq!(end_of(&manager, "u").code(), Some(7));
    finish(&manager, &remote);
    assert_eq!(witness.of(manager, "u"), ["started", "exited"]);
}

#[test]
fn a_port_that_is_taken_fails_the_start() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let ran = remote.scratch().join("ran");
    let request = shell(&format!("echo >{}; exec sleep 600", ran.display())).ready(Ready::Port(port));
    assert_eq!(failure_of(&manager, "u", &request), StartFailure::PortTaken(port));
    let error = manager.exit_status("u").unwrap().unwrap_err().to_string();
    assert!(error.contains(&format!("TCP port {port} of the host")), "{error}");
    assert!(!remote.local(&ran).exists(), "its program did not run");
    // A connection over the port does not listen on it.
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let served = listener.accept().unwrap();
    drop(listener);
    start(&manager, "u", &request);
    wait_until("it runs", TIME, || remote.local(&ran).exists().then_some(()));
    assert!(!manager.is_ready("u"));
    drop((client, served));
    finish(&manager, &remote);
}
