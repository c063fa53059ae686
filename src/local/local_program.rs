//! Runs a short program on this machine, captures its output, and ends it in time, whatever it does.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::local::sys::{self, Polled};
use crate::local::{self, ChildHandle, Streams};

/// How many bytes are captured of each of the two streams. The list of nodes of the largest Slurm job is shorter.
const LONGEST: usize = 1 << 20;

/// What a program wrote, and how it ended.
pub(crate) struct Captured {
    /// Its exit code; `None` if it was killed, because its time was over, or if the host program reaped it.
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// Runs a program with these arguments, as [`run_command`] does.
pub(crate) fn run(program: &Path, arguments: &[&str], time: Duration) -> Option<Captured> {
    run_command(Command::new(program).args(arguments), time)
}

/// Runs a command without input. Returns `None` if it cannot be executed. Blocks for at most twice `time`, unless the
/// kernel itself hangs on the program's file. Leaves nothing running.
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
    // This comes before the child is reaped: until then, no other process group can have its number.
    child.handle().kill_group();
    // The wait is bounded, because KILL does not end a child that hangs in the kernel, for example on a dead file
    // server.
    let status = child.wait_until(Instant::now() + time);
    Some(Captured { code: status.and_then(|status| status.code()), stdout, stderr })
}

/// How long a program may live after it has closed its streams. Many close them a moment before they end.
const BEHIND_STREAMS: Duration = Duration::from_millis(250);

/// Returns what the program writes to stdout and to stderr, until it has ended, has closed both for `BEHIND_STREAMS`,
/// or the deadline has come.
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
        // The end was checked before these reads, so nothing is missed. A child of the program may hold the streams for
        // ever.
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

/// Reads what is available. The stream becomes `None` when nothing more will come, or nothing more is captured.
fn read_available(stream: &mut Option<impl Read>, text: &mut Vec<u8>) {
    let Some(open) = stream else { return };
    let wanted = LONGEST - text.len();
    // Bytes that came before an error are kept. The error is WouldBlock, unless the stream is broken.
    let more = match open.by_ref().take(wanted as u64).read_to_end(text) {
        Ok(_) => false,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    };
    if !more {
        *stream = None;
    }
}
