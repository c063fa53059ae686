//! Boot requests. Those of Rust are values that can be copied and changed, so a handle is made when a request is used.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::c;
use crate::input::{Owned, check, seconds, text};
use crate::{Launcher, Limit, LimitValue, LinkLossPolicy, LogMode, Ready, RestartWhen, Result, Role};

#[derive(Debug, Clone)]
pub struct RestartPolicy {
    when: RestartWhen,
    limit: Option<(u32, Duration)>,
    pauses: Option<(Duration, Duration)>,
}

impl RestartPolicy {
    pub fn never() -> RestartPolicy {
        RestartPolicy { when: RestartWhen::Never, limit: None, pauses: None }
    }

    pub fn on_failure() -> RestartPolicy {
        RestartPolicy { when: RestartWhen::OnFailure, ..RestartPolicy::never() }
    }

    pub fn always() -> RestartPolicy {
        RestartPolicy { when: RestartWhen::Always, ..RestartPolicy::never() }
    }

    pub fn limit(self, restarts: u32, within: Duration) -> RestartPolicy {
        RestartPolicy { limit: Some((restarts, within)), ..self }
    }

    pub fn pauses(self, first: Duration, longest: Duration) -> RestartPolicy {
        RestartPolicy { pauses: Some((first, longest)), ..self }
    }
}

#[derive(Debug, Clone, Default)]
pub struct BootRequest {
    /// The JSON that it was read from. Nothing else is set then.
    json: Option<String>,
    host: String,
    argv: Vec<OsString>,
    set: Vec<Set>,
}

/// One call of a setter.
#[derive(Debug, Clone)]
enum Set {
    Launcher(Launcher),
    User(String),
    Name(String),
    Session(String),
    TreeId(String),
    Role(Role),
    Critical(bool),
    SetupLine(OsString),
    SetupShell(String),
    Environment(String, OsString),
    WorkingDirectory(PathBuf),
    Umask(u32),
    Limit(Limit, LimitValue),
    LogFile(PathBuf),
    LogMode(LogMode),
    StartTimeout(Duration),
    Ready(Ready),
    ReadyTimeout(Duration),
    Restart(RestartPolicy),
    LinkLoss(LinkLossPolicy),
    Grace(Duration),
    KillTree(bool),
}

impl BootRequest {
    pub fn new<A: Into<OsString>>(host: impl Into<String>, argv: impl IntoIterator<Item = A>) -> BootRequest {
        let argv = argv.into_iter().map(Into::into).collect();
        BootRequest { host: host.into(), argv, ..BootRequest::default() }
    }

    pub fn from_json(json: &str) -> Result<BootRequest> {
        let request = BootRequest { json: Some(json.to_owned()), ..BootRequest::default() };
        request.handle().map(|_| request)
    }

    /// C says only how many entries a list has.
    pub fn list_from_json(json: &str) -> Result<Vec<BootRequest>> {
        let json = text("json", json)?;
        let list = Owned::given(c::sshpm_boot_request_list_free, |out| {
            // SAFETY: a string, and an output that is a local.
            unsafe { c::sshpm_boot_request_list_from_json(json.as_ptr(), out) }
        })?;
        // SAFETY: the list is ours.
        Ok(vec![BootRequest::default(); unsafe { c::sshpm_boot_request_list_count(list.get()) }])
    }

    fn with(mut self, set: Set) -> BootRequest {
        self.set.push(set);
        self
    }

    pub fn launcher(self, launcher: Launcher) -> BootRequest {
        self.with(Set::Launcher(launcher))
    }

    pub fn user(self, user: impl Into<String>) -> BootRequest {
        self.with(Set::User(user.into()))
    }

    pub fn name(self, name: impl Into<String>) -> BootRequest {
        self.with(Set::Name(name.into()))
    }

    pub fn session(self, session: impl Into<String>) -> BootRequest {
        self.with(Set::Session(session.into()))
    }

    pub fn tree_id(self, tree_id: impl Into<String>) -> BootRequest {
        self.with(Set::TreeId(tree_id.into()))
    }

    pub fn role(self, role: Role) -> BootRequest {
        self.with(Set::Role(role))
    }

    pub fn critical(self, critical: bool) -> BootRequest {
        self.with(Set::Critical(critical))
    }

    pub fn setup_line(self, line: impl Into<OsString>) -> BootRequest {
        self.with(Set::SetupLine(line.into()))
    }

    pub fn setup_shell(self, shell: impl Into<String>) -> BootRequest {
        self.with(Set::SetupShell(shell.into()))
    }

    pub fn environment(self, name: impl Into<String>, value: impl Into<OsString>) -> BootRequest {
        self.with(Set::Environment(name.into(), value.into()))
    }

    pub fn working_directory(self, directory: impl Into<PathBuf>) -> BootRequest {
        self.with(Set::WorkingDirectory(directory.into()))
    }

    pub fn umask(self, mask: u32) -> BootRequest {
        self.with(Set::Umask(mask))
    }

    pub fn limit(self, limit: Limit, value: LimitValue) -> BootRequest {
        self.with(Set::Limit(limit, value))
    }

    pub fn log_file(self, file: impl Into<PathBuf>) -> BootRequest {
        self.with(Set::LogFile(file.into()))
    }

    pub fn log_mode(self, mode: LogMode) -> BootRequest {
        self.with(Set::LogMode(mode))
    }

    pub fn start_timeout(self, timeout: Duration) -> BootRequest {
        self.with(Set::StartTimeout(timeout))
    }

    pub fn ready(self, ready: Ready) -> BootRequest {
        self.with(Set::Ready(ready))
    }

    pub fn ready_timeout(self, timeout: Duration) -> BootRequest {
        self.with(Set::ReadyTimeout(timeout))
    }

    pub fn restart(self, policy: RestartPolicy) -> BootRequest {
        self.with(Set::Restart(policy))
    }

    pub fn link_loss(self, policy: LinkLossPolicy) -> BootRequest {
        self.with(Set::LinkLoss(policy))
    }

    pub fn grace(self, grace: Duration) -> BootRequest {
        self.with(Set::Grace(grace))
    }

    pub fn kill_tree(self, kill_tree: bool) -> BootRequest {
        self.with(Set::KillTree(kill_tree))
    }

    pub fn check(&self) -> Result<()> {
        // SAFETY: the handle is ours.
        check(unsafe { c::sshpm_boot_request_check(self.handle()?.get()) })
    }

    /// Returns the request as a handle of C.
    pub(crate) fn handle(&self) -> Result<Owned<c::sshpm_boot_request>> {
        if let Some(json) = &self.json {
            let json = text("json", json)?;
            return Owned::given(c::sshpm_boot_request_free, |out| {
                // SAFETY: a string, and an output that is a local.
                unsafe { c::sshpm_boot_request_from_json(json.as_ptr(), out) }
            });
        }
        let host = text("host", &self.host)?;
        let argument = |(at, argument): (usize, &OsString)| text(&format!("argv[{at}]"), argument.as_bytes());
        let argv = self.argv.iter().enumerate().map(argument).collect::<Result<Vec<_>>>()?;
        let argv: Vec<_> = argv.iter().map(|argument| argument.as_ptr()).collect();
        let request = Owned::given(c::sshpm_boot_request_free, |out| {
            // SAFETY: strings, as many as it is told, and an output that is a local.
            unsafe { c::sshpm_boot_request_new(host.as_ptr(), argv.as_ptr(), argv.len(), out) }
        })?;
        self.set.iter().try_for_each(|set| set.call(request.get()))?;
        Ok(request)
    }
}

type SetText = unsafe extern "C" fn(*mut c::sshpm_boot_request, *const std::ffi::c_char) -> c::sshpm_result;

impl Set {
    fn call(&self, request: *mut c::sshpm_boot_request) -> Result<()> {
        let texts = |field: &str, value: &[u8], set: SetText| {
            let value = text(field, value)?;
            // SAFETY: a request that is ours, and a string.
            check(unsafe { set(request, value.as_ptr()) })
        };
        // SAFETY, of all blocks below: a request that is ours, and strings that live during the call.
        match self {
            Set::Launcher(launcher) => {
                let launcher = launcher.handle()?;
                // SAFETY: as above.
                check(unsafe { c::sshpm_boot_request_set_launcher(request, launcher.get()) })
            }
            Set::User(user) => texts("user", user.as_bytes(), c::sshpm_boot_request_set_user),
            Set::Name(name) => texts("name", name.as_bytes(), c::sshpm_boot_request_set_name),
            Set::Session(session) => texts("session", session.as_bytes(), c::sshpm_boot_request_set_session),
            Set::TreeId(id) => texts("tree_id", id.as_bytes(), c::sshpm_boot_request_set_tree_id),
            Set::Role(role) => texts("role", role.as_str().as_bytes(), c::sshpm_boot_request_set_role),
            // SAFETY: as above.
            Set::Critical(critical) => check(unsafe { c::sshpm_boot_request_set_critical(request, *critical) }),
            Set::SetupLine(line) => texts("setup", line.as_bytes(), c::sshpm_boot_request_add_setup_line),
            Set::SetupShell(shell) => texts("setup_shell", shell.as_bytes(), c::sshpm_boot_request_set_setup_shell),
            Set::WorkingDirectory(directory) => texts(
                "working_directory",
                directory.as_os_str().as_bytes(),
                c::sshpm_boot_request_set_working_directory,
            ),
            Set::LogFile(file) => texts("log_file", file.as_os_str().as_bytes(), c::sshpm_boot_request_set_log_file),
            Set::Environment(name, value) => {
                let (name, value) = (text("environment", name)?, text("environment", value.as_bytes())?);
                // SAFETY: as above.
                check(unsafe { c::sshpm_boot_request_set_environment(request, name.as_ptr(), value.as_ptr()) })
            }
            Set::Limit(limit, value) => {
                let name = text("limits", limit.as_str())?;
                let value = match value {
                    LimitValue::Unlimited => c::SSHPM_UNLIMITED,
                    LimitValue::Value(value) => *value,
                };
                // SAFETY: as above.
                check(unsafe { c::sshpm_boot_request_set_limit(request, name.as_ptr(), value) })
            }
            // SAFETY: as above.
            Set::Umask(mask) => check(unsafe { c::sshpm_boot_request_set_umask(request, *mask) }),
            Set::LogMode(mode) => {
                let mode = match mode {
                    LogMode::Fresh => c::SSHPM_LOG_MODE_FRESH,
                    LogMode::Append => c::SSHPM_LOG_MODE_APPEND,
                    LogMode::Truncate => c::SSHPM_LOG_MODE_TRUNCATE,
                };
                // SAFETY: as above.
                check(unsafe { c::sshpm_boot_request_set_log_mode(request, mode) })
            }
            Set::LinkLoss(policy) => {
                let policy = match policy {
                    LinkLossPolicy::Terminate => c::SSHPM_LINK_LOSS_TERMINATE,
                    LinkLossPolicy::Keep => c::SSHPM_LINK_LOSS_KEEP,
                    other => panic!("teach this {other:?}"),
                };
                // SAFETY: as above.
                check(unsafe { c::sshpm_boot_request_set_link_loss(request, policy) })
            }
            Set::StartTimeout(timeout) => {
                // SAFETY: as above.
                check(unsafe { c::sshpm_boot_request_set_start_timeout(request, seconds(*timeout)) })
            }
            // SAFETY: as above.
            Set::Ready(Ready::Notify) => check(unsafe { c::sshpm_boot_request_set_ready_notify(request) }),
            // SAFETY: as above.
            Set::Ready(Ready::Port(port)) => check(unsafe { c::sshpm_boot_request_set_ready_port(request, *port) }),
            Set::Ready(Ready::Output(sign)) => texts("ready", sign.as_bytes(), c::sshpm_boot_request_set_ready_output),
            Set::Ready(other) => panic!("teach this {other:?}"),
            Set::ReadyTimeout(timeout) => {
                // SAFETY: as above.
                check(unsafe { c::sshpm_boot_request_set_ready_timeout(request, seconds(*timeout)) })
            }
            Set::Restart(RestartPolicy { when, limit, pauses }) => {
                let policy = match when {
                    RestartWhen::Never => c::SSHPM_RESTART_NEVER,
                    RestartWhen::OnFailure => c::SSHPM_RESTART_ON_FAILURE,
                    RestartWhen::Always => c::SSHPM_RESTART_ALWAYS,
                    other => panic!("teach this {other:?}"),
                };
                // SAFETY: as above.
                check(unsafe { c::sshpm_boot_request_set_restart(request, policy) })?;
                if let Some((limit, within)) = limit {
                    // SAFETY: as above.
                    check(unsafe { c::sshpm_boot_request_set_restart_limit(request, *limit, seconds(*within)) })?;
                }
                let Some((first, longest)) = pauses else { return Ok(()) };
                // SAFETY: as above.
                check(unsafe { c::sshpm_boot_request_set_restart_pauses(request, seconds(*first), seconds(*longest)) })
            }
            // SAFETY: as above.
            Set::Grace(grace) => check(unsafe { c::sshpm_boot_request_set_grace(request, seconds(*grace)) }),
            // SAFETY: as above.
            Set::KillTree(kill_tree) => check(unsafe { c::sshpm_boot_request_set_kill_tree(request, *kill_tree) }),
        }
    }
}
