//! Waits for what the kernel reports by descriptors: ends of processes, and new names in a directory.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;

/// Returns a descriptor that becomes readable when the process ends.
pub fn pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes integers and touches no memory.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as i32;
    owned(fd)
}

fn owned(fd: i32) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just opened, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Waits until one of the descriptors is readable, and returns for each whether it is. If the deadline has passed, all
/// are false.
pub fn readable(fds: &[BorrowedFd], deadline: Instant) -> io::Result<Vec<bool>> {
    let entry = |fd: &BorrowedFd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut polled: Vec<_> = fds.iter().map(entry).collect();
    let left = deadline.saturating_duration_since(Instant::now());
    // SAFETY: there are as many valid entries as the call is passed.
    let ready = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, left.as_millis() as i32) };
    match ready {
        0.. => Ok(polled.iter().map(|entry| entry.revents != 0).collect()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Reports the names that appear in a directory.
pub struct Watch(File);

impl Watch {
    pub fn new(directory: &Path) -> io::Result<Watch> {
        let path = CString::new(directory.as_os_str().as_bytes())?;
        // SAFETY: takes an integer.
        let fd = owned(unsafe { libc::inotify_init1(libc::IN_CLOEXEC) })?;
        // SAFETY: the descriptor is open, and the path a string that outlives the call.
        match unsafe { libc::inotify_add_watch(fd.as_raw_fd(), path.as_ptr(), libc::IN_CREATE | libc::IN_MOVED_TO) } {
            0.. => Ok(Watch(File::from(fd))),
            _ => Err(io::Error::last_os_error()),
        }
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.0)
    }

    /// Returns the names that have appeared. Blocks until there is one.
    pub fn names(&self) -> io::Result<Vec<String>> {
        const HEADER: usize = size_of::<libc::inotify_event>();
        let mut buffer = vec![0; 1 << 16];
        let length = (&self.0).read(&mut buffer)?;
        let mut rest = &buffer[..length];
        let mut names = Vec::new();
        // A header ends with the length of the name behind it. NULs fill the name up.
        while rest.len() >= HEADER {
            let mut size = [0; 4];
            size.copy_from_slice(&rest[HEADER - 4..HEADER]);
            let end = HEADER + u32::from_ne_bytes(size) as usize;
            let name = rest.get(HEADER..end).unwrap_or_default();
            names.push(String::from_utf8_lossy(name).trim_end_matches('\0').to_owned());
            rest = rest.get(end..).unwrap_or_default();
        }
        Ok(names)
    }
}
