//! The programs of tests/c: compiled against include/sshpm.h, and run against a private sshd.
// Each test program uses only a part of this file.
#![allow(dead_code)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{LOG, Remote, shorten_lines};

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");
pub const C99: &[&str] = &["-x", "c", "-std=c99", "-D_POSIX_C_SOURCE=200809L"];
pub const CXX11: &[&str] = &["-x", "c++", "-std=c++11"];
pub const CXX17: &[&str] = &["-x", "c++", "-std=c++17", "-Wshadow"];

/// The libraries that a program with the static library needs too, as rustc lists them. tests/c_api/install.rs compares
/// them.
pub const NATIVE_LIBRARIES: [&str; 6] = ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl"];

/// Returns where cargo has put the library that this test was built with. One directory up there can be an older one.
pub fn library_directory() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

pub fn library(name: &str) -> PathBuf {
    let file = library_directory().join(name);
    assert!(file.is_file(), "cargo has not built {}", file.display());
    file
}

/// Returns the directory for the files that the tests make.
pub fn scratch() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

pub fn compiler(language: &[&str]) -> Command {
    let mut cc = Command::new("cc");
    cc.args(["-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Werror", "-pthread"]);
    cc.arg(format!("-I{ROOT}/include")).args(language);
    cc
}

#[track_caller]
pub fn run(mut command: Command) -> String {
    let program = command.get_program().to_owned();
    crate::support::begin_clean(&mut command);
    let output = command.output().unwrap_or_else(|error| {
        panic!("{program:?} cannot be run ({error}); the C tests need it: apt-get install gcc g++ libc6-dev")
    });
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let said = shorten_lines(&format!("{stdout}{stderr}"), LOG);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    stdout.into_owned()
}

pub enum Link {
    Dynamic,
    Static,
    /// The program is linked with the libsshpm.so of this directory.
    DynamicIn(PathBuf),
    /// The program loads the library by itself.
    Not,
}

#[track_caller]
pub fn compile(name: &str, link: Link) -> Command {
    let variant = if matches!(link, Link::Static) { "static" } else { "" };
    Command::new(compile_as(name, variant, link, &[]))
}

/// Compiles tests/c/`name`.c, or .cpp, with more flags. `variant` makes the name of the program unique.
#[track_caller]
pub fn compile_as(name: &str, variant: &str, link: Link, flags: &[&str]) -> PathBuf {
    let program = scratch().join(format!("c-{name}-{variant}"));
    let source = |ending| Path::new(ROOT).join("tests/c").join(format!("{name}.{ending}"));
    let in_cxx = source("cpp").is_file();
    let mut cc = compiler(if in_cxx { CXX17 } else { C99 });
    cc.args(flags).arg(source(if in_cxx { "cpp" } else { "c" })).args(["-x", "none"]);
    let dynamic = |cc: &mut Command, directory: &Path| {
        cc.arg(format!("-L{}", directory.display())).arg("-lsshpm");
        // The old kind of rpath, which has precedence over LD_LIBRARY_PATH: cargo puts target/debug there, where an
        // older library can be.
        cc.arg("-Wl,--disable-new-dtags").arg(format!("-Wl,-rpath,{}", directory.display()));
    };
    match link {
        Link::Dynamic => {
            library("libsshpm.so");
            dynamic(&mut cc, &library_directory());
        }
        Link::DynamicIn(directory) => dynamic(&mut cc, &directory),
        Link::Static => {
            cc.arg(library("libsshpm.a")).args(NATIVE_LIBRARIES);
        }
        Link::Not => {
            cc.arg("-ldl");
        }
    }
    if in_cxx {
        cc.arg("-lstdc++");
    }
    cc.arg("-o").arg(&program);
    run(cc);
    program
}

/// Tells a program by its environment where its hosts are, what to start there, and which home directory to use here.
pub fn know(program: &mut Command, remote: &Remote) {
    let home = remote.dir().join("program");
    fs::create_dir_all(&home).unwrap();
    program.env("SSHPM_TEST_SSH_CONFIG", remote.ssh_config()).env("SSHPM_TEST_APP", remote.app());
    program.env("SSHPM_TEST_HOME", home);
}

#[track_caller]
pub fn run_with_remote(name: &str, link: Link) {
    run_command_with_remote(compile(name, link));
}

#[track_caller]
pub fn run_command_with_remote(mut program: Command) -> String {
    let remote = Remote::start();
    know(&mut program, &remote);
    let output = run(program);
    remote.assert_nothing_left();
    output
}

/// Returns the README's first block in this language behind this title.
pub fn readme_block(title: &str, language: &str) -> String {
    let readme = include_str!("../../README.md");
    let (_, section) = readme.split_once(&format!("\n## {title}\n")).expect("the README has such a section");
    let (_, rest) = section.split_once(&format!("```{language}\n")).expect("the README has such a block");
    rest.split_once("```").expect("the block ends").0.to_owned()
}

/// Runs the README's C program, which must start a process and end it.
#[track_caller]
pub fn run_readme_program(mut program: Command) {
    let remote = Remote::start();
    // The program uses the ssh that PATH finds: one that knows the private sshd.
    let bin = remote.dir().join("path");
    fs::create_dir(&bin).unwrap();
    let ssh = bin.join("ssh");
    let script = format!("#!/bin/sh\nexec /usr/bin/ssh -F '{}' \"$@\"\n", remote.ssh_config().display());
    fs::write(&ssh, script).unwrap();
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
    let json = serde_json::json!({"host": "alpha", "argv": [remote.app().to_str().unwrap(), "heartbeat", "1"]});
    program
        .arg(json.to_string())
        // cargo puts target/debug there, where an older library can be.
        .env_remove("LD_LIBRARY_PATH")
        // The getchar of the program returns at once. The application may not have its handlers by then.
        .stdin(Stdio::null())
        .env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()));
    let stdout = run(program);
    assert!(stdout.contains("ended by the manager through the remote pid; exit code "), "{stdout}");
    remote.assert_nothing_left();
}
