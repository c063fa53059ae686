//! The README's C program, compiled and run as the README says.
#![allow(clippy::unwrap_used)]

mod c_programs;
mod support;

use std::fs;
use std::process::Command;

use c_programs::*;

#[test]
fn the_c_program_runs_and_ends_a_process() {
    let directory = tempfile::tempdir_in(scratch()).unwrap();
    let program = directory.path().join("first");
    let source = program.with_extension("c");
    fs::write(&source, readme_block("From C", "c")).unwrap();
    let library = library_directory();
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror"])
        .arg(&source)
        .arg(format!("-I{ROOT}/include"))
        .arg(format!("-L{}", library.display()))
        .args(["-lsshpm", &format!("-Wl,-rpath,{}", library.display()), "-o"])
        .arg(&program);
    run(cc);
    run_readme_program(Command::new(&program));
}
