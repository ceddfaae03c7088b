#!/usr/bin/env python3
"""Serves a real Keystone on loopback from a directory that keeps its database (SQLite, fernet tokens).

The first start in a directory makes the database: user `admin`, password `keystone-admin-secret`, project
`admin`, region RegionOne. Runs under the Python of a virtual environment that has Keystone.
"""

import argparse
import getpass
import grp
import os
import socketserver
import subprocess
import sys
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

CONFIGURATION = """[DEFAULT]
log_file = {directory}/keystone.log
[database]
connection = sqlite:///{directory}/keystone.db
[token]
provider = fernet
[fernet_tokens]
key_repository = {directory}/fernet
[credential]
key_repository = {directory}/credential
"""


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class Handler(WSGIRequestHandler):
    def address_string(self):
        return self.client_address[0]


def make_database(directory, configuration, port):
    """Bootstraps in the order that Keystone's installation guide gives; marks the end, so half is redone."""
    manage = [os.path.join(os.path.dirname(sys.executable), "keystone-manage"), "--config-file", configuration]
    user, group = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name
    url = "http://127.0.0.1:%d/v3" % port
    owner = ["--keystone-user", user, "--keystone-group", group]
    subprocess.run(manage + ["db_sync"], check=True)
    subprocess.run(manage + ["fernet_setup"] + owner, check=True)
    subprocess.run(manage + ["credential_setup"] + owner, check=True)
    subprocess.run(
        manage + ["bootstrap", "--bootstrap-username", "admin", "--bootstrap-project-name", "admin",
                  "--bootstrap-role-name", "admin", "--bootstrap-region-id", "RegionOne",
                  "--bootstrap-public-url", url, "--bootstrap-internal-url", url],
        check=True, env={**os.environ, "OS_BOOTSTRAP_PASSWORD": "keystone-admin-secret"})
    open(os.path.join(directory, "made"), "w").close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--port-file", help="where to write the port once it serves")
    options = parser.parse_args()
    directory = os.path.abspath(options.directory)
    os.makedirs(directory, exist_ok=True)
    configuration = os.path.join(directory, "keystone.conf")
    with open(configuration, "w") as file:
        file.write(CONFIGURATION.format(directory=directory))

    server = make_server("127.0.0.1", options.port, None, Server, Handler)
    port = server.server_address[1]
    if not os.path.exists(os.path.join(directory, "made")):
        make_database(directory, configuration, port)

    sys.argv = ["keystone-wsgi"]  # Keystone reads the arguments itself and would not understand ours.
    os.environ["OS_KEYSTONE_CONFIG_FILES"] = configuration
    from keystone.server.wsgi import initialize_public_application

    server.set_app(initialize_public_application())
    if options.port_file:
        with open(options.port_file + ".new", "w") as file:
            file.write("%d\n" % port)
        os.rename(options.port_file + ".new", options.port_file)
    server.serve_forever()


if __name__ == "__main__":
    main()
