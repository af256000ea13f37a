"""Reading a CSV of usage, and keeping it in a store, beside pandas, polars, DuckDB and sqlite3; `import surgetank`."""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import surgetank
from _compare import compare
from _page import publish, table
from _peers_import import PEERS, executemany, total
from surgetank.history import arrowtext

ROWS_EACH = 8640  # thirty days at five minutes


def write(path, series):
    """A long CSV as a collector writes it: instant by instant, the series in turn."""
    rng = np.random.default_rng(13)
    instants = (np.datetime64("2026-01-01", "s") + 300 * np.arange(ROWS_EACH)).astype(str)
    names = [f"r{s % 3},s{s // 3}" for s in range(series)]
    with path.open("w", encoding="utf-8") as file:
        file.write("timestamp,region,service_code,usage\n")
        for instant in instants:
            usage = rng.gamma(4, 25, series).round(2)
            file.write("".join(f"{instant}Z,{n},{u}\n" for n, u in zip(names, usage, strict=True)))


def by_python(call):
    """The same without Arrow, as where pyarrow is not installed."""
    least = arrowtext.FAST_AFTER
    arrowtext.FAST_AFTER = 1 << 60
    try:
        return call()
    finally:
        arrowtext.FAST_AFTER = least


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


def peak_mb(code):
    """What a process of its own needs at most; `ru_maxrss` would be no less than ours, from which it is started."""
    said = f"{code}; print(*(line for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    done = subprocess.run([sys.executable, "-c", said], check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-2]) // 1024


def reading(folder):
    """Rows a second into memory, beside readers of CSV alone."""
    rows, memory = [], []
    for series in (1, 12, 116):
        path = Path(folder) / f"{series}.csv"
        write(path, series)
        count = series * ROWS_EACH
        report = into_store(path, folder)
        assert (report.rows, report.added, report.series) == (count, count, series)
        sums = [total(peer(path)) for peer in PEERS.values()]
        np.testing.assert_allclose([np.nansum(surgetank.History.read(path).usage), *sums], sums[0], rtol=1e-12)
        ways = {
            "History.read": lambda p=path: surgetank.History.read(p),
            "without pyarrow": lambda p=path: by_python(lambda: surgetank.History.read(p)),
            **{name: (lambda peer=peer, p=path: peer(p)) for name, peer in PEERS.items()},
        }
        timings = compare(f"reading, {count:,} rows", ways, rounds=5)
        own = timings["History.read"]
        rows.append(
            [
                f"{count:,}",
                f"{own.ms}, {count / own.best_s / 1e6:.2f} M/s",
                *(t.times for n, t in timings.items() if n != "History.read"),
            ]
        )
        memory.append((count, path))
    publish("import", table(["rows", "`History.read`", *list(ways)[1:]], rows))
    return memory[-1]


def storing(folder, count, path):
    """Rows a second into a store, beside plain tables, and what it takes on disk."""
    plain = Path(folder) / "plain.db"
    into_store(path, folder)
    executemany(path, plain)
    sizes = [f"{(Path(folder) / name).stat().st_size / 1e6:.1f} MB" for name in ("bench.db", "plain.db")]
    ways = {
        "surgetank import": lambda: into_store(path, folder),
        "without pyarrow": lambda: by_python(lambda: into_store(path, folder)),
        "csv and executemany": lambda: executemany(path, plain),
    }
    timings = compare(f"into a store, {count:,} rows", ways, rounds=5)
    own = timings["surgetank import"]
    rows = [
        [name, f"{count / t.best_s / 1e6:.2f} M/s", t.times if t is not own else "1"] for name, t in timings.items()
    ]
    for row, size in zip(rows, [sizes[0], sizes[0], sizes[1]], strict=True):
        row.append(size)
    publish("import-store", table([f"{count:,} rows", "rows/s", "time", "on disk"], rows))


def memory(folder):
    """The most memory of a process for ten times as many rows."""
    large = Path(folder) / "large.csv"
    write(large, 1160)
    store = f"surgetank.Store({folder + '/m.db'!r}, create=True)"
    codes = {
        "`History.read`": f"import surgetank; surgetank.History.read({str(large)!r})",
        "into a store": f"import surgetank; {store}.import_usage({str(large)!r})",
        "`pandas.read_csv`": f"import pandas; pandas.read_csv({str(large)!r}, parse_dates=['timestamp'])",
    }
    rows = [[what, f"{peak_mb(code):,} MB"] for what, code in codes.items()]
    publish("import-memory", table([f"{1160 * ROWS_EACH:,} rows", "most memory of the process"], rows))


def main():
    loading()
    with tempfile.TemporaryDirectory() as folder:
        count, path = reading(folder)
        storing(folder, count, path)
        memory(folder)


if __name__ == "__main__":
    main()
