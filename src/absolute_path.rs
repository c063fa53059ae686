//! Relative paths of options: the host program may change its current directory after it has set them.

use std::os::unix::ffi::OsStrExt;
use std::path::{self, PathBuf};

/// Makes a path absolute.
pub(crate) fn resolve(file: &mut PathBuf) {
    // It fails where the current directory is gone: then there is nothing that a relative path could name.
    if let Ok(absolute) = path::absolute(&*file) {
        *file = absolute;
    }
}

/// Makes the path of a program absolute. A name without a slash stays, because PATH is searched for it.
pub(crate) fn resolve_program(program: &mut PathBuf) {
    if program.as_os_str().as_bytes().contains(&b'/') {
        resolve(program);
    }
}
