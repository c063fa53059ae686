//! test-app: the application that the tests start on the remote. It does what its arguments say, one after the other,
//! and then exits with 0:
//!
//! ```text
//! print TEXT         a line on stdout               stderr TEXT     TEXT as it is, on stderr
//! stdout HEX         these bytes on stdout          spam N          N bytes on stdout, in lines of 64
//! forge              lines like the wrapper's reports, on both streams
//! close-streams      closes descriptors 0, 1 and 2
//! endless TEXT       lines of TEXT on stderr, without end, through a pipe of 1 MiB if it is one
//! nonblock-fill      makes stderr non-blocking and fills it until it takes no more
//! report FILE        writes what it was started with: see `report`; FILE appears complete or not at all
//! ignore SIG,SIG     ignores these signals (TERM, SIGTERM or 15)
//! raise SIG          sends itself this signal
//! exit N             ends with this code
//! count-down MS      waits as long
//! wait               waits until it is killed
//! heartbeat SECONDS  prints "Process started", its pid, then "Heartbeat" again and again, until HUP, INT, QUIT or
//!                    TERM, unless told to ignore it: then exits with 0
//! record FILE MS     appends to FILE: "start PID START-TIME", "beat TIME" each MS milliseconds, "signal N SENDER" for
//! every                    signal that can be caught; HUP, INT, QUIT and TERM, unless ignored, end it with 100 + N,
//! and USR1                    with 7, behind "end CODE"
//! speak KEY          makes `record` write output as well: 64 bytes to stdout and 64 to stderr before each beat, and
//!                    128 KiB to each before the end that USR1 asks for. pattern.rs makes the bytes, of KEY and
//!                    KEY + 1. "wrote OUT ERR" in FILE tells after each piece how many bytes it has written so far
//! enact FILE KEY OUT ERR MS END
//!                    writes OUT bytes to stdout and ERR to stderr, spread over MS milliseconds (pattern.rs makes the
//!                    bytes), and ends as END says: "exit:N", "raise:SIG", or "wait" for a signal. Its log FILE is that
//!                    of `record`, with "wrote OUT ERR" after each piece instead of beats, and "raise N" before it
//!                    signals itself
//! fork N             starts N children in its process group that wait until they are killed
//! daemonize          starts a process in a session of its own that ends when killed or when nobody reads its stdout
//! --                 what follows is only there to be reported
//! ```
//!
//! Two more verbs, `guard` and `relay`, are for the harness: see guard.rs and relay.rs.
// There is no start-up code of Rust, which ignores SIGPIPE, catches SIGSEGV and opens closed descriptors: `report` must
// show what the parent gave.
#![no_main]

mod clean;
mod guard;
#[allow(dead_code)]
mod pattern;
mod procs;
mod relay;

use std::ffi::{OsStr, OsString, c_char, c_int};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::{fs, ptr};

/// The signals that end `heartbeat`.
const ENDING: [c_int; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// The program's entry.
#[unsafe(no_mangle)]
pub extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    let mut arguments = std::env::args_os().skip(1);
    let mut ignored = Vec::new();
    let mut voice = None;
    while let Some(verb) = arguments.next() {
        let mut argument = || arguments.next().unwrap_or_else(|| usage(&verb));
        match verb.as_bytes() {
            b"print" => out(&[argument().as_bytes(), b"\n"].concat()),
            b"stderr" => err(argument().as_bytes()),
            b"stdout" => out(&from_hex(&argument()).unwrap_or_else(|| usage(&verb))),
            b"spam" => spam(number(&argument())),
            b"forge" => forge(),
            b"close-streams" => (0..3).for_each(|fd| {
                // SAFETY: nothing uses these descriptors but std's streams, for which a closed one is no error.
                unsafe { libc::close(fd) };
            }),
            b"endless" => endless(argument().as_bytes()),
            b"nonblock-fill" => nonblock_fill(),
            b"report" => report(&argument()).expect("cannot write the report"),
            b"ignore" => {
                for name in argument().to_string_lossy().split(',') {
                    let signal = signal_number(name).unwrap_or_else(|| usage(&verb));
                    // SAFETY: SIG_IGN is no function of ours.
                    unsafe { libc::signal(signal, libc::SIG_IGN) };
                    ignored.push(signal);
                }
            }
            b"raise" => {
                let signal = signal_number(&argument().to_string_lossy()).unwrap_or_else(|| usage(&verb));
                // SAFETY: no handler of ours can run.
                unsafe { libc::raise(signal) };
            }
            b"exit" => exit(number(&argument()) as c_int),
            b"count-down" => std::thread::sleep(std::time::Duration::from_millis(number(&argument()))),
            b"wait" => wait(),
            b"heartbeat" => heartbeat(argument().to_str().and_then(|s| s.parse().ok()), &ignored),
            b"speak" => voice = Some(Voice { key: number(&argument()), written: [0; 2] }),
            b"record" => {
                record(&argument(), number(&argument()), &ignored, voice.take()).expect("cannot write the record");
            }
            b"enact" => {
                let file = argument();
                let [key, out, err, time] = [(); 4].map(|()| number(&argument()));
                enact(&file, key, [out, err], time, &argument()).expect("cannot write the record");
            }
            b"fork" => (0..number(&argument())).for_each(|_| {
                if fork() == 0 {
                    wait();
                }
            }),
            b"daemonize" => daemonize(),
            b"guard" => exit(guard::run(arguments)),
            b"relay" => exit(relay::run(arguments)),
            b"--" => break,
            _ => usage(&verb),
        }
    }
    0
}

fn usage(verb: &OsStr) -> ! {
    err(format!("test-app: what is {verb:?}, or its argument?\n").as_bytes());
    exit(64)
}

fn exit(code: c_int) -> ! {
    // Nothing is buffered, and no exit handler is wanted: children of `fork` come here too.
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

// The program ignores errors of a stream that is closed, full or without a reader.
fn out(bytes: &[u8]) {
    let _ = io::stdout().write_all(bytes);
    let _ = io::stdout().flush();
}

fn err(bytes: &[u8]) {
    let _ = io::stderr().write_all(bytes);
}

fn number(text: &OsStr) -> u64 {
    text.to_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| usage(text))
}

fn from_hex(text: &OsStr) -> Option<Vec<u8>> {
    let digits = text.to_str()?;
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()).collect()
}

fn signal_number(name: &str) -> Option<c_int> {
    Some(match name.strip_prefix("SIG").unwrap_or(name) {
        "HUP" => libc::SIGHUP,
        "INT" => libc::SIGINT,
        "QUIT" => libc::SIGQUIT,
        "ILL" => libc::SIGILL,
        "ABRT" => libc::SIGABRT,
        "FPE" => libc::SIGFPE,
        "KILL" => libc::SIGKILL,
        "SEGV" => libc::SIGSEGV,
        "PIPE" => libc::SIGPIPE,
        "ALRM" => libc::SIGALRM,
        "TERM" => libc::SIGTERM,
        "USR1" => libc::SIGUSR1,
        "USR2" => libc::SIGUSR2,
        "CHLD" => libc::SIGCHLD,
        "CONT" => libc::SIGCONT,
        "STOP" => libc::SIGSTOP,
        "TSTP" => libc::SIGTSTP,
        number => return number.parse().ok(),
    })
}

fn wait() -> ! {
    loop {
        // SAFETY: no arguments, no handler of ours.
        unsafe { libc::pause() };
    }
}

fn fork() -> c_int {
    // SAFETY: this program has one thread.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork: {}", io::Error::last_os_error());
    pid
}

fn heartbeat(seconds: Option<f64>, ignored: &[c_int]) {
    let interval = seconds.unwrap_or_else(|| usage(OsStr::new("heartbeat")));
    let timeout = libc::timespec { tv_sec: interval as i64, tv_nsec: (interval.fract() * 1e9) as i64 };
    // sigtimedwait is both the clock and the handler. A blocked signal stays pending even where the parent has made
    // this process ignore it, as for a program that installs a handler.
    // SAFETY: the set is initialised by sigemptyset before its use.
    let set = unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in ENDING.iter().filter(|signal| !ignored.contains(signal)) {
            libc::sigaddset(&mut set, *signal);
        }
        libc::sigprocmask(libc::SIG_BLOCK, &set, ptr::null_mut());
        set
    };
    out(format!("Process started\n{}\n", std::process::id()).as_bytes());
    loop {
        out(b"Heartbeat\n");
        // SAFETY: both pointers are to locals; no siginfo is asked for.
        if unsafe { libc::sigtimedwait(&set, ptr::null_mut(), &timeout) } > 0 {
            exit(0);
        }
    }
}

/// The log of what happens to an application, for tests that compare it with what a manager reports. Each line is one
/// write(2).
struct Record {
    log: fs::File,
    signals: libc::sigset_t,
    /// The output beside the log, if the application speaks.
    voice: Option<Voice>,
}

/// The output of `record`.
struct Voice {
    key: u64,
    /// How many bytes stdout and stderr have accepted.
    written: [u64; 2],
}

/// How many bytes `record` writes to each stream before a beat, and before the end that USR1 asks for.
const WORD: usize = 64;
const LAST_WORDS: usize = 1 << 17;

impl Record {
    /// Blocks all signals, which stay pending for `wait_for_signal`, and writes "start PID START-TIME".
    fn begin(file: &OsStr) -> io::Result<Record> {
        // SAFETY: the set is initialised by sigfillset before its use.
        let signals = unsafe {
            let mut set = std::mem::zeroed();
            libc::sigfillset(&mut set);
            libc::sigprocmask(libc::SIG_BLOCK, &set, ptr::null_mut());
            set
        };
        // The mask is set before, because whoever reads "start" may send signals. This descriptor stays open, so that
        // no other is needed later.
        let log = fs::OpenOptions::new().append(true).create(true).open(file)?;
        lift_file_size_limit();
        let mut record = Record { log, signals, voice: None };
        let own = procs::ProcessInfo::of(std::process::id() as c_int).ok_or(io::ErrorKind::NotFound)?;
        record.line(format!("start {} {}", own.pid, own.start_time))?;
        Ok(record)
    }

    fn line(&mut self, text: String) -> io::Result<()> {
        self.log.write_all(format!("{text}\n").as_bytes())
    }

    /// Waits for a signal, at most for so many milliseconds. Ends the application when it gets a signal that must end
    /// it.
    fn wait_for_signal(&mut self, milliseconds: u64, ignored: &[c_int]) -> io::Result<()> {
        let seconds = (milliseconds / 1000) as i64;
        let timeout = libc::timespec { tv_sec: seconds, tv_nsec: (milliseconds % 1000 * 1_000_000) as i64 };
        // SAFETY: siginfo_t is plain data, for which zero bytes are valid.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: all pointers are to locals and to this record.
        let signal = unsafe { libc::sigtimedwait(&self.signals, &mut info, &timeout) };
        if signal <= 0 {
            return Ok(());
        }
        // SAFETY: signals that a process sends have a sender; for others the field is read as a number all the same.
        self.line(format!("signal {signal} {}", unsafe { info.si_pid() }))?;
        match signal {
            libc::SIGUSR1 => {
                self.speak(LAST_WORDS)?;
                self.end(7)
            }
            signal if ENDING.contains(&signal) && !ignored.contains(&signal) => self.end(100 + signal),
            _ => Ok(()),
        }
    }

    /// Writes so many bytes to each stream, and notes how many were accepted.
    fn speak(&mut self, count: usize) -> io::Result<()> {
        let Some(Voice { key, written }) = &mut self.voice else { return Ok(()) };
        for (stream, written) in written.iter_mut().enumerate() {
            let bytes = pattern::bytes(*key + stream as u64, *written, count);
            *written += write_to(stream as c_int + 1, &bytes);
        }
        let [stdout, stderr] = *written;
        self.line(format!("wrote {stdout} {stderr}"))
    }

    fn end(&mut self, code: c_int) -> ! {
        self.line(format!("end {code}")).expect("cannot write the record");
        exit(code)
    }
}

/// Raises the limit of file sizes. Tests lower it for the shells around an application, but its own log must get all
/// its lines.
fn lift_file_size_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both pointers are to the local.
    unsafe {
        libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_FSIZE, &limit);
    }
}

fn record(file: &OsStr, interval: u64, ignored: &[c_int], voice: Option<Voice>) -> io::Result<()> {
    let mut record = Record { voice, ..Record::begin(file)? };
    loop {
        record.speak(WORD)?;
        record.wait_for_signal(interval, ignored)?;
        record.line(format!("beat {}", true_time()))?;
    }
}

/// How many bytes `enact` writes to a stream before it notes them.
const PIECE: u64 = 8192;

fn enact(file: &OsStr, key: u64, sizes: [u64; 2], milliseconds: u64, end: &OsStr) -> io::Result<()> {
    let mut record = Record::begin(file)?;
    let pieces = sizes.iter().max().map_or(1, |size| size.div_ceil(PIECE).max(1));
    let mut written = [0; 2];
    for piece in 0..pieces {
        for (stream, size) in sizes.into_iter().enumerate() {
            let count = size.saturating_sub(piece * PIECE).min(PIECE) as usize;
            let bytes = pattern::bytes(key + stream as u64, piece * PIECE, count);
            written[stream] += write_to(stream as c_int + 1, &bytes);
        }
        record.line(format!("wrote {} {}", written[0], written[1]))?;
        record.wait_for_signal(milliseconds / pieces, &[])?;
    }
    let end = end.to_string_lossy();
    match end.split_once(':') {
        Some(("exit", code)) => record.end(number(OsStr::new(code)) as c_int),
        Some(("raise", name)) => {
            let signal = signal_number(name).unwrap_or_else(|| usage(OsStr::new(name)));
            record.line(format!("raise {signal}"))?;
            // SAFETY: the set is initialised, and no handler of ours can run.
            unsafe {
                libc::raise(signal);
                libc::sigprocmask(libc::SIG_UNBLOCK, &record.signals, ptr::null_mut());
            }
            unreachable!("signal {signal} does not end a process");
        }
        _ => loop {
            record.wait_for_signal(1000, &[])?;
        },
    }
}

/// Returns how many of the bytes a stream accepted before it was closed.
fn write_to(descriptor: c_int, bytes: &[u8]) -> u64 {
    let mut done = 0;
    while done < bytes.len() {
        // SAFETY: the buffer has at least this many bytes.
        let count = unsafe { libc::write(descriptor, bytes[done..].as_ptr().cast(), bytes.len() - done) };
        if count < 0 {
            break;
        }
        done += count as usize;
    }
    done as u64
}

/// Returns the milliseconds since boot. It asks the kernel itself, because libfaketime can replace the libc function.
fn true_time() -> i64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to the local.
    unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_BOOTTIME, &mut now) };
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

fn daemonize() {
    let child = fork();
    if child > 0 {
        // SAFETY: no status is asked for.
        unsafe { libc::waitpid(child, ptr::null_mut(), 0) };
        return;
    }
    // SAFETY: no arguments.
    unsafe { libc::setsid() };
    if fork() > 0 {
        exit(0);
    }
    let mut stdout = libc::pollfd { fd: 1, events: 0, revents: 0 };
    // Without events, poll returns only when the reader is gone. For a file it never does.
    // SAFETY: one valid entry.
    while unsafe { libc::poll(&mut stdout, 1, -1) } < 1 {}
    exit(0)
}

fn spam(count: u64) {
    let block: Vec<u8> = [[b'x'; 63].as_slice(), b"\n"].concat().repeat(1024);
    let mut left = count as usize;
    while left > 0 {
        let part = left.min(block.len());
        out(&block[..part]);
        left -= part;
    }
}

/// Returns what an application could guess of the reports: "NONCE words" and a newline, but with a wrong nonce.
fn forge() {
    let nonce = "0".repeat(32);
    for words in ["begin 1 1", "pid 1 1", "exit 0", "fail setup", "clean"] {
        for line in [format!("{nonce} {words}\n"), format!("{words}\n"), format!("\n{nonce} {words}\n")] {
            out(line.as_bytes());
            err(line.as_bytes());
        }
    }
}

fn endless(text: &[u8]) -> ! {
    // SAFETY: fcntl with integers only. It fails where stderr is no pipe.
    unsafe { libc::fcntl(2, libc::F_SETPIPE_SZ, 1 << 20) };
    let block = [text, b"\n"].concat().repeat(1000);
    while io::stderr().write_all(&block).is_ok() {}
    exit(1)
}

fn nonblock_fill() {
    // SAFETY: fcntl with integers only.
    let flags = unsafe { libc::fcntl(2, libc::F_GETFL) };
    // SAFETY: as above. The flag belongs to the open file description, so all who share it get it.
    unsafe { libc::fcntl(2, libc::F_SETFL, flags | libc::O_NONBLOCK) };
    let block = [b'f'; 4096];
    // First in pages, then in bytes, so that really nothing fits any more. The bound is for files, which never fill up.
    for size in [4096, 1] {
        for _ in 0..16_384 {
            // SAFETY: the buffer has at least this many bytes.
            if unsafe { libc::write(2, block.as_ptr().cast(), size) } < 0 {
                break;
            }
        }
    }
}

/// Writes sections: a name, the number of values, and the values, each ended by a NUL. `AppReport` reads them.
fn report(file: &OsStr) -> io::Result<()> {
    let mut text = Vec::new();
    let mut section = |name: &str, values: Vec<OsString>| {
        text.extend_from_slice(format!("{name}\0{}\0", values.len()).as_bytes());
        for value in values {
            text.extend_from_slice(value.as_bytes());
            text.push(0);
        }
    };
    // As the kernel keeps them: so a variable without '=', or one that is there twice, is visible.
    section("argv", procs::nul_terminated(&fs::read("/proc/self/cmdline")?));
    section("env", procs::nul_terminated(&fs::read("/proc/self/environ")?));
    section("cwd", vec![fs::read_link("/proc/self/cwd")?.into_os_string()]);
    for name in ["status", "limits"] {
        let content = fs::read(format!("/proc/self/{name}"))?;
        let lines = content.split(|&b| b == b'\n').filter(|line| !line.is_empty());
        section(name, lines.map(|line| OsString::from_vec(line.to_vec())).collect());
    }
    // SAFETY: these take integers and cannot fail for the process itself.
    let ids = unsafe { [libc::getpid(), libc::getppid(), libc::getpgid(0), libc::getsid(0)] };
    section("ids", ids.iter().map(|id| id.to_string().into()).collect());
    section("fds", open_descriptors());

    let part = [file.as_bytes(), b".part"].concat();
    fs::write(OsStr::from_bytes(&part), text)?;
    fs::rename(OsStr::from_bytes(&part), file)
}

/// Returns "NUMBER TARGET" of each open descriptor. It tries each number, because reading a directory would need one
/// more descriptor.
fn open_descriptors() -> Vec<OsString> {
    let mut found = Vec::new();
    for fd in 0..1024 {
        if let Ok(target) = fs::read_link(format!("/proc/self/fd/{fd}")) {
            let mut line = OsString::from(format!("{fd} "));
            line.push(target);
            found.push(line);
        }
    }
    found
}
