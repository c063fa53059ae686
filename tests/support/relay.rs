//! Carries the streams of a command, as the clients of containers do. Killing the relay ends the command's input, and
//! while the relay is stopped, no bytes pass.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::clean::begin_clean;

/// How long processes that the command has left may hold its streams. When the relay ends, their input ends too.
const AFTER_END: Duration = Duration::from_millis(250);

/// `relay FILE COMMAND…`: runs the command with exactly the variables of this file, one in each line. Returns the
/// command's code.
pub fn run(mut arguments: impl Iterator<Item = OsString>) -> i32 {
    let (Some(file), Some(program)) = (arguments.next(), arguments.next()) else { return 2 };
    let Ok(variables) = fs::read(file) else { return 2 };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).env_clear();
    for line in variables.split(|&b| b == b'\n') {
        if let Some(at) = line.iter().position(|&b| b == b'=') {
            command.env(OsStr::from_bytes(&line[..at]), OsStr::from_bytes(&line[at + 1..]));
        }
    }
    let Ok(mut child) = begin_clean(&mut command).spawn() else { return 127 };
    let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return 2;
    };
    // It may have nothing to read for ever.
    thread::spawn(move || carry(own(0), stdin));
    let (done, ended) = mpsc::channel();
    let also_done = done.clone();
    thread::spawn(move || {
        carry(stdout, own(1));
        let _ = done.send(());
    });
    thread::spawn(move || {
        carry(stderr, own(2));
        let _ = also_done.send(());
    });
    let status = child.wait();
    for _ in 0..2 {
        let _ = ended.recv_timeout(AFTER_END);
    }
    status.map_or(2, |status| status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
}

/// Returns one of this process's own streams, without a buffer.
fn own(fd: i32) -> File {
    // SAFETY: nothing else uses it.
    unsafe { File::from_raw_fd(fd) }
}

/// Copies bytes as soon as they come.
fn carry(mut from: impl Read, mut to: impl Write) {
    let mut buffer = [0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
}
