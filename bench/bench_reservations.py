"""Claims of room by several processes at once, beside SQLite alone: how many a second, and how long one takes."""

import json
import os
import statistics
import tempfile
import time
from fractions import Fraction
from pathlib import Path

from _compare import number
from _page import publish, table
from _peers_reservations import KEYS, START, WAYS, Surgetank
from surgetank import Store

PROCESSES = (1, 2, 4, 8)
ROUNDS = 9
SECONDS = 0.6  # of each process in each round


def at_once(way, path, processes, work):
    """What ``work`` gives in each of so many processes, which begin together."""
    begin = time.monotonic() + 0.1 + 0.02 * processes
    pipes = []
    for n in range(processes):
        read, write = os.pipe()
        child = os.fork()
        if not child:
            said = None
            try:
                one = way(path)
                time.sleep(max(0.0, begin - time.monotonic()))
                said = work(one, n)
                one.close()
            finally:
                os.write(write, b"")
                with os.fdopen(write, "w") as pipe:
                    json.dump(said, pipe)
                os._exit(0)
        os.close(write)
        pipes.append((child, read))
    result = []
    for child, read in pipes:
        with os.fdopen(read) as pipe:
            result.append(json.load(pipe))
        os.waitpid(child, 0)
    assert None not in result
    return result


def pairs(one, _):
    """Claim and release until the time is over; milliseconds of each claim, and seconds in all."""
    times, began = [], time.perf_counter()
    while True:
        started = time.perf_counter()
        name = one.claim(1.0)
        ended = time.perf_counter()
        assert name is not None
        one.release(name)
        times.append(round(1e3 * (ended - started), 4))
        if ended - began > SECONDS:
            return times, time.perf_counter() - began


def greedy(one, n):
    """Claim a tenth until nothing is granted; how many were."""
    return sum(one.claim(0.1 + 0.01 * n) is not None for _ in range(200))


def check(folder):
    """Eight processes ask for more than there is: what they were granted is what is held, and it fits exactly."""
    for way in list(WAYS.values())[:2]:
        path = Path(folder) / f"{way.__name__} greedy.db"
        way.make(path, 31.0)
        granted = at_once(way, path, 8, greedy)
        one = way(path)
        assert abs(one.held() - 2 * sum(count * (0.1 + 0.01 * n) for n, count in enumerate(granted))) < 1e-9
        one.close()
    with Store(Path(folder) / "Surgetank greedy.db") as store:
        for key in KEYS:
            amounts = [Fraction(r.amount) for r in store.reservations(now=START).found if r.key == key]
            assert Fraction(31) - 1 - Fraction(0.1) < sum(amounts) <= 31 - 1
        assert store.check().sound


def settled(way, path, count):
    """Nothing is held any more, and every claim has left its lines."""
    one = way(path)
    assert one.held() == 0
    one.close()
    if way is Surgetank:
        with Store(path) as store:
            actions = [line.action for line in store.audit()]
            assert (actions.count("reserve"), actions.count("release")) == (count, count)
            assert store.reservations(now=START).over == ()


def percentile(ordered, frac):
    return ordered[min(len(ordered) - 1, int(len(ordered) * frac))]


def measured(folder, processes):
    """Way → claims a second in each round, and milliseconds of all claims."""
    rates = {name: [] for name in WAYS}
    times = {name: [] for name in WAYS}
    for n in range(ROUNDS):
        for name, way in WAYS.items():
            path = Path(folder) / f"{way.__name__} {processes} {n}.db"
            way.make(path, 1e9)
            found = at_once(way, path, processes, pairs)
            settled(way, path, sum(len(each) for each, _ in found))
            rates[name].append(sum(len(each) / seconds for each, seconds in found))
            times[name] += [ms for each, _ in found for ms in each]
    return rates, {name: sorted(all_of) for name, all_of in times.items()}


def main():
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        check(folder)
        for processes in PROCESSES:
            rates, times = measured(folder, processes)
            own = rates["`Store.reserve`"]
            for name in WAYS:
                ratios = sorted(mine / theirs for mine, theirs in zip(own, rates[name], strict=True))
                ratio = f"×{number(statistics.median(ratios))} ({number(ratios[0])}–{number(ratios[-1])})"
                ms = [f"{number(percentile(times[name], frac))} ms" for frac in (0.5, 0.99, 1.0)]
                rate = f"{statistics.median(rates[name]):,.0f}"
                rows.append([str(processes), name, rate, "1" if rates[name] is own else ratio, *ms])
                print(rows[-1], flush=True)
    header = ["processes", "two Regions at once", "claims/s", "time of a pair", "a claim: half within", "99 % within",
              "the longest"]  # fmt: skip
    publish("reservations", table(header, rows))


if __name__ == "__main__":
    main()
