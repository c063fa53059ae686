/*
 * recover: a run control that can be killed with kill -9 at any time, and loses nothing when it is started again.
 *
 *   recover [--ssh-config FILE | --local] [--seconds N] [--output DIRECTORY] SESSION.json
 *
 *       --ssh-config FILE    the file for `ssh -F`, instead of the user's and the system's ssh_config
 *       --local              every host is this machine: the shells are started here, without ssh
 *       --seconds N          shut down when all have run for N seconds; default: on Ctrl-C, or when all have ended
 *       --output DIRECTORY   before the shutdown, save what each application has written (its last MiB) there, in
 *                            NAME.out
 *
 * SESSION.json is an array of boot requests (see sshpm_boot_request_from_json). Each needs a name of its own, the
 * session of all others, and "link_loss": "keep". This policy is what recovery needs: a kept process outlives this
 * program, and its host keeps its output and how it ended.
 *
 * When this program starts for the first time, it finds none of the session's applications on their hosts, and boots
 * them. When it was killed and starts again, it finds and adopts them, controls them as if it had booted them, and
 * prints what happened to each in the meantime. A shutdown by Ctrl-C or --seconds ends all and leaves nothing behind.
 *
 * Exit code: 0 when each process was booted or adopted, and ended as asked or while no manager ran; 1 when not.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "sshpm.h"
#include "streams.h"

/* How many seconds until no host counts a killed manager as alive: the lease of its connections is 30 s. */
#define LEAVING_S 60
/* How many seconds a host may take to note how an application ended. */
#define NOTING_S 2

struct process {
    const sshpm_boot_request *request;
    char *name, *host, *user; /* strings of the library; user: NULL if ssh chooses */
    bool ready, ended;        /* ready: it runs, or has run */
};

struct session {
    sshpm_manager *manager;
    sshpm_subscription *subscription;
    char *title;
    struct process *processes;
    size_t count;
    bool failed;
};

static void fail(const char *format, ...) {
    va_list arguments;
    fputs("recover: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1); /* running processes are kept: start this program again */
}

static void check(sshpm_result result, const char *what) {
    if (result != SSHPM_OK) {
        fail("%s: %s (%s)", what, sshpm_last_error_message(), sshpm_strerror(result));
    }
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- the session file ---- */

static sshpm_boot_request_list *read_requests(const char *path) {
    static char json[1 << 20];
    sshpm_boot_request_list *requests;
    FILE *file = fopen(path, "r");
    size_t size;

    if (file == NULL) {
        fail("%s: %s", path, strerror(errno));
    }
    size = fread(json, 1, sizeof json - 1, file);
    if (ferror(file) || !feof(file)) {
        fail("%s: cannot be read, or has more than 1 MiB", path);
    }
    fclose(file);
    json[size] = '\0';
    check(sshpm_boot_request_list_from_json(json, &requests), path);
    if (sshpm_boot_request_list_count(requests) == 0) {
        fail("%s: contains no process", path);
    }
    return requests;
}

static void read_session(struct session *session, const sshpm_boot_request_list *requests) {
    size_t i;

    session->count = sshpm_boot_request_list_count(requests);
    session->processes = (struct process *)calloc(session->count, sizeof *session->processes);
    if (session->processes == NULL) {
        fail("out of memory");
    }
    for (i = 0; i < session->count; i++) {
        struct process *process = &session->processes[i];
        process->request = sshpm_boot_request_list_get(requests, i);
        check(sshpm_boot_request_get_name(process->request, &process->name), "name");
        check(sshpm_boot_request_get_host(process->request, &process->host), "host");
        check(sshpm_boot_request_get_user(process->request, &process->user), "user");
    }
    check(sshpm_boot_request_get_session(session->processes[0].request, &session->title), "session");
}

static struct process *find(const struct session *session, const char *name) {
    size_t i;
    for (i = 0; i < session->count; i++) {
        if (strcmp(session->processes[i].name, name) == 0) {
            return &session->processes[i];
        }
    }
    return NULL;
}

/* ---- booting and adopting ---- */

/* Returns the index of a process of this session among those found on its host, or their count if it is not there. The
 * name is the uuid. The metadata tells processes of another session with equal names. */
static size_t place_of(const struct session *session, const char *name, const sshpm_found_processes *found) {
    size_t i, count = sshpm_found_processes_count(found);
    for (i = 0; i < count; i++) {
        const sshpm_metadata *metadata = sshpm_found_processes_get_metadata(found, i);
        if (strcmp(sshpm_found_processes_get_uuid(found, i), name) == 0 &&
            strcmp(sshpm_metadata_get_session(metadata), session->title) == 0) {
            break;
        }
    }
    return i;
}

/* Prints how a process ended while no manager ran; its host has kept this. */
static void print_end(const struct process *process, int64_t pid, const sshpm_exit_status *status) {
    int32_t code = -1;
    double ended_at = 0;
    char when[32] = "an unknown time";

    if (sshpm_exit_status_get_ended_at(status, &ended_at) == SSHPM_OK) {
        const time_t seconds = (time_t)ended_at;
        struct tm local;
        localtime_r(&seconds, &local);
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &local);
    }
    check(sshpm_exit_status_get_application_code(status, &code), process->name);
    printf("%s on %s: adopted, pid %" PRId64 " exited in the meantime with code %" PRId32 " at %s\n", process->name,
           process->host, pid, code, when);
}

/* Adopts a process if its host has it. Returns false if the host does not have it. */
static bool adopt(struct session *session, struct process *process) {
    const double begun = now();

    for (;;) {
        sshpm_found_processes *found;
        size_t place;
        int32_t state;
        int64_t pid;

        check(sshpm_manager_find_processes(session->manager, process->host, process->user, &found), process->host);
        place = place_of(session, process->name, found);
        state = sshpm_found_processes_get_state(found, place); /* 0 if it is not there */
        pid = sshpm_metadata_get_pid(sshpm_found_processes_get_metadata(found, place));
        if (state == SSHPM_FOUND_UNMANAGED || state == SSHPM_FOUND_ENDED) {
            check(sshpm_manager_adopt_process(session->manager, process->name, process->host, process->user, NULL),
                  process->name);
            process->ready = true;
            if (state == SSHPM_FOUND_ENDED) {
                print_end(process, pid, sshpm_found_processes_get_status(found, place));
            } else {
                printf("%s on %s: adopted, pid %" PRId64 " is still running\n", process->name, process->host, pid);
            }
        } else if (state == SSHPM_FOUND_ORPHANED) {
            fail("%s on %s: no manager can reach pid %" PRId64 "; end it with sshpm_manager_clean_up_host",
                 process->name, process->host, pid);
        }
        sshpm_found_processes_free(found);
        if (state == SSHPM_FOUND_MANAGED) {
            /* Somebody has it. That can be the one that was killed just now: its hosts need a moment to notice. */
            if (now() > begun + LEAVING_S) {
                fail("%s on %s: another run control controls it", process->name, process->host);
            }
        } else if (state != SSHPM_FOUND_GONE || now() > begun + NOTING_S) {
            return process->ready;
        }
        poll(NULL, 0, 200);
    }
}

static void boot_or_adopt(struct session *session) {
    size_t i;
    for (i = 0; i < session->count; i++) {
        struct process *process = &session->processes[i];
        if (!adopt(session, process)) {
            check(sshpm_manager_start_process(session->manager, process->name, process->request, NULL), process->name);
        }
    }
}

/* ---- what happens ---- */

static void take_event(struct session *session, const sshpm_event *event) {
    const char *uuid = sshpm_event_get_uuid(event), *message = sshpm_event_get_message(event);
    struct process *process = find(session, uuid);

    switch (sshpm_event_get_type(event)) {
    case SSHPM_EVENT_STARTED:
        process->ready = true;
        printf("%s on %s: booted, pid %" PRId64 "\n", uuid, process->host, sshpm_event_get_pid(event));
        break;
    case SSHPM_EVENT_START_FAILED:
        process->ready = process->ended = session->failed = true;
        printf("%s\n", message);
        break;
    case SSHPM_EVENT_EXITED:
        process->ended = true;
        printf("%s\n", message);
        break;
    case SSHPM_EVENT_LINK_LOST:
        printf("%s on %s: lost its link and goes on: %s\n", uuid, process->host, message);
        break;
    case SSHPM_EVENT_LINK_RESTORED:
        printf("%s on %s: has a link\n", uuid, process->host);
        break;
    case SSHPM_EVENT_LINK_NOT_RESTORED:
        printf("%s on %s: the link cannot be restored: %s\n", uuid, process->host, message);
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
    }
    if (result != SSHPM_ERROR_NO_EVENT) {
        check(result, "events");
    }
}

static size_t count_ready(const struct session *session, bool that_ended) {
    size_t i, count = 0;
    for (i = 0; i < session->count; i++) {
        count += session->processes[i].ready && (!that_ended || session->processes[i].ended);
    }
    return count;
}

/* Takes events until the time is over, a signal comes, a start fails, or all have ended. */
static void run(struct session *session, double seconds, int signals) {
    struct pollfd sources[2];
    double ready_at = -1;

    memset(sources, 0, sizeof sources); /* a poll that fails need not set revents */
    sources[0].fd = sshpm_subscription_get_fd(session->subscription);
    sources[1].fd = signals;
    sources[0].events = sources[1].events = POLLIN;
    for (;;) {
        int patience_ms = -1;
        take_events(session);
        if (ready_at < 0 && count_ready(session, false) == session->count) {
            ready_at = now();
            printf("%zu of %zu are under control\n", session->count, session->count);
        }
        if (session->failed || count_ready(session, true) == session->count) {
            return;
        }
        if (ready_at >= 0 && seconds >= 0) {
            const double left = ready_at + seconds - now();
            if (left <= 0) {
                return;
            }
            patience_ms = left < 3600 ? (int)(left * 1000) + 1 : 3600 * 1000;
        }
        if (poll(sources, 2, patience_ms) < 0 && errno != EINTR) {
            fail("poll: %s", strerror(errno));
        }
        if (sources[1].revents != 0) {
            return;
        }
    }
}

/* ---- the end ---- */

/* Saves what a process has written, also before it was adopted: the last part, which the manager has. */
static void save_output(const struct session *session, const struct process *process, const char *directory) {
    char path[4096];
    sshpm_buffer *buffer;
    size_t size;
    FILE *file;

    snprintf(path, sizeof path, "%s/%s.out", directory, process->name);
    check(sshpm_manager_get_process_stdout(session->manager, process->name, &buffer), process->name);
    size = sshpm_buffer_size(buffer);
    file = fopen(path, "w");
    if (file == NULL || fwrite(sshpm_buffer_data(buffer), 1, size, file) != size || fclose(file) != 0) {
        fail("%s: %s", path, strerror(errno));
    }
    if (sshpm_buffer_dropped(buffer) > 0) {
        /* sshpm_options_set_output_limit can make this part larger than 1 MiB. */
        printf("%s: %" PRIu64 " bytes before these were dropped\n", path, sshpm_buffer_dropped(buffer));
    }
    sshpm_buffer_free(buffer);
}

/* Ends what still runs. Ended processes are in the manager's table too, so the results include them. */
static size_t shut_down(struct session *session) {
    sshpm_kill_results *results;
    size_t i, good = 0;

    check(sshpm_manager_shutdown(session->manager, 60.0, &results), "shutdown");
    take_events(session);
    for (i = 0; i < sshpm_kill_results_count(results); i++) {
        if (sshpm_kill_results_get_result(results, i) == SSHPM_OK) {
            good++;
        } else {
            printf("%s\n", sshpm_kill_results_get_message(results, i));
        }
    }
    printf("%zu of %zu have ended\n", good, session->count);
    sshpm_kill_results_free(results);
    return good;
}

static void free_session(struct session *session) {
    size_t i;
    sshpm_subscription_free(session->subscription);
    sshpm_manager_free(session->manager);
    for (i = 0; i < session->count; i++) {
        sshpm_string_free(session->processes[i].name);
        sshpm_string_free(session->processes[i].host);
        sshpm_string_free(session->processes[i].user);
    }
    free(session->processes);
    sshpm_string_free(session->title);
}

/* Makes a descriptor for signals. The library's threads block all signals; its children begin with none blocked. */
static int open_signals(void) {
    sigset_t set;
    int fd;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (fd < 0 || sigprocmask(SIG_BLOCK, &set, NULL) < 0) {
        fail("signalfd: %s", strerror(errno));
    }
    return fd;
}

int main(int argc, char **argv) {
    struct session session;
    sshpm_options *options;
    sshpm_launcher *launcher;
    sshpm_boot_request_list *requests;
    const char *file = NULL, *ssh_config = NULL, *output = NULL;
    char *end;
    double seconds = -1;
    size_t i, good;
    bool local = false;
    int at, signals;

    fill_standard_streams();
    for (at = 1; at < argc; at++) {
        if (strcmp(argv[at], "--ssh-config") == 0 && at + 1 < argc) {
            ssh_config = argv[++at];
        } else if (strcmp(argv[at], "--local") == 0) {
            local = true;
        } else if (strcmp(argv[at], "--seconds") == 0 && at + 1 < argc) {
            seconds = strtod(argv[++at], &end);
            if (end == argv[at] || *end != '\0' || !(seconds >= 0)) {
                fail("invalid --seconds \"%s\": must be a number, 0 or more", argv[at]);
            }
        } else if (strcmp(argv[at], "--output") == 0 && at + 1 < argc) {
            output = argv[++at];
        } else if (argv[at][0] != '-' && file == NULL) {
            file = argv[at];
        } else {
            file = NULL;
            break;
        }
    }
    if (file == NULL) {
        fail("usage: recover [--ssh-config FILE | --local] [--seconds N] [--output DIRECTORY] SESSION.json");
    }
    setvbuf(stdout, NULL, _IOLBF, 0);

    memset(&session, 0, sizeof session);
    requests = read_requests(file);
    read_session(&session, requests);
    signals = open_signals();
    check(sshpm_options_new(&options), "options");
    check(sshpm_options_set_ssh_config(options, ssh_config), "ssh_config");
    if (local) {
        check(sshpm_launcher_new_local(&launcher), "launcher");
        check(sshpm_options_set_launcher(options, launcher), "launcher");
        sshpm_launcher_free(launcher); /* the options have a copy */
    }
    check(sshpm_manager_new(options, &session.manager), "manager");
    sshpm_options_free(options);
    /* Subscribe before the first start, so that no event is missed. */
    check(sshpm_manager_subscribe(session.manager, &session.subscription), "subscription");

    boot_or_adopt(&session);
    run(&session, seconds, signals);
    for (i = 0; output != NULL && i < session.count; i++) {
        save_output(&session, &session.processes[i], output);
    }
    good = shut_down(&session);
    close(signals);
    free_session(&session);
    sshpm_boot_request_list_free(requests);
    return output_is_complete("recover") && good == session.count && !session.failed ? 0 : 1;
}
