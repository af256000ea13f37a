"""Every store: what goes in comes out, all or nothing, in any order, and beside other processes."""

import datetime as dt
import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clear import clear_error
from reservation_stores import KINDS, opened
from surgetank import History, InvalidInput, Quota, QuotaKey, Scenario, StoreError
from surgetank.history.keys import KEY_FIELDS

__all__ = ["opened"]  # fixtures

NEW_YEAR = 1767225600
# Few instants and values, so that imports overlap; days before 1970 and the ends of days are among them.
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from([-86_401, -86_400, -1, 0, 1, 86_399, 86_400, 200_000]),
        st.sampled_from([0.0, 1.0, 2.5, math.nan, -1.0]),
    ),
    max_size=12,
).map(lambda rows: [("a", 5, 1.0), *rows])


def frame(rows):
    region, timestamp, usage = map(list, zip(*rows, strict=True))
    return pd.DataFrame({"region": region, "timestamp": timestamp, "usage": usage})


def series(region, value=1.0, unit=None, count=3):
    """A frame of one Region, one sample a minute."""
    table = pd.DataFrame({"timestamp": [NEW_YEAR + 60 * i for i in range(count)], "region": region, "usage": value})
    return table if unit is None else table.assign(unit=unit)


def content(store):
    """Everything a store holds, as plain values; no usage is an empty mapping."""
    usage, units = {}, {}
    if store.keys_with_usage():
        found = store.samples()
        usage = {key: {} for key in found.keys}
        for code, t, value in zip(found.code.tolist(), found.time_s.tolist(), found.value.tolist(), strict=True):
            usage[found.keys[code]][t] = value
        units = dict(found.units)
    return usage, units, repr(sorted(store.quotas(), key=repr)), store.scenarios(), store.plans(), store.imports()


@pytest.fixture
def store(opened):
    return opened()


@pytest.fixture
def fresh(kind, tmp_path):
    """Makes a store in which nothing is yet, as often as it is called."""
    names = (f"fleet{n}" for n in itertools.count())
    return lambda: KINDS[kind](tmp_path, name=next(names))


def test_imports_in_any_order_at_once_or_twice_are_one_store(kind, fresh):
    """The maximum of an instant does not depend on who came first, and saying it again says nothing."""

    @given(ROWS, ROWS, ROWS)
    @settings(max_examples={"embedded": 25, "dynamodb": 1}[kind])  # eight stores each
    def check(a, b, c):
        parts, found = (a, b, c), []
        orders = [*itertools.permutations(parts), [list(itertools.chain(*parts))], [*parts, *parts]]
        for imports in orders:
            with fresh() as store:
                for rows in imports:
                    store.import_usage(frame(rows), negative="missing")
                found.append(content(store)[0])
        expected = {}
        for region, t, value in itertools.chain(*parts):
            known = expected.setdefault(QuotaKey(region=region), {})
            if value >= 0:
                known[t] = max(known.get(t, 0.0), value)
        assert all(usage == expected for usage in found)

    check()


def test_every_row_of_every_import_is_counted_once(kind, fresh):
    @given(ROWS, ROWS)
    @settings(max_examples={"embedded": 40, "dynamodb": 5}[kind])
    def check(first, second):
        with fresh() as store:
            known = {}
            for rows in (first, second, second):
                report = store.import_usage(frame(rows), negative="missing")
                counted = (report.added, report.duplicates, report.conflicts, report.missing, report.out_of_range)
                assert report.rows == len(rows) == sum(counted)
                assert report.missing == sum(v != v for _, _, v in rows)
                assert report.out_of_range == sum(v < 0 for _, _, v in rows)
                new = {(r, t) for r, t, v in rows if v >= 0} - set(known)
                assert report.added == len(new)
                known.update(dict.fromkeys(new))
            assert report.added == 0  # twice is once

    check()


def test_conflicts_with_the_store_are_counted_and_the_maximum_stays(store):
    store.import_usage(series("a", 5.0))
    lower, same, higher = (store.import_usage(series("a", v)) for v in (4.0, 5.0, 6.0))
    assert [(r.added, r.duplicates, r.conflicts) for r in (lower, same, higher)] == [(0, 0, 3), (0, 3, 0), (0, 0, 3)]
    assert set(store.samples().value) == {6.0}


def test_a_history_comes_back_as_it_went_in(store):
    usage = np.round(np.random.default_rng(1).gamma(5, 9, (700, 3)), 3)
    usage[5:90, 1] = np.nan
    regions = ["us-east-1", "eu-west-1", "ap-south-1"]
    before = History.from_array(usage, start="2026-01-01T00:00Z", step_s=300, regions=regions, quota=[90, 80, 70])
    store.import_quotas(before.quotas)
    report = store.add_samples(before.samples())
    after = store.history()
    assert report.rows == report.added == np.isfinite(usage).sum()
    assert {k: q.value for k, q in after.quotas.items()} == {k: q.value for k, q in before.quotas.items()}
    columns = [after.keys.index(key) for key in before.keys]
    np.testing.assert_array_equal(after.usage[:, columns], usage)
    assert (after.start_s, after.step_s) == (before.start_s, 300)


def test_everything_else_comes_back_too(store, opened):
    quota = Quota(
        key=QuotaKey("1", "a", "ec2", "L-1", "ctx"),
        value=5,
        default_value=2,
        unit="vCPU",
        name="n",
        adjustable=False,
        is_global=True,
    )
    bare = Quota(key=QuotaKey(region="b"), value=math.nan)
    assert store.import_quotas([quota, bare]) == 2
    assert repr(store.quotas()) == repr((quota, bare))
    scenarios = (
        Scenario(
            "z first", ("a", "b"), {"c": 0.5, "d": 0.25}, duration_s=dt.timedelta(hours=2), impact="low", event="e"
        ),
        Scenario("a second", "a", {"a": 1.0}, multiplier=3.0, kind="traffic_spike"),
    )
    for saved in (scenarios[:1], scenarios):  # saving replaces
        store.save_scenarios(saved)
        assert store.scenarios() == saved
    row = {**dict(zip(KEY_FIELDS, quota.key, strict=True)), "needed": None, "utilization": None}
    body = {"made": "2026-01-01T00:00:00Z", "as_of": "2025-12-31T00:00:00Z", "status": "OK", "coverage": 1.0}
    body |= {"quotas": [row]}
    assert [store.save_plan(body), store.save_plan(body | {"status": "CRITICAL"})] == [1, 2]
    assert [(p["number"], p["status"]) for p in store.plans()] == [(2, "CRITICAL"), (1, "OK")]
    assert store.plans()[1]["body"] == body
    store.import_usage(series("a"))
    assert store.imports()[0]["added"] == 3
    before = content(store)
    assert content(opened()) == before


def test_series_without_a_single_value_stay(store, tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text("timestamp,a,b\n2026-01-01T00:00Z,1,\n2026-01-01T00:05Z,2,\n")
    store.import_usage(path, series="{region}")
    assert [key.region for key in store.history().keys] == ["a", "b"]
    assert np.isnan(store.history().usage[:, 1]).all()


@pytest.mark.parametrize("name", ["n" * 300, "a\tb\x1b[31m\x7f", "日本", "a'b\"--;", "\u202e", "a\0b"])
def test_any_name_survives(kind, store, name):
    key = QuotaKey(name, name, name, name)
    if kind == "dynamodb" and len(name) > 250:  # it is a part of a key there, of which the length has an end
        for call in (lambda: store.import_quotas({key: 1.0}), lambda: store.import_usage(series(name), account=name,
                     service_code=name, quota_code=name)):  # fmt: skip
            with clear_error(InvalidInput, "name: of a quota must be at most 1,000 characters in DynamoDB"):
                call()
        assert content(store)[0] == {}
        return
    store.import_quotas([Quota(key=key, value=1, unit=name, name=name)])
    store.import_usage(series(name), account=name, service_code=name, quota_code=name)
    assert store.history().keys == (key,)
    assert store.quotas()[0].key == key
    with clear_error(InvalidInput, "quota", "0 or more"):
        Quota(key=key, value=-1)


BAD_IMPORTS = {
    "unit of the second series": (
        pd.concat([series("b", unit="GiB"), series("z", unit="MiB")]),
        {},
        ["unit", "z", "GiB", "MiB"],
    ),
    "unit of the quota": (series("q", unit="GiB"), {}, ["unit", "q", "vCPU", "GiB"]),
    "negative": (series("b", -1.0), {}, ["usage", "0 or more", "-1"]),
    "negative kept": (series("b", -1.0), {"negative": "keep"}, ["negative", "refuse", "missing", "keep"]),
    "infinite": (series("b", math.inf), {}, ["usage", "finite", "inf"]),
    "all missing": (series("b", math.nan), {}, ["usage", "at least one"]),
    "no rows": (series("b", count=0), {}, ["usage", "at least one", "0 rows"]),
    "naive": (pd.DataFrame({"timestamp": ["2026-01-01T00:00"], "usage": [1.0]}), {}, ["time zone", "tz="]),
    "no source": (None, {}, ["source"]),
}


@pytest.mark.parametrize("name", BAD_IMPORTS)
def test_a_bad_import_leaves_the_store_as_it_was(store, name):
    source, how, words = BAD_IMPORTS[name]
    store.import_quotas([Quota(key=QuotaKey(region="q"), value=9, unit="vCPU")])
    store.import_usage(series("z", unit="GiB"))
    before = content(store)
    with clear_error(InvalidInput, *words):
        store.import_usage(source, **how)
    assert content(store) == before


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ([], ["quotas", "at least one"]),
        ({}, ["quotas", "at least one"]),
        (5, ["source", "int"]),
        ([5], ["quotas", "Quota objects"]),
        # What no file can hold: half a character, from a badly decoded name.
        ({("a",): 1, ("\ud800",): 1}, ["\\ud800"]),
        ({("a",): 1, ("b",): "x"}, ["quota", "b", "x"]),
        (
            [Quota(key=QuotaKey(region="b"), value=1), Quota(key=QuotaKey(region="z"), value=1, unit="MiB")],
            ["unit", "z"],
        ),
    ],
)
def test_bad_quotas_leave_the_store_as_it_was(store, source, words):
    store.import_usage(series("z", unit="GiB"))
    before = content(store)
    with clear_error(InvalidInput, *words):
        store.import_quotas(source)
    assert content(store) == before


def test_samples_with_negative_values_never_enter(store):
    """`History.read(negative="keep")` is for `detect_spikes`; in a store they would spoil every later plan."""
    kept = History.read(series("a", -1.0), negative="keep")
    with clear_error(InvalidInput, "usage", "0 or more"):
        store.add_samples(kept.samples())
    assert not store.keys_with_usage()


def test_an_import_that_fails_inside_a_transaction_leaves_nothing_of_itself(store):
    store.import_usage(series("z", unit="GiB"))
    bad = pd.concat([series("b", unit="GiB"), series("z", unit="MiB")])
    with store.transaction():
        store.import_usage(series("good"))
        with clear_error(InvalidInput, "unit", "z"):
            store.import_usage(bad)
    assert {key.region for key in store.keys_with_usage()} == {"z", "good"}


def test_a_transaction_is_all_or_nothing(store):
    before = content(store)

    def halfway():
        with store.transaction():
            store.import_usage(series("a"))
            store.import_quotas({("a",): 1})
            store.save_scenarios([Scenario("s", "a", {"b": 1.0})])
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        halfway()
    assert content(store) == before


def test_scenarios_of_one_name_are_refused(store):
    scenario = Scenario("s", "a", {"b": 1.0})
    store.save_scenarios([scenario])
    with clear_error(InvalidInput, "scenarios", "different names", "s"):
        store.save_scenarios([scenario, scenario])
    assert store.scenarios() == (scenario,)


def test_a_closed_store_says_so(store):
    store.close()
    calls = (store.history, store.quotas, store.scenarios, store.plans, store.imports, lambda: store.schema_version)
    for call in (*calls, lambda: store.import_usage(series("a")), lambda: store.save_scenarios([])):
        with clear_error(StoreError, "closed"):
            call()


def test_samples_that_were_derived_are_counted_as_what_they_are(store):
    history = History.read(series("a", count=6))
    assert store.add_samples(history.until(NEW_YEAR + 120).samples()).rows == 3
    report = store.add_samples(history.samples())
    assert (report.rows, report.added, report.duplicates) == (6, 3, 3)
    more = history.with_quotas({QuotaKey(region="b"): 5.0}).complete()
    assert store.add_samples(more.samples()).duplicates == 6


def test_a_history_of_nothing_leaves_a_store_of_nothing(store):
    nothing = History.from_array([[math.nan]] * 3, start=NEW_YEAR, step_s=60, regions=["a"])
    assert store.add_samples(nothing.samples()).rows == 0
    assert [key.region for key in store.keys_with_usage()] == ["a"]
