//! What a manager is made with.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::c;
use crate::input::{Owned, check, seconds, text};
use crate::{Error, HostKeyPolicy, KillScope, KillStep, Result, Role};

/// A handle that is set up as Rust's options are. What a setter refuses is told when the manager is made.
pub struct Options {
    handle: Owned<c::sshpm_options>,
    refused: Option<Error>,
}

impl Default for Options {
    fn default() -> Options {
        Options::new()
    }
}

impl Options {
    pub fn new() -> Options {
        // SAFETY: the output is a local.
        let handle = Owned::given(c::sshpm_options_free, |out| unsafe { c::sshpm_options_new(out) }).unwrap();
        Options { handle, refused: None }
    }

    fn set(mut self, set: impl FnOnce(*mut c::sshpm_options) -> Result<()>) -> Options {
        let set = set(self.handle.get());
        self.refused = self.refused.or(set.err());
        self
    }

    /// The handle, if nothing was refused.
    pub(crate) fn checked(&self) -> Result<*const c::sshpm_options> {
        self.refused.clone().map_or(Ok(self.handle.get().cast_const()), Err)
    }

    pub fn ssh_program(self, program: impl Into<PathBuf>) -> Options {
        let program = program.into();
        self.set(|this| {
            let program = text("ssh_program", program.as_os_str().as_bytes())?;
            // SAFETY: options that are ours, and a string.
            check(unsafe { c::sshpm_options_set_ssh_program(this, program.as_ptr()) })
        })
    }

    pub fn ssh_config(self, file: impl Into<PathBuf>) -> Options {
        let file = file.into();
        self.set(|this| {
            let file = text("ssh_config", file.as_os_str().as_bytes())?;
            // SAFETY: options that are ours, and a string.
            check(unsafe { c::sshpm_options_set_ssh_config(this, file.as_ptr()) })
        })
    }

    pub fn ssh_option(self, option: impl Into<String>) -> Options {
        let option = option.into();
        self.set(|this| {
            let option = text("ssh_option", option)?;
            // SAFETY: options that are ours, and a string.
            check(unsafe { c::sshpm_options_add_ssh_option(this, option.as_ptr()) })
        })
    }

    pub fn known_hosts_file(self, file: impl Into<PathBuf>) -> Options {
        let file = file.into();
        self.set(|this| {
            let file = text("known_hosts_file", file.as_os_str().as_bytes())?;
            // SAFETY: options that are ours, and a string.
            check(unsafe { c::sshpm_options_set_known_hosts_file(this, file.as_ptr()) })
        })
    }

    pub fn connect_timeout(self, timeout: Duration) -> Options {
        // SAFETY: options that are ours.
        self.set(|this| check(unsafe { c::sshpm_options_set_connect_timeout(this, seconds(timeout)) }))
    }

    pub fn lost_timeout(self, timeout: Duration) -> Options {
        // SAFETY: options that are ours.
        self.set(|this| check(unsafe { c::sshpm_options_set_lost_timeout(this, seconds(timeout)) }))
    }

    pub fn lease(self, lease: Duration) -> Options {
        // SAFETY: options that are ours.
        self.set(|this| check(unsafe { c::sshpm_options_set_lease(this, seconds(lease)) }))
    }

    pub fn share_connections(self, share: bool) -> Options {
        // SAFETY: options that are ours.
        self.set(|this| check(unsafe { c::sshpm_options_set_share_connections(this, share) }))
    }

    pub fn host_key_policy(self, policy: HostKeyPolicy) -> Options {
        let policy = match policy {
            HostKeyPolicy::SshConfig => c::SSHPM_HOST_KEY_SSH_CONFIG,
            HostKeyPolicy::Strict => c::SSHPM_HOST_KEY_STRICT,
            HostKeyPolicy::AcceptNew => c::SSHPM_HOST_KEY_ACCEPT_NEW,
            HostKeyPolicy::DisabledForLocalhost => c::SSHPM_HOST_KEY_DISABLED_FOR_LOCALHOST,
            HostKeyPolicy::Disabled => c::SSHPM_HOST_KEY_DISABLED,
            other => panic!("teach this {other:?}"),
        };
        // SAFETY: options that are ours.
        self.set(|this| check(unsafe { c::sshpm_options_set_host_key_policy(this, policy) }))
    }

    pub fn output_limit(self, bytes: usize) -> Options {
        // SAFETY: options that are ours.
        self.set(|this| check(unsafe { c::sshpm_options_set_output_limit(this, bytes) }))
    }

    pub fn kill_sequence(self, steps: impl Into<Vec<KillStep>>) -> Options {
        let steps = steps.into();
        self.set(|this| {
            // SAFETY: options that are ours.
            check(unsafe { c::sshpm_options_clear_kill_sequence(this) })?;
            for step in steps {
                let scope = match step.scope {
                    KillScope::Leader => c::SSHPM_KILL_SCOPE_LEADER,
                    KillScope::Group => c::SSHPM_KILL_SCOPE_GROUP,
                };
                let wait = step.wait.map_or(c::SSHPM_TIMEOUT_DEFAULT, seconds);
                // SAFETY: options that are ours.
                check(unsafe { c::sshpm_options_add_kill_step(this, step.signal.number(), scope, wait) })?;
            }
            Ok(())
        })
    }

    pub fn shutdown_order(self, order: impl Into<Vec<Role>>) -> Options {
        let order = order.into();
        self.set(|this| {
            let roles = order.iter().map(|role| text("role", role.as_str())).collect::<Result<Vec<_>>>()?;
            let pointers: Vec<_> = roles.iter().map(|role| role.as_ptr()).collect();
            // SAFETY: options that are ours, and as many strings as it is told.
            check(unsafe { c::sshpm_options_set_shutdown_order(this, pointers.as_ptr(), pointers.len()) })
        })
    }
}
