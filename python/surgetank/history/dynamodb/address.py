"""Where a store in DynamoDB is: ``dynamodb://prefix?region=us-east-1``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from ...errors import invalid, nearest

SCHEME = "dynamodb"
_PREFIX = re.compile(r"[A-Za-z0-9_.-]{1,200}")
#: As a host name takes it, which botocore makes of it; DynamoDB Local is at home in any, such as "local".
_REGION = re.compile(r"(?![0-9]+$)[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


@dataclass(frozen=True)
class Address:
    """The beginning of the tables' names, and the Region; without one it is the environment's."""

    prefix: str
    region: str = ""

    def __post_init__(self) -> None:
        """Check both."""
        if not isinstance(self.prefix, str) or not _PREFIX.fullmatch(self.prefix):
            raise invalid("prefix", "must be 1 to 200 letters, digits, _, . and -", self.prefix)
        if self.region and not (isinstance(self.region, str) and _REGION.fullmatch(self.region)):
            raise invalid("region", "must be an AWS Region such as us-east-1", self.region)

    def __str__(self) -> str:
        """Give the address as it is written on the command line."""
        return f"{SCHEME}://{self.prefix}" + (f"?region={self.region}" if self.region else "")

    @staticmethod
    def is_one(text: str) -> bool:
        """Whether a text means a store in DynamoDB, and not a file."""
        return text.lower().startswith(f"{SCHEME}:")

    @staticmethod
    def of(text: str) -> Address:
        """Read an address."""
        rule = f"must be {SCHEME}://PREFIX or {SCHEME}://PREFIX?region=REGION"
        if not text.isprintable():  # urlsplit drops some control characters, and would open another store
            raise invalid("store", rule, text)
        try:
            parts = urlsplit(text)
            options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        except ValueError:
            raise invalid("store", rule, text) from None
        if not parts.netloc or parts.path.strip("/") or parts.fragment:
            raise invalid("store", rule, text)
        names = [name for name, _ in options]
        for name in names:
            if name != "region":
                raise invalid("store", f"{rule}{nearest(name, ['region'])}", text)
        if len(names) > 1:
            raise invalid("store", f"{rule}, and one Region", text)
        if options and not options[0][1]:
            raise invalid("store", f"{rule}; the Region is empty", text)
        return Address(parts.netloc, dict(options).get("region", ""))
