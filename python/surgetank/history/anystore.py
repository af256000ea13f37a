"""What every store promises, whatever it is kept in: the methods that are the same, and those each one brings."""

from __future__ import annotations

import abc
import contextlib
import os
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, TypeVar

from .._bridge import Duration, Instant, instant_s
from ..errors import invalid
from ..scenario import Scenario
from .addable import plan_body
from .backup import StoreBackup
from .batches import Progress
from .claims import Claims
from .failovers import Failovers
from .history import History
from .keys import Quota, QuotaKey, check_units, quotas_by_key
from .quotas import completed, owned
from .readers import read, read_samples
from .report import ImportReport
from .samples import SampleSet
from .soundness import StoreCheck
from .spool import Gathered
from .upkeep import KEEP_S, Compaction

#: What is said of who writes inside a snapshot.
READS_ONLY = "nothing can be written, or tried, inside a snapshot; nothing was changed"

_T = TypeVar("_T")
_Self = TypeVar("_Self", bound="AnyStore")


def required(rows: Iterable[Mapping[str, Any]], region: str, least_frac: float) -> list[dict[str, Any]]:
    """Rows of a plan in one Region of which the utilization is at least so much, the highest first."""
    known = [(float(row["utilization"]), row) for row in rows if row["utilization"] is not None]  # "Infinity" is known
    found = [(used, row) for used, row in known if row["region"] == region and used >= least_frac]
    return [dict(row) for _, row in sorted(found, key=lambda one: -one[0])]


class AnyStore(Claims, Failovers, abc.ABC):
    """Usage, quotas, scenarios, plans, reservations and failovers: `Store` in a file, `DynamoStore` in DynamoDB.

    Whoever takes a store takes this.
    """

    #: Whether there was none before, and it stays until somebody deletes it on purpose.
    was_made = False

    def __repr__(self) -> str:
        """Give where it is."""
        return f"{type(self).__name__}({self.location!r})"

    def __enter__(self: _Self) -> _Self:
        """Use the store in a with block; it is closed at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    # What each kind of store brings.

    @property
    @abc.abstractmethod
    def location(self) -> str:
        """Where it is, as a person would write it on the command line."""

    @property
    @abc.abstractmethod
    def schema_version(self) -> int:
        """Version of what is kept."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close it. What was written is there already."""

    @abc.abstractmethod
    def transaction(self) -> contextlib.AbstractContextManager[None]:
        """Everything inside happens, or nothing does; inside another transaction, as part of that one."""

    @abc.abstractmethod
    def attempt(self, work: Callable[[], _T], *, keep: Callable[[_T], bool] = lambda _: True) -> _T:
        """Do something in one transaction, from its beginning again where another process was first.

        Parameters
        ----------
        work : callable
            Reads and writes the store, and gives an answer; nothing else, since it may be called again.
        keep : callable, optional
            Whether the answer is to be kept; else everything is undone, and the answer is given all the same.
        """

    @abc.abstractmethod
    def add_samples(self, found: SampleSet, *, progress: Progress | None = None, noted: bool = True) -> ImportReport:
        """Add samples that were read before (`History.samples`); see `import_usage`.

        ``progress`` is called with (series done, series in all); ``noted``: whether `imports` will name it.
        """

    @abc.abstractmethod
    def keys_with_usage(self) -> tuple[QuotaKey, ...]:
        """The quotas whose usage was imported."""

    @abc.abstractmethod
    def last_samples(self) -> dict[QuotaKey, int]:
        """Epoch seconds of the last sample of every quota that has any: where to go on collecting."""

    @abc.abstractmethod
    def samples(self, *, progress: Progress | None = None) -> Gathered:
        """Every sample as it was taken; ``progress`` is called with how much is read, and how much there is."""

    @abc.abstractmethod
    def scenarios(self) -> tuple[Scenario, ...]:
        """The scenarios that plans from this store use."""

    def save_plan(self, body: Mapping[str, Any]) -> int:
        """Keep a plan as `Plan.to_dict` gives it; give its number. InvalidInput where it is none."""
        made = plan_body(body)
        return self.attempt(lambda: self._write_plan(made))

    @abc.abstractmethod
    def _write_plan(self, body: Mapping[str, Any]) -> int:
        """Write a plan, inside a transaction; give its number."""

    @abc.abstractmethod
    def plans(self) -> list[dict[str, Any]]:
        """The plans made, newest first: number, made, as_of, status, coverage and body."""

    @abc.abstractmethod
    def imports(self) -> list[dict[str, Any]]:
        """The reports of all imports, newest first."""

    @abc.abstractmethod
    def requirements(self, region: str, *, least_frac: float = 0.0) -> list[dict[str, Any]]:
        """Rows of the last plan in one Region of which the utilization is at least so much, the highest first."""

    @abc.abstractmethod
    def check(self) -> StoreCheck:
        """Read everything, and say what of it is not what was written."""

    @abc.abstractmethod
    def backup(self, path: str | os.PathLike[str], *, force: bool = False) -> StoreBackup:
        """Copy it as it is at this moment, where it is not kept elsewhere anyway."""

    @abc.abstractmethod
    def compact(self, *, keep_s: Duration | None = KEEP_S, remove: bool = False) -> Compaction:
        """Remove usage that is older than ``keep_s``, if told to."""

    @abc.abstractmethod
    def _moment(self) -> contextlib.AbstractContextManager[None]:
        """Everything read inside is of one moment; nothing can be written inside."""

    @abc.abstractmethod
    def _snapshot(self) -> contextlib.AbstractContextManager[None]:
        """The same, and what cannot be understood is damage: for what the store itself reads."""

    @abc.abstractmethod
    def _quotas(self, names: Container[tuple[str, ...]] | None = None) -> tuple[Quota, ...]:
        """Every quota, or those of which the last four parts of the key are among the names."""

    @abc.abstractmethod
    def _write_quotas(self, quotas: Mapping[QuotaKey, Quota]) -> None: ...

    @abc.abstractmethod
    def _write_scenarios(self, scenarios: Sequence[Scenario]) -> None: ...

    @abc.abstractmethod
    def _units(self) -> dict[QuotaKey, str]:
        """Units of usage by key, of the series that state one."""

    # What is the same for every store, though one may know a shorter way.

    def _known(self, keys: Collection[QuotaKey], told: Iterable[QuotaKey] = ()) -> tuple[Quota, ...]:
        """Give at least the quotas of these keys and those of no account by the same names; and of every account, those
        by the names of the defaults that are ``told`` or are among them.
        """
        return self._quotas({key[1:] for key in (*keys, *told)})

    def _units_of(self, keys: Iterable[QuotaKey]) -> Mapping[QuotaKey, str]:
        """Units of usage of at least these keys, where one is stated."""
        return self._units()

    def last_by_place(self) -> Callable[[str, Collection[str]], Mapping[QuotaKey, int]]:
        """Give a function of an account and some Regions: those of `last_samples`. All are read once, and kept."""
        places: dict[tuple[str, str], dict[QuotaKey, int]] = {}
        for key, at in self.last_samples().items():
            places.setdefault((key.account, key.region), {})[key] = at
        return lambda account, regions: {k: at for r in regions for k, at in places.get((account, r), {}).items()}

    # What is the same for every store.

    def snapshot(self) -> contextlib.AbstractContextManager[None]:
        """Everything read inside is of one moment, as far as the store can tell.

        Writing inside, or trying to, is a StoreError; but inside a transaction it is a part of that one.
        """
        return self._moment()

    def import_usage(self, source: object, **reading: Any) -> ImportReport:
        """Read usage and add it, all or nothing.

        Of several samples for one instant the maximum is kept, whatever the order of imports: the same import twice
        changes nothing.

        Parameters
        ----------
        source, **reading
            Those of `History.read`; ``negative`` must not be "keep".

        Returns
        -------
        ImportReport
            Every row of the source counted once, also by series; what the store knew before counts as merged or
            conflicting, and gaps are those that are left.

        Raises
        ------
        InvalidInput
            The source cannot be read, or its unit is not that of the usage or quota in the store.
        StoreError
            The store cannot be written: it is as it was.
        """
        if reading.get("negative") == "keep":
            raise invalid("negative", 'must be "refuse" or "missing" for a store', "keep")
        return self.add_samples(read_samples(source, **reading))

    def import_quotas(self, source: object, *, defaults: Iterable[Quota] = (), **reading: Any) -> int:
        """Add or replace quotas, all or nothing.

        What a source does not state (NaN, an empty name) stays as the store knows it.

        Parameters
        ----------
        source : path, binary file, frame, sequence of Quota, or mapping of QuotaKey to number
            Files as `History.read` takes them; of JSON, ``service-quotas list-service-quotas`` and
            ``list-aws-default-service-quotas`` of the AWS CLI.
        defaults : iterable of Quota, optional
            AWS's default values, of no account: they stand beside the applied values of every account, and never
            become values.
        **reading
            ``columns``, ``account``, ``region``, ``service_code``, ``quota_code`` of `History.read`, for files and
            frames.

        Returns
        -------
        int
            How many were added or changed.

        Raises
        ------
        InvalidInput
            A row breaks a rule, a quota is given twice and differs, or a unit is not that of its usage.
        StoreError
            The store cannot be written: it is as it was.
        """
        if isinstance(source, Mapping) or (isinstance(source, Sequence) and not isinstance(source, str)):
            if reading:
                raise invalid(next(iter(reading)), "is for a file or a frame", type(source).__name__)
            given = source
        else:
            found = read(source, holds="quotas", **reading)
            given, defaults = found.quotas, [*defaults, *found.defaults]
        stated, told = quotas_by_key(given), list(defaults)
        if not stated and not told:
            raise invalid("quotas", "must hold at least one quota", source)

        def written() -> int:
            # What else is known of other quotas does not matter, and there may be very many.
            known = {quota.key: quota for quota in self._known(stated, [quota.key for quota in told])}
            quotas = completed(stated, told, known)
            check_units(self._units_of(quotas), quotas)
            self._write_quotas(quotas)
            return len(quotas)

        return self.attempt(written)

    def quotas(self) -> tuple[Quota, ...]:
        """Every quota the store knows; of those that are nobody's, AWS's defaults, what no account has."""
        return owned(self._quotas())

    def history(
        self, *, step_s: Duration | None = None, until: Instant | None = None, progress: Progress | None = None,
        coordination: str | None = None,
    ) -> History:  # fmt: skip
        """Read everything: usage on its grid (see `History.read` for the arguments), quotas, scenarios, reservations.

        Reservations are those of ``until``, by default of the clock's now, see `reserved`. Those of ``coordination``
        are one's own, and left out.
        """
        moment = None if until is None else instant_s(until, "now")
        with self._snapshot():
            found, quotas, scenarios = self.samples(progress=progress), self.quotas(), self.scenarios()
            reserved = self.reserved(but=coordination, at=moment)
        made = History.from_samples(found, quotas=quotas, step_s=step_s, until=until, scenarios=scenarios)
        return replace(made, reserved=reserved)

    def save_scenarios(self, scenarios: Sequence[Scenario]) -> None:
        """Replace the scenarios that plans from this store use."""
        if isinstance(scenarios, str) or not isinstance(scenarios, Sequence):
            raise invalid("scenarios", "must be a sequence of Scenario objects", scenarios)
        names = [s.name if isinstance(s, Scenario) else s for s in scenarios]
        if not all(isinstance(s, Scenario) for s in scenarios) or len(set(names)) != len(names):
            raise invalid("scenarios", "must be Scenario objects of different names", names)
        self.attempt(lambda: self._write_scenarios(scenarios))
