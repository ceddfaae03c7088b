"""The conductor as a monitor action sees it: update_vim over oslo.messaging RPC.

One transport per process: it has one connection to listen for answers, however many actions report.
"""

import threading

import oslo_messaging
from oslo_config import cfg

CONF = cfg.CONF
# On the global CONF: oslo.messaging's own options are registered there and nowhere else.
CONF.register_opts(
    [
        cfg.StrOpt(
            "transport_url", secret=True,
            help="The broker where Vedette's conductor listens; left out, Mistral's own transport_url."),
        cfg.FloatOpt("rpc_timeout", default=10.0, min=0.1, help="Seconds that a report waits for its answer."),
    ],
    group="vedette")

_lock = threading.Lock()
_transport = None


def _shared_transport():
    global _transport
    with _lock:
        if _transport is None:
            _transport = oslo_messaging.get_rpc_transport(CONF, url=CONF.vedette.transport_url)
        return _transport


class Conductor:
    """Reports to whoever consumes a topic."""

    def __init__(self, exchange, topic, transport=None):
        target = oslo_messaging.Target(exchange=exchange, topic=topic, version="1.0")
        # oslo.messaging 14 has no get_rpc_client yet.
        make = getattr(oslo_messaging, "get_rpc_client", oslo_messaging.RPCClient)
        # Without retries: a broker that is away is an error at once, and the action keeps probing.
        self._client = make(transport or _shared_transport(), target).prepare(
            timeout=CONF.vedette.rpc_timeout, retry=0)

    def update_vim(self, vim_id, status, action_id):
        """The conductor's answer: a status, or bad_action. Raises whatever a broker or conductor in trouble
        makes oslo.messaging raise."""
        return self._client.call({}, "update_vim", vim_id=vim_id, status=status, action_id=action_id)
