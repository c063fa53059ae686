/*
 * crash_and_restart: starts one application, crashes it, and restarts it, several times. It is the smallest program
 * that handles a crash: it uses no events, only calls that wait. A restart policy ("restart" in JSON) would restart the
 * application without this program.
 *
 *   crash_and_restart [--ssh-config FILE | --local] [--times N] SESSION.json
 *
 *       --ssh-config FILE   the file for `ssh -F`, instead of the user's and the system's ssh_config
 *       --local             every host is this machine: the shells are started here, without ssh
 *       --times N           how often to crash it (default 3)
 *
 * SESSION.json has the processes (see sshpm_session_from_json). Only the first one is used.
 *
 * Exit code: 0 when each crash was reported as a crash, and the last start ended as asked; 1 when not.
 */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sshpm.h"
#include "streams.h"

#define LONGEST_S 60.0

static void fail(const char *format, ...) {
    va_list arguments;
    fputs("crash_and_restart: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1); /* running processes end by themselves: their lifelines are closed */
}

static void check(sshpm_result result, const char *what) {
    if (result != SSHPM_OK) {
        fail("%s: %s (%s)", what, sshpm_last_error_message(), sshpm_strerror(result));
    }
}

static sshpm_session *read_session(const char *path) {
    static char json[1 << 20];
    sshpm_session *session;
    FILE *file = fopen(path, "r");
    size_t size;

    if (file == NULL) {
        fail("%s: cannot be read", path);
    }
    size = fread(json, 1, sizeof json - 1, file);
    if (ferror(file) || !feof(file)) {
        fail("%s: cannot be read, or has more than 1 MiB", path);
    }
    fclose(file);
    json[size] = '\0';
    check(sshpm_session_from_json(json, &session), path);
    if (sshpm_session_count(session) == 0) {
        fail("%s: contains no process", path);
    }
    return session;
}

/* Waits until the application runs, and returns its pid. */
static int64_t wait_for_pid(sshpm_manager *manager, const char *uuid) {
    int64_t pid;
    check(sshpm_manager_wait_until_started(manager, uuid, LONGEST_S, &pid), uuid);
    printf("%s runs with pid %" PRId64 "\n", uuid, pid);
    return pid;
}

/* Crashes the application, waits for its exit, and prints how it ended. */
static void crash(sshpm_manager *manager, const char *uuid) {
    sshpm_exit_status *status;
    int32_t code;

    check(sshpm_manager_crash_process(manager, uuid, SIGSEGV), uuid);
    check(sshpm_manager_wait_for_process_exit_code(manager, uuid, LONGEST_S, &code), uuid);
    check(sshpm_manager_get_exit_status(manager, uuid, &status), uuid);
    if (sshpm_exit_status_get_signal(status) != SIGSEGV || code != 128 + SIGSEGV) {
        fail("%s ended with code %" PRId32 ", not by SIGSEGV", uuid, code);
    }
    puts(sshpm_exit_status_get_message(status));
    sshpm_exit_status_free(status);
}

int main(int argc, char **argv) {
    const char *file = NULL, *ssh_config = NULL;
    long times = 3, i;
    int at;
    sshpm_options *options;
    sshpm_launcher *launcher;
    sshpm_manager *manager;
    sshpm_session *session;
    const sshpm_boot_request *request;
    sshpm_exit_status *status;
    const char *name;
    char *end;
    int64_t pid, former;
    bool local = false, as_asked;

    fill_standard_streams();
    for (at = 1; at < argc; at++) {
        if (strcmp(argv[at], "--ssh-config") == 0 && at + 1 < argc) {
            ssh_config = argv[++at];
        } else if (strcmp(argv[at], "--local") == 0) {
            local = true;
        } else if (strcmp(argv[at], "--times") == 0 && at + 1 < argc) {
            times = strtol(argv[++at], &end, 10);
            if (end == argv[at] || *end != '\0' || times < 0) {
                fail("invalid --times \"%s\": must be a number, 0 or more", argv[at]);
            }
        } else if (argv[at][0] != '-' && file == NULL) {
            file = argv[at];
        } else {
            file = NULL;
            break;
        }
    }
    if (file == NULL) {
        fail("usage: crash_and_restart [--ssh-config FILE | --local] [--times N] SESSION.json");
    }
    setvbuf(stdout, NULL, _IOLBF, 0);

    session = read_session(file);
    request = sshpm_session_get_request(session, 0);
    name = sshpm_session_get_uuid(session, 0);
    check(sshpm_options_new(&options), "options");
    check(sshpm_options_set_ssh_config(options, ssh_config), "ssh_config");
    if (local) {
        check(sshpm_launcher_new_local(&launcher), "launcher");
        check(sshpm_options_set_launcher(options, launcher), "launcher");
        sshpm_launcher_free(launcher); /* the options have a copy */
    }
    check(sshpm_manager_new(options, &manager), "manager");
    sshpm_options_free(options);

    check(sshpm_manager_start_process(manager, name, request, NULL), name);
    pid = wait_for_pid(manager, name);
    for (i = 1; i <= times; i++) {
        crash(manager, name);
        former = pid;
        check(sshpm_manager_restart_process(manager, name, SSHPM_TIMEOUT_DEFAULT, NULL), name);
        pid = wait_for_pid(manager, name);
        printf("restart %ld of %ld: pid %" PRId64 " after %" PRId64 "\n", i, times, pid, former);
    }
    check(sshpm_manager_kill_process(manager, name, SSHPM_TIMEOUT_DEFAULT, &status), name);
    puts(sshpm_exit_status_get_message(status));
    as_asked = sshpm_exit_status_get_source(status) == SSHPM_EXIT_SOURCE_MANUAL_KILL_THROUGH_REMOTE_PID;

    sshpm_exit_status_free(status);
    sshpm_manager_free(manager);
    sshpm_session_free(session);
    return output_is_complete("crash_and_restart") && as_asked ? 0 : 1;
}
