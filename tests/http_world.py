"""A real HTTP server on this machine that serves files, or goes wrong in one of the ways that servers do."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "X-Amz-Signature=hush"
"""of an address, which nobody may see"""


class Server:
    """asked: the paths that were asked for, in order; files: path -> content."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.files: dict[str, bytes] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):  # the library's name
                path = self.path.partition("?")[0]
                outer.asked.append(path)
                answer = getattr(outer, path.strip("/").partition(".")[0], None)
                if answer is not None:
                    answer(self)
                elif path in outer.files:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(outer.files[path])))
                    self.end_headers()
                    self.wfile.write(outer.files[path])
                else:
                    self.send_error(404)

            def log_message(self, *_arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def endless(self, request):
        self._trickle(request, b"0" * 65536, 0.0)

    def slow(self, request):
        self._trickle(request, b"0", 0.02)

    def silent(self, request):
        self._trickle(request, b"0", 3.0)

    def broken(self, request):
        request.send_response(500)
        request.end_headers()

    def elsewhere(self, request):
        self._redirect(request, f"{self.url}/set.tar")

    def outside(self, request):
        self._redirect(request, "file:///etc/hostname")

    def around(self, request):
        self._redirect(request, f"{self.url}/around.tar")

    def large(self, request):
        request.send_response(200)
        request.send_header("Content-Length", "100001")
        request.end_headers()

    def cut(self, request):
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        request.wfile.write(b"0")

    @staticmethod
    def _redirect(request, where):
        request.send_response(302)
        request.send_header("Location", where)
        request.end_headers()

    @staticmethod
    def _trickle(request, chunk, pause):
        request.send_response(200)
        request.end_headers()
        try:
            for _ in range(2000):
                request.wfile.write(chunk)
                request.wfile.flush()
                time.sleep(pause)
        except OSError:  # whoever asked has had enough
            pass

    def stop(self):
        self.http.shutdown()
        self.http.server_close()
