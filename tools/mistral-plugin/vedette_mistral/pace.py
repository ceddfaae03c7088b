"""How one monitor action works: every setting decided."""

import dataclasses

# While the newest result disagrees with the status, probes follow each other at least this fast (seconds).
RETRY_MAX = 1.0


@dataclasses.dataclass(frozen=True)
class Pace:
    """Times are in seconds; what is out of its range is moved to the nearest value allowed."""

    interval: float = 10.0
    timeout: float = 5.0
    failure_threshold: int = 3
    success_threshold: int = 1
    report_interval: float = 60.0

    @classmethod
    def of(cls, interval, timeout, failure_threshold, success_threshold, report_interval):
        return cls(
            interval=_clamped(float(interval), 0.1, 86_400.0),
            timeout=_clamped(float(timeout), 0.01, 300.0),
            failure_threshold=_clamped(int(failure_threshold), 1, 100),
            success_threshold=_clamped(int(success_threshold), 1, 100),
            # More than a minute, and the action would learn too late that it is to end.
            report_interval=_clamped(float(report_interval), 0.1, 60.0),
        )

    @property
    def retry(self):
        return min(self.interval, RETRY_MAX)


def _clamped(value, low, high):
    return min(max(value, low), high)
