//! The guard of one `Remote`: it is the parent of sshd, and it ends everything when the test process is gone.
//!
//! Only the test process holds the write end of the guard's stdin, a pipe (close-on-exec). So the end of stdin means
//! that the test process has dropped the `Remote`, or has died in any way, also by SIGKILL.

use std::ffi::OsString;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io, ptr};

use crate::clean::begin_clean;
use crate::procs;

/// `guard DIRECTORY MARK COMMAND…`: runs the command in the directory until stdin ends. Then it kills all processes
/// that descend from the command, and removes the directory.
pub fn run(mut arguments: impl Iterator<Item = OsString>) -> i32 {
    let (Some(directory), Some(mark), Some(program)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return 2;
    };
    // Daemonised processes become children of the guard. Process 1 never reaps in many a container, and they would stay
    // zombies.
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
    // Not earlier, so that the child does not inherit the mask.
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
        // Nobody ever writes to this stdin: readable means that it has ended.
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

/// Kills until the kernel reports that no child is left; for a subreaper that means no descendant.
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

/// Reaps the children that have ended. Returns false when there is no child at all.
fn reap(main: i32) -> bool {
    loop {
        let mut status = 0;
        // SAFETY: the status is ours.
        let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
        if pid == main && pid > 0 {
            // The harness looks for this line while it waits for sshd to listen.
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
