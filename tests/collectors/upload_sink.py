"""A web server that takes what is uploaded to it and counts it. Run as a program: prints its port."""

from __future__ import annotations

import http.server
import ssl
import sys

PAGE = b"<form id=f method=post enctype=multipart/form-data action=/form><input type=file id=i name=i></form>"


class Sink(http.server.BaseHTTPRequestHandler):
    """PUT and POST of any length; GET gives a form."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(PAGE)

    def do_PUT(self) -> None:
        if self.headers.get("Expect") == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        left = int(self.headers.get("Content-Length") or 0)
        while left > 0:
            left -= len(self.rfile.read(min(left, 1 << 16))) or left
        self._answer(b"taken")

    do_POST = do_PUT

    def log_message(self, format: str, *args: object) -> None:
        del format, args

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Arguments: the address to listen on, and a file with certificate and key for HTTPS."""
    server = http.server.ThreadingHTTPServer((sys.argv[1], 0), Sink)
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
