//! Whatever a user's ssh_config says, processes start, write, get signals and end as they do without it, with shared
//! connections and without. What belongs to the user, such as a master connection, is not affected.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::{self, DEADLINE, LONG, ProcessInfo, Remote, run_to_end, skipped, told, wait_for_end, wait_until};
use sshpm::{BootRequest, Error, Options, Signal, SshFailure};

/// A script that writes the bytes of its second argument and waits. Only USR1 makes it end with this code.
const ANSWERS: &str = r#"trap 'exit 42' USR1; "$1" stdout "$2" stderr 'on stderr'; while :; do sleep 0.05; done"#;

/// Returns all values of a byte, behind bytes that would be escapes on a terminal's line.
fn all_bytes() -> Vec<u8> {
    [b"~.\n~.\r~?\n".as_slice(), &(0..=255).collect::<Vec<u8>>(), b"\n~."].concat()
}

/// Asserts that with these lines at the top of the user's ssh_config, everything works as without them.
#[track_caller]
fn assert_works_with(lines: &str) {
    assert_works(&Remote::start(), lines);
}

#[track_caller]
fn assert_works(remote: &Remote, lines: &str) {
    assert_works_by(remote, lines, |options| options);
}

/// Asserts that everything works with these lines and more options.
#[track_caller]
fn assert_works_by(remote: &Remote, lines: &str, more: impl Fn(Options) -> Options) {
    for options in both_ways(remote, lines) {
        let before = Footprint::of(remote);
        let sockets = assert_processes_live(remote, more(options));
        before.wait_for(remote);
        for socket in sockets.difference(&before.sockets) {
            assert!(!socket.exists(), "a socket is left: {}", socket.display());
        }
    }
}

/// Returns options with shared connections and without.
fn both_ways(remote: &Remote, lines: &str) -> impl Iterator<Item = Options> {
    let options = remote.options().ssh_config(remote.user_config(lines));
    [true, false].into_iter().map(move |share| {
        // The output is shown when a test fails.
        println!("share_connections({share})");
        options.clone().share_connections(share)
    })
}

/// Returns options with shared connections and without, and with connections whose sessions have no ssh clients.
fn all_ways(remote: &Remote, lines: &str) -> impl Iterator<Item = Options> {
    let without_clients = remote.options().ssh_config(remote.user_config(lines)).ssh_client_per_process(false);
    both_ways(remote, lines).chain([without_clients])
}

/// Asserts that one process answers a signal and that one is killed. Returns the sockets that were in use.
#[track_caller]
fn assert_processes_live(remote: &Remote, options: Options) -> BTreeSet<PathBuf> {
    let manager = remote.manager_with(options);
    let events = manager.subscribe().unwrap();
    let bytes = all_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let app = remote.app().into_os_string();
    let answers = BootRequest::new("alpha", ["sh".into(), "-c".into(), ANSWERS.into(), "sh".into(), app, hex.into()]);
    manager.start_process("answers", &answers).unwrap();
    manager.start_process("killed", &remote.request("alpha", "print ready wait")).unwrap();
    let output = manager.subscribe_output("answers").unwrap();
    let stdout = |uuid: &str| manager.process_stdout(uuid).unwrap().bytes;

    let pid = manager.wait_until_started("answers", LONG).unwrap_or_else(|error| panic!("answers: {error}"));
    assert!(ProcessInfo::of(pid as i32).is_some_and(|process| process.is_alive()), "{pid}");
    wait_until("all output", LONG, || (stdout("answers").len() >= bytes.len()).then_some(()));
    let sockets = Footprint::of(remote).sockets;
    manager.send_signal("answers", Signal::USR1).unwrap();
    let status = wait_for_end(&manager, "answers").unwrap();
    assert_eq!((status.code(), status.signal()), (Some(42), None), "{status}");
    // The exit does not wait for what else ssh writes.
    while output.recv_timeout(LONG).is_ok() {}
    assert_eq!(stdout("answers"), bytes);
    let stderr = manager.process_stderr("answers").unwrap().bytes;
    assert_eq!(String::from_utf8_lossy(&stderr), "on stderr");

    support::wait_until_ready(&manager, "killed");
    assert_eq!(stdout("killed"), b"ready\n");
    let status = manager.kill_process("killed", LONG).unwrap();
    assert_eq!(status.signal(), Some(Signal::QUIT), "{status}");

    // A wait for an exit may return before the event is in the queue.
    let mut all: Vec<_> = (0..4).map(|_| told(&events.recv_timeout(LONG).unwrap())).collect();
    all.sort();
    assert_eq!(all, ["exited answers", "exited killed", "started answers", "started killed"]);
    assert!(events.is_empty());
    sockets
}

/// Asserts that logins fail with the same errors as without these lines: ssh's messages, which distinguish them, must
/// come.
#[track_caller]
fn assert_failures_are_told(remote: &Remote, lines: &str) {
    for options in both_ways(remote, lines) {
        let before = Footprint::of(remote);
        let manager = remote.manager_with(options);
        let waits = remote.request("alpha", "wait");
        manager.start_process("no-account", &waits.user("nobody-of-this-name")).unwrap();
        manager.start_process("no-sshd", &remote.request("refused", "wait")).unwrap();
        for (uuid, expected) in [("no-account", SshFailure::AuthenticationFailed), ("no-sshd", SshFailure::Refused)] {
            let error = wait_for_end(&manager, uuid).unwrap_err();
            assert!(matches!(error, Error::Ssh { failure, .. } if failure == expected), "{uuid}: {error:?}");
            // The picture of a key does not help to find the reason.
            assert!(!error.to_string().contains("+--["), "{uuid}: {error}");
        }
        drop(manager);
        before.wait_for(remote);
    }
}

/// What ssh has on both sides of a remote: processes here, sessions and applications there.
struct Footprint {
    local: BTreeSet<i32>,
    sshds: BTreeSet<i32>,
    /// The control sockets of masters.
    sockets: BTreeSet<PathBuf>,
}

impl Footprint {
    fn of(remote: &Remote) -> Footprint {
        // Each ssh has the path of its ssh_config in its command line, and otherwise only the remote's guard has it.
        let dir = remote.dir().to_str().unwrap();
        let has_dir = |process: &ProcessInfo| process.cmdline.iter().any(|word| word.to_string_lossy().contains(dir));
        let is_guard = |process: &ProcessInfo| process.cmdline.get(1).is_some_and(|word| word == "guard");
        let mut local = support::processes();
        local.retain(|process| has_dir(process) && !is_guard(process) && !process.is_zombie());
        let sockets = local.iter().flat_map(sockets_of).collect();
        let pids = |processes: Vec<ProcessInfo>| processes.iter().map(|process| process.pid).collect();
        Footprint { local: pids(local), sshds: pids(remote.session_sshds()), sockets }
    }

    /// Waits until there is no more than at that time, and nothing of an application.
    #[track_caller]
    fn wait_for(&self, remote: &Remote) {
        remote.assert_nothing_left();
        wait_until("the end of each ssh and sshd that has come since", DEADLINE, || {
            let now = Footprint::of(remote);
            (now.local.is_subset(&self.local) && now.sshds.is_subset(&self.sshds)).then_some(())
        });
    }
}

/// Returns the control sockets that the arguments of an ssh name.
fn sockets_of(process: &ProcessInfo) -> Vec<PathBuf> {
    let words: Vec<_> = process.cmdline.iter().map(|word| word.to_string_lossy()).collect();
    let behind_s = words.windows(2).filter(|pair| pair[0] == "-S").map(|pair| pair[1].to_string());
    let as_option = words.iter().filter_map(|word| Some(word.split_once("ControlPath=")?.1.to_owned()));
    behind_s.chain(as_option).filter(|path| path.starts_with('/')).map(PathBuf::from).collect()
}

/// Returns whether this ssh knows the keyword, and reports if it does not: then no user of this ssh has it in an
/// ssh_config.
fn ssh_knows(keyword: &str, value: &str) -> bool {
    let mut ssh = Command::new("ssh");
    // With a command, because without one ssh could not go to the background.
    ssh.args(["-G", "-F", "none", "-o", &format!("{keyword}={value}"), "host", "true"]).stdin(Stdio::null());
    let known = ssh.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success();
    if !known {
        skipped(&format!("this ssh does not know {keyword}"));
    }
    known
}

/// The user's own ssh, which runs until it is dropped.
struct Own(Child);

impl Own {
    fn start(command: &mut Command) -> Own {
        Own(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ssh_by(config: &Path) -> Command {
    let mut ssh = Command::new("ssh");
    ssh.arg("-F").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    ssh
}

/// Makes a directory for sockets. It is not in the remote's directory, whose path may be too long for a socket.
fn socket_dir() -> tempfile::TempDir {
    support::temporary_directory()
}

#[track_caller]
fn assert_empty(dir: &Path) {
    let files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(files.is_empty(), "{files:?}");
}

#[test]
fn control_master() {
    let remote = Remote::start();
    // An ssh that must be a master and cannot make its socket ends. autoask would also ask with SSH_ASKPASS.
    for value in ["yes", "auto", "autoask"] {
        assert_works(&remote, &format!("ControlMaster {value}\nControlPath /nonexistent/%C"));
    }
}

#[test]
fn control_persist() {
    let (remote, dir) = (Remote::start(), socket_dir());
    for value in ["yes", "10m"] {
        let path = dir.path().display();
        assert_works(&remote, &format!("ControlMaster auto\nControlPersist {value}\nControlPath {path}/%C"));
        assert_empty(dir.path());
    }
}

#[test]
fn control_path_with_a_living_master_of_the_users_own() {
    let (remote, dir) = (Remote::start(), socket_dir());
    let lines = format!("ControlMaster auto\nControlPath {}/%C", dir.path().display());
    let config = remote.user_config(&lines);
    let _master = Own::start(ssh_by(&config).args(["-N", "alpha"]));
    let answers = || ssh_by(&config).args(["-O", "check", "alpha"]).status().unwrap().success();
    wait_until("the user's master is ready", DEADLINE, || answers().then_some(()));
    let socket = || {
        let files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].metadata().unwrap().ino()
    };
    let (before, logins) = (socket(), remote.logins());
    assert_works(&remote, &lines);
    // With sharing, the two processes log in at least once; without it, twice.
    assert!(remote.logins() >= logins + 3, "the user's master was used");
    assert!(answers(), "the user's master was harmed");
    assert_eq!(socket(), before);
    // The user's master still works.
    let logins = remote.logins();
    assert!(ssh_by(&config).args(["alpha", "true"]).status().unwrap().success());
    assert_eq!(remote.logins(), logins);
}

#[test]
fn request_tty() {
    let remote = Remote::start();
    assert_works(&remote, "RequestTTY force");
    assert_failures_are_told(&remote, "RequestTTY force");
}

#[test]
fn remote_command() {
    assert_works_with("RemoteCommand echo this runs instead");
}

/// Returns a port that is taken here and on the remote, which is this machine.
fn taken_port() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
fn local_forward() {
    let (_listener, port) = taken_port();
    assert_works_with(&format!("LocalForward 127.0.0.1:{port} 127.0.0.1:9\nExitOnForwardFailure yes"));
}

#[test]
fn dynamic_forward() {
    let (_listener, port) = taken_port();
    assert_works_with(&format!("DynamicForward 127.0.0.1:{port}\nExitOnForwardFailure yes"));
}

#[test]
fn remote_forward() {
    let (_listener, port) = taken_port();
    assert_works_with(&format!("RemoteForward 127.0.0.1:{port} 127.0.0.1:9\nExitOnForwardFailure yes"));
}

#[test]
fn proxy_jump() {
    let remote = Remote::start();
    let lines = "Host alpha refused\nProxyJump gamma";
    assert_works(&remote, lines);
    // Each of the two managers has made at least one connection, and each connection another one to the jump host.
    assert!(remote.logins() >= 4, "{} logins", remote.logins());
    assert_failures_are_told(&remote, lines);
}

/// An ssh without our options makes the connection to the jump host. It does what the user wants, and holds up no
/// process.
#[test]
fn proxy_jump_by_a_master_that_persists() {
    let (remote, dir) = (Remote::start(), socket_dir());
    let own = format!("Host gamma\nControlMaster auto\nControlPersist yes\nControlPath {}/%C", dir.path().display());
    let lines = format!("{own}\nHost alpha\nProxyJump gamma");
    let config = remote.user_config(&lines);
    for options in both_ways(&remote, &lines) {
        let manager = remote.manager_with(options);
        let status = support::run_to_end(&manager, "exits", &remote.request("alpha", "exit 3")).unwrap();
        assert_eq!(status.code(), Some(3), "{status}");
        support::start(&manager, "killed", &remote.request("alpha", "wait"));
        assert_eq!(manager.kill_process("killed", LONG).unwrap().signal(), Some(Signal::QUIT));
        drop(manager);
        remote.assert_nothing_left();
        assert!(
            ssh_by(&config).args(["-O", "check", "gamma"]).status().unwrap().success(),
            "the user's master persists"
        );
    }
    assert!(ssh_by(&config).args(["-O", "exit", "gamma"]).status().unwrap().success());
    wait_until("the end of its socket", DEADLINE, || fs::read_dir(dir.path()).unwrap().next().is_none().then_some(()));
}

#[test]
fn proxy_command() {
    let remote = Remote::start();
    let config = remote.dir().join("user_config");
    let by_ssh = format!("ssh -F '{}' -W %h:%p gamma", config.display());
    // This does what nc does, until its input ends. The path makes the test notice a process that is left.
    let script = "trap \"\" HUP; exec 3<>/dev/tcp/$1/$2 || exit; cat <&3 & cat >&3; kill $! 2>&-";
    let by_bash = format!("bash -c '{script}' '{}' %h %p", config.display());
    for command in [by_ssh, by_bash] {
        let lines = format!("Host alpha refused\nProxyCommand {command}");
        assert_works(&remote, &lines);
        assert_failures_are_told(&remote, &lines);
    }
}

/// ssh writes its debug messages then, although LogLevel forbids them.
#[test]
fn log_verbose() {
    if ssh_knows("LogVerbose", "*:*:*") {
        let remote = Remote::start();
        assert_works(&remote, "LogVerbose *:*:*");
        assert_failures_are_told(&remote, "LogVerbose *:*:*");
    }
}

#[test]
fn channel_timeout() {
    if ssh_knows("ChannelTimeout", "session:*=1s") {
        let remote = Remote::start();
        for options in both_ways(&remote, "ChannelTimeout session:*=1s global=1s") {
            let manager = remote.manager_with(options);
            support::start_ready(&manager, "p", &remote.request("alpha", "print ready wait"));
            // An ssh of the user's own, which starts later, shows when the time is over. Its input stays open. The
            // time begins with the first output.
            let mut own = ssh_by(&remote.user_config("ChannelTimeout session:*=1s"));
            let mut own = own.args(["alpha", "echo; cat"]).stdin(Stdio::piped()).spawn().unwrap();
            wait_until("the end of the user's session", LONG, || own.try_wait().unwrap());
            assert_eq!(manager.kill_process("p", LONG).unwrap().signal(), Some(Signal::QUIT));
        }
    }
}

#[test]
fn log_level() {
    let remote = Remote::start();
    for value in ["QUIET", "ERROR", "DEBUG3"] {
        assert_works(&remote, &format!("LogLevel {value}"));
        assert_failures_are_told(&remote, &format!("LogLevel {value}"));
    }
}

/// Asserts what processes write. There are two, because the first one may have made the connection that the second one
/// uses.
#[track_caller]
fn assert_written(remote: &Remote, options: impl Iterator<Item = Options>, script: &str, expected: &str) {
    for options in options {
        let manager = remote.manager_with(options);
        for uuid in ["first", "second"] {
            let request = BootRequest::new("alpha", ["sh", "-c", &format!("{script}; sleep 1000")]);
            support::start(&manager, uuid, &request);
            let stdout = || String::from_utf8_lossy(&manager.process_stdout(uuid).unwrap().bytes).into_owned();
            let stdout = wait_until("a line", LONG, || Some(stdout()).filter(|text| text.ends_with('\n')));
            assert_eq!(stdout.trim_end(), expected);
        }
    }
    remote.assert_nothing_left();
}

#[test]
fn send_env() {
    let remote = Remote::builder().sshd_option("AcceptEnv DAQ_*").start();
    // Only ssh gets DAQ_SENT, because this process must not change its own environment. So each process needs a client.
    let program = remote.program("ssh-with-variables", "DAQ_SENT='a b' DAQ_KEPT=no exec ssh \"$@\"");
    let lines = "SendEnv DAQ_SENT DAQ_MISSING";
    let options = both_ways(&remote, lines).map(|options| options.ssh_program(&program).ssh_client_per_process(true));
    assert_written(&remote, options, "echo ${DAQ_SENT-none}, ${DAQ_KEPT-none}, ${DAQ_MISSING-none}", "a b, none, none");
    assert_works_by(&remote, "SendEnv DAQ_*", |options| options.ssh_program(&program));
}

#[test]
fn set_env() {
    let remote = Remote::builder().sshd_option("AcceptEnv DAQ_*").start();
    let lines = "SetEnv DAQ_ONE=1 DAQ_TWO=\"a b\"";
    assert_written(&remote, both_ways(&remote, lines), "echo ${DAQ_ONE-none}, ${DAQ_TWO-none}", "1, a b");
    assert_works(&remote, lines);
}

/// Escapes exist only with a terminal, so the test requests one. The character is one with which commands to the
/// wrapper begin.
#[test]
fn escape_char() {
    assert_works_with("EscapeChar k\nRequestTTY force");
}

#[test]
fn fork_after_authentication() {
    if ssh_knows("ForkAfterAuthentication", "yes") {
        assert_works_with("ForkAfterAuthentication yes");
    }
}

#[test]
fn stdin_null() {
    if ssh_knows("StdinNull", "yes") {
        assert_works_with("StdinNull yes");
    }
}

#[test]
fn session_type() {
    if ssh_knows("SessionType", "none") {
        let remote = Remote::start();
        for value in ["none", "subsystem"] {
            assert_works(&remote, &format!("SessionType {value}"));
        }
    }
}

/// The command of `Match exec` runs beside ours. It could read the wrapper's input, or write into the application's
/// output.
#[test]
fn match_exec() {
    let remote = Remote::start();
    let read = remote.dir().join("read");
    let command = format!("cat >'{}'; echo noise; echo noise >&2", read.display());
    assert_works(&remote, &format!("Match originalhost alpha exec \"{command}\"\nRequestTTY force"));
    assert_eq!(fs::read(read).unwrap(), b"");
}

#[test]
fn local_command() {
    let remote = Remote::start();
    let file = remote.dir().join("local-command-ran");
    assert_works(&remote, &format!("PermitLocalCommand yes\nLocalCommand echo noise; touch '{}'", file.display()));
    assert!(!file.exists());
}

#[test]
fn tunnel() {
    assert_works_with("Tunnel yes\nExitOnForwardFailure yes");
}

#[test]
fn visual_host_key() {
    let remote = Remote::start();
    assert_works(&remote, "VisualHostKey yes");
    assert_failures_are_told(&remote, "VisualHostKey yes");
}

/// A key that the host does not offer any more: ssh would remove it from known_hosts.
#[test]
fn update_host_keys() {
    let remote = Remote::start();
    let file = remote.dir().join("own_known_hosts");
    let line = |host: &str, key: &str| {
        let key = fs::read_to_string(remote.dir().join(key)).unwrap();
        format!("[{host}]:{} {key}", remote.port())
    };
    let content = ["host.pub", "other.pub"].map(|key| line("127.0.0.1", key)).concat();
    fs::write(&file, &content).unwrap();
    assert_works(&remote, &format!("UpdateHostKeys yes\nUserKnownHostsFile \"{}\"", file.display()));
    assert_eq!(fs::read_to_string(&file).unwrap(), content);
}

/// ssh reads the configuration twice then.
#[test]
fn canonicalize_hostname() {
    let lines = "CanonicalizeHostname always\nCanonicalDomains does-not-exist.invalid\nCanonicalizeFallbackLocal yes";
    assert_works_with(&format!("{lines}\nMatch canonical\nRequestTTY force\nMatch final\nLogLevel DEBUG"));
}

/// An option of ours would replace the user's.
#[test]
fn ignore_unknown() {
    assert_works_with("IgnoreUnknown NoSuchKeyword,UseKeychain\nNoSuchKeyword yes\nUseKeychain yes");
}

/// Starts an agent of the user's own, and returns it with its socket.
fn agent(dir: &Path) -> (Own, PathBuf) {
    let socket = dir.join("agent");
    let agent = Own::start(Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket));
    wait_until("the agent listens", DEADLINE, || socket.exists().then_some(()));
    (agent, socket)
}

fn keys_of(agent: &Path) -> String {
    let output = Command::new("ssh-add").arg("-l").env("SSH_AUTH_SOCK", agent).stdin(Stdio::null()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn forward_agent() {
    let (remote, dir) = (Remote::start(), socket_dir());
    let (_agent, socket) = agent(dir.path());
    let agent = format!("IdentityAgent {}", socket.display());
    for (value, expected) in [("yes", "an agent"), (socket.to_str().unwrap(), "an agent"), ("no", "none")] {
        let lines = format!("ForwardAgent {value}\n{agent}");
        assert_works(&remote, &lines);
        let shows = "test -S \"$SSH_AUTH_SOCK\" && echo an agent || echo none";
        assert_written(&remote, all_ways(&remote, &lines), shows, expected);
    }
}

/// SendEnv names variables of this program.
#[test]
fn variables_of_ssh_config_arrive_with_ssh_clients_and_without() {
    support::isolated(|| {
        let remote = Remote::builder().sshd_option("AcceptEnv DAQ_*").start();
        // SAFETY: no other thread of this process uses the environment yet.
        unsafe {
            std::env::set_var("DAQ_SENT", "a=b c");
            std::env::set_var("DAQ_KEPT", "no");
        }
        let shows = "echo ${DAQ_SENT-none}, ${DAQ_KEPT-none}, ${DAQ_SET-none}";
        assert_written(&remote, all_ways(&remote, "SendEnv DAQ_SENT\nSetEnv DAQ_SET=1"), shows, "a=b c, none, 1");
        assert_written(&remote, all_ways(&remote, "ForwardAgent no"), shows, "none, none, none");
        // There are more variables than a request can have, so that clients send them.
        // SAFETY: the threads of the managers have ended.
        unsafe { std::env::set_var("DAQ_LONG", "x".repeat(100 << 10)) };
        assert_written(&remote, all_ways(&remote, "SendEnv DAQ_SENT"), shows, "a=b c, none, none");
    });
}

/// ssh asks with a dialog, in spite of BatchMode.
#[test]
fn keys_are_added_to_an_agent_only_if_an_option_asks_for_it() {
    let (remote, dir) = (Remote::start(), socket_dir());
    let (_agent, socket) = agent(dir.path());
    let asked = remote.dir().join("asked");
    let dialog = remote.program("ask", &format!("echo yes; echo asked >>'{}'", asked.display()));
    let script = format!("DISPLAY=:99 SSH_ASKPASS='{}' exec ssh \"$@\"", dialog.display());
    let program = remote.program("ssh-with-dialog", &script);
    for value in ["ask", "yes"] {
        let lines = format!("AddKeysToAgent {value}\nIdentityAgent {}", socket.display());
        assert_works_by(&remote, &lines, |options| options.ssh_program(&program));
        assert!(!asked.exists());
        assert!(!keys_of(&socket).contains("ED25519"), "{}", keys_of(&socket));
    }
    let lines = format!("IdentityAgent {}", socket.display());
    let of_option = |options: Options| options.ssh_program(&program).ssh_option("AddKeysToAgent=ask");
    assert_works_by(&remote, &lines, of_option);
    assert!(asked.exists());
    assert!(keys_of(&socket).contains("ED25519"), "{}", keys_of(&socket));
}

#[test]
fn forward_x11() {
    let remote = Remote::builder().sshd_option("X11Forwarding yes").start();
    // Nothing listens there, so an untrusted connection cannot be prepared, and ssh warns.
    let program = remote.program("ssh-with-display", "DISPLAY=127.0.0.1:99 exec ssh \"$@\"");
    for trusted in ["yes", "no"] {
        let lines = format!("ForwardX11 yes\nForwardX11Trusted {trusted}");
        assert_works_by(&remote, &lines, |options| options.ssh_program(&program));
    }
}

/// The request has no user: ssh_config chooses, and only the host knows who that is.
#[test]
fn the_user_of_ssh_config_is_the_one_that_is_named() {
    let remote = Remote::start();
    if !remote.require_users("the test needs a user with another name") {
        return;
    }
    let user = remote.users().pop().unwrap().name;
    assert_ne!(user, remote.users()[0].name);
    for options in both_ways(&remote, &format!("Match originalhost alpha\nUser {user}")) {
        let manager = remote.manager_with(options);
        support::start_ready(&manager, "p", &remote.request("alpha", "print ready wait"));
        assert_eq!(manager.read_process_metadata("p", "alpha", None, LONG).unwrap().user, user);
        let status = manager.kill_process("p", LONG).unwrap();
        assert!(status.to_string().contains(&format!("user {user}")), "{status}");
        let error = run_to_end(&manager, "p", &BootRequest::new("alpha", ["/no/such/program"])).unwrap_err();
        assert!(matches!(error, Error::StartFailed { .. }), "{error}");

        // Nobody can know which user it would have been.
        manager.start_process("p", &remote.request("silent", "wait")).unwrap();
        let status = manager.kill_process("p", LONG).unwrap();
        assert!(!status.to_string().contains("user"), "{status}");
    }
}

#[test]
fn relative_files_are_found_after_a_change_of_directory() {
    support::isolated(|| {
        let remote = Remote::start();
        remote.program("ssh-here", "exec ssh \"$@\"");
        let options =
            remote.options().ssh_program("./ssh-here").ssh_config("ssh_config").known_hosts_file("known_hosts");
        std::env::set_current_dir(remote.dir()).unwrap();
        let manager = remote.manager_with(options);
        std::env::set_current_dir("/").unwrap();
        let status = run_to_end(&manager, "p", &remote.request("alpha", "print here exit 3")).unwrap();
        assert_eq!(status.code(), Some(3), "{status}");
    });
}

#[test]
fn x11_is_forwarded_only_if_an_option_asks_for_it() {
    support::isolated(|| {
        let remote = Remote::builder().sshd_option("X11Forwarding yes").start();
        let calls = remote.dir().join("xauth-calls");
        let xauth = remote.program("xauth", &format!("echo call >>'{}'; exit 1", calls.display()));
        // SAFETY: no other thread of this process uses the environment yet.
        unsafe { std::env::set_var("DISPLAY", "localhost:99") };
        let lines = format!("ForwardX11 yes\nForwardX11Trusted yes\nXAuthLocation {}", xauth.display());
        let count = || fs::read_to_string(&calls).map_or(0, |text| text.lines().count());
        // A connection has a session of its own.
        for (options, sessions) in all_ways(&remote, &lines).zip([2, 1, 2]) {
            for asks in [false, true] {
                let _ = fs::remove_file(&calls);
                let options = if asks { options.clone().ssh_option("ForwardX11=yes") } else { options.clone() };
                let manager = remote.manager_with(options);
                let status = run_to_end(&manager, "p", &remote.request("alpha", "exit 3")).unwrap();
                assert_eq!((status.code(), count()), (Some(3), if asks { sessions } else { 0 }), "{status}");
            }
        }
        remote.assert_nothing_left();
    });
}

#[test]
fn all_of_them_at_once() {
    let (remote, dir) = (Remote::start(), socket_dir());
    let (_listener, port) = taken_port();
    let lines = format!(
        "ControlMaster auto\nControlPersist yes\nControlPath {}/%C\nRequestTTY force\nRemoteCommand echo this\n\
         LocalForward 127.0.0.1:{port} 127.0.0.1:9\nExitOnForwardFailure yes\nLogLevel QUIET\nSendEnv *\n\
         EscapeChar k\nVisualHostKey yes\nBatchMode no",
        dir.path().display()
    );
    assert_works(&remote, &lines);
    assert_failures_are_told(&remote, &lines);
    assert_empty(dir.path());
}
