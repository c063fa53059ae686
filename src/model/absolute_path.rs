//! Makes relative paths of options absolute: the host program may change its current directory later.

use std::os::unix::ffi::OsStrExt;
use std::path::{self, PathBuf};

/// Makes a path absolute.
pub(crate) fn resolve(file: &mut PathBuf) {
    // This fails if the current directory is gone. Then a relative path names nothing.
    if let Ok(absolute) = path::absolute(&*file) {
        *file = absolute;
    }
}

/// Makes the path of a program absolute. A name without a slash stays as it is, to be looked up in PATH.
pub(crate) fn resolve_program(program: &mut PathBuf) {
    if program.as_os_str().as_bytes().contains(&b'/') {
        resolve(program);
    }
}
