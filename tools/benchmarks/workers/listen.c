// listen COUNT HOW: stands for COUNT VIMs' endpoints on loopback, one address each and one port for all. HOW is what
// becomes of a connection: 'wait' for the caller to close it, as servers do; 'close' it at once; 'reset' it at once.
// Says its port, answers each line on standard input with the connections taken so far, and ends with the input.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, BACKLOG = 1024, ADDRESSES_PER_NET = 250 };

static void must(int holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "listen: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void watch(int epoll, int descriptor, int is_listener) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)descriptor << 1 | (uint64_t)is_listener};
    must(epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0, "watching a socket");
}

static int listen_at(unsigned index, uint16_t *port) {
    char text[16];
    snprintf(text, sizeof text, "127.0.%u.%u", index / ADDRESSES_PER_NET % 250 + 1, index % ADDRESSES_PER_NET + 1);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(*port)};
    inet_pton(AF_INET, text, &address.sin_addr);
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), yes = 1;
    must(descriptor >= 0, "opening a socket");
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    socklen_t length = sizeof address;
    must(bind(descriptor, (struct sockaddr *)&address, sizeof address) == 0, text);
    must(listen(descriptor, BACKLOG) == 0, "listening");
    must(getsockname(descriptor, (struct sockaddr *)&address, &length) == 0, "asking for the port");
    *port = ntohs(address.sin_port);
    return descriptor;
}

int main(int count, char **arguments) {
    must(count == 3 && strchr("wcr", arguments[2][0]), "usage: listen COUNT wait|close|reset");
    char how = arguments[2][0];
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    uint16_t port = 0;
    for (unsigned index = 0; index < (unsigned)atoi(arguments[1]); index++) watch(epoll, listen_at(index, &port), 1);
    watch(epoll, STDIN_FILENO, 0);
    printf("%u\n", port);
    fflush(stdout);
    unsigned long long taken = 0;
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int found = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int index = 0; index < found; index++) {
            int descriptor = (int)(events[index].data.u64 >> 1);
            char bytes[512];
            if (!(events[index].data.u64 & 1)) {
                ssize_t length = read(descriptor, bytes, sizeof bytes);
                if (descriptor != STDIN_FILENO) {
                    if (length <= 0) close(descriptor);
                } else if (length <= 0) {
                    return 0;
                } else {
                    printf("%llu\n", taken);
                    fflush(stdout);
                }
                continue;
            }
            int peer;
            while ((peer = accept4(descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                taken++;
                struct linger reset = {.l_onoff = 1, .l_linger = 0};
                if (how == 'r') setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
                if (how == 'w') watch(epoll, peer, 0);
                else close(peer);
            }
        }
    }
}
