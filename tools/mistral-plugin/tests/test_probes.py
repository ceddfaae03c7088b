import contextlib
import os
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from vedette_mistral import probes
from vedette_mistral.monitor import ANSWERED, FAILED, INCONCLUSIVE


@contextlib.contextmanager
def endpoint(answer, context=None):
    """Serves on a free port; answer(connection) says what each caller gets. Yields the port and what was asked."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked = []

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                if context:
                    connection = context.wrap_socket(connection, server_side=True)
                asked.append(connection.recv(4096))
                answer(connection)
            except OSError:
                pass
            finally:
                connection.close()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1], asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def says(text):
    return lambda connection: connection.sendall(text.encode())


def probe(kind, url, timeout=5, **options):
    return probes.Prober(kind, url, timeout, **options).probe()


class ProbesTest(unittest.TestCase):
    def test_what_counts_as_an_answer(self):
        cases = [
            ("http", 200, ANSWERED), ("http", 300, ANSWERED), ("http", 399, ANSWERED), ("http", 400, FAILED),
            ("http", 401, FAILED), ("http", 503, FAILED), ("kubernetes", 200, ANSWERED),
            ("kubernetes", 401, ANSWERED), ("kubernetes", 403, ANSWERED), ("kubernetes", 404, FAILED),
        ]
        for kind, code, meaning in cases:
            with endpoint(says("HTTP/1.1 %d Word\r\n\r\n" % code)) as (port, asked):
                answer = probe(kind, "http://127.0.0.1:%d/identity/" % port)
                self.assertEqual(answer, (meaning, "HTTP %d" % code), kind)
                path = b"/identity/" + (b"version" if kind == "kubernetes" else b"")
                self.assertTrue(asked[0].startswith(b"GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % (path, port)))

    def test_what_is_no_answer(self):
        with endpoint(says("SSH-2.0-OpenSSH\r\n")) as (port, _):
            self.assertEqual(probe("http", "http://127.0.0.1:%d" % port), (FAILED, "what came back is no HTTP"))
        with endpoint(says("")) as (port, _):
            self.assertEqual(probe("http", "http://127.0.0.1:%d" % port)[0], FAILED)
        with endpoint(says("x" * 100_000)) as (port, _):
            self.assertEqual(probe("http", "http://127.0.0.1:%d" % port)[0], FAILED)
        # The listener is closed: refused.
        self.assertEqual(probe("http", "http://127.0.0.1:%d" % port), (FAILED, "Connection refused"))
        self.assertEqual(probe("tcp", "http://127.0.0.1:%d" % port)[0], FAILED)
        meaning, words = probe("http", "http://no-such-host.invalid")
        self.assertEqual(meaning, FAILED)
        self.assertIn("could not be resolved", words)
        for url in ("ftp://127.0.0.1", "http://", "http://127.0.0.1:x/", "http://127.0.0.1/a b", "nonsense"):
            self.assertEqual(probe("http", url)[0], FAILED, url)

    def test_the_timeout_is_for_the_whole_probe(self):
        def drip(connection):
            for byte in b"HTTP/1.1 200 OK":
                time.sleep(0.2)
                connection.sendall(bytes([byte]))

        with endpoint(drip) as (port, _):
            self.assertEqual(probe("http", "http://127.0.0.1:%d" % port, timeout=0.5), (FAILED, "timed out"))

    def test_lack_of_descriptors_is_this_machines_own_trouble(self):
        prober = probes.Prober("tcp", "http://127.0.0.1:1", 1)
        real = socket.socket

        def full(*arguments, **options):
            raise OSError(24, "Too many open files")

        socket.socket = full
        try:
            self.assertEqual(prober.probe(), (INCONCLUSIVE, "Too many open files"))
        finally:
            socket.socket = real

    def test_tcp(self):
        with endpoint(says("")) as (port, _):
            self.assertEqual(probe("tcp", "https://127.0.0.1:%d" % port), (ANSWERED, "connected"))

    def test_icmp(self):
        meaning, words = probe("icmp", "http://127.0.0.1/")
        if "may not send" in words:
            self.assertEqual(meaning, FAILED)
        else:
            self.assertEqual((meaning, words), (ANSWERED, "echo"))

    def test_certificates_are_verified_unless_told_otherwise(self):
        with tempfile.TemporaryDirectory() as directory:
            key, certificate = os.path.join(directory, "key"), os.path.join(directory, "certificate")
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate,
                 "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"],
                check=True, capture_output=True)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            with open(certificate) as file:
                text = file.read()
            with endpoint(says("HTTP/1.1 200 OK\r\n\r\n"), context) as (port, _):
                url = "https://127.0.0.1:%d" % port
                self.assertEqual(probe("http", url, ca_cert=text), (ANSWERED, "HTTP 200"))
                self.assertEqual(probe("http", url, cert_verify=False), (ANSWERED, "HTTP 200"))
                meaning, words = probe("http", url)
                self.assertEqual(meaning, FAILED)
                self.assertIn("CERTIFICATE_VERIFY_FAILED", words)
                # The name on the certificate counts, too.
                self.assertEqual(probe("http", url.replace("127.0.0.1", "localhost"), ca_cert=text)[0], FAILED)


if __name__ == "__main__":
    unittest.main()
