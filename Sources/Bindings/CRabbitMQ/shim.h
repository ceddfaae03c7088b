// The C library as Debian ships it (librabbitmq-dev, 0.11); its safe Swift face is the target AMQP.
#include <sys/time.h>
#include <sys/eventfd.h>  // wakes the thread that waits for the broker
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>

// amqp_login takes variable arguments, which Swift cannot call.
static inline amqp_rpc_reply_t amqp_login_plain(
    amqp_connection_state_t state, const char *virtual_host, int frame_max, int heartbeat,
    const amqp_table_t *properties, const char *user, const char *password) {
    return amqp_login_with_properties(
        state, virtual_host, AMQP_DEFAULT_MAX_CHANNELS, frame_max, heartbeat, properties,
        AMQP_SASL_METHOD_PLAIN, user, password);
}
