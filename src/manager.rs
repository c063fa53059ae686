//! The table of processes, and the calls that start and end them.
//!
//! Lock order: `table` and `watchers` are each taken alone, and never held while anything waits, is spawned, sent or called.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, bounded};
use parking_lot::{Mutex, RwLock};

use crate::check;
use crate::error::{Error, Result};
use crate::event::{Hub, refuse_inside_callback};
use crate::exit_status::{ExitSource, ExitStatus};
use crate::kill::{Kill, KillResults, KillTimeouts};
use crate::launcher::Target;
use crate::options::{KillScope, Options};
use crate::pool::Pool;
use crate::process::Process;
use crate::request::BootRequest;
use crate::role::Role;
use crate::signal::Signal;
use crate::state::{Input, State};
use crate::sys;
use crate::watcher::{self, Remote, Shared};
use crate::wrapper::Instance;

/// How long a signal's answer may take.
const SIGNAL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long letting go of all processes may take.
const DROP_TIMEOUT: Duration = Duration::from_secs(5);
/// What of it is left for the ssh clients that have to be killed.
const DROP_RESERVE: Duration = Duration::from_millis(500);

/// Starts, watches and ends processes.
///
/// All calls can be made from any thread, and at the same time. Those that say that they block return
/// [`Error::InsideCallback`] when they are made inside a callback; all others return at once.
///
/// Dropping it lets go of all processes: they end by their link loss policy. It takes at most 5 s; call
/// [`shutdown`](Manager::shutdown) to end them in order. In a child that the host has forked, dropping does nothing:
/// the processes are the parent's.
pub struct Manager {
    pub(crate) table: RwLock<HashMap<String, Arc<Process>>>,
    watchers: Mutex<Vec<(Arc<Process>, JoinHandle<()>)>>,
    pub(crate) shared: Arc<Shared>,
    closed: AtomicBool,
    /// The process that made it.
    host_pid: u32,
    local_user: String,
}

impl Manager {
    /// A manager without processes. No thread and no connection is made yet; ssh, where it is the manager's launcher, is asked for its
    /// version, which takes some milliseconds, and four seconds where it does not answer.
    ///
    /// # Errors
    /// [`Error::Invalid`] for options that cannot work.
    pub fn new(options: Options) -> Result<Manager> {
        options.check()?;
        let pool = Arc::new(Pool::new(options));
        if pool.options().launcher.is_ssh() {
            pool.ssh_version();
        }
        Ok(Manager {
            table: RwLock::default(),
            watchers: Mutex::default(),
            shared: Arc::new(Shared { pool, hub: Hub::new(), name: random_name()? }),
            closed: AtomicBool::new(false),
            host_pid: std::process::id(),
            local_user: sys::user_name(),
        })
    }

    /// Checks the request, enters the process in the table, starts its watcher and returns. All else is told by events,
    /// the callback and [`wait_until_started`](Manager::wait_until_started). A uuid has 1 to 128 letters, digits, `.`, `_` and
    /// `-`; the one of a process that has ended can be used again, and replaces it.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::UuidInUse`], [`Error::ShutDown`], or [`Error::Local`] when there is no thread to be
    /// had. Nothing was started then.
    pub fn start_process(&self, uuid: &str, request: &BootRequest) -> Result<()> {
        check::uuid(uuid)?;
        request.check()?;
        let launcher = match &request.launcher {
            Some(launcher) => launcher,
            None => self.shared.options().launcher_of(&request.host),
        };
        launcher.check_policy(request.link_loss)?;
        Target { launcher, host: &request.host, user: request.user.as_deref(), uuid: Some(uuid) }.check()?;
        let id = random_name()?;
        let instance = Instance {
            uuid: uuid.to_owned(),
            id,
            user: request.user.clone().unwrap_or_else(|| self.local_user.clone()),
        };
        self.watch(Process::new(instance, request.clone(), launcher.clone()), None).map(|_| ())
    }

    /// Enters a process in the table, and starts its watcher.
    pub(crate) fn watch(&self, process: Process, adopted: Option<Remote>) -> Result<Arc<Process>> {
        let process = Arc::new(process);
        self.enter(&process)?;
        let formers: Vec<_> = {
            let watchers = self.watchers.lock();
            watchers
                .iter()
                .map(|(former, _)| former)
                .filter(|former| former.uuid() == process.uuid())
                .cloned()
                .collect()
        };
        let (watched, shared) = (Arc::clone(&process), Arc::clone(&self.shared));
        let run = move || watcher::watch(watched, &formers, shared, adopted);
        match sys::spawn_thread("sshpm-watch", sys::SMALL_STACK, run) {
            Ok(thread) => {
                self.keep_watcher(Arc::clone(&process), thread);
                Ok(process)
            }
            Err(error) => {
                self.remove(&process);
                Err(Error::local("starting a watcher thread", error))
            }
        }
    }

    fn enter(&self, process: &Arc<Process>) -> Result<()> {
        let mut table = self.table.write();
        // Under the lock, so that a shutdown that closes finds every process that was entered.
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::ShutDown);
        }
        match table.get(process.uuid()) {
            Some(known) if !known.state().is_settled() => Err(Error::UuidInUse { uuid: process.uuid().to_owned() }),
            _ => {
                table.insert(process.uuid().to_owned(), Arc::clone(process));
                Ok(())
            }
        }
    }

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

    /// Sends a signal to the application alone, and waits for the remote side's word that it was sent. Blocks, at most
    /// 10 s; inside a callback it does not wait. It changes nothing else: if it ends the process, that looks as if somebody else had sent it.
    ///
    /// # Errors
    /// [`Error::NotRunning`], [`Error::SignalRefused`], [`Error::LinkDown`], [`Error::TimedOut`], [`Error::UnknownUuid`],
    /// [`Error::InsideCallback`].
    pub fn send_signal(&self, uuid: &str, signal: Signal) -> Result<()> {
        let process = self.find(uuid)?;
        let answer = process.signal(signal, KillScope::Leader, false)?;
        if refuse_inside_callback().is_err() {
            return Ok(());
        }
        match answer.recv_timeout(SIGNAL_TIMEOUT) {
            Ok(true) => Ok(()),
            // An application can end of it before the answer is sent: then its end is the answer.
            Err(RecvTimeoutError::Disconnected) => match process.outcome() {
                Some(Ok(status)) if !status.link_lost() => Ok(()),
                _ => Err(Error::LinkDown { uuid: uuid.to_owned() }),
            },
            Ok(false) => Err(Error::SignalRefused { uuid: uuid.to_owned(), signal: signal.to_string() }),
            Err(RecvTimeoutError::Timeout) => {
                Err(Error::TimedOut { what: format!("an answer from process {uuid:?}"), waited: SIGNAL_TIMEOUT })
            }
        }
    }

    /// Ends a process: by default QUIT to the application, and after the timeout KILL to its group and another wait. Gives how it
    /// ended and takes it from the table; of one that has ended already it gives that. A start that has no remote pid
    /// yet is cancelled. An application that has only just been executed may not have its signal handlers yet: then the
    /// signal ends it. Blocks, at most for the timeouts of all steps.
    ///
    /// # Errors
    /// [`Error::StillRunning`]: it stays in the table and can be killed again; why it did not start, if it did not;
    /// [`Error::UnknownUuid`], [`Error::InsideCallback`].
    pub fn kill_process(&self, uuid: &str, timeout: Duration) -> Result<ExitStatus> {
        let process = self.find_to_wait(uuid)?;
        let mut results = self.kill_together(vec![(process, timeout)], None);
        results.remove(uuid).unwrap_or_else(|| Err(Error::UnknownUuid { uuid: uuid.to_owned() }))
    }

    /// Ends processes, role by role in the shutdown order; those of one role at the same time. A role that does not end
    /// in its time does not hold the next one. Blocks, at most for the timeouts of all roles.
    ///
    /// # Errors
    /// [`Error::InsideCallback`]; all else is in the answer for each process.
    pub fn kill_processes<U: AsRef<str>>(&self, uuids: &[U], timeouts: &KillTimeouts) -> Result<KillResults> {
        refuse_inside_callback()?;
        Ok(self.kill_in_order(uuids, timeouts, None))
    }

    /// Ends those of the candidates that have this role, at the same time. The answer has only them, and those that are
    /// unknown. Blocks, at most for the longest timeout of all steps.
    ///
    /// # Errors
    /// [`Error::InsideCallback`]; all else is in the answer for each process.
    pub fn kill_processes_by_role<U: AsRef<str>>(
        &self,
        role: &Role,
        candidates: &[U],
        timeouts: &KillTimeouts,
    ) -> Result<KillResults> {
        refuse_inside_callback()?;
        let (found, mut results) = self.find_all(candidates);
        let of_role = found.into_iter().filter(|process| process.request.role == *role);
        results.extend(self.kill_together(with_timeouts(of_role, timeouts), None));
        Ok(results)
    }

    /// Ends all processes of the table as [`kill_processes`](Manager::kill_processes) does. Their wrappers clean up when all have
    /// ended: [`shutdown`](Manager::shutdown) and dropping wait for that. Blocks.
    ///
    /// # Errors
    /// [`Error::InsideCallback`]; all else is in the answer for each process.
    pub fn kill_all_processes(&self, timeouts: &KillTimeouts) -> Result<KillResults> {
        refuse_inside_callback()?;
        Ok(self.kill_in_order(&self.active_process_keys(), timeouts, None))
    }

    /// Makes a crash: sends a signal to the application alone, by default of the seed KILL. Nothing else is touched, so the table,
    /// the events and the status look as in a real crash. The same as [`send_signal`](Manager::send_signal).
    ///
    /// # Errors
    /// As [`send_signal`](Manager::send_signal).
    pub fn crash_process(&self, uuid: &str, signal: Signal) -> Result<()> {
        self.send_signal(uuid, signal)
    }

    /// Ends a process by signalling its *local* ssh client, with QUIT or KILL; [`kill_process`](Manager::kill_process) is for all other
    /// purposes. The link is lost by that, the remote side ends the application by its link loss policy, and the host
    /// is asked whether it did. The end counts as a manual kill through the ssh client, or as client monitoring, as if
    /// somebody else had done it. Gives how it ended and takes it from the table. Blocks, at most for the timeout.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other signals; [`Error::StillRunning`]: the application is not known to have ended in
    /// time; why it did not start, if it did not; [`Error::NotRunning`]: it waits for its turn to connect and has no
    /// client, unless this is a manual kill; [`Error::UnknownUuid`], [`Error::InsideCallback`].
    pub fn kill_process_without_metadata(
        &self,
        uuid: &str,
        signal: Signal,
        as_manual_kill: bool,
        timeout: Duration,
    ) -> Result<ExitStatus> {
        if ![Signal::QUIT, Signal::KILL].contains(&signal) {
            return Err(Error::invalid("signal", signal.to_string(), "an ssh client is ended by QUIT or KILL"));
        }
        let process = self.find_to_wait(uuid)?;
        let source = match as_manual_kill {
            true => ExitSource::ManualKillThroughSshClient,
            false => ExitSource::ClientMonitoring,
        };
        // A start that has no remote pid yet is cancelled, and counts as that.
        if as_manual_kill && process.state() == State::Connecting {
            process.take(Input::Kill);
            self.shared.pool.wake();
        }
        if process.outcome().is_none() {
            match process.signal_client(signal, source) {
                // The client has ended, and the end of the process is on the way.
                Err(_) if process.state() != State::Connecting => {}
                sent => sent?,
            }
        }
        match wait(&process, timeout, || process.told_outcome()) {
            Some(outcome) => {
                self.remove(&process);
                outcome
            }
            None => Err(Error::StillRunning { uuid: uuid.to_owned(), waited: timeout }),
        }
    }

    /// Takes a process that has ended from the table. Does not block.
    ///
    /// # Errors
    /// [`Error::StillRunning`], [`Error::UnknownUuid`].
    pub fn forget_process(&self, uuid: &str) -> Result<()> {
        let process = self.find(uuid)?;
        if !process.state().is_settled() {
            return Err(Error::StillRunning { uuid: uuid.to_owned(), waited: Duration::ZERO });
        }
        self.remove(&process);
        Ok(())
    }

    /// Starts nothing any more, and ends all processes in order within the timeout: each role has its usual time, but
    /// when the timeout is over whatever still runs gets KILL at once. Then lets go of all: what is kept and has no link at that time
    /// goes on, and its answer is [`Error::Detached`]. Blocks, at most for the timeout,
    /// 2 s for each role that did not end in it, and 5 s.
    ///
    /// # Errors
    /// [`Error::InsideCallback`]; all else is in the answer for each process.
    pub fn shutdown(&self, timeout: Duration) -> Result<KillResults> {
        refuse_inside_callback()?;
        self.close();
        let until = sys::deadline(timeout);
        let mut results = self.kill_in_order(&self.active_process_keys(), &KillTimeouts::default(), until);
        self.let_go(Instant::now() + DROP_TIMEOUT);
        // Letting go has ended some that did not end in their time.
        for (uuid, result) in &mut results {
            if let (Err(Error::StillRunning { .. }), Some(outcome)) = (&*result, self.exit_status(uuid)) {
                *result = outcome;
            }
        }
        Ok(results)
    }

    /// Starts nothing any more and lets go of all processes, as dropping does: each ends by its link loss policy.
    /// Blocks, at most 5 s.
    ///
    /// # Errors
    /// [`Error::InsideCallback`].
    pub fn detach(&self) -> Result<()> {
        refuse_inside_callback()?;
        self.close();
        self.let_go(Instant::now() + DROP_TIMEOUT);
        Ok(())
    }

    fn close(&self) {
        let _table = self.table.write();
        self.closed.store(true, Ordering::Release);
    }

    pub(crate) fn find(&self, uuid: &str) -> Result<Arc<Process>> {
        self.table.read().get(uuid).cloned().ok_or_else(|| Error::UnknownUuid { uuid: uuid.to_owned() })
    }

    pub(crate) fn find_to_wait(&self, uuid: &str) -> Result<Arc<Process>> {
        refuse_inside_callback()?;
        self.find(uuid)
    }

    /// The processes of these uuids, each once, and the answers for those that are unknown.
    fn find_all<U: AsRef<str>>(&self, uuids: &[U]) -> (Vec<Arc<Process>>, KillResults) {
        let mut found: BTreeMap<&str, Arc<Process>> = BTreeMap::new();
        let mut unknown = KillResults::new();
        for uuid in uuids.iter().map(AsRef::as_ref) {
            match self.find(uuid) {
                Ok(process) => drop(found.insert(uuid, process)),
                Err(error) => drop(unknown.insert(uuid.to_owned(), Err(error))),
            }
        }
        (found.into_values().collect(), unknown)
    }

    /// Takes exactly this process from the table: its uuid may have been started again. True when it was there.
    pub(crate) fn remove(&self, process: &Arc<Process>) -> bool {
        let mut table = self.table.write();
        let there = table.get(process.uuid()).is_some_and(|known| Arc::ptr_eq(known, process));
        if there {
            table.remove(process.uuid());
        }
        there
    }

    fn kill_in_order<U: AsRef<str>>(
        &self,
        uuids: &[U],
        timeouts: &KillTimeouts,
        until: Option<Instant>,
    ) -> KillResults {
        let (mut left, mut results) = self.find_all(uuids);
        for role in &self.shared.options().shutdown_order {
            let (stage, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(|process| process.request.role == *role);
            left = rest;
            if !stage.is_empty() {
                log::info!("ending role {role} ({} processes)", stage.len());
                results.extend(self.kill_together(with_timeouts(stage, timeouts), until));
            }
        }
        if !left.is_empty() {
            log::info!("ending {} processes of other roles", left.len());
            results.extend(self.kill_together(with_timeouts(left, timeouts), until));
        }
        results
    }

    /// Ends processes at the same time. The calling thread does it for all: it sends, waits for any of them to end or
    /// for the next step's time, and sends again.
    fn kill_together(&self, processes: Vec<(Arc<Process>, Duration)>, until: Option<Instant>) -> KillResults {
        let (sender, changes) = bounded(1);
        let sequence = &self.shared.options().kill_sequence;
        let together = if processes.len() > 1 { &processes[..] } else { &[] };
        let _together: Vec<_> = together.iter().map(|(process, _)| process.end_together()).collect();
        let mut kills = Vec::with_capacity(processes.len());
        for (process, timeout) in processes {
            let observation = process.observe(sender.clone());
            process.take(Input::Kill);
            kills.push((Kill::new(process, timeout, until), observation));
        }
        drop(sender);
        // A start that waited for its turn is cancelled.
        self.shared.pool.wake();
        let mut results = KillResults::new();
        loop {
            kills.retain_mut(|(kill, _)| match kill.advance(sequence) {
                None => true,
                Some(outcome) => {
                    if !matches!(outcome, Err(Error::StillRunning { .. })) {
                        self.remove(kill.process());
                    }
                    results.insert(kill.process().uuid().to_owned(), outcome);
                    false
                }
            });
            if kills.is_empty() {
                return results;
            }
            match kills.iter().filter_map(|(kill, _)| kill.deadline()).min() {
                // A message or the time: both are reasons to look again.
                Some(next) => drop(changes.recv_deadline(next)),
                None => drop(changes.recv()),
            }
        }
    }

    /// Lets go of every process, and waits for the watchers.
    fn let_go(&self, deadline: Instant) {
        let watchers = mem::take(&mut *self.watchers.lock());
        // Both: a process that was just started, or that another call waits for, is only in the table.
        let mut processes: Vec<_> = self.table.read().values().cloned().collect();
        processes.extend(watchers.iter().map(|(process, _)| Arc::clone(process)));
        for process in &processes {
            process.release();
        }
        self.shared.pool.wake();
        let watched = |process: &&Arc<Process>| process.is_watched();
        wait_for_watchers(processes.iter().filter(watched), deadline.checked_sub(DROP_RESERVE).unwrap_or(deadline));
        for process in processes.iter().filter(watched) {
            // A link that is stuck does not pass on the end of input.
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
            // A fork has the parent's descriptors but not its threads, and perhaps locks that nobody opens any more.
            // Closing a lifeline here would close the parent's. So what it would drop is kept.
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

/// 64 random bits in hexadecimal.
fn random_name() -> Result<String> {
    let random = sys::random::<8>().map_err(|e| Error::local("making a random name", e))?;
    Ok(format!("{:016x}", u64::from_ne_bytes(random)))
}

fn with_timeouts(
    processes: impl IntoIterator<Item = Arc<Process>>,
    timeouts: &KillTimeouts,
) -> Vec<(Arc<Process>, Duration)> {
    let with_timeout = |process: Arc<Process>| {
        let timeout = timeouts.of(process.uuid());
        (process, timeout)
    };
    processes.into_iter().map(with_timeout).collect()
}

/// Waits until `look` finds something, or the timeout is over.
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

fn wait_for_watchers<'a>(processes: impl Iterator<Item = &'a Arc<Process>>, deadline: Instant) {
    for process in processes {
        let left = deadline.saturating_duration_since(Instant::now());
        wait(process, left, || (!process.is_watched()).then_some(()));
    }
}

/// Joins threads whose watchers have ended: they have nothing more to do than to return.
fn join(ended: Vec<(Arc<Process>, JoinHandle<()>)>) {
    for (process, thread) in ended {
        if thread.join().is_err() {
            log::error!("{}: its watcher panicked", process.uuid());
        }
    }
}
