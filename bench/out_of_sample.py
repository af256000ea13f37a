"""What was promised and what came: the share of held-back 24 h windows that exceed what a policy asked for.

Real series (../shared/data). `workloads`: each series' last quarter is held back, and the load doubles in place.
`fleet`: the last third is held back, and each of the four servers fails in turn (N−1), per metric.
"""

import sys
from pathlib import Path

import numpy as np

import surgetank
from _page import publish, table
from surgetank import ClassicPolicy, History, QuantilePolicy, Scenario

SHARED = Path(__file__).parents[2] / "shared" / "data"
RISKS = (0.1, 0.01, 0.001)
WINDOW_S = 86400
POLICIES = {
    **{f"quantile, risk {risk:g}": QuantilePolicy(risk=risk) for risk in RISKS},
    **{f"counted alone, risk {risk:g}": QuantilePolicy(risk=risk, tail="counted", growth=1.0) for risk in RISKS},
    "classic": ClassicPolicy(),
}


def exceeded(demand, quota, window):
    """How many fully observed windows exceed the quota, and how many there are."""
    windows = np.lib.stride_tricks.sliding_window_view(demand, window)
    peaks = windows.max(axis=-1)  # NaN where one sample is missing
    return int((peaks > quota).sum()), int((~np.isnan(peaks)).sum())


def workloads(policy):
    """Windows exceeded, and all, by series."""
    result = {}
    for path in sorted((SHARED / "workloads").glob("*.csv")):
        history = History.read(path, tz="UTC")
        usage, steps = history.usage[:, 0], len(history.usage) * 3 // 4
        double = Scenario("twice the load", "a", {"a": 1.0}, multiplier=2.0, target_multiplier=2.0, probability=1.0)
        h = surgetank.size_headroom(
            usage[:steps, None], quota=1.0, step_s=history.step_s, scenarios=double, policy=policy, regions=["a"],
            stale_after_s=30 * 86400,
        )  # fmt: skip
        asked = float(h.usage[0] + h.needed[0])
        result[path.stem] = exceeded(2 * usage[steps:], asked, int(WINDOW_S // history.step_s))
    return result


def fleet(policy):
    """Windows exceeded, and all, by metric: every server as target, every other one failing onto it.

    The metrics lie in [0, 1]; in thousandths the classic rule's minimum of 10 units does not decide.
    """
    history = History.read(SHARED / "fleet" / "fleet_5min.csv", series="{region}.{service_code}")
    regions = history.regions
    services = tuple(dict.fromkeys(key.service_code for key in history.keys))
    usage = np.stack(
        [history.usage[:, [k.service_code == s for k in history.keys]] for s in services], axis=1
    )  # (T, S, R), Regions in the same order for every service
    usage, steps = 1000 * usage, len(usage) * 2 // 3
    h = surgetank.size_headroom(
        usage[:steps], quota=1.0, step_s=history.step_s, scenarios="N-1", policy=policy, regions=regions
    )
    asked = h.usage + h.needed
    result = {}
    for s, service in enumerate(services):
        total = np.zeros(2, dtype=int)
        for target in range(len(regions)):
            for failed in set(range(len(regions))) - {target}:
                demand = usage[steps:, s, target] + usage[steps:, s, failed] / (len(regions) - 1)
                total += exceeded(demand, asked[s, target], int(WINDOW_S // history.step_s))
        result[service] = (int(total[0]), int(total[1]))
    return result


def share(found):
    """The share of all windows that are exceeded."""
    bad, windows = np.sum(list(found.values()), axis=0)
    return bad / windows


def report():
    """Rows (data, policy, nominal risk or None, share exceeded, share by series)."""
    rows = []
    for data, judge in (("workloads, ×2 in place", workloads), ("fleet, N−1", fleet)):
        for name, policy in POLICIES.items():
            found = judge(policy)
            nominal = getattr(policy, "risk", None)
            rows.append((data, name, nominal, share(found), {k: a / b for k, (a, b) in found.items()}))
    return rows


def main():
    if not SHARED.is_dir():
        print("no real data here: ../shared/data is not beside the repository")
        return
    np.seterr(invalid="ignore")
    found = report()
    for data, name, _, exceeded_share, by_series in found:
        print(f"{data:<24} {name:<28} exceeded {exceeded_share:7.2%}")
        if "-v" in sys.argv:
            print("   ", ", ".join(f"{k} {v:.1%}" for k, v in by_series.items()))

    columns = list(dict.fromkeys(data for data, *_ in found))
    shares = {(data, name): share for data, name, _, share, _ in found}
    rows = []
    for name, nominal in {name: nominal for _, name, nominal, _, _ in found}.items():
        cells = [f"{shares[data, name]:.2%}" for data in columns]
        rows.append([name, f"{nominal:.1%}" if nominal else "–", *cells])
    publish("out_of_sample", table(["policy", "nominal", *columns], rows))


if __name__ == "__main__":
    main()
