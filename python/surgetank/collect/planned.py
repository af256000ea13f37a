"""What to collect: accounts, Regions, quotas, how far back, how fast."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeGuard

from .._bridge import names, number
from ..errors import invalid
from .watched import DEFAULT_WATCH, Watched

DAY_S = 86_400
#: How long CloudWatch keeps samples of a period: up to that period, so many seconds.
RETENTION_S = ((299, 15 * DAY_S), (3599, 63 * DAY_S), (3600, 455 * DAY_S))
STATISTICS = ("Maximum", "Sum", "Average", "Minimum", "SampleCount")
#: Longer than any answer takes; the operating system's timers know no number of any size.
MOST_TIMEOUT_S = 3600
ORGANIZATION = "organization"
ALL = "all"
#: What may stand instead of a list.
WORDS = {"accounts": ORGANIZATION, "regions": ALL}
_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}")
_ROLE = re.compile(r"[\w+=,.@/-]{1,512}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class CollectPlan:
    """What `collect` asks for.

    Parameters
    ----------
    accounts : tuple of str, optional
        Account ids; ``("organization",)``: every active account that AWS Organizations lists. Default: the account of
        the credentials.
    role : str, optional
        Name of the role to assume in every account but the credentials' own.
    regions : tuple of str, optional
        ``("all",)``: every Region that is enabled, in each account those that it has enabled. Default: the Region of the
        environment or profile.
    watch, deny : tuple of str, optional
        Patterns, see `Watched`. Default: EC2 On-Demand Standard vCPUs, Lambda concurrency, DB instances, Application and
        Classic Load Balancers.
    backfill_s : float, default 14 days
        How far back usage is asked for where the store has none.
    period_s : int, default 300
        Seconds between samples, from a minute to an hour; 60 s are kept for 15 days by CloudWatch, 5 min for 63.
    workers : int, default 8
        How many accounts and Regions are asked at the same time.
    rate : float, default 10
        Most calls a second to one account in one Region, retries included: AWS counts them there.
    attempts : int, default 6
        How often a call is tried, by botocore's adaptive retries.
    connect_timeout_s, read_timeout_s : float, default 5 and 60
        How long an answer is waited for, at most an hour.
    statistics : mapping of str to str, optional
        Pattern → statistic, where AWS's recommendation is not the right one; see `metrics.STATISTIC_OF`.

    Raises
    ------
    InvalidInput
        An argument breaks a rule, or samples of that period are not kept for as long as is asked for.

    Examples
    --------
    >>> CollectPlan(regions=("us-east-1", "us-west-2")).period_s
    300
    >>> CollectPlan(period_s=60, backfill_s=30 * 86_400)
    Traceback (most recent call last):
    surgetank.errors.InvalidInput: backfill_s: must be at most 1296000 with a period of 60 s: CloudWatch keeps no more (got 2592000)
    """  # noqa: E501

    accounts: tuple[str, ...] = ()
    role: str | None = None
    regions: tuple[str, ...] = ()
    watch: tuple[str, ...] = DEFAULT_WATCH
    deny: tuple[str, ...] = ()
    backfill_s: float = 14 * DAY_S
    period_s: int = 300
    workers: int = 8
    rate: float = 10.0
    attempts: int = 6
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 60.0
    statistics: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check every argument by itself and the period against the back-fill."""
        for name in ("accounts", "regions", "watch", "deny"):
            given = getattr(self, name)
            if isinstance(given, str) and given != WORDS.get(name):
                raise invalid(name, "must be a sequence of texts", given)
            self._set(name, tuple(dict.fromkeys(names(given, name))))
        for account in self.accounts:
            if self.accounts != (ORGANIZATION,) and not _ACCOUNT.fullmatch(account):
                raise invalid("accounts", f'must be ids of 12 digits, or "{ORGANIZATION}" alone', account)
        for region in self.regions:
            if self.regions != (ALL,) and not is_region(region):
                raise invalid("regions", f'must be names such as "us-east-1", or "{ALL}" alone', region)
        if self.role is not None and (not isinstance(self.role, str) or not _ROLE.fullmatch(self.role)):
            raise invalid("role", "must be the name of an IAM role", self.role)
        self._set("rate", number(self.rate, "rate", rule="must be calls a second, at least 0.01", least=0.01))
        for name in ("connect_timeout_s", "read_timeout_s"):
            rule = f"must be seconds from 0.1 to {MOST_TIMEOUT_S}"
            self._set(name, _within(getattr(self, name), name, rule, 0.1, MOST_TIMEOUT_S))
        for name, most in (("workers", 64), ("attempts", 20), ("period_s", 3600)):
            rule = f"must be a whole number from 1 to {most}"
            value = _within(getattr(self, name), name, rule, 1, most)
            if not value.is_integer():
                raise invalid(name, rule, value)
            self._set(name, int(value))
        if self.period_s % 60 or 3600 % self.period_s:
            raise invalid(
                "period_s", "must be whole minutes that divide an hour, such as 60, 300 or 3600", self.period_s
            )
        backfill = number(self.backfill_s, "backfill_s", rule="must be seconds, 0 or more", least=0)
        kept = next(kept for period, kept in RETENTION_S if self.period_s <= period)
        if backfill > kept:
            rule = f"must be at most {kept} with a period of {self.period_s} s: CloudWatch keeps no more"
            raise invalid("backfill_s", rule, self.backfill_s)
        if not isinstance(self.statistics, Mapping):
            raise invalid("statistics", "must be a mapping of patterns to statistics", self.statistics)
        for pattern, statistic in self.statistics.items():
            if not isinstance(pattern, str):
                raise invalid("statistics", 'must have patterns such as "ec2/L-1216C47A" as its keys', pattern)
            if not isinstance(statistic, str) or statistic not in STATISTICS:
                raise invalid(f"statistics of {pattern}", f"must be {', '.join(STATISTICS)}", statistic)
        _ = self.watched

    def _set(self, name: str, value: object) -> None:
        """Replace a field by what was understood; to all others it is frozen."""
        object.__setattr__(self, name, value)

    @property
    def all_regions(self) -> bool:
        """Whether AWS is asked which Regions there are."""
        return self.regions == (ALL,)

    @cached_property
    def watched(self) -> Watched:
        """Which quotas are collected."""
        return Watched(self.watch, self.deny)


def _within(value: object, argument: str, rule: str, least: float, most: float) -> float:
    """A finite float from ``least`` to ``most``."""
    result = number(value, argument, rule=rule, least=least)
    if result > most:
        raise invalid(argument, rule, value)
    return result


def is_region(name: object) -> TypeGuard[str]:
    """Whether it looks like the name of a Region."""
    return isinstance(name, str) and _REGION.fullmatch(name) is not None
