"""Sends the conductor what no oslo.messaging client sends, and tells in JSON what came back.

usage: publish_raw.py URL VIM_ID ACTION_ID
"""

import json
import socket
import sys
import time
import uuid

import kombu

EXCHANGE, TOPIC = "tacker", "TACKER_CONDUCTOR"


class Sender:
    """A connection with a reply queue of its own."""

    def __init__(self, url):
        self.connection = kombu.Connection(url.replace("rabbit://", "amqp://"))
        self.channel = self.connection.channel()

    def publish(self, body, content_type="application/json", content_encoding="utf-8"):
        kombu.Producer(self.channel).publish(
            body,
            exchange=EXCHANGE,
            routing_key=TOPIC,
            content_type=content_type,
            content_encoding=content_encoding,
            serializer=None,
        )

    def listen(self, queue):
        self.replies = []
        consumer = kombu.Consumer(
            self.channel,
            queues=[kombu.Queue(queue, durable=False)],
            accept=["json"],
            no_ack=True,
            callbacks=[lambda body, message: self.replies.append(json.loads(body["oslo.message"]))],
        )
        consumer.consume()

    def wait(self, seconds, count=1):
        end = time.time() + seconds
        while len(self.replies) < count and time.time() < end:
            try:
                self.connection.drain_events(timeout=0.2)
            except socket.timeout:
                pass
        return self.replies


def call(queue, vim_id, action_id, **changes):
    message = {
        "method": "update_vim",
        "args": {"vim_id": vim_id, "status": "REACHABLE", "action_id": action_id},
        "version": "1.0",
        "_msg_id": uuid.uuid4().hex,
        "_reply_q": queue,
        "_timeout": None,
        "_unique_id": uuid.uuid4().hex,
        **changes,
    }
    return envelope(message)


def envelope(message, version="2.0"):
    return json.dumps({"oslo.version": version, "oslo.message": json.dumps(message)}).encode()


def main():
    url, vim_id, action_id = sys.argv[1:]
    sender = Sender(url)
    queue = "reply_" + uuid.uuid4().hex
    sender.listen(queue)
    good = call(queue, vim_id, action_id)
    result = {}

    unanswerable = [
        (b"", "application/json", "utf-8"),
        (b"not json", "application/json", "utf-8"),
        (b"[1, 2]", "application/json", "utf-8"),
        (b"\xff\xfe\x00", "application/json", "utf-8"),
        (b"[" * 100_000, "application/json", "utf-8"),
        (envelope({"method": "update_vim"}, version="3.0"), "application/json", "utf-8"),
        (b'{"oslo.version": "2.0", "oslo.message": 7}', "application/json", "utf-8"),
        (good, "application/x-python-serialize", "binary"),
        (good.decode().encode("utf-16"), "application/json", "utf-16"),
        (json.dumps("x" * 3_000_000).encode(), "application/json", "utf-8"),
        (call("q" * 256, vim_id, action_id), "application/json", "utf-8"),
    ]
    for body, content_type, content_encoding in unanswerable:
        sender.publish(body, content_type, content_encoding)
    result["unanswerable"] = len(unanswerable)

    for change in ({"method": 7}, {"args": [1]}, {"version": 1.0}):
        sender.publish(call(queue, vim_id, action_id, **change))
    result["answerable"] = [reply["failure"] is not None for reply in sender.wait(20, 3)]

    sender.listen(queue)
    twice = call(queue, vim_id, action_id)
    sender.publish(twice)
    sender.publish(twice)
    sender.wait(20)
    result["duplicates"] = [reply["result"] for reply in sender.wait(1, 2)]

    late = "reply_" + uuid.uuid4().hex
    sender.publish(call(late, vim_id, action_id))
    time.sleep(1)
    sender.listen(late)
    result["late"] = [reply["result"] for reply in sender.wait(20)]

    sender.publish(call("reply_" + uuid.uuid4().hex, vim_id, action_id))
    print(json.dumps(result))


main()
