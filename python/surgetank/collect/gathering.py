"""One account in one Region: its quotas, then their usage. Runs in a worker, and knows no store."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic

import numpy as np

from .._aws import NO_METRIC, Failure, failure_of
from ..history.keys import UNSTATED, Quota, QuotaKey
from ..history.samples import Samples
from .accounts import Accounts
from .clients import Clients
from .counting import COUNTERS
from .metrics import AHEAD_S, Points, Query, Series, fetch, metric_of, scale_of, statistic_of, window
from .planned import CollectPlan
from .quotas import Defaults, Listed, list_quotas, services_there
from .result import Missing
from .utilization import CALLS, reported

#: Account and Region → when each quota there was last sampled, as the store has it.
Last = Callable[[str, str], Mapping[QuotaKey, int]]


@dataclass
class Gathered:
    """What was fetched of one account and Region, and what was not."""

    account: str
    region: str
    quotas: list[Quota] = field(default_factory=list)
    points: Points = field(default_factory=Points)
    missing: list[Missing] = field(default_factory=list)

    def lacks(self, failure: Failure, service: str = "", code: str = "") -> None:
        """Note what is not covered. Of a million quotas, the same names are kept once."""
        self.missing.append(
            Missing(
                account=self.account, region=self.region,
                service_code=sys.intern(service), quota_code=sys.intern(code),
                reason=failure.reason, detail=failure.detail, retryable=failure.retryable,
            )
        )  # fmt: skip

    def samples(self) -> Samples:
        """The samples, as a store takes them; quotas without any are not among them."""
        series = {key: one.merged() for key, one in sorted(self.points.samples.items()) if one}
        units = {quota.key: quota.unit for quota in self.quotas if quota.unit and quota.key in series}
        return Samples(
            tuple(series),
            np.repeat(np.arange(len(series)), [len(one.value) for one in series.values()]).astype(np.int64),
            np.concatenate([np.empty(0, dtype=np.int64), *(one.time_s for one in series.values())]),
            np.concatenate([np.empty(0), *(one.value for one in series.values())]),
            units,
        )


@dataclass(frozen=True)
class Gatherer:
    """What every worker needs: who may be asked for what, up to when, and from when on."""

    plan: CollectPlan
    accounts: Accounts
    now_s: int
    defaults: Defaults = field(default_factory=Defaults)
    began_s: float = field(default_factory=monotonic)  #: when it was ``now_s``, by the clock that only goes on

    def gather(self, account: str, region: str, last: Mapping[QuotaKey, int]) -> Gathered:
        """Ask for everything, of usage what is newer than ``last``; whatever fails is noted, and the rest goes on."""
        found = Gathered(account, region)
        try:
            with self.accounts.clients(account, region) as clients:
                listed = self._quotas(found, clients)
                found.quotas = [one.quota for one in listed]
                counted = self._metrics(found, clients, listed, last)
                self._counts(found, clients, counted)
        except Exception as error:
            found.lacks(failure_of(error))
        return found

    def fresh(self, account: str, region: str, last: Last) -> bool:
        """Whether every quota that is wanted was sampled in the last period that is over, or the one before.

        What was sampled long after now, by a clock that was wrong, is not: it would be so until that moment comes.
        """
        exact = self.plan.watched.exact
        if exact is None:  # which quotas there are is known only to who asks
            return False
        end = window(self.now_s, None, self.plan.period_s, 0)[1]
        oldest = end - 2 * self.plan.period_s
        known = last(account, region)
        keys = ([QuotaKey(account, where, *name) for where in (region, UNSTATED)] for name in exact)
        return all(any(oldest <= known.get(key, oldest - 1) <= end + AHEAD_S for key in both) for both in keys)

    def _quotas(self, found: Gathered, clients: Clients) -> list[Listed]:
        watched = self.plan.watched
        services = list(watched.services)
        if watched.any_service:
            try:
                services += [name for name in services_there(clients, watched) if name not in services]
            except Exception as error:
                found.lacks(failure_of(error))
        listed: list[Listed] = []
        home = found.region == self.accounts.home(found.account)
        for service in services:
            listing = list_quotas(clients, found.account, service, watched, self.defaults, home=home)
            listed += listing.quotas
            for code, failure in listing.failures:
                found.lacks(failure, service, code)
        return listed

    def _metrics(
        self, found: Gathered, clients: Clients, listed: list[Listed], last: Mapping[QuotaKey, int]
    ) -> list[Listed]:
        """Fetch the usage of quotas that have a metric; give those that have none."""
        plan = self.plan
        queries, others = [], []
        end = window(self.now_s, None, plan.period_s, 0)[1]
        for one in listed:
            key, metric = one.quota.key, metric_of(one)
            if metric is None:
                others.append(one)
                continue
            statistic = statistic_of(key, metric, plan.statistics)
            start, _ = window(self.now_s, last.get(key), plan.period_s, plan.backfill_s)
            if start < end:
                queries.append(Query(key, metric, statistic, scale_of(one, statistic, plan.period_s), start))
        found.points = fetch(clients, queries, end, plan.period_s)
        for key, failure in found.points.failures:
            found.lacks(failure, key.service_code, key.quota_code)
        return others

    def _counts(self, found: Gathered, clients: Clients, listed: list[Listed]) -> None:
        """Count the usage of quotas that have no metric, where that can be done."""
        second = self.now_s // self.plan.period_s * self.plan.period_s
        others = []
        for one in listed:
            key = one.quota.key
            counter = COUNTERS.get((key.service_code, key.quota_code))
            if counter is None or key.context_id:
                others.append(key)
                continue
            try:
                found.points.samples[key] = Series.of(second, counter.count(clients))
            except Exception as error:
                found.lacks(failure_of(error), key.service_code, key.quota_code)
        if others:
            self._report(found, clients, others)

    def _report(self, found: Gathered, clients: Clients, keys: list[QuotaKey]) -> None:
        """Take from AWS's own report what has neither metric nor counter; it knows no single resources."""
        lacking = Failure(NO_METRIC, "no way to count it, and not in the utilization report")
        known: dict[tuple[str, str], float] = {}
        made = 0
        try:
            if clients.has(*CALLS[0]):
                now_s = self.now_s + int(monotonic() - self.began_s)  # a large fleet takes hours
                made, known = reported(clients, now_s)
            else:
                lacking = Failure(NO_METRIC, "no way to count it; a newer botocore may know more")
        except Exception as error:
            lacking = failure_of(error)
        period_s = self.plan.period_s
        for key in keys:
            used = None if key.context_id else known.get((key.service_code, key.quota_code))
            if used is None:
                found.lacks(lacking, key.service_code, key.quota_code)
            else:
                found.points.samples[key] = Series.of(made // period_s * period_s, used)
