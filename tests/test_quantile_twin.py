"""The quantile policy against its slow twin, on random worlds and on real series; and with samples missing."""

import math

import numpy as np
import pytest

from oracles_quantile import FIGURES, quantile_headroom
from surgetank import History, QuantilePolicy, Scenario, probability_enough, size_headroom

NEEDS = (
    "need", "low", "high", "level", "counted", "growth", "slope_per_day", "days", "windows", "n_eff", "extrapolated",
    "threshold", "shape", "scale", "clusters", "cluster_s", "risk", "risk_low", "risk_high", "ask_in_s",
)  # fmt: skip
DAY = 288  # steps of five minutes


def random_usage(random):
    services, width = int(random.integers(1, 3)), int(random.integers(2, 5))
    step_s = float(random.choice([300, 900, 3600, 7200, 86400]))
    length = int(random.integers(1, {300: 800, 900: 800, 3600: 600, 7200: 300, 86400: 120}[step_s]))
    days = np.arange(length)[:, None, None] * step_s / 86400
    usage = 100 * (1 + 0.5 * np.sin(2 * np.pi * (days + random.random((services, width)))))
    usage = usage * random.lognormal(0, random.uniform(0.05, 0.6), usage.shape)
    usage = usage * (1 + random.uniform(-0.3, 1) * days / days.max()) if length > 1 else usage
    if random.random() < 0.3:
        usage = np.round(usage / 20) * 20  # ties, as counters have them
    if random.random() < 0.5:
        usage[random.random(usage.shape) < random.choice([0.02, 0.1, 0.5])] = np.nan
    start = int(random.integers(length))
    usage[start : start + int(random.choice([0, 5, 40])), 0, 0] = np.nan
    if random.random() < 0.15:
        usage[:, 0, 1] = np.nan
    if random.random() < 0.15:
        usage[-20:, 0, 0] = np.nan
    if np.isnan(usage).all():
        usage[-1, 0, 0] = 5.0
    return usage, step_s


def random_scenarios(random, names, step_s):
    chosen = ["N-1"] if random.random() < 0.7 else []
    if random.random() < 0.5:
        hours = float(random.choice([1, 2, 48]))
        surge = float(random.uniform(0.5, 3))
        chosen += [Scenario("half", "a", {"b": 0.5}, multiplier=surge, duration_s=hours * 3600, event="both")]
    if random.random() < 0.4:
        event = str(random.choice(["both", "sale"]))
        chosen += [
            Scenario("sale", "b", {"b": 1.0}, multiplier=float(random.uniform(0, 3)), duration_s=3600, event=event)
        ]
    if random.random() < 0.3:
        chosen += [Scenario("tiny", "a", {names[-1]: 0.3}, duration_s=step_s)]
    if len(names) > 2:
        chosen += ["N-2"] if random.random() < 0.3 else []
        together = Scenario("more", "c", {"b": 0.7}, event="both", duration_s=7200)
        chosen += [together] if random.random() < 0.5 else []
    return chosen


def random_world(seed):
    """Usage, step, scenarios; what is the same word for the twin; what is not."""
    random = np.random.default_rng(seed)
    usage, step_s = random_usage(random)
    names = list("abcd"[: usage.shape[2]])
    options = {
        "risk": float(random.choice([1e-3, 0.01, 0.05, 0.3])),
        "risk_normal": random.choice([None, 0.02, 1e-4]),
        "growth": None if random.random() < 0.7 else float(random.uniform(1, 1.3)),
        "overlap_frac": float(random.choice([0, 0.1])),
        "tail": str(random.choice(["fitted", "fitted", "counted"])),
        "confidence": float(random.choice([0.95, 0.8, 0])),
        "lead_time_s": float(random.choice([0, 3, 20])) * 86400,
        "history_s": float(random.choice([math.inf, random.uniform(0.2, 40) * 86400])),
        "normal_duration_s": float(random.choice([86400, 600, 259200])),
        "cost_cap": float(random.choice([math.inf, 10])),
    }
    shape = usage.shape[1:]
    quota = random.choice([0, 100, 200, 250, 300, 400, 600, 1000, np.nan], size=shape)
    more = {"adjustable": random.random(shape) < 0.7, "cost_per_unit": float(random.choice([0, 0.3]))}
    age_s = float(random.choice([0, random.uniform(0, 3000)]))
    return usage, step_s, names, random_scenarios(random, names, step_s), quota, options, more, age_s


def assert_same(h, twins, joint):
    """Every figure of every quota and event, to nine digits."""
    for i, twin in enumerate(twins):
        for name in FIGURES:
            np.testing.assert_allclose(np.ravel(getattr(h, name))[i], twin[name], rtol=1e-9, atol=1e-9, err_msg=name)
        for name in ("status", "unknown", "limit"):
            assert np.ravel(getattr(h, name))[i] == twin[name], name
        binds = twin["event"]
        assert np.ravel(h.event)[i] == ("" if binds is None else h.events[binds])
        assert np.ravel(h.attribution)[i] == twin["attribution"]
        for e, need in enumerate(twin["events"]):
            for name in NEEDS:
                expected = math.nan if need is None else need[name]
                found = h.event_needs[name][i, e]
                np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9, err_msg=f"{h.events[e]}: {name}")
    assert [(j.moments, j.fits, j.quotas) for j in h.joint] == [(j["moments"], j["fits"], j["quotas"]) for j in joint]
    assert [j.risk_bound for j in h.joint] == pytest.approx([j["risk_bound"] for j in joint], rel=1e-9, abs=1e-12)
    fits = [j["fits"] / j["moments"] for j in joint if j["moments"]]
    assert h.probability_fits == pytest.approx(min(fits, default=math.nan), nan_ok=True)


@pytest.mark.parametrize(("order", "first"), [("C", 0), ("F", 1)])
def test_equals_the_twin(order, first):
    fitted = counted = dark = 0
    for seed in range(first, 30, 2):
        usage, step_s, names, scenarios, quota, options, more, age_s = random_world(seed)
        length, services, width = usage.shape
        h = size_headroom(
            np.asarray(usage, order=order),
            quota=quota, step_s=step_s, scenarios=scenarios, policy=QuantilePolicy(**options), regions=names,
            now=(length - 1) * step_s + age_s, **more,
        )  # fmt: skip
        twins, joint = quantile_headroom(
            usage.reshape(length, -1).T.tolist(), quota.ravel().tolist(), step_s, names * services, h.scenarios,
            group=[s for s in range(services) for _ in range(width)], adjustable=more["adjustable"].ravel().tolist(),
            cost=more["cost_per_unit"], age_s=age_s, **options,
        )  # fmt: skip
        assert_same(h, twins, joint)
        needs = [need for twin in twins for need in twin["events"] if need]
        fitted += sum(need["extrapolated"] and need["clusters"] > 0 for need in needs)
        counted += sum(not need["extrapolated"] for need in needs)
        dark += sum(twin["unknown"] == "no_source" for twin in twins)
    assert min(fitted, counted) > 20  # the worlds ask both questions …
    assert dark > 0  # … and some do not know what would land


@pytest.mark.parametrize(
    ("days", "policy"), [(30, {}), (8, {"risk": 0.3, "normal_duration_s": 3600.0})], ids=["fitted", "counted"]
)
def test_the_real_fleet_equals_the_twin(shared_data, days, policy):
    history = History.read(shared_data / "fleet" / "fleet_5min.csv", series="{region}.{service_code}")
    at = [i for i, key in enumerate(history.keys) if key.service_code == "metric00"]
    usage = history.usage[-days * DAY :, at]
    h = size_headroom(
        usage, quota=1.05, step_s=300, regions=history.regions, scenarios="N-1", policy=QuantilePolicy(**policy)
    )
    assert_same(h, *quantile_headroom(usage.T.tolist(), [1.05] * 4, 300, list(history.regions), h.scenarios, **policy))


def seasonal(seed):
    """Two Regions, 30 days: AR(1) noise times a daily season."""
    random = np.random.default_rng(seed)
    noise = random.normal(0, 0.05, (30 * DAY, 2))
    for t in range(1, len(noise)):
        noise[t] += 0.9 * noise[t - 1]
    days = np.arange(len(noise))[:, None] / DAY
    return 100 * (1 + 0.4 * np.sin(2 * np.pi * (days + random.random(2)))) * np.exp(noise)


def outages(random, usage):
    """A day and a half, and twenty hours here and there."""
    gone = np.zeros(usage.shape, dtype=bool)
    for hours in (36, *[1] * 20):
        start, column = int(random.integers(len(usage))), int(random.integers(2))
        gone[start : start + 12 * hours, column] = True
    return gone


MISSING = {
    "10 %": lambda random, usage: random.random(usage.shape) < 0.1,
    "30 %": lambda random, usage: random.random(usage.shape) < 0.3,
    "outages": outages,
}


@pytest.mark.parametrize("kind", MISSING)
def test_missing_samples_change_the_need_by_less_than_its_interval(kind):
    for seed in range(10):
        usage = seasonal(seed)
        gone = MISSING[kind](np.random.default_rng(100 + seed), usage)
        gone[-1] = False
        whole = size_headroom(usage, quota=1000, step_s=300, scenarios="N-1")
        holed = size_headroom(np.where(gone, np.nan, usage), quota=1000, step_s=300, scenarios="N-1")
        assert gone.mean() > 0.01
        assert (np.abs(holed.needed - whole.needed) < whole.needed_high - whole.needed_low).all(), seed


def test_both_directions_agree():
    """Where the fit answers, just what is needed is enough with the probability that was asked for."""
    fitted = 0
    for seed in range(6):
        for risk in (1e-3, 1e-2):
            usage = seasonal(seed)
            sizing = {"step_s": 300, "scenarios": "N-1", "policy": QuantilePolicy(risk=risk)}
            h = size_headroom(usage, quota=1000, **sizing)
            binds = np.arange(2), [h.events.index(event) for event in h.event]
            above = h.event_needs["level"][binds] > h.event_needs["counted"][binds]
            enough = probability_enough(usage, h.needed, **sizing)
            assert enough.probability[above] == pytest.approx(1 - risk, abs=1e-8)
            assert (enough.probability >= 1 - risk - 1e-8).all()
            assert (enough.low <= enough.probability).all()
            assert (enough.probability <= enough.high).all()
            less = probability_enough(usage, 0.8 * h.needed, **sizing)
            assert (less.probability < enough.probability).all()
            fitted += int(above.sum())
    assert fitted >= 12
