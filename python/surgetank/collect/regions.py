"""Which Regions an account has enabled: AWS says so to each account by itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from .._aws import MALFORMED
from ..errors import CollectError
from .clients import Clients, items
from .planned import is_region

CALL = ("ec2", "DescribeRegions")
#: Partition → a Region that no account can leave out, for accounts that have not enabled the one that is asked from.
ALWAYS = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
_ENABLED = ("opt-in-not-required", "opted-in")


@dataclass
class Regions:
    """The Regions of one account: those that are enabled, and the others with AWS's word for why not."""

    enabled: list[str] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)


def regions_of(clients: Clients) -> Regions:
    """Ask for the Regions of an account, by name.

    Raises
    ------
    CollectError
        The answer names no Region that is enabled, or is none. Errors of botocore come as they are.
    """
    found = Regions()
    listed = {
        item.get("RegionName"): item.get("OptInStatus")
        for item in items(clients.call(*CALL, AllRegions=True), "Regions")
    }
    for name, status in sorted(listed.items(), key=str):
        if not is_region(name):
            raise CollectError(f"DescribeRegions names no Region: {name!r}", reason=MALFORMED, retryable=True)
        if status in _ENABLED:
            found.enabled.append(name)
        else:
            found.others[name] = str(status or "no OptInStatus")
    if not found.enabled:
        raise CollectError("DescribeRegions names no Region that is enabled", reason=MALFORMED, retryable=True)
    return found
