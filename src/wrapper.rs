//! The remote side's parameters: one line of shell code that runs `wrapper.sh`, and one that asks after a lost process.
//!
//! Every value is quoted here, byte by byte; the scripts never see one outside of quotes.

use std::os::unix::ffi::OsStrExt;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::client::Chunk;
use crate::connection::{LEASE, Lease, SilentCut};
use crate::limit::{Limit, LimitValue};
use crate::report::NONCE_LENGTH;
use crate::request::{BootRequest, LinkLossPolicy, LogMode};
use crate::script::{
    SHORT, Script, bootstrap_line, bootstrap_line_with, end_of_line, in_one_line, literal_path, short_line,
    without_comments,
};
use crate::ssh::whole_seconds;

static WRAPPER: LazyLock<Vec<u8>> =
    LazyLock::new(|| end_of_line(&[IDENTITY, READER, include_str!("wrapper.sh")].map(without_comments).concat()));
static KEEP: LazyLock<Vec<u8>> = LazyLock::new(|| [LINK, include_str!("keep.sh")].map(without_comments).concat());
const IDENTITY: &str = include_str!("identity.sh");
const READER: &str = include_str!("reader.sh");
const RELATIONS: &str = include_str!("relations.sh");
const LINK: &str = include_str!("link.sh");
static START: LazyLock<Vec<u8>> = LazyLock::new(|| without_comments(include_str!("start.sh")));

pub(crate) const DIRECTORIES: &str = include_str!("directories.sh");
/// The parts of a script that finds applications on a host.
pub(crate) const FIND: [&str; 3] = [IDENTITY, RELATIONS, DIRECTORIES];

/// The script that lists applications.
pub(crate) const LIST: [&str; 5] = [IDENTITY, RELATIONS, DIRECTORIES, STATE_OF, include_str!("find.sh")];
/// The script that ends and removes those that nobody has.
pub(crate) const CLEAN_UP: [&str; 6] = [IDENTITY, RELATIONS, DIRECTORIES, STATE_OF, TREE, include_str!("clean_up.sh")];
const STATE_OF: &str = include_str!("state_of.sh");
const TREE: &str = include_str!("tree.sh");

/// What names one start of one process: files on the host carry it.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub uuid: String,
    /// Random.
    pub id: String,
    pub user: String,
}

/// The line that starts the application of `request`.
pub(crate) fn start_line(
    nonce: &[u8; NONCE_LENGTH],
    instance: &Instance,
    request: &BootRequest,
    manager: &str,
    cut: SilentCut,
) -> Vec<Chunk> {
    let mut script = Script::about(nonce, instance, whole_seconds(request.grace), cut);
    script.assign("_U", request.umask.map(|mask| format!("{mask:04o}")).unwrap_or_default());
    script.assign("_O", request.log_file.as_deref().map(literal_path).unwrap_or_default());
    script.assign("_M", log_mode(request.log_mode));
    script.assign("_H", request.setup_shell.as_deref().unwrap_or_default());
    let flag = |set| if set { "1" } else { "" };
    script.assign("_B", flag(!request.setup.is_empty()));
    script.assign("_S", flag(!request.setup.is_empty() || request.working_directory.is_some()));
    script.assign("_Y", &instance.user);
    script.assign("_K", metadata(instance, request));
    script.assign("_X", in_one_line("eval ", &inner_script(instance, request), "_sshpm_n"));
    script.assign("_T", flag(request.kill_tree));
    if request.kill_tree {
        script.add(&without_comments(TREE));
    }
    if request.link_loss == LinkLossPolicy::Keep {
        script.assign("_C", "1");
        script.assign("_W", manager);
        script.add(b"_oo=0 _eo=0\n");
        script.add(&KEEP);
    }
    bootstrap_line_with(&script, &WRAPPER)
}

/// The line that takes over the application of this instance; `positions`: how much of its output is here.
pub(crate) fn attach_line(
    nonce: &[u8; NONCE_LENGTH],
    instance: &Instance,
    grace: u64,
    manager: &str,
    positions: (u64, u64),
    cut: SilentCut,
) -> Vec<Chunk> {
    let mut script = Script::about(nonce, instance, grace, cut);
    script.assign("_W", manager);
    script.assign("_oo", positions.0.to_string());
    script.assign("_eo", positions.1.to_string());
    for text in [SHORT, READER, LINK].into_iter().chain(FIND).chain([include_str!("attach.sh")]) {
        script.add(&without_comments(text));
    }
    bootstrap_line(&script)
}

/// The line that asks after the process that has this pid and start time, ends it if it lives, and reports how it ended.
pub(crate) fn inquiry_line(
    nonce: &[u8; NONCE_LENGTH],
    instance: &Instance,
    pid: i64,
    start: &str,
    boot: &str,
    grace: u64,
) -> Vec<Chunk> {
    let (pid, grace) = (pid.to_string(), grace.to_string());
    let values = [
        ("_V", instance.uuid.as_bytes()),
        ("_I", instance.id.as_bytes()),
        ("_P", pid.as_bytes()),
        ("_T", start.as_bytes()),
        ("_B", boot.as_bytes()),
        ("_G", grace.as_bytes()),
    ];
    short_line(nonce, &values, &[IDENTITY, include_str!("inquiry.sh")])
}

/// By which tree.sh knows what an application has started.
const MARK: &str = "SSHPM_PROCESS";

/// What the inner process runs: literal environment, setup lines, the environment again, and start.sh.
fn inner_script(instance: &Instance, request: &BootRequest) -> Vec<u8> {
    let mut script = Script::default();
    // However a step ends this shell, the notebook gets its name and code; then whoever waits for the exec is freed.
    script.add(
        br#"trap '_sshpm_c=$?; trap - EXIT; echo "f $_sshpm_w $_sshpm_c" >"$0.a"; echo f >"$0.x"' EXIT
unset _sshpm_l _sshpm_n
set --
"#,
    );
    if request.kill_tree {
        script.add(b"export ");
        script.assign(MARK, &instance.id);
    }
    // The lines may go elsewhere, and so does the working directory itself.
    let returns =
        !request.setup.is_empty() && request.working_directory.as_ref().is_some_and(|path| path.is_relative());
    if returns {
        script.add(b"_sshpm_d=$PWD\n");
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
        // What the lines may have left: options that would end or change the rest, and a mark that would export our variables.
        script.add(b"set +aefu\nunset _sshpm_w IFS\n");
        script.environment(request);
        if returns {
            script.step("directory", 0);
            script.add(b"cd \"$_sshpm_d\" || exit\nunset _sshpm_d\n");
        }
        script.enter(request);
    }
    script.limits(request);
    // Only here: a file that the lines source may look at its arguments.
    script.add(b"set --");
    for argument in &request.argv {
        script.add(b" ");
        script.quote(argument.as_bytes());
    }
    script.add(b"\n");
    script.add(&START);
    script.0
}

impl Script {
    /// How the scripts that have one application begin.
    fn about(nonce: &[u8; NONCE_LENGTH], instance: &Instance, grace: u64, cut: SilentCut) -> Script {
        let mut script = Script::default();
        script.assign("_N", nonce);
        script.assign("_V", &instance.uuid);
        script.assign("_I", &instance.id);
        script.assign("_G", grace.to_string());
        match cut {
            SilentCut::Connection => {}
            SilentCut::Sshd(lease) => script.lease(lease),
            SilentCut::Input(lease) => {
                script.assign("_R", "1");
                script.lease(lease);
            }
        }
        script
    }

    fn lease(&mut self, Lease { period, ticks }: Lease) {
        self.assign("_P", period.as_secs().to_string());
        self.assign("_L", ticks.to_string());
        self.add(&without_comments(LEASE));
    }

    /// Names what comes next, for the trap.
    fn step(&mut self, name: &str, number: usize) {
        self.assign("_sshpm_w", format!("{name} {number}"));
    }

    fn environment(&mut self, request: &BootRequest) {
        self.step("environment", 0);
        for (name, value) in &request.environment {
            self.add(b"export ");
            self.assign(name, value.as_bytes());
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

    /// `ulimit` counts some sizes in units of 512 bytes, for which bash takes 1024 unless it is in its POSIX mode. It sets
    /// the soft and the hard limit, but zsh's has to be told to; dash and mksh would take the last of two flags only.
    fn limits(&mut self, request: &BootRequest) {
        if request.limits.is_empty() {
            return;
        }
        self.add(b"_sshpm_u=512\n[ -z \"${BASH_VERSION:-}\" ] || [ -o posix ] || _sshpm_u=1024\n");
        self.add(b"_sshpm_b=\n[ -z \"${ZSH_VERSION:-}\" ] || _sshpm_b=-HS\n");
        for (limit, value) in &request.limits {
            self.step("limit", *limit as usize);
            let (option, unit) = ulimit(*limit);
            let value = match (value, unit) {
                (LimitValue::Unlimited, _) => "unlimited".to_owned(),
                (LimitValue::Value(value), Unit::One) => value.to_string(),
                (LimitValue::Value(value), Unit::Kibi) => value.div_ceil(1024).to_string(),
                (LimitValue::Value(value), Unit::Block) => format!("$((({value} + _sshpm_u - 1) / _sshpm_u))"),
            };
            match limit {
                // dash and mksh call it -p, which bash has for the size of pipes.
                Limit::Nproc => self
                    .add(format!("ulimit $_sshpm_b -u {value} 2>/dev/null || ulimit -p {value} || exit\n").as_bytes()),
                _ => self.add(format!("ulimit $_sshpm_b {option} {value} || exit\n").as_bytes()),
            }
        }
        self.add(b"unset _sshpm_u _sshpm_b\n");
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

/// The metadata file's keys behind pid, start_time and boot_id, which the wrapper knows. `started_at` is by this machine's
/// clock.
fn metadata(instance: &Instance, request: &BootRequest) -> String {
    let started_at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
    let object = serde_json::json!({
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
    object.to_string().split_off(1)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_start_is_one_line_without_comments() {
        let instance = Instance { uuid: "u".into(), id: "i".into(), user: "me".into() };
        let request = BootRequest::new("h", ["a\nb"]).environment("A", "x\ny").setup_line("true\ntrue").name("\"\n");
        let line =
            start_line(b"0123456789abcdef0123456789abcdef", &instance, &request, "m", SilentCut::Connection).concat();
        assert_eq!(line.iter().position(|b| *b == b'\n'), Some(line.len() - 1));
        assert!(!line.windows(8).any(|w| w == b"notebook"));
    }

    /// A stat that can be opened and not read, as a directory can, is that of a process that has just ended.
    #[test]
    fn a_process_that_ends_while_it_is_looked_at_is_none() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("stat")).unwrap();
        // One that goes round and round is ended by its CPU time.
        let script = format!(
            "ulimit -t 5\n{IDENTITY}\n_q=old\n_started ../$1 && echo started\n_is ../$1 '' && echo same\necho done"
        );
        for words in [&["sh"][..], &["bash"], &["dash"], &["ksh93"], &["mksh"], &["yash"], &["zsh"], &["busybox", "sh"]]
        {
            let mut shell = Command::new(words[0]);
            shell.args(&words[1..]).args(["-c", &script, "sh"]).arg(dir.path());
            match shell.output() {
                Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout), "done\n", "{words:?}: {output:?}"),
                Err(error) => eprintln!("SKIPPED {words:?}: {error}"),
            }
        }
    }
}
