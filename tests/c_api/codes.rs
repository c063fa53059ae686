//! Each result code that a function of sshpm.h documents is one that it returns, and each code that it returns is
//! documented.
//!
//! The C programs provoke the codes and note what they got. `NOT_PROVOKED` lists codes that no program can provoke.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use crate::c_header::{Function, constants, defined, functions};
use crate::c_programs::*;
use crate::support::Remote;

/// A function (or "" for all), a code, and why no program here gets it.
const NOT_PROVOKED: &[(&str, &str, &str)] = &[
    ("", "SSHPM_ERROR_LOCAL", "memory, descriptors or threads would have to run out"),
    ("sshpm_set_log_callback", "SSHPM_ERROR_LOGGER_SET", "a program in C has no logger of Rust's"),
    ("sshpm_manager_send_signal", "SSHPM_ERROR_SIGNAL_REFUSED", "only between an end and the report of it"),
    ("sshpm_manager_crash_process", "SSHPM_ERROR_SIGNAL_REFUSED", "only between an end and the report of it"),
    ("sshpm_manager_send_signal", "SSHPM_ERROR_TIMED_OUT", "it takes 10 s"),
    ("sshpm_manager_crash_process", "SSHPM_ERROR_TIMED_OUT", "it takes 10 s"),
    ("sshpm_manager_read_process_metadata", "SSHPM_ERROR_TIMED_OUT", "it takes 10 s"),
    ("sshpm_manager_validate_host_connection", "SSHPM_ERROR_START_PROTOCOL", "no host answers so"),
    ("sshpm_host_results_get_result", "SSHPM_ERROR_START_PROTOCOL", "no host answers so"),
    ("sshpm_manager_wait_until_started", "SSHPM_ERROR_DETACHED", "only while a link is lost in mid-start"),
    ("sshpm_manager_wait_until_started", "SSHPM_ERROR_TAKEN_OVER", "only while a link is lost in mid-start"),
    ("sshpm_manager_wait_until_ready", "SSHPM_ERROR_DETACHED", "only of a kept process that is not ready"),
    ("sshpm_manager_wait_until_ready", "SSHPM_ERROR_TAKEN_OVER", "only of a kept process that is not ready"),
    ("sshpm_manager_restart_process", "SSHPM_ERROR_DETACHED", "only when all are let go of in the middle of it"),
    ("sshpm_manager_adopt_process", "SSHPM_ERROR_DETACHED", "only when all are let go of in the middle of it"),
    ("sshpm_manager_adopt_process", "SSHPM_ERROR_TIMED_OUT", "it takes 70 s"),
    (
        "sshpm_manager_adopt_process_with_request",
        "SSHPM_ERROR_DETACHED",
        "only when all are let go of in the middle of it",
    ),
    ("sshpm_manager_adopt_process_with_request", "SSHPM_ERROR_TIMED_OUT", "it takes 70 s"),
    ("sshpm_session_results_get_result", "SSHPM_ERROR_TAKEN_OVER", "only while a link is lost in a boot"),
    ("sshpm_launcher_get_hosts", "SSHPM_ERROR_LAUNCHER_TIMED_OUT", "it takes 20 s"),
];

/// Returns the codes that a function documents. One that ends with _ stands for all that begin with it.
fn documented(function: &Function) -> BTreeSet<String> {
    let result = function.tag("@return").unwrap_or_default();
    let is_code = |name: &&str| *name == "SSHPM_OK" || name.starts_with("SSHPM_ERROR_");
    let named = constants(result).into_iter().map(|(name, _)| name).filter(is_code);
    named.map(str::to_owned).collect()
}

fn covers(documented: &str, code: &str) -> bool {
    documented == code || documented.ends_with('_') && code.starts_with(documented)
}

/// Returns the codes that the programs got, by function.
fn provoked() -> BTreeMap<String, BTreeSet<String>> {
    let notes = scratch().join(format!("codes-{}", std::process::id()));
    let _ = fs::remove_file(&notes);
    let remote = Remote::start();
    for name in ["bad_input", "codes", "codes_of_ends", "codes_of_keep", "codes_of_launchers", "codes_of_sessions"] {
        let mut program = Command::new(compile_as(name, "codes", Link::Dynamic, &[]));
        know(&mut program, &remote);
        program.env("SSHPM_TEST_CODES", &notes);
        run(program);
    }
    remote.assert_nothing_left();
    let text = fs::read_to_string(&notes).unwrap();
    fs::remove_file(notes).unwrap();
    let mut provoked: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines() {
        let (function, number) = line.split_once(' ').unwrap();
        provoked.entry(function.to_owned()).or_default().insert(name_of(number));
    }
    provoked
}

fn name_of(number: &str) -> String {
    let is_code = |name: &str| name == "SSHPM_OK" || name.starts_with("SSHPM_ERROR_");
    let found = defined().into_iter().find(|(name, value)| is_code(name) && *value == number);
    found.unwrap_or_else(|| panic!("{number} is no code")).0.to_owned()
}

#[test]
fn functions_give_the_codes_that_they_document_and_no_others() {
    let provoked = provoked();
    let excused = |function: &str, code: &str| {
        NOT_PROVOKED.iter().any(|(of, what, _)| (of.is_empty() || *of == function) && *what == code)
    };
    let mut faults = Vec::new();
    for function in functions().iter().filter(|function| function.gives == "sshpm_result") {
        let (name, documented) = (&function.name, documented(function));
        let given = provoked.get(name).cloned().unwrap_or_default();
        for code in given.iter().filter(|code| !documented.iter().any(|documented| covers(documented, code))) {
            faults.push(format!("{name} gives {code}, and does not document it"));
        }
        for code in &documented {
            let is_given = given.iter().any(|given| covers(code, given));
            if is_given == excused(name, code) && !(is_given && code == "SSHPM_ERROR_LOCAL") {
                let what = if is_given { "is excused and" } else { "is not" };
                faults.push(format!("{name} documents {code}, which {what} provoked"));
            }
        }
    }
    for (of, what, _) in NOT_PROVOKED.iter().filter(|(of, ..)| !of.is_empty()) {
        let function = functions().into_iter().find(|function| function.name == *of);
        let is_documented = function.is_some_and(|function| documented(&function).contains(*what));
        assert!(is_documented, "{of} does not document {what}, so there is nothing to excuse");
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Functions without a result code document what they return when there is nothing.
#[test]
fn codes_stand_where_results_are() {
    for function in functions() {
        let gives_code = function.gives == "sshpm_result";
        assert_eq!(!documented(&function).is_empty(), gives_code, "{}", function.name);
    }
}
