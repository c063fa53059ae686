//! All programs of tests/c, under checkers.
//!
//! - valgrind's memcheck: the whole process, with Rust's side. Leaks are errors. ssh and other children are not traced.
//! - AddressSanitizer and UBSan: the C side is instrumented. Their heap serves both sides, so they also find leaks and
//!   double frees of the library's handles. (LeakSanitizer needs ptrace, which most containers allow.)
//! - ThreadSanitizer: the C side, and the library with its crates in a separate build, but not Rust's std. helgrind is
//!   not used: it knows only the locks of pthread, and takes each atomic and futex of Rust's for a race.
//!
//! Suppressions are in tests/c/*.supp, each with its reason. Each checker must find the faults of tests/c/faults.c by
//! the same command line, and each run must show that its checker was on.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock};

use crate::c_programs::*;
use crate::support::{self, Remote, toolchain_command};

/// Reports that a checker is missing. In continuous integration that is a failure, because everything has to run there.
fn missing(checker: &str, reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "{checker}: {reason}");
    support::skipped(&format!("{checker}: {reason}"));
}

struct Checker {
    /// Returns the command that runs a program of tests/c.
    command: fn(&str) -> Command,
    /// What it writes to stderr when it is on, whatever it finds.
    banner: &'static str,
    /// Programs that cannot run under it.
    not_for: &'static [&'static str],
}

/// With these options, each sanitizer reports that it is on.
const VERBOSE: &str = "verbosity=1";

/// Where memory is slow, less of it is used.
const SMALL: &str = "-DTOUCHED=((size_t)64<<20)";

const MEMCHECK: Checker = Checker {
    command: |name| {
        let program = compile_as(name, "memcheck", Link::Dynamic, &["-g", SMALL]);
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=memcheck", "--error-exitcode=99", "--leak-check=full", "--trace-children=no"]);
        // A fork that calls no exec is no other program, so its leaks do not count.
        valgrind.args(["--errors-for-leak-kinds=definite,indirect,possible", "--child-silent-after-fork=yes"]);
        valgrind.arg(format!("--suppressions={ROOT}/tests/c/memcheck.supp")).arg(program);
        valgrind
    },
    banner: "Memcheck, a memory error detector",
    // In these programs a program is missing. Under valgrind, a child of posix_spawn shares no memory with its parent,
    // and cannot report that to it.
    not_for: &["codes", "codes_of_ends", "codes_of_keep", "codes_of_launchers"],
};

const SANITIZERS: Checker = Checker {
    command: |name| {
        let flags = ["-g", SMALL, "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
        let mut program = Command::new(compile_as(name, "sanitizers", Link::Dynamic, &flags));
        // Rust's code has no frame pointers, which fast stack traces need.
        program.env("ASAN_OPTIONS", format!("{VERBOSE}:detect_leaks=1:fast_unwind_on_malloc=0:exitcode=99"));
        program
    },
    banner: "AddressSanitizer Init done",
    not_for: &[],
};

const THREAD_SANITIZER: Checker = Checker {
    command: |name| {
        let directory = library_with_thread_sanitizer().unwrap();
        let shim = format!("{ROOT}/tests/c/tsan.c");
        let flags = ["-g", SMALL, "-fsanitize=thread", &shim];
        let mut program = Command::new(compile_as(name, "tsan", Link::DynamicIn(directory), &flags));
        // The sanitizer also reports threads that nobody joins, unless they are detached. Freeing a manager detaches
        // watchers that do not end in its 5 s.
        let options = format!("{VERBOSE}:exitcode=99:suppressions={ROOT}/tests/c/tsan.supp");
        program.env("TSAN_OPTIONS", options);
        program
    },
    banner: "Running under ThreadSanitizer",
    not_for: &[],
};

/// Builds a library that ThreadSanitizer can check. Returns an error where the toolchain cannot do that.
///
/// Sanitizers are not stable in Rust, so the build sets the variable that allows such options. The compiled standard
/// library comes without the sanitizer. That mix must be allowed too; it is sound, because this sanitizer changes no
/// layout and no call.
fn library_with_thread_sanitizer() -> Result<PathBuf, String> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let build = || {
        let rustc = toolchain_command("rustc").arg("-vV").output().map_err(|error| error.to_string())?;
        let version = String::from_utf8_lossy(&rustc.stdout).into_owned();
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("no host in rustc -vV")?;
        let target = scratch().join("thread-sanitizer");
        let mut cargo = toolchain_command("cargo");
        // With --target, programs that run during the build are built without the sanitizer.
        cargo
            .args(["build", "--package", "sshpm", "--lib", "--quiet", "--target", host, "--target-dir"])
            .arg(&target)
            .current_dir(ROOT);
        cargo.env("RUSTC_BOOTSTRAP", "1").env_remove("CARGO_ENCODED_RUSTFLAGS");
        cargo.env("RUSTFLAGS", "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer");
        let output = cargo.output().map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&output.stderr);
        output.status.success().then(|| target.join(host).join("debug")).ok_or_else(|| said.into_owned())
    };
    BUILT.get_or_init(build).clone()
}

fn has_valgrind() -> bool {
    let works = Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success());
    if !works {
        missing("memcheck", "valgrind is not installed");
    }
    works
}

fn has_thread_sanitizer() -> bool {
    if let Err(reason) = library_with_thread_sanitizer() {
        missing("ThreadSanitizer", &reason);
        return false;
    }
    true
}

/// Programs in which a checker could find something.
fn programs() -> Vec<String> {
    let name = |path: PathBuf| {
        let is_program = path.extension().is_some_and(|end| end == "c" || end == "cpp");
        is_program.then(|| path.file_stem().unwrap().to_string_lossy().into_owned())
    };
    let files = fs::read_dir(format!("{ROOT}/tests/c")).unwrap().flatten().map(|entry| entry.path());
    // The first two are no programs of their own. The others leave memory to the kernel, or unload what a stack trace
    // would name.
    let others = ["faults", "tsan", "leaves", "unload"];
    let mut names: Vec<String> = files.filter_map(name).filter(|name| !others.contains(&name.as_str())).collect();
    names.sort();
    assert!(names.len() >= 6, "{names:?}");
    names
}

impl Checker {
    /// Runs one program at a time: they are slow, and their children have deadlines.
    fn output(&self, mut command: Command) -> (Output, String) {
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        support::begin_clean(&mut command);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(self.banner), "{command:?}: the checker was not on\n{said}");
        (output, said)
    }

    #[track_caller]
    fn finds_nothing(&self) {
        for name in programs().into_iter().filter(|name| !self.not_for.contains(&name.as_str())) {
            let mut command = (self.command)(&name);
            let remote = Remote::start();
            know(&mut command, &remote);
            let (output, said) = self.output(command);
            assert!(output.status.success(), "{name}: {}\n{said}", output.status);
            remote.assert_nothing_left();
        }
    }

    #[track_caller]
    fn finds(&self, fault: &str, texts: &[&str]) {
        let mut command = (self.command)("faults");
        command.arg(fault);
        let (output, said) = self.output(command);
        assert!(!output.status.success(), "{fault} was not found\n{said}");
        assert!(texts.iter().all(|text| said.contains(text)), "{fault}: not found as {texts:?}\n{said}");
    }

    /// Asserts that the checker's command reports nothing for a program without a fault.
    #[track_caller]
    fn passes_without_a_fault(&self) {
        let (output, said) = self.output((self.command)("faults"));
        assert!(output.status.success(), "{}\n{said}", output.status);
    }
}

#[test]
fn memcheck_finds_faults() {
    if has_valgrind() {
        MEMCHECK.passes_without_a_fault();
        MEMCHECK.finds("leak", &["definitely lost", "sshpm_options_new"]);
        MEMCHECK.finds("overrun", &["Invalid write of size 1", "faults.c"]);
    }
}

#[test]
fn memcheck_finds_nothing_in_the_c_programs() {
    if has_valgrind() {
        MEMCHECK.finds_nothing();
    }
}

#[test]
fn sanitizers_find_faults() {
    SANITIZERS.passes_without_a_fault();
    SANITIZERS.finds("leak", &["LeakSanitizer: detected memory leaks", "sshpm_options_new"]);
    SANITIZERS.finds("overrun", &["heap-buffer-overflow", "faults.c"]);
    SANITIZERS.finds("undefined", &["signed integer overflow", "faults.c"]);
}

#[test]
fn sanitizers_find_nothing_in_the_c_programs() {
    SANITIZERS.finds_nothing();
}

#[test]
fn thread_sanitizer_finds_faults() {
    if has_thread_sanitizer() {
        THREAD_SANITIZER.passes_without_a_fault();
        THREAD_SANITIZER.finds("race", &["data race", "write_shared"]);
        THREAD_SANITIZER.finds("thread", &["thread leak", "faults.c"]);
        THREAD_SANITIZER.finds("race in the library", &["data race", "sshpm_options_set_output_limit"]);
    }
}

#[test]
fn thread_sanitizer_finds_nothing_in_the_c_programs() {
    if has_thread_sanitizer() {
        THREAD_SANITIZER.finds_nothing();
    }
}
