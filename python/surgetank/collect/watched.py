"""Which quotas are collected: patterns that allow, and patterns that deny."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ..errors import invalid

#: What a failover runs into first.
DEFAULT_WATCH = (
    "ec2/L-1216C47A",  # running On-Demand Standard instances, in vCPUs
    "lambda/L-B99A9384",  # concurrent executions
    "rds/L-7B6409FD",  # DB instances
    "elasticloadbalancing/L-53DA6B97",  # Application Load Balancers
    "elasticloadbalancing/L-E9E9831D",  # Classic Load Balancers
)
_WILD = set("*?[")
_PATTERN = re.compile(r"[A-Za-z0-9*?\[\]!-]+(/[A-Za-z0-9*?\[\]!-]+)?")
_CODE = re.compile(r"L-[0-9A-F*?]+")


@dataclass(frozen=True)
class Watched:
    """The quotas that one of ``allow`` names and none of ``deny``.

    A pattern is a service (``ec2``), a service and a quota code (``ec2/L-1216C47A``, ``ec2/*``), or a code alone
    (``L-1216C47A``), each with ``*`` and ``?``.

    Examples
    --------
    >>> watched = Watched(("ec2", "lambda/L-B99A9384"), deny=("ec2/L-0*",))
    >>> watched.services
    ('ec2', 'lambda')
    >>> watched.has("ec2", "L-1216C47A"), watched.has("ec2", "L-0263D0A3")
    (True, False)
    """

    allow: Sequence[str] = DEFAULT_WATCH
    deny: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Refuse what could name nothing."""
        for argument, patterns in (("watch", self.allow), ("deny", self.deny)):
            for pattern in patterns:
                if not isinstance(pattern, str) or not _PATTERN.fullmatch(pattern):
                    rule = 'must be patterns such as "ec2", "ec2/L-1216C47A" or "L-1216C47A"'
                    raise invalid(argument, rule, pattern)
        if not self.allow:
            raise invalid("watch", "must name at least one quota", list(self.allow))

    def has(self, service: str, code: str) -> bool:
        """Whether a quota is watched."""
        return _named(self.allow, service, code) and not _named(self.deny, service, code)

    def takes_part(self, service: str) -> bool:
        """Whether any quota of a service could be watched."""
        denied = any(not code and fnmatchcase(service, name) for name, code in map(_parts, self.deny))
        return not denied and any(fnmatchcase(service, name) for name, _ in map(_parts, self.allow))

    @property
    def services(self) -> tuple[str, ...]:
        """The services that are named in full, each once."""
        names = (name for name, _ in map(_parts, self.allow) if not _WILD & set(name))
        return tuple(name for name in dict.fromkeys(names) if self.takes_part(name))

    @property
    def any_service(self) -> bool:
        """Whether AWS must be asked which services there are."""
        return any(_WILD & set(name) for name, _ in map(_parts, self.allow))

    @property
    def exact(self) -> tuple[tuple[str, str], ...] | None:
        """The quotas, where every pattern names one in full; None where one does not."""
        parts = [_parts(pattern) for pattern in self.allow]
        if any(not code or _WILD & set(name + code) for name, code in parts):
            return None
        return tuple((name, code) for name, code in dict.fromkeys(parts) if self.has(name, code))


def _parts(pattern: str) -> tuple[str, str]:
    """Service and quota code, each of which may be a pattern; no code stands for all."""
    if _CODE.fullmatch(pattern):
        return "*", pattern
    service, _, code = pattern.partition("/")
    return service, code


def _named(patterns: Sequence[str], service: str, code: str) -> bool:
    parts = map(_parts, patterns)
    return any(fnmatchcase(service, name) and fnmatchcase(code, wanted or "*") for name, wanted in parts)
