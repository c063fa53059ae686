/* What the programs share that start processes without ssh: on this machine, or by programs that stand for others. */
#ifndef LAUNCHERS_H
#define LAUNCHERS_H

#include <sys/types.h>
#include <errno.h>
#include <sys/stat.h>

#include "check.h"

/* Writes what it was asked, counts, and exits with 17 on SIGQUIT and with 7 on SIGUSR1. */
#define COUNTS                                                                                                       \
    "trap 'exit 17' QUIT; trap 'exit 7' USR1; echo ready in \"$PWD\" >&2\n"                                           \
    "i=0; while :; do i=$((i+1)); echo out $i; sleep 0.05; done"

/* squeue, scontrol and srun, as far as they are needed. What srun says of each node is what srun 22.05 said. */
#define FAKE_SQUEUE                                                                                                  \
    "case $3 in\n"                                                                                                   \
    "--jobs=1) echo 'good,n-[1-2]' ;;\n"                                                                             \
    "--jobs=2) echo ;;\n"                                                                                            \
    "--jobs=3) echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2; exit 1 ;;\n"  \
    "--jobs=4) echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1 ;;\n"                              \
    "*) echo 'squeue: out of order' >&2; exit 5 ;;\n"                                                                \
    "esac"
#define FAKE_SCONTROL "[ \"$*\" = 'show hostnames good,n-[1-2]' ] && printf '%s\\n' good n-1 n-2"
#define FAKE_SRUN                                                                                                    \
    "node= export=\n"                                                                                                \
    "while [ \"$1\" != -- ]; do\n"                                                                                   \
    "    case $1 in --nodelist=*) node=${1#*=} ;; --export=*) export=${1#*=} ;; esac\n"                              \
    "    shift\n"                                                                                                    \
    "done\n"                                                                                                         \
    "shift\n"                                                                                                        \
    "fail() { echo \"srun: error: $1\" >&2; exit 1; }\n"                                                             \
    "case $node in\n"                                                                                                \
    "expired) fail 'Slurm job 1 has expired' ;;\n"                                                                   \
    "elsewhere) fail 'Unable to create step for job 1: Requested node configuration is not available' ;;\n"          \
    "lonely) fail 'Unable to create step for job 1: Unable to contact slurm controller (connect failure)' ;;\n"       \
    "odd) fail 'out of order' ;;\n"                                                                                  \
    "esac\n"                                                                                                         \
    "EXPORTED=$export exec \"$@\""

/* Returns a path in the directory that the test has for what runs on this machine. It is valid until the fourth call
 * after this one. */
static inline const char *own_path(const char *name)
{
    static char paths[4][4096];
    static int next;
    char *path = paths[next++ % 4];
    CHECK(snprintf(path, sizeof paths[0], "%s/%s", from_environment("SSHPM_TEST_HOME"), name) < (int)sizeof paths[0]);
    return path;
}

/* Makes processes on this machine put their files in that directory too, and not in the directories of the user. */
static inline void live_in_own_directory(void)
{
    CHECK(setenv("HOME", from_environment("SSHPM_TEST_HOME"), 1) == 0);
    CHECK(mkdir(own_path("runtime"), 0700) == 0 && mkdir(own_path("state"), 0700) == 0);
    CHECK(setenv("XDG_RUNTIME_DIR", own_path("runtime"), 1) == 0);
    CHECK(setenv("XDG_STATE_HOME", own_path("state"), 1) == 0);
}

/* Writes a script of /bin/sh as a program in that directory. */
static inline void write_program(const char *name, const char *script)
{
    FILE *file = fopen(own_path(name), "w");
    CHECK(file != NULL && fprintf(file, "#!/bin/sh\n%s\n", script) > 0 && fclose(file) == 0);
    CHECK(chmod(own_path(name), 0700) == 0);
}

static inline void write_fake_slurm(void)
{
    write_program("squeue", FAKE_SQUEUE);
    write_program("scontrol", FAKE_SCONTROL);
    write_program("srun", FAKE_SRUN);
}

static inline void remove_fake_slurm(void)
{
    CHECK(unlink(own_path("squeue")) == 0 && unlink(own_path("scontrol")) == 0 && unlink(own_path("srun")) == 0);
}

/* Removes a directory when it is empty, which shows that the files of the wrapper are gone. The wrapper ends a moment
 * after its application. */
static inline void remove_when_empty(const char *directory)
{
    for (int i = 0; rmdir(directory) != 0 && errno != ENOENT; i++) {
        if (i >= 100 * (int)LONG_S) {
            fprintf(stderr, "%s is not empty\n", directory);
            exit(1);
        }
        poll(NULL, 0, 10);
    }
}

static inline void leave_nothing(void)
{
    remove_when_empty(own_path("runtime/drunc"));
    remove_when_empty(own_path("runtime"));
    remove_when_empty(own_path("state/sshpm"));
    remove_when_empty(own_path("state"));
}

/* Returns a manager with this launcher, and frees the launcher. */
static inline sshpm_manager *manager_with(sshpm_launcher *launcher)
{
    sshpm_options *options = NULL;
    sshpm_manager *manager = NULL;
    OK(sshpm_options_new(&options));
    OK(sshpm_options_set_launcher(options, launcher));
    sshpm_launcher_free(launcher);
    OK(sshpm_manager_new(options, &manager));
    sshpm_options_free(options);
    return manager;
}

static inline sshpm_launcher *local(void)
{
    sshpm_launcher *launcher = NULL;
    OK(sshpm_launcher_new_local(&launcher));
    return launcher;
}

/* Returns a launcher whose command has one argument, or none. */
static inline sshpm_launcher *command(const char *program, const char *argument)
{
    const char *const argv[2] = {program, argument};
    sshpm_launcher *launcher = NULL;
    OK(sshpm_launcher_new_command(argv, argument == NULL ? 1 : 2, &launcher));
    return launcher;
}

/* Returns a launcher for a job of the Slurm above. */
static inline sshpm_launcher *fake_slurm(const char *job)
{
    sshpm_launcher *launcher = NULL;
    OK(sshpm_launcher_new_slurm(job, &launcher));
    OK(sshpm_launcher_set_srun_program(launcher, own_path("srun")));
    return launcher;
}

/* Returns a request for a script of /bin/sh. */
static inline sshpm_boot_request *script_request(const char *host, const char *script)
{
    const char *const argv[3] = {"/bin/sh", "-c", script};
    sshpm_boot_request *request = NULL;
    OK(sshpm_boot_request_new(host, argv, 3, &request));
    return request;
}

/* Starts a process, and waits until it has written its first line. Returns its pid. */
static inline int64_t start_and_listen(sshpm_manager *manager, const char *uuid, sshpm_boot_request *request)
{
    int64_t pid = 0;
    size_t size = 0;
    OK(sshpm_manager_start_process(manager, uuid, request, NULL));
    sshpm_boot_request_free(request);
    OK(sshpm_manager_wait_until_started(manager, uuid, LONG_S, &pid));
    for (int i = 0; size == 0; i++) {
        sshpm_buffer *buffer = NULL;
        CHECK(i < 100 * (int)LONG_S);
        OK(sshpm_manager_get_process_stdout(manager, uuid, &buffer));
        size = sshpm_buffer_size(buffer);
        sshpm_buffer_free(buffer);
        poll(NULL, 0, size == 0 ? 10 : 0);
    }
    return pid;
}

#endif
