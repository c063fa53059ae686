//! Makes Rust's declarations from include/sshpm.h, so that this package can call nothing else.

#[path = "../../c_header/mod.rs"]
mod c_header;

use std::fmt::Write;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=../../../include/sshpm.h");
    let mut code = String::new();
    for name in c_header::handles() {
        writeln!(code, "#[repr(C)] pub struct {name} {{ _opaque: [u8; 0] }}").unwrap();
    }
    for (name, what) in c_header::types() {
        let rust = match what.split_once('(') {
            Some((gives, parameters)) => {
                let parameters = parameters.trim_end_matches(')').split(", ").map(|parameter| parameter.trim());
                let parameters = parameters.map(parameter).collect::<Vec<_>>().join(", ");
                format!("Option<unsafe extern \"C\" fn({parameters}){}>", result(gives))
            }
            None => rust_type(&what),
        };
        writeln!(code, "pub type {name} = {rust};").unwrap();
    }
    for (name, value) in c_header::defined() {
        let (kind, value) = match value {
            "UINT64_MAX" => ("u64", "u64::MAX"),
            _ if name.starts_with("SSHPM_VERSION") => continue,
            _ if value.contains('.') => ("f64", value),
            _ => ("i32", value),
        };
        writeln!(code, "pub const {name}: {kind} = {value};").unwrap();
    }
    writeln!(code, "unsafe extern \"C\" {{").unwrap();
    for function in c_header::functions() {
        let parameters = function.parameters.iter().map(|(kind, name)| format!("{name}: {}", rust_type(kind)));
        let (parameters, gives) = (parameters.collect::<Vec<_>>().join(", "), result(&function.gives));
        writeln!(code, "    pub fn {}({parameters}){gives};", function.name).unwrap();
    }
    writeln!(code, "}}").unwrap();
    std::fs::write(Path::new(&std::env::var_os("OUT_DIR").unwrap()).join("c.rs"), code).unwrap();
}

/// Returns the result of a function of C as Rust declares it.
fn result(gives: &str) -> String {
    if gives == "void" { String::new() } else { format!(" -> {}", rust_type(gives)) }
}

/// Returns a parameter of C as Rust declares it.
fn parameter(text: &str) -> String {
    let name = text.rsplit([' ', '*']).next().unwrap();
    format!("{name}: {}", rust_type(text[..text.len() - name.len()].trim()))
}

fn rust_type(of: &str) -> String {
    let of = of.trim();
    if let Some(inner) = of.strip_suffix('*') {
        let inner = inner.trim();
        // A `const` is about what the last star points to.
        if let Some(inner) = inner.strip_suffix("const").filter(|inner| inner.ends_with('*')) {
            return format!("*const {}", rust_type(inner));
        }
        return match inner.strip_prefix("const ").filter(|inner| !inner.contains('*')) {
            Some(inner) => format!("*const {}", rust_type(inner)),
            None => format!("*mut {}", rust_type(inner)),
        };
    }
    let of = of.strip_prefix("const ").unwrap_or(of);
    match of {
        "char" => "std::ffi::c_char",
        "void" => "std::ffi::c_void",
        "double" => "f64",
        "bool" => "bool",
        "int32_t" => "i32",
        "uint16_t" => "u16",
        "uint32_t" => "u32",
        "int64_t" => "i64",
        "uint64_t" => "u64",
        "size_t" => "usize",
        handle if handle.starts_with("sshpm_") => handle,
        other => panic!("a type that this does not know: {other}"),
    }
    .to_owned()
}
