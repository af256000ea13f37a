"""The store in DynamoDB: the same promises as the embedded one, for several machines at once."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..._bridge import Duration, duration_s, number
from ...errors import InvalidInput, StoreError, invalid
from ...scenario import Scenario
from ..addable import require_samples
from ..anystore import AnyStore, required
from ..backup import StoreBackup
from ..batches import Progress
from ..keys import UNSTATED, Quota, QuotaKey
from ..quotas import is_default, owned
from ..report import ImportReport, SeriesReport, totals
from ..samples import Samples, SampleSet, instant
from ..schema import DAY_S
from ..soundness import StoreCheck
from ..spool import Gathered, Gathering
from ..tally import reports_of
from ..upkeep import KEEP_S, Compaction
from . import usage
from .address import Address
from .book import ItemBook
from .calls import MOST_CHANGED, Calls
from .creating import STORE, create_tables
from .documents import keep, keep_plan, kept, rows_of
from .items import VERSION, Item, Key, quota_id
from .meta import Meta
from .moves import FailoverItems
from .span import Span, version_of
from .upkeep import RE_READ, check_items, compact_items

#: How long whoever comes second tries again.
TIMEOUT_S = 30.0
#: Of an import, so many quotas and days at a time: what is killed has lost no more.
CHUNK = 400
SCENARIOS: Key = ("scenarios", 0)


class DynamoStore(FailoverItems, AnyStore):
    """A store in tables of DynamoDB.

    Parameters
    ----------
    prefix : str
        The beginning of the tables' names; or an address, ``dynamodb://prefix?region=us-east-1``.
    region : str, optional
        Default: that of the address, or of the environment.
    create : bool, default False
        Make the tables where there are none.
    timeout_s : float, default 30
        How long to try again where others are first.

    Raises
    ------
    StoreError
        No such tables, no credentials or rights, no answer, an item that is damaged or of a newer version.
    MissingExtra
        botocore is not installed: ``pip install 'surgetank[aws]'``.

    Notes
    -----
    Any number of processes, on any number of machines, may read and write; one object may be used by several threads,
    each of which has its own transactions. Nothing is locked: what somebody else has changed meanwhile is read, and
    decided on, again. What changes at once is at most 100 items and 4 MB, as DynamoDB has it. A claim takes an item for
    each account and Region, and three more; an import of more than that is written quota by quota and day by day, and
    repeated where it was cut off: the same import twice changes nothing.

    Endpoint, credentials and retries are botocore's, from the environment.
    """

    def __init__(self, prefix: str, region: str = "", *, create: bool = False, timeout_s: Duration = TIMEOUT_S) -> None:
        """Look whether the tables are there."""
        if not isinstance(prefix, str):
            raise invalid("prefix", "must be a text", prefix)
        found = Address.of(prefix) if Address.is_one(prefix) else Address(prefix)
        if region and found.region and region != found.region:
            raise invalid("region", f"must be the address's, {found.region}", region)
        self.address = replace(found, region=region) if region else found
        self._timeout_s = number(timeout_s, "timeout_s", rule="must be seconds, 0 or more", least=0)
        self._calls = Calls(self.address)
        self._of_thread = threading.local()
        self._closed, self._span = False, Span()
        try:
            if create:
                self.was_made = create_tables(self._calls)
            elif self._calls.get("plans", [STORE])[STORE].body is None:
                said = "is not complete: who made it was cut off, or lacked a right; import into it again"
                raise StoreError(f"store {self.address}: {said}")
        except BaseException:
            self._calls.close()
            raise

    @property
    def location(self) -> str:
        """The address."""
        return str(self.address)

    @property
    def schema_version(self) -> int:
        """Version of the items; one that is newer than this surgetank is refused wherever it is read."""
        self._require_open()
        return VERSION

    def close(self) -> None:
        """Close the connections."""
        self._closed = True
        self._calls.close()

    @property
    def _book(self) -> ItemBook:
        return ItemBook(self._now)

    # Usage and quotas.

    def add_samples(self, found: SampleSet, *, progress: Progress | None = None, noted: bool = True) -> ImportReport:
        """Add samples that were read before (`History.samples`); see `import_usage`.

        ``progress`` is called with (series done, series in all); ``noted``: whether `imports` will name it.

        Few enough are added all at once. More are added part by part: who is killed in between, or finds the store
        unreachable, repeats the import, which changes nothing that is there already.
        """
        known = reports_of(found)
        if self._work is not None or _is_small(found):
            made = self.attempt(lambda: self._noted(found, self._added_all(found, known), noted))
            if progress:
                progress(len(known), len(known))
            return made
        version = self.attempt(lambda: self._admitted(found))  # all of it, before any is written
        reports: list[SeriesReport] = []
        for start, end in _parts(found):
            try:
                version, more = self.attempt(partial(self._added_part, found, start, end, known, version))
            except InvalidInput as error:
                if not reports:
                    raise
                said = f"{len(reports):,} of {len(known):,} series are added, before somebody else changed the store"
                raise InvalidInput(f"{error}; {said}", argument=error.argument, rule=error.rule) from error
            reports += more
            if progress:
                progress(len(reports), len(known))
        return self.attempt(lambda: self._noted(found, reports, noted))

    def _added_all(self, found: SampleSet, known: Sequence[SeriesReport]) -> list[SeriesReport]:
        metas = self._agreeing(found)
        self._span.admit(self._now, found, metas)
        return self._added(found, known, metas)

    def _added_part(
        self, found: SampleSet, start: int, end: int, known: Sequence[SeriesReport], version: str
    ) -> tuple[str, list[SeriesReport]]:
        """Add some series. Where somebody else imports as well, the rest of all is looked at again."""
        if (now := version_of(self._now)) != version:
            now = self._admitted(_part(found, start, len(found.keys)))
        part = _part(found, start, end)
        return now, self._added(part, known[start:end], self._agreeing(part))

    def _agreeing(self, found: SampleSet) -> dict[QuotaKey, Meta]:
        """What is known of the quotas of samples; refuses those that disagree with it."""
        metas = self._metas(found.keys)
        quotas = {key: meta.quota for key, meta in metas.items() if meta.quota is not None}
        if any(map(is_default, quotas.values())):  # does it stand for somebody's?
            quotas = {quota.key: quota for quota in owned(self._known(found.units))}
        require_samples(found, quotas, {key: meta.unit for key, meta in metas.items()})
        return metas

    def _admitted(self, found: SampleSet) -> str:
        """Refuse samples that disagree with the store, or fit no grid with the rest; give the version that has them."""
        return self._span.admit(self._now, found, self._agreeing(found))

    def _added(
        self, found: SampleSet, known: Sequence[SeriesReport], metas: Mapping[QuotaKey, Meta]
    ) -> list[SeriesReport]:
        series = [found.series(n) for n in range(len(found.keys))]
        days = [
            (quota_id(key), day)
            for key, (time_s, _) in zip(found.keys, series, strict=True)
            for day in np.unique(time_s // DAY_S).tolist()
        ]
        self._now.get("usage", days)  # all of them in a few calls
        reports = []
        for key, (time_s, value), report in zip(found.keys, series, known, strict=True):
            reports.append(usage.merge(self._now, quota_id(key), time_s, value, report))
            self._put_meta(metas[key], metas[key].with_samples(time_s, found.units.get(key, "")))
        return reports

    def _noted(self, found: SampleSet, reports: Sequence[SeriesReport], noted: bool) -> ImportReport:
        report = replace(found.report, **totals(reports))
        if noted:  # without its series: of thousands, for ever, it is too much
            keep(self._now, "import", {"made": _clock_text(), **replace(report, per_series=()).to_dict()})
        return report

    def keys_with_usage(self) -> tuple[QuotaKey, ...]:
        """The quotas whose usage was imported."""
        with self._snapshot():
            return tuple(meta.key for meta in self._all() if meta.used)

    def last_samples(self) -> dict[QuotaKey, int]:
        """Epoch seconds of the last sample of every quota that has any: where to go on collecting."""
        with self._snapshot():
            return {meta.key: meta.last_s for meta in self._all() if meta.last_s is not None}

    def samples(self, *, progress: Progress | None = None) -> Gathered:
        """Every sample as it was taken; ``progress`` is called with (days read, days read)."""
        with self._snapshot():
            metas = [meta for meta in self._all() if meta.used]
            days = usage.every(self._now, progress)
            gathering = Gathering()
            for meta in metas:
                gathering.add(*usage.together(days.get(meta.item.key[0], [])))
        units = {meta.key: meta.unit for meta in metas if meta.unit}
        found = gathering.done(tuple(meta.key for meta in metas), units, ImportReport(source=""))
        if not len(found):
            raise StoreError(f"store {self.address}: holds no usage yet (surgetank import FILE adds some)")
        return found

    def _quotas(self, names: Container[tuple[str, ...]] | None = None) -> tuple[Quota, ...]:
        with self._snapshot():
            stated = (meta.quota for meta in self._all())
            return tuple(q for q in stated if q is not None and (names is None or q.key[1:] in names))

    def _write_quotas(self, quotas: Mapping[QuotaKey, Quota]) -> None:
        for key, meta in self._metas(quotas).items():
            self._put_meta(meta, replace(meta, quota=quotas[key]))

    def _units(self) -> dict[QuotaKey, str]:
        return {meta.key: meta.unit for meta in self._all() if meta.unit}

    def _known(self, keys: Collection[QuotaKey], told: Iterable[QuotaKey] = ()) -> tuple[Quota, ...]:
        asked = dict.fromkeys((*keys, *(key._replace(account=UNSTATED) for key in keys)))
        found = {key: meta.quota for key, meta in self._metas(asked).items() if meta.quota is not None}
        names = {key[1:] for key in told} | {key[1:] for key, quota in found.items() if is_default(quota)}
        # A default stands beside the values of every account, which nothing short of all quotas tells.
        found |= {quota.key: quota for quota in self._quotas(names)} if names else {}
        return tuple(found.values())

    def _units_of(self, keys: Iterable[QuotaKey]) -> dict[QuotaKey, str]:
        return {key: meta.unit for key, meta in self._metas(keys).items() if meta.unit}

    def _all(self) -> list[Meta]:
        """Every quota, in the order in which they were first written."""
        return sorted(map(Meta.of, self._now.scan("quotas")), key=lambda meta: meta.born)

    def _metas(self, keys: Iterable[QuotaKey]) -> dict[QuotaKey, Meta]:
        keys = list(keys)
        items = self._now.get("quotas", [(quota_id(key),) for key in keys])
        return {key: Meta.of(item) for key, item in zip(keys, items, strict=True)}

    def _put_meta(self, before: Meta, after: Meta) -> None:
        if after != before or not before.born:
            at = self._now.tick()
            # Of a quota that is new, days of usage may be written before the rest of it.
            self._now.put(after.to_item(at), bulk=1, begun=Meta(before.item).to_item(at).body)

    # Scenarios, plans and reports of imports.

    def scenarios(self) -> tuple[Scenario, ...]:
        """The scenarios that plans from this store use."""
        with self._snapshot():
            kept = self._now.scan("scenarios")
            for _ in range(RE_READ):
                if _is_whole(kept):
                    break
                kept = list(self._calls.scan("scenarios"))
            if not _is_whole(kept):
                raise StoreError(f"store {self.address}: is damaged (its scenarios are not one set); save them again")
            return tuple(Scenario(**one.body["scenario"]) for one in sorted(kept, key=lambda one: one.body["order"]))

    def _write_scenarios(self, scenarios: Sequence[Scenario]) -> None:
        # Who replaces them at the same moment may not see the names of these: they meet here, before they look.
        name, last = secrets.token_hex(8), self._now.one("plans", SCENARIOS)
        for item in self._now.scan("scenarios"):
            self._now.put(replace(item, body=None))
        self._now.put(replace(last, body={"set": name}, at=0))
        for order, one in enumerate(scenarios):
            body = {"scenario": one.to_dict(), "order": order, "set": name, "of": len(scenarios)}
            self._now.put(Item("scenarios", (one.name,), body, index={"kind": one.kind}))

    def _write_plan(self, body: Mapping[str, Any]) -> int:
        return keep_plan(self._now, body)

    def plans(self) -> list[dict[str, Any]]:
        """The plans made, newest first: number, made, as_of, status, coverage and body."""
        names = ("made", "as_of", "status", "coverage")
        with self._snapshot():
            return [
                {"number": n, **{name: body[name] for name in names}, "body": body}
                for n, body in kept(self._now, "plan")
            ]

    def requirements(self, region: str, *, least_frac: float = 0.0) -> list[dict[str, Any]]:
        """Rows of the last plan in one Region of which the utilization is at least so much, the highest first.

        Found by an index, which is a moment behind.
        """
        least = number(least_frac, "least_frac", rule="must be a number")
        with self._snapshot():
            return required(rows_of(self._now, region, least), region, least)

    def imports(self) -> list[dict[str, Any]]:
        """The reports of all imports, newest first."""
        with self._snapshot():
            return [body for _, body in kept(self._now, "import")]

    # Upkeep.

    def check(self) -> StoreCheck:
        """Read everything, and say what of it is not what was written; see `Store.check`."""
        self._require_open()
        return check_items(self._calls)

    def backup(self, path: str | os.PathLike[str], *, force: bool = False) -> StoreBackup:
        """Refused: DynamoDB keeps the past of its tables itself."""
        self._require_open()
        said = "is backed up by DynamoDB: its tables keep point-in-time recovery"
        raise StoreError(f"store {self.address}: {said}; nothing was copied")

    def compact(self, *, keep_s: Duration | None = KEEP_S, remove: bool = False) -> Compaction:
        """Remove usage that is older than ``keep_s``, if told to; see `Store.compact`."""
        keep = None if keep_s is None else duration_s(keep_s, "keep_s", above=True)
        self._require_open()
        if self._work is not None:
            raise StoreError(f"store {self.address}: cannot be compacted inside a transaction")
        return compact_items(self._calls, keep, remove)


def _is_whole(kept: Sequence[Item]) -> bool:
    """Whether scenarios are those of one set: who reads while they are replaced may find some of both."""
    return all((one.body["set"], one.body["of"]) == (kept[0].body["set"], len(kept)) for one in kept)


def _days(found: SampleSet, n: int) -> int:
    return len(np.unique(found.series(n)[0] // DAY_S))


def _is_small(found: SampleSet) -> bool:
    """Whether all of it may be one transaction: days, quotas, the report and what goes with it."""
    return len(found.keys) < 50 and sum(_days(found, n) + 1 for n in range(len(found.keys))) < MOST_CHANGED - 5


def _parts(found: SampleSet) -> Iterator[tuple[int, int]]:
    """Series from one number up to another, some of them at a time."""
    start = days = 0
    for n in range(len(found.keys)):
        days += 1 + _days(found, n)
        if days >= CHUNK:
            yield start, n + 1
            start, days = n + 1, 0
    if start < len(found.keys):
        yield start, len(found.keys)


def _part(found: SampleSet, start: int, end: int) -> Samples:
    """Some series of samples."""
    keys = found.keys[start:end]
    series = [found.series(n) for n in range(start, end)]
    return Samples(
        keys=keys,
        code=np.repeat(np.arange(len(keys)), [len(value) for _, value in series]),
        time_s=np.concatenate([time_s for time_s, _ in series]),
        value=np.concatenate([value for _, value in series]),
        units={key: found.units[key] for key in keys if key in found.units},
    )


def _clock_text() -> str:
    return instant(int(time.time())).replace("T", " ").removesuffix("Z")
