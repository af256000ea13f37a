"""`surgetank recover`, `runbooks` and `compare`."""

import json

import pytest

from surgetank.cli import main

BROKEN = 'name = "mine"\n[[step]]\nname = "a"\nduration = "5m"\n[[step]]\nname = "b"\nduration = 5\nafter = ["a"]\n'


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    assert main(["demo", "--dir", str(folder)]) == 0
    return folder / "surgetank.db"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*args, code=0):
        capsys.readouterr()
        assert main(list(args)) == code
        return capsys.readouterr()

    return call


def test_the_demo_ends_with_a_recovery(run, tmp_path):
    out = run("demo", "--dir", str(tmp_path)).out
    assert "Evacuate a Region: back within 30 min with a probability of 98.9% (95%: 98." in out
    assert "When us-east-1 fails, the load that lands fits at 100% of 8,353 moments of history." in out
    assert "recover region-evacuation --store" in out


def test_recover_says_how_likely(run):
    out = run("recover", "route53-failover", "--target", "5m", "--trials", "100_000").out
    assert out.startswith("DNS failover to a running standby: back within 5 min with a probability of ")
    assert "Room for the load that lands is assumed" in out
    found = json.loads(run("recover", "route53-failover", "--target", "5m", "--json", "--steps", "--what-if").out)
    assert found["target_s"] == 300
    assert found["interval"][0] < found["probability"] < found["interval"][1]
    assert {row["step"] for row in found["steps"]} == {row["step"] for row in found["what_if"]}
    again = json.loads(run("recover", "route53-failover", "--target", "5m", "--json", "--threads", "1").out)
    assert again["probability"] == found["probability"]
    other = json.loads(run("recover", "route53-failover", "--target", "5m", "--json", "--seed", "1").out)
    assert other["probability"] != found["probability"]


def test_a_probability_makes_it_a_gate(run):
    run("recover", "route53-failover", "--target", "10m", "--probability", "0.9", "--trials", "10000")
    run("recover", "route53-failover", "--target", "2m", "--probability", "0.9", "--trials", "10000", code=2)
    (tmp := run("recover", "route53-failover", "--target", "5m", "--trials", "auto", "--width", "0.02", "--json"))
    assert 10_000 <= json.loads(tmp.out)["trials"] < 100_000


def test_the_stores_plan_is_the_room(run, store):
    room = json.loads(run("recover", "region-evacuation", "--store", str(store), "--json").out)
    assert room["shortage"]["event"] == "us-east-1 fails"
    assert room["shortage"]["moments"] == 8353
    without = json.loads(run("recover", "region-evacuation", "--store", str(store), "--no-capacity", "--json").out)
    assert "shortage" not in without
    assert room["probability"] == without["probability"]  # everything fitted
    assert room["shortage"]["unknown"] == ["111122223333 eu-west-1 elasticloadbalancing/L-53DA6B97"] or (
        len(room["shortage"]["unknown"]) == 1
    )
    gate = ("--target", "30m", "--probability", "0.9", "--trials", "20000")
    assert "unknown" in run("recover", "region-evacuation", "--store", str(store), *gate, code=3).err
    run("recover", "region-evacuation", "--store", str(store), "--no-capacity", *gate)
    west = run("recover", "region-evacuation", "--store", str(store), "--event", "us-west-2 fails").out
    assert "When us-west-2 fails" in west


def test_a_runbook_of_ones_own(run, tmp_path):
    toml = run("runbooks", "warm-standby", "--toml").out
    assert "# " in toml
    (tmp_path / "mine.toml").write_text(toml)
    mine = json.loads(run("recover", "mine.toml", "--trials", "20000", "--json").out)
    shipped = json.loads(run("recover", "warm-standby", "--trials", "20000", "--json").out)
    assert mine == shipped
    (tmp_path / "broken.toml").write_text(BROKEN)
    err = run("recover", "broken.toml", code=3).err
    assert err.startswith("surgetank: broken.toml, line 7: duration: needs a unit")


def test_runbooks_lists_and_shows(run):
    listed = json.loads(run("runbooks", "--json").out)
    assert len(listed) == 11
    assert {"name", "title", "strategy", "target_s", "rpo_target_s", "steps"} <= set(listed[0])
    assert "region-evacuation" in run("runbooks").out
    steps = json.loads(run("runbooks", "region-evacuation", "--json").out)
    assert steps[0]["step"] == "detect"


def test_compare(run):
    out = run("compare", "--target", "1h", "--trials", "20000").out
    for name in ("backup-restore", "pilot-light", "warm-standby", "active-active"):
        assert name in out
    rows = json.loads(
        run("compare", "pilot-light", "warm-standby", "--target", "1h", "--trials", "20000", "--json").out
    )
    assert len(rows) == 2
    chance = {row["runbook"]: row["probability"] for row in rows}
    assert chance["warm-standby"] > chance["pilot-light"]


def test_against_a_set_of_targets(run):
    out = run("recover", "warm-standby", "--against", "tiers", "--trials", "20000").out
    assert "PolicyMet" in out
    found = json.loads(run("recover", "warm-standby", "--against", "tiers", "--trials", "20000", "--json").out)
    assert {row["verdict"] for row in found["against"]} <= {"PolicyMet", "PolicyBreached", "Unknown"}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["recover", "nothing"], "RUNBOOK: must be a file, or shipped"),
        (["recover", "region-evacuate"], "did you mean 'region-evacuation'? (got 'region-evacuate')"),
        (["recover", "nothing.toml"], "nothing.toml: must be a readable file"),
        (["recover", "warm-standby", "--target", "300"], "--target: needs a unit, such as \"5m\" (got '300')"),
        (["recover", "warm-standby", "--target", "soon"], "--target: "),
        (["recover", "warm-standby", "--trials", "many"], "--trials: must be a whole number, or auto (got 'many')"),
        (["recover", "warm-standby", "--trials", "0"], "trials: must lie in [1, 1e+12] (got 0)"),
        (["recover", "warm-standby", "--seed", "-1"], "seed: must lie in [0, 2^64) (got -1)"),
        (["recover", "planned-failover", "--clock", "detection"], "clock: must be one of onset"),
        (["recover", "warm-standby", "--event", "x"], "--event: is for a store, and steps that need room in it"),
        (["recover", "warm-standby", "--against", "tears"], "did you mean 'tiers'?"),
        (["recover", "warm-standby", "--region", "us-west-2"], "--region: is for a Region switch plan in a file"),
        (["recover", "warm-standby", "--probability", "95"], "--probability: must be a fraction in [0, 1] (got 95)"),
        (["recover", "warm-standby", "--probability", "nan"], "--probability: must be a fraction in [0, 1] (got nan)"),
        (["recover", "warm-standby", "--denial", "0"], "--denial: is for a store, and steps that need room in it"),
        (["compare", "warm-standby", "--trials", "auto"], "--trials: must be a whole number"),
    ],
)
def test_mistakes_are_one_line(run, args, message):
    err = run(*args, code=3).err
    assert message in err
    assert err.startswith("surgetank: ")
    assert err.count("\n") == 1
