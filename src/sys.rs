//! The system calls that std does not have. The only unsafe code outside of the C ABI.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::ptr;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::signal::Signal;

/// A watcher's stack: virtual memory, of which a watcher touches some 10 KiB; the rest is for a host's logger, which runs
/// on it.
pub(crate) const SMALL_STACK: usize = 256 << 10;
/// The stack of a thread that runs a host's callbacks: what a thread usually has.
pub(crate) const USUAL_STACK: usize = 8 << 20;

/// Starts a thread that no signal of the host is delivered to: all are blocked in it.
///
/// A thread inherits the mask of the one that makes it, so the mask is set here and not in the new thread, which would
/// take signals until then.
pub(crate) fn spawn_thread<F>(name: &str, stack: usize, body: F) -> io::Result<JoinHandle<()>>
where
    F: FnOnce() + Send + 'static,
{
    let mask = Mask::block_all()?;
    let thread = thread::Builder::new().name(name.to_owned()).stack_size(stack).spawn(body);
    drop(mask);
    thread
}

/// The same for a thread that ends before its scope does.
pub(crate) fn spawn_scoped_thread<'scope, 'env, F>(
    scope: &'scope thread::Scope<'scope, 'env>,
    name: &str,
    body: F,
) -> io::Result<thread::ScopedJoinHandle<'scope, ()>>
where
    F: FnOnce() + Send + 'scope,
{
    let mask = Mask::block_all()?;
    let thread = thread::Builder::new().name(name.to_owned()).stack_size(SMALL_STACK).spawn_scoped(scope, body);
    drop(mask);
    thread
}

/// Runs `spawn` with no signal blocked, because a child inherits the mask, and ssh with TERM or CHLD blocked could not be
/// ended or would wait for ever.
///
/// For these microseconds a signal to the host process can be delivered on this thread: a handler may run here, and a
/// signal that the host has blocked in all its threads (for signalfd or sigwait) and not given a handler takes its
/// default action. posix_spawn has an attribute for the child's mask that would need no window, but
/// `std::process::Command` does not offer it, and `pre_exec`, which could set the mask in the child, makes std fork,
/// which copies the page tables of a large host.
pub(crate) fn with_empty_mask<T>(spawn: impl FnOnce() -> T) -> io::Result<T> {
    let mask = Mask::set(|set| {
        // SAFETY: `set` is a signal set that sigemptyset initialises.
        unsafe { libc::sigemptyset(set) };
    })?;
    let result = spawn();
    drop(mask);
    Ok(result)
}

/// Restores the thread's signal mask when dropped.
struct Mask(libc::sigset_t);

impl Mask {
    fn block_all() -> io::Result<Mask> {
        Mask::set(|set| {
            // SAFETY: `set` is a signal set that sigfillset initialises.
            unsafe { libc::sigfillset(set) };
        })
    }

    fn set(fill: impl FnOnce(&mut libc::sigset_t)) -> io::Result<Mask> {
        // SAFETY: sigset_t is plain data, for which zero bytes are valid.
        let (mut new, mut old): (libc::sigset_t, libc::sigset_t) = unsafe { std::mem::zeroed() };
        fill(&mut new);
        // SAFETY: both point to signal sets of this frame.
        match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &new, &mut old) } {
            0 => Ok(Mask(old)),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

impl Drop for Mask {
    fn drop(&mut self) {
        // SAFETY: the set came from pthread_sigmask; it cannot fail with SIG_SETMASK and a valid set.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, ptr::null_mut()) };
    }
}

/// Random bytes for nonces and jitter.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        // SAFETY: the pointer and length are those of the rest of the array.
        let got = unsafe { libc::getrandom(bytes[filled..].as_mut_ptr().cast(), N - filled, 0) };
        match usize::try_from(got) {
            Ok(got) => filled += got,
            Err(_) => interrupted_or(io::Error::last_os_error())?,
        }
    }
    Ok(bytes)
}

/// A number from 0.5 to 1.5, to spread retries that would otherwise meet again.
pub(crate) fn jitter() -> f64 {
    let byte = random::<1>().map_or(128, |[byte]| byte);
    0.5 + f64::from(byte) / 255.0
}

fn interrupted_or(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) }
}

/// Two sockets, neither of which is stdin, stdout or stderr of a program that has these closed: what it prints would be commands,
/// or shell code, for a host.
pub(crate) fn socket_pair() -> io::Result<(UnixStream, UnixStream)> {
    // While they are held, the next ones are others.
    let mut low = Vec::new();
    loop {
        let pair = UnixStream::pair()?;
        if pair.0.as_raw_fd().min(pair.1.as_raw_fd()) > libc::STDERR_FILENO {
            return Ok(pair);
        }
        low.push(pair);
    }
}

/// Sends without blocking and without SIGPIPE, which a host may have left at its default: the process would end.
pub(crate) fn send(socket: &UnixStream, bytes: &[u8]) -> io::Result<usize> {
    loop {
        // SAFETY: the descriptor is open, the pointer and length are those of `bytes`.
        let sent = unsafe {
            libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT)
        };
        match usize::try_from(sent) {
            Ok(sent) => return Ok(sent),
            Err(_) => interrupted_or(io::Error::last_os_error())?,
        }
    }
}

/// Connects to a unix socket, and lets go of it; does not wait for one whose owner stands still.
pub(crate) fn connects(path: &Path) -> io::Result<()> {
    // SAFETY: sockaddr_un is plain data, for which zero bytes are valid.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() >= address.sun_path.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (place, byte) in address.sun_path.iter_mut().zip(bytes) {
        *place = *byte as libc::c_char;
    }
    // SAFETY: socket takes no pointers.
    let fd = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that was just made is owned by nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let length = size_of::<libc::sockaddr_un>() as libc::socklen_t;
    // SAFETY: the address is of this frame, and the length is its.
    let done = unsafe { libc::connect(socket.as_raw_fd(), ptr::from_ref(&address).cast(), length) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// How a [`lock_directory`] is shared with other programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    Shared,
    Alone,
}

/// Locks a directory (flock) until the descriptor is closed, here and in all forks. To have it alone it does not wait
/// (`WouldBlock`); to share it, it waits for whoever has it alone, which is as long as it takes to remove an empty directory.
pub(crate) fn lock_directory(path: &Path, lock: Lock) -> io::Result<fs::File> {
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let directory = fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let operation = match lock {
        Lock::Shared => libc::LOCK_SH,
        Lock::Alone => libc::LOCK_EX | libc::LOCK_NB,
    };
    // SAFETY: flock takes no pointers.
    match unsafe { libc::flock(directory.as_raw_fd(), operation) } {
        0 => Ok(directory),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes reads and writes of a descriptor return instead of blocking.
pub(crate) fn set_nonblocking(fd: BorrowedFd) -> io::Result<()> {
    // SAFETY: the descriptor is open, and these commands take no pointers.
    let done = unsafe {
        let flags = libc::fcntl(fd.as_raw_fd(), libc::F_GETFL);
        flags >= 0 && libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) >= 0
    };
    if done { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// One descriptor of a [`poll`]: what to wait for, and whether it came.
pub(crate) struct Polled<'a> {
    pub fd: Option<BorrowedFd<'a>>,
    pub write: bool,
    pub ready: bool,
}

impl<'a> Polled<'a> {
    pub(crate) fn read(fd: Option<BorrowedFd<'a>>) -> Polled<'a> {
        Polled { fd, write: false, ready: false }
    }
}

/// Waits until a descriptor is readable, closed or (where asked) writable, or the deadline has come.
pub(crate) fn poll<const N: usize>(polled: &mut [Polled; N], deadline: Option<Instant>) -> io::Result<()> {
    loop {
        let mut fds: [libc::pollfd; N] = std::array::from_fn(|at| libc::pollfd {
            // poll(2) ignores negative descriptors.
            fd: polled[at].fd.map_or(-1, |fd| fd.as_raw_fd()),
            events: libc::POLLIN | if polled[at].write { libc::POLLOUT } else { 0 },
            revents: 0,
        });
        // SAFETY: the pointer and length are those of the array.
        let count = unsafe { libc::poll(fds.as_mut_ptr(), N as libc::nfds_t, milliseconds(deadline)) };
        if count >= 0 {
            for (polled, fd) in polled.iter_mut().zip(fds) {
                polled.ready = fd.revents != 0;
            }
            return Ok(());
        }
        interrupted_or(io::Error::last_os_error())?;
    }
}

/// poll's timeout, rounded up so that it never returns too early and spins; -1 for none.
fn milliseconds(deadline: Option<Instant>) -> libc::c_int {
    let Some(deadline) = deadline else { return -1 };
    let left = deadline.saturating_duration_since(Instant::now());
    libc::c_int::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(libc::c_int::MAX)
}

/// A new eventfd, non-blocking.
pub(crate) fn event_fd() -> io::Result<OwnedFd> {
    // SAFETY: eventfd takes no pointers.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    // SAFETY: a descriptor that was just made is owned by nobody else.
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(unsafe { OwnedFd::from_raw_fd(fd) }) }
}

/// Makes an eventfd readable.
pub(crate) fn event_fd_signal(fd: &OwnedFd) {
    let one = 1u64;
    // SAFETY: the pointer is to 8 bytes. It can fail only when the counter is full, and then the descriptor is readable.
    unsafe { libc::write(fd.as_raw_fd(), ptr::from_ref(&one).cast(), 8) };
}

/// Makes an eventfd not readable.
pub(crate) fn event_fd_clear(fd: &OwnedFd) {
    let mut count = 0u64;
    // SAFETY: the pointer is to 8 bytes. It fails when the counter is zero, which is what is wanted.
    unsafe { libc::read(fd.as_raw_fd(), ptr::from_mut(&mut count).cast(), 8) };
}

/// A child of ours, so held that a signal reaches it and nobody else, though the host may reap all children: by pidfd
/// where the kernel has it (Linux 5.3), else by pid and start time.
pub(crate) struct ChildHandle {
    pid: libc::pid_t,
    pidfd: Option<OwnedFd>,
    start_time: Option<u64>,
}

impl ChildHandle {
    /// Fails when no descriptor is left: without one, a child could not be signalled safely.
    pub(crate) fn new(pid: u32) -> io::Result<ChildHandle> {
        let pid = pid as libc::pid_t;
        // SAFETY: pidfd_open takes no pointers.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        if fd < 0 {
            let error = io::Error::last_os_error();
            if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)) {
                return Err(error);
            }
        }
        // SAFETY: a descriptor that was just made is owned by nobody else.
        let pidfd = (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd as i32) });
        // A host that reaps all children may have reaped it already, and its pid may be another's: but not our child's.
        let (parent, start_time) = parent_and_start(pid).unzip();
        let ours = parent == Some(std::process::id());
        Ok(ChildHandle { pid, pidfd: pidfd.filter(|_| ours), start_time: start_time.filter(|_| ours) })
    }

    /// Readable when the child has ended; `None` on kernels without pidfds.
    pub(crate) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Sends a signal, if the child still is ours.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(fd) = &self.pidfd {
            // SAFETY: the descriptor is open, and a null siginfo is allowed. It fails when the child is gone.
            unsafe {
                libc::syscall(
                    libc::SYS_pidfd_send_signal,
                    fd.as_raw_fd(),
                    signal.number(),
                    ptr::null::<libc::siginfo_t>(),
                    0,
                )
            };
        } else if self.start_time.is_some() && parent_and_start(self.pid).map(|(_, start)| start) == self.start_time {
            // SAFETY: kill takes no pointers. Between the look and this, only a host that reaps all children and a full
            // round of all pids could put a stranger here.
            unsafe { libc::kill(self.pid, signal.number()) };
        }
    }

    /// Kills the group that the child leads, if the child still is ours: until it is reaped, no other group has its
    /// number.
    pub(crate) fn kill_group(&self) {
        if self.start_time.is_some() && parent_and_start(self.pid).map(|(_, start)| start) == self.start_time {
            // SAFETY: kill takes no pointers. Between the look and this, as in `signal`.
            unsafe { libc::kill(-self.pid, libc::SIGKILL) };
        }
    }
}

/// Fields 4 and 22 of /proc/PID/stat, see proc(5): counted behind the last ')', because the name is free text.
fn parent_and_start(pid: libc::pid_t) -> Option<(u32, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some((fields.get(1)?.parse().ok()?, fields.get(19)?.parse().ok()?))
}

/// The calling thread's id, as ps and top show it.
pub(crate) fn thread_id() -> i64 {
    // SAFETY: gettid takes no arguments and cannot fail.
    unsafe { libc::gettid() }.into()
}

/// A limit of this program (RLIMIT_NOFILE) or of its user (RLIMIT_NPROC).
pub(crate) fn limit(resource: libc::__rlimit_resource_t) -> Option<libc::rlim_t> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a limit of this frame.
    let done = unsafe { libc::getrlimit(resource, &mut limit) } == 0;
    done.then_some(limit.rlim_cur)
}

/// The current user's number.
pub(crate) fn user_id() -> u32 {
    // SAFETY: geteuid cannot fail.
    unsafe { libc::geteuid() }
}

/// The current user's name, or its number where it has none.
pub(crate) fn user_name() -> String {
    let uid = user_id();
    let mut buffer = vec![0 as libc::c_char; 4096];
    // SAFETY: passwd is plain data of pointers and numbers, for which zero bytes are valid.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found = ptr::null_mut();
    // SAFETY: all pointers are to this frame's variables, and the length is the buffer's.
    let error = unsafe { libc::getpwuid_r(uid, &mut entry, buffer.as_mut_ptr(), buffer.len(), &mut found) };
    if error != 0 || found.is_null() || entry.pw_name.is_null() {
        return uid.to_string();
    }
    // SAFETY: a found entry's name is a NUL-terminated string in the buffer.
    unsafe { std::ffi::CStr::from_ptr(entry.pw_name) }.to_string_lossy().into_owned()
}

/// Whether this program ignores a signal, which its children would inherit. Not SIGPIPE: std sees to that one.
pub(crate) fn ignores_signals() -> bool {
    (1..=libc::SIGRTMAX()).filter(|signal| *signal != libc::SIGPIPE).any(|signal| {
        // SAFETY: sigaction is plain data, for which zero bytes are valid.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: nothing is set, and what is asked for is written to this frame's variable.
        let known = unsafe { libc::sigaction(signal, ptr::null(), &mut action) } == 0;
        known && action.sa_sigaction == libc::SIG_IGN
    })
}

/// Has a command's child not inherit this program's descriptors, but for the three streams: those that were opened without
/// O_CLOEXEC, as most C programs do. ssh closes them itself; an application would hold a listening socket for as long as it lives.
///
/// Only where there are any is this a matter of fork(2), which copies the page tables of a large program, and else of
/// posix_spawn(3): std has no other hook.
pub(crate) fn keep_descriptors_from(command: &mut Command) {
    let inherited = inherited_descriptors();
    if inherited.is_empty() {
        return;
    }
    let close = move || {
        for fd in &inherited {
            // SAFETY: fcntl takes integers, and may be called after a fork; one that was closed meanwhile is an error.
            unsafe { libc::fcntl(*fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
        Ok(())
    };
    // SAFETY: it allocates nothing, takes no lock, and calls fcntl alone.
    unsafe { command.pre_exec(close) };
}

fn inherited_descriptors() -> Vec<libc::c_int> {
    let entries = fs::read_dir("/proc/self/fd").or_else(|_| fs::read_dir("/dev/fd"));
    let numbers = entries.into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_inherited = |fd: &libc::c_int| {
        // SAFETY: fcntl takes integers; one that was closed meanwhile is an error.
        let flags = unsafe { libc::fcntl(*fd, libc::F_GETFD) };
        flags >= 0 && flags & libc::FD_CLOEXEC == 0
    };
    numbers.filter(|fd| *fd > libc::STDERR_FILENO).filter(is_inherited).collect()
}

/// The time of `after` from now, or none where that is beyond what the clock counts: then there is no deadline.
pub(crate) fn deadline(after: Duration) -> Option<Instant> {
    Instant::now().checked_add(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_is_blocked_in_threads_and_empty_around_a_spawn() {
        let blocked = || {
            let status = fs::read_to_string("/proc/thread-self/status").unwrap();
            let line = status.lines().find(|line| line.starts_with("SigBlk:")).unwrap().to_owned();
            u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
        };
        let before = blocked();
        let thread = spawn_thread("test", SMALL_STACK, move || {
            // KILL and STOP cannot be blocked, and glibc keeps 32 and 33 for itself.
            assert_eq!(blocked() & 0x7fff_ffff, 0x7fff_ffff & !(1 << 8) & !(1 << 18));
            assert_eq!(with_empty_mask(blocked).unwrap(), 0);
            assert_ne!(blocked(), 0);
        });
        thread.unwrap().join().unwrap();
        assert_eq!(blocked(), before);
    }

    #[test]
    fn a_dead_reader_is_an_error_and_no_signal() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert_eq!(send(&ours, b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
