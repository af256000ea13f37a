"""`allocate` beside HiGHS: the whole linear program at several settings, and HiGHS driven by the same cuts.

Every answer is compared on every instance before anything is timed. `--write` puts the tables into README.md.
"""

import functools
from dataclasses import replace

import numpy as np

import surgetank
from _compare import OwnClock, Timing, compare, number, one_thread
from _page import publish, table
from _peers_allocation import NoVerdict, available
from _services import FAMILIES, drawn
from _usage import plain_read

OURS = "surgetank"
ALONE = "… HiGHS's part of that"
# Regions, services, Regions that fail together.
SIZES = {
    "N−1, R = 5": (5, 1000, 1),
    "N−1, R = 20": (20, 200, 1),
    "N−1, R = 60": (60, 20, 1),
    "N−2, R = 5": (5, 1000, 2),
    "N−2, R = 20": (20, 20, 2),
}
CONTENDERS = 2  # times as slow as the fastest setting at the first try: is timed again
CALLS = (1, 3, 10, 30, 100, 1000)  # services in one call
MOMENTS = 8640
ONE, READ = "one moment", "a plain read"
BESIDE = {ONE: "one moment", READ: "a plain read of the loads"}


def agree(found, costs, name):
    """The same verdicts, and the same costs to 1e-9."""
    possible = np.isfinite(found.costs)
    np.testing.assert_array_equal(np.isfinite(costs), possible, err_msg=name)
    np.testing.assert_allclose(costs[possible], found.costs[possible], rtol=1e-9, atol=1e-9, err_msg=name)


@functools.cache
def against_highs(family, size, everyone):
    """Timings by way, of all services in turn; without `everyone` only of the settings that may be the best."""
    regions, services, together = SIZES[size]
    world = FAMILIES[family](regions, services, together)
    found, ways, whole, cuts = world.allocate(), {OURS: world.allocate}, {}, {}
    for peer in available():
        program = peer.prepare(world)
        try:
            (cuts if peer.cuts else whole)[peer.name] = program, program.seconds()
        except NoVerdict as end:
            print(f"{family}, {size}: HiGHS, {peer.name}, ends with {end}")
            continue
        agree(found, program.costs, f"{family}, {size}: {peer.name}")
    for group in (whole, cuts):
        best = min((seconds for _, seconds in group.values()), default=0)
        for name, (program, seconds) in group.items():
            if everyone or seconds < CONTENDERS * best:
                ways[name] = OwnClock(program.seconds)
                if group is cuts:
                    ways[f"{name} {ALONE}"] = OwnClock(lambda program=program: program.highs_s)
    print(
        f"{family}, {size}: answers agree; {np.isinf(found.costs).mean():.0%} infeasible, {found.cuts.mean():.1f} cuts"
    )
    return compare(f"{services} services, {family}, {size}", ways, rounds=7 if regions <= 20 and together == 1 else 3)


def of_each(timing, services):
    return f"{number(1e6 * timing.best_s / services)} µs"


def best(found, of_cuts):
    """The fastest setting of HiGHS: its name."""
    names = {peer.name for peer in available() if bool(peer.cuts) == of_cuts} & found.keys()
    return min(names, key=lambda name: found[name].ratio)


def settings():
    """Every setting, services drawn independently."""
    columns = {size: against_highs("drawn", size, True) for size in SIZES}
    rows = [[OURS, *(of_each(found[OURS], SIZES[size][1]) for size, found in columns.items())]]
    for name in columns["N−1, R = 5"]:
        if name != OURS:
            label = ALONE if name.endswith(ALONE) else f"HiGHS, {name}"
            rows.append([label, *(found[name].times for found in columns.values())])
    return table(["a service, drawn", *columns], rows)


def families():
    """The best settings, family by family."""
    rows = []
    for family in FAMILIES:
        cells = []
        for size, (_, services, _) in SIZES.items():
            found = against_highs(family, size, family == "drawn")
            whole, cuts = found[best(found, False)], found[best(found, True)]
            cells.append(f"{of_each(found[OURS], services)}: {whole.times}; ×{number(cuts.ratio)}")
        rows.append([family, *cells])
    return table(["surgetank: HiGHS, best setting; the same cuts", *SIZES], rows)


def by_call():
    """Services in one call: microseconds a service, and how many times as long HiGHS takes."""
    cells = {count: [] for count in CALLS}
    sizes = ("N−1, R = 5", "N−1, R = 20")
    for size in sizes:
        regions, services, together = SIZES[size]
        name = best(against_highs("drawn", size, True), False)
        world = drawn(regions, services, together)
        program = next(peer for peer in available() if peer.name == name).prepare(world)
        program.seconds()
        ways = {name: OwnClock(program.seconds)}
        for count in CALLS:
            parts = world.parts(min(count, services))
            ways[count] = lambda parts=parts: [part.allocate() for part in parts]
        found = compare(f"{services} services, so many in a call, {size}", ways, rounds=5)
        for count in CALLS:
            t = found[count]
            times = Timing(t.best_s, 1 / t.ratio, 1 / t.high, 1 / t.low).times
            cells[count].append(f"{of_each(t, services)}: {times}" if count <= services else "–")
    return table(["services in one call", *sizes], [[f"{count:,}", *row] for count, row in cells.items()])


def in_one_call():
    """200 services in 20 Regions, with one thread and with two."""
    world = drawn(20, 200)
    two = world.allocate(threads=2)
    np.testing.assert_array_equal(world.allocate().headroom, two.headroom)
    found = compare("200 × 20", {OURS: world.allocate, "2 threads": lambda: world.allocate(threads=2)})
    return [
        f"200 services × 20 Regions: {found[OURS].ms}; two threads: {1 / found['2 threads'].ratio:.2f} times as fast."
    ]


def with_history(services=40, regions=5):
    """Services at every moment of thirty days beside the same at one moment, and beside HiGHS with the same cuts."""
    one = drawn(regions, services)
    rng = np.random.default_rng(17)
    season = 1 + 0.3 * np.cos(2 * np.pi * np.arange(MOMENTS) / 288)
    noise = rng.gamma(400, 1 / 400, (MOMENTS, services, regions))
    world = replace(one, load=one.load * season[:, None, None] * noise)
    found, ways = world.allocate(), {OURS: world.allocate, ONE: one.allocate}
    ways[READ] = lambda: plain_read(world.load)
    peers = [peer for peer in available() if peer.cuts == "one"]
    for peer in peers:
        program = peer.prepare(world)
        program.seconds()
        agree(found, program.costs, f"history: {peer.name}")
        ways[peer.name] = OwnClock(program.seconds)
    times = compare(f"{MOMENTS:,} moments × {services} services × {regions} Regions", ways, rounds=3)
    beside = [f"{1 / times[way].ratio:.0f} times as long as {what}" for way, what in BESIDE.items()]
    beside += [f"HiGHS, {peer.name}, with NumPy {times[peer.name].times}" for peer in peers]
    return [f"{services} services × {regions} Regions at {MOMENTS:,} moments: {times[OURS].ms}; {'; '.join(beside)}."]


def main():
    one_thread()
    surgetank.allocate([1.0, 1.0], 0.0)
    lines = "\n".join(f"- {line}" for line in [*in_one_call(), *with_history()])
    publish("allocation", "\n\n".join([settings(), families(), by_call(), lines]))


if __name__ == "__main__":
    main()
