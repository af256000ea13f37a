"""`estimate_recovery`: a runbook, drawn many times."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .. import _bridge, _core
from .._bridge import Duration
from ..errors import invalid
from ..plan import Plan
from .capacity import Capacity, Coupling, coupling
from .compiled import capacity_sets
from .parameters import seed_of
from .result import CLOCKS, Recovery
from .runbook import Runbook, as_runbook
from .times import added, wilson, z_of

#: Trials whose probability fixes how many are needed.
PILOT = 10_000
#: Beyond all others: what they say must not be used twice.
PILOT_FIRST = 1 << 41
#: Between two looks at the progress.
CHUNK = 1 << 21
MOST_TRIALS = 10**12
MOST_AUTO = 10**9
MOST_CONFIDENCE = 1 - 1e-9
RANKS_AT_ONCE = 32


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """What is drawn: all that `estimate_recovery` was given, checked. Calling it draws."""

    runbook: Runbook
    seed: int
    threads: int
    targets: tuple[float, ...]
    point_targets: tuple[float, ...]
    capacity: Capacity | None = None
    coupling: Coupling | None = None

    @cached_property
    def room(self) -> _core.RecoveryCapacity | None:
        """The coupling as the core takes it: of each set of quotas that steps need, what fits, and what is lacking."""
        found, capacity = self.coupling, self.capacity
        if found is None or capacity is None:
            return None
        return found.room(capacity_sets(self.runbook), capacity.lead_time, capacity.denial)  # type: ignore[arg-type]

    def __getstate__(self) -> dict[str, Any]:
        """Pickle what was asked; the core's objects are made again."""
        return {name: value for name, value in self.__dict__.items() if name != "room"}

    def draw(self, first: int, trials: int, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
        """The counts of trials [first, first + trials)."""
        found: Any = None
        for start in range(0, trials, CHUNK) if progress else (0,):
            some = min(CHUNK, trials - start) if progress else trials
            part = self.runbook._model.run(
                seed=self.seed, first=first + start, trials=some, targets=list(self.targets),
                point_targets=list(self.point_targets), threads=self.threads, capacity=self.room,
            )  # fmt: skip
            found = part if found is None else added(found, part)
            if progress:
                progress(start + some, trials)
        drawn: dict[str, Any] = found
        return drawn

    def select(self, first: int, trials: int, clock: int, ranks: Sequence[int]) -> list[float]:
        """Order statistics, exactly."""
        found: list[float] = []
        for at in range(0, len(ranks), RANKS_AT_ONCE):  # each keeps 32 KiB for every thread
            found += self.runbook._model.select(
                seed=self.seed, first=first, trials=trials, threads=self.threads, capacity=self.room, clock=clock,
                ranks=list(ranks[at : at + RANKS_AT_ONCE]),
            )  # fmt: skip
        return found


def estimate_recovery(
    runbook: Runbook,
    *,
    target_s: Duration | None = None,
    rpo_target_s: Duration | None = None,
    clock: str = "onset",
    also_s: Sequence[Duration] = (),
    capacity: Plan | Capacity | None = None,
    trials: int | str = 1_000_000,
    width: float = 0.01,
    seed: int = 0,
    first: int = 0,
    threads: int = 1,
    confidence: float = 0.95,
    progress: Callable[[int, int], None] | None = None,
) -> Recovery:
    """Estimate how likely service is back in time, how long it takes, what data is lost, and what decides.

    Parameters
    ----------
    runbook : Runbook
        What must happen; `shipped_runbook` and `read_runbook` give some.
    target_s, rpo_target_s : seconds or timedelta, optional
        RTO and RPO. Default: the runbook's own.
    clock : "onset", "detection" or "declaration"
        From when on ``target_s`` counts; the runbook names the steps. All clocks are in the result.
    also_s : sequence of seconds
        Further instants whose probability is counted exactly.
    capacity : Plan or Capacity, optional
        The room there is for load that lands: steps with ``capacity`` take a random moment of its history, and what
        does not fit waits for a quota increase. A Plan is ``Capacity(plan)``. Default: room for everything.
    trials : int or "auto"
        "auto": a pilot of 10,000 finds how many give an interval of ``width``; those are drawn afresh.
    width : probability
        Of the interval of P(RTO ≤ target), with "auto".
    seed, first : int
        Trials ``first`` … ``first + trials − 1`` of that seed. Results of different ranges add up: `Recovery.merge`.
    threads : int
        0: all of the machine's. Same bits for any number.
    confidence : probability
        Of the intervals.
    progress : callable, optional
        Called with (trials done, trials in all) about every 2 million trials.

    Returns
    -------
    Recovery
        ``rto``, ``rpo``, ``probability``, ``interval``, ``steps``, ``shortage``; seconds throughout.

    Raises
    ------
    InvalidInput
        Names the argument, the rule and the value. Missing the target is an answer, not an error.

    Notes
    -----
    Every draw is a function of seed, step, attempt and trial (Philox4x32-10; Salmon et al., 2011): runbooks that share
    steps share their luck, so small differences between them can be seen. Calls share no state; the GIL is released.
    Durations have a resolution of 2⁻²³ in probability; what takes longer than 34 years never ends.

    Examples
    --------
    >>> import surgetank
    >>> from surgetank import Fixed, Runbook, Step, Uniform
    >>> runbook = Runbook([
    ...     Step("health check", Fixed(90)),
    ...     Step("dns", Uniform(60, 300), after=["health check"]),
    ...     Step("warm up", Uniform(0, 300), after=["dns"]),
    ... ])
    >>> result = surgetank.estimate_recovery(runbook, target_s=300, trials=1_000_000)
    >>> round(result.probability, 2)
    0.16
    """
    book = as_runbook(runbook)
    known = [name for name in CLOCKS if name == "onset" or getattr(book, name) is not None]
    if not isinstance(clock, str) or clock not in known:
        raise invalid("clock", f"must be one of {', '.join(known)}, for which the runbook names a step", clock)
    target = _target(target_s, "target_s", book.target_s)
    rpo_target = _target(rpo_target_s, "rpo_target_s", book.rpo_target_s)
    if rpo_target is not None and not book.stores:
        raise invalid("rpo_target_s", "is for a runbook with stores, and it has none", rpo_target)
    level = _bridge.fraction(confidence, "confidence", rule="must lie between 0 and 1")
    if not 0 < level <= MOST_CONFIDENCE:
        raise invalid("confidence", f"must lie between 0 and 1, and be at most {MOST_CONFIDENCE:.9f}", confidence)
    if isinstance(also_s, str) or not isinstance(also_s, Iterable):
        raise invalid("also_s", "must be a sequence of seconds", also_s)
    more = [_bridge.duration_s(value, "also_s") for value in also_s]
    if progress is not None and not callable(progress):
        raise invalid("progress", "must be callable", progress)
    room = _capacity(capacity, book)
    asked = Asked(
        runbook=book,
        seed=seed_of(seed),
        threads=_bridge.threads(threads),
        targets=tuple(dict.fromkeys([*([] if target is None else [target]), *more])),
        point_targets=tuple(dict.fromkeys([*([] if rpo_target is None else [rpo_target]), *more])),
        **room,
    )
    start = _bridge.whole(first, "first", "must be a whole number, 0 or more")
    if not 0 <= start <= MOST_TRIALS:
        raise invalid("first", f"must be a whole number in [0, {MOST_TRIALS:g}]", first)
    if isinstance(trials, str) and trials == "auto":
        if target is None:
            raise invalid("trials", '"auto" needs a target_s', trials)
        count = _enough(asked, target, known.index(clock), level, width)
    else:
        count = _bridge.whole(trials, "trials", 'must be a whole number or "auto"')
        if not 1 <= count <= MOST_TRIALS:
            raise invalid("trials", f"must lie in [1, {MOST_TRIALS:g}]", trials)
    return Recovery(
        asked=asked, counts=asked.draw(start, count, progress), ranges=((start, count),), target_s=target,
        rpo_target_s=rpo_target, clock=clock, confidence=level,
    )  # fmt: skip


def _target(given: Duration | None, argument: str, own: Duration | None) -> float | None:
    value = own if given is None else given
    return None if value is None else _bridge.duration_s(value, argument)


def _enough(asked: Asked, target: float, clock: int, confidence: float, width: object) -> int:
    """How many trials make Wilson's interval as narrow as ``width``, by a pilot."""
    wanted = _bridge.number(width, "width", rule="must be a probability above 0", least=0, above=True)
    if wanted >= 1:
        raise invalid("width", "must be below 1", width)
    pilot = asked.draw(PILOT_FIRST, PILOT)
    hits = pilot["clocks"][clock]["within"][asked.targets.index(target)]
    # The end of the pilot's interval that is closer to 1/2 needs more.
    p = min(max(0.5, wilson(hits, PILOT, confidence)[0]), wilson(hits, PILOT, confidence)[1])
    z = z_of(confidence)
    count = math.ceil(4 * z * z * max(p * (1 - p), wanted / 4) / wanted**2)
    if count > MOST_AUTO:
        raise invalid("width", f"must need no more than {MOST_AUTO:,} trials, and needs {count:,}", width)
    return max(PILOT, count)


def _capacity(given: Plan | Capacity | None, runbook: Runbook) -> dict[str, Any]:
    """The coupling of a plan and the runbook's steps."""
    if given is None:
        return {}
    capacity = Capacity(given) if isinstance(given, Plan) else given
    if not isinstance(capacity, Capacity):
        raise invalid("capacity", "must be a Plan or a Capacity", given)
    if not runbook.capacity:
        rule = 'is for a runbook with steps that need it: Step(..., capacity="*")'
        raise invalid("capacity", rule, f"runbook {runbook.name!r}")
    return {"capacity": capacity, "coupling": coupling(capacity, runbook.capacity, runbook.served_target)}
