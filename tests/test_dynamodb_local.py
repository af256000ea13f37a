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
from dynamodb_local import Keys, Local

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
def test_it_listens_on_loopback_only():
    with Local() as local:
        (address,) = listening(local.pid)
        # IPv4's loopback; the JVM writes it as an IPv6 address that stands for one.
        loopback = ("0100007F", "0000000000000000FFFF00000100007F")
        assert address in [f"{host}:{local.port:04X}" for host in loopback]
        assert not answers(local.port, "127.0.0.2")  # all of 127/8 is this machine


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


def tables():
    import botocore.session  # here, since most of this file needs none

    return botocore.session.get_session().create_client("dynamodb")


def make(client, name):
    key = {"KeySchema": [{"AttributeName": "key", "KeyType": "HASH"}]}
    key["AttributeDefinitions"] = [{"AttributeName": "key", "AttributeType": "S"}]
    client.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **key)
    return client.list_tables()["TableNames"]


def test_botocore_finds_it(dynamodb):
    client = tables()
    assert client.meta.endpoint_url == dynamodb
    assert make(client, "one") == ["one"]


def test_each_test_has_tables_of_its_own(dynamodb, monkeypatch):
    assert make(tables(), "two") == ["two"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    assert tables().list_tables()["TableNames"] == []


def test_an_engine_that_knows_many_keys_is_replaced(monkeypatch):
    monkeypatch.setattr(dynamodb_local, "KEYS", 2)
    with Keys() as keys:
        first, second, third = (keys.another() for _ in range(3))
        assert [first[1], second[1], third[1]] == ["test1", "test2", "test3"]
        assert first[0] is second[0] is not third[0]
        assert not answers(first[0].port)
        assert answers(third[0].port)
    assert not answers(third[0].port)
