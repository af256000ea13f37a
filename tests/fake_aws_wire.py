"""How the protocols of AWS write things: JSON 1.1, CBOR, and the query protocols with XML answers."""

import datetime as dt
import json
import re
import struct
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

CONTENT = {"json": "application/x-amz-json-1.1", "cbor": "application/cbor", "query": "text/xml", "ec2": "text/xml"}
SIGNED_AS = {"servicequotas": "service-quotas", "monitoring": "cloudwatch", "elasticloadbalancing": "elbv2"}
UTC = dt.timezone.utc


def signed(headers):
    """Access key, Region and service of a signature."""
    found = re.search(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request", headers.get("Authorization", ""))
    if not found:
        raise AssertionError("the request is not signed")
    key, region, name = found.groups()
    return key, region, SIGNED_AS.get(name, name)


def which(service, http, body):
    """Both generations of load balancers sign with one name; their API version tells them apart."""
    return "elb" if service == "elbv2" and b"Version=2012-06-01" in body else service


def parse(http, body, service, models):
    """The protocol, the operation, and its parameters as they were written."""
    if "/operation/" in http.path:
        return "cbor", http.path.rpartition("/")[2], Cbor(body).item() if body else {}
    if target := http.headers.get("X-Amz-Target"):
        return "json", target.rpartition(".")[2], json.loads(body or b"{}")
    form = {name: values[0] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
    model = models[which(service, http, body)]
    assert form.pop("Version") == model.api_version
    name = form.pop("Action")
    ec2 = model.metadata["protocol"] == "ec2"
    left = dict(form)
    found = _from_form(model.operation_model(name).input_shape, "", form, left, ec2)
    assert not left, f"unknown parameters of {name}: {sorted(left)}"
    return "ec2" if ec2 else "query", name, found or {}


def _from_form(shape, prefix, form, left, ec2):
    if shape is None:
        return {}
    if shape.type_name == "structure":
        found = {}
        for name, member in shape.members.items():
            said = member.serialization.get("queryName") if ec2 else None
            said = said or member.serialization.get("name", name)
            said = said[0].upper() + said[1:] if ec2 else said
            value = _from_form(member, f"{prefix}.{said}" if prefix else said, form, left, ec2)
            if value is not None:
                found[name] = value
        return found or None
    if shape.type_name == "list":
        part = prefix if ec2 or shape.serialization.get("flattened") else f"{prefix}.member"
        found, n = [], 1
        while (value := _from_form(shape.member, f"{part}.{n}", form, left, ec2)) is not None:
            found.append(value)
            n += 1
        return found or None
    text = left.pop(prefix, None)
    if text is None:
        return None
    return {"integer": int, "long": int, "boolean": lambda t: t == "true"}.get(shape.type_name, str)(text)


def typed(value, shape):
    """Numbers as instants where the model says so."""
    if shape is None or value is None:
        return value
    if shape.type_name == "structure" and isinstance(value, dict):
        return {k: typed(v, shape.members[k]) if k in shape.members else v for k, v in value.items()}
    if shape.type_name == "list" and isinstance(value, list):
        return [typed(item, shape.member) for item in value]
    if shape.type_name == "timestamp" and isinstance(value, int | float):
        return dt.datetime.fromtimestamp(value, UTC)
    return value


def write(protocol, model, result):
    """An answer as bytes."""
    shape = model.output_shape
    if protocol == "json":
        return json.dumps(result, default=lambda at: at.timestamp()).encode()
    if protocol == "cbor":
        return cbor(result)
    inner = "".join(_xml(shape.members[name], name, value, protocol == "ec2") for name, value in result.items())
    if protocol == "query" and "resultWrapper" in shape.serialization:
        wrapper = shape.serialization["resultWrapper"]
        inner = f"<{wrapper}>{inner}</{wrapper}><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"
    return f"<{model.name}Response>{inner}</{model.name}Response>".encode()


def _xml(shape, name, value, ec2):
    name = shape.serialization.get("name", name)
    if shape.type_name == "list":
        flat = shape.serialization.get("flattened")
        item = name if flat else shape.member.serialization.get("name", "member")
        inner = "".join(f"<{item}>{_inner(shape.member, one, ec2)}</{item}>" for one in value)
        return inner if flat else f"<{name}>{inner}</{name}>"
    return f"<{name}>{_inner(shape, value, ec2)}</{name}>"


def _inner(shape, value, ec2):
    if shape.type_name == "structure":
        return "".join(_xml(shape.members[name], name, one, ec2) for name, one in value.items())
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(value.isoformat() if isinstance(value, dt.datetime) else str(value))


def error(protocol, code, message):
    """An error answer as bytes."""
    if protocol in ("json", "cbor"):
        body = {"__type": code, "message": message}
        return cbor(body) if protocol == "cbor" else json.dumps(body).encode()
    inner = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    if protocol == "ec2":
        return f"<Response><Errors>{inner}</Errors><RequestID>r</RequestID></Response>".encode()
    return f"<ErrorResponse>{inner}<RequestId>r</RequestId></ErrorResponse>".encode()


def _head(major, number):
    for code, (form, limit) in enumerate((("B", 1 << 8), ("H", 1 << 16), ("I", 1 << 32), ("Q", 1 << 64)), 24):
        if number < 24:
            return bytes([major << 5 | number])
        if number < limit:
            return bytes([major << 5 | code]) + struct.pack(f">{form}", number)
    raise ValueError(number)


def cbor(value):
    """RFC 8949, as much as is needed."""
    if value is None or isinstance(value, bool):
        return {None: b"\xf6", True: b"\xf5", False: b"\xf4"}[value]
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    if isinstance(value, dt.datetime):
        return _head(6, 1) + cbor(int(value.timestamp()))
    if isinstance(value, dict):
        return _head(5, len(value)) + b"".join(cbor(k) + cbor(v) for k, v in value.items())
    return _head(4, len(value)) + b"".join(map(cbor, value))


class Cbor:
    """A reader of RFC 8949, as much as is needed."""

    def __init__(self, body):
        self.body, self.at = body, 0

    def take(self, count):
        self.at += count
        return self.body[self.at - count : self.at]

    def item(self):
        first = self.take(1)[0]
        major, low = first >> 5, first & 31
        if major == 7:
            simple = {20: False, 21: True, 22: None}
            forms = {25: "e", 26: "f", 27: "d"}
            return simple[low] if low in simple else struct.unpack(f">{forms[low]}", self.take(1 << (low - 24)))[0]
        if low == 31:
            return self.open(major)
        number = low if low < 24 else int.from_bytes(self.take(1 << (low - 24)), "big")
        if major == 0:
            return number
        if major == 1:
            return -1 - number
        if major in (2, 3):
            part = self.take(number)
            return part.decode() if major == 3 else part
        if major == 4:
            return [self.item() for _ in range(number)]
        if major == 5:
            return {self.item(): self.item() for _ in range(number)}
        inner = self.item()
        return dt.datetime.fromtimestamp(inner, UTC) if number == 1 else inner

    def open(self, major):
        """Lists and maps that end with a break."""
        found = []
        while self.body[self.at] != 0xFF:
            found.append((self.item(), self.item()) if major == 5 else self.item())
        self.at += 1
        return dict(found) if major == 5 else found
