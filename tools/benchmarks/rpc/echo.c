// echo PORT [FILE]: answers every call on the conductor's topic with REACHABLE, and does nothing else. No server on this
// library can be faster by much, so its rate is the broker's ceiling. With FILE the calls that came together are written
// there and synced before any of them is answered: the ceiling of whoever keeps what it answers.
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

#include "broker.h"

#define BURST_MAX 512
#define FILE_BYTES (16 << 20)
// What Vedette's log takes for a batch and for a report.
#define BATCH_BYTES 64
#define REPORT_BYTES 56

static struct {
    uint64_t tag;
    char id[80], queue[80];
} burst[BURST_MAX];
static unsigned count;
static char bytes[BATCH_BYTES + BURST_MAX * REPORT_BYTES];

// Written once, so that a sync has nothing to note but what is written then.
static int prepared(const char *path) {
    int file = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);
    must(file >= 0, "opening the file");
    for (unsigned offset = 0; offset < FILE_BYTES; offset += sizeof bytes)
        must(pwrite(file, bytes, sizeof bytes, offset) == sizeof bytes, "writing the file");
    must(fsync(file) == 0, "syncing the file");
    return file;
}

static void keep(int file) {
    static unsigned offset = 0;
    size_t length = BATCH_BYTES + count * REPORT_BYTES;
    if (offset + length > FILE_BYTES) offset = 0;
    must(pwrite(file, bytes, length, offset) == (ssize_t)length, "writing a burst");
    must(fdatasync(file) == 0, "syncing a burst");
    offset += length;
}

static void take(const amqp_envelope_t *envelope) {
    must(
        text_after(envelope->message.body, "\\\"_msg_id\\\": \\\"", burst[count].id, sizeof burst[count].id) > 0,
        "reading the id");
    must(
        text_after(envelope->message.body, "\\\"_reply_q\\\": \\\"", burst[count].queue, sizeof burst[count].queue) > 0,
        "reading the queue");
    burst[count++].tag = envelope->delivery_tag;
}

static void answer(amqp_connection_state_t connection) {
    amqp_basic_properties_t properties = json_properties();
    for (unsigned index = 0; index < count; index++) {
        char body[512];
        int length = snprintf(
            body, sizeof body,
            "{\"oslo.version\": \"2.0\", \"oslo.message\": \"{\\\"result\\\": \\\"REACHABLE\\\", \\\"failure\\\": null, "
            "\\\"ending\\\": true, \\\"_msg_id\\\": \\\"%s\\\", \\\"_unique_id\\\": \\\"e%s\\\"}\"}",
            burst[index].id, burst[index].id);
        amqp_bytes_t text = {.len = (size_t)length, .bytes = body};
        must(
            amqp_basic_publish(
                connection, 1, amqp_empty_bytes, amqp_cstring_bytes(burst[index].queue), 1, 0, &properties, text) == 0,
            "answering");
        must(amqp_basic_ack(connection, 1, burst[index].tag, 0) == 0, "acknowledging");
    }
    count = 0;
}

int main(int argument_count, char **arguments) {
    must(argument_count == 2 || argument_count == 3, "usage: echo PORT [FILE];");
    amqp_connection_state_t connection = connect_broker(atoi(arguments[1]));
    int file = argument_count == 3 ? prepared(arguments[2]) : -1;
    amqp_bytes_t exchange = amqp_cstring_bytes(EXCHANGE), topic = amqp_cstring_bytes(TOPIC);
    amqp_exchange_declare(connection, 1, exchange, amqp_cstring_bytes("topic"), 0, 0, 0, 0, amqp_empty_table);
    must_reply(amqp_get_rpc_reply(connection), "declaring the exchange");
    amqp_queue_declare(connection, 1, topic, 0, 0, 0, 0, amqp_empty_table);
    must_reply(amqp_get_rpc_reply(connection), "declaring the queue");
    amqp_queue_bind(connection, 1, topic, exchange, topic, amqp_empty_table);
    must_reply(amqp_get_rpc_reply(connection), "binding the queue");
    amqp_basic_qos(connection, 1, 0, BURST_MAX, 0);
    amqp_basic_consume(connection, 1, topic, amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
    must_reply(amqp_get_rpc_reply(connection), "consuming");
    puts("ready");
    fflush(stdout);
    for (;;) {
        amqp_envelope_t envelope;
        struct timeval at_once = {0, 0};
        amqp_maybe_release_buffers(connection);
        // Who has taken something looks whether more is there, and does not wait for it.
        amqp_rpc_reply_t reply = amqp_consume_message(connection, &envelope, count > 0 ? &at_once : NULL, 0);
        if (reply.reply_type == AMQP_RESPONSE_NORMAL) {
            take(&envelope);
            amqp_destroy_envelope(&envelope);
            if (file >= 0 && count < BURST_MAX) continue;
        } else if (reply.library_error != AMQP_STATUS_TIMEOUT) {
            return 0;
        }
        if (file >= 0) keep(file);
        answer(connection);
    }
}
