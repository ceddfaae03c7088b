"""Unmodified oslo.messaging clients that report one VIM's status again and again, and count what they are told.

usage: oslo_load.py URL VIM_ID ACTION_ID --threads N --timeout SECONDS --stop-file FILE --count-file FILE

COUNT_FILE always holds the number of answers so far. Once STOP_FILE exists, calls under way are awaited and the
counts are printed as JSON: answers by word, and exceptions by name.
"""

import argparse
import collections
import json
import logging
import os
import threading
import time
import warnings

warnings.simplefilter("ignore")
import oslo_messaging  # noqa: E402
from oslo_config import cfg  # noqa: E402

logging.basicConfig(level=logging.CRITICAL)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("vim_id")
    parser.add_argument("action_id")
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--timeout", type=float, default=30)
    parser.add_argument("--stop-file", required=True)
    parser.add_argument("--count-file", required=True)
    options = parser.parse_args()
    cfg.CONF([])
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, url=options.url)
    target = oslo_messaging.Target(exchange="tacker", topic="TACKER_CONDUCTOR", version="1.0")
    make = getattr(oslo_messaging, "get_rpc_client", None) or oslo_messaging.RPCClient
    # As a monitor action reports: one try, and the next report is its own.
    client = make(transport, target).prepare(timeout=options.timeout, retry=0)
    counts = collections.Counter()
    lock = threading.Lock()

    def report():
        while not os.path.exists(options.stop_file):
            try:
                word = client.call(
                    {}, "update_vim", vim_id=options.vim_id, status="REACHABLE", action_id=options.action_id
                )
            except Exception as error:  # counted by name; the test judges
                word = type(error).__name__
                time.sleep(0.2)
            with lock:
                counts[word] += 1

    threads = [threading.Thread(target=report) for _ in range(options.threads)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        with lock:
            text = str(counts["REACHABLE"])
        with open(options.count_file + ".new", "w", encoding="ascii") as file:
            file.write(text)
        os.replace(options.count_file + ".new", options.count_file)
        time.sleep(0.05)
    print(json.dumps(counts))


main()
