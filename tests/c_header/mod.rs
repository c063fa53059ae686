//! include/sshpm.h as a program reads it: its functions with their documentation, its constants and its types.
// Each test program uses only a part of this file.
#![allow(dead_code)]

pub const HEADER: &str = include_str!("../../include/sshpm.h");

/// A function of sshpm.h: the comment above it, and its declaration.
pub struct Function {
    pub comment: String,
    pub gives: String,
    pub name: String,
    /// The type and the name of each.
    pub parameters: Vec<(String, String)>,
}

pub fn functions() -> Vec<Function> {
    let (_, declarations) = HEADER.split_once("extern \"C\" {").unwrap();
    declarations.split("/**").skip(1).map(function).collect()
}

/// Parses one function from the text behind the beginning of its comment.
pub fn function(text: &str) -> Function {
    let (comment, code) = text.split_once("*/").unwrap();
    // The comment as one line, without the star before each of its lines.
    let comment = comment.lines().map(|line| line.trim().trim_start_matches('*').trim());
    let comment = comment.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let (declaration, _) = code.split_once(';').unwrap();
    let declaration = one_line(declaration);
    let (head, parameters) = declaration.split_once('(').unwrap();
    // Returns the type and the name behind it.
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
    /// Returns the text behind a tag such as `@param name`.
    pub fn tag(&self, tag: &str) -> Option<&str> {
        let (_, rest) = self.comment.split_once(&format!("{tag} "))?;
        Some(rest.split(" @").next().unwrap_or(rest))
    }

    /// Returns the declaration. It has the names of the parameters too: without them, nobody would notice when two
    /// parameters of one type change places.
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

/// Returns the names SSHPM_... in a text, with `true` for those that end with "...": they stand for several constants.
pub fn constants(text: &str) -> Vec<(&str, bool)> {
    let names = text.match_indices("SSHPM_").map(|(at, _)| {
        let rest = &text[at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        (&rest[..end], rest[end..].starts_with("..."))
    });
    names.collect()
}

/// Returns the constants that the header defines, with their values.
pub fn defined() -> Vec<(&'static str, &'static str)> {
    HEADER.lines().filter_map(|line| line.strip_prefix("#define ")?.split_once(' ')).collect()
}

/// Returns the types that only the library can look into.
pub fn handles() -> Vec<String> {
    let name = |line: &str| Some(line.strip_prefix("typedef struct ")?.split_once(' ')?.0.to_owned());
    HEADER.lines().filter_map(name).collect()
}

/// Returns the types that are no handles, with their names: numbers, and functions that the library calls.
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
