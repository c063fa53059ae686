//! The private directory of the user that contains the sockets of shared connections.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::local::sys::{self, Lock};

/// A socket's path must have fewer bytes: it can have at most 107 (sun_path in unix(7)), and ssh first creates the
/// socket under a name that is 17 bytes longer.
const LONGEST_PATH: usize = 90;
/// How many random digits name a socket: 64 bits.
const NAME_LENGTH: usize = 16;
/// How often to create a directory again that others remove.
const TRIES: usize = 100;

/// The directory for sockets: in XDG_RUNTIME_DIR, or else in TMPDIR or /tmp.
///
/// Every manager that uses the directory holds a shared lock on it, and a manager removes it only if it gets an
/// exclusive lock. Whether the directory is empty does not tell whether it is in use: ssh creates a socket long after
/// its name was chosen.
pub(crate) struct SocketDirectory {
    /// The directories to use, the best first.
    candidates: Vec<PathBuf>,
    /// A leaf lock.
    held: Mutex<Vec<Held>>,
}

/// A directory that no manager removes while this value lives.
struct Held {
    directory: PathBuf,
    lock: fs::File,
}

impl Held {
    /// Returns whether this is the directory that has this path now.
    fn is(&self, directory: &Path) -> bool {
        let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let there = fs::symlink_metadata(directory).ok().map(id);
        self.directory == directory && there.is_some() && there == self.lock.metadata().ok().map(id)
    }
}

impl SocketDirectory {
    /// Returns the directories of this user, without creating one.
    pub(crate) fn new() -> SocketDirectory {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let bases = runtime.into_iter().chain([std::env::temp_dir()]);
        let name = format!("sshpm-{}", sys::user_id());
        SocketDirectory { candidates: bases.map(|base| base.join(&name)).collect(), held: Mutex::default() }
    }

    /// Returns a path for a new socket. Creates the directory if it is missing: another program may have cleaned up.
    ///
    /// # Errors
    /// The reasons why none of the directories can be used.
    pub(crate) fn new_socket(&self) -> Result<PathBuf, String> {
        let random = sys::random::<{ NAME_LENGTH / 2 }>().map_err(|e| format!("no random name for a socket: {e}"))?;
        let name = format!("{:016x}", u64::from_ne_bytes(random));
        let mut reasons = Vec::new();
        for directory in &self.candidates {
            match self.prepare(directory, &name) {
                Ok(()) => return Ok(directory.join(name)),
                Err(why) => reasons.push(format!("{}: {why}", directory.display())),
            }
        }
        Err(reasons.join("; "))
    }

    /// Creates a directory, and holds a lock on it. If the directory cannot be locked (no descriptor, a file system
    /// without locks), it is used without a lock.
    fn prepare(&self, directory: &Path, name: &str) -> Result<(), String> {
        for _ in 0..TRIES {
            prepare(directory, name)?;
            if self.held.lock().iter().any(|held| held.is(directory)) {
                return Ok(());
            }
            match sys::lock_directory(directory, Lock::Shared) {
                // The lock counts only if the directory is still there, which is checked next.
                Ok(lock) => self.hold(Held { directory: directory.to_owned(), lock }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    fn hold(&self, new: Held) {
        let mut held = self.held.lock();
        held.retain(|held| held.directory != new.directory);
        held.push(new);
    }

    /// Removes the sockets that killed managers and connections have left, and the directory if it is empty and unused.
    pub(crate) fn remove(&self) {
        self.held.lock().clear();
        for directory in &self.candidates {
            if is_private(directory).is_ok() {
                remove_stale(directory);
                if let Ok(_alone) = sys::lock_directory(directory, Lock::Alone) {
                    // This fails if the directory is not empty.
                    let _ = fs::remove_dir(directory);
                }
            }
        }
    }
}

/// Creates a directory, or checks that an existing one is private, for a socket of this name.
fn prepare(directory: &Path, name: &str) -> Result<(), String> {
    let length = directory.as_os_str().len() + 1 + name.len();
    if length >= LONGEST_PATH {
        return Err(format!("the path of a socket must have at most {} bytes, and has {length}", LONGEST_PATH - 1));
    }
    // ssh expands % and environment variables in the path, and splits it at spaces.
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._+@-".contains(byte);
    if !directory.is_absolute() || !directory.as_os_str().as_bytes().iter().all(plain) {
        return Err("the path is relative, or contains characters that have a meaning in ssh_config".to_owned());
    }
    // The owner of the directory above could replace this directory by another one. Without the sticky bit, everybody
    // who may write there could.
    let base = directory.parent().unwrap_or(directory);
    let metadata = fs::metadata(base).map_err(|error| error.to_string())?;
    let (owner, mode) = (metadata.uid(), metadata.permissions().mode());
    if owner != 0 && owner != sys::user_id() {
        return Err(format!("{} belongs to user {owner}", base.display()));
    }
    if mode & 0o1002 == 0o002 {
        return Err(format!("every user may write to {}, which has no sticky bit", base.display()));
    }
    match DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => is_private(directory),
        Err(error) => Err(error.to_string()),
    }
}

/// Refuses another user's directory, one that others may enter, and a symbolic link, which it does not follow.
fn is_private(directory: &Path) -> Result<(), String> {
    let metadata = fs::symlink_metadata(directory).map_err(|error| error.to_string())?;
    if !metadata.is_dir() {
        return Err("it is not a directory".to_owned());
    }
    if metadata.uid() != sys::user_id() {
        return Err(format!("it belongs to user {}", metadata.uid()));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err("others may enter it".to_owned());
    }
    Ok(())
}

/// Removes the sockets of this crate on which nobody listens. ssh gives a socket its name after it has begun to listen.
fn remove_stale(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let is_socket = entry.file_type().is_ok_and(|kind| kind.is_socket());
        if is_socket && is_ours(&entry.file_name()) && is_dead(&entry.path()) {
            // This fails if the socket was removed meanwhile.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Returns whether this is the name of a socket of this crate.
fn is_ours(name: &OsStr) -> bool {
    name.len() == NAME_LENGTH && name.as_bytes().iter().all(u8::is_ascii_hexdigit)
}

/// Returns whether nobody listens on the socket.
fn is_dead(socket: &Path) -> bool {
    sys::connect(socket).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    fn of(candidates: Vec<PathBuf>) -> SocketDirectory {
        SocketDirectory { candidates, held: Mutex::default() }
    }

    fn directory_in(base: &Path) -> SocketDirectory {
        of(vec![base.join("sshpm")])
    }

    #[test]
    fn a_socket_has_a_private_directory_that_is_removed_when_it_is_empty() {
        let base = tempfile::tempdir().unwrap();
        let directory = directory_in(base.path());
        let socket = directory.new_socket().unwrap();
        let private = socket.parent().unwrap();
        assert_eq!(fs::metadata(private).unwrap().permissions().mode() & 0o777, 0o700);
        let listener = UnixListener::bind(&socket).unwrap();
        directory.remove();
        assert!(socket.exists());
        drop(listener);
        remove_in_time(&directory, private);
    }

    /// Removes the directory in the end: a child of another test has our descriptors until it executes its program.
    fn remove_in_time(directory: &SocketDirectory, private: &Path) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while private.exists() && std::time::Instant::now() < deadline {
            directory.remove();
        }
        assert!(!private.exists());
    }

    #[test]
    fn a_directory_that_another_manager_uses_is_not_removed() {
        let base = tempfile::tempdir().unwrap();
        let (one, other) = (directory_in(base.path()), directory_in(base.path()));
        let private = one.new_socket().unwrap().parent().unwrap().to_owned();
        other.new_socket().unwrap();
        other.remove();
        assert!(private.exists());
        // Another program removes the directory. It is created again, and held again.
        fs::remove_dir(&private).unwrap();
        one.new_socket().unwrap();
        other.new_socket().unwrap();
        other.remove();
        assert!(private.exists());
        remove_in_time(&one, &private);
    }

    #[test]
    fn what_is_not_private_is_refused_and_not_followed() {
        let base = tempfile::tempdir().unwrap();
        let target = base.path().join("target");
        DirBuilder::new().mode(0o700).create(&target).unwrap();
        symlink(&target, base.path().join("sshpm")).unwrap();
        assert!(directory_in(base.path()).new_socket().unwrap_err().contains("not a directory"));
        fs::remove_file(base.path().join("sshpm")).unwrap();
        DirBuilder::new().mode(0o750).create(base.path().join("sshpm")).unwrap();
        fs::set_permissions(base.path().join("sshpm"), fs::Permissions::from_mode(0o750)).unwrap();
        assert!(directory_in(base.path()).new_socket().unwrap_err().contains("others may enter"));
    }

    #[test]
    fn a_directory_that_others_could_replace_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let set_mode = |mode| fs::set_permissions(base.path(), fs::Permissions::from_mode(mode)).unwrap();
        set_mode(0o777);
        assert!(directory_in(base.path()).new_socket().unwrap_err().contains("sticky"));
        for mode in [0o1777, 0o775] {
            set_mode(mode);
            assert!(directory_in(base.path()).new_socket().is_ok(), "{mode:o}");
        }
    }

    #[test]
    fn paths_that_ssh_cannot_take_are_refused_and_the_next_place_is_taken() {
        let base = tempfile::tempdir().unwrap();
        let long = base.path().join("x".repeat(80));
        let good = base.path().join("good");
        let directory = of(vec![long.clone(), base.path().join("a%h"), good.clone()]);
        assert!(directory.new_socket().unwrap().starts_with(&good));
        let none = of(vec![long, base.path().join("no/such")]);
        let why = none.new_socket().unwrap_err();
        assert!(why.contains("bytes") && why.contains("No such file"), "{why}");
    }
}
