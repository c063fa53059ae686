//! The library's log, which a callback receives.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use ::log::{LevelFilter, Log, Metadata, Record};
use parking_lot::Mutex;

use super::boundary::{Failure, c_string, call};
use super::callback_guard::{CallbackGuard, UserData};
use super::codes::{SSHPM_ERROR_LOGGER_SET, sshpm_result};
use super::input::choice;

/// Log level: no messages.
pub const SSHPM_LOG_OFF: i32 = 0;
/// Log level: something is lost or wrong.
pub const SSHPM_LOG_ERROR: i32 = 1;
/// Log level: somebody should look at this. Includes SSHPM_LOG_ERROR.
pub const SSHPM_LOG_WARN: i32 = 2;
/// Log level: processes start and end. Includes SSHPM_LOG_WARN and what that includes.
pub const SSHPM_LOG_INFO: i32 = 3;
/// Log level: each step. Includes all messages.
pub const SSHPM_LOG_DEBUG: i32 = 4;

/// Receives one message of the log: its level SSHPM_LOG_..., the part of the library that wrote it, and the text
/// without a newline. The strings are valid until the callback returns. It is called on the library's threads and on
/// threads that call the library, also on several at the same time. It must not throw, and must not call functions that
/// block.
pub type sshpm_log_callback =
    Option<unsafe extern "C" fn(level: i32, target: *const c_char, message: *const c_char, user_data: *mut c_void)>;

struct Sink {
    guard: CallbackGuard,
    level: LevelFilter,
    callback: unsafe extern "C" fn(i32, *const c_char, *const c_char, *mut c_void),
    user_data: UserData,
}

struct State {
    /// Whether `LOGGER` is the program's logger.
    installed: bool,
    sink: Option<Arc<Sink>>,
}

struct Logger {
    state: Mutex<State>,
}

static LOGGER: Logger = Logger { state: Mutex::new(State { installed: false, sink: None }) };

impl Logger {
    fn sink(&self, metadata: &Metadata) -> Option<Arc<Sink>> {
        // A program may have other parts in Rust, whose messages are not for this callback.
        let ours = metadata.target() == "sshpm" || metadata.target().starts_with("sshpm::");
        let sink = ours.then(|| self.state.lock().sink.clone()).flatten();
        sink.filter(|sink| metadata.level() <= sink.level)
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        self.sink(metadata).is_some()
    }

    fn log(&self, record: &Record) {
        let Some(sink) = self.sink(record.metadata()) else { return };
        let (target, message) = (c_string(record.target()), c_string(record.args().to_string()));
        sink.guard.run(|| {
            // SAFETY: the caller of sshpm_set_log_callback says that its function can be called like this until it is
            // replaced. The guard is closed then.
            unsafe { (sink.callback)(record.level() as i32, target.as_ptr(), message.as_ptr(), sink.user_data.0) };
        });
    }

    fn flush(&self) {}
}

/// Sets the callback that receives the library's log. Without a callback there is no log. When this function returns,
/// the former callback is not running and is never called again; inside the former callback it returns at once. Before
/// the program ends, turn the log off: see "Ending the program" at the top of this header.
///
/// Any thread. Blocks while the former callback runs.
///
/// @param level SSHPM_LOG_...: the callback receives the messages up to this level.
/// @param callback Receives the messages. NULL: turns the log off. It also runs on the library's threads, whose stacks
/// have 256 KiB.
/// @param user_data Is passed to the callback. The library does not use it.
/// @return SSHPM_OK, SSHPM_ERROR_INVALID. SSHPM_ERROR_LOGGER_SET: the program is written in Rust and has a logger,
/// which receives these messages.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_set_log_callback(
    level: i32,
    callback: sshpm_log_callback,
    user_data: *mut c_void,
) -> sshpm_result {
    call(|| {
        let levels = [
            (SSHPM_LOG_OFF, LevelFilter::Off),
            (SSHPM_LOG_ERROR, LevelFilter::Error),
            (SSHPM_LOG_WARN, LevelFilter::Warn),
            (SSHPM_LOG_INFO, LevelFilter::Info),
            (SSHPM_LOG_DEBUG, LevelFilter::Debug),
        ];
        let level = choice("level", level, &levels)?;
        let sink = callback.map(|callback| {
            Arc::new(Sink { guard: CallbackGuard::new(), level, callback, user_data: UserData(user_data) })
        });
        let former = LOGGER.replace(sink)?;
        if let Some(former) = former {
            former.guard.close();
        }
        Ok(())
    })
}

impl Logger {
    /// Sets the sink and returns the former sink, which may still be called until its guard is closed.
    fn replace(&'static self, sink: Option<Arc<Sink>>) -> Result<Option<Arc<Sink>>, Failure> {
        let mut state = self.state.lock();
        if !state.installed {
            if sink.is_none() {
                return Ok(None);
            }
            ::log::set_logger(self).map_err(|_| {
                Failure::new(SSHPM_ERROR_LOGGER_SET, "the program already has a logger of Rust's `log`")
            })?;
            state.installed = true;
        }
        ::log::set_max_level(sink.as_ref().map_or(LevelFilter::Off, |sink| sink.level));
        Ok(std::mem::replace(&mut state.sink, sink))
    }
}
