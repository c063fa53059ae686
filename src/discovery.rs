//! Applications that managers have left on a host: they are found, adopted, or ended and removed.

use std::sync::Arc;
use std::time::Duration;

use crate::check;
use crate::collect;
use crate::error::{Error, Result};
use crate::event::refuse_inside_callback;
use crate::exit_status::{ClientEnd, ExitSource, ExitStatus};
use crate::instance::Instance;
use crate::link_loss::LinkLossPolicy;
use crate::manager::{Manager, wait};
use crate::metadata::{LARGEST, ProcessMetadata};
use crate::output::Head;
use crate::parameters;
use crate::process::{self, Announcement, Process};
use crate::remote::{Flow, Place, Script};
use crate::report::{Cleaned, Found, Piece, Report};
use crate::request::BootRequest;
use crate::role::Role;
use crate::script::short_script;
use crate::seats::Kind;
use crate::seconds;
use crate::seconds::whole_seconds;
use crate::state::State;
use crate::sys;
use crate::watcher::Remote;
use crate::wrapper::{CLEAN_UP, LIST};

/// How long a host may take to list what it has, or to remove it, beside what it waits for.
const HOST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the end of one may take beyond its grace: KILL and its wrapper's clean-up, 2 s each, and those that left its group.
const EACH: Duration = Duration::from_secs(8);
/// More applications than a host has. What a hostile host lists beyond them is dropped.
const MOST_FOUND: usize = 10_000;
/// More bytes than the metadata of that many applications have.
const MOST_METADATA: usize = 16 << 20;

/// An application that has a metadata file on its host.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FoundProcess {
    /// Its name.
    pub uuid: String,
    /// What its metadata file says.
    pub metadata: ProcessMetadata,
    /// What became of it.
    pub state: FoundState,
}

/// What became of an application that was found on a host.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum FoundState {
    /// It runs, and its manager lives; or its time since that died is not over.
    Managed,
    /// It runs, it is kept, and no manager has it: it can be adopted.
    Unmanaged,
    /// It runs, and its wrapper is gone or can no longer receive commands: no manager can reach it. `clean_up_host` ends it.
    Orphaned,
    /// It has ended, and no manager has been told how; it can be adopted, for that and for its output.
    Ended(ExitStatus),
    /// It is not there any more: its pid is nobody's or another's, or the host was booted since.
    Gone,
}

/// What became of an application when its host was cleaned up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CleanUp {
    /// It has a manager, and was left alone.
    Managed,
    /// It was ended, and what it left was removed.
    Ended,
    /// It had ended before; what it left was removed.
    Removed,
    /// It could not be ended.
    StillRunning,
}

/// One application of a host that was cleaned up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CleanedUp {
    /// Its name.
    pub uuid: String,
    /// What became of it.
    pub outcome: CleanUp,
    /// The pids of those that could not be ended, its own or of what it started: eight of them at the most.
    pub left: Vec<i64>,
}

impl Manager {
    /// Lists the applications of this user that have a metadata file on a host: those of all managers, of dead ones too. Who
    /// lives is checked by pid, start time and boot. The list has at most 10,000 applications and 16 MiB of metadata; what
    /// a host lists beyond that is dropped. Files that are no metadata are left out, and one warning in the log counts
    /// them. Blocks, at most for the connect timeout and 60 s.
    ///
    /// # Errors
    /// [`Error::Ssh`], [`Error::Invalid`], [`Error::Local`], [`Error::InsideCallback`].
    pub fn find_processes(&self, host: &str, user: Option<&str>) -> Result<Vec<FoundProcess>> {
        refuse_inside_callback()?;
        self.find_on(host, user, "*")
    }

    /// Adopts a kept process ([`LinkLossPolicy::Keep`]) that no manager controls, and returns its start number, as
    /// [`start_process`](Manager::start_process) does. All calls of this manager work on it then. Its output is read
    /// from the beginning. If it has ended in the meantime, its end is reported like any other. Blocks, at most for
    /// twice the connect timeout and twice 60 s.
    ///
    /// # Errors
    /// [`Error::UuidInUse`], [`Error::NotAdoptable`], [`Error::TakenOver`], [`Error::TimedOut`], [`Error::ShutDown`],
    /// [`Error::Detached`] when the manager lets go of all meanwhile, [`Error::Ssh`], [`Error::Invalid`], [`Error::Local`], [`Error::InsideCallback`].
    pub fn adopt_process(&self, uuid: &str, host: &str, user: Option<&str>) -> Result<u64> {
        refuse_inside_callback()?;
        check::uuid(uuid)?;
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
            _ if metadata.link_loss != LinkLossPolicy::Keep => return refuse("its link loss policy is to be ended"),
            _ => {}
        }
        let request = request_of(metadata, host, user);
        let instance = Instance { uuid: uuid.to_owned(), id: metadata.instance.clone() };
        let remote =
            Remote { pid: metadata.pid, start_time: metadata.start_time.clone(), boot_id: metadata.boot_id.clone() };
        let launcher = self.shared.options().launcher_of(host).clone();
        launcher.check_policy(LinkLossPolicy::Keep)?;
        let process = Process::adopted(instance, request, launcher, metadata.pid);
        if let Some(user) = user_of(metadata) {
            process.set_user(user.to_owned());
        }
        let process = self.watch(process, Some(remote))?;
        self.await_adoption(&process)?;
        Ok(process.start_number)
    }

    fn await_adoption(&self, process: &Arc<Process>) -> Result<()> {
        let timeout = self.shared.options().connect_timeout.saturating_add(HOST_TIMEOUT);
        let answer = wait(process, timeout, || match (process.outcome_after(Announcement::Queued), process.state()) {
            (Some(Err(error)), _) => Some(Err(error)),
            (Some(Ok(_)), _) => Some(Ok(())),
            // What is settled is not told yet: it may be refused.
            (None, state) if state == State::LinkLost || state.is_settled() => None,
            (None, _) => Some(Ok(())),
        });
        let what = || format!("the adoption of process {:?}", process.uuid());
        let answer = answer.unwrap_or_else(|| Err(Error::TimedOut { what: what(), waited: timeout }));
        if answer.is_err() {
            process.release();
            self.shared.pool.wake();
            self.remove(process);
        }
        answer
    }

    /// Ends the applications of this user on a host that no manager can reach, by HUP and after `grace` (in whole seconds)
    /// KILL, and removes what they and their managers left. Those that a manager can reach are left alone; one whose link is
    /// lost at this moment cannot be reached, whether or not its manager lives. With `kill_tree`, it also ends what they
    /// started and what left their process groups; see [`BootRequest::kill_tree`]. It returns results for at most
    /// 10,000 applications. Blocks, at most for the connect timeout and 60 s, twice, and the grace of each and 8 s.
    ///
    /// # Errors
    /// [`Error::Ssh`], [`Error::Invalid`], [`Error::Local`], [`Error::InsideCallback`].
    pub fn clean_up_host(
        &self,
        host: &str,
        user: Option<&str>,
        grace: Duration,
        kill_tree: bool,
    ) -> Result<Vec<CleanedUp>> {
        refuse_inside_callback()?;
        let target = self.shared.target(host, user, None)?;
        let seconds = whole_seconds(grace).to_string();
        let tree = if kill_tree { "1" } else { "" };
        let values = [(parameters::GRACE, seconds.as_bytes()), (parameters::KILL_TREE, tree.as_bytes())];
        let line = |nonce: &_| short_script(nonce, &values, CLEAN_UP);
        let each = grace
            .saturating_add(EACH)
            .saturating_mul(u32::try_from(self.find_on(host, user, "*")?.len()).unwrap_or(u32::MAX));
        let timeout = self.shared.options().connect_timeout.saturating_add(HOST_TIMEOUT).saturating_add(each);
        let script = Script::new(Place { target, deadline: sys::deadline(timeout) }, Kind::Long, &line);
        let mut cleaned = Vec::new();
        collect::until(&Report::Clean, &self.shared, &script, &mut |piece| match piece {
            Piece::Report(Report::Cleaned { uuid, outcome, left }) if cleaned.len() < MOST_FOUND => {
                cleaned.push(CleanedUp { uuid, outcome: outcome.into(), left });
                Flow::GoOn
            }
            _ => Flow::GoOn,
        })?;
        Ok(cleaned)
    }

    fn find_on(&self, host: &str, user: Option<&str>, uuid: &str) -> Result<Vec<FoundProcess>> {
        let target = self.shared.target(host, user, Some(uuid).filter(|uuid| *uuid != "*"))?;
        let values = [(parameters::UUID, uuid.as_bytes())];
        let line = |nonce: &_| short_script(nonce, &values, LIST);
        let timeout = self.shared.options().connect_timeout.saturating_add(HOST_TIMEOUT);
        let script = Script::new(Place { target, deadline: sys::deadline(timeout) }, Kind::Short, &line);
        let mut listing = Listing::default();
        collect::until(&Report::Eof, &self.shared, &script, &mut |piece| match piece {
            Piece::Report(Report::Found { uuid, state }) => {
                listing.begin(uuid, state);
                Flow::GoOn
            }
            Piece::Data(bytes) => {
                listing.metadata(bytes);
                Flow::GoOn
            }
            _ => Flow::GoOn,
        })?;
        Ok(listing.finish(host))
    }
}

/// The applications that a host lists: each is a report, and then the content of its metadata file.
#[derive(Default)]
struct Listing {
    found: Vec<FoundProcess>,
    /// The one whose metadata is arriving.
    current: Option<(String, Found, Head)>,
    /// How many bytes of metadata have come.
    metadata_length: usize,
    /// How many files are no metadata, and what is wrong with the first of them.
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
            log::warn!("{host}: {count} of its metadata files cannot be used; of the first one: {first}");
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

/// The user, unless the file has what no user is called.
fn user_of(metadata: &ProcessMetadata) -> Option<&str> {
    check::user(&metadata.user).is_ok().then_some(&metadata.user)
}

/// What of a boot request is needed of a process that runs.
fn request_of(metadata: &ProcessMetadata, host: &str, user: Option<&str>) -> BootRequest {
    let mut request = BootRequest::new(host, Vec::<String>::new())
        .name(&metadata.name)
        .session(&metadata.session)
        .tree_id(&metadata.tree_id)
        .role(Role::from_name(&metadata.role).unwrap_or(Role::Unknown))
        .link_loss(LinkLossPolicy::Keep)
        .grace(seconds::to_duration(metadata.grace).unwrap_or_default());
    request.user = user.map(str::to_owned);
    request.log_file = metadata.log_file.clone();
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
