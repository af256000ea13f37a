"""What came of each policy in each series, and in total."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import _bridge
from .._bridge import Floats
from .._table import freeze
from ..errors import invalid
from .setting import Setting

if TYPE_CHECKING:
    from .replayed import Replayed


@dataclass(frozen=True, kw_only=True, eq=False)
class Totals:
    """Of each policy over all series, (P,) each; NaN where nothing was judged."""

    coverage: Floats  #: share of samples at which usage fitted
    risk: Floats  #: share of moments at which a failover would not have fitted
    failed_days: Floats  #: share of days with such a moment, mean over series
    shortfall_frac: Floats  #: expected shortfall of a failover / average usage; weighted as idle_frac
    idle_frac: Floats  #: idle headroom / average usage; series are weighted by price, alike where none was given
    cost_per_h: Floats  #: of idle headroom, requests and shortage, an hour, all series together
    requests: Floats  #: per series and 30 days
    reversals: Floats  #: per series and 30 days: a request in the other direction than the one before

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Unpickle; NumPy forgets that arrays were read-only."""
        self.__dict__.update(state)
        freeze(state)


@dataclass(frozen=True, kw_only=True, eq=False)
class Figures:
    """Figures per policy and series, (P, N) each, read-only; a moment is a sample at which a failover could begin."""

    policies: tuple[Any, ...]
    setting: Setting
    replayed: Replayed

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Unpickle; NumPy forgets that arrays were read-only."""
        self.__dict__.update(state)
        freeze(state)

    @cached_property
    def _figures(self) -> dict[str, NDArray[Any]]:
        found = self.replayed.figures()
        freeze(found)
        return found

    @property
    def series(self) -> tuple[str, ...]:
        """What the columns are called."""
        return self.setting.world.names

    @property
    def samples(self) -> NDArray[np.int32]:
        """Judged samples at which usage was observed."""
        return self._figures["samples"]

    @property
    def moments(self) -> NDArray[np.int32]:
        """Judged moments: those whose failover is known for at least half of its duration."""
        return self._figures["moments"]

    @property
    def fails(self) -> NDArray[np.int32]:
        """Moments at which a failover would not have fitted."""
        return self._figures["fails"]

    @property
    def coverage(self) -> Floats:
        """Share of samples at which usage fitted in the quota."""
        return frozen(1 - ratio(self._figures["own_short"], self.samples))

    @property
    def risk(self) -> Floats:
        """Share of moments at which a failover would not have fitted."""
        return ratio(self.fails, self.moments)

    @property
    def failover_coverage(self) -> Floats:
        """Share of moments at which a failover would have fitted."""
        return frozen(1 - self.risk)

    @property
    def failed_days(self) -> NDArray[np.int32]:
        """UTC days on which a failover would have failed at some moment."""
        return self._figures["failed_days"]

    @property
    def idle(self) -> Floats:
        """Mean of what the quota leaves free."""
        return ratio(self._figures["idle_sum"], self.samples)

    @property
    def quota(self) -> Floats:
        """Mean quota."""
        return ratio(self._figures["quota_sum"], self.samples)

    @property
    def last_quota(self) -> Floats:
        """The quota in effect at the end; NaN where a policy never had one."""
        return self._figures["last_quota"]

    @property
    def expected_shortfall(self) -> Floats:
        """Mean over moments of what a failover would have lacked at its peak."""
        return ratio(self._figures["short_sum"], self.moments)

    @property
    def max_shortfall(self) -> Floats:
        """The most that a failover would have lacked."""
        return self._figures["max_short"]

    @property
    def requests(self) -> NDArray[np.int32]:
        """How often another quota was asked for."""
        return self._figures["requests"]

    @property
    def reversals(self) -> NDArray[np.int32]:
        """How often the other way than the time before (flapping)."""
        return self._figures["reversals"]

    def pinball(self, quantile: float) -> Floats:
        """Mean pinball loss of the quota as a forecast of that quantile of a failover's peak."""
        tau = _bridge.fraction(quantile, "quantile")
        lost = tau * self._figures["short_sum"] + (1 - tau) * self._figures["spare_sum"]
        return ratio(lost, self.moments)

    def cvar(self, tail: float = 0.05) -> Floats:
        """Mean of what failovers would have lacked at the worst ``tail`` of all moments (conditional value at risk)."""
        frac = _bridge.fraction(tail, "tail")
        if frac == 0:
            raise invalid("tail", "must be a fraction in (0, 1]", tail)
        self.setting.check_unchanged()
        found = self.replayed.figures(cvar_frac=frac)
        return ratio(found["tail_sum"], np.ceil(frac * self.moments))


def frozen(values: Floats) -> Floats:
    """Make it read-only."""
    values.setflags(write=False)
    return values


def ratio(top: NDArray[Any], bottom: NDArray[Any]) -> Floats:
    """Divide; NaN where there is nothing to divide by."""
    with np.errstate(invalid="ignore", divide="ignore"):
        out = np.asarray(top / np.asarray(bottom, dtype=np.float64))
    out[np.asarray(bottom) == 0] = math.nan
    out.setflags(write=False)
    return out
