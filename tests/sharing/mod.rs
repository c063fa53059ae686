//! What the tests of shared connections share: which process is on which connection, what sshd's log says, and starts
//! of many processes at once.
// Each test program uses a part of this.
#![allow(dead_code, unused_imports, clippy::unwrap_used)]

pub mod logged;

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sshpm::{BootRequest, ExitSource, Manager};

use crate::life::{self, *};
pub use crate::support::wait_until_ready;
use crate::support::{LONG, ProcessInfo, Remote, processes, ssh_children, wait_until};

/// Like `OWN_CODES`, for many processes at once: it needs no CPU while it waits.
pub const CODES: &str =
    "trap '' PIPE; trap 'exit 42' HUP; trap 'kill $!; exit 17' QUIT; sleep 10000 & echo ready; wait";

/// Returns a request that runs `CODES` on a host.
pub fn codes_on(host: &str) -> BootRequest {
    BootRequest::new(host, ["/bin/sh", "-c", CODES])
}

/// Returns names for processes: `prefix-0`, `prefix-1` and so on.
pub fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number}")).collect()
}

/// Starts all at once and waits until they run.
#[track_caller]
pub fn start_all(manager: &Manager, uuids: &[String], request: &BootRequest) {
    for uuid in uuids {
        manager.start_process(uuid, request).unwrap();
    }
    for uuid in uuids {
        manager.wait_until_started(uuid, LONG).unwrap_or_else(|error| panic!("{uuid}: {error}"));
    }
}

/// Starts `CODES` many times at once, and waits until each has written "ready", when its traps are set.
#[track_caller]
pub fn start_all_ready(manager: &Manager, uuids: &[String], host: &str) {
    start_all(manager, uuids, &codes_on(host));
    for uuid in uuids {
        wait_until_ready(manager, uuid);
    }
}

/// Ends a process, and asserts that it ended by that: nothing else had happened to it.
#[track_caller]
pub fn assert_untouched(manager: &Manager, uuid: &str) {
    let status = manager.kill_process(uuid, LONG).unwrap();
    assert_eq!((status.code(), status.link_lost()), (Some(17), false), "{uuid}: {status}");
}

/// Asserts how a process of `CODES` ended whose link was lost and whose host reported the exit.
#[track_caller]
pub fn assert_lost(manager: &Manager, uuid: &str) {
    manager.wait_for_process_exit_code(uuid, LONG).unwrap();
    let status = manager.exit_status(uuid).unwrap().unwrap();
    assert_eq!(status.source(), ExitSource::ClientMonitoring, "{uuid}: {status}");
    assert_eq!((status.application_code(), status.code()), (Some(42), None), "{uuid}: {status}");
    assert!(status.link_lost() && !status.is_unknown(), "{uuid}: {status}");
}

/// Returns the masters that this process has to a remote.
pub fn masters(remote: &Remote) -> Vec<ProcessInfo> {
    ours(remote).into_iter().filter(is_master).collect()
}

/// Returns the clients that this process has to a remote, without masters.
pub fn clients(remote: &Remote) -> Vec<ProcessInfo> {
    ours(remote).into_iter().filter(|client| !is_master(client)).collect()
}

fn ours(remote: &Remote) -> Vec<ProcessInfo> {
    let config = remote.ssh_config().into_os_string();
    ssh_children().into_iter().filter(|client| client.cmdline.contains(&config)).collect()
}

fn is_master(client: &ProcessInfo) -> bool {
    client.cmdline.last().is_some_and(|command| command.as_bytes().ends_with(b" sshpm-connection"))
}

/// Returns the socket that an ssh client uses.
#[track_caller]
pub fn socket_of(client: &ProcessInfo) -> PathBuf {
    let path = client.cmdline.iter().find_map(|word| word.as_bytes().strip_prefix(b"ControlPath="));
    PathBuf::from(std::ffi::OsStr::from_bytes(path.expect("a ControlPath")))
}

/// Returns the master of the connection that carries a process: the one whose TCP connection its wrapper was started
/// by.
#[track_caller]
pub fn master_of(remote: &Remote, manager: &Manager, uuid: &str) -> ProcessInfo {
    let wrapper = manager.runtime_pids(uuid).remote_monitoring.expect("a wrapper");
    let environment = fs::read(format!("/proc/{wrapper}/environ")).unwrap();
    let connection = environment.split(|&byte| byte == 0).find_map(|line| line.strip_prefix(b"SSH_CONNECTION="));
    let connection = String::from_utf8(connection.expect("SSH_CONNECTION").to_vec()).unwrap();
    let words: Vec<_> = connection.split(' ').collect();
    // As /proc/net/tcp has them.
    let address = |ip: &str, port: &str| {
        let ip = u32::from_ne_bytes(ip.parse::<Ipv4Addr>().unwrap().octets());
        format!("{ip:08X}:{:04X}", port.parse::<u16>().unwrap())
    };
    let ends = [address(words[0], words[1]), address(words[2], words[3])];
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let mut lines = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let line = lines.find(|line| line[1..3] == ends).expect("its connection");
    let tcp = PathBuf::from(format!("socket:[{}]", line[9]));
    let has_it = |master: &ProcessInfo| {
        let fds = fs::read_dir(format!("/proc/{}/fd", master.pid)).into_iter().flatten().flatten();
        fds.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|target| target == tcp)
    };
    masters(remote).into_iter().find(has_it).expect("a master with its connection")
}

/// Returns the sshd processes above an application, without the listener.
pub fn sshds_of(remote: &Remote, application: i32) -> Vec<ProcessInfo> {
    let (all, sshds) = (processes(), remote.session_sshds());
    let mut above = Vec::new();
    let mut at = application;
    while let Some(process) = all.iter().find(|process| process.pid == at) {
        above.extend(sshds.iter().find(|sshd| sshd.pid == at).cloned());
        at = process.ppid;
    }
    above
}

/// Returns how many sessions sshd has refused because a connection had too many.
pub fn refusals(remote: &Remote) -> usize {
    remote.log().matches("no more sessions").count()
}

/// Returns how many connections sshd has dropped because too many had not logged in.
pub fn drops(remote: &Remote) -> usize {
    remote.log().matches("drop connection").count()
}

/// Waits until no connection is open, on either side.
#[track_caller]
pub fn wait_until_closed(remote: &Remote) {
    wait_until("the connections close", LONG, || {
        (masters(remote).is_empty() && remote.session_sshds().is_empty()).then_some(())
    });
}

/// Makes managers that are created from now on keep their sockets in a new directory, and returns that directory. For
/// isolated tests.
pub fn private_sockets() -> tempfile::TempDir {
    assert!(crate::support::isolated_name().is_some(), "only where nothing else runs");
    let base = crate::support::temporary_directory();
    put_sockets_in(base.path());
    base
}

/// Makes managers that are created from now on keep their sockets in this directory, and in no other.
pub fn put_sockets_in(base: &Path) {
    for name in ["XDG_RUNTIME_DIR", "TMPDIR"] {
        // SAFETY: the test is alone in its process, and has no other thread yet that reads variables.
        unsafe { std::env::set_var(name, base) };
    }
}

/// Returns the sockets below such a directory.
pub fn sockets_in(base: &Path) -> Vec<PathBuf> {
    let directories = std::fs::read_dir(base).unwrap().flatten().map(|entry| entry.path());
    let files = directories.flat_map(|directory| std::fs::read_dir(directory).into_iter().flatten().flatten());
    files.map(|entry| entry.path()).collect()
}
