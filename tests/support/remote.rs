//! A remote host for one test: a real sshd on loopback, with its own users and files where namespaces work.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::builder::{Layout, RemoteBuilder, current_user, test_app, write};
use super::launched::{self, By, launched_by};
use super::procs::{self, ProcessInfo};
use super::{
    DEADLINE, LOG, files_below, install, namespaces_work, network_namespace, shorten_lines, skipped, wait_until,
};

/// An account on the remote.
#[derive(Debug, Clone)]
pub struct User {
    pub name: String,
    /// What tests call it: "zsh", or "root".
    pub shell_name: String,
    pub shell: PathBuf,
    pub uid: u32,
    pub home: PathBuf,
}

/// One sshd with everything that it started. Dropping it ends everything and removes its directory. If this process
/// dies instead, in any way, the guard does so.
pub struct Remote {
    layout: Layout,
    /// It waits until its stdin ends: see guard.rs.
    guard: Child,
    /// The pid of sshd's listener, or of the listener's parent where the listener is replaced.
    sshd: i32,
    /// The file system that this thread had before it moved to the remote.
    outside: Option<File>,
}

impl Remote {
    #[track_caller]
    pub fn start() -> Remote {
        Remote::builder().start()
    }

    pub fn builder() -> RemoteBuilder {
        RemoteBuilder::default()
    }

    /// Starts a remote that drops every connection but one before its login. That one is taken until the returned
    /// connection is dropped; sshd notices a moment later.
    #[track_caller]
    pub fn throttled() -> (Remote, HeldConnection) {
        let remote = Remote::builder().sshd_option("MaxStartups 1:100:1").start();
        let held = remote.hold_connection();
        (remote, held)
    }

    #[track_caller]
    pub(super) fn start_with(builder: &RemoteBuilder) -> Remote {
        // Another program may have taken the port in between.
        for _ in 0..20 {
            let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("r{}", &random_hex()[..8]));
            let layout = builder.lay_out(dir, random_hex(), namespaces_work());
            if let Some(remote) = Remote::run(layout) {
                return remote;
            }
        }
        panic!("found no port for sshd");
    }

    /// Returns `None` when sshd could not get its port.
    #[track_caller]
    fn run(layout: Layout) -> Option<Remote> {
        let log = File::create(layout.dir.join("sshd.log")).expect("sshd's log");
        drop(log);
        // For appending, because the guard, sshd and its children all write to it.
        let log = OpenOptions::new().append(true).open(layout.dir.join("sshd.log")).expect("sshd's log");
        let mut command = Command::new(test_app());
        command.arg("guard").args([layout.dir.as_os_str(), OsStr::new(&layout.mark)]).args(&layout.command);
        command.stdin(Stdio::piped()).stdout(log.try_clone().expect("dup")).stderr(log);
        // The remote gets no variable of the test process, but a PATH that finds unshare.
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        // Ctrl-C in the terminal ends the tests. The guard must outlive them to clean up.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let guard = command.spawn().expect("cannot start test-app as the guard");
        let mut remote = Remote { layout, guard, sshd: 0, outside: None };
        let listening = wait_until("sshd listens (see its log in the output)", DEADLINE, || {
            let log = remote.log();
            // sshd's bind or its listen fails, whichever comes second.
            if log.contains("Address already in use") {
                return Some(false);
            }
            assert!(!log.contains("guard:"), "sshd did not start:\n{}", shorten_lines(&log, LOG));
            (log.matches("Server listening on").count() >= remote.layout.listens).then_some(true)
        });
        if !listening {
            return None;
        }
        let pid = fs::read_to_string(remote.layout.dir.join("pid")).expect("the pid that setup.sh wrote");
        remote.sshd = pid.trim().parse().expect("a pid");
        remote.prepare();
        if launched_by().is_inside() {
            remote.outside = Some(remote.enter());
        }
        Some(remote)
    }

    /// Returns the file for `ssh -F`. Hosts alpha, beta and gamma are this remote. Each other host fails in its own
    /// way: refused, silent, unresolved, unreachable (see `unreachable_ssh`), wrongkey, unknownkey, changedkey.
    pub fn ssh_config(&self) -> PathBuf {
        self.layout.dir.join("ssh_config")
    }

    /// Returns a file with a user's own lines above those of `ssh_config`. They win, because ssh uses the first value
    /// of a keyword.
    pub fn user_config(&self, lines: &str) -> PathBuf {
        let file = self.layout.dir.join("user_config");
        write(&file, format!("{lines}\nMatch all\nInclude \"{}\"\n", self.ssh_config().display()), 0o600);
        file
    }

    /// Returns an `ssh` command to a host of ssh_config ("sshpm-zsh@alpha") that asks no questions. The caller adds
    /// options and the remote command.
    pub fn ssh(&self, host: &str) -> Command {
        let mut command = Command::new("ssh");
        command.arg("-F").arg(self.ssh_config()).args(["-o", "BatchMode=yes", host]).stdin(Stdio::null());
        command
    }

    pub fn port(&self) -> u16 {
        self.layout.port
    }

    /// Returns a directory of this remote for the test's own local files, as this process sees it. It has mode 0700.
    pub fn dir(&self) -> &Path {
        &self.layout.dir
    }

    /// Returns where this process sees the remote's file system, as long as sshd lives.
    pub fn root(&self) -> PathBuf {
        if self.layout.users.is_some() { format!("/proc/{}/root", self.sshd).into() } else { "/".into() }
    }

    /// Returns a path of the remote as this process can open it.
    pub fn local(&self, remote_path: &Path) -> PathBuf {
        self.root().join(remote_path.strip_prefix("/").expect("an absolute path on the remote"))
    }

    /// Returns the path of test-app, as the remote sees it.
    pub fn app(&self) -> PathBuf {
        self.layout.app.clone()
    }

    /// Returns a directory to which all users of the remote can write, as the remote sees it.
    pub fn scratch(&self) -> PathBuf {
        self.layout.scratch.clone()
    }

    #[track_caller]
    pub fn read(&self, remote_path: impl AsRef<Path>) -> Vec<u8> {
        let path = self.local(remote_path.as_ref());
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Returns root and one user for each installed login shell. Without namespaces, returns this user only.
    pub fn users(&self) -> Vec<User> {
        self.layout.users.clone().unwrap_or_else(|| {
            vec![User {
                name: current_user(),
                shell_name: String::new(),
                shell: std::env::var_os("SHELL").unwrap_or_default().into(),
                // SAFETY: no arguments.
                uid: unsafe { libc::geteuid() },
                home: std::env::var_os("HOME").unwrap_or_default().into(),
            }]
        })
    }

    /// Returns the user with this login shell ("zsh"), or "root".
    pub fn user(&self, shell_name: &str) -> Option<User> {
        self.users().into_iter().find(|user| user.shell_name == shell_name)
    }

    /// Returns whether the remote has its own users and file system. If not, reports that the test is skipped: the test
    /// returns then.
    #[must_use]
    pub fn require_users(&self, why: &str) -> bool {
        if self.layout.users.is_none() {
            skipped(&format!("no root or no mount namespaces here: {why}"));
        }
        self.layout.users.is_some()
    }

    pub(super) fn has_users(&self) -> bool {
        self.layout.users.is_some()
    }

    /// Returns the variables that logins of this user have beside the usual ones.
    pub(super) fn login_variables(&self, user: &User) -> Vec<(String, String)> {
        let mut variables = self.layout.env.clone();
        if self.layout.runtime_dirs {
            variables.push(("XDG_RUNTIME_DIR".to_owned(), format!("/run/user/{}", user.uid)));
        }
        variables
    }

    /// Runs `mount` in the remote's own file system. Needs a remote with users.
    #[track_caller]
    pub fn mount(&self, arguments: &[&str]) {
        self.enter_and("mount", arguments);
    }

    /// Hides a program from the remote, if the remote has it.
    #[track_caller]
    pub fn take_away(&self, program: &str) {
        if self.local(Path::new(program)).exists() {
            self.mount(&["--bind", "/dev/null", program]);
        }
    }

    #[track_caller]
    pub fn unmount(&self, place: &str) {
        self.enter_and("umount", &[place]);
    }

    #[track_caller]
    fn enter_and(&self, program: &str, arguments: &[&str]) {
        let root = self.root();
        let sshd = root.parent().and_then(Path::file_name).expect("a remote with users");
        let mut command = Command::new("nsenter");
        command.arg("-t").arg(sshd).args(["-m", program]).args(arguments);
        assert!(command.status().expect("nsenter").success(), "{program} {arguments:?}");
    }

    #[track_caller]
    pub fn mount_tmpfs(&self, directory: &str, options: &str) {
        fs::create_dir_all(self.local(Path::new(directory))).expect("a place to mount at");
        self.mount(&["-t", "tmpfs", "-o", options, "sshpm-test", directory]);
    }

    /// Returns sshd's log.
    pub fn log(&self) -> String {
        let log = fs::read(self.layout.dir.join("sshd.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).replace('\r', "")
    }

    /// Returns how many logins there have been, without the one that started Slurm.
    pub fn logins(&self) -> usize {
        self.log().matches("Accepted publickey").count() - usize::from(launched_by() == By::Slurm)
    }

    /// Returns all processes of the remote, daemons too, but without sshd, Slurm, and the processes that keep managers'
    /// connections open.
    pub fn processes(&self) -> Vec<ProcessInfo> {
        self.split().0
    }

    /// Returns the processes that keep shared connections open: for each a shell, its lease, and the lease's sleep.
    pub fn connections(&self) -> Vec<ProcessInfo> {
        self.split().1
    }

    fn split(&self) -> (Vec<ProcessInfo>, Vec<ProcessInfo>) {
        let mut others = self.members();
        others.retain(|process| !process.is_sshd() && process.slurm_program().is_none() && process.pid != self.sshd);
        let is_connection =
            |process: &ProcessInfo| process.cmdline.last().is_some_and(|word| word == "sshpm-connection");
        let shells: Vec<_> = others.iter().filter(|process| is_connection(process)).map(|shell| shell.pid).collect();
        others.into_iter().partition(|process| !is_connection(process) && !shells.contains(&process.ppid))
    }

    /// Returns the sshd processes of the connections, two for each: monitor and user. Tests of lost links kill or stop
    /// them.
    pub fn session_sshds(&self) -> Vec<ProcessInfo> {
        let listener = |process: &ProcessInfo| match self.layout.respawns {
            true => process.ppid == self.sshd,
            false => process.pid == self.sshd,
        };
        self.members().into_iter().filter(|process| process.is_sshd() && !listener(process)).collect()
    }

    /// Returns the pid by which the remote's namespaces can be entered: of sshd's listener, or of its parent where the
    /// listener is replaced.
    pub fn holder(&self) -> i32 {
        self.sshd
    }

    /// Returns the value of `MARK`. A process that carries it counts as one of this remote, and ends with it.
    pub fn mark(&self) -> &str {
        &self.layout.mark
    }

    /// Returns all processes of the remote, sshd too.
    pub fn all_processes(&self) -> Vec<ProcessInfo> {
        self.members()
    }

    fn members(&self) -> Vec<ProcessInfo> {
        let mut members = procs::of_remote(self.guard.id() as i32, &self.layout.mark);
        if launched_by() != By::Ssh {
            // A process that has lost its ancestors and has cleared its environment is no descendant of the guard. But
            // it sees the remote's files.
            let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
            let (here, me) = (namespace(self.sshd), std::process::id() as i32);
            let known: Vec<_> = members.iter().map(|process| process.pid).collect();
            members.extend(procs::all().into_iter().filter(|process| {
                let is_new = process.pid != me && !process.is_zombie() && !known.contains(&process.pid);
                is_new && here.is_some() && namespace(process.pid) == here
            }));
        }
        members
    }

    /// Opens a connection that never logs in. When this returns, sshd has counted it.
    #[track_caller]
    pub fn hold_connection(&self) -> HeldConnection {
        let mut stream = TcpStream::connect(("127.0.0.1", self.layout.port)).expect("a connection to sshd");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        let mut banner = [0; 8];
        stream.read_exact(&mut banner).expect("sshd's banner");
        assert_eq!(&banner, b"SSH-2.0-");
        HeldConnection { _stream: stream }
    }

    /// Returns a program to use as `ssh`: the real one, in a network that has no route to any host, for the alias
    /// `unreachable`. Where there are no network namespaces, reports that and returns `None`.
    pub fn unreachable_ssh(&self) -> Option<PathBuf> {
        let Some(options) = network_namespace() else {
            skipped("unshare --net does not work here");
            return None;
        };
        Some(self.program("no-network-ssh", &format!("exec unshare {} ssh \"$@\"", options.join(" "))))
    }

    /// Makes a local program of this script for /bin/sh, and returns its path.
    pub fn program(&self, name: &str, script: &str) -> PathBuf {
        let (draft, program) = (self.layout.dir.join(format!("{name}.sh")), self.layout.dir.join(name));
        write(&draft, format!("#!/bin/sh\n{script}\n"), 0o755);
        install(&draft, &program, 0o755);
        program
    }

    /// Waits until nothing runs on the remote and no runtime file is left.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        if let Err(left) = self.nothing_left_within(DEADLINE) {
            panic!("left on the remote:\n{left}");
        }
    }

    /// Waits until nothing runs on the remote and no runtime file is left. Returns what is left after the deadline as
    /// the error.
    pub fn nothing_left_within(&self, deadline: Duration) -> Result<(), String> {
        let start = Instant::now();
        loop {
            let (processes, files) = (self.processes(), self.runtime_files());
            if processes.is_empty() && files.is_empty() {
                return Ok(());
            }
            if start.elapsed() >= deadline {
                let processes: Vec<_> = processes.iter().map(ProcessInfo::describe).collect();
                return Err(format!("files: {files:#?}\nprocesses:\n{}", processes.join("\n")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns the files in the directories to which the wrapper may write, as the remote sees them, without
    /// directories.
    pub fn runtime_files(&self) -> Vec<PathBuf> {
        let mut dirs = self.layout.state_dirs.clone();
        if self.layout.users.is_some() {
            let tmp = fs::read_dir(self.local(Path::new("/tmp"))).into_iter().flatten().flatten();
            let drunc = tmp.map(|entry| entry.file_name()).filter(|name| name.to_string_lossy().starts_with("drunc"));
            dirs.extend(drunc.map(|name| Path::new("/tmp").join(name)));
        }
        let mut files = Vec::new();
        for dir in dirs {
            let local = self.local(&dir);
            let found = files_below(&local).into_iter();
            files.extend(found.map(|file| dir.join(file.strip_prefix(&local).expect("a file below it"))));
        }
        files.sort();
        files
    }

    /// Ends the remote. Fails if that is not possible.
    #[track_caller]
    pub fn stop(mut self) {
        let status = self.end();
        let dir = &self.layout.dir;
        assert!(status.is_some_and(|status| status.success()) && !dir.exists(), "see {}", dir.display());
    }

    fn end(&mut self) -> Option<std::process::ExitStatus> {
        if let Some(outside) = self.outside.take() {
            launched::go_to(&outside);
        }
        // The guard waits for this.
        drop(self.guard.stdin.take());
        // It has a deadline of its own.
        self.guard.wait().ok()
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("sshd's log:\n{}", shorten_lines(&self.log(), LOG));
            self.end();
            return;
        }
        let deadline = Instant::now() + DEADLINE;
        while !self.connections().is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        let left = self.connections();
        self.end();
        assert!(left.is_empty(), "connections that outlived their managers: {left:#?}");
    }
}

/// See `Remote::hold_connection`.
pub struct HeldConnection {
    _stream: TcpStream,
}

/// 128 random bits.
pub fn random_hex() -> String {
    let mut bytes = [0; 16];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).expect("/dev/urandom");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
