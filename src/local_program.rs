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

/// What a program has written, and how it ended.
pub(crate) struct Captured {
    /// Its exit code; `None`: it was killed, because its time was over, or the host program reaped it.
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// Runs a program with these arguments; see [`run_command`].
pub(crate) fn run(program: &Path, arguments: &[&str], time: Duration) -> Option<Captured> {
    run_command(Command::new(program).args(arguments), time)
}

/// Runs a command without input; `None` where it cannot be run. Blocks for twice the time at the most, unless the kernel
/// itself hangs on the program's file. Nothing is left running.
pub(crate) fn run_command(command: &Command, time: Duration) -> Option<Captured> {
    let started = || -> io::Result<_> {
        let (stdout, childs_stdout) = sys::output_pipe()?;
        let (stderr, childs_stderr) = sys::output_pipe()?;
        let stdin = File::open("/dev/null")?.into();
        let child = local::spawn(command, Streams { stdin, stdout: childs_stdout, stderr: childs_stderr })?;
        Ok((child, stdout, stderr))
    };
    let (mut child, stdout, stderr) = started().ok()?;
    let (stdout, stderr) = listen(stdout, stderr, child.handle(), sys::deadline(time));
    // Before the child is reaped: until then no other group can have its number.
    child.handle().kill_group();
    // Bounded, because a child that hangs in the kernel, on a dead file server for one, does not end of KILL before the
    // kernel lets it go.
    let status = child.wait_until(Instant::now() + time);
    Some(Captured { code: status.and_then(|status| status.code()), stdout, stderr })
}

/// How long a program may live that has closed its streams: many close them when they end, and a moment before.
const BEHIND_STREAMS: Duration = Duration::from_millis(250);

/// Returns what the program writes to stdout and to stderr, until it has ended, has closed both for `BEHIND_STREAMS`, or
/// the deadline has come.
fn listen(stdout: File, stderr: File, handle: &ChildHandle, mut deadline: Option<Instant>) -> (Vec<u8>, Vec<u8>) {
    let (mut stdout, mut stderr) = (Some(stdout), Some(stderr));
    let (mut written_to_stdout, mut written_to_stderr) = (Vec::new(), Vec::new());
    loop {
        let mut polled = [
            Polled::read(stdout.as_ref().map(AsFd::as_fd)),
            Polled::read(stderr.as_ref().map(AsFd::as_fd)),
            Polled::read(handle.as_fd()),
        ];
        if sys::poll(&mut polled, deadline).is_err() {
            break;
        }
        let [has_stdout, has_stderr, has_ended] = polled.map(|polled| polled.ready);
        // The end was looked for before these reads, so that nothing is missed. A child of the program may hold the streams
        // for ever.
        read_available(&mut stdout, &mut written_to_stdout);
        read_available(&mut stderr, &mut written_to_stderr);
        if has_ended || !(has_stdout || has_stderr) {
            break;
        }
        if stdout.is_none() && stderr.is_none() {
            deadline = [deadline, sys::deadline(BEHIND_STREAMS)].into_iter().flatten().min();
        }
    }
    (written_to_stdout, written_to_stderr)
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
