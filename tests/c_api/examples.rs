//! The examples and their scripts where little is available: no standard streams, no room on the disk, no environment.

use crate::support;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::c_programs::*;

const EXAMPLES: [&str; 5] =
    ["boot_session.c", "cpp_run_control.cpp", "crash_and_restart.c", "event_loop.c", "recover.c"];

/// Compiles an example.
#[track_caller]
fn example(source: &str) -> PathBuf {
    let in_cxx = source.ends_with(".cpp");
    let program = scratch().join(format!("example-{source}.program"));
    let mut cc = Command::new(if in_cxx { "c++" } else { "cc" });
    cc.arg(if in_cxx { "-std=c++17" } else { "-std=c99" }).args(["-Wall", "-Wextra", "-Werror"]);
    cc.arg(format!("-I{ROOT}/include")).arg(format!("{ROOT}/examples-c/{source}"));
    library("libsshpm.so");
    let directory = library_directory();
    cc.arg(format!("-L{}", directory.display())).arg(format!("-Wl,--disable-new-dtags,-rpath,{}", directory.display()));
    run({
        cc.args(["-lsshpm", "-lpthread", "-o"]).arg(&program);
        cc
    });
    program
}

/// Makes a session whose processes end by themselves or when asked to, and a home directory for it.
fn session() -> (tempfile::TempDir, Vec<PathBuf>) {
    let home = support::temporary_directory();
    let sessions = ["terminate", "keep"].map(|link_loss| {
        let file = home.path().join(format!("{link_loss}.json"));
        let json = format!(
            r#"[{{"name": "sleeper", "session": "s", "host": "h", "argv": ["sleep", "1000"], "link_loss": "{link_loss}"}}]"#
        );
        fs::write(&file, json).unwrap();
        file
    });
    (home, sessions.into())
}

/// Runs an example to its end. Its session ends soon after it has begun.
#[track_caller]
fn run_example(mut command: Command, source: &str, home: &Path, sessions: &[PathBuf]) -> Output {
    command.env("HOME", home).env("XDG_RUNTIME_DIR", home).env("XDG_STATE_HOME", home.join("state"));
    command.arg("--local").args(if source == "crash_and_restart.c" { ["--times", "1"] } else { ["--seconds", "1"] });
    command.arg(&sessions[usize::from(source == "recover.c")]);
    command.output().unwrap()
}

#[test]
fn output_that_cannot_be_written_is_told() {
    let (home, sessions) = session();
    for source in EXAMPLES {
        let program = example(source);
        let good = run_example(Command::new(&program), source, home.path(), &sessions);
        assert!(good.status.success() && good.stderr.is_empty(), "{source}: {good:?}");

        let mut full = Command::new("sh");
        full.args(["-c", r#""$0" "$@" >/dev/full"#]).arg(&program);
        let full = run_example(full, source, home.path(), &sessions);
        assert!(!full.status.success(), "{source}: {full:?}");
        assert!(String::from_utf8_lossy(&full.stderr).contains("stdout"), "{source}: {full:?}");

        // Only the exit code can report a failure.
        let mut closed = Command::new("sh");
        closed.args(["-c", r#""$0" "$@" <&- >&- 2>&-"#]).arg(&program);
        let closed = run_example(closed, source, home.path(), &sessions);
        assert!(matches!(closed.status.code(), Some(1 | 2)), "{source}: {closed:?}");
    }
}

/// cron and systemd start programs like this.
#[test]
fn scripts_find_cargo_without_an_environment() {
    let script = r#"set -euo pipefail; target=none; source examples-c/common.sh; find_cargo; cargo --version; env"#;
    let output = Command::new("bash").args(["-c", script]).current_dir(ROOT).env_clear().output().unwrap();
    if String::from_utf8_lossy(&output.stderr).contains("cargo is not installed") {
        return support::skipped("cargo is neither in the usual places nor in this user's home directory");
    }
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.starts_with("cargo ") && said.contains("\nPATH="), "{output:?}");
}
