"""Sentences that every policy's reasons share."""

from __future__ import annotations

from .._table import percent, quantity, span
from .policy import Row


def unknown(row: Row, history_s: float, need: str) -> str:
    """Why nothing can be said of a quota; ``need``: what is known to be needed all the same."""
    if row["unknown"] == "stale":
        ago = span(float(row["age_s"]))
        return f"Last observed {ago} before now, with {quantity(row['usage'])} in use: too old to judge."
    if row["unknown"] == "no_quota":
        return f"{quantity(row['usage'])} in use, but no quota is known to compare it with; needs {need}."
    looked_at = f"in the last {span(history_s)}" if history_s < 1e10 else "at all"
    return f"No usage was observed {looked_at}: unknown, not zero."


def free(row: Row) -> str:
    """How much is free, where that is not enough."""
    if row["available"] > 0:
        return f"{quantity(row['available'])} of {quantity(row['quota'])}{held(row)} is"
    if row["available"] == 0:
        return f"nothing of {quantity(row['quota'])}{held(row)} is"
    over = f"{quantity(-row['available'])} over the quota of {quantity(row['quota'])} and nothing is"
    if row["reserved"] > 0:
        return f"usage and the {quantity(row['reserved'])} reserved are already {over}"
    return f"usage is already {over}"


def held(row: Row) -> str:
    """What of the quota is promised to others."""
    return f" ({quantity(row['reserved'])} reserved)" if row["reserved"] > 0 else ""


def cut_short(row: Row) -> list[str]:
    """What takes away from the need: cost, or a quota that cannot be raised."""
    if row["limit"] == "cost_cap":
        return [f"The cost cap leaves {quantity(row['required'])} of it."]
    if row["limit"] == "not_adjustable" and row["shortfall"] > 0:
        return ["The quota cannot be raised: move or shed load."]
    return []


def threshold(row: Row) -> str:
    """Which threshold a row that is not OK has reached."""
    limit = row["critical_frac"] if row["status"] == "CRITICAL" else row["warning_frac"]
    return f"{row['status']} starts at {percent(limit)}."


def independent(n_eff: float, window: str) -> str:
    """How many independent windows a history is worth."""
    if n_eff < 1:
        return f"less than one window of {window}"
    count = round(n_eff)
    return f"{count:,} independent window{'' if count == 1 else 's'} of {window}"
