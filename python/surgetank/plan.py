"""The spine: history → spikes → headroom → a plan that says, quota by quota, whether a failover fits."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ._bridge import Duration, Floats, Instant, instant_s, number
from ._table import Column, Tabular, percent
from .allocation import Allocation, Survive
from .errors import invalid, nearest
from .headroom import CRITICAL_FRAC, WARNING_FRAC, Headroom, JointFit, Policy, size_headroom
from .history import History, Quota, QuotaKey
from .scenario import Scenarios

#: From worst to best; a plan's status is the worst of its rows.
STATUSES = ("CRITICAL", "UNKNOWN", "WARNING", "OK")
#: The columns of the headroom table that a plan shows, in its order.
IDENTITY = ("account", "service_code", "quota_code", "context_id", "quota_name", "region", "unit")
FIGURES = (
    "usage",
    "quota",
    "reserved",
    "available",
    "need",
    "needed",
    "attribution",
    "utilization",
    "day_utilization",
    "status",
    "shortfall",
)


@dataclass(frozen=True)
class Thresholds:
    """Utilization, as a fraction, from which a quota's status is WARNING and CRITICAL; both inclusive."""

    warning_frac: float = WARNING_FRAC
    critical_frac: float = CRITICAL_FRAC

    def __post_init__(self) -> None:
        """Refuse thresholds out of order."""
        number(self.warning_frac, "warning_frac", rule="must be above 0", least=0, above=True)
        rule = f"must be at least warning_frac {self.warning_frac:g}"
        number(self.critical_frac, "critical_frac", rule=rule, least=self.warning_frac)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Plan(Tabular):
    """What every quota needs, what it has, and what follows. One row per quota, sorted by quota, then Region."""

    keys: tuple[QuotaKey, ...]
    quotas: tuple[Quota | None, ...]  #: what is known of each; None: usage without a quota
    headroom: Headroom  #: the figures, shape (K,)
    as_of: np.datetime64  #: the moment the plan is for (UTC)
    made: str  #: when it was computed, ISO 8601 UTC
    step_s: float
    allocation: Allocation | None = None  #: the cheapest headroom that survives; None: not asked, or nowhere to go
    history: History | None = None  #: what it was computed from, a column per row, as of `as_of`; in no table

    @property
    def status(self) -> str:
        """The worst status of any row: CRITICAL, UNKNOWN, WARNING or OK."""
        found = set(self.headroom.status)
        return next((s for s in STATUSES if s in found), "UNKNOWN")

    @property
    def coverage(self) -> float:
        """The share of quotas whose status is known, a fraction."""
        return float(np.mean(self.headroom.status != "UNKNOWN"))

    @property
    def skipped(self) -> tuple[str, ...]:
        """Shipped scenarios whose Regions are not in the plan."""
        return self.headroom.skipped

    @property
    def joint(self) -> tuple[JointFit, ...]:
        """Does each event fit everywhere at once? Worst first; empty without events."""
        return tuple(sorted(self.headroom.joint, key=lambda j: (math.isnan(j.fits_frac), j.fits_frac, -j.risk_bound)))

    @property
    def probability_fits(self) -> float:
        """P(the failover fits): the share of past moments from which every quota holds, in the worst event."""
        return self.headroom.probability_fits

    def beside(self, other: Plan) -> Beside:
        """Both plans in one table: the same quotas by two policies."""
        if not isinstance(other, Plan):
            raise invalid("other", "must be a Plan", other)
        same = self.keys == other.keys and all(
            np.array_equal(getattr(self.headroom, name), getattr(other.headroom, name), equal_nan=True)
            for name in ("usage", "quota", "reserved")
        )
        if not same:
            raise invalid("other", "must be a plan of the same quotas at the same moment", f"as of {other.as_of}Z")
        return Beside(plans=(self, other))

    def rows(self, *statuses: str) -> list[dict[str, Any]]:
        """Rows as dictionaries, all or those of the given statuses, worst first."""
        columns = self._columns()
        names = [c.name for c in columns]
        rows = [dict(zip(names, values, strict=True)) for values in zip(*(c.values for c in columns), strict=True)]
        chosen = [row for row in rows if not statuses or row["status"] in statuses]
        return sorted(chosen, key=lambda row: (STATUSES.index(row["status"]), -float(np.nan_to_num(row["shortfall"]))))

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values ready for JSON; see `surgetank.report.plan_dict`."""
        from .report import plan_dict

        return plan_dict(self)

    def to_json(self, *, indent: int | None = 2) -> str:
        """JSON text with ``schema_version``; unknown numbers are null, unbounded ones the text "Infinity"."""
        from .report import plan_json

        return plan_json(self, indent=indent)

    def _caption(self) -> str:
        from .report import caption

        return caption(self)

    def _notes(self) -> list[str]:
        from .report import notes

        return notes(self)

    def _columns(self) -> list[Column]:
        h, keys = self.headroom, self.keys
        several = len({key.account for key in keys}) > 1
        units = [q.unit if q else "" for q in self.quotas]
        exported = [c for c in h._columns() if c.name not in FIGURES and c.name not in ("series", "reason")]
        visible = {c.name: c for c in h._columns()}
        identity = [
            Column("account", [k.account for k in keys], "Account" if several else "", numeric=False, priority=3),
            Column("service_code", [k.service_code for k in keys], numeric=False),
            Column("quota_code", [k.quota_code for k in keys], numeric=False),
            Column("context_id", [k.context_id for k in keys], numeric=False),
            Column("quota_name", [k.quota_name for k in keys], "Service/quota", numeric=False),
            Column("region", [k.region for k in keys], "Region", numeric=False),
            Column("unit", units, "Unit" if any(units) else "", numeric=False, priority=7),
        ]
        figures = [visible[name] for name in FIGURES if name in visible]
        extra = [Column("age_s", h.age_s), Column("spikes", h.spikes), Column("reason", h.reason, numeric=False)]
        return identity + figures + exported + extra


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Beside(Tabular):
    """Two plans of the same quotas side by side."""

    plans: tuple[Plan, Plan]

    def _caption(self) -> str:
        return " | ".join(f"{label}: {p._caption()}" for label, p in zip(self._names()[1], self.plans, strict=True))

    def _notes(self) -> list[str]:
        assumed = [p.headroom.policy.assumption(p.headroom) for p in self.plans]
        return [f"{label}: {text}" for label, text in zip(self._names()[1], assumed, strict=True)]

    def _columns(self) -> list[Column]:
        first = {c.name: c for c in self.plans[0]._columns()}
        columns = [first[name] for name in (*IDENTITY, "usage", "quota", "reserved", "available")]
        for name, label, one in zip(*self._names(), self.plans, strict=True):
            own = {c.name: c for c in one._columns()}
            for field in ("needed", "shortfall", "status"):
                header = f"{own[field].header} ({label})"
                priority = {"shortfall": 6, "needed": 3}.get(field, 0)
                columns.append(replace(own[field], name=f"{field}_{name}", header=header, priority=priority))
        return columns

    def _names(self) -> tuple[list[str], list[str]]:
        """Give what tells the two plans apart, for programs and for people: the policy, or else its risk."""
        policies = [p.headroom.policy for p in self.plans]
        names = [policy.name for policy in policies]
        if names[0] != names[1]:
            return names, names
        numbered = [f"{name}_{n}" for n, name in enumerate(names, 1)]
        risks = [getattr(policy, "risk", None) for policy in policies]
        return numbered, numbered if risks[0] == risks[1] else [f"risk {percent(r)}" for r in risks if r is not None]


def plan(
    history: object,
    quotas: object = None,
    scenarios: Scenarios = None,
    *,
    policy: Policy | None = None,
    thresholds: Thresholds | Mapping[str, Thresholds] | None = None,
    costs: Mapping[str, float] | None = None,
    stale_after_s: Duration | None = None,
    now: Instant | None = None,
    survive: Survive | str | None = "N-1",
    **reading: Any,
) -> Plan:
    """Plan: what must each quota keep free, is it there, and what decides it?

    Parameters
    ----------
    history : History, or whatever `History.read` takes
        What was used.
    quotas : optional
        What is allowed: a path, a frame, Quota objects or a mapping. Default: the history's own. A quota without
        usage, and usage without a quota, is a row with status UNKNOWN.
    scenarios : sequence of Scenario or str, optional
        What may fail; ``"N-1"``, ``"N-2"``, ``"shipped"``. Default: the history's own.
    policy : QuantilePolicy, ClassicPolicy or RulePolicy, optional
        How much headroom is needed. Default ``QuantilePolicy()``.
    thresholds : Thresholds, or mapping of pattern to Thresholds, optional
        From which utilization status changes. Patterns are as for ``costs``, the last that matches counts.
    costs : mapping of pattern to price per unit, optional
        Patterns name quotas as ``ec2``, ``ec2/L-1216C47A``, ``us-east-1/ec2/*``; see `QuotaKey.matches`.
    stale_after_s : float (seconds) or timedelta, optional
        An older last sample makes a quota UNKNOWN. Default: the longer of 1 h and 12 steps.
    now : instant, optional
        Plan for that moment; later samples are ignored (of a History, later steps). Default: the last sample.
    survive : Survive or "N-1", "N-2", "N-3", default "N-1"
        What the allocation must survive: of what was observed, the cheapest headroom, wherever load may go. None: no
        allocation; neither where no quota is known in two Regions.
    **reading
        Options of `History.read`, where ``history`` is not a History.

    Returns
    -------
    Plan
        ``table()``, ``to_pandas()``, ``to_json()``, ``status``, ``coverage``, ``allocation``.

    Raises
    ------
    InvalidInput
        Names the argument, the rule and the value. Missing headroom is an answer, not an error.

    Examples
    --------
    >>> import surgetank
    >>> usage = surgetank.History.from_array(
    ...     [[60.0, 30.0]], start="2026-01-01T00:00Z", step_s=300, regions=["us-east-1", "us-west-2"], quota=100.0
    ... )
    >>> surgetank.plan(usage, scenarios="N-1").status
    'CRITICAL'
    """
    # collect ─▶ history
    if not isinstance(history, History):
        history = History.read(history, until=now, **reading)
    elif reading:
        raise invalid("reading", "options are for sources that are not a History yet", ", ".join(reading))
    if quotas is not None:
        history = history.with_quotas(quotas)
    if not history.quotas:
        raise invalid("quotas", "must be given: the history holds none (surgetank import QUOTAS.csv adds some)", None)
    history = history.complete()
    keys = history.keys

    # ─▶ detect ─▶ size
    by_quota = _thresholds(keys, thresholds)
    prices = _costs(keys, costs)
    headroom = size_headroom(
        history,
        policy=policy,
        scenarios=history.scenarios if scenarios is None else scenarios,
        cost_per_unit=prices,
        warning_frac=[t.warning_frac for t in by_quota],
        critical_frac=[t.critical_frac for t in by_quota],
        stale_after_s=stale_after_s,
        now=now,
    )

    # ─▶ allocate
    known = history.until(now)
    allocation = allocation_of(known, survive, costs)

    # ─▶ report
    as_of = history.time(len(history.usage) - 1) if now is None else np.datetime64(instant_s(now, "now"), "s")
    return Plan(
        keys=keys,
        quotas=tuple(history.quotas.get(key) for key in keys),
        headroom=headroom,
        as_of=as_of,
        made=dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
        step_s=history.step_s,
        allocation=allocation,
        history=known,
    )


def allocation_of(
    history: History, survive: Survive | str | None, prices: Mapping[str, float] | None
) -> Allocation | None:
    """What survives at least cost; None where that is not asked, or no Region could help another."""
    if survive is None:
        return None
    asked = survive if isinstance(survive, Survive) else Survive(survive)
    if not asked.applies(history):
        return None
    there = {p: price for p, price in (prices or {}).items() if any(key.matches(p) for key in history.keys)}
    return asked.of(history, there or 1.0)


def _thresholds(keys: Sequence[QuotaKey], given: Thresholds | Mapping[str, Thresholds] | None) -> list[Thresholds]:
    if given is None or isinstance(given, Thresholds):
        return [given or Thresholds()] * len(keys)
    if not isinstance(given, Mapping) or not all(isinstance(value, Thresholds) for value in given.values()):
        raise invalid("thresholds", "must be Thresholds(...), or map patterns to them", given)
    result = [Thresholds()] * len(keys)
    for pattern, value in given.items():
        for i in matching(keys, pattern, "thresholds"):
            result[i] = value
    return result


def _costs(keys: Sequence[QuotaKey], given: Mapping[str, float] | None) -> Floats:
    if given is not None and not isinstance(given, Mapping):
        raise invalid("costs", "must map patterns to prices", given)
    result = np.zeros(len(keys))
    for pattern, price in (given or {}).items():
        for i in matching(keys, pattern, "costs"):
            result[i] = number(price, "costs", rule=f"of {pattern} must be 0 or more", least=0)
    return result


def matching(keys: Sequence[QuotaKey], pattern: str, argument: str) -> list[int]:
    """Which keys a pattern names; one that names none is a mistake, and an error."""
    if not isinstance(pattern, str):
        raise invalid(argument, "must be patterns", pattern)
    found = [i for i, key in enumerate(keys) if key.matches(pattern)]
    if not found:
        names = {name for key in keys for name in (key.service_code, key.quota_name, f"{key.region}/{key.quota_name}")}
        raise invalid(argument, f"must name a quota of the plan{nearest(pattern, names)}", pattern)
    return found
