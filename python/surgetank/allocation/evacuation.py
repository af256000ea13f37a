"""`evacuate`: Regions have failed; for every quota, who takes how much of what they use now?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from .. import _bridge
from .._table import Column, Tabular, percent, quantity
from ..errors import InvalidInput, invalid, nearest, printable
from ..history import History
from .event import Proportional, Shared
from .failures import said
from .given import eligible_shares
from .given_history import last_usage, places


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Evacuation(Tabular):
    """Who takes how much of every quota when Regions fail."""

    failed: tuple[str, ...]
    shared: dict[str, Shared]  #: by service: the quota, whatever the Region
    left_out: tuple[str, ...]  #: quotas whose usage or value is not known
    eligible: bool = False  #: not every Region may take from every other
    unknown: tuple[str, ...] = ()  #: services of which a failed Region's usage or quota is not known

    @property
    def shortfall(self) -> dict[str, float]:
        """What stays unplaced, by service."""
        return {name: shared.shortfall for name, shared in self.shared.items()}

    def require_met(self) -> None:
        """Raise `InvalidInput` if anything stays unplaced, or is not known."""
        if self.unknown:
            got = printable(", ".join(self.unknown))
            raise InvalidInput(f"evacuate: what a failed Region uses must be known (got no usage or quota of {got})")
        if short := [f"{quantity(amount)} of {name}" for name, amount in self.shortfall.items() if amount > 0]:
            raise InvalidInput(
                printable(f"evacuate: every load must be placed in full (got {', '.join(short)} unplaced)")
            )

    def _caption(self) -> str:
        short = sum(amount > 0 for amount in self.shortfall.values())
        count = len(self.shared)
        fit = f"{short} of {count} quotas do not fit" if short else f"all {count} quotas that are known fit"
        if count == 1:
            fit = "the one quota that is known does not fit" if short else "the one quota that is known fits"
        elif not count:
            fit = "no load is known"
        fails = "fails" if len(self.failed) == 1 else "fail"
        fit += f", {len(self.unknown)} unknown" if self.unknown else ""
        return f"{said(self.failed if len(self.failed) > 1 else self.failed[0])} {fails} now: {fit}"

    def _notes(self) -> list[str]:
        lines = [
            f"{name}: {quantity(s.shortfall)} of {quantity(s.need)} stay unplaced."
            for name, s in self.shared.items()
            if s.shortfall > 0
        ]
        for shared in list(self.shared.values())[:1]:
            lines += shared._notes()
            if shared.rule.multiplier != 1:
                lines.append(f"What moves is {quantity(shared.rule.multiplier)} × what is used now.")
        if self.eligible:
            lines.append("No Region takes what any failed one may not send it.")
        if self.left_out:
            more = f" and {len(self.left_out) - 5} more" if len(self.left_out) > 5 else ""
            named = ", ".join(self.left_out[:5])
            lines.append(f"Not counted, because quota or usage of the last hour is not known: {named}{more}.")
        return lines

    def _columns(self) -> list[Column]:
        rows = [(name, s, i) for name, s in self.shared.items() for i in range(len(s.regions))]
        held = np.array([s.reserved[i] for _, s, i in rows])
        after = [s.utilization_after[s.regions[i]] for _, s, i in rows]
        return [
            Column("service", [name for name, _, _ in rows], "Service/quota", numeric=False),
            Column("region", [s.regions[i] for _, s, i in rows], "Region", numeric=False),
            Column("usage", np.array([s.usage[i] for _, s, i in rows]), "Usage", quantity, priority=2),
            Column("quota", np.array([s.quota[i] for _, s, i in rows]), "Quota", quantity, priority=2),
            Column("reserved", held, "Reserved" if (held > 0).any() else "", quantity, priority=2),
            Column("taken", np.array([s.amounts[i] for _, s, i in rows]), "Takes", quantity),
            Column("utilization_after", after, "Utilization after", percent),
            Column("need", np.array([s.need for _, s, _ in rows])),
            Column(
                "shortfall",
                np.array([s.shortfall for _, s, _ in rows]),
            ),
        ]


def evacuate(
    history: History,
    failed: str | Iterable[str],
    rule: Proportional | str | None = None,
    *,
    eligible: Mapping[str, Iterable[str]] | None = None,
) -> Evacuation:
    """Share out what failed Regions use now, quota by quota, over what the others have free.

    Parameters
    ----------
    history : History
        With quotas, of which what is reserved is not free. The last observed usage counts, unless it is older than an
        hour and twelve steps: then it says nothing, and the quota is left out.
    failed : Region or Regions
        They fail together.
    rule : Proportional or a name of `NAMED_SHARING`, optional
        How loads are shared. Default ``Proportional()``: at most .8 of a Region's free headroom is given away.
    eligible : mapping of Region to Regions, optional
        Where each may send its load; of several that fail, only what all of them may use takes any.

    Returns
    -------
    Evacuation
        ``shared`` by quota, ``shortfall``, ``left_out``.

    Raises
    ------
    InvalidInput
        Names the argument, the rule and the value. A shortfall is an answer.

    Examples
    --------
    >>> import surgetank
    >>> usage = surgetank.History.from_array(
    ...     [[60.0, 30.0]], start="2026-01-01T00:00Z", step_s=300, regions=["us-east-1", "us-west-2"], quota=100.0
    ... )
    >>> list(surgetank.evacuate(usage, "us-east-1").shortfall.values())
    [4.0]
    """
    if not isinstance(history, History):
        raise invalid("history", "must be a History", type(history).__name__)
    rule = Proportional() if rule is None else Proportional.named(rule) if isinstance(rule, str) else rule
    if not isinstance(rule, Proportional):
        raise invalid("rule", "must be Proportional(...)", rule)
    gone = tuple(dict.fromkeys(_bridge.names(failed, "failed")))
    if not gone:
        raise invalid("failed", "must name a Region", failed)
    for region in gone:
        if region not in history.regions:
            raise invalid("failed", f"must name Regions of the history{nearest(region, history.regions)}", region)
    may = eligible_shares(eligible, history.regions)
    for region in gone:  # what it may use of itself is of no matter
        may[history.regions.index(region), history.regions.index(region)] = 1
    history = history.complete()
    usage = last_usage(history)
    known, left_out = places(history, ~np.isnan(usage))
    column = {key: i for i, key in enumerate(history.keys)}
    split = (entry.partition("/") for entry in left_out)
    unknown = tuple(dict.fromkeys(name for region, _, name in split if region in gone))
    shared = {}
    for name, keys in known.items():
        used = {key.region: float(usage[column[key]]) for key in keys}
        sources = [r for r in gone if r in used]
        if name in unknown or not sources:
            continue
        allowed = {
            key.region: history.quotas[key].value
            for key in keys
            if all(may[history.regions.index(source), history.regions.index(key.region)] for source in sources)
        } or {sources[0]: 0.0}
        held = {key.region: history.reserved.get(key, 0.0) for key in keys}
        shared[name] = rule.evacuate(sources, usage=used, quota=allowed, reserved=held)
    if not shared and not unknown:
        raise invalid("failed", "must have a quota whose value and usage of the last hour are known", list(gone))
    return Evacuation(failed=gone, shared=shared, left_out=left_out, unknown=unknown, eligible=eligible is not None)
