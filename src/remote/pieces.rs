//! The pieces of shell that scripts for hosts are made of.
//!
//! A piece is a file of functions, or of statements that use them. Its header says which pieces it `needs`, which it
//! `may use` where the script has them, and which parameters it `takes`: variables that are assigned before it runs.
//! `names.txt` describes the variables, which all pieces share.

use std::collections::BTreeSet;
use std::sync::LazyLock;

macro_rules! pieces {
    ($($name:literal)*) => { [$(Piece { name: $name, text: include_str!(concat!("sh/", $name, ".sh")) }),*] };
}

struct Piece {
    name: &'static str,
    text: &'static str,
}

static PIECES: [Piece; 28] = pieces!(
    "attach" "attend" "clean_up" "connection" "directories" "files" "find" "follow_log" "identity" "inquiry" "job"
    "keep" "lease" "link" "protocol" "read_log" "read_metadata" "reader" "ready" "relations" "run" "runtime" "short" "state_of"
    "tree" "validate" "wait" "wrapper"
);

/// The table of the variables' names: each line has a name, its kind and its meaning.
const NAMES: &str = include_str!("sh/names.txt");

/// The last part of the inner process's script.
pub(crate) const START: &str = include_str!("sh/start.sh");

/// The names of all variables, for `unset`. If the login environment exported one of them, the shell would export the
/// value that a script assigns: the nonce, for example.
pub(crate) static OURS: LazyLock<String> = LazyLock::new(|| {
    let names: Vec<_> = NAMES.lines().filter_map(|line| line.split(' ').next()).collect();
    names.join(" ")
});

fn piece(name: &str) -> &'static str {
    PIECES.iter().find(|piece| piece.name == name).unwrap_or_else(|| panic!("no piece of shell is named {name}")).text
}

/// Returns the pieces that the header of a text names behind these words.
fn named<'a>(text: &'a str, words: &str) -> impl Iterator<Item = &'a str> {
    let lines = text.lines().take_while(|line| line.starts_with('#'));
    lines.filter_map(move |line| line.strip_prefix("# ")?.strip_prefix(words)).flat_map(|names| names.split(' '))
}

/// Adds a piece behind all the pieces that it needs, each one once.
fn add_piece(name: &'static str, known: &mut BTreeSet<&'static str>, all: &mut String) {
    if known.insert(name) {
        let text = piece(name);
        for needed in named(text, "needs: ") {
            add_piece(needed, known, all);
        }
        all.push_str(text);
    }
}

/// Returns a piece behind all the pieces that it needs.
pub(crate) fn script_of(name: &'static str) -> String {
    addition(&[], name)
}

/// Returns the pieces that a script which is made of some pieces needs in addition, to use one more.
pub(crate) fn addition(to: &[&'static str], name: &'static str) -> String {
    let (mut known, mut all) = (BTreeSet::new(), String::new());
    to.iter().for_each(|there| add_piece(there, &mut known, &mut all));
    all.clear();
    add_piece(name, &mut known, &mut all);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All texts, with their names.
    fn texts() -> impl Iterator<Item = (&'static str, &'static str)> {
        PIECES.iter().map(|piece| (piece.name, piece.text)).chain([("start", START)])
    }

    fn code_of(text: &str) -> String {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        lines.flat_map(|line| [line, "\n"]).collect()
    }

    /// The words of a text that can name functions or variables. Those of the inner process begin with `_sshpm_`.
    fn words(text: &str) -> BTreeSet<&str> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.filter(|word| word.len() > 1 && word.starts_with('_') && !word.starts_with("_sshpm_")).collect()
    }

    /// The functions that a text defines, each with the lines of its comment.
    fn functions(text: &str) -> Vec<(&str, Vec<&str>)> {
        let mut comment = Vec::new();
        let mut all = Vec::new();
        for line in text.lines() {
            match line.split_once("() ") {
                _ if line.starts_with('#') => {
                    comment.push(line);
                    continue;
                }
                Some((name, "{" | "(")) if name.starts_with('_') => all.push((name, std::mem::take(&mut comment))),
                _ => comment.clear(),
            }
        }
        all
    }

    #[test]
    fn each_text_has_the_functions_that_it_uses() {
        let all: BTreeSet<_> = texts().flat_map(|(_, text)| functions(text)).map(|(name, _)| name).collect();
        let names: BTreeSet<_> = table().map(|(name, ..)| name).collect();
        for (name, text) in texts() {
            let (mut known, mut there) = (BTreeSet::new(), String::new());
            for piece in named(text, "needs: ").chain(named(text, "may use: ")) {
                add_piece(piece, &mut known, &mut there);
            }
            let defined: BTreeSet<_> =
                functions(&there).into_iter().chain(functions(text)).map(|(name, _)| name).collect();
            let code = code_of(text);
            // A name of a function and a variable does not say which of them is used.
            let missing: Vec<_> = words(&code)
                .into_iter()
                .filter(|word| all.contains(word) && !names.contains(word) && !defined.contains(word))
                .collect();
            assert!(missing.is_empty(), "{name}.sh needs the pieces with {missing:?}");
        }
    }

    #[test]
    fn each_function_says_what_it_does_sets_and_returns() {
        for (name, text) in texts() {
            for (function, comment) in functions(text) {
                assert!(comment.len() >= 3, "{name}.sh: {function} has {} lines of comment", comment.len());
                let says_what_it_returns = comment.iter().any(|line| line.starts_with("# Returns"));
                assert!(says_what_it_returns, "{name}.sh: {function} does not say what it returns");
                assert!(function.len() > 3, "{name}.sh: {function} is too short a name");
            }
        }
    }

    fn table() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        NAMES.lines().map(|line| {
            let mut parts = line.splitn(3, ' ');
            let mut part = || parts.next().unwrap_or_else(|| panic!("names.txt: {line:?} lacks a part"));
            (part(), part(), part())
        })
    }

    /// The parameters of a script are those that its texts take.
    #[test]
    fn each_text_takes_what_the_table_has_as_parameters() {
        let parameters: BTreeSet<_> =
            table().filter(|(_, kind, _)| *kind == "parameter").map(|(name, ..)| name).collect();
        let taken: BTreeSet<_> = texts().flat_map(|(_, text)| named(text, "takes: ")).collect();
        assert_eq!(taken, parameters);
    }

    #[test]
    fn the_table_has_each_variable_once_and_in_order() {
        let names: Vec<_> = table().map(|(name, ..)| name).collect();
        assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
        assert!(names.iter().all(|name| name.len() > 3), "{names:?}");
        assert!(table().all(|(_, kind, _)| ["parameter", "global", "result", "scratch"].contains(&kind)));

        let code: String = texts().map(|(_, text)| code_of(text)).collect();
        let functions: BTreeSet<_> = texts().flat_map(|(_, text)| functions(text)).map(|(name, _)| name).collect();
        let used = words(&code);
        let unknown: Vec<_> = used.iter().filter(|word| !names.contains(word) && !functions.contains(*word)).collect();
        assert!(unknown.is_empty(), "names.txt lacks {unknown:?}");
        let unused: Vec<_> = names.iter().filter(|name| !used.contains(*name)).collect();
        assert!(unused.is_empty(), "no script has {unused:?}");
    }

    #[test]
    fn the_parameters_of_the_table_are_those_that_rust_assigns() {
        let assigned: Vec<_> =
            include_str!("parameters.rs").lines().filter_map(|line| line.split('"').nth(1)).collect();
        let parameters: Vec<_> = table().filter(|(_, kind, _)| *kind == "parameter").map(|(name, ..)| name).collect();
        assert_eq!(assigned, parameters);
    }
}
