#include "reference.h"

#include <errno.h>
#include <stdlib.h>
#include <zstd.h>

struct reference_zstd {
    ZSTD_CCtx *context;
    uint64_t frame_bytes;
};

int reference_zstd_open(int level, reference_zstd **stream) {
    reference_zstd *made = calloc(1, sizeof *made);
    if (!made) return ENOMEM;
    made->context = ZSTD_createCCtx();
    if (!made->context || ZSTD_isError(ZSTD_CCtx_setParameter(made->context, ZSTD_c_compressionLevel, level))) {
        ZSTD_freeCCtx(made->context);
        free(made);
        return ENOMEM;
    }
    *stream = made;
    return 0;
}

// Only how much comes out is of interest.
static int compress(reference_zstd *stream, const void *bytes, size_t count, ZSTD_EndDirective directive) {
    static _Thread_local char frame[1 << 17];
    ZSTD_inBuffer in = {bytes, count, 0};
    for (;;) {
        ZSTD_outBuffer out = {frame, sizeof frame, 0};
        size_t rest = ZSTD_compressStream2(stream->context, &out, &in, directive);
        if (ZSTD_isError(rest)) return EIO;
        stream->frame_bytes += out.pos;
        if (directive == ZSTD_e_end ? rest == 0 : in.pos == in.size) return 0;
    }
}

int reference_zstd_feed(reference_zstd *stream, const void *bytes, size_t count) {
    return compress(stream, bytes, count, ZSTD_e_continue);
}

int reference_zstd_close(reference_zstd *stream, uint64_t *frame_bytes) {
    int code = compress(stream, NULL, 0, ZSTD_e_end);
    *frame_bytes = stream->frame_bytes;
    ZSTD_freeCCtx(stream->context);
    free(stream);
    return code;
}
