# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""A server on the loopback that fails in the ways archives fail."""

import contextlib
import hashlib
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HTML = b'<!DOCTYPE html><html><body>Scheduled maintenance</body></html>'


def picture(name, size=4000):
    """Bytes that start and end like a JPEG, the same for the same name."""
    rng = random.Random(name)
    data = rng.randbytes(size - 6).replace(b'\xff', b'\xfe')
    return b'\xff\xd8\xff\xe0' + data + b'\xff\xd9'


def digest(data):
    return hashlib.sha256(data).hexdigest()


class FaultServer(ThreadingHTTPServer):
    """
    Serves ``picture(path)`` at each path, after the faults set for it.

    ``faults`` maps a path to a list with the fault of each request in turn;
    ``None`` is an honest answer, as is every request after the list.
    ``always`` maps a path to the fault of all its requests.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, stall=1.0):
        super().__init__(('127.0.0.1', 0), Handler)
        self.stall = stall
        self.faults = {}
        self.always = {}
        self.content = {}
        self.requests = []
        self.active = self.peak = 0
        self.lock = threading.Lock()
        self.closing = threading.Event()

    @property
    def address(self):
        return f'http://127.0.0.1:{self.server_port}'

    def url(self, path):
        return self.address + path

    def payload(self, path, body):
        """Bytes of a service, or None; for servers made from this one."""

    def handle_error(self, request, client_address):
        """Clients that give up are expected."""


@contextlib.contextmanager
def serving(server):
    thread = threading.Thread(
        target=server.serve_forever, kwargs={'poll_interval': 0.05}
    )
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        pass

    def do_GET(self):
        server = self.server
        length = int(self.headers.get('Content-Length') or 0)
        self.request_body = self.rfile.read(length).decode()
        with server.lock:
            server.requests.append((self.path, dict(self.headers)))
            server.active += 1
            server.peak = max(server.peak, server.active)
            path = urlsplit(self.path).path
            fault = server.always.get(path)
            if fault is None and server.faults.get(path):
                fault = server.faults[path].pop(0)
        try:
            name, _, argument = (fault or 'good').partition('=')
            getattr(self, f'send_{name}')(path, argument)
        finally:
            with server.lock:
                server.active -= 1

    do_POST = do_GET

    def body(self, path):
        content = self.server.content.get(path)
        if content is None:
            content = self.server.payload(path, self.request_body)
        return picture(path) if content is None else content

    def head(self, status, length, content_type='image/jpeg', **headers):
        self.send_response(status)
        if length is not None:
            self.send_header('Content-Length', str(length))
        if content_type:
            self.send_header('Content-Type', content_type)
        for key, value in headers.items():
            self.send_header(key.replace('_', '-'), value)
        self.end_headers()

    def page(self, status, **headers):
        self.head(status, len(HTML), 'text/html', **headers)
        self.wfile.write(HTML)

    def send_good(self, path, _):
        data = self.body(path)
        tag = f'"{digest(data)[:16]}"'
        wanted = self.headers.get('Range')
        if wanted and self.headers.get('If-Range') == tag:
            start = int(wanted.removeprefix('bytes=').rstrip('-'))
            total = len(data)
            data = data[start:]
            rest = f'bytes {start}-{total - 1}/{total}'
            self.head(206, len(data), ETag=tag, Content_Range=rest)
        else:
            self.head(200, len(data), ETag=tag)
        self.wfile.write(data)

    def send_status(self, path, code):
        self.page(int(code))

    def send_json(self, path, text):
        self.head(400, len(text), 'application/json')
        self.wfile.write(text.encode())

    def send_busy(self, path, seconds):
        self.page(429, Retry_After=seconds)

    def send_down(self, path, seconds):
        self.page(503, Retry_After=seconds)

    def send_html(self, path, _):
        self.page(200)

    def send_disguised(self, path, _):
        """An HTML page that claims to be a picture."""
        self.head(200, len(HTML))
        self.wfile.write(HTML)

    def send_text(self, path, _):
        self.head(200, 22, 'text/plain')
        self.wfile.write(b'error: no such dataset')

    def send_empty(self, path, _):
        self.head(200, 0)

    def send_truncated(self, path, _):
        """Half of the bytes that were promised; can be resumed."""
        data = self.body(path)
        self.head(200, len(data), ETag=f'"{digest(data)[:16]}"')
        self.wfile.write(data[: len(data) // 2])
        self.close_connection = True

    def send_untagged(self, path, _):
        data = self.body(path)
        self.head(200, len(data))
        self.wfile.write(data[: len(data) // 2])
        self.close_connection = True

    def send_changed(self, path, _):
        """Half of another version of the file."""
        data = self.body(path)
        self.head(200, len(data), ETag='"old"')
        self.wfile.write(b'\xff\xd8\xff' + bytes(len(data) // 2))
        self.close_connection = True

    def send_endless(self, path, _):
        """No length, cut in the middle."""
        data = self.body(path)
        self.head(200, None, Connection='close')
        self.wfile.write(data[: len(data) // 2])
        self.close_connection = True

    def send_chunked(self, path, cut):
        data = self.body(path)
        self.head(200, None, Transfer_Encoding='chunked')
        for start in range(0, len(data), 1000):
            piece = data[start : start + 1000]
            self.wfile.write(b'%x\r\n%b\r\n' % (len(piece), piece))
            if cut:
                self.close_connection = True
                return
        self.wfile.write(b'0\r\n\r\n')

    def send_reset(self, path, _):
        import socket
        import struct

        self.connection.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)
        )
        self.connection.close()
        self.close_connection = True

    def send_stall(self, path, _):
        self.server.closing.wait(self.server.stall)
        self.close_connection = True

    def send_stalled_body(self, path, _):
        data = self.body(path)
        self.head(200, len(data), ETag=f'"{digest(data)[:16]}"')
        self.wfile.write(data[:1000])
        self.wfile.flush()
        self.server.closing.wait(self.server.stall)
        self.close_connection = True

    def send_drip(self, path, _):
        data = self.body(path)
        self.head(200, len(data))
        for byte in data:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.server.closing.wait(0.02):
                break
        self.close_connection = True

    def send_loop(self, path, _):
        self.head(302, 0, Location=path)

    def send_moved(self, path, target):
        self.head(302, 0, Location=target)

    def send_flooding_redirect(self, path, _):
        """A redirect to itself with a body that does not end."""
        self.head(302, None, Location=path, Connection='close')
        self.flood()

    def flood(self):
        with contextlib.suppress(OSError):
            end = time.monotonic() + 20
            while time.monotonic() < end and not self.server.closing.is_set():
                self.wfile.write(bytes(65536))
        self.close_connection = True

    def send_huge(self, path, _):
        self.head(200, 10**12)
        self.wfile.write(picture(path))
        self.close_connection = True

    def send_flood(self, path, _):
        """A body of unknown length that does not end."""
        self.head(200, None, Connection='close')
        self.wfile.write(picture(path))
        self.flood()
