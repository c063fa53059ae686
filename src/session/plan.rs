//! A session: which processes boot together, in which order, and what a failure does.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::Deserialize;

use crate::model::check;
use crate::model::error::{Error, Result};
use crate::model::request::BootRequest;
use crate::model::role::Role;

/// What the boot of a session does when a stage has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OnFailure {
    /// The boot stops. It cancels the starts that are not done, and leaves what runs.
    #[default]
    Stop,
    /// The boot stops, and ends all processes that it has started, in the shutdown order.
    RollBack,
    /// The boot goes on with the next stage.
    Continue,
}

/// The processes that boot together, and how they boot.
///
/// [`Manager::start_session`](crate::Manager::start_session) boots a session.
///
/// ```
/// use sshpm::{BootRequest, OnFailure, Role, Session};
/// let server = BootRequest::new("daq-1", ["connection-server"]).role(Role::InfrastructureApplications);
/// let readout = BootRequest::new("daq-2", ["readout"]).role(Role::Application);
/// let session = Session::new()
///     .process("server", server)
///     .process("readout-1", readout.clone())
///     .process("readout-2", readout)
///     .minimum(Role::Application, 1)
///     .on_failure(OnFailure::RollBack);
/// session.check()?;
/// # Ok::<(), sshpm::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub(crate) processes: Vec<(String, BootRequest)>,
    pub(crate) order: Option<Vec<Role>>,
    pub(crate) minimum: HashMap<Role, usize>,
    pub(crate) on_failure: OnFailure,
    pub(crate) timeout: Duration,
}

impl Default for Session {
    fn default() -> Session {
        Session {
            processes: Vec::new(),
            order: None,
            minimum: HashMap::new(),
            on_failure: OnFailure::default(),
            timeout: Duration::MAX,
        }
    }
}

impl Session {
    /// Returns a session without processes.
    pub fn new() -> Session {
        Session::default()
    }

    /// Adds a process. The uuid is that of [`Manager::start_process`](crate::Manager::start_process).
    pub fn process(mut self, uuid: impl Into<String>, request: BootRequest) -> Session {
        self.processes.push((uuid.into(), request));
        self
    }

    /// Sets the order in which the boot starts roles, one stage for each role. Processes of roles that it does not name
    /// start first, together. Default: the manager's [shutdown order](crate::Options::shutdown_order) in reverse, so
    /// that the processes that end last start first.
    pub fn order(mut self, order: impl Into<Vec<Role>>) -> Session {
        self.order = Some(order.into());
        self
    }

    /// Sets how many processes of a role are enough: the role is complete when so many of its processes are ready, and
    /// fails when so many cannot become ready any more. Then [`critical`](BootRequest::critical) does not count for its
    /// processes. The last call for a role counts. Default: each critical process of the role must be ready.
    pub fn minimum(mut self, role: Role, processes: usize) -> Session {
        self.minimum.insert(role, processes);
        self
    }

    /// Sets what the boot does when a stage has failed. With [`OnFailure::RollBack`], the boot also ends its processes
    /// when it is cancelled or its time is over. Default: it stops, and leaves what runs.
    pub fn on_failure(mut self, action: OnFailure) -> Session {
        self.on_failure = action;
        self
    }

    /// Sets how long all stages together may take. When the time is over, the boot stops, although its processes
    /// may have time left to start and to be ready. Default: no limit but those of the processes.
    pub fn timeout(mut self, timeout: Duration) -> Session {
        self.timeout = timeout;
        self
    }

    /// Returns the processes, with their uuids, in the order in which they were added.
    pub fn processes(&self) -> &[(String, BootRequest)] {
        &self.processes
    }

    /// Checks all values, as [`start_session`](crate::Manager::start_session) does before it starts anything.
    ///
    /// # Errors
    /// [`Error::Invalid`], with the field and the value. The field of a process begins with its index, as in
    /// `processes[3].host`.
    pub fn check(&self) -> Result<()> {
        self.check_processes("processes")?;
        self.check_options()
    }

    /// Checks the processes, which the list of this name has.
    pub(super) fn check_processes(&self, list: &str) -> Result<()> {
        let mut uuids = HashSet::new();
        for (at, (uuid, request)) in self.processes.iter().enumerate() {
            let place = || format!("{list}[{at}]");
            check::uuid(uuid).and_then(|()| request.check()).map_err(|error| error.inside(&place()))?;
            if !uuids.insert(uuid) {
                let reason = "must be unique: another process of the session has this uuid";
                return Err(Error::invalid("uuid", uuid, reason).inside(&place()));
            }
        }
        Ok(())
    }

    /// Checks everything but the processes.
    pub(super) fn check_options(&self) -> Result<()> {
        let order = self.order.as_deref().unwrap_or_default();
        for (at, role) in order.iter().enumerate() {
            if order[..at].contains(role) {
                return Err(Error::invalid("order", role.as_str(), "must name each role at most once"));
            }
        }
        for (role, minimum) in &self.minimum {
            let count = self.processes.iter().filter(|(_, request)| request.role == *role).count();
            if *minimum > count {
                let reason = format!("must be at most {count}, the number of processes with this role");
                return Err(Error::invalid(format!("minimum.{role}"), minimum.to_string(), reason));
            }
        }
        Ok(())
    }

    /// Returns the indices of the processes, stage by stage. `shutdown_order` is the manager's.
    pub(super) fn stages(&self, shutdown_order: &[Role]) -> Vec<Vec<usize>> {
        let order: Vec<&Role> = match &self.order {
            Some(order) => order.iter().collect(),
            None => shutdown_order.iter().rev().collect(),
        };
        // The first place is for the roles that the order does not name.
        let mut stages = vec![Vec::new(); order.len() + 1];
        for (at, (_, request)) in self.processes.iter().enumerate() {
            let place = order.iter().position(|role| **role == request.role).map_or(0, |place| place + 1);
            stages[place].push(at);
        }
        stages.retain(|stage| !stage.is_empty());
        stages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_roles<const N: usize>(roles: [Role; N]) -> Session {
        let add = |session: Session, (at, role): (usize, Role)| {
            session.process(format!("p{at}"), BootRequest::new("h", ["a"]).role(role))
        };
        roles.into_iter().enumerate().fold(Session::new(), add)
    }

    fn refused(session: &Session) -> String {
        session.check().unwrap_err().to_string()
    }

    #[test]
    fn stages_follow_the_shutdown_order_in_reverse() {
        let monitor = Role::Custom("monitor".into());
        let session = of_roles([
            Role::Application,
            Role::InfrastructureApplications,
            Role::Unknown,
            Role::RootController,
            Role::Application,
            monitor.clone(),
        ]);
        let stages = |session: &Session| session.stages(&Role::SHUTDOWN_ORDER);
        assert_eq!(stages(&session), [vec![5], vec![1], vec![3], vec![0, 4], vec![2]]);
        let own = session.clone().order([Role::RootController, monitor, Role::Application]);
        assert_eq!(stages(&own), [vec![1, 2], vec![3], vec![5], vec![0, 4]]);
        assert_eq!(stages(&session.order([])), [vec![0, 1, 2, 3, 4, 5]]);
        assert!(stages(&Session::new()).is_empty());
    }

    #[test]
    fn every_refusal_names_its_place_and_its_value() {
        let session = of_roles([Role::Application, Role::Application]);
        session.check().unwrap();
        let again = session.clone().process("p0", BootRequest::new("h", ["a"]));
        assert!(refused(&again).starts_with("invalid processes[2].uuid \"p0\": must be unique"), "{}", refused(&again));
        let slash = session.clone().process("a/b", BootRequest::new("h", ["a"]));
        assert!(refused(&slash).starts_with("invalid processes[2].uuid \"a/b\""), "{}", refused(&slash));
        let host = session.clone().process("p2", BootRequest::new("-h", ["a"]));
        assert!(refused(&host).starts_with("invalid processes[2].host \"-h\""), "{}", refused(&host));
        let twice = session.clone().order([Role::Application, Role::Application]);
        assert_eq!(refused(&twice), "invalid order \"application\": must name each role at most once");
        let many = session.clone().minimum(Role::Application, 3);
        let text = "invalid minimum.application \"3\": must be at most 2, the number of processes with this role";
        assert_eq!(refused(&many), text);
        session.minimum(Role::Application, 2).check().unwrap();
    }
}
