"""Who takes how much in each failure that is survived."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._bridge import Floats
from .._table import Column, Tabular, quantity
from .failures import said
from .given import like_load

if TYPE_CHECKING:
    from .result import Allocation


@dataclass(frozen=True, eq=False, repr=False)
class Transfers(Tabular):
    """Who takes how much, failure by failure: ``transfers["us-east-1"]`` is (R, R) or (S, R, R), from row to column.

    By number, by Region, or by a tuple of Regions that fail together. With a history: at the moment that leaves least
    room. Also a table: one row per amount above 0.
    """

    of: Allocation

    def __len__(self) -> int:
        """How many failures there are."""
        return len(self.of.failures)

    def __getitem__(self, failure: object) -> Floats:
        """Give the amounts when that fails."""
        return like_load(self.of.given, self._solved(self.of.failures.find(failure))[0])  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[Floats]:
        """Go through the failures."""
        return (self[i] for i in range(len(self)))

    def __array__(self, dtype: Any = None, copy: Any = None) -> Floats:
        """All of them, shape (F, R, R) or (F, S, R, R)."""
        return np.array(list(self), dtype=dtype or np.float64)

    def unplaced(self, failure: object) -> Any:
        """What stays unplaced when that fails: a number, or (S,)."""
        return like_load(self.of.given, self._solved(self.of.failures.find(failure))[1])

    @cached_property
    def _known(self) -> dict[int, tuple[Floats, Floats]]:
        return {}

    def _solved(self, i: int) -> tuple[Floats, Floats]:
        if i not in self._known:
            given, flat = self.of.given, np.ascontiguousarray(np.reshape(self.of.headroom, -1))
            failed = [list(self.of.failures.members[i])]
            found = [_core.transfers(*given.arrays, flat, s, failed)[0] for s in range(len(given.services))]
            flow = np.stack([f[0] for f in found])
            flow.setflags(write=False)
            self._known[i] = (flow, np.array([f[1] for f in found]))
        return self._known[i]

    def _columns(self) -> list[Column]:
        rows = []
        for i, failure in enumerate(self.of.failures):
            flow = self._solved(i)[0]
            for s, a, b in np.argwhere(flow > 0).tolist():
                names = self.of.regions
                rows.append((said(failure), self.of.services[s], names[a], names[b], flow[s, a, b]))
        columns: list[tuple[Any, ...]] = list(zip(*rows, strict=True)) or [()] * 5
        several = not self.of.given.single
        return [
            Column("failure", columns[0], "When this fails", numeric=False),
            Column("service", columns[1], "Service/quota" if several else "", numeric=False),
            Column("source", columns[2], "From", numeric=False),
            Column("target", columns[3], "To", numeric=False),
            Column("amount", np.array(columns[4], dtype=np.float64), "Amount", quantity),
        ]
