//! The life of processes as the suite of the seed's class tests it, in Python through the C ABI: see python.py.

use std::process::{Command, Stdio};

use crate::support::Remote;

#[test]
fn the_seeds_own_suite_in_python() {
    let library = std::env::current_exe().expect("the test knows its path").with_file_name("libsshpm.so");
    assert!(library.is_file(), "cargo has not built {}", library.display());
    let remote = Remote::start();
    let output = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parity/python.py"))
        .args([library, remote.ssh_config(), remote.app(), remote.scratch(), remote.local(&remote.scratch())])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("python3 cannot be run ({error}): apt-get install python3"));
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{stdout}{stderr}", output.status);
    assert_eq!(stdout.lines().filter(|line| line.ends_with(": passed")).count(), 9, "{stdout}");
    remote.assert_nothing_left();
}
