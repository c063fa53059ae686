//! Lets a callback of C be turned off for good while other threads may be calling it.

use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

/// The `user_data` of a callback.
#[derive(Clone, Copy)]
pub(super) struct UserData(pub *mut c_void);

// SAFETY: it is only handed back to the caller's functions, which the header says are called on other threads.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

/// Calls pass through it until it is closed.
///
/// The lock is held for reading during each call, so closing can wait for those that run. Nothing else takes it, and
/// who closes it inside a call does not wait, so it cannot deadlock with the crate's own locks.
pub(super) struct Gate {
    open: AtomicBool,
    calls: RwLock<()>,
    host_pid: u32,
}

thread_local! {
    /// The gates whose calls this thread is in.
    static INSIDE: RefCell<Vec<*const Gate>> = const { RefCell::new(Vec::new()) };
}

impl Gate {
    pub(super) fn new() -> Gate {
        Gate { open: AtomicBool::new(true), calls: RwLock::new(()), host_pid: std::process::id() }
    }

    /// Makes the call, unless the gate is closed.
    pub(super) fn pass(&self, call: impl FnOnce()) {
        // Recursive, because a call may cause another one: a log callback that calls a function that logs.
        let _running = self.calls.read_recursive();
        if !self.open.load(Ordering::Acquire) {
            return;
        }
        // A thread that is ending has no thread-locals any more. Its calls are made, but cannot be seen from inside.
        let entered = INSIDE.try_with(|inside| inside.borrow_mut().push(ptr::from_ref(self))).is_ok();
        let _inside = Inside(entered);
        call();
    }

    /// Closes it. When this returns no call runs and none will, except the one that this is called from.
    pub(super) fn close(&self) {
        self.open.store(false, Ordering::Release);
        let here = ptr::from_ref(self);
        let inside = INSIDE.try_with(|inside| inside.borrow().contains(&here)).unwrap_or(false);
        // In a forked child the threads that made the calls do not exist, and would be waited for in vain.
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
    fn closing_waits_for_a_call_but_not_inside_of_it() {
        let gate = Gate::new();
        let (begun, begin) = crossbeam_channel::bounded(1);
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                gate.pass(|| {
                    begun.send(()).unwrap();
                    std::thread::sleep(std::time::Duration::from_millis(50));
                    ended.store(true, Ordering::Release);
                });
            });
            begin.recv().unwrap();
            gate.close();
            assert!(ended.load(Ordering::Acquire));
        });
        gate.pass(|| panic!("it is closed"));

        let gate = Gate::new();
        gate.pass(|| gate.pass(|| gate.close()));
        gate.pass(|| panic!("it is closed"));
    }
}
