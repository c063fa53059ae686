//! The C ABI as C and C++ see it: programs of tests/c, compiled against include/sshpm.h or include/sshpm.hpp, and run
//! against a private sshd.
// Clippy allows it in #[test] functions only, not in their helpers.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::Remote;

const C99: &[&str] = &["-x", "c", "-std=c99", "-D_POSIX_C_SOURCE=200809L"];
const CXX11: &[&str] = &["-x", "c++", "-std=c++11"];
const CXX17: &[&str] = &["-x", "c++", "-std=c++17", "-Wshadow"];

/// Where cargo has put the library that this test was built with. One directory up there can be an older one.
fn library_directory() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

fn library(name: &str) -> PathBuf {
    let file = library_directory().join(name);
    assert!(file.is_file(), "cargo has not built {}", file.display());
    file
}

fn compiler(language: &[&str]) -> Command {
    let mut cc = Command::new("cc");
    cc.args(["-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Werror", "-pthread"]);
    cc.arg(concat!("-I", env!("CARGO_MANIFEST_DIR"), "/include")).args(language);
    cc
}

#[track_caller]
fn run(mut command: Command) -> String {
    let program = command.get_program().to_owned();
    let output = command.output().unwrap_or_else(|error| {
        panic!("{program:?} cannot be run ({error}); the C tests need it: apt-get install gcc g++ libc6-dev")
    });
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{stdout}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}

/// What rustc says a static library needs beside itself.
const NATIVE_LIBRARIES: [&str; 6] = ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl"];

enum Link {
    Dynamic,
    Static,
}

#[track_caller]
fn compile(name: &str, link: Link) -> Command {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(match link {
        Link::Dynamic => format!("c-{name}"),
        Link::Static => format!("c-{name}-static"),
    });
    let source = |ending| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c").join(format!("{name}.{ending}"));
    let in_cxx = source("cpp").is_file();
    let mut cc = compiler(if in_cxx { CXX17 } else { C99 });
    cc.arg(source(if in_cxx { "cpp" } else { "c" })).args(["-x", "none"]);
    match link {
        Link::Dynamic => {
            let directory = library_directory();
            library("libsshpm.so");
            cc.arg(format!("-L{}", directory.display())).arg("-lsshpm");
            cc.arg(format!("-Wl,-rpath,{}", directory.display()));
        }
        Link::Static => {
            cc.arg(library("libsshpm.a")).args(NATIVE_LIBRARIES);
        }
    }
    if in_cxx {
        cc.arg("-lstdc++");
    }
    run({
        cc.arg("-o").arg(&program);
        cc
    });
    let mut command = Command::new(program);
    // cargo puts target/debug there, where an older library can be, and it goes before the program's rpath.
    command.env_remove("LD_LIBRARY_PATH");
    command
}

#[track_caller]
fn run_with_remote(name: &str, link: Link) {
    let mut program = compile(name, link);
    let remote = Remote::start();
    program.env("SSHPM_TEST_SSH_CONFIG", remote.ssh_config()).env("SSHPM_TEST_APP", remote.app());
    run(program);
    remote.assert_nothing_left();
}

#[test]
fn the_header_compiles_alone_as_c_and_as_cxx() {
    for language in [C99, CXX11] {
        let mut cc = compiler(language);
        cc.args(["-fsyntax-only", concat!(env!("CARGO_MANIFEST_DIR"), "/include/sshpm.h")]);
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
fn callbacks() {
    run_with_remote("callbacks", Link::Dynamic);
}

#[test]
fn bad_input() {
    run(compile("bad_input", Link::Dynamic));
}

#[test]
fn a_life_in_cxx() {
    run_with_remote("cpp_life", Link::Dynamic);
}

#[test]
fn a_life_in_cxx_with_the_static_library() {
    run_with_remote("cpp_life", Link::Static);
}

#[test]
fn callbacks_in_cxx() {
    run_with_remote("cpp_callbacks", Link::Dynamic);
}

#[test]
fn bad_input_in_cxx() {
    run(compile("cpp_bad_input", Link::Dynamic));
}

#[test]
fn the_library_exports_what_the_header_declares_and_nothing_else() {
    let mut nm = Command::new("nm");
    nm.args(["-D", "--defined-only", "--format=posix"]).arg(library("libsshpm.so"));
    let symbols = run(nm);
    let mut exported: Vec<&str> = symbols.lines().filter_map(|line| line.split(' ').next()).collect();
    let header = include_str!("../include/sshpm.h");
    // A declaration begins in the first column, and has its name right before the parenthesis.
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
