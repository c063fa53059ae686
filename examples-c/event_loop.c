/*
 * event_loop: runs a session inside a program's own event loop, here epoll(7) of Linux. One thread waits in one place
 * for the library's events, a timer, Ctrl-C, and the end of a shutdown in the background.
 *
 *   event_loop [--ssh-config FILE | --local] [--seconds N] SESSION.json
 *
 *       --ssh-config FILE   the file for `ssh -F`, instead of the user's and the system's ssh_config
 *       --local             every host is this machine: the shells are started here, without ssh
 *       --seconds N         shut down N seconds after the boot (default 5); Ctrl-C shuts down at once
 *
 * SESSION.json has the processes and their defaults (see sshpm_session_from_json). This program starts all of them at
 * once, because a boot in stages would block the loop.
 *
 * Exit code: 0 when each process ran, and ended after it was asked to; 1 when not.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "sshpm.h"
#include "streams.h"

/* Says what a descriptor of the loop is for. */
enum source { EVENTS, TIMER, SIGNALS, DONE };

/* What a process of the session has done. A restart policy may start it more than once. */
struct life {
    bool has_run, has_ended;
};

struct loop {
    int epoll, timer, signals, done;
    sshpm_session *session;
    sshpm_manager *manager;
    sshpm_subscription *subscription;
    struct life *lives; /* one for each process, as in the session */
    size_t processes;
    long seconds, ticks; /* ticks: seconds since the boot */
    bool failed, ending, over;
    pthread_t shutdown;
};

static void fail(const char *format, ...) {
    va_list arguments;
    fputs("event_loop: ", stderr);
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

/* For system calls: returns the value, or ends the program if it is negative. */
static int checked(int value, const char *what) {
    if (value < 0) {
        fail("%s: %s", what, strerror(errno));
    }
    return value;
}

static sshpm_session *read_session(const char *path) {
    static char json[1 << 20];
    sshpm_session *session;
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
    check(sshpm_session_from_json(json, &session), path);
    return session;
}

/* ---- the descriptors ---- */

static void watch(const struct loop *loop, int fd, enum source source) {
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN; /* level-triggered: it is reported again until it is taken */
    event.data.u32 = source;
    checked(epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

/* Whatever is blocked here, the library's threads block all signals, and its children begin with none blocked. */
static int open_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    checked(sigprocmask(SIG_BLOCK, &set, NULL), "sigprocmask");
    return checked(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd");
}

static int open_timer(void) {
    int fd = checked(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd_create");
    struct itimerspec each_second;
    memset(&each_second, 0, sizeof each_second);
    each_second.it_interval.tv_sec = each_second.it_value.tv_sec = 1;
    checked(timerfd_settime(fd, 0, &each_second, NULL), "timerfd_settime");
    return fd;
}

/* Returns how often a timer fired or a counter was raised; 0 if it was not. */
static uint64_t take_count(int fd) {
    uint64_t count = 0;
    return read(fd, &count, sizeof count) == (ssize_t)sizeof count ? count : 0;
}

/* ---- the shutdown ---- */

/* The shutdown blocks, so it runs in a thread of its own, which wakes the loop through a descriptor when it is done. */
static void *run_shutdown(void *argument) {
    const struct loop *loop = (const struct loop *)argument;
    const uint64_t one = 1;
    check(sshpm_manager_shutdown(loop->manager, 60.0, NULL), "shutdown");
    if (write(loop->done, &one, sizeof one) != (ssize_t)sizeof one) {
        fail("eventfd: %s", strerror(errno));
    }
    return NULL;
}

static void begin_shutdown(struct loop *loop, const char *why) {
    if (!loop->ending) {
        loop->ending = true;
        printf("shutting down: %s\n", why);
        if (pthread_create(&loop->shutdown, NULL, run_shutdown, loop) != 0) {
            fail("cannot start a thread");
        }
    }
}

/* ---- what happens ---- */

/* Returns what a process of the session has done. */
static struct life *life_of(const struct loop *loop, const char *uuid) {
    size_t i = 0;
    while (strcmp(sshpm_session_get_uuid(loop->session, i), uuid) != 0) {
        i++;
    }
    return &loop->lives[i];
}

static size_t count_run(const struct loop *loop) {
    size_t i, count = 0;
    for (i = 0; i < loop->processes; i++) {
        count += loop->lives[i].has_run;
    }
    return count;
}

static size_t count_ended(const struct loop *loop) {
    size_t i, count = 0;
    for (i = 0; i < loop->processes; i++) {
        count += loop->lives[i].has_ended;
    }
    return count;
}

/* Returns whether the restart policy of a process starts it again, or has done so since it ended. */
static bool goes_on(const struct loop *loop, const char *uuid) {
    int32_t state;
    sshpm_result result = sshpm_manager_get_process_state(loop->manager, uuid, &state);
    if (result == SSHPM_ERROR_UNKNOWN_UUID) {
        return false; /* the shutdown has taken it out of the table */
    }
    check(result, uuid);
    return state != SSHPM_STATE_ENDED && state != SSHPM_STATE_FAILED;
}

static void take_event(struct loop *loop, const sshpm_event *event) {
    const char *uuid = sshpm_event_get_uuid(event);
    struct life *life = life_of(loop, uuid);

    switch (sshpm_event_get_type(event)) {
    case SSHPM_EVENT_STARTED:
        life->has_run = true;
        life->has_ended = false;
        printf("%s runs with pid %" PRId64 "\n", uuid, sshpm_event_get_pid(event));
        break;
    case SSHPM_EVENT_EXITED:
        life->has_ended = true;
        printf("%s\n", sshpm_event_get_message(event));
        if (!loop->ending && !goes_on(loop, uuid)) {
            loop->failed = true;
            begin_shutdown(loop, "a process ended by itself");
        }
        break;
    case SSHPM_EVENT_START_FAILED:
        printf("%s\n", sshpm_event_get_message(event));
        if (!goes_on(loop, uuid)) {
            loop->failed = true;
            begin_shutdown(loop, "a process did not start");
        }
        break;
    case SSHPM_EVENT_RESTARTING:
        printf("%s is started again in %g s\n", uuid, sshpm_event_get_pause(event));
        break;
    case SSHPM_EVENT_RESTART_LIMIT_REACHED:
        printf("%s: %s\n", uuid, sshpm_event_get_message(event));
        break;
    case SSHPM_EVENT_LINK_LOST:
        printf("%s lost its link\n", uuid);
        break;
    default:
        break; /* a later version of the library may have more events */
    }
}

/* Takes all events that wait. With a timeout of 0, the call does not block. */
static void take_events(struct loop *loop) {
    sshpm_event *event;
    sshpm_result result;
    while ((result = sshpm_subscription_next(loop->subscription, 0.0, &event)) == SSHPM_OK) {
        take_event(loop, event);
        sshpm_event_free(event);
    }
    if (result != SSHPM_ERROR_NO_EVENT) {
        check(result, "events");
    }
}

static void take_signals(struct loop *loop) {
    struct signalfd_siginfo info;
    while (read(loop->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        begin_shutdown(loop, "as asked");
    }
}

static void take_ticks(struct loop *loop) {
    uint64_t ticks = take_count(loop->timer);
    /* Not the difference: a start that the shutdown cancels ends without having run. */
    printf("%zu of %zu have run, %zu have ended\n", count_run(loop), loop->processes, count_ended(loop));
    if (count_run(loop) == loop->processes) {
        loop->ticks += (long)ticks; /* ticks during the boot do not count */
        if (loop->ticks >= loop->seconds) {
            begin_shutdown(loop, "the time is over");
        }
    }
}

static void run(struct loop *loop) {
    while (!loop->over) {
        struct epoll_event ready[4];
        int i, count = epoll_wait(loop->epoll, ready, 4, -1);
        if (count < 0 && errno != EINTR) {
            fail("epoll_wait: %s", strerror(errno));
        }
        for (i = 0; i < count; i++) {
            switch (ready[i].data.u32) {
            case EVENTS:
                take_events(loop);
                break;
            case TIMER:
                take_ticks(loop);
                break;
            case SIGNALS:
                take_signals(loop);
                break;
            default:
                loop->over = take_count(loop->done) > 0;
                break;
            }
        }
    }
    pthread_join(loop->shutdown, NULL);
    take_events(loop); /* the events of the last exits */
}

/* ---- the session ---- */

static void open_loop(struct loop *loop, const char *ssh_config, bool local) {
    sshpm_options *options;
    sshpm_launcher *launcher;
    loop->signals = open_signals();
    loop->timer = open_timer();
    loop->done = checked(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
    loop->epoll = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    check(sshpm_options_new(&options), "options");
    check(sshpm_options_set_ssh_config(options, ssh_config), "ssh_config");
    if (local) {
        check(sshpm_launcher_new_local(&launcher), "launcher");
        check(sshpm_options_set_launcher(options, launcher), "launcher");
        sshpm_launcher_free(launcher); /* the options have a copy */
    }
    check(sshpm_manager_new(options, &loop->manager), "manager");
    sshpm_options_free(options);
    /* Subscribe before the first start, so that no event is missed. */
    check(sshpm_manager_subscribe(loop->manager, &loop->subscription), "subscription");
    watch(loop, sshpm_subscription_get_fd(loop->subscription), EVENTS);
    watch(loop, loop->timer, TIMER);
    watch(loop, loop->signals, SIGNALS);
    watch(loop, loop->done, DONE);
}

static void close_loop(const struct loop *loop) {
    close(loop->epoll); /* before the descriptor of the subscription is closed */
    close(loop->timer);
    close(loop->signals);
    close(loop->done);
    sshpm_subscription_free(loop->subscription);
    sshpm_manager_free(loop->manager);
}

static void start_all(struct loop *loop) {
    size_t i;
    loop->processes = sshpm_session_count(loop->session);
    loop->lives = (struct life *)calloc(loop->processes + 1, sizeof *loop->lives);
    if (loop->lives == NULL) {
        fail("out of memory");
    }
    for (i = 0; i < loop->processes; i++) {
        const char *uuid = sshpm_session_get_uuid(loop->session, i);
        const sshpm_boot_request *request = sshpm_session_get_request(loop->session, i);
        check(sshpm_manager_start_process(loop->manager, uuid, request, NULL), uuid);
    }
}

int main(int argc, char **argv) {
    struct loop loop;
    const char *file = NULL, *ssh_config = NULL;
    char *end;
    bool good, local = false;
    int at;

    fill_standard_streams();
    memset(&loop, 0, sizeof loop);
    loop.seconds = 5;
    for (at = 1; at < argc; at++) {
        if (strcmp(argv[at], "--ssh-config") == 0 && at + 1 < argc) {
            ssh_config = argv[++at];
        } else if (strcmp(argv[at], "--local") == 0) {
            local = true;
        } else if (strcmp(argv[at], "--seconds") == 0 && at + 1 < argc) {
            loop.seconds = strtol(argv[++at], &end, 10);
            if (end == argv[at] || *end != '\0' || loop.seconds < 0) {
                fail("invalid --seconds \"%s\": must be a number, 0 or more", argv[at]);
            }
        } else if (argv[at][0] != '-' && file == NULL) {
            file = argv[at];
        } else {
            file = NULL;
            break;
        }
    }
    if (file == NULL) {
        fail("usage: event_loop [--ssh-config FILE | --local] [--seconds N] SESSION.json");
    }
    setvbuf(stdout, NULL, _IOLBF, 0);

    loop.session = read_session(file);
    open_loop(&loop, ssh_config, local);
    start_all(&loop);
    run(&loop);
    close_loop(&loop);
    printf("%zu of %zu ran, %zu have ended\n", count_run(&loop), loop.processes, count_ended(&loop));
    good = !loop.failed && count_run(&loop) == loop.processes && count_ended(&loop) == loop.processes;
    sshpm_session_free(loop.session);
    free(loop.lives);
    return output_is_complete("event_loop") && good ? 0 : 1;
}
