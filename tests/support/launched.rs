//! The launcher by which the managers of the behaviour tests reach a remote: ssh, or the one that a variable names.
//! tests/launchers/each.rs runs each test once by each of the others.

use std::ffi::OsString;
use std::fmt::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, fs};

use sshpm::{BootRequest, Error, Launcher, LauncherFailure, Options, Slurm, SshFailure};

use super::builder::test_app;
use super::local::clients;
use super::procs::{self, MARK, ProcessInfo};
use super::remote::{Remote, User};
use super::slurm::SlurmCluster;
use super::{DEADLINE, skipped, wait_until};

/// The variable that names the launcher: "local", "command" or "slurm". A test that has it needs a process of its own.
pub const LAUNCHER: &str = "SSHPM_TEST_LAUNCHER";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Ssh,
    Local,
    Command,
    Slurm,
}

impl By {
    pub(super) fn name(self) -> &'static str {
        match self {
            By::Ssh => "ssh",
            By::Local => "local",
            By::Command => "command",
            By::Slurm => "slurm",
        }
    }

    /// Whether the launcher starts processes in the test process's own file system and with its environment.
    pub(super) fn is_inside(self) -> bool {
        self == By::Local
    }
}

/// Returns the launcher of the managers of this process.
pub fn launched_by() -> By {
    static BY: OnceLock<By> = OnceLock::new();
    *BY.get_or_init(|| {
        let Ok(name) = env::var(LAUNCHER) else { return By::Ssh };
        let all = [By::Ssh, By::Local, By::Command, By::Slurm];
        all.into_iter().find(|by| by.name() == name).unwrap_or_else(|| panic!("{LAUNCHER}={name}"))
    })
}

/// The variable that says "no" where sessions on shared connections are to have no ssh clients.
const CLIENTS: &str = "SSHPM_TEST_SSH_CLIENTS";

/// Returns whether each process on a shared connection has a client of its own. By other launchers than ssh, it does.
pub fn has_clients() -> bool {
    if launched_by() != By::Ssh {
        return true;
    }
    match env::var(CLIENTS).as_deref() {
        Err(_) => true,
        Ok("no") => false,
        Ok(other) => panic!("{CLIENTS}={other}"),
    }
}

/// Why a test of ssh clients is skipped where there are none.
pub const NO_CLIENT: &str = "a process has no ssh client";

/// Hands the launcher on to a test program. Removes the remote's own variables: with them, the program would count as
/// one of the remote's processes.
pub(super) fn hand_on(command: &mut Command) {
    if launched_by() != By::Ssh {
        command.env(LAUNCHER, launched_by().name()).env_remove(MARK);
    }
}

/// The variable that tells a program of `hand_to` where the remote is.
const PLACE: &str = "SSHPM_TEST_PLACE";

impl Remote {
    /// Moves the calling thread, and the threads that it starts from now on, into the remote's file system and
    /// environment. Returns the file system that the thread had.
    pub(super) fn enter(&self) -> fs::File {
        let variables = self.login(&self.users()[0]);
        enter(self.holder(), &variables)
    }

    /// Prepares what the options need, before the test changes what happens to children.
    pub(super) fn prepare(&self) {
        if launched_by() != By::Ssh {
            assert!(self.has_users(), "only ssh works without namespaces");
            self.carrier();
        }
        if launched_by() == By::Slurm {
            let cluster = SlurmCluster::start_named(self, &["alpha", "beta", "gamma"]);
            // A step has srun's environment. It must be that of a login, with the variables that name a step's cluster.
            let mut script = String::from("exec env -i");
            let clusters = cluster.environment().into_iter();
            let clusters = clusters.map(|(name, value)| (text_of(name), text_of(value)));
            for (name, value) in self.login(&self.users()[0]).into_iter().chain(clusters) {
                let _ = write!(script, " {name}='{}'", value.replace('\'', r"'\''"));
            }
            self.program("srun", &format!("{script} srun \"$@\""));
            fs::write(self.dir().join("job"), cluster.job().to_string()).expect("the number of a job");
        }
    }

    /// Returns options for which the remote's hosts are the nodes of a job, with this program of the remote in place of
    /// srun.
    fn slurm(&self, srun: &str) -> Options {
        slurm_options(&self.dir().join(srun), &self.carrier())
    }

    /// Returns the variables that sshd would give to a login of this user, as NAME and value.
    fn login(&self, user: &User) -> Vec<(String, String)> {
        let home = user.home.display().to_string();
        let own = [
            ("USER", user.name.clone()),
            ("LOGNAME", user.name.clone()),
            ("HOME", home),
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
            ("SHELL", user.shell.display().to_string()),
            (MARK, self.mark().to_owned()),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        own.into_iter().chain(self.login_variables(user)).collect()
    }

    /// Hands the way to this remote on to a program: `handed_options` returns its options there.
    pub fn hand_to(&self, command: &mut Command) {
        let place = match launched_by() {
            By::Ssh => self.ssh_config().display().to_string(),
            By::Local => {
                let carrier = self.carrier();
                format!("{} {}\n{}", self.holder(), carrier.display(), lines(&self.login(&self.users()[0])))
            }
            By::Command => self.carrier().display().to_string(),
            By::Slurm => format!("{}\n{}", self.dir().join("srun").display(), self.carrier().display()),
        };
        command.env(PLACE, place);
    }

    /// Returns options of a manager whose hosts are this remote. A host that cannot be reached fails in the way that
    /// its name says.
    pub fn options(&self) -> Options {
        match launched_by() {
            By::Ssh => Options::new().ssh_config(self.ssh_config()).ssh_client_per_process(has_clients()),
            By::Local => local_options(&self.carrier()),
            By::Command => Options::new().launcher(carried_by(&self.carrier())),
            By::Slurm => self.slurm("srun"),
        }
    }

    /// Returns an open gate, and options of a manager that reaches its hosts only while the gate is open. Links that
    /// exist when it is closed stay.
    pub fn gate(&self) -> (Gate<'_>, Options) {
        let file = self.dir().join("gate");
        let shown = file.display();
        let options = match launched_by() {
            By::Ssh => {
                let config = self.user_config(&format!("Match exec \"test ! -e '{shown}'\"\n  Port 1\n"));
                Options::new().ssh_config(config).ssh_client_per_process(has_clients())
            }
            By::Local => self.options(),
            By::Command => {
                let script = format!("[ -e '{shown}' ] || exit 3\nexec '{}' \"$@\"", self.carrier().display());
                Options::new().launcher(carried_by(&self.program("gated-carry", &script)))
            }
            By::Slurm => {
                let srun = self.dir().join("srun");
                self.program("gated-srun", &format!("[ -e '{shown}' ] || exit 3\nexec '{}' \"$@\"", srun.display()));
                self.slurm("gated-srun")
            }
        };
        fs::write(&file, "").expect("a gate");
        (Gate { remote: self, file }, options)
    }

    /// Breaks the links of all sessions: on the remote's side where a process carries them there, and otherwise at the
    /// client.
    pub fn break_links(&self) {
        let carriers = match launched_by() {
            By::Ssh => self.session_sshds(),
            By::Local | By::Command => clients(),
            By::Slurm => return lose_steps(),
        };
        kill(carriers);
    }

    /// Breaks the links of followers of log files and of calls that wait, which have no lease.
    pub fn break_calls(&self) {
        match launched_by() {
            By::Slurm => kill(clients()),
            _ => self.break_links(),
        }
    }

    /// Ends the daemons that applications have left, found by this word in their command lines. A daemon that ends only
    /// when nobody reads its output does not end under Slurm, which goes on reading.
    pub fn end_daemons(&self, word: &str) {
        if launched_by() == By::Slurm {
            wait_until("the end of all daemons", DEADLINE, || {
                let mut left = self.processes();
                left.retain(|process| process.cmdline.iter().any(|other| other == word));
                let is_over = left.is_empty();
                kill(left);
                is_over.then_some(())
            });
        }
    }

    /// Returns the request with this user. A command without a place for the user is replaced by one that has it.
    pub fn request_as(&self, user: &User, request: BootRequest) -> BootRequest {
        let request = request.user(&user.name);
        match launched_by() {
            By::Ssh | By::Local | By::Slurm => request,
            By::Command => request.launcher(self.launcher_as()),
        }
    }

    fn launcher_as(&self) -> Launcher {
        let carrier = self.carrier().into_os_string();
        Launcher::command([carrier, "{host}".into(), "{user}".into()])
    }

    /// Returns the options for calls that name a user.
    pub fn options_as(&self) -> Options {
        match launched_by() {
            By::Ssh | By::Local | By::Slurm => self.options(),
            By::Command => self.options().launcher(self.launcher_as()),
        }
    }

    /// Returns the users whose processes the launcher can start.
    pub fn accounts(&self) -> Vec<User> {
        let mut users = self.users();
        if matches!(launched_by(), By::Local | By::Slurm) {
            skipped("the launcher starts all processes as this program's user");
            users.truncate(1);
        }
        users
    }

    /// Returns a command that runs this script for /bin/sh on the remote, as the first user, without the library.
    pub fn by_hand(&self, script: &str) -> Command {
        match launched_by() {
            By::Ssh => {
                let mut command = self.ssh("alpha");
                command.arg(script);
                command
            }
            By::Local => {
                let mut command = Command::new("/bin/sh");
                command.args(["-c", script]).current_dir(&self.users()[0].home).stdin(Stdio::null());
                command
            }
            By::Command | By::Slurm => {
                let mut command = Command::new(self.carrier());
                command.args(["alpha", "", "/bin/sh", "-c", script]).stdin(Stdio::null());
                command
            }
        }
    }

    /// Returns a stand-in for `docker exec -i`: `carry HOST USER COMMAND…`, where an empty user is the first one. It
    /// carries the streams as such clients do: killing it kills nothing on the remote, but ends the input there.
    pub fn carrier(&self) -> PathBuf {
        let program = self.dir().join("carry");
        if program.exists() {
            return program;
        }
        let mut script = String::from(
            "host=$1 user=$2\nshift 2\ncase $host in\n\
             silent) cat >/dev/null; exec sleep 2 ;;\n\
             refused | unresolved | unreachable | *key) echo \"$host: no way to it\" >&2; exit 4 ;;\n\
             esac\ncase $user in\n",
        );
        for (at, user) in self.users().iter().enumerate() {
            let name = if at == 0 { format!("'' | {}", user.name) } else { user.name.clone() };
            // These are in a file and not on a command line, where no value may stand.
            let variables = self.dir().join(format!("variables-{}", user.name));
            fs::write(&variables, lines(&self.login(user))).expect("a file of variables");
            let _ = writeln!(
                script,
                "{name}) exec '{}' relay '{}' nsenter -t {} -m -- \\\n\
                 setpriv --reuid {uid} --regid {uid} --clear-groups -- env -C {} \"$@\" ;;",
                test_app().display(),
                variables.display(),
                self.holder(),
                user.home.display(),
                uid = user.uid,
            );
        }
        script += "*) echo \"no user $user\" >&2; exit 5 ;;\nesac";
        self.program("carry", &script)
    }
}

/// See `Remote::gate`.
pub struct Gate<'a> {
    remote: &'a Remote,
    file: PathBuf,
}

impl Gate<'_> {
    pub fn close(&self) {
        match launched_by() {
            // This machine is always there, but its shell need not be.
            By::Local => self.remote.mount(&["--bind", "/dev/null", "/bin/sh"]),
            By::Ssh | By::Command | By::Slurm => fs::remove_file(&self.file).expect("an open gate"),
        }
    }

    pub fn open(&self) {
        match launched_by() {
            By::Local => self.remote.unmount("/bin/sh"),
            By::Ssh | By::Command | By::Slurm => fs::write(&self.file, "").expect("a gate"),
        }
    }
}

/// Whether this is the failure: one of ssh, or the matching one of other launchers.
pub fn is_failure(error: &Error, of_ssh: SshFailure, of_others: LauncherFailure) -> bool {
    match (launched_by(), error) {
        (By::Ssh, Error::Ssh { failure, .. }) => *failure == of_ssh,
        (By::Local | By::Command | By::Slurm, Error::Launcher { failure, .. }) => *failure == of_others,
        _ => false,
    }
}

/// Returns what can be learned of an application whose client was killed. By Slurm that is nothing, because the wrapper
/// ends with its client.
pub fn learned<T>(what: T) -> Option<T> {
    (launched_by() != By::Slurm).then_some(what)
}

/// Whether this signal ends a client as it ends other programs. srun ends its step with KILL when it gets another
/// signal, and it lives until nobody holds the streams of the step. A session without a client can only be closed, which
/// counts as KILL.
pub fn ends_the_client(signal: i32) -> bool {
    (launched_by() != By::Slurm && has_clients()) || signal == libc::SIGKILL
}

/// How hosts fail that do not exist, where a launcher knows only the exit code of its command.
pub const NOWHERE: LauncherFailure = LauncherFailure::Ended(4);

fn lines(variables: &[(String, String)]) -> String {
    variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

fn carried_by(carrier: &Path) -> Launcher {
    Launcher::command([carrier.as_os_str(), "{host}".as_ref(), "".as_ref()])
}

/// Returns options for which every host is this machine, except the hosts that must not exist.
fn local_options(carrier: &Path) -> Options {
    nowhere_by(carrier, Options::new().launcher(Launcher::Local))
}

/// Returns options for which the hosts are nodes of the job that belongs to this program in place of srun, except the
/// hosts that must not exist.
fn slurm_options(srun: &Path, carrier: &Path) -> Options {
    let job = fs::read_to_string(srun.with_file_name("job")).expect("the number of a job");
    let slurm = Slurm::new().job(job).srun_program(srun);
    // `Remote::break_links` leaves the rest to the lease.
    nowhere_by(carrier, Options::new().launcher(Launcher::Slurm(slurm)).lease(Duration::from_secs(3)))
}

fn nowhere_by(carrier: &Path, options: Options) -> Options {
    let nowhere = ["silent", "refused", "unresolved", "unreachable", "wrongkey", "unknownkey", "changedkey"];
    nowhere.into_iter().fold(options, |options, host| options.host_launcher(host, carried_by(carrier)))
}

/// Kills the clients as the loss of this machine would. Each has two processes, and the second one would otherwise end
/// the step. The rest of the step ends by its lease.
fn lose_steps() {
    for client in clients() {
        let shepherd = |process: &ProcessInfo| process.ppid == client.pid && !process.is_zombie();
        let shepherd = wait_until("the second process of srun", DEADLINE, || procs::all().into_iter().find(shepherd));
        // The second process is stopped first, because it acts when it sees the other one's end. Both may have ended.
        for signal in [libc::SIGSTOP, libc::SIGKILL] {
            let _ = shepherd.signal(signal);
        }
        let _ = client.signal(libc::SIGKILL);
    }
}

fn kill(processes: Vec<ProcessInfo>) {
    for process in processes {
        // The process may have ended, as one of sshd's two processes does with the other.
        let _ = process.signal(libc::SIGKILL);
    }
}

fn text_of(value: OsString) -> String {
    value.into_string().expect("a variable in UTF-8")
}

/// Returns the options in a program that was started with `Remote::hand_to`.
pub fn handed_options() -> Options {
    let place = env::var(PLACE).expect("a place that was handed on");
    match launched_by() {
        By::Ssh => Options::new().ssh_config(place).ssh_client_per_process(has_clients()),
        By::Command => Options::new().launcher(carried_by(Path::new(&place))),
        By::Slurm => {
            let (srun, carrier) = place.split_once('\n').expect("two programs");
            slurm_options(Path::new(srun), Path::new(carrier))
        }
        By::Local => {
            let (head, variables) = place.split_once('\n').expect("a place, and variables");
            let (holder, carrier) = head.split_once(' ').expect("a process, and a program");
            let split = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
            let variables: Vec<_> = variables.lines().filter_map(split).collect();
            enter(holder.parse().expect("a pid"), &variables);
            local_options(Path::new(carrier))
        }
    }
}

/// Moves the calling thread into the file system of this process, and replaces the variables of the whole test process:
/// its children inherit them. /proc/self/environ keeps the old ones, so the test process does not count as one of the
/// remote's.
fn enter(holder: i32, variables: &[(String, String)]) -> fs::File {
    let former = fs::File::open("/proc/thread-self/ns/mnt").expect("the file system of this thread");
    let namespace = fs::File::open(format!("/proc/{holder}/ns/mnt")).expect("the remote's file system");
    go_to(&namespace);
    for (name, _) in env::vars_os() {
        // SAFETY: no other thread of this process uses the environment: it was started for this one test, which begins
        // with this.
        unsafe { env::remove_var(name) };
    }
    for (name, value) in variables {
        // SAFETY: as above.
        unsafe { env::set_var(name, value) };
    }
    former
}

/// Moves the calling thread into this file system.
pub(super) fn go_to(namespace: &fs::File) {
    // Threads share their root and their current directory. A thread must leave the others before it can move.
    // SAFETY: integers only; the descriptor is open.
    let gone =
        unsafe { libc::unshare(libc::CLONE_FS) == 0 && libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNS) == 0 };
    assert!(gone, "cannot go to another file system: {}", std::io::Error::last_os_error());
}
