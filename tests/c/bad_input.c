/* Input that the library must refuse, and the error for it. No process is started here. */
#include <math.h>
#include <signal.h>

#include "check.h"

#define NULL_ARGUMENT(call, name) GIVES(call, SSHPM_ERROR_NULL_ARGUMENT, name " is NULL")

static const char *const ARGV[2] = {"program", "argument"};
static const char *const LATIN1 = "\xe9t\xe9";

static void every_code_has_a_text(void)
{
    const char *unknown = sshpm_strerror(-1);
    int known = 0;
    for (sshpm_result code = -2; code < 1000; code++) {
        CHECK(strlen(sshpm_strerror(code)) > 0);
        known += strcmp(sshpm_strerror(code), unknown) != 0;
    }
    /* The tests of src/capi/codes.rs look at each code. */
    CHECK(known > 70);
    CHECK(strcmp(sshpm_strerror(SSHPM_OK), unknown) != 0);
    CHECK(strcmp(sshpm_strerror(SSHPM_ERROR_PANIC), unknown) != 0);
    CHECK(strcmp(sshpm_strerror(SSHPM_ERROR_SSH_OTHER), unknown) != 0);
    CHECK(strcmp(sshpm_strerror(SSHPM_ERROR_START_PROTOCOL), unknown) != 0);
}

static void nothing_is_freed(void)
{
    sshpm_string_free(NULL);
    sshpm_string_list_free(NULL);
    sshpm_buffer_free(NULL);
    sshpm_options_free(NULL);
    sshpm_boot_request_free(NULL);
    sshpm_boot_request_list_free(NULL);
    sshpm_exit_status_free(NULL);
    sshpm_kill_results_free(NULL);
    sshpm_manager_free(NULL);
    sshpm_event_free(NULL);
    sshpm_subscription_free(NULL);
}

/* Functions that return no result code return a fixed value for NULL. */
static void nothing_has_no_values(void)
{
    int32_t code = 7;
    CHECK(sshpm_string_list_count(NULL) == 0 && sshpm_string_list_get(NULL, 0) == NULL);
    CHECK(sshpm_buffer_data(NULL) == NULL && sshpm_buffer_size(NULL) == 0 && sshpm_buffer_dropped(NULL) == 0);
    CHECK(sshpm_boot_request_list_count(NULL) == 0 && sshpm_boot_request_list_get(NULL, 0) == NULL);
    CHECK(sshpm_kill_results_count(NULL) == 0 && sshpm_kill_results_get_uuid(NULL, 0) == NULL);
    CHECK(sshpm_kill_results_get_status(NULL, 0) == NULL && sshpm_kill_results_get_message(NULL, 0) == NULL);
    NULL_ARGUMENT(sshpm_kill_results_get_result(NULL, 0), "results");
    CHECK(sshpm_exit_status_get_source(NULL) == 0 && sshpm_exit_status_get_source_name(NULL) == NULL);
    CHECK(sshpm_exit_status_get_signal(NULL) == 0 && !sshpm_exit_status_core_dumped(NULL));
    CHECK(!sshpm_exit_status_left_over(NULL) && !sshpm_exit_status_link_lost(NULL));
    CHECK(!sshpm_exit_status_is_unknown(NULL));
    CHECK(sshpm_exit_status_get_message(NULL) == NULL && sshpm_exit_status_get_sentence(NULL) == NULL);
    NULL_ARGUMENT(sshpm_exit_status_get_raw_code(NULL, &code), "status");
    NULL_ARGUMENT(sshpm_exit_status_get_code(NULL, &code), "status");
    NULL_ARGUMENT(sshpm_exit_status_get_application_code(NULL, &code), "status");
    CHECK(code == 7);
    CHECK(sshpm_event_get_type(NULL) == 0 && sshpm_event_get_uuid(NULL) == NULL && sshpm_event_get_pid(NULL) == -1);
    CHECK(sshpm_event_get_status(NULL) == NULL && sshpm_event_get_error(NULL) == SSHPM_OK);
    CHECK(sshpm_event_get_message(NULL) == NULL);
    CHECK(sshpm_event_get_start_number(NULL) == 0 && sshpm_exit_status_get_start_number(NULL) == 0);
    CHECK(sshpm_subscription_get_fd(NULL) == -1);
}

static void bad_options(void)
{
    sshpm_options *options = NULL;
    sshpm_manager *manager = NULL;
    const char *roles[2] = {"application", NULL};
    NULL_ARGUMENT(sshpm_options_new(NULL), "out_options");
    OK(sshpm_options_new(&options));
    NULL_ARGUMENT(sshpm_options_set_ssh_program(NULL, "ssh"), "options");
    NULL_ARGUMENT(sshpm_options_set_ssh_program(options, NULL), "program");
    NULL_ARGUMENT(sshpm_options_set_ssh_config(NULL, "file"), "options");
    NULL_ARGUMENT(sshpm_options_set_known_hosts_file(NULL, "file"), "options");
    NULL_ARGUMENT(sshpm_options_add_ssh_option(NULL, "A=b"), "options");
    NULL_ARGUMENT(sshpm_options_add_ssh_option(options, NULL), "option");
    GIVES(sshpm_options_add_ssh_option(options, LATIN1), SSHPM_ERROR_UTF8, "option");
    NULL_ARGUMENT(sshpm_options_set_output_limit(NULL, 1), "options");
    NULL_ARGUMENT(sshpm_options_set_connect_timeout(NULL, 1.0), "options");
    NULL_ARGUMENT(sshpm_options_set_lost_timeout(NULL, 1.0), "options");
    GIVES(sshpm_options_set_connect_timeout(options, (double)NAN), SSHPM_ERROR_INVALID, "connect_timeout \"NaN\"");
    GIVES(sshpm_options_set_lost_timeout(options, -0.5), SSHPM_ERROR_INVALID, "lost_timeout \"-0.5\"");
    GIVES(sshpm_options_set_lost_timeout(options, -INFINITY), SSHPM_ERROR_INVALID, "lost_timeout \"-inf\"");
    OK(sshpm_options_set_lost_timeout(options, INFINITY));
    OK(sshpm_options_set_lost_timeout(options, 0.0));
    NULL_ARGUMENT(sshpm_options_set_host_key_policy(NULL, SSHPM_HOST_KEY_STRICT), "options");
    GIVES(sshpm_options_set_host_key_policy(options, 5), SSHPM_ERROR_INVALID, "host_key_policy \"5\"");
    GIVES(sshpm_options_set_host_key_policy(options, -1), SSHPM_ERROR_INVALID, "host_key_policy \"-1\"");
    NULL_ARGUMENT(sshpm_options_add_kill_step(NULL, SIGTERM, SSHPM_KILL_SCOPE_GROUP, 1.0), "options");
    GIVES(sshpm_options_add_kill_step(options, 0, SSHPM_KILL_SCOPE_GROUP, 1.0), SSHPM_ERROR_INVALID, "signal \"0\"");
    GIVES(sshpm_options_add_kill_step(options, SIGTERM, 2, 1.0), SSHPM_ERROR_INVALID, "scope \"2\"");
    GIVES(sshpm_options_add_kill_step(options, SIGTERM, SSHPM_KILL_SCOPE_GROUP, -3.0), SSHPM_ERROR_INVALID, "wait");
    NULL_ARGUMENT(sshpm_options_set_shutdown_order(NULL, NULL, 0), "options");
    NULL_ARGUMENT(sshpm_options_set_shutdown_order(options, NULL, 1), "roles");
    NULL_ARGUMENT(sshpm_options_set_shutdown_order(options, roles, 2), "roles[1]");
    GIVES(sshpm_options_set_shutdown_order(options, roles, SIZE_MAX), SSHPM_ERROR_INVALID, "count of roles");
    roles[1] = "";
    GIVES(sshpm_options_set_shutdown_order(options, roles, 2), SSHPM_ERROR_INVALID, "role");
    NULL_ARGUMENT(sshpm_options_clear_kill_sequence(NULL), "options");
    OK(sshpm_options_clear_kill_sequence(options));
    GIVES(sshpm_manager_new(options, &manager), SSHPM_ERROR_INVALID, "kill_sequence");
    CHECK(manager == NULL);
    sshpm_options_free(options);
}

static void bad_requests(void)
{
    const char *const argv[2] = {"program", NULL};
    sshpm_boot_request *request = NULL;
    char *text = NULL;
    NULL_ARGUMENT(sshpm_boot_request_new(NULL, ARGV, 2, &request), "host");
    NULL_ARGUMENT(sshpm_boot_request_new("host", NULL, 2, &request), "argv");
    NULL_ARGUMENT(sshpm_boot_request_new("host", argv, 2, &request), "argv[1]");
    NULL_ARGUMENT(sshpm_boot_request_new("host", ARGV, 2, NULL), "out_request");
    GIVES(sshpm_boot_request_new(LATIN1, ARGV, 2, &request), SSHPM_ERROR_UTF8, "host");
    CHECK(request == NULL);
    OK(sshpm_boot_request_new("host", NULL, 0, &request));
    GIVES(sshpm_boot_request_check(request), SSHPM_ERROR_INVALID, "argv");
    sshpm_boot_request_free(request);
    OK(sshpm_boot_request_new("host", ARGV, 2, &request));

    NULL_ARGUMENT(sshpm_boot_request_set_user(NULL, "user"), "request");
    NULL_ARGUMENT(sshpm_boot_request_set_name(NULL, "name"), "request");
    NULL_ARGUMENT(sshpm_boot_request_set_name(request, NULL), "name");
    NULL_ARGUMENT(sshpm_boot_request_set_session(NULL, "session"), "request");
    NULL_ARGUMENT(sshpm_boot_request_set_session(request, NULL), "session");
    NULL_ARGUMENT(sshpm_boot_request_set_tree_id(NULL, "0"), "request");
    NULL_ARGUMENT(sshpm_boot_request_set_tree_id(request, NULL), "tree_id");
    NULL_ARGUMENT(sshpm_boot_request_set_role(NULL, "unknown"), "request");
    NULL_ARGUMENT(sshpm_boot_request_set_role(request, NULL), "role");
    NULL_ARGUMENT(sshpm_boot_request_add_setup_line(NULL, "true"), "request");
    NULL_ARGUMENT(sshpm_boot_request_add_setup_line(request, NULL), "line");
    NULL_ARGUMENT(sshpm_boot_request_set_setup_shell(NULL, "sh"), "request");
    NULL_ARGUMENT(sshpm_boot_request_set_environment(NULL, "A", "b"), "request");
    NULL_ARGUMENT(sshpm_boot_request_set_environment(request, NULL, "b"), "name");
    NULL_ARGUMENT(sshpm_boot_request_set_environment(request, "A", NULL), "value");
    NULL_ARGUMENT(sshpm_boot_request_set_working_directory(NULL, "/"), "request");
    NULL_ARGUMENT(sshpm_boot_request_set_umask(NULL, 022), "request");
    NULL_ARGUMENT(sshpm_boot_request_set_limit(NULL, "core", 0), "request");
    NULL_ARGUMENT(sshpm_boot_request_set_limit(request, NULL, 0), "name");
    NULL_ARGUMENT(sshpm_boot_request_set_log_file(NULL, "log"), "request");
    NULL_ARGUMENT(sshpm_boot_request_set_log_mode(NULL, SSHPM_LOG_MODE_FRESH), "request");
    NULL_ARGUMENT(sshpm_boot_request_set_start_timeout(NULL, 1.0), "request");
    NULL_ARGUMENT(sshpm_boot_request_set_link_loss(NULL, SSHPM_LINK_LOSS_TERMINATE), "request");
    NULL_ARGUMENT(sshpm_boot_request_set_grace(NULL, 1.0), "request");
    NULL_ARGUMENT(sshpm_boot_request_check(NULL), "request");
    NULL_ARGUMENT(sshpm_boot_request_get_host(NULL, &text), "request");
    NULL_ARGUMENT(sshpm_boot_request_get_host(request, NULL), "out_host");
    NULL_ARGUMENT(sshpm_boot_request_get_user(NULL, &text), "request");
    NULL_ARGUMENT(sshpm_boot_request_get_user(request, NULL), "out_user");
    NULL_ARGUMENT(sshpm_boot_request_get_name(NULL, &text), "request");
    NULL_ARGUMENT(sshpm_boot_request_get_name(request, NULL), "out_name");
    NULL_ARGUMENT(sshpm_boot_request_get_session(NULL, &text), "request");
    NULL_ARGUMENT(sshpm_boot_request_get_session(request, NULL), "out_session");
    NULL_ARGUMENT(sshpm_boot_request_get_role(NULL, &text), "request");
    NULL_ARGUMENT(sshpm_boot_request_get_role(request, NULL), "out_role");
    CHECK(text == NULL);

    GIVES(sshpm_boot_request_set_user(request, LATIN1), SSHPM_ERROR_UTF8, "user");
    GIVES(sshpm_boot_request_set_environment(request, LATIN1, "b"), SSHPM_ERROR_UTF8, "name");
    OK(sshpm_boot_request_set_environment(request, "A", LATIN1));
    OK(sshpm_boot_request_add_setup_line(request, LATIN1));
    GIVES(sshpm_boot_request_set_limit(request, "cores", 0), SSHPM_ERROR_INVALID, "cores");
    GIVES(sshpm_boot_request_set_role(request, ""), SSHPM_ERROR_INVALID, "role");
    GIVES(sshpm_boot_request_set_log_mode(request, 3), SSHPM_ERROR_INVALID, "log_mode \"3\"");
    GIVES(sshpm_boot_request_set_link_loss(request, 99), SSHPM_ERROR_INVALID, "link_loss \"99\"");
    GIVES(sshpm_boot_request_set_start_timeout(request, (double)NAN), SSHPM_ERROR_INVALID, "start_timeout");
    GIVES(sshpm_boot_request_set_grace(request, -2.0), SSHPM_ERROR_INVALID, "grace \"-2\"");
    OK(sshpm_boot_request_check(request));
    OK(sshpm_boot_request_set_umask(request, 01000));
    GIVES(sshpm_boot_request_check(request), SSHPM_ERROR_INVALID, "umask \"1000\"");
    sshpm_boot_request_free(request);
}

static void bad_json(void)
{
    const char *one = "{\"host\": \"h\", \"argv\": [\"a\"], \"user\": \"u\"}";
    sshpm_boot_request *request = NULL;
    sshpm_boot_request_list *list = NULL;
    char *text = NULL;
    NULL_ARGUMENT(sshpm_boot_request_from_json(NULL, &request), "json");
    NULL_ARGUMENT(sshpm_boot_request_from_json(one, NULL), "out_request");
    NULL_ARGUMENT(sshpm_boot_request_list_from_json(NULL, &list), "json");
    NULL_ARGUMENT(sshpm_boot_request_list_from_json("[]", NULL), "out_list");
    GIVES(sshpm_boot_request_from_json("{", &request), SSHPM_ERROR_JSON, "EOF");
    GIVES(sshpm_boot_request_from_json("{\"host\": \"h\", \"argv\": [\"a\"], \"hots\": 1}", &request),
          SSHPM_ERROR_JSON, "hots");
    GIVES(sshpm_boot_request_from_json("{\"host\": \"-h\", \"argv\": [\"a\"]}", &request), SSHPM_ERROR_INVALID, "host");
    GIVES(sshpm_boot_request_from_json(LATIN1, &request), SSHPM_ERROR_UTF8, "json");
    GIVES(sshpm_boot_request_list_from_json(one, &list), SSHPM_ERROR_JSON, "");
    GIVES(sshpm_boot_request_list_from_json("[{\"host\": \"h\", \"argv\": []}]", &list), SSHPM_ERROR_INVALID,
          "[0].argv");
    CHECK(request == NULL && list == NULL);

    OK(sshpm_boot_request_from_json(one, &request));
    OK(sshpm_boot_request_get_user(request, &text));
    CHECK(strcmp(text, "u") == 0);
    sshpm_string_free(text);
    sshpm_boot_request_free(request);
    OK(sshpm_boot_request_list_from_json("[{\"host\": \"h\", \"argv\": [\"a\"]}, {\"host\": \"g\", \"argv\": [\"a\"]}]",
                                         &list));
    CHECK(sshpm_boot_request_list_count(list) == 2 && sshpm_boot_request_list_get(list, 2) == NULL);
    OK(sshpm_boot_request_get_host(sshpm_boot_request_list_get(list, 1), &text));
    CHECK(strcmp(text, "g") == 0);
    sshpm_string_free(text);
    sshpm_boot_request_list_free(list);
}

static void bad_names(void)
{
    char *role = NULL;
    int32_t signal_number = 0;
    NULL_ARGUMENT(sshpm_role_from_tree_id(NULL, true, &role), "tree_id");
    NULL_ARGUMENT(sshpm_role_from_tree_id("0", true, NULL), "out_role");
    GIVES(sshpm_role_from_tree_id(LATIN1, true, &role), SSHPM_ERROR_UTF8, "tree_id");
    NULL_ARGUMENT(sshpm_signal_from_name(NULL, &signal_number), "name");
    NULL_ARGUMENT(sshpm_signal_from_name("QUIT", NULL), "out_signal");
    GIVES(sshpm_signal_from_name("SIGQUITE", &signal_number), SSHPM_ERROR_INVALID, "SIGQUITE");
    CHECK(signal_number == 0);
    OK(sshpm_signal_from_name("sigquit", &signal_number));
    CHECK(signal_number == SIGQUIT);
    GIVES(sshpm_set_log_callback(6, NULL, NULL), SSHPM_ERROR_INVALID, "level \"6\"");
}

static void on_exit_never(const char *uuid, uint64_t start_number, const sshpm_exit_status *status,
                          sshpm_result error, const char *error_message, void *user_data)
{
    (void)uuid, (void)start_number, (void)status, (void)error, (void)error_message, (void)user_data;
    CHECK(false);
}

static void never_finalized(void *user_data)
{
    (void)user_data;
    CHECK(false);
}

static void bad_calls_of_a_manager(void)
{
    const char *const uuids[2] = {"a", NULL};
    const double times[1] = {(double)NAN};
    sshpm_options *options = NULL;
    sshpm_manager *manager = NULL;
    sshpm_boot_request *request = NULL;
    sshpm_subscription *subscription = NULL;
    sshpm_string_list *keys = NULL;
    sshpm_buffer *buffer = NULL;
    sshpm_exit_status *status = NULL;
    sshpm_kill_results *results = NULL;
    sshpm_event *event = NULL;
    int64_t pid = 7;
    int32_t number = 7;
    uint64_t id = 7;
    bool alive = true;

    OK(sshpm_options_new(&options));
    NULL_ARGUMENT(sshpm_manager_new(options, NULL), "out_manager");
    sshpm_options_free(options);
    OK(sshpm_manager_new(NULL, &manager));
    OK(sshpm_boot_request_new("-oProxyCommand=x", ARGV, 2, &request));

    NULL_ARGUMENT(sshpm_manager_start_process(NULL, "a", request, NULL), "manager");
    NULL_ARGUMENT(sshpm_manager_start_process(manager, NULL, request, NULL), "uuid");
    NULL_ARGUMENT(sshpm_manager_start_process(manager, "a", NULL, NULL), "request");
    GIVES(sshpm_manager_start_process(manager, LATIN1, request, NULL), SSHPM_ERROR_UTF8, "uuid");
    GIVES(sshpm_manager_start_process(manager, "a/b", request, NULL), SSHPM_ERROR_INVALID, "uuid");
    GIVES(sshpm_manager_start_process(manager, "a", request, NULL), SSHPM_ERROR_INVALID, "host");
    sshpm_boot_request_free(request);

    NULL_ARGUMENT(sshpm_manager_get_start_number(NULL, "a", &id), "manager");
    NULL_ARGUMENT(sshpm_manager_get_start_number(manager, NULL, &id), "uuid");
    NULL_ARGUMENT(sshpm_manager_get_start_number(manager, "a", NULL), "out_start_number");
    NULL_ARGUMENT(sshpm_manager_get_process_state(NULL, "a", &number), "manager");
    NULL_ARGUMENT(sshpm_manager_get_process_state(manager, NULL, &number), "uuid");
    NULL_ARGUMENT(sshpm_manager_get_process_state(manager, "a", NULL), "out_state");
    NULL_ARGUMENT(sshpm_manager_is_process_alive(NULL, "a", &alive), "manager");
    NULL_ARGUMENT(sshpm_manager_is_process_alive(manager, NULL, &alive), "uuid");
    NULL_ARGUMENT(sshpm_manager_is_process_alive(manager, "a", NULL), "out_alive");
    NULL_ARGUMENT(sshpm_manager_get_active_process_keys(NULL, &keys), "manager");
    NULL_ARGUMENT(sshpm_manager_get_active_process_keys(manager, NULL), "out_keys");
    NULL_ARGUMENT(sshpm_manager_get_remote_pid(NULL, "a", &pid), "manager");
    NULL_ARGUMENT(sshpm_manager_get_remote_pid(manager, NULL, &pid), "uuid");
    NULL_ARGUMENT(sshpm_manager_get_remote_pid(manager, "a", NULL), "out_pid");
    NULL_ARGUMENT(sshpm_manager_get_runtime_pids(NULL, "a", &pid, NULL, NULL, NULL), "manager");
    NULL_ARGUMENT(sshpm_manager_get_runtime_pids(manager, NULL, &pid, NULL, NULL, NULL), "uuid");
    NULL_ARGUMENT(sshpm_manager_get_process_stdout(NULL, "a", &buffer), "manager");
    NULL_ARGUMENT(sshpm_manager_get_process_stdout(manager, NULL, &buffer), "uuid");
    NULL_ARGUMENT(sshpm_manager_get_process_stdout(manager, "a", NULL), "out_buffer");
    NULL_ARGUMENT(sshpm_manager_get_process_stderr(NULL, "a", &buffer), "manager");
    NULL_ARGUMENT(sshpm_manager_get_exit_status(NULL, "a", &status), "manager");
    NULL_ARGUMENT(sshpm_manager_get_exit_status(manager, NULL, &status), "uuid");
    NULL_ARGUMENT(sshpm_manager_get_exit_status(manager, "a", NULL), "out_status");
    NULL_ARGUMENT(sshpm_manager_pop_early_exit_status(NULL, "a", &status), "manager");
    NULL_ARGUMENT(sshpm_manager_wait_until_started(NULL, "a", 0.0, &pid), "manager");
    NULL_ARGUMENT(sshpm_manager_wait_until_started(manager, NULL, 0.0, &pid), "uuid");
    NULL_ARGUMENT(sshpm_manager_wait_until_started(manager, "a", 0.0, NULL), "out_pid");
    NULL_ARGUMENT(sshpm_manager_wait_for_process_exit_code(NULL, "a", 0.0, &number), "manager");
    NULL_ARGUMENT(sshpm_manager_wait_for_process_exit_code(manager, NULL, 0.0, &number), "uuid");
    NULL_ARGUMENT(sshpm_manager_wait_for_process_exit_code(manager, "a", 0.0, NULL), "out_code");
    NULL_ARGUMENT(sshpm_manager_send_signal(NULL, "a", SIGTERM), "manager");
    NULL_ARGUMENT(sshpm_manager_send_signal(manager, NULL, SIGTERM), "uuid");
    NULL_ARGUMENT(sshpm_manager_kill_process(NULL, "a", 0.0, &status), "manager");
    NULL_ARGUMENT(sshpm_manager_kill_process(manager, NULL, 0.0, &status), "uuid");
    NULL_ARGUMENT(sshpm_manager_kill_process(manager, "a", 0.0, NULL), "out_status");
    NULL_ARGUMENT(sshpm_manager_kill_processes(NULL, uuids, 1, NULL, &results), "manager");
    NULL_ARGUMENT(sshpm_manager_kill_processes(manager, NULL, 1, NULL, &results), "uuids");
    NULL_ARGUMENT(sshpm_manager_kill_processes(manager, uuids, 2, NULL, &results), "uuids[1]");
    NULL_ARGUMENT(sshpm_manager_kill_processes(manager, uuids, 1, NULL, NULL), "out_results");
    NULL_ARGUMENT(sshpm_manager_kill_processes_by_role(manager, NULL, uuids, 1, NULL, &results), "role");
    NULL_ARGUMENT(sshpm_manager_kill_processes_by_role(manager, "x", uuids, 1, NULL, NULL), "out_results");
    NULL_ARGUMENT(sshpm_manager_kill_all_processes(NULL, 0.0, &results), "manager");
    NULL_ARGUMENT(sshpm_manager_kill_all_processes(manager, 0.0, NULL), "out_results");
    NULL_ARGUMENT(sshpm_manager_shutdown(NULL, 0.0, &results), "manager");
    NULL_ARGUMENT(sshpm_manager_detach(NULL), "manager");
    NULL_ARGUMENT(sshpm_manager_forget_process(NULL, "a"), "manager");
    NULL_ARGUMENT(sshpm_manager_forget_process(manager, NULL), "uuid");
    NULL_ARGUMENT(sshpm_manager_subscribe(NULL, &subscription), "manager");
    NULL_ARGUMENT(sshpm_manager_subscribe(manager, NULL), "out_subscription");
    NULL_ARGUMENT(sshpm_manager_on_process_exit(NULL, on_exit_never, NULL, never_finalized, &id), "manager");
    NULL_ARGUMENT(sshpm_manager_on_process_exit(manager, NULL, NULL, never_finalized, &id), "callback");
    NULL_ARGUMENT(sshpm_manager_on_process_exit(manager, on_exit_never, NULL, never_finalized, NULL), "out_id");
    NULL_ARGUMENT(sshpm_manager_remove_callback(NULL, 1), "manager");
    OK(sshpm_manager_remove_callback(manager, 12345));

    GIVES(sshpm_manager_wait_until_started(manager, "a", (double)NAN, &pid), SSHPM_ERROR_INVALID, "timeout \"NaN\"");
    GIVES(sshpm_manager_wait_until_started(manager, "a", INFINITY, &pid), SSHPM_ERROR_UNKNOWN_UUID, "\"a\"");
    GIVES(sshpm_manager_wait_for_process_exit_code(manager, "a", -7.0, &number), SSHPM_ERROR_INVALID, "\"-7\"");
    GIVES(sshpm_manager_send_signal(manager, "a", 65), SSHPM_ERROR_INVALID, "signal \"65\"");
    GIVES(sshpm_manager_send_signal(manager, "a", SIGTERM), SSHPM_ERROR_UNKNOWN_UUID, "\"a\"");
    GIVES(sshpm_manager_kill_process(manager, "a", (double)NAN, &status), SSHPM_ERROR_INVALID, "timeout");
    GIVES(sshpm_manager_kill_processes(manager, uuids, 1, times, &results), SSHPM_ERROR_INVALID,
          "timeouts[0] \"NaN\"");
    GIVES(sshpm_manager_kill_processes(manager, uuids, SIZE_MAX, NULL, &results), SSHPM_ERROR_INVALID, "uuids");
    GIVES(sshpm_manager_kill_processes_by_role(manager, "", uuids, 1, NULL, &results), SSHPM_ERROR_INVALID, "role");
    GIVES(sshpm_manager_kill_all_processes(manager, -0.1, &results), SSHPM_ERROR_INVALID, "timeout");
    GIVES(sshpm_manager_shutdown(manager, (double)NAN, &results), SSHPM_ERROR_INVALID, "timeout");
    GIVES(sshpm_manager_forget_process(manager, "a"), SSHPM_ERROR_UNKNOWN_UUID, "\"a\"");
    GIVES(sshpm_manager_get_process_stdout(manager, "a", &buffer), SSHPM_ERROR_UNKNOWN_UUID, "\"a\"");
    CHECK(pid == 7 && number == 7 && id == 7 && alive);
    CHECK(keys == NULL && buffer == NULL && status == NULL && results == NULL && subscription == NULL);

    OK(sshpm_manager_get_runtime_pids(manager, "a", &pid, NULL, NULL, NULL));
    CHECK(pid == -1);
    status = (sshpm_exit_status *)&number;
    OK(sshpm_manager_get_exit_status(manager, "a", &status));
    CHECK(status == NULL);
    OK(sshpm_manager_kill_processes(manager, NULL, 0, NULL, &results));
    CHECK(sshpm_kill_results_count(results) == 0);
    sshpm_kill_results_free(results);

    OK(sshpm_manager_subscribe(manager, &subscription));
    NULL_ARGUMENT(sshpm_subscription_next(NULL, 0.0, &event), "subscription");
    NULL_ARGUMENT(sshpm_subscription_next(subscription, 0.0, NULL), "out_event");
    NULL_ARGUMENT(sshpm_subscription_wake(NULL), "subscription");
    GIVES(sshpm_subscription_next(subscription, (double)NAN, &event), SSHPM_ERROR_INVALID, "timeout");
    CHECK(event == NULL);
    sshpm_subscription_free(subscription);
    sshpm_manager_free(manager);
}

int main(void)
{
    alarm(WATCHDOG_S);
    CHECK(strcmp(sshpm_last_error_message(), "") == 0);
    every_code_has_a_text();
    nothing_is_freed();
    CHECK(strcmp(sshpm_last_error_message(), "") == 0);
    nothing_has_no_values();
    bad_options();
    bad_requests();
    bad_json();
    bad_names();
    bad_calls_of_a_manager();
    return 0;
}
