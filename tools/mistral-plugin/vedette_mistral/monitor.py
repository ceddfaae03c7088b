"""One monitor action as a value: when to probe, what the results mean, when to report.

It holds no clock and does no I/O. The *verdict* is what the action believes, *told* is what the conductor last
accepted. A report goes out at once when the two differ, and at every report interval whether they do or not.
"""

PENDING, REACHABLE, UNREACHABLE = "PENDING", "REACHABLE", "UNREACHABLE"
BAD_ACTION = "bad_action"

# What a probe's end says of the endpoint; INCONCLUSIVE if the trouble was this machine's own.
ANSWERED, FAILED, INCONCLUSIVE = "answered", "failed", "inconclusive"

# First and longest wait before a report is tried again (seconds).
REPORT_RETRY_MIN, REPORT_RETRY_MAX = 1.0, 30.0

NEVER = float("inf")


class Monitor:
    """All times are seconds of one monotonic clock."""

    def __init__(self, pace, status, now, phase):
        """A fresh action (PENDING) probes at once; one that takes over starts from the status that the registry
        believes, so that it raises no alarm by itself, and spreads its first probe and report.

        phase, 0 up to 1, is this action's place within its intervals.
        """
        self.pace = pace
        self.verdict = status if status in (REACHABLE, UNREACHABLE) else PENDING
        self.told = self.verdict
        self.has_ended = False
        is_fresh = self.verdict == PENDING
        self.probe_due = now if is_fresh else now + min(pace.interval, pace.report_interval) * phase
        # Whoever takes over reports early: until then nobody knows that it runs.
        self.report_due = NEVER if is_fresh else now + pace.report_interval * (0.25 + 0.25 * phase)
        self._streak = 0
        self._streak_answered = False
        self._failed_reports = 0

    @property
    def due(self):
        """When there is something to do next."""
        return min(self.probe_due, self.report_due)

    def probe_finished(self, meaning, began, now):
        """Takes a probe's result. A failure that was noticed later than after twice the timeout proves nothing:
        that was this machine's delay."""
        if meaning == FAILED and now - began > 2 * self.pace.timeout:
            meaning = INCONCLUSIVE
        if meaning == INCONCLUSIVE:
            self.probe_due = max(now, began + self.pace.retry)
            return
        is_contradicted = self._count(meaning == ANSWERED)
        wait = self.pace.retry if is_contradicted else self.pace.interval
        self.probe_due = max(now, began + wait)
        # After a failed report its wait holds for news, too: the conductor is in trouble.
        if self.verdict != self.told and self._failed_reports == 0:
            self.report_due = now

    def report_answered(self, answer, claim, now):
        """Takes the conductor's answer to a claim; after bad_action nothing happens any more."""
        self._failed_reports = 0
        if answer == BAD_ACTION:
            self.has_ended = True
            self.probe_due = self.report_due = NEVER
            return
        self.told = claim
        self.report_due = now + self.pace.report_interval if self.verdict == claim else now

    def report_failed(self, now, jitter):
        """A report got no answer: the newest status is kept and told later, with growing waits.

        jitter, 0 up to 1, is random, so that many actions do not come back in one instant.
        """
        wait = min(REPORT_RETRY_MIN * 2 ** min(self._failed_reports, 10), REPORT_RETRY_MAX)
        self._failed_reports += 1
        self.report_due = now + min(wait, self.pace.report_interval) * (0.5 + 0.5 * jitter)

    def _count(self, answered):
        """Counts a result; true if it contradicts the verdict and does not change it yet."""
        status = REACHABLE if answered else UNREACHABLE
        if status == self.verdict:
            self._streak = 0
            return False
        self._streak = self._streak + 1 if self._streak_answered == answered else 1
        self._streak_answered = answered
        if self._streak < (self.pace.success_threshold if answered else self.pace.failure_threshold):
            return True
        self.verdict = status
        self._streak = 0
        return False
