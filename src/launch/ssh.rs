//! The system's ssh: its arguments, and what its messages mean.

use std::ffi::OsString;
use std::process::Command;

use crate::launch::kerberos;
use crate::launch::route::Route;
use crate::launch::ssh_version::Version;
use crate::launch::target::{Launch, SshLogin, Target, Traits};
use crate::local::client::StdoutAs;
use crate::model::error::{Error, Result, SshFailure, printable};
use crate::model::options::{HostKeyPolicy, Options};
use crate::model::time;
use crate::remote::lease::SilentCut;
use crate::remote::script::BOOTSTRAP;

/// The options that this crate relies on. ssh takes the first value of an option, and these come first, so no
/// ssh_config and no option of the user changes them. EscapeChar and RequestTTY make bytes arrive unchanged. LogLevel
/// keeps the messages by which failures are recognized.
const OURS: [&str; 9] = [
    "BatchMode=yes",
    "ClearAllForwardings=yes",
    "EscapeChar=none",
    "LogLevel=INFO",
    "PermitLocalCommand=no",
    "RequestTTY=no",
    "Tunnel=no",
    "UpdateHostKeys=no",
    "VisualHostKey=no",
];

/// Options that this crate relies on too, each with the first version of ssh that knows it. An older ssh refuses the
/// keyword, and its ssh_config cannot contain it. LogVerbose writes ssh's debug messages, whatever LogLevel says, and
/// ChannelTimeout ends sessions in which nothing was written for a while.
const OURS_SINCE: [(Version, &str); 6] = [
    (Version::new(7, 6), "RemoteCommand=none"),
    (Version::new(8, 5), "LogVerbose=none"),
    (Version::new(8, 7), "SessionType=default"),
    (Version::new(8, 7), "StdinNull=no"),
    (Version::new(8, 7), "ForkAfterAuthentication=no"),
    (Version::new(9, 6), "ChannelTimeout=none"),
];

/// The version that an ssh counts as if its own is not known.
const IF_UNKNOWN: Version = Version::new(7, 6);

/// The options that the caller's options can replace, and ssh_config cannot. AddKeysToAgent can have a dialog opened
/// for a question in spite of BatchMode, and the login waits for its answer. If X11 were forwarded, ssh would run
/// xauth(1) for each session, one session after the other, because xauth locks its file. ssh ends a link that was cut
/// in silence after three pings without an answer.
const DEFAULTS: [&str; 4] = ["AddKeysToAgent=no", "ForwardX11=no", "ServerAliveInterval=5", "ServerAliveCountMax=3"];

/// The system's ssh.
pub(crate) struct Ssh;

impl Launch for Ssh {
    /// Accepts every target, because ssh itself reports what is wrong with it.
    fn check(&self, _: &Target) -> Result<()> {
        Ok(())
    }

    fn command(&self, target: &Target, login: &SshLogin) -> Result<Command> {
        let mut command = Command::new(&login.options.ssh_program);
        command.args(arguments(login.options, login.version, login.route, target.host, target.user));
        Ok(command)
    }

    fn diagnose(&self, target: &Target, code: Option<i32>, stderr: &[u8]) -> Error {
        diagnose(target.host, target.user, code, stderr)
    }

    fn traits(&self) -> Traits {
        Traits {
            shares_connections: true,
            // What ssh starts, such as a ProxyCommand, ends when its streams end.
            kills_group_with_client: false,
            silent_cut: SilentCut::Sshd,
            stdout: StdoutAs::Socket,
            runs_as_own_user: false,
        }
    }

    fn last_words(&self, stderr: &[u8]) -> Option<String> {
        last_words(stderr)
    }
}

/// Returns the arguments for a session that runs [`BOOTSTRAP`] on a host.
fn arguments(
    options: &Options,
    version: Option<Version>,
    route: &Route,
    host: &str,
    user: Option<&str>,
) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["-T".into()];
    if let Some(file) = &options.ssh_config {
        arguments.extend(["-F".into(), file.into()]);
    }
    let mut option = |option: OsString| arguments.extend(["-o".into(), option]);
    for ours in OURS {
        option(ours.into());
    }
    let version = version.unwrap_or(IF_UNKNOWN);
    for (_, ours) in OURS_SINCE.iter().filter(|(since, _)| version >= *since) {
        option(ours.into());
    }
    for ours in route.options() {
        option(ours);
    }
    for (keyword, value) in host_key_options(options, host) {
        option(format!("{keyword}={value}").into());
    }
    if let Some(file) = options.known_hosts_file.as_ref().filter(|_| !ignores_host_key(options, host)) {
        // ssh splits the value at spaces outside quotes.
        let mut value = OsString::from("UserKnownHostsFile=\"");
        value.push(file);
        value.push("\"");
        option(value);
    }
    for extra in &options.ssh_options {
        option(extra.into());
    }
    for default in DEFAULTS {
        option(default.into());
    }
    option(format!("ConnectTimeout={}", time::whole_seconds(options.connect_timeout)).into());
    if let Some(user) = user {
        arguments.extend(["-l".into(), user.into()]);
    }
    arguments.extend(["--".into(), host.into(), remote_command(route).into()]);
    arguments
}

/// Returns the command that a session runs on its host.
pub(crate) fn remote_command(route: &Route) -> String {
    format!("exec /bin/sh -c '{BOOTSTRAP}' {}", route.name())
}

/// Returns whether ssh is not to check the key of this host.
fn ignores_host_key(options: &Options, host: &str) -> bool {
    match options.host_key_policy {
        HostKeyPolicy::Disabled => true,
        HostKeyPolicy::DisabledForLocalhost => is_localhost(host),
        HostKeyPolicy::SshConfig | HostKeyPolicy::Strict | HostKeyPolicy::AcceptNew => false,
    }
}

/// Returns the options for the policy on host keys.
fn host_key_options(options: &Options, host: &str) -> &'static [(&'static str, &'static str)] {
    match options.host_key_policy {
        // With /dev/null, a changed key does not end the connection, and ssh remembers no key.
        _ if ignores_host_key(options, host) => &[
            ("StrictHostKeyChecking", "no"),
            ("UserKnownHostsFile", "/dev/null"),
            ("GlobalKnownHostsFile", "/dev/null"),
        ],
        HostKeyPolicy::Strict => &[("StrictHostKeyChecking", "yes")],
        HostKeyPolicy::AcceptNew => &[("StrictHostKeyChecking", "accept-new")],
        _ => &[],
    }
}

/// Returns whether this is localhost, an address of 127.0.0.0/8, or ::1.
fn is_localhost(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What ssh's messages mean. The first entry that ssh's stderr contains decides: later entries are more general, or
/// follow from earlier ones.
const MESSAGES: [(&str, SshFailure); 25] = [
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", SshFailure::HostKeyChanged),
    ("has changed and you have requested strict checking", SshFailure::HostKeyChanged),
    ("Host key verification failed", SshFailure::HostKeyUnknown),
    ("host key is known for", SshFailure::HostKeyUnknown),
    ("Could not resolve hostname", SshFailure::NameNotResolved),
    ("Bad configuration option", SshFailure::Configuration),
    ("bad configuration option", SshFailure::Configuration),
    ("command-line line ", SshFailure::Configuration),
    ("Bad owner or permissions on", SshFailure::Configuration),
    ("Can't open user config file", SshFailure::Configuration),
    ("Unable to negotiate with", SshFailure::Configuration),
    (": Permission denied (", SshFailure::AuthenticationFailed),
    ("Too many authentication failures", SshFailure::AuthenticationFailed),
    ("timed out", SshFailure::TimedOut),
    (": Connection refused", SshFailure::Refused),
    ("No route to host", SshFailure::Unreachable),
    ("Network is unreachable", SshFailure::Unreachable),
    ("Host is down", SshFailure::Unreachable),
    // The kernel says this for a route of type prohibit.
    (": Permission denied", SshFailure::Unreachable),
    ("Not allowed at this time", SshFailure::Throttled),
    // A ProxyCommand has ended. If it is an ssh, its own messages match an entry above.
    ("UNKNOWN port 65535", SshFailure::Closed),
    (BEFORE_BANNER, SshFailure::Throttled),
    ("Connection closed by", SshFailure::Closed),
    ("Connection reset by", SshFailure::Closed),
    ("closed by remote host", SshFailure::Closed),
];

/// ssh begins every message about a connection that ended before sshd's banner like this. The usual cause is
/// MaxStartups.
const BEFORE_BANNER: &str = "kex_exchange_identification:";

/// Returns whether another login can help and is safe: sshd dropped the connection before the login, so nothing has
/// run.
pub(crate) fn is_worth_a_retry(error: &Error) -> bool {
    match error {
        Error::Ssh { failure: SshFailure::Throttled, .. } => true,
        // sshd behind a jump host dropped the connection.
        Error::Ssh { failure: SshFailure::Closed, stderr, .. } => stderr.contains(BEFORE_BANNER),
        _ => false,
    }
}

/// Why a shared connection gave no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoSession {
    /// The host allows no more on one connection (MaxSessions).
    Refused,
    /// The connection has ended or hangs, or this ssh cannot share connections.
    Broken,
}

/// Returns how the shared connection failed. Then nothing has run. Returns `None` if the failure lies elsewhere.
pub(crate) fn no_session(error: &Error) -> Option<NoSession> {
    let Error::Ssh { failure, stderr, .. } = error else { return None };
    match failure {
        SshFailure::RemoteShell(_) | SshFailure::SshNotFound => None,
        _ if stderr.contains("Session open refused") => Some(NoSession::Refused),
        _ => Some(NoSession::Broken),
    }
}

/// Returns whether a connection failed because it was to be shared: ssh is too old to share it, or could not create the
/// socket.
pub(crate) fn cannot_share(error: &Error) -> bool {
    let Error::Ssh { failure, stderr, .. } = error else { return false };
    // ssh quotes the keywords as they were written, or in lower case.
    let is_keyword_of_ours = *failure == SshFailure::Configuration && stderr.to_ascii_lowercase().contains("control");
    is_keyword_of_ours || SHARING_MESSAGES.iter().any(|message| stderr.contains(message))
}

/// Parts of ssh's messages about a connection that it cannot share.
const SHARING_MESSAGES: [&str; 5] =
    ["unix_listener", "muxserver_listen", "ControlPath too long", "ControlSocket", "control socket"];

/// Returns why ssh ended before the wrapper began, by its messages, which are English in every locale, and by its code.
fn diagnose(host: &str, user: Option<&str>, code: Option<i32>, stderr: &[u8]) -> Error {
    let stderr = without_warnings(&String::from_utf8_lossy(stderr).replace('\r', ""));
    let told = MESSAGES.iter().find(|(text, _)| stderr.contains(text)).map(|(_, failure)| *failure);
    let failure = match (code, told) {
        // ssh's own failures have code 255. Any other code comes from the login shell, and so do the messages.
        (Some(code @ 0..=254), _) => SshFailure::RemoteShell(code),
        // The message lists the methods of authentication in brackets.
        (_, Some(SshFailure::AuthenticationFailed)) if stderr.contains("gssapi") && kerberos::has_no_ticket() => {
            SshFailure::NoTicket
        }
        (_, Some(failure)) => failure,
        (_, None) => SshFailure::Other,
    };
    Error::Ssh { host: host.to_owned(), user: user.map(str::to_owned), failure, stderr }
}

/// The beginnings of lines that ssh writes although nothing has failed: it has remembered a new host key; the key
/// exchange is an old one (three lines since OpenSSH 10.1); it cannot forward X11.
const WARNINGS: [&str; 4] =
    ["Warning: Permanently added ", "** ", "Warning: untrusted X11 forwarding", "Warning: No xauth data"];

/// Returns what ssh wrote, without its warnings, which are not the reason of a failure.
fn without_warnings(stderr: &str) -> String {
    let is_warning = |line: &&str| WARNINGS.iter().any(|begin| line.starts_with(begin));
    stderr.split_inclusive('\n').filter(|line| !is_warning(line)).collect()
}

/// The beginnings of ssh's messages about a link that was open and broke.
const LINK_MESSAGES: [&str; 7] = [
    "Connection to ",
    "Connection closed ",
    "Connection reset ",
    "Timeout, server ",
    "client_loop: ",
    "Received disconnect from ",
    "Disconnected from ",
];

/// Returns ssh's last message about its link. `stderr` can contain output of the application too.
pub(crate) fn last_words(stderr: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(stderr);
    let words = text.lines().map(str::trim).rfind(|line| LINK_MESSAGES.iter().any(|begin| line.starts_with(begin)));
    words.map(printable)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;

    fn text(options: &Options, host: &str) -> String {
        text_for(None, options, host)
    }

    fn text_for(version: Option<Version>, options: &Options, host: &str) -> String {
        let arguments = arguments(options, version, &Route::Own, host, Some("daq"));
        arguments.iter().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ours_come_before_the_callers_and_these_before_the_defaults() {
        let line = text(&Options::new().ssh_option("ServerAliveInterval=60"), "h");
        let at = |part: &str| line.find(part).unwrap_or_else(|| panic!("{part} is not in {line}"));
        assert!(at("BatchMode=yes") < at("ServerAliveInterval=60"));
        assert!(at("ServerAliveInterval=60") < at("ServerAliveInterval=5"));
        assert!(at("-l daq") < at("-- h exec"));
    }

    #[test]
    fn an_ssh_gets_the_keywords_that_it_knows() {
        for (version, given) in
            [(None, 1), (Some((7, 4)), 0), (Some((8, 4)), 1), (Some((8, 5)), 2), (Some((8, 7)), 5), (Some((10, 0)), 6)]
        {
            let version = version.map(|(major, minor)| Version::new(major, minor));
            let line = text_for(version, &Options::new(), "h");
            let count = OURS_SINCE.iter().filter(|(_, ours)| line.contains(ours)).count();
            assert_eq!(count, given, "{version:?}: {line}");
        }
    }

    #[test]
    fn host_keys_are_checked_unless_the_policy_says_otherwise() {
        let with = |policy, host| text(&Options::new().host_key_policy(policy), host);
        assert!(!with(HostKeyPolicy::SshConfig, "h").contains("StrictHostKeyChecking"));
        assert!(with(HostKeyPolicy::Strict, "h").contains("StrictHostKeyChecking=yes"));
        assert!(with(HostKeyPolicy::AcceptNew, "h").contains("StrictHostKeyChecking=accept-new"));
        assert!(with(HostKeyPolicy::Disabled, "h").contains("StrictHostKeyChecking=no"));
        for host in ["localhost", "127.3.2.1", "::1", "[::1]"] {
            assert!(with(HostKeyPolicy::DisabledForLocalhost, host).contains("StrictHostKeyChecking=no"), "{host}");
        }
        for host in ["h", "localhost.example.org", "128.0.0.1"] {
            assert!(!with(HostKeyPolicy::DisabledForLocalhost, host).contains("StrictHostKeyChecking"), "{host}");
        }
    }

    const PAGE: &str = include_str!("../../docs/ssh_config.md");

    /// Returns the keywords in the first column of the table below this heading.
    #[track_caller]
    fn keywords_below(heading: &str) -> BTreeSet<String> {
        let (_, section) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no {heading:?}"));
        let rows = section.lines().take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("| `"));
        rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2)).map(str::to_owned).collect()
    }

    /// Returns the keywords that are set before the caller's options, and those that are set after them.
    fn keywords_set(options: &Options, route: &Route) -> [BTreeSet<String>; 2] {
        let options = options.clone().ssh_option("Callers=own");
        let words = arguments(&options, Some(Version::new(99, 0)), route, "h", None);
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        let set: Vec<_> = words.windows(2).filter(|pair| pair[0] == "-o").collect();
        let callers = set.iter().position(|pair| pair[1] == "Callers=own").unwrap();
        let keyword = |pair: &&[Cow<str>]| pair[1].split('=').next().unwrap().to_owned();
        [set[..callers].iter().map(keyword).collect(), set[callers + 1..].iter().map(keyword).collect()]
    }

    #[test]
    fn docs_ssh_config_names_each_keyword_where_it_belongs() {
        let socket = || Arc::from(Path::new("/s"));
        let (mut fixed, mut defaults, mut policy) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for route in [Route::Own, Route::Master(socket()), Route::Shared(socket())] {
            let [before, after] = keywords_set(&Options::new(), &route);
            fixed.extend(before);
            defaults.extend(after);
        }
        for of_policy in [HostKeyPolicy::Strict, HostKeyPolicy::AcceptNew, HostKeyPolicy::Disabled] {
            let [before, _] = keywords_set(&Options::new().host_key_policy(of_policy), &Route::Own);
            policy.extend(before.into_iter().filter(|keyword| !fixed.contains(keyword)));
        }
        let left = keywords_below("As ssh_config says");
        assert!(left.contains("ForwardAgent"));
        for (heading, set) in [
            ("Set for every session", fixed),
            ("Set unless the program says otherwise", defaults),
            ("Set by the policy on host keys", policy),
        ] {
            assert_eq!(keywords_below(heading), set, "{heading}");
            assert!(left.is_disjoint(&set), "{left:?}");
        }
    }

    #[test]
    fn the_last_words_do_not_change_the_terminal() {
        let stderr = b"output\r\nConnection to \x1b[2Jh closed.\r\n";
        assert_eq!(last_words(stderr).unwrap(), "Connection to ?[2Jh closed.");
    }

    #[test]
    fn a_warning_is_no_reason() {
        let warnings = "Warning: Permanently added '[127.0.0.1]:2222' (ED25519) to the list of known hosts.\r\n\
            ** WARNING: connection is not using a post-quantum key exchange algorithm.\r\n\
            ** This session may be vulnerable to \"store now, decrypt later\" attacks.\r\n\
            ** The server may need to be upgraded. See https://openssh.com/pq.html\r\n";
        for reason in ["", "daq@h: Permission denied (publickey).\n", "Connection closed by 127.0.0.1 port 2222"] {
            let error = diagnose("h", None, Some(255), format!("{warnings}{reason}").as_bytes());
            let Error::Ssh { stderr, .. } = &error else { panic!("{error:?}") };
            assert_eq!(stderr, reason);
        }
        let shell = diagnose("h", None, Some(1), warnings.as_bytes()).to_string();
        assert!(!shell.contains("ssh said"), "{shell}");
    }
}
