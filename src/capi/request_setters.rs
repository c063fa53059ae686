//! The setters of boot requests.

use std::ffi::c_char;
use std::time::Duration;

use super::boundary::{Failure, call};
use super::codes::sshpm_result;
use super::input::{bytes, choice, handle, handle_mut, text, timeout};
use super::launcher::sshpm_launcher;
use super::request::sshpm_boot_request;
use crate::{BootRequest, LimitValue, LinkLossPolicy, LogMode, Ready, RestartPolicy, RestartWhen, Role};

/// Log mode: rename an existing log file to FILE.1, and begin a new one. The default.
pub const SSHPM_LOG_MODE_FRESH: i32 = 0;
/// Log mode: append to an existing log file.
pub const SSHPM_LOG_MODE_APPEND: i32 = 1;
/// Log mode: empty an existing log file.
pub const SSHPM_LOG_MODE_TRUNCATE: i32 = 2;

/// Link loss policy: when the link or the manager has gone, the process is ended: its process group gets SIGHUP, and
/// after the grace SIGKILL. The default.
pub const SSHPM_LINK_LOSS_TERMINATE: i32 = 0;
/// Link loss policy: when the link or the manager has gone, the process goes on. This manager restores the link, or
/// another manager can adopt the process.
pub const SSHPM_LINK_LOSS_KEEP: i32 = 1;

/// Restart policy: the process is never started again. The default.
pub const SSHPM_RESTART_NEVER: i32 = 0;
/// Restart policy: the process is started again after a start that failed, and after an exit whose code is not 0 or
/// that has none.
pub const SSHPM_RESTART_ON_FAILURE: i32 = 1;
/// Restart policy: the process is started again after every end that no call has asked for.
pub const SSHPM_RESTART_ALWAYS: i32 = 2;

/// Returns a request that has the default of every value.
fn defaults() -> BootRequest {
    BootRequest::new(String::new(), Vec::<String>::new())
}

/// Reads a time. SSHPM_TIMEOUT_DEFAULT stands for `default`.
fn time(field: &str, seconds: f64, default: Duration) -> Result<Duration, Failure> {
    Ok(timeout(field, seconds)?.unwrap_or(default))
}

/// Sets how the library obtains the shell of the process. Default: the launcher that the manager has for the host, or
/// else the launcher of the manager.
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param launcher The launcher. Copied. sshpm_boot_request_check checks it.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_launcher(
    request: *mut sshpm_boot_request,
    launcher: *const sshpm_launcher,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a request that only this thread uses and a launcher.
        let (this, launcher) = unsafe { (handle_mut(request, "request")?, handle(launcher, "launcher")?) };
        this.request.launcher = Some(launcher.launcher.clone());
        Ok(())
    })
}

/// Sets the remote user. Default: ssh's choice, which is User of ssh_config, or else the current user.
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param user The name; UTF-8. Copied. NULL: the default.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_user(
    request: *mut sshpm_boot_request,
    user: *const c_char,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a request that only this thread uses.
        let this = unsafe { handle_mut(request, "request")? };
        // SAFETY: the caller's pointer is NULL or points to a string.
        let user = unsafe { (!user.is_null()).then(|| text(user, "user")).transpose()? };
        this.request.user = user.map(str::to_owned);
        Ok(())
    })
}

/// Sets the name by which people know the process. Logs and the metadata file contain it. Default: "".
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param name At most 1024 bytes; UTF-8. Copied.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_name(
    request: *mut sshpm_boot_request,
    name: *const c_char,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a request that only this thread uses and a string.
        let (this, name) = unsafe { (handle_mut(request, "request")?, text(name, "name")?) };
        this.request.name = name.to_owned();
        Ok(())
    })
}

/// Sets the session that the process belongs to. Logs and the metadata file contain it. Default: "".
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param session At most 1024 bytes; UTF-8. Copied.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_session(
    request: *mut sshpm_boot_request,
    session: *const c_char,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a request that only this thread uses and a string.
        let (this, session) = unsafe { (handle_mut(request, "request")?, text(session, "session")?) };
        this.request.session = session.to_owned();
        Ok(())
    })
}

/// Sets the place of the process in the session's tree. The metadata file contains it. It does not set the role: see
/// sshpm_role_from_tree_id. Default: "".
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param tree_id At most 1024 bytes; UTF-8. Copied.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_tree_id(
    request: *mut sshpm_boot_request,
    tree_id: *const c_char,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a request that only this thread uses and a string.
        let (this, tree_id) = unsafe { (handle_mut(request, "request")?, text(tree_id, "tree_id")?) };
        this.request.tree_id = tree_id.to_owned();
        Ok(())
    })
}

/// Sets the role, which decides when a shutdown ends the process, and when the boot of a session starts it. Default:
/// unknown.
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param role "unknown", "application", "segment-controller", "root-controller", "infrastructure-applications", or a
/// name of your own of at most 64 bytes; UTF-8. Copied.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_role(
    request: *mut sshpm_boot_request,
    role: *const c_char,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a request that only this thread uses and a string.
        let (this, role) = unsafe { (handle_mut(request, "request")?, text(role, "role")?) };
        this.request.role = Role::from_name(role)?;
        Ok(())
    })
}

/// Sets whether the boot of a session needs the process: the next stage waits until a critical process is ready, and
/// one that is not ready in time, fails or ends fails its stage. A process that is not critical is started with the
/// others of its stage, and not waited for. Default: true.
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param critical Whether the boot needs the process.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_critical(
    request: *mut sshpm_boot_request,
    critical: bool,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a request that only this thread uses.
        let this = unsafe { handle_mut(request, "request")? };
        this.request.critical = critical;
        Ok(())
    })
}

/// Adds a line of shell code that runs before the program, in the same process: "source env.sh". The start fails when a
/// line does not return 0. The lines run in bash if the host has bash, or else in sh.
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param line Any bytes. Copied.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_add_setup_line(
    request: *mut sshpm_boot_request,
    line: *const c_char,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a request that only this thread uses and a string.
        let (this, line) = unsafe { (handle_mut(request, "request")?, bytes(line, "line")?) };
        this.request.setup.push(line.to_owned());
        Ok(())
    })
}

/// Sets the shell for the setup lines.
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param shell The name or path of a shell that reads POSIX shell code; UTF-8. Copied. NULL: bash if the host has it,
/// or else sh.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_setup_shell(
    request: *mut sshpm_boot_request,
    shell: *const c_char,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a request that only this thread uses.
        let this = unsafe { handle_mut(request, "request")? };
        // SAFETY: the caller's pointer is NULL or points to a string.
        let shell = unsafe { (!shell.is_null()).then(|| text(shell, "shell")).transpose()? };
        this.request.setup_shell = shell.map(str::to_owned);
        Ok(())
    })
}

/// Sets a variable of the application's environment. It is set before the setup lines run, and again after them.
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param name A letter or '_', then letters, digits and '_'. Copied.
/// @param value Any bytes, taken literally. Copied.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_environment(
    request: *mut sshpm_boot_request,
    name: *const c_char,
    value: *const c_char,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a request that only this thread uses and strings.
        let (this, name, value) =
            unsafe { (handle_mut(request, "request")?, text(name, "name")?, bytes(value, "value")?) };
        this.request.environment.insert(name.to_owned(), value.to_owned());
        Ok(())
    })
}

/// Sets the working directory of the setup lines and the program. A relative path begins at the login directory.
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param directory Any bytes. Copied. NULL: the login directory, or the directory that the setup lines change to.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_working_directory(
    request: *mut sshpm_boot_request,
    directory: *const c_char,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a request that only this thread uses.
        let this = unsafe { handle_mut(request, "request")? };
        // SAFETY: the caller's pointer is NULL or points to a string.
        let directory = unsafe { (!directory.is_null()).then(|| bytes(directory, "directory")).transpose()? };
        this.request.working_directory = directory.map(Into::into);
        Ok(())
    })
}

/// Sets the file mode creation mask. It also applies to the log file. Default: the mask of the login.
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param mask 0 to 0777. sshpm_boot_request_check checks it.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_umask(request: *mut sshpm_boot_request, mask: u32) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a request that only this thread uses.
        let this = unsafe { handle_mut(request, "request")? };
        this.request.umask = Some(mask);
        Ok(())
    })
}

/// Sets a resource limit of the application, both soft and hard. The setup lines run without it.
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param name core, cpu, data, fsize, memlock, nofile, nproc, stack or as, as in limits.conf(5).
/// @param value Bytes, seconds or a number, depending on the limit, or SSHPM_UNLIMITED.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_limit(
    request: *mut sshpm_boot_request,
    name: *const c_char,
    value: u64,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a request that only this thread uses and a string.
        let (this, name) = unsafe { (handle_mut(request, "request")?, text(name, "name")?) };
        let value = if value == u64::MAX { LimitValue::Unlimited } else { LimitValue::Value(value) };
        this.request.limits.insert(name.parse()?, value);
        Ok(())
    })
}

/// Sets the remote file for stdout and stderr of the setup lines and the program. A relative path begins at the login
/// directory.
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param file Any bytes. Copied. NULL: no file. The output then comes back over ssh, and the manager keeps its last
/// part.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_log_file(
    request: *mut sshpm_boot_request,
    file: *const c_char,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a request that only this thread uses.
        let this = unsafe { handle_mut(request, "request")? };
        // SAFETY: the caller's pointer is NULL or points to a string.
        let file = unsafe { (!file.is_null()).then(|| bytes(file, "file")).transpose()? };
        this.request.log_file = file.map(Into::into);
        Ok(())
    })
}

/// Sets what a start does with an existing log file.
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param mode One of SSHPM_LOG_MODE_...
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_log_mode(request: *mut sshpm_boot_request, mode: i32) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a request that only this thread uses.
        let this = unsafe { handle_mut(request, "request")? };
        let modes = [
            (SSHPM_LOG_MODE_FRESH, LogMode::Fresh),
            (SSHPM_LOG_MODE_APPEND, LogMode::Append),
            (SSHPM_LOG_MODE_TRUNCATE, LogMode::Truncate),
        ];
        this.request.log_mode = choice("log_mode", mode, &modes)?;
        Ok(())
    })
}

/// Sets the limit for each of two parts of a start: the wait for a connection that has room for one more ssh session,
/// and the time from then until the program runs. The start-up files of the login shell run once for a shared
/// connection, and once for each ssh session on it. So one run of them may take nearly as long as this timeout, whether
/// or not connections are shared. When the time is over, the library ends what has begun on the host, which can take
/// the grace.
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param timeout_s Seconds, more than 0. SSHPM_TIMEOUT_DEFAULT: 30 s.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_start_timeout(
    request: *mut sshpm_boot_request,
    timeout_s: f64,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a request that only this thread uses.
        let this = unsafe { handle_mut(request, "request")? };
        this.request.start_timeout = time("start_timeout", timeout_s, defaults().start_timeout)?;
        Ok(())
    })
}

/// Makes the process count as ready when it writes a line, which may be empty, to the descriptor whose number stands in
/// the variable SSHPM_NOTIFY_FD of its environment: the protocol of s6. The number is one digit, above 2. If the
/// process closes the descriptor before, SSHPM_EVENT_NOT_READY says so. A child that it has forked may still have the
/// descriptor open: then the ready timeout decides. The variable takes the place of one with its name that the login,
/// the setup lines or the request set. The last call of this function, sshpm_boot_request_set_ready_output and _port
/// stands.
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_ready_notify(request: *mut sshpm_boot_request) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a request that only this thread uses.
        let this = unsafe { handle_mut(request, "request")? };
        this.request.ready = Some(Ready::Notify);
        Ok(())
    })
}

/// Makes the process count as ready when something listens on a TCP port of its host: the process itself, or any other
/// one in the network namespace of the host's shell. The manager asks the host again and again, with pauses of 0.05 s
/// to 1 s; the host reads /proc/net/tcp and /proc/net/tcp6, and connects to nobody. A start fails if something listens
/// on the port before. The last call of this function, sshpm_boot_request_set_ready_notify and _output stands.
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param port 1 to 65535. sshpm_boot_request_check checks it.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_ready_port(
    request: *mut sshpm_boot_request,
    port: u16,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a request that only this thread uses.
        let this = unsafe { handle_mut(request, "request")? };
        this.request.ready = Some(Ready::Port(port));
        Ok(())
    })
}

/// Makes the process count as ready when a text stands in a line that it writes to stdout or stderr. Default: the
/// process counts as ready when it runs. What the setup lines write counts as well. Without a log file, the manager
/// finds the text as soon as it arrives, before the line is complete. With a log file, the host looks for the text in
/// each complete line behind what stood in the file when the process was started, and in the last line when the process
/// has ended; not in a device. The last call of this function, sshpm_boot_request_set_ready_notify and _port stands.
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param text The text, which is literal: 1 to 1024 bytes without a newline; UTF-8. Copied. NULL: the default, also
/// in place of a port or a descriptor.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_ready_output(
    request: *mut sshpm_boot_request,
    text: *const c_char,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a request that only this thread uses.
        let this = unsafe { handle_mut(request, "request")? };
        // SAFETY: the caller's pointer is NULL or points to a string.
        let text = unsafe { (!text.is_null()).then(|| self::text(text, "text")).transpose()? };
        this.request.ready = text.map(|text| Ready::Output(text.to_owned()));
        Ok(())
    })
}

/// Sets how long the application may take from the execution of its program until it is ready. When the time is over,
/// the process goes on running, and SSHPM_EVENT_NOT_READY reports it.
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param timeout_s Seconds, more than 0. SSHPM_TIMEOUT_DEFAULT: the start timeout.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_ready_timeout(
    request: *mut sshpm_boot_request,
    timeout_s: f64,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a request that only this thread uses.
        let this = unsafe { handle_mut(request, "request")? };
        this.request.ready_timeout = timeout("ready_timeout", timeout_s)?;
        Ok(())
    })
}

/// Sets when the manager starts the process again after it has ended. An end that a call has asked for (a kill, a
/// shutdown, a detach) is never followed by a restart. SSHPM_EVENT_RESTARTING announces each restart. A kept process
/// whose link is lost is not restarted while its host may still run it.
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param policy One of SSHPM_RESTART_...
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_restart(request: *mut sshpm_boot_request, policy: i32) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a request that only this thread uses.
        let this = unsafe { handle_mut(request, "request")? };
        let policies = [
            (SSHPM_RESTART_NEVER, RestartWhen::Never),
            (SSHPM_RESTART_ON_FAILURE, RestartWhen::OnFailure),
            (SSHPM_RESTART_ALWAYS, RestartWhen::Always),
        ];
        this.request.restart.when = choice("restart", policy, &policies)?;
        Ok(())
    })
}

/// Sets how many restarts by the policy there are at most within some time. After so many, the last end stands, and
/// SSHPM_EVENT_RESTART_LIMIT_REACHED says so.
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param limit The number of restarts, 1 or more. Default: 5.
/// @param within_s Seconds, more than 0. SSHPM_TIMEOUT_DEFAULT: 30 minutes.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_restart_limit(
    request: *mut sshpm_boot_request,
    limit: u32,
    within_s: f64,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a request that only this thread uses.
        let this = unsafe { handle_mut(request, "request")? };
        let within = time("restart.within", within_s, RestartPolicy::default().within)?;
        (this.request.restart.limit, this.request.restart.within) = (limit, within);
        Ok(())
    })
}

/// Sets the pauses of the restart policy. Each restart within the time of the limit doubles the pause.
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param first_s The pause before the first restart: seconds, more than 0. SSHPM_TIMEOUT_DEFAULT: 1 s.
/// @param longest_s The longest pause: seconds, not less than the first pause. SSHPM_TIMEOUT_DEFAULT: 30 s.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_restart_pauses(
    request: *mut sshpm_boot_request,
    first_s: f64,
    longest_s: f64,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a request that only this thread uses.
        let this = unsafe { handle_mut(request, "request")? };
        let default = RestartPolicy::default();
        let first = time("restart.first_pause", first_s, default.first_pause)?;
        let longest = time("restart.longest_pause", longest_s, default.longest_pause)?;
        (this.request.restart.first_pause, this.request.restart.longest_pause) = (first, longest);
        Ok(())
    })
}

/// Sets what happens to the process when the link or the manager has gone.
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param policy SSHPM_LINK_LOSS_TERMINATE or SSHPM_LINK_LOSS_KEEP.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_link_loss(
    request: *mut sshpm_boot_request,
    policy: i32,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a request that only this thread uses.
        let this = unsafe { handle_mut(request, "request")? };
        let policies =
            [(SSHPM_LINK_LOSS_TERMINATE, LinkLossPolicy::Terminate), (SSHPM_LINK_LOSS_KEEP, LinkLossPolicy::Keep)];
        this.request.link_loss = choice("link_loss", policy, &policies)?;
        Ok(())
    })
}

/// Sets how long the process may live after the SIGHUP that it gets when its link or its manager has gone, or when its
/// start is cancelled. Then it gets SIGKILL.
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param grace_s Seconds. The remote side counts whole seconds, so the library rounds this up. SSHPM_TIMEOUT_DEFAULT:
/// 5 s.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_grace(request: *mut sshpm_boot_request, grace_s: f64) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a request that only this thread uses.
        let this = unsafe { handle_mut(request, "request")? };
        this.request.grace = time("grace", grace_s, defaults().grace)?;
        Ok(())
    })
}

/// Sets whether the library also ends processes that the application started and that have left its process group, as
/// daemons do by setsid(2). When the application has ended, the library finds them by their POSIX session, or by a mark
/// in their environment, which this option gives to the application. The host needs /proc.
/// sshpm_exit_status_get_stray returns the processes that could not be ended. The process group itself is always ended.
/// Default: false.
///
/// One thread at a time for the same request. Does not block.
///
/// @param request The request.
/// @param kill_tree Whether the library ends them.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_boot_request_set_kill_tree(
    request: *mut sshpm_boot_request,
    kill_tree: bool,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a request that only this thread uses.
        let this = unsafe { handle_mut(request, "request")? };
        this.request.kill_tree = kill_tree;
        Ok(())
    })
}
