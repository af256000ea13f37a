"""Labelled series and how alarms on them are scored: as the Numenta Anomaly Benchmark does, and event by event.

An alarm is the first flag of an episode. Alarms of the probation at the start of a series do not count.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

SHARED = Path(__file__).parents[2] / "shared" / "data"
PROFILES = {
    "standard": (0.11, 1.0),
    "low FP": (0.22, 1.0),
    "low FN": (0.11, 2.0),
}  # weights of a false alarm, of a miss
# Samples: what lies closer to the last false alarm is the same one; what lies beside a labelled run of the telemetry.
SAME_ALARM = {"nab": 12, "telemetry": 6}
BESIDE, MERGED = 2, 2


@dataclass(frozen=True)
class Labelled:
    """A series (T,), and its windows of anomalies as pairs (first, last) of samples."""

    name: str
    kind: str  # "nab" or "telemetry"
    usage: np.ndarray
    step_s: float
    windows: tuple[tuple[int, int], ...]
    probation: int  # samples

    @property
    def group(self) -> str:
        return self.name.split("/")[0]

    @property
    def cloudwatch(self) -> bool:
        return self.group == "realAWSCloudwatch"

    @property
    def weeks(self) -> float:
        return len(self.usage) * self.step_s / 604800


def labelled(folder: Path = SHARED) -> list[Labelled]:
    """Every labelled series there is, in order of time."""
    windows = json.loads((folder / "nab" / "windows.json").read_text(encoding="utf-8"))
    nab = [_nab(path, windows) for path in sorted((folder / "nab").glob("*/*.csv"))]
    return nab + [_telemetry(path) for path in sorted((folder / "cloud-monitoring").glob("*/*.csv"))]


def _read(path: Path) -> tuple[pd.DataFrame, float]:
    frame = pd.read_csv(path)
    frame.columns = ["time", "value", "label"][: frame.shape[1]]
    frame["time"] = pd.to_datetime(frame["time"], utc=True, format="mixed")
    frame = frame.sort_values("time", kind="stable", ignore_index=True)
    return frame, float(frame["time"].diff().dt.total_seconds().median())


def _nab(path: Path, windows: dict[str, list[list[str]]]) -> Labelled:
    frame, step_s = _read(path)
    name = "/".join(path.parts[-2:])
    edges = []
    for first, last in windows[name]:
        inside = np.flatnonzero(frame["time"].between(pd.Timestamp(first, tz="UTC"), pd.Timestamp(last, tz="UTC")))
        edges.append((int(inside[0]), int(inside[-1])))
    return Labelled(name, "nab", frame["value"].to_numpy(float), step_s, tuple(edges), min(len(frame) * 15 // 100, 750))


def _telemetry(path: Path) -> Labelled:
    frame, step_s = _read(path)
    runs: list[list[int]] = []
    for t in map(int, np.flatnonzero(frame["label"].astype(float) > 0)):
        if runs and t - runs[-1][1] <= MERGED + 1:
            runs[-1][1] = t
        else:
            runs.append([t, t])
    edges = tuple((max(0, first - BESIDE), min(len(frame) - 1, last + BESIDE)) for first, last in runs)
    name, usage = "/".join(path.parts[-2:]), frame["value"].to_numpy(float)
    return Labelled(name, "telemetry", usage, step_s, edges, max(50, len(frame) // 10))


def alarms(flags: np.ndarray) -> np.ndarray:
    """Samples at which an episode begins."""
    return np.flatnonzero(flags & ~np.r_[False, flags[:-1]])


@dataclass(frozen=True)
class Score:
    """What one series adds to the sums."""

    windows: int
    hits: int  # windows
    reward: float  # of the hits: each at most 1
    penalty: float  # of every alarm outside: each at least −1
    countable: int  # windows that do not lie within the probation
    found: int  # of these
    false: int  # alarms outside, those close to each other counted once
    weeks: float


def score(series: Labelled, found: np.ndarray) -> Score:
    """Score one series' alarms (samples, ascending)."""
    reward = penalty = 0.0
    hit, false, last_false = set(), 0, -np.inf
    for t in found[found >= series.probation]:
        inside = next((w for w in series.windows if w[0] <= t <= w[1]), None)
        if inside:
            if inside not in hit:
                reward += _sigma((t - inside[1]) / max(1, inside[1] - inside[0])) / _sigma(-1)
            hit.add(inside)
            continue
        penalty += _outside(series.windows, t)
        false += t - last_false > SAME_ALARM[series.kind]
        last_false = t
    countable = [w for w in series.windows if w[1] >= series.probation]
    return Score(
        len(series.windows), len(hit), reward, penalty, len(countable), sum(w in hit for w in countable), false,
        series.weeks,
    )  # fmt: skip


def _outside(windows: tuple[tuple[int, int], ...], t: int) -> float:
    """An alarm shortly after a window costs less; one before any, or long after, costs 1."""
    before = [w for w in windows if w[1] < t]
    if not before:
        return -1.0
    distance = (t - before[-1][1]) / max(1, before[-1][1] - before[-1][0])
    return _sigma(distance) if distance <= 3 else -1.0


def _sigma(position: float) -> float:
    return 2 / (1 + np.exp(5 * position)) - 1


def total(scores: list[Score], name: str) -> float:
    return float(sum(getattr(s, name) for s in scores))


def nab(scores: list[Score], profile: str = "standard") -> float:
    """The benchmark's score: 100 is perfect, 0 is a detector that finds nothing."""
    false, missed = PROFILES[profile]
    windows = total(scores, "windows")
    gained = total(scores, "reward") + false * total(scores, "penalty") + missed * total(scores, "hits")
    return 100 * gained / (windows * (1 + missed))


def f1(scores: list[Score]) -> float:
    """Of precision and recall of events."""
    found, false, there = (total(scores, name) for name in ("found", "false", "countable"))
    return 2 * found / max(1.0, found + false + there)


def false_alarms(scores: list[Score]) -> float:
    """False alarms a series and week."""
    return total(scores, "false") / total(scores, "weeks") if scores else np.nan


FIGURES = ("NAB standard", "low FP", "low FN", "event F1", "CloudWatch", "false alarms/week", "telemetry F1")


def figures(series: list[Labelled], scores: list[Score]) -> list[float]:
    """FIGURES of these series; false alarms a series and week are those of CloudWatch."""
    on = [s for s, one in zip(scores, series, strict=True) if one.kind == "nab"]
    cloud = [s for s, one in zip(scores, series, strict=True) if one.cloudwatch]
    telemetry = [s for s, one in zip(scores, series, strict=True) if one.kind == "telemetry"]
    return [*(nab(on, profile) for profile in PROFILES), f1(on), f1(cloud), false_alarms(cloud), f1(telemetry)]
