"""Capacity coupling: against its slow twin, against the plan's own joint fit, and by hand."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracles_capacity as twin
import surgetank
from surgetank import ClassicPolicy, History, InvalidInput, QuantilePolicy, Quota, QuotaKey, Scenario
from surgetank.headroom.events import events_of
from surgetank.recovery import Fixed
from surgetank.recovery.capacity import Capacity, coupling
from surgetank.recovery.fits import block_bootstrap, required_headroom

POLICY = QuantilePolicy(confidence=0, growth=1.0)
SURGES = (
    Scenario("sale", "b", {"b": 1.0}, multiplier=2.5, duration_s=7200, event="both"),
    Scenario("lull", "b", {"b": 1.0}, multiplier=0.4, duration_s=3600),
    Scenario("half", "a", {"b": 0.5, "c": 0.25}, multiplier=1.6, duration_s=10800, event="both"),
    Scenario("swap", "c", {"c": 1.0}, multiplier=1.5, duration_s=1800, event="both"),
    Scenario("pair", ("a", "c"), {"b": 0.7}, duration_s=5400),
)


def random_history(seed):
    random = np.random.default_rng(seed)
    length = int(random.integers(3, 120))
    step_s = int(random.choice([300, 900, 3600]))
    keys = [QuotaKey("-", region, service, "L-1") for service in ("ec2", "rds") for region in "abc"]
    keys = [key for key in keys if key.region != "c" or random.random() < 0.8] + [QuotaKey("-", "a", "iam", "L-9")]
    usage = 100 * random.lognormal(0, 0.5, (length, len(keys)))
    if random.random() < 0.5:
        usage[random.random(usage.shape) < random.choice([0.05, 0.3])] = np.nan
    if random.random() < 0.3:
        usage[: int(random.integers(length)), 0] = np.nan
    if random.random() < 0.3:
        usage[:, int(random.integers(len(keys)))] = np.nan
    usage[-1, -1] = 90.0
    values = random.choice(
        [0, 150, 250, 350, 500, 800, math.nan], size=len(keys), p=[0.03, 0.2, 0.2, 0.2, 0.2, 0.1, 0.07]
    )
    quotas = [
        Quota(key=key, value=value, is_global=key.service_code == "iam")
        for key, value in zip(keys, values, strict=True)
    ]
    order = random.permutation(len(keys))
    history = History(
        keys=tuple(keys[i] for i in order),
        start_s=0,
        step_s=step_s,
        usage=np.asarray(usage[:, order], order=random.choice(["C", "F"])),
        quotas={quota.key: quota for quota in quotas},
    )
    there = [s for s in SURGES if set(s.regions) <= {key.region for key in keys if key.service_code != "iam"}]
    chosen = [s for s in there if random.random() < 0.7]
    return random, history, [*chosen, "N-1"]


def random_plan(seed):
    random, history, scenarios = random_history(seed)
    policy = QuantilePolicy(
        confidence=0,
        growth=random.choice([None, 1.0, 1.2]),
        overlap_frac=float(random.choice([0, 0.2])),
        history_s=float(random.choice([math.inf, 40 * history.step_s])),
        tail=str(random.choice(["fitted", "counted"])),
    )
    now = history.start_s + (len(history.usage) + int(random.integers(-2, 3))) * history.step_s + 17
    return surgetank.plan(history, scenarios=scenarios, policy=policy, survive=None, now=max(now, 17))


def plan_or_none(seed):
    try:
        return random_plan(seed)
    except InvalidInput as error:
        assert "observed sample" in str(error)  # noqa: PT017  (a history too short for its now)
        return None


def some_plans(count):
    return [plan for plan in map(plan_or_none, range(count)) if plan]


def twin_of(plan, event):
    keys, h = plan.keys, plan.headroom
    first, end = h.looked_at
    same = [key._replace(region="") for key in keys]
    growth = np.ones((len(keys), 2))
    if h.event_needs:
        growth = h.event_needs["growth"][:, [h.events.index(event.name), 0]]
    return twin.coupling(
        plan.history.usage[first:end].T.tolist(), h.quota.tolist(), plan.step_s, [key.region for key in keys],
        [same.index(key) for key in same], [q is not None and q.is_global for q in plan.quotas],
        [why in ("no_usage", "stale") for why in h.unknown], growth.tolist(), event.scenarios,
        getattr(h.policy, "overlap_frac", 0.0),
    )  # fmt: skip


def same_as_twin(plan, event, found):
    covered, reached, moments = twin_of(plan, event)
    first = plan.headroom.looked_at[0]
    if found is None:
        assert not moments or not set(covered) & set(reached)
        return
    assert found.covered == tuple(plan.keys[i] for i in covered)
    assert found.moments.tolist() == [t + first for t in moments]
    need = np.array([[one[i][0] for i in covered] for one in moments.values()])
    served = np.array([[one[i][1] for i in covered] for one in moments.values()])
    np.testing.assert_allclose(found.need, need, rtol=1e-12)
    np.testing.assert_allclose(found.served, served.min(axis=1), rtol=1e-9, atol=1e-12)
    ever = np.flatnonzero((served < 1).any(axis=0))
    assert found.quotas == tuple(found.covered[c] for c in ever)
    np.testing.assert_allclose(found.served_by, served[:, ever], rtol=1e-9, atol=1e-12)
    assert (found.short == (served[:, ever] < 1)).all()
    lacking = np.maximum(0, need - found.quota)[:, ever]
    np.testing.assert_allclose(found.missing, lacking, rtol=1e-9, atol=1e-9)


def coupled(plan, event=None, **options):
    try:
        return coupling(Capacity(plan, event=event, **options), ["*"])
    except InvalidInput as error:
        assert str(error).startswith(("plan: must hold a moment", "capacity: must name a quota"))  # noqa: PT017
        return None


def test_equals_the_joint_fit_of_the_plan_and_the_twin():
    answers = short = gaps = 0
    for plan in some_plans(150):
        for event, joint in zip(events_of(plan.headroom.scenarios), plan.headroom.joint, strict=True):
            found = coupled(plan, event.name)
            same_as_twin(plan, event, found)
            if found is None:
                continue
            assert len(found.covered) == joint.quotas
            assert (len(found.moments), int((found.served == 1).sum())) == (joint.moments, joint.fits)
            assert ((found.served >= 0) & (found.served <= 1)).all()
            assert ((found.missing > 0) == found.short).all()
            answers += 1
            short += len(found.quotas) > 0
            gaps += len(found.unknown) > 0
    assert min(answers, short, gaps) > 30


def test_the_classic_policy_grows_by_nothing():
    answers = 0
    for seed in range(40):
        _, history, scenarios = random_history(seed)
        policy = ClassicPolicy(history_s=30 * history.step_s)
        plan = surgetank.plan(history, scenarios=scenarios, policy=policy, survive=None)
        fits = []
        for event in events_of(plan.headroom.scenarios):
            found = coupled(plan, event.name)
            same_as_twin(plan, event, found)
            fits += [found.fits_frac] if found else []
        if fits:
            assert coupled(plan).fits_frac == min(fits)
            answers += 1
    assert answers > 20


def half_short():
    """b must carry 1,200 with 1,000 at every moment of the second half, whatever the window."""
    usage = np.full((576, 2), 500.0)
    usage[288:] = 600.0
    history = History.from_array(usage, start="2026-01-01T00:00Z", step_s=300, regions=["a", "b"], quota=1000.0)
    evacuate = Scenario("evacuate", "a", {"b": 1.0}, duration_s=300)
    return surgetank.plan(history, scenarios=[evacuate], policy=POLICY)


def test_one_survivor_lacks_200_at_half_of_the_moments():
    found = coupling(Capacity(half_short()), ["*"])
    assert [key.region for key in found.quotas] == ["b"]
    assert found.event == "evacuate"
    assert found.moments.tolist() == list(range(576))
    assert found.fits_frac == 0.5
    assert found.short[:, 0].tolist() == [False] * 288 + [True] * 288
    assert found.missing[:, 0].tolist() == [0.0] * 288 + [200.0] * 288
    assert found.served[288:].tolist() == [pytest.approx(400 / 600, rel=1e-15)] * 288
    for share, raises in ((0, 0), (0.5, 0), (0.501, 200), (1, 200)):
        assert required_headroom(found, share) == (pytest.approx([raises]), 0.5 if raises == 0 else 1.0)


def test_what_if():
    plan = half_short()
    assert plan.allocation is not None
    for raised, quota in (
        (None, 1000), ("needed", 1200), ("allocation", 1200), ({"*": 100}, 1100), ({"b": 250, "a": 7}, 1250),
        ({"b": 250, "*": 0}, 1000),
    ):  # fmt: skip
        found = coupling(Capacity(plan, raised=raised), "b")
        assert found.quota.tolist() == [quota], raised
        assert found.fits_frac == (1.0 if quota >= 1200 else 0.5)
    assert found.missing.max() == 200


def test_a_quota_that_the_event_does_not_touch_holds_its_own_load():
    keys = [QuotaKey("-", region, "ec2", "L-1") for region in "ab"] + [QuotaKey("-", "a", "iam", "L-9")]
    quotas = [
        Quota(key=key, value=value, is_global=i == 2)
        for i, (key, value) in enumerate(zip(keys, [9, 9, 4], strict=True))
    ]
    usage = np.tile([3.0, 4.0, 5.0], (40, 1))
    history = History(keys=tuple(keys), start_s=0, step_s=3600, usage=usage, quotas={q.key: q for q in quotas})
    plan = surgetank.plan(history, scenarios=Scenario("out", "a", {"b": 1.0}, duration_s=7200), policy=POLICY)
    found = coupling(Capacity(plan), ["*"])
    assert [key.service_code for key in found.covered] == ["ec2", "iam"]
    assert set(found.served) == {0.8}
    assert coupling(Capacity(plan), ["ec2"]).fits_frac == 1


def test_no_room_at_all_serves_nothing():
    """b alone has 12 with 10 in the first hours; what lands is 0, then 5, then 8 beside 6."""
    usage = [[0.0, 12.0], [5.0, 12.0], [8.0, 6.0], [0.0, 6.0], [4.0, 6.0]]
    history = History.from_array(usage, start=0, step_s=3600, regions=["a", "b"], quota=[20.0, 10.0])
    plan = surgetank.plan(history, scenarios=Scenario("out", "a", {"b": 1.0}, duration_s=3600), policy=POLICY)
    found = coupling(Capacity(plan), ["*"])
    assert found.served.tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert found.missing[:, 0].tolist() == [2.0, 7.0, 4.0, 0.0, 0.0]


@given(seed=st.integers(0, 10_000), more=st.floats(0, 500))
def test_more_quota_never_serves_less(seed, more):
    plan = plan_or_none(seed)
    if plan is None or (before := coupled(plan)) is None:
        return
    after = coupled(plan, raised={"*": more})
    assert (before.moments == after.moments).all()
    assert (after.served >= before.served).all()
    assert ((after.missing > 0) == after.short).all()
    assert (after.need == before.need).all()


def long_plan(seed, **policy):
    random = np.random.default_rng(seed)
    days = np.arange(24 * 400)[:, None] / 24
    usage = 100 * (1 + 0.4 * np.sin(2 * np.pi * (days + random.random(4)))) * random.lognormal(0, 0.2, (len(days), 4))
    history = History.from_array(usage, start=0, step_s=3600, regions=list("abcd"), quota=250.0)
    policy = {"tail": "counted", "confidence": 0, "growth": 1.05, **policy}
    return surgetank.plan(history, scenarios="N-1", policy=QuantilePolicy(**policy), survive=None)


@pytest.mark.parametrize("risk", [0.01, 0.05])
def test_what_is_needed_is_enough_at_the_risk_that_was_asked_for(risk):
    for seed in range(4):
        plan = long_plan(seed, risk=risk)
        before, after = coupling(Capacity(plan), ["*"]), coupling(Capacity(plan, raised="needed"), ["*"])
        assert after.fits_frac >= 1 - risk * len(after.covered)
        assert before.fits_frac < after.fits_frac < 1


def test_required_headroom_cannot_be_lowered():
    for plan in some_plans(80):
        found = coupled(plan)
        if found is None:
            continue
        hold = found.quota * (1 + 1e-12)
        for share in (0.3, 0.75, 0.95, 1.0):
            raises, reached = required_headroom(found, share)
            assert reached >= share
            assert (raises >= 0).all()
            fits = (found.need <= hold + raises * (1 + 1e-12)).all(axis=1)
            assert fits.mean() == pytest.approx(reached, abs=1e-12)
            for c in np.flatnonzero(raises):
                less = raises.copy()
                less[c] -= 1e-9 * (found.quota[c] + raises[c])  # more than rounding is forgiven
                assert (found.need <= hold + less).all(axis=1).mean() < share
            if (raises > 0).sum() and len(set(found.covered)) > 1:
                by_key = {
                    f"{k.account}/{k.region}/{k.service_code}/{k.quota_code}": r
                    for k, r in zip(found.covered, raises, strict=True)
                }
                raised = coupled(plan, found.event, raised=by_key)
                assert raised.fits_frac == reached


def test_required_headroom_of_one_quota_is_the_least_there_is_and_of_several_not_far_from_it():
    ratios = []
    for seed in range(60):
        random = np.random.default_rng(seed)
        one = fake(random.integers(0, 9, (8, 1)).astype(float), 3.0)
        several = fake(random.integers(0, 9, (8, 3)).astype(float), 3.0)
        for found in (one, several):
            for wanted in range(9):
                raises, share = required_headroom(found, wanted / 8)
                best = twin.least_raises(np.maximum(found.need - 3, 0).tolist(), wanted)
                assert share >= wanted / 8
                if found is one:
                    assert raises.sum() == best
                elif best:
                    ratios.append(raises.sum() / best)
    assert min(ratios) == 1
    assert np.mean(ratios) < 1.05


def fake(need, quota):
    from surgetank.recovery.capacity import Coupling

    keys = tuple(QuotaKey(region=str(c)) for c in range(need.shape[1]))
    served = np.where(need <= quota, 1.0, 0.5)
    return Coupling(
        event="e", duration_s=3600.0, step_s=3600.0, quotas=keys, covered=keys, unknown=(),
        moments=np.arange(len(need)), served=served.min(axis=1), served_by=served, short=served < 1,
        missing=np.maximum(need - quota, 0), need=need, quota=np.full(need.shape[1], quota),
        reserved=np.zeros(need.shape[1]),
    )  # fmt: skip


def test_block_bootstrap():
    found = coupling(Capacity(half_short()), ["*"])
    shares = block_bootstrap(found, seed=7)
    assert shares.shape == (400,)
    assert ((shares >= 0) & (shares <= 1)).all()
    assert shares.mean() == pytest.approx(0.5, abs=0.05)
    assert (shares == block_bootstrap(found, seed=7)).all()
    assert not (shares == block_bootstrap(found, seed=8)).all()
    # Half a day of 576 steps is the most: a quarter. Long blocks know less than single moments.
    assert (shares == block_bootstrap(found, seed=7, block_s=144 * 300)).all()
    single = block_bootstrap(found, seed=7, block_s=300)
    assert single.std() == pytest.approx(math.sqrt(0.25 / 576), rel=0.15)
    assert shares.std() > 5 * single.std()
    always = coupling(Capacity(half_short(), raised="needed"), ["*"])
    assert (block_bootstrap(always, 10) == 1).all()


def test_block_bootstrap_covers():
    """Days that fit or do not at random: the interval holds the truth about as often as it says."""
    covered = 0
    for seed in range(200):
        days = np.random.default_rng(seed).random(60) < 0.7
        found = fake(np.repeat(np.where(days, 1.0, 5.0), 24)[:, None], 3.0)
        low, high = np.quantile(block_bootstrap(found, seed=seed), [0.025, 0.975])
        covered += low <= 0.7 <= high
    assert covered / 200 > 0.88


def test_a_plan_keeps_its_history_out_of_its_tables():
    plan = half_short()
    assert plan.history.keys == plan.keys
    assert "history" not in plan.to_dict()
    again = pickle.loads(pickle.dumps(Capacity(plan, raised={"b": 5}, lead_time=3600)))
    assert again.lead_time == Fixed(3600)
    assert coupling(again, ["*"]).quota.tolist() == [1005]
    with pytest.raises(TypeError):
        Capacity(plan, "evacuate")


def test_arrays_are_read_only():
    found = coupling(Capacity(half_short()), ["*"])
    for name in ("moments", "served", "served_by", "short", "missing", "need", "quota"):
        assert not getattr(found, name).flags.writeable, name
