/* Callbacks: what they may call, and what is certain once they are removed. */
#include <math.h>
#include <pthread.h>

#include "check.h"

static void nap(int ms)
{
    poll(NULL, 0, ms);
}

static int get(const int *value)
{
    return __atomic_load_n(value, __ATOMIC_SEQ_CST);
}

static void add(int *value)
{
    __atomic_add_fetch(value, 1, __ATOMIC_SEQ_CST);
}

/* Waits until the value is at least this. */
static void reaches(const int *value, int least)
{
    for (int i = 0; get(value) < least; i++) {
        CHECK(i < 1000 * (int)LONG_S);
        nap(1);
    }
}

/* What a callback gets, and what it has seen. */
struct watch {
    sshpm_manager *manager;
    sshpm_subscription *subscription;
    uint64_t id;
    int sleep_ms;
    int begun, ended, finalized;
};

static void finalize(void *user_data)
{
    struct watch *watch = user_data;
    CHECK(get(&watch->begun) == get(&watch->ended));
    add(&watch->finalized);
}

static void slow(const char *uuid, uint64_t start_number, const sshpm_exit_status *status,
                 sshpm_result error, const char *error_message, void *user_data)
{
    struct watch *watch = user_data;
    CHECK(uuid != NULL && start_number > 0);
    CHECK((status == NULL) == (error != SSHPM_OK) && (status == NULL) == (error_message != NULL));
    add(&watch->begun);
    nap(watch->sleep_ms);
    add(&watch->ended);
}

static void run(sshpm_manager *manager, const char *uuid)
{
    int32_t code = -1;
    start(manager, uuid, "alpha", "exit", "3");
    OK(sshpm_manager_wait_for_process_exit_code(manager, uuid, LONG_S, &code));
    CHECK(code == 3);
}

static void calls_inside(const char *uuid, uint64_t start_number, const sshpm_exit_status *status,
                         sshpm_result error, const char *error_message, void *user_data)
{
    struct watch *watch = user_data;
    sshpm_manager *manager = watch->manager;
    const char *const uuids[1] = {uuid};
    sshpm_exit_status *out_status = NULL;
    sshpm_kill_results *results = NULL;
    sshpm_event *event = NULL;
    int64_t pid = 0;
    int32_t code = 0;
    bool alive = true;

    add(&watch->begun);
    CHECK(status != NULL && error == SSHPM_OK && error_message == NULL);
    CHECK(start_number == 1 && sshpm_exit_status_get_start_number(status) == 1);
    OK(sshpm_exit_status_get_code(status, &code));
    CHECK(code == 3);
    GIVES(sshpm_manager_wait_until_started(manager, uuid, 0.0, &pid), SSHPM_ERROR_INSIDE_CALLBACK, "inside");
    GIVES(sshpm_manager_wait_for_process_exit_code(manager, uuid, 0.0, &code), SSHPM_ERROR_INSIDE_CALLBACK, "");
    GIVES(sshpm_manager_send_signal(manager, uuid, 1), SSHPM_ERROR_NOT_RUNNING, "");
    GIVES(sshpm_manager_kill_process(manager, uuid, 0.0, &out_status), SSHPM_ERROR_INSIDE_CALLBACK, "");
    GIVES(sshpm_manager_kill_processes(manager, uuids, 1, NULL, &results), SSHPM_ERROR_INSIDE_CALLBACK, "");
    GIVES(sshpm_manager_kill_processes_by_role(manager, "x", uuids, 1, NULL, &results), SSHPM_ERROR_INSIDE_CALLBACK,
          "");
    GIVES(sshpm_manager_kill_all_processes(manager, 0.0, &results), SSHPM_ERROR_INSIDE_CALLBACK, "");
    GIVES(sshpm_manager_shutdown(manager, 0.0, NULL), SSHPM_ERROR_INSIDE_CALLBACK, "");
    GIVES(sshpm_manager_detach(manager), SSHPM_ERROR_INSIDE_CALLBACK, "");
    GIVES(sshpm_subscription_next(watch->subscription, 0.1, &event), SSHPM_ERROR_INSIDE_CALLBACK, "");
    GIVES(sshpm_subscription_next(watch->subscription, INFINITY, &event), SSHPM_ERROR_INSIDE_CALLBACK, "");
    OK(sshpm_subscription_next(watch->subscription, 0.0, &event));
    sshpm_event_free(event);
    OK(sshpm_manager_is_process_alive(manager, uuid, &alive));
    CHECK(!alive);
    start(manager, "from-inside", "alpha", "exit", "3");
    OK(sshpm_manager_remove_callback(manager, watch->id));
    CHECK(get(&watch->finalized) == 0);
    add(&watch->ended);
}

static void what_may_be_called_inside(void)
{
    struct watch watch = {new_manager(), NULL, 0, 0, 0, 0, 0};
    int32_t code = 0;
    OK(sshpm_manager_subscribe(watch.manager, &watch.subscription));
    OK(sshpm_manager_on_process_exit(watch.manager, calls_inside, &watch, finalize, &watch.id));
    run(watch.manager, "outside");
    reaches(&watch.finalized, 1);
    /* The process was started inside the callback, which has removed itself and is not called for it. */
    OK(sshpm_manager_wait_for_process_exit_code(watch.manager, "from-inside", LONG_S, &code));
    sshpm_subscription_free(watch.subscription);
    sshpm_manager_free(watch.manager);
    CHECK(watch.begun == 1 && watch.finalized == 1);
}

static void removing_waits(void)
{
    struct watch watch = {new_manager(), NULL, 0, 300, 0, 0, 0};
    OK(sshpm_manager_on_process_exit(watch.manager, slow, &watch, finalize, &watch.id));
    run(watch.manager, "one");
    reaches(&watch.begun, 1);
    OK(sshpm_manager_remove_callback(watch.manager, watch.id));
    CHECK(get(&watch.ended) == 1 && get(&watch.finalized) == 1);
    OK(sshpm_manager_remove_callback(watch.manager, watch.id));
    run(watch.manager, "two");
    sshpm_manager_free(watch.manager);
    CHECK(watch.begun == 1 && watch.finalized == 1);
}

/* When the kill has returned an exit, no callback for that exit runs any more. */
static void killing_waits(void)
{
    struct watch watch = {new_manager(), NULL, 0, 300, 0, 0, 0};
    sshpm_exit_status *status = NULL;
    sshpm_kill_results *results = NULL;
    OK(sshpm_manager_on_process_exit(watch.manager, slow, &watch, finalize, &watch.id));
    start(watch.manager, "one", "alpha", "heartbeat", "1");
    wait_for_heartbeat(watch.manager, "one");
    OK(sshpm_manager_kill_process(watch.manager, "one", LONG_S, &status));
    CHECK(get(&watch.ended) == 1 && sshpm_exit_status_get_start_number(status) == 1);
    sshpm_exit_status_free(status);
    start(watch.manager, "one", "alpha", "heartbeat", "1");
    OK(sshpm_manager_kill_all_processes(watch.manager, LONG_S, &results));
    CHECK(get(&watch.ended) == 2);
    CHECK(sshpm_exit_status_get_start_number(sshpm_kill_results_get_status(results, 0)) == 2);
    sshpm_kill_results_free(results);
    sshpm_manager_free(watch.manager);
}

/* The callback may also take longer than the 5 s in which the manager lets go of everything else. */
static void freeing_waits(int sleep_ms)
{
    struct watch watch = {new_manager(), NULL, 0, sleep_ms, 0, 0, 0};
    OK(sshpm_manager_on_process_exit(watch.manager, slow, &watch, finalize, &watch.id));
    run(watch.manager, "one");
    reaches(&watch.begun, 1);
    sshpm_manager_free(watch.manager);
    CHECK(get(&watch.begun) == 1 && get(&watch.ended) == 1);
    reaches(&watch.finalized, 1);
    nap(20);
    CHECK(get(&watch.finalized) == 1);
}

static void failed(const char *uuid, uint64_t start_number, const sshpm_exit_status *status,
                   sshpm_result error, const char *error_message, void *user_data)
{
    CHECK(strcmp(uuid, "missing") == 0 && start_number == 1 && status == NULL && error == SSHPM_ERROR_START_PROGRAM_NOT_FOUND);
    CHECK(strstr(error_message, "missing") != NULL);
    add(user_data);
}

static void a_failed_start_is_told(void)
{
    sshpm_manager *manager = new_manager();
    sshpm_boot_request *request = NULL;
    const char *argv[1] = {"/no/such/program"};
    uint64_t id = 0;
    int told = 0;
    OK(sshpm_manager_on_process_exit(manager, failed, &told, NULL, &id));
    OK(sshpm_boot_request_new("beta", argv, 1, &request));
    OK(sshpm_manager_start_process(manager, "missing", request, NULL));
    sshpm_boot_request_free(request);
    reaches(&told, 1);
    sshpm_manager_free(manager);
}

static void count_log(int32_t level, const char *target, const char *message, void *user_data)
{
    CHECK(level >= SSHPM_LOG_ERROR && level <= SSHPM_LOG_INFO);
    CHECK(strncmp(target, "sshpm", 5) == 0 && strlen(message) > 0);
    add(user_data);
}

static void log_once(int32_t level, const char *target, const char *message, void *user_data)
{
    (void)level, (void)target, (void)message;
    OK(sshpm_set_log_callback(SSHPM_LOG_OFF, NULL, NULL));
    add(user_data);
}

/* A shutdown logs the role of each process that it ends. */
static void something_is_logged(void)
{
    sshpm_manager *manager = new_manager();
    start(manager, "logged", "alpha", "heartbeat", "1");
    OK(sshpm_manager_shutdown(manager, LONG_S, NULL));
    sshpm_manager_free(manager);
}

static void the_log_is_turned_on_and_off(void)
{
    int messages = 0, others = 0, once = 0, before;
    OK(sshpm_set_log_callback(SSHPM_LOG_OFF, NULL, NULL));
    OK(sshpm_set_log_callback(SSHPM_LOG_INFO, count_log, &messages));
    something_is_logged();
    CHECK(get(&messages) > 0);
    OK(sshpm_set_log_callback(SSHPM_LOG_INFO, count_log, &others));
    before = get(&messages);
    something_is_logged();
    CHECK(get(&others) > 0 && get(&messages) == before);
    OK(sshpm_set_log_callback(SSHPM_LOG_INFO, NULL, NULL));
    before = get(&others);
    something_is_logged();
    CHECK(get(&others) == before);
    OK(sshpm_set_log_callback(SSHPM_LOG_DEBUG, log_once, &once));
    something_is_logged();
    /* Once for each thread that was inside the callback already. */
    CHECK(get(&once) >= 1);
}

static void *wait_for_wake(void *subscription)
{
    sshpm_event *event = NULL;
    GIVES(sshpm_subscription_next(subscription, INFINITY, &event), SSHPM_ERROR_WOKEN, "wake");
    CHECK(event == NULL);
    return NULL;
}

static bool readable(const sshpm_subscription *subscription)
{
    struct pollfd fd = {sshpm_subscription_get_fd(subscription), POLLIN, 0};
    return poll(&fd, 1, 0) == 1;
}

static void a_wait_can_be_ended(void)
{
    sshpm_manager *manager = new_manager();
    sshpm_subscription *subscription = NULL;
    sshpm_event *event = NULL;
    pthread_t thread;
    OK(sshpm_manager_subscribe(manager, &subscription));
    CHECK(pthread_create(&thread, NULL, wait_for_wake, subscription) == 0);
    nap(50);
    OK(sshpm_subscription_wake(subscription));
    CHECK(pthread_join(thread, NULL) == 0);
    GIVES(sshpm_subscription_next(subscription, 0.0, &event), SSHPM_ERROR_NO_EVENT, "");
    CHECK(!readable(subscription));
    /* Two wakes before the wait are seen once. */
    OK(sshpm_subscription_wake(subscription));
    OK(sshpm_subscription_wake(subscription));
    CHECK(readable(subscription));
    GIVES(sshpm_subscription_next(subscription, 0.0, &event), SSHPM_ERROR_WOKEN, "wake");
    CHECK(!readable(subscription));
    GIVES(sshpm_subscription_next(subscription, 0.0, &event), SSHPM_ERROR_NO_EVENT, "");
    sshpm_subscription_free(subscription);
    sshpm_manager_free(manager);
}

int main(void)
{
    alarm(WATCHDOG_S);
    what_may_be_called_inside();
    removing_waits();
    killing_waits();
    freeing_waits(200);
    freeing_waits(5500);
    a_failed_start_is_told();
    the_log_is_turned_on_and_off();
    a_wait_can_be_ended();
    return 0;
}
