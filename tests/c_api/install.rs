//! install.sh: what it installs is complete and can be moved, and programs elsewhere find and link it as the README
//! says.

use crate::support;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::c_programs::*;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// As the README has it. install.sh has its own value.
fn soname() -> String {
    let (major, minor) = (env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"));
    if major == "0" { format!("libsshpm.so.0.{minor}") } else { format!("libsshpm.so.{major}") }
}

/// Returns a command without the variables that cargo has set for this test, as in its user's shell.
fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_remove("LD_LIBRARY_PATH").env_remove("PKG_CONFIG_PATH").env_remove("CARGO_ENCODED_RUSTFLAGS");
    command
}

fn install(arguments: &[&str]) {
    let mut install = command(&format!("{ROOT}/install.sh"));
    install.args(arguments);
    run(install);
}

/// The home directory of the README's example, with what its first line has installed there.
fn home() -> &'static Path {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| {
        let home = scratch().join("install-home");
        let _ = fs::remove_dir_all(&home);
        let line = readme_block("Installing and linking", "sh").lines().next().unwrap().to_owned();
        assert_eq!(line, "./install.sh PREFIX=$HOME/sshpm");
        install(&[&format!("PREFIX={}/sshpm", home.display())]);
        home
    })
}

/// Returns the files and links below a directory.
fn files(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut todo = vec![directory.to_owned()];
    while let Some(next) = todo.pop() {
        for entry in fs::read_dir(next).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                todo.push(entry.path());
            } else {
                found.insert(entry.path().strip_prefix(directory).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found
}

fn output_of(program: &str, arguments: &[&str]) -> String {
    let mut command = command(program);
    command.args(arguments);
    run(command)
}

fn is_here(tool: &str, package: &str) -> bool {
    let here = command(tool).arg("--version").output().is_ok();
    if !here {
        assert!(std::env::var_os("CI").is_none(), "no {tool}: apt-get install {package}");
        support::skipped(&format!("no {tool}"));
    }
    here
}

/// Makes a directory outside of the tree with the README's C program in it.
fn elsewhere() -> tempfile::TempDir {
    let directory = support::temporary_directory();
    assert!(!directory.path().starts_with(ROOT));
    fs::write(directory.path().join("first.c"), readme_block("From C", "c")).unwrap();
    directory
}

fn needed(program: &Path) -> String {
    output_of("readelf", &["-d", program.to_str().unwrap()])
}

#[test]
fn all_files_are_where_they_belong_and_go_again() {
    let root = tempfile::tempdir_in(scratch()).unwrap();
    let places = [
        &format!("DESTDIR={}", root.path().display()),
        "PREFIX=/opt/sshpm",
        "LIBDIR=/opt/sshpm/lib/multi-arch",
        "INCLUDEDIR=/opt/include",
    ];
    install(&places);
    let mut expected: BTreeSet<String> = [
        "opt/include/sshpm.h",
        "opt/sshpm/lib/multi-arch/cmake/sshpm/sshpm-config-version.cmake",
        "opt/sshpm/lib/multi-arch/cmake/sshpm/sshpm-config.cmake",
        "opt/sshpm/lib/multi-arch/libsshpm.a",
        "opt/sshpm/lib/multi-arch/libsshpm.so",
        "opt/sshpm/lib/multi-arch/pkgconfig/sshpm.pc",
    ]
    .map(str::to_owned)
    .into();
    expected.insert(format!("opt/sshpm/lib/multi-arch/{}", soname()));
    expected.insert(format!("opt/sshpm/lib/multi-arch/libsshpm.so.{VERSION}"));
    if Path::new(ROOT).join("include/sshpm.hpp").exists() {
        expected.insert("opt/include/sshpm.hpp".to_owned());
    }
    assert_eq!(files(root.path()), expected);
    let libraries = root.path().join("opt/sshpm/lib/multi-arch");
    assert_eq!(fs::read_link(libraries.join("libsshpm.so")).unwrap().to_str(), Some(soname().as_str()));
    let versioned = format!("libsshpm.so.{VERSION}");
    assert_eq!(fs::read_link(libraries.join(soname())).unwrap().to_str(), Some(versioned.as_str()));
    for text in ["pkgconfig/sshpm.pc", "cmake/sshpm/sshpm-config.cmake", "cmake/sshpm/sshpm-config-version.cmake"] {
        let content = fs::read_to_string(libraries.join(text)).unwrap();
        // The files do not say where they were made or installed either, so that they can be moved.
        assert!(!content.contains('@') && !content.contains("/opt") && !content.contains(ROOT), "{text}: {content}");
        assert!(content.contains(VERSION) && !content.contains("target/"), "{text}: {content}");
    }

    // They are used below DESTDIR, which is a move: /opt/sshpm does not exist.
    if is_here("pkg-config", "pkg-config") {
        let project = elsewhere();
        let mut cc = command("sh");
        cc.env("PKG_CONFIG_PATH", libraries.join("pkgconfig")).current_dir(project.path());
        run({
            cc.args(["-ec", "cc first.c $(pkg-config --cflags --libs sshpm) -o first"]);
            cc
        });
        let mut first = command(project.path().join("first").to_str().unwrap());
        first.env("LD_LIBRARY_PATH", &libraries);
        let output = first.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("JSON"), "{output:?}");
    }
    install(&[&["uninstall"], &places[..]].concat());
    assert_eq!(files(root.path()), BTreeSet::new());
}

/// cron and systemd start programs like this.
#[test]
fn it_installs_without_an_environment() {
    let place = elsewhere();
    let mut install = Command::new(format!("{ROOT}/install.sh"));
    let output = install.arg(format!("PREFIX={}", place.path().display())).env_clear().output().unwrap();
    if String::from_utf8_lossy(&output.stderr).contains("cargo is not installed") {
        return support::skipped("cargo is neither in the usual places nor in this user's home directory");
    }
    assert!(output.status.success(), "{output:?}");
    assert!(place.path().join("lib").join(soname()).exists());
}

#[test]
fn odd_places_are_refused() {
    for (argument, told) in [
        ("PREFIX=relative", "absolute"),
        ("LIBDIR=lib", "absolute"),
        ("PREFIX=/a b", "characters"),
        ("INCLUDEDIR=/a$b", "characters"),
        ("prefix=/usr", "PREFIX"),
    ] {
        let root = tempfile::tempdir_in(scratch()).unwrap();
        let mut install = command(&format!("{ROOT}/install.sh"));
        install.arg(format!("DESTDIR={}", root.path().display())).arg(argument);
        let output = install.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{argument}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(told), "{argument}: {output:?}");
        assert_eq!(files(root.path()), BTreeSet::new());
    }
}

#[test]
fn the_installed_library_has_its_soname_and_the_symbols_of_the_ledger() {
    let library = home().join("sshpm/lib/libsshpm.so");
    let library = library.to_str().unwrap();
    let dynamic = needed(Path::new(library));
    assert!(dynamic.contains(&format!("Library soname: [{}]", soname())), "{dynamic}");
    let symbols = output_of("nm", &["-D", "--defined-only", "--format=posix", library]);
    let exported: BTreeSet<&str> = symbols.lines().filter_map(|line| line.split(' ').next()).collect();
    let ledger = include_str!("../../abi/symbols.txt").lines().filter(|line| !line.starts_with('#'));
    assert_eq!(exported, ledger.filter_map(|line| line.split(' ').next()).collect());
}

#[test]
fn the_static_flags_are_those_that_rustc_names() {
    // An empty crate needs what Rust's std needs.
    let directory = tempfile::tempdir_in(scratch()).unwrap();
    let mut rustc = support::toolchain_command("rustc");
    rustc.env_remove("CARGO_ENCODED_RUSTFLAGS");
    rustc.args(["--crate-type=staticlib", "--crate-name=empty", "--print=native-static-libs", "-", "--out-dir"]);
    let output = rustc.arg(directory.path()).stdin(std::process::Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let named = said.lines().find_map(|line| line.split_once("native-static-libs: ")).unwrap().1.trim();
    let native: Vec<&str> = named.split(' ').filter(|library| *library != "-lc").collect();
    assert_eq!(native, NATIVE_LIBRARIES);
    // The compiler adds its own libraries, shared or static.
    let documented = native[1..].join(" ");
    assert_eq!(native[0], "-lgcc_s");
    let pc = fs::read_to_string(home().join("sshpm/lib/pkgconfig/sshpm.pc")).unwrap();
    assert!(pc.contains(&format!("\nLibs.private: {documented}\n")), "{pc}");
    assert!(readme_block("Installing and linking", "sh").contains(&format!("libsshpm.a {documented} ")));
}

#[test]
fn programs_are_linked_as_the_readme_says_with_pkg_config() {
    if !is_here("pkg-config", "pkg-config") {
        return;
    }
    let project = elsewhere();
    let block = readme_block("Installing and linking", "sh");
    let mut shell = command("sh");
    shell.env("HOME", home()).current_dir(project.path());
    run({
        shell.args(["-exc", block.split_once('\n').unwrap().1]);
        shell
    });
    for (name, shared) in [("first", true), ("first-with-a", false), ("first-static", false)] {
        let program = project.path().join(name);
        let dynamic = needed(&program);
        assert_eq!(dynamic.contains(&format!("Shared library: [{}]", soname())), shared, "{name}: {dynamic}");
        assert_eq!(dynamic.contains("Shared library"), name != "first-static", "{name}: {dynamic}");
        run_readme_program(command(program.to_str().unwrap()));
    }
}

#[test]
fn programs_are_linked_as_the_readme_says_with_cmake() {
    if !is_here("cmake", "cmake") {
        return;
    }
    let project = elsewhere();
    let block = readme_block("Installing and linking", "cmake");
    let both = format!(
        "cmake_minimum_required(VERSION 3.16)\nproject(elsewhere C)\n{block}\
         find_package(sshpm REQUIRED)\nadd_executable(first-static first.c)\n\
         target_link_libraries(first-static PRIVATE sshpm::sshpm_static)\n"
    );
    fs::write(project.path().join("CMakeLists.txt"), both).unwrap();
    let mut configure = command("cmake");
    configure.args(["-S", ".", "-B", "build"]).current_dir(project.path());
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}/sshpm", home().display()));
    run(configure);
    let mut build = command("cmake");
    run({
        build.args(["--build", "build"]).current_dir(project.path());
        build
    });
    for (name, shared) in [("first", true), ("first-static", false)] {
        let program = project.path().join("build").join(name);
        let dynamic = needed(&program);
        assert_eq!(dynamic.contains(&format!("Shared library: [{}]", soname())), shared, "{name}: {dynamic}");
        run_readme_program(command(program.to_str().unwrap()));
    }
}

#[test]
fn cmake_takes_the_versions_that_can_stand_for_each_other() {
    if !is_here("cmake", "cmake") {
        return;
    }
    let project = elsewhere();
    // All in one configuration, because each takes a while.
    let [major, minor, patch] = ["MAJOR", "MINOR", "PATCH"].map(|part| match part {
        "MAJOR" => env!("CARGO_PKG_VERSION_MAJOR").parse::<u32>().unwrap(),
        "MINOR" => env!("CARGO_PKG_VERSION_MINOR").parse().unwrap(),
        _ => env!("CARGO_PKG_VERSION_PATCH").parse().unwrap(),
    });
    let cases = [
        (format!("{major}"), true),
        (format!("{major}.{minor}"), true),
        (format!("{VERSION} EXACT"), true),
        (format!("{major}.{minor}.{}", patch + 1), false),
        (format!("{major}.{}", minor + 1), false),
        (format!("{}", major + 1), false),
        (format!("{major}.{minor}...{major}.{}", minor + 1), true),
        (format!("{major}.{}...{major}.{}", minor + 1, minor + 2), false),
        (format!("0...<{VERSION}"), false),
        // Below 1.0, another minor version is another interface.
        (format!("{major}.{}", minor - 1), major > 0),
    ];
    let mut script = "cmake_minimum_required(VERSION 3.19)\nproject(versions C)\n".to_owned();
    for (at, (version, _)) in cases.iter().enumerate() {
        script += &format!("unset(sshpm_DIR CACHE)\nfind_package(sshpm {version} QUIET)\n");
        script += &format!("message(\"case {at} ${{sshpm_FOUND}}\")\n");
    }
    fs::write(project.path().join("CMakeLists.txt"), script).unwrap();
    let mut configure = command("cmake");
    configure.args(["-S", ".", "-B", "build"]).current_dir(project.path());
    let output = configure.arg(format!("-DCMAKE_PREFIX_PATH={}/sshpm", home().display())).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    for (at, (version, found)) in cases.iter().enumerate() {
        let expected = format!("case {at} {}\n", if *found { 1 } else { 0 });
        assert!(said.contains(&expected), "find_package(sshpm {version}) should give {found}: {said}");
    }
}
