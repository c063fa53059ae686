//! The remote side's parameters: one line of shell code that runs `wrapper.sh`, and one that asks after a lost process.
//!
//! Every value is quoted here, byte by byte; the scripts never see one outside of quotes.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::limit::{Limit, LimitValue};
use crate::report::NONCE_LENGTH;
use crate::request::{BootRequest, LogMode};
use crate::ssh::whole_seconds;

static WRAPPER: LazyLock<Vec<u8>> = LazyLock::new(|| without_comments(include_str!("wrapper.sh")));
static START: LazyLock<Vec<u8>> = LazyLock::new(|| without_comments(include_str!("start.sh")));
static INQUIRY: LazyLock<Vec<u8>> = LazyLock::new(|| without_comments(include_str!("inquiry.sh")));

/// Comments and indentation need not cross the network: the remote shell reads its input byte by byte.
fn without_comments(script: &str) -> Vec<u8> {
    let lines = script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.flat_map(|line| [line, "\n"]).collect::<String>().into_bytes()
}

/// What names one start of one process: files on the host carry it.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub uuid: String,
    /// Random.
    pub id: String,
    pub user: String,
}

/// The line that starts the application of `request`.
pub(crate) fn start_line(nonce: &[u8; NONCE_LENGTH], instance: &Instance, request: &BootRequest) -> Vec<u8> {
    let mut script = Script::default();
    script.assign("_N", nonce);
    script.assign("_V", &instance.uuid);
    script.assign("_I", &instance.id);
    script.assign("_G", whole_seconds(request.grace).to_string());
    script.assign("_U", request.umask.map(|mask| format!("{mask:04o}")).unwrap_or_default());
    script.assign("_O", request.log_file.as_deref().map(literal_path).unwrap_or_default());
    script.assign("_M", log_mode(request.log_mode));
    script.assign("_H", request.setup_shell.as_deref().unwrap_or_default());
    script.assign("_S", if request.setup.is_empty() { "" } else { "1" });
    script.assign("_K", metadata(instance, request));
    script.assign("_X", in_one_line("eval ", &inner_script(request), "_sshpm_n"));
    script.add(b"set --");
    for argument in &request.argv {
        script.add(b" ");
        script.quote(argument.as_bytes());
    }
    script.add(b"\n");
    script.add(&WRAPPER);
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
) -> Vec<u8> {
    let mut script = Script::default();
    script.assign("_N", nonce);
    script.assign("_V", &instance.uuid);
    script.assign("_I", &instance.id);
    script.assign("_P", pid.to_string());
    script.assign("_T", start);
    script.assign("_B", boot);
    script.assign("_G", grace.to_string());
    script.add(&INQUIRY);
    bootstrap_line(&script)
}

/// The shell's `read` takes one line, so a newline in the script becomes a variable. `l` is unset because it would be
/// copied into every child if the login environment had exported a variable of that name.
fn bootstrap_line(script: &Script) -> Vec<u8> {
    let mut line = in_one_line("unset l; _n=$(echo; echo x); _n=${_n%x}; eval ", &script.0, "_n");
    line.push(b'\n');
    line
}

/// What the inner process runs: literal environment, setup lines, the environment again, and start.sh.
fn inner_script(request: &BootRequest) -> Vec<u8> {
    let mut script = Script::default();
    // However a step ends this shell, the notebook gets its name and code; then whoever waits for the exec is freed.
    script.add(
        br#"trap '_sshpm_c=$?; trap - EXIT; echo "f $_sshpm_w $_sshpm_c" >"$0.a"; echo f >"$0.x"; exit 125' EXIT
unset _sshpm_l _sshpm_n
"#,
    );
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
        script.enter(request);
    }
    script.limits(request);
    script.add(&START);
    script.0
}

/// A shell script under construction.
#[derive(Default)]
struct Script(Vec<u8>);

impl Script {
    fn add(&mut self, text: &[u8]) {
        self.0.extend_from_slice(text);
    }

    fn quote(&mut self, value: &[u8]) {
        quote_into(&mut self.0, value, None);
    }

    fn assign(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.add(name.as_bytes());
        self.add(b"=");
        self.quote(value.as_ref());
        self.add(b"\n");
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

    /// `ulimit` counts some sizes in units of 512 bytes, for which bash takes 1024 unless it is in its POSIX mode.
    fn limits(&mut self, request: &BootRequest) {
        if request.limits.is_empty() {
            return;
        }
        self.add(b"_sshpm_u=512\n[ -z \"${BASH_VERSION:-}\" ] || [ -o posix ] || _sshpm_u=1024\n");
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
                Limit::Nproc => {
                    self.add(format!("ulimit -u {value} 2>/dev/null || ulimit -p {value} || exit\n").as_bytes())
                }
                _ => self.add(format!("ulimit {option} {value} || exit\n").as_bytes()),
            }
        }
        self.add(b"unset _sshpm_u\n");
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

/// A relative path gets `./`, so that none is an option, `cd -` or looked up in CDPATH.
fn literal_path(path: &Path) -> Vec<u8> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.starts_with(b"/") { bytes.to_vec() } else { [b"./", bytes].concat() }
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
        "user": instance.user,
        "started_at": started_at,
        "tree_id": request.tree_id,
        "role": request.role.as_str(),
        "name": request.name,
        "session": request.session,
    });
    object.to_string().split_off(1)
}

/// `prefix` and the quoted script, in one line: newlines become the value of a shell variable.
fn in_one_line(prefix: &str, script: &[u8], newline: &str) -> Vec<u8> {
    let mut line = prefix.as_bytes().to_vec();
    quote_into(&mut line, script, Some(newline));
    line
}

/// Single quotes keep every byte but themselves, in every shell that reads POSIX shell code.
fn quote_into(out: &mut Vec<u8>, value: &[u8], newline: Option<&str>) {
    out.reserve(value.len() + 2);
    out.push(b'\'');
    for &byte in value {
        match (byte, newline) {
            (b'\'', _) => out.extend_from_slice(br"'\''"),
            (b'\n', Some(variable)) => {
                out.extend_from_slice(b"'\"$");
                out.extend_from_slice(variable.as_bytes());
                out.extend_from_slice(b"\"'");
            }
            _ => out.push(byte),
        }
    }
    out.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    #[test]
    fn a_start_is_one_line_without_comments() {
        let instance = Instance { uuid: "u".into(), id: "i".into(), user: "me".into() };
        let request = BootRequest::new("h", ["a\nb"]).environment("A", "x\ny").setup_line("true\ntrue").name("\"\n");
        let line = start_line(b"0123456789abcdef0123456789abcdef", &instance, &request);
        assert_eq!(line.iter().position(|b| *b == b'\n'), Some(line.len() - 1));
        assert!(!line.windows(8).any(|w| w == b"notebook"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_shell_reads_back_what_was_quoted(value in prop::collection::vec(1u8..=255, 0..60)) {
            let mut script = b"n='\n'; printf %s ".to_vec();
            quote_into(&mut script, &value, Some("n"));
            let script = std::ffi::OsStr::from_bytes(&script);
            let output = Command::new("/bin/sh").arg("-c").arg(script).output().unwrap();
            prop_assert_eq!(output.stdout, value);
        }
    }
}
