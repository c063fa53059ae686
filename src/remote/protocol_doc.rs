//! Holds docs/protocol.md to the code: each word that a script or the manager reads has one entry there, and no other
//! word has one.

use std::collections::BTreeSet;

use crate::remote::report::{NONCE_LENGTH, Piece, Scanner};

const DOCUMENT: &str = include_str!("../../docs/protocol.md");
const REPORT: &str = include_str!("report.rs");
const NONCE: &[u8; NONCE_LENGTH] = b"0123456789abcdef0123456789abcdef";

/// Words in capitals, and a value that each of them can stand for.
const VALUES: [(&str, &str); 20] = [
    ("BOOT", "4a-4b"),
    ("CODE", "3"),
    ("EXECUTED", "12.34"),
    ("HOW", "-"),
    ("ID", "1"),
    ("LEFT", "0"),
    ("NOW", "56.78"),
    ("NUMBER", "1"),
    ("OUTCOME", "ended"),
    ("PID", "4711"),
    ("PID...", "4711 4712"),
    ("RAN", "1"),
    ("REASON", "runtime"),
    ("SECONDS", "1700000000"),
    ("START", "123"),
    ("STATE", "left"),
    ("USER", "daq"),
    ("UUID", "readout-7"),
    ("WHAT", "metadata"),
    ("WHY", "missing"),
];

/// The part of a text between two others.
#[track_caller]
fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(begin).unwrap_or_else(|| panic!("no {begin:?}"));
    rest.split_once(end).unwrap_or_else(|| panic!("no {end:?} behind {begin:?}")).0
}

/// The forms of the entries that begin with this: those of the list itself, or those below an entry.
fn entries(section: &'static str, bullet: &str) -> Vec<&'static str> {
    section.lines().filter_map(|line| line.strip_prefix(bullet)?.split('`').next()).collect()
}

fn first_word(form: &str) -> &str {
    form.split(' ').next().unwrap_or_default()
}

/// The words of which each has one entry.
#[track_caller]
fn words_of(forms: &[&'static str]) -> BTreeSet<&'static str> {
    let words: BTreeSet<_> = forms.iter().map(|form| first_word(form)).collect();
    assert_eq!(words.len(), forms.len(), "a word has two entries: {forms:?}");
    words
}

/// The words that a shell's `case` has branches for, the first one behind this text.
#[track_caller]
fn branches(script: &'static str, begin: &str) -> BTreeSet<&'static str> {
    let lines = script.split_once(begin).unwrap_or_else(|| panic!("no {begin:?}")).1.lines();
    let lines = lines.map(str::trim_start).take_while(|line| *line != "esac");
    let is_pattern = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || b" |\"*".contains(&byte));
    let patterns = lines.filter_map(|line| Some(line.split_once(')')?.0).filter(|pattern| is_pattern(pattern)));
    let words = patterns.flat_map(|pattern| pattern.split('|')).map(|word| word.trim_matches([' ', '"', '*']));
    words.filter(|word| !word.is_empty()).collect()
}

/// All lines of a form, with a value for each word in capitals.
fn lines_of(form: &str) -> Vec<String> {
    if let Some((before, rest)) = form.split_once(['(', '[']) {
        let (inside, behind) = rest.split_once([')', ']']).expect("a closing bracket");
        let is_optional = form[before.len()..].starts_with('[');
        let choices = inside.split(" | ").chain(is_optional.then_some(""));
        return choices.flat_map(|choice| lines_of(&format!("{before}{choice}{behind}"))).collect();
    }
    let value = |word| VALUES.iter().find(|(name, _)| *name == word).map_or(word, |(_, value)| *value);
    let words: Vec<&str> = form.split(' ').map(value).collect();
    vec![words.join(" ")]
}

fn is_report(line: &str) -> bool {
    let mut is_report = false;
    let sent = [NONCE, b" ".as_slice(), line.as_bytes(), b"\n"].concat();
    Scanner::new(*NONCE).push(&sent, &mut |piece| is_report = matches!(piece, Piece::Report(_)));
    is_report
}

fn is_literal(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_lowercase())
}

fn reports() -> &'static str {
    between(DOCUMENT, "## Reports\n", "\n## ")
}

#[test]
fn each_report_has_one_entry() {
    let parser = between(REPORT, "fn parse_words", "\nfn ");
    let patterns = parser.lines().filter_map(|line| line.trim_start().strip_prefix("[\"")?.split('"').next());
    assert_eq!(words_of(&entries(reports(), "- `")), patterns.collect());
}

#[test]
fn each_word_of_a_report_is_described_and_each_form_is_a_report() {
    let forms = [entries(reports(), "- `"), entries(reports(), "  - `")].concat();
    let lines: Vec<_> = forms.iter().flat_map(|form| lines_of(form)).collect();
    for line in &lines {
        assert!(is_report(line), "{line:?} is no report");
    }
    let literals = forms.iter().flat_map(|form| form.split([' ', '(', ')', '[', ']'])).filter(|word| is_literal(word));
    let parsers = between(REPORT, "fn parse_words", "\nfn normalized");
    let parsed = parsers.split('"').skip(1).step_by(2).filter(|word| is_literal(word));
    assert_eq!(literals.collect::<BTreeSet<_>>(), parsed.collect());
}

#[test]
fn each_command_has_one_entry() {
    let read = [
        BTreeSet::from([between(include_str!("sh/wrapper.sh"), "[ \"$_command\" = ", " ]")]),
        branches(include_str!("sh/attend.sh"), "case $_command in"),
        branches(include_str!("sh/link.sh"), "case $_line in"),
        branches(include_str!("sh/connection.sh"), "case $_word in"),
    ];
    let section = between(DOCUMENT, "## Commands\n", "\n## ");
    assert_eq!(words_of(&entries(section, "- `")), read.into_iter().flatten().collect());
}

#[test]
fn each_line_between_a_link_and_its_wrapper_has_one_entry() {
    let section = between(DOCUMENT, "## Kept process\n", "\n### ");
    let (to_wrapper, to_link) = section.split_once("The link reads from STEM.l.LINK:\n").expect("two lists");
    let read = branches(include_str!("sh/keep.sh"), "_attend_to_links() {");
    assert_eq!(words_of(&entries(to_wrapper, "- `")), read);
    let link = include_str!("sh/link.sh");
    assert_eq!(words_of(&entries(to_link, "- `")), branches(link, "case $_word in"));
    let from_relay = entries(to_link, "  - `m ");
    assert_eq!(words_of(&from_relay), branches(link, "_obey() {"));
}
