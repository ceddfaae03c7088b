#include "bytes.h"
#include "reference.h"

#include <errno.h>
#include <lmdb.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define MAP_BYTES ((size_t)1 << 40)

enum { STATUS_REPORTED = 4, ACCEPTED = 1 };
// Where the next event begins is known only when this one's length has come: ask for its bytes before.
enum { AHEAD_BYTES = 512 };

const char *reference_error(int code) { return mdb_strerror(code); }

struct reference_log {
    MDB_env *environment;
    MDB_dbi batches;
    uint64_t position;
    uint64_t random;
    uint32_t streams;
    uint64_t *previous; // by stream: the position of its last event
    EVP_MD_CTX *hash;   // NULL if batches are not sealed
    uint8_t seal[REFERENCE_SEAL_BYTES];
};

static int open_environment(const char *path, unsigned flags, MDB_env **environment) {
    int code = mdb_env_create(environment);
    if (code) return code;
    code = mdb_env_set_mapsize(*environment, MAP_BYTES);
    if (!code) code = mdb_env_set_maxdbs(*environment, 8);
    if (!code) code = mdb_env_open(*environment, path, MDB_NOSUBDIR | MDB_NOTLS | flags, 0600);
    if (code) mdb_env_close(*environment);
    return code;
}

int reference_log_open(const char *path, uint32_t streams, uint64_t seed, int sealing, reference_log **out) {
    reference_log *log = calloc(1, sizeof *log);
    if (!log) return ENOMEM;
    if (sealing && !(log->hash = EVP_MD_CTX_new())) {
        free(log);
        return ENOMEM;
    }
    log->streams = streams;
    log->random = seed | 1;
    log->previous = calloc(streams + 1, sizeof *log->previous);
    int code = log->previous ? open_environment(path, 0, &log->environment) : ENOMEM;
    if (!code) {
        MDB_txn *transaction;
        code = mdb_txn_begin(log->environment, NULL, 0, &transaction);
        // A named database, as the real log has it: each commit touches the main tree, too.
        if (!code) code = mdb_dbi_open(transaction, "batches", MDB_CREATE | MDB_INTEGERKEY, &log->batches);
        if (!code) code = mdb_txn_commit(transaction);
        if (code) mdb_env_close(log->environment);
    }
    if (code) {
        EVP_MD_CTX_free(log->hash);
        free(log->previous);
        free(log);
        return code;
    }
    *out = log;
    return 0;
}

// As Design.md has it: the seal before, the header without its seal, and the events.
static int seal(reference_log *log, uint8_t *bytes, size_t size) {
    if (!EVP_DigestInit_ex(log->hash, EVP_sha256(), NULL) ||
        !EVP_DigestUpdate(log->hash, log->seal, sizeof log->seal) ||
        !EVP_DigestUpdate(log->hash, bytes, REFERENCE_HEADER_BYTES - REFERENCE_SEAL_BYTES) ||
        !EVP_DigestUpdate(log->hash, bytes + REFERENCE_HEADER_BYTES, size - REFERENCE_HEADER_BYTES) ||
        !EVP_DigestFinal_ex(log->hash, log->seal, NULL)) {
        return EIO;
    }
    memcpy(bytes + REFERENCE_HEADER_BYTES - REFERENCE_SEAL_BYTES, log->seal, sizeof log->seal);
    return 0;
}

static void fill(reference_log *log, uint8_t *bytes, uint32_t events, uint64_t time) {
    memset(bytes, 0, REFERENCE_HEADER_BYTES);
    store32(bytes + 4, events);
    store32(bytes + 8, events * REFERENCE_EVENT_BYTES);
    store64(bytes + 16, 1);
    store64(bytes + 24, time);
    uint8_t *event = bytes + REFERENCE_HEADER_BYTES;
    for (uint32_t index = 0; index < events; index++, event += REFERENCE_EVENT_BYTES) {
        uint32_t stream = (uint32_t)(next_random(&log->random) % log->streams) + 1;
        store64(event, time);
        store64(event + 8, log->previous[stream]);
        store32(event + 16, stream);
        store32(event + 20, REFERENCE_PAYLOAD_BYTES);
        store64(event + 24, STATUS_REPORTED | 1 << 16); // type and format
        store64(event + 32, stream);
        store64(event + 40, ~(uint64_t)stream);
        store64(event + 48, 1 | 1 << 26 | (uint64_t)1500 << 32);
        log->previous[stream] = log->position + index + 1;
    }
}

int reference_log_append(
    reference_log *log, const uint32_t *event_counts, size_t batches, uint64_t *nanoseconds) {
    uint64_t start = now_nanoseconds();
    for (size_t batch = 0; batch < batches; batch++) {
        uint32_t events = event_counts[batch];
        uint64_t first = log->position + 1;
        MDB_txn *transaction;
        int code = mdb_txn_begin(log->environment, NULL, 0, &transaction);
        if (code) return code;
        MDB_val key = {sizeof first, &first};
        MDB_val value = {REFERENCE_HEADER_BYTES + (size_t)events * REFERENCE_EVENT_BYTES, NULL};
        code = mdb_put(transaction, log->batches, &key, &value, MDB_APPEND | MDB_RESERVE);
        if (!code) fill(log, value.mv_data, events, wall_microseconds());
        if (!code && log->hash) code = seal(log, value.mv_data, value.mv_size);
        if (code) {
            mdb_txn_abort(transaction);
            return code;
        }
        code = mdb_txn_commit(transaction);
        if (code) return code;
        log->position += events;
    }
    *nanoseconds = now_nanoseconds() - start;
    return 0;
}

uint64_t reference_log_used_bytes(reference_log *log) {
    MDB_envinfo info;
    MDB_stat statistics;
    mdb_env_info(log->environment, &info);
    mdb_env_stat(log->environment, &statistics);
    return (info.me_last_pgno + 1) * (uint64_t)statistics.ms_psize;
}

void reference_log_close(reference_log *log) {
    mdb_env_close(log->environment);
    EVP_MD_CTX_free(log->hash);
    free(log->previous);
    free(log);
}

struct reference_reader {
    MDB_env *environment;
    MDB_dbi batches;
};

int reference_reader_open(const char *path, reference_reader **out) {
    reference_reader *reader = calloc(1, sizeof *reader);
    if (!reader) return ENOMEM;
    int code = open_environment(path, MDB_RDONLY | MDB_NOLOCK, &reader->environment);
    if (code) {
        free(reader);
        return code;
    }
    MDB_txn *transaction;
    code = mdb_txn_begin(reader->environment, NULL, MDB_RDONLY, &transaction);
    if (!code) code = mdb_dbi_open(transaction, "batches", 0, &reader->batches);
    if (!code) code = mdb_txn_commit(transaction);
    if (code) {
        reference_reader_close(reader);
        return code;
    }
    *out = reader;
    return 0;
}

void reference_reader_close(reference_reader *reader) {
    mdb_env_close(reader->environment);
    free(reader);
}

static int begin_reading(reference_reader *reader, MDB_txn **transaction, MDB_cursor **cursor) {
    int code = mdb_txn_begin(reader->environment, NULL, MDB_RDONLY, transaction);
    if (code) return code;
    code = mdb_cursor_open(*transaction, reader->batches, cursor);
    if (code) mdb_txn_abort(*transaction);
    return code;
}

static void end_reading(MDB_txn *transaction, MDB_cursor *cursor) {
    mdb_cursor_close(cursor);
    mdb_txn_abort(transaction);
}

static int sum_batch(const uint8_t *bytes, size_t size, reference_walk *walk) {
    const uint8_t *event = bytes + REFERENCE_HEADER_BYTES, *end = bytes + size;
    uint64_t sum = 0;
    uint32_t events = load32(bytes + 4);
    for (uint32_t index = 0; index < events; index++) {
        if (event + REFERENCE_ENVELOPE_BYTES > end) return MDB_CORRUPTED;
        __builtin_prefetch(event + AHEAD_BYTES);
        sum += load64(event) + load32(event + 16);
        if (load16(event + 24) == STATUS_REPORTED) sum += event[48];
        event += REFERENCE_ENVELOPE_BYTES + load32(event + 20);
    }
    if (event != end) return MDB_CORRUPTED;
    walk->sum += sum;
    walk->events += events;
    return 0;
}

// What a rebuild keeps of a VIM on the hot path.
typedef struct {
    uint64_t action[2];
    uint64_t reported_at;
    uint64_t last_position;
    uint64_t changes;
    uint8_t status;
} row;

typedef struct {
    row *rows;
    size_t capacity;
} table;

static int apply_batch(uint64_t position, const uint8_t *bytes, size_t size, table *table, reference_walk *walk) {
    const uint8_t *event = bytes + REFERENCE_HEADER_BYTES, *end = bytes + size;
    uint32_t events = load32(bytes + 4);
    for (uint32_t index = 0; index < events; index++) {
        if (event + REFERENCE_ENVELOPE_BYTES > end) return MDB_CORRUPTED;
        __builtin_prefetch(event + AHEAD_BYTES);
        uint32_t stream = load32(event + 16);
        if (stream >= table->capacity) {
            size_t capacity = (stream + 1) * 2;
            row *rows = realloc(table->rows, capacity * sizeof *rows);
            if (!rows) return ENOMEM;
            memset(rows + table->capacity, 0, (capacity - table->capacity) * sizeof *rows);
            table->rows = rows;
            table->capacity = capacity;
        }
        row *row = table->rows + stream;
        if (load16(event + 24) == STATUS_REPORTED) {
            uint64_t high = load64(event + 32), low = load64(event + 40);
            uint8_t status = event[48], verdict = event[49];
            // Stands for what registration would have told: the first action to report is the wanted one.
            if (row->status == 0) {
                row->action[0] = high;
                row->action[1] = low;
            }
            if (verdict == ACCEPTED && row->action[0] == high && row->action[1] == low) {
                row->changes += row->status != status;
                row->status = status;
                row->reported_at = load64(event);
            }
        }
        row->last_position = position++;
        event += REFERENCE_ENVELOPE_BYTES + load32(event + 20);
    }
    walk->events += events;
    return event == end ? 0 : MDB_CORRUPTED;
}

int reference_scan(reference_reader *reader, int applying, reference_walk *walk) {
    memset(walk, 0, sizeof *walk);
    table table = {NULL, 0};
    uint64_t start = processor_nanoseconds();
    MDB_txn *transaction;
    MDB_cursor *cursor;
    int code = begin_reading(reader, &transaction, &cursor);
    if (code) return code;
    MDB_val key, value;
    code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    while (!code) {
        uint64_t position;
        memcpy(&position, key.mv_data, sizeof position);
        code = applying ? apply_batch(position, value.mv_data, value.mv_size, &table, walk)
                        : sum_batch(value.mv_data, value.mv_size, walk);
        if (code) break;
        walk->batches++;
        walk->bytes += value.mv_size;
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    for (size_t stream = 0; stream < table.capacity; stream++) {
        walk->sum += table.rows[stream].last_position + table.rows[stream].status;
    }
    walk->nanoseconds = processor_nanoseconds() - start;
    free(table.rows);
    end_reading(transaction, cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

int reference_batch_sizes(
    reference_reader *reader, uint64_t after, uint32_t *counts, size_t most, size_t *found) {
    *found = 0;
    MDB_txn *transaction;
    MDB_cursor *cursor;
    int code = begin_reading(reader, &transaction, &cursor);
    if (code) return code;
    uint64_t first = after + 1;
    MDB_val key = {sizeof first, &first}, value;
    code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (!code && *found < most) {
        counts[(*found)++] = load32((const uint8_t *)value.mv_data + 4);
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    end_reading(transaction, cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}
