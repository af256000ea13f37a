"""What a store, whatever it is kept in, takes as samples and as a plan: all else is refused before any is written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._bridge import instant_s
from ..errors import invalid
from .keys import KEY_FIELDS, MOST_UNIT, Quota, QuotaKey, check_units, require_text, same_unit
from .samples import SampleSet

_FAR = re.compile(r"-?\d{5,6}-(0[1-9]|1[0-2])-([012]\d|3[01])T[012]\d:[0-5]\d:[0-5]\dZ")


def require_samples(found: SampleSet, quotas: Mapping[QuotaKey, Quota], units: Mapping[QuotaKey, str]) -> None:
    """Refuse samples whose unit is not that of their quota, or of their usage so far (``units``), and bad ones."""
    if len(set(found.keys)) != len(found.keys):
        raise invalid("keys", "must be different quotas", next(key for key in found.keys if found.keys.count(key) > 1))
    for unit in found.units.values():
        require_text(unit, "unit", MOST_UNIT)
    check_units(found.units, quotas)
    for key, unit in found.units.items():
        if not same_unit(unit, units.get(key, "")):
            raise invalid("unit", f"of the usage of {key} must stay {units[key]!r}", unit)
    for n, key in enumerate(found.keys):
        time_s, value = found.series(n)
        if not (wrong := ~(value >= 0) | np.isinf(value)).any() and (time_s[1:] > time_s[:-1]).all():
            continue
        if wrong.any():
            raise invalid("usage", "must be finite and 0 or more in a store", value[wrong][0])
        raise invalid("usage", f"of {key} must be in the order of its instants, each of them once", "another order")


def planned_s(as_of: str) -> int:
    """Epoch seconds of a plan's moment, which may lie further ahead than Python's calendar."""
    if _FAR.fullmatch(as_of):
        try:
            return int(np.datetime64(as_of[:-1], "s").astype(np.int64))
        except ValueError:  # there is no 31st of February
            pass
    return instant_s(as_of, "as_of")


def plan_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """A plan as JSON has it; InvalidInput for what `Plan.to_dict` could not have given, where anybody looks for it."""
    try:
        made: dict[str, Any] = json.loads(json.dumps(body, allow_nan=False))
        rows = made.get("quotas", [])
        for name in ("made", "as_of", "status"):
            require_text(made[name], name, 1_000)
        for one in (made["coverage"], *(row["utilization"] for row in rows)):
            if isinstance(one, bool) or (isinstance(one, str) and one not in ("Infinity", "-Infinity")):
                raise ValueError(f"{one!r} is no number")
            float(0 if one is None else one)
        if not isinstance(made["coverage"], int | float):
            raise TypeError("its coverage is no number")
        keys = [QuotaKey(*(row[name] for name in KEY_FIELDS)) for row in rows]
        for part in (part for key in keys for part in key):
            require_text(part, "quotas", 2_000)
        if len(set(keys)) != len(keys):
            raise ValueError("each of its quotas must stand there once")
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        rule = "must be a plan as Plan.to_dict gives it"
        raise invalid("body", rule, f"{type(error).__name__}: {error}") from error
    planned_s(made["as_of"])
    return {**made, "coverage": float(made["coverage"])}
