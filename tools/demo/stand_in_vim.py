#!/usr/bin/env python3
"""A small loopback endpoint that stands for a VIM: the Keystone or Kubernetes calls that a VIM registry makes.

It serves the demo and the tests. It goes down and comes back on a schedule (--cycle) or when told
(SIGUSR1: down, SIGUSR2: up), and can be slow (--delay). Going down closes the listening socket, so that callers
are refused, unless --down-mode says otherwise. It writes its port to --port-file once it listens.
"""

import argparse
import base64
import http.server
import json
import os
import signal
import ssl
import sys
import threading
import time
import urllib.parse
import uuid

WRONG_CREDENTIALS = {
    "error": {
        "code": 401,
        "title": "Unauthorized",
        "message": "The request you have made requires authentication.",
    }
}
NOT_FOUND = {"error": {"code": 404, "title": "Not Found", "message": "Could not find the resource."}}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one request; everything it needs to know stands in server.options."""

    protocol_version = "HTTP/1.1"
    server_version = "stand-in-vim"

    def log_message(self, format, *args):
        if self.server.options.verbose:
            sys.stderr.write("%s %s\n" % (time.strftime("%H:%M:%S"), format % args))

    def answer(self, status, body, headers=()):
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def trouble(self):
        """Whether the endpoint is in a state in which it does not answer as it should."""
        options = self.server.options
        if self.server.is_down and options.down_mode == "silent":
            time.sleep(3600)
        if self.server.is_down and options.down_mode == "unavailable":
            self.answer(503, {"error": {"code": 503, "title": "Service Unavailable", "message": "down"}})
            return True
        time.sleep(options.delay)
        return False

    def do_GET(self):
        if self.trouble():
            return
        path = urllib.parse.urlsplit(self.path).path
        if self.server.options.kind == "kubernetes":
            self.get_kubernetes(path)
        else:
            self.get_openstack(path.rstrip("/"))

    def do_POST(self):
        body = self.body()
        if self.trouble():
            return
        if self.server.options.kind == "kubernetes":
            self.post_kubernetes(self.path, body)
        elif self.path.rstrip("/") == "/v3/auth/tokens":
            self.authenticate(body)
        else:
            self.answer(404, NOT_FOUND)

    # Keystone

    def version(self):
        host = "http%s://%s/v3/" % ("s" if self.server.options.tls_certificate else "", self.headers["Host"])
        return {"id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
                "links": [{"rel": "self", "href": host}]}

    def get_openstack(self, path):
        if path == "":
            self.answer(300, {"versions": {"values": [self.version()]}})
        elif path == "/v3":
            self.answer(200, {"version": self.version()})
        elif path == "/v3/regions":
            if self.headers.get("X-Auth-Token") not in self.server.tokens:
                self.answer(401, WRONG_CREDENTIALS)
            else:
                regions = [{"id": name, "parent_region_id": None, "description": "", "links": {}}
                           for name in self.server.options.regions]
                self.answer(200, {"regions": regions, "links": {"next": None, "previous": None}})
        else:
            self.answer(404, NOT_FOUND)

    def authenticate(self, body):
        options = self.server.options
        try:
            user = json.loads(body)["auth"]["identity"]["password"]["user"]
            given = (user["name"], user["password"])
        except (ValueError, KeyError, TypeError):
            self.answer(400, {"error": {"code": 400, "title": "Bad Request", "message": "malformed request"}})
            return
        if given != (options.username, options.password):
            self.answer(401, WRONG_CREDENTIALS)
            return
        token = uuid.uuid4().hex
        self.server.tokens.add(token)
        description = {"methods": ["password"], "expires_at": "2099-01-01T00:00:00.000000Z", "catalog": [],
                       "user": {"id": "1", "name": given[0], "domain": {"id": "default", "name": "Default"}},
                       "project": {"id": "2", "name": "demo", "domain": {"id": "default", "name": "Default"}}}
        self.answer(201, {"token": description}, [("X-Subject-Token", token)])

    # Kubernetes

    def is_authorized(self):
        options = self.server.options
        basic = base64.b64encode(("%s:%s" % (options.username, options.password)).encode()).decode()
        return self.headers.get("Authorization") in ("Bearer " + options.token, "Basic " + basic)

    def get_kubernetes(self, path):
        if not self.is_authorized():
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Unauthorized",
                      "message": "Unauthorized", "code": 401}
            self.answer(401, status)
        elif path == "/api/":
            self.answer(200, {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
        elif path == "/api/v1/namespaces":
            items = [{"metadata": {"name": name}, "status": {"phase": "Active"}}
                     for name in self.server.options.regions]
            self.answer(200, {"kind": "NamespaceList", "apiVersion": "v1", "metadata": {}, "items": items})
        elif path == "/version":
            self.answer(200, {"major": "1", "minor": "30", "gitVersion": "v1.30.0"})
        else:
            self.answer(404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404})

    def post_kubernetes(self, path, body):
        form = urllib.parse.parse_qs(body.decode())
        options = self.server.options
        if path != "/oidc/token":
            self.answer(404, NOT_FOUND)
        elif (form.get("username"), form.get("password")) != ([options.username], [options.password]):
            self.answer(401, {"error": "invalid_grant"})
        else:
            self.answer(200, {"id_token": options.token, "token_type": "Bearer"})


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, options, port, context, tokens):
        self.options, self.tokens, self.is_down = options, tokens, False
        super().__init__(("127.0.0.1", port), Handler)
        if context:
            # Handshakes happen in the request's own thread: a caller that never finishes one blocks nobody.
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request, client_address):
        pass  # Callers that hang up early or distrust our certificate are everyday life here.


class Endpoint:
    """The server while it is up, and the port it comes back to."""

    def __init__(self, options):
        self.options = options
        self.tokens = set()
        self.port = options.port
        self.server = None
        self.context = None
        if options.tls_certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(options.tls_certificate, options.tls_key)

    def up(self):
        if self.server is None:
            self.server = Server(self.options, self.port, self.context, self.tokens)
            self.port = self.server.server_address[1]
            threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.server.is_down = False

    def down(self):
        if self.server is not None and self.options.down_mode == "refuse":
            self.server.shutdown()
            self.server.server_close()
            self.server = None
        elif self.server is not None:
            self.server.is_down = True


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=["openstack", "kubernetes"], default="openstack")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--port-file", help="where to write the port once it listens")
    parser.add_argument("--username", default="demo")
    parser.add_argument("--password", default="demo-password")
    parser.add_argument("--token", default="demo-token", help="the bearer token that Kubernetes takes")
    parser.add_argument("--regions", nargs="+", default=["RegionOne"], help="regions, or namespaces")
    parser.add_argument("--delay", type=float, default=0, help="seconds before each answer")
    parser.add_argument("--cycle", type=float, default=0, help="seconds up, then as many down, and so on")
    parser.add_argument("--down", action="store_true", help="begin down")
    parser.add_argument("--down-mode", choices=["refuse", "unavailable", "silent"], default="refuse")
    parser.add_argument("--tls-certificate", help="PEM file; makes it HTTPS")
    parser.add_argument("--tls-key", help="PEM file")
    parser.add_argument("--verbose", action="store_true", help="a line on standard error for each request")
    return parser.parse_args()


def main():
    options = parse_arguments()
    # Blocked before any thread starts, so that only sigtimedwait below receives them.
    signals = {signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    endpoint = Endpoint(options)
    endpoint.up()
    if options.down:
        endpoint.down()
    if options.port_file:
        with open(options.port_file + ".new", "w") as file:
            file.write("%d\n" % endpoint.port)
        os.rename(options.port_file + ".new", options.port_file)
    else:
        print(endpoint.port, flush=True)
    is_up = not options.down
    while True:
        received = signal.sigtimedwait(signals, options.cycle or 3600)
        if received is None:
            if not options.cycle:
                continue
            is_up = not is_up
        elif received.si_signo == signal.SIGUSR1:
            is_up = False
        elif received.si_signo == signal.SIGUSR2:
            is_up = True
        else:
            return
        if is_up:
            endpoint.up()
        else:
            endpoint.down()


if __name__ == "__main__":
    main()
