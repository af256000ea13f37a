"""Every command that takes a store, on a file and on tables with the same content: it says the same of both."""

import json
import re

import numpy as np
import pytest

from surgetank import History, Scenario, open_store
from surgetank.config import Config
from test_cli import here, run

__all__ = ["here", "run"]  # fixtures

PLACES = ("fleet.db", "dynamodb://fleet?region=us-east-1")
# In order of name: what expires together is noted so in DynamoDB, and in a file as it learnt of the quotas.
REGIONS, START, HOURS = ("eu-west-1", "us-east-1", "us-west-2"), 1767225600, 24 * 20
NOW = ("--now", "2026-01-20T23:00:00Z")
WEST, EU = "us-west-2/ec2/L-1", "eu-west-1/ec2/L-1"
TOML = """\
[test]
primary_region = "us-east-1"
secondary_regions = ["us-west-2", "eu-west-1"]
services = ["ec2"]
scenarios = ["regional_failover", "az_failure"]
"""
PATTERNS = {
    r"\(schema version \d+, [^)]*\)": "(…)",  # each has its own, and its own size
    r"The (file|table of usage): .*": "(…)",
    r"(made|imported) \d[\dTZ: -]*": r"\1 (…)",
    r'"made": "[^"]*"': '"made": (…)',
}
OWN = {"schema_version", "latest", "bytes", "bytes_before", "bytes_after", "kept_in", "took_s"}


def worlds(hours=HOURS, first=0):
    """Two services, each in three Regions, with days, and an hour now and then in which twice as much is used."""
    t = np.arange(first, first + hours)
    for level, name, code, quota in ((60, "ec2", "L-1", [210.0, 200.0, 180.0]), (2000, "lambda", "L-2", 5000.0)):
        usage = [level * (1 + 0.2 * np.sin((t + 5 * k) * np.pi / 12) + (t % 97 == 5 * k)) for k in range(3)]
        yield History.from_array(
            np.round(np.stack(usage, axis=1), 2), start=START + 3600 * first, step_s=3600, regions=REGIONS,
            service_code=name, quota_code=code, quota=quota,
        )  # fmt: skip


@pytest.fixture
def files(here, dynamodb):
    pytest.importorskip("botocore", reason="no botocore: pip install 'surgetank[aws]'")
    lines, quotas = [], []
    for made in worlds():
        for t, row in enumerate(made.usage.tolist()):
            at = f"{np.datetime64(START + 3600 * t, 's')}Z"
            lines += [",".join([at, *key[1:4], str(used)]) for key, used in zip(made.keys, row, strict=True)]
        quotas += [",".join([*q.key[1:4], str(q.value), f"name of {q.key.region}"]) for q in made.quotas.values()]
    lines.sort(key=lambda line: line.partition(",")[0])
    for name, head, rows in (("usage", "timestamp,region,service_code,quota_code,usage", lines),
                             ("quotas", "region,service_code,quota_code,quota,name", quotas)):  # fmt: skip
        (here / f"{name}.csv").write_text("\n".join([head, *rows]) + "\n")
    (here / "test.toml").write_text(TOML)
    return here


def plain(text):
    """What is the same, whatever the store is called and however large its file is."""
    for place in PLACES:
        text = text.replace(f"'{place}'", "STORE").replace(place, "STORE")
    text = text.replace(", whose tables were made now and are protected from deletion", "")
    if text.startswith(("{", "[")):
        return json.loads(text, object_hook=lambda one: {k: "…" if k in OWN else v for k, v in one.items()
                                                         if k != "made"})  # fmt: skip
    for pattern, instead in PATTERNS.items():
        text = re.sub(pattern, instead, text)
    return text


@pytest.fixture
def both(files, run):
    """Run a command on both, compare its answers, and give the one."""

    def call(*args, code=0):
        said = []
        for place in PLACES:
            got, out, err = run(*args, "--store", place)
            assert (got, err if code != 3 else "") == (code, ""), (place, args, out, err)
            said.append((plain(out), plain(err)))
        assert said[0] == said[1], args
        return said[0][0] or said[0][1]

    return call


def test_import_show_and_check(both):
    both("import", "usage.csv", "quotas.csv", "--dry-run")
    said = both("import", "usage.csv", "quotas.csv")
    assert "2,880" in said
    assert said.endswith("The store is STORE. Next: surgetank plan --store STORE\n")
    both("import", "usage.csv", "quotas.csv", "--dry-run")
    both("import", "quotas.csv", "--json")
    assert both("import", "usage.csv", "--json")["imports"][0]["added"] == 0
    assert "6 series of usage, 6 quotas" in both("show")
    both("show", "--json")
    both("show", "us-west-2/ec2/*", *NOW)
    both("explain", WEST, *NOW)
    assert "6 series of usage, 120 days in all, 2,880 samples" in both("store", "check")
    assert both("store", "check", "--json")["imports"] == 2
    assert "would be removed" in both("store", "compact", "--keep", "5d")
    both("store", "compact", "--keep", "all", "--yes")
    assert "were removed" in both("store", "compact", "--keep", "5d", "--yes")
    assert both("store", "compact", "--keep", "5d", "--json")["samples"] == 0
    assert both("store", "check", "--json")["samples"] == 6 * 5 * 24 + 6 * 24
    assert "is not the store" not in both("spikes")


def test_plan_check_allocate_spikes_and_the_gate(both):
    both("import", "usage.csv", "quotas.csv")
    assert "us-west-2" in both("plan", *NOW, code=0)
    both("plan", "--json", *NOW)
    both("plan", "--beside", "classic", "--scenario", "N-2")
    verdict = both("check", *NOW, code=2)
    assert "exit 2" in verdict
    both("check", "--json", "--require", "ec2", *NOW, code=2)
    both("allocate")
    both("allocate", "--survive", "1", "--transfers", "--json")
    both("allocate", "--fail", "us-east-1", *NOW)
    both("spikes", "--episodes")
    both("spikes", "--json", "--detector", "rolling")
    assert "tests passed" in both("test", "--config", "test.toml", *NOW)
    both("test", "--config", "test.toml", "--json", "--ramp", *NOW)
    both("recover", "region-evacuation", "--trials", "2000", "--scenario", "N-1", *NOW)
    both("show", "--json")


def test_reservations(both):
    both("import", "usage.csv", "quotas.csv")
    assert "none" in both("reservations", "list", *NOW)
    reserve = ("reservations", "reserve", f"{EU}=20", f"{WEST}=10.5", "--coordination", "drill")
    words = ("--by", "ann", "--why", "drill")
    both(*reserve, "--dry-run", *NOW)
    both(*reserve, *words, *NOW)
    both("reservations", "reserve", f"{WEST}=500", "--coordination", "more", *NOW, code=2)
    both("reservations", "reserve", f"{WEST}=500", "--coordination", "drill", *NOW, code=3)
    assert [r["amount"] for r in both("reservations", "list", "--json", *NOW)["reservations"]]
    both("reservations", "resize", "drill", f"{WEST}=30", *NOW)
    both("reservations", "renew", "drill", "--hold", "2d", *words, *NOW)
    both("plan", "--json", *NOW)
    both("plan", "--json", "--coordination", "drill", *NOW)
    both("allocate", "--fail", "us-east-1", "--coordination", "drill", *NOW)
    both("check", "--coordination", "dril", *NOW, code=3)
    both("reservations", "release", "drill", "--by", "ann", *NOW)
    both("reservations", "list", "--all", *NOW)
    both("reservations", "reserve", f"{EU}=5", f"{WEST}=5", "--coordination", "late", *NOW)
    both("reservations", "expire", "--now", "2026-01-22T00:00:00Z")
    both("reservations", "expire", "--purge", "--now", "2026-01-28T00:00:00Z")
    both("reservations", "list", "--all", "--json", *NOW)
    both("reservations", "audit")
    both("reservations", "audit", "--coordination", "drill", "--json")
    both("store", "check")


def test_failovers(both):
    both("import", "usage.csv", "quotas.csv")
    both("reservations", "reserve", f"{EU}=20", f"{WEST}=10.5", "--coordination", "drill", *NOW)
    assert "No failover was ever prepared" in both("failover", "status")
    words = ("--by", "ann", "--why", "drill")
    both("failover", "prepare", "us-east-1", *NOW)
    both("failover", "prepare", "us-east-1", "--yes", *words, *NOW)
    both("failover", "prepare", "us-east-1", "--yes", *NOW, code=3)
    both("failover", "activate", "us-east-1", "--yes", "--json", *NOW)
    both("failover", "replan", "us-east-1", "--yes", *NOW)
    both("failover", "recover", "us-east-1", "--yes", *NOW, code=2)
    both("failover", "recover", "us-east-1", "--yes", "--early", "--why", "exercise", *NOW)
    both("failover", "status", "us-east-1", *NOW)
    both("failover", "status", "--json", *NOW)
    both("failover", "cancel", "nobody", "--yes", *NOW, code=3)
    both("reservations", "release", "drill", *words, *NOW)
    both("reservations", "list", "--all", *NOW)
    both("reservations", "audit")
    both("store", "check")


def test_what_is_kept_besides_comes_out_the_same(both):
    """Scenarios and plans that a program saved."""
    both("import", "usage.csv", "quotas.csv")
    for place in PLACES:
        with open_store(place) as store:
            store.save_scenarios([Scenario("drill", "us-east-1", {"us-west-2": 0.5, "eu-west-1": 0.5})])
            for made in worlds(hours=10, first=HOURS):
                store.add_samples(made.samples())
    assert "drill" in both("plan")
    assert "scenarios: drill" in both("show")


def test_what_is_wrong_is_said_in_the_same_words(both, run):
    for args in (("plan",), ("show",), ("store", "check"), ("reservations", "list"), ("failover", "status"), ("test",)):
        for place in PLACES:
            code, out, err = run(*args, "--store", place)
            assert (code, out) == (3, ""), (args, place)
            assert err.startswith(("surgetank: store", "surgetank: --config")), err
            assert "surgetank import FILE" in err or args == ("test",)
    both("import", "quotas.csv")
    both("plan", code=3)
    both("import", "nothing.csv", code=3)


def test_only_tables_have_a_template_and_only_a_file_is_copied(here, run):
    code, out, err = run("store", "template", "--store", PLACES[1])
    assert (code, err, len(json.loads(out)["Resources"])) == (0, "", 8)
    assert run("store", "template", "--store", PLACES[0])[0] == 3


def test_the_store_of_the_toml_file(both, files, run):
    both("import", "usage.csv", "quotas.csv")
    (files / "surgetank.toml").write_text(f'store = "{PLACES[1]}"\n')
    assert str(Config.read(files / "surgetank.toml").store) == PLACES[1]
    code, out, _ = run("show")
    assert (code, out.startswith(PLACES[1])) == (0, True)
    assert run("store", "backup", "copy.db")[0] == 3
