//! Checks of what callers give, made before anything starts.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::error::{Error, Result};

/// Linux takes 128 KiB for one argument or one `NAME=value`, its NUL included (MAX_ARG_STRLEN in execve(2)).
pub(crate) const LONGEST_STRING: usize = 128 * 1024 - 1;
/// A uuid becomes part of file names, which have 255 bytes.
pub(crate) const LONGEST_UUID: usize = 128;
/// A host name has at most 253 characters (RFC 1035), an IPv6 address with a zone fewer.
pub(crate) const LONGEST_HOST: usize = 253;
pub(crate) const LONGEST_NAME: usize = 1024;
/// More than any session needs, and less than hurts: for JSON and setup lines.
pub(crate) const LONGEST_TEXT: usize = 64 << 20;

/// Checks a uuid: 1 to 128 of `A`-`Z`, `a`-`z`, `0`-`9`, `.`, `_` and `-`, because it becomes part of file names.
pub(crate) fn uuid(uuid: &str) -> Result<()> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if uuid.is_empty() || uuid.len() > LONGEST_UUID || !uuid.bytes().all(good) {
        return Err(Error::invalid("uuid", uuid, "a uuid has 1 to 128 letters, digits, '.', '_' and '-'"));
    }
    Ok(())
}

/// A host goes to ssh's command line, and by `%h` into commands of ssh_config.
pub(crate) fn host(field: &str, host: &str) -> Result<()> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._:%-[]".contains(&b);
    if host.is_empty() || host.len() > LONGEST_HOST || host.starts_with('-') || !host.bytes().all(good) {
        let reason = match host.split_once('@') {
            Some(_) => "it must not name the user; set the user separately",
            None => "a host is a name or an address of 1 to 253 letters, digits and '._:%-[]', and no option",
        };
        return Err(Error::invalid(field, host, reason));
    }
    if has_port(host) {
        let reason = "it must not have a port; set Port in ssh_config, or by an ssh option, Port=N";
        return Err(Error::invalid(field, host, reason));
    }
    Ok(())
}

/// Whether it is `name:port`, or `[address]:port`. An IPv6 address has more than one colon, or a zone.
fn has_port(host: &str) -> bool {
    match host.rsplit_once(':') {
        Some((name, port)) => {
            let is_number = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
            is_number && (name.ends_with(']') || !name.contains(':'))
        }
        None => false,
    }
}

/// A host, and the user there if it is not ssh's choice.
pub(crate) fn destination(host_name: &str, user_name: Option<&str>) -> Result<()> {
    host("host", host_name)?;
    user_name.map_or(Ok(()), user)
}

/// A user goes to ssh's command line, and by `%r` into commands of ssh_config.
pub(crate) fn user(user: &str) -> Result<()> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._@+-".contains(&b);
    if user.is_empty() || user.len() > LONGEST_HOST || user.starts_with('-') || !user.bytes().all(good) {
        return Err(Error::invalid(
            "user",
            user,
            "a user has letters, digits and '._@+-', and does not begin with '-'",
        ));
    }
    Ok(())
}

pub(crate) fn text(field: &str, text: &[u8], longest: usize) -> Result<()> {
    if text.contains(&0) {
        return Err(Error::invalid(field, text, "it has a NUL byte"));
    }
    if text.len() > longest {
        return Err(Error::invalid(field, text, format!("it has {} bytes; {longest} is the most", text.len())));
    }
    Ok(())
}

/// A text of which no error may show anything.
pub(crate) fn secret(field: &str, secret: &[u8], longest: usize) -> Result<()> {
    text(field, secret, longest).map_err(|error| match error {
        Error::Invalid { field, reason, .. } => Error::Invalid { field, value: "…".to_owned(), reason },
        other => other,
    })
}

pub(crate) fn path(field: &str, path: &OsStr) -> Result<()> {
    if path.is_empty() {
        return Err(Error::invalid(field, "", "a path is not empty"));
    }
    text(field, path.as_bytes(), LONGEST_STRING)
}

pub(crate) fn shell(shell: &str) -> Result<()> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._/+-".contains(&b);
    if shell.is_empty() || shell.len() > LONGEST_NAME || shell.starts_with('-') || !shell.bytes().all(good) {
        return Err(Error::invalid("setup_shell", shell, "a shell is the name or the path of a program"));
    }
    match shell.rsplit('/').next() {
        Some("csh" | "tcsh" | "fish") => Err(Error::invalid(
            "setup_shell",
            shell,
            "it does not read POSIX shell code; take bash, or put its lines in a script",
        )),
        _ => Ok(()),
    }
}

pub(crate) fn variable(name: &str, value: &OsStr) -> Result<()> {
    /// Shells let nobody set these, or keep values of their own in them.
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
            "a variable's name is a letter or '_', then letters, digits and '_'",
        ));
    }
    if name == "_" || THE_SHELLS.contains(&name) || name.starts_with("_sshpm_") {
        return Err(Error::invalid("environment", name, "the shell keeps a value of its own in this variable"));
    }
    secret(&field, value.as_bytes(), LONGEST_STRING.saturating_sub(name.len() + 1))
}
