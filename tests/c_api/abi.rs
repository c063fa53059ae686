//! The ledgers of the ABI, abi/symbols.txt, abi/types.txt and abi/constants.txt: what a program relies on once it is
//! linked.
//!
//! `SSHPM_UPDATE_ABI=1 cargo test --test c_api abi` adds what is new, with the version of the package. The header must
//! be up to date by then. The update removes and changes nothing: to break the ABI on purpose, which needs a new
//! SONAME, edit the ledger.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use crate::c_header::{self, HEADER};
use crate::c_programs::*;

/// For each name: its value or its signature, and the version that it came with.
type Ledger = BTreeMap<String, (String, String)>;

/// Parses lines of `NAME VALUE… SINCE`. Lines that begin with # are for readers.
fn parse(text: &str) -> Ledger {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut ledger = Ledger::new();
    for line in lines {
        let (rest, since) = line.rsplit_once(' ').expect("a line has a version");
        let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
        let former = ledger.insert(name.to_owned(), (value.to_owned(), since.to_owned()));
        assert!(former.is_none(), "{name} is there twice");
    }
    ledger
}

fn write(comment: &str, ledger: &Ledger) -> String {
    let mut text = format!("# {comment}\n# tests/c_api/abi.rs holds the library to it, and says how to add to it.\n");
    for (name, (value, since)) in ledger {
        text += &[name.as_str(), value, since]
            .iter()
            .filter(|word| !word.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join(" ");
        text.push('\n');
    }
    text
}

/// Returns the ledger with what is new, or what has gone or changed as an error.
fn updated(ledger: &Ledger, now: &BTreeMap<String, String>, version: &str) -> Result<Ledger, Vec<String>> {
    let mut broken = Vec::new();
    for (name, (value, since)) in ledger {
        match now.get(name) {
            None => broken.push(format!("{name}, of {since}, has gone")),
            Some(other) if other != value => broken.push(format!("{name}, of {since}, was {value} and is {other}")),
            Some(_) => {}
        }
    }
    if !broken.is_empty() {
        return Err(broken);
    }
    let mut ledger = ledger.clone();
    for (name, value) in now {
        ledger.entry(name.clone()).or_insert_with(|| (value.clone(), version.to_owned()));
    }
    Ok(ledger)
}

#[track_caller]
fn assert_in_ledger(file: &str, comment: &str, now: &BTreeMap<String, String>) {
    let path = format!("{ROOT}/abi/{file}");
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let ledger = updated(&parse(&committed), now, env!("CARGO_PKG_VERSION"));
    let ledger = ledger.unwrap_or_else(|broken| {
        panic!("this breaks programs that were linked before; if that is meant, edit abi/{file}: {broken:#?}")
    });
    let text = write(comment, &ledger);
    if std::env::var_os("SSHPM_UPDATE_ABI").is_some() {
        fs::write(&path, &text).unwrap();
        return;
    }
    let is_new = |line: &&str| !committed.lines().any(|old| old == *line);
    let new: Vec<&str> = text.lines().filter(is_new).collect();
    assert!(committed == text, "abi/{file} has not: {new:#?}\nadd it: SSHPM_UPDATE_ABI=1 cargo test --test c_api abi");
}

#[test]
fn the_library_exports_the_symbols_of_the_ledger_and_nothing_else() {
    let mut nm = Command::new("nm");
    nm.args(["-D", "--defined-only", "--format=posix"]).arg(library("libsshpm.so"));
    let symbols = run(nm);
    let functions = c_header::functions();
    let signature = |line: &str| {
        let name = line.split(' ').next().unwrap();
        let function = functions.iter().find(|function| function.name == name);
        let signature = function.unwrap_or_else(|| panic!("{name} is exported and not in sshpm.h")).signature();
        (name.to_owned(), signature)
    };
    let now: BTreeMap<_, _> = symbols.lines().map(signature).collect();
    assert!(now.len() > 100, "{now:?}");
    assert_in_ledger(
        "symbols.txt",
        "What libsshpm.so exports: the symbol, what it takes and gives, and the version that it came with.",
        &now,
    );
}

#[test]
fn types_are_those_of_the_ledger() {
    let now: BTreeMap<_, _> = c_header::types().into_iter().collect();
    assert!(now.contains_key("sshpm_result") && now.contains_key("sshpm_exit_callback"), "{now:?}");
    assert_in_ledger(
        "types.txt",
        "The types of sshpm.h that are no handles: name, what it is, and the version that it came with.",
        &now,
    );
}

#[test]
fn constants_keep_the_values_of_the_ledger() {
    // The version may change.
    let defined = c_header::defined().into_iter().filter(|(name, _)| !name.starts_with("SSHPM_VERSION"));
    let now: BTreeMap<_, _> = defined.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert!(now.len() > 80, "{now:?}");
    assert_in_ledger(
        "constants.txt",
        "The constants of sshpm.h: name, value, and the version that it came with.",
        &now,
    );
}

/// Handles are names of structs that only the library knows. So no size, no field and no width of an enum can change.
#[test]
fn no_layout_is_part_of_the_abi() {
    for line in HEADER.lines().filter(|line| !line.trim_start().starts_with(['*', '/'])) {
        let words: Vec<&str> = line.split([' ', '(', ')', ',', ';', '*']).filter(|word| !word.is_empty()).collect();
        assert!(!words.contains(&"enum") && !words.contains(&"union"), "{line}");
        let opaque =
            line.starts_with("typedef struct ") && line.ends_with(';') && words.len() == 4 && words[2] == words[3];
        assert!(!words.contains(&"struct") || opaque, "{line}");
        // The only block of the header.
        assert!(!line.contains('{') || line == "extern \"C\" {", "{line}");
    }
}

#[test]
fn an_update_adds_and_does_nothing_else() {
    let map =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let ledger = parse("# readers\nA 1 0.1.0\nB -1.0 0.2.0\nc 0.1.0\n");
    assert_eq!(ledger["B"], ("-1.0".to_owned(), "0.2.0".to_owned()));
    assert_eq!(ledger["c"], (String::new(), "0.1.0".to_owned()));
    assert_eq!(parse(&write("x", &ledger)), ledger);
    let same = updated(&ledger, &map(&[("A", "1"), ("B", "-1.0"), ("c", "")]), "0.3.0").unwrap();
    assert_eq!(same, ledger);
    let more = updated(&ledger, &map(&[("A", "1"), ("B", "-1.0"), ("c", ""), ("D", "4")]), "0.3.0").unwrap();
    assert_eq!(write("x", &more).lines().nth(4), Some("D 4 0.3.0"));
    let gone = updated(&ledger, &map(&[("A", "1"), ("c", ""), ("D", "4")]), "0.3.0");
    assert_eq!(gone.unwrap_err(), ["B, of 0.2.0, has gone"]);
    let changed = updated(&ledger, &map(&[("A", "2"), ("B", "-1.0"), ("c", "")]), "0.3.0");
    assert_eq!(changed.unwrap_err(), ["A, of 0.1.0, was 1 and is 2"]);
}

/// Each change of a prototype changes its line in the ledger.
#[test]
fn a_signature_has_each_type_and_each_place() {
    let signature = |declaration: &str| c_header::function(&format!(" It. */\n{declaration}")).signature();
    let text = "sshpm_result sshpm_it(const char *a,\n                      const char *b,\n  double c);";
    assert_eq!(signature(text), "sshpm_result(const char *a, const char *b, double c)");
    assert_eq!(signature("const char *sshpm_it(void);"), "const char *(void)");
    for (from, to) in [("double", "float"), ("*a", "**a"), ("const char *b", "char *b"), ("*a", "*b"), ("result", "it")]
    {
        assert_ne!(signature(&text.replacen(from, to, 1)), signature(text), "{from} to {to}");
    }
    assert_ne!(signature(&text.replace(",\n  double c", "")), signature(text));
}
