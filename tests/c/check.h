/* What the test programs share: checks that print where they failed, and the last message. */
#ifndef CHECK_H
#define CHECK_H

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sshpm.h"

/* Longer than any program here takes. SIGALRM ends a program that hangs. */
#define WATCHDOG_S 120
/* How long a test waits for what must happen. */
#define LONG_S 60.0

#define CHECK(condition)                                                                                             \
    do {                                                                                                             \
        if (!(condition)) {                                                                                          \
            fprintf(stderr, "%s:%d: %s\n  last message: %s\n", __FILE__, __LINE__, #condition,                       \
                    sshpm_last_error_message());                                                                     \
            exit(1);                                                                                                 \
        }                                                                                                            \
    } while (0)

/* Writes down the code that a call returned, for tests/c_api/codes.rs, which compares it with the function's
 * documentation. */
static inline void note_code(const char *call, sshpm_result code)
{
    const char *name = getenv("SSHPM_TEST_CODES");
    FILE *file = name == NULL ? NULL : fopen(name, "a");
    if (file != NULL) {
        fprintf(file, "%.*s %d\n", (int)strcspn(call, "("), call, (int)code);
        fclose(file);
    }
}

/* Checks that the call returns this code, and that the message of an error contains this text. */
#define GIVES(call, code, text)                                                                                      \
    do {                                                                                                             \
        sshpm_result got_ = (call);                                                                                  \
        note_code(#call, got_);                                                                                      \
        if (got_ != (code) || (got_ != SSHPM_OK && strstr(sshpm_last_error_message(), (text)) == NULL)) {            \
            fprintf(stderr, "%s:%d: %s\n  gave %d (%s), not %d with \"%s\"; last message: %s\n", __FILE__, __LINE__, \
                    #call, (int)got_, sshpm_strerror(got_), (int)(code), (text), sshpm_last_error_message());        \
            exit(1);                                                                                                 \
        }                                                                                                            \
    } while (0)

#define OK(call) GIVES(call, SSHPM_OK, "")

static inline const char *from_environment(const char *name)
{
    const char *value = getenv(name);
    if (value == NULL) {
        fprintf(stderr, "%s is not set; tests/c_api/programs.rs sets it\n", name);
        exit(1);
    }
    return value;
}

/* Returns a manager that knows the hosts of the test: alpha, beta and gamma. */
static inline sshpm_manager *new_manager(void)
{
    sshpm_options *options = NULL;
    sshpm_manager *manager = NULL;
    OK(sshpm_options_new(&options));
    OK(sshpm_options_set_ssh_config(options, from_environment("SSHPM_TEST_SSH_CONFIG")));
    OK(sshpm_manager_new(options, &manager));
    sshpm_options_free(options);
    return manager;
}

/* Returns a request to run test-app with a verb and its argument. */
static inline sshpm_boot_request *new_request(const char *host, const char *verb, const char *argument)
{
    const char *argv[3] = {from_environment("SSHPM_TEST_APP"), verb, argument};
    sshpm_boot_request *request = NULL;
    OK(sshpm_boot_request_new(host, argv, 3, &request));
    return request;
}

static inline void start(sshpm_manager *manager, const char *uuid, const char *host, const char *verb,
                         const char *argument)
{
    sshpm_boot_request *request = new_request(host, verb, argument);
    OK(sshpm_manager_start_process(manager, uuid, request, NULL));
    sshpm_boot_request_free(request);
}

/* Waits until heartbeat has begun: before that, a signal would end it like any program. Returns its pid. */
static inline int64_t wait_for_heartbeat(const sshpm_manager *manager, const char *uuid)
{
    int64_t pid = 0;
    bool begun = false;
    OK(sshpm_manager_wait_until_started(manager, uuid, SSHPM_TIMEOUT_DEFAULT, &pid));
    for (int i = 0; !begun; i++) {
        sshpm_buffer *buffer = NULL;
        CHECK(i < 100 * (int)LONG_S);
        OK(sshpm_manager_get_process_stdout(manager, uuid, &buffer));
        begun = strstr(sshpm_buffer_data(buffer), "Heartbeat") != NULL;
        sshpm_buffer_free(buffer);
        poll(NULL, 0, begun ? 0 : 10);
    }
    return pid;
}

/* Returns the next event, which must come and must be of this type. */
static inline sshpm_event *next_event(const sshpm_subscription *subscription, int32_t type)
{
    sshpm_event *event = NULL;
    OK(sshpm_subscription_next(subscription, LONG_S, &event));
    if (sshpm_event_get_type(event) != type) {
        fprintf(stderr, "event %d of %s, not %d: %s\n", (int)sshpm_event_get_type(event),
                sshpm_event_get_uuid(event), (int)type, sshpm_event_get_message(event));
        exit(1);
    }
    return event;
}

#endif
