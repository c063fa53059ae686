/*
 * boot_session: boots a session of processes on remote hosts, shows what happens, and shuts them down in order.
 *
 *   boot_session [--ssh-config FILE | --local] [--seconds N] [--timeout S] [--verbose] SESSION.json
 *
 *       --ssh-config FILE   the file for `ssh -F`, instead of the user's and the system's ssh_config
 *       --local             every host is this machine: the shells are started here, without ssh
 *       --seconds N         shut down N seconds after the boot; default: on Ctrl-C, or when all have ended
 *       --timeout S         how many seconds the shutdown may take before it kills what still runs (default 60)
 *       --verbose           also print the library's log to stderr
 *
 * SESSION.json has the processes, their defaults, and how they boot (see sshpm_session_from_json).
 * Ctrl-C, SIGTERM or SIGHUP shuts down, also during the boot. A second one kills at once what still runs.
 * On a terminal, states have colours, unless NO_COLOR is set in the environment.
 *
 * Exit code: 0 when each process ran, and ended because it was asked to; 1 when not, or when stdout could not be
 * written; 2 on any other error.
 *
 * How it works: sshpm_manager_start_session boots the stages, and calls a function of this program for each change.
 * Then a queue of events tells which process ends. One thread waits for signals, which a signal handler could do less
 * with.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sshpm.h"
#include "streams.h"

#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define RED "\033[31m"

struct program {
    const char *file, *ssh_config;
    double seconds, timeout_s, begun_at;
    bool local, verbose, colours;
    int name_width; /* of the column */
    sshpm_session *session;
    sshpm_manager *manager;
    sshpm_subscription *subscription;
    pthread_t signal_thread;
    pthread_mutex_t lock;
    int stops; /* how often it was asked to stop; under the lock */
    bool over; /* under the lock */
};

/* ---- small helpers ---- */

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fail(const char *format, ...) {
    va_list arguments;
    fputs("boot_session: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(2);
}

/* For calls that should not fail. It is safe to exit while processes run: the manager's ends of their connections
 * close, and the processes end by their link loss policy. */
static void check(sshpm_result result, const char *what) {
    if (result != SSHPM_OK) {
        fail("%s: %s (%s)", what, sshpm_last_error_message(), sshpm_strerror(result));
    }
}

static void *allocate(size_t count, size_t size) {
    void *memory = calloc(count > 0 ? count : 1, size);
    if (memory == NULL) {
        fail("out of memory");
    }
    return memory;
}

static const char *in_colour(const struct program *program, const char *colour) {
    return program->colours ? colour : "";
}

static const char *no_colour(const struct program *program) {
    return in_colour(program, "\033[0m");
}

/* Prints text that a host may have written: replaces control characters, and indents lines. */
static void print_text(const char *text) {
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '\n') {
            fputs("\n        ", stdout);
        } else {
            putchar(byte < 0x20 || byte == 0x7f ? '?' : byte);
        }
    }
    putchar('\n');
}

/* ---- the command line and the session file ---- */

static double seconds_of(const char *option, const char *text) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= 0)) {
        fail("invalid %s \"%s\": must be a number of seconds, 0 or more", option, text);
    }
    return value;
}

static void parse_arguments(struct program *program, int argc, char **argv) {
    int at;
    for (at = 1; at < argc; at++) {
        const char *value = at + 1 < argc ? argv[at + 1] : NULL;
        if (strcmp(argv[at], "--verbose") == 0) {
            program->verbose = true;
        } else if (strcmp(argv[at], "--local") == 0) {
            program->local = true;
        } else if (strcmp(argv[at], "--ssh-config") == 0 && value != NULL) {
            program->ssh_config = argv[++at];
        } else if (strcmp(argv[at], "--seconds") == 0 && value != NULL) {
            program->seconds = seconds_of(argv[at], value);
            at++;
        } else if (strcmp(argv[at], "--timeout") == 0 && value != NULL) {
            program->timeout_s = seconds_of(argv[at], value);
            at++;
        } else if (argv[at][0] != '-' && program->file == NULL) {
            program->file = argv[at];
        } else {
            program->file = NULL;
            break;
        }
    }
    if (program->file == NULL) {
        fail("usage: boot_session [--ssh-config FILE | --local] [--seconds N] [--timeout S] [--verbose] SESSION.json");
    }
}

static char *read_file(const char *path) {
    size_t size = 0, capacity = 1 << 16;
    char *text = (char *)allocate(capacity, 1);
    FILE *file = fopen(path, "r");

    if (file == NULL) {
        fail("%s: %s", path, strerror(errno));
    }
    for (;;) {
        size_t got = fread(text + size, 1, capacity - size - 1, file);
        size += got;
        if (got == 0) {
            break;
        }
        if (size + 1 == capacity) {
            capacity *= 2;
            text = (char *)realloc(text, capacity);
            if (text == NULL) {
                fail("out of memory");
            }
        }
    }
    if (ferror(file)) {
        fail("%s: %s", path, strerror(errno));
    }
    fclose(file);
    text[size] = '\0';
    if (strlen(text) != size) {
        fail("%s: contains a NUL byte", path); /* text after it would be ignored */
    }
    return text;
}

static void read_session(struct program *program) {
    char *json = read_file(program->file);
    size_t i;

    check(sshpm_session_from_json(json, &program->session), program->file);
    free(json);
    if (sshpm_session_count(program->session) == 0) {
        fail("%s: contains no process", program->file);
    }
    for (i = 0; i < sshpm_session_count(program->session); i++) {
        int width = (int)strlen(sshpm_session_get_uuid(program->session, i));
        program->name_width = width > program->name_width ? width : program->name_width;
    }
}

/* ---- signals ---- */

/* Returns how often the program was asked to stop. */
static int stops(struct program *program) {
    int stops;
    pthread_mutex_lock(&program->lock);
    stops = program->stops;
    pthread_mutex_unlock(&program->lock);
    return stops;
}

static void stop_signals(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
}

static void *wait_for_signals(void *argument) {
    struct program *program = (struct program *)argument;
    sigset_t set;
    int number, stops;
    bool over;

    stop_signals(&set);
    for (;;) {
        sigwait(&set, &number);
        pthread_mutex_lock(&program->lock);
        stops = ++program->stops;
        over = program->over;
        pthread_mutex_unlock(&program->lock);
        if (over) {
            return NULL;
        }
        if (stops == 1) {
            sshpm_subscription_wake(program->subscription);
        } else {
            /* With a timeout of 0, it kills at once what still runs. The other shutdown then ends too. */
            check(sshpm_manager_shutdown(program->manager, 0.0, NULL), "shutdown");
        }
    }
}

/* Makes one thread get the signals. The threads that are started later inherit that they are blocked. */
static void take_signals(struct program *program) {
    sigset_t set;
    int error;

    stop_signals(&set);
    error = pthread_sigmask(SIG_BLOCK, &set, NULL);
    error = error != 0 ? error : pthread_create(&program->signal_thread, NULL, wait_for_signals, program);
    if (error != 0) {
        fail("cannot start a thread: %s", strerror(error));
    }
}

static void end_signals(struct program *program) {
    pthread_mutex_lock(&program->lock);
    program->over = true;
    pthread_mutex_unlock(&program->lock);
    pthread_kill(program->signal_thread, SIGTERM);
    pthread_join(program->signal_thread, NULL);
}

/* ---- the boot ---- */

static const char *state_name(int32_t state) {
    switch (state) {
    case SSHPM_BOOT_NOT_STARTED:
        return "not started";
    case SSHPM_BOOT_STARTING:
        return "starting";
    case SSHPM_BOOT_STARTED:
        return "started";
    case SSHPM_BOOT_READY:
        return "ready";
    case SSHPM_BOOT_NOT_READY:
        return "not ready";
    case SSHPM_BOOT_FAILED:
        return "failed";
    case SSHPM_BOOT_ENDED:
        return "ended";
    default:
        return "?"; /* a later version of the library may have more states */
    }
}

static bool runs(int32_t state) {
    return state == SSHPM_BOOT_STARTED || state == SSHPM_BOOT_READY;
}

static const char *colour_of(int32_t state) {
    if (runs(state)) {
        return GREEN;
    }
    return state == SSHPM_BOOT_STARTING || state == SSHPM_BOOT_NOT_STARTED ? YELLOW : RED;
}

static void print_line(const struct program *program, const char *uuid, const char *colour, const char *what,
                       const char *message) {
    printf("%7.2f s  %-*s  %s%s%s%s", now() - program->begun_at, program->name_width, uuid, in_colour(program, colour),
           what, no_colour(program), message[0] != '\0' ? ": " : "");
    print_text(message);
}

static void print_state(const struct program *program, const char *uuid, int32_t state, const char *message) {
    print_line(program, uuid, colour_of(state), state_name(state), message);
}

/* Returns whether the boot goes on. It is called at least once in each second, so Ctrl-C need not wait longer. */
static bool on_progress(size_t stage, size_t stages, const char *uuid, int32_t state, const sshpm_exit_status *status,
                        sshpm_result error, const char *message, void *user_data) {
    struct program *program = (struct program *)user_data;
    static size_t shown = 0;
    (void)status;
    (void)error;
    if (stage > shown) {
        shown = stage;
        printf("stage %zu of %zu\n", stage, stages);
    }
    if (uuid != NULL) {
        print_state(program, uuid, state, message);
    }
    fflush(stdout);
    return stops(program) == 0;
}

/* Boots the session, and shows those processes of which the callback has told nothing. */
static sshpm_session_results *boot(struct program *program) {
    sshpm_session_results *results;
    bool complete;
    size_t i;

    program->begun_at = now();
    check(sshpm_manager_start_session(program->manager, program->session, on_progress, program, &results), "boot");
    for (i = 0; i < sshpm_session_results_count(results); i++) {
        int32_t state = sshpm_session_results_get_state(results, i);
        if (state == SSHPM_BOOT_NOT_STARTED || state == SSHPM_BOOT_STARTING) {
            print_state(program, sshpm_session_results_get_uuid(results, i), state, "");
        }
    }
    complete = sshpm_session_results_get_outcome(results) == SSHPM_SESSION_COMPLETE;
    printf("%7.2f s  %s%s%s\n", now() - program->begun_at, in_colour(program, complete ? GREEN : RED),
           sshpm_session_results_get_outcome_message(results), no_colour(program));
    fflush(stdout);
    return results;
}

/* Returns the index of a process in the results, or their count if it is not there. */
static size_t place_in(const sshpm_session_results *results, const char *uuid) {
    size_t i, count = sshpm_session_results_count(results);
    for (i = 0; i < count && strcmp(sshpm_session_results_get_uuid(results, i), uuid) != 0; i++) {
    }
    return i;
}

/* Returns whether a process was not over when the boot returned. */
static bool outlived_boot(const sshpm_session_results *results, size_t place) {
    int32_t state = sshpm_session_results_get_state(results, place);
    return runs(state) || state == SSHPM_BOOT_STARTING || state == SSHPM_BOOT_NOT_READY;
}

/* Returns how many processes have not ended for good. A restart policy may start a process again after it has ended, so
 * the events of ends cannot be counted. */
static size_t count_left(const struct program *program, const sshpm_session_results *results) {
    size_t i, left = 0;

    for (i = 0; i < sshpm_session_results_count(results); i++) {
        const char *uuid = sshpm_session_results_get_uuid(results, i);
        int32_t state;
        sshpm_result result = sshpm_manager_get_process_state(program->manager, uuid, &state);
        if (result == SSHPM_ERROR_UNKNOWN_UUID) {
            continue; /* the shutdown of a second signal has taken it out of the table */
        }
        check(result, uuid);
        left += state != SSHPM_STATE_ENDED && state != SSHPM_STATE_FAILED;
    }
    return left;
}

/* Shows an event after which the process does not run. */
static void show_end(const struct program *program, const sshpm_session_results *results, const sshpm_event *event) {
    const char *uuid = sshpm_event_get_uuid(event), *message = sshpm_event_get_message(event);
    /* The queue also has the events of the boot. */
    bool is_new = outlived_boot(results, place_in(results, uuid));
    char pause[32];

    switch (sshpm_event_get_type(event)) {
    case SSHPM_EVENT_EXITED:
    case SSHPM_EVENT_START_FAILED:
        if (is_new) {
            bool failed = sshpm_event_get_type(event) == SSHPM_EVENT_START_FAILED;
            print_state(program, uuid, failed ? SSHPM_BOOT_FAILED : SSHPM_BOOT_ENDED, message);
        }
        break;
    case SSHPM_EVENT_RESTARTING:
        snprintf(pause, sizeof pause, "in %g s", sshpm_event_get_pause(event));
        print_line(program, uuid, YELLOW, "restarting", pause);
        break;
    case SSHPM_EVENT_RESTART_LIMIT_REACHED:
        print_line(program, uuid, RED, "not restarted", message);
        break;
    default:
        break; /* a later version of the library may have more events */
    }
    fflush(stdout);
}

/* Waits until the time is over, a signal comes, or all processes have ended. Shows each that ends. */
static const char *follow(struct program *program, const sshpm_session_results *results) {
    double until = now() + program->seconds;
    size_t left = count_left(program, results);
    sshpm_event *event;
    sshpm_result result;

    for (;;) {
        double wait = program->seconds < 0 ? (double)INFINITY : until > now() ? until - now() : 0.0;
        if (stops(program) > 0) {
            return "as asked";
        }
        /* When all have ended, only the events that already wait are shown. */
        result = sshpm_subscription_next(program->subscription, left > 0 ? wait : 0.0, &event);
        if (result == SSHPM_ERROR_NO_EVENT) {
            return left > 0 ? "the time is over" : "all have ended";
        }
        if (result == SSHPM_ERROR_WOKEN) {
            continue;
        }
        check(result, "events");
        show_end(program, results, event);
        switch (sshpm_event_get_type(event)) {
        case SSHPM_EVENT_EXITED:
        case SSHPM_EVENT_START_FAILED:
        case SSHPM_EVENT_RESTART_LIMIT_REACHED:
            left = count_left(program, results);
            break;
        default:
            break;
        }
        sshpm_event_free(event);
    }
}

/* ---- the end ---- */

/* Shows how one process ended. Returns whether it ran, and ended as asked. */
static bool print_end(const struct program *program, const char *uuid, bool ran, const sshpm_exit_status *status,
                      const char *message) {
    bool good = ran && status != NULL &&
                sshpm_exit_status_get_source(status) == SSHPM_EXIT_SOURCE_MANUAL_KILL_THROUGH_REMOTE_PID;
    char code_text[16] = "-";
    int32_t code;

    if (status != NULL && sshpm_exit_status_get_code(status, &code) == SSHPM_OK) {
        snprintf(code_text, sizeof code_text, "%" PRId32, code);
    }
    printf("%s%-*s  %-30s  %4s%s  ", in_colour(program, good ? GREEN : RED), program->name_width, uuid,
           status != NULL ? sshpm_exit_status_get_source_name(status) : "-", code_text, no_colour(program));
    print_text(status != NULL ? sshpm_exit_status_get_sentence(status) : message);
    return good;
}

/* Ends all processes, and prints how each ended. Returns whether each ended as asked. */
static bool shut_down(const struct program *program, const sshpm_session_results *results) {
    size_t i, good = 0, count = sshpm_session_count(program->session);
    sshpm_kill_results *ended;

    check(sshpm_manager_shutdown(program->manager, program->timeout_s, &ended), "shutdown");
    printf("\n%-*s  %-30s  %4s  %s\n", program->name_width, "NAME", "SOURCE OF THE END", "CODE", "MEANING");
    for (i = 0; i < sshpm_kill_results_count(ended); i++) {
        const char *uuid = sshpm_kill_results_get_uuid(ended, i);
        int32_t state = sshpm_session_results_get_state(results, place_in(results, uuid));
        good += print_end(program, uuid, state != SSHPM_BOOT_FAILED && state != SSHPM_BOOT_STARTING,
                          sshpm_kill_results_get_status(ended, i), sshpm_kill_results_get_message(ended, i));
    }
    sshpm_kill_results_free(ended);
    printf("\n%zu of %zu ended as asked.\n", good, count);
    return good == count;
}

static void on_log(int32_t level, const char *target, const char *message, void *user_data) {
    static const char *const names[] = {"off", "error", "warn", "info", "debug"};
    (void)user_data;
    /* One call: the library's threads may log at the same time. */
    fprintf(stderr, "%s %s: %s\n", names[level >= 0 && level <= 4 ? level : 0], target, message);
}

/* Before the program ends, the library's threads must not call on_log any more. */
static void turn_log_off(void) {
    sshpm_set_log_callback(SSHPM_LOG_OFF, NULL, NULL);
}

static void make_manager(struct program *program) {
    sshpm_options *options;
    sshpm_launcher *local;

    if (program->verbose) {
        check(sshpm_set_log_callback(SSHPM_LOG_DEBUG, on_log, NULL), "log");
        if (atexit(turn_log_off) != 0) {
            fail("atexit failed");
        }
    }
    check(sshpm_options_new(&options), "options");
    if (program->ssh_config != NULL) {
        check(sshpm_options_set_ssh_config(options, program->ssh_config), "ssh_config");
    }
    if (program->local) {
        check(sshpm_launcher_new_local(&local), "launcher");
        check(sshpm_options_set_launcher(options, local), "launcher");
        sshpm_launcher_free(local); /* the options have a copy */
    }
    check(sshpm_manager_new(options, &program->manager), "manager");
    sshpm_options_free(options); /* the manager has a copy */
    /* Subscribe before the boot, so that no event is missed. */
    check(sshpm_manager_subscribe(program->manager, &program->subscription), "subscription");
}

int main(int argc, char **argv) {
    const char *colours = getenv("NO_COLOR");
    sshpm_session_results *results;
    struct program program;
    bool good;

    fill_standard_streams();
    memset(&program, 0, sizeof program);
    program.seconds = -1;
    program.timeout_s = 60;
    program.name_width = 4; /* the width of the heading */
    program.colours = isatty(STDOUT_FILENO) && (colours == NULL || colours[0] == '\0');
    pthread_mutex_init(&program.lock, NULL);
    parse_arguments(&program, argc, argv);
    read_session(&program);
    make_manager(&program);
    take_signals(&program);

    results = boot(&program);
    good = sshpm_session_results_get_outcome(results) == SSHPM_SESSION_COMPLETE;
    printf("shutting down: %s\n", good ? follow(&program, results) : "the boot is not complete");
    fflush(stdout);
    good = shut_down(&program, results) && good;

    end_signals(&program);
    sshpm_session_results_free(results);
    sshpm_subscription_free(program.subscription);
    sshpm_manager_free(program.manager);
    sshpm_session_free(program.session);
    return output_is_complete("boot_session") && good ? 0 : 1;
}
