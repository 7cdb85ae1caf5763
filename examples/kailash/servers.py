"""The servers that the examples ask: on the loopback, each path with its own way of answering."""

from __future__ import annotations

import json
import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

os.environ.setdefault("NODELING_HTTP_ALLOW", "127.0.0.1")  # private addresses are refused unless allowed


class Site:
    """What was asked, and how many asked at one time."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"
        self.heard = []
        self.peak = 0
        self.inside = 0
        self.lock = threading.Lock()
        self.over = threading.Event()


@contextmanager
def serving(answer):
    """Serve `answer(site, path, body) → (status, value)` as JSON while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with site.lock:
                site.heard.append((self.path, json.loads(body) if body else None, dict(self.headers)))
                site.inside += 1
                site.peak = max(site.peak, site.inside)
            status, value = answer(site, self.path, body)
            with site.lock:
                site.inside -= 1
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET

        def log_message(self, format, *args):
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request, client_address):
            """A client that gave up is part of the show."""

    server = Quiet(("127.0.0.1", 0), Handler)
    site = Site(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        site.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
