/*
 * boot_session: boots a session of processes on remote hosts, shows them, and shuts them down in order.
 *
 *   boot_session [--ssh-config FILE | --local] [--seconds N] [--timeout S] [--verbose] SESSION.json
 *
 *       --ssh-config FILE   the file for `ssh -F`, instead of the user's and the system's ssh_config
 *       --local             every host is this machine: the shells are started here, without ssh
 *       --seconds N         shut down N seconds after the boot; default: on Ctrl-C, or when all have ended
 *       --timeout S         how many seconds the shutdown may take before it kills what still runs (default 60)
 *       --verbose           also print the library's log to stderr, and lines instead of the table
 *
 * SESSION.json is an array of boot requests (see sshpm_boot_request_from_json). Each needs a name of its own.
 * Ctrl-C, SIGTERM or SIGHUP shuts down, also during the boot. A second one kills at once what still runs.
 *
 * Exit code: 0 when each process ran, and ended because it was asked to; 1 when not, or when stdout could not be
 * written; 2 on any other error.
 *
 * How it works: the library reports what happens as events. Their queue has a descriptor. The main loop gives it to
 * poll(2), together with a pipe that the signal handler writes to, and so waits for everything in one place.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "sshpm.h"
#include "streams.h"

enum phase { BOOTING, RUNNING, ENDING, OVER };

struct process {
    char *name, *host, *role; /* strings of the library */
    int64_t pid;              /* on its host; -1: not known yet */
    int32_t state, shown;     /* SSHPM_STATE_...: now, and when it was last printed */
    bool ran;
    double since, until; /* for its age */
    char *refused;       /* why the manager refused to start it */
};

/* sshpm_manager_shutdown blocks, and the table has to follow the events meanwhile. Therefore a thread calls it. */
struct shutdown {
    sshpm_manager *manager;
    double timeout_s;
    char when_done; /* the byte for the pipe */
    pthread_t thread;
    bool begun;
    sshpm_result result;
    char *message;
    sshpm_kill_results *results;
};

struct session {
    const char *file, *ssh_config;
    char *title;
    double seconds, timeout_s; /* seconds < 0: no limit */
    bool local, verbose, terminal;
    struct process *processes;
    size_t count;
    int name_width, host_width, role_width; /* of the columns */
    sshpm_manager *manager;
    sshpm_subscription *subscription;
    enum phase phase;
    char why[128]; /* why it ends */
    double begun_at, booted_at;
    struct shutdown orderly, quick;
    size_t drawn; /* lines on the terminal */
};

static int wakeup[2]; /* a pipe: 's' for a signal, 'o' and 'q' when the orderly and the quick shutdown are done */

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

static char *copy(const char *text) {
    char *memory = (char *)allocate(strlen(text) + 1, 1);
    strcpy(memory, text);
    return memory;
}

static void wake(char byte) {
    ssize_t written = write(wakeup[1], &byte, 1);
    (void)written; /* it fails only if the pipe is full, and then poll wakes up anyway */
}

static const char *state_name(int32_t state) {
    switch (state) {
    case SSHPM_STATE_CONNECTING:
        return "connecting";
    case SSHPM_STATE_STARTING:
        return "starting";
    case SSHPM_STATE_RUNNING:
        return "running";
    case SSHPM_STATE_ENDING:
        return "ending";
    case SSHPM_STATE_LINK_LOST:
        return "link lost";
    case SSHPM_STATE_ENDED:
        return "ended";
    case SSHPM_STATE_FAILED:
        return "failed";
    default:
        return "?";
    }
}

static bool has_ended(const struct process *process) {
    return process->state == SSHPM_STATE_ENDED || process->state == SSHPM_STATE_FAILED;
}

static bool is_booting(const struct process *process) {
    return process->state == SSHPM_STATE_CONNECTING || process->state == SSHPM_STATE_STARTING;
}

static size_t count_processes(const struct session *session, bool (*which)(const struct process *)) {
    size_t i, found = 0;
    for (i = 0; i < session->count; i++) {
        found += which(&session->processes[i]);
    }
    return found;
}

static bool runs(const struct process *process) {
    return process->state == SSHPM_STATE_RUNNING;
}

static bool did_not_start(const struct process *process) {
    return process->state == SSHPM_STATE_FAILED;
}

static struct process *find(struct session *session, const char *name) {
    size_t i;
    for (i = 0; i < session->count; i++) {
        if (strcmp(session->processes[i].name, name) == 0) {
            return &session->processes[i];
        }
    }
    return NULL;
}

static void widen(int *width, const char *text) {
    if ((int)strlen(text) > *width) {
        *width = (int)strlen(text);
    }
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

static void parse_arguments(struct session *session, int argc, char **argv) {
    int at;
    for (at = 1; at < argc; at++) {
        const char *value = at + 1 < argc ? argv[at + 1] : NULL;
        if (strcmp(argv[at], "--verbose") == 0) {
            session->verbose = true;
        } else if (strcmp(argv[at], "--local") == 0) {
            session->local = true;
        } else if (strcmp(argv[at], "--ssh-config") == 0 && value != NULL) {
            session->ssh_config = argv[++at];
        } else if (strcmp(argv[at], "--seconds") == 0 && value != NULL) {
            session->seconds = seconds_of(argv[at], value);
            at++;
        } else if (strcmp(argv[at], "--timeout") == 0 && value != NULL) {
            session->timeout_s = seconds_of(argv[at], value);
            at++;
        } else if (argv[at][0] != '-' && session->file == NULL) {
            session->file = argv[at];
        } else {
            session->file = NULL;
            break;
        }
    }
    if (session->file == NULL) {
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

static sshpm_boot_request_list *read_session(struct session *session) {
    sshpm_boot_request_list *requests;
    char *json = read_file(session->file);
    size_t i;

    check(sshpm_boot_request_list_from_json(json, &requests), session->file);
    free(json);
    session->count = sshpm_boot_request_list_count(requests);
    if (session->count == 0) {
        fail("%s: contains no process", session->file);
    }
    session->processes = (struct process *)allocate(session->count, sizeof *session->processes);
    for (i = 0; i < session->count; i++) {
        const sshpm_boot_request *request = sshpm_boot_request_list_get(requests, i);
        struct process *process = &session->processes[i];
        check(sshpm_boot_request_get_name(request, &process->name), "name");
        check(sshpm_boot_request_get_host(request, &process->host), "host");
        check(sshpm_boot_request_get_role(request, &process->role), "role");
        widen(&session->name_width, process->name);
        widen(&session->host_width, process->host);
        widen(&session->role_width, process->role);
        process->pid = -1;
        process->state = process->shown = SSHPM_STATE_CONNECTING;
        /* The manager identifies a process by its uuid. Here the name is the uuid, so each name must be unique. */
        if (process->name[0] == '\0') {
            fail("%s: process %zu has no name", session->file, i + 1);
        }
        if (find(session, process->name) != process) {
            fail("%s: two processes have the name \"%s\"", session->file, process->name);
        }
    }
    check(sshpm_boot_request_get_session(sshpm_boot_request_list_get(requests, 0), &session->title), "session");
    return requests;
}

/* ---- the table ---- */

static double age(const struct process *process) {
    return (process->until > 0 ? process->until : now()) - process->since;
}

static void describe(const struct session *session, char *line, size_t size) {
    size_t failed = count_processes(session, did_not_start);
    size_t running = count_processes(session, runs);
    const char *title = session->title[0] != '\0' ? session->title : session->file;
    char failures[48] = "";

    if (failed > 0) {
        snprintf(failures, sizeof failures, ", %zu failed", failed);
    }
    switch (session->phase) {
    case BOOTING:
        snprintf(line, size, "%s: booting, %zu of %zu running%s", title, running, session->count, failures);
        break;
    case RUNNING:
        snprintf(line, size, "%s: %zu of %zu running%s (Ctrl-C shuts down)", title, running, session->count, failures);
        break;
    case ENDING:
        snprintf(line, size, "%s: shutting down (%s), %zu of %zu have ended", title, session->why,
                 count_processes(session, has_ended), session->count);
        break;
    case OVER:
        snprintf(line, size, "%s: shut down (%s)", title, session->why);
        break;
    }
}

/* Draws the table on a terminal: moves the cursor up to its first line, and writes all lines again. */
static void draw_table(struct session *session) {
    struct winsize window;
    size_t columns = 80, rows = 24, i, shown;
    char line[512];

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 && window.ws_row > 0) {
        columns = window.ws_col;
        rows = window.ws_row;
    }
    if (session->drawn > 0) {
        printf("\033[%zuA\r", session->drawn);
    }
    describe(session, line, sizeof line);
    printf("%.*s\033[K\n", (int)columns - 1, line);
    snprintf(line, sizeof line, "%-*s  %-*s  %-*s  %8s  %-10s %7s", session->name_width, "NAME", session->host_width,
             "HOST", session->role_width, "ROLE", "PID", "STATE", "AGE");
    printf("%.*s\033[K\n", (int)columns - 1, line);
    /* Lines that have left the screen cannot be written again. */
    shown = session->count + 3 <= rows ? session->count : rows > 4 ? rows - 4 : 0;
    for (i = 0; i < shown; i++) {
        const struct process *process = &session->processes[i];
        char pid[24] = "-";
        if (process->pid >= 0) {
            snprintf(pid, sizeof pid, "%" PRId64, process->pid);
        }
        snprintf(line, sizeof line, "%-*s  %-*s  %-*s  %8s  %-10s %5.0f s", session->name_width, process->name,
                 session->host_width, process->host, session->role_width, process->role, pid,
                 state_name(process->state), age(process));
        printf("%.*s\033[K\n", (int)columns - 1, line);
    }
    session->drawn = shown + 2;
    if (shown < session->count) {
        printf("... and %zu more\033[K\n", session->count - shown);
        session->drawn++;
    }
    printf("\033[J");
    fflush(stdout);
}

/* Prints a line for each change: for log files and pipes. */
static void print_changes(struct session *session) {
    static enum phase told = OVER;
    char line[512];
    size_t i;

    for (i = 0; i < session->count; i++) {
        struct process *process = &session->processes[i];
        if (process->state != process->shown) {
            process->shown = process->state;
            printf("%7.2f s  %-*s  %-*s  %-*s  %-10s", now() - session->begun_at, session->name_width, process->name,
                   session->host_width, process->host, session->role_width, process->role, state_name(process->state));
            if (process->pid >= 0) {
                printf(" pid %" PRId64, process->pid);
            }
            if (session->phase == BOOTING) {
                printf(" (%zu of %zu running)", count_processes(session, runs), session->count);
            }
            putchar('\n');
        }
    }
    if (told != session->phase) {
        told = session->phase;
        describe(session, line, sizeof line);
        puts(line);
    }
    fflush(stdout);
}

static void show(struct session *session) {
    if (session->terminal) {
        draw_table(session);
    } else {
        print_changes(session);
    }
}

/* ---- following the processes ---- */

static void take_event(struct session *session, const sshpm_event *event) {
    struct process *process = find(session, sshpm_event_get_uuid(event));

    if (process == NULL) {
        return;
    }
    switch (sshpm_event_get_type(event)) {
    case SSHPM_EVENT_STARTED:
        process->ran = true;
        process->pid = sshpm_event_get_pid(event);
        process->state = SSHPM_STATE_RUNNING;
        process->since = now();
        break;
    case SSHPM_EVENT_LINK_LOST:
        process->state = SSHPM_STATE_LINK_LOST;
        break;
    case SSHPM_EVENT_EXITED:
        process->state = SSHPM_STATE_ENDED;
        process->until = now();
        break;
    case SSHPM_EVENT_START_FAILED:
        process->state = SSHPM_STATE_FAILED;
        process->until = now();
        break;
    default:
        break; /* a later version of the library may have more events */
    }
}

static void take_events(struct session *session) {
    sshpm_event *event;
    sshpm_result result;

    while ((result = sshpm_subscription_next(session->subscription, 0.0, &event)) == SSHPM_OK) {
        take_event(session, event);
        sshpm_event_free(event);
        if (!session->terminal) {
            print_changes(session); /* so that each change is printed */
        }
    }
    if (result != SSHPM_ERROR_NO_EVENT) {
        check(result, "events");
    }
}

/* Asks the manager for the states: no event reports that a process is being started or ended. */
static void look_at_states(struct session *session) {
    size_t i;

    for (i = 0; i < session->count; i++) {
        struct process *process = &session->processes[i];
        int32_t state;
        if (has_ended(process)) {
            continue;
        }
        /* A process that was killed has left the manager's table; its last event is on the way. The state of an ended
         * process is also taken from its event, not from here. */
        if (sshpm_manager_get_process_state(session->manager, process->name, &state) == SSHPM_OK &&
            (state == SSHPM_STATE_STARTING || state == SSHPM_STATE_ENDING)) {
            process->state = state;
            if (process->pid < 0 &&
                sshpm_manager_get_remote_pid(session->manager, process->name, &process->pid) != SSHPM_OK) {
                process->pid = -1; /* it is not known yet */
            }
        }
    }
}

/* ---- signals and shutdown ---- */

static void on_signal(int number) {
    int saved = errno;
    (void)number;
    wake('s');
    errno = saved;
}

static void prepare_signals(void) {
    struct sigaction action;

    if (pipe(wakeup) < 0 || fcntl(wakeup[0], F_SETFL, O_NONBLOCK) < 0 || fcntl(wakeup[1], F_SETFL, O_NONBLOCK) < 0 ||
        fcntl(wakeup[0], F_SETFD, FD_CLOEXEC) < 0 || fcntl(wakeup[1], F_SETFD, FD_CLOEXEC) < 0) {
        fail("pipe: %s", strerror(errno));
    }
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    action.sa_handler = on_signal;
    if (sigaction(SIGINT, &action, NULL) < 0 || sigaction(SIGTERM, &action, NULL) < 0 ||
        sigaction(SIGHUP, &action, NULL) < 0) {
        fail("sigaction: %s", strerror(errno));
    }
}

static void *run_shutdown(void *argument) {
    struct shutdown *shutdown = (struct shutdown *)argument;
    shutdown->result = sshpm_manager_shutdown(shutdown->manager, shutdown->timeout_s, &shutdown->results);
    if (shutdown->result != SSHPM_OK) {
        shutdown->message = copy(sshpm_last_error_message()); /* each thread has its own last error */
    }
    wake(shutdown->when_done);
    return NULL;
}

static void begin_shutdown(struct session *session, struct shutdown *shutdown, double timeout_s, char when_done) {
    int error;
    shutdown->manager = session->manager;
    shutdown->timeout_s = timeout_s;
    shutdown->when_done = when_done;
    error = pthread_create(&shutdown->thread, NULL, run_shutdown, shutdown);
    if (error != 0) {
        fail("cannot start a thread: %s", strerror(error));
    }
    shutdown->begun = true;
}

static void end_session(struct session *session, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(session->why, sizeof session->why, format, arguments);
    va_end(arguments);
    session->phase = ENDING;
    begin_shutdown(session, &session->orderly, session->timeout_s, 'o');
}

static void take_wakeups(struct session *session) {
    char byte;
    while (read(wakeup[0], &byte, 1) == 1) {
        if (byte == 's' && session->phase < ENDING) {
            end_session(session, "as asked");
        } else if (byte == 's' && !session->quick.begun) {
            /* A second shutdown with a timeout of 0 kills at once what still runs. The first shutdown then ends too. */
            snprintf(session->why, sizeof session->why, "at once");
            begin_shutdown(session, &session->quick, 0.0, 'q');
        } else if (byte == 'o') {
            session->phase = OVER;
        }
    }
}

/* ---- the session's course ---- */

static void boot(struct session *session, const sshpm_boot_request_list *requests) {
    size_t i;
    session->begun_at = now();
    /* These calls return at once: threads of the library boot the processes, and events report the rest. */
    for (i = 0; i < session->count; i++) {
        struct process *process = &session->processes[i];
        process->since = now();
        if (sshpm_manager_start_process(session->manager, process->name, sshpm_boot_request_list_get(requests, i),
                                        NULL) != SSHPM_OK) {
            process->refused = copy(sshpm_last_error_message());
            process->state = SSHPM_STATE_FAILED;
            process->until = process->since;
        }
    }
}

static void decide(struct session *session) {
    size_t failed = count_processes(session, did_not_start);

    if (session->phase == BOOTING && count_processes(session, is_booting) == 0) {
        session->phase = RUNNING;
        session->booted_at = now();
        if (failed > 0) {
            end_session(session, "%zu did not start", failed);
        }
    }
    if (session->phase == RUNNING && count_processes(session, has_ended) == session->count) {
        end_session(session, "all have ended");
    }
    if (session->phase == RUNNING && session->seconds >= 0 && now() >= session->booted_at + session->seconds) {
        end_session(session, "after %g s", session->seconds);
    }
}

/* Returns how many milliseconds poll may wait when nothing happens. */
static int patience(const struct session *session) {
    double left = session->terminal ? 1.0 : 3600.0; /* on a terminal, the ages change each second */

    if (session->phase == ENDING) {
        left = 0.1; /* no event reports that a role's turn has come, so the states are asked for */
    } else if (session->phase == RUNNING && session->seconds >= 0) {
        double rest = session->booted_at + session->seconds - now();
        left = rest < left ? rest : left;
    }
    return left > 0 ? (int)(left * 1000) + 1 : 0;
}

static void follow(struct session *session) {
    struct pollfd sources[2];

    sources[0].fd = sshpm_subscription_get_fd(session->subscription);
    sources[1].fd = wakeup[0];
    sources[0].events = sources[1].events = POLLIN;
    for (;;) {
        take_wakeups(session);
        take_events(session);
        look_at_states(session);
        decide(session);
        show(session);
        if (session->phase == OVER) {
            break;
        }
        if (poll(sources, 2, patience(session)) < 0 && errno != EINTR) {
            fail("poll: %s", strerror(errno));
        }
    }
}

/* ---- the end ---- */

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

static bool ended_as_asked(const struct process *process, const sshpm_exit_status *status) {
    int32_t code;
    return process->ran && status != NULL &&
           sshpm_exit_status_get_source(status) == SSHPM_EXIT_SOURCE_MANUAL_KILL_THROUGH_REMOTE_PID &&
           sshpm_exit_status_get_code(status, &code) == SSHPM_OK;
}

static void print_status(const char *name, int name_width, const sshpm_exit_status *status) {
    int signal_number = sshpm_exit_status_get_signal(status);
    char code_text[16] = "-", signal_text[16] = "-", own_code[48] = "";
    int32_t code;

    if (sshpm_exit_status_get_code(status, &code) == SSHPM_OK) {
        snprintf(code_text, sizeof code_text, "%" PRId32, code);
    } else if (sshpm_exit_status_get_application_code(status, &code) == SSHPM_OK) {
        /* The source of this end gives no code, but the remote side kept the application's code. */
        snprintf(own_code, sizeof own_code, "; its own code was %" PRId32, code);
    }
    if (signal_number > 0) {
        snprintf(signal_text, sizeof signal_text, "%d", signal_number);
    }
    printf("%-*s  %-30s  %4s  %6s  %s%s%s%s%s\n", name_width, name, sshpm_exit_status_get_source_name(status),
           code_text, signal_text, sshpm_exit_status_get_sentence(status), own_code,
           sshpm_exit_status_link_lost(status) ? "; the link was lost" : "",
           sshpm_exit_status_core_dumped(status) ? "; core dumped" : "",
           sshpm_exit_status_left_over(status) ? "; processes of its group were left, and were killed" : "");
}

/* Returns the index of a process in the results, or their count if it is not there. */
static size_t place_in(const sshpm_kill_results *results, const char *name) {
    size_t i, count = sshpm_kill_results_count(results);
    for (i = 0; i < count && strcmp(sshpm_kill_results_get_uuid(results, i), name) != 0; i++) {
    }
    return i;
}

/* Prints how each process ended, and returns how many ended as asked. */
static size_t print_ends(const struct session *session, const sshpm_kill_results *results) {
    size_t i, good = 0;

    printf("\n%-*s  %-30s  %4s  %6s  %s\n", session->name_width, "NAME", "SOURCE OF THE END", "CODE", "SIGNAL",
           "MEANING");
    for (i = 0; i < session->count; i++) {
        const struct process *process = &session->processes[i];
        size_t place = place_in(results, process->name);
        const sshpm_exit_status *status = sshpm_kill_results_get_status(results, place);
        const char *message = sshpm_kill_results_get_message(results, place);
        if (status != NULL) {
            print_status(process->name, session->name_width, status);
        } else {
            printf("%-*s  %-30s  %4s  %6s  ", session->name_width, process->name,
                   process->ran ? "unknown" : "did not start", "-", "-");
            print_text(message != NULL ? message : process->refused != NULL ? process->refused : "no result");
        }
        good += ended_as_asked(process, status);
    }
    printf("\n%zu of %zu ended as asked.\n", good, session->count);
    return good;
}

static int finish(struct session *session) {
    struct shutdown *orderly = &session->orderly;
    size_t good;

    pthread_join(orderly->thread, NULL);
    if (session->quick.begun) {
        pthread_join(session->quick.thread, NULL);
    }
    if (orderly->result != SSHPM_OK) {
        fail("shutdown: %s", orderly->message);
    }
    take_events(session);
    /* All processes were in the table when the first shutdown was called, so it has the results of all. */
    good = print_ends(session, orderly->results);
    return good == session->count ? 0 : 1;
}

static void free_session(struct session *session) {
    size_t i;

    sshpm_kill_results_free(session->orderly.results);
    sshpm_kill_results_free(session->quick.results);
    free(session->orderly.message);
    free(session->quick.message);
    sshpm_subscription_free(session->subscription);
    sshpm_manager_free(session->manager);
    for (i = 0; i < session->count; i++) {
        sshpm_string_free(session->processes[i].name);
        sshpm_string_free(session->processes[i].host);
        sshpm_string_free(session->processes[i].role);
        free(session->processes[i].refused);
    }
    free(session->processes);
    sshpm_string_free(session->title);
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

static void make_manager(struct session *session) {
    sshpm_options *options;
    sshpm_launcher *local;

    if (session->verbose) {
        check(sshpm_set_log_callback(SSHPM_LOG_DEBUG, on_log, NULL), "log");
        if (atexit(turn_log_off) != 0) {
            fail("atexit failed");
        }
    }
    check(sshpm_options_new(&options), "options");
    if (session->ssh_config != NULL) {
        check(sshpm_options_set_ssh_config(options, session->ssh_config), "ssh_config");
    }
    if (session->local) {
        check(sshpm_launcher_new_local(&local), "launcher");
        check(sshpm_options_set_launcher(options, local), "launcher");
        sshpm_launcher_free(local); /* the options have a copy */
    }
    check(sshpm_manager_new(options, &session->manager), "manager");
    sshpm_options_free(options); /* the manager has a copy */
    /* Subscribe before the first start, so that no event is missed. */
    check(sshpm_manager_subscribe(session->manager, &session->subscription), "subscription");
}

int main(int argc, char **argv) {
    struct session session;
    sshpm_boot_request_list *requests;
    int code;

    fill_standard_streams();
    memset(&session, 0, sizeof session);
    session.seconds = -1;
    session.name_width = session.host_width = session.role_width = 4; /* the width of the headings */
    session.timeout_s = 60;
    parse_arguments(&session, argc, argv);
    session.terminal = isatty(STDOUT_FILENO) && !session.verbose;
    requests = read_session(&session);
    prepare_signals();
    make_manager(&session);
    boot(&session, requests);
    sshpm_boot_request_list_free(requests); /* the manager has copies */
    follow(&session);
    code = finish(&session);
    free_session(&session);
    return output_is_complete("boot_session") ? code : 1;
}
