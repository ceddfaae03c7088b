"""Measures update_vim over RabbitMQ: Vedette, a pair of it, bare servers in C and a Python conductor, in turn.

All of them serve the same topic of the same broker, one at a time, in interleaved rounds; the load comes from a
program in C. Processor time is the server process's own. Started by tools/benchmarks/run rpc.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from programs import Running, broker, epmd, free_port, is_listening, wait_for  # noqa: E402

SERVERS = ["vedette", "pair", "echo", "sync", "peer"]
# With whom each of ours is compared.
OTHERS = {"vedette": ["echo", "sync", "peer"], "pair": ["vedette"]}
IDS = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222")


def serve(options, directory, port, name, listen="127.0.0.1:0", more=()):
    """A vedette, and where it answers."""
    server = Running(
        [options.vedette, "serve", "--data-directory", str(directory / name), "--listen", listen]
        + ["--registration-check", "deferred", "--log-level", "notice"]
        + ["--rabbitmq", f"amqp://guest:guest@127.0.0.1:{port}/", *more],
        directory / f"{name}.log",
    )
    pid, file = server.process.pid, directory / name / "server.json"
    wait_for("vedette serves", lambda: file.exists() and json.loads(file.read_text())["pid"] == pid)
    return server, json.loads(file.read_text())["address"]


def vedette(options, directory, port):
    log = directory / "vedette.log"
    told = log.read_text().count("connected to the broker") if log.exists() else 0
    server, address = serve(options, directory, port, "vedette")
    wait_for("vedette has connected", lambda: log.read_text().count("connected to the broker") > told)
    return server, wanted_action(address)


class Pair:
    """Two of them and their etcd; only the leader consumes."""

    def __init__(self, options, parent, port):
        # Each time a new pair: etcd would want its former ports.
        directory = pathlib.Path(tempfile.mkdtemp(prefix="pair-", dir=parent))
        ports = [free_port() for _ in range(6)]
        clients, peers = (f"http://127.0.0.1:{port}" for port in ports[4:])
        self.etcd = Running(
            ["etcd", "--name", "rpc", "--data-dir", str(directory / "etcd"), "--logger", "zap"]
            + ["--log-outputs", "stderr", "--listen-client-urls", clients, "--advertise-client-urls", clients]
            + ["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers]
            + ["--initial-cluster", f"rpc={peers}"],
            directory / "etcd.log",
        )
        wait_for("etcd listens", lambda: is_listening(ports[4]))
        self.nodes = []
        for number in range(2):
            more = ["--pair", "rpc", "--etcd", clients, "--pair-listen", f"127.0.0.1:{ports[2 + number]}"]
            more += ["--peer", f"127.0.0.1:{ports[3 - number]}"]
            node, self.address = serve(
                options, directory, port, f"node-{number}", f"127.0.0.1:{ports[number]}", more)
            self.nodes.append(node)
        status = [options.vedette, "pair", "status", "--json", "--pair", "rpc", "--etcd", clients]
        wait_for("both are in sync", lambda: self.ask(status).get("in_sync") == 2)
        logs = list(directory.glob("node-*.log"))
        wait_for("the leader consumes", lambda: any("connected to the broker" in log.read_text() for log in logs))

    def __enter__(self):
        return self

    def __exit__(self, *what):
        for program in [*self.nodes, self.etcd]:
            program.__exit__(*what)

    @staticmethod
    def ask(command):
        # It ends with 1 as long as anything is wrong.
        text = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True).stdout
        return json.loads(text) if text else {}

    @property
    def processor_seconds(self):
        return sum(node.processor_seconds for node in self.nodes)


def pair(options, directory, port):
    both = Pair(options, directory, port)
    return both, wanted_action(both.address)


def wanted_action(address):
    """A registered VIM and its action."""

    def ask(path, body=None):
        request = urllib.request.Request(f"http://{address}{path}", data=body and json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        return json.load(urllib.request.urlopen(request))

    vims = ask("/v1.0/vims")["vims"]
    if not vims:
        vim = {
            "name": "rpc",
            "type": "openstack",
            "auth_url": "http://127.0.0.1:9",
            "vim_project": {"name": "nfv", "project_domain_name": "Default"},
            "auth_cred": {"username": "nfv", "password": "secret", "user_domain_name": "Default"},
        }
        vims = [ask("/v1.0/vims", {"vim": vim})["vim"]]
    return vims[0]["id"], ask(f"/vedette/v1/vims/{vims[0]['id']}")["vim"]["action_id"]


def echo(options, directory, port, is_synced=False):
    log = directory / "echo.log"
    log.write_text("")
    file = [str(directory / "synced")] if is_synced else []
    server = Running([options.echo, str(port), *file], log)
    wait_for("the echo is ready", lambda: "ready" in log.read_text())
    return server, IDS


def sync(options, directory, port):
    return echo(options, directory, port, is_synced=True)


def peer(options, directory, port):
    ready = directory / "peer-ready"
    ready.unlink(missing_ok=True)
    url = f"rabbit://guest:guest@127.0.0.1:{port}/"
    server = Running(
        [options.python, str(pathlib.Path(__file__).with_name("peer.py")), url, options.dsn, *IDS, str(ready)],
        directory / "peer.log",
    )
    wait_for("the peer serves", ready.exists)
    return server, IDS


def load(options, port, ids, outstanding, seconds, rate=0):
    arguments = [options.load, str(port), *ids, str(outstanding), str(seconds), str(rate)]
    return json.loads(subprocess.run(arguments, check=True, stdout=subprocess.PIPE, text=True).stdout)


def measure(options, port, directory):
    found = {}
    servers = {"vedette": vedette, "pair": pair, "echo": echo, "sync": sync, "peer": peer}
    for number in range(options.rounds):
        for name, start in servers.items():
            if name not in options.servers or name == "peer" and not options.dsn:
                continue
            server, ids = start(options, directory, port)
            with server:
                load(options, port, ids, 32, 0.5)
                for outstanding in (32, 256):
                    before = server.processor_seconds
                    result = load(options, port, ids, outstanding, options.seconds)
                    result["cpu_us"] = (server.processor_seconds - before) / result["calls"] * 1e6
                    found.setdefault((name, str(outstanding)), []).append(result)
                result = load(options, port, ids, 1, options.seconds, rate=100)
                found.setdefault((name, "100/s"), []).append(result)
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    return found


def median(results, key):
    return statistics.median(result[key] for result in results)


def report(found, options):
    rows = []
    for (name, load_name), results in found.items():
        row = {"server": name, "load": load_name, "rounds": len(results)}
        for key in ("rate", "p50_us", "p99_us", "cpu_us"):
            if key in results[0]:
                row[key] = round(median(results, key), 1)
        row["lost"] = sum(result["lost"] for result in results)
        row["refused"] = sum(result["refused"] for result in results)
        for other in OTHERS.get(name, []):
            pairs = list(zip(results, found.get((other, load_name), [])))
            if pairs:
                key = "p99_us" if load_name == "100/s" else "rate"
                row[f"{key}_to_{other}"] = round(statistics.median(a[key] / b[key] for a, b in pairs), 2)
        rows.append(row)
    facts = {"workload": "rpc", "cores": os.cpu_count(), "load_average": os.getloadavg(), "seconds": options.seconds}
    if options.json:
        print(json.dumps({**facts, "rows": rows}))
        return
    print(", ".join(f"{key} {value}" for key, value in facts.items()))
    columns = ["server", "load", "rate", "p50_us", "p99_us", "cpu_us", "lost", "refused"]
    for row in [dict(zip(columns, columns)), *rows]:
        print("  ".join(f"{row.get(column, ''):>10}" for column in columns))
    print("one to the others, medians of the rounds' ratios:")
    for row in rows:
        ratios = {key: value for key, value in row.items() if "_to_" in key}
        if ratios:
            print(f"{row['server']:>10}  {row['load']:>10}  " + "  ".join(f"{key} {value}" for key, value in ratios.items()))


def main():
    parser = argparse.ArgumentParser(prog="tools/benchmarks/run rpc", description=__doc__)
    parser.add_argument("--vedette", required=True, help="the release build (given by the script)")
    parser.add_argument("--load", required=True, help="the load generator (given by the script)")
    parser.add_argument("--echo", required=True, help="the bare server (given by the script)")
    parser.add_argument("--python", required=True, help="Python with oslo.messaging (given by the script)")
    parser.add_argument("--dsn", default="", help="PostgreSQL for the peer; without it there is no peer")
    parser.add_argument("--directory", type=pathlib.Path, required=True, help="on the disk to be measured")
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=SERVERS, help="which of them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of each load")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    port, epmd_port = free_port(), free_port()
    with epmd(options.directory, epmd_port):
        wait_for("epmd listens", lambda: is_listening(epmd_port))
        with broker(options.directory, port, epmd_port):
            wait_for("the broker listens", lambda: is_listening(port))
            found = measure(options, port, options.directory)
    report(found, options)


main()
