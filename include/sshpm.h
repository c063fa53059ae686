/**
 * @file sshpm.h
 * Starts, watches and ends processes on remote hosts over the system's ssh, or by another launcher: on this machine,
 * in containers, in a Slurm job.
 *
 * This file is generated from src/capi; change it there.
 *
 * Results: every function that can fail returns an sshpm_result, SSHPM_OK or an error; sshpm_last_error_message then
 * has the full text. Outputs are written only on SSHPM_OK, and must not be NULL unless it says so. Every function can
 * also return SSHPM_ERROR_PANIC, which is a bug in the library.
 *
 * Handles: what a function gives with `_new`, or as an output that is the caller's, is freed with the `_free` function
 * of its type. `_free(NULL)` does nothing. What is borrowed is never freed by the caller.
 *
 * Strings that go in are NUL-terminated and copied. Names (hosts, users, uuids, roles, variables) must be UTF-8;
 * arguments, values of variables, setup lines and paths are any bytes.
 *
 * Timeouts are seconds: a number from 0 on, INFINITY for no limit, or SSHPM_TIMEOUT_DEFAULT.
 *
 * Threads: each function says from where it can be called, and how long it can block. The library's own threads have
 * all signals blocked and never unblock one. It installs no signal handler, and a broken link raises no SIGPIPE.
 *
 * Children on this machine, ssh or another launcher, are started by posix_spawn. Each begins with an empty signal mask,
 * the default action for every signal, a process group of its own, and no descriptor but its three streams, whatever the
 * program blocks, ignores or has open. The program may ignore SIGCHLD or reap all children: exit codes come from the
 * hosts.
 *
 * System: Linux with glibc 2.24 or newer, and no older glibc than that of the machine where the library was built.
 *
 * Order: when a process ends, its event is first in the queue of every subscription; then the exit callbacks run, one
 * after another; then the functions that ended the process return: sshpm_manager_kill_process, _kill_processes,
 * _kill_processes_by_role, _kill_all_processes, _kill_process_without_metadata and _shutdown. So when one of these has
 * given the end of a process, no callback for that end runs any more, whether or not the uuid has been started again.
 * They wait for callbacks only as long as their timeouts allow: a kill as long as the waits of all its steps add up to,
 * counted from the call; _kill_process_without_metadata as long as its timeout; _shutdown as long as it may block.
 * After that they give the end although a callback still runs. Functions that only wait or look may give an end before
 * the callbacks have run: sshpm_manager_wait_for_process_exit_code, _get_exit_status and _pop_early_exit_status.
 *
 * Kept processes: the host of a process with SSHPM_LINK_LOSS_KEEP keeps its exit status and its output until this
 * program has got the end: until a subscription has given the event, an exit callback has returned, or a function has
 * given the end or dropped it (sshpm_manager_forget_process, a start that replaces it). When none of that has happened
 * before the manager is detached or freed or dies, the next manager can adopt the process and gets its end.
 *
 * Ending the program: the library's threads call callbacks until the very end of the program, also while exit() runs
 * destructors and while an interpreter is finalized. So before that, remove each exit callback with
 * sshpm_manager_remove_callback, or free the manager with sshpm_manager_free; and turn the log off with
 * sshpm_set_log_callback(SSHPM_LOG_OFF, NULL, NULL). These functions wait for a callback that runs, but
 * sshpm_manager_free waits 5 s at most: then the callback can go on. In Python, call them in a function that atexit
 * runs: later, the interpreter ends foreign threads inside their callbacks, which crashes the program. Load the library
 * with ctypes.CDLL, which releases the GIL during each call. With ctypes.PyDLL, a call that waits for a callback holds
 * the GIL, for which the callback waits: the two wait for each other.
 *
 * Unloading: a program that has loaded the library with dlopen may dlclose it when no manager is left, no log callback
 * is set, and no thread is inside of one of its functions; with a manager, its threads would run in memory that has gone.
 * It must stay as well when sshpm_manager_free had to leave a thread behind, of which there is a warning in the log.
 */

#ifndef SSHPM_H
#define SSHPM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The version of this header; that of the library is sshpm_version(). */
#define SSHPM_VERSION "0.2.0"
/** The first number of the version. */
#define SSHPM_VERSION_MAJOR 0
/** The second number of the version. */
#define SSHPM_VERSION_MINOR 2
/** The third number of the version. */
#define SSHPM_VERSION_PATCH 0

/** The value of a resource limit that is none. */
#define SSHPM_UNLIMITED UINT64_MAX


/**
 * It worked.
 */
#define SSHPM_OK 0

/**
 * A pointer that must not be NULL is NULL.
 */
#define SSHPM_ERROR_NULL_ARGUMENT 1

/**
 * A value was refused before anything was started; the message names the field and the value.
 */
#define SSHPM_ERROR_INVALID 2

/**
 * A name is not UTF-8.
 */
#define SSHPM_ERROR_UTF8 3

/**
 * It is no JSON, or not what it should be; the message names the key, the line and the column.
 */
#define SSHPM_ERROR_JSON 4

/**
 * No process of that uuid is in the manager's table.
 */
#define SSHPM_ERROR_UNKNOWN_UUID 5

/**
 * The uuid belongs to a process that has not ended.
 */
#define SSHPM_ERROR_UUID_IN_USE 6

/**
 * The process was asked to end and had not ended when the time was over. It can be killed again.
 */
#define SSHPM_ERROR_STILL_RUNNING 7

/**
 * The remote pid is not known: not yet, or the start failed before there was one.
 */
#define SSHPM_ERROR_NO_METADATA 8

/**
 * The process has ended or never started.
 */
#define SSHPM_ERROR_NOT_RUNNING 9

/**
 * The process is gone, or its host has no such signal.
 */
#define SSHPM_ERROR_SIGNAL_REFUSED 10

/**
 * The link to the process does not take commands: it is lost, being closed, or its buffers are full.
 */
#define SSHPM_ERROR_LINK_DOWN 11

/**
 * A local resource ran out, or a local call failed.
 */
#define SSHPM_ERROR_LOCAL 12

/**
 * A call that blocks was made inside a callback on process exit, where it could never be answered.
 */
#define SSHPM_ERROR_INSIDE_CALLBACK 13

/**
 * The time of a wait was over.
 */
#define SSHPM_ERROR_TIMED_OUT 14

/**
 * The manager was shut down or freed.
 */
#define SSHPM_ERROR_SHUT_DOWN 15

/**
 * No event came in the time that was given.
 */
#define SSHPM_ERROR_NO_EVENT 16

/**
 * The wait was ended by sshpm_subscription_wake.
 */
#define SSHPM_ERROR_WOKEN 17

/**
 * There is no such code: the end says nothing about it, or is unknown.
 */
#define SSHPM_ERROR_NO_EXIT_CODE 18

/**
 * The program has another logger of Rust's `log` already.
 */
#define SSHPM_ERROR_LOGGER_SET 19

/**
 * A bug in this library. The message tells where; the handles can only be freed.
 */
#define SSHPM_ERROR_PANIC 20

/**
 * The file does not exist on the host, or did not come to exist in time.
 */
#define SSHPM_ERROR_FILE_MISSING 21

/**
 * The file on the host is a directory.
 */
#define SSHPM_ERROR_FILE_IS_DIRECTORY 22

/**
 * The file on the host may not be read by the user.
 */
#define SSHPM_ERROR_FILE_UNREADABLE 23

/**
 * The metadata file on the host is not what a wrapper writes; nothing was done with it.
 */
#define SSHPM_ERROR_BAD_METADATA 24

/**
 * The process has ended, and all its output was taken.
 */
#define SSHPM_ERROR_END_OF_OUTPUT 25

/**
 * The file on the host is a fifo, a device or a socket.
 */
#define SSHPM_ERROR_FILE_NOT_REGULAR 26

/**
 * The manager has let go of the process, which is kept: it goes on, and can be adopted.
 */
#define SSHPM_ERROR_DETACHED 27

/**
 * Another manager has the process, or its own manager lives.
 */
#define SSHPM_ERROR_TAKEN_OVER 28

/**
 * The process on the host cannot be adopted: it is not kept, or nothing of it is left; the message says what.
 */
#define SSHPM_ERROR_NOT_ADOPTABLE 29

/**
 * When the process ended is not known.
 */
#define SSHPM_ERROR_NO_END_TIME 30

/**
 * ssh: the name of the host has no address.
 */
#define SSHPM_ERROR_SSH_NAME_NOT_RESOLVED 100

/**
 * ssh: nothing listens there.
 */
#define SSHPM_ERROR_SSH_REFUSED 101

/**
 * ssh: no route to the host or its network.
 */
#define SSHPM_ERROR_SSH_UNREACHABLE 102

/**
 * ssh: no answer in the connect timeout.
 */
#define SSHPM_ERROR_SSH_TIMED_OUT 103

/**
 * ssh: the host did not accept this user by any key, ticket or agent that can be used without asking.
 */
#define SSHPM_ERROR_SSH_AUTHENTICATION_FAILED 104

/**
 * ssh: the host's key is not known.
 */
#define SSHPM_ERROR_SSH_HOST_KEY_UNKNOWN 105

/**
 * ssh: the host's key is not the one that is known.
 */
#define SSHPM_ERROR_SSH_HOST_KEY_CHANGED 106

/**
 * ssh: sshd dropped the connection before it was one (MaxStartups), until the connect timeout.
 */
#define SSHPM_ERROR_SSH_THROTTLED 107

/**
 * The ssh program was not found, or cannot be executed.
 */
#define SSHPM_ERROR_SSH_NOT_FOUND 108

/**
 * ssh does not accept its configuration or options.
 */
#define SSHPM_ERROR_SSH_CONFIGURATION 109

/**
 * ssh: the connection was closed for a reason that is not told.
 */
#define SSHPM_ERROR_SSH_CLOSED 110

/**
 * The login works, but the login shell ended before anything was started.
 */
#define SSHPM_ERROR_SSH_REMOTE_SHELL 111

/**
 * ssh: authentication failed, and the Kerberos ticket that the host would take has expired, or there is none.
 */
#define SSHPM_ERROR_SSH_NO_TICKET 113

/**
 * ssh failed in another way; the message has what it said.
 */
#define SSHPM_ERROR_SSH_OTHER 112

/**
 * The start timeout was over; the message says how far the start had come.
 */
#define SSHPM_ERROR_START_TIMED_OUT 200

/**
 * A setup line failed; the message has its number and code.
 */
#define SSHPM_ERROR_START_SETUP 201

/**
 * The shell for the setup lines is not on the host, or cannot be executed there: it ended with 126 or 127 at once.
 */
#define SSHPM_ERROR_START_SHELL_NOT_FOUND 202

/**
 * The program, or the interpreter that its first line names, does not exist.
 */
#define SSHPM_ERROR_START_PROGRAM_NOT_FOUND 203

/**
 * The host's kernel refuses the program, most often for its format: it is for another machine, or damaged.
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
 * The log file cannot be written, or the former one not be renamed.
 */
#define SSHPM_ERROR_START_LOG_FILE 207

/**
 * A resource limit was refused.
 */
#define SSHPM_ERROR_START_LIMIT 208

/**
 * The shell does not let a variable be set.
 */
#define SSHPM_ERROR_START_ENVIRONMENT 209

/**
 * The host has no directory where a fifo can be made.
 */
#define SSHPM_ERROR_START_RUNTIME_DIRECTORY 210

/**
 * A process of this uuid, started by another manager, lives on the host.
 */
#define SSHPM_ERROR_START_UUID_IN_USE_ON_HOST 211

/**
 * The shell that runs the setup lines ended before it executed the program, and no step had failed: somebody else sent a
 * signal, a setup line called `exit`, or the shell does not read POSIX shell code. The message has its exit code.
 */
#define SSHPM_ERROR_START_ENDED_BEFORE_RUNNING 212

/**
 * The remote side spoke in a way that this version does not know.
 */
#define SSHPM_ERROR_START_PROTOCOL 213

/**
 * The link broke before the program was known to run; whether it ran for a moment is not known.
 */
#define SSHPM_ERROR_START_LINK_LOST 214

/**
 * The program is a directory, or another thing that is no regular file.
 */
#define SSHPM_ERROR_START_PROGRAM_NOT_FILE 215

/**
 * The user may not execute the program.
 */
#define SSHPM_ERROR_START_PROGRAM_PERMISSION 216

/**
 * Arguments and environment have more bytes than the host's kernel takes.
 */
#define SSHPM_ERROR_START_ARGUMENTS_TOO_LARGE 217

/**
 * The shell that starts it ended on its host: most likely no process could be made there.
 */
#define SSHPM_ERROR_START_NO_PROCESS 218

/**
 * The launcher's program was not found, or cannot be executed.
 */
#define SSHPM_ERROR_LAUNCHER_NOT_FOUND 300

/**
 * The launcher gave no shell in the time.
 */
#define SSHPM_ERROR_LAUNCHER_TIMED_OUT 301

/**
 * The launcher closed its streams, or was killed, before it had said all.
 */
#define SSHPM_ERROR_LAUNCHER_CLOSED 302

/**
 * The launcher ended before there was a shell; the message has its code and what it said.
 */
#define SSHPM_ERROR_LAUNCHER_ENDED 303

/**
 * Slurm does not know the job, the job has ended, or is another user's.
 */
#define SSHPM_ERROR_LAUNCHER_NO_JOB 304

/**
 * The host is no node of the Slurm job.
 */
#define SSHPM_ERROR_LAUNCHER_NOT_IN_JOB 305

/**
 * No slurmctld answers, there is no configuration that names one, or munge does not run.
 */
#define SSHPM_ERROR_LAUNCHER_NO_CONTROLLER 306

/**
 * A timeout: the default of what it is given for; each function says which.
 */
#define SSHPM_TIMEOUT_DEFAULT -1.0

/**
 * Log level: no messages.
 */
#define SSHPM_LOG_OFF 0

/**
 * Log level: what is lost or wrong.
 */
#define SSHPM_LOG_ERROR 1

/**
 * Log level: what somebody should look at, and all of the levels above.
 */
#define SSHPM_LOG_WARN 2

/**
 * Log level: starts and ends, and all of the levels above.
 */
#define SSHPM_LOG_INFO 3

/**
 * Log level: each step, and all of the levels above.
 */
#define SSHPM_LOG_DEBUG 4

/**
 * Log level: all.
 */
#define SSHPM_LOG_TRACE 5

/**
 * Host key policy: keys are checked as ssh_config says. The default.
 */
#define SSHPM_HOST_KEY_SSH_CONFIG 0

/**
 * Host key policy: unknown and changed keys are refused, whatever ssh_config says.
 */
#define SSHPM_HOST_KEY_STRICT 1

/**
 * Host key policy: unknown keys are accepted and remembered, changed ones refused.
 */
#define SSHPM_HOST_KEY_ACCEPT_NEW 2

/**
 * Host key policy: nothing is checked for localhost, 127.0.0.0/8 and ::1; all other hosts as ssh_config says.
 */
#define SSHPM_HOST_KEY_DISABLED_FOR_LOCALHOST 3

/**
 * Host key policy: nothing is checked. Anybody on the network can be the host: for closed networks only.
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
 * Log mode: a log file that exists is renamed to FILE.1, and a new one begun. The default.
 */
#define SSHPM_LOG_MODE_FRESH 0

/**
 * Log mode: a log file that exists is continued.
 */
#define SSHPM_LOG_MODE_APPEND 1

/**
 * Log mode: a log file that exists is emptied.
 */
#define SSHPM_LOG_MODE_TRUNCATE 2

/**
 * Link loss: when the link or the manager is gone the process is ended: SIGHUP to its group, and after the grace
 * SIGKILL. The default.
 */
#define SSHPM_LINK_LOSS_TERMINATE 0

/**
 * Link loss: the process goes on, and is taken over again by this manager, or adopted by another.
 */
#define SSHPM_LINK_LOSS_KEEP 1

/**
 * Exit source: the ssh client, or that of another launcher, or its connection ended under a process that nobody had
 * asked to end.
 */
#define SSHPM_EXIT_SOURCE_CLIENT_MONITORING 1

/**
 * Exit source: the remote process ended by itself, or was ended there by somebody else.
 */
#define SSHPM_EXIT_SOURCE_REMOTE_MONITORING 2

/**
 * Exit source: the manager ended it by closing or killing its ssh client.
 */
#define SSHPM_EXIT_SOURCE_MANUAL_KILL_THROUGH_SSH_CLIENT 3

/**
 * Exit source: the manager ended it by signals to the remote pid.
 */
#define SSHPM_EXIT_SOURCE_MANUAL_KILL_THROUGH_REMOTE_PID 4

/**
 * State: ssh, or another launcher, is being started, or the remote side is not ready yet.
 */
#define SSHPM_STATE_CONNECTING 1

/**
 * State: the remote pid is known; the setup lines run.
 */
#define SSHPM_STATE_STARTING 2

/**
 * State: the application runs.
 */
#define SSHPM_STATE_RUNNING 3

/**
 * State: it was asked to end, and stays so until it has ended.
 */
#define SSHPM_STATE_ENDING 4

/**
 * State: the link broke; what became of the application is being found out.
 */
#define SSHPM_STATE_LINK_LOST 5

/**
 * State: it has ended; how is kept until it is killed, popped, forgotten, or started again.
 */
#define SSHPM_STATE_ENDED 6

/**
 * State: it did not come to run; why is kept likewise.
 */
#define SSHPM_STATE_FAILED 7

/**
 * Event: the application runs: its setup is done and its program was executed.
 */
#define SSHPM_EVENT_STARTED 1

/**
 * Event: the process ended. No event of this start follows.
 */
#define SSHPM_EVENT_EXITED 2

/**
 * Event: the connection broke, or the client on this machine was killed. For a kept process (SSHPM_LINK_LOSS_KEEP),
 * SSHPM_EVENT_LINK_RESTORED follows when the link is back. Otherwise SSHPM_EVENT_EXITED follows, at the latest after
 * the lost timeout; or SSHPM_EVENT_START_FAILED, if the start had failed.
 */
#define SSHPM_EVENT_LINK_LOST 3

/**
 * Event: the start failed: the program was not executed, or was ended at once. No event of this start follows.
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
 * Stream: what the application writes to stdout.
 */
#define SSHPM_STREAM_STDOUT 1

/**
 * Stream: what the application writes to stderr.
 */
#define SSHPM_STREAM_STDERR 2

/**
 * Found: it runs, and its manager lives; or its time since that died is not over.
 */
#define SSHPM_FOUND_MANAGED 1

/**
 * Found: it runs, it is kept, and no manager has it: it can be adopted.
 */
#define SSHPM_FOUND_UNMANAGED 2

/**
 * Found: it runs, and what watched it on its host is gone or can no longer receive commands: no manager can reach it.
 * sshpm_manager_clean_up_host ends it.
 */
#define SSHPM_FOUND_ORPHANED 3

/**
 * Found: it has ended, and no manager has been told how. One that was kept can be adopted, for that and for its output.
 */
#define SSHPM_FOUND_ENDED 4

/**
 * Found: it is not there any more: its pid is nobody's or another's, or the host was booted since.
 */
#define SSHPM_FOUND_GONE 5

/**
 * Clean up: the process has a manager, and was left alone.
 */
#define SSHPM_CLEAN_UP_MANAGED 1

/**
 * Clean up: the process was ended, and what it left was removed.
 */
#define SSHPM_CLEAN_UP_ENDED 2

/**
 * Clean up: the process had ended before; what it left was removed.
 */
#define SSHPM_CLEAN_UP_REMOVED 3

/**
 * Clean up: the process could not be ended.
 */
#define SSHPM_CLEAN_UP_STILL_RUNNING 4

/**
 * What to run, where, and as whom. Everything is taken literally: only the setup lines are shell code.
 */
typedef struct sshpm_boot_request sshpm_boot_request;

/**
 * Boot requests that came from one JSON array.
 */
typedef struct sshpm_boot_request_list sshpm_boot_request_list;

/**
 * Bytes, such as the last part of what an application wrote to a stream: a copy, which does not change.
 */
typedef struct sshpm_buffer sshpm_buffer;

/**
 * What a cleaning up of a host came to for each process there.
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
 * What a successful login taught. It does not change, and any number of threads can read it.
 */
typedef struct sshpm_host_info sshpm_host_info;

/**
 * What was found for each host, in the order of the list that was given.
 */
typedef struct sshpm_host_results sshpm_host_results;

/**
 * What a kill came to for each process, in the order of their uuids.
 */
typedef struct sshpm_kill_results sshpm_kill_results;

/**
 * By what a process gets the shell on its host that starts and watches it: ssh, a shell on this machine, a command of
 * the caller's, or Slurm. All else is the same for all of them: states, events, kills, output. What one of them cannot
 * do is refused with SSHPM_ERROR_INVALID before anything starts.
 */
typedef struct sshpm_launcher sshpm_launcher;

/**
 * A log file on a host, as it grows.
 */
typedef struct sshpm_log_follower sshpm_log_follower;

/**
 * The table of processes, and every call that blocks. One per program is usual. All of its functions but
 * sshpm_manager_free can be called from any thread, and at the same time.
 */
typedef struct sshpm_manager sshpm_manager;

/**
 * What a metadata file says. It does not change, and any number of threads can read it.
 */
typedef struct sshpm_metadata sshpm_metadata;

/**
 * What a manager is made with.
 */
typedef struct sshpm_options sshpm_options;

/**
 * A queue of what an application writes, of at most 256 pieces: of a reader that is further behind, the newest pieces
 * are dropped and counted. It never delays the application.
 */
typedef struct sshpm_output_subscription sshpm_output_subscription;

/**
 * A list of strings, such as uuids.
 */
typedef struct sshpm_string_list sshpm_string_list;

/**
 * A queue of a manager's events, with a descriptor for poll(2) and event loops.
 */
typedef struct sshpm_subscription sshpm_subscription;

/**
 * What a call came to: SSHPM_OK, or one of SSHPM_ERROR_... Numbers keep their meaning in all versions; new ones may
 * come.
 */
typedef int32_t sshpm_result;

/**
 * Gets a message of the log: its level SSHPM_LOG_..., the part of the library it is from, the text without a
 * newline. The strings are valid until it returns. It is called from the library's threads and from those that call
 * the library, also from several at once; it must not throw, and must not call functions that block.
 */
typedef void (*sshpm_log_callback)(int32_t level, const char *target, const char *message, void *user_data);

/**
 * Is called once for each start that ends or fails, with the uuid, the start number, and either the exit status, or
 * NULL and the reason of the failure as code and message. With a status, `error` is SSHPM_OK and `error_message` NULL.
 * The pointers are valid until the callback returns. It must not throw.
 */
typedef void (*sshpm_exit_callback)(const char *uuid,
                                    uint64_t start_number,
                                    const sshpm_exit_status *status,
                                    sshpm_result error,
                                    const char *error_message,
                                    void *user_data);

/**
 * Is called once with the user data of a callback, when that is not called any more.
 */
typedef void (*sshpm_finalizer)(void *user_data);

/**
 * Is called for each host as it has been asked: with its place in the list, and SSHPM_OK and "", or what went wrong as
 * code and text, which is valid until it returns. It must not throw.
 */
typedef void (*sshpm_host_progress_callback)(size_t index, sshpm_result result, const char *message, void *user_data);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library that the program runs with. That of the header is SSHPM_VERSION.
 *
 * Any thread. Does not block.
 *
 * @return Static text such as "0.1.0".
 */
const char *sshpm_version(void);

/**
 * A short text for a result code. What exactly went wrong is in sshpm_last_error_message.
 *
 * Any thread. Does not block.
 *
 * @param code The result of a call.
 * @return Static text, also for numbers that are no code.
 */
const char *sshpm_strerror(sshpm_result code);

/**
 * The full message of the last call that failed in this thread: what was concerned, what went wrong, what to do.
 *
 * Any thread. Does not block.
 *
 * @return The text, which is the library's: valid until the thread's next call that fails, or the thread's end. ""
 * when no call has failed.
 */
const char *sshpm_last_error_message(void);

/**
 * Sets the callback that gets the library's log; without one there is no log. When this returns, a former callback is
 * not running and is not called any more; called from inside that callback, it returns at once. Before the program
 * ends, turn the log off: see "Ending the program" at the top of this header.
 *
 * Any thread. Blocks while a former callback runs.
 *
 * @param level SSHPM_LOG_...: messages up to this level are given.
 * @param callback Gets the messages. NULL: turns the log off. It runs on the library's threads too, whose stacks have
 * 256 KiB.
 * @param user_data Is handed to the callback; the library does not look at it.
 * @return SSHPM_OK, SSHPM_ERROR_INVALID. SSHPM_ERROR_LOGGER_SET: the program is written in Rust and has a logger,
 * which gets these messages.
 */
sshpm_result sshpm_set_log_callback(int32_t level, sshpm_log_callback callback, void *user_data);

/**
 * Frees a string that a function of this library gave to be freed with this.
 *
 * Any thread. Does not block.
 *
 * @param string The string. NULL: nothing is done.
 */
void sshpm_string_free(char *string);

/**
 * The number of strings in a list.
 *
 * Any thread. Does not block.
 *
 * @param list The list.
 * @return The number; 0 when the list is NULL.
 */
size_t sshpm_string_list_count(const sshpm_string_list *list);

/**
 * One string of a list.
 *
 * Any thread. Does not block.
 *
 * @param list The list.
 * @param index Its place, from 0.
 * @return The string, which is the list's: valid until the list is freed. NULL when the index is not below the
 * count, or the list is NULL.
 */
const char *sshpm_string_list_get(const sshpm_string_list *list, size_t index);

/**
 * Frees a list and its strings.
 *
 * Any thread. Does not block.
 *
 * @param list The list. NULL: nothing is done.
 */
void sshpm_string_list_free(sshpm_string_list *list);

/**
 * The bytes of a buffer.
 *
 * Any thread. Does not block.
 *
 * @param buffer The buffer.
 * @return The bytes, which are the buffer's: valid until it is freed. A NUL follows them; there may be others in
 * them. NULL when the buffer is NULL.
 */
const char *sshpm_buffer_data(const sshpm_buffer *buffer);

/**
 * The number of bytes in a buffer, without the NUL behind them.
 *
 * Any thread. Does not block.
 *
 * @param buffer The buffer.
 * @return The number; 0 when the buffer is NULL.
 */
size_t sshpm_buffer_size(const sshpm_buffer *buffer);

/**
 * How many bytes the application wrote before those in the buffer, which were not kept; 0 for what is no such part.
 *
 * Any thread. Does not block.
 *
 * @param buffer The buffer.
 * @return The number; 0 when the buffer is NULL.
 */
uint64_t sshpm_buffer_dropped(const sshpm_buffer *buffer);

/**
 * Frees a buffer and its bytes.
 *
 * Any thread. Does not block.
 *
 * @param buffer The buffer. NULL: nothing is done.
 */
void sshpm_buffer_free(sshpm_buffer *buffer);

/**
 * The role that the place in the session's tree implies: of "" it is unknown, of "0" and a controller
 * root-controller, of what begins with "0." segment-controller for a controller and else application, of all others
 * infrastructure-applications.
 *
 * Any thread. Does not block.
 *
 * @param tree_id The path of segments, joined by dots; UTF-8.
 * @param controller Whether the process is a controller.
 * @param out_role Gets the role's name. It is the caller's, to be freed with sshpm_string_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_role_from_tree_id(const char *tree_id, bool controller, char **out_role);

/**
 * The number of a signal on this machine.
 *
 * Any thread. Does not block.
 *
 * @param name A name of POSIX with or without SIG, in any case, or a number from 1 to 64; UTF-8.
 * @param out_signal Gets the number.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_signal_from_name(const char *name, int32_t *out_signal);

/**
 * The name of a signal, as sshpm_signal_from_name takes it.
 *
 * Any thread. Does not block.
 *
 * @param signal A signal of this machine's <signal.h>.
 * @param out_name Gets the name of POSIX without SIG, or the number where there is none. It is the caller's, to be
 * freed with sshpm_string_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_signal_to_name(int32_t signal, char **out_name);

/**
 * Makes a launcher that is the system's ssh: for hosts and requests of a manager that has another one. Without any
 * launcher, a manager has this one.
 *
 * Any thread. Does not block.
 *
 * @param out_launcher Gets the launcher. It is the caller's, to be freed with sshpm_launcher_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_launcher_new_ssh(sshpm_launcher **out_launcher);

/**
 * Makes a launcher that is `/bin/sh` on this machine, as this program's user, with its environment and, at first, in
 * its home directory. The host is a name and no more: every host is this machine.
 *
 * Any thread. Does not block.
 *
 * @param out_launcher Gets the launcher. It is the caller's, to be freed with sshpm_launcher_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_launcher_new_local(sshpm_launcher **out_launcher);

/**
 * Makes a launcher that is a command, such as `docker exec -i {host}`. It has to run what is appended to it:
 * `/bin/sh`, `-c`, a script, and `sshpm`, four arguments, none of which another shell may read. `{host}`, `{user}` and
 * `{uuid}` in its arguments stand for those of the process. It has to pass stdin, stdout and stderr on as they are,
 * without a terminal, and the end of its stdin too. The environment and the first directory are what the command
 * gives.
 *
 * Any thread. Does not block.
 *
 * @param argv The program, a path or a name that is looked up in PATH, and its arguments: any bytes. Copied. It need
 * not end with NULL.
 * @param argc Their number.
 * @param out_launcher Gets the launcher. It is the caller's, to be freed with sshpm_launcher_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID for a number that no array can have. Values are
 * checked by sshpm_manager_new and sshpm_boot_request_check.
 */
sshpm_result sshpm_launcher_new_command(const char *const *argv, size_t argc, sshpm_launcher **out_launcher);

/**
 * Makes a launcher that starts steps of a Slurm job that exists, as `salloc` and `sbatch` make it: hosts are nodes of
 * the job. All its processes together may use more CPUs than the job has.
 *
 * Any thread. Does not block.
 *
 * @param job The job's number; UTF-8. Copied. NULL: the job that this program runs in, which is SLURM_JOB_ID of its
 * environment.
 * @param out_launcher Gets the launcher. It is the caller's, to be freed with sshpm_launcher_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8. Values are checked by sshpm_manager_new and
 * sshpm_boot_request_check.
 */
sshpm_result sshpm_launcher_new_slurm(const char *job, sshpm_launcher **out_launcher);

/**
 * Frees a launcher. Options and requests that it was set in keep their copy.
 *
 * Any thread. Does not block.
 *
 * @param launcher The launcher. NULL: nothing is done.
 */
void sshpm_launcher_free(sshpm_launcher *launcher);

/**
 * Sets the srun program. scontrol and squeue are taken from where it is. Default: "srun".
 *
 * One thread at a time for the same launcher. Does not block.
 *
 * @param launcher A launcher of sshpm_launcher_new_slurm.
 * @param program A path, or a name that is looked up in PATH. Copied.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID for a launcher that is not Slurm.
 */
sshpm_result sshpm_launcher_set_srun_program(sshpm_launcher *launcher, const char *program);

/**
 * Adds an option of srun(1). It stands before the library's own, which win: where, as what, and with which streams the
 * step runs.
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
 * Any thread. Blocks at most for 40 s, and 80 s where Slurm's programs do not end of SIGKILL.
 *
 * @param launcher A launcher of sshpm_launcher_new_slurm.
 * @param out_hosts Gets the names. They are the caller's, to be freed with sshpm_string_list_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID for a launcher that is not Slurm, for values that
 * are not valid, and where no job is given and there is none in the environment. SSHPM_ERROR_LAUNCHER_NO_JOB: Slurm
 * does not know the job, or it has ended. SSHPM_ERROR_LAUNCHER_NO_CONTROLLER. SSHPM_ERROR_LAUNCHER_NOT_FOUND: squeue
 * or scontrol is not there. SSHPM_ERROR_LAUNCHER_ENDED, SSHPM_ERROR_LAUNCHER_TIMED_OUT: of one of them.
 * SSHPM_ERROR_INSIDE_CALLBACK.
 */
sshpm_result sshpm_launcher_get_hosts(const sshpm_launcher *launcher, sshpm_string_list **out_hosts);

/**
 * Makes options that have the defaults.
 *
 * Any thread. Does not block.
 *
 * @param out_options Gets the options. They are the caller's, to be freed with sshpm_options_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_options_new(sshpm_options **out_options);

/**
 * Frees options. Managers that were made with them keep their copy.
 *
 * Any thread. Does not block.
 *
 * @param options The options. NULL: nothing is done.
 */
void sshpm_options_free(sshpm_options *options);

/**
 * Sets by what shells are started on hosts, for all processes and calls that have no launcher of their own. Default: ssh.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param launcher The launcher. Copied. sshpm_manager_new checks it.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_options_set_launcher(sshpm_options *options,
                                        const sshpm_launcher *launcher);

/**
 * Sets the launcher of one host, in place of the manager's. That of a boot request wins over it.
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
 * @param program A path, or a name that is looked up in PATH. Copied. sshpm_manager_new resolves a relative path, one
 * with a slash, against the current directory.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_options_set_ssh_program(sshpm_options *options, const char *program);

/**
 * Sets the file for `ssh -F`, which replaces the user's and the system's ssh_config. Default: ssh's own two files.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param file Its path, or "none" for no file. Copied. NULL: the default. sshpm_manager_new resolves a relative path
 * against the current directory; relative paths inside the file are ssh's, which resolves them whenever it runs.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_options_set_ssh_config(sshpm_options *options, const char *file);

/**
 * Adds an option of ssh_config(5). It wins over the files, but not over what the library relies on: no terminal, no
 * questions, no forwarded ports, no RemoteCommand, how connections are shared, LogLevel.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param option "Keyword=value"; UTF-8. Copied. sshpm_manager_new checks it. Paths in it should be absolute: ssh
 * resolves others against the current directory whenever it runs.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_options_add_ssh_option(sshpm_options *options, const char *option);

/**
 * Sets how long a host may take to answer, and how long a connection that sshd drops while it is busy is tried
 * again.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param timeout_s Seconds; ssh counts whole ones, so it is rounded up. SSHPM_TIMEOUT_DEFAULT: 10 s.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_options_set_connect_timeout(sshpm_options *options, double timeout_s);

/**
 * Sets how long a process whose link was lost is asked after, until its end counts as unknown.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: 30 s.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_options_set_lost_timeout(sshpm_options *options, double timeout_s);

/**
 * Sets how long the link to a process that is kept (SSHPM_LINK_LOSS_KEEP) is tried to be restored, until its end counts
 * as unknown; it lives on then.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: INFINITY, for ever.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_options_set_restore_timeout(sshpm_options *options, double timeout_s);

/**
 * Sets whether processes of the same user and host share connections, eight each. Without it each process logs in by
 * itself, which takes ten times as long. Default: true.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param share Whether they do.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_options_set_share_connections(sshpm_options *options, bool share);

/**
 * Sets for how long a connection's remote side goes on without a word from the manager. When it is over, that side ends
 * the connection, and each process on it ends by its link loss policy: so nothing lives on behind a link that was cut in
 * silence. It holds for a manager that stands still as well, in a debugger for one.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param lease_s Seconds; whole ones count, from 3 on. sshpm_manager_new checks it. SSHPM_TIMEOUT_DEFAULT: 30 s.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_options_set_lease(sshpm_options *options,
                                     double lease_s);

/**
 * Sets how strictly the keys of hosts are checked.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param policy One of SSHPM_HOST_KEY_...
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_options_set_host_key_policy(sshpm_options *options, int32_t policy);

/**
 * Sets a known_hosts file to use in place of the user's.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param file Its path. Copied. NULL: the user's. sshpm_manager_new resolves a relative path against the current
 * directory; "none", and what begins with "~", "%" or "${", has the meaning that ssh_config(5) gives it.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_options_set_known_hosts_file(sshpm_options *options, const char *file);

/**
 * Sets how many of the last bytes of stdout, and as many of stderr, are kept of a process that has no log file.
 * Default: 1 MiB.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param bytes The number of bytes.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_options_set_output_limit(sshpm_options *options, size_t bytes);

/**
 * Takes all steps from the kill sequence, so that another can be built with sshpm_options_add_kill_step. The default
 * is SIGQUIT to the application, and after the kill's timeout SIGKILL to its group. sshpm_manager_new refuses an
 * empty one.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_options_clear_kill_sequence(sshpm_options *options);

/**
 * Adds a step to the kill sequence: a signal, and a wait for the end. SIGCONT follows each signal, so that a stopped
 * process gets it too. Call sshpm_options_clear_kill_sequence before the first one.
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
 * Sets the order in which roles are ended. Those that it does not name end last, together. Default: unknown,
 * application, segment-controller, root-controller, infrastructure-applications.
 *
 * One thread at a time for the same options. Does not block.
 *
 * @param options The options.
 * @param roles The roles' names; UTF-8. Copied. May be NULL if the count is 0.
 * @param count Their number.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID. sshpm_manager_new refuses a
 * role that is named twice.
 */
sshpm_result sshpm_options_set_shutdown_order(sshpm_options *options, const char *const *roles, size_t count);

/**
 * Makes a request to run a program on a host.
 *
 * Any thread. Does not block.
 *
 * @param host The host's name or address, or an alias of ssh_config; UTF-8. Copied.
 * @param argv The program, which is looked up in the host's PATH, and its arguments: any bytes. Copied. It need not
 * end with NULL.
 * @param argc Their number.
 * @param out_request Gets the request. It is the caller's, to be freed with sshpm_boot_request_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID for a number that no array can
 * have. Values are checked by sshpm_boot_request_check and by sshpm_manager_start_process.
 */
sshpm_result sshpm_boot_request_new(const char *host,
                                    const char *const *argv,
                                    size_t argc,
                                    sshpm_boot_request **out_request);

/**
 * Reads a request from a JSON object. Its keys are the setters' names: "host" and "argv" must be there, and "launcher"
 * (see below), "user", "name", "session", "tree_id", "role", "setup" (array of lines), "setup_shell", "environment"
 * (object), "working_directory", "umask" (a string of octal digits), "limits" (object of names and numbers or
 * "unlimited"), "log_file", "log_mode" ("fresh", "append", "truncate"), "start_timeout" and "grace" (seconds),
 * "link_loss" ("terminate", "keep") and "kill_tree" (true, false) may be. Any other key is refused.
 *
 * A launcher is "ssh", "local" or "slurm", or an object with one key: {"command": ["docker", "exec", "-i", "{host}"]}
 * or {"slurm": {"job": "4711", "srun_program": "srun", "srun_options": ["--mem=1G"]}}, each key of which can be left
 * out.
 *
 * Any thread. Does not block.
 *
 * @param json The JSON; UTF-8, at most 64 MiB.
 * @param out_request Gets the request. It is the caller's, to be freed with sshpm_boot_request_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_JSON, and SSHPM_ERROR_INVALID for
 * values that sshpm_boot_request_check refuses.
 */
sshpm_result sshpm_boot_request_from_json(const char *json, sshpm_boot_request **out_request);

/**
 * Frees a request. Processes that were started by it keep their copy.
 *
 * Any thread. Does not block.
 *
 * @param request The request; not one of a list. NULL: nothing is done.
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
 * The host, as it was given.
 *
 * Any thread, but not while another one sets a value. Does not block.
 *
 * @param request The request.
 * @param out_host Gets the host. It is the caller's, to be freed with sshpm_string_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_get_host(const sshpm_boot_request *request, char **out_host);

/**
 * The remote user, as it was given.
 *
 * Any thread, but not while another one sets a value. Does not block.
 *
 * @param request The request.
 * @param out_user Gets the user, or NULL where none was set. It is the caller's, to be freed with sshpm_string_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_get_user(const sshpm_boot_request *request, char **out_user);

/**
 * The name, as it was given.
 *
 * Any thread, but not while another one sets a value. Does not block.
 *
 * @param request The request.
 * @param out_name Gets the name. It is the caller's, to be freed with sshpm_string_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_get_name(const sshpm_boot_request *request, char **out_name);

/**
 * The session, as it was given.
 *
 * Any thread, but not while another one sets a value. Does not block.
 *
 * @param request The request.
 * @param out_session Gets the session. It is the caller's, to be freed with sshpm_string_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_get_session(const sshpm_boot_request *request, char **out_session);

/**
 * The role's name.
 *
 * Any thread, but not while another one sets a value. Does not block.
 *
 * @param request The request.
 * @param out_role Gets the name. It is the caller's, to be freed with sshpm_string_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_get_role(const sshpm_boot_request *request, char **out_role);

/**
 * Reads a session: a JSON array of requests, each as for sshpm_boot_request_from_json.
 *
 * Any thread. Does not block.
 *
 * @param json The JSON; UTF-8, at most 64 MiB.
 * @param out_list Gets the list. It is the caller's, to be freed with sshpm_boot_request_list_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_JSON, SSHPM_ERROR_INVALID. The message
 * names the place of the request that has a value that is not valid.
 */
sshpm_result sshpm_boot_request_list_from_json(const char *json, sshpm_boot_request_list **out_list);

/**
 * The number of requests in a list.
 *
 * Any thread. Does not block.
 *
 * @param list The list.
 * @return The number; 0 when the list is NULL.
 */
size_t sshpm_boot_request_list_count(const sshpm_boot_request_list *list);

/**
 * One request of a list, in the order of the JSON.
 *
 * Any thread. Does not block.
 *
 * @param list The list.
 * @param index Its place, from 0.
 * @return The request, which is the list's: valid until the list is freed. NULL when the index is not below the
 * count, or the list is NULL.
 */
const sshpm_boot_request *sshpm_boot_request_list_get(const sshpm_boot_request_list *list, size_t index);

/**
 * Frees a list and its requests.
 *
 * Any thread. Does not block.
 *
 * @param list The list. NULL: nothing is done.
 */
void sshpm_boot_request_list_free(sshpm_boot_request_list *list);

/**
 * Sets by what the process gets its shell. Default: the launcher of its host, if the manager has one for it, else the
 * manager's.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param launcher The launcher. Copied. sshpm_boot_request_check checks it.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_set_launcher(sshpm_boot_request *request, const sshpm_launcher *launcher);

/**
 * Sets the remote user. Default: ssh's choice, which is User of ssh_config, else the current user.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param user The name; UTF-8. Copied. NULL: the default.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_boot_request_set_user(sshpm_boot_request *request, const char *user);

/**
 * Sets the name that people know the process by, for logs and the metadata file. Default: "".
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param name At most 1024 bytes; UTF-8. Copied.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_boot_request_set_name(sshpm_boot_request *request, const char *name);

/**
 * Sets the session that the process belongs to, for logs and the metadata file. Default: "".
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param session At most 1024 bytes; UTF-8. Copied.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_boot_request_set_session(sshpm_boot_request *request, const char *session);

/**
 * Sets the place in the session's tree, for the metadata file. It does not set the role: see
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
 * Sets the role, which decides when the process is shut down. Default: unknown.
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
 * Adds a line of shell code that runs before the program, in the same process: "source env.sh". A line that does not
 * return 0 ends the start. It runs in bash where the host has bash, else in sh.
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
 * @param shell The name or path of a shell that reads POSIX shell code; UTF-8. Copied. NULL: bash where the host has
 * it, else sh.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_boot_request_set_setup_shell(sshpm_boot_request *request, const char *shell);

/**
 * Sets a variable of the application's environment. It holds during the setup lines, and again after them.
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
 * Sets the working directory of the setup lines and the program; a relative one begins at the login directory.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param directory Any bytes. Copied. NULL: the login directory, or where the setup lines go.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_set_working_directory(sshpm_boot_request *request, const char *directory);

/**
 * Sets the file mode creation mask; it holds for the log file too. Default: the login's.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param mask 0 to 0777, which sshpm_boot_request_check checks.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_set_umask(sshpm_boot_request *request, uint32_t mask);

/**
 * Sets a resource limit of the application, soft and hard. The setup lines run without it.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param name core, cpu, data, fsize, memlock, nofile, nproc, stack or as, as in limits.conf(5).
 * @param value Bytes, seconds or a number, as the limit has it, or SSHPM_UNLIMITED.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_boot_request_set_limit(sshpm_boot_request *request, const char *name, uint64_t value);

/**
 * Sets the remote file that stdout and stderr of the setup lines and the program go to; a relative one begins at the
 * login directory.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param file Any bytes. Copied. NULL: no file; the output comes back over ssh, and the manager keeps its last part.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_set_log_file(sshpm_boot_request *request, const char *file);

/**
 * Sets what becomes of a log file that exists.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param mode One of SSHPM_LOG_MODE_...
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_boot_request_set_log_mode(sshpm_boot_request *request, int32_t mode);

/**
 * Sets how long a start may wait until it has a session on its host, and, counted anew, how long it may take from
 * there until the program runs. So start-up files of the login shell, which run for a shared connection and once more
 * for each session on it, may take nearly as long as this, whether or not connections are shared.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param timeout_s Seconds, more than 0. SSHPM_TIMEOUT_DEFAULT: 30 s.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_boot_request_set_start_timeout(sshpm_boot_request *request, double timeout_s);

/**
 * Sets what becomes of the process when the link or the manager is gone.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param policy SSHPM_LINK_LOSS_TERMINATE or SSHPM_LINK_LOSS_KEEP.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_boot_request_set_link_loss(sshpm_boot_request *request, int32_t policy);

/**
 * Sets how long the process may live after the SIGHUP that a lost link causes.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param grace_s Seconds; the remote side counts whole ones, so it is rounded up. SSHPM_TIMEOUT_DEFAULT: 5 s.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
 */
sshpm_result sshpm_boot_request_set_grace(sshpm_boot_request *request, double grace_s);

/**
 * Sets whether what the application starts and what leaves its process group (by setsid(2), as daemons do) is ended with
 * it: processes of its session, and those that have its mark in their environment, which it gets then. Needs /proc on the
 * host. What could not be ended is told by sshpm_exit_status_get_stray. The group itself always is ended. Default: false.
 *
 * One thread at a time for the same request. Does not block.
 *
 * @param request The request.
 * @param kill_tree Whether it is.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_boot_request_set_kill_tree(sshpm_boot_request *request,
                                              bool kill_tree);

/**
 * By whose hand or whose eyes the end came to be known.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @return One of SSHPM_EXIT_SOURCE_...; 0 when the status is NULL.
 */
int32_t sshpm_exit_status_get_source(const sshpm_exit_status *status);

/**
 * The name of the source, for logs: "client_monitoring", "remote_monitoring", "manual_kill_through_ssh_client" or
 * "manual_kill_through_remote_pid".
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @return The name, which is the status': valid until it is freed. NULL when the status is NULL.
 */
const char *sshpm_exit_status_get_source_name(const sshpm_exit_status *status);

/**
 * Which start of its uuid the process was: the number that sshpm_manager_start_process or sshpm_manager_adopt_process
 * gave for it.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @return The start number; 0 for a status of found processes, which no start of this manager belongs to, and when the
 * status is NULL.
 */
uint64_t sshpm_exit_status_get_start_number(const sshpm_exit_status *status);

/**
 * The code as it was seen: of the ssh client for the two sources that go through it, 0 to 255 or minus the number of
 * the signal that ended the client; of the application for the other two.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @param out_code Gets the code.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_NO_EXIT_CODE when none was seen.
 */
sshpm_result sshpm_exit_status_get_raw_code(const sshpm_exit_status *status, int32_t *out_code);

/**
 * The code to show and to judge by: the raw code, where that says something about the application.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @param out_code Gets the code.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_NO_EXIT_CODE when there is none.
 */
sshpm_result sshpm_exit_status_get_code(const sshpm_exit_status *status, int32_t *out_code);

/**
 * The application's own code, whatever the source. It can be known although the link was lost.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @param out_code Gets the code: 0 to 255, and 128+n when signal n ended the application.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_NO_EXIT_CODE when it is not known.
 */
sshpm_result sshpm_exit_status_get_application_code(const sshpm_exit_status *status, int32_t *out_code);

/**
 * The signal that ended the application. Where the host's /bin/sh does not tell (bash, zsh), a code of 128+n counts
 * as signal n.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @return The signal's number on this machine; 0 when there was none, or the status is NULL.
 */
int32_t sshpm_exit_status_get_signal(const sshpm_exit_status *status);

/**
 * Whether the signal made the application dump core, where the host's /bin/sh tells.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @return Whether it did; false when the status is NULL.
 */
bool sshpm_exit_status_core_dumped(const sshpm_exit_status *status);

/**
 * Whether the application left members of its process group behind, which were then killed.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @return Whether it did; false when the status is NULL.
 */
bool sshpm_exit_status_left_over(const sshpm_exit_status *status);

/**
 * When the application ended: by this machine's clock when its end was told at once, which takes some milliseconds; by
 * its host's clock, in whole seconds, when the end was learned from the host later.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @param out_ended_at Gets the time: seconds since 1970.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_NO_END_TIME when it is not known.
 */
sshpm_result sshpm_exit_status_get_ended_at(const sshpm_exit_status *status, double *out_ended_at);

/**
 * The number of processes that the application started and that could not be ended with it, although
 * sshpm_boot_request_set_kill_tree asked for it: another user's, for one.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @return The number; 0 when the status is NULL.
 */
size_t sshpm_exit_status_strays_count(const sshpm_exit_status *status);

/**
 * The pid, on its host, of one process that the application started and that could not be ended with it.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @param index Its place, from 0.
 * @return The pid; -1 when the index is not below the count, or the status is NULL.
 */
int64_t sshpm_exit_status_get_stray(const sshpm_exit_status *status, size_t index);

/**
 * Whether the link was lost before the end was known.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @return Whether it was; false when the status is NULL.
 */
bool sshpm_exit_status_link_lost(const sshpm_exit_status *status);

/**
 * Whether the end itself could not be determined: the link was lost and the host did not answer in time.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @return Whether it could not; false when the status is NULL.
 */
bool sshpm_exit_status_is_unknown(const sshpm_exit_status *status);

/**
 * The line for the log: process, session, user, what it means, code and signal, and what else is known.
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @return The line without a newline, which is the status': valid until it is freed. NULL when the status is NULL.
 */
const char *sshpm_exit_status_get_message(const sshpm_exit_status *status);

/**
 * What the end means, as a clause: "ended by the manager through the remote pid".
 *
 * Any thread. Does not block.
 *
 * @param status The status.
 * @return The clause, which is the status': valid until it is freed. NULL when the status is NULL.
 */
const char *sshpm_exit_status_get_sentence(const sshpm_exit_status *status);

/**
 * Frees a status.
 *
 * Any thread. Does not block.
 *
 * @param status The status; not one of kill results, found processes, an event or a callback. NULL: nothing is done.
 */
void sshpm_exit_status_free(sshpm_exit_status *status);

/**
 * The number of processes in the results.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @return The number; 0 when the results are NULL.
 */
size_t sshpm_kill_results_count(const sshpm_kill_results *results);

/**
 * The uuid of one process.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index Its place, from 0.
 * @return The uuid, which is the results': valid until they are freed. NULL when the index is not below the count,
 * or the results are NULL.
 */
const char *sshpm_kill_results_get_uuid(const sshpm_kill_results *results, size_t index);

/**
 * Whether one process has ended, or why that is not known. Asking is no failing call: the thread's last message
 * stays.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index Its place, from 0.
 * @return SSHPM_OK: it has ended, and there is a status. SSHPM_ERROR_STILL_RUNNING: it has not, and can be killed
 * again. SSHPM_ERROR_UNKNOWN_UUID. SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_...: it had not
 * come to run. SSHPM_ERROR_LOCAL. SSHPM_ERROR_DETACHED, SSHPM_ERROR_TAKEN_OVER: it is kept, and goes on without this
 * manager. SSHPM_ERROR_INVALID when the index is not below the count; SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_kill_results_get_result(const sshpm_kill_results *results, size_t index);

/**
 * How one process ended.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index Its place, from 0.
 * @return The status, which is the results': valid until they are freed. NULL when there is none, the index is not
 * below the count, or the results are NULL.
 */
const sshpm_exit_status *sshpm_kill_results_get_status(const sshpm_kill_results *results, size_t index);

/**
 * The line for the log about one process: the status' message, or what went wrong.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index Its place, from 0.
 * @return The line, which is the results': valid until they are freed. NULL when the index is not below the count,
 * or the results are NULL.
 */
const char *sshpm_kill_results_get_message(const sshpm_kill_results *results, size_t index);

/**
 * Frees results, with their statuses and strings.
 *
 * Any thread. Does not block.
 *
 * @param results The results. NULL: nothing is done.
 */
void sshpm_kill_results_free(sshpm_kill_results *results);

/**
 * Makes a manager without processes. No thread and no connection is made yet; ssh, where it is the manager's
 * launcher, is asked for its version.
 *
 * Any thread. Blocks for some milliseconds, at most 4 s where ssh does not answer.
 *
 * @param options The options, which are copied. NULL: the defaults.
 * @param out_manager Gets the manager. It is the caller's, to be freed with sshpm_manager_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID for options that cannot work.
 */
sshpm_result sshpm_manager_new(const sshpm_options *options, sshpm_manager **out_manager);

/**
 * Frees a manager. It lets go of all processes, which end by their link loss policy: call sshpm_manager_shutdown
 * first to end them in order. When this returns, no callback on process exit is running and none is called any more.
 * In a child that the program has forked it only frees: the processes are the parent's.
 *
 * Any thread, but no other one may use the manager any more. Blocks at most 5 s, and while a callback runs; inside a
 * callback it does not wait for that one.
 *
 * @param manager The manager. NULL: nothing is done.
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
 * @param out_start_number Gets the start number. NULL: not wanted.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_UUID_IN_USE,
 * SSHPM_ERROR_SHUT_DOWN, SSHPM_ERROR_LOCAL when no thread can be started. Nothing was started unless SSHPM_OK.
 */
sshpm_result sshpm_manager_start_process(sshpm_manager *manager,
                                         const char *uuid,
                                         const sshpm_boot_request *request,
                                         uint64_t *out_start_number);

/**
 * Starts nothing any more and lets go of all processes: each ends by its link loss policy.
 *
 * Any thread. Blocks at most 5 s.
 *
 * @param manager The manager, which can still be asked.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INSIDE_CALLBACK.
 */
sshpm_result sshpm_manager_detach(sshpm_manager *manager);

/**
 * Takes a process that has ended from the table.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_STILL_RUNNING,
 * SSHPM_ERROR_UNKNOWN_UUID.
 */
sshpm_result sshpm_manager_forget_process(sshpm_manager *manager, const char *uuid);

/**
 * Registers a callback that is called once for each start that ends or fails from now on. All callbacks of a manager
 * run one after another, on one thread of the library. Inside a callback, functions that do not block can be called;
 * those that block return SSHPM_ERROR_INSIDE_CALLBACK. Before the program ends, remove the callback or free the
 * manager: see "Ending the program" at the top of this header.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param callback What is called.
 * @param user_data Is handed to both functions; the library does not look at it.
 * @param finalizer Is called exactly once, when the callback can never be called again: on the thread that removes
 * the callback, frees the manager or runs the callbacks. Not called unless SSHPM_OK. May be NULL.
 * @param out_id Gets the number for sshpm_manager_remove_callback. The callback can be called before it is written.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_LOCAL when there is no thread to be had.
 */
sshpm_result sshpm_manager_on_process_exit(sshpm_manager *manager,
                                           sshpm_exit_callback callback,
                                           void *user_data,
                                           sshpm_finalizer finalizer,
                                           uint64_t *out_id);

/**
 * Removes a callback. When this returns, the callback is not running and is not called any more, and its finalizer was
 * called. Called from inside that callback it returns at once, and the finalizer is called when the callback has
 * returned.
 *
 * Any thread, also in callbacks. Blocks while the callback runs.
 *
 * @param manager The manager.
 * @param id The callback's number. One that was removed already is no error.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_manager_remove_callback(sshpm_manager *manager, uint64_t id);

/**
 * The number of the start that the table has for this uuid, as sshpm_manager_start_process or
 * sshpm_manager_adopt_process gave it.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param out_start_number Gets the start number.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_UNKNOWN_UUID.
 */
sshpm_result sshpm_manager_get_start_number(const sshpm_manager *manager, const char *uuid, uint64_t *out_start_number);

/**
 * The state of a process.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param out_state Gets one of SSHPM_STATE_..., of which later versions can have more.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_UNKNOWN_UUID.
 */
sshpm_result sshpm_manager_get_process_state(const sshpm_manager *manager, const char *uuid, int32_t *out_state);

/**
 * Whether a process is in SSHPM_STATE_STARTING, _RUNNING or _ENDING. A look at memory.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param out_alive Gets the answer; false for a process that is not known.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_manager_is_process_alive(const sshpm_manager *manager, const char *uuid, bool *out_alive);

/**
 * Whether the remote side itself watches a process: from its first report until the process or the link ends.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param out_monitoring Gets the answer; false for a process that is not known.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_manager_is_monitoring_remotely(const sshpm_manager *manager, const char *uuid, bool *out_monitoring);

/**
 * The uuids in the table, those of ended processes too, in the order of their starts.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param out_keys Gets the uuids. They are the caller's, to be freed with sshpm_string_list_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_manager_get_active_process_keys(const sshpm_manager *manager, sshpm_string_list **out_keys);

/**
 * The application's pid on its host; known from SSHPM_STATE_STARTING on, and kept after the end.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param out_pid Gets the pid.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_UNKNOWN_UUID, SSHPM_ERROR_NO_METADATA
 * while it is not known.
 */
sshpm_result sshpm_manager_get_remote_pid(const sshpm_manager *manager, const char *uuid, int64_t *out_pid);

/**
 * What pids are known of a process. Each output can be NULL, and gets -1 where the pid is not known; so do all for a
 * process that is not known.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param out_ssh_client Gets the pid of the ssh client, or that of another launcher, on this machine; -1 when it has
 * ended.
 * @param out_remote Gets the pid of the application, on its host.
 * @param out_remote_monitoring Gets the pid of the shell that watches the application, on its host.
 * @param out_client_monitoring Gets the id of the thread that watches the ssh client, on this machine.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_manager_get_runtime_pids(const sshpm_manager *manager,
                                            const char *uuid,
                                            int64_t *out_ssh_client,
                                            int64_t *out_remote,
                                            int64_t *out_remote_monitoring,
                                            int64_t *out_client_monitoring);

/**
 * The last part of what the application wrote to stdout, if it has no log file: see sshpm_options_set_output_limit.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param out_buffer Gets a copy. It is the caller's, to be freed with sshpm_buffer_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_UNKNOWN_UUID.
 */
sshpm_result sshpm_manager_get_process_stdout(const sshpm_manager *manager,
                                              const char *uuid,
                                              sshpm_buffer **out_buffer);

/**
 * The same for stderr. What ssh says on a connection that breaks is in it too.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param out_buffer Gets a copy. It is the caller's, to be freed with sshpm_buffer_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_UNKNOWN_UUID.
 */
sshpm_result sshpm_manager_get_process_stderr(const sshpm_manager *manager,
                                              const char *uuid,
                                              sshpm_buffer **out_buffer);

/**
 * Gets how a process ended that is still in the table. The exit callbacks may not have run yet.
 *
 * A call that gives a status, or the reason of a failed start, takes the end: the host of a kept process then removes
 * the exit status and the output, and no other manager can get them. The process stays in this table, and the call can
 * be repeated. sshpm_manager_get_process_state looks without taking the end.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param out_status Gets the status, or NULL while the process has not ended and when it is not known. It is the
 * caller's, to be freed with sshpm_exit_status_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8. Of a process that did not come to run the reason:
 * SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_... or SSHPM_ERROR_LOCAL. SSHPM_ERROR_DETACHED,
 * SSHPM_ERROR_TAKEN_OVER: it is kept, and this manager will not learn how it ends.
 */
sshpm_result sshpm_manager_get_exit_status(const sshpm_manager *manager,
                                           const char *uuid,
                                           sshpm_exit_status **out_status);

/**
 * Gets how a process ended that nobody killed, or why it did not come to run, and takes it from the table: so each end
 * is given once, also to many threads. The exit callbacks may not have run yet. A call that gives an end takes it, as
 * sshpm_manager_get_exit_status does.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param out_status Gets the status, or NULL while the process has not ended, and when it is not known or was
 * killed. It is the caller's, to be freed with sshpm_exit_status_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8. Of a process that did not come to run the reason:
 * SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_... or SSHPM_ERROR_LOCAL; it has left the table
 * then. So it has with SSHPM_ERROR_DETACHED, SSHPM_ERROR_TAKEN_OVER: it is kept, and this manager will not learn how
 * it ends.
 */
sshpm_result sshpm_manager_pop_early_exit_status(sshpm_manager *manager,
                                                 const char *uuid,
                                                 sshpm_exit_status **out_status);

/**
 * Waits until the application runs; one that has run and ended counts too.
 *
 * Any thread. Blocks at most for the timeout.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: no limit; the request's start timeout ends it.
 * @param out_pid Gets the application's pid on its host.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_TIMED_OUT,
 * SSHPM_ERROR_UNKNOWN_UUID, SSHPM_ERROR_INSIDE_CALLBACK. SSHPM_ERROR_NOT_RUNNING: it was killed before it ran.
 * SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_..., SSHPM_ERROR_LOCAL: why it did not start.
 * SSHPM_ERROR_DETACHED, SSHPM_ERROR_TAKEN_OVER: it is kept, its link was lost while it started, and this manager has
 * it no more.
 */
sshpm_result sshpm_manager_wait_until_started(const sshpm_manager *manager,
                                              const char *uuid,
                                              double timeout_s,
                                              int64_t *out_pid);

/**
 * Waits until a process has ended. It stays in the table. The exit callbacks may not have run yet. A call that
 * returns an end, or why the start failed, takes it, as sshpm_manager_get_exit_status does.
 *
 * Any thread. Blocks at most for the timeout.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: no limit.
 * @param out_code Gets the code to show and to judge by, as of sshpm_exit_status_get_code.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_TIMED_OUT,
 * SSHPM_ERROR_UNKNOWN_UUID, SSHPM_ERROR_INSIDE_CALLBACK. SSHPM_ERROR_NO_EXIT_CODE: it has ended without such a code.
 * SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_..., SSHPM_ERROR_LOCAL: why it did not start.
 * SSHPM_ERROR_DETACHED, SSHPM_ERROR_TAKEN_OVER: it is kept, and this manager will not learn how it ends.
 */
sshpm_result sshpm_manager_wait_for_process_exit_code(const sshpm_manager *manager,
                                                      const char *uuid,
                                                      double timeout_s,
                                                      int32_t *out_code);

/**
 * Sends a signal to the application alone, and waits for the remote side's word that it was sent. If it ends the
 * process, that looks as if somebody else had sent it.
 *
 * Any thread, also in callbacks. Blocks at most 10 s; inside a callback it does not wait for the word.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param signal A signal of this machine's <signal.h>; see sshpm_signal_from_name.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_NOT_RUNNING,
 * SSHPM_ERROR_SIGNAL_REFUSED, SSHPM_ERROR_LINK_DOWN, SSHPM_ERROR_TIMED_OUT, SSHPM_ERROR_UNKNOWN_UUID.
 */
sshpm_result sshpm_manager_send_signal(sshpm_manager *manager, const char *uuid, int32_t signal);

/**
 * Makes a crash: sends a signal to the application alone. Nothing else is touched, so the table, the events and the
 * status look as in a real crash. The same as sshpm_manager_send_signal.
 *
 * Any thread, also in callbacks. Blocks at most 10 s; inside a callback it does not wait for the word.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param signal A signal of this machine's <signal.h>; see sshpm_signal_from_name.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_NOT_RUNNING,
 * SSHPM_ERROR_SIGNAL_REFUSED, SSHPM_ERROR_LINK_DOWN, SSHPM_ERROR_TIMED_OUT, SSHPM_ERROR_UNKNOWN_UUID.
 */
sshpm_result sshpm_manager_crash_process(sshpm_manager *manager, const char *uuid, int32_t signal);

/**
 * Ends a process by signalling its local ssh client; sshpm_manager_kill_process is for all other purposes. The link is
 * lost by that, the remote side ends the application by its link loss policy, and the host is asked whether it did.
 *
 * Any thread. Blocks at most for the timeout.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param signal SIGQUIT or SIGKILL.
 * @param as_manual_kill Whether the end counts as a manual kill through the ssh client; else as client monitoring, as
 * if somebody else had done it.
 * @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: 10 s.
 * @param out_status Gets the status. It is the caller's, to be freed with sshpm_exit_status_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_UNKNOWN_UUID,
 * SSHPM_ERROR_INSIDE_CALLBACK. SSHPM_ERROR_STILL_RUNNING: the application is not known to have ended in time; it stays
 * in the table. SSHPM_ERROR_NOT_RUNNING: it waits for its turn to connect and has no client, unless this is a manual
 * kill. SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_..., SSHPM_ERROR_LOCAL: it had not come to
 * run; it has left the table. SSHPM_ERROR_DETACHED, SSHPM_ERROR_TAKEN_OVER: it is kept, and goes on without this
 * manager; it has left the table.
 */
sshpm_result sshpm_manager_kill_process_without_metadata(sshpm_manager *manager,
                                                         const char *uuid,
                                                         int32_t signal,
                                                         bool as_manual_kill,
                                                         double timeout_s,
                                                         sshpm_exit_status **out_status);

/**
 * Ends a process by the kill sequence, waits for the exit callbacks, takes the process from the table and gives how it
 * ended, also if it had ended before. A start that has no remote pid yet is taken back: what has begun on the host ends
 * by HUP, after its grace by KILL.
 *
 * Any thread. Blocks at most for the timeouts of all steps of the kill sequence.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param timeout_s How many seconds each step waits. SSHPM_TIMEOUT_DEFAULT: 10 s.
 * @param out_status Gets the status. It is the caller's, to be freed with sshpm_exit_status_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_UNKNOWN_UUID,
 * SSHPM_ERROR_INSIDE_CALLBACK. SSHPM_ERROR_STILL_RUNNING: it stays in the table and can be killed again.
 * SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_..., SSHPM_ERROR_LOCAL: it had not come to run; it
 * has left the table. SSHPM_ERROR_DETACHED, SSHPM_ERROR_TAKEN_OVER: it is kept, and goes on without this manager; it
 * has left the table.
 */
sshpm_result sshpm_manager_kill_process(sshpm_manager *manager,
                                        const char *uuid,
                                        double timeout_s,
                                        sshpm_exit_status **out_status);

/**
 * Ends processes, role by role in the shutdown order; those of one role at the same time. A role that does not end
 * in its time does not hold the next one. Those that have ended leave the table.
 *
 * Any thread. Blocks at most for the timeouts of all steps of the kill sequence, for each role.
 *
 * @param manager The manager.
 * @param uuids The processes. May be NULL if the count is 0.
 * @param count Their number.
 * @param timeouts_s For each of them how many seconds each step waits; SSHPM_TIMEOUT_DEFAULT: 10 s. NULL: 10 s for
 * all.
 * @param out_results Gets a result for each process. They are the caller's, to be freed with
 * sshpm_kill_results_free.
 * @return SSHPM_OK, also where processes did not end; SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8,
 * SSHPM_ERROR_INVALID, SSHPM_ERROR_INSIDE_CALLBACK.
 */
sshpm_result sshpm_manager_kill_processes(sshpm_manager *manager,
                                          const char *const *uuids,
                                          size_t count,
                                          const double *timeouts_s,
                                          sshpm_kill_results **out_results);

/**
 * Ends those of the processes that have a role, at the same time. The results have only them, and those that are not
 * known.
 *
 * Any thread. Blocks at most for the timeouts of all steps of the kill sequence.
 *
 * @param manager The manager.
 * @param role The role's name; UTF-8.
 * @param uuids The processes to choose from. May be NULL if the count is 0.
 * @param count Their number.
 * @param timeouts_s For each of them how many seconds each step waits; SSHPM_TIMEOUT_DEFAULT: 10 s. NULL: 10 s for
 * all.
 * @param out_results Gets the results. They are the caller's, to be freed with sshpm_kill_results_free.
 * @return SSHPM_OK, also where processes did not end; SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8,
 * SSHPM_ERROR_INVALID, SSHPM_ERROR_INSIDE_CALLBACK.
 */
sshpm_result sshpm_manager_kill_processes_by_role(sshpm_manager *manager,
                                                  const char *role,
                                                  const char *const *uuids,
                                                  size_t count,
                                                  const double *timeouts_s,
                                                  sshpm_kill_results **out_results);

/**
 * Ends all processes of the table as sshpm_manager_kill_processes does. The remote side cleans up when all have ended:
 * sshpm_manager_shutdown and sshpm_manager_free wait for that.
 *
 * Any thread. Blocks at most for the timeouts of all steps of the kill sequence, for each role.
 *
 * @param manager The manager.
 * @param timeout_s How many seconds each step waits. SSHPM_TIMEOUT_DEFAULT: 10 s.
 * @param out_results Gets a result for each process. They are the caller's, to be freed with
 * sshpm_kill_results_free.
 * @return SSHPM_OK, also where processes did not end; SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID,
 * SSHPM_ERROR_INSIDE_CALLBACK.
 */
sshpm_result sshpm_manager_kill_all_processes(sshpm_manager *manager,
                                              double timeout_s,
                                              sshpm_kill_results **out_results);

/**
 * Starts nothing any more, and ends all processes in the shutdown order within the timeout: each role has its usual
 * time, but when the timeout is over whatever still runs gets SIGKILL at once. Then lets go of all.
 *
 * Any thread. Blocks at most for the timeout, 2 s for each role that did not end in it, and 5 s.
 *
 * @param manager The manager, which can still be asked.
 * @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: no limit but the time of the roles.
 * @param out_results Gets a result for each process. They are the caller's, to be freed with
 * sshpm_kill_results_free. May be NULL.
 * @return SSHPM_OK, also where processes did not end; SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID,
 * SSHPM_ERROR_INSIDE_CALLBACK.
 */
sshpm_result sshpm_manager_shutdown(sshpm_manager *manager, double timeout_s, sshpm_kill_results **out_results);

/**
 * What happened.
 *
 * Any thread. Does not block.
 *
 * @param event The event.
 * @return One of SSHPM_EVENT_..., of which later versions can have more; 0 when the event is NULL.
 */
int32_t sshpm_event_get_type(const sshpm_event *event);

/**
 * The process that the event is about.
 *
 * Any thread. Does not block.
 *
 * @param event The event.
 * @return The uuid, which is the event's: valid until it is freed. NULL when the event is NULL.
 */
const char *sshpm_event_get_uuid(const sshpm_event *event);

/**
 * Which start of its uuid the event belongs to: the number that sshpm_manager_start_process or
 * sshpm_manager_adopt_process gave for it.
 *
 * Any thread. Does not block.
 *
 * @param event The event.
 * @return The start number; 0 when the event is NULL.
 */
uint64_t sshpm_event_get_start_number(const sshpm_event *event);

/**
 * The application's pid on its host, of SSHPM_EVENT_STARTED.
 *
 * Any thread. Does not block.
 *
 * @param event The event.
 * @return The pid; -1 for all other events, and when the event is NULL.
 */
int64_t sshpm_event_get_pid(const sshpm_event *event);

/**
 * How the process ended, of SSHPM_EVENT_EXITED.
 *
 * Any thread. Does not block.
 *
 * @param event The event.
 * @return The status, which is the event's: valid until it is freed. NULL for all other events, and when the event
 * is NULL.
 */
const sshpm_exit_status *sshpm_event_get_status(const sshpm_event *event);

/**
 * Why the start failed, of SSHPM_EVENT_START_FAILED; why the link was not restored, of SSHPM_EVENT_LINK_NOT_RESTORED.
 *
 * Any thread. Does not block.
 *
 * @param event The event.
 * @return SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_..., SSHPM_ERROR_TAKEN_OVER or
 * SSHPM_ERROR_LOCAL; SSHPM_OK for all other events, and when the event is NULL.
 */
sshpm_result sshpm_event_get_error(const sshpm_event *event);

/**
 * The text of the event: why the start failed, what ssh said when the link was lost, or the status' message.
 *
 * Any thread. Does not block.
 *
 * @param event The event.
 * @return The text, which is the event's: valid until it is freed. "" where there is none; NULL when the event is
 * NULL.
 */
const char *sshpm_event_get_message(const sshpm_event *event);

/**
 * Frees an event, with its status and strings.
 *
 * Any thread. Does not block.
 *
 * @param event The event. NULL: nothing is done.
 */
void sshpm_event_free(sshpm_event *event);

/**
 * Subscribes to all events from now on. The queue has no bound: a subscriber that is slow loses nothing and delays
 * nobody. Events that are not received stay in it, some hundred bytes each; that of a failed start also has what ssh or
 * the setup wrote last (4 KiB each) and the setup line that failed. So free a subscription that is not read.
 *
 * Any thread. Does not block.
 *
 * @param manager The manager.
 * @param out_subscription Gets the subscription. It is the caller's, to be freed with sshpm_subscription_free,
 * before or after the manager.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_LOCAL when there is no descriptor to be had.
 */
sshpm_result sshpm_manager_subscribe(sshpm_manager *manager, sshpm_subscription **out_subscription);

/**
 * A descriptor that is readable while events wait or a wake is due. It is only for poll(2) and the like: the events
 * come from sshpm_subscription_next. It can be readable with nothing there.
 *
 * Any thread. Does not block.
 *
 * @param subscription The subscription.
 * @return The descriptor, which is the subscription's: valid until it is freed, not to be read or closed. -1 when
 * the subscription is NULL.
 */
int32_t sshpm_subscription_get_fd(const sshpm_subscription *subscription);

/**
 * Takes the next event from the queue, and waits for one where there is none. Of one process the events come in the
 * order in which they happened.
 *
 * Any thread; several can wait, and each event goes to one of them. Blocks at most for the timeout.
 *
 * @param subscription The subscription.
 * @param timeout_s Seconds; 0: does not block. SSHPM_TIMEOUT_DEFAULT: no limit.
 * @param out_event Gets the event. It is the caller's, to be freed with sshpm_event_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID. SSHPM_ERROR_NO_EVENT: the time is over.
 * SSHPM_ERROR_WOKEN: by sshpm_subscription_wake. SSHPM_ERROR_SHUT_DOWN: the manager was freed and all events are
 * taken. SSHPM_ERROR_INSIDE_CALLBACK, unless the timeout is 0.
 */
sshpm_result sshpm_subscription_next(const sshpm_subscription *subscription, double timeout_s, sshpm_event **out_event);

/**
 * Ends the wait of one thread in sshpm_subscription_next with SSHPM_ERROR_WOKEN: one that waits now, or else the
 * next that would wait. Wakes that were not seen yet count as one. The descriptor becomes readable.
 *
 * Any thread. Does not block. Not for signal handlers.
 *
 * @param subscription The subscription.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_subscription_wake(const sshpm_subscription *subscription);

/**
 * Ends a subscription and frees it, with the events that were not taken. No thread may be waiting in it: wake and
 * join those first.
 *
 * Any thread. Does not block.
 *
 * @param subscription The subscription. NULL: nothing is done.
 */
void sshpm_subscription_free(sshpm_subscription *subscription);

/**
 * Subscribes to what the application writes from now on, if it has no log file.
 *
 * Any thread, also in callbacks. Does not block.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param out_subscription Gets the subscription. It is the caller's, to be freed with
 * sshpm_output_subscription_free, before or after the manager.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_UNKNOWN_UUID.
 */
sshpm_result sshpm_manager_subscribe_output(sshpm_manager *manager,
                                            const char *uuid,
                                            sshpm_output_subscription **out_subscription);

/**
 * Takes the next piece of output from the queue, and waits for one where there is none.
 *
 * Any thread; several can wait, and each piece goes to one of them. Blocks at most for the timeout.
 *
 * @param subscription The subscription.
 * @param timeout_s Seconds; 0: does not block. SSHPM_TIMEOUT_DEFAULT: no limit.
 * @param out_stream Gets SSHPM_STREAM_STDOUT or SSHPM_STREAM_STDERR.
 * @param out_piece Gets bytes, at least one, as they were written and not cut at lines. It is the caller's, to be freed
 * with sshpm_buffer_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID. SSHPM_ERROR_TIMED_OUT: nothing came in that time.
 * SSHPM_ERROR_END_OF_OUTPUT: the process has ended and all is taken. SSHPM_ERROR_INSIDE_CALLBACK, unless the timeout
 * is 0.
 */
sshpm_result sshpm_output_subscription_next(const sshpm_output_subscription *subscription,
                                            double timeout_s,
                                            int32_t *out_stream,
                                            sshpm_buffer **out_piece);

/**
 * How many bytes were dropped until now, because the reader was too far behind.
 *
 * Any thread. Does not block.
 *
 * @param subscription The subscription.
 * @return The number; 0 when the subscription is NULL.
 */
uint64_t sshpm_output_subscription_dropped(const sshpm_output_subscription *subscription);

/**
 * Ends a subscription and frees it, with what was not taken. No thread may be waiting in it.
 *
 * Any thread. Does not block.
 *
 * @param subscription The subscription. NULL: nothing is done.
 */
void sshpm_output_subscription_free(sshpm_output_subscription *subscription);

/**
 * Where the metadata file of a process is, as a shell on its host would read it: with XDG_RUNTIME_DIR in it. Where that
 * directory is not the user's own, the remote side takes another.
 *
 * Any thread. Does not block.
 *
 * @param uuid The process.
 * @param out_path Gets the path. It is the caller's, to be freed with sshpm_string_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
 */
sshpm_result sshpm_metadata_file_path(const char *uuid, char **out_path);

/**
 * Reads the content of a metadata file that the caller has got in another way.
 *
 * Any thread. Does not block.
 *
 * @param uuid The process, for the message.
 * @param json The content.
 * @param out_metadata Gets what it says. It is the caller's, to be freed with sshpm_metadata_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8. SSHPM_ERROR_BAD_METADATA: it is empty, cut off or no
 * JSON, or has a pid that must never be signalled.
 */
sshpm_result sshpm_metadata_from_json(const char *uuid, const char *json, sshpm_metadata **out_metadata);

/**
 * Waits on a host for the metadata file of a process, and reads it. The process need not be this manager's.
 *
 * Any thread. Blocks at most for the timeout, and 10 s for the connection.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param host The host.
 * @param user The user there; the file must be this user's. NULL: ssh's choice.
 * @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: 5 s.
 * @param out_metadata Gets what the file says. It is the caller's, to be freed with sshpm_metadata_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_TIMED_OUT,
 * SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_LOCAL, SSHPM_ERROR_INSIDE_CALLBACK.
 * SSHPM_ERROR_FILE_MISSING: none came. SSHPM_ERROR_BAD_METADATA: it is empty, cut off or no JSON, or has a pid that
 * must never be signalled.
 */
sshpm_result sshpm_manager_read_process_metadata(const sshpm_manager *manager,
                                                 const char *uuid,
                                                 const char *host,
                                                 const char *user,
                                                 double timeout_s,
                                                 sshpm_metadata **out_metadata);

/**
 * The application's pid on its host.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return The pid, above 1; -1 when the metadata are NULL.
 */
int64_t sshpm_metadata_get_pid(const sshpm_metadata *metadata);

/**
 * When the process was started, by the clock of its manager.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return Seconds since 1970; 0 when the metadata are NULL.
 */
double sshpm_metadata_get_started_at(const sshpm_metadata *metadata);

/**
 * The host, as the boot request had it.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return The text, which is the metadata's: valid until they are freed. NULL when the metadata are NULL.
 */
const char *sshpm_metadata_get_hostname(const sshpm_metadata *metadata);

/**
 * The user.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return The text, which is the metadata's: valid until they are freed. NULL when the metadata are NULL.
 */
const char *sshpm_metadata_get_user(const sshpm_metadata *metadata);

/**
 * The process' place in its session's tree.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return The text, which is the metadata's: valid until they are freed. NULL when the metadata are NULL.
 */
const char *sshpm_metadata_get_tree_id(const sshpm_metadata *metadata);

/**
 * The process' role.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return The text, which is the metadata's: valid until they are freed. NULL when the metadata are NULL.
 */
const char *sshpm_metadata_get_role(const sshpm_metadata *metadata);

/**
 * The process' name.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return The text, which is the metadata's: valid until they are freed. NULL when the metadata are NULL.
 */
const char *sshpm_metadata_get_name(const sshpm_metadata *metadata);

/**
 * The session that the process belongs to.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return The text, which is the metadata's: valid until they are freed. "" where the file has none. NULL when the
 * metadata are NULL.
 */
const char *sshpm_metadata_get_session(const sshpm_metadata *metadata);

/**
 * The process' start time as the host's kernel has it: on Linux in clock ticks since boot. With the pid and the boot id
 * it names one process for ever.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return The text, which is the metadata's: valid until they are freed. "" where the file has none. NULL when the
 * metadata are NULL.
 */
const char *sshpm_metadata_get_start_time(const sshpm_metadata *metadata);

/**
 * The boot of the host that the process was started in.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return The text, which is the metadata's: valid until they are freed. "-" where the host does not tell, "" where
 * the file has none. NULL when the metadata are NULL.
 */
const char *sshpm_metadata_get_boot_id(const sshpm_metadata *metadata);

/**
 * What becomes of the process when its link or its manager is gone.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return SSHPM_LINK_LOSS_TERMINATE, also where the file has none, or SSHPM_LINK_LOSS_KEEP; -1 when the metadata are
 * NULL.
 */
int32_t sshpm_metadata_get_link_loss(const sshpm_metadata *metadata);

/**
 * The log file, as the boot request had it.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return The path, which is the metadata's: valid until they are freed. NULL when it has none, or the metadata are
 * NULL.
 */
const char *sshpm_metadata_get_log_file(const sshpm_metadata *metadata);

/**
 * How long the process may live after the SIGHUP that a lost link causes.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata.
 * @return Seconds; INFINITY where the request had no limit, 0 where the file has none, and when the metadata are NULL.
 */
double sshpm_metadata_get_grace(const sshpm_metadata *metadata);

/**
 * Frees metadata and their strings.
 *
 * Any thread. Does not block.
 *
 * @param metadata The metadata; not those of found processes. NULL: nothing is done.
 */
void sshpm_metadata_free(sshpm_metadata *metadata);

/**
 * Lists the processes of a user that have a metadata file on a host: those of all managers, of dead ones too. Who lives
 * is checked by pid, start time and boot. The list has at most 10,000 processes and 16 MiB of metadata; what a host
 * lists beyond that is dropped. Files that are no metadata are left out, and one warning in the log counts them.
 *
 * Any thread. Blocks at most for the connect timeout, and 60 s.
 *
 * @param manager The manager.
 * @param host The host.
 * @param user The user there; the files must be this user's. NULL: ssh's choice.
 * @param out_found Gets the processes. They are the caller's, to be freed with sshpm_found_processes_free.
 * @return SSHPM_OK, also where there is none; SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID,
 * SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_LOCAL, SSHPM_ERROR_INSIDE_CALLBACK.
 */
sshpm_result sshpm_manager_find_processes(const sshpm_manager *manager,
                                          const char *host,
                                          const char *user,
                                          sshpm_found_processes **out_found);

/**
 * Adopts a kept process (SSHPM_LINK_LOSS_KEEP) that no manager controls: all functions of this manager work on it then.
 * Its output is read from the beginning, and SSHPM_EVENT_LINK_RESTORED is its first event. If it has ended in the
 * meantime, its end is reported like any other.
 *
 * Any thread. Blocks at most for two times the connect timeout, and 120 s.
 *
 * @param manager The manager.
 * @param uuid The process.
 * @param host The host.
 * @param user The user there; the process must be this user's. NULL: ssh's choice.
 * @param out_start_number Gets the start number, as sshpm_manager_start_process gives it. NULL: not wanted.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_TIMED_OUT,
 * SSHPM_ERROR_SHUT_DOWN, SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_LOCAL,
 * SSHPM_ERROR_INSIDE_CALLBACK. SSHPM_ERROR_UUID_IN_USE: this manager has another process of that uuid.
 * SSHPM_ERROR_TAKEN_OVER: its manager lives, this one or another. SSHPM_ERROR_NOT_ADOPTABLE: its host does not have
 * it, it is not kept, or what watched it is gone. SSHPM_ERROR_DETACHED: meanwhile this manager has let go of all.
 * Nothing was changed unless SSHPM_OK.
 */
sshpm_result sshpm_manager_adopt_process(sshpm_manager *manager,
                                         const char *uuid,
                                         const char *host,
                                         const char *user,
                                         uint64_t *out_start_number);

/**
 * The number of processes that were found.
 *
 * Any thread. Does not block.
 *
 * @param found The processes.
 * @return The number; 0 when the processes are NULL.
 */
size_t sshpm_found_processes_count(const sshpm_found_processes *found);

/**
 * The uuid of one process.
 *
 * Any thread. Does not block.
 *
 * @param found The processes.
 * @param index Its place, from 0.
 * @return The uuid, which is the processes': valid until they are freed. NULL when the index is not below the count, or
 * the processes are NULL.
 */
const char *sshpm_found_processes_get_uuid(const sshpm_found_processes *found, size_t index);

/**
 * What the metadata file of one process says.
 *
 * Any thread. Does not block.
 *
 * @param found The processes.
 * @param index Its place, from 0.
 * @return The metadata, which are the processes': valid until they are freed. NULL when the index is not below the
 * count, or the processes are NULL.
 */
const sshpm_metadata *sshpm_found_processes_get_metadata(const sshpm_found_processes *found, size_t index);

/**
 * What became of one process.
 *
 * Any thread. Does not block.
 *
 * @param found The processes.
 * @param index Its place, from 0.
 * @return One of SSHPM_FOUND_..., of which later versions can have more; 0 when the index is not below the count, or
 * the processes are NULL.
 */
int32_t sshpm_found_processes_get_state(const sshpm_found_processes *found, size_t index);

/**
 * How one process ended, of SSHPM_FOUND_ENDED.
 *
 * Any thread. Does not block.
 *
 * @param found The processes.
 * @param index Its place, from 0.
 * @return The status, which is the processes': valid until they are freed. NULL in all other states, when the index is
 * not below the count, or the processes are NULL.
 */
const sshpm_exit_status *sshpm_found_processes_get_status(const sshpm_found_processes *found, size_t index);

/**
 * Frees found processes, with their metadata, statuses and strings.
 *
 * Any thread. Does not block.
 *
 * @param found The processes. NULL: nothing is done.
 */
void sshpm_found_processes_free(sshpm_found_processes *found);

/**
 * Ends the processes of a user on a host that no manager can reach, by SIGHUP and after the grace SIGKILL, and removes
 * what they and their managers left. Those that a manager can reach are left alone. One whose link is lost at this
 * moment cannot be reached, whether or not its manager lives. There are results for at most 10,000 processes.
 *
 * Any thread. Blocks at most for two times the connect timeout, the grace and 8 s for each process, and 120 s.
 *
 * @param manager The manager.
 * @param host The host.
 * @param user The user there. NULL: ssh's choice.
 * @param grace_s Seconds; the remote side counts whole ones, so it is rounded up. SSHPM_TIMEOUT_DEFAULT: 5 s.
 * @param kill_tree Whether what they started and what left their process groups is ended too: see
 * sshpm_boot_request_set_kill_tree.
 * @param out_results Gets the results. They are the caller's, to be freed with sshpm_clean_up_results_free.
 * @return SSHPM_OK, also where processes could not be ended; SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8,
 * SSHPM_ERROR_INVALID, SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_LOCAL, SSHPM_ERROR_INSIDE_CALLBACK.
 */
sshpm_result sshpm_manager_clean_up_host(const sshpm_manager *manager,
                                         const char *host,
                                         const char *user,
                                         double grace_s,
                                         bool kill_tree,
                                         sshpm_clean_up_results **out_results);

/**
 * The number of processes in the results.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @return The number; 0 when the results are NULL.
 */
size_t sshpm_clean_up_results_count(const sshpm_clean_up_results *results);

/**
 * The uuid of one process.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index Its place, from 0.
 * @return The uuid, which is the results': valid until they are freed. NULL when the index is not below the count, or
 * the results are NULL.
 */
const char *sshpm_clean_up_results_get_uuid(const sshpm_clean_up_results *results, size_t index);

/**
 * What became of one process.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index Its place, from 0.
 * @return One of SSHPM_CLEAN_UP_..., of which later versions can have more; 0 when the index is not below the count, or
 * the results are NULL.
 */
int32_t sshpm_clean_up_results_get_outcome(const sshpm_clean_up_results *results, size_t index);

/**
 * The number of those that could not be ended of one process: itself, or what it started.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index Its place, from 0.
 * @return The number; 0 when the index is not below the count, or the results are NULL.
 */
size_t sshpm_clean_up_results_left_count(const sshpm_clean_up_results *results, size_t index);

/**
 * The pid, on the host, of one that could not be ended.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index The process' place, from 0.
 * @param left_index The place among those that could not be ended of it, from 0.
 * @return The pid; -1 when an index is not below its count, or the results are NULL.
 */
int64_t sshpm_clean_up_results_get_left(const sshpm_clean_up_results *results, size_t index, size_t left_index);

/**
 * Frees results, with their strings.
 *
 * Any thread. Does not block.
 *
 * @param results The results. NULL: nothing is done.
 */
void sshpm_clean_up_results_free(sshpm_clean_up_results *results);

/**
 * Reads the last lines of a file on a host, at most 16 MiB of them. The time does not depend on the file's size.
 *
 * Any thread. Blocks at most for the timeout.
 *
 * @param manager The manager.
 * @param host The host.
 * @param user The user there. NULL: ssh's choice.
 * @param path The file; a relative one begins at the login directory. Nothing in it is expanded.
 * @param lines How many lines.
 * @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: 30 s.
 * @param out_buffer Gets the lines. It is the caller's, to be freed with sshpm_buffer_free.
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
 * Follows a file on a host as it grows, by its name: through rotation and truncation, and also when it does not exist
 * yet. While it does not, its host looks for it every second. Then the host's `tail -F` reads it: that of GNU
 * coreutils waits for changes without waking up, but on file systems without inotify (NFS) it looks every second, and
 * that of busybox always does.
 *
 * Any thread, also in callbacks. Does not block: what goes wrong comes from sshpm_log_follower_next.
 *
 * @param manager The manager.
 * @param host The host.
 * @param user The user there. NULL: ssh's choice.
 * @param path The file; a relative one begins at the login directory. Nothing in it is expanded.
 * @param lines How many of the last lines come first.
 * @param out_follower Gets the follower. It is the caller's, to be freed with sshpm_log_follower_free, before or
 * after the manager.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_LOCAL when there is
 * no thread to be had.
 */
sshpm_result sshpm_manager_follow_log_file(const sshpm_manager *manager,
                                           const char *host,
                                           const char *user,
                                           const char *path,
                                           size_t lines,
                                           sshpm_log_follower **out_follower);

/**
 * Waits for the next piece of the file. A reader that is slow holds up the reading on the host, and loses nothing.
 *
 * Any thread; several can wait, and each piece goes to one of them. Blocks at most for the timeout.
 *
 * @param follower The follower.
 * @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: no limit.
 * @param out_piece Gets bytes, at least one, not cut at lines. It is the caller's, to be freed with
 * sshpm_buffer_free.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID, SSHPM_ERROR_INSIDE_CALLBACK.
 * SSHPM_ERROR_TIMED_OUT: nothing came in that time. SSHPM_ERROR_FILE_..., SSHPM_ERROR_SSH_...,
 * SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_LOCAL: why no more can come; once. Then SSHPM_ERROR_LINK_DOWN.
 */
sshpm_result sshpm_log_follower_next(const sshpm_log_follower *follower, double timeout_s, sshpm_buffer **out_piece);

/**
 * Ends the reading, on the host and here, and frees the follower. No thread may be waiting in it.
 *
 * Any thread. Blocks until the ssh client has ended, some milliseconds.
 *
 * @param follower The follower. NULL: nothing is done.
 */
void sshpm_log_follower_free(sshpm_log_follower *follower);

/**
 * Logs in to a host without asking anybody, and tells what it learned. Where a connection to the host is open, its login
 * counts.
 *
 * Any thread. Blocks at most for twice the connect timeout.
 *
 * @param manager The manager.
 * @param host The host.
 * @param user The user there. NULL: ssh's choice.
 * @param auth_method The ways to log in that may be used, as ssh's PreferredAuthentications: names joined by commas,
 * such as "publickey": then it always logs in anew. NULL: all. Refused where the host has another launcher than ssh.
 * @param out_info Gets what was learned. It is the caller's, to be freed with sshpm_host_info_free. May be NULL.
 * @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID, SSHPM_ERROR_SSH_...,
 * SSHPM_ERROR_LAUNCHER_..., SSHPM_ERROR_START_PROTOCOL, SSHPM_ERROR_LOCAL, SSHPM_ERROR_INSIDE_CALLBACK.
 */
sshpm_result sshpm_manager_validate_host_connection(const sshpm_manager *manager,
                                                    const char *host,
                                                    const char *user,
                                                    const char *auth_method,
                                                    sshpm_host_info **out_info);

/**
 * The time from a line sent to its answer read, over the open connection.
 *
 * Any thread. Does not block.
 *
 * @param info The information.
 * @return Seconds; 0 when the information is NULL.
 */
double sshpm_host_info_get_round_trip(const sshpm_host_info *info);

/**
 * The user there.
 *
 * Any thread. Does not block.
 *
 * @param info The information.
 * @return The name, which is the information's: valid until that is freed. NULL when the information is NULL.
 */
const char *sshpm_host_info_get_user(const sshpm_host_info *info);

/**
 * The user's login shell.
 *
 * Any thread. Does not block.
 *
 * @param info The information.
 * @return The path, which is the information's: valid until that is freed. "" where the host does not tell. NULL when
 * the information is NULL.
 */
const char *sshpm_host_info_get_login_shell(const sshpm_host_info *info);

/**
 * What the host's /bin/sh is.
 *
 * Any thread. Does not block.
 *
 * @param info The information.
 * @return The path, which is the information's: valid until that is freed. NULL when the information is NULL.
 */
const char *sshpm_host_info_get_sh(const sshpm_host_info *info);

/**
 * The kernel's name and release.
 *
 * Any thread. Does not block.
 *
 * @param info The information.
 * @return The text, which is the information's: valid until that is freed. NULL when the information is NULL.
 */
const char *sshpm_host_info_get_kernel(const sshpm_host_info *info);

/**
 * Where runtime directories are made: XDG_RUNTIME_DIR, /tmp or the home directory.
 *
 * Any thread. Does not block.
 *
 * @param info The information.
 * @return The path, which is the information's: valid until that is freed. NULL when none can be written, and when the
 * information is NULL.
 */
const char *sshpm_host_info_get_runtime_directory(const sshpm_host_info *info);

/**
 * The free space of the runtime directory.
 *
 * Any thread. Does not block.
 *
 * @param info The information.
 * @return Bytes; -1 when it is not known, and when the information is NULL.
 */
int64_t sshpm_host_info_get_free_bytes(const sshpm_host_info *info);

/**
 * Whether the host ends what a user leaves behind at logout (KillUserProcesses of logind.conf(5), and no lingering, see
 * loginctl(1)): then a process that is kept (SSHPM_LINK_LOSS_KEEP) ends with its link.
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
 * @param info The information; not one of host results. NULL: nothing is done.
 */
void sshpm_host_info_free(sshpm_host_info *info);

/**
 * Logs in to many hosts, 16 at the same time, as sshpm_manager_validate_host_connection does to one.
 *
 * Any thread. Blocks until all have been asked.
 *
 * @param manager The manager.
 * @param hosts The hosts. May be NULL if the count is 0.
 * @param users For each of them the user there, or NULL: ssh's choice. NULL: ssh's choice for all.
 * @param count Their number.
 * @param progress Is called on this thread for each host, in the order in which the answers come. May be NULL.
 * @param user_data Is handed to `progress`; the library does not look at it.
 * @param out_results Gets the results. They are the caller's, to be freed with sshpm_host_results_free.
 * @return SSHPM_OK, also where logins failed; SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID for a
 * number that no array can have, SSHPM_ERROR_LOCAL when there is no thread to be had, SSHPM_ERROR_INSIDE_CALLBACK.
 */
sshpm_result sshpm_manager_validate_hosts(const sshpm_manager *manager,
                                          const char *const *hosts,
                                          const char *const *users,
                                          size_t count,
                                          sshpm_host_progress_callback progress,
                                          void *user_data,
                                          sshpm_host_results **out_results);

/**
 * The number of hosts in the results.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @return The number; 0 when the results are NULL.
 */
size_t sshpm_host_results_count(const sshpm_host_results *results);

/**
 * Whether the login to one host worked. Asking is no failing call: the thread's last message stays.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index Its place, from 0.
 * @return SSHPM_OK: it worked, and there is information. SSHPM_ERROR_SSH_..., SSHPM_ERROR_LAUNCHER_...,
 * SSHPM_ERROR_INVALID for a host or a user that is none, SSHPM_ERROR_START_PROTOCOL, SSHPM_ERROR_LOCAL: what went
 * wrong. SSHPM_ERROR_INVALID when the index is not below the count; SSHPM_ERROR_NULL_ARGUMENT.
 */
sshpm_result sshpm_host_results_get_result(const sshpm_host_results *results, size_t index);

/**
 * What went wrong with one host.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index Its place, from 0.
 * @return The text, which is the results': valid until they are freed. "" when the login worked. NULL when the index is
 * not below the count, or the results are NULL.
 */
const char *sshpm_host_results_get_message(const sshpm_host_results *results, size_t index);

/**
 * What was learned of one host.
 *
 * Any thread. Does not block.
 *
 * @param results The results.
 * @param index Its place, from 0.
 * @return The information, which is the results': valid until they are freed. NULL when the login did not work, the
 * index is not below the count, or the results are NULL.
 */
const sshpm_host_info *sshpm_host_results_get_info(const sshpm_host_results *results, size_t index);

/**
 * Frees results, with their information and strings.
 *
 * Any thread. Does not block.
 *
 * @param results The results. NULL: nothing is done.
 */
void sshpm_host_results_free(sshpm_host_results *results);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SSHPM_H */
