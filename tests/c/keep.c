/* Kept processes: one manager leaves them, and the next one finds them, adopts them, and cleans up. */
#include <math.h>
#include <time.h>

#include "keep.h"

static void it_ended_at(const sshpm_exit_status *status, double before, double after)
{
    double at = 0.0;
    OK(sshpm_exit_status_get_ended_at(status, &at));
    /* A time that was learned later is in whole seconds. */
    if (at + 1.0 < before || at > after) {
        fprintf(stderr, "it ended at %f, not between %f and %f\n", at, before, after);
        exit(1);
    }
}

static double now(void)
{
    struct timespec time;
    CHECK(clock_gettime(CLOCK_REALTIME, &time) == 0);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void no_process_is_left_of(const sshpm_exit_status *status, int64_t child)
{
    CHECK(sshpm_exit_status_strays_count(status) == 0 && sshpm_exit_status_get_stray(status, 0) == -1);
    wait_for_death(child);
}

static void its_metadata_are_those_of_its_request(const sshpm_metadata *metadata, int64_t pid)
{
    CHECK(sshpm_metadata_get_pid(metadata) == pid);
    CHECK(strcmp(sshpm_metadata_get_hostname(metadata), "alpha") == 0);
    CHECK(strcmp(sshpm_metadata_get_name(metadata), "readout") == 0);
    CHECK(strcmp(sshpm_metadata_get_session(metadata), "run 5") == 0);
    CHECK(sshpm_metadata_get_link_loss(metadata) == SSHPM_LINK_LOSS_KEEP);
    CHECK(sshpm_metadata_get_grace(metadata) == 3.0 && sshpm_metadata_get_log_file(metadata) == NULL);
}

/* A manager that has gone leaves the process: it runs on, and the next manager has all of its output. */
static void left_and_adopted(void)
{
    sshpm_manager *first = new_manager(), *second = new_manager();
    sshpm_boot_request *request = new_kept_request();
    sshpm_subscription *subscription = NULL;
    sshpm_found_processes *found = NULL;
    sshpm_exit_status *status = NULL;
    sshpm_event *event;
    size_t place = 0;
    int64_t pid = 0, known = 0, child;
    int32_t state = 0, code = 0;
    long lines;

    OK(sshpm_boot_request_set_name(request, "readout"));
    OK(sshpm_boot_request_set_session(request, "run 5"));
    OK(sshpm_boot_request_set_grace(request, 3.0));
    OK(sshpm_manager_start_process(first, "runs", request, NULL));
    sshpm_boot_request_free(request);
    OK(sshpm_manager_wait_until_started(first, "runs", LONG_S, &pid));
    wait_for_lines(first, "runs", 3);
    child = child_of(first, "runs");

    OK(sshpm_manager_find_processes(second, "alpha", NULL, &found));
    CHECK(sshpm_found_processes_count(found) == 1);
    CHECK(strcmp(sshpm_found_processes_get_uuid(found, 0), "runs") == 0);
    CHECK(sshpm_found_processes_get_state(found, 0) == SSHPM_FOUND_MANAGED);
    CHECK(sshpm_found_processes_get_status(found, 0) == NULL);
    sshpm_found_processes_free(found);
    GIVES(sshpm_manager_adopt_process(second, "runs", "alpha", NULL, NULL), SSHPM_ERROR_TAKEN_OVER, "runs");

    lines = counted(first, "runs");
    sshpm_manager_free(first);
    found = wait_for_found(second, "runs", SSHPM_FOUND_UNMANAGED, &place);
    its_metadata_are_those_of_its_request(sshpm_found_processes_get_metadata(found, place), pid);
    CHECK(sshpm_found_processes_get_status(found, place) == NULL);
    sshpm_found_processes_free(found);

    OK(sshpm_manager_subscribe(second, &subscription));
    OK(sshpm_manager_adopt_process(second, "runs", "alpha", NULL, NULL));
    event = next_event(subscription, SSHPM_EVENT_LINK_RESTORED);
    CHECK(strcmp(sshpm_event_get_uuid(event), "runs") == 0 && strcmp(sshpm_event_get_message(event), "") == 0);
    CHECK(sshpm_event_get_error(event) == SSHPM_OK && sshpm_event_get_status(event) == NULL);
    sshpm_event_free(event);
    OK(sshpm_manager_get_process_state(second, "runs", &state));
    CHECK(state == SSHPM_STATE_RUNNING);
    OK(sshpm_manager_get_remote_pid(second, "runs", &known));
    CHECK(known == pid && !is_dead(pid) && !is_dead(child));
    wait_for_lines(second, "runs", lines + 3);

    OK(sshpm_manager_kill_process(second, "runs", LONG_S, &status));
    CHECK(sshpm_exit_status_get_source(status) == SSHPM_EXIT_SOURCE_MANUAL_KILL_THROUGH_REMOTE_PID);
    OK(sshpm_exit_status_get_code(status, &code));
    CHECK(code == 17);
    no_process_is_left_of(status, child);
    sshpm_exit_status_free(status);
    sshpm_event_free(next_event(subscription, SSHPM_EVENT_EXITED));
    sshpm_subscription_free(subscription);
    sshpm_manager_free(second);
}

/* The process ends while there is no manager. The next manager learns how and when it ended, and has all of its output.
 * */
static void ended_and_adopted(void)
{
    sshpm_manager *first = new_manager(), *second = new_manager();
    sshpm_subscription *subscription = NULL;
    sshpm_found_processes *found;
    sshpm_exit_status *status = NULL;
    const sshpm_exit_status *end;
    sshpm_event *event;
    size_t place = 0;
    int64_t pid = start_kept(first, "ends"), child = child_of(first, "ends");
    int32_t code = 0;
    long lines = counted(first, "ends");
    double before;

    OK(sshpm_manager_detach(first));
    GIVES(sshpm_manager_wait_for_process_exit_code(first, "ends", LONG_S, &code), SSHPM_ERROR_DETACHED, "ends");
    CHECK(!is_dead(pid));
    before = now();
    CHECK(kill((pid_t)pid, SIGUSR1) == 0);
    found = wait_for_found(second, "ends", SSHPM_FOUND_ENDED, &place);
    end = sshpm_found_processes_get_status(found, place);
    CHECK(sshpm_exit_status_get_source(end) == SSHPM_EXIT_SOURCE_REMOTE_MONITORING);
    OK(sshpm_exit_status_get_code(end, &code));
    CHECK(code == 7);
    it_ended_at(end, before, now());
    sshpm_found_processes_free(found);

    OK(sshpm_manager_subscribe(second, &subscription));
    OK(sshpm_manager_adopt_process(second, "ends", "alpha", NULL, NULL));
    code = 0;
    OK(sshpm_manager_wait_for_process_exit_code(second, "ends", LONG_S, &code));
    CHECK(code == 7 && counted(second, "ends") >= lines);
    OK(sshpm_manager_pop_early_exit_status(second, "ends", &status));
    it_ended_at(status, before, now());
    CHECK(!sshpm_exit_status_link_lost(status));
    no_process_is_left_of(status, child);
    sshpm_exit_status_free(status);
    sshpm_event_free(next_event(subscription, SSHPM_EVENT_LINK_RESTORED));
    event = next_event(subscription, SSHPM_EVENT_EXITED);
    it_ended_at(sshpm_event_get_status(event), before, now());
    sshpm_event_free(event);
    sshpm_subscription_free(subscription);
    /* Nothing of the process is left. */
    GIVES(sshpm_manager_adopt_process(second, "ends", "alpha", NULL, NULL), SSHPM_ERROR_NOT_ADOPTABLE,
          "does not have it");
    sshpm_manager_free(first);
    sshpm_manager_free(second);
}

/* The link is lost and restored. Then it is lost, and another manager is faster. */
static void lost_links(const struct gate *gate)
{
    sshpm_manager *first = new_gated_manager(gate, SSHPM_TIMEOUT_DEFAULT), *second = new_manager();
    sshpm_subscription *subscription = NULL;
    sshpm_exit_status *status = NULL;
    sshpm_event *event;
    int32_t state = 0;
    long lines;

    OK(sshpm_manager_subscribe(first, &subscription));
    start_kept(first, "u");
    sshpm_event_free(next_event(subscription, SSHPM_EVENT_STARTED));
    close_gate(gate);
    cut_link(first, "u");
    sshpm_event_free(next_event(subscription, SSHPM_EVENT_LINK_LOST));
    event = next_event(subscription, SSHPM_EVENT_LINK_NOT_RESTORED);
    CHECK(sshpm_event_get_error(event) == SSHPM_ERROR_SSH_REFUSED);
    CHECK(strstr(sshpm_event_get_message(event), "alpha") != NULL);
    sshpm_event_free(event);
    OK(sshpm_manager_get_process_state(first, "u", &state));
    CHECK(state == SSHPM_STATE_LINK_LOST);
    lines = counted(first, "u");
    open_gate(gate);
    sshpm_event_free(next_event(subscription, SSHPM_EVENT_LINK_RESTORED));
    wait_for_lines(first, "u", lines + 3);

    close_gate(gate);
    cut_link(first, "u");
    sshpm_event_free(next_event(subscription, SSHPM_EVENT_LINK_LOST));
    sshpm_event_free(next_event(subscription, SSHPM_EVENT_LINK_NOT_RESTORED));
    wait_until_found(second, "u", SSHPM_FOUND_UNMANAGED);
    OK(sshpm_manager_adopt_process(second, "u", "alpha", NULL, NULL));
    open_gate(gate);
    event = next_event(subscription, SSHPM_EVENT_LINK_NOT_RESTORED);
    CHECK(sshpm_event_get_error(event) == SSHPM_ERROR_TAKEN_OVER);
    sshpm_event_free(event);
    sshpm_subscription_free(subscription);
    wait_for_lines(second, "u", lines + 6);
    OK(sshpm_manager_kill_process(second, "u", LONG_S, &status));
    sshpm_exit_status_free(status);
    sshpm_manager_free(first);
    sshpm_manager_free(second);
}

/* A link that is not restored in time: the exit is unknown then, and the process runs on. */
static void given_up(const struct gate *gate)
{
    sshpm_manager *first = new_gated_manager(gate, 0.0), *second = new_manager();
    sshpm_exit_status *status = NULL;
    int64_t pid = start_kept(first, "u");
    int32_t code = 3;
    double at = 3.0;

    close_gate(gate);
    cut_link(first, "u");
    GIVES(sshpm_manager_wait_for_process_exit_code(first, "u", LONG_S, &code), SSHPM_ERROR_NO_EXIT_CODE, "u");
    OK(sshpm_manager_pop_early_exit_status(first, "u", &status));
    CHECK(sshpm_exit_status_is_unknown(status));
    GIVES(sshpm_exit_status_get_ended_at(status, &at), SSHPM_ERROR_NO_END_TIME, "not known");
    CHECK(code == 3 && at == 3.0);
    sshpm_exit_status_free(status);
    open_gate(gate);
    wait_until_found(second, "u", SSHPM_FOUND_UNMANAGED);
    CHECK(!is_dead(pid));
    OK(sshpm_manager_adopt_process(second, "u", "alpha", NULL, NULL));
    OK(sshpm_manager_kill_process(second, "u", LONG_S, &status));
    sshpm_exit_status_free(status);
    sshpm_manager_free(first);
    sshpm_manager_free(second);
}

static void cleaned_up(void)
{
    sshpm_manager *leaver = new_manager(), *stayer = new_manager(), *cleaner = new_manager();
    sshpm_clean_up_results *results = NULL;
    sshpm_exit_status *status = NULL;
    int64_t left = start_kept(leaver, "left"), ended = start_kept(leaver, "ended"), stays = start_kept(stayer, "stays");
    int64_t child = child_of(leaver, "left");
    size_t seen = 0;

    sshpm_manager_free(leaver);
    CHECK(kill((pid_t)ended, SIGKILL) == 0);
    wait_until_found(cleaner, "left", SSHPM_FOUND_UNMANAGED);
    wait_until_found(cleaner, "ended", SSHPM_FOUND_ENDED);
    CHECK(!is_dead(left) && !is_dead(child));
    OK(sshpm_manager_clean_up_host(cleaner, "alpha", NULL, 30.0, true, &results));
    CHECK(sshpm_clean_up_results_count(results) == 3);
    for (size_t i = 0; i < 3; i++) {
        const char *uuid = sshpm_clean_up_results_get_uuid(results, i);
        int32_t outcome = sshpm_clean_up_results_get_outcome(results, i);
        CHECK(sshpm_clean_up_results_left_count(results, i) == 0);
        CHECK(sshpm_clean_up_results_get_left(results, i, 0) == -1);
        seen += strcmp(uuid, "left") == 0 && outcome == SSHPM_CLEAN_UP_ENDED;
        seen += strcmp(uuid, "ended") == 0 && outcome == SSHPM_CLEAN_UP_REMOVED;
        seen += strcmp(uuid, "stays") == 0 && outcome == SSHPM_CLEAN_UP_MANAGED;
    }
    CHECK(seen == 3);
    CHECK(sshpm_clean_up_results_get_uuid(results, 3) == NULL && sshpm_clean_up_results_get_outcome(results, 3) == 0);
    CHECK(sshpm_clean_up_results_left_count(results, 3) == 0 && sshpm_clean_up_results_get_left(results, 3, 0) == -1);
    sshpm_clean_up_results_free(results);
    wait_for_death(left);
    wait_for_death(child);
    CHECK(!is_dead(stays));
    OK(sshpm_manager_kill_process(stayer, "stays", LONG_S, &status));
    sshpm_exit_status_free(status);
    sshpm_manager_free(stayer);
    sshpm_manager_free(cleaner);
}

static void nothing_has_no_values(void)
{
    sshpm_found_processes_free(NULL);
    sshpm_clean_up_results_free(NULL);
    CHECK(sshpm_found_processes_count(NULL) == 0 && sshpm_found_processes_get_uuid(NULL, 0) == NULL);
    CHECK(sshpm_found_processes_get_metadata(NULL, 0) == NULL && sshpm_found_processes_get_state(NULL, 0) == 0);
    CHECK(sshpm_found_processes_get_status(NULL, 0) == NULL);
    CHECK(sshpm_clean_up_results_count(NULL) == 0 && sshpm_clean_up_results_get_uuid(NULL, 0) == NULL);
    CHECK(sshpm_clean_up_results_get_outcome(NULL, 0) == 0);
    CHECK(sshpm_clean_up_results_left_count(NULL, 0) == 0 && sshpm_clean_up_results_get_left(NULL, 0, 0) == -1);
    CHECK(sshpm_exit_status_strays_count(NULL) == 0 && sshpm_exit_status_get_stray(NULL, 0) == -1);
    CHECK(sshpm_metadata_get_link_loss(NULL) == -1 && sshpm_metadata_get_log_file(NULL) == NULL);
    CHECK(sshpm_metadata_get_grace(NULL) == 0.0);
}

static void what_metadata_have(void)
{
    const char *least = "{\"pid\":2,\"hostname\":\"h\",\"user\":\"u\",\"started_at\":1.5}";
    const char *most = "{\"pid\":2,\"hostname\":\"h\",\"user\":\"u\",\"started_at\":1.5,\"link_loss\":\"keep\","
                       "\"log_file\":\"/tmp/a log\",\"grace\":2.5}";
    /* The wrapper writes this for a request with sshpm_boot_request_set_grace(request, INFINITY). */
    const char *endless = "{\"pid\":2,\"hostname\":\"h\",\"user\":\"u\",\"started_at\":1.5,"
                          "\"grace\":1.8446744073709552e19}";
    sshpm_metadata *metadata = NULL;
    OK(sshpm_metadata_from_json("u", least, &metadata));
    CHECK(sshpm_metadata_get_link_loss(metadata) == SSHPM_LINK_LOSS_TERMINATE);
    CHECK(sshpm_metadata_get_log_file(metadata) == NULL && sshpm_metadata_get_grace(metadata) == 0.0);
    sshpm_metadata_free(metadata);
    OK(sshpm_metadata_from_json("u", most, &metadata));
    CHECK(sshpm_metadata_get_link_loss(metadata) == SSHPM_LINK_LOSS_KEEP);
    CHECK(strcmp(sshpm_metadata_get_log_file(metadata), "/tmp/a log") == 0);
    CHECK(sshpm_metadata_get_grace(metadata) == 2.5);
    sshpm_metadata_free(metadata);
    OK(sshpm_metadata_from_json("u", endless, &metadata));
    CHECK(sshpm_metadata_get_grace(metadata) == INFINITY);
    sshpm_metadata_free(metadata);
}

#define NULL_ARGUMENT(call, name) GIVES(call, SSHPM_ERROR_NULL_ARGUMENT, name " is NULL")
#define LATIN1 "\xe9t\xe9"

static void bad_arguments(void)
{
    sshpm_manager *manager = new_manager();
    sshpm_options *options = NULL;
    sshpm_found_processes *found = NULL;
    sshpm_clean_up_results *results = NULL;
    double at = 3.0;

    OK(sshpm_options_new(&options));
    NULL_ARGUMENT(sshpm_options_set_restore_timeout(NULL, 1.0), "options");
    GIVES(sshpm_options_set_restore_timeout(options, -0.5), SSHPM_ERROR_INVALID, "restore_timeout \"-0.5\"");
    OK(sshpm_options_set_restore_timeout(options, INFINITY));
    sshpm_options_free(options);
    NULL_ARGUMENT(sshpm_boot_request_set_kill_tree(NULL, true), "request");
    NULL_ARGUMENT(sshpm_exit_status_get_ended_at(NULL, &at), "status");
    NULL_ARGUMENT(sshpm_manager_find_processes(NULL, "alpha", NULL, &found), "manager");
    NULL_ARGUMENT(sshpm_manager_find_processes(manager, NULL, NULL, &found), "host");
    NULL_ARGUMENT(sshpm_manager_find_processes(manager, "alpha", NULL, NULL), "out_found");
    GIVES(sshpm_manager_find_processes(manager, LATIN1, NULL, &found), SSHPM_ERROR_UTF8, "host");
    GIVES(sshpm_manager_find_processes(manager, "alpha", LATIN1, &found), SSHPM_ERROR_UTF8, "user");
    GIVES(sshpm_manager_find_processes(manager, "a b", NULL, &found), SSHPM_ERROR_INVALID, "host");
    GIVES(sshpm_manager_find_processes(manager, "alpha", "a b", &found), SSHPM_ERROR_INVALID, "user");
    NULL_ARGUMENT(sshpm_manager_adopt_process(NULL, "a", "alpha", NULL, NULL), "manager");
    NULL_ARGUMENT(sshpm_manager_adopt_process(manager, NULL, "alpha", NULL, NULL), "uuid");
    NULL_ARGUMENT(sshpm_manager_adopt_process(manager, "a", NULL, NULL, NULL), "host");
    GIVES(sshpm_manager_adopt_process(manager, LATIN1, "alpha", NULL, NULL), SSHPM_ERROR_UTF8, "uuid");
    GIVES(sshpm_manager_adopt_process(manager, "a", LATIN1, NULL, NULL), SSHPM_ERROR_UTF8, "host");
    GIVES(sshpm_manager_adopt_process(manager, "a", "alpha", LATIN1, NULL), SSHPM_ERROR_UTF8, "user");
    GIVES(sshpm_manager_adopt_process(manager, "*", "alpha", NULL, NULL), SSHPM_ERROR_INVALID, "uuid");
    GIVES(sshpm_manager_adopt_process(manager, "a", "a b", NULL, NULL), SSHPM_ERROR_INVALID, "host");
    GIVES(sshpm_manager_adopt_process(manager, "a", "alpha", "a b", NULL), SSHPM_ERROR_INVALID, "user");
    NULL_ARGUMENT(sshpm_manager_clean_up_host(NULL, "alpha", NULL, 1.0, false, &results), "manager");
    NULL_ARGUMENT(sshpm_manager_clean_up_host(manager, NULL, NULL, 1.0, false, &results), "host");
    NULL_ARGUMENT(sshpm_manager_clean_up_host(manager, "alpha", NULL, 1.0, false, NULL), "out_results");
    GIVES(sshpm_manager_clean_up_host(manager, LATIN1, NULL, 1.0, false, &results), SSHPM_ERROR_UTF8, "host");
    GIVES(sshpm_manager_clean_up_host(manager, "alpha", LATIN1, 1.0, false, &results), SSHPM_ERROR_UTF8, "user");
    GIVES(sshpm_manager_clean_up_host(manager, "a b", NULL, 1.0, false, &results), SSHPM_ERROR_INVALID, "host");
    GIVES(sshpm_manager_clean_up_host(manager, "alpha", "a b", 1.0, false, &results), SSHPM_ERROR_INVALID, "user");
    GIVES(sshpm_manager_clean_up_host(manager, "alpha", NULL, (double)NAN, false, &results), SSHPM_ERROR_INVALID,
          "grace \"NaN\"");
    CHECK(found == NULL && results == NULL && at == 3.0);

    /* A host where there is no process. */
    OK(sshpm_manager_find_processes(manager, "alpha", NULL, &found));
    CHECK(sshpm_found_processes_count(found) == 0 && sshpm_found_processes_get_uuid(found, 0) == NULL);
    CHECK(sshpm_found_processes_get_metadata(found, 0) == NULL && sshpm_found_processes_get_state(found, 0) == 0);
    CHECK(sshpm_found_processes_get_status(found, 0) == NULL);
    sshpm_found_processes_free(found);
    OK(sshpm_manager_clean_up_host(manager, "alpha", NULL, SSHPM_TIMEOUT_DEFAULT, false, &results));
    CHECK(sshpm_clean_up_results_count(results) == 0);
    sshpm_clean_up_results_free(results);
    GIVES(sshpm_manager_adopt_process(manager, "a", "alpha", NULL, NULL), SSHPM_ERROR_NOT_ADOPTABLE,
          "does not have it");
    sshpm_manager_free(manager);
}

int main(void)
{
    struct gate gate = new_gate();
    alarm(WATCHDOG_S);
    nothing_has_no_values();
    what_metadata_have();
    bad_arguments();
    left_and_adopted();
    ended_and_adopted();
    lost_links(&gate);
    given_up(&gate);
    cleaned_up();
    return 0;
}
