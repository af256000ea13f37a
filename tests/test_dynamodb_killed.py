"""An import of more than DynamoDB changes at once, cut off at every kind of moment, and repeated."""

import pytest

from reservation_stores import dynamodb_store
from store_faults import FAULTS
from surgetank import History
from surgetank.history.dynamodb.calls import Calls

NEW_YEAR, QUOTAS, DAYS = 1767225600, 3, 40
WORLD = History.from_array(
    [[float(100 * t + k + 1) for k in range(QUOTAS)] for t in range(2 * DAYS)], start=NEW_YEAR, step_s=43_200,
    regions=[f"r{k}" for k in range(QUOTAS)], quota=9e9,
)  # fmt: skip


class Killed(BaseException):
    """As if the process were no more."""


def at_once(store):
    """As `collect` stores what one account and Region gave."""
    store.attempt(lambda: (store.import_quotas(WORLD.quotas), store.add_samples(WORLD.samples(), noted=False)))


def by_itself(store):
    store.add_samples(WORLD.samples())


@pytest.fixture
def opened(dynamodb, tmp_path):
    pytest.importorskip("botocore", reason="no botocore: pip install 'surgetank[aws]'")
    return lambda name: dynamodb_store(tmp_path, name=name)


def dying_after(monkeypatch, writes):
    """From so many writes on, nothing is written any more."""
    done, write = [], Calls.write

    def written(self, items):
        if len(done) >= writes:
            raise Killed
        done.append(len(items))
        write(self, items)

    monkeypatch.setattr(Calls, "write", written)
    return done


@pytest.mark.parametrize("work", [at_once, by_itself])
def test_the_store_is_sound_and_the_rest_comes_with_the_next_import(opened, monkeypatch, work):
    with opened("whole") as store, monkeypatch.context() as counting:
        done = dying_after(counting, 10**9)
        work(store)
        samples = store.samples()
        whole = {key: [list(one) for one in samples.series(n)] for n, key in enumerate(samples.keys)}
    assert len(done) > DAYS * QUOTAS
    for n in sorted({round(k * len(done) / (2 + 2 * FAULTS)) for k in range(1, 2 + 2 * FAULTS)} | {len(done) - 3}):
        with opened(f"fleet{n}") as store, opened(f"fleet{n}") as other:
            with monkeypatch.context() as dying:
                dying_after(dying, n)
                with pytest.raises(Killed):
                    work(store)
            assert other.check().sound, (n, other.check())
            # Of whatever a last sample is told, all of it is there: collecting goes on behind it.
            assert other.last_samples() == {key: whole[key][0][-1] for key in other.keys_with_usage()}
            if other.keys_with_usage():
                found = other.samples()
                assert {key: [list(one) for one in found.series(k)] for k, key in enumerate(found.keys)} == {
                    key: whole[key] for key in found.keys
                }
            work(other)
            found = store.samples()
            assert {key: [list(one) for one in found.series(k)] for k, key in enumerate(found.keys)} == whole
            assert store.check().sound
