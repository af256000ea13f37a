"""`surgetank reservations …` and `surgetank failover …`: an evening as it is typed."""

import json

import pytest

from cli_stores import caller
from failover_stores import filled, used_later
from surgetank import Store

AT = ("--now", "2026-01-01T00:10:00Z")
WEST, EU = "us-west-2/ec2/L-1", "eu-west-1/ec2/L-1"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    filled(Store(tmp_path / "fleet.db", create=True), (60.0, 30.0, 50.0)).close()
    call = caller(tmp_path, monkeypatch, capsys)
    return lambda *args, **more: call(*args, store="fleet.db", **more)


@pytest.fixture
def found(run):
    return lambda *args, **more: json.loads(run(*args, "--json", **more).out)


def test_reserve_list_renew_release(run, found):
    words = ("--by", "ann", "--why", "drill")
    out = run("reservations", "reserve", f"{WEST}=20", f"{EU}=10.5", "--coordination", "drill", *words, *AT).out
    assert out.startswith("drill: reserved\n")
    assert "us-west-2   ec2/L-1               20   active   2026-01-02T00:10:00Z" in " ".join(out.split(" "))
    refused = run("reservations", "reserve", f"{WEST}=51", f"{EU}=1", *AT, code=2)
    assert "refused, nothing was changed" in refused.out
    assert "us-west-2 ec2/L-1: 51 asked, 50 of 100 are free (30 used, 20 reserved)." in refused.out
    renewed = found("reservations", "renew", "drill", "--hold", "2d", *words, *AT)
    assert {r["expires"] for r in renewed["reservations"]} == {"2026-01-03T00:10:00Z"}
    assert [r["amount"] for r in found("reservations", "list", *AT)["reservations"]] == [10.5, 20]
    assert "2 released" in run("reservations", "release", "drill", *words, *AT).out
    assert "none" in run("reservations", "list", *AT).out
    assert len(found("reservations", "list", "--all", *AT)["reservations"]) == 2
    audit = found("reservations", "audit")
    assert [(a["action"], a["by"], a["why"]) for a in audit] == [
        (action, "ann", "drill") for action in ("reserve", "renew", "release")
    ]
    assert "reserve drill by ann: drill (us-west-2 ec2/L-1 0 → 20, eu-west-1 ec2/L-1 0 → 10.5)" in run(
        "reservations", "audit"
    ).out  # fmt: skip


def test_the_same_token_claims_once(found):
    call = ("reservations", "reserve", f"{WEST}=40", "--token", "t", *AT)
    first, again = found(*call), found(*call)
    assert (first["repeated"], again["repeated"]) == (False, True)
    assert first["coordination"] == again["coordination"]
    assert first["reservations"] == again["reservations"]


def test_force_is_heard(run):
    call = ("reservations", "reserve", f"{WEST}=90", "--force", *AT)
    assert "why: must say why room is claimed that is not there" in run(*call, code=3).err
    assert "FORCED beyond what there is: us-west-2 ec2/L-1: 90 asked" in run(*call, "--why", "board").out
    listed = run("reservations", "list", *AT, code=2).out
    assert "OVERSOLD: us-west-2 ec2/L-1: 30 used and 90 reserved, 20 beyond the quota of 100." in listed
    assert "reserve FORCED" in run("reservations", "audit").out


def test_dry_run_resize_expire_and_purge(run, found):
    assert found("reservations", "reserve", f"{WEST}=20", "--dry-run", *AT)["done"] is False
    assert found("reservations", "list", "--all", *AT)["reservations"] == []
    run("reservations", "reserve", f"{WEST}=20", "--coordination", "c", *AT)
    resized = found("reservations", "resize", "c", f"{EU}=10", *AT)
    assert [(r["region"], r["amount"], r["status"]) for r in resized["reservations"]] == [
        ("eu-west-1", 10, "active"), ("us-west-2", 20, "released"),
    ]  # fmt: skip
    later = ("--now", "2026-01-03T00:00:00Z")
    assert "1 reservation noted as expired, 0 forgotten" in run("reservations", "expire", *later).out
    assert "nothing is held" in run("reservations", "renew", "--help", code=0).out
    assert found("reservations", "renew", "c", *later, code=2)["reservations"] == []
    week = ("--now", "2026-01-09T00:00:00Z")
    assert "0 reservations noted as expired, 2 forgotten" in run("reservations", "expire", "--purge", *week).out
    assert "coordination: must be one of the store's" in run("reservations", "release", "c", *week, code=3).err


@pytest.mark.parametrize(
    ("items", "words"),
    [
        (["us-west-2/ec2/L-1"], "amounts: must be QUOTA=AMOUNT"),
        (["=5"], "amounts: must be QUOTA=AMOUNT"),
        ([f"{WEST}=much"], "amounts: must be QUOTA=AMOUNT"),
        ([f"{WEST}=nan"], "amounts: of us-west-2 ec2/L-1 must be finite and above 0"),
        ([f"{WEST}=0"], "amounts: of us-west-2 ec2/L-1 must be finite and above 0"),
        ([f"{WEST}=1", f"{WEST}=2"], "amounts: must name each quota once"),
        (["ec2=5"], "quota: must name one quota; 3 match"),
        (["us-west-3/ec2/L-1=5"], "quota: must name a quota of the store; did you mean"),
        ([f"{WEST}=1", "--hold", "24"], "--hold: needs a unit"),
        ([f"{WEST}=1", "--stale-after", "soon"], "--stale-after: must be a duration"),
    ],
)
def test_refusals(run, items, words):
    answer = run("reservations", "reserve", *items, *AT, code=3)
    assert answer.err.startswith(f"surgetank: {words}")
    assert (answer.out, answer.err.count("\n")) == ("", 1)


def test_plans_see_what_is_reserved_but_for_ones_own(run, found):
    run("reservations", "reserve", f"{WEST}=40", "--coordination", "drill", *AT)

    def available(*more):
        rows = found("plan", *AT, *more)["quotas"]
        return {row["region"]: (row["available"], row["reserved"]) for row in rows}

    assert available()["us-west-2"] == (30, 40)
    assert available("--coordination", "drill")["us-west-2"] == (70, 0)
    event = found("allocate", "--fail", "us-east-1", *AT)
    mine = found("allocate", "--fail", "us-east-1", "--coordination", "drill", *AT)
    for answer, reserved, taken in ((event, 40, 60 * 30 / 80), (mine, 0, 60 * 70 / 120)):
        (west,) = [row for row in answer["rows"] if row["region"] == "us-west-2"]
        assert (west["reserved"], west["taken"]) == (reserved, pytest.approx(taken))


def test_an_evening_as_it_is_typed(run, found, tmp_path):
    assert "No failover was ever prepared" in run("failover", "status").out
    dry = run("failover", "prepare", "us-east-1", *AT).out
    assert "us-east-1: normal → preparing (dry run: nothing was changed)" in dry
    assert dry.endswith("exit 0: a dry run; --yes does it\n")
    assert found("failover", "status") == []
    run("failover", "prepare", "us-east-1", "--yes", "--by", "ann", "--why", "storm", *AT)
    run("failover", "activate", "us-east-1", "--yes", *AT)
    with Store(tmp_path / "fleet.db") as store:
        used_later(store, (30.0, 47.5, 62.5), "2026-01-01T00:20Z")
    half = found("failover", "replan", "us-east-1", "--yes", "--now", "2026-01-01T00:21:00Z")
    assert {row["region"]: (row["landed"], row["held_after"]) for row in half["quotas"]} == {
        "us-west-2": (17.5, pytest.approx(30 * 52.5 / 90)), "eu-west-1": (12.5, pytest.approx(30 * 37.5 / 90)),
    }  # fmt: skip
    early = run("failover", "recover", "us-east-1", "--yes", "--now", "2026-01-01T01:00:00Z", code=2).out
    assert "us-east-1 stays active, recover refused: not before 2026-01-01T02:10:00Z, in 1 h 10 min" in early
    for now, words in (
        ("02:10", "active → recovering, 10% of the load back"),
        ("02:25", "recovering, recover, 50% of the load back"),
        ("02:55", "recovering → normal"),
    ):
        assert words in run("failover", "recover", "us-east-1", "--yes", "--now", f"2026-01-01T{now}:00Z").out
    told = run("failover", "status").out
    assert told.startswith("us-east-1: normal since 2026-01-01T02:55:00Z\n")
    assert "2026-01-01T00:10:00Z prepare (normal → preparing) by ann: storm" in told
    (one,) = found("failover", "status", "us-east-1")
    assert [event["action"] for event in one["events"]] == ["prepare", "activate", "replan", *["recover"] * 3]


def test_an_emergency_as_it_is_typed(run, found):
    call = ("failover", "activate", "us-east-1", "--emergency", "--critical", "0.5", *AT)
    assert "why: must say what the emergency is" in run(*call, code=3).err
    done = found(*call, "--why", "fire", "--yes")
    assert (done["before"], done["after"], done["done"]) == ("normal", "active", True)
    assert found("failover", "status", *AT)[0]["emergency"] is True
    assert "EXPIRED" in run("failover", "status", code=2).out


def test_exit_codes(run):
    assert "its usage" not in run("failover", "prepare", "us-east-1", *AT).out
    unknown = run("failover", "prepare", "us-east-1", "--now", "2026-02-01T00:00:00Z", code=3).out
    assert "ec2/L-1: what us-east-1 uses is not known; last observed" in unknown
    run("reservations", "reserve", f"{WEST}=60", f"{EU}=40", *AT)
    assert "find no room" in run("failover", "prepare", "us-east-1", *AT, code=2).out
    assert "failover: must be one that was prepared" in run("failover", "cancel", "us-east-1", code=3).err


def test_a_claim_that_is_repeated_after_its_end_says_so(run, found):
    call = ("reservations", "reserve", f"{WEST}=5", "--token", "t", "--hold", "1h")
    run(*call, *AT)
    later = ("--now", "2026-01-01T02:00:00Z", "--stale-after", "1d")
    again = run(*call, *later, code=2).out
    assert "was reserved before, and holds nothing any more" in again
    assert found(*call, *later, code=2)["stands"] is False


def test_a_coordination_that_nobody_knows(run):
    run("reservations", "reserve", f"{WEST}=5", "--coordination", "drill", *AT)
    for call in (("reservations", "list"), ("reservations", "audit"), ("plan",), ("allocate",), ("check",)):
        answer = run(*call, "--coordination", "dril", code=3)
        assert answer.err == (
            "surgetank: --coordination: must be one of the store's; did you mean 'drill'? (got 'dril')\n"
        )


def test_an_instant_that_is_none_is_no_damage(run):
    for call in (("plan",), ("allocate",), ("reservations", "list"), ("failover", "status")):
        err = run(*call, "--now", "yesterday", code=3).err
        assert "must be an instant" in err
        assert "damaged" not in err


def test_what_is_not_known_to_be_oversold_is_said(run):
    run("reservations", "reserve", f"{WEST}=5", "--hold", "30d", *AT)
    late = run("reservations", "list", "--now", "2026-01-02T00:10:00Z", code=3).out
    assert (
        "Not known whether it is oversold: us-west-2 ec2/L-1: its usage is not known, last observed 24 h ago"
        in " ".join(late.split()).replace("1 d ago", "24 h ago")
    )
