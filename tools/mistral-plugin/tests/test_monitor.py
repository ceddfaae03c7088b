import unittest

from vedette_mistral.monitor import (
    ANSWERED, BAD_ACTION, FAILED, INCONCLUSIVE, NEVER, PENDING, REACHABLE, REPORT_RETRY_MAX, UNREACHABLE, Monitor)
from vedette_mistral.pace import Pace

PACE = Pace(interval=10, timeout=5, failure_threshold=3, success_threshold=2, report_interval=60)


class MonitorTest(unittest.TestCase):
    def test_fresh_action_probes_at_once_and_reports_when_it_knows(self):
        monitor = Monitor(PACE, PENDING, 100, 0.9)
        self.assertEqual((monitor.probe_due, monitor.report_due), (100, NEVER))
        monitor.probe_finished(ANSWERED, 100, 101)
        self.assertEqual((monitor.verdict, monitor.probe_due, monitor.report_due), (PENDING, 101, NEVER))
        monitor.probe_finished(ANSWERED, 101, 102)
        self.assertEqual((monitor.verdict, monitor.report_due), (REACHABLE, 102))
        monitor.report_answered(REACHABLE, REACHABLE, 103)
        self.assertEqual((monitor.probe_due, monitor.report_due), (111, 163))

    def test_action_that_takes_over_raises_no_alarm_and_reports_within_half_an_interval(self):
        for phase in (0, 0.5, 0.99):
            monitor = Monitor(PACE, REACHABLE, 0, phase)
            self.assertEqual(monitor.verdict, REACHABLE)
            self.assertLessEqual(monitor.probe_due, 10)
            self.assertLessEqual(monitor.report_due, 30)
            self.assertGreaterEqual(monitor.report_due, 15)

    def test_one_lost_packet_is_no_alarm_and_a_dead_endpoint_is_told_after_three(self):
        monitor = self.told(REACHABLE)
        monitor.probe_finished(FAILED, 10, 10)
        self.assertEqual(monitor.probe_due, 11)
        monitor.probe_finished(ANSWERED, 11, 11)
        self.assertEqual(monitor.probe_due, 21)
        for second in (21, 22):
            monitor.probe_finished(FAILED, second, second)
            self.assertEqual(monitor.verdict, REACHABLE)
        monitor.probe_finished(FAILED, 23, 23)
        self.assertEqual((monitor.verdict, monitor.report_due, monitor.probe_due), (UNREACHABLE, 23, 33))

    def test_own_trouble_and_late_failures_prove_nothing(self):
        monitor = self.told(REACHABLE)
        for second in range(10, 30):
            monitor.probe_finished(INCONCLUSIVE, second, second)
            monitor.probe_finished(FAILED, second, second + 10.1)
        self.assertEqual(monitor.verdict, REACHABLE)

    def test_it_reports_at_every_interval_though_nothing_changed(self):
        monitor = self.told(REACHABLE)
        for _ in range(5):
            now = monitor.report_due
            monitor.report_answered(REACHABLE, REACHABLE, now)
            self.assertEqual(monitor.report_due, now + 60)

    def test_news_that_came_while_a_report_was_under_way_follows_at_once(self):
        monitor = self.told(REACHABLE)
        for second in (10, 11, 12):
            monitor.probe_finished(FAILED, second, second)
        monitor.report_answered(REACHABLE, REACHABLE, 13)
        self.assertEqual((monitor.told, monitor.report_due), (REACHABLE, 13))

    def test_failed_reports_are_tried_again_later_and_later_and_probing_goes_on(self):
        monitor = self.told(REACHABLE)
        waits = []
        for _ in range(8):
            monitor.report_failed(1000, jitter=1)
            waits.append(monitor.report_due - 1000)
            # News does not cut the wait short: the conductor is in trouble.
            for second in (1, 2, 3):
                monitor.probe_finished(FAILED, 1000 + second, 1000 + second)
        self.assertEqual(waits, [1, 2, 4, 8, 16, REPORT_RETRY_MAX, REPORT_RETRY_MAX, REPORT_RETRY_MAX])
        self.assertEqual((monitor.verdict, monitor.told, monitor.probe_due), (UNREACHABLE, REACHABLE, 1013))
        monitor.report_failed(1000, jitter=0)
        self.assertEqual(monitor.report_due, 1015)

    def test_bad_action_ends_it(self):
        monitor = self.told(REACHABLE)
        monitor.report_answered(BAD_ACTION, REACHABLE, 20)
        self.assertTrue(monitor.has_ended)
        self.assertEqual(monitor.due, NEVER)

    def test_settings_out_of_range_are_moved_to_the_nearest_allowed(self):
        pace = Pace.of(0, 1000, 0, 1000, 3600)
        self.assertEqual(pace, Pace(0.1, 300, 1, 100, 60))

    def told(self, status):
        monitor = Monitor(PACE, status, 0, 0)
        monitor.report_answered(status, status, 0)
        return monitor


if __name__ == "__main__":
    unittest.main()
