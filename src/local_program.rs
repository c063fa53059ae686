//! A short program on this machine: run, listened to, and ended in its time, whatever it does.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::sys::{self, ChildHandle, Polled};

/// How often is looked for the program's end where the kernel has no descriptor that tells it.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// More is not kept, of each of its two streams: the nodes of the largest of Slurm's jobs are less.
const LONGEST: usize = 1 << 20;

/// What a program came to.
pub(crate) struct Said {
    /// Its exit code; `None`: it was killed, because its time was over, or the host program reaped it.
    pub code: Option<i32>,
    /// What it wrote to stderr and to stdout.
    pub texts: [Vec<u8>; 2],
}

/// Runs it; `None` where that cannot be done. Blocks for twice the time at the most, unless the kernel itself hangs on the program's
/// file. Nothing is left running.
pub(crate) fn run(program: &Path, arguments: &[&str], time: Duration) -> Option<Said> {
    run_command(Command::new(program).args(arguments), time)
}

/// The same for a program with more than arguments.
pub(crate) fn run_command(command: &mut Command, time: Duration) -> Option<Said> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Ctrl-C in the host's terminal is for the host; and what the program starts can be ended with it.
    command.process_group(0);
    let mut child = sys::with_empty_mask(|| command.spawn()).ok()?.ok()?;
    let Ok(handle) = ChildHandle::new(child.id()) else {
        // No descriptor is left. It was started a moment ago: its pid is nobody else's.
        let _ = child.kill();
        let _ = child.wait();
        return None;
    };
    let texts = listen(&mut child, &handle, sys::deadline(time));
    // One that closed its streams because it ends has its code by now.
    handle.kill_group();
    let code = reap(&mut child, &handle, time);
    Some(Said { code, texts })
}

/// What the program says on stderr and on stdout, until it has ended, has closed both, or the deadline has come.
fn listen(child: &mut Child, handle: &ChildHandle, deadline: Option<Instant>) -> [Vec<u8>; 2] {
    let (mut stderr, mut stdout) = (child.stderr.take(), child.stdout.take());
    let mut texts = [Vec::new(), Vec::new()];
    // Where one of them would block, nothing is read: there is nothing better to do when the kernel refuses this.
    let nonblocking = [stderr.as_ref().map(AsFd::as_fd), stdout.as_ref().map(AsFd::as_fd)];
    if nonblocking.into_iter().flatten().any(|fd| sys::set_nonblocking(fd).is_err()) {
        return texts;
    }
    while stderr.is_some() || stdout.is_some() {
        let mut polled = [
            Polled::read(stderr.as_ref().map(AsFd::as_fd)),
            Polled::read(stdout.as_ref().map(AsFd::as_fd)),
            Polled::read(handle.as_fd()),
        ];
        if sys::poll(&mut polled, deadline).is_err() {
            break;
        }
        let [said, also_said, ended] = polled.map(|polled| polled.ready);
        // The end was looked for before these reads, so that nothing is missed. A child of the program may hold the streams
        // for ever.
        read_available(&mut stderr, &mut texts[0]);
        read_available(&mut stdout, &mut texts[1]);
        if ended || !(said || also_said) {
            break;
        }
    }
    texts
}

/// Reads what is there. The stream becomes `None` when no more is to come, or no more is wanted.
fn read_available(stream: &mut Option<impl Read>, text: &mut Vec<u8>) {
    let Some(open) = stream else { return };
    let wanted = LONGEST - text.len();
    // What came before an error is kept. The error is WouldBlock, unless the stream is broken: then poll says so again.
    let more = match open.by_ref().take(wanted as u64).read_to_end(text) {
        Ok(_) => false,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    };
    if !more {
        *stream = None;
    }
}

/// Takes the end of a child that was killed. Bounded, because one that hangs in the kernel, on a dead file server for
/// one, does not end of KILL before the kernel lets it go.
fn reap(child: &mut Child, handle: &ChildHandle, time: Duration) -> Option<i32> {
    let until = Instant::now() + time;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.code(),
            Ok(None) if Instant::now() < until => {}
            // An error is ECHILD: the host ignores SIGCHLD or has reaped it.
            Ok(None) | Err(_) => return None,
        }
        let next = if handle.as_fd().is_some() { until } else { until.min(Instant::now() + LOOK_EVERY) };
        if sys::poll(&mut [Polled::read(handle.as_fd())], Some(next)).is_err() {
            return None;
        }
    }
}
