"""Made-up services in Regions, for the benches of `allocate`: some as they may be, some hard for any solver."""

import itertools
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

import surgetank

ELIGIBLE = 0.9  # of all pairs of Regions
SHARE_CAP = 0.5


@dataclass(frozen=True, eq=False)
class World:
    """S services in R Regions of which any `together` fail at once; who may send to whom is the same for all."""

    load: np.ndarray  # (S, R), or (T, S, R) at T moments
    existing: np.ndarray  # (S, R)
    cost: np.ndarray
    raisable: np.ndarray
    share: np.ndarray  # (R, R), of a failed Region's load the most that another may take
    together: int

    @property
    def services(self):
        return self.load.shape[-2]

    @property
    def regions(self):
        return self.load.shape[-1]

    @cached_property
    def failures(self):
        """(F, together), Regions that fail at once."""
        return np.array(list(itertools.combinations(range(self.regions), self.together)))

    def allocate(self, threads=1):
        return surgetank.allocate(
            self.load, self.existing, self.cost, failures=f"N-{self.together}", share_cap=self.share,
            raisable=self.raisable, threads=threads,
        )  # fmt: skip

    def parts(self, count):
        """So many of the services at a time."""
        result = []
        for first in range(0, self.services, count):
            some = slice(first, first + count)
            few = {name: getattr(self, name)[some] for name in ("existing", "cost", "raisable")}
            result.append(replace(self, load=self.load[..., some, :], **few))
        return result


def eligible(regions, together, rng):
    """(R, R) bool; every Region keeps so many targets that it can be emptied whatever fails with it."""
    may = rng.random((regions, regions)) < ELIGIBLE
    np.fill_diagonal(may, False)
    few = may.sum(axis=1) < together + 2
    may[few] = ~np.eye(regions, dtype=bool)[few]
    return may


def drawn(regions, services, together=1, seed=0):
    """Every number by itself: loads 10 to 100, free all in all a quarter of the largest load, costs 1 to 5."""
    rng = np.random.default_rng((seed, regions, together))
    may, shape = eligible(regions, together, rng), (services, regions)
    cap = max(SHARE_CAP, 1 / (regions - together))
    load, cost = rng.uniform(10, 100, shape), rng.uniform(1, 5, shape)
    return World(load, rng.uniform(0, 50 / regions, shape), cost, np.full(shape, np.inf), cap * may, together)


def alike(regions, services, together=1, seed=0):
    """Every service like the first, each number up to 2 % above or below: a start from the last one helps most."""
    world = drawn(regions, services, together, seed)
    rng = np.random.default_rng((seed, regions))
    near = {
        name: getattr(world, name)[:1] * rng.uniform(0.98, 1.02, (services, regions))
        for name in ("load", "existing", "cost")
    }
    return replace(world, **near)


def tight(regions, services, together=1, seed=0):
    """As drawn, but little is free, and whatever fails all targets that are left can hardly take more than is asked."""
    world = drawn(regions, services, together, seed)
    targets = (world.share > 0).sum(axis=1, keepdims=True) - (together - 1)
    return replace(world, existing=world.existing / 5, share=(world.share > 0) * np.minimum(1, 1.1 / targets))


def equal(regions, services, together=1, seed=0):
    """Equal loads and equal costs within a service, and whole numbers free: ties everywhere."""
    world = drawn(regions, services, together, seed)
    rng, shape = np.random.default_rng((seed, regions)), (services, regions)
    load = np.repeat(rng.integers(10, 100, (services, 1)).astype(float), regions, axis=1)
    return replace(world, load=load, cost=np.ones(shape), existing=rng.integers(0, 3, shape).astype(float))


def scarce(regions, services, together=1, seed=0):
    """As drawn, but what may be raised is all in all about what is asked: many services cannot survive."""
    world = drawn(regions, services, together, seed)
    rng = np.random.default_rng((seed, regions))
    return replace(world, raisable=rng.uniform(0, 2 * 85 * together / regions, (services, regions)))


FAMILIES = {
    "drawn": drawn,
    "alike": alike,
    "tight": tight,
    "equal": equal,
    "scarce": scarce,
}
