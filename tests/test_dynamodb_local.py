"""The engine that tests of tables run against: on loopback only, and never left behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import dynamodb_local
from dynamodb_local import Local

pytestmark = pytest.mark.skipif(bool(dynamodb_local.unavailable()), reason=dynamodb_local.unavailable())


def answers(port, host="127.0.0.1"):
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except ConnectionRefusedError:
        return False


def gone_within(seconds, port):
    until = time.monotonic() + seconds
    while answers(port):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def listening(pid):
    """The addresses, as the kernel writes them, on which a process listens."""
    fds = [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()]
    tables = [Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    rows = [row.split() for table in tables for row in table]
    return [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in fds]


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="what a process listens on is read from /proc")
def test_it_listens_on_loopback_only(dynamodb_engine):
    (address,) = listening(dynamodb_engine.pid)
    # IPv4's loopback; the JVM writes it as an IPv6 address that stands for one.
    assert address in {
        f"{loopback}:{dynamodb_engine.port:04X}" for loopback in ("0100007F", "0000000000000000FFFF00000100007F")
    }
    assert not answers(dynamodb_engine.port, "127.0.0.2")  # all of 127/8 is this machine


def test_it_stops():
    with Local() as local:
        assert answers(local.port)
    assert not answers(local.port)
    with pytest.raises(ProcessLookupError):
        os.kill(local.pid, 0)


PARENT = """
import json, os, sys, time
sys.path.insert(0, sys.argv[1])
from dynamodb_local import Local
with Local() as local:
    child = os.fork() if sys.argv[2] == "forks" else -1
    if child:
        print(json.dumps([local.port, child]), flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("forks", ["alone", "forks"])
def test_it_dies_with_its_parent(forks):
    """Also where a fork of its parent goes on, and holds the pipe to it open."""
    arguments = [sys.executable, "-c", PARENT, str(Path(__file__).parent), forks]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as parent:
        port, child = json.loads(parent.stdout.readline())
        try:
            assert answers(port)
            parent.kill()
            parent.wait()
            assert gone_within(20, port)
        finally:
            if child > 0:
                os.kill(child, signal.SIGKILL)


def test_an_engine_that_does_not_start_says_why(monkeypatch, tmp_path):
    monkeypatch.setattr(dynamodb_local, "FOLDER", tmp_path)
    with pytest.raises(RuntimeError, match="not find or load main class Launcher"), Local():
        pass


def test_boto3_finds_it_and_every_test_has_tables_of_its_own(dynamodb, dynamodb_engine, monkeypatch):
    session = pytest.importorskip("botocore.session")
    table = {
        "TableName": "tables",
        "KeySchema": [{"AttributeName": "key", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "key", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    client = session.get_session().create_client("dynamodb")
    assert client.meta.endpoint_url == dynamodb == dynamodb_engine.endpoint
    client.create_table(**table)
    assert client.list_tables()["TableNames"] == ["tables"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    assert session.get_session().create_client("dynamodb").list_tables()["TableNames"] == []
