/* What a host program may do without harm to the library: a thread that reaps all children, a locale with decimal
 * commas, two managers, and handles that are freed in any order. */
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>

#include "check.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int reaped;

/* Reaps every child of the program, as some host programs do, until it has reaped the last one. A thread that blocks in
 * waitpid is ready when a child ends. A handler of SIGCHLD runs only when its thread is scheduled, and under a checker
 * that is always too late. */
static void *reap(void *last)
{
    pid_t pid;
    while ((pid = waitpid(-1, NULL, 0)) != *(pid_t *)last) {
        CHECK(pid > 0);
        pthread_mutex_lock(&lock);
        reaped++;
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static int reaped_yet(void)
{
    int count;
    pthread_mutex_lock(&lock);
    count = reaped;
    pthread_mutex_unlock(&lock);
    return count;
}

/* To the library, 1.5 is one and a half, whatever the host program's printf and strtod make of it. */
static void numbers_have_points(sshpm_manager *manager)
{
    const char *json = "{\"host\": \"alpha\", \"argv\": [\"sh\", \"-c\", \"exit 6\"], \"grace\": 1.5, \"start_timeout\": 59.5}";
    sshpm_boot_request *request = NULL;
    int32_t code = 0;
    if (getenv("SSHPM_TEST_LOCALE") != NULL) {
        CHECK(setlocale(LC_ALL, getenv("SSHPM_TEST_LOCALE")) != NULL);
        CHECK(strcmp(localeconv()->decimal_point, ",") == 0 && strtod("1.5", NULL) < 1.1);
    }
    OK(sshpm_boot_request_from_json(json, &request));
    OK(sshpm_boot_request_set_start_timeout(request, 58.25));
    OK(sshpm_manager_start_process(manager, "comma", request, NULL));
    sshpm_boot_request_free(request);
    OK(sshpm_manager_wait_for_process_exit_code(manager, "comma", 59.75, &code));
    CHECK(code == 6);
}

static void the_host_reaps(sshpm_manager *manager)
{
    int32_t code = 0;
    pthread_t reaper;
    /* With a child that stays, the reaper always has a child to wait for. */
    pid_t last = fork();
    CHECK(last >= 0);
    if (last == 0) {
        for (;;) {
            pause();
        }
    }
    CHECK(pthread_create(&reaper, NULL, reap, &last) == 0);
    /* The reaper takes children in a race with the library. It can need more than one chance to win. */
    while (reaped_yet() == 0) {
        start(manager, "reaped", "beta", "exit", "42");
        OK(sshpm_manager_wait_for_process_exit_code(manager, "reaped", LONG_S, &code));
        CHECK(code == 42);
    }
    CHECK(kill(last, SIGKILL) == 0);
    CHECK(pthread_join(reaper, NULL) == 0);
}

static void managers_know_their_own(void)
{
    sshpm_manager *first = new_manager(), *second = new_manager();
    sshpm_exit_status *status = NULL;
    int64_t pid = 0;
    bool alive = true;

    start(first, "one", "alpha", "heartbeat", "1");
    start(second, "two", "alpha", "heartbeat", "1");
    wait_for_heartbeat(first, "one");
    wait_for_heartbeat(second, "two");
    OK(sshpm_manager_is_process_alive(first, "two", &alive));
    CHECK(!alive);
    /* The host knows that the uuid is in use. */
    start(second, "one", "alpha", "heartbeat", "1");
    GIVES(sshpm_manager_wait_until_started(second, "one", LONG_S, &pid), SSHPM_ERROR_START_UUID_IN_USE_ON_HOST, "one");
    sshpm_manager_free(first);
    OK(sshpm_manager_is_process_alive(second, "two", &alive));
    CHECK(alive);
    OK(sshpm_manager_kill_process(second, "two", LONG_S, &status));
    sshpm_exit_status_free(status);
    sshpm_manager_free(second);
}

/* Every handle that a manager has given or was given outlives it. */
static void handles_outlive_the_manager(void)
{
    sshpm_options *options = NULL;
    sshpm_manager *manager = NULL;
    sshpm_subscription *subscription = NULL, *unused = NULL;
    sshpm_boot_request *request = new_request("gamma", "exit", "9");
    sshpm_exit_status *status = NULL, *copy = NULL;
    sshpm_string_list *keys = NULL;
    sshpm_buffer *buffer = NULL;
    sshpm_event *event;
    char *host = NULL;
    int32_t code = 0;

    OK(sshpm_options_new(&options));
    OK(sshpm_options_set_ssh_config(options, from_environment("SSHPM_TEST_SSH_CONFIG")));
    OK(sshpm_manager_new(options, &manager));
    OK(sshpm_manager_subscribe(manager, &subscription));
    OK(sshpm_manager_subscribe(manager, &unused));
    OK(sshpm_manager_start_process(manager, "kept", request, NULL));
    OK(sshpm_manager_get_active_process_keys(manager, &keys));
    OK(sshpm_manager_wait_for_process_exit_code(manager, "kept", LONG_S, &code));
    OK(sshpm_manager_get_process_stdout(manager, "kept", &buffer));
    OK(sshpm_manager_get_exit_status(manager, "kept", &copy));
    OK(sshpm_manager_pop_early_exit_status(manager, "kept", &status));
    event = next_event(subscription, SSHPM_EVENT_STARTED);
    sshpm_manager_free(manager);

    OK(sshpm_options_set_output_limit(options, 1));
    sshpm_options_free(options);
    OK(sshpm_boot_request_get_host(request, &host));
    sshpm_boot_request_free(request);
    CHECK(strcmp(host, "gamma") == 0);
    CHECK(strcmp(sshpm_string_list_get(keys, 0), "kept") == 0);
    sshpm_string_list_free(keys);
    CHECK(sshpm_buffer_data(buffer) != NULL);
    OK(sshpm_exit_status_get_code(status, &code));
    CHECK(code == 9);
    sshpm_exit_status_free(status);
    CHECK(strstr(sshpm_exit_status_get_message(copy), "kept") != NULL);
    sshpm_buffer_free(buffer);
    sshpm_subscription_free(unused);
    CHECK(strcmp(sshpm_event_get_uuid(event), "kept") == 0);
    sshpm_event_free(event);
    event = next_event(subscription, SSHPM_EVENT_EXITED);
    sshpm_subscription_free(subscription);
    OK(sshpm_exit_status_get_code(sshpm_event_get_status(event), &code));
    CHECK(code == 9);
    sshpm_event_free(event);
    sshpm_string_free(host);
    sshpm_exit_status_free(copy);
}

int main(void)
{
    sshpm_manager *manager = new_manager();
    alarm(WATCHDOG_S);
    numbers_have_points(manager);
    the_host_reaps(manager);
    sshpm_manager_free(manager);
    managers_know_their_own();
    handles_outlive_the_manager();
    return 0;
}
