// echo PORT: answers every call on the conductor's topic with REACHABLE, and does nothing else. No server on this
// library can be faster by much, so its rate is the broker's ceiling.
#define _GNU_SOURCE
#include "broker.h"

int main(int count, char **arguments) {
    must(count == 2, "usage: echo PORT;");
    amqp_connection_state_t connection = connect_broker(atoi(arguments[1]));
    amqp_bytes_t exchange = amqp_cstring_bytes(EXCHANGE), topic = amqp_cstring_bytes(TOPIC);
    amqp_exchange_declare(connection, 1, exchange, amqp_cstring_bytes("topic"), 0, 0, 0, 0, amqp_empty_table);
    must_reply(amqp_get_rpc_reply(connection), "declaring the exchange");
    amqp_queue_declare(connection, 1, topic, 0, 0, 0, 0, amqp_empty_table);
    must_reply(amqp_get_rpc_reply(connection), "declaring the queue");
    amqp_queue_bind(connection, 1, topic, exchange, topic, amqp_empty_table);
    must_reply(amqp_get_rpc_reply(connection), "binding the queue");
    amqp_basic_qos(connection, 1, 0, 512, 0);
    amqp_basic_consume(connection, 1, topic, amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
    must_reply(amqp_get_rpc_reply(connection), "consuming");
    amqp_basic_properties_t properties = json_properties();
    puts("ready");
    fflush(stdout);
    for (;;) {
        amqp_envelope_t envelope;
        amqp_maybe_release_buffers(connection);
        if (amqp_consume_message(connection, &envelope, NULL, 0).reply_type != AMQP_RESPONSE_NORMAL) return 0;
        char id[80], queue[80], body[512];
        must(text_after(envelope.message.body, "\\\"_msg_id\\\": \\\"", id, sizeof id) > 0, "reading the id");
        must(text_after(envelope.message.body, "\\\"_reply_q\\\": \\\"", queue, sizeof queue) > 0, "reading the queue");
        int length = snprintf(
            body, sizeof body,
            "{\"oslo.version\": \"2.0\", \"oslo.message\": \"{\\\"result\\\": \\\"REACHABLE\\\", \\\"failure\\\": null, "
            "\\\"ending\\\": true, \\\"_msg_id\\\": \\\"%s\\\", \\\"_unique_id\\\": \\\"e%s\\\"}\"}",
            id, id);
        amqp_bytes_t bytes = {.len = (size_t)length, .bytes = body};
        must(
            amqp_basic_publish(
                connection, 1, amqp_empty_bytes, amqp_cstring_bytes(queue), 1, 0, &properties, bytes) == 0,
            "answering");
        must(amqp_basic_ack(connection, 1, envelope.delivery_tag, 0) == 0, "acknowledging");
        amqp_destroy_envelope(&envelope);
    }
}
