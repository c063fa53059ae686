/* Boots sessions, and provokes each code that their functions document. tests/c_api/codes.rs compares. */
#include "codes.h"

static sshpm_boot_request *script(const char *host, const char *text)
{
    const char *argv[3] = {"/bin/sh", "-c", text};
    sshpm_boot_request *request = NULL;
    OK(sshpm_boot_request_new(host, argv, 3, &request));
    return request;
}

/* Adds a process of a role, and frees its request. */
static void add(sshpm_session *session, const char *uuid, const char *role, sshpm_boot_request *request)
{
    OK(sshpm_boot_request_set_role(request, role));
    OK(sshpm_session_add_process(session, uuid, request));
    sshpm_boot_request_free(request);
}

static sshpm_session *new_session(void)
{
    sshpm_session *session = NULL;
    OK(sshpm_session_new(&session));
    return session;
}

static void input(void)
{
    const char *const roles[2] = {"a", "a"}, *const latin1[1] = {LATIN1}, *const empty[1] = {""};
    sshpm_session *session = NULL;
    sshpm_boot_request *request = script("alpha", "true");
    NULL_ARGUMENT(sshpm_session_new(NULL));
    session = new_session();
    NULL_ARGUMENT(sshpm_boot_request_set_critical(NULL, true));
    OK(sshpm_boot_request_set_critical(request, false));
    NULL_ARGUMENT(sshpm_session_add_process(NULL, "u", request));
    NULL_ARGUMENT(sshpm_session_add_process(session, NULL, request));
    NULL_ARGUMENT(sshpm_session_add_process(session, "u", NULL));
    NOT_UTF8(sshpm_session_add_process(session, LATIN1, request));
    NULL_ARGUMENT(sshpm_session_set_order(NULL, NULL, 0));
    NULL_ARGUMENT(sshpm_session_set_order(session, NULL, 1));
    NOT_UTF8(sshpm_session_set_order(session, latin1, 1));
    INVALID(sshpm_session_set_order(session, empty, 1));
    OK(sshpm_session_set_order(session, NULL, 0));
    NULL_ARGUMENT(sshpm_session_set_minimum(NULL, "a", 0));
    NULL_ARGUMENT(sshpm_session_set_minimum(session, NULL, 0));
    NOT_UTF8(sshpm_session_set_minimum(session, LATIN1, 0));
    INVALID(sshpm_session_set_minimum(session, "", 0));
    NULL_ARGUMENT(sshpm_session_set_on_failure(NULL, SSHPM_ON_FAILURE_STOP));
    INVALID(sshpm_session_set_on_failure(session, 3));
    OK(sshpm_session_set_on_failure(session, SSHPM_ON_FAILURE_CONTINUE));
    NULL_ARGUMENT(sshpm_session_set_timeout(NULL, 1.0));
    INVALID(sshpm_session_set_timeout(session, -3.0));
    OK(sshpm_session_set_timeout(session, 60.0));
    OK(sshpm_session_set_timeout(session, SSHPM_TIMEOUT_DEFAULT));
    NULL_ARGUMENT(sshpm_session_check(NULL));
    OK(sshpm_session_check(session));
    OK(sshpm_session_set_order(session, roles, 2));
    GIVES(sshpm_session_check(session), SSHPM_ERROR_INVALID, "invalid order \"a\"");
    sshpm_session_free(session);
    sshpm_boot_request_free(request);

    session = NULL;
    NULL_ARGUMENT(sshpm_session_from_json(NULL, &session));
    NULL_ARGUMENT(sshpm_session_from_json("[]", NULL));
    NOT_UTF8(sshpm_session_from_json(LATIN1, &session));
    GIVES(sshpm_session_from_json("{}", &session), SSHPM_ERROR_JSON, "processes");
    GIVES(sshpm_session_from_json("[{\"name\":\"a\",\"host\":\"-h\",\"argv\":[\"a\"]}]", &session),
          SSHPM_ERROR_INVALID, "invalid [0].host \"-h\"");
    CHECK(session == NULL);
    OK(sshpm_session_from_json("{\"session\":{\"timeout\":5},\"defaults\":{\"host\":\"alpha\",\"argv\":[\"true\"]},"
                               "\"processes\":[{\"name\":\"a\"},{\"uuid\":\"b\",\"name\":\"c\",\"host\":\"beta\"}]}",
                               &session));
    CHECK(sshpm_session_count(session) == 2);
    CHECK(strcmp(sshpm_session_get_uuid(session, 0), "a") == 0 && strcmp(sshpm_session_get_uuid(session, 1), "b") == 0);
    char *host = NULL;
    OK(sshpm_boot_request_get_host(sshpm_session_get_request(session, 1), &host));
    CHECK(strcmp(host, "beta") == 0);
    sshpm_string_free(host);
    CHECK(sshpm_session_get_uuid(session, 2) == NULL && sshpm_session_get_request(session, 2) == NULL);
    sshpm_session_free(session);
}

static void nothing(void)
{
    CHECK(sshpm_session_count(NULL) == 0 && sshpm_session_get_uuid(NULL, 0) == NULL);
    CHECK(sshpm_session_get_request(NULL, 0) == NULL);
    CHECK(sshpm_session_results_get_outcome(NULL) == 0 && sshpm_session_results_get_outcome_stage(NULL) == 0);
    CHECK(sshpm_session_results_get_outcome_uuid(NULL) == NULL);
    CHECK(sshpm_session_results_get_outcome_message(NULL) == NULL);
    CHECK(sshpm_session_results_count(NULL) == 0 && sshpm_session_results_get_uuid(NULL, 0) == NULL);
    CHECK(sshpm_session_results_get_state(NULL, 0) == 0 && sshpm_session_results_get_status(NULL, 0) == NULL);
    CHECK(sshpm_session_results_get_message(NULL, 0) == NULL && sshpm_session_results_get_ended(NULL) == NULL);
    NULL_ARGUMENT(sshpm_session_results_get_result(NULL, 0));
    sshpm_session_free(NULL);
    sshpm_session_results_free(NULL);
}

/* Returns the index of a process in the results. */
static size_t place(const sshpm_session_results *results, const char *uuid)
{
    size_t at = 0;
    while (at < sshpm_session_results_count(results) && strcmp(sshpm_session_results_get_uuid(results, at), uuid) != 0) {
        at++;
    }
    return at;
}

static void check_result(const sshpm_session_results *results, const char *uuid, int32_t state, sshpm_result code)
{
    size_t at = place(results, uuid);
    sshpm_result got = sshpm_session_results_get_result(results, at);
    note_code("sshpm_session_results_get_result(", got);
    if (sshpm_session_results_get_state(results, at) != state || got != code) {
        fprintf(stderr, "%s: state %d, result %d: %s\n", uuid, (int)sshpm_session_results_get_state(results, at),
                (int)got, sshpm_session_results_get_message(results, at));
        exit(1);
    }
    CHECK((sshpm_session_results_get_status(results, at) != NULL) == (state == SSHPM_BOOT_ENDED));
    CHECK((strlen(sshpm_session_results_get_message(results, at)) > 0) == (code != SSHPM_OK || state == SSHPM_BOOT_ENDED));
}

struct boot {
    sshpm_manager *manager;
    int started, stages;
    /* What the callback does when the second stage begins. */
    void (*second)(sshpm_manager *manager);
    bool goes_on;
};

static bool progress(size_t stage, size_t stages, const char *uuid, int32_t state, const sshpm_exit_status *status,
                     sshpm_result error, const char *message, void *user_data)
{
    struct boot *boot = (struct boot *)user_data;
    CHECK(stage >= 1 && stage <= stages);
    CHECK((uuid != NULL) == (state != 0));
    CHECK((status != NULL) == (state == SSHPM_BOOT_ENDED));
    CHECK((error != SSHPM_OK) == (state == SSHPM_BOOT_FAILED || state == SSHPM_BOOT_NOT_READY));
    CHECK(message != NULL);
    boot->started += state == SSHPM_BOOT_STARTED;
    if (uuid == NULL && (int)stage > boot->stages) {
        boot->stages = (int)stage;
        if (stage == 2 && boot->second != NULL) {
            boot->second(boot->manager);
        }
        if (stage == 2 && !boot->goes_on) {
            return false;
        }
    }
    return true;
}

static sshpm_session_results *boot(sshpm_manager *manager, sshpm_session *session, void (*second)(sshpm_manager *),
                                   bool goes_on)
{
    struct boot boot = {manager, 0, 0, second, goes_on};
    sshpm_session_results *results = NULL;
    OK(sshpm_manager_start_session(manager, session, progress, &boot, &results));
    sshpm_session_free(session);
    return results;
}

static void take_uuid(sshpm_manager *manager)
{
    start(manager, "second", "alpha", "heartbeat", "60");
}

static void detach(sshpm_manager *manager)
{
    OK(sshpm_manager_detach(manager));
}

/* Returns a session whose two stages have a process each. */
static sshpm_session *two_stages(void)
{
    const char *const order[2] = {"first", "second"};
    sshpm_session *session = new_session();
    OK(sshpm_session_set_order(session, order, 2));
    add(session, "first", "first", script("alpha", "exec sleep 1000"));
    add(session, "second", "second", script("alpha", "exec sleep 1000"));
    return session;
}

static void end_all(sshpm_manager *manager)
{
    sshpm_kill_results *ended = NULL;
    OK(sshpm_manager_kill_all_processes(manager, LONG_S, &ended));
    sshpm_kill_results_free(ended);
}

static void refused(sshpm_manager *manager)
{
    sshpm_session_results *results = NULL;
    sshpm_session *session = two_stages();
    NULL_ARGUMENT(sshpm_manager_start_session(NULL, session, NULL, NULL, &results));
    NULL_ARGUMENT(sshpm_manager_start_session(manager, NULL, NULL, NULL, &results));
    NULL_ARGUMENT(sshpm_manager_start_session(manager, session, NULL, NULL, NULL));
    OK(sshpm_session_set_minimum(session, "first", 2));
    INVALID(sshpm_manager_start_session(manager, session, NULL, NULL, &results));
    OK(sshpm_session_set_minimum(session, "first", 1));
    take_uuid(manager);
    GIVES(sshpm_manager_start_session(manager, session, NULL, NULL, &results), SSHPM_ERROR_UUID_IN_USE, "second");
    CHECK(results == NULL);
    end_all(manager);
    OK(sshpm_manager_start_session(manager, session, NULL, NULL, &results));
    CHECK(sshpm_session_results_get_outcome(results) == SSHPM_SESSION_COMPLETE);
    sshpm_session_results_free(results);
    sshpm_session_free(session);
    end_all(manager);
}

static void outcomes(sshpm_manager *manager)
{
    sshpm_session *session = two_stages();
    sshpm_session_results *results = boot(manager, session, NULL, true);
    CHECK(sshpm_session_results_get_outcome(results) == SSHPM_SESSION_COMPLETE);
    CHECK(sshpm_session_results_get_outcome_stage(results) == 0);
    CHECK(sshpm_session_results_get_outcome_uuid(results) == NULL);
    CHECK(strstr(sshpm_session_results_get_outcome_message(results), "complete") != NULL);
    CHECK(sshpm_session_results_count(results) == 2);
    check_result(results, "first", SSHPM_BOOT_STARTED, SSHPM_OK);
    CHECK(sshpm_kill_results_count(sshpm_session_results_get_ended(results)) == 0);
    INVALID(sshpm_session_results_get_result(results, 2));
    CHECK(sshpm_session_results_get_uuid(results, 2) == NULL && sshpm_session_results_get_state(results, 2) == 0);
    sshpm_session_results_free(results);
    end_all(manager);

    session = two_stages();
    OK(sshpm_session_set_on_failure(session, SSHPM_ON_FAILURE_ROLL_BACK));
    results = boot(manager, session, NULL, false);
    CHECK(sshpm_session_results_get_outcome(results) == SSHPM_SESSION_CANCELLED);
    CHECK(sshpm_session_results_get_outcome_stage(results) == 2);
    check_result(results, "first", SSHPM_BOOT_STARTED, SSHPM_OK);
    check_result(results, "second", SSHPM_BOOT_NOT_STARTED, SSHPM_OK);
    CHECK(sshpm_kill_results_count(sshpm_session_results_get_ended(results)) == 1);
    CHECK(strcmp(sshpm_kill_results_get_uuid(sshpm_session_results_get_ended(results), 0), "first") == 0);
    CHECK(sshpm_kill_results_get_status(sshpm_session_results_get_ended(results), 0) != NULL);
    sshpm_session_results_free(results);

    results = boot(manager, two_stages(), take_uuid, true);
    CHECK(sshpm_session_results_get_outcome(results) == SSHPM_SESSION_FAILED);
    CHECK(strcmp(sshpm_session_results_get_outcome_uuid(results), "second") == 0);
    check_result(results, "second", SSHPM_BOOT_FAILED, SSHPM_ERROR_UUID_IN_USE);
    sshpm_session_results_free(results);
    end_all(manager);
}

/* Processes that fail in all ways. */
static void failures(sshpm_manager *manager)
{
    sshpm_session *session = new_session();
    sshpm_boot_request *request = NULL;
    sshpm_launcher *launcher = NULL;
    sshpm_session_results *results = NULL;
    const char *const nowhere[1] = {"/nonexistent/launcher"};
    OK(sshpm_session_set_on_failure(session, SSHPM_ON_FAILURE_CONTINUE));
    request = script("alpha", "true");
    OK(sshpm_boot_request_add_setup_line(request, "exit 3"));
    add(session, "setup", "a", request);
    request = script("refused", "true");
    add(session, "refused", "a", request);
    request = script("alpha", "true");
    OK(sshpm_launcher_new_command(nowhere, 1, &launcher));
    OK(sshpm_boot_request_set_launcher(request, launcher));
    sshpm_launcher_free(launcher);
    add(session, "launcher", "a", request);
    request = script("alpha", "exec sleep 1000");
    OK(sshpm_boot_request_set_ready_output(request, "never"));
    OK(sshpm_boot_request_set_ready_timeout(request, 0.1));
    add(session, "late", "a", request);
    request = script("alpha", "echo up; exec sleep 1000");
    OK(sshpm_boot_request_set_ready_output(request, "up"));
    add(session, "ready", "a", request);
    results = boot(manager, session, NULL, true);
    CHECK(sshpm_session_results_get_outcome(results) == SSHPM_SESSION_FAILED);
    CHECK(sshpm_session_results_get_outcome_stage(results) == 1);
    check_result(results, "setup", SSHPM_BOOT_FAILED, SSHPM_ERROR_START_SETUP);
    check_result(results, "refused", SSHPM_BOOT_FAILED, SSHPM_ERROR_SSH_REFUSED);
    check_result(results, "launcher", SSHPM_BOOT_FAILED, SSHPM_ERROR_LAUNCHER_NOT_FOUND);
    check_result(results, "late", SSHPM_BOOT_NOT_READY, SSHPM_ERROR_NOT_READY);
    check_result(results, "ready", SSHPM_BOOT_READY, SSHPM_OK);
    sshpm_session_results_free(results);
    end_all(manager);
}

static sshpm_result inside = SSHPM_OK;

static void on_exit_of_process(const char *uuid, uint64_t start_number, const sshpm_exit_status *status,
                               sshpm_result error, const char *message, void *user_data)
{
    sshpm_session *session = new_session();
    sshpm_session_results *results = NULL;
    (void)uuid, (void)start_number, (void)status, (void)error, (void)message;
    inside = sshpm_manager_start_session((sshpm_manager *)user_data, session, NULL, NULL, &results);
    note_code("sshpm_manager_start_session(", inside);
    sshpm_session_free(session);
}

static void inside_a_callback(sshpm_manager *manager)
{
    uint64_t id = 0;
    sshpm_exit_status *status = NULL;
    OK(sshpm_manager_on_process_exit(manager, on_exit_of_process, manager, NULL, &id));
    start(manager, "u", "alpha", "heartbeat", "60");
    wait_for_heartbeat(manager, "u");
    OK(sshpm_manager_kill_process(manager, "u", LONG_S, &status));
    sshpm_exit_status_free(status);
    OK(sshpm_manager_remove_callback(manager, id));
    CHECK(inside == SSHPM_ERROR_INSIDE_CALLBACK);
}

/* A kept process goes on when the manager is detached during a boot. */
static void detached(sshpm_manager *manager)
{
    sshpm_session *session = two_stages();
    sshpm_session_results *results = NULL;
    sshpm_clean_up_results *cleaned = NULL;
    sshpm_boot_request *request = script("alpha", "exec sleep 1000");
    OK(sshpm_boot_request_set_link_loss(request, SSHPM_LINK_LOSS_KEEP));
    add(session, "kept", "first", request);
    results = boot(manager, session, detach, true);
    CHECK(sshpm_session_results_get_outcome(results) == SSHPM_SESSION_SHUT_DOWN);
    check_result(results, "kept", SSHPM_BOOT_FAILED, SSHPM_ERROR_DETACHED);
    check_result(results, "second", SSHPM_BOOT_NOT_STARTED, SSHPM_OK);
    sshpm_session_results_free(results);
    session = two_stages();
    GIVES(sshpm_manager_start_session(manager, session, NULL, NULL, &results), SSHPM_ERROR_SHUT_DOWN, "");
    sshpm_session_free(session);
    sshpm_manager *cleaner = new_manager();
    OK(sshpm_manager_clean_up_host(cleaner, "alpha", NULL, 5.0, false, &cleaned));
    sshpm_clean_up_results_free(cleaned);
    sshpm_manager_free(cleaner);
}

int main(void)
{
    sshpm_manager *manager = new_manager();
    alarm(WATCHDOG_S);
    input();
    nothing();
    refused(manager);
    outcomes(manager);
    failures(manager);
    inside_a_callback(manager);
    detached(manager);
    sshpm_manager_free(manager);
    return 0;
}
