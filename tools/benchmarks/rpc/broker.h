// What the two programs in C share: a connection to the broker on loopback, and a way out.
#ifndef BROKER_H
#define BROKER_H
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define EXCHANGE "tacker"
#define TOPIC "TACKER_CONDUCTOR"

static inline void must(int holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "error: %s failed\n", what);
    exit(1);
}

static inline void must_reply(amqp_rpc_reply_t reply, const char *what) {
    must(reply.reply_type == AMQP_RESPONSE_NORMAL, what);
}

static inline amqp_connection_state_t connect_broker(int port) {
    amqp_connection_state_t connection = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(connection);
    must(amqp_socket_open(socket, "127.0.0.1", port) == 0, "connecting to the broker");
    must_reply(
        amqp_login(connection, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest"), "logging in");
    amqp_channel_open(connection, 1);
    must_reply(amqp_get_rpc_reply(connection), "opening a channel");
    return connection;
}

static inline amqp_basic_properties_t json_properties(void) {
    amqp_basic_properties_t properties;
    memset(&properties, 0, sizeof properties);
    properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CONTENT_ENCODING_FLAG |
                        AMQP_BASIC_DELIVERY_MODE_FLAG;
    properties.content_type = amqp_cstring_bytes("application/json");
    properties.content_encoding = amqp_cstring_bytes("utf-8");
    properties.delivery_mode = 1;
    return properties;
}

// The text after a key in a body, up to the backslash that ends it; the bodies are ours, so its form is known.
static inline size_t text_after(amqp_bytes_t body, const char *key, char *text, size_t size) {
    const char *found = memmem(body.bytes, body.len, key, strlen(key));
    if (!found) return 0;
    found += strlen(key);
    const char *end = (const char *)body.bytes + body.len;
    size_t length = 0;
    while (found < end && *found != '\\' && length + 1 < size) text[length++] = *found++;
    text[length] = 0;
    return length;
}
#endif
