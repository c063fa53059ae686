/* A host program with an event loop: SIGTERM is blocked in all threads for a signalfd, and is pending while processes
 * start and end. SIGINT is caught, and a timer interrupts system calls every millisecond. */
/* Needed for setitimer. */
#define _DEFAULT_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/time.h>

#include "check.h"

static pthread_t main_thread;
static volatile sig_atomic_t alarms, interrupts, on_another_thread;

static void handle(int signal)
{
    if (signal == SIGALRM) {
        alarms = alarms + 1;
        /* The watchdog of the other programs uses this signal. */
        if (alarms > WATCHDOG_S * 1000) {
            abort();
        }
    } else {
        interrupts = interrupts + 1;
    }
    if (!pthread_equal(pthread_self(), main_thread)) {
        on_another_thread = 1;
    }
}

static void set_timer(suseconds_t microseconds)
{
    struct itimerval timer = {{0, microseconds}, {0, microseconds}};
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

int main(void)
{
    sshpm_manager *manager;
    sshpm_exit_status *status = NULL;
    struct signalfd_siginfo info;
    struct sigaction action;
    struct pollfd ready = {-1, POLLIN, 0};
    int32_t code = 0;
    sigset_t set;

    main_thread = pthread_self();
    memset(&action, 0, sizeof action);
    action.sa_handler = handle;
    CHECK(sigaction(SIGALRM, &action, NULL) == 0 && sigaction(SIGINT, &action, NULL) == 0);
    CHECK(sigemptyset(&set) == 0 && sigaddset(&set, SIGTERM) == 0);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    ready.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    CHECK(ready.fd >= 0);
    CHECK(kill(getpid(), SIGTERM) == 0);
    set_timer(1000);

    manager = new_manager();
    for (int i = 0; i < 5; i++) {
        start(manager, "short", "alpha", "exit", "42");
        CHECK(kill(getpid(), SIGINT) == 0);
        OK(sshpm_manager_wait_for_process_exit_code(manager, "short", LONG_S, &code));
        CHECK(code == 42);
        start(manager, "long", "beta", "heartbeat", "1");
        wait_for_heartbeat(manager, "long");
        CHECK(kill(getpid(), SIGINT) == 0);
        OK(sshpm_manager_kill_process(manager, "long", LONG_S, &status));
        OK(sshpm_exit_status_get_code(status, &code));
        CHECK(code == 0);
        sshpm_exit_status_free(status);
    }
    sshpm_manager_free(manager);

    set_timer(0);
    CHECK(poll(&ready, 1, 0) == 1);
    CHECK(read(ready.fd, &info, sizeof info) == (ssize_t)sizeof info && info.ssi_signo == SIGTERM);
    CHECK(alarms > 10 && interrupts > 0 && !on_another_thread);
    CHECK(close(ready.fd) == 0);
    return 0;
}
