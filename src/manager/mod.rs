//! The public calls of the crate, one theme in each file.
//!
//! # What it is for
//! [`Manager`] has the table of processes, starts them, and lets go of them. `kill` ends processes, `query` asks about
//! them, `hosts` checks hosts, `discovery` finds, adopts and cleans up, `metadata` and `log_file` read files of hosts.
//! `collect` reads what a script writes, to its last report.
//!
//! # What it may use
//! All rooms before it: not `session` and `capi`.
//!
//! # Threads
//! Calls run on the thread of the caller. On the dispatcher of exit callbacks, calls that block return an error. The
//! manager joins the watchers, and has at most 16 threads for a call of [`Manager::validate_hosts`]. A [`LogFollower`]
//! has a thread of its own.
//!
//! [`LogFollower`]: log_file::LogFollower
//!
//! # Locks
//! The table and the list of watchers have a lock each. No thread holds both together, and none holds one of them while
//! it waits, spawns, sends or calls a callback.

pub(crate) mod collect;
pub(crate) mod discovery;
pub(crate) mod hosts;
mod kill;
pub(crate) mod log_file;
pub(crate) mod metadata;
pub(crate) mod query;

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use parking_lot::{Mutex, RwLock};

use crate::connect::pool::Pool;
use crate::launch::target::Target;
use crate::local::sys;
use crate::model::callback_thread::refuse_inside_callback;
use crate::model::check;
use crate::model::error::{Error, Result};
use crate::model::launcher::Launcher;
use crate::model::options::Options;
use crate::model::request::BootRequest;
use crate::remote::instance::Instance;
use crate::watch::case::Remote;
use crate::watch::event::Hub;
use crate::watch::kill::{KillResults, KillTimeouts};
use crate::watch::process::{Announcement, Outcome, Process};
use crate::watch::shared::Shared;
use crate::watch::state::Input;
use crate::watch::watcher;

/// The longest time that letting go of all processes may take.
const DROP_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of `DROP_TIMEOUT` is reserved for the clients that have to be killed.
const DROP_RESERVE: Duration = Duration::from_millis(500);

/// Starts, watches and ends processes on hosts.
///
/// A manager has a table of processes. The program names each process by a uuid when it starts or adopts it.
///
/// Any thread can make any call, and many threads can do so at the same time. A call that blocks says so, and for how
/// long; with [`Duration::MAX`] as its timeout, it waits without a limit. Inside a callback, it returns
/// [`Error::InsideCallback`] instead, unless its documentation says otherwise. All other calls return at once.
///
/// # Order of reports
/// The end of a process is reported in this order:
/// 1. The manager puts the event into the queue of every [`Subscription`](crate::Subscription).
/// 2. The exit callbacks run, one after another.
/// 3. The blocking calls that ended the process return: [`kill_process`](Manager::kill_process),
///    [`kill_processes`](Manager::kill_processes), [`kill_processes_by_role`](Manager::kill_processes_by_role),
///    [`kill_all_processes`](Manager::kill_all_processes), [`shutdown`](Manager::shutdown) and
///    [`kill_process_without_metadata`](Manager::kill_process_without_metadata).
///
/// So when one of these calls has returned the end of a process, no callback for this end runs any more, whether or not
/// the uuid has been started again. They wait for callbacks only as long as their timeouts allow: a kill as long as the
/// waits of all its steps add up to, counted from its first step; `kill_process_without_metadata` as long as its
/// timeout; `shutdown` as long as it may block. After that time, they return the end although a callback still runs. A
/// callback that waits for the caller of a kill, for example for a lock which that caller holds, delays the kill by
/// this time.
///
/// Calls that only wait for an end or look it up may return it before the callbacks have run:
/// [`wait_for_process_exit_code`](Manager::wait_for_process_exit_code), [`exit_status`](Manager::exit_status) and
/// [`pop_early_exit_status`](Manager::pop_early_exit_status).
///
/// # Unknown uuids
/// A process that has ended stays in the table until a kill, [`forget_process`](Manager::forget_process) or
/// [`pop_early_exit_status`](Manager::pop_early_exit_status) removes it, or a start or an adoption with its uuid
/// replaces it. When the table has no process with a uuid, each call that needs the process returns
/// [`Error::UnknownUuid`], and each call that ends several processes has this error in its results. Six look-ups
/// return no error. They answer as for a process of which nothing is known:
/// [`is_process_alive`](Manager::is_process_alive), [`is_ready`](Manager::is_ready) and
/// [`is_monitoring_remotely`](Manager::is_monitoring_remotely) return false, [`runtime_pids`](Manager::runtime_pids) returns no pid, and [`exit_status`](Manager::exit_status) and
/// [`pop_early_exit_status`](Manager::pop_early_exit_status) return `None`.
///
/// # Kept processes
/// The host of a kept process ([`LinkLossPolicy::Keep`](crate::LinkLossPolicy::Keep)) keeps its exit status and its
/// output until this program has received the end: until a subscription has returned the event, an exit callback has
/// returned, or a call has returned the end or dropped it ([`forget_process`](Manager::forget_process), a start that
/// replaces it). When none of that has happened before the manager is detached, is dropped or dies, the next manager
/// can adopt the process and gets its end.
///
/// # Dropping
/// Dropping a manager lets go of all its processes: each ends, or goes on, by its link loss policy
/// ([`LinkLossPolicy`](crate::LinkLossPolicy)). It blocks, at most 5 s. To end the processes in order, call
/// [`shutdown`](Manager::shutdown) before. In a child that this program has forked, dropping the manager does nothing,
/// because the processes belong to the parent.
pub struct Manager {
    pub(crate) table: RwLock<Table>,
    watchers: Mutex<Vec<(Arc<Process>, JoinHandle<()>)>>,
    pub(crate) shared: Arc<Shared>,
    /// The pid of the program that made the manager: a forked child has another one.
    host_pid: u32,
}

/// The processes that a manager knows, by uuid.
#[derive(Default)]
pub(crate) struct Table {
    pub processes: HashMap<String, Arc<Process>>,
    last_start_number: u64,
    /// Whether the manager refuses further starts.
    closed: bool,
}

impl Table {
    /// Refuses a process that cannot be added now.
    fn admit(&self, uuid: &str) -> Result<()> {
        if self.closed {
            return Err(Error::ShutDown);
        }
        if self.processes.get(uuid).is_some_and(|known| !known.state().is_settled()) {
            return Err(Error::UuidInUse { uuid: uuid.to_owned() });
        }
        Ok(())
    }

    /// Adds a process, and gives it its start number. Returns it, and the ended process that it replaces.
    fn enter(&mut self, mut process: Process) -> Result<(Arc<Process>, Option<Arc<Process>>)> {
        self.admit(process.uuid())?;
        let uuid = process.uuid().to_owned();
        self.last_start_number += 1;
        process.start_number = self.last_start_number;
        let process = Arc::new(process);
        let replaced = self.processes.insert(uuid, Arc::clone(&process));
        Ok((process, replaced))
    }
}

impl Manager {
    /// Makes a manager without processes. It starts no thread and opens no connection yet. Where ssh is the manager's
    /// launcher, it runs `ssh -V` to learn its version. Blocks for that: some milliseconds, and at most 4 s if ssh does
    /// not answer. A callback may make this call, too.
    ///
    /// # Errors
    /// [`Error::Invalid`] for options that cannot work; [`Error::Local`] when the system gives no random bytes, or does
    /// not let the program raise its limit of open files.
    pub fn new(mut options: Options) -> Result<Manager> {
        options.check()?;
        options.resolve_paths();
        if options.raise_descriptor_limit {
            sys::raise_descriptor_limit().map_err(|error| Error::local("raising the limit of open files", error))?;
        }
        let pool = Pool::new(options);
        if pool.options().launcher.is_ssh() {
            pool.ssh_version();
        }
        Ok(Manager {
            table: RwLock::default(),
            watchers: Mutex::default(),
            shared: Arc::new(Shared { pool, hub: Hub::new(), name: random_name()? }),
            host_pid: std::process::id(),
        })
    }

    /// Starts a process: checks the request, adds the process to the table, starts its watcher thread and returns the
    /// start number. Events, the callbacks and [`wait_until_started`](Manager::wait_until_started) report everything
    /// else. Does not block.
    ///
    /// A uuid has 1 to 128 letters, digits, `.`, `_` and `-`. The uuid of a process that has ended can be used again;
    /// the new process replaces the old one in the table. The start number distinguishes the two: a manager numbers its
    /// starts and adoptions from 1, each number is higher than those before it, and events, callbacks and exit
    /// statuses carry it. Some numbers may be missing. Events and callbacks can come before this call returns; from the
    /// first of them on, [`start_number`](Manager::start_number) returns the number.
    ///
    /// # Errors
    /// [`Error::Invalid`]: the uuid or the request has a value that is not allowed. [`Error::UuidInUse`]: the process
    /// with this uuid has not ended. [`Error::ShutDown`]: the manager was shut down or detached. [`Error::Local`]: this
    /// machine gave no thread or no random bytes. Nothing was started then.
    pub fn start_process(&self, uuid: &str, request: &BootRequest) -> Result<u64> {
        self.start(uuid, request).map(|process| process.start_number)
    }

    /// Starts a process, as [`start_process`](Manager::start_process) does, and returns it.
    pub(crate) fn start(&self, uuid: &str, request: &BootRequest) -> Result<Arc<Process>> {
        let launcher = self.launcher_for(uuid, request)?;
        let instance = Instance { uuid: uuid.to_owned(), id: random_name()? };
        self.watch(Process::new(instance, request.clone(), launcher), None)
    }

    /// Refuses a process that [`start_process`](Manager::start_process) would refuse now.
    pub(crate) fn check_start(&self, uuid: &str, request: &BootRequest) -> Result<()> {
        self.launcher_for(uuid, request)?;
        self.table.read().admit(uuid)
    }

    /// Returns the launcher of a process, or what is wrong with the request.
    fn launcher_for(&self, uuid: &str, request: &BootRequest) -> Result<Launcher> {
        check::uuid(uuid)?;
        request.check()?;
        let mut launcher = match &request.launcher {
            Some(launcher) => launcher.clone(),
            None => self.shared.options().launcher_of(&request.host).clone(),
        };
        launcher.check_policy(request.link_loss)?;
        launcher.resolve_path();
        Target { launcher: &launcher, host: &request.host, user: request.user.as_deref(), uuid: Some(uuid) }.check()?;
        Ok(launcher)
    }

    /// Adds a process to the table, and starts its watcher. `adopted` is the process on its host, if it is adopted.
    pub(crate) fn watch(&self, process: Process, adopted: Option<Remote>) -> Result<Arc<Process>> {
        // Under one lock, so that the numbers rise in the order of the table, and a shutdown that closes the table
        // finds every process in it.
        let (process, replaced) = self.table.write().enter(process)?;
        let predecessors: Vec<_> = {
            let watchers = self.watchers.lock();
            watchers
                .iter()
                .map(|(predecessor, _)| predecessor)
                .filter(|predecessor| predecessor.uuid() == process.uuid())
                .cloned()
                .collect()
        };
        let (watched, shared) = (Arc::clone(&process), Arc::clone(&self.shared));
        let run = move || watcher::watch(watched, &predecessors, shared, adopted);
        match sys::spawn_thread("sshpm-watch", sys::SMALL_STACK, run) {
            Ok(thread) => {
                if let Some(replaced) = replaced {
                    replaced.acknowledge();
                }
                self.keep_watcher(Arc::clone(&process), thread);
                Ok(process)
            }
            Err(error) => {
                let error = Error::local("starting a watcher thread", error);
                self.put_back(&process, replaced, &error);
                Err(error)
            }
        }
    }

    /// Takes a process without a thread from the table again. Another call may have found it, and may wait for it.
    fn put_back(&self, process: &Arc<Process>, replaced: Option<Arc<Process>>, error: &Error) {
        {
            let mut table = self.table.write();
            if table.processes.get(process.uuid()).is_some_and(|known| Arc::ptr_eq(known, process)) {
                table.processes.remove(process.uuid());
                table.processes.extend(replaced.map(|replaced| (replaced.uuid().to_owned(), replaced)));
            }
        }
        process.take(Input::Kill);
        process.settle(Input::ClientEnded, |_| Err(error.clone()));
        // An adopted process has no client that could end: the manager lets go of it.
        process.settle(Input::Detach, |_| Err(error.clone()));
        process.announce(Announcement::Complete);
        process.end_watch();
    }

    /// Keeps a watcher's thread, so that it is joined when it has ended.
    fn keep_watcher(&self, process: Arc<Process>, thread: JoinHandle<()>) {
        self.watchers.lock().push((process, thread));
        self.join_ended();
    }

    /// Joins the watchers that have ended.
    fn join_ended(&self) {
        let ended = {
            let mut watchers = self.watchers.lock();
            let (watching, ended) =
                mem::take(&mut *watchers).into_iter().partition(|(process, _)| process.is_watched());
            *watchers = watching;
            ended
        };
        join(ended);
    }

    /// Removes a process that has ended from the table. Its exit status and output are dropped; the host of a
    /// [kept process](Manager#kept-processes) drops them, too. Does not block.
    ///
    /// # Errors
    /// [`Error::StillRunning`]: the process has not ended. [`Error::UnknownUuid`].
    pub fn forget_process(&self, uuid: &str) -> Result<()> {
        let process = self.find(uuid)?;
        if !process.state().is_settled() {
            return Err(Error::StillRunning { uuid: uuid.to_owned(), waited: Duration::ZERO });
        }
        self.take_out(&process);
        Ok(())
    }

    /// Ends all processes within the timeout, and returns how each ended. It refuses further starts first. The roles
    /// end in the shutdown order, and each gets the waits of the kill sequence, 10 s for each step without a wait of
    /// its own. When the timeout is over, every process that still runs gets KILL at once. At last, the manager lets go
    /// of all processes: a kept process that has no link then goes on, and its result is [`Error::Detached`]. Blocks,
    /// at most for the timeout, 2 s for each role that did not end within the timeout, and 5 s.
    ///
    /// # Errors
    /// [`Error::InsideCallback`]. All other errors are in the results of the processes.
    pub fn shutdown(&self, timeout: Duration) -> Result<KillResults> {
        refuse_inside_callback()?;
        self.close();
        let until = sys::deadline(timeout);
        let mut results = self.kill_in_order(&self.active_process_keys(), &KillTimeouts::default(), until);
        let deadline = Instant::now() + DROP_TIMEOUT;
        self.let_go(deadline);
        // Letting go has ended some processes that did not end in their time.
        for (uuid, result) in &mut results {
            if let (Err(Error::StillRunning { .. }), Ok(process)) = (&*result, self.find(uuid)) {
                let left = deadline.saturating_duration_since(Instant::now());
                if let Some(outcome) = wait_for_callbacks(&process, left) {
                    process.acknowledge();
                    *result = outcome;
                }
            }
        }
        Ok(results)
    }

    /// Refuses further starts and lets go of all processes, as dropping the manager does: each ends, or goes on, by its
    /// link loss policy. The manager can still be asked about its processes. Blocks, at most 5 s.
    ///
    /// # Errors
    /// [`Error::InsideCallback`].
    pub fn detach(&self) -> Result<()> {
        refuse_inside_callback()?;
        self.close();
        self.let_go(Instant::now() + DROP_TIMEOUT);
        Ok(())
    }

    /// Refuses further starts.
    fn close(&self) {
        self.table.write().closed = true;
    }

    /// Returns whether the manager was shut down or detached.
    pub(crate) fn is_closed(&self) -> bool {
        self.table.read().closed
    }

    /// Returns the process with a uuid.
    pub(crate) fn find(&self, uuid: &str) -> Result<Arc<Process>> {
        self.table.read().processes.get(uuid).cloned().ok_or_else(|| Error::UnknownUuid { uuid: uuid.to_owned() })
    }

    /// Returns the process with a uuid, for a call that blocks.
    pub(crate) fn find_to_wait(&self, uuid: &str) -> Result<Arc<Process>> {
        refuse_inside_callback()?;
        self.find(uuid)
    }

    /// Removes exactly this process from the table: its uuid may have been started again. Returns whether it was
    /// there.
    pub(crate) fn remove(&self, process: &Arc<Process>) -> bool {
        let mut table = self.table.write();
        let there = table.processes.get(process.uuid()).is_some_and(|known| Arc::ptr_eq(known, process));
        if there {
            table.processes.remove(process.uuid());
        }
        there
    }

    /// Removes a process from the table whose end the caller returns or drops. Returns whether it was there.
    pub(crate) fn take_out(&self, process: &Arc<Process>) -> bool {
        let there = self.remove(process);
        if there {
            process.acknowledge();
        }
        there
    }

    /// Lets go of every process, and waits for the watchers.
    fn let_go(&self, deadline: Instant) {
        let watchers = mem::take(&mut *self.watchers.lock());
        // Those of the table, too: a process that was just started, or that another call waits for, is only there.
        let mut processes: Vec<_> = self.table.read().processes.values().cloned().collect();
        processes.extend(watchers.iter().map(|(process, _)| Arc::clone(process)));
        for process in &processes {
            process.release();
        }
        self.shared.pool.wake();
        let watched = |process: &&Arc<Process>| process.is_watched();
        wait_for_watchers(processes.iter().filter(watched), deadline.checked_sub(DROP_RESERVE).unwrap_or(deadline));
        for process in processes.iter().filter(watched) {
            // A link that is stuck does not pass on the end of its input.
            if let Some(lifeline) = process.lifeline() {
                lifeline.kill_client();
            }
        }
        wait_for_watchers(processes.iter().filter(watched), deadline);
        let (ended, stuck): (Vec<_>, Vec<_>) = watchers.into_iter().partition(|(process, _)| !process.is_watched());
        join(ended);
        for (process, _thread) in stuck {
            log::warn!("{}: its watcher did not end in time and is left behind", process.uuid());
        }
        self.shared.pool.close(deadline);
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        if self.host_pid != std::process::id() {
            // A forked child has the parent's descriptors, but not its threads; it may have locks that no thread will
            // ever unlock. Closing a lifeline here would end the parent's. So nothing is dropped.
            mem::forget(Arc::clone(&self.shared));
            mem::forget(mem::take(&mut *self.table.get_mut()));
            mem::forget(mem::take(self.watchers.get_mut()));
            return;
        }
        self.close();
        let deadline = Instant::now() + DROP_TIMEOUT;
        self.let_go(deadline);
        self.shared.hub.close(deadline);
    }
}

/// Returns 64 random bits in hexadecimal.
fn random_name() -> Result<String> {
    let random = sys::random::<8>().map_err(|e| Error::local("making a random name", e))?;
    Ok(format!("{:016x}", u64::from_ne_bytes(random)))
}

/// Calls `look` at each change of the process until it returns something, or the timeout is over. Blocks, at most for
/// the timeout.
pub(crate) fn wait<T>(process: &Arc<Process>, timeout: Duration, look: impl Fn() -> Option<T>) -> Option<T> {
    let deadline = sys::deadline(timeout);
    let (sender, changes) = bounded(1);
    let _observation = process.observe(sender);
    loop {
        let found = look();
        if found.is_some() {
            return found;
        }
        match deadline {
            Some(deadline) => {
                if changes.recv_deadline(deadline).is_err() {
                    return look();
                }
            }
            None => drop(changes.recv()),
        }
    }
}

/// Waits until a process has ended and its exit callbacks have returned, or the timeout is over. Returns how the
/// process ended, if it has. Blocks, at most for the timeout.
pub(crate) fn wait_for_callbacks(process: &Arc<Process>, timeout: Duration) -> Option<Outcome> {
    wait(process, timeout, || process.outcome_after(Announcement::Complete))
        .or_else(|| process.outcome_after(Announcement::Queued))
}

/// Waits until the watchers of the processes have ended, or the deadline is over.
fn wait_for_watchers<'a>(processes: impl Iterator<Item = &'a Arc<Process>>, deadline: Instant) {
    for process in processes {
        let left = deadline.saturating_duration_since(Instant::now());
        wait(process, left, || (!process.is_watched()).then_some(()));
    }
}

/// Joins the threads of watchers that have ended: they only have to return.
fn join(ended: Vec<(Arc<Process>, JoinHandle<()>)>) {
    for (process, thread) in ended {
        if thread.join().is_err() {
            log::error!("{}: its watcher panicked", process.uuid());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::exit_status::{ClientEnd, ExitSource, ExitStatus};
    use crate::model::role::Role;
    use crate::model::signal::Signal;

    /// Returns a process that has ended by itself, and whose watcher has ended.
    fn ended_process() -> Process {
        let instance = Instance { uuid: "u".to_owned(), id: String::new() };
        let process = Process::new(instance, BootRequest::new("h", ["true"]), Launcher::Local);
        process.take(Input::Kill);
        let source = ExitSource::RemoteMonitoring;
        let status = ExitStatus::new(source, ClientEnd::NotStarted, None, false, "p".into());
        assert!(process.settle(Input::ClientEnded, |_| Ok(status)));
        process.announce(Announcement::Complete);
        process.end_watch();
        process
    }

    #[test]
    fn a_process_without_a_thread_is_settled() {
        let instance = || Instance { uuid: "u".to_owned(), id: String::new() };
        let request = || BootRequest::new("h", ["true"]);
        let started = Process::new(instance(), request(), Launcher::Local);
        let adopted = Process::adopted(instance(), request(), Launcher::Local, 1);
        for process in [started, adopted] {
            let manager = Manager::new(Options::new().launcher(Launcher::Local)).unwrap();
            let (process, _) = manager.table.write().enter(process).unwrap();
            manager.put_back(&process, None, &Error::ShutDown);
            assert!(matches!(process.outcome_after(Announcement::Complete), Some(Err(Error::ShutDown))));
            assert!(!process.is_watched() && manager.find("u").is_err());
        }
    }

    /// Every call that returns an end to the program, or drops it, acknowledges the end; other calls do not.
    #[test]
    fn calls_that_give_the_end_to_the_program_acknowledge_it() {
        type Call = fn(&Manager);
        const NONE: Duration = Duration::ZERO;
        let calls: [(&str, bool, Call); 14] = [
            ("exit_status", true, |manager| drop(manager.exit_status("u"))),
            ("pop_early_exit_status", true, |manager| drop(manager.pop_early_exit_status("u"))),
            ("wait_for_process_exit_code", true, |manager| drop(manager.wait_for_process_exit_code("u", NONE))),
            ("kill_process", true, |manager| drop(manager.kill_process("u", NONE))),
            ("kill_process_without_metadata", true, |manager| {
                drop(manager.kill_process_without_metadata("u", Signal::KILL, true, NONE));
            }),
            ("kill_processes", true, |manager| drop(manager.kill_processes(&["u"], &NONE.into()))),
            ("kill_processes_by_role", true, |manager| {
                drop(manager.kill_processes_by_role(&Role::Unknown, &["u"], &NONE.into()));
            }),
            ("kill_all_processes", true, |manager| drop(manager.kill_all_processes(&NONE.into()))),
            ("shutdown", true, |manager| drop(manager.shutdown(NONE))),
            ("forget_process", true, |manager| manager.forget_process("u").unwrap()),
            ("a start that replaces it", true, |manager| {
                manager.start_process("u", &BootRequest::new("h", ["true"])).map(drop).unwrap();
            }),
            ("process_state", false, |manager| drop(manager.process_state("u"))),
            ("detach", false, |manager| manager.detach().unwrap()),
            ("wait_until_started", false, |manager| drop(manager.wait_until_started("u", NONE))),
        ];
        for (name, acknowledges, call) in calls {
            let manager = Manager::new(Options::new().launcher(Launcher::Local)).unwrap();
            let (process, _) = manager.table.write().enter(ended_process()).unwrap();
            assert!(!process.is_acknowledged(), "{name}");
            call(&manager);
            assert_eq!(process.is_acknowledged(), acknowledges, "{name}");
        }
    }
}
