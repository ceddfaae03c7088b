#define _GNU_SOURCE
#include "reference.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_BYTES_MAX = 4096, EVENTS_MAX = 256, BACKLOG = 1024, ADDRESSES_PER_NET = 250 };

static const char reply[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 56\r\nConnection: close\r\n\r\n"
    "{\"version\": {\"id\": \"v3.14\", \"status\": \"stable\", \"n\": 0}}";

// Epoll's data: a listener, a connection, or neither (the doorbell that ends the thread).
typedef struct {
    int descriptor;
    int is_listener;
    size_t received;
    char request[];
} peer;

struct reference_endpoints {
    pthread_mutex_t mutex; // held while events are handled, and while a listener is closed
    pthread_t thread;
    int epoll;
    int doorbell;
    uint32_t count;
    peer **listeners;
    atomic_uint_fast64_t served;
};

void reference_endpoint_address(uint32_t index, char *text) {
    snprintf(text, 16, "127.0.%u.%u", (index / ADDRESSES_PER_NET) % 250 + 1, index % ADDRESSES_PER_NET + 1);
}

static peer *new_peer(int descriptor, int is_listener) {
    peer *peer = calloc(1, sizeof *peer + (is_listener ? 0 : REQUEST_BYTES_MAX));
    if (peer) {
        peer->descriptor = descriptor;
        peer->is_listener = is_listener;
    }
    return peer;
}

static void end_connection(peer *peer) {
    close(peer->descriptor);
    free(peer);
}

static void take_in(reference_endpoints *endpoints, peer *listener) {
    if (listener->descriptor < 0) return;
    int descriptor;
    while ((descriptor = accept4(listener->descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        peer *connection = new_peer(descriptor, 0);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        if (!connection || epoll_ctl(endpoints->epoll, EPOLL_CTL_ADD, descriptor, &event)) {
            close(descriptor);
            free(connection);
        }
    }
}

static void answer(reference_endpoints *endpoints, peer *connection) {
    ssize_t count = read(
        connection->descriptor, connection->request + connection->received,
        REQUEST_BYTES_MAX - 1 - connection->received);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) {
        end_connection(connection);
        return;
    }
    connection->received += (size_t)count;
    if (!strstr(connection->request, "\r\n\r\n")) {
        if (connection->received == REQUEST_BYTES_MAX - 1) end_connection(connection);
        return;
    }
    if (write(connection->descriptor, reply, sizeof reply - 1) == sizeof reply - 1) endpoints->served++;
    end_connection(connection);
}

static void *serve(void *argument) {
    reference_endpoints *endpoints = argument;
    struct epoll_event events[EVENTS_MAX];
    for (;;) {
        int count = epoll_wait(endpoints->epoll, events, EVENTS_MAX, -1);
        if (count < 0 && errno != EINTR) return NULL;
        pthread_mutex_lock(&endpoints->mutex);
        for (int index = 0; index < count; index++) {
            peer *peer = events[index].data.ptr;
            if (!peer) {
                pthread_mutex_unlock(&endpoints->mutex);
                return NULL;
            }
            if (peer->is_listener) {
                take_in(endpoints, peer);
            } else {
                answer(endpoints, peer);
            }
        }
        pthread_mutex_unlock(&endpoints->mutex);
    }
}

static int listen_at(uint32_t index, uint16_t *port, int *out) {
    char text[16];
    reference_endpoint_address(index, text);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(*port)};
    inet_pton(AF_INET, text, &address.sin_addr);
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return errno;
    int yes = 1;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    socklen_t length = sizeof address;
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address) || listen(descriptor, BACKLOG) ||
        getsockname(descriptor, (struct sockaddr *)&address, &length)) {
        int code = errno;
        close(descriptor);
        return code;
    }
    *port = ntohs(address.sin_port);
    *out = descriptor;
    return 0;
}

static int add(reference_endpoints *endpoints, uint32_t index, uint16_t *port) {
    int descriptor;
    int code = listen_at(index, port, &descriptor);
    if (code) return code;
    peer *listener = endpoints->listeners[index] = new_peer(descriptor, 1);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = listener};
    if (!listener) return ENOMEM;
    return epoll_ctl(endpoints->epoll, EPOLL_CTL_ADD, descriptor, &event) ? errno : 0;
}

static void release(reference_endpoints *endpoints) {
    for (uint32_t index = 0; endpoints->listeners && index < endpoints->count; index++) {
        reference_endpoints_close(endpoints, index);
        free(endpoints->listeners[index]);
    }
    if (endpoints->epoll >= 0) close(endpoints->epoll);
    if (endpoints->doorbell >= 0) close(endpoints->doorbell);
    pthread_mutex_destroy(&endpoints->mutex);
    free(endpoints->listeners);
    free(endpoints);
}

int reference_endpoints_start(uint32_t count, reference_endpoints **out, uint16_t *port) {
    struct rlimit limit; // one socket per endpoint and per connection: take what the kernel lets us have
    if (!getrlimit(RLIMIT_NOFILE, &limit)) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    reference_endpoints *endpoints = calloc(1, sizeof *endpoints);
    if (!endpoints) return ENOMEM;
    pthread_mutex_init(&endpoints->mutex, NULL);
    endpoints->count = count;
    endpoints->listeners = calloc(count, sizeof *endpoints->listeners);
    endpoints->epoll = epoll_create1(EPOLL_CLOEXEC);
    endpoints->doorbell = eventfd(0, EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    int code = !endpoints->listeners ? ENOMEM : 0;
    if (!code && epoll_ctl(endpoints->epoll, EPOLL_CTL_ADD, endpoints->doorbell, &event)) code = errno;
    *port = 0;
    for (uint32_t index = 0; !code && index < count; index++) code = add(endpoints, index, port);
    if (!code) code = pthread_create(&endpoints->thread, NULL, serve, endpoints);
    if (code) {
        release(endpoints);
        return code;
    }
    *out = endpoints;
    return 0;
}

void reference_endpoints_close(reference_endpoints *endpoints, uint32_t index) {
    pthread_mutex_lock(&endpoints->mutex);
    peer *listener = endpoints->listeners[index];
    if (listener && listener->descriptor >= 0) {
        close(listener->descriptor);
        listener->descriptor = -1;
    }
    pthread_mutex_unlock(&endpoints->mutex);
}

uint64_t reference_endpoints_served(reference_endpoints *endpoints) { return endpoints->served; }

void reference_endpoints_stop(reference_endpoints *endpoints) {
    uint64_t one = 1;
    if (write(endpoints->doorbell, &one, sizeof one) == sizeof one) pthread_join(endpoints->thread, NULL);
    release(endpoints);
}
