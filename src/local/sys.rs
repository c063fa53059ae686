//! System calls that std does not have.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The stack of a watcher thread. It is virtual memory, of which a watcher uses some 10 KiB; the rest is for the logger
/// of the host program, which runs on it.
pub(crate) const SMALL_STACK: usize = 256 << 10;
/// The stack of a thread that runs callbacks of the host program: the usual size of a thread's stack.
pub(crate) const USUAL_STACK: usize = 8 << 20;

/// Starts a thread that blocks all signals, so that it gets none of the host program's signals.
///
/// A thread inherits the mask of the thread that creates it. The mask is set here, because a mask that the new thread
/// set itself would come too late for signals that arrive before.
pub(crate) fn spawn_thread<F>(name: &str, stack: usize, body: F) -> io::Result<JoinHandle<()>>
where
    F: FnOnce() + Send + 'static,
{
    let mask = Mask::block_all()?;
    let thread = thread::Builder::new().name(name.to_owned()).stack_size(stack).spawn(body);
    drop(mask);
    thread
}

/// Starts a thread that blocks all signals and that ends before its scope does.
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

/// Blocks all signals in the calling thread, and restores its mask when dropped. The mask never gets smaller than it
/// was.
struct Mask(libc::sigset_t);

impl Mask {
    fn block_all() -> io::Result<Mask> {
        // SAFETY: sigset_t is plain data, for which zero bytes are valid.
        let (mut all, mut old): (libc::sigset_t, libc::sigset_t) = unsafe { std::mem::zeroed() };
        // SAFETY: all pointers are to signal sets of this frame.
        let error = unsafe {
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut old)
        };
        if error == 0 { Ok(Mask(old)) } else { Err(io::Error::from_raw_os_error(error)) }
    }
}

impl Drop for Mask {
    fn drop(&mut self) {
        // SAFETY: the set came from pthread_sigmask; it cannot fail with SIG_SETMASK and a valid set.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, ptr::null_mut()) };
    }
}

/// Returns random bytes, for nonces and jitter.
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

/// Returns a random number from 0.5 to 1.5, to spread retries that would otherwise meet again.
pub(crate) fn jitter() -> f64 {
    let byte = random::<1>().map_or(128, |[byte]| byte);
    0.5 + f64::from(byte) / 255.0
}

fn interrupted_or(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) }
}

/// Returns two connected sockets, with numbers above those of stdin, stdout and stderr. If the host program has closed
/// one of these, its next descriptor gets that number, and what the program prints would be commands or shell code for
/// a remote host.
pub(crate) fn socket_pair() -> io::Result<(UnixStream, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    Ok((above_standard_streams(ours.into())?.into(), above_standard_streams(theirs.into())?.into()))
}

/// Returns this descriptor, or another one in its place if its number is that of stdin, stdout or stderr.
fn above_standard_streams(descriptor: OwnedFd) -> io::Result<OwnedFd> {
    if descriptor.as_raw_fd() > libc::STDERR_FILENO {
        return Ok(descriptor);
    }
    // SAFETY: the descriptor is open, and this command takes no pointers.
    let other = unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_DUPFD_CLOEXEC, libc::STDERR_FILENO + 1) };
    // SAFETY: a descriptor that was just made is owned by nobody else.
    if other < 0 { Err(io::Error::last_os_error()) } else { Ok(unsafe { OwnedFd::from_raw_fd(other) }) }
}

/// Returns a pipe for what a child writes: the end to read from, which does not block, and the end for the child.
pub(crate) fn output_pipe() -> io::Result<(fs::File, OwnedFd)> {
    let mut fds = [-1; 2];
    // SAFETY: the pointer is to two integers.
    if unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: descriptors that were just made are owned by nobody else.
    let [reader, writer] = fds.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    let reader = above_standard_streams(reader)?;
    set_nonblocking(reader.as_fd())?;
    Ok((reader.into(), writer))
}

/// Sends bytes without blocking, and returns how many the socket took. It never raises SIGPIPE, which would end a host
/// program that has left it at its default.
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

/// Connects to a unix socket, and returns a socket that does not block, with a number above those of stdin, stdout and
/// stderr. Returns `WouldBlock` if the socket's owner has left too many connections waiting.
pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
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
    let socket = UnixStream::from(above_standard_streams(unsafe { OwnedFd::from_raw_fd(fd) })?);
    let length = size_of::<libc::sockaddr_un>() as libc::socklen_t;
    // SAFETY: the address is of this frame, and the length is its.
    let done = unsafe { libc::connect(socket.as_raw_fd(), ptr::from_ref(&address).cast(), length) };
    if done == 0 { Ok(socket) } else { Err(io::Error::last_os_error()) }
}

/// Sends a descriptor over a unix socket, with one byte beside it. Does not block.
pub(crate) fn send_descriptor(socket: &UnixStream, descriptor: BorrowedFd) -> io::Result<()> {
    /// A buffer for a control message with one descriptor, aligned as its header must be.
    #[repr(C)]
    struct Control {
        header: libc::cmsghdr,
        descriptor: libc::c_int,
        padding: libc::c_int,
    }
    let mut byte = 0u8;
    let mut part = libc::iovec { iov_base: ptr::from_mut(&mut byte).cast(), iov_len: 1 };
    // SAFETY: these are plain data, for which zero bytes are valid.
    let (mut control, mut message): (Control, libc::msghdr) = unsafe { std::mem::zeroed() };
    control.header.cmsg_level = libc::SOL_SOCKET;
    control.header.cmsg_type = libc::SCM_RIGHTS;
    // SAFETY: CMSG_LEN and CMSG_SPACE are arithmetic.
    let (length, space) = unsafe { (libc::CMSG_LEN(size_of::<libc::c_int>() as u32), libc::CMSG_SPACE(4)) };
    debug_assert!(space as usize <= size_of::<Control>());
    control.header.cmsg_len = length as _;
    control.descriptor = descriptor.as_raw_fd();
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = ptr::from_mut(&mut control).cast();
    message.msg_controllen = space as _;
    loop {
        // SAFETY: the message points to objects of this frame, and both descriptors are open.
        let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &message, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) };
        match sent {
            1 => return Ok(()),
            _ => interrupted_or(io::Error::last_os_error())?,
        }
    }
}

/// Whether [`lock_directory`] shares the lock with other programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    Shared,
    Alone,
}

/// Locks a directory with flock(2) until the descriptor is closed, here and in all forked children.
///
/// `Alone` does not wait: it returns `WouldBlock` if another program has a lock. `Shared` waits for a program that has
/// it alone, which takes no longer than removing an empty directory.
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

/// Sets a descriptor so that reads and writes return in place of blocking.
pub(crate) fn set_nonblocking(fd: BorrowedFd) -> io::Result<()> {
    // SAFETY: the descriptor is open, and these commands take no pointers.
    let done = unsafe {
        let flags = libc::fcntl(fd.as_raw_fd(), libc::F_GETFL);
        flags >= 0 && libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) >= 0
    };
    if done { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// One descriptor of a [`poll`]: what to wait for, and whether that has happened.
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

/// Waits until a descriptor is readable, closed or, if `write` is set, writable, or until the deadline has come.
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

/// Returns the timeout for poll(2), or -1 without a deadline. It is rounded up, because a poll that returned too early
/// would be repeated until the deadline.
fn milliseconds(deadline: Option<Instant>) -> libc::c_int {
    let Some(deadline) = deadline else { return -1 };
    let left = deadline.saturating_duration_since(Instant::now());
    libc::c_int::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(libc::c_int::MAX)
}

/// Returns a new eventfd that does not block.
pub(crate) fn event_fd() -> io::Result<OwnedFd> {
    // SAFETY: eventfd takes no pointers.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    // SAFETY: a descriptor that was just made is owned by nobody else.
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(unsafe { OwnedFd::from_raw_fd(fd) }) }
}

/// Makes an eventfd readable.
pub(crate) fn event_fd_signal(fd: &OwnedFd) {
    let one = 1u64;
    // SAFETY: the pointer is to 8 bytes. It can fail only when the counter is full, and then the descriptor is
    // readable.
    unsafe { libc::write(fd.as_raw_fd(), ptr::from_ref(&one).cast(), 8) };
}

/// Makes an eventfd not readable.
pub(crate) fn event_fd_clear(fd: &OwnedFd) {
    let mut count = 0u64;
    // SAFETY: the pointer is to 8 bytes. It fails when the counter is zero, which is what is wanted.
    unsafe { libc::read(fd.as_raw_fd(), ptr::from_mut(&mut count).cast(), 8) };
}

/// Returns the calling thread's id, as ps and top show it.
pub(crate) fn thread_id() -> i64 {
    // SAFETY: gettid takes no arguments and cannot fail.
    unsafe { libc::gettid() }.into()
}

/// Returns the soft and the hard limit of this program (RLIMIT_NOFILE) or of its user (RLIMIT_NPROC).
pub(crate) fn limits(resource: libc::__rlimit_resource_t) -> Option<(libc::rlim_t, libc::rlim_t)> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a limit of this frame.
    let done = unsafe { libc::getrlimit(resource, &mut limit) } == 0;
    done.then_some((limit.rlim_cur, limit.rlim_max))
}

/// The soft limit of open files that this program had before [`raise_descriptor_limit`] raised it; 0 if nobody has.
static FORMER_DESCRIPTOR_LIMIT: AtomicU64 = AtomicU64::new(0);

/// Raises the soft limit of open files of this program to its hard limit. [`spawn`](crate::local::spawn()) gives
/// children the former soft limit: a program that uses select(2) is safe below it, and some programs close every
/// descriptor up to the limit when they start.
pub(crate) fn raise_descriptor_limit() -> io::Result<()> {
    let (soft, hard) = limits(libc::RLIMIT_NOFILE).ok_or_else(io::Error::last_os_error)?;
    if soft == hard {
        return Ok(());
    }
    // First, so that no child that is spawned meanwhile keeps the raised limit.
    FORMER_DESCRIPTOR_LIMIT.store(soft, Ordering::SeqCst);
    set_descriptor_limit(0, hard, hard)
}

/// Gives a child the soft limit of open files that this program had before it was raised.
pub(crate) fn restore_descriptor_limit(child: libc::pid_t) {
    let former = FORMER_DESCRIPTOR_LIMIT.load(Ordering::SeqCst);
    if let (1.., Some((_, hard))) = (former, limits(libc::RLIMIT_NOFILE)) {
        // This fails for a child that has changed its user, such as sudo, which then keeps the raised limit.
        let _ = set_descriptor_limit(child, former.min(hard), hard);
    }
}

/// Sets the limits of a process; 0 is this program.
fn set_descriptor_limit(pid: libc::pid_t, soft: libc::rlim_t, hard: libc::rlim_t) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the pointer is to a limit of this frame; the former limits are not asked for.
    match unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, &limit, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Returns the number of the effective user.
pub(crate) fn user_id() -> u32 {
    // SAFETY: geteuid cannot fail.
    unsafe { libc::geteuid() }
}

/// Returns the name of the effective user, or the number if the user has no name.
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

/// Returns the time that is `after` from now, or `None` for no deadline if the clock cannot count so far.
pub(crate) fn deadline(after: Duration) -> Option<Instant> {
    Instant::now().checked_add(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_of_the_library_blocks_all_signals_and_its_parents_mask_stays() {
        let blocked = || {
            let status = fs::read_to_string("/proc/thread-self/status").unwrap();
            let line = status.lines().find(|line| line.starts_with("SigBlk:")).unwrap().to_owned();
            u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
        };
        let before = blocked();
        let thread = spawn_thread("test", SMALL_STACK, move || {
            // KILL and STOP cannot be blocked, and glibc keeps 32 and 33 for itself.
            assert_eq!(blocked() & 0x7fff_ffff, 0x7fff_ffff & !(1 << 8) & !(1 << 18));
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
