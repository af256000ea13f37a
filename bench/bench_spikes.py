"""`detect_spikes` with RollingSigma beside pandas and a NumPy sliding window: first who is right, then who is fast."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

import surgetank
from _compare import compare

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from oracles import rolling_sigma

WINDOW, THRESHOLD = 144, 3.0
DETECTOR = surgetank.RollingSigma(window=WINDOW, threshold=THRESHOLD)


def ours(usage):
    return surgetank.detect_spikes(usage, detector=DETECTOR, outputs=()).count


def ours_flags(usage):
    return surgetank.detect_spikes(usage, detector=DETECTOR, outputs=("flags",)).flags


def with_pandas(usage):
    rolling = pd.DataFrame(usage).rolling(WINDOW, min_periods=(WINDOW + 1) // 2)
    mean = rolling.mean().to_numpy()
    flags = (usage > mean + THRESHOLD * rolling.std().to_numpy()) & (mean > 0)
    flags[: WINDOW - 1] = False  # a window counts only if it lies wholly inside the series
    return flags


def with_numpy(usage):
    windows = np.lib.stride_tricks.sliding_window_view(usage, WINDOW, axis=0)
    mean = windows.mean(axis=-1)
    flags = np.zeros(usage.shape, dtype=bool)
    flags[WINDOW - 1 :] = (usage[WINDOW - 1 :] > mean + THRESHOLD * windows.std(axis=-1, ddof=1)) & (mean > 0)
    return flags


def exact(usage):
    columns = [rolling_sigma(column, window=WINDOW, threshold=THRESHOLD)["flags"] for column in usage.T]
    return np.stack(columns, axis=1)


def hard_cases(rng):
    plain = rng.gamma(4, 25, (2000, 1))
    outlier = plain.copy()
    outlier[500] = 1e9
    missing = np.where(rng.random(plain.shape) < 0.05, np.nan, plain)
    return {"plain": plain, "one outlier of 1e9": outlier, "1e9 + noise": plain + 1e9, "5% missing": missing}


def main():
    rng = np.random.default_rng(11)
    print("Flags that differ from the slow twin's (0: right)")
    for name, usage in hard_cases(rng).items():
        truth = exact(usage)
        wrong = {way.__name__: int((way(usage) != truth).sum()) for way in (ours_flags, with_pandas, with_numpy)}
        print(f"  {name:<20} {truth.sum():4d} spikes   {wrong}")
        assert wrong["ours_flags"] == 0, name
    for shape in ((4320, 20), (4320, 200), (4320, 2000)):
        usage = np.asfortranarray(rng.gamma(4, 25, shape))
        ways = {"surgetank, outputs=()": lambda u=usage: ours(u), "surgetank, flags": lambda u=usage: ours_flags(u)}
        by_instant = np.ascontiguousarray(usage)
        ways["surgetank, C order"] = lambda u=by_instant: ours(u)
        ways["pandas"] = lambda u=usage: with_pandas(u)
        if shape[1] <= 200:  # the windows of a larger one do not fit in memory
            ways["NumPy sliding window"] = lambda u=usage: with_numpy(u)
        compare(f"spikes, {shape[0]:,} samples × {shape[1]:,} series, window {WINDOW}", ways, rounds=3)


if __name__ == "__main__":
    main()
