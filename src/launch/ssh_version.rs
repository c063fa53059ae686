//! Finds out which version of OpenSSH the ssh program is. Some keywords of ssh_config are younger than the oldest ssh
//! that works with this crate, and ssh fails if its command line contains a keyword that it does not know.
//! IgnoreUnknown does not help: on the command line it would replace the user's own IgnoreUnknown, which the ssh_config
//! may need.

use std::path::Path;
use std::time::Duration;

use crate::local::local_program;

/// A version of OpenSSH, without the `p` and the number of its portable release. A later version is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub major: u32,
    pub minor: u32,
}

impl Version {
    pub(crate) const fn new(major: u32, minor: u32) -> Version {
        Version { major, minor }
    }
}

/// How long the program may take to print its version, and then to end.
const TIME: Duration = Duration::from_secs(2);

/// Returns the version in the output of `ssh -V`: "OpenSSH_9.2p1 Debian-2+deb12u7, OpenSSL 3.0.17 1 Jul 2025". Returns
/// `None` if the program is not OpenSSH. A program that wraps ssh may have written something before it.
pub(crate) fn parse(text: &str) -> Option<Version> {
    text.match_indices("OpenSSH_").find_map(|(at, name)| {
        let rest = &text[at + name.len()..];
        number_dot_number(rest.strip_prefix("for_Windows_").unwrap_or(rest))
    })
}

fn number_dot_number(text: &str) -> Option<Version> {
    let (major, rest) = leading_number(text)?;
    let (minor, _) = leading_number(rest.strip_prefix('.')?)?;
    Some(Version { major, minor })
}

fn leading_number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// Asks the program for its version. Returns `None` if it cannot be executed, or prints no version of OpenSSH in time.
///
/// Blocks for at most 4 s, unless the kernel itself hangs on the program's file. Leaves nothing running.
pub(crate) fn ask(program: &Path) -> Option<Version> {
    ask_within(program, TIME)
}

fn ask_within(program: &Path, time: Duration) -> Option<Version> {
    let captured = local_program::run(program, &["-V"], time)?;
    [captured.stderr, captured.stdout].iter().find_map(|text| parse(&String::from_utf8_lossy(text)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::process::{Command, Stdio};
    use std::time::Instant;

    use tempfile::TempDir;

    use super::*;

    fn version(major: u32, minor: u32) -> Option<Version> {
        Some(Version { major, minor })
    }

    #[test]
    fn every_vendor_tells_its_openssh() {
        for (text, major, minor) in [
            ("OpenSSH_9.2p1 Debian-2+deb12u7, OpenSSL 3.0.17 1 Jul 2025\n", 9, 2),
            ("OpenSSH_8.9p1 Ubuntu-3ubuntu0.10, OpenSSL 3.0.2 15 Mar 2022\r\n", 8, 9),
            ("OpenSSH_7.4p1, OpenSSL 1.0.2k-fips  26 Jan 2017", 7, 4),
            ("OpenSSH_8.0p1, OpenSSL 1.1.1k  FIPS 25 Mar 2021", 8, 0),
            ("OpenSSH_10.0p2 Debian-7, OpenSSL 3.5.1 1 Jul 2025", 10, 0),
            ("OpenSSH_9.9p2, LibreSSL 3.3.6", 9, 9),
            ("OpenSSH_9.9, LibreSSL 4.0.0", 9, 9),
            ("OpenSSH_6.6.1p1 Ubuntu-2ubuntu2, OpenSSL 1.0.1f 6 Jan 2014", 6, 6),
            ("OpenSSH_7.5p1-hpn14v12 FreeBSD-openssh-portable-7.5, OpenSSL 1.0.2", 7, 5),
            ("OpenSSH_8.7p1b-GSI GSI_8.7p1b_20210929, OpenSSL 3.0.1", 8, 7),
            ("OpenSSH_for_Windows_8.6p1, LibreSSL 3.4.3", 8, 6),
            ("our ssh, which wraps OpenSSH_\nwarning: no ticket\nOpenSSH_8.4p1, OpenSSL 1.1.1", 8, 4),
            ("OpenSSH_9.12", 9, 12),
        ] {
            assert_eq!(parse(text), version(major, minor), "{text}");
        }
    }

    #[test]
    fn what_is_no_openssh_has_no_version() {
        for text in [
            "",
            "Sun_SSH_1.1.3, SSH protocols 1.5/2.0, OpenSSL 0x0090704f",
            "Dropbear v2022.83",
            "plink: Release 0.78",
            "OpenSSH",
            "OpenSSH_",
            "OpenSSH_9",
            "OpenSSH_9.",
            "OpenSSH_.9p1",
            "OpenSSH_p1",
            "OpenSSH_-9.2p1",
            "OpenSSH_99999999999.2p1",
            "OpenSSH_9.99999999999p1",
            "OpenSSH_٩.٢",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        let since = Version::new(8, 7);
        for text in ["OpenSSH_8.7p1", "OpenSSH_8.10p1", "OpenSSH_9.0", "OpenSSH_10.2p1"] {
            assert!(parse(text).unwrap() >= since, "{text}");
        }
        for text in ["OpenSSH_8.6p1", "OpenSSH_7.9p1", "OpenSSH_6.10"] {
            assert!(parse(text).unwrap() < since, "{text}");
        }
    }

    /// Creates a program that runs this script in /bin/sh. The script writes the pids of what it starts to `$0.pids`.
    fn program(script: &str) -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let (draft, program) = (dir.path().join("draft"), dir.path().join("ssh"));
        fs::write(&draft, format!("#!/bin/sh\n{script}\n")).unwrap();
        // Another process writes the program: a program that is open for writing cannot run (ETXTBSY), and a child of
        // another thread may hold our descriptor for a moment.
        let mut install = Command::new("install");
        assert!(install.args(["-m", "755"]).args([&draft, &program]).status().unwrap().success());
        (dir, program)
    }

    /// Waits until all processes have ended whose pids the script has written, and returns how many these are.
    fn all_ended(program: &Path) -> usize {
        let pids = fs::read_to_string(program.with_extension("pids")).unwrap_or_default();
        let lives = |pid: &str| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // A process that nobody has reaped yet has ended too.
            stat.rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with(['Z', 'X']))
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while pids.split_whitespace().any(lives) {
            assert!(Instant::now() < deadline, "some of {pids:?} still run");
            std::thread::sleep(Duration::from_millis(1));
        }
        pids.split_whitespace().count()
    }

    /// Asks a program that never ends. Asks again with more time if it has not started all its children.
    fn ask_endless(program: &Path, starts: usize) -> Option<Version> {
        for milliseconds in [200, 2000, 20_000] {
            let answer = ask_within(program, Duration::from_millis(milliseconds));
            if all_ended(program) == starts {
                return answer;
            }
        }
        panic!("the program has not started");
    }

    #[test]
    fn the_ssh_of_this_machine_tells_its_version() {
        let told = ask(Path::new("ssh")).expect("the tests need OpenSSH");
        assert!(told >= Version { major: 6, minor: 0 }, "{told:?}");
    }

    #[test]
    fn a_program_that_is_none_has_no_version() {
        let (dir, _) = program("");
        for path in [Path::new("/nonexistent/ssh"), Path::new("no-such-ssh-in-path"), &dir.path().join("draft")] {
            assert_eq!(ask(path), None, "{}", path.display());
        }
    }

    #[test]
    fn either_stream_and_any_code_will_do() {
        for script in ["echo OpenSSH_8.4p1", "echo OpenSSH_8.4p1 >&2; exit 255", "[ $# = 1 ] && echo OpenSSH_8.4p1 $1"]
        {
            let (_dir, program) = program(script);
            assert_eq!(ask(&program), version(8, 4), "{script}");
        }
        let (_dir, program) = program("echo noise; exec cat");
        assert_eq!(ask(&program), None, "it has no input to wait for");
    }

    #[test]
    fn one_that_never_ends_is_ended_with_what_it_started() {
        let (_dir, silent) = program("sleep 1000 & echo $$ $! >$0.pids; wait");
        assert_eq!(ask_endless(&silent, 2), None);
        // Its output counts although it does not end.
        let (_dir, slow) = program("echo OpenSSH_8.4p1; sleep 1000 & echo $$ $! >$0.pids; wait");
        assert_eq!(ask_endless(&slow, 2), version(8, 4));
        let (_dir, deaf) = program("trap '' HUP INT QUIT TERM; echo $$ >$0.pids; while :; do sleep 1000; done");
        assert_eq!(ask_endless(&deaf, 1), None);
    }

    #[test]
    fn one_that_closes_its_streams_is_not_waited_for() {
        let (_dir, program) = program("echo OpenSSH_8.4p1; echo $$ >$0.pids; exec sleep 1000 >/dev/null 2>&1");
        assert_eq!(ask_within(&program, Duration::from_secs(3600)), version(8, 4));
        assert_eq!(all_ended(&program), 1);
    }

    #[test]
    fn a_child_that_holds_the_streams_is_neither_waited_for_nor_left() {
        let (_dir, program) = program("sleep 1000 & echo $! >$0.pids; echo OpenSSH_8.4p1");
        assert_eq!(ask_within(&program, Duration::from_secs(3600)), version(8, 4));
        assert_eq!(all_ended(&program), 1);
    }

    #[test]
    fn endless_words_are_not_kept() {
        let (_dir, program) = program("echo $$ >$0.pids; yes; yes >&2");
        assert_eq!(ask_endless(&program, 1), None);
    }

    /// Runs in a process of its own, because SIGCHLD belongs to the whole process.
    #[test]
    fn it_is_asked_where_the_host_ignores_its_children() {
        const NAME: &str = "launch::ssh_version::tests::it_is_asked_where_the_host_ignores_its_children";
        const ALONE: &str = "SSHPM_TEST_ALONE";
        if std::env::var_os(ALONE).is_none() {
            let mut again = Command::new(std::env::current_exe().unwrap());
            again.args(["--exact", NAME, "--nocapture"]).env(ALONE, "1").stdin(Stdio::null());
            let output = again.output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && text.contains("1 passed"), "{text}");
            return;
        }
        // SAFETY: SIG_IGN is not a function of this program.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        assert!(ask(Path::new("ssh")).is_some());
        assert_eq!(ask(Path::new("/nonexistent/ssh")), None);
        // SAFETY: SIG_DFL is not a function of this program.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
        let (_dir, endless) = program("sleep 1000 & echo $$ $! >$0.pids; wait");
        // SAFETY: SIG_IGN is not a function of this program.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        assert_eq!(ask_endless(&endless, 2), None);
    }
}
