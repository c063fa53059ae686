/* Provokes the codes of launchers by each function that documents them. tests/c_api/codes.rs compares. */
#include <signal.h>

#include "codes.h"
#include "launchers.h"

static void launchers_of_all_kinds(void)
{
    const char *const argv[2] = {"env", NULL};
    sshpm_launcher *launcher = NULL;
    sshpm_options *options = NULL;
    sshpm_boot_request *request = script_request("host", "exit");
    OK(sshpm_launcher_new_ssh(&launcher));
    NULL_ARGUMENT(sshpm_launcher_new_ssh(NULL));
    NULL_ARGUMENT(sshpm_launcher_new_local(NULL));
    OK(sshpm_options_new(&options));
    OK(sshpm_options_set_launcher(options, launcher));
    NULL_ARGUMENT(sshpm_options_set_launcher(NULL, launcher));
    NULL_ARGUMENT(sshpm_options_set_launcher(options, NULL));
    OK(sshpm_options_set_host_launcher(options, "host", launcher));
    NULL_ARGUMENT(sshpm_options_set_host_launcher(NULL, "host", launcher));
    NULL_ARGUMENT(sshpm_options_set_host_launcher(options, NULL, launcher));
    NULL_ARGUMENT(sshpm_options_set_host_launcher(options, "host", NULL));
    NOT_UTF8(sshpm_options_set_host_launcher(options, LATIN1, launcher));
    OK(sshpm_boot_request_set_launcher(request, launcher));
    NULL_ARGUMENT(sshpm_boot_request_set_launcher(NULL, launcher));
    NULL_ARGUMENT(sshpm_boot_request_set_launcher(request, NULL));
    INVALID(sshpm_launcher_set_srun_program(launcher, "srun"));
    INVALID(sshpm_launcher_add_srun_option(launcher, "--exclusive"));
    sshpm_launcher_free(launcher);
    sshpm_launcher_free(NULL);
    sshpm_options_free(options);
    sshpm_boot_request_free(request);

    launcher = NULL;
    NULL_ARGUMENT(sshpm_launcher_new_command(NULL, 1, &launcher));
    NULL_ARGUMENT(sshpm_launcher_new_command(argv, 2, &launcher));
    NULL_ARGUMENT(sshpm_launcher_new_command(argv, 1, NULL));
    INVALID(sshpm_launcher_new_command(argv, SIZE_MAX, &launcher));
    NULL_ARGUMENT(sshpm_launcher_new_slurm("1", NULL));
    NOT_UTF8(sshpm_launcher_new_slurm(LATIN1, &launcher));
    CHECK(launcher == NULL);
    OK(sshpm_launcher_new_slurm("1", &launcher));
    OK(sshpm_launcher_set_srun_program(launcher, "srun"));
    NULL_ARGUMENT(sshpm_launcher_set_srun_program(NULL, "srun"));
    NULL_ARGUMENT(sshpm_launcher_set_srun_program(launcher, NULL));
    OK(sshpm_launcher_add_srun_option(launcher, "--exclusive"));
    NULL_ARGUMENT(sshpm_launcher_add_srun_option(NULL, "--exclusive"));
    NULL_ARGUMENT(sshpm_launcher_add_srun_option(launcher, NULL));
    NOT_UTF8(sshpm_launcher_add_srun_option(launcher, LATIN1));
    sshpm_launcher_free(launcher);
}

static void refuses(sshpm_launcher *launcher, const char *host, const char *field)
{
    sshpm_options *options = NULL;
    sshpm_manager *manager = NULL;
    OK(sshpm_options_new(&options));
    if (host == NULL) {
        OK(sshpm_options_set_launcher(options, launcher));
    } else {
        OK(sshpm_options_set_host_launcher(options, host, launcher));
    }
    GIVES(sshpm_manager_new(options, &manager), SSHPM_ERROR_INVALID, field);
    CHECK(manager == NULL);
    sshpm_launcher_free(launcher);
    sshpm_options_free(options);
}

/* Launchers that cannot work at all, and requests that a launcher cannot fulfil. */
static void refused(void)
{
    sshpm_launcher *launcher = NULL;
    sshpm_boot_request *request;
    sshpm_manager *manager = manager_with(local());
    OK(sshpm_launcher_new_command(NULL, 0, &launcher));
    refuses(launcher, NULL, "launcher.command[0]");
    refuses(command("{host}", NULL), NULL, "launcher.command[0]");
    refuses(command("", NULL), "alpha", "host_launchers.alpha.command[0]");
    refuses(local(), "-x", "host_launchers");
    OK(sshpm_launcher_new_slurm("one", &launcher));
    refuses(launcher, NULL, "launcher.job \"one\"");
    OK(sshpm_launcher_new_slurm("1", &launcher));
    OK(sshpm_launcher_add_srun_option(launcher, "-n2"));
    refuses(launcher, NULL, "launcher.srun_options[0] \"-n2\"");

    request = script_request("host", "exit");
    OK(sshpm_boot_request_set_user(request, "somebody-else"));
    GIVES(sshpm_manager_start_process(manager, "u", request, NULL), SSHPM_ERROR_INVALID, "user \"somebody-else\"");
    launcher = command("env", NULL);
    OK(sshpm_boot_request_set_launcher(request, launcher));
    sshpm_launcher_free(launcher);
    GIVES(sshpm_manager_start_process(manager, "u", request, NULL), SSHPM_ERROR_INVALID, "does not name {user}");
    sshpm_boot_request_free(request);
    request = script_request("host", "exit");
    launcher = fake_slurm("1");
    OK(sshpm_boot_request_set_launcher(request, launcher));
    OK(sshpm_boot_request_set_link_loss(request, SSHPM_LINK_LOSS_KEEP));
    GIVES(sshpm_boot_request_check(request), SSHPM_ERROR_INVALID, "link_loss \"keep\"");
    GIVES(sshpm_manager_start_process(manager, "u", request, NULL), SSHPM_ERROR_INVALID, "link_loss \"keep\"");
    sshpm_launcher_free(launcher);
    sshpm_boot_request_free(request);
    GIVES(sshpm_boot_request_from_json("{\"host\": \"h\", \"argv\": [\"a\"], \"launcher\": \"docker\"}", &request),
          SSHPM_ERROR_JSON, "docker");
    GIVES(sshpm_manager_validate_host_connection(manager, "host", NULL, "publickey", NULL), SSHPM_ERROR_INVALID,
          "auth_method \"publickey\"");
    sshpm_manager_free(manager);
}

static void hosts_are(const char *job, sshpm_result code, const char *text)
{
    sshpm_launcher *launcher = fake_slurm(job);
    sshpm_string_list *hosts = NULL;
    GIVES(sshpm_launcher_get_hosts(launcher, &hosts), code, text);
    CHECK((hosts != NULL) == (code == SSHPM_OK));
    sshpm_string_list_free(hosts);
    sshpm_launcher_free(launcher);
}

static void hosts_of_jobs(void)
{
    sshpm_launcher *launcher = local();
    sshpm_string_list *hosts = NULL;
    INVALID(sshpm_launcher_get_hosts(launcher, &hosts));
    NULL_ARGUMENT(sshpm_launcher_get_hosts(launcher, NULL));
    NULL_ARGUMENT(sshpm_launcher_get_hosts(NULL, &hosts));
    sshpm_launcher_free(launcher);
    /* The user of this program may be in a job. */
    CHECK(unsetenv("SLURM_JOB_ID") == 0 && unsetenv("SLURM_JOBID") == 0);
    hosts_are(NULL, SSHPM_ERROR_INVALID, "SLURM_JOB_ID");
    hosts_are("", SSHPM_ERROR_INVALID, "launcher.job");
    hosts_are("1", SSHPM_OK, "");
    hosts_are("2", SSHPM_ERROR_LAUNCHER_NO_JOB, "job 2");
    hosts_are("3", SSHPM_ERROR_LAUNCHER_NO_CONTROLLER, "(connect failure)");
    hosts_are("4", SSHPM_ERROR_LAUNCHER_NO_JOB, "Invalid job id");
    hosts_are("5", SSHPM_ERROR_LAUNCHER_ENDED, "code 5");
    OK(sshpm_launcher_new_slurm("1", &launcher));
    OK(sshpm_launcher_set_srun_program(launcher, "/no/such/srun"));
    GIVES(sshpm_launcher_get_hosts(launcher, &hosts), SSHPM_ERROR_LAUNCHER_NOT_FOUND, "/no/such/squeue");
    sshpm_launcher_free(launcher);
    CHECK(hosts == NULL);
}

/* Provokes the code of a process that did not start, by each function of a process. */
static void does_not_start(sshpm_manager *manager, const char *host, sshpm_result code, const char *text)
{
    const char *const uuids[1] = {"u"};
    sshpm_boot_request *request = script_request(host, "exit");
    sshpm_exit_status *status = NULL;
    sshpm_kill_results *results = NULL;
    int64_t pid = 0;
    for (int round = 0; round < 4; round++) {
        int32_t number = 0;
        OK(sshpm_manager_start_process(manager, "u", request, NULL));
        GIVES(sshpm_manager_wait_until_started(manager, "u", LONG_S, &pid), code, text);
        FAILED(sshpm_manager_wait_until_ready(manager, "u", LONG_S), code);
        FAILED(sshpm_manager_wait_for_process_exit_code(manager, "u", LONG_S, &number), code);
        FAILED(sshpm_manager_get_exit_status(manager, "u", &status), code);
        switch (round) {
        case 0:
            FAILED(sshpm_manager_pop_early_exit_status(manager, "u", &status), code);
            break;
        case 1:
            FAILED(sshpm_manager_kill_process(manager, "u", LONG_S, &status), code);
            break;
        case 2:
            FAILED(sshpm_manager_kill_process_without_metadata(manager, "u", SIGKILL, true, LONG_S, &status), code);
            break;
        default:
            OK(sshpm_manager_kill_processes(manager, uuids, 1, NULL, &results));
            FAILED(sshpm_kill_results_get_result(results, 0), code);
            sshpm_kill_results_free(results);
        }
    }
    CHECK(status == NULL);
    sshpm_boot_request_free(request);
}

static void calls_about_a_host(sshpm_manager *manager, const char *host, sshpm_result code)
{
    const char *const names[1] = {host};
    sshpm_buffer *buffer = NULL;
    sshpm_metadata *metadata = NULL;
    sshpm_log_follower *follower = NULL;
    sshpm_host_results *results = NULL;
    sshpm_found_processes *found = NULL;
    sshpm_clean_up_results *cleaned = NULL;
    FAILED(sshpm_manager_validate_host_connection(manager, host, NULL, NULL, NULL), code);
    OK(sshpm_manager_validate_hosts(manager, names, NULL, 1, NULL, NULL, &results));
    FAILED(sshpm_host_results_get_result(results, 0), code);
    sshpm_host_results_free(results);
    FAILED(sshpm_manager_read_log_file(manager, host, NULL, "/x", 1, LONG_S, &buffer), code);
    OK(sshpm_manager_follow_log_file(manager, host, NULL, "/x", 1, &follower));
    FAILED(sshpm_log_follower_next(follower, LONG_S, &buffer), code);
    sshpm_log_follower_free(follower);
    FAILED(sshpm_manager_read_process_metadata(manager, "u", host, NULL, LONG_S, &metadata), code);
    FAILED(sshpm_manager_find_processes(manager, host, NULL, &found), code);
    FAILED(sshpm_manager_clean_up_host(manager, host, NULL, 1.0, false, &cleaned), code);
    CHECK(buffer == NULL && metadata == NULL && found == NULL && cleaned == NULL);
}

static void no_shell(void)
{
    sshpm_manager *manager = manager_with(command("/no/such/launcher", NULL));
    sshpm_subscription *subscription = NULL;
    sshpm_boot_request *request = NULL;
    sshpm_event *event;
    OK(sshpm_manager_subscribe(manager, &subscription));
    does_not_start(manager, "alpha", SSHPM_ERROR_LAUNCHER_NOT_FOUND, "launcher on alpha: ");
    event = next_event(subscription, SSHPM_EVENT_START_FAILED);
    FAILED(sshpm_event_get_error(event), SSHPM_ERROR_LAUNCHER_NOT_FOUND);
    sshpm_event_free(event);
    sshpm_subscription_free(subscription);
    calls_about_a_host(manager, "alpha", SSHPM_ERROR_LAUNCHER_NOT_FOUND);
    FAILED(sshpm_manager_adopt_process(manager, "u", "alpha", NULL, NULL), SSHPM_ERROR_LAUNCHER_NOT_FOUND);
    request = new_request("alpha", "exit", "0");
    FAILED(sshpm_manager_adopt_process_with_request(manager, "u", request, NULL), SSHPM_ERROR_LAUNCHER_NOT_FOUND);
    sshpm_boot_request_free(request);
    sshpm_manager_free(manager);

    manager = manager_with(command("false", NULL));
    does_not_start(manager, "alpha", SSHPM_ERROR_LAUNCHER_ENDED, "false on alpha: it ended with exit code 1");
    calls_about_a_host(manager, "alpha", SSHPM_ERROR_LAUNCHER_ENDED);
    sshpm_manager_free(manager);

    write_program("dies", "kill -KILL $$");
    manager = manager_with(command(own_path("dies"), NULL));
    does_not_start(manager, "alpha", SSHPM_ERROR_LAUNCHER_CLOSED, "dies on alpha: ");
    sshpm_manager_free(manager);
    CHECK(unlink(own_path("dies")) == 0);
}

static void no_shell_in_time(void)
{
    sshpm_launcher *launcher;
    sshpm_options *options = NULL;
    sshpm_manager *manager = NULL;
    write_program("hangs", "exec sleep 1000");
    launcher = command(own_path("hangs"), NULL);
    OK(sshpm_options_new(&options));
    OK(sshpm_options_set_launcher(options, launcher));
    OK(sshpm_options_set_connect_timeout(options, 0.1));
    OK(sshpm_manager_new(options, &manager));
    FAILED(sshpm_manager_validate_host_connection(manager, "alpha", NULL, NULL, NULL), SSHPM_ERROR_LAUNCHER_TIMED_OUT);
    sshpm_manager_free(manager);
    sshpm_options_free(options);
    sshpm_launcher_free(launcher);
    CHECK(unlink(own_path("hangs")) == 0);
}

/* The messages are those of srun. */
static void steps_that_are_none(void)
{
    sshpm_manager *manager = manager_with(fake_slurm("1"));
    does_not_start(manager, "expired", SSHPM_ERROR_LAUNCHER_NO_JOB, "srun on expired: ");
    does_not_start(manager, "elsewhere", SSHPM_ERROR_LAUNCHER_NOT_IN_JOB, "not available");
    does_not_start(manager, "lonely", SSHPM_ERROR_LAUNCHER_NO_CONTROLLER, "(connect failure)");
    does_not_start(manager, "odd", SSHPM_ERROR_LAUNCHER_ENDED, "out of order");
    calls_about_a_host(manager, "elsewhere", SSHPM_ERROR_LAUNCHER_NOT_IN_JOB);
    sshpm_manager_free(manager);
}

int main(void)
{
    alarm(WATCHDOG_S);
    live_in_own_directory();
    write_fake_slurm();
    launchers_of_all_kinds();
    refused();
    hosts_of_jobs();
    no_shell();
    no_shell_in_time();
    steps_that_are_none();
    remove_fake_slurm();
    leave_nothing();
    return 0;
}
