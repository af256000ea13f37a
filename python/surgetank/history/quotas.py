"""Quotas from tables: one row each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ..errors import invalid
from .batches import Batch
from .cells import BadCell, Table, number_in, texts
from .keys import KEY_FIELDS, UNSTATED, Quota, QuotaKey
from .layout import NAMES, find_columns

QUOTA_NAMES: dict[str, tuple[str, ...]] = {
    **{name: NAMES[name] for name in (*KEY_FIELDS, "unit")},
    "quota": ("quota", "quotavalue", "limit", "appliedvalue", "value"),
    "default_value": ("defaultvalue", "default"),
    "adjustable": ("adjustable",),
    "is_global": ("isglobal", "global", "globalquota"),
    "name": ("quotaname", "name"),
}


def quotas_in(batch: Batch, columns: Mapping[str, str], fixed: Mapping[str, str]) -> list[Quota]:
    """The quotas of a batch of rows; the first row that is none is an error."""
    found = find_columns(list(batch.columns), columns, QUOTA_NAMES)
    if "quota" not in found:
        rule = "must be a column; name it with columns={'quota': …} (--column quota=HEADER)"
        raise invalid("quota", rule, f"columns {', '.join(batch.columns)}")
    cells = {name: batch.columns[header] for name, header in found.items()}
    broken = batch.broken[0] if batch.broken else None
    try:
        rows = range(len(cells["quota"]) if broken is None else broken.before)
        quotas = [_quota(i, cells, found, fixed) for i in rows]
    except BadCell as bad:
        raise bad.at(batch.place(bad.row)) from None
    if broken is not None:
        raise broken.what.at(broken.where)
    return quotas


def _quota(i: int, cells: Table, found: Mapping[str, str], fixed: Mapping[str, str]) -> Quota:
    unstated = QuotaKey()
    words = {name: texts([column[i]])[0] for name, column in cells.items()}
    parts = {name: words.get(name) or fixed.get(name) or getattr(unstated, name) for name in KEY_FIELDS}
    numbers = dict.fromkeys(("quota", "default_value"), math.nan)
    for name in numbers:
        if name in cells:
            numbers[name] = number_in(i, cells[name][i], found[name])
            if numbers[name] < 0 or math.isinf(numbers[name]):
                raise BadCell(i, found[name], "must be finite and 0 or more", cells[name][i])
    flags = {name: _flag(i, words.get(name, ""), found.get(name, "")) for name in ("adjustable", "is_global")}
    return Quota(
        key=QuotaKey(**parts),
        value=numbers["quota"],
        default_value=numbers["default_value"],
        unit=words.get("unit", ""),
        name=words.get("name", ""),
        adjustable=flags["adjustable"],
        is_global=bool(flags["is_global"]),
    )


def _flag(row: int, text: str, header: str) -> bool | None:
    words = {"true": True, "1": True, "yes": True, "y": True, "false": False, "0": False, "no": False, "n": False}
    if text == "":
        return None
    if text.casefold() not in words:
        raise BadCell(row, header, "must be true or false", text)
    return words[text.casefold()]


def completed(
    given: Mapping[QuotaKey, Quota], defaults: Iterable[Quota], known: Mapping[QuotaKey, Quota]
) -> dict[QuotaKey, Quota]:
    """The quotas that are given, with what is known besides; and every quota whose default value is told by others.

    A default list names no account, so a default stands under ``-``, and beside the applied values of every account,
    whichever came first. It never becomes a value: whether a quota that has none is at its default, is for whoever
    knows that its applied values were listed to the end (an error or a further page may have taken it away).
    """
    result = {key: _besides(quota, known.get(key)) for key, quota in given.items()}
    told = {_name(key): quota for key, quota in known.items() if is_default(quota)}
    told |= {_name(default.key): replace(default, value=math.nan) for default in defaults}
    for default in told.values():
        result[default.key] = replace(_besides(default, known.get(default.key)), default_value=default.default_value)
    for key, quota in {**known, **result}.items():
        default = told.get(_name(key), quota)
        if default.key.account == UNSTATED and default.default_value != quota.default_value and key != default.key:
            result[key] = replace(_besides(quota, default), value=quota.value, default_value=default.default_value)
    return result


def alone(given: Mapping[QuotaKey, Quota], defaults: Iterable[Quota]) -> tuple[Quota, ...]:
    """The quotas that are given and the defaults beside them, where nothing else is known."""
    return owned(tuple(completed(given, defaults, {}).values()))


def is_default(quota: Quota) -> bool:
    """Whether it is nobody's, and all that is known is AWS's default value."""
    return quota.key.account == UNSTATED and math.isnan(quota.value) and not math.isnan(quota.default_value)


def owned(quotas: Sequence[Quota]) -> tuple[Quota, ...]:
    """The quotas without the defaults of those that some account has."""
    there = {_name(quota.key) for quota in quotas if not is_default(quota)}
    return tuple(quota for quota in quotas if not is_default(quota) or _name(quota.key) not in there)


def _name(key: QuotaKey) -> QuotaKey:
    return key._replace(account=UNSTATED)


@dataclass(frozen=True)
class QuotaChanges:
    """What an import of quotas and defaults did to the quotas of a store."""

    given: Mapping[QuotaKey, Quota]
    defaults: Sequence[Quota]
    before: Sequence[Quota]
    after: Sequence[Quota]

    @cached_property
    def _before(self) -> dict[QuotaKey, Quota]:
        return {quota.key: quota for quota in self.before}

    @cached_property
    def touched(self) -> list[QuotaKey]:
        """The quotas that are listed, that have a default which is listed, and that are others now."""
        after = {quota.key: quota for quota in self.after}
        told = {_name(default.key) for default in self.defaults}
        listed = [*self.given, *(key for key, quota in after.items() if self._before.get(key) != quota)]
        listed += [key for key in after if _name(key) in told]
        return list(dict.fromkeys(key for key in listed if key in after))

    @property
    def new(self) -> list[QuotaKey]:
        """Those that were not there before."""
        return [key for key in self.touched if key not in self._before]

    @property
    def changed(self) -> list[dict[str, Any]]:
        """Values that were known before and are others now."""
        after = {quota.key: quota for quota in self.after}
        pairs = [(self._before[key], after[key]) for key in self.touched if key in self._before]
        return [
            {"quota": str(one.key), "before": one.value, "after": other.value}
            for one, other in pairs
            if not math.isnan(one.value) and one.value != other.value
        ]


def _besides(quota: Quota, known: Quota | None) -> Quota:
    """What a quota does not state is as it was known."""
    if known is None:
        return quota
    return replace(
        quota,
        value=known.value if math.isnan(quota.value) else quota.value,
        default_value=known.default_value if math.isnan(quota.default_value) else quota.default_value,
        unit=quota.unit or known.unit,
        name=quota.name or known.name,
        adjustable=known.adjustable if quota.adjustable is None else quota.adjustable,
        is_global=quota.is_global or known.is_global,
    )
