"""A runbook as the core takes it: names become numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _core

if TYPE_CHECKING:
    from .runbook import Branch, Runbook, Step


def compiled(runbook: Runbook) -> _core.RecoveryModel:
    """Check it once more, tabulate its distributions: what an estimate draws from."""
    from .runbook import Branch

    number = {name: i for i, name in enumerate(runbook.names)}
    factors: dict[str, int] = {}
    couplings = {patterns: i for i, patterns in enumerate(capacity_sets(runbook))}
    steps = []
    for given in runbook.steps:
        step = _core.RecoveryStep()
        step.name = given.name
        step.any = given.join == "any"
        parts = [name.partition(":") for name in given.after]
        step.after = [number[base] for base, _, _ in parts]
        step.option = [_option(runbook[base], option) if colon else -1 for base, colon, option in parts]
        if isinstance(given, Branch):
            step.options = list(given.options.values())
        else:
            _fill(step, given, number, factors)
            step.coupling = couplings.get(tuple(given.capacity), -1)
        steps.append(step)
    stores = [_core.RecoveryStore(s.name, s.lag._core, s.copy._core) for s in runbook.stores]  # type: ignore[union-attr]
    return _core.RecoveryModel(
        steps=steps,
        factors=list(factors),
        stores=stores,
        done=[number[name] for name in runbook.ends],
        detection=-1 if runbook.detection is None else number[runbook.detection],
        declaration=-1 if runbook.declaration is None else number[runbook.declaration],
    )


def capacity_sets(runbook: Runbook) -> tuple[tuple[str, ...], ...]:
    """The different sets of quotas that its steps need, by their patterns; the core numbers them in this order."""
    sets = (tuple(getattr(step, "capacity", ())) for step in runbook.steps)
    return tuple(dict.fromkeys(patterns for patterns in sets if patterns))


def _fill(step: _core.RecoveryStep, given: Step, number: dict[str, int], factors: dict[str, int]) -> None:
    step.duration = given.duration._core  # type: ignore[union-attr]
    step.failure = given.failure
    step.retries = given.retries
    step.retry_after = given.retry_after._core  # type: ignore[union-attr]
    step.fallback = -1 if given.fallback is None else number[given.fallback]
    step.loadings = [(factors.setdefault(name, len(factors)), value) for name, value in given.loadings.items()]


def _option(branch: Step | Branch, option: str) -> int:
    return list(branch.options).index(option)  # type: ignore[union-attr]
