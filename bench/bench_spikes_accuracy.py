"""The detectors on labelled series: beside the published ones, how sure the figures are, and how fast they come.

`--write` puts the tables into README.md. Needs ../shared/data.
"""

import sys
import time
from itertools import product
from pathlib import Path
from statistics import mean, stdev

import numpy as np

import surgetank
from _page import publish, table
from _scoring import FIGURES, SHARED, Labelled, Score, alarms, figures, labelled, score
from surgetank import AdaptiveDetector, RollingSigma

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from oracles_spikes import adaptive

OURS = {
    "**`AdaptiveDetector()`**": AdaptiveDetector(),
    "`RollingSigma(144, 3.0)`": RollingSigma(144, 3.0),
    "`RollingSigma()`": RollingSigma(),
}
# Copied: the alarms that the Numenta Anomaly Benchmark publishes, scored the same way on the same series.
PUBLISHED = {
    "ARTime": ("78.1", "70.2", "83.0", ".552", "", "", ""),
    "CAD OSE": ("74.1", "71.7", "76.9", ".718", "", "", ""),
    "Numenta HTM": ("71.2", "64.2", "75.5", ".536", "", "", ""),
}
THRESHOLDS = (1.05, 1.15, 1.25, 1.35, 1.45, 1.55, 1.65, 1.75, 1.85)
RISES, QUIETS = (0.4, 0.5, 0.6), (90, 120, 150)  # decades; samples of 300 s
HALF_LIFE, START, ESCALATION = 4000, 0.3, 0.5  # of the habituation; of a spike that need not wait
DEFAULTS = (1.45, 0.5, 120)
FOLDS, SPLITS, DRAWS = 5, 8, 1000


def found_by(detector, one: Labelled) -> np.ndarray:
    return alarms(surgetank.detect_spikes(one.usage, step_s=one.step_s, detector=detector, outputs=("flags",)).flags)


def all_found(detector, series: list[Labelled]) -> list[Score]:
    return [score(one, found_by(detector, one)) for one in series]


def cells(series: list[Labelled], scores: list[Score]) -> list[str]:
    return [_cell(i, figure) for i, figure in enumerate(figures(series, scores))]


def _cell(i: int, figure: float) -> str:
    return f"{figure:.1f}" if i < 3 else f"{figure:.3f}".removeprefix("0")


def check(series: list[Labelled]) -> None:
    """The answer is right before it is scored: two of each kind against the slow twin."""
    for one in [s for s in series if s.kind == "nab"][::16] + [s for s in series if s.kind == "telemetry"][::16]:
        expected = alarms(adaptive(one.usage, step_s=one.step_s)["flags"])
        np.testing.assert_array_equal(found_by(AdaptiveDetector(), one), expected, err_msg=one.name)


def beside_the_published(series: list[Labelled]) -> str:
    rows = [[name, *cells(series, all_found(detector, series))] for name, detector in OURS.items()]
    rows += [[name, *(cell or "–" for cell in row)] for name, row in PUBLISHED.items()]
    return table(["detector", *FIGURES], rows)


def by_threshold(series: list[Labelled]) -> str:
    rows = [
        [f"{threshold:g}", *cells(series, all_found(AdaptiveDetector(threshold=threshold), series))]
        for threshold in THRESHOLDS
    ]
    return table(["threshold", *FIGURES], rows)


def decades(one: Labelled) -> np.ndarray:
    """Rarities before habituation: scores with a threshold that is never reached, and what it began with."""
    never = AdaptiveDetector(threshold=1e6)
    scores = surgetank.detect_spikes(one.usage, step_s=one.step_s, detector=never, outputs=("scores",)).scores
    return scores + START * _decay(one.step_s) ** np.cumsum(~np.isnan(scores))


def _decay(step_s: float) -> float:
    return 2 ** (-step_s / 300 / HALF_LIFE)


def replayed(rare: np.ndarray, step_s: float, threshold: float, rise: float, quiet: float) -> np.ndarray:
    """Alarms for these decades of rarity, if spikes raise the bar by `rise` and follow each other after `quiet`."""
    quiet, decay = max(3, quiet * 300 / step_s), _decay(step_s)
    observed = np.cumsum(~np.isnan(rare))
    found, habituation, bar, before, last, top, told_before = [], START, np.inf, -1, -np.inf, 0.0, False
    for t in np.flatnonzero(rare >= threshold):
        passed = observed[t] - (observed[before] if before >= 0 else 0)
        habituation *= decay**passed
        if passed > 1:  # what was observed in between is below the threshold
            bar = np.inf
        going_on = bar < np.inf and t == before + 1
        due = t - last > quiet or (bar == np.inf and rare[t] >= top + ESCALATION)
        if rare[t] - habituation >= threshold and due:
            bar, last, top = min(rare[t], threshold + habituation), t, rare[t]
            habituation += rise
        elif rare[t] < bar:
            bar = np.inf
        if bar < np.inf:
            top = max(top, rare[t])
            told = observed[t] > max(1, round(86400 / step_s))  # the first day is only learnt from
            if told and not (going_on and told_before):
                found.append(t)
            told_before = told
        before = t
    return np.array(found, dtype=int)


def folds(series: list[Labelled], seed: int) -> np.ndarray:
    """A fold for each series: every fold gets its share of every group."""
    rng, fold = np.random.default_rng(seed), np.empty(len(series), int)
    groups = sorted({one.group for one in series})
    order = [i for group in groups for i in rng.permutation([j for j, one in enumerate(series) if one.group == group])]
    fold[order] = np.arange(len(series)) % FOLDS
    return fold


def objective(series: list[Labelled], scores: list[Score]) -> float:
    """The least of four figures, each over what a good detector reaches: none is bought with another."""
    standard, _, _, f1, cloudwatch, _, telemetry = figures(series, scores)
    found = [standard / 72, f1 / 0.57, telemetry / 0.45]
    return min(*found, cloudwatch / 0.62) if any(one.cloudwatch for one in series) else min(found)


def refitted(series: list[Labelled], scored: dict[tuple, list[Score]], fold: np.ndarray):
    """Each series scored by the parameters that are best on the other folds."""
    pooled: list[Score | None] = [None] * len(series)
    for k in np.unique(fold):
        rest = np.flatnonzero(fold != k)
        best = max(scored, key=lambda p: objective([series[i] for i in rest], [scored[p][i] for i in rest]))
        for i in np.flatnonzero(fold == k):
            pooled[i] = scored[best][i]
    return figures(series, pooled)


def spread(series: list[Labelled]) -> str:
    """How far the figures are from what other series would give."""
    rare = [decades(one) for one in series]
    scored = {
        parameters: [
            score(one, replayed(r, one.step_s, *parameters)) for one, r in zip(series, rare, strict=True)
        ]
        for parameters in product(THRESHOLDS, RISES, QUIETS)
    }  # fmt: skip
    for threshold in THRESHOLDS:  # the replay is the detector
        assert scored[(threshold, *DEFAULTS[1:])] == all_found(AdaptiveDetector(threshold=threshold), series)
    defaults = scored[DEFAULTS]
    splits = [refitted(series, scored, folds(series, seed)) for seed in range(SPLITS)]
    groups = np.unique([one.group for one in series], return_inverse=True)[1]
    drawn = bootstrap(series, defaults)
    rows = [
        ["defaults", *cells(series, defaults)],
        [f"refitted, {FOLDS} folds, {SPLITS} splits: mean ± sd", *_spreads(splits)],
        ["refitted, each folder left out", *(_cell(i, x) for i, x in enumerate(refitted(series, scored, groups)))],
        ["defaults, per fold: mean ± sd", *_spreads(per_fold(series, defaults))],
        ["defaults, series drawn anew: mean ± sd", *_spreads(drawn)],
        ["… of which 5 % are below", *(_cell(i, x) for i, x in enumerate(np.quantile(drawn, 0.05, axis=0)))],
    ]
    return table(["", *FIGURES], rows)


def per_fold(series: list[Labelled], scores: list[Score]) -> list[list[float]]:
    result = []
    for seed in range(SPLITS):
        fold = folds(series, seed)
        for k in range(FOLDS):
            chosen = np.flatnonzero(fold == k)
            result.append(figures([series[i] for i in chosen], [scores[i] for i in chosen]))
    return result


def bootstrap(series: list[Labelled], scores: list[Score]) -> list[list[float]]:
    """Series drawn with replacement from CloudWatch, the rest of NAB, and the telemetry."""
    rng, kinds = np.random.default_rng(1), [(one.kind, one.cloudwatch) for one in series]
    strata = [[i for i, kind in enumerate(kinds) if kind == each] for each in sorted(set(kinds))]
    result = []
    for _ in range(DRAWS):
        chosen = [int(i) for stratum in strata for i in rng.choice(stratum, len(stratum))]
        result.append(figures([series[i] for i in chosen], [scores[i] for i in chosen]))
    return result


def _spreads(rows: list[list[float]]) -> list[str]:
    return [f"{_cell(i, mean(column))} ± {_cell(i, stdev(column))}" for i, column in enumerate(zip(*rows, strict=True))]


def speed(series: list[Labelled]) -> str:
    """Time of the process, not of the clock: one thread, and others may use the machine."""
    times = []
    for _ in range(7):
        start = time.process_time()
        for one in series:
            surgetank.detect_spikes(one.usage, step_s=one.step_s, outputs=())
        times.append(time.process_time() - start)
    samples = sum(len(one.usage) for one in series)
    rates = sorted(samples / t / 1e6 for t in times)
    return (
        f"{rates[len(rates) // 2]:.2f} million samples a second on one core (of 7 rounds: {rates[0]:.2f} to "
        f"{rates[-1]:.2f}), {1e3 / rates[len(rates) // 2]:.0f} ns a sample, {samples:,} samples of "
        f"{len(series)} series."
    )


def main():
    if not SHARED.is_dir():
        return print("skipped: no real data here (../shared/data is not beside the repository)")
    series = labelled()
    check(series)
    publish(
        "accuracy", "\n\n".join([beside_the_published(series), spread(series), by_threshold(series), speed(series)])
    )
    return None


if __name__ == "__main__":
    main()
