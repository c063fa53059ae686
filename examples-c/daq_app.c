/*
 * daq_app: the applications of the demo session. One program, six roles, all on loopback:
 *
 *   connection-server    knows all others: takes their registrations and status, gives addresses and children
 *   root-controller      watches the segment controllers
 *   segment-controller   watches the applications of its segment
 *   readout              makes a fragment of data for each time window and sends it to its segment's dataflow
 *   trigger              decides which windows to keep, and informs its segment's dataflow
 *   dataflow             builds events: joins the fragments of the windows that the trigger decided to keep
 *
 *   daq_app ROLE [N]
 *       N   for readout, its number in the segment, from 0; for controllers and dataflow, how many children or readouts
 *
 * Environment variables: DAQ_NAME and DAQ_PARENT, the names of the application and of its controller, and
 * DAQ_SERVER_PORT, the port of the connection server. The applications can start in any order, and may come and go: an
 * application that finds no peer tries again a few times a second. QUIT, TERM, HUP or INT ends an application: it
 * closes its connections, logs this, and exits with 0.
 */
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MAX_PEERS 64  /* connections that one process accepts */
#define LINE_SIZE 320 /* all messages are lines of text; none is longer */
#define WINDOW_MS 10  /* the length of a time window, the unit of readout */
#define RING 1024     /* how many windows dataflow remembers: about ten seconds */
#define LATENCY 20    /* how many windows a trigger waits before it decides */

enum role { SERVER, ROOT, SEGMENT, READOUT, TRIGGER, DATAFLOW, ROLES };
static const char *const role_names[ROLES] = {"connection-server", "root-controller", "segment-controller",
                                              "readout",           "trigger",         "dataflow"};
static const char *const units[ROLES] = {"requests", "looks", "looks", "fragments", "decisions", "events"};

/* A connection that was accepted: the part of its next line that has come, and who the peer is. */
struct peer {
    int fd; /* -1: free */
    size_t filled;
    char buffer[LINE_SIZE], name[64], role[32], parent[64], status[96];
    unsigned port;
};

struct window {
    unsigned long long time;
    unsigned sources; /* a bit for each fragment that has come */
    int decided, built;
};

static enum role role = ROLES;
static const char *name, *parent;
static unsigned number, server_port, own_port, dataflow_port, children, children_running; /* number: the argument N */
static struct peer peers[MAX_PEERS];
static struct window ring[RING];
static int listener = -1, server_fd = -1, dataflow_fd = -1;
static volatile sig_atomic_t stop_signal;
static char own_status[96] = "starting";
static unsigned long counted, dropped;

static void say(const char *format, ...) {
    struct timespec now;
    struct tm utc;
    char stamp[32];
    va_list arguments;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &utc);
    printf("%s.%03ld %s: ", stamp, now.tv_nsec / 1000000, name);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout); /* write each line at once: somebody may follow the log */
}

static unsigned long long milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (unsigned long long)now.tv_sec * 1000 + (unsigned long long)now.tv_nsec / 1000000;
}

static void on_signal(int received) {
    stop_signal = received;
}

static void prepare_signals(void) {
    struct sigaction action;

    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = on_signal; /* without SA_RESTART, so that a signal ends every wait */
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGQUIT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN; /* if a peer has gone, send fails, and this program goes on */
    sigaction(SIGPIPE, &action, NULL);
}

/* ---- sockets ---- */

static void close_fd(int *fd) {
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

/* Connects or listens, on loopback only: the network must not reach a demo. Returns -1 if it fails. */
static int open_socket(unsigned port, int listening) {
    struct sockaddr_in address;
    struct sockaddr *generic = (struct sockaddr *)&address;
    socklen_t length = sizeof address;
    struct timeval second = {1, 0}; /* no call takes longer: a peer that hangs must not stop this program */
    int one = 1, failed, fd = socket(AF_INET, SOCK_STREAM, 0);

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listening) {
        failed = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 || bind(fd, generic, length) < 0 ||
                 listen(fd, MAX_PEERS) < 0 || getsockname(fd, generic, &length) < 0 ||
                 fcntl(fd, F_SETFL, O_NONBLOCK) < 0;
        own_port = ntohs(address.sin_port);
    } else {
        failed = setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second) < 0 ||
                 setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof second) < 0 ||
                 connect(fd, generic, length) < 0;
    }
    if (failed) {
        close_fd(&fd);
    }
    return fd;
}

/* Sends all or fails: after a part of a message the connection is useless, and the caller closes it. */
static int send_all(int fd, const void *data, size_t size) {
    return send(fd, data, size, 0) == (ssize_t)size ? 0 : -1;
}

static void accept_peer(void) {
    int fd = accept(listener, NULL, NULL);
    size_t i;

    for (i = 0; fd >= 0 && i < MAX_PEERS; i++) {
        if (peers[i].fd < 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0) {
            memset(&peers[i], 0, sizeof peers[i]);
            peers[i].fd = fd;
            return;
        }
    }
    close_fd(&fd); /* there are too many peers */
}

/* ---- the connection server ----
 * Each application keeps one connection to it, and sends each second: NAME ROLE PARENT PORT STATUS.
 * The answer has "= PORT" of the dataflow with the same parent, "+ NAME STATUS" for each of its children, and ".".
 */

static int answer(struct peer *peer, const char *line) {
    char reply[LINE_SIZE * 32];
    size_t used = 0, i;
    int known = peer->name[0] != '\0';

    if (sscanf(line, "%63s %31s %63s %u %95[^\n]", peer->name, peer->role, peer->parent, &peer->port,
               peer->status) != 5) {
        return -1;
    }
    counted++;
    if (!known) {
        say("%s %s has registered, port %u", peer->role, peer->name, peer->port);
    }
    for (i = 0; i < MAX_PEERS && used < sizeof reply - LINE_SIZE; i++) {
        const struct peer *other = &peers[i];
        if (other->fd >= 0 && strcmp(other->parent, peer->name) == 0) {
            used += (size_t)snprintf(reply + used, LINE_SIZE, "+ %s %s\n", other->name, other->status);
        }
        if (other->fd >= 0 && strcmp(other->parent, peer->parent) == 0 &&
            strcmp(other->role, role_names[DATAFLOW]) == 0) {
            used += (size_t)snprintf(reply + used, LINE_SIZE, "= %u\n", other->port);
        }
    }
    memcpy(reply + used, ".\n", 2);
    return send_all(peer->fd, reply, used + 2);
}

static void take_answer(const char *line) {
    char child[64], status[96];

    if (sscanf(line, "+ %63s %95[^\n]", child, status) == 2) {
        children++;
        children_running += strncmp(status, "running", 7) == 0;
        say("  %s: %s", child, status);
    } else {
        sscanf(line, "= %u", &dataflow_port);
    }
}

/* Sends one question and takes the answer. Returns -1 if there was none. */
static int ask(const char *question) {
    char reply[LINE_SIZE * 32 + 1];
    size_t filled = 0;
    char *line, *end;

    if (send_all(server_fd, question, strlen(question)) < 0) {
        return -1;
    }
    while (filled < 2 || memcmp(reply + filled - 2, ".\n", 2) != 0) {
        ssize_t count = recv(server_fd, reply + filled, sizeof reply - 1 - filled, 0);
        if (count <= 0) {
            return -1;
        }
        filled += (size_t)count;
    }
    reply[filled] = '\0';
    for (line = reply; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        take_answer(line);
    }
    return 0;
}

static void report(void) {
    static int waiting;
    char line[LINE_SIZE];
    int fresh = server_fd < 0;

    children = children_running = 0;
    dataflow_port = 0;
    if (fresh && (server_fd = open_socket(server_port, 0)) < 0) {
        if (!waiting) {
            say("waiting for the connection server at port %u", server_port);
        }
        waiting = 1;
        return;
    }
    snprintf(line, sizeof line, "%s %s %s %u %s\n", name, role_names[role], parent, own_port, own_status);
    if (ask(line) < 0) {
        close_fd(&server_fd);
        say("no answer from the connection server");
    } else if (fresh) {
        say("registered at the connection server");
        waiting = 0;
    }
}

static unsigned noise(void) {
    static uint32_t state = 12345;
    state = state * 1664525u + 1013904223u;
    return state >> 24;
}

static void send_window(unsigned long long window) {
    char line[LINE_SIZE];
    size_t used = (size_t)snprintf(line, sizeof line, "%c %llu %u", role == TRIGGER ? 'T' : 'F', window, number);

    while (role == READOUT && used < sizeof line - 8) { /* samples of an ADC: a pedestal and its noise */
        used += (size_t)snprintf(line + used, sizeof line - used, " %u", 900 + noise() / 16);
    }
    line[used++] = '\n';
    if (dataflow_fd >= 0 && send_all(dataflow_fd, line, used) < 0) {
        say("dataflow takes no more data");
        close_fd(&dataflow_fd);
    }
    if (dataflow_fd >= 0) {
        counted++;
    } else {
        dropped++; /* as in a real detector, data that nobody takes is lost */
    }
}

/* Sends a line for each time window that is over. A trigger decides to keep about every tenth window. */
static void produce(unsigned long long now) {
    static unsigned long long next;
    unsigned long long window = now / WINDOW_MS;

    if (window > next + RING || next > window + RING) {
        next = window; /* after a stop (SIGSTOP, a new clock), skip the past windows */
    }
    for (; next < window && !stop_signal; next++) {
        if (role == READOUT || noise() < 26) {
            send_window(role == READOUT ? next : next - LATENCY);
        }
    }
}

/* Takes a line from a readout or a trigger. */
static int build(const char *line) {
    unsigned long long time;
    unsigned source;
    char kind;
    struct window *window;

    if (sscanf(line, "%c %llu %u", &kind, &time, &source) != 3 || source > 31) {
        say("a corrupt line: closing its connection");
        return -1;
    }
    window = &ring[time % RING];
    if (window->time != time) {
        memset(window, 0, sizeof *window);
        window->time = time;
    }
    if (kind == 'T') {
        window->decided = 1;
    } else {
        window->sources |= 1u << source;
    }
    if (window->decided && !window->built && window->sources == (1u << number) - 1) {
        window->built = 1;
        counted++;
    }
    return 0;
}

/* Takes the lines of a peer. Returns -1 if the peer has gone, or if a line cannot be understood. */
static int take_lines(struct peer *peer) {
    ssize_t count = recv(peer->fd, peer->buffer + peer->filled, sizeof peer->buffer - peer->filled, 0);
    char *end;

    if (count <= 0) {
        return count < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
    }
    peer->filled += (size_t)count;
    while ((end = (char *)memchr(peer->buffer, '\n', peer->filled)) != NULL) {
        *end = '\0';
        if ((role == SERVER ? answer(peer, peer->buffer) : build(peer->buffer)) < 0) {
            return -1;
        }
        peer->filled -= (size_t)(end - peer->buffer) + 1;
        memmove(peer->buffer, end + 1, peer->filled);
    }
    return peer->filled < sizeof peer->buffer ? 0 : -1;
}

static void tick(void) {
    static unsigned long before;
    int produces = role == READOUT || role == TRIGGER;

    if (role == ROOT || role == SEGMENT) {
        report();
        counted++;
        snprintf(own_status, sizeof own_status, "%s, %u of %u children run",
                 children_running >= number ? "running" : "waiting", children_running, number);
    } else {
        snprintf(own_status, sizeof own_status, "%s, %lu %s, %lu/s, %lu dropped",
                 produces && dataflow_fd < 0 ? "waiting" : "running", counted, units[role], counted - before, dropped);
        before = counted;
        if (role != SERVER) {
            report();
        }
    }
    say("%s", own_status);
    if (produces && dataflow_fd < 0 && dataflow_port != 0) {
        dataflow_fd = open_socket(dataflow_port, 0);
        say("dataflow at port %u: %s", dataflow_port, dataflow_fd < 0 ? strerror(errno) : "connected");
    }
}

static void run(void) {
    unsigned long long due = 0;

    while (!stop_signal) {
        struct pollfd fds[MAX_PEERS + 1];
        unsigned long long now = milliseconds();
        int timeout;
        size_t i;

        if (now >= due || due > now + 1000) {
            tick();
            due = now + (strncmp(own_status, "running", 7) == 0 ? 1000 : 250);
        }
        if (role == READOUT || role == TRIGGER) {
            produce(now);
        }
        for (i = 0; i <= MAX_PEERS; i++) { /* poll ignores a descriptor of -1 */
            fds[i].fd = i < MAX_PEERS ? peers[i].fd : listener;
            fds[i].events = POLLIN;
        }
        now = milliseconds();
        timeout = role == READOUT || role == TRIGGER ? WINDOW_MS : now < due ? (int)(due - now) : 0;
        if (poll(fds, MAX_PEERS + 1, timeout) <= 0) {
            continue; /* a timeout or a signal; a signal just before poll is seen a second later at most */
        }
        for (i = 0; i < MAX_PEERS; i++) {
            if (fds[i].fd >= 0 && fds[i].revents != 0 && take_lines(&peers[i]) < 0) {
                say("%s has gone", peers[i].name[0] != '\0' ? peers[i].name : "a producer");
                close_fd(&peers[i].fd);
            }
        }
        if (fds[MAX_PEERS].revents != 0) {
            accept_peer();
        }
    }
}

int main(int argc, char **argv) {
    const char *port;
    size_t i;

    for (i = 0; argc > 1 && i < ROLES; i++) {
        if (strcmp(argv[1], role_names[i]) == 0) {
            role = (enum role)i;
        }
    }
    name = getenv("DAQ_NAME");
    parent = getenv("DAQ_PARENT");
    port = getenv("DAQ_SERVER_PORT");
    if (role == ROLES || name == NULL || parent == NULL || port == NULL || sscanf(port, "%u", &server_port) != 1 ||
        (argc > 2 && (sscanf(argv[2], "%u", &number) != 1 || number > 31))) {
        fprintf(stderr, "usage: daq_app ROLE [N], with DAQ_NAME, DAQ_PARENT and DAQ_SERVER_PORT set\n");
        return 2;
    }
    prepare_signals();
    for (i = 0; i < MAX_PEERS; i++) {
        peers[i].fd = -1;
    }
    say("%s started, pid %ld", role_names[role], (long)getpid());
    if (role == SERVER || role == DATAFLOW) {
        listener = open_socket(role == SERVER ? server_port : 0, 1);
        if (listener < 0) {
            say("cannot listen: %s", strerror(errno));
            return 1;
        }
        say("listening on port %u", own_port);
    }
    run();
    say("signal %d: closing down", (int)stop_signal);
    close_fd(&listener); /* first accept nobody new, then close the peers, and our own registration last */
    close_fd(&dataflow_fd);
    for (i = 0; i < MAX_PEERS; i++) {
        close_fd(&peers[i].fd);
    }
    close_fd(&server_fd);
    say("ended: %lu %s, %lu dropped", counted, units[role], dropped);
    return 0;
}
