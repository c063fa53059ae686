//! A Python program that ends while callbacks are registered and processes end: see python_exit.py.

use std::process::{Command, Stdio};

use crate::support::{DEADLINE, Remote, wait_until};

#[test]
fn a_python_program_that_ends_its_callbacks_at_exit_does_not_crash() {
    let library = std::env::current_exe().expect("the test knows its path").with_file_name("libsshpm.so");
    assert!(library.is_file(), "cargo has not built {}", library.display());
    let remote = Remote::start();
    // Without either of them, the interpreter ends the library's thread inside its callback, and the program crashes
    // (seen with Python 3.11). The way "nothing" shows that.
    for way in ["remove", "free"] {
        let output = Command::new("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/c_api/python_exit.py"))
            .arg(&library)
            .arg(remote.ssh_config())
            .arg(way)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("python3 cannot be run ({error}): apt-get install python3"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && stderr.is_empty(), "{way}: {}\n{stderr}", output.status);
        assert_eq!(output.stdout, b"started\n", "{way}");
    }
    // The host may keep exits that the program has not taken, but no process.
    wait_until("the end of all processes", DEADLINE, || remote.processes().is_empty().then_some(()));
}
