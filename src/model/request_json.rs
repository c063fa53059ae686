//! Reads boot requests from JSON.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::model::check::{LONGEST_TEXT, duration};
use crate::model::error::{Error, Result};
use crate::model::json::{self, Object};
use crate::model::launcher::JsonLauncher;
use crate::model::limit::{Limit, LimitValue};
use crate::model::link_loss::LinkLossPolicy;
use crate::model::ready::Ready;
use crate::model::request::{BootRequest, LogMode};
use crate::model::restart::JsonRestart;
use crate::model::role::Role;

impl BootRequest {
    /// Reads a request from a JSON object. Its keys are the names of the setters. `host` and `argv` are required;
    /// optional are `launcher`, `user`, `name`, `session`, `tree_id`, `role` (a name of
    /// [`Role::from_name`](crate::Role::from_name)), `critical` (`true` or `false`), `setup` (an array of lines),
    /// `setup_shell`, `environment` (an object), `working_directory`, `umask` (a string of octal digits), `limits` (an
    /// object of names and numbers or `"unlimited"`), `log_file`, `log_mode` (`"fresh"`, `"append"` or `"truncate"`),
    /// `start_timeout`, `ready_timeout` and `grace` (numbers of seconds), `ready` (`"notify"`, `{"output": TEXT}` or
    /// `{"port": NUMBER}`), `restart` (`"never"`, `"on-failure"` or `"always"`, or an object with one of these as
    /// `when`, and `limit`, `within`, `first_pause` and `longest_pause`: a number, and numbers of seconds), `link_loss`
    /// (`"terminate"` or `"keep"`) and `kill_tree` (`true` or `false`). JSON cannot carry bytes that are not UTF-8.
    ///
    /// [`Launcher`](crate::Launcher) says how each launcher is written.
    ///
    /// # Errors
    /// [`Error::Json`] if the text is not JSON, or a value has the wrong type or a key is unknown: the error names the
    /// key. [`Error::Invalid`] for values that [`check`](BootRequest::check) refuses, and for more than 64 MiB.
    pub fn from_json(json: &str) -> Result<BootRequest> {
        check_size(json)?;
        json::object::<Json>(json.as_bytes())?.try_into()
    }

    /// Reads a JSON array of objects, each of which is a request as [`from_json`](BootRequest::from_json) reads it.
    /// [`Session::from_json`](crate::Session::from_json) also reads defaults, uuids and the options of a boot.
    ///
    /// # Errors
    /// [`Error::Json`] if the text is not such an array. [`Error::Invalid`] for values that
    /// [`check`](BootRequest::check) refuses, where the field begins with the request's index, as in `[3].host`, and
    /// for more than 64 MiB.
    pub fn list_from_json(json: &str) -> Result<Vec<BootRequest>> {
        check_size(json)?;
        let list: Vec<Object<Json>> = serde_json::from_str(json)?;
        let numbered = list.into_iter().enumerate();
        let request = |(at, Object(json)): (usize, Object<Json>)| {
            BootRequest::try_from(json).map_err(|error| error.inside(&format!("[{at}]")))
        };
        numbered.map(request).collect()
    }

    /// Reads a request from the fields of a JSON object.
    pub(crate) fn from_fields(fields: Map<String, Value>) -> Result<BootRequest> {
        let Object(json) = serde_json::from_value::<Object<Json>>(Value::Object(fields))?;
        json.try_into()
    }
}

pub(crate) fn check_size(json: &str) -> Result<()> {
    if json.len() > LONGEST_TEXT {
        return Err(Error::invalid(
            "json",
            "…",
            format!("must have at most {LONGEST_TEXT} bytes, and has {}", json.len()),
        ));
    }
    Ok(())
}

/// The JSON of a request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    host: String,
    #[serde(deserialize_with = "strings")]
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
    #[serde(default = "yes")]
    critical: bool,
    #[serde(default, deserialize_with = "strings")]
    setup: Vec<String>,
    setup_shell: Option<String>,
    #[serde(default, deserialize_with = "environment")]
    environment: BTreeMap<String, String>,
    working_directory: Option<String>,
    umask: Option<String>,
    #[serde(default)]
    limits: BTreeMap<Limit, JsonLimit>,
    log_file: Option<String>,
    #[serde(default)]
    log_mode: LogMode,
    start_timeout: Option<f64>,
    ready: Option<Ready>,
    ready_timeout: Option<f64>,
    restart: Option<JsonRestart>,
    #[serde(default)]
    link_loss: LinkLossPolicy,
    #[serde(default)]
    kill_tree: bool,
    grace: Option<f64>,
    launcher: Option<JsonLauncher>,
}

fn yes() -> bool {
    true
}

fn strings<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<String>, D::Error> {
    without_showing(deserializer, "expected an array of strings")
}

fn environment<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<BTreeMap<String, String>, D::Error> {
    without_showing(deserializer, "expected an object of strings")
}

/// Reads a value that may be secret. The error does not quote it, as serde's own errors do.
fn without_showing<'de, D, T>(deserializer: D, expected: &str) -> std::result::Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = Value::deserialize(deserializer)?;
    T::deserialize(value).map_err(|_| D::Error::custom(expected))
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
        request.launcher = json.launcher.map(|JsonLauncher(launcher)| launcher);
        request.user = json.user;
        request.name = json.name;
        request.session = json.session;
        request.tree_id = json.tree_id;
        request.role = json.role;
        request.critical = json.critical;
        request.setup = json.setup.into_iter().map(OsString::from).collect();
        request.setup_shell = json.setup_shell;
        request.environment = json.environment.into_iter().map(|(name, value)| (name, value.into())).collect();
        request.working_directory = json.working_directory.map(PathBuf::from);
        request.umask = json.umask.map(|digits| octal(&digits)).transpose()?;
        request.limits = json.limits.into_iter().map(|(limit, value)| (limit, value.into())).collect();
        request.log_file = json.log_file.map(PathBuf::from);
        request.log_mode = json.log_mode;
        request.link_loss = json.link_loss;
        request.kill_tree = json.kill_tree;
        if let Some(seconds) = json.start_timeout {
            request.start_timeout = duration("start_timeout", seconds)?;
        }
        request.ready = json.ready;
        request.ready_timeout = json.ready_timeout.map(|seconds| duration("ready_timeout", seconds)).transpose()?;
        if let Some(restart) = json.restart {
            request.restart = restart.try_into()?;
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
    let refused = || Error::invalid("umask", digits, "must be a string of octal digits, 0 to 777");
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(refused());
    }
    u32::from_str_radix(digits, 8).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::launcher::Launcher;
    use crate::model::restart::RestartPolicy;

    fn refused(json: &str) -> String {
        BootRequest::from_json(json).unwrap_err().to_string()
    }

    #[test]
    fn json_gives_what_the_setters_give() {
        let json = r#"{"host": "daq-1", "user": "daq", "argv": ["run", "a b"], "name": "n", "session": "s", "tree_id": "0.1",
            "role": "application", "critical": false, "setup": ["source env.sh"], "setup_shell": "bash", "environment": {"A": "$x"},
            "working_directory": "w", "umask": "027", "limits": {"core": "unlimited", "nofile": 4096}, "log_file": "l",
            "log_mode": "append", "start_timeout": 1.5, "ready_timeout": 2.5, "grace": 2, "link_loss": "keep",
            "kill_tree": true}"#;
        let built = BootRequest::new("daq-1", ["run", "a b"])
            .user("daq")
            .name("n")
            .session("s")
            .tree_id("0.1")
            .role(Role::Application)
            .critical(false)
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
            .ready_timeout(Duration::from_millis(2500))
            .grace(Duration::from_secs(2))
            .link_loss(LinkLossPolicy::Keep)
            .kill_tree(true);
        assert_eq!(BootRequest::from_json(json).unwrap(), built);
        let least = r#"{"host": "daq-1", "argv": ["run"], "link_loss": "terminate"}"#;
        assert_eq!(BootRequest::from_json(least).unwrap(), BootRequest::new("daq-1", ["run"]));
    }

    fn with_launcher(launcher: &str) -> String {
        format!(r#"{{"host": "h", "argv": ["a"], "launcher": {launcher}}}"#)
    }

    #[test]
    fn a_launcher_of_json_is_that_of_the_setter() {
        let built = BootRequest::new("h", ["a"]).launcher(Launcher::Local);
        assert_eq!(BootRequest::from_json(&with_launcher(r#""local""#)).unwrap(), built);
        assert_eq!(BootRequest::from_json(&with_launcher("null")).unwrap(), BootRequest::new("h", ["a"]));
    }

    fn with_ready(ready: &str) -> String {
        format!(r#"{{"host": "h", "argv": ["a"], "ready": {ready}}}"#)
    }

    #[test]
    fn a_sign_of_readiness_of_json_is_that_of_the_setter() {
        let built = BootRequest::new("h", ["a"]);
        let output = with_ready(r#"{"output": "up and\trunning"}"#);
        let ready = Ready::Output("up and\trunning".to_owned());
        assert_eq!(BootRequest::from_json(&output).unwrap(), built.clone().ready(ready));
        assert_eq!(BootRequest::from_json(&with_ready(r#""notify""#)).unwrap(), built.clone().ready(Ready::Notify));
        let port = with_ready(r#"{"port": 8080}"#);
        assert_eq!(BootRequest::from_json(&port).unwrap(), built.clone().ready(Ready::Port(8080)));
        assert_eq!(BootRequest::from_json(&with_ready("null")).unwrap(), built);
    }

    #[test]
    fn what_is_no_sign_of_readiness_is_refused_by_its_name() {
        for (json, names) in [
            (r#""soon""#, &["ready: ", "`soon`", "`output`"][..]),
            ("7", &["ready: ", "line 1 column"]),
            (r#"{"port": 0}"#, &["ready.port", "65535"]),
            (r#"{"port": 65536}"#, &["ready: ", "65536"]),
            (r#"{"port": "ssh"}"#, &["ready: ", "ssh"]),
            (r#"{"port": 1, "output": "a"}"#, &["ready: "]),
            (r#"{"notify": 3}"#, &["ready: "]),
            (r#""port""#, &["ready: "]),
            (r#"{"output": 7}"#, &["ready: ", "`7`", "string"]),
            (r#"{"output": ""}"#, &["ready.output", "one line"]),
            (r#"{"output": "a\nb"}"#, &["ready.output", "one line"]),
            (r#"{"output": "a\u0000b"}"#, &["ready.output", "NUL"]),
        ] {
            let said = refused(&with_ready(json));
            assert!(names.iter().all(|name| said.contains(name)), "{json}: {said}");
        }
    }

    fn with_restart(restart: &str) -> String {
        format!(r#"{{"host": "h", "argv": ["a"], "restart": {restart}}}"#)
    }

    #[test]
    fn a_restart_policy_of_json_is_that_of_the_setter() {
        let seconds = Duration::from_secs_f64;
        for (json, policy) in [
            ("null", RestartPolicy::never()),
            (r#""never""#, RestartPolicy::never()),
            (r#""on-failure""#, RestartPolicy::on_failure()),
            (r#"{"when": "always"}"#, RestartPolicy::always()),
            (r#"{"when": "always", "limit": 3}"#, RestartPolicy::always().limit(3, seconds(1800.0))),
            (r#"{"when": "always", "within": 9}"#, RestartPolicy::always().limit(5, seconds(9.0))),
            (
                r#"{"when": "always", "first_pause": 0.5, "longest_pause": 2}"#,
                RestartPolicy::always().pauses(seconds(0.5), seconds(2.0)),
            ),
        ] {
            let built = BootRequest::new("h", ["a"]).restart(policy);
            assert_eq!(BootRequest::from_json(&with_restart(json)).unwrap(), built, "{json}");
        }
    }

    #[test]
    fn what_is_no_restart_policy_is_refused_by_its_name() {
        for (json, names) in [
            (r#""sometimes""#, &["restart: ", "sometimes", "on-failure"][..]),
            ("7", &["restart: ", "`7`", "a restart policy"]),
            ("[]", &["restart: ", "sequence", "a restart policy"]),
            ("{}", &["restart: ", "`when`"]),
            (r#"{"when": "sometimes"}"#, &["restart: ", "when: ", "`sometimes`", "`on-failure`"]),
            (r#"{"when": "always", "limit": -1}"#, &["restart: ", "limit: ", "`-1`"]),
            (r#"{"when": "always", "limits": 1}"#, &["restart: ", "`limits`", "`limit`"]),
            (r#"{"when": "always", "limit": 0}"#, &["restart.limit", "1 or more"]),
            (r#"{"when": "always", "within": -1}"#, &["restart.within", "-1"]),
            (r#"{"when": "always", "first_pause": 60}"#, &["restart.longest_pause", "30"]),
        ] {
            let said = refused(&with_restart(json));
            assert!(names.iter().all(|name| said.contains(name)), "{json}: {said}");
        }
    }

    #[test]
    fn what_is_no_launcher_is_refused_by_its_name() {
        for (json, names) in [
            (r#""docker""#, &["\"docker\"", "\"command\"", "line 1 column"][..]),
            (r#""command""#, &["\"command\"", "[…]"]),
            ("7", &["`7`", "a launcher"]),
            ("[]", &["sequence", "a launcher"]),
            ("{}", &["length 0", "a launcher"]),
            (r#"{"ssh": {}}"#, &["`ssh`", "`slurm`"]),
            (r#"{"command": ["a"], "slurm": {}}"#, &["`slurm`", "`command`"]),
            (r#"{"command": "docker exec"}"#, &["launcher: command: ", "docker exec", "sequence", "line 1 column"]),
            (r#"{"command": ["a", 1]}"#, &["launcher: command: ", "`1`", "string"]),
            (r#"{"command": []}"#, &["launcher.command[0]", "program"]),
            (r#"{"slurm": "4711"}"#, &["launcher: slurm: ", "4711", "an object"]),
            (r#"{"slurm": ["4711", null, []]}"#, &["launcher: slurm: ", "sequence", "an object"]),
            (r#"{"slurm": {"job": 4711}}"#, &["launcher: slurm: ", "`4711`", "string"]),
            (r#"{"slurm": {"job": "x"}}"#, &["launcher.job", "\"x\"", "number"]),
            (r#"{"slurm": {"jobs": "4711"}}"#, &["launcher: slurm: ", "`jobs`", "`job`"]),
            (r#"{"slurm": {"srun_options": ["-n4"]}}"#, &["launcher.srun_options[0]", "-n4"]),
        ] {
            let said = refused(&with_launcher(json));
            assert!(names.iter().all(|name| said.contains(name)), "{json}: {said}");
        }
        let said = refused(r#"{"host": "h", "argv": ["a"], "link_loss": "keep", "launcher": "slurm"}"#);
        assert!(said.contains("link_loss"), "{said}");
    }

    #[test]
    fn an_array_is_no_object_however_many_elements_it_has() {
        let array = r#"["h", ["a"], null, "", "", "", "unknown", true, [], null, {}, null, null, {}, null, "fresh", null,
            "terminate", false, null, null]"#;
        for said in [refused(array), BootRequest::list_from_json(&format!("[{array}]")).unwrap_err().to_string()] {
            assert!(said.contains("invalid type: sequence, expected an object"), "{said}");
        }
        let said = BootRequest::list_from_json(r#"{"host": "h", "argv": ["a"]}"#).unwrap_err().to_string();
        assert!(said.contains("invalid type: map, expected a sequence"), "{said}");
    }

    #[test]
    fn a_time_that_is_too_long_for_a_duration_is_the_longest() {
        let request = BootRequest::from_json(r#"{"host": "h", "argv": ["a"], "start_timeout": 1e300, "grace": 1e20}"#);
        let built = BootRequest::new("h", ["a"]).start_timeout(Duration::MAX).grace(Duration::MAX);
        assert_eq!(request.unwrap(), built);
    }

    #[test]
    fn bad_json_is_refused_with_its_key() {
        assert!(refused(r#"{"host": "h", "argv": ["a"], "hots": 1}"#).contains("hots"));
        assert!(refused(r#"{"host": "h", "argv": ["a"]"#).contains("EOF"));
        assert!(refused(r#"{"argv": ["a"]}"#).contains("host"));
        for argv in [r#""secret""#, r#"["a", ["secret"]]"#, r#"{"secret": 1}"#] {
            let said = refused(&format!(r#"{{"host": "h", "argv": {argv}}}"#));
            assert!(
                said.contains("argv: expected an array of strings at line 1") && !said.contains("secret"),
                "{said}"
            );
        }
        for setup in [r#""secret""#, r#"["true", ["secret"]]"#] {
            let said = refused(&format!(r#"{{"host": "h", "argv": ["a"], "setup": {setup}}}"#));
            assert!(said.contains("setup: expected an array") && !said.contains("secret"), "{said}");
        }
        for environment in [r#""secret""#, r#"{"A": 4711}"#, r#"{"A": ["secret"]}"#] {
            let said = refused(&format!(r#"{{"host": "h", "argv": ["a"], "environment": {environment}}}"#));
            let shows = said.contains("secret") || said.contains("4711");
            assert!(said.contains("environment: expected an object of strings at line 1") && !shows, "{said}");
        }
        assert!(refused(r#"{"host": "h", "argv": ["a"], "limits": {"cores": 1}}"#).contains("cores"));
        assert!(refused(r#"{"host": "h", "argv": ["a"], "limits": {"core": -1}}"#).contains("unlimited"));
        assert!(refused(r#"{"host": "h", "argv": ["a"], "start_timeout": -1}"#).contains("start_timeout"));
        assert!(refused(r#"{"host": "h", "argv": ["a"], "umask": "888"}"#).contains("888"));
        assert!(refused(r#"{"host": "h", "argv": ["a"], "link_loss": "stay"}"#).contains("stay"));
        assert!(
            refused(r#"{"host": "h", "argv": ["a"], "kill_tree": 1}"#).contains("kill_tree: invalid type: integer `1`")
        );
        assert!(refused(r#"{"host": "h", "argv": ["a"], "user": 5}"#).contains("expected a string at line 1 column"));
        let list = BootRequest::list_from_json(r#"[{"host": "h", "argv": ["a"]}, {"host": "-h", "argv": ["a"]}]"#);
        assert!(matches!(list, Err(Error::Invalid { field, .. }) if field == "[1].host"));
    }
}
