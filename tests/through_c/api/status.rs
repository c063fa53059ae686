//! The exit of a process, as C reports it.

use std::fmt;
use std::ptr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::c;
use crate::input::copied;
use crate::{ExitSource, Signal};

/// What the functions of sshpm_exit_status say of one status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitStatus {
    start_number: u64,
    source: ExitSource,
    raw_code: Option<i32>,
    code: Option<i32>,
    application_code: Option<i32>,
    signal: Option<Signal>,
    core_dumped: bool,
    left_over: bool,
    ended_at: Option<SystemTime>,
    strays: Vec<i64>,
    link_lost: bool,
    unknown: bool,
    sentence: String,
    message: String,
}

type GetCode = unsafe extern "C" fn(*const c::sshpm_exit_status, *mut i32) -> c::sshpm_result;

impl ExitStatus {
    /// # Safety
    /// The pointer is to a status that lives during the call.
    pub(crate) unsafe fn read(status: *const c::sshpm_exit_status) -> ExitStatus {
        // SAFETY: the caller's promise, for all calls here.
        unsafe {
            let source = match c::sshpm_exit_status_get_source(status) {
                c::SSHPM_EXIT_SOURCE_CLIENT_MONITORING => ExitSource::ClientMonitoring,
                c::SSHPM_EXIT_SOURCE_REMOTE_MONITORING => ExitSource::RemoteMonitoring,
                c::SSHPM_EXIT_SOURCE_MANUAL_KILL_THROUGH_SSH_CLIENT => ExitSource::ManualKillThroughSshClient,
                c::SSHPM_EXIT_SOURCE_MANUAL_KILL_THROUGH_REMOTE_PID => ExitSource::ManualKillThroughRemotePid,
                other => panic!("no source: {other}"),
            };
            let name = copied(c::sshpm_exit_status_get_source_name(status)).unwrap();
            assert_eq!(name, source.as_str());
            let code = |get: GetCode| {
                let mut code = i32::MIN;
                match get(status, &mut code) {
                    c::SSHPM_OK => Some(code),
                    c::SSHPM_ERROR_NO_EXIT_CODE => None,
                    other => panic!("no answer: {other}"),
                }
            };
            let signal = c::sshpm_exit_status_get_signal(status);
            let mut ended_at = f64::NAN;
            let ended_at = match c::sshpm_exit_status_get_ended_at(status, &mut ended_at) {
                c::SSHPM_OK => Some(UNIX_EPOCH + Duration::from_secs_f64(ended_at)),
                c::SSHPM_ERROR_NO_END_TIME => None,
                other => panic!("no answer: {other}"),
            };
            let stray = |at| c::sshpm_exit_status_get_stray(status, at);
            ExitStatus {
                start_number: c::sshpm_exit_status_get_start_number(status),
                source,
                raw_code: code(c::sshpm_exit_status_get_raw_code),
                code: code(c::sshpm_exit_status_get_code),
                application_code: code(c::sshpm_exit_status_get_application_code),
                signal: (signal != 0).then(|| Signal::from_number(signal).unwrap()),
                core_dumped: c::sshpm_exit_status_core_dumped(status),
                left_over: c::sshpm_exit_status_left_over(status),
                ended_at,
                strays: (0..c::sshpm_exit_status_strays_count(status)).map(stray).collect(),
                link_lost: c::sshpm_exit_status_link_lost(status),
                unknown: c::sshpm_exit_status_is_unknown(status),
                sentence: copied(c::sshpm_exit_status_get_sentence(status)).unwrap(),
                message: copied(c::sshpm_exit_status_get_message(status)).unwrap(),
            }
        }
    }

    /// Takes a status that C gave; `None` where it gave NULL.
    pub(crate) fn taken(status: *mut c::sshpm_exit_status) -> Option<ExitStatus> {
        if ptr::eq(status, ptr::null()) {
            return None;
        }
        // SAFETY: C gave it to be freed, and it is read before that.
        unsafe {
            let read = ExitStatus::read(status);
            c::sshpm_exit_status_free(status);
            Some(read)
        }
    }

    pub fn start_number(&self) -> u64 {
        self.start_number
    }

    pub fn source(&self) -> ExitSource {
        self.source
    }

    pub fn raw_code(&self) -> Option<i32> {
        self.raw_code
    }

    pub fn code(&self) -> Option<i32> {
        self.code
    }

    pub fn application_code(&self) -> Option<i32> {
        self.application_code
    }

    pub fn signal(&self) -> Option<Signal> {
        self.signal
    }

    pub fn core_dumped(&self) -> bool {
        self.core_dumped
    }

    pub fn left_over(&self) -> bool {
        self.left_over
    }

    pub fn ended_at(&self) -> Option<SystemTime> {
        self.ended_at
    }

    pub fn strays(&self) -> &[i64] {
        &self.strays
    }

    pub fn link_lost(&self) -> bool {
        self.link_lost
    }

    pub fn is_unknown(&self) -> bool {
        self.unknown
    }

    pub fn sentence(&self) -> &str {
        &self.sentence
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
