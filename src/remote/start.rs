//! The scripts for one process: `wrapper.sh` starts it, `attach.sh` takes over a kept one, and `inquiry.sh` asks about
//! one whose link was lost.
//!
//! The values of a request become assignments in the script, each quoted once.

use std::os::unix::ffi::OsStrExt;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::local::client::Chunk;
use crate::model::limit::{Limit, LimitValue};
use crate::model::link_loss::LinkLossPolicy;
use crate::model::ready::Ready;
use crate::model::request::{BootRequest, LogMode};
use crate::model::time::whole_seconds;
use crate::remote::instance::Instance;
use crate::remote::lease::{Lease, SilentCut};
use crate::remote::parameters;
use crate::remote::pieces::{self, addition, script_of};
use crate::remote::report::NONCE_LENGTH;
use crate::remote::script::{ScriptBuilder, closed, literal_path, short_script, without_comments};

// Each is made once: no further start costs that time.
static WRAPPER: LazyLock<Vec<u8>> = LazyLock::new(|| closed(&without_comments(&script_of("wrapper"))));
static ATTACH: LazyLock<Vec<u8>> = LazyLock::new(|| closed(&without_comments(&script_of("attach"))));
static LEASE: LazyLock<Vec<u8>> = LazyLock::new(|| without_comments(&addition(&["wrapper"], "lease")));
static TREE: LazyLock<Vec<u8>> = LazyLock::new(|| without_comments(&addition(&["wrapper"], "tree")));
static KEEP: LazyLock<Vec<u8>> = LazyLock::new(|| without_comments(&addition(&["wrapper"], "keep")));
static READY: LazyLock<Vec<u8>> = LazyLock::new(|| without_comments(&addition(&["wrapper"], "ready")));
static START: LazyLock<Vec<u8>> = LazyLock::new(|| without_comments(pieces::START));

/// The script that keeps a shared connection open.
pub(crate) const CONNECTION: &str = "connection";
/// The script that describes a host.
pub(crate) const VALIDATE: &str = "validate";
/// The script that reads the end of a log file.
pub(crate) const READ_LOG: &str = "read_log";
/// The script that reads a log file as it grows.
pub(crate) const FOLLOW_LOG: &str = "follow_log";
/// The script that waits for the metadata file of a process.
pub(crate) const READ_METADATA: &str = "read_metadata";
/// The script that lists applications.
pub(crate) const LIST: &str = "find";
/// The script that ends and removes the applications that no manager has.
pub(crate) const CLEAN_UP: &str = "clean_up";

/// Returns the script that starts the application of `request`. It waits for [`start_block`] before it starts
/// anything. `known_user`: the user of the session, if the manager knows it.
pub(crate) fn start_line(
    nonce: &[u8; NONCE_LENGTH],
    instance: &Instance,
    request: &BootRequest,
    manager: &str,
    known_user: Option<&str>,
    cut: SilentCut,
) -> Vec<Chunk> {
    let mut script = ScriptBuilder::about(nonce, instance, whole_seconds(request.grace), cut);
    script.assign(parameters::KNOWN_USER, known_user.unwrap_or_default());
    script.assign(parameters::UMASK, request.umask.map(|mask| format!("{mask:04o}")).unwrap_or_default());
    script.assign(parameters::LOG_FILE, request.log_file.as_deref().map(literal_path).unwrap_or_default());
    script.assign(parameters::LOG_MODE, log_mode(request.log_mode));
    script.assign(parameters::SETUP_SHELL, request.setup_shell.as_deref().unwrap_or_default());
    let flag = |set| if set { "1" } else { "" };
    script.assign(parameters::WANTS_BASH, flag(!request.setup.is_empty()));
    script.assign(parameters::MAY_BE_SLOW, flag(!request.setup.is_empty() || request.working_directory.is_some()));
    script.assign(parameters::METADATA_REST, metadata(instance, request));
    script.assign(parameters::KILL_TREE, flag(request.kill_tree));
    if request.kill_tree {
        script.add(&TREE);
    }
    script.ready(request);
    if request.link_loss == LinkLossPolicy::Keep {
        script.assign(parameters::IS_KEPT, "1");
        script.assign(parameters::MANAGER, manager);
        script.assign(parameters::STDOUT_POSITION, "0");
        script.assign(parameters::STDERR_POSITION, "0");
        script.add(&KEEP);
    }
    script.bundle_with(&WRAPPER)
}

/// Returns the go-ahead for a start whose script has begun, with the script of the inner process. Nothing may be sent
/// behind it until the next report: the host's `head` may read what follows.
pub(crate) fn start_block(instance: &Instance, request: &BootRequest) -> Vec<Chunk> {
    inner_script(instance, request).block()
}

/// Returns the script that takes over the kept process of this instance. `grace` is in seconds. `positions`: how many
/// bytes of its stdout and stderr the manager has.
pub(crate) fn attach_line(
    nonce: &[u8; NONCE_LENGTH],
    instance: &Instance,
    grace: u64,
    manager: &str,
    positions: (u64, u64),
    cut: SilentCut,
) -> Vec<Chunk> {
    let mut script = ScriptBuilder::about(nonce, instance, grace, cut);
    script.assign(parameters::MANAGER, manager);
    script.assign(parameters::STDOUT_POSITION, positions.0.to_string());
    script.assign(parameters::STDERR_POSITION, positions.1.to_string());
    script.bundle_with(&ATTACH)
}

/// Returns the script that asks about a process, ends it if it outlives `grace` (in seconds), and reports how it
/// ended.
///
/// `remote`: its pid, start time and boot; `None` if the link broke before they were reported. `wrapper_pid`: the pid
/// of the shell that has reported `begin`. Without `remote`, the process counts as starting while that shell lives.
pub(crate) fn inquiry_line(
    nonce: &[u8; NONCE_LENGTH],
    instance: &Instance,
    wrapper_pid: Option<i64>,
    remote: Option<(i64, &str, &str)>,
    grace: u64,
) -> Vec<Chunk> {
    let (wrapper_pid, grace) = (wrapper_pid.map(|pid| pid.to_string()).unwrap_or_default(), grace.to_string());
    let (pid, start, boot) = remote.map(|(pid, start, boot)| (pid.to_string(), start, boot)).unwrap_or_default();
    let values = [
        (parameters::UUID, instance.uuid.as_bytes()),
        (parameters::INSTANCE, instance.id.as_bytes()),
        (parameters::ASKED_WRAPPER, wrapper_pid.as_bytes()),
        (parameters::ASKED_PID, pid.as_bytes()),
        (parameters::ASKED_START, start.as_bytes()),
        (parameters::ASKED_BOOT, boot.as_bytes()),
        (parameters::GRACE, grace.as_bytes()),
    ];
    short_script(nonce, &values, "inquiry")
}

/// The variable with the number of the descriptor on which an application shows that it is ready.
const NOTIFY: &str = "SSHPM_NOTIFY_FD";

/// The variable by which tree.sh recognizes what an application has started.
const MARK: &str = "SSHPM_PROCESS";

/// Returns the script of the inner process: literal environment, setup lines, the environment again, and start.sh.
fn inner_script(instance: &Instance, request: &BootRequest) -> ScriptBuilder {
    let mut script = ScriptBuilder::default();
    // However a step ends this shell, the trap writes the step's name and code to the notebook, and then releases the
    // shell that waits for the exec. A child of bash that gets a signal between its fork and its exec can run the trap,
    // too: it must release nobody, because this shell may go on. For other shells, the environment can have BASHPID.
    // A program that every host has can fail with these arguments and this environment only if they are too many bytes,
    // or if the host cannot make a process: then no subshell runs either, and some shells end here.
    script.add(
        br#"trap '_sshpm_code=$?; trap - EXIT
[ -z "${BASH_VERSION:-}" ] || [ "${BASHPID:-$$}" = "$$" ] || exit "$_sshpm_code"
echo "f $_sshpm_step $_sshpm_code" >"$0.a"; echo f >"$0.x"
[ "$_sshpm_step" != "exec 4" ] || /bin/sh -c : "$@" 2>/dev/null || ! (:) || echo "f exec 3 $_sshpm_code" >"$0.a"' EXIT
set --
"#,
    );
    // This program may be an application that was given one.
    script.add(format!("unset {NOTIFY}\n").as_bytes());
    if request.kill_tree {
        script.add(b"export ");
        script.assign(MARK, &instance.id);
    }
    // The lines may change the directory, and so does the step that enters the working directory.
    let returns =
        !request.setup.is_empty() && request.working_directory.as_ref().is_some_and(|path| path.is_relative());
    if returns {
        script.add(b"_sshpm_directory=$PWD\n");
    }
    script.environment(request);
    script.enter(request);
    for (at, line) in request.setup.iter().enumerate() {
        script.step("setup", at + 1);
        script.add(b"eval ");
        script.quote(line.as_bytes());
        script.add(b" || exit\n");
    }
    if !request.setup.is_empty() {
        // The lines may have left options that would end or change the rest, or that would write its values and
        // arguments to stderr (x and v), and an attribute that would export these variables.
        script.add(b"set +aefuvx\nunset _sshpm_step IFS\n");
        script.environment(request);
        if returns {
            script.step("directory", 0);
            script.add(b"cd \"$_sshpm_directory\" || exit\nunset _sshpm_directory\n");
        }
        script.enter(request);
    }
    script.limits(request);
    // The arguments are set only here: a file that the lines source may look at its arguments.
    script.add(b"set --");
    for argument in &request.argv {
        script.add(b" ");
        script.quote(argument.as_bytes());
    }
    script.add(b"\n");
    // For the redirection of the group, the shell keeps a copy of descriptor 9 that the exec closes. So the fifo ends
    // when the program has replaced the shell, and only then.
    if request.ready == Some(Ready::Notify) {
        // The sign reader compares who has ended. ksh93 and mksh close a descriptor that exec has opened when they
        // execute a program: so the program gets a copy.
        script.add(b"[ -p \"$0.n\" ] || exit 125\nexec 8<>\"$0.n\"\necho \"$$\" >&8\n");
        script.add(format!("export {NOTIFY}=3\n").as_bytes());
        script.add(&START);
        script.add(b"{ exec \"$@\" 3>&8 8>&-; } 9>&-\nexit\n");
    } else {
        script.add(&START);
        script.add(b"{ exec \"$@\"; } 9>&-\nexit\n");
    }
    script
}

impl ScriptBuilder {
    /// Begins a script for one process.
    fn about(nonce: &[u8; NONCE_LENGTH], instance: &Instance, grace: u64, cut: SilentCut) -> ScriptBuilder {
        let mut script = ScriptBuilder::default();
        script.assign(parameters::NONCE, nonce);
        script.assign(parameters::UUID, &instance.uuid);
        script.assign(parameters::INSTANCE, &instance.id);
        script.assign(parameters::GRACE, grace.to_string());
        match cut {
            SilentCut::Connection => {}
            SilentCut::Sshd(lease) => script.lease(lease),
            SilentCut::Input(lease) => {
                script.assign(parameters::BY_LAUNCHER, "1");
                script.lease(lease);
            }
        }
        script
    }

    fn lease(&mut self, Lease { period, ticks }: Lease) {
        self.assign(parameters::LEASE_PERIOD, period.as_secs().to_string());
        self.assign(parameters::LEASE_TICKS, ticks.to_string());
        self.add(&LEASE);
    }

    /// Adds what finds out on the host whether the application is ready. The manager itself looks for a text in the
    /// stream.
    fn ready(&mut self, request: &BootRequest) {
        let ready = match &request.ready {
            None => return,
            Some(Ready::Notify) => "notify",
            Some(Ready::Port(port)) => {
                self.assign(parameters::READY_PORT, format!("{port:04X}"));
                "port"
            }
            Some(Ready::Output(text)) if request.log_file.is_some() => {
                self.assign(parameters::READY_TEXT, text);
                "log"
            }
            Some(Ready::Output(_)) if request.link_loss == LinkLossPolicy::Keep => "seen",
            Some(Ready::Output(_)) => return,
        };
        self.assign(parameters::READY, ready);
        self.add(&READY);
    }

    /// Names the step that comes next, for the trap.
    fn step(&mut self, name: &str, number: usize) {
        self.assign("_sshpm_step", format!("{name} {number}"));
    }

    fn environment(&mut self, request: &BootRequest) {
        for (at, (name, value)) in request.environment.iter().enumerate() {
            self.step("environment", at + 1);
            self.add(format!("export {name}=").as_bytes());
            self.quote(value.as_bytes());
            self.add(b" || exit\n");
        }
    }

    fn enter(&mut self, request: &BootRequest) {
        if let Some(mask) = request.umask {
            self.add(format!("umask {mask:04o}\n").as_bytes());
        }
        if let Some(directory) = &request.working_directory {
            self.step("directory", 0);
            self.add(b"cd ");
            self.quote(&literal_path(directory));
            self.add(b" || exit\n");
        }
    }

    /// Adds the resource limits. `ulimit` counts some sizes in units of 512 bytes, but bash in units of 1024 unless it
    /// is in its POSIX mode. It sets the soft and the hard limit; zsh does so only with both flags, of which dash and
    /// mksh would take the last one only.
    fn limits(&mut self, request: &BootRequest) {
        if request.limits.is_empty() {
            return;
        }
        self.add(b"_sshpm_unit=512\n[ -z \"${BASH_VERSION:-}\" ] || [ -o posix ] || _sshpm_unit=1024\n");
        self.add(b"_sshpm_both=\n[ -z \"${ZSH_VERSION:-}\" ] || _sshpm_both=-HS\n");
        for (limit, value) in &request.limits {
            self.step("limit", *limit as usize);
            let (option, unit) = ulimit(*limit);
            let value = match (value, unit) {
                (LimitValue::Unlimited, _) => "unlimited".to_owned(),
                (LimitValue::Value(value), Unit::One) => value.to_string(),
                (LimitValue::Value(value), Unit::Kibi) => value.div_ceil(1024).to_string(),
                (LimitValue::Value(value), Unit::Block) => format!("$((({value} + _sshpm_unit - 1) / _sshpm_unit))"),
            };
            match limit {
                // dash and mksh call it -p, which bash has for the size of pipes.
                Limit::Nproc => self.add(
                    format!("ulimit $_sshpm_both -u {value} 2>/dev/null || ulimit -p {value} || exit\n").as_bytes(),
                ),
                _ => self.add(format!("ulimit $_sshpm_both {option} {value} || exit\n").as_bytes()),
            }
        }
        self.add(b"unset _sshpm_unit _sshpm_both\n");
    }
}

enum Unit {
    One,
    Kibi,
    Block,
}

fn ulimit(limit: Limit) -> (&'static str, Unit) {
    match limit {
        Limit::Core => ("-c", Unit::Block),
        Limit::Cpu => ("-t", Unit::One),
        Limit::Data => ("-d", Unit::Kibi),
        Limit::Fsize => ("-f", Unit::Block),
        Limit::Memlock => ("-l", Unit::Kibi),
        Limit::Nofile => ("-n", Unit::One),
        Limit::Nproc => ("-u", Unit::One),
        Limit::Stack => ("-s", Unit::Kibi),
        Limit::As => ("-v", Unit::Kibi),
    }
}

fn log_mode(mode: LogMode) -> &'static str {
    match mode {
        LogMode::Fresh => "fresh",
        LogMode::Append => "append",
        LogMode::Truncate => "truncate",
    }
}

/// Returns the part of the metadata that the manager knows. The wrapper writes what it knows before it, such as the
/// pid. `started_at` is by this machine's clock.
fn metadata(instance: &Instance, request: &BootRequest) -> String {
    let started_at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
    let mut object = serde_json::json!({
        "instance": instance.id,
        "hostname": request.host,
        "started_at": started_at,
        "tree_id": request.tree_id,
        "role": request.role.as_str(),
        "name": request.name,
        "session": request.session,
        "link_loss": match request.link_loss {
            LinkLossPolicy::Terminate => "terminate",
            LinkLossPolicy::Keep => "keep",
        },
        "grace": request.grace.as_secs_f64(),
        "log_file": request.log_file.as_ref().map(|path| String::from_utf8_lossy(&literal_path(path)).into_owned()),
    });
    if let (Some(ready), Some(members)) = (&request.ready, object.as_object_mut()) {
        members.insert("ready".to_owned(), ready_in_json(ready));
        members.insert("ready_timeout".to_owned(), serde_json::json!(request.time_to_be_ready().as_secs_f64()));
    }
    object.to_string().split_off(1)
}

/// Returns the JSON of a sign of readiness, in the form that boot requests use.
fn ready_in_json(ready: &Ready) -> serde_json::Value {
    match ready {
        Ready::Notify => "notify".into(),
        Ready::Output(text) => serde_json::json!({ "output": text }),
        Ready::Port(port) => serde_json::json!({ "port": port }),
    }
}

#[cfg(test)]
mod hosted;

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::process::Command;
    use std::time::Duration;

    use super::*;
    use crate::remote::script::shells::{each, run_with};

    /// What shellcheck warns of and the scripts do on purpose: empty assignments in a row (1007), `A && B || C` (2015),
    /// `$` in the text of a trap or another shell (2016, 2154), `[ x ]` to try a redirection (2078), splitting a list
    /// into words (2013, 2086, 2089, 2090), a file that is read and written (2094), optional arguments (2119, 2120),
    /// `mkdir -p -m` (2174), functions that another function gets by name (2317), and what some shells have and the
    /// others are not asked for (3028, 3044, 3045).
    const EXCLUDED: &str = "SC1007,SC2013,SC2015,SC2016,SC2078,SC2086,SC2089,SC2090,SC2094,SC2119,SC2120,SC2154,SC2174,SC2317,SC3028,\
                            SC3044,SC3045";

    const NONCE: &[u8; NONCE_LENGTH] = b"0123456789abcdef0123456789abcdef";

    /// Returns each script that hosts are sent, as text, and what it is for.
    fn every_script() -> Vec<(String, Vec<u8>)> {
        let instance = Instance { uuid: "u".into(), id: "0123456789abcdef".into() };
        let plain = BootRequest::new("h", ["a\nb"]).environment("A", "x\n'y");
        let rich =
            plain.clone().setup_line("true\ntrue").working_directory("d").limit(Limit::Core, LimitValue::Value(1));
        let rich = rich
            .ready(Ready::Notify)
            .umask(0o77)
            .log_file("log")
            .name("\"\n")
            .link_loss(LinkLossPolicy::Keep)
            .kill_tree(true);
        let lease = Lease { period: Duration::from_secs(5), ticks: 6 };
        let start = |request, cut| start_line(NONCE, &instance, request, "m", None, cut);
        let short = |piece| short_script(NONCE, &[], piece);
        let sent = [
            ("start", start(&plain, SilentCut::Connection)),
            ("start with all there is", start(&rich, SilentCut::Sshd(lease))),
            ("start with a lease for its input", start(&rich, SilentCut::Input(lease))),
            ("block of a start", start_block(&instance, &plain)),
            ("block of a start with all there is", start_block(&instance, &rich)),
            ("attach", attach_line(NONCE, &instance, 3, "m", (1, 2), SilentCut::Sshd(lease))),
            ("inquiry", inquiry_line(NONCE, &instance, Some(2), Some((3, "4", "b")), 5)),
            ("list", short(LIST)),
            ("clean-up", short(CLEAN_UP)),
            ("connection", short(CONNECTION)),
            ("metadata", short(READ_METADATA)),
            ("log", short(READ_LOG)),
            ("growing log", short(FOLLOW_LOG)),
            ("validation", short(VALIDATE)),
        ];
        sent.map(|(what, chunks)| (what.to_owned(), announced(&chunks.concat()))).into()
    }

    /// Returns the text behind the first line, which announces the text's length.
    fn announced(sent: &[u8]) -> Vec<u8> {
        let end = sent.iter().position(|&byte| byte == b'\n').unwrap();
        let (line, text) = (String::from_utf8_lossy(&sent[..end]), &sent[end + 1..]);
        let mut numbers = line.split(|c: char| !c.is_ascii_digit());
        assert!(numbers.any(|number| number == text.len().to_string()), "{line}");
        text.to_vec()
    }

    #[test]
    fn every_script_is_without_comments() {
        for (what, text) in every_script() {
            assert!(!String::from_utf8(text).unwrap().lines().any(|line| line.starts_with('#')), "{what}");
        }
    }

    /// `mkfifo -m` of coreutils fails where there is no /proc, as below sshd's ChrootDirectory.
    #[test]
    fn every_script_makes_its_fifos_by_its_umask() {
        for (what, text) in every_script() {
            assert!(!String::from_utf8(text).unwrap().contains("mkfifo -m"), "{what}");
        }
    }

    #[test]
    fn every_shell_can_parse_every_script() {
        for (what, text) in every_script() {
            for shell in each() {
                let (name, output) = (shell.name, run_with(shell.command().arg("-n"), &text));
                // ksh93 says on stderr what could be faster.
                assert!(output.status.success(), "{name}: {what}: {output:?}");
            }
        }
    }

    #[test]
    fn shellcheck_accepts_every_script() {
        if Command::new("shellcheck").arg("--version").output().is_err() {
            return eprintln!("SKIPPED shellcheck: it is not installed");
        }
        for (what, text) in every_script() {
            let mut shellcheck = Command::new("shellcheck");
            let output = run_with(shellcheck.args(["-s", "sh", "-e", EXCLUDED, "-f", "gcc", "-"]), &text);
            assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stdout));
        }
    }

    /// A setup line can have the shell trace what it does, and the trace goes to the application's stderr.
    #[test]
    fn a_trace_that_a_setup_line_begins_shows_no_value_and_no_argument() {
        let instance = Instance { uuid: "u".into(), id: "0123456789abcdef".into() };
        for line in ["set -x", "set -v"] {
            let request = BootRequest::new("h", ["program", "hidden argument"]).environment("A", "hidden value");
            let script = inner_script(&instance, &request.setup_line(line)).0;
            let dir = tempfile::tempdir().unwrap();
            for shell in each() {
                // Without its fifos, the script ends just before it would execute the program.
                let mut command = shell.command();
                command.args(["-c", "eval \"$1\""]).arg(dir.path().join("stem")).arg(OsStr::from_bytes(&script));
                let output = run_with(&mut command, b"");
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.code() == Some(125) && !said.contains("hidden"), "{}: {said}", shell.name);
            }
        }
    }

    /// The program of the manager may be an application that was given a descriptor of its own.
    #[test]
    fn no_application_inherits_the_variable_of_another_ones_descriptor() {
        let instance = Instance { uuid: "u".into(), id: "0123456789abcdef".into() };
        let request = BootRequest::new("h", ["program"]);
        for (request, expected) in [(request.clone(), "none"), (request.environment(NOTIFY, "own"), "own")] {
            let line = format!("printf %s \"${{{NOTIFY}-none}}\" >&2");
            let script = inner_script(&instance, &request.setup_line(line)).0;
            let dir = tempfile::tempdir().unwrap();
            for shell in each() {
                let mut command = shell.command();
                command.args(["-c", "eval \"$1\""]).arg(dir.path().join("stem")).arg(OsStr::from_bytes(&script));
                let output = run_with(command.env(NOTIFY, "inherited"), b"");
                assert_eq!(String::from_utf8_lossy(&output.stderr), expected, "{}", shell.name);
            }
        }
    }

    /// A manager that adopts a process reads there what is still waited for.
    #[test]
    fn the_metadata_has_the_readiness_as_a_request_has_it() {
        let instance = Instance { uuid: "u".into(), id: "0123456789abcdef".into() };
        let plain = BootRequest::new("h", ["a"]);
        for ready in [Ready::Notify, Ready::Output("\"it's\n".to_owned()), Ready::Port(65535)] {
            let json = format!("{{{}", metadata(&instance, &plain.clone().ready(ready.clone())));
            let read: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::from_value::<Ready>(read["ready"].clone()).unwrap(), ready);
            assert_eq!(read["ready_timeout"], 30.0);
        }
        assert!(!metadata(&instance, &plain).contains("ready"));
    }

    /// The stat of a process that has just ended can be opened, but not read. A directory behaves like that.
    #[test]
    fn a_process_that_ends_while_it_is_looked_at_is_none() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("stat")).unwrap();
        // The limit of CPU time ends a shell that loops for ever.
        let script = format!(
            "ulimit -t 5\n{}\n_process_start=old\n_find_start ../$1 && echo started\n_is_process ../$1 '' && echo same\necho done",
            script_of("identity")
        );
        for shell in each() {
            let (name, output) =
                (shell.name, shell.command().args(["-c", &script, "sh"]).arg(dir.path()).output().unwrap());
            assert_eq!(String::from_utf8_lossy(&output.stdout), "done\n", "{name}: {output:?}");
        }
    }
}
