/* A host program with a large address space, SIGPIPE at its default and SIGCHLD ignored. It must survive the death of ssh
 * clients at any moment, and get exit codes although the kernel reaps its children. */
/* Needed for MAP_ANONYMOUS. */
#define _DEFAULT_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/wait.h>

#include "check.h"

/* A fork copies page tables, so touched pages make it slow. Not every machine has more of them than this. */
#define HEAP ((size_t)8 << 30)
#ifndef TOUCHED
#define TOUCHED ((size_t)2 << 30)
#endif
#define PAGE 4096

int main(void)
{
    sshpm_manager *manager;
    sshpm_subscription *subscription = NULL;
    sshpm_exit_status *status = NULL;
    sshpm_event *event;
    int64_t client = 0;
    int32_t code = 0;
    pid_t child;
    char *heap = mmap(NULL, HEAP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    alarm(WATCHDOG_S);
    CHECK(heap != MAP_FAILED);
    for (size_t at = 0; at < TOUCHED; at += PAGE) {
        heap[at] = 1;
    }
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    manager = new_manager();
    OK(sshpm_manager_subscribe(manager, &subscription));

    for (int i = 0; i < 3; i++) {
        start(manager, "short", "alpha", "exit", "42");
        OK(sshpm_manager_wait_for_process_exit_code(manager, "short", LONG_S, &code));
        CHECK(code == 42);
        sshpm_event_free(next_event(subscription, SSHPM_EVENT_STARTED));
        sshpm_event_free(next_event(subscription, SSHPM_EVENT_EXITED));
    }

    /* The client dies, and the host is asked for the exit. */
    start(manager, "cut", "beta", "heartbeat", "1");
    wait_for_heartbeat(manager, "cut");
    sshpm_event_free(next_event(subscription, SSHPM_EVENT_STARTED));
    OK(sshpm_manager_get_runtime_pids(manager, "cut", &client, NULL, NULL, NULL));
    CHECK(kill((pid_t)client, SIGKILL) == 0);
    event = next_event(subscription, SSHPM_EVENT_LINK_LOST);
    CHECK(strcmp(sshpm_event_get_uuid(event), "cut") == 0);
    sshpm_event_free(event);
    event = next_event(subscription, SSHPM_EVENT_EXITED);
    CHECK(sshpm_exit_status_link_lost(sshpm_event_get_status(event)));
    CHECK(sshpm_exit_status_get_source(sshpm_event_get_status(event)) == SSHPM_EXIT_SOURCE_CLIENT_MONITORING);
    OK(sshpm_exit_status_get_application_code(sshpm_event_get_status(event), &code));
    CHECK(code == 0);
    sshpm_event_free(event);
    OK(sshpm_manager_forget_process(manager, "cut"));

    /* The client dies while commands are written to it, so that any of these calls can meet a pipe without a reader. */
    for (int i = 0; i < 3; i++) {
        sshpm_result result;
        start(manager, "torn", "gamma", "heartbeat", "1");
        wait_for_heartbeat(manager, "torn");
        OK(sshpm_manager_get_runtime_pids(manager, "torn", &client, NULL, NULL, NULL));
        CHECK(kill((pid_t)client, SIGKILL) == 0);
        result = sshpm_manager_send_signal(manager, "torn", SIGCONT);
        CHECK(result == SSHPM_OK || result == SSHPM_ERROR_LINK_DOWN || result == SSHPM_ERROR_NOT_RUNNING);
        OK(sshpm_manager_kill_process(manager, "torn", LONG_S, &status));
        sshpm_exit_status_free(status);
    }

    /* A forked child frees what it has inherited. The process belongs to the parent, and lives on. */
    start(manager, "parents", "alpha", "heartbeat", "1");
    wait_for_heartbeat(manager, "parents");
    child = fork();
    if (child == 0) {
        alarm(WATCHDOG_S);
        sshpm_subscription_free(subscription);
        sshpm_manager_free(manager);
        _exit(0);
    }
    /* With SIGCHLD ignored, waitpid waits for the end of the child all the same, and then reports that there is no
     * child. */
    CHECK(child > 0 && waitpid(child, NULL, 0) == -1);
    OK(sshpm_manager_send_signal(manager, "parents", SIGCONT));
    OK(sshpm_manager_kill_process(manager, "parents", LONG_S, &status));
    OK(sshpm_exit_status_get_code(status, &code));
    CHECK(code == 0);
    sshpm_exit_status_free(status);

    sshpm_subscription_free(subscription);
    sshpm_manager_free(manager);
    CHECK(heap[TOUCHED - PAGE] == 1 && munmap(heap, HEAP) == 0);
    return 0;
}
