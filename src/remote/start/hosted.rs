//! The scripts as hosts run them, in each shell that `/bin/sh` can be. There is no manager: a test sends what a
//! manager could send, at a moment that the test chooses.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;
use crate::remote::script::BOOTSTRAP;
use crate::remote::script::shells::{Shell, each};

mod quotas;
mod readiness;

const NONCE: &[u8; NONCE_LENGTH] = b"0123456789abcdef0123456789abcdef";
const DEADLINE: Duration = Duration::from_secs(120);
/// The variable that marks each process of a host.
const MARK: &str = "SSHPM_TEST_HOST";

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A host with this `/bin/sh`, and directories of its own.
struct Host {
    shell: Shell,
    directory: TempDir,
    instance: Instance,
    /// The user and group id of its sessions, if they are not those of this test.
    id: Option<u32>,
    /// What else the environment of its sessions has.
    variables: &'static [(&'static str, &'static str)],
    /// What each session's process calls before it executes its shell.
    confine: fn(),
}

/// A user id without privileges. It needs no account.
const UNPRIVILEGED: u32 = 61_000;

impl Host {
    fn new(shell: Shell) -> Host {
        let directory = tempfile::tempdir().unwrap();
        for name in ["bin", "run", "state", "home"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        let uuid = directory.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.').to_owned();
        let instance = Instance { uuid, id: "0123456789abcdef".into() };
        Host { shell, directory, instance, id: None, variables: &[], confine: || {} }
    }

    /// Makes a host whose user is not root: root may open every file, whatever its mode.
    fn of_unprivileged_user(shell: Shell) -> Host {
        // SAFETY: no arguments.
        if unsafe { libc::geteuid() } == 0 { Host::of_user(shell, UNPRIVILEGED) } else { Host::new(shell) }
    }

    fn of_user(shell: Shell, id: u32) -> Host {
        let host = Host::new(shell);
        for name in ["", "bin", "run", "state", "home"] {
            chown(host.path(name), Some(id), Some(id)).unwrap();
        }
        Host { id: Some(id), ..host }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Puts a script in place of a program that is looked up in the PATH.
    ///
    /// Another program makes the file: a file that a child of another test holds open for writing cannot be executed.
    fn place_instead(&self, program: &str, script: &str) -> PathBuf {
        let (draft, path) = (self.path("draft"), self.path("bin").join(program));
        fs::write(&draft, format!("#!/bin/sh\n{script}\n")).unwrap();
        let status = Command::new("install").args(["-m", "755"]).args([&draft, &path]).status();
        assert!(status.unwrap().success(), "{}", path.display());
        path
    }

    /// Makes a program wait while the file `hold` is there. It makes the file `held` when it waits.
    fn hold(&self, program: &str) {
        fs::write(self.path("hold"), "").unwrap();
        let directory = self.directory.path().display();
        self.place_instead(
            program,
            &format!(
                "echo >{directory}/held; while [ -e {directory}/hold ]; do sleep 0.02; done; exec /usr/bin/{program} \"$@\""
            ),
        );
    }

    #[track_caller]
    fn wait_for(&self, file: &str) {
        wait_until(file, || self.path(file).exists());
    }

    /// Opens a session, as sshd does, and sends this.
    fn session(&self, sent: Vec<Chunk>) -> Session {
        self.session_of(None, sent)
    }

    /// Opens a session with this LOGNAME.
    fn session_of(&self, logname: Option<&str>, sent: Vec<Chunk>) -> Session {
        self.session_with(logname, sent, |read| drop(thread::spawn(read)))
    }

    /// Opens a session with this LOGNAME. `read` gets the function that reads the reports, and runs it.
    fn session_with(
        &self,
        logname: Option<&str>,
        sent: Vec<Chunk>,
        read: impl FnOnce(Box<dyn FnOnce() + Send>),
    ) -> Session {
        let mut command = self.shell.command();
        command.args(["-c", BOOTSTRAP, "sshpm"]).env_clear().env(MARK, self.directory.path());
        command.env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display())).env("HOME", self.path("home"));
        command.env("XDG_RUNTIME_DIR", self.path("run")).env("XDG_STATE_HOME", self.path("state"));
        command.envs(logname.map(|logname| ("LOGNAME", logname))).envs(self.variables.iter().copied());
        if let Some(id) = self.id {
            command.uid(id).gid(id);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let confine = self.confine;
        // SAFETY: what hosts are confined by is system calls.
        unsafe {
            command.pre_exec(move || {
                // This test may run under nohup, or in the background, and ignore these signals.
                for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
                    libc::signal(signal, libc::SIG_DFL);
                }
                confine();
                Ok(())
            });
        }
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, reports) = channel();
        read(Box::new(move || {
            let nonce = std::str::from_utf8(NONCE).unwrap();
            for line in stderr.lines().map_while(|line| line.ok()) {
                if let Some(report) = line.strip_prefix(nonce) {
                    let _ = sender.send(report.trim_start().to_owned());
                }
            }
        }));
        let stdin = child.stdin.take();
        let mut session = Session { name: self.shell.name, child, stdin, reports };
        session.send(&sent.concat());
        session
    }

    /// Opens a session that starts an application, and gives its go-ahead.
    fn start(&self, request: &BootRequest) -> Session {
        let mut session = self.session(start_line(NONCE, &self.instance, request, "m", None, SilentCut::Connection));
        session.hear("begin");
        session.send(&start_block(&self.instance, request).concat());
        session
    }

    /// Opens a session that starts an application, gives its go-ahead, and confirms it as a manager does that has the
    /// pid.
    fn start_confirmed(&self, request: &BootRequest) -> Session {
        let mut session = self.start(request);
        if request.link_loss == LinkLossPolicy::Keep {
            session.send(b"keep\n");
        }
        session
    }

    fn is_marked(&self, process: &Path) -> bool {
        let mark = format!("{MARK}={}", self.directory.path().display());
        let has_mark = |all: Vec<u8>| all.split(|&byte| byte == 0).any(|one| one == mark.as_bytes());
        fs::read(process.join("environ")).is_ok_and(has_mark)
    }

    fn processes(&self) -> Vec<String> {
        let entries = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        let text =
            |path: PathBuf| String::from_utf8_lossy(&fs::read(path.join("cmdline")).unwrap_or_default()).into_owned();
        entries.filter(|path| self.is_marked(path)).map(text).collect()
    }

    /// Kills the processes that have this in their command line, and returns how many there were.
    fn kill_all(&self, word: &str) -> usize {
        let has_word = |line: Vec<u8>| line.windows(word.len()).any(|part| part == word.as_bytes());
        self.kill_those(|process| fs::read(process.join("cmdline")).is_ok_and(has_word))
    }

    /// Kills the processes for which this is true, and returns how many there were.
    fn kill_those(&self, is_meant: impl Fn(&Path) -> bool) -> usize {
        let entries = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        let meant = entries.filter(|path| self.is_marked(path) && is_meant(path));
        let pids: Vec<i32> = meant.filter_map(|path| path.file_name()?.to_str()?.parse().ok()).collect();
        for pid in &pids {
            // SAFETY: integers only; the process is one of this test's.
            unsafe { libc::kill(*pid, libc::SIGKILL) };
        }
        pids.len()
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut directories = vec![self.path("run"), self.path("state")];
        let mut files = Vec::new();
        while let Some(directory) = directories.pop() {
            for path in fs::read_dir(directory).unwrap().flatten().map(|entry| entry.path()) {
                if path.is_dir() { directories.push(path) } else { files.push(path) }
            }
        }
        files
    }

    /// Waits until no process and no file is left.
    #[track_caller]
    fn assert_nothing_left(&self) {
        let start = Instant::now();
        loop {
            let (processes, files) = (self.processes(), self.files());
            if processes.is_empty() && files.is_empty() {
                return;
            }
            assert!(start.elapsed() < DEADLINE, "{}: left: {processes:#?} {files:#?}", self.shell.name);
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// One session on a host.
struct Session {
    name: &'static str,
    child: Child,
    stdin: Option<ChildStdin>,
    reports: Receiver<String>,
}

impl Session {
    fn send(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Waits for a report that begins with this word, and returns the rest of it.
    #[track_caller]
    fn hear(&self, word: &str) -> String {
        let mut heard = Vec::new();
        loop {
            let report = self.reports.recv_timeout(DEADLINE);
            let report = report.unwrap_or_else(|_| panic!("{}: no {word:?} after {heard:?}", self.name));
            if let Some(rest) = report.strip_prefix(word) {
                return rest.trim_start().to_owned();
            }
            heard.push(report);
        }
    }

    /// Waits for the exit report, and returns the rest of it. A failure of the start must not come before.
    #[track_caller]
    fn hear_exit_and_no_failure(&self) -> String {
        loop {
            let report = self.reports.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("{}: no exit", self.name));
            assert!(!report.starts_with("fail"), "{}: {report}", self.name);
            if let Some(rest) = report.strip_prefix("exit ") {
                return rest.to_owned();
            }
        }
    }

    /// Ends the session's input.
    fn close(&mut self) {
        self.stdin = None;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.close();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sleeping() -> BootRequest {
    BootRequest::new("h", ["/bin/sleep", "1000"]).grace(Duration::from_secs(1))
}

fn kept() -> BootRequest {
    sleeping().link_loss(LinkLossPolicy::Keep)
}

/// The wrapper's first line comes when the inner process is there. The link waits for it, whatever the manager sends
/// before.
#[test]
fn a_link_that_hears_the_manager_first_waits_for_its_wrapper() {
    for shell in each() {
        let host = Host::new(shell);
        host.hold("env");
        let mut session = host.start(&kept());
        host.wait_for("held");
        // The answer shows that the link has read bye.
        session.send(b"bye\nmark\n");
        session.hear("pong");
        fs::remove_file(host.path("hold")).unwrap();
        session.close();
        session.hear("exit");
        host.assert_nothing_left();
    }
}

/// The application can end at any moment of its grace, also when the shell has just made the process for which it
/// waits.
#[test]
fn an_end_at_any_moment_of_the_grace_leaves_no_process() {
    for shell in each() {
        // A signal that comes just before ksh93 waits does not end the wait: then the whole grace passes.
        let grace = Duration::from_secs(if shell.name == "ksh93" { 10 } else { 1000 });
        let host = Host::new(shell);
        for moment in 0..25 {
            let ends = format!("trap 'sleep 0.00{moment:02}; exit' HUP; while :; do sleep 0.01; done");
            let request = BootRequest::new("h", ["/bin/sh", "-c", &ends]).grace(grace);
            let mut session = host.start_confirmed(&request);
            session.hear("running");
            session.close();
            wait_until("the end of the session", || host.processes().is_empty());
        }
    }
}

/// Several shells read a file by themselves. Others have a variable by which they are known, if a login exports it.
#[test]
fn a_start_does_not_rely_on_which_shell_the_environment_names() {
    for shell in each() {
        let host = Host { variables: &[("KSH_VERSION", "exported"), ("ZSH_VERSION", "exported")], ..Host::new(shell) };
        let mut session = host.start(&sleeping());
        session.hear("running");
        session.send(b"bye\n");
        session.close();
        host.assert_nothing_left();
    }
}

/// A shell whose pid the attendant reads when the wrapper already knows its end. The deliverer then fills the fifo,
/// which the wrapper holds open and from which nobody reads.
const TELLS_AND_DIES: &str = r#"[ "$PPID" -gt 1 ] || exit
for stat in /proc/[0-9]*/stat; do
    { read -r pid name state parent rest <"$stat"; } 2>/dev/null || continue
    [ "$parent" != "$PPID" ] || [ "$pid" = $$ ] || { kill -STOP "$pid"; attends=$pid; }
done
{
    echo $$ >&9
    {
        until [ "$(readlink "/proc/$PPID/fd/3")" = "$3.x" ]; do sleep 0.01; done
        kill -CONT "$attends"
    } >/dev/null 2>&1 &
} 9<>"$3.x"
kill -KILL $$"#;

impl Host {
    /// Returns whether the fifo from which its process reads is full.
    fn has_full_fifo(&self) -> bool {
        let fifo = self.files().into_iter().find(|file| file.extension().is_some_and(|end| end == "x")).unwrap();
        let fifo = fs::OpenOptions::new().read(true).write(true).open(fifo).unwrap();
        let mut polled = libc::pollfd { fd: fifo.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
        // SAFETY: one structure, and its descriptor is open.
        unsafe { libc::poll(&mut polled, 1, 0) == 0 }
    }
}

#[test]
fn a_hand_over_to_nobody_delays_no_end() {
    for shell in each() {
        let host = Host::new(shell);
        let setup_shell = host.place_instead("tells", TELLS_AND_DIES).into_os_string().into_string().unwrap();
        let request = sleeping().setup_shell(setup_shell).setup_line("true").environment("A", "x".repeat(100_000));
        let mut session = host.start(&request);
        session.hear("exit");
        wait_until("the hand-over", || host.has_full_fifo());
        session.send(b"bye\n");
        session.close();
        session.hear("clean");
        host.assert_nothing_left();
    }
}

/// KILL can end the shell of the process when it has opened its fifo and has not yet written to it.
#[test]
fn a_shell_that_ends_at_the_sign_of_its_exec_has_not_run() {
    for shell in each() {
        let host = Host::new(shell);
        for policy in [LinkLossPolicy::Terminate, LinkLossPolicy::Keep] {
            let request = sleeping().link_loss(policy).setup_line(": >\"$0.x\"; kill -KILL $$");
            let mut session = host.start_confirmed(&request);
            session.hear("pid");
            let report = session.reports.iter().find(|report| !report.starts_with("attached")).unwrap();
            assert!(report.starts_with("exit ") && report.ends_with(" 0 0"), "{}: {policy:?}: {report}", session.name);
            session.send(b"bye\n");
            session.close();
            host.assert_nothing_left();
        }
    }
}

/// The link cannot take the start back any more; its relay does that.
#[test]
fn a_start_whose_link_is_killed_before_the_manager_confirms_it_is_taken_back() {
    for shell in each() {
        let host = Host::new(shell);
        host.hold("env");
        let mut session = host.start(&kept());
        host.wait_for("held");
        session.send(b"mark\n");
        session.hear("pong");
        session.child.kill().unwrap();
        session.child.wait().unwrap();
        fs::remove_file(host.path("hold")).unwrap();
        session.close();
        host.assert_nothing_left();
    }
}

/// sshd sets LOGNAME; another launcher may pass on that of its own user. A LOGNAME that is no plain word is not used.
#[test]
fn the_wrapper_says_who_it_is() {
    let id = |option: &str| {
        let output = Command::new("id").arg(option).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let (name, number) = (id("-un"), id("-u"));
    let lease = Lease { period: Duration::from_secs(5), ticks: 6 };
    let (ssh, other) = (SilentCut::Connection, SilentCut::Input(lease));
    for shell in each() {
        let host = Host::new(shell);
        for (logname, cut, expected) in [
            (Some("daq.user-1"), ssh, "daq.user-1"),
            (None, ssh, &name),
            (Some(""), ssh, &name),
            (Some("two words"), ssh, &number),
            (Some("-x"), ssh, &number),
            (Some("\"\n"), ssh, &number),
            (Some("another"), other, &name),
        ] {
            let mut session = host.session_of(logname, start_line(NONCE, &host.instance, &sleeping(), "m", None, cut));
            let begin = session.hear("begin");
            assert_eq!(begin.split(' ').nth(2), Some(expected), "{}: {logname:?}: {begin}", session.name);
            session.close();
        }
        host.assert_nothing_left();
    }
}

#[test]
fn a_program_that_cannot_be_executed_is_told_with_its_reason() {
    for shell in each() {
        let (shell_name, host) = (shell.name, Host::new(shell));
        let plain = host.path("plain");
        fs::write(&plain, "#!/bin/sh\n").unwrap();
        // A program for a machine on which no kernel here runs: big-endian, s390.
        let mut elf = vec![0; 4096];
        elf[..7].copy_from_slice(b"\x7fELF\x02\x02\x01");
        elf[16..20].copy_from_slice(&[0, 2, 0, 22]);
        fs::write(host.path("draft"), elf).unwrap();
        let elf = host.path("elf");
        let status = Command::new("install").args(["-m", "755"]).arg(host.path("draft")).arg(&elf).status();
        assert!(status.unwrap().success());
        let path = |path: &Path| vec![path.display().to_string()];
        let large: Vec<_> = ["/bin/true".to_owned()].into_iter().chain((0..30).map(|_| "x".repeat(100_000))).collect();
        for (argv, expected) in [
            (path(&host.path("none")), "exec 0 127"),
            (path(host.directory.path()), "exec 1 126"),
            (path(&plain), "exec 2 126"),
            (large, "exec 3 "),
            (path(&elf), "exec 4 "),
        ] {
            match (shell_name, expected) {
                // mksh takes minutes for so many bytes, and yash crashes.
                ("mksh" | "yash", "exec 3 ") => continue,
                // They run a file that the kernel refuses as a script.
                ("busybox" | "yash", "exec 4 ") => continue,
                _ => {}
            }
            let mut session = host.start(&BootRequest::new("h", argv));
            let failure = session.hear("fail");
            assert!(failure.starts_with(expected), "{}: {failure}, not {expected}", session.name);
            session.send(b"bye\n");
            session.close();
            session.hear("clean");
        }
        host.assert_nothing_left();
    }
}

/// The session breaks because the manager's machine is gone, or its client was killed.
#[test]
fn a_start_that_was_not_confirmed_leaves_nothing_when_its_session_breaks() {
    for shell in each() {
        let host = Host::new(shell);
        for word in ["begin", "pid"] {
            let mut session =
                host.session(start_line(NONCE, &host.instance, &kept(), "m", None, SilentCut::Connection));
            session.hear("begin");
            session.send(&start_block(&host.instance, &kept()).concat());
            if word == "pid" {
                session.hear(word);
            }
            session.close();
            host.assert_nothing_left();
        }
    }
}

/// The session breaks between the exit report and the manager's bye. Nobody adopts a start that has failed.
#[test]
fn a_kept_start_that_failed_leaves_nothing_when_its_session_breaks() {
    for shell in each() {
        let host = Host::new(shell);
        let request = BootRequest::new("h", ["/nonexistent/program"]).link_loss(LinkLossPolicy::Keep);
        let mut session = host.start(&request);
        session.hear("pid");
        session.send(b"keep\n");
        session.hear("exit");
        session.close();
        host.assert_nothing_left();
    }
}

/// Returns a request whose setup waits for the file `fail`, and then fails. The setup runs in bash, which also runs
/// its EXIT trap when a signal ends it.
fn failing(host: &Host, policy: LinkLossPolicy) -> BootRequest {
    let directory = host.directory.path().display();
    let line = format!("echo >{directory}/ready; while [ ! -e {directory}/fail ]; do sleep 0.02; done; exit 3");
    sleeping().link_loss(policy).setup_shell("bash").setup_line(line)
}

#[test]
fn a_step_that_a_signal_ends_is_no_failure_of_the_start() {
    for shell in each() {
        let host = Host::new(shell);
        for policy in [LinkLossPolicy::Terminate, LinkLossPolicy::Keep] {
            let mut session = host.start(&failing(&host, policy));
            session.hear("pid");
            session.send(if policy == LinkLossPolicy::Keep { b"keep\n" } else { b"" });
            host.wait_for("ready");
            session.send(b"kill 1 TERM group CONT\n");
            let exit = session.hear_exit_and_no_failure();
            assert_eq!(exit.split(' ').nth(2), Some("0"), "{}: it has not run: {exit}", host.shell.name);
            session.send(b"bye\n");
            session.close();
            host.assert_nothing_left();
            fs::remove_file(host.path("ready")).unwrap();
        }
    }
}

/// At the end of the input, the wrapper sends HUP to the application, and takes back a start that was not confirmed.
#[test]
fn a_step_that_the_end_of_input_ends_is_no_failure_of_the_start() {
    for shell in each() {
        let host = Host::new(shell);
        let mut session = host.start(&failing(&host, LinkLossPolicy::Terminate));
        host.wait_for("ready");
        session.send(b"bye\n");
        session.close();
        session.hear_exit_and_no_failure();
        host.assert_nothing_left();
    }
}

/// Writes to stderr until that is full: the writer sleeps then.
const FILL_STDERR: &str =
    "yes >&2 & while read -r stat </proc/$!/stat && set -- $stat && [ \"$3\" != S ]; do sleep 0.05; done";

impl Host {
    /// Starts an application on a session whose stderr nobody reads. The application runs its script when its wrapper
    /// reads commands: before that, the wrapper has reports to write.
    fn start_unread(&self, script: &str) -> Session {
        let begin = self.path("begin").display().to_string();
        let script = format!("while [ ! -e {begin} ]; do sleep 0.02; done; {script}");
        let sent = start_line(NONCE, &self.instance, &sleeping(), "m", None, SilentCut::Connection);
        // The function that would read the pipe is kept, and with it the pipe, but it never runs.
        let mut session = self.session_with(None, sent, std::mem::forget);
        let request = BootRequest::new("h", ["/bin/sh", "-c", &script]);
        session.send(&start_block(&self.instance, &request).concat());
        let is_marker = |file: &PathBuf| file.to_string_lossy().contains(".r.");
        wait_until("the reader", || self.files().iter().any(is_marker));
        fs::write(begin, "").unwrap();
        session
    }

    /// Waits until the wrapper has ended, and checks that it has left word of its application's end.
    fn assert_word_left(&self, word: &str) {
        wait_until(&format!("{}: the end of the wrapper", self.shell.name), || self.processes().is_empty());
        let words: Vec<_> = self.files().iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        assert!(matches!(&words[..], [left] if left.starts_with(word)), "{}: {words:?}", self.shell.name);
    }
}

/// When its client is gone, sshd stops reading and keeps the pipes: a write to a full pipe would never return.
#[test]
fn a_wrapper_whose_reports_nobody_reads_ends_with_its_session() {
    for shell in each() {
        let host = Host::new(shell);
        let full = host.path("full");
        let script = format!("{FILL_STDERR}; echo >{}; sleep 1000", full.display());
        let mut session = host.start_unread(&script);
        host.wait_for("full");
        session.close();
        host.assert_word_left("exit ");
    }
}

/// The application has ended, and the wrapper's exit report blocks: its reader knows the code from the notebook. The
/// test takes one shell, because the wrapper needs 10 s.
#[test]
fn a_wrapper_that_stands_in_a_report_is_ended_with_its_session() {
    for shell in each().take(1) {
        let host = Host::new(shell);
        let mut session = host.start_unread(&format!("{FILL_STDERR}; exit 3"));
        let is_application = |line: &String| line.contains("exit 3");
        wait_until("the application", || host.processes().iter().any(is_application));
        wait_until("its end", || !host.processes().iter().any(is_application));
        session.close();
        host.assert_word_left("exit 3 ");
    }
}

#[test]
fn a_step_that_fails_by_itself_is_a_failure_whatever_signals_there_are() {
    for shell in each() {
        let host = Host::new(shell);
        // None of these ends the setup: no signal, one that ends nobody, and one that cannot be sent.
        let mut session = host.start(&failing(&host, LinkLossPolicy::Terminate));
        host.wait_for("ready");
        session.send(b"kill 1 0 group\nkill 2 CONT group\nkill 3 NOSUCH group\n");
        session.hear("ok 1");
        session.hear("ok 2");
        session.hear("no 3");
        fs::write(host.path("fail"), "").unwrap();
        assert_eq!(session.hear("fail"), "setup 1 3", "{}", host.shell.name);
        session.send(b"bye\n");
        session.close();
        host.assert_nothing_left();

        // The setup catches the signal, and then fails.
        let line = format!("trap ': >{}' TERM", host.path("caught").display());
        let request = failing(&host, LinkLossPolicy::Terminate);
        let lines = [line.as_ref(), request.setup[0].as_os_str()];
        fs::remove_file(host.path("fail")).unwrap();
        fs::remove_file(host.path("ready")).unwrap();
        let mut session = host.start(&sleeping().setup_shell("bash").setup_line(lines[0]).setup_line(lines[1]));
        host.wait_for("ready");
        session.send(b"kill 1 TERM leader\n");
        host.wait_for("caught");
        fs::write(host.path("fail"), "").unwrap();
        assert_eq!(session.hear("fail"), "setup 2 3", "{}", host.shell.name);
        session.hear("exit");
        session.send(b"bye\n");
        session.close();
        host.assert_nothing_left();

        // The signal comes when the failure is already noted.
        let directory = host.directory.path().display();
        let notes = format!(
            "echo $$ >\"$3.x\"; cat \"$3.x\" >/dev/null; echo f exec 0 126 >\"$3.a\"; echo >{directory}/noted; sleep 1000"
        );
        let shell = host.place_instead("notes", &notes);
        let mut session = host.start(&sleeping().setup_shell(shell.to_str().unwrap()).setup_line("true"));
        host.wait_for("noted");
        session.send(b"kill 1 TERM group CONT\n");
        assert_eq!(session.hear("fail"), "exec 0 126", "{}", host.shell.name);
        session.hear("exit");
        session.send(b"bye\n");
        session.close();
        host.assert_nothing_left();
    }
}

impl Host {
    /// Starts an application, and breaks the session before the wrapper knows the application's pid. Returns the
    /// session and the wrapper's pid.
    fn start_and_break(&self, request: &BootRequest) -> (Session, i64) {
        self.hold("mkfifo");
        let mut session = self.session(start_line(NONCE, &self.instance, request, "m", None, SilentCut::Connection));
        let begun = session.hear("begin");
        session.send(&start_block(&self.instance, request).concat());
        self.wait_for("held");
        session.close();
        (session, begun.split(' ').nth(1).unwrap().parse().unwrap())
    }

    /// Opens an inquiry about an application whose pid is not known.
    fn inquire(&self, wrapper_pid: i64) -> Session {
        let session = self.session(inquiry_line(NONCE, &self.instance, Some(wrapper_pid), None, 1));
        session.hear("begin");
        session
    }
}

#[test]
fn an_inquiry_waits_for_a_wrapper_that_has_not_told_a_pid() {
    for shell in each() {
        let host = Host::new(shell);
        let (_session, wrapper_pid) = host.start_and_break(&sleeping());
        let mut inquiry = host.inquire(wrapper_pid);
        fs::remove_file(host.path("hold")).unwrap();
        // HUP ends it, or KILL where this machine is slow.
        inquiry.hear("exit");
        inquiry.send(b"bye\n");
        inquiry.hear("clean");
        host.assert_nothing_left();
    }
}

#[test]
fn an_inquiry_after_a_wrapper_that_was_killed_before_it_told_a_pid_finds_nothing() {
    for shell in each() {
        let host = Host::new(shell);
        let (mut session, wrapper_pid) = host.start_and_break(&sleeping());
        session.child.kill().unwrap();
        session.child.wait().unwrap();
        let inquiry = host.inquire(wrapper_pid);
        inquiry.hear("gone");
        inquiry.hear("clean");
        fs::remove_file(host.path("hold")).unwrap();
        wait_until("all has ended", || host.processes().is_empty());
    }
}

/// Only the metadata file says who the application is, because all the shells of its wrapper were killed.
#[test]
fn an_inquiry_ends_what_outlives_its_wrapper_though_nobody_told_its_pid() {
    for shell in each() {
        let host = Host::new(shell);
        let ready = host.path("ready");
        let script = format!("trap '' HUP TERM; echo >{}; while :; do sleep 0.05; done", ready.display());
        let mut session = host.start(&BootRequest::new("h", ["/bin/sh", "-c", &script]).grace(Duration::from_secs(1)));
        let told = session.hear("pid");
        let pid: i32 = told.split(' ').next().unwrap().parse().unwrap();
        host.wait_for("ready");
        let wrapper = i64::from(session.child.id());
        // It kills them again and again, because a killed reader is replaced.
        wait_until("its wrapper's shells are gone", || host.kill_all(BOOTSTRAP) == 0);
        session.child.wait().unwrap();
        assert!(PathBuf::from(format!("/proc/{pid}")).exists(), "{}", host.shell.name);
        let inquiry = host.inquire(wrapper);
        inquiry.hear("gone");
        inquiry.hear("clean");
        host.assert_nothing_left();
    }
}

/// The shells that read the wrapper's commands are gone, and its report blocks because nobody reads it.
#[test]
fn an_inquiry_ends_a_wrapper_that_stands_in_a_report_and_hears_nobody() {
    // The test takes two shells, because the inquiry needs 4 s.
    for shell in each().take(2) {
        let host = Host::new(shell);
        let full = host.path("full");
        let mut session = host.start_unread(&format!("{FILL_STDERR}; echo >{}; sleep 1000", full.display()));
        host.wait_for("full");
        host.kill_readers();
        let inquiry = host.inquire(i64::from(session.child.id()));
        inquiry.hear("clean");
        wait_until("its end", || session.child.try_wait().unwrap().is_some());
        host.assert_nothing_left();
    }
}

impl Session {
    /// Kills the shells that read the session's input. It repeats that, because one that lives replaces a killed one.
    fn kill_input_readers(&self, host: &Host) {
        let input = format!("/proc/self/fd/{}", self.stdin.as_ref().unwrap().as_raw_fd());
        let input = fs::read_link(input).unwrap();
        let reads = |process: &Path| {
            let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
            descriptors.map(|entry| fs::read_link(entry.path())).any(|to| to.is_ok_and(|to| to == input))
        };
        let own = Path::new("/proc").join(self.child.id().to_string());
        let is_other = |process: &Path| process != own && reads(process);
        wait_until("the end of who reads the input", || host.kill_those(is_other) == 0);
    }
}

/// The link gets no commands any more. It ends when somebody else has read the word of the end that it has reported.
#[test]
fn a_link_whose_relay_was_killed_ends_with_what_its_process_has_left() {
    for shell in each() {
        let host = Host::new(shell);
        let mut session = host.start_confirmed(&kept());
        let told = session.hear("pid");
        session.hear("running");
        session.kill_input_readers(&host);
        // SAFETY: integers only; the process is one of this test's.
        unsafe { libc::kill(told.split(' ').next().unwrap().parse().unwrap(), libc::SIGKILL) };
        session.hear("exit");
        let mut inquiry = host.inquire(i64::from(session.child.id()));
        inquiry.hear("exit");
        inquiry.send(b"bye\n");
        inquiry.hear("clean");
        wait_until("its end", || session.child.try_wait().unwrap().is_some());
        host.assert_nothing_left();
    }
}

impl Host {
    /// Makes the files that a kept application leaves behind when it has ended, with the word of its end.
    fn leave_an_end(&self) {
        let directory = self.path("run/drunc");
        fs::create_dir(&directory).unwrap();
        let Instance { uuid, id, .. } = &self.instance;
        let metadata =
            format!("{{\"pid\":1,\"start_time\":\"0\",\"boot_id\":\"-\",\"wrapper\":1,\"instance\":\"{id}\"}}\n");
        fs::write(directory.join(format!("metadata_{uuid}.json")), metadata).unwrap();
        for (end, content) in [("out", "out\n"), ("err", "err\n"), ("end", "exit 7 - 1 0 1\n")] {
            fs::write(directory.join(format!("{uuid}.{id}.{end}")), content).unwrap();
        }
    }

    fn attach(&self, manager: &str) -> Session {
        self.session(attach_line(NONCE, &self.instance, 3, manager, (0, 0), SilentCut::Connection))
    }
}

#[test]
fn the_word_of_an_end_has_one_reader_until_its_link_is_gone() {
    for shell in each() {
        let host = Host::new(shell);
        host.leave_an_end();
        let mut first = host.attach("m1");
        assert_eq!(first.hear("exit"), "7 - 1 0 1", "{}", host.shell.name);
        host.attach("m2").hear("refused");
        // Its manager may have lost this link, and the link may not know that yet.
        let second = host.attach("m1");
        assert_eq!(second.hear("exit"), "7 - 1 0 1", "{}", host.shell.name);
        first.close();
        host.attach("m2").hear("refused");
        drop(second);
        let mut third = host.attach("m2");
        assert_eq!(third.hear("exit"), "7 - 1 0 1", "{}", host.shell.name);
        third.send(b"bye\n");
        third.hear("clean");
        third.close();
        host.assert_nothing_left();
        host.attach("m1").hear("gone");
    }
}

/// Returns the shells in which a script sleeps by the program `sleep`: ksh93 has its own.
fn each_with_sleep() -> impl Iterator<Item = Shell> {
    each().filter(|shell| shell.name != "ksh93")
}

impl Host {
    /// Makes a wrapper wait that is about to remove its metadata file, while the file `hold` is there. It makes the
    /// file `held` when it waits.
    fn hold_removal(&self) {
        fs::write(self.path("hold"), "").unwrap();
        let directory = self.directory.path().display();
        let script = format!(
            "case \"$*\" in *metadata_*)\n    echo >{directory}/held\n    \
             while [ -e {directory}/hold ]; do /bin/sleep 0.02; done\nesac\nexec /bin/rm \"$@\""
        );
        self.place_instead("rm", &script);
    }

    /// Waits until the removal is held. Lets further removals go on, and makes the file `paused` when a script
    /// pauses.
    fn wait_for_removal(&self) {
        self.wait_for("held");
        fs::remove_file(self.path("bin/rm")).unwrap();
        let directory = self.directory.path().display();
        self.place_instead("sleep", &format!("echo >{directory}/paused; exec /bin/sleep \"$@\""));
    }

    /// Waits until a script pauses because the removal is held, lets the removal go on, and waits for this report of
    /// the script. The report must not come before.
    #[track_caller]
    fn release_removal_before(&self, session: &Session, report: &str) {
        wait_until("a pause", || {
            self.path("paused").exists() || session.reports.try_iter().any(|it| it.starts_with(report))
        });
        assert!(self.path("paused").exists(), "{}: {report} came before the removal", self.shell.name);
        fs::remove_file(self.path("hold")).unwrap();
        session.hear(report);
    }
}

/// A wrapper checks that the metadata file is its own, and then removes it. It would remove the file of the next start
/// of its uuid if that came between the two.
#[test]
fn a_start_waits_for_the_wrapper_before_it() {
    for shell in each_with_sleep() {
        let mut host = Host::new(shell);
        host.hold_removal();
        let mut first = host.start(&BootRequest::new("h", ["/bin/true"]));
        first.hear("exit");
        first.send(b"bye\n");
        first.close();
        host.wait_for_removal();
        host.instance.id = "fedcba9876543210".into();
        let mut second = host.start(&sleeping());
        host.release_removal_before(&second, "running");
        assert!(host.application().is_some(), "{}: its metadata file was removed", host.shell.name);
        second.send(b"bye\n");
        second.close();
        host.assert_nothing_left();
    }
}

#[test]
fn an_inquiry_waits_for_the_wrapper_that_has_left_word() {
    for shell in each_with_sleep() {
        let host = Host::new(shell);
        host.hold_removal();
        let mut session = host.start(&sleeping());
        session.hear("running");
        session.close();
        host.wait_for_removal();
        let mut inquiry = host.inquire(i64::from(session.child.id()));
        inquiry.hear("exit");
        inquiry.send(b"bye\n");
        host.release_removal_before(&inquiry, "clean");
        host.assert_nothing_left();
    }
}

#[test]
fn a_new_link_to_a_start_that_failed_waits_for_its_wrapper() {
    for shell in each_with_sleep() {
        let host = Host::new(shell);
        host.hold_removal();
        let mut session =
            host.start_confirmed(&BootRequest::new("h", ["/nonexistent/program"]).link_loss(LinkLossPolicy::Keep));
        session.hear("exit");
        session.close();
        host.wait_for_removal();
        host.release_removal_before(&host.attach("m"), "gone");
        host.assert_nothing_left();
    }
}

/// With these masks, the log file cannot be opened for writing a second time.
#[test]
fn any_umask_starts_an_application_with_a_log_file() {
    for shell in each() {
        let host = Host::of_unprivileged_user(shell);
        let log = host.path("home/log");
        for (mask, policy) in [
            (0o222, LinkLossPolicy::Terminate),
            (0o277, LinkLossPolicy::Keep),
            (0o777, LinkLossPolicy::Terminate),
            (0o777, LinkLossPolicy::Keep),
        ] {
            let request = BootRequest::new("h", ["/bin/sh", "-c", "umask; echo err >&2"]);
            let mut session = host.start(&request.link_loss(policy).umask(mask).log_file(&log));
            session.hear("pid");
            session.send(if policy == LinkLossPolicy::Keep { b"keep\n" } else { b"" });
            let exit = session.hear_exit_and_no_failure();
            assert!(exit.starts_with("0 "), "{}: umask {mask:03o}: {exit}", session.name);
            session.send(b"bye\n");
            session.close();
            session.hear("clean");
            host.assert_nothing_left();
            assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o666 & !mask, "{}", session.name);
            if host.id.is_some() {
                assert_eq!(fs::read_to_string(&log).unwrap(), format!("{mask:04o}\nerr\n"), "{}", session.name);
            }
        }
    }
}

/// A moment of a start.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    /// This program is about to run for the nth time.
    Before(&'static str, u32),
    /// The manager has the pid of the process, and has not confirmed it.
    Told,
    /// A setup line runs.
    Setup,
    /// The program runs.
    Running,
}

use Moment::*;

impl Moment {
    /// Returns the moments of both policies, each in order.
    fn all() -> impl Iterator<Item = (LinkLossPolicy, Moment)> {
        let ends = [Before("mkfifo", 1), Before("mv", 1), Running].map(|moment| (LinkLossPolicy::Terminate, moment));
        let kept = [Before("mkfifo", 1), Before("mkfifo", 2), Before("env", 1), Before("env", 2), Before("mv", 1)];
        let kept = kept.into_iter().chain([Told, Setup, Running]).map(|moment| (LinkLossPolicy::Keep, moment));
        ends.into_iter().chain(kept)
    }

    fn has_metadata(self) -> bool {
        !matches!(self, Before(..))
    }
}

/// A command that waits. No other process has this command line.
const WAITS: &str = "sleep 999999";

impl Host {
    /// Starts an application, and returns when its start has come to this moment.
    fn start_until(&self, moment: Moment, policy: LinkLossPolicy) -> Session {
        let directory = self.directory.path().display();
        let mut request = sleeping().link_loss(policy);
        match moment {
            Before(program, time) => {
                let script = format!(
                    "cd {directory}\necho >>runs\n[ $(wc -l <runs) != {time} ] || {{ echo >held; {WAITS}; }}\n\
                     cd \"$OLDPWD\"\nexec /usr/bin/{program} \"$@\""
                );
                self.place_instead(program, &script);
            }
            Setup => request = request.setup_line(format!("echo >{directory}/held; {WAITS}")),
            Told | Running => {}
        }
        let mut session = self.start(&request);
        if moment.has_metadata() {
            session.hear("pid");
        }
        if matches!(moment, Setup | Running) && policy == LinkLossPolicy::Keep {
            session.send(b"keep\n");
        }
        match moment {
            Before(..) | Setup => self.wait_for("held"),
            Told => {}
            Running => drop(session.hear("running")),
        }
        session
    }

    /// Kills all shells of the wrapper, and ends the processes that a host ends with the session.
    fn kill_wrapper(&self, mut session: Session) {
        // It kills them more than once, because a killed reader is replaced.
        wait_until("the end of its wrapper", || self.kill_all(BOOTSTRAP) == 0);
        session.close();
        for program in ["mkfifo", "env", "mv"] {
            let _ = fs::remove_file(self.path("bin").join(program));
        }
        // sshd closes the streams to which a tail writes. The other programs hold files of the wrapper open.
        for word in ["tail", "/bin/mkfifo", "/bin/env", "/bin/mv", "sleep\0999999"] {
            self.kill_all(&format!("{word}\0"));
        }
        // A program that a shell has just started ends by itself, a moment after the shell.
        wait_until("the end of what has its files open", || !self.has_open_file());
    }

    /// Returns whether a process has the notebook of a wrapper open, or the draft of its metadata file.
    fn has_open_file(&self) -> bool {
        let entries = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        let opened = entries.filter(|path| self.is_marked(path)).filter_map(|path| fs::read_dir(path.join("fd")).ok());
        opened.flat_map(|opened| opened.flatten()).any(|one| {
            let file = fs::read_link(one.path()).unwrap_or_default();
            file.starts_with(self.directory.path()) && file.extension().is_some_and(|end| end == "a" || end == "tmp")
        })
    }

    /// Returns the pid in the metadata file, if there is such a file.
    fn application(&self) -> Option<String> {
        let file = self.files().into_iter().find(|file| file.extension().is_some_and(|end| end == "json"))?;
        let metadata: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        Some(metadata["pid"].to_string())
    }

    fn clean_up(&self) {
        let mut session =
            self.session(short_script(NONCE, &[(parameters::GRACE, b"1"), (parameters::KILL_TREE, b"")], CLEAN_UP));
        session.hear("clean");
        session.close();
        session.child.wait().unwrap();
    }
}

/// Tries each moment of a start in each shell, the shells at the same time: they wait most of the time.
fn at_each_moment(try_one: impl Fn(Host, LinkLossPolicy, Moment) + Sync) {
    thread::scope(|scope| {
        for shell in each() {
            let try_one = &try_one;
            scope.spawn(move || {
                for (policy, moment) in Moment::all() {
                    eprintln!("{}: {policy:?}, {moment:?}", shell.name);
                    try_one(Host::new(shell.clone()), policy, moment);
                }
            });
        }
    });
}

#[test]
fn a_clean_up_removes_what_a_start_left_whose_wrapper_was_killed() {
    at_each_moment(|host, policy, moment| {
        host.kill_wrapper(host.start_until(moment, policy));
        host.clean_up();
        host.assert_nothing_left();
    });
}

#[test]
fn a_start_removes_what_an_earlier_one_left_whose_wrapper_was_killed() {
    at_each_moment(|mut host, policy, moment| {
        host.kill_wrapper(host.start_until(moment, policy));
        // While the process lives, its uuid is in use.
        if let Some(pid) = host.application() {
            wait_until("the end of the process", || {
                host.kill_all("\0");
                !Path::new("/proc").join(&pid).exists()
            });
        }
        host.instance.id = "fedcba9876543210".into();
        let mut session = host.start_until(Running, policy);
        session.send(b"kill 1 KILL group\n");
        session.hear("exit");
        session.send(b"bye\n");
        session.close();
        host.assert_nothing_left();
    });
}

#[test]
fn files_of_a_start_without_metadata_stay_while_it_lives() {
    at_each_moment(|mut host, policy, moment| {
        if moment.has_metadata() {
            return;
        }
        let mut first = host.start_until(moment, policy);
        let files = host.files();
        assert!(!files.is_empty());
        host.clean_up();
        host.instance.id = "fedcba9876543210".into();
        let mut second = host.start_until(Running, policy);
        assert!(files.iter().all(|file| file.exists()), "{}: {policy:?}, {moment:?}: {files:?}", host.shell.name);
        first.close();
        second.close();
        wait_until("the end of all", || host.kill_all("\0") == 0);
    });
}

/// The files of a process belong to its own uuid, also where another uuid is the beginning of that one, or where it
/// looks like the end of a file's name.
#[test]
fn files_of_a_longer_uuid_stay() {
    for shell in each() {
        for rest in ["readout-app-0001", "readout.crate-01.link", "l", "r", "end"] {
            let mut host = Host::new(shell.clone());
            let shorter = host.instance.uuid.clone();
            host.instance.uuid = format!("{shorter}.{rest}");
            let mut first = host.start_until(Running, LinkLossPolicy::Terminate);
            let files = host.files();
            host.clean_up();
            host.instance = Instance { uuid: shorter, id: "fedcba9876543210".into() };
            let mut second = host.start_until(Running, LinkLossPolicy::Terminate);
            assert!(files.iter().all(|file| file.exists()), "{}: {rest}: {files:?}", host.shell.name);
            first.close();
            second.close();
            wait_until("the end of all", || host.kill_all("\0") == 0);
        }
    }
}

/// bash alone keeps this variable; elsewhere a login that comes from bash may have exported it.
#[test]
fn a_step_that_fails_is_reported_where_the_environment_has_bashpid() {
    for shell in each().filter(|shell| shell.name != "busybox") {
        let host = Host::new(shell);
        let script = format!("export BASHPID=1\nexec {} \"$@\"", host.shell.path().display());
        let shell = host.place_instead("shell", &script);
        let session = host.start(&sleeping().setup_shell(shell.to_str().unwrap()).setup_line("exit 3"));
        assert_eq!(session.hear("fail"), "setup 1 3", "{}", host.shell.name);
    }
}
