"""What of a store `backtest` and `tune` can replay, and how: its history as far as it is known, and their options."""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ._commands import _chosen, _config, _open, _progress
from ._commands_recovery import _seconds
from .errors import InvalidInput

if TYPE_CHECKING:
    from .config import Config
    from .history import History, QuotaKey
    from .scenario import Scenario

#: Quotas that a sentence names; it is no list.
MOST_NAMED = 8


@dataclasses.dataclass(frozen=True)
class Replayable:
    """What of the store can be replayed, and how."""

    history: History
    options: dict[str, Any]
    left_out: list[str]  #: sentences

    @property
    def length_s(self) -> float:
        """How long the history is."""
        times = self.history.times
        return float((times[-1] - times[0]).item().total_seconds())


def replayable(args: argparse.Namespace) -> tuple[Config, Replayable]:
    """The store's history, as far as it is known, with the options of the command line."""
    from .scenario import resolve

    times = {
        name: _seconds(getattr(args, name), f"--{name.replace('_', '-')}") for name in ("lead_time", "review", "warmup")
    }
    options: dict[str, Any] = {f"{name}_s": seconds for name, seconds in times.items() if seconds is not None}
    options |= {name: getattr(args, name) for name in ("moments", "seed", "threads")}
    config = _config(args)
    with _open(args, config) as store, _progress("reading the store") as progress:
        step_s = config.step_s if args.step is None else args.step
        whole = store.history(step_s=step_s, until=args.now, progress=progress).complete()
    config.check(whole.keys)
    given = _chosen(args.scenario, config) or config.scenarios
    scenarios, skipped = resolve(whole.scenarios if given is None else given, _regions(whole))
    history, left_out = _judgeable(whole, args.quota)
    if skipped:
        left_out.append(f"Skipped, because their Regions are not here: {', '.join(skipped)}.")
    options["scenarios"] = _within(scenarios, _regions(history))
    if args.from_applied:
        options["quota"] = [history.quotas[key].value if key in history.quotas else math.nan for key in history.keys]
    return config, Replayable(history, options, left_out)


def _judgeable(history: History, pattern: str | None) -> tuple[History, list[str]]:
    """The quotas that a pattern names, in all their Regions; without those of which it is unknown what would land."""
    import numpy as np

    from .plan import matching

    never = [bool(np.isnan(column).all()) for column in history.usage.T]
    silent = [key for key, is_silent in zip(history.keys, never, strict=True) if is_silent]
    # Where there is neither usage nor a value there is nothing, and it sends nothing.
    unknown: dict[tuple[str, ...], list[str]] = {}
    for key in silent:
        if key in history.quotas and not math.isnan(history.quotas[key].value):
            unknown.setdefault(_quota(key), []).append(key.region)
    chosen = range(len(history.keys)) if pattern is None else matching(history.keys, pattern, "--quota")
    asked = {_quota(history.keys[i]) for i in chosen}
    kept = [i for i, key in enumerate(history.keys) if _quota(key) in asked.difference(unknown) and not never[i]]
    left_out = [f"{quota[-1]} (no usage in {', '.join(unknown[quota])})" for quota in sorted(asked & unknown.keys())]
    if not kept:
        raise InvalidInput(
            f"usage: must be known in every Region of a quota (got {', '.join(left_out[:MOST_NAMED]) or 'no usage'})"
        )
    listed = ", ".join([*left_out[:MOST_NAMED], *(["…"] if left_out[MOST_NAMED:] else [])])
    said = [f"Left out, because what would land is not known: {listed}."] if left_out else []
    keys = tuple(history.keys[i] for i in kept)
    quotas = {key: quota for key, quota in history.quotas.items() if key in keys}
    return dataclasses.replace(history, keys=keys, usage=history.usage[:, kept], quotas=quotas), said


def _quota(key: QuotaKey) -> tuple[str, ...]:
    """The same in all Regions; what a person calls it comes last."""
    return (key.account, key.service_code, key.quota_code, key.context_id, key.quota_name)


def _regions(history: History) -> tuple[str, ...]:
    """Regions that may fail: those of quotas that are not global."""
    apart = {key for key, quota in history.quotas.items() if quota.is_global}
    return tuple(dict.fromkeys(key.region for key in history.keys if key not in apart)) or history.regions


def _within(scenarios: Sequence[Scenario], regions: Sequence[str]) -> list[Scenario]:
    """Scenarios as they hit quotas that are not in every Region: what would land elsewhere does not land here."""
    result = []
    for scenario in scenarios:
        sources = tuple(region for region in scenario.sources if region in regions)
        targets = {region: share for region, share in scenario.targets.items() if region in regions}
        if sources and targets:
            source = sources if len(sources) > 1 else sources[0]
            result.append(dataclasses.replace(scenario, source=source, targets=targets))
    return result
