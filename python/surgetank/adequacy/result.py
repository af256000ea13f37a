"""What an adequacy test found: every quota in every scenario, the ramp, and what to do."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .._table import Column, Tabular, for_json, quantity, span
from ..errors import InvalidInput, invalid, nearest
from . import wording
from .raising import Recommendation, together
from .room import Ramp, Room
from .setting import AdequacyScenario, AdequacyTest

PASSED, WARNING, FAILED, UNKNOWN = "passed", "warning", "failed", "UNKNOWN"
#: Worst first: of several statuses the first of these is that of the whole. The exit codes are those of `check`.
EXIT_CODES = {FAILED: 2, UNKNOWN: 3, WARNING: 1, PASSED: 0}
#: Version of the JSON. It changes when a field changes meaning or leaves, not when one is added.
SCHEMA_VERSION = 1


def worst(statuses: Iterable[str]) -> str:
    """The status of a whole; UNKNOWN of nothing at all."""
    found = set(statuses)
    return next((status for status in EXIT_CODES if status in found), UNKNOWN)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One quota in one scenario. Amounts are in the quota's unit, NaN where they are not known."""

    scenario: str
    service: str  #: the service or pattern of the test that names the quota
    account: str
    region: str  #: the primary Region
    quota_name: str  #: such as ``ec2/L-1216C47A``; of a service that names no quota, the service
    unit: str
    usage: float  #: what the primary Region uses
    needed: float  #: that times the multiplier
    available: float  #: what there is for it, as far as it is known
    shortfall: float  #: what does not fit; 0 where all does
    status: str  #: "passed", "warning", "failed" or "UNKNOWN"
    why: str  #: in a sentence or two
    rooms: tuple[Room, ...]  #: of the secondary Regions; of the primary where the load stays there
    ramp: Ramp
    recommendations: tuple[Recommendation, ...]
    took_s: float  #: how long the judgement took

    @property
    def where(self) -> str:
        """Account, where it is stated, and quota."""
        return self.quota_name if self.account == "-" else f"{self.account} {self.quota_name}"

    def to_dict(self) -> dict[str, Any]:
        """Give plain values, the ramp and what to do included."""
        plain = {key: for_json(value) for key, value in self.__dict__.items() if key not in _PARTS}
        ramp = {
            "ramp_s": self.ramp.ramp_s,
            "stops_at_step": self.ramp.stop,
            "stops_after_s": for_json(self.ramp.stop_s),
            "naive_stops_at_step": self.ramp.naive_stop,
            "naive_stops_after_s": for_json(self.ramp.naive_stop_s),
            "steps": [asdict(step) for step in self.ramp.steps],
        }
        return {
            **plain,
            "regions": [{key: for_json(value) for key, value in asdict(room).items()} for room in self.rooms],
            "ramp": ramp,
            "recommendations": [one.to_dict() for one in self.recommendations],
        }


_PARTS = ("rooms", "ramp", "recommendations")


@dataclass(frozen=True, kw_only=True)
class ScenarioAdequacy:
    """One scenario: all of its quotas."""

    scenario: AdequacyScenario
    cases: tuple[Case, ...]

    @property
    def status(self) -> str:
        """The worst of its quotas."""
        return worst(case.status for case in self.cases)

    @property
    def took_s(self) -> float:
        """How long its judgement took."""
        return math.fsum(case.took_s for case in self.cases)

    def to_dict(self) -> dict[str, Any]:
        """Give plain values."""
        return {**self.scenario.to_dict(), "status": self.status, "cases": [case.to_dict() for case in self.cases]}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Adequacy(Tabular):
    """Whether the load of the primary Region finds room in every scenario; one row for each scenario and quota."""

    test: AdequacyTest
    scenarios: tuple[ScenarioAdequacy, ...]
    as_of: np.datetime64  #: the moment it holds for (UTC)
    made: str  #: when it was judged (UTC)
    left_out: tuple[str, ...]  #: quotas that hold for the account and not for a Region
    lacking: tuple[str, ...]  #: which lists of the test are empty, in sentences: then it is UNKNOWN at best

    @property
    def cases(self) -> tuple[Case, ...]:
        """Every quota in every scenario."""
        return tuple(case for one in self.scenarios for case in one.cases)

    @property
    def status(self) -> str:
        """The worst of the scenarios: "failed" before "UNKNOWN" before "warning" before "passed"."""
        return worst([*(one.status for one in self.scenarios), *(UNKNOWN for _ in self.lacking)])

    @property
    def exit_code(self) -> int:
        """0 passed, 1 warning, 2 failed, 3 UNKNOWN, as of `check`."""
        return EXIT_CODES[self.status]

    @property
    def because(self) -> str:
        """Why the exit code is what it is."""
        return wording.because(self)

    @property
    def recommendations(self) -> tuple[Recommendation, ...]:
        """What to do so that every scenario passes: of several raises of one quota the highest."""
        return together(one for case in self.cases for one in case.recommendations)

    @property
    def ramps(self) -> RampTable:
        """Every step of every ramp, as a table."""
        return RampTable(cases=self.cases)

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be known to read the result: what was not tested, and why."""
        return tuple(wording.remarks(self))

    def __getitem__(self, name: str) -> ScenarioAdequacy:
        """Give one scenario by its name."""
        for one in self.scenarios:
            if one.scenario.name == name:
                return one
        names = [one.scenario.name for one in self.scenarios]
        raise invalid("name", f"must be a scenario of the test{nearest(str(name), names)}", name)

    def require_met(self) -> None:
        """Raise `InvalidInput` unless every scenario passes, be it with a warning."""
        if self.status in (FAILED, UNKNOWN):
            raise InvalidInput(f"adequacy: every scenario must pass (got {self.because})")

    def to_junit(self) -> str:
        """Give JUnit XML; see `surgetank.adequacy.junit.junit_xml` for what becomes what."""
        from .junit import junit_xml

        return junit_xml(self)

    def scenario_dict(self, name: str) -> dict[str, Any]:
        """Give plain values of one scenario, with the head of the whole: what a result file holds."""
        return {**self._head(), **self[name].to_dict()}

    def to_dict(self) -> dict[str, Any]:
        """Give plain values, ready for JSON."""
        return {
            **self._head(),
            "status": self.status,
            "exit_code": self.exit_code,
            "because": self.because,
            "services": list(self.test.services),
            "scenarios": [one.to_dict() for one in self.scenarios],
            "recommendations": [one.to_dict() for one in self.recommendations],
            "left_out": list(self.left_out),
            "notes": list(self.notes),
        }

    def to_json(self, *, indent: int | None = 2) -> str:
        """JSON that every parser reads: no NaN, no bare Infinity."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    def _head(self) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "made": self.made,
            "as_of": f"{self.as_of}Z",
            "primary_region": self.test.primary_region,
            "secondary_regions": list(self.test.secondary_regions),
        }

    def _caption(self) -> str:
        return wording.caption(self)

    def _notes(self) -> list[str]:
        return wording.notes(self)

    def _columns(self) -> list[Column]:
        rows = self.cases
        several = wording.several_accounts(rows)
        multiplier = [one.scenario.multiplier for one in self.scenarios for _ in one.cases]
        return [
            Column("scenario", [c.scenario for c in rows], "Scenario", numeric=False),
            Column("account", [c.account for c in rows], "Account" if several else "", numeric=False),
            Column("quota_name", [c.quota_name for c in rows], "Service/quota", numeric=False),
            Column("usage", [c.usage for c in rows], "Usage", quantity, priority=3),
            Column("multiplier", multiplier, "×", quantity, priority=3),
            Column("needed", [c.needed for c in rows], "Needed", quantity),
            Column("available", [c.available for c in rows], "Available", quantity),
            Column("shortfall", [c.shortfall for c in rows], "Shortfall", quantity, priority=1),
            Column("status", [c.status for c in rows], "Status", numeric=False),
            Column("ramp_stop", [wording.stop(c.ramp.stop) for c in rows]),
            Column("ramp_stop_s", [c.ramp.stop_s for c in rows]),
            Column("ramp", [wording.reach(c, naive=False) for c in rows], "Ramp", numeric=False, priority=1),
            Column("naive_stop", [wording.stop(c.ramp.naive_stop) for c in rows]),
            Column("naive_stop_s", [c.ramp.naive_stop_s for c in rows]),
            Column("naive", [wording.reach(c, naive=True) for c in rows], "Naive", numeric=False, priority=2),
            Column("why", [c.why for c in rows], numeric=False),
        ]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class RampTable(Tabular):
    """The steps of every ramp up to the first that does not fit, and who takes how much at each."""

    cases: tuple[Case, ...]

    def _caption(self) -> str:
        return "How the load arrives: ten equal steps, split by what is free; it stops at the first that does not fit"

    def _columns(self) -> list[Column]:
        rows = [(case, step) for case in self.cases for step in case.ramp.steps]
        several = wording.several_accounts(self.cases)
        return [
            Column("scenario", [c.scenario for c, _ in rows], "Scenario", numeric=False),
            Column("account", [c.account for c, _ in rows], "Account" if several else "", numeric=False),
            Column("quota_name", [c.quota_name for c, _ in rows], "Service/quota", numeric=False),
            Column("step", [s.step for _, s in rows], "Step"),
            Column("after_s", [s.after_s for _, s in rows], "After", span),
            Column("load", [s.load for _, s in rows], "Load", quantity),
            Column("taken", [wording.taken(s) for _, s in rows], "Takes", numeric=False, priority=1),
            Column("shortfall", [s.shortfall for _, s in rows], "Left over", quantity, priority=2),
            Column("fits", [wording.fits(s.fits) for _, s in rows], "Fits", numeric=False),
            Column("naive_fits", [wording.fits(s.naive_fits) for _, s in rows], "Naive", numeric=False, priority=1),
        ]
