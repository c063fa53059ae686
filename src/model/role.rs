//! The roles of processes, and the order in which roles are shut down.

use std::fmt;

use serde::Deserialize;

use crate::model::error::{Error, Result};

/// The purpose of a process, which decides when the process is ended in a shutdown.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(try_from = "String")]
#[non_exhaustive]
pub enum Role {
    /// The role is not known. These processes end first.
    #[default]
    Unknown,
    /// Readout, trigger, dataflow and the like.
    Application,
    /// Controls a segment of applications.
    SegmentController,
    /// Controls the segment controllers.
    RootController,
    /// Services that all others need, such as the connection server. These processes end last.
    InfrastructureApplications,
    /// A role of your own. Its processes end after those of the shutdown order, unless the order names it.
    Custom(String),
}

/// The longest name of a role, in bytes.
const LONGEST: usize = 64;

impl Role {
    /// The order in which roles are ended, unless [`Options::shutdown_order`](crate::Options::shutdown_order) sets
    /// another one: a process ends before those that it depends on.
    pub const SHUTDOWN_ORDER: [Role; 5] = [
        Role::Unknown,
        Role::Application,
        Role::SegmentController,
        Role::RootController,
        Role::InfrastructureApplications,
    ];

    /// Returns the role of this name: `unknown`, `application`, `segment-controller`, `root-controller`,
    /// `infrastructure-applications`, or a name of your own.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is empty, longer than 64 bytes or has control characters.
    pub fn from_name(name: &str) -> Result<Role> {
        if let Some(role) = Role::SHUTDOWN_ORDER.iter().find(|role| role.as_str() == name) {
            return Ok(role.clone());
        }
        if name.is_empty() || name.len() > LONGEST || name.chars().any(char::is_control) {
            return Err(Error::invalid("role", name, "must be a name of 1 to 64 bytes without control characters"));
        }
        Ok(Role::Custom(name.to_owned()))
    }

    /// Returns the role that the place in the session's tree implies. A tree id is the path of segments, joined by
    /// dots.
    ///
    /// | tree id | controller | role |
    /// |---|---|---|
    /// | empty | any | unknown |
    /// | `0` | yes | root-controller |
    /// | begins with `0.` | yes | segment-controller |
    /// | begins with `0.` | no | application |
    /// | any other | any | infrastructure-applications |
    pub fn from_tree_id(tree_id: &str, controller: bool) -> Role {
        match (tree_id, controller) {
            ("", _) => Role::Unknown,
            ("0", true) => Role::RootController,
            (id, true) if id.starts_with("0.") => Role::SegmentController,
            (id, false) if id.starts_with("0.") => Role::Application,
            _ => Role::InfrastructureApplications,
        }
    }

    /// Returns the name of the role.
    pub fn as_str(&self) -> &str {
        match self {
            Role::Unknown => "unknown",
            Role::Application => "application",
            Role::SegmentController => "segment-controller",
            Role::RootController => "root-controller",
            Role::InfrastructureApplications => "infrastructure-applications",
            Role::Custom(name) => name,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Role {
    type Error = Error;

    fn try_from(name: String) -> Result<Role> {
        Role::from_name(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_id_gives_the_role() {
        for (tree_id, controller, role) in [
            ("", true, Role::Unknown),
            ("", false, Role::Unknown),
            ("0", true, Role::RootController),
            ("0", false, Role::InfrastructureApplications),
            ("0.1", true, Role::SegmentController),
            ("0.1.2", false, Role::Application),
            ("1", false, Role::InfrastructureApplications),
            ("1.0", true, Role::InfrastructureApplications),
            ("00.1", false, Role::InfrastructureApplications),
        ] {
            assert_eq!(Role::from_tree_id(tree_id, controller), role, "{tree_id:?} {controller}");
        }
    }

    #[test]
    fn names_go_there_and_back() {
        for role in Role::SHUTDOWN_ORDER {
            assert_eq!(Role::from_name(role.as_str()).unwrap(), role);
        }
        assert_eq!(Role::from_name("monitor").unwrap(), Role::Custom("monitor".into()));
        assert!(Role::from_name("").is_err());
        assert!(Role::from_name("a\nb").is_err());
    }
}
