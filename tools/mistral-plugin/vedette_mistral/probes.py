"""Reachability probes. Each makes one measurement over a fresh connection, within its timeout, and never retries.

A probe returns (meaning, words): see monitor.ANSWERED and its neighbours.
"""

import errno
import os
import socket
import ssl
import struct
import time
import urllib.parse

from vedette_mistral.monitor import ANSWERED, FAILED, INCONCLUSIVE

# An answer's first line may take no more; nothing is read after it.
_LINE_MAX = 4096
# This machine lacks something: that says nothing of the endpoint.
_OWN_TROUBLE = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}


class Endpoint:
    """What of an auth_url a probe needs."""

    def __init__(self, auth_url):
        parts = urllib.parse.urlsplit(auth_url)
        if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
            raise ValueError("auth_url is no http or https URL with a host")
        if any(not 0x20 < ord(character) < 0x7F for character in auth_url):
            raise ValueError("auth_url holds a character that no URL may hold")
        self.is_secure = parts.scheme.lower() == "https"
        self.host = parts.hostname
        self.port = parts.port or (443 if self.is_secure else 80)
        self.path = parts.path or "/"

    @property
    def host_header(self):
        host = "[%s]" % self.host if ":" in self.host else self.host
        return host if self.port == (443 if self.is_secure else 80) else "%s:%d" % (host, self.port)


class Prober:
    """Probes one endpoint in one way.

    kind is http, kubernetes, tcp or icmp. cert_verify and ca_cert (PEM) say how TLS is spoken.
    """

    def __init__(self, kind, auth_url, timeout, cert_verify=True, ca_cert=None):
        self._probe = {
            "http": self._http, "kubernetes": self._kubernetes, "tcp": self._tcp, "icmp": self._icmp,
        }[kind]
        self._timeout = timeout
        self._cert_verify = cert_verify
        self._ca_cert = ca_cert or None
        self._context = None
        self._fault = None
        try:
            self._endpoint = Endpoint(auth_url)
        except ValueError as error:
            self._fault = str(error)

    def probe(self):
        """Makes one probe."""
        if self._fault:
            return FAILED, self._fault
        try:
            return self._probe(time.monotonic() + self._timeout)
        except socket.timeout:
            return FAILED, "timed out"
        except socket.gaierror as error:
            return FAILED, "the host name could not be resolved (%s)" % error.strerror
        except ssl.SSLError as error:
            return FAILED, "TLS failed (%s)" % (error.reason or error)
        except OSError as error:
            # Under eventlet an error's own words may be its number's name.
            words = os.strerror(error.errno) if error.errno else str(error)
            return (INCONCLUSIVE if error.errno in _OWN_TROUBLE else FAILED), words

    def _http(self, deadline):
        return self._exchange(deadline, self._endpoint.path, lambda code: 200 <= code < 400)

    def _kubernetes(self, deadline):
        """Without credentials, which no workflow may hold, 401 and 403 are answers of the API server, too."""
        path = self._endpoint.path.rstrip("/") + "/version"
        return self._exchange(deadline, path, lambda code: 200 <= code < 400 or code in (401, 403))

    def _exchange(self, deadline, path, counts):
        endpoint = self._endpoint
        connection = _connect(endpoint, deadline)
        try:
            if endpoint.is_secure:
                connection.settimeout(_left(deadline))
                connection = self._tls().wrap_socket(connection, server_hostname=endpoint.host)
            request = (
                "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\nUser-Agent: vedette\r\n"
                "Connection: close\r\n\r\n" % (path, endpoint.host_header))
            connection.settimeout(_left(deadline))
            connection.sendall(request.encode("ascii"))
            code = _status_code(connection, deadline)
        finally:
            connection.close()
        if code is None:
            return FAILED, "what came back is no HTTP"
        return (ANSWERED if counts(code) else FAILED), "HTTP %d" % code

    def _tcp(self, deadline):
        _connect(self._endpoint, deadline).close()
        return ANSWERED, "connected"

    def _icmp(self, deadline):
        family, _, _, _, address = _addresses(self._endpoint.host, None, socket.SOCK_DGRAM)[0]
        is_v6 = family == socket.AF_INET6
        protocol = socket.IPPROTO_ICMPV6 if is_v6 else socket.IPPROTO_ICMP
        try:
            echo = _echo_socket(family, protocol)
        except PermissionError:
            return FAILED, "this executor may not send ICMP echoes (net.ipv4.ping_group_range)"
        mark = os.urandom(16)
        with echo:
            request = _echo_request(128 if is_v6 else 8, mark)
            echo.connect(address)
            echo.settimeout(_left(deadline))
            echo.send(request)
            while True:
                echo.settimeout(_left(deadline))
                # A raw socket hears its own request when it asks this machine: the mark alone is not enough.
                answer = echo.recv(2048)
                head = answer.find(mark) - 8
                if head >= 0 and answer[head] == (129 if is_v6 else 0):
                    return ANSWERED, "echo"

    def _tls(self):
        """Made once: reading the system's authorities takes longer than a probe."""
        if self._context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            if not self._cert_verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            elif self._ca_cert:
                context.load_verify_locations(cadata=self._ca_cert)
            else:
                context.load_default_certs()
            self._context = context
        return self._context


def _left(deadline):
    left = deadline - time.monotonic()
    if left <= 0:
        raise socket.timeout("timed out")
    return left


def _addresses(host, port, kind):
    """By place: under eventlet, on which Mistral 15 runs, the parameters have other names."""
    return socket.getaddrinfo(host, port, 0, kind)


def _connect(endpoint, deadline):
    """To the first address that takes the connection, in the order the resolver gives."""
    failure = None
    for family, kind, protocol, _, address in _addresses(endpoint.host, endpoint.port, socket.SOCK_STREAM):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(_left(deadline))
            connection.connect(address)
            return connection
        except OSError as error:
            connection.close()
            failure = error
            if isinstance(error, socket.timeout):
                break
    raise failure or OSError("no address")


def _status_code(connection, deadline):
    """The status of the answer's first line; None if that is no HTTP."""
    line = b""
    while b"\n" not in line and len(line) < _LINE_MAX:
        connection.settimeout(_left(deadline))
        some = connection.recv(_LINE_MAX - len(line))
        if not some:
            raise OSError("the endpoint closed the connection")
        line += some
    words = line.split(b"\n", 1)[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        return None
    return int(words[1])


def _echo_socket(family, protocol):
    """The kind that needs no privilege if the machine allows it, else a raw one."""
    try:
        return socket.socket(family, socket.SOCK_DGRAM, protocol)
    except PermissionError:
        return socket.socket(family, socket.SOCK_RAW, protocol)


def _echo_request(kind, mark):
    identifier, number = struct.unpack("!HH", os.urandom(4))
    head = struct.pack("!BBHHH", kind, 0, 0, identifier, number)
    data = head + mark
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return struct.pack("!BBHHH", kind, 0, ~total & 0xFFFF, identifier, number) + mark
