"""What is read item by item is of one moment, where something is decided on it."""

import pytest

from clear import clear_error
from failover_stores import NOW, WEST, filled, held
from reservation_stores import dynamodb_store
from surgetank import InvalidInput, prepare_failover

pytestmark = pytest.mark.usefixtures("dynamodb_fleet")


@pytest.fixture
def stores(tmp_path):
    pytest.importorskip("botocore", reason="no botocore: pip install 'surgetank[aws]'")
    with dynamodb_store(tmp_path) as first, dynamodb_store(tmp_path) as second:
        filled(first, (60.0, 30.0, 50.0))
        yield first, second


def first_after(monkeypatch, store, method, meanwhile):
    """Let something happen once, right after the store has answered."""
    asked = getattr(store, method)
    todo = [meanwhile]

    def answered(*args, **more):
        found = asked(*args, **more)
        if todo:
            todo.pop()()
        return found

    monkeypatch.setattr(store, method, answered)


def test_who_comes_second_is_told_what_the_first_one_did(stores, monkeypatch):
    """And not that a coordination is there already, of which it has read nothing but the name."""
    one, other = stores
    first_after(monkeypatch, one, "failover", lambda: prepare_failover(other, "us-east-1", act=True, now=NOW))
    with clear_error(InvalidInput, "failover: us-east-1 is preparing"):
        prepare_failover(one, "us-east-1", act=True, now=NOW)
    assert held(one) == {"us-west-2": pytest.approx(35), "eu-west-1": pytest.approx(25)}
    assert [event["action"] for event in one.failover_events()] == ["prepare"]


def test_a_dry_run_shows_what_stands_together(stores, monkeypatch):
    one, other = stores
    first_after(monkeypatch, one, "failover", lambda: other.reserve({WEST: 70.0}, now=NOW))
    move = prepare_failover(one, "us-east-1", now=NOW)
    assert (move.granted, move.done, list(move.prewarm.values())) == (True, False, [pytest.approx(40)])
