//! The ways in which ssh can fail.

use std::fmt;

/// How ssh failed.
///
/// sshpm concludes it from the messages of OpenSSH 7.4 to 10, because ssh has one exit code, 255, for all its failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SshFailure {
    /// The host name has no address.
    NameNotResolved,
    /// Nothing listens on the host's ssh port.
    Refused,
    /// There is no route to the host or its network.
    Unreachable,
    /// The host did not answer in time: ssh got no answer within the connect timeout, or the login and the answer took
    /// longer than the call could block.
    TimedOut,
    /// The host accepted none of the keys and tickets that ssh could offer for this user without asking.
    AuthenticationFailed,
    /// The host would accept a Kerberos ticket, but there is none or it has expired.
    NoTicket,
    /// The host's key is in no known_hosts file, and the host key policy refuses unknown keys.
    HostKeyUnknown,
    /// The host's key differs from the key in known_hosts.
    HostKeyChanged,
    /// sshd dropped every connection before it sent its banner (MaxStartups, PerSourceMaxStartups), until the connect
    /// timeout was over.
    Throttled,
    /// The ssh program was not found or could not be executed.
    SshNotFound,
    /// ssh does not accept its configuration or its options.
    Configuration,
    /// The connection closed, for a reason that ssh's message does not name.
    Closed,
    /// ssh logged in, but the login shell ended with this exit code before the wrapper began. Causes are an account
    /// without a shell, a forced command, or start-up files that exit.
    RemoteShell(i32),
    /// ssh failed in another way. Its message is in [`Error::Ssh`](crate::Error::Ssh).
    Other,
}

impl fmt::Display for SshFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SshFailure::NameNotResolved => "could not resolve the host name; check its spelling, ssh_config and DNS",
            SshFailure::Refused => "connection refused; check that sshd runs on the host, on this port",
            SshFailure::Unreachable => "the host is unreachable; check the network and the host's power",
            SshFailure::TimedOut => {
                "the host did not answer in time; check that it is up, that no firewall blocks it, and that its logins \
                 are not slower than the connect timeout"
            }
            SshFailure::AuthenticationFailed => {
                "authentication failed; ssh must be able to log in without asking (by key, agent or Kerberos ticket)"
            }
            SshFailure::NoTicket => {
                "authentication failed, and the Kerberos ticket is missing or has expired; run kinit"
            }
            SshFailure::HostKeyUnknown => {
                "the host key is not known; log in once by hand, or choose the host key policy accept-new"
            }
            SshFailure::HostKeyChanged => "the host key has changed; find out why, then correct known_hosts",
            SshFailure::Throttled => "sshd dropped the connections before their login; raise its MaxStartups",
            SshFailure::SshNotFound => "the ssh program cannot be executed; install openssh-client, or set its path",
            SshFailure::Configuration => "ssh does not accept its configuration; correct ssh_config or the ssh options",
            SshFailure::Closed => "the connection was closed; look for the reason in sshd's log",
            SshFailure::RemoteShell(code) => {
                return write!(
                    f,
                    "the login shell ended with exit code {code} before anything was started; \
                     check that the account has a shell, and that its start-up files do not exit"
                );
            }
            SshFailure::Other => "ssh failed",
        })
    }
}
