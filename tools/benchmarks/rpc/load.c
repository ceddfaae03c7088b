// load PORT VIM_ID ACTION_ID OUTSTANDING SECONDS RATE: calls update_vim as oslo.messaging does, so many calls
// outstanding (RATE 0), or so many calls a second one after another; prints what came of it as one line of JSON.
#define _GNU_SOURCE
#include <time.h>
#include <unistd.h>

#include "broker.h"

#define CALL_MAX 4000000

static amqp_connection_state_t connection;
static char queue[64], vim[64], action[64];
static uint64_t *started, *taken;
static unsigned sent, answered, refused;

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void call(void) {
    must(sent < CALL_MAX, "counting that far");
    char body[1024];
    int length = snprintf(
        body, sizeof body,
        "{\"oslo.version\": \"2.0\", \"oslo.message\": \"{\\\"method\\\": \\\"update_vim\\\", \\\"args\\\": "
        "{\\\"vim_id\\\": \\\"%s\\\", \\\"status\\\": \\\"REACHABLE\\\", \\\"action_id\\\": \\\"%s\\\"}, "
        "\\\"version\\\": \\\"1.0\\\", \\\"_msg_id\\\": \\\"%032x\\\", \\\"_reply_q\\\": \\\"%s\\\", \\\"_timeout\\\": "
        "null, \\\"_unique_id\\\": \\\"%s%08x\\\", \\\"_context_request_id\\\": \\\"req-1\\\"}\"}",
        vim, action, sent, queue, queue + 14, sent);
    amqp_basic_properties_t properties = json_properties();
    properties._flags |= AMQP_BASIC_EXPIRATION_FLAG;
    properties.expiration = amqp_cstring_bytes("60000");
    amqp_bytes_t bytes = {.len = (size_t)length, .bytes = body};
    started[sent++] = now();
    must(
        amqp_basic_publish(
            connection, 1, amqp_cstring_bytes(EXCHANGE), amqp_cstring_bytes(TOPIC), 0, 0, &properties, bytes) == 0,
        "calling");
}

// Waits for one answer, until a moment; 0 if none came.
static int answer(uint64_t until) {
    uint64_t time = now(), left = until > time ? until - time : 0;
    struct timeval wait = {.tv_sec = (long)(left / 1000000000), .tv_usec = (long)(left / 1000 % 1000000)};
    amqp_envelope_t envelope;
    amqp_maybe_release_buffers(connection);
    amqp_rpc_reply_t reply = amqp_consume_message(connection, &envelope, &wait, 0);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        must(reply.library_error == AMQP_STATUS_TIMEOUT, "waiting for an answer");
        return 0;
    }
    char id[80];
    must(text_after(envelope.message.body, "\\\"_msg_id\\\": \\\"", id, sizeof id) == 32, "reading an answer");
    if (!memmem(envelope.message.body.bytes, envelope.message.body.len, "REACHABLE", 9)) refused++;
    unsigned long number = strtoul(id, NULL, 16);
    must(number < sent, "knowing an answer");
    taken[answered++] = now() - started[number];
    amqp_destroy_envelope(&envelope);
    return 1;
}

static int by_size(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

int main(int count, char **arguments) {
    must(count == 7, "usage: load PORT VIM_ID ACTION_ID OUTSTANDING SECONDS RATE;");
    snprintf(vim, sizeof vim, "%s", arguments[2]);
    snprintf(action, sizeof action, "%s", arguments[3]);
    unsigned outstanding = (unsigned)atoi(arguments[4]);
    double seconds = atof(arguments[5]), rate = atof(arguments[6]);
    started = calloc(CALL_MAX, sizeof *started);
    taken = calloc(CALL_MAX, sizeof *taken);
    must(started && taken, "allocating");
    snprintf(queue, sizeof queue, "reply_%08x%08x%016llx", (unsigned)getpid(), outstanding, (unsigned long long)now());
    connection = connect_broker(atoi(arguments[1]));
    amqp_queue_declare(connection, 1, amqp_cstring_bytes(queue), 0, 0, 0, 1, amqp_empty_table);
    must_reply(amqp_get_rpc_reply(connection), "declaring the reply queue");
    amqp_basic_consume(connection, 1, amqp_cstring_bytes(queue), amqp_empty_bytes, 0, 1, 0, amqp_empty_table);
    must_reply(amqp_get_rpc_reply(connection), "consuming");

    uint64_t start = now(), end = start + (uint64_t)(seconds * 1e9);
    if (rate > 0) {
        uint64_t step = (uint64_t)(1e9 / rate);
        for (uint64_t due = start; due < end; due += step) {
            while (now() < due) answer(due);
            call();
        }
    } else {
        for (unsigned first = 0; first < outstanding; first++) call();
        while (now() < end)
            if (answer(end)) call();
    }
    unsigned inTime = answered;
    double elapsed = (double)(now() - start) / 1e9;
    // What is still under way belongs to nobody's rate, but must come.
    uint64_t limit = now() + 30000000000ULL;
    while (answered < sent && now() < limit) answer(limit);
    qsort(taken, answered, sizeof *taken, by_size);
    printf(
        "{\"rate\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"calls\": %u, \"lost\": %u, \"refused\": %u}\n",
        inTime / elapsed, answered ? taken[answered / 2] / 1e3 : 0.0,
        answered ? taken[(unsigned)(answered * 0.99)] / 1e3 : 0.0, sent, sent - answered, refused);
    return 0;
}
