//! The public calls of the crate, one theme in each file.
//!
//! # What it is for
//! [`Manager`] starts processes, and lets go of them. `kill` ends processes, `restart` starts them again, `query` asks
//! about them, `hosts` checks hosts, `discovery` finds, adopts and cleans up, `metadata` and `log_file` read files of
//! hosts. `collect` reads what a script writes, to its last report.
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
//! This room has none but those of [`LogFollower`]s.

pub(crate) mod collect;
pub(crate) mod discovery;
pub(crate) mod hosts;
mod kill;
pub(crate) mod log_file;
pub(crate) mod metadata;
pub(crate) mod query;
mod restart;

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use crate::connect::pool::Pool;
use crate::launch::target::Target;
use crate::local::sys;
use crate::model::callback_thread::refuse_inside_callback;
use crate::model::check;
use crate::model::error::{Error, Result};
use crate::model::launcher::Launcher;
use crate::model::options::Options;
use crate::model::request::BootRequest;
use crate::remote::instance::{Instance, random_name};
use crate::watch::event::Hub;
use crate::watch::kill::{KillResults, KillTimeouts};
use crate::watch::process::{Announcement, Outcome, Process};
use crate::watch::shared::Shared;
use crate::watch::table::{self, Place, Removal, Table};

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
/// [`Error::UnknownUuid`], and each call that ends several processes has this error in its results. Six look-ups return
/// no error. They answer as for a process of which nothing is known: [`is_process_alive`](Manager::is_process_alive),
/// [`is_ready`](Manager::is_ready) and [`is_monitoring_remotely`](Manager::is_monitoring_remotely) return false,
/// [`runtime_pids`](Manager::runtime_pids) returns no pid, and [`exit_status`](Manager::exit_status) and
/// [`pop_early_exit_status`](Manager::pop_early_exit_status) return `None`.
///
/// # Restarts
/// A process can be started again under its uuid by [`restart_process`](Manager::restart_process), and after an end
/// that no call has asked for by its [`RestartPolicy`](crate::RestartPolicy). Each life of a uuid has a start number of
/// its own, with one end, one call of each exit callback and one pop. The events come in this order: the end of the
/// old life, [`Restarting`](crate::EventKind::Restarting) if the policy restarts it, and then the events of the new
/// life. From the end of the old life to the start of the new one, the state is
/// [`Restarting`](crate::ProcessState::Restarting), and the table has the old life: calls that look up or wait for an
/// end return its end.
///
/// A kill, [`forget_process`](Manager::forget_process), [`shutdown`](Manager::shutdown),
/// [`detach`](Manager::detach) and dropping the manager cancel a restart that has not started the new life yet, and
/// nothing starts after them. If the new life has started, they end that. Of a restart by a call and a kill at the same
/// time, the later one decides.
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
    pub(crate) shared: Arc<Shared>,
    /// The pid of the program that made the manager: a forked child has another one.
    host_pid: u32,
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
            shared: Arc::new(Shared { table: Table::default(), pool, hub: Hub::new(), name: random_name()? }),
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
        self.shared.watch(Process::new(Instance::new(uuid)?, request.clone(), launcher), Place::Free, None)
    }

    /// Refuses a process that [`start_process`](Manager::start_process) would refuse now.
    pub(crate) fn check_start(&self, uuid: &str, request: &BootRequest) -> Result<()> {
        self.launcher_for(uuid, request)?;
        self.shared.table.admit(uuid)
    }

    /// Returns the launcher of a process, or what is wrong with the request.
    pub(crate) fn launcher_for(&self, uuid: &str, request: &BootRequest) -> Result<Launcher> {
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

    /// Removes a process that has ended from the table. Its exit status and output are dropped; the host of a
    /// [kept process](Manager#kept-processes) drops them, too. A restart that was to follow is cancelled. Does not
    /// block.
    ///
    /// # Errors
    /// [`Error::StillRunning`]: the process has not ended. [`Error::UnknownUuid`].
    pub fn forget_process(&self, uuid: &str) -> Result<()> {
        loop {
            let process = self.find(uuid)?;
            if !process.state().is_settled() {
                return Err(Error::StillRunning { uuid: uuid.to_owned(), waited: Duration::ZERO });
            }
            if process.stop() {
                self.take_out(&process);
                return Ok(());
            }
        }
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
        self.shared.table.close();
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
        self.shared.table.close();
        self.let_go(Instant::now() + DROP_TIMEOUT);
        Ok(())
    }

    /// Returns whether the manager was shut down or detached.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.table.is_closed()
    }

    /// Returns the process with a uuid.
    pub(crate) fn find(&self, uuid: &str) -> Result<Arc<Process>> {
        self.shared.table.find(uuid)
    }

    /// Returns the process with a uuid, for a call that blocks.
    pub(crate) fn find_to_wait(&self, uuid: &str) -> Result<Arc<Process>> {
        refuse_inside_callback()?;
        self.find(uuid)
    }

    /// Returns the process with a uuid, for a call that ends it or drops its end: nothing follows this end.
    pub(crate) fn find_to_end(&self, uuid: &str) -> Result<Arc<Process>> {
        loop {
            let process = self.find(uuid)?;
            if process.stop() {
                return Ok(process);
            }
        }
    }

    /// Removes a process from the table whose end the caller returns or drops.
    pub(crate) fn take_out(&self, process: &Arc<Process>) {
        if self.shared.table.remove(process) == Removal::Removed {
            process.acknowledge();
        }
    }

    /// Lets go of every process, and waits for the watchers.
    fn let_go(&self, deadline: Instant) {
        self.let_go_of_watched(deadline);
        // A policy may have started a next life just before the table was closed: its watcher came late to the list.
        self.let_go_of_watched(deadline);
        self.shared.pool.close(deadline);
    }

    fn let_go_of_watched(&self, deadline: Instant) {
        let watchers = self.shared.table.take_watchers();
        // Those of the table, too: a process that was just started, or that another call waits for, is only there.
        let mut processes = self.shared.table.all();
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
        table::join(ended);
        for (process, _thread) in stuck {
            log::warn!("{}: its watcher did not end in time and is left behind", process.uuid());
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        if self.host_pid != std::process::id() {
            // A forked child has the parent's descriptors, but not its threads; it may have locks that no thread will
            // ever unlock. Closing a lifeline here would end the parent's. So nothing is dropped.
            mem::forget(Arc::clone(&self.shared));
            return;
        }
        self.shared.table.close();
        let deadline = Instant::now() + DROP_TIMEOUT;
        self.let_go(deadline);
        self.shared.hub.close(deadline);
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::exit_status::{ClientEnd, ExitSource, ExitStatus};
    use crate::model::role::Role;
    use crate::model::signal::Signal;
    use crate::watch::state::Input;

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
            let (process, _) = manager.shared.table.enter(ended_process(), Place::Free).unwrap();
            assert!(!process.is_acknowledged(), "{name}");
            call(&manager);
            assert_eq!(process.is_acknowledged(), acknowledges, "{name}");
        }
    }
}
