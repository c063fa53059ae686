/* What the examples do about stdin, stdout and stderr. */
#ifndef STREAMS_H
#define STREAMS_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

/* Where a standard stream is closed, the next file that is opened would take its number, and what is printed would go
 * there. This takes the numbers first, with what cannot be written to. Call it before anything is opened. */
static inline void fill_standard_streams(void) {
    int fd;
    do {
        fd = open("/dev/null", O_RDONLY);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO) {
        close(fd);
    }
}

/* Whether all that was printed could be written: the disk can be full, or stdout closed. Says so if not. */
static inline bool output_is_complete(const char *program) {
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return true;
    }
    fprintf(stderr, "%s: not all output could be written to stdout\n", program);
    return false;
}

#endif
