"""Stores that the tests of reservations are about, and a small world in them."""

import contextlib

import pytest

from surgetank import DynamoStore, History, QuotaKey, Store

NOW = 1767225600 + 900  # what most tests call now; usage is of the quarter of an hour before
DAY_S = 86_400
REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
EAST, WEST, EU = (QuotaKey(region=region) for region in REGIONS)
USED = (60.0, 30.0, 10.0)  # of 100 each


def embedded(folder, name="fleet", **how):
    """The embedded store."""
    return Store(folder / f"{name}.db", create=True, **how)


def dynamodb_store(folder, name="fleet", **how):
    """One in tables; the fixture `dynamodb` says of which engine, and skips where there is none."""
    return DynamoStore(name, create=True, **how)


#: How each kind of store is opened; every one of them keeps the same promises.
KINDS = {"embedded": embedded, "dynamodb": dynamodb_store}


def at_once(kind, store):
    """Many calls in one transaction, which saves time; DynamoDB takes so many one by one only."""
    return store.transaction() if kind == "embedded" else contextlib.nullcontext()


def fill(store, used=USED, quota=100.0, regions=REGIONS):
    world = History.from_array([list(used)] * 3, start=NOW - 900, step_s=300, regions=regions, quota=quota)
    store.import_quotas(world.quotas)
    store.add_samples(world.samples())


@pytest.fixture
def opened(kind, tmp_path):
    """Opens the store of this test, as often as it is called."""
    stores = []

    def again(**how):
        stores.append(KINDS[kind](tmp_path, **how))
        return stores[-1]

    yield again
    for store in stores:
        store.close()


@pytest.fixture
def store(opened):
    """60, 30 and 10 used of 100 in three Regions."""
    made = opened()
    fill(made)
    return made


def content(store):
    """All that reservations leave in a store."""
    return store.reservations(ended=True, now=NOW).found, store.audit()
