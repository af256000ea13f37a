"""What the AWS CLI prints for service-quotas list-service-quotas, list-aws-default-service-quotas and the like."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .jsoncloudwatch import unit_of
from .jsonevents import described
from .jsonparts import Format, QuotaRows
from .quotas import QUOTA_NAMES

#: Quotas in one batch.
BATCH = 1000

_ARN = re.compile(r"arn:aws[a-z-]*:servicequotas:([^:]*):([^:]*):([^:/]+)/([^:/]+)")
_TEXTS = ("ServiceCode", "QuotaCode", "QuotaName", "QuotaArn", "Unit")
_FLAGS = ("Adjustable", "GlobalQuota")
_OBJECTS = ("ErrorReason", "QuotaContext")
_UNREAD = ("ServiceName", "UsageMetric", "Period", "QuotaAppliedAtLevel", "Description")


class Quotas(Format):
    """``{"Quotas": [{"ServiceCode", "QuotaArn", "QuotaCode", "QuotaName", "Value", "Unit", …}]}``."""

    def read(self, kind: str, value: Any) -> Iterator[QuotaRows]:
        """Give the quotas in batches, those of AWS's defaults apart from those of an account."""
        return self._batches(self.items("Quotas", kind, value))

    def _batches(self, items: Iterator[int | None]) -> Iterator[QuotaRows]:
        rows: list[dict[str, Any]] = []
        places: list[str] = []
        default = False
        for _ in items:
            row = self._quota()
            if row is None:
                continue
            if rows and (len(rows) == BATCH or row["default"] != default):
                yield _batch(rows, default, places)
                rows, places = [], []
            default = row["default"]
            rows.append(row)
            places.append(self.events.place)
        if rows:
            yield _batch(rows, default, places)

    def _quota(self) -> dict[str, Any] | None:
        item = self._item()
        arn = item["QuotaArn"] and _ARN.fullmatch(item["QuotaArn"])
        if item["QuotaArn"] and not arn:
            rule = "must be arn:aws:servicequotas:REGION:ACCOUNT:SERVICE/QUOTA"
            raise self.events.error(rule, item["QuotaArn"], "QuotaArn")
        region, account, service_code, quota_code = arn.groups() if arn else ("", "", "", "")
        row = {
            "account": account,
            "region": region,
            "service_code": item["ServiceCode"] or service_code,
            "quota_code": item["QuotaCode"] or quota_code,
            "context_id": self._part(item, "QuotaContext", "ContextId"),
            "unit": unit_of(item["Unit"]),
            "name": item["QuotaName"],
        }
        if not row["service_code"] or not row["quota_code"]:
            said = ", ".join(key for key, value in item.items() if value not in (None, "", {})) or "nothing known"
            raise self.events.error("must have a ServiceCode and a QuotaCode", said)
        value = item["Value"]
        what = f"{row['service_code']}/{row['quota_code']}"
        if item["ErrorReason"]:
            codes = (self._part(item, "ErrorReason", key) for key in ("ErrorCode", "ErrorMessage"))
            left_out = ", and is left out" if value is None else ""
            self.note(f"{what} has an ErrorReason{left_out}: {': '.join(filter(None, codes))}", self.events.where)
        elif value is None:
            self.note("has no Value, and is left out", f"{self.events.where} ({what})")
        if value is None:
            return None
        default = arn is not None and arn != "" and not account
        row |= {"quota": None if default else value, "default_value": value if default else None}
        row |= {"adjustable": item["Adjustable"], "is_global": item["GlobalQuota"], "default": default}
        return {key: None if value == "" else value for key, value in row.items()}

    def _item(self) -> dict[str, Any]:
        """Read what is known of a quota, each of its type; None (of a text, empty) where it is null or absent."""
        events = self.events
        item: dict[str, Any] = dict.fromkeys(_TEXTS, "") | dict.fromkeys((*_FLAGS, "Value")) | {k: {} for k in _OBJECTS}
        for key, kind, value in events.fields():
            if key in _TEXTS:
                item[key] = events.text(key, kind, value).strip()
            elif key in _UNREAD:
                events.skip(kind)
            elif key not in item:
                self.unknown(key, kind)
            elif kind != "null":
                wanted, rule = {
                    "Value": ("number", "must be a number"),
                    "Adjustable": ("boolean", "must be true or false"),
                    "GlobalQuota": ("boolean", "must be true or false"),
                }.get(key, ("start_map", "must be an object"))
                if kind != wanted:
                    raise events.error(rule, described(kind, value), key)
                item[key] = events.value(kind, value)
        return item

    def _part(self, item: Mapping[str, Any], key: str, part: str) -> str:
        value = item[key].get(part) or ""
        if not isinstance(value, str):
            raise self.events.error("must be a text", value, f"{key}, {part}")
        return value


class OneQuota(Quotas):
    """``{"Quota": {…}}``, of get-service-quota and get-aws-default-service-quota."""

    def read(self, kind: str, value: Any) -> Iterator[QuotaRows]:
        """Give the one quota."""
        if kind != "start_map":
            raise self.events.error("must be an object", described(kind, value))
        return self._batches(iter((None,)))


def _batch(rows: list[dict[str, Any]], default: bool, places: list[str]) -> QuotaRows:
    columns = {name: [row[name] for row in rows] for name in QUOTA_NAMES}
    place: Callable[[int], str] = places.__getitem__
    return QuotaRows(columns, default, place)
