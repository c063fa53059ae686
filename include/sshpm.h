/**
 * @file sshpm.h
 * Starts, watches and ends processes on remote hosts over the system's ssh, or by another launcher: on this machine, in
 * containers, in a Slurm job.
 *
 * This file is generated from src/capi. Make changes there.
 *
 * Results: every function that can fail returns an sshpm_result: SSHPM_OK or an error. After an error,
 * sshpm_last_error_message returns the full text. Outputs are written only on SSHPM_OK. They must not be NULL unless
 * their description allows it. Every function can also return SSHPM_ERROR_PANIC, which is a bug in the library.
 *
 * Handles: the handle that a function with `_new` in its name returns belongs to the caller, and so does every output
 * that is described as the caller's. Free it with the `_free` function of its type. `_free(NULL)` does nothing. The
 * caller never frees what belongs to another handle.
 *
 * Strings: the library copies the strings that it receives. They must end with a NUL byte. Names (hosts, users, uuids,
 * roles, variables) must be UTF-8; arguments, values of variables, setup lines and paths can contain any bytes.
 *
 * Timeouts are seconds: a number from 0 on, INFINITY of <math.h> for no limit, or SSHPM_TIMEOUT_DEFAULT.
 *
 * Unknown uuids: a process that has ended stays in the manager's table until a kill, sshpm_manager_forget_process or
 * sshpm_manager_pop_early_exit_status removes it, or a start or an adoption with its uuid replaces it. When the table
 * has no process with a uuid, a function that needs the process returns SSHPM_ERROR_UNKNOWN_UUID, and a function that
 * ends several processes has this code in its results. Five queries return no error: sshpm_manager_is_process_alive and
 * _is_monitoring_remotely get false, _get_runtime_pids gets no pid, and _get_exit_status and _pop_early_exit_status get
 * NULL.
 *
 * Threads: each function says which threads can call it, and how long it can block. While a thread frees a handle, no
 * other thread may use the handle. While a thread sets a value of options, a request or a launcher, no other thread
 * may pass that handle to a function. The library's own threads block all signals and never unblock one. The library
 * installs no signal handler, and a broken link raises no SIGPIPE.
 *
 * Children on this machine (ssh or another launcher) are started by posix_spawn. Each begins with an empty signal mask,
 * the default action for every signal, a process group of its own, and no descriptor but its three streams, whatever
 * the program blocks, ignores or has open. The program may ignore SIGCHLD or reap all children, because exit codes come
 * from the hosts.
 *
 * System: Linux with glibc 2.24 or newer. The glibc must not be older than that of the machine on which the library was
 * built.
 *
 * Order of reports: when a process ends, its event is put in the queue of every subscription first. Then the exit
 * callbacks run, one after another. Then the functions that ended the process return: sshpm_manager_kill_process,
 * _kill_processes, _kill_processes_by_role, _kill_all_processes, _kill_process_without_metadata and _shutdown. So when
 * one of these functions has returned the exit of a process, no callback for this exit runs any more, whether or not
 * the uuid has been started again. These functions wait for callbacks only as long as their timeouts allow: the kill of
 * a process as long as the waits of all its steps add up to, counted from its first step;
 * _kill_process_without_metadata as long as its timeout; _shutdown as long as it may block. After that they return the
 * exit although a callback still runs. Functions that only wait or query may return an exit before the callbacks have
 * run: sshpm_manager_wait_for_process_exit_code, _get_exit_status and _pop_early_exit_status.
 *
 * Kept processes: the host of a process with SSHPM_LINK_LOSS_KEEP keeps its exit status and its output until this
 * program has acknowledged the exit. The program does so when a subscription has returned the event, when an exit
 * callback has returned, or when a function has returned the exit or dropped it (sshpm_manager_forget_process, a start
 * that replaces the process). If none of this has happened before the manager is detached or freed or dies, the next
 * manager can adopt the process and learns how it ended.
 *
 * Ending the program: the library's threads call callbacks until the very end of the program, also while exit() runs
 * destructors and while an interpreter is finalized. So before that, remove each exit callback with
 * sshpm_manager_remove_callback, or free the manager with sshpm_manager_free; and turn the log off with
 * sshpm_set_log_callback(SSHPM_LOG_OFF, NULL, NULL). These functions wait as long as a callback runs. In Python, call
 * them in a function that atexit runs: later, the interpreter ends foreign threads inside their callbacks, which
 * crashes the program. Load the library with ctypes.CDLL, which releases the GIL during each call. With ctypes.PyDLL, a
 * call that waits for a callback holds the GIL, and the callback waits for the GIL: the two wait for each other.
 *
 * Unloading: a program that has loaded the library with dlopen may dlclose it when no manager is left, no log callback
 * is set, and no thread is inside one of its functions. If a manager were left, its threads would run in memory that is
 * no longer mapped. Do not unload the library either when sshpm_manager_free had to leave a thread behind, of which the
 * log has a warning.
 */

#ifndef SSHPM_H
#define SSHPM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The version of this header. sshpm_version() returns the version of the library. */
#define SSHPM_VERSION "0.2.0"
/** The first number of the version. */
#define SSHPM_VERSION_MAJOR 0
/** The second number of the version. */
#define SSHPM_VERSION_MINOR 2
/** The third number of the version. */
#define SSHPM_VERSION_PATCH 0

/** As the value of a resource limit: no limit. */
#define SSHPM_UNLIMITED UINT64_MAX


/**
 * The call succeeded.
 */
#define SSHPM_OK 0

/**
 * A pointer that must not be NULL is NULL.
 */
#define SSHPM_ERROR_NULL_ARGUMENT 1

/**
 * A value is not valid. Nothing was started. The message names the field and the value.
 */
#define SSHPM_ERROR_INVALID 2

/**
 * A name is not UTF-8.
 */
#define SSHPM_ERROR_UTF8 3

/**
 * The text is not JSON, or the JSON does not have the expected content. The message names the key, the line and the
 * column.
 */
#define SSHPM_ERROR_JSON 4

/**
 * The manager's table has no process with this uuid.
 */
#define SSHPM_ERROR_UNKNOWN_UUID 5

/**
 * The uuid belongs to a process that has not ended, or that will be restarted.
 */
#define SSHPM_ERROR_UUID_IN_USE 6

/**
 * The process has not ended. A kill returns this when its time is over; the process can be killed again.
 */
#define SSHPM_ERROR_STILL_RUNNING 7

/**
 * The remote pid is not known: either not yet, or the start failed before there was one.
 */
#define SSHPM_ERROR_NO_REMOTE_PID 8

/**
 * The process has ended or never started.
 */
#define SSHPM_ERROR_NOT_RUNNING 9

/**
 * The process has gone, or its host does not have this signal.
 */
#define SSHPM_ERROR_SIGNAL_REFUSED 10

/**
 * The link to the process accepts no commands: it is lost, it is being closed, or its buffers are full.
 */
#define SSHPM_ERROR_LINK_DOWN 11

/**
 * A resource of this machine ran out, or a system call on this machine failed.
 */
#define SSHPM_ERROR_LOCAL 12

/**
 * A call that blocks was made inside an exit callback, where it could wait for ever.
 */
#define SSHPM_ERROR_INSIDE_CALLBACK 13

/**
 * The time for a wait was over.
 */
#define SSHPM_ERROR_TIMED_OUT 14

/**
 * The manager was shut down, detached or freed.
 */
#define SSHPM_ERROR_SHUT_DOWN 15

/**
 * No event came within the timeout.
 */
#define SSHPM_ERROR_NO_EVENT 16

/**
 * sshpm_subscription_wake ended the wait.
 */
#define SSHPM_ERROR_WOKEN 17

/**
 * There is no such code: none was reported, or the exit is unknown.
 */
#define SSHPM_ERROR_NO_EXIT_CODE 18

/**
 * The program already has another logger of Rust's `log`.
 */
#define SSHPM_ERROR_LOGGER_SET 19

/**
 * The library has a bug, and the message says where. Do nothing with the handles of the call but free them.
 */
#define SSHPM_ERROR_PANIC 20

/**
 * The file does not exist on the host, or it was not created in time.
 */
#define SSHPM_ERROR_FILE_MISSING 21

/**
 * The file on the host is a directory.
 */
#define SSHPM_ERROR_FILE_IS_DIRECTORY 22

/**
 * The user may not read the file on the host.
 */
#define SSHPM_ERROR_FILE_UNREADABLE 23

/**
 * The content of the metadata file is not valid. Nothing was done with it.
 */
#define SSHPM_ERROR_BAD_METADATA 24

/**
 * The output has ended, and all of it was received: the process has ended, or the manager no longer controls it.
 */
#define SSHPM_ERROR_END_OF_OUTPUT 25

/**
 * The file on the host is a fifo, a device or a socket.
 */
#define SSHPM_ERROR_FILE_NOT_REGULAR 26

/**
 * The manager was detached from the kept process. The process goes on, and a manager can adopt it.
 */
#define SSHPM_ERROR_DETACHED 27

/**
 * Another live manager controls the process.
 */
#define SSHPM_ERROR_TAKEN_OVER 28

/**
 * The process on the host cannot be adopted: it is not kept, or nothing of it is left. The message says which.
 */
#define SSHPM_ERROR_NOT_ADOPTABLE 29

/**
 * The time at which the process ended is not known.
 */
#define SSHPM_ERROR_NO_END_TIME 30

/**
 * The process runs, and does not count as ready. The message says why.
 */
#define SSHPM_ERROR_NOT_READY 31

/**
 * Another call is restarting the process. This call did nothing.
 */
#define SSHPM_ERROR_RESTART_IN_PROGRESS 32

/**
 * Another call ended, forgot or removed the process during the restart, which therefore started nothing.
 */
#define SSHPM_ERROR_RESTART_CANCELLED 33

/**
 * The process cannot be restarted, because the manager adopted it without a request. The call did nothing.
 */
#define SSHPM_ERROR_RESTART_NO_REQUEST 34

/**
 * ssh: the host name has no address.
 */
#define SSHPM_ERROR_SSH_NAME_NOT_RESOLVED 100

/**
 * ssh: the host refused the connection, because nothing listens on that port.
 */
#define SSHPM_ERROR_SSH_REFUSED 101

/**
 * ssh: there is no route to the host or its network.
 */
#define SSHPM_ERROR_SSH_UNREACHABLE 102

/**
 * ssh: the host did not answer within the connect timeout.
 */
#define SSHPM_ERROR_SSH_TIMED_OUT 103

/**
 * ssh: the host did not accept this user with any key, ticket or agent that ssh can use without questions.
 */
#define SSHPM_ERROR_SSH_AUTHENTICATION_FAILED 104

/**
 * ssh: the key of the host is not known.
 */
#define SSHPM_ERROR_SSH_HOST_KEY_UNKNOWN 105

/**
 * ssh: the key of the host differs from the known key.
 */
#define SSHPM_ERROR_SSH_HOST_KEY_CHANGED 106

/**
 * ssh: sshd dropped each connection before the login (MaxStartups), until the connect timeout was over.
 */
#define SSHPM_ERROR_SSH_THROTTLED 107

/**
 * The ssh program was not found, or it cannot be executed.
 */
#define SSHPM_ERROR_SSH_NOT_FOUND 108

/**
 * ssh does not accept its configuration or its options.
 */
#define SSHPM_ERROR_SSH_CONFIGURATION 109

/**
 * ssh: the connection was closed, and ssh did not say why.
 */
#define SSHPM_ERROR_SSH_CLOSED 110

/**
 * The login succeeded, but the login shell ended before anything was started.
 */
#define SSHPM_ERROR_SSH_REMOTE_SHELL 111

/**
 * ssh: authentication failed. The host would accept a Kerberos ticket, but there is none, or it has expired.
 */
#define SSHPM_ERROR_SSH_NO_TICKET 113

/**
 * ssh failed for another reason. The message contains what ssh said.
 */
#define SSHPM_ERROR_SSH_OTHER 112

/**
 * The start timeout was over. The message says how far the start had come.
 */
#define SSHPM_ERROR_START_TIMED_OUT 200

/**
 * A setup line failed. The message contains its number and its exit code.
 */
#define SSHPM_ERROR_START_SETUP 201

/**
 * The shell for the setup lines is not on the host, or it cannot be executed there: it ended at once with code 126 or
 * 127.
 */
#define SSHPM_ERROR_START_SHELL_NOT_FOUND 202

/**
 * The program, or the interpreter that its first line names, does not exist.
 */
#define SSHPM_ERROR_START_PROGRAM_NOT_FOUND 203

/**
 * The host's kernel does not execute the program. Most often its format is the reason: it is for another machine, or
 * damaged.
 */
#define SSHPM_ERROR_START_NOT_EXECUTABLE 204

/**
 * The working directory cannot be entered.
 */
#define SSHPM_ERROR_START_WORKING_DIRECTORY 205

/**
 * The directory of the log file does not exist.
 */
#define SSHPM_ERROR_START_LOG_DIRECTORY 206

/**
 * The log file cannot be written, or not be read for readiness, or the old log file cannot be renamed.
 */
#define SSHPM_ERROR_START_LOG_FILE 207

/**
 * The host refused a resource limit.
 */
#define SSHPM_ERROR_START_LIMIT 208

/**
 * The shell refused to set a variable.
 */
#define SSHPM_ERROR_START_ENVIRONMENT 209

/**
 * The host has no directory where a fifo can be made.
 */
#define SSHPM_ERROR_START_RUNTIME_DIRECTORY 210

/**
 * The host already runs a process with this uuid, which another manager started.
 */
#define SSHPM_ERROR_START_UUID_IN_USE_ON_HOST 211

/**
 * The shell that runs the setup lines ended before it executed the program, although no step had failed: somebody else
 * sent a signal, a setup line called `exit`, or the shell does not read POSIX shell code. The message contains its
 * exit code.
 */
#define SSHPM_ERROR_START_ENDED_BEFORE_RUNNING 212

/**
 * The remote side sent reports that this version does not understand.
 */
#define SSHPM_ERROR_START_PROTOCOL 213

/**
 * The link broke before the program was known to run. The program may have run for a moment.
 */
#define SSHPM_ERROR_START_LINK_LOST 214

/**
 * The program is a directory or another file that is not regular.
 */
#define SSHPM_ERROR_START_PROGRAM_NOT_FILE 215

/**
 * The user may not execute the program.
 */
#define SSHPM_ERROR_START_PROGRAM_PERMISSION 216

/**
 * The arguments and the environment have more bytes than the host's kernel accepts.
 */
#define SSHPM_ERROR_START_ARGUMENTS_TOO_LARGE 217

/**
 * The shell that starts the program ended on its host, most likely because the host could make no process.
 */
#define SSHPM_ERROR_START_NO_PROCESS 218

/**
 * Something listens on the TCP port on which the application was to listen (sshpm_boot_request_set_ready_port).
 */
#define SSHPM_ERROR_START_PORT_TAKEN 219

/**
 * The host has no /proc/net/tcp, which says who listens on the port (sshpm_boot_request_set_ready_port).
 */
#define SSHPM_ERROR_START_NO_PORT_TABLE 220

/**
 * The launcher's program was not found, or it cannot be executed.
 */
#define SSHPM_ERROR_LAUNCHER_NOT_FOUND 300

/**
 * The launcher gave no shell in time.
 */
#define SSHPM_ERROR_LAUNCHER_TIMED_OUT 301

/**
 * The launcher closed its streams or was killed before it had sent everything.
 */
#define SSHPM_ERROR_LAUNCHER_CLOSED 302

/**
 * The launcher ended before there was a shell. The message contains its exit code and what it said.
 */
#define SSHPM_ERROR_LAUNCHER_ENDED 303

/**
 * Slurm does not know the job, the job has ended, or it belongs to another user.
 */
#define SSHPM_ERROR_LAUNCHER_NO_JOB 304

/**
 * The host is not a node of the Slurm job.
 */
#define SSHPM_ERROR_LAUNCHER_NOT_IN_JOB 305

/**
 * No slurmctld answers, no configuration names one, or munge does not run.
 */
#define SSHPM_ERROR_LAUNCHER_NO_CONTROLLER 306

/**
 * As a timeout: the default, which each function names.
 */
#define SSHPM_TIMEOUT_DEFAULT -1.0

/**
 * Log level: no messages.
 */
#define SSHPM_LOG_OFF 0

/**
 * Log level: something is lost or wrong.
 */
#define SSHPM_LOG_ERROR 1

/**
 * Log level: somebody should look at this. Includes SSHPM_LOG_ERROR.
 */
#define SSHPM_LOG_WARN 2

/**
 * Log level: processes start and end. Includes SSHPM_LOG_WARN and what that includes.
 */
#define SSHPM_LOG_INFO 3

/**
 * Log level: each step. Includes all messages.
 */
#define SSHPM_LOG_DEBUG 4

/**
 * Host key policy: ssh_config decides. The default.
 */
#define SSHPM_HOST_KEY_SSH_CONFIG 0

/**
 * Host key policy: refuse unknown and changed keys, whatever ssh_config says.
 */
#define SSHPM_HOST_KEY_STRICT 1

/**
 * Host key policy: accept and remember unknown keys, refuse changed keys.
 */
#define SSHPM_HOST_KEY_ACCEPT_NEW 2

/**
 * Host key policy: check no key of localhost, 127.0.0.0/8 and ::1; for all other hosts, ssh_config decides.
 */
#define SSHPM_HOST_KEY_DISABLED_FOR_LOCALHOST 3

/**
 * Host key policy: check no key. Anybody on the network can pretend to be the host: for closed networks only.
 */
#define SSHPM_HOST_KEY_DISABLED 4

/**
 * Kill step: the signal goes to the application alone.
 */
#define SSHPM_KILL_SCOPE_LEADER 0

/**
 * Kill step: the signal goes to the application's whole process group.
 */
#define SSHPM_KILL_SCOPE_GROUP 1

/**
 * Log mode: rename an existing log file to FILE.1, and begin a new one. The default.
 */
#define SSHPM_LOG_MODE_FRESH 0

/**
 * Log mode: append to an existing log file.
 */
#define SSHPM_LOG_MODE_APPEND 1

/**
 * Log mode: empty an existing log file.
 */
#define SSHPM_LOG_MODE_TRUNCATE 2

/**
 * Link loss policy: when the link or the manager has gone, the process is ended: its process group gets SIGHUP, and
 * after the grace SIGKILL. The default.
 */
#define SSHPM_LINK_LOSS_TERMINATE 0

/**
 * Link loss policy: when the link or the manager has gone, the process goes on. This manager restores the link, or
 * another manager can adopt the process.
 */
#define SSHPM_LINK_LOSS_KEEP 1

/**
 * Restart policy: the process is never started again. The default.
 */
#define SSHPM_RESTART_NEVER 0

/**
 * Restart policy: the process is started again after a start that failed, and after an exit whose code is not 0 or
 * that has none.
 */
#define SSHPM_RESTART_ON_FAILURE 1

/**
 * Restart policy: the process is started again after every end that no call has asked for.
 */
#define SSHPM_RESTART_ALWAYS 2

/**
 * Exit source: the client (ssh, or that of another launcher) or its connection ended, although nobody had asked the
 * process to end.
 */
#define SSHPM_EXIT_SOURCE_CLIENT_MONITORING 1

/**
 * Exit source: the remote process ended by itself, or somebody else ended it there.
 */
#define SSHPM_EXIT_SOURCE_REMOTE_MONITORING 2

/**
 * Exit source: the manager ended the process: it closed or killed the ssh client.
 */
#define SSHPM_EXIT_SOURCE_MANUAL_KILL_THROUGH_SSH_CLIENT 3

/**
 * Exit source: the manager ended the process: it sent signals to the remote pid.
 */
#define SSHPM_EXIT_SOURCE_MANUAL_KILL_THROUGH_REMOTE_PID 4

/**
 * State: ssh, or another launcher, is being started, or the remote side is not ready yet.
 */
#define SSHPM_STATE_CONNECTING 1

/**
 * State: the remote pid is known, and the setup lines run.
 */
#define SSHPM_STATE_STARTING 2

/**
 * State: the application runs.
 */
#define SSHPM_STATE_RUNNING 3

/**
 * State: the process was asked to end, and has not ended yet.
 */
#define SSHPM_STATE_ENDING 4

/**
 * State: the link broke. The manager queries the host about the application, or tries to restore the link to a kept
 * process. A kept process that the manager was detached from stays in this state.
 */
#define SSHPM_STATE_LINK_LOST 5

/**
 * State: the process has ended. Its exit status stays in the table until the process is killed, popped, forgotten or
 * started again.
 */
#define SSHPM_STATE_ENDED 6

/**
 * State: the start failed. The reason stays in the table until the process is killed, popped, forgotten or started
 * again.
 */
#define SSHPM_STATE_FAILED 7

/**
 * State: the process has ended or its start has failed, and it will be started again: its restart policy pauses before
 * that, or a call restarts it. The uuid is in use.
 */
#define SSHPM_STATE_RESTARTING 8

/**
 * On failure: the boot stops. It cancels the starts that are not done, and leaves what runs. The default.
 */
#define SSHPM_ON_FAILURE_STOP 0

/**
 * On failure: the boot stops, and ends all processes that it has started, in the shutdown order.
 */
#define SSHPM_ON_FAILURE_ROLL_BACK 1

/**
 * On failure: the boot goes on with the next stage.
 */
#define SSHPM_ON_FAILURE_CONTINUE 2

/**
 * Boot state: the boot did not begin the start, or cancelled it. The outcome says why.
 */
#define SSHPM_BOOT_NOT_STARTED 1

/**
 * Boot state: the start goes on. A complete boot does not wait for a process that it does not need.
 */
#define SSHPM_BOOT_STARTING 2

/**
 * Boot state: the application runs. If its request asks for readiness, it may still become ready.
 */
#define SSHPM_BOOT_STARTED 3

/**
 * Boot state: the application has shown that it is ready.
 */
#define SSHPM_BOOT_READY 4

/**
 * Boot state: the start failed, or the process is kept, and goes on without this manager.
 */
#define SSHPM_BOOT_FAILED 5

/**
 * Boot state: the process ended.
 */
#define SSHPM_BOOT_ENDED 6

/**
 * Boot state: the application runs, and was not ready in time.
 */
#define SSHPM_BOOT_NOT_READY 7

/**
 * Session outcome: every stage is complete.
 */
#define SSHPM_SESSION_COMPLETE 1

/**
 * Session outcome: a stage failed.
 */
#define SSHPM_SESSION_FAILED 2

/**
 * Session outcome: the progress callback cancelled the boot.
 */
#define SSHPM_SESSION_CANCELLED 3

/**
 * Session outcome: the timeout of the session was over.
 */
#define SSHPM_SESSION_TIMED_OUT 4

/**
 * Session outcome: the manager was shut down or detached.
 */
#define SSHPM_SESSION_SHUT_DOWN 5

/**
 * Event: the application runs: its setup is done and its program was executed.
 */
#define SSHPM_EVENT_STARTED 1

/**
 * Event: the process ended. No event of this start follows but SSHPM_EVENT_RESTARTING or
 * SSHPM_EVENT_RESTART_LIMIT_REACHED. When the process was killed before the application ran,
 * this event comes without SSHPM_EVENT_STARTED before it.
 */
#define SSHPM_EVENT_EXITED 2

/**
 * Event: the connection broke, or the client on this machine was killed. For a kept process (SSHPM_LINK_LOSS_KEEP),
 * SSHPM_EVENT_LINK_RESTORED follows when the link is back. Otherwise SSHPM_EVENT_EXITED follows, at the latest after
 * the lost timeout; or SSHPM_EVENT_START_FAILED, if the start had failed.
 */
#define SSHPM_EVENT_LINK_LOST 3

/**
 * Event: the start failed: the program was not executed, or was ended at once. No event of this start follows but
 * SSHPM_EVENT_RESTARTING or SSHPM_EVENT_RESTART_LIMIT_REACHED.
 */
#define SSHPM_EVENT_START_FAILED 4

/**
 * Event: the manager has a link to a kept process again, or adopted the process.
 */
#define SSHPM_EVENT_LINK_RESTORED 5

/**
 * Event: an attempt to restore the link to a kept process failed; sshpm_event_get_error says why. The manager goes on
 * trying, and sends this event again when the reason changes. After SSHPM_ERROR_TAKEN_OVER it stops, and no event of
 * this start follows.
 */
#define SSHPM_EVENT_LINK_NOT_RESTORED 6

/**
 * Event: the application has shown that it is ready, as the request says. A start has at most one of this event and
 * SSHPM_EVENT_NOT_READY, behind SSHPM_EVENT_STARTED and before the end of the process.
 */
#define SSHPM_EVENT_READY 7

/**
 * Event: the application was not ready in time, or has shown that it will not be ready; sshpm_event_get_message says
 * which. It goes on running.
 */
#define SSHPM_EVENT_NOT_READY 8

/**
 * Event: the restart policy of the process starts it again after a pause, unless a call cancels that:
 * sshpm_event_get_attempt and sshpm_event_get_pause say which restart it is, and after how long. The next life has a
 * start number of its own.
 */
#define SSHPM_EVENT_RESTARTING 9

/**
 * Event: the restart policy of the process does not start it again, because it has been restarted too often;
 * sshpm_event_get_message has the limit. The end of this start stands.
 */
#define SSHPM_EVENT_RESTART_LIMIT_REACHED 10

/**
 * Stream: stdout of the application.
 */
#define SSHPM_STREAM_STDOUT 1

/**
 * Stream: stderr of the application.
 */
#define SSHPM_STREAM_STDERR 2

/**
 * Found: the process runs, and its manager lives, or died so recently that the host has not ended the process yet.
 */
#define SSHPM_FOUND_MANAGED 1

/**
 * Found: the process runs and is kept, and no manager controls it. It can be adopted.
 */
#define SSHPM_FOUND_UNMANAGED 2

/**
 * Found: the process runs, but the shell that watched it on its host has gone or can no longer receive commands. No
 * manager can reach the process. sshpm_manager_clean_up_host ends it.
 */
#define SSHPM_FOUND_ORPHANED 3

/**
 * Found: the process has ended, and no manager has learned how. A kept process can be adopted, to get its exit status
 * and its output.
 */
#define SSHPM_FOUND_ENDED 4

/**
 * Found: the process no longer exists: no process or another process has its pid, or the host has been booted since.
 */
#define SSHPM_FOUND_GONE 5

/**
 * Clean up: a manager can reach the process, so it was left alone.
 */
#define SSHPM_CLEAN_UP_MANAGED 1

/**
 * Clean up: the process was ended, and its files were removed.
 */
#define SSHPM_CLEAN_UP_ENDED 2

/**
 * Clean up: the process had already ended, and its files were removed.
 */
#define SSHPM_CLEAN_UP_REMOVED 3

/**
 * Clean up: the process could not be ended.
 */
#define SSHPM_CLEAN_UP_STILL_RUNNING 4

/**
 * What to run, where, and as which user. Everything is taken literally: only the setup lines are shell code.
 */
typedef struct sshpm_boot_request sshpm_boot_request;

/**
 * Boot requests that were read from one JSON array.
 */
typedef struct sshpm_boot_request_list sshpm_boot_request_list;

/**
 * A copy of some bytes, such as the last part of what an application wrote to a stream. It does not change.
 */
typedef struct sshpm_buffer sshpm_buffer;

/**
 * The result of cleaning up a host, for each process there.
 */
typedef struct sshpm_clean_up_results sshpm_clean_up_results;

/**
 * What happened to a process.
 */
typedef struct sshpm_event sshpm_event;

/**
 * How a process ended. It does not change, and any number of threads can read it.
 */
typedef struct sshpm_exit_status sshpm_exit_status;

/**
 * The processes that were found on a host. They do not change, and any number of threads can read them.
 */
typedef struct sshpm_found_processes sshpm_found_processes;

/**
 * What a login to a host has learned. It does not change, and any number of threads can read it.
 */
typedef struct sshpm_host_info sshpm_host_info;

/**
 * The result for each host, in the order of the list that the caller gave.
 */
typedef struct sshpm_host_results sshpm_host_results;

/**
 * The results of a kill: one for each process, sorted by uuid, whatever the order in the call was. A uuid that the
 * call named twice has one result.
 */
typedef struct sshpm_kill_results sshpm_kill_results;

/**
 * How the library obtains the shell that starts and supervises a process on its host: by ssh, as a shell on this
 * machine, by a command of the caller, or by Slurm. States, events, kills and output are the same for all launchers.
 * The library refuses what a launcher cannot do with SSHPM_ERROR_INVALID, before anything starts.
 */
typedef struct sshpm_launcher sshpm_launcher;

/**
 * A reader that follows a log file on a host as it grows.
 */
typedef struct sshpm_log_follower sshpm_log_follower;

/**
 * The table of processes, and every call that blocks. A program usually has one manager. Any thread can call its
 * functions, also at the same time as others; only sshpm_manager_free needs the manager for itself.
 */
typedef struct sshpm_manager sshpm_manager;

/**
 * The content of a metadata file. It does not change, and any number of threads can read it.
 */
typedef struct sshpm_metadata sshpm_metadata;

/**
 * The options of a manager.
 */
typedef struct sshpm_options sshpm_options;

/**
 * A queue of what an application writes, with at most 256 pieces. When a reader is further behind, the newest pieces
 * are dropped and counted. The queue never delays the application.
 */
typedef struct sshpm_output_subscription sshpm_output_subscription;

/**
 * The processes that boot together, and how they boot. sshpm_manager_start_session boots them.
 */
typedef struct sshpm_session sshpm_session;

/**
 * The results of the boot of a session: one for each process, sorted by uuid.
 */
typedef struct sshpm_session_results sshpm_session_results;

/**
 * A list of strings, such as uuids.
 */
typedef struct sshpm_string_list sshpm_string_list;

/**
 * A queue of a manager's events, with a descriptor for poll(2) and event loops.
 */
typedef struct sshpm_subscription sshpm_subscription;

/**
 * The result of a call: SSHPM_OK or one of SSHPM_ERROR_... A number keeps its meaning in all versions. Later versions
 * can have more codes.
 */
typedef int32_t sshpm_result;

/**
 * Receives one message of the log: its level SSHPM_LOG_..., the part of the library that wrote it, and the text
 * without a newline. The strings are valid until the callback returns. It is called on the library's threads and on
 * threads that call the library, also on several at the same time. It must not throw, and must not call functions that
 * block.
 */
typedef void (*sshpm_log_callback)(int32_t level, const char *target, const char *message, void *user_data);

/**
 * Is called once for each start that ends or fails, with the uuid, the start number, and either the exit status, or
 * NULL and the reason of the failure as code and message. With a status, `error` is SSHPM_OK and `error_message` is
 * NULL. The pointers are valid until the callback returns. It must not throw.
 */
typedef void (*sshpm_exit_callback)(const char *uuid,
                                    uint64_t start_number,
                                    const sshpm_exit_status *status,
                                    sshpm_result error,
                                    const char *error_message,
                                    void *user_data);

/**
 * Is called once with the user data of a callback, when the callback can never be called again. It must not throw.
 */
typedef void (*sshpm_finalizer)(void *user_data);

/**
 * Is called while a session boots: when a stage begins, when a process of the session runs, is ready or is not ready
 * in time, has failed or has ended, and once in each second without such a change. Returns whether the boot goes on:
 * false cancels it. The parameters are the number of the stage, from 1, and the number of stages. uuid is the process,
 * or NULL when a stage begins or a second has passed. state is its state, one of SSHPM_BOOT_..., and 0 without a
 * process. status is how it ended, or NULL. error is why it failed or is not ready, or SSHPM_OK; message says that or
 * how it ended as text, and is "" otherwise. The pointers are valid until the callback returns. It must not throw.
 */
typedef bool (*sshpm_session_progress_callback)(size_t stage,
                                                size_t stages,
                                                const char *uuid,
                                                int32_t state,
                                                const sshpm_exit_status *status,
                                                sshpm_result error,
                                                const char *message,
                                                void *user_data);

/**
 * Is called for each host when its result is known, with the index of the host in the list, and the result: SSHPM_OK
 * and "", or the code and the text of what went wrong. The text is valid until the callback returns. It must not
 * throw.
 */
typedef void (*sshpm_host_progress_callback)(size_t index, sshpm_result result, const char *message, void *user_data);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Returns the version of the library that the program runs with. SSHPM_VERSION is the version of the header.
 *
 * Any thread. Does not block.
 *
 * @return Static text, such as "0.1.0".
 */
const char *sshpm_version(void);

/**
 * Returns a short text for a result code. sshpm_last_error_message has the details of one error.
 *
 * Any thread. Does not block.
 *
 * @param code The result of a call.
 * @return Static text, also for a number that is not a code.
 */
const char *sshpm_strerror(sshpm_result code);

/**
 * Returns the full message of the last call that failed in this thread: what failed, with which value, and what to do.
 *
 * Any thread. Does not block.
 *
 * @return The text, which is owned by the library and valid until the next call that fails in this thread, or until
 * the thread ends. "" when no call has failed.
 */
const char *sshpm_last_error_message(void);

/**
 * Sets the callback that receives the library's log. Without a callback there is no log. When this function returns,
 * the former callback is not running and is never called again; inside the former callback it returns at once. Before
 * the program ends, turn the log off: see "Ending the program" at the top of this header.
 *
 * Any thread. Blocks while the former callback runs.
 *
 * @param level SSHPM_LOG_...: the callback receives the messages up to this level.
 * @param callback Receives the messages. NULL: turns the log off. It also runs on the library's threads, whose stacks
 * have 256 KiB.
 * @param user_data Is passed to the callback. The library does not use it.
 * @return SSHPM_OK, SSHPM_ERROR_INVALID. SSHPM_ERROR_LOGGER_SET: the program is written in Rust and has a logger,
 * which receives these messages.
 */
sshpm_result sshpm_set_log_callback(int32_t level, sshpm_log_callback callback, void *user_data);

/**
 * Frees a string that a function of this library returned with the note that it is to be freed with sshpm_string_free.
 *
 * Any thread. Does not block.
 *
 * @param string The string. NULL: does nothing.
 */
void sshpm_string_free(char *string);

/**
 * Returns the number of strings in a list.
 *
 * Any thread. Does not block.
 *
 * @param list The list.
 * @return The number; 0 when the list is NULL.
 */
size_t sshpm_string_list_count(const sshpm_string_list *list);

/**
 * Returns one string of a list.
 *
 * Any thread. Does not block.
 *
 * @param list The list.
 * @param index The index of the string, from 0.
 * @return The string, which is owned by the list and valid until the list is freed. NULL when the index is not below
 * the count, or the list is NULL.
 */
const char *sshpm_string_list_get(const sshpm_string_list *list, size_t index);

/**
 * Frees a list and its strings.
 *
 * Any thread. Does not block.
 *
 * @param list The list. NULL: does nothing.
 */
void sshpm_string_list_free(sshpm_string_list *list);

/**
 * Returns the bytes of a buffer.
 *
 * Any thread. Does not block.
 *
 * @param buffer The buffer.
 * @return The bytes, which are owned by the buffer and valid until the buffer is freed. A NUL byte follows them; there
 * can be other NUL bytes among them. NULL when the buffer is NULL.
 */
const char *sshpm_buffer_data(const sshpm_buffer *buffer);

/**
 * Returns the number of bytes in a buffer, without the NUL byte that follows them.
 *
 * Any thread. Does not block.
 *
 * @param buffer The buffer.
 * @return The number; 0 when the buffer is NULL.
 */
size_t sshpm_buffer_size(const sshpm_buffer *buffer);

/**
 * Returns how many bytes the application wrote to the stream before those in the buffer. The library dropped them.
 *
 * Any thread. Does not block.
 *
 * @param buffer The buffer.
 * @return The number; 0 when the buffer is NULL, or does not hold the last part of a stream.
 */
uint64_t sshpm_buffer_dropped(const sshpm_buffer *buffer);

/**
 * Frees a buffer and its bytes.
 *
 * Any thread. Does not block.
 *
 * @param buffer The buffer. NULL: does nothing.
 */
void sshpm_buffer_free(sshpm_buffer *buffer);

/**
 * Gets the role that follows from the place of a process in its session's tree. "" gives unknown. "0" gives
 * root-controller for a controller. A place that begins with "0." gives segment-controller for a controller, and
 * application for any other process. In all other cases the role is infrastructure-applications.
 *
 * Any thread. Does not block.
 *
 * @param tree_id The place: the path of segments, joined by dots; UTF-8.
 * @param controller Whether the process is a controller.
 * @param out_role Receives the role's name. It is the caller's, to be freed with sshpm_string_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_role_from_tree_id(const char *tree_id, bool controller, char **out_role);

/**
 * Gets the number of a signal on this machine.
 *
 * Any thread. Does not block.
 *
 * @param name The POSIX name of a signal, with or without SIG, in upper or lower case, or a number from 1 to 64;
 * UTF-8.
 * @param out_signal Receives the number.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_signal_from_name(const char *name, int32_t *out_signal);

/**
 * Gets the name of a signal. sshpm_signal_from_name accepts this name.
 *
 * Any thread. Does not block.
 *
 * @param signal A signal of this machine's <signal.h>.
 * @param out_name Receives the POSIX name without SIG, or the number when there is no name. It is the caller's, to be
 * freed with sshpm_string_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_signal_to_name(int32_t signal, char **out_name);

/**
 * Makes a launcher that uses the system's ssh. A manager without a launcher uses ssh, too; this launcher is for hosts
 * and requests of a manager that has another launcher. In JSON "ssh".
 *
 * Any thread. Does not block.
 *
 * @param out_launcher Receives the launcher. It is the caller's, to be freed with sshpm_launcher_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_launcher_new_ssh(sshpm_launcher **out_launcher);

/**
 * Makes a launcher that runs `/bin/sh` on this machine, as the user of this program and with the environment of this
 * program. The shell starts in the user's home directory. The host is only a name: every host is this machine. In JSON
 * "local".
 *
 * Any thread. Does not block.
 *
 * @param out_launcher Receives the launcher. It is the caller's, to be freed with sshpm_launcher_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_launcher_new_local(sshpm_launcher **out_launcher);

/**
 * Makes a launcher that runs a command, such as `docker exec -i {host}`. The library appends four arguments to the
 * command, which must execute them and let no other shell read them: `/bin/sh`, `-c`, a script, and `sshpm`. In the
 * command's own arguments, `{host}`, `{user}` and `{uuid}` stand for those of the process. The command must pass
 * stdin, stdout and stderr on unchanged and without a terminal, and also pass on the end of its stdin. The command
 * determines the environment and the directory in which the shell starts. In JSON
 * {"command": ["docker", "exec", "-i", "{host}"]}.
 *
 * Any thread. Does not block.
 *
 * @param argv The program, which is a path or a name that is looked up in PATH, and its arguments: any bytes. Copied.
 * It need not end with NULL.
 * @param argc The number of elements of argv.
 * @param out_launcher Receives the launcher. It is the caller's, to be freed with sshpm_launcher_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID for a number of elements that no array can have.
 * sshpm_manager_new and sshpm_boot_request_check check the values.
 */
sshpm_result sshpm_launcher_new_command(const char *const *argv, size_t argc, sshpm_launcher **out_launcher);

/**
 * Makes a launcher that starts steps of a Slurm job, which `salloc` or `sbatch` has made: one step for each process.
 * The hosts are the nodes of the job. The steps share the CPUs of the job, so there can be more processes than CPUs.
 * In JSON "slurm", or {"slurm": {"job": "4711", "srun_program": "srun", "srun_options": ["--mem=1G"]}}, in which each
 * key can be left out.
 *
 * Any thread. Does not block.
 *
 * @param job The job's number; UTF-8. Copied. NULL: the job that this program runs in, which SLURM_JOB_ID in its
 * environment names.
 * @param out_launcher Receives the launcher. It is the caller's, to be freed with sshpm_launcher_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8. sshpm_manager_new and sshpm_boot_request_check check
 * the values.
 */
sshpm_result sshpm_launcher_new_slurm(const char *job, sshpm_launcher **out_launcher);

/**
 * Frees a launcher. Options and requests that it was set in keep their copies.
 *
 * Any thread. Does not block.
 *
 * @param launcher The launcher. NULL: does nothing.
 */
void sshpm_launcher_free(sshpm_launcher *launcher);

/**
 * Sets the srun program. The library takes scontrol and squeue from the same place. Default: "srun".
 *
 * One thread at a time for the same launcher. Does not block.
 *
 * @param launcher A launcher of sshpm_launcher_new_slurm.
 * @param program A path, or a name that is looked up in PATH. Copied.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID for a launcher that is not Slurm.
 */
sshpm_result sshpm_launcher_set_srun_program(sshpm_launcher *launcher, const char *program);

/**
 * Adds an option of srun(1). The library's own options follow it and override it: they determine the job, the node,
 * the task, the directory and the streams of the step.
 *
 * One thread at a time for the same launcher. Does not block.
 *
 * @param launcher A launcher of sshpm_launcher_new_slurm.
 * @param option "--name=value" or "--name"; UTF-8. Copied. sshpm_manager_new and sshpm_boot_request_check check it.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID for a launcher that is not Slurm.
 */
sshpm_result sshpm_launcher_add_srun_option(sshpm_launcher *launcher, const char *option);

/**
 * Asks Slurm for the nodes of the job, which are the hosts for its processes, in Slurm's order.
 *
 * Any thread. Blocks at most for 40 s, or for 80 s when Slurm's programs do not end after SIGKILL.
 *
 * @param launcher A launcher of sshpm_launcher_new_slurm.
 * @param out_hosts Receives the names. They are the caller's, to be freed with sshpm_string_list_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID for a launcher that is not Slurm, for values that
 * are not valid, and when neither the launcher nor the environment names a job. SSHPM_ERROR_LAUNCHER_NO_JOB: Slurm
 * does not know the job, or it has ended. SSHPM_ERROR_LAUNCHER_NO_CONTROLLER: no slurmctld answers.
 * SSHPM_ERROR_LAUNCHER_NOT_FOUND: squeue or scontrol was not found. SSHPM_ERROR_LAUNCHER_ENDED,
 * SSHPM_ERROR_LAUNCHER_TIMED_OUT: squeue or scontrol failed, or did not end in time. SSHPM_ERROR_INSIDE_CALLBACK.
 */
sshpm_result sshpm_launcher_get_hosts(const sshpm_launcher *launcher, sshpm_string_list **out_hosts);

/**
 * Makes options that have the defaults.
 *
 * Any thread. Does not block.
 *
 * @param out_options Receives the options. They are the caller's, to be freed with sshpm_options_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_options_new(sshpm_options **out_options);

/**
 * Frees options. Managers that were made with them keep their copies.
 *
 * Any thread. Does not block.
 *
 * @param options The options. NULL: does nothing.
 */
void sshpm_options_free(sshpm_options *options);

/**
 * Sets the launcher for all processes and calls that have no launcher of their own. Default: ssh.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param launcher The launcher. Copied. sshpm_manager_new checks it.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_options_set_launcher(sshpm_options *options, const sshpm_launcher *launcher);

/**
 * Sets the launcher of one host, which replaces the manager's launcher there. The launcher of a boot request overrides
 * both.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param host The host, as requests and calls name it; UTF-8. Copied.
 * @param launcher The launcher. Copied. sshpm_manager_new checks it, and the host.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_options_set_host_launcher(sshpm_options *options, const char *host, const sshpm_launcher *launcher);

/**
 * Sets the ssh program. Default: "ssh".
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param program A path, or a name that is looked up in PATH. Copied. sshpm_manager_new resolves a relative path,
 * which is one with a slash, against the current directory.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_options_set_ssh_program(sshpm_options *options, const char *program);

/**
 * Sets the file for `ssh -F`, which replaces the ssh_config of the user and that of the system. Default: these two
 * files.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param file The path of the file, or "none" for no file. Copied. NULL: the default. sshpm_manager_new resolves a
 * relative path against the current directory. ssh resolves relative paths inside the file whenever it runs.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_options_set_ssh_config(sshpm_options *options, const char *file);

/**
 * Adds an option of ssh_config(5). It overrides the files, but not what the library relies on: no terminal, no
 * questions, no forwarded ports, no RemoteCommand, how connections are shared, LogLevel. X11 is not forwarded unless
 * the option is "ForwardX11=yes"; ssh then runs xauth(1) for each process, one after the other. Keys are not added to
 * an agent unless AddKeysToAgent is such an option. docs/ssh_config.md has the whole list.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param option "Keyword=value"; UTF-8. Copied. sshpm_manager_new checks it. Use absolute paths in it: ssh resolves
 * other paths against the current directory whenever it runs.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_options_add_ssh_option(sshpm_options *options, const char *option);

/**
 * Sets how long a host may take to answer. The library also repeats a connection that a busy sshd drops, until this
 * time is over.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param timeout_s Seconds, more than 0; sshpm_manager_new checks it. ssh counts whole seconds, so the library rounds
 * this up. SSHPM_TIMEOUT_DEFAULT: 10 s.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_options_set_connect_timeout(sshpm_options *options, double timeout_s);

/**
 * Sets how long to query the host about a lost process before its exit is reported as unknown.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: 30 s.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_options_set_lost_timeout(sshpm_options *options, double timeout_s);

/**
 * Sets how long the manager tries to restore the link to a kept process (SSHPM_LINK_LOSS_KEEP) before it reports the
 * exit as unknown. The process itself goes on then.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: INFINITY, which is for ever.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_options_set_restore_timeout(sshpm_options *options, double timeout_s);

/**
 * Sets whether processes of the same user and host share connections, with up to eight processes on each. Without
 * sharing, each process logs in by itself, which takes ten times as long. Default: true.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param share Whether they share connections.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_options_set_share_connections(sshpm_options *options, bool share);

/**
 * Sets whether each process on a shared connection has an ssh client of its own, which is a child of your program.
 * Without one, the manager requests the session from the ssh client that holds the connection, by OpenSSH's protocol
 * for that (PROTOCOL.mux): a start then creates no process on this machine. Default: true.
 *
 * Without clients, the process has no ssh client pid in sshpm_manager_get_runtime_pids, and
 * sshpm_manager_kill_process_without_metadata closes the session. In both cases, whoever kills the ssh client of the
 * connection breaks the links of all processes on it: at most eight. ForwardAgent, SendEnv, SetEnv and the like of
 * ssh_config apply in both cases. A session that cannot be requested gets a client: if the ssh of the connection
 * speaks another protocol or does not answer within 2 s, or if the environment of your program has more than 64 KiB.
 * One warning in the log says so.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param client Whether each process has a client.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_options_set_ssh_client_per_process(sshpm_options *options, bool client);

/**
 * Sets whether sshpm_manager_new raises the soft limit of open files of your program to the hard limit
 * (RLIMIT_NOFILE): each process takes 3 or 4 descriptors. The limit then stays raised. Leave it alone if some part of
 * your program uses select(2), which cannot handle descriptors from FD_SETSIZE (1024) on: its behaviour is undefined
 * then. The library's children, such as ssh, get the former soft limit. Default: false.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param raise Whether it raises the limit.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_options_set_raise_descriptor_limit(sshpm_options *options, bool raise);

/**
 * Sets how long the remote side of a connection goes on when it hears nothing from the manager. After that time the
 * remote side ends the connection, and each process on it follows its link loss policy. So no process lives on behind
 * a link that was cut without notice. The lease also ends when the manager does not run for that long, for example in
 * a debugger.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param lease_s Seconds, at least 3; sshpm_manager_new checks it. The remote side counts whole seconds, so the
 * library rounds this up. SSHPM_TIMEOUT_DEFAULT: 30 s.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_options_set_lease(sshpm_options *options, double lease_s);

/**
 * Sets how strictly ssh checks the keys of hosts.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param policy One of SSHPM_HOST_KEY_...
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_options_set_host_key_policy(sshpm_options *options, int32_t policy);

/**
 * Sets a known_hosts file, which replaces the user's file.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param file The path of the file. Copied. NULL: the user's file. sshpm_manager_new resolves a relative path against
 * the current directory. "none", and a text that begins with "~", "%" or "${", have the meaning that ssh_config(5)
 * gives them.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_options_set_known_hosts_file(sshpm_options *options, const char *file);

/**
 * Sets how many of the last bytes of stdout the manager keeps for a process that has no log file, and how many of
 * stderr. Default: 1 MiB for each.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param bytes The number of bytes.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_options_set_output_limit(sshpm_options *options, size_t bytes);

/**
 * Removes all steps from the kill sequence, so that sshpm_options_add_kill_step can build another one. The default
 * sequence is SIGQUIT to the application, and after the timeout of the kill SIGKILL to its process group.
 * sshpm_manager_new refuses an empty sequence.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_options_clear_kill_sequence(sshpm_options *options);

/**
 * Adds a step to the kill sequence: a signal, and a wait for the exit. SIGCONT follows each signal, so that it also
 * reaches a stopped process. While the setup lines run, SIGTERM to the process group takes the place of every signal
 * but SIGKILL, because bash ignores SIGQUIT. To replace the default sequence, call sshpm_options_clear_kill_sequence
 * before the first step.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param signal A signal of this machine's <signal.h>.
 * @param scope One of SSHPM_KILL_SCOPE_...
 * @param wait_s How many seconds to wait before the next step. SSHPM_TIMEOUT_DEFAULT: the timeout of the kill.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_options_add_kill_step(sshpm_options *options, int32_t signal, int32_t scope, double wait_s);

/**
 * Sets the order in which roles are ended. Roles that the order does not name end last, together. Default: unknown,
 * application, segment-controller, root-controller, infrastructure-applications.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param roles The names of the roles; UTF-8. Copied. May be NULL if the count is 0.
 * @param count The number of roles.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID. sshpm_manager_new refuses a role
 * that is named twice.
 */
sshpm_result sshpm_options_set_shutdown_order(sshpm_options *options, const char *const *roles, size_t count);

/**
 * Makes a request to run a program on a host.
 *
 * Any thread. Does not block.
 *
 * @param host The name or address of the host, or an alias of ssh_config; UTF-8. Copied.
 * @param argv The program, which is looked up in the host's PATH, and its arguments: any bytes. Copied. It need not
 * end with NULL.
 * @param argc The number of elements of argv.
 * @param out_request Receives the request. It is the caller's, to be freed with sshpm_boot_request_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID for a number of elements that no
 * array can have. sshpm_boot_request_check and sshpm_manager_start_process check the values.
 */
sshpm_result sshpm_boot_request_new(const char *host,
                                    const char *const *argv,
                                    size_t argc,
                                    sshpm_boot_request **out_request);

/**
 * Reads a request from a JSON object. Its keys are the names of the setters. "host" and "argv" are required. The other
 * keys are optional: "launcher", "user", "name", "session", "tree_id", "role", "critical" (true, false), "setup" (an
 * array of lines), "setup_shell", "environment" (an object), "working_directory", "umask" (a string of octal digits),
 * "limits" (an object of names and numbers or "unlimited"), "log_file", "log_mode" ("fresh", "append", "truncate"),
 * "start_timeout", "ready_timeout" and "grace" (seconds), "ready" ("notify", {"output": TEXT} or {"port": NUMBER}),
 * "restart" ("never", "on-failure", "always", or an object with one of these as "when", and "limit", "within",
 * "first_pause" and "longest_pause"), "link_loss" ("terminate", "keep") and "kill_tree" (true, false). Any other key
 * is refused. The functions sshpm_launcher_new_... say how each launcher is written in JSON.
 *
 * Any thread. Does not block.
 *
 * @param json The JSON; UTF-8, at most 64 MiB.
 * @param out_request Receives the request. It is the caller's, to be freed with sshpm_boot_request_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_JSON, and SSHPM_ERROR_INVALID for values
 * that sshpm_boot_request_check refuses.
 */
sshpm_result sshpm_boot_request_from_json(const char *json, sshpm_boot_request **out_request);

/**
 * Frees a request. Processes that were started with it keep their copies.
 *
 * Any thread. Does not block.
 *
 * @param request The request. It must not belong to a list. NULL: does nothing.
 */
void sshpm_boot_request_free(sshpm_boot_request *request);

/**
 * Checks all values, as sshpm_manager_start_process does before it starts anything.
 *
 * Any thread. Does not block.
 *
 * @param request The request.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_boot_request_check(const sshpm_boot_request *request);

/**
 * Gets the host, as the caller set it.
 *
 * Any thread, but not while another thread sets a value. Does not block.
 *
 * @param request The request.
 * @param out_host Receives the host. It is the caller's, to be freed with sshpm_string_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_get_host(const sshpm_boot_request *request, char **out_host);

/**
 * Gets the remote user, as the caller set it.
 *
 * Any thread, but not while another thread sets a value. Does not block.
 *
 * @param request The request.
 * @param out_user Receives the user, or NULL when none was set. It is the caller's, to be freed with
 * sshpm_string_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_get_user(const sshpm_boot_request *request, char **out_user);

/**
 * Gets the name of the process, as the caller set it.
 *
 * Any thread, but not while another thread sets a value. Does not block.
 *
 * @param request The request.
 * @param out_name Receives the name. It is the caller's, to be freed with sshpm_string_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_get_name(const sshpm_boot_request *request, char **out_name);

/**
 * Gets the session, as the caller set it.
 *
 * Any thread, but not while another thread sets a value. Does not block.
 *
 * @param request The request.
 * @param out_session Receives the session. It is the caller's, to be freed with sshpm_string_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_get_session(const sshpm_boot_request *request, char **out_session);

/**
 * Gets the name of the role.
 *
 * Any thread, but not while another thread sets a value. Does not block.
 *
 * @param request The request.
 * @param out_role Receives the name. It is the caller's, to be freed with sshpm_string_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_get_role(const sshpm_boot_request *request, char **out_role);

/**
 * Reads a JSON array of requests, each in the format of sshpm_boot_request_from_json. sshpm_session_from_json also
 * reads defaults, uuids and the options of a boot.
 *
 * Any thread. Does not block.
 *
 * @param json The JSON; UTF-8, at most 64 MiB.
 * @param out_list Receives the list. It is the caller's, to be freed with sshpm_boot_request_list_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_JSON, SSHPM_ERROR_INVALID. The message
 * about a value that is not valid names the index of its request.
 */
sshpm_result sshpm_boot_request_list_from_json(const char *json, sshpm_boot_request_list **out_list);

/**
 * Returns the number of requests in a list.
 *
 * Any thread. Does not block.
 *
 * @param list The list.
 * @return The number; 0 when the list is NULL.
 */
size_t sshpm_boot_request_list_count(const sshpm_boot_request_list *list);

/**
 * Returns one request of a list. The list has the order of the JSON.
 *
 * Any thread. Does not block.
 *
 * @param list The list.
 * @param index The index of the request, from 0.
 * @return The request, which is owned by the list and valid until the list is freed. NULL when the index is not below
 * the count, or the list is NULL.
 */
const sshpm_boot_request *sshpm_boot_request_list_get(const sshpm_boot_request_list *list, size_t index);

/**
 * Frees a list and its requests.
 *
 * Any thread. Does not block.
 *
 * @param list The list. NULL: does nothing.
 */
void sshpm_boot_request_list_free(sshpm_boot_request_list *list);

/**
 * Sets how the library obtains the shell of the process. Default: the launcher that the manager has for the host, or
 * else the launcher of the manager.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param launcher The launcher. Copied. sshpm_boot_request_check checks it.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_set_launcher(sshpm_boot_request *request, const sshpm_launcher *launcher);

/**
 * Sets the remote user. Default: ssh's choice, which is User of ssh_config, or else the current user.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param user The name; UTF-8. Copied. NULL: the default.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_boot_request_set_user(sshpm_boot_request *request, const char *user);

/**
 * Sets the name by which people know the process. Logs and the metadata file contain it. Default: "".
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param name At most 1024 bytes; UTF-8. Copied.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_boot_request_set_name(sshpm_boot_request *request, const char *name);

/**
 * Sets the session that the process belongs to. Logs and the metadata file contain it. Default: "".
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param session At most 1024 bytes; UTF-8. Copied.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_boot_request_set_session(sshpm_boot_request *request, const char *session);

/**
 * Sets the place of the process in the session's tree. The metadata file contains it. It does not set the role: see
 * sshpm_role_from_tree_id. Default: "".
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param tree_id At most 1024 bytes; UTF-8. Copied.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_boot_request_set_tree_id(sshpm_boot_request *request, const char *tree_id);

/**
 * Sets the role, which decides when a shutdown ends the process, and when the boot of a session starts it. Default:
 * unknown.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param role "unknown", "application", "segment-controller", "root-controller", "infrastructure-applications", or a
 * name of your own of at most 64 bytes; UTF-8. Copied.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_boot_request_set_role(sshpm_boot_request *request, const char *role);

/**
 * Sets whether the boot of a session needs the process: the next stage waits until a critical process is ready, and
 * one that is not ready in time, fails or ends fails its stage. A process that is not critical is started with the
 * others of its stage, and not waited for. Default: true.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param critical Whether the boot needs the process.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_set_critical(sshpm_boot_request *request, bool critical);

/**
 * Adds a line of shell code that runs before the program, in the same process: "source env.sh". The start fails when a
 * line does not return 0. The lines run in bash if the host has bash, or else in sh.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param line Any bytes. Copied.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_add_setup_line(sshpm_boot_request *request, const char *line);

/**
 * Sets the shell for the setup lines.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param shell The name or path of a shell that reads POSIX shell code; UTF-8. Copied. NULL: bash if the host has it,
 * or else sh.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_boot_request_set_setup_shell(sshpm_boot_request *request, const char *shell);

/**
 * Sets a variable of the application's environment. It is set before the setup lines run, and again after them.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param name A letter or '_', then letters, digits and '_'. Copied.
 * @param value Any bytes, taken literally. Copied.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_boot_request_set_environment(sshpm_boot_request *request, const char *name, const char *value);

/**
 * Sets the working directory of the setup lines and the program. A relative path begins at the login directory.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param directory Any bytes. Copied. NULL: the login directory, or the directory that the setup lines change to.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_set_working_directory(sshpm_boot_request *request, const char *directory);

/**
 * Sets the file mode creation mask. It also applies to the log file. Default: the mask of the login.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param mask 0 to 0777. sshpm_boot_request_check checks it.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_set_umask(sshpm_boot_request *request, uint32_t mask);

/**
 * Sets a resource limit of the application, both soft and hard. The setup lines run without it.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param name core, cpu, data, fsize, memlock, nofile, nproc, stack or as, as in limits.conf(5).
 * @param value Bytes, seconds or a number, depending on the limit, or SSHPM_UNLIMITED.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_boot_request_set_limit(sshpm_boot_request *request, const char *name, uint64_t value);

/**
 * Sets the remote file for stdout and stderr of the setup lines and the program. A relative path begins at the login
 * directory.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param file Any bytes. Copied. NULL: no file. The output then comes back over ssh, and the manager keeps its last
 * part.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_set_log_file(sshpm_boot_request *request, const char *file);

/**
 * Sets what a start does with an existing log file.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param mode One of SSHPM_LOG_MODE_...
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_boot_request_set_log_mode(sshpm_boot_request *request, int32_t mode);

/**
 * Sets the limit for each of two parts of a start: the wait for a connection that has room for one more ssh session,
 * and the time from then until the program runs. The start-up files of the login shell run once for a shared
 * connection, and once for each ssh session on it. So one run of them may take nearly as long as this timeout, whether
 * or not connections are shared. When the time is over, the library ends what has begun on the host, which can take
 * the grace.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param timeout_s Seconds, more than 0. SSHPM_TIMEOUT_DEFAULT: 30 s.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_boot_request_set_start_timeout(sshpm_boot_request *request, double timeout_s);

/**
 * Makes the process count as ready when it writes a line, which may be empty, to the descriptor whose number stands in
 * the variable SSHPM_NOTIFY_FD of its environment: the protocol of s6. The number is one digit, above 2. If the
 * process closes the descriptor before, SSHPM_EVENT_NOT_READY says so. A child that it has forked may still have the
 * descriptor open: then the ready timeout decides. The variable takes the place of one with its name that the login,
 * the setup lines or the request set. The last call of this function, sshpm_boot_request_set_ready_output and _port
 * stands.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_set_ready_notify(sshpm_boot_request *request);

/**
 * Makes the process count as ready when something listens on a TCP port of its host: the process itself, or any other
 * one in the network namespace of the host's shell. The manager asks the host again and again, with pauses of 0.05 s
 * to 1 s; the host reads /proc/net/tcp and /proc/net/tcp6, and connects to nobody. A start fails if something listens
 * on the port before. The last call of this function, sshpm_boot_request_set_ready_notify and _output stands.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param port 1 to 65535. sshpm_boot_request_check checks it.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_set_ready_port(sshpm_boot_request *request, uint16_t port);

/**
 * Makes the process count as ready when a text stands in a line that it writes to stdout or stderr. Default: the
 * process counts as ready when it runs. What the setup lines write counts as well. Without a log file, the manager
 * finds the text as soon as it arrives, before the line is complete. With a log file, the host looks for the text in
 * each complete line behind what stood in the file when the process was started, and in the last line when the process
 * has ended; not in a device. The last call of this function, sshpm_boot_request_set_ready_notify and _port stands.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param text The text, which is literal: 1 to 1024 bytes without a newline; UTF-8. Copied. NULL: the default, also
 * in place of a port or a descriptor.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_boot_request_set_ready_output(sshpm_boot_request *request, const char *text);

/**
 * Sets how long the application may take from the execution of its program until it is ready. When the time is over,
 * the process goes on running, and SSHPM_EVENT_NOT_READY reports it.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param timeout_s Seconds, more than 0. SSHPM_TIMEOUT_DEFAULT: the start timeout.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_boot_request_set_ready_timeout(sshpm_boot_request *request, double timeout_s);

/**
 * Sets when the manager starts the process again after it has ended. An end that a call has asked for (a kill, a
 * shutdown, a detach) is never followed by a restart. SSHPM_EVENT_RESTARTING announces each restart. A kept process
 * whose link is lost is not restarted while its host may still run it.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param policy One of SSHPM_RESTART_...
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_boot_request_set_restart(sshpm_boot_request *request, int32_t policy);

/**
 * Sets how many restarts by the policy there are at most within some time. After so many, the last end stands, and
 * SSHPM_EVENT_RESTART_LIMIT_REACHED says so.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param limit The number of restarts, 1 or more. Default: 5.
 * @param within_s Seconds, more than 0. SSHPM_TIMEOUT_DEFAULT: 30 minutes.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_boot_request_set_restart_limit(sshpm_boot_request *request, uint32_t limit, double within_s);

/**
 * Sets the pauses of the restart policy. Each restart within the time of the limit doubles the pause.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param first_s The pause before the first restart: seconds, more than 0. SSHPM_TIMEOUT_DEFAULT: 1 s.
 * @param longest_s The longest pause: seconds, not less than the first pause. SSHPM_TIMEOUT_DEFAULT: 30 s.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_boot_request_set_restart_pauses(sshpm_boot_request *request, double first_s, double longest_s);

/**
 * Sets what happens to the process when the link or the manager has gone.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param policy SSHPM_LINK_LOSS_TERMINATE or SSHPM_LINK_LOSS_KEEP.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_boot_request_set_link_loss(sshpm_boot_request *request, int32_t policy);

/**
 * Sets how long the process may live after the SIGHUP that it gets when its link or its manager has gone, or when its
 * start is cancelled. Then it gets SIGKILL.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param grace_s Seconds. The remote side counts whole seconds, so the library rounds this up. SSHPM_TIMEOUT_DEFAULT:
 * 5 s.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_boot_request_set_grace(sshpm_boot_request *request, double grace_s);

/**
 * Sets whether the library also ends processes that the application started and that have left its process group, as
 * daemons do by setsid(2). When the application has ended, the library finds them by their POSIX session, or by a mark
 * in their environment, which this option gives to the application. The host needs /proc.
 * sshpm_exit_status_get_stray returns the processes that could not be ended. The process group itself is always ended.
 * Default: false.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param kill_tree Whether the library ends them.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_set_kill_tree(sshpm_boot_request *request, bool kill_tree);

/**
 * Returns who ended the process, or who observed that it ended.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @return One of SSHPM_EXIT_SOURCE_...; 0 when the status is NULL.
 */
int32_t sshpm_exit_status_get_source(const sshpm_exit_status *status);

/**
 * Returns the name of the exit source for logs: "client_monitoring", "remote_monitoring",
 * "manual_kill_through_ssh_client" or "manual_kill_through_remote_pid".
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @return The name, which is owned by the status and valid until the status is freed. NULL when the status is NULL.
 */
const char *sshpm_exit_status_get_source_name(const sshpm_exit_status *status);

/**
 * Returns the start number of the process, which sshpm_manager_start_process or sshpm_manager_adopt_process returned
 * for it.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @return The start number; 0 when the status is NULL, and for a status of found processes, which belongs to no start
 * of this manager.
 */
uint64_t sshpm_exit_status_get_start_number(const sshpm_exit_status *status);

/**
 * Gets the code as it was observed. For the two sources that go through the ssh client it is the client's code: 0 to
 * 255, or minus the number of the signal that ended the client. For the other two sources it is the application's
 * code.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @param out_code Receives the code.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_NO_EXIT_CODE when no code was observed.
 */
sshpm_result sshpm_exit_status_get_raw_code(const sshpm_exit_status *status, int32_t *out_code);

/**
 * Gets the code to show and to judge by: the raw code, if it says something about the application.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @param out_code Receives the code.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_NO_EXIT_CODE when there is no such code.
 */
sshpm_result sshpm_exit_status_get_code(const sshpm_exit_status *status, int32_t *out_code);

/**
 * Gets the application's own code, whatever the exit source is. It can be known although the link was lost.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @param out_code Receives the code: 0 to 255, or 128+n when signal n ended the application.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_NO_EXIT_CODE when the code is not known.
 */
sshpm_result sshpm_exit_status_get_application_code(const sshpm_exit_status *status, int32_t *out_code);

/**
 * Returns the signal that ended the application. Some shells (bash, zsh) cannot tell a signal from an exit code: when
 * such a shell is the host's /bin/sh, a code of 128+n counts as signal n.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @return The signal's number on this machine; 0 when no signal ended the application, or the status is NULL.
 */
int32_t sshpm_exit_status_get_signal(const sshpm_exit_status *status);

/**
 * Returns whether the application dumped core because of the signal. Only some shells report this as the host's
 * /bin/sh: dash, mksh and busybox do.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @return Whether it did; false when the status is NULL.
 */
bool sshpm_exit_status_core_dumped(const sshpm_exit_status *status);

/**
 * Returns whether the application left members of its process group behind. They were killed.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @return Whether it did; false when the status is NULL.
 */
bool sshpm_exit_status_left_over(const sshpm_exit_status *status);

/**
 * Gets the time at which the application ended. When the exit was reported at once, which takes some milliseconds, it
 * is the time of this machine's clock. When the host reported the exit later, it is the time of the host's clock in
 * whole seconds.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @param out_ended_at Receives the time in seconds since 1970.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_NO_END_TIME when the time is not known.
 */
sshpm_result sshpm_exit_status_get_ended_at(const sshpm_exit_status *status, double *out_ended_at);

/**
 * Returns how many processes that the application started could not be ended with it, although
 * sshpm_boot_request_set_kill_tree asked for that. One reason is that such a process belongs to another user.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @return The number; 0 when the status is NULL.
 */
size_t sshpm_exit_status_strays_count(const sshpm_exit_status *status);

/**
 * Returns the pid of one process that the application started and that could not be ended with it.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @param index The index of the process, from 0.
 * @return The pid on the application's host; -1 when the index is not below the count, or the status is NULL.
 */
int64_t sshpm_exit_status_get_stray(const sshpm_exit_status *status, size_t index);

/**
 * Returns whether the link was lost before the exit was known.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @return Whether it was; false when the status is NULL.
 */
bool sshpm_exit_status_link_lost(const sshpm_exit_status *status);

/**
 * Returns whether the exit could not be determined: the link was lost, and the host did not answer in time.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @return Whether it could not; false when the status is NULL.
 */
bool sshpm_exit_status_is_unknown(const sshpm_exit_status *status);

/**
 * Returns the line for the log: process, session, user, what the exit means, code and signal, and what else is known.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @return The line without a newline, which is owned by the status and valid until the status is freed. NULL when the
 * status is NULL.
 */
const char *sshpm_exit_status_get_message(const sshpm_exit_status *status);

/**
 * Returns what the exit means, as a clause: "ended by the manager through the remote pid".
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @return The clause, which is owned by the status and valid until the status is freed. NULL when the status is NULL.
 */
const char *sshpm_exit_status_get_sentence(const sshpm_exit_status *status);

/**
 * Frees a status.
 *
 * Any thread. Does not block.
 *
 * @param status The status. It must not belong to kill results, found processes, an event or a callback. NULL: does
 * nothing.
 */
void sshpm_exit_status_free(sshpm_exit_status *status);

/**
 * Returns the number of processes in the results.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @return The number; 0 when the results are NULL.
 */
size_t sshpm_kill_results_count(const sshpm_kill_results *results);

/**
 * Returns the uuid of one process.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index The index of the process, from 0.
 * @return The uuid, which is owned by the results and valid until the results are freed. NULL when the index is not
 * below the count, or the results are NULL.
 */
const char *sshpm_kill_results_get_uuid(const sshpm_kill_results *results, size_t index);

/**
 * Returns whether one process has ended, or why that is not known. A code for the process does not change the last
 * message of the thread.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index The index of the process, from 0.
 * @return SSHPM_OK: the process has ended, and there is a status. SSHPM_ERROR_STILL_RUNNING: it has not ended, and can
 * be killed again. SSHPM_ERROR_UNKNOWN_UUID. SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_...: why
 * the start had failed. SSHPM_ERROR_LOCAL. SSHPM_ERROR_DETACHED, SSHPM_ERROR_TAKEN_OVER: the process is kept, and goes
 * on without this manager. SSHPM_ERROR_INVALID when the index is not below the count; SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_kill_results_get_result(const sshpm_kill_results *results, size_t index);

/**
 * Returns how one process ended.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index The index of the process, from 0.
 * @return The status, which is owned by the results and valid until the results are freed. NULL when there is no
 * status, the index is not below the count, or the results are NULL.
 */
const sshpm_exit_status *sshpm_kill_results_get_status(const sshpm_kill_results *results, size_t index);

/**
 * Returns the line for the log about one process: the message of its status, or what went wrong.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index The index of the process, from 0.
 * @return The line, which is owned by the results and valid until the results are freed. NULL when the index is not
 * below the count, or the results are NULL.
 */
const char *sshpm_kill_results_get_message(const sshpm_kill_results *results, size_t index);

/**
 * Frees results, with their statuses and strings.
 *
 * Any thread. Does not block.
 *
 * @param results The results. NULL: does nothing.
 */
void sshpm_kill_results_free(sshpm_kill_results *results);

/**
 * Makes a manager without processes. It starts no thread and opens no connection yet. If ssh is the manager's
 * launcher, this function asks ssh for its version.
 *
 * Any thread, also in callbacks. Blocks for some milliseconds, and at most 4 s when ssh does not answer.
 *
 * @param options The options. Copied. NULL: the defaults.
 * @param out_manager Receives the manager. It is the caller's, to be freed with sshpm_manager_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID for options that cannot work, SSHPM_ERROR_LOCAL
 * when the system gives no random bytes.
 */
sshpm_result sshpm_manager_new(const sshpm_options *options, sshpm_manager **out_manager);

/**
 * Detaches a manager from all processes, which follow their link loss policies, and frees the manager. To end the
 * processes in order, call sshpm_manager_shutdown before. When this function returns, no exit callback is running, and
 * none is called again. In a child that the program has forked, this function detaches from nothing and ends nothing:
 * the processes belong to the parent.
 *
 * Any thread, but no other thread may use the manager any more. Blocks at most 5 s, and while a callback runs; inside
 * a callback it does not wait for that callback.
 *
 * @param manager The manager. NULL: does nothing.
 */
void sshpm_manager_free(sshpm_manager *manager);

/**
 * Checks the request, enters the process in the table, starts its watcher thread and returns. Events, callbacks and
 * sshpm_manager_wait_until_started report everything else. The uuid of a process that has ended can be used again; the
 * new process replaces the old one in the table. The start number tells the two apart: a manager numbers its starts
 * and adoptions from 1, each number is higher than those before it, and events, callbacks and exit statuses carry it.
 * Some numbers may be missing. Events and callbacks can come before this function returns; from the first of them on,
 * sshpm_manager_get_start_number knows the number.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid Names the process: 1 to 128 letters, digits, '.', '_' and '-'.
 * @param request What to run. Copied.
 * @param out_start_number Receives the start number. May be NULL.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_UUID_IN_USE,
 * SSHPM_ERROR_SHUT_DOWN, SSHPM_ERROR_LOCAL when the system gives no thread or no random bytes. Nothing was started
 * unless it is SSHPM_OK.
 */
sshpm_result sshpm_manager_start_process(sshpm_manager *manager,
                                         const char *uuid,
                                         const sshpm_boot_request *request,
                                         uint64_t *out_start_number);

/**
 * Detaches the manager from all processes, which follow their link loss policies. The manager starts nothing any more.
 *
 * Any thread. Blocks at most 5 s.
 *
 * @param manager The manager. The other functions can still query it.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INSIDE_CALLBACK.
 */
sshpm_result sshpm_manager_detach(sshpm_manager *manager);

/**
 * Removes a process that has ended from the table.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_STILL_RUNNING, SSHPM_ERROR_UNKNOWN_UUID.
 */
sshpm_result sshpm_manager_forget_process(sshpm_manager *manager, const char *uuid);

/**
 * Registers a callback that is called once for each start that ends or fails from now on. All callbacks of a manager
 * run one after another, on one thread of the library. Inside a callback, functions that do not block can be called.
 * Functions that block return SSHPM_ERROR_INSIDE_CALLBACK there, unless their description says "also in callbacks" or
 * what they do there. Before the program ends, remove the callback or free the manager: see "Ending the program" at
 * the top of this header.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param callback The function that is called.
 * @param user_data Is passed to both functions. The library does not use it.
 * @param finalizer Is called exactly once, when the callback can never be called again: on the thread that removes the
 * callback, frees the manager or runs the callbacks. It is only called if this function returns SSHPM_OK. May be NULL.
 * @param out_id Receives the number for sshpm_manager_remove_callback. The callback can be called before the number is
 * written.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_LOCAL when no thread can be started.
 */
sshpm_result sshpm_manager_on_process_exit(sshpm_manager *manager,
                                           sshpm_exit_callback callback,
                                           void *user_data,
                                           sshpm_finalizer finalizer,
                                           uint64_t *out_id);

/**
 * Removes a callback. When this function returns, the callback is not running and is never called again, and its
 * finalizer was called. Inside the callback itself this function returns at once, and the finalizer is called when the
 * callback has returned.
 *
 * Any thread, also in callbacks. Blocks while the callback runs.
 *
 * @param manager The manager.
 * @param id The callback's number. The number of a callback that was already removed is not an error.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_manager_remove_callback(sshpm_manager *manager, uint64_t id);

/**
 * Gets the number of the start that the table has for this uuid, which sshpm_manager_start_process or
 * sshpm_manager_adopt_process returned.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param out_start_number Receives the start number.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_UNKNOWN_UUID.
 */
sshpm_result sshpm_manager_get_start_number(const sshpm_manager *manager, const char *uuid, uint64_t *out_start_number);

/**
 * Gets the state of a process.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param out_state Receives one of SSHPM_STATE_..., of which later versions can have more.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_UNKNOWN_UUID.
 */
sshpm_result sshpm_manager_get_process_state(const sshpm_manager *manager, const char *uuid, int32_t *out_state);

/**
 * Gets whether a process is in SSHPM_STATE_STARTING, _RUNNING or _ENDING. It only reads memory.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param out_alive Receives the answer; false for an unknown uuid.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_manager_is_process_alive(const sshpm_manager *manager, const char *uuid, bool *out_alive);

/**
 * Gets whether a process is alive and ready, as its request says; whether it runs, if the request says nothing. A kept
 * process that was ready stays ready while its link is lost.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param out_ready Receives the answer; false for an unknown uuid.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_manager_is_ready(const sshpm_manager *manager, const char *uuid, bool *out_ready);

/**
 * Gets whether the remote side itself watches a process. It does so from its first report until the process or the
 * link ends.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param out_monitoring Receives the answer; false for an unknown uuid.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_manager_is_monitoring_remotely(const sshpm_manager *manager, const char *uuid, bool *out_monitoring);

/**
 * Gets the uuids in the table, also those of ended processes, in the order of their starts.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param out_keys Receives the uuids. They are the caller's, to be freed with sshpm_string_list_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_manager_get_active_process_keys(const sshpm_manager *manager, sshpm_string_list **out_keys);

/**
 * Gets the application's pid on its host. It is known from SSHPM_STATE_STARTING on, also after the exit.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param out_pid Receives the pid.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_UNKNOWN_UUID, SSHPM_ERROR_NO_REMOTE_PID
 * while the pid is not known.
 */
sshpm_result sshpm_manager_get_remote_pid(const sshpm_manager *manager, const char *uuid, int64_t *out_pid);

/**
 * Gets the pids that are known of a process. Each output may be NULL. An output receives -1 when its pid is not known;
 * all outputs receive -1 for an unknown uuid.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param out_ssh_client Receives the pid of the client (ssh, or that of another launcher) on this machine; -1 when the
 * client has ended, and for a process without one (sshpm_options_set_ssh_client_per_process).
 * @param out_remote Receives the pid of the application on its host.
 * @param out_remote_monitoring Receives the pid of the shell that watches the application on its host.
 * @param out_client_monitoring Receives the id of the thread that watches the client on this machine.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_manager_get_runtime_pids(const sshpm_manager *manager,
                                            const char *uuid,
                                            int64_t *out_ssh_client,
                                            int64_t *out_remote,
                                            int64_t *out_remote_monitoring,
                                            int64_t *out_client_monitoring);

/**
 * Gets the last part of what the application wrote to stdout, if it has no log file. sshpm_options_set_output_limit
 * sets how much this is.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param out_buffer Receives a copy. It is the caller's, to be freed with sshpm_buffer_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_UNKNOWN_UUID.
 */
sshpm_result sshpm_manager_get_process_stdout(const sshpm_manager *manager,
                                              const char *uuid,
                                              sshpm_buffer **out_buffer);

/**
 * Gets the last part of what the application wrote to stderr, if it has no log file. sshpm_options_set_output_limit
 * sets how much this is. It also contains what ssh says about a connection that breaks.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param out_buffer Receives a copy. It is the caller's, to be freed with sshpm_buffer_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_UNKNOWN_UUID.
 */
sshpm_result sshpm_manager_get_process_stderr(const sshpm_manager *manager,
                                              const char *uuid,
                                              sshpm_buffer **out_buffer);

/**
 * Gets how a process that is still in the table ended. The exit callbacks may not have run yet.
 *
 * A call that returns a status, or the reason of a failed start, acknowledges the exit: the host of a kept process
 * then removes the exit status and the output, and no other manager can get them. The process stays in this table, and
 * the call can be repeated. sshpm_manager_get_process_state does not acknowledge the exit.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param out_status Receives the status, or NULL while the process has not ended, and for an unknown uuid. It is the
 * caller's, to be freed with sshpm_exit_status_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8. For a failed start, its reason: SSHPM_ERROR_SSH_...,
 * SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_... or SSHPM_ERROR_LOCAL. SSHPM_ERROR_DETACHED, SSHPM_ERROR_TAKEN_OVER:
 * the process is kept, and this manager will not learn how it ends.
 */
sshpm_result sshpm_manager_get_exit_status(const sshpm_manager *manager,
                                           const char *uuid,
                                           sshpm_exit_status **out_status);

/**
 * Gets how a process ended that this manager did not kill, or why its start failed, and removes the process from the
 * table. So each exit is returned once, also when many threads call this function. The exit callbacks may not have run
 * yet. A call that returns an exit acknowledges it, as sshpm_manager_get_exit_status does.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param out_status Receives the status, or NULL while the process has not ended, for an unknown uuid, and for a
 * process that this manager killed. It is the caller's, to be freed with sshpm_exit_status_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8. For a failed start, its reason: SSHPM_ERROR_SSH_...,
 * SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_... or SSHPM_ERROR_LOCAL; the process has left the table then.
 * SSHPM_ERROR_DETACHED, SSHPM_ERROR_TAKEN_OVER: the process is kept, and this manager will not learn how it ends; it
 * has left the table, too.
 */
sshpm_result sshpm_manager_pop_early_exit_status(sshpm_manager *manager,
                                                 const char *uuid,
                                                 sshpm_exit_status **out_status);

/**
 * Waits until the application runs. Also returns SSHPM_OK when the application has run and has already ended.
 *
 * Any thread. Blocks at most for the timeout.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: no limit; the start timeout of the request ends the wait.
 * @param out_pid Receives the application's pid on its host.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_TIMED_OUT,
 * SSHPM_ERROR_UNKNOWN_UUID, SSHPM_ERROR_INSIDE_CALLBACK. SSHPM_ERROR_NOT_RUNNING: the process was killed before it
 * ran. SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_..., SSHPM_ERROR_LOCAL: why the start failed.
 * SSHPM_ERROR_DETACHED, SSHPM_ERROR_TAKEN_OVER: the process is kept, its link was lost during the start, and this
 * manager controls it no more.
 */
sshpm_result sshpm_manager_wait_until_started(const sshpm_manager *manager,
                                              const char *uuid,
                                              double timeout_s,
                                              int64_t *out_pid);

/**
 * Waits until the process is ready, as its request says; until its application runs, if the request says nothing. Also
 * returns SSHPM_OK when the process was ready and has already ended.
 *
 * Any thread. Blocks at most for the timeout.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: no limit; the start timeout and the ready timeout of the request
 * end the wait.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_TIMED_OUT,
 * SSHPM_ERROR_UNKNOWN_UUID, SSHPM_ERROR_INSIDE_CALLBACK. SSHPM_ERROR_NOT_READY: the process runs, and does not count
 * as ready. SSHPM_ERROR_NOT_RUNNING: it ended before it was ready. SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_...,
 * SSHPM_ERROR_START_..., SSHPM_ERROR_LOCAL: why the start failed. SSHPM_ERROR_DETACHED, SSHPM_ERROR_TAKEN_OVER: the
 * process is kept, and this manager controls it no more.
 */
sshpm_result sshpm_manager_wait_until_ready(const sshpm_manager *manager, const char *uuid, double timeout_s);

/**
 * Waits until a process has ended, and gets its exit code. The process stays in the table. The exit callbacks may not
 * have run yet. A call that returns an exit, or why the start failed, acknowledges it, as
 * sshpm_manager_get_exit_status does.
 *
 * Any thread. Blocks at most for the timeout.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: no limit.
 * @param out_code Receives the code to show and to judge by, which sshpm_exit_status_get_code describes.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_TIMED_OUT,
 * SSHPM_ERROR_UNKNOWN_UUID, SSHPM_ERROR_INSIDE_CALLBACK. SSHPM_ERROR_NO_EXIT_CODE: the process ended without such a
 * code. SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_..., SSHPM_ERROR_LOCAL: why the start failed.
 * SSHPM_ERROR_DETACHED, SSHPM_ERROR_TAKEN_OVER: the process is kept, and this manager will not learn how it ends.
 */
sshpm_result sshpm_manager_wait_for_process_exit_code(const sshpm_manager *manager,
                                                      const char *uuid,
                                                      double timeout_s,
                                                      int32_t *out_code);

/**
 * Sends a signal to the application alone, and waits until the remote side confirms that it was sent. If the signal
 * ends the process, the exit is reported as if somebody else had sent the signal.
 *
 * Any thread, also in callbacks. Blocks at most 10 s; inside a callback it does not wait for the confirmation.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param signal A signal of this machine's <signal.h>; see sshpm_signal_from_name.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_NOT_RUNNING,
 * SSHPM_ERROR_SIGNAL_REFUSED, SSHPM_ERROR_LINK_DOWN, SSHPM_ERROR_TIMED_OUT, SSHPM_ERROR_UNKNOWN_UUID.
 */
sshpm_result sshpm_manager_send_signal(sshpm_manager *manager, const char *uuid, int32_t signal);

/**
 * Simulates a crash: sends a signal to the application alone. It does nothing else, so the table, the events and the
 * exit status look as after a real crash. This function does what sshpm_manager_send_signal does.
 *
 * Any thread, also in callbacks. Blocks at most 10 s; inside a callback it does not wait for the confirmation.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param signal A signal of this machine's <signal.h>; see sshpm_signal_from_name.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_NOT_RUNNING,
 * SSHPM_ERROR_SIGNAL_REFUSED, SSHPM_ERROR_LINK_DOWN, SSHPM_ERROR_TIMED_OUT, SSHPM_ERROR_UNKNOWN_UUID.
 */
sshpm_result sshpm_manager_crash_process(sshpm_manager *manager, const char *uuid, int32_t signal);

/**
 * Ends a process by a signal to its ssh client on this machine. Use sshpm_manager_kill_process for all other purposes.
 * The signal breaks the link, the remote side ends the application by its link loss policy, and the manager asks the
 * host whether it did. A session without an ssh client (sshpm_options_set_ssh_client_per_process) is closed, which
 * counts as SIGKILL, also for SIGQUIT.
 *
 * Any thread. Blocks at most for the timeout.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param signal SIGQUIT or SIGKILL.
 * @param as_manual_kill Whether the exit source is a manual kill through the ssh client. Otherwise it is client
 * monitoring, as if somebody else had sent the signal.
 * @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: 10 s.
 * @param out_status Receives the status. It is the caller's, to be freed with sshpm_exit_status_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_UNKNOWN_UUID,
 * SSHPM_ERROR_INSIDE_CALLBACK. SSHPM_ERROR_STILL_RUNNING: the manager did not learn in time that the application
 * ended; the process stays in the table. SSHPM_ERROR_NOT_RUNNING: the process waits for its turn to connect and has no
 * session yet, and this is not a manual kill. SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_...,
 * SSHPM_ERROR_LOCAL: the start had failed; the process has left the table. SSHPM_ERROR_DETACHED,
 * SSHPM_ERROR_TAKEN_OVER: the process is kept, and goes on without this manager; it has left the table.
 */
sshpm_result sshpm_manager_kill_process_without_metadata(sshpm_manager *manager,
                                                         const char *uuid,
                                                         int32_t signal,
                                                         bool as_manual_kill,
                                                         double timeout_s,
                                                         sshpm_exit_status **out_status);

/**
 * Ends a process by the kill sequence, waits for the exit callbacks, removes the process from the table and gets how
 * it ended, also if it had ended before. A restart that was to follow is cancelled. A start that has no remote pid yet
 * is cancelled: what has begun on the host gets SIGHUP, and after its grace SIGKILL.
 *
 * Any thread. Blocks at most for the timeouts of all steps of the kill sequence.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param timeout_s How many seconds each step waits. SSHPM_TIMEOUT_DEFAULT: 10 s.
 * @param out_status Receives the status. It is the caller's, to be freed with sshpm_exit_status_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_UNKNOWN_UUID,
 * SSHPM_ERROR_INSIDE_CALLBACK. SSHPM_ERROR_STILL_RUNNING: the process stays in the table and can be killed again.
 * SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_..., SSHPM_ERROR_LOCAL: the start had failed; the
 * process has left the table. SSHPM_ERROR_DETACHED, SSHPM_ERROR_TAKEN_OVER: the process is kept, and goes on without
 * this manager; it has left the table.
 */
sshpm_result sshpm_manager_kill_process(sshpm_manager *manager,
                                        const char *uuid,
                                        double timeout_s,
                                        sshpm_exit_status **out_status);

/**
 * Ends a process as sshpm_manager_kill_process does, and starts it again with the same request under the same uuid.
 * Nobody else can take the uuid in between. A process that has ended, whose start has failed or whose restart policy
 * pauses is only started. The restarts by its policy count from zero again. Events, callbacks and
 * sshpm_manager_wait_until_started report everything else about the start. A kill, forget, shutdown, detach or free
 * that comes later than this call cancels the restart.
 *
 * Any thread. Blocks at most for the timeouts of all steps of the kill sequence; not if the process has ended.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param timeout_s How many seconds each step of the kill waits. SSHPM_TIMEOUT_DEFAULT: 10 s.
 * @param out_start_number Receives the new start number. May be NULL.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_UNKNOWN_UUID,
 * SSHPM_ERROR_INSIDE_CALLBACK. SSHPM_ERROR_RESTART_...: another call restarts the process or has ended it, or it was
 * adopted. SSHPM_ERROR_STILL_RUNNING: the process has not ended in time and was not started; it stays in the table,
 * and its policy does not restart it any more. SSHPM_ERROR_TAKEN_OVER, SSHPM_ERROR_DETACHED: the process is kept, and
 * goes on without this manager. SSHPM_ERROR_SHUT_DOWN, SSHPM_ERROR_LOCAL: the process has ended, and was not started.
 */
sshpm_result sshpm_manager_restart_process(sshpm_manager *manager,
                                           const char *uuid,
                                           double timeout_s,
                                           uint64_t *out_start_number);

/**
 * Ends processes, role by role in the shutdown order; the processes of one role at the same time. A role that does not
 * end in its time does not delay the next role. Processes that have ended leave the table.
 *
 * Any thread. Blocks at most for the timeouts of all steps of the kill sequence, for each role.
 *
 * @param manager The manager.
 * @param uuids The processes. May be NULL if the count is 0.
 * @param count The number of processes.
 * @param timeouts_s For each process, how many seconds each step waits; SSHPM_TIMEOUT_DEFAULT: 10 s. NULL: 10 s for
 * all.
 * @param out_results Receives a result for each process. They are the caller's, to be freed with
 * sshpm_kill_results_free.
 * @return SSHPM_OK, also when processes did not end; SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID,
 * SSHPM_ERROR_INSIDE_CALLBACK.
 */
sshpm_result sshpm_manager_kill_processes(sshpm_manager *manager,
                                          const char *const *uuids,
                                          size_t count,
                                          const double *timeouts_s,
                                          sshpm_kill_results **out_results);

/**
 * Ends those of the given processes that have a role, at the same time. The results contain only these processes, and
 * the uuids that are unknown.
 *
 * Any thread. Blocks at most for the timeouts of all steps of the kill sequence.
 *
 * @param manager The manager.
 * @param role The role's name; UTF-8.
 * @param uuids The processes to choose from. May be NULL if the count is 0.
 * @param count The number of processes.
 * @param timeouts_s For each process, how many seconds each step waits; SSHPM_TIMEOUT_DEFAULT: 10 s. NULL: 10 s for
 * all.
 * @param out_results Receives the results. They are the caller's, to be freed with sshpm_kill_results_free.
 * @return SSHPM_OK, also when processes did not end; SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID,
 * SSHPM_ERROR_INSIDE_CALLBACK.
 */
sshpm_result sshpm_manager_kill_processes_by_role(sshpm_manager *manager,
                                                  const char *role,
                                                  const char *const *uuids,
                                                  size_t count,
                                                  const double *timeouts_s,
                                                  sshpm_kill_results **out_results);

/**
 * Ends all processes of the table, as sshpm_manager_kill_processes does. The remote side cleans up when all have
 * ended; sshpm_manager_shutdown and sshpm_manager_free wait for that.
 *
 * Any thread. Blocks at most for the timeouts of all steps of the kill sequence, for each role.
 *
 * @param manager The manager.
 * @param timeout_s How many seconds each step waits. SSHPM_TIMEOUT_DEFAULT: 10 s.
 * @param out_results Receives a result for each process. They are the caller's, to be freed with
 * sshpm_kill_results_free.
 * @return SSHPM_OK, also when processes did not end; SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID,
 * SSHPM_ERROR_INSIDE_CALLBACK.
 */
sshpm_result sshpm_manager_kill_all_processes(sshpm_manager *manager,
                                              double timeout_s,
                                              sshpm_kill_results **out_results);

/**
 * Ends all processes in the shutdown order within the timeout, and then detaches from all of them. Each role gets the
 * waits of the kill sequence, with 10 s for each step that has no wait of its own. When the timeout is over, whatever
 * still runs gets SIGKILL at once. The manager starts nothing any more.
 *
 * Any thread. Blocks at most for the timeout, 2 s for each role that did not end within it, and 5 s.
 *
 * @param manager The manager. The other functions can still query it.
 * @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: no limit but the time of the roles.
 * @param out_results Receives a result for each process. They are the caller's, to be freed with
 * sshpm_kill_results_free. May be NULL.
 * @return SSHPM_OK, also when processes did not end; SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID,
 * SSHPM_ERROR_INSIDE_CALLBACK.
 */
sshpm_result sshpm_manager_shutdown(sshpm_manager *manager, double timeout_s, sshpm_kill_results **out_results);

/**
 * Makes a session without processes.
 *
 * Any thread. Does not block.
 *
 * @param out_session Receives the session. It is the caller's, to be freed with sshpm_session_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_session_new(sshpm_session **out_session);

/**
 * Reads a session from a JSON object. Its keys are "processes", which is required, "defaults" and "session":
 *
 * "processes" is an array of requests in the format of sshpm_boot_request_from_json. A request has one more key,
 * "uuid". Without it, its name is the uuid. "defaults" is an object with keys of a request, for all requests that do
 * not have them. The entries of "environment" and "limits" are added to those of the request, whose own entries win;
 * any other value of a request replaces the default. "session" is an object with "order" (an array of roles),
 * "minimum" (an object of roles and numbers), "on_failure" ("stop", "roll-back", "continue") and "timeout" (seconds).
 *
 * An array of requests is read, too: it stands for an object that has only "processes". docs/session.schema.json
 * describes both forms as a JSON Schema.
 *
 * Any thread. Does not block.
 *
 * @param json The JSON; UTF-8, at most 64 MiB.
 * @param out_session Receives the session. It is the caller's, to be freed with sshpm_session_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_JSON, and SSHPM_ERROR_INVALID for values
 * that sshpm_session_check refuses. The message names the place and the value, such as `processes[3].host`.
 */
sshpm_result sshpm_session_from_json(const char *json, sshpm_session **out_session);

/**
 * Frees a session and its requests. Processes that were started with it keep their copies.
 *
 * Any thread. Does not block.
 *
 * @param session The session. NULL: does nothing.
 */
void sshpm_session_free(sshpm_session *session);

/**
 * Adds a process.
 *
 * One thread at a time for the same session. Does not block.
 *
 * @param session The session.
 * @param uuid Names the process, as for sshpm_manager_start_process; UTF-8. Copied.
 * @param request What to run. Copied.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8. sshpm_session_check checks the values.
 */
sshpm_result sshpm_session_add_process(sshpm_session *session, const char *uuid, const sshpm_boot_request *request);

/**
 * Sets the order in which the boot starts roles, one stage for each role. Processes of roles that the order does not
 * name start first, together. Default: the manager's shutdown order in reverse, so that the processes that end last
 * start first.
 *
 * One thread at a time for the same session. Does not block.
 *
 * @param session The session.
 * @param roles The names of the roles; UTF-8. Copied. May be NULL if the count is 0.
 * @param count The number of roles.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID. sshpm_session_check refuses a
 * role that is named twice.
 */
sshpm_result sshpm_session_set_order(sshpm_session *session, const char *const *roles, size_t count);

/**
 * Sets how many processes of a role are enough: the role is complete when so many of its processes are ready, and
 * fails when so many cannot become ready any more. Then sshpm_boot_request_set_critical does not count for its
 * processes. The last call for a role counts. Default: each critical process of the role must be ready.
 *
 * One thread at a time for the same session. Does not block.
 *
 * @param session The session.
 * @param role The role's name; UTF-8. Copied.
 * @param processes How many are enough. sshpm_session_check refuses a number above that of the role's processes.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_session_set_minimum(sshpm_session *session, const char *role, size_t processes);

/**
 * Sets what the boot does when a stage has failed. With SSHPM_ON_FAILURE_ROLL_BACK, it also ends its processes when it
 * is cancelled or its time is over.
 *
 * One thread at a time for the same session. Does not block.
 *
 * @param session The session.
 * @param action One of SSHPM_ON_FAILURE_...
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_session_set_on_failure(sshpm_session *session, int32_t action);

/**
 * Sets how long all stages together may take. When the time is over, the boot stops, although its processes may have
 * time left to start and to be ready.
 *
 * One thread at a time for the same session. Does not block.
 *
 * @param session The session.
 * @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: no limit but those of the processes.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_session_set_timeout(sshpm_session *session, double timeout_s);

/**
 * Checks all values, as sshpm_manager_start_session does before it starts anything.
 *
 * Any thread. Does not block.
 *
 * @param session The session.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID. The message names the place and the value, such as
 * `processes[3].host`.
 */
sshpm_result sshpm_session_check(const sshpm_session *session);

/**
 * Returns the number of processes of a session.
 *
 * Any thread, but not while another thread changes the session. Does not block.
 *
 * @param session The session.
 * @return The number; 0 when the session is NULL.
 */
size_t sshpm_session_count(const sshpm_session *session);

/**
 * Returns the uuid of one process. The processes have the order of the JSON, or that in which they were added.
 *
 * Any thread, but not while another thread changes the session. Does not block.
 *
 * @param session The session.
 * @param index The index of the process, from 0.
 * @return The uuid, which is owned by the session and valid until the session is freed. NULL when the index is not
 * below the count, or the session is NULL.
 */
const char *sshpm_session_get_uuid(const sshpm_session *session, size_t index);

/**
 * Returns the request of one process.
 *
 * Any thread, but not while another thread changes the session. Does not block.
 *
 * @param session The session.
 * @param index The index of the process, from 0.
 * @return The request, which is owned by the session and valid until the session is freed. NULL when the index is not
 * below the count, or the session is NULL.
 */
const sshpm_boot_request *sshpm_session_get_request(const sshpm_session *session, size_t index);

/**
 * Boots a session in stages, and gets how far each process came. The processes of a stage start at the same time;
 * sshpm_session_set_order says which stage has which roles. The next stage begins when every critical process of the
 * stages before it is ready, or the minimum of its role. A process that was not asked to be ready counts as ready when
 * it runs. A critical process that is not ready in time, fails or ends meanwhile, in this stage or an earlier one,
 * fails its stage: sshpm_session_set_on_failure says what follows. After the boot, the processes are like those of
 * sshpm_manager_start_process.
 *
 * When a boot does not become complete, nothing of it starts after this function has returned: starts that are not
 * done are cancelled, as sshpm_manager_kill_process does. Only SSHPM_ON_FAILURE_CONTINUE leaves them, unless the boot
 * was cancelled, ran out of time or found the manager shut down.
 *
 * Another thread may kill, forget and start processes of the session meanwhile, and may shut down or detach the
 * manager. A critical process that was killed has ended, a uuid that was taken has failed, and a manager that was shut
 * down starts nothing more. No thread may free the manager before this function has returned.
 *
 * Any thread. Blocks at most for the timeout of the session and the time that `progress` takes. If the boot does not
 * become complete, it also blocks for what it ends: at most as long as sshpm_manager_kill_process to cancel starts, or
 * as sshpm_manager_kill_processes to roll back, with 10 s for each step.
 *
 * @param manager The manager.
 * @param session The session. It must not be changed meanwhile.
 * @param progress Is called on the thread that calls this function. It may call any function that takes the manager,
 * also one that blocks, but sshpm_manager_free; the boot waits for it. May be NULL.
 * @param user_data Is passed to `progress`. The library does not use it.
 * @param out_results Receives the results. They are the caller's, to be freed with sshpm_session_results_free.
 * @return SSHPM_OK, also when the boot did not become complete. When nothing was started: SSHPM_ERROR_NULL_ARGUMENT,
 * SSHPM_ERROR_INVALID for a value that is not valid, SSHPM_ERROR_UUID_IN_USE, SSHPM_ERROR_SHUT_DOWN,
 * SSHPM_ERROR_INSIDE_CALLBACK.
 */
sshpm_result sshpm_manager_start_session(sshpm_manager *manager,
                                         const sshpm_session *session,
                                         sshpm_session_progress_callback progress,
                                         void *user_data,
                                         sshpm_session_results **out_results);

/**
 * Returns how the boot went.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @return One of SSHPM_SESSION_...; 0 when the results are NULL.
 */
int32_t sshpm_session_results_get_outcome(const sshpm_session_results *results);

/**
 * Returns the stage that was not complete.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @return The number of the stage, from 1; 0 when the boot is complete, or the results are NULL.
 */
size_t sshpm_session_results_get_outcome_stage(const sshpm_session_results *results);

/**
 * Returns the process that failed its stage.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @return The uuid, which is owned by the results and valid until the results are freed. NULL unless the outcome is
 * SSHPM_SESSION_FAILED.
 */
const char *sshpm_session_results_get_outcome_uuid(const sshpm_session_results *results);

/**
 * Returns the line for the log about the outcome.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @return The line, which is owned by the results and valid until the results are freed. NULL when the results are
 * NULL.
 */
const char *sshpm_session_results_get_outcome_message(const sshpm_session_results *results);

/**
 * Returns the number of processes in the results.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @return The number; 0 when the results are NULL.
 */
size_t sshpm_session_results_count(const sshpm_session_results *results);

/**
 * Returns the uuid of one process.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index The index of the process, from 0.
 * @return The uuid, which is owned by the results and valid until the results are freed. NULL when the index is not
 * below the count, or the results are NULL.
 */
const char *sshpm_session_results_get_uuid(const sshpm_session_results *results, size_t index);

/**
 * Returns how far the boot brought one process: when the boot returned, or, for a process that it rolled back, before
 * that.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index The index of the process, from 0.
 * @return One of SSHPM_BOOT_...; 0 when the index is not below the count, or the results are NULL.
 */
int32_t sshpm_session_results_get_state(const sshpm_session_results *results, size_t index);

/**
 * Returns why one process failed or is not ready. A code for the process does not change the last message of the
 * thread.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index The index of the process, from 0.
 * @return SSHPM_OK: neither; sshpm_session_results_get_state says more. SSHPM_ERROR_NOT_READY. SSHPM_ERROR_SSH_...,
 * SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_...: why its start failed. SSHPM_ERROR_UUID_IN_USE: another thread took
 * its uuid. SSHPM_ERROR_LOCAL. SSHPM_ERROR_DETACHED, SSHPM_ERROR_TAKEN_OVER: the process is kept, and goes on without
 * this manager. SSHPM_ERROR_INVALID when the index is not below the count; SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_session_results_get_result(const sshpm_session_results *results, size_t index);

/**
 * Returns how one process ended.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index The index of the process, from 0.
 * @return The status, which is owned by the results and valid until the results are freed. NULL unless the state is
 * SSHPM_BOOT_ENDED.
 */
const sshpm_exit_status *sshpm_session_results_get_status(const sshpm_session_results *results, size_t index);

/**
 * Returns why one process failed or is not ready, or how it ended, as text.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index The index of the process, from 0.
 * @return The text, which is owned by the results and valid until the results are freed. "" when none of
 * this is so. NULL when the index is not below the count, or the results are NULL.
 */
const char *sshpm_session_results_get_message(const sshpm_session_results *results, size_t index);

/**
 * Returns the processes that the boot has ended: starts that it cancelled, and processes that it rolled back. They
 * have left the manager's table, unless the result is SSHPM_ERROR_STILL_RUNNING.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @return The results of the kill, which are owned by these results and valid until these are freed: do not free them.
 * NULL when the results are NULL.
 */
const sshpm_kill_results *sshpm_session_results_get_ended(const sshpm_session_results *results);

/**
 * Frees results, with their statuses and strings.
 *
 * Any thread. Does not block.
 *
 * @param results The results. NULL: does nothing.
 */
void sshpm_session_results_free(sshpm_session_results *results);

/**
 * Returns what happened.
 *
 * Any thread. Does not block.
 *
 * @param event The event.
 * @return One of SSHPM_EVENT_..., of which later versions can have more; 0 when the event is NULL.
 */
int32_t sshpm_event_get_type(const sshpm_event *event);

/**
 * Returns the uuid of the process that the event is about.
 *
 * Any thread. Does not block.
 *
 * @param event The event.
 * @return The uuid, which is owned by the event and valid until the event is freed. NULL when the event is NULL.
 */
const char *sshpm_event_get_uuid(const sshpm_event *event);

/**
 * Returns the start number of the process, which sshpm_manager_start_process or sshpm_manager_adopt_process returned
 * for it.
 *
 * Any thread. Does not block.
 *
 * @param event The event.
 * @return The start number; 0 when the event is NULL.
 */
uint64_t sshpm_event_get_start_number(const sshpm_event *event);

/**
 * Returns the application's pid on its host, for SSHPM_EVENT_STARTED.
 *
 * Any thread. Does not block.
 *
 * @param event The event.
 * @return The pid; -1 for all other events, and when the event is NULL.
 */
int64_t sshpm_event_get_pid(const sshpm_event *event);

/**
 * Returns how the process ended, for SSHPM_EVENT_EXITED.
 *
 * Any thread. Does not block.
 *
 * @param event The event.
 * @return The status, which is owned by the event and valid until the event is freed. NULL for all other events, and
 * when the event is NULL.
 */
const sshpm_exit_status *sshpm_event_get_status(const sshpm_event *event);

/**
 * Returns why the start failed, for SSHPM_EVENT_START_FAILED, or why the link was not restored, for
 * SSHPM_EVENT_LINK_NOT_RESTORED.
 *
 * Any thread. Does not block.
 *
 * @param event The event.
 * @return SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_..., SSHPM_ERROR_TAKEN_OVER or
 * SSHPM_ERROR_LOCAL; SSHPM_OK for all other events, and when the event is NULL.
 */
sshpm_result sshpm_event_get_error(const sshpm_event *event);

/**
 * Returns which restart follows, for SSHPM_EVENT_RESTARTING: the how many-th within the time of the policy's limit,
 * from 1.
 *
 * Any thread. Does not block.
 *
 * @param event The event.
 * @return The number; 0 for all other events, and when the event is NULL.
 */
uint32_t sshpm_event_get_attempt(const sshpm_event *event);

/**
 * Returns the pause before the restart, for SSHPM_EVENT_RESTARTING.
 *
 * Any thread. Does not block.
 *
 * @param event The event.
 * @return Seconds; 0 for all other events, and when the event is NULL.
 */
double sshpm_event_get_pause(const sshpm_event *event);

/**
 * Returns the text of the event: why the start failed, the link was not restored or the process is not ready, what ssh
 * said when the link was lost, the limit of the restarts, or the message of the exit status.
 *
 * Any thread. Does not block.
 *
 * @param event The event.
 * @return The text, which is owned by the event and valid until the event is freed. "" when there is no text; NULL
 * when the event is NULL.
 */
const char *sshpm_event_get_message(const sshpm_event *event);

/**
 * Frees an event, with its status and strings.
 *
 * Any thread. Does not block.
 *
 * @param event The event. NULL: does nothing.
 */
void sshpm_event_free(sshpm_event *event);

/**
 * Subscribes to all events from now on. The queue is unbounded: a slow subscriber loses no event and delays nobody.
 * Events that are not received stay in the queue. Each takes some hundred bytes; the event of a failed start also
 * holds what ssh or the setup wrote last (4 KiB each) and the setup line that failed. So free a subscription that you
 * do not read.
 *
 * Any thread. Does not block.
 *
 * @param manager The manager.
 * @param out_subscription Receives the subscription. It is the caller's, to be freed with sshpm_subscription_free,
 * before or after the manager.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_LOCAL when this program has no descriptor left.
 */
sshpm_result sshpm_manager_subscribe(sshpm_manager *manager, sshpm_subscription **out_subscription);

/**
 * Returns a descriptor that is readable while events wait or a wake is due. Use it only with poll(2) and the like;
 * sshpm_subscription_next returns the events. The descriptor can be readable although no event waits.
 *
 * Any thread. Does not block.
 *
 * @param subscription The subscription.
 * @return The descriptor, which is owned by the subscription and valid until the subscription is freed. Do not read
 * from it and do not close it. -1 when the subscription is NULL.
 */
int32_t sshpm_subscription_get_fd(const sshpm_subscription *subscription);

/**
 * Takes the next event from the queue, or waits for one when the queue is empty. The events of one process come in the
 * order in which they happened.
 *
 * Any thread; several can wait, and each event goes to one of them. Blocks at most for the timeout.
 *
 * @param subscription The subscription.
 * @param timeout_s Seconds; 0: does not block. SSHPM_TIMEOUT_DEFAULT: no limit.
 * @param out_event Receives the event. It is the caller's, to be freed with sshpm_event_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID. SSHPM_ERROR_NO_EVENT: no event came within the
 * timeout. SSHPM_ERROR_WOKEN: sshpm_subscription_wake ended the wait. SSHPM_ERROR_SHUT_DOWN: the manager was freed,
 * and no event is left. SSHPM_ERROR_INSIDE_CALLBACK, unless the timeout is 0.
 */
sshpm_result sshpm_subscription_next(const sshpm_subscription *subscription, double timeout_s, sshpm_event **out_event);

/**
 * Ends the wait of one thread in sshpm_subscription_next with SSHPM_ERROR_WOKEN. This is a thread that waits now, or
 * else the next thread that would wait. Several wakes that no thread has seen yet count as one. The descriptor of the
 * subscription becomes readable.
 *
 * Any thread. Does not block. Not for signal handlers.
 *
 * @param subscription The subscription.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_subscription_wake(const sshpm_subscription *subscription);

/**
 * Ends a subscription and frees it, with the events that are left in it. No thread may be waiting in it: wake such
 * threads and join them first.
 *
 * Any thread. Does not block.
 *
 * @param subscription The subscription. NULL: does nothing.
 */
void sshpm_subscription_free(sshpm_subscription *subscription);

/**
 * Subscribes to what the application writes from now on, if it has no log file.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param out_subscription Receives the subscription. It is the caller's, to be freed with
 * sshpm_output_subscription_free, before or after the manager.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_UNKNOWN_UUID.
 */
sshpm_result sshpm_manager_subscribe_output(sshpm_manager *manager,
                                            const char *uuid,
                                            sshpm_output_subscription **out_subscription);

/**
 * Takes the next piece of output from the queue, or waits for one when the queue is empty.
 *
 * Any thread; several can wait, and each piece goes to one of them. Blocks at most for the timeout.
 *
 * @param subscription The subscription.
 * @param timeout_s Seconds; 0: does not block. SSHPM_TIMEOUT_DEFAULT: no limit.
 * @param out_stream Receives SSHPM_STREAM_STDOUT or SSHPM_STREAM_STDERR.
 * @param out_piece Receives at least one byte, as the application wrote it; a piece can end in the middle of a line.
 * It is the caller's, to be freed with sshpm_buffer_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID. SSHPM_ERROR_TIMED_OUT: nothing came within the
 * timeout. SSHPM_ERROR_END_OF_OUTPUT: no piece is left, and the process has ended or the manager no longer controls
 * it. SSHPM_ERROR_INSIDE_CALLBACK, unless the timeout is 0.
 */
sshpm_result sshpm_output_subscription_next(const sshpm_output_subscription *subscription,
                                            double timeout_s,
                                            int32_t *out_stream,
                                            sshpm_buffer **out_piece);

/**
 * Returns how many bytes were dropped until now, because the reader was too far behind.
 *
 * Any thread. Does not block.
 *
 * @param subscription The subscription.
 * @return The number; 0 when the subscription is NULL.
 */
uint64_t sshpm_output_subscription_dropped(const sshpm_output_subscription *subscription);

/**
 * Ends a subscription and frees it, with the pieces that are left in it. No thread may be waiting in it: let threads
 * wait with a timeout, because no function wakes them.
 *
 * Any thread. Does not block.
 *
 * @param subscription The subscription. NULL: does nothing.
 */
void sshpm_output_subscription_free(sshpm_output_subscription *subscription);

/**
 * Gets the path of a process' metadata file, in the form that a shell on its host would read: it contains the variable
 * XDG_RUNTIME_DIR. When that directory does not belong to the user, the remote side uses another directory.
 *
 * Any thread. Does not block.
 *
 * @param uuid The process.
 * @param out_path Receives the path. It is the caller's, to be freed with sshpm_string_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_metadata_file_path(const char *uuid, char **out_path);

/**
 * Reads the content of a metadata file that the caller has obtained in another way.
 *
 * Any thread. Does not block.
 *
 * @param uuid The process, for the message.
 * @param json The content.
 * @param out_metadata Receives the metadata. They are the caller's, to be freed with sshpm_metadata_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8. SSHPM_ERROR_BAD_METADATA: the content is empty, cut
 * off or not JSON, or its pid must never be signalled.
 */
sshpm_result sshpm_metadata_from_json(const char *uuid, const char *json, sshpm_metadata **out_metadata);

/**
 * Waits on a host for the metadata file of a process, and reads it. The process need not belong to this manager.
 *
 * Any thread. Blocks at most for the timeout, and 10 s for the connection. It waits for the file for at most one hour,
 * also when the timeout is longer.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param host The host.
 * @param user The user on the host, to whom the file must belong. NULL: ssh's choice.
 * @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: 5 s.
 * @param out_metadata Receives the metadata. They are the caller's, to be freed with sshpm_metadata_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_TIMED_OUT,
 * SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_LOCAL, SSHPM_ERROR_INSIDE_CALLBACK.
 * SSHPM_ERROR_FILE_MISSING: there was no file within the timeout. SSHPM_ERROR_BAD_METADATA: the file is empty, cut off
 * or not JSON, or its pid must never be signalled.
 */
sshpm_result sshpm_manager_read_process_metadata(const sshpm_manager *manager,
                                                 const char *uuid,
                                                 const char *host,
                                                 const char *user,
                                                 double timeout_s,
                                                 sshpm_metadata **out_metadata);

/**
 * Returns the application's pid on its host.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return The pid, above 1; -1 when the metadata are NULL.
 */
int64_t sshpm_metadata_get_pid(const sshpm_metadata *metadata);

/**
 * Returns when the process was started, by the clock of its manager.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return Seconds since 1970; 0 when the metadata are NULL.
 */
double sshpm_metadata_get_started_at(const sshpm_metadata *metadata);

/**
 * Returns the host, as the boot request named it.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return The text, which is owned by the metadata and valid until the metadata are freed. NULL when the metadata are
 * NULL.
 */
const char *sshpm_metadata_get_hostname(const sshpm_metadata *metadata);

/**
 * Returns the user.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return The text, which is owned by the metadata and valid until the metadata are freed. NULL when the metadata are
 * NULL.
 */
const char *sshpm_metadata_get_user(const sshpm_metadata *metadata);

/**
 * Returns the place of the process in its session's tree.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return The text, which is owned by the metadata and valid until the metadata are freed. NULL when the metadata are
 * NULL.
 */
const char *sshpm_metadata_get_tree_id(const sshpm_metadata *metadata);

/**
 * Returns the role of the process.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return The text, which is owned by the metadata and valid until the metadata are freed. NULL when the metadata are
 * NULL.
 */
const char *sshpm_metadata_get_role(const sshpm_metadata *metadata);

/**
 * Returns the name of the process.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return The text, which is owned by the metadata and valid until the metadata are freed. NULL when the metadata are
 * NULL.
 */
const char *sshpm_metadata_get_name(const sshpm_metadata *metadata);

/**
 * Returns the session that the process belongs to.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return The text, which is owned by the metadata and valid until the metadata are freed. "" when the file names no
 * session. NULL when the metadata are NULL.
 */
const char *sshpm_metadata_get_session(const sshpm_metadata *metadata);

/**
 * Returns the start time of the process in the form that the host's kernel uses: on Linux, clock ticks since boot.
 * Together, the pid, the boot id and this time identify one process for ever.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return The text, which is owned by the metadata and valid until the metadata are freed. "" when the file has no
 * start time. NULL when the metadata are NULL.
 */
const char *sshpm_metadata_get_start_time(const sshpm_metadata *metadata);

/**
 * Returns the id of the boot of the host during which the process was started.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return The text, which is owned by the metadata and valid until the metadata are freed. "-" when the host has no
 * boot id, "" when the file has none. NULL when the metadata are NULL.
 */
const char *sshpm_metadata_get_boot_id(const sshpm_metadata *metadata);

/**
 * Returns what happens to the process when its link or its manager has gone.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return SSHPM_LINK_LOSS_TERMINATE, also when the file has no policy, or SSHPM_LINK_LOSS_KEEP; -1 when the metadata
 * are NULL.
 */
int32_t sshpm_metadata_get_link_loss(const sshpm_metadata *metadata);

/**
 * Returns the log file, as the boot request named it.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return The path, which is owned by the metadata and valid until the metadata are freed. NULL when the process has
 * no log file, or the metadata are NULL.
 */
const char *sshpm_metadata_get_log_file(const sshpm_metadata *metadata);

/**
 * Returns how long the process may live after the SIGHUP that a lost link causes.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return Seconds; INFINITY when the request had no limit, 0 when the file has no grace, and when the metadata are
 * NULL.
 */
double sshpm_metadata_get_grace(const sshpm_metadata *metadata);

/**
 * Frees metadata and their strings.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata. They must not belong to found processes. NULL: does nothing.
 */
void sshpm_metadata_free(sshpm_metadata *metadata);

/**
 * Lists the processes of a user that have a metadata file on a host. These can be processes of any manager, also of
 * dead managers. The host checks by pid, start time and boot whether a process lives. The list has at most 10,000
 * processes and 16 MiB of metadata; what a host lists beyond that is dropped. Files that are not valid metadata are
 * left out, and one warning in the log counts them.
 *
 * Any thread. Blocks at most for the connect timeout, and 60 s.
 *
 * @param manager The manager.
 * @param host The host.
 * @param user The user on the host, to whom the files must belong. NULL: ssh's choice.
 * @param out_found Receives the processes. They are the caller's, to be freed with sshpm_found_processes_free.
 * @return SSHPM_OK, also when there is no process; SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID,
 * SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_LOCAL, SSHPM_ERROR_INSIDE_CALLBACK.
 */
sshpm_result sshpm_manager_find_processes(const sshpm_manager *manager,
                                          const char *host,
                                          const char *user,
                                          sshpm_found_processes **out_found);

/**
 * Adopts a kept process (SSHPM_LINK_LOSS_KEEP) that no manager controls. All functions of this manager then work on
 * it. The manager reads the output of the process from the beginning. If the process still runs, its first event is
 * SSHPM_EVENT_LINK_RESTORED. If it has ended in the meantime, its exit is reported like any other.
 *
 * Any thread. Blocks at most for two times the connect timeout, and 120 s.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param host The host.
 * @param user The user on the host, to whom the process must belong. NULL: ssh's choice.
 * @param out_start_number Receives the start number, which sshpm_manager_start_process describes. May be NULL.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_TIMED_OUT,
 * SSHPM_ERROR_SHUT_DOWN, SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_LOCAL,
 * SSHPM_ERROR_INSIDE_CALLBACK. SSHPM_ERROR_UUID_IN_USE: this manager has a process with this uuid that has not ended.
 * SSHPM_ERROR_TAKEN_OVER: another live manager controls the process. SSHPM_ERROR_NOT_ADOPTABLE: the host does not have
 * the process, the process is not kept, or the shell that watched it has gone or receives no commands.
 * SSHPM_ERROR_DETACHED: this manager was detached from all processes in the meantime. Nothing was changed unless it is
 * SSHPM_OK.
 */
sshpm_result sshpm_manager_adopt_process(sshpm_manager *manager,
                                         const char *uuid,
                                         const char *host,
                                         const char *user,
                                         uint64_t *out_start_number);

/**
 * Adopts a kept process as sshpm_manager_adopt_process does, on the host and of the user of a request.
 * sshpm_manager_restart_process and the restart policy of the request start the process again with it; until then,
 * nothing of the request applies but its policy.
 *
 * Any thread. Blocks at most for two times the connect timeout, and 120 s.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param request The request. Copied.
 * @param out_start_number Receives the start number, which sshpm_manager_start_process describes. May be NULL.
 * @return Those of sshpm_manager_adopt_process: SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8,
 * SSHPM_ERROR_INVALID, SSHPM_ERROR_TIMED_OUT, SSHPM_ERROR_SHUT_DOWN, SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_...,
 * SSHPM_ERROR_LOCAL, SSHPM_ERROR_INSIDE_CALLBACK, SSHPM_ERROR_UUID_IN_USE, SSHPM_ERROR_TAKEN_OVER,
 * SSHPM_ERROR_NOT_ADOPTABLE, SSHPM_ERROR_DETACHED. Nothing was changed unless it is SSHPM_OK.
 */
sshpm_result sshpm_manager_adopt_process_with_request(sshpm_manager *manager,
                                                      const char *uuid,
                                                      const sshpm_boot_request *request,
                                                      uint64_t *out_start_number);

/**
 * Returns the number of processes that were found.
 *
 * Any thread. Does not block.
 *
 * @param found The processes.
 * @return The number; 0 when the processes are NULL.
 */
size_t sshpm_found_processes_count(const sshpm_found_processes *found);

/**
 * Returns the uuid of one process.
 *
 * Any thread. Does not block.
 *
 * @param found The processes.
 * @param index The index of the process, from 0.
 * @return The uuid, which is owned by the processes and valid until they are freed. NULL when the index is not below
 * the count, or the processes are NULL.
 */
const char *sshpm_found_processes_get_uuid(const sshpm_found_processes *found, size_t index);

/**
 * Returns the content of the metadata file of one process.
 *
 * Any thread. Does not block.
 *
 * @param found The processes.
 * @param index The index of the process, from 0.
 * @return The metadata, which are owned by the processes and valid until those are freed. NULL when the index is not
 * below the count, or the processes are NULL.
 */
const sshpm_metadata *sshpm_found_processes_get_metadata(const sshpm_found_processes *found, size_t index);

/**
 * Returns the state in which one process was found.
 *
 * Any thread. Does not block.
 *
 * @param found The processes.
 * @param index The index of the process, from 0.
 * @return One of SSHPM_FOUND_..., of which later versions can have more; 0 when the index is not below the count, or
 * the processes are NULL.
 */
int32_t sshpm_found_processes_get_state(const sshpm_found_processes *found, size_t index);

/**
 * Returns how one process ended, for SSHPM_FOUND_ENDED.
 *
 * Any thread. Does not block.
 *
 * @param found The processes.
 * @param index The index of the process, from 0.
 * @return The status, which is owned by the processes and valid until those are freed. NULL in all other states, when
 * the index is not below the count, or the processes are NULL.
 */
const sshpm_exit_status *sshpm_found_processes_get_status(const sshpm_found_processes *found, size_t index);

/**
 * Frees found processes, with their metadata, statuses and strings.
 *
 * Any thread. Does not block.
 *
 * @param found The processes. NULL: does nothing.
 */
void sshpm_found_processes_free(sshpm_found_processes *found);

/**
 * Ends the processes of a user on a host that no manager can reach: sends SIGHUP, and after the grace SIGKILL. Removes
 * the files that these processes, ended processes and their managers have left. Leaves alone the processes that a
 * manager can reach. A process whose link is lost at this moment cannot be reached, whether or not its manager lives.
 * There are results for at most 10,000 processes.
 *
 * Any thread. Blocks at most for two times the connect timeout, the grace and 8 s for each process, and 120 s.
 *
 * @param manager The manager.
 * @param host The host.
 * @param user The user on the host. NULL: ssh's choice.
 * @param grace_s Seconds. The remote side counts whole seconds, so the library rounds this up. SSHPM_TIMEOUT_DEFAULT:
 * 5 s.
 * @param kill_tree Whether processes that they started are ended, too, when these have left the process group: see
 * sshpm_boot_request_set_kill_tree.
 * @param out_results Receives the results. They are the caller's, to be freed with sshpm_clean_up_results_free.
 * @return SSHPM_OK, also when processes could not be ended; SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8,
 * SSHPM_ERROR_INVALID, SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_LOCAL, SSHPM_ERROR_INSIDE_CALLBACK.
 */
sshpm_result sshpm_manager_clean_up_host(const sshpm_manager *manager,
                                         const char *host,
                                         const char *user,
                                         double grace_s,
                                         bool kill_tree,
                                         sshpm_clean_up_results **out_results);

/**
 * Returns the number of processes in the results.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @return The number; 0 when the results are NULL.
 */
size_t sshpm_clean_up_results_count(const sshpm_clean_up_results *results);

/**
 * Returns the uuid of one process.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index The index of the process, from 0.
 * @return The uuid, which is owned by the results and valid until the results are freed. NULL when the index is not
 * below the count, or the results are NULL.
 */
const char *sshpm_clean_up_results_get_uuid(const sshpm_clean_up_results *results, size_t index);

/**
 * Returns what the clean-up did with one process.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index The index of the process, from 0.
 * @return One of SSHPM_CLEAN_UP_..., of which later versions can have more; 0 when the index is not below the count,
 * or the results are NULL.
 */
int32_t sshpm_clean_up_results_get_outcome(const sshpm_clean_up_results *results, size_t index);

/**
 * Returns how many processes could not be ended for one entry: the process itself, and processes that it started.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index The index of the process, from 0.
 * @return The number, at most 8; 0 when the index is not below the count, or the results are NULL.
 */
size_t sshpm_clean_up_results_left_count(const sshpm_clean_up_results *results, size_t index);

/**
 * Returns the pid of one process that could not be ended.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index The index of the process, from 0.
 * @param left_index The index among the processes of this entry that could not be ended, from 0.
 * @return The pid on the host; -1 when an index is not below its count, or the results are NULL.
 */
int64_t sshpm_clean_up_results_get_left(const sshpm_clean_up_results *results, size_t index, size_t left_index);

/**
 * Frees results, with their strings.
 *
 * Any thread. Does not block.
 *
 * @param results The results. NULL: does nothing.
 */
void sshpm_clean_up_results_free(sshpm_clean_up_results *results);

/**
 * Reads the last lines of a file on a host, at most 16 MiB of them. The time that this takes does not depend on the
 * size of the file.
 *
 * Any thread. Blocks at most for the timeout.
 *
 * @param manager The manager.
 * @param host The host.
 * @param user The user on the host. NULL: ssh's choice.
 * @param path The file. A relative path begins at the login directory. Nothing in it is expanded.
 * @param lines How many lines.
 * @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: 30 s.
 * @param out_buffer Receives the lines. It is the caller's, to be freed with sshpm_buffer_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_TIMED_OUT,
 * SSHPM_ERROR_FILE_..., SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_LOCAL, SSHPM_ERROR_INSIDE_CALLBACK.
 */
sshpm_result sshpm_manager_read_log_file(const sshpm_manager *manager,
                                         const char *host,
                                         const char *user,
                                         const char *path,
                                         size_t lines,
                                         double timeout_s,
                                         sshpm_buffer **out_buffer);

/**
 * Follows a file on a host as it grows. It follows the name of the file, so it continues after rotation and
 * truncation, and it can begin before the file exists. Until the file exists, the host looks for it every second. Then
 * the host's `tail -F` reads it. GNU coreutils' tail waits for changes without waking up; on file systems without
 * inotify (NFS) it looks every second, and busybox' tail always does.
 *
 * Any thread, also in callbacks. Does not block: sshpm_log_follower_next reports what goes wrong.
 *
 * @param manager The manager.
 * @param host The host.
 * @param user The user on the host. NULL: ssh's choice.
 * @param path The file. A relative path begins at the login directory. Nothing in it is expanded.
 * @param lines How many of the last lines come first.
 * @param out_follower Receives the follower. It is the caller's, to be freed with sshpm_log_follower_free, before or
 * after the manager.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_LOCAL when no thread
 * can be started.
 */
sshpm_result sshpm_manager_follow_log_file(const sshpm_manager *manager,
                                           const char *host,
                                           const char *user,
                                           const char *path,
                                           size_t lines,
                                           sshpm_log_follower **out_follower);

/**
 * Waits for the next piece of the file. A slow reader delays the reading on the host, and loses nothing.
 *
 * Any thread; several can wait, and each piece goes to one of them. Blocks at most for the timeout.
 *
 * @param follower The follower.
 * @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: no limit.
 * @param out_piece Receives at least one byte; a piece can end in the middle of a line. It is the caller's, to be
 * freed with sshpm_buffer_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID, SSHPM_ERROR_INSIDE_CALLBACK.
 * SSHPM_ERROR_TIMED_OUT: nothing came within the timeout. SSHPM_ERROR_FILE_..., SSHPM_ERROR_SSH_...,
 * SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_LOCAL: why no more can come. This is returned once; later calls return
 * SSHPM_ERROR_LINK_DOWN.
 */
sshpm_result sshpm_log_follower_next(const sshpm_log_follower *follower, double timeout_s, sshpm_buffer **out_piece);

/**
 * Ends the reading on the host and on this machine, and frees the follower. No thread may be waiting in it: let
 * threads wait with a timeout, because no function wakes them.
 *
 * Any thread, also in callbacks. Blocks until the ssh client has ended, which takes some milliseconds.
 *
 * @param follower The follower. NULL: does nothing.
 */
void sshpm_log_follower_free(sshpm_log_follower *follower);

/**
 * Logs in to a host without questions to anybody, and gets information about it. When a connection to the host is
 * already open, its login is used.
 *
 * Any thread. Blocks at most for twice the connect timeout.
 *
 * @param manager The manager.
 * @param host The host.
 * @param user The user on the host. NULL: ssh's choice.
 * @param auth_method The methods that ssh may use to log in, in the form of ssh's PreferredAuthentications: names
 * joined by commas, such as "publickey". With them, this function always makes a new login. NULL: all methods. They
 * are refused when the host has another launcher than ssh.
 * @param out_info Receives the information. It is the caller's, to be freed with sshpm_host_info_free. May be NULL.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_SSH_...,
 * SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_PROTOCOL, SSHPM_ERROR_LOCAL, SSHPM_ERROR_INSIDE_CALLBACK.
 */
sshpm_result sshpm_manager_validate_host_connection(const sshpm_manager *manager,
                                                    const char *host,
                                                    const char *user,
                                                    const char *auth_method,
                                                    sshpm_host_info **out_info);

/**
 * Returns the time between sending a line over the open connection and reading the answer.
 *
 * Any thread. Does not block.
 *
 * @param info The information.
 * @return Seconds; 0 when the information is NULL.
 */
double sshpm_host_info_get_round_trip(const sshpm_host_info *info);

/**
 * Returns the name of the user on the host.
 *
 * Any thread. Does not block.
 *
 * @param info The information.
 * @return The name, which is owned by the information and valid until the information is freed. NULL when the
 * information is NULL.
 */
const char *sshpm_host_info_get_user(const sshpm_host_info *info);

/**
 * Returns the user's login shell.
 *
 * Any thread. Does not block.
 *
 * @param info The information.
 * @return The path, which is owned by the information and valid until the information is freed. "" when the host does
 * not report it. NULL when the information is NULL.
 */
const char *sshpm_host_info_get_login_shell(const sshpm_host_info *info);

/**
 * Returns which shell the host's /bin/sh is.
 *
 * Any thread. Does not block.
 *
 * @param info The information.
 * @return The path, which is owned by the information and valid until the information is freed. NULL when the
 * information is NULL.
 */
const char *sshpm_host_info_get_sh(const sshpm_host_info *info);

/**
 * Returns the name and the release of the kernel.
 *
 * Any thread. Does not block.
 *
 * @param info The information.
 * @return The text, which is owned by the information and valid until the information is freed. NULL when the
 * information is NULL.
 */
const char *sshpm_host_info_get_kernel(const sshpm_host_info *info);

/**
 * Returns the directory where runtime directories are made: XDG_RUNTIME_DIR, /tmp or the home directory.
 *
 * Any thread. Does not block.
 *
 * @param info The information.
 * @return The path, which is owned by the information and valid until the information is freed. NULL when the user can
 * write none of them, and when the information is NULL.
 */
const char *sshpm_host_info_get_runtime_directory(const sshpm_host_info *info);

/**
 * Returns the free space of the runtime directory.
 *
 * Any thread. Does not block.
 *
 * @param info The information.
 * @return Bytes; -1 when it is not known, and when the information is NULL.
 */
int64_t sshpm_host_info_get_free_bytes(const sshpm_host_info *info);

/**
 * Returns whether the host ends a user's processes at logout (KillUserProcesses of logind.conf(5), and no lingering,
 * see loginctl(1)). If so, a kept process (SSHPM_LINK_LOSS_KEEP) ends with its link.
 *
 * Any thread. Does not block.
 *
 * @param info The information.
 * @return Whether it does; false when the information is NULL.
 */
bool sshpm_host_info_ends_user_processes(const sshpm_host_info *info);

/**
 * Frees information and its strings.
 *
 * Any thread. Does not block.
 *
 * @param info The information. It must not belong to host results. NULL: does nothing.
 */
void sshpm_host_info_free(sshpm_host_info *info);

/**
 * Logs in to many hosts, 16 at the same time, as sshpm_manager_validate_host_connection does to one host.
 *
 * Any thread. Blocks at most for twice the connect timeout for each 16 hosts, and the time that `progress` takes.
 *
 * @param manager The manager.
 * @param hosts The hosts. May be NULL if the count is 0.
 * @param users For each host, the user there. An element can be NULL: ssh's choice for this host. The array can be
 * NULL: ssh's choice for all hosts.
 * @param count The number of hosts.
 * @param progress Is called for each host, on the thread that calls this function, in the order in which the results
 * become known. May be NULL.
 * @param user_data Is passed to `progress`. The library does not use it.
 * @param out_results Receives the results. They are the caller's, to be freed with sshpm_host_results_free.
 * @return SSHPM_OK, also when logins failed; SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID for a
 * number of hosts that no array can have, SSHPM_ERROR_LOCAL when no thread can be started,
 * SSHPM_ERROR_INSIDE_CALLBACK.
 */
sshpm_result sshpm_manager_validate_hosts(const sshpm_manager *manager,
                                          const char *const *hosts,
                                          const char *const *users,
                                          size_t count,
                                          sshpm_host_progress_callback progress,
                                          void *user_data,
                                          sshpm_host_results **out_results);

/**
 * Returns the number of hosts in the results.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @return The number; 0 when the results are NULL.
 */
size_t sshpm_host_results_count(const sshpm_host_results *results);

/**
 * Returns whether the login to one host succeeded. A code for the host does not change the last message of the thread.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index The index of the host, from 0.
 * @return SSHPM_OK: the login succeeded, and there is information. SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_...,
 * SSHPM_ERROR_INVALID for a host or a user that is not valid, SSHPM_ERROR_START_PROTOCOL, SSHPM_ERROR_LOCAL: what went
 * wrong. SSHPM_ERROR_INVALID when the index is not below the count; SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_host_results_get_result(const sshpm_host_results *results, size_t index);

/**
 * Returns what went wrong with one host.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index The index of the host, from 0.
 * @return The text, which is owned by the results and valid until the results are freed. "" when the login succeeded.
 * NULL when the index is not below the count, or the results are NULL.
 */
const char *sshpm_host_results_get_message(const sshpm_host_results *results, size_t index);

/**
 * Returns the information about one host.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index The index of the host, from 0.
 * @return The information, which is owned by the results and valid until the results are freed. NULL when the login
 * failed, the index is not below the count, or the results are NULL.
 */
const sshpm_host_info *sshpm_host_results_get_info(const sshpm_host_results *results, size_t index);

/**
 * Frees results, with their information and strings.
 *
 * Any thread. Does not block.
 *
 * @param results The results. NULL: does nothing.
 */
void sshpm_host_results_free(sshpm_host_results *results);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SSHPM_H */
