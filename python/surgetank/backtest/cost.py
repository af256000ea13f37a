"""What headroom, requests and shortage cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _bridge
from .._bridge import Floats
from .._table import for_json
from ..errors import invalid


@dataclass(frozen=True, kw_only=True, eq=False)
class Cost:
    """Prices of a policy, in one currency.

    Parameters
    ----------
    per_unit_h : number or one for each series, optional
        Of a unit of idle headroom, for an hour. Default: such that the average usage of each series costs 1 an hour, so
        that quotas of different units can be added up and cost is in multiples of usage.
    per_request : float ≥ 0, default 0
        Of a request for another quota.
    per_short_unit_h : number or one for each series, default 0
        Of a unit of usage above the quota, for an hour. Failovers, which may never come, have no price: ask for a risk.

    Raises
    ------
    InvalidInput
        Names the option, the rule and the value.
    """

    per_unit_h: ArrayLike | None = None
    per_request: float = 0.0
    per_short_unit_h: ArrayLike = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no price, now."""
        object.__setattr__(
            self, "per_request", _bridge.number(self.per_request, "per_request", rule="must be 0 or more", least=0)
        )
        for name in ("per_unit_h", "per_short_unit_h"):
            given = getattr(self, name)
            if given is None and name == "per_unit_h":
                continue
            prices = np.array(_bridge.numbers(given, name))  # the run's own, whatever becomes of the caller's
            if not (prices >= 0).all() or np.isinf(prices).any():
                raise invalid(name, "must be finite and 0 or more", prices[~(prices >= 0) | np.isinf(prices)].flat[0])
            prices.setflags(write=False)
            object.__setattr__(self, name, prices)

    def __eq__(self, other: object) -> bool:
        """Are the prices the same?"""
        return isinstance(other, Cost) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        """Of the prices."""
        return hash(repr(self.to_dict()))

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse prices that are not one for each series, now."""
        self.held(shape, np.ones(max(1, math.prod(shape))))
        self.short(shape)

    def held(self, shape: tuple[int, ...], mean_usage: Floats) -> Floats:
        """(N,) the price of a unit and hour; by usage where none was given."""
        if self.per_unit_h is None:
            # Of denormal usage the price would exceed double: such a series weighs as one that was never used.
            return np.divide(1.0, mean_usage, out=np.zeros(len(mean_usage)), where=mean_usage > 1 / np.finfo(float).max)
        return _bridge.per_series(self.per_unit_h, "per_unit_h", shape)

    def short(self, shape: tuple[int, ...]) -> Floats:
        """(N,) the price of a unit short and hour."""
        return _bridge.per_series(self.per_short_unit_h, "per_short_unit_h", shape)

    def to_dict(self) -> dict[str, Any]:
        """Every price as a plain value."""
        given = {"per_unit_h": self.per_unit_h, "per_short_unit_h": self.per_short_unit_h}
        plain = {k: v.tolist() if isinstance(v, np.ndarray) else for_json(v) for k, v in given.items()}
        return {**plain, "per_request": self.per_request}
