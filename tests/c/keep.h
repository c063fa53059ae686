/* What the programs share that start kept processes. */
#ifndef KEEP_H
#define KEEP_H

#include <sys/types.h>
#include <signal.h>
#include <sys/stat.h>

#include "check.h"

/* Writes on stderr which process it has started in a session of its own, and counts on stdout. It exits with 17 on
 * SIGQUIT, with 42 on SIGHUP, and with 7 on SIGUSR1. */
#define COUNTS                                                                                                       \
    "trap 'exit 17' QUIT; trap 'exit 42' HUP; trap 'exit 7' USR1\n"                                                  \
    "setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $! >&2\n"                                                   \
    "i=0; while :; do i=$((i+1)); echo out $i; sleep 0.05; done"

/* Returns a request to run COUNTS on alpha as a kept process. */
static inline sshpm_boot_request *new_kept_request(void)
{
    const char *const argv[3] = {"/bin/sh", "-c", COUNTS};
    sshpm_boot_request *request = NULL;
    OK(sshpm_boot_request_new("alpha", argv, 3, &request));
    OK(sshpm_boot_request_set_link_loss(request, SSHPM_LINK_LOSS_KEEP));
    /* The child of COUNTS is not in its group. */
    OK(sshpm_boot_request_set_kill_tree(request, true));
    return request;
}

/* Returns the number of lines that a process has written, which must be complete from the first one on. */
static inline long counted(const sshpm_manager *manager, const char *uuid)
{
    sshpm_buffer *buffer = NULL;
    const char *line, *end;
    long lines = 0;
    OK(sshpm_manager_get_process_stdout(manager, uuid, &buffer));
    for (line = sshpm_buffer_data(buffer); (end = strchr(line, '\n')) != NULL; line = end + 1) {
        CHECK(strncmp(line, "out ", 4) == 0);
        lines++;
        CHECK(strtol(line + 4, NULL, 10) == lines);
    }
    sshpm_buffer_free(buffer);
    return lines;
}

static inline void wait_for_lines(const sshpm_manager *manager, const char *uuid, long lines)
{
    for (int i = 0; counted(manager, uuid) < lines; i++) {
        CHECK(i < 100 * (int)LONG_S);
        poll(NULL, 0, 10);
    }
}

/* Starts a kept process, and waits until it counts. Returns its pid. */
static inline int64_t start_kept(sshpm_manager *manager, const char *uuid)
{
    sshpm_boot_request *request = new_kept_request();
    int64_t pid = 0;
    OK(sshpm_manager_start_process(manager, uuid, request, NULL));
    sshpm_boot_request_free(request);
    OK(sshpm_manager_wait_until_started(manager, uuid, LONG_S, &pid));
    wait_for_lines(manager, uuid, 3);
    return pid;
}

/* Returns the pid of the child that has left the process's group. */
static inline int64_t child_of(const sshpm_manager *manager, const char *uuid)
{
    sshpm_buffer *buffer = NULL;
    int64_t pid;
    OK(sshpm_manager_get_process_stderr(manager, uuid, &buffer));
    pid = (int64_t)strtoll(sshpm_buffer_data(buffer), NULL, 10);
    CHECK(pid > 1);
    sshpm_buffer_free(buffer);
    return pid;
}

/* Returns true if a process has ended. The hosts are this machine, and a process that has ended stays a zombie until
 * its parent, whoever that is, has reaped it. */
static inline bool is_dead(int64_t pid)
{
    char path[64], stat[512] = "";
    FILE *file;
    const char *name_end;
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    file = fopen(path, "r");
    if (file == NULL) {
        return true;
    }
    stat[fread(stat, 1, sizeof stat - 1, file)] = '\0';
    fclose(file);
    name_end = strrchr(stat, ')');
    return name_end == NULL || name_end[2] == 'Z' || name_end[2] == 'X';
}

static inline void wait_for_death(int64_t pid)
{
    for (int i = 0; !is_dead(pid); i++) {
        CHECK(i < 100 * (int)LONG_S);
        poll(NULL, 0, 10);
    }
}

/* Returns the place of a process among the found ones; their number, if it is not there. */
static inline size_t place_of(const sshpm_found_processes *found, const char *uuid)
{
    size_t i = 0, count = sshpm_found_processes_count(found);
    while (i < count && strcmp(sshpm_found_processes_get_uuid(found, i), uuid) != 0) {
        i++;
    }
    return i;
}

/* Waits until a process on alpha has this state. Returns what was found then, and the place of the process there. */
static inline sshpm_found_processes *wait_for_found(const sshpm_manager *manager, const char *uuid, int32_t state,
                                                    size_t *out_place)
{
    for (int i = 0;; i++) {
        sshpm_found_processes *found = NULL;
        OK(sshpm_manager_find_processes(manager, "alpha", NULL, &found));
        *out_place = place_of(found, uuid);
        if (sshpm_found_processes_get_state(found, *out_place) == state) {
            return found;
        }
        sshpm_found_processes_free(found);
        CHECK(i < 100 * (int)LONG_S);
        poll(NULL, 0, 10);
    }
}

static inline void wait_until_found(const sshpm_manager *manager, const char *uuid, int32_t state)
{
    size_t place;
    sshpm_found_processes_free(wait_for_found(manager, uuid, state, &place));
}

/* An ssh that finds no host while a file is missing. It is made before any thread: a program that the child of another
 * thread has open for writing cannot be executed. */
struct gate {
    char file[512], program[512];
};

static inline void open_gate(const struct gate *gate)
{
    FILE *file = fopen(gate->file, "w");
    CHECK(file != NULL && fclose(file) == 0);
}

static inline void close_gate(const struct gate *gate)
{
    CHECK(unlink(gate->file) == 0);
}

static inline struct gate new_gate(void)
{
    /* The directory of the test's hosts, which is removed with them. */
    const char *config = from_environment("SSHPM_TEST_SSH_CONFIG"), *slash = strrchr(config, '/');
    struct gate gate;
    FILE *script;
    CHECK(slash != NULL && slash - config < 400);
    snprintf(gate.file, sizeof gate.file, "%.*s/gate-%d", (int)(slash - config), config, (int)getpid());
    snprintf(gate.program, sizeof gate.program, "%.*s/ssh-%d", (int)(slash - config), config, (int)getpid());
    open_gate(&gate);
    script = fopen(gate.program, "w");
    CHECK(script != NULL);
    fprintf(script,
            "#!/bin/sh\n"
            "[ -e '%s' ] || { echo 'ssh: connect to host alpha port 22: Connection refused' >&2; exit 255; }\n"
            "exec ssh \"$@\"\n",
            gate.file);
    CHECK(fclose(script) == 0 && chmod(gate.program, 0755) == 0);
    return gate;
}

/* Returns a manager with that ssh. */
static inline sshpm_manager *new_gated_manager(const struct gate *gate, double restore_timeout_s)
{
    sshpm_options *options = NULL;
    sshpm_manager *manager = NULL;
    OK(sshpm_options_new(&options));
    OK(sshpm_options_set_ssh_config(options, from_environment("SSHPM_TEST_SSH_CONFIG")));
    OK(sshpm_options_set_ssh_program(options, gate->program));
    OK(sshpm_options_set_restore_timeout(options, restore_timeout_s));
    OK(sshpm_manager_new(options, &manager));
    sshpm_options_free(options);
    return manager;
}

/* Cuts the link to a kept process. The gate was closed before. */
static inline void cut_link(sshpm_manager *manager, const char *uuid)
{
    int64_t client = 0;
    OK(sshpm_manager_get_runtime_pids(manager, uuid, &client, NULL, NULL, NULL));
    CHECK(client > 1 && kill((pid_t)client, SIGKILL) == 0);
}

#endif
