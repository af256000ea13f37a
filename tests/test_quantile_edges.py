"""Worlds in which the quantile rule once went wrong: hardly observed, very regular, just enough, many events."""

import numpy as np
import pytest

import surgetank
from surgetank import ClassicPolicy, History, InvalidInput, QuantilePolicy, Scenario, probability_enough, size_headroom
from surgetank.report import explained, headline

MONTH = 30 * 288


@pytest.mark.parametrize("policy", [QuantilePolicy(tail="counted"), QuantilePolicy(risk=0.5), QuantilePolicy()])
@pytest.mark.parametrize("every", [3, 50, 5000])
def test_a_series_hardly_observed_is_answered(policy, every):
    usage = np.full((MONTH, 2), np.nan)
    usage[::every] = 20 + np.random.default_rng(0).lognormal(1, 0.3, usage[::every].shape)
    usage[-1] = 20
    h = size_headroom(usage, quota=100, step_s=300, policy=policy, scenarios="N-1")
    assert (h.need >= np.nanmax(usage, axis=0)).all()
    assert np.isfinite(h.need).all()
    apart = np.full((MONTH, 2), np.nan)  # never observed at the same moment
    apart[::2, 0], apart[1::2, 1] = 5, 6
    h = size_headroom(apart, quota=100, step_s=300, policy=policy, scenarios="N-1")
    assert h.unknown.tolist() == ["no_source"] * 2
    assert "never observed at the same moment" in h.reason[0]


@pytest.mark.parametrize("peak", [[100.0], [99.0, 100.0, 101.0], [100.0] * 40 + [101.0]])
@pytest.mark.parametrize("unit", [1, 7, 10, 1 / 3])
def test_a_nightly_job_is_no_tail_of_what_lies_between(peak, unit):
    """Peaks much alike, far above everything else: what was seen, and not a multiple of it."""
    usage = np.full(90 * 288, 10.0)
    nights = usage[144::288]
    nights[:] = np.resize(peak, len(nights))
    need = size_headroom(unit * usage, quota=1000 * unit, step_s=300).need
    assert max(peak) * unit * (1 - 1e-12) <= need <= 1.1 * max(peak) * unit


@pytest.mark.parametrize("growth", [1.0, 1.037])
def test_what_is_needed_is_enough(growth):
    """Rounding on the way from need to quota and back does not turn yes into no."""
    rng = np.random.default_rng(1)
    policy = QuantilePolicy(growth=growth)
    for _ in range(200):
        usage = np.full(288, round(rng.uniform(1, 1000), 3))
        usage[-1] = round(rng.uniform(0, usage[0]), 3)
        h = size_headroom(usage, quota=1e4, step_s=300, policy=policy)
        assert probability_enough(usage, h.needed, step_s=300, policy=policy).probability == 1
        assert size_headroom(usage, quota=float(h.need), step_s=300, policy=policy).probability_enough == 1
        assert size_headroom(usage, quota=float(h.quota_ok), step_s=300, policy=policy).status == "OK"


def three(**durations_s):
    usage = np.random.default_rng(0).lognormal(3, 0.3, (2880, 3))
    usage[-1] = 20
    history = History.from_array(
        usage, start="2024-01-01T00:00Z", step_s=300, regions=list("abc"), quota=[200, 120, 120]
    )
    scenarios = [
        Scenario(name, "a", {"b": 1.0}, multiplier=3 if name == "bad" else 1, duration_s=seconds)
        for name, seconds in durations_s.items()
    ]
    return surgetank.plan(history, scenarios=scenarios)


@pytest.mark.parametrize("order", [("good", "long", "bad"), ("long", "bad", "good"), ("bad", "long", "good")])
def test_the_worst_event_leads_though_another_is_longer_than_the_history(order):
    plan = three(**{name: 30 * 86400 if name == "long" else 3600 for name in order})
    assert plan.joint[0].event == "bad"
    assert np.isnan(plan.joint[-1].fits_frac)
    assert plan.probability_fits == plan.joint[0].fits_frac < 1
    assert headline(plan)[0].startswith("P(the failover fits), worst event: bad.")


def test_the_risks_added_up_bound_the_share_of_moments_that_do_not_fit():
    usage = np.full((200 * 24, 3), 10.0)
    usage[12::120, 2] = 100  # c peaks every five days, and the event lasts ten
    usage[-1] = 10
    scenario = Scenario("x", "a", {"b": 0.5}, duration_s=10 * 86400)
    h = size_headroom(usage, quota=[50, 50, 90], step_s=3600, regions=list("abc"), scenarios=scenario)
    (joint,) = h.joint
    assert (joint.fits, joint.risk_bound) == (0, 1)


def test_explain_looks_at_what_the_policy_looked_at():
    usage = np.full((10 * 288, 2), 30.0)
    usage[100] = 9000
    history = History.from_array(usage, start="2024-05-01T00:00Z", step_s=300, regions=["a", "b"], quota=100)
    plan = surgetank.plan(history, scenarios="N-1", policy=QuantilePolicy(history_s=7 * 86400))
    steps = "\n".join(explained(plan, history, 0))
    assert "Samples: 2,016 steps of 5 min from 2024-05-04T00:00:00Z, none missing: 30 to 30" in steps
    assert "9,000" not in steps


def test_explain_says_why_an_event_is_not_among_them():
    usage = np.full((288, 3), 100.0)
    usage[:, 1] = np.nan
    history = History.from_array(usage, start="2024-05-01T00:00Z", step_s=300, regions=list("abc"), quota=120)
    plan = surgetank.plan(history, scenarios=["N-1"])
    steps = "\n".join(explained(plan, history, 0))
    assert "Not among them: a fails (a itself), b fails (its load is not known)." in steps
    assert "Status: CRITICAL." in steps


def test_a_region_without_the_quota_brings_it_no_failover():
    """c fails onto b and b surges, together; c has no ec2, so that of ec2 only the surge is left."""
    keys = [surgetank.QuotaKey("1", region, service) for region, service in (("b", "ec2"), ("b", "rds"), ("c", "rds"))]
    history = History(
        keys=tuple(keys), start_s=0, step_s=300, usage=np.full((300, 3), 10.0),
        quotas={key: surgetank.Quota(key=key, value=100) for key in keys},
        scenarios=(
            Scenario("sale", "b", {"b": 1.0}, multiplier=2, event="e"),
            Scenario("gone", "c", {"b": 1.0}, event="e"),
        ),
    )  # fmt: skip
    h = surgetank.plan(history).headroom
    assert h.attribution.tolist() == ["spike: e", "failover: e", "base: nothing fails"]
    assert h.need.tolist() == [20, 30, 10]
    assert (h.spike[0], h.failover[1]) == (20, 30)


def test_unplaced_load_is_said():
    usage = np.full((288, 2), 100.0)
    history = History.from_array(usage, start="2024-05-01T00:00Z", step_s=300, regions=["a", "b"], quota=200)
    plan = surgetank.plan(history, scenarios=Scenario("half", "a", {"b": 0.5}))
    assert "Unplaced, so counted nowhere: 50% of a (half)." in str(plan.table(300))


def test_two_plans_are_beside_each_other_only_where_they_judge_the_same():
    plan = three(good=3600)
    with pytest.raises(InvalidInput, match=r"^other: must be a Plan"):
        plan.beside(None)
    with pytest.raises(InvalidInput, match=r"^other: must be a plan of the same quotas at the same moment"):
        plan.beside(surgetank.plan(surgetank.History.from_array([[1.0]], start=0, step_s=60, regions=["a"], quota=2)))
    history = History.from_array(np.ones((300, 2)), start=0, step_s=300, regions=["a", "b"], quota=3)
    pair = [surgetank.plan(history, scenarios="N-1", policy=QuantilePolicy(risk=r)) for r in (1e-3, 1e-2)]
    assert "Needed (risk 0.1%)" in pair[0].beside(pair[1]).table(200)
    assert "needed_quantile_2" in pair[0].beside(pair[1]).to_records()[0]
    classic = surgetank.plan(history, policy=ClassicPolicy())
    narrow = pair[0].beside(classic).table(40)
    assert max(map(len, narrow.splitlines())) <= 40


def test_a_third_policy_needs_no_permission():
    """What `Policy` asks for is enough for size_headroom and plan: no list of known classes decides."""

    class Half:
        name = "half"
        history_s = 86400.0

        def size(self, case):
            needed = case.world.quota / 2
            usage = case.world.matrix[case.rows - 1].copy()
            return {
                "usage": usage, "needed": needed, "available": case.world.quota - usage, "status": ["OK"] * len(needed),
                "utilization": needed / case.world.quota, "shortfall": 0 * needed, "unknown": ["none"] * len(needed),
            }  # fmt: skip

        def sentence(self, row):
            return f"Half of {row['quota']:g}."

        def assumption(self, headroom):
            return "Half is enough."

        def explain(self, headroom, history, row):
            return [headroom.reason[row]]

        def to_dict(self):
            return {"name": self.name}

    history = History.from_array(np.ones((300, 2)), start=0, step_s=300, regions=["a", "b"], quota=3)
    plan = surgetank.plan(history, policy=Half())
    assert plan.headroom.reason.tolist() == ["Half of 3."] * 2
    assert plan.to_dict()["policy"] == {"name": "half"}
    assert "Half is enough." in plan.table(100)
