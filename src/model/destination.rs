//! A user on a host.

use std::fmt;

/// A user on a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    /// The host: a name, an address or an alias of ssh_config.
    pub host: String,
    /// The user; `None` if ssh chooses the user.
    pub user: Option<String>,
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&name(&self.host, self.user.as_deref()))
    }
}

/// Returns the name of a destination in messages, written as for ssh: `user@host`, or the host alone.
pub(crate) fn name(host: &str, user: Option<&str>) -> String {
    match user {
        Some(user) => format!("{user}@{host}"),
        None => host.to_owned(),
    }
}
