//! docs/session.schema.json accepts what `Session::from_json` accepts, and refuses what it refuses, but for what only
//! code can check.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use jsonschema::Validator;
use serde_json::{Value, json};
use sshpm::Session;

fn file(path: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn schema() -> Value {
    serde_json::from_str(&file("docs/session.schema.json")).unwrap()
}

fn validator() -> Validator {
    jsonschema::draft202012::options().build(&schema()).unwrap()
}

/// Returns what the schema has against a text of JSON.
fn faults(validator: &Validator, json: &str) -> Vec<String> {
    let value: Value = serde_json::from_str(json).unwrap();
    validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[track_caller]
fn assert_good(validator: &Validator, json: &str) {
    Session::from_json(json).unwrap_or_else(|error| panic!("{error}: {json}"));
    assert_eq!(faults(validator, json), [""; 0], "{json}");
}

#[track_caller]
fn assert_bad(validator: &Validator, json: &str) {
    assert!(Session::from_json(json).is_err(), "{json}");
    assert!(!faults(validator, json).is_empty(), "the schema accepts {json}");
}

/// Returns the blocks of JSON in a page.
fn blocks(page: &str) -> Vec<String> {
    let text = file(page);
    text.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn it_is_a_schema() {
    jsonschema::meta::validate(&schema()).unwrap();
}

#[test]
fn it_accepts_the_examples() {
    let validator = validator();
    for path in ["examples-c/session.json", "examples-c/recover.json"] {
        assert_good(&validator, &file(path));
    }
    let blocks = blocks("README.md");
    assert!(!blocks.is_empty(), "README.md has no example of a session");
    blocks.iter().for_each(|block| assert_good(&validator, block));
}

/// Returns a session whose second process has this field, whose defaults have it, and an array with it.
fn with_field(field: &str, value: &Value) -> [String; 3] {
    let process = |name: &str| json!({"name": name, "host": "h", "argv": ["a"]});
    let mut changed = process("b");
    changed[field] = value.clone();
    let of_process = json!({"processes": [process("a"), changed]});
    let of_defaults = json!({"defaults": {field: value}, "processes": [process("a")]});
    [of_process, of_defaults, json!([changed])].map(|value| value.to_string())
}

#[test]
fn each_value_of_a_field_that_is_good_is_accepted() {
    let validator = validator();
    for (field, value) in [
        ("host", json!("[fe80::1]")),
        ("host", json!("fe80::1:22")),
        ("host", json!("daq-1:")),
        ("launcher", json!("local")),
        ("launcher", json!(null)),
        ("launcher", json!({"command": ["docker", "exec"]})),
        ("launcher", json!({"slurm": {"job": "4711", "srun_options": ["--overlap"]}})),
        ("user", json!("daq")),
        ("user", json!(null)),
        ("session", json!("np04 \u{3b2}")),
        ("tree_id", json!("0.1")),
        ("role", json!("monitor")),
        ("critical", json!(false)),
        ("setup", json!(["source env.sh", ""])),
        ("setup_shell", json!("/bin/sh")),
        ("setup_shell", json!("/bin/csh/bash")),
        ("environment", json!({"A_1": "a\nb"})),
        ("working_directory", json!("a b")),
        ("umask", json!("0027")),
        ("limits", json!({"core": "unlimited", "nofile": 0, "as": u64::MAX})),
        ("log_file", json!("log")),
        ("log_mode", json!("append")),
        ("start_timeout", json!(0.5)),
        ("ready", json!({"output": "up and running"})),
        ("ready", json!("notify")),
        ("ready", json!({"port": 65535})),
        ("ready", json!(null)),
        ("ready_timeout", json!(2)),
        ("restart", json!("on-failure")),
        ("restart", json!(null)),
        ("restart", json!({"when": "always", "limit": 1, "within": 0.5, "first_pause": 2, "longest_pause": 2})),
        ("link_loss", json!("keep")),
        ("grace", json!(0)),
        ("kill_tree", json!(true)),
    ] {
        with_field(field, &value).iter().for_each(|json| assert_good(&validator, json));
    }
}

#[test]
fn each_value_of_a_field_that_is_bad_is_refused() {
    let validator = validator();
    for (field, value) in [
        ("hots", json!("h")),
        ("host", json!("-h")),
        ("host", json!("a b")),
        ("host", json!("")),
        ("host", json!(7)),
        ("host", json!("daq-1:22")),
        ("host", json!("[::1]:22")),
        ("argv", json!([])),
        ("argv", json!([""])),
        ("argv", json!(["-a"])),
        ("argv", json!(["a", 7])),
        ("argv", json!(["a", "\u{0}"])),
        ("argv", json!("a")),
        ("launcher", json!("docker")),
        ("launcher", json!({"command": []})),
        ("launcher", json!({"slurm": {"jobs": "1"}})),
        ("launcher", json!({"slurm": {"job": "first"}})),
        ("launcher", json!({"slurm": {"job": ""}})),
        ("launcher", json!({"command": ["a"], "slurm": {}})),
        ("user", json!("a b")),
        ("user", json!("-a")),
        ("name", json!(7)),
        ("session", json!("\u{0}")),
        ("tree_id", json!(null)),
        ("role", json!("")),
        ("role", json!("a\nb")),
        ("critical", json!("yes")),
        ("setup", json!("a")),
        ("setup", json!([7])),
        ("setup_shell", json!("sh -c")),
        ("setup_shell", json!("csh")),
        ("setup_shell", json!("/bin/tcsh")),
        ("setup_shell", json!("/usr/bin/fish")),
        ("environment", json!({"A=B": "x"})),
        ("environment", json!({"A": 1})),
        ("working_directory", json!("")),
        ("umask", json!("1777")),
        ("umask", json!("8")),
        ("umask", json!(27)),
        ("limits", json!({"cores": 1})),
        ("limits", json!({"core": -1})),
        ("limits", json!({"core": 18446744073709551616.0})),
        ("limits", json!({"core": "many"})),
        ("log_file", json!("")),
        ("log_mode", json!("new")),
        ("start_timeout", json!(0)),
        ("start_timeout", json!("1")),
        ("ready", json!({"output": ""})),
        ("ready", json!({"output": "a\nb"})),
        ("ready", json!({"port": 0})),
        ("ready", json!({"port": 65536})),
        ("ready", json!({"output": "a", "port": 1})),
        ("ready", json!({})),
        ("ready", json!("soon")),
        ("ready_timeout", json!(-1)),
        ("restart", json!("sometimes")),
        ("restart", json!({})),
        ("restart", json!({"when": "always", "limit": 0})),
        ("restart", json!({"when": "always", "within": 0})),
        ("restart", json!({"when": "always", "first_pause": 0})),
        ("restart", json!({"when": "always", "pause": 1})),
        ("link_loss", json!("stay")),
        ("grace", json!(-1)),
        ("kill_tree", json!(1)),
    ] {
        let [of_process, of_defaults, of_array] = with_field(field, &value);
        assert_bad(&validator, &of_process);
        assert_bad(&validator, &of_array);
        // The reader refuses a default only where a process uses it, and here each has a host and a command.
        if !matches!(field, "host" | "argv") {
            assert_bad(&validator, &of_defaults);
        }
    }
}

#[test]
fn the_parts_of_a_session_are_checked() {
    let validator = validator();
    let good = json!({"name": "a", "host": "h", "argv": ["a"]});
    let with_options = |options: Value| json!({"session": options, "processes": [good]}).to_string();
    for options in [
        json!({"order": ["unknown", "monitor"], "minimum": {"unknown": 1}, "on_failure": "roll-back", "timeout": 1.5}),
        json!({"on_failure": "continue", "minimum": {}}),
        json!({"order": null, "timeout": null, "on_failure": "stop"}),
    ] {
        assert_good(&validator, &with_options(options));
    }
    for options in [
        json!([]),
        json!({"orders": []}),
        json!({"order": ["a", "a"]}),
        json!({"order": [""]}),
        json!({"order": "a"}),
        json!({"minimum": {"unknown": -1}}),
        json!({"minimum": {"unknown": 0.5}}),
        json!({"minimum": {"": 0}}),
        json!({"on_failure": "retry"}),
        json!({"timeout": -1}),
    ] {
        assert_bad(&validator, &with_options(options));
    }
    for json in [
        json!([]),
        json!({"processes": []}),
        json!({"defaults": {"host": "h", "argv": ["a"]}, "processes": [{"uuid": "u"}, {"name": "n"}]}),
        json!({"defaults": {"host": "h", "argv": ["a"], "name": "n"}, "processes": [{}]}),
        json!({"defaults": {"host": "h"}, "processes": [{"uuid": "u", "name": "a b", "argv": ["a"]}]}),
    ] {
        assert_good(&validator, &json.to_string());
    }
    for json in [
        json!(7),
        json!({}),
        json!({"process": []}),
        json!({"processes": {}}),
        json!({"processes": [7]}),
        json!([{"host": "h", "argv": ["a"]}]),
        json!([{"name": "a", "argv": ["a"]}]),
        json!([{"name": "a b", "host": "h", "argv": ["a"]}]),
        json!([{"uuid": "a/b", "host": "h", "argv": ["a"]}]),
        json!([{"uuid": 7, "host": "h", "argv": ["a"]}]),
        json!({"defaults": {"uuid": "u", "host": "h", "argv": ["a"]}, "processes": [{"uuid": "v"}]}),
        json!({"defaults": {"host": "h"}, "processes": [{"uuid": "u"}]}),
        json!({"defaults": {"argv": ["a"]}, "processes": [{"uuid": "u"}]}),
        json!({"defaults": {"host": "h", "argv": ["a"]}, "processes": [{}]}),
        json!({"defaults": [], "processes": []}),
    ] {
        assert_bad(&validator, &json.to_string());
    }
}

/// The reader names all its keys when it refuses one.
#[test]
fn it_has_the_keys_that_the_reader_knows() {
    let known = |json: Value| {
        let said = Session::from_json(&json.to_string()).unwrap_err().to_string();
        let (_, names) = said.split_once("expected one of ").unwrap();
        names.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let schema = schema();
    let keys = |part: &str| {
        let properties = schema["$defs"][part]["properties"].as_object().unwrap();
        properties.keys().cloned().collect::<BTreeSet<_>>()
    };
    assert_eq!(keys("request"), known(json!([{"?": 1}])));
    assert_eq!(keys("options"), known(json!({"session": {"?": 1}, "processes": []})));
    assert_eq!(keys("session"), known(json!({"?": 1})));
}
