"""Usage as AWS itself reports it for a whole account in a Region: for quotas with neither metric nor counter."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._aws import MALFORMED, SERVICE, TIMEOUT
from ..errors import CollectError
from .clients import MOST_PAGES, Clients, items
from .counting import COUNTERS
from .metrics import KNOWN_METRICS, second_of
from .planned import CollectPlan

CALLS = (("service-quotas", "StartQuotaUtilizationReport"), ("service-quotas", "GetQuotaUtilizationReport"))
PAGE = 1000
#: AWS takes several seconds to make a report, and keeps it for 15 minutes.
POLL_S, PATIENCE_S = 2.0, 120.0
#: How old a report may be, and how far ahead of this machine's clock.
OLDEST_S, AHEAD_S = 86_400, 300


def may_be_needed(plan: CollectPlan) -> bool:
    """Whether a plan may watch a quota with neither metric nor counter."""
    exact = plan.watched.exact
    return exact is None or any(name not in COUNTERS and name not in KNOWN_METRICS for name in exact)


def reported(clients: Clients, now_s: int) -> tuple[int, dict[tuple[str, str], float]]:
    """When the report was made (epoch seconds), and the usage that it states, by service and quota code.

    AWS states usage in per cent of the applied value. What is no number, or below 0, is left out.

    Raises
    ------
    CollectError
        The report failed, is not ready in two minutes, or is not of now. Errors of botocore come as they are.
    """
    id = clients.call(*CALLS[0]).get("ReportId")
    if not isinstance(id, str):
        raise CollectError("StartQuotaUtilizationReport gives no ReportId", reason=MALFORMED, retryable=True)
    page = _ready(clients, id)
    made_s = second_of(page.get("GeneratedAt"))
    if made_s is None:
        raise CollectError("the utilization report has no GeneratedAt", reason=MALFORMED, retryable=True)
    if not now_s - OLDEST_S <= made_s <= now_s + AHEAD_S:  # what it tells would be stored as of another time
        said = f"the utilization report is of {np.datetime64(made_s, 's')}Z, and not of now"
        raise CollectError(said, reason=MALFORMED, retryable=True)
    found: dict[tuple[str, str], float] = {}
    for _ in range(MOST_PAGES):
        for item in items(page, "Quotas"):
            if (used := _used(item)) is not None:
                found[str(item.get("ServiceCode")), str(item.get("QuotaCode"))] = used
        token = page.get("NextToken")
        if not token:
            return made_s, found
        page = clients.call(*CALLS[1], ReportId=id, MaxResults=PAGE, NextToken=token)
        if page.get("NextToken") == token:
            break
    raise CollectError("the utilization report has no end", reason=MALFORMED, retryable=True)


def _ready(clients: Clients, id: str) -> dict[str, Any]:
    """The first page of a report, once there is one."""
    until = time.monotonic() + PATIENCE_S
    while True:
        page = clients.call(*CALLS[1], ReportId=id, MaxResults=PAGE)
        if page.get("Status") == "COMPLETED":
            return page
        if page.get("Status") not in ("PENDING", "IN_PROGRESS"):
            said = f"the utilization report failed: {page.get('ErrorCode') or page.get('Status')}"
            raise CollectError(said, reason=SERVICE, retryable=True)
        if time.monotonic() > until:
            raise CollectError("the utilization report is not ready", reason=TIMEOUT, retryable=True)
        time.sleep(POLL_S)


def _used(item: Mapping[str, Any]) -> float | None:
    parts = [item.get(name) for name in ("Utilization", "AppliedValue")]
    if any(isinstance(part, bool) or not isinstance(part, int | float) for part in parts):
        return None
    try:
        used = float(parts[0] or 0.0) / 100 * float(parts[1] or 0.0)
    except OverflowError:  # an integer of JSON may have thousands of digits
        return None
    return used if math.isfinite(used) and used >= 0 else None
