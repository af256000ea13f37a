"""`make demo-aws` as it is typed: it ends well, whatever ends it nothing is left behind, and no account id is shown."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

import demo_aws
import demo_aws_world
import dynamodb_local

DEMO = Path(demo_aws.__file__)
needs_all = pytest.mark.skipif(bool(demo_aws.missing()), reason=demo_aws.missing())
NO_STORE = "import sys, demo_aws as d; sys.exit(d.main((d.Step('No store.', ('store', 'check')),)))"


class Run:
    """The demo in a process group of its own, as from a shell; everything that it starts bears a mark."""

    def __init__(self, *arguments, **environment):
        self.mark = f"SURGETANK_DEMO_MARK={uuid.uuid4()}"
        name, _, value = self.mark.partition("=")
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(DEMO.parent), *filter(None, sys.path)])}
        env |= {name: value, "COLUMNS": "160", **environment}
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "encoding": "utf-8"}
        words = [sys.executable, *map(str, arguments or (DEMO,))]
        self.process = subprocess.Popen(words, env=env, start_new_session=True, **options)

    def until(self, words):
        """Read on until a line begins so."""
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line.startswith(words):
                return "".join(lines)
        pytest.fail(f"it never came to {words!r}: {''.join(lines)}{self.process.stderr.read()}")

    def end(self):
        """What else it printed, once it has ended; and nothing of it is alive."""
        out, err = self.process.communicate(timeout=300)
        until = time.monotonic() + 10
        while (left := self.alive()) and time.monotonic() < until:
            time.sleep(0.05)
        assert left == []
        return self.process.returncode, out, err

    def alive(self):
        """The ids of the processes that it started, and its own; where /proc tells."""
        return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if self.mark in environ_of(folder)]


def environ_of(folder):
    try:
        return (folder / "environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:  # another user's, or gone meanwhile
        return []


def nobody_listens(said):
    ports = re.findall(r"http://127\.0\.0\.1:(\d+)", said)
    assert len(ports) == 2
    for port in ports:
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", int(port)), timeout=5):
            pass


@needs_all
def test_every_step_runs_and_nothing_is_left():
    code, out, err = Run().end()
    assert (code, err) == (0, "")
    typed = [line for line in out.splitlines() if line.startswith("$ ")]
    assert typed == [f"$ {step}" for step in demo_aws.STEPS]
    assert all(f"# exit {step.code}: {step.means}" in out for step in demo_aws.STEPS if step.code)
    nobody_listens(out)
    for account in (demo_aws_world.SHOP, demo_aws_world.PAYMENTS):
        assert account not in out
        assert f"…{account[-4:]}" in out
    # What the story says: one service fits and the other does not, and room that was given back is found.
    assert re.search(r"^…3333 +ec2/\S+ +eu-west-1 .* CRITICAL ", out, re.MULTILINE)
    assert not re.search(r"lambda/.* (CRITICAL|WARNING|UNKNOWN) ", out)
    assert out.count("find no room") == 1
    assert "us-east-1: active since" in out
    assert out.rstrip().endswith(demo_aws.NEXT)


@needs_all
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"])
def test_whoever_stops_it_leaves_nothing_behind(number, code):
    demo = Run()
    said = demo.until("$ surgetank collect")
    assert len(demo.alive()) >= 2 or not Path("/proc/self").exists()
    if number == signal.SIGINT:
        os.killpg(demo.process.pid, number)  # as a terminal does
    else:
        demo.process.send_signal(number)
    got, _, err = demo.end()
    assert got == code
    assert "Traceback" not in err
    nobody_listens(said)


@needs_all
def test_a_step_that_fails_is_named():
    code, out, err = Run("-c", NO_STORE).end()
    assert code == 1
    assert out.splitlines()[1:] == [
        "",
        "# No store.",
        "$ surgetank store check --store 'dynamodb://demo?region=us-west-2'",
    ]
    first, last = err.splitlines()
    assert first.startswith("surgetank: store dynamodb://demo?region=us-west-2: ")
    assert last == f"demo-aws: step 1 of 1 gave exit 3 and not 0: {out.splitlines()[-1][2:]}"
    nobody_listens(out)


def test_what_is_missing_is_one_line(monkeypatch, tmp_path, capsys):
    pytest.importorskip("botocore", reason="no botocore: pip install 'surgetank[aws]'")
    monkeypatch.setattr(dynamodb_local, "FOLDER", tmp_path)
    (tmp_path / ".not").write_text("no DynamoDB Local: there is no mvn\n", encoding="utf-8")
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert demo_aws.main() == 1
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr() == ("", "demo-aws: no DynamoDB Local: there is no mvn\n")
