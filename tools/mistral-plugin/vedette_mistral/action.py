"""The Mistral action vedette.monitor."""

import logging
import random
import time

from mistral_lib import actions

from vedette_mistral import conductor, monitor, probes
from vedette_mistral.pace import Pace

LOG = logging.getLogger(__name__)

# While reports fail, it is said once in so many seconds.
_COMPLAINT_INTERVAL = 300.0


class Monitor(actions.Action):
    """Watches one VIM until the conductor answers bad_action.

    Mistral takes the attributes over to the executor as JSON and makes the object anew there without calling
    the constructor, so they are plain values; everything else is made in run().
    """

    def __init__(self, vim_id, action_id, auth_url, probe="http", interval=10, timeout=5, failure_threshold=3,
                 success_threshold=1, report_interval=60, status=monitor.PENDING, cert_verify=True, ca_cert="",
                 exchange="tacker", topic="TACKER_CONDUCTOR"):
        super(Monitor, self).__init__()
        if probe not in ("http", "kubernetes", "tcp", "icmp"):
            raise ValueError("probe must be http, kubernetes, tcp or icmp, not %r" % (probe,))
        self.vim_id = vim_id
        self.action_id = action_id
        self.auth_url = auth_url
        self.probe = probe
        self.interval = interval
        self.timeout = timeout
        self.failure_threshold = failure_threshold
        self.success_threshold = success_threshold
        self.report_interval = report_interval
        self.status = status
        self.cert_verify = cert_verify
        self.ca_cert = ca_cert
        self.exchange = exchange
        self.topic = topic

    def run(self, context):
        """Probes and reports; what comes out is shown as the result of the task."""
        pace = Pace.of(
            self.interval, self.timeout, self.failure_threshold, self.success_threshold, self.report_interval)
        prober = probes.Prober(self.probe, self.auth_url, pace.timeout, self.cert_verify, self.ca_cert)
        peer = conductor.Conductor(self.exchange, self.topic)
        LOG.info("Watching VIM %s as action %s", self.vim_id, self.action_id)
        watch = Watch(self.vim_id, self.action_id, pace, self.status, prober, peer)
        watch.run()
        LOG.info("Action %s of VIM %s was told bad_action and ends", self.action_id, self.vim_id)
        return {"why": monitor.BAD_ACTION, "vim_id": self.vim_id, "action_id": self.action_id}

    def test(self, context):
        """Mistral's dry run."""
        return {"why": "test", "vim_id": self.vim_id, "action_id": self.action_id}


class Watch:
    """Moves a monitor by the clock; one thread, which probes and reports in turn."""

    def __init__(self, vim_id, action_id, pace, status, prober, peer, clock=time.monotonic, sleep=time.sleep):
        self._vim_id = vim_id
        self._action_id = action_id
        self._prober = prober
        self._peer = peer
        self._clock = clock
        self._sleep = sleep
        self._monitor = monitor.Monitor(pace, status, clock(), random.random())
        self._complained_at = None

    def run(self):
        """Returns when the conductor has answered bad_action, and never otherwise."""
        while not self._monitor.has_ended:
            now = self._clock()
            if self._monitor.report_due <= now:
                self._report()
            elif self._monitor.probe_due <= now:
                self._probe()
            else:
                self._sleep(self._monitor.due - now)

    def _probe(self):
        began = self._clock()
        try:
            meaning, words = self._prober.probe()
        except Exception:
            # A fault of this code must not end the watch, nor be taken for the endpoint's.
            LOG.exception("A probe of VIM %s could not be made", self._vim_id)
            meaning, words = monitor.INCONCLUSIVE, ""
        before = self._monitor.verdict
        self._monitor.probe_finished(meaning, began, self._clock())
        if self._monitor.verdict != before:
            LOG.info("VIM %s: %s to %s (%s)", self._vim_id, before, self._monitor.verdict, words)

    def _report(self):
        claim = self._monitor.verdict
        try:
            answer = self._peer.update_vim(self._vim_id, claim, self._action_id)
        except Exception as error:
            # Broker or conductor are away, or restart: whatever it is, watching goes on.
            self._monitor.report_failed(self._clock(), random.random())
            self._complain(error)
            return
        if self._complained_at is not None:
            LOG.info("The conductor takes the reports of VIM %s again", self._vim_id)
            self._complained_at = None
        self._monitor.report_answered(answer, claim, self._clock())

    def _complain(self, error):
        now = self._clock()
        if self._complained_at is not None and now - self._complained_at < _COMPLAINT_INTERVAL:
            return
        self._complained_at = now
        LOG.warning(
            "The conductor does not take the reports of VIM %s; it is tried again and again (%s: %s)",
            self._vim_id, type(error).__name__, error)
