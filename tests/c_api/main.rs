//! The C API: the header, the library's symbols, the examples, the README's programs, and C, C++ and Python programs
//! that use the library.
#![allow(clippy::unwrap_used)]

#[path = "../c_header/mod.rs"]
mod c_header;
#[path = "../c_programs/mod.rs"]
mod c_programs;
#[path = "../rust_api/mod.rs"]
mod rust_api;
#[path = "../support/mod.rs"]
mod support;

mod abi;
mod checked;
mod codes;
mod examples;
mod header;
mod headers;
mod install;
mod programs;
mod python_exit;
mod readme;
mod rust_and_c;
