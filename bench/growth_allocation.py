"""How the cost of `allocate` grows with the Regions, as a picture: growth_allocation.png. `--write` draws it anew."""

import sys
import time
from pathlib import Path

import matplotlib as mpl
import numpy as np

import surgetank
from _compare import number, one_thread
from _page import publish, table
from _peers_allocation import available
from _services import FAMILIES

mpl.use("agg")
import matplotlib.pyplot as plt

PICTURE = Path(__file__).with_name("growth_allocation.png")
REGIONS = (2, 3, 5, 10, 20, 40, 60, 100, 140, 200)
# Family, Regions that fail together, most Regions that HiGHS is asked for.
LINES = {
    "N−1, drawn": ("drawn", 1, 140),
    "N−1, tight": ("tight", 1, 140),
    "N−2, drawn": ("drawn", 2, 20),
    "N−2, tight": ("tight", 2, 20),
}
SETTINGS = ("presolve off", "Dantzig", "Devex")  # of HiGHS; the fastest counts
TOO_LONG_S = 2.0  # a service; a line ends there
ROUNDS = 7


def services(regions):
    """In one call: fewer where one takes longer."""
    return 500 if regions <= 10 else 50 if regions <= 60 else 10


def ours(world):
    """Seconds of a service, and the answer."""
    took = []
    while len(took) < ROUNDS and sum(took) < ROUNDS * TOO_LONG_S:
        start = time.perf_counter()
        found = world.allocate()
        took.append(time.perf_counter() - start)
    return float(np.median(took)) / world.services, found


def highs(world):
    """Seconds of a service at the fastest of the settings, and the costs."""
    programs = [peer.prepare(world) for peer in available() if peer.name in SETTINGS]
    took = [program.seconds() / world.services for program in programs]
    return min(took, default=None), [program.costs for program in programs]


def line(name):
    """Seconds by Regions, ours and HiGHS's, whose answers are compared; and why ours ends before the last."""
    family, together, most = LINES[name]
    mine, peers, end = {}, {}, ""
    for regions in REGIONS:
        if regions <= together:
            continue
        world, found = FAMILIES[family](regions, services(regions), together), None
        if not end:
            try:
                mine[regions], found = ours(world)
                if mine[regions] > TOO_LONG_S:
                    end = f"{name}, R = {regions}: more than {TOO_LONG_S:g} s a service"
            except surgetank.NumericalFailure as failure:
                end = f"{name}, R = {regions}: no answer ({failure})"
        if regions <= most:
            few = world.parts(max(2, 200 // regions**together))[0]
            took, costs = highs(few)
            if took is not None:
                peers[regions] = took
            for each in costs if found is not None else ():
                np.testing.assert_allclose(each, found.costs[: few.services], rtol=1e-9, atol=1e-9)
        print(f"{name}, R = {regions}: {mine.get(regions, '–')} s, HiGHS {peers.get(regions, '–')} s", flush=True)
    return mine, peers, end


def draw(lines):
    figure, axis = plt.subplots(figsize=(9, 5.6), layout="constrained")
    for k, (name, (mine, peers, _)) in enumerate(lines.items()):
        axis.plot(list(mine), [1e6 * s for s in mine.values()], "o-", color=f"C{k}", lw=2.5, label=name)
        label = f"HiGHS, {name}" if peers else None
        axis.plot(list(peers), [1e6 * s for s in peers.values()], "s--", color=f"C{k}", lw=1.2, ms=4, label=label)
    axis.set(xscale="log", yscale="log", xlabel="Regions", ylabel="microseconds a service, one thread")
    axis.set_xticks(REGIONS, [str(r) for r in REGIONS])
    axis.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    axis.yaxis.set_major_formatter("{x:,g}")
    axis.grid(alpha=0.3)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle("Allocation: cost of a service as Regions grow (many services in one call)")
    figure.savefig(PICTURE, dpi=110)


def cell(values, regions):
    return f"{number(1e6 * values[regions])} µs" if regions in values else "–"


def main():
    one_thread()
    lines = {name: line(name) for name in LINES}
    if "--write" in sys.argv:
        draw(lines)
    header = ["Regions", *(f"{who}{name}" for name in LINES for who in ("", "HiGHS, "))]
    rows = [[str(r), *(cell(of, r) for mine, peers, _ in lines.values() for of in (mine, peers))] for r in REGIONS]
    parts = ["![Cost of a service as Regions grow](growth_allocation.png)", table(header, rows)]
    ends = [f"- {end}" for *_, end in lines.values() if end]
    publish("growth_allocation", "\n\n".join([*parts, *(["\n".join(ends)] if ends else [])]))


if __name__ == "__main__":
    main()
