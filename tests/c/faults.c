/* One fault, chosen by its name: a checker that is on must find it. */
#include <pthread.h>

#include "check.h"

static int shared;

static void *write_shared(void *argument)
{
    shared = 1;
    return argument;
}

static void *set(void *options)
{
    for (size_t i = 0; i < 1000; i++) {
        OK(sshpm_options_set_output_limit(options, i));
    }
    return NULL;
}

/* Runs two threads in the same function, without an order between them. */
static void race(void *(*function)(void *), void *argument)
{
    pthread_t one, two;
    CHECK(pthread_create(&one, NULL, function, argument) == 0);
    CHECK(pthread_create(&two, NULL, function, argument) == 0);
    CHECK(pthread_join(one, NULL) == 0);
    CHECK(pthread_join(two, NULL) == 0);
}

/* Memory of the library that the program has lost. A thread that has ended did this, because registers and stacks still
 * point to what was theirs. */
static void *lose(void *argument)
{
    sshpm_options *options = NULL;
    OK(sshpm_options_new(&options));
    return argument;
}

static char itself[64] = "/proc/";
static int named;

static void *leave_its_name(void *argument)
{
    CHECK(readlink("/proc/thread-self", itself + strlen(itself), sizeof itself - sizeof "/proc/") > 0);
    __atomic_store_n(&named, 1, __ATOMIC_SEQ_CST);
    return argument;
}

/* A thread that has ended and that nobody has joined. */
static void leave_thread(void)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, leave_its_name, NULL) == 0);
    while (!__atomic_load_n(&named, __ATOMIC_SEQ_CST) || access(itself, F_OK) == 0) {
        poll(NULL, 0, 1);
    }
}

int main(int argc, char **argv)
{
    const char *fault = argc > 1 ? argv[1] : "";
    sshpm_options *options = NULL;
    /* A compiler must not see what is wrong. */
    volatile int one = argc - 1;
    OK(sshpm_options_new(&options));
    if (strcmp(fault, "leak") == 0) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, lose, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    } else if (strcmp(fault, "overrun") == 0) {
        volatile char *memory = malloc(8);
        memory[8 * one] = 1;
        free((void *)memory);
    } else if (strcmp(fault, "undefined") == 0) {
        one = 0x7fffffff + one;
    } else if (strcmp(fault, "race") == 0) {
        race(write_shared, NULL);
    } else if (strcmp(fault, "thread") == 0) {
        leave_thread();
    } else if (strcmp(fault, "race in the library") == 0) {
        race(set, options);
    }
    sshpm_options_free(options);
    return 0;
}
