// What the benchmarks compare with: plain C over LMDB and over a file, and endpoints that stand for VIMs.
// Functions that can fail return 0 or an error number: an errno (positive) or LMDB's own (negative).
#ifndef REFERENCE_H
#define REFERENCE_H

#include <stddef.h>
#include <stdint.h>

// The bytes of a batch, as Sources/EventLog/Format.swift lays them down.
enum {
    REFERENCE_HEADER_BYTES = 64,
    REFERENCE_SEAL_BYTES = 32, // at the header's end
    REFERENCE_ENVELOPE_BYTES = 32,
    REFERENCE_PAYLOAD_BYTES = 24,
    REFERENCE_EVENT_BYTES = REFERENCE_ENVELOPE_BYTES + REFERENCE_PAYLOAD_BYTES,
};

// The sentence for an error number of any function here.
const char *reference_error(int code);

// A log in LMDB: one value per batch under an integer key, appended, every commit with a full sync. With `sealing`
// each batch carries its seal, SHA-256 by libcrypto.
typedef struct reference_log reference_log;
int reference_log_open(const char *path, uint32_t streams, uint64_t seed, int sealing, reference_log **log);
// Appends one commit per element, each with so many status reports in randomly chosen streams.
int reference_log_append(reference_log *log, const uint32_t *event_counts, size_t batches, uint64_t *nanoseconds);
uint64_t reference_log_used_bytes(reference_log *log);
void reference_log_close(reference_log *log);

// A file written once from end to end beforehand: the same bytes, pwrite and fdatasync, nothing else.
typedef struct reference_file reference_file;
int reference_file_open(const char *path, size_t bytes, reference_file **file);
int reference_file_append(
    reference_file *file, const uint32_t *event_counts, size_t batches, uint64_t *nanoseconds);
void reference_file_close(reference_file *file);

// What a walk over a log found.
typedef struct {
    uint64_t batches;
    uint64_t events;
    uint64_t bytes;
    // The sum of times, streams and statuses (without applying), or of last positions and statuses (with).
    uint64_t sum;
    // Processor time of the calling thread.
    uint64_t nanoseconds;
} reference_walk;

// A log's file opened for walking, without LMDB's lock file, so that it may be open elsewhere in this process;
// nobody may write during a walk.
typedef struct reference_reader reference_reader;
int reference_reader_open(const char *path, reference_reader **reader);
void reference_reader_close(reference_reader *reader);
// Walks everything with one cursor. With `applying`, keeps a dense table by stream as a rebuild does.
int reference_scan(reference_reader *reader, int applying, reference_walk *walk);
// The event counts of the batches that begin after a position, at most `most` of them; `found` says how many.
int reference_batch_sizes(
    reference_reader *reader, uint64_t after, uint32_t *counts, size_t most, size_t *found);

// SQLite in WAL mode with synchronous=FULL: one row per event, one transaction per element.
typedef struct reference_sqlite reference_sqlite;
int reference_sqlite_open(const char *path, uint32_t streams, uint64_t seed, reference_sqlite **store);
int reference_sqlite_append(
    reference_sqlite *store, const uint32_t *event_counts, size_t batches, uint64_t *nanoseconds);
// Reads all rows in order and keeps a dense table by stream, as a rebuild does.
int reference_sqlite_replay(reference_sqlite *store, reference_walk *walk);
void reference_sqlite_close(reference_sqlite *store);

// What libcrypto's SHA-256 does on so many threads at once, for so long each: the bound of verifying. Per second of
// the clock, of all threads together, and per second of processor time.
int reference_sha256(
    uint32_t threads, uint64_t nanoseconds, double *bytes_per_second, double *bytes_per_processor_second);

// zstd over whatever it is fed, as one frame: what a compressor makes of a log that knows nothing of it.
typedef struct reference_zstd reference_zstd;
int reference_zstd_open(int level, reference_zstd **stream);
int reference_zstd_feed(reference_zstd *stream, const void *bytes, size_t count);
// Ends the frame and says how many bytes it has; frees everything.
int reference_zstd_close(reference_zstd *stream, uint64_t *frame_bytes);

// Endpoints on 127.0.x.y, one address each and one port for all, that answer every GET with 200 and close.
// One thread serves them all.
typedef struct reference_endpoints reference_endpoints;
int reference_endpoints_start(uint32_t count, reference_endpoints **endpoints, uint16_t *port);
// The address of an endpoint as text; `text` has room for 16 characters.
void reference_endpoint_address(uint32_t index, char *text);
// Closes one listener: connections to it are refused from now on.
void reference_endpoints_close(reference_endpoints *endpoints, uint32_t index);
uint64_t reference_endpoints_served(reference_endpoints *endpoints);
void reference_endpoints_stop(reference_endpoints *endpoints);

// A TCP connection on loopback whose other end, a thread, answers so many bytes with so many.
typedef struct reference_loopback reference_loopback;
int reference_loopback_open(size_t there, size_t back, reference_loopback **loopback);
int reference_loopback_round_trip(reference_loopback *loopback, uint64_t *nanoseconds);
void reference_loopback_close(reference_loopback *loopback);
// Sends so many bytes over a new one until the other end has taken them all.
int reference_loopback_transfer(uint64_t bytes, uint64_t *nanoseconds);

// Starts a program whose output goes to a file, and which the kernel kills if the calling thread ends.
int reference_spawn(const char *program, char *const arguments[], const char *log, int *process);

#endif
