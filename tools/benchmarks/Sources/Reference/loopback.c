#define _GNU_SOURCE
#include "bytes.h"
#include "reference.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK_BYTES = 1 << 20 };

struct reference_loopback {
    int ends[2];
    size_t there;
    size_t back;
    uint8_t *chunk;
    pthread_t echo;
};

typedef ssize_t (*mover)(int descriptor, void *bytes, size_t count, int flags);

// So many bytes, a chunk of which has room in the buffer: what they are does not matter.
static int move_whole(mover move, int descriptor, uint8_t *chunk, size_t count) {
    while (count > 0) {
        ssize_t moved = move(descriptor, chunk, count < CHUNK_BYTES ? count : CHUNK_BYTES, 0);
        if (moved < 0 && errno == EINTR) continue;
        if (moved <= 0) return moved < 0 ? errno : ECONNRESET;
        count -= (size_t)moved;
    }
    return 0;
}

static ssize_t send_some(int descriptor, void *bytes, size_t count, int flags) {
    return send(descriptor, bytes, count, flags | MSG_NOSIGNAL);
}

// Two ends of one TCP connection on loopback.
static int connect_ends(int ends[2]) {
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof place;
    int yes = 1, code = 0;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ends[1] = -1;
    if (listener < 0 || ends[0] < 0 || bind(listener, (struct sockaddr *)&place, sizeof place) ||
        listen(listener, 1) || getsockname(listener, (struct sockaddr *)&place, &length) ||
        connect(ends[0], (struct sockaddr *)&place, sizeof place) ||
        (ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0) {
        code = errno;
    }
    for (int end = 0; !code && end < 2; end++) {
        setsockopt(ends[end], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    }
    if (listener >= 0) close(listener);
    return code;
}

static void *answer(void *argument) {
    reference_loopback *loopback = argument;
    uint8_t *chunk = calloc(1, CHUNK_BYTES);
    while (chunk && !move_whole(recv, loopback->ends[1], chunk, loopback->there) &&
           !move_whole(send_some, loopback->ends[1], chunk, loopback->back)) {
    }
    shutdown(loopback->ends[1], SHUT_RDWR);
    free(chunk);
    return NULL;
}

int reference_loopback_open(size_t there, size_t back, reference_loopback **out) {
    reference_loopback *loopback = calloc(1, sizeof *loopback);
    if (!loopback) return ENOMEM;
    loopback->there = there;
    loopback->back = back;
    loopback->chunk = calloc(1, CHUNK_BYTES);
    int code = loopback->chunk ? connect_ends(loopback->ends) : ENOMEM;
    if (!code) code = pthread_create(&loopback->echo, NULL, answer, loopback);
    if (code) {
        free(loopback->chunk);
        free(loopback);
        return code;
    }
    *out = loopback;
    return 0;
}

int reference_loopback_round_trip(reference_loopback *loopback, uint64_t *nanoseconds) {
    uint64_t start = now_nanoseconds();
    int code = move_whole(send_some, loopback->ends[0], loopback->chunk, loopback->there);
    if (!code) code = move_whole(recv, loopback->ends[0], loopback->chunk, loopback->back);
    *nanoseconds = now_nanoseconds() - start;
    return code;
}

void reference_loopback_close(reference_loopback *loopback) {
    shutdown(loopback->ends[0], SHUT_RDWR);
    pthread_join(loopback->echo, NULL);
    close(loopback->ends[0]);
    close(loopback->ends[1]);
    free(loopback->chunk);
    free(loopback);
}

int reference_loopback_transfer(uint64_t bytes, uint64_t *nanoseconds) {
    reference_loopback *loopback = NULL;
    // The other end takes everything and then says one byte.
    int code = reference_loopback_open(bytes, 1, &loopback);
    if (!code) code = reference_loopback_round_trip(loopback, nanoseconds);
    if (loopback) reference_loopback_close(loopback);
    return code;
}
