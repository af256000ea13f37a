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
from .rules import Compiled, LevelRule, Levels, Looked, WindowRule
from .setting import Setting


@dataclass(frozen=True, kw_only=True, eq=False)
class Replayed:
    """Policies as the core takes them, to be replayed in total, in part or in blocks."""

    setting: Setting
    looked: tuple[Looked, ...]  #: what rules look at, each once
    looks: NDArray[np.int64]  #: (P,) at which of them each does; −1: a path
    numbers: Floats  #: (5, P) the rest of `Compiled`, in its order
    paths: dict[int, Path]

    @classmethod
    def of(cls, policies: Sequence[Any], setting: Setting) -> Replayed:
        """Compile rules, and replay what must be replayed in Python."""
        levels = Levels()
        looked: dict[Any, tuple[int, Looked]] = {}
        looks = np.full(len(policies), -1, dtype=np.int64)
        numbers: list[tuple[float, ...]] = [(0.0,) * (len(Compiled._fields) - 1)] * len(policies)
        paths: dict[int, Path] = {}
        demand: Floats | None = None

        def keep(i: int, rule: Compiled) -> None:
            key = (*rule.looked[:4], id(rule.looked.levels))
            looks[i], _ = looked.setdefault(key, (len(looked), rule.looked))
            numbers[i] = rule[1:]

        for i, policy in enumerate(policies):
            if isinstance(policy, Clairvoyant):
                paths[i] = policy.path(setting)
            elif isinstance(policy, WindowRule):
                keep(i, policy.compiled(setting))
            elif isinstance(policy, LevelRule):
                keep(i, policy.compiled(setting, levels))
            else:
                if demand is None:
                    demand = setting.carried()["demand"]
                paths[i] = replay_own(policy, f"policies[{i}]", setting, demand)
        return cls(
            setting=setting, looked=tuple(one for _, one in looked.values()), looks=looks,
            numbers=np.array(numbers, dtype=np.float64).T, paths=paths,
        )  # fmt: skip

    def figures(
        self, which: Sequence[int] | None = None, *, block: int = 0, cvar_frac: float = 0.0
    ) -> dict[str, NDArray[Any]]:
        """Give the sums and counts of policies (default: all), (P, N) each, or (P, N, B) in blocks."""
        asked = list(range(len(self.looks))) if which is None else list(which)
        chosen = list(dict.fromkeys(asked)) or [0]
        if chosen != asked:  # none, or one of them twice
            at = [chosen.index(p) for p in asked]
            return {n: v[at] for n, v in self.figures(chosen, block=block, cvar_frac=cvar_frac).items()}
        native = [p for p in chosen if p not in self.paths]
        parts: list[tuple[list[int], dict[str, NDArray[Any]]]] = []
        if native:
            parts.append((native, self._native(native, block, cvar_frac)))
        if own := [p for p in chosen if p in self.paths]:
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

    def _native(self, which: Sequence[int], block: int, cvar_frac: float) -> dict[str, NDArray[Any]]:
        used, statistic = np.unique(self.looks[which], return_inverse=True)
        statistics, seasonals, given = looks_of([self.looked[k] for k in used])
        bar, factor, lower, start, of_quota = self.numbers[:, which]
        return _core.backtest_replay(
            *self.setting.core(), self.setting.calendar(cvar_frac), statistics, seasonals, statistic, bar, factor,
            lower, start, of_quota.astype(np.bool_), given, block, self.setting.threads,
        )  # fmt: skip

    def quotas(self, p: int) -> Floats:
        """(T, N) the quota of a policy at each sample; NaN before it had one."""
        setting = self.setting
        if p in self.paths:
            return self.paths[p].quotas(setting.usage.shape)
        (statistic,), seasonals, given = looks_of([self.looked[self.looks[p]]])
        bar, factor, lower, start, of_quota = self.numbers[:, p].tolist()
        return _core.backtest_quotas(
            *setting.core(), setting.calendar(), statistic, seasonals, (bar, factor, lower, start, bool(of_quota)),
            given, setting.threads,
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


def statistic_of(setting: Setting, looked: Looked) -> Floats:
    """(D, N) what it sees at each decision, of what the core computes."""
    statistics, seasonals, _ = looks_of([looked])
    found = _core.backtest_statistics(*setting.core(), setting.calendar(), statistics, seasonals, setting.threads)
    return np.asarray(found[0])


def looks_of(
    looked: Sequence[Looked],
) -> tuple[list[_core.BacktestStatistic], list[_core.BacktestSeasonal], list[Floats]]:
    """The same as the core takes it: a statistic each, forecasts, and arrays."""
    statistics: list[_core.BacktestStatistic] = []
    seasonals: list[_core.BacktestSeasonal] = []
    given: list[Floats] = []
    for one in looked:
        forecast = array = -1
        if one.seasonal is not None:
            forecast = len(seasonals)
            seasonals.append(core_of(one.seasonal))
        if one.levels is not None:
            array = len(given)
            given.append(one.levels)
        statistics.append(_core.BacktestStatistic(*one[:3], forecast, array))
    return statistics, seasonals, given
