"""Recovery where load lands on too small quotas: what fits, what waits, what never comes, what would mend it."""

import math
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from clear import clear_error
from surgetank import History, InvalidInput, Scenario
from surgetank import plan as make_plan
from surgetank.recovery import Branch, Capacity, Fixed, Runbook, Step, Uniform, estimate_recovery
from surgetank.recovery.capacity import coupling
from surgetank.recovery.fits import block_bootstrap
from test_capacity import POLICY, half_short, long_plan

TRIALS = 200_000
SLACK = 4.5 * math.sqrt(0.25 / TRIALS)
TARGET = 900
LEAD = Uniform(24 * 3600, 72 * 3600)
STEPS = (
    Step("check", Fixed(90)),
    Step("dns", Uniform(60, 300), "check"),
    Step("scale", Uniform(0, 900), "dns", capacity="*"),
)
BOOK = Runbook(STEPS)
HALF = half_short()


def estimated(book=BOOK, plan=HALF, trials=TRIALS, **room):
    capacity = Capacity(plan, **{"lead_time": LEAD, "denial": 0.0, **room})
    return estimate_recovery(book, target_s=TARGET, capacity=capacity, trials=trials)


def without_room(book=BOOK):
    return estimate_recovery(book, target_s=TARGET, trials=TRIALS).probability


def in_interval(found, truth):
    """In a 99.99 % interval of the sampling."""
    return abs(found - truth) <= 4 * math.sqrt(max(truth * (1 - truth), 1e-9) / TRIALS) + 1e-9


def closed_form():
    """With room: P(60 + 240·u + 900·v ≤ 810) with u and v uniform: v ≤ (750 − 240·u)/900, which is below 1."""
    return (750 - 120) / 900


def test_in_time_only_where_it_fits():
    assert without_room() == pytest.approx(closed_form(), abs=SLACK)
    found = estimated()
    shortage = found.shortage
    assert shortage.fits_frac == 0.5
    assert shortage.probability_without == without_room()
    assert in_interval(found.probability, 0.5 * closed_form())
    assert found.interval[0] <= found.probability <= found.interval[1]
    assert found.never == 0
    assert shortage.fits / TRIALS == pytest.approx(0.5, abs=SLACK)
    assert shortage.lacking.tolist() == shortage.last.tolist() == [1 - shortage.fits / TRIALS]
    late = estimate_recovery(
        BOOK, target_s=48 * 3600 + 90, trials=TRIALS, capacity=Capacity(HALF, lead_time=LEAD, denial=0)
    )
    assert 0.5 + 0.5 * 0.48 < late.probability < 0.75 + SLACK
    assert found.rto.most > 71 * 3600
    low, high = shortage.interval
    assert low < found.probability < high
    assert high - low > 10 * (found.interval[1] - found.interval[0])


def test_what_the_plan_asks_for_brings_it_back():
    found = estimated(raised="needed")
    assert found.probability == without_room()
    assert found.shortage.fits_frac == 1
    for risk in (0.01, 0.05):
        plan = long_plan(3, risk=risk)
        before, after = estimated(plan=plan), estimated(plan=plan, raised="needed")
        share = after.shortage.fits_frac
        assert before.shortage.fits_frac < share < 1
        assert share >= 1 - risk * len(after.shortage.coupling.covered)
        assert in_interval(after.probability, share * closed_form())
        assert in_interval(before.probability, before.shortage.fits_frac * closed_form())


@pytest.mark.parametrize("denial", [0.0, 0.2, 1.0])
def test_denied_increases_never_come(denial):
    found = estimated(denial=denial)
    assert in_interval(found.never, 0.5 * denial)
    assert in_interval(found.probability, 0.5 * closed_form())
    assert math.isinf(found.rto.quantile(1.0)) == (denial > 0)


def test_what_fits_is_served_and_the_rest_waits():
    """A third of what lands waits, in half of the trials."""
    for denial in (0.0, 1.0):
        found = estimated(denial=denial)
        at = np.array([0, 89, 150, 500, 900, 1290, 20 * 3600, 48 * 3600, 80 * 3600, 1e9])
        served = found.served(at)
        assert (np.diff(served) >= -1e-12).all()
        assert served[:3].tolist() == pytest.approx([0, 0, 0], abs=1e-6)
        at_once = 1 - (1 - found.shortage.fits / TRIALS) / 3
        assert served[4] == pytest.approx(at_once * closed_form(), abs=0.005)
        assert served[5:7].tolist() == pytest.approx([at_once] * 2, abs=1e-4)
        assert served[7] == pytest.approx(at_once if denial else (1 + at_once) / 2, abs=0.005)
        assert served[8:].tolist() == pytest.approx([at_once if denial else 1.0] * 2, abs=1e-4)
    room_for_all = estimate_recovery(BOOK, trials=TRIALS)
    assert (room_for_all.served(at) == room_for_all.rto.cdf(at)).all()


def test_where_nothing_fits_what_never_comes_is_never_served():
    """From half of the moments on the survivor is full by itself: the curve ends at 1 − P(never)."""
    usage = np.full((576, 2), 400.0)
    usage[288:, 1] = 1000.0
    history = History.from_array(usage, start=0, step_s=300, regions=["a", "b"], quota=1000.0)
    full = make_plan(history, scenarios=[Scenario("out", "a", {"b": 1.0}, duration_s=300)], policy=POLICY)
    found = estimated(plan=full, denial=0.4)
    assert in_interval(found.never, 0.2)
    assert found.served(1e9) == pytest.approx(1 - found.never, abs=1e-6)
    assert found.served(2000) == pytest.approx(found.shortage.fits / TRIALS, abs=1e-6)


def test_a_share_that_is_enough_waits_for_nobody():
    """Two thirds of what lands fit: enough for 0.6, not for 0.7."""
    for enough, share in ((0.6, 1.0), (0.7, 0.5)):
        found = estimated(Runbook(STEPS, served_target=enough))
        assert in_interval(found.probability, share * closed_form())
        assert in_interval(found.shortage.fits / TRIALS, share)
        low, high = found.shortage.interval
        assert low - SLACK <= found.probability <= high + SLACK
        asked = found.shortage.headroom_for(0.6)
        assert asked.probability >= 0.6
        assert asked.raises.tolist() == [0.0 if share == 1 else 20.0]  # room for .7 of 600 beside 600


def two_services():
    """In b, ec2 is short at the second half of all moments, rds at the last quarter of each half."""
    usage = np.full((800, 4), 500.0)
    usage[400:, [0, 1]] = 600.0
    usage[300:400, [2, 3]] = usage[700:, [2, 3]] = 550.0
    names = [("ec2", "a"), ("ec2", "b"), ("rds", "a"), ("rds", "b")]
    from surgetank import Quota, QuotaKey

    keys = tuple(QuotaKey("-", region, service, "L-1") for service, region in names)
    quotas = {key: Quota(key=key, value=1000.0) for key in keys}
    history = History(keys=keys, start_s=0, step_s=300, usage=usage, quotas=quotas)
    return make_plan(history, scenarios=[Scenario("out", "a", {"b": 1.0}, duration_s=300)], policy=POLICY)


def test_steps_wait_for_their_own_quotas():
    """Instances and databases side by side: each is late where its own quota is short, at the same moments."""
    plan = two_services()
    compute, data = Step("compute", 10, capacity="ec2"), Step("data", 20, capacity=["rds"])
    after = {"compute": 0.5, "data": 0.25}
    for step in (compute, data):
        found = estimated(Runbook([step]), plan=plan)
        assert in_interval(found.probability, 1 - after[step.name])
    both = estimated(Runbook([compute, data]), plan=plan)
    assert in_interval(both.probability, 0.375)
    by_key = dict(zip((k.service_code for k in both.shortage.coupling.quotas), both.shortage.lacking, strict=True))
    assert by_key == pytest.approx({"ec2": 0.5, "rds": 0.25}, abs=SLACK)
    first = Runbook([compute, data, Step("any", 0, ["compute", "data"], "any")])
    assert in_interval(estimated(first, plan=plan).probability, 1 - 0.125)
    one = estimated(Runbook([Step("all", 10, capacity=["ec2", "rds"])]), plan=plan)
    assert in_interval(one.probability, 0.375)
    # Two increases: the later of two uniform lead times at the moments at which both are short.
    late = estimate_recovery(
        Runbook([Step("all", 0, capacity="*")]), target_s=48 * 3600, trials=TRIALS,
        capacity=Capacity(plan, lead_time=LEAD, denial=0),
    )  # fmt: skip
    assert late.probability == pytest.approx(0.375 + 0.5 * 0.5 + 0.125 * 0.25, abs=SLACK)


def test_quotas_that_are_raised_for_a_probability_reach_it():
    for plan in (HALF, two_services(), long_plan(1, risk=0.01)):
        found = estimated(plan=plan)
        for wanted in (0.2, 0.4, 0.6, 0.69):
            asked = found.shortage.headroom_for(wanted)
            assert asked.reached
            assert asked.probability >= wanted
            raised = {
                f"{k.account}/{k.region}/{k.service_code}/{k.quota_code}": float(r)
                for k, r in zip(asked.coupling.covered, asked.raises, strict=True)
            }
            again = estimated(plan=plan, raised=raised)
            assert again.shortage.fits_frac == pytest.approx(asked.fits_frac, abs=1e-12)
            assert again.probability >= wanted - SLACK
            if wanted <= found.probability:
                assert not asked.raises.any()
        beyond = found.shortage.headroom_for(0.99)
        assert not beyond.reached
        assert beyond.fits_frac == 1
        assert "out of reach" in str(beyond)


def test_a_fallback_waits_for_the_room_of_its_step():
    steps = [Step("first", 10, failure=1, fallback="other", capacity="*"), Step("other", 20)]
    found = estimated(Runbook(steps), denial=1.0)
    assert in_interval(found.never, 0.5)
    steps = [Step("first", 10, failure=1, fallback="other"), Step("other", 20, capacity="*")]
    with pytest.raises(InvalidInput) as error:
        Runbook(steps)
    rule = "must not be of a fallback: give it to 'first', whose time it is part of"
    assert str(error.value) == f"capacity: of 'other' {rule} (got '*')"


def test_what_a_branch_does_not_take_needs_no_room():
    steps = [Branch("way", {"x": 0.5, "y": 0.5}), Step("a", 10, "way:x", capacity="*"), Step("b", 20, "way:y")]
    found = estimated(Runbook(steps), denial=1.0)
    assert in_interval(found.never, 0.25)
    assert found.served(1e9) == pytest.approx(1 - 0.25 / 3, abs=SLACK)


def test_the_interval_over_histories_is_that_of_the_block_bootstrap():
    found = estimated()
    shares = block_bootstrap(found.shortage.coupling)
    without = found.shortage.probability_without
    low, high = np.quantile(shares, [0.025, 0.975]) * without
    assert found.shortage.interval == pytest.approx((low, high), abs=3 * SLACK)


def test_a_plan_is_a_capacity_with_its_defaults():
    assert (
        estimate_recovery(BOOK, target_s=TARGET, capacity=HALF, trials=5000).to_dict()
        == estimate_recovery(BOOK, target_s=TARGET, capacity=Capacity(HALF), trials=5000).to_dict()
    )


def test_what_is_said():
    text = str(estimated())
    assert "fits at 50.0% of 576 moments" in text
    assert "With room for everything" in text
    assert "Mostly for lack of" in text
    assert "b" in str(estimated().shortage)
    assert "Room for the load that lands is assumed" in str(estimate_recovery(BOOK, trials=1000))


@pytest.mark.parametrize("wanted", ["rds", "x/y", "", "*/c/*/*", "b\0", "ä" * 300])
def test_a_quota_that_the_plan_does_not_cover_is_refused(wanted):
    with clear_error(InvalidInput, "capacity: must name a quota"):
        estimated(Runbook([Step("a", 1, capacity=wanted)]))


def test_capacity_must_go_with_the_runbook():
    with clear_error(InvalidInput, "capacity: is for a runbook with steps that need it"):
        estimated(Runbook([Step("a", 1)]))
    for wrong in (5, "plan", [HALF], HALF.history, True, np.array([1.0, 2.0]), coupling(Capacity(HALF), ["*"])):
        with clear_error(InvalidInput, "capacity: must be a Plan or a Capacity"):
            estimate_recovery(BOOK, capacity=wrong, trials=10)
    for denial in (-0.1, 1.1, math.nan, "x", None, True):
        with clear_error(InvalidInput, "denial: must be a probability in [0, 1]"):
            Capacity(HALF, denial=denial)
    for lead in (-1, math.nan, math.inf, "1d", None, [1]):
        with clear_error(InvalidInput, "lead_time: must be a finite duration"):
            Capacity(HALF, lead_time=lead)


def test_headroom_for_needs_a_target_and_a_probability():
    with clear_error(InvalidInput, "probability: is of RTO ≤ target_s"):
        estimate_recovery(BOOK, capacity=HALF, trials=100).shortage.headroom_for(0.5)
    for wrong in (-0.1, 1.1, math.nan, "x", None):
        with clear_error(InvalidInput, "probability: must be a fraction in [0, 1]"):
            estimated(trials=100).shortage.headroom_for(wrong)


def increases(*steps, **room):
    """Every moment short, an increase of exactly a day, none refused: (RTO, how often its increase was the last)."""
    found = estimated(Runbook(steps), plan=HALF, trials=4000, lead_time=86400.0, **room)
    late = found.trials - found.shortage.fits
    return found, late


def test_an_increase_is_asked_for_once():
    """In a chain it applies for all; side by side, from when the first of them began."""
    chain = [Step("a", 10, capacity="*"), Step("b", 20, "a", capacity="*"), Step("c", 30, "b", capacity="*")]
    found, late = increases(*chain)
    assert found.rto.most == 86460
    assert found.rto.histogram[:-1].sum() == found.trials
    assert found.shortage.lacking == late / found.trials
    first = Step("first", 5000)
    beside = [first, Step("a", 10, capacity="*"), Step("b", 20, "first", capacity="*")]
    assert increases(*beside)[0].rto.most == 86420  # asked for at onset, by a
    waits = [first, Step("a", 10, "first", capacity="*"), Step("b", 20, capacity="*"), Step("end", 0, ["a", "b"])]
    assert increases(*waits)[0].rto.most == 86420  # asked for at onset, by b, which is written later
    long_gone = [Step("long", 90000), Step("a", 10, capacity="*"), Step("b", 20, ["long", "a"], capacity="*")]
    assert increases(*long_gone)[0].rto.most == 90020


def test_what_to_raise_can_be_tried_at_once():
    asked = estimated().shortage.headroom_for(0.6)
    again = estimated(raised=asked.raised)
    assert again.shortage.fits_frac == asked.fits_frac
    assert in_interval(again.probability, asked.probability)


def test_nobody_asks_where_the_step_is_skipped():
    steps = [Branch("way", {"x": 0.01, "y": 0.99}), Step("a", 10, "way:x", capacity="*"), Step("b", 20, "way:y")]
    found, late = increases(*steps)
    assert late / found.trials == pytest.approx(0.5, abs=0.05)  # of the moments
    assert 0 < found.shortage.lacking[0] < 0.02
    assert found.shortage.last.tolist() == found.shortage.lacking.tolist()


def test_the_last_to_apply_is_by_when_it_was_asked_for():
    """Databases are asked for ten days after instances: the last is theirs, whatever the lead times."""
    plan = two_services()
    steps = [Step("compute", 10, capacity="ec2"), Step("wait", 864000), Step("data", 20, "wait", capacity="rds")]
    room = Capacity(plan, lead_time=Uniform(86400, 259200), denial=0)
    shortage = estimate_recovery(Runbook(steps), trials=20_000, capacity=room).shortage
    last = dict(zip([key.service_code for key in shortage.coupling.quotas], shortage.last, strict=True))
    assert last["rds"] == pytest.approx(0.25, abs=0.02)
    assert last["ec2"] == pytest.approx(0.5 - 0.125, abs=0.02)


def test_one_plan_is_looked_at_once_whoever_asks():
    plan = half_short()
    assert coupling(Capacity(plan), ["*"]) is coupling(Capacity(plan, lead_time=5, denial=0.5), ["*"])
    assert coupling(Capacity(plan), ["*"]) is not coupling(Capacity(plan, raised={"*": 1}), ["*"])
    assert coupling(Capacity(half_short()), ["*"]) is not coupling(Capacity(plan), ["*"])
    book = Runbook([Step("scale", 10, capacity="*")])

    def mean(**options):
        return estimate_recovery(book, capacity=Capacity(plan, **options), trials=3000).rto.mean

    soon, late = mean(lead_time=5, denial=0), mean(lead_time=500, denial=0)
    assert late - soon == pytest.approx(495 / 2, rel=0.1)
    assert (mean(lead_time=5, denial=0), mean(lead_time=Fixed(500), denial=0)) == (soon, late)
    again = pickle.loads(pickle.dumps(coupling(Capacity(plan), ["*"])))
    assert again.room((("*",),), Fixed(5), 0.0) is again.room((("*",),), Fixed(5), 0.0)


def test_threads_may_ask_for_different_room_at_once():
    plan, book = half_short(), Runbook([Step("scale", 10, capacity="*")])

    def mean(lead_s):
        return estimate_recovery(book, capacity=Capacity(plan, lead_time=lead_s), trials=300).rto.mean

    leads = [5, 500, 50_000] * 60
    alone = {lead_s: mean(lead_s) for lead_s in leads[:3]}
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(mean, leads)) == [alone[lead_s] for lead_s in leads]


def test_no_target_is_met_twice_where_room_is_lacking():
    book, capacity = Runbook([Step("s", 1, capacity="*")]), Capacity(half_short(), lead_time=1, denial=1.0)
    for target in (1e300, 1.7e308):
        found = estimate_recovery(book, trials=1000, target_s=target, capacity=capacity)
        assert found.probability == 1 - found.rto.never == found.shortage.fits / 1000


def test_few_couplings_of_a_plan_are_kept_and_none_can_be_changed():
    plan = half_short()
    capacity = Capacity(plan)
    for k in range(40):
        coupling(capacity, ["*"], 0.5 + k / 100)
    assert len(capacity._couplings) <= 4
    raised = Capacity(plan, raised={"*": 5.0})
    for one in (raised, pickle.loads(pickle.dumps(raised))):
        assert one.raised == {"*": 5.0}
        with pytest.raises(TypeError):
            one.raised["*"] = 6.0
    again = pickle.loads(pickle.dumps(coupling(capacity, ["*"])))
    assert not again.served.flags.writeable
