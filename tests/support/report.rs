//! Reads what test-app's `report` wrote: how test-app was started.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::{DEADLINE, Remote, procs, wait_until};

#[derive(Debug, Clone)]
pub struct AppReport {
    /// All arguments: program, verbs, "--", and what followed.
    pub argv: Vec<OsString>,
    /// In the order of the process: "NAME=value".
    pub env: Vec<OsString>,
    pub cwd: PathBuf,
    pub pid: i32,
    pub ppid: i32,
    pub pgid: i32,
    pub sid: i32,
    /// Lines of /proc/self/status.
    pub status: Vec<String>,
    /// Lines of /proc/self/limits.
    pub limits: Vec<String>,
    /// Open descriptors with their targets.
    pub fds: Vec<(i32, OsString)>,
}

impl AppReport {
    /// Waits for the file on the remote and reads it.
    #[track_caller]
    pub fn wait(remote: &Remote, path: impl AsRef<Path>) -> AppReport {
        let path = remote.local(path.as_ref());
        let what = format!("a report of test-app in {}", path.display());
        AppReport::parse(&wait_until(&what, DEADLINE, || std::fs::read(&path).ok()))
    }

    pub fn parse(bytes: &[u8]) -> AppReport {
        let mut parts = procs::nul_terminated(bytes).into_iter();
        let mut section = |expected: &str| -> Vec<OsString> {
            assert_eq!(parts.next().as_deref(), Some(OsStr::new(expected)), "test-app's report");
            let count = parts.next().and_then(|n| n.to_str()?.parse().ok()).expect("test-app's report: a number");
            let values: Vec<_> = parts.by_ref().take(count).collect();
            assert_eq!(values.len(), count, "test-app's report is cut in {expected}");
            values
        };
        let text = |values: Vec<OsString>| values.into_iter().map(|v| v.to_string_lossy().into_owned()).collect();
        let (argv, env, cwd) = (section("argv"), section("env"), section("cwd"));
        let (status, limits): (Vec<String>, Vec<String>) = (text(section("status")), text(section("limits")));
        let ids: Vec<String> = text(section("ids"));
        let ids: Vec<i32> = ids.iter().map(|id| id.parse().expect("test-app's report: an id")).collect();
        AppReport {
            argv,
            env,
            cwd: cwd[0].clone().into(),
            pid: ids[0],
            ppid: ids[1],
            pgid: ids[2],
            sid: ids[3],
            status,
            limits,
            fds: section("fds").iter().map(|line| split_number(line.as_bytes())).collect(),
        }
    }

    /// Returns the arguments behind "--".
    pub fn payload(&self) -> &[OsString] {
        let marker = self.argv.iter().position(|argument| argument == "--").expect("no -- in test-app's arguments");
        &self.argv[marker + 1..]
    }

    /// Returns the value of a variable, the first one if the variable is there twice.
    pub fn var(&self, name: &str) -> Option<OsString> {
        let start = format!("{name}=");
        let value = self.env.iter().find_map(|variable| variable.as_bytes().strip_prefix(start.as_bytes()))?;
        Some(OsString::from_vec(value.to_vec()))
    }

    /// Returns a field of /proc/self/status, such as "Umask" or "SigIgn".
    pub fn status(&self, field: &str) -> &str {
        let lines = self.status.iter().filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(name, _)| *name == field).map_or("", |(_, value)| value.trim())
    }

    pub fn umask(&self) -> u32 {
        u32::from_str_radix(self.status("Umask"), 8).expect("an octal Umask")
    }

    /// Returns the signals of SigBlk, SigIgn or SigCgt, by number.
    pub fn signals(&self, field: &str) -> Vec<i32> {
        let mask = u64::from_str_radix(self.status(field), 16).expect("a hexadecimal signal mask");
        (1..=64).filter(|signal| mask & (1 << (signal - 1)) != 0).collect()
    }

    /// Returns the soft and the hard limit, as /proc/self/limits writes them: `limit("Max open files")`.
    pub fn limit(&self, name: &str) -> (&str, &str) {
        let line = self.limits.iter().find_map(|line| line.strip_prefix(name)).expect("no such limit");
        let mut words = line.split_ascii_whitespace();
        (words.next().expect("a soft limit"), words.next().expect("a hard limit"))
    }
}

fn split_number(line: &[u8]) -> (i32, OsString) {
    let space = line.iter().position(|&b| b == b' ').expect("test-app's report: NUMBER TARGET");
    let number = String::from_utf8_lossy(&line[..space]).parse().expect("test-app's report: a descriptor");
    (number, OsString::from_vec(line[space + 1..].to_vec()))
}
