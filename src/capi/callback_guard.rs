//! Turns a callback of C off for good, also while other threads call it.

use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

/// The `user_data` of a callback.
#[derive(Clone, Copy)]
pub(super) struct UserData(pub *mut c_void);

// SAFETY: the library only passes it to the caller's functions. The header says that they run on other threads.
unsafe impl Send for UserData {}
// SAFETY: the library only passes it to the caller's functions. The header says that they run on other threads.
unsafe impl Sync for UserData {}

/// Makes the calls of a callback until it is closed.
///
/// Each call holds the lock for reading, so that `close` can wait for the calls that run. Nothing else takes the lock,
/// and `close` does not wait inside a call of the same guard, so it cannot deadlock with the crate's own locks.
pub(super) struct CallbackGuard {
    open: AtomicBool,
    calls: RwLock<()>,
    host_pid: u32,
}

thread_local! {
    /// The guards whose calls run on this thread.
    static INSIDE: RefCell<Vec<*const CallbackGuard>> = const { RefCell::new(Vec::new()) };
}

impl CallbackGuard {
    pub(super) fn new() -> CallbackGuard {
        CallbackGuard { open: AtomicBool::new(true), calls: RwLock::new(()), host_pid: std::process::id() }
    }

    /// Makes the call, unless the guard is closed.
    pub(super) fn run(&self, call: impl FnOnce()) {
        // Recursive, because one call can cause another: a log callback may call a function that logs.
        let _running = self.calls.read_recursive();
        if !self.open.load(Ordering::Acquire) {
            return;
        }
        // A thread that is ending has lost its thread-local values. Its call runs, but `close` cannot tell that it is
        // inside that call.
        let entered = INSIDE.try_with(|inside| inside.borrow_mut().push(ptr::from_ref(self))).is_ok();
        let _inside = Inside(entered);
        call();
    }

    /// Closes the guard. When this function returns, no call runs and none will run, except the call that it was made
    /// from.
    pub(super) fn close(&self) {
        self.open.store(false, Ordering::Release);
        let here = ptr::from_ref(self);
        let inside = INSIDE.try_with(|inside| inside.borrow().contains(&here)).unwrap_or(false);
        // A forked child does not have the threads that made the calls, so it would wait for them for ever.
        if !inside && self.host_pid == std::process::id() {
            drop(self.calls.write());
        }
    }
}

struct Inside(bool);

impl Drop for Inside {
    fn drop(&mut self) {
        if self.0 {
            let _ = INSIDE.try_with(|inside| inside.borrow_mut().pop());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_waits_for_a_call_but_not_inside_it() {
        let guard = CallbackGuard::new();
        let (begun, begin) = crossbeam_channel::bounded(1);
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                guard.run(|| {
                    begun.send(()).unwrap();
                    std::thread::sleep(std::time::Duration::from_millis(50));
                    ended.store(true, Ordering::Release);
                });
            });
            begin.recv().unwrap();
            guard.close();
            assert!(ended.load(Ordering::Acquire));
        });
        guard.run(|| panic!("the guard is closed"));

        let guard = CallbackGuard::new();
        guard.run(|| guard.run(|| guard.close()));
        guard.run(|| panic!("the guard is closed"));
    }
}
