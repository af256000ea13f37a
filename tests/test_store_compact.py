"""`Store.compact`: what it removes, what it keeps for ever, and that it removes nothing by itself."""

import contextlib
import datetime as dt
import os
import sqlite3

import pytest

from clear import clear_error
from surgetank import InvalidInput, Store, StoreError
from surgetank.history import upkeep
from test_store_upkeep import DAY_S, NEW_YEAR, PLAN, fill, held, path, usage

__all__ = ["path"]  # a fixture


def test_older_usage_is_removed_when_asked_twice(tmp_path):
    """What was removed is what was said, and everything else stays."""
    path = fill(tmp_path / "fleet.db", days=100)
    with Store(path) as store:
        store.add_samples(usage(3, ["gone"]))
        before = held(path)
        said = store.compact(keep_s=dt.timedelta(days=10))
        assert held(path) == before
        assert (said.days, said.samples, said.series, said.emptied) == (2 * 89 + 3, 24 * (2 * 89 + 3), 3, 1)
        assert (said.before, said.done, said.bytes_after) == ("2026-03-31", False, said.bytes_before)
        assert "4,344 samples of 3 series before 2026-03-31 would be removed (1 of them would have none left)" in str(
            said
        )
        assert "Nothing was changed. --yes" in str(said)
        done = store.compact(keep_s=10 * DAY_S, remove=True)
        assert (done.days, done.samples, done.before, done.done) == (said.days, said.samples, said.before, True)
        assert done.bytes_after == path.stat().st_size < done.bytes_before
        assert "were removed (1 of them have none left)" in str(done)
        assert done.to_dict()["in_use"] is False
        found = store.check()
    assert (found.sound, found.samples, found.first) == (True, 24 * 22, "2026-03-31T00:00:00Z")
    after = held(path)
    assert after[1:] == before[1:]  # quotas, scenarios, plans and reports
    assert after[0][0] == before[0][0]  # and every series, though one has no usage left
    with Store(path) as store:
        again = store.compact(keep_s=10 * DAY_S, remove=True)
        assert (again.days, again.done) == (0, True)
        assert "nothing to remove, the last 10 d of usage is kept" in str(again)


def test_nothing_is_removed_by_itself(tmp_path):
    """Four years that were imported are four years that are kept; `None` keeps them here as well."""
    path = tmp_path / "fleet.db"
    with Store(path, create=True) as store:
        store.add_samples(usage(4 * 365, step_s=DAY_S // 2))
    with Store(path) as store:
        assert store.compact(keep_s=None, remove=True).days == 0
        assert store.check().samples == 4 * 365 * 2 * 2
        assert store.compact().keep_s == 90 * DAY_S
        assert store.check().samples == 4 * 365 * 2 * 2


@pytest.mark.parametrize(
    ("keep_s", "days"),
    [(DAY_S, 3), (DAY_S - 3600, 4), (DAY_S - 3599, 3), (2 * DAY_S, 2), (1, 4), (1e18, 0), (4 * DAY_S, 0)],
)
def test_whole_days_go_that_are_older_to_their_last_second(tmp_path, keep_s, days):
    """The last sample is at 23:00 of the fifth day; so what is kept reaches back to 23:00 of an earlier one."""
    path = fill(tmp_path / "fleet.db", days=5)
    with Store(path) as store:
        assert store.compact(keep_s=keep_s, remove=True).days == 2 * days
        kept = store.samples().time_s
        assert kept.min() == NEW_YEAR + days * DAY_S
        assert kept.max() - kept.min() >= min(keep_s, 5 * DAY_S - 3600)


def test_room_that_is_not_used_is_given_back(path):
    with Store(path) as store:
        for n in range(20):
            store.save_plan(PLAN | {"notes": ["x" * 10_000] * n})
        store._db.execute("DELETE FROM plan WHERE id > 1")
        made = store.compact()
    assert (made.days, made.done) == (0, True)
    assert made.bytes_after < made.bytes_before / 10


@pytest.mark.parametrize("keep_s", [0, -1, float("nan"), "90d", True])
def test_a_keep_that_is_none(path, keep_s):
    with Store(path) as store, clear_error(InvalidInput, "keep_s", "more than 0 seconds"):
        store.compact(keep_s=keep_s)


def test_not_inside_a_transaction(path):
    with Store(path) as store, store.transaction(), clear_error(StoreError, "inside a transaction"):
        store.compact()


def test_without_room_nothing_is_removed(path, monkeypatch):
    before = held(path)

    def full(file, folder, size):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(upkeep, "_hold", full)
    words = ("cannot be compacted", "must be free in", "No space left", "nothing was changed")
    with Store(path) as store, clear_error(StoreError, str(path), *words):
        store.compact(keep_s=1, remove=True)
    assert held(path) == before
    assert os.listdir(path.parent) == ["fleet.db"]


def test_where_room_is_gone_after_all_it_is_said_what_happened(path, monkeypatch):
    with Store(path) as store:
        store._timeout_s = 0
        rewrite = Store._rewrite

        def late(self, room, removed):
            other = sqlite3.connect(path, isolation_level=None)
            with contextlib.closing(other):
                other.execute("BEGIN IMMEDIATE")
                return rewrite(self, room, removed)

        store._db.execute("PRAGMA busy_timeout = 0")
        monkeypatch.setattr(Store, "_rewrite", late)
        words = ("the older usage was removed, but the file was not made smaller", "another process", "repeated")
        with clear_error(StoreError, str(path), *words):
            store.compact(keep_s=1, remove=True)
        assert store.check().samples == 48
        monkeypatch.undo()
        assert store.compact(keep_s=1, remove=True).done
