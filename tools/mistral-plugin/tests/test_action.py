"""Runs the action as Mistral's executor does, against an oslo.messaging server in this process (fake driver)."""

import importlib.metadata
import json
import socket
import threading
import unittest

import oslo_messaging
from mistral_lib import actions
from oslo_config import cfg

from vedette_mistral import action, conductor


class Endpoint:
    """A conductor that answers as it is told."""

    target = oslo_messaging.Target(version="1.0")

    def __init__(self):
        self.calls = []
        self.heard = threading.Condition()
        self.answer = lambda status: status

    def update_vim(self, context, vim_id, status, action_id):
        with self.heard:
            self.calls.append((vim_id, status, action_id))
            self.heard.notify_all()
            return self.answer(status)

    def wait(self, count):
        with self.heard:
            if not self.heard.wait_for(lambda: len(self.calls) >= count, timeout=60):
                raise AssertionError("%d calls instead of %d" % (len(self.calls), count))
            return self.calls[-1]


class ActionTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cfg.CONF([], project="test")
        cfg.CONF.set_override("transport_url", "fake://", group="vedette")
        cfg.CONF.set_override("rpc_timeout", 0.5, group="vedette")

    def setUp(self):
        self.endpoint = Endpoint()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.server = None
        self.serve()
        self.addCleanup(self.listener.close)
        self.addCleanup(lambda: self.server.stop())

    def serve(self):
        target = oslo_messaging.Target(exchange="tacker", topic="TACKER_CONDUCTOR", server="test")
        self.server = oslo_messaging.get_rpc_server(
            conductor._shared_transport(), target, [self.endpoint], executor="threading")
        self.server.start()

    def start(self, **options):
        """The way of an action through Mistral: its attributes as JSON, then a new object without __init__."""
        first = action.Monitor(
            "vim-1", "action-1", self.url, probe="tcp", interval=0.2, timeout=1, report_interval=0.5, **options)
        attributes = json.loads(json.dumps(vars(first)))
        self.assertEqual(attributes, vars(first))
        second = action.Monitor.__new__(action.Monitor)
        vars(second).update(attributes)
        self.assertIsInstance(second, actions.Action)
        self.result = None

        def run():
            self.result = second.run(None)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def end(self, thread):
        self.endpoint.answer = lambda status: "bad_action"
        thread.join(60)
        self.assertFalse(thread.is_alive())
        self.assertEqual(self.result, {"why": "bad_action", "vim_id": "vim-1", "action_id": "action-1"})

    def test_it_reports_until_it_is_told_bad_action(self):
        thread = self.start()
        self.assertEqual(self.endpoint.wait(1), ("vim-1", "REACHABLE", "action-1"))
        self.assertEqual(self.endpoint.wait(3), ("vim-1", "REACHABLE", "action-1"))
        port = self.listener.getsockname()[1]
        self.listener.close()
        while self.endpoint.wait(len(self.endpoint.calls) + 1)[1] != "UNREACHABLE":
            pass
        self.listener = socket.create_server(("127.0.0.1", port))
        while self.endpoint.wait(len(self.endpoint.calls) + 1)[1] != "REACHABLE":
            pass
        self.end(thread)

    def test_a_conductor_that_raises_or_is_away_does_not_end_it(self):
        def fail(status):
            raise KeyError("database is away")

        self.endpoint.answer = fail
        thread = self.start()
        self.endpoint.wait(2)
        self.server.stop()
        self.server.wait()
        count = len(self.endpoint.calls)
        thread.join(1.5)
        self.assertTrue(thread.is_alive())
        self.endpoint.answer = lambda status: status
        self.serve()
        self.endpoint.wait(count + 2)
        self.end(thread)

    def test_a_probe_that_raises_does_not_end_it_and_says_nothing_of_the_endpoint(self):
        class Prober:
            def probe(self):
                raise RuntimeError("a fault of ours")

        pace = action.Pace.of(0.1, 1, 1, 1, 0.3)
        watch = action.Watch(
            "vim-1", "action-1", pace, "REACHABLE", Prober(),
            conductor.Conductor("tacker", "TACKER_CONDUCTOR"))
        with self.assertLogs("vedette_mistral.action", "ERROR"):
            thread = threading.Thread(target=watch.run, daemon=True)
            thread.start()
            self.assertEqual(self.endpoint.wait(3), ("vim-1", "REACHABLE", "action-1"))
            self.endpoint.answer = lambda status: "bad_action"
            thread.join(60)
        self.assertFalse(thread.is_alive())

    def test_a_wrong_probe_is_refused_before_anything_runs(self):
        with self.assertRaisesRegex(ValueError, "probe must be http, kubernetes, tcp or icmp"):
            action.Monitor("vim-1", "action-1", self.url, probe="snmp")

    def test_mistral_finds_it_by_its_entry_point(self):
        entries = [
            entry for entry in importlib.metadata.distribution("vedette-mistral").entry_points
            if entry.group == "mistral.actions"]
        self.assertEqual([entry.name for entry in entries], ["vedette.monitor"])
        self.assertIs(entries[0].load(), action.Monitor)


if __name__ == "__main__":
    unittest.main()
