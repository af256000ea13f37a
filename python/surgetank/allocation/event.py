"""In the event: a Region has failed; who takes how much of its load, now?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from .. import _bridge, _core
from .._bridge import Floats
from .._table import Column, Tabular, percent, quantity
from ..errors import InvalidInput, invalid, nearest
from .failures import said

Amounts = Mapping[str, float]


@dataclass(frozen=True)
class Proportional:
    """Share a failed Region's load by what the others have free, without taking all of it.

    Parameters
    ----------
    preferences : mapping of Region to number, optional
        Weight of a Region's usable room; Regions that are not listed have 1, those with 0 take nothing.
    share_cap : share in (0, 1], default 1
        The most of the need that one Region takes.
    room_cap : share in [0, 1], default .8
        The most of a Region's free headroom that is given away.
    multiplier : number ≥ 0, default 1
        The load that moves, relative to what the failed Regions use; read by `evacuate`.

    Raises
    ------
    InvalidInput
        Names the field, the rule and the value.

    Notes
    -----
    Shares are proportional to usable room × preference; what a Region cannot take goes to the others in the same
    proportion, until the need is met or nothing is left. Amounts sum to min(need, what there is) exactly, in any order.

    Examples
    --------
    >>> rule = Proportional({"us-west-2": 1.0, "eu-west-1": 0.5})
    >>> shared = rule.share(90, usage={"us-west-2": 50, "eu-west-1": 50}, quota={"us-west-2": 150, "eu-west-1": 150})
    >>> dict(shared.taken), shared.shortfall
    ({'us-west-2': 60.0, 'eu-west-1': 30.0}, 0.0)
    """

    preferences: Amounts = field(default_factory=dict)
    share_cap: float = 1.0
    room_cap: float = 0.8
    multiplier: float = 1.0

    def __post_init__(self) -> None:
        """Check every field."""
        if not isinstance(self.preferences, Mapping):
            raise invalid("preferences", "must map Regions to weights", self.preferences)
        rule = "must be a finite weight, 0 or more"
        weights = {
            _bridge.name(region, "preferences"): _bridge.number(weight, "preferences", rule=rule, least=0)
            for region, weight in self.preferences.items()
        }
        object.__setattr__(self, "preferences", weights)
        rule = "must be a finite number, 0 or more"
        object.__setattr__(self, "multiplier", _bridge.number(self.multiplier, "multiplier", rule=rule, least=0))
        _bridge.options(_core.ProportionalOptions, self, own=("preferences", "multiplier"))

    def __hash__(self) -> int:
        """Hash by value."""
        return hash((tuple(sorted(self.preferences.items())), self.share_cap, self.room_cap, self.multiplier))

    @staticmethod
    def named(name: str) -> Proportional:
        """One that comes with surgetank, by its name in `NAMED_SHARING`."""
        if not isinstance(name, str) or name not in NAMED_SHARING:
            raise invalid("name", f"must be one of {', '.join(NAMED_SHARING)}", name)
        return NAMED_SHARING[name]

    def share(
        self, need: float, *, usage: Amounts, quota: Amounts, failed: str | Iterable[str] = (),
        reserved: Amounts | None = None,
    ) -> Shared:  # fmt: skip
        """Place a need on the Regions that are left.

        Parameters
        ----------
        need : number
            The load to be placed, ≥ 0, in the quota's unit; `multiplier` is not applied to it.
        usage, quota : mapping of Region to number
            What is used and allowed now. Every Region of ``quota`` that has not failed and whose usage is stated can
            take load; one that uses more than its quota has nothing to give.
        failed : Region or Regions, optional
            They take nothing.
        reserved : mapping of Region to number, optional
            What of the quota is promised to others, and not free. Default: nothing.

        Returns
        -------
        Shared
            ``taken``, ``shortfall``, ``utilization_after``.

        Raises
        ------
        InvalidInput
            Names the argument, the rule and the value. A shortfall is an answer.
        """
        need = abs(_bridge.number(need, "need", rule="must be finite and 0 or more", least=0))
        used, allowed = _amounts(usage, "usage"), _amounts(quota, "quota")
        gone = _failed(failed, {*used, *allowed})
        if missing := [r for r in allowed if r not in used and r not in gone]:
            raise invalid("usage", f"must be stated for every Region that is left; lacks {missing[0]}",
                          list(used))  # fmt: skip
        regions = tuple(r for r in allowed if r not in gone)  # nobody may be left: then all is short
        before, limit = np.array([used[r] for r in regions]), np.array([allowed[r] for r in regions])
        promised = {} if not reserved else _amounts(reserved, "reserved")
        held = np.array([promised.get(r, 0.0) for r in regions])
        free = np.maximum(0.0, limit - before - held)[np.newaxis]
        weights = np.array([[self.preferences.get(r, 1.0) for r in regions]])
        options = _bridge.options(_core.ProportionalOptions, self, own=("preferences", "multiplier"))
        taken, shortfall = _core.share_out(np.array([need]), free, weights, options)
        amounts = taken[0] if regions else np.zeros(0)  # an empty array comes back as None
        return Shared(
            rule=self, failed=gone, regions=regions, need=need, usage=before, quota=limit, reserved=held,
            amounts=amounts, shortfall=float(shortfall[0]),
        )  # fmt: skip

    def evacuate(
        self, failed: str | Iterable[str], *, usage: Amounts, quota: Amounts, reserved: Amounts | None = None
    ) -> Shared:
        """Place what the failed Regions use, times `multiplier`; arguments as for `share`."""
        used = _amounts(usage, "usage")
        gone = _failed(failed, set(used))
        if not gone:
            raise invalid("failed", "must name a Region", failed)
        need = self.multiplier * sum(used[r] for r in gone)
        return self.share(need, usage=used, quota=quota, failed=gone, reserved=reserved)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Shared(Tabular):
    """Who takes how much when a Region fails."""

    rule: Proportional
    failed: tuple[str, ...]
    regions: tuple[str, ...]  #: those that can take load
    need: float  #: what had to be placed
    usage: Floats  #: (R,) before
    quota: Floats
    reserved: Floats  #: (R,) what of it is promised to others
    amounts: Floats  #: (R,) what each takes
    shortfall: float  #: what nobody takes: need − Σ amounts, exactly

    @property
    def taken(self) -> Mapping[str, float]:
        """Region → what it takes."""
        return MappingProxyType(dict(zip(self.regions, self.amounts.tolist(), strict=True)))

    @property
    def utilization_after(self) -> Mapping[str, float]:
        """Region → (usage + taken) / quota, a fraction; inf where there is usage without a quota."""
        return MappingProxyType(dict(zip(self.regions, self._after().tolist(), strict=True)))

    def require_met(self) -> None:
        """Raise `InvalidInput` if anything stays unplaced."""
        if self.shortfall > 0:
            got = f"{quantity(self.shortfall)} of {quantity(self.need)} stay unplaced"
            raise InvalidInput(f"need: must be placed in full (got {got})")

    def _after(self) -> Floats:
        after = self.usage + self.amounts
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(after == 0, 0.0, after / self.quota)

    def _caption(self) -> str:
        placed = f"{quantity(self.need - self.shortfall)} of {quantity(self.need)} are placed"
        short = f"; {quantity(self.shortfall)} stay unplaced" if self.shortfall > 0 else ""
        if not self.failed:
            return f"{placed}{short}"
        alone = len(self.failed) == 1
        return f"{said(self.failed[0] if alone else self.failed)} {'fails' if alone else 'fail'}: {placed}{short}"

    def _notes(self) -> list[str]:
        most = (
            f"no Region takes more than {percent(self.rule.share_cap)} of the need" if self.rule.share_cap < 1 else ""
        )
        given = f"{percent(self.rule.room_cap)} of a Region's free headroom may be given away"
        return [f"{given}{f'; {most}' if most else ''}."]

    def _columns(self) -> list[Column]:
        return [
            Column("region", self.regions, "Region", numeric=False),
            Column("usage", self.usage, "Usage", quantity, priority=2),
            Column("quota", self.quota, "Quota", quantity, priority=2),
            Column("reserved", self.reserved, "Reserved" if (self.reserved > 0).any() else "", quantity, priority=2),
            Column("taken", self.amounts, "Takes", quantity),
            Column("utilization_after", self._after(), "Utilization after", percent),
        ]


def _amounts(given: Amounts, argument: str) -> dict[str, float]:
    if not isinstance(given, Mapping) or not given:
        raise invalid(argument, "must map Regions to amounts", given)
    rule = "must be finite and 0 or more"
    return {
        _bridge.name(region, argument): _bridge.number(amount, argument, rule=f"of {region} {rule}", least=0)
        for region, amount in given.items()
    }


def _failed(given: str | Iterable[str], known: set[str] | Sequence[str]) -> tuple[str, ...]:
    gone = tuple(dict.fromkeys(_bridge.names(given, "failed")))
    for region in gone:
        if region not in known:
            raise invalid("failed", f"must be Regions whose usage is stated{nearest(region, known)}", region)
    return gone


#: Ways of sharing that come with surgetank.
NAMED_SHARING: Mapping[str, Proportional] = MappingProxyType(
    {
        "regional_disaster_recovery": Proportional({"us-west-2": 1.0, "eu-west-1": 0.8}, 1.0, 0.80, 2.0),
        "availability_zone_failure": Proportional({}, 1.0, 0.60, 1.3),
        "traffic_surge": Proportional({"us-west-2": 1.0, "us-east-2": 0.9}, 1.0, 0.90, 3.0),
        "default": Proportional({}, 1.0, 0.70, 1.5),
    }
)
