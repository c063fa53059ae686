//! The guard of one `Remote`: the parent of its sshd, and what ends it all when the test process is gone.
//!
//! Its stdin is a pipe whose write end only the test process holds (close-on-exec), so its end means that the test
//! process has dropped the `Remote` or has died, be it by SIGKILL.

use std::ffi::OsString;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io, ptr};

use crate::clean::begin_clean;
use crate::procs;

/// `guard DIRECTORY MARK COMMAND…`: runs the command in the directory until stdin ends, then kills all that came of it
/// and removes the directory.
pub fn run(mut arguments: impl Iterator<Item = OsString>) -> i32 {
    let (Some(directory), Some(mark), Some(program)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return 2;
    };
    // Daemonised processes become the guard's children, not those of a process 1 that may never reap (as in many a
    // container), where they would stay as zombies.
    // SAFETY: prctl with integers only.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    let mut command = Command::new(&program);
    let child = begin_clean(command.args(arguments).current_dir(&directory).stdin(Stdio::null())).spawn();
    let main = match child {
        Ok(child) => child.id() as i32,
        Err(error) => {
            say(&format!("cannot start {}: {error}", program.to_string_lossy()));
            -1
        }
    };
    // Only now, so that the mask is not handed on.
    let children = block_sigchld();
    loop {
        reap(main);
        let mut ready = [poll_in(0), poll_in(children)];
        // SAFETY: two valid entries.
        unsafe { libc::poll(ready.as_mut_ptr(), 2, -1) };
        if ready[1].revents != 0 {
            let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
            // SAFETY: the buffer has the size of one record; what it says does not matter, reap() asks the kernel.
            unsafe { libc::read(children, info.as_mut_ptr().cast(), info.len()) };
        }
        // Nothing is ever written: readable means the end.
        if ready[0].revents != 0 {
            break;
        }
    }
    kill_all(&mark.to_string_lossy(), main);
    if let Err(error) = fs::remove_dir_all(&directory) {
        say(&format!("cannot remove {}: {error}", directory.to_string_lossy()));
        return 1;
    }
    0
}

/// Until the kernel says that there is no child left, which for a subreaper means no descendant.
fn kill_all(mark: &str, main: i32) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        let members = procs::of_remote(std::process::id() as i32, mark);
        for process in &members {
            let _ = process.signal(libc::SIGKILL);
        }
        if !reap(main) && members.is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    say("something of the remote survived SIGKILL");
}

/// Reaps what has ended; false when there is no child at all.
fn reap(main: i32) -> bool {
    loop {
        let mut status = 0;
        // SAFETY: the status is ours.
        let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
        if pid == main && pid > 0 {
            // The harness looks for this line when it waits for sshd to listen.
            say(&format!("sshd ended, wait status {status:#x}"));
        }
        if pid <= 0 {
            return pid == 0;
        }
    }
}

fn block_sigchld() -> i32 {
    // SAFETY: the set is initialised by sigemptyset before its use; all pointers are to locals.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGCHLD);
        libc::sigprocmask(libc::SIG_BLOCK, &set, ptr::null_mut());
        libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    }
}

fn poll_in(fd: i32) -> libc::pollfd {
    libc::pollfd { fd, events: libc::POLLIN, revents: 0 }
}

fn say(text: &str) {
    let _ = writeln!(io::stderr(), "guard: {text}");
}
