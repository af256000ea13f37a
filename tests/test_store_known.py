"""What an import costs does not depend on what else a store holds, and what it does is as if it had read all of it."""

import contextlib
import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clear import clear_error
from surgetank import InvalidInput, Quota, QuotaKey, Store, StoreError
from surgetank.history import extent
from surgetank.history import samples as grids
from surgetank.history.anystore import AnyStore
from surgetank.history.samples import Samples, check_span

NEW_YEAR = 1767225600
DAY_S = 86_400


class ReadsAll(Store):
    """A store that reads everything at every import, and never remembers how far its samples reach."""

    _known = AnyStore._known
    _units_of = AnyStore._units_of

    def add_samples(self, found, **options):
        with self.transaction():
            self._extents.forget()
            self._extents.admit = lambda found, known: None
            done = super().add_samples(found, **options)
            if len(self.keys_with_usage()) and self._db.execute("SELECT 1 FROM usage_day").fetchone():
                first, last = self._db.execute("SELECT min(day), max(day) FROM usage_day").fetchone()
                too_many = not grids.fits(first * DAY_S, (last + 1) * DAY_S - 1, 60, len(self.keys_with_usage()))
                if last - first > extent.SURE_DAYS and too_many:
                    check_span(self.samples())
        return done


def usage(series, units=None):
    """Samples of {key: {second: value}}."""
    keys = tuple(series)
    rows = [(n, at, value) for n, key in enumerate(keys) for at, value in sorted(series[key].items())]
    code, time_s, value = (np.array([row[i] for row in rows]) for i in range(3))
    return Samples(keys, code.astype(np.int64), time_s.astype(np.int64), value.astype(float), units or {})


KEYS = st.builds(
    QuotaKey,
    account=st.sampled_from(["-", "1", "2", "3"]),
    region=st.sampled_from(["-", "a"]),
    service_code=st.just("s"),
    quota_code=st.sampled_from(["x", "y"]),
    context_id=st.sampled_from(["", "c"]),
)
NUMBERS = st.sampled_from([math.nan, 0.0, 5.0, 7.0])
UNITS = st.sampled_from(["", "", "", "Count", "Bytes"])
QUOTAS = st.builds(Quota, key=KEYS, value=NUMBERS, default_value=NUMBERS, unit=UNITS)
DEFAULTS = st.builds(
    Quota,
    key=KEYS.map(lambda key: key._replace(account="-")),
    value=st.just(math.nan),
    default_value=st.sampled_from([1.0, 2.0]),
    unit=UNITS,
)
IMPORTS = st.one_of(
    st.tuples(st.lists(QUOTAS, max_size=3), st.lists(DEFAULTS, max_size=2)),
    st.tuples(KEYS, UNITS),
)


def did(store, one):
    """What an import answers."""
    first, second = one
    try:
        if isinstance(first, QuotaKey):
            return store.add_samples(usage({first: {NEW_YEAR: 1.0}}, {first: second})).added
        return store.import_quotas(first, defaults=second)
    except InvalidInput as error:
        return str(error)


@given(st.lists(IMPORTS, max_size=8))
@settings(max_examples=60)
def test_imports_do_what_they_do_where_everything_is_read(tmp_path_factory, imports):
    folder = tmp_path_factory.mktemp("both")
    with Store(folder / "a.db", create=True) as store, ReadsAll(folder / "b.db", create=True) as twin:
        for one in imports:
            assert did(store, one) == did(twin, one)
            assert sorted(map(repr, store._quotas())) == sorted(map(repr, twin._quotas()))
            assert store.last_samples() == twin.last_samples()
        for region in ("-", "a"):
            found = store.last_by_place()("1", (region, "b"))
            assert found == {k: at for k, at in store.last_samples().items() if k[:2] == ("1", region)}
            assert found == AnyStore.last_by_place(store)("1", (region, "b"))


SPANS = st.lists(
    st.tuples(
        st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True),
        st.integers(-3, 40),  # first day
        st.integers(0, 6),  # samples
        st.sampled_from([1, 60, 300, 3600, 50_000]),  # between them
        st.sampled_from(["", "", "", "undo", "other", "compact"]),
    ),
    min_size=1,
    max_size=12,
)


MOST = st.sampled_from([300, 3_000, 30_000, 100_000])


def tried(store, found, keep):
    """How much was added, or what was said."""
    try:
        return store.attempt(lambda: store.add_samples(found), keep=lambda _: keep).added
    except InvalidInput as error:
        return str(error).partition(" of ")[0]


def require_same_refusals(spans, most, twin, store, other):
    """Two that look at the same store refuse what no grid could hold as a twin does that reads all of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grids, "MOST_CELLS", most)
        patch.setattr(extent, "SURE_DAYS", 5)
        for regions, day, count, step, then in spans:
            times = [NEW_YEAR + day * DAY_S + step * n for n in range(count)]
            found = usage({QuotaKey(region=region): dict.fromkeys(times, 1.0) for region in regions})
            said = [tried(one, found, keep=then != "undo") for one in (store, twin)]
            for one in (other, twin):
                if then == "other":
                    with contextlib.suppress(InvalidInput):
                        one.add_samples(usage({QuotaKey(region="d"): {NEW_YEAR + 7 * DAY_S: 1.0}}))
                if then == "compact" and one.keys_with_usage():
                    one.compact(keep_s=3 * DAY_S, remove=True)
            assert said[0] == said[1]
        assert store.last_samples() == twin.last_samples()


@given(SPANS, MOST)
@settings(max_examples=120)
def test_what_no_grid_could_hold_is_refused_as_if_all_were_read(tmp_path_factory, spans, most):
    folder = tmp_path_factory.mktemp("both")
    with contextlib.ExitStack() as opened:
        store, twin = (
            opened.enter_context(cls(folder / f"{cls.__name__}.db", create=True)) for cls in (Store, ReadsAll)
        )
        require_same_refusals(spans, most, twin, store, opened.enter_context(Store(store.path)))


def test_what_does_not_fit_is_refused_without_reading_all_each_time(tmp_path, monkeypatch):
    monkeypatch.setattr(grids, "MOST_CELLS", 100 * 288)
    monkeypatch.setattr(extent, "SURE_DAYS", 0)
    with Store(tmp_path / "fleet.db", create=True) as store:
        read = []
        stored = store._extents._stored
        monkeypatch.setattr(store._extents, "_stored", lambda: read.append(1) or stored())
        times = [NEW_YEAR - 600 + 300 * n for n in range(288)]  # of two days
        for n in range(130):
            found = usage({QuotaKey(quota_code=f"q{n}"): dict.fromkeys(times, 1.0)})
            if n < 100:
                store.add_samples(found)
            else:
                with pytest.raises(InvalidInput, match="must fit 28,800 steps of 300 s"):
                    store.add_samples(found)
        assert 1 <= len(read) < 12


def part(store, account, count):
    """An account and Region as `collect` stores it."""
    keys = [QuotaKey(account, "a", "s", f"L-{n}") for n in range(count)]
    store.import_quotas([Quota(key=key, value=9.0, default_value=5.0) for key in keys])
    store.add_samples(usage({key: {NEW_YEAR + 60 * m: 1.0 for m in range(3)} for key in keys}), noted=False)


def test_a_part_costs_what_it_brings_however_much_is_there(tmp_path):
    steps = []
    with Store(tmp_path / "fleet.db", create=True) as store:
        for n in range(30):
            steps.append(0)
            store._db.set_progress_handler(lambda: steps.__setitem__(-1, steps[-1] + 1), 100)
            part(store, f"{n:012}", 100)
    assert max(steps[25:]) < 1.5 * steps[2]


@pytest.mark.parametrize("where", ["index", "table", "quota"])
@pytest.mark.parametrize("touched", [True, False])
def test_damage_is_found_by_the_first_import_whatever_it_touches(tmp_path, where, touched):
    path = tmp_path / "fleet.db"
    with Store(path, create=True) as store:
        store.import_quotas([Quota(key=QuotaKey("1", region, "s", "L-1"), value=77.5) for region in ("aaa", "zzz")])
    content, name = path.read_bytes(), b"1zzzsL-1"
    places = [at for at in range(len(content)) if content.startswith(name, at)]
    assert len(places) == 2
    (index,) = (at for at in places if content[at // 4096 * 4096] == 10)  # of an index
    (table,) = (at for at in places if at != index)
    at = {"index": index + 1, "table": table + 1, "quota": content.rindex(struct.pack(">d", 77.5))}
    damaged = bytearray(content)
    damaged[at[where]] ^= 1
    path.write_bytes(bytes(damaged))
    key = QuotaKey("1", "zzz", "s", "L-1") if touched else QuotaKey("2", "mmm", "s", "L-9")
    with Store(path) as store:
        for add in (lambda: store.import_quotas({key: 5.0}), lambda: store.add_samples(usage({key: {NEW_YEAR: 1.0}}))):
            with clear_error(StoreError, str(path), "damaged"):
                add()
    assert path.read_bytes() == bytes(damaged)
