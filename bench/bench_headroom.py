"""`size_headroom` with ClassicPolicy beside the same rule in NumPy, column by column."""

import sys
from pathlib import Path

import numpy as np

import surgetank
from _compare import compare

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from oracles import classic_headroom


def ours(usage, quota):
    return surgetank.size_headroom(usage, quota=quota, step_s=300, policy=surgetank.ClassicPolicy())


def with_numpy(usage, quota):
    """The terms without the spikes' P95, vectorised as a good user would."""
    now, t = usage[-1], np.arange(len(usage))
    slope = ((t - t.mean())[:, None] * (usage - usage.mean(axis=0))).sum(axis=0) / ((t - t.mean()) ** 2).sum()
    base = np.maximum.reduce([2 * usage.std(axis=0), slope * 168, 1.2 * (usage.max(axis=0) - now), 0.2 * now])
    return np.maximum.reduce([base, now, 0.5 * now, np.full(len(now), 10.0)])


def main():
    rng = np.random.default_rng(12)
    usage, quota = rng.gamma(4, 25, (8640, 6)), np.full(6, 1000.0)
    found = ours(usage, quota)
    for k in range(6):
        twin = classic_headroom(usage[:, k], quota=quota[k], step_s=300)
        np.testing.assert_allclose(found.needed[k], twin["needed"], rtol=1e-12)
    print("needed agrees with the slow twin to 1e-12")
    for quotas in (20, 200, 2000):
        usage, quota = np.asfortranarray(rng.gamma(4, 25, (8640, quotas))), np.full(quotas, 1000.0)
        ways = {"surgetank, spikes included": lambda u=usage, q=quota: ours(u, q)}
        ways["NumPy, without spikes"] = lambda u=usage, q=quota: with_numpy(u, q)
        compare(f"headroom, 8,640 samples × {quotas:,} quotas", ways, rounds=3)


if __name__ == "__main__":
    main()
