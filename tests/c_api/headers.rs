//! The headers as their users meet them: with each compiler and standard, as documentation, and side by side.

use std::ffi::CStr;
use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::c_header::{Function, HEADER, constants, function, functions};
use crate::support::skipped;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const CXX_HEADER: &str = include_str!("../../include/sshpm.hpp");

/// The name of the standard before it was finished. Later compilers know it too.
const CXX23: &str = "c++2b";

const WARNINGS: [&str; 6] = ["-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Wshadow", "-Werror"];

/// Runs a program with this input. Returns `None` when the program is not installed.
fn output_of(program: &str, arguments: &[&str], input: &str) -> Option<Output> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(ROOT).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().ok()?;
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Some(child.wait_with_output().unwrap())
}

#[track_caller]
fn assert_silent(what: &str, output: &Output) {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.trim().is_empty(), "{what}: {}\n{said}", output.status);
}

fn compile(compiler: &str, language: &str, standard: &str, more: &[&str], code: &str) -> Option<Output> {
    let standard = format!("-std={standard}");
    let arguments = [&["-x", language, &standard, "-Iinclude", "-fsyntax-only"], more, &["-"]].concat();
    output_of(compiler, &arguments, code)
}

/// Compiles a program that begins with the header and includes it twice. Reports compilers and standards that are
/// missing.
fn compiles_alone(header: &str, language: &str, compilers: [&str; 2], standards: &[&str], more: &[&str]) {
    let code = format!("#include \"{header}\"\n#include \"{header}\"\n");
    let options = [&WARNINGS[..], more].concat();
    for compiler in compilers {
        for standard in standards {
            // A compiler that does not know the standard cannot compile an empty program either.
            match compile(compiler, language, standard, &[], "") {
                None => {
                    skipped(&format!("{compiler} is not installed, so {header} is not compiled with it"));
                    break;
                }
                Some(nothing) if !nothing.status.success() => {
                    skipped(&format!("{compiler} does not know {standard}"));
                }
                Some(_) => {
                    let output = compile(compiler, language, standard, &options, &code).unwrap();
                    assert_silent(&format!("{compiler} {standard} {header}"), &output);
                }
            }
        }
    }
}

#[test]
fn the_header_compiles_as_every_c() {
    compiles_alone("sshpm.h", "c", ["gcc", "clang"], &["c99", "c11", "c17"], &["-Wstrict-prototypes"]);
}

#[test]
fn the_header_compiles_as_every_cxx() {
    let standards = ["c++11", "c++14", "c++17", "c++20", CXX23];
    compiles_alone("sshpm.h", "c++", ["g++", "clang++"], &standards, &["-Wold-style-cast"]);
}

#[test]
fn the_cxx_header_compiles_from_cxx17_on() {
    let standards = ["c++17", "c++20", CXX23];
    let more = ["-Wold-style-cast", "-Wnon-virtual-dtor", "-Woverloaded-virtual"];
    compiles_alone("sshpm.hpp", "c++", ["g++", "clang++"], &standards, &more);
}

/// Compiles the C++ tests with C++20, where their assertions about types are stricter.
#[test]
fn the_cxx_tests_compile_as_cxx20() {
    for compiler in ["g++", "clang++"] {
        for test in ["cpp_life", "cpp_callbacks", "cpp_bad_input", "cpp_keep", "cpp_launchers", "cpp_session"] {
            let code = format!("#include \"tests/c/{test}.cpp\"\n");
            match compile(compiler, "c++", "c++20", &[&WARNINGS[..], &["-I."]].concat(), &code) {
                Some(output) => assert_silent(&format!("{compiler} {test}"), &output),
                None => skipped(&format!("{compiler} is not installed, so {test} is not compiled with it")),
            }
        }
    }
}

#[test]
fn the_compilers_would_have_told() {
    let code = "#include \"sshpm.h\"\nint narrow(long wide);\nint narrow(long wide) { return wide; }\n";
    for (compiler, language, standard) in [("gcc", "c", "c99"), ("g++", "c++", "c++11"), ("clang", "c", "c99")] {
        if let Some(output) = compile(compiler, language, standard, &WARNINGS, code) {
            assert!(!output.status.success(), "{compiler} does not warn");
        }
    }
}

#[test]
fn what_cannot_be_right_does_not_compile() {
    let lines = [
        ("sshpm::manager copy(const sshpm::manager &m) { return m; }", "deleted"),
        ("void f(sshpm::manager &m) { for (auto &e : m.subscribe().within({})) { (void)e; } }", "deleted"),
        ("auto f(sshpm::manager &m, const sshpm::session &s) { return m.start_session(s).get_ended(); }", "deleted"),
        ("void f(const sshpm::manager &m) { m.detach(); }", "const"),
        ("void f(const sshpm::manager &m) { m.get_remote_pid(\"x\"); }", "nodiscard"),
        ("void f(sshpm::manager &m) { m.kill_all_processes(); }", "nodiscard"),
        ("void f(sshpm::manager &m) { m.kill_process(\"x\", 5); }", "timeout"),
        ("void f(sshpm::manager &m, const sshpm::options &o) { m = o; }", "operator="),
    ];
    for (line, reason) in lines {
        let code = format!("#include \"sshpm.hpp\"\n{line}\n");
        let output = compile("g++", "c++", "c++17", &["-Werror"], &code).expect("g++ runs; apt-get install g++");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(reason), "{line}: {said}");
    }
}

// ---- the versions ----

unsafe extern "C" {
    fn sshpm_version() -> *const std::ffi::c_char;
}

/// Returns the value of a macro of the header.
fn macro_value(name: &str) -> &'static str {
    let mut lines = HEADER.lines().filter_map(|line| line.strip_prefix("#define ")?.strip_prefix(name));
    let value = lines.find_map(|rest| rest.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("the header does not define {name}"))
}

#[test]
fn all_versions_are_that_of_the_package() {
    let manifest = fs::read_to_string(format!("{ROOT}/Cargo.toml")).unwrap();
    let version = manifest.lines().find_map(|line| line.strip_prefix("version = ")).unwrap().trim_matches('"');
    // The function is there only because the crate is linked.
    let _ = sshpm::Options::new();
    // SAFETY: it takes nothing, and gives static text.
    let of_library = unsafe { CStr::from_ptr(sshpm_version()) }.to_str().unwrap();
    assert_eq!(of_library, version);
    assert_eq!(macro_value("SSHPM_VERSION").trim_matches('"'), version);
    let parts = ["MAJOR", "MINOR", "PATCH"].map(|part| macro_value(&format!("SSHPM_VERSION_{part}")));
    assert_eq!(parts.join("."), version);
}

// ---- the documentation ----

/// Returns what the comment of a function lacks.
fn faults(function: &Function, names: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut expect = |fault: &str, holds: bool| {
        if !holds {
            faults.push(format!("{}: {fault}", function.name));
        }
    };
    let text = format!(" {}", function.comment.split(" @").next().unwrap());
    let begins = |with: &str| text.trim_start().starts_with(with);
    expect("what it does", !["Any thread", "One thread", "Does not block", "Blocks"].into_iter().any(begins));
    expect("the threads", text.contains(" Any thread") || text.contains(" One thread at a time"));
    expect("whether it blocks", text.contains(" Does not block") || text.contains(" Blocks "));
    for (kind, name) in &function.parameters {
        let about = function.tag(&format!("@param {name}")).unwrap_or_default();
        expect(&format!("what {name} is"), about.len() > 3);
        // A handle or a string that a function returns has an owner.
        if kind.ends_with("**") && name.starts_with("out_") {
            let free = about.split_once("to be freed with ").map(|(_, rest)| rest.split(['.', ',', ' ']).next());
            let frees = free.flatten().is_some_and(|free| names.iter().any(|name| name == free.trim()));
            expect(&format!("who owns {name}"), about.contains("the caller's") && frees);
        }
        if kind == "double" {
            expect(&format!("the default of {name}"), about.contains("SSHPM_TIMEOUT_DEFAULT"));
        }
    }
    let tags = function.comment.matches("@param ").count();
    expect("no parameters that are not there", tags == function.parameters.len());
    let result = function.tag("@return").unwrap_or_default();
    match function.gives.as_str() {
        "void" => expect("no result", result.is_empty()),
        "sshpm_result" => expect("the codes", result.contains("SSHPM_OK")),
        _ => expect("the result", result.len() > 5),
    }
    if function.gives.contains('*') {
        expect("whose the result is", ["which is ", "which are ", "Static"].iter().any(|s| result.contains(s)));
    }
    faults
}

#[test]
fn every_function_tells_what_users_must_know() {
    let functions = functions();
    let names: Vec<String> = functions.iter().map(|function| function.name.clone()).collect();
    assert!(names.len() > 100 && names.iter().all(|name| name.starts_with("sshpm_")), "{names:?}");
    let faults: Vec<String> = functions.iter().flat_map(|function| faults(function, &names)).collect();
    assert!(faults.is_empty(), "the documentation lacks:\n{}", faults.join("\n"));
}

#[test]
fn what_a_function_does_not_tell_is_found() {
    let text = "\n * Makes it.\n *\n * Any thread. Does not block.\n *\n * @param it The thing.\n * @param out_it Gets it. It is the \
                caller's, to be freed with sshpm_it_free.\n * @return SSHPM_OK.\n */\nsshpm_result sshpm_it(const char *it, \
                sshpm_it **out_it);";
    let names = ["sshpm_it_free".to_owned()];
    assert_eq!(faults(&function(text), &names), [""; 0]);
    let without =
        ["Makes it.", "Any thread. ", "Does not block.", "@param it The thing.", "the caller's", "SSHPM_OK", "_free"];
    for part in without {
        assert_ne!(faults(&function(&text.replacen(part, "", 1)), &names), [""; 0], "without {part}");
    }
}

#[test]
fn the_header_names_only_what_there_is() {
    for (name, several) in constants(HEADER).into_iter().chain(constants(CXX_HEADER)) {
        let is = |line: &str| {
            let defined = line.strip_prefix("#define ").and_then(|rest| rest.split(' ').next());
            defined.is_some_and(|defined| if several { defined.starts_with(name) } else { defined == name })
        };
        // The last one is a variable of the environment.
        let known = ["SSHPM_H", "SSHPM_HPP", "SSHPM_NOTIFY_FD"].contains(&name) || HEADER.lines().any(is);
        assert!(known, "{name} is named but not defined");
    }
}

#[test]
fn doxygen_has_nothing_to_complain_about() {
    let target = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let doxyfile = fs::read_to_string(format!("{ROOT}/Doxyfile")).unwrap();
    let doxyfile = format!("{doxyfile}\nOUTPUT_DIRECTORY = {}\n", target.path().display());
    let Some(both) = output_of("doxygen", &["-"], &doxyfile) else {
        return skipped("doxygen is not installed");
    };
    assert_silent("doxygen", &both);
    assert!(target.path().join("html/sshpm_8h.html").is_file(), "doxygen has written nothing");
    // In the C header, each parameter and each result must be documented, because it is the whole documentation.
    let strict = format!("{doxyfile}\nINPUT = include/sshpm.h\nWARN_NO_PARAMDOC = YES\nOPTIMIZE_OUTPUT_FOR_C = YES\n");
    assert_silent("doxygen, strict", &output_of("doxygen", &["-"], &strict).unwrap());
    // doxygen does complain where there is a reason.
    let undocumented = target.path().join("undocumented.h");
    fs::write(&undocumented, "/** @file */\n/** Does it. @param a Not b. */\nvoid f(int b);\nvoid g(void);\n").unwrap();
    let bad = format!("{strict}\nINPUT = {}\n", undocumented.display());
    assert!(!output_of("doxygen", &["-"], &bad).unwrap().status.success());
}

// ---- C++ beside C ----

/// Functions of C that C++ does not use, each with the reason.
const NOT_IN_CXX: [(&str, &str); 0] = [];

#[test]
fn cxx_has_every_function_of_c() {
    // Without comments, because they name functions too.
    let code: String =
        CXX_HEADER.split("/*").map(|part| part.split_once("*/").map_or(part, |(_, rest)| rest)).collect();
    let code: String = code.lines().map(|line| line.split("//").next().unwrap().to_owned() + "\n").collect();
    let words: Vec<&str> = code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect();
    for Function { name, .. } in functions() {
        let excused = NOT_IN_CXX.iter().any(|(not, _)| *not == name);
        assert!(
            words.contains(&name.as_str()) != excused,
            "{name}: used by sshpm.hpp or excused, not both and not none"
        );
    }
    // C++ must also have every constant that is a choice for such a function, or an answer of it.
    for line in HEADER.lines() {
        let Some(name) = line.strip_prefix("#define SSHPM_").and_then(|rest| rest.split(' ').next()) else { continue };
        let choices = ["LOG_", "HOST_KEY_", "KILL_SCOPE_", "LINK_LOSS_", "ON_FAILURE_", "RESTART_"];
        let answers = ["EXIT_SOURCE_", "STATE_", "EVENT_", "STREAM_", "FOUND_", "CLEAN_UP_", "BOOT_", "SESSION_"];
        let kinds = [&choices[..], &answers].concat();
        if kinds.iter().any(|kind| name.starts_with(kind)) {
            assert!(words.contains(&format!("SSHPM_{name}").as_str()), "SSHPM_{name} is not in sshpm.hpp");
        }
    }
}
