"""DynamoDB Local on loopback: Amazon's own engine, in memory; `.ci/dynamodb` brings it where Java and Maven are."""

import os
import select
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "build" / "dynamodb"
#: What starts soonest and stays small: 0.9 s and 180 MB, at half the processor time of Java's own choice.
JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
#: How many access keys an engine is asked with before another takes its place.
KEYS = 100
#: Names that would lead a client elsewhere, beside those that `Local.environment` sets.
ELSEWHERE = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")


def unavailable():
    """Why there is no DynamoDB Local here, or nothing."""
    if not (FOLDER / ".there").exists():
        why = FOLDER / ".not"
        return why.read_text(encoding="utf-8").strip() if why.exists() else "no DynamoDB Local: run .ci/dynamodb"
    return "" if shutil.which("java") else "no DynamoDB Local: there is no java"


class Local:
    """The engine; a context manager. Each access key has tables of its own in it, and in each Region others."""

    def __init__(self, ready_within_s=60.0):
        self.ready_within_s = ready_within_s

    def __enter__(self):
        command = ["java", *JVM, "-cp", f"{FOLDER}:{FOLDER}/lib/*", "Launcher", str(os.getpid())]
        self._said = tempfile.TemporaryFile()
        # A group of its own: Ctrl-C is for who asks it, who may still have something to finish there. It ends when its
        # standard input or this process does, however that ends.
        options = {"stderr": self._said, "start_new_session": True}
        # A sanitizer that is loaded before our extension is not for Java.
        options["env"] = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)
        try:
            ready = select.select([self._process.stdout], [], [], self.ready_within_s)[0]
            port = self._process.stdout.readline().strip() if ready else b""
            if not port:
                self._said.seek(0)
                said = self._said.read().decode(errors="replace")
                raise RuntimeError(f"DynamoDB Local was not ready within {self.ready_within_s:g} s: {said[-2000:]}")
        except BaseException:
            self.__exit__()
            raise
        self.pid, self.port = self._process.pid, int(port)
        self.endpoint = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_):
        process = self._process
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        self._said.close()

    def environment(self, key="test"):
        """What a process needs to come here, and nowhere else; the key may have letters and digits only."""
        found = {"AWS_ENDPOINT_URL_DYNAMODB": self.endpoint, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
        found |= {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"}
        found |= {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
        return {**found, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "NO_PROXY": "127.0.0.1"}


class Keys:
    """Access keys that nobody has used, each with the engine that knows it; a context manager."""

    def __enter__(self):
        self._running, self._given, self.local = ExitStack(), 0, None
        return self

    def __exit__(self, *_):
        self._running.close()

    def another(self):
        # An engine never forgets a key, and keeps six threads and a megabyte for it.
        if self._given % KEYS == 0:
            self._running.close()
            self.local = self._running.enter_context(Local())
        self._given += 1
        return self.local, f"test{self._given}"


@pytest.fixture(scope="session")
def dynamodb_keys():
    """One engine at a time for all tests of a process."""
    if why := unavailable():
        pytest.skip(why)
    with Keys() as keys:
        yield keys


class Fleet:
    """The tables of the store `fleet`, made once and emptied for each test: to make them takes half a second."""

    def __init__(self, keys):
        self._keys, self._local, self._client, self._tables = keys, None, None, {}

    def emptied(self):
        """Engine and access key under which they are, and nothing else is."""
        if self._local is None or self._local is not self._keys.local or set(self._named()) != set(self._tables):
            self._make()
        for name, keys in self._tables.items():
            for item in self._client.scan(TableName=name, ConsistentRead=True)["Items"]:
                if not (name == "fleet-plans" and item["kind"]["S"] == "store"):
                    self._client.delete_item(TableName=name, Key={key: item[key] for key in keys})
        return self._local, self._key

    def _make(self):
        from botocore.session import Session

        from surgetank import DynamoStore

        self._local, self._key = self._keys.another()
        with pytest.MonkeyPatch.context() as patch:
            lead(patch, self._local, self._key)
            DynamoStore("fleet", create=True).close()
            self._client = Session().create_client("dynamodb")
        described = {name: self._client.describe_table(TableName=name)["Table"] for name in self._named()}
        self._tables = {name: [key["AttributeName"] for key in one["KeySchema"]] for name, one in described.items()}

    def _named(self):
        return self._client.list_tables()["TableNames"]


def lead(monkeypatch, local, key):
    """Let botocore, here and in processes that are started, go to an engine by itself."""
    for name in ELSEWHERE:
        monkeypatch.delenv(name, raising=False)
    for name, value in local.environment(key).items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def dynamodb_tables(dynamodb_keys):
    pytest.importorskip("botocore", reason="no botocore: pip install 'surgetank[aws]'")
    return Fleet(dynamodb_keys)


@pytest.fixture
def dynamodb_fleet(dynamodb_tables, monkeypatch):
    """The endpoint of an engine with the tables of `fleet`, which are empty."""
    local, key = dynamodb_tables.emptied()
    lead(monkeypatch, local, key)
    return local.endpoint


@pytest.fixture
def dynamodb(dynamodb_keys, monkeypatch):
    """The endpoint of an engine without tables.

    A new key and not deleted tables, since the tokens of transactions would outlive those.
    """
    pytest.importorskip("botocore", reason="no botocore: pip install 'surgetank[aws]'")
    local, key = dynamodb_keys.another()
    lead(monkeypatch, local, key)  # only for this test: other tests are about where credentials come from
    return local.endpoint
