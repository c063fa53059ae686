//! Calls about hosts: logins, log files, metadata files.

use std::ffi::{c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::ptr;
use std::time::Duration;

use crate::c;
use crate::error::error;
use crate::input::{Owned, bytes, check, copied, pointer, read, seconds, text, text_or_null};
use crate::manager::Manager;
use crate::{Destination, LinkLossPolicy, Result};

/// What a login has found out. A progress function gets none of it, because C's callback has no parameter for it.
#[derive(Debug, Clone, Default)]
pub struct HostInfo {
    pub round_trip: Duration,
    pub user: String,
    pub login_shell: String,
    pub sh: String,
    pub kernel: String,
    pub runtime_directory: Option<String>,
    pub free_bytes: Option<u64>,
    pub ends_user_processes: bool,
}

impl HostInfo {
    /// # Safety
    /// The pointer is to information that lives during the call.
    unsafe fn read(info: *const c::sshpm_host_info) -> HostInfo {
        // SAFETY: the caller's promise, for all calls.
        unsafe {
            HostInfo {
                round_trip: Duration::from_secs_f64(c::sshpm_host_info_get_round_trip(info)),
                user: copied(c::sshpm_host_info_get_user(info)).unwrap(),
                login_shell: copied(c::sshpm_host_info_get_login_shell(info)).unwrap(),
                sh: copied(c::sshpm_host_info_get_sh(info)).unwrap(),
                kernel: copied(c::sshpm_host_info_get_kernel(info)).unwrap(),
                runtime_directory: copied(c::sshpm_host_info_get_runtime_directory(info)),
                free_bytes: u64::try_from(c::sshpm_host_info_get_free_bytes(info)).ok(),
                ends_user_processes: c::sshpm_host_info_ends_user_processes(info),
            }
        }
    }
}

/// The content of a metadata file.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessMetadata {
    pub pid: i64,
    pub hostname: String,
    pub user: String,
    pub started_at: f64,
    pub tree_id: String,
    pub role: String,
    pub name: String,
    pub session: String,
    pub start_time: String,
    pub boot_id: String,
    pub link_loss: LinkLossPolicy,
    pub log_file: Option<PathBuf>,
    pub grace: f64,
}

impl ProcessMetadata {
    pub fn from_json(uuid: &str, json: &[u8]) -> Result<ProcessMetadata> {
        let (uuid, json) = (text("uuid", uuid)?, text("json", json)?);
        ProcessMetadata::given(|out| {
            // SAFETY: strings, and an output that is a local.
            unsafe { c::sshpm_metadata_from_json(uuid.as_ptr(), json.as_ptr(), out) }
        })
    }

    fn given(call: impl FnOnce(*mut *mut c::sshpm_metadata) -> c::sshpm_result) -> Result<ProcessMetadata> {
        let metadata = Owned::given(c::sshpm_metadata_free, call)?;
        // SAFETY: the metadata live.
        Ok(unsafe { ProcessMetadata::read(metadata.get()) })
    }

    /// # Safety
    /// The pointer is to metadata that live during the call.
    pub(crate) unsafe fn read(metadata: *const c::sshpm_metadata) -> ProcessMetadata {
        // SAFETY: the caller's promise, and what they lend is copied.
        unsafe {
            ProcessMetadata {
                pid: c::sshpm_metadata_get_pid(metadata),
                hostname: copied(c::sshpm_metadata_get_hostname(metadata)).unwrap(),
                user: copied(c::sshpm_metadata_get_user(metadata)).unwrap(),
                started_at: c::sshpm_metadata_get_started_at(metadata),
                tree_id: copied(c::sshpm_metadata_get_tree_id(metadata)).unwrap(),
                role: copied(c::sshpm_metadata_get_role(metadata)).unwrap(),
                name: copied(c::sshpm_metadata_get_name(metadata)).unwrap(),
                session: copied(c::sshpm_metadata_get_session(metadata)).unwrap(),
                start_time: copied(c::sshpm_metadata_get_start_time(metadata)).unwrap(),
                boot_id: copied(c::sshpm_metadata_get_boot_id(metadata)).unwrap(),
                link_loss: match c::sshpm_metadata_get_link_loss(metadata) {
                    c::SSHPM_LINK_LOSS_TERMINATE => LinkLossPolicy::Terminate,
                    c::SSHPM_LINK_LOSS_KEEP => LinkLossPolicy::Keep,
                    other => panic!("no policy: {other}"),
                },
                log_file: copied(c::sshpm_metadata_get_log_file(metadata)).map(PathBuf::from),
                grace: c::sshpm_metadata_get_grace(metadata),
            }
        }
    }
}

pub fn metadata_file_path(uuid: &str) -> String {
    let uuid = text("uuid", uuid).unwrap();
    let mut path = ptr::null_mut();
    // SAFETY: a string, and an output that is a local; the path is copied before it is freed.
    unsafe {
        check(c::sshpm_metadata_file_path(uuid.as_ptr(), &mut path)).unwrap();
        let copy = copied(path).unwrap();
        c::sshpm_string_free(path);
        copy
    }
}

/// A log file while it grows.
pub struct LogFollower(Owned<c::sshpm_log_follower>);

impl LogFollower {
    pub fn next(&self, timeout: Duration) -> Result<Option<Vec<u8>>> {
        let mut piece = ptr::null_mut();
        // SAFETY: the follower is ours, and the output a local.
        match unsafe { c::sshpm_log_follower_next(self.0.get(), seconds(timeout), &mut piece) } {
            // Rust has no error for this.
            c::SSHPM_ERROR_TIMED_OUT => Ok(None),
            code => {
                check(code)?;
                Ok(Some(read(&Owned::new(piece, c::sshpm_buffer_free)).0))
            }
        }
    }
}

/// What C's progress callback needs: the caller's function, and its panic.
struct Progress<'a> {
    call: &'a mut dyn FnMut(usize, &Result<HostInfo>),
    panic: Option<Box<dyn std::any::Any + Send>>,
}

/// # Safety
/// The parameters are as the header says of sshpm_host_progress_callback. The user data is a `Progress`.
unsafe extern "C" fn progressed(index: usize, code: c::sshpm_result, message: *const c_char, user_data: *mut c_void) {
    // SAFETY: the caller's promise.
    let (progress, message) = unsafe { (&mut *user_data.cast::<Progress>(), copied(message).unwrap()) };
    let answer = if code == c::SSHPM_OK { Ok(HostInfo::default()) } else { Err(error(code, &message)) };
    // A callback of C must not unwind.
    if let (None, Err(panic)) = (&progress.panic, catch_unwind(AssertUnwindSafe(|| (progress.call)(index, &answer)))) {
        progress.panic = Some(panic);
    }
}

impl Manager {
    pub fn validate_host_connection(
        &self,
        host: &str,
        user: Option<&str>,
        auth_method: Option<&str>,
    ) -> Result<HostInfo> {
        let (host, user) = (text("host", host)?, text_or_null("user", user)?);
        let method = text_or_null("auth_method", auth_method)?;
        let info = Owned::given(c::sshpm_host_info_free, |out| {
            let (user, method) = (pointer(&user), pointer(&method));
            // SAFETY: a manager that is ours, strings, and an output that is a local.
            unsafe { c::sshpm_manager_validate_host_connection(self.get(), host.as_ptr(), user, method, out) }
        })?;
        // SAFETY: the information is ours.
        Ok(unsafe { HostInfo::read(info.get()) })
    }

    pub fn validate_hosts(
        &self,
        destinations: &[Destination],
        mut progress: impl FnMut(usize, &Result<HostInfo>),
    ) -> Result<Vec<Result<HostInfo>>> {
        let hosts = destinations.iter().map(|of| text("host", &of.host)).collect::<Result<Vec<_>>>()?;
        let users = destinations.iter().map(|of| text_or_null("user", of.user.as_deref()));
        let users = users.collect::<Result<Vec<_>>>()?;
        let hosts: Vec<_> = hosts.iter().map(|host| host.as_ptr()).collect();
        let users: Vec<_> = users.iter().map(pointer).collect();
        let mut progress = Progress { call: &mut progress, panic: None };
        let results = Owned::given(c::sshpm_host_results_free, |out| {
            let (count, data) = (hosts.len(), ptr::from_mut(&mut progress).cast());
            // SAFETY: a manager that is ours, as many strings as it is told, a function for these user data, and an
            // output.
            unsafe {
                c::sshpm_manager_validate_hosts(
                    self.get(),
                    hosts.as_ptr(),
                    users.as_ptr(),
                    count,
                    Some(progressed),
                    data,
                    out,
                )
            }
        })?;
        if let Some(panic) = progress.panic {
            resume_unwind(panic);
        }
        // SAFETY: the results are ours, and what they lend is copied.
        let result = |at| unsafe {
            let code = c::sshpm_host_results_get_result(results.get(), at);
            let message = copied(c::sshpm_host_results_get_message(results.get(), at)).unwrap();
            if code == c::SSHPM_OK {
                Ok(HostInfo::read(c::sshpm_host_results_get_info(results.get(), at)))
            } else {
                Err(error(code, &message))
            }
        };
        // SAFETY: the results are ours.
        Ok((0..unsafe { c::sshpm_host_results_count(results.get()) }).map(result).collect())
    }

    pub fn read_log_file(
        &self,
        host: &str,
        user: Option<&str>,
        path: impl AsRef<Path>,
        lines: usize,
        timeout: Duration,
    ) -> Result<Vec<u8>> {
        let (host, user) = (text("host", host)?, text_or_null("user", user)?);
        let (path, user) = (text("path", path.as_ref().as_os_str().as_bytes())?, pointer(&user));
        let read = bytes(|out| {
            let (host, path) = (host.as_ptr(), path.as_ptr());
            // SAFETY: a manager that is ours, strings, and an output that is a local.
            unsafe { c::sshpm_manager_read_log_file(self.get(), host, user, path, lines, seconds(timeout), out) }
        });
        Ok(read?.0)
    }

    pub fn follow_log_file(
        &self,
        host: &str,
        user: Option<&str>,
        path: impl AsRef<Path>,
        lines: usize,
    ) -> Result<LogFollower> {
        let (host, user) = (text("host", host)?, text_or_null("user", user)?);
        let (path, user) = (text("path", path.as_ref().as_os_str().as_bytes())?, pointer(&user));
        let follower = Owned::given(c::sshpm_log_follower_free, |out| {
            // SAFETY: a manager that is ours, strings, and an output that is a local.
            unsafe { c::sshpm_manager_follow_log_file(self.get(), host.as_ptr(), user, path.as_ptr(), lines, out) }
        });
        follower.map(LogFollower)
    }

    pub fn read_process_metadata(
        &self,
        uuid: &str,
        host: &str,
        user: Option<&str>,
        timeout: Duration,
    ) -> Result<ProcessMetadata> {
        let (uuid, host, user) = (text("uuid", uuid)?, text("host", host)?, text_or_null("user", user)?);
        ProcessMetadata::given(|out| {
            let (uuid, host, user) = (uuid.as_ptr(), host.as_ptr(), pointer(&user));
            // SAFETY: a manager that is ours, strings, and an output that is a local.
            unsafe { c::sshpm_manager_read_process_metadata(self.get(), uuid, host, user, seconds(timeout), out) }
        })
    }
}
