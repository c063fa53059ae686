//! A panic in the library becomes a code for C. The library has no code to provoke one: the program's logger, which the
//! library calls, panics. Only a Rust program can have such a logger, so this one calls the C functions from Rust.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

// Linked only for its symbols.
use crate::support::{Remote, isolated};
use sshpm as _;

// As in include/sshpm.h.
unsafe extern "C" {
    fn sshpm_options_new(out_options: *mut *mut c_void) -> i32;
    fn sshpm_options_set_ssh_config(options: *mut c_void, path: *const c_char) -> i32;
    fn sshpm_options_free(options: *mut c_void);
    fn sshpm_manager_new(options: *const c_void, out_manager: *mut *mut c_void) -> i32;
    fn sshpm_manager_free(manager: *mut c_void);
    fn sshpm_boot_request_from_json(json: *const c_char, out_request: *mut *mut c_void) -> i32;
    fn sshpm_boot_request_free(request: *mut c_void);
    fn sshpm_manager_start_process(
        manager: *mut c_void,
        uuid: *const c_char,
        request: *const c_void,
        out_start_number: *mut u64,
    ) -> i32;
    fn sshpm_manager_shutdown(manager: *mut c_void, timeout: f64, out_results: *mut *mut c_void) -> i32;
    fn sshpm_last_error_message() -> *const c_char;
}

const SSHPM_OK: i32 = 0;
const SSHPM_ERROR_PANIC: i32 = 20;

struct PanickingLogger {
    armed: AtomicBool,
}

static LOGGER: PanickingLogger = PanickingLogger { armed: AtomicBool::new(false) };

impl log::Log for PanickingLogger {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }

    fn log(&self, record: &log::Record) {
        if record.args().to_string().starts_with("ending role") && self.armed.swap(false, Ordering::SeqCst) {
            panic!("the logger's panic");
        }
    }

    fn flush(&self) {}
}

#[test]
fn a_panic_inside_a_call_is_an_error_and_the_manager_still_works() {
    // The logger belongs to the whole process, and would panic in other tests too.
    isolated(|| {
        let remote = Remote::start();
        log::set_logger(&LOGGER).unwrap();
        log::set_max_level(log::LevelFilter::Info);
        let config = CString::new(remote.ssh_config().to_str().unwrap()).unwrap();
        let (mut options, mut manager, mut request) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: as the header says: handles are what the functions gave and are freed once, strings end with a NUL.
        unsafe {
            assert_eq!(sshpm_options_new(&mut options), SSHPM_OK);
            assert_eq!(sshpm_options_set_ssh_config(options, config.as_ptr()), SSHPM_OK);
            assert_eq!(sshpm_manager_new(options, &mut manager), SSHPM_OK);
            let json = cr#"{"host": "silent", "argv": ["true"], "role": "application"}"#;
            assert_eq!(sshpm_boot_request_from_json(json.as_ptr(), &mut request), SSHPM_OK);
            assert_eq!(sshpm_manager_start_process(manager, c"u".as_ptr(), request, ptr::null_mut()), SSHPM_OK);
            LOGGER.armed.store(true, Ordering::SeqCst);
            let mut results = ptr::dangling_mut();
            let before = results;
            assert_eq!(sshpm_manager_shutdown(manager, 60.0, &mut results), SSHPM_ERROR_PANIC);
            assert_eq!(results, before, "outputs are written only on success");
            let message = CStr::from_ptr(sshpm_last_error_message()).to_str().unwrap();
            assert!(message.contains("the logger's panic") && message.contains("a bug in sshpm"), "{message}");
            assert!(!LOGGER.armed.load(Ordering::SeqCst));
            assert_eq!(sshpm_manager_shutdown(manager, 60.0, ptr::null_mut()), SSHPM_OK);
            sshpm_boot_request_free(request);
            sshpm_options_free(options);
            sshpm_manager_free(manager);
        }
        remote.assert_nothing_left();
    });
}
