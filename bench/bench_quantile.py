"""`size_headroom` with QuantilePolicy beside the same need in NumPy and SciPy, no Python loop over samples.

Two settings. "counted": rolling maxima and their quantile, which is what the twin computes, to the same bits.
"everything": tails, growth and intervals as well, which no peer has.
"""

import resource
import threading
from pathlib import Path

import numpy as np
from scipy.ndimage import maximum_filter1d

import surgetank
from _compare import compare, one_thread
from _page import publish, table

STEP_S, SAMPLES, REGIONS = 300, 8640, 4
COUNTED = surgetank.QuantilePolicy(growth=1.0, tail="counted", confidence=0.0)


def world(quotas, rng):
    """Services in four Regions, (T, S, R), each series contiguous."""
    shape = (quotas // REGIONS, REGIONS, SAMPLES)
    season = 1 + 0.3 * np.cos(2 * np.pi * np.arange(SAMPLES) * STEP_S / 86400)
    usage = season * rng.gamma(20, 5, shape)
    return np.moveaxis(usage, 2, 0)


def scenarios():
    """Three Regions, each failing onto the other three in equal shares."""
    names = [str(r) for r in range(REGIONS)]
    return [
        surgetank.Scenario(f"{r} fails", r, {o: 1 / (REGIONS - 1) for o in names if o != r}, duration_s=86400)
        for r in names[:3]
    ]


def ours(usage, policy=COUNTED):
    return surgetank.size_headroom(usage, quota=1e4, step_s=STEP_S, scenarios=scenarios(), policy=policy)


def twin(usage, risk=1e-3):
    """Need by quota: the largest over "nothing fails" and three events, columns at a time to keep within the cache."""
    series = np.moveaxis(usage, 0, 2)  # (S, R, T), contiguous in time
    window = 86400 // STEP_S
    windows = SAMPLES - window + 1
    rank = windows - 1 - int(risk * windows)

    def level(demand):
        peaks = maximum_filter1d(demand, window, axis=-1, mode="nearest")[..., window // 2 : window // 2 + windows]
        return np.partition(peaks, rank, axis=-1)[..., rank]

    need = level(series)
    for failed in range(3):
        others = [r for r in range(REGIONS) if r != failed]
        landed = series[:, others] + (1 / (REGIONS - 1)) * series[:, failed : failed + 1]
        need[:, others] = np.maximum(need[:, others], level(landed))
    return need


def main():
    one_thread()
    rng = np.random.default_rng(3)
    usage = world(40, rng)
    np.testing.assert_array_equal(ours(usage).need, twin(usage))
    print("need equals the twin's, bit for bit")
    rows = []
    for quotas in (20, 200, 2000):
        usage = world(quotas, rng)
        ways = {"surgetank, counted": lambda u=usage: ours(u)}
        ways["NumPy and SciPy, counted"] = lambda u=usage: twin(u)
        ways["surgetank, everything"] = lambda u=usage: ours(u, surgetank.QuantilePolicy())
        counted, peer, everything = compare(f"need, 8,640 samples × {quotas:,} quotas × 3 events", ways, 3).values()
        rows.append([f"{quotas:,}", counted.ms, peer.times, everything.times])
    header = ["quotas", "surgetank, counted", "NumPy and SciPy, counted", "surgetank, everything"]
    publish("quantile", f"{table(header, rows)}\n\n{memory()}")


def memory():
    """Peak memory while the largest case is sized, over its input; the peak is sampled in another thread."""
    usage, lines = world(2000, np.random.default_rng(0)), []
    for name, policy in (("counted", COUNTED), ("everything", surgetank.QuantilePolicy())):
        before, peak, done = resident(), [0], threading.Event()

        def watch(peak=peak, done=done):
            while not done.wait(0.002):
                peak[0] = max(peak[0], resident())

        watcher = threading.Thread(target=watch)
        watcher.start()
        ours(usage, policy)
        done.set()
        watcher.join()
        extra = max(0, peak[0] - before)
        lines.append(f"Peak memory of the largest case, {name}: {1 + extra / usage.nbytes:.2f} × the input.")
        assert extra <= 0.3 * usage.nbytes
    return "\n".join(lines)


def resident():
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main()
