"""Quotas as Service Quotas lists them: applied values, AWS's defaults, and the metric that says how much is used."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .._aws import MALFORMED, NO_VALUE, Failure, failure_of
from ..history.keys import UNSTATED, Quota, QuotaKey
from .clients import Clients, items
from .watched import Watched

#: Added to the name of a quota whose applied value was not listed, in a list that came whole.
BY_DEFAULT = " (at AWS's default)"
PAGE = 100
#: What CloudWatch takes: dimensions of a metric, and characters of a name or value.
MOST_DIMENSIONS, MOST_TEXT = 30, 1024
_UNIT_S = {
    "MICROSECOND": 1e-6,
    "MILLISECOND": 1e-3,
    "SECOND": 1.0,
    "MINUTE": 60.0,
    "HOUR": 3600.0,
    "DAY": 86_400.0,
    "WEEK": 604_800.0,
}


@dataclass(frozen=True)
class Metric:
    """Where CloudWatch keeps the usage of a quota."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()
    statistic: str = ""  # as AWS recommends; empty: not said


@dataclass(frozen=True)
class Listed:
    """A quota, its usage metric, and the seconds that its value counts by (a rate; NaN for none)."""

    quota: Quota
    metric: Metric | None = None
    per_s: float = math.nan


@dataclass
class Listing:
    """What two lists say of one service, and what went wrong."""

    quotas: list[Listed] = field(default_factory=list)
    failures: list[tuple[str, Failure]] = field(default_factory=list)  # quota code, or empty for the service


class Defaults:
    """AWS's default values, asked for once in a Region, whichever account comes first."""

    def __init__(self) -> None:
        """Begin without any."""
        self._lock = threading.Lock()
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._known: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def of(self, clients: Clients, service: str) -> list[dict[str, Any]]:
        """The default quotas of a service; what one account is denied, the next may be told."""
        name = (clients.region, service)
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            if name not in self._known:
                pages = clients.pages(
                    "service-quotas", "ListAWSDefaultServiceQuotas", ServiceCode=service,
                    PaginationConfig={"PageSize": PAGE},
                )  # fmt: skip
                self._known[name] = [item for page in pages for item in items(page, "Quotas")]
            return self._known[name]

    def forget(self, region: str) -> None:
        """Nobody will ask in that Region again."""
        with self._lock:
            for name in [name for name in self._known if name[0] == region]:
                del self._known[name]


def services_there(clients: Clients, watched: Watched) -> list[str]:
    """The watched services among those that Service Quotas knows in a Region."""
    codes = (str(item.get("ServiceCode") or "") for page in clients.pages("service-quotas", "ListServices")
             for item in items(page, "Services"))  # fmt: skip
    return [code for code in codes if code and watched.takes_part(code)]


def list_quotas(
    clients: Clients, account: str, service: str, watched: Watched, defaults: Defaults, *, home: bool
) -> Listing:
    """The watched quotas of one service in one account and Region; an error ends one list, and not the other.

    Quotas of the account as a whole are left out unless ``home``.
    """
    listing = Listing()
    applied: dict[tuple[str, str], dict[str, Any]] = {}
    standard: dict[tuple[str, str], dict[str, Any]] = {}
    whole = True
    try:
        pages = clients.pages(
            "service-quotas", "ListServiceQuotas", ServiceCode=service, QuotaAppliedAtLevel="ALL",
            PaginationConfig={"PageSize": PAGE},
        )  # fmt: skip
        for page in pages:
            applied |= _by_name(items(page, "Quotas"))
    except Exception as error:
        whole = False
        listing.failures.append(("", failure_of(error)))
    try:
        standard = _by_name(defaults.of(clients, service))
    except Exception as error:
        whole = False
        if ("", failure_of(error)) not in listing.failures:  # both lists fail alike, usually
            listing.failures.append(("", failure_of(error)))
    for name in {**applied, **standard}:
        own, default = applied.get(name), standard.get(name) or standard.get((name[0], ""))
        said = own or default or {}
        if not watched.has(service, name[0]) or (said.get("GlobalQuota") is True and not home):
            continue
        try:
            key = _key(account, clients.region, service, name, said)
            found, failure = _quota(key, own, default or {}, whole)
        except Exception as error:  # whatever one item holds, it must not cost the others
            listing.failures.append((name[0], Failure(MALFORMED, f"{type(error).__name__}: {error}")))
            continue
        listing.quotas.append(found)
        if failure is not None:
            listing.failures.append((name[0], failure))
    return listing


def _by_name(found: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Items by quota code and ContextId; one without a code is none."""
    return {(str(item["QuotaCode"]), _context(item)): item for item in found if isinstance(item.get("QuotaCode"), str)}


def _context(item: Mapping[str, Any]) -> str:
    context = item.get("QuotaContext")
    return str(context.get("ContextId") or "") if isinstance(context, dict) else ""


def _key(account: str, region: str, service: str, name: tuple[str, str], said: Mapping[str, Any]) -> QuotaKey:
    where = UNSTATED if said.get("GlobalQuota") is True else region
    return QuotaKey(account, where, service, *name)


def _quota(
    key: QuotaKey, own: Mapping[str, Any] | None, default: Mapping[str, Any], whole: bool
) -> tuple[Listed, Failure | None]:
    """One quota of both lists; an error where what they say is none."""
    said: Mapping[str, Any] = {**default, **{k: v for k, v in (own or {}).items() if v is not None}}
    reason = (own or {}).get("ErrorReason") or {}
    unit = str(said.get("Unit") or "")
    adjustable = said.get("Adjustable")
    quota = Quota(
        key=key,
        value=_number((own or {}).get("Value")),
        default_value=_number(default.get("Value")),
        unit="" if unit == "None" else unit,
        # Only people read it: neither its length nor half a character in it costs the quota.
        name=str(said.get("QuotaName") or "")[:MOST_TEXT].encode(errors="replace").decode(),
        adjustable=adjustable if isinstance(adjustable, bool) else None,
        is_global=said.get("GlobalQuota") is True,
    )
    failure = None
    if math.isnan(quota.value) and reason:
        failure = Failure(NO_VALUE, f"{reason.get('ErrorCode') or ''}: {reason.get('ErrorMessage') or ''}")
    elif math.isnan(quota.value) and whole and not math.isnan(quota.default_value):
        # Both lists came to their end and nothing else was said: what is not listed is as it was.
        quota = replace(quota, value=quota.default_value, name=f"{quota.name}{BY_DEFAULT}")
    elif math.isnan(quota.value) and whole:
        failure = Failure(NO_VALUE, "neither an applied value nor a default")
    try:
        return Listed(quota, _metric(said.get("UsageMetric")), _per_s(said.get("Period"))), failure
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:  # its value is what it is
        return Listed(quota), failure or Failure(MALFORMED, f"{type(error).__name__}: {error}")


def _number(value: Any, name: str = "Value") -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is a {type(value).__name__}")
    try:
        return float(value)
    except OverflowError:  # an integer of JSON may have thousands of digits
        raise ValueError(f"{name} is beyond the range of float64") from None


def _metric(said: Any) -> Metric | None:
    if not said or not said.get("MetricNamespace") or not said.get("MetricName"):
        return None
    dimensions = tuple(sorted((str(k), str(v)) for k, v in (said.get("MetricDimensions") or {}).items()))
    statistic = str(said.get("MetricStatisticRecommendation") or "")
    texts = (str(said["MetricNamespace"]), str(said["MetricName"]), *(part for pair in dimensions for part in pair))
    # It is asked for together with hundreds of others, and one that CloudWatch does not take would fail them all.
    if len(dimensions) > MOST_DIMENSIONS or not all(0 < len(t) <= MOST_TEXT and t.isprintable() for t in texts):
        raise ValueError("UsageMetric is none that CloudWatch takes")
    return Metric(str(said["MetricNamespace"]), str(said["MetricName"]), dimensions, statistic)


def _per_s(said: Any) -> float:
    if not said or not said.get("PeriodValue") or said.get("PeriodUnit") not in _UNIT_S:
        return math.nan
    seconds = _number(said["PeriodValue"], "PeriodValue") * _UNIT_S[said["PeriodUnit"]]
    if not 0 < seconds < math.inf:
        raise ValueError("PeriodValue must be finite and more than 0")
    return seconds
