/* Provokes the codes of files, hosts and ends by each function that documents them. tests/c_api/codes.rs compares. */
#include <sys/types.h>
#include <signal.h>

#include "codes.h"

/* Starts a script of /bin/sh. */
static void start_script(sshpm_manager *manager, const char *uuid, const char *host, const char *script)
{
    const char *argv[3] = {"/bin/sh", "-c", script};
    sshpm_boot_request *request = NULL;
    OK(sshpm_boot_request_new(host, argv, 3, &request));
    OK(sshpm_boot_request_set_grace(request, 600.0));
    OK(sshpm_manager_start_process(manager, uuid, request, NULL));
    sshpm_boot_request_free(request);
}

/* Waits until the script's output has begun: then it has set its traps. */
static void wait_ready(sshpm_manager *manager, const char *uuid)
{
    size_t size = 0;
    int64_t pid = 0;
    OK(sshpm_manager_wait_until_started(manager, uuid, LONG_S, &pid));
    for (int i = 0; size == 0; i++) {
        sshpm_buffer *buffer = NULL;
        CHECK(i < 100 * (int)LONG_S);
        OK(sshpm_manager_get_process_stdout(manager, uuid, &buffer));
        size = sshpm_buffer_size(buffer);
        sshpm_buffer_free(buffer);
        poll(NULL, 0, size == 0 ? 10 : 0);
    }
}

static void wait_for_state(sshpm_manager *manager, const char *uuid, int32_t expected)
{
    int32_t state = 0;
    for (int i = 0; state != expected; i++) {
        CHECK(i < 100 * (int)LONG_S);
        OK(sshpm_manager_get_process_state(manager, uuid, &state));
        poll(NULL, 0, state == expected ? 0 : 10);
    }
}

static void files_of_a_host(sshpm_manager *manager, sshpm_manager *without_ssh)
{
    sshpm_log_follower *follower = NULL;
    sshpm_buffer *buffer = NULL;
    NULL_ARGUMENT(sshpm_manager_read_log_file(manager, NULL, NULL, "/x", 1, 0.0, &buffer));
    NOT_UTF8(sshpm_manager_read_log_file(manager, LATIN1, NULL, "/x", 1, 0.0, &buffer));
    INVALID(sshpm_manager_read_log_file(manager, "a b", NULL, "/x", 1, 0.0, &buffer));
    FAILED(sshpm_manager_read_log_file(manager, "silent", NULL, "/x", 1, 0.0, &buffer), SSHPM_ERROR_TIMED_OUT);
    FAILED(sshpm_manager_read_log_file(manager, "alpha", NULL, "/no/such", 1, LONG_S, &buffer),
           SSHPM_ERROR_FILE_MISSING);
    FAILED(sshpm_manager_read_log_file(without_ssh, "alpha", NULL, "/x", 1, LONG_S, &buffer),
           SSHPM_ERROR_SSH_NOT_FOUND);
    CHECK(buffer == NULL);
    OK(sshpm_manager_read_log_file(manager, "alpha", NULL, "/etc/passwd", 1, LONG_S, &buffer));
    sshpm_buffer_free(buffer);

    NULL_ARGUMENT(sshpm_manager_follow_log_file(manager, "alpha", NULL, NULL, 1, &follower));
    NOT_UTF8(sshpm_manager_follow_log_file(manager, "alpha", LATIN1, "/x", 1, &follower));
    INVALID(sshpm_manager_follow_log_file(manager, "a b", NULL, "/x", 1, &follower));
    OK(sshpm_manager_follow_log_file(manager, "alpha", NULL, "/etc/passwd", 1, &follower));
    NULL_ARGUMENT(sshpm_log_follower_next(NULL, 0.0, &buffer));
    NULL_ARGUMENT(sshpm_log_follower_next(follower, 0.0, NULL));
    INVALID(sshpm_log_follower_next(follower, -2.0, &buffer));
    OK(sshpm_log_follower_next(follower, LONG_S, &buffer));
    sshpm_buffer_free(buffer);
    FAILED(sshpm_log_follower_next(follower, 0.0, &buffer), SSHPM_ERROR_TIMED_OUT);
    sshpm_log_follower_free(follower);
    OK(sshpm_manager_follow_log_file(manager, "alpha", NULL, "/etc", 1, &follower));
    FAILED(sshpm_log_follower_next(follower, LONG_S, &buffer), SSHPM_ERROR_FILE_IS_DIRECTORY);
    FAILED(sshpm_log_follower_next(follower, LONG_S, &buffer), SSHPM_ERROR_LINK_DOWN);
    sshpm_log_follower_free(follower);
    OK(sshpm_manager_follow_log_file(without_ssh, "alpha", NULL, "/x", 1, &follower));
    FAILED(sshpm_log_follower_next(follower, LONG_S, &buffer), SSHPM_ERROR_SSH_NOT_FOUND);
    sshpm_log_follower_free(follower);
}

/* A metadata file that no wrapper wrote. It is put in the place of a real one, and removed again. */
static void metadata_files(sshpm_manager *manager, sshpm_manager *without_ssh)
{
    const char *program = "mkdir -p -m 700 \"${XDG_RUNTIME_DIR:-/tmp}/drunc\" && "
                          "echo no JSON >\"${XDG_RUNTIME_DIR:-/tmp}/drunc/metadata_bad.json\"";
    sshpm_metadata *metadata = NULL;
    int64_t pid = 0;
    int32_t code = 0;
    NULL_ARGUMENT(sshpm_manager_read_process_metadata(manager, "a", NULL, NULL, 0.0, &metadata));
    NOT_UTF8(sshpm_manager_read_process_metadata(manager, LATIN1, "alpha", NULL, 0.0, &metadata));
    INVALID(sshpm_manager_read_process_metadata(manager, "a/b", "alpha", NULL, 0.0, &metadata));
    FAILED(sshpm_manager_read_process_metadata(manager, "nobody", "alpha", NULL, 0.0, &metadata),
           SSHPM_ERROR_FILE_MISSING);
    FAILED(sshpm_manager_read_process_metadata(without_ssh, "a", "alpha", NULL, 0.0, &metadata),
           SSHPM_ERROR_SSH_NOT_FOUND);
    start_script(manager, "writer", "alpha", program);
    OK(sshpm_manager_wait_for_process_exit_code(manager, "writer", LONG_S, &code));
    CHECK(code == 0);
    FAILED(sshpm_manager_read_process_metadata(manager, "bad", "alpha", NULL, 0.0, &metadata),
           SSHPM_ERROR_BAD_METADATA);
    CHECK(metadata == NULL);
    /* A process of that uuid replaces the file, and removes its own. */
    start_script(manager, "bad", "alpha", "echo ready; sleep 1000");
    OK(sshpm_manager_wait_until_started(manager, "bad", LONG_S, &pid));
    OK(sshpm_manager_get_remote_pid(manager, "bad", &pid));
    OK(sshpm_manager_read_process_metadata(manager, "bad", "alpha", NULL, LONG_S, &metadata));
    CHECK(sshpm_metadata_get_pid(metadata) == pid);
    sshpm_metadata_free(metadata);
}

static void hosts(sshpm_manager *manager, sshpm_manager *without_ssh)
{
    const char *const names[2] = {"alpha", "beta"}, *const bad[1] = {LATIN1};
    sshpm_host_results *results = NULL;
    NULL_ARGUMENT(sshpm_manager_validate_host_connection(manager, NULL, NULL, NULL, NULL));
    NOT_UTF8(sshpm_manager_validate_host_connection(manager, LATIN1, NULL, NULL, NULL));
    INVALID(sshpm_manager_validate_host_connection(manager, "a b", NULL, NULL, NULL));
    OK(sshpm_manager_validate_host_connection(manager, "alpha", NULL, NULL, NULL));
    FAILED(sshpm_manager_validate_host_connection(without_ssh, "alpha", NULL, NULL, NULL), SSHPM_ERROR_SSH_NOT_FOUND);
    NULL_ARGUMENT(sshpm_manager_validate_hosts(manager, NULL, NULL, 1, NULL, NULL, &results));
    NOT_UTF8(sshpm_manager_validate_hosts(manager, bad, NULL, 1, NULL, NULL, &results));
    INVALID(sshpm_manager_validate_hosts(manager, names, NULL, SIZE_MAX, NULL, NULL, &results));
    OK(sshpm_manager_validate_hosts(manager, names, NULL, 2, NULL, NULL, &results));
    OK(sshpm_host_results_get_result(results, 1));
    INVALID(sshpm_host_results_get_result(results, 2));
    NULL_ARGUMENT(sshpm_host_results_get_result(NULL, 0));
    sshpm_host_results_free(results);
    OK(sshpm_manager_validate_hosts(without_ssh, names, NULL, 1, NULL, NULL, &results));
    FAILED(sshpm_host_results_get_result(results, 0), SSHPM_ERROR_SSH_NOT_FOUND);
    sshpm_host_results_free(results);
}

static void output(sshpm_manager *manager)
{
    sshpm_output_subscription *subscription = NULL;
    sshpm_buffer *piece = NULL;
    int32_t stream = 0;
    start_script(manager, "writes", "beta", "echo ready; trap 'exit 3' USR1; while :; do echo more; sleep 0.05; done");
    wait_ready(manager, "writes");
    OK(sshpm_manager_subscribe_output(manager, "writes", &subscription));
    NULL_ARGUMENT(sshpm_output_subscription_next(NULL, 0.0, &stream, &piece));
    NULL_ARGUMENT(sshpm_output_subscription_next(subscription, 0.0, NULL, &piece));
    NULL_ARGUMENT(sshpm_output_subscription_next(subscription, 0.0, &stream, NULL));
    INVALID(sshpm_output_subscription_next(subscription, -2.0, &stream, &piece));
    OK(sshpm_output_subscription_next(subscription, LONG_S, &stream, &piece));
    sshpm_buffer_free(piece);
    sshpm_output_subscription_free(subscription);
    /* From here on, the process writes nothing until it ends. */
    OK(sshpm_manager_send_signal(manager, "writes", SIGSTOP));
    OK(sshpm_manager_subscribe_output(manager, "writes", &subscription));
    for (sshpm_result got = SSHPM_OK; got == SSHPM_OK;) {
        got = sshpm_output_subscription_next(subscription, 0.2, &stream, &piece);
        note_code("sshpm_output_subscription_next(", got);
        CHECK(got == SSHPM_OK || got == SSHPM_ERROR_TIMED_OUT);
        sshpm_buffer_free(got == SSHPM_OK ? piece : NULL);
    }
    OK(sshpm_manager_send_signal(manager, "writes", SIGKILL));
    for (sshpm_result got = SSHPM_OK; got == SSHPM_OK;) {
        got = sshpm_output_subscription_next(subscription, LONG_S, &stream, &piece);
        note_code("sshpm_output_subscription_next(", got);
        CHECK(got == SSHPM_OK || got == SSHPM_ERROR_END_OF_OUTPUT);
        sshpm_buffer_free(got == SSHPM_OK ? piece : NULL);
    }
    sshpm_output_subscription_free(subscription);
}

/* The codes for a process that ignores all signals but KILL, and then those for its lost link. */
static void ends(void)
{
    sshpm_options *options = NULL;
    sshpm_manager *manager = NULL;
    sshpm_exit_status *status = NULL;
    sshpm_kill_results *results = NULL;
    int64_t pid = 0;
    int32_t code = 0;
    OK(sshpm_options_new(&options));
    OK(sshpm_options_set_ssh_config(options, from_environment("SSHPM_TEST_SSH_CONFIG")));
    OK(sshpm_options_clear_kill_sequence(options));
    OK(sshpm_options_add_kill_step(options, SIGQUIT, SSHPM_KILL_SCOPE_LEADER, SSHPM_TIMEOUT_DEFAULT));
    OK(sshpm_manager_new(options, &manager));
    sshpm_options_free(options);
    start_script(manager, "deaf", "gamma", "trap '' HUP QUIT PIPE; echo ready; while :; do sleep 0.05; done");
    wait_ready(manager, "deaf");
    GIVES(sshpm_manager_kill_process(manager, "deaf", 0.0, &status), SSHPM_ERROR_STILL_RUNNING, "deaf");
    GIVES(sshpm_manager_restart_process(manager, "deaf", 0.0, NULL), SSHPM_ERROR_STILL_RUNNING, "deaf");
    OK(sshpm_manager_kill_all_processes(manager, 0.0, &results));
    FAILED(sshpm_kill_results_get_result(results, 0), SSHPM_ERROR_STILL_RUNNING);
    sshpm_kill_results_free(results);
    OK(sshpm_manager_get_runtime_pids(manager, "deaf", NULL, &pid, NULL, NULL));
    GIVES(sshpm_manager_kill_process_without_metadata(manager, "deaf", SIGKILL, false, 0.0, &status),
          SSHPM_ERROR_STILL_RUNNING, "deaf");
    wait_for_state(manager, "deaf", SSHPM_STATE_LINK_LOST);
    GIVES(sshpm_manager_send_signal(manager, "deaf", SIGCONT), SSHPM_ERROR_LINK_DOWN, "deaf");
    GIVES(sshpm_manager_crash_process(manager, "deaf", SIGCONT), SSHPM_ERROR_LINK_DOWN, "deaf");
    /* The host is this machine. */
    CHECK(kill((pid_t)pid, SIGKILL) == 0);
    GIVES(sshpm_manager_wait_for_process_exit_code(manager, "deaf", LONG_S, &code), SSHPM_ERROR_NO_EXIT_CODE, "deaf");
    OK(sshpm_manager_pop_early_exit_status(manager, "deaf", &status));
    CHECK(status != NULL);
    sshpm_exit_status_free(status);
    status = NULL;

    start_script(manager, "cut", "gamma", "echo ready; exec sleep 1000");
    wait_ready(manager, "cut");
    OK(sshpm_manager_kill_process_without_metadata(manager, "cut", SIGKILL, true, LONG_S, &status));
    sshpm_exit_status_free(status);
    start_script(manager, "obeys", "gamma", "trap 'exit 0' QUIT; echo ready; while :; do sleep 0.05; done");
    wait_ready(manager, "obeys");
    OK(sshpm_manager_kill_all_processes(manager, LONG_S, &results));
    OK(sshpm_kill_results_get_result(results, 0));
    sshpm_kill_results_free(results);
    sshpm_manager_free(manager);
}

static void after_the_end(sshpm_manager *manager)
{
    sshpm_subscription *subscription = NULL;
    sshpm_boot_request *request = new_request("alpha", "exit", "0");
    sshpm_event *event = NULL;
    int64_t pid = 0;
    OK(sshpm_manager_subscribe(manager, &subscription));
    GIVES(sshpm_subscription_next(subscription, 0.0, &event), SSHPM_ERROR_NO_EVENT, "");
    OK(sshpm_subscription_wake(subscription));
    GIVES(sshpm_subscription_next(subscription, 0.0, &event), SSHPM_ERROR_WOKEN, "");
    OK(sshpm_manager_shutdown(manager, LONG_S, NULL));
    GIVES(sshpm_manager_start_process(manager, "late", request, NULL), SSHPM_ERROR_SHUT_DOWN, "shut down");
    sshpm_boot_request_free(request);
    sshpm_manager_free(manager);
    while (sshpm_subscription_next(subscription, 0.0, &event) == SSHPM_OK) {
        sshpm_event_free(event);
    }
    GIVES(sshpm_subscription_next(subscription, LONG_S, &event), SSHPM_ERROR_SHUT_DOWN, "");
    sshpm_subscription_free(subscription);

    /* A process that the manager let go before it ran has ended. It did not fail. */
    manager = new_manager();
    start(manager, "let-go", "silent", "exit", "0");
    OK(sshpm_manager_detach(manager));
    GIVES(sshpm_manager_wait_until_started(manager, "let-go", LONG_S, &pid), SSHPM_ERROR_NOT_RUNNING, "let-go");
    GIVES(sshpm_manager_wait_until_ready(manager, "let-go", LONG_S), SSHPM_ERROR_NOT_RUNNING, "let-go");
    GIVES(sshpm_manager_restart_process(manager, "let-go", LONG_S, NULL), SSHPM_ERROR_SHUT_DOWN, "shut down");
    sshpm_manager_free(manager);
}

/* One process that becomes ready, and one that does not. */
static void readiness(sshpm_manager *manager)
{
    const char *const argv[3] = {"/bin/sh", "-c", "echo it is ready; exec sleep 600"};
    const char *const uuids[2] = {"ready", "late"};
    sshpm_subscription *subscription = NULL;
    sshpm_boot_request *request = NULL;
    sshpm_exit_status *status = NULL;
    bool answer = false;
    OK(sshpm_boot_request_new("alpha", argv, 3, &request));
    OK(sshpm_manager_subscribe(manager, &subscription));
    for (int i = 0; i < 2; i++) {
        OK(sshpm_boot_request_set_ready_output(request, i == 0 ? "is ready" : "was ready"));
        OK(sshpm_boot_request_set_ready_timeout(request, i == 0 ? SSHPM_TIMEOUT_DEFAULT : 0.1));
        OK(sshpm_manager_start_process(manager, uuids[i], request, NULL));
        sshpm_event_free(next_event(subscription, SSHPM_EVENT_STARTED));
        if (i == 0) {
            sshpm_event *event = next_event(subscription, SSHPM_EVENT_READY);
            OK(sshpm_event_get_error(event));
            CHECK(strcmp(sshpm_event_get_message(event), "") == 0);
            sshpm_event_free(event);
            OK(sshpm_manager_wait_until_ready(manager, uuids[i], LONG_S));
        } else {
            sshpm_event *event = next_event(subscription, SSHPM_EVENT_NOT_READY);
            OK(sshpm_event_get_error(event));
            CHECK(strstr(sshpm_event_get_message(event), "not ready 0.1 s after") != NULL);
            sshpm_event_free(event);
            GIVES(sshpm_manager_wait_until_ready(manager, uuids[i], LONG_S), SSHPM_ERROR_NOT_READY, "\"late\" is not ready");
        }
        OK(sshpm_manager_is_ready(manager, uuids[i], &answer));
        CHECK(answer == (i == 0));
        OK(sshpm_manager_kill_process(manager, uuids[i], LONG_S, &status));
        sshpm_exit_status_free(status);
        sshpm_event_free(next_event(subscription, SSHPM_EVENT_EXITED));
    }
    sshpm_boot_request_free(request);
    sshpm_subscription_free(subscription);
}

/* A policy restarts a process once, and then a call restarts it. */
static void restarts(sshpm_manager *manager)
{
    const char *const argv[3] = {"/bin/sh", "-c", "exit 3"};
    sshpm_subscription *subscription = NULL;
    sshpm_boot_request *request = NULL;
    sshpm_exit_status *status = NULL;
    sshpm_event *event = NULL;
    uint64_t numbers[3] = {0, 0, 0};
    OK(sshpm_boot_request_new("alpha", argv, 3, &request));
    OK(sshpm_boot_request_set_restart(request, SSHPM_RESTART_ON_FAILURE));
    OK(sshpm_boot_request_set_restart_limit(request, 1, 60.0));
    OK(sshpm_boot_request_set_restart_pauses(request, 0.25, 0.5));
    OK(sshpm_manager_subscribe(manager, &subscription));
    OK(sshpm_manager_start_process(manager, "restarts", request, &numbers[0]));
    sshpm_event_free(next_event(subscription, SSHPM_EVENT_STARTED));
    sshpm_event_free(next_event(subscription, SSHPM_EVENT_EXITED));
    event = next_event(subscription, SSHPM_EVENT_RESTARTING);
    CHECK(sshpm_event_get_attempt(event) == 1 && sshpm_event_get_pause(event) == 0.25);
    CHECK(sshpm_event_get_start_number(event) == numbers[0] && sshpm_event_get_message(event)[0] == '\0');
    CHECK(sshpm_event_get_attempt(NULL) == 0 && sshpm_event_get_pause(NULL) == 0.0);
    OK(sshpm_event_get_error(event));
    sshpm_event_free(event);
    event = next_event(subscription, SSHPM_EVENT_STARTED);
    numbers[1] = sshpm_event_get_start_number(event);
    CHECK(numbers[1] > numbers[0] && sshpm_event_get_attempt(event) == 0 && sshpm_event_get_pause(event) == 0.0);
    sshpm_event_free(event);
    sshpm_event_free(next_event(subscription, SSHPM_EVENT_EXITED));
    event = next_event(subscription, SSHPM_EVENT_RESTART_LIMIT_REACHED);
    CHECK(strcmp(sshpm_event_get_message(event), "it had 1 restarts within 60 s") == 0);
    OK(sshpm_event_get_error(event));
    sshpm_event_free(event);
    wait_for_state(manager, "restarts", SSHPM_STATE_ENDED);

    OK(sshpm_manager_restart_process(manager, "restarts", LONG_S, &numbers[2]));
    CHECK(numbers[2] > numbers[1]);
    sshpm_event_free(next_event(subscription, SSHPM_EVENT_STARTED));
    sshpm_event_free(next_event(subscription, SSHPM_EVENT_EXITED));
    sshpm_event_free(next_event(subscription, SSHPM_EVENT_RESTARTING));
    OK(sshpm_manager_kill_process(manager, "restarts", LONG_S, &status));
    sshpm_exit_status_free(status);
    sshpm_boot_request_free(request);
    sshpm_subscription_free(subscription);
}

int main(void)
{
    sshpm_options *options = NULL;
    sshpm_manager *manager = new_manager(), *without_ssh = NULL;
    alarm(WATCHDOG_S);
    OK(sshpm_options_new(&options));
    OK(sshpm_options_set_ssh_program(options, "/no/such/ssh"));
    OK(sshpm_manager_new(options, &without_ssh));
    sshpm_options_free(options);
    files_of_a_host(manager, without_ssh);
    metadata_files(manager, without_ssh);
    hosts(manager, without_ssh);
    output(manager);
    ends();
    readiness(manager);
    restarts(manager);
    sshpm_manager_free(without_ssh);
    after_the_end(manager);
    return 0;
}
