"""`surgetank tune`: a gate, and a search that goes on where it was."""

import signal
import subprocess
import sys
import time

import pytest

from cli_stores import caller, kept, plain, rows
from surgetank.backtest import search
from surgetank.cli import main


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    assert main(["demo", "--dir", str(folder)]) == 0
    return folder / "surgetank.db"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return kept(tmp_path_factory.mktemp("small") / "small.db")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    return caller(tmp_path, monkeypatch, capsys)


def test_tune_is_a_gate(run, small):
    given = ("--policy", "peak:window=1d,factor=1.5|2|2.5", "--scenario", "N-1", "--risk", ".2")
    out = run("tune", *given, store=small).out
    assert out.startswith(
        "3 policies tuned on 19 d 12 h, judged on 19 d 12 h that were held back; 1 of them left out: others cost "
    )
    found = plain(run("tune", *given, "--json", store=small).out)
    assert found["choice"]["policy"] == found["held_back"]["policy"] == "peak ×2 of 1 d"
    assert found["choice"]["options"]["factor"] == 2
    assert (found["held_back"]["risk"], found["warning"]) == (0, "")
    assert [row["mark"] for row in rows(run("tune", *given, "--csv", store=small).out)].count("chosen") <= 1
    assert (
        "No policy meets" in run("tune", *given[2:], "--policy", "peak:window=1d,factor=1.1", store=small, code=2).out
    )


def test_what_was_held_back_decides(run, store):
    out = run("tune", "--risk", ".01", "--confidence", "none", store=store, code=2).out
    assert "Warning: " in out
    assert max(map(len, run("tune", "--risk", ".2", store=store, code=2, width="80").out.splitlines())) <= 80


def test_how_is_searched(run, small):
    given = ("tune", "--policy", "peak:window=1d,factor=1.5|2|2.5|3", "--scenario", "N-1", "--risk", ".2", "--json")
    for how in ((), ("--method", "random", "--trials", "4"), ("--series", "1")):
        assert plain(run(*given, *how, store=small).out)["choice"]["policy"] == "peak ×2 of 1 d"
    alone = ("tune", "--policy", "peak:window=1d,factor=2", *given[3:], "--method", "halving")
    assert plain(run(*alone, store=small).out)["choice"]["policy"] == "peak ×2 of 1 d"
    assert plain(run(*given, "--split", ".7", store=small).out)["tuned_s"] == 27 * 86400 + 7 * 3600
    assert 0 < plain(run(*given, "--estimate", store=small).out)["estimate_s"] < 60
    assert run(*given[:-1], "--estimate", store=small).out.startswith("The search would take about ")


def test_what_was_chosen_is_written(run, small, tmp_path):
    given = ("tune", "--policy", "peak:window=1d,factor=1.1|2", "--scenario", "N-1", "--write")
    out = run(*given, "--risk", ".2", store=small)
    assert out.err == "Wrote surgetank.toml: plans are made by peak ×2 of 1 d\n"
    text = (tmp_path / "surgetank.toml").read_text()
    assert 'kind = "peak"' in text
    assert "peak ×2 of 1 d" in run("backtest", "--policy", "rule", "--scenario", "N-1", store=small).out
    none = run(
        "tune", "--policy", "peak:window=1d", "--scenario", "N-1", "--risk", ".2", "--write", store=small, code=2
    )
    assert none.err == "surgetank: surgetank.toml was left as it is\n"
    assert (tmp_path / "surgetank.toml").read_text() == text


MANY = "percentile:quantile=.9|.95,window=1d|2d,lower=none|.9,factor=" + "|".join(f"{1 + i / 400}" for i in range(400))
LONG = ("--policy", MANY, "--scenario", "N-1", "--risk", ".2", "--json")


def test_a_search_goes_on_where_it_was(run, small, monkeypatch, tmp_path):
    whole = run("tune", *LONG, "--state", "s.json", store=small).out
    lines = (tmp_path / "s.json").read_text().splitlines(keepends=True)
    assert len(lines) == 1 + 7  # 3,200 policies, 500 at a time
    (tmp_path / "s.json").write_text("".join(lines[:3]) + lines[3][:50])
    replayed = []
    monkeypatch.setattr(search, "_score", lambda *a, own=search._score: replayed.append(a[2]) or own(*a))
    assert run("tune", *LONG, "--state", "s.json", store=small).out == whole
    assert len(replayed) == 5
    assert (tmp_path / "s.json").read_text() == "".join(lines)
    err = run("tune", *LONG, "--state", "s.json", "--seed", "1", "--moments", "99", store=small, code=3).err
    assert err.startswith("surgetank: --state: must be a new file, or that of the same search")


def test_an_interrupted_search_goes_on(run, small, tmp_path):
    slow = (
        "import time; from surgetank.backtest import search; own = search._score\n"
        "def score(*a): time.sleep(.3); return own(*a)\n"
        "search._score = score\n"
        "import sys; from surgetank.cli import main; sys.exit(main())"
    )
    state = tmp_path / "s.json"
    command = [sys.executable, "-c", slow, "tune", *LONG, "--state", str(state), "--store", str(small)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    until = time.monotonic() + 30
    while not (state.exists() and state.read_text().count("\n") >= 3) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err == f"surgetank: interrupted; the same call goes on from {state}\n"
    assert 3 <= state.read_text().count("\n") < 8
    assert run("tune", *LONG, "--state", state, store=small).out == run("tune", *LONG, store=small).out
