"""Account ids on the command line: their last four digits for people, in full for programs and where asked for."""

import json
import re

import numpy as np
import pytest

import surgetank
from cli_stores import caller
from surgetank import QuotaKey

ONE, OTHER = "111122223333", "444455556666"
REGIONS = ("us-east-1", "us-west-2")
AT = ("--now", "2026-01-03T00:00:00Z")
CLAIM = ("reservations", "reserve", "--coordination", "drill")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Two accounts with one quota each in two Regions, of which the loss does not fit."""
    with surgetank.Store(tmp_path / "fleet.db", create=True) as made:
        for account in (ONE, OTHER):
            world = surgetank.History.from_array(
                np.full((49, 2), 60.0), start="2026-01-01T00:00Z", step_s=3600, regions=REGIONS, account=account,
                service_code="ec2", quota_code="L-1", quota=100.0,
            )  # fmt: skip
            made.import_quotas(world.quotas)
            made.add_samples(world.samples())
    call = caller(tmp_path, monkeypatch, capsys)
    return lambda *args, **more: call(*args, store="fleet.db", **more)


COMMANDS = [
    (("plan", "--scenario", "N-1"), 0),
    (("check", "--scenario", "N-1"), 2),
    (("explain", "us-west-2/ec2/L-1", "--scenario", "N-1"), 0),
    (("show", "us-west-2/ec2/L-1", "--scenario", "N-1"), 0),
    (("allocate",), 0),
    (("allocate", "--fail", "us-east-1"), 0),
    (("recover", "region-evacuation", "--scenario", "N-1", "--trials", "1000"), 0),
    (("failover", "prepare", "us-east-1", *AT), 2),
    (("reservations", "reserve", f"{ONE}/us-west-2/ec2/L-1=50", *AT), 2),
    (("spikes", "--episodes"), 0),
]


@pytest.mark.parametrize(("words", "code"), COMMANDS, ids=lambda value: value[0] if isinstance(value, tuple) else "")
def test_people_see_four_digits_unless_they_ask_for_all(run, words, code):
    said = run(*words, code=code).out
    assert not re.search(r"\d{12}", said)
    assert ("…3333" in said) == ("3333" in run(*words, "--show-accounts", code=code).out)
    assert "…3333" not in run(*words, "--show-accounts", code=code).out


def test_tables_stay_straight(run):
    lines = [line for line in run("plan", "--scenario", "N-1").out.splitlines() if "us-west-2   " in line]
    assert len(lines) == 2
    assert len({line.index("us-west-2") for line in lines}) == 1


def test_what_a_recovery_lacks_is_told_by_account(run):
    words = ("recover", "region-evacuation", "--scenario", "N-1", "--trials", "1000", "--target", "30m")
    said = run(*words, "--probability", ".9", code=2).out
    assert re.search(r"Mostly for lack of ec2/L-1 in us-west-2 of …(3333|6666): its increase is", said)
    short = [line.split()[:3] for line in said.splitlines() if line.startswith("…")]
    west = [["…3333", "ec2/L-1", "us-west-2"], ["…6666", "ec2/L-1", "us-west-2"]]
    assert [sorted(short[:2]), [row for row in short[2:] if row[2] == "us-west-2"]] == [west, west]


def test_programs_see_all(run):
    accounts = {row["account"] for row in json.loads(run("plan", "--json").out)["quotas"]}
    assert accounts == {ONE, OTHER}


def test_pages_hold_what_people_see(run, tmp_path):
    run("plan", "--scenario", "N-1", "--html", "plan.html")
    page = (tmp_path / "plan.html").read_text(encoding="utf-8")
    assert "…3333" in page
    assert ONE not in page


def test_what_is_shown_may_be_typed(run):
    said = run(*CLAIM, "us-west-2/ec2/L-1=5", *AT, code=3).err
    assert "must name one quota; 2 match: …3333/us-west-2/ec2/L-1, …6666/us-west-2/ec2/L-1 (got" in said
    assert run(*CLAIM, "…3333/us-west-2/ec2/L-1=5", *AT).out.startswith("drill: reserved\n")
    (row,) = json.loads(run("reservations", "list", *AT, "--json").out)["reservations"]
    assert row["account"] == ONE


def test_only_the_command_line_shortens(run):
    with surgetank.Store("fleet.db") as store:
        run("plan")
        assert ONE in str(surgetank.plan(store.history()))


@pytest.mark.parametrize(
    ("pattern", "named"), [("…3333/us-east-1/ec2/L-1", True), ("…333/*", False), ("…6666/*", False), ("…", False)]
)
def test_a_pattern_may_begin_with_four_digits(pattern, named):
    assert QuotaKey(ONE, "us-east-1", "ec2", "L-1").matches(pattern) == named


def test_a_moment_in_a_name_stays(run):
    assert run(*CLAIM[:-1], "drill-202601022130", f"{ONE}/us-west-2/ec2/L-1=5", *AT).out.startswith(
        "drill-202601022130: "
    )
