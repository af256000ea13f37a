"""What a headroom policy is: something that sizes every quota of a case, and can say why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from .. import _core
from .._bridge import Floats
from ..scenario import Scenario
from .world import World

if TYPE_CHECKING:
    from ..history import History
    from .result import Headroom

DAY_S = 86400.0
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """What a policy sizes: the world as it was known at one moment, and what may fail in it."""

    world: World
    rows: int  # samples at or before now
    scenarios: tuple[Scenario, ...]
    clock: _core.Clock
    quotas: _core.Quotas

    def looked_at(self, history_s: float) -> tuple[int, int]:
        """Give the first step of the last ``history_s`` before now, and the one after the last."""
        return self.world.first_of(self.rows, history_s - self.clock.age_s), self.rows

    def last(self, seconds: float) -> Floats:
        """Give the samples of the last ``seconds`` before now."""
        return self.world.last(self.rows, seconds - self.clock.age_s)


@runtime_checkable
class Policy(Protocol):
    """How much headroom is needed. Frozen dataclasses; one in each module beside this one."""

    name: ClassVar[str]  #: as TOML and the command line call it

    @property
    def history_s(self) -> Any:
        """How many seconds of the past it looks at."""
        ...

    def size(self, case: Case) -> dict[str, Any]:
        """Give the fields of `Headroom` that this policy knows, flat: one value per quota."""
        ...

    def sentence(self, row: Row) -> str:
        """Why this number, and why this status: one plain sentence or two for a row of `Headroom` fields."""
        ...

    def assumption(self, headroom: Headroom) -> str:
        """Say what was made of the scenarios, so that nobody reads more into a plan than it says."""
        ...

    def explain(self, headroom: Headroom, history: History, row: int) -> list[str]:
        """Walk one number from samples to headroom; ``history`` has a column for each row of ``headroom``."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Every option as a plain value, with the policy's name."""
        ...
