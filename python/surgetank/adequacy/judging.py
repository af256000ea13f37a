"""`adequacy`: when the primary Region fails or surges, is there room for its load? For pipelines."""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .._bridge import Instant, instant_s
from ..allocation.given_history import last_usage
from ..errors import invalid, nearest, printable
from ..history import History, QuotaKey
from . import wording
from .raising import COLLECT, Recommendation, to_collect, to_raise
from .result import FAILED, PASSED, UNKNOWN, WARNING, Adequacy, Case, ScenarioAdequacy
from .room import MOST, TOLERANCE, Ramp, Room, free_of, missing, ramp
from .setting import AdequacyScenario, AdequacyTest

#: Of the need: a shortfall of so much is a warning.
WARNING_FRAC = 0.10
_Group = Mapping[str, QuotaKey]  # Region → the quota there


def adequacy(history: History, test: AdequacyTest, *, now: Instant | None = None) -> Adequacy:
    """Judge, for every quota and scenario, whether the load of the primary Region finds room.

    Parameters
    ----------
    history : History
        With quotas. Of usage the last observed counts, unless it is older than an hour and twelve steps.
    test : AdequacyTest
        Regions, services and scenarios; `AdequacyTest.read` reads one from a file.
    now : instant, optional
        Judge as of that moment. Default: the last sample.

    Returns
    -------
    Adequacy
        ``status``, ``exit_code``, ``scenarios`` with their ``cases``, ``ramps``, ``recommendations``; amounts are in
        each quota's own unit.

    Raises
    ------
    InvalidInput
        Names the argument, the rule and the value. What is not known is no error but UNKNOWN.

    Notes
    -----
    needed = usage of the primary Region × multiplier; available = Σ over the secondary Regions of
    max(0, quota − usage − reserved); an ``az_failure`` stays in its Region, where available = quota − reserved.
    ``passed`` when available ≥ needed (up to a rounding error, 1e-12 of the need), ``warning`` when at most 10 % of
    the need is missing, else ``failed``. Each quota is judged by itself, and each account against its own Regions.

    ``UNKNOWN``, and never passed: quota or usage of the primary Region is not known, or those of every secondary one; a
    service that names no quota; an empty list. Where one secondary of several is not known, it counts as no room: the
    row passes if the others are enough, and says so; if they are not, it is UNKNOWN rather than failed, since the
    unknown one might have room. A quota that is in one of the Regions and not in the primary is a row as well: usage
    that nobody collected is not zero.

    The ramp brings the load in ten equal steps, each split by `Proportional` over all that is free; it ends at the
    first step that does not fit. The naive answer beside it asks every Region for all of the load.

    What is short is recommended to be raised evenly over the secondary Regions whose quota is adjustable, or not known
    not to be, in whole units where quotas and usage are whole: with it the scenario passes.

    Examples
    --------
    >>> import surgetank
    >>> history = surgetank.History.from_array(
    ...     [[60.0, 60.0, 60.0]], start="2026-01-01T00:00Z", step_s=300, quota=100.0, service_code="ec2",
    ...     regions=["us-east-1", "us-west-2", "eu-west-1"],
    ... )
    >>> test = surgetank.AdequacyTest(
    ...     primary_region="us-east-1", secondary_regions=["us-west-2", "eu-west-1"], services=["ec2"],
    ...     scenarios=["regional_failover", "az_failure"],
    ... )
    >>> found = surgetank.adequacy(history, test)
    >>> [(case.scenario, case.status, case.shortfall) for case in found.cases], found.exit_code
    ([('regional_failover', 'failed', 40.0), ('az_failure', 'passed', 0.0)], 2)
    >>> found.cases[0].ramp.stop, found.cases[0].ramp.naive_stop
    (7, 4)
    >>> print(found.recommendations[0].text)
    raise us-west-2 ec2 from 100 to 120 (+20)
    """
    if not isinstance(history, History):
        raise invalid("history", "must be a History", type(history).__name__)
    if not isinstance(test, AdequacyTest):
        raise invalid("test", "must be an AdequacyTest", type(test).__name__)
    if history.signed:
        raise invalid("history", "must be usage of quotas; this one holds a metric that may be negative", "History")
    world = _World(history.until(now).complete())
    groups, left_out = world.groups(test)
    as_of = world.history.time(len(world.history.usage) - 1)
    return Adequacy(
        test=test,
        scenarios=tuple(
            ScenarioAdequacy(
                scenario=scenario,
                cases=tuple(_case(world, test, scenario, service, group) for service, group in groups),
            )
            for scenario in test.listed
        ),
        as_of=as_of if now is None else np.datetime64(instant_s(now, "now"), "s"),
        made=dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
        left_out=left_out,
        lacking=tuple(
            f"no {word} listed"
            for word, names in (
                ("secondary Regions are", test.secondary_regions),
                ("services are", test.services),
                ("scenarios are", test.listed),
            )
            if not names
        ),
    )


class _World:
    """What is known of every quota at the end of a history."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.reserved: Mapping[QuotaKey, float] = history.reserved
        self.usage = dict(zip(history.keys, last_usage(history).tolist(), strict=True))
        self.account_wide = {_nowhere(key) for key, quota in history.quotas.items() if quota.is_global}
        self.several = len({key.account for key in history.keys}) > 1

    def groups(self, test: AdequacyTest) -> tuple[list[tuple[str, _Group]], tuple[str, ...]]:
        """Every quota that a service names, once, with its service; an empty one where a service names none.

        And the names of those that hold for the account, which are left out.
        """
        here = (test.primary_region, *test.secondary_regions)
        regional: dict[QuotaKey, dict[str, QuotaKey]] = {}
        for key in self.history.keys:
            if key.region in here:
                regional.setdefault(_nowhere(key), {})[key.region] = key
        order = sorted(regional, key=lambda key: (key.quota_name, key.account))
        found: list[tuple[str, _Group]] = []
        left_out: dict[str, None] = {}
        seen: set[QuotaKey] = set()
        for service in test.services:
            named = [one for one in order if any(key.matches(service) for key in regional[one].values())]
            left_out |= dict.fromkeys(self.told(one) for one in named if one in self.account_wide)
            named = [one for one in named if one not in self.account_wide]
            found += [(service, regional[one]) for one in named if one not in seen] if named else [(service, {})]
            seen |= set(named)
        return found, tuple(left_out)

    def told(self, key: QuotaKey) -> str:
        """A quota with its account, where there are several."""
        return f"{key.account} {key.quota_name}" if self.several else key.quota_name

    def room(self, region: str, group: _Group, *, in_place: bool) -> Room:
        """What there is in a Region: of its whole quota for a load that is there already, else of what is free."""
        key = group.get(region)
        if key is None:
            return Room(region=region, usage=math.nan, quota=math.nan, reserved=0.0, free=math.nan, adjustable=None)
        quota, usage = self.history.quotas.get(key), self.usage[key]
        value = math.nan if quota is None else quota.value
        reserved = float(self.reserved.get(key, 0.0))
        return Room(
            region=region,
            usage=usage,
            quota=value,
            reserved=reserved,
            free=free_of(value, 0.0 * usage if in_place else usage, reserved),
            adjustable=None if quota is None else quota.adjustable,
            seen=self.seen(key) if math.isnan(usage) else "",
        )

    def seen(self, key: QuotaKey) -> str:
        """When usage that is stale was observed last; empty where it never was."""
        rows = np.flatnonzero(~np.isnan(self.history.usage[:, self.history.keys.index(key)]))
        return f"{self.history.time(int(rows[-1]))}Z" if len(rows) else ""


def _nowhere(key: QuotaKey) -> QuotaKey:
    return key._replace(region="-")


def _case(world: _World, test: AdequacyTest, scenario: AdequacyScenario, service: str, group: _Group) -> Case:
    started = time.perf_counter()
    home = world.room(test.primary_region, group, in_place=True)
    rooms = [home] if group else []
    if group and not scenario.in_place:
        rooms = [world.room(region, group, in_place=False) for region in test.secondary_regions]
    known = [room.free for room in rooms if not math.isnan(room.free)]
    needed = home.usage * scenario.multiplier
    available = math.fsum(known) if known else math.nan
    short = missing(needed, available)
    unknown = tuple(_unknown(world, test, scenario, service, group, home, rooms))
    if not unknown and not needed < MOST:
        unknown = ("The need is beyond what can be computed",)
    climb = Ramp(ramp_s=float(scenario.ramp_s))  # type: ignore[arg-type]
    if needed < MOST and known:
        # Load that is there grows from what it is; one that becomes less is at once what it will be.
        first = min(home.usage, needed) if scenario.in_place else 0.0
        climb = ramp(first, needed, climb.ramp_s, rooms)
    status = _status(needed, short, certain=not unknown, complete=len(known) == len(rooms))
    key = next(iter(group.values()), QuotaKey())
    quota = world.history.quotas.get(key)
    named = key.quota_name if group else service
    return Case(
        scenario=scenario.name, service=service, account=key.account, region=test.primary_region, quota_name=named,
        unit="" if quota is None else quota.unit, usage=home.usage, needed=needed, available=available,
        shortfall=short, status=status, rooms=tuple(rooms), ramp=climb,
        why=wording.why(needed, short, unknown, rooms, climb),
        recommendations=_advice(
            world, test, scenario, service, key if group else None, status, needed, short, home, rooms
        ),
        took_s=time.perf_counter() - started,
    )  # fmt: skip


def _status(needed: float, short: float, *, certain: bool, complete: bool) -> str:
    if not certain or (short and not complete):
        return UNKNOWN
    if not short:
        return PASSED
    return WARNING if short <= (WARNING_FRAC + TOLERANCE) * needed else FAILED


def _unknown(
    world: _World, test: AdequacyTest, scenario: AdequacyScenario, service: str, group: _Group, home: Room,
    rooms: Sequence[Room],
) -> Iterator[str]:  # fmt: skip
    """Why nothing can be said, in sentences."""
    if not group:
        yield _nothing_named(world, test, service)
        return
    if home.lacks:
        yield f"Not known: {home.lacks} of {home.region}"
    if not rooms:
        yield "No secondary Regions are listed"
    elif not scenario.in_place and all(room.lacks for room in rooms):
        yield f"Not known: {'; '.join(f'{room.lacks} of {room.region}' for room in rooms)}"


def _nothing_named(world: _World, test: AdequacyTest, service: str) -> str:
    where = wording.listed([test.primary_region, *test.secondary_regions])
    if any(key.matches(service) for key in world.history.keys):
        if any(key.matches(service) and _nowhere(key) in world.account_wide for key in world.history.keys):
            return f"{printable(service)} names only quotas that hold for the account, not for a Region"
        return f"{printable(service)} names no quota in {where}"
    names = {name for key in world.history.keys for name in (key.service_code, key.quota_name)}
    return f"{printable(service)} names no quota{nearest(service, names)}"


def _advice(
    world: _World, test: AdequacyTest, scenario: AdequacyScenario, service: str, key: QuotaKey | None, status: str,
    needed: float, short: float, home: Room, rooms: Sequence[Room],
) -> tuple[Recommendation, ...]:  # fmt: skip
    if status == PASSED:
        return ()
    if key is None:
        where = wording.listed([test.primary_region, *test.secondary_regions])
        text = f"collect quotas and usage of {printable(service)} in {where}, or name another service"
        return (Recommendation(action=COLLECT, text=text, quota_name=service),)
    whose = f"{key.account} " if world.several else ""
    if status == UNKNOWN:
        places = {room.region: room for room in (home, *rooms)}.values()
        return to_collect(places, whose=whose, account=key.account, quota_name=key.quota_name)
    return to_raise(
        needed, short, rooms, in_place=scenario.in_place, whose=whose, account=key.account, quota_name=key.quota_name
    )
