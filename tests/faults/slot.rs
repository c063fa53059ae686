//! One process of the session, and the log of its application. The process is started again after it has ended.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::host::Host;
use crate::output::{self, Extent};
use crate::recorder::{self, Excuses, Life};
use crate::support::ProcessInfo;

/// The kind of a process. A session has some of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Plain,
    /// Its output goes to a file on the disk that a fault fills.
    Logged,
    /// It ignores HUP and QUIT, so that a kill ends it with KILL after its grace time.
    Stubborn,
    /// It has children that only a signal to its process group ends.
    Parent,
}

/// What happens to a process when its link or its manager is lost.
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

    /// Whether the process continues when its manager was killed.
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
    /// The number of the last start. Each start has a log of its own.
    generation: usize,
    log: PathBuf,
    /// The file that its output goes to, if any.
    log_file: Option<PathBuf>,
    /// Chooses the pattern of its output.
    key: u64,
}

/// The next free key. Each stream of each start has a key, and so a pattern, of its own.
static NEXT_KEY: AtomicU64 = AtomicU64::new(1);

impl Slot {
    pub fn new(uuid: String, kind: Kind, policy: Policy) -> Slot {
        Slot {
            uuid,
            kind,
            policy,
            excuses: Excuses::default(),
            generation: 0,
            log: PathBuf::new(),
            log_file: None,
            key: 0,
        }
    }

    /// Returns the command that starts the process again, and begins a new log.
    pub fn start_command(&mut self, host: &Host) -> String {
        self.generation += 1;
        self.excuses = Excuses::default();
        let log = host.log(&format!("{}.{}", self.uuid, self.generation));
        self.log = host.remote.local(&log);
        self.key = NEXT_KEY.fetch_add(2, Ordering::Relaxed);
        // Earlier output is removed, because the disk is small.
        self.log_file.take().map(fs::remove_file);
        let output = match self.kind {
            Kind::Logged => {
                let output = host.remote.scratch().join(format!("{}.{}.out", self.uuid, self.generation));
                self.log_file = Some(host.remote.local(&output));
                output.display().to_string()
            }
            Kind::Plain | Kind::Stubborn | Kind::Parent => "-".to_owned(),
        };
        let grace = match self.kind {
            Kind::Plain | Kind::Logged | Kind::Parent => 2000,
            Kind::Stubborn => 1000,
        };
        let first = match self.kind {
            Kind::Stubborn => "ignore HUP,QUIT ",
            Kind::Parent => "fork 2 ",
            Kind::Plain | Kind::Logged => "",
        };
        let (app, policy) = (host.remote.app(), self.policy.word());
        let (uuid, app, log, key) = (&self.uuid, app.display(), log.display(), self.key);
        format!("start {uuid} {} {grace} {policy} {output} {app} {first}speak {key} record {log} 100", host.name)
    }

    /// Returns the pids of the shells that link a kept process to its manager. They stand in the names of its files.
    pub fn links(&self, files: &[PathBuf]) -> Vec<i32> {
        let names = files.iter().filter_map(|file| file.file_name()?.to_str());
        let own = names.filter_map(|name| name.strip_prefix(&self.uuid)?.strip_prefix('.'));
        own.filter_map(|rest| rest.split_once(".l.")?.1.split('.').next()?.parse().ok()).collect()
    }

    pub fn has_log_file(&self) -> bool {
        self.log_file.is_some()
    }

    /// Compares what the application wrote with what arrived in its log file, or at the manager, which has reported the
    /// exit. Returns how many bytes are right.
    pub fn check_output(&self, life: &Life, streams: Option<[Vec<u8>; 2]>, extent: Extent) -> Result<u64, String> {
        match (&self.log_file, streams) {
            (Some(file), _) => {
                let content = fs::read(file).map_err(|error| format!("could not read the log file: {error}"))?;
                output::check_log_file(self.key, life, &content)
            }
            (None, Some(streams)) => output::check_streams(self.key, life, extent, &streams),
            (None, None) => Err("its exit was reported without its output".into()),
        }
    }

    /// Sends a signal to the application, without the manager.
    pub fn signal(&self, signal: i32) {
        if let Some(process) = self.life().and_then(|life| ProcessInfo::of(life.pid)) {
            let _ = process.signal(signal);
        }
    }

    /// Returns the last run in the log of the last start.
    pub fn life(&self) -> Option<Life> {
        recorder::read(&self.log).pop()
    }
}
