/* Provokes each code that a function documents. tests/c_api/codes.rs compares. What needs no process is in bad_input.c
 * too. */
#include <signal.h>

#include "codes.h"

static void options_and_requests(void)
{
    const char *const bad[1] = {LATIN1}, *const argv[1] = {"a"};
    sshpm_options *options = NULL;
    sshpm_boot_request *request = NULL;
    sshpm_boot_request_list *list = NULL;
    char *text = NULL;
    OK(sshpm_options_new(&options));
    OK(sshpm_options_set_ssh_program(options, "ssh"));
    OK(sshpm_options_add_ssh_option(options, "Compression=no"));
    OK(sshpm_options_set_connect_timeout(options, 1.0));
    OK(sshpm_options_set_share_connections(options, false));
    NULL_ARGUMENT(sshpm_options_set_share_connections(NULL, false));
    OK(sshpm_options_set_ssh_client_per_process(options, false));
    NULL_ARGUMENT(sshpm_options_set_ssh_client_per_process(NULL, false));
    OK(sshpm_options_set_raise_descriptor_limit(options, false));
    NULL_ARGUMENT(sshpm_options_set_raise_descriptor_limit(NULL, true));
    OK(sshpm_options_set_lease(options, 9.0));
    NULL_ARGUMENT(sshpm_options_set_lease(NULL, 9.0));
    INVALID(sshpm_options_set_lease(options, -3.0));
    OK(sshpm_options_set_host_key_policy(options, SSHPM_HOST_KEY_STRICT));
    OK(sshpm_options_set_known_hosts_file(options, NULL));
    OK(sshpm_options_set_output_limit(options, 1));
    OK(sshpm_options_add_kill_step(options, SIGTERM, SSHPM_KILL_SCOPE_GROUP, 1.0));
    OK(sshpm_options_set_shutdown_order(options, NULL, 0));
    NOT_UTF8(sshpm_options_set_shutdown_order(options, bad, 1));
    sshpm_options_free(options);

    INVALID(sshpm_boot_request_new("host", argv, SIZE_MAX, &request));
    NOT_UTF8(sshpm_boot_request_list_from_json(LATIN1, &list));
    OK(sshpm_boot_request_new("host", argv, 1, &request));
    OK(sshpm_boot_request_set_user(request, "user"));
    OK(sshpm_boot_request_set_name(request, "name"));
    NOT_UTF8(sshpm_boot_request_set_name(request, LATIN1));
    OK(sshpm_boot_request_set_session(request, "session"));
    NOT_UTF8(sshpm_boot_request_set_session(request, LATIN1));
    OK(sshpm_boot_request_set_tree_id(request, "0"));
    NOT_UTF8(sshpm_boot_request_set_tree_id(request, LATIN1));
    OK(sshpm_boot_request_set_role(request, "unknown"));
    NOT_UTF8(sshpm_boot_request_set_role(request, LATIN1));
    OK(sshpm_boot_request_set_setup_shell(request, "sh"));
    NOT_UTF8(sshpm_boot_request_set_setup_shell(request, LATIN1));
    OK(sshpm_boot_request_set_working_directory(request, "/"));
    OK(sshpm_boot_request_set_limit(request, "core", SSHPM_UNLIMITED));
    NOT_UTF8(sshpm_boot_request_set_limit(request, LATIN1, 0));
    OK(sshpm_boot_request_set_log_file(request, "log"));
    OK(sshpm_boot_request_set_log_mode(request, SSHPM_LOG_MODE_APPEND));
    OK(sshpm_boot_request_set_start_timeout(request, 1.0));
    OK(sshpm_boot_request_set_ready_timeout(request, 1.0));
    NULL_ARGUMENT(sshpm_boot_request_set_ready_timeout(NULL, 1.0));
    INVALID(sshpm_boot_request_set_ready_timeout(request, -3.0));
    OK(sshpm_boot_request_set_ready_notify(request));
    NULL_ARGUMENT(sshpm_boot_request_set_ready_notify(NULL));
    OK(sshpm_boot_request_set_ready_port(request, 8080));
    NULL_ARGUMENT(sshpm_boot_request_set_ready_port(NULL, 8080));
    OK(sshpm_boot_request_set_ready_output(request, "ready"));
    OK(sshpm_boot_request_set_ready_output(request, NULL));
    NULL_ARGUMENT(sshpm_boot_request_set_ready_output(NULL, NULL));
    NOT_UTF8(sshpm_boot_request_set_ready_output(request, LATIN1));
    OK(sshpm_boot_request_set_restart(request, SSHPM_RESTART_ALWAYS));
    NULL_ARGUMENT(sshpm_boot_request_set_restart(NULL, SSHPM_RESTART_NEVER));
    INVALID(sshpm_boot_request_set_restart(request, -1));
    OK(sshpm_boot_request_set_restart_limit(request, 5, SSHPM_TIMEOUT_DEFAULT));
    NULL_ARGUMENT(sshpm_boot_request_set_restart_limit(NULL, 5, 1.0));
    INVALID(sshpm_boot_request_set_restart_limit(request, 5, -3.0));
    OK(sshpm_boot_request_set_restart_pauses(request, 1.0, SSHPM_TIMEOUT_DEFAULT));
    NULL_ARGUMENT(sshpm_boot_request_set_restart_pauses(NULL, 1.0, 1.0));
    INVALID(sshpm_boot_request_set_restart_pauses(request, 1.0, -3.0));
    OK(sshpm_boot_request_set_link_loss(request, SSHPM_LINK_LOSS_TERMINATE));
    OK(sshpm_boot_request_set_grace(request, 1.0));
    OK(sshpm_boot_request_get_name(request, &text));
    sshpm_string_free(text);
    OK(sshpm_boot_request_get_session(request, &text));
    sshpm_string_free(text);
    OK(sshpm_boot_request_get_role(request, &text));
    sshpm_string_free(text);
    sshpm_boot_request_free(request);
    OK(sshpm_set_log_callback(SSHPM_LOG_OFF, NULL, NULL));
}

static void names(void)
{
    char *text = NULL;
    int32_t number = 0;
    sshpm_metadata *metadata = NULL;
    OK(sshpm_role_from_tree_id("0", true, &text));
    sshpm_string_free(text);
    NOT_UTF8(sshpm_signal_from_name(LATIN1, &number));
    OK(sshpm_signal_to_name(SIGTERM, &text));
    CHECK(strcmp(text, "TERM") == 0);
    sshpm_string_free(text);
    INVALID(sshpm_signal_to_name(0, &text));
    NULL_ARGUMENT(sshpm_signal_to_name(SIGTERM, NULL));
    OK(sshpm_metadata_file_path("a", &text));
    sshpm_string_free(text);
    NOT_UTF8(sshpm_metadata_file_path(LATIN1, &text));
    NULL_ARGUMENT(sshpm_metadata_file_path(NULL, &text));
    NULL_ARGUMENT(sshpm_metadata_file_path("a", NULL));
    OK(sshpm_metadata_from_json("a", "{\"pid\":2,\"hostname\":\"h\",\"user\":\"u\",\"started_at\":1.5}", &metadata));
    CHECK(sshpm_metadata_get_pid(metadata) == 2);
    sshpm_metadata_free(metadata);
    NULL_ARGUMENT(sshpm_metadata_from_json(NULL, "{}", &metadata));
    NULL_ARGUMENT(sshpm_metadata_from_json("a", NULL, &metadata));
    NULL_ARGUMENT(sshpm_metadata_from_json("a", "{}", NULL));
    NOT_UTF8(sshpm_metadata_from_json(LATIN1, "{}", &metadata));
    GIVES(sshpm_metadata_from_json("a", LATIN1, &metadata), SSHPM_ERROR_BAD_METADATA, "\"a\"");
}

/* The code of each function of a process for an invalid name, and for a name that no process has. */
static void nobody(sshpm_manager *manager)
{
    const char *const bad[1] = {LATIN1}, *const others[1] = {"nobody"};
    sshpm_output_subscription *output = NULL;
    sshpm_exit_status *status = NULL;
    sshpm_kill_results *results = NULL;
    sshpm_buffer *buffer = NULL;
    uint64_t start_number = 0;
    int64_t pid = 0;
    int32_t number = 0;
    bool answer = true;
    NOT_UTF8(sshpm_manager_forget_process(manager, LATIN1));
    NOT_UTF8(sshpm_manager_get_start_number(manager, LATIN1, &start_number));
    UNKNOWN(sshpm_manager_get_start_number(manager, "nobody", &start_number));
    NOT_UTF8(sshpm_manager_get_process_state(manager, LATIN1, &number));
    UNKNOWN(sshpm_manager_get_process_state(manager, "nobody", &number));
    NOT_UTF8(sshpm_manager_is_process_alive(manager, LATIN1, &answer));
    OK(sshpm_manager_is_process_alive(manager, "nobody", &answer));
    NOT_UTF8(sshpm_manager_is_monitoring_remotely(manager, LATIN1, &answer));
    OK(sshpm_manager_is_monitoring_remotely(manager, "nobody", &answer));
    NULL_ARGUMENT(sshpm_manager_is_monitoring_remotely(NULL, "nobody", &answer));
    NULL_ARGUMENT(sshpm_manager_is_monitoring_remotely(manager, "nobody", NULL));
    NOT_UTF8(sshpm_manager_get_remote_pid(manager, LATIN1, &pid));
    UNKNOWN(sshpm_manager_get_remote_pid(manager, "nobody", &pid));
    NOT_UTF8(sshpm_manager_get_runtime_pids(manager, LATIN1, NULL, NULL, NULL, NULL));
    NOT_UTF8(sshpm_manager_get_process_stdout(manager, LATIN1, &buffer));
    NOT_UTF8(sshpm_manager_get_process_stderr(manager, LATIN1, &buffer));
    UNKNOWN(sshpm_manager_get_process_stderr(manager, "nobody", &buffer));
    NOT_UTF8(sshpm_manager_get_exit_status(manager, LATIN1, &status));
    NOT_UTF8(sshpm_manager_pop_early_exit_status(manager, LATIN1, &status));
    OK(sshpm_manager_pop_early_exit_status(manager, "nobody", &status));
    NOT_UTF8(sshpm_manager_wait_until_started(manager, LATIN1, 0.0, &pid));
    NULL_ARGUMENT(sshpm_manager_wait_until_ready(NULL, "nobody", 0.0));
    NULL_ARGUMENT(sshpm_manager_wait_until_ready(manager, NULL, 0.0));
    NOT_UTF8(sshpm_manager_wait_until_ready(manager, LATIN1, 0.0));
    INVALID(sshpm_manager_wait_until_ready(manager, "nobody", -3.0));
    UNKNOWN(sshpm_manager_wait_until_ready(manager, "nobody", 0.0));
    NULL_ARGUMENT(sshpm_manager_restart_process(NULL, "nobody", 0.0, NULL));
    NULL_ARGUMENT(sshpm_manager_restart_process(manager, NULL, 0.0, NULL));
    NOT_UTF8(sshpm_manager_restart_process(manager, LATIN1, 0.0, NULL));
    INVALID(sshpm_manager_restart_process(manager, "nobody", -3.0, NULL));
    UNKNOWN(sshpm_manager_restart_process(manager, "nobody", 0.0, NULL));
    NULL_ARGUMENT(sshpm_manager_is_ready(NULL, "nobody", &answer));
    NULL_ARGUMENT(sshpm_manager_is_ready(manager, NULL, &answer));
    NULL_ARGUMENT(sshpm_manager_is_ready(manager, "nobody", NULL));
    NOT_UTF8(sshpm_manager_is_ready(manager, LATIN1, &answer));
    OK(sshpm_manager_is_ready(manager, "nobody", &answer));
    NOT_UTF8(sshpm_manager_wait_for_process_exit_code(manager, LATIN1, 0.0, &number));
    UNKNOWN(sshpm_manager_wait_for_process_exit_code(manager, "nobody", 0.0, &number));
    NOT_UTF8(sshpm_manager_send_signal(manager, LATIN1, SIGTERM));
    NULL_ARGUMENT(sshpm_manager_crash_process(NULL, "nobody", SIGTERM));
    NULL_ARGUMENT(sshpm_manager_crash_process(manager, NULL, SIGTERM));
    NOT_UTF8(sshpm_manager_crash_process(manager, LATIN1, SIGTERM));
    INVALID(sshpm_manager_crash_process(manager, "nobody", 65));
    UNKNOWN(sshpm_manager_crash_process(manager, "nobody", SIGTERM));
    NULL_ARGUMENT(sshpm_manager_kill_process_without_metadata(NULL, "nobody", SIGKILL, true, 0.0, &status));
    NULL_ARGUMENT(sshpm_manager_kill_process_without_metadata(manager, NULL, SIGKILL, true, 0.0, &status));
    NULL_ARGUMENT(sshpm_manager_kill_process_without_metadata(manager, "nobody", SIGKILL, true, 0.0, NULL));
    NOT_UTF8(sshpm_manager_kill_process_without_metadata(manager, LATIN1, SIGKILL, true, 0.0, &status));
    INVALID(sshpm_manager_kill_process_without_metadata(manager, "nobody", SIGTERM, true, 0.0, &status));
    INVALID(sshpm_manager_kill_process_without_metadata(manager, "nobody", SIGKILL, true, -2.0, &status));
    UNKNOWN(sshpm_manager_kill_process_without_metadata(manager, "nobody", SIGKILL, true, 0.0, &status));
    NOT_UTF8(sshpm_manager_kill_process(manager, LATIN1, 0.0, &status));
    UNKNOWN(sshpm_manager_kill_process(manager, "nobody", 0.0, &status));
    NOT_UTF8(sshpm_manager_kill_processes(manager, bad, 1, NULL, &results));
    NOT_UTF8(sshpm_manager_kill_processes_by_role(manager, LATIN1, others, 1, NULL, &results));
    OK(sshpm_manager_kill_processes_by_role(manager, "unknown", others, 1, NULL, &results));
    FAILED(sshpm_kill_results_get_result(results, 0), SSHPM_ERROR_UNKNOWN_UUID);
    INVALID(sshpm_kill_results_get_result(results, 1));
    sshpm_kill_results_free(results);
    NULL_ARGUMENT(sshpm_manager_subscribe_output(NULL, "nobody", &output));
    NULL_ARGUMENT(sshpm_manager_subscribe_output(manager, NULL, &output));
    NULL_ARGUMENT(sshpm_manager_subscribe_output(manager, "nobody", NULL));
    NOT_UTF8(sshpm_manager_subscribe_output(manager, LATIN1, &output));
    UNKNOWN(sshpm_manager_subscribe_output(manager, "nobody", &output));
}

/* Every call that asks for the end of a process that did not start returns this code. */
static void failed_starts(sshpm_manager *manager, const char *uuid, sshpm_result code)
{
    const char *const argv[1] = {"/no/such/program"}, *const uuids[1] = {uuid};
    sshpm_subscription *subscription = NULL;
    sshpm_boot_request *request = NULL;
    sshpm_exit_status *status = NULL;
    sshpm_kill_results *results = NULL;
    sshpm_event *event;
    int64_t pid = 0;
    int32_t number = 0;
    OK(sshpm_manager_subscribe(manager, &subscription));
    OK(sshpm_boot_request_new("alpha", argv, 1, &request));
    for (int round = 0; round < 4; round++) {
        OK(sshpm_manager_start_process(manager, uuid, request, NULL));
        FAILED(sshpm_manager_wait_until_started(manager, uuid, LONG_S, &pid), code);
        FAILED(sshpm_manager_wait_until_ready(manager, uuid, LONG_S), code);
        FAILED(sshpm_manager_wait_for_process_exit_code(manager, uuid, LONG_S, &number), code);
        FAILED(sshpm_manager_get_exit_status(manager, uuid, &status), code);
        event = next_event(subscription, SSHPM_EVENT_START_FAILED);
        FAILED(sshpm_event_get_error(event), code);
        sshpm_event_free(event);
        switch (round) {
        case 0:
            FAILED(sshpm_manager_pop_early_exit_status(manager, uuid, &status), code);
            break;
        case 1:
            FAILED(sshpm_manager_kill_process(manager, uuid, LONG_S, &status), code);
            break;
        case 2:
            FAILED(sshpm_manager_kill_process_without_metadata(manager, uuid, SIGKILL, true, LONG_S, &status), code);
            break;
        default:
            OK(sshpm_manager_kill_processes(manager, uuids, 1, NULL, &results));
            FAILED(sshpm_kill_results_get_result(results, 0), code);
            sshpm_kill_results_free(results);
        }
    }
    CHECK(status == NULL);
    sshpm_boot_request_free(request);
    sshpm_subscription_free(subscription);
}

/* Connects to a host that does not answer. */
static void connecting(sshpm_manager *manager)
{
    sshpm_exit_status *status = NULL;
    sshpm_boot_request *request = NULL;
    uint64_t start_number = 0;
    int64_t pid = 0;
    int32_t code = 0;
    start(manager, "connecting", "silent", "exit", "0");
    request = new_request("silent", "exit", "0");
    GIVES(sshpm_manager_start_process(manager, "connecting", request, NULL), SSHPM_ERROR_UUID_IN_USE, "connecting");
    sshpm_boot_request_free(request);
    OK(sshpm_manager_get_start_number(manager, "connecting", &start_number));
    CHECK(start_number > 0);
    GIVES(sshpm_manager_get_remote_pid(manager, "connecting", &pid), SSHPM_ERROR_NO_REMOTE_PID, "connecting");
    GIVES(sshpm_manager_wait_until_started(manager, "connecting", 0.0, &pid), SSHPM_ERROR_TIMED_OUT, "connecting");
    GIVES(sshpm_manager_wait_until_ready(manager, "connecting", 0.0), SSHPM_ERROR_TIMED_OUT, "connecting");
    GIVES(sshpm_manager_kill_process_without_metadata(manager, "connecting", SIGKILL, false, LONG_S, &status),
          SSHPM_ERROR_NOT_RUNNING, "connecting");
    OK(sshpm_manager_kill_process(manager, "connecting", LONG_S, &status));
    GIVES(sshpm_exit_status_get_raw_code(status, &code), SSHPM_ERROR_NO_EXIT_CODE, "");
    GIVES(sshpm_exit_status_get_code(status, &code), SSHPM_ERROR_NO_EXIT_CODE, "");
    GIVES(sshpm_exit_status_get_application_code(status, &code), SSHPM_ERROR_NO_EXIT_CODE, "");
    sshpm_exit_status_free(status);
}

struct inside {
    sshpm_manager *manager;
    sshpm_subscription *subscription;
    sshpm_output_subscription *output;
    sshpm_log_follower *follower;
    int called;
};

#define INSIDE(call) GIVES(call, SSHPM_ERROR_INSIDE_CALLBACK, "inside a callback")

static void calls_that_block(const char *uuid, uint64_t start_number, const sshpm_exit_status *status,
                             sshpm_result error, const char *error_message, void *user_data)
{
    struct inside *inside = user_data;
    sshpm_manager *manager = inside->manager;
    const char *const uuids[1] = {uuid}, *const hosts[1] = {"alpha"};
    sshpm_exit_status *out_status = NULL;
    sshpm_kill_results *results = NULL;
    sshpm_host_results *found = NULL;
    sshpm_metadata *metadata = NULL;
    sshpm_launcher *launcher = NULL;
    sshpm_string_list *nodes = NULL;
    sshpm_buffer *buffer = NULL;
    sshpm_event *event = NULL;
    int64_t pid = 0;
    int32_t number = 0;
    CHECK(start_number > 0 && status != NULL && error == SSHPM_OK && error_message == NULL);
    INSIDE(sshpm_manager_detach(manager));
    INSIDE(sshpm_manager_wait_until_started(manager, uuid, 0.0, &pid));
    INSIDE(sshpm_manager_wait_until_ready(manager, uuid, 0.0));
    INSIDE(sshpm_manager_wait_for_process_exit_code(manager, uuid, 0.0, &number));
    OK(sshpm_manager_send_signal(manager, "runs", SIGCONT));
    INSIDE(sshpm_manager_kill_process_without_metadata(manager, uuid, SIGKILL, true, 0.0, &out_status));
    INSIDE(sshpm_manager_kill_process(manager, uuid, 0.0, &out_status));
    INSIDE(sshpm_manager_restart_process(manager, uuid, 0.0, NULL));
    INSIDE(sshpm_manager_kill_processes(manager, uuids, 1, NULL, &results));
    INSIDE(sshpm_manager_kill_processes_by_role(manager, "x", uuids, 1, NULL, &results));
    INSIDE(sshpm_manager_kill_all_processes(manager, 0.0, &results));
    INSIDE(sshpm_manager_shutdown(manager, 0.0, NULL));
    INSIDE(sshpm_subscription_next(inside->subscription, 0.1, &event));
    INSIDE(sshpm_output_subscription_next(inside->output, 0.1, &number, &buffer));
    INSIDE(sshpm_log_follower_next(inside->follower, 0.1, &buffer));
    INSIDE(sshpm_manager_read_process_metadata(manager, "runs", "alpha", NULL, 0.0, &metadata));
    INSIDE(sshpm_manager_read_log_file(manager, "alpha", NULL, "/dev/null", 1, 0.0, &buffer));
    INSIDE(sshpm_manager_validate_host_connection(manager, "alpha", NULL, NULL, NULL));
    INSIDE(sshpm_manager_validate_hosts(manager, hosts, NULL, 1, NULL, NULL, &found));
    OK(sshpm_launcher_new_slurm("1", &launcher));
    INSIDE(sshpm_launcher_get_hosts(launcher, &nodes));
    sshpm_launcher_free(launcher);
    __atomic_store_n(&inside->called, 1, __ATOMIC_SEQ_CST);
}

/* Runs and ends by itself. Then the callback is called. */
static void inside_a_callback(sshpm_manager *manager)
{
    struct inside inside = {manager, NULL, NULL, NULL, 0};
    sshpm_event *event = NULL;
    sshpm_exit_status *status = NULL;
    sshpm_string_list *keys = NULL;
    sshpm_buffer *buffer = NULL;
    uint64_t id = 0;
    int32_t code = 0;
    start(manager, "runs", "alpha", "heartbeat", "0.2");
    wait_for_heartbeat(manager, "runs");
    GIVES(sshpm_manager_wait_for_process_exit_code(manager, "runs", 0.0, &code), SSHPM_ERROR_TIMED_OUT, "runs");
    GIVES(sshpm_manager_forget_process(manager, "runs"), SSHPM_ERROR_STILL_RUNNING, "runs");
    OK(sshpm_manager_send_signal(manager, "runs", SIGCONT));
    OK(sshpm_manager_crash_process(manager, "runs", SIGCONT));
    OK(sshpm_manager_subscribe(manager, &inside.subscription));
    OK(sshpm_manager_subscribe_output(manager, "runs", &inside.output));
    OK(sshpm_manager_follow_log_file(manager, "alpha", NULL, "/no/such/file", 1, &inside.follower));
    OK(sshpm_manager_on_process_exit(manager, calls_that_block, &inside, NULL, &id));
    start(manager, "ends", "alpha", "exit", "3");
    OK(sshpm_manager_wait_for_process_exit_code(manager, "ends", LONG_S, &code));
    for (int i = 0; __atomic_load_n(&inside.called, __ATOMIC_SEQ_CST) == 0; i++) {
        CHECK(i < 100 * (int)LONG_S);
        poll(NULL, 0, 10);
    }
    OK(sshpm_manager_remove_callback(manager, id));
    OK(sshpm_manager_get_active_process_keys(manager, &keys));
    CHECK(sshpm_string_list_count(keys) == 2);
    sshpm_string_list_free(keys);
    OK(sshpm_manager_get_process_stderr(manager, "ends", &buffer));
    sshpm_buffer_free(buffer);
    GIVES(sshpm_manager_send_signal(manager, "ends", SIGCONT), SSHPM_ERROR_NOT_RUNNING, "ends");
    GIVES(sshpm_manager_crash_process(manager, "ends", SIGCONT), SSHPM_ERROR_NOT_RUNNING, "ends");
    OK(sshpm_manager_get_exit_status(manager, "ends", &status));
    OK(sshpm_exit_status_get_raw_code(status, &code));
    OK(sshpm_exit_status_get_code(status, &code));
    OK(sshpm_exit_status_get_application_code(status, &code));
    sshpm_exit_status_free(status);
    OK(sshpm_manager_forget_process(manager, "ends"));
    OK(sshpm_manager_kill_process(manager, "runs", LONG_S, &status));
    sshpm_exit_status_free(status);

    event = next_event(inside.subscription, SSHPM_EVENT_STARTED);
    FAILED(sshpm_event_get_error(event), SSHPM_OK);
    sshpm_event_free(event);
    sshpm_subscription_free(inside.subscription);
    sshpm_output_subscription_free(inside.output);
    sshpm_log_follower_free(inside.follower);
}

int main(void)
{
    sshpm_options *options = NULL;
    sshpm_manager *manager = new_manager(), *without_ssh = NULL;
    alarm(WATCHDOG_S);
    options_and_requests();
    names();
    nobody(manager);
    OK(sshpm_options_new(&options));
    OK(sshpm_options_set_ssh_program(options, "/no/such/ssh"));
    OK(sshpm_manager_new(options, &without_ssh));
    sshpm_options_free(options);
    failed_starts(without_ssh, "without-ssh", SSHPM_ERROR_SSH_NOT_FOUND);
    sshpm_manager_free(without_ssh);
    failed_starts(manager, "without-program", SSHPM_ERROR_START_PROGRAM_NOT_FOUND);
    connecting(manager);
    inside_a_callback(manager);
    OK(sshpm_manager_detach(manager));
    sshpm_manager_free(manager);
    return 0;
}
