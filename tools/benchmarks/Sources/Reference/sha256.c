#include "bytes.h"
#include "reference.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

enum { BLOCK_BYTES = 16 * 1024 };

typedef struct {
    uint64_t nanoseconds;
    uint64_t processor_nanoseconds;
    uint64_t bytes;
    int code;
} hashing;

// What `openssl speed -evp sha256` does with its largest block.
static void *hash_for(void *argument) {
    hashing *work = argument;
    uint8_t *block = calloc(1, BLOCK_BYTES);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t digest[EVP_MAX_MD_SIZE];
    if (!block || !context) work->code = ENOMEM;
    uint64_t processor_start = processor_nanoseconds();
    uint64_t start = now_nanoseconds(), end = start + work->nanoseconds, now = start;
    while (!work->code && now < end) {
        for (int turn = 0; turn < 64; turn++) {
            if (!EVP_DigestInit_ex(context, EVP_sha256(), NULL) || !EVP_DigestUpdate(context, block, BLOCK_BYTES) ||
                !EVP_DigestFinal_ex(context, digest, NULL)) {
                work->code = EIO;
            }
            block[turn] ^= digest[0];
            work->bytes += BLOCK_BYTES;
        }
        now = now_nanoseconds();
    }
    work->nanoseconds = now - start;
    work->processor_nanoseconds = processor_nanoseconds() - processor_start;
    EVP_MD_CTX_free(context);
    free(block);
    return NULL;
}

int reference_sha256(
    uint32_t threads, uint64_t nanoseconds, double *bytes_per_second, double *bytes_per_processor_second) {
    pthread_t handles[64];
    hashing works[64];
    if (threads == 0 || threads > 64) return EINVAL;
    for (uint32_t index = 0; index < threads; index++) {
        works[index] = (hashing){nanoseconds, 0, 0, 0};
        int code = pthread_create(&handles[index], NULL, hash_for, &works[index]);
        if (code) abort(); // threads that run already point into this frame
    }
    *bytes_per_second = 0;
    double bytes = 0, processor_nanoseconds = 0;
    int code = 0;
    for (uint32_t index = 0; index < threads; index++) {
        pthread_join(handles[index], NULL);
        if (works[index].code) code = works[index].code;
        *bytes_per_second += (double)works[index].bytes * 1e9 / (double)works[index].nanoseconds;
        bytes += (double)works[index].bytes;
        processor_nanoseconds += (double)works[index].processor_nanoseconds;
    }
    *bytes_per_processor_second = bytes * 1e9 / processor_nanoseconds;
    return code;
}
