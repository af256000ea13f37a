"""Time several ways of getting one answer, interleaved in one process, and print ratios.

Clocks on shared machines are noisy; the ratio of two routines timed in turn is not.
"""

import statistics
import time
from collections.abc import Callable


def compare(title: str, ways: dict[str, Callable[[], object]], rounds: int = 7) -> dict[str, float]:
    """Median time of each way over that of the first, with the spread of the ratio; prints one line a way."""
    for way in ways.values():
        way()  # warm caches and lazy imports
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
    first = next(iter(ways))
    ratios = {}
    print(title)
    for name, seconds in times.items():
        each = sorted(s / f for s, f in zip(seconds, times[first], strict=True))
        ratios[name] = statistics.median(each)
        print(f"  {name:<28} {1e3 * min(seconds):10.2f} ms   ×{ratios[name]:<7.2f} ({each[0]:.2f} to {each[-1]:.2f})")
    return ratios
