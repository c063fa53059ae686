//! One process of the session: its place, and what its application's log says.

use std::path::PathBuf;

use crate::host::Host;
use crate::recorder::{self, Excuses, Life};

/// What sort of process it is; a session has some of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Plain,
    /// Its output goes to a file on the disk that gets full.
    Logged,
    /// Only KILL ends it, after its grace.
    Stubborn,
    /// It has children that end only with its group.
    Parent,
}

/// What becomes of it when its link or its manager is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    Terminate,
    Keep,
}

impl Policy {
    pub fn word(self) -> &'static str {
        match self {
            Policy::Terminate => "terminate",
            Policy::Keep => "keep",
        }
    }

    /// Whether it is to go on when its manager was killed.
    pub fn outlives_manager(self) -> bool {
        match self {
            Policy::Terminate => false,
            Policy::Keep => true,
        }
    }
}

#[derive(Debug)]
pub struct Slot {
    pub uuid: String,
    pub kind: Kind,
    pub policy: Policy,
    pub excuses: Excuses,
    /// Each start has a log of its own.
    generation: usize,
    log: PathBuf,
}

impl Slot {
    pub fn new(uuid: String, kind: Kind, policy: Policy) -> Slot {
        Slot { uuid, kind, policy, excuses: Excuses::default(), generation: 0, log: PathBuf::new() }
    }

    /// The command that starts it anew.
    pub fn start_command(&mut self, host: &Host) -> String {
        self.generation += 1;
        self.excuses = Excuses::default();
        let log = host.log(&format!("{}.{}", self.uuid, self.generation));
        self.log = host.remote.local(&log);
        let output = host.remote.scratch().join(format!("{}.out", self.uuid));
        let (grace, output) = match self.kind {
            Kind::Plain | Kind::Parent => (2000, "-".to_owned()),
            Kind::Logged => (2000, output.display().to_string()),
            Kind::Stubborn => (1000, "-".to_owned()),
        };
        let first = match self.kind {
            Kind::Stubborn => "ignore HUP,QUIT ",
            Kind::Parent => "fork 2 ",
            Kind::Plain | Kind::Logged => "",
        };
        let (app, policy) = (host.remote.app(), self.policy.word());
        let (uuid, app, log) = (&self.uuid, app.display(), log.display());
        format!("start {uuid} {} {grace} {policy} {output} {app} {first}record {log} 100", host.name)
    }

    /// The pids of the shells that link one that is kept to its manager: they are in the names of its files.
    pub fn links(&self, files: &[PathBuf]) -> Vec<i32> {
        let names = files.iter().filter_map(|file| file.file_name()?.to_str());
        let own = names.filter_map(|name| name.strip_prefix(&self.uuid)?.strip_prefix('.'));
        own.filter_map(|rest| rest.split_once(".l.")?.1.split('.').next()?.parse().ok()).collect()
    }

    pub fn life(&self) -> Option<Life> {
        recorder::read(&self.log).pop()
    }
}
