"""Over accounts, Regions and services: a bounded number of workers ask, one thread stores."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import TYPE_CHECKING

from .._aws import NOT_STORED, Failure
from .._bridge import Instant, instant_s
from ..errors import InvalidInput, invalid
from ..history.keys import UNSTATED, QuotaKey
from ..history.samples import Samples
from .accounts import Accounts
from .gathering import Gathered, Gatherer, Last
from .planned import CollectPlan
from .result import Collected, Part

#: Accounts and Regions beyond those at work: done and to be stored, or to be begun meanwhile.
WAITING = 2
#: A collection is of 2000-01-01 or later, and before 9999-01-01.
EARLIEST_S, LATEST_S = 946_684_800, 253_370_764_800

if TYPE_CHECKING:
    from ..history.anystore import AnyStore
    from ..history.batches import Progress


def collect(
    store: AnyStore, plan: CollectPlan | None = None, *, now: Instant | None = None, progress: Progress | None = None,
    show_accounts: bool = False,
) -> Collected:  # fmt: skip
    """Fetch quotas and usage from AWS into a store.

    Parameters
    ----------
    store : Store or DynamoStore
        Where to. Each account and Region is stored in a transaction of its own as soon as it is there: who is killed
        and runs again goes on where it was.
    plan : CollectPlan, optional
        What to ask for; default: the usual quotas in the Region and account of the environment.
    now : instant, optional
        Up to when; default: the clock's now. Only periods that are over are asked for.
    progress : callable, optional
        Called with (accounts and Regions done, in all).
    show_accounts : bool, default False
        Whether the result shows whole account ids.

    Returns
    -------
    Collected
        What was fetched, and what was not and why. A partial failure loses nothing that was fetched, and what could not
        be asked for is not known: never zero.

    Raises
    ------
    CollectError
        Nothing could be asked for: no credentials, or the organization's accounts cannot be listed.
    InvalidInput
        A Region that AWS does not have, accounts without a role, or a ``now`` of another age.
    MissingExtra
        botocore is not installed.
    StoreError
        The store cannot be written; what was stored before stays.

    Notes
    -----
    Adds, renames and scales; all else is left to the planner. A quota that an applied list does not hold, where it and
    the list of defaults came to their end, is at AWS's default, and its name says so.
    """
    return collect_into(lambda: contextlib.nullcontext(store), plan, now, progress, show_accounts)


def collect_into(
    opened: Callable[[], contextlib.AbstractContextManager[AnyStore]], plan: CollectPlan | None, now: Instant | None,
    progress: Progress | None, show_accounts: bool,
) -> Collected:  # fmt: skip
    """`collect` into a store that is opened, and maybe made, once it is known who asks for what."""
    plan = plan or CollectPlan()
    now_s = int(time.time()) if now is None else instant_s(now, "now")
    if not EARLIEST_S <= now_s < LATEST_S:  # AWS knows no such moments, and samples would be stored as of them
        raise invalid("now", "must be a moment of the years 2000 to 9998", now_s if now is None else now)
    accounts = Accounts(plan)
    try:
        with opened() as store:
            return _collected(store, plan, accounts, now_s, progress, show_accounts)
    finally:
        accounts.close()


def _collected(
    store: AnyStore, plan: CollectPlan, accounts: Accounts, now_s: int, progress: Progress | None, show_accounts: bool
) -> Collected:
    gatherer = Gatherer(plan, accounts, now_s)
    place = store.last_by_place()

    def last(account: str, region: str) -> Mapping[QuotaKey, int]:
        return place(account, (region, UNSTATED))

    parts = [Part(account=one.account, region="", status="nothing", missing=(one,)) for one in accounts.left_out]
    total = len(parts) + len(accounts.targets)
    asked = []
    for account, region in accounts.targets:
        if gatherer.fresh(account, region, last):
            parts.append(Part(account=account, region=region, status="fresh"))
        else:
            asked.append((account, region))
    left = Counter(region for _, region in asked)
    for found in _gathered(gatherer, asked, last):
        parts.append(_store(store, found))
        left[found.region] -= 1
        if not left[found.region]:
            gatherer.defaults.forget(found.region)
        if progress:
            progress(len(parts), total)
    parts.sort(key=lambda part: (part.account, part.region))
    return Collected(tuple(parts), show_accounts, tuple(accounts.not_enabled))


def _gathered(gatherer: Gatherer, targets: Iterable[tuple[str, str]], last: Last) -> Iterator[Gathered]:
    """Results in the order in which they come. Few wait to be stored: one may hold millions of samples."""
    rest = iter(targets)
    pool = ThreadPoolExecutor(gatherer.plan.workers, thread_name_prefix="surgetank-collect")
    try:
        running: set[Future[Gathered]] = set()
        while True:
            while len(running) < gatherer.plan.workers + WAITING and (target := next(rest, None)) is not None:
                running.add(pool.submit(gatherer.gather, *target, last(*target)))
            if not running:
                return
            done = wait(running, return_when=FIRST_COMPLETED).done.pop()
            running.remove(done)
            yield done.result()
            del done
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _store(store: AnyStore, found: Gathered) -> Part:
    """Store what one account and Region gave, all of it at once; where the store refuses that, quota by quota."""
    try:
        samples = store.attempt(lambda: _put(store, found, found.samples()))
    except InvalidInput:
        samples = _one_by_one(store, found)
    asked = {quota.key for quota in found.quotas}
    with_points = sum(bool(points) for points in found.points.samples.values())
    failed = {(one.service_code, one.quota_code) for one in found.missing}
    silent = sum((key.service_code, key.quota_code) not in failed for key in asked) - with_points
    nothing = not asked and not samples
    return Part(
        account=found.account,
        region=found.region,
        status="nothing" if nothing else "in part" if found.missing else "covered",
        quotas=len(asked),
        series=with_points,
        samples=samples,
        left_out=found.points.left_out,
        no_points=max(0, silent),
        missing=tuple(found.missing),
    )


def _put(store: AnyStore, found: Gathered, samples: Samples) -> int:
    if found.quotas:
        store.import_quotas(found.quotas)
    return store.add_samples(samples, noted=False).added if len(samples.value) else 0


def _one_by_one(store: AnyStore, found: Gathered) -> int:
    """Store each quota by itself: one that disagrees with the store, in its unit say, must not cost the others."""
    added = 0
    for quota in list(found.quotas):
        points = found.points.samples.get(quota.key)
        one = Gathered(found.account, found.region, [quota])
        one.points.samples = {quota.key: points} if points else {}
        try:
            added += store.attempt(partial(_put, store, one, one.samples()))
        except InvalidInput as error:
            found.quotas.remove(quota)
            found.points.samples.pop(quota.key, None)
            found.lacks(Failure(NOT_STORED, str(error)), quota.key.service_code, quota.key.quota_code)
    return added
