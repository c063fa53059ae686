//! Events, their subscribers, and the callbacks on process exit.
//!
//! The watcher of a process sends its events to the subscriptions. The end of a process then goes to the dispatcher,
//! the one thread of a manager that runs the exit callbacks.
//!
//! Lock order: each lock here is taken alone, and none is held while an event is sent or a callback runs.

use std::iter;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{RecvError, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::{Condvar, Mutex};

use crate::local::sys;
use crate::model::callback_thread;
use crate::model::error::{Error, NotReadyReason, Result};
use crate::model::exit_status::ExitStatus;
use crate::model::queue::Queue;
use crate::watch::process::{Announcement, Process};

/// Something that happened to a process.
///
/// The events of one start come in the order in which they happened. There is no order between different processes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Event {
    /// The uuid of the process.
    pub uuid: String,
    /// Which start of this uuid the event belongs to: the number that [`Manager::start_process`] or
    /// [`Manager::adopt_process`] returned for it.
    ///
    /// [`Manager::start_process`]: crate::Manager::start_process
    /// [`Manager::adopt_process`]: crate::Manager::adopt_process
    pub start_number: u64,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a process.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum EventKind {
    /// The application runs: its setup is done, and its program was executed.
    Started {
        /// The application's pid on its host.
        pid: i64,
    },
    /// The application has shown that it is ready, as [`BootRequest::ready`](crate::BootRequest::ready) says. A start
    /// has at most one of this event and `NotReady`, behind `Started` and before the end of the process.
    Ready,
    /// The application was not ready in time, or has shown that it will not be ready. It goes on running.
    NotReady {
        /// Why it does not count as ready.
        reason: NotReadyReason,
    },
    /// The process ended. No event of this start follows but `Restarting` or `RestartLimitReached`.
    Exited {
        /// How the process ended.
        status: ExitStatus,
    },
    /// The client on this machine (ssh, or that of another launcher) ended without a report of how the application
    /// ended: the connection broke, or the client was killed. The manager now queries the host, or restores the link of
    /// a kept process. For a kept process, `LinkRestored` follows when the link is back, or `Exited` when
    /// [`restore_timeout`](crate::Options::restore_timeout) is over. For any other process, `Exited` follows when the
    /// host has answered, or when [`lost_timeout`](crate::Options::lost_timeout) is over; a query that runs at this
    /// time may take the grace of the process and 12 s more. `StartFailed` follows in place of `Exited` if the start
    /// had failed.
    LinkLost {
        /// The last message of the client, or how it ended.
        reason: String,
    },
    /// The manager has a link to a kept process again, or adopted the process. The output that it wrote in the
    /// meantime follows.
    LinkRestored,
    /// An attempt to restore the link to a kept process failed. The manager goes on trying, and sends this event again
    /// when the reason changes. After [`Error::TakenOver`] it stops, and no event of this start follows.
    LinkNotRestored {
        /// Why the attempt failed.
        error: Error,
    },
    /// The start failed: the program was not executed, or was ended at once. No event of this start follows but
    /// `Restarting` or `RestartLimitReached`.
    StartFailed {
        /// Why the start failed.
        error: Error,
    },
    /// The policy of the process ([`RestartPolicy`](crate::RestartPolicy)) starts it again after this pause, unless a
    /// call cancels that. The next life has a start number of its own.
    Restarting {
        /// The how many-th restart this is within the time of the policy's limit, from 1.
        attempt: u32,
        /// The pause.
        after: Duration,
    },
    /// The policy of the process does not start it again, because it has been restarted too often: this end stands.
    RestartLimitReached {
        /// How many restarts the policy allows.
        limit: u32,
        /// Within which time.
        within: Duration,
    },
}

impl EventKind {
    /// Returns how the process ended, or why its start failed. `None` for events that do not end it.
    fn end(&self) -> Option<std::result::Result<&ExitStatus, &Error>> {
        match self {
            EventKind::Exited { status } => Some(Ok(status)),
            EventKind::StartFailed { error } => Some(Err(error)),
            EventKind::Started { .. }
            | EventKind::Ready
            | EventKind::NotReady { .. }
            | EventKind::LinkLost { .. }
            | EventKind::LinkRestored
            | EventKind::LinkNotRestored { .. }
            | EventKind::Restarting { .. }
            | EventKind::RestartLimitReached { .. } => None,
        }
    }
}

/// A queue of a manager's events, made by [`Manager::subscribe`](crate::Manager::subscribe).
///
/// The queue is unbounded: a slow subscriber loses no event and delays nobody. Events that are not received stay in it,
/// some hundred bytes each. The event of a failed start also has what ssh or the setup wrote last (at most 4 KiB) and
/// the setup line that failed. So drop a subscription that nobody reads.
///
/// A start has at most four events: `Started`, `Ready` or `NotReady` if the request asks for readiness, its end, and
/// what its restart policy does then. A lost link adds one event, and so does a restored link.
/// While a link is not restored, one event comes each time that the reason changes. If links break soon after one
/// another, the manager pauses up to 45 s before it restores the next one.
///
/// Several threads can receive from one subscription; each event goes to one of them. Dropping the subscription ends
/// it. It can outlive its manager: when the manager is gone and every event has been received, all receiving calls
/// report that the queue is disconnected.
///
/// The descriptor is for poll(2) and event loops. It is readable while events wait, and sometimes when none does. Do
/// not read from it: [`try_recv`](Subscription::try_recv) takes the events, and makes the descriptor unreadable when it
/// takes the last one.
#[derive(Debug)]
pub struct Subscription {
    queue: Queue<Delivery>,
    fd: Arc<OwnedFd>,
}

impl Subscription {
    /// Waits for the next event and returns it. Blocks until there is one.
    ///
    /// # Errors
    /// [`RecvError`] when the manager is gone and no event is left.
    pub fn recv(&self) -> std::result::Result<Event, RecvError> {
        let received = self.queue.recv();
        self.update_fd();
        received.map(Delivery::receive)
    }

    /// Waits for the next event and returns it. Blocks at most for the timeout.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Timeout`] when no event came in time; [`RecvTimeoutError::Disconnected`] when the manager
    /// is gone and no event is left.
    pub fn recv_timeout(&self, timeout: Duration) -> std::result::Result<Event, RecvTimeoutError> {
        let received = self.queue.recv_timeout(timeout);
        self.update_fd();
        received.map(Delivery::receive)
    }

    /// Returns the next event if one is waiting. Does not block.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] when no event is waiting; [`TryRecvError::Disconnected`] when the manager is gone and
    /// no event is left.
    pub fn try_recv(&self) -> std::result::Result<Event, TryRecvError> {
        let received = self.queue.try_recv();
        self.update_fd();
        received.map(Delivery::receive)
    }

    /// Iterates over the events as [`recv`](Subscription::recv) returns them: it waits for each, and ends when the
    /// manager is gone and no event is left.
    pub fn iter(&self) -> impl Iterator<Item = Event> {
        iter::from_fn(|| self.recv().ok())
    }

    /// Iterates over the events that are waiting. Does not block.
    pub fn try_iter(&self) -> impl Iterator<Item = Event> {
        iter::from_fn(|| self.try_recv().ok())
    }

    /// Returns the number of events that are waiting.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Returns whether no event is waiting.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the queue itself, to select on. Whoever receives from it then calls
    /// [`update_fd`](Subscription::update_fd).
    pub(crate) fn queue(&self) -> &Receiver<Delivery> {
        self.queue.receiver()
    }

    /// Makes the descriptor unreadable when no event is left.
    pub(crate) fn update_fd(&self) {
        if self.is_empty() {
            sys::event_fd_clear(&self.fd);
            // An event that came between the check and the clearing must leave the descriptor readable.
            if !self.is_empty() {
                self.signal_fd();
            }
        }
    }

    /// Makes the descriptor readable.
    pub(crate) fn signal_fd(&self) {
        sys::event_fd_signal(&self.fd);
    }
}

/// An event on its way to a subscriber or to the callbacks.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    event: Event,
    /// The process, if it ends with this event. Weak, so that a queue that nobody reads keeps no process alive.
    ended: Weak<Process>,
}

impl Delivery {
    /// Returns the event to the program, and notes that the program has taken the end if this is one.
    pub(crate) fn receive(self) -> Event {
        if let Some(process) = self.ended.upgrade() {
            process.acknowledge();
        }
        self.event
    }
}

impl AsFd for Subscription {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[derive(Clone)]
struct Subscriber {
    id: u64,
    queue: Sender<Delivery>,
    fd: Arc<OwnedFd>,
}

#[derive(Default)]
struct Subscribers {
    next: u64,
    list: Vec<Subscriber>,
}

/// A callback for the end of a process. It gets the uuid, the start number, and how the process ended or why its start
/// failed.
type ExitCallback = Arc<dyn Fn(&str, u64, std::result::Result<&ExitStatus, &Error>) + Send + Sync>;

/// Identifies a registered callback, for [`Manager::remove_callback`](crate::Manager::remove_callback).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallbackId(pub(crate) u64);

/// Sends the events of a manager to its subscriptions and callbacks.
pub(crate) struct Hub {
    subscribers: Mutex<Subscribers>,
    callbacks: Arc<Callbacks>,
    /// The first callback starts it.
    dispatcher: Mutex<Option<Dispatcher>>,
}

struct Dispatcher {
    queue: Sender<Delivery>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Callbacks {
    table: Mutex<CallbackTable>,
    /// Notified when a callback has returned, and when the dispatcher has ended.
    returned: Condvar,
}

#[derive(Default)]
struct CallbackTable {
    next: u64,
    registered: Vec<(u64, ExitCallback)>,
    running: Option<(u64, ThreadId)>,
    /// The dispatcher has dispatched its last event.
    ended: bool,
}

impl Hub {
    pub(crate) fn new() -> Hub {
        Hub { subscribers: Mutex::default(), callbacks: Arc::default(), dispatcher: Mutex::default() }
    }

    pub(crate) fn subscribe(&self) -> Result<Subscription> {
        let fd = Arc::new(sys::event_fd().map_err(|e| Error::local("making an eventfd", e))?);
        let (sender, queue) = unbounded();
        let mut subscribers = self.subscribers.lock();
        subscribers.next += 1;
        let id = subscribers.next;
        subscribers.list.push(Subscriber { id, queue: sender, fd: Arc::clone(&fd) });
        Ok(Subscription { queue: queue.into(), fd })
    }

    /// Puts an event into the queue of every subscription. If the process ends with it, then hands it to the callbacks.
    pub(crate) fn send(&self, process: &Arc<Process>, kind: EventKind) {
        let event = Event { uuid: process.uuid().to_owned(), start_number: process.start_number, kind };
        let is_end = event.kind.end().is_some();
        let delivery = Delivery { event, ended: if is_end { Arc::downgrade(process) } else { Weak::new() } };
        let subscribers = self.subscribers.lock().list.clone();
        let mut gone = Vec::new();
        for subscriber in &subscribers {
            match subscriber.queue.send(delivery.clone()) {
                Ok(()) => sys::event_fd_signal(&subscriber.fd),
                Err(_) => gone.push(subscriber.id),
            }
        }
        if !gone.is_empty() {
            self.subscribers.lock().list.retain(|subscriber| !gone.contains(&subscriber.id));
        }
        if is_end {
            self.dispatch(process, delivery);
        }
    }

    /// Hands the end of a process to the callbacks, if there are any.
    fn dispatch(&self, process: &Process, delivery: Delivery) {
        let has_callbacks = !self.callbacks.table.lock().registered.is_empty();
        let dispatcher = self.dispatcher.lock().as_ref().map(|dispatcher| dispatcher.queue.clone());
        match dispatcher.filter(|_| has_callbacks) {
            Some(dispatcher) => {
                // First: the dispatcher may announce `Complete` as soon as it has the event.
                process.announce(Announcement::Queued);
                // This fails only if the dispatcher has ended, and it ends after the last process.
                let _ = dispatcher.send(delivery);
            }
            None => process.announce(Announcement::Complete),
        }
    }

    pub(crate) fn register(&self, callback: ExitCallback) -> Result<CallbackId> {
        {
            let mut dispatcher = self.dispatcher.lock();
            if dispatcher.is_none() {
                let (queue, receiver) = unbounded();
                let callbacks = Arc::clone(&self.callbacks);
                let thread =
                    sys::spawn_thread("sshpm-dispatch", sys::USUAL_STACK, move || callbacks.dispatch(&receiver))
                        .map_err(|e| Error::local("starting the dispatcher thread", e))?;
                *dispatcher = Some(Dispatcher { queue, thread });
            }
        }
        let mut table = self.callbacks.table.lock();
        table.next += 1;
        let id = table.next;
        table.registered.push((id, callback));
        Ok(CallbackId(id))
    }

    /// Removes a callback, and waits until it does not run, unless it is the caller.
    pub(crate) fn unregister(&self, id: CallbackId) {
        let mut table = self.callbacks.table.lock();
        let removed = table.registered.iter().position(|(known, _)| *known == id.0);
        let removed = removed.map(|at| table.registered.remove(at));
        let here = thread::current().id();
        while table.running.is_some_and(|(running, thread)| running == id.0 && thread != here) {
            self.callbacks.returned.wait(&mut table);
        }
        drop(table);
        // Without the lock: the destructor of the callback may call the manager.
        drop(removed);
    }

    /// Ends the dispatcher after the last event. Waits for its end until `deadline`, unless it is the calling thread.
    pub(crate) fn close(&self, deadline: Instant) {
        let Some(Dispatcher { queue, thread }) = self.dispatcher.lock().take() else { return };
        drop(queue);
        if thread.thread().id() == thread::current().id() {
            return;
        }
        let mut table = self.callbacks.table.lock();
        while !table.ended {
            if self.callbacks.returned.wait_until(&mut table, deadline).timed_out() {
                // One callback still runs. No other one is called after it.
                let left = mem::take(&mut table.registered);
                drop(table);
                drop(left);
                return;
            }
        }
        drop(table);
        // The thread only has to return. Its panics were caught.
        let _ = thread.join();
    }
}

impl Callbacks {
    fn dispatch(&self, queue: &Receiver<Delivery>) {
        callback_thread::mark_as_dispatcher();
        for Delivery { event, ended } in queue {
            let ids: Vec<u64> = self.table.lock().registered.iter().map(|(id, _)| *id).collect();
            let returned = ids.into_iter().filter(|id| self.call(*id, &event)).count();
            let Some(process) = ended.upgrade() else { continue };
            if returned > 0 {
                process.acknowledge();
            }
            process.announce(Announcement::Complete);
        }
        self.table.lock().ended = true;
        self.returned.notify_all();
    }

    /// Calls one callback. Returns whether it was still registered and has returned without a panic.
    fn call(&self, id: u64, event: &Event) -> bool {
        let Some(end) = event.kind.end() else { return false };
        let callback = {
            let mut table = self.table.lock();
            let Some((_, callback)) = table.registered.iter().find(|(known, _)| *known == id) else { return false };
            let callback = Arc::clone(callback);
            table.running = Some((id, thread::current().id()));
            callback
        };
        // A panic must not end the thread that all callbacks share.
        let returned = panic::catch_unwind(AssertUnwindSafe(|| callback(&event.uuid, event.start_number, end))).is_ok();
        if !returned {
            let log = || log::error!("an exit callback panicked for process {:?}", event.uuid);
            // The logger may panic, too.
            let _ = panic::catch_unwind(AssertUnwindSafe(log));
        }
        drop(callback);
        self.table.lock().running = None;
        self.returned.notify_all();
        returned
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::launcher::Launcher;
    use crate::model::request::BootRequest;
    use crate::remote::instance::Instance;
    use crate::watch::state::Input;

    fn failure() -> Error {
        Error::ShutDown
    }

    /// A process whose start failed.
    fn failed_process() -> Arc<Process> {
        let instance = Instance { uuid: "u".to_owned(), id: String::new() };
        let process = Process::new(instance, BootRequest::new("h", ["true"]), Launcher::Local);
        assert!(process.settle(Input::StartFailed, |_| Err(failure())));
        Arc::new(process)
    }

    fn send_end(hub: &Hub, process: &Arc<Process>) {
        hub.send(process, EventKind::StartFailed { error: failure() });
    }

    fn is_complete(process: &Process) -> bool {
        process.outcome_after(Announcement::Complete).is_some()
    }

    #[test]
    fn the_first_receive_acknowledges_the_end_and_nothing_before_it() {
        let receives: [fn(&Subscription); 4] = [
            |subscription| drop(subscription.recv().unwrap()),
            |subscription| drop(subscription.recv_timeout(Duration::MAX).unwrap()),
            |subscription| drop(subscription.try_recv().unwrap()),
            |subscription| assert_eq!(subscription.try_iter().count(), 1),
        ];
        for receive in receives {
            let (hub, process) = (Hub::new(), failed_process());
            let (first, second) = (hub.subscribe().unwrap(), hub.subscribe().unwrap());
            hub.send(&process, EventKind::LinkRestored);
            receive(&first);
            assert!(!process.is_acknowledged(), "that was not the end");
            send_end(&hub, &process);
            assert!(!process.is_acknowledged() && is_complete(&process), "no callback is waited for");
            receive(&first);
            assert!(process.is_acknowledged());
            assert_eq!(second.len(), 2);
        }
    }

    #[test]
    fn a_queue_that_nobody_reads_keeps_no_process_alive() {
        let (hub, process) = (Hub::new(), failed_process());
        let subscription = hub.subscribe().unwrap();
        send_end(&hub, &process);
        let weak = Arc::downgrade(&process);
        drop(process);
        assert!(weak.upgrade().is_none());
        assert!(matches!(subscription.recv().unwrap().kind, EventKind::StartFailed { .. }));
    }

    #[test]
    fn a_callback_acknowledges_the_end_when_it_has_returned() {
        let (hub, process) = (Hub::new(), failed_process());
        let (called, calls) = crossbeam_channel::bounded(0);
        let (leave, left) = crossbeam_channel::bounded(0);
        let id = hub.register(Arc::new(move |_, _, _| {
            called.send(()).unwrap();
            left.recv().unwrap();
        }));
        send_end(&hub, &process);
        calls.recv().unwrap();
        assert!(process.outcome_after(Announcement::Queued).is_some());
        assert!(!process.is_acknowledged() && !is_complete(&process), "it runs");
        leave.send(()).unwrap();
        hub.unregister(id.unwrap());
        hub.close(Instant::now() + Duration::from_secs(60));
        assert!(process.is_acknowledged() && is_complete(&process));
    }

    #[test]
    fn a_callback_that_panics_or_is_gone_acknowledges_nothing() {
        let (hub, process) = (Hub::new(), failed_process());
        let id = hub.register(Arc::new(|_, _, _| panic!("expected in this test"))).unwrap();
        send_end(&hub, &process);
        hub.unregister(id);
        let other = failed_process();
        send_end(&hub, &other);
        assert!(is_complete(&other), "there is no callback to wait for");
        hub.close(Instant::now() + Duration::from_secs(60));
        assert!(!process.is_acknowledged() && is_complete(&process));
        assert!(!other.is_acknowledged());
    }
}
