//! Lays out the files of a `Remote` in its directory: users, keys and configuration files.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::launched::launched_by;
use super::procs::MARK;
use super::remote::{Remote, User};

/// The login shells. Each that is installed gets a user of its own: `sshpm-bash` and so on.
const SHELLS: [&str; 7] = ["bash", "dash", "zsh", "tcsh", "fish", "ksh93", "mksh"];
const FIRST_UID: u32 = 61_000;

/// The directory of sshd's and test-app's own files, on a remote with its own file system. Every user can read it.
const REMOTE_DIR: &str = "/run/remote";

/// A shell function that replaces the machine's account files by copies.
pub const OWN_ETC: &str = include_str!("own_etc.sh");

/// How sshd is started where the remote is this machine.
const RUN: &str = "echo $$ >pid; exec \"$0\" -D -e -f sshd_config";
const RESPAWN: &str = "echo $$ >pid; while :; do \"$0\" -D -e -f sshd_config || sleep 0.1; done";

#[derive(Debug, Clone, Default)]
pub struct RemoteBuilder {
    options: Vec<String>,
    files: Vec<(String, PathBuf, Vec<u8>)>,
    env: Vec<(String, String)>,
    runtime_dirs: bool,
    own_network: bool,
    respawns: bool,
}

/// What `start` needs to know of the files.
pub(super) struct Layout {
    /// The directory of the remote, as this process sees it.
    pub dir: PathBuf,
    pub mark: String,
    pub port: u16,
    /// `None` without namespaces. Then the remote is this machine, and its user is this user.
    pub users: Option<Vec<User>>,
    pub app: PathBuf,
    pub scratch: PathBuf,
    /// Where files could be left, as the remote sees it.
    pub state_dirs: Vec<PathBuf>,
    /// The listener that the alias `silent` connects to.
    pub silent: TcpListener,
    /// The command that the guard runs.
    pub command: Vec<PathBuf>,
    /// Whether the command is the parent of sshd's listener, and not sshd itself.
    pub respawns: bool,
    /// The variables of each login, and whether it has an XDG_RUNTIME_DIR of its own.
    pub env: Vec<(String, String)>,
    pub runtime_dirs: bool,
    /// On how many addresses sshd reports that it listens.
    pub listens: usize,
}

impl RemoteBuilder {
    /// Adds a line to sshd_config, which overrides the harness's own: "MaxStartups 1:100:1".
    pub fn sshd_option(mut self, line: &str) -> Self {
        self.options.push(line.to_owned());
        self
    }

    /// Adds a file to a user's home directory before sshd starts: `user_file("zsh", ".zshenv", "echo noise")`. The user
    /// is named by its shell, or "root". Has no effect where `require_users` returns false.
    pub fn user_file(mut self, user: &str, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.push((user.to_owned(), path.into(), content.as_ref().to_vec()));
        self
    }

    /// Adds a variable to the environment of each login.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Gives every user an XDG_RUNTIME_DIR, /run/user/UID, as logind does.
    pub fn runtime_dirs(mut self) -> Self {
        self.runtime_dirs = true;
        self
    }

    /// Gives the remote a network namespace with nothing but a loopback. Needs root and the namespaces of
    /// `require_users`. sshd listens on all addresses, also on those that come later.
    pub fn own_network(mut self) -> Self {
        self.own_network = true;
        self
    }

    /// Replaces a listener that is killed at once, as an init does.
    pub fn respawns(mut self) -> Self {
        self.respawns = true;
        self
    }

    #[track_caller]
    pub fn start(self) -> Remote {
        Remote::start_with(&self)
    }

    /// Makes the directory and everything in it.
    pub(super) fn lay_out(&self, dir: PathBuf, mark: String, namespaces: bool) -> Layout {
        make_dir(&dir, 0o700);
        let sshd = sshd();
        let port = free_port();
        for key in ["id", "wrong", "host", "other"] {
            keygen(&dir.join(key));
        }
        // The kernel accepts the connection, and nobody ever sends a byte.
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        Self::write_client_files(&dir, port, silent.local_addr().expect("its number").port());
        let app = test_app();
        let mut layout = Layout {
            users: None,
            scratch: dir.join("scratch"),
            state_dirs: vec![dir.join("runtime/drunc"), dir.join("state/sshpm")],
            command: ["/bin/sh", "-c", if self.respawns { RESPAWN } else { RUN }].map(PathBuf::from).to_vec(),
            respawns: self.respawns,
            env: self.env.clone(),
            runtime_dirs: self.runtime_dirs,
            listens: if self.own_network { 1 } else { 3 },
            app,
            dir,
            mark,
            port,
            silent,
        };
        layout.command.push(sshd);
        if namespaces {
            self.own_file_system(&mut layout)
        } else {
            self.shared_file_system(&layout)
        }
        layout
    }

    /// The files that setup.sh puts in place.
    fn own_file_system(&self, layout: &mut Layout) {
        let dir = &layout.dir;
        let users = users(dir);
        let remote = dir.join("files/run/remote");
        for (path, mode) in [
            ("files", 0o755),
            ("files/tmp", 0o1777),
            ("files/tmp/scratch", 0o1777),
            ("files/home", 0o755),
            ("files/run", 0o755),
            ("files/run/sshd", 0o755),
            ("files/run/user", 0o755),
            ("files/run/remote", 0o755),
            ("files/run/remote/keys", 0o755),
        ] {
            make_dir(&dir.join(path), mode);
        }
        layout.state_dirs.clear();
        let mut matches = String::new();
        for user in &users {
            let home = dir.join("files").join(user.home.strip_prefix("/").expect("an absolute home"));
            make_dir(&home, 0o755);
            for (_, path, content) in self.files.iter().filter(|(name, ..)| *name == user.shell_name) {
                let path = home.join(path);
                fs::create_dir_all(path.parent().expect("a parent")).expect("a directory in a home");
                write(&path, content, 0o644);
            }
            chown_all(&home, user.uid);
            let key = remote.join("keys").join(&user.name);
            fs::copy(dir.join("id.pub"), &key).expect("the authorized key");
            fs::set_permissions(&key, Permissions::from_mode(0o644)).expect("chmod of the authorized key");
            layout.state_dirs.push(user.home.join(".local/state/sshpm"));
            let runtime = PathBuf::from(format!("/run/user/{}", user.uid));
            layout.state_dirs.push(runtime.join("drunc"));
            if self.runtime_dirs {
                let staged = dir.join(format!("files/run/user/{}", user.uid));
                make_dir(&staged, 0o700);
                chown_all(&staged, user.uid);
                // A line in a Match block replaces the general one, so it repeats everything.
                let own = [("XDG_RUNTIME_DIR".to_owned(), runtime.display().to_string())];
                let line = self.set_env(&layout.mark, &own);
                matches += &format!("Match User {}\n{line}", user.name);
            }
        }
        // A directory that the test has chosen.
        let custom = self.env.iter().filter(|(name, _)| name == "XDG_RUNTIME_DIR");
        layout.state_dirs.extend(custom.map(|(_, value)| Path::new(value).join("drunc")));
        // The key is private, so sshd accepts it. It is root's, because sshd runs as root.
        fs::copy(dir.join("host"), remote.join("host")).expect("the host key");
        let config = self.sshd_config(layout, Path::new(REMOTE_DIR), &[]) + &matches;
        write(&remote.join("sshd_config"), config, 0o644);
        let app = remote.join("test-app");
        // A link, because setup.sh copies it anyway.
        if fs::hard_link(&layout.app, &app).is_err() {
            fs::copy(&layout.app, &app).expect("a copy of test-app");
        }
        write(&dir.join("setup.sh"), [OWN_ETC, include_str!("setup.sh")].concat(), 0o644);
        layout.app = Path::new(REMOTE_DIR).join("test-app");
        layout.scratch = "/tmp/scratch".into();
        let sshd = layout.command.pop().expect("sshd is the last word");
        let net = if self.own_network { "--net" } else { "--mount" };
        layout.command =
            ["unshare", net, "--mount", "--propagation", "private", "/bin/sh", "setup.sh"].map(PathBuf::from).to_vec();
        let network = if self.own_network { "own-network" } else { "shared-network" };
        let respawn = if self.respawns { "respawn" } else { "once" };
        layout.command.extend([sshd, network.into(), respawn.into()]);
        if launched_by().is_inside() {
            // The test process moves into the remote's file system, and needs its own files there: its remotes are in
            // target/tmp, and its program is in target/PROFILE.
            let program = std::env::current_exe().expect("the path of this test program");
            let profile_dir = program.ancestors().nth(2).expect("target/PROFILE").to_owned();
            layout.command.extend([PathBuf::from(env!("CARGO_TARGET_TMPDIR")), profile_dir]);
        }
        layout.users = Some(users);
    }

    /// Lays out a remote that is this machine. Variables keep its files apart from the real ones.
    fn shared_file_system(&self, layout: &Layout) {
        let dir = &layout.dir;
        make_dir(&layout.scratch, 0o1777);
        for name in ["runtime", "state", "keys"] {
            make_dir(&dir.join(name), 0o700);
        }
        fs::copy(dir.join("id.pub"), dir.join("keys").join(current_user())).expect("the authorized key");
        let text = |path: &str| dir.join(path).display().to_string();
        let env = [("XDG_RUNTIME_DIR".to_owned(), text("runtime")), ("XDG_STATE_HOME".to_owned(), text("state"))];
        // A group may be able to write to the directory's parents.
        let config = self.sshd_config(layout, dir, &env) + "StrictModes no\n";
        write(&dir.join("sshd_config"), config, 0o600);
        // init does that too; sshd refuses to start as root without the directory.
        let _ = fs::create_dir("/run/sshd");
    }

    fn sshd_config(&self, layout: &Layout, files: &Path, env: &[(String, String)]) -> String {
        // sshd uses the first value of an option.
        let mut config: String = self.options.iter().map(|line| format!("{line}\n")).collect();
        let loopback: String = (1..=3).map(|host| format!("ListenAddress 127.0.0.{host}\n")).collect();
        config += &format!(
            "Port {}\n{3}\
             HostKey \"{2}/host\"\nAuthorizedKeysFile \"{2}/keys/%u\"\nPidFile none\nLogLevel VERBOSE\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nUseDNS no\nUsePAM no\n{1}",
            layout.port,
            self.set_env(&layout.mark, env),
            files.display(),
            if self.own_network { "ListenAddress 0.0.0.0\n".into() } else { loopback },
        );
        config
    }

    /// Sets all variables in one line, because sshd uses the first SetEnv only.
    fn set_env(&self, mark: &str, more: &[(String, String)]) -> String {
        let mut line = format!("SetEnv {MARK}={mark}");
        // A variable that the test sets wins. sshd would export it twice.
        let more = more.iter().filter(|(name, _)| self.env.iter().all(|(own, _)| own != name));
        for (name, value) in self.env.iter().chain(more) {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            line += &format!(" \"{name}={value}\"");
        }
        line + "\n"
    }

    fn write_client_files(dir: &Path, port: u16, silent: u16) {
        let hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"].map(|host| format!("[{host}]:{port}")).join(",");
        let known = |key: &str| format!("{hosts} {}", fs::read_to_string(dir.join(key)).expect("a public key"));
        write(&dir.join("known_hosts"), known("host.pub"), 0o600);
        write(&dir.join("known_hosts.changed"), known("other.pub"), 0o600);
        write(&dir.join("known_hosts.empty"), "", 0o600);
        // sshd does not listen on 127.0.0.4. It has the port on 127.0.0.1, so nobody else can bind the port on all
        // addresses. ssh tries all values of IdentityFile, and not only the first one.
        let config = format!(
            "Host alpha\n HostName 127.0.0.1\nHost beta\n HostName 127.0.0.2\nHost gamma\n HostName 127.0.0.3\n\
             Host refused\n HostName 127.0.0.4\nHost unresolved\n HostName does-not-exist.invalid\n\
             Host unreachable\n HostName 192.0.2.1\n\
             Host wrongkey\n HostName 127.0.0.1\n IdentityFile \"{0}/wrong\"\n\
             Host unknownkey\n HostName 127.0.0.1\n UserKnownHostsFile \"{0}/known_hosts.empty\"\n\
             Host changedkey\n HostName 127.0.0.1\n UserKnownHostsFile \"{0}/known_hosts.changed\"\n\
             Host silent\n HostName 127.0.0.1\n Port {silent}\n\
             Host * !wrongkey\n IdentityFile \"{0}/id\"\n\
             Host *\n Port {port}\n IdentitiesOnly yes\n IdentityAgent none\n\
             UserKnownHostsFile \"{0}/known_hosts\"\n GlobalKnownHostsFile /dev/null\n StrictHostKeyChecking yes\n",
            dir.display(),
        );
        write(&dir.join("ssh_config"), config, 0o600);
    }
}

/// Returns root and one user for each installed shell, and writes the account files that contain them.
fn users(dir: &Path) -> Vec<User> {
    let user = |shell_name: &str, name: String, shell: PathBuf, uid: u32| User {
        home: Path::new("/home").join(&name),
        shell_name: shell_name.to_owned(),
        name,
        shell,
        uid,
    };
    let mut users = vec![user("root", "root".into(), "/bin/bash".into(), 0)];
    for (shell, uid) in SHELLS.iter().zip(FIRST_UID..) {
        let paths = ["/bin", "/usr/bin", "/usr/local/bin"].map(|dir| Path::new(dir).join(shell));
        if let Some(path) = paths.into_iter().find(|path| path.exists()) {
            users.push(user(shell, format!("sshpm-{shell}"), path, uid));
        }
    }
    // The real accounts stay, sshd's own among them. Accounts with the names of these users are left out.
    let kept = |file: &str| -> String {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let ours = |line: &str| users.iter().any(|user| line.split(':').next() == Some(&user.name));
        text.lines().filter(|line| !ours(line)).map(|line| format!("{line}\n")).collect()
    };
    let (mut passwd, mut shadow, mut group) = (kept("/etc/passwd"), kept("/etc/shadow"), kept("/etc/group"));
    for User { name, shell, uid, home, .. } in &users {
        passwd += &format!("{name}:x:{uid}:{uid}::{}:{}\n", home.display(), shell.display());
        // '*' is no password; '!' would lock the account.
        shadow += &format!("{name}:*:19000:0:99999:7:::\n");
        group += &format!("{name}:x:{uid}:\n");
    }
    write(&dir.join("passwd"), passwd, 0o644);
    write(&dir.join("shadow"), shadow, 0o600);
    write(&dir.join("group"), group, 0o644);
    users
}

fn sshd() -> PathBuf {
    find_program("sshd").unwrap_or_else(|| panic!("the tests need a real sshd: apt-get install openssh-server"))
}

/// Returns the path of a program. The PATH of some users lacks the directories of daemons.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from).into_iter().chain(std::env::split_paths(&path));
    places.map(|place| place.join(name)).find(|file| file.exists())
}

/// Returns a command that runs a program of the toolchain which built this test. The program need not be in the PATH:
/// cargo finds its rustc there.
pub fn toolchain_command(name: &str) -> Command {
    let directory = Path::new(env!("CARGO")).parent().expect("the directory of cargo");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([directory.to_owned()].into_iter().chain(std::env::split_paths(&path)));
    let mut command = Command::new(directory.join(name));
    command.env("PATH", path.expect("no colon in the path of the toolchain"));
    command
}

/// Returns the path of test-app, and builds it if necessary: `cargo test --test NAME` does not build examples.
pub fn test_app() -> PathBuf {
    static APP: OnceLock<PathBuf> = OnceLock::new();
    APP.get_or_init(|| {
        let program = std::env::current_exe().expect("the path of this test program");
        // target/PROFILE/deps/NAME
        let profile_dir = program.ancestors().nth(2).expect("target/PROFILE");
        let app = profile_dir.join("examples/test-app");
        // The tests are also compiled in a package below this one: see tests/through_c.
        let is_root = |dir: &&Path| dir.join("tests/support/app.rs").is_file();
        let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(is_root).expect("the package");
        let modified = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
        let sources = ["app.rs", "guard.rs", "pattern.rs", "procs.rs", "relay.rs"]
            .map(|name| manifest_dir.join("tests/support").join(name));
        if modified(&app).is_none() || sources.iter().any(|source| modified(source) > modified(&app)) {
            let profile = match profile_dir.file_name().and_then(OsStr::to_str) {
                Some("debug") | None => "dev",
                Some(name) => name,
            };
            let mut cargo = toolchain_command("cargo");
            cargo.args(["build", "--quiet", "--package", "sshpm", "--example", "test-app", "--profile", profile]);
            cargo.current_dir(manifest_dir);
            let status = cargo.stdin(Stdio::null()).status().expect("cannot run cargo");
            assert!(status.success() && app.exists(), "cargo build --example test-app failed: {status}");
        }
        app
    })
    .clone()
}

/// Returns a port that was free on the three addresses when asked. `start` tries again when somebody has taken it.
fn free_port() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let port = first.local_addr().expect("its number").port();
        if ["127.0.0.2", "127.0.0.3"].iter().all(|host| TcpListener::bind((*host, port)).is_ok()) {
            return port;
        }
    }
}

fn keygen(path: &Path) {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", "sshpm-test", "-f"]).arg(path);
    let status = command.stdin(Stdio::null()).status().expect("the tests need ssh-keygen: install openssh-client");
    assert!(status.success(), "ssh-keygen failed: {status}");
}

pub(super) fn current_user() -> String {
    let output = Command::new("id").arg("-un").output().expect("id");
    String::from_utf8(output.stdout).expect("a user name in UTF-8").trim().to_owned()
}

pub(super) fn write(path: &Path, content: impl AsRef<[u8]>, mode: u32) {
    fs::write(path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("chmod");
}

/// Makes a directory with exactly this mode, whatever the umask is.
pub(super) fn make_dir(path: &Path, mode: u32) {
    fs::DirBuilder::new().mode(0o700).create(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("chmod");
}

fn chown_all(path: &Path, uid: u32) {
    chown(path, Some(uid), Some(uid)).expect("chown");
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a directory").flatten() {
            chown_all(&entry.path(), uid);
        }
    }
}
