"""Reading a CSV of usage, and importing it into the store, beside pandas reading the same file; `import surgetank`."""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import surgetank
from _compare import compare
from _page import publish, table

ROWS_EACH = 8640  # thirty days at five minutes


def write(path, series):
    rng = np.random.default_rng(13)
    instants = pd.date_range("2026-01-01", periods=ROWS_EACH, freq="5min", tz="UTC").strftime("%Y-%m-%dT%H:%M:%SZ")
    frames = [
        pd.DataFrame({"timestamp": instants, "region": f"r{s % 3}", "service_code": f"s{s // 3}", "usage": u})
        for s, u in enumerate(rng.gamma(4, 25, (series, ROWS_EACH)).round(2))
    ]
    pd.concat(frames).to_csv(path, index=False)


def into_store(path, folder):
    store = Path(folder) / "bench.db"
    store.unlink(missing_ok=True)
    with surgetank.Store(store, create=True) as opened:
        return opened.import_usage(path)


# Each in a process of its own, after NumPy.
LOADS = {
    "`import surgetank`": "import surgetank",
    "and `detect_spikes`": "import surgetank; surgetank.detect_spikes",
    "and `plan`": "import surgetank; surgetank.plan",
    "for comparison: `import pandas`": "import pandas",
}


def loading(rounds=15):
    """Milliseconds beyond `import numpy`: median of the rounds, with the least and the most."""
    beyond = {name: [] for name in LOADS}
    for _ in range(rounds):
        base = seconds("pass")
        for name, code in LOADS.items():
            beyond[name].append(1e3 * (seconds(code) - base))
    rows = []
    for name, times in beyond.items():
        least, *_, most = ordered = sorted(times)
        rows.append([name, f"{ordered[rounds // 2]:.1f} ms ({least:.1f} to {most:.1f})"])
    publish("loading", table(["in a new process", "beyond NumPy"], rows))


def seconds(code):
    """Of the CPU: how long a process waits to be started says nothing of us."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", f"import numpy; {code}"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    loading()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for series in (1, 12, 116):
            path = Path(folder) / f"{series}.csv"
            write(path, series)
            report = into_store(path, folder)
            assert (report.rows, report.added, report.series) == (series * ROWS_EACH, series * ROWS_EACH, series)
            np.testing.assert_allclose(
                np.nansum(surgetank.History.read(path).usage), pd.read_csv(path)["usage"].sum(), rtol=1e-12
            )
            ways = {
                "surgetank, History.read": lambda p=path: surgetank.History.read(p),
                "surgetank, into the store": lambda p=path: into_store(p, folder),
                "pandas.read_csv, instants": lambda p=path: pd.read_csv(p, parse_dates=["timestamp"]),
            }
            read, stored, peer = compare(f"import, {series * ROWS_EACH:,} rows", ways, rounds=3).values()
            rows.append([f"{series * ROWS_EACH:,}", read.ms, stored.times, peer.times])
    header = ["rows", "`History.read`", "into the store", "`pandas.read_csv` with instants"]
    publish("import", table(header, rows))


if __name__ == "__main__":
    main()
