"""`adequacy`: verdicts, ramps and recommendations beside a slow twin; what is not known; JUnit."""

import math
import os
import pickle
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracles_adequacy as twin
import surgetank
from surgetank import AdequacyScenario, AdequacyTest, History, InvalidInput, Quota, QuotaKey, adequacy
from surgetank.adequacy.writing import file_names

PRIMARY, WEST, EU = "us-east-1", "us-west-2", "eu-west-1"
SHIPPED = ("regional_failover", "az_failure", "traffic_surge")


def key(region, service="ec2", code="L-1", account="-"):
    return QuotaKey(account, region, service, code)


def world(values, reserved=None, **more):
    """History of {key: (usage, quota)}, None where not known; more: fields of every Quota."""
    values = dict(sorted(values.items(), key=lambda one: (one[0].quota_name, one[0].account, one[0].region)))
    usage = [[math.nan if u is None else u for u, _ in values.values()]] * 3
    quotas = {k: Quota(key=k, value=math.nan if q is None else q, **more) for k, (_, q) in values.items()}
    made = History(keys=tuple(values), start_s=0, step_s=300.0, usage=np.array(usage), quotas=quotas)
    if reserved:
        object.__setattr__(made, "reserved", reserved)
    return made


def of(*, secondaries=(WEST, EU), services=("ec2",), scenarios=SHIPPED, **more):
    return AdequacyTest(
        primary_region=PRIMARY, secondary_regions=secondaries, services=services, scenarios=scenarios, **more
    )


def sixty():
    return world({key(region): (60.0, 100.0) for region in (PRIMARY, WEST, EU)})


def test_sixty_per_cent_of_equal_quotas():
    found = adequacy(sixty(), of())
    assert [(c.scenario, c.status) for c in found.cases] == [
        ("regional_failover", "failed"),
        ("az_failure", "passed"),
        ("traffic_surge", "failed"),
    ]
    assert [(c.needed, c.available, c.shortfall) for c in found.cases] == [
        (120.0, 80.0, 40.0),
        (78.0, 100.0, 0.0),
        (180.0, 80.0, 100.0),
    ]
    assert [(c.ramp.naive_stop, c.ramp.stop) for c in found.cases] == [(4, 7), (None, None), (3, 5)]
    assert (found.status, found.exit_code, found.because) == ("failed", 2, "2 of 3 tests failed")
    failover = found["regional_failover"].cases[0]
    assert failover.ramp.stop_s == timedelta(minutes=21).total_seconds()
    assert failover.ramp.naive_stop_s == timedelta(minutes=12).total_seconds()
    assert failover.ramp.steps[5].taken == {WEST: 36.0, EU: 36.0}
    assert [one.text for one in failover.recommendations] == [
        "raise us-west-2 ec2/L-1 from 100 to 120 (+20)",
        "raise eu-west-1 ec2/L-1 from 100 to 120 (+20)",
    ]
    assert [one.text for one in found.recommendations] == [
        "raise us-west-2 ec2/L-1 from 100 to 150 (+50)",
        "raise eu-west-1 ec2/L-1 from 100 to 150 (+50)",
    ]


def test_the_shipped_scenarios_and_the_defaults():
    listed = of(scenarios=(*SHIPPED, "mine", "az_b", "lost_availability_zone")).listed
    assert [(s.name, s.multiplier, s.duration_s / 3600, s.ramp_s / 60, s.kind) for s in listed] == [
        ("regional_failover", 2.0, 24, 30, "regional_failover"),
        ("az_failure", 1.3, 4, 15, "az_failure"),
        ("traffic_surge", 3.0, 2, 10, "traffic_spike"),
        ("mine", 2.0, 24, 30, "regional_failover"),
        ("az_b", 2.0, 24, 30, "az_failure"),
        ("lost_availability_zone", 2.0, 24, 30, "az_failure"),
    ]


amounts = st.one_of(
    st.integers(0, 40).map(float),
    st.integers(0, 400).map(lambda n: n / 10),
    st.floats(0, 1e6, allow_subnormal=False),
)
maybe = st.one_of(amounts, amounts, amounts, st.none())
multipliers = st.one_of(st.sampled_from([0.1, 0.5, 1.0, 1.3, 2.0, 3.0]), st.floats(0.01, 50))


held = st.sampled_from([0.0, 0.0, 0.5, 3.0])
perhaps_known, known = st.tuples(maybe, maybe, held), st.tuples(amounts, amounts, held)


@st.composite
def worlds(draw, region):
    secondaries = draw(st.lists(region, max_size=4))
    primary, multiplier = draw(region), draw(multipliers)
    if draw(st.booleans()):  # a total that fits exactly on paper, which random numbers would never hit
        usage, total = draw(st.integers(1, 300)) / 10, len(secondaries)
        primary = (usage, draw(amounts), 0.0)
        if total:
            short = draw(st.sampled_from([1.0, 0.9]))
            secondaries = [(1.1, 1.1 + usage * multiplier * short / total, 0.0)] * total
    return primary, secondaries, multiplier


@given(worlds(perhaps_known), st.booleans())
def test_beside_the_twin(found, in_place):
    primary, secondaries, multiplier = found
    regions = {"r0": primary, **{f"r{n}": one for n, one in enumerate(secondaries, 1)}}
    history = world(
        {key(r): (u, q) for r, (u, q, _) in regions.items()}, {key(r): held for r, (_, _, held) in regions.items()}
    )
    scenario = AdequacyScenario("one", multiplier, 600, 300, "az_failure" if in_place else "regional_failover")
    test = AdequacyTest(
        primary_region="r0", secondary_regions=list(regions)[1:], services=["ec2"], scenarios=[scenario]
    )
    (case,) = adequacy(history, test).cases
    status, need, room = twin.judge(primary, secondaries, multiplier, in_place=in_place)
    assert case.status == status
    if need is not None:
        assert case.needed == pytest.approx(float(need), rel=1e-14)
    if need is None or room is None:
        return
    assert case.available == pytest.approx(float(room), rel=1e-14)
    assert case.shortfall == pytest.approx(max(0.0, float(need - room)), rel=1e-9, abs=2e-12 * float(need))
    loads, stop, naive_stop = twin.ramp(primary, secondaries, multiplier, in_place=in_place)
    assert (case.ramp.stop, case.ramp.naive_stop) == (stop, naive_stop)
    assert len(case.ramp.steps) == (stop or 10)
    for step, load in zip(case.ramp.steps, loads, strict=False):
        assert step.load == pytest.approx(float(load), rel=1e-14)
        assert step.after_s == 300 * step.step / 10
        assert math.fsum([*step.taken.values(), step.shortfall]) == step.load
        assert all(amount <= room.free for room in case.rooms if (amount := step.taken[room.region]))
        assert step.fits == (step.step != stop)
    if multiplier >= 1 or not in_place:  # else the load falls, and its first step is its highest
        assert (case.ramp.stop is None) == (case.shortfall == 0)
    else:
        assert case.ramp.steps[-1].fits or case.ramp.stop == 1


@given(worlds(known), st.booleans(), st.booleans())
def test_what_is_recommended_is_enough(found, in_place, some_fixed):
    primary, secondaries, multiplier = found
    regions = {"r0": primary, **{f"r{n}": one for n, one in enumerate(secondaries, 1)}}
    reserved = {key(r): held for r, (_, _, held) in regions.items()}
    history = world({key(r): (u, q) for r, (u, q, _) in regions.items()}, reserved)
    if some_fixed and "r2" in regions:
        quotas = {**history.quotas, key("r2"): replace(history.quotas[key("r2")], adjustable=False)}
        history = replace(history, quotas=quotas)
        object.__setattr__(history, "reserved", reserved)
    scenario = AdequacyScenario("one", multiplier, kind="az_failure" if in_place else "regional_failover")
    test = AdequacyTest(
        primary_region="r0", secondary_regions=list(regions)[1:], services=["ec2"], scenarios=[scenario, "mine"]
    )
    before = adequacy(history, test)
    raised = dict(history.quotas)
    for one in before.recommendations:
        if one.action == "raise":
            where = key(one.region)
            assert raised[where].adjustable is None
            assert one.raised > raised[where].value
            whole = all(n.is_integer() for k in history.keys for n in (regions[k.region][:2]))
            assert not whole or any(held % 1 for held in reserved.values()) or one.raised.is_integer()
            raised[where] = replace(raised[where], value=one.raised)
    history = replace(history, quotas=raised)
    object.__setattr__(history, "reserved", reserved)
    after = adequacy(history, test)
    for old, new in zip(before.cases, after.cases, strict=True):
        assert new.status == ("passed" if old.status in ("failed", "warning") else old.status)


def test_whole_units_are_spread_without_a_spare():
    values = {key(PRIMARY): (35.0, 100.0), key(WEST): (60.0, 90.0), key(EU): (60.0, 95.0)}
    (case,) = adequacy(world(values), of(scenarios=[AdequacyScenario("x", 2.2)])).cases
    assert case.shortfall == pytest.approx(12)
    assert [(one.region, one.amount) for one in case.recommendations] == [(WEST, 6.0), (EU, 6.0)]
    (case,) = adequacy(world(values), of(scenarios=[AdequacyScenario("x", 2.21)])).cases
    assert [one.text for one in case.recommendations] == [
        "raise us-west-2 ec2/L-1 from 90 to 97 (+7)",
        "raise eu-west-1 ec2/L-1 from 95 to 101 (+6)",
    ]


def test_fractions_are_rounded_up_to_three_digits():
    values = {key(PRIMARY): (1.0, 9.0), key(WEST): (0.25, 0.5), key(EU): (0.25, 0.75)}
    (case,) = adequacy(world(values), of(scenarios=[AdequacyScenario("x", 2.0)])).cases
    assert [one.text for one in case.recommendations] == [
        "raise us-west-2 ec2/L-1 from 0.5 to 1.125 (+0.625)",
        "raise eu-west-1 ec2/L-1 from 0.75 to 1.375 (+0.625)",
    ]


def test_a_region_beyond_its_quota_has_no_room_and_is_raised_last():
    values = {key(PRIMARY): (10.0, 100.0), key(WEST): (50.0, 30.0), key(EU): (10.0, 15.0)}
    (case,) = adequacy(world(values), of(scenarios=["mine"])).cases
    assert (case.available, case.shortfall) == (5.0, 15.0)
    assert [one.text for one in case.recommendations] == ["raise eu-west-1 ec2/L-1 from 15 to 30 (+15)"]
    (case,) = adequacy(world(values), of(secondaries=[WEST], scenarios=["mine"])).cases
    assert [one.text for one in case.recommendations] == ["raise us-west-2 ec2/L-1 from 30 to 70 (+40)"]


def test_what_cannot_be_raised():
    values = {key(region): (60.0, 100.0) for region in (PRIMARY, WEST, EU)}
    found = adequacy(world(values, adjustable=False), of(scenarios=["mine"]))
    assert [(one.action, one.text) for one in found.recommendations] == [
        (
            "shed",
            "us-west-2 and eu-west-1 ec2/L-1 are not adjustable: use another Region or shed load (40)",
        )
    ]
    surge = AdequacyScenario("az_x", 2.0)
    found = adequacy(world(values, adjustable=False), of(scenarios=[surge]))
    assert found.recommendations[0].text == (
        "us-east-1 ec2/L-1 is not adjustable: use another Region or shed load (20)"
    )
    found = adequacy(world(values), of(scenarios=[surge]))
    assert found.recommendations[0].text == "raise us-east-1 ec2/L-1 from 100 to 120 (+20)"


def test_a_little_short_is_a_warning():
    values = {key(PRIMARY): (50.0, 100.0), key(WEST): (0.0, 90.0)}
    test = of(secondaries=[WEST], scenarios=["mine"])
    found = adequacy(world(values), test)
    assert (found.status, found.exit_code, found.cases[0].shortfall) == ("warning", 1, 10.0)
    assert found.because == "1 of 1 tests passed with a warning"
    found.require_met()
    assert adequacy(world({**values, key(WEST): (0.0, 89.0)}), test).status == "failed"


def test_ten_steps_of_what_fits_exactly():
    for usage in (0.1, 0.7, 1.1, 12.3, 1e-9, 123456.7):
        for multiplier in (1.1, 1.3, 2.0, 3.3):
            values = {key(PRIMARY): (usage, 1e9), key(WEST): (usage, usage + usage * multiplier)}
            (case,) = adequacy(
                world(values), of(secondaries=[WEST], scenarios=[AdequacyScenario("x", multiplier)])
            ).cases
            assert (case.status, case.ramp.stop, case.ramp.naive_stop) == ("passed", None, None)


FULL = {key(PRIMARY): (10.0, 100.0), key(WEST): (60.0, 100.0), key(EU): (60.0, 100.0)}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({key(PRIMARY): (None, 100.0)}, "Not known: usage of us-east-1."),
        ({key(PRIMARY): (10.0, None)}, "Not known: quota of us-east-1."),
        ({key(PRIMARY): (None, None)}, "Not known: quota and usage of us-east-1."),
        (
            {key(WEST): (None, 100.0), key(EU): (1.0, None)},
            "Not known: usage of us-west-2; quota of eu-west-1.",
        ),
    ],
)
def test_what_is_not_known_is_unknown(change, why):
    found = adequacy(world({**FULL, **change}), of(scenarios=["mine"]))
    assert (found.status, found.exit_code, found.cases[0].why) == ("UNKNOWN", 3, why)
    assert {one.action for one in found.recommendations} == {"collect"}
    assert found.because == "1 of 1 tests is UNKNOWN"
    with pytest.raises(InvalidInput, match="adequacy: every scenario must pass"):
        found.require_met()


def test_one_secondary_of_several_that_is_not_known_has_no_room():
    dark = {**FULL, key(EU): (None, 100.0)}
    found = adequacy(world(dark), of(scenarios=["mine"]))
    assert (found.status, found.cases[0].available) == ("passed", 40.0)
    assert found.cases[0].why == "20 fits: us-west-2 has room for 40. Not known, so no room: usage of eu-west-1."
    assert found.cases[0].why in str(found.table(200))
    found = adequacy(world({**dark, key(PRIMARY): (30.0, 100.0)}), of(scenarios=["mine"]))
    assert found.status == "UNKNOWN"
    assert "Not known, and there may be room: usage of eu-west-1." in found.cases[0].why
    assert [one.text for one in found.recommendations] == ["collect usage of eu-west-1 ec2/L-1"]


def test_stale_usage_says_when_it_was_seen():
    usage = np.full((100, 3), 10.0)
    usage[40:, 0] = np.nan
    history = History.from_array(
        usage, start="2026-01-01T00:00Z", step_s=300, regions=[PRIMARY, WEST, EU], service_code="ec2", quota=100.0
    )
    found = adequacy(history, of(scenarios=["mine"]))
    assert found.cases[0].why == "Not known: usage (last seen 2026-01-01T03:15:00Z) of us-east-1."
    assert adequacy(history, of(scenarios=["mine"]), now="2026-01-01T03:20Z").status == "passed"
    later = adequacy(history, of(scenarios=["mine"]), now="2026-01-02T03:20Z")
    assert (later.status, str(later.as_of)) == ("UNKNOWN", "2026-01-02T03:20:00")


@pytest.mark.parametrize(
    ("empty", "because"),
    [
        ({"services": ()}, "no services are listed"),
        ({"scenarios": ()}, "no scenarios are listed"),
        ({"secondaries": ()}, "no secondary Regions are listed"),
        ({"secondaries": (), "scenarios": ["az_failure"]}, "no secondary Regions are listed"),
        ({"services": (), "scenarios": (), "secondaries": ()}, "no secondary Regions are listed"),
    ],
)
def test_an_empty_list_never_passes(empty, because):
    found = adequacy(sixty(), of(**{"scenarios": ["mine"], **empty}))
    assert (found.status, found.exit_code) == ("UNKNOWN", 3)
    assert because in str(found.table())
    root = ET.fromstring(found.to_junit())
    assert int(root.get("errors")) >= 1
    assert int(root.get("tests")) >= 1


def test_failed_wins_over_unknown_and_unknown_over_warning():
    values = {
        **{key(r, code="L-2"): v for r, v in {PRIMARY: (50.0, 100.0), WEST: (0.0, 90.0)}.items()},
        key(PRIMARY, "s3"): (None, 1.0),
    }
    test = of(secondaries=[WEST], services=["ec2", "s3"], scenarios=["mine"])
    assert adequacy(world(values), test).exit_code == 3
    values |= {key(PRIMARY, "rds"): (50.0, 100.0), key(WEST, "rds"): (0.0, 20.0)}
    found = adequacy(world(values), replace(test, services=["ec2", "s3", "rds"]))
    assert (found.exit_code, found.because) == (2, "1 of 3 tests failed")


def test_each_quota_is_a_row_once_and_never_added_to_another():
    values = {key(r, code=c): (60.0, 100.0) for r in (PRIMARY, WEST, EU) for c in ("L-1", "L-2")}
    found = adequacy(world(values), of(services=["ec2/L-2", "ec2", "*"], scenarios=["az_failure"]))
    assert [(c.service, c.quota_name) for c in found.cases] == [("ec2/L-2", "ec2/L-2"), ("ec2", "ec2/L-1")]
    assert found.status == "passed"


def test_a_quota_that_nobody_collected_in_the_primary_is_not_zero():
    found = adequacy(world({**FULL, key(WEST, code="L-9"): (1.0, 100.0)}), of(scenarios=["mine"]))
    assert [(c.quota_name, c.status) for c in found.cases] == [("ec2/L-1", "passed"), ("ec2/L-9", "UNKNOWN")]
    assert found.exit_code == 3


def test_a_service_that_names_nothing():
    found = adequacy(sixty(), of(services=["ecc2", "us-east-9/*"], scenarios=["mine"]))
    assert [c.why for c in found.cases] == [
        "ecc2 names no quota; did you mean 'ec2'?",
        "us-east-9/* names no quota; known: ec2, ec2/L-1.",
    ]
    assert found.exit_code == 3
    assert found.recommendations[0].text == (
        "collect quotas and usage of ecc2 in us-east-1, us-west-2 and eu-west-1, or name another service"
    )


def test_quotas_of_the_account_are_left_out_and_named():
    values = {**FULL, key(PRIMARY, "iam"): (1.0, 2.0)}
    history = world(values)
    quotas = {**history.quotas, key(PRIMARY, "iam"): Quota(key=key(PRIMARY, "iam"), value=2.0, is_global=True)}
    found = adequacy(replace(history, quotas=quotas), of(services=["*"], scenarios=["mine"]))
    assert (found.status, found.left_out) == ("passed", ("iam/L-1",))
    assert "Left out, because they hold for the account and not for a Region: iam/L-1." in found.notes
    alone = adequacy(replace(history, quotas=quotas), of(services=["iam"], scenarios=["mine"]))
    assert alone.exit_code == 3
    assert alone.cases[0].why == "iam names only quotas that hold for the account, not for a Region."


def test_each_account_against_its_own_regions():
    values = {key(r, account=a): (60.0, q) for a, q in (("1", 100.0), ("2", 400.0)) for r in (PRIMARY, WEST, EU)}
    found = adequacy(world(values), of(scenarios=["mine"]))
    assert [(c.account, c.status) for c in found.cases] == [("1", "failed"), ("2", "passed")]
    assert "Account" in found.table()
    assert found.recommendations[0].text == "raise 1 us-west-2 ec2/L-1 from 100 to 120 (+20)"
    assert "failed 1 ec2/L-1 in mine:" in found.table(300)
    assert "Account" not in adequacy(sixty(), of()).table()


def test_what_is_reserved_is_not_free():
    history = world(FULL, {key(WEST): 30.0, key(EU): 45.0})
    (case,) = adequacy(history, of(scenarios=["mine"])).cases
    assert (case.available, case.rooms[0].reserved, case.rooms[1].free) == (10.0, 30.0, 0.0)
    history = world(FULL, {key(PRIMARY): 95.0})
    assert adequacy(history, of(scenarios=["az_failure"])).cases[0].available == 5.0


def test_amounts_at_the_edge_of_numbers():
    values = {key(PRIMARY): (1e308, 1e308), key(WEST): (1e308, 1.7e308), key(EU): (0.0, 1.7e308)}
    assert adequacy(world(values), of(scenarios=[AdequacyScenario("x", 1e6)])).status == "UNKNOWN"
    nothing = {key(PRIMARY): (0.0, 0.0), key(WEST): (0.0, 0.0), key(EU): (5.0, 0.0)}
    found = adequacy(world(nothing), of())
    assert (found.status, found.cases[0].ramp.stop) == ("passed", None)


def test_the_result_presents_itself_and_pickles():
    found = adequacy(sixty(), of(scenarios=SHIPPED, unlisted=("later",)))
    again = pickle.loads(pickle.dumps(found))
    assert again.to_json() == found.to_json()
    assert [row["status"] for row in found.to_records()] == ["failed", "passed", "failed"]
    assert [row["ramp_stop"] for row in found.to_records()] == [7.0, None, 5.0]
    assert len(found.ramps.to_records()) == 7 + 10 + 5
    assert "Described and not tested, because they are not listed: later." in found.table()
    assert "<table>" in found._repr_html_()
    assert "us-west-2 36, eu-west-1 36" in found.ramps.table(160)
    with pytest.raises(InvalidInput, match="name: must be a scenario of the test; did you mean 'az_failure'"):
        found["az_fail"]


def test_the_table_as_a_whole():
    text = adequacy(sixty(), of()).table(130) + "\n"
    golden = Path(__file__).parent / "golden" / "adequacy_130.txt"
    if os.environ.get("REFRESH_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8"), "REFRESH_GOLDEN=1 pytest tests/test_adequacy.py writes it anew"


def test_junit_by_two_parsers():
    names = ["us-west-2", "\u202eevil\x00<&>\"'\ud800", "ünïcödé אבג"]
    values = {key(r, service=s): (60.0, 100.0) for r in (PRIMARY, *names) for s in ("ec2", "bad\x1b[31m")}
    warn = AdequacyScenario('w"<\x07\udfff', 64 / 60 * 2.5)
    test = of(
        secondaries=names, services=["ec2", "bad\x1b[31m", "none\x08"],
        scenarios=["regional_failover", "az_failure", AdequacyScenario("x", 2.1), warn],
    )  # fmt: skip
    found = adequacy(world(values), test)
    text = found.to_junit()
    root = ET.fromstring(text)
    suites = root.findall("testsuite")
    assert len(suites) == 4
    cases = [case for suite in suites for case in suite.findall("testcase")]
    counts = {
        "tests": len(cases),
        "failures": sum(case.find("failure") is not None for case in cases),
        "errors": sum(case.find("error") is not None for case in cases),
    }
    statuses = [case.status for case in found.cases]
    assert counts == {"tests": 12, "failures": statuses.count("failed"), "errors": statuses.count("UNKNOWN")}
    for name, count in counts.items():
        assert int(root.get(name)) == count == sum(int(suite.get(name)) for suite in suites)
    assert root.get("timestamp") == found.made[:-1]
    assert float(root.get("time")) == pytest.approx(sum(float(suite.get("time")) for suite in suites), abs=1e-5)
    warned = [case for case in cases if case.find("system-out") is not None]
    assert len(warned) == statuses.count("warning") > 0
    assert warned[0].find("system-out").text.startswith("warning: ")
    assert not {c for c in text if not c.isprintable() and c != "\n"}
    junitparser = pytest.importorskip("junitparser", reason="a second reader of JUnit XML")
    read = junitparser.JUnitXml.fromstring(text.encode())
    assert (read.tests, read.failures, read.errors) == tuple(counts.values())
    kinds = [type(result).__name__ for suite in read for case in suite for result in case.result]
    assert kinds.count("Failure") == counts["failures"]
    assert kinds.count("Error") == counts["errors"]


def test_names_of_files_are_safe_and_different():
    names = ["../../etc/passwd", "..", "", "A", "a", "a-2", "con", "COM1.x", "x" * 500, "ü/ö", "\ud800", "a\x00b", "."]
    files = file_names(names)
    assert len({file.lower() for file in files}) == len(names)
    assert all("/" not in f and not f.startswith((".", "-")) and len(f) < 100 and f.isascii() for f in files)
    assert files[3:8] == ["A.json", "a-2.json", "a-2-2.json", "_con.json", "_COM1.x.json"]


@given(st.lists(st.text(max_size=20), max_size=20, unique=True))
def test_any_names_give_as_many_files(names):
    files = file_names(names)
    assert len({file.lower() for file in files}) == len(names)
    assert all(f.isascii() and f.isprintable() and "/" not in f and "\\" not in f for f in files)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"primary_region": ""}, "primary_region: must be a text that is not empty (got '')"),
        ({"secondary_regions": [PRIMARY]}, "secondary_regions: must not name the primary Region"),
        ({"secondary_regions": [WEST, WEST]}, "secondary_regions: must not name one twice (got 'us-west-2')"),
        ({"services": [1]}, "services: must be a sequence of texts"),
        ({"scenarios": 3}, "scenarios: must be AdequacyScenarios, or names of scenarios (got 3)"),
        ({"scenarios": [3]}, "scenarios: must be AdequacyScenarios, or names of scenarios (got 3)"),
        ({"scenarios": ["a", AdequacyScenario("a")]}, "scenarios: must not name one twice (got 'a')"),
    ],
)
def test_mistakes_in_a_test(change, message):
    fields = {"primary_region": PRIMARY, "secondary_regions": [WEST], "services": ["ec2"], "scenarios": ["a"]}
    with pytest.raises(InvalidInput) as caught:
        AdequacyTest(**{**fields, **change})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"multiplier": 0}, "multiplier: must be a number above 0, at most 1,000,000 (got 0)"),
        ({"multiplier": math.nan}, "multiplier: must be a number above 0"),
        ({"multiplier": 1e9}, "multiplier: must be a number above 0"),
        ({"duration_s": 0}, "duration_s: must be a finite duration of more than 0 seconds"),
        ({"duration_s": 1e12}, "duration_s: must be at most ten years"),
        ({"ramp_s": 0}, "ramp_s: must be a finite duration of more than 0 seconds"),
        ({"duration_s": 60}, "ramp_s: must be at most the duration, 60"),
        ({"kind": "az"}, "kind: must be a kind of scenario"),
        ({"name": ""}, "name: must be a text that is not empty"),
    ],
)
def test_mistakes_in_a_scenario(fields, message):
    with pytest.raises(InvalidInput) as caught:
        AdequacyScenario(**{"name": "x", **fields})
    assert str(caught.value).startswith(message)


def test_only_usage_of_quotas_is_judged():
    with pytest.raises(InvalidInput, match="history: must be a History"):
        adequacy([[1.0]], of())
    with pytest.raises(InvalidInput, match="test: must be an AdequacyTest"):
        adequacy(sixty(), {"primary_region": PRIMARY})
    with pytest.raises(InvalidInput, match="history: must be usage of quotas"):
        adequacy(replace(sixty(), signed=True), of())
    assert surgetank.adequacy is adequacy
