/* Processes without ssh: on this machine, by commands, and as steps of a fake Slurm. All of them live the same life. */
#include <signal.h>

#include "launchers.h"

static bool wrote(const sshpm_manager *manager, const char *uuid, bool to_stderr, const char *text)
{
    sshpm_buffer *buffer = NULL;
    bool found;
    if (to_stderr) {
        OK(sshpm_manager_get_process_stderr(manager, uuid, &buffer));
    } else {
        OK(sshpm_manager_get_process_stdout(manager, uuid, &buffer));
    }
    found = strstr(sshpm_buffer_data(buffer), text) != NULL;
    sshpm_buffer_free(buffer);
    return found;
}

static void wait_for_text(const sshpm_manager *manager, const char *uuid, bool to_stderr, const char *text)
{
    for (int i = 0; !wrote(manager, uuid, to_stderr, text); i++) {
        CHECK(i < 100 * (int)LONG_S);
        poll(NULL, 0, 10);
    }
}

/* The process ended by itself, with this code and message. */
static void ended(sshpm_manager *manager, const char *uuid, int32_t expected)
{
    sshpm_exit_status *status = NULL;
    int32_t code = -1;
    OK(sshpm_manager_wait_for_process_exit_code(manager, uuid, LONG_S, &code));
    CHECK(code == expected);
    OK(sshpm_manager_pop_early_exit_status(manager, uuid, &status));
    CHECK(sshpm_exit_status_get_source(status) == SSHPM_EXIT_SOURCE_REMOTE_MONITORING);
    CHECK(strstr(sshpm_exit_status_get_message(status), uuid) != NULL);
    sshpm_exit_status_free(status);
}

/* Three processes: one is signalled, one crashes, one is killed. Their output is read, also from a file. */
static void lives(sshpm_manager *manager, const char *host)
{
    sshpm_subscription *subscription = NULL;
    sshpm_exit_status *status = NULL;
    sshpm_boot_request *request;
    sshpm_buffer *buffer = NULL;
    sshpm_host_info *info = NULL;
    char pid[32];
    int32_t code = 0;
    int64_t client = 0, remote = 0, wrapper = 0;

    OK(sshpm_manager_validate_host_connection(manager, host, NULL, NULL, &info));
    CHECK(strcmp(sshpm_host_info_get_runtime_directory(info), own_path("runtime")) == 0);
    sshpm_host_info_free(info);

    OK(sshpm_manager_subscribe(manager, &subscription));
    for (int i = 0; i < 3; i++) {
        const char *const uuids[3] = {"signalled", "crashed", "killed"};
        snprintf(pid, sizeof pid, "%lld", (long long)start_and_listen(manager, uuids[i], script_request(host, COUNTS)));
        sshpm_event *event = next_event(subscription, SSHPM_EVENT_STARTED);
        CHECK(strcmp(sshpm_event_get_uuid(event), uuids[i]) == 0 && sshpm_event_get_pid(event) == atoll(pid));
        sshpm_event_free(event);
        wait_for_text(manager, uuids[i], true, "ready in /");
        wait_for_text(manager, uuids[i], false, "out 1\nout 2\n");
    }
    OK(sshpm_manager_get_runtime_pids(manager, "killed", &client, &remote, &wrapper, NULL));
    CHECK(client > 1 && remote > 1 && wrapper > 1 && remote != client && remote != wrapper);

    OK(sshpm_manager_send_signal(manager, "signalled", SIGUSR1));
    ended(manager, "signalled", 7);
    sshpm_event_free(next_event(subscription, SSHPM_EVENT_EXITED));
    OK(sshpm_manager_crash_process(manager, "crashed", SIGKILL));
    ended(manager, "crashed", 128 + SIGKILL);
    sshpm_event_free(next_event(subscription, SSHPM_EVENT_EXITED));
    OK(sshpm_manager_kill_process(manager, "killed", LONG_S, &status));
    CHECK(sshpm_exit_status_get_source(status) == SSHPM_EXIT_SOURCE_MANUAL_KILL_THROUGH_REMOTE_PID);
    OK(sshpm_exit_status_get_code(status, &code));
    CHECK(code == 17);
    sshpm_exit_status_free(status);
    sshpm_event_free(next_event(subscription, SSHPM_EVENT_EXITED));
    sshpm_subscription_free(subscription);

    request = script_request(host, "echo to the file; exit 5");
    OK(sshpm_boot_request_set_log_file(request, own_path("log")));
    OK(sshpm_manager_start_process(manager, "logs", request, NULL));
    sshpm_boot_request_free(request);
    ended(manager, "logs", 5);
    OK(sshpm_manager_read_log_file(manager, host, NULL, own_path("log"), 10, LONG_S, &buffer));
    CHECK(strstr(sshpm_buffer_data(buffer), "to the file\n") != NULL);
    sshpm_buffer_free(buffer);
    CHECK(unlink(own_path("log")) == 0);
}

static void on_this_machine(void)
{
    sshpm_manager *manager = manager_with(local());
    const char *script = "echo $$; echo \"$PWD\"; exec sleep 1000";
    int64_t pid = start_and_listen(manager, "here", script_request("any-name", script));
    char line[64];
    /* The pid is one of this machine, and the environment and the home directory are those of this program. */
    snprintf(line, sizeof line, "%lld\n", (long long)pid);
    CHECK(kill((pid_t)pid, 0) == 0 && wrote(manager, "here", false, line));
    wait_for_text(manager, "here", false, getenv("HOME"));
    lives(manager, "another-name");
    CHECK(kill((pid_t)pid, SIGTERM) == 0);
    ended(manager, "here", 128 + SIGTERM);
    sshpm_manager_free(manager);
}

/* A process finds in its environment what its command got. */
static void by_commands(void)
{
    sshpm_options *options = NULL;
    sshpm_manager *manager = NULL;
    sshpm_launcher *launcher;
    sshpm_boot_request *request;
    int32_t code = 0;
    OK(sshpm_options_new(&options));
    launcher = command("env", "ASKED={host}");
    OK(sshpm_options_set_launcher(options, launcher));
    sshpm_launcher_free(launcher);
    launcher = command("env", "ASKED=a host of its own");
    OK(sshpm_options_set_host_launcher(options, "gamma", launcher));
    sshpm_launcher_free(launcher);
    OK(sshpm_manager_new(options, &manager));
    sshpm_options_free(options);

    start_and_listen(manager, "alpha", script_request("alpha", "echo \"$ASKED.\""));
    ended(manager, "alpha", 0);
    request = script_request("gamma", "[ \"$ASKED\" = 'a host of its own' ]");
    OK(sshpm_manager_start_process(manager, "gamma", request, NULL));
    sshpm_boot_request_free(request);
    ended(manager, "gamma", 0);

    /* The launcher of the request has precedence. */
    request = script_request("gamma", "[ \"$ASKED\" = u-1 ]");
    launcher = command("env", "ASKED={uuid}");
    OK(sshpm_boot_request_set_launcher(request, launcher));
    sshpm_launcher_free(launcher);
    OK(sshpm_manager_start_process(manager, "u-1", request, NULL));
    sshpm_boot_request_free(request);
    ended(manager, "u-1", 0);

    request = NULL;
    OK(sshpm_boot_request_from_json("{\"host\": \"gamma\", \"argv\": [\"sh\", \"-c\", \"exit $ASKED\"], "
                                    "\"launcher\": {\"command\": [\"env\", \"ASKED=9\"]}}", &request));
    OK(sshpm_manager_start_process(manager, "json", request, NULL));
    sshpm_boot_request_free(request);
    OK(sshpm_manager_wait_for_process_exit_code(manager, "json", LONG_S, &code));
    CHECK(code == 9);
    lives(manager, "alpha");
    sshpm_manager_free(manager);
}

static void as_steps_of_a_job(void)
{
    sshpm_launcher *launcher = fake_slurm("1");
    sshpm_string_list *hosts = NULL;
    sshpm_manager *manager;
    sshpm_boot_request *request;
    OK(sshpm_launcher_add_srun_option(launcher, "--export=NIL"));
    OK(sshpm_launcher_get_hosts(launcher, &hosts));
    CHECK(sshpm_string_list_count(hosts) == 3);
    CHECK(strcmp(sshpm_string_list_get(hosts, 0), "good") == 0 && strcmp(sshpm_string_list_get(hosts, 2), "n-2") == 0);
    sshpm_string_list_free(hosts);
    manager = manager_with(launcher);
    request = script_request("n-1", "[ \"$EXPORTED\" = NIL ]");
    OK(sshpm_manager_start_process(manager, "step", request, NULL));
    sshpm_boot_request_free(request);
    ended(manager, "step", 0);
    lives(manager, "good");

    /* The job of the environment. */
    CHECK(setenv("SLURM_JOB_ID", "1", 1) == 0);
    launcher = fake_slurm(NULL);
    OK(sshpm_launcher_get_hosts(launcher, &hosts));
    sshpm_string_list_free(hosts);
    sshpm_launcher_free(launcher);
    CHECK(unsetenv("SLURM_JOB_ID") == 0);
    sshpm_manager_free(manager);
}

/* A wrapper removes its files while its lease has hardly begun. A wrapper that has not done so when the manager is
 * freed is ended by force, and leaves files. */
static void many_that_end_at_once(void)
{
    sshpm_manager *manager = manager_with(command("env", NULL));
    char uuid[16];
    int32_t code = 0;
    for (int i = 0; i < 100; i++) {
        sshpm_boot_request *request = script_request("alpha", "exit 3");
        snprintf(uuid, sizeof uuid, "quick-%d", i);
        OK(sshpm_manager_start_process(manager, uuid, request, NULL));
        sshpm_boot_request_free(request);
    }
    for (int i = 0; i < 100; i++) {
        snprintf(uuid, sizeof uuid, "quick-%d", i);
        OK(sshpm_manager_wait_for_process_exit_code(manager, uuid, LONG_S, &code));
        CHECK(code == 3);
    }
    sshpm_manager_free(manager);
}

/* A manager that is freed ends its processes. */
static void freed_in_mid_run(void)
{
    sshpm_manager *manager = manager_with(local());
    int64_t pid = start_and_listen(manager, "left", script_request("x", "echo; exec sleep 1000"));
    sshpm_manager_free(manager);
    for (int i = 0; kill((pid_t)pid, 0) == 0; i++) {
        CHECK(i < 100 * (int)LONG_S);
        poll(NULL, 0, 10);
    }
}

int main(void)
{
    alarm(WATCHDOG_S);
    live_in_own_directory();
    write_fake_slurm();
    on_this_machine();
    by_commands();
    as_steps_of_a_job();
    many_that_end_at_once();
    freed_in_mid_run();
    remove_fake_slurm();
    leave_nothing();
    return 0;
}
