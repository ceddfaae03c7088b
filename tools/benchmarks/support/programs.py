"""What the workloads that need a broker have in common: programs beside the benchmark, and a RabbitMQ of their own."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

HERTZ = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(what, ask, seconds=60):
    end = time.time() + seconds
    while time.time() < end:
        if ask():
            return
        time.sleep(0.05)
    sys.exit(f"error: waited in vain until {what}")


def is_listening(port):
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


class Running:
    """A process that is ended at the end."""

    def __init__(self, arguments, log, **more):
        self.log = open(log, "ab")
        more = {"stdout": self.log, "stdin": subprocess.DEVNULL, **more}
        self.process = subprocess.Popen(arguments, stderr=self.log, **more)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    @property
    def processor_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / HERTZ

    @property
    def resident_bytes(self):
        return resident_bytes(self.process.pid)


def resident_bytes(process):
    lines = pathlib.Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) * 1024


def epmd(directory, port):
    arguments = ["epmd", "-port", str(port), "-address", "127.0.0.1"]
    return Running(arguments, directory / "epmd.log")


def broker(directory, port, epmd_port):
    files = directory / "rabbit"
    for folder in ("db", "log"):
        (files / folder).mkdir(parents=True)
    (files / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\n")
    (files / "enabled_plugins").write_text("[].\n")
    (files / "environment.conf").write_text("")
    environment = {
        **os.environ,
        "HOME": str(files),
        "RABBITMQ_NODENAME": "vedette@localhost",
        "RABBITMQ_MNESIA_BASE": str(files / "db"),
        "RABBITMQ_LOG_BASE": str(files / "log"),
        "RABBITMQ_PID_FILE": str(files / "pid"),
        "RABBITMQ_CONFIG_FILE": str(files / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(files / "enabled_plugins"),
        "RABBITMQ_CONF_ENV_FILE": str(files / "environment.conf"),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "ERL_EPMD_PORT": str(epmd_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_ALLOW_INPUT": "1",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput -kernel inet_dist_use_interface {127,0,0,1} "
        "+sbwt none +sbwtdcpu none +sbwtdio none",
    }
    return Running(["/usr/lib/rabbitmq/bin/rabbitmq-server"], directory / "rabbit.log", env=environment)
