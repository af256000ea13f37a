"""`compare_runbooks`: what each way to recover costs, and how likely it is in time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from .. import _bridge
from .._bridge import Duration
from .._table import Column, Tabular, percent, quantity, span
from ..errors import invalid, nearest
from ..plan import Plan
from .capacity import Capacity
from .estimate import estimate_recovery
from .result import Recovery
from .runbook import Runbook, as_runbook
from .times import wilson
from .wording import chance


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Comparison(Tabular):
    """Runbooks side by side, the cheapest first and those without a price last; one row for each."""

    results: tuple[Recovery, ...]
    wanted: float  #: the probability that is asked for
    common: bool  #: is the same asked of all of them?

    @property
    def names(self) -> tuple[str, ...]:
        """Of the runbooks, in the order of the rows."""
        return tuple(r.runbook.name for r in self.results)

    @property
    def probability(self) -> tuple[float, ...]:
        """Per runbook P(RTO and RPO in time), of those that have a target; NaN where that is not known."""
        return tuple(math.nan if hits is None else hits / r.trials for r, hits in self._hits())

    @property
    def interval(self) -> tuple[tuple[float, float], ...]:
        """Per runbook its interval (Wilson), of the sampling alone."""
        unknown = (math.nan, math.nan)
        return tuple(unknown if k is None else wilson(k, r.trials, r.confidence) for r, k in self._hits())

    @property
    def dominated_by(self) -> tuple[str, ...]:
        """Per runbook another that costs no more and is in time no less often, and is better in one; or nothing.

        Only where the same is asked of all, and cost and probability are known.
        """
        cost, found = [_cost(r) for r in self.results], self.probability
        return tuple(
            next((self.names[j] for j in range(len(cost)) if self.common and _better(cost, found, j, i)), "")
            for i in range(len(cost))
        )

    def cheapest_meeting(self, probability: float | None = None) -> Recovery | None:
        """The cheapest that is in time with that probability, by the lower end of its interval; None: none is.

        Default: the probability that was asked for. Runbooks without a price, or with an unknown RPO, are left out.
        """
        wanted = self.wanted if probability is None else _bridge.fraction(probability, "probability")
        if all(r.target_s is None for r in self.results):
            raise invalid("target_s", "must be given to be met", None)
        for result, (low, _) in zip(self.results, self.interval, strict=True):
            if low >= wanted and not math.isnan(_cost(result)):
                return result
        return None

    def __getitem__(self, name: str) -> Recovery:
        """Give the estimate of one runbook."""
        if name not in self.names:
            raise invalid("name", f"must be a runbook that was compared{nearest(str(name), self.names)}", name)
        return self.results[self.names.index(name)]

    def _hits(self) -> list[tuple[Recovery, int | None]]:
        return [(r, _in_time(r)) for r in self.results]

    def _caption(self) -> str:
        if all(r.target_s is None for r in self.results):
            return f"{len(self.results)} runbooks"
        cheapest, asked = self.cheapest_meeting(), f"in time with {chance(self.wanted)}"
        if cheapest is None:
            several = [
                r.runbook.name for r, (low, _) in zip(self.results, self.interval, strict=True) if low >= self.wanted
            ]
            if several:  # and none of them has a price
                return f"Known to be {asked}: {', '.join(several)}; what they cost is not"
            return f"None of {len(self.results)} runbooks is known to be {asked}"
        return f"{cheapest.runbook.title or cheapest.runbook.name} is the cheapest that is {asked}"

    def _columns(self) -> list[Column]:
        rows, ends, worse = self.results, self.interval, self.dominated_by
        rpo_asked = any(r.rpo_target_s is not None for r in rows)
        asked = any(r.target_s is not None for r in rows)

        def targets(key: str) -> list[float]:
            return [math.nan if (value := getattr(r, key)) is None else value for r in rows]

        return [
            Column("runbook", self.names, "Runbook", numeric=False),
            Column("title", [r.runbook.title for r in rows], numeric=False),
            Column("strategy", [r.runbook.strategy for r in rows], "Strategy", numeric=False, priority=5),
            Column("cost_usd_per_month", [_cost(r) for r in rows], "$ a month", quantity),
            Column("target_s", targets("target_s"), "" if self.common else "RTO", span, priority=1),
            Column("rto_probability", [r.probability for r in rows], "P(RTO)" if asked else "", chance, priority=2),
            Column("rpo_target_s", targets("rpo_target_s"), "" if self.common or not rpo_asked else "RPO", span),
            Column("rpo_probability", [r.rpo_probability for r in rows], "P(RPO)" if rpo_asked else "", chance),
            Column("probability", self.probability, "P(in time)" if asked else "", chance),
            Column("low", [low for low, _ in ends], "from" if asked else "", chance, priority=3),
            Column("high", [high for _, high in ends], "to" if asked else "", chance, priority=3),
            Column("p50_s", [float(r.rto.quantile(0.5)) for r in rows], "P50", span, priority=4),
            Column("p99_s", [float(r.rto.quantile(0.99)) for r in rows], "P99", span, priority=4),
            Column("never", [r.never for r in rows], "Never", percent, priority=1),
            Column("dominated_by", worse, "No better than" if any(worse) else "", numeric=False, priority=2),
        ]

    def _notes(self) -> list[str]:
        said = []
        first = self.results[0]
        if self.common and first.target_s is not None:
            rpo = {r.rpo_target_s for r in self.results if r.rpo_target_s is not None}
            also = f", and has lost at most {span(rpo.pop())} of data" if rpo else ""
            said.append(f"In time: service is back within {span(first.target_s)}{also}.")
        elif not self.common:
            said.append("Each is held to its own targets, so prices are not weighed against probabilities.")
        if none := [r.runbook.name for r in self.results if r.rpo_target_s is not None and r.rpo is None]:
            said.append(f"Without stores the RPO is not known: {', '.join(none)}.")
        if free := [r.runbook.name for r in self.results if r.asked.coupling is None and r.runbook.capacity]:
            said.append(f"Room for the load that lands is assumed: {', '.join(free)}.")
        said.append(f"{first.trials:,} trials each, seed {first.seed}; steps of the same name share their luck.")
        return said


def compare_runbooks(
    runbooks: Sequence[Runbook],
    *,
    target_s: Duration | None = None,
    rpo_target_s: Duration | None = None,
    capacity: Plan | Capacity | None = None,
    trials: int = 100_000,
    seed: int = 0,
    threads: int = 1,
    probability: float = 0.95,
    confidence: float = 0.95,
) -> Comparison:
    """Put runbooks side by side: what each costs, and how likely it is in time.

    Parameters
    ----------
    runbooks : sequence of Runbook
        With different names. Steps and stores of the same name share their luck, so that small differences show.
    target_s, rpo_target_s : seconds or timedelta, optional
        RTO from onset, and RPO, of all of them. Default: each runbook's own.
    capacity : Plan or Capacity, optional
        The room there is; for those whose steps need some.
    trials, seed, threads, confidence
        As for `estimate_recovery`, of each.
    probability : probability, default .95
        What is enough; `Comparison.cheapest_meeting`.

    Returns
    -------
    Comparison
        Sorted by cost: ``results``, ``probability``, ``interval``, ``dominated_by``, ``cheapest_meeting()``. Where an
        RPO is asked and a runbook has no stores, whether it is in time is not known.

    Raises
    ------
    InvalidInput
        Names the argument, the rule and the value. That none is good enough is an answer, not an error.

    Examples
    --------
    >>> from surgetank import shipped_runbook
    >>> names = ["backup-restore", "pilot-light", "warm-standby", "active-active"]
    >>> found = compare_runbooks([shipped_runbook(name) for name in names], target_s=3600, rpo_target_s=300)
    >>> found.cheapest_meeting().runbook.name
    'pilot-light'
    """
    if isinstance(runbooks, str | Mapping | Runbook) or not isinstance(runbooks, Iterable):
        raise invalid("runbooks", "must be a sequence of Runbook", runbooks)
    books = [as_runbook(book) for book in runbooks]
    if not books:
        raise invalid("runbooks", "must be at least one", "none")
    for i, book in enumerate(books):
        if book.name in {other.name for other in books[:i]}:
            raise invalid("runbooks", "must have different names", book.name)
    if capacity is not None and not any(book.capacity for book in books):
        raise invalid("capacity", 'is for runbooks with steps that need it: Step(..., capacity="*")', "none of them")
    rpo = None if rpo_target_s is None else _bridge.duration_s(rpo_target_s, "rpo_target_s")
    wanted = _bridge.fraction(probability, "probability", rule="must be a probability in [0, 1]")
    found = []
    for book in books:
        room = capacity if book.capacity else None
        result = estimate_recovery(
            book if book.stores else replace(book, rpo_target_s=None), target_s=target_s,
            rpo_target_s=rpo if book.stores else None, capacity=room, trials=trials, seed=seed, threads=threads,
            confidence=confidence,
        )  # fmt: skip
        # What is asked of a runbook without stores is asked all the same, and not known to be kept.
        asked = book.rpo_target_s if rpo is None else rpo
        found.append(result if book.stores or asked is None else replace(result, rpo_target_s=float(asked)))  # type: ignore[arg-type]
    found.sort(key=lambda r: (math.isnan(_cost(r)), _cost(r)))
    common = len({(r.target_s, r.rpo_target_s) for r in found}) == 1
    return Comparison(results=tuple(found), wanted=wanted, common=common)


def _cost(result: Recovery) -> float:
    cost = result.runbook.cost_usd_per_month
    return math.nan if cost is None else cost


def _in_time(result: Recovery) -> int | None:
    """Trials that keep all that is asked; None: nothing is asked of RTO, or an RPO that nothing is known of."""
    if result.target_s is None or (result.rpo_target_s is not None and result.rpo is None):
        return None
    if result.rpo_target_s is None:
        return result.rto.within_targets[result.asked.targets.index(result.target_s)]
    return round(result.both_probability * result.trials)


def _better(cost: Sequence[float], found: Sequence[float], a: int, b: int) -> bool:
    """Does ``a`` cost no more, and keep no less, and differ? NaN compares as no."""
    return cost[a] <= cost[b] and found[a] >= found[b] and (cost[a], found[a]) != (cost[b], found[b])


__all__ = ["Comparison", "compare_runbooks"]
