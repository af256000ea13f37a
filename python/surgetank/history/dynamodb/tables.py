"""The tables of a store in DynamoDB: their keys and indexes, what expires by itself, and how they are made.

Every table keeps point-in-time recovery, is protected from deletion, and is paid for by what is asked of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Index:
    """A global secondary index: another way to find items, a moment behind."""

    name: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Keys of one table; ``ttl``: the attribute that says when DynamoDB may remove an item."""

    name: str
    keys: tuple[str, ...]
    index: Index | None = None
    ttl: str = ""

    def definition(self, prefix: str) -> dict[str, Any]:
        """Give the parameters of CreateTable."""
        names = dict.fromkeys((*self.keys, *(self.index.keys if self.index else ())))
        made: dict[str, Any] = {
            "TableName": f"{prefix}-{self.name}",
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": TYPES.get(name, "S")} for name in names],
            "KeySchema": _schema(self.keys),
            "BillingMode": "PAY_PER_REQUEST",
            "DeletionProtectionEnabled": True,
            "Tags": [{"Key": "application", "Value": "surgetank"}],
        }
        if self.index:
            projection = {"ProjectionType": "ALL"}
            made["GlobalSecondaryIndexes"] = [
                {"IndexName": self.index.name, "KeySchema": _schema(self.index.keys), "Projection": projection}
            ]
        return made


#: Attributes that are numbers; all other keys are texts.
TYPES: Mapping[str, str] = {"day": "N", "at": "N", "number": "N", "utilization": "N", "expires": "N"}

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        # What is known of a quota: value, unit, since when it is used. id: account/Region/service/quota.
        Table("quotas", ("id",)),
        # Usage, packed: one item for each quota and UTC day.
        Table("usage", ("id", "day")),
        # What a plan found that a quota needs, by its instant.
        Table("requirements", ("id", "at"), Index("by-utilization", ("region", "utilization")), ttl="ttl"),
        Table("scenarios", ("name",), Index("by-kind", ("kind", "name"))),
        # What coordinators agree on, each coordination, token and failover as a whole: claim/…, token/…, failover/….
        Table("coordinations", ("id",), ttl="ttl"),
        # What is held, as one item for each account and Region: claims of the same room meet in it.
        Table("reservations", ("id",), Index("by-expiry", ("region", "expires"))),
        # Who did what, when and why, of each coordination and failover. Nothing of it expires.
        Table("audit", ("id", "at")),
        # Plans and reports of imports.
        Table("plans", ("kind", "number")),
    )
}


def template(prefix: str) -> dict[str, Any]:
    """Give the tables as a CloudFormation template, for those who make nothing by hand."""
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Tables of the surgetank store {prefix}",
        "Resources": {f"{name.capitalize()}Table": _resource(table, prefix) for name, table in TABLES.items()},
    }


def _resource(table: Table, prefix: str) -> dict[str, Any]:
    properties = {
        **table.definition(prefix),
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
    }
    if table.ttl:
        properties["TimeToLiveSpecification"] = {"AttributeName": table.ttl, "Enabled": True}
    return {
        "Type": "AWS::DynamoDB::Table",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": properties,
    }


def _schema(keys: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(keys, ("HASH", "RANGE"), strict=False)]
