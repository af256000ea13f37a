"""`surgetank allocate`: beforehand and in the event, and its part of plan and TOML."""

import json

import pytest

from surgetank.cli import main


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    assert main(["demo", "--dir", str(folder)]) == 0
    return folder / "surgetank.db"


@pytest.fixture
def run(store, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*args, code=0):
        capsys.readouterr()
        assert main(["allocate", "--store", str(store), *args]) == code
        return capsys.readouterr()

    return call


def test_beforehand(run):
    out = " ".join(run().out.split())
    assert out.startswith("To survive the loss of any Region: optimal, cost 0; 1 unknown ")
    assert "As far as is known, every failure fits in what exists, for every service." in out
    assert "Not counted, because usage or quota is not known: eu-west-1/elasticloadbalancing/L-53DA6B97." in out
    two = json.loads(run("--survive", "2", "--json").out)
    assert (two["survives"], two["status"], two["cost"]) == ("the loss of any 2 Regions", "infeasible", "Infinity")
    balancers = two["services"][1]
    assert balancers["reason"].endswith("stay unplaced: usage or quota of eu-west-1 is not known.")
    assert balancers["shortfall"]["us-east-1 + us-west-2"] > 0


def test_what_is_asked_changes_the_answer(run):
    two = json.loads(run("--survive", "2", "--quota", "ec2", "--json").out)
    (ec2,) = two["services"]
    assert ec2["binding_failure"] == ["us-east-1", "us-west-2"]
    assert sum(ec2["headroom"].values()) == two["cost"] > 0
    assert ec2["headroom"]["us-east-1"] == 0
    assert ec2["reason"].startswith("The loss of us-east-1 + us-west-2 at 2026-01-")
    assert ec2["shortfall"] == {}
    last = json.loads(run("--survive", "2", "--quota", "ec2", "--json", "--at", "last").out)
    assert last["cost"] < two["cost"]
    less = json.loads(run("--survive", "2", "--quota", "ec2", "--json", "--critical", "0.5").out)
    assert less["cost"] < two["cost"]


def test_transfers(run):
    assert "When this fails" in run("--transfers").out
    found = json.loads(run("--transfers", "--json", "--quota", "rds/*").out)
    assert {row["service"] for row in found["transfers"]} == {"rds/L-7B6409FD"}
    assert all(row["amount"] > 0 for row in found["transfers"])


def test_in_the_event(run):
    out = run("--fail", "us-east-1").out
    assert out.startswith("us-east-1 fails now: all 4 quotas that are known fit\n")
    found = json.loads(run("--fail", "us-east-1", "--fail", "us-west-2", "--sharing", "traffic_surge", "--json").out)
    assert found["failed"] == ["us-east-1", "us-west-2"]
    assert found["shortfall"]["ec2/L-1216C47A"] > 0
    ec2 = [row for row in found["rows"] if row["service"] == "ec2/L-1216C47A"]
    assert sum(row["taken"] for row in ec2) + ec2[0]["shortfall"] == ec2[0]["need"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--fail", "us-east-9"],
         "failed: must name Regions of the history; did you mean 'us-east-1'? (got 'us-east-9')"),
        (["--sharing", "default"], "--sharing: is for --fail REGION (got 'default')"),
        (["--fail", "us-east-1", "--critical", "0.5"],
         "--critical: is for planning beforehand, without --fail (got 0.5)"),
        (["--survive", "3"], "failures: must leave at least one of 3 Regions (got 'N-3')"),
        (["--critical", "2"], "critical: must be a fraction in [0, 1] (got 2.0)"),
        (["--quota", "s3"], None),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(run, args, message):
    err = run(*args, code=3).err
    assert err.count("\n") == 1
    assert message is None or err == f"surgetank: {message}\n"


def test_the_toml_says_what_to_survive(run, tmp_path):
    toml = tmp_path / "surgetank.toml"
    toml.write_text('[allocation]\nsurvive = "N-2"\ncritical = 0.8\neligible = { us-east-1 = ["us-west-2"] }\n')
    assert run().out.startswith("To survive the loss of any 2 Regions: infeasible for ")
    toml.write_text('[allocation]\nsurvive = ["us-east-1", ["us-east-1", "us-west-2"]]\nsharing = "default"\n')
    assert run().out.startswith("To survive the loss of us-east-1 or us-east-1 + us-west-2: infeasible for 1 of 4")
    assert "What moves is 1.5 × what is used now." in run("--fail", "us-east-1").out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('survive = "N-7"', 'line 2: survive: of any k Regions must be "N-1" to "N-3" (got \'N-7\')'),
        ('together = [["us-east-1", "us-east-9"]]', "us-east-9"),
        ("critical = 2", "line 2: critical: must be a fraction in [0, 1] (got 2)"),
        ('at = "now"', "line 2: at: must be one of history, last (got 'now')"),
        ('sharing = "mine"', "line 2: sharing: must be one of regional_disaster_recovery"),
        ("shares = 3", "line 2: shares: is no key in [allocation]"),
        ("eligible = 3", "line 2: eligible: must map Regions to lists of Regions (got 3)"),
    ],
)
def test_mistakes_in_the_toml_are_named_with_their_line(run, tmp_path, line, message):
    (tmp_path / "surgetank.toml").write_text(f"[allocation]\n{line}\n")
    assert message in run(code=3).err


def test_the_toml_holds_in_the_event_as_well(run, tmp_path):
    toml = tmp_path / "surgetank.toml"
    toml.write_text('[allocation]\nsurvive = []\neligible = { us-east-1 = ["us-west-2"] }\n')
    message = "surgetank: --survive: must be given, since survive is empty in [allocation] (got nothing)\n"
    assert run(code=3).err == message
    toml.write_text('[allocation]\nshare_cap = 0.5\neligible = { us-east-1 = ["us-west-2"] }\n')
    rows = json.loads(run("--fail", "us-east-1", "--json").out)["rows"]
    assert {row["region"] for row in rows} == {"us-west-2"}
    assert all(row["taken"] == row["need"] / 2 for row in rows)


def test_a_plan_says_what_survives(store, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "--store", str(store), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["allocation"]
    assert found["survives"] == "the loss of any Region"
    assert len(found["services"]) == 4
    (tmp_path / "surgetank.toml").write_text("[allocation]\nsurvive = []\n")
    assert main(["plan", "--store", str(store), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["allocation"] is None
    (tmp_path / "surgetank.toml").write_text('[allocation]\nsurvive = "N-2"\n')
    assert main(["plan", "--store", str(store)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "To survive the loss of any 2 Regions by what was observed, with load sent where there is room:" in out
