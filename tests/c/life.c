/* Three processes from their requests to their ends, with every part of the interface that a session uses. */
#include <math.h>
#include <signal.h>

#include "check.h"

static const char *const UUIDS[3] = {"server", "control", "readout"};
static const char *const HOSTS[3] = {"alpha", "beta", "gamma"};
static const char *const TREE_IDS[3] = {"1", "0", "0.1"};
static const char *const ROLES[3] = {"infrastructure-applications", "root-controller", "application"};

static sshpm_options *options_by_setters(void)
{
    sshpm_options *options = NULL;
    const char *const order[2] = {"application", "root-controller"};
    OK(sshpm_options_new(&options));
    OK(sshpm_options_set_ssh_program(options, "ssh"));
    OK(sshpm_options_set_ssh_config(options, from_environment("SSHPM_TEST_SSH_CONFIG")));
    OK(sshpm_options_set_known_hosts_file(options, NULL));
    OK(sshpm_options_add_ssh_option(options, "Compression=no"));
    OK(sshpm_options_set_connect_timeout(options, 30.0));
    OK(sshpm_options_set_lost_timeout(options, SSHPM_TIMEOUT_DEFAULT));
    OK(sshpm_options_set_host_key_policy(options, SSHPM_HOST_KEY_SSH_CONFIG));
    OK(sshpm_options_set_output_limit(options, 4096));
    OK(sshpm_options_clear_kill_sequence(options));
    OK(sshpm_options_add_kill_step(options, SIGTERM, SSHPM_KILL_SCOPE_LEADER, LONG_S));
    OK(sshpm_options_add_kill_step(options, SIGKILL, SSHPM_KILL_SCOPE_GROUP, SSHPM_TIMEOUT_DEFAULT));
    OK(sshpm_options_set_shutdown_order(options, order, 2));
    return options;
}

static sshpm_boot_request *request_by_setters(int i)
{
    sshpm_boot_request *request = new_request(HOSTS[i], "heartbeat", "1");
    char *role = NULL;
    OK(sshpm_role_from_tree_id(TREE_IDS[i], i != 2, &role));
    CHECK(strcmp(role, ROLES[i]) == 0);
    OK(sshpm_boot_request_set_role(request, role));
    sshpm_string_free(role);
    OK(sshpm_boot_request_set_user(request, NULL));
    OK(sshpm_boot_request_set_name(request, UUIDS[i]));
    OK(sshpm_boot_request_set_session(request, "session-1"));
    OK(sshpm_boot_request_set_tree_id(request, TREE_IDS[i]));
    OK(sshpm_boot_request_add_setup_line(request, "echo set up for $PARTITION"));
    OK(sshpm_boot_request_set_setup_shell(request, "sh"));
    OK(sshpm_boot_request_set_environment(request, "PARTITION", "np'04 $x"));
    OK(sshpm_boot_request_set_working_directory(request, "/"));
    OK(sshpm_boot_request_set_umask(request, 027));
    OK(sshpm_boot_request_set_limit(request, "core", 0));
    OK(sshpm_boot_request_set_limit(request, "cpu", SSHPM_UNLIMITED));
    OK(sshpm_boot_request_set_log_file(request, NULL));
    OK(sshpm_boot_request_set_log_mode(request, SSHPM_LOG_MODE_APPEND));
    OK(sshpm_boot_request_set_start_timeout(request, LONG_S));
    OK(sshpm_boot_request_set_link_loss(request, SSHPM_LINK_LOSS_TERMINATE));
    OK(sshpm_boot_request_set_grace(request, 1.0));
    OK(sshpm_boot_request_check(request));
    return request;
}

static void getters_give_what_was_set(const sshpm_boot_request *request)
{
    char *text = NULL;
    OK(sshpm_boot_request_get_host(request, &text));
    CHECK(strcmp(text, "gamma") == 0);
    sshpm_string_free(text);
    OK(sshpm_boot_request_get_user(request, &text));
    CHECK(text == NULL);
    OK(sshpm_boot_request_get_name(request, &text));
    CHECK(strcmp(text, "readout") == 0);
    sshpm_string_free(text);
    OK(sshpm_boot_request_get_session(request, &text));
    CHECK(strcmp(text, "session-1") == 0);
    sshpm_string_free(text);
    OK(sshpm_boot_request_get_role(request, &text));
    CHECK(strcmp(text, "application") == 0);
    sshpm_string_free(text);
}

static bool readable(const sshpm_subscription *subscription, int timeout_ms)
{
    struct pollfd fd = {sshpm_subscription_get_fd(subscription), POLLIN, 0};
    return poll(&fd, 1, timeout_ms) == 1;
}

static void it_runs(sshpm_manager *manager, const char *uuid)
{
    int64_t pid = wait_for_heartbeat(manager, uuid), known = 0, client = 0, remote = 0, wrapper = 0, watcher = 0;
    int32_t state = 0;
    bool alive = false;
    sshpm_exit_status *status = (sshpm_exit_status *)&state;

    CHECK(pid > 1);
    OK(sshpm_manager_wait_until_started(manager, uuid, INFINITY, &known));
    CHECK(known == pid);
    OK(sshpm_manager_get_process_state(manager, uuid, &state));
    CHECK(state == SSHPM_STATE_RUNNING);
    OK(sshpm_manager_is_process_alive(manager, uuid, &alive));
    CHECK(alive);
    OK(sshpm_manager_get_remote_pid(manager, uuid, &known));
    CHECK(known == pid);
    OK(sshpm_manager_get_runtime_pids(manager, uuid, &client, &remote, &wrapper, &watcher));
    CHECK(client > 1 && remote == pid && wrapper > 1 && watcher > 1);
    OK(sshpm_manager_get_runtime_pids(manager, uuid, NULL, NULL, NULL, NULL));
    OK(sshpm_manager_get_exit_status(manager, uuid, &status));
    CHECK(status == NULL);
    OK(sshpm_manager_pop_early_exit_status(manager, uuid, &status));
    CHECK(status == NULL);
}

static void it_wrote(const sshpm_manager *manager, const char *uuid, const char *text)
{
    sshpm_buffer *buffer = NULL;
    OK(sshpm_manager_get_process_stdout(manager, uuid, &buffer));
    CHECK(sshpm_buffer_size(buffer) == strlen(sshpm_buffer_data(buffer)));
    CHECK(sshpm_buffer_dropped(buffer) == 0);
    CHECK(strstr(sshpm_buffer_data(buffer), text) != NULL);
    sshpm_buffer_free(buffer);
    OK(sshpm_manager_get_process_stderr(manager, uuid, &buffer));
    sshpm_buffer_free(buffer);
}

/* The process was asked to end, and ended by itself with 0. */
static void it_was_ended(const sshpm_exit_status *status)
{
    int32_t code = -1;
    CHECK(sshpm_exit_status_get_source(status) == SSHPM_EXIT_SOURCE_MANUAL_KILL_THROUGH_REMOTE_PID);
    CHECK(strcmp(sshpm_exit_status_get_source_name(status), "manual_kill_through_remote_pid") == 0);
    OK(sshpm_exit_status_get_raw_code(status, &code));
    CHECK(code == 0);
    code = -1;
    OK(sshpm_exit_status_get_code(status, &code));
    CHECK(code == 0);
    code = -1;
    OK(sshpm_exit_status_get_application_code(status, &code));
    CHECK(code == 0);
    CHECK(sshpm_exit_status_get_signal(status) == 0);
    CHECK(!sshpm_exit_status_core_dumped(status) && !sshpm_exit_status_left_over(status));
    CHECK(!sshpm_exit_status_link_lost(status) && !sshpm_exit_status_is_unknown(status));
    CHECK(strstr(sshpm_exit_status_get_sentence(status), "ended by the manager") != NULL);
    CHECK(strstr(sshpm_exit_status_get_message(status), "exit code 0") != NULL);
}

static void it_has_left(sshpm_manager *manager, const char *uuid)
{
    int32_t state = 77;
    bool alive = true;
    GIVES(sshpm_manager_get_process_state(manager, uuid, &state), SSHPM_ERROR_UNKNOWN_UUID, uuid);
    CHECK(state == 77);
    OK(sshpm_manager_is_process_alive(manager, uuid, &alive));
    CHECK(!alive);
}

/* By the shutdown order, "control" ends before "server", which the order does not name. */
static void kill_in_order(sshpm_manager *manager, const sshpm_subscription *subscription)
{
    const char *const uuids[3] = {"server", "nobody", "control"};
    const double timeouts[3] = {LONG_S, 0.0, SSHPM_TIMEOUT_DEFAULT};
    const char *const ended[2] = {"control", "server"};
    sshpm_kill_results *results = NULL;
    OK(sshpm_manager_kill_processes(manager, uuids, 3, timeouts, &results));
    CHECK(sshpm_kill_results_count(results) == 3);
    CHECK(strcmp(sshpm_kill_results_get_uuid(results, 0), "control") == 0);
    OK(sshpm_kill_results_get_result(results, 0));
    it_was_ended(sshpm_kill_results_get_status(results, 0));
    CHECK(strcmp(sshpm_kill_results_get_message(results, 0),
                 sshpm_exit_status_get_message(sshpm_kill_results_get_status(results, 0))) == 0);
    CHECK(strcmp(sshpm_kill_results_get_uuid(results, 1), "nobody") == 0);
    CHECK(sshpm_kill_results_get_result(results, 1) == SSHPM_ERROR_UNKNOWN_UUID);
    CHECK(sshpm_kill_results_get_status(results, 1) == NULL);
    CHECK(strstr(sshpm_kill_results_get_message(results, 1), "nobody") != NULL);
    CHECK(sshpm_kill_results_get_uuid(results, 3) == NULL && sshpm_kill_results_get_message(results, 3) == NULL);
    CHECK(sshpm_kill_results_get_status(results, 3) == NULL);
    GIVES(sshpm_kill_results_get_result(results, 3), SSHPM_ERROR_INVALID, "index");
    sshpm_kill_results_free(results);
    for (int i = 0; i < 2; i++) {
        sshpm_event *event = next_event(subscription, SSHPM_EVENT_EXITED);
        CHECK(strcmp(sshpm_event_get_uuid(event), ended[i]) == 0);
        it_was_ended(sshpm_event_get_status(event));
        sshpm_event_free(event);
    }
}

static void ends_that_nobody_asked_for(sshpm_manager *manager, const sshpm_subscription *subscription)
{
    int32_t code = 0;
    int64_t pid = 5;
    sshpm_exit_status *status = NULL;
    sshpm_event *event;

    start(manager, "seven", "alpha", "exit", "7");
    OK(sshpm_manager_wait_for_process_exit_code(manager, "seven", SSHPM_TIMEOUT_DEFAULT, &code));
    CHECK(code == 7);
    sshpm_event_free(next_event(subscription, SSHPM_EVENT_STARTED));
    sshpm_event_free(next_event(subscription, SSHPM_EVENT_EXITED));
    OK(sshpm_manager_pop_early_exit_status(manager, "seven", &status));
    CHECK(sshpm_exit_status_get_source(status) == SSHPM_EXIT_SOURCE_REMOTE_MONITORING);
    sshpm_exit_status_free(status);
    OK(sshpm_manager_pop_early_exit_status(manager, "seven", &status));
    CHECK(status == NULL);

    start(manager, "raised", "alpha", "raise", "KILL");
    OK(sshpm_manager_wait_for_process_exit_code(manager, "raised", LONG_S, &code));
    CHECK(code == 128 + SIGKILL);
    OK(sshpm_manager_get_exit_status(manager, "raised", &status));
    CHECK(sshpm_exit_status_get_signal(status) == SIGKILL);
    sshpm_exit_status_free(status);
    OK(sshpm_manager_forget_process(manager, "raised"));
    it_has_left(manager, "raised");
    sshpm_event_free(next_event(subscription, SSHPM_EVENT_STARTED));
    sshpm_event_free(next_event(subscription, SSHPM_EVENT_EXITED));

    const char *argv[1] = {"/no/such/program"};
    sshpm_boot_request *request = NULL;
    OK(sshpm_boot_request_new("alpha", argv, 1, &request));
    OK(sshpm_manager_start_process(manager, "missing", request, NULL));
    sshpm_boot_request_free(request);
    GIVES(sshpm_manager_wait_until_started(manager, "missing", LONG_S, &pid),
          SSHPM_ERROR_START_PROGRAM_NOT_FOUND, "missing");
    CHECK(pid == 5);
    event = next_event(subscription, SSHPM_EVENT_START_FAILED);
    CHECK(sshpm_event_get_error(event) == SSHPM_ERROR_START_PROGRAM_NOT_FOUND);
    CHECK(strstr(sshpm_event_get_message(event), "missing") != NULL);
    CHECK(sshpm_event_get_status(event) == NULL && sshpm_event_get_pid(event) == -1);
    sshpm_event_free(event);
    GIVES(sshpm_manager_get_exit_status(manager, "missing", &status), SSHPM_ERROR_START_PROGRAM_NOT_FOUND, "");
    GIVES(sshpm_manager_pop_early_exit_status(manager, "missing", &status), SSHPM_ERROR_START_PROGRAM_NOT_FOUND, "");
    it_has_left(manager, "missing");
}

static void kill_by_role_and_all(sshpm_manager *manager)
{
    const char *const uuids[2] = {"a", "b"};
    sshpm_kill_results *results = NULL;
    for (int i = 0; i < 2; i++) {
        sshpm_boot_request *request = new_request("alpha", "heartbeat", "1");
        OK(sshpm_boot_request_set_role(request, i == 0 ? "application" : "monitor"));
        OK(sshpm_manager_start_process(manager, uuids[i], request, NULL));
        wait_for_heartbeat(manager, uuids[i]);
        sshpm_boot_request_free(request);
    }
    OK(sshpm_manager_kill_processes_by_role(manager, "monitor", uuids, 2, NULL, &results));
    CHECK(sshpm_kill_results_count(results) == 1);
    CHECK(strcmp(sshpm_kill_results_get_uuid(results, 0), "b") == 0);
    sshpm_kill_results_free(results);
    OK(sshpm_manager_kill_all_processes(manager, SSHPM_TIMEOUT_DEFAULT, &results));
    CHECK(sshpm_kill_results_count(results) == 1);
    CHECK(strcmp(sshpm_kill_results_get_uuid(results, 0), "a") == 0);
    sshpm_kill_results_free(results);
}

int main(void)
{
    sshpm_options *options = options_by_setters();
    sshpm_manager *manager = NULL;
    sshpm_subscription *subscription = NULL;
    sshpm_string_list *keys = NULL;
    sshpm_boot_request *request;
    sshpm_exit_status *status = NULL;
    sshpm_kill_results *results = NULL;
    sshpm_event *event = NULL;

    alarm(WATCHDOG_S);
    CHECK(strcmp(sshpm_version(), SSHPM_VERSION) == 0);
    CHECK(strcmp(sshpm_last_error_message(), "") == 0);
    OK(sshpm_manager_new(options, &manager));
    sshpm_options_free(options);
    OK(sshpm_manager_subscribe(manager, &subscription));
    CHECK(!readable(subscription, 0));

    for (int i = 0; i < 3; i++) {
        request = request_by_setters(i);
        uint64_t number = 0, of_table = 0;
        OK(sshpm_manager_start_process(manager, UUIDS[i], request, &number));
        OK(sshpm_manager_get_start_number(manager, UUIDS[i], &of_table));
        CHECK(number == (uint64_t)i + 1 && of_table == number);
        if (i == 2) {
            getters_give_what_was_set(request);
            GIVES(sshpm_manager_start_process(manager, UUIDS[i], request, NULL), SSHPM_ERROR_UUID_IN_USE, "readout");
        }
        sshpm_boot_request_free(request);
    }
    for (int i = 0; i < 3; i++) {
        it_runs(manager, UUIDS[i]);
    }
    OK(sshpm_manager_get_active_process_keys(manager, &keys));
    CHECK(sshpm_string_list_count(keys) == 3);
    for (size_t i = 0; i < 3; i++) {
        CHECK(strcmp(sshpm_string_list_get(keys, i), UUIDS[i]) == 0);
    }
    CHECK(sshpm_string_list_get(keys, 3) == NULL);
    sshpm_string_list_free(keys);

    for (int i = 0; i < 3; i++) {
        CHECK(readable(subscription, 1000 * (int)LONG_S));
        event = next_event(subscription, SSHPM_EVENT_STARTED);
        CHECK(sshpm_event_get_pid(event) > 1);
        CHECK(sshpm_event_get_error(event) == SSHPM_OK && sshpm_event_get_status(event) == NULL);
        CHECK(strcmp(sshpm_event_get_message(event), "") == 0);
        sshpm_event_free(event);
    }
    CHECK(!readable(subscription, 0));
    event = NULL;
    GIVES(sshpm_subscription_next(subscription, 0.0, &event), SSHPM_ERROR_NO_EVENT, "no event");
    GIVES(sshpm_subscription_next(subscription, 0.05, &event), SSHPM_ERROR_NO_EVENT, "no event");
    CHECK(event == NULL);

    it_wrote(manager, "readout", "set up for np'04 $x\n");
    OK(sshpm_manager_send_signal(manager, "readout", SIGCONT));
    OK(sshpm_manager_kill_process(manager, "readout", LONG_S, &status));
    it_was_ended(status);
    CHECK(sshpm_exit_status_get_start_number(status) == 3);
    CHECK(strstr(sshpm_exit_status_get_message(status), "readout") != NULL);
    sshpm_exit_status_free(status);
    it_has_left(manager, "readout");
    event = next_event(subscription, SSHPM_EVENT_EXITED);
    it_was_ended(sshpm_event_get_status(event));
    CHECK(sshpm_event_get_start_number(event) == 3);
    CHECK(sshpm_exit_status_get_start_number(sshpm_event_get_status(event)) == 3);
    CHECK(strstr(sshpm_event_get_message(event), "exit code 0") != NULL);
    sshpm_event_free(event);
    kill_in_order(manager, subscription);
    ends_that_nobody_asked_for(manager, subscription);
    kill_by_role_and_all(manager);

    OK(sshpm_manager_shutdown(manager, SSHPM_TIMEOUT_DEFAULT, &results));
    CHECK(sshpm_kill_results_count(results) == 0);
    sshpm_kill_results_free(results);
    OK(sshpm_manager_shutdown(manager, 0.0, NULL));
    OK(sshpm_manager_detach(manager));
    request = new_request("alpha", "exit", "0");
    GIVES(sshpm_manager_start_process(manager, "late", request, NULL), SSHPM_ERROR_SHUT_DOWN, "shut down");
    sshpm_boot_request_free(request);
    sshpm_manager_free(manager);

    /* The subscription outlives the manager: its events can still be taken. */
    for (int i = 0; i < 4; i++) {
        OK(sshpm_subscription_next(subscription, SSHPM_TIMEOUT_DEFAULT, &event));
        sshpm_event_free(event);
    }
    GIVES(sshpm_subscription_next(subscription, SSHPM_TIMEOUT_DEFAULT, &event), SSHPM_ERROR_SHUT_DOWN, "freed");
    sshpm_subscription_free(subscription);
    return 0;
}
