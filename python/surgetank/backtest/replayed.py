"""Policies as the core takes them, to be replayed in total, in part or in blocks of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._bridge import Floats
from .._table import freeze
from .clairvoyant import Clairvoyant
from .custom import Path, replay_own
from .forecast import core_of
from .rules import Compiled, WindowRule
from .setting import Setting
from .sized import Levels, SizedRule


@dataclass(frozen=True, kw_only=True, eq=False)
class Replayed:
    """Policies as the core takes them, to be replayed in total, in part or in blocks."""

    setting: Setting
    rules: tuple[Compiled | None, ...]  #: by policy; None: a path
    paths: dict[int, Path]

    @classmethod
    def of(cls, policies: Sequence[Any], setting: Setting) -> Replayed:
        """Compile rules, and replay what must be replayed in Python."""
        levels = Levels()
        rules: list[Compiled | None] = []
        paths: dict[int, Path] = {}
        demand: Floats | None = None
        for i, policy in enumerate(policies):
            if isinstance(policy, SizedRule):
                rules.append(policy.compiled(setting, levels))
            elif isinstance(policy, Clairvoyant):
                rules.append(None)
                paths[i] = policy.path(setting)
            elif isinstance(policy, WindowRule):
                rules.append(policy.compiled(setting))
            else:
                if demand is None:
                    demand = setting.carried()["demand"]
                rules.append(None)
                paths[i] = replay_own(policy, f"policies[{i}]", setting, demand)
        return cls(setting=setting, rules=tuple(rules), paths=paths)

    def figures(
        self, which: Sequence[int] | None = None, *, block: int = 0, cvar_frac: float = 0.0
    ) -> dict[str, NDArray[Any]]:
        """Give the sums and counts of policies (default: all), (P, N) each, or (P, N, B) in blocks."""
        asked = list(range(len(self.rules))) if which is None else list(which)
        chosen = list(dict.fromkeys(asked)) or [0]
        if chosen != asked:  # none, or one of them twice
            at = [chosen.index(p) for p in asked]
            return {n: v[at] for n, v in self.figures(chosen, block=block, cvar_frac=cvar_frac).items()}
        native = [p for p in chosen if self.rules[p] is not None]
        parts: list[tuple[list[int], dict[str, NDArray[Any]]]] = []
        if native:
            parts.append((native, self._native([self.rules[p] for p in native], block, cvar_frac)))  # type: ignore[misc]
        if own := [p for p in chosen if self.rules[p] is None]:
            parts.append((own, self._own([self.paths[p] for p in own], block, cvar_frac)))
        if len(parts) == 1:
            return parts[0][1]
        place = {p: at for at, p in enumerate(chosen)}
        first = parts[0][1]
        merged = {n: np.empty((len(place), *v.shape[1:]), dtype=v.dtype, order="F") for n, v in first.items()}
        for numbers, found in parts:
            at = [place[p] for p in numbers]
            for name, values in found.items():
                merged[name][at] = values
        return merged

    def _native(self, rules: list[Compiled], block: int, cvar_frac: float) -> dict[str, NDArray[Any]]:
        numbers: dict[Any, int] = {}
        distinct: list[Compiled] = []
        statistic = np.empty(len(rules), dtype=np.int64)
        for p, rule in enumerate(rules):
            key = (*rule.looked[:4], id(rule.looked.levels))
            if key not in numbers:
                numbers[key] = len(distinct)
                distinct.append(rule)
            statistic[p] = numbers[key]
        statistics, seasonals, given = looks_of(distinct)
        bar, factor, lower, start = (np.array([rule[k] for rule in rules], dtype=np.float64) for k in range(1, 5))
        of_quota = np.array([rule.of_quota for rule in rules], dtype=np.bool_)
        return _core.backtest_replay(
            *self.setting.core(), self.setting.calendar(cvar_frac), statistics, seasonals, statistic, bar, factor,
            lower, start, of_quota, given, block, self.setting.threads,
        )  # fmt: skip

    def _own(self, paths: list[Path], block: int, cvar_frac: float) -> dict[str, NDArray[Any]]:
        setting = self.setting
        found = _core.backtest_judge(
            *setting.core(), setting.calendar(cvar_frac), [path[:3] for path in paths], block, setting.threads
        )
        found = {name: np.array(values) for name, values in found.items()}
        for p, path in enumerate(paths):  # the core judged quotas; who asked for them is known here
            if block:
                at = np.maximum(path.asked_at - setting.first, 0) // block
                np.add.at(found["requests"][p], (path.asked_by, at), 1)
                continue
            np.add.at(found["requests"][p], path.asked_by, 1)
            turned = (path.asked_by[1:] == path.asked_by[:-1]) & (path.upward[1:] != path.upward[:-1])
            np.add.at(found["reversals"][p], path.asked_by[1:][turned], 1)
        freeze(found)
        return found


def looks_of(
    rules: Sequence[Compiled],
) -> tuple[list[_core.BacktestStatistic], list[_core.BacktestSeasonal], list[Floats]]:
    """What each of the rules looks at, as the core takes it: a statistic each, forecasts, and arrays."""
    statistics: list[_core.BacktestStatistic] = []
    seasonals: list[_core.BacktestSeasonal] = []
    given: list[Floats] = []
    for rule in rules:
        looked, forecast, array = rule.looked, -1, -1
        if looked.seasonal is not None:
            forecast = len(seasonals)
            seasonals.append(core_of(looked.seasonal))
        if looked.levels is not None:
            array = len(given)
            given.append(looked.levels)
        statistics.append(_core.BacktestStatistic(*looked[:3], forecast, array))
    return statistics, seasonals, given
