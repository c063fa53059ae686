//! The options of a manager.

use std::ffi::c_char;

use super::boundary::{call, free, give};
use super::codes::sshpm_result;
use super::input::{bytes, choice, handle, handle_mut, output, text, texts, timeout};
use super::launcher::sshpm_launcher;
use crate::{HostKeyPolicy, KillScope, KillStep, Options, Role, Signal};

/// Host key policy: ssh_config decides. The default.
pub const SSHPM_HOST_KEY_SSH_CONFIG: i32 = 0;
/// Host key policy: refuse unknown and changed keys, whatever ssh_config says.
pub const SSHPM_HOST_KEY_STRICT: i32 = 1;
/// Host key policy: accept and remember unknown keys, refuse changed keys.
pub const SSHPM_HOST_KEY_ACCEPT_NEW: i32 = 2;
/// Host key policy: check no key of localhost, 127.0.0.0/8 and ::1; for all other hosts, ssh_config decides.
pub const SSHPM_HOST_KEY_DISABLED_FOR_LOCALHOST: i32 = 3;
/// Host key policy: check no key. Anybody on the network can pretend to be the host: for closed networks only.
pub const SSHPM_HOST_KEY_DISABLED: i32 = 4;

/// Kill step: the signal goes to the application alone.
pub const SSHPM_KILL_SCOPE_LEADER: i32 = 0;
/// Kill step: the signal goes to the application's whole process group.
pub const SSHPM_KILL_SCOPE_GROUP: i32 = 1;

/// The options of a manager.
pub struct sshpm_options {
    pub(super) options: Options,
}

/// Makes options that have the defaults.
///
/// Any thread. Does not block.
///
/// @param out_options Receives the options. They are the caller's, to be freed with sshpm_options_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_options_new(out_options: *mut *mut sshpm_options) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a place for the output.
        let out_options = unsafe { output(out_options, "out_options")? };
        give(out_options, sshpm_options { options: Options::new() });
        Ok(())
    })
}

/// Frees options. Managers that were made with them keep their copies.
///
/// Any thread. Does not block.
///
/// @param options The options. NULL: does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_options_free(options: *mut sshpm_options) {
    // SAFETY: the caller's pointer is NULL or points to options that nobody uses any more.
    unsafe { free(options) };
}

/// Sets the launcher for all processes and calls that have no launcher of their own. Default: ssh.
///
/// One thread at a time for the same options. Does not block.
///
/// @param options The options.
/// @param launcher The launcher. Copied. sshpm_manager_new checks it.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_options_set_launcher(
    options: *mut sshpm_options,
    launcher: *const sshpm_launcher,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to options that only this thread uses and a launcher.
        let (this, launcher) = unsafe { (handle_mut(options, "options")?, handle(launcher, "launcher")?) };
        this.options.launcher = launcher.launcher.clone();
        Ok(())
    })
}

/// Sets the launcher of one host, which replaces the manager's launcher there. The launcher of a boot request overrides
/// both.
///
/// One thread at a time for the same options. Does not block.
///
/// @param options The options.
/// @param host The host, as requests and calls name it; UTF-8. Copied.
/// @param launcher The launcher. Copied. sshpm_manager_new checks it, and the host.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_options_set_host_launcher(
    options: *mut sshpm_options,
    host: *const c_char,
    launcher: *const sshpm_launcher,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a string, a launcher and options that only this thread
        // uses.
        let (this, host, launcher) =
            unsafe { (handle_mut(options, "options")?, text(host, "host")?, handle(launcher, "launcher")?) };
        this.options.host_launchers.insert(host.to_owned(), launcher.launcher.clone());
        Ok(())
    })
}

/// Sets the ssh program. Default: "ssh".
///
/// One thread at a time for the same options. Does not block.
///
/// @param options The options.
/// @param program A path, or a name that is looked up in PATH. Copied. sshpm_manager_new resolves a relative path,
/// which is one with a slash, against the current directory.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_options_set_ssh_program(
    options: *mut sshpm_options,
    program: *const c_char,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to options that only this thread uses and a string.
        let (this, program) = unsafe { (handle_mut(options, "options")?, bytes(program, "program")?) };
        this.options.ssh_program = program.into();
        Ok(())
    })
}

/// Sets the file for `ssh -F`, which replaces the ssh_config of the user and that of the system. Default: these two
/// files.
///
/// One thread at a time for the same options. Does not block.
///
/// @param options The options.
/// @param file The path of the file, or "none" for no file. Copied. NULL: the default. sshpm_manager_new resolves a
/// relative path against the current directory. ssh resolves relative paths inside the file whenever it runs.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_options_set_ssh_config(
    options: *mut sshpm_options,
    file: *const c_char,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to options that only this thread uses.
        let this = unsafe { handle_mut(options, "options")? };
        // SAFETY: the caller's pointer is NULL or points to a string.
        let file = unsafe { (!file.is_null()).then(|| bytes(file, "file")).transpose()? };
        this.options.ssh_config = file.map(Into::into);
        Ok(())
    })
}

/// Adds an option of ssh_config(5). It overrides the files, but not what the library relies on: no terminal, no
/// questions, no forwarded ports, no RemoteCommand, how connections are shared, LogLevel. X11 is not forwarded unless
/// the option is "ForwardX11=yes"; ssh then runs xauth(1) for each process, one after the other. Keys are not added to
/// an agent unless AddKeysToAgent is such an option. docs/ssh_config.md has the whole list.
///
/// One thread at a time for the same options. Does not block.
///
/// @param options The options.
/// @param option "Keyword=value"; UTF-8. Copied. sshpm_manager_new checks it. Use absolute paths in it: ssh resolves
/// other paths against the current directory whenever it runs.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_options_add_ssh_option(
    options: *mut sshpm_options,
    option: *const c_char,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to options that only this thread uses and a string.
        let (this, option) = unsafe { (handle_mut(options, "options")?, text(option, "option")?) };
        this.options.ssh_options.push(option.to_owned());
        Ok(())
    })
}

/// Sets how long a host may take to answer. The library also repeats a connection that a busy sshd drops, until this
/// time is over.
///
/// One thread at a time for the same options. Does not block.
///
/// @param options The options.
/// @param timeout_s Seconds, more than 0; sshpm_manager_new checks it. ssh counts whole seconds, so the library rounds
/// this up. SSHPM_TIMEOUT_DEFAULT: 10 s.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_options_set_connect_timeout(
    options: *mut sshpm_options,
    timeout_s: f64,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to options that only this thread uses.
        let this = unsafe { handle_mut(options, "options")? };
        let timeout = timeout("connect_timeout", timeout_s)?;
        this.options.connect_timeout = timeout.unwrap_or(Options::default().connect_timeout);
        Ok(())
    })
}

/// Sets how long to query the host about a lost process before its exit is reported as unknown.
///
/// One thread at a time for the same options. Does not block.
///
/// @param options The options.
/// @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: 30 s.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_options_set_lost_timeout(options: *mut sshpm_options, timeout_s: f64) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to options that only this thread uses.
        let this = unsafe { handle_mut(options, "options")? };
        let timeout = timeout("lost_timeout", timeout_s)?;
        this.options.lost_timeout = timeout.unwrap_or(Options::default().lost_timeout);
        Ok(())
    })
}

/// Sets how long the manager tries to restore the link to a kept process (SSHPM_LINK_LOSS_KEEP) before it reports the
/// exit as unknown. The process itself goes on then.
///
/// One thread at a time for the same options. Does not block.
///
/// @param options The options.
/// @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: INFINITY, which is for ever.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_options_set_restore_timeout(
    options: *mut sshpm_options,
    timeout_s: f64,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to options that only this thread uses.
        let this = unsafe { handle_mut(options, "options")? };
        let timeout = timeout("restore_timeout", timeout_s)?;
        this.options.restore_timeout = timeout.unwrap_or(Options::default().restore_timeout);
        Ok(())
    })
}

/// Sets whether processes of the same user and host share connections, with up to eight processes on each. Without
/// sharing, each process logs in by itself, which takes ten times as long. Default: true.
///
/// One thread at a time for the same options. Does not block.
///
/// @param options The options.
/// @param share Whether they share connections.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_options_set_share_connections(options: *mut sshpm_options, share: bool) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to options that only this thread uses.
        let this = unsafe { handle_mut(options, "options")? };
        this.options.share_connections = share;
        Ok(())
    })
}

/// Sets whether each process on a shared connection has an ssh client of its own, which is a child of your program.
/// Without one, the manager requests the session from the ssh client that holds the connection, by OpenSSH's protocol
/// for that (PROTOCOL.mux): a start then creates no process on this machine. Default: true.
///
/// Without clients, the process has no ssh client pid in sshpm_manager_get_runtime_pids, and
/// sshpm_manager_kill_process_without_metadata closes the session. In both cases, whoever kills the ssh client of the
/// connection breaks the links of all processes on it: at most eight. ForwardAgent, SendEnv, SetEnv and the like of
/// ssh_config apply in both cases. A session that cannot be requested gets a client: if the ssh of the connection
/// speaks another protocol or does not answer within 2 s, or if the environment of your program has more than 64 KiB.
/// One warning in the log says so.
///
/// One thread at a time for the same options. Does not block.
///
/// @param options The options.
/// @param client Whether each process has a client.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_options_set_ssh_client_per_process(
    options: *mut sshpm_options,
    client: bool,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to options that only this thread uses.
        let this = unsafe { handle_mut(options, "options")? };
        this.options.ssh_client_per_process = client;
        Ok(())
    })
}

/// Sets whether sshpm_manager_new raises the soft limit of open files of your program to the hard limit
/// (RLIMIT_NOFILE): each process takes 3 or 4 descriptors. The limit then stays raised. Leave it alone if some part of
/// your program uses select(2), which cannot handle descriptors from FD_SETSIZE (1024) on: its behaviour is undefined
/// then. The library's children, such as ssh, get the former soft limit. Default: false.
///
/// One thread at a time for the same options. Does not block.
///
/// @param options The options.
/// @param raise Whether it raises the limit.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_options_set_raise_descriptor_limit(
    options: *mut sshpm_options,
    raise: bool,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to options that only this thread uses.
        let this = unsafe { handle_mut(options, "options")? };
        this.options.raise_descriptor_limit = raise;
        Ok(())
    })
}

/// Sets how long the remote side of a connection goes on when it hears nothing from the manager. After that time the
/// remote side ends the connection, and each process on it follows its link loss policy. So no process lives on behind
/// a link that was cut without notice. The lease also ends when the manager does not run for that long, for example in
/// a debugger.
///
/// One thread at a time for the same options. Does not block.
///
/// @param options The options.
/// @param lease_s Seconds, at least 3; sshpm_manager_new checks it. The remote side counts whole seconds, so the
/// library rounds this up. SSHPM_TIMEOUT_DEFAULT: 30 s.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_options_set_lease(options: *mut sshpm_options, lease_s: f64) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to options that only this thread uses.
        let this = unsafe { handle_mut(options, "options")? };
        let lease = timeout("lease", lease_s)?;
        this.options.lease = lease.unwrap_or(Options::default().lease);
        Ok(())
    })
}

/// Sets how strictly ssh checks the keys of hosts.
///
/// One thread at a time for the same options. Does not block.
///
/// @param options The options.
/// @param policy One of SSHPM_HOST_KEY_...
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_options_set_host_key_policy(options: *mut sshpm_options, policy: i32) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to options that only this thread uses.
        let this = unsafe { handle_mut(options, "options")? };
        let choices = [
            (SSHPM_HOST_KEY_SSH_CONFIG, HostKeyPolicy::SshConfig),
            (SSHPM_HOST_KEY_STRICT, HostKeyPolicy::Strict),
            (SSHPM_HOST_KEY_ACCEPT_NEW, HostKeyPolicy::AcceptNew),
            (SSHPM_HOST_KEY_DISABLED_FOR_LOCALHOST, HostKeyPolicy::DisabledForLocalhost),
            (SSHPM_HOST_KEY_DISABLED, HostKeyPolicy::Disabled),
        ];
        this.options.host_key_policy = choice("host_key_policy", policy, &choices)?;
        Ok(())
    })
}

/// Sets a known_hosts file, which replaces the user's file.
///
/// One thread at a time for the same options. Does not block.
///
/// @param options The options.
/// @param file The path of the file. Copied. NULL: the user's file. sshpm_manager_new resolves a relative path against
/// the current directory. "none", and a text that begins with "~", "%" or "${", have the meaning that ssh_config(5)
/// gives them.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_options_set_known_hosts_file(
    options: *mut sshpm_options,
    file: *const c_char,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to options that only this thread uses.
        let this = unsafe { handle_mut(options, "options")? };
        // SAFETY: the caller's pointer is NULL or points to a string.
        let file = unsafe { (!file.is_null()).then(|| bytes(file, "file")).transpose()? };
        this.options.known_hosts_file = file.map(Into::into);
        Ok(())
    })
}

/// Sets how many of the last bytes of stdout the manager keeps for a process that has no log file, and how many of
/// stderr. Default: 1 MiB for each.
///
/// One thread at a time for the same options. Does not block.
///
/// @param options The options.
/// @param bytes The number of bytes.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_options_set_output_limit(options: *mut sshpm_options, bytes: usize) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to options that only this thread uses.
        let this = unsafe { handle_mut(options, "options")? };
        this.options.output_limit = bytes;
        Ok(())
    })
}

/// Removes all steps from the kill sequence, so that sshpm_options_add_kill_step can build another one. The default
/// sequence is SIGQUIT to the application, and after the timeout of the kill SIGKILL to its process group.
/// sshpm_manager_new refuses an empty sequence.
///
/// One thread at a time for the same options. Does not block.
///
/// @param options The options.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_options_clear_kill_sequence(options: *mut sshpm_options) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to options that only this thread uses.
        let this = unsafe { handle_mut(options, "options")? };
        this.options.kill_sequence.clear();
        Ok(())
    })
}

/// Adds a step to the kill sequence: a signal, and a wait for the exit. SIGCONT follows each signal, so that it also
/// reaches a stopped process. While the setup lines run, SIGTERM to the process group takes the place of every signal
/// but SIGKILL, because bash ignores SIGQUIT. To replace the default sequence, call sshpm_options_clear_kill_sequence
/// before the first step.
///
/// One thread at a time for the same options. Does not block.
///
/// @param options The options.
/// @param signal A signal of this machine's <signal.h>.
/// @param scope One of SSHPM_KILL_SCOPE_...
/// @param wait_s How many seconds to wait before the next step. SSHPM_TIMEOUT_DEFAULT: the timeout of the kill.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_options_add_kill_step(
    options: *mut sshpm_options,
    signal: i32,
    scope: i32,
    wait_s: f64,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to options that only this thread uses.
        let this = unsafe { handle_mut(options, "options")? };
        let scopes = [(SSHPM_KILL_SCOPE_LEADER, KillScope::Leader), (SSHPM_KILL_SCOPE_GROUP, KillScope::Group)];
        let signal = Signal::from_number(signal)?;
        let step = KillStep { signal, scope: choice("scope", scope, &scopes)?, wait: timeout("wait", wait_s)? };
        this.options.kill_sequence.push(step);
        Ok(())
    })
}

/// Sets the order in which roles are ended. Roles that the order does not name end last, together. Default: unknown,
/// application, segment-controller, root-controller, infrastructure-applications.
///
/// One thread at a time for the same options. Does not block.
///
/// @param options The options.
/// @param roles The names of the roles; UTF-8. Copied. May be NULL if the count is 0.
/// @param count The number of roles.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID. sshpm_manager_new refuses a role
/// that is named twice.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_options_set_shutdown_order(
    options: *mut sshpm_options,
    roles: *const *const c_char,
    count: usize,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to options that only this thread uses and `count` strings.
        let (this, roles) = unsafe { (handle_mut(options, "options")?, texts(roles, count, "roles")?) };
        this.options.shutdown_order = roles.into_iter().map(Role::from_name).collect::<Result<_, _>>()?;
        Ok(())
    })
}
