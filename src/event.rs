//! Events, their subscribers, and the callbacks on process exit.
//!
//! Lock order: each lock here is taken alone, and none is held while an event is sent or a callback runs.

use std::cell::Cell;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::{Condvar, Mutex};

use crate::error::{Error, Result};
use crate::exit_status::ExitStatus;
use crate::sys;

/// What a manager tells its subscribers. Of one process the events come in the order in which they happened; between
/// processes there is no order.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// The application runs: its setup is done and its program was executed.
    Started {
        /// The process.
        uuid: String,
        /// The application's pid on its host.
        pid: i64,
    },
    /// The process ended. It is the last event of a process that had started.
    Exited {
        /// The process.
        uuid: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// The ssh client, or that of another launcher, ended without a word about the application: the connection broke, or the client was killed.
    /// `Exited` follows, when the host has been asked or `lost_timeout` is over; of a process that is kept, `LinkRestored`.
    LinkLost {
        /// The process.
        uuid: String,
        /// What ssh said last, where it said anything.
        reason: String,
    },
    /// A process that is kept was taken over again, and all that it wrote meanwhile follows; or it was adopted.
    LinkRestored {
        /// The process.
        uuid: String,
    },
    /// The link to a process that is kept does not come back, for this reason; it is tried on, and told again when the
    /// reason changes. After [`Error::TakenOver`] it is not tried any more.
    LinkNotRestored {
        /// The process.
        uuid: String,
        /// Why.
        error: Error,
    },
    /// The process did not come to run. It is the only event of such a process.
    StartFailed {
        /// The process.
        uuid: String,
        /// Why.
        error: Error,
    },
}

impl Event {
    /// The process that the event is about.
    pub fn uuid(&self) -> &str {
        match self {
            Event::Started { uuid, .. }
            | Event::Exited { uuid, .. }
            | Event::LinkLost { uuid, .. }
            | Event::LinkRestored { uuid }
            | Event::LinkNotRestored { uuid, .. }
            | Event::StartFailed { uuid, .. } => uuid,
        }
    }
}

/// A subscription for event loops: a queue of events with a descriptor that is readable while events wait.
///
/// [`Manager::subscribe`](crate::Manager::subscribe) gives a plain channel; this adds one eventfd.
#[derive(Debug)]
pub struct PolledEvents {
    events: Receiver<Event>,
    fd: Arc<OwnedFd>,
}

impl PolledEvents {
    /// The next event, or `None` when none waits. Never blocks.
    pub fn next(&self) -> Option<Event> {
        let event = self.events.try_recv();
        self.settle();
        // Empty, or the manager is gone.
        event.ok()
    }

    /// Makes the descriptor say what the queue says: for those who take events from the channel themselves.
    pub(crate) fn settle(&self) {
        if self.events.is_empty() {
            sys::event_fd_clear(&self.fd);
            // An event that came between the look and the clearing must keep the descriptor readable.
            if !self.events.is_empty() {
                self.signal();
            }
        }
    }

    /// Makes the descriptor readable.
    pub(crate) fn signal(&self) {
        sys::event_fd_signal(&self.fd);
    }

    /// The channel behind it, for blocking waits.
    pub fn receiver(&self) -> &Receiver<Event> {
        &self.events
    }
}

impl AsFd for PolledEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[derive(Clone)]
struct Subscriber {
    id: u64,
    events: Sender<Event>,
    fd: Option<Arc<OwnedFd>>,
}

#[derive(Default)]
struct Subscribers {
    next: u64,
    list: Vec<Subscriber>,
}

/// What is called when a process has ended or failed to start: its uuid, and how it ended or why it did not start.
pub type ExitCallback = Arc<dyn Fn(&str, std::result::Result<&ExitStatus, &Error>) + Send + Sync>;

/// Names a registered callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallbackId(pub(crate) u64);

/// Sends events to all who want them.
pub(crate) struct Hub {
    subscribers: Mutex<Subscribers>,
    callbacks: Arc<Callbacks>,
    /// It starts with the first callback.
    dispatcher: Mutex<Option<Dispatcher>>,
}

struct Dispatcher {
    events: Sender<Event>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Callbacks {
    table: Mutex<CallbackTable>,
    /// A callback has returned.
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

thread_local! {
    static INSIDE_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Refuses what blocks while the calling thread is a dispatcher: the event that it waits for could be behind the
/// callback that waits.
pub(crate) fn refuse_inside_callback() -> Result<()> {
    if INSIDE_CALLBACK.get() { Err(Error::InsideCallback) } else { Ok(()) }
}

impl Hub {
    pub(crate) fn new() -> Hub {
        Hub { subscribers: Mutex::default(), callbacks: Arc::default(), dispatcher: Mutex::default() }
    }

    pub(crate) fn subscribe(&self) -> Receiver<Event> {
        self.add_subscriber(None)
    }

    pub(crate) fn subscribe_polled(&self) -> Result<PolledEvents> {
        let fd = Arc::new(sys::event_fd().map_err(|e| Error::local("making an eventfd", e))?);
        Ok(PolledEvents { events: self.add_subscriber(Some(Arc::clone(&fd))), fd })
    }

    fn add_subscriber(&self, fd: Option<Arc<OwnedFd>>) -> Receiver<Event> {
        // Unbounded: a subscriber that is slow loses nothing, and a process has at most three events.
        let (sender, receiver) = unbounded();
        let mut subscribers = self.subscribers.lock();
        subscribers.next += 1;
        let id = subscribers.next;
        subscribers.list.push(Subscriber { id, events: sender, fd });
        receiver
    }

    pub(crate) fn send(&self, event: &Event) {
        let subscribers = self.subscribers.lock().list.clone();
        let mut gone = Vec::new();
        for subscriber in &subscribers {
            if subscriber.events.send(event.clone()).is_err() {
                gone.push(subscriber.id);
            } else if let Some(fd) = &subscriber.fd {
                sys::event_fd_signal(fd);
            }
        }
        if !gone.is_empty() {
            self.subscribers.lock().list.retain(|subscriber| !gone.contains(&subscriber.id));
        }
        if matches!(event, Event::Exited { .. } | Event::StartFailed { .. }) {
            let dispatcher = self.dispatcher.lock().as_ref().map(|dispatcher| dispatcher.events.clone());
            if let Some(dispatcher) = dispatcher {
                // It fails only when the dispatcher has ended, and that ends after the last process.
                let _ = dispatcher.send(event.clone());
            }
        }
    }

    pub(crate) fn register(&self, callback: ExitCallback) -> Result<CallbackId> {
        {
            let mut dispatcher = self.dispatcher.lock();
            if dispatcher.is_none() {
                let (events, receiver) = unbounded();
                let callbacks = Arc::clone(&self.callbacks);
                let thread =
                    sys::spawn_thread("sshpm-dispatch", sys::USUAL_STACK, move || callbacks.dispatch(&receiver))
                        .map_err(|e| Error::local("starting the dispatcher thread", e))?;
                *dispatcher = Some(Dispatcher { events, thread });
            }
        }
        let mut table = self.callbacks.table.lock();
        table.next += 1;
        let id = table.next;
        table.registered.push((id, callback));
        Ok(CallbackId(id))
    }

    pub(crate) fn unregister(&self, id: CallbackId) {
        let mut table = self.callbacks.table.lock();
        let removed = table.registered.iter().position(|(known, _)| *known == id.0);
        let removed = removed.map(|at| table.registered.remove(at));
        let here = thread::current().id();
        while table.running.is_some_and(|(running, thread)| running == id.0 && thread != here) {
            self.callbacks.returned.wait(&mut table);
        }
        drop(table);
        // The callback's own destructor may call us.
        drop(removed);
    }

    /// Ends the dispatcher behind the last event. Waits for it until `deadline`, unless it is the calling thread.
    pub(crate) fn close(&self, deadline: Instant) {
        let Some(Dispatcher { events, thread }) = self.dispatcher.lock().take() else { return };
        drop(events);
        if thread.thread().id() == thread::current().id() {
            return;
        }
        let mut table = self.callbacks.table.lock();
        while !table.ended {
            if self.callbacks.returned.wait_until(&mut table, deadline).timed_out() {
                // One callback still runs. None is called after it.
                let left = mem::take(&mut table.registered);
                drop(table);
                drop(left);
                return;
            }
        }
        drop(table);
        // It has nothing more to do than to return; its panics were caught.
        let _ = thread.join();
    }
}

impl Callbacks {
    fn dispatch(&self, events: &Receiver<Event>) {
        INSIDE_CALLBACK.set(true);
        for event in events {
            let outcome = match &event {
                Event::Exited { status, .. } => Ok(status),
                Event::StartFailed { error, .. } => Err(error),
                Event::Started { .. }
                | Event::LinkLost { .. }
                | Event::LinkRestored { .. }
                | Event::LinkNotRestored { .. } => continue,
            };
            let ids: Vec<u64> = self.table.lock().registered.iter().map(|(id, _)| *id).collect();
            for id in ids {
                self.call(id, event.uuid(), outcome);
            }
        }
        self.table.lock().ended = true;
        self.returned.notify_all();
    }

    fn call(&self, id: u64, uuid: &str, outcome: std::result::Result<&ExitStatus, &Error>) {
        let callback = {
            let mut table = self.table.lock();
            let Some((_, callback)) = table.registered.iter().find(|(known, _)| *known == id) else { return };
            let callback = Arc::clone(callback);
            table.running = Some((id, thread::current().id()));
            callback
        };
        // A panic must not end the thread that all callbacks share.
        if panic::catch_unwind(AssertUnwindSafe(|| callback(uuid, outcome))).is_err() {
            log::error!("a callback on the exit of {uuid} panicked");
        }
        drop(callback);
        self.table.lock().running = None;
        self.returned.notify_all();
    }
}
