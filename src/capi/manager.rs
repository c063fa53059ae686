//! Managers: makes and frees them, starts processes, and registers exit callbacks.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::boundary::{Failure, c_string, call, free, give, pointer_to};
use super::callback_guard::{CallbackGuard, UserData};
use super::codes::{SSHPM_ERROR_NULL_ARGUMENT, SSHPM_OK, code_of, sshpm_result};
use super::input::{handle, optional_output, output, text};
use super::options::sshpm_options;
use super::request::sshpm_boot_request;
use super::status::{pointer_to_status, sshpm_exit_status};
use crate::{BootRequest, CallbackId, Error, ExitStatus, Manager, Options};

/// The table of processes, and every call that blocks. A program usually has one manager. Any thread can call its
/// functions, also at the same time as others; only sshpm_manager_free needs the manager for itself.
pub struct sshpm_manager {
    // It is dropped before the guard, so that the exits which this causes still reach the callbacks.
    pub(super) manager: Manager,
    callbacks: Callbacks,
}

/// The guard of all exit callbacks of a manager. The manager itself waits for a callback that runs only for a limited
/// time.
struct Callbacks(Arc<CallbackGuard>);

impl Drop for Callbacks {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Makes a manager without processes. It starts no thread and opens no connection yet. If ssh is the manager's
/// launcher, this function asks ssh for its version.
///
/// Any thread, also in callbacks. Blocks for some milliseconds, and at most 4 s when ssh does not answer.
///
/// @param options The options. Copied. NULL: the defaults.
/// @param out_manager Receives the manager. It is the caller's, to be freed with sshpm_manager_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID for options that cannot work, SSHPM_ERROR_LOCAL
/// when the system gives no random bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_new(
    options: *const sshpm_options,
    out_manager: *mut *mut sshpm_manager,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to options and a place for the output.
        let (options, out_manager) = unsafe { (options.as_ref(), output(out_manager, "out_manager")?) };
        let options = options.map_or_else(Options::new, |this| this.options.clone());
        give(
            out_manager,
            sshpm_manager { manager: Manager::new(options)?, callbacks: Callbacks(Arc::new(CallbackGuard::new())) },
        );
        Ok(())
    })
}

/// Detaches a manager from all processes, which follow their link loss policies, and frees the manager. To end the
/// processes in order, call sshpm_manager_shutdown before. When this function returns, no exit callback is running, and
/// none is called again. In a child that the program has forked, this function detaches from nothing and ends nothing:
/// the processes belong to the parent.
///
/// Any thread, but no other thread may use the manager any more. Blocks at most 5 s, and while a callback runs; inside
/// a callback it does not wait for that callback.
///
/// @param manager The manager. NULL: does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_free(manager: *mut sshpm_manager) {
    // SAFETY: the caller's pointer is NULL or points to a manager that nobody uses any more.
    unsafe { free(manager) };
}

/// Checks the request, enters the process in the table, starts its watcher thread and returns. Events, callbacks and
/// sshpm_manager_wait_until_started report everything else. The uuid of a process that has ended can be used again; the
/// new process replaces the old one in the table. The start number tells the two apart: a manager numbers its starts
/// and adoptions from 1, each number is higher than those before it, and events, callbacks and exit statuses carry it.
/// Some numbers may be missing. Events and callbacks can come before this function returns; from the first of them on,
/// sshpm_manager_get_start_number knows the number.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid Names the process: 1 to 128 letters, digits, '.', '_' and '-'.
/// @param request What to run. Copied.
/// @param out_start_number Receives the start number. May be NULL.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_UUID_IN_USE,
/// SSHPM_ERROR_SHUT_DOWN, SSHPM_ERROR_LOCAL when the system gives no thread or no random bytes. Nothing was started
/// unless it is SSHPM_OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_start_process(
    manager: *mut sshpm_manager,
    uuid: *const c_char,
    request: *const sshpm_boot_request,
    out_start_number: *mut u64,
) -> sshpm_result {
    // SAFETY: as the caller promises.
    unsafe { begin(manager, uuid, request, out_start_number, Manager::start_process) }
}

/// Begins the watch of a process by a method of the manager that takes a request, and gives its start number.
///
/// # Safety
/// The pointers are NULL, or point to a manager, a string, a request and a place for the output.
pub(super) unsafe fn begin(
    manager: *mut sshpm_manager,
    uuid: *const c_char,
    request: *const sshpm_boot_request,
    out_start_number: *mut u64,
    method: impl FnOnce(&Manager, &str, &BootRequest) -> crate::Result<u64>,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager, a string, a request and a place for an output.
        let (this, uuid, request, out_start_number) = unsafe {
            (
                handle(manager, "manager")?,
                text(uuid, "uuid")?,
                handle(request, "request")?,
                optional_output(out_start_number),
            )
        };
        let start_number = method(&this.manager, uuid, &request.request)?;
        if let Some(out_start_number) = out_start_number {
            out_start_number.write(start_number);
        }
        Ok(())
    })
}

/// Detaches the manager from all processes, which follow their link loss policies. The manager starts nothing any more.
///
/// Any thread. Blocks at most 5 s.
///
/// @param manager The manager. The other functions can still query it.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INSIDE_CALLBACK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_detach(manager: *mut sshpm_manager) -> sshpm_result {
    // SAFETY: the caller's pointer is NULL or points to a manager.
    call(|| Ok(unsafe { handle(manager, "manager")? }.manager.detach()?))
}

/// Removes a process that has ended from the table.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param uuid The process.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_STILL_RUNNING, SSHPM_ERROR_UNKNOWN_UUID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_forget_process(
    manager: *mut sshpm_manager,
    uuid: *const c_char,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a manager and a string.
        let (this, uuid) = unsafe { (handle(manager, "manager")?, text(uuid, "uuid")?) };
        Ok(this.manager.forget_process(uuid)?)
    })
}

/// Is called once for each start that ends or fails, with the uuid, the start number, and either the exit status, or
/// NULL and the reason of the failure as code and message. With a status, `error` is SSHPM_OK and `error_message` is
/// NULL. The pointers are valid until the callback returns. It must not throw.
pub type sshpm_exit_callback = Option<
    unsafe extern "C" fn(
        uuid: *const c_char,
        start_number: u64,
        status: *const sshpm_exit_status,
        error: sshpm_result,
        error_message: *const c_char,
        user_data: *mut c_void,
    ),
>;

/// Is called once with the user data of a callback, when the callback can never be called again. It must not throw.
pub type sshpm_finalizer = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

struct Registration {
    callback:
        unsafe extern "C" fn(*const c_char, u64, *const sshpm_exit_status, sshpm_result, *const c_char, *mut c_void),
    user_data: UserData,
    finalizer: sshpm_finalizer,
    /// Whether the callback was registered. Until then, the user data belongs to the caller.
    registered: AtomicBool,
}

impl Registration {
    fn call(&self, uuid: &str, start_number: u64, end: Result<&ExitStatus, &Error>) {
        let uuid = c_string(uuid);
        let status = end.ok().map(|status| sshpm_exit_status::from(status.clone()));
        let (code, message) = match end {
            Ok(_) => (SSHPM_OK, None),
            Err(error) => (code_of(error), Some(c_string(error.to_string()))),
        };
        let (status, message) = (pointer_to_status(status.as_ref()), pointer_to(message.as_ref()));
        // SAFETY: the caller says that its function can be called like this until the finalizer was called. All
        // pointers point to values of this stack frame.
        unsafe { (self.callback)(uuid.as_ptr(), start_number, status, code, message, self.user_data.0) };
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let (true, Some(finalizer)) = (self.registered.load(Ordering::Acquire), self.finalizer) {
            // SAFETY: the caller says that its function can be called once with the user data.
            unsafe { finalizer(self.user_data.0) };
        }
    }
}

/// Registers a callback that is called once for each start that ends or fails from now on. All callbacks of a manager
/// run one after another, on one thread of the library. Inside a callback, functions that do not block can be called.
/// Functions that block return SSHPM_ERROR_INSIDE_CALLBACK there, unless their description says "also in callbacks" or
/// what they do there. Before the program ends, remove the callback or free the manager: see "Ending the program" at
/// the top of this header.
///
/// Any thread, also in callbacks. Does not block.
///
/// @param manager The manager.
/// @param callback The function that is called.
/// @param user_data Is passed to both functions. The library does not use it.
/// @param finalizer Is called exactly once, when the callback can never be called again: on the thread that removes the
/// callback, frees the manager or runs the callbacks. It is only called if this function returns SSHPM_OK. May be NULL.
/// @param out_id Receives the number for sshpm_manager_remove_callback. The callback can be called before the number is
/// written.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_LOCAL when no thread can be started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_on_process_exit(
    manager: *mut sshpm_manager,
    callback: sshpm_exit_callback,
    user_data: *mut c_void,
    finalizer: sshpm_finalizer,
    out_id: *mut u64,
) -> sshpm_result {
    call(|| {
        let callback = callback.ok_or_else(|| Failure::new(SSHPM_ERROR_NULL_ARGUMENT, "callback is NULL"))?;
        // SAFETY: the caller's pointers are NULL, or point to a manager and a place for the output.
        let (this, out_id) = unsafe { (handle(manager, "manager")?, output(out_id, "out_id")?) };
        let user_data = UserData(user_data);
        let registered = AtomicBool::new(false);
        let registration = Arc::new(Registration { callback, user_data, finalizer, registered });
        let (called, guard) = (Arc::clone(&registration), Arc::clone(&this.callbacks.0));
        let id = this
            .manager
            .on_process_exit(move |uuid, start_number, end| guard.run(|| called.call(uuid, start_number, end)))?;
        registration.registered.store(true, Ordering::Release);
        out_id.write(id.0);
        Ok(())
    })
}

/// Removes a callback. When this function returns, the callback is not running and is never called again, and its
/// finalizer was called. Inside the callback itself this function returns at once, and the finalizer is called when the
/// callback has returned.
///
/// Any thread, also in callbacks. Blocks while the callback runs.
///
/// @param manager The manager.
/// @param id The callback's number. The number of a callback that was already removed is not an error.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_manager_remove_callback(manager: *mut sshpm_manager, id: u64) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a manager.
        unsafe { handle(manager, "manager")? }.manager.remove_callback(CallbackId(id));
        Ok(())
    })
}
