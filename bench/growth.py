"""How cost grows with series, samples and window, as a picture: growth.png. `--write` draws it anew."""

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np

import surgetank
from _compare import compare, one_thread
from _page import publish
from _peers_spikes import THRESHOLD, available

mpl.use("agg")
import matplotlib.pyplot as plt

PICTURE = Path(__file__).with_name("growth.png")
OURS = "surgetank"
SLIDING = "NumPy, sliding windows"
DRAWN = ("numba, fused, as first written", "numba, fused, no branches", "bottleneck", "pandas", SLIDING)
# Panel: what grows, through which values, and (samples, series, window) for each.
PANELS = {
    "series": ((1, 8, 64, 512, 2048), lambda n: (4320, n, 144)),
    "samples a series": ((288, 1152, 4608, 18432, 73728), lambda n: (n, 64, 144)),
    "samples in the window": ((16, 32, 128, 512, 2048), lambda n: (4320, 64, n)),
}
SLIDING_AT_MOST = 3e8  # samples times window: seconds, not minutes


def cost(samples, series, window):
    """Nanoseconds a sample, by way."""
    usage = np.asfortranarray(np.random.default_rng(15).gamma(4, 25, (samples, series)))
    detector = surgetank.RollingSigma(window=window, threshold=THRESHOLD)
    count = surgetank.detect_spikes(usage, detector=detector, outputs=()).count
    ways = {OURS: lambda: surgetank.detect_spikes(usage, detector=detector, outputs=(), threads=1)}
    for peer in available():
        sliding = peer.name == SLIDING
        if peer.name in DRAWN and not (sliding and usage.size * window > SLIDING_AT_MOST):
            prepared = peer.prepare(usage)
            np.testing.assert_array_equal(peer.all_counts(prepared, window), count, err_msg=peer.name)
            ways[peer.name] = lambda peer=peer, prepared=prepared: peer.all_counts(prepared, window)
    found = compare(f"{samples:,} samples × {series:,} series, window {window:,}", ways, rounds=3)
    return {name: 1e9 * timing.best_s / usage.size for name, timing in found.items()}


def draw(panels):
    figure, axes = plt.subplots(1, len(panels), figsize=(13, 4.6), sharey=True, layout="constrained")
    styles = {name: f"C{k}" for k, name in enumerate((OURS, *DRAWN))}
    fixed = ("4,320 samples, window 144", "64 series, window 144", "64 series of 4,320 samples")
    for axis, (what, costs), note in zip(axes, panels.items(), fixed, strict=True):
        for name, colour in styles.items():
            at = [n for n in costs if name in costs[n]]
            axis.plot(at, [costs[n][name] for n in at], "o-", color=colour, label=name, lw=3 if name == OURS else 1.5)
        axis.set(xscale="log", yscale="log", xlabel=what)
        axis.set_title(note, fontsize=10)
        axis.grid(alpha=0.3)
        axis.xaxis.set_major_formatter("{x:,.0f}")
        axis.yaxis.set_major_formatter("{x:,g}")
    axes[0].set_ylabel("nanoseconds a sample, one thread")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle("Spikes: cost of a sample as the input grows")
    figure.savefig(PICTURE, dpi=110)


def main():
    one_thread()
    panels = {what: {n: cost(*shape(n)) for n in values} for what, (values, shape) in PANELS.items()}
    if "--write" in sys.argv:
        draw(panels)
    publish("growth", "![Cost of a sample as series, samples and window grow](growth.png)")


if __name__ == "__main__":
    main()
