"""Measures one worker process that carries many monitor actions, and what they cost server and broker.

A real RabbitMQ, `vedette serve --workflows workers`, one `vedette worker`; the VIMs are registered over REST, and their
endpoints are loopback listeners that stay up: a VIM that is called UNREACHABLE ends the run with 1. Started by
tools/benchmarks/run workers.
"""

import argparse
import concurrent.futures
import http.client
import json
import math
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from programs import Running, broker, epmd, free_port, is_listening, wait_for  # noqa: E402

# What one Mistral executor has by default, and what a running action holds of it: a thread of the pool that runs it,
# and one that waits for it.
EXECUTOR_ACTIONS, THREADS_PER_ACTION = 64, 2


class Server:
    """`vedette serve`, and what it is asked."""

    def __init__(self, options, url):
        self.data = options.directory / "data"
        self.program = options.vedette
        self.running = Running(
            [options.vedette, "serve", "--data-directory", str(self.data), "--listen", "127.0.0.1:0"]
            + ["--workflows", "workers", "--registration-check", "deferred", "--log-level", "notice"]
            + ["--monitor-interval", str(options.interval), "--report-interval", str(options.report_interval)],
            options.directory / "vedette.log",
            env={**os.environ, "VEDETTE_RABBITMQ": url},
        )
        file = self.data / "server.json"
        wait_for("vedette serves", file.exists)
        self.address = json.loads(file.read_text())["address"]

    def command(self, *arguments):
        command = [self.program, *arguments, "--data-directory", str(self.data), "--json"]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def load(self):
        workers = json.loads(self.command("workers"))["workers"]
        return sum(worker["load"] for worker in workers)

    def ask(self, path):
        connection = http.client.HTTPConnection(self.address)
        connection.request("GET", path)
        return json.load(connection.getresponse())

    def statuses(self):
        found = {}
        for vim in self.ask("/v1.0/vims?fields=id&fields=status")["vims"]:
            found[vim["status"]] = found.get(vim["status"], 0) + 1
        return found

    def last_position(self):
        return json.loads(self.command("audit", "verify"))["events"]

    def reports(self, since, until):
        """How many reports came in, and which VIMs were called UNREACHABLE, why, and when."""
        count, alarms = 0, []
        command = [self.program, "audit", "log", "--data-directory", str(self.data), "--json"]
        command += ["--type", "vim.status_reported", "--from", str(since)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                event = json.loads(line)
                count += event["position"] <= until
                if "UNREACHABLE" in line:
                    alarms.append(line.strip())
        return count, alarms


class Listeners:
    """The endpoints, and how many connections they took."""

    def __init__(self, options):
        self.running = Running(
            [options.listen, str(options.endpoints), options.how], options.directory / "listen.log",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self.port = int(self.running.process.stdout.readline())

    def address(self, index):
        return f"127.0.{index // 250 % 250 + 1}.{index % 250 + 1}:{self.port}"

    def taken(self):
        self.running.process.stdin.write("\n")
        self.running.process.stdin.flush()
        return int(self.running.process.stdout.readline())


def register(options, server, listeners, callers=8):
    """Registers all VIMs, on so many connections at a time."""

    def some(first):
        connection = http.client.HTTPConnection(server.address)
        for number in range(first, options.vims, callers):
            vim = {
                "name": f"site-{number}",
                "type": "openstack",
                "auth_url": f"http://{listeners.address(number % options.endpoints)}/v3",
                "vim_project": {"name": "nfv", "project_domain_name": "Default"},
                "auth_cred": {"username": "nfv", "password": "secret", "user_domain_name": "Default"},
                "extra": {"monitor": {"probe": "tcp"}},
            }
            connection.request(
                "POST", "/v1.0/vims", json.dumps({"vim": vim}), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 201:
                sys.exit(f"error: a registration was answered {answer.status}: {body[:300]}")

    with concurrent.futures.ThreadPoolExecutor(callers) as pool:
        list(pool.map(some, range(callers)))


def python_threads(directory, count):
    """What a Python process with so many waiting threads has resident."""
    arguments = [sys.executable, str(pathlib.Path(__file__).with_name("threads.py")), str(count)]
    log = directory / f"threads-{count}.log"
    with Running(arguments, log) as process:
        wait_for("the threads run", lambda: "ready" in log.read_text())
        return process.resident_bytes


def measure(options, port):
    url = f"amqp://guest:guest@127.0.0.1:{port}/"
    listeners, server = Listeners(options), Server(options, url)
    worker = Running(
        [options.vedette, "worker", "--capacity", str(options.vims), "--log-level", "notice"],
        options.directory / "worker.log",
        env={**os.environ, "VEDETTE_RABBITMQ": url},
    )
    with listeners.running, server.running, worker:
        wait_for("the worker is there", lambda: json.loads(server.command("workers"))["workers"])
        time.sleep(2)
        programs = {"worker": worker, "server": server.running, "broker": options.broker}
        idle = {name: program.resident_bytes for name, program in programs.items()}
        began = time.time()
        register(options, server, listeners)
        registered = time.time()
        print(f"registered in {registered - began:.0f} s", file=sys.stderr)
        wait_for("the worker carries all", lambda: server.load() == options.vims, 600)
        wait_for("all are REACHABLE", lambda: server.statuses().get("REACHABLE") == options.vims, 600)
        settled = time.time() - registered
        print(f"all carried and REACHABLE {settled:.0f} s later", file=sys.stderr)
        # The first reports crowd: after one interval all have found their places.
        time.sleep(options.report_interval)
        since, before = server.last_position(), time.time()
        taken = listeners.taken()
        processor = {name: program.processor_seconds for name, program in programs.items()}
        peak = {name: 0 for name in programs}
        never = 0
        while (left := before + options.minutes * 60 - time.time()) > 0:
            time.sleep(min(left, 5))
            statuses = server.statuses()
            never = max(never, options.vims - statuses.get("REACHABLE", 0))
            for name, program in programs.items():
                peak[name] = max(peak[name], program.resident_bytes)
        elapsed = time.time() - before
        processor = {name: program.processor_seconds - processor[name] for name, program in programs.items()}
        probes = listeners.taken() - taken
        until = server.last_position()
        count, _ = server.reports(since + 1, until)
        _, alarms = server.reports(1, until)
        statuses = server.statuses()
    rows = []
    for name in programs:
        rows.append({
            "program": name,
            "idle_mib": idle[name] / 2**20,
            "rss_mib": peak[name] / 2**20,
            "rss_bytes_per_action": (peak[name] - idle[name]) / options.vims,
            "cpu_percent": processor[name] / elapsed * 100,
            "cpu_us_per_action_second": processor[name] / elapsed / options.vims * 1e6,
            "cpu_us_per_probe": processor[name] / max(1, probes) * 1e6,
        })
    return {
        "seconds": round(elapsed),
        "settled_seconds": round(settled, 1),
        "probes_per_second_expected": options.vims / options.interval,
        "probes_per_second": probes / elapsed,
        "reports_per_second_expected": options.vims / options.report_interval,
        "reports_per_second": count / elapsed,
        "not_reachable_at_most": never,
        "not_reachable_at_the_end": options.vims - statuses.get("REACHABLE", 0),
        "unreachable_reports": len(alarms),
        "alarms": alarms[:20],
        "rows": rows,
    }


def peer(options):
    """The same actions on Mistral executors with default settings, from a process measured now."""
    bare, threads = python_threads(options.directory, 0), EXECUTOR_ACTIONS * THREADS_PER_ACTION
    executors = math.ceil(options.vims / EXECUTOR_ACTIONS)
    one = python_threads(options.directory, threads)
    return {
        "executors": executors,
        "threads": options.vims * THREADS_PER_ACTION,
        "bare_python_mib": bare / 2**20,
        "python_with_threads_mib": one / 2**20,
        "all_mib": executors * one / 2**20,
    }


def report(options, found):
    facts = {
        "workload": "workers", "cores": os.cpu_count(), "load_average": os.getloadavg(), "vims": options.vims,
        "endpoints": options.endpoints, "interval": options.interval, "report_interval": options.report_interval,
        "listeners": options.how,
    }
    if options.json:
        print(json.dumps({**facts, **found}))
        return
    print(", ".join(f"{key} {value}" for key, value in facts.items()))
    for key, value in found.items():
        if not isinstance(value, (list, dict)):
            print(f"{key:>28}  {value:,.1f}" if isinstance(value, float) else f"{key:>28}  {value}")
    columns = list(found["rows"][0])
    for row in [dict(zip(columns, columns)), *found["rows"]]:
        cells = (f"{row[column]:.1f}" if isinstance(row[column], float) else row[column] for column in columns)
        print("  ".join(f"{cell:>{max(10, len(column))}}" for cell, column in zip(cells, columns)))
    peer = found["peer"]
    print(
        f"Beside it: Mistral runs {EXECUTOR_ACTIONS} long actions in an executor by default, each with "
        f"{THREADS_PER_ACTION} threads; {options.vims} actions need {peer['executors']} executors and "
        f"{peer['threads']} threads. A Python process with {EXECUTOR_ACTIONS * THREADS_PER_ACTION} waiting threads and "
        f"nothing of Mistral in it has {peer['python_with_threads_mib']:.1f} MiB here, all of them at least "
        f"{peer['all_mib']:.0f} MiB; they probe nothing.")
    for alarm in found["alarms"]:
        print(f"ALARM: {alarm}")


def main():
    parser = argparse.ArgumentParser(prog="tools/benchmarks/run workers", description=__doc__)
    parser.add_argument("--vedette", required=True, help="the release build (given by the script)")
    parser.add_argument("--listen", required=True, help="the listeners (given by the script)")
    parser.add_argument("--directory", type=pathlib.Path, required=True, help="on the disk to be measured")
    parser.add_argument("--vims", type=int, default=20_000)
    parser.add_argument("--endpoints", type=int, default=256, help="loopback listeners that the VIMs share")
    parser.add_argument("--how", choices=["wait", "close", "reset"], default="wait", help="what listeners do")
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--interval", type=float, default=10, help="seconds from one probe of a VIM to the next")
    parser.add_argument("--report-interval", type=float, default=60, help="seconds from one report to the next")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    port, epmd_port = free_port(), free_port()
    with epmd(options.directory, epmd_port):
        wait_for("epmd listens", lambda: is_listening(epmd_port))
        with broker(options.directory, port, epmd_port) as options.broker:
            wait_for("the broker listens", lambda: is_listening(port))
            found = measure(options, port)
    found["peer"] = peer(options)
    report(options, found)
    if found["unreachable_reports"] or found["not_reachable_at_the_end"]:
        sys.exit("error: VIMs that stayed up were not REACHABLE all the time")


main()
