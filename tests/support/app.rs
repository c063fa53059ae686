//! test-app: the application that the tests start on the remote. It does what its arguments say, one after the
//! other, and then exits with 0:
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
//! record FILE MS     appends to FILE: "start PID START-TIME", "beat TIME" each MS milliseconds, "signal N SENDER" for every
//!                    signal that can be caught; HUP, INT, QUIT and TERM, unless ignored, end it with 100 + N, and USR1
//!                    with 7, behind "end CODE"
//! fork N             starts N children in its process group that wait until they are killed
//! daemonize          starts a process in a session of its own that ends when killed or when nobody reads its stdout
//! --                 what follows is only there to be reported
//! ```
//!
//! Two more verbs, `guard` and `relay`, are for the harness: see guard.rs and relay.rs.
// Without Rust's own start-up, which ignores SIGPIPE, catches SIGSEGV and opens closed descriptors: what `report`
// tells must be what the parent gave.
#![no_main]

mod guard;
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
            b"record" => record(&argument(), number(&argument()), &ignored).expect("cannot write the record"),
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
    // Nothing is buffered, and no handler is wanted: children of `fork` come here too.
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

// Errors of a stream that is closed, full or without a reader are not the program's business.
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
    // sigtimedwait is the clock and the handler in one. A blocked signal waits for it also where the parent has
    // made us ignore it, just as for a program that installs a handler.
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

/// The application's own word on its life, for tests that compare it with what is told. Every line is one write(2).
fn record(file: &OsStr, interval: u64, ignored: &[c_int]) -> io::Result<()> {
    let timeout = libc::timespec { tv_sec: (interval / 1000) as i64, tv_nsec: (interval % 1000 * 1_000_000) as i64 };
    // SAFETY: the set is initialised by sigfillset before its use.
    let set = unsafe {
        let mut set = std::mem::zeroed();
        libc::sigfillset(&mut set);
        libc::sigprocmask(libc::SIG_BLOCK, &set, ptr::null_mut());
        set
    };
    // Behind the mask: who reads "start" may send signals. This descriptor stays open, so that none is needed later.
    let mut log = fs::OpenOptions::new().append(true).create(true).open(file)?;
    let mut line = |text: String| log.write_all(format!("{text}\n").as_bytes());
    let own = procs::ProcessInfo::of(std::process::id() as c_int).ok_or(io::ErrorKind::NotFound)?;
    line(format!("start {} {}", own.pid, own.start_time))?;
    loop {
        // SAFETY: siginfo_t is plain data, for which zero bytes are valid.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: all pointers are to locals.
        let signal = unsafe { libc::sigtimedwait(&set, &mut info, &timeout) };
        if signal <= 0 {
            line(format!("beat {}", true_time()))?;
            continue;
        }
        // SAFETY: signals that a process sends have a sender; for others the field is read as a number all the same.
        line(format!("signal {signal} {}", unsafe { info.si_pid() }))?;
        let code = match signal {
            libc::SIGUSR1 => 7,
            signal if ENDING.contains(&signal) && !ignored.contains(&signal) => 100 + signal,
            _ => continue,
        };
        line(format!("end {code}"))?;
        exit(code);
    }
}

/// Milliseconds since boot, asked of the kernel itself: the libc function may be one that plays with the time.
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
    // Without events, poll waits for what cannot be masked: the reader is gone. For a file that never comes.
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

/// What an application could guess of the reports, which are "NONCE words" and a newline, but for the nonce.
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
    // First by pages, then by bytes, so that really nothing fits any more. The bound is for a file, never full.
    for size in [4096, 1] {
        for _ in 0..16_384 {
            // SAFETY: the buffer has at least this many bytes.
            if unsafe { libc::write(2, block.as_ptr().cast(), size) } < 0 {
                break;
            }
        }
    }
}

/// Writes sections: a name, the number of values, the values, each ended by a NUL. `AppReport` reads them.
fn report(file: &OsStr) -> io::Result<()> {
    let mut text = Vec::new();
    let mut section = |name: &str, values: Vec<OsString>| {
        text.extend_from_slice(format!("{name}\0{}\0", values.len()).as_bytes());
        for value in values {
            text.extend_from_slice(value.as_bytes());
            text.push(0);
        }
    };
    // As the kernel keeps them, so also a variable without '=' or twice the same is seen.
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

/// "NUMBER TARGET" of each open descriptor. Asked one by one: a directory being read would be one more.
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
