"""An unmodified oslo.messaging client: makes the calls that standard input lists and prints what each gave.

usage: oslo_client.py URL [--config FILE]

Standard input is a JSON list of {"name", "method", "args"} with, where it differs from the conductor's, "target"
(exchange, topic, server, version, namespace, fanout), "prepare" (timeout, call_monitor_timeout) and "cast": true.
Each answer also tells the "signs_of_life" that came before it.
"""

import argparse
import json
import logging
import sys
import warnings

warnings.simplefilter("ignore")
import oslo_messaging  # noqa: E402
from oslo_config import cfg  # noqa: E402

logging.basicConfig(level=logging.CRITICAL)


class SignsOfLife(logging.Handler):
    """Counts what the library says of call-monitor heartbeats; nothing else of it shows them."""

    count = 0

    def emit(self, record):
        self.count += "heartbeat received" in record.getMessage()


signs = SignsOfLife()
driver = logging.getLogger("oslo_messaging._drivers.amqpdriver")
driver.setLevel(logging.DEBUG)
driver.propagate = False
driver.addHandler(signs)


def client_of(transport, target):
    target = oslo_messaging.Target(**{"exchange": "tacker", "topic": "TACKER_CONDUCTOR", "version": "1.0", **target})
    # 14.0 has no function for this yet; 18 warns of the class.
    make = getattr(oslo_messaging, "get_rpc_client", None) or oslo_messaging.RPCClient
    return make(transport, target)


def outcome(transport, wish):
    client = client_of(transport, wish.get("target", {})).prepare(**{"timeout": 20, **wish.get("prepare", {})})
    try:
        if wish.get("cast"):
            client.cast({}, wish["method"], **wish["args"])
            return {"result": None}
        return {"result": client.call({"request_id": "req-1"}, wish["method"], **wish["args"])}
    except oslo_messaging.RemoteError as error:
        return {"error": "RemoteError", "type": error.exc_type, "message": str(error.value)}
    except Exception as error:  # what kind is for the test to judge
        return {"error": type(error).__name__, "message": str(error)}


def told(transport, wish):
    signs.count = 0
    result = outcome(transport, wish)
    return {**result, "signs_of_life": signs.count}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--config")
    options = parser.parse_args()
    cfg.CONF(["--config-file", options.config] if options.config else [])
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, url=options.url)
    print(json.dumps({wish["name"]: told(transport, wish) for wish in json.load(sys.stdin)}))
    transport.cleanup()


main()
