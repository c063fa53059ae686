//! A child: sends signals to it, and takes its exit status.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::local::sys::{self, Polled};

/// How often [`Child::wait_until`] checks for the end of the child if the kernel has no pidfd to poll.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A child, for the one thread that takes its exit status. Dropping it neither ends nor reaps the child.
pub(crate) struct Child {
    handle: Arc<ChildHandle>,
    end: End,
}

/// Whether the exit status was taken from the kernel, which gives it only once. Later, another process can have the
/// pid.
enum End {
    ToCome,
    Taken(Option<ExitStatus>),
}

impl Child {
    /// Takes charge of a child that was started a moment ago.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM: there is no descriptor for a pidfd. Without one the child could not be signalled
    /// safely, so it is killed and reaped.
    pub(super) fn new(pid: libc::pid_t) -> io::Result<Child> {
        match ChildHandle::new(pid) {
            Ok(handle) => Ok(Child { handle: Arc::new(handle), end: End::ToCome }),
            Err(error) => {
                // SAFETY: integers only, and a null status is allowed. Nobody else can have the pid of a child that
                // was started a moment ago and that runs on.
                unsafe {
                    libc::kill(pid, libc::SIGKILL);
                    while libc::waitpid(pid, ptr::null_mut(), 0) < 0 && interrupted() {}
                }
                Err(error)
            }
        }
    }

    pub(crate) fn handle(&self) -> &Arc<ChildHandle> {
        &self.handle
    }

    /// Waits until the child has ended, and returns its exit status; `None` if the host program ignores SIGCHLD or has
    /// reaped the child, so that nobody knows the status.
    pub(crate) fn wait(&mut self) -> Option<ExitStatus> {
        self.take_end(0)
    }

    /// Waits until the child has ended or the deadline has come, and returns the exit status; `None` if the child has
    /// not ended by then, or if nobody knows its status.
    pub(crate) fn wait_until(&mut self, deadline: Instant) -> Option<ExitStatus> {
        loop {
            let status = self.take_end(libc::WNOHANG);
            let now = Instant::now();
            if matches!(self.end, End::Taken(_)) || now >= deadline {
                return status;
            }
            let pidfd = self.handle.as_fd();
            let next = if pidfd.is_some() { deadline } else { deadline.min(now + LOOK_EVERY) };
            if sys::poll(&mut [Polled::read(pidfd)], Some(next)).is_err() {
                return None;
            }
        }
    }

    fn take_end(&mut self, flags: libc::c_int) -> Option<ExitStatus> {
        if let End::ToCome = self.end {
            self.end = match self.handle.reap(flags) {
                Ok(None) => End::ToCome,
                Ok(status) => End::Taken(status),
                // ECHILD: the host program has reaped it, or ignores SIGCHLD.
                Err(_) => End::Taken(None),
            };
        }
        match self.end {
            End::ToCome => None,
            End::Taken(status) => status,
        }
    }
}

/// Names one child: a signal reaches that child or nobody, even if the host program reaps all children and another
/// process gets the pid. It is a pidfd if the kernel can wait for one (Linux 5.4), else the pid and the start time.
pub(crate) struct ChildHandle {
    pid: libc::pid_t,
    pidfd: Option<OwnedFd>,
    start_time: Option<u64>,
}

impl ChildHandle {
    fn new(pid: libc::pid_t) -> io::Result<ChildHandle> {
        let pidfd = open_pidfd(pid)?;
        // If the host program reaps all children, another process may have the pid by now. That one is not our child.
        let start_time = parent_and_start(pid).filter(|(parent, _)| *parent == std::process::id());
        Ok(ChildHandle { pid, pidfd, start_time: start_time.map(|(_, start)| start) })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid as u32
    }

    /// Returns the pidfd, which is readable when the child has ended; `None` if the kernel has no pidfds.
    pub(crate) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Sends a signal to the child. Does nothing when the child has ended.
    pub(crate) fn signal(&self, signal: libc::c_int) {
        if let Some(fd) = &self.pidfd {
            // SAFETY: the descriptor is open, and a null siginfo is allowed. It fails when the child is gone.
            unsafe {
                libc::syscall(libc::SYS_pidfd_send_signal, fd.as_raw_fd(), signal, ptr::null::<libc::siginfo_t>(), 0)
            };
        } else if self.is_there() {
            // SAFETY: kill takes no pointers. Another process could have the pid only if the host program reaps all
            // children and the system has used up all pids between the check and this.
            unsafe { libc::kill(self.pid, signal) };
        }
    }

    /// Sends KILL to the process group that the child leads. Does nothing if the child was reaped, because only until
    /// then no other process group can have its number.
    pub(crate) fn kill_group(&self) {
        if self.is_there() {
            // SAFETY: kill takes no pointers. The comment in `signal` says what can happen between the check and this.
            unsafe { libc::kill(-self.pid, libc::SIGKILL) };
        }
    }

    /// Returns whether the pid still belongs to the child, which may be a zombie. Returns false if there is no /proc.
    fn is_there(&self) -> bool {
        self.start_time.is_some() && parent_and_start(self.pid).map(|(_, start)| start) == self.start_time
    }

    /// Takes the exit status from the kernel; `None` if the child has not ended (with WNOHANG).
    fn reap(&self, flags: libc::c_int) -> io::Result<Option<ExitStatus>> {
        if self.pidfd.is_none() && self.start_time.is_some() && !self.is_there() {
            return Err(io::Error::from_raw_os_error(libc::ECHILD));
        }
        let (kind, id) = match &self.pidfd {
            Some(fd) => (libc::P_PIDFD, fd.as_raw_fd()),
            None => (libc::P_PID, self.pid),
        };
        let info = wait_for(kind, id, flags)?;
        // SAFETY: waitid fills these fields in. The pid is 0 when WNOHANG found no end.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        // The status as wait(2) would give it: WIFEXITED and WIFSIGNALED test its lower byte.
        let raw = if info.si_code == libc::CLD_EXITED { (status & 0xff) << 8 } else { status };
        Ok((pid != 0).then(|| ExitStatus::from_raw(raw)))
    }
}

/// Returns a pidfd; `None` if the kernel has no pidfds or cannot wait for one, or if the host program has reaped the
/// child.
fn open_pidfd(pid: libc::pid_t) -> io::Result<Option<OwnedFd>> {
    // SAFETY: pidfd_open takes no pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        let error = io::Error::last_os_error();
        let is_scarce = matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM));
        return if is_scarce { Err(error) } else { Ok(None) };
    }
    // SAFETY: a descriptor that was just made is owned by nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) };
    // waitid refuses a process that is not our child: one that has got the pid of a child that was reaped.
    let is_ours = wait_for(libc::P_PIDFD, fd.as_raw_fd(), libc::WNOHANG | libc::WNOWAIT).is_ok();
    Ok(is_ours.then_some(fd))
}

fn wait_for(kind: libc::idtype_t, id: libc::c_int, flags: libc::c_int) -> io::Result<libc::siginfo_t> {
    // SAFETY: siginfo_t is plain data, for which zero bytes are valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: the pointer is to a siginfo of this frame.
        if unsafe { libc::waitid(kind, id as libc::id_t, &mut info, libc::WEXITED | flags) } == 0 {
            return Ok(info);
        }
        if !interrupted() {
            return Err(io::Error::last_os_error());
        }
    }
}

/// Returns whether a signal handler of the host program has interrupted the last system call.
fn interrupted() -> bool {
    io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
}

/// Returns the parent's pid and the start time: fields 4 and 22 of /proc/PID/stat, see proc(5). The fields are counted
/// behind the last ')', because the name of the program can contain any text.
fn parent_and_start(pid: libc::pid_t) -> Option<(u32, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some((fields.get(1)?.parse().ok()?, fields.get(19)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::local::spawn::tests::spawn_silent;

    /// Only a test that fails waits so long.
    const LONG: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Child {
        spawn_silent(Command::new("/bin/sh").args(["-c", script])).unwrap()
    }

    /// Returns the child with a handle as on kernels without pidfds.
    fn without_pidfd(child: Child) -> Child {
        let ChildHandle { pid, start_time, .. } = Arc::into_inner(child.handle).unwrap();
        assert!(start_time.is_some());
        Child { handle: Arc::new(ChildHandle { pid, pidfd: None, start_time }), end: End::ToCome }
    }

    fn with_and_without_pidfd(script: &str, test: impl Fn(Child)) {
        test(shell(script));
        test(without_pidfd(shell(script)));
    }

    #[test]
    fn an_exit_status_is_taken_once_and_remembered() {
        with_and_without_pidfd("exit 200", |mut child| {
            assert_eq!(child.wait().unwrap().code(), Some(200));
            assert_eq!(child.wait().unwrap().code(), Some(200));
            assert_eq!(child.wait_until(Instant::now()).unwrap().code(), Some(200));
            assert!(!child.handle.is_there());
        });
    }

    #[test]
    fn a_child_that_runs_on_has_no_exit_status_until_it_is_killed() {
        with_and_without_pidfd("exec sleep 1000", |mut child| {
            assert!(child.wait_until(Instant::now() + Duration::from_millis(1)).is_none());
            child.handle().signal(libc::SIGTERM);
            assert_eq!(child.wait_until(Instant::now() + LONG).unwrap().signal(), Some(libc::SIGTERM));
            // Nobody gets these signals.
            child.handle().signal(libc::SIGTERM);
            child.handle().kill_group();
        });
    }

    #[test]
    fn the_group_ends_with_its_leader() {
        with_and_without_pidfd("sleep 1000 & wait", |mut child| {
            child.handle().kill_group();
            assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
            let (group, start) = (-child.handle.pid, Instant::now());
            // SAFETY: integers only; signal 0 is none.
            while unsafe { libc::kill(group, 0) } == 0 {
                assert!(start.elapsed() < LONG);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
    }

    #[test]
    fn an_exit_status_that_somebody_else_has_taken_is_unknown() {
        with_and_without_pidfd("exit 3", |mut child| {
            // SAFETY: a null status is allowed.
            assert_eq!(unsafe { libc::waitpid(child.handle.pid, ptr::null_mut(), 0) }, child.handle.pid);
            assert!(child.wait_until(Instant::now() + LONG).is_none());
            assert!(child.wait().is_none());
        });
    }
}
