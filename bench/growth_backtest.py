"""How the cost of `backtest` grows with policies, series and samples: growth_backtest.png. `--write` draws it anew."""

import sys
import time
from pathlib import Path

import matplotlib as mpl

from _compare import OwnClock, compare, one_thread
from _page import publish
from _peers_backtest import available
from _replays import WORKS, answer, assert_same, ours, usage

mpl.use("agg")
import matplotlib.pyplot as plt

PICTURE = Path(__file__).with_name("growth_backtest.png")
OURS = "surgetank"
# Panel: what grows, through which values, and (policies, series, samples) for each.
PANELS = {
    "policies": ((1, 8, 40, 200, 1000), lambda n: (n, 50, 4320)),
    "series": ((1, 4, 16, 64, 256, 1024), lambda n: (200, n, 4320)),
    "samples a series": ((1080, 2160, 4320, 8640, 17520, 35040), lambda n: (200, 8, n)),
}
NOTES = ("50 series of 4,320 samples", "200 policies, 4,320 samples", "200 policies, 8 series")
# Cells that a peer is given: seconds, not minutes. Of more series it takes the first.
AT_MOST = {"numba": 3e8, "NumPy, bottleneck, pandas": 3e8}


def cost(policies, series, samples):
    """Nanoseconds a policy and sample, by way."""
    work, u = WORKS[policies], usage(samples, series)
    expected, ways = answer(ours(u, work)), {OURS: lambda: ours(u, work)}
    for peer in available():
        kept = min(series, max(1, int(AT_MOST.get(peer.name, 1e18) / (policies * samples))))
        prepared, scale = peer.prepare(u[:, :kept]), series / kept
        assert_same(
            peer.answer(prepared, work), {name: v[:, :kept] for name, v in expected.items()}, peer.name
        )  # fmt: skip

        def seconds(peer=peer, prepared=prepared, scale=scale):
            start = time.perf_counter()
            peer.answer(prepared, work)
            return scale * (time.perf_counter() - start)

        ways[peer.name] = OwnClock(seconds)
    found = compare(f"{policies:,} policies × {series:,} series × {samples:,} samples", ways, rounds=3)
    return {name: 1e9 * timing.best_s / (policies * series * samples) for name, timing in found.items()}


def draw(panels):
    figure, axes = plt.subplots(1, len(panels), figsize=(13, 4.6), sharey=True, layout="constrained")
    names = list(next(iter(panels["policies"].values())))
    for axis, (what, costs), note in zip(axes, panels.items(), NOTES, strict=True):
        for k, name in enumerate(names):
            values = [of[name] for of in costs.values()]
            axis.plot(list(costs), values, "o-", color=f"C{k}", label=name, lw=3 if name == OURS else 1.5)
        axis.set(xscale="log", yscale="log", xlabel=what)
        axis.set_title(note, fontsize=10)
        axis.grid(alpha=0.3)
        axis.xaxis.set_major_formatter("{x:,.0f}")
        axis.yaxis.set_major_formatter("{x:,g}")
    axes[0].set_ylabel("ns a policy and sample of a series, one thread")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(names), frameon=False)
    figure.suptitle("Backtest: cost of a policy and sample as the input grows")
    figure.savefig(PICTURE, dpi=110)


def main():
    one_thread()
    panels = {what: {n: cost(*shape(n)) for n in values} for what, (values, shape) in PANELS.items()}
    if "--write" in sys.argv:
        draw(panels)
    publish(
        "growth_backtest", "![Cost of a policy and sample as policies, series and samples grow](growth_backtest.png)"
    )


if __name__ == "__main__":
    main()
