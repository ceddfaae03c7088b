"""A real oslo.messaging server: the peer that our own client is tried against.

usage: oslo_server.py URL TOPIC READY_FILE
"""

import logging
import sys
import time
import warnings

warnings.simplefilter("ignore")
import oslo_messaging  # noqa: E402
from oslo_config import cfg  # noqa: E402

logging.basicConfig(level=logging.WARNING)


class Endpoint:
    """What can be called."""

    target = oslo_messaging.Target(version="1.1")

    def echo(self, context, value):
        return value

    def fail(self, context, message):
        raise LookupError(message)

    def sleep(self, context, seconds):
        time.sleep(seconds)
        return seconds


def main():
    url, topic, ready_file = sys.argv[1:]
    cfg.CONF([])
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, url=url)
    target = oslo_messaging.Target(exchange="tacker", topic=topic, server="peer")
    server = oslo_messaging.get_rpc_server(transport, target, [Endpoint()], executor="threading")
    server.start()
    open(ready_file, "w", encoding="ascii").close()
    server.wait()


main()
