/* How the examples handle stdin, stdout and stderr. */
#ifndef STREAMS_H
#define STREAMS_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

/* Opens /dev/null for each standard stream that is closed. Otherwise the next file that is opened would get the number
 * of the stream, and printed text would go into that file. Call it before anything is opened. */
static inline void fill_standard_streams(void) {
    int fd;
    do {
        fd = open("/dev/null", O_RDONLY);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO) {
        close(fd);
    }
}

/* Returns whether all printed text could be written; prints a message if not. The disk may be full, stdout closed. */
static inline bool output_is_complete(const char *program) {
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return true;
    }
    fprintf(stderr, "%s: not all output could be written to stdout\n", program);
    return false;
}

#endif
