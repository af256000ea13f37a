"""Targets: the TOML file, runbooks, Region switch plans, the gate's tests, and what `tune` keeps."""

import json
import re
import xml.etree.ElementTree as ET

import numpy as np

from surgetank import AdequacyTest, History, Quota, QuotaKey, adequacy
from surgetank.config import Config
from surgetank.recovery import Runbook
from surgetank.recovery.reading import parse_runbook, read_runbook, runbook_toml

from .checks import answer, at_path

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib


def toml(data):
    """A Config or one error with a line that is there; what the file says is what the Config says."""
    path = at_path(data, "surgetank.toml")
    config, error = answer(lambda: Config.read(path))
    if error is not None:
        _has_line(error, data)
        again, other = answer(lambda: Config.read(path))
        assert again is None
        assert str(other) == str(error)
        return
    body = tomllib.loads(data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n"))  # any line ends
    assert config.store == path.parent / body.get("store", "surgetank.db")
    costs = body.get("costs", {})
    assert dict(config.costs) == {name: float(price) for name, price in costs.items()}
    assert all(0 <= price < np.inf for price in config.costs.values())
    history = body.get("history", {})
    for name in ("step_s", "stale_after_s"):
        value = getattr(config, name)
        assert value == history.get(name)
        assert value is None or 0 < value < np.inf
    for name, value in body.get("thresholds", {}).items():
        if isinstance(value, dict):
            for one, frac in value.items():
                assert getattr(config.thresholds[name], one) == frac
        else:
            assert getattr(config.thresholds["*"], name) == value
    assert config.min_coverage == body.get("check", {}).get("min_coverage", 0)
    assert config.policy_name in config.policies
    if "scenarios" in body or "scenario" in body:
        names = [*body.get("scenarios", []), *(one["name"] for one in body.get("scenario", []))]
        assert [one if isinstance(one, str) else one.name for one in config.scenarios] == names
    again = Config.read(path)
    assert repr(again) == repr(config)


def _has_line(error, data):
    line = re.search(r", line (\d+): ", str(error))
    if line:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        assert 1 <= int(line[1]) <= text.count("\n") + 1, error


def runbook(data):
    """A runbook in TOML; what is written of it is read back as an equal one."""
    _runbook(data, "a.toml")


NAMES = ("a.json", "a.yaml", "a.template", "a")


def region_switch(data):
    """A Region switch plan in JSON or YAML; the first byte chooses the name of the file."""
    _runbook(data[1:], NAMES[data[0] % len(NAMES)] if data else "a")


def _runbook(data, name):
    path = at_path(data, name)
    found, error = answer(lambda: read_runbook(path))
    again, other = answer(lambda: read_runbook(path))
    if error is not None:
        assert name in str(error)
        assert str(error) == str(other)
        return
    assert isinstance(found, Runbook)
    assert found == again
    text, _ = answer(lambda: runbook_toml(found))  # half characters, which JSON has, are refused
    if text is not None:
        assert parse_runbook(text) == found


GATES = ("test.json", "surgetank.toml", "test")


def gate(data):
    """A test in JSON or in the TOML file: what it says is what is asked, and every answer can be sent on."""
    name = GATES[data[0] % len(GATES)] if data else "test"
    path = at_path(data[1:], name)
    found, error = answer(lambda: AdequacyTest.read(path))
    again, other = answer(lambda: AdequacyTest.read(path))
    if error is not None:
        assert (str(error), error.others) == (str(other), other.others)
        assert all(text.isprintable() for text in (str(error), *error.others))
        assert name in str(error)
        return
    assert repr(found) == repr(again)
    said = _plain_test(path.read_text(encoding="utf-8-sig"))
    assert found.primary_region == said[0]
    assert list(found.secondary_regions) == said[1]
    judged = adequacy(_world(), found)
    assert judged.exit_code in (0, 1, 2, 3)
    if not (found.secondary_regions and found.services and found.scenarios):
        # UNKNOWN at best: what fails in the primary Region itself needs no other to fail in.
        assert judged.exit_code == (2 if any(case.status == "failed" for case in judged.cases) else 3)
    json.dumps(judged.to_dict(), allow_nan=False)
    ET.fromstring(judged.to_junit())
    str(judged)


def _plain_test(text):
    """Primary and secondary Regions as the standard library reads them."""
    try:
        body = json.loads(text)
    except ValueError:
        body = tomllib.loads(text)["test"]
    return body["primary_region"], body["secondary_regions"]


def _world():
    keys = [QuotaKey("1", region, service, code) for service, code in (("ec2", "L-1"), ("rds", "L-2"))
            for region in ("us-east-1", "us-west-2", "eu-west-1")]  # fmt: skip
    quotas = {key: Quota(key=key, value=100.0) for key in keys[:-1]}
    return History(keys=tuple(keys), start_s=0, step_s=300.0, usage=np.full((3, 6), 60.0), quotas=quotas)


def state(data):
    """The lines that `tune` keeps of an earlier run."""

    from surgetank.backtest.search import _State

    head = {"surgetank tuning": 1, "of": "fuzz"}
    path = at_path(json.dumps(head).encode() + b"\n" + data, "tune.state")
    kept = object.__new__(_State)
    kept.path, kept.head, kept.found = path, head, {}
    _, error = answer(kept._read)
    if error is not None:
        return
    for part, found in kept.found.items():
        assert isinstance(part, str)
        assert found.dtype == np.float64
    first = {part: found.tobytes() for part, found in kept.found.items()}
    again = object.__new__(_State)
    again.path, again.head, again.found = path, head, {}
    again._read()
    assert {part: found.tobytes() for part, found in again.found.items()} == first
