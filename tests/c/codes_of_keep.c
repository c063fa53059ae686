/* Provokes the codes of kept processes by each function that documents them. tests/c_api/codes.rs compares. */
#include "codes.h"
#include "keep.h"

static const char *const FOUR[4] = {"one", "two", "three", "four"};

/* With it, processes are adopted and could be restarted. */
static sshpm_boot_request *next_life;

/* The codes of all functions for exits that the manager will not learn, of four processes that it had. */
static void not_ours_any_more(sshpm_manager *manager, sshpm_result code)
{
    sshpm_exit_status *status = NULL;
    sshpm_kill_results *results = NULL;
    int32_t number = 0;
    for (int i = 0; i < 4; i++) {
        FAILED(sshpm_manager_wait_for_process_exit_code(manager, FOUR[i], LONG_S, &number), code);
        FAILED(sshpm_manager_get_exit_status(manager, FOUR[i], &status), code);
    }
    FAILED(sshpm_manager_pop_early_exit_status(manager, FOUR[0], &status), code);
    FAILED(sshpm_manager_kill_process(manager, FOUR[1], LONG_S, &status), code);
    FAILED(sshpm_manager_kill_process_without_metadata(manager, FOUR[2], SIGKILL, true, LONG_S, &status), code);
    OK(sshpm_manager_kill_processes(manager, FOUR + 3, 1, NULL, &results));
    FAILED(sshpm_kill_results_get_result(results, 0), code);
    sshpm_kill_results_free(results);
    CHECK(status == NULL);
}

/* A second manager adopts the processes to which the first one has no link, and then lets go of them. */
static void four_that_change_hands(const struct gate *gate)
{
    sshpm_manager *first = new_gated_manager(gate, SSHPM_TIMEOUT_DEFAULT), *second = new_manager();
    sshpm_subscription *subscription = NULL;
    int lost = 0;
    for (int i = 0; i < 4; i++) {
        start_kept(first, FOUR[i]);
    }
    OK(sshpm_manager_subscribe(first, &subscription));
    close_gate(gate);
    for (int i = 0; i < 4; i++) {
        cut_link(first, FOUR[i]);
    }
    while (lost < 4) {
        sshpm_event *event = NULL;
        OK(sshpm_subscription_next(subscription, LONG_S, &event));
        lost += sshpm_event_get_type(event) == SSHPM_EVENT_LINK_NOT_RESTORED;
        sshpm_event_free(event);
    }
    for (int i = 0; i < 4; i++) {
        wait_until_found(second, FOUR[i], SSHPM_FOUND_UNMANAGED);
        if (i == 3) {
            OK(sshpm_manager_adopt_process_with_request(second, FOUR[i], next_life, NULL));
        } else {
            OK(sshpm_manager_adopt_process(second, FOUR[i], "alpha", NULL, NULL));
        }
    }
    open_gate(gate);
    for (int refused = 0; refused < 4;) {
        sshpm_event *event = next_event(subscription, SSHPM_EVENT_LINK_NOT_RESTORED);
        note_code("sshpm_event_get_error(", sshpm_event_get_error(event));
        refused += sshpm_event_get_error(event) == SSHPM_ERROR_TAKEN_OVER;
        sshpm_event_free(event);
    }
    sshpm_subscription_free(subscription);
    GIVES(sshpm_manager_restart_process(first, FOUR[0], LONG_S, NULL), SSHPM_ERROR_TAKEN_OVER, FOUR[0]);
    GIVES(sshpm_manager_restart_process(second, FOUR[0], LONG_S, NULL), SSHPM_ERROR_RESTART_NO_REQUEST, FOUR[0]);
    not_ours_any_more(first, SSHPM_ERROR_TAKEN_OVER);
    sshpm_manager_free(first);
    OK(sshpm_manager_detach(second));
    not_ours_any_more(second, SSHPM_ERROR_DETACHED);
    sshpm_manager_free(second);
}

struct inside {
    sshpm_manager *manager;
    int called;
};

#define INSIDE(call) GIVES(call, SSHPM_ERROR_INSIDE_CALLBACK, "inside a callback")

static void calls_that_block(const char *uuid, uint64_t start_number, const sshpm_exit_status *status,
                             sshpm_result error, const char *error_message, void *user_data)
{
    struct inside *inside = user_data;
    sshpm_found_processes *found = NULL;
    sshpm_clean_up_results *results = NULL;
    CHECK(start_number > 0 && status != NULL && error == SSHPM_OK && error_message == NULL);
    INSIDE(sshpm_manager_find_processes(inside->manager, "alpha", NULL, &found));
    INSIDE(sshpm_manager_adopt_process(inside->manager, uuid, "alpha", NULL, NULL));
    INSIDE(sshpm_manager_adopt_process_with_request(inside->manager, uuid, next_life, NULL));
    INSIDE(sshpm_manager_clean_up_host(inside->manager, "alpha", NULL, 1.0, false, &results));
    __atomic_store_n(&inside->called, 1, __ATOMIC_SEQ_CST);
}

static void inside_a_callback(sshpm_manager *manager)
{
    struct inside inside = {manager, 0};
    uint64_t id = 0;
    OK(sshpm_manager_on_process_exit(manager, calls_that_block, &inside, NULL, &id));
    start(manager, "ends", "alpha", "exit", "3");
    for (int i = 0; __atomic_load_n(&inside.called, __ATOMIC_SEQ_CST) == 0; i++) {
        CHECK(i < 100 * (int)LONG_S);
        poll(NULL, 0, 10);
    }
    OK(sshpm_manager_remove_callback(manager, id));
    OK(sshpm_manager_forget_process(manager, "ends"));
}

static void hosts(sshpm_manager *manager, sshpm_manager *without_ssh)
{
    sshpm_found_processes *found = NULL;
    sshpm_clean_up_results *results = NULL;
    NULL_ARGUMENT(sshpm_manager_find_processes(manager, "alpha", NULL, NULL));
    NOT_UTF8(sshpm_manager_find_processes(manager, LATIN1, NULL, &found));
    INVALID(sshpm_manager_find_processes(manager, "a b", NULL, &found));
    FAILED(sshpm_manager_find_processes(without_ssh, "alpha", NULL, &found), SSHPM_ERROR_SSH_NOT_FOUND);
    NULL_ARGUMENT(sshpm_manager_adopt_process(manager, NULL, "alpha", NULL, NULL));
    NOT_UTF8(sshpm_manager_adopt_process(manager, "a", LATIN1, NULL, NULL));
    INVALID(sshpm_manager_adopt_process(manager, "a/b", "alpha", NULL, NULL));
    GIVES(sshpm_manager_adopt_process(manager, "nobody", "alpha", NULL, NULL), SSHPM_ERROR_NOT_ADOPTABLE, "nobody");
    FAILED(sshpm_manager_adopt_process(without_ssh, "a", "alpha", NULL, NULL), SSHPM_ERROR_SSH_NOT_FOUND);
    NULL_ARGUMENT(sshpm_manager_adopt_process_with_request(manager, "a", NULL, NULL));
    NOT_UTF8(sshpm_manager_adopt_process_with_request(manager, LATIN1, next_life, NULL));
    INVALID(sshpm_manager_adopt_process_with_request(manager, "a/b", next_life, NULL));
    GIVES(sshpm_manager_adopt_process_with_request(manager, "nobody", next_life, NULL), SSHPM_ERROR_NOT_ADOPTABLE,
          "nobody");
    FAILED(sshpm_manager_adopt_process_with_request(without_ssh, "a", next_life, NULL), SSHPM_ERROR_SSH_NOT_FOUND);
    NULL_ARGUMENT(sshpm_manager_clean_up_host(manager, "alpha", NULL, 1.0, false, NULL));
    NOT_UTF8(sshpm_manager_clean_up_host(manager, "alpha", LATIN1, 1.0, false, &results));
    INVALID(sshpm_manager_clean_up_host(manager, "alpha", NULL, -2.0, false, &results));
    FAILED(sshpm_manager_clean_up_host(without_ssh, "alpha", NULL, 1.0, false, &results), SSHPM_ERROR_SSH_NOT_FOUND);
    CHECK(found == NULL && results == NULL);
}

/* Processes that a manager let go are adopted, but not by a manager that has another process of the uuid, nor by one
 * that has let go itself. */
static void adopted_or_not(sshpm_manager *manager)
{
    sshpm_manager *late = new_manager();
    sshpm_exit_status *status = NULL;
    double at = 0.0;
    wait_until_found(manager, "one", SSHPM_FOUND_UNMANAGED);
    start(manager, "one", "silent", "exit", "0");
    GIVES(sshpm_manager_adopt_process(manager, "one", "alpha", NULL, NULL), SSHPM_ERROR_UUID_IN_USE, "one");
    GIVES(sshpm_manager_adopt_process_with_request(manager, "one", next_life, NULL), SSHPM_ERROR_UUID_IN_USE, "one");
    OK(sshpm_manager_kill_process(manager, "one", LONG_S, &status));
    sshpm_exit_status_free(status);
    OK(sshpm_manager_adopt_process(manager, "one", "alpha", NULL, NULL));
    GIVES(sshpm_manager_adopt_process(late, "one", "alpha", NULL, NULL), SSHPM_ERROR_TAKEN_OVER, "one");
    GIVES(sshpm_manager_adopt_process_with_request(late, "one", next_life, NULL), SSHPM_ERROR_TAKEN_OVER, "one");
    OK(sshpm_manager_kill_process(manager, "one", LONG_S, &status));
    NULL_ARGUMENT(sshpm_exit_status_get_ended_at(status, NULL));
    OK(sshpm_exit_status_get_ended_at(status, &at));
    sshpm_exit_status_free(status);

    wait_until_found(late, "two", SSHPM_FOUND_UNMANAGED);
    OK(sshpm_manager_detach(late));
    GIVES(sshpm_manager_adopt_process(late, "two", "alpha", NULL, NULL), SSHPM_ERROR_SHUT_DOWN, "shut down");
    GIVES(sshpm_manager_adopt_process_with_request(late, "two", next_life, NULL), SSHPM_ERROR_SHUT_DOWN, "shut down");
    sshpm_manager_free(late);
}

/* The exit is unknown when the link was not restored in time. */
static void unknown_end(const struct gate *gate)
{
    sshpm_manager *manager = new_gated_manager(gate, 0.0);
    sshpm_exit_status *status = NULL;
    int32_t code = 0;
    double at = 0.0;
    start_kept(manager, "lost");
    close_gate(gate);
    cut_link(manager, "lost");
    FAILED(sshpm_manager_wait_for_process_exit_code(manager, "lost", LONG_S, &code), SSHPM_ERROR_NO_EXIT_CODE);
    OK(sshpm_manager_pop_early_exit_status(manager, "lost", &status));
    GIVES(sshpm_exit_status_get_ended_at(status, &at), SSHPM_ERROR_NO_END_TIME, "not known");
    sshpm_exit_status_free(status);
    open_gate(gate);
    sshpm_manager_free(manager);
}

static void options_and_requests(void)
{
    sshpm_options *options = NULL;
    sshpm_boot_request *request = new_kept_request();
    NULL_ARGUMENT(sshpm_boot_request_set_kill_tree(NULL, true));
    OK(sshpm_boot_request_set_kill_tree(request, true));
    sshpm_boot_request_free(request);
    OK(sshpm_options_new(&options));
    NULL_ARGUMENT(sshpm_options_set_restore_timeout(NULL, 1.0));
    INVALID(sshpm_options_set_restore_timeout(options, -2.0));
    OK(sshpm_options_set_restore_timeout(options, 1.0));
    sshpm_options_free(options);
}

int main(void)
{
    struct gate gate = new_gate();
    sshpm_options *options = NULL;
    sshpm_manager *manager = new_manager(), *without_ssh = NULL;
    sshpm_found_processes *found = NULL;
    sshpm_clean_up_results *results = NULL;
    alarm(WATCHDOG_S);
    OK(sshpm_options_new(&options));
    OK(sshpm_options_set_ssh_program(options, "/no/such/ssh"));
    OK(sshpm_manager_new(options, &without_ssh));
    sshpm_options_free(options);
    next_life = new_request("alpha", "exit", "0");
    options_and_requests();
    hosts(manager, without_ssh);
    inside_a_callback(manager);
    four_that_change_hands(&gate);
    adopted_or_not(manager);
    unknown_end(&gate);
    /* The other processes are ended. */
    for (int i = 1; i < 4; i++) {
        wait_until_found(manager, FOUR[i], SSHPM_FOUND_UNMANAGED);
    }
    wait_until_found(manager, "lost", SSHPM_FOUND_UNMANAGED);
    OK(sshpm_manager_find_processes(manager, "alpha", NULL, &found));
    CHECK(sshpm_found_processes_count(found) == 4);
    sshpm_found_processes_free(found);
    OK(sshpm_manager_clean_up_host(manager, "alpha", NULL, LONG_S, true, &results));
    CHECK(sshpm_clean_up_results_count(results) == 4);
    sshpm_clean_up_results_free(results);
    sshpm_boot_request_free(next_life);
    sshpm_manager_free(without_ssh);
    sshpm_manager_free(manager);
    return 0;
}
