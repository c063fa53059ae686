//! All of the Rust API is in the C ABI, and all of the C ABI is in the Rust API. abi/rust_to_c.txt lists what
//! corresponds.
//!
//! `SSHPM_UPDATE_ABI=1 cargo test --test c_api rust_and_c` adds a line with a ? for each new name, and removes names
//! that have gone. Write the C functions, or a reason, in the place of each ? behind an item of Rust, and run the
//! command once more: it removes the lines of the C functions that were written. The test fails until no ? is left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::{c_header, rust_api};

const LEDGER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/abi/rust_to_c.txt");

const COMMENT: &str = "\
# What is what in Rust and in C: each public item of the crate, with the functions or constants of sshpm.h that do it in C.
# `not in C: REASON` and, behind the items, `NAME = not in Rust: REASON` are for what one of the two does not need.
# tests/c_api/rust_and_c.rs holds both to it, and says how to add to it.
";

const NOT_IN_C: &str = "not in C: ";
const NOT_IN_RUST: &str = "not in Rust: ";

/// For each item of Rust, and each name of C that stands alone: what follows its `=`.
type Ledger = BTreeMap<String, String>;

fn parse(text: &str) -> Ledger {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let pairs = lines.map(|line| line.split_once(" = ").unwrap_or_else(|| panic!("no ` = ` in {line:?}")));
    let mut ledger = Ledger::new();
    for (name, what) in pairs {
        let former = ledger.insert(name.to_owned(), what.to_owned());
        assert!(former.is_none(), "{name} is there twice");
    }
    ledger
}

fn write(ledger: &Ledger) -> String {
    let line = |(name, what): (&String, &String)| format!("{name} = {what}\n");
    let (alone, items): (Vec<_>, Vec<_>) = ledger.iter().partition(|(name, _)| is_c(name));
    COMMENT.to_owned() + &items.into_iter().chain(alone).map(line).collect::<String>()
}

fn is_c(name: &str) -> bool {
    name.starts_with("sshpm_") || name.starts_with("SSHPM_")
}

/// Returns what is wrong with the ledger or missing from it.
fn faults(ledger: &Ledger, rust: &BTreeSet<String>, c: &BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut named = BTreeSet::new();
    for (name, what) in ledger {
        let is_there = if is_c(name) { c.contains(name) } else { rust.contains(name) };
        if !is_there {
            faults.push(format!("{name} has gone"));
        }
        let reason = what.strip_prefix(if is_c(name) { NOT_IN_RUST } else { NOT_IN_C });
        match reason {
            Some(reason) if reason.len() > 10 => named.extend(is_c(name).then(|| name.clone())),
            Some(_) => faults.push(format!("{name} has no reason")),
            None if what == "?" || is_c(name) => faults.push(format!("{name} is not told what it is in the other one")),
            None => {
                for function in what.split(' ') {
                    if !c.contains(function) {
                        faults.push(format!("{name} is {function} in C, which is not there"));
                    }
                    named.insert(function.to_owned());
                }
            }
        }
    }
    faults.extend(
        rust.iter().filter(|item| !ledger.contains_key(*item)).map(|item| format!("{item} of Rust is missing")),
    );
    faults.extend(c.difference(&named).map(|name| format!("{name} of C is missing")));
    faults
}

/// Returns the names that programs can use: functions, types, and constants without those of the version.
fn c_names() -> BTreeSet<String> {
    let functions = c_header::functions().into_iter().map(|function| function.name);
    let constants = c_header::defined().into_iter().map(|(name, _)| name.to_owned());
    let types = c_header::types().into_iter().map(|(name, _)| name).chain(c_header::handles());
    functions.chain(types).chain(constants.filter(|name| !name.starts_with("SSHPM_VERSION"))).collect()
}

/// Returns the ledger with a ? for each new name, and without names that have gone. A name of C that stands alone with
/// a ? goes when an item of Rust names it.
fn updated(mut ledger: Ledger, rust: &BTreeSet<String>, c: &BTreeSet<String>) -> Ledger {
    ledger.retain(|name, what| if is_c(name) { c.contains(name) && what != "?" } else { rust.contains(name) });
    for item in rust {
        ledger.entry(item.clone()).or_insert_with(|| "?".to_owned());
    }
    let named: BTreeSet<String> = ledger.values().flat_map(|what| what.split(' ')).map(str::to_owned).collect();
    for name in c.difference(&named) {
        ledger.entry(name.clone()).or_insert_with(|| "?".to_owned());
    }
    ledger
}

#[test]
fn all_of_the_rust_api_is_in_c_and_all_of_c_in_rust() {
    let (rust, c) = (rust_api::items(), c_names());
    assert!(rust.len() > 200 && c.len() > 200, "{} and {}", rust.len(), c.len());
    let mut committed = fs::read_to_string(LEDGER).unwrap_or_default();
    if std::env::var_os("SSHPM_UPDATE_ABI").is_some() {
        committed = write(&updated(parse(&committed), &rust, &c));
        fs::write(LEDGER, &committed).unwrap();
    }
    let ledger = parse(&committed);
    let faults = faults(&ledger, &rust, &c);
    assert!(
        faults.is_empty(),
        "abi/rust_to_c.txt: {faults:#?}\nSSHPM_UPDATE_ABI=1 cargo test --test c_api rust_and_c writes the lines to fill in"
    );
    assert!(committed == write(&ledger), "abi/rust_to_c.txt is not sorted");
}

/// Functions that no body of a behaviour test needs, so tests/through_c/api does not call them. C programs do.
const NOT_IN_BODIES: [&str; 13] = [
    "sshpm_boot_request_get_host",
    "sshpm_boot_request_get_name",
    "sshpm_boot_request_get_role",
    "sshpm_boot_request_get_session",
    "sshpm_boot_request_get_user",
    "sshpm_boot_request_list_get",
    "sshpm_role_from_tree_id",
    "sshpm_set_log_callback",
    "sshpm_signal_from_name",
    "sshpm_signal_to_name",
    "sshpm_strerror",
    "sshpm_subscription_wake",
    "sshpm_version",
];

#[test]
fn the_behaviour_tests_go_through_all_other_functions_of_c() {
    let api = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/through_c/api")).unwrap().flatten();
    let texts = api.filter(|entry| entry.path().is_file()).map(|entry| fs::read_to_string(entry.path()).unwrap());
    let code: String = texts.collect();
    let words: BTreeSet<&str> = code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect();
    for function in c_header::functions() {
        let (called, excused) =
            (words.contains(function.name.as_str()), NOT_IN_BODIES.contains(&function.name.as_str()));
        assert!(
            called != excused,
            "{}: called by tests/through_c/api or excused, not both and not none",
            function.name
        );
    }
}

#[test]
fn what_is_new_or_gone_is_found() {
    let set = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<BTreeSet<_>>();
    let (rust, c) = (set(&["A::a", "A::b", "A: Drop"]), set(&["sshpm_a", "sshpm_b", "sshpm_free", "SSHPM_X"]));
    let text = "A::a = sshpm_a SSHPM_X\nA::b = sshpm_b\nA: Drop = sshpm_free\n";
    assert_eq!(faults(&parse(text), &rust, &c), [""; 0]);
    let excused = "A::a = sshpm_a SSHPM_X\nA::b = not in C: C has no such thing\nA: Drop = sshpm_free\n\
                   sshpm_b = not in Rust: only C needs it\n";
    assert_eq!(faults(&parse(excused), &rust, &c), [""; 0]);
    for (change, fault) in [
        (text.replace("A::b = sshpm_b\n", ""), "A::b of Rust is missing"),
        (text.replace("A::b = sshpm_b\n", ""), "sshpm_b of C is missing"),
        (text.replace("= sshpm_b", "= sshpm_c"), "A::b is sshpm_c in C, which is not there"),
        (text.replace("= sshpm_b", "= ?"), "A::b is not told what it is in the other one"),
        (text.replace("= sshpm_b", "= not in C: "), "A::b has no reason"),
        (format!("{text}A::c = sshpm_a\n"), "A::c has gone"),
        (format!("{text}sshpm_c = not in Rust: only C needs it\n"), "sshpm_c has gone"),
        (text.replace(" SSHPM_X", ""), "SSHPM_X of C is missing"),
    ] {
        assert!(faults(&parse(&change), &rust, &c).contains(&fault.to_owned()), "{fault}: {change}");
    }
    let new = updated(parse("A::a = sshpm_a SSHPM_X\nA::gone = sshpm_free\n"), &rust, &c);
    assert_eq!(
        write(&new),
        format!("{COMMENT}A: Drop = ?\nA::a = sshpm_a SSHPM_X\nA::b = ?\nsshpm_b = ?\nsshpm_free = ?\n")
    );
    let filled = write(&new).replace("A::b = ?", "A::b = sshpm_b").replace("A: Drop = ?", "A: Drop = sshpm_free");
    assert_eq!(faults(&updated(parse(&filled), &rust, &c), &rust, &c), [""; 0]);
}

#[test]
fn every_kind_of_public_item_is_seen() {
    let parse = |text: &str| syn::parse_file(text).unwrap().items;
    let root = parse("mod a; pub use a::{E, I, S, f, C, T}; #[cfg(doctest)] struct Readme;");
    let module = "#[derive(Debug, Default)] pub struct S { pub seen: i32, hidden: i32 }
        impl S { pub fn new() -> S {} fn own() {} pub(crate) fn ours() {} pub const ONE: i32 = 1; }
        impl Drop for S {} impl From<time::Duration> for S {} impl From<Own> for S {} impl fmt::Debug for S {} trait Ours {} impl Ours for S {} impl<'de> Deserialize<'de> for S {}
        #[derive(Clone, Serialize)] pub enum E { One, Two { field: i32 } }
        pub fn f() {} pub const C: i32 = 1; pub type T = i32; fn own() {} pub struct Own;
        #[cfg(test)] mod tests { fn test() {} }";
    let other = "struct S; impl S { pub fn other() {} } use crate::E; impl E { pub fn more() {} }";
    let inner = "pub struct I; impl I { pub fn deep() {} }";
    let modules = [("a", module), ("a::inner", inner), ("b", other)].map(|(name, text)| (name.to_owned(), parse(text)));
    let items = rust_api::items_of(&root, &BTreeMap::from(modules));
    let expected = [
        "C",
        "E: Serialize",
        "E::One",
        "E::Two",
        "E::more",
        "I",
        "I::deep",
        "S",
        "S: Default",
        "S: Deserialize",
        "S: Drop",
        "S: From<time::Duration>",
        "S::ONE",
        "S::new",
        "S::seen",
        "T",
        "f",
    ];
    assert_eq!(items.into_iter().collect::<Vec<_>>(), expected);
}
