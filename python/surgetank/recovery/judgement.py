"""`judge`: does a recovery keep what is asked of it?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from .. import _bridge
from .._table import Column, Tabular, percent, span
from ..errors import invalid, nearest
from .distributions import Fixed
from .estimate import MOST_TRIALS, estimate_recovery
from .result import WORST, Recovery
from .runbook import Runbook, Step
from .targets import TIERS, Target, as_targets
from .times import wilson, z_of
from .wording import chance

MET, BREACHED, UNKNOWN = "PolicyMet", "PolicyBreached", "Unknown"
NO_STORES = "RPO: the runbook has no stores"


class Part(NamedTuple):
    """Trials that keep something: at least, and at most so many; the two differ where the runbook cannot tell."""

    low: int
    high: int


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The judgement of one target."""

    target: Target
    rto: float  #: P(RTO ≤ target); NaN: not asked, or not known
    rpo: float
    answer: float  #: P(somebody answers in time)
    probability: float  #: of all that is asked, at once; NaN where only bounds are known
    interval: tuple[float, float]  #: of it, at the confidence of the result; unknown parts count as anything
    verdict: str  #: "PolicyMet", "PolicyBreached" or "Unknown"
    why: str


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Judgement(Tabular):
    """Which targets a recovery keeps; one row for each."""

    judged: tuple[Judged, ...]
    runbook: Runbook
    trials: int
    confidence: float

    @property
    def met(self) -> tuple[str, ...]:
        """Names of the targets that are kept."""
        return self._named(MET)

    @property
    def breached(self) -> tuple[str, ...]:
        """Names of those that are not."""
        return self._named(BREACHED)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of those that the trials, or the runbook, leave open."""
        return self._named(UNKNOWN)

    def __getitem__(self, name: str) -> Judged:
        """Give the judgement of one target."""
        for one in self.judged:
            if one.target.name == name:
                return one
        raise invalid("name", f"must be a target{nearest(str(name), [j.target.name for j in self.judged])}", name)

    def _named(self, verdict: str) -> tuple[str, ...]:
        return tuple(j.target.name for j in self.judged if j.verdict == verdict)

    def _caption(self) -> str:
        name = self.runbook.title or self.runbook.name
        return f"{name}: {len(self.met)} of {len(self.judged)} targets met, {len(self.breached)} breached"

    def _columns(self) -> list[Column]:
        rows = self.judged
        targets = [j.target for j in rows]

        def asked(key: str) -> list[float]:
            return [math.nan if (value := getattr(t, key)) is None else value for t in targets]

        answers = any(t.answer_s is not None for t in targets)
        return [
            Column("target", [t.name for t in targets], "Target", numeric=False),
            Column("rto_s", asked("rto_s"), "RTO", span),
            Column("clock", [t.clock for t in targets], numeric=False),
            Column("rto_probability", [j.rto for j in rows], "P(RTO)", chance, priority=2),
            Column("rpo_s", asked("rpo_s"), "RPO", span),
            Column("rpo_probability", [j.rpo for j in rows], "P(RPO)", chance, priority=2),
            Column("answer_s", asked("answer_s"), "Answer" if answers else "", span, priority=1),
            Column("answer_probability", [j.answer for j in rows], "P(answer)" if answers else "", chance, priority=2),
            Column("wanted", [t.probability for t in targets], "Asked", percent, priority=3),
            Column("probability", [j.probability for j in rows], "P(all)", chance),
            Column("low", [j.interval[0] for j in rows]),
            Column("high", [j.interval[1] for j in rows]),
            Column("verdict", [j.verdict for j in rows], "Verdict", numeric=False),
            Column("why", [j.why for j in rows], "Why", numeric=False, priority=1),
        ]

    def _notes(self) -> list[str]:
        said = [f"{self.trials:,} trials, each judged by all targets; intervals of {percent(self.confidence)}, one by one."]
        if any(j.target.component for j in self.judged):
            said.append("A component without a step of its own is back no later than the service: RTO can be met by that.")
        if any(j.target.answer_s is not None for j in self.judged):
            said.append("Somebody has answered when the declaration step begins, counted from detection.")
        return said


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
    targets : Target, sequence of Target, or "tiers", "severities", "components"
        Default: the tiers.
    components : mapping of component to step, store, or several of them
        RTO of a component is when the last of its steps ends, RPO is that of the worst of its stores. Default: the
        step or store of its own name. Without a step it is known to be back when the service is, perhaps earlier.

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
    Intervals are Wilson's (1927). RTO from onset and RPO are counted together; RTO on another clock, and answers, apart:
    then the interval runs from what both leave at the worst to the lesser of the two (Bonferroni, Fréchet).

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
    found = {}
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
    inner = {s.fallback for s in runbook.steps if isinstance(s, Step)}
    known = [*(name for name in runbook.names if name not in inner), *(s.name for s in runbook.stores)]
    found = {name: (name,) if name in known else () for name in own}
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
    return book, "" if steps else "RTO: the runbook has no step of it"


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
    n, missing = seen.trials, [no_step] if no_step and target.rto_s is not None else []
    parts, rto, rpo = [], None, None
    if target.rto_s is not None and target.clock not in seen.clocks:
        missing.append(f"RTO: the runbook names no {target.clock} step")
        parts.append(Part(0, n))
    elif target.rto_s is not None:
        times = seen.clocks[target.clock]
        rto = times.within_targets[seen.asked.targets.index(target.rto_s)]
        parts.append(Part(rto, n if no_step else rto))
    if target.rpo_s is not None and not seen.runbook.stores:
        missing.append(NO_STORES if not target.component else "RPO: the runbook has no store of it")
        parts.append(Part(0, n))
    elif target.rpo_s is not None:
        rpo = seen._points[WORST].within_targets[seen.asked.point_targets.index(target.rpo_s)]
        parts.append(Part(rpo, rpo))
    if rto is not None and rpo is not None and target.clock == "onset":
        width = len(seen.asked.point_targets)
        at = seen.asked.targets.index(target.rto_s) * width + seen.asked.point_targets.index(target.rpo_s)
        both = seen.counts["met"][at]
        parts = [Part(both, rpo if no_step else both)]
    answer = None
    if target.answer_s is not None:
        answer = _answered(result, float(target.answer_s))  # type: ignore[arg-type]
        parts.append(Part(0, n) if answer is None else Part(answer, answer))
        missing += ["Answer: the runbook names no declaration step that is not a fallback"] if answer is None else []
    verdict, why, probability, interval = _verdict(parts, target.probability, n, result.confidence, missing)
    rates = [math.nan if hits is None else hits / n for hits in (None if no_step else rto, rpo, answer)]
    return Judged(
        target=target, rto=rates[0], rpo=rates[1], answer=rates[2], probability=probability, interval=interval,
        verdict=verdict, why=why,
    )  # fmt: skip


def _answered(result: Recovery, seconds: float) -> int | None:
    """Trials in which the declaration step begins within so long of detection; None where there is no such step."""
    book = result.runbook
    inner = {s.fallback for s in book.steps if isinstance(s, Step)}
    if book.declaration is None or {book.declaration, book.detection} & inner:
        return None
    if isinstance(book[book.declaration], Step):  # without its own time it ends as it begins
        book = book.with_step(book.declaration, duration=Fixed(0), failure=0.0, fallback=None, capacity=(), loadings={})
    book = replace(book, done=[result.runbook.declaration], stores=(), target_s=None, rpo_target_s=None)
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
        return MET, f"{chance(low)} or more", probability, (low, high)
    if high < wanted:
        return BREACHED, f"{chance(high)} or less", probability, (low, high)
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


__all__ = ["BREACHED", "MET", "UNKNOWN", "Judged", "Judgement", "judge"]
