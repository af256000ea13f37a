"""An evening on the sample world: time goes on, and load moves from one Region to the others."""

from dataclasses import replace

import numpy as np

import surgetank
from surgetank.demo import sample_world

BEGIN = np.datetime64("2026-01-29T18:00:00")
FAILED, OTHERS = "us-east-1", ("us-west-2", "eu-west-1")


class Evening:
    """A store that has seen the sample world up to `BEGIN`, and what comes after."""

    def __init__(self, path):
        self.world = sample_world()
        self.store = surgetank.Store(path, create=True)
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
