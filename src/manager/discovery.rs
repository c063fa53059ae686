//! The manager's calls that find processes on hosts, adopt kept ones, and clean up what dead managers have left.

use std::sync::Arc;
use std::time::Duration;

use crate::connect::call::{ScriptRun, SinkAction};
use crate::connect::seats::Kind;
use crate::local::sys;
use crate::manager::collect;
use crate::manager::metadata::{LARGEST, ProcessMetadata};
use crate::manager::{Manager, wait};
use crate::model::callback_thread::refuse_inside_callback;
use crate::model::check;
use crate::model::error::{Error, Result};
use crate::model::exit_status::{ClientEnd, ExitSource, ExitStatus};
use crate::model::link_loss::LinkLossPolicy;
use crate::model::output::Head;
use crate::model::request::BootRequest;
use crate::model::role::Role;
use crate::model::time;
use crate::remote::instance::Instance;
use crate::remote::parameters;
use crate::remote::report::{Cleaned, Found, Piece, Report};
use crate::remote::script::short_script;
use crate::remote::start::{CLEAN_UP, LIST};
use crate::watch::case::Remote;
use crate::watch::process::{self, Announcement, Boot, Process};
use crate::watch::state::State;
use crate::watch::table::Place;

/// How long a host may take to list its processes or to clean up, without the time that the processes take to end.
const HOST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one process may take to end beyond its grace: KILL and its wrapper's clean-up, 2 s each, and the processes
/// that left its group.
const EACH: Duration = Duration::from_secs(8);
/// More processes than a host has. What a hostile host lists beyond them is dropped.
const MOST_FOUND: usize = 10_000;
/// More bytes than the metadata of that many processes have.
const MOST_METADATA: usize = 16 << 20;

/// A process that has a metadata file on its host, as [`Manager::find_processes`] returns it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FoundProcess {
    /// The uuid of the process.
    pub uuid: String,
    /// What the metadata file of the process says.
    pub metadata: ProcessMetadata,
    /// The state of the process, as its host saw it at the time of the call.
    pub state: FoundState,
}

/// The state of a process that was found on a host.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum FoundState {
    /// A manager controls the process, or its manager has gone and the host has not acted on that yet. It runs, or it
    /// has ended and its manager is still reading its output.
    Managed,
    /// The process runs, it is kept, and no manager controls it: [`Manager::adopt_process`] adopts it.
    Unmanaged,
    /// The process runs, but its wrapper is gone or receives no commands, so that no manager can reach it.
    /// [`Manager::clean_up_host`] ends it.
    Orphaned,
    /// The process has ended, with this exit status, and no manager has received the exit. A kept process can be
    /// adopted: then the manager gets the exit and the output.
    Ended(ExitStatus),
    /// The process is not there any more: its pid belongs to no process or to another one, or the host was booted
    /// since.
    Gone,
}

/// What [`Manager::clean_up_host`] did with a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CleanUp {
    /// A manager controls the process: the call did nothing with it.
    Managed,
    /// The call ended the process, and removed its files.
    Ended,
    /// The process had ended before; the call removed its files.
    Removed,
    /// The call could not end the process, for example because it waits inside the kernel, where KILL does not end it.
    /// [`CleanedUp::left`] has its pid.
    StillRunning,
}

/// A process of a host that was cleaned up, as [`Manager::clean_up_host`] returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CleanedUp {
    /// The uuid of the process.
    pub uuid: String,
    /// What the call did with the process.
    pub outcome: CleanUp,
    /// The pids, on the host, of the processes that could not be ended: its own, and those of processes that it
    /// started. At most eight.
    pub left: Vec<i64>,
}

impl Manager {
    /// Returns the processes of a user on a host that have a metadata file: those of all managers, also of dead ones.
    /// If `user` is `None`, ssh chooses the user. The host compares pid, start time and boot to find out which
    /// processes live. The list has at most 10,000 processes and 16 MiB of metadata; what a host lists beyond that is
    /// dropped. Files that are no metadata are left out, and one warning in the log counts them. Blocks, at most for
    /// the connect timeout and 60 s.
    ///
    /// # Errors
    /// [`Error::Ssh`], or [`Error::Launcher`] with another launcher: there was no connection, or no answer in time.
    /// [`Error::Invalid`], [`Error::Local`], [`Error::InsideCallback`].
    pub fn find_processes(&self, host: &str, user: Option<&str>) -> Result<Vec<FoundProcess>> {
        refuse_inside_callback()?;
        self.find_on(host, user, "*")
    }

    /// Adopts a kept process ([`LinkLossPolicy::Keep`]) that no manager controls, and returns its start number, as
    /// [`start_process`](Manager::start_process) does. Then all calls of this manager work on it. The manager gets the
    /// output of the process from the beginning. If the process has ended in the meantime, its exit is reported like
    /// any other. The manager has no request for the process, so it cannot restart it:
    /// [`adopt_process_with_request`](Manager::adopt_process_with_request) gives it one. Blocks, at most for twice the
    /// connect timeout and twice 60 s.
    ///
    /// # Errors
    /// [`Error::UuidInUse`]: this manager has a process with this uuid that has not ended. [`Error::NotAdoptable`]: the
    /// host does not have the process, it is not kept, or its wrapper is gone. [`Error::TakenOver`]: another manager
    /// controls the process. [`Error::TimedOut`]: the host did not answer. [`Error::ShutDown`]: this manager was shut
    /// down or detached before the call; [`Error::Detached`]: during the call. [`Error::Ssh`], or [`Error::Launcher`]
    /// with another launcher: there was no connection. [`Error::Invalid`], [`Error::Local`], [`Error::InsideCallback`].
    pub fn adopt_process(&self, uuid: &str, host: &str, user: Option<&str>) -> Result<u64> {
        refuse_inside_callback()?;
        check::uuid(uuid)?;
        self.adopt(uuid, host, user, Boot::Unknown)
    }

    /// Adopts a kept process as [`adopt_process`](Manager::adopt_process) does, on the host and of the user of this
    /// request. [`restart_process`](Manager::restart_process) and the restart policy of the request start the process
    /// again with it; until then, nothing of the request applies but its policy.
    ///
    /// # Errors
    /// Those of [`adopt_process`](Manager::adopt_process), and [`Error::Invalid`] also for a request that
    /// [`start_process`](Manager::start_process) refuses.
    pub fn adopt_process_with_request(&self, uuid: &str, request: &BootRequest) -> Result<u64> {
        refuse_inside_callback()?;
        let launcher = self.launcher_for(uuid, request)?;
        let boot = Boot::Other(Box::new((request.clone(), launcher)));
        self.adopt(uuid, &request.host, request.user.as_deref(), boot)
    }

    /// Adopts a process, whose next life is started with `boot`.
    fn adopt(&self, uuid: &str, host: &str, user: Option<&str>, boot: Boot) -> Result<u64> {
        // Of a process of this manager, the host would say that a manager controls it.
        self.shared.table.admit(uuid)?;
        let found = self.find_on(host, user, uuid)?;
        let refuse = |reason| Err(Error::NotAdoptable { uuid: uuid.to_owned(), reason });
        let is_there = |found: &&FoundProcess| !matches!(found.state, FoundState::Gone);
        let Some(FoundProcess { metadata, state, .. }) = found.iter().find(is_there) else {
            return refuse("its host does not have it");
        };
        match state {
            FoundState::Managed => return Err(Error::TakenOver { uuid: uuid.to_owned() }),
            FoundState::Orphaned => {
                return refuse("its wrapper is gone, or receives no commands; clean_up_host ends it");
            }
            _ if metadata.link_loss != LinkLossPolicy::Keep => return refuse("its link loss policy is not Keep"),
            _ => {}
        }
        let request = request_of(metadata, host, user);
        let instance = Instance { uuid: uuid.to_owned(), id: metadata.instance.clone() };
        let remote =
            Remote { pid: metadata.pid, start_time: metadata.start_time.clone(), boot_id: metadata.boot_id.clone() };
        let launcher = self.shared.options().launcher_of(host).clone();
        launcher.check_policy(LinkLossPolicy::Keep)?;
        let process = Process::adopted(instance, request, launcher, metadata.pid, boot);
        if let Some(user) = user_of(metadata) {
            process.set_user(user.to_owned());
        }
        let process = self.shared.watch(process, Place::Free, Some(remote))?;
        self.await_adoption(&process)?;
        Ok(process.start_number)
    }

    /// Waits until the host has answered whether this manager has the process now. A process that was not adopted
    /// leaves the table.
    fn await_adoption(&self, process: &Arc<Process>) -> Result<()> {
        let timeout = self.shared.options().connect_timeout.saturating_add(HOST_TIMEOUT);
        let answer = wait(process, timeout, || match (process.outcome_after(Announcement::Queued), process.state()) {
            (Some(Err(error)), _) => Some(Err(error)),
            (Some(Ok(_)), _) => Some(Ok(())),
            // A settled process is not announced yet: the host may still refuse the adoption.
            (None, state) if state == State::LinkLost || state.is_settled() => None,
            (None, _) => Some(Ok(())),
        });
        let what = || format!("the adoption of process {:?}", process.uuid());
        let answer = answer.unwrap_or_else(|| Err(Error::TimedOut { what: what(), waited: timeout }));
        if answer.is_err() {
            process.release();
            self.shared.pool.wake();
            self.shared.table.remove(process);
        }
        answer
    }

    /// Ends the processes of a user on a host that no manager controls, whichever program started them, removes the
    /// files of these processes and of ended ones, and returns what it did with each process. If `user` is `None`, ssh
    /// chooses the user. Each process gets HUP, and after `grace`, rounded up to whole seconds, KILL. Processes that a
    /// manager controls are left alone; a kept process whose link is lost at this moment counts as one that no manager
    /// controls, even if its manager lives. With `kill_tree`, the call also ends what these processes started and what
    /// left their process groups; see [`BootRequest::kill_tree`]. There are results for at most 10,000 processes.
    /// Blocks, at most for twice the connect timeout, twice 60 s, and the grace and 8 s for each process.
    ///
    /// # Errors
    /// [`Error::Ssh`], or [`Error::Launcher`] with another launcher: there was no connection, or no answer in time.
    /// [`Error::Invalid`], [`Error::Local`], [`Error::InsideCallback`].
    pub fn clean_up_host(
        &self,
        host: &str,
        user: Option<&str>,
        grace: Duration,
        kill_tree: bool,
    ) -> Result<Vec<CleanedUp>> {
        refuse_inside_callback()?;
        let target = self.shared.target(host, user, None)?;
        let seconds = time::whole_seconds(grace).to_string();
        let tree = if kill_tree { "1" } else { "" };
        let values = [(parameters::GRACE, seconds.as_bytes()), (parameters::KILL_TREE, tree.as_bytes())];
        let line = |nonce: &_| short_script(nonce, &values, CLEAN_UP);
        let each = grace
            .saturating_add(EACH)
            .saturating_mul(u32::try_from(self.find_on(host, user, "*")?.len()).unwrap_or(u32::MAX));
        let timeout = self.shared.options().connect_timeout.saturating_add(HOST_TIMEOUT).saturating_add(each);
        let script = ScriptRun::new(target, sys::deadline(timeout), Kind::Long, &line);
        let mut cleaned = Vec::new();
        collect::until(&Report::Clean, &self.shared.pool, &script, &mut |piece| match piece {
            Piece::Report(Report::Cleaned { uuid, outcome, left }) if cleaned.len() < MOST_FOUND => {
                cleaned.push(CleanedUp { uuid, outcome: outcome.into(), left });
                SinkAction::Continue
            }
            _ => SinkAction::Continue,
        })?;
        Ok(cleaned)
    }

    /// Returns the processes on a host that have this uuid; `*` stands for all.
    fn find_on(&self, host: &str, user: Option<&str>, uuid: &str) -> Result<Vec<FoundProcess>> {
        let target = self.shared.target(host, user, Some(uuid).filter(|uuid| *uuid != "*"))?;
        let values = [(parameters::UUID, uuid.as_bytes())];
        let line = |nonce: &_| short_script(nonce, &values, LIST);
        let timeout = self.shared.options().connect_timeout.saturating_add(HOST_TIMEOUT);
        let script = ScriptRun::new(target, sys::deadline(timeout), Kind::Short, &line);
        let mut listing = Listing::default();
        collect::until(&Report::Eof, &self.shared.pool, &script, &mut |piece| match piece {
            Piece::Report(Report::Found { uuid, state }) => {
                listing.begin(uuid, state);
                SinkAction::Continue
            }
            Piece::Data(bytes) => {
                listing.metadata(bytes);
                SinkAction::Continue
            }
            _ => SinkAction::Continue,
        })?;
        Ok(listing.finish(host))
    }
}

/// The processes that a host lists: for each process, the host sends a report, and then the content of its metadata
/// file.
#[derive(Default)]
struct Listing {
    found: Vec<FoundProcess>,
    /// The process whose metadata is arriving.
    current: Option<(String, Found, Head)>,
    /// How many bytes of metadata have arrived.
    metadata_length: usize,
    /// The number of files that are no metadata, and what is wrong with the first of them.
    bad: Option<(usize, Error)>,
}

impl Listing {
    fn begin(&mut self, uuid: String, state: Found) {
        self.end_current();
        if self.found.len() < MOST_FOUND {
            self.current = Some((uuid, state, Head::of(LARGEST.min(MOST_METADATA - self.metadata_length))));
        }
    }

    fn metadata(&mut self, bytes: &[u8]) {
        if let Some((_, _, json)) = &mut self.current {
            self.metadata_length += json.push(bytes);
        }
    }

    fn end_current(&mut self) {
        let Some((uuid, state, json)) = self.current.take() else { return };
        match ProcessMetadata::from_json(&uuid, &json.into_bytes()) {
            Ok(metadata) => self.found.push(found(uuid, state, metadata)),
            Err(error) => {
                let (count, first) = self.bad.take().unwrap_or((0, error));
                self.bad = Some((count + 1, first));
            }
        }
    }

    fn finish(mut self, host: &str) -> Vec<FoundProcess> {
        self.end_current();
        if let Some((count, first)) = self.bad {
            log::warn!("{host}: {count} metadata files cannot be used; the first error is: {first}");
        }
        self.found
    }
}

fn found(uuid: String, state: Found, metadata: ProcessMetadata) -> FoundProcess {
    let state = match state {
        Found::Attended => FoundState::Managed,
        Found::Left => FoundState::Unmanaged,
        Found::Orphaned => FoundState::Orphaned,
        Found::Gone => FoundState::Gone,
        Found::Ended(end) => {
            let who = process::describe(&metadata.name, &uuid, &metadata.session, user_of(&metadata));
            let source = ExitSource::RemoteMonitoring;
            FoundState::Ended(ExitStatus::new(source, ClientEnd::NotStarted, Some(end), false, who.into()))
        }
    };
    FoundProcess { uuid, metadata, state }
}

/// Returns the user, unless the file has a text that cannot be the name of a user.
fn user_of(metadata: &ProcessMetadata) -> Option<&str> {
    check::user(&metadata.user).is_ok().then_some(&metadata.user)
}

/// Returns a boot request for a process that runs: it has only what is still needed of it.
fn request_of(metadata: &ProcessMetadata, host: &str, user: Option<&str>) -> BootRequest {
    let mut request = BootRequest::new(host, Vec::<String>::new())
        .name(&metadata.name)
        .session(&metadata.session)
        .tree_id(&metadata.tree_id)
        .role(Role::from_name(&metadata.role).unwrap_or(Role::Unknown))
        .link_loss(LinkLossPolicy::Keep)
        .grace(time::to_duration(metadata.grace).unwrap_or_default());
    request.user = user.map(str::to_owned);
    request.log_file = metadata.log_file.clone();
    request.ready = metadata.ready.clone();
    request.ready_timeout = time::to_duration(metadata.ready_timeout);
    request
}

impl From<Cleaned> for CleanUp {
    fn from(cleaned: Cleaned) -> CleanUp {
        match cleaned {
            Cleaned::Attended => CleanUp::Managed,
            Cleaned::Ended => CleanUp::Ended,
            Cleaned::Running => CleanUp::StillRunning,
            Cleaned::Removed => CleanUp::Removed,
        }
    }
}
