/* One manager and one request, used by 16 threads at the same time. */
#include <math.h>
#include <pthread.h>
#include <signal.h>

#include "check.h"

#define THREADS 16

static sshpm_manager *manager;
static sshpm_boot_request *request;
static sshpm_subscription *subscription;
static int exits, killers, threads_begun;

static int add(int *value)
{
    return __atomic_add_fetch(value, 1, __ATOMIC_SEQ_CST);
}

static void count_exit(const char *uuid, uint64_t start_number, const sshpm_exit_status *status,
                       sshpm_result error, const char *error_message, void *user_data)
{
    CHECK(strlen(uuid) > 0 && start_number > 0 && status != NULL && error == SSHPM_OK && error_message == NULL);
    add(user_data);
}

/* A life as in life.c, without what only one thread may do. */
static void *live(void *argument)
{
    const char *uuid = argument;
    sshpm_exit_status *status = NULL;
    sshpm_string_list *keys = NULL;
    char nobody[32];
    int64_t pid, known = 0;
    int32_t code = -1, state = 0;
    sshpm_result result;

    /* All threads begin at the same time. */
    for (add(&threads_begun); __atomic_load_n(&threads_begun, __ATOMIC_SEQ_CST) < THREADS;) {
        poll(NULL, 0, 1);
    }
    OK(sshpm_manager_start_process(manager, uuid, request, NULL));
    pid = wait_for_heartbeat(manager, uuid);
    OK(sshpm_manager_get_remote_pid(manager, uuid, &known));
    CHECK(known == pid);
    OK(sshpm_manager_get_process_state(manager, uuid, &state));
    CHECK(state == SSHPM_STATE_RUNNING);
    OK(sshpm_manager_get_active_process_keys(manager, &keys));
    CHECK(sshpm_string_list_count(keys) >= 1);
    sshpm_string_list_free(keys);
    OK(sshpm_manager_send_signal(manager, uuid, SIGCONT));

    /* Each thread has its own last message. */
    snprintf(nobody, sizeof nobody, "nobody-%s", uuid);
    for (int i = 0; i < 100; i++) {
        GIVES(sshpm_manager_get_process_state(manager, nobody, &state), SSHPM_ERROR_UNKNOWN_UUID, nobody);
    }

    OK(sshpm_manager_kill_process(manager, uuid, LONG_S, &status));
    OK(sshpm_exit_status_get_code(status, &code));
    CHECK(code == 0);
    sshpm_exit_status_free(status);

    /* All threads kill the same process. */
    result = sshpm_manager_kill_process(manager, "everybodys", LONG_S, &status);
    CHECK(result == SSHPM_OK || result == SSHPM_ERROR_UNKNOWN_UUID);
    if (result == SSHPM_OK) {
        add(&killers);
        sshpm_exit_status_free(status);
    }
    return NULL;
}

static void *take_events(void *argument)
{
    int *told = argument;
    while (told[0] < THREADS + 1 || told[1] < THREADS + 1) {
        sshpm_event *event = NULL;
        OK(sshpm_subscription_next(subscription, LONG_S, &event));
        CHECK(sshpm_event_get_type(event) == SSHPM_EVENT_STARTED || sshpm_event_get_type(event) == SSHPM_EVENT_EXITED);
        told[sshpm_event_get_type(event) == SSHPM_EVENT_EXITED]++;
        sshpm_event_free(event);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS], taker;
    char uuids[THREADS][16];
    int told[2] = {0, 0};
    uint64_t id = 0;

    alarm(WATCHDOG_S);
    manager = new_manager();
    request = new_request("alpha", "heartbeat", "1");
    OK(sshpm_manager_subscribe(manager, &subscription));
    OK(sshpm_manager_on_process_exit(manager, count_exit, &exits, NULL, &id));
    CHECK(pthread_create(&taker, NULL, take_events, told) == 0);
    start(manager, "everybodys", "beta", "heartbeat", "1");
    wait_for_heartbeat(manager, "everybodys");
    for (int i = 0; i < THREADS; i++) {
        snprintf(uuids[i], sizeof uuids[i], "thread-%d", i);
        CHECK(pthread_create(&threads[i], NULL, live, uuids[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK(pthread_join(taker, NULL) == 0);
    sshpm_boot_request_free(request);
    sshpm_subscription_free(subscription);
    sshpm_manager_free(manager);
    CHECK(told[0] == THREADS + 1 && told[1] == THREADS + 1);
    CHECK(killers >= 1 && exits == THREADS + 1);
    return 0;
}
