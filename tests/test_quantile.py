"""Headroom by the quantile policy: worked by hand, whole sentences, what is unknown, the way back."""

import math

import numpy as np
import pytest

from surgetank import (
    ClassicPolicy,
    History,
    InvalidInput,
    QuantilePolicy,
    Quota,
    Scenario,
    probability_enough,
    size_headroom,
)

DAY = 288  # steps of five minutes
A_DAY = (
    "That is the highest seen: the history is worth less than one window of 1 d, "
    "with too few peaks to tell a risk of 0.1%."
)


def flat(*levels, steps=DAY):
    return np.tile(np.array(levels, dtype=float), (steps, 1))


def sized(usage, quota=1000.0, step_s=300, **more):
    return size_headroom(usage, quota=quota, step_s=step_s, **more)


def evacuate(source, targets, **more):
    return Scenario(more.pop("name", "evacuate"), source, targets, **more)


def test_the_parity_trap():
    """Two Regions, each as full as it may be alone: neither can take the other's load."""
    h = sized(flat(600, 600), regions=["us-east-1", "us-west-2"], scenarios="N-1")
    assert h.need.tolist() == [1200, 1200]
    assert (h.needed.tolist(), h.available.tolist(), h.shortfall.tolist()) == ([600, 600], [400, 400], [200, 200])
    assert (h.base.tolist(), h.failover.tolist()) == ([600, 600], [1200, 1200])
    assert np.isnan([h.spike, h.minimum, h.maximum]).all()
    assert (h.status.tolist(), h.limit.tolist()) == (["CRITICAL"] * 2, ["none"] * 2)
    assert (h.probability_enough.tolist(), h.ask_by.tolist()) == ([0, 0], ["overdue"] * 2)
    assert h.attribution.tolist() == ["failover: us-west-2 fails", "failover: us-east-1 fails"]
    assert h.reason[0] == (
        "When us-west-2 fails, 1,200 must fit: 600 more than is used now, but 400 of 1,000 is free: 200 short; raise "
        f"the quota to 1,200 or more, to 1,458 for OK. {A_DAY}"
    )
    assert (h.probability_fits, h.joint[0].risk_bound, h.joint[0].moments) == (0, 1, 1)
    assert sized(flat(600, 600), 1200, scenarios="N-1").shortfall.tolist() == [0, 0]


def test_peaks_that_do_not_coincide_are_not_added_up():
    wave = 50 * np.sin(2 * np.pi * np.arange(30 * DAY) / DAY)
    h = sized(np.c_[100 + wave, 100 - wave], scenarios="N-1")
    assert h.usage + h.needed == pytest.approx([200, 200], rel=1e-3)
    together = sized(np.c_[100 + wave, 100 + wave], scenarios="N-1")
    assert together.usage + together.needed == pytest.approx([300, 300], rel=1e-3)


def test_the_published_gap():
    """The small Region can take its share of the large one, but not all of it."""
    regions, quota = ["us-east-1", "eu-west-1", "us-west-2"], [30_000, 1_500, 3_000]
    h = sized(flat(2000, 200, 200), quota, regions=regions, scenarios="N-1")
    assert (h.need.tolist(), h.shortfall.tolist()) == ([2100, 1200, 1200], [0, 0, 0])
    assert h.status.tolist() == ["OK", "WARNING", "OK"]
    assert h.reason[1] == (
        "When us-east-1 fails, 1,200 must fit: 1,000 more than is used now; 1,300 of 1,500 is free. It fits with "
        "little to spare: 77% of what was free at the quietest of the last 24 h. WARNING starts at "
        f"70%. A quota of 1,629 would be OK. {A_DAY}"
    )
    assert h.quota_ok[1] == pytest.approx(200 + 1000 / 0.7)
    assert sized(flat(2000, 200, 200), [3e4, h.quota_ok[1], 3e3], regions=regions, scenarios="N-1").status[1] == "OK"
    assert h.probability_fits == 1
    h = sized(flat(2000, 200, 200), quota, regions=regions, scenarios=evacuate("us-east-1", {"eu-west-1": 1.0}))
    assert (h.needed.tolist(), h.shortfall.tolist()) == ([0, 2000, 0], [0, 700, 0])
    assert h.reason[1] == (
        'In "evacuate", 2,200 must fit: 2,000 more than is used now, but 1,300 of 1,500 is free: 700 short; raise the '
        f"quota to 2,200 or more, to 3,058 for OK. {A_DAY}"
    )
    assert h.reason[0].startswith("While nothing fails, 2,000 must fit: 0 more than is used now; 28,000 of 30,000 is")
    assert h.joint[0].quotas == 2  # the Region that fails needs nothing


def test_what_happens_together_is_added_up():
    def onto_c(**event):
        x, y = evacuate("a", {"c": 1.0}, name="x", **event), evacuate("b", {"c": 0.5}, name="y", **event)
        return sized(flat(300, 200, 100), regions=list("abc"), scenarios=[x, y])

    apart, storm = onto_c(), onto_c(event="storm")
    assert (apart.need[2], apart.event[2], apart.events) == (400, "x", ("nothing fails", "x", "y"))
    assert (storm.need[2], storm.event[2], storm.events) == (500, "storm", ("nothing fails", "storm"))
    assert [j.quotas for j in apart.joint] == [2, 2]
    assert [j.quotas for j in storm.joint] == [1]
    longest = [evacuate("a", {"c": 1.0}, name=n, event="storm", duration_s=d) for n, d in (("x", 3600), ("y", 43200))]
    h = sized(flat(300, 200, 100), regions=list("abc"), scenarios=longest)
    assert h.event_needs["windows"][2].tolist() == [1, 288 - 144 + 1]


def test_two_regions_fail_together():
    h = sized(flat(300, 200, 100, 50), regions=list("abcd"), scenarios="N-2")
    assert h.need.tolist() == [450, 400, 350, 300]
    assert h.event.tolist() == ["b + c fail", "a + c fail", "a + b fail", "a + b fail"]
    assert len(h.joint) == 6
    assert h.reason[0].startswith("When b + c fail, 450 must fit: 150 more than is used now; 700 of 1,000 is free.")


def test_a_surge_in_place():
    h = sized(flat(300, 200), regions=["a", "b"], scenarios=evacuate("a", {"a": 1.0}, name="sale", multiplier=3))
    assert (h.need.tolist(), h.attribution.tolist()) == ([900, 200], ["spike: sale", "base: nothing fails"])
    assert h.spike[0] == 900
    assert np.isnan([h.failover[0], h.spike[1]]).all()
    assert h.reason[0] == (
        'In "sale", 900 must fit: 600 more than is used now; 700 of 1,000 is free. It fits with little to spare: 86% '
        "of what was free at the quietest of the last 24 h. CRITICAL starts at 85%. A quota of 1,158 would be OK. "
        + A_DAY
    )
    calm = sized(flat(300, 200), regions=["a", "b"], scenarios=evacuate("a", {"a": 1.0}, multiplier=0.5))
    assert (calm.event[0], calm.spike[0], calm.needed[0]) == ("nothing fails", 150, 0)


def test_shares_multiplier_and_overlap():
    """A third of the load is placed nowhere and lands nowhere."""
    s = evacuate("a", {"b": 0.5, "c": 0.125}, multiplier=2)
    h = sized(flat(400, 100, 100), regions=list("abc"), scenarios=s)
    assert h.need.tolist() == [400, 500, 200]
    h = sized(flat(400, 100, 100), regions=list("abc"), scenarios=s, policy=QuantilePolicy(overlap_frac=0.25))
    assert h.need.tolist() == [400, 600, 225]


def test_risk_while_nothing_fails_is_its_own():
    usage = np.random.default_rng(0).lognormal(3, 0.3, (30 * DAY, 2))
    same, own = (
        sized(usage, scenarios="N-1", policy=QuantilePolicy(risk_normal=risk, growth=1.0)) for risk in (None, 0.3)
    )
    assert (own.base < same.base).all()
    assert (own.failover == same.failover).all()
    plain = sized(usage, policy=QuantilePolicy(risk=0.3, growth=1.0))
    assert own.base.tolist() == plain.need.tolist()
    assert (
        "Extrapolated: a risk of 30% cannot be counted in a history worth"
        in sized(usage, policy=plain.policy).reason[0]
    )


def test_levels_are_counted_where_the_history_is_long_enough():
    """Windows of one sample: 1 of 10 is above the level, and 9 of 10 are not."""
    usage = np.tile(np.arange(1.0, 11.0), 100)
    h = sized(usage, 100, policy=QuantilePolicy(risk=0.1, normal_duration_s=300, growth=1.0))
    assert (h.need, bool(h.extrapolated), h.n_eff) == (9, False, 500)  # of two steps each
    assert "extrapolated" not in h.reason
    assert sized(usage, 100, policy=QuantilePolicy(risk=0.0999, normal_duration_s=300, growth=1.0)).need == 10
    assert sized(usage, 9, policy=h.policy).probability_enough == pytest.approx(0.9)
    assert sized(usage, 10, policy=h.policy).probability_enough == 1


def test_growth_and_when_to_ask():
    """A quota of 110 for 100 that grow by 1 % a day is reached in ten days; a slow increase takes five."""
    policy = QuantilePolicy(growth=1.04)

    def at(quota, usage=(100.0,) * DAY, **more):
        return sized(list(usage), quota, policy=policy, **more)

    h = at(110)
    assert (h.need, h.needed, h.growth, h.ask_by) == (104, 4, 1.04, "in 5 d")
    assert h.ask_in_s == pytest.approx(5 * 86400)
    assert h.reason == (
        "While nothing fails, 104 must fit, growth of 4% included: 4 more than is used now; 10 of 110 is free. "
        f"{A_DAY} With its growth, ask for more in 5 d."
    )
    late = at(104)
    assert (late.status, late.shortfall, late.ask_by) == ("CRITICAL", 0, "overdue")
    assert late.ask_in_s == pytest.approx(-86400)
    assert late.reason.endswith("An increase is overdue: growth gets there before a slow one applies.")
    assert (at(99.5).ask_in_s, at(99.5).ask_by) == (-math.inf, "overdue")
    assert (at(1e6).ask_by, at(1e6).ask_in_s > 1e9) == ("", True)
    assert sized([100.0] * DAY, 110).ask_in_s == math.inf
    assert sized([100.0] * DAY, 110).ask_by == ""
    assert at(math.nan).ask_by == ""
    assert "ask for more" not in at(110, adjustable=False).reason  # nobody would raise it


def test_when_to_ask_is_an_instant_of_a_history():
    history = History.from_array(flat(100), start="2024-05-01T00:00Z", step_s=300, regions=["a"], quota=[110])
    h = size_headroom(history, policy=QuantilePolicy(growth=1.04))
    assert h.ask_by.tolist() == ["2024-05-06T23:55:00Z"]
    assert "ask for more by 2024-05-06." in h.reason[0]
    h = size_headroom(history, policy=QuantilePolicy(growth=1.04), now="2024-05-02T00:25Z")
    assert h.ask_by.tolist() == ["2024-05-07T00:25:00Z"]


def test_growth_is_seen_in_daily_maxima():
    """10 a day on a median of 195: four days on, 40 in 195."""
    days = np.repeat(np.arange(100.0, 300.0, 10), DAY)
    h = sized(days)
    assert h.growth == pytest.approx(1 + 40 / 195)
    assert h.event_needs["days"][0, 0] == 20
    assert h.event_needs["slope_per_day"][0, 0] == pytest.approx(10)
    assert sized(days[-6 * DAY :]).growth == 1  # less than a week
    assert sized(days[::-1]).growth == 1  # falling
    assert sized(days, policy=QuantilePolicy(lead_time_s=0, review_s=0)).growth == 1
    assert sized(days, policy=QuantilePolicy(history_s=6 * 86400)).growth == 1


def test_status_is_judged_where_it_was_worst_in_24_hours():
    day = np.full(DAY, 100.0)
    day[5] = 300.0
    h = sized(np.c_[day, day], [800, 2000], scenarios="N-1")
    assert h.need.tolist() == [600, 600]
    assert h.utilization.tolist() == pytest.approx([500 / 700, 500 / 1900])
    assert h.day_utilization.tolist() == h.utilization.tolist()  # need is less far where more is used
    assert h.status.tolist() == ["WARNING", "OK"]
    day[5], day[-1] = 100.0, 300.0  # now at the peak
    h = sized(np.c_[day, day], [800, 2000], scenarios="N-1")
    assert h.utilization[0] == pytest.approx(300 / 500)
    assert h.day_utilization[0] == pytest.approx(500 / 700)
    assert h.status[0] == "WARNING"
    assert (
        "It fits with little to spare: 71% of what was free at the quietest of the last 24 h. WARNING starts"
        in h.reason[0]
    )


def test_what_takes_away_from_the_need():
    h = sized(flat(600, 600), adjustable=[True, False], scenarios="N-1", regions=["a", "b"])
    assert (h.required.tolist(), h.limit.tolist()) == ([600, 400], ["none", "not_adjustable"])
    assert h.reason[1] == (
        "When a fails, 1,200 must fit: 600 more than is used now, but 400 of 1,000 is free: 200 short. "
        f"The quota cannot be raised: move or shed load. {A_DAY}"
    )
    capped = sized(flat(600, 600), cost_per_unit=2.0, policy=QuantilePolicy(cost_cap=100), scenarios="N-1")
    assert (capped.required.tolist(), capped.limit.tolist()) == ([50, 50], ["cost_cap"] * 2)
    assert (capped.needed.tolist(), capped.shortfall.tolist()) == ([600, 600], [200, 200])
    assert "The cost cap leaves 50 of it." in capped.reason[0]


def test_unknown_is_never_zero():
    """Without the usage of a source nothing can be said, unless what is known is too much already."""
    h = sized(np.c_[flat(300), flat(np.nan)], regions=["a", "b"], scenarios="N-1")
    assert (h.status.tolist(), h.unknown.tolist()) == (["UNKNOWN"] * 2, ["no_source", "no_usage"])
    assert h.reason.tolist() == [
        "While nothing fails, 300 must fit: 0 more than is used now; 700 of 1,000 is free. That is without the load of "
        f"b, whose usage was not observed lately: unknown, not zero. {A_DAY}",
        "No usage was observed at all: unknown, not zero.",
    ]
    assert [j.quotas for j in h.joint] == [0, 0]  # a on its own is not the failover of b
    assert math.isnan(h.probability_fits)
    with pytest.raises(InvalidInput, match=r"known and sufficient for every quota \(got a, b\)$"):
        h.require_met()
    assert sized(np.c_[flat(1300), flat(np.nan)], regions=["a", "b"], scenarios="N-1").status[0] == "CRITICAL"
    stale = flat(300, 200)
    stale[-20:, 1] = np.nan
    assert sized(stale, scenarios="N-1").unknown.tolist() == ["no_source", "stale"]
    unquoted = sized(flat(300, 200), [np.nan, 1000], regions=["a", "b"], scenarios="N-1")
    assert (unquoted.unknown.tolist(), unquoted.needed.tolist()) == (["no_quota", "none"], [200, 300])
    assert unquoted.reason[0] == (
        "300 in use, but no quota is known to compare it with; needs 200 more: when b fails, 500 must fit."
    )
    assert np.isnan([unquoted.probability_enough[0], unquoted.shortfall[0], unquoted.available[0]]).all()


def test_less_than_a_window_is_no_certainty():
    h = sized([150.0], 100)
    assert (h.probability_enough, h.shortfall, h.available, h.status) == (0, 50, -50, "CRITICAL")
    assert "usage is already 50 over the quota of 100 and nothing is free: 50 short" in h.reason
    assert sized([150.0], 150).probability_enough == 1


def test_a_global_quota_neither_fails_nor_receives():
    history = History.from_array(
        flat(300, 200, 100), start="2024-05-01T00:00Z", step_s=300, regions=["a", "b", "c"], quota=[1000] * 3
    )
    quotas = [Quota(key=key, value=1000, is_global=key.region == "c") for key in history.keys]
    h = size_headroom(history.with_quotas(quotas), scenarios="N-1")
    assert h.events == ("nothing fails", "a fails", "b fails")
    assert h.need.tolist() == [500, 500, 100]
    assert h.event[2] == "nothing fails"
    assert [j.quotas for j in h.joint] == [2, 2]  # it must fit, whatever fails


def test_quotas_of_other_services_are_not_added():
    usage = np.tile([[600.0, 600.0], [100.0, 200.0]], (DAY, 1, 1))
    h = sized(usage, scenarios="N-1")
    assert h.need.tolist() == [[1200, 1200], [300, 300]]
    assert [j.fits for j in h.joint] == [0, 0]  # the joint share is over all services
    assert [j.fits for j in sized(usage[:, 1], scenarios="N-1").joint] == [1, 1]


def test_joint_is_counted_over_moments():
    """b peaks for an hour on one day of ten: no window of 24 h fits that meets it."""
    usage = flat(100, 100, steps=10 * DAY)
    usage[5 * DAY : 5 * DAY + 12, 1] = 500
    h = sized(usage, 300, scenarios="N-1", regions=["a", "b"])
    starts = 9 * DAY + 1
    assert [(j.event, j.moments, j.fits, j.quotas) for j in h.joint] == [
        ("a fails", starts, starts - DAY - 11, 1),
        ("b fails", starts, starts - DAY - 11, 1),
    ]
    assert h.joint[0].fits_frac == h.probability_fits == (starts - DAY - 11) / starts
    assert 1 - h.probability_fits <= h.joint[0].risk_bound <= 1
    assert math.isnan(sized(usage, 300).probability_fits)


def test_the_table_by_event():
    h = sized(flat(300, 200), regions=["a", "b"], scenarios="N-1")
    rows = h.by_event().to_records()
    assert [(r["series"], r["event"], r["need"], r["windows"], r["risk"]) for r in rows] == [
        ("a", "nothing fails", 300, 1, 0),
        ("a", "b fails", 500, 1, 0),
        ("b", "nothing fails", 200, 1, 0),
        ("b", "a fails", 500, 1, 0),
    ]
    assert h.by_event().table(160).splitlines()[2].split()[:5] == ["a", "nothing", "fails", "300", "300"]
    assert sized([60.0], policy=ClassicPolicy()).by_event().to_records() == []


def test_probability_enough_is_the_way_back():
    usage = flat(600, 600)
    found = probability_enough(usage, [600, 599], step_s=300, scenarios="N-1")
    assert found.probability.tolist() == [1, 0]
    assert (found.low <= found.probability).all()
    assert (found.probability <= found.high).all()
    unknown = probability_enough(np.c_[flat(1), flat(np.nan)], 5, step_s=300)
    assert np.isnan(unknown.probability).tolist() == [False, True]
    history = History.from_array(usage, start="2024-05-01T00:00Z", step_s=300, regions=["a", "b"])
    assert probability_enough(history, [599, 600], scenarios="N-1").probability.tolist() == [0, 1]
    assert probability_enough([60.0], 0, step_s=300).probability == 1
