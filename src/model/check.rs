//! Checks the values that callers give, before anything starts.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use crate::model::error::{Error, Result};
use crate::model::time;

/// Linux accepts 128 KiB for one argument or one `NAME=value`, its NUL included (MAX_ARG_STRLEN in execve(2)).
pub(crate) const LONGEST_STRING: usize = 128 * 1024 - 1;
/// A uuid becomes part of file names, which have at most 255 bytes.
pub(crate) const LONGEST_UUID: usize = 128;
/// A host name has at most 253 characters (RFC 1035), an IPv6 address with a zone fewer.
pub(crate) const LONGEST_HOST: usize = 253;
pub(crate) const LONGEST_NAME: usize = 1024;
/// The limit for JSON and setup lines: more than any session needs, and little enough to hold in memory.
pub(crate) const LONGEST_TEXT: usize = 64 << 20;

/// Checks a uuid: 1 to 128 of `A`-`Z`, `a`-`z`, `0`-`9`, `.`, `_` and `-`, because it becomes part of file names.
pub(crate) fn uuid(uuid: &str) -> Result<()> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if uuid.is_empty() || uuid.len() > LONGEST_UUID || !uuid.bytes().all(good) {
        return Err(Error::invalid("uuid", uuid, "must be 1 to 128 letters, digits, '.', '_' and '-'"));
    }
    Ok(())
}

/// Checks a host, which becomes part of ssh's command line and, by `%h`, of commands in ssh_config.
pub(crate) fn host(field: &str, host: &str) -> Result<()> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._:%-[]".contains(&b);
    if host.is_empty() || host.len() > LONGEST_HOST || host.starts_with('-') || !host.bytes().all(good) {
        let reason = match host.split_once('@') {
            Some(_) => "must not contain the user; set the user separately",
            None => "must be 1 to 253 letters, digits and '._:%-[]', and must not begin with '-'",
        };
        return Err(Error::invalid(field, host, reason));
    }
    if has_port(host) {
        let reason = "must not contain a port; set Port in ssh_config, or the ssh option Port=N";
        return Err(Error::invalid(field, host, reason));
    }
    Ok(())
}

/// Returns whether the host is `name:port` or `[address]:port`. An IPv6 address has more than one colon, or a zone.
fn has_port(host: &str) -> bool {
    match host.rsplit_once(':') {
        Some((name, port)) => {
            let is_number = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
            is_number && (name.ends_with(']') || !name.contains(':'))
        }
        None => false,
    }
}

/// Checks a host, and the user there unless ssh chooses it.
pub(crate) fn destination(host_name: &str, user_name: Option<&str>) -> Result<()> {
    host("host", host_name)?;
    user_name.map_or(Ok(()), user)
}

/// Checks a user, which becomes part of ssh's command line and, by `%r`, of commands in ssh_config.
pub(crate) fn user(user: &str) -> Result<()> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._@+-".contains(&b);
    if user.is_empty() || user.len() > LONGEST_HOST || user.starts_with('-') || !user.bytes().all(good) {
        return Err(Error::invalid(
            "user",
            user,
            "must be 1 to 253 letters, digits and '._@+-', and must not begin with '-'",
        ));
    }
    Ok(())
}

/// Checks that a text has no NUL byte and at most `longest` bytes.
pub(crate) fn text(field: &str, text: &[u8], longest: usize) -> Result<()> {
    if text.contains(&0) {
        return Err(Error::invalid(field, text, "must not contain a NUL byte"));
    }
    if text.len() > longest {
        return Err(Error::invalid(field, text, format!("must have at most {longest} bytes, and has {}", text.len())));
    }
    Ok(())
}

/// Checks a text as [`text`] does, but quotes nothing of it in the error.
pub(crate) fn secret(field: &str, secret: &[u8], longest: usize) -> Result<()> {
    text(field, secret, longest).map_err(|error| match error {
        Error::Invalid { field, reason, .. } => Error::Invalid { field, value: "…".to_owned(), reason },
        other => other,
    })
}

/// Checks a path, which must fit into one argument of execve(2).
pub(crate) fn path(field: &str, path: &OsStr) -> Result<()> {
    if path.is_empty() {
        return Err(Error::invalid(field, "", "must not be empty"));
    }
    text(field, path.as_bytes(), LONGEST_STRING)
}

/// Checks the shell for the setup lines: the name or the path of a program, but not of csh, tcsh or fish, which do not
/// read POSIX shell code.
pub(crate) fn shell(shell: &str) -> Result<()> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._/+-".contains(&b);
    if shell.is_empty() || shell.len() > LONGEST_NAME || shell.starts_with('-') || !shell.bytes().all(good) {
        return Err(Error::invalid("setup_shell", shell, "must be the name or the path of a program"));
    }
    match shell.rsplit('/').next() {
        Some("csh" | "tcsh" | "fish") => Err(Error::invalid(
            "setup_shell",
            shell,
            "does not read POSIX shell code; use bash, or put the lines into a script",
        )),
        _ => Ok(()),
    }
}

/// Checks a variable of the application's environment. The error names the variable, but does not quote its value.
pub(crate) fn variable(name: &str, value: &OsStr) -> Result<()> {
    /// Variables that some shells refuse to set, or in which they keep values of their own.
    const THE_SHELLS: [&str; 23] = [
        "BASHOPTS",
        "BASHPID",
        "BASH_ARGV0",
        "BASH_COMMAND",
        "BASH_SUBSHELL",
        "BASH_VERSINFO",
        "COMP_WORDBREAKS",
        "DIRSTACK",
        "EPOCHREALTIME",
        "EPOCHSECONDS",
        "EUID",
        "FUNCNAME",
        "GROUPS",
        "HISTCMD",
        "LINENO",
        "OPTIND",
        "PPID",
        "RANDOM",
        "SECONDS",
        "SHELLOPTS",
        "SHLVL",
        "SRANDOM",
        "UID",
    ];
    let field = format!("environment.{name}");
    let begins = |b: &u8| b.is_ascii_alphabetic() || *b == b'_';
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if !name.as_bytes().first().is_some_and(begins) || !name.bytes().all(good) {
        return Err(Error::invalid(
            "environment",
            name,
            "the name must be a letter or '_', then letters, digits and '_'",
        ));
    }
    if name == "_" || THE_SHELLS.contains(&name) || name.starts_with("_sshpm_") {
        return Err(Error::invalid(
            "environment",
            name,
            "must not be set, because the shell keeps a value of its own in this variable",
        ));
    }
    secret(&field, value.as_bytes(), LONGEST_STRING.saturating_sub(name.len() + 1))
}
/// Returns a number of seconds as a duration.
pub(crate) fn duration(field: &str, seconds: f64) -> Result<Duration> {
    time::to_duration(seconds)
        .ok_or_else(|| Error::invalid(field, seconds.to_string(), "must be a number of seconds, 0 or more"))
}
