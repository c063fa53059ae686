//! Boot requests: what to run, where, as whom; from code or from JSON, and checked before anything starts.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::role::Role;

/// Linux takes 128 KiB for one argument or one `NAME=value`, its NUL included (MAX_ARG_STRLEN in execve(2)).
const LONGEST_STRING: usize = 128 * 1024 - 1;
/// A uuid becomes part of file names, which have 255 bytes.
const LONGEST_UUID: usize = 128;
/// A host name has at most 253 characters (RFC 1035), an IPv6 address with a zone fewer.
const LONGEST_HOST: usize = 253;
const LONGEST_NAME: usize = 1024;
/// More than any session needs, and less than hurts.
const LARGEST_JSON: usize = 64 << 20;

/// What becomes of a log file that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogMode {
    /// It is renamed to FILE.1, and a new one begun.
    #[default]
    Fresh,
    /// It is continued.
    Append,
    /// It is emptied.
    Truncate,
}

/// What becomes of a process when the link to it, or the manager, is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LinkLossPolicy {
    /// It is ended: HUP to its group, and after [`grace`](BootRequest::grace) KILL.
    #[default]
    Terminate,
}

/// A resource limit of setrlimit(2), by the names of limits.conf(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Limit {
    /// Size of a core file, in bytes.
    Core,
    /// CPU time, in seconds.
    Cpu,
    /// Size of the data segment, in bytes.
    Data,
    /// Size of a file that is written, in bytes.
    Fsize,
    /// Locked memory, in bytes.
    Memlock,
    /// Number of open files.
    Nofile,
    /// Number of processes and threads of the user.
    Nproc,
    /// Size of the stack, in bytes.
    Stack,
    /// Size of the address space, in bytes.
    As,
}

impl Limit {
    /// All limits.
    pub const ALL: [Limit; 9] = [
        Limit::Core,
        Limit::Cpu,
        Limit::Data,
        Limit::Fsize,
        Limit::Memlock,
        Limit::Nofile,
        Limit::Nproc,
        Limit::Stack,
        Limit::As,
    ];

    /// Its name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Limit::Core => "core",
            Limit::Cpu => "cpu",
            Limit::Data => "data",
            Limit::Fsize => "fsize",
            Limit::Memlock => "memlock",
            Limit::Nofile => "nofile",
            Limit::Nproc => "nproc",
            Limit::Stack => "stack",
            Limit::As => "as",
        }
    }
}

impl FromStr for Limit {
    type Err = Error;

    fn from_str(name: &str) -> Result<Limit> {
        Limit::ALL.into_iter().find(|limit| limit.as_str() == name).ok_or_else(|| {
            Error::invalid("limits", name, "core, cpu, data, fsize, memlock, nofile, nproc, stack or as")
        })
    }
}

/// The value of a limit; it becomes the soft and the hard one, as with the shell's `ulimit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitValue {
    /// No limit.
    Unlimited,
    /// Bytes, seconds or a number, as the limit has it. Bytes are rounded up to the shell's unit: 512 for core and
    /// fsize, 1024 for the others.
    Value(u64),
}

/// What to run, where, and as whom.
///
/// Everything is taken literally: no argument, value or path is read by a shell, nothing is expanded, and any byte but
/// NUL may stand in it. Only the setup lines are shell code.
///
/// ```
/// use sshpm::{BootRequest, Role};
/// let request = BootRequest::new("daq-host-1", ["readout", "--crate", "7"])
///     .name("readout-7")
///     .role(Role::Application)
///     .setup_line("source /daq/env.sh")
///     .environment("PARTITION", "np04")
///     .log_file("/daq/log/readout-7.log");
/// request.check()?;
/// # Ok::<(), sshpm::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootRequest {
    pub(crate) host: String,
    pub(crate) user: Option<String>,
    pub(crate) name: String,
    pub(crate) session: String,
    pub(crate) tree_id: String,
    pub(crate) role: Role,
    pub(crate) argv: Vec<OsString>,
    pub(crate) setup: Vec<OsString>,
    pub(crate) setup_shell: Option<String>,
    pub(crate) environment: BTreeMap<String, OsString>,
    pub(crate) working_directory: Option<PathBuf>,
    pub(crate) umask: Option<u32>,
    pub(crate) limits: BTreeMap<Limit, LimitValue>,
    pub(crate) log_file: Option<PathBuf>,
    pub(crate) log_mode: LogMode,
    pub(crate) start_timeout: Duration,
    pub(crate) link_loss: LinkLossPolicy,
    pub(crate) grace: Duration,
}

impl BootRequest {
    /// A request to run `argv` on `host`: its name or address, or an alias of ssh_config. The program is looked up in
    /// the PATH that holds on the host when the setup lines are done, as execvp(3) does.
    pub fn new<A: Into<OsString>>(host: impl Into<String>, argv: impl IntoIterator<Item = A>) -> BootRequest {
        BootRequest {
            host: host.into(),
            user: None,
            name: String::new(),
            session: String::new(),
            tree_id: String::new(),
            role: Role::Unknown,
            argv: argv.into_iter().map(Into::into).collect(),
            setup: Vec::new(),
            setup_shell: None,
            environment: BTreeMap::new(),
            working_directory: None,
            umask: None,
            limits: BTreeMap::new(),
            log_file: None,
            log_mode: LogMode::default(),
            start_timeout: Duration::from_secs(30),
            link_loss: LinkLossPolicy::default(),
            grace: Duration::from_secs(5),
        }
    }

    /// The remote user. Default: ssh's choice, which is `User` of ssh_config, else the current user.
    pub fn user(mut self, user: impl Into<String>) -> BootRequest {
        self.user = Some(user.into());
        self
    }

    /// The name that people know it by: for logs and the metadata file.
    pub fn name(mut self, name: impl Into<String>) -> BootRequest {
        self.name = name.into();
        self
    }

    /// The session it belongs to: for logs and the metadata file.
    pub fn session(mut self, session: impl Into<String>) -> BootRequest {
        self.session = session.into();
        self
    }

    /// Its place in the session's tree: for the metadata file. It does not set the role:
    /// [`Role::from_tree_id`] computes one.
    pub fn tree_id(mut self, tree_id: impl Into<String>) -> BootRequest {
        self.tree_id = tree_id.into();
        self
    }

    /// Its role, which decides when it is shut down. Default: unknown.
    pub fn role(mut self, role: Role) -> BootRequest {
        self.role = role;
        self
    }

    /// Adds a line of shell code that runs before the program, in the same process: `source env.sh`. A line that does
    /// not return 0 ends the start. It runs in bash where the host has bash, else in `sh`.
    pub fn setup_line(mut self, line: impl Into<OsString>) -> BootRequest {
        self.setup.push(line.into());
        self
    }

    /// The shell for the setup lines: a name or a path, of any shell that reads POSIX shell code.
    pub fn setup_shell(mut self, shell: impl Into<String>) -> BootRequest {
        self.setup_shell = Some(shell.into());
        self
    }

    /// Sets a variable of the application's environment. It holds during the setup lines, and again after them, so
    /// that it wins. All else of the environment is what sshd and the login shell's start-up files give.
    pub fn environment(mut self, name: impl Into<String>, value: impl Into<OsString>) -> BootRequest {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// The working directory of the setup lines and the program; a relative one begins at the login directory.
    /// Default: the login directory, or where the setup lines go.
    pub fn working_directory(mut self, directory: impl Into<PathBuf>) -> BootRequest {
        self.working_directory = Some(directory.into());
        self
    }

    /// The file mode creation mask, 0 to 0o777; it holds for the log file too. Default: the login's.
    pub fn umask(mut self, mask: u32) -> BootRequest {
        self.umask = Some(mask);
        self
    }

    /// Sets a resource limit of the application, soft and hard. The setup lines run without it.
    pub fn limit(mut self, limit: Limit, value: LimitValue) -> BootRequest {
        self.limits.insert(limit, value);
        self
    }

    /// The remote file that stdout and stderr of the setup lines and the program go to; a relative one begins at the
    /// login directory. Without one they come back over ssh, and the manager keeps their last part.
    pub fn log_file(mut self, file: impl Into<PathBuf>) -> BootRequest {
        self.log_file = Some(file.into());
        self
    }

    /// What becomes of a log file that exists. Default: it is renamed to FILE.1.
    pub fn log_mode(mut self, mode: LogMode) -> BootRequest {
        self.log_mode = mode;
        self
    }

    /// How long it may take from `start_process` until the program runs. Default: 30 s.
    pub fn start_timeout(mut self, timeout: Duration) -> BootRequest {
        self.start_timeout = timeout;
        self
    }

    /// What becomes of it when the link or the manager is gone. Default: it is ended.
    pub fn link_loss(mut self, policy: LinkLossPolicy) -> BootRequest {
        self.link_loss = policy;
        self
    }

    /// How long it may live after the HUP that a lost link causes. The remote side counts whole seconds; it is rounded
    /// up. Default: 5 s.
    pub fn grace(mut self, grace: Duration) -> BootRequest {
        self.grace = grace;
        self
    }

    /// The host, as it was given.
    pub fn get_host(&self) -> &str {
        &self.host
    }

    /// The user, as it was given.
    pub fn get_user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The name, as it was given.
    pub fn get_name(&self) -> &str {
        &self.name
    }

    /// The session, as it was given.
    pub fn get_session(&self) -> &str {
        &self.session
    }

    /// The role.
    pub fn get_role(&self) -> &Role {
        &self.role
    }

    /// Reads a request from a JSON object. Its keys are the setters' names: `host` and `argv` must be there, and
    /// `user`, `name`, `session`, `tree_id`, `role`, `setup` (array of lines), `setup_shell`, `environment` (object),
    /// `working_directory`, `umask` (a string of octal digits), `limits` (object of names and numbers or
    /// `"unlimited"`), `log_file`, `log_mode` (`fresh`, `append`, `truncate`), `start_timeout` and `grace` (seconds) and
    /// `link_loss` (`terminate`) may be. Bytes that are not UTF-8 cannot come through JSON.
    ///
    /// # Errors
    /// [`Error::Json`] for what is no JSON, of the wrong type, or has an unknown key, which it names;
    /// [`Error::Invalid`] for values that [`check`](BootRequest::check) refuses, and for more than 64 MiB.
    pub fn from_json(json: &str) -> Result<BootRequest> {
        check_json_size(json)?;
        serde_json::from_str::<Json>(json)?.try_into()
    }

    /// Reads a session: a JSON array of requests.
    ///
    /// # Errors
    /// As [`from_json`](BootRequest::from_json); the field of an invalid value begins with the request's place: `[3].host`.
    pub fn list_from_json(json: &str) -> Result<Vec<BootRequest>> {
        check_json_size(json)?;
        let list: Vec<Json> = serde_json::from_str(json)?;
        let numbered = list.into_iter().enumerate();
        numbered.map(|(at, json)| BootRequest::try_from(json).map_err(|error| located(error, at))).collect()
    }

    /// Checks all values, as `start_process` does before it starts anything.
    ///
    /// # Errors
    /// [`Error::Invalid`], with the field and the value.
    pub fn check(&self) -> Result<()> {
        check_host("host", &self.host)?;
        if let Some(user) = &self.user {
            check_user(user)?;
        }
        for (field, text) in [("name", &self.name), ("session", &self.session), ("tree_id", &self.tree_id)] {
            check_text(field, text.as_bytes(), LONGEST_NAME)?;
        }
        self.check_argv()?;
        for (at, line) in self.setup.iter().enumerate() {
            check_text(&format!("setup[{at}]"), line.as_bytes(), LARGEST_JSON)?;
        }
        if let Some(shell) = &self.setup_shell {
            check_shell(shell)?;
        }
        for (name, value) in &self.environment {
            check_variable(name, value)?;
        }
        for (field, path) in [("working_directory", &self.working_directory), ("log_file", &self.log_file)] {
            if let Some(path) = path {
                check_path(field, path.as_os_str())?;
            }
        }
        if let Some(mask) = self.umask.filter(|mask| *mask > 0o777) {
            return Err(Error::invalid("umask", format!("{mask:o}"), "it is octal, from 0 to 777"));
        }
        if self.start_timeout.is_zero() {
            return Err(Error::invalid("start_timeout", "0", "a start takes some time"));
        }
        Ok(())
    }

    fn check_argv(&self) -> Result<()> {
        let Some(program) = self.argv.first() else {
            return Err(Error::invalid("argv", "", "it has no program"));
        };
        if program.is_empty() || program.as_bytes().starts_with(b"-") {
            return Err(Error::invalid("argv[0]", program.as_bytes(), "a program is a name or a path, and no option"));
        }
        for (at, argument) in self.argv.iter().enumerate() {
            check_text(&format!("argv[{at}]"), argument.as_bytes(), LONGEST_STRING)?;
        }
        Ok(())
    }
}

/// Checks a uuid: 1 to 128 of `A`-`Z`, `a`-`z`, `0`-`9`, `.`, `_` and `-`, because it becomes part of file names.
pub(crate) fn check_uuid(uuid: &str) -> Result<()> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if uuid.is_empty() || uuid.len() > LONGEST_UUID || !uuid.bytes().all(good) {
        return Err(Error::invalid("uuid", uuid, "a uuid has 1 to 128 letters, digits, '.', '_' and '-'"));
    }
    Ok(())
}

/// A host goes to ssh's command line, and by `%h` into commands of ssh_config.
pub(crate) fn check_host(field: &str, host: &str) -> Result<()> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._:%-[]".contains(&b);
    if host.is_empty() || host.len() > LONGEST_HOST || host.starts_with('-') || !host.bytes().all(good) {
        let reason = "a host is a name or an address of 1 to 253 letters, digits and '._:%-[]', and no option";
        return Err(Error::invalid(field, host, reason));
    }
    Ok(())
}

/// A user goes to ssh's command line, and by `%r` into commands of ssh_config.
pub(crate) fn check_user(user: &str) -> Result<()> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._@+-".contains(&b);
    if user.is_empty() || user.len() > LONGEST_HOST || user.starts_with('-') || !user.bytes().all(good) {
        return Err(Error::invalid(
            "user",
            user,
            "a user has letters, digits and '._@+-', and does not begin with '-'",
        ));
    }
    Ok(())
}

fn check_text(field: &str, text: &[u8], longest: usize) -> Result<()> {
    if text.contains(&0) {
        return Err(Error::invalid(field, text, "it has a NUL byte"));
    }
    if text.len() > longest {
        return Err(Error::invalid(field, text, format!("it has {} bytes; {longest} is the most", text.len())));
    }
    Ok(())
}

fn check_path(field: &str, path: &OsStr) -> Result<()> {
    if path.is_empty() {
        return Err(Error::invalid(field, "", "a path is not empty"));
    }
    check_text(field, path.as_bytes(), LONGEST_STRING)
}

fn check_shell(shell: &str) -> Result<()> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._/+-".contains(&b);
    if shell.is_empty() || shell.len() > LONGEST_NAME || shell.starts_with('-') || !shell.bytes().all(good) {
        return Err(Error::invalid("setup_shell", shell, "a shell is the name or the path of a program"));
    }
    match shell.rsplit('/').next() {
        Some("csh" | "tcsh" | "fish") => Err(Error::invalid(
            "setup_shell",
            shell,
            "it does not read POSIX shell code; take bash, or put its lines in a script",
        )),
        _ => Ok(()),
    }
}

fn check_variable(name: &str, value: &OsStr) -> Result<()> {
    /// bash, which is `/bin/sh` on many systems, lets nobody set these.
    const READ_ONLY: [&str; 6] = ["BASHOPTS", "BASH_VERSINFO", "EUID", "PPID", "SHELLOPTS", "UID"];
    let field = format!("environment.{name}");
    let begins = |b: &u8| b.is_ascii_alphabetic() || *b == b'_';
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if !name.as_bytes().first().is_some_and(begins) || !name.bytes().all(good) {
        return Err(Error::invalid(
            "environment",
            name,
            "a variable's name is a letter or '_', then letters, digits and '_'",
        ));
    }
    if READ_ONLY.contains(&name) || name.starts_with("_sshpm_") {
        return Err(Error::invalid("environment", name, "the shell does not let this variable be set"));
    }
    check_text(&field, value.as_bytes(), LONGEST_STRING - name.len() - 1)
}

fn check_json_size(json: &str) -> Result<()> {
    if json.len() > LARGEST_JSON {
        return Err(Error::invalid("json", json, format!("it has {} bytes; {LARGEST_JSON} is the most", json.len())));
    }
    Ok(())
}

fn located(error: Error, at: usize) -> Error {
    match error {
        Error::Invalid { field, value, reason } => Error::Invalid { field: format!("[{at}].{field}"), value, reason },
        other => other,
    }
}

/// A request as it stands in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    host: String,
    argv: Vec<String>,
    user: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    session: String,
    #[serde(default)]
    tree_id: String,
    #[serde(default)]
    role: Role,
    #[serde(default)]
    setup: Vec<String>,
    setup_shell: Option<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    working_directory: Option<String>,
    umask: Option<String>,
    #[serde(default)]
    limits: BTreeMap<Limit, JsonLimit>,
    log_file: Option<String>,
    #[serde(default)]
    log_mode: LogMode,
    start_timeout: Option<f64>,
    #[serde(default)]
    link_loss: LinkLossPolicy,
    grace: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a whole number or \"unlimited\"")]
enum JsonLimit {
    Value(u64),
    Word(Unlimited),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Unlimited {
    Unlimited,
}

impl TryFrom<Json> for BootRequest {
    type Error = Error;

    fn try_from(json: Json) -> Result<BootRequest> {
        let mut request = BootRequest::new(json.host, json.argv);
        request.user = json.user;
        request.name = json.name;
        request.session = json.session;
        request.tree_id = json.tree_id;
        request.role = json.role;
        request.setup = json.setup.into_iter().map(OsString::from).collect();
        request.setup_shell = json.setup_shell;
        request.environment = json.environment.into_iter().map(|(name, value)| (name, value.into())).collect();
        request.working_directory = json.working_directory.map(PathBuf::from);
        request.umask = json.umask.map(|digits| octal(&digits)).transpose()?;
        request.limits = json.limits.into_iter().map(|(limit, value)| (limit, value.into())).collect();
        request.log_file = json.log_file.map(PathBuf::from);
        request.log_mode = json.log_mode;
        request.link_loss = json.link_loss;
        if let Some(seconds) = json.start_timeout {
            request.start_timeout = duration("start_timeout", seconds)?;
        }
        if let Some(seconds) = json.grace {
            request.grace = duration("grace", seconds)?;
        }
        request.check()?;
        Ok(request)
    }
}

impl From<JsonLimit> for LimitValue {
    fn from(json: JsonLimit) -> LimitValue {
        match json {
            JsonLimit::Value(value) => LimitValue::Value(value),
            JsonLimit::Word(Unlimited::Unlimited) => LimitValue::Unlimited,
        }
    }
}

fn octal(digits: &str) -> Result<u32> {
    let refused = || Error::invalid("umask", digits, "it is a string of octal digits, from 0 to 777");
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(refused());
    }
    u32::from_str_radix(digits, 8).map_err(|_| refused())
}

pub(crate) fn duration(field: &str, seconds: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| Error::invalid(field, seconds.to_string(), "a time is a number of seconds from 0 on"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> String {
        BootRequest::from_json(json).unwrap_err().to_string()
    }

    #[test]
    fn json_gives_what_the_setters_give() {
        let json = r#"{"host": "daq-1", "user": "daq", "argv": ["run", "a b"], "name": "n", "session": "s", "tree_id": "0.1",
            "role": "application", "setup": ["source env.sh"], "setup_shell": "bash", "environment": {"A": "$x"},
            "working_directory": "w", "umask": "027", "limits": {"core": "unlimited", "nofile": 4096}, "log_file": "l",
            "log_mode": "append", "start_timeout": 1.5, "grace": 2, "link_loss": "terminate"}"#;
        let built = BootRequest::new("daq-1", ["run", "a b"])
            .user("daq")
            .name("n")
            .session("s")
            .tree_id("0.1")
            .role(Role::Application)
            .setup_line("source env.sh")
            .setup_shell("bash")
            .environment("A", "$x")
            .working_directory("w")
            .umask(0o27)
            .limit(Limit::Core, LimitValue::Unlimited)
            .limit(Limit::Nofile, LimitValue::Value(4096))
            .log_file("l")
            .log_mode(LogMode::Append)
            .start_timeout(Duration::from_millis(1500))
            .grace(Duration::from_secs(2));
        assert_eq!(BootRequest::from_json(json).unwrap(), built);
    }

    #[test]
    fn bad_json_is_refused_with_its_key() {
        assert!(refused(r#"{"host": "h", "argv": ["a"], "hots": 1}"#).contains("hots"));
        assert!(refused(r#"{"host": "h", "argv": ["a"]"#).contains("EOF"));
        assert!(refused(r#"{"argv": ["a"]}"#).contains("host"));
        assert!(refused(r#"{"host": "h", "argv": "a"}"#).contains("sequence"));
        assert!(refused(r#"{"host": "h", "argv": ["a"], "limits": {"cores": 1}}"#).contains("cores"));
        assert!(refused(r#"{"host": "h", "argv": ["a"], "limits": {"core": -1}}"#).contains("unlimited"));
        assert!(refused(r#"{"host": "h", "argv": ["a"], "start_timeout": -1}"#).contains("start_timeout"));
        assert!(refused(r#"{"host": "h", "argv": ["a"], "umask": "888"}"#).contains("888"));
        assert!(refused(r#"{"host": "h", "argv": ["a"], "link_loss": "keep"}"#).contains("keep"));
        let list = BootRequest::list_from_json(r#"[{"host": "h", "argv": ["a"]}, {"host": "-h", "argv": ["a"]}]"#);
        assert!(matches!(list, Err(Error::Invalid { field, .. }) if field == "[1].host"));
    }

    #[test]
    fn what_may_reach_a_command_line_or_a_file_name_is_checked() {
        for uuid in ["", "a/b", "a\nb", "a\0b", "..\u{e9}", &"x".repeat(129)] {
            assert!(matches!(check_uuid(uuid), Err(Error::Invalid { field, .. }) if field == "uuid"), "{uuid:?}");
        }
        for host in ["", "-oProxyCommand=x", "a b", "a;b", "a\nb", "user@host", "a/b", &"h".repeat(254)] {
            assert!(BootRequest::new(host, ["a"]).check().is_err(), "{host:?}");
        }
        for user in ["", "-l", "a b", "a$b", "a\0b"] {
            assert!(BootRequest::new("h", ["a"]).user(user).check().is_err(), "{user:?}");
        }
        for host in ["h", "h-1.cern.ch", "::1", "fe80::1%eth0", "127.0.0.1", "my_alias"] {
            BootRequest::new(host, ["a"]).check().unwrap();
        }
    }

    #[test]
    fn every_refusal_names_its_field() {
        let request = || BootRequest::new("h", ["a"]);
        for (request, name) in [
            (BootRequest::new("h", Vec::<String>::new()), "argv"),
            (BootRequest::new("h", [""]), "argv[0]"),
            (BootRequest::new("h", ["-a"]), "argv[0]"),
            (BootRequest::new("h", ["a", "b\0"]), "argv[1]"),
            (BootRequest::new("h", ["a".to_owned(), "b".repeat(128 * 1024)]), "argv[1]"),
            (request().setup_line("a\0"), "setup[0]"),
            (request().setup_shell("/bin/tcsh"), "setup_shell"),
            (request().setup_shell("sh -c"), "setup_shell"),
            (request().environment("A=B", "x"), "environment"),
            (request().environment("1A", "x"), "environment"),
            (request().environment("", "x"), "environment"),
            (request().environment("PPID", "1"), "environment"),
            (request().environment("BIG", "x".repeat(128 * 1024)), "environment.BIG"),
            (request().environment("A", "x\0"), "environment.A"),
            (request().working_directory(""), "working_directory"),
            (request().log_file("a\0"), "log_file"),
            (request().umask(0o1000), "umask"),
            (request().start_timeout(Duration::ZERO), "start_timeout"),
            (request().name("a\0"), "name"),
        ] {
            match request.check() {
                Err(Error::Invalid { field, .. }) => assert_eq!(field, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn the_longest_variable_is_what_the_kernel_takes() {
        let fits = "x".repeat(128 * 1024 - "BIG=".len() - 1);
        BootRequest::new("h", ["a"]).environment("BIG", &fits).check().unwrap();
        assert!(BootRequest::new("h", ["a"]).environment("BIG", fits + "x").check().is_err());
    }
}
