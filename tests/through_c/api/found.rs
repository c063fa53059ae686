//! Applications that managers have left on a host.

use std::time::Duration;

use crate::c;
use crate::input::{Owned, check, copied, pointer, seconds, text, text_or_null};
use crate::manager::Manager;
use crate::{BootRequest, CleanUp, ExitStatus, ProcessMetadata, Result};

/// An application that has a metadata file on its host.
#[derive(Debug, Clone)]
pub struct FoundProcess {
    pub uuid: String,
    pub metadata: ProcessMetadata,
    pub state: FoundState,
}

/// What has become of it.
#[derive(Debug, Clone)]
pub enum FoundState {
    Managed,
    Unmanaged,
    Orphaned,
    Ended(ExitStatus),
    Gone,
}

/// One application of a host that was cleaned up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanedUp {
    pub uuid: String,
    pub outcome: CleanUp,
    pub left: Vec<i64>,
}

impl Manager {
    pub fn find_processes(&self, host: &str, user: Option<&str>) -> Result<Vec<FoundProcess>> {
        let (host, user) = (text("host", host)?, text_or_null("user", user)?);
        let found = Owned::given(c::sshpm_found_processes_free, |out| {
            // SAFETY: a manager that is ours, strings, and an output that is a local.
            unsafe { c::sshpm_manager_find_processes(self.get(), host.as_ptr(), pointer(&user), out) }
        })?;
        let found = found.get();
        // SAFETY: the processes are ours, and what they lend is copied.
        let process = |at| unsafe {
            let status = c::sshpm_found_processes_get_status(found, at);
            let state = c::sshpm_found_processes_get_state(found, at);
            assert_eq!(!status.is_null(), state == c::SSHPM_FOUND_ENDED);
            FoundProcess {
                uuid: copied(c::sshpm_found_processes_get_uuid(found, at)).unwrap(),
                metadata: ProcessMetadata::read(c::sshpm_found_processes_get_metadata(found, at)),
                state: match state {
                    c::SSHPM_FOUND_MANAGED => FoundState::Managed,
                    c::SSHPM_FOUND_UNMANAGED => FoundState::Unmanaged,
                    c::SSHPM_FOUND_ORPHANED => FoundState::Orphaned,
                    c::SSHPM_FOUND_ENDED => FoundState::Ended(ExitStatus::read(status)),
                    c::SSHPM_FOUND_GONE => FoundState::Gone,
                    other => panic!("no state: {other}"),
                },
            }
        };
        // SAFETY: the processes are ours.
        Ok((0..unsafe { c::sshpm_found_processes_count(found) }).map(process).collect())
    }

    pub fn adopt_process(&self, uuid: &str, host: &str, user: Option<&str>) -> Result<u64> {
        let (uuid, host, user) = (text("uuid", uuid)?, text("host", host)?, text_or_null("user", user)?);
        let user = pointer(&user);
        let mut number = 0;
        // SAFETY: a manager that is ours, strings, and an output that is a local.
        check(unsafe { c::sshpm_manager_adopt_process(self.get(), uuid.as_ptr(), host.as_ptr(), user, &mut number) })?;
        Ok(number)
    }

    pub fn adopt_process_with_request(&self, uuid: &str, request: &BootRequest) -> Result<u64> {
        let (uuid, request) = (text("uuid", uuid)?, request.handle()?);
        let mut number = 0;
        // SAFETY: a manager and a request that are ours, a string, and an output that is a local.
        check(unsafe {
            c::sshpm_manager_adopt_process_with_request(self.get(), uuid.as_ptr(), request.get(), &mut number)
        })?;
        Ok(number)
    }

    pub fn clean_up_host(
        &self,
        host: &str,
        user: Option<&str>,
        grace: Duration,
        kill_tree: bool,
    ) -> Result<Vec<CleanedUp>> {
        let (host, user) = (text("host", host)?, text_or_null("user", user)?);
        let results = Owned::given(c::sshpm_clean_up_results_free, |out| {
            let (host, user) = (host.as_ptr(), pointer(&user));
            // SAFETY: a manager that is ours, strings, and an output that is a local.
            unsafe { c::sshpm_manager_clean_up_host(self.get(), host, user, seconds(grace), kill_tree, out) }
        })?;
        let results = results.get();
        // SAFETY: the results are ours, and what they lend is copied.
        let result = |at| unsafe {
            let left = |of| c::sshpm_clean_up_results_get_left(results, at, of);
            CleanedUp {
                uuid: copied(c::sshpm_clean_up_results_get_uuid(results, at)).unwrap(),
                outcome: match c::sshpm_clean_up_results_get_outcome(results, at) {
                    c::SSHPM_CLEAN_UP_MANAGED => CleanUp::Managed,
                    c::SSHPM_CLEAN_UP_ENDED => CleanUp::Ended,
                    c::SSHPM_CLEAN_UP_REMOVED => CleanUp::Removed,
                    c::SSHPM_CLEAN_UP_STILL_RUNNING => CleanUp::StillRunning,
                    other => panic!("no outcome: {other}"),
                },
                left: (0..c::sshpm_clean_up_results_left_count(results, at)).map(left).collect(),
            }
        };
        // SAFETY: the results are ours.
        Ok((0..unsafe { c::sshpm_clean_up_results_count(results) }).map(result).collect())
    }
}
