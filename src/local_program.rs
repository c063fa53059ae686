//! A short program on this machine: run, listened to, and ended in its time, whatever it does.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::local::{self, ChildHandle, Streams};
use crate::sys::{self, Polled};

/// More is not kept, of each of its two streams: the nodes of the largest of Slurm's jobs are less.
const LONGEST: usize = 1 << 20;

/// What a program came to.
pub(crate) struct Said {
    /// Its exit code; `None`: it was killed, because its time was over, or the host program reaped it.
    pub code: Option<i32>,
    /// What it wrote to stderr and to stdout.
    pub texts: [Vec<u8>; 2],
}

/// Runs a program with these arguments; see [`run_command`].
pub(crate) fn run(program: &Path, arguments: &[&str], time: Duration) -> Option<Said> {
    run_command(Command::new(program).args(arguments), time)
}

/// Runs a command without input; `None` where it cannot be run. Blocks for twice the time at the most, unless the kernel
/// itself hangs on the program's file. Nothing is left running.
pub(crate) fn run_command(command: &Command, time: Duration) -> Option<Said> {
    let started = || -> io::Result<_> {
        let (stdout, childs_stdout) = sys::output_pipe()?;
        let (stderr, childs_stderr) = sys::output_pipe()?;
        let stdin = File::open("/dev/null")?.into();
        let child = local::spawn(command, Streams { stdin, stdout: childs_stdout, stderr: childs_stderr })?;
        Ok((child, stdout, stderr))
    };
    let (mut child, stdout, stderr) = started().ok()?;
    let texts = listen(stdout, stderr, child.handle(), sys::deadline(time));
    // Before the child is reaped: until then no other group can have its number.
    child.handle().kill_group();
    // Bounded, because a child that hangs in the kernel, on a dead file server for one, does not end of KILL before the
    // kernel lets it go.
    let status = child.wait_until(Instant::now() + time);
    Some(Said { code: status.and_then(|status| status.code()), texts })
}

/// How long a program may live that has closed its streams: many close them when they end, and a moment before.
const BEHIND_STREAMS: Duration = Duration::from_millis(250);

/// Returns what the program writes to stderr and to stdout, until it has ended, has closed both for `BEHIND_STREAMS`, or the
/// deadline has come.
fn listen(stdout: File, stderr: File, handle: &ChildHandle, mut deadline: Option<Instant>) -> [Vec<u8>; 2] {
    let (mut stdout, mut stderr) = (Some(stdout), Some(stderr));
    let mut texts = [Vec::new(), Vec::new()];
    loop {
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
        if stderr.is_none() && stdout.is_none() {
            deadline = [deadline, sys::deadline(BEHIND_STREAMS)].into_iter().flatten().min();
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
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    };
    if !more {
        *stream = None;
    }
}
