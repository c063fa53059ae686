//! include/sshpm.h as a program reads it: its functions with their documentation, its constants and its types.
// Each test program uses its own part of this.
#![allow(dead_code)]

pub const HEADER: &str = include_str!("../../include/sshpm.h");

/// A function of sshpm.h: what stands above it, and what it is.
pub struct Function {
    pub comment: String,
    pub gives: String,
    pub name: String,
    /// Types and names.
    pub parameters: Vec<(String, String)>,
}

pub fn functions() -> Vec<Function> {
    let (_, declarations) = HEADER.split_once("extern \"C\" {").unwrap();
    declarations.split("/**").skip(1).map(function).collect()
}

/// One function from the text behind its comment's beginning.
pub fn function(text: &str) -> Function {
    let (comment, code) = text.split_once("*/").unwrap();
    // One line, without what stands before each line of a comment.
    let comment = comment.lines().map(|line| line.trim().trim_start_matches('*').trim());
    let comment = comment.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let (declaration, _) = code.split_once(';').unwrap();
    let declaration = one_line(declaration);
    let (head, parameters) = declaration.split_once('(').unwrap();
    // The type, and the name behind it.
    let split = |text: &str| {
        let name = text.rsplit([' ', '*']).next().unwrap();
        (text[..text.len() - name.len()].trim().to_owned(), name.to_owned())
    };
    let (gives, name) = split(head);
    let parameters = parameters.trim_end_matches(')').split(", ").filter(|parameter| *parameter != "void");
    let parameters = parameters.map(split).collect();
    Function { comment, gives, name, parameters }
}

impl Function {
    /// What a tag such as `@param name` is followed by.
    pub fn tag(&self, tag: &str) -> Option<&str> {
        let (_, rest) = self.comment.split_once(&format!("{tag} "))?;
        Some(rest.split(" @").next().unwrap_or(rest))
    }

    /// What it takes and gives. With the parameters' names: those of one type could change places unseen without.
    pub fn signature(&self) -> String {
        let parameters: Vec<String> = self
            .parameters
            .iter()
            .map(|(kind, name)| format!("{kind}{}{name}", if kind.ends_with('*') { "" } else { " " }))
            .collect();
        format!("{}({})", self.gives, if parameters.is_empty() { "void".to_owned() } else { parameters.join(", ") })
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The names SSHPM_... in a text; with a `true` for those that end with "...", which stand for several.
pub fn constants(text: &str) -> Vec<(&str, bool)> {
    let names = text.match_indices("SSHPM_").map(|(at, _)| {
        let rest = &text[at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        (&rest[..end], rest[end..].starts_with("..."))
    });
    names.collect()
}

/// The constants that the header defines, with their values.
pub fn defined() -> Vec<(&'static str, &'static str)> {
    HEADER.lines().filter_map(|line| line.strip_prefix("#define ")?.split_once(' ')).collect()
}

/// The types that only the library knows from inside.
pub fn handles() -> Vec<String> {
    let name = |line: &str| Some(line.strip_prefix("typedef struct ")?.split_once(' ')?.0.to_owned());
    HEADER.lines().filter_map(name).collect()
}

/// The types that are no handles, by name: numbers, and functions that the library calls.
pub fn types() -> Vec<(String, String)> {
    let code: String = HEADER.split("/*").map(|part| part.split_once("*/").map_or(part, |(_, rest)| rest)).collect();
    let typedefs = code.split("typedef ").skip(1).map(|text| one_line(text.split_once(';').unwrap().0));
    let typedefs = typedefs.filter(|text| !text.starts_with("struct "));
    let split = |text: String| match text.split_once("(*") {
        Some((gives, rest)) => {
            let (name, parameters) = rest.split_once(')').unwrap();
            (name.to_owned(), format!("{}{parameters}", gives.trim()))
        }
        None => {
            let (of, name) = text.rsplit_once(' ').unwrap();
            (name.to_owned(), of.to_owned())
        }
    };
    typedefs.map(split).collect()
}
