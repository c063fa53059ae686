//! Reads sessions from JSON.

use std::collections::HashMap;
use std::fmt;
use std::mem;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::model::check::duration;
use crate::model::error::{Error, Result};
use crate::model::json::{self, Object};
use crate::model::request::BootRequest;
use crate::model::request_json::check_size;
use crate::model::role::Role;
use crate::session::plan::{OnFailure, Session};

/// The keys of a request whose values are maps: the request's entries are added to those of the defaults.
const MAPS: [&str; 2] = ["environment", "limits"];

impl Session {
    /// Reads a session from a JSON object with these keys:
    /// - `processes`, which is required: an array of requests, each as [`BootRequest::from_json`] reads it. A request
    ///   has one more key, `uuid`. Without it, its name is the uuid.
    /// - `defaults`: an object with keys of a request, for all requests that do not have them. The entries of
    ///   `environment` and `limits` are added to those of the request, whose own entries win. Any other value of a
    ///   request replaces the default.
    /// - `session`: an object with `order` (an array of roles), `minimum` (an object of roles and numbers),
    ///   `on_failure` (`"stop"`, `"roll-back"` or `"continue"`) and `timeout` (a number of seconds). All of them are
    ///   optional.
    ///
    /// An array of requests is read, too: it stands for an object that has only `processes`. The file
    /// `docs/session.schema.json` describes both forms as a JSON Schema.
    ///
    /// # Errors
    /// [`Error::Json`] if the text is not such JSON, and [`Error::Invalid`] for values that
    /// [`check`](Session::check) refuses, and for more than 64 MiB. Both name the place and the value:
    /// `processes[3].host`, `defaults.umask`, `session.order`, or `[3].host` in an array.
    pub fn from_json(json: &str) -> Result<Session> {
        check_size(json)?;
        let (list, json) = match json.trim_start().starts_with('[') {
            true => ("", Json { processes: serde_json::from_str(json)?, ..Json::default() }),
            false => ("processes", json::object::<Json>(json.as_bytes())?),
        };
        let mut session = json.session.0.into_session().map_err(|error| error.inside("session"))?;
        session.processes = read_processes(list, json.processes, &json.defaults.0)?;
        session.check_processes(list)?;
        session.check_options().map_err(|error| error.inside("session"))?;
        Ok(session)
    }
}

/// The JSON of a session.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Json {
    #[serde(default)]
    session: Object<Options>,
    #[serde(default)]
    defaults: Fields,
    processes: Vec<Fields>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Options {
    order: Option<Vec<Role>>,
    #[serde(deserialize_with = "minimum")]
    minimum: HashMap<Role, usize>,
    on_failure: OnFailure,
    timeout: Option<f64>,
}

/// Reads an object of numbers, so that an error names the role.
fn minimum<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<HashMap<Role, usize>, D::Error> {
    Object::deserialize(deserializer).map(|Object(minimum)| minimum)
}

impl Options {
    /// Returns a session with these options.
    fn into_session(self) -> Result<Session> {
        let mut session = Session { order: self.order, minimum: self.minimum, ..Session::new() };
        session.on_failure = self.on_failure;
        if let Some(seconds) = self.timeout {
            session.timeout = duration("timeout", seconds)?;
        }
        Ok(session)
    }
}

/// The fields of an object, each of which must be there once.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Fields, D::Error> {
        deserializer.deserialize_any(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object: {\"key\": value, …}")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<Fields, M::Error> {
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if fields.contains_key(&key) {
                return Err(M::Error::custom(format!("duplicate field `{key}`")));
            }
            let value = map.next_value()?;
            fields.insert(key, value);
        }
        Ok(Fields(fields))
    }
}

/// Reads the processes of the list of this name.
fn read_processes(
    list: &str,
    processes: Vec<Fields>,
    defaults: &Map<String, Value>,
) -> Result<Vec<(String, BootRequest)>> {
    let faults = Faults::of(defaults)?;
    let read = |(at, Fields(own)): (usize, Fields)| {
        read_process(merged(own, defaults)).map_err(|error| faults.located(error, &format!("{list}[{at}]")))
    };
    processes.into_iter().enumerate().map(read).collect()
}

/// What is wrong with the defaults themselves.
struct Faults(Option<Error>);

impl Faults {
    /// Reads the defaults as a request. A key or a type that is wrong is an error. A value that is refused need not be:
    /// each request may have one of its own.
    fn of(defaults: &Map<String, Value>) -> Result<Faults> {
        let mut request = Map::new();
        request.insert("host".to_owned(), "host".into());
        request.insert("argv".to_owned(), vec!["program"].into());
        if defaults.contains_key("uuid") {
            let error = serde_json::Error::custom("unknown field `uuid`: each process must have its own");
            return Err(Error::from(error).inside("defaults"));
        }
        match BootRequest::from_fields(merged(defaults.clone(), &request)) {
            Err(error @ Error::Json(_)) => Err(error.inside("defaults")),
            read => Ok(Faults(read.err())),
        }
    }

    /// Adds the place to the error of a request: `defaults`, where its value comes from there.
    fn located(&self, error: Error, place: &str) -> Error {
        let is_of_defaults = self.0.as_ref().is_some_and(|fault| fault.to_string() == error.to_string());
        error.inside(if is_of_defaults { "defaults" } else { place })
    }
}

/// Returns the fields, and the defaults of those that are missing.
fn merged(mut own: Map<String, Value>, defaults: &Map<String, Value>) -> Map<String, Value> {
    for (key, default) in defaults {
        match (own.get_mut(key), default) {
            (None, _) => drop(own.insert(key.clone(), default.clone())),
            (Some(Value::Object(entries)), Value::Object(defaults)) if MAPS.contains(&key.as_str()) => {
                let own = mem::replace(entries, defaults.clone());
                entries.extend(own);
            }
            (Some(_), _) => {}
        }
    }
    own
}

/// Reads a process: its uuid, which may be its name, and its request.
fn read_process(mut fields: Map<String, Value>) -> Result<(String, BootRequest)> {
    let uuid = match fields.remove("uuid") {
        Some(Value::String(uuid)) => Some(uuid),
        Some(other) => {
            let error = serde_json::Error::custom(format!("uuid: invalid type: `{other}`, expected a string"));
            return Err(error.into());
        }
        None => None,
    };
    let request = BootRequest::from_fields(fields)?;
    match uuid.unwrap_or_else(|| request.get_name().to_owned()) {
        uuid if uuid.is_empty() => Err(Error::invalid("uuid", "", "must be there, or a name that can be the uuid")),
        uuid => Ok((uuid, request)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn refused(json: &str) -> String {
        Session::from_json(json).unwrap_err().to_string()
    }

    /// Returns the error about a session with these options, defaults, and second process.
    fn refused_parts(session: &str, defaults: &str, process: &str) -> String {
        let first = r#"{"name": "a", "host": "h", "argv": ["x"]}"#;
        refused(&format!(r#"{{"session": {session}, "defaults": {defaults}, "processes": [{first}, {process}]}}"#))
    }

    #[test]
    fn json_gives_what_the_setters_give() {
        let json = r#" {
            "session": {"order": ["root-controller", "monitor"], "minimum": {"monitor": 1}, "on_failure": "roll-back",
                "timeout": 2.5},
            "defaults": {"host": "h", "session": "s", "environment": {"A": "1", "B": "2"}, "limits": {"core": 0},
                "launcher": {"command": ["docker"]}, "setup": ["a", "b"], "user": "daq"},
            "processes": [
                {"name": "root", "role": "root-controller", "argv": ["r"]},
                {"uuid": "m-1", "name": "m", "role": "monitor", "host": "i", "argv": ["m"], "critical": false,
                    "environment": {"B": "3", "C": "4"}, "limits": {"nofile": 9}, "launcher": "local", "setup": ["c"],
                    "user": null}
            ]
        }"#;
        let request = |json: &str| BootRequest::from_json(json).unwrap();
        let root = r#"{"name": "root", "role": "root-controller", "argv": ["r"], "host": "h", "session": "s",
            "environment": {"A": "1", "B": "2"}, "limits": {"core": 0}, "launcher": {"command": ["docker"]},
            "setup": ["a", "b"], "user": "daq"}"#;
        let monitor = r#"{"name": "m", "role": "monitor", "host": "i", "argv": ["m"], "session": "s",
            "critical": false, "environment": {"A": "1", "B": "3", "C": "4"}, "limits": {"core": 0, "nofile": 9},
            "launcher": "local", "setup": ["c"]}"#;
        let monitors = Role::Custom("monitor".into());
        let built = Session::new()
            .process("root", request(root))
            .process("m-1", request(monitor))
            .order([Role::RootController, monitors.clone()])
            .minimum(monitors, 1)
            .on_failure(OnFailure::RollBack)
            .timeout(Duration::from_millis(2500));
        assert_eq!(Session::from_json(json).unwrap(), built);
        let array = Session::from_json(&format!("\n [{root}]")).unwrap();
        assert_eq!(array, Session::new().process("root", request(root)));
        assert_eq!(Session::from_json(r#"{"processes": []}"#).unwrap(), Session::new());
        assert_eq!(Session::from_json("[]").unwrap(), Session::new());
    }

    #[test]
    fn bad_json_is_refused_with_its_place_and_its_value() {
        let good = r#"{"name": "b", "host": "h", "argv": ["x"]}"#;
        for (session, defaults, process, said) in [
            ("{}", "{}", r#"{"name": "b", "host": "-h", "argv": ["x"]}"#, "invalid processes[1].host \"-h\""),
            ("{}", "{}", r#"{"host": "h", "argv": ["x"]}"#, "invalid processes[1].uuid \"\""),
            ("{}", "{}", r#"{"name": "a b", "host": "h", "argv": ["x"]}"#, "invalid processes[1].uuid \"a b\""),
            ("{}", "{}", r#"{"name": "a", "host": "h", "argv": ["x"]}"#, "invalid processes[1].uuid \"a\": must be"),
            ("{}", "{}", r#"{"uuid": 7, "host": "h", "argv": ["x"]}"#, "processes[1]: uuid: invalid type: `7`"),
            ("{}", "{}", r#"{"name": "b", "argv": ["x"]}"#, "processes[1]: missing field `host`"),
            (
                "{}",
                "{}",
                r#"{"name": "b", "host": "h", "argv": ["x"], "hots": 1}"#,
                "processes[1]: unknown field `hots`",
            ),
            ("{}", "{}", r#"{"name": "b", "host": 7, "argv": ["x"]}"#, "processes[1]: host: invalid type: integer `7`"),
            ("{}", "{}", r#"{"name": "b", "name": "c"}"#, "processes: duplicate field `name` at line 1"),
            ("{}", "{}", "7", "processes: invalid type: integer `7`, expected an object"),
            ("{}", r#"{"umask": "999"}"#, good, "invalid defaults.umask \"999\""),
            ("{}", r#"{"hots": 1}"#, good, "defaults: unknown field `hots`"),
            ("{}", r#"{"kill_tree": 1}"#, good, "defaults: kill_tree: invalid type: integer `1`"),
            ("{}", r#"{"uuid": "u"}"#, good, "defaults: unknown field `uuid`"),
            ("{}", "[]", good, "defaults: invalid type: sequence"),
            ("[]", "{}", good, "session: invalid type: sequence"),
            (r#"{"orders": []}"#, "{}", good, "session: unknown field `orders`"),
            (r#"{"order": ["unknown", "unknown"]}"#, "{}", good, "invalid session.order \"unknown\""),
            (r#"{"order": [""]}"#, "{}", good, "session: order: invalid role \"\""),
            (r#"{"minimum": {"application": 1}}"#, "{}", good, "invalid session.minimum.application \"1\""),
            (r#"{"minimum": {"unknown": -1}}"#, "{}", good, "session: minimum: unknown: invalid value: integer `-1`"),
            (r#"{"on_failure": "retry"}"#, "{}", good, "session: on_failure: unknown variant `retry`"),
            (r#"{"timeout": -1}"#, "{}", good, "invalid session.timeout \"-1\""),
        ] {
            let text = refused_parts(session, defaults, process);
            assert!(text.contains(said), "{said}: {text}");
        }
        assert!(refused(r#"[{"name": "a", "host": "-h", "argv": ["x"]}]"#).starts_with("invalid [0].host \"-h\""));
        assert!(refused(r#"{"process": []}"#).contains("unknown field `process`"));
        assert!(refused(r#"{"defaults": {}}"#).contains("missing field `processes`"));
        assert!(refused("7").contains("invalid type: integer `7`"));
        assert!(refused(r#"{"processes": ["#).contains("EOF"));
    }

    /// The defaults need not be valid where no request uses them.
    #[test]
    fn a_default_that_each_request_replaces_is_not_refused() {
        let json = r#"{"defaults": {"link_loss": "keep", "launcher": "slurm"},
            "processes": [{"name": "a", "host": "h", "argv": ["x"], "launcher": "local"}]}"#;
        Session::from_json(json).unwrap();
        let used = json.replace(r#", "launcher": "local""#, "");
        assert!(refused(&used).starts_with("invalid defaults.link_loss"), "{}", refused(&used));
    }

    #[test]
    fn no_error_shows_a_value_that_may_be_secret() {
        for field in [r#""argv": ["x", ["secret"]]"#, r#""argv": ["x"], "environment": {"A": ["secret"]}"#] {
            let text = refused(&format!(r#"[{{"name": "a", "host": "h", {field}}}]"#));
            assert!(text.contains("[0]: ") && !text.contains("secret"), "{text}");
        }
        let text = refused(r#"{"defaults": {"environment": {"A": ["secret"]}}, "processes": []}"#);
        assert!(text.contains("defaults: environment: expected an object of strings"), "{text}");
    }
}
