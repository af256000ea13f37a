"""Judging by targets: hand-worked verdicts, what cannot be told, components, and malformed input."""

import datetime as dt
import math
import pickle

import numpy as np
import pytest

from surgetank import (
    Branch,
    DataStore,
    InvalidInput,
    Recovery,
    Runbook,
    Step,
    Uniform,
    estimate_recovery,
    shipped_names,
    shipped_runbook,
)
from surgetank.recovery.target_sets import COMPONENTS, SEVERITIES, STRATEGIES, TARGETS, TIERS
from surgetank.recovery.targets import Target, judge, target_set
from surgetank.recovery.times import wilson

TRIALS = 20_000
TABLE = DataStore("table", Uniform(0, 100))


def simple(high_s=100.0, stores=(TABLE,), trials=TRIALS, **more):
    return estimate_recovery(Runbook([Step("move", Uniform(0, high_s))], stores=stores, **more), trials=trials)


def manned(wait_s=0.0):
    """Detected after 90 s, somebody answers after ``wait_s``, decides, and traffic moves."""
    steps = [
        Step("detect", 90),
        Step("page", wait_s, after=["detect"]),
        Step("declare", Uniform(0, 600), after=["page"]),
        Step("move", Uniform(0, 200), after=["declare"]),
    ]
    book = Runbook(steps, stores=[TABLE], detection="detect", declaration="declare")
    return estimate_recovery(book, trials=TRIALS)


def test_verdicts_by_hand():
    found = judge(simple(), [
        Target("met", 98, 98),  # .98², at once
        Target("breached", 90, 99),  # each by itself 90 % and 99 %
        Target("open", 60, 60, probability=0.36),
        Target("data", rpo_s=99),
        Target("time", 99),
        Target("half", 50, 50, probability=0.2),
    ])  # fmt: skip
    assert found.met == ("met", "data", "time", "half")
    assert found.breached == ("breached",)
    assert found.unknown == ("open",)
    assert found["met"].probability == pytest.approx(0.9604, abs=0.005)
    assert found["half"].probability == pytest.approx(0.25, abs=0.01)
    assert found["breached"].rto == pytest.approx(0.9, abs=0.01)
    assert found["breached"].why.startswith("RTO: ")
    assert math.isnan(found["data"].rto)
    assert math.isnan(found["time"].rpo)
    assert "trials would decide" in found["open"].why


def test_it_is_the_interval_that_decides():
    result = simple(trials=1000)
    for share in np.linspace(0.9, 0.99, 19):
        one = judge(result, Target("t", 100 * share)).judged[0]
        hits = round(one.rto * 1000)
        assert one.interval == wilson(hits, 1000, 0.95)
        low, high = one.interval
        assert one.verdict == ("PolicyMet" if low >= 0.95 else "PolicyBreached" if high < 0.95 else "Unknown")


def test_so_many_trials_would_decide():
    few = simple(trials=1000)
    said = judge(few, Target("t", 94))["t"]
    assert said.verdict == "Unknown"
    needed = int(said.why.partition("about ")[2].partition(" trials")[0].replace(",", ""))
    gap = abs(said.rto - 0.95)
    assert needed == pytest.approx(1.959964**2 * 0.95 * 0.05 / gap**2, rel=0.1)
    low, high = wilson(round(said.rto * needed), needed, 0.95)  # if the share stays
    assert not low <= 0.95 <= high
    just = judge(simple(trials=20), Target("t", 50, probability=judge(simple(trials=20), Target("t", 50))["t"].rto))[
        "t"
    ]
    assert just.why.endswith(": just what is asked")


def test_all_targets_are_counted_exactly_in_one_run():
    result = simple()
    alone = estimate_recovery(result.runbook, target_s=1800 / 37, rpo_target_s=33, trials=TRIALS)
    found = judge(result, [Target("t", 1800 / 37, 33), Target("u", 12.5, 77.7)])["t"]
    assert (found.rto, found.rpo) == (alone.probability, alone.rpo_probability)
    assert found.probability == alone.both_probability
    again = judge(alone, [Target("t", 1800 / 37, 33)])["t"]  # nothing is drawn again
    assert repr(again) == repr(found)  # NaN, not asked, equals NaN
    share = round(found.rto * TRIALS)
    below, above = result.rto.exact([share / TRIALS, (share + 1) / TRIALS])
    assert below <= 1800 / 37 < above


def test_zero_is_at_once_and_a_limit_is_kept_when_it_is_reached():
    at_once = estimate_recovery(Runbook([Step("move", 0)], stores=[DataStore("copy", 0)]), trials=1000)
    late = estimate_recovery(Runbook([Step("move", 0.001)], stores=[DataStore("copy", 0)]), trials=1000)
    assert judge(at_once, Target("t", 0, 0)).met == ("t",)
    assert judge(late, Target("t", 0, 0)).breached == ("t",)
    five = estimate_recovery(Runbook([Step("move", 300)], stores=[DataStore("copy", 0)]), trials=1000)
    assert judge(five).met == ("critical", "important", "high", "medium", "low")


def test_what_the_runbook_does_not_tell():
    found = judge(simple(stores=()), [Target("a", 100, 5), Target("b", 10, 5), Target("c", 100, clock="declaration")])
    assert found["a"].verdict == "Unknown"
    assert found["a"].why == "RPO: the runbook has no stores"
    assert found["a"].interval == (0, 1)
    assert math.isnan(found["a"].probability)
    assert found["b"].verdict == "PolicyBreached"  # whatever RPO may be
    assert found["c"].why == "RTO: the runbook names no declaration step"


def test_other_clocks_are_counted_apart():
    result = manned()
    found = judge(result, [
        Target("declared", 200, clock="declaration"), Target("detected", 900, 99, clock="detection"),
        Target("gap", 190, 95, clock="declaration", probability=0.92), Target("no", 100, 99, clock="declaration"),
    ])  # fmt: skip
    assert found["declared"].rto == 1
    assert found["declared"].verdict == "PolicyMet"
    assert found["detected"].probability == found["detected"].rpo  # RTO always: then all is known
    assert found["gap"].verdict == "Unknown"  # 90 % or more of 95 % and 95 %
    assert found["gap"].why.endswith(": counted apart, which no number of trials mends")
    assert math.isnan(found["gap"].probability)
    assert found["no"].why.startswith("RTO: ")


@pytest.mark.parametrize(
    ("wait", "answer_s", "share"), [(0, 0, 1.0), (60, 0, 0.0), (60, 60, 1.0), (Uniform(0, 100), 25, 0.25)]
)
def test_somebody_answers_when_declaring_begins(wait, answer_s, share):
    found = judge(manned(wait), Target("t", 2000, answer_s=answer_s, probability=0.2))["t"]
    assert found.answer == pytest.approx(share, abs=0.015)
    assert found.verdict == ("PolicyMet" if share > 0 else "PolicyBreached")
    assert found.why.startswith("answer: ") == (share == 0)


def test_answers_without_a_declaration_are_not_known():
    alone = judge(simple(), Target("t", answer_s=60))["t"]
    assert (alone.verdict, alone.why) == ("Unknown", "answer: the runbook names no declaration step")
    fork = Runbook(
        [Step("a", 30), Branch("go", {"yes": 1.0}, after=["a"]), Step("b", 1, after=["go"])], declaration="go"
    )
    assert judge(estimate_recovery(fork, trials=100), Target("t", answer_s=30, probability=0.9))["t"].answer == 1


def test_severities():
    found = judge(manned(Uniform(0, 1000)), "severities")
    assert [j.target.name for j in found.judged] == ["SEV-1", "SEV-2", "SEV-3"]
    assert found.breached == ("SEV-1", "SEV-2")  # at once: never; in 15 min: 90 %
    assert found.met == ("SEV-3",)
    assert found["SEV-2"].answer == pytest.approx(0.9, abs=0.01)
    assert "Somebody has answered when the declaration step begins, counted from detection." in str(found)


def test_components():
    steps = [Step("promote", Uniform(0, 400)), Step("traffic", 700, after=["promote"])]
    stores = [DataStore("S3", 0), DataStore("replica", Uniform(0, 310))]
    result = estimate_recovery(Runbook(steps, stores=stores), trials=TRIALS)
    found = judge(
        result,
        [*COMPONENTS, Target("files", 1200, 0, component=True), Target("other files", 800, 0, component=True)],
        components={"relational": ["promote", "replica"], "search": "traffic", "files": "S3", "other files": "S3"},
    )
    assert found["relational"].rto == pytest.approx(0.75, abs=0.01)
    assert found["relational"].rpo == pytest.approx(300 / 310, abs=0.005)
    assert found["relational"].probability == pytest.approx(0.75 * 300 / 310, abs=0.01)
    assert found["relational"].why.startswith("RTO: ")
    assert found["search"].rto == 1
    assert found["search"].why == "RPO: the runbook has no store of it"
    assert found["gateway"].why == "RTO: the runbook has no step of it; RPO: the runbook has no store of it"
    assert found["S3"].verdict == "Unknown"  # of its own name: RPO 0, and back when the service is, or earlier
    assert (found["S3"].rpo, found["S3"].why) == (1, "RTO: the runbook has no step of it")
    assert found["files"].verdict == "PolicyMet"  # the service is back in time, so the files are
    assert found["other files"].verdict == "Unknown"
    assert found["ML endpoint"].interval == (0, 1)
    assert "A component with a store and no step" in str(found)


def test_strategies_are_judged_by_the_longest_that_is_usual():
    assert [s.name for s in STRATEGIES] == [t.name for t in TARGETS["strategies"]]
    assert {s.name for s in STRATEGIES} <= set(shipped_names())
    result = estimate_recovery(shipped_runbook("warm-standby"), trials=TRIALS)
    assert judge(result, "strategies").met == ("backup-restore", "pilot-light", "warm-standby")
    assert STRATEGIES[2].rpo_s == (1, 60)


def test_the_shipped_sets_are_those_of_the_model():
    def rows(targets):
        return [(t.rto_s, t.rpo_s) for t in targets]

    hour, day = 3600, 86400
    assert rows(TIERS) == [(300, 0), (900, 0), (1800, hour), (4 * hour, 4 * hour), (day, day)]
    assert rows(SEVERITIES) == [(4 * hour, hour), (12 * hour, 4 * hour), (day, None)]
    assert [t.answer_s for t in SEVERITIES] == [0, 900, 3600]
    assert rows(COMPONENTS) == [(0, 0), (0, 0), (60, 1), (0, 0), (300, 300), (1800, hour), (hour, None)]
    assert target_set("tiers") is TIERS


def test_a_stricter_target_is_kept_no_more_often():
    result = estimate_recovery(shipped_runbook("pilot-light"), trials=TRIALS)
    times = [600 * k for k in range(1, 9)]
    found = judge(result, [Target(f"{rto}/{rpo}", rto, rpo) for rto in times for rpo in (10, 60, 300)])
    for rto in times:
        p = [found[f"{rto}/{rpo}"] for rpo in (10, 60, 300)]
        assert p[0].probability <= p[1].probability <= p[2].probability <= p[2].rto
        for one in p:
            assert max(0, one.rto + one.rpo - 1) - 1e-12 <= one.probability <= min(one.rto, one.rpo)


def test_merged_and_pickled_results_are_judged_alike():
    book = shipped_runbook("pilot-light")
    whole = estimate_recovery(book, trials=TRIALS)
    parts = [estimate_recovery(book, trials=5000, first=first) for first in (15_000, 0, 5000, 10_000)]
    merged = Recovery.merge(parts)
    apart = Recovery.merge([parts[0], parts[1]])  # with a gap between them
    assert repr(judge(merged).judged) == repr(judge(whole).judged)
    loaded = pickle.loads(pickle.dumps(whole))
    assert repr(judge(loaded, "severities").judged) == repr(judge(whole, "severities").judged)
    assert judge(apart).trials == 10_000
    found = judge(whole)
    assert pickle.loads(pickle.dumps(found)).to_records() == found.to_records()
    assert found.table(200).splitlines()[0] == "Pilot light in another Region: 2 of 5 targets met, 3 breached"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": ""}, "name: must be a text that is not empty (got '')"),
        ({"name": "t"}, "rto_s, rpo_s, answer_s: must not all be None (got 't')"),
        ({"name": "t", "rto_s": -1}, "rto_s: must be a finite duration of at least 0 seconds (got -1)"),
        ({"name": "t", "rpo_s": "1h"}, "rpo_s: must be a finite duration of at least 0 seconds (got '1h')"),
        (
            {"name": "t", "rto_s": 1, "clock": "noon"},
            "clock: must be one of onset, detection, declaration (got 'noon')",
        ),
        (
            {"name": "t", "rto_s": 1, "probability": 1},
            "probability: must lie between 0 and 1, both excluded: no number of trials shows certainty (got 1)",
        ),
        ({"name": "t", "rto_s": 1, "component": "S3"}, "component: must be True or False (got 'S3')"),
        (
            {"name": "t", "answer_s": 1, "component": True},
            "answer_s: is for the whole service, not for a component (got 1.0)",
        ),
    ],
)
def test_malformed_targets(arguments, message):
    with pytest.raises(InvalidInput) as caught:
        Target(**arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("targets", "components", "message"),
    [
        ("tier", None, "targets: must be a shipped set; did you mean 'tiers'? (got 'tier')"),
        ([], None, "targets: must be at least one (got 'none')"),
        (3, None, "targets: must be a sequence of Target, or the name of a shipped set (got 3)"),
        (["critical"], None, "targets: must be a sequence of Target, or the name of a shipped set (got ['critical'])"),
        ([Target("a", 1), Target("a", 2)], None, "targets: must have different names (got 'a')"),
        ("components", ["S3"], "components: must map components to steps and stores (got ['S3'])"),
        (
            "components",
            {"S4": "table"},
            "components: must be of targets that are components; did you mean 'S3'? (got 'S4')",
        ),
        (
            "components",
            {"S3": "tabel"},
            "components: of 'S3' must be steps (not fallbacks) or stores; did you mean 'table'? (got 'tabel')",
        ),
        ("components", {"S3": 3}, "components: must be a sequence of texts (got 3)"),
    ],
)
def test_malformed_questions(targets, components, message):
    with pytest.raises(InvalidInput) as caught:
        judge(simple(trials=10), targets, components=components)
    assert str(caught.value) == message


def test_other_mistakes():
    with pytest.raises(InvalidInput) as caught:
        judge(shipped_runbook("pilot-light"))
    assert str(caught.value).startswith("result: must be a Recovery; estimate_recovery gives one (got ")
    with pytest.raises(InvalidInput) as caught:
        judge(simple(trials=10))["critica"]
    assert str(caught.value) == "name: must be a target; did you mean 'critical'? (got 'critica')"
    assert Target("t", dt.timedelta(minutes=5)).rto_s == 300
    assert Target("t", np.float64(5)).asked_s == (5.0,)
