//! The options of a manager.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::c;
use crate::input::{Owned, check, seconds, text};
use crate::{HostKeyPolicy, KillScope, KillStep, Launcher, Result, Role};

/// The calls that set up the handle when a manager is made: Rust's options are a value that can be copied. What a
/// setter refuses is reported then.
#[derive(Clone)]
pub struct Options(Vec<Arc<Setter>>);

type Setter = dyn Fn(*mut c::sshpm_options) -> Result<()> + Send + Sync;

impl Default for Options {
    fn default() -> Options {
        Options::new()
    }
}

impl Options {
    pub fn new() -> Options {
        Options(Vec::new())
    }

    fn set(mut self, set: impl Fn(*mut c::sshpm_options) -> Result<()> + Send + Sync + 'static) -> Options {
        self.0.push(Arc::new(set));
        self
    }

    /// Returns the options as a handle of C, if no setter refuses a value.
    pub(crate) fn handle(&self) -> Result<Owned<c::sshpm_options>> {
        // SAFETY: the output is a local.
        let handle = Owned::given(c::sshpm_options_free, |out| unsafe { c::sshpm_options_new(out) })?;
        self.0.iter().try_for_each(|set| set(handle.get()))?;
        Ok(handle)
    }

    pub fn launcher(self, launcher: Launcher) -> Options {
        self.set(move |this| {
            let launcher = launcher.handle()?;
            // SAFETY: options and a launcher that are ours.
            check(unsafe { c::sshpm_options_set_launcher(this, launcher.get()) })
        })
    }

    pub fn host_launcher(self, host: impl Into<String>, launcher: Launcher) -> Options {
        let host = host.into();
        self.set(move |this| {
            let (host, launcher) = (text("host_launchers", &host)?, launcher.handle()?);
            // SAFETY: options and a launcher that are ours, and a string.
            check(unsafe { c::sshpm_options_set_host_launcher(this, host.as_ptr(), launcher.get()) })
        })
    }

    pub fn ssh_program(self, program: impl Into<PathBuf>) -> Options {
        let program = program.into();
        self.set(move |this| {
            let program = text("ssh_program", program.as_os_str().as_bytes())?;
            // SAFETY: options that are ours, and a string.
            check(unsafe { c::sshpm_options_set_ssh_program(this, program.as_ptr()) })
        })
    }

    pub fn ssh_config(self, file: impl Into<PathBuf>) -> Options {
        let file = file.into();
        self.set(move |this| {
            let file = text("ssh_config", file.as_os_str().as_bytes())?;
            // SAFETY: options that are ours, and a string.
            check(unsafe { c::sshpm_options_set_ssh_config(this, file.as_ptr()) })
        })
    }

    pub fn ssh_option(self, option: impl Into<String>) -> Options {
        let option = option.into();
        self.set(move |this| {
            let option = text("ssh_options", &option)?;
            // SAFETY: options that are ours, and a string.
            check(unsafe { c::sshpm_options_add_ssh_option(this, option.as_ptr()) })
        })
    }

    pub fn known_hosts_file(self, file: impl Into<PathBuf>) -> Options {
        let file = file.into();
        self.set(move |this| {
            let file = text("known_hosts_file", file.as_os_str().as_bytes())?;
            // SAFETY: options that are ours, and a string.
            check(unsafe { c::sshpm_options_set_known_hosts_file(this, file.as_ptr()) })
        })
    }

    pub fn connect_timeout(self, timeout: Duration) -> Options {
        // SAFETY: options that are ours.
        self.set(move |this| check(unsafe { c::sshpm_options_set_connect_timeout(this, seconds(timeout)) }))
    }

    pub fn lost_timeout(self, timeout: Duration) -> Options {
        // SAFETY: options that are ours.
        self.set(move |this| check(unsafe { c::sshpm_options_set_lost_timeout(this, seconds(timeout)) }))
    }

    pub fn restore_timeout(self, timeout: Duration) -> Options {
        // SAFETY: options that are ours.
        self.set(move |this| check(unsafe { c::sshpm_options_set_restore_timeout(this, seconds(timeout)) }))
    }

    pub fn lease(self, lease: Duration) -> Options {
        // SAFETY: options that are ours.
        self.set(move |this| check(unsafe { c::sshpm_options_set_lease(this, seconds(lease)) }))
    }

    pub fn share_connections(self, share: bool) -> Options {
        // SAFETY: options that are ours.
        self.set(move |this| check(unsafe { c::sshpm_options_set_share_connections(this, share) }))
    }

    pub fn ssh_client_per_process(self, client: bool) -> Options {
        // SAFETY: options that are ours.
        self.set(move |this| check(unsafe { c::sshpm_options_set_ssh_client_per_process(this, client) }))
    }

    pub fn raise_descriptor_limit(self, raise: bool) -> Options {
        // SAFETY: options that are ours.
        self.set(move |this| check(unsafe { c::sshpm_options_set_raise_descriptor_limit(this, raise) }))
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
        self.set(move |this| check(unsafe { c::sshpm_options_set_host_key_policy(this, policy) }))
    }

    pub fn output_limit(self, bytes: usize) -> Options {
        // SAFETY: options that are ours.
        self.set(move |this| check(unsafe { c::sshpm_options_set_output_limit(this, bytes) }))
    }

    pub fn kill_sequence(self, steps: impl Into<Vec<KillStep>>) -> Options {
        let steps = steps.into();
        self.set(move |this| {
            // SAFETY: options that are ours.
            check(unsafe { c::sshpm_options_clear_kill_sequence(this) })?;
            for step in &steps {
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
        self.set(move |this| {
            let roles = order.iter().map(|role| text("role", role.as_str())).collect::<Result<Vec<_>>>()?;
            let pointers: Vec<_> = roles.iter().map(|role| role.as_ptr()).collect();
            // SAFETY: options that are ours, and an array with this number of strings.
            check(unsafe { c::sshpm_options_set_shutdown_order(this, pointers.as_ptr(), pointers.len()) })
        })
    }
}
