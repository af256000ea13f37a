"""What a plan is asked to survive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .. import _bridge
from ..errors import invalid
from ..history import History
from .failures import FailureList, Failures
from .given import eligible_shares
from .given_history import MOMENTS, PerQuota, one_can_help, services
from .result import Allocation
from .survive import allocate


def _kept(given: Iterable[str | Iterable[str]], argument: str) -> tuple[str | Iterable[str], ...]:
    try:
        return tuple(item if isinstance(item, str) else tuple(item) for item in given)
    except TypeError:
        raise invalid(argument, "must be sets of Regions", given) from None


@dataclass(frozen=True)
class Survive:
    """Which failures a plan must survive, and on what terms; the fields are `allocate`'s."""

    failures: Failures = "N-1"
    together: Iterable[Iterable[str]] = ()
    critical: float = 1.0
    share_cap: float = 1.0
    eligible: Mapping[str, Iterable[str]] | None = None
    at: str = "history"

    def __post_init__(self) -> None:
        """Check what can be checked without Regions."""
        if not isinstance(self.failures, str):  # iterators are read once
            object.__setattr__(self, "failures", _kept(self.failures, "failures"))
        object.__setattr__(self, "together", _kept(self.together, "together"))
        _bridge.fraction(self.critical, "critical")
        _bridge.fraction(self.share_cap, "share_cap")
        if self.at not in MOMENTS:
            raise invalid("at", f"must be one of {', '.join(MOMENTS)}", self.at)
        if self.eligible is not None and not isinstance(self.eligible, Mapping):
            raise invalid("eligible", "must map Regions to lists of Regions", self.eligible)

    def check(self, regions: Sequence[str]) -> None:
        """Refuse what these Regions cannot be asked: names that are not among them, too many to fail."""
        FailureList.of(self.failures, tuple(regions), self.together)
        eligible_shares(self.eligible, tuple(regions))

    def applies(self, history: History) -> bool:
        """Whether any quota is known in two Regions, so that one can help another."""
        return one_can_help(services(history.complete(), self.at)[0])

    def of(self, history: History, cost: PerQuota = 1.0) -> Allocation:
        """Allocate for a History."""
        return allocate(
            history, None, cost, failures=self.failures, together=self.together, critical=self.critical,
            share_cap=self.share_cap, eligible=self.eligible, at=self.at,
        )  # fmt: skip
