"""Which Regions fail: "N-1", "N-2", "N-3", or sets by name; as the core counts them and as people name them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np

from .._bridge import names
from ..errors import invalid, nearest
from ..scenario import fail_together

Failure = str | tuple[str, ...]  # a Region, or Regions that fail together
Failures = str | Iterable[str | Iterable[str]]
MOST_TOGETHER = 3


@dataclass(frozen=True)
class FailureList(Sequence[Failure]):
    """The failures that are survived, in order: a Region's name, or a tuple of those that fail together."""

    regions: tuple[str, ...]
    any: int  # any so many Regions; 0: `sets`
    sets: tuple[tuple[int, ...], ...] = ()

    @staticmethod
    def of(failures: Failures, regions: tuple[str, ...], together: Iterable[Iterable[str]] = ()) -> FailureList:
        """Read what the caller asks for. ``together``: Regions of which none fails without the others."""
        groups = _groups(together, regions)
        k = fail_together(failures)
        if k is None:
            if isinstance(failures, str) and failures not in regions:
                words = ("N-1", "N-2", "N-3", *regions)
                rule = f'must be "N-1", "N-2", "N-3" or sets of Regions{nearest(failures, words)}'
                raise invalid("failures", rule, failures)
            sets = _sets([failures] if isinstance(failures, str) else failures, regions, "failures")
            if not sets:
                raise invalid("failures", "must name at least one failure", failures)
            whole = [tuple(sorted({r for f in s for r in next((g for g in groups if f in g), (f,))})) for s in sets]
            return FailureList(regions, 0, _checked(dict.fromkeys(whole), regions))
        if not 1 <= k <= MOST_TOGETHER:
            raise invalid("failures", f'of any k Regions must be "N-1" to "N-{MOST_TOGETHER}"', failures)
        domains = len(regions) - sum(len(g) - 1 for g in groups)
        if k >= domains:
            rule = f"must leave at least one of {domains} Regions" + (" that fail apart" if groups else "")
            raise invalid("failures", rule, failures)
        if not groups:
            return FailureList(regions, k)
        first = {g[0]: g for g in groups}
        rest = {r for g in groups for r in g[1:]}
        units = [first.get(r, (r,)) for r in range(len(regions)) if r not in rest]
        sets = [tuple(sorted(itertools.chain(*chosen))) for chosen in itertools.combinations(units, k)]
        return FailureList(regions, 0, tuple(sets))

    def __len__(self) -> int:
        """How many there are."""
        return math.comb(len(self.regions), self.any) if self.any else len(self.sets)

    def __iter__(self) -> Iterator[Failure]:
        """Go through them in order."""
        return (self.label(members) for members in self.members)

    @overload
    def __getitem__(self, i: int) -> Failure: ...
    @overload
    def __getitem__(self, i: slice) -> tuple[Failure, ...]: ...
    def __getitem__(self, i: int | slice) -> Failure | tuple[Failure, ...]:
        """Give the name of one of them, or of some."""
        if isinstance(i, slice):
            return tuple(self.label(members) for members in self.members[i])
        return self.label(self.members[i])

    @cached_property
    def members(self) -> tuple[tuple[int, ...], ...]:
        """The numbers of the Regions of each."""
        return self.sets or tuple(itertools.combinations(range(len(self.regions)), self.any))

    def label(self, members: Iterable[int]) -> Failure:
        """Name a set of Regions."""
        failed = tuple(self.regions[r] for r in members)
        return failed[0] if len(failed) == 1 else failed

    def find(self, failure: object) -> int:
        """Which of them that is: its number, its Region, or its Regions in any order."""
        if isinstance(failure, int | np.integer) and not isinstance(failure, bool):
            if not -len(self) <= failure < len(self):
                raise invalid("failure", f"must be one of {len(self)} failures", failure)
            return int(failure) % len(self)
        wanted = tuple(sorted(_region(name, self.regions, "failure") for name in names(failure, "failure")))
        try:
            return self.members.index(wanted)
        except ValueError:
            raise invalid("failure", "must be one of the failures that were asked for", failure) from None

    @property
    def word(self) -> str:
        """What is survived, in words."""
        if self.any:
            return "the loss of any Region" if self.any == 1 else f"the loss of any {self.any} Regions"
        return "the loss of " + " or ".join(said(f) for f in list(self)[:4]) + (" …" if len(self) > 4 else "")


def said(failure: Failure | None) -> str:
    """A failure for a person: one Region, or several joined by a plus."""
    return "–" if failure is None else failure if isinstance(failure, str) else " + ".join(failure)


def _region(name: str, regions: tuple[str, ...], argument: str) -> int:
    try:
        return regions.index(name)
    except ValueError:
        raise invalid(argument, f"must name Regions that are there{nearest(name, regions)}", name) from None


def _sets(given: Iterable[str | Iterable[str]], regions: tuple[str, ...], argument: str) -> list[tuple[int, ...]]:
    try:
        items = list(given)
    except TypeError:
        raise invalid(argument, "must be sets of Regions", given) from None
    sets = []
    for item in items:
        members = tuple(_region(name, regions, argument) for name in names(item, argument))
        if not members or len(set(members)) != len(members):
            raise invalid(argument, "must be sets of different Regions, none empty", item)
        sets.append(tuple(sorted(members)))
    return sets


def _groups(together: Iterable[Iterable[str]], regions: tuple[str, ...]) -> list[tuple[int, ...]]:
    groups = _sets([together] if isinstance(together, str) else together, regions, "together")
    if alone := [g for g in groups if len(g) == 1]:
        raise invalid("together", "must be groups of at least two Regions", [regions[r] for r in alone[0]])
    flat = list(itertools.chain(*groups))
    if len(set(flat)) != len(flat):
        twice = next(r for r in flat if flat.count(r) > 1)
        raise invalid("together", "must name a Region at most once", regions[twice])
    return groups


def _checked(sets: Iterable[tuple[int, ...]], regions: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    for members in sets:
        if len(members) == len(regions):
            raise invalid("failures", "must leave at least one Region", [regions[r] for r in members])
    return tuple(sets)
