//! Input that is refused, by field and value, before anything starts. The seed's class accepts all of it.

use crate::life::*;
use crate::support::Remote;
use sshpm::{BootRequest, Error, KillStep, Manager, Options, Role, Signal};

/// Asserts that the error names the field and shows the value or its beginning.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, field: &str, value: &str) {
    match result {
        Err(error @ Error::Invalid { .. }) => {
            let text = error.to_string();
            let Error::Invalid { field: named, value: shown, .. } = error else { unreachable!() };
            assert_eq!(named, field, "{text}");
            let begin: String = value.chars().take(80).collect();
            assert!(shown == value || shown == format!("{begin}…"), "{shown:?} for {value:?}");
            assert!(text.contains(field), "{text}");
        }
        other => panic!("{field} {value:?}: {other:?}"),
    }
}

#[test]
fn bad_input_is_refused_and_starts_nothing() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let good = app(&remote, "wait");
    for uuid in ["", "a/b", "../x", "a b", "a\nb", "a\0b", "a;id", "\u{e9}", &"x".repeat(129), &"x".repeat(1 << 20)] {
        refused(manager.start_process(uuid, &good), "uuid", uuid);
    }
    for host in ["", "a b", "-oProxyCommand=id", "a\nb", "a\0b", "a;id", "user@host", &"h".repeat(254)] {
        refused(manager.start_process("u", &BootRequest::new(host, ["true"])), "host", host);
        refused(manager.read_log_file(host, None, "/x", 1, TIME), "host", host);
        refused(manager.follow_log_file(host, None, "/x", 1).map(drop), "host", host);
        refused(manager.validate_host_connection(host, None, None), "host", host);
        refused(manager.read_process_metadata("u", host, None, TIME), "host", host);
    }
    for user in ["", "-l", "a b", "a$b", "a\0b"] {
        refused(manager.start_process("u", &app(&remote, "wait").user(user)), "user", user);
        refused(manager.read_log_file("alpha", Some(user), "/x", 1, TIME), "user", user);
        refused(manager.validate_host_connection("alpha", Some(user), None), "user", user);
    }
    for signal in ["", "QUITE", "0", "65", "-9", "KILL;id"] {
        refused(signal.parse::<Signal>(), "signal", signal);
    }
    for number in [0, -1, 65, i32::MAX] {
        refused(Signal::from_number(number), "signal", &number.to_string());
    }
    for role in ["", "a\nb", &"r".repeat(65)] {
        refused(Role::from_name(role), "role", role);
    }
    let order = [Role::Application, Role::RootController, Role::Application];
    refused(Manager::new(Options::new().shutdown_order(order)).map(drop), "shutdown_order", "application");
    refused(Manager::new(Options::new().kill_sequence(Vec::<KillStep>::new())).map(drop), "kill_sequence", "");
    assert!(manager.active_process_keys().is_empty());
    assert_eq!(remote.logins(), 0);
    remote.assert_nothing_left();
}

/// Returns why JSON is refused. It must be refused as JSON.
#[track_caller]
fn json_error(json: &str) -> String {
    match BootRequest::from_json(json) {
        Err(error @ Error::Json(_)) => error.to_string(),
        other => panic!("{json:.100}: {other:?}"),
    }
}

#[test]
fn bad_json_is_refused_with_its_place() {
    let good = r#"{"host": "alpha", "argv": ["true"], "environment": {"A": "b"}, "limits": {"core": 0}}"#;
    BootRequest::from_json(good).unwrap();
    // JSON that is cut off anywhere.
    for length in 0..good.len() {
        let error = json_error(&good[..length]);
        assert!(error.contains("EOF") && error.contains("line 1 column") || length == 0, "{error}");
    }
    // Values of the wrong type: the message says what was found, and where.
    for (key, value) in [
        ("host", "7"),
        ("user", "[]"),
        ("name", "{}"),
        ("argv", "\"true\""),
        ("argv", "[1]"),
        ("setup", "\"line\""),
        ("environment", "[\"A\"]"),
        ("environment", "{\"A\": 1}"),
        ("umask", "18"),
        ("limits", "{\"core\": \"much\"}"),
        ("limits", "{\"no_such\": 1}"),
        ("log_mode", "\"rotate\""),
        ("link_loss", "7"),
        ("start_timeout", "\"30\""),
        ("start_timeout", "NaN"),
        ("no_such_key", "1"),
    ] {
        let mut object: Vec<String> = Vec::new();
        if key != "host" {
            object.push("\"host\": \"alpha\"".to_owned());
        }
        if key != "argv" {
            object.push("\"argv\": [\"true\"]".to_owned());
        }
        object.push(format!("\"{key}\": {value}"));
        let json = format!("{{{}}}", object.join(", "));
        let error = json_error(&json);
        assert!(error.contains("line 1 column"), "{key}: {error}");
    }
    for (key, value, shown) in [
        ("host", "\"a b\"", "a b"),
        ("start_timeout", "-1", "-1"),
        ("start_timeout", "0", "0"),
        ("grace", "-0.5", "-0.5"),
        ("umask", "\"999\"", "999"),
    ] {
        let host = if key == "host" { String::new() } else { "\"host\": \"alpha\", ".to_owned() };
        let json = format!("{{{host}\"argv\": [\"true\"], \"{key}\": {value}}}");
        refused(BootRequest::from_json(&json), key, shown);
    }
    // These are not even parsed: 100 MB, and endless nesting.
    let large = format!("{}{good}", " ".repeat(100 << 20));
    match BootRequest::from_json(&large) {
        Err(Error::Invalid { field, value, reason }) => {
            assert_eq!(field, "json");
            assert!(value.chars().count() <= 81 && reason.contains(&large.len().to_string()), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    json_error(&"[".repeat(1 << 20));
    assert!(matches!(BootRequest::list_from_json(&"[".repeat(1 << 20)), Err(Error::Json(_))));
}
