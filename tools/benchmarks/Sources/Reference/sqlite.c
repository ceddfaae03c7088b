#include "bytes.h"
#include "reference.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>

struct reference_sqlite {
    sqlite3 *database;
    sqlite3_stmt *insert;
    sqlite3_stmt *select;
    uint64_t random;
    uint32_t streams;
};

// SQLite's codes are positive and small, as errno's are: all of them become EIO here.
static int failed(int code) { return code == SQLITE_OK || code == SQLITE_DONE ? 0 : EIO; }

int reference_sqlite_open(const char *path, uint32_t streams, uint64_t seed, reference_sqlite **out) {
    reference_sqlite *store = calloc(1, sizeof *store);
    if (!store) return ENOMEM;
    store->streams = streams;
    store->random = seed | 1;
    int code = failed(sqlite3_open(path, &store->database));
    const char *setup = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                        "CREATE TABLE events (position INTEGER PRIMARY KEY, stream INTEGER NOT NULL, "
                        "type INTEGER NOT NULL, time INTEGER NOT NULL, payload BLOB NOT NULL);";
    if (!code) code = failed(sqlite3_exec(store->database, setup, NULL, NULL, NULL));
    if (!code) code = failed(sqlite3_prepare_v2(store->database,
        "INSERT INTO events (stream, type, time, payload) VALUES (?, 4, ?, ?)", -1, &store->insert, NULL));
    if (!code) code = failed(sqlite3_prepare_v2(store->database,
        "SELECT position, stream, type, time, payload FROM events ORDER BY position", -1, &store->select, NULL));
    if (code) {
        reference_sqlite_close(store);
        return code;
    }
    *out = store;
    return 0;
}

static int insert_event(reference_sqlite *store, uint64_t time) {
    uint8_t payload[REFERENCE_PAYLOAD_BYTES];
    uint32_t stream = (uint32_t)(next_random(&store->random) % store->streams) + 1;
    store64(payload, stream);
    store64(payload + 8, ~(uint64_t)stream);
    store64(payload + 16, 1 | 1 << 8 | 1 << 26 | (uint64_t)1500 << 32);
    sqlite3_bind_int64(store->insert, 1, stream);
    sqlite3_bind_int64(store->insert, 2, (sqlite3_int64)time);
    sqlite3_bind_blob(store->insert, 3, payload, sizeof payload, SQLITE_TRANSIENT);
    int code = failed(sqlite3_step(store->insert));
    sqlite3_reset(store->insert);
    return code;
}

int reference_sqlite_append(
    reference_sqlite *store, const uint32_t *event_counts, size_t batches, uint64_t *nanoseconds) {
    uint64_t start = now_nanoseconds();
    for (size_t batch = 0; batch < batches; batch++) {
        uint64_t time = wall_microseconds();
        int code = failed(sqlite3_exec(store->database, "BEGIN", NULL, NULL, NULL));
        for (uint32_t index = 0; !code && index < event_counts[batch]; index++) code = insert_event(store, time);
        if (!code) code = failed(sqlite3_exec(store->database, "COMMIT", NULL, NULL, NULL));
        if (code) return code;
    }
    *nanoseconds = now_nanoseconds() - start;
    return 0;
}

// A rebuild from rows: a dense table by stream, as the other walks keep it.
int reference_sqlite_replay(reference_sqlite *store, reference_walk *walk) {
    typedef struct {
        uint64_t high, low, reported_at, last_position;
        uint8_t status;
    } row;
    memset(walk, 0, sizeof *walk);
    row *rows = calloc(store->streams + 1, sizeof *rows);
    if (!rows) return ENOMEM;
    uint64_t start = processor_nanoseconds();
    int code;
    while ((code = sqlite3_step(store->select)) == SQLITE_ROW) {
        uint32_t stream = (uint32_t)sqlite3_column_int64(store->select, 1);
        const uint8_t *payload = sqlite3_column_blob(store->select, 4);
        if (stream > store->streams || sqlite3_column_bytes(store->select, 4) != REFERENCE_PAYLOAD_BYTES) break;
        row *row = &rows[stream];
        row->high = load64(payload);
        row->low = load64(payload + 8);
        row->status = payload[16];
        row->reported_at = (uint64_t)sqlite3_column_int64(store->select, 3);
        row->last_position = (uint64_t)sqlite3_column_int64(store->select, 0);
        walk->events++;
    }
    for (uint32_t stream = 1; stream <= store->streams; stream++) {
        walk->sum += rows[stream].last_position + rows[stream].status;
    }
    walk->nanoseconds = processor_nanoseconds() - start;
    sqlite3_reset(store->select);
    free(rows);
    return failed(code);
}

void reference_sqlite_close(reference_sqlite *store) {
    sqlite3_finalize(store->insert);
    sqlite3_finalize(store->select);
    sqlite3_close(store->database);
    free(store);
}
