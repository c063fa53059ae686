//! How ssh failed.

use std::fmt;

/// How ssh failed, told from its messages (OpenSSH 7.4 to 10; ssh has one exit code, 255, for all of these).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SshFailure {
    /// The name has no address.
    NameNotResolved,
    /// Nothing listens there.
    Refused,
    /// No route to the host or its network.
    Unreachable,
    /// No answer in the connect timeout.
    TimedOut,
    /// The host did not accept this user by any key, ticket or agent that ssh could offer without asking.
    AuthenticationFailed,
    /// The host would take a Kerberos ticket, and there is none, or it has expired.
    NoTicket,
    /// The host's key is in no known_hosts file, and the policy is to refuse such hosts.
    HostKeyUnknown,
    /// The host's key is not the one in known_hosts.
    HostKeyChanged,
    /// sshd dropped the connection before it was one (MaxStartups, PerSourceMaxStartups), until the connect timeout.
    Throttled,
    /// The ssh program was not found or could not be executed.
    SshNotFound,
    /// ssh does not accept its configuration or options.
    Configuration,
    /// The connection closed, for a reason that ssh's message does not name.
    Closed,
    /// The login works, but the login shell ended before the wrapper began, with this exit code: an account without
    /// a shell, a forced command, start-up files that exit.
    RemoteShell(i32),
    /// Anything else: the message is in [`Error::Ssh`](crate::Error::Ssh).
    Other,
}

impl fmt::Display for SshFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SshFailure::NameNotResolved => "the name is not resolved; check its spelling, ssh_config and DNS",
            SshFailure::Refused => "connection refused; does sshd run there, on that port?",
            SshFailure::Unreachable => "the host is unreachable; check the network and the host's power",
            SshFailure::TimedOut => "no answer in the connect timeout; is the host up, and no firewall between?",
            SshFailure::AuthenticationFailed => {
                "authentication failed; a login without questions must work (key, agent or Kerberos ticket)"
            }
            SshFailure::NoTicket => {
                "authentication failed, and the Kerberos ticket has expired, or there is none; run kinit"
            }
            SshFailure::HostKeyUnknown => {
                "the host key is not known; log in once by hand, or choose the policy accept-new"
            }
            SshFailure::HostKeyChanged => "the host key has changed; find out why, then mend known_hosts",
            SshFailure::Throttled => "sshd dropped the connections that were being opened; raise its MaxStartups",
            SshFailure::SshNotFound => "the ssh program cannot be executed; install openssh-client, or set its path",
            SshFailure::Configuration => "ssh refuses its configuration; mend ssh_config or the extra options",
            SshFailure::Closed => "the connection was closed; sshd's log tells more",
            SshFailure::RemoteShell(code) => {
                return write!(
                    f,
                    "the login shell ended with {code} before anything was started; \
                     does the account have a shell, and do its start-up files let commands pass?"
                );
            }
            SshFailure::Other => "ssh failed",
        })
    }
}
