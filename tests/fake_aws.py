"""AWS on loopback, for tests: every request is checked against botocore's own model of the service, every answer too.

What a service knows lies in `fake_aws_world.World`; how its protocol writes things, in `fake_aws_wire`. A fault is a
function of the call that gives an answer instead, or nothing: see `fault`.
"""

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import botocore.session
from botocore.validate import ParamValidator

import fake_aws_wire as wire
import fake_aws_world as worlds

SERVICES = ("service-quotas", "cloudwatch", "sts", "organizations", "ec2", "rds", "elb", "elbv2", "ecs")
LIMITS = {"queries": 500, "points": 100_800}


@cache
def models():
    session = botocore.session.Session()
    return {name: session.get_service_model(name) for name in SERVICES}


@cache
def operation(service, name):
    return models()[service].operation_model(name)


def checked(shape, value, what):
    """Validate against a botocore shape: required and unknown members, types, ranges."""
    report = ParamValidator().validate(value, shape) if shape is not None else None
    if report is not None and report.has_errors():
        raise AssertionError(f"{what}: {report.generate_report()}")
    return value


@dataclass(frozen=True)
class Call:
    """One request as it came in."""

    at: float
    service: str
    operation: str
    account: str
    region: str
    parameters: dict = field(hash=False, compare=False)


class Refusal(Exception):
    """An error answer of a service."""

    def __init__(self, code, message="refused", status=400):
        super().__init__(code)
        self.code, self.message, self.status = code, message, status


class Raw(Exception):
    """Bytes to answer with, whatever they are; or a time to be silent before the connection is cut."""

    def __init__(self, body=b"", *, silent_s=0.0, status=200):
        super().__init__()
        self.body, self.silent_s, self.status = body, silent_s, status


class FakeAws:
    """The server; a context manager. ``fault(call, nth)`` may raise a Refusal or a Raw."""

    def __init__(self, world=None, *, fault=None, page=100, validate_every=1):
        self.world, self.fault = world or worlds.World(), fault
        self.page, self.validate_every = page, validate_every
        self.calls, self.broken, self.lock = [], [], threading.Lock()
        self.nth = Counter()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else a small answer waits for the client's acknowledgement

            def log_message(self, *_):
                pass

            def do_POST(self):
                fake.answer(self)

            do_GET = do_POST

        fake = self
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def environment(self):
        """What a process needs to come here, and nowhere else."""
        names = ("SERVICE_QUOTAS", "CLOUDWATCH", "STS", "ORGANIZATIONS", "EC2", "RDS", "ECS")
        names += ("ELASTIC_LOAD_BALANCING", "ELASTIC_LOAD_BALANCING_V2")
        found = {f"AWS_ENDPOINT_URL_{name}": self.url for name in names}
        found |= {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_EC2_METADATA_DISABLED": "true"}
        found |= {"AWS_ACCESS_KEY_ID": worlds.access_key(self.world.own), "AWS_SECRET_ACCESS_KEY": "secret"}
        found |= {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
        return {**found, "AWS_DEFAULT_REGION": "us-east-1"}

    def most_in_a_second(self):
        """The most calls to one account and Region within any second."""
        most, times = 0, {}
        for call in self.calls:
            times.setdefault((call.account, call.region), []).append(call.at)
        for at in times.values():
            at.sort()
            first = 0
            for n, moment in enumerate(at):
                while moment - at[first] >= 1.0:
                    first += 1
                most = max(most, n - first + 1)
        return most

    def answer(self, http):
        body = http.rfile.read(int(http.headers.get("Content-Length") or 0))
        try:
            status, kind, out = self._answer(http, body)
        except Raw as raw:
            if raw.silent_s:
                time.sleep(raw.silent_s)
            status, kind, out = raw.status, "application/x-amz-json-1.1", raw.body
        except Exception as error:  # the fake's own fault, or the collector's: the test must see it
            self.broken.append(f"{type(error).__name__}: {error}")
            status, kind, out = 500, "text/plain", b"broken"
        try:
            http.send_response(status)
            for name, value in (("Content-Type", kind), ("Content-Length", str(len(out)))):
                http.send_header(name, value)
            if kind == "application/cbor":
                http.send_header("smithy-protocol", "rpc-v2-cbor")
            http.end_headers()
            http.wfile.write(out)
        except OSError:  # who asked went away
            http.close_connection = True

    def _answer(self, http, body):
        key, region, service = wire.signed(http.headers)
        protocol, name, given = wire.parse(http, body, service, models())
        service = wire.which(service, http, body)
        model = operation(service, name)
        parameters = wire.typed(given, model.input_shape)
        call = Call(time.monotonic(), service, name, worlds.account_of(key), region, parameters)
        with self.lock:
            self.calls.append(call)
            self.nth[service, name] += 1
            nth = len(self.calls)
        try:
            checked(model.input_shape, parameters, f"request {service} {name}")
            if self.fault is not None:
                self.fault(call, nth)
            result = self.world.answer(call, self.page)
        except Refusal as refusal:
            out = wire.error(protocol, refusal.code, refusal.message)
            return refusal.status, wire.CONTENT[protocol], out
        if nth % self.validate_every == 0:
            checked(model.output_shape, result, f"answer {service} {name}")
        return 200, wire.CONTENT[protocol], wire.write(protocol, model, result)


def throttled_every(n):
    """Every n-th call is throttled."""

    def fault(call, nth):
        if nth % n == 0:
            raise Refusal("ThrottlingException", "Rate exceeded")

    return fault


def serve(world, **options):
    """Start one and print its environment as JSON: for tests that need it outside their own process."""
    with FakeAws(world, **options) as fake:
        print(json.dumps(fake.environment()), flush=True)
        threading.Event().wait()
