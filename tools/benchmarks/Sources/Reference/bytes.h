// Little-endian numbers at any address, time, and a small random generator.
#ifndef BYTES_H
#define BYTES_H

#include <stdint.h>
#include <string.h>
#include <time.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the reference programs write the log's little-endian numbers as they are"
#endif

static inline uint16_t load16(const uint8_t *bytes) { uint16_t n; memcpy(&n, bytes, sizeof n); return n; }
static inline uint32_t load32(const uint8_t *bytes) { uint32_t n; memcpy(&n, bytes, sizeof n); return n; }
static inline uint64_t load64(const uint8_t *bytes) { uint64_t n; memcpy(&n, bytes, sizeof n); return n; }
static inline void store32(uint8_t *bytes, uint32_t number) { memcpy(bytes, &number, sizeof number); }
static inline void store64(uint8_t *bytes, uint64_t number) { memcpy(bytes, &number, sizeof number); }

static inline uint64_t now_nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// Of the calling thread: for work that never waits, the same as the time on a quiet machine.
static inline uint64_t processor_nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static inline uint64_t wall_microseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_nsec / 1000u;
}

// SplitMix64, the same as the Swift side's.
static inline uint64_t next_random(uint64_t *state) {
    uint64_t mixed = *state += 0x9E3779B97F4A7C15u;
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9u;
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EBu;
    return mixed ^ mixed >> 31;
}

#endif
