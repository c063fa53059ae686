//! Starts a child by posix_spawn(3). Nothing else in the library starts a program.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr;
use std::sync::OnceLock;

use super::child::Child;
use super::sys;

/// The standard streams of a child. A `Command` can take streams, but does not give them back, so they come separately.
pub(crate) struct Streams {
    pub stdin: OwnedFd,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
}

/// Starts the program of a command in a process group of its own, with these streams, no other descriptor, no blocked
/// signal and no ignored one. It uses the parts of the command that can be read back: the program, the arguments and
/// the changes to this program's environment.
///
/// A program without a '/' is looked up in the child's PATH: the command's, where it sets one.
///
/// # Errors
/// `NotFound` and `PermissionDenied` as for execvp(3); other errors of execve(2), such as ENOEXEC; `InvalidInput` for a
/// NUL byte, and for a current directory, which no child needs; and the errors for a system without a free process or
/// descriptor.
pub(crate) fn spawn(command: &Command, streams: Streams) -> io::Result<Child> {
    if command.get_current_dir().is_some() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a child gets no current directory of its own"));
    }
    let image = Image::of(command)?;
    let actions = FileActions::new(streams, add_close_from())?;
    let attributes = Attributes::new()?;
    let path = command.get_envs().find(|(name, _)| *name == "PATH").map(|(_, path)| path.map(OsStr::to_owned));
    let path = path.unwrap_or_else(|| env::var_os("PATH"));
    let pid = first_that_runs(candidates(command.get_program(), path), |file| image.run(file, &actions, &attributes))?;
    // The child has not read anything from its streams yet, so what it starts has this limit from the beginning.
    sys::restore_descriptor_limit(pid);
    Child::new(pid)
}

/// The directories in which execvp(3) looks a program up if there is no PATH.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Returns the files that a program's name can mean, in the order of the PATH.
fn candidates(program: &OsStr, path: Option<OsString>) -> Vec<PathBuf> {
    if program.is_empty() {
        return Vec::new();
    }
    if program.as_bytes().contains(&b'/') {
        return vec![PathBuf::from(program)];
    }
    // An empty entry of the PATH is the current directory.
    env::split_paths(&path.unwrap_or_else(|| DEFAULT_PATH.into())).map(|directory| directory.join(program)).collect()
}

/// Runs the first file that can be run. As execvp(3), it skips files that cannot be found or may not be executed, and
/// returns EACCES only if no later file runs.
fn first_that_runs<T>(files: Vec<PathBuf>, run: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
    let mut error = io::Error::from_raw_os_error(libc::ENOENT);
    for file in files {
        // A missing file is found here, and not by a child, whose SIGCHLD the host program would see.
        let failed = match fs::metadata(&file).and_then(|_| run(&file)) {
            Ok(running) => return Ok(running),
            Err(failed) => failed,
        };
        match failed.raw_os_error() {
            Some(libc::EACCES) => error = failed,
            Some(libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT | libc::ENAMETOOLONG) => {
            }
            _ => return Err(failed),
        }
    }
    Err(error)
}

/// The arguments and the environment for execve(2).
struct Image {
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

/// The text by which std replaces a program or an argument with a NUL byte, to refuse it in its own `spawn`.
const WITH_NUL: &str = "<string-with-nul>";

impl Image {
    fn of(command: &Command) -> io::Result<Image> {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let arguments = words.map(|word| match word {
            word if word == WITH_NUL => Err(io::Error::new(io::ErrorKind::InvalidInput, "an argument has a NUL byte")),
            word => c_string(word.to_owned()),
        });
        let changes: BTreeMap<_, _> = command.get_envs().collect();
        let kept = env::vars_os().filter(|(name, _)| !changes.contains_key(name.as_os_str()));
        let set = changes.iter().filter_map(|(name, value)| Some((name.into(), value.as_ref()?.into())));
        let environment = kept.chain(set).map(|(mut variable, value): (OsString, OsString)| {
            variable.push("=");
            variable.push(value);
            c_string(variable)
        });
        Ok(Image {
            arguments: arguments.collect::<io::Result<_>>()?,
            environment: environment.collect::<io::Result<_>>()?,
        })
    }

    fn run(&self, file: &Path, actions: &FileActions, attributes: &Attributes) -> io::Result<libc::pid_t> {
        let file = c_string(file.into())?;
        let (arguments, environment) = (pointers(&self.arguments), pointers(&self.environment));
        let mut pid = 0;
        // SAFETY: all pointers are to initialised objects that live until the call returns, and the two lists end
        // with a null pointer. posix_spawn writes to none of the strings: they are not const for historical reasons.
        check(unsafe {
            libc::posix_spawn(
                &mut pid,
                file.as_ptr(),
                &*actions.raw,
                &*attributes.0,
                arguments.as_ptr(),
                environment.as_ptr(),
            )
        })?;
        Ok(pid)
    }
}

fn c_string(text: OsString) -> io::Result<CString> {
    // The error names the position in the text, but does not quote the text, which can be a secret.
    Ok(CString::new(text.into_vec())?)
}

fn pointers(strings: &[CString]) -> Vec<*mut libc::c_char> {
    strings.iter().map(|string| string.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect()
}

/// Checks the result of a function of the posix_spawn family, which is an error number, and not -1 with errno.
fn check(error: libc::c_int) -> io::Result<()> {
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

/// The child's signals and its process group. Boxed, because POSIX does not say that such an object can be moved.
struct Attributes(Box<libc::posix_spawnattr_t>);

impl Attributes {
    fn new() -> io::Result<Attributes> {
        // SAFETY: an object of plain data, which the next call initialises.
        let mut raw: Box<libc::posix_spawnattr_t> = Box::new(unsafe { mem::zeroed() });
        // SAFETY: the pointer is to memory of this type.
        check(unsafe { libc::posix_spawnattr_init(&mut *raw) })?;
        let mut attributes = Attributes(raw);
        let raw = &mut *attributes.0;
        // SAFETY: sigset_t is plain data. In `none` no bit is set and in `all` each is: sigfillset leaves out 32 and
        // 33, which glibc keeps for itself, and which posix_spawn has the child ignore unless they are in this set.
        let (none, all) = unsafe {
            let mut all: libc::sigset_t = mem::zeroed();
            ptr::write_bytes(&mut all, 0xff, 1);
            (mem::zeroed(), all)
        };
        let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETPGROUP;
        // SAFETY: the attributes are initialised, and the sets are of this frame and are copied.
        unsafe {
            check(libc::posix_spawnattr_setflags(raw, flags as libc::c_short))?;
            check(libc::posix_spawnattr_setsigmask(raw, &none))?;
            check(libc::posix_spawnattr_setsigdefault(raw, &all))?;
            // A process group of its own, because Ctrl-C in the host program's terminal is only for the host program.
            check(libc::posix_spawnattr_setpgroup(raw, 0))?;
        }
        Ok(attributes)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: they are initialised, and nobody uses them any more.
        unsafe { libc::posix_spawnattr_destroy(&mut *self.0) };
    }
}

/// What the child does with descriptors before it becomes the program.
struct FileActions {
    /// Boxed, because POSIX does not say that such an object can be moved.
    raw: Box<libc::posix_spawn_file_actions_t>,
    /// The streams that the actions name by number. They stay open until the child has them.
    streams: [OwnedFd; 3],
}

/// posix_spawn_file_actions_addclosefrom_np.
type AddCloseFrom = unsafe extern "C" fn(*mut libc::posix_spawn_file_actions_t, libc::c_int) -> libc::c_int;

impl FileActions {
    fn new(streams: Streams, add_close_from: Option<AddCloseFrom>) -> io::Result<FileActions> {
        let Streams { stdin, stdout, stderr } = streams;
        let streams = [above_streams(stdin)?, above_streams(stdout)?, above_streams(stderr)?];
        // SAFETY: an object of plain data, which the next call initialises.
        let mut raw: Box<libc::posix_spawn_file_actions_t> = Box::new(unsafe { mem::zeroed() });
        // SAFETY: the pointer is to memory of this type.
        check(unsafe { libc::posix_spawn_file_actions_init(&mut *raw) })?;
        let mut actions = FileActions { raw, streams };
        let raw = &mut *actions.raw;
        for (stream, source) in (0..).zip(&actions.streams) {
            // SAFETY: the actions are initialised, and no other argument is a pointer.
            check(unsafe { libc::posix_spawn_file_actions_adddup2(raw, source.as_raw_fd(), stream) })?;
        }
        match add_close_from {
            // SAFETY: the actions are initialised, and the function has this type.
            Some(add_close_from) => check(unsafe { add_close_from(raw, FIRST_OTHER) })?,
            None => inherited_descriptors().into_iter().for_each(|fd| {
                // It refuses a number above this program's limit of descriptors. The limit was then lowered after the
                // descriptor was opened, and the child inherits that descriptor.
                // SAFETY: the actions are initialised.
                unsafe { libc::posix_spawn_file_actions_addclose(raw, fd) };
            }),
        }
        Ok(actions)
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: they are initialised, and nobody uses them any more.
        unsafe { libc::posix_spawn_file_actions_destroy(&mut *self.raw) };
    }
}

/// The first descriptor that is not a standard stream.
const FIRST_OTHER: libc::c_int = libc::STDERR_FILENO + 1;

/// Returns the descriptor, or a copy of it above the standard streams. A lower one comes from a host program that has
/// closed its own streams. An earlier dup2 could overwrite it, and one that already has the right number would keep its
/// close-on-exec flag.
fn above_streams(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() >= FIRST_OTHER {
        return Ok(fd);
    }
    // SAFETY: fcntl takes integers here.
    let moved = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, FIRST_OTHER) };
    // SAFETY: a descriptor that was just made is owned by nobody else.
    if moved < 0 { Err(io::Error::last_os_error()) } else { Ok(unsafe { OwnedFd::from_raw_fd(moved) }) }
}

/// Returns posix_spawn_file_actions_addclosefrom_np; `None` before glibc 2.34, and in statically linked programs.
fn add_close_from() -> Option<AddCloseFrom> {
    static FOUND: OnceLock<Option<AddCloseFrom>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        // SAFETY: the name is NUL-terminated.
        let found =
            unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"posix_spawn_file_actions_addclosefrom_np".as_ptr().cast()) };
        // SAFETY: it is null, which is `None`, or the function of this name, which has this type.
        unsafe { mem::transmute::<*mut libc::c_void, Option<AddCloseFrom>>(found) }
    })
}

/// Returns the descriptors that exec(2) would pass on: those that were opened without O_CLOEXEC, as in most C programs.
/// With them, a child could hold a listening socket of the host program for as long as it lives.
fn inherited_descriptors() -> Vec<libc::c_int> {
    let entries = fs::read_dir("/proc/self/fd").or_else(|_| fs::read_dir("/dev/fd"));
    let numbers = entries.into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_inherited = |fd: &libc::c_int| {
        // SAFETY: fcntl takes integers here; a descriptor that was closed meanwhile is an error.
        let flags = unsafe { libc::fcntl(*fd, libc::F_GETFD) };
        flags >= 0 && flags & libc::FD_CLOEXEC == 0
    };
    numbers.filter(|fd| *fd >= FIRST_OTHER).filter(is_inherited).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::process::Stdio;

    use super::*;

    fn null() -> OwnedFd {
        File::options().read(true).write(true).open("/dev/null").unwrap().into()
    }

    pub(in super::super) fn spawn_silent(command: &Command) -> io::Result<Child> {
        spawn(command, Streams { stdin: null(), stdout: null(), stderr: null() })
    }

    /// Returns what a child writes to stdout, when it is started with these file actions.
    fn said(command: &Command, add_close_from: Option<AddCloseFrom>) -> String {
        let (mut reader, writer) = io::pipe().unwrap();
        let streams = Streams {
            stdin: null(),
            stdout: writer.into(),
            stderr: io::stderr().as_fd().try_clone_to_owned().unwrap(),
        };
        let actions = FileActions::new(streams, add_close_from).unwrap();
        let image = Image::of(command).unwrap();
        let pid = image.run(Path::new(command.get_program()), &actions, &Attributes::new().unwrap()).unwrap();
        drop(actions);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(Child::new(pid).unwrap().wait().unwrap().code(), Some(0), "{text}");
        text
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_child_blocks_and_ignores_no_signal() {
        let ignored = [libc::SIGUSR2, libc::SIGRTMAX()];
        for signal in ignored {
            // SAFETY: SIG_IGN is no function of ours, and no other test of this program depends on these signals.
            unsafe { libc::signal(signal, libc::SIG_IGN) };
        }
        let status = crate::local::sys::spawn_thread("test", crate::local::sys::SMALL_STACK, || {
            let mut cat = Command::new("/bin/cat");
            let status = said(cat.arg("/proc/self/status"), add_close_from());
            for field in ["SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd"] {
                let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t"));
                assert_eq!(line, Some("0000000000000000"), "{field}");
            }
        });
        status.unwrap().join().unwrap();
    }

    #[test]
    fn a_child_leads_a_group_of_its_own_in_the_programs_session() {
        let stat = said(Command::new("/bin/cat").arg("/proc/self/stat"), add_close_from());
        let numbers: Vec<i32> =
            stat.rsplit_once(')').unwrap().1.split(' ').skip(2).take(3).map(|field| field.parse().unwrap()).collect();
        let pid: i32 = stat.split(' ').next().unwrap().parse().unwrap();
        // SAFETY: integers only.
        let session = unsafe { libc::getsid(0) };
        assert_eq!(numbers, [std::process::id() as i32, pid, session]);
    }

    /// Tries glibc's own function, and the way without it, as before glibc 2.34.
    #[test]
    fn a_child_inherits_no_descriptor_but_its_streams() {
        let ends = io::pipe().unwrap();
        let fds = [ends.0.as_raw_fd(), ends.1.as_raw_fd()];
        for fd in fds {
            // SAFETY: fcntl takes integers here.
            assert_eq!(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) }, 0);
        }
        assert!(fds.iter().all(|fd| inherited_descriptors().contains(fd)));
        let script = fds.map(|fd| format!("[ ! -e /proc/$$/fd/{fd} ] || exit 1\n")).concat();
        for add_close_from in [add_close_from(), None] {
            assert_eq!(said(&shell(&format!("{script} echo closed")), add_close_from), "closed\n");
        }
    }

    /// A daemon closes its streams. The first descriptors that it then opens are 0, 1 and 2.
    #[test]
    fn the_streams_arrive_also_where_the_program_has_closed_its_own() {
        const NAME: &str = "local::spawn::tests::the_streams_arrive_also_where_the_program_has_closed_its_own";
        const RESULT: &str = "SSHPM_TEST_RESULT";
        let Some(result) = env::var_os(RESULT) else {
            let result = tempfile::NamedTempFile::new().unwrap();
            let mut again = Command::new(env::current_exe().unwrap());
            again.args(["--exact", NAME, "--test-threads=1"]).env(RESULT, result.path()).stdout(Stdio::null());
            assert!(again.status().unwrap().success());
            assert_eq!(fs::read_to_string(result.path()).unwrap(), "<in> out err");
            return;
        };
        let mut result = File::options().write(true).open(result).unwrap();
        let (mut stdout, stdout_writer) = io::pipe().unwrap();
        let (stdin, mut input) = io::pipe().unwrap();
        let (mut stderr, stderr_writer) = io::pipe().unwrap();
        // Each stream is where another one belongs.
        let at = |place: libc::c_int, fd: OwnedFd| {
            // SAFETY: integers only. This process runs this test only, and nobody uses its own streams.
            assert_eq!(unsafe { libc::dup3(fd.as_raw_fd(), place, libc::O_CLOEXEC) }, place);
            // SAFETY: dup3 has just made this descriptor, and nobody else uses this process's own streams.
            unsafe { OwnedFd::from_raw_fd(place) }
        };
        let stdout_writer = at(libc::STDIN_FILENO, stdout_writer.into());
        let stderr_writer = at(libc::STDOUT_FILENO, stderr_writer.into());
        let stdin = at(libc::STDERR_FILENO, stdin.into());
        let streams = Streams { stdin, stdout: stdout_writer, stderr: stderr_writer };
        let mut child = spawn(&shell("read word; echo \"<$word> out\"; echo err >&2"), streams).unwrap();
        input.write_all(b"in\n").unwrap();
        let (mut out, mut err) = (String::new(), String::new());
        stdout.read_to_string(&mut out).unwrap();
        stderr.read_to_string(&mut err).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
        write!(result, "{} {}", out.trim(), err.trim()).unwrap();
        for _ in 0..3 {
            // For the test runner, which goes on to use its streams.
            mem::forget(null());
        }
    }

    #[test]
    fn the_environment_is_this_programs_with_the_commands_changes() {
        // SAFETY: no other test of this program reads or writes these two, and std guards the list itself.
        unsafe {
            env::set_var("SSHPM_TEST_KEPT", "a=b");
            env::set_var("SSHPM_TEST_REMOVED", "x");
        }
        let mut command = shell("echo \"$SSHPM_TEST_KEPT ${SSHPM_TEST_REMOVED-none} $SSHPM_TEST_ADDED\"");
        command.env_remove("SSHPM_TEST_REMOVED").env("SSHPM_TEST_ADDED", "c d");
        assert_eq!(said(&command, add_close_from()), "a=b none c d\n");
    }

    #[test]
    fn a_name_is_looked_up_in_the_childs_path_as_execvp_does() {
        let place = tempfile::tempdir().unwrap();
        let [denied, good, missing] = ["denied", "good", "missing"].map(|name| place.path().join(name));
        fs::create_dir(&denied).unwrap();
        fs::write(denied.join("prog"), "").unwrap();
        fs::create_dir(&good).unwrap();
        std::os::unix::fs::symlink("/bin/true", good.join("prog")).unwrap();
        // No component of a path can be below a file.
        let file = good.join("prog");
        let outcome = |directories: &[&Path]| {
            let mut command = Command::new("prog");
            let child = spawn_silent(command.env("PATH", env::join_paths(directories).unwrap()));
            child.map(|mut child| child.wait().unwrap().code().unwrap()).map_err(|error| error.kind())
        };
        assert_eq!(outcome(&[&missing, &file, &denied, &good]), Ok(0));
        assert_eq!(outcome(&[&denied, &missing]), Err(io::ErrorKind::PermissionDenied));
        assert_eq!(outcome(&[&missing, &file]), Err(io::ErrorKind::NotFound));
        assert_eq!(outcome(&[]), Err(io::ErrorKind::NotFound));
        assert_eq!(candidates("sh".as_ref(), None), [Path::new("/bin/sh"), Path::new("/usr/bin/sh")]);
        assert_eq!(candidates("sh".as_ref(), Some("/a::/b".into())), ["/a/sh", "sh", "/b/sh"].map(PathBuf::from));
        assert_eq!(candidates("./sh".as_ref(), Some("/a".into())), [PathBuf::from("./sh")]);
    }

    #[test]
    fn what_cannot_be_executed_says_why() {
        let kind = |command: &Command| spawn_silent(command).err().map(|error| (error.kind(), error.raw_os_error()));
        assert_eq!(kind(&Command::new("/nowhere/prog")), Some((io::ErrorKind::NotFound, Some(libc::ENOENT))));
        assert_eq!(kind(&Command::new("")), Some((io::ErrorKind::NotFound, Some(libc::ENOENT))));
        assert_eq!(kind(&Command::new("/etc/passwd")), Some((io::ErrorKind::PermissionDenied, Some(libc::EACCES))));
        // By another process, because a program that somebody has open for writing is ETXTBSY.
        let place = tempfile::tempdir().unwrap();
        let empty = place.path().join("empty");
        assert!(Command::new("install").args(["-m", "755", "/dev/null"]).arg(&empty).status().unwrap().success());
        // Neither a program nor a script that names its interpreter.
        assert_eq!(kind(&Command::new(&empty)).unwrap().1, Some(libc::ENOEXEC));
        let refused = Some((io::ErrorKind::InvalidInput, None));
        assert_eq!(kind(Command::new("true").current_dir("/")), refused);
        assert_eq!(kind(Command::new("true").arg("a\0b")), refused);
        assert_eq!(kind(&Command::new("tr\0ue")), refused);
        assert_eq!(kind(Command::new("true").env("A", "b\0c")), refused);
    }

    #[test]
    fn nothing_else_starts_a_program() {
        // This file, and a file that has only tests.
        let is_exempt = |path: &Path| path.ends_with("local/spawn.rs") || path.ends_with("start/hosted.rs");
        let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        let (mut looked_at, mut found) = (0, Vec::new());
        while let Some(directory) = directories.pop() {
            for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    directories.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") && !is_exempt(&path) {
                    looked_at += 1;
                    let text = fs::read_to_string(&path).unwrap();
                    let code = text.split("#[cfg(test)]\n").next().unwrap();
                    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
                    let calls = [
                        ".spawn()",
                        ".output()",
                        ".status()",
                        ".exec()",
                        "pre_exec",
                        "fork(",
                        "posix_spawn(",
                        "libc::exec",
                    ];
                    found.extend(calls.into_iter().filter(|call| code.contains(call)).map(|call| (path.clone(), call)));
                }
            }
        }
        assert!(looked_at > 40, "{looked_at}");
        assert!(found.is_empty(), "these have to call local::spawn: {found:?}");
    }
}
