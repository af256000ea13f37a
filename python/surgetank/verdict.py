"""A plan as a gate: one exit code, and the rows behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ._bridge import fraction
from ._table import for_json, percent
from .plan import Plan, matching
from .report import SCHEMA_VERSION, caption, headline, what_is_assumed, where

PASSED, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The exit code of `surgetank check`, and why."""

    exit_code: int
    because: str
    plan: Plan
    listed: tuple[int, ...]  #: rows of the plan that must be known

    @property
    def text(self) -> str:
        """What a person reads: the reason of every row that is not OK, then the verdict."""
        rows = self.plan.rows("CRITICAL", "UNKNOWN", "WARNING")
        lines = [f"{row['status']} {where(row)}: {row['reason']}" for row in rows]
        return "\n".join(
            [
                *lines,
                caption(self.plan),
                *headline(self.plan),
                *what_is_assumed(self.plan),
                f"exit {self.exit_code}: {self.because}",
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "schema_version": SCHEMA_VERSION,
            "exit_code": self.exit_code,
            "because": self.because,
            "status": self.plan.status,
            "coverage": self.plan.coverage,
            "probability_fits": for_json(self.plan.probability_fits),
            "as_of": f"{self.plan.as_of}Z",
            "quotas": [row for row in self.plan.to_records() if row["status"] != "OK"],
        }


def check(plan: Plan, *, require: Sequence[str] | None = None, min_coverage: float = 0.0) -> Verdict:
    """Judge a plan: 2 if any row is CRITICAL, else 3 if something that must be known is not, else 1 on WARNING, else 0.

    Parameters
    ----------
    plan : Plan
    require : sequence of patterns, optional
        These quotas must be known. Default: every quota that has a value.
    min_coverage : fraction, default 0
        The share of all rows, usage without a quota included, that must be known.

    Raises
    ------
    InvalidInput
        A pattern that names no quota, or a share outside [0, 1].
    """
    fraction(min_coverage, "min_coverage")
    status = list(plan.headroom.status)
    if require is None:
        listed = [i for i, quota in enumerate(plan.quotas) if quota is not None]
    else:
        listed = sorted({i for pattern in require for i in matching(plan.keys, pattern, "require")})
    unknown = [i for i in listed if status[i] == "UNKNOWN"]
    if "CRITICAL" in status:
        code, because = CRITICAL, f"{_are(status.count('CRITICAL'), len(status))} CRITICAL"
    elif unknown:
        code, because = (
            UNKNOWN,
            f"{len(unknown)} of {len(listed)} quotas that must be known {'is' if len(unknown) == 1 else 'are'} UNKNOWN",
        )
    elif plan.coverage < min_coverage:
        code, because = UNKNOWN, f"coverage is {percent(plan.coverage)}, below {percent(min_coverage)}"
    elif "WARNING" in status:
        code, because = WARNING, f"{_are(status.count('WARNING'), len(status))} at WARNING"
    else:
        code, because = PASSED, "every quota that must be known has the headroom that the policy asks for"
    return Verdict(exit_code=code, because=because, plan=plan, listed=tuple(listed))


def _are(count: int, total: int) -> str:
    return f"{count} of {total} quotas {'is' if count == 1 else 'are'}"
