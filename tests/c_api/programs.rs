//! The C ABI as C sees it: programs of tests/c, compiled against include/sshpm.h and run against a private sshd.

use std::process::Command;

use crate::c_programs::*;
use crate::support::{self, DEADLINE, ProcessInfo, Remote, processes, wait_until};

#[test]
fn the_header_compiles_alone_as_c_and_as_cxx() {
    for language in [C99, CXX11] {
        let mut cc = compiler(language);
        cc.arg("-fsyntax-only").arg(format!("{ROOT}/include/sshpm.h"));
        run(cc);
    }
}

#[test]
fn a_life() {
    run_with_remote("life", Link::Dynamic);
}

#[test]
fn a_life_with_the_static_library() {
    run_with_remote("life", Link::Static);
}

#[test]
fn a_guest_in_a_large_program() {
    run_with_remote("guest", Link::Dynamic);
}

#[test]
fn a_guest_in_a_program_with_signals_of_its_own() {
    run_with_remote("signals", Link::Dynamic);
}

#[test]
fn callbacks() {
    run_with_remote("callbacks", Link::Dynamic);
}

#[test]
fn hosts_with_habits() {
    let mut program = compile("hosts", Link::Dynamic);
    // All locales that come with the C library have decimal points.
    let mut localedef = Command::new("localedef");
    localedef.args(["--no-archive", "-i", "de_DE", "-f", "UTF-8"]).arg(scratch().join("de_DE.UTF-8"));
    if localedef.output().is_ok_and(|output| output.status.success()) {
        program.env("LOCPATH", scratch()).env("SSHPM_TEST_LOCALE", "de_DE.UTF-8");
    } else {
        support::skipped("a locale with decimal commas cannot be made: no localedef, or no definitions of locales");
    }
    run_command_with_remote(program);
}

#[test]
fn applications_that_are_kept() {
    run_with_remote("keep", Link::Dynamic);
    run_with_remote("cpp_keep", Link::Dynamic);
}

#[test]
fn processes_without_ssh() {
    run_with_remote("launchers", Link::Dynamic);
    run_with_remote("cpp_launchers", Link::Dynamic);
}

#[test]
fn sessions() {
    run_with_remote("cpp_session", Link::Dynamic);
}

#[test]
fn sixteen_threads() {
    run_with_remote("threads", Link::Dynamic);
}

#[test]
fn the_library_can_be_unloaded() {
    let mut program = compile("unload", Link::Not);
    program.env("SSHPM_TEST_LIBRARY", library("libsshpm.so"));
    run_command_with_remote(program);
}

#[test]
fn an_exit_without_a_free_ends_all() {
    let remote = Remote::start();
    let mut program = compile("leaves", Link::Dynamic);
    know(&mut program, &remote);
    let output = program.output().unwrap();
    assert_eq!(output.status.code(), Some(23), "{}", String::from_utf8_lossy(&output.stderr));
    let clients: Vec<i32> = String::from_utf8(output.stdout).unwrap().lines().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(clients.len(), 3);
    // They are no children of ours, and their pids can be used again. So only an ssh of this remote must not be there.
    let config = remote.dir().to_string_lossy().into_owned();
    let of_remote = |process: &ProcessInfo| process.cmdline.iter().any(|word| word.to_string_lossy().contains(&config));
    wait_until("the end of its ssh clients and of their processes", DEADLINE, || {
        let clients_left = processes().iter().any(|process| clients.contains(&process.pid) && of_remote(process));
        (!clients_left && remote.processes().is_empty()).then_some(())
    });
    // No manager was there to hear how they ended, so the words of their exits stay for a day.
    let files = remote.runtime_files();
    assert!(files.iter().all(|file| file.extension().is_some_and(|end| end == "end")), "{files:?}");
}

#[test]
fn bad_input() {
    run(compile("bad_input", Link::Dynamic));
}

#[test]
fn the_library_exports_what_the_header_declares_and_nothing_else() {
    let mut nm = Command::new("nm");
    nm.args(["-D", "--defined-only", "--format=posix"]).arg(library("libsshpm.so"));
    let symbols = run(nm);
    let mut exported: Vec<&str> = symbols.lines().filter_map(|line| line.split(' ').next()).collect();
    let header = include_str!("../../include/sshpm.h");
    // A declaration begins in the first column, and its name stands right before the parenthesis.
    let name = |line: &'static str| {
        let code = line.starts_with(|c: char| c.is_ascii_lowercase()) && !line.starts_with("typedef");
        code.then(|| line.split_once('(')).flatten()?.0.rsplit([' ', '*']).next()
    };
    let mut declared: Vec<&str> = header.lines().filter_map(name).collect();
    exported.sort_unstable();
    declared.sort_unstable();
    assert!(declared.len() > 100 && declared.iter().all(|name| name.starts_with("sshpm_")), "{declared:?}");
    assert_eq!(exported, declared);
}
