"""What to collect: accounts, Regions, quotas, how far back, how fast."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeGuard

from .._bridge import number
from ..errors import invalid
from .watched import DEFAULT_WATCH, Watched

DAY_S = 86_400
#: How long CloudWatch keeps samples of a period: up to that period, so many seconds.
RETENTION_S = ((299, 15 * DAY_S), (3599, 63 * DAY_S), (3600, 455 * DAY_S))
STATISTICS = ("Maximum", "Sum", "Average", "Minimum", "SampleCount")
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
        How long an answer is waited for.
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
            if name in WORDS and given == WORDS[name]:
                given = (given,)
            if isinstance(given, str) or not all(isinstance(item, str) for item in given):
                raise invalid(name, "must be a sequence of texts", given)
            object.__setattr__(self, name, tuple(dict.fromkeys(given)))
        for account in self.accounts:
            if self.accounts != (ORGANIZATION,) and not _ACCOUNT.fullmatch(account):
                raise invalid("accounts", f'must be ids of 12 digits, or "{ORGANIZATION}" alone', account)
        for region in self.regions:
            if self.regions != (ALL,) and not is_region(region):
                raise invalid("regions", f'must be names such as "us-east-1", or "{ALL}" alone', region)
        if self.role is not None and (not isinstance(self.role, str) or not _ROLE.fullmatch(self.role)):
            raise invalid("role", "must be the name of an IAM role", self.role)
        number(self.rate, "rate", rule="must be calls a second, at least 0.01", least=0.01)
        for name in ("connect_timeout_s", "read_timeout_s"):
            number(getattr(self, name), name, rule="must be seconds, at least 0.1", least=0.1)
        for name, most in (("workers", 64), ("attempts", 20), ("period_s", 3600)):
            value = getattr(self, name)
            if isinstance(value, bool) or value != int(value) or not 1 <= value <= most:
                raise invalid(name, f"must be a whole number from 1 to {most}", value)
            object.__setattr__(self, name, int(value))
        if self.period_s % 60 or 3600 % self.period_s:
            raise invalid(
                "period_s", "must be whole minutes that divide an hour, such as 60, 300 or 3600", self.period_s
            )
        backfill = number(self.backfill_s, "backfill_s", rule="must be seconds, 0 or more", least=0)
        kept = next(kept for period, kept in RETENTION_S if self.period_s <= period)
        if backfill > kept:
            rule = f"must be at most {kept} with a period of {self.period_s} s: CloudWatch keeps no more"
            raise invalid("backfill_s", rule, self.backfill_s)
        for pattern, statistic in self.statistics.items():
            if statistic not in STATISTICS:
                raise invalid(f"statistics of {pattern}", f"must be {', '.join(STATISTICS)}", statistic)
        _ = self.watched

    @property
    def all_regions(self) -> bool:
        """Whether AWS is asked which Regions there are."""
        return self.regions == (ALL,)

    @cached_property
    def watched(self) -> Watched:
        """Which quotas are collected."""
        return Watched(self.watch, self.deny)


def is_region(name: object) -> TypeGuard[str]:
    """Whether it looks like the name of a Region."""
    return isinstance(name, str) and _REGION.fullmatch(name) is not None
