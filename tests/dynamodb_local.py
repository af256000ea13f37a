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
        self._running, self._given = ExitStack(), 0
        return self

    def __exit__(self, *_):
        self._running.close()

    def another(self):
        # An engine never forgets a key, and keeps six threads and a megabyte for it.
        if self._given % KEYS == 0:
            self._running.close()
            self._local = self._running.enter_context(Local())
        self._given += 1
        return self._local, f"test{self._given}"


@pytest.fixture(scope="session")
def dynamodb_keys():
    """One engine at a time for all tests of a process."""
    if why := unavailable():
        pytest.skip(why)
    with Keys() as keys:
        yield keys


@pytest.fixture
def dynamodb(dynamodb_keys, monkeypatch):
    """The endpoint of an engine without tables; botocore, here and in processes that are started, goes there by itself.

    A new key and not deleted tables, since the tokens of transactions would outlive those.
    """
    pytest.importorskip("botocore", reason="no botocore: pip install 'surgetank[aws]'")
    local, key = dynamodb_keys.another()
    for name in ELSEWHERE:
        monkeypatch.delenv(name, raising=False)
    # Only for this test: other tests are about where credentials come from.
    for name, value in local.environment(key).items():
        monkeypatch.setenv(name, value)
    return local.endpoint
