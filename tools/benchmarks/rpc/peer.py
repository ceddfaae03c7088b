"""What Tacker's conductor did: an oslo.messaging server that writes each report to PostgreSQL before it answers.

usage: peer.py URL DSN VIM_ID ACTION_ID READY_FILE
"""

import logging
import queue
import sys
import warnings

warnings.simplefilter("ignore")
import oslo_messaging  # noqa: E402
import psycopg2  # noqa: E402
from oslo_config import cfg  # noqa: E402

logging.basicConfig(level=logging.ERROR)


class Conductor:
    """One UPDATE, one INSERT and one COMMIT a call, over a pool of connections."""

    target = oslo_messaging.Target(version="1.0")

    def __init__(self, dsn):
        self.pool = queue.Queue()
        for _ in range(64):
            self.pool.put(psycopg2.connect(dsn))

    def update_vim(self, context, vim_id, status, action_id):
        connection = self.pool.get()
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE vims SET status = %s WHERE id = %s AND action_id = %s", (status, vim_id, action_id)
                )
                answer = status if cursor.rowcount else "bad_action"
                cursor.execute(
                    "INSERT INTO events (vim_id, action_id, status, answer) VALUES (%s, %s, %s, %s)",
                    (vim_id, action_id, status, answer),
                )
            connection.commit()
            return answer
        finally:
            self.pool.put(connection)


def main():
    url, dsn, vim_id, action_id, ready_file = sys.argv[1:]
    with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS vims, events")
        cursor.execute("CREATE TABLE vims (id text PRIMARY KEY, action_id text, status text)")
        cursor.execute(
            "CREATE TABLE events (position bigserial PRIMARY KEY, time timestamptz DEFAULT now(), vim_id text, "
            "action_id text, status text, answer text)"
        )
        cursor.execute("INSERT INTO vims VALUES (%s, %s, 'PENDING')", (vim_id, action_id))
    cfg.CONF([])
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, url=url)
    target = oslo_messaging.Target(exchange="tacker", topic="TACKER_CONDUCTOR", server="peer")
    server = oslo_messaging.get_rpc_server(transport, target, [Conductor(dsn)], executor="threading")
    server.start()
    open(ready_file, "w", encoding="ascii").close()
    server.wait()


main()
