/* The life of a plugin: the library is loaded, used and unloaded, twice. After sshpm_manager_free none of its threads
 * runs. Once the threads that have called it have ended too, nothing keeps it in memory. */
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sshpm.h"

#define CHECK(condition)                                                     \
    do {                                                                     \
        if (!(condition)) {                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                         \
        }                                                                    \
    } while (0)

/* Looks up a function of the library by its name. ISO C has no cast from what dlsym returns to a function pointer. */
#define LOOK_UP(library, result, name, parameters)          \
    result(*name) parameters = NULL;                        \
    do {                                                    \
        void *symbol_ = dlsym(library, #name);              \
        CHECK(symbol_ != NULL);                             \
        memcpy(&name, &symbol_, sizeof symbol_);            \
    } while (0)

static bool is_mapped(void)
{
    char line[4096];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) {
        found = found || strstr(line, "libsshpm.so") != NULL;
    }
    fclose(maps);
    return found;
}

/* Returns the number of threads of this process whose names begin with "sshpm". */
static int library_threads(void)
{
    int count = 0;
    struct dirent *entry;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    while ((entry = readdir(tasks)) != NULL) {
        char path[512], name[32] = "";
        FILE *file;
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        file = fopen(path, "r");
        if (file != NULL) {
            count += fgets(name, sizeof name, file) != NULL && strncmp(name, "sshpm", 5) == 0;
            fclose(file);
        }
    }
    closedir(tasks);
    return count;
}

static void *use(void *library)
{
    LOOK_UP(library, sshpm_result, sshpm_options_new, (sshpm_options **));
    LOOK_UP(library, sshpm_result, sshpm_options_set_ssh_config, (sshpm_options *, const char *));
    LOOK_UP(library, void, sshpm_options_free, (sshpm_options *));
    LOOK_UP(library, sshpm_result, sshpm_manager_new, (const sshpm_options *, sshpm_manager **));
    LOOK_UP(library, void, sshpm_manager_free, (sshpm_manager *));
    LOOK_UP(library, sshpm_result, sshpm_boot_request_new,
            (const char *, const char *const *, size_t, sshpm_boot_request **));
    LOOK_UP(library, void, sshpm_boot_request_free, (sshpm_boot_request *));
    LOOK_UP(library, sshpm_result, sshpm_manager_start_process,
            (sshpm_manager *, const char *, const sshpm_boot_request *, uint64_t *));
    LOOK_UP(library, sshpm_result, sshpm_manager_wait_for_process_exit_code,
            (const sshpm_manager *, const char *, double, int32_t *));
    LOOK_UP(library, const char *, sshpm_last_error_message, (void));
    const char *argv[3] = {getenv("SSHPM_TEST_APP"), "exit", "3"};
    sshpm_options *options = NULL;
    sshpm_manager *manager = NULL;
    sshpm_boot_request *request = NULL;
    int32_t code = 0;
    int threads = 0;

    CHECK(sshpm_options_new(&options) == SSHPM_OK);
    CHECK(sshpm_options_set_ssh_config(options, getenv("SSHPM_TEST_SSH_CONFIG")) == SSHPM_OK);
    CHECK(sshpm_manager_new(options, &manager) == SSHPM_OK);
    CHECK(sshpm_boot_request_new("alpha", argv, 3, &request) == SSHPM_OK);
    CHECK(sshpm_manager_start_process(manager, "plugin", request, NULL) == SSHPM_OK);
    CHECK(sshpm_manager_wait_for_process_exit_code(manager, "plugin", 60.0, &code) == SSHPM_OK);
    CHECK(code == 3);
    /* While the directory is read, a thread that ends can make the kernel leave out another one. */
    for (int i = 0; i < 100 && threads == 0; i++) {
        threads = library_threads();
    }
    CHECK(threads > 0);
    /* A message of this thread. The library frees it when the thread ends. */
    CHECK(sshpm_manager_start_process(manager, "", request, NULL) == SSHPM_ERROR_INVALID);
    CHECK(strlen(sshpm_last_error_message()) > 0);
    sshpm_boot_request_free(request);
    sshpm_options_free(options);
    sshpm_manager_free(manager);
    CHECK(library_threads() == 0);
    return NULL;
}

int main(void)
{
    alarm(120);
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        void *library = dlopen(getenv("SSHPM_TEST_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
        CHECK(library != NULL && is_mapped());
        CHECK(pthread_create(&thread, NULL, use, library) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK(dlclose(library) == 0);
        CHECK(!is_mapped());
    }
    return 0;
}
