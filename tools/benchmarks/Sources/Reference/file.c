#define _GNU_SOURCE
#include "bytes.h"
#include "reference.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { CHUNK_BYTES = 1 << 20 };

struct reference_file {
    int descriptor;
    size_t bytes;
    size_t offset;
    uint8_t *buffer;
    size_t buffer_bytes;
};

static int write_whole(int descriptor, const uint8_t *bytes, size_t count, size_t offset) {
    while (count > 0) {
        ssize_t written = pwrite(descriptor, bytes, count, (off_t)offset);
        if (written < 0) {
            if (errno == EINTR) continue;
            return errno;
        }
        bytes += written;
        count -= (size_t)written;
        offset += (size_t)written;
    }
    return 0;
}

int reference_file_open(const char *path, size_t bytes, reference_file **out) {
    reference_file *file = calloc(1, sizeof *file);
    if (!file) return ENOMEM;
    file->bytes = bytes;
    file->buffer_bytes = CHUNK_BYTES;
    file->buffer = calloc(1, CHUNK_BYTES);
    file->descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int code = !file->buffer ? ENOMEM : file->descriptor < 0 ? errno : 0;
    for (size_t offset = 0; !code && offset < bytes; offset += CHUNK_BYTES) {
        code = write_whole(file->descriptor, file->buffer, CHUNK_BYTES, offset);
    }
    if (!code && fsync(file->descriptor)) code = errno;
    if (code) {
        reference_file_close(file);
        return code;
    }
    *out = file;
    return 0;
}

int reference_file_append(
    reference_file *file, const uint32_t *event_counts, size_t batches, uint64_t *nanoseconds) {
    uint64_t start = now_nanoseconds();
    for (size_t batch = 0; batch < batches; batch++) {
        size_t bytes = REFERENCE_HEADER_BYTES + (size_t)event_counts[batch] * REFERENCE_EVENT_BYTES;
        if (bytes > file->buffer_bytes) {
            uint8_t *buffer = realloc(file->buffer, bytes);
            if (!buffer) return ENOMEM;
            file->buffer = buffer;
            file->buffer_bytes = bytes;
        }
        if (file->offset + bytes > file->bytes) file->offset = 0;
        store64(file->buffer, batch);
        int code = write_whole(file->descriptor, file->buffer, bytes, file->offset);
        if (code) return code;
        if (fdatasync(file->descriptor)) return errno;
        file->offset += bytes;
    }
    *nanoseconds = now_nanoseconds() - start;
    return 0;
}

void reference_file_close(reference_file *file) {
    if (file->descriptor >= 0) close(file->descriptor);
    free(file->buffer);
    free(file);
}
