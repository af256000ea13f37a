"""The command line and its files: what several at once, other writers and odd sources do to a store."""

import json
import os
import sqlite3
import subprocess
import sys
import threading

import numpy as np
import pytest

from surgetank import History, RollingSigma, Store, detect_spikes
from test_cli import QUOTAS, USAGE, here, prepare, run, usage_rows, write

__all__ = ["here", "run"]  # fixtures


def test_a_failed_first_import_removes_nobodys_store(here, run, monkeypatch):
    """Another process makes the store while ours is still reading; ours then fails, and the store must stay."""
    write(here / "other.csv", USAGE, *usage_rows("a", 40))
    write(here / "ours.csv", USAGE.replace("usage", "usage,unit"), "2026-01-01T00:00:00Z,a,ec2,L-1,1,GB")
    enter = Store.__init__

    def late(self, path, **options):
        monkeypatch.setattr(Store, "__init__", enter)
        with Store(path, create=True) as first:
            first.import_usage(here / "other.csv")
            first.import_quotas(_quota_file(here))
        enter(self, path, **options)

    monkeypatch.setattr(Store, "__init__", late)
    code, _, err = run("import", here / "ours.csv")
    assert code == 3
    assert "unit" in err
    with Store("surgetank.db") as store:
        assert len(store.samples().value) == 48


def _quota_file(folder):
    return write(folder / "q.csv", "region,service_code,quota_code,quota,unit\n", "a,ec2,L-1,100,vCPU")


def test_now_does_not_read_the_rest_of_its_step(here, run):
    """With steps of an hour, the spike of 10:45 is not known at 10:20."""
    at = {"10:00": 10, "10:15": 10, "10:45": 900, "11:00": 10, "11:15": 10}
    write(here / "u.csv", USAGE, *(f"2026-01-01T{t}:00Z,a,ec2,L-1,{u}" for t, u in at.items()))
    write(here / "q.csv", QUOTAS, "a,ec2,L-1,1000")
    run("import", "u.csv", "q.csv")
    for step in ([], ["--step", "3600"]):
        body = json.loads(run("plan", "--json", "--now", "2026-01-01T10:20:00Z", *step)[1])
        assert body["quotas"][0]["usage"] == 10
    late = json.loads(run("plan", "--json", "--now", "2026-01-01T10:50:00Z", "--step", "3600")[1])
    assert late["quotas"][0]["usage"] == 900
    code, _, err = run("plan", "--now", "2025-01-01T00:00:00Z")
    assert code == 3
    assert "at or before now" in err


def test_one_wrong_year_is_refused_at_the_import_not_at_every_plan(here, run):
    regions = [f"r{i}" for i in range(60)]
    prepare(here, run, dict.fromkeys(regions, 40), dict.fromkeys(regions, 100))
    rows = ["1000-01-02T00:00:00Z,r0,ec2,L-1,1", "2026-01-01T00:00:00Z,r0,ec2,L-1,1"]
    with Store("surgetank.db") as store:
        before = store.samples()
    write(here / "minute.csv", USAGE, *(f"2026-02-01T00:{m:02d}:00Z,{r},ec2,L-1,1" for m in range(60) for r in regions))
    assert run("import", "minute.csv")[0] == 0
    code, _, err = run("import", write(here / "bad.csv", USAGE, *rows))
    assert code == 3
    assert "1000-01-02" in err
    with Store("surgetank.db") as store:
        assert store.samples().time_s.min() == before.time_s.min()
    assert run("check")[0] == 1 or run("plan")[0] == 0


def test_two_samples_years_apart_still_plan(here, run):
    rows = ["2020-01-01T00:00:00Z,a,ec2,L-1,1", "2026-01-01T00:00:00Z,a,ec2,L-1,1"]
    assert run("import", write(here / "u.csv", USAGE, *rows), write(here / "q.csv", QUOTAS, "a,ec2,L-1,100"))[0] == 0
    assert run("plan")[0] == 0


def test_a_plan_is_shown_even_if_it_cannot_be_kept(here, run, monkeypatch):
    prepare(here, run, {"a": 40}, {"a": 100})
    monkeypatch.setattr(Store.__init__, "__kwdefaults__", {"create": False, "timeout_s": 0.1})
    other = sqlite3.connect(here / "surgetank.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    code, out, err = run("plan")
    other.close()
    assert code == 0
    assert "Headroom as of" in out
    assert "the plan was not kept" in err


def test_a_column_is_mapped_in_the_file_that_has_it(here, run):
    rows = [row.replace("T", " ").replace("Z", "") for row in usage_rows("a", 40)]
    usage = write(here / "u.csv", "When,region,service_code,quota_code,Load\n", *rows)
    quotas = write(here / "q.csv", "region,service_code,quota_code,MyLimit\n", "a,ec2,L-1,100")
    mapped = ["--column", "timestamp=When", "--column", "usage=Load", "--column", "quota=MyLimit"]
    assert run("import", usage, quotas, *mapped, "--tz", "UTC")[0] == 0
    assert json.loads(run("plan", "--json")[1])["quotas"][0]["quota"] == 100
    code, _, err = run("import", usage, "--column", "usage=Nowhere", "--tz", "UTC")
    assert code == 3
    assert "no file has (got 'Nowhere')" in err


@pytest.mark.parametrize("step", ["0", "-5", "nan", "0.5"])
def test_a_step_that_is_none_is_refused(here, run, step):
    prepare(here, run, {"a": 40}, {"a": 100})
    code, _, err = run("plan", "--step", step)
    assert code == 3
    assert err.startswith("surgetank: step_s: ")


def test_a_pipe_nobody_writes_to_is_refused_and_does_not_hang(here, run):
    os.mkfifo(here / "pipe")
    answer = []
    thread = threading.Thread(target=lambda: answer.append(run("import", "pipe")), daemon=True)
    thread.start()
    thread.join(10)
    assert answer, "hangs"
    assert answer[0][0] == 3
    assert "somebody writes to" in answer[0][2]


def test_whole_numbers_that_became_floats_are_the_same_account():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {"timestamp": [0, 300], "account": [111122223333.0, np.nan], "region": "a", "usage": [1.0, 2.0]}
    )
    assert [key.account for key in History.read(frame).keys] == ["111122223333", "-"]


def test_a_threshold_at_the_bound_never_flags_by_rounding():
    for window in (2, 3, 4, 10, 16):
        detector = RollingSigma(window=window, threshold=(window - 1) / window**0.5)
        noise = np.random.default_rng(window).normal(10, 1, 5000)
        assert detect_spikes(noise, detector=detector, outputs=()).count == 0


def test_output_that_cannot_be_written_is_one_line(here, run):
    prepare(here, run, {"a": 40}, {"a": 90})
    check = [sys.executable, "-m", "surgetank.cli", "check", "--policy", "classic"]
    plain = {**os.environ, "PYTHONIOENCODING": "ascii"}
    assert subprocess.run(check, env=plain, capture_output=True, check=False).returncode == 1
    if os.path.exists("/dev/full"):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(check, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 3
        assert done.stderr.count("\n") == 1, done.stderr
        assert "cannot read or write" in done.stderr
