"""What stands between a client and DynamoDB Local, on loopback, and lets answers be lost: on purpose, one by one."""

import contextlib
import http.client
import json
import threading
import time
import zlib
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

Seen = namedtuple("Seen", "operation body fault")


class Proxy:
    """Passes calls on. ``plan``: what is done to the next calls of an operation; `always` to all of them.

    That is an answer, status and content, or the name of a fault. "… after": it was done before.
    """

    def __init__(self, endpoint):
        self.there = urlsplit(endpoint)
        self.plan, self.always, self.seen = {}, {}, []

    def __enter__(self):
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                operation = self.headers["X-Amz-Target"].rpartition(".")[2]
                planned = proxy.plan.get(operation)
                fault = planned.pop(0) if planned else proxy.always.get(operation)
                proxy.seen.append(Seen(operation, body, fault))
                proxy.answer(self, body, fault)

            def log_message(self, *said):
                """On standard error nobody reads it."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def called(self, operation):
        """How often."""
        return sum(one.operation == operation for one in self.seen)

    def passed_on(self, handler, body):
        """The answer of the engine."""
        there = http.client.HTTPConnection(self.there.hostname, self.there.port, timeout=30)
        with contextlib.closing(there):
            there.request("POST", "/", body, dict(handler.headers))
            answer = there.getresponse()
            return answer.status, answer.read()

    def answer(self, handler, body, fault):
        """Do as the fault says."""
        said = 200, b""
        if fault is None or (isinstance(fault, str) and fault.endswith("after")):
            said = self.passed_on(handler, body)
        if fault is None:
            send(handler, *said)
        elif isinstance(fault, tuple):
            send(handler, *fault)
        elif fault.startswith("500"):
            send(handler, 500, b'{"__type":"com.amazon.coral.service#InternalServerError","message":"Internal"}')
        elif fault.startswith("garbage"):
            send(handler, 200, b"<html>What was that?</html>", kind="text/html")
        elif fault.startswith("half"):
            send(handler, said[0], said[1][: len(said[1]) // 2])
        else:
            if fault.startswith("slow"):
                time.sleep(1.2)
            handler.close_connection = True  # and nothing is said


def error_of(code, *reasons, message="no"):
    """An error as DynamoDB says it."""
    made = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}
    if reasons:
        made["CancellationReasons"] = [{"Code": reason, "Message": reason} for reason in reasons]
    return 400, json.dumps(made).encode()


def send(handler, status, content, kind="application/x-amz-json-1.0"):
    with contextlib.suppress(OSError):  # who asked may have gone
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("x-amz-crc32", str(zlib.crc32(content)))
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


@pytest.fixture
def proxy(dynamodb_fleet, monkeypatch):
    """Stores of this test come to their tables by it; botocore waits for nothing between its attempts."""
    import botocore.endpoint

    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda seconds: None))
    with Proxy(dynamodb_fleet) as made:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", made.endpoint)
        yield made
