//! The README's C and C++ programs, compiled and run as the README says.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Remote;

fn block(language: &str) -> String {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once(&format!("```{language}\n")).expect("the README has such a block");
    rest.split_once("```").expect("the block ends").0.to_owned()
}

/// Returns where cargo puts the libsshpm.so with which a test was built: beside the test.
fn library_directory() -> PathBuf {
    let test = std::env::current_exe().expect("the test knows its path");
    test.parent().expect("the test is in a directory").to_owned()
}

/// Compiles the README's program in this language.
fn compile(language: &str, compiler: &str, standard: &str, directory: &Path) -> Command {
    let program = directory.join("first");
    let source = program.with_extension(language);
    fs::write(&source, block(language)).unwrap();
    let library = library_directory();
    let compiled = Command::new(compiler)
        .args([standard, "-Wall", "-Wextra", "-pedantic", "-Werror"])
        .arg(&source)
        .arg(concat!("-I", env!("CARGO_MANIFEST_DIR"), "/include"))
        .arg(format!("-L{}", library.display()))
        .args(["-lsshpm", &format!("-Wl,-rpath,{}", library.display()), "-o"])
        .arg(&program)
        .status()
        .unwrap_or_else(|error| panic!("{compiler} cannot be run ({error}); apt-get install gcc g++ libc6-dev"));
    assert!(compiled.success());
    Command::new(program)
}

/// Runs the program to its end, and returns its stdout.
fn run(mut program: Command, remote: &Remote, directory: &Path) -> String {
    // The program uses the ssh that is in PATH: this one knows the private sshd.
    let ssh = directory.join("ssh");
    let script = format!("#!/bin/sh\nexec /usr/bin/ssh -F '{}' \"$@\"\n", remote.ssh_config().display());
    fs::write(&ssh, script).unwrap();
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
    let output = program
        // cargo adds target/debug to this variable, where an older library can be.
        .env_remove("LD_LIBRARY_PATH")
        // The program's getchar returns at once. The application may not have its handlers by then.
        .stdin(std::process::Stdio::null())
        .env("PATH", format!("{}:{}", directory.display(), std::env::var("PATH").unwrap()))
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    stdout.into_owned()
}

#[track_caller]
fn runs(language: &str, compiler: &str, standard: &str) -> String {
    let remote = Remote::start();
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut program = compile(language, compiler, standard, directory.path());
    let json = serde_json::json!({"host": "alpha", "argv": [remote.app().to_str().unwrap(), "heartbeat", "1"]});
    program.arg(json.to_string());
    let stdout = run(program, &remote, directory.path());
    remote.assert_nothing_left();
    stdout
}

#[test]
fn the_c_program_runs_and_ends_a_process() {
    let stdout = runs("c", "cc", "-std=c99");
    assert!(stdout.contains("ended by the manager through the remote pid; exit code "), "{stdout}");
}

#[test]
fn the_cxx_program_runs_and_ends_a_process() {
    let stdout = runs("cpp", "c++", "-std=c++17");
    assert!(stdout.starts_with("first: \nended by the manager through the remote pid\nfirst: "), "{stdout}");
}
