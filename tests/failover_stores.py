"""Stores for failovers: three Regions in a few samples, and an evening on the sample world."""

from dataclasses import replace

import numpy as np

from surgetank import History, QuotaKey
from surgetank.demo import sample_world

REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
NOW = "2026-01-01T00:10Z"
EAST, WEST, EU = (QuotaKey(region=region, service_code="ec2", quota_code="L-1") for region in REGIONS)


def filled(made, used, quota=100.0, start="2026-01-01T00:00Z"):
    """The store, with a quarter of an hour in it."""
    world = History.from_array(
        [used] * 3, start=start, step_s=300, regions=REGIONS, service_code="ec2", quota_code="L-1", quota=quota
    )
    made.import_quotas(world.quotas)
    made.add_samples(world.samples())
    return made


def used_later(store, used, start):
    world = History.from_array([used], start=start, step_s=300, regions=REGIONS, service_code="ec2", quota_code="L-1")
    store.add_samples(world.samples())


def held(store, now=NOW):
    return {key.region: amount for key, amount in store.reserved(at=now).items()}


def everything(store, now=NOW):
    """What a dry run must leave as it is."""
    return store.failovers(), store.failover_events(), store.audit(), store.reservations(ended=True, now=now).to_dict()


BEGIN = np.datetime64("2026-01-29T18:00:00")
FAILED, OTHERS = "us-east-1", ("us-west-2", "eu-west-1")


class Evening:
    """A store that has seen the sample world up to `BEGIN`, and what comes after."""

    def __init__(self, store):
        self.world, self.store = sample_world(), store
        self.store.import_quotas(self.world.quotas)
        self.store.save_scenarios(self.world.scenarios)
        self.moved = {}  # quota → what has moved there
        self.share = 0.0  # of the failed Region's load, what has left it
        self.upto = self.world.start_s
        self.until(BEGIN)

    def until(self, moment):
        """Import what is used up to that moment."""
        world, end_s = self.world, int(np.datetime64(moment, "s").astype(int))
        first = int((self.upto - world.start_s) // world.step_s)
        last = int((end_s - world.start_s) // world.step_s)
        usage = np.array(world.usage[first : last + 1])
        for column, key in enumerate(world.keys):
            if key.region == FAILED:
                usage[:, column] *= 1 - self.share
            usage[:, column] += self.moved.get(key, 0.0)
        later = replace(world, usage=usage, start_s=int(world.start_s + first * world.step_s))
        self.store.add_samples(later.samples())
        self.upto = end_s + 1

    def check(self, now):
        """Usage and what is reserved are never more than the quota."""
        rooms = self.store.rooms(list(self.world.quotas), now=now, stale_after_s=1e9)
        for room in rooms.values():
            assert room.unknown or room.holds(0.0), room
        assert not self.store.reservations(now=now).over
        assert self.store.check().sound

    def held(self, now):
        """Quota → what is reserved of it."""
        return self.store.reserved(at=now)
