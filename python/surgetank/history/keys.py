"""What a quota is called, and what is known about it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

import numpy as np

from .._bridge import number
from ..errors import invalid, printable

#: Stands for an account, Region, service or quota code that the input does not state.
UNSTATED = "-"
#: AWS's units and names of quotas are much shorter.
MOST_UNIT, MOST_NAME = 1_000, 10_000
KEY_FIELDS = ("account", "region", "service_code", "quota_code", "context_id")


class QuotaKey(NamedTuple):
    """The identity of a quota, in AWS's spelling; ``-`` where the input does not state a part.

    Examples
    --------
    >>> str(QuotaKey(region="us-east-1", service_code="ec2", quota_code="L-1216C47A"))
    'us-east-1 ec2/L-1216C47A'
    """

    account: str = UNSTATED
    region: str = UNSTATED
    service_code: str = UNSTATED
    quota_code: str = UNSTATED
    context_id: str = ""

    @property
    def quota_name(self) -> str:
        """Service and quota code, as a pattern names them: ``ec2/L-1216C47A``."""
        name = self.service_code if self.quota_code == UNSTATED else f"{self.service_code}/{self.quota_code}"
        return f"{name}@{self.context_id}" if self.context_id else name

    def __str__(self) -> str:
        """Give account and Region where stated, then the quota."""
        where = [part for part in (self.account, self.region) if part != UNSTATED]
        return " ".join([*where, self.quota_name])

    def matches(self, pattern: str) -> bool:
        """Whether ``pattern`` (with ``*`` and ``?``) names this quota.

        Patterns are the service, ``service/quota``, the Region, ``region/service``, ``region/service/quota`` or
        ``account/region/service/quota``; an account may be its last four digits, as it is shown: ``…3333``.
        """
        if pattern.startswith("…") and pattern[1:5].isdecimal() and pattern[5:6] == "/":
            pattern = f"*{pattern[1:]}"
        full = (self.account, self.region, self.service_code, self.quota_code)
        short = (self.account, self.region, self.quota_name)  # without the quota code where there is none
        spelled = [self.region, self.service_code, f"{self.region}/{self.service_code}"]
        spelled += ["/".join(names[n:]) for names in (full, short) for n in (2, 1, 0)]
        return any(fnmatchcase(name, pattern) for name in spelled)


@dataclass(frozen=True, kw_only=True)
class Quota:
    """One quota as it stands.

    Parameters
    ----------
    key : QuotaKey
    value : float
        The applied value in the quota's unit, ≥ 0; NaN where not known.
    default_value : float, optional
        AWS's default value; NaN where not known.
    unit, name : str, optional
        The quota's unit and full name. A unit that differs from the usage's is an error.
    adjustable : bool, optional
        Whether it can be raised; None where not known.
    is_global : bool, default False
        Whether it holds for the account rather than for a Region.
    """

    key: QuotaKey
    value: float
    default_value: float = math.nan
    unit: str = ""
    name: str = ""
    adjustable: bool | None = None
    is_global: bool = False

    def __post_init__(self) -> None:
        """Refuse infinite and negative values; NaN means not known."""
        if not isinstance(self.key, QuotaKey) or not all(isinstance(part, str) for part in self.key):
            raise invalid("key", "must be a QuotaKey of texts", self.key)
        require_text(self.unit, "unit", MOST_UNIT)
        require_text(self.name, "name", MOST_NAME)
        for field in ("adjustable", "is_global"):
            flag = getattr(self, field)
            if isinstance(flag, np.bool_):
                object.__setattr__(self, field, bool(flag))
            elif not isinstance(flag, bool) and (flag is not None or field == "is_global"):
                raise invalid(field, "must be True or False" + (", or None" if field == "adjustable" else ""), flag)
        for field in ("value", "default_value"):
            value = getattr(self, field)
            if isinstance(value, float | np.floating) and math.isnan(value):
                object.__setattr__(self, field, math.nan)
                continue
            if type(value) is float and 0 <= value < math.inf:  # the usual case, of thousands
                continue
            label = "quota" if field == "value" else field
            rule = f"of {printable(str(self.key), 200)} must be finite and 0 or more"
            object.__setattr__(self, field, number(value, label, rule=rule, least=0))


def require_text(value: object, argument: str, most: int) -> None:
    """Refuse what a store cannot keep as a text: something else, half a character, or too much."""
    if not isinstance(value, str):
        raise invalid(argument, "must be a text", value)
    if len(value) > most:
        raise invalid(argument, f"must be at most {most:,} characters", f"{value[:40]}…, {len(value):,} characters")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise invalid(argument, "must be valid Unicode", value) from None


def quotas_by_key(quotas: Iterable[Quota] | Mapping[QuotaKey, float | Quota]) -> dict[QuotaKey, Quota]:
    """Index quotas by key; a mapping may give bare numbers. A key given twice with different values is an error."""
    if isinstance(quotas, Mapping):
        quotas = [q if isinstance(q, Quota) else Quota(key=_key(k), value=q) for k, q in quotas.items()]
    result: dict[QuotaKey, Quota] = {}
    for quota in quotas:
        if not isinstance(quota, Quota):
            raise invalid("quotas", "must be Quota objects, or a mapping from QuotaKey to a number", quota)
        known = result.setdefault(quota.key, quota)
        for one, other in ((known.value, quota.value), (known.default_value, quota.default_value)):
            if one != other and not (math.isnan(one) and math.isnan(other)):
                raise invalid("quotas", f"of {quota.key} must be given once", f"{one:g} and {other:g}")
        if not same_unit(known.unit, quota.unit):
            raise invalid("quotas", f"of {quota.key} must have one unit", f"{known.unit} and {quota.unit}")
    return result


def _key(key: object) -> QuotaKey:
    if not isinstance(key, tuple) or not all(isinstance(part, str) for part in key) or not 1 <= len(key) <= 5:
        raise invalid("quotas", "must be keyed by (account, region, service_code, quota_code)", key)
    return QuotaKey(*key)


def same_unit(one: str, other: str) -> bool:
    """Whether two units agree: what is not stated agrees with all, and case does not matter."""
    return not one or not other or one.casefold() == other.casefold()


def check_units(units: Mapping[QuotaKey, str], quotas: Mapping[QuotaKey, Quota]) -> None:
    """Usage and quota must be in the same unit wherever both state one (case does not matter)."""
    for key, unit in units.items():
        quota = quotas.get(key)
        if quota is not None and not same_unit(unit, quota.unit):
            raise invalid("unit", f"of the usage of {key} must be its quota's, {quota.unit!r}", unit)
