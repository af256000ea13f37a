"""`judge`: does a recovery keep what is asked of it?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from .. import _bridge
from ..errors import invalid, nearest
from .distributions import Fixed
from .estimate import MOST_TRIALS, estimate_recovery
from .judgement import BREACHED, MET, UNKNOWN, Judged, Judgement
from .result import Recovery
from .runbook import Runbook, Step
from .target_sets import TIERS, Target, as_targets, target_set
from .times import wilson, z_of
from .wording import chance

NO_STEP = "RTO: the runbook has no step of it"


class Part(NamedTuple):
    """Trials that keep something: at least, and at most so many; the two differ where the runbook cannot tell."""

    low: int
    high: int


def judge(
    result: Recovery,
    targets: str | Target | Sequence[Target] = TIERS,
    *,
    components: Mapping[str, str | Sequence[str]] | None = None,
) -> Judgement:
    """Judge a recovery by targets, all of them on the same trials.

    Parameters
    ----------
    result : Recovery
        Its runbook, seed, trials and capacity are used again, so that every target is counted exactly, not by bins.
    targets : Target, sequence of Target, or "tiers", "severities", "components", "strategies"
        Default: the tiers.
    components : mapping of component to step, store, or several of them
        RTO of a component is when the last of its steps ends, RPO is that of the worst of its stores. Default: the
        step or store of its own name. With stores alone it is taken to be back when the service is, or earlier.

    Returns
    -------
    Judgement
        Per target P(RTO), P(RPO), P of all at once, and the verdict in the words of AWS Resilience Hub: ``PolicyMet``
        where the interval lies at or above what is asked, ``PolicyBreached`` where it lies below, else ``Unknown``.

    Raises
    ------
    InvalidInput
        Names the argument, the rule and the value. What cannot be told is an answer, not an error.

    Notes
    -----
    Intervals are Wilson's (1927). RTO from onset and RPO are counted together. RTO on another clock, and answers, are
    counted apart: the interval then runs from what they leave at the worst to the least of them (Fréchet, 1935).

    Examples
    --------
    >>> from surgetank import estimate_recovery, shipped_runbook
    >>> result = estimate_recovery(shipped_runbook("active-active"), trials=100_000)
    >>> judge(result, [Target("gold", 420, 10), Target("platinum", 60, 10)]).met
    ('gold',)
    """
    if not isinstance(result, Recovery):
        raise invalid("result", "must be a Recovery; estimate_recovery gives one", result)
    given = as_targets(targets)
    parts = _of_components(components, given, result.runbook)
    views: dict[tuple[str, ...] | None, list[Target]] = {}
    for target in given:
        views.setdefault(parts[target.name] if target.component else None, []).append(target)
    found: dict[str, Judged] = {}
    for names, asking in views.items():
        book, missing = (result.runbook, "") if names is None else _component(result.runbook, names)
        seen = _counted(result, book, [s for t in asking for s in t.asked_s])
        found |= {t.name: _judged(t, seen, missing, result) for t in asking}
    judged = tuple(found[t.name] for t in given)
    return Judgement(judged=judged, runbook=result.runbook, trials=result.trials, confidence=result.confidence)


def _of_components(
    given: Mapping[str, str | Sequence[str]] | None, targets: Sequence[Target], runbook: Runbook
) -> dict[str, tuple[str, ...]]:
    """Names of the steps and stores of each component."""
    if given is not None and not isinstance(given, Mapping):
        raise invalid("components", "must map components to steps and stores", given)
    own = {t.name for t in targets if t.component}
    inner = runbook.fallbacks
    known = [*(name for name in runbook.names if name not in inner), *(s.name for s in runbook.stores)]
    found: dict[str, tuple[str, ...]] = {name: (name,) if name in known else () for name in own}
    for component, value in (given or {}).items():
        if component not in own:
            rule = f"must be of targets that are components{nearest(str(component), own)}"
            raise invalid("components", rule, component)
        names = _bridge.names(value, "components")
        for name in names:
            if name not in known:
                rule = f"of {component!r} must be steps (not fallbacks) or stores{nearest(name, known)}"
                raise invalid("components", rule, name)
        found[component] = tuple(dict.fromkeys(names))
    return found


def _component(runbook: Runbook, names: Sequence[str]) -> tuple[Runbook, str]:
    """The runbook of one component, and why its RTO is not known, if it is not."""
    steps = [name for name in names if name in runbook.names]
    stores = [store for store in runbook.stores if store.name in names]
    book = replace(runbook, stores=stores, done=steps or runbook.done, target_s=None, rpo_target_s=None)
    return book, "" if steps else NO_STEP


def _counted(result: Recovery, runbook: Runbook, seconds: Sequence[float]) -> Recovery:
    """The same trials of that runbook with every such instant counted exactly; drawn again where they were not."""
    asked = result.asked
    if runbook is asked.runbook and set(seconds) <= set(asked.targets) & set(asked.point_targets):
        return result
    parts = [
        estimate_recovery(
            runbook, also_s=sorted(set(seconds)), capacity=asked.capacity if runbook.capacity else None, trials=count,
            seed=asked.seed, first=first, threads=asked.threads, confidence=result.confidence,
        )
        for first, count in result.ranges
    ]  # fmt: skip
    return Recovery.merge(parts)


def _judged(target: Target, seen: Recovery, no_step: str, result: Recovery) -> Judged:
    n, asked, missing = seen.trials, seen.asked, []
    parts: list[Part] = []
    hits: dict[str, int] = {}
    known = not no_step or bool(seen.runbook.stores)  # a component that the runbook knows nothing of is not part of it
    if target.rto_s is not None:
        if no_step:
            missing.append(no_step)
        elif target.clock not in seen.clocks:
            missing.append(f"RTO: the runbook names no {target.clock} step")
        if target.clock in seen.clocks and known:
            hits["RTO"] = seen.clocks[target.clock].within_targets[asked.targets.index(target.rto_s)]
        rto = hits.get("RTO", 0)
        parts.append(Part(rto, n if missing else rto))
    if target.rpo_s is not None and seen.runbook.stores:
        rpo = hits["RPO"] = seen.counts["points"][-1]["within"][asked.point_targets.index(target.rpo_s)]
        parts.append(Part(rpo, rpo))
        if "RTO" in hits and target.clock == "onset":
            at = asked.targets.index(target.rto_s) * len(asked.point_targets) + asked.point_targets.index(target.rpo_s)
            both = seen.counts["met"][at]
            parts = [Part(both, rpo if no_step else both)]
    elif target.rpo_s is not None:
        missing.append("RPO: the runbook has no store" + (" of it" if target.component else "s"))
        parts.append(Part(0, n))
    if target.answer_s is not None:
        answer = _answered(result, float(target.answer_s))  # type: ignore[arg-type]
        if answer is None:
            missing.append("answer: the runbook names no declaration step")
        else:
            hits["answer"] = answer
        parts.append(Part(0, n) if answer is None else Part(answer, answer))
    if no_step:
        hits.pop("RTO", None)  # of the service
    verdict, why, probability, interval = _verdict(parts, target.probability, n, result.confidence, missing)
    if verdict == BREACHED:
        short = [name for name, k in hits.items() if wilson(k, n, result.confidence)[1] < target.probability]
        why = f"{' and '.join(short) or 'all at once'}: {why}"
    rates = {name: k / n for name, k in hits.items()}
    return Judged(
        target=target, rto=rates.get("RTO", math.nan), rpo=rates.get("RPO", math.nan),
        answer=rates.get("answer", math.nan), probability=probability, interval=interval, verdict=verdict, why=why,
    )  # fmt: skip


def _answered(result: Recovery, seconds: float) -> int | None:
    """Trials in which the declaration step begins within so long of detection; None where there is no such step."""
    book = result.runbook
    declaration = book.declaration
    if declaration is None or {declaration, book.detection} & book.fallbacks:
        return None
    if isinstance(book[declaration], Step):  # without its own time it ends as it begins
        book = book.with_step(declaration, duration=Fixed(0), failure=0.0, fallback=None, capacity=(), loadings={})
    book = replace(book, done=[declaration], stores=(), target_s=None, rpo_target_s=None)
    seen = _counted(result, book, [seconds])
    return seen.clocks["onset" if book.detection is None else "detection"].within_targets[0]


def _verdict(
    parts: Sequence[Part], wanted: float, n: int, confidence: float, missing: Sequence[str]
) -> tuple[str, str, float, tuple[float, float]]:
    """Verdict, reason, probability and interval of all parts at once."""
    level = 1 - (1 - confidence) / len(parts)
    low = max(0.0, 1 - sum(1 - wilson(part.low, n, level)[0] for part in parts))
    high = min(wilson(part.high, n, level)[1] for part in parts)
    worst, best = max(0, n - sum(n - part.low for part in parts)), min(part.high for part in parts)
    probability = worst / n if worst == best and not missing else math.nan
    if low >= wanted:
        return MET, f"{math.floor(1e4 * low) / 100:.2f}% or more", probability, (low, high)
    if high < wanted:
        return BREACHED, f"{math.ceil(1e4 * high) / 100:.2f}% or less", probability, (low, high)
    between = f"{chance(low)} to {chance(high)}"
    if missing:
        return UNKNOWN, "; ".join(missing), probability, (low, high)
    if worst < best and worst / n <= wanted <= best / n:
        return UNKNOWN, f"{between}: counted apart, which no number of trials mends", probability, (low, high)
    gap = worst / n - wanted if worst / n > wanted else wanted - best / n
    if gap <= 0:
        return UNKNOWN, f"{between}: just what is asked", probability, (low, high)
    # Wilson's interval leaves ``wanted`` out where the gap exceeds z·√(wanted·(1 − wanted)/n).
    needed = math.ceil((z_of(level) * len(parts) / gap) ** 2 * wanted * (1 - wanted))
    unit = 10 ** max(0, len(str(needed)) - 2)
    many = f"{math.ceil(needed / unit) * unit:,}"
    more = f"about {many} trials would decide" if needed <= MOST_TRIALS else "too close for any number of trials"
    return UNKNOWN, f"{between}: {more}", probability, (low, high)


__all__ = ["BREACHED", "MET", "TIERS", "UNKNOWN", "Judged", "Judgement", "Target", "judge", "target_set"]
