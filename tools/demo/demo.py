#!/usr/bin/env python3
"""Shows Vedette at work: three stand-in VIMs on loopback, and each change of their status as it happens.

Starts a throw-away server and three endpoints (healthy; down and up again on a schedule; slow), registers them
through the REST API, and follows the audit log. Ctrl-C stops and removes all of it. tools/run --demo calls it.
"""

import argparse
import concurrent.futures
import ctypes
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

STAND_IN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stand_in_vim.py")
COLOURS = {"REACHABLE": "32", "UNREACHABLE": "31;1", "PENDING": "33"}
MONITOR = {"interval": 1, "timeout": 3, "failure_threshold": 2, "success_threshold": 1}


class DemoError(Exception):
    """Why the demo cannot go on, in one sentence."""


def paint(code, text):
    plain = not sys.stdout.isatty() and os.environ.get("CLICOLOR_FORCE", "0") == "0"
    return text if plain or os.environ.get("NO_COLOR") else "\033[%sm%s\033[0m" % (code, text)


def end_with_parent():
    """Called in each child: asks the kernel to end it should this process be killed outright."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # 1 is PR_SET_PDEATHSIG


class Demo:
    def __init__(self, options, directory):
        self.options = options
        self.directory = directory
        self.data = os.path.join(directory, "data")
        self.children = []
        self.names = {}
        self.status = {}
        self.address = None

    def start(self, command, log=None, **more):
        # In a session of their own, so that the terminal's Ctrl-C reaches this process alone, which then
        # stops the others in order.
        output = open(os.path.join(self.directory, log), "ab") if log else subprocess.PIPE
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, preexec_fn=end_with_parent,
                                 start_new_session=True, **more)
        self.children.append(child)
        return child

    def wait_for(self, child, path, log):
        for _ in range(600):
            if os.path.exists(path):
                with open(path) as file:
                    return file.read()
            if child.poll() is not None:
                break
            time.sleep(0.1)
        with open(os.path.join(self.directory, log), errors="replace") as file:
            raise DemoError("%s did not start: %s" % (child.args[0], file.read()[-2000:]))

    def start_endpoint(self, name, arguments):
        port_file = os.path.join(self.directory, name + ".port")
        log = name + ".log"
        child = self.start([sys.executable, STAND_IN, "--port-file", port_file] + arguments, log,
                           stderr=subprocess.STDOUT)
        return "http://127.0.0.1:%d" % int(self.wait_for(child, port_file, log))

    def start_server(self):
        command = [self.options.vedette, "serve", "--data-directory", self.data, "--listen", self.options.listen,
                   "--auth", "none"] + self.options.serve
        os.makedirs(self.data)
        child = self.start(command, "server.log", stderr=subprocess.STDOUT)
        text = self.wait_for(child, os.path.join(self.data, "server.json"), "server.log")
        self.address = json.loads(text)["address"]

    def register(self, name, url):
        vim = {"name": name, "type": "openstack", "auth_url": url, "is_default": False,
               "vim_project": {"name": "demo", "project_domain_name": "Default"},
               "auth_cred": {"username": "demo", "password": "demo-password", "user_domain_name": "Default",
                             "cert_verify": "True"},
               "extra": {"monitor": MONITOR}}
        request = urllib.request.Request("http://%s/v1.0/vims" % self.address, method="POST",
                                         data=json.dumps({"vim": vim}).encode(),
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return json.load(reply)["vim"]["id"]
        except urllib.error.HTTPError as error:
            raise DemoError("registering %s answered %d: %s" % (name, error.code, error.read().decode())) from error

    def show(self, event):
        """Prints a line if the event changed a VIM's status."""
        if event["type"] == "vim.registered":
            name = event.get("name") or self.names.get(event["vim_id"]) or event["vim_id"]
            self.names[event["vim_id"]] = name
            self.line(event, paint("36", "registered"), "")
            self.status[event["vim_id"]] = "PENDING"
        elif event["type"] == "vim.status_reported" and event.get("verdict") == "accepted":
            old, new = self.status.get(event["vim_id"], "PENDING"), event["status"]
            self.status[event["vim_id"]] = new
            if old != new:
                change = paint(COLOURS[old], "%11s" % old) + " → " + paint(COLOURS[new], "%-11s" % new)
                self.line(event, change, self.reason(event))

    @staticmethod
    def reason(event):
        microseconds = event.get("round_trip_microseconds")
        took = " (%.1f ms)" % (microseconds / 1000) if microseconds else ""
        return str(event.get("explanation") or event.get("reason") or "") + took

    def line(self, event, what, why):
        moment = datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00")).astimezone()
        name = self.names.get(event["vim_id"], event["vim_id"])
        print("%s  %s  %s  %s" % (moment.strftime("%H:%M:%S.%f")[:-3], paint("1", "%-13s" % name), what, why),
              flush=True)

    def run(self):
        endpoints = {
            "demo-healthy": self.start_endpoint("healthy", []),
            "demo-flapping": self.start_endpoint("flapping", ["--cycle", str(self.options.cycle)]),
            "demo-slow": self.start_endpoint("slow", ["--delay", "1.2"]),
        }
        self.start_server()
        print("Vedette serves http://%s, on a throw-away data directory." % self.address)
        print("Three VIMs: demo-healthy; demo-flapping, down and back every %g s; demo-slow, 1.2 s an answer."
              % self.options.cycle)
        print("Each is probed every second; two failures in a row make it UNREACHABLE. Ctrl-C ends the demo.\n",
              flush=True)
        follow = self.start([self.options.vedette, "audit", "log", "--follow", "--json", "--data-directory",
                             self.data])
        with concurrent.futures.ThreadPoolExecutor() as pool:
            pending = [pool.submit(self.register, name, url) for name, url in endpoints.items()]
            threading.Thread(target=self.end_if_refused, args=(pending,), daemon=True).start()
            for line in follow.stdout:
                self.show(json.loads(line))
        raise DemoError("the audit log ended by itself")

    @staticmethod
    def end_if_refused(pending):
        for future in pending:
            if future.exception():
                print("error: %s" % future.exception(), file=sys.stderr, flush=True)
                os.kill(os.getpid(), signal.SIGTERM)

    def stop(self):
        """Ends the follower and the server first: endpoints that vanish would be news."""
        for child in reversed(self.children):
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vedette", required=True, help="the program")
    parser.add_argument("--listen", default="127.0.0.1:0", help="HOST:PORT; port 0 takes any free one")
    parser.add_argument("--cycle", type=float, default=30, help="seconds between changes of demo-flapping")
    parser.add_argument("--duration", type=float, default=0, help="end after so many seconds; 0 goes on")
    parser.add_argument("serve", nargs="*", help="options for `vedette serve`, after --")
    return parser.parse_args()


def interrupt(signal_number, frame):
    raise KeyboardInterrupt


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGALRM, interrupt)
    directory = tempfile.mkdtemp(prefix="vedette-demo-")
    demo = Demo(options, directory)
    code = 0
    try:
        if options.duration:
            signal.setitimer(signal.ITIMER_REAL, options.duration)
        demo.run()
    except KeyboardInterrupt:
        print("\nstopping", flush=True)
    except DemoError as error:
        print("demo: error: %s" % error, file=sys.stderr)
        code = 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)
        demo.stop()
        shutil.rmtree(directory, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
