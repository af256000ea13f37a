"""Samples in random pieces, through two stores of each kind in turn, beside a dictionary; and what plans require."""

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clear import clear_error
from reservation_stores import KINDS, opened
from store_faults import FAULTS
from surgetank import History, InvalidInput, Quota, QuotaKey, Scenario, plan
from surgetank.history import extent
from surgetank.history import samples as grids
from surgetank.history.dynamodb import usage
from test_store_known import MOST, SPANS, ReadsAll, require_same_refusals
from test_store_known import usage as samples

__all__ = ["opened"]  # fixtures

DAY_S, NEW_YEAR = 86_400, 1767225600
ROW = ("account", "region", "service_code", "quota_code", "context_id")
KEYS = (
    QuotaKey("1", "us-east-1", "ec2", "L-1"),
    QuotaKey("1", "us-east-1", "ec2", "L-1", "arn:aws:x/y z"),  # another quota than the one before
    QuotaKey("1", "us-east-1", "ec2/L-1", "%2F"),
    QuotaKey("a b", "100%", "日本/\u202e", "'\";--"),
    QuotaKey("%31", "us-east-1", "ec2", "L-1"),
    QuotaKey(),
)
TIMES = st.one_of(
    st.sampled_from([-DAY_S - 1, -DAY_S, -1, 0, 1, DAY_S - 1, DAY_S]),  # the ends of days
    st.integers(0, 90),  # every second
    st.integers(0, 40).map(lambda n: 9 * n * DAY_S),  # days that lie apart
)
VALUES = st.sampled_from([math.nan, -0.0, 0.0, 5e-324, 1.0, 1e308]) | st.floats(0, 1e308)
ROWS = st.lists(st.tuples(st.sampled_from(KEYS), TIMES, VALUES), min_size=1, max_size=30).filter(
    lambda rows: any(value == value for _, _, value in rows)
)
#: Around the epoch, or in our time: from one to the other is more than a grid holds.
PIECES = st.builds(
    lambda pieces, begin: [[(key, begin + time_s, value) for key, time_s, value in rows] for rows in pieces],
    st.lists(ROWS, min_size=1, max_size=4),
    st.sampled_from([0, NEW_YEAR]),
)


def frame(rows):
    found = {name: [getattr(key, name) for key, _, _ in rows] for name in ROW}
    return pd.DataFrame({**found, "timestamp": [t for _, t, _ in rows], "usage": [value for *_, value in rows]})


def content(store):
    """Every sample to its last bit, and what is known of them without reading them."""
    found = store.samples()
    series = {}
    for n, key in enumerate(found.keys):
        time_s, value = found.series(n)
        series[key] = dict(zip(time_s.tolist(), map(repr, value.tolist()), strict=True))
    return series, store.keys_with_usage(), store.last_samples(), found.step_s(), found.ends()


@pytest.fixture
def fresh(dynamodb, tmp_path):
    """Opens two stores of each kind with nothing in them, as often as it is called."""
    pytest.importorskip("botocore", reason="no botocore: pip install 'surgetank[aws]'")
    made = []

    def again():
        made.append(f"fleet{len(made)}")
        return {kind: [KINDS[kind](tmp_path, name=made[-1]) for _ in range(2)] for kind in KINDS}

    return again


def test_pieces_in_any_order_and_twice_are_one_store(fresh):
    @given(PIECES, st.randoms())
    @settings(max_examples=6 * min(FAULTS, 4))
    def check(pieces, random):
        order = [*pieces, random.choice(pieces)]
        random.shuffle(order)
        stores = fresh()
        reports = {
            kind: [own[n % 2].import_usage(frame(rows)).to_dict() for n, rows in enumerate(order)]
            for kind, own in stores.items()
        }
        assert repr(reports["dynamodb"]) == repr(reports["embedded"])
        expected = {}
        for key, time_s, value in (row for rows in order for row in rows):
            known = expected.setdefault(key, {})
            if value == value:
                known[time_s] = max(known.get(time_s, 0.0), abs(value))  # −0 is 0
        found = [content(store) for own in stores.values() for store in own]
        assert found[0][0] == {key: {t: repr(v) for t, v in known.items()} for key, known in expected.items()}
        assert all(one == found[0] for one in found)
        assert all(store.check().sound for own in stores.values() for store in own)
        for store in (store for own in stores.values() for store in own):
            store.close()

    check()


def test_what_no_grid_could_hold_is_refused_by_both(fresh, tmp_path_factory):
    @given(SPANS, MOST)
    @settings(max_examples=10 * min(FAULTS, 4))
    def check(spans, most):
        stores = fresh()["dynamodb"]
        with ReadsAll(tmp_path_factory.mktemp("twin") / "twin.db", create=True) as twin:
            require_same_refusals(spans, most, twin, *stores)
        for store in stores:
            store.close()

    check()


def test_refused_again_and_again_not_all_is_read_each_time(fresh, monkeypatch):
    monkeypatch.setattr(grids, "MOST_CELLS", 20 * 1440)
    monkeypatch.setattr(extent, "SURE_DAYS", 1)
    store = fresh()["dynamodb"][0]
    read = []
    every = usage.every
    monkeypatch.setattr(usage, "every", lambda *args: read.append(1) or every(*args))
    times = [NEW_YEAR - 600 + 60 * n for n in range(40)]  # of two days
    for n in range(30):
        found = samples({QuotaKey(quota_code=f"q{n}"): dict.fromkeys([*times, NEW_YEAR + 2 * DAY_S], 1.0)})
        if n < 9:
            store.add_samples(found)
        else:
            with clear_error(InvalidInput, "must fit 28,800 steps of 60 s"):
                store.add_samples(found)
    assert 1 <= len(read) < 6


def test_a_year_is_taken_of_however_many_quotas_and_a_wrong_year_is_not(opened, monkeypatch):
    monkeypatch.setattr(grids, "MOST_CELLS", 1000)
    store = opened()
    found = samples({QuotaKey(quota_code=f"q{n}"): {NEW_YEAR: 1.0, NEW_YEAR + 60: 1.0} for n in range(10)})
    store.add_samples(found)
    times = dict.fromkeys((NEW_YEAR + 400 * DAY_S, NEW_YEAR + 400 * DAY_S + 60), 2.0)
    assert store.add_samples(samples({QuotaKey(quota_code="q0"): times})).added == 2
    with clear_error(InvalidInput, "usage: timestamps must fit 1,000 steps of 60 s", "2026-01-01T00:00:00 to 2036-",
                     "remove older usage from the store (compact)"):  # fmt: skip
        store.add_samples(samples({QuotaKey(quota_code="q0"): {NEW_YEAR + 3700 * DAY_S: 1.0}}))
    with clear_error(InvalidInput, "usage: timestamps must fit 1,000 steps of 60 s", "or widen the step"):
        store.history()
    assert store.history(step_s=30 * DAY_S).usage.shape[1] == 10


def test_many_days_of_many_quotas_in_pieces(kind, opened):
    """More than DynamoDB changes at once: part by part there, and the same import twice changes nothing."""
    one, other = opened(), opened()
    world = History.from_array(
        [[float(100 * t + k) for k in range(60)] for t in range(40)], start=NEW_YEAR, step_s=DAY_S // 4,
        regions=[f"r{k}" for k in range(60)], quota=9e9,
    )  # fmt: skip
    one.import_quotas(world.quotas)
    first = one.add_samples(world.until(NEW_YEAR + 5 * DAY_S).samples())
    again = other.add_samples(world.samples())
    assert (first.added, again.added, again.duplicates) == (60 * 21, 60 * 19, 60 * 21)
    assert other.add_samples(world.samples()).added == 0
    found = one.history()
    assert found.usage[:, [found.keys.index(key) for key in world.keys]].tolist() == world.usage.tolist()
    assert [report["added"] for report in one.imports()] == [0, 60 * 19, 60 * 21]
    assert one.check().sound


def test_what_is_no_usage_is_refused_before_any_of_it_is_written(opened):
    store = opened()
    rows = [(QuotaKey(region=f"r{k}"), NEW_YEAR + k * DAY_S, 1.0) for k in range(300)]
    for bad in (-1.0, math.inf):
        kept = History.read(frame([*rows, (QuotaKey(region="z"), NEW_YEAR, 1.0)]), negative="keep").samples()
        kept.value[-1] = bad
        with clear_error(InvalidInput, "usage", "0 or more"):
            store.add_samples(kept)
        assert (store.keys_with_usage(), store.imports()) == ((), [])


def test_a_wrong_year_is_refused(opened):
    """It would make every later plan fail; so would one sample alone, which says nothing of its step."""
    store = opened()
    store.import_usage(frame([(KEYS[0], NEW_YEAR + 60 * n, 1.0) for n in range(50)]))
    before = content(store)
    for key in KEYS[:2]:
        for year in ("5000", "9999"):
            wrong = frame([(key, f"{year}-01-01T00:00Z", 1.0)])
            with clear_error(InvalidInput, "usage", "timestamps must fit", f"to {year}-01-01T00:00:00"):
                store.import_usage(wrong)
    assert content(store) == before
    store.import_usage(frame([(KEYS[1], "2030-01-01T00:00Z", 1.0)]))
    assert store.history(step_s=3600).usage.shape[1] == 2


def test_units_that_differ_are_refused_whoever_said_them_first(opened):
    one, other = opened(), opened()
    one.import_quotas([Quota(key=KEYS[3], value=5, unit="vCPU")])
    other.import_usage(frame([(KEYS[1], 0, 1.0)]).assign(unit="GiB"))
    one.import_usage(frame([(KEYS[1], 1, 1.0)]).assign(unit="gib"))
    one.import_usage(frame([(KEYS[1], 2, 1.0), (KEYS[3], 2, 1.0)]))
    for key, unit in ((KEYS[1], "MiB"), (KEYS[3], "GiB")):
        with clear_error(InvalidInput, "unit", "must"):
            one.import_usage(frame([(key, 3, 1.0)]).assign(unit=unit))
    with clear_error(InvalidInput, "unit"):
        other.import_quotas([Quota(key=KEYS[1], value=5, unit="MiB")])
    assert other.samples().units == {KEYS[1]: "gib"}
    assert set(other.last_samples().values()) == {2}


def test_a_transaction_reads_what_it_writes_and_takes_it_back(opened):
    store, other = opened(), opened()
    store.import_usage(frame([(KEYS[0], 0, 1.0)]))
    store.import_quotas({KEYS[0]: 5.0})
    before = content(store), store.quotas()

    def some(region):
        store.import_usage(frame([(KEYS[0], 0, 9.0), (QuotaKey(region=region), DAY_S, 2.0)]))
        store.import_quotas({KEYS[0]: 7.0, QuotaKey(region=region): 3.0})
        store.save_scenarios([Scenario(region, "us-east-1", {region: 1.0})])
        store.save_plan(planned({region: 0.5}))

    def nested(region):
        with store.transaction():
            some(region)
            raise RuntimeError(region)

    def outer():
        some("kept")
        with pytest.raises(RuntimeError, match="inner"):
            nested("inner")
        assert store.last_samples() == {KEYS[0]: 0, QuotaKey(region="kept"): DAY_S}
        assert content(store)[0] == {KEYS[0]: {0: "9.0"}, QuotaKey(region="kept"): {DAY_S: "2.0"}}
        assert {quota.key.region: quota.value for quota in store.quotas()} == {"us-east-1": 7.0, "kept": 3.0}
        assert [one.name for one in store.scenarios()] == ["kept"]
        assert [row["region"] for row in store.requirements("kept")] == ["kept"]
        assert store.requirements("inner") == []
        assert [one["number"] for one in store.plans()] == [1]
        assert len(store.imports()) == 2
        raise RuntimeError("outer")

    with pytest.raises(RuntimeError, match="outer"), store.transaction():
        outer()
    assert (content(store), store.quotas(), store.scenarios(), store.plans()) == (*before, (), [])
    assert (content(other), len(other.imports())) == (before[0], 1)
    assert store.requirements("kept") == []


# What the last plan found.


def planned(rows, as_of="2026-01-02T00:00:00Z", regions=None):
    """A plan as it is kept: (Region, quota code) or Region → utilization."""
    quotas = []
    for name, used in rows.items():
        region, code = name if isinstance(name, tuple) else (name, "L-1")
        key = QuotaKey("1", region, "ec2", code)
        quotas.append({**key._asdict(), "utilization": used, "needed": 1.0})
    return {"made": as_of, "as_of": as_of, "status": "OK", "coverage": 1.0, "quotas": quotas}


def test_what_is_required_is_that_of_the_last_plan_the_highest_first(opened):
    store, other = opened(), opened()
    assert store.requirements("a") == []
    store.save_plan(planned({("a", "x"): 0.9, ("a", "y"): 0.2, "b": 5.0}))
    for used, other_used in (([0.1, None, 0.8], 0.1), ([0.5, 0.8, "Infinity", 0.8, 0, 5e-324, 1e308], None)):
        store.save_plan(planned({("a", str(n)): one for n, one in enumerate(used)} | {("b", "x"): other_used}))
    for one in (store, other):
        found = {least: [int(row["quota_code"]) for row in one.requirements("a", least_frac=least)]
                 for least in (-1.0, 0.0, 5e-324, 0.5, 0.8, 0.81, 1e300)}  # fmt: skip
        assert found == {
            -1.0: [2, 6, 1, 3, 0, 5, 4], 0.0: [2, 6, 1, 3, 0, 5, 4], 5e-324: [2, 6, 1, 3, 0, 5],
            0.5: [2, 6, 1, 3, 0], 0.8: [2, 6, 1, 3], 0.81: [2, 6], 1e300: [2, 6],
        }  # fmt: skip
        assert one.requirements("b") == one.requirements("c") == one.requirements("") == []
        assert one.requirements("a")[2] == {
            **QuotaKey("1", "a", "ec2", "1")._asdict(),
            "utilization": 0.8,
            "needed": 1.0,
        }
        for bad in (math.nan, "much", None):
            with clear_error(InvalidInput, "least_frac"):
                one.requirements("a", least_frac=bad)


NO_PLANS = [
    None, [], {}, {"made": "m"}, {"as_of": "yesterday"}, {"as_of": "2026-01-01"}, {"made": None}, {"coverage": "most"},
    {"quotas": ["x"]}, {"quotas": [{}]}, {"quotas": 5}, {"quotas": [{**QuotaKey()._asdict(), "utilization": "high"}]},
    {"quotas": [{**QuotaKey()._asdict(), "region": 5, "utilization": 0.5}]},
]  # fmt: skip


@pytest.mark.parametrize("body", NO_PLANS, ids=str)
def test_what_is_no_plan_is_refused_and_nothing_is_kept(opened, body):
    store = opened()
    store.save_plan(planned({"a": 0.9}))
    whole = {**planned({"a": 0.5}), **body} if isinstance(body, dict) and body not in ({}, {"made": "m"}) else body
    with clear_error(InvalidInput, "as_of: " if isinstance(body, dict) and "as_of" in body else "body: must be"):
        store.save_plan(whole)
    assert len(store.plans()) == 1
    assert [row["utilization"] for row in store.requirements("a")] == [0.9]


def test_a_plan_of_another_moment_takes_the_place_of_the_one_before(opened):
    store = opened()
    store.save_plan(planned({"a": 0.9, "b": 0.9}))
    store.save_plan(planned({"a": 0.4}, as_of="2025-01-01T00:00:00Z"))
    assert [row["utilization"] for region in "ab" for row in store.requirements(region)] == [0.4]


def test_a_plan_of_quotas_that_are_used_up_is_kept(opened):
    """Infinitely many times a quota of 0, and next to nothing of a large one."""
    store = opened()
    world = History.from_array([[5.0, 5e-324, 1.0]] * 300, start=NEW_YEAR, step_s=300, regions=["a", "b", "c"],
                               quota=[0.0, 1e308, 1.0])  # fmt: skip
    store.import_quotas(world.quotas)
    store.add_samples(world.samples())
    made = plan(store.history())
    assert store.save_plan(made.to_dict()) == 1
    assert store.plans()[0]["body"] == made.to_dict()
    for region in "abc":
        rows = [row for row in made.to_dict()["quotas"] if row["region"] == region and row["utilization"] is not None]
        assert store.requirements(region) == rows
    assert store.requirements("a", least_frac=100.0)
